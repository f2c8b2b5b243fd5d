-- The relation of a topic as the inner side of a join: what other relations
-- know becomes bounds of the scan.
-- Seen to fail: mutant lookup_by_one_relation.
\set VERBOSITY terse
SET timezone = 'UTC';
SELECT create_topic('relation_join', 2, '{"compression.type": "none"}');
INSERT INTO qtopic.relation_join (_partition, key, value)
	SELECT i % 2, i, repeat('x', 100) FROM generate_series(0, 9999) i;
CREATE TABLE loaded AS
	SELECT _partition AS part, _offset AS pos FROM qtopic.relation_join
	 WHERE _offset < CASE _partition WHEN 0 THEN 4990 ELSE 10 END;
CREATE INDEX ON loaded (part, pos);
ANALYZE loaded;
ANALYZE qtopic.relation_join;

-- the partition from one relation, the offset from another one
CREATE FUNCTION batches_read(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
	RETURN (SELECT (regexp_match(plan::text, '"Batches Read": (\d+)'))[1]);
END $$;
-- for few records another join is as good
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_memoize = off;
SELECT batches_read('SELECT * FROM qtopic.relation_join') > 120 AS all_of_them;
SELECT batches_read($$
	SELECT r.* FROM partition_offsets('relation_join') p,
		LATERAL (SELECT coalesce(max(pos), -1) AS last FROM loaded WHERE part = p._partition) s,
		LATERAL (SELECT * FROM qtopic.relation_join
				  WHERE _partition = p._partition AND _offset > s.last) r$$) < 80 AS only_what_is_new;
SELECT r._partition, count(*), min(_offset), max(_offset)
  FROM partition_offsets('relation_join') p,
	   LATERAL (SELECT coalesce(max(pos), -1) AS last FROM loaded WHERE part = p._partition) s,
	   LATERAL (SELECT * FROM qtopic.relation_join
				 WHERE _partition = p._partition AND _offset > s.last) r
 GROUP BY 1 ORDER BY 1;

-- a join brings a record several times: what it is ordered by after the offset
-- matters then.  Seen to fail: mutant order_beyond_offset.
CREATE TABLE tag (pos bigint, tag int);
INSERT INTO tag VALUES (0, 3), (0, 1), (0, 2), (1, 9), (1, 7), (2, 5), (2, 4);
ANALYZE tag;
SELECT r._offset, tag FROM qtopic.relation_join r JOIN tag ON pos = _offset
 WHERE _partition = 0 ORDER BY _offset, tag;
SELECT r._partition, r._offset, tag FROM qtopic.relation_join r CROSS JOIN tag
 ORDER BY _partition, _offset, tag DESC LIMIT 8;
SELECT _offset, array_agg(tag) FROM (SELECT _offset, tag FROM qtopic.relation_join JOIN tag ON pos = _offset
	WHERE _partition = 0 ORDER BY _offset, tag DESC) j GROUP BY 1 ORDER BY 1;
SELECT DISTINCT _partition, _offset, tag FROM qtopic.relation_join JOIN tag ON pos = _offset
 ORDER BY _partition, _offset, tag LIMIT 3;
SELECT _offset, tag, count(DISTINCT value) FROM qtopic.relation_join CROSS JOIN (VALUES (1), (2), (1), (2)) t (tag)
 WHERE _partition = 0 AND _offset < 2 GROUP BY 1, 2;
SELECT DISTINCT ON (_offset) _offset, tag FROM qtopic.relation_join CROSS JOIN tag
 WHERE _partition = 0 AND _offset < 2 ORDER BY _offset, tag DESC;
SELECT _offset, unnest(ARRAY['pear', 'apple']) AS item FROM qtopic.relation_join
 WHERE _partition = 0 AND _offset < 2 ORDER BY 1, 2;
DROP TABLE tag;

DROP FUNCTION batches_read(text);
DROP TABLE loaded;
SELECT drop_topic('relation_join');
