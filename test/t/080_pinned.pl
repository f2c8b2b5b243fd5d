# 080_pinned - an idle cursor over a topic holds no buffer pin, so VACUUM can
# clean and freeze the pages that it has read.

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

sql(<<'SQL');
CREATE EXTENSION pg_buffercache;
CREATE EXTENSION pg_visibility;
SELECT create_topic('t', config => '{"compression.type": "uncompressed"}');
SELECT count(produce('t', NULL::text, repeat('x', 3000))) FROM generate_series(1, 500);
BEGIN;
SELECT count(produce('t', NULL::text, repeat('x', 3000))) FROM generate_series(1, 10);
ROLLBACK;
SELECT count(produce('t', NULL::text, repeat('x', 3000))) FROM generate_series(1, 10);
SQL
my $leaf = sql('SELECT relname FROM pg_class WHERE relname LIKE \'topic\_%\_p0\_0\'');
my $pinned = <<"SQL";
SELECT count(*) FROM pg_buffercache b
  JOIN pg_class c ON b.relfilenode = pg_relation_filenode(c.oid)
 WHERE (c.oid = 'qtopic_internal.$leaf'::regclass
		OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'qtopic_internal.$leaf'::regclass))
   AND pinning_backends > 0
SQL

# The counter works: a cursor over the table itself has a page pinned.
my $session = open_session($node);
run_in($session, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM qtopic_internal.$leaf; FETCH 1 FROM c");
cmp_ok(sql($pinned), '>', 0, 'an ordinary cursor pins a page');
run_in($session, 'COMMIT');
is(sql($pinned), 0, 'until it is closed');

# Seen to fail: mutant cursor_keeps_scan_open.
run_in($session, 'BEGIN; DECLARE c CURSOR FOR SELECT _offset FROM qtopic.t');
is(run_in($session, 'FETCH 3 FROM c'), "0\n1\n2", 'a cursor over the relation of a topic');
is(sql($pinned), 0, 'pins no page');
run_in($session, 'MOVE 100 FROM c');
is(sql($pinned), 0, 'in the middle neither');

is(error_code($node, "SET statement_timeout = '20 s'; VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) qtopic_internal.$leaf"),
	'', 'VACUUM does not wait for the cursor');
is(run_in($session, 'FETCH 2 FROM c'), "103\n104", 'which goes on');
is(run_in($session, "MOVE 395 FROM c; FETCH 2 FROM c"), "510\n511",
	'and passes the gap');
is(run_in($session, 'FETCH ALL FROM c') =~ tr/\n//, 7, 'it comes to the end');
run_in($session, 'COMMIT');

is(error_code($node, "VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) qtopic_internal.$leaf"), '', 'VACUUM');
is(sql("SELECT all_visible = pg_relation_size('qtopic_internal.$leaf') / 8192 FROM pg_visibility_map_summary('qtopic_internal.$leaf')"),
	't', 'without the cursor, all pages are frozen');
is(sql('SELECT count(*), max(_offset) FROM qtopic.t'), '510|519', 'all records are there');

$session->quit;
$node->stop;
done_testing();
