# 090_warehouse - loading tables from the relation of a topic, exactly once: every
# statement that doc/tasks.md shows for it, in the same database and in another
# server through postgres_fdw, from the primary and from a hot standby, while producers run, roll back and commit late, and
# loads fail in the middle.  Then what is wrong, and that it is seen to be.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $top = "$FindBin::RealBin/../..";

# ---- what the documentation shows

my $documentation = slurp_file("$top/doc/tasks.md");
my ($section) = $documentation =~ /^## Load a warehouse\n(.*?)^## /ms;
my @blocks = $section =~ /^```\w+\n(.*?)^```$/msg;
my ($target_ddl, $by_offset, $position_ddl, $by_position, $by_consuming, $foreign_ddl, $foreign_by_offset, $model, $dbt_run) =
  @blocks;

is(scalar @blocks, 9, 'the documentation shows nothing that is not run here');
isnt(index(slurp_file("$top/README.md"), $by_offset), -1, 'README.md shows one of these loads');

# What dbt makes of a model, as far as this one goes.
sub render
{
	my ($jinja, $incremental) = @_;

	$jinja =~ s/\{\{ config\(.*?\) \}\}\n\n//s;
	$jinja =~ s/\{% if is_incremental\(\) %\}\n(.*?)\{% endif %\}\n/$incremental ? $1 : ''/se;
	$jinja =~ s/\{\{ source\('(\w+)', '(\w+)'\) \}\}/$1.$2/;
	$jinja =~ s/\{\{ this \}\}/warehouse.page_view/;
	die "not rendered: $jinja" if $jinja =~ /\{[{%]/;
	chomp $jinja;
	return $jinja;
}

isnt(index($dbt_run, "AS\n" . render($model, 1) . ";\n"), -1, 'what the model becomes is what is shown');

# The other statements that the text speaks of.
my $foreign_by_position = $by_position =~
  s/partition_offsets\('page_view'\)/(SELECT partition AS _partition FROM source.qtopic_partitions WHERE topic = 'page_view')/r
  =~ s/qtopic\.page_view/source.page_view/r;
my $lock = 'LOCK TABLE warehouse.page_view IN SHARE ROW EXCLUSIVE MODE';
isnt(index($section, "`$lock`"), -1, 'the lock is the one that is shown');
my $dbt_insert = ($dbt_run =~ /^(INSERT .*?;\n)/ms)[0];
my $dbt_append = $dbt_run =~ s/^DELETE .*?;\n//msr;
my $dbt_merge = $dbt_append =~ s/\Q$dbt_insert\E/<<'SQL'/er;
MERGE INTO warehouse.page_view AS t USING page_view__dbt_tmp AS s ON t.part = s.part AND t.pos = s.pos
 WHEN MATCHED THEN UPDATE SET at = s.at, visitor = s.visitor, url = s.url
 WHEN NOT MATCHED THEN INSERT (part, pos, at, visitor, url) VALUES (s.part, s.pos, s.at, s.visitor, s.url);
SQL

# ---- two servers, and a hot standby of the source

my $source = new_node('source', autovacuum => 0, init => [ allows_streaming => 1 ]);
my $target = new_node('target', autovacuum => 0, extension => 0, conf => "shared_preload_libraries = ''\n");

# books: what is committed, written in the same transactions
$source->safe_psql('postgres', <<'SQL');
SELECT create_topic('page_view', 4, '{"value.format": "jsonb"}');
CREATE TABLE books (url text PRIMARY KEY, part int, pos bigint);
CREATE SEQUENCE page;
CREATE ROLE loader LOGIN;
GRANT SELECT ON qtopic.page_view TO loader;
SQL
$source->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($source, 'b', has_streaming => 1);
$standby->start;

# What is "source" for the target may be either.
sub foreign_ddl
{
	my ($node, $name) = @_;
	my $place = "host '@{[ $node->host ]}', port '@{[ $node->port ]}', dbname 'postgres'";

	return $foreign_ddl =~ s/host '.*?', dbname '.*?'/$place/r =~ s/(?:SERVER|SCHEMA|INTO) \Ksource/$name/gr;
}

$target->safe_psql('postgres', foreign_ddl($source, 'source'));
$target->safe_psql('postgres', foreign_ddl($standby, 'standby') =~ s/^CREATE EXTENSION .*?;//mr);
is($target->safe_psql('postgres', q{SELECT count(*) FROM pg_extension WHERE extname = 'qtopic'}), 0,
	'the target has no qtopic');

# in_schema($schema, $sql): the same in another schema than warehouse
sub in_schema
{
	my ($schema, $sql) = @_;
	return $sql =~ s/\bwarehouse\b/$schema/gr;
}

# A load: where, what, and what a transaction of it does.  An added column tells
# the order in which rows came; an added trigger fails in the middle.
sub new_load
{
	my ($schema, $node, $sql, $ddl) = @_;

	$sql =~ s/^(?:BEGIN|COMMIT);\n//mg;
	$node->safe_psql('postgres', in_schema($schema, "$ddl\n" . <<'SQL'));
ALTER TABLE warehouse.page_view ADD COLUMN arrival bigint GENERATED ALWAYS AS IDENTITY;
CREATE FUNCTION warehouse.fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE 'failed in the middle';
END $$;
CREATE TRIGGER fail BEFORE INSERT ON warehouse.page_view FOR EACH ROW
	WHEN (current_setting('test.fail', true) = 'on' AND NEW.pos % 7 = 3)
	EXECUTE FUNCTION warehouse.fail();
SQL
	return { name => $schema, node => $node, body => in_schema($schema, $sql) };
}

sub load_all
{
	my ($load) = @_;
	$load->{node}->safe_psql('postgres', "BEGIN;\n$load->{body}COMMIT;");
	return;
}

# Two records of each partition at a time.
sub load_some
{
	my ($load) = @_;
	my $body = $load->{body};

	$body =~ s/ORDER BY _offset/$& LIMIT 2/ or $body =~ s/max_records => \K\d+/2/ or die "no ORDER BY in $body";
	$load->{node}->safe_psql('postgres', "BEGIN;\n${body}COMMIT;");
	return;
}

sub roll_back
{
	my ($load) = @_;
	$load->{node}->safe_psql('postgres', "BEGIN;\n$load->{body}ROLLBACK;");
	return;
}

sub fail_in_the_middle
{
	my ($load) = @_;
	my $stderr;

	$load->{node}->psql('postgres', "BEGIN; SET LOCAL test.fail = on;\n$load->{body}COMMIT;", stderr => \$stderr);
	like($stderr, qr/failed in the middle/, "$load->{name}: an error in the middle");
	return;
}

# An open transaction that has loaded and not committed.
sub begin_load
{
	my ($load) = @_;
	my $session = open_session($load->{node});

	run_in($session, "BEGIN;\n$load->{body}");
	return $session;
}

# End the backends of a query, and wait until they are gone.
sub terminate
{
	my ($node, $which) = @_;
	my $count = $node->safe_psql('postgres',
		"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $which");

	wait_for_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $which");
	return $count;
}

sub kill_in_the_middle
{
	my ($load) = @_;
	my $session = begin_load($load);
	my $pid = run_in($session, 'SELECT pg_backend_pid()');

	is(terminate($load->{node}, "pid = $pid"), 1, "$load->{name}: killed in the middle");
	eval { $session->quit };
	return;
}

# The target is gone after the source has been read.
sub crash_in_the_middle
{
	my ($load) = @_;
	my $session = begin_load($load);

	crash($load->{node});
	eval { $session->quit };
	$load->{node}->start;
	return;
}

# The source's side is gone before the commit.
sub lose_source_in_the_middle
{
	my ($load) = @_;
	my $session = begin_load($load);

	wait_for_query($source, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'postgres_fdw'});
	is(terminate($source, q{application_name = 'postgres_fdw'}), 1, "$load->{name}: connection ended");
	my (undef, $stderr) = run_in($session, 'COMMIT');
	like($stderr, qr/ERROR/, 'so the load does not commit');
	$session->quit;
	return;
}

# ---- the comparison

# difference(\%committed, \@loaded): url => place of what there is; [place, url]
# in the order in which it was loaded
sub difference
{
	my ($committed, $loaded) = @_;
	my (%seen, %last);
	my %count = map { $_ => 0 } qw(lost twice wrong disordered);

	foreach my $row (@$loaded)
	{
		my ($place, $url) = @$row;
		my ($partition, $offset) = split /\|/, $place;

		$count{twice}++ if $seen{$url}++;
		$count{wrong}++ if !defined $committed->{$url} || $committed->{$url} ne $place;
		$count{disordered}++ if defined $last{$partition} && $offset < $last{$partition};
		$last{$partition} = $offset;
	}
	$count{lost} = grep { !$seen{$_} } keys %$committed;
	return join ', ', map { "$count{$_} $_" } grep { $count{$_} } qw(lost twice wrong disordered);
}

sub rows_of
{
	my ($node, $sql) = @_;
	return [ map { [ /^(\d+\|\d+)\|(.*)$/ ] } split /\n/, $node->safe_psql('postgres', $sql) ];
}

sub loaded
{
	my ($load) = @_;
	return rows_of($load->{node}, "SELECT part, pos, url FROM $load->{name}.page_view ORDER BY arrival");
}

# ---- producers: small transactions, of which some roll back, some are deferred,
# and all think a little before they end

my $script = PostgreSQL::Test::Utils::tempdir . '/producer.sql';
append_to_file($script, <<'SQL');
\set records random(1, 5)
\set fate random(1, 5)
\set pause random(0, 8)
BEGIN;
\if :fate = 1
SET LOCAL qtopic.produce_mode = deferred;
\endif
INSERT INTO books
SELECT url, _partition, _offset
  FROM (SELECT '/' || nextval('page') AS url FROM generate_series(1, :records)) AS pages,
       produce('page_view', left(md5(url), 2), jsonb_build_object('url', url),
               record_time => clock_timestamp() - random() * interval '1 min');
\sleep :pause ms
\if :fate = 2
ROLLBACK;
\else
COMMIT;
\endif
SQL
chmod 0644, $script;

my $produced = sub { return $source->safe_psql('postgres', 'SELECT last_value FROM page') };
my $producers = IPC::Run::start(
	[ 'pgbench', '-n', '-h', $source->host, '-p', $source->port, '-c', 4, '-t', 1_000_000, '--max-tries=100', '-f', $script, 'postgres' ],
	'<', \undef, '>', \my $pgbench_out, '2>', \my $pgbench_error);

# A transaction that has produced and does not end.
my $late = open_session($source);

sub produce_late
{
	my ($url) = @_;
	return run_in($late, qq{BEGIN; INSERT INTO books SELECT '$url', _partition, _offset
		FROM produce('page_view', '1', '{"url": "$url"}'::jsonb, partition => 0) RETURNING pos});
}

# How far a load got in partition 0, and elsewhere.
sub reached
{
	my ($load, $where) = @_;
	return $load->{node}->safe_psql('postgres', "SELECT coalesce(max(pos), -1) FROM $load->{name}.page_view WHERE part $where");
}

# ---- loads while they run

wait_for_query($source, 'SELECT count(*) > 200 FROM qtopic.page_view');
my $dbt_ddl = "CREATE SCHEMA warehouse;\nCREATE TABLE warehouse.page_view AS\n" . render($model, 0) . ";\n"
  . "CREATE UNIQUE INDEX ON warehouse.page_view (part, pos);\n";
my @loads = (
	new_load('by_offset', $source, $by_offset, $target_ddl),
	new_load('by_position', $source, $by_position, $target_ddl . $position_ddl),
	new_load('dbt', $source, $dbt_run, $dbt_ddl),
	new_load('dbt_merge', $source, $dbt_merge, $dbt_ddl),
	new_load('dbt_append', $source, $dbt_append, $dbt_ddl),
	new_load('foreign_by_offset', $target, $foreign_by_offset, $target_ddl),
	new_load('foreign_by_position', $target, $foreign_by_position, $target_ddl . $position_ddl),
	new_load('standby_by_offset', $target, $foreign_by_offset =~ s/\bsource\./standby./gr, $target_ddl),
	new_load('by_consuming', $source, $by_consuming, $target_ddl));
my ($foreign, $foreign_position, $from_standby) = @loads[ 5 .. 7 ];

sub catch_up
{
	$source->wait_for_catchup($standby, 'replay', $source->lsn('insert'));
	return;
}

# each_load($action, @of): run it with the loads, default all
sub each_load
{
	my ($action, @of) = @_;
	my $before = $produced->();

	$action->($_) foreach @of ? @of : @loads;
	wait_for_query($source, "SELECT last_value > $before + 20 FROM page");
	return;
}

each_load(\&load_some);
my $late_offset = produce_late('/late 1');
my %before = map { $_->{name} => reached($_, '> 0') } @loads;
each_load($_) foreach \&load_all, \&roll_back, \&load_all, \&kill_in_the_middle;
each_load(\&crash_in_the_middle, $foreign, $foreign_position, $from_standby);
each_load(\&load_all);
foreach my $load (@loads)
{
	cmp_ok(reached($load, '= 0'), '<', $late_offset, "$load->{name}: stops before an open transaction");
	cmp_ok(reached($load, '> 0'), '>', $before{ $load->{name} }, "$load->{name}: goes on in other partitions");
}
run_in($late, 'COMMIT');

# partitions that the loads have not seen
$source->safe_psql('postgres', q{SELECT alter_topic('page_view', 6)});
wait_for_query($source, 'SELECT count(*) > 50 FROM qtopic.page_view WHERE _partition > 3');
each_load($_) foreach \&fail_in_the_middle, \&load_some;
produce_late('/late 2');
each_load(\&lose_source_in_the_middle, $foreign, $foreign_position);
each_load(\&load_all);
run_in($late, 'ROLLBACK');
produce_late('/late 3');
each_load(\&load_all);
run_in($late, 'COMMIT');
$late->quit;

ok($producers->pumpable, 'the producers went on all the time') or diag($pgbench_error);
$producers->signal('TERM');
$producers->finish;
unlike($pgbench_error, qr/abort/, 'each of them');
wait_for_query($source, q{SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'});

# ---- the committed set, exactly once, in order

my $places = rows_of($source, q{SELECT _partition, _offset, value->>'url' FROM qtopic.page_view});
my %committed = map { $_->[1] => $_->[0] } @$places;
is(scalar keys %committed, scalar @$places, 'no record is in the topic twice');
is( $source->safe_psql('postgres', q{SELECT count(*) FROM books AS b FULL JOIN qtopic.page_view AS r ON r.value->>'url' = b.url
	WHERE b.url IS NULL OR r.value IS NULL OR (b.part, b.pos) <> (r._partition, r._offset)}),
	0, 'the topic has what was committed, and no more');
cmp_ok($produced->() - @$places, '>', 0, 'some was rolled back');
catch_up();
foreach my $load (@loads)
{
	my $rest = @$places - @{ loaded($load) };
	isnt($rest, 0, "$load->{name}: there is something left to load");
	load_all($load);
	is(difference(\%committed, loaded($load)), '', "$load->{name}: everything committed was loaded once, in order");
	load_all($load);
	is(scalar @{ loaded($load) }, scalar @$places, "$load->{name}: and nothing more is loaded");
}

# ---- a load reads what is new

# A load that has nothing to do reads nothing.  Seen to fail: without ORDER BY.
sub batches_read
{
	my ($load) = @_;
	my $body = $load->{body} =~ s/^(?=(?:INSERT|WITH|CREATE) )/EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) /mr;
	my $plan = $load->{node}->safe_psql('postgres', "BEGIN;\n${body}ROLLBACK;");
	my ($read) = $plan =~ /Batches Read: (\d+)/ or die "no batches in $plan";
	return $read;
}

cmp_ok(batches_read({ node => $source, body => qq{CREATE TABLE t AS SELECT value FROM qtopic.page_view;\n} }),
	'>', 100, 'the topic has many batches');
is(batches_read($_), 0, "$_->{name}: does not read them again") foreach @loads[ 0 .. 4 ];

# Seen to fail: without ORDER BY.
foreach my $load ($foreign, $foreign_position, $from_standby)
{
	my $body = $load->{body} =~ s/^(?=(?:INSERT|WITH) )/EXPLAIN (VERBOSE, COSTS OFF) /mr;
	my $plan = $load->{node}->safe_psql('postgres', "BEGIN;\n${body}ROLLBACK;");
	my ($remote) = $plan =~ /Remote SQL: (.* FROM qtopic\.page_view .*)/;

	like($remote, qr/\(_offset >=? \$\d::bigint\)/, "$load->{name}: the source applies the bound of offsets");
	like($remote, qr/\(_partition = \$\d::integer\)/, 'and the partition');
	like($remote, qr/ORDER BY _offset/, 'and orders');
	unlike($plan, qr/Sort Key/, 'so the target need not sort');
}

# ---- a local transaction sees one state of the source

sub produce
{
	my ($topic, $partition, $url, $time) = @_;
	return $source->safe_psql('postgres', "SELECT _offset FROM produce('$topic', '', '{\"url\": \"$url\"}'::jsonb,
		partition => $partition" . ($time ? ", record_time => '$time'" : '') . ')');
}

my $session = begin_load($foreign);
my $new = produce('page_view', 5, '/new');
run_in($session, $foreign->{body});
is(run_in($session, "SELECT max(pos) < $new FROM $foreign->{name}.page_view WHERE part = 5"), 't',
	'a second load in a transaction of postgres_fdw finds nothing new');
run_in($session, 'COMMIT');
$session->quit;
load_all($foreign);
is(reached($foreign, '= 5'), $new, 'the next transaction does');

# ---- two loads at once

# The second waits for the first, if it must, which then commits.  Returns what the
# second says.
sub load_while_loading
{
	my ($load) = @_;
	my $first = begin_load($load);
	my $second = open_session($load->{node});
	my $pid = run_in($second, 'SELECT pg_backend_pid()');

	send_query($second, "BEGIN;\n$load->{body}COMMIT; SET application_name = 'loaded'");
	wait_for_query($load->{node},
		"SELECT wait_event_type = 'Lock' OR application_name = 'loaded' FROM pg_stat_activity WHERE pid = $pid");
	run_in($first, 'COMMIT');
	my (undef, $error) = receive($second);
	$_->quit foreach $first, $second;
	return $error;
}

foreach my $load (@loads)
{
	produce('page_view', 1, "/at once $load->{name}");
	catch_up();
	my $error = load_while_loading($load);
	if ($load->{body} =~ /^LOCK/m)
	{
		is($error, '', "$load->{name}: the second load waits for the lock");
	}
	elsif ($load->{body} =~ /consume/)
	{
		is($error, '', "$load->{name}: the second load leaves the records to the first");
	}
	else
	{
		like($error, qr/duplicate key value/, "$load->{name}: the unique key stops the second load");
	}
}
%committed = map { $_->[1] => $_->[0] } @{ rows_of($source, q{SELECT _partition, _offset, value->>'url' FROM qtopic.page_view}) };
catch_up();
foreach my $load (@loads)
{
	load_all($load);
	is(difference(\%committed, loaded($load)), '', "$load->{name}: the table is right");
}

# ---- what is wrong, beside what is right

# scenario($name, $wrong_load, $difference, @steps): a new topic of two partitions,
# loaded in the wrong way and as documented at each step "load"
sub scenario
{
	my ($name, $wrong, $expected, @steps) = @_;
	my $topic = lc $name =~ s/\W+/_/gr;
	my @tables = ("${topic}_wrong", "${topic}_right");
	my ($open, $result);

	$source->safe_psql('postgres', "SELECT create_topic('$topic', 2, '{\"value.format\": \"jsonb\"}')");
	foreach my $table (@tables)
	{
		$source->safe_psql('postgres', in_schema($table, $target_ddl) =~ s/,\n +PRIMARY KEY.*?\n/\n/r
			. "ALTER TABLE $table.page_view ADD COLUMN arrival bigint GENERATED ALWAYS AS IDENTITY");
	}
	my @both = map { { name => $tables[$_], node => $source,
			body => in_schema($tables[$_], ($wrong, "$lock;\n$by_offset")[$_]) =~ s/qtopic\.page_view|'page_view'/
				$& eq "'page_view'" ? "'$topic'" : "qtopic.$topic"/ger } } 0, 1;
	foreach my $step (@steps)
	{
		if    ($step eq 'load') { load_all($_) foreach @both }
		elsif ($step eq 'load at once') { is(load_while_loading($_), '', "$name: two loads") foreach @both }
		elsif ($step eq 'open')
		{
			$open = open_session($source);
			run_in($open, "BEGIN; SELECT produce('$topic', '', '{\"url\": \"/open\"}'::jsonb, partition => 0)");
		}
		elsif ($step eq 'commit') { run_in($open, 'COMMIT'); $open->quit }
		elsif ($step eq 'add') { $source->safe_psql('postgres', "SELECT alter_topic('$topic', 3)") }
		else { produce($topic, @$step) }
	}
	my %there = map { $_->[1] => $_->[0] } @{ rows_of($source, "SELECT _partition, _offset, value->>'url' FROM qtopic.$topic") };
	is(difference(\%there, loaded($both[0])), $expected, "$name: is wrong, and seen");
	is(difference(\%there, loaded($both[1])), '', "$name: loaded as documented, nothing is");
	return;
}

my $simple = <<'SQL';
INSERT INTO warehouse.page_view (part, pos, at, visitor, url)
SELECT _partition, _offset, _timestamp, key, value->>'url' FROM qtopic.page_view
SQL
my $fixed = $by_offset =~ s/partition_offsets\('page_view'\) AS p/generate_series(0, 1) AS p (_partition)/r;

scenario('one maximum for all partitions',
	"$simple WHERE _offset > (SELECT coalesce(max(pos), -1) FROM warehouse.page_view);\n", '1 lost',
	[ 0, '/1' ], [ 0, '/2' ], 'load', [ 1, '/3' ], [ 0, '/4' ], 'load');
scenario('fixed numbers of partitions', $fixed, '1 lost', [ 0, '/1' ], 'load', 'add', [ 2, '/2' ], 'load');

my $after_time = "$simple WHERE _timestamp > (SELECT coalesce(max(at), '-infinity') FROM warehouse.page_view);\n";
my $from_time = $after_time =~ s/_timestamp >/$&=/r;
my $time_by_partition = $by_offset =~ s/_offset > .*?\n *FROM/_timestamp > (SELECT coalesce(max(at), '-infinity') FROM/sr;
my $noon = '2026-01-01 12:00:00+00';
scenario('time and a late commit', $after_time, '1 lost', 'open', [ 1, '/1' ], 'load', 'commit', 'load');
scenario('time of the producer', $time_by_partition, '1 lost',
	[ 0, '/1', $noon ], 'load', [ 0, '/2', '2026-01-01 11:59:59+00' ], 'load');
scenario('the same time', $time_by_partition, '1 lost', [ 0, '/1', $noon ], 'load', [ 0, '/2', $noon ], 'load');
scenario('the same time again', $from_time, '1 twice', [ 0, '/1', $noon ], 'load', [ 0, '/2', $noon ], 'load');

# the end of the log is no position, and a position moves with the rows
my $with_table = 'CREATE TABLE IF NOT EXISTS warehouse.load_position (topic text, part int, next_offset bigint, PRIMARY KEY (topic, part));';
scenario('the end as position', "$with_table\n" . $by_position =~ s/^(?:BEGIN|COMMIT);\n//mgr
	  =~ s/_partition, max\(_offset\) \+ 1 FROM new GROUP BY _partition/_partition, next_offset FROM partition_offsets('page_view')/r,
	'2 lost', [ 0, '/1' ], 'open', [ 0, '/2' ], 'load', 'commit', 'load');
scenario('a limit on consume', $by_consuming =~ s/;/ LIMIT 1;/r, '1 lost', [ 0, '/1' ], [ 0, '/2' ], 'load', 'load');
scenario('neither lock nor key', $by_offset, '1 twice', [ 0, '/1' ], 'load at once');

$standby->stop;
$source->stop;
$target->stop;
done_testing();
