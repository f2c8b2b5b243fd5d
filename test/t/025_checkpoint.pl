# 025_checkpoint - a checkpoint begins while an offset is being reserved, and the
# server crashes after it: no offset is given twice.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

# Few buffers, so that pages are written out without a checkpoint.
my $node = new_node(
	'main',
	autovacuum => 0,
	conf => <<'CONF');
shared_buffers = 1MB
bgwriter_lru_maxpages = 0
checkpoint_timeout = 1h
CONF

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sql("CREATE EXTENSION pg_buffercache; CREATE TABLE filler (t text); SELECT create_topic('t')");
my $sequence = sql(
	"SELECT format('qtopic_internal.topic_%s_p0_offset', topic_id) FROM qtopic_internal.topics WHERE name = 't'");
my $is_dirty = "SELECT count(*) > 0 FROM pg_buffercache WHERE isdirty AND relfilenode = pg_relation_filenode('$sequence')";

# The second record logs the sequence, after the checkpoint's redo pointer, and
# enough ahead for what follows.
sql("SELECT produce('t', 'first')");
sql('CHECKPOINT');
sql("SELECT produce('t', 'second')");
sql(q{INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 5000)});
is(sql($is_dirty), 'f', 'the page of the sequence was written out');

# Seen to fail: mutant sequence_dirty_late.
my ($holder, $producer, $checkpoint) = map { open_session($node) } 1 .. 3;
run_in($holder, 'SELECT pg_advisory_lock(25)');
run_in($producer, "SET qtopic.debug_point = 'sequence-tested:25'");
send_query($producer, "SELECT _offset FROM produce('t', 'third')");
wait_for_query($node, "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
my $pid = run_in($checkpoint, 'SELECT pg_backend_pid()');
send_query($checkpoint, 'CHECKPOINT');
wait_for_query($node,
	"SELECT (SELECT wait_event = 'BufferContent' FROM pg_stat_activity WHERE backend_type = 'checkpointer') IS TRUE
	     OR (SELECT state = 'idle' FROM pg_stat_activity WHERE pid = $pid)");
is(sql("SELECT state FROM pg_stat_activity WHERE pid = $pid"), 'active',
	'a checkpoint waits for who is about to reserve an offset');
run_in($holder, 'SELECT pg_advisory_unlock(25)');
is(scalar receive($producer), 2, 'the producer goes on');
receive($checkpoint);

crash($node);
eval { $_->quit } foreach $holder, $producer, $checkpoint;
$node->start;
cmp_ok(sql("SELECT _offset FROM produce('t', 'fourth')"), '>', 2, 'the offset is not given again after a crash');
is( sql("SELECT string_agg(value, ' ' ORDER BY _offset) FROM fetch_records('t', 0, 0)"),
	'first second third fourth', 'all records are read');

$node->stop;
done_testing();
