--
-- Loops of PL/pgSQL over consume() that commit or roll back in their body: the
-- loop keeps its records, which a rollback gives back to the group, and a
-- commit moves the position past those that were not processed yet.
--
-- Seen to fail: mutants loop_commits, loop_rolls_back and loop_is_never_over.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT create_topic('group_loops');
SELECT count(*) FROM produce_batch('group_loops', ARRAY(SELECT 'value ' || i FROM generate_series(0, 4) i));
CREATE TABLE group_loops_done (_offset bigint, loop text);

-- COMMIT in the body
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM consume('group_loops', 'group_loops') LOOP
		INSERT INTO group_loops_done VALUES (r._offset, 'commits');
		COMMIT;
	END LOOP;
END
$$;
SELECT count(*) FROM group_loops_done;
-- the group has moved nowhere, and the next statement works
BEGIN;
SELECT string_agg(_offset::text, ' ') FROM consume('group_loops', 'group_loops');
ROLLBACK;

-- ROLLBACK in the body, which goes on with what was given back
DO $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN SELECT * FROM consume('group_loops', 'group_loops') LOOP
		INSERT INTO group_loops_done VALUES (r._offset, 'rolls back');
		n := n + 1;
		IF n = 1 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END
$$;
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM consume('group_loops', 'group_loops') LOOP
		ROLLBACK;
		INSERT INTO group_loops_done VALUES (r._offset, 'rolls back each');
	END LOOP;
END
$$;
TABLE group_loops_done;
-- nothing was done, and all is still there
BEGIN;
SELECT string_agg(_offset::text, ' ') FROM consume('group_loops', 'group_loops');
ROLLBACK;

-- loops that end before the transaction
DO $$
DECLARE
	r record;
BEGIN
	FOR turn IN 1 .. 3 LOOP
		FOR r IN SELECT * FROM consume('group_loops', 'group_loops', 1) LOOP
			INSERT INTO group_loops_done VALUES (r._offset, 'turn ' || turn);
		END LOOP;
		IF turn = 2 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
	FOR r IN SELECT * FROM consume('group_loops', 'group_loops', 1) LOOP
		INSERT INTO group_loops_done VALUES (r._offset, 'exit');
		EXIT;
	END LOOP;
	COMMIT;
	-- an exception block rolls back to where the loop does not go on
	BEGIN
		FOR r IN SELECT * FROM consume('group_loops', 'group_loops', 1) LOOP
			INSERT INTO group_loops_done VALUES (r._offset, 'never');
			PERFORM 1 / 0;
		END LOOP;
	EXCEPTION WHEN division_by_zero THEN
		INSERT INTO group_loops_done VALUES (NULL, 'division');
	END;
	-- one in the body only what it has done itself
	FOR r IN SELECT * FROM consume('group_loops', 'group_loops', 1) LOOP
		BEGIN
			INSERT INTO group_loops_done VALUES (r._offset, 'never');
			PERFORM 1 / 0;
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO group_loops_done VALUES (r._offset, 'failed');
		END;
	END LOOP;
	COMMIT;
END
$$;
TABLE group_loops_done;
SELECT string_agg(_offset::text, ' ') FROM consume('group_loops', 'group_loops');

SELECT drop_topic('group_loops'), delete_group('group_loops');
DROP TABLE group_loops_done;
