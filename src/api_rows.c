/*
 * api_rows.c
 *		Arguments and results that the reading functions have in common.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "api_rows.h"
#include "qtopic.h"

/* The most memory that is taken in one piece for the rows of a call. */
#define ROWS_BLOCK_MAX	(4 * 1024 * 1024)

/* What a row of a fetch is assumed to take. */
#define ROW_SIZE		512

static Tuplestorestate *begin_store(FunctionCallInfo fcinfo, int64 max_records);

void
qt_rows_begin(QtRows *rows, FunctionCallInfo fcinfo, QtFormat key_format,
			  QtFormat value_format, int64 max_records)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	tuplestore_end(rsinfo->setResult);
	rsinfo->setResult = begin_store(fcinfo, max_records);
	rows->store = rsinfo->setResult;
	rows->desc = rsinfo->setDesc;
	rows->key_format = key_format;
	rows->value_format = value_format;
	rows->with_topic = false;
	rows->row_context = AllocSetContextCreate(CurrentMemoryContext, "qtopic row",
											  ALLOCSET_DEFAULT_SIZES);
}

void
qt_rows_add(void *arg, const QtRecord *record, const QtBatchSource *source)
{
	QtRows	   *rows = arg;
	Datum		values[QT_RECORD_COLUMNS + 1];
	bool		nulls[QT_RECORD_COLUMNS + 1];
	int			first = rows->with_topic ? 1 : 0;
	MemoryContext old = MemoryContextSwitchTo(rows->row_context);

	qt_record_to_row(record, source, rows->key_format, rows->value_format,
					 QT_ALL_COLUMNS, values + first, nulls + first);
	if (rows->with_topic)
	{
		values[0] = CStringGetTextDatum(source->topic);
		nulls[0] = false;
	}
	MemoryContextSwitchTo(old);
	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
	MemoryContextReset(rows->row_context);
}

void
qt_rows_end(QtRows *rows)
{
	MemoryContextDelete(rows->row_context);
}

void
qt_argument_not_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

char *
qt_argument_text(FunctionCallInfo fcinfo, int arg, const char *name)
{
	qt_argument_not_null(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

int64
qt_argument_positive(FunctionCallInfo fcinfo, int arg, const char *name)
{
	qt_argument_not_null(fcinfo, arg, name);
	if (PG_GETARG_INT32(arg) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be greater than zero", name),
				 errdetail("It is %d.", PG_GETARG_INT32(arg))));
	return PG_GETARG_INT32(arg);
}

int64
qt_argument_ms(FunctionCallInfo fcinfo, int arg, const char *name)
{
	Interval   *wait;
	double		ms;

	qt_argument_not_null(fcinfo, arg, name);
	wait = PG_GETARG_INTERVAL_P(arg);
	ms = ((double) wait->month * DAYS_PER_MONTH + wait->day) * (SECS_PER_DAY * 1000.0) +
		ceil(wait->time / 1000.0);
	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name)));
	return (int64) Min(ms, (double) PG_INT32_MAX);
}

/*
 * A tuplestore whose rows are packed closely, in few large pieces of memory.
 * The one that InitMaterializedSRF makes rounds each row up to a power of two,
 * so that it spills to disk at half of work_mem, and gives its many pieces back
 * to the system after every call, which cost a quarter of a fetch in page
 * faults.  (Since PostgreSQL 17 tuplestores do the first themselves.)
 *
 * The context is kept for the next call of the same expression, which comes
 * after the end of the tuplestore of this one.
 */
static Tuplestorestate *
begin_store(FunctionCallInfo fcinfo, int64 max_records)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	FmgrInfo   *flinfo = fcinfo->flinfo;
	Tuplestorestate *store;
	MemoryContext old;

	if (flinfo->fn_extra == NULL)
	{
		Size		block = Min((Size) max_records * ROW_SIZE, ROWS_BLOCK_MAX);

		block = Max(block, ALLOCSET_DEFAULT_INITSIZE);
		flinfo->fn_extra = GenerationContextCreate(flinfo->fn_mcxt, "qtopic rows", 0,
												   block, ALLOCSET_DEFAULT_MAXSIZE);
	}
	old = MemoryContextSwitchTo(flinfo->fn_extra);
	store = tuplestore_begin_heap((rsinfo->allowedModes & SFRM_Materialize_Random) != 0,
								  false, work_mem);
	MemoryContextSwitchTo(old);
	return store;
}
