-- code: event triggers, which keep topics and their relations together.  They
-- come late, so that they do not fire while this script runs.

CREATE FUNCTION qtopic_internal.on_drop() RETURNS event_trigger
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_on_drop';
COMMENT ON FUNCTION qtopic_internal.on_drop() IS 'Drops the topic whose relation was dropped.';

CREATE FUNCTION qtopic_internal.on_alter() RETURNS event_trigger
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_on_alter';
COMMENT ON FUNCTION qtopic_internal.on_alter() IS 'Refuses to alter the relation of a topic.';

CREATE EVENT TRIGGER qtopic_on_drop ON sql_drop
	EXECUTE FUNCTION qtopic_internal.on_drop();
ALTER EVENT TRIGGER qtopic_on_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER qtopic_on_drop IS 'Drops the topic whose relation was dropped.';

CREATE EVENT TRIGGER qtopic_on_alter ON ddl_command_end
	EXECUTE FUNCTION qtopic_internal.on_alter();
ALTER EVENT TRIGGER qtopic_on_alter ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER qtopic_on_alter IS 'Refuses to alter the relation of a topic.';
