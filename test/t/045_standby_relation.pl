# 045_standby_relation - the relation of a topic on a hot standby: queries of all
# shapes while the primary's log is replayed, and what cannot be done there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(time);

my $primary = new_node('primary', autovacuum => 0, init => [ allows_streaming => 1 ]);

sub sql
{
	my ($sql, $node) = @_;
	return ($node // $primary)->safe_psql('postgres', $sql);
}

sql("SELECT create_topic('log', 2), create_topic('later')");
sql("INSERT INTO qtopic.log (_partition, key, value) SELECT i % 2, 'w0', i FROM generate_series(1, 2000) i");
sql('CREATE VIEW log_view AS SELECT * FROM qtopic.log');
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->start;

sub catch_up
{
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	return;
}

# ---- during replay

# Each writer numbers its records; some are rolled back, whole or to a savepoint,
# and VACUUM removes them.
my @writers = map { open_session($primary) } 1 .. 3;
foreach my $number (1 .. @writers)
{
	send_query($writers[ $number - 1 ], <<"SQL");
DO \$\$
DECLARE
	n int := 0;
	finish timestamptz := clock_timestamp() + interval '4 s';
BEGIN
	WHILE clock_timestamp() < finish LOOP
		INSERT INTO qtopic.log (_partition, key, value) SELECT n % 2, 'w$number', n FROM generate_series(1, 3);
		BEGIN
			INSERT INTO qtopic.log (_partition, key, value) VALUES (n % 2, 'lost', n);
			PERFORM 1 / (n % 3);
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
		PERFORM pg_sleep(random() * 0.01);
		n := n + 1;
		IF random() < 0.3 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END \$\$
SQL
}
my $vacuum = open_session($primary);
my ($leaf) = split /\n/, sql("SELECT 'topic_' || topic_id || '_p0_0' FROM qtopic_internal.topics WHERE name = 'log'");

# In one statement a topic looks the same from wherever one looks.  Seen to fail:
# mutant backward_scan_without_stop.
my $same = <<'SQL';
SELECT count(DISTINCT n) || ' ' || max(n)
  FROM (SELECT count(*) FROM qtopic.log
		UNION ALL SELECT count(value) FROM qtopic.log
		UNION ALL SELECT count(value) FROM log_view WHERE _timestamp > '2020-01-01'
		UNION ALL SELECT sum(c)::bigint FROM (SELECT _partition, count(*) AS c FROM qtopic.log GROUP BY _partition) s
		UNION ALL SELECT count(*) FROM (SELECT * FROM qtopic.log ORDER BY _partition DESC, _offset DESC OFFSET 0) s
		UNION ALL SELECT count(*) FROM (SELECT key FROM qtopic.log WHERE _partition = 0 AND _offset <= (SELECT max(_offset) FROM qtopic.log WHERE _partition = 0)
										UNION ALL SELECT key FROM qtopic.log WHERE _partition = 1 AND _offset >= (SELECT min(_offset) FROM qtopic.log WHERE _partition = 1)) s
		UNION ALL SELECT count(*) FROM qtopic.log a JOIN qtopic.log b USING (_partition, _offset)
		UNION ALL SELECT count(*) FROM qtopic.log a WHERE EXISTS (SELECT FROM qtopic.log b WHERE b._partition = a._partition AND b._offset = a._offset)) s (n)
SQL
my $content = "SELECT md5(string_agg(_partition || ' ' || _offset || ' ' || key || ' ' || value, ',' ORDER BY _partition, _offset)) FROM qtopic.log";
my $parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET cpu_operator_cost = 1";

my $reader = open_session($standby);
my $shared = open_session($standby);
my $stable = open_session($standby);
run_in($shared, $parallel);
like(run_in($shared, "EXPLAIN (COSTS OFF) SELECT count(value) FROM qtopic.log WHERE md5(value) <> ''"),
	qr/Parallel Foreign Scan/, 'a parallel plan on the standby');
my ($polls, $different, $back, $last) = (0, 0, 0, 0);
my (@stable, @parallel, @seen);
my $deadline = time + 4;
while (time < $deadline)
{
	my ($kinds, $count) = split / /, run_in($reader, $same);
	$polls++;
	$different++ if $kinds != 1;
	$back++ if $count < $last;
	$last = $count;
	push @seen, $count if !@seen || $count != $seen[-1];

	push @parallel, scalar run_in($shared, "SELECT count(value) FILTER (WHERE md5(value) <> '') - (SELECT count(*) FROM qtopic.log) FROM qtopic.log WHERE md5(value) <> ''");
	if ($polls % 5 == 1)
	{
		run_in($stable, 'COMMIT') if $polls > 1;
		run_in($stable, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
		@stable = (scalar run_in($stable, $content));
	}
	$different++ if run_in($stable, $content) ne $stable[0];
	run_in($vacuum, "VACUUM qtopic_internal.$leaf") if $polls % 3 == 0;
}
receive($_) foreach @writers;
run_in($stable, 'COMMIT');
note("$polls polls, counts @seen, parallel @parallel");
cmp_ok($polls, '>=', 5, 'the standby was read');
cmp_ok(scalar @seen, '>=', 3, 'while records came');
is($different, 0, 'a statement, and a REPEATABLE READ transaction, sees the same wherever it looks');
is($back, 0, 'never less than before');
is(scalar(grep { $_ ne '0' } @parallel), 0, 'and processes that share a scan see the same');
catch_up();
is(sql($content, $standby), sql($content), 'in the end it is what the primary has');
is(sql("SELECT count(*) FROM qtopic.log WHERE key = 'lost' AND value::int % 3 = 0", $standby), 0, 'nothing that was rolled back');

# ---- cursors over a replay

my $before = sql('SELECT count(*) FROM qtopic.log', $standby);
run_in($stable, 'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT _partition, _offset FROM qtopic.log; DECLARE h CURSOR WITH HOLD FOR SELECT 1 FROM qtopic.log');
my $first = run_in($stable, 'FETCH 1 FROM c');
sql("INSERT INTO qtopic.log (_partition, key, value) SELECT i % 2, 'more', i FROM generate_series(1, 500) i");
catch_up();
is(scalar(split /\n/, run_in($stable, 'FETCH ALL FROM c')), $before - 1, 'a cursor does not see what is replayed meanwhile');
is(scalar(split /\n/, run_in($stable, 'FETCH BACKWARD ALL FROM c')), $before, 'backward neither');
is(run_in($stable, 'FETCH 1 FROM c'), $first, 'and again from the start');
run_in($stable, 'COMMIT');
is(scalar(split /\n/, run_in($stable, 'FETCH ALL FROM h')), $before, 'one that is held neither');
is(sql('SELECT count(*) FROM qtopic.log', $standby), $before + 500, 'a new statement does');

# ---- plans, bounds, topics that come and go

my $read = run_in($reader, <<'SQL');
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT key FROM qtopic.log
 WHERE _partition = 1 AND _offset >= 100 ORDER BY _offset DESC LIMIT 1
SQL
like($read, qr/Partitions Read: 1\n/, 'EXPLAIN (ANALYZE) on the standby');
like($read, qr/Batches Read: 1\n/, 'the last record takes one batch');
like(run_in($reader, 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT key FROM qtopic.log WHERE _offset < 5 AND _partition = 0'),
	qr/Batches Read: [12]\n/, 'so do the first ones');
run_in($reader, "PREPARE p (int, bigint) AS SELECT value FROM qtopic.log WHERE _partition = \$1 AND _offset = \$2; SET plan_cache_mode = force_generic_plan");
is(run_in($reader, 'EXECUTE p(1, 7)'), sql('SELECT value FROM qtopic.log WHERE _partition = 1 AND _offset = 7'), 'a prepared statement');
sql("SELECT alter_topic('log', 3)");
sql("INSERT INTO qtopic.log (_partition, value) VALUES (2, 'third')");
sql("SELECT create_topic('new'); SELECT produce('new', 'x'), produce('later', 'y')");
catch_up();
is(run_in($reader, 'EXECUTE p(2, 0)'), 'third', 'a partition that was added');
is(run_in($reader, 'SELECT value FROM qtopic.new UNION ALL SELECT value FROM qtopic.later'), "x\ny", 'a topic that was created');
sql("SELECT drop_topic('new'); DROP FOREIGN TABLE qtopic.later");
catch_up();
is(error_code($standby, "SELECT value FROM qtopic.$_"), '42P01', "one that was dropped: $_") foreach qw(new later);

# ---- nothing is written on a standby

foreach my $statement (
	"INSERT INTO qtopic.log (value) VALUES ('x')", "INSERT INTO qtopic.log (value) VALUES ('x') RETURNING _offset",
	'INSERT INTO qtopic.log (value) SELECT value FROM qtopic.log', "INSERT INTO log_view (value) VALUES ('x')",
	"WITH i AS (INSERT INTO qtopic.log (value) VALUES ('x') RETURNING *) SELECT * FROM i",
	"BEGIN; SET LOCAL qtopic.produce_mode = deferred; INSERT INTO qtopic.log (value) VALUES ('x')",
	'COPY qtopic.log (value) FROM STDIN', 'ANALYZE qtopic.log', 'DROP FOREIGN TABLE qtopic.log')
{
	is(error_code($standby, $statement), '25006', "on a standby: $statement");
}
is(error_code($standby, 'TRUNCATE qtopic.log'), '25006', 'nor TRUNCATE');
like(run_in($reader, "EXPLAIN (COSTS OFF) INSERT INTO qtopic.log (value) VALUES ('x')"), qr/Insert on log/, 'a plan can be shown');
is(sql('SELECT count(*) FROM qtopic.log', $standby), sql('SELECT count(*) FROM qtopic.log'), 'all is as it was');

eval { $_->quit } foreach @writers, $vacuum, $reader, $shared, $stable;
$standby->stop;
$primary->stop;
done_testing();
