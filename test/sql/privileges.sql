--
-- Rights: who may do what, what is said to those who may not, and that nobody
-- gets at the storage.
--
-- Seen to fail: mutants right_to_create_not_checked, right_to_read_not_checked,
-- right_to_produce_not_checked, creator_not_checked, acl_left_by_create,
-- acl_left_by_alter, states_without_right, views_show_all,
-- views_without_barrier, relation_of_any_kind, search_path_of_caller.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE regress_qtopic_creator;
CREATE ROLE regress_qtopic_member IN ROLE regress_qtopic_creator;
CREATE ROLE regress_qtopic_app;
CREATE ROLE "regress_qtopic ""odd"" Role";
GRANT CREATE ON SCHEMA public TO regress_qtopic_creator;

-- who may create topics
SET ROLE regress_qtopic_creator;
SELECT create_topic('privileges');
RESET ROLE;
GRANT CREATE ON SCHEMA qtopic TO regress_qtopic_creator;
SET ROLE "regress_qtopic ""odd"" Role";
SELECT create_topic('privileges_odd');
RESET ROLE;
SET ROLE regress_qtopic_creator;
SELECT create_topic('privileges', 2);
SELECT topic, relation, creator FROM qtopic_topics;
-- a member of the creator's role creates in its own name
SET ROLE regress_qtopic_member;
SELECT create_topic('privileges_member');
SELECT topic, creator FROM qtopic_topics ORDER BY topic;
RESET ROLE;

-- the creator's rights; it does not own the relation
SELECT relname, pg_get_userbyid(relowner) = current_user AS mine, replace(array_to_string(relacl, ' '), current_user, 'owner') AS acl
  FROM pg_class WHERE relnamespace = 'qtopic'::regnamespace AND relname LIKE 'privileges%' ORDER BY 1;
SET ROLE regress_qtopic_creator;
SELECT produce('privileges', 'k', 'v', partition => 0);
SELECT value FROM qtopic.privileges;
DROP FOREIGN TABLE qtopic.privileges;
ALTER FOREIGN TABLE qtopic.privileges ADD COLUMN x int;
ALTER FOREIGN TABLE qtopic.privileges RENAME TO mine;
RESET ROLE;

-- without rights
SET ROLE regress_qtopic_app;
SELECT produce('privileges', 'v');
SELECT produce('privileges', 'k', 'v');
SELECT produce('privileges', 'k', 'v', deferred => true);
SELECT produce('privileges', 'k', '{}'::jsonb);
SELECT produce('privileges', 'k', '{}'::json);
SELECT produce('privileges', 'k', ''::bytea);
SELECT produce_batch('privileges', ARRAY['v']);
SELECT produce_batch('privileges', ARRAY[]::text[]);
SELECT produce_batch('privileges', NULL, ARRAY['v']);
SELECT produce_batch_bytea('privileges', NULL, ARRAY['v'::bytea]);
SELECT * FROM fetch_records('privileges', 0, 0);
SELECT * FROM fetch_records_bytea('privileges', 0, 0);
SELECT * FROM partition_offsets('privileges');
SELECT offset_for_time('privileges', 0, now());
SELECT * FROM qtopic.privileges;
SELECT alter_topic('privileges', 3);
SELECT alter_topic('privileges', config => '{"retention.ms": 1}');
SELECT drop_topic('privileges');
SELECT drop_topic('privileges', if_exists => true);
-- whether a partition is there, or an offset, is not told either
SELECT * FROM fetch_records('privileges', 99, 0);
SELECT * FROM fetch_records('privileges', 0, 99);
SELECT produce('privileges', 'k', 'v', partition => 99);
SELECT count(*) FROM qtopic_topics;
SELECT count(*) FROM qtopic_partitions;
RESET ROLE;

-- the creator grants, the app uses, one right at a time
SET ROLE regress_qtopic_creator;
GRANT INSERT ON qtopic.privileges TO regress_qtopic_app;
SET ROLE regress_qtopic_app;
SELECT _offset FROM produce('privileges', 'k', 'from app', partition => 0);
SELECT base_offset FROM produce_batch('privileges', ARRAY['k'], ARRAY['from app'], partition => 0);
SELECT * FROM fetch_records('privileges', 0, 0);
SELECT * FROM partition_offsets('privileges');
SELECT value FROM qtopic.privileges;
SELECT topic FROM qtopic_topics;
SELECT topic, partition FROM qtopic_partitions;
SET ROLE regress_qtopic_creator;
REVOKE INSERT ON qtopic.privileges FROM regress_qtopic_app;
GRANT SELECT ON qtopic.privileges TO regress_qtopic_app;
SET ROLE regress_qtopic_app;
SELECT produce('privileges', 'v');
SELECT value FROM fetch_records('privileges', 0, 0);
SELECT _partition, last_stable_offset FROM partition_offsets('privileges') ORDER BY 1;
SELECT offset_for_time('privileges', 0, '2020-01-01');
SELECT value FROM qtopic.privileges;
SELECT topic FROM qtopic_topics;
SELECT topic, partition FROM qtopic_partitions ORDER BY 2;
GRANT SELECT ON qtopic.privileges TO "regress_qtopic ""odd"" Role";
-- a right that is taken away is gone at once, also for a prepared statement
SET plan_cache_mode = force_generic_plan;
PREPARE read_all AS SELECT count(*) FROM qtopic.privileges;
PREPARE fetch_all AS SELECT count(*) FROM fetch_records('privileges', 0, 0);
EXECUTE read_all;
EXECUTE fetch_all;
SET ROLE regress_qtopic_creator;
REVOKE SELECT ON qtopic.privileges FROM regress_qtopic_app;
SET ROLE regress_qtopic_app;
EXECUTE read_all;
EXECUTE fetch_all;
SELECT count(*) FROM qtopic_topics;
RESET ROLE;
DEALLOCATE ALL;
RESET plan_cache_mode;
-- rights on columns are not rights on the topic's functions
GRANT SELECT (key), INSERT (value) ON qtopic.privileges TO regress_qtopic_app;
SET ROLE regress_qtopic_app;
SELECT produce('privileges', 'v');
SELECT * FROM fetch_records('privileges', 0, 0);
SELECT key FROM qtopic.privileges;
SELECT value FROM qtopic.privileges;
RESET ROLE;
REVOKE ALL (key, value) ON qtopic.privileges FROM regress_qtopic_app;
-- names that need quotes are quoted in the hints
SET ROLE "regress_qtopic ""odd"" Role";
SELECT produce('privileges', 'v');
RESET ROLE;

-- alter and drop: the creator, members of that role, superusers
SET ROLE regress_qtopic_member;
SELECT alter_topic('privileges', 3);
SET ROLE regress_qtopic_creator;
SELECT alter_topic('privileges', config => '{"segment.ms": 3600000}');
SELECT drop_topic('privileges_member');
RESET ROLE;
ALTER ROLE regress_qtopic_member NOINHERIT;
SET ROLE regress_qtopic_member;
SELECT alter_topic('privileges', 4);
SELECT drop_topic('privileges');
RESET ROLE;
ALTER ROLE regress_qtopic_member INHERIT;
SELECT alter_topic('privileges', 4);
SELECT partitions, config, creator FROM qtopic_topics WHERE topic = 'privileges';

-- SECURITY DEFINER: the rights are those of the function's owner
SET ROLE regress_qtopic_creator;
CREATE FUNCTION produce_for_all(value text) RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public
    AS $$SELECT _offset FROM produce('privileges', 'k', value, partition => 0)$$;
CREATE FUNCTION create_for_all() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public
    AS $$SELECT create_topic('privileges_definer')$$;
SET ROLE regress_qtopic_app;
SELECT produce_for_all('through a function');
SELECT create_for_all();
SELECT drop_topic('privileges_definer');
RESET ROLE;
SELECT topic, creator FROM qtopic_topics WHERE topic = 'privileges_definer';
-- a view, too
SET ROLE regress_qtopic_creator;
CREATE VIEW values_for_all AS SELECT value FROM qtopic.privileges;
GRANT SELECT ON values_for_all TO regress_qtopic_app;
SET ROLE regress_qtopic_app;
SELECT count(*) FROM values_for_all;
RESET ROLE;
DROP VIEW values_for_all;
DROP FUNCTION produce_for_all(text);
DROP FUNCTION create_for_all();

-- the storage and the catalog are nobody's
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'privileges' \gset
SET ROLE regress_qtopic_creator;
SELECT * FROM qtopic_internal.topics;
SELECT qtopic_internal.murmur2('a');
SELECT * FROM qtopic_internal.partition_states('privileges');
RESET ROLE;
-- even if somebody opens the schema (names of the storage have numbers)
\set VERBOSITY sqlstate
GRANT USAGE ON SCHEMA qtopic_internal TO regress_qtopic_app, regress_qtopic_creator;
SET ROLE regress_qtopic_creator;
SELECT * FROM qtopic_internal.topics;
SELECT * FROM qtopic_internal.partitions;
SELECT * FROM qtopic_internal.segments;
SELECT nextval('qtopic_internal.topic_id_seq');
SELECT * FROM qtopic_internal.topic_:topic_id;
INSERT INTO qtopic_internal.topic_:topic_id VALUES (0, 0, 0, '');
SELECT 'topic_' || :topic_id || '_p0_0' AS leaf, 'topic_' || :topic_id || '_p0_offset' AS sequence \gset
INSERT INTO qtopic_internal.:leaf VALUES (0, 0, 0, '');
UPDATE qtopic_internal.:leaf SET batch = '';
DELETE FROM qtopic_internal.:leaf;
TRUNCATE qtopic_internal.:leaf;
BEGIN;
LOCK qtopic_internal.:leaf;
ROLLBACK;
COPY qtopic_internal.:leaf FROM STDIN;
\.
SELECT nextval('qtopic_internal.' || :'sequence');
SELECT setval('qtopic_internal.' || :'sequence', 0);
SELECT last_value FROM qtopic_internal.:sequence;
SELECT qtopic_internal.murmur2('a');
SELECT qtopic_internal.crc32('a');
SELECT qtopic_internal.partition_for_key('murmur2', 'a', 1);
SELECT qtopic_internal.record_batch_decode('a');
SELECT qtopic_internal.record_batch_header('a');
SELECT qtopic_internal.record_batch_encode('none', NULL, NULL, NULL);
\set VERBOSITY default
-- what everybody may execute shows nothing that one may not read
SELECT partition, next_offset FROM qtopic_internal.partition_states('privileges') ORDER BY 1;
SET ROLE regress_qtopic_app;
SELECT * FROM qtopic_internal.partition_states('privileges');
SELECT * FROM qtopic_internal.partition_states('no_such_topic');
RESET ROLE;
SELECT p.oid::regprocedure FROM pg_proc AS p, aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a
 WHERE pronamespace = 'qtopic_internal'::regnamespace AND a.grantee = 0 ORDER BY p.proname COLLATE "C";
SELECT qtopic_internal.on_drop();
REVOKE USAGE ON SCHEMA qtopic_internal FROM regress_qtopic_app, regress_qtopic_creator;

-- default privileges do not reach the storage: not new tables, not those of
-- partitions that come later, not sequences
CREATE FUNCTION pg_temp.storage_rights(name text) RETURNS TABLE (objects bigint, with_rights bigint) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner))
      FROM qtopic_internal.topics AS t JOIN pg_class AS c ON c.relname ~ ('^topic_' || t.topic_id || '(_p|$)')
     WHERE t.name = $1 AND c.relkind IN ('r', 'p', 'S')
$$;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, regress_qtopic_app, "regress_qtopic ""odd"" Role";
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, regress_qtopic_app;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_qtopic_member WITH GRANT OPTION;
SELECT create_topic('privileges_default', 2);
SELECT * FROM pg_temp.storage_rights('privileges_default');
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC, regress_qtopic_app, regress_qtopic_member, "regress_qtopic ""odd"" Role";
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM PUBLIC, regress_qtopic_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic_internal GRANT ALL ON TABLES TO PUBLIC, "regress_qtopic ""odd"" Role";
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic_internal GRANT ALL ON SEQUENCES TO PUBLIC, regress_qtopic_app;
SELECT alter_topic('privileges_default', 4);
SELECT * FROM pg_temp.storage_rights('privileges_default');
SET ROLE regress_qtopic_creator;
SELECT create_topic('privileges_default_2', 12);
RESET ROLE;
SELECT * FROM pg_temp.storage_rights('privileges_default_2');
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic_internal REVOKE ALL ON TABLES FROM PUBLIC, "regress_qtopic ""odd"" Role";
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic_internal REVOKE ALL ON SEQUENCES FROM PUBLIC, regress_qtopic_app;
SELECT drop_topic('privileges_default');

-- (the relation is for users: there they hold)
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic GRANT SELECT ON TABLES TO regress_qtopic_app;
SELECT create_topic('privileges_default');
SELECT has_table_privilege('regress_qtopic_app', 'qtopic.privileges_default', 'SELECT') AS may_read,
       has_table_privilege('regress_qtopic_app', 'qtopic.privileges_default', 'INSERT') AS may_produce;
ALTER DEFAULT PRIVILEGES IN SCHEMA qtopic REVOKE SELECT ON TABLES FROM regress_qtopic_app;
SELECT drop_topic('privileges_default');

-- the views: one's own topics, and a function in the query sees no others
SET ROLE regress_qtopic_creator;
CREATE FUNCTION public.peep(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$BEGIN RAISE WARNING 'seen: %', $1; RETURN true; END$$;
SET ROLE regress_qtopic_app;
SELECT topic FROM qtopic_topics WHERE peep(topic);
SELECT topic FROM qtopic_partitions WHERE peep(topic);
SET ROLE regress_qtopic_creator;
SELECT topic FROM qtopic_topics ORDER BY topic;
SELECT topic, partition FROM qtopic_partitions WHERE topic <> 'privileges_default_2' ORDER BY 1, 2;
DROP FUNCTION public.peep(text);
-- who only administers sees the topic, but not how much is in it
SELECT drop_topic('privileges_default_2');
RESET ROLE;
REVOKE ALL ON qtopic.privileges FROM regress_qtopic_creator CASCADE;
SET ROLE regress_qtopic_creator;
SELECT topic FROM qtopic_topics ORDER BY topic;
SELECT topic, partition FROM qtopic_partitions WHERE topic = 'privileges';
SELECT produce('privileges', 'v');
SELECT alter_topic('privileges', config => '{"segment.ms": null}');
RESET ROLE;

-- a relation that somebody puts in the place of a topic's grants nothing
GRANT CREATE ON SCHEMA qtopic TO regress_qtopic_app;
CREATE FOREIGN DATA WRAPPER privileges_wrapper;
CREATE SERVER privileges_server FOREIGN DATA WRAPPER privileges_wrapper;
GRANT USAGE ON FOREIGN SERVER privileges_server TO regress_qtopic_app;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.privileges;
SET LOCAL ROLE regress_qtopic_app;
CREATE TABLE qtopic.privileges (key text, value text);
SAVEPOINT s;
SELECT produce('privileges', 'v');
ROLLBACK TO s;
SELECT value FROM fetch_records('privileges', 0, 0);
ROLLBACK TO s;
SELECT count(*) FROM qtopic_topics;
SELECT count(*) FROM qtopic_partitions;
SELECT drop_topic('privileges');
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.privileges;
SET LOCAL ROLE regress_qtopic_app;
CREATE FOREIGN TABLE qtopic.privileges (key text, value text) SERVER privileges_server;
SAVEPOINT s;
SELECT produce('privileges', 'v');
ROLLBACK TO s;
SELECT value FROM fetch_records('privileges', 0, 0);
ROLLBACK TO s;
SELECT count(*) FROM qtopic_topics;
SELECT count(*) FROM qtopic_partitions;
ROLLBACK;
-- not even with the server of the topics
GRANT USAGE ON FOREIGN SERVER qtopic TO regress_qtopic_app;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.privileges;
SET LOCAL ROLE regress_qtopic_app;
CREATE FOREIGN TABLE qtopic.privileges (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER qtopic;
SAVEPOINT s;
SELECT produce('privileges', 'v');
ROLLBACK TO s;
SELECT value FROM fetch_records('privileges', 0, 0);
ROLLBACK TO s;
SELECT value FROM qtopic.privileges;
ROLLBACK TO s;
SELECT count(*) FROM qtopic_topics;
ROLLBACK;
GRANT CREATE ON SCHEMA public TO regress_qtopic_app;
SET ROLE regress_qtopic_app;
CREATE FOREIGN TABLE public.privileges (_partition int, _offset bigint, _timestamp timestamptz, key text, value text, headers jsonb) SERVER qtopic;
SELECT * FROM public.privileges;
DROP FOREIGN TABLE public.privileges;
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER qtopic FROM regress_qtopic_app;
DROP SERVER privileges_server CASCADE;
DROP FOREIGN DATA WRAPPER privileges_wrapper;

-- nobody's search_path is searched: what a user puts there would run as the
-- extension's owner
CREATE SCHEMA privileges_evil AUTHORIZATION regress_qtopic_creator;
SET ROLE regress_qtopic_creator;
CREATE FUNCTION privileges_evil.caught(what text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'caught: % as %', what, current_user; RETURN true; END$$;
CREATE FUNCTION privileges_evil.text_eq(text, text) RETURNS boolean LANGUAGE sql AS $$SELECT privileges_evil.caught('=')$$;
CREATE FUNCTION privileges_evil.name_eq(name, text) RETURNS boolean LANGUAGE sql AS $$SELECT privileges_evil.caught('= of names')$$;
CREATE FUNCTION privileges_evil.int_eq(int, int) RETURNS boolean LANGUAGE sql AS $$SELECT privileges_evil.caught('= of integers')$$;
CREATE FUNCTION privileges_evil.name_like(name, text) RETURNS boolean LANGUAGE sql AS $$SELECT privileges_evil.caught('~~')$$;
CREATE FUNCTION privileges_evil.text_cat(text, int) RETURNS text LANGUAGE sql AS $$SELECT privileges_evil.caught('||')::text$$;
CREATE OPERATOR privileges_evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = privileges_evil.text_eq);
CREATE OPERATOR privileges_evil.= (LEFTARG = name, RIGHTARG = text, FUNCTION = privileges_evil.name_eq);
CREATE OPERATOR privileges_evil.= (LEFTARG = int, RIGHTARG = int, FUNCTION = privileges_evil.int_eq);
CREATE OPERATOR privileges_evil.~~ (LEFTARG = name, RIGHTARG = text, FUNCTION = privileges_evil.name_like);
CREATE OPERATOR privileges_evil.|| (LEFTARG = text, RIGHTARG = int, FUNCTION = privileges_evil.text_cat);
CREATE FUNCTION privileges_evil.nextval(regclass) RETURNS bigint LANGUAGE sql AS $$SELECT privileges_evil.caught('nextval')::int::bigint$$;
CREATE FUNCTION privileges_evil.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$SELECT now() WHERE privileges_evil.caught('clock_timestamp')$$;
CREATE FUNCTION privileges_evil.generate_series(int, int) RETURNS SETOF int LANGUAGE sql AS $$SELECT 0 WHERE privileges_evil.caught('generate_series')$$;
CREATE DOMAIN privileges_evil.bytea AS text CHECK (privileges_evil.caught('bytea'));
CREATE TABLE privileges_evil.topics (name text);
CREATE TEMP TABLE pg_class (relname name, relacl aclitem[], relkind "char", relowner oid, relnamespace oid);
CREATE TEMP TABLE pg_namespace (oid oid, nspname name);
CREATE TEMP TABLE topics (name text);
CREATE FUNCTION pg_temp.generate_series(int, int) RETURNS SETOF int LANGUAGE sql AS $$SELECT 0 WHERE privileges_evil.caught('generate_series')$$;
SET search_path = privileges_evil, pg_temp, pg_catalog, public;
SELECT 'a'::text = 'b' AS the_trap_works;
SELECT create_topic('privileges_search_path', 2);
SELECT alter_topic('privileges_search_path', 3, '{"segment.ms": 3600000}');
SELECT _offset FROM produce('privileges_search_path', 'k', '{}');
SELECT value FROM fetch_records('privileges_search_path', 2, 0);
SELECT drop_topic('privileges_search_path');
RESET search_path;
DROP TABLE pg_temp.pg_class, pg_temp.pg_namespace, pg_temp.topics;
DROP FUNCTION pg_temp.generate_series(int, int);
RESET ROLE;
DROP SCHEMA privileges_evil CASCADE;

-- a creator that is no more
SET ROLE regress_qtopic_creator;
SELECT create_topic('privileges_left_behind');
SELECT produce('privileges_left_behind', 'v');
RESET ROLE;
DROP ROLE regress_qtopic_creator;
DROP OWNED BY regress_qtopic_creator;
DROP ROLE regress_qtopic_creator;
SELECT topic, creator ~ '^unknown' AS unknown FROM qtopic_topics WHERE topic = 'privileges_left_behind';
SET ROLE regress_qtopic_member;
SELECT drop_topic('privileges_left_behind');
SELECT count(*) FROM qtopic_topics;
RESET ROLE;
SELECT value FROM qtopic.privileges_left_behind;

SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'privileges%' ORDER BY topic;
DROP OWNED BY regress_qtopic_app, regress_qtopic_member, "regress_qtopic ""odd"" Role";
DROP ROLE regress_qtopic_app, regress_qtopic_member, "regress_qtopic ""odd"" Role";
