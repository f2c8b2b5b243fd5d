--
-- produce(), produce_batch(), produce_batch_bytea(): every form, every type of
-- key and value, and what they refuse.
--
-- Seen to fail: mutants keys_of_any_type, padded_key, jsonb_not_checked,
-- text_into_bytea, time_rounds_to_zero, append_time_ignored, time_not_bounded,
-- sticky_for_ever; and with TOAST pointers taken for batches.
--
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET bytea_output = 'hex';

SELECT create_topic('produce_forms');
SELECT create_topic('produce_forms_keys');
SELECT create_topic('produce_forms_spread', 8);
SELECT create_topic('produce_forms_jsonb', 1, '{"value.format": "jsonb"}');
SELECT create_topic('produce_forms_jsonb_key', 1, '{"key.format": "jsonb"}');
SELECT create_topic('produce_forms_bytea', 1, '{"key.format": "bytea", "value.format": "bytea"}');

-- forms without a key, one for each type of value
SELECT * FROM produce('produce_forms', 'unknown');
SELECT produce('produce_forms', 'text'::text);
SELECT produce('produce_forms', 'varchar'::varchar);
SELECT produce('produce_forms', 'name'::name);
SELECT produce('produce_forms', '{"json" :  1}'::json);
SELECT produce('produce_forms', '{"jsonb" :  1}'::jsonb);
SELECT produce('produce_forms', 'bytea'::bytea);
SELECT produce('produce_forms', NULL);
SELECT produce(topic => 'produce_forms', value => 'named');
SELECT produce('produce_forms', row_to_json(x)) FROM (VALUES (1, 'row_to_json')) AS x (id, name);
SELECT produce('produce_forms', 42);
SELECT produce('produce_forms', now());
SELECT produce('produce_forms');
-- and with one
SELECT produce('produce_forms', 'k1', 'unknown');
SELECT produce('produce_forms', 'k2', '{"json" :  1}'::json);
SELECT produce('produce_forms', 'k3', '{"jsonb" :  1}'::jsonb);
SELECT produce('produce_forms', 'k4', 'bytea'::bytea);
SELECT produce('produce_forms', 'tombstone', NULL);
SELECT produce('produce_forms', NULL, NULL);
SELECT produce('produce_forms', '', '');
SELECT produce(topic => 'produce_forms', key => 'named', value => 'named');
SELECT produce('produce_forms', value => 'named, other order', key => 7);
SELECT produce('produce_forms', 'all', 'arguments', '{"h": "1"}', 0, '2024-02-29 12:00:00.123456+00', false);
SELECT produce('produce_forms', 'all NULL', 'arguments', NULL, NULL, NULL, NULL);
SELECT _offset, key, value, headers FROM qtopic.produce_forms;
SELECT _timestamp FROM qtopic.produce_forms WHERE key = 'all';
SELECT count(*) FROM qtopic.produce_forms WHERE _timestamp BETWEEN now() - interval '1 hour' AND clock_timestamp();

-- types of keys: what is hashed and stored is the text
CREATE DOMAIN produce_forms_domain AS text;
CREATE TYPE produce_forms_enum AS ENUM ('a');
SELECT produce('produce_forms_keys', 42::smallint, 'int2'), produce('produce_forms_keys', 42, 'int4'), produce('produce_forms_keys', 42::bigint, 'int8');
SELECT produce('produce_forms_keys', (-32768)::smallint, 'int2'), produce('produce_forms_keys', -2147483648, 'int4'), produce('produce_forms_keys', (-9223372036854775808), 'int8');
SELECT produce('produce_forms_keys', 42.50, 'numeric');
SELECT produce('produce_forms_keys', 'NaN'::numeric, 'numeric');
SELECT produce('produce_forms_keys', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid, 'uuid');
SELECT produce('produce_forms_keys', 'vc '::varchar(10), 'varchar');
SELECT produce('produce_forms_keys', 'b'::char(3), 'char');
SELECT produce('produce_forms_keys', ''::char(3), 'char');
SELECT produce('produce_forms_keys', 'n'::name, 'name');
SELECT produce('produce_forms_keys', 'c'::"char", '"char"');
SELECT produce('produce_forms_keys', '\x6b00ff'::bytea, 'bytea');
SELECT produce('produce_forms_keys', 'd'::produce_forms_domain, 'domain');
SELECT produce('produce_forms_keys', 'grün', 'unknown');
SELECT _offset, key, value FROM fetch_records_bytea('produce_forms_keys', 0, 0, 16);
SELECT convert_from(value, 'UTF8') AS type, key, encode(key, 'escape') AS text FROM fetch_records_bytea('produce_forms_keys', 0, 0);
-- the same text goes to the same partition whatever its type
SELECT count(DISTINCT _partition) FROM (
    SELECT (produce('produce_forms_spread', n, 'v'))._partition, n FROM generate_series(1, 20) AS n UNION ALL
    SELECT (produce('produce_forms_spread', n::bigint, 'v'))._partition, n FROM generate_series(1, 20) AS n UNION ALL
    SELECT (produce('produce_forms_spread', n::numeric, 'v'))._partition, n FROM generate_series(1, 20) AS n UNION ALL
    SELECT (produce('produce_forms_spread', n::text, 'v'))._partition, n FROM generate_series(1, 20) AS n UNION ALL
    SELECT (produce('produce_forms_spread', n::text::char(9), 'v'))._partition, n FROM generate_series(1, 20) AS n UNION ALL
    SELECT (produce('produce_forms_spread', n::text::bytea, 'v'))._partition, n FROM generate_series(1, 20) AS n) AS p
 GROUP BY n HAVING count(DISTINCT _partition) <> 1;
SELECT _partition, count(*), string_agg(DISTINCT key, ' ' ORDER BY key) FROM qtopic.produce_forms_spread GROUP BY 1 ORDER BY 1;
SELECT bool_and(_partition = qtopic_internal.partition_for_key('murmur2', key::bytea, 8)) FROM qtopic.produce_forms_spread;
-- others are refused
SELECT produce('produce_forms_keys', now(), 'v');
SELECT produce('produce_forms_keys', current_date, 'v');
SELECT produce('produce_forms_keys', true, 'v');
SELECT produce('produce_forms_keys', 1::float8, 'v');
SELECT produce('produce_forms_keys', 1::real, 'v');
SELECT produce('produce_forms_keys', '{}'::jsonb, 'v');
SELECT produce('produce_forms_keys', '{}'::json, 'v');
SELECT produce('produce_forms_keys', ARRAY['a'], 'v');
SELECT produce('produce_forms_keys', ROW(1), 'v');
SELECT produce('produce_forms_keys', interval '1 day', 'v');
SELECT produce('produce_forms_keys', '127.0.0.1'::inet, 'v');
SELECT produce('produce_forms_keys', 'a'::produce_forms_enum, 'v');
SELECT produce('produce_forms_keys', 'pg_class'::regclass, 'v');
SELECT produce('produce_forms_keys', NULL::timestamptz, 'NULL of a type that is refused');
SELECT produce('produce_forms_keys', now()::text, 'v') IS NOT NULL AS cast_to_text;

-- values of other types
SELECT produce('produce_forms', 'k', 42);
SELECT produce('produce_forms', 'k', now());
SELECT produce('produce_forms', 'k', ARRAY['a']);
SELECT produce('produce_forms', 'k', 'n'::name);

-- without a key: one partition until 16 kB, then another draw; whole batches
-- (the chance that 60 draws of 8 hit fewer than 3 is below 1e-30)
SELECT count(DISTINCT (produce('produce_forms_spread', 'sticky'))._partition) FROM generate_series(1, 100);
SELECT count(DISTINCT (produce('produce_forms_spread', repeat('s', 16384)))._partition) > 2 AS moved FROM generate_series(1, 60);
SELECT count(DISTINCT _partition) > 2 AS moved, sum(record_count)
  FROM produce_batch('produce_forms_spread', ARRAY(SELECT string_agg(md5(n || ' ' || m), '') FROM generate_series(1, 600) AS n, generate_series(1, 64) AS m GROUP BY n));

-- an explicit partition
SELECT _partition FROM produce('produce_forms_spread', 'k', 'v', partition => 7);
SELECT _partition FROM produce('produce_forms_spread', NULL, 'v', partition => 0);
SELECT produce('produce_forms_spread', 'k', 'v', partition => 8);
SELECT produce('produce_forms_spread', 'k', 'v', partition => -1);
SELECT produce('produce_forms_spread', 'k', 'v', partition => 2147483647);
SELECT produce('produce_forms', 'k', 'v', partition => 1);
SELECT produce_batch('produce_forms_spread', ARRAY['k'], ARRAY['v'], partition => 8);
SELECT produce_batch('produce_forms_spread', ARRAY['k'], ARRAY['v'], partition => -1);
SELECT produce_batch('produce_forms_spread', ARRAY[]::text[], ARRAY[]::text[], partition => 8);

-- headers
SELECT create_topic('produce_forms_headers');
SELECT produce('produce_forms_headers', NULL, 'object', '{"b": "text", "a": "", "number": 1.50, "bool": true, "null": null, "grün": "ß"}');
SELECT produce('produce_forms_headers', NULL, 'empty object', '{}');
SELECT produce('produce_forms_headers', NULL, 'empty array', '[]');
SELECT produce('produce_forms_headers', NULL, 'json null', 'null');
SELECT produce('produce_forms_headers', NULL, 'array', '[{"key": "a", "value": "1"}, {"key": "b", "value": null}]');
SELECT produce('produce_forms_headers', NULL, 'duplicates', '[{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]');
SELECT produce('produce_forms_headers', NULL, 'bytes', '[{"key": "a", "value_base64": "AP8="}, {"key": "", "value": ""}]');
SELECT produce('produce_forms_headers', NULL, 'base64 of text', '[{"key": "a", "value_base64": "dGV4dA=="}]');
SELECT produce('produce_forms_headers', NULL, 'string', '"a"');
SELECT produce('produce_forms_headers', NULL, 'number', '1');
SELECT produce('produce_forms_headers', NULL, 'nested', '{"a": {"b": 1}}');
SELECT produce('produce_forms_headers', NULL, 'nested', '{"a": ["b"]}');
SELECT produce('produce_forms_headers', NULL, 'pairs', '[["a", "1"]]');
SELECT produce('produce_forms_headers', NULL, 'strings', '["a"]');
SELECT produce('produce_forms_headers', NULL, 'no key', '[{"value": "1"}]');
SELECT produce('produce_forms_headers', NULL, 'number as key', '[{"key": 1, "value": "1"}]');
SELECT produce('produce_forms_headers', NULL, 'no value', '[{"key": "a"}]');
SELECT produce('produce_forms_headers', NULL, 'two values', '[{"key": "a", "value": "1", "value_base64": "AA=="}]');
SELECT produce('produce_forms_headers', NULL, 'other member', '[{"key": "a", "val": "1"}]');
SELECT produce('produce_forms_headers', NULL, 'not base64', '[{"key": "a", "value_base64": "%%"}]');
SELECT produce('produce_forms_headers', NULL, 'number as base64', '[{"key": "a", "value_base64": 1}]');
SELECT produce('produce_forms_headers', NULL, 'not json', 'a: 1');
SELECT _offset, value, headers FROM qtopic.produce_forms_headers;

-- times of one's own, in whole milliseconds
SELECT create_topic('produce_forms_time');
SELECT produce('produce_forms_time', NULL, t::text, record_time => t)
  FROM unnest(ARRAY['2024-02-29 12:00:00.123999', '1970-01-01', '1969-12-31 23:59:59.999999', '1960-01-01 00:00:00.0001',
                    '4713-01-01 BC', '1999-12-31 23:59:59.9999']::timestamptz[]) AS t;
SELECT produce('produce_forms_time', NULL, 'timestamp', record_time => '2024-01-01'::timestamp);
SELECT produce('produce_forms_time', NULL, 'date', record_time => '2024-01-01'::date);
SELECT _offset, value, _timestamp FROM qtopic.produce_forms_time;
SELECT produce('produce_forms_time', NULL, 'v', record_time => 'infinity');
SELECT produce('produce_forms_time', NULL, 'v', record_time => '-infinity');
SELECT produce_batch('produce_forms_time', NULL, ARRAY['v'], record_times => ARRAY['infinity'::timestamptz]);
-- an hour ahead is allowed by default, two are not
SELECT produce('produce_forms_time', NULL, 'v', record_time => clock_timestamp() + interval '59 min') IS NOT NULL AS ok;
\set VERBOSITY terse
SELECT produce('produce_forms_time', NULL, 'v', record_time => clock_timestamp() + interval '2 hours');
SELECT alter_topic('produce_forms_time', config => '{"message.timestamp.before.max.ms": 1000, "message.timestamp.after.max.ms": 7200000}');
SELECT produce('produce_forms_time', NULL, 'v', record_time => clock_timestamp() + interval '100 min') IS NOT NULL AS ok;
SELECT produce('produce_forms_time', NULL, 'v', record_time => clock_timestamp() - interval '2 seconds');
SELECT produce('produce_forms_time', NULL, 'v', record_time => clock_timestamp()) IS NOT NULL AS ok;
SELECT produce_batch('produce_forms_time', NULL, ARRAY['v', 'w'], record_times => ARRAY[NULL, '2000-01-01'::timestamptz]);
\set VERBOSITY default
-- the clock of the append
SELECT alter_topic('produce_forms_time', config => '{"message.timestamp.type": "LogAppendTime"}');
SELECT produce('produce_forms_time', NULL, 'append', record_time => '2000-01-01') IS NOT NULL AS ok;
SELECT produce_batch('produce_forms_time', NULL, ARRAY['append'], record_times => ARRAY['infinity'::timestamptz]) IS NOT NULL AS ok;
SELECT count(*), bool_and(_timestamp > now() - interval '1 minute') FROM qtopic.produce_forms_time WHERE value = 'append';
-- and not the transaction's start
BEGIN;
SELECT produce('produce_forms', 'clock', 'v') IS NOT NULL AS ok FROM pg_sleep(0.01);
COMMIT;
SELECT count(*) FROM qtopic.produce_forms WHERE key = 'clock';

-- sizes; the limit holds for the batch as it is stored
SELECT create_topic('produce_forms_size', 1, '{"max.message.bytes": 1000}');
SELECT produce('produce_forms_size', string_agg(md5(n::text), '' ORDER BY n)) FROM generate_series(1, 28) AS n;
SELECT produce('produce_forms_size', string_agg(md5(n::text), '' ORDER BY n)) FROM generate_series(1, 30) AS n;
SELECT produce('produce_forms_size', repeat('compressible ', 10000));
SELECT produce_batch('produce_forms_size', ARRAY['fits', (SELECT string_agg(md5(n::text), '' ORDER BY n) FROM generate_series(1, 100) AS n)]);
SELECT alter_topic('produce_forms_size', config => '{"compression.type": "uncompressed"}');
SELECT produce('produce_forms_size', repeat('compressible ', 10000));
SELECT produce('produce_forms_size', 'k', NULL, (SELECT jsonb_object_agg(n, 'header') FROM generate_series(1, 100) AS n));
SELECT _offset, length(value), left(value, 20) FROM qtopic.produce_forms_size;
-- a megabyte that does not compress goes to TOAST and comes back
SELECT create_topic('produce_forms_large');
SELECT string_agg(md5(n::text), '' ORDER BY n) AS large FROM generate_series(1, 32700) AS n \gset
SELECT produce('produce_forms_large', :'large');
SELECT produce('produce_forms_large', :'large', 'large key');
SELECT produce_batch('produce_forms_large', ARRAY['before', :'large', 'after']);
SELECT _offset, length(key) AS key, length(value) AS value, coalesce(key, value) = :'large' AS equal FROM qtopic.produce_forms_large;
\unset large

-- a jsonb topic takes valid jsonb of any type, and keeps its spelling
SELECT produce('produce_forms_jsonb', '{"text" :  1}');
SELECT produce('produce_forms_jsonb', 'k', '{"json" :  1, "json": 2}'::json);
SELECT produce('produce_forms_jsonb', 'k', '{"jsonb" :  1}'::jsonb);
SELECT produce('produce_forms_jsonb', 'k', '{"bytea" :  1}'::bytea);
SELECT produce('produce_forms_jsonb', 'k', NULL);
SELECT produce('produce_forms_jsonb', 'k', 'null');
SELECT produce('produce_forms_jsonb', '');
SELECT produce('produce_forms_jsonb', '{"a": ');
SELECT produce('produce_forms_jsonb', 'k', 'text');
SELECT produce('produce_forms_jsonb', 'k', '\xff'::bytea);
SELECT produce('produce_forms_jsonb', 'k', '{"a": "\u0000"}');
SELECT produce('produce_forms_jsonb', 'k', '{"a": "\u0000"}'::json);
SELECT produce('produce_forms_jsonb', 'k', convert_to('{"a": 1}', 'UTF8') || '\x00'::bytea);
SELECT produce_batch('produce_forms_jsonb', ARRAY['{}', '{', '[]']);
SELECT produce('produce_forms_jsonb_key', '{"k": 1}', 'v');
SELECT produce('produce_forms_jsonb_key', 42, 'v');
SELECT produce('produce_forms_jsonb_key', 'k', 'v');
SELECT produce('produce_forms_jsonb_key', 'NaN'::numeric, 'v');
SELECT produce('produce_forms_jsonb_key', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid, 'v');
SELECT _offset, value FROM qtopic.produce_forms_jsonb;
SELECT _offset, value FROM fetch_records('produce_forms_jsonb', 0, 0);
SELECT _offset, key FROM qtopic.produce_forms_jsonb_key;

-- a bytea topic takes bytea only
SELECT produce('produce_forms_bytea', '\x00ff'::bytea);
SELECT produce('produce_forms_bytea', '\x00'::bytea, '\xff'::bytea);
SELECT produce('produce_forms_bytea', NULL, '\xff'::bytea);
SELECT produce('produce_forms_bytea', 'text');
SELECT produce('produce_forms_bytea', '{}'::json);
SELECT produce('produce_forms_bytea', '{}'::jsonb);
SELECT produce('produce_forms_bytea', 'k', '\xff'::bytea);
SELECT produce('produce_forms_bytea', 42, '\xff'::bytea);
SELECT produce('produce_forms_bytea', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '\xff'::bytea);
SELECT produce('produce_forms_bytea', '\x00'::bytea, NULL);
SELECT produce_batch('produce_forms_bytea', ARRAY['text']);
SELECT produce_batch('produce_forms_bytea', ARRAY['k'], ARRAY['\xff'::bytea]);
SELECT produce_batch('produce_forms_bytea', ARRAY['\xff'::bytea, NULL]);
SELECT produce_batch_bytea('produce_forms_bytea', ARRAY['\x00'::bytea, NULL], ARRAY['\x01'::bytea, '\x02'::bytea]);
SELECT produce_batch_bytea('produce_forms_bytea', '{"\\x00"}', '{"\\x01"}');
SELECT _offset, key, value FROM qtopic.produce_forms_bytea;

DROP DOMAIN produce_forms_domain;
DROP TYPE produce_forms_enum;
SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'produce\_forms%' ORDER BY topic;
