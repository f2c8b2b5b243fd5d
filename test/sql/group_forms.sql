--
-- Consumer groups: the forms of the calls, where a group starts, how much a
-- call returns, cursors, and positions that are out of range.
--
-- Seen to fail: mutants consume_ignores_max_records, consume_ignores_max_bytes,
-- attempts_not_bounded, attempts_bounded, portal_not_checked, portal_checked_always,
-- start_time_ignored, out_of_range_not_noticed, out_of_range_is_silent and
-- none_starts_at_earliest.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT create_topic('group_forms', 2);
SELECT create_topic('group_forms_bytea', 1, '{"key.format": "bytea", "value.format": "bytea"}');
SELECT create_topic('group_forms_jsonb', 1, '{"value.format": "jsonb"}');
SELECT create_topic('group_forms_one');
SELECT create_topic('group_forms_many', 70);

-- where the groups of this test are
CREATE VIEW group_forms_positions AS
SELECT g.name, t.name AS topic, p.partition, p.next_offset
  FROM qtopic_internal.groups g JOIN qtopic_internal.group_topics USING (group_id)
  JOIN qtopic_internal.topics t USING (topic_id) JOIN qtopic_internal.positions p USING (gt_id)
 WHERE g.name LIKE 'group_forms%' ORDER BY 1, 2, 3;

-- an empty topic: no records, and no group
SELECT * FROM consume('group_forms', 'group_forms');
SELECT count(*) FROM qtopic_internal.groups WHERE name LIKE 'group_forms%';

-- all columns, positional and named arguments, defaults
SELECT produce('group_forms', 'k', 'v', '{"h": "1"}', 0, '2026-01-01 00:00:00.123+00');
SELECT _partition, _offset, _timestamp AT TIME ZONE 'UTC' AS _timestamp, key, value, headers FROM consume('group_forms', 'group_forms');
SELECT * FROM consume('group_forms', 'group_forms');
SELECT produce('group_forms', NULL::text, NULL::text, partition => 0);
SELECT key, value, headers FROM consume(consumer_group => 'group_forms', topic => 'group_forms', max_records => 1, max_wait => '0', max_bytes => 1);
SELECT _offset FROM produce('group_forms', 'k', 'v3', partition => 0);
SELECT _offset, value FROM consume('group_forms', 'group_forms', 100, '1 s', 1000);
TABLE group_forms_positions;

-- bytea and jsonb
SELECT produce('group_forms_bytea', '\x00ff'::bytea, '\xff00'::bytea);
SELECT _offset, key, value FROM consume_bytea('group_forms', 'group_forms_bytea');
SELECT produce('group_forms_jsonb', 'k', '{"a": [1, 2]}'::jsonb), produce('group_forms_jsonb', 'k', NULL::jsonb);
SELECT _offset, key, value->'a'->>1 AS a FROM consume_jsonb('group_forms', 'group_forms_jsonb');
SELECT _offset, key, value FROM consume_bytea('group_forms_2', 'group_forms_jsonb');
SELECT _offset, key, value FROM consume('group_forms_3', 'group_forms_jsonb');

-- what cannot be represented raises an error and leaves the position where it is
SELECT _offset FROM produce('group_forms_bytea', '\x00'::bytea, '\xff'::bytea);
SELECT * FROM consume('group_forms', 'group_forms_bytea');
SELECT _offset, key, value FROM consume_bytea('group_forms', 'group_forms_bytea');
SELECT _offset FROM produce('group_forms', NULL::text, 'not jsonb', partition => 0);
SELECT * FROM consume_jsonb('group_forms', 'group_forms');
SELECT _offset, value FROM consume('group_forms', 'group_forms');

-- a group reads several topics, each from positions of its own
TABLE group_forms_positions;
-- names are any text
SELECT count(*) FROM consume('group_forms "odd" ''name'', with ünïcode', 'group_forms');
SELECT count(*) FROM consume('group_forms "odd" ''name'', with ünïcode', 'group_forms');
SELECT count(*) FROM consume(rpad('group_forms', 255, 'x'), 'group_forms');

-- max_records
SELECT record_count FROM produce_batch('group_forms_one', ARRAY(SELECT 'value ' || i FROM generate_series(0, 9) i));
SELECT count(*) FROM produce_batch('group_forms_one', ARRAY(SELECT 'value ' || i FROM generate_series(10, 19) i));
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms', 'group_forms_one', 3);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms', 'group_forms_one', 9);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms', 'group_forms_one', 2147483647);
-- of several partitions together
SELECT count(*) FROM generate_series(0, 1) p, produce_batch('group_forms', NULL, ARRAY['a', 'b', 'c'], partition => p);
SELECT count(*) FROM consume('group_forms_max', 'group_forms', 8);
SELECT delete_group('group_forms_max');

-- max_bytes: of keys, values and headers, but one record at least
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_bytes', 'group_forms_one', max_bytes => 1);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_bytes', 'group_forms_one', max_bytes => 14);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_bytes', 'group_forms_one', max_bytes => 20);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_bytes', 'group_forms_one', max_bytes => 21);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_bytes', 'group_forms_one', 2, max_bytes => 1000);

-- at most 64 partitions a call, since each takes a lock
SELECT count(produce('group_forms_many', NULL::text, 'x', partition => p)) FROM generate_series(0, 69) p;
SELECT count(*), count(DISTINCT _partition) FROM consume('group_forms', 'group_forms_many');
SELECT count(*), count(DISTINCT _partition) FROM consume('group_forms', 'group_forms_many');
SELECT count(*) FROM consume('group_forms', 'group_forms_many');

-- but it finds those that have records
SELECT create_topic('group_forms_sparse', 100), create_group('group_forms', 'group_forms_sparse'), create_group('group_forms_2', 'group_forms_sparse');
SELECT _partition FROM produce('group_forms_sparse', NULL::text, 'x', partition => 90);
CALL wait_for_records('group_forms', 'group_forms_sparse', '0');
SELECT _partition, value FROM consume('group_forms', 'group_forms_sparse');
SELECT _partition, value FROM consume('group_forms_2', 'group_forms_sparse');

-- LIMIT is no argument: the position moves past all that was read
SELECT _offset FROM consume('group_forms_limit', 'group_forms_one', 5) LIMIT 1;
SELECT _offset FROM consume('group_forms_limit', 'group_forms_one', 1);

-- in places where functions may stand
SELECT (consume('group_forms_place', 'group_forms_one', 1)).value;
SELECT p, c.value FROM generate_series(1, 2) p, LATERAL consume('group_forms_place', 'group_forms_one', p) c ORDER BY 1, _offset;
WITH c AS (SELECT * FROM consume('group_forms_place', 'group_forms_one', 2)) SELECT count(*) FROM c a, c b;
SELECT _offset FROM consume('group_forms_place', 'group_forms_one', 1) UNION ALL SELECT _offset FROM consume('group_forms_place', 'group_forms_one', 1);
CREATE TEMP TABLE consumed AS SELECT * FROM consume('group_forms_place', 'group_forms_one', 2);
INSERT INTO consumed SELECT * FROM consume('group_forms_place', 'group_forms_one', 2);
SELECT string_agg(_offset::text, ' ' ORDER BY _offset) FROM consumed;
PREPARE call(text, text, int) AS SELECT _offset FROM consume($1, $2, $3);
EXECUTE call('group_forms_place', 'group_forms_one', 1);
EXECUTE call('group_forms_place', 'group_forms_one', 1);
SELECT count(*) FROM consume('group_forms_place', 'group_forms_one') WHERE false;
SELECT count(*) FROM consume('group_forms_place', 'group_forms_one') WHERE _offset < 0;
SELECT count(*) FROM consume('group_forms_place', 'group_forms_one');

-- the same transaction reads on
BEGIN;
SELECT _offset FROM consume('group_forms_twice', 'group_forms_one', 1);
SELECT _offset FROM consume('group_forms_twice', 'group_forms_one', 1);
SAVEPOINT s;
SELECT _offset FROM consume('group_forms_twice', 'group_forms_one', 1);
ROLLBACK TO s;
SELECT _offset FROM consume('group_forms_twice', 'group_forms_one', 1);
COMMIT;
SELECT _offset FROM consume('group_forms_twice', 'group_forms_one', 1);

-- cursors and savepoints: a cursor keeps its rows when a savepoint is rolled back
BEGIN;
DECLARE c CURSOR FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 3);
FETCH 1 FROM c;
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK TO s;
FETCH 2 FROM c;
COMMIT;
BEGIN;
DECLARE c CURSOR FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 3);
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK;
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 3);
FETCH 1 FROM c;
RELEASE s;
FETCH 1 FROM c;
SAVEPOINT t;
FETCH 1 FROM c;
COMMIT;
BEGIN;
SAVEPOINT s;
DECLARE c CURSOR FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 3);
RELEASE s;
FETCH ALL FROM c;
COMMIT;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 2);
COMMIT;
FETCH ALL FROM c;
CLOSE c;
SELECT next_offset FROM group_forms_positions WHERE name = 'group_forms_cursor';
-- a cursor that nobody fetched from has not consumed
BEGIN;
DECLARE c CURSOR FOR SELECT _offset FROM consume('group_forms_cursor', 'group_forms_one', 2);
COMMIT;
SELECT next_offset FROM group_forms_positions WHERE name = 'group_forms_cursor';

-- PL/pgSQL: blocks with EXCEPTION are subtransactions
DO $$
DECLARE
	r record;
	c refcursor;
	d refcursor;
	n bigint;
BEGIN
	BEGIN
		SELECT _offset INTO n FROM consume('group_forms_plpgsql', 'group_forms_one', 1);
		RAISE WARNING 'in a block: %', n;
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	SELECT _offset INTO n FROM consume('group_forms_plpgsql', 'group_forms_one', 1);
	RAISE WARNING 'again: %', n;
	BEGIN
		FOR r IN SELECT _offset FROM consume('group_forms_plpgsql', 'group_forms_one', 2) LOOP
			RAISE WARNING 'in a loop: %', r._offset;
		END LOOP;
		EXECUTE 'SELECT _offset FROM consume($1, $2, 1)' INTO n USING 'group_forms_plpgsql', 'group_forms_one';
		RAISE WARNING 'EXECUTE: %', n;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
	OPEN c FOR SELECT _offset FROM consume('group_forms_plpgsql', 'group_forms_one', 2);
	BEGIN
		FETCH c INTO n;
		RAISE WARNING 'never: %', n;
	EXCEPTION WHEN object_not_in_prerequisite_state THEN
		RAISE WARNING '%', SQLERRM;
	END;
	BEGIN
		OPEN d FOR SELECT _offset FROM consume('group_forms_plpgsql', 'group_forms_one', 2);
		FETCH d INTO n;
		RAISE WARNING 'cursor of the block: %', n;
	EXCEPTION WHEN division_by_zero THEN
		NULL;
	END;
END
$$;
SELECT next_offset FROM group_forms_positions WHERE name = 'group_forms_plpgsql';
-- in a function called from a savepoint's cursor, and with COMMIT in a loop
CREATE FUNCTION group_forms_next() RETURNS SETOF bigint LANGUAGE sql
	AS $$ SELECT _offset FROM consume('group_forms_plpgsql', 'group_forms_one', 1) $$;
SELECT group_forms_next();
BEGIN;
DECLARE c CURSOR FOR SELECT group_forms_next();
SAVEPOINT s;
FETCH 1 FROM c;
ROLLBACK;
DO $$
DECLARE
	n bigint;
BEGIN
	FOR i IN 1 .. 3 LOOP
		SELECT group_forms_next() INTO n;
		IF i = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
		RAISE WARNING 'turn %: %', i, n;
	END LOOP;
END
$$;

-- where a group starts
SELECT create_topic('group_forms_start');
SELECT _offset FROM produce('group_forms_start', 'k', 'early', record_time => '2026-01-01 00:00:00+00');
SELECT create_group('group_forms_earliest', 'group_forms_start');
SELECT create_group('group_forms_latest', 'group_forms_start', 'latest');
SELECT create_group(consumer_group => 'group_forms_none', topic => 'group_forms_start', start_at => 'none');
SELECT _offset FROM produce('group_forms_start', 'k', 'later', record_time => '2026-01-03 00:00:00.001+00');
SELECT _offset FROM produce('group_forms_start', 'k', 'again', record_time => '2026-01-01 00:00:00+00');
SELECT create_group('group_forms_time', 'group_forms_start', start_time => '2026-01-03 00:00:00.0005+00');
SELECT create_group('group_forms_never', 'group_forms_start', start_time => '2200-01-01 00:00:00+00');
SELECT create_group('group_forms_ever', 'group_forms_start', start_time => '1999-01-01 00:00:00+00');
SELECT count(*), min(_offset) FROM consume('group_forms_earliest', 'group_forms_start');
SELECT count(*), min(_offset) FROM consume('group_forms_latest', 'group_forms_start');
SELECT count(*), min(_offset) FROM consume('group_forms_time', 'group_forms_start');
SELECT count(*), min(_offset) FROM consume('group_forms_never', 'group_forms_start');
SELECT count(*), min(_offset) FROM consume('group_forms_ever', 'group_forms_start');
SELECT * FROM consume('group_forms_none', 'group_forms_start');
CALL wait_for_records('group_forms_none', 'group_forms_start', '0');
SELECT name, next_offset FROM group_forms_positions WHERE topic = 'group_forms_start';

-- one group, another start for each topic
SELECT create_group('group_forms_earliest', 'group_forms_jsonb', 'latest');
SELECT count(*) FROM consume('group_forms_earliest', 'group_forms_jsonb');

-- wait_for_records
CALL wait_for_records('group_forms_latest', 'group_forms_start', '0');
CALL wait_for_records('group_forms_latest', NULL, '0');
SELECT _offset FROM produce('group_forms_start', 'x');
CALL wait_for_records('group_forms_latest', 'group_forms_start', '1 min');
CALL wait_for_records('group_forms_latest', NULL, max_wait => '1 min');
CALL wait_for_records(consumer_group => 'group_forms_latest', topic => 'group_forms_start', max_wait => '1 min', ready => NULL);
SELECT count(*) FROM consume('group_forms_latest', 'group_forms_start');
CALL wait_for_records('group_forms_latest', 'group_forms_start', '0');
-- of a group that does not exist; it is not made
CALL wait_for_records('group_forms_nobody', 'group_forms_start', '1 min');
CALL wait_for_records('group_forms_nobody', NULL, '1 min');
SELECT count(*) FROM qtopic_internal.groups WHERE name = 'group_forms_nobody';

-- delete_offsets and delete_group
SELECT delete_offsets('group_forms_earliest', 'group_forms_start', 0), delete_offsets('group_forms_earliest', 'group_forms_start');
SELECT min(_offset) FROM consume('group_forms_earliest', 'group_forms_start');
SELECT delete_offsets('group_forms', 'group_forms_many');
SELECT delete_offsets('group_forms_latest', 'group_forms_start', partition => NULL);
SELECT count(*) FROM consume('group_forms_latest', 'group_forms_start');
SELECT delete_group('group_forms_never');
SELECT count(*) FROM group_forms_positions WHERE name = 'group_forms_never';
SELECT min(_offset) FROM consume('group_forms_never', 'group_forms_start');

-- out of range: the log start passes the position, as delete_records moves it
SELECT create_topic('group_forms_range');
SELECT count(*) FROM produce_batch('group_forms_range', ARRAY(SELECT i::text FROM generate_series(0, 9) i));
SELECT create_group('group_forms_r_none', 'group_forms_range');
SELECT count(*) FROM consume('group_forms_r_earliest', 'group_forms_range', 2);
SELECT count(*) FROM consume('group_forms_r_exact', 'group_forms_range', 5);
SELECT count(*) FROM consume('group_forms_r_none', 'group_forms_range', 2);
UPDATE qtopic_internal.group_topics SET start_at = 'none' WHERE group_id = (SELECT group_id FROM qtopic_internal.groups WHERE name = 'group_forms_r_none');
SELECT create_group('group_forms_r_latest', 'group_forms_range', 'latest');
SELECT create_group('group_forms_r_time', 'group_forms_range', start_time => '1999-01-01 00:00:00+00');
SELECT delete_offsets('group_forms_r_time', 'group_forms_range');
SELECT count(*) FROM consume('group_forms_r_time', 'group_forms_range', 1);
UPDATE qtopic_internal.partitions SET log_start_offset = 5 WHERE topic_id = (SELECT topic_id FROM qtopic_internal.topics WHERE name = 'group_forms_range');
-- so that caches notice
SELECT alter_topic('group_forms_range', config => '{"retention.ms": 1000000000}');
SELECT log_start_offset FROM partition_offsets('group_forms_range');
\set VERBOSITY sqlstate
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_earliest', 'group_forms_range', 2);
\set VERBOSITY default
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_earliest', 'group_forms_range');
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_exact', 'group_forms_range', 2);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_time', 'group_forms_range', 2);
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_none', 'group_forms_range', 2);
CALL wait_for_records('group_forms_r_none', 'group_forms_range', '0');
-- the latest group was at 10; and one that falls out of range
UPDATE qtopic_internal.positions SET next_offset = 3 WHERE gt_id = (SELECT gt_id FROM qtopic_internal.group_topics JOIN qtopic_internal.groups USING (group_id) WHERE name = 'group_forms_r_latest');
SELECT _offset FROM produce('group_forms_range', 'eleventh');
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_latest', 'group_forms_range');
SELECT _offset FROM produce('group_forms_range', 'twelfth');
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_latest', 'group_forms_range');
-- above the end, as after the loss of a server
UPDATE qtopic_internal.positions SET next_offset = 1000 WHERE gt_id = (SELECT gt_id FROM qtopic_internal.group_topics JOIN qtopic_internal.groups USING (group_id) WHERE name = 'group_forms_r_exact');
SELECT string_agg(_offset::text, ' ') FROM consume('group_forms_r_exact', 'group_forms_range');
SELECT name, next_offset FROM group_forms_positions WHERE topic = 'group_forms_range';
-- in a log that is empty from its start on
SELECT create_topic('group_forms_empty');
SELECT count(*) FROM produce_batch('group_forms_empty', ARRAY['0', '1', '2']);
SELECT count(*) FROM consume('group_forms_empty', 'group_forms_empty', 1);
UPDATE qtopic_internal.partitions SET log_start_offset = 3 WHERE topic_id = (SELECT topic_id FROM qtopic_internal.topics WHERE name = 'group_forms_empty');
SELECT alter_topic('group_forms_empty', config => '{"retention.ms": 1000000000}');
SELECT count(*) FROM consume('group_forms_empty', 'group_forms_empty');
SELECT count(*) FROM consume('group_forms_empty', 'group_forms_empty');
SELECT count(*) FROM consume('group_forms_empty_2', 'group_forms_empty');
SELECT _offset FROM produce('group_forms_empty', '3');
SELECT value FROM consume('group_forms_empty', 'group_forms_empty');
SELECT value FROM consume('group_forms_empty_2', 'group_forms_empty');

-- a topic of the same name is another one
SELECT drop_topic('group_forms_one');
SELECT count(*) FROM group_forms_positions WHERE topic = 'group_forms_one';
SELECT create_topic('group_forms_one');
SELECT _offset FROM produce('group_forms_one', 'new');
SELECT value FROM consume('group_forms', 'group_forms_one');
SELECT value FROM consume('group_forms_place', 'group_forms_one');

SELECT drop_topic(topic) FROM qtopic_topics WHERE topic LIKE 'group\_forms%';
TABLE group_forms_positions;
SELECT count(delete_group(name)) > 10 AS deleted FROM qtopic_internal.groups WHERE name LIKE 'group\_forms%';
DROP FUNCTION group_forms_next();
DROP VIEW group_forms_positions;
