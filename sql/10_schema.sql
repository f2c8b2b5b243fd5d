-- state: schemas.  Everything private is in qtopic_internal; the relations of
-- the topics are in qtopic, which the user may also have chosen for the
-- functions (CREATE EXTENSION qtopic SCHEMA qtopic).

DO $$
BEGIN
	IF '@extschema@' <> 'qtopic' THEN
		CREATE SCHEMA qtopic;
		COMMENT ON SCHEMA qtopic IS
			'One foreign table for each topic.  CREATE on this schema is the right to create topics.';
	END IF;
END
$$;

CREATE SCHEMA qtopic_internal;
COMMENT ON SCHEMA qtopic_internal IS 'Catalog and storage of qtopic; nothing here is for users.';
