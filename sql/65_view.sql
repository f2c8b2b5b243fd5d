-- code: typed views over jsonb topics.

CREATE FUNCTION create_topic_view(view_name text, topic text, columns text, on_error text DEFAULT 'null')
	RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_create_topic_view';
COMMENT ON FUNCTION create_topic_view(text, text, text, text) IS
	'Creates an ordinary view over a topic with jsonb values that has a column for each member listed, as in ''url text, status int''.  on_error says what a value that cannot be cast does: ''null'', ''error'' or ''skip'' (leave the record out).  The view is made with the rights of the caller.  Errors: 42704, 22023, 42601, and those of CREATE VIEW.';

CREATE FUNCTION cast_or_null(value text, type anyelement, typmod integer DEFAULT -1)
	RETURNS anyelement
	LANGUAGE C STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_cast_or_null';
COMMENT ON FUNCTION cast_or_null(text, anyelement, integer) IS
	'Casts text to the type of the second argument, or returns NULL if it is not valid for it.  Used by views that create_topic_view() makes.';

CREATE FUNCTION is_castable(value text, type anyelement, typmod integer DEFAULT -1)
	RETURNS boolean
	LANGUAGE C STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'qtopic_is_castable';
COMMENT ON FUNCTION is_castable(text, anyelement, integer) IS
	'Is the text valid for the type of the second argument?  NULL is.  Used by views that create_topic_view() makes.';
