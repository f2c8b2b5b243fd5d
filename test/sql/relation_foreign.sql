--
-- A topic's relation is its name in schema qtopic and nothing else: no option,
-- server, wrapper or name makes it show other records, and half of a topic is
-- never left.
--
-- Seen to fail: mutants relation_of_any_schema, options_not_refused,
-- drop_leaves_storage.
--
\set SHOW_CONTEXT never
SELECT create_topic('rf_a'), create_topic('rf_b');
INSERT INTO qtopic.rf_a (key, value) VALUES ('k', 'of a');
INSERT INTO qtopic.rf_b (key, value) VALUES ('k', 'of b');

-- options of the relation, its columns, the server, the wrapper, a user
ALTER FOREIGN TABLE qtopic.rf_a OPTIONS (ADD topic 'rf_b');
ALTER FOREIGN TABLE qtopic.rf_a OPTIONS (ADD table_name 'rf_b', schema_name 'qtopic');
ALTER FOREIGN TABLE qtopic.rf_a ALTER COLUMN value OPTIONS (ADD column_name 'key');
ALTER SERVER qtopic OPTIONS (ADD topic 'rf_b');
ALTER FOREIGN DATA WRAPPER qtopic OPTIONS (ADD topic 'rf_b');
CREATE USER MAPPING FOR PUBLIC SERVER qtopic OPTIONS (topic 'rf_b');
CREATE SERVER rf_server FOREIGN DATA WRAPPER qtopic OPTIONS (topic 'rf_b');
IMPORT FOREIGN SCHEMA qtopic FROM SERVER qtopic INTO public;
-- also if nobody looks at the options
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN DATA WRAPPER qtopic NO VALIDATOR;
ALTER FOREIGN DATA WRAPPER qtopic OPTIONS (ADD topic 'rf_b');
ALTER SERVER qtopic OPTIONS (ADD topic 'rf_b');
ALTER FOREIGN TABLE qtopic.rf_a OPTIONS (ADD topic 'rf_b', ADD table_name 'rf_b');
SELECT value FROM qtopic.rf_a;
INSERT INTO qtopic.rf_a (value) VALUES ('more') RETURNING value;
SELECT value FROM qtopic.rf_b;
ROLLBACK;

-- foreign tables that somebody makes: on our server or on another of our
-- wrapper, with the name of a topic, in another schema or beside the topics
CREATE SERVER rf_server FOREIGN DATA WRAPPER qtopic;
CREATE SCHEMA rf_schema;
CREATE FOREIGN TABLE rf_schema.rf_b (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER qtopic;
CREATE FOREIGN TABLE qtopic.rf_c (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER qtopic;
CREATE FOREIGN TABLE rf_schema.rf_a (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER rf_server;
SELECT * FROM rf_schema.rf_b;
SELECT count(*) FROM rf_schema.rf_b;
SELECT max(_offset) FROM qtopic.rf_c;
SELECT * FROM rf_schema.rf_a;
INSERT INTO rf_schema.rf_b (value) VALUES ('x');
INSERT INTO qtopic.rf_c (value) VALUES ('x') RETURNING _offset;
COPY rf_schema.rf_a (value) FROM STDIN;
x
\.
TRUNCATE rf_schema.rf_b;
ANALYZE rf_schema.rf_b;
-- no topic can take that place, and none is dropped with it
SELECT create_topic('rf_c');
DROP FOREIGN TABLE rf_schema.rf_b, rf_schema.rf_a, qtopic.rf_c;
SELECT topic FROM qtopic_topics WHERE topic LIKE 'rf\_%' ORDER BY 1;
-- a search_path does not lead astray
SET search_path = rf_schema, public;
CREATE TABLE rf_schema.rf_b (value text);
SELECT value FROM qtopic.rf_b;
SELECT value FROM fetch_records('rf_b', 0, 0);
RESET search_path;
DROP SCHEMA rf_schema CASCADE;
DROP SERVER rf_server;

-- exchanged behind qtopic's back: no relation is taken for another's
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.rf_a RENAME TO rf_x;
SAVEPOINT s;
SELECT value FROM qtopic.rf_x;
ROLLBACK TO s;
SELECT produce('rf_a', 'x');
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.rf_a RENAME COLUMN key TO k;
SELECT k, value FROM qtopic.rf_a;
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.rf_a SET SCHEMA public;
SELECT value FROM public.rf_a;
ROLLBACK;
-- two names exchanged: each relation shows the topic that it is now called
BEGIN;
ALTER EVENT TRIGGER qtopic_on_alter DISABLE;
ALTER FOREIGN TABLE qtopic.rf_a RENAME TO rf_x;
ALTER FOREIGN TABLE qtopic.rf_b RENAME TO rf_a;
ALTER FOREIGN TABLE qtopic.rf_x RENAME TO rf_b;
SELECT value FROM qtopic.rf_a;
SELECT value FROM qtopic.rf_b;
ROLLBACK;
-- a plan that was made before a topic of the name was dropped and made anew
PREPARE rf_a AS SELECT value FROM qtopic.rf_a;
SET plan_cache_mode = force_generic_plan;
EXECUTE rf_a;
DROP FOREIGN TABLE qtopic.rf_a;
EXECUTE rf_a;
SELECT create_topic('rf_a');
EXECUTE rf_a;
INSERT INTO qtopic.rf_a (value) VALUES ('of the new a');
EXECUTE rf_a;
DEALLOCATE rf_a;
RESET plan_cache_mode;

-- what belongs to the extension stays
DROP SERVER qtopic CASCADE;
DROP FOREIGN DATA WRAPPER qtopic CASCADE;
DROP SCHEMA qtopic CASCADE;
DROP SCHEMA qtopic_internal CASCADE;
DROP FUNCTION qtopic_internal.fdw_handler() CASCADE;
DROP EVENT TRIGGER qtopic_on_drop;

SELECT drop_topic('rf_a'), drop_topic('rf_b');

-- what there is of topics, against now
CREATE FUNCTION rf_count(OUT topics bigint, OUT relations bigint, OUT partitions bigint, OUT segments bigint, OUT tables bigint, OUT sequences bigint)
LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM qtopic_internal.topics),
		   (SELECT count(*) FROM pg_class WHERE relkind = 'f' AND relnamespace = 'qtopic'::regnamespace),
		   (SELECT count(*) FROM qtopic_internal.partitions),
		   (SELECT count(*) FROM qtopic_internal.segments),
		   (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'qtopic_internal'::regnamespace AND relname ~ '^topic_'),
		   (SELECT count(*) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'qtopic_internal'::regnamespace AND relname ~ '_offset$')
$$;
CREATE TABLE rf_before AS SELECT * FROM rf_count();
CREATE VIEW rf_parts AS
	SELECT n.topics - b.topics AS topics, n.relations - b.relations AS relations, n.partitions - b.partitions AS partitions,
		   n.segments - b.segments AS segments, n.tables - b.tables AS tables, n.sequences - b.sequences AS sequences
	  FROM rf_count() n, rf_before b;

-- names that are not plain identifiers, in all that takes the relation
SELECT create_topic(t) FROM unnest('{Rf.Upper-Case,rf.dots..and-dashes-,select,rf_,9lives}'::text[]) t;
SELECT create_topic(repeat('rf-long.', 10) || 'a'), create_topic(repeat('rf-long.', 10) || 'b');
SELECT topic, relation, length(relname) FROM qtopic_topics JOIN pg_class ON oid = relation WHERE topic ~ '^([Rr]f|select|9lives)' ORDER BY topic COLLATE "C";
INSERT INTO qtopic."Rf.Upper-Case" (key, value) VALUES ('K', 'V') RETURNING _offset;
INSERT INTO qtopic."select" VALUES (0, NULL, NULL, 'k', 'v', NULL);
INSERT INTO qtopic."9lives" (value) SELECT value FROM qtopic."Rf.Upper-Case";
COPY qtopic."rf.dots..and-dashes-" (value) FROM STDIN;
copied
\.
COPY (SELECT value FROM qtopic."rf.dots..and-dashes-") TO STDOUT;
SELECT count(*), max(_offset) FROM qtopic."select" WHERE _partition = 0;
EXPLAIN (COSTS OFF) SELECT s.value FROM qtopic."select" s JOIN qtopic."Rf.Upper-Case" r ON r._offset = s._offset AND r._partition = 0 WHERE s._partition = 0;
SELECT "select".value, "9lives".value FROM qtopic."select", qtopic."9lives";
ANALYZE qtopic."Rf.Upper-Case";
UPDATE qtopic."Rf.Upper-Case" SET value = 'x';
ALTER FOREIGN TABLE qtopic."select" RENAME TO "from";
SELECT value FROM qtopic."from";
SELECT value FROM qtopic."rf.upper-case";
-- the long ones have relations of their own
DO $$
DECLARE
	relation regclass;
	topic text;
BEGIN
	FOR topic, relation IN SELECT t.topic, t.relation FROM qtopic_topics t WHERE t.topic LIKE 'rf-long%' LOOP
		EXECUTE format('INSERT INTO %s (value) VALUES (%L)', relation, 'of ' || right(topic, 1));
	END LOOP;
END $$;
SELECT right(topic, 1) AS topic, value FROM qtopic_topics, LATERAL fetch_records(topic, 0, 0) WHERE topic LIKE 'rf-long%' ORDER BY 1;

-- half a topic is never left: dropped in a session that has not used qtopic, in
-- all ways, and back again with a rollback
SELECT * FROM rf_parts;
\c
SET client_min_messages = warning;
BEGIN;
DROP FOREIGN TABLE qtopic."Rf.Upper-Case", qtopic."9lives";
SELECT * FROM rf_parts;
SAVEPOINT s;
DROP FOREIGN TABLE qtopic.rf_;
SELECT * FROM rf_parts;
ROLLBACK TO s;
SELECT * FROM rf_parts;
SELECT value FROM qtopic."Rf.Upper-Case";
ROLLBACK;
SELECT * FROM rf_parts;
SELECT value FROM qtopic."Rf.Upper-Case";
\c
-- by CASCADE from a view, from a schema that only refers to it, and not without
SET client_min_messages = warning;
CREATE SCHEMA rf_views CREATE VIEW rf_view AS SELECT * FROM qtopic."9lives";
CREATE VIEW rf_views.of_view AS SELECT count(*) FROM rf_views.rf_view;
CREATE MATERIALIZED VIEW rf_views.kept AS SELECT value FROM qtopic."9lives";
DROP FOREIGN TABLE qtopic."9lives";
SELECT drop_topic('9lives');
SELECT * FROM rf_parts;
DROP SCHEMA rf_views CASCADE;
SELECT * FROM rf_parts;
CREATE VIEW rf_view AS SELECT * FROM qtopic."9lives";
\c
SET client_min_messages = warning;
DROP FOREIGN TABLE qtopic."9lives", qtopic."select" CASCADE;
SELECT * FROM rf_parts;
SELECT to_regclass('rf_view');
\c
-- what a role owns: its topics stay, its rights go
SET client_min_messages = warning;
CREATE ROLE regress_qtopic_rf;
GRANT CREATE ON SCHEMA qtopic TO regress_qtopic_rf;
SET ROLE regress_qtopic_rf;
SELECT create_topic('rf_owned');
RESET ROLE;
INSERT INTO qtopic.rf_owned (value) VALUES ('kept');
\c
DROP OWNED BY regress_qtopic_rf CASCADE;
SELECT value FROM qtopic.rf_owned;
SELECT has_table_privilege('regress_qtopic_rf', 'qtopic.rf_owned', 'SELECT') AS may_read;
SELECT * FROM rf_parts;
-- a database's worth, in one statement
\c
DO $$ BEGIN EXECUTE (SELECT 'DROP FOREIGN TABLE ' || string_agg(relation::text, ', ') FROM qtopic_topics WHERE topic ~ '^([Rr]f|select)'); END $$;
SELECT * FROM rf_parts;
-- the names are free again
SELECT create_topic('Rf.Upper-Case');
SELECT count(*) FROM qtopic."Rf.Upper-Case";
SELECT drop_topic('Rf.Upper-Case');
DROP VIEW rf_parts;
DROP TABLE rf_before;
DROP FUNCTION rf_count();
DROP ROLE regress_qtopic_rf;
