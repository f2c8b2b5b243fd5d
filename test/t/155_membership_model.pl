# A short run of random members of a consumer group; see test/stress/membership.py
# and test/stress/membership_checker.py, which is tested first.
#
# Seen to fail with the mutants member_commit_checked_early, member_expired_early,
# member_fenced_goes_on, member_handover_at_once, member_handover_without_lock and
# member_of_before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../stress";

use MembershipTest;
use Test::More;

is(system('python3', '-B', "$FindBin::RealBin/../stress/membership_checker_test.py"), 0,
	'the checker notices planted anomalies');
run_membership(seconds => $ENV{STRESS_SECONDS} // 20, seed => $ENV{STRESS_SEED});
done_testing();
