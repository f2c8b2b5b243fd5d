/*
 * api_group.c
 *		SQL functions: consumer groups.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "api_rows.h"
#include "group.h"
#include "qtopic.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_create_group);
PG_FUNCTION_INFO_V1(qtopic_delete_group);
PG_FUNCTION_INFO_V1(qtopic_delete_offsets);

static const char *group_argument(FunctionCallInfo fcinfo, const char *function);
static QtTopic *topic_argument(FunctionCallInfo fcinfo);

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
	int			partition = -1;

	if (!PG_ARGISNULL(2))
	{
		partition = PG_GETARG_INT32(2);
		qt_topic_check_partition(topic, partition);
	}
	PG_RETURN_INT32(qt_group_delete_offsets(name, topic, partition));
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
