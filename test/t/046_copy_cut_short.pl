# 046_copy_cut_short - COPY into a topic that ends in the middle, for whatever
# reason: it leaves nothing behind, and readers go on past the gap.

use strict;
use warnings;

use IO::Handle;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $node = new_node('main', fsync => 1, conf => "restart_after_crash = on\n");
my $fifo = PostgreSQL::Test::Utils::tempdir_short() . '/rows';
mkfifo($fifo, 0600) or die "mkfifo: $!";
my $rows = 30000;

# the server may have closed the pipe
local $SIG{PIPE} = 'IGNORE';

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Rows are fed through a pipe, so that the COPY is in the middle for as long as
# the pipe is open.
sub start_copy
{
	my ($session, $what) = @_;

	send_query($session, "COPY $what FROM '$fifo'");
	open(my $pipe, '>', $fifo) or die "$fifo: $!";
	$pipe->autoflush(1);
	print $pipe "k\tcopied $_ " . join('', map { sprintf '%08x', rand 2**32 } 1 .. 10) . "\n" foreach 1 .. $rows;
	return $pipe;
}

sql("SELECT create_topic('t'); CREATE TABLE noted (value text)");
sql("SELECT produce('t', 'k', 'first')");
my $copier = open_session($node);
my $reader = open_session($node);
my $produced = 1;

# All of it is one transaction's: nothing is seen, and nobody who produces waits.
# Then what has to happen, and what the COPY says.
sub cut_short
{
	my ($name, $what, $cut, $expected) = @_;
	my $next = sql("SELECT next_offset FROM partition_offsets('t')");

	my $pipe = start_copy($copier, $what);
	wait_for_query($node, "SELECT next_offset > $next + 1000 FROM partition_offsets('t')");
	is(sql('SELECT count(*) FROM qtopic.t'), $produced, "$name: while it works nothing is seen");
	sql("SELECT produce('t', 'k', 'meanwhile')");
	$produced++;
	is(sql('SELECT count(*) FROM qtopic.t'), $produced - 1, "$name: nor what others produce behind it");
	my $pid = sql("SELECT pid FROM pg_stat_progress_copy");
	is(sql("SELECT blocked_by_pid FROM qtopic_partitions WHERE topic = 't'"), $pid, "$name: it is shown as what blocks the head");

	# a reader waits for what comes
	send_query($reader, "SELECT count(*), max(_offset) > $next + 1000, min(value) FROM fetch_records('t', 0, $next, max_wait => '20 s')");
	$cut->($pipe, $pid);
	close $pipe;
	my ($stdout, $stderr) = eval { receive($copier) };
	like($stderr // '', $expected, "$name: the error") if defined $expected;
	is(scalar receive($reader), '1|t|meanwhile', "$name: a reader that waited goes on past the gap") if $name ne 'crash';
	return;
}

sub check
{
	my ($name) = @_;

	wait_for_query($node, 'SELECT count(*) FROM qtopic.t', $produced);
	is(sql("SELECT count(*), count(*) FILTER (WHERE value LIKE 'copied%') FROM qtopic.t"), "$produced|0", "$name: nothing is left behind");
	is(sql("SELECT count(*) FROM fetch_records('t', 0, 0, 100000)"), $produced, "$name: nor for fetch_records()");
	is(sql("SELECT last_stable_offset = next_offset FROM partition_offsets('t')"), 't', "$name: and nothing blocks");
	sql("SELECT produce('t', 'k', 'after')");
	$produced++;
	is(sql("SELECT value FROM qtopic.t ORDER BY _partition DESC, _offset DESC LIMIT 1"), 'after', "$name: producing goes on");
	return;
}

my $name = 'a bad row';
cut_short($name, 'qtopic.t (key, value)', sub { print { $_[0] } "too\tmany\tcolumns\n" }, qr/extra data after last expected column/);
check($name);

$name = 'a bad encoding';
cut_short($name, 'qtopic.t (key, value)', sub { print { $_[0] } "k\t\xff\xfe\n" }, qr/invalid byte sequence/);
check($name);

$name = 'cancel';
cut_short($name, 'qtopic.t (key, value)', sub { sql("SELECT pg_cancel_backend($_[1])"); print { $_[0] } "k\tx\n" x 2000 }, qr/canceling statement/);
check($name);

# Triggers: what they have done is undone, too.
sql(<<'SQL');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO noted VALUES (new.value);
	IF new.value = 'refused' THEN RAISE EXCEPTION 'refused by the trigger'; END IF;
	RETURN new;
END $$;
CREATE TRIGGER note BEFORE INSERT ON qtopic.t FOR EACH ROW EXECUTE FUNCTION note();
SQL
$name = 'a trigger';
cut_short($name, 'qtopic.t (key, value)', sub { print { $_[0] } "k\trefused\n" }, qr/refused by the trigger/);
check($name);
is(sql('SELECT count(*) FROM noted'), 0, "$name: what it wrote is gone");
sql('DROP TRIGGER note ON qtopic.t');

# In a transaction that goes on without it.
$name = 'a savepoint';
run_in($copier, "BEGIN; SELECT produce('t', 'k', 'before the savepoint'); SAVEPOINT s");
my $pipe = start_copy($copier, 'qtopic.t (key, value)');
print $pipe "too\tmany\tcolumns\n";
close $pipe;
like((receive($copier))[1], qr/extra data/, "$name: the error");
run_in($copier, "ROLLBACK TO s; SELECT produce('t', 'k', 'after the savepoint'); COMMIT");
$produced += 2;
check($name);

# Deferred: some of it has been appended early, since the buffer has a bound.
$name = 'deferred';
run_in($copier, 'SET qtopic.produce_mode = deferred');
$pipe = start_copy($copier, 'qtopic.t (key, value)');
print $pipe "too\tmany\tcolumns\n";
close $pipe;
like((receive($copier))[1], qr/extra data/, "$name: the error");
check($name);
run_in($copier, 'RESET qtopic.produce_mode');

# The client goes away, and the server.
$name = 'terminate';
$pipe = start_copy($copier, 'qtopic.t (key, value)');
wait_for_query($node, 'SELECT count(*) FROM pg_stat_progress_copy', '1');
sql('SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy');
print $pipe "k\tx\n" x 2000;
close $pipe;
wait_for_query($node, 'SELECT count(*) FROM pg_stat_progress_copy', '0');
eval { $copier->quit };
check($name);

$name = 'crash';
$copier = open_session($node);
my $next = sql("SELECT next_offset FROM partition_offsets('t')");
$pipe = start_copy($copier, 'qtopic.t (key, value)');
wait_for_query($node, "SELECT next_offset > $next + 1000 FROM partition_offsets('t')");
sql("SELECT produce('t', 'k', 'before the crash')");
$produced++;
crash($node);
close $pipe;
$node->start;
is(sql('SELECT count(*) FROM qtopic.t'), $produced, "$name: what was committed is there, and nothing else");
check($name);

# And a whole one.
$copier = open_session($node);
$pipe = start_copy($copier, 'qtopic.t (key, value)');
close $pipe;
is((receive($copier))[1], '', 'a whole one: no error');
is(sql("SELECT count(*), count(*) FILTER (WHERE value LIKE 'copied%') FROM qtopic.t"), ($produced + $rows) . "|$rows", 'it is all there');
is(sql("SELECT bool_and(n = split_part(value, ' ', 2)::int) FROM (SELECT value, row_number() OVER (ORDER BY _offset) AS n FROM qtopic.t WHERE value LIKE 'copied%') s"),
	't', 'in order');

eval { $_->quit } foreach $copier, $reader;
$node->stop;
done_testing();
