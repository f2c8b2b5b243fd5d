# 086_producer_memory - a producer holds a bounded part of what it produces,
# however large the records are, and a reader that waits does not grow.
#
# Seen to fail: mutants producer_keeps_large_batches, drain_keeps_large_batches,
# wait_keeps_buffer.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

# Few buffers, which count as memory of the processes that use them.
my $node = new_node('main', autovacuum => 0, conf => "shared_buffers = 8MB\n");
my $partitions = 50;

$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION status(pid text, what text) RETURNS int VOLATILE LANGUAGE sql AS \$\$
	SELECT (regexp_match(pg_read_file(format('/proc/%s/status', pid), 0, 100000), what || ':\\s+(\\d+)'))[1]::int \$\$;
SELECT create_topic('large', $partitions, '{"compression.type": "none"}'), create_topic('blocked');
SQL

sub session
{
	my $session = open_session($node);

	run_in($session, "SELECT length(repeat('x', 1000000)), status('self', 'VmHWM')");
	return $session;
}

# growth($session, $statement): by how much the most memory that the session has ever
# had grows with a statement, in kB
sub growth
{
	my ($session, $statement) = @_;
	my $before = run_in($session, "SELECT status('self', 'VmHWM')");

	run_in($session, $statement);
	my $kb = run_in($session, "SELECT status('self', 'VmHWM')") - $before;
	note("$statement: $kb kB");
	return $kb;
}

# Records of 1 MB, 200 MB in all.
my $records = "SELECT i, repeat('x', 1000000) FROM generate_series(1, 200) i";
my $limit = 70_000;

my $session = session();
cmp_ok(growth($session, "SELECT cardinality(array_agg(v)) FROM ($records) r (i, v)"),
	'>', 2 * $limit, 'memory that a statement keeps is seen');
$session->quit;

$session = session();
cmp_ok(growth($session, "INSERT INTO qtopic.large (key, value) $records"), '<', $limit,
	'INSERT of large records into many partitions');
is(run_in($session, 'SELECT count(*) FROM qtopic.large'), 200, 'all are there');
$session->quit;

# Deferred ones are buffered, but no second time when they are appended.
$session = session();
run_in($session, "SET qtopic.deferred_buffer_size = '1GB'; BEGIN");
run_in($session, "SELECT count(produce('large', i, v, partition => 0, deferred => true)) FROM ($records) r (i, v)");
cmp_ok(growth($session, 'COMMIT'), '<', $limit / 2, 'deferred records');
$session->quit;

# Each commit wakes the reader, which finds nothing behind the open transaction.
my ($blocker, $reader) = (open_session($node), open_session($node));
my $pid = run_in($reader, 'SELECT pg_backend_pid()');
run_in($reader, "SELECT count(*) FROM fetch_records('blocked', 0, 0)");
run_in($blocker, "BEGIN; SELECT produce('blocked', 'first')");
send_query($reader, "SELECT count(*) FROM fetch_records('blocked', 0, 0, max_wait => '1 h')");
wait_for_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
my $before = $node->safe_psql('postgres', "SELECT status('$pid', 'RssAnon')");
$node->safe_psql('postgres', "DO \$\$ BEGIN FOR i IN 1 .. 10000 LOOP PERFORM produce('blocked', 'x'); COMMIT; END LOOP; END \$\$");
my $grown = $node->safe_psql('postgres', "SELECT status('$pid', 'RssAnon')") - $before;
note("a reader that waits: $grown kB");
cmp_ok($grown, '<', 1000, 'a reader that waits does not grow');
run_in($blocker, 'ROLLBACK');
is(scalar receive($reader), 500, 'and gets records in the end');
$_->quit foreach $blocker, $reader;

$node->stop;
done_testing();
