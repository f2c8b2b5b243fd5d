-- The last stable offset is never inside a batch whose transaction is open,
-- even after a snapshot has been stopped by the batch and another read has
-- begun in its middle: who starts there ("latest") would miss its first records.
-- Seen to fail when a scan published the last offset of the batch that had
-- stopped it as settled.

SELECT create_topic('stable');

BEGIN;
SELECT * FROM produce_batch('stable', ARRAY['a', 'b', 'c']);
PREPARE TRANSACTION 'stable_offset';

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM fetch_records('stable', 0, 0);
SELECT count(*) FROM fetch_records('stable', 0, 2);
SELECT count(*) FROM qtopic.stable WHERE _offset >= 1;
COMMIT;

SELECT last_stable_offset FROM partition_offsets('stable') \gset
SELECT :last_stable_offset AS last_stable_offset;

COMMIT PREPARED 'stable_offset';
SELECT value FROM fetch_records('stable', 0, :last_stable_offset);

SELECT drop_topic('stable');
