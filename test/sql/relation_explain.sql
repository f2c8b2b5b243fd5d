--
-- EXPLAIN shows what is read also when others read it, and when only the headers
-- of batches are read; aggregates in expressions are computed from the headers,
-- too.
--
\set SHOW_CONTEXT never
SELECT create_topic('rex', 2);
INSERT INTO qtopic.rex (_partition, key, value) SELECT i % 2, i, md5(i::text) FROM generate_series(0, 39999) i;
ANALYZE qtopic.rex;
CREATE FUNCTION rex_read(query text, OUT partitions int, OUT batches int) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ' || query INTO plan;
	SELECT sum((scan ->> 'Partitions Read')::int), sum((scan ->> 'Batches Read')::int) INTO partitions, batches
	  FROM jsonb_path_query(plan::jsonb, 'strict $.**') scan
	 WHERE jsonb_typeof(scan) = 'object' AND scan ? 'Batches Read';
END $$;
CREATE TABLE rex_all AS SELECT 0 AS batches;
SET max_parallel_workers_per_gather = 0;
UPDATE rex_all SET batches = (SELECT r.batches FROM rex_read('SELECT max(md5(value)) FROM qtopic.rex') r);
SELECT batches > 50 AS many FROM rex_all;

-- what the workers have read counts: at least all batches, and at most one more for
-- each stretch
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT r.batches BETWEEN a.batches AND a.batches + 16 AS all_batches FROM rex_read('SELECT max(md5(value)) FROM qtopic.rex') r, rex_all a;
SELECT r.partitions FROM rex_read('SELECT max(md5(value)) FROM qtopic.rex') r;
SET parallel_leader_participation = off;
SELECT r.batches BETWEEN a.batches AND a.batches + 16 AS all_batches FROM rex_read('SELECT max(md5(value)) FROM qtopic.rex') r, rex_all a;
RESET parallel_leader_participation; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- the highest position is looked up, whatever is made of it
SELECT query, batches <= 4 AS few FROM unnest(ARRAY[
	'SELECT max(_offset) FROM qtopic.rex', 'SELECT max(_offset) + 1 FROM qtopic.rex', 'SELECT coalesce(max(_offset) + 1, 0) FROM qtopic.rex',
	'SELECT _partition, max(_offset) FROM qtopic.rex GROUP BY _partition', 'SELECT _partition, max(_offset) + 1 FROM qtopic.rex GROUP BY _partition ORDER BY _partition',
	'SELECT _partition AS p, coalesce(max(_offset), -1) FROM qtopic.rex GROUP BY 1 HAVING max(_offset) > 5']) query, rex_read(query);

-- what has to look at every batch looks at its header only
CREATE FUNCTION rex_by_headers(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan text := '';
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line;
	END LOOP;
	RETURN plan LIKE '%Relation: qtopic.rex%' AND plan NOT LIKE '%Aggregate%';
END $$;
SELECT query, rex_by_headers(query) FROM unnest(ARRAY[
	'SELECT count(1) FROM qtopic.rex', 'SELECT count(_timestamp) FROM qtopic.rex', 'SELECT count(*) * 2 FROM qtopic.rex', 'SELECT _partition FROM qtopic.rex GROUP BY 1 HAVING count(*) > 5',
	'SELECT count(key) FROM qtopic.rex', 'SELECT count(*) FROM qtopic.rex WHERE _offset IN (1, 2)']) query;
-- what they say is the same as without
SELECT count(1), count(*) + 1 AS next_count, max(_offset) + 1 AS next_offset, coalesce(min(_offset), -1) AS least FROM qtopic.rex WHERE _offset < 100;
SELECT count(NULL::int) FROM qtopic.rex;
SELECT coalesce(max(_offset), -1) AS none, count(1), 'same' AS word FROM qtopic.rex WHERE _offset < 0;
SELECT 'never' FROM qtopic.rex HAVING count(*) < 5;
SELECT 'always' FROM qtopic.rex HAVING count(*) > 5;
SELECT _partition * 10 AS ten, max(_offset) - min(_offset) AS span FROM qtopic.rex GROUP BY _partition ORDER BY span, _partition;
SELECT max(_offset) FROM qtopic.rex GROUP BY _partition HAVING _partition > 0 AND max(_offset) > _partition;
SELECT count(*) FROM (SELECT FROM qtopic.rex GROUP BY _partition HAVING count(*) > 1) both_partitions;
SELECT _partition % 1 AS rest, count(*) FROM qtopic.rex GROUP BY 1;
SELECT _partition + 1 AS number, count(*), sum(count(*)) OVER () FROM qtopic.rex GROUP BY _partition ORDER BY 1;
SELECT p, (SELECT max(_offset) + p FROM qtopic.rex WHERE _partition = p) AS found FROM generate_series(0, 2) p;
PREPARE rex_after(bigint) AS SELECT coalesce(max(_offset) - $1, 0) AS more FROM qtopic.rex WHERE _offset > $1 AND _partition = 0 HAVING count(*) <> $1;
EXECUTE rex_after(19990); EXECUTE rex_after(9); EXECUTE rex_after(0); EXECUTE rex_after(50000);
DEALLOCATE rex_after;
EXPLAIN (COSTS OFF, VERBOSE) SELECT _partition, max(_offset) + 1 FROM qtopic.rex WHERE _partition IN (0, 1) AND _offset >= 5 AND '2020-01-01' < _timestamp GROUP BY 1 HAVING count(*) > 1;
-- the same as of a subquery that hides the topic
CREATE TABLE rex_limit AS SELECT p AS partition, 19000 + p AS least FROM generate_series(0, 1) p;
CREATE FUNCTION rex_same(query text, OUT rows int, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
	here text[];
	hidden text[];
BEGIN
	EXECUTE 'SELECT array_agg(q::text ORDER BY q::text) FROM (' || replace(query, 'TOPIC', 'qtopic.rex') || ') q' INTO here;
	EXECUTE 'SELECT array_agg(q::text ORDER BY q::text) FROM (' || replace(query, 'TOPIC', '(SELECT * FROM qtopic.rex OFFSET 0) rex') || ') q' INTO hidden;
	rows := coalesce(cardinality(here), 0);
	same := here IS NOT DISTINCT FROM hidden;
END $$;
SELECT query, s.* FROM unnest(ARRAY[
	'SELECT _partition, count(*) FROM TOPIC GROUP BY 1 HAVING max(_offset) > (SELECT least FROM rex_limit WHERE partition = _partition)',
	'SELECT _partition, count(*) FROM TOPIC GROUP BY 1 HAVING max(_offset) < (SELECT max(least) FROM rex_limit)',
	'SELECT (SELECT max(least) FROM rex_limit WHERE least < max(_offset)) FROM TOPIC',
	'SELECT _partition, (SELECT count(*) FROM rex_limit WHERE least < max(_offset) AND partition = _partition) FROM TOPIC GROUP BY _partition',
	'SELECT max(_offset) FILTER (WHERE _partition = 1), count(*) FROM TOPIC', 'SELECT count(DISTINCT _offset), max(_offset) FROM TOPIC',
	'SELECT max(_offset), max(_timestamp) IS NULL FROM TOPIC', 'SELECT max(_offset + _partition), count(*) FROM TOPIC',
	'SELECT generate_series(1, count(*) / 10000) FROM TOPIC', 'SELECT _partition, generate_series(1, 2) + max(_offset) FROM TOPIC GROUP BY _partition',
	'SELECT max(_offset) AS m FROM TOPIC GROUP BY _partition ORDER BY max(_offset) + _partition DESC LIMIT 1',
	'SELECT count(*) FROM TOPIC GROUP BY _partition, _partition', 'SELECT count(*) FROM TOPIC GROUP BY _partition, _offset HAVING _offset < 3',
	'SELECT _partition, count(*) FROM TOPIC GROUP BY ROLLUP (_partition)', 'SELECT DISTINCT count(*) FROM TOPIC GROUP BY _partition',
	'SELECT _offset, count(*) FROM TOPIC WHERE _offset < 3 GROUP BY _offset', 'SELECT _partition::bigint, count(*) FROM TOPIC GROUP BY 1',
	'SELECT rank() OVER (ORDER BY max(_offset), _partition), _partition FROM TOPIC GROUP BY _partition',
	'SELECT l.*, (SELECT max(_offset) - l.least FROM TOPIC WHERE _partition = l.partition) FROM rex_limit l',
	'SELECT * FROM rex_limit l, LATERAL (SELECT count(*) AS n, max(_offset) + l.least AS m FROM TOPIC WHERE _partition = l.partition AND _offset > l.least HAVING count(*) > 998) t',
	'SELECT l.partition, t.n FROM rex_limit l LEFT JOIN (SELECT _partition, coalesce(max(_offset), 7) AS n FROM TOPIC GROUP BY 1 HAVING _partition = 1) t ON partition = _partition',
	'SELECT count(1) + 1 FROM TOPIC UNION ALL SELECT -max(_offset) FROM TOPIC WHERE _partition = 0',
	'SELECT CASE WHEN count(*) > 5 THEN ''many'' END, min(_offset) = 0 AND max(_offset) > 0 FROM TOPIC',
	'SELECT count(*) FROM TOPIC WHERE false', 'SELECT count(*) + 1 FROM TOPIC WHERE _offset < 10 HAVING false', 'SELECT count(*), max(_offset) FROM TOPIC WHERE _offset IS NULL']) query, rex_same(query) s;
-- a list of offsets and a comparison of rows bound what is read, and say what they say
SELECT query, batches <= 4 AS few FROM unnest(ARRAY[
	'SELECT value FROM qtopic.rex WHERE _offset IN (5, 7, 9)', 'SELECT value FROM qtopic.rex WHERE _offset = ANY (ARRAY[7, NULL, 5]::bigint[])',
	'SELECT value FROM qtopic.rex WHERE _offset = ANY (ARRAY[NULL]::bigint[])', 'SELECT value FROM qtopic.rex WHERE _offset = ANY (NULL::int[])',
	'SELECT value FROM qtopic.rex WHERE (_offset, value) > (19990, ''a'')', 'SELECT value FROM qtopic.rex WHERE (5, ''a'') >= (_offset, value)',
	'SELECT value FROM qtopic.rex WHERE (_partition, _offset) > (1, 5) LIMIT 1']) query, rex_read(query);
SELECT r.batches < a.batches AS fewer FROM rex_read('SELECT value FROM qtopic.rex WHERE (_partition, _offset) > (1, 5)') r, rex_all a;
SELECT r.batches < a.batches AS fewer FROM rex_read('SELECT value FROM qtopic.rex WHERE (_partition, _offset) <= (0, 5)') r, rex_all a;
SELECT array_agg(DISTINCT _offset) FROM qtopic.rex WHERE _offset IN (9, 5, 7, 100000, -1);
SELECT count(*) FROM qtopic.rex WHERE _offset IN (5, 9);
SELECT count(*) FROM qtopic.rex WHERE _offset <> ALL (ARRAY[5, 9]) AND _offset < 10;
SELECT count(*) FROM qtopic.rex WHERE _offset < ANY (ARRAY[5, 9]);
SELECT p, (SELECT count(*) FROM qtopic.rex WHERE _offset = ANY (ARRAY[p, p + 19999])) FROM generate_series(0, 1) p;
PREPARE rex_some(int[]) AS SELECT _partition, _offset FROM qtopic.rex WHERE _offset = ANY ($1) ORDER BY 1, 2;
EXECUTE rex_some('{3,1}'); EXECUTE rex_some('{}');
DEALLOCATE rex_some;
SELECT count(*) FROM qtopic.rex WHERE (_partition, _offset) > (0, 19990);
SELECT count(*) FROM qtopic.rex WHERE (_partition, _offset) >= (0, 19990) AND (_partition, _offset) < (1, 3);
SELECT count(*) FROM qtopic.rex WHERE (1, 3) >= (_partition, _offset);
SELECT count(*) FROM qtopic.rex WHERE (_offset, _partition) < (3, 1);
SELECT count(*) FROM qtopic.rex WHERE (_partition, _offset) > (NULL, 3);
EXPLAIN (COSTS OFF) SELECT key FROM qtopic.rex WHERE _offset IN (5, 9) AND (_partition, _offset) > (0, 3);
-- conditions of an aggregated scan are shown
CREATE FUNCTION rex_shows(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
	shows boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		shows := shows OR line LIKE '%Log Cond:%_offset >= 5%';
	END LOOP;
	RETURN shows;
END $$;
SELECT rex_shows('SELECT value FROM qtopic.rex WHERE _offset >= 5') AS records, rex_shows('SELECT count(*) FROM qtopic.rex WHERE _offset >= 5') AS counted;
DROP TABLE rex_all, rex_limit;
DROP FUNCTION rex_read(text), rex_same(text), rex_by_headers(text), rex_shows(text);
SELECT drop_topic('rex');
