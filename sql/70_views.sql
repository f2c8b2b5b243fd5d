-- code: views.

CREATE VIEW qtopic_topics WITH (security_barrier) AS
SELECT t.name AS topic,
	   t.partitions,
	   coalesce(t.config OPERATOR(pg_catalog.->>) 'key.format', 'text') AS key_format,
	   coalesce(t.config OPERATOR(pg_catalog.->>) 'value.format', 'text') AS value_format,
	   t.config,
	   pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation,
	   pg_catalog.pg_get_userbyid(t.creator) AS creator,
	   t.created
  FROM qtopic_internal.topics t
  JOIN pg_catalog.pg_class c ON c.relname OPERATOR(pg_catalog.=) t.relation
  JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_roles o ON o.oid OPERATOR(pg_catalog.=) c.relowner
 WHERE n.nspname OPERATOR(pg_catalog.=) 'qtopic'
   AND o.rolsuper
   AND (pg_catalog.has_table_privilege(c.oid, 'SELECT')
		OR pg_catalog.has_table_privilege(c.oid, 'INSERT')
		OR pg_catalog.pg_has_role(t.creator::oid, 'USAGE'));
COMMENT ON VIEW qtopic_topics IS
	'The topics that the current user may read, produce to or administer; config shows what was set explicitly.';

CREATE VIEW qtopic_partitions WITH (security_barrier) AS
SELECT t.topic,
	   s.partition,
	   s.log_start_offset,
	   s.last_stable_offset,
	   s.next_offset,
	   s.segments,
	   s.blocked_by_pid,
	   p.gid AS blocked_by_gid,
	   pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) coalesce(s.blocked_since, p.prepared) AS blocked_for
  FROM qtopic_topics t
 CROSS JOIN LATERAL qtopic_internal.partition_states(t.topic) s
  LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction OPERATOR(pg_catalog.=) s.blocked_by;
COMMENT ON VIEW qtopic_partitions IS
	'Offsets of the partitions that the current user may read.  blocked_by_pid or blocked_by_gid is the open or prepared transaction at which readers stop now, blocked_for how long it has been open.';
