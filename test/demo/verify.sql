--
-- What was committed against what was read and loaded.
--
-- The books are demo.event_log: written in the same transactions, and nothing
-- else.  The partition of a key, and what was to be rolled back, come from
-- demo.source, and so from the demo's own code.
--
ANALYZE demo.source, demo.event_log, demo.stream_read, demo.naive_read, search.document,
        warehouse.fact_event;

CREATE TABLE demo.books AS
SELECT s.*, demo.digest(s.key, s.record_time, s.value) AS digest,
       l._partition AS told_partition, l._offset AS told_offset
  FROM demo.event_log AS l JOIN demo.source AS s USING (event_id);
ALTER TABLE demo.books ADD PRIMARY KEY (event_id);
ANALYZE demo.books;

-- The stream, record by record.  A record that is in no book has no event_id
-- that was committed.
CREATE VIEW demo.stream_check AS
SELECT r.topic, r._partition AS partition,
       b.event_id IS NULL AS uncommitted,
       row_number() OVER (PARTITION BY r.event_id ORDER BY r.topic, r._partition, r.arrival) > 1 AS doubled,
       coalesce(r._offset <= lag(r._offset) OVER arrivals, false) OR
       coalesce(b.event_id < lag(b.event_id) OVER transactions, false) AS disordered,
       r.digest IS DISTINCT FROM b.digest AS altered,
       r.topic <> b.topic OR r._partition <> b.partition OR
       r._partition <> b.told_partition OR r._offset <> b.told_offset AS misplaced
  FROM demo.stream_read AS r LEFT JOIN demo.books AS b USING (event_id)
WINDOW arrivals AS (PARTITION BY r.topic, r._partition ORDER BY r.arrival),
       transactions AS (PARTITION BY r.topic, r._partition, b.lane, b.chunk ORDER BY r.arrival);

-- The same of the fact table.
CREATE VIEW demo.load_check AS
SELECT f.topic, f._partition AS partition,
       b.event_id IS NULL OR
       row_number() OVER (PARTITION BY f.event_id ORDER BY f.topic, f._partition, f._offset) > 1 OR
       f.topic <> b.topic OR f._partition <> b.partition OR
       f.event_time <> b.record_time OR d.day <> (b.record_time AT TIME ZONE 'UTC')::date OR
       v.visitor <> b.key OR
       (p.site, p.path) <> (coalesce(b.value ->> 'site', b.value ->> 'engine'),
                            coalesce(b.value ->> 'url', '(search)')) AS misloaded
  FROM warehouse.fact_event AS f
       JOIN warehouse.dim_date AS d USING (date_key)
       JOIN warehouse.dim_visitor AS v USING (visitor_key)
       JOIN warehouse.dim_page AS p USING (page_key)
       LEFT JOIN demo.books AS b USING (event_id);

-- The same of the search index.
CREATE VIEW demo.index_check AS
SELECT d.topic, d._partition AS partition,
       b.event_id IS NULL OR
       row_number() OVER (PARTITION BY d.event_id ORDER BY d.topic, d._partition, d._offset, d.arrival) > 1 OR
       d.topic <> b.topic OR d._partition <> b.partition OR d._offset <> b.told_offset OR
       d.visitor <> b.key OR d.words <> search.words(b.value) AS misindexed,
       coalesce(d._offset <= lag(d._offset) OVER arrivals, false) AS misordered,
       EXISTS (SELECT FROM demo.in_hand AS h
                WHERE (h.topic, h._partition, h.indexer) = (d.topic, d._partition, d.indexer) AND
                      d._offset BETWEEN h.first_offset AND h.last_offset) AS kept
  FROM search.document AS d LEFT JOIN demo.books AS b USING (event_id)
WINDOW arrivals AS (PARTITION BY d.topic, d._partition ORDER BY d.arrival);

-- One row for each partition.
CREATE FUNCTION demo.verify() RETURNS TABLE (
    topic text, partition int,
    committed bigint,       -- in the books
    streamed bigint,        -- rows that the stream reader got
    missing bigint,         -- committed, but not read
    doubled bigint,         -- read again
    uncommitted bigint,     -- read, but rolled back
    disordered bigint,      -- offset not above the last one, or a transaction's order lost
    altered bigint,         -- key, time or value is another one
    misplaced bigint,       -- not the key's partition, or not the offset that produce() returned
    indexed bigint,         -- rows of the search index
    unindexed bigint,       -- committed, but not there
    misindexed bigint,      -- there twice, or wrong
    misordered bigint,      -- offset not above the last one
    kept bigint,            -- there by a process that was killed before its commit
    behind bigint,          -- not passed by the consumer group, as it says
    loaded bigint,          -- rows of the fact table
    unloaded bigint,        -- committed, but not there
    misloaded bigint,       -- there twice, or wrong
    naive_lost bigint)      -- committed, but never seen by WHERE id > last
LANGUAGE sql STABLE AS $$
    SELECT topic, partition, coalesce(committed, 0), coalesce(streamed, 0), coalesce(missing, 0),
           coalesce(doubled, 0), coalesce(uncommitted, 0), coalesce(disordered, 0),
           coalesce(altered, 0), coalesce(misplaced, 0), coalesce(indexed, 0),
           coalesce(unindexed, 0), coalesce(misindexed, 0), coalesce(misordered, 0),
           coalesce(kept, 0), coalesce(behind, 0), coalesce(loaded, 0), coalesce(unloaded, 0), coalesce(misloaded, 0), coalesce(naive_lost, 0)
      FROM (SELECT topic, partition, count(*) AS committed,
                   count(*) FILTER (WHERE r.event_id IS NULL) AS missing,
                   count(*) FILTER (WHERE f.event_id IS NULL) AS unloaded,
                   count(*) FILTER (WHERE d.event_id IS NULL AND g.topic IS NOT NULL) AS unindexed,
                   count(*) FILTER (WHERE n.event_id IS NULL) AS naive_lost
              FROM demo.books AS b
                   LEFT JOIN (SELECT DISTINCT event_id FROM demo.stream_read) AS r USING (event_id)
                   LEFT JOIN (SELECT DISTINCT event_id FROM warehouse.fact_event) AS f USING (event_id)
                   LEFT JOIN (SELECT DISTINCT event_id FROM search.document) AS d USING (event_id)
                   LEFT JOIN (SELECT unnest(topics) AS topic FROM qtopic_groups
                               WHERE consumer_group = 'search_index') AS g USING (topic)
                   LEFT JOIN (SELECT DISTINCT event_id FROM demo.naive_read) AS n USING (event_id)
             GROUP BY topic, partition) AS books
           FULL JOIN
           (SELECT topic, partition, count(*) AS streamed,
                   count(*) FILTER (WHERE doubled) AS doubled,
                   count(*) FILTER (WHERE uncommitted) AS uncommitted,
                   count(*) FILTER (WHERE disordered) AS disordered,
                   count(*) FILTER (WHERE altered AND NOT uncommitted) AS altered,
                   count(*) FILTER (WHERE misplaced) AS misplaced
              FROM demo.stream_check GROUP BY topic, partition) AS stream
           USING (topic, partition)
           FULL JOIN
           (SELECT topic, partition, count(*) AS indexed,
                   count(*) FILTER (WHERE misindexed) AS misindexed,
                   count(*) FILTER (WHERE misordered) AS misordered,
                   count(*) FILTER (WHERE kept) AS kept
              FROM demo.index_check GROUP BY topic, partition) AS index
           USING (topic, partition)
           FULL JOIN
           (SELECT topic, partition, lag AS behind FROM qtopic_group_lag
             WHERE consumer_group = 'search_index') AS positions
           USING (topic, partition)
           FULL JOIN
           (SELECT topic, partition, count(*) AS loaded,
                   count(*) FILTER (WHERE misloaded) AS misloaded
              FROM demo.load_check GROUP BY topic, partition) AS load
           USING (topic, partition)
     ORDER BY topic, partition
$$;

-- What concerns more than one partition: a sentence for each defect.
CREATE FUNCTION demo.verify_all() RETURNS SETOF text
LANGUAGE sql STABLE AS $$
    -- the books hold what the scripts were to commit: the demo itself works
    SELECT format('the books: events %s: %s', CASE WHEN s.commits THEN 'that are not there'
                  ELSE 'that should have been rolled back' END, count(*))
      FROM demo.source AS s LEFT JOIN demo.books AS b USING (event_id)
     WHERE s.commits <> (b.event_id IS NOT NULL)
     GROUP BY s.commits
    UNION ALL
    SELECT format('the books: events that are there again: %s', count(*) - count(DISTINCT event_id))
      FROM demo.event_log HAVING count(*) <> count(DISTINCT event_id)
    UNION ALL
    -- produce() answers with a place, unless the record is deferred to the commit
    SELECT format('produce(): records %s: %s', CASE WHEN deferred THEN 'deferred, but answered with an offset'
                  ELSE 'not deferred, but answered without an offset' END, count(*))
      FROM (SELECT lane = 'business' AND chunk % 2 = 1 AS deferred, told_partition, told_offset
              FROM demo.books WHERE lane <> 'batch') AS told
     WHERE (told_offset IS NULL) <> deferred OR told_partition IS NULL AND NOT deferred
     GROUP BY deferred
    UNION ALL
    -- the business table and the topics tell the same
    SELECT format('business transactions that have other records than rows: %s', count(*))
      FROM demo.visit AS v
           FULL JOIN (SELECT b.chunk, count(*) AS events
                        FROM demo.stream_read AS r JOIN demo.source AS b USING (event_id)
                       WHERE b.lane = 'business' GROUP BY b.chunk) AS t
           ON t.chunk = v.visit_id
     WHERE t.events IS DISTINCT FROM v.events::bigint
    HAVING count(*) > 0
    UNION ALL
    -- what produce_batch() answered adds up
    SELECT format('%s partition %s: produce_batch() counted %s records, but there are %s',
                  topic, partition, coalesce(a.records, 0), coalesce(b.records, 0))
      FROM (SELECT topic, _partition AS partition, sum(record_count) AS records
              FROM demo.batch_log GROUP BY 1, 2) AS a
           FULL JOIN
           (SELECT topic, partition, count(*) AS records
              FROM demo.books WHERE lane = 'batch' GROUP BY 1, 2) AS b
           USING (topic, partition)
     WHERE a.records IS DISTINCT FROM b.records
    UNION ALL
    -- the offsets of the partition enclose those that were read
    SELECT format('%s partition %s: offsets %s to %s were read, but it reports %s to %s, next %s',
                  topic, partition, low, high, log_start_offset, last_stable_offset, next_offset)
      FROM (SELECT topic, _partition AS partition, min(_offset) AS low, max(_offset) AS high
              FROM demo.stream_read GROUP BY 1, 2) AS r
           JOIN (SELECT DISTINCT topic FROM demo.source) AS t USING (topic),
           LATERAL partition_offsets(t.topic) AS o
     WHERE o._partition = r.partition AND
           NOT (log_start_offset <= low AND high < last_stable_offset AND
                last_stable_offset <= next_offset)
$$;
