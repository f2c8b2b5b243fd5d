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
	'Deletes a consumer group and its positions.  For members of the role that owns it.  Errors: QT003 if it is in use for longer than a second, 42704, 42501.';

CREATE FUNCTION delete_offsets(consumer_group text, topic text, partition integer DEFAULT NULL)
	RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_delete_offsets';
COMMENT ON FUNCTION delete_offsets(text, text, integer) IS
	'Forgets a group''s position in one partition of a topic (NULL: in all), so that it starts there as create_group() said; returns how many were forgotten.  For members of the role that owns the group or created the topic.  Errors: QT003 if the group is in use for longer than a second, 42704, 42501, 22023.';
