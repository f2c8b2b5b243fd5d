# MembershipTest - run random members of a consumer group, and have the checker
# judge; see membership.py and membership_checker.py.
#
#   use MembershipTest;
#   run_membership(seconds => 60);

package MembershipTest;

use strict;
use warnings;

use Exporter 'import';
use File::Basename;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(run_membership);

my $dir = dirname(__FILE__);

# The first Python that can talk to a server.
sub python
{
	my ($python) = grep { -x $_ && system("$_ -c 'import psycopg' 2>/dev/null") == 0 }
	  map { "$_/python3" } split(/:/, $ENV{PATH}), '/usr/bin';

	return $python // BAIL_OUT('there is no python3 with psycopg');
}

# run_membership(%options):
#   seconds => 60        how long
#   seed => 1            default: the clock
sub run_membership
{
	my (%options) = @_;
	my $seconds = $options{seconds};
	my $seed = $options{seed} // int(time * 1000) % 1000000007;
	my $python = python();
	my $log = "$PostgreSQL::Test::Utils::tmp_check/log/membership-$$.log";
	my $node = new_node('membership');

	diag("membership: STRESS_SEED=$seed STRESS_SECONDS=$seconds");
	diag(`$python -B $dir/membership.py '@{[ $node->connstr('postgres') ]}' $seconds $seed $log 2>&1`);
	is($?, 0, 'the members came to their end');
	diag(`$python -B $dir/membership_checker.py $log 2>&1`);
	ok($? == 0, "the checker finds nothing wrong (STRESS_SEED=$seed; $log)") and unlink $log;
	$node->stop('fast');
	return;
}

1;
