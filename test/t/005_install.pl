# Installing and removing the extension: in which schema, again in the same
# database, beside default privileges that somebody set before, in databases of
# other encodings, without being preloaded.
#
# Seen to fail: mutant catalog_acl_left; with deferred records found again by
# the topic's number alone; and where the private schema, functions and views
# kept what default privileges gave.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use QtopicTest;
use Test::More;

my $node = new_node('main', extension => 0);

sub database
{
	my ($name, $options) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name " . ($options // ''));
	return $name;
}

# refused($database, $sql, $message, $name): with SQLSTATE
sub refused
{
	my ($database, $sql, $message, $name) = @_;
	my ($stdout, $stderr);

	$node->psql($database, "\\set VERBOSITY verbose\n$sql", stdout => \$stdout, stderr => \$stderr);
	like($stderr, $message, $name);
}

# ---------------------------------------------------------------- schemas

foreach my $schema ('public', 'qtopic', 'other', 'My Schema')
{
	my $quoted = qq("$schema");
	my $database = database('in_' . lc($schema =~ s/ /_/r));

	$node->safe_psql($database, qq(CREATE SCHEMA $quoted)) if $schema =~ /^(other|My)/;
	$node->safe_psql($database, 'CREATE SCHEMA qtopic') if $schema eq 'qtopic';
	$node->safe_psql($database, "CREATE EXTENSION qtopic SCHEMA $quoted");
	is( $node->safe_psql($database, <<SQL), "0|0\nv|v\nt|0|1\n{\"a\":1}", "SCHEMA $schema: create, produce, read, look");
		SELECT FROM $quoted.create_topic('t');
		SELECT _partition, _offset FROM $quoted.produce('t', 'k', 'v');
		SELECT a.value, b.value FROM $quoted.fetch_records('t', 0, 0) AS a, qtopic.t AS b;
		SELECT topic, partition, next_offset FROM $quoted.qtopic_partitions;
		SELECT FROM $quoted.alter_topic('t', 2);
		SELECT FROM $quoted.produce('t', 'k', '{"a":1}'::json, partition => 1);
		SELECT value FROM qtopic.t WHERE _partition = 1;
		SELECT FROM $quoted.drop_topic('t');
SQL
	refused($database, "SET search_path = pg_catalog; SELECT create_topic('t')",
		qr/42883/, "SCHEMA $schema: its functions are in no other schema");
}
refused('in_other', 'ALTER EXTENSION qtopic SET SCHEMA public', qr/0A000/, 'the extension stays where it is');

# a schema that is there already
my $taken = database('taken');
$node->safe_psql($taken, 'CREATE SCHEMA qtopic');
refused($taken, 'CREATE EXTENSION qtopic', qr/ERROR:  42P06/, 'CREATE EXTENSION does not take over a schema qtopic');
$node->safe_psql($taken, 'DROP SCHEMA qtopic; CREATE SCHEMA qtopic_internal');
refused($taken, 'CREATE EXTENSION qtopic', qr/ERROR:  42P06/, 'nor a schema qtopic_internal');
is($node->safe_psql($taken, "SELECT count(*) FROM pg_namespace WHERE nspname = 'qtopic'"), 0, 'and leaves nothing behind');

# ---------------------------------------------------------------- DROP EXTENSION

my $again = database('again');
my $session = $node->background_psql($again, on_error_stop => 0);
$session->query_safe('CREATE EXTENSION qtopic');
$session->query_safe("SELECT create_topic('t', 2)");
$session->query_safe("SELECT produce('t', 'k', 'old', partition => 0)");
is($session->query("SELECT value FROM fetch_records('t', 0, 0)"), 'old', 'before DROP EXTENSION');

refused($again, 'DROP EXTENSION qtopic', qr/ERROR:  2BP01/, 'DROP EXTENSION is refused while there are topics');
is($session->query("SELECT value FROM fetch_records('t', 0, 0)"), 'old', 'and changes nothing');
$node->safe_psql($again, 'BEGIN; DROP EXTENSION qtopic CASCADE; ROLLBACK');
is($session->query("SELECT value FROM qtopic.t"), 'old', 'so does DROP EXTENSION CASCADE that is rolled back');

for my $round (1 .. 3)
{
	$node->safe_psql($again, 'DROP EXTENSION qtopic CASCADE');
	is( $node->safe_psql($again, <<'SQL'), '0|0|0|0', "round $round: nothing is left");
		SELECT (SELECT count(*) FROM pg_namespace WHERE nspname ~ '^qtopic'),
		       (SELECT count(*) FROM pg_class WHERE relname ~ '^(topic_|qtopic)'),
		       (SELECT count(*) FROM pg_proc WHERE prosrc ~ '^qtopic_'),
		       (SELECT count(*) FROM pg_foreign_server)
SQL
	$session->query("SELECT value FROM fetch_records('t', 0, 0)");
	like($session->{stderr}, qr/does not exist/, "round $round: a warm session finds nothing either");
	$session->{stderr} = '';

	$node->safe_psql($again, 'CREATE EXTENSION qtopic');
	is($session->query('SELECT count(*) FROM qtopic_topics'), 0, "round $round: there are no topics");
	$session->query("SELECT value FROM fetch_records('t', 0, 0)");
	like($session->{stderr}, qr/topic "t" does not exist/, "round $round: the old topic is gone, in a warm session too");
	$session->{stderr} = '';
	# the identifiers begin again, so the storage has the same names as before
	$session->query_safe("SELECT create_topic('t', 2)");
	is($session->query("SELECT count(*) FROM fetch_records('t', 0, 0)"), 0, "round $round: the new one is empty");
	is($session->query("SELECT _offset FROM produce('t', 'k', 'new $round', partition => 0)"), 0, "round $round: its offsets begin with 0");
	is($session->query('SELECT value FROM qtopic.t'), "new $round", "round $round: only its own record is read");
	is($session->query("SELECT last_stable_offset || ' ' || next_offset FROM partition_offsets('t') WHERE _partition = 0"),
		'1 1', "round $round: and counted");
}
# in one transaction, with records of the old topic waiting for the commit
$session->query($_)
  foreach 'BEGIN', "SELECT produce('t', 'k', 'deferred', deferred => true)", 'DROP EXTENSION qtopic CASCADE',
  'CREATE EXTENSION qtopic', "SELECT create_topic('t', 2)", 'COMMIT';
is($session->query('SELECT count(*) FROM qtopic.t'), 0, 'deferred records do not go to a topic of the next extension');
$session->quit;

# ---------------------------------------------------------------- default privileges

my $privileges = database('privileges');
$node->safe_psql($privileges, <<'SQL');
	CREATE ROLE reader;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, reader;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC, reader;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO PUBLIC, reader;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO reader;
	CREATE EXTENSION qtopic;
SQL
is( $node->safe_psql($privileges, <<'SQL'), '', 'default privileges do not open the catalog');
	SELECT c.relname, a.grantee::regrole, a.privilege_type FROM pg_class AS c, aclexplode(c.relacl) AS a
	 WHERE c.relnamespace = 'qtopic_internal'::regnamespace AND a.grantee <> c.relowner ORDER BY 1, 2, 3
SQL
is( $node->safe_psql($privileges, <<'SQL'), 'qtopic|USAGE', 'nor the schemas');
	SELECT n.nspname, a.privilege_type FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
	 WHERE n.nspname ~ '^qtopic' AND a.grantee <> n.nspowner ORDER BY 1, 2
SQL
is( $node->safe_psql($privileges, <<'SQL'), '', 'nor the private functions');
	SELECT p.proname FROM pg_proc AS p, aclexplode(p.proacl) AS a
	 WHERE p.pronamespace = 'qtopic_internal'::regnamespace AND a.grantee <> p.proowner
	   AND p.proname !~ '^(fdw_|partition_states|group_positions|group_last_seen|member_last_seen)' ORDER BY 1
SQL
is( $node->safe_psql($privileges, <<'SQL'), 'f', 'nor the views for writing');
	SELECT bool_or(has_table_privilege('reader', v, 'INSERT, UPDATE, DELETE, TRUNCATE')) FROM unnest('{qtopic_topics,qtopic_partitions,qtopic_groups,qtopic_group_lag,qtopic_group_members}'::regclass[]) AS v
SQL

# ---------------------------------------------------------------- encodings

my $latin1 = database('latin1', "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'");
my $ascii = database('ascii', "ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'");

is( $node->safe_psql($latin1, <<'SQL'), "t|t|t\n\\x6772c3bc6e|\\xc39f\nt", 'LATIN1: stored as UTF-8, read back the same');
	SET client_encoding = 'UTF8';
	CREATE EXTENSION qtopic;
	SELECT FROM create_topic('t');
	SELECT FROM produce('t', U&'gr\00fcn', U&'\00df', jsonb_build_object(U&'\00e4', U&'\00f6'));
	SELECT key = U&'gr\00fcn', value = U&'\00df', headers = jsonb_build_object(U&'\00e4', U&'\00f6') FROM qtopic.t;
	SELECT key, value FROM fetch_records_bytea('t', 0, 0);
	SELECT qtopic_internal.partition_for_key('murmur2', convert_to(U&'gr\00fcn', 'UTF8'), 1000) =
	       (SELECT _partition FROM create_topic('spread', 1000) AS c, LATERAL produce('spread', U&'gr\00fcn', 'v') WHERE c IS NOT NULL);
SQL
is( $node->safe_psql($latin1, <<'SQL'), "t\nt", 'LATIN1: batches and jsonb, too');
	SET client_encoding = 'UTF8';
	SELECT FROM create_topic('j', 1, '{"value.format": "jsonb"}');
	SELECT FROM produce('j', U&'{"a": "\00fc"}');
	SELECT FROM produce_batch('j', ARRAY[U&'\00fc'], ARRAY[jsonb_build_object('a', U&'\00fc')]);
	SELECT value ->> 'a' = U&'\00fc' FROM qtopic.j;
SQL
$node->safe_psql($latin1, q(SELECT FROM create_topic('euro'); SELECT produce('euro', 'k', '\xe282ac'::bytea)));
refused($latin1, q(SELECT value FROM qtopic.euro), qr/ERROR:  22P05.*topic "euro", partition 0, offset 0/s,
	'LATIN1: a character that the database has not: topic, partition and offset are named');
is($node->safe_psql($latin1, q(SELECT value FROM fetch_records_bytea('euro', 0, 0))), '\xe282ac', 'LATIN1: and can be read as bytea');

is( $node->safe_psql($ascii, <<'SQL'), "plain\n\\xc3bc", 'SQL_ASCII: UTF-8 goes through');
	CREATE EXTENSION qtopic;
	SELECT FROM create_topic('t');
	SELECT FROM produce('t', 'plain');
	SELECT FROM produce('t', convert_from('\xc3bc', 'SQL_ASCII'));
	SELECT value FROM fetch_records('t', 0, 0, 1);
	SELECT value FROM fetch_records_bytea('t', 0, 1);
SQL
refused($ascii, q(SELECT produce('t', convert_from('\xfc', 'SQL_ASCII'))), qr/ERROR:  22021/,
	'SQL_ASCII: what is not UTF-8 is refused, as no reader could show it');

# ---------------------------------------------------------------- not preloaded

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
foreach my $call ("create_topic('x')", "alter_topic('t', 2)", "drop_topic('t')", "produce('t', 'v')", "produce_batch('t', ARRAY['v'])",
	"* FROM fetch_records('t', 0, 0)", "* FROM partition_offsets('t')", "offset_for_time('t', 0, now())", '* FROM qtopic.t',
	'count(*) FROM qtopic_partitions')
{
	refused($again, "SELECT $call", qr/ERROR:  55000.*shared_preload_libraries.*HINT:.*restart/s, "not preloaded: $call");
}
is($node->safe_psql($again, 'SELECT topic, partitions FROM qtopic_topics'), 't|2', 'not preloaded: the topics can be listed');
$node->safe_psql($again, 'DROP EXTENSION qtopic CASCADE');
$node->safe_psql($again, 'CREATE EXTENSION qtopic');
pass('not preloaded: the extension can be dropped and created');

# too few slots: an error that names the parameter
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'qtopic'\nqtopic.max_partitions = 16");
$node->restart;
$node->safe_psql($again, "SELECT create_topic('many', 40)");
refused($again, q(SELECT produce('many', n, 'v') FROM generate_series(1, 1000) AS n),
	qr/ERROR:  53400.*qtopic\.max_partitions.*restart/s, 'too many partitions in use');
$node->safe_psql($again, "SELECT drop_topic('many'); SELECT create_topic('few')");
is($node->safe_psql($again, "SELECT _offset FROM produce('few', 'v')"), 0, 'slots of dropped topics are used again');

done_testing();
