-- code: topics.

CREATE FUNCTION create_topic(topic text, partitions integer DEFAULT 1, config jsonb DEFAULT '{}')
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_create_topic';
COMMENT ON FUNCTION create_topic(text, integer, jsonb) IS
	'Creates a topic and its relation in schema qtopic.  The name follows Kafka''s rules (1 to 249 of A-Z a-z 0-9 . _ -); 1 to 1000 partitions in one call; config has Kafka''s keys plus key.format, value.format, partitioner and notify.  Needs CREATE on schema qtopic.  Errors: 42710 topic exists, 22023 bad name, number or configuration, 42501.';

CREATE FUNCTION alter_topic(topic text, partitions integer DEFAULT NULL, config jsonb DEFAULT NULL)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_alter_topic';
COMMENT ON FUNCTION alter_topic(text, integer, jsonb) IS
	'Adds partitions to a topic (their number can only grow, by at most 1000 in one call; keys then map to other partitions) and merges configuration (null resets a key; formats cannot change).  For members of the topic''s creator.  Errors: 42704, 22023, 42501.';

CREATE FUNCTION drop_topic(topic text, if_exists boolean DEFAULT false)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_drop_topic';
COMMENT ON FUNCTION drop_topic(text, boolean) IS
	'Drops a topic with its relation and all its records.  Waits for transactions that have produced to it.  For members of the topic''s creator.  Errors: 42704 unless if_exists, 42501, 2BP01 if a view uses the relation.';

CREATE FUNCTION delete_records(topic text, partition integer, before_offset bigint)
	RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_delete_records';
COMMENT ON FUNCTION delete_records(text, integer, bigint) IS
	'Deletes the records of a partition below an offset, at most the last stable offset (-1: all up to there), by moving the log start offset, which it returns; a lower offset changes nothing.  Readers see it when the transaction commits.  The space is not freed by the call.  For members of the topic''s creator.  Errors: 42704, 22023 no such partition, QT001 offset out of range, 55000 topic is only compacted, 42501.';

CREATE FUNCTION partition_offsets(topic text)
	RETURNS TABLE (_partition integer, log_start_offset bigint, last_stable_offset bigint, next_offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_partition_offsets';
COMMENT ON FUNCTION partition_offsets(text) IS
	'For each partition: the lowest offset that can be read, the offset at which a reader stops now, and the offset of the next record (on a standby up to a chunk ahead).  Needs SELECT on the topic''s relation.  Errors: 42704, 42501.';

CREATE FUNCTION qtopic_internal.partition_states(topic text)
	RETURNS TABLE (partition integer, log_start_offset bigint, last_stable_offset bigint, next_offset bigint,
				   segments integer, blocked_by xid, blocked_by_pid integer, blocked_since timestamptz)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_partition_states';
COMMENT ON FUNCTION qtopic_internal.partition_states(text) IS
	'For the view qtopic_partitions; empty for a topic that is gone or may not be read.';
