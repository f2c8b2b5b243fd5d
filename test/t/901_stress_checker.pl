# The checker of "make stress" must notice what is planted in a good history:
# the tests of test/stress/checker_test.py, one for each kind of anomaly.

use strict;
use warnings;

use FindBin;

exec('python3', '-B', "$FindBin::RealBin/../stress/checker_test.py", '--tap')
  or die "cannot run python3: $!";
