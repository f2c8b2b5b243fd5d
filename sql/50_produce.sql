-- code: producing.

CREATE FUNCTION produce(topic text, value text, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_text';
COMMENT ON FUNCTION produce(text, text) IS
	'Appends a record without key and returns where it is; see the form with a key.';

CREATE FUNCTION produce(topic text, value json, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_json';
COMMENT ON FUNCTION produce(text, json) IS
	'Appends a record without key and returns where it is; see the form with a key.';

CREATE FUNCTION produce(topic text, value jsonb, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_jsonb';
COMMENT ON FUNCTION produce(text, jsonb) IS
	'Appends a record without key and returns where it is; see the form with a key.';

CREATE FUNCTION produce(topic text, value bytea, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_bytea';
COMMENT ON FUNCTION produce(text, bytea) IS
	'Appends a record without key and returns where it is; see the form with a key.';

CREATE FUNCTION produce(topic text, key anycompatible, value text, headers jsonb DEFAULT NULL,
						partition integer DEFAULT NULL, record_time timestamptz DEFAULT NULL,
						deferred boolean DEFAULT NULL, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_text';
COMMENT ON FUNCTION produce(text, anycompatible, text, jsonb, integer, timestamptz, boolean) IS
	'Appends a record and returns where it is.  It becomes readable when the transaction commits.  key: string, bytea, integer, numeric or uuid; NULL: any partition.  value NULL: a tombstone.  headers: object, or array of {"key", "value" | "value_base64"}.  record_time: truncated to ms, default the clock.  deferred: append at the end of the transaction, _offset is then NULL (default: qtopic.produce_mode).  (produce(...)).* calls it twice; use SELECT * FROM produce(...).  Needs INSERT on the topic''s relation.  Errors: 42704, 42501, 22023 partition or time out of range, 42804 type, 54000 larger than max.message.bytes, 25006 read-only.';

CREATE FUNCTION produce(topic text, key anycompatible, value json, headers jsonb DEFAULT NULL,
						partition integer DEFAULT NULL, record_time timestamptz DEFAULT NULL,
						deferred boolean DEFAULT NULL, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_json';
COMMENT ON FUNCTION produce(text, anycompatible, json, jsonb, integer, timestamptz, boolean) IS
	'Appends a record with the text of a json value; see the form with a text value.';

CREATE FUNCTION produce(topic text, key anycompatible, value jsonb, headers jsonb DEFAULT NULL,
						partition integer DEFAULT NULL, record_time timestamptz DEFAULT NULL,
						deferred boolean DEFAULT NULL, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_jsonb';
COMMENT ON FUNCTION produce(text, anycompatible, jsonb, jsonb, integer, timestamptz, boolean) IS
	'Appends a record with the text of a jsonb value; see the form with a text value.';

CREATE FUNCTION produce(topic text, key anycompatible, value bytea, headers jsonb DEFAULT NULL,
						partition integer DEFAULT NULL, record_time timestamptz DEFAULT NULL,
						deferred boolean DEFAULT NULL, OUT _partition integer, OUT _offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_produce_bytea';
COMMENT ON FUNCTION produce(text, anycompatible, bytea, jsonb, integer, timestamptz, boolean) IS
	'Appends a record with the bytes given; see the form with a text value.';

CREATE FUNCTION produce_batch(topic text, record_values anycompatiblearray)
	RETURNS TABLE (_partition integer, base_offset bigint, last_offset bigint, record_count integer)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_produce_batch';
COMMENT ON FUNCTION produce_batch(text, anycompatiblearray) IS
	'Appends records without keys; see the form with keys.';

CREATE FUNCTION produce_batch(topic text, record_keys text[], record_values anycompatiblearray,
							  record_headers jsonb[] DEFAULT NULL, partition integer DEFAULT NULL,
							  record_times timestamptz[] DEFAULT NULL, deferred boolean DEFAULT NULL)
	RETURNS TABLE (_partition integer, base_offset bigint, last_offset bigint, record_count integer)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_produce_batch';
COMMENT ON FUNCTION produce_batch(text, text[], anycompatiblearray, jsonb[], integer, timestamptz[], boolean) IS
	'Appends records as few full batches, in the order given within each partition, and returns a row for each run of consecutive offsets (NULL offsets when deferred).  Arrays have one dimension and the same length; record_keys, record_headers and record_times, or their elements, may be NULL.  record_values: text[], json[], jsonb[] or bytea[].  Records without key fill a record batch in one partition, then one in another.  Errors as for produce(), and 22023 for lengths, 22004 for record_values NULL.';

CREATE FUNCTION produce_batch_bytea(topic text, record_keys bytea[], record_values bytea[],
									record_headers jsonb[] DEFAULT NULL, partition integer DEFAULT NULL,
									record_times timestamptz[] DEFAULT NULL, deferred boolean DEFAULT NULL)
	RETURNS TABLE (_partition integer, base_offset bigint, last_offset bigint, record_count integer)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_produce_batch';
COMMENT ON FUNCTION produce_batch_bytea(text, bytea[], bytea[], jsonb[], integer, timestamptz[], boolean) IS
	'The same as produce_batch() with keys and values as bytea.';
