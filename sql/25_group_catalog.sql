-- state: the catalog of consumer groups.  Written in C, under the locks that
-- group_lock.h describes; no foreign keys or triggers, identifiers are never
-- given twice.

CREATE SEQUENCE qtopic_internal.group_id_seq AS integer;
COMMENT ON SEQUENCE qtopic_internal.group_id_seq IS 'Identifiers of consumer groups, never given twice.';

CREATE SEQUENCE qtopic_internal.group_topic_id_seq AS integer;
COMMENT ON SEQUENCE qtopic_internal.group_topic_id_seq IS 'Identifiers of rows of group_topics, never given twice.';

CREATE TABLE qtopic_internal.groups (
	group_id	integer NOT NULL,
	name		text COLLATE "C" NOT NULL,
	owner		regrole NOT NULL,
	group_epoch	integer NOT NULL,
	assignor	text COLLATE "C",
	last_active	timestamptz NOT NULL,
	CONSTRAINT groups_pkey PRIMARY KEY (group_id),
	CONSTRAINT groups_name_key UNIQUE (name)
);
COMMENT ON TABLE qtopic_internal.groups IS
	'One row for each consumer group; owner is the role that first used it.';

CREATE TABLE qtopic_internal.group_topics (
	gt_id		integer NOT NULL,
	group_id	integer NOT NULL,
	topic_id	integer NOT NULL,
	start_at	text COLLATE "C" NOT NULL CHECK (start_at IN ('earliest', 'latest', 'none', 'time')),
	start_time	timestamptz,
	partitions	integer NOT NULL,
	CONSTRAINT group_topics_pkey PRIMARY KEY (gt_id),
	CONSTRAINT group_topics_group_id_topic_id_key UNIQUE (group_id, topic_id)
);
COMMENT ON TABLE qtopic_internal.group_topics IS
	'The topics that a group reads.  start_at is where it starts without a position, or with one that is out of range; a partition that is not among the first "partitions" was added later and starts at its log start.';

CREATE TABLE qtopic_internal.positions (
	gt_id			integer NOT NULL,
	partition		integer NOT NULL,
	n				bigint NOT NULL,
	next_offset		bigint NOT NULL,
	leader_epoch	integer NOT NULL,
	commit_time		timestamptz NOT NULL,
	metadata		text,
	CONSTRAINT positions_pkey PRIMARY KEY (gt_id, partition, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
		autovacuum_vacuum_cost_delay = 0);
COMMENT ON TABLE qtopic_internal.positions IS
	'Where a group reads next in a partition.  One live row each; n counts the moves, so that the newest row is found first however many dead ones there are.';

SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.group_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.group_topic_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.groups', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.group_topics', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.positions', '');
