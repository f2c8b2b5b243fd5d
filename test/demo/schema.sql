--
-- The topics, and the tables around them.
--
SELECT create_topic(topic, 4, '{"value.format": "jsonb", "retention.ms": -1}'::jsonb)
  FROM unnest(ARRAY['asset_request', 'page_view', 'search']) AS topic;

CREATE SCHEMA demo;

-- What is to be produced: by whom, in which transaction, and what for.  A lane
-- is one way of producing; one transaction produces one chunk.
CREATE TABLE demo.source (
    lane text NOT NULL,
    chunk int NOT NULL,
    step int NOT NULL,                  -- order within a business transaction
    event_id bigint NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    record_time timestamptz NOT NULL,
    value jsonb NOT NULL,
    partition int NOT NULL,             -- where it must arrive
    commits boolean NOT NULL            -- or else it is rolled back on purpose
);

-- The books.  Written in the transaction that produces the record, so it holds
-- exactly what was committed.  The naive reader follows this table.
CREATE TABLE demo.event_log (
    id bigserial PRIMARY KEY,
    event_id bigint NOT NULL,
    _partition int,                     -- what produce() answered; null: deferred or a batch
    _offset bigint
);

-- What produce_batch() answered.
CREATE TABLE demo.batch_log (
    topic text NOT NULL,
    _partition int NOT NULL,
    base_offset bigint,
    last_offset bigint,
    record_count int NOT NULL
);

-- The business table: one row for each business transaction.
CREATE TABLE demo.visit (
    visit_id int PRIMARY KEY,
    visitor text NOT NULL,
    events int NOT NULL
);

-- What the readers got, as it came.
CREATE TABLE demo.stream_read (
    topic text NOT NULL,
    _partition int NOT NULL,
    arrival bigint NOT NULL,
    _offset bigint NOT NULL,
    event_id bigint,
    digest text
);
CREATE TABLE demo.naive_read (
    id bigint NOT NULL,
    event_id bigint NOT NULL
);

-- Two records are the same if this is.
CREATE FUNCTION demo.digest(key text, at timestamptz, value jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT md5(concat_ws('|', key, extract(epoch FROM at)::bigint, value))
$$;
