-- code: rights.  Functions check the rights on a topic's relation in C, as the
-- calling user, so all may execute them.

GRANT USAGE ON SCHEMA qtopic TO PUBLIC;
GRANT SELECT ON qtopic_topics, qtopic_partitions TO PUBLIC;

-- default privileges must not open the catalog
DO $$
DECLARE
	command text;
BEGIN
	FOR command IN
		SELECT pg_catalog.format('REVOKE ALL ON %s qtopic_internal.%I FROM %s CASCADE',
								 CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname,
								 CASE a.grantee WHEN 0 THEN 'PUBLIC'
									  ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)
		  FROM pg_catalog.pg_class c
		 CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
		 WHERE c.relnamespace = 'qtopic_internal'::pg_catalog.regnamespace
		   AND c.relkind IN ('r', 'S') AND a.grantee <> c.relowner
	LOOP
		EXECUTE command;
	END LOOP;
END
$$;
