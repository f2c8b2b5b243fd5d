# 085_relation_memory - scans of a topic and inserts into it take as much memory
# for many records as for few.
#
# Seen to fail: mutants insert_keeps_rows, reader_keeps_scans.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $node = new_node('main', autovacuum => 0, conf => "max_parallel_workers_per_gather = 0\n");
my $records = 300_000;

# Memory of this process that is not a file's nor shared, in kB, for each
# 1,000th record, written down from within the statement.
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION resident(number bigint) RETURNS int VOLATILE LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN number % 1000 = 0
		THEN (regexp_match(pg_read_file('/proc/self/status', 0, 100000), 'RssAnon:\s+(\d+)'))[1]::int END;
END $$;
CREATE TABLE seen (kb int);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.key::int % 10000 = 0 THEN INSERT INTO seen SELECT resident(0); END IF;
	RETURN new;
END $$;
SELECT create_topic('few'), create_topic('many', 2), create_topic('target', 2);
INSERT INTO qtopic.few (key, value) SELECT i, md5(i::text) FROM generate_series(1, 2000) i;
CREATE TRIGGER look BEFORE INSERT ON qtopic.target FOR EACH ROW EXECUTE FUNCTION look();
SQL

# growth($statement...): by how much a new session has grown between the first
# look and the highest, in the last statement, or over all if they look
# by the trigger.
sub growth
{
	my ($name, @statements) = @_;
	my $session = open_session($node);

	run_in($session, "SELECT count(value), resident(0) FROM qtopic.few; TRUNCATE seen");
	run_in($session, $_) foreach @statements[ 0 .. $#statements - 1 ];
	my $kb = run_in($session, $statements[-1]);
	$session->quit;
	note("$name: $kb kB");
	return $kb;
}

my $limit = 3000;
my $seen = 'SELECT max(kb) - min(kb) FROM seen';

# Negative controls: what is kept shows.
cmp_ok(growth('control', "SELECT max(m) - min(m) + 0 * cardinality(array_agg(v)) FROM (SELECT resident(n) AS m, repeat(md5(n::text), 4) AS v FROM generate_series(1, 100000) n OFFSET 0) s"),
	'>', 3 * $limit, 'memory that a statement keeps is seen');
cmp_ok(growth('control of the trigger', "SET qtopic.produce_mode = deferred; INSERT INTO qtopic.target (key, value) SELECT i, md5(i::text) FROM generate_series(1, 100000) i", $seen),
	'>', $limit, 'also what is kept for the end of the transaction');

# ---- inserts

foreach my $insert (
	"INSERT INTO qtopic.target (key, value) SELECT i, md5(i::text) FROM generate_series(1, $records) i",
	"INSERT INTO qtopic.target (key, value, headers) SELECT i, repeat(md5(i::text), 30), '{\"a\": \"b\"}' FROM generate_series(1, 100000) i",
	"COPY qtopic.target (key, value) FROM PROGRAM 'seq 1 $records | sed \"s/.*/&\\t& of many & & & & &/\"'",
	"DO \$\$ BEGIN FOR i IN 1 .. 100000 LOOP INSERT INTO qtopic.target (key, value) VALUES (i, i); END LOOP; END \$\$",
	"INSERT INTO qtopic.target (key, value) SELECT i, i FROM generate_series(1, 50000) i RETURNING NULL")
{
	cmp_ok(growth($insert, "$insert", $seen), '<', $limit, 'flat: ' . substr($insert, 0, 60));
}

$node->safe_psql('postgres', "INSERT INTO qtopic.many (key, value) SELECT i, md5(i::text) FROM generate_series(1, $records) i");
is($node->safe_psql('postgres', 'SELECT count(*) FROM qtopic.many'), $records, 'there are many records');
cmp_ok(growth('INSERT ... SELECT', 'INSERT INTO qtopic.target (key, value) SELECT key, value FROM qtopic.many', $seen), '<', $limit, 'flat: from one topic into another');

# ---- scans

# all that is selected is looked at
my $m = 'SELECT max(m) - min(m) + 0 * count(v) FROM';
my %scans = (
	'all' => "$m (SELECT resident(_offset) AS m, value AS v FROM qtopic.many OFFSET 0) s",
	'the whole row' => "$m (SELECT resident(_offset) AS m, r AS v FROM qtopic.many r OFFSET 0) s",
	'downwards' => "$m (SELECT resident(_offset) AS m, value AS v FROM qtopic.many ORDER BY _partition DESC, _offset DESC OFFSET 0) s",
	'with a condition' => "$m (SELECT resident(_offset) AS m, key AS v FROM qtopic.many WHERE value <> 'x' AND _timestamp > '2020-01-01' AND _offset >= 5 OFFSET 0) s",
	'a lookup again and again' => "$m (SELECT resident(n) AS m, (SELECT value FROM qtopic.many WHERE _partition = 0 AND _offset = n) AS v FROM generate_series(1, 30000) n OFFSET 0) s",
	'again and again downwards' => "$m (SELECT resident(n) AS m, (SELECT value FROM qtopic.many WHERE _partition = 1 AND _offset <= n ORDER BY _offset DESC LIMIT 1) AS v FROM generate_series(1, 20000) n OFFSET 0) s",
	'again and again in partitions' => "$m (SELECT resident(n) AS m, (SELECT value FROM qtopic.many WHERE _partition = ANY (ARRAY[n % 2, 7]) AND _offset = n) AS v FROM generate_series(1, 20000) n OFFSET 0) s",
	'a count again and again' => "$m (SELECT resident(n) AS m, (SELECT count(*) FROM qtopic.many WHERE _partition = 1 AND _offset BETWEEN n AND n + 100) AS v FROM generate_series(1, 20000) n OFFSET 0) s",
	'a maximum again and again' => "$m (SELECT resident(n) AS m, (SELECT max(_offset) FROM qtopic.many WHERE _offset < n) AS v FROM generate_series(1, 10000) n OFFSET 0) s",
	'a statement again and again' => <<'SQL');
DO $$ BEGIN
	FOR i IN 1 .. 20000 LOOP
		PERFORM value FROM qtopic.many WHERE _partition = 0 AND _offset = i;
		IF i % 1000 = 0 THEN INSERT INTO seen SELECT resident(0); END IF;
	END LOOP;
END $$
SQL
foreach my $name (sort keys %scans)
{
	cmp_ok(growth($name, $scans{$name}, $name =~ /^a statement/ ? $seen : ()), '<', $limit, "flat: $name");
}

# The same in the contexts of a session: nothing is left when statements have
# ended.
my $session = open_session($node);
my $contexts = 'SELECT sum(used_bytes) FROM pg_backend_memory_contexts';
my @all = ('SELECT count(value) FROM qtopic.many', 'SELECT count(*) FROM qtopic.many',
	"INSERT INTO qtopic.target (key, value) SELECT key, value FROM qtopic.many WHERE _offset < 20000",
	"SELECT count(*) FROM (SELECT * FROM qtopic.many ORDER BY _partition DESC, _offset DESC OFFSET 0) s",
	"BEGIN; SAVEPOINT s; INSERT INTO qtopic.target (key, value) SELECT 1, 1 / (1000 - i) FROM generate_series(1, 2000) i; ROLLBACK");
foreach (1 .. 2)
{
	run_in($session, $contexts);
	foreach my $statement (@all) { my @result = run_in($session, $statement) }
}
my $before = run_in($session, $contexts);
foreach (1 .. 5)
{
	foreach my $statement (@all) { my @result = run_in($session, $statement) }
}
my $after = run_in($session, $contexts);
cmp_ok($after - $before, '<', 20_000, 'nothing is left in the contexts of the session');
run_in($session, "PREPARE kept AS SELECT 1, 2, 3, '" . 'x' x 30_000 . "'");
cmp_ok(run_in($session, $contexts) - $after, '>', 20_000, 'which would be seen');
$session->quit;

$node->stop;
done_testing();
