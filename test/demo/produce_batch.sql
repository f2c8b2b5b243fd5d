-- Up to 500 records a transaction, in one call.  Some are rolled back.
\set chunk :turn * :clients + :client_id
\set turn :turn + 1
BEGIN;
INSERT INTO demo.event_log (event_id)
SELECT event_id FROM demo.source WHERE lane = 'batch' AND chunk = :chunk ORDER BY event_id;
INSERT INTO demo.batch_log
SELECT s.topic, r.*
  FROM (SELECT topic, array_agg(key ORDER BY event_id) AS keys,
               array_agg(value ORDER BY event_id) AS "values",
               array_agg(record_time ORDER BY event_id) AS times,
               array_agg(jsonb_build_object('event_id', event_id::text) ORDER BY event_id) AS headers
          FROM demo.source WHERE lane = 'batch' AND chunk = :chunk GROUP BY topic) AS s,
       LATERAL produce_batch(s.topic, s.keys, s."values", record_headers => s.headers,
                             record_times => s.times) AS r;
\if :chunk % 16 = 9
ROLLBACK;
\else
COMMIT;
\endif
