-- code: reading without a group.

CREATE FUNCTION fetch_records(topic text, partition integer, from_offset bigint,
							  max_records integer DEFAULT 500, max_wait interval DEFAULT '0',
							  max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_partition integer, _offset bigint, _timestamp timestamptz,
				   key text, value text, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_fetch_records';
COMMENT ON FUNCTION fetch_records(text, integer, bigint, integer, interval, integer) IS
	'Returns stable records of a partition from a position on, in offset order.  A position is the offset of the last record read plus one.  At most max_records (> 0) and about max_bytes of keys, values and headers (> 0, but always one record); when there is none, waits up to max_wait (bounded by qtopic.max_wait).  Sees the latest commits under READ COMMITTED; does not wait under REPEATABLE READ.  No side effects; allowed on a standby.  Needs SELECT on the topic''s relation.  Errors: QT001 position below the log start or above the next offset, 42704, 22023, 42501, 22021 not valid text.';

CREATE FUNCTION fetch_records_bytea(topic text, partition integer, from_offset bigint,
									max_records integer DEFAULT 500, max_wait interval DEFAULT '0',
									max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_partition integer, _offset bigint, _timestamp timestamptz,
				   key bytea, value bytea, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_fetch_records_bytea';
COMMENT ON FUNCTION fetch_records_bytea(text, integer, bigint, integer, interval, integer) IS
	'The same as fetch_records() with key and value as bytea.';

CREATE FUNCTION offset_for_time(topic text, partition integer, at timestamptz)
	RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_offset_for_time';
COMMENT ON FUNCTION offset_for_time(text, integer, timestamptz) IS
	'Returns the lowest offset of a stable record whose timestamp is not before the given time, or NULL if there is none, as Kafka''s offsetsForTimes.  Looks at the header of every batch.  Needs SELECT on the topic''s relation.  Errors: 42704, 22023, 42501.';
