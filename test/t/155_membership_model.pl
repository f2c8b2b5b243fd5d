# A short run of random members of a consumer group; see test/stress/membership.py
# and test/stress/membership_checker.py, which is tested first.

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
