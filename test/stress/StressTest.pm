# StressTest - run the stress driver against a server that crashes, and have the
# checker judge.
#
#   use StressTest;
#   run_stress(seconds => 60);

package StressTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use POSIX ();
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(run_stress);

my $dir = dirname(__FILE__);

# Fewer seconds than these leave a standby nothing to do.
my $standby_seconds = 20;

sub build_driver
{
	my ($driver) = @_;
	my @libs = map { `pg_config --$_` =~ s/\s+\z//r } qw(includedir libdir);

	system_or_bail('cc', '-std=gnu99', '-O1', '-g', '-Wall', '-Wextra', '-Wno-unused-parameter',
		"-I$libs[0]", glob("$dir/*.c"), '-o', $driver, "-L$libs[1]", '-lpq', '-lpthread');
}

sub make_topics
{
	my ($node) = @_;

	$node->safe_psql('postgres', <<'SQL');
SELECT create_topic('stress_one', 1);
SELECT create_topic('stress.two', 2, '{"compression.type": "zstd"}');
SELECT create_topic('stress-three', 3, '{"compression.type": "uncompressed"}');
CREATE TABLE stress_outcome (producer int, txn bigint, PRIMARY KEY (producer, txn));
CREATE TABLE stress_naive (id bigserial PRIMARY KEY, producer int, number bigint);
CREATE TABLE stress_processed (seq bigserial, consumer_group text, topic text, partition int,
	record_offset bigint, record text, old_offset bigint, consumer int, txn bigint);
SQL
}

# The driver, with its errors shown; returns its pid.
sub start_driver
{
	my (@command) = @_;
	my $pid = fork // BAIL_OUT("cannot fork: $!");

	if (!$pid)
	{
		open(STDOUT, '>&', \*STDERR);
		exec @command or POSIX::_exit(127);
	}
	return $pid;
}

# wait_driver($pid, $deadline): its exit code, or undef while it runs
sub wait_driver
{
	my ($pid, $deadline) = @_;

	while (1)
	{
		return $? if waitpid($pid, POSIX::WNOHANG()) == $pid;
		return if time >= $deadline;
		sleep 0.05;
	}
}

# Announce it, so that transactions go without flushing WAL, then crash.  Nobody
# else may write WAL out, as what the system has got survives kill.  Sometimes
# readers pause before, as they flush what they read: then commits are lost that
# were acknowledged.
sub crash_and_start
{
	my ($node, $pid, $pause) = @_;

	kill 'USR1', $pid;
	kill 'STOP', $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
	sleep 0.2 + rand 0.8;
	if ($pause)
	{
		kill 'USR2', $pid;
		sleep 0.02 + rand 0.2;
	}
	crash($node);
	$node->start;
}

# run_stress(%options):
#   seconds => 60        how long
#   crashes => 1         how often the server crashes meanwhile; spread evenly
#   producers => 8
#   standby => 1         read from a hot standby, too
#   seed => 1            default: the clock
sub run_stress
{
	my (%options) = @_;
	my $seconds = $options{seconds};
	my $seed = $options{seed} // int(time * 1000) % 1000000007;
	my $standby = $options{standby} // 0;
	my $driver = "$PostgreSQL::Test::Utils::tmp_check/driver-$$";
	my $logs = PostgreSQL::Test::Utils::tempdir('stress');
	my ($node, $replica);
	my $status;

	srand $seed;
	diag("stress: STRESS_SEED=$seed STRESS_SECONDS=$seconds, $options{producers} producers, "
		  . "$options{crashes} crashes, " . ($standby ? 'with' : 'without') . ' a hot standby');
	build_driver($driver);
	$node = new_node(
		'stress',
		init => [ allows_streaming => $standby ],
		conf => <<CONF);
max_connections = 120
wal_level = replica
max_wal_senders = 4
autovacuum_naptime = 1
wal_buffers = 64MB
checkpoint_timeout = 30
wal_keep_size = 1GB
deadlock_timeout = 1s
log_statement = none
log_min_messages = warning
log_min_error_statement = panic
CONF
	make_topics($node);
	if ($standby)
	{
		$node->backup('base');
		$replica = PostgreSQL::Test::Cluster->new('stress_standby');
		$replica->init_from_backup($node, 'base', has_streaming => 1);
		$replica->append_conf('postgresql.conf',
			"hot_standby_feedback = on\nwal_retrieve_retry_interval = 200\nmax_standby_streaming_delay = 5s\n");
		$replica->start;
	}

	my $begin = time;
	my $pid = start_driver($driver, $node->connstr('postgres'), $logs, $seconds, $seed,
		$options{producers}, $standby ? $replica->connstr('postgres') : ());
	for my $i (1 .. $options{crashes})
	{
		my $at = $begin + $seconds * $i / ($options{crashes} + 1);
		last if defined($status = wait_driver($pid, $at));
		crash_and_start($node, $pid, $options{crashes} > 1 ? $i % 2 == 0 : rand() < 0.5);
	}
	$status //= wait_driver($pid, $begin + $seconds + 120);
	if (!defined $status)
	{
		diag('the driver hangs; what the server does:');
		diag($node->safe_psql('postgres',
			"SELECT application_name, state, wait_event_type, wait_event, left(query, 100) FROM pg_stat_activity WHERE state IS NOT NULL"));
		diag($replica->safe_psql('postgres',
			"SELECT 'standby', application_name, state, wait_event_type, wait_event, left(query, 100) FROM pg_stat_activity WHERE state IS NOT NULL"))
		  if $replica;
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	is($status, 0, 'the driver came to its end');
	$replica->stop('immediate') if $replica;
	$node->stop('fast');

	my $begin_check = time;
	my $output = `python3 -B $dir/checker.py $logs 2>&1`;
	my $verdict = $?;
	diag($output);
	diag(sprintf 'the checker took %.0f s', time - $begin_check);
	ok($verdict == 0, "the checker finds nothing wrong (STRESS_SEED=$seed)")
	  or keep_logs($logs);
	return;
}

# The logs stay with the results of the test.
sub keep_logs
{
	my ($logs) = @_;
	my $to = "$PostgreSQL::Test::Utils::tmp_check/log/stress-logs-$$";

	system('cp', '-r', $logs, $to);
	diag("the logs are in $to");
}

1;
