# A short run of "make stress", with one crash and no standby; see
# test/stress/log.pl and test/stress/checker.py.
#
# Seen to fail with stored batches that are not detoasted, and with the mutants
# that test/stress/README.md lists.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../stress";

use StressTest;
use Test::More;

run_stress(
	seconds => $ENV{STRESS_SECONDS} // 8,
	seed => $ENV{STRESS_SEED},
	crashes => 1,
	producers => 8);
done_testing();
