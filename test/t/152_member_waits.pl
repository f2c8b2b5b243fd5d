# 152_member_waits - what members that wait keep from others, who may do what to
# them, and that room for members is given back.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('main', autovacuum => 0, conf => "qtopic.max_members = 10\nqtopic.max_wait = '60s'");
my ($one, $two, $three) = map { open_session($node) } 1 .. 3;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# ---- a partition that its last owner has not let go

sql("SELECT create_topic('a', 2);
	SELECT produce('a', NULL::text, i::text, partition => p) FROM generate_series(0, 1) i, generate_series(0, 1) p;
	SELECT join_group('g', '{a}', member_id => 'one')");
run_in($one, 'BEGIN');
run_in($one, q(SELECT commit_offsets('g', 'one', 1, '{"a": {"0": 1, "1": 1}}')));
sql("SELECT join_group('g', '{a}', member_id => 'two')");
is(sql("SELECT member_epoch || ' ' || assignment FROM heartbeat('g', 'one', 2)"), '2 {"a": [0]}', 'partition 1 is to be given up');
is(sql("SELECT state FROM qtopic_group_members WHERE member_id = 'two'"), 'unreleased_partitions', 'but its last owner is about to commit');

send_query($two, "SELECT _partition, _offset FROM poll_records('g', 'two', 2, max_wait => '30s')");
wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%''two'', 2, max_wait%' AND pid <> pg_backend_pid()", '1');
my ($locks) = sql("SELECT count(*) FROM pg_locks WHERE objsubid = 20552 AND mode = 'ExclusiveLock'");
is($locks, 0, 'a member that waits for it does not lock the group');
is(sql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE l.relation = 'qtopic.a'::regclass AND s.query LIKE '%''two'', 2, max_wait%' AND pid <> pg_backend_pid()"), 0, 'nor the topic');
my $released = time;
run_in($one, 'COMMIT');
is(receive($two), '1|1', 'it gets the partition when that is free, from the position committed last');
cmp_ok(time - $released, '<', 5, 'soon');

# ---- members that wait for records

run_in($two, "SELECT commit_offsets('g', 'two', 2, 'a', 1, 2)");
send_query($two, "SELECT count(*) FROM poll_records('g', 'two', 2, max_wait => '30s')");
wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query LIKE '%''two'', 2, max_wait%' AND pid <> pg_backend_pid()", '1');
my $joined = time;
is(sql("SELECT member_epoch FROM join_group('g', '{a}', member_id => 'three')"), 3, 'another one joins meanwhile');
is(receive($two), 0, 'the one that waits returns without records');
cmp_ok(time - $joined, '<', 5, 'soon, as there is a new epoch to ask for');

# ---- rights

sql("CREATE ROLE owner; CREATE ROLE maker; GRANT CREATE ON SCHEMA qtopic TO maker;
	SELECT create_topic('theirs', 1), create_topic('other', 1); GRANT SELECT ON qtopic.other TO owner, maker;
	SELECT produce('other', NULL::text, 'x');
	SET ROLE maker; SELECT create_topic('mine', 1); GRANT SELECT ON qtopic.mine TO owner; RESET ROLE;
	SET ROLE owner; SELECT join_group('r', '{mine,other}', member_id => 'm')");
my $as_maker = 'SET ROLE maker; SELECT commit_offsets';
is(error_code($node, "$as_maker('r', 'm', 1, '{\"other\": {\"0\": 1}}')"), '42501', 'a creator of one topic may not commit in another');
is(error_code($node, "$as_maker('r', 'm', 1, '{\"mine\": {\"0\": 0}, \"other\": {\"0\": 1}}')"), '42501', 'nor together with the own one');
is(error_code($node, "SET ROLE maker; SELECT heartbeat('r', 'm', 1)"), '42501', 'nor speak for the member');
is(error_code($node, "$as_maker('r', 'm', 1, '{\"mine\": {\"0\": 0}}')"), '', 'but in the own one');
sql("SET ROLE owner; SELECT join_group('r', '{mine,other}', member_id => 'n', instance_id => 'i')");
is(error_code($node, "SET ROLE maker; SELECT join_group('r', '{mine}', instance_id => 'i')"), '42501', 'nor take the place of one that reads other topics');
sql("SET ROLE owner; SELECT leave_group('r', 'n', 2)");

# ---- positions are not deleted under a member

sql("SELECT create_topic('c', 1); SELECT produce('c', NULL::text, i::text) FROM generate_series(0, 3) i;
	SELECT count(*) FROM consume('d', 'c', 2)");
run_in($one, 'BEGIN');
run_in($one, "SELECT join_group('d', '{c}', member_id => 'm', session_timeout => '30min')");
send_query($three, "SELECT delete_offsets('d', 'c')");
wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%delete_offsets%' AND pid <> pg_backend_pid()", '1');
run_in($one, 'COMMIT');
like((receive($three))[1], qr/consumer group "d" has members/, 'delete_offsets() sees who has joined while it waited for the group');
is(sql("SELECT qtopic_internal.expire_positions(now() + interval '20 days')"), 0, 'positions do not expire beside a member');
is(sql("SELECT current_offset FROM qtopic_group_lag WHERE consumer_group = 'd'"), 2, 'the position is still there');

# ---- room for members

sql(q(DO $$ BEGIN FOR i IN 1 .. 30 LOOP PERFORM join_group('s', '{c}', member_id => 'x', session_timeout => '30min'); COMMIT; END LOOP; END $$));
is(sql("SELECT count(*) FROM qtopic_group_members WHERE consumer_group = 's'"), 1, 'a member may join as often as it wants');
is(error_code($node, "SELECT join_group('s', '{c}', member_id => i::text) FROM generate_series(1, 20) i"), '53400', 'but there is an end to different ones');

# more members than there is room for, as after a restart with another setting
sql("SELECT join_group('s', '{c}', member_id => 'y' || i, session_timeout => '30min') FROM generate_series(1, 3) i");
sql(q(INSERT INTO qtopic_internal.members SELECT group_id, 'z' || i, 1000 + i, NULL, false, joined_epoch, member_epoch, assignor, session_ms, topics
	FROM qtopic_internal.members, generate_series(1, 20) i WHERE member_id = 'x'));
sql('SELECT qtopic_internal.expire_members(now())');
cmp_ok(sql('SELECT count(*) FROM qtopic_group_members'), '<=', 10, 'members for which there is no room have to go');
done_testing();
