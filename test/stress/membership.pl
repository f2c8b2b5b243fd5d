# Random members of a consumer group, which nobody may disturb in what they own;
# see membership.py and membership_checker.py.  About a minute.
#
# STRESS_SECONDS=60      how long
# STRESS_SEED=N          repeats the choices, though not the timing

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MembershipTest;
use Test::More;

run_membership(seconds => $ENV{STRESS_SECONDS} // 60, seed => $ENV{STRESS_SEED});
done_testing();
