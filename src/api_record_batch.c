/*
 * api_record_batch.c
 *		SQL functions on record batches and partitioners, in qtopic_internal.
 *
 * They are for tests, and for looking at what is stored when something seems
 * wrong.  None touches a topic, and none is for users: the bytes are the
 * caller's own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "partitioner.h"
#include "qtopic.h"
#include "record_batch.h"
#include "record_headers.h"

/* PostgreSQL's epoch in Kafka's. */
#define EPOCH_MS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (SECS_PER_DAY * 1000))

#define RECORD_COLUMNS	5
#define HEADER_COLUMNS	15

/* An array argument, taken apart. */
typedef struct ArrayArgument
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
} ArrayArgument;

static void put_record(ReturnSetInfo *rsinfo, const QtRecord *record);
static Datum bytes_datum(const char *bytes, int len, bool *isnull);
static TimestampTz timestamp_from_ms(int64 ms);
static int64 timestamp_to_ms(TimestampTz timestamp);
static QtCodec codec_from_name(const char *name);
static QtPartitioner partitioner_from_name(const char *name);
static void get_array(FunctionCallInfo fcinfo, int argno, const char *name,
					  ArrayArgument *array);
static void check_same_length(const ArrayArgument *array, const char *name,
							  int count);
static void check_batch(int64 base_offset, int count);
static void add_record(QtBatchBuilder *builder, QtRecord *record);
static const char *get_bytes(const ArrayArgument *array, int i, int *len);

PG_FUNCTION_INFO_V1(qtopic_record_batch_decode);
PG_FUNCTION_INFO_V1(qtopic_record_batch_header);
PG_FUNCTION_INFO_V1(qtopic_record_batch_encode);
PG_FUNCTION_INFO_V1(qtopic_murmur2);
PG_FUNCTION_INFO_V1(qtopic_crc32);
PG_FUNCTION_INFO_V1(qtopic_partition_for_key);

/* record_batch_decode(batch bytea, check_crc bool) */
Datum
qtopic_record_batch_decode(PG_FUNCTION_ARGS)
{
	bytea	   *batch = PG_GETARG_BYTEA_PP(0);
	bool		check_crc = PG_GETARG_BOOL(1);
	QtBatchReader reader;
	QtRecord	record;

	InitMaterializedSRF(fcinfo, 0);

	qt_batch_reader_init(&reader);
	qt_batch_reader_open(&reader, VARDATA_ANY(batch), VARSIZE_ANY_EXHDR(batch),
						 NULL, check_crc);
	while (qt_batch_reader_next(&reader, &record))
	{
		CHECK_FOR_INTERRUPTS();
		put_record((ReturnSetInfo *) fcinfo->resultinfo, &record);
	}
	return (Datum) 0;
}

static void
put_record(ReturnSetInfo *rsinfo, const QtRecord *record)
{
	Jsonb	   *headers = qt_headers_decode(record, NULL);
	Datum		values[RECORD_COLUMNS];
	bool		nulls[RECORD_COLUMNS] = {false};

	values[0] = Int64GetDatum(record->offset);
	values[1] = TimestampTzGetDatum(timestamp_from_ms(record->timestamp));
	values[2] = bytes_datum(record->key, record->key_len, &nulls[2]);
	values[3] = bytes_datum(record->value, record->value_len, &nulls[3]);
	values[4] = PointerGetDatum(headers);
	nulls[4] = headers == NULL;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static Datum
bytes_datum(const char *bytes, int len, bool *isnull)
{
	*isnull = len < 0;
	if (*isnull)
		return (Datum) 0;
	return PointerGetDatum(cstring_to_text_with_len(bytes, len));
}

/* record_batch_header(batch bytea) */
Datum
qtopic_record_batch_header(PG_FUNCTION_ARGS)
{
	bytea	   *batch = PG_GETARG_BYTEA_PP(0);
	QtBatchHeader header;
	TupleDesc	desc;
	Datum		values[HEADER_COLUMNS];
	bool		nulls[HEADER_COLUMNS] = {false};
	int			codec;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	qt_batch_header_decode(VARDATA_ANY(batch), VARSIZE_ANY_EXHDR(batch), NULL,
						   &header);
	codec = header.attributes & QT_BATCH_CODEC_MASK;

	values[0] = Int64GetDatum(header.base_offset);
	values[1] = Int32GetDatum(header.batch_length);
	values[2] = Int32GetDatum(header.leader_epoch);
	values[3] = Int32GetDatum(header.magic);
	values[4] = Int64GetDatum(header.crc);
	values[5] = Int32GetDatum(header.attributes);
	values[6] = CStringGetTextDatum(qt_codec_name(codec));
	values[7] = Int32GetDatum(header.last_offset_delta);
	values[8] = TimestampTzGetDatum(timestamp_from_ms(header.base_timestamp));
	values[9] = TimestampTzGetDatum(timestamp_from_ms(header.max_timestamp));
	values[10] = Int64GetDatum(header.producer_id);
	values[11] = Int32GetDatum(header.producer_epoch);
	values[12] = Int32GetDatum(header.base_sequence);
	values[13] = Int32GetDatum(header.record_count);
	values[14] = BoolGetDatum((header.attributes & QT_BATCH_LOG_APPEND_TIME) != 0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  values, nulls)));
}

/*
 * record_batch_encode(codec text, record_times timestamptz[],
 *		record_keys bytea[], record_values bytea[], record_headers jsonb[],
 *		base_offset bigint, leader_epoch int)
 */
Datum
qtopic_record_batch_encode(PG_FUNCTION_ARGS)
{
	ArrayArgument times;
	ArrayArgument keys;
	ArrayArgument values;
	ArrayArgument headers = {NULL, NULL, 0};
	QtCodec		codec;
	QtBatchBuilder builder;
	StringInfoData encoded_headers;
	StringInfoData batch;
	int			i;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(5) || PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("codec, base_offset and leader_epoch must not be null")));
	codec = codec_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	get_array(fcinfo, 1, "record_times", &times);
	get_array(fcinfo, 2, "record_keys", &keys);
	get_array(fcinfo, 3, "record_values", &values);
	check_same_length(&times, "record_times", values.count);
	check_same_length(&keys, "record_keys", values.count);
	if (!PG_ARGISNULL(4))
	{
		get_array(fcinfo, 4, "record_headers", &headers);
		check_same_length(&headers, "record_headers", values.count);
	}
	check_batch(PG_GETARG_INT64(5), values.count);

	qt_batch_builder_init(&builder);
	initStringInfo(&encoded_headers);
	for (i = 0; i < values.count; i++)
	{
		QtRecord	record;

		if (times.nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("record_times must not contain null"),
					 errdetail("Element %d is null.", i + 1)));
		record.timestamp = timestamp_to_ms(DatumGetTimestampTz(times.values[i]));
		record.key = get_bytes(&keys, i, &record.key_len);
		record.value = get_bytes(&values, i, &record.value_len);

		record.header_count = 0;
		resetStringInfo(&encoded_headers);
		if (headers.values != NULL && !headers.nulls[i])
			record.header_count = qt_headers_encode(DatumGetJsonbP(headers.values[i]),
													&encoded_headers);
		record.headers = encoded_headers.data;
		record.headers_len = encoded_headers.len;
		add_record(&builder, &record);
	}

	initStringInfo(&batch);
	appendStringInfoSpaces(&batch, VARHDRSZ);
	qt_batch_encode(&builder, values.count, codec, QT_CODEC_LEVEL_DEFAULT,
					false, &batch);
	qt_batch_patch(batch.data + VARHDRSZ, PG_GETARG_INT64(5), PG_GETARG_INT32(6));
	SET_VARSIZE(batch.data, batch.len);
	PG_RETURN_BYTEA_P(batch.data);
}

/* murmur2(key bytea), signed as in Java */
Datum
qtopic_murmur2(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_INT32((int32) qt_murmur2(VARDATA_ANY(key),
									   VARSIZE_ANY_EXHDR(key)));
}

/* crc32(key bytea) */
Datum
qtopic_crc32(PG_FUNCTION_ARGS)
{
	bytea	   *key = PG_GETARG_BYTEA_PP(0);

	PG_RETURN_INT64((int64) qt_crc32(VARDATA_ANY(key),
									 VARSIZE_ANY_EXHDR(key)));
}

/* partition_for_key(partitioner text, key bytea, partitions int) */
Datum
qtopic_partition_for_key(PG_FUNCTION_ARGS)
{
	QtPartitioner partitioner = partitioner_from_name(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	bytea	   *key = PG_GETARG_BYTEA_PP(1);
	int			partitions = PG_GETARG_INT32(2);

	if (partitions < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid number of partitions: %d", partitions),
				 errhint("A topic has at least one partition.")));
	PG_RETURN_INT32(qt_partition_for_key(partitioner, VARDATA_ANY(key),
										 VARSIZE_ANY_EXHDR(key), partitions));
}

/* Kafka allows any number; what timestamptz cannot hold is infinite. */
static TimestampTz
timestamp_from_ms(int64 ms)
{
	if (ms < MIN_TIMESTAMP / 1000 + EPOCH_MS)
		return DT_NOBEGIN;
	if (ms >= END_TIMESTAMP / 1000 + EPOCH_MS)
		return DT_NOEND;
	return (ms - EPOCH_MS) * 1000;
}

/* Rounds towards the past. */
static int64
timestamp_to_ms(TimestampTz timestamp)
{
	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the time of a record must be finite")));
	return timestamp / 1000 - (timestamp % 1000 < 0 ? 1 : 0) + EPOCH_MS;
}

static QtCodec
codec_from_name(const char *name)
{
	if (strcmp(name, qt_codec_name(QT_CODEC_NONE)) == 0)
		return QT_CODEC_NONE;
	if (strcmp(name, qt_codec_name(QT_CODEC_LZ4)) == 0)
		return QT_CODEC_LZ4;
	if (strcmp(name, qt_codec_name(QT_CODEC_ZSTD)) == 0)
		return QT_CODEC_ZSTD;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized compression codec \"%s\"", name),
			 errhint("Codecs are \"none\", \"lz4\" and \"zstd\".")));
}

static QtPartitioner
partitioner_from_name(const char *name)
{
	if (strcmp(name, "murmur2") == 0)
		return QT_PARTITIONER_MURMUR2;
	if (strcmp(name, "crc32") == 0)
		return QT_PARTITIONER_CRC32;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized partitioner \"%s\"", name),
			 errhint("Partitioners are \"murmur2\" and \"crc32\".")));
}

static void
get_array(FunctionCallInfo fcinfo, int argno, const char *name,
		  ArrayArgument *array)
{
	ArrayType  *argument;
	Oid			type;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	argument = PG_GETARG_ARRAYTYPE_P(argno);
	if (ARR_NDIM(argument) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have one dimension", name),
				 errdetail("It has %d.", ARR_NDIM(argument))));

	type = ARR_ELEMTYPE(argument);
	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(argument, type, typlen, typbyval, typalign,
					  &array->values, &array->nulls, &array->count);
}

static void
check_same_length(const ArrayArgument *array, const char *name, int count)
{
	if (array->count != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be as long as record_values", name),
				 errdetail("Its length is %d, and that of record_values is %d.",
						   array->count, count),
				 errhint("Use null for a record that has none.")));
}

static void
check_batch(int64 base_offset, int count)
{
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a record batch must have at least one record")));
	if (base_offset < 0 || base_offset > PG_INT64_MAX - count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid base offset: %lld", (long long) base_offset)));
}

static void
add_record(QtBatchBuilder *builder, QtRecord *record)
{
	if (builder->raw.len + qt_batch_record_size(record) > QT_BATCH_RAW_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("records are too large for one record batch"),
				 errdetail("A record batch holds %d bytes before compression.",
						   QT_BATCH_RAW_MAX)));
	qt_batch_add(builder, record);
}

/* An element that is bytea; NULL and -1 if it is null. */
static const char *
get_bytes(const ArrayArgument *array, int i, int *len)
{
	bytea	   *bytes;

	*len = -1;
	if (array->nulls[i])
		return NULL;
	bytes = DatumGetByteaPP(array->values[i]);
	*len = VARSIZE_ANY_EXHDR(bytes);
	return VARDATA_ANY(bytes);
}
