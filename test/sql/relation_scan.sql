-- scans of the relation of a topic: conditions, order, aggregates, parallel plans
SELECT create_topic('rs', 4, '{"value.format": "jsonb"}');
SET qtopic.produce_mode = deferred;
SELECT count(produce('rs', i::text, jsonb_build_object('n', i, 'pad', repeat('x', i % 50)),
					 record_time => '2026-01-01 00:00:00+00'::timestamptz + i * interval '1 second'))
  FROM generate_series(1, 100000) i;
RESET qtopic.produce_mode;
ANALYZE qtopic.rs;

-- the same rows without any help of the scan
CREATE TABLE rs_plain AS SELECT * FROM (SELECT * FROM qtopic.rs OFFSET 0) s;
SELECT count(*) FROM rs_plain;

-- what a query reads, from EXPLAIN ANALYZE
CREATE FUNCTION rs_read(query text, OUT partitions int, OUT batches int) LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ' || query LOOP
		partitions := coalesce(substring(line FROM 'Partitions Read: (\d+)')::int, partitions);
		batches := coalesce(substring(line FROM 'Batches Read: (\d+)')::int, batches);
	END LOOP;
END $$;
CREATE FUNCTION rs_all_batches() RETURNS int LANGUAGE sql AS
$$ SELECT batches FROM rs_read('SELECT sum((value->>''n'')::int) FROM qtopic.rs') $$;
SET max_parallel_workers_per_gather = 0;

-- conditions: the scan applies them, and the result is the same
CREATE FUNCTION rs_same(condition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	scanned text;
	plain text;
BEGIN
	EXECUTE 'SELECT md5(coalesce(string_agg(_partition || '' '' || _offset || '' '' || key, '','' ORDER BY _partition, _offset), ''''))
			 FROM qtopic.rs WHERE ' || condition INTO scanned;
	EXECUTE 'SELECT md5(coalesce(string_agg(_partition || '' '' || _offset || '' '' || key, '','' ORDER BY _partition, _offset), ''''))
			 FROM rs_plain WHERE ' || condition INTO plain;
	RETURN CASE WHEN scanned = plain THEN 'same' ELSE 'DIFFERENT' END;
END $$;
SELECT condition, rs_same(condition) FROM unnest(ARRAY[
	'_partition = 1', '_partition IN (0, 2)', '_partition = ANY (NULL::int[])', '_partition > 2', '1 >= _partition',
	'_partition = 7', '_partition = -1', '_partition = 5000000000', '_partition <> 1', '_partition IN (1, NULL)',
	'_offset = 17', '_offset < 5', '_offset <= 5', '_offset > 24990', '24990 <= _offset', '_offset BETWEEN 100 AND 110',
	'_offset < -1', '_offset > 9223372036854775807', '_offset < (-9223372036854775808)', '_offset = 17::smallint',
	'_offset > 10 AND _offset < 5', '_partition = 2 AND _offset >= 300 AND _offset < 420 AND key LIKE ''%7''',
	'_timestamp < ''2026-01-01 00:01:00+00''', '_timestamp <= ''2026-01-01 00:01:00+00''',
	'_timestamp = ''2026-01-01 00:01:00+00''', '_timestamp = ''2026-01-01 00:01:00.0001+00''',
	'_timestamp > ''2026-01-01 00:00:59.9999+00'' AND _timestamp < ''2026-01-01 00:01:00.0001+00''',
	'_timestamp >= ''2026-01-02 03:00:00+00''', '_timestamp > ''infinity''', '_timestamp >= ''-infinity''',
	'_timestamp < ''-infinity''', '_timestamp < ''infinity'' AND _offset < 3', '_timestamp >= ''2026-01-02''::date',
	'_partition = NULL', '_offset = (SELECT 5)', 'key = ''77'' OR _offset = 3']) AS condition;

EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs WHERE _partition = 1 AND _offset BETWEEN 100 AND 110 AND key LIKE '%7';
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs WHERE 5 > _offset AND _timestamp >= '2026-01-01 00:00:10+00';

-- little is read: the last percent by offset or time
SELECT partitions, batches <= 0.02 * rs_all_batches() + 4 AS few
  FROM rs_read('SELECT max(key) FROM qtopic.rs WHERE _offset >= 24800');
SELECT partitions, batches <= 0.02 * rs_all_batches() + 4 AS few
  FROM rs_read('SELECT max(key) FROM qtopic.rs WHERE _timestamp >= ''2026-01-02 03:30:00+00''');
SELECT * FROM rs_read('SELECT key FROM qtopic.rs WHERE _partition = 2 AND _offset = 5000');
SELECT * FROM rs_read('SELECT key FROM qtopic.rs LIMIT 1');

-- order without a sort
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs ORDER BY _partition, _offset LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs WHERE _partition = 3 ORDER BY _offset DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs ORDER BY _partition DESC, _offset DESC, key LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs ORDER BY _offset LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM qtopic.rs ORDER BY _partition, _offset DESC LIMIT 3;
SELECT _partition, _offset FROM qtopic.rs WHERE _partition = 3 ORDER BY _offset DESC LIMIT 3;
SELECT _partition, _offset FROM qtopic.rs WHERE _offset <= 100 ORDER BY _partition DESC, _offset DESC LIMIT 2;
SELECT bool_and(_offset = previous - 1), count(*) FROM
	(SELECT _offset, lag(_offset) OVER () AS previous
	   FROM (SELECT _offset FROM qtopic.rs WHERE _partition = 1 ORDER BY _offset DESC) s) t;
SELECT batches FROM rs_read('SELECT key FROM qtopic.rs WHERE _partition = 3 ORDER BY _offset DESC LIMIT 3');

-- aggregates from the headers of the batches
EXPLAIN (COSTS OFF) SELECT count(*), min(_offset), max(_offset) FROM qtopic.rs;
SELECT count(*), min(_offset), max(_offset) FROM qtopic.rs;
SELECT _partition, count(*), count(_offset), min(_offset), max(_offset) FROM qtopic.rs GROUP BY _partition
EXCEPT
SELECT _partition, count(*), count(_offset), min(_offset), max(_offset) FROM rs_plain GROUP BY _partition;
SELECT (SELECT count(*) FROM qtopic.rs WHERE _offset BETWEEN 77 AND 20011) =
	   (SELECT count(*) FROM rs_plain WHERE _offset BETWEEN 77 AND 20011) AS same;
SELECT (SELECT count(*) FROM qtopic.rs WHERE _timestamp < '2026-01-01 02:00:00.5+00') AS by_time;
SELECT count(*), max(_offset) FROM qtopic.rs WHERE _offset < 0;
SELECT _partition, count(*) FROM qtopic.rs WHERE _offset < 0 GROUP BY 1;
SELECT batches FROM rs_read('SELECT max(_offset) FROM qtopic.rs WHERE _partition = 1');
SELECT batches FROM rs_read('SELECT _partition, max(_offset) FROM qtopic.rs GROUP BY 1');
-- not these
EXPLAIN (COSTS OFF) SELECT count(key) FROM qtopic.rs;
EXPLAIN (COSTS OFF) SELECT count(*) FROM qtopic.rs WHERE key = '1';
EXPLAIN (COSTS OFF) SELECT count(*) FILTER (WHERE _offset > 5) FROM qtopic.rs;
EXPLAIN (COSTS OFF) SELECT count(DISTINCT _offset) FROM qtopic.rs;

-- parameters, nested loops, rescans, cursors
PREPARE rs_get(int, bigint) AS SELECT key FROM qtopic.rs WHERE _partition = $1 AND _offset = $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE rs_get(1, 7);
SELECT key = (SELECT key FROM rs_plain WHERE _partition = 1 AND _offset = 7) AS same
  FROM qtopic.rs WHERE _partition = 1 AND _offset = 7;
EXECUTE rs_get(NULL, 7);
RESET plan_cache_mode;
CREATE TABLE rs_lookup AS SELECT p, o FROM generate_series(0, 3) p, generate_series(1, 10) o;
ANALYZE rs_lookup;
EXPLAIN (COSTS OFF) SELECT * FROM rs_lookup l JOIN qtopic.rs r ON r._partition = l.p AND r._offset = l.o;
SELECT count(*), count(DISTINCT key) FROM rs_lookup l JOIN qtopic.rs r ON r._partition = l.p AND r._offset = l.o;
SELECT p, (SELECT _offset FROM qtopic.rs WHERE _partition = p ORDER BY _offset DESC LIMIT 1) =
		  (SELECT max(_offset) FROM rs_plain WHERE _partition = p) AS same FROM generate_series(0, 3) p;
SELECT count(*) FROM qtopic.rs a
 WHERE NOT EXISTS (SELECT FROM qtopic.rs b WHERE b._partition = a._partition AND b._offset = a._offset + 1);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT _offset FROM qtopic.rs WHERE _partition = 0;
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
MOVE 100 IN c;
FETCH 1 FROM c;
COMMIT;

-- parallel
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT sum((value->>'n')::int), count(value) FROM qtopic.rs;
SELECT sum((value->>'n')::int), count(value) FROM qtopic.rs;
SELECT (SELECT sum((value->>'n')::int) FROM qtopic.rs WHERE _partition IN (1, 2) AND _offset BETWEEN 100 AND 20000) =
	   (SELECT sum((value->>'n')::int) FROM rs_plain WHERE _partition IN (1, 2) AND _offset BETWEEN 100 AND 20000) AS same;
-- a scan that is not shared stays with the leader, who knows where to stop
EXPLAIN (COSTS OFF) SELECT count(*) FROM qtopic.rs a JOIN qtopic.rs b USING (_partition, _offset) WHERE a.key = b.key;
SELECT count(*) FROM qtopic.rs a JOIN qtopic.rs b USING (_partition, _offset) WHERE a.key = b.key;
BEGIN;
SELECT _offset >= 0 AS mine FROM produce('rs', 'mine', '{}'::jsonb);
SELECT sum((value->>'n')::int), count(value) FROM qtopic.rs;
ROLLBACK;

DROP FUNCTION rs_read, rs_all_batches, rs_same;
DROP TABLE rs_plain, rs_lookup;
SELECT drop_topic('rs');
