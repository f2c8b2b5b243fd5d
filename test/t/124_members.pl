# 124_members - members of consumer groups and time: who is removed and when, by
# the worker and without one, after a restart, at the limit of their number; and
# what wakes poll_records().
#
# Seen to fail: mutants overdue_members_stay, waiting_is_absence,
# worker_keeps_members and restart_ends_sessions.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_node('main', autovacuum => 0, conf => "qtopic.max_members = 10\nqtopic.max_wait = '60 s'");
my $poller = open_session($node);
my $waiting_pid = run_in($poller, 'SELECT pg_backend_pid()');

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub join_as
{
	my ($group, $member_id, $timeout) = @_;
	return sql("SELECT member_epoch FROM join_group('$group', '{t}', session_timeout => '$timeout', member_id => '$member_id')");
}

sub members
{
	my ($group) = @_;
	return sql("SELECT string_agg(member_id, ' ' ORDER BY member_id) FROM qtopic_group_members WHERE consumer_group = '$group'");
}

sub wait_until_waiting
{
	wait_for_query($node, "SELECT state || ' ' || wait_event_type = 'active Extension' FROM pg_stat_activity WHERE pid = $waiting_pid");
	return;
}

sql("SELECT create_topic('t', 2)");

# ---- poll_records() that waits

# the first one notes where the group begins
join_as('wake', 'a', '30 min');
is(sql("SELECT count(*) FROM poll_records('wake', 'a', 1, max_wait => '10 ms')"), 0, 'no records');
send_query($poller, "SELECT count(*) FROM poll_records('wake', 'a', 1, max_wait => '60 s')");
wait_until_waiting();
my $start = time;
sql("SELECT produce('t', 'x')");
is(scalar receive($poller), 1, 'a record ends the wait');
cmp_ok(time - $start, '<', 20, 'before its time is over');

sql("SELECT commit_offsets('wake', 'a', 1, 't', _partition, _offset + 1) FROM poll_records('wake', 'a', 1)");
send_query($poller, "SELECT count(*) FROM poll_records('wake', 'a', 1, max_wait => '60 s')");
wait_until_waiting();
$start = time;
join_as('wake', 'b', '30 min');
is(scalar receive($poller), 0, 'another epoch of the group ends it, without records');
cmp_ok(time - $start, '<', 20, 'before its time is over');
sql("SELECT leave_group('wake', 'b', 2)");
sql("SELECT heartbeat('wake', 'a', 3)");

# ---- a member that waits is there, one that is not heard of is removed

join_as('time', 'silent', '6 s');
# in a topic of its own: nothing that happens in another group wakes it
sql("SELECT create_topic('calm')");
sql("SELECT member_epoch FROM join_group('calm', '{calm}', session_timeout => '6 s', member_id => 'waiting')");
sql("SELECT count(*) FROM poll_records('calm', 'waiting', 1)");
send_query($poller, "SELECT count(*) FROM poll_records('calm', 'waiting', 1, max_wait => '9 s')");
wait_for_query($node, "SELECT count(*) = 0 FROM qtopic_group_members WHERE member_id = 'silent'");
is(error_code($node, "SELECT heartbeat('time', 'silent', 1)"), 'QT004', 'who is silent for its session is removed by the worker');
is(scalar receive($poller), 0, 'a wait that is longer than the session');
is(error_code($node, "SELECT heartbeat('calm', 'waiting', 1)"), '', 'is no silence');
sql("SELECT leave_group('calm', 'waiting', 1)");
join_as('time', 'restarted', '10 s');
my $seen = time;

# ---- how many

my @joined = grep { error_code($node, "SELECT join_group('many', '{t}', member_id => 'm$_')") eq '' } 1 .. 9;
cmp_ok(scalar @joined, '>', 0, 'there is room for some more');
cmp_ok(scalar @joined, '<', 9, 'qtopic.max_members bounds their number');
like(error_of($node, "SELECT join_group('many', '{t}')"),
	qr/53400: .*too many members.*Increase qtopic\.max_members/s, 'the next one raises an error that names the setting');
is(members('many'), join(' ', map { "m$_" } @joined), 'it is not there, the others are');

# ---- a restart, which takes longer than a session

$poller->quit;
$node->stop;
sleep 1 until time > $seen + 10;
$node->append_conf('postgresql.conf', 'qtopic.workers = off');
$node->start;
is(sql('SELECT qtopic_internal.expire_members(now())'), 0, 'a restart ends no session');
my $epoch = sql("SELECT group_epoch FROM qtopic_groups WHERE consumer_group = 'time'");
is(error_code($node, "SELECT heartbeat('time', 'restarted', $epoch)"), '', 'each member has a new session after a restart');

# ---- without the worker, the others see to it

# room for one more
sql("SELECT leave_group(consumer_group, member_id, member_epoch) FROM qtopic_group_members WHERE member_id = 'm1'");
join_as('time', 'other', '30 min');
wait_for_query($node, "SELECT last_seen < now() - interval '10 s' FROM qtopic_group_members WHERE member_id = 'restarted'");
like(members('time'), qr/restarted/, 'without the worker nobody is removed by time alone');
sql("SELECT heartbeat('time', 'other', (SELECT group_epoch FROM qtopic_groups WHERE consumer_group = 'time'))");
is(members('time'), 'other', 'but by the next call of another member');

$node->stop;
done_testing();
