# 020_crash - asynchronous commit and kill -9.
#
# A reader never returns a record that a crash can take back, and no offset is
# given twice.  The processes that write WAL in the background are stopped with
# SIGSTOP, so what is flushed is only what must be.  That is checked before each
# crash, and two records show that a crash does lose the rest.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

# Offsets that a WAL record of a sequence runs ahead, at least.
my $chunk = 1024;

my $node = new_node(
	'main',
	autovacuum => 0,
	conf => <<'CONF');
synchronous_commit = off
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
restart_after_crash = on
qtopic.workers = off
CONF

# Nobody but the backends, and CHECKPOINT, writes WAL from now on.
my @stopped;

sub stop_writers
{
	my @pids = @stopped = split /\n/, $node->safe_psql('postgres',
		q{SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer')});
	die 'walwriter and background writer are not there' if @pids != 2;
	kill 'STOP', @pids;
	return;
}

# With open sessions, which the crash takes along.
sub crash_and_restart
{
	my @sessions = @_;

	crash($node);
	eval { $_->quit } foreach @sessions;
	$node->start;
	stop_writers();
	return;
}

sub all_is_flushed
{
	return $node->safe_psql('postgres',
		'SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn()');
}

# Returns the offset.
sub produce
{
	my ($topic, $value) = @_;
	return $node->safe_psql('postgres', "SELECT _offset FROM produce('$topic', '$value')");
}

sub leaf_of
{
	my ($topic) = @_;
	return $node->safe_psql('postgres',
		"SELECT 'qtopic_internal.topic_' || topic_id || '_p0_0' FROM qtopic_internal.topics WHERE name = '$topic'");
}

sub values_of
{
	my ($topic) = @_;
	return $node->safe_psql('postgres',
		"SELECT string_agg(value, ' ' ORDER BY _offset) FROM fetch_records('$topic', 0, 0)");
}

# A topic with one record, whose sequence has just been logged and flushed, so
# that what follows flushes nothing; then a record with an asynchronous commit.
sub prepare_topic
{
	my ($topic) = @_;

	$node->safe_psql('postgres', "SELECT create_topic('$topic')");
	$node->safe_psql('postgres', 'CHECKPOINT');
	produce($topic, 'first');
	produce($topic, 'second');
	is(all_is_flushed(), 'f', "$topic: an asynchronous commit flushes nothing");
	return;
}

# infomask_of($topic): a row for each record, oldest first
sub infomask_of
{
	my ($topic) = @_;
	return $node->safe_psql('postgres',
		"SELECT t_infomask & 768 FROM heap_page_items(get_raw_page('" . leaf_of($topic) . "', 0))");
}

$node->safe_psql('postgres', 'CREATE EXTENSION pageinspect');
stop_writers();

# ---- durable read

# Seen to fail: mutant durable_read_never_flushes, and so the next.
prepare_topic('fetched');
is(values_of('fetched'), 'first second', 'fetched: the records are read');
is(all_is_flushed(), 't', 'fetched: reading a record flushed its commit');
$node->safe_psql('postgres', "SELECT create_topic('unread')");
crash_and_restart();
is(values_of('fetched'), 'first second', 'fetched: what was read is still there after a crash');
is(error_code($node, "SELECT produce('unread', '')"), '42704',
	'a crash loses what nobody flushed');

prepare_topic('selected');
is($node->safe_psql('postgres', 'SELECT count(*) FROM qtopic.selected'),
	2, 'selected: the records are read from the relation');
crash_and_restart();
is(values_of('selected'), 'first second', 'selected: what was read is still there');

prepare_topic('off');
is( $node->safe_psql('postgres',
		"SET qtopic.durable_read = off; SELECT count(*) FROM fetch_records('off', 0, 0)"),
	2, 'off: the records are read without qtopic.durable_read');
is(all_is_flushed(), 'f', 'off: that flushed nothing');
crash_and_restart();
is(values_of('off'), '', 'off: what was read without qtopic.durable_read was lost');

# Seen to fail: mutant durable_read_skips_frozen.
prepare_topic('frozen');
$node->safe_psql('postgres', 'VACUUM (FREEZE) ' . leaf_of('frozen'));
is(infomask_of('frozen'), "768\n768", 'frozen: the rows are frozen');
is(all_is_flushed(), 'f', 'frozen: that flushed nothing');
is(values_of('frozen'), 'first second', 'frozen: the records are read');
crash_and_restart();
is(values_of('frozen'), 'first second', 'frozen: what was read is still there');

# Once the page has changed after the commit the hint bit may be set, and says
# nothing about durability.  Seen to fail: mutant durable_read_trusts_hint_bits.
prepare_topic('hinted');
my $open = open_session($node);
run_in($open, "BEGIN; SELECT produce('hinted', 'open')");
is($node->safe_psql('postgres', 'SELECT count(*) FROM ' . leaf_of('hinted')), 2, 'hinted: a scan');
is(infomask_of('hinted'), "256\n256\n0", 'hinted: the rows have hint bits');
is(all_is_flushed(), 'f', 'hinted: that flushed nothing');
is(values_of('hinted'), 'first second', 'hinted: the records are read');
crash_and_restart($open);
is(values_of('hinted'), 'first second', 'hinted: what was read is still there');

# ---- offsets

# no_offset_twice($name, $bound, @statements): run statements that return the
# highest offset they got, in an open transaction, and crash.  The next offset
# must be higher, and at most $bound may be lost.
sub no_offset_twice
{
	my ($name, $bound, @statements) = @_;
	my $session = open_session($node);
	my $highest;

	run_in($session, 'BEGIN');
	$highest = run_in($session, $_) foreach @statements;
	crash_and_restart($session);
	my $lost = produce('offsets', 'after') - $highest - 1;
	cmp_ok($lost, '>=', 0, "$name: no offset is given twice");
	cmp_ok($lost, '<=', $bound, "$name: not more than a chunk is lost");
	return;
}

my $produce = "SELECT _offset FROM produce('offsets', 'lost')";
$node->safe_psql('postgres', "SELECT create_topic('offsets')");
$node->safe_psql('postgres', 'CHECKPOINT');

# Seen to fail: mutant sequence_not_flushed.
no_offset_twice('the first offset after a checkpoint', $chunk, $produce);

# Seen to fail: mutant sequence_not_ahead.
no_offset_twice('offsets within a chunk', $chunk, ($produce) x 5);

# The checkpoint writes the exact value, and the redo starts there.  Seen to
# fail: mutant sequence_ignores_redo_pointer.
produce('offsets', 'logs a chunk');
$node->safe_psql('postgres', 'CHECKPOINT');
no_offset_twice('offsets after a chunk and a checkpoint', $chunk, ($produce) x 3);

# Chunks that run out, by records one by one and by a batch.
no_offset_twice('offsets of a second chunk', $chunk,
	"SELECT max(_offset) FROM generate_series(1, 1500) i, produce('offsets', i::text)");
no_offset_twice('offsets of a batch', 65536,
	"SELECT max(last_offset) FROM produce_batch('offsets', ARRAY(SELECT i::text FROM generate_series(1, 5000) i))");

# Offsets of aborted transactions, when nothing is left of them.
my $highest = $node->safe_psql('postgres', <<'SQL');
SELECT create_topic('vacuumed');
SELECT count(produce('vacuumed', i::text)) FROM generate_series(1, 10) i;
BEGIN;
SELECT max(_offset) FROM generate_series(1, 10) i, produce('vacuumed', i::text);
ROLLBACK;
SQL
like($highest, qr/^10\n19$/m, 'the last ten records are rolled back');
$node->safe_psql('postgres', 'VACUUM ' . leaf_of('vacuumed'));
is($node->safe_psql('postgres', "SELECT max(lp) FROM heap_page_items(get_raw_page('" . leaf_of('vacuumed') . "', 0)) WHERE lp_len > 0"),
	10, 'VACUUM has removed them');
is(produce('vacuumed', 'next'), 20, 'the offsets of a tail that VACUUM removed are not given twice');

$node->safe_psql('postgres', 'DELETE FROM ' . leaf_of('vacuumed'));
$node->safe_psql('postgres', 'VACUUM (TRUNCATE) ' . leaf_of('vacuumed'));
is($node->safe_psql('postgres', "SELECT pg_relation_size('" . leaf_of('vacuumed') . "')"), 0, 'nothing is left');
is(produce('vacuumed', 'next'), 21, 'nor are offsets of which no row is left');

# ---- a crash in the middle of an append

# crash_at($place, $crash): let a producer stop there, and crash
sub crash_at
{
	my ($place, $crash) = @_;
	my $holder = open_session($node);
	my $session = open_session($node);
	my $pid = run_in($session, 'SELECT pg_backend_pid()');

	run_in($holder, 'SELECT pg_advisory_lock(20)');
	run_in($session, "SET qtopic.debug_point = '$place:20'");
	send_query($session, "SELECT produce('middle', 'lost')");
	wait_for_query($node, "SELECT count(*) FROM pg_locks WHERE pid = $pid AND locktype = 'advisory' AND NOT granted", 1);
	$crash->($pid, $holder, $session);
	return;
}

$node->safe_psql('postgres', "SELECT create_topic('middle')");
$node->safe_psql('postgres', 'CREATE EXTENSION amcheck; CHECKPOINT');
produce('middle', 'a');
foreach my $place (qw(append-reserved append-heap))
{
	crash_at($place, sub {
		my ($pid, @sessions) = @_;
		# what the producer has written so far is in the WAL
		$node->safe_psql('postgres', "SET synchronous_commit = on; SELECT pg_logical_emit_message(true, 'flush', '')");
		crash_and_restart(@sessions);
	});
	is(values_of('middle'), 'a', "a crash at $place: its record is gone");
}
cmp_ok(produce('middle', 'b'), '>', 2, 'no offset is given twice');
is(values_of('middle'), 'a b', 'the topic goes on');
is($node->safe_psql('postgres', "SELECT count(*) FROM bt_index_check('" . leaf_of('middle') . "_key', true)"),
	1, 'its index is in order');

# A producer that is killed with the append lock held, while another one waits
# for the lock: the server restarts by itself and makes its shared memory anew.
crash_at('append-reserved', sub {
	my ($pid, @sessions) = @_;
	my $waiting = open_session($node);

	send_query($waiting, "SELECT produce('middle', 'waits')");
	wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'QtopicAppend'", 1);
	kill 'CONT', @stopped;
	kill 'KILL', $pid;
	wait_for_query($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", 0);
	eval { $_->quit } foreach @sessions, $waiting;
});
is(error_code($node, "SELECT produce('middle', 'c')"), '', 'after a producer was killed under the append lock: the topic goes on');
is(values_of('middle'), 'a b c', 'with the records that were committed');

crash($node);
done_testing();
