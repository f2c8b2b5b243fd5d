-- code: members of consumer groups.

CREATE FUNCTION join_group(consumer_group text, topics text[], instance_id text DEFAULT NULL,
						   assignor text DEFAULT 'uniform', session_timeout interval DEFAULT '45s',
						   INOUT member_id text DEFAULT NULL,
						   OUT member_epoch integer, OUT assignment jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_join_group';
COMMENT ON FUNCTION join_group(text, text[], text, text, interval, text) IS
	'Makes the caller a member of a consumer group, for work outside of the database; returns its member_id (made if none is given), the epoch to present in the next call, and the partitions that it owns, as {"topic": [partition, ...]}.  The group is made if there is none.  Partitions are divided by what most members ask for: "uniform" (evenly, moving as few as possible) or "range" (a range of each topic).  A member that makes no call for session_timeout (6 s to 30 min) is removed.  To join again with the same member_id is safe after a lost answer, and makes epochs of before invalid; who joins with the instance_id of another member takes its place and partitions.  Commit at once: the group is locked until then.  Needs SELECT on the topics'' relations and membership in the role of the group or of the topics'' creators.  Errors: QT003 the group is in use (also by consume()) for longer than a second, 53400 more than qtopic.max_members, 42704, 42501, 22023, 25006.';

CREATE FUNCTION heartbeat(consumer_group text, member_id text, INOUT member_epoch integer,
						  OUT assignment jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_heartbeat';
COMMENT ON FUNCTION heartbeat(text, text, integer) IS
	'Says that a member is there, and returns the epoch to present next and the partitions that it owns.  By presenting an epoch the member acknowledges that it has given up what the assignment that came with it did not contain; only then do those partitions go to others.  Every other call of a member is a heartbeat as well.  Errors: QT002 the epoch is not the member''s, or its instance_id was taken over, QT004 there is no such member (any more), QT003 try again, 42704 no such group, or all topics of the member were dropped (join again, also for new ones of the same names), 42501, 25006.';

CREATE FUNCTION leave_group(consumer_group text, member_id text, member_epoch integer)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_leave_group';
COMMENT ON FUNCTION leave_group(text, text, integer) IS
	'Ends a membership: the member''s partitions go to the others at once.  A member with an instance_id that will be back within its session timeout need not leave.  Errors as heartbeat().';

CREATE FUNCTION poll_records(consumer_group text, member_id text, member_epoch integer,
							 max_records integer DEFAULT 500, max_wait interval DEFAULT '0',
							 max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_topic text, _partition integer, _offset bigint, _timestamp timestamptz,
				   key text, value text, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_poll_records';
COMMENT ON FUNCTION poll_records(text, text, integer, integer, interval, integer) IS
	'Returns records of the partitions that the member owns, from the committed positions on: without commit_offsets() the same ones again.  At most max_records (> 0) and about max_bytes of keys, values and headers (> 0, but always one record); when there is none, waits up to max_wait (bounded by qtopic.max_wait), but not when the group has moved to another epoch: then heartbeat() says what has changed.  Records of a partition that is to be given up are not returned any more; it goes to its new owner only when the member calls heartbeat() and presents the epoch that it returns, so call that in each turn.  Needs SELECT on the topics'' relations.  Errors: those of heartbeat(); QT001 position out of range in a group that starts at "none"; 22023, 22021 not valid text.';

CREATE FUNCTION poll_records_bytea(consumer_group text, member_id text, member_epoch integer,
								   max_records integer DEFAULT 500, max_wait interval DEFAULT '0',
								   max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_topic text, _partition integer, _offset bigint, _timestamp timestamptz,
				   key bytea, value bytea, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_poll_records_bytea';
COMMENT ON FUNCTION poll_records_bytea(text, text, integer, integer, interval, integer) IS
	'The same as poll_records() with key and value as bytea.';

CREATE FUNCTION poll_records_jsonb(consumer_group text, member_id text, member_epoch integer,
								   max_records integer DEFAULT 500, max_wait interval DEFAULT '0',
								   max_bytes integer DEFAULT 52428800)
	RETURNS TABLE (_topic text, _partition integer, _offset bigint, _timestamp timestamptz,
				   key text, value jsonb, headers jsonb)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 500
	AS 'MODULE_PATHNAME', 'qtopic_poll_records_jsonb';
COMMENT ON FUNCTION poll_records_jsonb(text, text, integer, integer, interval, integer) IS
	'The same as poll_records() with the value as jsonb; 22P02 if it is not valid.';

CREATE FUNCTION commit_offsets(consumer_group text, member_id text, member_epoch integer,
							   topic text, partition integer, next_offset bigint,
							   metadata text DEFAULT NULL)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_commit_offset';
COMMENT ON FUNCTION commit_offsets(text, text, integer, text, integer, bigint, text) IS
	'Sets, in this transaction, where the group reads next in a partition: the offset of the last record that was worked on plus one; with metadata of at most 4096 bytes.  Only the member that owns the partition in the epoch presented can.  Waits for other transactions that set it.  Errors: QT002 the partition belongs to somebody else, or did in that epoch, QT004 there is no such member (any more), QT001 above the end of the log, 54000 metadata too large, 42704, 42501, 22023, 25006.';

CREATE FUNCTION commit_offsets(consumer_group text, member_id text, member_epoch integer,
							   positions jsonb)
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_commit_offsets';
COMMENT ON FUNCTION commit_offsets(text, text, integer, jsonb) IS
	'The same for several partitions, all or none: {"topic": {"0": next_offset, "1": {"next_offset": n, "metadata": "text"}}}.';

CREATE FUNCTION qtopic_internal.member_last_seen(member_no integer)
	RETURNS timestamptz
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_member_last_seen';
COMMENT ON FUNCTION qtopic_internal.member_last_seen(integer) IS
	'For the view qtopic_group_members: when a member was last heard of since the server was started, or NULL.';

CREATE FUNCTION qtopic_internal.expire_members(at timestamptz)
	RETURNS integer
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_expire_members';
COMMENT ON FUNCTION qtopic_internal.expire_members(timestamptz) IS
	'Removes members of consumer groups that were not heard of for their session timeout before the given time, as the background worker does, and returns how many.  For superusers.';
