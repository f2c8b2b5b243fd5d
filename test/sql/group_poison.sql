-- A partition whose records make their transactions fail does not keep the group
-- from the others, also if all fit into one call; and it shows.
-- Seen to fail: mutant poison_read_with_others.
\set VERBOSITY terse
SELECT create_topic('group_poison', 3);
SELECT create_group('group_poison', 'group_poison');
SELECT count(produce('group_poison', NULL::text, 'v', partition => i % 3)) FROM generate_series(0, 8) i;
CREATE TABLE processed (part int, pos bigint, turn int);
CREATE FUNCTION take_turn(turn int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO processed SELECT _partition, _offset, turn FROM consume('group_poison', 'group_poison');
	IF EXISTS (SELECT FROM processed WHERE part = 1) THEN
		RAISE data_exception;
	END IF;
	RETURN 'good';
EXCEPTION WHEN data_exception THEN
	RETURN 'failed';
END $$;
SELECT format('SELECT take_turn(%s)', i) FROM generate_series(1, 7) i \gexec
SELECT part, count(*) FROM processed GROUP BY 1 ORDER BY 1;
SELECT partition, lag, rollbacks > 3 AS poison FROM qtopic_group_lag
 WHERE consumer_group = 'group_poison' ORDER BY 1;

-- what comes meanwhile is read
SELECT count(produce('group_poison', NULL::text, 'v', partition => i % 3)) FROM generate_series(0, 8) i;
SELECT format('SELECT take_turn(%s)', i) FROM generate_series(8, 9) i \gexec
SELECT part, count(*) FROM processed GROUP BY 1 ORDER BY 1;

-- and it ends with the poison
SELECT * FROM reset_offsets('group_poison', 'group_poison', 'latest', partition => 1);
SELECT partition, lag, rollbacks FROM qtopic_group_lag WHERE consumer_group = 'group_poison' ORDER BY 1;

DROP FUNCTION take_turn(int);
DROP TABLE processed;
SELECT delete_group('group_poison');
SELECT drop_topic('group_poison');
