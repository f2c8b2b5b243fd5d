/*
 * api_topic.c
 *		SQL functions: topics.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "fetch.h"
#include "qtopic.h"
#include "topic.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_create_topic);
PG_FUNCTION_INFO_V1(qtopic_alter_topic);
PG_FUNCTION_INFO_V1(qtopic_drop_topic);
PG_FUNCTION_INFO_V1(qtopic_delete_records);
PG_FUNCTION_INFO_V1(qtopic_partition_offsets);
PG_FUNCTION_INFO_V1(qtopic_partition_states);

static QtTopic *lock_topic(const char *name, Oid *relation);
static TimestampTz transaction_start(int pid);
static char *topic_argument(FunctionCallInfo fcinfo);

/* create_topic(topic text, partitions int, config jsonb) */
Datum
qtopic_create_topic(PG_FUNCTION_ARGS)
{
	char	   *topic = topic_argument(fcinfo);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("number of partitions must not be null")));
	qt_topic_create(topic, PG_GETARG_INT32(1),
					PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	PG_RETURN_VOID();
}

/* alter_topic(topic text, partitions int, config jsonb) */
Datum
qtopic_alter_topic(PG_FUNCTION_ARGS)
{
	char	   *topic = topic_argument(fcinfo);

	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of partitions must be at least 1"),
				 errdetail("%d were requested.", PG_GETARG_INT32(1))));
	qt_topic_alter(topic, PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1),
				   PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	PG_RETURN_VOID();
}

/* drop_topic(topic text, if_exists bool) */
Datum
qtopic_drop_topic(PG_FUNCTION_ARGS)
{
	char	   *topic = topic_argument(fcinfo);

	qt_topic_drop(topic, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

/* delete_records(topic text, partition int, before_offset bigint) */
Datum
qtopic_delete_records(PG_FUNCTION_ARGS)
{
	char	   *topic = topic_argument(fcinfo);

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", PG_ARGISNULL(1) ? "partition" : "before_offset")));
	PG_RETURN_INT64(qt_topic_delete_records(topic, PG_GETARG_INT32(1), PG_GETARG_INT64(2)));
}

/* partition_offsets(topic text) */
Datum
qtopic_partition_offsets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	QtTopic    *topic = qt_topic_lookup(topic_argument(fcinfo), false);
	int			count = topic->partition_count;

	qt_topic_check_right(topic, ACL_SELECT);
	InitMaterializedSRF(fcinfo, 0);

	for (int p = 0; p < count; p++)
	{
		QtPartitionState state;
		Datum		values[4];
		bool		nulls[4] = {false};

		CHECK_FOR_INTERRUPTS();
		qt_topic_refresh(topic);
		qt_partition_state(topic, p, &state);
		values[0] = Int32GetDatum(p);
		values[1] = Int64GetDatum(state.log_start_offset);
		values[2] = Int64GetDatum(state.last_stable_offset);
		values[3] = Int64GetDatum(state.next_offset);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * partition_states(topic text): for the view qtopic_partitions, which runs
 * over all topics; one that is gone, that somebody is dropping, or that the user
 * may not read, yields nothing.
 */
Datum
qtopic_partition_states(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			relation;
	QtTopic    *topic = lock_topic(topic_argument(fcinfo), &relation);
	int			count = topic ? topic->partition_count : 0;

	InitMaterializedSRF(fcinfo, 0);
	for (int p = 0; p < count; p++)
	{
		QtPartitionState state;
		QtPartition *partition;
		TimestampTz since;
		Datum		values[8];
		bool		nulls[8] = {false};

		CHECK_FOR_INTERRUPTS();
		qt_topic_refresh(topic);
		qt_partition_state(topic, p, &state);
		partition = qt_topic_partition(topic, p);
		values[0] = Int32GetDatum(p);
		values[1] = Int64GetDatum(state.log_start_offset);
		values[2] = Int64GetDatum(state.last_stable_offset);
		values[3] = Int64GetDatum(state.next_offset);
		values[4] = Int32GetDatum(partition->segment_count);
		values[5] = TransactionIdGetDatum(state.blocked_by);
		nulls[5] = !TransactionIdIsValid(state.blocked_by);
		values[6] = Int32GetDatum(state.blocked_by_pid);
		nulls[6] = state.blocked_by_pid == 0;
		since = transaction_start(state.blocked_by_pid);
		values[7] = TimestampTzGetDatum(since);
		nulls[7] = since == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	if (topic != NULL)
		UnlockRelationOid(relation, AccessShareLock);
	return (Datum) 0;
}

/*
 * A topic that the user may read, its relation locked against drop_topic(); or
 * NULL.
 */
static QtTopic *
lock_topic(const char *name, Oid *relation)
{
	for (;;)
	{
		QtTopic    *topic = qt_topic_lookup(name, true);

		if (topic == NULL || !OidIsValid(topic->relation) ||
			pg_class_aclcheck(topic->relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return NULL;
		*relation = topic->relation;
		if (!ConditionalLockRelationOid(*relation, AccessShareLock))
			return NULL;
		if (topic->valid)
			return topic;
		UnlockRelationOid(*relation, AccessShareLock);	/* the lock brought news */
	}
}

/*
 * When the transaction of a backend began, or 0.  Not asked through
 * pg_stat_activity, which hides it from most: whoever may read a topic may
 * know who holds it up.
 */
static TimestampTz
transaction_start(int pid)
{
	for (int i = 1; pid != 0 && i <= pgstat_fetch_stat_numbackends(); i++)
	{
		LocalPgBackendStatus *status = pgstat_fetch_stat_local_beentry(i);

		if (status != NULL && status->backendStatus.st_procpid == pid)
			return status->backendStatus.st_xact_start_timestamp;
	}
	return 0;
}

static char *
topic_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("topic must not be null")));
	return text_to_cstring(PG_GETARG_TEXT_PP(0));
}
