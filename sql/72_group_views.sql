-- code: views of consumer groups.

CREATE VIEW qtopic_groups WITH (security_barrier) AS
SELECT g.name AS consumer_group,
	   pg_catalog.pg_get_userbyid(g.owner) AS owner,
	   (SELECT pg_catalog.array_agg(t.name ORDER BY t.name)
		  FROM qtopic_internal.group_topics gt
		  JOIN qtopic_internal.topics t ON t.topic_id OPERATOR(pg_catalog.=) gt.topic_id
		 WHERE gt.group_id OPERATOR(pg_catalog.=) g.group_id) AS topics,
	   (SELECT pg_catalog.count(DISTINCT l.virtualtransaction)
		  FROM qtopic_internal.group_topics gt
		  JOIN pg_catalog.pg_locks l ON l.classid OPERATOR(pg_catalog.=) gt.gt_id::pg_catalog.oid
		 WHERE gt.group_id OPERATOR(pg_catalog.=) g.group_id
		   AND l.locktype OPERATOR(pg_catalog.=) 'advisory'
		   AND l.objsubid OPERATOR(pg_catalog.=) 20553
		   AND l.granted
		   AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
												  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())) AS consumers,
	   greatest(g.last_active, qtopic_internal.group_last_seen(g.group_id)) AS last_active,
	   m.members,
	   CASE WHEN m.members OPERATOR(pg_catalog.=) 0 THEN NULL ELSE g.assignor END AS assignor,
	   g.group_epoch,
	   CASE WHEN m.members OPERATOR(pg_catalog.=) 0 THEN 'empty'
			WHEN EXISTS (SELECT FROM qtopic_internal.group_topics gt
						   JOIN qtopic_internal.ownership o ON o.gt_id OPERATOR(pg_catalog.=) gt.gt_id
						  WHERE gt.group_id OPERATOR(pg_catalog.=) g.group_id
							AND o.owner IS DISTINCT FROM o.target) THEN 'reconciling'
			ELSE 'stable' END AS state
  FROM qtopic_internal.groups g
 CROSS JOIN LATERAL (SELECT pg_catalog.count(*) AS members
					   FROM qtopic_internal.members m
					  WHERE m.group_id OPERATOR(pg_catalog.=) g.group_id AND NOT m.fenced) m
 WHERE pg_catalog.pg_has_role(g.owner::oid, 'USAGE')
	OR EXISTS (SELECT FROM qtopic_internal.group_topics gt
				 JOIN qtopic_internal.topics t ON t.topic_id OPERATOR(pg_catalog.=) gt.topic_id
				WHERE gt.group_id OPERATOR(pg_catalog.=) g.group_id
				  AND pg_catalog.pg_has_role(t.creator::oid, 'USAGE'));
COMMENT ON VIEW qtopic_groups IS
	'The consumer groups that the current user owns or whose topics it created.  consumers is how many transactions are consuming now; last_active when the group was last used.  members, assignor, group_epoch and state (empty, reconciling while partitions change hands, or stable) are those of join_group().';

CREATE VIEW qtopic_group_lag WITH (security_barrier) AS
SELECT g.consumer_group,
	   g.topic,
	   g.partition,
	   g.current_offset,
	   s.last_stable_offset AS log_end_offset,
	   CASE WHEN g.current_offset IS NULL THEN NULL
			WHEN g.next_timestamp IS NULL THEN 0
			ELSE greatest(s.last_stable_offset OPERATOR(pg_catalog.-) g.current_offset, 0) END AS lag,
	   coalesce(l.pid::text,
				(SELECT x.gid
				   FROM pg_catalog.pg_locks t
				   JOIN pg_catalog.pg_prepared_xacts x ON x.transaction OPERATOR(pg_catalog.=) t.transactionid
				  WHERE t.locktype OPERATOR(pg_catalog.=) 'transactionid'
					AND t.pid IS NULL
					AND t.virtualtransaction OPERATOR(pg_catalog.=) l.virtualtransaction
				  LIMIT 1)) AS consumer_id,
	   a.client_addr AS host,
	   a.application_name AS client_id,
	   CASE WHEN g.current_offset IS NULL THEN NULL
			WHEN g.next_timestamp IS NULL THEN 0
			ELSE greatest(0, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) g.next_timestamp))
			END AS lag_seconds,
	   s.blocked_by_pid,
	   s.blocked_by_gid,
	   s.blocked_for,
	   g.rollbacks,
	   m.member_id
  FROM qtopic_internal.group_positions() g
  JOIN qtopic_partitions s ON s.topic OPERATOR(pg_catalog.=) g.topic AND s.partition OPERATOR(pg_catalog.=) g.partition
  LEFT JOIN qtopic_internal.ownership o
	ON o.gt_id OPERATOR(pg_catalog.=) g.gt_id AND o.partition OPERATOR(pg_catalog.=) g.partition
  LEFT JOIN qtopic_internal.members m ON m.member_no OPERATOR(pg_catalog.=) o.owner
  LEFT JOIN pg_catalog.pg_locks l
	ON l.locktype OPERATOR(pg_catalog.=) 'advisory'
   AND l.classid OPERATOR(pg_catalog.=) g.gt_id::pg_catalog.oid
   AND l.objid OPERATOR(pg_catalog.=) g.partition::pg_catalog.oid
   AND l.objsubid OPERATOR(pg_catalog.=) 20553
   AND l.granted
   AND l.database OPERATOR(pg_catalog.=) (SELECT d.oid FROM pg_catalog.pg_database d
										   WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid;
COMMENT ON VIEW qtopic_group_lag IS
	'Positions of consumer groups, with the columns of kafka-consumer-groups --describe.  log_end_offset is the last stable offset, lag the offsets up to it that the group has not passed (0 if no record is left among them), lag_seconds the age of the next record.  consumer_id is the process or prepared transaction that is consuming the partition, member_id the member that owns it; blocked_by_pid or blocked_by_gid the transaction at which readers stop now, blocked_for how long it has been open; rollbacks how often records were read and given back since the position last moved: a record that always fails shows here.';

CREATE VIEW qtopic_group_members WITH (security_barrier) AS
SELECT g.name AS consumer_group,
	   m.member_id,
	   m.instance_id,
	   m.member_epoch,
	   g.group_epoch,
	   m.assignor,
	   CASE WHEN m.fenced THEN 'fenced'
			WHEN o.unrevoked THEN 'unrevoked_partitions'
			WHEN o.unreleased THEN 'unreleased_partitions'
			ELSE 'stable' END AS state,
	   coalesce(o.owned, '{}') AS assignment,
	   coalesce(o.target, '{}') AS target_assignment,
	   pg_catalog.make_interval(secs => m.session_ms OPERATOR(pg_catalog./) 1000.0::pg_catalog.float8) AS session_timeout,
	   qtopic_internal.member_last_seen(m.member_no) AS last_seen
  FROM qtopic_internal.members m
  JOIN qtopic_internal.groups g ON g.group_id OPERATOR(pg_catalog.=) m.group_id
 CROSS JOIN LATERAL
	   (SELECT pg_catalog.jsonb_object_agg(t.name, t.owned) FILTER (WHERE t.owned IS NOT NULL) AS owned,
			   pg_catalog.jsonb_object_agg(t.name, t.target) FILTER (WHERE t.target IS NOT NULL) AS target,
			   pg_catalog.bool_or(t.unrevoked) AS unrevoked,
			   pg_catalog.bool_or(t.unreleased) AS unreleased
		  FROM (SELECT t.name,
					   pg_catalog.jsonb_agg(o.partition ORDER BY o.partition)
						   FILTER (WHERE o.owner OPERATOR(pg_catalog.=) m.member_no) AS owned,
					   pg_catalog.jsonb_agg(o.partition ORDER BY o.partition)
						   FILTER (WHERE o.target OPERATOR(pg_catalog.=) m.member_no) AS target,
					   pg_catalog.bool_or(o.owner OPERATOR(pg_catalog.=) m.member_no AND o.revoke_epoch IS NOT NULL) AS unrevoked,
					   pg_catalog.bool_or(o.target OPERATOR(pg_catalog.=) m.member_no AND o.owner IS DISTINCT FROM m.member_no) AS unreleased
				  FROM qtopic_internal.group_topics gt
				  JOIN qtopic_internal.topics t ON t.topic_id OPERATOR(pg_catalog.=) gt.topic_id
				  JOIN qtopic_internal.ownership o ON o.gt_id OPERATOR(pg_catalog.=) gt.gt_id
				 WHERE gt.group_id OPERATOR(pg_catalog.=) m.group_id
				 GROUP BY t.name) t) o
 WHERE pg_catalog.pg_has_role(g.owner::oid, 'USAGE')
	OR EXISTS (SELECT FROM qtopic_internal.group_topics gt
				 JOIN qtopic_internal.topics t ON t.topic_id OPERATOR(pg_catalog.=) gt.topic_id
				WHERE gt.group_id OPERATOR(pg_catalog.=) g.group_id
				  AND pg_catalog.pg_has_role(t.creator::oid, 'USAGE'));
COMMENT ON VIEW qtopic_group_members IS
	'The members of consumer groups that the current user may see (as in qtopic_groups).  assignment is what a member owns, target_assignment what it is to own; state says whether it has yet to give up partitions (unrevoked_partitions), waits for others to do so (unreleased_partitions), has both behind it (stable), or has lost its place to another member with its instance_id (fenced).  member_epoch is the highest one that it has presented; last_seen when it made its last call.';
