-- state: members of consumer groups and what they own.  Written in C under the
-- lock on the group; not dumped, as no member outlives its server.

CREATE SEQUENCE qtopic_internal.member_no_seq AS integer;
COMMENT ON SEQUENCE qtopic_internal.member_no_seq IS 'Numbers of members of consumer groups, never given twice.';

CREATE TABLE qtopic_internal.members (
	group_id		integer NOT NULL,
	member_id		text COLLATE "C" NOT NULL,
	member_no		integer NOT NULL,
	instance_id		text COLLATE "C",
	fenced			boolean NOT NULL,
	joined_epoch	integer NOT NULL,
	member_epoch	integer NOT NULL,
	assignor		text COLLATE "C" NOT NULL,
	session_ms		integer NOT NULL,
	topics			integer[] NOT NULL,
	CONSTRAINT members_pkey PRIMARY KEY (group_id, member_id),
	CONSTRAINT members_group_id_instance_id_key UNIQUE (group_id, instance_id)
);
COMMENT ON TABLE qtopic_internal.members IS
	'Members of consumer groups.  member_no tells one that joined from a later one of the same member_id; joined_epoch is the group''s epoch when it joined, member_epoch the highest one that it has presented; topics are rows of group_topics.  A fenced member has lost its place to another one of the same instance_id.';

CREATE TABLE qtopic_internal.ownership (
	gt_id			integer NOT NULL,
	partition		integer NOT NULL,
	owner			integer,
	since_epoch		integer NOT NULL,
	revoke_epoch	integer,
	target			integer,
	CONSTRAINT ownership_pkey PRIMARY KEY (gt_id, partition)
) WITH (fillfactor = 70);
COMMENT ON TABLE qtopic_internal.ownership IS
	'Which member (member_no) owns a partition in a group, since which epoch of the group, and who is to own it.  The owner gives it up by presenting revoke_epoch or a later one.';
