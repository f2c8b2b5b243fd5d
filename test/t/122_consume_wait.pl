# 122_consume_wait - consume() and wait_for_records() that wait: who wakes them,
# how many are woken, what ends a wait, and what a waiting session does not hold.
#
# A session that nobody wakes looks again after a second, so a wake-up is told
# from that by the time it takes: the event comes at the beginning of that
# second.  The best of some tries counts.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $wakes = 0.5;				# seconds; nobody who is not woken is that fast
my $tries = 4;

my $node = new_node('main', autovacuum => 0);
my $admin = open_session($node);
my $writer = open_session($node);
my $other = open_session($node);
my @waiters = map { open_session($node) } 1 .. 3;
my ($waiter, $second) = @waiters;
my %pid = map { $_ => scalar run_in($_, 'SELECT pg_backend_pid()') } @waiters, $other, $writer;

# A new topic, read by group g to its end.
my $topics = 0;

sub new_topic
{
	my ($partitions) = @_;
	my $topic = 't' . ++$topics;

	run_in($admin, "SELECT create_topic('$topic', " . ($partitions // 1) . ')');
	run_in($admin, "SELECT create_group('g', '$topic')");
	return $topic;
}

sub produce
{
	my ($topic, $session, $partition) = @_;
	run_in($session // $admin, "SELECT 1 FROM produce('$topic', NULL::text, 'x', partition => " . ($partition // 0) . ')');
	return;
}

sub until_true
{
	my ($what, $condition) = @_;
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($condition->())
	{
		die "in vain: $what" if time > $deadline;
		sleep 0.01;
	}
	return;
}

sub is_waiting
{
	my ($session) = @_;
	return run_in($admin, "SELECT state || ' ' || wait_event_type FROM pg_stat_activity WHERE pid = $pid{$session}") eq 'active Extension';
}

# Let a session wait; returns when it sleeps.
sub start_waiting
{
	my ($session, $sql) = @_;

	send_query($session, $sql);
	until_true("$sql does not wait", sub { is_waiting($session) });
	return;
}

sub consume_sql
{
	my ($topic, $wait) = @_;
	$wait //= '20 s';
	return "SELECT count(*), extract(epoch FROM clock_timestamp()) FROM consume('g', '$topic', max_wait => '$wait')";
}

sub call_sql
{
	my ($topic, $wait) = @_;
	$wait //= '20 s';
	$topic = defined $topic ? "'$topic'" : 'NULL';
	return "CALL wait_for_records('g', $topic, '$wait');\nSELECT extract(epoch FROM clock_timestamp())";
}

# after($sql, $session, $event): let the session run the waiting statement, then
# the event; returns the seconds from it to the answer, and the answer
sub after
{
	my ($sql, $session, $event) = @_;

	start_waiting($waiter, $sql);
	my $start = run_in($session, "SELECT extract(epoch FROM clock_timestamp());\n$event");
	my ($answer, $end) = split /[|\n]/, receive($waiter);
	return ($end - (split /\n/, $start)[0], $answer);
}

# is_woken($name, $answer, $try): call the sub until it returns a latency that
# shows a wake-up; the answer must be right each time
sub is_woken
{
	my ($name, $expected, $try) = @_;
	my $best;

	for (1 .. $tries)
	{
		my ($latency, $answer) = $try->();
		return is($answer, $expected, "$name: the answer") if $answer ne $expected;
		$best = $latency if !defined $best || $latency < $best;
		last if $best < $wakes;
	}
	return cmp_ok($best, '<', $wakes, "$name: the waiting session is woken");
}

# ---- who wakes a consumer

my $t = new_topic();

# Seen to fail: mutant no_wake_at_commit.
is_woken('COMMIT', 1, sub {
	run_in($writer, 'BEGIN');
	produce($t, $writer);
	return after(consume_sql($t), $writer, 'COMMIT');
});
# Seen to fail: mutant no_wake_at_abort.
is_woken('ROLLBACK of the transaction at the head', 1, sub {
	run_in($writer, 'BEGIN');
	produce($t, $writer);
	produce($t);
	return after(consume_sql($t), $writer, 'ROLLBACK');
});
# Seen to fail: mutant no_wake_at_subabort.
is_woken('ROLLBACK TO of the transaction at the head', 1, sub {
	run_in($writer, 'BEGIN; SAVEPOINT s');
	produce($t, $writer);
	produce($t);
	my @result = after(consume_sql($t), $writer, 'ROLLBACK TO s');
	run_in($writer, 'COMMIT');
	return @result;
});

# A sibling lets go of a partition.  Seen to fail: mutants
# free_partition_wakes_nobody, free_partition_wakes_early.
foreach my $end ([ 'COMMIT', 2 ], [ 'ROLLBACK', 3 ])
{
	is_woken("$end of a sibling", $end->[1], sub {
		produce($t) foreach 1 .. 3;
		run_in($other, "BEGIN; SELECT 1 FROM consume('g', '$t', 1)");
		return after(consume_sql($t), $other, $end->[0]);
	});
}
# Seen to fail: mutant subabort_wakes_nobody.
is_woken('ROLLBACK TO of a sibling', 3, sub {
	produce($t) foreach 1 .. 3;
	run_in($other, "BEGIN; SAVEPOINT s; SELECT 1 FROM consume('g', '$t', 1)");
	my @result = after(consume_sql($t), $other, 'ROLLBACK TO s');
	run_in($other, 'COMMIT');
	return @result;
});
# Who had to leave a partition to a sibling that finds nothing there.  Seen to
# fail: mutant refused_not_noted.
is_woken('a sibling that has found nothing', 1, sub {
	run_in($writer, 'BEGIN');
	produce($t, $writer);
	run_in($admin, 'SELECT pg_advisory_lock(122)');
	run_in($other, "SET qtopic.debug_point = 'consume-read:122'");
	send_query($other, "SELECT count(*) FROM consume('g', '$t')");
	wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE pid = $pid{$other} AND NOT granted", 1);
	run_in($writer, 'COMMIT');
	my @result = after(consume_sql($t), $admin, 'SELECT pg_advisory_unlock(122)');
	is(scalar receive($other), 0, 'the sibling has found nothing');
	run_in($other, 'RESET qtopic.debug_point');
	return @result;
});

# A sibling that is cancelled, or fails, between taking a partition and moving its
# position.
is_woken('a sibling that is cancelled while it reads', 1, sub {
	run_in($admin, 'SELECT pg_advisory_lock(122)');
	run_in($other, "SET qtopic.debug_point = 'consume-locked:122'");
	produce($t);
	send_query($other, "SELECT count(*) FROM consume('g', '$t')");
	wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE pid = $pid{$other} AND NOT granted", 1);
	my @result = after(consume_sql($t), $admin, "SELECT pg_cancel_backend($pid{$other})");
	receive($other);
	run_in($admin, 'SELECT pg_advisory_unlock(122)');
	run_in($other, 'RESET qtopic.debug_point');
	return @result;
});

# What COMMIT PREPARED and ROLLBACK PREPARED free is found within a second.
foreach my $end ([ 'COMMIT', 1 ], [ 'ROLLBACK', 2 ])
{
	produce($t) foreach 1 .. 2;
	run_in($other, "BEGIN; SELECT 1 FROM consume('g', '$t', 1); PREPARE TRANSACTION 'p'");
	my ($latency, $count) = after(consume_sql($t), $admin, "$end->[0] PREPARED 'p'");
	is($count, $end->[1], "$end->[0] PREPARED of a sibling: the waiting session gets the records");
	cmp_ok($latency, '<', 5, "$end->[0] PREPARED of a sibling: it looks again once a second");
}

# A group that does not exist yet.
{
	run_in($admin, "SELECT create_topic('first')");
	is_woken('the first record of a topic, in a new group', 1, sub {
		run_in($admin, "SELECT drop_topic('first'); SELECT create_topic('first')");
		start_waiting($waiter, consume_sql('first') =~ s/'g'/'new'/r);
		my $start = time;
		produce('first', $writer);
		my ($count) = split /\|/, receive($waiter);
		return (time - $start, $count);
	});
}

# ---- wait_for_records

is_woken('wait_for_records', 't', sub {
	my @result = after(call_sql($t), $writer, "SELECT 1 FROM produce('$t', 'x')");
	is(scalar run_in($admin, "SELECT count(*) FROM consume('g', '$t')"), 1, 'wait_for_records has consumed nothing');
	return @result;
});
my $t2 = new_topic(2);
is_woken('wait_for_records, any topic', 't', sub {
	my @result = after(call_sql(undef), $writer, "SELECT 1 FROM produce('$t2', NULL::text, 'x', partition => 1)");
	run_in($admin, "SELECT count(*) FROM consume('g', '$t2')");
	return @result;
});
# It is not ready while a sibling has the partition.  Seen to fail: mutant
# ready_without_lock.
is_woken('wait_for_records, ROLLBACK of a sibling', 't', sub {
	produce($t);
	run_in($other, "BEGIN; SELECT 1 FROM consume('g', '$t')");
	is(scalar run_in($waiter, "CALL wait_for_records('g', '$t', '0')"), 'f', 'wait_for_records: a sibling has the partition');
	my @result = after(call_sql($t), $other, 'ROLLBACK');
	run_in($admin, "SELECT count(*) FROM consume('g', '$t')");
	return @result;
});

# ---- how many are woken

# switches($session...): how often they have gone to sleep
sub switches
{
	my $sum = 0;
	foreach my $session (@_)
	{
		slurp_file("/proc/$pid{$session}/status") =~ /^voluntary_ctxt_switches:\s+(\d+)/m;
		$sum += $1;
	}
	return $sum;
}

# One partition has news: one of three sessions is woken, the others sleep on.
# They look again once a second, so the best of some tries counts.  Seen to
# fail: mutant all_are_woken.
{
	my $others = 1000;
	for (1 .. 8)
	{
		my %left = map { $_ => $_ } @waiters;
		start_waiting($_, consume_sql($t)) foreach @waiters;
		my %before = map { $_ => switches($_) } @waiters;
		produce($t, $writer);
		my $got;
		until_true('nobody is woken', sub { ($got) = grep { !is_waiting($_) } @waiters });
		receive($got);
		my $switched = 0;
		$switched += switches($_) - $before{$_} foreach grep { $_ != $got } @waiters;
		$others = $switched if $switched < $others;
		foreach my $session (grep { $_ != $got } @waiters)
		{
			run_in($admin, "SELECT pg_cancel_backend($pid{$session})");
			receive($session);
		}
		last if $others == 0;
	}
	is($others, 0, 'one partition has news: one session of the group is woken');
}

# Both partitions have news: as many sessions work as there are partitions.
{
	start_waiting($_, "BEGIN;\n" . consume_sql($t2) =~ s/, max_wait/, 1, max_wait/r) foreach $waiter, $second;
	run_in($writer, "SELECT count(produce('$t2', NULL::text, 'x', partition => p % 2)) FROM generate_series(0, 3) p");
	my @counts = map { (split /\|/, receive($_))[0] } $waiter, $second;
	is("@counts", '1 1', 'two partitions have news: both sessions work at once');
	run_in($_, 'COMMIT') foreach $waiter, $second;
	run_in($admin, "SELECT count(*) FROM consume('g', '$t2')");
}

# A session that was woken and ends instead of looking passes it on.  One of the
# two is woken; it is stopped, so that it finds the cancel request first.
# Seen to fail: mutant wake_not_passed_on.
foreach my $case ([ $waiter, $second ], [ $second, $waiter ])
{
	my ($stopped, $awake) = @$case;
	my $name = $stopped == $waiter ? 'first' : 'second';
	my $best;

	for (1 .. $tries)
	{
		start_waiting($_, consume_sql($t)) foreach $stopped, $awake;
		kill 'STOP', $pid{$stopped};
		produce($t, $writer);
		run_in($admin, "SELECT pg_cancel_backend($pid{$stopped})");
		my $start = time;
		kill 'CONT', $pid{$stopped};
		my ($stdout, $stderr) = receive($stopped);
		my ($count) = split /\|/, receive($awake);
		my $latency = time - $start;
		like($stderr, qr/canceling statement/, "passing on: the $name session is cancelled");
		is($count, 1, "passing on: the other session gets the record");
		$best = $latency if !defined $best || $latency < $best;
		last if $best < $wakes;
	}
	cmp_ok($best, '<', $wakes, "passing on: the $name session wakes the other one");
}

# One that only tells takes nothing: a session that consumes is woken as well.
# Seen to fail: mutant tellers_counted.
foreach my $case ([ $waiter, $second ], [ $second, $waiter ])
{
	my ($teller, $reader) = @$case;

	is_woken('beside wait_for_records in the ' . ($teller == $waiter ? 'first' : 'second') . ' session', 1, sub {
		start_waiting($teller, call_sql($t));
		start_waiting($reader, consume_sql($t));
		my $start = time;
		produce($t, $writer);
		my ($count) = split /\|/, receive($reader);
		my $latency = time - $start;
		run_in($admin, "SELECT pg_cancel_backend($pid{$teller})");
		my @told = receive($teller);
		return ($latency, $count);
	});
}

# ---- sessions that wait for several topics, or for a group that is changed

# With a worker sessions look again every ten seconds only.
wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qtopic worker'", 1);

# Seen to fail: mutant any_group_not_woken.
is_woken('wait_for_records, any topic, ROLLBACK of a sibling', 't', sub {
	produce($t);
	run_in($other, "BEGIN; SELECT 1 FROM consume('g', '$t')");
	my @result = after(call_sql(undef), $other, 'ROLLBACK');
	run_in($admin, "SELECT count(*) FROM consume('g', '$t')");
	return @result;
});

# A topic of the group is dropped.  Seen to fail: mutant dropped_topic_fails_all.
{
	my ($dropped, $left) = (new_topic(), new_topic());
	start_waiting($waiter, call_sql(undef));
	run_in($admin, "SELECT drop_topic('$dropped')");
	# it has noticed and waits on
	sleep 0.2;
	until_true('wait_for_records does not wait on', sub { is_waiting($waiter) });
	produce($left);
	my ($stdout, $stderr) = receive($waiter);
	is($stderr, '', 'wait_for_records, any topic: one that is dropped fails nobody');
	like($stdout, qr/^t\n/, 'wait_for_records, any topic: the others are waited for');
	run_in($admin, "SELECT count(*) FROM consume('g', '$left')");
}

# A topic joins.  Seen to fail: mutant group_listed_once.
{
	my ($old, $new) = (new_topic(), new_topic());
	produce($new);
	run_in($admin, "SELECT create_group('joined', '$old')");
	my ($latency, $ready) = after(call_sql(undef, '25 s') =~ s/'g'/'joined'/r, $admin, "SELECT create_group('joined', '$new')");
	is($ready, 't', 'wait_for_records, any topic: one that joins the group is noticed');
	cmp_ok($latency, '<', 20, 'before the wait is over');
	run_in($admin, "SELECT drop_topic('$old'), drop_topic('$new')");
}

# Seen to fail: mutant drop_wakes_nobody.
foreach my $sql (\&consume_sql, \&call_sql)
{
	is_woken('drop_topic', '42704', sub {
		my $dropped = new_topic();
		start_waiting($waiter, "\\set VERBOSITY sqlstate\n" . $sql->($dropped));
		my $start = time;
		run_in($admin, "SELECT drop_topic('$dropped')");
		my ($stdout, $stderr) = receive($waiter);
		return (time - $start, $stderr =~ /^(?:psql:\S+ )?ERROR:  (\w+)/ ? $1 : $stderr);
	});
}
run_in($waiter, '\set VERBOSITY default');

# What is left of a group that somebody was making or deleting.  Nobody is woken,
# but looks again after a second.  Seen to fail: mutant busy_group_waits_long.
{
	my $made = new_topic();
	produce($made) foreach 1 .. 2;
	foreach my $sql (consume_sql($made), call_sql($made))
	{
		my $in_group = $sql =~ s/'g'/'made'/r;
		my $name = $sql =~ /^CALL/ ? 'wait_for_records' : 'consume()';
		my $answer = $sql =~ /^CALL/ ? 't' : 2;

		# that a group may be made is enough for wait_for_records
		if ($sql !~ /^CALL/)
		{
			run_in($other, "BEGIN; SELECT count(*) FROM consume('made', '$made')");
			my ($latency, $got) = after($in_group, $other, 'ROLLBACK');
			is($got, $answer, "$name: a group that was not made after all");
			cmp_ok($latency, '<', 5, "$name: it is looked for within a second");
			run_in($admin, "SELECT delete_group('made')");
		}

		run_in($admin, "SELECT create_group('made', '$made')");
		run_in($other, "BEGIN; SELECT delete_group('made')");
		my ($latency, $got) = after($in_group, $other, 'ROLLBACK');
		is($got, $answer, "$name: a group that was not deleted after all");
		cmp_ok($latency, '<', 5, "$name: it is looked at again within a second");
		run_in($admin, "SELECT delete_group('made')");
	}
	run_in($admin, "SELECT drop_topic('$made')");
}

# To wait is use.  Seen to fail: mutant wait_is_no_use.
{
	my $patient = new_topic();
	my $last_seen = "SELECT qtopic_internal.group_last_seen(group_id) FROM qtopic_internal.groups WHERE name = 'patient'";

	run_in($admin, "SELECT create_group('patient', '$patient')");
	produce($patient);
	run_in($admin, "SELECT count(*) FROM consume('patient', '$patient')");
	start_waiting($waiter, call_sql($patient) =~ s/'g'/'patient'/r);
	my $start = run_in($admin, $last_seen);
	# it looks again after ten seconds
	my $deadline = time + 15;
	sleep 0.2 until run_in($admin, $last_seen) gt $start || time > $deadline;
	run_in($admin, "SELECT count(*) FROM consume('g', '$t')");
	run_in($admin, "SELECT qtopic_internal.expire_positions('$start'::timestamptz + current_setting('qtopic.offsets_retention')::interval + '1 ms')");
	is( run_in($admin, "SELECT current_offset FROM qtopic_group_lag WHERE consumer_group = 'patient'"),
		1, 'positions of a group do not expire while a session waits');
	run_in($admin, "SELECT pg_cancel_backend($pid{$waiter})");
	my @cancelled = receive($waiter);
	run_in($admin, "SELECT drop_topic('$patient')");
}

# ---- what ends a wait

sub duration
{
	my ($session, $sql) = @_;
	my $start = time;
	my $result = run_in($session, $sql);
	return (time - $start, $result);
}

my ($seconds, $result) = duration($waiter, "SELECT count(*) FROM consume('g', '$t', max_wait => '700 ms')");
is($result, 0, 'max_wait: nothing came');
cmp_ok($seconds, '>=', 0.7, 'max_wait: consume() has waited that long');
($seconds, $result) = duration($waiter, "CALL wait_for_records('g', '$t', '700 ms')");
is($result, 'f', 'max_wait: not ready');
cmp_ok($seconds, '>=', 0.7, 'max_wait: wait_for_records has waited that long');

# Seen to fail: mutant consume_wait_not_capped.
($seconds, $result) = duration($waiter, "SET qtopic.max_wait = '300 ms';\nSELECT count(*) FROM consume('g', '$t', max_wait => '8 s')");
cmp_ok($seconds, '<', 5, 'qtopic.max_wait bounds consume()');
cmp_ok($seconds, '>=', 0.3, 'qtopic.max_wait: it has waited that long');
($seconds, $result) = duration($waiter, "CALL wait_for_records('g', '$t', '1500 ms')");
cmp_ok($seconds, '>=', 1.5, 'qtopic.max_wait does not bound wait_for_records, which pins nothing');
($seconds, $result) = duration($waiter, "DO \$\$ DECLARE r bool; BEGIN CALL wait_for_records('g', '$t', '1500 ms', r); END \$\$");
cmp_ok($seconds, '>=', 1.5, 'nor in a block that may COMMIT');
# Seen to fail: mutant pinned_wait_not_capped.
($seconds, $result) = duration($waiter, "BEGIN; DECLARE c CURSOR FOR SELECT 1;\nDO \$\$ DECLARE r bool; BEGIN CALL wait_for_records('g', '$t', '8 s', r); END \$\$;\nCOMMIT");
cmp_ok($seconds, '<', 5, 'but where the snapshot of a caller is open');
run_in($waiter, 'RESET qtopic.max_wait');

# Seen to fail: mutants consume_waits_under_repeatable_read, consume_waits_after_write.
foreach my $call ("SELECT count(*) FROM consume('g', '$t', max_wait => '8 s')", "CALL wait_for_records('g', '$t', '8 s')")
{
	($seconds, $result) = duration($waiter, "BEGIN ISOLATION LEVEL REPEATABLE READ;\n$call;\nCOMMIT");
	cmp_ok($seconds, '<', 5, "REPEATABLE READ: no wait, as it cannot help: $call");
	($seconds, $result) = duration($waiter, "BEGIN; CREATE TEMP TABLE written (a int);\n$call;\nROLLBACK");
	cmp_ok($seconds, '<', 5, "a transaction that has written does not wait: $call");
	($seconds, $result) = duration($waiter, "BEGIN; SAVEPOINT s; SELECT txid_current() > 0;\n$call;\nROLLBACK");
	cmp_ok($seconds, '<', 5, "nor one whose subtransaction has: $call");
}

foreach my $sql (consume_sql($t), "CALL wait_for_records('g', '$t', '20 s')", "CALL wait_for_records('g', NULL, '20 s')")
{
	is_woken("a cancel request: $sql", 'cancelled', sub {
		start_waiting($waiter, $sql);
		my $start = time;
		run_in($admin, "SELECT pg_cancel_backend($pid{$waiter})");
		my ($stdout, $stderr) = receive($waiter);
		return (time - $start, $stderr =~ /canceling statement due to user request/ ? 'cancelled' : $stderr);
	});
	is(run_in($waiter, 'SELECT 1'), 1, 'the session works on');
}
is_woken('after a wait that was cancelled', 1, sub {
	return after(consume_sql($t), $writer, "SELECT 1 FROM produce('$t', 'x')");
});

# An error in a block of PL/pgSQL, and a second wait in the same transaction.
is( run_in($waiter, <<"SQL"), '', 'statement_timeout inside of a block that goes on');
SET statement_timeout = '300 ms';
DO \$\$
DECLARE r bool;
BEGIN
	BEGIN
		PERFORM FROM consume('g', '$t', max_wait => '20 s');
		RAISE 'never';
	EXCEPTION WHEN query_canceled THEN
	END;
	PERFORM FROM consume('g', '$t', max_wait => '10 ms');
	CALL wait_for_records('g', '$t', '10 ms', r);
	COMMIT;
	CALL wait_for_records('g', '$t', '10 ms', r);
	PERFORM count(*) FROM pg_class;
END \$\$;
RESET statement_timeout;
SQL

# ---- what a waiting session does not hold

foreach my $sql (consume_sql($t), "CALL wait_for_records('g', '$t', '20 s')", "CALL wait_for_records('g', NULL, '20 s')")
{
	my $call = $sql =~ /^CALL/;
	foreach my $block (0, 1)
	{
		run_in($waiter, 'BEGIN') if $block;
		start_waiting($waiter, $sql);
		my $where = "$sql, " . ($block ? 'in a block' : 'alone');

		# Seen to fail: mutant waits_with_locks.
		is( run_in($admin, "SELECT string_agg(DISTINCT locktype || ' ' || coalesce(relation::regclass::text, objsubid::text, ''), ', ') FROM pg_locks WHERE pid = $pid{$waiter} AND locktype <> 'virtualxid'"),
			'', "no locks: $where");
		# Seen to fail: mutant call_keeps_snapshot.
		is( run_in($admin, "SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid{$waiter}"),
			't', "no snapshot: $where") if $call;
		run_in($admin, "SELECT pg_cancel_backend($pid{$waiter})");
		receive($waiter);
		run_in($waiter, 'ROLLBACK') if $block;
	}
}

# A session that has looked at nothing before reads system catalogs first.
{
	my $fresh = open_session($node);
	$pid{$fresh} = run_in($fresh, 'SELECT pg_backend_pid()');
	start_waiting($fresh, "CALL wait_for_records('g', NULL, '20 s')");
	is( run_in($admin, "SELECT backend_xmin IS NULL FROM pg_stat_activity WHERE pid = $pid{$fresh}"),
		't', 'no snapshot: the first call of a session');
	my $start = time;
	run_in($admin, "SELECT pg_terminate_backend($pid{$fresh})");
	wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid{$fresh}", 0);
	cmp_ok(time - $start, '<', 5, 'pg_terminate_backend() ends the wait at once');
	eval { $fresh->quit };
}

# Nobody waits for it: drop_topic, delete_group.
start_waiting($waiter, consume_sql($t2));
is(error_code($node, "SET lock_timeout = '5 s'; SELECT drop_topic('$t2')"), '', 'drop_topic() does not wait for a waiting consumer');
my ($stdout, $stderr) = receive($waiter);
like($stderr, qr/topic "$t2" does not exist/, 'which notices');
start_waiting($waiter, consume_sql($t));
is(error_code($node, "SELECT delete_group('g')"), '', 'delete_group() does not wait for a waiting consumer');
produce($t, $writer);
cmp_ok((split /\|/, receive($waiter))[0], '>', 0, 'who waits in a group that was deleted makes it again');

# A shutdown does not wait either.
start_waiting($waiter, consume_sql($t));
start_waiting($second, "CALL wait_for_records('g', '$t', '20 s')");
my $start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 10, 'a shutdown ends the waits');

eval { $_->quit } foreach @waiters, $writer, $other, $admin;
done_testing();
