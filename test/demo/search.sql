--
-- A search index that a consumer group maintains: an ordinary table, filled in
-- the transactions that move the group's positions.
--
CREATE SCHEMA search;

-- No unique constraint: the verification has to find what is there twice.
CREATE TABLE search.document (
    arrival bigserial,
    topic text NOT NULL,
    _partition int NOT NULL,
    _offset bigint NOT NULL,
    event_id bigint,
    visitor text NOT NULL,
    words text NOT NULL,
    indexer text NOT NULL,
    document tsvector GENERATED ALWAYS AS (to_tsvector('simple', words)) STORED
);
CREATE INDEX ON search.document USING gin (document);

CREATE FUNCTION search.words(value jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT translate(coalesce(value ->> 'url', value ->> 'keywords'), '/?&=+._-', '        ')
$$;

-- What an indexer had read when it was killed, in a transaction that was open.
CREATE TABLE demo.in_hand (
    topic text NOT NULL,
    _partition int NOT NULL,
    first_offset bigint NOT NULL,
    last_offset bigint NOT NULL,
    indexer text NOT NULL
);

SELECT create_group('search_index', topic) FROM unnest(ARRAY['page_view', 'search']) AS topic;
