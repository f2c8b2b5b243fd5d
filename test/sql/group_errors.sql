--
-- Consumer groups: SQLSTATEs, bad arguments, and who may do what.
-- (QT003, 55P03 and 40001 need a second transaction: see the isolation specs.)
--
-- Seen to fail: mutants consume_in_read_only, group_owner_not_checked,
-- wait_in_strangers_group, topic_creator_may_not, group_right_not_checked,
-- group_of_session_user and group_name_not_checked.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT create_topic('group_errors', 2);
SELECT count(produce('group_errors', NULL::text, 'v' || i, partition => 0)) FROM generate_series(0, 9) i;
SELECT _offset FROM consume('group_errors', 'group_errors', 1);
SELECT create_group('group_errors_none', 'group_errors', 'none');

\set VERBOSITY sqlstate
-- 22004 null value not allowed
SELECT * FROM consume(NULL, 'group_errors');
SELECT * FROM consume('group_errors', NULL);
SELECT * FROM consume('group_errors', 'group_errors', NULL);
SELECT * FROM consume('group_errors', 'group_errors', max_wait => NULL);
SELECT * FROM consume('group_errors', 'group_errors', max_bytes => NULL);
SELECT * FROM consume_bytea(NULL, 'group_errors');
SELECT * FROM consume_jsonb('group_errors', NULL);
CALL wait_for_records(NULL, 'group_errors', '0');
CALL wait_for_records('group_errors', 'group_errors', NULL);
SELECT create_group(NULL, 'group_errors');
SELECT create_group('group_errors', NULL);
SELECT create_group('group_errors', 'group_errors', NULL);
SELECT delete_group(NULL);
SELECT delete_offsets(NULL, 'group_errors');
SELECT delete_offsets('group_errors', NULL);

-- 22023 invalid parameter value
SELECT * FROM consume('', 'group_errors');
SELECT * FROM consume(repeat('x', 256), 'group_errors');
SELECT * FROM consume('group_errors', 'group_errors', 0);
SELECT * FROM consume('group_errors', 'group_errors', -1);
SELECT * FROM consume('group_errors', 'group_errors', max_wait => '-1 s');
SELECT * FROM consume('group_errors', 'group_errors', max_bytes => 0);
CALL wait_for_records('', 'group_errors', '0');
CALL wait_for_records('', NULL, '0');
CALL wait_for_records('group_errors', 'group_errors', '-1 s');
SELECT create_group('', 'group_errors');
SELECT create_group(repeat('x', 256), 'group_errors');
SELECT create_group('group_errors_2', 'group_errors', 'Latest');
SELECT create_group('group_errors_2', 'group_errors', 'time');
SELECT create_group('group_errors_2', 'group_errors', '');
SELECT create_group('group_errors_2', 'group_errors', 'latest', now());
SELECT delete_offsets('group_errors', 'group_errors', 2);
SELECT delete_offsets('group_errors', 'group_errors', -1);

-- 25006 read-only transaction
BEGIN READ ONLY;
SELECT * FROM consume('group_errors', 'group_errors');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM consume_jsonb('group_errors', 'group_errors');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM consume_bytea('group_errors', 'group_errors');
ROLLBACK;
BEGIN READ ONLY;
SELECT create_group('group_errors_2', 'group_errors');
ROLLBACK;
BEGIN READ ONLY;
SELECT delete_group('group_errors');
ROLLBACK;
BEGIN READ ONLY;
SELECT delete_offsets('group_errors', 'group_errors');
ROLLBACK;
-- it only looks
BEGIN READ ONLY;
CALL wait_for_records('group_errors', 'group_errors', '0');
ROLLBACK;

-- 42704 no such topic, group, or topic of a group
SELECT * FROM consume('group_errors', 'group_errors_2');
CALL wait_for_records('group_errors', 'group_errors_2', '0');
CALL wait_for_records('group_errors_2', NULL, '0');
SELECT create_group('group_errors', 'group_errors_2');
SELECT delete_group('group_errors_2');
SELECT delete_offsets('group_errors_2', 'group_errors');
SELECT delete_offsets('group_errors', 'group_errors_2');

-- 42710 the group reads the topic already
SELECT create_group('group_errors', 'group_errors');
SELECT create_group('group_errors_none', 'group_errors', 'latest');

-- QT001 no position
SELECT * FROM consume('group_errors_none', 'group_errors');

-- 55000 an older cursor
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM consume('group_errors', 'group_errors');
SAVEPOINT s;
FETCH c;
ROLLBACK;

-- their texts
\set VERBOSITY default
SELECT * FROM consume('', 'group_errors');
SELECT * FROM consume(repeat('x', 256), 'group_errors');
SELECT create_group('group_errors_2', 'group_errors', 'Latest');
SELECT create_group('group_errors_2', 'group_errors', 'latest', now());
SELECT delete_group('group_errors_2');
SELECT delete_offsets('group_errors_2', 'group_errors');
SELECT create_group('group_errors', 'group_errors');
SELECT * FROM consume('group_errors_none', 'group_errors');
SELECT delete_offsets('group_errors', 'group_errors', 2);
BEGIN READ ONLY;
SELECT * FROM consume('group_errors', 'group_errors');
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM consume('group_errors', 'group_errors');
SAVEPOINT s;
FETCH c;
ROLLBACK;

-- none of them has changed anything
SELECT name, next_offset FROM qtopic_internal.groups JOIN qtopic_internal.group_topics USING (group_id)
	JOIN qtopic_internal.positions USING (gt_id) WHERE name LIKE 'group\_errors%';

-- rights: SELECT on the topic's relation, and the group's role
CREATE ROLE regress_qtopic_owner;
CREATE ROLE regress_qtopic_colleague IN ROLE regress_qtopic_owner;
CREATE ROLE regress_qtopic_stranger;
CREATE ROLE regress_qtopic_maker;
CREATE ROLE regress_qtopic_column;
GRANT CREATE ON SCHEMA qtopic TO regress_qtopic_maker;
SET ROLE regress_qtopic_maker;
SELECT create_topic('group_rights');
SELECT count(produce('group_rights', 'v' || i)) FROM generate_series(0, 19) i;
SET ROLE regress_qtopic_owner;
SELECT * FROM consume('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', 'group_rights', '0');
SELECT create_group('group_rights', 'group_rights');
SELECT delete_offsets('group_rights', 'group_rights');
-- rights on columns, or to produce, are not enough
SET ROLE regress_qtopic_maker;
GRANT SELECT (_partition, _offset, _timestamp, key, value, headers) ON qtopic.group_rights TO regress_qtopic_column;
GRANT INSERT ON qtopic.group_rights TO regress_qtopic_column;
SET ROLE regress_qtopic_column;
SELECT * FROM consume('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', 'group_rights', '0');
SELECT create_group('group_rights', 'group_rights');
SET ROLE regress_qtopic_maker;
GRANT SELECT ON qtopic.group_rights TO regress_qtopic_owner, regress_qtopic_stranger;
-- the group belongs to the role that first used it
SET ROLE regress_qtopic_owner;
SELECT _offset FROM consume('group_rights', 'group_rights', 1);
RESET ROLE;
SELECT name, owner FROM qtopic_internal.groups WHERE name = 'group_rights';
-- others may read the topic, but not in this group
SET ROLE regress_qtopic_stranger;
SELECT * FROM consume('group_rights', 'group_rights', 1);
SELECT * FROM consume_bytea('group_rights', 'group_rights', 1);
SELECT * FROM consume_jsonb('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', 'group_rights', '0');
CALL wait_for_records('group_rights', NULL, '0');
SELECT create_group('group_rights', 'group_rights');
SELECT delete_offsets('group_rights', 'group_rights');
SELECT delete_group('group_rights');
SELECT _offset FROM consume('group_rights_2', 'group_rights', 1);
-- members of its role may
SET ROLE regress_qtopic_colleague;
SELECT _offset FROM consume('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', NULL, '0');
-- and the topic's creator, but it may not delete the group
SET ROLE regress_qtopic_maker;
SELECT _offset FROM consume('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', 'group_rights', '0');
SELECT delete_offsets('group_rights', 'group_rights');
SELECT delete_group('group_rights');
-- and superusers
RESET ROLE;
SELECT _offset FROM consume('group_rights', 'group_rights', 1);
SELECT owner FROM qtopic_internal.groups WHERE name = 'group_rights';

-- a function with the rights of its owner
GRANT CREATE ON SCHEMA public TO regress_qtopic_owner;
SET ROLE regress_qtopic_owner;
CREATE FUNCTION group_rights_definer(consumer_group text) RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$ SELECT _offset FROM public.consume($1, 'group_rights', 1) $$;
SET ROLE regress_qtopic_column;
SELECT group_rights_definer('group_rights');
SELECT group_rights_definer('group_rights_definer');
RESET ROLE;
SELECT owner FROM qtopic_internal.groups WHERE name = 'group_rights_definer';

-- who loses the right to read loses the group
SET ROLE regress_qtopic_maker;
REVOKE SELECT ON qtopic.group_rights FROM regress_qtopic_owner;
SET ROLE regress_qtopic_owner;
SELECT * FROM consume('group_rights', 'group_rights', 1);
CALL wait_for_records('group_rights', NULL, '0');
SELECT delete_offsets('group_rights', 'group_rights');
-- but may delete it
SELECT delete_group('group_rights');

-- nobody gets at the tables
SET ROLE regress_qtopic_owner;
SELECT * FROM qtopic_internal.groups;
SELECT * FROM qtopic_internal.group_topics;
SELECT * FROM qtopic_internal.positions;
SELECT nextval('qtopic_internal.group_id_seq');
RESET ROLE;
SELECT relname FROM pg_class WHERE relnamespace = 'qtopic_internal'::regnamespace AND relname ~ '^(group|position)' AND relacl IS NOT NULL AND relacl <> acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner);

-- the role of a group is gone: its topics' creators and superusers remain
SET ROLE regress_qtopic_stranger;
SELECT _offset FROM consume('group_rights_gone', 'group_rights', 1);
SET ROLE regress_qtopic_maker;
REVOKE ALL ON qtopic.group_rights FROM regress_qtopic_stranger;
RESET ROLE;
DROP ROLE regress_qtopic_stranger;
SET ROLE regress_qtopic_maker;
GRANT SELECT ON qtopic.group_rights TO regress_qtopic_owner;
SELECT _offset FROM consume('group_rights_gone', 'group_rights', 1);
SET ROLE regress_qtopic_owner;
SELECT _offset FROM consume('group_rights_gone', 'group_rights', 1);

-- the creator of a topic cannot put it into somebody else's group
RESET ROLE;
SELECT create_group('group_rights_mine', 'group_errors');
SET ROLE regress_qtopic_maker;
SELECT _offset FROM consume('group_rights_mine', 'group_rights', 1);
SELECT create_group('group_rights_mine', 'group_rights');
CALL wait_for_records('group_rights_mine', 'group_rights', '0');
SELECT * FROM reset_offsets('group_rights_mine', 'group_rights', 'latest');
CALL wait_for_records('group_rights_mine', NULL, '0');

RESET ROLE;
DROP FUNCTION group_rights_definer(text);
SELECT drop_topic('group_errors'), drop_topic('group_rights');
SELECT count(delete_group(name)) FROM qtopic_internal.groups WHERE name LIKE 'group\_%';
DROP OWNED BY regress_qtopic_maker, regress_qtopic_owner, regress_qtopic_column, regress_qtopic_colleague;
DROP ROLE regress_qtopic_maker, regress_qtopic_column, regress_qtopic_colleague, regress_qtopic_owner;
