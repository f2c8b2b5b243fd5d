--
-- fetch_records(), fetch_records_bytea(), offset_for_time() and
-- partition_offsets(): what they return, and what they refuse.
--
-- Seen to fail: mutants fetch_from_batch_start, fetch_ignores_max_bytes,
-- fetch_needs_room, position_not_checked, crc_not_checked, time_after_not_at,
-- time_of_last_batch.
--
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';

SELECT create_topic('fetch_forms', 2);
SELECT produce_batch('fetch_forms', ARRAY(SELECT 'k' || n FROM generate_series(0, 9) AS n), ARRAY(SELECT 'v' || n FROM generate_series(0, 9) AS n),
    ARRAY(SELECT CASE WHEN n % 4 = 0 THEN jsonb_build_object('n', n::text) END FROM generate_series(0, 9) AS n), 0,
    ARRAY(SELECT '2024-01-01'::timestamptz + n * interval '1 min' FROM generate_series(0, 9) AS n));
SELECT produce('fetch_forms', 'k10', 'v10', partition => 0, record_time => '2024-01-01 00:10');
SELECT produce_batch('fetch_forms', ARRAY['k11', NULL], ARRAY['v11', NULL], partition => 0, record_times => ARRAY['2024-01-01 00:11', '2024-01-01 00:12']::timestamptz[]);

-- all of them
SELECT * FROM fetch_records('fetch_forms', 0, 0);
SELECT * FROM fetch_records('fetch_forms', 1, 0);
SELECT pg_typeof(_partition), pg_typeof(_offset), pg_typeof(_timestamp), pg_typeof(key), pg_typeof(value), pg_typeof(headers)
  FROM fetch_records('fetch_forms', 0, 0, 1);
SELECT pg_typeof(_partition), pg_typeof(_offset), pg_typeof(_timestamp), pg_typeof(key), pg_typeof(value), pg_typeof(headers)
  FROM fetch_records_bytea('fetch_forms', 0, 0, 1);
SELECT _offset, key, value FROM fetch_records_bytea('fetch_forms', 0, 8);

-- from the middle of a batch, and at its ends
SELECT from_offset, count(*), min(_offset), max(_offset)
  FROM generate_series(0, 13) AS from_offset LEFT JOIN LATERAL fetch_records('fetch_forms', 0, from_offset) ON true
 GROUP BY 1 ORDER BY 1;
-- max_records
SELECT max_records, from_offset, array_agg(_offset)
  FROM unnest(ARRAY[1, 2, 3, 2147483647]) AS max_records, unnest(ARRAY[0, 3, 9, 12]) AS from_offset,
       LATERAL fetch_records('fetch_forms', 0, from_offset, max_records)
 GROUP BY 1, 2 ORDER BY 1, 2;
-- max_bytes of keys, values and headers, but always one record
SELECT max_bytes, array_agg(_offset)
  FROM unnest(ARRAY[1, 3, 4, 7, 8, 11, 12, 2147483647]) AS max_bytes, LATERAL fetch_records('fetch_forms', 0, 1, max_bytes => max_bytes)
 GROUP BY 1 ORDER BY 1;
SELECT produce('fetch_forms', 'k', repeat('x', 100000), partition => 1);
SELECT produce('fetch_forms', 'k', 'y', partition => 1);
SELECT _offset, length(value) FROM fetch_records('fetch_forms', 1, 0, max_bytes => 10);
SELECT _offset, length(value) FROM fetch_records('fetch_forms', 1, 1, max_bytes => 10);
SELECT count(*) FROM fetch_records('fetch_forms', 1, 0, max_bytes => 100003);
-- a position is the last offset read plus one: nobody reads a record twice
WITH RECURSIVE reader (step, position, got) AS (
    SELECT 0, 0::bigint, NULL::bigint[]
    UNION ALL
    SELECT step + 1, got.last + 1, got.offsets FROM reader, LATERAL (
        SELECT max(_offset) AS last, array_agg(_offset) AS offsets FROM fetch_records('fetch_forms', 0, position, 4)) AS got
     WHERE got.last IS NOT NULL AND step < 9)
SELECT step, position, got FROM reader;
-- nothing there: no wait by default, a short one if asked
SELECT count(*) FROM fetch_records('fetch_forms', 0, 13, max_wait => '10 ms');
SELECT count(*) FROM fetch_records('fetch_forms', 0, 0, 500, '1 hour');
SET qtopic.max_wait = 10;
SELECT count(*) FROM fetch_records('fetch_forms', 0, 13, max_wait => '1 year');
RESET qtopic.max_wait;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM fetch_records('fetch_forms', 0, 13, max_wait => '1 hour');
COMMIT;
BEGIN;
SELECT produce('fetch_forms', 'own', 'own', partition => 0);
SELECT count(*) FROM fetch_records('fetch_forms', 0, 13, max_wait => '1 hour');
ROLLBACK;
SELECT _offset, value FROM fetch_records('fetch_forms', 0, 13);
SELECT produce('fetch_forms', 'k14', 'v14', partition => 0, record_time => '2024-01-01 00:14');
SELECT _offset, value FROM fetch_records('fetch_forms', 0, 13);

-- other forms of the call
SELECT count(*) FROM fetch_records('fetch_forms', partition => 0, from_offset => 5);
SELECT count(*) FROM fetch_records('fetch_forms', 0::smallint, 5::smallint, max_wait => '0');
SELECT p, count(*) FROM generate_series(0, 1) AS p, fetch_records('fetch_forms', p, 0) GROUP BY p ORDER BY p;
SELECT value FROM fetch_records('fetch_forms', 0, (SELECT coalesce(max(x) + 1, 0) FROM (VALUES (9::bigint)) AS v (x))) LIMIT 1;
SELECT (fetch_records('fetch_forms', 0, 12)).value;
SELECT f._offset, g._offset FROM fetch_records('fetch_forms', 0, 9) AS f JOIN fetch_records('fetch_forms', 0, 10, 2) AS g USING (key);
PREPARE fetch_some(varchar, smallint, smallint) AS SELECT _offset FROM fetch_records($1, $2, $3);
EXECUTE fetch_some('fetch_forms', 0, 12);
DEALLOCATE fetch_some;
BEGIN READ ONLY;
SELECT count(*) FROM fetch_records('fetch_forms', 0, 0);
SELECT count(*) FROM qtopic.fetch_forms;
SELECT count(*) FROM qtopic_partitions WHERE topic = 'fetch_forms';
COMMIT;

-- outside of the log
SELECT * FROM fetch_records('fetch_forms', 0, -1);
SELECT * FROM fetch_records('fetch_forms', 0, 16);
SELECT * FROM fetch_records('fetch_forms', 0, 15);
SELECT * FROM fetch_records('fetch_forms', 0, 9223372036854775807);
SELECT * FROM fetch_records_bytea('fetch_forms', 1, 3);
-- no such topic or partition
SELECT * FROM fetch_records('no_such_topic', 0, 0);
SELECT * FROM fetch_records('', 0, 0);
SELECT * FROM fetch_records('FETCH_FORMS', 0, 0);
SELECT * FROM fetch_records('qtopic.fetch_forms', 0, 0);
SELECT * FROM fetch_records('fetch_forms', 2, 0);
SELECT * FROM fetch_records('fetch_forms', -1, 0);
SELECT * FROM partition_offsets('no_such_topic');
SELECT offset_for_time('no_such_topic', 0, now());
SELECT offset_for_time('fetch_forms', 2, now());
SELECT offset_for_time('fetch_forms', -1, now());
-- bad arguments
SELECT * FROM fetch_records(NULL, 0, 0);
SELECT * FROM fetch_records('fetch_forms', NULL, 0);
SELECT * FROM fetch_records('fetch_forms', 0, NULL);
SELECT * FROM fetch_records('fetch_forms', 0, 0, NULL);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_wait => NULL);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_bytes => NULL);
SELECT * FROM fetch_records('fetch_forms', 0, 0, 0);
SELECT * FROM fetch_records('fetch_forms', 0, 0, -1);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_bytes => 0);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_bytes => -1);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_wait => '-1 s');
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_wait => '1 day -25 hours');
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_wait => 5);
SELECT * FROM fetch_records('fetch_forms', 0, 0, max_wait => 'soon');
SELECT * FROM partition_offsets(NULL);
SELECT offset_for_time(NULL, 0, now());
SELECT offset_for_time('fetch_forms', NULL, now());
SELECT offset_for_time('fetch_forms', 0, NULL);

-- partition_offsets
SELECT * FROM partition_offsets('fetch_forms') ORDER BY 1;
BEGIN;
SELECT produce('fetch_forms', 'k', 'open', partition => 1);
SELECT * FROM partition_offsets('fetch_forms') ORDER BY 1;
SELECT partition, next_offset - last_stable_offset AS behind, segments, blocked_by_pid = pg_backend_pid() AS by_me, blocked_by_gid, blocked_for >= '0' AS blocked_for
  FROM qtopic_partitions WHERE topic = 'fetch_forms' ORDER BY 1;
ROLLBACK;
SELECT * FROM partition_offsets('fetch_forms') ORDER BY 1;
SELECT * FROM qtopic_partitions WHERE topic = 'fetch_forms' ORDER BY partition;
SELECT topic, partitions, key_format, value_format, config, relation FROM qtopic_topics WHERE topic = 'fetch_forms';

-- offset_for_time: the lowest offset whose time is not before
SELECT at, offset_for_time('fetch_forms', 0, at) FROM unnest(ARRAY['2024-01-01 00:00', '2024-01-01 00:05', '2024-01-01 00:05:00.001',
    '2024-01-01 00:04:59.9999', '2024-01-01 00:05:00.0001', '2023-12-31', '2024-01-01 00:11', '2024-01-01 00:12:30',
    '2024-01-01 00:14', '2024-01-01 00:14:00.001', '4713-01-01 BC', '-infinity', 'infinity']::timestamptz[]) AS at;
SELECT offset_for_time('fetch_forms', 0, at => '2024-01-01 00:10');
SELECT offset_for_time('fetch_forms', 0, '2024-01-01'::date);
SELECT create_topic('fetch_forms_time');
SELECT offset_for_time('fetch_forms_time', 0, '-infinity') IS NULL AS empty;
-- times that do not grow; the first in offset order counts
SELECT produce('fetch_forms_time', NULL, minute::text, record_time => '2024-01-01'::timestamptz + minute * interval '1 min')
  FROM unnest(ARRAY[5, 3, 9]) AS minute;
SELECT produce_batch('fetch_forms_time', NULL, ARRAY['2', '20', '7'],
    record_times => ARRAY['2024-01-01 00:02', '2024-01-01 00:20', '2024-01-01 00:07']::timestamptz[]);
SELECT minute, offset_for_time('fetch_forms_time', 0, '2024-01-01'::timestamptz + minute * interval '1 min') FROM unnest(ARRAY[0, 4, 5, 6, 9, 10, 20, 21]) AS minute;
-- what is not stable yet does not count
BEGIN;
SELECT produce('fetch_forms_time', NULL, '30', record_time => '2024-01-01 00:30');
SELECT offset_for_time('fetch_forms_time', 0, '2024-01-01 00:25') IS NULL AS none_yet;
COMMIT;
SELECT offset_for_time('fetch_forms_time', 0, '2024-01-01 00:25');

-- bytes that are not text
SELECT create_topic('fetch_forms_bytes');
SELECT produce('fetch_forms_bytes', 'valid');
SELECT produce('fetch_forms_bytes', 'k', '\xc3'::bytea);
SELECT produce('fetch_forms_bytes', '\xff'::bytea, 'v');
SELECT produce('fetch_forms_bytes', 'zero', '\x6100'::bytea);
SELECT value FROM fetch_records('fetch_forms_bytes', 0, 0, 1);
SELECT value FROM fetch_records('fetch_forms_bytes', 0, 0);
SELECT key FROM fetch_records('fetch_forms_bytes', 0, 2);
SELECT value FROM fetch_records('fetch_forms_bytes', 0, 3);
SELECT value FROM qtopic.fetch_forms_bytes;
SELECT value FROM qtopic.fetch_forms_bytes LIMIT 1;
SELECT _offset, key, value FROM fetch_records_bytea('fetch_forms_bytes', 0, 0);

-- a batch that was damaged in the storage; such rows come from nowhere else
SELECT create_topic('fetch_forms_corrupt', 2);
SELECT produce('fetch_forms_corrupt', 'k', 'whole', partition => 1, record_time => '2023-01-01');
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'fetch_forms_corrupt' \gset
INSERT INTO qtopic_internal.topic_:topic_id
SELECT 1, 0, 1, set_byte(batch, length(batch) - 2, get_byte(batch, length(batch) - 2) # 1)
  FROM qtopic_internal.record_batch_encode('none', ARRAY['2024-01-01'::timestamptz], ARRAY['k'::bytea], ARRAY['damaged'::bytea], NULL, 1) AS batch;
SELECT value FROM fetch_records('fetch_forms_corrupt', 1, 0, 1);
SELECT value FROM fetch_records('fetch_forms_corrupt', 1, 0);
SELECT value FROM fetch_records_bytea('fetch_forms_corrupt', 1, 1);
SELECT value FROM qtopic.fetch_forms_corrupt;
SELECT offset_for_time('fetch_forms_corrupt', 1, '2022-01-01');
SELECT offset_for_time('fetch_forms_corrupt', 1, '2023-06-01');
SELECT offset_for_time('fetch_forms_corrupt', 1, '2025-01-01') IS NULL AS after_all;
SET qtopic.check_crcs = off;
SELECT value FROM fetch_records('fetch_forms_corrupt', 1, 0);
SELECT value FROM qtopic.fetch_forms_corrupt;
RESET qtopic.check_crcs;
-- the others are beyond reading, checksums or not
SELECT create_topic('fetch_forms_short');
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'fetch_forms_short' \gset
INSERT INTO qtopic_internal.topic_:topic_id VALUES (0, 0, 0, '\x0102');
SELECT value FROM fetch_records('fetch_forms_short', 0, 0);
SELECT value FROM qtopic.fetch_forms_short;
SELECT offset_for_time('fetch_forms_short', 0, '2020-01-01');
SET qtopic.check_crcs = off;
SELECT value FROM fetch_records('fetch_forms_short', 0, 0);
RESET qtopic.check_crcs;

SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'fetch\_forms%' ORDER BY topic;
