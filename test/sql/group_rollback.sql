--
-- What a transaction has changed and rolled back is nothing that other sessions
-- of a group may have learned of: they see the records as before.
--
-- Seen to fail: mutant position_of_uncommitted.
--
SET client_min_messages = warning;

-- records that were deleted
SELECT create_topic('group_rollback'), create_group('group_rollback', 'group_rollback');
SELECT record_count FROM produce_batch('group_rollback', ARRAY['a', 'b', 'c']);
BEGIN;
SELECT delete_records('group_rollback', 0, -1);
SELECT count(*) FROM consume('group_rollback', 'group_rollback');
ROLLBACK;
CALL wait_for_records('group_rollback', 'group_rollback', '0');
SELECT string_agg(_offset::text, ' ') FROM consume('group_rollback', 'group_rollback');

-- the same with a savepoint, in a transaction that commits
SELECT record_count FROM produce_batch('group_rollback', ARRAY['d', 'e']);
BEGIN;
SAVEPOINT s;
SELECT delete_records('group_rollback', 0, -1);
SELECT count(*) FROM consume('group_rollback', 'group_rollback');
ROLLBACK TO s;
COMMIT;
SELECT string_agg(_offset::text, ' ') FROM consume('group_rollback', 'group_rollback');

-- a partition that was added, and is made again
BEGIN;
SELECT alter_topic('group_rollback', 2);
SAVEPOINT s;
SELECT record_count FROM produce_batch('group_rollback', NULL, ARRAY['f', 'g', 'h', 'i'], partition => 1);
ROLLBACK TO s;
SELECT count(*) FROM consume('group_rollback', 'group_rollback');
ROLLBACK;
SELECT alter_topic('group_rollback', 2);
SELECT record_count FROM produce_batch('group_rollback', NULL, ARRAY['j', 'k'], partition => 1);
SELECT string_agg(_offset::text || value, ' ') FROM consume('group_rollback', 'group_rollback');

SELECT drop_topic('group_rollback'), delete_group('group_rollback');
