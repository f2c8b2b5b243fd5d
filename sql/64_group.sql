-- code: consumer groups.

CREATE FUNCTION create_group(consumer_group text, topic text, start_at text DEFAULT 'earliest',
							 start_time timestamptz DEFAULT NULL)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_create_group';
COMMENT ON FUNCTION create_group(text, text, text, timestamptz) IS
	'Makes a consumer group read a topic; the group is made if it does not exist, and belongs to the current user.  It starts at the earliest record, at the latest (what is committed from now on), at start_time (records with that timestamp or later), or, with "none", nowhere before reset_offsets().  The same applies when a position is out of range.  Partitions that are added later are read from their beginning.  Needs SELECT on the topic''s relation.  Errors: 42710 the group reads the topic already, 55P03 or QT003 somebody else is creating or changing the group, 42704, 42501, 22023.';

CREATE FUNCTION delete_group(consumer_group text)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_delete_group';
COMMENT ON FUNCTION delete_group(text) IS
	'Deletes a consumer group and its positions.  For members of the role that owns it.  Errors: 55000 it has members, QT003 if it is in use for longer than a second, or a former member is about to commit, 42704, 42501.';

CREATE FUNCTION delete_offsets(consumer_group text, topic text, partition integer DEFAULT NULL)
	RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_delete_offsets';
COMMENT ON FUNCTION delete_offsets(text, text, integer) IS
	'Forgets a group''s position in one partition of a topic (NULL: in all), so that it starts there as create_group() said; returns how many were forgotten.  For members of the role that owns the group or created the topic.  Errors: 55000 the group has members, QT003 if it is in use for longer than a second, or a former member is about to commit, 42704, 42501, 22023.';

CREATE FUNCTION reset_offsets(consumer_group text, topic text, to_position text DEFAULT NULL,
							  partition integer DEFAULT NULL, to_offset bigint DEFAULT NULL,
							  to_time timestamptz DEFAULT NULL, shift_by bigint DEFAULT NULL,
							  dry_run boolean DEFAULT false)
	RETURNS TABLE (_partition integer, old_offset bigint, new_offset bigint)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
	AS 'MODULE_PATHNAME', 'qtopic_reset_offsets';
COMMENT ON FUNCTION reset_offsets(text, text, text, integer, bigint, timestamptz, bigint, boolean) IS
	'Moves a group''s positions in one partition of a topic (NULL: in all), as kafka-consumer-groups --reset-offsets, and returns them.  Exactly one of: to_position earliest, latest (the last stable offset) or current (the position, brought into the log), to_offset, to_time (the first record with that timestamp or later, or latest), shift_by.  A value outside of the log is brought into it, with a warning.  Waits for transactions that consume in the partitions; dry_run changes and waits for nothing.  A group that does not exist is made.  For members of the role that owns the group or created the topic.  Errors: 55000 the group has members (not with dry_run), QT003 the group is being changed, 42704, 42501, 22023.';

CREATE FUNCTION qtopic_internal.group_positions()
	RETURNS TABLE (consumer_group text, topic text, partition integer, gt_id integer,
				   current_offset bigint, next_timestamp timestamptz, rollbacks integer)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'qtopic_group_positions';
COMMENT ON FUNCTION qtopic_internal.group_positions() IS
	'For the view qtopic_group_lag: positions that the current user may see, and the timestamp of the next record that can be read.';

CREATE FUNCTION qtopic_internal.group_last_seen(group_id integer)
	RETURNS timestamptz
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_group_last_seen';
COMMENT ON FUNCTION qtopic_internal.group_last_seen(integer) IS
	'For the view qtopic_groups: when a group was last used since the server was started, or NULL.';

CREATE FUNCTION qtopic_internal.expire_positions(at timestamptz)
	RETURNS integer
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_expire_positions';
COMMENT ON FUNCTION qtopic_internal.expire_positions(timestamptz) IS
	'Forgets the positions of consumer groups that were not used for qtopic.offsets_retention before the given time, as the background worker does, and returns how many.  For superusers.';
