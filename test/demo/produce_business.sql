-- A business transaction: writes its own table, produces before, in and after
-- a savepoint, thinks a little.  Half of them defer their records to the
-- commit; some roll back to the savepoint, some altogether.
\set chunk :turn * :clients + :client_id
\set turn :turn + 1
\set think_time random(0, 3000)
BEGIN;
\if :chunk % 2 = 1
SET LOCAL qtopic.produce_mode = deferred;
\endif
INSERT INTO demo.visit
SELECT chunk, min(key), count(*) FROM demo.source
 WHERE lane = 'business' AND chunk = :chunk AND step = 1 GROUP BY chunk;
INSERT INTO demo.event_log (event_id, _partition, _offset)
SELECT s.event_id, r._partition, r._offset
  FROM demo.source AS s,
       LATERAL produce(s.topic, s.key, s.value, record_time => s.record_time,
                       headers => jsonb_build_object('event_id', s.event_id::text)) AS r
 WHERE s.lane = 'business' AND s.chunk = :chunk AND s.step = 1;
\sleep :think_time us
SAVEPOINT optional;
INSERT INTO demo.event_log (event_id, _partition, _offset)
SELECT s.event_id, r._partition, r._offset
  FROM demo.source AS s,
       LATERAL produce(s.topic, s.key, s.value, record_time => s.record_time,
                       headers => jsonb_build_object('event_id', s.event_id::text)) AS r
 WHERE s.lane = 'business' AND s.chunk = :chunk AND s.step = 2;
UPDATE demo.visit SET events = events + 1 WHERE visit_id = :chunk;
\if :chunk % 5 = 2
ROLLBACK TO SAVEPOINT optional;
\else
RELEASE SAVEPOINT optional;
\endif
INSERT INTO demo.event_log (event_id, _partition, _offset)
SELECT s.event_id, r._partition, r._offset
  FROM demo.source AS s,
       LATERAL produce(s.topic, s.key, s.value, record_time => s.record_time,
                       headers => jsonb_build_object('event_id', s.event_id::text)) AS r
 WHERE s.lane = 'business' AND s.chunk = :chunk AND s.step = 3;
UPDATE demo.visit SET events = events + 1 WHERE visit_id = :chunk;
\if :chunk % 11 = 6
ROLLBACK;
\else
COMMIT;
\endif
