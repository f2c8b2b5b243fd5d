--
-- Rights on the relation of a topic: columns, views, functions, policies, and
-- that no kind of access goes round them.
--
-- Seen to fail: mutant right_to_any_column.
--
\set SHOW_CONTEXT never
SET client_min_messages = notice;
SELECT create_topic('rp', 2), create_topic('rp_other');
INSERT INTO qtopic.rp (_partition, key, value) SELECT i % 2, 'key ' || i, 'secret ' || i FROM generate_series(0, 9) i;
INSERT INTO qtopic.rp_other (key, value) VALUES ('other', 'of another topic');
ANALYZE qtopic.rp;
CREATE ROLE regress_qtopic_column;

-- columns: those that were granted, for whatever the scan does by itself, too
GRANT SELECT (_offset, key), INSERT (key) ON qtopic.rp TO regress_qtopic_column;
SET ROLE regress_qtopic_column;
SELECT _offset, key FROM qtopic.rp WHERE _offset BETWEEN 1 AND 2 ORDER BY key;
SELECT count(*), count(_offset), min(_offset), max(_offset) FROM qtopic.rp;
SELECT key FROM qtopic.rp ORDER BY _offset DESC, key DESC LIMIT 1;
COPY (SELECT key FROM qtopic.rp WHERE _offset = 0 ORDER BY key) TO STDOUT;
SELECT count(*) FROM qtopic.rp a JOIN qtopic.rp b USING (key);
-- not the others: shown, in a condition, as an order, as a group, in the whole row
SELECT value FROM qtopic.rp;
SELECT * FROM qtopic.rp;
SELECT rp FROM qtopic.rp;
SELECT count(rp) FROM qtopic.rp;
SELECT to_jsonb(r) FROM qtopic.rp r;
SELECT key FROM qtopic.rp WHERE _partition = 0;
SELECT key FROM qtopic.rp WHERE _timestamp >= '2020-01-01';
SELECT key FROM qtopic.rp WHERE value LIKE 's%';
SELECT count(*) FROM qtopic.rp WHERE _partition = 0;
SELECT max(_offset) FROM qtopic.rp WHERE _partition = 0;
SELECT max(_offset) FROM qtopic.rp GROUP BY _partition;
SELECT key FROM qtopic.rp ORDER BY _partition, _offset;
SELECT count(*) FROM qtopic.rp a JOIN qtopic.rp b USING (_partition, _offset);
SELECT (SELECT value FROM qtopic.rp LIMIT 1);
SELECT tableoid FROM qtopic.rp;
SELECT key FROM qtopic.rp FOR UPDATE;
COPY (SELECT value FROM qtopic.rp) TO STDOUT;
EXPLAIN (COSTS OFF) SELECT value FROM qtopic.rp WHERE _partition = 0;
PREPARE rp_value AS SELECT value FROM qtopic.rp;
EXECUTE rp_value;
DEALLOCATE rp_value;
-- producing
INSERT INTO qtopic.rp (key) VALUES ('inserted') RETURNING key;
COPY qtopic.rp (key) FROM STDIN;
copied
\.
INSERT INTO qtopic.rp (key) VALUES ('x') RETURNING value;
INSERT INTO qtopic.rp (key) VALUES ('x') RETURNING *;
INSERT INTO qtopic.rp (key, value) VALUES ('x', 'x');
INSERT INTO qtopic.rp (key, _partition) VALUES ('x', 1);
INSERT INTO qtopic.rp DEFAULT VALUES;
INSERT INTO qtopic.rp_other (key) SELECT key FROM qtopic.rp;
COPY qtopic.rp (key, value) FROM STDIN;
x	x
\.
COPY qtopic.rp FROM STDIN;
\.
-- the functions show all columns, and want the right to all
SELECT * FROM fetch_records('rp', 0, 0);
SELECT _offset FROM fetch_records('rp', 0, 0);
SELECT * FROM fetch_records_bytea('rp', 0, 0);
SELECT * FROM partition_offsets('rp');
SELECT offset_for_time('rp', 0, '2020-01-01');
SELECT produce('rp', 'x');
SELECT produce('rp', 'k', NULL::text);
SELECT produce('rp', 'k', NULL::text, deferred => true);
SELECT produce_batch('rp', ARRAY['x']);
SELECT produce_batch('rp', ARRAY['x'], ARRAY[NULL]::text[]);
SELECT produce_batch_bytea('rp', ARRAY['x'::bytea], ARRAY[NULL]::bytea[]);
SELECT topic FROM qtopic_topics;
SELECT topic FROM qtopic_partitions;
-- statistics are of the columns that were granted
SELECT attname FROM pg_stats WHERE schemaname = 'qtopic' AND tablename = 'rp' ORDER BY attname;
RESET ROLE;

-- processes that share a scan have no other rights
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET cpu_operator_cost = 1000;
SET ROLE regress_qtopic_column;
EXPLAIN (COSTS OFF) SELECT count(*) FROM qtopic.rp WHERE md5(key) <> '' AND md5(key || 'x') <> '';
SELECT count(*) FROM qtopic.rp WHERE md5(key) <> '' AND md5(key || 'x') <> '';
SELECT count(*) FROM qtopic.rp WHERE md5(value) <> '' AND md5(value || 'x') <> '';
RESET ROLE;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET cpu_operator_cost;

-- views: the right of the view's owner, or with security_invoker one's own
CREATE VIEW rp_view AS SELECT * FROM qtopic.rp WHERE _offset < 1 AND value LIKE 'secret%';
CREATE VIEW rp_invoker WITH (security_invoker) AS SELECT _offset, key FROM qtopic.rp WHERE _offset < 1;
CREATE VIEW rp_invoker_all WITH (security_invoker) AS SELECT * FROM qtopic.rp WHERE _offset < 1;
CREATE VIEW rp_nested WITH (security_invoker) AS SELECT value FROM rp_view;
CREATE VIEW rp_view_of_invoker AS SELECT key, value FROM rp_invoker_all;
GRANT SELECT, INSERT ON rp_view, rp_invoker, rp_invoker_all, rp_nested, rp_view_of_invoker TO regress_qtopic_column;
SET ROLE regress_qtopic_column;
SELECT value FROM rp_view ORDER BY value;
SELECT value FROM rp_invoker_all;
SELECT key FROM rp_invoker ORDER BY key;
SELECT count(*), max(_offset) FROM rp_invoker;
SELECT value FROM rp_nested ORDER BY value;
SELECT value FROM rp_view_of_invoker;
-- and into them
INSERT INTO rp_view (_partition, key, value) VALUES (1, 'through a view', 'x') RETURNING _partition, _offset > 4 AS later, value;
INSERT INTO rp_invoker_all (key, value) VALUES ('x', 'x');
INSERT INTO rp_invoker (key) VALUES ('through security_invoker') RETURNING key;
UPDATE rp_view SET value = 'x';
DELETE FROM rp_view;
RESET ROLE;
REVOKE ALL (_offset, key) ON qtopic.rp FROM regress_qtopic_column;
SET ROLE regress_qtopic_column;
SELECT key FROM rp_invoker;
SELECT count(*) FROM rp_invoker;
SELECT count(*) FROM rp_view;
RESET ROLE;

-- a security barrier: a function that tells what it is given sees only what passes
-- the view's own conditions, whichever of them the scan applies
CREATE VIEW rp_barrier WITH (security_barrier) AS
	SELECT * FROM qtopic.rp WHERE _partition = 1 AND _offset < 3 AND key <> 'key 1';
GRANT SELECT ON rp_barrier TO regress_qtopic_column;
GRANT CREATE ON SCHEMA public TO regress_qtopic_column;
SET ROLE regress_qtopic_column;
CREATE FUNCTION rp_tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told: %', $1; RETURN true; END $$;
CREATE FUNCTION rp_tell(bigint) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told: %', $1; RETURN true; END $$;
SELECT key FROM rp_barrier WHERE rp_tell(value);
SELECT key FROM rp_barrier WHERE rp_tell(_offset) AND _offset > 1;
SELECT count(*) FROM rp_barrier WHERE rp_tell(key);
SELECT key FROM rp_barrier WHERE rp_tell(key) ORDER BY _offset DESC LIMIT 1;
EXPLAIN (COSTS OFF) SELECT key FROM rp_barrier WHERE rp_tell(value) AND _offset >= 1;
DROP FUNCTION rp_tell(text), rp_tell(bigint);
RESET ROLE;

-- SECURITY DEFINER: with the rights of the owner, in the functions of qtopic too
CREATE FUNCTION rp_definer() RETURNS text SECURITY DEFINER LANGUAGE sql SET search_path = public, pg_temp AS
	$$ SELECT (SELECT count(*) FROM qtopic.rp WHERE _offset < 3) || ' ' || (SELECT count(*) FROM fetch_records('rp', 0, 0, 3))
	       || ' ' || (SELECT _offset >= 0 FROM produce('rp', 'k', 'by the definer')) $$;
CREATE FUNCTION rp_caller() RETURNS bigint SECURITY INVOKER LANGUAGE sql AS $$ SELECT count(*) FROM qtopic.rp $$;
SET ROLE regress_qtopic_column;
SELECT rp_definer();
SELECT rp_caller();
RESET ROLE;
-- and the other way round: a superuser who calls gives nothing away
CREATE FUNCTION rp_lesser() RETURNS bigint SECURITY DEFINER LANGUAGE sql SET search_path = public, pg_temp AS $$ SELECT count(*) FROM qtopic.rp $$;
CREATE FUNCTION rp_lesser_fetch() RETURNS bigint SECURITY DEFINER LANGUAGE sql SET search_path = public, pg_temp AS $$ SELECT count(*) FROM fetch_records('rp', 0, 0) $$;
ALTER FUNCTION rp_lesser() OWNER TO regress_qtopic_column;
ALTER FUNCTION rp_lesser_fetch() OWNER TO regress_qtopic_column;
SELECT rp_lesser();
SELECT rp_lesser_fetch();
DROP FUNCTION rp_definer(), rp_caller(), rp_lesser(), rp_lesser_fetch();

-- row-level security and other things of tables
ALTER TABLE qtopic.rp ENABLE ROW LEVEL SECURITY;
ALTER FOREIGN TABLE qtopic.rp ENABLE ROW LEVEL SECURITY;
ALTER TABLE qtopic.rp FORCE ROW LEVEL SECURITY;
CREATE POLICY rp_policy ON qtopic.rp USING (true);
SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = 'qtopic.rp'::regclass;
CREATE RULE rp_rule AS ON INSERT TO qtopic.rp DO INSTEAD NOTHING;
BEGIN;
LOCK TABLE qtopic.rp;
ROLLBACK;

-- who may drop, alter or analyze it
SET ROLE regress_qtopic_column;
ALTER FOREIGN TABLE qtopic.rp OPTIONS (ADD topic 'rp_other');
DROP FOREIGN TABLE qtopic.rp;
ANALYZE qtopic.rp;
TRUNCATE qtopic.rp;
RESET ROLE;

DROP VIEW rp_view, rp_nested, rp_view_of_invoker, rp_invoker, rp_invoker_all, rp_barrier;
SELECT drop_topic('rp'), drop_topic('rp_other');
DROP OWNED BY regress_qtopic_column;
DROP ROLE regress_qtopic_column;
