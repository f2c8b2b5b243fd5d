# 060_deferred_2pc - deferred records at the end of a transaction: commit, prepare,
# what else runs then, and the bound of the buffer.

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $node = new_node('main', autovacuum => 0);

sub sql
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# A new topic with one partition.
sub create_topic
{
	my ($topic, $config) = @_;
	sql("SELECT create_topic('$topic', config => '@{[ $config // '{}' ]}')");
	return;
}

sub leaf_of
{
	my ($topic) = @_;
	return sql("SELECT 'qtopic_internal.topic_' || topic_id || '_p0_0' FROM qtopic_internal.topics WHERE name = '$topic'");
}

# How many batches are stored, those of open transactions too.
sub stored_batches
{
	my ($topic) = @_;
	return sql("SELECT count(*) FROM heap_page_items_of('" . leaf_of($topic) . "')");
}

sub values_of
{
	my ($topic) = @_;
	return sql("SELECT string_agg(value, ' ' ORDER BY _offset) FROM fetch_records('$topic', 0, 0, 100000)");
}

# deferred($topic, $what): SQL that produces the value, or those of a query
sub deferred
{
	my ($topic, $what) = @_;
	my $from = $what =~ /^SELECT/ ? "($what) q(v)" : "(VALUES ('$what')) q(v)";
	return "SELECT count(produce('$topic', NULL::text, v, deferred => true)) FROM $from;";
}

sql(<<'SQL');
CREATE EXTENSION pageinspect;
CREATE FUNCTION heap_page_items_of(leaf text) RETURNS SETOF bigint LANGUAGE sql AS
	'SELECT i.lp FROM generate_series(0, pg_relation_size(leaf) / 8192 - 1) p, heap_page_items(get_raw_page(leaf, p::int)) i';
SQL

# ---- PREPARE TRANSACTION

# Seen to fail: mutant deferred_not_drained_at_prepare.
create_topic('prepared');
my $session = open_session($node);
run_in($session, 'BEGIN; ' . deferred('prepared', 'a') . deferred('prepared', 'b'));
is(stored_batches('prepared'), 0, 'nothing is appended before the end');
run_in($session, "PREPARE TRANSACTION 'p'");
is(stored_batches('prepared'), 1, 'PREPARE TRANSACTION appends');
is(values_of('prepared'), '', 'a prepared record is not readable');
is(sql("SELECT next_offset FROM partition_offsets('prepared')"), 2, 'it has its offset');
sql("SELECT produce('prepared', 'later')");
$node->restart;
$session->quit;
is(values_of('prepared'), '', 'nor is it after a restart');
sql("COMMIT PREPARED 'p'");
is(values_of('prepared'), 'a b later', 'COMMIT PREPARED makes it readable');

$session = open_session($node);
run_in($session, 'BEGIN; ' . deferred('prepared', 'lost') . "PREPARE TRANSACTION 'p'");
is(run_in($session, deferred('prepared', 'c')), 1, 'the next transaction of the session has a buffer of its own');
sql("ROLLBACK PREPARED 'p'");
is(values_of('prepared'), 'a b later c', 'ROLLBACK PREPARED takes its records back');

# ---- few full batches

# Calls in one transaction are packed as one call of produce_batch() would be.
# Seen to fail: mutant deferred_not_packed.
create_topic($_) foreach qw(many one_by_one);
my $payload = "SELECT i || repeat(' some text', 20) FROM generate_series(1, 2000) i";
run_in($session, "BEGIN; SET LOCAL qtopic.produce_mode = deferred;
	DO \$\$ DECLARE t text; BEGIN FOR t IN $payload LOOP PERFORM produce('many', t); END LOOP; END \$\$; COMMIT");
is(sql("SELECT count(*), min(_offset), max(_offset) FROM fetch_records('many', 0, 0, 100000)"),
	'2000|0|1999', 'all records are there');
cmp_ok(stored_batches('many'), '<=', 20, 'they are stored as few full batches');
is( sql('SELECT DISTINCT (qtopic_internal.record_batch_header(batch)).codec FROM ' . leaf_of('many')),
	'lz4', 'which are compressed');

# ---- the bound

# Seen to fail: mutant deferred_without_bound.
create_topic('bound');
run_in($session, "SET qtopic.deferred_buffer_size = '64 kB'");
my $fifty = "SELECT repeat('x', 1000) FROM generate_series(1, 50)";
run_in($session, 'BEGIN; ' . deferred('bound', $fifty));
is(stored_batches('bound'), 0, 'below qtopic.deferred_buffer_size nothing is appended');
run_in($session, deferred('bound', $fifty));
cmp_ok(stored_batches('bound'), '>', 0, 'above it, what is buffered is appended early');
is(values_of('bound'), '', 'and not readable before the commit');
run_in($session, 'ROLLBACK');
is(values_of('bound'), '', 'a rollback takes back what was appended early');
run_in($session, "BEGIN; " . deferred('bound', "SELECT i::text FROM generate_series(1000, 30000) i") . 'COMMIT');
is( sql("SELECT count(*), bool_and(value::int - _offset = d) FROM
			(SELECT *, first_value(value::int - _offset) OVER (ORDER BY _offset) d FROM fetch_records('bound', 0, 0, 100000)) q"),
	'29001|t', 'the order is kept, early or not');

# Records of an outer level would get the xid of the subtransaction, so inside
# one nothing is appended early.  Seen to fail: mutant deferred_early_in_subtransaction.
create_topic('sub');
run_in($session, 'BEGIN; ' . deferred('sub', 'outer') . 'SAVEPOINT s;' . deferred('sub', "$fifty UNION ALL $fifty"));
is(stored_batches('sub'), 0, 'inside a subtransaction nothing is appended early');
run_in($session, 'ROLLBACK TO s; ' . deferred('sub', 'outer2') . 'COMMIT');
# Seen to fail: mutant deferred_keeps_rolled_back.
is(values_of('sub'), 'outer outer2', 'ROLLBACK TO SAVEPOINT takes back what belongs to it, and no more');

# Seen to fail: mutant deferred_without_hard_limit.
run_in($session, 'BEGIN; ' . deferred('sub', 'lost') . 'SAVEPOINT s');
my (undef, $error) = run_in($session, "\\set VERBOSITY verbose\n" . deferred('sub', "SELECT repeat('x', 1000) FROM generate_series(1, 2000)"));
like($error, qr/54000: .*too many deferred records.*HINT: .*qtopic\.deferred_buffer_size/s, 'there is a hard limit');
run_in($session, 'ROLLBACK TO s;' . deferred('sub', 'outer3') . 'COMMIT');
is(values_of('sub'), 'outer outer2 lost outer3', 'after the error the transaction can go on');
run_in($session, 'RESET qtopic.deferred_buffer_size');

# ---- errors while the buffer is appended

# Seen to fail: mutant deferred_errors_at_commit_ignored.
create_topic($_) foreach qw(good bad);
sql('CREATE TABLE business (i int)');
sql('CREATE UNIQUE INDEX spoiler ON ' . leaf_of('bad') . ' (last_offset)');
run_in($session, 'BEGIN; INSERT INTO business VALUES (1);' . deferred('good', 'x') . deferred('bad', 'x') . deferred('good', 'x'));
(undef, $error) = run_in($session, 'COMMIT');
like($error, qr/55000: /, 'an error while the buffer is appended fails the COMMIT');
is(sql('SELECT count(*) FROM business'), 0, 'the rest of the transaction is rolled back');
is(values_of('good'), '', 'records of other topics too');
sql('DROP INDEX qtopic_internal.spoiler');
run_in($session, 'BEGIN; INSERT INTO business VALUES (2);' . deferred('good', 'y') . deferred('bad', 'y') . 'COMMIT');
is(values_of('good') . values_of('bad'), 'yy', 'the next transaction of the session is not harmed, and has none of the records');

(undef, $error) = run_in($session, 'BEGIN;' . deferred('good', 'z') . "INSERT INTO business VALUES (1/0)");
run_in($session, 'COMMIT');
is(values_of('good'), 'y', 'nothing is appended by a COMMIT of a failed transaction');

# ---- what else runs at commit

create_topic('late');
sql(<<'SQL');
CREATE TABLE orders (id int);
CREATE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM produce('late', NULL::text, 'trigger' || NEW.id, deferred => true);
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER announce AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION announce();
SQL
sql('INSERT INTO orders VALUES (1)');
is(values_of('late'), 'trigger1', 'a deferred trigger can produce deferred records');
sql('BEGIN; INSERT INTO orders VALUES (2);' . deferred('late', 'first') . 'COMMIT');
is(values_of('late'), 'trigger1 first trigger2', 'they come after those of the transaction');
is( $node->safe_psql('postgres', <<'SQL'), 1, 'a holdable cursor produces when the commit runs it to its end');
BEGIN;
DECLARE c CURSOR WITH HOLD FOR
	SELECT count(produce('late', NULL::text, 'cursor', deferred => true));
COMMIT;
FETCH c;
SQL
is(values_of('late'), 'trigger1 first trigger2 cursor', 'its record is there');

# The lock on the topic that is dropped in the same transaction.
create_topic('gone');
is(error_code($node, 'BEGIN; ' . deferred('gone', 'x') . "SELECT drop_topic('gone'); COMMIT"), '',
	'records of a topic that the transaction drops are dropped too');

# Another transaction cannot drop the topic meanwhile.  Seen to fail: mutant
# deferred_takes_no_lock.
create_topic('locked');
run_in($session, 'BEGIN; ' . deferred('locked', 'x'));
is(error_code($node, "SET lock_timeout = '500 ms'; SELECT drop_topic('locked')"), '55P03',
	'drop_topic() waits for a transaction that has buffered records');
run_in($session, 'COMMIT');
is(values_of('locked'), 'x', 'which can append them');

$session->quit;
$node->stop;
done_testing();
