/*
 * fetch.c
 *		Reading records of a partition without a group.
 *
 * A waiting reader holds no snapshot of its own, no scan and no lock on the
 * topic.  The snapshot of its statement remains, and holds back VACUUM, which
 * is why qtopic.max_wait bounds the wait.
 */
#include "postgres.h"

#include "access/subtrans.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/inval.h"
#include "utils/timestamp.h"

#include "fetch.h"
#include "guc.h"
#include "offset_sequence.h"
#include "partition_scan.h"
#include "record_row.h"
#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"
#include "worker_slots.h"

/* How much is copied out of the storage at a time. */
#define CHUNK_BYTES		(256 * 1024)

static void fetch(const QtFetchRequest *request, bool check, QtRecordSink sink,
				  void *arg, QtFetchResult *result);
static void check_position(const QtFetchRequest *request, int64 log_start_offset);
static bool records_may_have_come(const QtFetchRequest *request);
static int64 current_next_offset(QtTopic *topic, int partition);
static Size record_bytes(const QtRecord *record);
static int64 first_record_since(QtPartitionScan *headers, const QtBatchSource *source,
								int64 timestamp);

int64
qt_fetch(const QtFetchRequest *request, QtRecordSink sink, void *arg)
{
	int64		wait_ms = Min(request->max_wait_ms, qt_guc_max_wait);
	TimestampTz deadline = 0;
	bool		waiting = false;
	QtFetchResult result;

	for (;;)
	{
		long		left;

		fetch(request, true, sink, arg, &result);
		if (result.count > 0 || wait_ms <= 0 || result.own_record ||
			IsolationUsesXactSnapshot())
			break;

		if (!waiting)
		{
			/* look once more after we can be woken */
			qt_wakeup_register();
			deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait_ms);
			qt_wait_begin(&request->topic->wait_slot, 1, 0);
			waiting = true;
			continue;
		}

		/* records that cannot be there need no snapshot to be looked for */
		do
		{
			left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
			if (left > 0)
				qt_wait_sleep(Min(left, qt_worker_recheck_ms()));
		} while (left > 0 && !records_may_have_come(request));
		if (left <= 0)
			break;
	}

	if (waiting)
		qt_wait_end();
	return result.count;
}

void
qt_fetch_once(const QtFetchRequest *request, QtRecordSink sink, void *arg,
			  QtFetchResult *result)
{
	fetch(request, false, sink, arg, result);
}

void
qt_partition_state(QtTopic *topic, int number, QtPartitionState *state)
{
	QtReadView	view;
	QtPartitionScan scan;
	QtPartition *partition;
	TransactionId xid;

	qt_read_view_open(&view, topic, number);
	qt_scan_begin(&scan, topic, number, &view, PG_INT64_MAX);
	(void) qt_scan_next(&scan, PG_INT64_MAX, CHUNK_BYTES);

	state->log_start_offset = scan.log_start_offset;
	state->last_stable_offset = qt_scan_stable_offset(&scan);
	state->blocked_by = InvalidTransactionId;
	state->blocked_by_pid = 0;
	xid = scan.leaf.stop_xid;
	if (scan.end == QT_SCAN_STOPPED && TransactionIdIsNormal(xid) &&
		TransactionIdIsInProgress(xid))
	{
		if (TransactionIdIsCurrentTransactionId(xid))
			state->blocked_by = GetTopTransactionId();
		else
			state->blocked_by = SubTransGetTopmostTransaction(xid);
		state->blocked_by_pid = BackendXidGetPid(state->blocked_by);
	}
	qt_scan_end(&scan);
	qt_read_view_close(&view);

	/* read last: it is not below what the scan has seen */
	partition = qt_topic_partition(topic, number);
	state->next_offset = qt_sequence_peek(partition->key.sequence);
}

int64
qt_offset_for_time(QtTopic *topic, int number, int64 timestamp, bool latest)
{
	QtReadView	view;
	QtPartitionScan scan;
	int64		offset = -1;

	if (timestamp == PG_INT64_MAX)
		return -1;
	if (latest)
		qt_read_view_open_latest(&view, topic, number);
	else
		qt_read_view_open(&view, topic, number);
	qt_scan_begin(&scan, topic, number, &view, 0);
	scan.leaf.position = scan.log_start_offset;
	scan.leaf.headers_only = true;
	while (offset < 0 && qt_scan_next(&scan, PG_INT64_MAX, CHUNK_BYTES))
	{
		for (int i = 0; i < scan.leaf.batch_count && offset < 0; i++)
		{
			QtStoredBatch *batch = &scan.leaf.batches[i];
			QtBatchSource source = {topic->name, number, batch->last_offset};
			QtBatchHeader header;

			qt_batch_header_decode_slice(batch->data, batch->len, batch->total_len,
										 &source, &header);
			if (header.max_timestamp >= timestamp)
				offset = first_record_since(&scan, &source, timestamp);
		}
		CHECK_FOR_INTERRUPTS();
	}
	qt_scan_end(&scan);
	qt_read_view_close(&view);
	return offset;
}

int64
qt_first_offset_since(QtTopic *topic, int partition, TimestampTz time)
{
	int64		stable = qt_stable_offset(topic, partition);
	int64		offset = qt_offset_for_time(topic, partition, qt_timestamp_to_ms_up(time), true);

	return offset < 0 ? stable : offset;
}

int64
qt_stable_offset(QtTopic *topic, int partition)
{
	int64		log_start_offset;

	return qt_scan_latest_stable_offset(topic, partition, &log_start_offset);
}

/* One look at the log, without waiting. */
static void
fetch(const QtFetchRequest *request, bool check, QtRecordSink sink, void *arg,
	  QtFetchResult *result)
{
	QtReadView	view;
	QtPartitionScan scan;
	QtBatchReader reader;
	int64		from_offset;
	int64		count = 0;
	int64		bytes = 0;

	memset(result, 0, sizeof(*result));
	qt_topic_refresh(request->topic);
	qt_read_view_open(&view, request->topic, request->partition);
	qt_scan_begin(&scan, request->topic, request->partition, &view, request->from_offset);
	if (check)
		check_position(request, scan.log_start_offset);
	from_offset = Max(request->from_offset, scan.log_start_offset);
	qt_batch_reader_init(&reader);

	while (count < request->max_records && bytes < request->max_bytes &&
		   qt_scan_next(&scan, request->max_records - count,
						Min(CHUNK_BYTES, request->max_bytes - bytes)))
	{
		for (int i = 0; i < scan.leaf.batch_count; i++)
		{
			QtStoredBatch *batch = &scan.leaf.batches[i];
			QtBatchSource source = {request->topic->name, request->partition, batch->last_offset};
			QtRecord	record;

			if (count >= request->max_records || bytes >= request->max_bytes)
				break;
			qt_batch_reader_open(&reader, batch->data, batch->len, &source,
								 qt_guc_check_crcs);
			while (count < request->max_records && qt_batch_reader_next(&reader, &record))
			{
				if (record.offset < from_offset)
					continue;
				bytes += record_bytes(&record);
				if (count > 0 && bytes > request->max_bytes)
					break;
				sink(arg, &record, &source);
				count++;
				result->next_offset = record.offset + 1;
				result->leader_epoch = reader.header.leader_epoch;
			}
		}
		CHECK_FOR_INTERRUPTS();
	}

	result->count = count;
	result->bytes = bytes;
	result->empty_to = from_offset;
	if (scan.done && scan.end == QT_SCAN_END)
		result->empty_to = Max(from_offset, scan.leaf.next_key);
	result->own_record = scan.done && scan.end == QT_SCAN_STOPPED &&
		TransactionIdIsNormal(scan.leaf.stop_xid) &&
		TransactionIdIsCurrentTransactionId(scan.leaf.stop_xid);
	qt_scan_end(&scan);
	qt_read_view_close(&view);

	/* a reader that waits gets here again and again in one context */
	pfree(reader.raw.data);
}

/* Throws QT001 if the position is outside of the log. */
static void
check_position(const QtFetchRequest *request, int64 log_start_offset)
{
	int64		next_offset;

	if (request->from_offset < log_start_offset)
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("offset %lld is out of range for topic \"%s\", partition %d",
						(long long) request->from_offset, request->topic->name,
						request->partition),
				 errdetail("The partition starts at offset %lld.",
						   (long long) log_start_offset),
				 errhint("Read from the log start offset that partition_offsets() returns.")));

	if (RecoveryInProgress() ||
		request->from_offset <= current_next_offset(request->topic, request->partition))
		return;
	/* the shared value of a former standby may be old */
	next_offset = qt_sequence_peek(qt_topic_partition(request->topic,
													  request->partition)->key.sequence);
	if (request->from_offset > next_offset)
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("offset %lld is out of range for topic \"%s\", partition %d",
						(long long) request->from_offset, request->topic->name,
						request->partition),
				 errdetail("The next record gets offset %lld.", (long long) next_offset),
				 errhint("A position is the offset of the last record read plus one.")));
}

/*
 * Is it worth while to look at the log?  Notices as well that the topic was
 * dropped.  The shared next offset is cheap, but may be old: in recovery, and
 * after a promotion until somebody appends.
 */
static bool
records_may_have_come(const QtFetchRequest *request)
{
	if (RecoveryInProgress())
		return true;
	AcceptInvalidationMessages();
	return current_next_offset(request->topic, request->partition) > request->from_offset ||
		qt_sequence_peek(qt_topic_partition(request->topic, request->partition)->key.sequence) >
		request->from_offset;
}

static int64
current_next_offset(QtTopic *topic, int number)
{
	qt_topic_refresh(topic);
	return (int64) pg_atomic_read_u64(&qt_topic_partition(topic, number)->slot->next_offset);
}

static Size
record_bytes(const QtRecord *record)
{
	return Max(record->key_len, 0) + Max(record->value_len, 0) + record->headers_len;
}

/* The first record of one batch that is not before a time, or -1. */
static int64
first_record_since(QtPartitionScan *headers, const QtBatchSource *source, int64 timestamp)
{
	QtPartitionScan scan;
	QtBatchReader reader;
	QtRecord	record;
	int64		offset = -1;

	qt_scan_begin(&scan, headers->topic, headers->partition, headers->view,
				  source->last_offset);
	qt_batch_reader_init(&reader);
	if (qt_scan_next(&scan, 1, 1) && scan.leaf.batches[0].last_offset == source->last_offset)
	{
		qt_batch_reader_open(&reader, scan.leaf.batches[0].data, scan.leaf.batches[0].len,
							 source, qt_guc_check_crcs);
		while (offset < 0 && qt_batch_reader_next(&reader, &record))
			if (record.timestamp >= timestamp && record.offset >= headers->log_start_offset)
				offset = record.offset;
	}
	pfree(reader.raw.data);
	qt_scan_end(&scan);
	return offset;
}
