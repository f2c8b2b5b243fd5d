/*
 * record_row.c
 *		A record as SQL values, and SQL values as a record.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "record_headers.h"
#include "record_row.h"

/* Milliseconds between the epochs of Unix and PostgreSQL. */
#define EPOCH_DIFFERENCE_MS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000))

/* What bytes_to_text is converting, for the context of an error. */
typedef struct ConversionPlace
{
	const char *what;
	const QtRecord *record;
	const QtBatchSource *source;
} ConversionPlace;

static void check_format(const QtTopic *topic, QtFormat format, Oid type,
						 const char *data, int len, const char *what);
static void unsupported_key(Oid type) pg_attribute_noreturn();
static void jsonb_bytes(Datum datum, const char **data, int *len);
static void string_bytes(Datum datum, Oid type, const char **data, int *len);
static bool is_string_type(Oid type);
static Datum bytes_to_datum(const char *data, int len, QtFormat format,
							const char *what, const QtRecord *record,
							const QtBatchSource *source);
static Datum bytes_to_text(const char *data, int len, const char *what,
						   const QtRecord *record, const QtBatchSource *source);

void
qt_record_to_row(const QtRecord *record, const QtBatchSource *source,
				 QtFormat key_format, QtFormat value_format,
				 int needed, Datum *values, bool *nulls)
{
	Jsonb	   *headers = NULL;

	memset(nulls, 0, sizeof(bool) * QT_RECORD_COLUMNS);
	values[QT_COLUMN_PARTITION] = Int32GetDatum(source->partition);
	values[QT_COLUMN_OFFSET] = Int64GetDatum(record->offset);
	values[QT_COLUMN_TIMESTAMP] = TimestampTzGetDatum(qt_timestamp_from_ms(record->timestamp));

	if (record->key_len < 0 || !(needed & (1 << QT_COLUMN_KEY)))
		nulls[QT_COLUMN_KEY] = true;
	else
		values[QT_COLUMN_KEY] = bytes_to_datum(record->key, record->key_len, key_format,
											   "key", record, source);
	if (record->value_len < 0 || !(needed & (1 << QT_COLUMN_VALUE)))
		nulls[QT_COLUMN_VALUE] = true;
	else
		values[QT_COLUMN_VALUE] = bytes_to_datum(record->value, record->value_len, value_format,
												 "value", record, source);

	if (record->header_count > 0 && (needed & (1 << QT_COLUMN_HEADERS)))
		headers = qt_headers_decode(record, source);
	if (headers == NULL)
		nulls[QT_COLUMN_HEADERS] = true;
	else
		values[QT_COLUMN_HEADERS] = JsonbPGetDatum(headers);
}

int64
qt_timestamp_to_ms(TimestampTz timestamp)
{
	int64		ms;

	if (TIMESTAMP_NOT_FINITE(timestamp))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp of a record must be finite")));
	ms = timestamp / 1000;
	if (timestamp % 1000 < 0)
		ms--;
	return ms + EPOCH_DIFFERENCE_MS;
}

int64
qt_timestamp_to_ms_up(TimestampTz timestamp)
{
	int64		ms;

	if (TIMESTAMP_IS_NOBEGIN(timestamp))
		return PG_INT64_MIN;
	if (TIMESTAMP_IS_NOEND(timestamp))
		return PG_INT64_MAX;
	ms = qt_timestamp_to_ms(timestamp);
	return qt_timestamp_from_ms(ms) < timestamp ? ms + 1 : ms;
}

TimestampTz
qt_timestamp_from_ms(int64 ms)
{
	if (ms >= qt_timestamp_edge_ms(true))
		return DT_NOEND;
	if (ms <= qt_timestamp_edge_ms(false))
		return DT_NOBEGIN;
	return (ms - EPOCH_DIFFERENCE_MS) * 1000;
}

int64
qt_timestamp_edge_ms(bool end)
{
	return (end ? END_TIMESTAMP : MIN_TIMESTAMP) / 1000 + EPOCH_DIFFERENCE_MS;
}

/*
 * Keys are hashed by their bytes, so only types whose text does not depend on
 * settings of the session are taken.
 */
void
qt_record_set_key(QtRecord *record, const QtTopic *topic, Datum key, Oid type)
{
	char		digits[MAXINT8LEN + 1];
	char	   *text = NULL;

	switch (type)
	{
		case BYTEAOID:
			{
				bytea	   *bytes = DatumGetByteaPP(key);

				record->key = VARDATA_ANY(bytes);
				record->key_len = VARSIZE_ANY_EXHDR(bytes);
				check_format(topic, topic->config.key_format, type,
							 record->key, record->key_len, "key");
				return;
			}
		case JSONBOID:
			if (topic->config.key_format != QT_FORMAT_JSONB)
				unsupported_key(type);
			jsonb_bytes(key, &record->key, &record->key_len);
			return;
		case INT2OID:
			pg_ltoa(DatumGetInt16(key), digits);
			text = pstrdup(digits);
			break;
		case INT4OID:
			pg_ltoa(DatumGetInt32(key), digits);
			text = pstrdup(digits);
			break;
		case INT8OID:
			pg_lltoa(DatumGetInt64(key), digits);
			text = pstrdup(digits);
			break;
		case NUMERICOID:
		case UUIDOID:
			{
				Oid			output;
				bool		varlena;

				getTypeOutputInfo(type, &output, &varlena);
				text = OidOutputFunctionCall(output, key);
				break;
			}
		default:
			if (!is_string_type(type))
				unsupported_key(type);
			string_bytes(key, type, &record->key, &record->key_len);
			check_format(topic, topic->config.key_format, TEXTOID,
						 record->key, record->key_len, "key");
			return;
	}
	record->key = text;
	record->key_len = strlen(text);
	if (topic->config.key_format == QT_FORMAT_JSONB)
		check_format(topic, topic->config.key_format, TEXTOID,
					 record->key, record->key_len, "key");
}

void
qt_record_set_value(QtRecord *record, const QtTopic *topic, Datum value, Oid type)
{
	if (type == BYTEAOID)
	{
		bytea	   *bytes = DatumGetByteaPP(value);

		record->value = VARDATA_ANY(bytes);
		record->value_len = VARSIZE_ANY_EXHDR(bytes);
	}
	else if (type == JSONBOID)
		jsonb_bytes(value, &record->value, &record->value_len);
	else if (type == JSONOID || is_string_type(type))
		string_bytes(value, type == JSONOID ? TEXTOID : type,
					 &record->value, &record->value_len);
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("value of type %s is not supported", format_type_be(type)),
				 errdetail("Values may be text, json, jsonb and bytea."),
				 errhint("Cast the values: value::text, or use to_jsonb(value).")));

	check_format(topic, topic->config.value_format, type,
				 record->value, record->value_len, "value");
}

void
qt_record_set_headers(QtRecord *record, Jsonb *headers)
{
	StringInfoData encoded;

	initStringInfo(&encoded);
	record->header_count = qt_headers_encode(headers, &encoded);
	record->headers = encoded.data;
	record->headers_len = encoded.len;
}

/* Is a value of that type good for the topic's format? */
static void
check_format(const QtTopic *topic, QtFormat format, Oid type,
			 const char *data, int len, const char *what)
{
	if (format == QT_FORMAT_BYTEA && type != BYTEAOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s of topic \"%s\" must be bytea, not %s",
						what, topic->name, format_type_be(type)),
				 errdetail("The topic was created with %s.format = bytea.", what),
				 errhint("Cast it to bytea, or use convert_to(%s, 'UTF8').", what)));

	/* the bytes are stored as given, but must be readable as jsonb */
	if (format == QT_FORMAT_JSONB && type != JSONBOID)
	{
		char	   *text;

		(void) pg_verify_mbstr(PG_UTF8, data, len, false);
		text = pnstrdup(data, len);
		(void) DirectFunctionCall1(jsonb_in, CStringGetDatum(pg_any_to_server(text, len, PG_UTF8)));
		pfree(text);
	}
}

static void
unsupported_key(Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("key of type %s is not supported", format_type_be(type)),
			 errdetail("Keys may be text, bytea, integers, numeric and uuid: the partition must not depend on how a session shows a value."),
			 errhint("Cast the key: key::text")));
}

/* The text of a jsonb value in UTF-8. */
static void
jsonb_bytes(Datum datum, const char **data, int *len)
{
	Jsonb	   *jsonb = DatumGetJsonbP(datum);
	char	   *text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));

	*data = pg_server_to_any(text, strlen(text), PG_UTF8);
	*len = strlen(*data);
}

/* Bytes of a string in UTF-8. */
static void
string_bytes(Datum datum, Oid type, const char **data, int *len)
{
	char	   *text;

	if (type == TEXTOID || type == VARCHAROID)
	{
		struct varlena *string = PG_DETOAST_DATUM_PACKED(datum);

		*data = VARDATA_ANY(string);
		*len = VARSIZE_ANY_EXHDR(string);
		if (GetDatabaseEncoding() == PG_UTF8)
			return;
		text = pg_server_to_any(*data, *len, PG_UTF8);
		if (text == *data)
			return;
	}
	else if (type == BPCHAROID)
	{
		/* as a cast to text: without the padding */
		string_bytes(DirectFunctionCall1(rtrim1, datum), TEXTOID, data, len);
		return;
	}
	else
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(type, &output, &varlena);
		text = OidOutputFunctionCall(output, datum);
		text = pg_server_to_any(text, strlen(text), PG_UTF8);
	}
	*data = text;
	*len = strlen(text);
}

/* Milliseconds; 22023 if the topic's configuration does not allow the time. */
int64
qt_record_timestamp(const QtTopic *topic, bool given, TimestampTz time, TimestampTz now)
{
	const QtTopicConfig *config = &topic->config;
	int64		now_ms = qt_timestamp_to_ms(now);
	int64		ms;

	if (!given || config->log_append_time)
		return now_ms;

	ms = qt_timestamp_to_ms(time);
	if (ms > now_ms && ms - now_ms > config->timestamp_after_max_ms)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timestamp of a record for topic \"%s\" is too far in the future", topic->name),
				 errdetail("It is %lld ms ahead of the clock, and message.timestamp.after.max.ms is %lld.",
						   (long long) (ms - now_ms), (long long) config->timestamp_after_max_ms)));
	if (ms < now_ms && now_ms - ms > config->timestamp_before_max_ms)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timestamp of a record for topic \"%s\" is too far in the past", topic->name),
				 errdetail("It is %lld ms behind the clock, and message.timestamp.before.max.ms is %lld.",
						   (long long) (now_ms - ms), (long long) config->timestamp_before_max_ms)));
	return ms;
}

static bool
is_string_type(Oid type)
{
	char		category;
	bool		preferred;

	if (type == TEXTOID || type == VARCHAROID)
		return true;
	if (type == UNKNOWNOID)
		return false;
	get_type_category_preferred(type, &category, &preferred);
	return category == TYPCATEGORY_STRING;
}

static Datum
bytes_to_datum(const char *data, int len, QtFormat format, const char *what,
			   const QtRecord *record, const QtBatchSource *source)
{
	bytea	   *bytes;

	switch (format)
	{
		case QT_FORMAT_TEXT:
			return bytes_to_text(data, len, what, record, source);

		case QT_FORMAT_JSONB:
			return DirectFunctionCall1(jsonb_in,
									   CStringGetDatum(TextDatumGetCString(bytes_to_text(data, len, what,
																						 record, source))));
		case QT_FORMAT_BYTEA:
			break;
	}
	bytes = palloc(len + VARHDRSZ);
	SET_VARSIZE(bytes, len + VARHDRSZ);
	memcpy(VARDATA(bytes), data, len);
	return PointerGetDatum(bytes);
}

/* Where a character is that the server's encoding has not. */
static void
name_record(void *arg)
{
	ConversionPlace *where = arg;

	errcontext("%s of topic \"%s\", partition %d, offset %lld", where->what,
			   where->source->topic, where->source->partition,
			   (long long) where->record->offset);
}

/* UTF-8 bytes to the server's encoding. */
static Datum
bytes_to_text(const char *data, int len, const char *what,
			  const QtRecord *record, const QtBatchSource *source)
{
	char	   *converted;
	ConversionPlace where;
	ErrorContextCallback callback;

	if (!pg_verify_mbstr(PG_UTF8, data, len, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("%s of topic \"%s\", partition %d, offset %lld is not valid text",
						what, source->topic, source->partition, (long long) record->offset),
				 errdetail("Its bytes are not valid UTF-8."),
				 errhint("Read it as bytea, with fetch_records_bytea() or consume_bytea().")));

	if (GetDatabaseEncoding() == PG_UTF8)
		return PointerGetDatum(cstring_to_text_with_len(data, len));

	where.what = what;
	where.record = record;
	where.source = source;
	callback.callback = name_record;
	callback.arg = &where;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	converted = pg_any_to_server(data, len, PG_UTF8);
	error_context_stack = callback.previous;
	return PointerGetDatum(converted == data ? cstring_to_text_with_len(data, len) :
						   cstring_to_text(converted));
}
