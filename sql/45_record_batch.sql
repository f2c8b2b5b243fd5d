-- code: record batches and partitioners, for tests and for looking at what is
-- stored.

CREATE FUNCTION qtopic_internal.record_batch_decode(
	batch bytea, check_crc boolean DEFAULT true,
	OUT _offset bigint, OUT _timestamp timestamptz,
	OUT key bytea, OUT value bytea, OUT headers jsonb
) RETURNS SETOF record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 100
AS 'MODULE_PATHNAME', 'qtopic_record_batch_decode';
COMMENT ON FUNCTION qtopic_internal.record_batch_decode(bytea, boolean) IS
	'The records of a record batch (Kafka''s format, magic 2).  A time that timestamptz cannot hold is infinite.';

CREATE FUNCTION qtopic_internal.record_batch_header(
	batch bytea,
	OUT base_offset bigint, OUT batch_length integer, OUT leader_epoch integer,
	OUT magic integer, OUT crc bigint, OUT attributes integer, OUT codec text,
	OUT last_offset_delta integer,
	OUT base_timestamp timestamptz, OUT max_timestamp timestamptz,
	OUT producer_id bigint, OUT producer_epoch integer,
	OUT base_sequence integer, OUT record_count integer,
	OUT log_append_time boolean
) RETURNS record
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'qtopic_record_batch_header';
COMMENT ON FUNCTION qtopic_internal.record_batch_header(bytea) IS
	'The header of a record batch; codec and log_append_time are bits of its attributes.  The CRC is not checked.';

CREATE FUNCTION qtopic_internal.record_batch_encode(
	codec text, record_times timestamptz[],
	record_keys bytea[], record_values bytea[],
	record_headers jsonb[] DEFAULT NULL,
	base_offset bigint DEFAULT 0, leader_epoch integer DEFAULT 0
) RETURNS bytea
LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'qtopic_record_batch_encode';
COMMENT ON FUNCTION qtopic_internal.record_batch_encode(text, timestamptz[], bytea[], bytea[], jsonb[], bigint, integer) IS
	'A record batch of these records.  Compressed bytes depend on the version of the codec''s library.';

CREATE FUNCTION qtopic_internal.murmur2(key bytea) RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'qtopic_murmur2';
COMMENT ON FUNCTION qtopic_internal.murmur2(bytea) IS
	'Hash of a key as Kafka''s Java client computes it.';

CREATE FUNCTION qtopic_internal.crc32(key bytea) RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'qtopic_crc32';
COMMENT ON FUNCTION qtopic_internal.crc32(bytea) IS
	'Hash of a key as librdkafka computes it: CRC-32 as in zlib.';

CREATE FUNCTION qtopic_internal.partition_for_key(
	partitioner text, key bytea, partitions integer
) RETURNS integer
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'qtopic_partition_for_key';
COMMENT ON FUNCTION qtopic_internal.partition_for_key(text, bytea, integer) IS
	'Partition of a key; the partitioner is murmur2 or crc32.';

REVOKE ALL ON FUNCTION qtopic_internal.record_batch_decode(bytea, boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION qtopic_internal.record_batch_header(bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION qtopic_internal.record_batch_encode(text, timestamptz[], bytea[], bytea[], jsonb[], bigint, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION qtopic_internal.murmur2(bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION qtopic_internal.crc32(bytea) FROM PUBLIC;
REVOKE ALL ON FUNCTION qtopic_internal.partition_for_key(text, bytea, integer) FROM PUBLIC;
