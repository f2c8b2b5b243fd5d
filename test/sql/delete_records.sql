--
-- delete_records: how far the log start offset moves, who may move it, and what
-- readers then see.
--
-- Seen to fail: mutants delete_above_stable, delete_goes_back,
-- delete_leaves_cache, delete_from_compacted, delete_below_shown and
-- creator_not_checked.
--
\set SHOW_CONTEXT never

SELECT create_topic('delete_records', 2);
SELECT * FROM produce_batch('delete_records', NULL::text[], ARRAY['a', 'b', 'c', 'd', 'e'], partition => 0);
SELECT * FROM produce_batch('delete_records', NULL::text[], ARRAY['f', 'g', 'h'], partition => 0);
SELECT * FROM produce_batch('delete_records', NULL::text[], ARRAY['other'], partition => 1);

CREATE FUNCTION pg_temp.log(OUT fetched text, OUT scanned text, OUT counted bigint, OUT backward text) LANGUAGE plpgsql AS $$
BEGIN
    SELECT string_agg(_offset || '=' || value, ' ') INTO fetched
      FROM partition_offsets('delete_records') p, fetch_records('delete_records', 0, p.log_start_offset)
     WHERE p._partition = 0;
    SELECT string_agg(_offset || '=' || value, ' ') INTO scanned FROM qtopic.delete_records WHERE _partition = 0;
    SELECT count(*) INTO counted FROM qtopic.delete_records WHERE _partition = 0;
    SELECT string_agg(_offset || '=' || value, ' ') INTO backward
      FROM (SELECT * FROM qtopic.delete_records WHERE _partition = 0 ORDER BY _offset DESC) r;
END $$;

-- nothing to move
SELECT delete_records('delete_records', 0, 0);
SELECT * FROM pg_temp.log();

-- into the middle of a batch; the other partition stays as it is
SELECT delete_records('delete_records', 0, 3);
SELECT * FROM pg_temp.log();
SELECT * FROM partition_offsets('delete_records') ORDER BY 1;
SELECT log_start_offset FROM qtopic_partitions WHERE topic = 'delete_records' ORDER BY partition;
SELECT value FROM qtopic.delete_records WHERE _partition = 1;
SELECT value FROM qtopic.delete_records WHERE _partition = 0 AND _offset < 5;
SELECT min(_offset), max(_offset) FROM qtopic.delete_records WHERE _partition = 0;
SELECT offset_for_time('delete_records', 0, '-infinity');
SELECT _offset FROM fetch_records('delete_records', 0, 2);
SELECT _offset FROM fetch_records('delete_records', 0, 3, max_records => 1);

-- never back
SELECT delete_records('delete_records', 0, 1);
SELECT delete_records('delete_records', 0, 3);
SELECT delete_records('delete_records', 0, 0);
SELECT * FROM pg_temp.log();

-- not above the last stable offset
SELECT delete_records('delete_records', 0, 9);
SELECT delete_records('delete_records', 0, 9223372036854775807);
SELECT delete_records('delete_records', 0, -2);
BEGIN;
SELECT _offset FROM produce('delete_records', NULL::text, 'mine', partition => 0);
SELECT delete_records('delete_records', 0, 9);
ROLLBACK;
BEGIN;
SELECT _offset FROM produce('delete_records', NULL::text, 'mine', partition => 0);
SELECT delete_records('delete_records', 0, -1);
SELECT last_stable_offset FROM partition_offsets('delete_records') WHERE _partition = 0;
ROLLBACK;

-- a rollback leaves nothing, also that of a savepoint
SELECT * FROM pg_temp.log();
BEGIN;
SELECT delete_records('delete_records', 0, 4);
SAVEPOINT s;
SELECT delete_records('delete_records', 0, 6);
SELECT * FROM pg_temp.log();
ROLLBACK TO s;
SELECT * FROM pg_temp.log();
COMMIT;
SELECT * FROM pg_temp.log();

-- everything; the offsets of an aborted transaction are a gap below
SELECT delete_records('delete_records', 0, -1) = next_offset AS all_of_it
  FROM partition_offsets('delete_records') WHERE _partition = 0;
SELECT * FROM pg_temp.log();
SELECT delete_records('delete_records', 0, -1) = log_start_offset AS no_further
  FROM partition_offsets('delete_records') WHERE _partition = 0;
SELECT _offset > 7 AS goes_on FROM produce('delete_records', NULL::text, 'next', partition => 0);
SELECT fetched LIKE '%=next', scanned LIKE '%=next', counted FROM pg_temp.log();

-- arguments
SELECT delete_records('delete_records', 2, 0);
SELECT delete_records('delete_records', -1, 0);
SELECT delete_records('no such topic', 0, 0);
SELECT delete_records(NULL, 0, 0);
SELECT delete_records('delete_records', NULL, 0);
SELECT delete_records('delete_records', 0, NULL);
BEGIN READ ONLY;
SELECT delete_records('delete_records', 1, 1);
ROLLBACK;

-- rights: members of the creator, not those who may read and produce
CREATE ROLE regress_delete_creator;
CREATE ROLE regress_delete_member IN ROLE regress_delete_creator;
CREATE ROLE regress_delete_other;
GRANT CREATE ON SCHEMA qtopic TO regress_delete_creator;
SET ROLE regress_delete_creator;
SELECT create_topic('delete_rights');
SELECT * FROM produce_batch('delete_rights', ARRAY['a', 'b']);
GRANT ALL ON qtopic.delete_rights TO regress_delete_other;
SET ROLE regress_delete_other;
SELECT delete_records('delete_rights', 0, 1);
SET ROLE regress_delete_member;
SELECT delete_records('delete_rights', 0, 1);
RESET ROLE;
SELECT delete_records('delete_rights', 0, 2);

-- a topic that is only compacted keeps the last record of each key
SELECT create_topic('delete_compacted', 1, '{"cleanup.policy": "compact"}');
SELECT _offset FROM produce('delete_compacted', 'k', 'v'::text);
SELECT delete_records('delete_compacted', 0, 1);
SELECT delete_records('delete_compacted', 0, 0);
SELECT alter_topic('delete_compacted', config => '{"cleanup.policy": "compact,delete"}');
SELECT delete_records('delete_compacted', 0, 1);

SELECT drop_topic(topic) FROM unnest(ARRAY['delete_records', 'delete_rights', 'delete_compacted']) AS topic;
REVOKE CREATE ON SCHEMA qtopic FROM regress_delete_creator;
DROP ROLE regress_delete_member, regress_delete_creator, regress_delete_other;
