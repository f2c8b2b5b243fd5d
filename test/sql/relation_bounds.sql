--
-- Conditions on _partition, _offset and _timestamp, wherever their values come
-- from: the rows are those of a plain table, and little more is read than is
-- wanted.
--
-- Seen to fail: mutants rescan_keeps_bounds, null_is_no_bound.
--
\set SHOW_CONTEXT never
SET max_parallel_workers_per_gather = 0;
SET TimeZone = 'UTC';
SELECT create_topic('rb', 3, '{"value.format": "jsonb"}');
-- 90,000 records, one a second
INSERT INTO qtopic.rb (_partition, _timestamp, key, value)
	SELECT i % 3, '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 second', i, jsonb_build_object('n', i, 'pad', md5(i::text))
	  FROM generate_series(0, 89999) i;
ANALYZE qtopic.rb;
CREATE TABLE rb_plain AS SELECT * FROM (SELECT * FROM qtopic.rb OFFSET 0) s;
ALTER TABLE rb_plain ADD PRIMARY KEY (_partition, _offset);
ANALYZE rb_plain;

-- what a query reads, from EXPLAIN (ANALYZE): the sum over its scans
CREATE FUNCTION rb_read(query text, OUT partitions int, OUT segments int, OUT batches int, OUT passed int) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	SELECT sum((scan ->> 'Partitions Read')::int), sum((scan ->> 'Segments Read')::int),
		   sum((scan ->> 'Batches Read')::int), sum((scan ->> 'Batches Passed')::int)
	  INTO partitions, segments, batches, passed
	  FROM jsonb_path_query(plan::jsonb, 'strict $.**') scan
	 WHERE jsonb_typeof(scan) = 'object' AND scan ? 'Batches Read';
END $$;
CREATE TABLE rb_all AS SELECT * FROM rb_read('SELECT max(key) FROM qtopic.rb');
SELECT partitions, segments, batches > 300 AS many FROM rb_all;

-- the last percent: at most 2 % of the batches are read, or even looked at
CREATE FUNCTION rb_share(query text, OUT partitions int, OUT read_at_most_2_percent boolean, OUT passed_at_most_2_percent boolean) LANGUAGE sql AS $$
	SELECT r.partitions, r.batches <= 0.02 * a.batches, r.passed <= 0.02 * a.batches
	  FROM rb_read(query) r, rb_all a
$$;
SELECT count(*), min(n), max(n) FROM (SELECT (value ->> 'n')::int AS n FROM qtopic.rb WHERE _offset >= 29700) s;
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _offset >= 29700');
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _offset > 29699');
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _offset BETWEEN 29700 AND 29999');
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _partition = 1 AND 29700 <= _offset');
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _offset < 300');
SELECT * FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _offset BETWEEN 15000 AND 15299');
SELECT * FROM rb_share('SELECT count(*) FROM qtopic.rb WHERE _offset >= 29700');
SELECT * FROM rb_share('SELECT key FROM qtopic.rb WHERE _partition = 2 AND _offset >= 29700 ORDER BY _offset DESC');
SELECT count(*), min(n), max(n) FROM (SELECT (value ->> 'n')::int AS n FROM qtopic.rb WHERE _timestamp >= '2026-01-02 00:45:00') s;
SELECT partitions, read_at_most_2_percent FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _timestamp >= ''2026-01-02 00:45:00''');
SELECT partitions, read_at_most_2_percent FROM rb_share('SELECT max(key) FROM qtopic.rb WHERE _timestamp BETWEEN ''2026-01-02 00:45:00'' AND ''2026-01-02 01:00:00''');
-- a negative control: the key is no bound
SELECT * FROM rb_share('SELECT count(value) FROM qtopic.rb WHERE key >= ''89100'' AND length(key) = 5');

-- a LIMIT ends the reading
SELECT * FROM rb_share('SELECT value FROM qtopic.rb LIMIT 3');
SELECT * FROM rb_share('SELECT value FROM qtopic.rb WHERE key = ''90'' LIMIT 1');
SELECT * FROM rb_share('SELECT value FROM qtopic.rb ORDER BY _partition, _offset LIMIT 3');
SELECT * FROM rb_share('SELECT value FROM qtopic.rb ORDER BY _partition DESC, _offset DESC LIMIT 3');
SELECT * FROM rb_share('SELECT EXISTS (SELECT FROM qtopic.rb WHERE _partition = 1)');
SELECT * FROM rb_share('SELECT max(_offset) FROM qtopic.rb');
SELECT * FROM rb_share('SELECT min(_offset) FROM qtopic.rb WHERE _offset > 10000');

-- the same rows as from the plain table, and how many scans or batches it took
CREATE FUNCTION rb_md5(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	EXECUTE 'SELECT count(*) || '' '' || md5(coalesce(string_agg(s::text, '','' ORDER BY s::text), '''')) FROM (' || query || ') s' INTO result;
	RETURN result;
END $$;
CREATE FUNCTION rb_same(condition text, OUT "rows" int, OUT same boolean, OUT partitions int, OUT at_most_2_percent boolean) LANGUAGE plpgsql AS $$
DECLARE
	topic text := rb_md5('SELECT _partition, _offset, key FROM qtopic.rb WHERE ' || condition);
BEGIN
	same := topic = rb_md5('SELECT _partition, _offset, key FROM rb_plain WHERE ' || condition);
	"rows" := split_part(topic, ' ', 1);
	SELECT r.partitions, r.read_at_most_2_percent INTO partitions, at_most_2_percent
	  FROM rb_share('SELECT key FROM qtopic.rb WHERE ' || condition) r;
END $$;
SELECT condition, s.* FROM unnest(ARRAY[
	'_offset IN (3, 5, NULL)', '_offset = ANY (''{0, 29999, 30000}'')', '_partition = ANY (''{0, 0, 2}'') AND _offset = 7',
	'_partition IN (1, 2, 9223372036854775807) AND _offset = 7', '_partition = ANY (''{{0, 1}, {NULL, 7}}''::int[]) AND _offset = 7',
	'_partition = ALL (''{1}'') AND _offset = 7', '_partition = ALL (''{}''::int[]) AND _offset = 7', '_partition = ANY (''{}''::int[])',
	'NOT _partition = ANY (''{1}'') AND _offset = 7', '_partition <> ALL (''{0, 1}'') AND _offset = 7',
	'_offset BETWEEN 20 AND 10', '_offset BETWEEN SYMMETRIC 20 AND 10', '_offset NOT BETWEEN 5 AND 29990',
	'_offset = NULL', '_offset > NULL', '_offset = (NULL::int)', '_partition = NULL::smallint', '_timestamp > NULL::timestamptz', '_offset IS NULL', '_offset IS NOT NULL AND _offset < 3',
	'_offset >= 9223372036854775807', '_offset > 9223372036854775807', '_offset <= -9223372036854775808', '_offset < -9223372036854775808',
	'_offset < 9223372036854775808 AND _offset > -9223372036854775809 AND _offset = 7', '_partition = 2147483648 AND _offset = 7',
	'_partition >= -2147483649 AND _offset = 7', '_partition > 2147483647', '_partition < -2147483648', '_partition = -9223372036854775808',
	'_offset = 7.0', '_offset > 29998.5', '_offset = 1e3', '_offset = ''7''', '_offset = 7::oid::bigint', '_offset < 3 OR _offset > 29997',
	'_offset = _partition', '_offset + 0 = 7', '-_offset = -7', '_offset % 10000 = 7', '(_partition, _offset) = (1, 7)', '(_partition, _offset) IN ((1, 7), (2, 8))',
	'(_partition, _offset) > (2, 29990)', '_offset > 10 AND _offset > 29990 AND _offset >= 5 AND _offset < 40000', '_partition > 0 AND _partition < 2 AND _partition <> 5 AND _offset < 9',
	'_timestamp BETWEEN ''2026-01-01 00:00:10'' AND ''2026-01-01 00:00:12''', '_timestamp = ''2026-01-01 00:00:10''', '_timestamp = ''infinity''', '_timestamp = ''-infinity''',
	'_timestamp > ''infinity''', '_timestamp < ''-infinity''', '_timestamp >= ''infinity''', '_timestamp <= ''-infinity''', '_timestamp < ''infinity'' AND _timestamp > ''-infinity'' AND _offset = 7',
	'_timestamp BETWEEN ''-infinity'' AND ''infinity'' AND _offset = 7', '_timestamp < ''4714-11-24 00:00:00+00 BC''', '_timestamp > ''294276-12-31 23:59:59.999999+00''',
	'_timestamp < ''2026-01-01 00:00:00.000001''', '_timestamp > ''2026-01-01 00:00:00.999999'' AND _timestamp < ''2026-01-01 00:00:01.000001''',
	'_timestamp < ''2026-01-01''', '_timestamp = ''2026-01-01''::date', '_timestamp < ''2026-01-01 00:00:03''::timestamp', '_timestamp::date = ''2026-01-02'' AND _offset < 3',
	'_timestamp AT TIME ZONE ''UTC'' < ''2026-01-01 00:00:03''', 'false', 'NULL', '_offset = 7 AND now() > ''2020-01-01'' AND NULL IS NULL',
	'_offset = length(''seven'')', '_offset = (SELECT 7)', '_offset > (SELECT max(_offset) - 2 FROM rb_plain)', '_partition IN (SELECT 1) AND _offset = 7',
	'_offset = (random() * 0)::int', '_offset = CASE WHEN _partition = 1 THEN 7 ELSE 8 END', '_partition = ANY (ARRAY[(SELECT 1), 2]) AND _offset = 7'
	]) AS condition, rb_same(condition) s;

-- parameters of prepared statements, in plans for one value and for all
PREPARE rb_offset(bigint, bigint) AS SELECT count(*), min(key::int), max(key::int) FROM (SELECT * FROM qtopic.rb WHERE _offset >= $1 AND _offset < $2 OFFSET 0) s;
PREPARE rb_place(int, int) AS SELECT key FROM qtopic.rb WHERE _partition = $1 AND _offset = $2;
PREPARE rb_any(int[], bigint) AS SELECT key FROM qtopic.rb WHERE _partition = ANY ($1) AND _offset = $2;
PREPARE rb_time(timestamptz, timestamptz) AS SELECT count(*), min(key::int) FROM (SELECT * FROM qtopic.rb WHERE _timestamp BETWEEN $1 AND $2 OFFSET 0) s;
PREPARE rb_down(int) AS SELECT key FROM qtopic.rb WHERE _partition = $1 ORDER BY _offset DESC LIMIT 1;
PREPARE rb_max(int, bigint) AS SELECT count(*), max(_offset) FROM qtopic.rb WHERE _partition = $1 AND _offset < $2;
CREATE FUNCTION rb_execute(call text, OUT result text, OUT read_at_most_2_percent boolean) LANGUAGE plpgsql AS $$
DECLARE
	one record;
BEGIN
	FOR one IN EXECUTE 'EXECUTE ' || call LOOP
		result := concat_ws(' ', result, one::text);
	END LOOP;
	SELECT r.read_at_most_2_percent INTO read_at_most_2_percent FROM rb_share('EXECUTE ' || call) r;
END $$;
CREATE VIEW rb_calls AS SELECT call, c.* FROM unnest(ARRAY[
	'rb_offset(100, 103)', 'rb_offset(29999, 9223372036854775807)', 'rb_offset(7, 7)', 'rb_offset(9, 7)', 'rb_offset(NULL, 5)', 'rb_offset(5, NULL)',
	'rb_offset(-9223372036854775808, 1)', 'rb_offset(9223372036854775807, -9223372036854775808)',
	'rb_place(1, 7)', 'rb_place(2, 7)', 'rb_place(7, 7)', 'rb_place(NULL, 7)', 'rb_place(-1, -1)', 'rb_place(2147483647, 2147483647)',
	'rb_any(''{0, 2}'', 7)', 'rb_any(''{}'', 7)', 'rb_any(NULL, 7)', 'rb_any(''{NULL, 1}'', 7)', 'rb_any(''{2147483647, -2147483648, 1}'', 7)',
	'rb_time(''2026-01-01 00:01:00'', ''2026-01-01 00:01:02'')', 'rb_time(''infinity'', ''infinity'')', 'rb_time(''-infinity'', ''2025-01-01'')', 'rb_time(NULL, ''infinity'')',
	'rb_time(''2026-01-02 00:59:59'', ''infinity'')',
	'rb_down(0)', 'rb_down(2)', 'rb_down(3)', 'rb_down(NULL)', 'rb_max(1, 300)', 'rb_max(1, 0)', 'rb_max(NULL, 5)', 'rb_max(5, 5)']) call, rb_execute(call) c;
SET plan_cache_mode = force_custom_plan;
CREATE TABLE rb_custom AS SELECT * FROM rb_calls;
SELECT * FROM rb_custom;
SET plan_cache_mode = force_generic_plan;
SELECT call, result FROM rb_calls EXCEPT SELECT call, result FROM rb_custom;
SELECT call, read_at_most_2_percent FROM rb_calls WHERE read_at_most_2_percent IS NOT TRUE;
EXPLAIN (COSTS OFF) EXECUTE rb_any('{0}', 7);
EXPLAIN (COSTS OFF) EXECUTE rb_down(0);
EXPLAIN (COSTS OFF) EXECUTE rb_max(1, 300);
RESET plan_cache_mode;
DEALLOCATE ALL;

-- values from other rows: nested loops, LATERAL, subqueries of all places
CREATE TABLE rb_want (p int, o bigint, t timestamptz);
INSERT INTO rb_want VALUES (0, 5, '2026-01-01 00:00:30'), (1, NULL, NULL), (2, 7, '2026-01-01 00:00:40'), (NULL, 8, 'infinity'), (7, 9, '-infinity'), (1, 29999, '2026-01-02 00:59:58');
ANALYZE rb_want;
CREATE FUNCTION rb_join(query text, OUT result text, OUT same boolean, OUT batches_at_most_2_percent boolean) LANGUAGE plpgsql AS $$
BEGIN
	result := rb_md5(query);
	same := result = rb_md5(replace(query, 'qtopic.rb', 'rb_plain'));
	result := split_part(result, ' ', 1) || ' rows';
	SELECT r.read_at_most_2_percent INTO batches_at_most_2_percent FROM rb_share(query) r;
END $$;
SELECT query, j.* FROM unnest(ARRAY[
	'SELECT w.*, key FROM rb_want w JOIN qtopic.rb ON _partition = p AND _offset = o',
	'SELECT w.*, key FROM rb_want w LEFT JOIN qtopic.rb ON _partition = p AND _offset = o',
	'SELECT w.*, key FROM rb_want w LEFT JOIN LATERAL (SELECT key FROM qtopic.rb WHERE _partition = p AND _offset >= o ORDER BY _offset LIMIT 2) r ON true',
	'SELECT w.*, key FROM rb_want w LEFT JOIN LATERAL (SELECT key FROM qtopic.rb WHERE _partition = p AND _offset <= o ORDER BY _offset DESC LIMIT 2) r ON true',
	'SELECT w.*, (SELECT max(_offset) FROM qtopic.rb WHERE _partition = p AND _offset < o) FROM rb_want w',
	'SELECT w.*, (SELECT count(*) FROM qtopic.rb WHERE _partition = p AND _offset < least(o, 100)) FROM rb_want w',
	'SELECT w.*, (SELECT string_agg(key, '' '' ORDER BY key) FROM qtopic.rb WHERE _partition = p AND _timestamp BETWEEN t AND t + interval ''6 s'' AND _offset < 100) FROM rb_want w',
	'SELECT w.* FROM rb_want w WHERE EXISTS (SELECT FROM qtopic.rb WHERE _partition = p AND _offset = o)',
	'SELECT w.* FROM rb_want w WHERE NOT EXISTS (SELECT FROM qtopic.rb WHERE _partition = p AND _offset = o)',
	'SELECT key FROM qtopic.rb WHERE _partition = 1 AND _offset > (SELECT max(o) - 3 FROM rb_want)',
	'SELECT key FROM qtopic.rb WHERE _offset = ANY (ARRAY(SELECT o FROM rb_want)) AND _offset < 10 AND _partition = ANY (ARRAY(SELECT p FROM rb_want))']) query, rb_join(query) j;
EXPLAIN (COSTS OFF) SELECT w.*, key FROM rb_want w LEFT JOIN qtopic.rb ON _partition = p AND _offset = o;
EXPLAIN (COSTS OFF) SELECT w.*, (SELECT count(*) FROM qtopic.rb WHERE _partition = p AND _offset < o) FROM rb_want w;

-- PL/pgSQL
DO $$
DECLARE
	wanted bigint;
	one text;
	reader CURSOR (first bigint) FOR SELECT key FROM qtopic.rb WHERE _partition = 0 AND _offset >= first;
BEGIN
	FOREACH wanted IN ARRAY ARRAY[0, 29999, NULL, 30000, 7] LOOP
		SELECT key INTO one FROM qtopic.rb WHERE _partition = 2 AND _offset = wanted;
		RAISE NOTICE '% %', wanted, one;
	END LOOP;
	OPEN reader(29997);
	LOOP
		FETCH reader INTO one;
		EXIT WHEN NOT FOUND;
		RAISE NOTICE 'cursor %', one;
	END LOOP;
END $$;

-- EXPLAIN in other formats
EXPLAIN (COSTS OFF, FORMAT YAML) SELECT key FROM qtopic.rb WHERE _partition = 2 AND _offset >= 29700 ORDER BY _offset DESC;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT YAML) SELECT count(*) FROM qtopic.rb WHERE _partition = 2 AND _offset BETWEEN 0 AND 5;

-- the values of a whole row, also where only the row is asked for
SELECT r FROM qtopic.rb r WHERE _partition = 0 AND _offset = 1;
SELECT (r).value ->> 'n' AS n, r.* FROM qtopic.rb r WHERE _partition = 0 AND _offset = 1;
SELECT to_jsonb(r) - 'value' AS record FROM qtopic.rb r WHERE _partition = 0 AND _offset = 1;
SELECT count(r), count(r IS NULL) FROM qtopic.rb r WHERE _offset < 2;

DROP VIEW rb_calls;
DROP FUNCTION rb_read, rb_share, rb_md5, rb_same, rb_execute, rb_join;
DROP TABLE rb_plain, rb_all, rb_custom, rb_want;
SELECT drop_topic('rb');
