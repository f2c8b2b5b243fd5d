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

our @EXPORT = qw(new_node crash wait_for_query);

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

1;
