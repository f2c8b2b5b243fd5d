--
-- A star schema, loaded from the relations of the topics with INSERT ... SELECT.
--
CREATE SCHEMA warehouse;

CREATE TABLE warehouse.dim_date (
    date_key int PRIMARY KEY,           -- 20150517
    day date NOT NULL,
    weekday text NOT NULL
);
CREATE TABLE warehouse.dim_visitor (
    visitor_key int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    visitor text NOT NULL UNIQUE
);
CREATE TABLE warehouse.dim_page (
    page_key int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site text NOT NULL,
    path text NOT NULL,
    UNIQUE (site, path)
);
CREATE TABLE warehouse.fact_event (
    topic text NOT NULL,
    _partition int NOT NULL,
    _offset bigint NOT NULL,
    event_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    date_key int NOT NULL REFERENCES warehouse.dim_date,
    visitor_key int NOT NULL REFERENCES warehouse.dim_visitor,
    page_key int NOT NULL REFERENCES warehouse.dim_page,
    bytes bigint,
    PRIMARY KEY (topic, _partition, _offset)
);

-- Where the next load starts.
CREATE TABLE warehouse.load_position (
    topic text,
    partition int,
    next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- The records of one load.
CREATE UNLOGGED TABLE warehouse.landing (
    _offset bigint,
    event_id bigint,
    event_time timestamptz,
    visitor text,
    site text,
    path text,
    bytes bigint
);

-- Load what is there, some thousand records a transaction.  The position moves
-- in the same transaction as the rows: a load that fails starts where the last
-- one ended, and loads nothing twice.
CREATE PROCEDURE warehouse.load_partition(load_topic text, load_partition int)
LANGUAGE plpgsql AS $$
DECLARE
    start_offset bigint;
    loaded bigint;
BEGIN
    LOOP
        SELECT coalesce(max(next_offset), 0) INTO start_offset
          FROM warehouse.load_position WHERE topic = load_topic AND partition = load_partition;

        EXECUTE format($load$
            INSERT INTO warehouse.landing
            SELECT _offset, (headers ->> 'event_id')::bigint, _timestamp, key,
                   coalesce(value ->> 'site', value ->> 'engine'),
                   coalesce(value ->> 'url', '(search)'), (value ->> 'bytes')::bigint
              FROM qtopic.%I
             WHERE _partition = $1 AND _offset >= $2
             ORDER BY _offset LIMIT 10000 $load$, load_topic)
          USING load_partition, start_offset;
        GET DIAGNOSTICS loaded = ROW_COUNT;
        EXIT WHEN loaded = 0;

        INSERT INTO warehouse.dim_date
        SELECT DISTINCT to_char(day, 'YYYYMMDD')::int, day, to_char(day, 'Dy')
          FROM warehouse.landing, CAST(event_time AT TIME ZONE 'UTC' AS date) AS day
            ON CONFLICT DO NOTHING;
        INSERT INTO warehouse.dim_visitor (visitor)
        SELECT DISTINCT visitor FROM warehouse.landing
        EXCEPT SELECT visitor FROM warehouse.dim_visitor;
        INSERT INTO warehouse.dim_page (site, path)
        SELECT DISTINCT site, path FROM warehouse.landing
        EXCEPT SELECT site, path FROM warehouse.dim_page;

        INSERT INTO warehouse.fact_event
        SELECT load_topic, load_partition, _offset, event_id, event_time,
               to_char(event_time AT TIME ZONE 'UTC', 'YYYYMMDD')::int, visitor_key, page_key, bytes
          FROM warehouse.landing
               JOIN warehouse.dim_visitor USING (visitor)
               JOIN warehouse.dim_page USING (site, path);

        INSERT INTO warehouse.load_position
        SELECT load_topic, load_partition, max(_offset) + 1 FROM warehouse.landing
            ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset;
        TRUNCATE warehouse.landing;
        COMMIT;
    END LOOP;
END;
$$;
