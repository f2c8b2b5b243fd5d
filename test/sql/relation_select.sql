--
-- A topic is a relation: SELECT from its foreign table in queries of all
-- kinds, and what cannot be done with it.
--
-- Seen to fail: with a scan that does not look at the columns it fills in, the
-- server crashes.
--
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';

SELECT create_topic('relation_select', 3, '{"value.format": "jsonb"}');
SELECT create_topic('Relation.Select');
SELECT produce_batch('relation_select', ARRAY(SELECT n::text FROM generate_series(1, 20) AS n),
    ARRAY(SELECT jsonb_build_object('n', n, 'name', 'name ' || n % 3) FROM generate_series(1, 20) AS n),
    record_times => ARRAY(SELECT '2024-01-01'::timestamptz + n * interval '1 h' FROM generate_series(1, 20) AS n));
SELECT produce_batch('Relation.Select', ARRAY['1', '2', NULL], ARRAY['one', 'two', 'three']);

SELECT * FROM qtopic.relation_select;
SELECT _offset, key, value FROM qtopic."Relation.Select";
SELECT value FROM qtopic.Relation.Select;
SELECT value FROM qtopic.relation;

-- WHERE, ORDER BY, LIMIT, aggregates
SELECT value ->> 'n' AS n FROM qtopic.relation_select WHERE value ->> 'name' = 'name 1' ORDER BY (value ->> 'n')::int;
SELECT _partition, _offset FROM qtopic.relation_select WHERE key = '7';
SELECT _offset, key FROM qtopic.relation_select WHERE _partition = 1 AND _offset >= 3 ORDER BY _offset LIMIT 2;
SELECT key FROM qtopic.relation_select WHERE _timestamp >= '2024-01-01 18:00' AND _timestamp < '2024-01-01 20:00' ORDER BY _timestamp;
SELECT count(*) FROM qtopic.relation_select WHERE headers IS NULL AND _partition BETWEEN 0 AND 2;
SELECT count(*) FROM qtopic.relation_select WHERE _partition = 3 OR _offset < 0;
SELECT key FROM qtopic.relation_select ORDER BY key::int DESC LIMIT 3 OFFSET 1;
SELECT value ->> 'name' AS name, count(*), sum((value ->> 'n')::int) FROM qtopic.relation_select GROUP BY 1 ORDER BY 1;
SELECT DISTINCT value -> 'name' AS name FROM qtopic.relation_select ORDER BY 1;
SELECT key, row_number() OVER (PARTITION BY _partition ORDER BY _offset) = _offset + 1 AS nth FROM qtopic.relation_select ORDER BY key::int LIMIT 3;

-- joins, subqueries, rescans: the topic looks the same each time
SELECT count(*) FROM qtopic.relation_select AS a JOIN qtopic.relation_select AS b USING (_partition, _offset);
SELECT a.key, b.value FROM qtopic.relation_select AS a JOIN qtopic."Relation.Select" AS b ON a.key = b.key ORDER BY 1;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
SELECT count(*) FROM qtopic.relation_select AS a JOIN qtopic.relation_select AS b USING (_partition, _offset);
SELECT n, (SELECT count(*) FROM qtopic.relation_select WHERE (value ->> 'n')::int <= n) AS up_to FROM generate_series(5, 20, 5) AS n;
RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_material;
SELECT key FROM qtopic."Relation.Select" AS t WHERE NOT EXISTS (SELECT FROM qtopic.relation_select AS s WHERE s.key = t.key);
SELECT count(*) FROM (SELECT key FROM qtopic.relation_select UNION ALL SELECT key FROM qtopic."Relation.Select") AS u;
SELECT count(*) FROM qtopic.relation_select CROSS JOIN LATERAL fetch_records('Relation.Select', 0, 0);
WITH t AS MATERIALIZED (SELECT * FROM qtopic.relation_select) SELECT count(*) FROM t AS a, t AS b;
SELECT t FROM qtopic."Relation.Select" AS t WHERE t IS NULL;
SELECT (t).key, t IS DISTINCT FROM NULL AS whole FROM qtopic."Relation.Select" AS t ORDER BY t._offset LIMIT 1;
SELECT tableoid::regclass, ctid FROM qtopic."Relation.Select" LIMIT 1;

-- the usual ways to load a table
CREATE TABLE loaded AS SELECT _partition, _offset, (value ->> 'n')::int AS n FROM qtopic.relation_select WHERE _offset < 3;
INSERT INTO loaded SELECT _partition, _offset, (value ->> 'n')::int FROM qtopic.relation_select AS t
 WHERE NOT EXISTS (SELECT FROM loaded AS l WHERE l._partition = t._partition AND l._offset = t._offset);
SELECT count(*), count(DISTINCT n) FROM loaded;
DROP TABLE loaded;
COPY (SELECT key, value FROM qtopic."Relation.Select" ORDER BY _offset) TO STDOUT;

-- cursors, also backward and kept
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT _offset, value FROM qtopic."Relation.Select";
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
FETCH ALL FROM c;
MOVE ABSOLUTE 0 FROM c;
FETCH 1 FROM c;
DECLARE kept CURSOR WITH HOLD FOR SELECT _offset, value FROM qtopic."Relation.Select";
COMMIT;
FETCH ALL FROM kept;
CLOSE kept;

-- records are not locked, tables that they are joined with are
SELECT value FROM qtopic."Relation.Select" FOR UPDATE;
SELECT value FROM qtopic."Relation.Select" FOR KEY SHARE;
EXPLAIN SELECT value FROM qtopic."Relation.Select" FOR SHARE;
SELECT count(*) FROM (SELECT FROM qtopic."Relation.Select" FOR NO KEY UPDATE SKIP LOCKED) locked;
CREATE TABLE relation_select_table AS SELECT 'one' AS value, NULL::bigint AS seen;
SELECT r.value FROM relation_select_table t JOIN qtopic."Relation.Select" r USING (value) FOR UPDATE;
SELECT r.value FROM relation_select_table t JOIN qtopic."Relation.Select" r USING (value) FOR UPDATE OF r;
SELECT r.value FROM relation_select_table t JOIN qtopic."Relation.Select" r USING (value) FOR UPDATE OF t;
UPDATE relation_select_table t SET seen = _offset FROM qtopic."Relation.Select" r WHERE r.value = t.value RETURNING t.*;
MERGE INTO relation_select_table t USING qtopic."Relation.Select" r ON r.value = t.value
  WHEN MATCHED THEN UPDATE SET seen = 100 + _offset WHEN NOT MATCHED THEN INSERT VALUES (r.value, _offset);
DELETE FROM relation_select_table t USING qtopic."Relation.Select" r WHERE r.value = t.value RETURNING t.*;
DROP TABLE relation_select_table;

-- one's own records come after commit, here as with the functions
BEGIN;
SELECT _offset FROM produce('Relation.Select', 'own');
SELECT value FROM qtopic."Relation.Select";
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM qtopic."Relation.Select";
SELECT _offset FROM produce('Relation.Select', 'own') ;
SELECT count(*) FROM qtopic."Relation.Select";
COMMIT;
SELECT count(*) FROM qtopic."Relation.Select";

-- plans
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.relation_select;
EXPLAIN (COSTS OFF) SELECT key FROM qtopic.relation_select WHERE _partition = 0 AND value ->> 'n' = '1' ORDER BY key LIMIT 1;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) FROM qtopic."Relation.Select" AS t WHERE key = 'a';
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT key FROM qtopic."Relation.Select" WHERE key IS NOT NULL;
EXPLAIN (COSTS OFF) SELECT * FROM fetch_records('relation_select', 0, 0);

-- views and prepared statements; a topic that was made anew
CREATE VIEW relation_view AS SELECT value ->> 'name' AS name FROM qtopic.relation_select;
SELECT count(*) FROM relation_view WHERE name = 'name 0';
DROP VIEW relation_view;
SET plan_cache_mode = force_generic_plan;
PREPARE by_key(text) AS SELECT _offset, value FROM qtopic."Relation.Select" WHERE key = $1;
EXECUTE by_key('2');
SELECT produce('Relation.Select', '2', 'two again');
EXECUTE by_key('2');
SELECT alter_topic('Relation.Select', 2);
SELECT produce('Relation.Select', '2', 'in a new partition', partition => 1);
EXECUTE by_key('2');
SELECT drop_topic('Relation.Select');
EXECUTE by_key('2');
SELECT create_topic('Relation.Select');
SELECT produce('Relation.Select', '2', 'new topic');
EXECUTE by_key('2');
DEALLOCATE by_key;
RESET plan_cache_mode;

-- what cannot be done
UPDATE qtopic.relation_select SET key = '1';
DELETE FROM qtopic.relation_select;
TRUNCATE qtopic.relation_select;
CREATE INDEX ON qtopic.relation_select (key);
SELECT * FROM qtopic.relation_select TABLESAMPLE SYSTEM (1);
ALTER FOREIGN TABLE qtopic.relation_select OPTIONS (topic 'x');
CREATE FOREIGN TABLE public.fake (value text) SERVER qtopic OPTIONS (topic 'relation_select');
-- a foreign table elsewhere, or under another name, is no topic
CREATE FOREIGN TABLE public.relation_select (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER qtopic;
SELECT * FROM public.relation_select;
DROP FOREIGN TABLE public.relation_select;
CREATE FOREIGN TABLE qtopic.relation_select_no_topic (value text) SERVER qtopic;
SELECT * FROM qtopic.relation_select_no_topic;
DROP FOREIGN TABLE qtopic.relation_select_no_topic;

-- columns that were changed behind qtopic
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.relation_select ADD COLUMN extra text;
SELECT * FROM qtopic.relation_select;
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.relation_select ALTER COLUMN _partition TYPE text;
SELECT count(*) FROM qtopic.relation_select;
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.relation_select DROP COLUMN headers;
SELECT count(*) FROM qtopic.relation_select;
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.relation_select DROP COLUMN headers;
SELECT count(*) FROM fetch_records('relation_select', 0, 0);
ROLLBACK;
SELECT count(*) FROM qtopic.relation_select;

SELECT drop_topic('relation_select');
SELECT drop_topic('Relation.Select');
