# 150_membership - members of consumer groups whose calls come through PgBouncer in
# transaction mode, who stay over a crash, and whose sessions end; and what a member
# that just goes on costs.
#
# Seen to fail: mutants member_expired_early, member_heartbeat_locks and
# member_late_after_restart.

use strict;
use warnings;

use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_node('main', autovacuum => 0);
my $session = 6;				# seconds; the shortest

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A topic t of two partitions with records 0 to 4 in each, and no group.
sub new_topic
{
	my ($topic) = @_;

	sql("SELECT create_topic('$topic', 2);
		SELECT produce('$topic', NULL::text, i::text, partition => p)
		  FROM generate_series(0, 4) i, generate_series(0, 1) p");
	return;
}

sub positions
{
	my ($group) = @_;
	return sql("SELECT string_agg(partition || ':' || coalesce(current_offset, -1), ' ' ORDER BY partition)
		FROM qtopic_group_lag WHERE consumer_group = '$group'");
}

# What a call of a member gives, as one line.
sub join_sql { my ($group, $topic, $member) = @_; return "member_epoch || ' ' || assignment FROM join_group('$group', '{$topic}', member_id => '$member', session_timeout => '$session s')"; }
sub heartbeat_sql { my ($group, $member, $epoch) = @_; return "member_epoch || ' ' || assignment FROM heartbeat('$group', '$member', $epoch)"; }
sub poll_sql { my ($group, $member, $epoch) = @_; return "coalesce(string_agg(_partition || ':' || _offset, ' ' ORDER BY _partition, _offset), 'nothing') FROM poll_records('$group', '$member', $epoch)"; }
sub commit_sql { my ($group, $member, $epoch, $positions) = @_; return "'done' FROM commit_offsets('$group', '$member', $epoch, '$positions'::jsonb)"; }
sub leave_sql { my ($group, $member, $epoch) = @_; return "'done' FROM leave_group('$group', '$member', $epoch)"; }

# ---- PgBouncer, with two connections to the server

my $dir = PostgreSQL::Test::Utils::tempdir_short;
my ($pgbouncer) = grep { -x $_ } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
BAIL_OUT('there is no pgbouncer: run test/bin/deps') unless $pgbouncer;
my $bouncer;					# its pid

END
{
	local $?;
	if ($bouncer)
	{
		kill 'QUIT', $bouncer;
		waitpid $bouncer, 0;
	}
}

sub start_bouncer
{
	my ($host, $port) = ($node->host, $node->port);

	append_to_file("$dir/pgbouncer.ini", <<CONF);
[databases]
postgres = host=$host port=$port dbname=postgres user=@{[ (getpwuid $>)[0] ]}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $dir
auth_type = any
pool_mode = transaction
default_pool_size = 2
logfile = $dir/log
CONF
	$bouncer = fork // BAIL_OUT("cannot fork: $!");
	if (!$bouncer)
	{
		exec $pgbouncer, '-q', "$dir/pgbouncer.ini" or POSIX::_exit(127);
	}
	my $deadline = time + 30;
	until (-S "$dir/.s.PGSQL.6432")
	{
		BAIL_OUT('pgbouncer does not start: ' . slurp_file("$dir/log")) if time > $deadline;
		sleep 0.05;
	}
	return;
}

start_bouncer();
my ($one, $two, @pins) = map {
	open_session($node, extra_params => [ '-d', "host=$dir port=6432 dbname=postgres" ])
} 1 .. 4;
run_in($_, '\set VERBOSITY sqlstate') foreach $one, $two;

# One of the connections is kept by a transaction of another session, so that calls
# go through the other one; this changes which.
my $pinned = 0;
run_in($pins[0], 'BEGIN; SELECT 1');

sub change_backend
{
	run_in($pins[ 1 - $pinned ], 'BEGIN; SELECT 1');
	run_in($pins[$pinned], 'COMMIT');
	$pinned = 1 - $pinned;
	return;
}

# Each kind of call is made by both members, through another backend than the last one.
my $backend = 0;
my $changes = 0;

sub both
{
	my ($name, @calls) = @_;
	my @results;
	my $before = $backend;

	change_backend();
	foreach my $member ($one, $two)
	{
		my ($call, $expected) = splice @calls, 0, 2;
		my ($stdout, $stderr) = run_in($member, "SELECT pg_backend_pid() || '|' || $call");
		my $result = $stderr =~ s/^psql:\S+ //r || $stdout;
		if ($stdout =~ /^(\d+)\|(.*)$/s)
		{
			($backend, $result) = ($1, $2);
		}
		is($result, $expected, "$name: " . ($member == $one ? 'one' : 'two'));
	}
	$changes++ if $before != $backend;
	return;
}

new_topic('a');
both('join',
	join_sql('g', 'a', 'one') => '1 {"a": [0, 1]}',
	join_sql('g', 'a', 'two') => '2 {}');
both('heartbeat tells one to give up a partition',
	heartbeat_sql('g', 'one', 1) => '2 {"a": [0]}',
	heartbeat_sql('g', 'two', 2) => '2 {}');
both('poll, by which one has given it up',
	poll_sql('g', 'one', 2) => '0:0 0:1 0:2 0:3 0:4',
	poll_sql('g', 'two', 2) => '1:0 1:1 1:2 1:3 1:4');
both('heartbeat', heartbeat_sql('g', 'one', 2) => '2 {"a": [0]}', heartbeat_sql('g', 'two', 2) => '2 {"a": [1]}');
both('commit', commit_sql('g', 'one', 2, '{"a": {"0": 3}}') => 'done', commit_sql('g', 'two', 2, '{"a": {"1": 2}}') => 'done');
is(positions('g'), '0:3 1:2', 'the positions');
both('poll goes on from there',
	poll_sql('g', 'one', 2) => '0:3 0:4',
	poll_sql('g', 'two', 2) => '1:2 1:3 1:4');
both('commit in the partition of the other one',
	commit_sql('g', 'one', 2, '{"a": {"1": 5}}') => 'ERROR:  QT002',
	commit_sql('g', 'two', 2, '{"a": {"1": 3}}') => 'done');
both('leave, while the other one goes on',
	leave_sql('g', 'one', 2) => 'done',
	heartbeat_sql('g', 'two', 2) => '3 {"a": [0, 1]}');
both('the one that has left',
	heartbeat_sql('g', 'one', 2) => 'ERROR:  QT004',
	poll_sql('g', 'two', 3) => '0:3 0:4 1:3 1:4');
both('join again',
	join_sql('g', 'a', 'one') => '4 {}',
	leave_sql('g', 'two', 3) => 'done');
is(positions('g'), '0:3 1:3', 'the positions at the end');
is($changes, 10, 'each time it was another backend');
run_in($pins[$pinned], 'COMMIT');
$_->quit foreach $one, $two, @pins;

# ---- a partition that is given up, and given back since the other one has left

sub one_line { return sql("SELECT $_[0]"); }

# Seen to fail: mutant revocation_forgotten.
new_topic('r');
one_line(join_sql('r', 'r', $_)) foreach 'one', 'two';
is(one_line(heartbeat_sql('r', 'one', 1)), '2 {"r": [0]}', 'one is to give up a partition');
one_line(leave_sql('r', 'two', 2));
is(one_line(heartbeat_sql('r', 'one', 2)), '3 {"r": [0, 1]}', 'as soon as it has, it gets it back');
is(one_line(commit_sql('r', 'one', 3, '{"r": {"1": 4}}')), 'done', 'and commits');
like(error_of($node, 'SELECT ' . commit_sql('r', 'one', $_, '{"r": {"1": 2}}')), qr/QT002/,
	"a late commit of epoch $_ is refused")
  foreach 1, 2;
is(positions('r'), '0:0 1:4', 'it has no effect');

# ---- a crash

my $members = "SELECT string_agg(concat_ws(' ', member_id, member_epoch, group_epoch, state, assignment), ', ' ORDER BY member_id)
	FROM qtopic_group_members WHERE consumer_group = 'h'";

new_topic('b');
one_line(join_sql('h', 'b', 'one'));
one_line(join_sql('h', 'b', 'two'));
one_line(heartbeat_sql('h', 'one', 1));
one_line(heartbeat_sql('h', 'one', 2));
is(one_line(heartbeat_sql('h', 'two', 2)), '2 {"b": [1]}', 'two members');
my $place = sql($members);
is($place, 'one 2 2 stable {"b": [0]}, two 2 2 stable {"b": [1]}', 'and their places');
my $seen = time;
$node->stop('immediate');
sleep 0.1 while time < $seen + $session + 0.5;
$node->start;
is(sql($members), $place, 'after a crash, and longer than their sessions, they have them still');
is(one_line(commit_sql('h', 'one', 2, '{"b": {"0": 2}}')), 'done', 'one commits');
my $called = time;
is(one_line(commit_sql('h', 'two', 2, '{"b": {"1": 2}}')), 'done', 'two commits');
is(positions('h'), '0:2 1:2', 'the positions');
is(one_line(heartbeat_sql('h', 'one', 2)), '2 {"b": [0]}', 'one goes on in its epoch');

# ---- the end of sessions

# Two is heard of no more; one does not stop.
my ($answer, $last);
my $deadline = time + 60;
do
{
	sleep 0.1;
	$last = time;
	$answer = one_line(heartbeat_sql('h', 'one', 2));
} while ($answer eq '2 {"b": [0]}' && time < $deadline);
is($answer, '3 {"b": [0, 1]}', 'partitions of a member whose session has ended go to the other one');
cmp_ok(time - $called, '>=', $session, 'not before it has ended');
like(error_of($node, 'SELECT ' . heartbeat_sql('h', 'two', 2)), qr/QT004/, 'it is not known any more: heartbeat');
like(error_of($node, 'SELECT ' . poll_sql('h', 'two', 2)), qr/QT004/, 'poll');
like(error_of($node, 'SELECT ' . commit_sql('h', 'two', 2, '{"b": {"1": 5}}')), qr/QT004/, 'commit');
is(positions('h'), '0:2 1:2', 'which has no effect');
is(one_line(poll_sql('h', 'one', 3)), '0:2 0:3 0:4 1:2 1:3 1:4', 'the other one goes on from its position');
like(error_of($node, "SELECT * FROM consume('h', 'b')"), qr/55000/, 'consume() is not for a group with members');

# Nobody is there who could notice that one is gone, but the worker.
wait_for_query($node, "SELECT count(*) FROM qtopic_group_members WHERE consumer_group = 'h'", 0, 60);
pass('the last member is removed when its session has ended');
cmp_ok(time - $last, '>=', $session, 'not before');
is(sql("SELECT string_agg(_partition || ':' || _offset, ' ' ORDER BY _partition, _offset) FROM consume('h', 'b')"),
	'0:2 0:3 0:4 1:2 1:3 1:4', 'consume() goes on from the positions that members have committed');
is(sql("SELECT state FROM qtopic_groups WHERE consumer_group = 'h'"), 'empty', 'the group is empty');

# ---- what a member costs that just goes on

# WAL records of this statement alone.
sub wal_of
{
	my ($sql) = @_;
	my ($records) = sql("EXPLAIN (ANALYZE, WAL, FORMAT JSON) SELECT $sql") =~ /"WAL Records": (\d+)/;
	return $records;
}

new_topic('c');
sub c_sql { my ($function, @more) = @_; return $function->('i', 'one', 1, @more); }
$session = 60;
one_line(join_sql('i', 'c', 'one'));
cmp_ok(wal_of(c_sql(\&commit_sql, '{"c": {"0": 5, "1": 5}}')), '>', 0, 'a commit writes WAL');
is(one_line(c_sql(\&poll_sql)), 'nothing', 'there is nothing left');
is(wal_of(c_sql(\&heartbeat_sql)), 0, 'a heartbeat writes no WAL');
is(wal_of(c_sql(\&poll_sql)), 0, 'nor does an empty poll');

my $state = "SELECT pg_current_xact_id_if_assigned() IS NULL, count(*)
	FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory' AND objsubid BETWEEN 20551 AND 20553";
is(sql("BEGIN; SELECT @{[ c_sql(\&heartbeat_sql) ]}; SELECT @{[ c_sql(\&poll_sql) ]}; $state"),
	qq(1 {"c": [0, 1]}\nnothing\nt|0), 'they assign no transaction id and leave no lock');
is(sql("BEGIN; SELECT @{[ c_sql(\&commit_sql, '{\"c\": {\"0\": 5}}') ]}; $state"),
	"done\nf|1", 'as a commit does');

# And while they run: nobody who has the locks disturbs them.
my $owner = open_session($node);
run_in($owner, "BEGIN; SELECT @{[ c_sql(\&commit_sql, '{\"c\": {\"0\": 5, \"1\": 5}}') ]}; SELECT 1 FROM join_group('i', '{c}', member_id => 'new')");
is(sql("SET statement_timeout = '20s'; SELECT @{[ c_sql(\&heartbeat_sql) ]}; SELECT @{[ c_sql(\&poll_sql) ]}"),
	qq(1 {"c": [0, 1]}\nnothing), 'nor do they need one that somebody else has');
run_in($owner, 'ROLLBACK');
$owner->quit;

# Of the whole server, since something else may write at any time: the best of some tries.
my $written;
foreach my $try (1 .. 10)
{
	my ($before, $after) = (split /\n/, sql("SELECT pg_current_wal_insert_lsn() - '0/0'; "
			  . "SELECT @{[ c_sql(\&heartbeat_sql) ]}; SELECT @{[ c_sql(\&poll_sql) ]}; " x 50
			  . "SELECT pg_current_wal_insert_lsn() - '0/0'"))[ 0, -1 ];
	$written = $after - $before;
	last if $written == 0;
}
is($written, 0, '50 heartbeats and empty polls write no WAL');

done_testing();
