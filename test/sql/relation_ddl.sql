-- DDL on the relation of a topic: dropping it drops the topic, altering it is refused
SELECT create_topic('rd_a'), create_topic('rd_b', 2), create_topic('rd_c');
SELECT _offset FROM produce('rd_a', 'x');

ALTER FOREIGN TABLE qtopic.rd_a RENAME TO rd_x;
ALTER TABLE qtopic.rd_a RENAME TO rd_x;
ALTER FOREIGN TABLE qtopic.rd_a RENAME COLUMN key TO k;
ALTER INDEX qtopic.rd_a RENAME TO rd_x;
ALTER VIEW qtopic.rd_a RENAME COLUMN key TO k;
ALTER SCHEMA qtopic RENAME TO rd_schema;
ALTER FOREIGN TABLE qtopic.rd_a ADD COLUMN x int;
ALTER FOREIGN TABLE qtopic.rd_a DROP COLUMN headers;
ALTER FOREIGN TABLE qtopic.rd_a ALTER COLUMN value TYPE int;
ALTER FOREIGN TABLE qtopic.rd_a OPTIONS (ADD topic 'rd_b');
ALTER FOREIGN TABLE qtopic.rd_a SET SCHEMA public;
ALTER TABLE qtopic.rd_a SET SCHEMA public;
CREATE ROLE rd_owner;
ALTER FOREIGN TABLE qtopic.rd_a OWNER TO rd_owner;
ALTER TABLE qtopic.rd_a ENABLE ROW LEVEL SECURITY;

-- harmless: comments and privileges
COMMENT ON FOREIGN TABLE qtopic.rd_a IS 'a comment';
GRANT SELECT ON qtopic.rd_a TO rd_owner;
SELECT value FROM qtopic.rd_a;

-- dropping it rolls back with its transaction
BEGIN;
DROP FOREIGN TABLE qtopic.rd_a;
SELECT topic FROM qtopic_topics WHERE topic LIKE 'rd\_%' ORDER BY 1;
ROLLBACK;
SELECT value FROM qtopic.rd_a;

DROP FOREIGN TABLE qtopic.rd_a;
SELECT produce('rd_a', 'x');
-- by CASCADE, also in a session that has not used qtopic before
CREATE VIEW rd_view AS SELECT * FROM qtopic.rd_b;
DROP FOREIGN TABLE qtopic.rd_b;
\c
\set VERBOSITY terse
DROP FOREIGN TABLE qtopic.rd_b, qtopic.rd_c CASCADE;
SELECT topic FROM qtopic_topics WHERE topic LIKE 'rd\_%' ORDER BY 1;
SELECT count(*) FROM qtopic_internal.segments s
 WHERE NOT EXISTS (SELECT 1 FROM qtopic_internal.topics t WHERE t.topic_id = s.topic_id);

-- no foreign table is the relation of a topic but those that create_topic() made
CREATE FOREIGN TABLE rd_other (_partition int) SERVER qtopic;
SELECT * FROM rd_other;
DROP FOREIGN TABLE rd_other;
CREATE FOREIGN TABLE rd_option (_partition int) SERVER qtopic OPTIONS (topic 'rd_a');
DROP ROLE rd_owner;
