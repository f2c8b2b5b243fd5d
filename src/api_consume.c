/*
 * api_consume.c
 *		SQL functions: reading in a consumer group.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "api_rows.h"
#include "consume.h"
#include "consume_portal.h"
#include "group.h"
#include "guc.h"
#include "qtopic.h"
#include "topic_cache.h"

PG_FUNCTION_INFO_V1(qtopic_consume);
PG_FUNCTION_INFO_V1(qtopic_consume_bytea);
PG_FUNCTION_INFO_V1(qtopic_consume_jsonb);
PG_FUNCTION_INFO_V1(qtopic_wait_for_records);

static Datum consume_as(FunctionCallInfo fcinfo, QtFormat key_format, QtFormat value_format);
static bool drop_portal_snapshot(void);

/*
 * consume(consumer_group text, topic text, max_records int, max_wait interval,
 *		   max_bytes int)
 */
Datum
qtopic_consume(PG_FUNCTION_ARGS)
{
	return consume_as(fcinfo, QT_FORMAT_TEXT, QT_FORMAT_TEXT);
}

Datum
qtopic_consume_bytea(PG_FUNCTION_ARGS)
{
	return consume_as(fcinfo, QT_FORMAT_BYTEA, QT_FORMAT_BYTEA);
}

Datum
qtopic_consume_jsonb(PG_FUNCTION_ARGS)
{
	return consume_as(fcinfo, QT_FORMAT_TEXT, QT_FORMAT_JSONB);
}

/*
 * wait_for_records(consumer_group text, topic text, max_wait interval,
 *					INOUT ready bool), a procedure
 */
Datum
qtopic_wait_for_records(PG_FUNCTION_ARGS)
{
	QtConsumeRequest request = {0};
	TupleDesc	desc;
	Datum		ready;
	bool		isnull = false;

	request.group = qt_argument_text(fcinfo, 0, "consumer_group");
	request.max_wait_ms = qt_argument_ms(fcinfo, 2, "max_wait");
	request.max_records = 1;
	request.max_bytes = 1;

	PreventCommandDuringRecovery("wait_for_records()");
	qt_shmem_require();
	qt_group_check_name(request.group);
	if (!PG_ARGISNULL(1))
	{
		request.topic = qt_topic_lookup(qt_argument_text(fcinfo, 1, "topic"), false);
		qt_topic_check_right(request.topic, ACL_SELECT);
	}

	if (drop_portal_snapshot())
	{
		ready = BoolGetDatum(qt_wait_for_records(&request));
		EnsurePortalSnapshotExists();
	}
	else
	{
		request.max_wait_ms = Min(request.max_wait_ms, qt_guc_max_wait);
		ready = BoolGetDatum(qt_wait_for_records(&request));
	}

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), &ready, &isnull)));
}

static Datum
consume_as(FunctionCallInfo fcinfo, QtFormat key_format, QtFormat value_format)
{
	QtConsumeRequest request;
	QtRows		rows;

	request.group = qt_argument_text(fcinfo, 0, "consumer_group");
	qt_argument_not_null(fcinfo, 1, "topic");
	request.max_records = qt_argument_positive(fcinfo, 2, "max_records");
	request.max_wait_ms = qt_argument_ms(fcinfo, 3, "max_wait");
	request.max_bytes = qt_argument_positive(fcinfo, 4, "max_bytes");

	PreventCommandIfReadOnly("consume()");
	PreventCommandDuringRecovery("consume()");
	PreventCommandIfParallelMode("consume()");
	qt_shmem_require();
	qt_group_check_name(request.group);
	request.topic = qt_topic_lookup(qt_argument_text(fcinfo, 1, "topic"), false);
	qt_topic_check_right(request.topic, ACL_SELECT);

	qt_consume_check_portal();
	qt_rows_begin(&rows, fcinfo, key_format, value_format, request.max_records);
	(void) qt_consume(&request, qt_rows_add, &rows);
	qt_rows_end(&rows);
	return (Datum) 0;
}

/*
 * A CALL has one snapshot, which its portal has pushed and registered, and
 * which would hold back the removal of dead rows.  False if it is in use or
 * there are others.
 */
static bool
drop_portal_snapshot(void)
{
	if (ActivePortal == NULL || ActivePortal->portalSnapshot == NULL ||
		!ActiveSnapshotSet() || GetActiveSnapshot() != ActivePortal->portalSnapshot ||
		IsolationUsesXactSnapshot())
		return false;
	ActivePortal->portalSnapshot = NULL;
	PopActiveSnapshot();

	/* kept for what the result may refer to: a boolean refers to nothing */
	if (ActivePortal->holdSnapshot != NULL)
		UnregisterSnapshotFromOwner(ActivePortal->holdSnapshot, ActivePortal->resowner);
	ActivePortal->holdSnapshot = NULL;
	return true;
}
