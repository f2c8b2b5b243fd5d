# QtopicTest - what the TAP tests of qtopic share.
#
#   use QtopicTest;
#   my $node = new_node('main', fsync => 1);
#   crash($node);
#   $node->start;

package QtopicTest;

use strict;
use warnings;

use Carp;
use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(new_node crash children_of wait_for_query
  open_session send_query receive run_in error_of error_code);

# new_node($name, %options): a server that has qtopic preloaded, running, and
# with the extension in database postgres.  Options:
#   fsync => 1           default 0
#   autovacuum => 0      default 1
#   conf => "a = 1\n"    lines for postgresql.conf
#   init => [...]        arguments for init(), such as allows_streaming => 1
#   start => 0           do not start it, so do not create the extension
#   extension => 0       do not create the extension
sub new_node
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		extra => [ '--encoding=UTF8', '--locale=C' ],
		@{ delete $options{init} // [] });
	$node->append_conf('postgresql.conf', <<CONF);
shared_preload_libraries = 'qtopic'
max_prepared_transactions = 20
fsync = @{[ delete $options{fsync} ? 'on' : 'off' ]}
autovacuum = @{[ delete $options{autovacuum} // 1 ? 'on' : 'off' ]}
@{[ delete $options{conf} // '' ]}
CONF
	my $start = delete $options{start} // 1;
	my $extension = delete $options{extension} // 1;
	croak "new_node: no such option: " . join(', ', sort keys %options)
	  if %options;

	$node->start if $start;
	$node->safe_psql('postgres', 'CREATE EXTENSION qtopic')
	  if $start && $extension;
	return $node;
}

# The process is there and not a zombie.
sub is_running
{
	my ($pid) = @_;

	open(my $stat, '<', "/proc/$pid/stat") or return 0;
	my $line = <$stat> // '';
	return $line =~ /^\d+ \(.*\) ([A-Z])/s && $1 !~ /[ZX]/;
}

sub children_of
{
	my ($parent) = @_;
	my @children;

	foreach my $file (glob '/proc/[0-9]*/stat')
	{
		open(my $stat, '<', $file) or next;
		my $line = <$stat> // '';
		push @children, $1
		  if $line =~ /^(\d+) \(.*\) [A-Z] (\d+) /s && $2 == $parent;
	}
	return @children;
}

# crash($node): end all of its processes at once, as a power cut does, and leave
# it such that start() works.  The postmaster is stopped first, so that it can
# neither fork nor notice; its children get no chance to flush WAL.
sub crash
{
	my ($node) = @_;
	my $pidfile = $node->data_dir . '/postmaster.pid';
	my ($postmaster) = split /\n/, slurp_file($pidfile);
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	kill 'STOP', $postmaster;
	my @children = children_of($postmaster);
	$node->kill9;
	kill 'KILL', @children;
	while (my @left = grep { is_running($_) } $postmaster, @children)
	{
		croak "crash: processes @left do not end" if time > $deadline;
		sleep 0.05;
	}

	# their pids may belong to somebody else by the next start
	unlink $pidfile, $node->host . '/.s.PGSQL.' . $node->port . '.lock';
	return;
}

# wait_for_query($node, $sql, $expected, $timeout): poll until the query gives
# the expected text (default "t"), else fail with what it gave last.
sub wait_for_query
{
	my ($node, $sql, $expected, $timeout) = @_;
	my ($stdout, $stderr);

	$expected //= 't';
	$timeout //= $PostgreSQL::Test::Utils::timeout_default;
	my $deadline = time + $timeout;

	while (1)
	{
		$node->psql('postgres', $sql, stdout => \$stdout, stderr => \$stderr);
		return 1 if $stdout eq $expected && $stderr eq '';
		last if time > $deadline;
		sleep 0.1;
	}
	croak "waited $timeout s for \"$expected\" from \"$sql\", got \"$stdout\" $stderr";
}

# open_session($node, %options): a psql that stays connected, for send_query,
# receive and run_in; close it with ->quit.  Options are those of background_psql.
sub open_session
{
	my ($node, %options) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0, %options);

	$session->set_query_timer_restart;
	return $session;
}

# send_query($session, $sql): start it and do not wait; receive gets the result.
my $queries = 0;

sub send_query
{
	my ($session, $sql) = @_;
	my $banner = $session->{qtopic_banner} = '<end of query ' . ++$queries . '>';

	$session->{timeout}->start;
	$session->{stdout} = $session->{stderr} = '';
	$session->{stdin} .= "$sql\n;\n\\echo $banner\n\\warn $banner\n";
	# pump() would wait for output too
	while (1)
	{
		$session->{run}->pump_nb;
		last unless length $session->{stdin};
		sleep 0.001;
	}
	return;
}

# receive($session): what the query that was sent has printed; in list context
# also its errors and notices.
sub receive
{
	my ($session) = @_;
	my $banner = quotemeta $session->{qtopic_banner};

	$session->{run}->pump
	  until $session->{stdout} =~ /$banner\n/ && $session->{stderr} =~ /$banner\n/;
	my ($stdout, $stderr) = map { s/\n?$banner\n//r } $session->{stdout}, $session->{stderr};
	return wantarray ? ($stdout, $stderr) : $stdout;
}

# run_in($session, $sql): both; dies of errors, unless called in list context.
sub run_in
{
	my ($session, $sql) = @_;

	send_query($session, $sql);
	my ($stdout, $stderr) = receive($session);
	croak "\"$sql\" failed: $stderr" if !wantarray && $stderr ne '';
	return wantarray ? ($stdout, $stderr) : $stdout;
}

# error_of($node, $sql): what psql prints on stderr, with SQLSTATE, detail and hint.
sub error_of
{
	my ($node, $sql) = @_;
	my $stderr;

	$node->psql('postgres', "\\set VERBOSITY verbose\n$sql", on_error_stop => 1,
		stderr => \$stderr);
	return $stderr;
}

# error_code($node, $sql): the SQLSTATE that a statement fails with, or ''.
sub error_code
{
	my ($node, $sql) = @_;

	return error_of($node, $sql) =~ /^(?:psql:\S+ )?ERROR:  (\w{5}):/m ? $1 : '';
}

1;
