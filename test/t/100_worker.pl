# 100_worker - life and death of the launcher and of the workers of databases.

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
	extension => 0,
	init => [ allows_streaming => 1 ],
	conf => "max_worker_processes = 20\nlog_min_messages = debug1\nrestart_after_crash = on");

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# Pids of the workers of a database, or of the launcher (''); in a query that
# looks at other databases than its own.
sub pids
{
	my ($database) = @_;
	return "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE "
	  . ($database eq '' ? "backend_type = 'qtopic launcher'"
		: "backend_type = 'qtopic worker' AND datname = '$database'");
}

# The one worker of a database; waits for it.
sub worker
{
	my ($database, $timeout, $on) = @_;
	wait_for_query($on // $node,
		"SELECT count(*) = 1 AND bool_and(state = 'idle') IS TRUE FROM pg_stat_activity
		  WHERE backend_type = 'qtopic worker' AND datname = '$database'", 't', $timeout // 15);
	return ($on // $node)->safe_psql('postgres', pids($database));
}

sub no_worker
{
	my ($database, $timeout, $on) = @_;
	return wait_for_query($on // $node, 'SELECT coalesce((' . pids($database) . "), '')", '', $timeout // 15);
}

# Wait for another worker than the one given.
sub another_worker
{
	my ($database, $pid, $timeout) = @_;
	wait_for_query($node, "SELECT (" . pids($database) . ") <> '$pid'", 't', $timeout // 20);
	return worker($database);
}

# How often a pattern is in the server's log, from a place on.
sub logged
{
	my ($pattern, $from, $of) = @_;
	my $log = substr slurp_file(($of // $node)->logfile), $from // 0;
	my $count = () = $log =~ /$pattern/g;
	return $count;
}

sub wait_for_log
{
	my ($pattern, $from, $of) = @_;
	my $deadline = time + 20;
	until (logged($pattern, $from, $of))
	{
		return 0 if time > $deadline;
		sleep 0.05;
	}
	return 1;
}

# The launcher has looked around since this was called: it has started a worker
# in a database that got the extension now.
my $looks = 0;

sub launcher_has_looked
{
	my $name = 'look' . $looks++;
	sql("CREATE DATABASE $name TEMPLATE template0");
	sql('CREATE EXTENSION qtopic', $name);
	worker($name);
	sql("DROP DATABASE $name");
	return;
}

# ---- a server that does not have the extension

# postgres and template1 are looked at once, by processes that end.
ok(wait_for_log(qr/(?:"qtopic worker" \(PID \d+\) exited with exit code 0.*){2}/s),
	'databases are looked at');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qtopic worker'"), 0,
	'without the extension no worker stays');
like(sql(pids('')), qr/^\d+$/, 'there is one launcher');
is(sql("SELECT coalesce(datname, '-') || ' ' || wait_event_type FROM pg_stat_activity WHERE backend_type = 'qtopic launcher'"),
	'- Extension', 'which is connected to no database');

# ---- CREATE EXTENSION

# Seen to fail: mutant extension_not_told.
sql('CREATE EXTENSION qtopic');
my $pid = worker('postgres');
like($pid, qr/^\d+$/, 'CREATE EXTENSION: a worker is started');
is( sql("SELECT concat_ws(' ', usename, state, wait_event_type, xact_start, backend_xmin) FROM pg_stat_activity WHERE pid = $pid"),
	$node->safe_psql('postgres', 'SELECT rolname FROM pg_roles WHERE oid = 10') . ' idle Extension',
	'which runs as the bootstrap superuser, and between its turns has no transaction');
is(sql("SELECT count(*) FROM pg_locks WHERE pid = $pid"), 0, 'and no locks');

sql('CREATE DATABASE a');
sql('CREATE EXTENSION qtopic', 'a');
worker('a');
pass('CREATE EXTENSION in another database');

sql('CREATE DATABASE rolled_back');
my $place = -s $node->logfile;
sql('BEGIN; CREATE EXTENSION qtopic; ROLLBACK', 'rolled_back');
launcher_has_looked();
no_worker('rolled_back');
pass('CREATE EXTENSION that is rolled back leaves no worker');

# ---- statements that need a database without sessions

# Seen to fail: mutants hold_not_template, hold_for_nobody.
sql("SELECT create_topic('t', 3)", 'a');
my $start = time;
sql('CREATE DATABASE b TEMPLATE a');
cmp_ok(time - $start, '<', 4, 'CREATE DATABASE ... TEMPLATE does not wait for the worker in vain');
worker($_) foreach 'a', 'b';
pass('both databases have a worker then');

# A worker that is busy.
foreach my $try (1 .. 5)
{
	sql('CREATE DATABASE busy TEMPLATE a');
	worker('busy');
	sql("SELECT count(produce('t', i, 'x')) FROM generate_series(1, 2000) i", 'busy');
	is($node->psql('busy', "\\c postgres\nDROP DATABASE busy"), 0, "DROP DATABASE while the worker works ($try)");
}

# Before it has found out whether there is an extension.
foreach my $try (1 .. 5)
{
	is($node->psql('postgres', "CREATE DATABASE young TEMPLATE a"), 0, "CREATE DATABASE ($try)");
	is($node->psql('postgres', 'DROP DATABASE young'), 0, "DROP DATABASE while the worker is started ($try)");
}

sql('ALTER DATABASE b RENAME TO c');
worker('c');
pass('ALTER DATABASE RENAME');
mkdir $node->basedir . '/space';
sql("CREATE TABLESPACE space LOCATION '" . $node->basedir . "/space'");
sql('ALTER DATABASE c SET TABLESPACE space');
worker('c');
pass('ALTER DATABASE SET TABLESPACE');

# With other sessions, to which the worker is none.
my $session = open_session($node);
my $guest = $node->background_psql('c', on_error_stop => 0);
like(error_of($node, 'DROP DATABASE c'), qr/There is 1 other session using the database/,
	'DROP DATABASE fails if there are other sessions');
worker('c');
pass('the worker comes back then');
eval { $guest->quit };

# Until the end of the transaction.  Seen to fail: mutant hold_ends_early.
run_in($session, 'BEGIN; ALTER DATABASE c RENAME TO d');
no_worker('c');
launcher_has_looked();
is(sql(pids('c')), '', 'no worker is started before the transaction has ended');
is(sql('SELECT count(*) FROM pg_locks WHERE NOT granted'), 0, 'nor does one wait for that');
run_in($session, 'ROLLBACK');
worker('c');
pass('one is started after a rollback');

# While a DROP DATABASE is on its way; and if the session dies.  Seen to fail:
# mutant hold_not_checked.
my $holder = open_session($node);
my $holder_pid = run_in($holder, 'SELECT pg_backend_pid()');
run_in($session, 'SELECT pg_advisory_lock(100)');
run_in($holder, "SET qtopic.debug_point = 'database-held:100'");
send_query($holder, 'DROP DATABASE c');
wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE pid = $holder_pid AND locktype = 'advisory' AND NOT granted", 1);
is(sql(pids('c')), '', 'a statement that begins has waited for the end of the worker');
launcher_has_looked();
is(sql(pids('c')), '', 'no worker is started while the statement is on its way');
is($node->psql('postgres', 'CREATE DATABASE e TEMPLATE a; DROP DATABASE e'), 0, 'other databases go on');
sql("SELECT pg_terminate_backend($holder_pid)");
worker('c');
pass('one is started when the session is terminated');
eval { $holder->quit };
run_in($session, 'SELECT pg_advisory_unlock(100)');

# Who may not do it does not disturb the worker.  Seen to fail: mutant hold_by_anybody.
sql('CREATE ROLE nobody LOGIN');
$pid = worker('c');
is(error_code($node, "SET ROLE nobody; $_"), '42501', "not the owner: $_")
  foreach 'DROP DATABASE c', 'ALTER DATABASE c RENAME TO d', 'CREATE DATABASE d TEMPLATE c';
is(worker('c'), $pid, 'the worker was not disturbed');
sql('DROP DATABASE c');
no_worker('c');
sql('DROP TABLESPACE space');

# ---- DROP EXTENSION

# Seen to fail: mutant extension_not_told, worker_ignores_drop.
$pid = worker('a');
sql('DROP EXTENSION qtopic CASCADE', 'a');
no_worker('a');
launcher_has_looked();
is(sql(pids('a')), '', 'DROP EXTENSION ends the worker for good');
sql('CREATE SCHEMA s; CREATE EXTENSION qtopic SCHEMA s', 'a');
worker('a');
sql('DROP SCHEMA s CASCADE', 'a');
no_worker('a');
pass('so does DROP SCHEMA ... CASCADE');
sql('CREATE EXTENSION qtopic', 'a');
$pid = worker('a');
sql('BEGIN; DROP EXTENSION qtopic CASCADE; ROLLBACK', 'a');
is(worker('a'), $pid, 'a rollback does not');
# Seen to fail: mutant worker_of_other_extension.
sql('BEGIN; DROP EXTENSION qtopic CASCADE; CREATE EXTENSION qtopic; COMMIT', 'a');
isnt(another_worker('a', $pid), $pid, 'another extension gets another worker');

# ---- the switch

# Seen to fail: mutant workers_never_off.
sql('ALTER SYSTEM SET qtopic.workers = off; SELECT pg_reload_conf()');
no_worker($_) foreach 'a', 'postgres';
pass('qtopic.workers = off ends the workers');
is($node->psql('postgres', 'CREATE DATABASE g TEMPLATE a; DROP DATABASE g'), 0, 'databases can be copied and dropped');
sql('ALTER SYSTEM RESET qtopic.workers; SELECT pg_reload_conf()');
worker($_) foreach 'a', 'postgres';
pass('qtopic.workers = on starts them');

# ---- what fails

# Seen to fail: mutant backoff_is_constant.
sql('DROP DATABASE a');
$pid = worker('postgres');
$place = -s $node->logfile;
foreach my $delay (1000, 2000, 4000)
{
	sql("SELECT pg_terminate_backend($pid)");
	ok(wait_for_log(qr/qtopic worker of database "postgres" has ended, restarting it in $delay ms/, $place),
		"a worker that ends by itself is restarted after $delay ms");
	$pid = another_worker('postgres', $pid);
}
is(logged(qr/qtopic worker of database .* has ended/, $place), 3, 'the log says so each time');

# A cancelled job is not the end.
sql("SELECT pg_cancel_backend($pid)");
sql("SELECT create_topic('t'); SELECT produce('t', 'x')");
is(worker('postgres'), $pid, 'a cancel request does not end the worker');

# Seen to fail: mutant launcher_exits_zero.
my $launcher = sql(pids(''));
sql("SELECT pg_terminate_backend($launcher)");
wait_for_query($node, 'SELECT (' . pids('') . ") <> '$launcher'", 't', 20);
launcher_has_looked();
is(worker('postgres'), $pid, 'a new launcher takes over the workers that there are');
sql("SELECT pg_terminate_backend($pid)");
isnt(another_worker('postgres', $pid), $pid, 'and restarts them');
sql('CREATE DATABASE h; DROP DATABASE h');

# kill -9 restarts the server.
$pid = worker('postgres');
eval { $session->quit };
kill 'KILL', $pid;
wait_for_query($node, "SELECT (" . pids('postgres') . ") <> '$pid'", 't', 60);
worker('postgres');
pass('after kill -9 of the worker the server restarts, and has a worker again');
$node->restart;
worker('postgres');
pass('so it has after a restart');

# ---- recovery and promotion

# Seen to fail: mutant launcher_in_recovery.
$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'qtopic%'"), 0,
	'on a standby there is neither launcher nor worker');
$standby->promote;
worker('postgres', 20, $standby);
like($standby->safe_psql('postgres', pids('')), qr/^\d+$/, 'a promotion starts the launcher and it starts a worker');
$standby->stop;

# ---- binary upgrade

# Seen to fail: mutant launcher_in_upgrade.
$node->stop;
command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, '-l', $node->logfile, '-o', '-b', 'start' ],
	'start as pg_upgrade does');
is(sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'qtopic%'"), 0, 'there is no launcher then');
command_ok([ 'pg_ctl', '-w', '-D', $node->data_dir, 'stop' ], 'stop');

# ---- too few background workers

# The core's launcher and ours take two.  Seen to fail: mutant full_logged_always.
my $small = new_node('small', autovacuum => 0, extension => 0,
	conf => "max_worker_processes = 3\nmax_logical_replication_workers = 1");
$small->safe_psql('postgres', "CREATE DATABASE $_") foreach 'a', 'b', 'c';
$small->safe_psql('a', 'CREATE EXTENSION qtopic');
worker('a', undef, $small);
$small->safe_psql($_, 'CREATE EXTENSION qtopic') foreach 'b', 'c';
ok(wait_for_log(qr/no background worker is free for qtopic.*\n.*DETAIL.*\n.*HINT.*max_worker_processes/, 0, $small),
	'the log says that there are too few background workers');
$small->safe_psql('postgres', "DROP DATABASE a");
wait_for_query($small, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'qtopic worker' AND datname IN ('b', 'c')", 1, 30);
pass('when there is one it is used');
is(logged(qr/no background worker is free for qtopic/, 0, $small), 1, 'the log says it once');
$small->stop;

done_testing();
