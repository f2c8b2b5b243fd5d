# 035_settled_after_restart - what is settled in a partition that is used for
# the first time since the server was started: all that was appended before,
# unless a prepared transaction appended it.  If that one has ended by then, a
# snapshot in which it was still open stays blocked nevertheless.
#
# Seen to fail while settled_at_start() counted for every snapshot (xid 0).

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $node = new_node('main', autovacuum => 0);
my @ends = qw(commit rollback);

# Offsets and values from position 1, then from position 0: the other way round
# the second look would go no further than the first.
sub records
{
	my ($topic) = @_;
	return 'SELECT ' . join ', ',
	  map { "(SELECT string_agg(_offset || value, ' ' ORDER BY _offset) FROM fetch_records('$topic', 0, $_))" } 1, 0;
}

foreach my $end (@ends)
{
	$node->safe_psql('postgres', <<SQL);
SELECT create_topic('$end');
BEGIN;
SELECT produce('$end', 'prepared');
PREPARE TRANSACTION '$end';
SELECT produce('$end', 'later');
SQL
}
$node->restart;

my $old = open_session($node);
run_in($old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
$node->safe_psql('postgres', "$_ PREPARED '$_'") foreach @ends;
foreach my $end (@ends)
{
	is(run_in($old, records($end)), '|', "$end prepared: a snapshot from before sees nothing, wherever it reads from");
}
run_in($old, 'COMMIT');
is(run_in($old, records('commit')), '1later|0prepared 1later', 'commit prepared: a later one sees all');
is(run_in($old, records('rollback')), '1later|1later', 'rollback prepared: a later one sees what is left');
$old->quit;

$node->stop;
done_testing();
