# 120_consume - positions of consumer groups over everything that ends a
# process: kill -9, crash, restart, promotion, dump and restore; and a random run
# of many processes in which consumers die.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_node(
	'main',
	autovacuum => 0,
	init => [ allows_streaming => 1 ],
	conf => "restart_after_crash = on\nqtopic.max_group_partitions = 16");

sub sql
{
	my ($sql, $server, $database) = @_;
	return ($server // $node)->safe_psql($database // 'postgres', $sql);
}

sub consume_sql
{
	my ($group, $topic, $max) = @_;
	$max //= 500;
	return "SELECT string_agg(_partition || '/' || _offset, ' ' ORDER BY _partition, _offset) FROM consume('$group', '$topic', $max)";
}

sub consumed
{
	my ($group, $topic, $max, $server, $database) = @_;
	return sql(consume_sql($group, $topic, $max), $server, $database);
}

sub positions
{
	my ($group, $server, $database) = @_;
	return sql("SELECT string_agg(t.name || ' ' || partition || ':' || next_offset, ', ' ORDER BY t.name, partition)
		FROM qtopic_internal.positions JOIN qtopic_internal.group_topics USING (gt_id) JOIN qtopic_internal.topics t USING (topic_id)
		JOIN qtopic_internal.groups g USING (group_id) WHERE g.name = '$group'", $server, $database);
}

sub locks
{
	return sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid > 2");
}

sub produce
{
	my ($topic, $count, $partition) = @_;
	sql("SELECT count(produce('$topic', NULL::text, i::text, partition => $partition)) FROM generate_series(1, $count) i");
	return;
}

sql("SELECT create_topic('two', 2)");
produce('two', 3, $_) foreach 0, 1;

# ---- a connection that goes from one client to another

# Seen to fail: mutant consume_locks_session.
my $pooled = open_session($node);
run_in($pooled, 'BEGIN');
is(run_in($pooled, consume_sql('g', 'two', 1)), '0/0', 'pooled connection: the first client reads');
run_in($pooled, 'SELECT pg_advisory_unlock_all()');
is(consumed('g', 'two', 1), '', 'pooled connection: others do not get the group before it is made');
run_in($pooled, 'ROLLBACK');
is(consumed('g', 'two', 1), '0/0', 'pooled connection: nothing of the first client is left');
run_in($pooled, 'DISCARD ALL; BEGIN');
is(run_in($pooled, consume_sql('g', 'two', 1)), '1/0', 'pooled connection: the second client reads');
run_in($pooled, 'SELECT pg_advisory_unlock_all()');
is(consumed('g', 'two'), '0/1 0/2', 'pooled connection: others read the other partition');
run_in($pooled, 'COMMIT; DISCARD ALL');
is(locks(), 0, 'pooled connection: no lock is left');
is(positions('g'), 'two 0:3, two 1:1', 'pooled connection: the positions are those of the clients that committed');
$pooled->quit;

# ---- a session that dies

foreach my $death ('pg_terminate_backend', 'end of the client', 'kill -9')
{
	my $session = open_session($node);
	my $pid = run_in($session, 'SELECT pg_backend_pid()');
	my $position = positions('g');

	run_in($session, 'BEGIN');
	is(run_in($session, consume_sql('g', 'two')), '1/1 1/2', "$death: the session has read");
	is(consumed('g', 'two'), '', "$death: others wait for its partition");
	if ($death eq 'kill -9')
	{
		kill 'KILL', $pid;
		# the server ends all sessions and recovers
		wait_for_query($node, "SELECT pg_postmaster_start_time() IS NOT NULL AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	}
	elsif ($death eq 'end of the client')
	{
		$session->{run}->kill_kill;
		wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", 0);
	}
	else
	{
		sql("SELECT pg_terminate_backend($pid, 10000)");
	}
	is(positions('g'), $position, "$death: the positions are where they were");
	is(locks(), 0, "$death: its locks are gone");
	is(run_in(my $next = open_session($node), "BEGIN;\n" . consume_sql('g', 'two') . ";\nROLLBACK"), '1/1 1/2',
		"$death: another session gets the records");
	$next->quit;
	eval { $session->quit };
}

# ---- crash recovery

# Seen to fail: mutant positions_unlogged.
sql("SELECT create_topic('crash', 3)");
produce('crash', 3, $_) foreach 0 .. 2;
is(consumed('g', 'crash', 1), '0/0', 'crash: a committed position');
my ($open, $prepared) = map { open_session($node) } 1, 2;
run_in($open, 'BEGIN');
is(run_in($open, consume_sql('g', 'crash', 1)), '1/0', 'crash: one of an open transaction');
run_in($prepared, 'BEGIN');
is(run_in($prepared, consume_sql('g', 'crash', 1)), '2/0', 'crash: one of a prepared transaction');
run_in($prepared, "PREPARE TRANSACTION 'p'");
crash($node);
eval { $_->quit } foreach $open, $prepared;
$node->start;
is(consumed('g', 'crash'), '0/1 0/2 1/0 1/1 1/2', 'crash: the open transaction has given its records back, the prepared one keeps its partition');
is(error_code($node, "SELECT delete_group('g')"), 'QT003', 'crash: and the group');
sql("COMMIT PREPARED 'p'");
is(consumed('g', 'crash'), '2/1 2/2', 'crash: the prepared position is committed');
is(locks(), 0, 'crash: no lock is left');

# ---- clean restart: what shared memory knew is lost, and nothing depends on it

produce('crash', 1, $_) foreach 0 .. 2;
my $before = positions('g');
$node->restart;
is(positions('g'), $before, 'restart: the positions are there');
is(consumed('g', 'crash') =~ s,/\d+,,gr, '0 1 2', 'restart: the group goes on');
is(consumed('g', 'crash'), '', 'restart: once');

# ---- more partitions than shared memory remembers

# Seen to fail: mutant state_of_other_partition.
sql("SELECT create_topic('many', 40)");
sql("SELECT count(produce('many', NULL::text, 'x', partition => i % 40)) FROM generate_series(0, 119) i");
{
	my %count;
	my $calls = 0;
	while ((my $records = consumed('many', 'many', 7)) ne '')
	{
		$count{$_}++ foreach split / /, $records;
		last if ++$calls > 100;
	}
	is(scalar(keys %count), 120, 'more partitions than are remembered: all records are read');
	is((grep { $_ != 1 } values %count), 0, 'more partitions than are remembered: once');
}

# ---- dump and restore

# Seen to fail: mutants dump_without_positions, dump_without_group_ids.
sql("SELECT create_group('restored', 'crash', 'latest'), create_group('restored', 'two')");
produce('crash', 2, 1);
is(consumed('restored', 'two', 1), '0/0', 'dump: a position');
my $dir = PostgreSQL::Test::Utils::tempdir;
my $dump_state = join "\n", map { positions($_) } qw(g restored);
command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump", '-d', $node->connstr('postgres') ], 'pg_dump');
sql('CREATE DATABASE copy');
command_ok([ 'pg_restore', '-d', $node->connstr('copy'), "$dir/dump" ], 'pg_restore');
is(join("\n", map { positions($_, $node, 'copy') } qw(g restored)), $dump_state, 'restore: the positions are there');
is(consumed('restored', 'crash', 500, $node, 'copy') =~ s,/\d+,,gr, '1 1', 'restore: the group goes on, as it was told to start');
is(consumed('restored', 'two', 500, $node, 'copy'), '0/1 0/2 1/0 1/1 1/2', 'restore: in the other topic too');
is(consumed("new $_", 'two', 1, $node, 'copy'), '0/0', 'restore: groups can be made') foreach 1 .. 5;
is(sql("SELECT count(*) FROM qtopic_internal.groups GROUP BY group_id HAVING count(*) > 1", $node, 'copy'), '', 'restore: with identifiers of their own');
sql('DROP DATABASE copy');

# ---- standby and promotion

$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;

# The standby knows how far the partition was.
sql("SELECT create_topic('promoted')");
produce('promoted', 2, 0);
is(consumed('g', 'promoted', 1), '0/0', 'promotion: a position');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is(sql("SELECT next_offset >= 2 FROM partition_offsets('promoted')", $standby), 't', 'the standby has looked at the topic');
foreach my $call ("SELECT * FROM consume('g', 'promoted')", "SELECT * FROM consume_bytea('g', 'promoted', max_wait => '1 min')",
	"SELECT * FROM consume_jsonb('g', 'promoted')", "CALL wait_for_records('g', 'promoted', '1 min')", "CALL wait_for_records('g', NULL, '1 min')",
	"SELECT create_group('h', 'promoted')", "SELECT delete_group('g')", "SELECT delete_offsets('g', 'promoted')")
{
	my ($function) = $call =~ /(\w+)\(/;
	$function = 'consume' if $function =~ /^consume/;
	# a standby's transactions are read-only, which is found first
	like(error_of($standby, $call), qr/25006: +cannot execute $function\(\) (in a read-only transaction|during recovery)/, "on a standby: $call");
}

# More than the standby knows of: a chunk of offsets, and more.
sql("SELECT count(*) FROM produce_batch('promoted', ARRAY(SELECT i::text FROM generate_series(1, 3000) i))");
my $last = sql("SELECT next_offset - 1 FROM partition_offsets('promoted')");
sql("SELECT create_group('latest', 'promoted', 'latest')");
$before = positions('g');
$open = open_session($node);
run_in($open, 'BEGIN');
run_in($open, consume_sql('g', 'promoted', 100));
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
$node->stop('immediate');
eval { $open->quit };
$standby->promote;
is(positions('g', $standby), $before, 'promotion: the positions are there');
is(consumed('g', 'promoted', 1, $standby), '0/1', 'promotion: the group goes on');
# Also where it is past the shared next offset, which is that of the standby.
{
	my $position = 2;
	while ((my $records = consumed('g', 'promoted', 500, $standby)) ne '')
	{
		my ($first, $end) = $records =~ m,^0/(\d+).* 0/(\d+)$,;
		last if $first < $position;
		$position = $end + 1;
	}
	is($position, $last + 1, 'promotion: to the end');
}
is(consumed('latest', 'promoted', 500, $standby), '', 'promotion: a group that started at the latest record has nothing to read');
sql("SELECT produce('promoted', 'new')", $standby);
like(consumed('g', 'promoted', 500, $standby), qr/^0\/\d+$/, 'promotion: a new record');
like(consumed('latest', 'promoted', 500, $standby), qr/^0\/\d+$/, 'promotion: for the latest group too');
$standby->stop;

# ---- many processes at random: exactly once for each group, in order

$node->start;
sql(<<'SQL');
SELECT create_topic('random', 4);
CREATE TABLE done (seq bigserial, consumer_group text, partition int, _offset bigint);
CREATE PROCEDURE produce_some() LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		PERFORM produce('random', NULL::text, 'x', partition => (random() * 4)::int % 4, deferred => random() < 0.2)
		   FROM generate_series(1, (random() * 5)::int + 1);
		IF random() < 0.2 THEN PERFORM pg_sleep(random() * 0.02); END IF;
		IF random() < 0.2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END $$;
CREATE PROCEDURE consume_some(name text, until_empty bool DEFAULT false) LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
	ready bool;
BEGIN
	LOOP
		BEGIN
			INSERT INTO done (consumer_group, partition, _offset)
				SELECT name, _partition, c._offset FROM consume(name, 'random', (random() * 20)::int + 1) c;
			GET DIAGNOSTICS n = ROW_COUNT;
			IF random() < 0.1 THEN PERFORM 1 / 0; END IF;
		EXCEPTION WHEN division_by_zero THEN
			n := -1;
		END;
		IF random() < 0.1 THEN PERFORM pg_sleep(random() * 0.02); END IF;
		IF random() < 0.2 THEN ROLLBACK; n := -1; ELSE COMMIT; END IF;
		EXIT WHEN until_empty AND n = 0;
		IF n = 0 THEN CALL wait_for_records(name, 'random', '1 s', ready); END IF;
	END LOOP;
END $$;
SQL
my $seed = int(time);
srand $seed;
note "seed $seed";
my @producers = map { open_session($node) } 1 .. 2;
send_query($_, 'CALL produce_some()') foreach @producers;
my @groups = qw(a a a b b);
my @consumers = map { open_session($node) } @groups;
send_query($consumers[$_], "CALL consume_some('$groups[$_]')") foreach 0 .. $#groups;
my $deadline = time + 6;
my $deaths = 0;
while (time < $deadline)
{
	sleep 0.3;
	my $victim = int(rand @groups);
	sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'CALL consume_some(''$groups[$victim]'')%' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1");
	$deaths++;
	push @consumers, open_session($node);
	send_query($consumers[-1], "CALL consume_some('$groups[$victim]')");
}
sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'CALL produce_some%' AND pid <> pg_backend_pid()");
sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'CALL consume_some%' AND pid <> pg_backend_pid()");
eval { $_->quit } foreach @producers, @consumers;
sql("CALL consume_some('$_', true)") foreach qw(a b);
my $records = sql('SELECT count(*) FROM qtopic.random');
note "$records records, $deaths deaths";
cmp_ok($records, '>', 500, 'random: there are records');
is(sql("SELECT consumer_group, count(*), count(DISTINCT (partition, _offset)) FROM done GROUP BY 1 ORDER BY 1"),
	"a|$records|$records\nb|$records|$records", 'random: each record is processed once by each group');
is(sql("SELECT count(*) FROM qtopic.random r WHERE NOT EXISTS (SELECT FROM done d WHERE d.partition = r._partition AND d._offset = r._offset)"),
	0, 'random: the right ones');
is(sql("SELECT count(*) FROM (SELECT _offset < lag(_offset) OVER (PARTITION BY consumer_group, partition ORDER BY seq) AS back FROM done) x WHERE back"),
	0, 'random: in order');
is(locks(), 0, 'random: no lock is left');

$node->stop;
done_testing();
