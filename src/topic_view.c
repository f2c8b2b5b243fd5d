/*
 * topic_view.c
 *		Views that give the values of a jsonb topic columns with types.
 *
 * The view is an ordinary one, made with the rights of the caller, and meant
 * to be read and changed by hand.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "qtopic.h"
#include "topic_cache.h"
#include "topic_view.h"

static void check_not_overloaded(const char *schema, char *function);
static List *parse_columns(const char *columns);
static void append_column(StringInfo sql, const ColumnDef *column, QtCastError on_error,
						  const char *functions);
static void append_member(StringInfo sql, const ColumnDef *column);
static char *column_type(const ColumnDef *column, Oid *type, int32 *typmod);
static const char *quote_view_name(const char *view);

char *
qt_topic_view_sql(const char *view, const char *topic_name, const char *columns,
				  QtCastError on_error, const char *functions)
{
	QtTopic    *topic = qt_topic_lookup(topic_name, false);
	List	   *defs = parse_columns(columns);
	StringInfoData sql;
	ListCell   *lc;

	if (topic->config.value_format != QT_FORMAT_JSONB)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("values of topic \"%s\" are not jsonb", topic->name),
				 errhint("Create the topic with value.format = jsonb.")));

	check_not_overloaded(functions, "cast_or_null");
	check_not_overloaded(functions, "is_castable");

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE VIEW %s AS\nSELECT _partition,\n       _offset,\n       _timestamp,\n       key,\n       headers",
					 quote_view_name(view));
	foreach(lc, defs)
		append_column(&sql, lfirst(lc), on_error, quote_identifier(functions));
	appendStringInfo(&sql, "\n  FROM %s",
					 quote_qualified_identifier(QT_RELATION_SCHEMA, NameStr(topic->relation_name)));

	if (on_error == QT_CAST_SKIP)
	{
		const char *word = "\n WHERE ";

		foreach(lc, defs)
		{
			const ColumnDef *column = lfirst(lc);
			Oid			type;
			int32		typmod;
			char	   *name = column_type(column, &type, &typmod);

			if (type == JSONOID || type == JSONBOID || type == TEXTOID)
				continue;
			appendStringInfo(&sql, "%s%s.is_castable(", word, quote_identifier(functions));
			append_member(&sql, column);
			appendStringInfo(&sql, ", NULL::%s, %d)", name, typmod);
			word = "\n   AND ";
		}
	}
	return sql.data;
}

/*
 * Whoever may create functions in the schema could add one that fits a column
 * better than ours, and would run with the rights of the view's readers.
 */
static void
check_not_overloaded(const char *schema, char *function)
{
	List	   *name = list_make2(makeString(pstrdup(schema)), makeString(function));
	FuncCandidateList candidates = FuncnameGetCandidates(name, -1, NIL, false, false, false, true);

	if (candidates != NULL && candidates->next != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"%s\".\"%s\" is overloaded", schema, function),
				 errdetail("A view could call a function that does not belong to qtopic."),
				 errhint("Drop the other functions of that name, and let nobody else create functions in the schema.")));
}

/* The list of ColumnDef nodes of "name type, ...". */
static List *
parse_columns(const char *columns)
{
	List	   *statements = raw_parser(psprintf("CREATE TABLE columns (%s)", columns),
										RAW_PARSE_DEFAULT);
	CreateStmt *create = list_length(statements) == 1 ?
		(CreateStmt *) linitial_node(RawStmt, statements)->stmt : NULL;
	bool		plain = create != NULL && IsA(create, CreateStmt) &&
		create->tableElts != NIL && create->inhRelations == NIL && create->partspec == NULL &&
		create->options == NIL && create->tablespacename == NULL && create->accessMethod == NULL;
	ListCell   *lc;

	if (plain)
		foreach(lc, create->tableElts)
		{
			ColumnDef  *column = lfirst(lc);

			plain = plain && IsA(column, ColumnDef) && column->constraints == NIL &&
				column->collClause == NULL && column->compression == NULL;
		}
	if (!plain)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns of a topic view must be names and types"),
				 errhint("Write them as in CREATE TABLE, such as: url text, status int")));
	return create->tableElts;
}

static void
append_column(StringInfo sql, const ColumnDef *column, QtCastError on_error,
			  const char *functions)
{
	Oid			type;
	int32		typmod;
	char	   *name = column_type(column, &type, &typmod);

	appendStringInfoString(sql, ",\n       ");
	if (type == JSONBOID)
		appendStringInfo(sql, "value -> %s", quote_literal_cstr(column->colname));
	else if (type == JSONOID)
		appendStringInfo(sql, "(value -> %s)::json", quote_literal_cstr(column->colname));
	else if (type == TEXTOID)
		append_member(sql, column);
	else if (on_error == QT_CAST_ERROR)
	{
		appendStringInfoChar(sql, '(');
		append_member(sql, column);
		appendStringInfo(sql, ")::%s", name);
	}
	else
	{
		/* also where such records are left out: a condition may be tested first */
		appendStringInfo(sql, "%s.cast_or_null(", functions);
		append_member(sql, column);
		appendStringInfo(sql, ", NULL::%s, %d)", name, typmod);
		if (typmod >= 0)
			appendStringInfo(sql, "::%s", name);
	}
	appendStringInfo(sql, " AS %s", quote_identifier(column->colname));
}

/* The member of the value as text. */
static void
append_member(StringInfo sql, const ColumnDef *column)
{
	appendStringInfo(sql, "value ->> %s", quote_literal_cstr(column->colname));
}

static char *
column_type(const ColumnDef *column, Oid *type, int32 *typmod)
{
	typenameTypeIdAndMod(NULL, column->typeName, type, typmod);
	return format_type_extended(*type, *typmod, FORMAT_TYPE_TYPEMOD_GIVEN);
}

static const char *
quote_view_name(const char *view)
{
	RangeVar   *name = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(view)));

	return quote_qualified_identifier(name->schemaname, name->relname);
}
