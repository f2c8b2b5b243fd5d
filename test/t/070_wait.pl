# 070_wait - long polls: who wakes a waiting reader, what ends a wait, and what
# a waiting reader does not hold.
#
# A reader that nobody wakes looks again after a second, so a wake-up is told
# from that by the time it takes: the event comes at the beginning of that
# second.  The best of some tries counts.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $wakes = 0.5;				# seconds; nobody who is not woken is that fast
my $tries = 3;

my $node = new_node('main', autovacuum => 0, conf => 'qtopic.workers = off');
my $admin = open_session($node);
my $writer = open_session($node);
my $other = open_session($node);
my $reader = open_session($node);
my $reader_pid = run_in($reader, 'SELECT pg_backend_pid()');

# next_offset($topic): of partition 0
sub next_offset
{
	my ($topic) = @_;
	return scalar run_in($admin,
		"SELECT next_offset FROM partition_offsets('$topic') WHERE _partition = 0");
}

# Let a session read from an offset and wait; returns when it sleeps.
sub start_waiting
{
	my ($session, $topic, $from, $wait) = @_;
	my $pid = run_in($session, 'SELECT pg_backend_pid()');
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	$wait //= '20 s';
	send_query($session,
		"SELECT count(*), extract(epoch FROM clock_timestamp()) FROM fetch_records('$topic', 0, $from, max_wait => '$wait')");
	until (run_in($admin, "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Extension')
	{
		die 'the reader does not begin to wait' if time > $deadline;
		sleep 0.01;
	}
	return;
}

# latency($topic, $from, $session, $event): seconds from a statement to the
# reader's answer, and how many records that has
sub latency
{
	my ($topic, $from, $session, $event) = @_;

	start_waiting($reader, $topic, $from);
	my $start = run_in($session, "SELECT extract(epoch FROM clock_timestamp());\n$event");
	my ($count, $end) = split /\|/, receive($reader);
	return ($end - (split /\n/, $start)[0], $count);
}

# best_latency($name, $records, $try): call the sub until it returns a latency
# that shows a wake-up
sub best_latency
{
	my ($name, $records, $try) = @_;
	my $best;

	for (1 .. $tries)
	{
		my ($latency, $count) = $try->();
		is($count, $records, "$name: the waiting reader gets the records");
		$best = $latency if !defined $best || $latency < $best;
		last if $best < $wakes;
	}
	cmp_ok($best, '<', $wakes, "$name: it is woken");
	return;
}

# ---- who wakes a reader

run_in($admin, "SELECT create_topic('w')");

# Seen to fail: mutant no_wake_at_commit.
best_latency('COMMIT', 1, sub {
	my $from = next_offset('w');
	run_in($writer, "BEGIN; SELECT produce('w', 'x')");
	return latency('w', $from, $writer, 'COMMIT');
});
best_latency('a statement of its own', 1, sub {
	return latency('w', next_offset('w'), $writer, "SELECT 1 FROM produce('w', 'x')");
});
best_latency('COMMIT with deferred records', 2, sub {
	my $from = next_offset('w');
	run_in($writer, "BEGIN; SELECT produce('w', NULL::text, v, deferred => true) FROM unnest('{a,b}'::text[]) v");
	return latency('w', $from, $writer, 'COMMIT');
});

# Seen to fail: mutant no_wake_at_abort.
best_latency('ROLLBACK of the transaction at the head', 1, sub {
	my $from = next_offset('w');
	run_in($writer, "BEGIN; SELECT produce('w', 'aborted')");
	run_in($other, "SELECT produce('w', 'x')");
	return latency('w', $from, $writer, 'ROLLBACK');
});

# Seen to fail: mutant no_wake_at_subabort.
best_latency('ROLLBACK TO SAVEPOINT', 1, sub {
	my $from = next_offset('w');
	run_in($writer, "BEGIN; SAVEPOINT s; SELECT produce('w', 'aborted')");
	run_in($other, "SELECT produce('w', 'x')");
	my @result = latency('w', $from, $writer, 'ROLLBACK TO SAVEPOINT s');
	run_in($writer, 'COMMIT');
	return @result;
});

# All readers of a topic are woken.
my $second = open_session($node);
best_latency('two readers', '1 1', sub {
	my $from = next_offset('w');
	start_waiting($second, 'w', $from);
	my ($latency, $count) = latency('w', $from, $writer, "SELECT 1 FROM produce('w', 'x')");
	my $before = time;
	my ($also) = split /\|/, receive($second);
	return ($latency + time - $before, "$count $also");
});

# Nobody wakes the reader, which looks again once a second.  Seen to fail:
# mutant wait_without_recheck.
{
	my $from = next_offset('w');
	run_in($writer, "BEGIN; SELECT produce('w', 'x'); PREPARE TRANSACTION 'wait'");
	start_waiting($reader, 'w', $from, '8 s');
	my $start = time;
	run_in($writer, "COMMIT PREPARED 'wait'");
	is((split /\|/, receive($reader))[0], 1, 'COMMIT PREPARED: the waiting reader gets the record');
	cmp_ok(time - $start, '<', 5, 'COMMIT PREPARED: it looks again once a second');
}

# A record that comes between the first look and the beginning of the wait must
# be seen at once: it wakes nobody.  Seen to fail: mutant wait_without_second_look.
best_latency('a record before the wait begins', 1, sub {
	my $from = next_offset('w');
	run_in($admin, 'SELECT pg_advisory_lock(70)');
	run_in($reader, "SET qtopic.debug_point = 'read-snapshot:70'");
	send_query($reader,
		"SELECT count(*), extract(epoch FROM clock_timestamp()) FROM fetch_records('w', 0, $from, max_wait => '20 s')");
	wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE pid = $reader_pid AND locktype = 'advisory' AND NOT granted", 1);
	run_in($writer, "SELECT 1 FROM produce('w', 'x')");
	my $start = run_in($admin, "SELECT extract(epoch FROM clock_timestamp());\nSELECT pg_advisory_unlock(70)");
	my ($count, $end) = split /\|/, receive($reader);
	run_in($reader, 'RESET qtopic.debug_point');
	return ($end - (split /\n/, $start)[0], $count);
});

# News of another partition do not end the wait.
run_in($admin, "SELECT create_topic('two', 2)");
start_waiting($reader, 'two', 0);
run_in($writer, "SELECT produce('two', NULL::text, 'x', partition => $_)") foreach 1, 0;
is((split /\|/, receive($reader))[0], 1, 'a reader waits for records of its partition');

# ---- what ends a wait

# duration($session, $sql): in seconds, of statements that must succeed
sub duration
{
	my ($session, $sql) = @_;
	my $start = time;
	my $result = run_in($session, $sql);
	return (time - $start, $result);
}

my $from = next_offset('w');
my ($seconds, $result) = duration($reader, "SELECT count(*) FROM fetch_records('w', 0, $from, max_wait => '700 ms')");
is($result, 0, 'max_wait: nothing came');
cmp_ok($seconds, '>=', 0.7, 'max_wait: the reader has waited that long');

# Seen to fail: mutant max_wait_not_capped.
($seconds, $result) = duration($reader, <<"SQL");
SET qtopic.max_wait = '300 ms';
SELECT count(*) FROM fetch_records('w', 0, $from, max_wait => '6 s');
RESET qtopic.max_wait;
SQL
cmp_ok($seconds, '<', 4, 'qtopic.max_wait bounds the wait');
cmp_ok($seconds, '>=', 0.3, 'qtopic.max_wait: the reader has waited that long');

# Seen to fail: mutant wait_under_repeatable_read.
($seconds, $result) = duration($reader, <<"SQL");
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM fetch_records('w', 0, $from, max_wait => '6 s');
COMMIT;
SQL
cmp_ok($seconds, '<', 4, 'REPEATABLE READ: no wait, as it cannot help');

# Seen to fail: mutant wait_behind_own_record.
($seconds, $result) = duration($reader, <<"SQL");
BEGIN;
SELECT 'produced' FROM produce('w', 'own');
SELECT count(*) FROM fetch_records('w', 0, $from, max_wait => '6 s');
ROLLBACK;
SQL
is($result, "produced\n0", 'own record: it is not returned');
cmp_ok($seconds, '<', 4, 'own record: no wait, as it cannot help');

$from = next_offset('w');
($seconds, $result) = duration($reader, <<"SQL");
\\set VERBOSITY sqlstate
\\set ON_ERROR_STOP 0
SET statement_timeout = '300 ms';
DO \$\$
BEGIN
	PERFORM FROM fetch_records('w', 0, $from, max_wait => '20 s');
EXCEPTION WHEN query_canceled THEN
END
\$\$;
RESET statement_timeout;
SQL
cmp_ok($seconds, '<', 5, 'statement_timeout ends the wait');

start_waiting($reader, 'w', $from);
my $start = time;
run_in($admin, "SELECT pg_cancel_backend($reader_pid)");
my ($stdout, $stderr) = receive($reader);
like($stderr, qr/57014|canceling statement due to user request/, 'a cancel request ends the wait');
cmp_ok(time - $start, '<', 5, 'at once');

# The same session can wait again.
best_latency('after a wait that was cancelled', 1, sub {
	return latency('w', next_offset('w'), $writer, "SELECT 1 FROM produce('w', 'x')");
});

$from = next_offset('w');
my $second_pid = run_in($second, 'SELECT pg_backend_pid()');
start_waiting($second, 'w', $from);
$start = time;
run_in($admin, "SELECT pg_terminate_backend($second_pid)");
wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $second_pid", 0);
cmp_ok(time - $start, '<', 5, 'pg_terminate_backend() ends the wait at once');
eval { $second->quit };

# ---- what a waiting reader does not hold

# Seen to fail: mutant reader_keeps_leaf_lock.
run_in($admin, "SELECT create_topic('dropped')");
run_in($writer, "SELECT produce('dropped', 'x')");
run_in($reader, 'BEGIN');
start_waiting($reader, 'dropped', 1, '3 s');
is( run_in($admin,
		"SELECT string_agg(relation::regclass::text, ' ') FROM pg_locks JOIN pg_class c ON c.oid = relation
		  WHERE pid = $reader_pid AND (c.relname LIKE 'topic\\_%' OR c.relname = 'dropped')"),
	'', 'a waiting reader holds no lock on the topic');
is(error_code($node, "SET lock_timeout = '5 s'; SELECT drop_topic('dropped')"), '',
	'drop_topic() does not wait for it');
is((receive($reader))[0] =~ /^[1-9]/ ? 'records' : '', '', 'the reader gets nothing');
run_in($reader, 'ROLLBACK');

# A shutdown does not wait either.
start_waiting($reader, 'w', $from);
$start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 10, 'a shutdown ends the wait');

eval { $_->quit } foreach $reader, $writer, $other, $admin;
done_testing();
