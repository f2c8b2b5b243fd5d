/*
 * api_produce.c
 *		SQL functions: producing.
 *
 * The overloads of produce() differ in the type of the value; each has a C
 * function of its own, so that a call needs no look at the parser's output.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "produce.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_produce_text);
PG_FUNCTION_INFO_V1(qtopic_produce_json);
PG_FUNCTION_INFO_V1(qtopic_produce_jsonb);
PG_FUNCTION_INFO_V1(qtopic_produce_bytea);
PG_FUNCTION_INFO_V1(qtopic_produce_batch);

/* An array argument, taken apart. */
typedef struct ArrayArgument
{
	int			count;			/* -1: the array is NULL */
	Oid			type;			/* of the elements */
	Datum	   *values;
	bool	   *nulls;
} ArrayArgument;

/* Arguments of a produce_batch call. */
typedef struct BatchArguments
{
	ArrayArgument keys;
	ArrayArgument values;
	ArrayArgument headers;
	ArrayArgument times;
	int			partition;
	bool		deferred;
} BatchArguments;

static Datum produce_value(FunctionCallInfo fcinfo, Oid value_type);
static QtTopic *topic_argument(FunctionCallInfo fcinfo);
static int	partition_argument(FunctionCallInfo fcinfo, int arg);
static bool deferred_argument(FunctionCallInfo fcinfo, int arg);
static void array_argument(FunctionCallInfo fcinfo, int arg, ArrayArgument *array);
static void check_length(const char *name, const ArrayArgument *array, int count);
static void put_records(QtProducer *producer, const BatchArguments *args);
static Datum produced_row(int partition, int64 offset);

/*
 * produce(topic text, value T)
 * produce(topic text, key anycompatible, value T, headers jsonb, partition int,
 *		   record_time timestamptz, deferred bool)
 */
Datum
qtopic_produce_text(PG_FUNCTION_ARGS)
{
	return produce_value(fcinfo, TEXTOID);
}

Datum
qtopic_produce_json(PG_FUNCTION_ARGS)
{
	return produce_value(fcinfo, JSONOID);
}

Datum
qtopic_produce_jsonb(PG_FUNCTION_ARGS)
{
	return produce_value(fcinfo, JSONBOID);
}

Datum
qtopic_produce_bytea(PG_FUNCTION_ARGS)
{
	return produce_value(fcinfo, BYTEAOID);
}

/*
 * produce_batch(topic text, record_values anycompatiblearray)
 * produce_batch(topic text, record_keys text[], record_values anycompatiblearray,
 *		record_headers jsonb[], partition int, record_times timestamptz[], deferred bool)
 * produce_batch_bytea: the same with bytea[]
 */
Datum
qtopic_produce_batch(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QtTopic    *topic = topic_argument(fcinfo);
	bool		values_only = PG_NARGS() == 2;
	BatchArguments args = {{-1}, {-1}, {-1}, {-1}, QT_PARTITION_ANY};
	QtProducer	producer;

	array_argument(fcinfo, values_only ? 1 : 2, &args.values);
	args.deferred = deferred_argument(fcinfo, values_only ? -1 : 6);
	if (!values_only)
	{
		array_argument(fcinfo, 1, &args.keys);
		array_argument(fcinfo, 3, &args.headers);
		args.partition = partition_argument(fcinfo, 4);
		array_argument(fcinfo, 5, &args.times);
	}
	if (args.values.count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("record_values must not be null")));
	check_length("record_keys", &args.keys, args.values.count);
	check_length("record_headers", &args.headers, args.values.count);
	check_length("record_times", &args.times, args.values.count);
	if (args.partition != QT_PARTITION_ANY)
		qt_topic_check_partition(topic, args.partition);

	InitMaterializedSRF(fcinfo, 0);
	qt_producer_begin(&producer, topic, args.deferred);
	put_records(&producer, &args);
	qt_producer_finish(&producer);

	for (int i = 0; i < producer.run_count; i++)
	{
		QtProducedRun *run = &producer.runs[i];
		Datum		values[4];
		bool		nulls[4] = {false};

		values[0] = Int32GetDatum(run->partition);
		values[1] = Int64GetDatum(run->base_offset);
		values[2] = Int64GetDatum(run->last_offset);
		values[3] = Int32GetDatum((int32) run->record_count);
		nulls[1] = nulls[2] = run->base_offset < 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static Datum
produce_value(FunctionCallInfo fcinfo, Oid value_type)
{
	QtTopic    *topic = topic_argument(fcinfo);
	bool		value_only = PG_NARGS() == 2;
	int			value_arg = value_only ? 1 : 2;
	int			partition = QT_PARTITION_ANY;
	bool		deferred = deferred_argument(fcinfo, value_only ? -1 : 6);
	QtRecord	record = {0};
	int			chosen;
	int64		offset;

	record.key_len = record.value_len = -1;
	if (!PG_ARGISNULL(value_arg))
		qt_record_set_value(&record, topic, PG_GETARG_DATUM(value_arg), value_type);

	if (value_only)
		record.timestamp = qt_record_timestamp(topic, false, 0, GetCurrentTimestamp());
	else
	{
		if (!PG_ARGISNULL(1))
		{
			Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 1);

			qt_record_set_key(&record, topic, PG_GETARG_DATUM(1),
							  OidIsValid(type) ? getBaseType(type) : TEXTOID);
		}
		if (!PG_ARGISNULL(3))
			qt_record_set_headers(&record, PG_GETARG_JSONB_P(3));
		partition = partition_argument(fcinfo, 4);
		record.timestamp = qt_record_timestamp(topic, !PG_ARGISNULL(5),
											PG_ARGISNULL(5) ? 0 : PG_GETARG_TIMESTAMPTZ(5),
											GetCurrentTimestamp());
	}

	qt_produce_record(topic, &record, partition, deferred, &chosen, &offset);
	return produced_row(chosen, offset);
}

/* The topic of the call; the right to produce to it is checked. */
static QtTopic *
topic_argument(FunctionCallInfo fcinfo)
{
	QtTopic    *topic;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("topic must not be null")));
	topic = qt_topic_lookup(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	qt_topic_check_right(topic, ACL_INSERT);
	return topic;
}

static int
partition_argument(FunctionCallInfo fcinfo, int arg)
{
	int			partition;

	if (PG_ARGISNULL(arg))
		return QT_PARTITION_ANY;
	partition = PG_GETARG_INT32(arg);
	if (partition < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition must not be negative"),
				 errdetail("It is %d.", partition),
				 errhint("Leave it out, or use NULL, to have the partitioner choose.")));
	return partition;
}

/* arg < 0: the call has no such argument. */
static bool
deferred_argument(FunctionCallInfo fcinfo, int arg)
{
	if (arg < 0 || PG_ARGISNULL(arg))
		return qt_guc_produce_mode == QT_PRODUCE_DEFERRED;
	return PG_GETARG_BOOL(arg);
}

static void
array_argument(FunctionCallInfo fcinfo, int arg, ArrayArgument *array)
{
	ArrayType  *value;
	int16		len;
	bool		byval;
	char		align;

	if (PG_ARGISNULL(arg))
	{
		array->count = -1;
		return;
	}
	value = PG_GETARG_ARRAYTYPE_P(arg);
	if (ARR_NDIM(value) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arrays of records must have one dimension"),
				 errdetail("The array has %d dimensions.", ARR_NDIM(value))));
	array->type = getBaseType(ARR_ELEMTYPE(value));
	get_typlenbyvalalign(array->type, &len, &byval, &align);
	deconstruct_array(value, array->type, len, byval, align,
					  &array->values, &array->nulls, &array->count);
}

static void
check_length(const char *name, const ArrayArgument *array, int count)
{
	if (array->count >= 0 && array->count != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s and record_values must have the same length", name),
				 errdetail("The lengths are %d and %d.", array->count, count)));
}

static void
put_records(QtProducer *producer, const BatchArguments *args)
{
	QtTopic    *topic = producer->topic;
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "qtopic record",
											   ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < args->values.count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(work);
		QtRecord	record = {0};
		bool		time_given = args->times.count >= 0 && !args->times.nulls[i];

		record.key_len = record.value_len = -1;
		if (!args->values.nulls[i])
			qt_record_set_value(&record, topic, args->values.values[i], args->values.type);
		if (args->keys.count >= 0 && !args->keys.nulls[i])
			qt_record_set_key(&record, topic, args->keys.values[i], args->keys.type);
		if (args->headers.count >= 0 && !args->headers.nulls[i])
			qt_record_set_headers(&record, DatumGetJsonbP(args->headers.values[i]));
		record.timestamp = qt_record_timestamp(topic, time_given,
											time_given ? DatumGetTimestampTz(args->times.values[i]) : 0,
											now);
		MemoryContextSwitchTo(old);
		qt_producer_put(producer, &record, args->partition);
		MemoryContextReset(work);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(work);
}

/* (_partition, _offset); the offset is NULL if it is not known yet. */
static Datum
produced_row(int partition, int64 offset)
{
	static TupleDesc desc = NULL;
	Datum		values[2];
	bool		nulls[2] = {false};

	if (desc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		TupleDesc	new_desc = CreateTemplateTupleDesc(2);

		TupleDescInitEntry(new_desc, 1, "_partition", INT4OID, -1, 0);
		TupleDescInitEntry(new_desc, 2, "_offset", INT8OID, -1, 0);
		desc = BlessTupleDesc(new_desc);
		MemoryContextSwitchTo(old);
	}

	values[0] = Int32GetDatum(partition);
	values[1] = Int64GetDatum(offset);
	nulls[1] = offset < 0;
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}
