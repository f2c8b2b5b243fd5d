-- state: the catalog.  Relations are named by name, never by OID, so that it
-- survives dump and restore.  Every table has a primary key.

CREATE SEQUENCE qtopic_internal.topic_id_seq AS integer;
COMMENT ON SEQUENCE qtopic_internal.topic_id_seq IS 'Identifiers of topics, never given twice.';

CREATE TABLE qtopic_internal.topics (
	topic_id	integer NOT NULL,
	name		text COLLATE "C" NOT NULL,
	relation	name NOT NULL,
	partitions	integer NOT NULL,
	config		jsonb NOT NULL,
	creator		regrole NOT NULL,
	created		timestamptz NOT NULL,
	CONSTRAINT topics_pkey PRIMARY KEY (topic_id),
	CONSTRAINT topics_name_key UNIQUE (name),
	CONSTRAINT topics_relation_key UNIQUE (relation)
);
COMMENT ON TABLE qtopic_internal.topics IS
	'One row for each topic; relation is the foreign table in schema qtopic, config what was set explicitly.';

CREATE TABLE qtopic_internal.partitions (
	topic_id			integer NOT NULL,
	partition			integer NOT NULL,
	log_start_offset	bigint NOT NULL,
	CONSTRAINT partitions_pkey PRIMARY KEY (topic_id, partition)
);
COMMENT ON TABLE qtopic_internal.partitions IS
	'One row for each partition; records below log_start_offset are gone.';

CREATE TABLE qtopic_internal.segments (
	topic_id		integer NOT NULL,
	partition		integer NOT NULL,
	leaf_no			integer NOT NULL,
	generation		integer NOT NULL,
	state			text COLLATE "C" NOT NULL
		CHECK (state IN ('FREE', 'ACTIVE', 'SEALED', 'SETTLED', 'EXPIRED', 'FILLING', 'FILLED', 'REPLACED')),
	ordinal			integer,
	base_offset		bigint,
	end_offset		bigint,
	last_key		bigint,
	record_count	bigint,
	min_timestamp	bigint,
	max_timestamp	bigint,
	bytes			bigint,
	CONSTRAINT segments_pkey PRIMARY KEY (topic_id, partition, leaf_no)
);
COMMENT ON TABLE qtopic_internal.segments IS
	'Which segment each leaf holds: leaf topic_<id>_p<partition>_<leaf_no>; ordinal orders the segments of a partition and is NULL for a free leaf.';

SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.topic_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.topics', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.partitions', '');
SELECT pg_catalog.pg_extension_config_dump('qtopic_internal.segments', '');
