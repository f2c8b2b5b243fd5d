--
-- create_topic, alter_topic and drop_topic: what they make, what they refuse
-- and what they say about it.
--
-- Seen to fail: mutants relation_name_hash, drop_leaves_storage,
-- create_keeps_access_method, create_read_only.
--
\set SHOW_CONTEXT never

-- what is stored under a topic's name: relations, indexes and sequences
CREATE FUNCTION pg_temp.storage_of(name text) RETURNS TABLE (kind "char", count bigint)
LANGUAGE sql AS $$
    SELECT c.relkind, count(*)
      FROM qtopic_internal.topics AS t
      JOIN pg_class AS c ON c.relname ~ ('^topic_' || t.topic_id || '(_p|$)')
     WHERE t.name = $1 AND c.relnamespace = 'qtopic_internal'::regnamespace
     GROUP BY c.relkind ORDER BY c.relkind
$$;

-- the topics of this test
CREATE TEMP VIEW my_topics AS
SELECT * FROM qtopic_topics WHERE topic ~* '^topic.ddl' OR topic IN ('...', '-', '0', 'select');

-- what a topic is
SELECT create_topic('topic_ddl');
SELECT topic, partitions, key_format, value_format, config, relation,
       creator = current_user AS mine, created <= clock_timestamp() AS in_the_past
  FROM qtopic_topics WHERE topic = 'topic_ddl';
SELECT * FROM partition_offsets('topic_ddl');
SELECT * FROM pg_temp.storage_of('topic_ddl');
\d qtopic.topic_ddl
SELECT * FROM qtopic.topic_ddl;

-- names: Kafka's rules
SELECT create_topic('');
SELECT create_topic('.');
SELECT create_topic('..');
SELECT create_topic('topic ddl');
SELECT create_topic(E'topic_ddl\n');
SELECT create_topic('"topic_ddl"');
SELECT create_topic('qtopic/topic_ddl');
SELECT create_topic('topic_ddl_grün');
SELECT create_topic('ärger');
SELECT create_topic(repeat('a', 250));
SELECT create_topic(repeat('ä', 124) || 'ab');
SELECT create_topic('topic_ddl');
SELECT create_topic('topic_ddl', 3, '{"value.format": "jsonb"}');
SELECT topic, partitions, value_format FROM my_topics ORDER BY topic;
SELECT count(*) FROM qtopic_topics WHERE topic ~ '^a+$';

-- names that are odd, but legal; the relation needs quotes
SELECT create_topic(topic) FROM unnest(ARRAY['...', '-', '0', 'Topic_DDL', 'TOPIC_DDL', 'topic.ddl', 'topic-ddl', 'select']) AS topic;
SELECT topic, relation FROM my_topics ORDER BY topic COLLATE "C";
SELECT _partition, _offset FROM produce('Topic_DDL', 'upper');
SELECT _partition, _offset FROM produce('topic_ddl', 'lower');
SELECT value FROM qtopic."Topic_DDL";
SELECT value FROM qtopic.topic_ddl;
SELECT value FROM qtopic."TOPIC_DDL";
SELECT value FROM qtopic."...";
SELECT value FROM fetch_records('Topic_DDL', 0, 0);
SELECT drop_topic(topic) FROM unnest(ARRAY['...', '-', '0', 'Topic_DDL', 'TOPIC_DDL', 'topic.ddl', 'topic-ddl', 'select']) AS topic;
SELECT topic, relation FROM my_topics ORDER BY topic COLLATE "C";

-- names past 63 bytes: the relation's is cut and gets a hash of the whole
SELECT create_topic('topic_ddl_' || repeat('x', 53));
SELECT create_topic('topic_ddl_' || repeat('x', 54));
SELECT create_topic('topic_ddl_' || repeat('x', 200) || tail) FROM unnest(ARRAY['', 'a', 'b']) AS tail;
SELECT create_topic('topic_ddl_' || repeat('X', 239));
SELECT length(topic), right(topic, 2) AS tail, relation, length(relation) FROM my_topics
 WHERE topic <> 'topic_ddl' ORDER BY topic COLLATE "C";
SELECT produce('topic_ddl_' || repeat('x', 200) || tail, 'value of ' || tail) FROM unnest(ARRAY['a', 'b']) AS tail;
SELECT relation FROM qtopic_topics WHERE topic LIKE '%xxxxb' \gset
SELECT value FROM :relation;
SELECT value FROM fetch_records('topic_ddl_' || repeat('x', 200) || 'a', 0, 0);
-- a topic named like the relation of another one
SELECT create_topic(substr(:'relation', length('qtopic.') + 1));
SELECT value FROM fetch_records(substr(:'relation', length('qtopic.') + 1), 0, 0);
SELECT drop_topic(topic) FROM my_topics WHERE topic <> 'topic_ddl' ORDER BY topic COLLATE "C";

-- numbers of partitions
SELECT create_topic('topic_ddl_none', 0);
SELECT create_topic('topic_ddl_none', -1);
SELECT create_topic('topic_ddl_none', 1001);
SELECT create_topic('topic_ddl_none', 2147483647);
SELECT create_topic('topic_ddl_none', NULL);
SELECT alter_topic('topic_ddl', 0);
SELECT alter_topic('topic_ddl', -1);
SELECT alter_topic('topic_ddl', 1002);
SELECT alter_topic('topic_ddl', 10001);

-- partitions are added, never taken away; the records stay where they are
SELECT alter_topic('topic_ddl', 3);
SELECT * FROM partition_offsets('topic_ddl') ORDER BY 1;
SELECT * FROM pg_temp.storage_of('topic_ddl');
SELECT alter_topic('topic_ddl', 3);
SELECT alter_topic('topic_ddl', 2);
SELECT _partition, _offset FROM produce('topic_ddl', 'k', 'v', partition => 2);
SELECT _partition, _offset, value FROM qtopic.topic_ddl;

-- partitions and configuration in one call: all or nothing
SELECT alter_topic('topic_ddl', 5, '{"retention.ms": "x"}');
SELECT alter_topic('topic_ddl', 2, '{"retention.ms": 1}');
SELECT partitions, config FROM qtopic_topics WHERE topic = 'topic_ddl';
SELECT alter_topic('topic_ddl', 5, '{"retention.ms": 86400000}');
SELECT alter_topic('topic_ddl', config => '{"retention.ms": null, "segment.ms": 1000}');
SELECT alter_topic('topic_ddl');
SELECT partitions, config FROM qtopic_topics WHERE topic = 'topic_ddl';

-- NULL, and topics that do not exist
SELECT create_topic(NULL);
SELECT create_topic('topic_ddl_null', 1, NULL);
SELECT config FROM qtopic_topics WHERE topic = 'topic_ddl_null';
SELECT alter_topic(NULL);
SELECT alter_topic('topic_ddl', NULL, NULL);
SELECT drop_topic(NULL);
SELECT drop_topic(NULL, true);
SELECT drop_topic('topic_ddl_null', NULL);
SELECT drop_topic('topic_ddl_null', NULL);
SELECT drop_topic('topic_ddl_none');
SELECT drop_topic('topic_ddl_none', false);
SELECT drop_topic('topic_ddl_none', true);
SELECT drop_topic('not a topic', if_exists => true);
SELECT drop_topic(repeat('a', 250), if_exists => true);
SELECT drop_topic(repeat('a', 250));
SELECT alter_topic('topic_ddl_none', 2);
SELECT alter_topic('TOPIC_ddl', 2);

-- a relation that is there already
CREATE TABLE qtopic.topic_ddl_table (key text, value text);
SELECT create_topic('topic_ddl_table');
SELECT count(*) FROM qtopic_topics WHERE topic = 'topic_ddl_table';
DROP TABLE qtopic.topic_ddl_table;
CREATE VIEW qtopic."Topic-ddl" AS SELECT 1;
SELECT create_topic('Topic-ddl');
DROP VIEW qtopic."Topic-ddl";
CREATE TYPE qtopic.topic_ddl_type AS ENUM ('a');
SELECT create_topic('topic_ddl_type');
DROP TYPE qtopic.topic_ddl_type;

-- creation belongs to its transaction, and so does what was produced in it
BEGIN;
SELECT create_topic('topic_ddl_rolled_back', 2);
SELECT _offset FROM produce('topic_ddl_rolled_back', 'v');
SELECT count(*) FROM qtopic_topics WHERE topic = 'topic_ddl_rolled_back';
ROLLBACK;
SELECT count(*) FROM qtopic_topics WHERE topic = 'topic_ddl_rolled_back';
SELECT produce('topic_ddl_rolled_back', 'v');
SELECT relname FROM pg_class WHERE relnamespace = 'qtopic'::regnamespace AND relname ~* '^topic.ddl';
SELECT create_topic('topic_ddl_rolled_back');
SELECT _offset FROM produce('topic_ddl_rolled_back', 'v');
SELECT drop_topic('topic_ddl_rolled_back');

BEGIN;
SELECT create_topic('topic_ddl_kept');
SAVEPOINT before;
SELECT create_topic('topic_ddl_rolled_back');
SELECT alter_topic('topic_ddl_kept', 4);
SELECT _offset FROM produce('topic_ddl_rolled_back', 'v');
SELECT _partition FROM produce('topic_ddl_kept', NULL, 'lost', partition => 3);
ROLLBACK TO before;
SELECT produce('topic_ddl_rolled_back', 'v');
ROLLBACK TO before;
SELECT produce('topic_ddl_kept', NULL, 'v', partition => 3);
ROLLBACK TO before;
SELECT _partition, _offset FROM produce('topic_ddl_kept', 'kept');
COMMIT;
SELECT topic, partitions FROM my_topics ORDER BY topic;
SELECT _partition, value FROM qtopic.topic_ddl_kept;
SELECT * FROM pg_temp.storage_of('topic_ddl_kept');

-- so does alteration
BEGIN;
SELECT alter_topic('topic_ddl_kept', 2, '{"value.format": "text", "max.message.bytes": 10}');
SELECT produce('topic_ddl_kept', 'k', 'too large', partition => 1);
ROLLBACK;
SELECT partitions, config FROM qtopic_topics WHERE topic = 'topic_ddl_kept';
SELECT _partition FROM produce('topic_ddl_kept', 'k', 'not too large');
SELECT _partition, value FROM qtopic.topic_ddl_kept;

-- and removal
BEGIN;
SELECT drop_topic('topic_ddl_kept');
SELECT produce('topic_ddl_kept', 'v');
ROLLBACK;
BEGIN;
SELECT drop_topic('topic_ddl_kept');
SELECT * FROM qtopic.topic_ddl_kept;
ROLLBACK;
BEGIN;
SELECT produce('topic_ddl_kept', 'rolled back');
SELECT drop_topic('topic_ddl_kept');
SELECT create_topic('topic_ddl_kept', 1, '{"value.format": "jsonb"}');
SELECT _partition, _offset FROM produce('topic_ddl_kept', '{"new": true}');
ROLLBACK;
SELECT value FROM qtopic.topic_ddl_kept;
SELECT _partition, last_stable_offset, next_offset FROM partition_offsets('topic_ddl_kept');

-- a topic of the same name is another topic
BEGIN;
SELECT drop_topic('topic_ddl_kept');
SELECT create_topic('topic_ddl_kept', 1, '{"value.format": "jsonb"}');
SELECT produce('topic_ddl_kept', '{"new": true}');
COMMIT;
SELECT _partition, _offset, value FROM qtopic.topic_ddl_kept;

-- what depends on the relation
CREATE VIEW topic_ddl_view AS SELECT value ->> 'new' AS new FROM qtopic.topic_ddl_kept;
SELECT drop_topic('topic_ddl_kept');
SELECT drop_topic('topic_ddl_kept', if_exists => true);
SELECT * FROM topic_ddl_view;
SELECT produce('topic_ddl_kept', '{"new": 2}');
SELECT * FROM topic_ddl_view;
DROP VIEW topic_ddl_view;
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'topic_ddl_kept' \gset
SELECT drop_topic('topic_ddl_kept');
SELECT relname FROM pg_class WHERE relname ~ ('^topic_' || :topic_id || '(_|$)');
SELECT count(*) FROM qtopic_internal.partitions WHERE topic_id = :topic_id;
SELECT count(*) FROM qtopic_internal.segments WHERE topic_id = :topic_id;

-- the relation dropped behind qtopic
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.topic_ddl;
SELECT produce('topic_ddl', 'v');
ROLLBACK;
SELECT _partition, _offset FROM produce('topic_ddl', 'k', 'there again', partition => 2);
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.topic_ddl;
SELECT count(*) FROM my_topics WHERE topic = 'topic_ddl';
SELECT create_topic('topic_ddl');
ROLLBACK;
BEGIN;
ALTER EVENT TRIGGER qtopic_on_drop DISABLE;
DROP FOREIGN TABLE qtopic.topic_ddl;
SELECT alter_topic('topic_ddl', 6);
SELECT drop_topic('topic_ddl');
SELECT * FROM my_topics;
ROLLBACK;

-- what is in use
BEGIN;
DECLARE reading CURSOR FOR SELECT value FROM qtopic.topic_ddl;
FETCH reading;
SELECT drop_topic('topic_ddl');
ROLLBACK;
SELECT drop_topic('topic_ddl') FROM qtopic.topic_ddl;
SELECT drop_topic('topic_ddl') FROM fetch_records('topic_ddl', 0, 0);
SELECT create_topic('topic_ddl', 3);
SELECT _partition, _offset FROM produce('topic_ddl', 'k', 'lower', partition => 0);

-- an error that is caught leaves user and settings as they were
DO $$
BEGIN
    PERFORM create_topic('topic_ddl');
EXCEPTION WHEN duplicate_object THEN
    RAISE NOTICE '%, %, %', SQLERRM, current_user = session_user, current_setting('search_path');
    BEGIN
        PERFORM alter_topic('topic_ddl', 1);
    EXCEPTION WHEN invalid_parameter_value THEN
        RAISE NOTICE '%, %, %', SQLERRM, current_user = session_user, current_setting('search_path');
    END;
    PERFORM alter_topic('topic_ddl', 4);
END
$$;
SELECT partitions FROM qtopic_topics WHERE topic = 'topic_ddl';

-- in a transaction that must not write
BEGIN READ ONLY;
SELECT create_topic('topic_ddl_none');
ROLLBACK;
BEGIN READ ONLY;
SELECT alter_topic('topic_ddl', 6);
ROLLBACK;
BEGIN READ ONLY;
SELECT drop_topic('topic_ddl');
ROLLBACK;

-- settings of the caller do not matter, and stay
CREATE ACCESS METHOD topic_ddl_heap TYPE TABLE HANDLER heap_tableam_handler;
SET default_table_access_method = topic_ddl_heap;
SET search_path = pg_temp;
SET session_replication_role = replica;
SET standard_conforming_strings = off;
SET DateStyle = 'German';
SELECT public.create_topic('topic_ddl_settings', 2);
SELECT public.alter_topic('topic_ddl_settings', 3);
SELECT amname, count(*) FROM qtopic_internal.topics t, pg_class c, pg_am a
 WHERE t.name = 'topic_ddl_settings' AND c.relname ~ ('^topic_' || t.topic_id || '_p') AND a.oid = c.relam GROUP BY 1 ORDER BY 1;
SELECT public.drop_topic('topic_ddl_settings');
SHOW search_path;
SHOW session_replication_role;
RESET default_table_access_method;
DROP ACCESS METHOD topic_ddl_heap;
RESET search_path;
RESET session_replication_role;
RESET standard_conforming_strings;
RESET DateStyle;

-- the most partitions that one call makes
SELECT create_topic('topic_ddl_1000', 1000);
SELECT partitions FROM qtopic_topics WHERE topic = 'topic_ddl_1000';
SELECT * FROM pg_temp.storage_of('topic_ddl_1000');
SELECT _partition, _offset FROM produce('topic_ddl_1000', 'k', 'v', partition => 999);
SELECT _partition, value FROM qtopic.topic_ddl_1000;
SELECT drop_topic('topic_ddl_1000');

SELECT drop_topic('topic_ddl');
SELECT * FROM my_topics;
SELECT relname FROM pg_class WHERE relnamespace = 'qtopic'::regnamespace AND relname ~* '^topic.ddl';
SELECT count(*) FROM qtopic_internal.partitions p WHERE NOT EXISTS (SELECT FROM qtopic_internal.topics t WHERE t.topic_id = p.topic_id);
