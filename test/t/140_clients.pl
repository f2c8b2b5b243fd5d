# 140_clients - the programs and statements of doc/clients.md, run as they stand there.
#
# Each loop runs in a database of its own, all at the same time.  A trigger on the
# table of effects makes a transaction fail once with 40001, and stops it in the middle,
# where its connection is then lost, or the program killed.  The effects must be those
# of each record once.  Then members of a group, of which one is killed in the middle of
# its work, what is put aside, the outbox, the moves and the backfill.
#
# Seen to fail: the same loops with the position committed before the effects, without
# LISTEN, members that commit before the work, or never, and so on: the controls in here
# break what is shown, and the check must notice.

use strict;
use warnings;

use FindBin;
use IPC::Run;
use POSIX qw(setpgid);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;
use Time::HiRes qw(sleep time);

# ---- what is shown: blocks by the name of their file, and SQL by section

my $text = slurp_file("$FindBin::RealBin/../../doc/clients.md");
my (%file, %sql, %used);
foreach my $part (split /^(?=## )/m, $text)
{
	my ($section) = $part =~ /^## (.*)/;

	while ($part =~ /^```(\w*)\n(.*?)^```$/msg)
	{
		my ($language, $lines) = ($1, $2);

		if ($language eq 'sql')
		{
			push @{ $sql{ $section // 'Set-up' } }, $lines;
		}
		elsif ($lines =~ m{^(?:#|//|/\*) (\w+\.\w+)})
		{
			$file{$1} = $lines;
		}
		else
		{
			fail("a block of \"$language\" has a name");
		}
	}
}
is($text =~ tr/`// % 2, 0, 'no block is left open');

# The blocks of a section, as one text; given a number, that one.
sub sql_of
{
	my ($section, $number) = @_;
	my $blocks = $sql{$section} or die "no SQL under \"$section\"";

	$used{"$section $_"} = 1 foreach defined $number ? $number : 0 .. $#$blocks;
	return defined $number ? $blocks->[$number] // die("$section: no block $number") : join '', @$blocks;
}

# The text with one thing changed, which must be there.
sub broken
{
	my ($lines, $from, $to) = @_;

	$lines =~ s/$from/$to/ or die "nothing to break: $from";
	return $lines;
}

# ---- languages

my $dir = PostgreSQL::Test::Utils::tempdir;
my ($python) = grep { -x $_ && system("$_ -c 'import psycopg' 2>/dev/null") == 0 }
  map { "$_/python3" } split(/:/, $ENV{PATH}), '/usr/bin';
my $node_missing = node_missing();

# Why there is no Node with pg, or nothing.
sub node_missing
{
	return 'there is no node' if system('node --version >/dev/null 2>&1') != 0;
	return if system(q{node -e "require('pg')" 2>/dev/null}) == 0;
	system("cd $dir && timeout 60 npm install --silent --no-audit --no-fund --ignore-scripts --fetch-retries=0 pg@8 >npm.log 2>&1");
	$ENV{NODE_PATH} = "$dir/node_modules";
	return if system(q{node -e "require('pg')" 2>/dev/null}) == 0;
	return 'the package pg can neither be found (NODE_PATH) nor be installed';
}

# A directory with programs; those of C are compiled.
sub write_programs
{
	my ($name, %programs) = @_;
	my $place = "$dir/$name";

	mkdir $place or die "$place: $!";
	foreach my $program (keys %programs)
	{
		append_to_file("$place/$program", $programs{$program});
		my ($source) = $program =~ /(.*)\.c$/ or next;
		my $include = `pg_config --includedir`;
		chomp $include;
		is(system("cc -Wall -Wextra -Wno-unused-parameter -Werror -I$include -o $place/$source $place/$source.c -lpq"), 0,
			"$name: it compiles without a warning");
	}
	return $place;
}

# ---- a server

my $node = new_node('main', conf => "max_worker_processes = 40\nqtopic.notify_interval = 10ms\nlog_line_prefix = '%m [%p] %d %e '");

sub in_db
{
	my ($database, $sql) = @_;
	return $node->safe_psql($database, $sql);
}

# Wait until a query in a database gives what is expected, and say whether it did.
# What has failed once is not waited for again.  A listener that does not listen
# needs a minute, more than is allowed here.
my %failed;

sub comes_to
{
	my ($database, $sql, $expected) = @_;
	my $deadline = time + ($failed{$database} ? 0 : 40);
	my $got;

	while (1)
	{
		$got = in_db($database, $sql);
		return 1 if $got eq $expected;
		last if time > $deadline;
		sleep 0.1;
	}
	diag(-e "$dir/$database.log" ? slurp_file("$dir/$database.log") : '') if !$failed{$database};
	diag("$database: \"$got\" instead of \"$expected\" from $sql");
	$failed{$database} = 1;
	return 0;
}

sub create_database
{
	my ($database, $sql) = @_;

	in_db('postgres', "CREATE DATABASE $database");
	in_db($database, "SET client_min_messages = warning; CREATE EXTENSION qtopic; $sql");
	return;
}

# ---- programs that run

my %pid_of;

sub start_program
{
	my ($loop) = @_;
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		setpgid(0, 0);
		chdir $loop->{place} or die;
		@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)} = ($node->host, $node->port, scalar getpwuid($<), $loop->{database} // $loop->{name});
		open STDIN, '<', '/dev/null';
		open STDERR, '>>', "$dir/$loop->{name}.log";
		open STDOUT, '>&', $loop->{out} // \*STDERR;
		exec @{ $loop->{command} } or POSIX::_exit(127);
	}
	setpgid($pid, $pid);
	$pid_of{ $loop->{name} } = $pid;
	return;
}

# With all that it has started, such as psql.
sub kill_program
{
	my ($loop) = @_;
	my $pid = delete $pid_of{ $loop->{name} } // return;

	kill 'KILL', -$pid;
	waitpid $pid, 0;
	return;
}

sub is_alive
{
	my ($loop) = @_;
	return waitpid($pid_of{ $loop->{name} }, POSIX::WNOHANG()) == 0;
}

END
{
	my $status = $?;
	kill 'KILL', -$_ foreach values %pid_of;
	$? = $status;
}

# ---- the loops

# The second record of a batch that is held is in the middle of its transaction.
my $trip = <<'SQL';
CREATE SEQUENCE tries;
CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.url LIKE 'again%' AND nextval('tries') = 1 THEN
		RAISE serialization_failure;
	ELSIF NEW.url LIKE '%held' THEN
		PERFORM pg_advisory_xact_lock_shared(1);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER trip BEFORE INSERT ON page_hits FOR EACH ROW EXECUTE FUNCTION trip();
SQL

my $waiting = q{SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'};
my $once = q{SELECT concat_ws(' ', count(*), min(hits), max(hits)) FROM page_hits};
my $lag = q{SELECT sum(lag) FROM qtopic_group_lag WHERE consumer_group = 'hits'};

sub produce_urls
{
	my ($loop, @urls) = @_;
	my $values = join ',', map { qq{'{"url": "$_"}'} } @urls;

	in_db($loop->{name}, "SELECT produce_batch('page_view', ARRAY[" . join(',', ('NULL') x @urls) . "]::text[], ARRAY[$values]::jsonb[], partition => 0)");
	$loop->{produced} += @urls;
	return;
}

# Nobody passes a record that is held before release().
sub hold
{
	my ($loop) = @_;
	in_db($loop->{name}, "BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION 'hold_$loop->{name}'");
	return;
}

sub release
{
	my ($loop) = @_;
	in_db($loop->{name}, "ROLLBACK PREPARED 'hold_$loop->{name}'");
	return;
}

sub all_once
{
	my ($loop, $what) = @_;
	ok(comes_to($loop->{name}, $once, "$loop->{produced} 1 1"), "$loop->{name}: $what");
	return;
}

sub new_loop
{
	my ($name, $place, @command) = @_;

	create_database($name, sql_of('Set-up') . $trip);
	return { name => $name, place => $place, command => [@command], produced => 0 };
}

# Bring a loop to the middle of a transaction.
sub to_the_middle
{
	my ($loop, $prefix) = @_;

	hold($loop);
	produce_urls($loop, "${prefix}a", "${prefix}held", "${prefix}z");
	ok(comes_to($loop->{name}, $waiting, 1), "$loop->{name}: it is in the middle of a transaction");
	return;
}

my (@loops, @separate, @deaf);
my %command = (
	sh => sub { [ 'bash', $_[0] ] },
	py => sub { [ $python, '-u', '-B', $_[0] ] },
	js => sub { [ 'node', $_[0] ] });
# How to commit the position before the effects.
my %separately = (
	'worker.sh' => [ qr/BEGIN;\n(.*?FROM) (consume_jsonb\(.*?\)) /s, '' ],
	'worker.py' => [ qr/with db\.transaction\(\):/, 'if True:' ],
	'worker.js' => [ qr/'BEGIN'/, q{'SELECT 1'} ],
	'worker.c' => [ qr/"BEGIN"/, q{"SELECT 1"} ]);

foreach my $language (qw(sh py js c))
{
	my @names = grep { /\.$language$/ && !/^member/ } sort keys %file;
	my %shown = map { $_ => $file{$_} } @names;

	isnt(scalar @names, 0, "there are programs of $language");
	if ($language eq 'js' && $node_missing)
	{
		diag("the programs of Node are not run: $node_missing");
	  SKIP: { skip("Node: $node_missing", 1) }
		next;
	}
	die 'no python3 has the module psycopg' if $language eq 'py' && !$python;

	my $place = write_programs($language, %shown);
	my @ways = $language eq 'c' ? map { [ $_, './worker', $_ ] } qw(worker idle listen)
	  : map { [ s/\..*//r, @{ $command{$language}->($_) } ] } @names;
	push @loops, new_loop("${language}_$_->[0]", $place, @$_[ 1 .. $#$_ ]) foreach @ways;

	# the same with the position committed separately
	my $worker = "worker.$language";
	my ($from, $to) = @{ $separately{$worker} };
	my $changed = $language eq 'sh'
	  ? $shown{$worker} =~ s/$from/CREATE TEMP TABLE r AS SELECT * FROM $2;\nBEGIN;\n$1 r /r
	  : broken($shown{$worker}, $from, $to);
	isnt($changed, $shown{$worker}, "$worker: a control");
	my $other = write_programs("separate_$language", %shown, $worker => $changed);
	push @separate, new_loop("separate_$language", $other, @{ $ways[-1] }[ 1 .. $#{ $ways[-1] } ]);
	$separate[-1]{command}[-1] = $language eq 'c' ? 'worker' : $worker;

	# and without LISTEN
	my ($listener) = grep { $shown{$_} =~ /LISTEN/ } @names or next;
	my $deaf = write_programs("deaf_$language", %shown,
		$listener => broken($shown{$listener}, qr/LISTEN qtopic_page_view/, 'SELECT 1'));
	push @deaf, new_loop("deaf_$language", $deaf, @{ $ways[-1] }[ 1 .. $#{ $ways[-1] } ]);
	$deaf[-1]{command}[-1] = $language eq 'c' ? 'listen' : $listener;
}

foreach my $loop (@loops, @separate, @deaf)
{
	start_program($loop);
	produce_urls($loop, map { "first$_" } 1 .. 20);
}
all_once($_, 'records are processed') foreach @loops;

# only now do they have to be waked
produce_urls($_, map { "second$_" } 1 .. 5) foreach @loops;
all_once($_, 'and those that come later') foreach @loops;

produce_urls($_, 'again', 'other') foreach @loops;
all_once($_, 'after a serialization failure') foreach @loops;
is(in_db($_->{name}, 'SELECT last_value > 1 FROM tries'), 't', "$_->{name}: which there was") foreach @loops;

to_the_middle($_, 'lost') foreach @loops;
in_db($_->{name}, q{SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'})
  foreach @loops;
release($_) foreach @loops;
all_once($_, 'after a lost connection') foreach @loops;
is(is_alive($_), 1, "$_->{name}: the program is still the same") foreach @loops;

to_the_middle($_, 'killed') foreach @loops, @separate;
kill_program($_) foreach @loops, @separate;
release($_) foreach @loops, @separate;
start_program($_) foreach @loops, @separate;
all_once($_, 'after kill -9') foreach @loops;
is(in_db($_->{name}, $lag), 0, "$_->{name}: no lag is left") foreach @loops;

produce_urls($_, 'last') foreach @separate;
foreach my $loop (@separate)
{
	ok(comes_to($loop->{name}, q{SELECT count(*) FROM page_hits WHERE url = 'last'}, 1), "$loop->{name}: it goes on");
	isnt(in_db($loop->{name}, $once), "$loop->{produced} 1 1", "$loop->{name}: but has lost records");
}

# ---- what waits with a snapshot, and what does not

my $snapshot = q{SELECT string_agg((backend_xmin IS NOT NULL)::text, ' ') FROM pg_stat_activity WHERE datname = current_database()
	AND backend_type = 'client backend' AND pid <> pg_backend_pid()};
foreach my $loop (grep { $_->{name} =~ /idle|listen|worker/ } @loops)
{
	my $has = $loop->{name} =~ /worker/ ? 'true' : 'false';
	ok(comes_to($loop->{name}, $snapshot, $has), "$loop->{name}: a snapshot while it waits: $has");
}

# ---- and who does not listen

foreach my $loop (@deaf)
{
	ok(comes_to($loop->{name}, $snapshot, 'false'), "$loop->{name}: it waits");
	produce_urls($loop, 'unheard');
}
sleep 1 if @deaf;				# the others would have noticed long ago
is(in_db($_->{name}, q{SELECT count(*) FROM page_hits WHERE url = 'unheard'}), 0, "$_->{name}: it does not notice") foreach @deaf;

# ---- members: effects outside of the database

# What a member has done is what it has printed.  A record that is longer than what a
# pipe holds stops it in the middle of its work, as long as nobody reads.
my $held = 'held' . 'x' x 200_000;
my $log = $node->logfile;
my $members = q{SELECT string_agg(concat_ws(' ', state, jsonb_array_length(assignment->'page_view')), ', ') FROM qtopic_group_members};
my $mailer_lag = q{SELECT sum(lag) FROM qtopic_group_lag WHERE consumer_group = 'mailer'};

# What to break: commit before the work, or never.
my %early = (
	'member.sh' => qr/(\\copy \N*\n)(SELECT commit_offsets.*?;\n)/s,
	'member.py' => qr/(    for topic, partition\N*\n\N*\n)(    if records:.*?\n)(?=    return)/s,
	'member.js' => qr/(  for \(const record of rows\)\n    await send\N*\n)(  if \(rows.*?\n  \}\n)/s,
	'member.c' => qr/(\tfor \(int i\N*\n\t\tprintf.*?fflush\N*\n)(\tgood = commit\N*\n)/s);
my %never = (
	'member.sh' => [ qr/SELECT commit_offsets.*?;\n/s, '' ],
	'member.py' => [ qr/if records:/, 'if False:' ],
	'member.js' => [ qr/if \(rows\.length\)/, 'if (false)' ],
	'member.c' => [ qr/good = commit\(db, records\)/, 'good = commit(db, PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK))' ]);

# A program that joins the group of a database; $name tells it from others of that database.
sub new_member
{
	my ($database, $name, $program, $lines) = @_;
	my $language = $program =~ s/.*\.//r;
	my $place = write_programs("${database}_$name", $program => $lines);

	return { name => "${database}_$name", database => $database, place => $place, got => '',
		command => $language eq 'c' ? ['./member'] : $command{$language}->($program) };
}

sub start_member
{
	my ($member) = @_;

	pipe(my $read, my $write) or die "pipe: $!";
	$read->blocking(0);
	@$member{qw(in out)} = ($read, $write);
	start_program($member);
	close delete $member->{out};
	return;
}

# The records that a member has worked on, as far as it has printed them.
sub sent
{
	my ($member) = @_;

	1 while sysread $member->{in}, $member->{got}, 65536, length $member->{got};
	return $member->{got} =~ /^sent \d+\s\d+\s(\S+)\n/mg;
}

# Wait until a member has worked on all of these, $times times.
sub sends
{
	my ($member, $times, @urls) = @_;
	my $deadline = time + ($failed{ $member->{database} } ? 0 : 40);
	my @missing;

	while (1)
	{
		my %count;
		$count{$_}++ foreach sent($member);
		@missing = grep { ($count{$_} // 0) < $times } @urls;
		return 1 if !@missing;
		last if time > $deadline;
		sleep 0.05;
	}
	diag(slurp_file("$dir/$member->{name}.log"));
	diag("$member->{name}: " . join(' ', map { substr $_, 0, 40 } @missing) . ' not yet');
	$failed{ $member->{database} } = 1;
	return 0;
}

# Wait until a member is working on the record that is held, and leave it there.
sub is_held
{
	my ($member, $url) = @_;
	my $deadline = time + ($failed{ $member->{database} } ? 0 : 40);

	until ($member->{got} =~ /^sent \d+\s\d+\s\Q$url\E/m)
	{
		last if time > $deadline;
		sysread($member->{in}, $member->{got}, 512, length $member->{got}) or sleep 0.05;
	}
	return $member->{got} =~ /^sent \d+\s\d+\s\Q$url\E/m;
}

sub produce_mails
{
	my ($database, $partition, @urls) = @_;
	my $values = join ',', map { qq{'{"url": "$_"}'} } @urls;

	in_db($database, "SELECT produce_batch('page_view', NULL::text[], ARRAY[$values]::jsonb[], partition => $partition)");
	return;
}

# Whether the server has refused a member with a SQLSTATE.
sub was_refused
{
	my ($database, $sqlstate) = @_;
	my $deadline = time + ($failed{$database} ? 0 : 40);

	while (1)
	{
		return 1 if slurp_file($log) =~ /^\N* $database $sqlstate ERROR:/m;
		last if time > $deadline;
		sleep 0.1;
	}
	$failed{$database} = 1;
	return 0;
}

my @first = map { "first$_" } 1 .. 20;
my (@teams, @early, @never);
foreach my $program (grep { /^member/ } sort keys %file)
{
	my ($language) = $program =~ /\.(.*)/;
	next if $language eq 'js' && $node_missing;
	my $soon = broken($file{$program}, qr/'\{page_view\}'/, q('{page_view}', session_timeout => '6s'));
	my $early = $soon =~ s/$early{$program}/$2$1/r;

	isnt($early, $soon, "$program: a control");
	foreach my $team (
		[ \@teams, 'member', $soon ], [ \@early, 'early', $early ], [ \@never, 'never', broken($soon, @{ $never{$program} }) ])
	{
		my ($list, $name, $lines) = @$team;
		my $database = "${name}_$language";

		create_database($database, sql_of('Set-up'));
		produce_mails($database, 0, @first[ 0 .. 9 ]);
		produce_mails($database, 1, @first[ 10 .. 19 ]);
		push @$list, { name => $database, one => new_member($database, 'one', $program, $lines),
			two => new_member($database, 'two', $program, $file{$program}) };
		start_member($list->[-1]{one});
	}
}
is(scalar @teams, $node_missing ? 3 : 4, 'there are programs of members');

foreach my $team (@teams, @early)
{
	ok(sends($team->{one}, 1, @first), "$team->{name}: records are worked on");
	ok(comes_to($team->{name}, $mailer_lag, 0), "$team->{name}: and committed");
	start_member($team->{two});
}

# One is killed in the middle of its work, the other one takes over.
foreach my $team (@teams, @early)
{
	ok(comes_to($team->{name}, $members, 'stable 1, stable 1'), "$team->{name}: two members share the partitions");
	$team->{part} = in_db($team->{name}, q{SELECT assignment->'page_view'->>0 FROM qtopic_group_members WHERE session_timeout = '6s'});
	produce_mails($team->{name}, $team->{part}, 'lost_a', "lost_$held", 'lost_z');
	ok(is_held($team->{one}, 'lost_held'), "$team->{name}: it is in the middle of its work");
	kill_program($team->{one});
}
foreach my $team (@teams)
{
	ok(sends($team->{two}, 1, 'lost_a', "lost_$held", 'lost_z'), "$team->{name}: the other member does it");
	ok(comes_to($team->{name}, $mailer_lag, 0), "$team->{name}: no lag is left");
	is(in_db($team->{name}, $members), 'stable 2', "$team->{name}: it has all partitions");
}
foreach my $team (@early)
{
	produce_mails($team->{name}, $team->{part}, 'last');
	ok(sends($team->{two}, 1, 'last'), "$team->{name}: the other member goes on");
	is(scalar(grep { /^lost_z/ } sent($team->{one}), sent($team->{two})), 0, "$team->{name}: but a record is lost");
}
foreach my $team (@never)
{
	ok(sends($team->{one}, 3, @first), "$team->{name}: the same records come again and again");
	is(in_db($team->{name}, $mailer_lag), 20, "$team->{name}: as nothing is committed");
	kill_program($team->{one});
}

# Each of these is told to join again.
in_db($_->{name}, q{SELECT leave_group('mailer', member_id, member_epoch) FROM qtopic_group_members}) foreach @teams;
foreach my $team (@teams)
{
	ok(was_refused($team->{name}, 'QT004'), "$team->{name}: one that is not known");
	produce_mails($team->{name}, 0, 'unknown');
	ok(sends($team->{two}, 1, 'unknown'), "$team->{name}: joins again");
	ok(comes_to($team->{name}, $mailer_lag, 0), "$team->{name}: and commits");
}
in_db($_->{name}, q{SELECT join_group('mailer', '{page_view}', member_id => member_id) FROM qtopic_group_members}) foreach @teams;
foreach my $team (@teams)
{
	ok(was_refused($team->{name}, 'QT002'), "$team->{name}: one whose place was taken");
	produce_mails($team->{name}, 1, 'fenced');
	ok(sends($team->{two}, 1, 'fenced'), "$team->{name}: joins again");
}

# The group is locked when one has to acknowledge that partitions go to a guest.
foreach my $team (@teams)
{
	my $session = $node->background_psql($team->{name});

	$session->set_query_timer_restart;
	produce_mails($team->{name}, 0, "locked_$held");
	ok(is_held($team->{two}, 'locked_held'), "$team->{name}: it works on");
	run_in($session, q{SELECT member_epoch FROM join_group('mailer', '{page_view}', member_id => 'guest') \gset});
	run_in($session, q{BEGIN; SELECT leave_group('mailer', 'guest', :member_epoch)});
	ok(sends($team->{two}, 1, "locked_$held"), "$team->{name}: while the group changes");
	ok(was_refused($team->{name}, 'QT003'), "$team->{name}: one that comes while it is locked");
	run_in($session, 'COMMIT');
	$session->quit;
	produce_mails($team->{name}, $_, "end$_") foreach 0, 1;
	ok(sends($team->{two}, 1, 'end0', 'end1'), "$team->{name}: tries again");
	ok(comes_to($team->{name}, $mailer_lag, 0), "$team->{name}: at last no lag is left");
	is(join(' ', sort map { substr $_, 0, 11 } sent($team->{two})), 'end0 end1 fenced locked_held lost_a lost_heldxx lost_z unknown',
		"$team->{name}: it has worked on each record once");
	is(is_alive($team->{two}), 1, "$team->{name}: the program is still the same");
	kill_program($team->{two});
}
kill_program($_->{two}) foreach @early;

# ---- poison records

my $indexed = q{SELECT string_agg(url || ':' || hits, ' ' ORDER BY url) FROM page_hits};
my $put_aside = q{SELECT count(*), bool_and(d.value IS NOT DISTINCT FROM p.value AND d.key = p.key AND d._timestamp = p._timestamp AND d.headers->>'source' = 'web'
		AND d.headers->>'__connect.errors.topic' = 'page_view' AND d.headers->>'__connect.errors.connector.name' = 'hits'
		AND d.headers->>'__connect.errors.stage' = 'TASK_PUT'
		AND length(d.headers->>'__connect.errors.exception.class.name') > 0 AND length(d.headers->>'__connect.errors.exception.message') > 0)
	FROM qtopic."page_view.dlq" AS d JOIN qtopic.page_view AS p
		ON p._partition = (d.headers->>'__connect.errors.partition')::int AND p._offset = (d.headers->>'__connect.errors.offset')::bigint
		AND p.value->>'url' IS NULL};
my $poison = q{SELECT count(produce('page_view', 'k' || i, v, headers => '{"source": "web"}', partition => 1, record_time => '2026-01-01 10:00' ))
	FROM unnest('{NULL,NULL}'::jsonb[] || ARRAY['{"url": "good"}', '{"ur": "bad"}', '{"url": "better"}', '[1]']::jsonb[]) WITH ORDINALITY AS x(v, i) WHERE i > 1};

# Call the worker in the database, with both functions changed as told.
sub put_aside
{
	my ($name, %change) = @_;
	my $lines = sql_of('Poison records');

	$lines = broken($lines, $change{from}, $change{to}) if %change;
	create_database($name, sql_of('Set-up') . $lines . $poison);
	return $node->psql($name, 'CALL count_hits()');
}

is(put_aside('poison'), 0, 'poison: a turn succeeds');
is(in_db('poison', $indexed), 'better:1 good:1', 'poison: what is good is counted');
is(in_db('poison', $put_aside), '3|t', 'poison: what is not is put aside, with its headers');
is(in_db('poison', q{SELECT string_agg(DISTINCT headers->>'__connect.errors.exception.class.name', ' ') FROM qtopic."page_view.dlq"}), '23502', 'poison: the class is the SQLSTATE');
is(in_db('poison', $lag), 0, 'poison: no lag is left');
put_aside('offset_lost', from => qr/pos::text/, to => "'0'");
isnt(in_db('offset_lost', $put_aside), '3|t', 'poison: a wrong offset is noticed');
put_aside('time_lost', from => qr/record_time => at,/, to => '');
isnt(in_db('time_lost', $put_aside), '3|t', 'poison: so is the time');
put_aside('headers_lost', from => qr/coalesce\(headers, '\{\}'\) \|\|/, to => '');
isnt(in_db('headers_lost', $put_aside), '3|t', 'poison: so are lost headers');
isnt(put_aside('uncaught', from => qr/        EXCEPTION WHEN.*?\n(?=        END;)/s, to => ''), 0, 'poison: without the savepoint a turn fails');
isnt(in_db('uncaught', $lag), 0, 'poison: and the group stays where it is');

# The same by the program in Python, which is still running where it was tested.
my ($loop) = grep { $_->{name} eq 'py_poison' } @loops;
in_db('py_poison', sql_of('Poison records') . $poison);
ok(comes_to('py_poison', $put_aside, '3|t'), 'poison: Python puts aside the same');
is(in_db('py_poison', q{SELECT count(*), max(hits) FROM page_hits WHERE url IN ('good', 'better')}), '2|1', 'poison: and counts the same');
is(in_db('py_poison', $lag), 0, 'poison: no lag is left');
is(is_alive($loop), 1, 'poison: the program goes on');

# ---- an outbox

# Two transactions change an order, the second one waits for the row of the first.
# Then the last record of each key must be what the table has.
my $same = q{SELECT count(*), bool_and(o.status IS NOT DISTINCT FROM r.value->>'status')
	FROM orders AS o FULL JOIN (SELECT DISTINCT ON (key) key, value FROM qtopic.orders ORDER BY key, _offset DESC) AS r ON o.id = r.key::bigint};
my $statuses = q{SELECT string_agg(coalesce(value->>'status', '-'), ' ' ORDER BY _offset) FROM qtopic.orders WHERE key = '1'};

sub change_order
{
	my ($name, $lines, $before) = @_;

	create_database($name, $lines . q{INSERT INTO orders VALUES (1, 'new'), (2, 'new')});
	my $one = $node->background_psql($name);
	my $two = $node->background_psql($name);
	$_->set_query_timer_restart foreach $one, $two;

	run_in($two, "BEGIN; $before") if $before;
	run_in($one, q{BEGIN; UPDATE orders SET status = 'paid' WHERE id = 1});
	my $held = in_db($name, 'SELECT count(*) FROM qtopic_partitions WHERE blocked_by_pid IS NOT NULL');
	send_query($two, q{UPDATE orders SET status = 'sent' WHERE id = 1; COMMIT});
	comes_to($name, q{SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'}, 't');
	run_in($one, 'COMMIT');
	receive($two);
	$_->quit foreach $one, $two;
	return $held;
}

my $outbox = sql_of('An outbox without an outbox');
is(change_order('outbox', $outbox), 0, 'outbox: an open transaction holds up no reader');
is(in_db('outbox', $statuses), 'new paid sent', 'outbox: the records of a key are in the order of the changes');
is(in_db('outbox', $same), '2|t', 'outbox: the last ones are what the table has');
in_db('outbox', 'DELETE FROM orders WHERE id = 1');
is(in_db('outbox', $statuses), 'new paid sent -', 'outbox: a tombstone for a row that is deleted');
is(change_order('outbox_at_once', $outbox =~ s/, deferred => true//gr), 1, 'outbox: in immediate mode it would hold them up');
my $early = $outbox =~ s/CREATE TRIGGER publish.*//sr;
change_order('outbox_early', $early . q{CREATE TRIGGER publish AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION publish_order();},
	q{SELECT produce('orders', 1, '{"status": "sent"}');});
in_db('outbox_early', q{SELECT produce('orders', 1, '{"status": "paid"}')});
is(in_db('outbox_early', $same), '2|f', 'outbox: what is produced before the change is noticed');

# ---- the moves

my $outbox_table = q{CREATE TABLE outbox (id bigserial PRIMARY KEY, aggregate_id text, payload jsonb, created_at timestamptz DEFAULT now());
	SELECT create_topic('orders', 4, '{"value.format": "jsonb"}');
	CREATE FUNCTION send(text) RETURNS bigint LANGUAGE sql AS $$
		INSERT INTO outbox (aggregate_id, payload) VALUES ('a', jsonb_build_object('m', $1)) RETURNING id $$;};
my $pgmq_table = q{CREATE SCHEMA pgmq; CREATE TABLE pgmq.q_mail (msg_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, read_ct int DEFAULT 0 NOT NULL,
		enqueued_at timestamptz DEFAULT now() NOT NULL, vt timestamptz NOT NULL, message jsonb);
	CREATE FUNCTION send(text, delay int DEFAULT 0) RETURNS bigint LANGUAGE sql AS $$
		INSERT INTO pgmq.q_mail (vt, message) VALUES (clock_timestamp() + delay * interval '1 s', jsonb_build_object('m', $1)) RETURNING msg_id $$;};

# Some send before the switch, one is sending when it begins, one begins meanwhile.
sub move
{
	my ($name, $source, $lines) = @_;
	my ($set_up, $switch) = $lines =~ /^(.*?)(?=^BEGIN;)(.*)/ms;

	create_database($name, $source . $set_up);
	my @session = map { $node->background_psql($name) } 1 .. 3;
	$_->set_query_timer_restart foreach @session;
	in_db($name, "SELECT send('m' || i) FROM generate_series(1, 9) i");
	run_in($session[0], q{BEGIN; SELECT send('open')});
	send_query($session[1], $switch);
	comes_to($name, q{SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'}, 1);
	send_query($session[2], q{SELECT send('meanwhile')});
	comes_to($name, q{SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'}, 2);
	run_in($session[0], 'COMMIT');
	receive($session[1]);
	like(receive($session[2]), qr/^\d+\n?$/, "$name: a sender gets its number as before");
	in_db($name, q{SELECT send('after')});
	$_->quit foreach @session;
	return;
}

# Name, topic and relation: what is in the topic, and how much in the table.
sub moved
{
	my ($name, $topic, $relation) = @_;
	return in_db($name, "SELECT (SELECT string_agg(value->>'m', ' ' ORDER BY _offset) FROM qtopic.$topic), count(*) FROM $relation");
}

my $all = join(' ', map { "m$_" } 1 .. 9) . ' open meanwhile after|0';
my $lock = qr/^LOCK TABLE.*\n/m;
my $from_outbox = sql_of('From an outbox table');
move('moved_outbox', $outbox_table, $from_outbox);
is(moved('moved_outbox', 'orders', 'outbox'), $all, 'moved_outbox: every message once, in order');
move('unlocked_outbox', $outbox_table, broken($from_outbox, $lock, ''));
isnt(moved('unlocked_outbox', 'orders', 'outbox'), $all, 'unlocked_outbox: without the lock one is left');

my $from_pgmq = sql_of('From a pgmq queue', 0);
my $again = sql_of('From a pgmq queue', 1);
my $in_flight = q{; SELECT send('delayed', 3600), send('in flight')};
$in_flight .= q{; UPDATE pgmq.q_mail SET vt = clock_timestamp() + interval '1 hour', read_ct = 1, enqueued_at = '2026-01-01' WHERE message->>'m' = 'in flight'};
move('moved_pgmq', $pgmq_table . $in_flight . ';', $from_pgmq);
is(moved('moved_pgmq', 'mail', 'pgmq.q_mail'), $all =~ s/0$/2/r, 'moved_pgmq: every message once, in order, but for those that must stay');
in_db('moved_pgmq', q{SELECT send('later', 3600)});
in_db('moved_pgmq', $again);
is(moved('moved_pgmq', 'mail', 'pgmq.q_mail'), $all =~ s/0$/3/r, 'moved_pgmq: they stay');
in_db('moved_pgmq', q{UPDATE pgmq.q_mail SET vt = clock_timestamp()});
in_db('moved_pgmq', $again);
is(moved('moved_pgmq', 'mail', 'pgmq.q_mail'), $all =~ s/\|0$/ delayed in flight later|0/r, 'moved_pgmq: until they come back');
is(in_db('moved_pgmq', q{SELECT count(*) FROM qtopic.mail WHERE value->>'m' = 'in flight' AND _timestamp = '2026-01-01'}), 1, 'moved_pgmq: with their time');
move('unlocked_pgmq', $pgmq_table, broken($from_pgmq, $lock, ''));
isnt(moved('unlocked_pgmq', 'mail', 'pgmq.q_mail'), $all, 'unlocked_pgmq: without the lock one is left');

# ---- backfill

my $visits = q{CREATE TABLE visits AS SELECT 'v' || i AS visitor, '/' || i AS url, '2026-01-01 UTC'::timestamptz + i * interval '1 h' AS at FROM generate_series(0, 71) i;};
my $filled = q{SELECT count(*), count(DISTINCT r.key), bool_and(v.at = r._timestamp AND v.url = r.value->>'url') FROM qtopic.page_view AS r LEFT JOIN visits AS v ON v.visitor = r.key};
create_database('filled_insert', "SET timezone = UTC;" . sql_of('Set-up') . $visits . sql_of('Backfill', 0));
is(in_db('filled_insert', $filled), '72|72|t', 'backfill: INSERT with the times of the past');
create_database('filled_batch', sql_of('Set-up') . sql_of('Backfill', 1));
is(in_db('filled_batch', q{SET timezone = UTC; SELECT string_agg(concat_ws(' ', key, value->>'url', _timestamp), ', ' ORDER BY key) FROM qtopic.page_view}),
	'ann /moon 2026-01-01 10:00:00+00, bob /mars 2026-01-01 10:01:00+00', 'backfill: arrays with their times');

sub backfill
{
	my ($name, $lines) = @_;

	create_database($name, sql_of('Set-up') . $visits . $lines);
	in_db($name, "SET timezone = UTC; CALL backfill('2026-01-01', '2026-01-02')");
	$node->psql($name, "SET timezone = UTC; BEGIN; CALL backfill('2026-01-02', '2026-01-03')");	# fails, as it commits
	in_db($name, "SET timezone = UTC; CALL backfill('2026-01-01', '2026-01-03')") foreach 1, 2;
	return in_db($name, $filled);
}

is(backfill('filled', sql_of('Backfill', 2)), '72|72|t', 'backfill: in parts, each once');
isnt(backfill('overfilled', broken(sql_of('Backfill', 2), qr/IF FOUND/, 'IF true')), '72|72|t', 'backfill: what comes twice is noticed');

kill_program($_) foreach @loops, @separate, @deaf;

# ---- what doc/migrate.md shows: every statement of its tables, alone

create_database('migrate', q{CREATE ROLE app; SELECT create_topic('orders', 4); SELECT create_topic('orders.retry');
	SELECT produce('orders', NULL::text, i::text, partition => i % 2) FROM generate_series(1, 400) i; SELECT count(*) FROM consume('billing', 'orders', 50)});
my @shown = grep { /^(?:SELECT|COPY|GRANT|INSERT) / && !/\.\.\./ }
  slurp_file("$FindBin::RealBin/../../doc/migrate.md") =~ /`([^`]+)`/g;
cmp_ok(scalar @shown, '>', 40, 'tables: statements are shown');
foreach my $statement (@shown)
{
	my $prepare =
		$statement =~ /create_topic/ ? q{SELECT drop_topic('orders');}
	  : $statement =~ /create_group/ ? q{SELECT delete_group('billing');}
	  : $statement =~ /'m1', 1/ ? q{SELECT delete_group('billing'); SELECT join_group('billing', '{orders}', member_id => 'm1');}
	  : '';
	is($node->psql('migrate', "BEGIN; SET client_min_messages = error; $prepare $statement; ROLLBACK"), 0, "tables: $statement");
}

# poll_records; BEGIN; effects; commit_offsets; COMMIT: one that was replaced meanwhile
sub process_as_member
{
	my ($epoch, $positions) = @_;
	return $node->psql('migrate', qq{BEGIN; INSERT INTO processed SELECT _partition, _offset FROM polled;
		SELECT commit_offsets('once', 'm1', $epoch, '$positions'); COMMIT}, stderr => \my $stderr);
}

in_db('migrate', q{CREATE TABLE processed (part int, pos bigint); SELECT join_group('once', '{orders}', member_id => 'm1');
	CREATE TABLE polled AS SELECT * FROM poll_records('once', 'm1', 1);});
my $positions = in_db('migrate', q{SELECT jsonb_build_object('orders', jsonb_object_agg(_partition, n)) FROM (SELECT _partition, max(_offset) + 1 AS n FROM polled GROUP BY 1) p});
in_db('migrate', q{SELECT join_group('once', '{orders}', member_id => 'm1')});
is(process_as_member(1, $positions), 3, 'tables: one that was replaced cannot commit');
is(process_as_member(2, $positions), 0, 'tables: the other one can');
is(in_db('migrate', q{SELECT concat_ws(' ', count(*), count(DISTINCT (part, pos))) FROM processed}), '400 400', 'tables: each record is processed once');
is($node->psql('migrate', q{SELECT * FROM consume('billing', 'orders', max_records => 5::bigint)}, stderr => \my $no_cast), 3,
	'tables: a cast is needed where a driver sends bigint');
foreach my $types ('varchar, varchar, varchar, varchar, int, varchar', 'text, text, text, text, bigint, text')
{
	my $call = q{$1, $2, $3, headers => $4::jsonb, partition => $5::int, record_time => $6::timestamptz};
	is(in_db('migrate', "PREPARE p ($types) AS SELECT _partition FROM produce($call); EXECUTE p ('orders', 'k', 'v', '{}', 1, '2026-01-01')"), 1,
		"tables: with the casts these will do: $types");
}

is(join(' ', grep { !$used{$_} } map { my $s = $_; map { "$s $_" } 0 .. $#{ $sql{$s} } } sort keys %sql), '',
	'no block of SQL is left out');

$node->stop;
done_testing();
