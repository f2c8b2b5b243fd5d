-- state: the foreign data wrapper that shows topics as relations.

CREATE FUNCTION qtopic_internal.fdw_handler() RETURNS fdw_handler
	LANGUAGE C VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qtopic_fdw_handler';
COMMENT ON FUNCTION qtopic_internal.fdw_handler() IS 'Handler of the foreign data wrapper qtopic.';

CREATE FUNCTION qtopic_internal.fdw_validator(options text[], catalog oid) RETURNS void
	LANGUAGE C VOLATILE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'qtopic_fdw_validator';
COMMENT ON FUNCTION qtopic_internal.fdw_validator(text[], oid) IS 'Refuses every option: topics are told apart by name.';

CREATE FOREIGN DATA WRAPPER qtopic
	HANDLER qtopic_internal.fdw_handler
	VALIDATOR qtopic_internal.fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER qtopic IS 'Shows topics as relations.';

CREATE SERVER qtopic FOREIGN DATA WRAPPER qtopic;
COMMENT ON SERVER qtopic IS 'Server of the relations of all topics; create_topic() makes them.';
