-- code: rights.  Functions check the rights on a topic's relation in C, as the
-- calling user, so all may execute them.

-- default privileges must not open anything
DO $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT pg_catalog.format('REVOKE ALL ON %s FROM %s CASCADE', o.name,
								 CASE a.grantee WHEN 0 THEN 'PUBLIC'
									  ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)
		  FROM (SELECT pg_catalog.format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, n.nspname, c.relname) AS name,
					   c.relacl AS acl, c.relowner AS owner
				  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
				 WHERE c.relkind IN ('r', 'S') AND n.nspname = 'qtopic_internal'
					OR c.oid IN ('qtopic_topics'::pg_catalog.regclass, 'qtopic_partitions'::pg_catalog.regclass,
							 'qtopic_groups'::pg_catalog.regclass, 'qtopic_group_lag'::pg_catalog.regclass,
							 'qtopic_group_members'::pg_catalog.regclass)
				UNION ALL
				SELECT pg_catalog.format('SCHEMA %I', n.nspname), n.nspacl, n.nspowner
				  FROM pg_catalog.pg_namespace n
				 WHERE n.nspname = 'qtopic_internal' OR n.nspname = 'qtopic' AND '@extschema@' <> 'qtopic'
				UNION ALL
				SELECT 'FUNCTION ' || p.oid::pg_catalog.regprocedure, p.proacl, p.proowner
				  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
				 WHERE n.nspname = 'qtopic_internal' AND p.proname NOT IN ('fdw_handler', 'fdw_validator', 'partition_states', 'group_positions', 'group_last_seen', 'member_last_seen')) o
		 CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
		 WHERE a.grantee <> o.owner
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA qtopic TO PUBLIC;
GRANT SELECT ON qtopic_topics, qtopic_partitions, qtopic_groups, qtopic_group_lag, qtopic_group_members TO PUBLIC;

REVOKE EXECUTE ON FUNCTION qtopic_internal.expire_positions(timestamptz) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION qtopic_internal.expire_members(timestamptz) FROM PUBLIC;
