# Random transactions against random readers, through crashes: every partition
# must show exactly the committed records, in order, to everybody; and every
# consumer group must process each of them once, in order, while its consumers
# die, partitions are added and positions are moved by hand.  About two minutes.
#
# STRESS_SECONDS=60      how long
# STRESS_SEED=N          repeats the choices, though not the timing
# STRESS_CRASHES=2       how often the server crashes
# STRESS_PRODUCERS=8
# STRESS_STANDBY=1       read from a hot standby, too

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use StressTest;
use Test::More;

is(system('python3', '-B', "$FindBin::RealBin/checker_test.py"), 0,
	'the checker notices planted anomalies');
run_stress(
	seconds => $ENV{STRESS_SECONDS} // 60,
	seed => $ENV{STRESS_SEED},
	crashes => $ENV{STRESS_CRASHES} // 2,
	producers => $ENV{STRESS_PRODUCERS} // 8,
	standby => $ENV{STRESS_STANDBY} // 1);
done_testing();
