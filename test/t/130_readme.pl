# 130_readme - every statement that README.md shows, as it stands there and in that
# order: the ten minutes with two psqls, of which one is killed in both ways that the
# text names, and everything after them.  What is shown as output is what psql prints.
# Then the statements that doc/tasks.md shows of consumer groups.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $text = slurp_file("$FindBin::RealBin/../../README.md");

# ---- blocks: [section, language, lines]; the output of a block of SQL follows it

my @blocks;
foreach my $part (split /^(?=## )/m, $text)
{
	my ($section) = $part =~ /^## (.*)/;

	while ($part =~ /^```(\w*)\n(.*?)^```$/msg)
	{
		my ($language, $lines) = ($1, $2);

		if ($language ne '')
		{
			push @blocks, { section => $section, language => $language, lines => $lines };
		}
		elsif ($blocks[-1]{language} eq 'sql' && $section ne 'Install')
		{
			$blocks[-1]{output} = $lines;
		}
	}
}
my @sql = grep { $_->{language} eq 'sql' } @blocks;
my @first = grep { $_->{section} eq 'Ten minutes' } @sql;
my @rest = grep { $_->{section} ne 'Ten minutes' } @sql;

is($text =~ tr/`// % 2, 0, 'no block is left open');
cmp_ok(scalar @first, '>', 5, 'the ten minutes are there');
cmp_ok(scalar(grep { defined $_->{output} } @first), '>', 3, 'and what they print');
is(scalar(grep { $_->{lines} =~ /^-- in the second psql/ } @first), 1, 'one block is for the second psql');
is(scalar(grep { !defined $_->{section} || $_->{language} !~ /^(?:sql|sh)$/ } @blocks), 0, 'there are no others');
is(scalar(grep { /^ *\.\.\.$/m } map { $_->{lines} } @sql), 0, 'nothing is left out');

# ---- a server with what the text takes for granted

my $node = new_node('main', extension => 0);
my $file = PostgreSQL::Test::Utils::tempdir . '/page_view.csv';
append_to_file($file, qq{ann,"{""url"": ""/""}"\n});
chmod 0644, $file;
$node->safe_psql('postgres', 'CREATE ROLE app_owner; CREATE ROLE app; CREATE DATABASE killed');

# A psql as the reader has it, but for what it says about commands.
sub open_psql
{
	my ($database) = @_;
	my $session = $node->background_psql($database, on_error_stop => 0);

	$session->set_query_timer_restart;
	run_in($session, "\\pset format aligned\n\\pset tuples_only off\nSET client_min_messages = warning");
	return $session;
}

# What a block prints, without the answers of functions that return nothing.
sub run_block
{
	my ($session, $lines) = @_;
	my ($output, $errors) = run_in($session, $lines =~ s{'/tmp/page_view.csv'}{'$file'}r);

	is($errors, '', 'no error in: ' . ($lines =~ /^([^-\n].*)/m)[0]);
	$output =~ s/^ (?:create_\w+) *\n-+\n *\n\(1 row\)\n\n?//mg;
	return tidy($output);
}

sub tidy
{
	my ($output) = @_;

	$output =~ s/ +$//mg;
	$output =~ s/\n+\z//;
	return $output;
}

my $terminate = qr/^SELECT partition, pg_terminate_backend.*?;\n\n/ms;
my $terminated = qr/^ partition \| killed.*?\(1 row\)\n\n/ms;

# The ten minutes.  Without $kill the second psql loses its connection, as is
# written; with it the process is killed.
sub ten_minutes
{
	my ($database, $kill) = @_;
	my $one = open_psql($database);
	my $two;
	my $pid;

	foreach my $block (@first)
	{
		my ($lines, $output) = @$block{qw(lines output)};
		my $is_second = $lines =~ /^-- in the second psql/;

		if ($is_second)
		{
			$two = open_psql($database);
			($pid) = run_in($two, 'SELECT pg_backend_pid()') =~ /^ *(\d+)$/m;
		}
		if ($kill && $lines =~ s/$terminate//)
		{
			$output =~ s/$terminated// or die "no answer in $output";
			$two->{run}->signal('KILL');
			wait_for_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
		}
		my $printed = run_block($is_second ? $two : $one, $lines);
		is($printed, tidy($output), 'and it prints what is shown') if defined $output;
	}
	isnt($pid, undef, 'there was a second psql');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), 0, 'it is gone');
	is(run_in($one, "\\t\nSELECT string_agg(part || ':' || pos, ' ' ORDER BY part, pos) FROM search_index;\n\\t\n"),
		" 0:0 0:1 1:0 1:1\n", 'the index has every record once');
	eval { $two->quit };
	return $one;
}

my $session = ten_minutes('postgres', 0);
ten_minutes('killed', 1)->quit;

# ---- and what comes after

foreach my $block (@rest)
{
	my $printed = run_block($session, $block->{lines});

	next unless $block->{section} =~ /^Consume/;
	is(run_in($session, "\\t\nSELECT sum(lag) FROM qtopic_group_lag WHERE consumer_group = 'indexer';\n\\t\n"),
		"   0\n", 'the worker has consumed everything');
	like($printed, qr/^ +t *$/m, 'for which it did not have to wait');
	like($printed, qr/^ +0 \| +\d+ \| +0$/m, 'a reset would start again');
	like($printed, qr/^ indexer +\| postgres \| \{page_view\} \| +0 \|/m, 'the group is shown');
}
is($node->safe_psql('postgres', q{SELECT has_table_privilege('app', 'qtopic.page_view', 'INSERT')}), 't', 'the last statement was run');
$session->quit;

# ---- what doc/tasks.md shows of groups, with records between the blocks

$node->safe_psql('postgres', 'CREATE DATABASE tasks');
$node->safe_psql('tasks', q{CREATE EXTENSION qtopic; SELECT create_topic('page_view', 2, '{"value.format": "jsonb"}')});
my ($tasks) = slurp_file("$FindBin::RealBin/../../doc/tasks.md") =~ /^## Consume in a group\n(.*?)^## /ms;
my @steps = $tasks =~ /^```sql\n(.*?)^```$/msg;
$session = open_psql('tasks');

sub tasks_sql
{
	return $node->safe_psql('tasks', $_[0]);
}

sub produce_values
{
	tasks_sql("SELECT produce('page_view', 'ann', '$_')") foreach @_;
	return;
}

# Run the next block, which must contain a text.
sub step
{
	my ($known) = @_;
	my $lines = shift @steps;

	isnt(index($lines, $known), -1, "the next block has $known");
	return run_block($session, $lines);
}

my $indexed = q{SELECT string_agg(document::text, ' ' ORDER BY part, pos) FROM search_index};
my $lag = q{SELECT sum(lag), max(rollbacks) FROM qtopic_group_lag WHERE consumer_group = 'indexer'};

step('CREATE TABLE search_index');
step('CREATE PROCEDURE index_page_views');
my $worker = open_psql('tasks');
send_query($worker, 'CALL index_page_views()');
my $calling = q{pid <> pg_backend_pid() AND query LIKE 'CALL index_page_views%'};
wait_for_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE $calling AND wait_event = 'Extension'");
produce_values('{"url": "a"}', '{"url": "b"}');
$node->poll_query_until('tasks', 'SELECT count(*) = 2 FROM search_index') or die 'the worker does not work';
tasks_sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE $calling");
like((receive($worker))[1], qr/canceling statement/, 'the worker ends when it is cancelled');
$worker->quit;
is(tasks_sql($indexed), q{'a':1 'b':1}, 'it has indexed what came');

produce_values('{"url": "c"}');
step(q{page_view', '1 min');});
is(tasks_sql($indexed), q{'a':1 'b':1 'c':1}, 'a program does the same');

step('CREATE PROCEDURE index_some_page_views');
produce_values('{"url": "d"}', '{"ur": "poison"}', '{"url": "e"}');
foreach (1 .. 4)
{
	$node->psql('tasks', 'CALL index_page_views()', stderr => \my $stderr);
	like($stderr, qr/violates not-null constraint/, 'a poison record');
}
is(tasks_sql($lag), '3|4', 'which shows in the view');
my ($shown) = grep { /rollbacks > 3/ } @steps;
like(run_block($session, $shown), qr/^ page_view \| +\d \| +\d+ \| +3 \| +4$/m, 'as is shown');
$node->safe_psql('tasks', 'CALL index_some_page_views()');
is(tasks_sql($indexed), q{'a':1 'b':1 'c':1 'd':1 'e':1}, 'the others are indexed');
is(tasks_sql(q{SELECT d.value, d.headers->>'partition' = p._partition::text AND d.headers->>'offset' = p._offset::text
	FROM qtopic."page_view.dlq" AS d, qtopic.page_view AS p WHERE p.value ? 'ur'}),
	'{"ur": "poison"}|t', 'and the poison is put aside');
is(tasks_sql($lag), '0|0', 'so the group has come to the end');
step('ROLLBACK TO SAVEPOINT record');
is(tasks_sql('SELECT count(*) FROM qtopic."page_view.dlq"'), '2', 'a program can do this too');
step('rollbacks > 3');

step(q{create_group('alerts', 'page_view', 'latest')});
is(tasks_sql(q{SELECT string_agg(consumer_group || ' ' || coalesce(lag::text, 'none'), ', ' ORDER BY consumer_group)
	FROM (SELECT consumer_group, sum(lag) AS lag FROM qtopic_group_lag GROUP BY 1) AS l}),
	'alerts 0, archive 6, audit 6, indexer 0, manual none', 'groups start where they are told to');
run_in($session, 'SET client_min_messages = error');	# one partition is empty
my $resets = step('dry_run => true');
my ($partition, $end) = split /\|/, tasks_sql(q{SELECT _partition, last_stable_offset FROM partition_offsets('page_view') WHERE last_stable_offset > 0});
like($resets, qr/^ +$partition \| +$end \| +0\n.*^ +$partition \| +$end \| +0\n.*^ +$partition \| +0 \| +2\n.*^ +$partition \| +2 \| +1\n.*^ +$partition \| +1 \| +$end\n/ms, 'they are reset');
is(tasks_sql($lag), '0|0', 'at last to the end');
like(step('log_end_offset, lag'), qr/^ indexer +\| postgres \| \{page_view\} +\| +0 \|/m, 'the views are right');
is(scalar @steps, 0, 'no block was left out');
$session->quit;

$node->stop;
done_testing();
