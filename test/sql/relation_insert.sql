-- INSERT and COPY into the relation of a topic
\pset null '(null)'
SELECT create_topic('ri_text', 1), create_topic('ri_parts', 3),
       create_topic('ri_jsonb', 1, '{"key.format": "jsonb", "value.format": "jsonb"}'),
       create_topic('ri_bytea', 1, '{"key.format": "bytea", "value.format": "bytea"}');

-- one row, several, RETURNING with real offsets
INSERT INTO qtopic.ri_text (key, value) VALUES ('a', '1');
INSERT INTO qtopic.ri_text (key, value) VALUES ('b', '2'), ('c', NULL), (NULL, '4')
	RETURNING _partition, _offset, key, value;
INSERT INTO qtopic.ri_text (value, _timestamp, headers)
	VALUES ('5', '2020-01-01 00:00:00.1239+00', '{"h": "x"}')
	RETURNING _offset, _timestamp = '2020-01-01 00:00:00.123+00' AS truncated, headers;
SELECT _partition, _offset, key, value, headers FROM qtopic.ri_text;

-- the partition may be given, the offset may not
INSERT INTO qtopic.ri_parts (_partition, value) VALUES (2, 'x'), (0, 'y') RETURNING _partition, _offset;
INSERT INTO qtopic.ri_parts (_partition, value) VALUES (3, 'x');
INSERT INTO qtopic.ri_parts (_offset, value) VALUES (7, 'x');
INSERT INTO qtopic.ri_parts VALUES (1, NULL, NULL, 'k', 'all columns', NULL);
SELECT _partition, _offset, key, value FROM qtopic.ri_parts;

-- a view's check option looks at the row as it was inserted
CREATE VIEW ri_checked AS SELECT * FROM qtopic.ri_parts WHERE _offset IS NULL WITH CHECK OPTION;
\set VERBOSITY terse
INSERT INTO ri_checked (value) VALUES ('has an offset');
\set VERBOSITY default
DROP VIEW ri_checked;

-- formats
INSERT INTO qtopic.ri_jsonb (key, value) VALUES ('{"id": 1}', '{"a": [1, 2]}');
INSERT INTO qtopic.ri_jsonb (value) VALUES ('{"a": ');
SELECT key->>'id' AS id, value->'a'->1 AS a FROM qtopic.ri_jsonb;
INSERT INTO qtopic.ri_bytea (key, value) VALUES ('\x00ff', '\xdeadbeef');
SELECT key, value FROM qtopic.ri_bytea;

-- INSERT ... SELECT packs rows into batches, in order, also from the topic itself
TRUNCATE qtopic.ri_text;
SELECT create_topic('ri_bulk');
INSERT INTO qtopic.ri_bulk (key, value) SELECT i, 'value ' || i FROM generate_series(1, 5000) i;
SELECT count(*), min(_offset), max(_offset),
	   bool_and(value = 'value ' || (_offset + 1)) AS in_order FROM qtopic.ri_bulk;
SELECT count(*) < 50 AS few_batches
  FROM qtopic_internal.topics t,
	   LATERAL (SELECT (xpath('/row/c/text()', query_to_xml(
				'SELECT count(*) AS c FROM qtopic_internal.topic_' || t.topic_id, false, true, '')))[1]::text::int) b (count)
 WHERE t.name = 'ri_bulk';
INSERT INTO qtopic.ri_bulk (key, value) SELECT key, value FROM qtopic.ri_bulk;
SELECT count(*) FROM qtopic.ri_bulk;

-- records without key go to all partitions, a full batch to each
INSERT INTO qtopic.ri_parts (value) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 20000) i;
SELECT count(DISTINCT _partition) FROM qtopic.ri_parts WHERE length(value) = 320;

-- an AFTER STATEMENT trigger runs after the statement's records.  Seen to fail:
-- mutant statement_trigger_early.
SELECT create_topic('ri_trigger');
CREATE FUNCTION ri_mark() RETURNS trigger LANGUAGE plpgsql
	AS $$ BEGIN PERFORM produce('ri_trigger', 'after statement'); RETURN NULL; END $$;
CREATE TRIGGER ri_mark AFTER INSERT ON qtopic.ri_trigger FOR EACH STATEMENT EXECUTE FUNCTION ri_mark();
INSERT INTO qtopic.ri_trigger (value) SELECT i::text FROM generate_series(1, 3) i;
COPY qtopic.ri_trigger (value) FROM stdin;
4
5
\.
SELECT _offset, value FROM qtopic.ri_trigger;
SELECT drop_topic('ri_trigger');
DROP FUNCTION ri_mark();

-- prepared, PL/pgSQL, an error in the middle leaves nothing behind
PREPARE ri (int, text) AS INSERT INTO qtopic.ri_text (key, value) VALUES ($1, $2) RETURNING _offset;
EXECUTE ri(1, 'prepared');
DO $$
BEGIN
	FOR i IN 1..3 LOOP
		INSERT INTO qtopic.ri_text (value) VALUES ('plpgsql ' || i);
	END LOOP;
	BEGIN
		INSERT INTO qtopic.ri_text (value) SELECT 'lost ' || 1 / (3 - i) FROM generate_series(1, 5) i;
	EXCEPTION WHEN division_by_zero THEN
		INSERT INTO qtopic.ri_text (value) VALUES ('after the error');
	END;
END
$$;
SELECT value FROM qtopic.ri_text WHERE _offset > 4;

-- COPY
COPY qtopic.ri_text (key, value) FROM stdin;
k1	copied 1
\N	copied 2
k3	\N
\.
COPY qtopic.ri_text (value, _timestamp) FROM stdin;
good	2020-01-01
bad	never
\.
SELECT key, value FROM qtopic.ri_text ORDER BY _offset DESC LIMIT 3;
COPY (SELECT key, value FROM qtopic.ri_text WHERE value LIKE 'copied%') TO stdout;

-- deferred: no offset yet
BEGIN;
SET LOCAL qtopic.produce_mode = deferred;
INSERT INTO qtopic.ri_text (value) VALUES ('deferred') RETURNING _partition, _offset, value;
COMMIT;
SELECT value FROM qtopic.ri_text ORDER BY _offset DESC LIMIT 1;

-- what a log cannot do
INSERT INTO qtopic.ri_text (value) VALUES ('x') ON CONFLICT DO NOTHING;
UPDATE qtopic.ri_text SET value = 'x';
DELETE FROM qtopic.ri_text;
TRUNCATE qtopic.ri_text;
BEGIN READ ONLY;
INSERT INTO qtopic.ri_text (value) VALUES ('x');
ROLLBACK;

-- the right is INSERT
CREATE ROLE ri_reader;
GRANT SELECT ON qtopic.ri_text TO ri_reader;
SET ROLE ri_reader;
INSERT INTO qtopic.ri_text (value) VALUES ('x');
SELECT count(*) > 0 AS readable FROM qtopic.ri_text;
RESET ROLE;

SELECT drop_topic(t) FROM unnest('{ri_text,ri_parts,ri_jsonb,ri_bytea,ri_bulk}'::text[]) t;
DROP ROLE ri_reader;
