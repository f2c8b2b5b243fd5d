-- create_topic_view: typed views over a jsonb topic
SELECT create_topic('tv', 1, '{"value.format": "jsonb"}'), create_topic('tv_text');
SELECT count(*) FROM produce_batch('tv', ARRAY['a', 'b', 'c', 'd'],
	ARRAY['{"url": "/", "status": 200, "bytes": 7, "at": "2026-01-01", "tags": ["x"], "ratio": 1.25}',
		  '{"url": "/x", "status": "none", "bytes": 99999999999, "ratio": 12345.6}',
		  '{"status": null}',
		  '"no object"']::jsonb[]);

SELECT create_topic_view('tv_rows', 'tv', 'url text, status int, bytes bigint, at date, tags jsonb, ratio numeric(5,2)');
SELECT _offset, key, url, status, bytes, at, tags, ratio FROM tv_rows;
SELECT pg_get_viewdef('tv_rows');
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = 'tv_rows'::regclass AND attnum > 5 ORDER BY attnum;

SELECT create_topic_view('tv_strict', 'tv', 'url text, status int', on_error => 'error');
SELECT url, status FROM tv_strict WHERE _offset = 0;
SELECT url, status FROM tv_strict;

SELECT create_topic_view('public.tv_skip', 'tv', 'url text, status int, "Odd name" boolean', 'skip');
SELECT _offset, url, status FROM tv_skip WHERE status IS NULL OR status > 5;
SELECT pg_get_viewdef('tv_skip');

-- a domain's check counts as a value that cannot be cast
CREATE DOMAIN tv_small AS int CHECK (VALUE < 100);
SELECT create_topic_view('tv_domain', 'tv', 'status tv_small, bytes tv_small');
SELECT status, bytes FROM tv_domain WHERE _offset = 0;
DROP VIEW tv_domain;
DROP DOMAIN tv_small;

-- so does what types report as an error of syntax, or as no such object.  Seen
-- to fail: mutant view_raises_syntax_errors.
SELECT create_topic('tv_types', 1, '{"value.format": "jsonb"}');
SELECT count(*) FROM produce_batch('tv_types',
	ARRAY['{"query": "a & b", "path": "$.a", "class": "pg_class"}',
		  '{"query": "a &", "path": "$.a", "class": "pg_class"}',
		  '{"query": "a & b", "path": "$.", "class": "pg_class"}',
		  '{"query": "a & b", "path": "$.a", "class": "no_such_class"}']::jsonb[]);
SELECT create_topic_view('tv_types_null', 'tv_types', 'query tsquery, path jsonpath, class regclass');
SELECT _offset, query, path, class FROM tv_types_null;
SELECT create_topic_view('tv_types_skip', 'tv_types', 'query tsquery, path jsonpath, class regclass', 'skip');
SELECT _offset, query, path, class FROM tv_types_skip;
DROP VIEW tv_types_null, tv_types_skip;
SELECT drop_topic('tv_types');

-- a function of the same name that could run in the place of ours
CREATE FUNCTION cast_or_null(value text, type int, typmod int) RETURNS int LANGUAGE sql AS 'SELECT 0';
SELECT create_topic_view('tv_overloaded', 'tv', 'status int');
DROP FUNCTION cast_or_null(text, int, int);

-- what is refused
SELECT create_topic_view('tv_bad', 'tv', 'url text', 'ignore');
SELECT create_topic_view('tv_bad', 'tv_text', 'url text');
SELECT create_topic_view('tv_bad', 'tv', '');
SELECT create_topic_view('tv_bad', 'tv', 'url text); DROP TABLE x; --');
SELECT create_topic_view('tv_bad', 'tv', 'url text DEFAULT now()');
SELECT create_topic_view('tv_bad', 'tv', 'url no_such_type');
SELECT create_topic_view('tv_bad', 'tv', 'url');
SELECT create_topic_view('tv_bad', 'nope', 'url text');
SELECT create_topic_view('tv_bad', 'tv', NULL);
SELECT create_topic_view('tv_rows', 'tv', 'url text');

-- the view depends on the relation
SELECT drop_topic('tv');
DROP VIEW tv_rows, tv_strict, tv_skip;
SELECT drop_topic('tv'), drop_topic('tv_text');
