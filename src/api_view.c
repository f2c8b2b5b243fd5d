/*
 * api_view.c
 *		SQL functions: typed views over jsonb topics.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "qtopic.h"
#include "topic_view.h"

PG_FUNCTION_INFO_V1(qtopic_create_topic_view);
PG_FUNCTION_INFO_V1(qtopic_cast_or_null);
PG_FUNCTION_INFO_V1(qtopic_is_castable);

static char *text_argument(FunctionCallInfo fcinfo, int arg, const char *name);
static bool is_about_value(int sqlerrcode);
static bool try_cast(FunctionCallInfo fcinfo, Datum *result);

/* create_topic_view(view_name text, topic text, columns text, on_error text) */
Datum
qtopic_create_topic_view(PG_FUNCTION_ARGS)
{
	char	   *view = text_argument(fcinfo, 0, "view_name");
	char	   *topic = text_argument(fcinfo, 1, "topic");
	char	   *columns = text_argument(fcinfo, 2, "columns");
	char	   *on_error = text_argument(fcinfo, 3, "on_error");
	char	   *functions = get_namespace_name(get_func_namespace(fcinfo->flinfo->fn_oid));
	QtCastError action;

	if (strcmp(on_error, "null") == 0)
		action = QT_CAST_NULL;
	else if (strcmp(on_error, "error") == 0)
		action = QT_CAST_ERROR;
	else if (strcmp(on_error, "skip") == 0)
		action = QT_CAST_SKIP;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized value for on_error: \"%s\"", on_error),
				 errhint("Use \"null\", \"error\" or \"skip\".")));

	SPI_connect();
	if (SPI_execute(qt_topic_view_sql(view, topic, columns, action, functions), false, 0) < 0)
		elog(ERROR, "could not create view \"%s\"", view);
	SPI_finish();
	PG_RETURN_VOID();
}

/* cast_or_null(value text, type anyelement, typmod int) */
Datum
qtopic_cast_or_null(PG_FUNCTION_ARGS)
{
	Datum		result;

	if (PG_ARGISNULL(0) || !try_cast(fcinfo, &result))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(result);
}

/* is_castable(value text, type anyelement, typmod int) */
Datum
qtopic_is_castable(PG_FUNCTION_ARGS)
{
	Datum		result;

	PG_RETURN_BOOL(PG_ARGISNULL(0) || try_cast(fcinfo, &result));
}

static char *
text_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/*
 * Cast in a subtransaction, as input functions throw; false if they threw
 * because of the value.
 */
static bool
try_cast(FunctionCallInfo fcinfo, Datum *result)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);
	int32		typmod = PG_ARGISNULL(2) ? -1 : PG_GETARG_INT32(2);
	char	   *string = text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool good = true;
	volatile Datum value = (Datum) 0;
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(type, &input, &parameter);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		value = OidInputFunctionCall(input, string, parameter, typmod);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_about_value(error->sqlerrcode))
			ReThrowError(error);
		FreeErrorData(error);
		good = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	*result = value;
	return good;
}

/* Class 42 is what tsquery, jsonpath, regclass and the like report. */
static bool
is_about_value(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_DATA_EXCEPTION ||
		category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		(category == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
		 sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE);
}
