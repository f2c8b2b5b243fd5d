--
-- Parallel plans over the relation of a topic, in statements that also write, make
-- topics, call functions and scan again; and what a foreign table has no use for.
--
-- Seen to fail: mutant shared_scan_not_started_again.
--
\set SHOW_CONTEXT never
SELECT create_topic('rpar', 2);
INSERT INTO qtopic.rpar (_partition, key, value) SELECT i % 2, i, i FROM generate_series(0, 19999) i;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET cpu_operator_cost = 1;
SET max_parallel_workers_per_gather = 2;

-- a table that is made is; a statement that writes into a topic is not
EXPLAIN (COSTS OFF) CREATE TABLE rpar_made AS SELECT value FROM qtopic.rpar WHERE md5(value) <> '';
EXPLAIN (COSTS OFF) INSERT INTO qtopic.rpar (value) SELECT value FROM qtopic.rpar WHERE md5(value) <> '';
CREATE TABLE rpar_made AS SELECT _partition, _offset, value FROM qtopic.rpar WHERE md5(value) <> '';
SELECT count(*), count(DISTINCT value), sum(value::int) FROM rpar_made;
CREATE MATERIALIZED VIEW rpar_kept AS SELECT count(value), sum(value::int) FROM qtopic.rpar WHERE md5(value) <> '';
SELECT * FROM rpar_kept;
WITH i AS (INSERT INTO qtopic.rpar (_partition, value) VALUES (0, '-1') RETURNING _offset)
	SELECT (SELECT _offset FROM i), (SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '');
REFRESH MATERIALIZED VIEW rpar_kept;
SELECT * FROM rpar_kept;

-- bounds from elsewhere, and each process has its share of what is within them
SELECT count(value), sum(value::int) FROM qtopic.rpar WHERE md5(value) <> '' AND _offset > (SELECT 5) AND _offset <= (SELECT 8) AND _partition = ANY (ARRAY(SELECT 1));
SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '' AND _offset > (SELECT NULL::bigint);
SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '' AND _offset BETWEEN 20 AND 10;
SELECT _partition, count(value), min(_offset), max(_offset) FROM qtopic.rpar WHERE md5(value) <> '' GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM (SELECT value FROM qtopic.rpar WHERE md5(value) <> '' LIMIT 3) s;
-- the same shared scan again, for other rows and with other bounds
SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT g, count(*) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM qtopic.rpar WHERE md5(value) <> '' AND _offset < 7) s ON s.value::int >= g GROUP BY g ORDER BY g;
SELECT g, count(*) FROM generate_series(1, 3) g LEFT JOIN (SELECT value FROM qtopic.rpar WHERE md5(value) <> '' AND _offset < 7) s ON s.value::int >= g GROUP BY g ORDER BY g;
RESET enable_material; RESET enable_hashjoin; RESET enable_mergejoin;
PREPARE rpar_from (bigint, int[]) AS SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '' AND _offset >= $1 AND _partition = ANY ($2);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE rpar_from(1, '{0}');
EXECUTE rpar_from(9990, '{0, 1}');
EXECUTE rpar_from(9990, '{1}');
EXECUTE rpar_from(9990, '{}');
EXECUTE rpar_from(NULL, '{1}');
RESET plan_cache_mode;

-- only the workers read
SET parallel_leader_participation = off;
SELECT count(value), sum(value::int) FROM qtopic.rpar WHERE md5(value) <> '';
-- functions that read, in a worker
CREATE FUNCTION rpar_count() RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM qtopic.rpar WHERE _offset < 20); END $$;
SELECT DISTINCT rpar_count() FROM qtopic.rpar WHERE md5(value) <> '' AND _offset < 300;
-- no workers are to be had
SET max_parallel_workers = 0;
SELECT count(value), sum(value::int) FROM qtopic.rpar WHERE md5(value) <> '';
RESET max_parallel_workers; RESET parallel_leader_participation;

-- what the transaction has made: partitions, topics, records
BEGIN;
SELECT alter_topic('rpar', 3), create_topic('rpar_new');
SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '';
SELECT count(value) FROM qtopic.rpar_new WHERE md5(value) <> '';
INSERT INTO qtopic.rpar (_partition, value) VALUES (2, 'own'), (0, 'own');
SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '';
SAVEPOINT s;
SELECT sum(value::int / (value::int - 777)) FROM qtopic.rpar WHERE md5(value) <> '';
ROLLBACK TO s;
SELECT count(value) FROM qtopic.rpar WHERE md5(value) <> '';
ROLLBACK;
-- cursors
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT value FROM qtopic.rpar WHERE md5(value) <> '' ORDER BY value::int;
COMMIT;
FETCH 2 FROM c;
MOVE FORWARD ALL IN c;
FETCH BACKWARD 1 FROM c;
CLOSE c;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET cpu_operator_cost;

-- what rows of a topic do not have
\set VERBOSITY sqlstate
SELECT xmin FROM qtopic.rpar LIMIT 1;
SELECT cmax FROM qtopic.rpar LIMIT 1;
DELETE FROM qtopic.rpar WHERE ctid = '(0,1)';
SELECT value FROM qtopic.rpar TABLESAMPLE BERNOULLI (1);
MERGE INTO qtopic.rpar r USING rpar_made m ON r._offset = m._offset WHEN MATCHED THEN DELETE;
\set VERBOSITY default
SELECT DISTINCT tableoid::regclass FROM qtopic.rpar;
SELECT count(*) FROM qtopic.rpar WHERE tableoid = 'qtopic.rpar'::regclass;
SELECT count(*) FROM qtopic.rpar WHERE tableoid <> 'qtopic.rpar'::regclass;

DROP MATERIALIZED VIEW rpar_kept;
DROP TABLE rpar_made;
DROP FUNCTION rpar_count();
SELECT drop_topic('rpar');
