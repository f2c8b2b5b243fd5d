--
-- A topic's relation is nobody's child, partition or parent: else it would show
-- other rows than the topic's, or change with another table, or be dropped as a
-- part of one.  Nor can the server or the foreign data wrapper be renamed, by which
-- the relations of topics are known.
--
SET client_min_messages = warning;
SELECT create_topic('rfam'), create_topic('rfam_other');
INSERT INTO qtopic.rfam (key, value) VALUES ('k', 'of the topic');

-- what happened, without the words; what was done is undone
CREATE FUNCTION rfam_try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000';
EXCEPTION
	WHEN SQLSTATE 'ZZ000' THEN RETURN 'DONE';
	WHEN feature_not_supported OR object_not_in_prerequisite_state OR wrong_object_type THEN RETURN 'refused';
END $$;
CREATE TABLE rfam_partitioned (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) PARTITION BY LIST (_partition);
CREATE TABLE rfam_plain (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb);
SELECT statement, rfam_try(statement) FROM unnest(ARRAY[
	'ALTER TABLE rfam_partitioned ATTACH PARTITION qtopic.rfam FOR VALUES IN (0)',
	'ALTER TABLE rfam_partitioned ATTACH PARTITION qtopic.rfam DEFAULT',
	'ALTER FOREIGN TABLE qtopic.rfam INHERIT rfam_plain',
	'ALTER FOREIGN TABLE qtopic.rfam INHERIT qtopic.rfam_other',
	'ALTER TABLE rfam_plain INHERIT qtopic.rfam',
	'CREATE TABLE rfam_child () INHERITS (qtopic.rfam)',
	'CREATE TABLE rfam_child (more int) INHERITS (rfam_plain, qtopic.rfam)',
	'CREATE FOREIGN TABLE qtopic.rfam_child () INHERITS (qtopic.rfam) SERVER qtopic',
	'CREATE FOREIGN TABLE qtopic.rfam_child () INHERITS (rfam_plain) SERVER qtopic',
	'CREATE SCHEMA rfam_schema CREATE TABLE rfam_child () INHERITS (qtopic.rfam)',
	'ALTER SERVER qtopic RENAME TO rfam_server',
	'ALTER FOREIGN DATA WRAPPER qtopic RENAME TO rfam_wrapper',
	'ALTER SCHEMA qtopic RENAME TO rfam_schema']) AS statement;
-- but these are as for any relation
SELECT statement, rfam_try(statement) FROM unnest(ARRAY[
	'CREATE TABLE rfam_like (LIKE qtopic.rfam)',
	'CREATE TABLE rfam_child () INHERITS (rfam_plain)',
	'CREATE TABLE rfam_of PARTITION OF rfam_partitioned FOR VALUES IN (0)',
	'CREATE SCHEMA rfam_schema CREATE TABLE rfam_child () INHERITS (public.rfam_plain)',
	'ALTER TABLE rfam_plain ADD COLUMN more int',
	'ALTER SERVER qtopic VERSION ''2''']) AS statement;
SELECT value FROM qtopic.rfam;
-- in words
ALTER TABLE rfam_partitioned ATTACH PARTITION qtopic.rfam DEFAULT;
ALTER FOREIGN DATA WRAPPER qtopic RENAME TO rfam_wrapper;
ALTER SERVER qtopic RENAME TO rfam_server;
DROP FUNCTION rfam_try(text);
DROP TABLE rfam_partitioned, rfam_plain;
SELECT drop_topic('rfam'), drop_topic('rfam_other');
