-- The contract of the SQL surface: signatures, labels, columns, comments and
-- rights.  What stands here can only be changed on purpose.
--
-- Seen to fail: mutants contract_label (fetch_records STABLE), contract_comment
-- and contract_grant.

BEGIN;
SELECT plan(19);

-- the functions that are members of the extension
CREATE TEMP VIEW functions AS
SELECT p.oid, p.pronamespace::regnamespace::text = 'qtopic_internal' AS internal, p.proname::text AS name,
       pg_get_function_identity_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result, p.prosrc, p.prolang, p.prosecdef,
       CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END
       || CASE p.proparallel WHEN 's' THEN ' safe' WHEN 'r' THEN ' restricted' ELSE ' unsafe' END
       || CASE WHEN p.proisstrict THEN ' strict' ELSE '' END AS labels,
       coalesce(p.proacl, acldefault('f', p.proowner)) AS acl, p.proowner
  FROM pg_proc AS p
  JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
 WHERE e.extname = 'qtopic';

SELECT set_eq(
    $$SELECT name, arguments, result, labels FROM functions WHERE NOT internal$$,
    $$VALUES
    ('create_topic', 'topic text, partitions integer, config jsonb', 'void', 'volatile unsafe'),
    ('alter_topic', 'topic text, partitions integer, config jsonb', 'void', 'volatile unsafe'),
    ('drop_topic', 'topic text, if_exists boolean', 'void', 'volatile unsafe'),
    ('delete_records', 'topic text, partition integer, before_offset bigint', 'bigint', 'volatile unsafe'),
    ('partition_offsets', 'topic text',
     'TABLE(_partition integer, log_start_offset bigint, last_stable_offset bigint, next_offset bigint)', 'volatile unsafe'),
    ('produce', 'topic text, value text, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, value json, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, value jsonb, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, value bytea, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, key anycompatible, value text, headers jsonb, partition integer, record_time timestamp with time zone, deferred boolean, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, key anycompatible, value json, headers jsonb, partition integer, record_time timestamp with time zone, deferred boolean, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, key anycompatible, value jsonb, headers jsonb, partition integer, record_time timestamp with time zone, deferred boolean, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce', 'topic text, key anycompatible, value bytea, headers jsonb, partition integer, record_time timestamp with time zone, deferred boolean, OUT _partition integer, OUT _offset bigint', 'record', 'volatile unsafe'),
    ('produce_batch', 'topic text, record_values anycompatiblearray',
     'TABLE(_partition integer, base_offset bigint, last_offset bigint, record_count integer)', 'volatile unsafe'),
    ('produce_batch', 'topic text, record_keys text[], record_values anycompatiblearray, record_headers jsonb[], partition integer, record_times timestamp with time zone[], deferred boolean',
     'TABLE(_partition integer, base_offset bigint, last_offset bigint, record_count integer)', 'volatile unsafe'),
    ('produce_batch_bytea', 'topic text, record_keys bytea[], record_values bytea[], record_headers jsonb[], partition integer, record_times timestamp with time zone[], deferred boolean',
     'TABLE(_partition integer, base_offset bigint, last_offset bigint, record_count integer)', 'volatile unsafe'),
    ('fetch_records', 'topic text, partition integer, from_offset bigint, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_partition integer, _offset bigint, _timestamp timestamp with time zone, key text, value text, headers jsonb)', 'volatile unsafe'),
    ('fetch_records_bytea', 'topic text, partition integer, from_offset bigint, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_partition integer, _offset bigint, _timestamp timestamp with time zone, key bytea, value bytea, headers jsonb)', 'volatile unsafe'),
    ('consume', 'consumer_group text, topic text, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_partition integer, _offset bigint, _timestamp timestamp with time zone, key text, value text, headers jsonb)', 'volatile unsafe'),
    ('consume_bytea', 'consumer_group text, topic text, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_partition integer, _offset bigint, _timestamp timestamp with time zone, key bytea, value bytea, headers jsonb)', 'volatile unsafe'),
    ('consume_jsonb', 'consumer_group text, topic text, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_partition integer, _offset bigint, _timestamp timestamp with time zone, key text, value jsonb, headers jsonb)', 'volatile unsafe'),
    ('wait_for_records', 'IN consumer_group text, IN topic text, IN max_wait interval, INOUT ready boolean', NULL, 'volatile unsafe'),
    ('create_group', 'consumer_group text, topic text, start_at text, start_time timestamp with time zone', 'void', 'volatile unsafe'),
    ('delete_group', 'consumer_group text', 'void', 'volatile unsafe'),
    ('delete_offsets', 'consumer_group text, topic text, partition integer', 'integer', 'volatile unsafe'),
    ('reset_offsets', 'consumer_group text, topic text, to_position text, partition integer, to_offset bigint, to_time timestamp with time zone, shift_by bigint, dry_run boolean',
     'TABLE(_partition integer, old_offset bigint, new_offset bigint)', 'volatile unsafe'),
    ('join_group', 'consumer_group text, topics text[], instance_id text, assignor text, session_timeout interval, INOUT member_id text, OUT member_epoch integer, OUT assignment jsonb', 'record', 'volatile unsafe'),
    ('heartbeat', 'consumer_group text, member_id text, INOUT member_epoch integer, OUT assignment jsonb', 'record', 'volatile unsafe'),
    ('leave_group', 'consumer_group text, member_id text, member_epoch integer', 'void', 'volatile unsafe'),
    ('poll_records', 'consumer_group text, member_id text, member_epoch integer, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_topic text, _partition integer, _offset bigint, _timestamp timestamp with time zone, key text, value text, headers jsonb)', 'volatile unsafe'),
    ('poll_records_bytea', 'consumer_group text, member_id text, member_epoch integer, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_topic text, _partition integer, _offset bigint, _timestamp timestamp with time zone, key bytea, value bytea, headers jsonb)', 'volatile unsafe'),
    ('poll_records_jsonb', 'consumer_group text, member_id text, member_epoch integer, max_records integer, max_wait interval, max_bytes integer',
     'TABLE(_topic text, _partition integer, _offset bigint, _timestamp timestamp with time zone, key text, value jsonb, headers jsonb)', 'volatile unsafe'),
    ('commit_offsets', 'consumer_group text, member_id text, member_epoch integer, topic text, partition integer, next_offset bigint, metadata text', 'void', 'volatile unsafe'),
    ('commit_offsets', 'consumer_group text, member_id text, member_epoch integer, positions jsonb', 'void', 'volatile unsafe'),
    ('create_topic_view', 'view_name text, topic text, columns text, on_error text', 'void', 'volatile unsafe'),
    ('cast_or_null', 'value text, type anyelement, typmod integer', 'anyelement', 'stable unsafe'),
    ('is_castable', 'value text, type anyelement, typmod integer', 'boolean', 'stable unsafe'),
    ('offset_for_time', 'topic text, partition integer, at timestamp with time zone', 'bigint', 'volatile unsafe')$$,
    'the functions for users: signatures, results, labels');

SELECT set_eq(
    $$SELECT name, labels FROM functions WHERE internal$$,
    $$VALUES ('fdw_handler', 'volatile safe strict'), ('fdw_validator', 'volatile safe strict'),
             ('on_drop', 'volatile unsafe'), ('on_alter', 'volatile unsafe'),
             ('partition_states', 'volatile unsafe'), ('group_positions', 'volatile unsafe'),
             ('group_last_seen', 'volatile unsafe strict'), ('expire_positions', 'volatile unsafe strict'),
             ('member_last_seen', 'volatile unsafe strict'), ('expire_members', 'volatile unsafe strict'),
             ('record_batch_decode', 'immutable safe strict'), ('record_batch_header', 'immutable safe strict'),
             ('record_batch_encode', 'stable safe'), ('murmur2', 'immutable safe strict'),
             ('crc32', 'immutable safe strict'), ('partition_for_key', 'immutable safe strict')$$,
    'the private functions: labels');

-- defaults
CREATE FUNCTION pg_temp.defaults_of(function text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT DISTINCT array_to_string(ARRAY(SELECT m[1] FROM regexp_matches(pg_get_function_arguments(oid), '(\w+ \S+(?: with time zone(?:\[\])?)?) DEFAULT ', 'g') AS m), ', ')
           || ': ' || array_to_string(ARRAY(SELECT m[1] FROM regexp_matches(pg_get_function_arguments(oid), ' DEFAULT (''[^'']*''|\w+)', 'g') AS m), ', ')
      FROM functions WHERE name = $1 AND pg_get_function_arguments(oid) ~ 'DEFAULT'
$$;
SELECT results_eq(
    $$SELECT f, pg_temp.defaults_of(f) FROM unnest(ARRAY['create_topic', 'alter_topic', 'drop_topic', 'produce', 'produce_batch',
                                                         'produce_batch_bytea', 'fetch_records', 'fetch_records_bytea', 'consume', 'consume_bytea', 'consume_jsonb', 'wait_for_records', 'create_group', 'delete_offsets', 'reset_offsets',
                                                         'join_group', 'poll_records', 'poll_records_bytea', 'poll_records_jsonb', 'commit_offsets', 'create_topic_view', 'cast_or_null', 'is_castable']) AS f$$,
    $$VALUES
    ('create_topic', 'partitions integer, config jsonb: 1, ''{}'''),
    ('alter_topic', 'partitions integer, config jsonb: NULL, NULL'),
    ('drop_topic', 'if_exists boolean: false'),
    ('produce', 'headers jsonb, partition integer, record_time timestamp with time zone, deferred boolean: NULL, NULL, NULL, NULL'),
    ('produce_batch', 'record_headers jsonb[], partition integer, record_times timestamp with time zone[], deferred boolean: NULL, NULL, NULL, NULL'),
    ('produce_batch_bytea', 'record_headers jsonb[], partition integer, record_times timestamp with time zone[], deferred boolean: NULL, NULL, NULL, NULL'),
    ('fetch_records', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('fetch_records_bytea', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('consume', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('consume_bytea', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('consume_jsonb', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('wait_for_records', 'ready boolean: NULL'),
    ('create_group', 'start_at text, start_time timestamp with time zone: ''earliest'', NULL'),
    ('delete_offsets', 'partition integer: NULL'),
    ('reset_offsets', 'to_position text, partition integer, to_offset bigint, to_time timestamp with time zone, shift_by bigint, dry_run boolean: NULL, NULL, NULL, NULL, NULL, false'),
    ('join_group', 'instance_id text, assignor text, session_timeout interval, member_id text: NULL, ''uniform'', ''00:00:45'', NULL'),
    ('poll_records', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('poll_records_bytea', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('poll_records_jsonb', 'max_records integer, max_wait interval, max_bytes integer: 500, ''00:00:00'', 52428800'),
    ('commit_offsets', 'metadata text: NULL'),
    ('create_topic_view', 'on_error text: ''null'''),
    ('cast_or_null', 'typmod integer: ''-1'''),
    ('is_castable', 'typmod integer: ''-1''')$$,
    'defaults of the arguments');

SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE prosrc !~ '^qtopic_[a-z0-9_]+$' OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')$$,
    'every function is in C, by a name that begins with qtopic_');
SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE prosecdef$$,
    'no function runs with the rights of its owner');

-- views: columns and types
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic_topics'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('topic text'), ('partitions integer'), ('key_format text'), ('value_format text'), ('config jsonb'),
             ('relation text'), ('creator name'), ('created timestamp with time zone')$$,
    'columns of qtopic_topics');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic_partitions'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('topic text'), ('partition integer'), ('log_start_offset bigint'), ('last_stable_offset bigint'),
             ('next_offset bigint'), ('segments integer'), ('blocked_by_pid integer'), ('blocked_by_gid text'),
             ('blocked_for interval')$$,
    'columns of qtopic_partitions');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic_groups'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('consumer_group text'), ('owner name'), ('topics text[]'), ('consumers bigint'), ('last_active timestamp with time zone'),
             ('members bigint'), ('assignor text'), ('group_epoch integer'), ('state text')$$,
    'columns of qtopic_groups');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic_group_lag'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('consumer_group text'), ('topic text'), ('partition integer'), ('current_offset bigint'), ('log_end_offset bigint'), ('lag bigint'),
             ('consumer_id text'), ('host inet'), ('client_id text'), ('lag_seconds double precision'), ('blocked_by_pid integer'),
             ('blocked_by_gid text'), ('blocked_for interval'), ('rollbacks integer'), ('member_id text')$$,
    'columns of qtopic_group_lag');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic_group_members'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('consumer_group text'), ('member_id text'), ('instance_id text'), ('member_epoch integer'), ('group_epoch integer'), ('assignor text'),
             ('state text'), ('assignment jsonb'), ('target_assignment jsonb'), ('session_timeout interval'), ('last_seen timestamp with time zone')$$,
    'columns of qtopic_group_members');
SELECT is_empty($$SELECT relname FROM pg_class WHERE relname IN ('qtopic_topics', 'qtopic_partitions', 'qtopic_groups', 'qtopic_group_lag', 'qtopic_group_members')
                     AND NOT coalesce('security_barrier=true' = ANY (reloptions) OR 'security_barrier' = ANY (reloptions), false)$$,
    'the views are barriers');

-- the relation of a topic
SELECT create_topic('contract_text');
SELECT create_topic('contract_other', 1, '{"key.format": "bytea", "value.format": "jsonb"}');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic.contract_text'::regclass AND attnum > 0 ORDER BY attnum$$,
    $$VALUES ('_partition integer'), ('_offset bigint'), ('_timestamp timestamp with time zone'), ('key text'), ('value text'), ('headers jsonb')$$,
    'columns of a topic');
SELECT results_eq(
    $$SELECT format('%s %s', attname, format_type(atttypid, atttypmod)) COLLATE "default" FROM pg_attribute WHERE attrelid = 'qtopic.contract_other'::regclass AND attnum > 3 ORDER BY attnum$$,
    $$VALUES ('key bytea'), ('value jsonb'), ('headers jsonb')$$,
    'key and value of a topic have the types of its formats');

-- a comment on every object of the extension
SELECT is_empty($$
    SELECT pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
     WHERE e.extname = 'qtopic' AND d.deptype = 'e'
       AND length(coalesce(CASE WHEN d.classid = 'pg_class'::regclass THEN obj_description(d.objid, 'pg_class')
                                WHEN d.classid = 'pg_proc'::regclass THEN obj_description(d.objid, 'pg_proc')
                                WHEN d.classid = 'pg_namespace'::regclass THEN obj_description(d.objid, 'pg_namespace')
                                WHEN d.classid = 'pg_foreign_server'::regclass THEN obj_description(d.objid, 'pg_foreign_server')
                                WHEN d.classid = 'pg_foreign_data_wrapper'::regclass THEN obj_description(d.objid, 'pg_foreign_data_wrapper')
                                WHEN d.classid = 'pg_event_trigger'::regclass THEN obj_description(d.objid, 'pg_event_trigger')
                                ELSE obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid)) END, '')) < 10$$,
    'every object of the extension has a comment');

-- rights: functions for users are everybody's, they check the topic's; the rest is nobody's
SELECT set_eq($$SELECT name FROM functions WHERE internal AND NOT EXISTS (SELECT FROM aclexplode(acl) WHERE grantee <> proowner)$$,
    $$VALUES ('record_batch_decode'), ('record_batch_header'), ('record_batch_encode'), ('murmur2'), ('crc32'), ('partition_for_key'), ('expire_positions'), ('expire_members')$$,
    'private functions that nobody may execute');
SELECT is_empty($$SELECT oid::regprocedure FROM functions WHERE NOT internal AND NOT EXISTS (SELECT FROM aclexplode(acl) WHERE grantee = 0)$$,
    'functions for users may be executed by everybody');
SELECT results_eq(
    $$SELECT format('%s: %s', nspname, ARRAY(SELECT privilege_type FROM aclexplode(nspacl) WHERE grantee = 0 ORDER BY 1)) COLLATE "default"
        FROM pg_namespace WHERE nspname IN ('qtopic', 'qtopic_internal') ORDER BY 1$$,
    $$VALUES ('qtopic: {USAGE}'), ('qtopic_internal: {}')$$,
    'what everybody may do with the schemas');
SELECT set_eq(
    $$SELECT c.relname::text, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a, pg_depend AS d, pg_extension AS e
       WHERE a.grantee <> c.relowner AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' AND d.refobjid = e.oid AND e.extname = 'qtopic'$$,
    $$VALUES ('qtopic_topics', 'SELECT'), ('qtopic_partitions', 'SELECT'), ('qtopic_groups', 'SELECT'), ('qtopic_group_lag', 'SELECT'), ('qtopic_group_members', 'SELECT')$$,
    'the views may be read by everybody, no other relation');
SELECT is_empty(
    $$SELECT c.relname FROM pg_class AS c WHERE c.relnamespace = 'qtopic_internal'::regnamespace
         AND (EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner)
              OR c.relowner <> (SELECT extowner FROM pg_extension WHERE extname = 'qtopic')
              OR c.relkind = 'r' AND NOT c.relispartition AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary))$$,
    'storage and catalog belong to the owner of the extension alone, and catalog tables have primary keys');

SELECT * FROM finish();
ROLLBACK;
