# 110_notify - notifications: what is announced, when, by whom, and that a worker
# without news does nothing.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $interval = 100;				# ms
my $node = new_node('main', autovacuum => 0,
	conf => "qtopic.notify_interval = $interval\nmax_locks_per_transaction = 256");
my $listener = open_session($node);
my $writer = open_session($node);
my $other = open_session($node);

my $worker = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'qtopic worker' AND datname = 'postgres'";
wait_for_query($node, "SELECT count(*) FROM ($worker) w", 1);
my $worker_pid = $node->safe_psql('postgres', $worker);

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# ---- the listener

my @got;						# [channel, payload, pid]

# Read what has come.
sub collect
{
	my $output = run_in($listener, 'SELECT 1');
	push @got, [ $1, $2, $3 ]
	  while $output =~ /^Asynchronous notification "([^\n]*?)" with payload "([^\n]*)" received from server process with PID (\d+)\.$/mg;
	return;
}

# offsets($channel): the last offset of each partition that was announced
sub offsets
{
	my ($channel) = @_;
	my %offsets;
	foreach my $notification (grep { $_->[0] eq $channel } @got)
	{
		my ($list) = $notification->[1] =~ /^\{"partitions":\{((?:"\d+":\d+,?)+)\}\}$/
		  or die "payload $notification->[1]";
		$offsets{$1} = $2 while $list =~ /"(\d+)":(\d+)/g;
	}
	return join ' ', map { "$_=$offsets{$_}" } sort { $a <=> $b } keys %offsets;
}

# announced($channel, $expected, $name): wait until the offsets announced are these
sub announced
{
	my ($channel, $expected, $name, $timeout) = @_;
	my $deadline = time + ($timeout // 10);
	while (1)
	{
		collect();
		last if offsets($channel) eq $expected || time > $deadline;
		sleep 0.02;
	}
	is(offsets($channel), $expected, $name) or die 'what follows builds on it';
	return;
}

# Another topic is announced that appended last, so what was to be said
# before has been said.
my $marks = 0;
sql("SELECT create_topic('mark')");
run_in($listener, 'LISTEN qtopic_mark');

sub mark
{
	sql("SELECT produce('mark', 'x')");
	$marks++;
	announced('qtopic_mark', "0=$marks", "mark $marks");
	return;
}

# ---- what is announced

sql("SELECT create_topic('t', 3)");
run_in($listener, 'LISTEN qtopic_t');
sql("SELECT produce('t', NULL::text, 'x', partition => 1)");
announced('qtopic_t', '1=1', 'a record is announced');
is((join ' ', map { $_->[1] } grep { $_->[0] eq 'qtopic_t' } @got), '{"partitions":{"1":1}}', 'the payload');
is($got[-1][2], $worker_pid, 'the worker has sent it');
@got = ();
sql("SELECT produce('t', NULL::text, 'x', partition => p) FROM generate_series(1, 2) p");
announced('qtopic_t', '1=2 2=1', 'only partitions with news are named');

# A head that is blocked.  Seen to fail: mutants no_wake_at_abort, notify_next_offset.
@got = ();
run_in($writer, "BEGIN; SELECT produce('t', NULL::text, 'open', partition => 0)");
sql("SELECT produce('t', NULL::text, 'x', partition => 0)");
mark();
is(offsets('qtopic_t'), '', 'nothing is announced behind an open transaction');
run_in($writer, 'ROLLBACK');
announced('qtopic_t', '0=2', 'until that ends');

@got = ();
run_in($writer, "BEGIN; SELECT produce('t', NULL::text, 'late', partition => 0)");
mark();
run_in($writer, 'COMMIT');
announced('qtopic_t', '0=3', 'a late commit');

run_in($writer, "BEGIN; SELECT produce('t', NULL::text, 'x', partition => 0)");
run_in($other, "BEGIN; SELECT produce('t', NULL::text, 'open', partition => 0)");
run_in($writer, 'COMMIT');
announced('qtopic_t', '0=4', 'only up to an open transaction');
run_in($other, 'COMMIT');
announced('qtopic_t', '0=5', 'and past it when it ends');

# Prepared transactions.  Seen to fail: mutants prepare_tells_nobody,
# prepared_not_watched.
foreach my $end ('COMMIT', 'ROLLBACK')
{
	my $offset = $end eq 'COMMIT' ? 6 : 8;
	@got = ();
	sql("BEGIN; SELECT produce('t', NULL::text, 'prepared', partition => 0); PREPARE TRANSACTION 'p'");
	sql("SELECT produce('t', NULL::text, 'x', partition => 0)") if $end eq 'ROLLBACK';
	mark();
	is(offsets('qtopic_t'), '', 'nothing is announced behind a prepared transaction');
	sql("$end PREPARED 'p'");
	announced('qtopic_t', "0=$offset", "until $end PREPARED");
}

# Not the last transaction: others come after it, and the worker has looked
# at it more than once.
@got = ();
sql("BEGIN; SELECT produce('t', NULL::text, 'prepared', partition => 0); PREPARE TRANSACTION 'p'");
mark() foreach 1 .. 3;
wait_for_query($node, "SELECT query FROM pg_stat_activity WHERE pid = $worker_pid", 'prepared transactions', 10);
sql("COMMIT PREPARED 'p'");
announced('qtopic_t', '0=9', 'one that others have overtaken');

# Deferred records, and the other ways to produce.
@got = ();
sql("BEGIN; SELECT produce('t', NULL::text, 'x', partition => 0, deferred => true); COMMIT");
announced('qtopic_t', '0=10', 'a deferred record');
sql("INSERT INTO qtopic.t (_partition, value) VALUES (0, 'x')");
announced('qtopic_t', '0=11', 'INSERT');

# ---- how often

# Seen to fail: mutant notify_at_once.
@got = ();
my $start = time;
run_in($writer, <<'SQL');
DO $$
BEGIN
	FOR i IN 1 .. 1000 LOOP
		PERFORM produce('t', NULL::text, 'x', partition => 2);
		COMMIT;
		PERFORM pg_sleep(0.001);
	END LOOP;
END $$
SQL
my $seconds = time - $start;
announced('qtopic_t', '2=1001', '1,000 commits are announced');
my $count = grep { $_->[0] eq 'qtopic_t' } @got;
cmp_ok($count, '<=', 3 + $seconds * 1000 / $interval, "in few notifications ($count in $seconds s)");

sql("ALTER SYSTEM SET qtopic.notify_interval = '2 s'; SELECT pg_reload_conf()");
mark();
@got = ();
$start = time;
foreach my $topic ('t', 'mark', 't')
{
	sql("SELECT produce('$topic', NULL::text, 'x', partition => 0)");
}
$marks++;
announced('qtopic_t', '0=13', 'all topics with news');
announced('qtopic_mark', "0=$marks", 'are announced together');
cmp_ok(time - $start, '>', 1, 'after qtopic.notify_interval');
is(scalar(@got), 2, 'in one notification each');
sql('ALTER SYSTEM RESET qtopic.notify_interval; SELECT pg_reload_conf()');

# ---- who is announced, and where

# Seen to fail: mutant notify_ignores_config.
sql("SELECT create_topic('quiet', 1, '{\"notify\": false}')");
run_in($listener, 'LISTEN qtopic_quiet');
sql("SELECT produce('quiet', 'x')");
mark();
is(offsets('qtopic_quiet'), '', 'notify = false: no notification');
sql("SELECT alter_topic('quiet', config => '{\"notify\": true}')");
sql("SELECT produce('quiet', 'x')");
announced('qtopic_quiet', '0=2', 'notify = true: from then on');
sql("SELECT alter_topic('quiet', 2)");
sql("SELECT produce('quiet', NULL::text, 'x', partition => 1)");
announced('qtopic_quiet', '0=2 1=1', 'a partition that was added');

# Seen to fail: mutant channel_is_cut.
my @long = map { 'long.' . 'x' x 70 . $_ } 'a', 'b';
my @channels;
foreach my $topic (@long)
{
	my $channel = sql("SELECT left('qtopic_$topic', 46) || '_' || lpad(to_hex(hashtextextended('qtopic_$topic' COLLATE \"C\", 0)), 16, '0')");
	is(length $channel, 63, "the channel of a long name: $channel");
	push @channels, $channel;
	sql("SELECT create_topic('$topic')");
	run_in($listener, "LISTEN \"$channel\"");
}
sql("SELECT produce('$long[0]', 'x')");
announced($channels[0], '0=1', 'a topic with a long name');
is(offsets($channels[1]), '', 'not on the channel of another one');

# A topic dropped and made again.
sql("SELECT drop_topic('t'); SELECT create_topic('t', 1)");
@got = ();
sql("SELECT produce('t', 'x')");
announced('qtopic_t', '0=1', 'a topic that was dropped and made again');

# Many partitions: no payload of 8,000 bytes, and nothing is left out.  Seen to
# fail: mutant payload_has_no_bound.
sql("SELECT create_topic('wide', 1000)");
sql("SELECT alter_topic('wide', 1500)");
run_in($listener, 'LISTEN qtopic_wide');
@got = ();
sql("SELECT count(produce('wide', NULL::text, 'x', partition => p)) FROM generate_series(0, 1499) p");
announced('qtopic_wide', (join ' ', map { "$_=1" } 0 .. 1499), '1,500 partitions are announced');
my @lengths = map { length $_->[1] } grep { $_->[0] eq 'qtopic_wide' } @got;
cmp_ok((sort { $b <=> $a } @lengths)[0], '<', 8000, "in payloads of less than 8,000 bytes: @lengths");
cmp_ok(scalar @lengths, '<=', 3, 'and few of them');
sql("SELECT drop_topic('wide')");

# A topic that somebody has locked does not hold up the others.  Seen to fail:
# mutant worker_waits_for_locks.
@got = ();
my $leaf = sql("SELECT 'qtopic_internal.topic_' || topic_id || '_p0_0' FROM qtopic_internal.topics WHERE name = 't'");
run_in($writer, "BEGIN; SELECT produce('t', 'x')");
send_query($other, "BEGIN; LOCK TABLE $leaf IN ACCESS EXCLUSIVE MODE");
wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'", 1);
run_in($writer, 'COMMIT');
receive($other);
mark();
is(offsets('qtopic_t'), '', 'a topic that is locked is not announced, but others are');
run_in($other, 'COMMIT');
announced('qtopic_t', '0=2', 'later it is');

# ---- who sends

# A session that produces takes no part in it, so it can be prepared, which
# NOTIFY forbids, and its commits do not take the lock of NOTIFY.
is(error_code($node, "BEGIN; SELECT produce('t', 'x'); PREPARE TRANSACTION 'p2'"), '', 'producers do not NOTIFY');
sql("COMMIT PREPARED 'p2'");
announced('qtopic_t', '0=3', 'and are announced');
is(scalar(grep { $_->[2] != $worker_pid } @got), 0, 'all was sent by the worker');

# ---- an idle worker does nothing

# Seen to fail: mutant worker_polls.
sql('CHECKPOINT');
mark();
sub context_switches
{
	my ($line) = grep { /^voluntary_ctxt_switches/ } split /\n/, slurp_file("/proc/$worker_pid/status");
	return $line =~ /(\d+)/ ? $1 : die 'no context switches';
}

# Until it has gone to sleep; prepared transactions it looks at once a second.
sub asleep
{
	my $last = -1;
	for (1 .. 10)
	{
		my $now = context_switches();
		return $now if $now == $last;
		$last = $now;
		sleep 1.5;
	}
	return $last;
}

my $last = asleep();
my $lsn = sql('SELECT pg_current_wal_insert_lsn()');
sleep 3;
is(context_switches(), $last, 'a worker without news does not wake up');
is(sql('SELECT pg_current_wal_insert_lsn()'), $lsn, 'and there is no WAL');

# News of another database are none.
sql('CREATE DATABASE neighbour');
$node->safe_psql('neighbour', "CREATE EXTENSION qtopic; SELECT create_topic('n')");
$last = asleep();
$node->safe_psql('neighbour', "SELECT produce('n', 'x')") for 1 .. 20;
is(context_switches(), $last, 'commits in another database do not wake it');

# ---- a new worker

# What came while there was none is announced by the next one.  Seen to fail:
# mutant new_worker_knows_all.
sql('ALTER SYSTEM SET qtopic.workers = off; SELECT pg_reload_conf()');
wait_for_query($node, "SELECT count(*) FROM ($worker) w", 0);
@got = ();
sql("SELECT produce('t', 'x')");
sql('ALTER SYSTEM RESET qtopic.workers; SELECT pg_reload_conf()');
announced('qtopic_t', '0=4', 'a new worker announces what it finds');

eval { $_->quit } foreach $listener, $writer, $other;
$node->stop;
done_testing();
