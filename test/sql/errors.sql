--
-- Each SQLSTATE that qtopic raises, as a client that branches on it sees it.
-- (53400, 55000 without preloading, and 40001 need a server or a second
-- transaction of their own.)
--
-- Seen to fail: mutants produce_read_only, position_not_checked, and with a
-- cache that keeps it for ever that a relation was missing.
--
SET client_min_messages = error;
SELECT create_topic('errors', 2);
SELECT create_topic('errors_bytea', 1, '{"value.format": "bytea"}');
SELECT create_topic('errors_jsonb', 1, '{"value.format": "jsonb"}');
CREATE ROLE regress_qtopic_errors;
CREATE VIEW errors_view AS SELECT * FROM qtopic.errors_jsonb;
SELECT topic_id, 'topic_' || topic_id || '_p0_0' AS leaf, 'topic_' || topic_id || '_p0_0_key' AS leaf_key,
       'topic_' || topic_id || '_p0_offset' AS sequence, 'topic_' || topic_id + 2 || '_p0_offset' AS sequence2
  FROM qtopic_internal.topics WHERE name = 'errors' \gset
\set VERBOSITY sqlstate

-- 0A000 feature not supported
UPDATE qtopic.errors SET value = 'v';
DELETE FROM qtopic.errors;
TRUNCATE qtopic.errors;
INSERT INTO qtopic.errors (key, value) VALUES ('k', 'v') ON CONFLICT DO NOTHING;
ALTER FOREIGN TABLE qtopic.errors ADD COLUMN extra text;

-- QT001 offset out of range
SELECT * FROM fetch_records('errors', 0, 1);
SELECT * FROM fetch_records('errors', 0, -1);
SELECT * FROM fetch_records_bytea('errors', 0, 1);
SELECT delete_records('errors', 0, 1);
SELECT delete_records('errors', 0, -2);

BEGIN;
DROP TABLE qtopic_internal.:leaf;
SELECT * FROM fetch_records('errors', 0, 0);
ROLLBACK;
SELECT * FROM fetch_records('errors', 0, 0);

-- 22004 null value not allowed
SELECT create_topic(NULL);
SELECT create_topic('errors_none', NULL);
SELECT alter_topic(NULL, 2);
SELECT drop_topic(NULL);
SELECT delete_records('errors', 0, NULL);
SELECT produce(NULL, 'v');
SELECT produce_batch('errors', NULL);
SELECT * FROM fetch_records(NULL, 0, 0);
SELECT * FROM fetch_records('errors', 0, 0, NULL);
SELECT offset_for_time('errors', NULL, now());
SELECT * FROM partition_offsets(NULL);

-- 22008 datetime value out of range
SELECT produce('errors', NULL, 'v', record_time => 'infinity');

-- 22021 character not in repertoire
SELECT produce('errors', 'k', '\xff'::bytea, partition => 1) IS NOT NULL AS ok;
SELECT * FROM fetch_records('errors', 1, 0);
SELECT * FROM qtopic.errors;
SELECT produce('errors_jsonb', '\xff'::bytea);

-- 22023 invalid parameter value
SELECT create_topic('');
SELECT create_topic('.');
SELECT create_topic('not a topic');
SELECT create_topic(repeat('a', 250));
SELECT create_topic('errors_none', 0);
SELECT create_topic('errors_none', 1001);
SELECT create_topic('errors_none', 1, '{"retension.ms": 1}');
SELECT create_topic('errors_none', 1, '{"retention.ms": "x"}');
SELECT create_topic('errors_none', 1, '[]');
SELECT alter_topic('errors', 0);
SELECT alter_topic('errors', 1);
SELECT alter_topic('errors', 1003);
SELECT alter_topic('errors', 10001);
SELECT alter_topic('errors', config => '{"value.format": "bytea"}');
SELECT produce('errors', 'k', 'v', partition => 2);
SELECT produce('errors', 'k', 'v', partition => -1);
SELECT produce('errors', 'k', 'v', '"headers"');
SELECT produce('errors', 'k', 'v', record_time => clock_timestamp() + interval '1 day');
SELECT produce_batch('errors', ARRAY['k'], ARRAY['v', 'w']);
SELECT * FROM fetch_records('errors', 2, 0);
SELECT * FROM fetch_records('errors', 0, 0, 0);
SELECT * FROM fetch_records('errors', 0, 0, max_wait => '-1 s');
SELECT offset_for_time('errors', 2, now());
SET qtopic.produce_mode = 'sometimes';

-- 22P02 invalid text representation, 22P05 untranslatable character: as jsonb has them
SELECT produce('errors_jsonb', 'text');
SELECT produce('errors_jsonb', '{"a": "\u0000"}');

-- 25006 read only transaction
BEGIN READ ONLY;
SELECT produce('errors', 'v');
ROLLBACK;
BEGIN READ ONLY;
SELECT create_topic('errors_none');
ROLLBACK;

-- 2202E array subscript error
SELECT produce_batch('errors', ARRAY[['a'], ['b']]);

-- 2BP01 dependent objects still exist
SELECT drop_topic('errors_jsonb');

-- 42501 insufficient privilege
SET ROLE regress_qtopic_errors;
SELECT create_topic('errors_none');
SELECT alter_topic('errors', 3);
SELECT drop_topic('errors');
SELECT delete_records('errors', 0, 0);
SELECT produce('errors', 'v');
SELECT produce_batch('errors', ARRAY['v']);
SELECT * FROM fetch_records('errors', 0, 0);
SELECT * FROM partition_offsets('errors');
SELECT offset_for_time('errors', 0, now());
SELECT * FROM qtopic.errors;
RESET ROLE;

-- 42704 undefined object
SELECT produce('errors_none', 'v');
SELECT produce_batch('errors_none', ARRAY['v']);
SELECT produce_batch_bytea('errors_none', NULL, ARRAY['v'::bytea]);
SELECT * FROM fetch_records('errors_none', 0, 0);
SELECT * FROM fetch_records_bytea('errors_none', 0, 0);
SELECT * FROM partition_offsets('errors_none');
SELECT offset_for_time('errors_none', 0, now());
SELECT alter_topic('errors_none', 2);
SELECT drop_topic('errors_none');

-- 42710 duplicate object
SELECT create_topic('errors');
CREATE TABLE qtopic.errors_table ();
SELECT create_topic('errors_table');

-- 428C9 generated always
INSERT INTO qtopic.errors (_offset, value) VALUES (0, 'v');

-- 42804 datatype mismatch
SELECT produce('errors', now(), 'v');
SELECT produce('errors_bytea', 'text');
SELECT produce_batch('errors', ARRAY[1]);

-- 54000 program limit exceeded
SELECT alter_topic('errors_bytea', config => '{"max.message.bytes": 200}');
SELECT produce('errors_bytea', decode(repeat('0123456789abcdef', 1000), 'hex')) IS NOT NULL AS compressible;
SELECT produce('errors_bytea', (SELECT string_agg(decode(md5(n::text), 'hex'), '') FROM generate_series(1, 10) AS n));
SET qtopic.deferred_buffer_size = 64;
BEGIN;
SELECT _offset FROM produce('errors', 'k', 'outer', deferred => true);
SAVEPOINT s;
SELECT count(p) FROM generate_series(1, 20) AS n, LATERAL produce('errors', 'k', n || repeat('x', 100000), deferred => true) AS p;
ROLLBACK;
RESET qtopic.deferred_buffer_size;

-- 55000 object not in prerequisite state: the relation, an index or storage is
-- not as it was made; with the rollback all is well again
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.errors;
SELECT produce('errors', 'v');
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.errors;
SELECT * FROM partition_offsets('errors');
ROLLBACK;
SELECT produce('errors', 'k', 'v', partition => 1) IS NOT NULL AS there_again;
BEGIN;
CREATE UNIQUE INDEX ON qtopic_internal.:leaf (last_offset);
SELECT produce('errors', 'k', 'v', partition => 0);
ROLLBACK;
BEGIN;
DROP INDEX qtopic_internal.:leaf_key;
SELECT * FROM fetch_records('errors', 0, 0);
ROLLBACK;
SELECT * FROM fetch_records('errors', 0, 0);
BEGIN;
DROP SEQUENCE qtopic_internal.:sequence;
SELECT alter_topic('errors', config => '{}');
SELECT produce('errors', 'k', 'v', partition => 0);
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.errors ADD COLUMN extra text;
SELECT * FROM qtopic.errors;
ROLLBACK;

-- 2200H no offsets left
BEGIN;
SELECT setval('qtopic_internal.' || :'sequence2', 9223372036854775806);
SELECT count(p) FROM generate_series(1, 3) AS n, LATERAL produce('errors_jsonb', '1', n::text) AS p;
ROLLBACK;

-- HV00D invalid option name, HV00R table not found
ALTER FOREIGN TABLE qtopic.errors OPTIONS (topic 'x');
ALTER SERVER qtopic OPTIONS (host 'x');
ALTER FOREIGN DATA WRAPPER qtopic OPTIONS (debug 'true');
CREATE FOREIGN TABLE errors_foreign (value text) SERVER qtopic;
SELECT * FROM errors_foreign;
DROP FOREIGN TABLE errors_foreign;

-- XX001 data corrupted
INSERT INTO qtopic_internal.topic_:topic_id VALUES (0, 0, 0, '\x00');
SELECT * FROM fetch_records('errors', 0, 0);
SELECT * FROM fetch_records_bytea('errors', 0, 0);
SELECT count(*) FROM qtopic.errors;

\set VERBOSITY default
DROP VIEW errors_view;
DROP TABLE qtopic.errors_table;
DROP ROLE regress_qtopic_errors;
SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'errors%' ORDER BY topic;
