/*
 * api_group.c
 *		SQL functions: consumer groups.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api_rows.h"
#include "fetch.h"
#include "group.h"
#include "group_activity.h"
#include "group_state.h"
#include "offset_reset.h"
#include "position.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_create_group);
PG_FUNCTION_INFO_V1(qtopic_delete_group);
PG_FUNCTION_INFO_V1(qtopic_delete_offsets);
PG_FUNCTION_INFO_V1(qtopic_reset_offsets);
PG_FUNCTION_INFO_V1(qtopic_group_positions);
PG_FUNCTION_INFO_V1(qtopic_group_last_seen);
PG_FUNCTION_INFO_V1(qtopic_expire_positions);

/* Arguments of reset_offsets that say where to go. */
enum
{
	ARG_TO_POSITION = 2,
	ARG_PARTITION,
	ARG_TO_OFFSET,
	ARG_TO_TIME,
	ARG_SHIFT_BY,
	ARG_DRY_RUN
};

static const char *group_argument(FunctionCallInfo fcinfo, const char *function);
static QtTopic *topic_argument(FunctionCallInfo fcinfo);
static int	partition_argument(FunctionCallInfo fcinfo, int arg, const QtTopic *topic);
static void reset_target(FunctionCallInfo fcinfo, QtResetRequest *request);
static void show_positions(ReturnSetInfo *rsinfo, const QtGroupRow *group, QtTopic *topic,
						   const QtGroupTopicRow *in_topic);
static void note_time(void *arg, const QtRecord *record, const QtBatchSource *source);

/*
 * create_group(consumer_group text, topic text, start_at text,
 *				start_time timestamptz)
 */
Datum
qtopic_create_group(PG_FUNCTION_ARGS)
{
	const char *name = group_argument(fcinfo, "create_group()");
	QtTopic    *topic = topic_argument(fcinfo);
	const char *start_name = qt_argument_text(fcinfo, 2, "start_at");
	TimestampTz start_time = 0;
	int			start_at = qt_start_at_from_name(start_name);

	if (start_at < 0 || start_at == QT_START_TIME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid start of a consumer group: \"%s\"", start_name),
				 errdetail("It is \"earliest\", \"latest\" or \"none\"; or start_time is given.")));
	if (!PG_ARGISNULL(3))
	{
		if (start_at != QT_START_EARLIEST)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("start_at and start_time exclude each other")));
		start_at = QT_START_TIME;
		start_time = PG_GETARG_TIMESTAMPTZ(3);
	}
	qt_group_create(name, topic, start_at, start_time);
	PG_RETURN_VOID();
}

/* delete_group(consumer_group text) */
Datum
qtopic_delete_group(PG_FUNCTION_ARGS)
{
	qt_group_delete(group_argument(fcinfo, "delete_group()"));
	PG_RETURN_VOID();
}

/* delete_offsets(consumer_group text, topic text, partition int) */
Datum
qtopic_delete_offsets(PG_FUNCTION_ARGS)
{
	const char *name = group_argument(fcinfo, "delete_offsets()");
	QtTopic    *topic = topic_argument(fcinfo);

	PG_RETURN_INT32(qt_group_delete_offsets(name, topic, partition_argument(fcinfo, 2, topic)));
}

/*
 * reset_offsets(consumer_group text, topic text, to_position text,
 *				 partition int, to_offset bigint, to_time timestamptz,
 *				 shift_by bigint, dry_run bool)
 */
Datum
qtopic_reset_offsets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QtResetRequest request = {0};
	QtResetResult *results;
	int			count;

	request.group = group_argument(fcinfo, "reset_offsets()");
	request.topic = topic_argument(fcinfo);
	request.partition = partition_argument(fcinfo, ARG_PARTITION, request.topic);
	request.dry_run = !PG_ARGISNULL(ARG_DRY_RUN) && PG_GETARG_BOOL(ARG_DRY_RUN);
	reset_target(fcinfo, &request);
	qt_group_check_name(request.group);

	InitMaterializedSRF(fcinfo, 0);
	results = qt_reset_offsets(&request, &count);
	for (int i = 0; i < count; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Int32GetDatum(results[i].partition);
		values[1] = Int64GetDatum(results[i].old_offset);
		nulls[1] = results[i].old_offset < 0;
		values[2] = Int64GetDatum(results[i].new_offset);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* qtopic_internal.group_positions(): for the views */
Datum
qtopic_group_positions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	qt_shmem_require();
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, qt_group_catalog_groups())
	{
		QtGroupRow *group = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, qt_group_catalog_topics(group->group_id))
		{
			QtGroupTopicRow *in_topic = lfirst(lc2);
			QtTopic    *topic = qt_topic_lookup_id(in_topic->topic_id, true);

			if (topic != NULL && qt_group_is_usable(group, topic))
				show_positions(rsinfo, group, topic, in_topic);
			CHECK_FOR_INTERRUPTS();
		}
	}
	return (Datum) 0;
}

/* qtopic_internal.group_last_seen(group_id int) */
Datum
qtopic_group_last_seen(PG_FUNCTION_ARGS)
{
	TimestampTz last_seen;

	qt_shmem_require();
	last_seen = qt_group_last_seen(PG_GETARG_INT32(0));
	if (last_seen == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last_seen);
}

/* qtopic_internal.expire_positions(at timestamptz) */
Datum
qtopic_expire_positions(PG_FUNCTION_ARGS)
{
	PreventCommandIfReadOnly("expire_positions()");
	PreventCommandDuringRecovery("expire_positions()");
	qt_shmem_require();
	qt_group_activity_save(PG_GETARG_TIMESTAMPTZ(0));
	PG_RETURN_INT32(qt_group_activity_expire(PG_GETARG_TIMESTAMPTZ(0)));
}

/* The first argument, of a function that writes. */
static const char *
group_argument(FunctionCallInfo fcinfo, const char *function)
{
	const char *name = qt_argument_text(fcinfo, 0, "consumer_group");

	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
	qt_shmem_require();
	return name;
}

/* The second one; 42501 without the right to read it. */
static QtTopic *
topic_argument(FunctionCallInfo fcinfo)
{
	QtTopic    *topic = qt_topic_lookup(qt_argument_text(fcinfo, 1, "topic"), false);

	qt_topic_check_right(topic, ACL_SELECT);
	return topic;
}

/* -1 for NULL: all. */
static int
partition_argument(FunctionCallInfo fcinfo, int arg, const QtTopic *topic)
{
	if (PG_ARGISNULL(arg))
		return -1;
	qt_topic_check_partition(topic, PG_GETARG_INT32(arg));
	return PG_GETARG_INT32(arg);
}

/* Exactly one of the arguments says where to go. */
static void
reset_target(FunctionCallInfo fcinfo, QtResetRequest *request)
{
	int			given = !PG_ARGISNULL(ARG_TO_POSITION) + !PG_ARGISNULL(ARG_TO_OFFSET) +
		!PG_ARGISNULL(ARG_TO_TIME) + !PG_ARGISNULL(ARG_SHIFT_BY);

	if (given != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("exactly one of to_position, to_offset, to_time and shift_by must be given"),
				 errdetail_plural("%d is given.", "%d are given.", given, given)));
	if (!PG_ARGISNULL(ARG_TO_OFFSET))
	{
		request->to = QT_RESET_OFFSET;
		request->offset = PG_GETARG_INT64(ARG_TO_OFFSET);
	}
	else if (!PG_ARGISNULL(ARG_TO_TIME))
	{
		request->to = QT_RESET_TIME;
		request->time = PG_GETARG_TIMESTAMPTZ(ARG_TO_TIME);
	}
	else if (!PG_ARGISNULL(ARG_SHIFT_BY))
	{
		request->to = QT_RESET_SHIFT;
		request->offset = PG_GETARG_INT64(ARG_SHIFT_BY);
	}
	else
	{
		const char *name = qt_argument_text(fcinfo, ARG_TO_POSITION, "to_position");

		if (strcmp(name, "earliest") == 0)
			request->to = QT_RESET_EARLIEST;
		else if (strcmp(name, "latest") == 0)
			request->to = QT_RESET_LATEST;
		else if (strcmp(name, "current") == 0)
			request->to = QT_RESET_CURRENT;
		else
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid position: \"%s\"", name),
					 errdetail("It is \"earliest\", \"latest\" or \"current\".")));
	}
}

/* A row for each partition of a topic in a group. */
static void
show_positions(ReturnSetInfo *rsinfo, const QtGroupRow *group, QtTopic *topic,
			   const QtGroupTopicRow *in_topic)
{
	for (int p = 0; p < topic->partition_count; p++)
	{
		QtGroupStateKey key = qt_position_key(in_topic->gt_id, p);
		QtFetchRequest fetch = {topic, p, 0, 1, 1};
		QtGroupState state;
		QtPosition	position;
		QtFetchResult result;
		Datum		values[7];
		bool		nulls[7] = {false};

		qt_group_state_read(&key, &state);
		qt_group_catalog_read_position(in_topic->gt_id, p, false, &position);
		if (position.n > 0)
			fetch.from_offset = position.next_offset;
		else if (p >= in_topic->partitions || in_topic->start_at == QT_START_EARLIEST)
			fetch.from_offset = qt_topic_partition(topic, p)->log_start_offset;
		else
			fetch.from_offset = -1;

		values[0] = CStringGetTextDatum(group->name);
		values[1] = CStringGetTextDatum(topic->name);
		values[2] = Int32GetDatum(p);
		values[3] = Int32GetDatum(in_topic->gt_id);
		values[4] = Int64GetDatum(fetch.from_offset);
		nulls[4] = fetch.from_offset < 0;
		nulls[5] = true;
		if (fetch.from_offset >= 0)
		{
			qt_fetch_once(&fetch, note_time, &values[5], &result);
			nulls[5] = result.count == 0;
		}
		values[6] = Int32GetDatum(state.rollbacks);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
}

/* A QtRecordSink that keeps the timestamp in a Datum. */
static void
note_time(void *arg, const QtRecord *record, const QtBatchSource *source)
{
	*(Datum *) arg = TimestampTzGetDatum(qt_timestamp_from_ms(record->timestamp));
}
