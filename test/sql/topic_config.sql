--
-- Topic configuration: which keys there are, what they take, how they are
-- stored, and what is said about the rest.
--
-- A value is tried on one existing topic and reset again; the result is what
-- was stored, or the error in full.
--
CREATE FUNCTION pg_temp.try_config(changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before jsonb;
    stored jsonb;
    detail text;
    hint text;
BEGIN
    SELECT config INTO STRICT before FROM qtopic_topics WHERE topic = 'topic_config';
    PERFORM alter_topic('topic_config', config => changes);
    SELECT config INTO STRICT stored FROM qtopic_topics WHERE topic = 'topic_config';
    PERFORM alter_topic('topic_config', config =>
        (SELECT coalesce(jsonb_object_agg(key, before -> key), '{}') FROM jsonb_object_keys(changes) AS key));
    RETURN stored - ARRAY(SELECT jsonb_object_keys(before));
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END;
$$;

-- only what was set is stored, in one spelling
SELECT create_topic('topic_config', 1, '{
    "cleanup.policy": "delete , compact", "compression.type": "LZ4",
    "message.timestamp.type": "logappendtime", "retention.ms": "604800000",
    "segment.ms": 3600000.0, "min.cleanable.dirty.ratio": "0.25",
    "notify": "FALSE", "value.format": "jsonb"}'::jsonb);
SELECT topic, partitions, key_format, value_format, jsonb_pretty(config) AS config
  FROM qtopic_topics WHERE topic = 'topic_config';

-- changes are merged, null resets, nothing changes after an error
SELECT alter_topic('topic_config', config => '{
    "cleanup.policy": null, "compression.type": null, "message.timestamp.type": null,
    "segment.ms": null, "min.cleanable.dirty.ratio": null, "notify": null,
    "retention.ms": "-1", "delete.retention.ms": null}');
SELECT config FROM qtopic_topics WHERE topic = 'topic_config';
SELECT alter_topic('topic_config', config => '{"segment.ms": 5, "segment.bytes": 1}');
SELECT alter_topic('topic_config', config => '{}');
SELECT config FROM qtopic_topics WHERE topic = 'topic_config';

-- bounds, as number and as string
SELECT key, value, pg_temp.try_config(jsonb_build_object(key, value)) AS number,
       left(pg_temp.try_config(jsonb_build_object(key, value::text)), 5) AS string
  FROM (VALUES
        ('compression.lz4.level', 1::numeric, 17::numeric),
        ('compression.zstd.level', -131072, 22),
        ('delete.retention.ms', 0, 9223372036854775807),
        ('file.delete.delay.ms', 0, 9223372036854775807),
        ('max.compaction.lag.ms', 1, 9223372036854775807),
        ('max.message.bytes', 0, 134217728),
        ('message.timestamp.after.max.ms', 0, 9223372036854775807),
        ('message.timestamp.before.max.ms', 0, 9223372036854775807),
        ('min.cleanable.dirty.ratio', 0, 1),
        ('min.compaction.lag.ms', 0, 9223372036854775807),
        ('retention.bytes', -9223372036854775808, 9223372036854775807),
        ('retention.ms', -1, 9223372036854775807),
        ('segment.bytes', 1048576, 2147483647),
        ('segment.jitter.ms', 0, 9223372036854775807),
        ('segment.ms', 1, 9223372036854775807)) AS bounds (key, low, high),
       LATERAL (VALUES (1, low - 1), (2, low), (3, high), (4, high + 1)) AS tried (n, value)
 ORDER BY key COLLATE "C", n;

-- spellings of values
SELECT key, value, pg_temp.try_config(jsonb_build_object(key, value::jsonb))
  FROM (VALUES
        ('segment.ms', ARRAY['" 5 "', '"+5"', '5.0', '5.5', '"5.0"', '"5x"', '""', '"1e3"', '1e3', 'true', '{"a": 1}', '[1]',
                             '99999999999999999999']),
        ('min.cleanable.dirty.ratio', ARRAY['0.75', '"1e-3"', '-0.001', '1.001', '"nan"', '"inf"', '"half"', 'true']),
        ('notify', ARRAY['true', 'false', '"TRUE"', '"false"', '1', '"on"', 'null']),
        ('cleanup.policy', ARRAY['"delete"', '"compact"', '"compact,delete"', '"delete,compact"', '" Delete "', '""',
                                 '"compact,"', '"compact,compact"', '"purge"', 'true', '["compact"]']),
        ('compression.type', ARRAY['"producer"', '"uncompressed"', '"none"', '"lz4"', '"ZSTD"', '"gzip"', '"snappy"', '"brotli"', '3']),
        ('message.timestamp.type', ARRAY['"CreateTime"', '"LOGAPPENDTIME"', '"EventTime"']),
        ('partitioner', ARRAY['"murmur2"', '"crc32"', '"random"'])) AS tried (key, "values"),
       LATERAL unnest("values") WITH ORDINALITY AS one (value, n)
 ORDER BY key COLLATE "C", n;
SELECT pg_temp.try_config(jsonb_build_object('segment.ms', repeat('1', 100000)));
SELECT pg_temp.try_config('{"segment.ms": 1e100000}');

-- formats stay as they were created, said or not
SELECT pg_temp.try_config('{"value.format": "jsonb"}') AS same,
       pg_temp.try_config('{"key.format": null}') AS same_default;
SELECT changes, pg_temp.try_config(changes::jsonb)
  FROM (VALUES ('{"value.format": "text"}'), ('{"value.format": null}'), ('{"key.format": "bytea"}')) AS tried (changes);
SELECT create_topic('topic_config_bytea', 1, '{"key.format": "Text", "value.format": "bytea"}'::jsonb);
SELECT key_format, value_format, config FROM qtopic_topics WHERE topic = 'topic_config_bytea';
SELECT create_topic('topic_config_none', 1, '{"value.format": "json"}'::jsonb);

-- one key against another
SELECT pg_temp.try_config('{"min.compaction.lag.ms": 10, "max.compaction.lag.ms": 9}') AS above,
       pg_temp.try_config('{"min.compaction.lag.ms": 10, "max.compaction.lag.ms": 10}') AS equal;

-- keys that PostgreSQL makes needless, or that are not there yet
SELECT pg_temp.try_config(jsonb_build_object(key, 1))
  FROM unnest(ARRAY['compression.gzip.level', 'flush.messages', 'flush.ms', 'follower.replication.throttled.replicas',
                    'index.interval.bytes', 'leader.replication.throttled.replicas', 'local.retention.bytes',
                    'local.retention.ms', 'message.downconversion.enable', 'message.format.version',
                    'message.timestamp.difference.max.ms', 'min.insync.replicas', 'preallocate', 'remote.copy.lag.bytes',
                    'remote.copy.lag.ms', 'remote.log.copy.disable', 'remote.log.delete.on.disable',
                    'remote.storage.enable', 'segment.index.bytes', 'unclean.leader.election.enable'])
       WITH ORDINALITY AS tried (key, n)
 ORDER BY n;

-- mistyped keys
SELECT pg_temp.try_config(jsonb_build_object(key, NULL))
  FROM unnest(ARRAY['retension.ms', 'retention_ms', 'Retention.Ms', 'log.retention.ms', 'valueFormat', 'notfy',
                    'partitioner%s', 'color', 'x', '', repeat('x', 300)])
       WITH ORDINALITY AS tried (key, n)
 ORDER BY n;

-- not an object
SELECT changes, pg_temp.try_config(changes::jsonb)
  FROM (VALUES ('[]'), ('[{"retention.ms": 1}]'), ('null'), ('1'), ('"retention.ms"')) AS tried (changes);

-- errors of plain statements
SELECT create_topic('topic_config_none', 1, '{"retension.ms": 1}'::jsonb);
SELECT create_topic('topic_config_none', 1, '{"segment.bytes": 1}'::jsonb);
SELECT create_topic('topic_config_none', 1, '{"compression.type": "gzip"}'::jsonb);
SELECT create_topic('topic_config_none', 1, '{"min.insync.replicas": 2}'::jsonb);
SELECT alter_topic('topic_config', config => '{"value.format": "text"}');
SELECT count(*) FROM qtopic_topics WHERE topic = 'topic_config_none';
SELECT topic, config FROM qtopic_topics WHERE topic = 'topic_config';

SELECT drop_topic('topic_config');
SELECT drop_topic('topic_config_bytea');
