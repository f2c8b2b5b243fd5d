--
-- produce_batch() and produce_batch_bytea(): arrays, order, runs, and what is
-- refused.
--
-- Seen to fail: mutants batch_lengths_not_checked, batch_order_reversed,
-- cut_loses_rest, cut_yields_too_little.
--
\set SHOW_CONTEXT never

SELECT create_topic('produce_batch');
SELECT create_topic('produce_batch_spread', 4);

-- values only
SELECT * FROM produce_batch('produce_batch', ARRAY['a', 'b']);
SELECT * FROM produce_batch('produce_batch', '{c,d}');
SELECT * FROM produce_batch('produce_batch', ARRAY['e']::varchar[]);
SELECT * FROM produce_batch('produce_batch', ARRAY[to_jsonb(1), '{"a" :  1}']);
SELECT * FROM produce_batch('produce_batch', ARRAY['{"a" :  1}'::json]);
SELECT * FROM produce_batch('produce_batch', ARRAY['bytes'::bytea]);
SELECT * FROM produce_batch('produce_batch', ARRAY['n'::name]);
SELECT * FROM produce_batch('produce_batch', ARRAY['c'::char(3)]);
SELECT * FROM produce_batch('produce_batch', ARRAY[NULL, 'after NULL', '']);
SELECT * FROM produce_batch(topic => 'produce_batch', record_values => ARRAY['named']);
-- keys and values
SELECT * FROM produce_batch('produce_batch', ARRAY['k1', NULL, ''], ARRAY['v1', 'v2', NULL]);
SELECT * FROM produce_batch('produce_batch', '{k1,k2}', '{v1,v2}');
SELECT * FROM produce_batch('produce_batch', NULL, ARRAY['no keys']);
SELECT * FROM produce_batch('produce_batch', NULL::text[], ARRAY['no keys']);
SELECT * FROM produce_batch('produce_batch', ARRAY['k'], ARRAY[to_jsonb(1)]);
SELECT produce_batch('produce_batch', array_agg(k::text ORDER BY k), array_agg(to_jsonb(x) ORDER BY k)) FROM (VALUES (1, 'a'), (2, 'b')) AS x (k, v);
SELECT * FROM produce_batch('produce_batch', ARRAY['k', 'k', 'k'], ARRAY['h1', 'h2', 'h3'],
    record_headers => ARRAY['{"a": "1"}', NULL, '[{"key": "a", "value_base64": "/w=="}]']::jsonb[],
    record_times => ARRAY['2024-01-01 00:00:00.0009+00', NULL, '2023-01-01 00:00+00']::timestamptz[]);
SELECT * FROM produce_batch('produce_batch', record_keys => NULL, record_values => ARRAY['tail'], partition => 0, deferred => false);
SELECT _offset, key, value, headers FROM qtopic.produce_batch;
SELECT value, extract(epoch FROM _timestamp) AS epoch FROM qtopic.produce_batch WHERE value IN ('h1', 'h3');

-- bounds of arrays do not matter
SELECT * FROM produce_batch('produce_batch', '[5:6]={five,six}'::text[]);
SELECT * FROM produce_batch('produce_batch', '[0:1]={k5,k6}'::text[], '[5:6]={five,six}'::text[]);
SELECT * FROM produce_batch('produce_batch', (ARRAY['a', 'b', 'slice', 'd'])[3:3]);
-- nothing to do
SELECT * FROM produce_batch('produce_batch', '{}');
SELECT * FROM produce_batch('produce_batch', ARRAY[]::text[]);
SELECT * FROM produce_batch('produce_batch', NULL, ARRAY[]::jsonb[]);
SELECT * FROM produce_batch('produce_batch', ARRAY[]::text[], ARRAY[]::jsonb[], ARRAY[]::jsonb[], NULL, ARRAY[]::timestamptz[]);
SELECT key, value FROM qtopic.produce_batch WHERE _offset > 28;

-- refused
SELECT next_offset FROM partition_offsets('produce_batch') \gset
SELECT produce_batch('produce_batch', NULL);
SELECT produce_batch('produce_batch', NULL::text[]);
SELECT produce_batch('produce_batch', ARRAY['k'], NULL::text[]);
SELECT produce_batch(NULL, ARRAY['a']);
SELECT produce_batch('no_such_topic', ARRAY['a']);
SELECT produce_batch('produce_batch', ARRAY['k'], ARRAY['a', 'b']);
SELECT produce_batch('produce_batch', ARRAY['k', 'k'], ARRAY['a']);
SELECT produce_batch('produce_batch', ARRAY[]::text[], ARRAY['a']);
SELECT produce_batch('produce_batch', NULL, ARRAY['a'], record_headers => '{}');
SELECT produce_batch('produce_batch', NULL, ARRAY['a'], record_times => ARRAY[now(), now()]);
SELECT produce_batch('produce_batch', ARRAY[['a', 'b'], ['c', 'd']]);
SELECT produce_batch('produce_batch', ARRAY[['k', 'l']], ARRAY[['a', 'b']]);
SELECT produce_batch('produce_batch', ARRAY[1, 2]);
SELECT produce_batch('produce_batch', ARRAY['k'], ARRAY[now()]);
SELECT produce_batch('produce_batch', ARRAY[true]);
SELECT produce_batch('produce_batch', ARRAY[1], ARRAY['a']);
SELECT produce_batch('produce_batch', 'no array');
SELECT produce_batch('produce_batch', NULL, ARRAY['a', 'b'], record_headers => ARRAY['{}', '1']::jsonb[]);
SELECT produce_batch('produce_batch', NULL, ARRAY['a', 'b'], record_times => ARRAY[now(), '-infinity']);
SELECT next_offset = :next_offset AS nothing_appended FROM partition_offsets('produce_batch');

-- produce_batch_bytea: the same with bytes as keys
SELECT create_topic('produce_batch_bytea', 1, '{"key.format": "bytea", "value.format": "bytea"}');
SELECT * FROM produce_batch_bytea('produce_batch_bytea', ARRAY['\x00', NULL, '']::bytea[], ARRAY['\x01', '\x02', NULL]::bytea[]);
SELECT * FROM produce_batch_bytea('produce_batch_bytea', NULL, ARRAY['\x03'::bytea]);
SELECT * FROM produce_batch_bytea('produce_batch_bytea', '{"\\x00"}', '{"\\x04"}', ARRAY['{"h": "1"}'::jsonb], 0, ARRAY['2024-01-01'::timestamptz], false);
SELECT * FROM produce_batch_bytea('produce_batch', ARRAY['text'::bytea], ARRAY['topic'::bytea]);
SELECT produce_batch_bytea('produce_batch_bytea', ARRAY['k'], ARRAY['text']);
SELECT produce_batch_bytea('produce_batch_bytea', ARRAY['\x00'::bytea], NULL);
SELECT produce_batch_bytea('produce_batch_bytea', ARRAY['\x00'::bytea], ARRAY[]::bytea[]);
SELECT _offset, key, value, headers FROM qtopic.produce_batch_bytea;

-- in the order given within each partition, one row for each run of offsets
SELECT produce_batch('produce_batch_spread', array_agg('key' || n % 10 ORDER BY n), array_agg(n::text ORDER BY n))
  FROM generate_series(1, 1000) AS n;
SELECT _partition, count(*), min(_offset), max(_offset), bool_and(in_order) FROM (
    SELECT _partition, _offset, coalesce(value::int > lag(value::int) OVER (PARTITION BY _partition ORDER BY _offset), true) AS in_order
      FROM qtopic.produce_batch_spread) AS s
 GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT value) FROM qtopic.produce_batch_spread;
SELECT bool_and(_partition = qtopic_internal.partition_for_key('murmur2', key::bytea, 4)) FROM qtopic.produce_batch_spread;
-- few full batches, not one for each record
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'produce_batch_spread' \gset
SELECT partition, count(*) FROM qtopic_internal.topic_:topic_id GROUP BY 1 ORDER BY 1;
-- records without key go together, others to the partition of their key
SELECT count(DISTINCT _partition), sum(record_count) FROM produce_batch('produce_batch_spread', ARRAY(SELECT n::text FROM generate_series(1, 100) AS n));
SELECT _partition, sum(record_count) FROM produce_batch('produce_batch_spread', array_fill(NULL::text, ARRAY[10]), array_fill('v'::text, ARRAY[10]), partition => 3) GROUP BY 1;
-- as many runs as there are partitions, though there are many batches
SELECT _partition, last_offset - base_offset + 1 = record_count AS dense, record_count
  FROM produce_batch('produce_batch_spread', ARRAY(SELECT 'k' || n FROM generate_series(1, 20000) AS n), array_fill(repeat('some value ', 10), ARRAY[20000]))
 ORDER BY 1;
SELECT count(*) FROM qtopic.produce_batch_spread WHERE value LIKE 'some value%';

-- values of very different sizes
SELECT create_topic('produce_batch_sizes');
SELECT string_agg(md5(n::text), '' ORDER BY n) AS large FROM generate_series(1, 3200) AS n \gset
SELECT * FROM produce_batch('produce_batch_sizes', ARRAY(SELECT CASE WHEN n % 50 = 0 THEN n || :'large' ELSE n || repeat('x', n) END FROM generate_series(1, 200) AS n ORDER BY n));
SELECT count(*), bool_and(value = CASE WHEN (_offset + 1) % 50 = 0 THEN _offset + 1 || :'large' ELSE _offset + 1 || repeat('x', _offset::int + 1) END)
  FROM qtopic.produce_batch_sizes;
\unset large

-- values that compress now well, now badly: batches turn out too large and are
-- cut where a record ends; what is cut off goes into the next one
SELECT create_topic('produce_batch_cut');
CREATE TEMP TABLE varied AS
SELECT n, (SELECT string_agg(CASE (n / 300 + i) % 4 WHEN 0 THEN md5((n * 17 + i)::text)
                                               WHEN 1 THEN repeat(chr(97 + i), n % 40)
                                               ELSE md5((n % (5 + n / 900))::text) END, '' ORDER BY i)
             FROM generate_series(1, 1 + n % 13) AS i) AS value
  FROM generate_series(0, 9999) AS n;
SELECT sum(record_count) FROM produce_batch('produce_batch_cut', ARRAY(SELECT value FROM varied ORDER BY n));
SELECT count(*), count(*) FILTER (WHERE r.value IS DISTINCT FROM v.value) AS wrong
  FROM varied AS v LEFT JOIN qtopic.produce_batch_cut AS r ON r._offset = v.n;
SELECT topic_id FROM qtopic_internal.topics WHERE name = 'produce_batch_cut' \gset
SELECT avg(octet_length(batch)) / 8116 BETWEEN 0.88 AND 1 AS full_pages FROM qtopic_internal.topic_:topic_id;

SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'produce\_batch%' ORDER BY topic;
