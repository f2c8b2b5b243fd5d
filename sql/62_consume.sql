-- code: reading in a consumer group.

CREATE FUNCTION consume(consumer_group text, topic text, max_records integer DEFAULT 500,
						max_wait interval DEFAULT '0', max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_partition integer, _offset bigint, _timestamp timestamptz,
				   key text, value text, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_consume';
COMMENT ON FUNCTION consume(text, text, integer, interval, integer) IS
	'Returns the records that the consumer group reads next, and moves its positions past them in this transaction: COMMIT keeps that, ROLLBACK gives them back.  Reads partitions that no other transaction of the group is reading; each in order.  At most max_records (> 0) and about max_bytes of keys, values and headers (> 0, but always one record); when there is none, waits up to max_wait (bounded by qtopic.max_wait), but not under REPEATABLE READ or in a transaction that has written.  A group that does not exist is made, to start at the earliest record.  With LIMIT, the position still moves past all that was read.  Needs SELECT on the topic''s relation and membership in the role of the group or the topic''s creator.  Errors: 40001 a position moved since the snapshot was taken, QT001 position out of range in a group that starts at "none", 25006, 42704, 42501, 22023, 22021 not valid text, 55000 the group has members (see join_group), in a cursor that is older than the savepoint, or at the COMMIT of a loop over it in PL/pgSQL; QT003 its last members are being removed.';

CREATE FUNCTION consume_bytea(consumer_group text, topic text, max_records integer DEFAULT 500,
							  max_wait interval DEFAULT '0', max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_partition integer, _offset bigint, _timestamp timestamptz,
				   key bytea, value bytea, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_consume_bytea';
COMMENT ON FUNCTION consume_bytea(text, text, integer, interval, integer) IS
	'The same as consume() with key and value as bytea.';

CREATE FUNCTION consume_jsonb(consumer_group text, topic text, max_records integer DEFAULT 500,
							  max_wait interval DEFAULT '0', max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_partition integer, _offset bigint, _timestamp timestamptz,
				   key text, value jsonb, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_consume_jsonb';
COMMENT ON FUNCTION consume_jsonb(text, text, integer, interval, integer) IS
	'The same as consume() with the value as jsonb; 22P02 if it is not valid.';

CREATE PROCEDURE wait_for_records(consumer_group text, topic text, max_wait interval,
								  INOUT ready boolean DEFAULT NULL)
	LANGUAGE C
	AS 'MODULE_PATHNAME', 'qtopic_wait_for_records';
COMMENT ON PROCEDURE wait_for_records(text, text, interval, boolean) IS
	'Waits up to max_wait until consume() would find records of the topic (NULL: of any topic of the group), and sets ready to whether it would.  While it waits it holds no snapshot, so that it may wait for long; where other snapshots are open (REPEATABLE READ, inside a function) qtopic.max_wait is its bound, and in a transaction that has written it does not wait.  In PL/pgSQL give a variable for ready.  Needs the rights of consume().  Errors: 55000 the group has members, 42704, 42501, 22023, 25006 on a standby.';
