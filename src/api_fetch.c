/*
 * api_fetch.c
 *		SQL functions: reading without a group.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "fetch.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_cache.h"

/* The most memory that is taken in one piece for the rows of a call. */
#define ROWS_BLOCK_MAX	(4 * 1024 * 1024)

/* What a row of a fetch is assumed to take. */
#define ROW_SIZE		512

PG_FUNCTION_INFO_V1(qtopic_fetch_records);
PG_FUNCTION_INFO_V1(qtopic_fetch_records_bytea);
PG_FUNCTION_INFO_V1(qtopic_offset_for_time);

/* Where the records of a call go. */
typedef struct RowStore
{
	Tuplestorestate *store;
	TupleDesc	desc;
	QtFormat	format;
	MemoryContext row_context;
} RowStore;

static Datum fetch_as(FunctionCallInfo fcinfo, QtFormat format);
static Tuplestorestate *begin_rows(FunctionCallInfo fcinfo, int64 max_records);
static void store_row(void *arg, const QtRecord *record, const QtBatchSource *source);
static void check_not_null(FunctionCallInfo fcinfo, int arg, const char *name);
static int64 positive_argument(FunctionCallInfo fcinfo, int arg, const char *name);
static int64 wait_argument(FunctionCallInfo fcinfo, int arg);

/*
 * fetch_records(topic text, partition int, from_offset bigint,
 *				 max_records int, max_wait interval, max_bytes int)
 */
Datum
qtopic_fetch_records(PG_FUNCTION_ARGS)
{
	return fetch_as(fcinfo, QT_FORMAT_TEXT);
}

Datum
qtopic_fetch_records_bytea(PG_FUNCTION_ARGS)
{
	return fetch_as(fcinfo, QT_FORMAT_BYTEA);
}

/* offset_for_time(topic text, partition int, at timestamptz) */
Datum
qtopic_offset_for_time(PG_FUNCTION_ARGS)
{
	QtTopic    *topic;
	TimestampTz at;
	int64		ms;
	int64		offset;

	check_not_null(fcinfo, 0, "topic");
	check_not_null(fcinfo, 1, "partition");
	check_not_null(fcinfo, 2, "at");

	topic = qt_topic_lookup(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	qt_topic_check_right(topic, ACL_SELECT);
	qt_topic_check_partition(topic, PG_GETARG_INT32(1));

	at = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_IS_NOBEGIN(at))
		ms = PG_INT64_MIN;
	else if (TIMESTAMP_IS_NOEND(at))
		PG_RETURN_NULL();
	else
	{
		ms = qt_timestamp_to_ms(at);
		/* records have whole milliseconds: the first not before `at` */
		if (qt_timestamp_from_ms(ms) < at)
			ms++;
	}

	offset = qt_offset_for_time(topic, PG_GETARG_INT32(1), ms);
	if (offset < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(offset);
}

static Datum
fetch_as(FunctionCallInfo fcinfo, QtFormat format)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QtFetchRequest request;
	RowStore	rows;

	check_not_null(fcinfo, 0, "topic");
	check_not_null(fcinfo, 1, "partition");
	check_not_null(fcinfo, 2, "from_offset");
	request.partition = PG_GETARG_INT32(1);
	request.from_offset = PG_GETARG_INT64(2);
	request.max_records = positive_argument(fcinfo, 3, "max_records");
	request.max_wait_ms = wait_argument(fcinfo, 4);
	request.max_bytes = positive_argument(fcinfo, 5, "max_bytes");

	request.topic = qt_topic_lookup(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	qt_topic_check_right(request.topic, ACL_SELECT);
	qt_topic_check_partition(request.topic, request.partition);

	InitMaterializedSRF(fcinfo, 0);
	tuplestore_end(rsinfo->setResult);
	rsinfo->setResult = begin_rows(fcinfo, request.max_records);
	rows.store = rsinfo->setResult;
	rows.desc = rsinfo->setDesc;
	rows.format = format;
	rows.row_context = AllocSetContextCreate(CurrentMemoryContext, "qtopic row",
											 ALLOCSET_DEFAULT_SIZES);
	(void) qt_fetch(&request, store_row, &rows);
	MemoryContextDelete(rows.row_context);
	return (Datum) 0;
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
begin_rows(FunctionCallInfo fcinfo, int64 max_records)
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

static void
store_row(void *arg, const QtRecord *record, const QtBatchSource *source)
{
	RowStore   *rows = arg;
	Datum		values[QT_RECORD_COLUMNS];
	bool		nulls[QT_RECORD_COLUMNS];
	MemoryContext old = MemoryContextSwitchTo(rows->row_context);

	qt_record_to_row(record, source, rows->format, rows->format, QT_ALL_COLUMNS,
					 values, nulls);
	MemoryContextSwitchTo(old);
	tuplestore_putvalues(rows->store, rows->desc, values, nulls);
	MemoryContextReset(rows->row_context);
}

static void
check_not_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

static int64
positive_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	check_not_null(fcinfo, arg, name);
	if (PG_GETARG_INT32(arg) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be greater than zero", name),
				 errdetail("It is %d.", PG_GETARG_INT32(arg))));
	return PG_GETARG_INT32(arg);
}

/* An interval in ms, rounded up. */
static int64
wait_argument(FunctionCallInfo fcinfo, int arg)
{
	Interval   *wait;
	double		ms;

	check_not_null(fcinfo, arg, "max_wait");
	wait = PG_GETARG_INTERVAL_P(arg);
	ms = ((double) wait->month * DAYS_PER_MONTH + wait->day) * (SECS_PER_DAY * 1000.0) +
		ceil(wait->time / 1000.0);
	if (ms < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_wait must not be negative")));
	return (int64) Min(ms, (double) PG_INT32_MAX);
}
