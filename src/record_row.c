/*
 * record_row.c
 *		A record as SQL values, and SQL values as a record.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "record_headers.h"
#include "record_row.h"

/* Milliseconds between the epochs of Unix and PostgreSQL. */
#define EPOCH_DIFFERENCE_MS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000))

static Datum bytes_to_datum(const char *data, int len, QtFormat format,
							const char *what, const QtRecord *record,
							const QtBatchSource *source);
static Datum bytes_to_text(const char *data, int len, const char *what,
						   const QtRecord *record, const QtBatchSource *source);

void
qt_record_to_row(const QtRecord *record, const QtBatchSource *source,
				 QtFormat key_format, QtFormat value_format,
				 Datum *values, bool *nulls)
{
	Jsonb	   *headers;

	memset(nulls, 0, sizeof(bool) * QT_RECORD_COLUMNS);
	values[QT_COLUMN_PARTITION] = Int32GetDatum(source->partition);
	values[QT_COLUMN_OFFSET] = Int64GetDatum(record->offset);
	values[QT_COLUMN_TIMESTAMP] = TimestampTzGetDatum(qt_timestamp_from_ms(record->timestamp));

	if (record->key_len < 0)
		nulls[QT_COLUMN_KEY] = true;
	else
		values[QT_COLUMN_KEY] = bytes_to_datum(record->key, record->key_len, key_format,
											   "key", record, source);
	if (record->value_len < 0)
		nulls[QT_COLUMN_VALUE] = true;
	else
		values[QT_COLUMN_VALUE] = bytes_to_datum(record->value, record->value_len, value_format,
												 "value", record, source);

	headers = record->header_count == 0 ? NULL : qt_headers_decode(record, source);
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

TimestampTz
qt_timestamp_from_ms(int64 ms)
{
	/* what SQL cannot show is shown as infinity */
	if (ms > (END_TIMESTAMP / 1000) + EPOCH_DIFFERENCE_MS - 1)
		return DT_NOEND;
	if (ms < (MIN_TIMESTAMP / 1000) + EPOCH_DIFFERENCE_MS + 1)
		return DT_NOBEGIN;
	return (ms - EPOCH_DIFFERENCE_MS) * 1000;
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

/* UTF-8 bytes to the server's encoding. */
static Datum
bytes_to_text(const char *data, int len, const char *what,
			  const QtRecord *record, const QtBatchSource *source)
{
	char	   *converted;

	if (!pg_verify_mbstr(PG_UTF8, data, len, true))
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("%s of topic \"%s\", partition %d, offset %lld is not valid text",
						what, source->topic, source->partition, (long long) record->offset),
				 errdetail("Its bytes are not valid UTF-8."),
				 errhint("Read it as bytea, with fetch_records_bytea().")));

	if (GetDatabaseEncoding() == PG_UTF8)
		return PointerGetDatum(cstring_to_text_with_len(data, len));

	converted = pg_any_to_server(data, len, PG_UTF8);
	return PointerGetDatum(converted == data ? cstring_to_text_with_len(data, len) :
						   cstring_to_text(converted));
}
