/*
 * api_fetch.c
 *		SQL functions: reading without a group.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "api_rows.h"
#include "fetch.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_fetch_records);
PG_FUNCTION_INFO_V1(qtopic_fetch_records_bytea);
PG_FUNCTION_INFO_V1(qtopic_offset_for_time);

static Datum fetch_as(FunctionCallInfo fcinfo, QtFormat format);

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
	int64		offset;

	qt_argument_not_null(fcinfo, 1, "partition");
	qt_argument_not_null(fcinfo, 2, "at");

	topic = qt_topic_lookup(qt_argument_text(fcinfo, 0, "topic"), false);
	qt_topic_check_right(topic, ACL_SELECT);
	qt_topic_check_partition(topic, PG_GETARG_INT32(1));

	offset = qt_offset_for_time(topic, PG_GETARG_INT32(1),
								qt_timestamp_to_ms_up(PG_GETARG_TIMESTAMPTZ(2)), false);
	if (offset < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(offset);
}

static Datum
fetch_as(FunctionCallInfo fcinfo, QtFormat format)
{
	QtFetchRequest request;
	QtRows		rows;

	qt_argument_not_null(fcinfo, 0, "topic");
	qt_argument_not_null(fcinfo, 1, "partition");
	qt_argument_not_null(fcinfo, 2, "from_offset");
	request.partition = PG_GETARG_INT32(1);
	request.from_offset = PG_GETARG_INT64(2);
	request.max_records = qt_argument_positive(fcinfo, 3, "max_records");
	request.max_wait_ms = qt_argument_ms(fcinfo, 4, "max_wait");
	request.max_bytes = qt_argument_positive(fcinfo, 5, "max_bytes");

	request.topic = qt_topic_lookup(qt_argument_text(fcinfo, 0, "topic"), false);
	qt_topic_check_right(request.topic, ACL_SELECT);
	qt_topic_check_partition(request.topic, request.partition);

	qt_rows_begin(&rows, fcinfo, format, format, request.max_records);
	(void) qt_fetch(&request, qt_rows_add, &rows);
	qt_rows_end(&rows);
	return (Datum) 0;
}
