--
-- When records are appended, and what a transaction makes of them: immediate
-- and deferred mode, savepoints, PL/pgSQL, read-only transactions.
--
-- Seen to fail: mutants produce_read_only, deferred_keeps_rolled_back.
--
\set SHOW_CONTEXT never

SELECT create_topic('produce_transactions');
SELECT create_topic('produce_transactions_spread', 4);
CREATE VIEW produced AS SELECT _partition, _offset, key, value FROM qtopic.produce_transactions;

-- immediate: offsets are there at once, readable after commit only
BEGIN;
SELECT * FROM produce('produce_transactions', 'first');
SELECT * FROM produced;
SELECT * FROM fetch_records('produce_transactions', 0, 0);
SELECT last_stable_offset, next_offset FROM partition_offsets('produce_transactions');
COMMIT;
SELECT * FROM produced;
-- what is rolled back leaves a gap
BEGIN;
SELECT * FROM produce('produce_transactions', 'rolled back');
ROLLBACK;
SELECT * FROM produce('produce_transactions', 'after the gap');
BEGIN;
SELECT * FROM produce('produce_transactions', 'outer');
SAVEPOINT s;
SELECT * FROM produce('produce_transactions', 'inner, rolled back');
ROLLBACK TO s;
SELECT * FROM produce('produce_transactions', 'inner');
RELEASE s;
COMMIT;
SELECT * FROM produced;

-- deferred: the offset is known when the transaction has ended
BEGIN;
SELECT * FROM produce('produce_transactions', 'k', 'deferred', deferred => true);
SELECT * FROM produce_batch('produce_transactions', NULL, ARRAY['deferred 2', 'deferred 3'], deferred => true);
SELECT next_offset FROM partition_offsets('produce_transactions');
SELECT * FROM produce('produce_transactions', 'k', 'immediate, but before', deferred => false);
COMMIT;
SELECT * FROM produced WHERE _offset > 4;
BEGIN;
SET LOCAL qtopic.produce_mode = deferred;
SELECT * FROM produce('produce_transactions', 'by setting');
SELECT * FROM produce('produce_transactions', NULL, 'immediate in spite of it', deferred => false);
SELECT * FROM produce('produce_transactions', NULL, 'NULL is the setting', deferred => NULL);
SELECT * FROM produce_batch('produce_transactions', ARRAY['batch by setting']);
COMMIT;
SELECT * FROM produced WHERE _offset > 8;
SET qtopic.produce_mode = 'sometimes';
SHOW qtopic.produce_mode;
-- savepoints
BEGIN;
SET LOCAL qtopic.produce_mode = deferred;
SELECT * FROM produce('produce_transactions', 'd1');
SAVEPOINT a;
SELECT * FROM produce('produce_transactions', 'd2, rolled back');
SAVEPOINT b;
SELECT * FROM produce('produce_transactions', 'd3, rolled back');
RELEASE b;
ROLLBACK TO a;
SELECT * FROM produce('produce_transactions', 'd4');
SAVEPOINT c;
SELECT * FROM produce('produce_transactions', 'd5');
RELEASE c;
RELEASE a;
COMMIT;
SELECT * FROM produced WHERE _offset > 12;
-- rolled back, or dropped in the same transaction: nothing, and no gap
BEGIN;
SELECT * FROM produce('produce_transactions', 'k', 'rolled back', deferred => true);
ROLLBACK;
SELECT * FROM produce('produce_transactions', 'no gap');
BEGIN;
SELECT create_topic('produce_transactions_new');
SELECT * FROM produce('produce_transactions_new', 'k', 'kept', deferred => true);
COMMIT;
SELECT value FROM qtopic.produce_transactions_new;
BEGIN;
SELECT * FROM produce('produce_transactions_new', 'k', 'lost', deferred => true);
SELECT drop_topic('produce_transactions_new');
COMMIT;
-- errors are found at the call, but for what compression cannot save
BEGIN;
SELECT produce('produce_transactions', 'k', 'v', partition => 5, deferred => true);
ROLLBACK;
BEGIN;
SELECT produce('produce_transactions', now(), 'v', deferred => true);
ROLLBACK;
SELECT alter_topic('produce_transactions_spread', config => '{"max.message.bytes": 1000}');
BEGIN;
SELECT * FROM produce('produce_transactions_spread', 'k', repeat('compressible ', 1000), deferred => true);
COMMIT;
BEGIN;
SELECT _offset FROM produce('produce_transactions_spread', 'k', (SELECT string_agg(md5(n::text), '' ORDER BY n) FROM generate_series(1, 100) AS n), deferred => true);
COMMIT;
SELECT count(*), sum(length(value)) FROM qtopic.produce_transactions_spread;
-- order within a partition is the order of the calls, over more than one buffer
SET qtopic.deferred_buffer_size = 64;
BEGIN;
SELECT count(_offset), count(*) FROM generate_series(1, 5000) AS n, LATERAL produce('produce_transactions_spread', n, n::text || repeat('x', 50), deferred => true);
COMMIT;
RESET qtopic.deferred_buffer_size;
SELECT count(*), count(DISTINCT key), bool_and(in_order) FROM (
    SELECT key, coalesce(key::int > lag(key::int) OVER (PARTITION BY _partition ORDER BY _offset), true) AS in_order
      FROM qtopic.produce_transactions_spread WHERE key <> 'k') AS s;

-- from a query
CREATE TABLE source (id int, note text);
INSERT INTO source SELECT n, 'note ' || n FROM generate_series(1, 5) AS n;
SELECT produce('produce_transactions', id, to_jsonb(source)) FROM source ORDER BY id;
SELECT count(*) FROM source, LATERAL produce('produce_transactions', id, note) AS p;
WITH changed AS (UPDATE source SET note = 'changed' WHERE id < 3 RETURNING *)
SELECT p._offset FROM changed, LATERAL produce('produce_transactions', changed.id, to_jsonb(changed)) AS p;
-- ( ).* calls it once for each column: two records
SELECT (produce('produce_transactions', 'twice')).*;
SELECT count(*) FROM produced WHERE value = 'twice';

-- PL/pgSQL: an exception block takes its records with it
DO $$
DECLARE
    place record;
BEGIN
    PERFORM produce('produce_transactions', 'plpgsql', 'outer');
    BEGIN
        SELECT * INTO place FROM produce('produce_transactions', 'plpgsql', 'inner, rolled back');
        PERFORM produce('produce_transactions', 'plpgsql', 'deferred inner, rolled back', deferred => true);
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN
        PERFORM produce('produce_transactions', 'plpgsql', 'handler');
    END;
    BEGIN
        PERFORM produce('produce_transactions', 'plpgsql', 'v', partition => 1);
    EXCEPTION WHEN invalid_parameter_value THEN
        PERFORM produce('produce_transactions', 'plpgsql', 'after an error of produce()');
    END;
    PERFORM produce('produce_transactions', 'plpgsql', 'deferred outer', deferred => true);
    PERFORM produce('produce_transactions', 'plpgsql', 'last call');
END
$$;
SELECT value FROM produced WHERE key = 'plpgsql';

-- triggers, also deferred ones
CREATE FUNCTION produce_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM produce('produce_transactions', TG_NAME, to_jsonb(NEW));
    RETURN NEW;
END
$$;
CREATE TRIGGER row_trigger AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION produce_row();
CREATE CONSTRAINT TRIGGER row_trigger_deferred AFTER INSERT ON source DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION produce_row();
INSERT INTO source VALUES (6, 'triggered');
BEGIN;
SET LOCAL qtopic.produce_mode = deferred;
INSERT INTO source VALUES (7, 'triggered');
COMMIT;
SELECT key, value FROM produced WHERE key LIKE 'row_trigger%';

-- a cursor that is kept runs at commit
BEGIN;
DECLARE kept CURSOR WITH HOLD FOR SELECT (produce('produce_transactions', 'cursor', n::text))._partition FROM generate_series(1, 3) AS n;
COMMIT;
SELECT value FROM produced WHERE key = 'cursor';
CLOSE kept;

-- prepared statements, generic plans
SET plan_cache_mode = force_generic_plan;
PREPARE produce_one(varchar, bigint, jsonb) AS SELECT _partition FROM produce($1, $2, $3);
EXECUTE produce_one('produce_transactions', 1, '{"prepared": 1}');
EXECUTE produce_one('produce_transactions_spread', 1, '{"prepared": 1}');
EXECUTE produce_one('no_such_topic', 1, '{}');
SELECT drop_topic('produce_transactions_spread');
EXECUTE produce_one('produce_transactions_spread', 1, '{}');
SELECT create_topic('produce_transactions_spread');
EXECUTE produce_one('produce_transactions_spread', 1, '{"prepared": 2}');
SELECT value FROM qtopic.produce_transactions_spread;
DEALLOCATE produce_one;
RESET plan_cache_mode;

-- a read-only transaction must not commit a row
BEGIN READ ONLY;
SELECT produce('produce_transactions', 'read only');
ROLLBACK;
BEGIN READ ONLY;
SELECT produce_batch('produce_transactions', ARRAY['read only']);
ROLLBACK;
BEGIN READ ONLY;
SELECT produce_batch_bytea('produce_transactions', NULL, ARRAY['read only'::bytea]);
ROLLBACK;
BEGIN READ ONLY;
SELECT produce('produce_transactions', 'k', 'read only', deferred => true);
ROLLBACK;
SET default_transaction_read_only = on;
SELECT produce('produce_transactions', 'read only');
SELECT count(*) > 0 AS readable FROM fetch_records('produce_transactions', 0, 0);
RESET default_transaction_read_only;
BEGIN;
SELECT * FROM produce('produce_transactions', 'k', 'deferred, then read only', deferred => true);
SET TRANSACTION READ ONLY;
COMMIT;
SELECT count(*) FROM produced WHERE value LIKE '%read only%';

-- prepared transactions: appended at PREPARE
BEGIN;
SELECT * FROM produce('produce_transactions', 'k', 'prepared', deferred => true);
PREPARE TRANSACTION 'produce_transactions';
SELECT count(*) FROM produced WHERE value = 'prepared';
SELECT blocked_by_pid, blocked_by_gid, blocked_for > '0' AS blocked_for, next_offset - last_stable_offset AS behind FROM qtopic_partitions WHERE topic = 'produce_transactions';
COMMIT PREPARED 'produce_transactions';
SELECT count(*) FROM produced WHERE value = 'prepared';

DROP VIEW produced;
DROP TABLE source;
DROP FUNCTION produce_row();
SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'produce\_transactions%' ORDER BY topic;

-- in a parallel worker, by a wrapper with the wrong label: refused, in deferred mode as well
SELECT create_topic('produce_parallel');
CREATE FUNCTION produce_parallel(i int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
	PERFORM produce('produce_parallel', 'k', i::text, deferred => true);
	RETURN i;
END $$;
SET force_parallel_mode = on;
SELECT produce_parallel(1);
RESET force_parallel_mode;
SELECT count(*) FROM fetch_records('produce_parallel', 0, 0);
DROP FUNCTION produce_parallel;
SELECT drop_topic('produce_parallel');
