-- One record a transaction.
\set chunk :turn * :clients + :client_id
\set turn :turn + 1
INSERT INTO demo.event_log (event_id, _partition, _offset)
SELECT s.event_id, r._partition, r._offset
  FROM demo.source AS s,
       LATERAL produce(s.topic, s.key, s.value, record_time => s.record_time,
                       headers => jsonb_build_object('event_id', s.event_id::text)) AS r
 WHERE s.lane = 'single' AND s.chunk = :chunk;
