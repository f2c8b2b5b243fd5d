--
-- Members of consumer groups: SQLSTATEs, bad arguments, and who may do what.
-- (QT003 needs a second transaction: see the specs member_*.)
--
-- Seen to fail: mutants consume_beside_members, delete_beside_members,
-- delete_offsets_beside_members, reset_beside_members, gone_members_count,
-- epoch_above_accepted, epoch_below_accepted, commit_above_end,
-- partition_given_twice, metadata_not_bounded, member_reads_only,
-- member_of_stranger, commit_of_stranger, join_of_stranger, join_without_right
-- and poll_without_right.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT create_topic('member_errors', 2), create_topic('member_errors_2');
SELECT count(produce('member_errors', NULL::text, 'v' || i, partition => 0)) FROM generate_series(0, 4) i;
SELECT * FROM join_group('member_errors', '{member_errors}', member_id => 'a');
SELECT * FROM join_group('member_errors', '{member_errors}', member_id => 'a');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, 1, 'note');

\set VERBOSITY sqlstate
-- 22004 null value not allowed
SELECT * FROM join_group(NULL, '{member_errors}');
SELECT * FROM join_group('member_errors', NULL);
SELECT * FROM join_group('member_errors', '{member_errors,NULL}');
SELECT * FROM join_group('member_errors', '{member_errors}', assignor => NULL);
SELECT * FROM join_group('member_errors', '{member_errors}', session_timeout => NULL);
SELECT * FROM heartbeat(NULL, 'a', 2);
SELECT * FROM heartbeat('member_errors', NULL, 2);
SELECT * FROM heartbeat('member_errors', 'a', NULL);
SELECT leave_group(NULL, 'a', 2);
SELECT leave_group('member_errors', NULL, 2);
SELECT leave_group('member_errors', 'a', NULL);
SELECT * FROM poll_records(NULL, 'a', 2);
SELECT * FROM poll_records('member_errors', NULL, 2);
SELECT * FROM poll_records('member_errors', 'a', NULL);
SELECT * FROM poll_records('member_errors', 'a', 2, NULL);
SELECT * FROM poll_records_bytea('member_errors', 'a', 2, max_wait => NULL);
SELECT * FROM poll_records_jsonb('member_errors', 'a', 2, max_bytes => NULL);
SELECT commit_offsets(NULL, 'a', 2, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', NULL, 2, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', 'a', NULL, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', 'a', 2, NULL, 0, 0);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', NULL, 0);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, NULL);
SELECT commit_offsets('member_errors', 'a', 2, NULL::jsonb);

-- 22023 invalid parameter value
SELECT * FROM join_group('', '{member_errors}');
SELECT * FROM join_group(repeat('x', 256), '{member_errors}');
SELECT * FROM join_group('member_errors', '{}');
SELECT * FROM join_group('member_errors', '{member_errors}', instance_id => '');
SELECT * FROM join_group('member_errors', '{member_errors}', instance_id => repeat('x', 256));
SELECT * FROM join_group('member_errors', '{member_errors}', member_id => '');
SELECT * FROM join_group('member_errors', '{member_errors}', member_id => repeat('x', 256));
SELECT * FROM join_group('member_errors', '{member_errors}', assignor => 'sticky');
SELECT * FROM join_group('member_errors', '{member_errors}', assignor => 'Range');
SELECT * FROM join_group('member_errors', '{member_errors}', session_timeout => '5.999 s');
SELECT * FROM join_group('member_errors', '{member_errors}', session_timeout => '30 min 0.001 s');
SELECT * FROM join_group('member_errors', '{member_errors}', session_timeout => '-1 s');
SELECT * FROM poll_records('member_errors', 'a', 2, 0);
SELECT * FROM poll_records('member_errors', 'a', 2, -1);
SELECT * FROM poll_records('member_errors', 'a', 2, max_bytes => 0);
SELECT * FROM poll_records('member_errors', 'a', 2, max_wait => '-1 s');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 2, 0);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', -1, 0);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, -1);
SELECT commit_offsets('member_errors', 'a', 2, '[]');
SELECT commit_offsets('member_errors', 'a', 2, '5');
SELECT commit_offsets('member_errors', 'a', 2, 'null');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": 5}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": null}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": [5]}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"x": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {" 0": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0 ": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"-1": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0.0": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"2": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"4294967296": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"99999999999999999999": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": "2"}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": null}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": [2]}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 1.5}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": -1}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {"next_offset": "2"}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {"next_offset": 1.5}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {"next_offset": 2, "metadata": 5}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 2, "00": 3}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 1e30}}');	-- 22003

-- 54000 metadata
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 1, 0, repeat('x', 4096));
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 1, 0, repeat('x', 4097));
SELECT commit_offsets('member_errors', 'a', 2, jsonb_build_object('member_errors', jsonb_build_object(1, jsonb_build_object('next_offset', 0, 'metadata', repeat('x', 4097)))));

-- 25006 read-only transaction
BEGIN READ ONLY;
SELECT * FROM join_group('member_errors', '{member_errors}');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM heartbeat('member_errors', 'a', 2);
ROLLBACK;
BEGIN READ ONLY;
SELECT leave_group('member_errors', 'a', 2);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM poll_records('member_errors', 'a', 2);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM poll_records_bytea('member_errors', 'a', 2);
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM poll_records_jsonb('member_errors', 'a', 2);
ROLLBACK;
BEGIN READ ONLY;
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, 0);
ROLLBACK;
BEGIN READ ONLY;
SELECT commit_offsets('member_errors', 'a', 2, '{}');
ROLLBACK;

-- 42704 no such topic, group, or topic of a group
SELECT * FROM join_group('member_errors', '{member_errors,member_errors_3}');
SELECT * FROM heartbeat('member_errors_3', 'a', 2);
SELECT leave_group('member_errors_3', 'a', 2);
SELECT * FROM poll_records('member_errors_3', 'a', 2);
SELECT commit_offsets('member_errors_3', 'a', 2, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors_3', 'a', 2, '{}');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors_3', 0, 0);
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors_3": {"0": 0}}');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors_2', 0, 0);

-- QT004 no such member
SELECT * FROM heartbeat('member_errors', 'b', 2);
SELECT leave_group('member_errors', 'b', 2);
SELECT * FROM poll_records('member_errors', 'b', 2);
SELECT commit_offsets('member_errors', 'b', 2, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', 'b', 2, '{"member_errors": {"0": 0}}');

-- QT002 an epoch above that of the group, or below that in which it joined
SELECT * FROM heartbeat('member_errors', 'a', 3);
SELECT * FROM heartbeat('member_errors', 'a', 1);
SELECT * FROM heartbeat('member_errors', 'a', 0);
SELECT * FROM heartbeat('member_errors', 'a', -1);
SELECT leave_group('member_errors', 'a', 3);
SELECT leave_group('member_errors', 'a', 1);
SELECT * FROM poll_records('member_errors', 'a', 3);
SELECT * FROM poll_records('member_errors', 'a', 1);
SELECT commit_offsets('member_errors', 'a', 3, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', 'a', 1, 'member_errors', 0, 0);
SELECT commit_offsets('member_errors', 'a', 3, '{"member_errors": {"0": 0}}');

-- QT001 above the end of the log; what came before it in the call is not committed either
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, 6);
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 4, "1": 1}}');

-- 55000 the group has members
SELECT * FROM consume('member_errors', 'member_errors');
SELECT * FROM consume_bytea('member_errors', 'member_errors');
SELECT * FROM consume_jsonb('member_errors', 'member_errors');
CALL wait_for_records('member_errors', 'member_errors', '0');
SELECT * FROM reset_offsets('member_errors', 'member_errors', 'earliest');
SELECT delete_offsets('member_errors', 'member_errors');
SELECT delete_group('member_errors');

-- their texts
\set VERBOSITY default
SELECT * FROM join_group('member_errors', '{}');
SELECT * FROM join_group('member_errors', '{member_errors,NULL}');
SELECT * FROM join_group('member_errors', '{member_errors}', member_id => '');
SELECT * FROM join_group('member_errors', '{member_errors}', assignor => 'sticky');
SELECT * FROM join_group('member_errors', '{member_errors}', session_timeout => '5.999 s');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, -1);
SELECT commit_offsets('member_errors', 'a', 2, '[]');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": 5}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"x": 2}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 1.5}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": null}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": {"next_offset": 2, "metadata": 5}}}');
SELECT commit_offsets('member_errors', 'a', 2, '{"member_errors": {"0": 2, "00": 3}}');
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 1, 0, repeat('x', 4097));
SELECT * FROM heartbeat('member_errors_3', 'a', 2);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors_2', 0, 0);
SELECT * FROM heartbeat('member_errors', 'b', 2);
SELECT * FROM heartbeat('member_errors', 'a', 3);
SELECT commit_offsets('member_errors', 'a', 2, 'member_errors', 0, 6);
SELECT * FROM consume('member_errors', 'member_errors');
BEGIN READ ONLY;
SELECT * FROM heartbeat('member_errors', 'a', 2);
ROLLBACK;

-- none of them has changed anything
SELECT member_id, member_epoch, group_epoch, state, assignment FROM qtopic_group_members WHERE consumer_group = 'member_errors';
SELECT p.partition, next_offset, length(metadata) FROM qtopic_internal.groups JOIN qtopic_internal.group_topics USING (group_id)
	JOIN qtopic_internal.positions p USING (gt_id) WHERE name = 'member_errors' ORDER BY 1;
SELECT count(*) FROM qtopic_internal.groups WHERE name LIKE 'member\_errors%';

-- without members it is a group as any other
SELECT qtopic_internal.expire_members(now() + interval '1 hour') AS expired;
SELECT _offset FROM consume('member_errors', 'member_errors', 1);
CALL wait_for_records('member_errors', 'member_errors', '0');
SELECT * FROM reset_offsets('member_errors', 'member_errors', 'earliest');
SELECT delete_offsets('member_errors', 'member_errors');
-- members of which nobody has found out that they are gone do not count
SELECT member_epoch, assignment FROM join_group('member_errors', '{member_errors}', member_id => 'a');
BEGIN;
SELECT qtopic_internal.expire_members(now() + interval '1 hour') AS expired;
ROLLBACK;
SELECT _offset FROM consume('member_errors', 'member_errors', 1);
SELECT assignment FROM join_group('member_errors', '{member_errors}', member_id => 'a');
SELECT leave_group('member_errors', 'a', (SELECT group_epoch FROM qtopic_groups WHERE consumer_group = 'member_errors'));
SELECT delete_group('member_errors');

-- rights: SELECT on the topics' relations, and the group's role
CREATE ROLE regress_qtopic_owner;
CREATE ROLE regress_qtopic_colleague IN ROLE regress_qtopic_owner;
CREATE ROLE regress_qtopic_stranger;
CREATE ROLE regress_qtopic_maker;
GRANT CREATE ON SCHEMA qtopic TO regress_qtopic_maker;
SET ROLE regress_qtopic_maker;
SELECT create_topic('member_rights');
GRANT SELECT ON qtopic.member_rights TO regress_qtopic_stranger;
SELECT _offset FROM produce('member_rights', 'v');
SET ROLE regress_qtopic_owner;
SELECT * FROM join_group('member_rights', '{member_rights}', member_id => 'a');
SET ROLE regress_qtopic_maker;
GRANT SELECT ON qtopic.member_rights TO regress_qtopic_owner;
SET ROLE regress_qtopic_owner;
SELECT * FROM join_group('member_rights', '{member_rights}', member_id => 'a');
SELECT * FROM join_group('member_rights', '{member_rights,member_errors}', member_id => 'a');
-- another one may read the topic, but has nothing to do with the group
SET ROLE regress_qtopic_stranger;
SELECT * FROM join_group('member_rights', '{member_rights}', member_id => 'b');
SELECT * FROM heartbeat('member_rights', 'a', 1);
SELECT * FROM poll_records('member_rights', 'a', 1);
SELECT commit_offsets('member_rights', 'a', 1, 'member_rights', 0, 1);
SELECT commit_offsets('member_rights', 'a', 1, '{"member_rights": {"0": 1}}');
SELECT leave_group('member_rights', 'a', 1);
SELECT count(*) FROM qtopic_group_members WHERE consumer_group = 'member_rights';
SELECT count(*) FROM qtopic_groups WHERE consumer_group = 'member_rights';
-- members of its role, and the creator of the topic
SET ROLE regress_qtopic_colleague;
SELECT * FROM heartbeat('member_rights', 'a', 1);
SELECT value FROM poll_records('member_rights', 'a', 1);
SELECT member_id FROM qtopic_group_members WHERE consumer_group = 'member_rights';
SET ROLE regress_qtopic_maker;
SELECT value FROM poll_records('member_rights', 'a', 1);
SELECT member_id FROM qtopic_group_members WHERE consumer_group = 'member_rights';
SET ROLE regress_qtopic_colleague;
SELECT commit_offsets('member_rights', 'a', 1, 'member_rights', 0, 1);
-- who loses the right to read the topic
SET ROLE regress_qtopic_maker;
REVOKE SELECT ON qtopic.member_rights FROM regress_qtopic_owner;
SET ROLE regress_qtopic_owner;
SELECT * FROM poll_records('member_rights', 'a', 1);
SELECT commit_offsets('member_rights', 'a', 1, 'member_rights', 0, 0);
SELECT * FROM join_group('member_rights', '{member_rights}', member_id => 'a');
SELECT leave_group('member_rights', 'a', 1);
-- nobody gets at the tables, or ends sessions
SELECT * FROM qtopic_internal.members;
SELECT * FROM qtopic_internal.ownership;
SELECT nextval('qtopic_internal.member_no_seq');
RESET ROLE;
GRANT USAGE ON SCHEMA qtopic_internal TO regress_qtopic_stranger;
SET ROLE regress_qtopic_stranger;
SELECT qtopic_internal.expire_members(now());
SELECT * FROM qtopic_internal.members;
RESET ROLE;

SELECT delete_group('member_rights'), drop_topic('member_rights'), drop_topic('member_errors'), drop_topic('member_errors_2');
REVOKE USAGE ON SCHEMA qtopic_internal FROM regress_qtopic_stranger;
DROP OWNED BY regress_qtopic_maker;
DROP ROLE regress_qtopic_maker, regress_qtopic_stranger, regress_qtopic_colleague, regress_qtopic_owner;
