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
SET parallel_leader_participation = off;
SELECT r.batches BETWEEN a.batches AND a.batches + 16 AS all_batches FROM rex_read('SELECT max(md5(value)) FROM qtopic.rex') r, rex_all a;
RESET parallel_leader_participation; RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
SET max_parallel_workers_per_gather = 0;

-- the highest position is looked up, whatever is made of it
SELECT query, batches <= 4 AS few FROM unnest(ARRAY[
	'SELECT max(_offset) FROM qtopic.rex', 'SELECT max(_offset) + 1 FROM qtopic.rex', 'SELECT coalesce(max(_offset) + 1, 0) FROM qtopic.rex',
	'SELECT _partition, max(_offset) FROM qtopic.rex GROUP BY _partition', 'SELECT _partition, max(_offset) + 1 FROM qtopic.rex GROUP BY _partition ORDER BY _partition',
	'SELECT _partition AS p, coalesce(max(_offset), -1) FROM qtopic.rex GROUP BY 1 HAVING max(_offset) > 5']) query, rex_read(query);

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
DROP TABLE rex_all;
DROP FUNCTION rex_read(text), rex_shows(text);
SELECT drop_topic('rex');
