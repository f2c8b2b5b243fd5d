--
-- Members of consumer groups: who gets what and when, polling, committing,
-- coming back and leaving.  Times are moved by expire_members().
--
-- Seen to fail: mutants revoked_given_early, acknowledged_by_any_call,
-- uniform_not_sticky, range_without_rest, assignor_of_any, revoked_is_shown,
-- left_partitions_stay, poll_from_start, poll_of_later_epoch, poll_waits_on,
-- poll_in_fixed_order, poll_ignores_max_bytes, rejoined_keeps_epoch,
-- rejoined_starts_anew, fenced_not_remembered, fenced_for_ever,
-- takeover_starts_anew, added_partition_not_assigned, drop_leaves_ownership,
-- latest_not_noted, metadata_not_kept and all_topics_wanted.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET statement_timeout = '20 s';
SELECT create_topic('member_forms_1', 4), create_topic('member_forms_2', 3);

CREATE TEMP VIEW members AS
SELECT member_id, instance_id, member_epoch, group_epoch, state, assignment, target_assignment
  FROM qtopic_group_members WHERE consumer_group = 'member_forms' ORDER BY member_id;
CREATE TEMP VIEW groups AS
SELECT topics, state, members, group_epoch, assignor FROM qtopic_groups WHERE consumer_group = 'member_forms';

-- one, two, three members, "uniform": only what moves is revoked
SELECT * FROM join_group('member_forms', '{member_forms_2,member_forms_1,member_forms_2}', member_id => 'a');
SELECT * FROM groups;
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'b');
SELECT * FROM groups;
SELECT * FROM members;

-- the same answer when it was lost; nothing goes to b
SELECT * FROM heartbeat('member_forms', 'a', 1);
SELECT * FROM heartbeat('member_forms', 'a', 1);
SELECT * FROM heartbeat('member_forms', 'b', 2);

-- that a presents epoch 2 is its acknowledgement, also if it does so again
SELECT * FROM heartbeat('member_forms', 'a', 2);
SELECT * FROM heartbeat('member_forms', 'a', 2);
SELECT * FROM heartbeat('member_forms', 'b', 2);
SELECT * FROM groups;
SELECT * FROM members;

-- poll_records() acknowledges as well; an epoch of before is still one of a's
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'c');
SELECT * FROM members;
SELECT count(*) FROM poll_records('member_forms', 'a', 3);
SELECT * FROM heartbeat('member_forms', 'c', 3);
SELECT * FROM heartbeat('member_forms', 'b', 2);
SELECT * FROM heartbeat('member_forms', 'a', 1);
SELECT * FROM heartbeat('member_forms', 'b', 3);
SELECT * FROM heartbeat('member_forms', 'c', 3);
SELECT * FROM members;

-- one leaves: its partitions go to the others at once
SELECT leave_group('member_forms', 'b', 3);
SELECT * FROM members;
SELECT * FROM heartbeat('member_forms', 'a', 3);
SELECT leave_group('member_forms', 'a', 4), leave_group('member_forms', 'c', 3);
SELECT * FROM groups;
SELECT delete_group('member_forms');

-- "range", which is taken if most ask for it
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', assignor => 'range', member_id => 'c');
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', assignor => 'range', member_id => 'b');
SELECT * FROM members;
SELECT * FROM heartbeat('member_forms', 'c', 2);
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', assignor => 'range', member_id => 'a');
SELECT member_id, target_assignment FROM members;
SELECT * FROM groups;
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'd');
SELECT assignor FROM groups;
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'e');
SELECT assignor FROM groups;
SELECT assignor FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'f'), groups;
SELECT assignor FROM groups;
SELECT qtopic_internal.expire_members(now() + interval '1 hour') AS expired;
SELECT * FROM groups;
SELECT delete_group('member_forms');

-- each has topics of its own
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'a');
SELECT * FROM join_group('member_forms', '{member_forms_2}', member_id => 'b');
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'c');
SELECT member_id, target_assignment FROM members;
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'd');
SELECT member_id, target_assignment FROM members;
SELECT qtopic_internal.expire_members(now() + interval '1 hour') AS expired;
SELECT delete_group('member_forms');

-- a member_id that the server makes
SELECT member_id ~ '^[0-9a-f-]{36}$' AS made, member_epoch, assignment FROM join_group('member_forms', '{member_forms_2}');
SELECT member_epoch FROM join_group('member_forms', '{member_forms_2}');
SELECT count(DISTINCT member_id) FROM members;
SELECT session_timeout, last_seen <= clock_timestamp() AS seen FROM qtopic_group_members WHERE consumer_group = 'member_forms' LIMIT 1;
SELECT qtopic_internal.expire_members(now() + interval '40 s') > 0 AS early;
SELECT qtopic_internal.expire_members(now() + interval '50 s') > 1 AS late;
SELECT delete_group('member_forms');

-- records: the same again until they are committed
SELECT count(produce('member_forms_1', NULL::text, 'v' || i, partition => i % 2)) FROM generate_series(0, 5) i;
SELECT produce('member_forms_2', 'k', '{"a": 1}'::jsonb, '{"h": "x"}', partition => 0);
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'a');
CREATE TEMP VIEW polled AS
SELECT _topic, _partition, _offset, key, value FROM poll_records('member_forms', 'a', 1) ORDER BY 1, 2, 3;
SELECT * FROM polled;
SELECT * FROM polled;
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 0, 2);
SELECT * FROM polled;
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 1, 1, 'note');
SELECT commit_offsets('member_forms', 'a', 1, '{"member_forms_1": {"1": {"next_offset": 2, "metadata": "other"}, "0": {"next_offset": 3}}, "member_forms_2": {"0": 0, "2": {"next_offset": 0, "metadata": null}}}');
SELECT * FROM polled;
CREATE TEMP VIEW positions AS
SELECT t.name AS topic, p.partition, p.next_offset, p.metadata
  FROM qtopic_internal.positions p JOIN qtopic_internal.group_topics gt USING (gt_id)
  JOIN qtopic_internal.groups g USING (group_id) JOIN qtopic_internal.topics t USING (topic_id)
 WHERE g.name = 'member_forms' ORDER BY 1, 2;
SELECT * FROM positions;
-- back, and with no positions at all
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 1, 1), commit_offsets('member_forms', 'a', 1, '{}'),
	   commit_offsets('member_forms', 'a', 1, '{"member_forms_1": {}}');
BEGIN;
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 1, 3);
SELECT * FROM polled;
ROLLBACK;
SELECT * FROM polled;
SELECT key, value, headers FROM poll_records_bytea('member_forms', 'a', 1) WHERE _topic = 'member_forms_2';
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 1, 3);
SELECT key, value -> 'a' AS a, headers FROM poll_records_jsonb('member_forms', 'a', 1);
SELECT commit_offsets('member_forms', 'a', 1, '{"member_forms_1": {"0": 0, "1": 0}}');
SELECT count(*) FROM poll_records('member_forms', 'a', 1, 4);
SELECT count(*) FROM poll_records('member_forms', 'a', 1, max_bytes => 1);
-- the partition that was not read for the longest time first
SELECT count(DISTINCT (_topic, _partition)) FROM generate_series(1, 3) n, poll_records('member_forms', 'a', 1, 1 + 0 * n);

-- nothing is waited for if the group has moved on
SELECT commit_offsets('member_forms', 'a', 1, '{"member_forms_1": {"0": 3, "1": 3}, "member_forms_2": {"0": 1}}');
SELECT * FROM poll_records('member_forms', 'a', 1, max_wait => '100 ms');
SELECT * FROM join_group('member_forms', '{member_forms_1,member_forms_2}', member_id => 'b');
SELECT * FROM poll_records('member_forms', 'a', 1, max_wait => '60 s');

-- what b gets in epoch 2 and gives back is not a's in epochs before 3
SELECT * FROM heartbeat('member_forms', 'a', 2);
SELECT * FROM heartbeat('member_forms', 'b', 2);
SELECT count(produce('member_forms_1', NULL::text, 'w', partition => p)) FROM generate_series(0, 3) p;
SELECT * FROM polled;
SELECT _topic, _partition, _offset FROM poll_records('member_forms', 'b', 2) ORDER BY 1, 2, 3;
SELECT leave_group('member_forms', 'b', 2);
SELECT _topic, _partition, _offset FROM poll_records('member_forms', 'a', 2) ORDER BY 1, 2, 3;
SELECT _topic, _partition, _offset FROM poll_records('member_forms', 'a', 3) ORDER BY 1, 2, 3;

-- a partition more, and a topic less
SELECT alter_topic('member_forms_2', 4);
SELECT * FROM heartbeat('member_forms', 'a', 3);
SELECT * FROM heartbeat('member_forms', 'a', 4);
SELECT drop_topic('member_forms_2');
SELECT * FROM heartbeat('member_forms', 'a', 4);
SELECT * FROM members;
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'b');
SELECT target_assignment FROM members;

-- to join again with the same member_id: the partitions are kept, the epochs are not
SELECT leave_group('member_forms', 'b', 5);
SELECT * FROM heartbeat('member_forms', 'a', 6);
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'a');
SELECT * FROM heartbeat('member_forms', 'a', 6);
SELECT * FROM poll_records('member_forms', 'a', 6);
SELECT commit_offsets('member_forms', 'a', 6, 'member_forms_1', 0, 0);
SELECT * FROM heartbeat('member_forms', 'a', 7);
SELECT * FROM members;
SELECT leave_group('member_forms', 'a', 7);
SELECT delete_group('member_forms');

-- the same instance_id: another one takes the place and what belongs to it
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'x', member_id => 'd');
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'y', member_id => 'a', session_timeout => '30 min');
SELECT * FROM heartbeat('member_forms', 'd', 2);
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'w', member_id => 'c', session_timeout => '30 min');
SELECT * FROM heartbeat('member_forms', 'a', 3);
SELECT * FROM members;
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'x', member_id => 'b', session_timeout => '30 min');
SELECT * FROM members;
SELECT * FROM heartbeat('member_forms', 'a', 4);
SELECT * FROM heartbeat('member_forms', 'd', 2);
SELECT * FROM heartbeat('member_forms', 'd', 3);
SELECT * FROM poll_records('member_forms', 'd', 2);
SELECT commit_offsets('member_forms', 'd', 2, 'member_forms_1', 0, 0);
SELECT leave_group('member_forms', 'd', 2);
SELECT members, state FROM groups;
-- until its session would have ended
SELECT qtopic_internal.expire_members(now() + interval '1 min') AS expired;
SELECT * FROM heartbeat('member_forms', 'd', 2);
SELECT * FROM members;
-- a fenced one may come back as another
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'x', member_id => 'e', session_timeout => '30 min');
-- with a member_id and another instance_id
SELECT * FROM join_group('member_forms', '{member_forms_1}', instance_id => 'z', member_id => 'e', session_timeout => '30 min');
SELECT * FROM members;
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'b', session_timeout => '30 min');
SELECT * FROM members;
SELECT member_id, instance_id, state FROM members;

-- a member that was not heard of is removed, and its partitions are free
SELECT qtopic_internal.expire_members(now() + interval '1 hour') AS expired;
SELECT * FROM heartbeat('member_forms', 'e', 6);
SELECT * FROM groups;
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'e');
SELECT leave_group('member_forms', 'e', (SELECT group_epoch FROM groups));
SELECT delete_group('member_forms');

-- a group that starts at "latest": where that was is noted by the first look
SELECT create_group('member_forms', 'member_forms_1', 'latest');
SELECT * FROM join_group('member_forms', '{member_forms_1}', member_id => 'a');
SELECT * FROM poll_records('member_forms', 'a', 1);
SELECT * FROM positions;
SELECT _offset FROM produce('member_forms_1', NULL::text, 'late', partition => 3);
SELECT _partition, _offset, value FROM poll_records('member_forms', 'a', 1);
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 3, 2);
SELECT * FROM poll_records('member_forms', 'a', 1);
-- a position that was deleted below is moved
SELECT delete_records('member_forms_1', 0, -1);
SELECT commit_offsets('member_forms', 'a', 1, 'member_forms_1', 0, 1);
SELECT * FROM poll_records('member_forms', 'a', 1);
SELECT * FROM positions;
SELECT leave_group('member_forms', 'a', 1);
SELECT delete_group('member_forms'), drop_topic('member_forms_1');
SELECT count(*) FROM qtopic_internal.ownership;
