/*
 * partition_scan.c
 *		The stop scan over a partition: what everything that reads is built on.
 *
 * Let t be a record that is visible in the snapshot S.  It was inserted before
 * S was taken.  By the append lock all lower offsets were inserted before t.
 * The scan starts after S was taken, at a point below which everything was
 * settled in S, so it meets each of them: visible ones are returned, aborted
 * ones skipped, and at one that was not settled it stops, before t.  So what a
 * reader gets is a prefix of the log.
 *
 * The order of steps:
 * - The settled hint before the snapshot: a later hint may count transactions
 *   that had not ended when the snapshot was taken.  For a snapshot that was
 *   given to us see hint_is_usable.
 * - The segment list after the snapshot: a segment that is missing from an
 *   older list may hold records that the snapshot sees.  A cached list will do
 *   if nobody has appended beyond it, which the slot tells.
 * - The leaf is locked before the cache entry is checked for the last time.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "debug_point.h"
#include "partition_scan.h"
#include "qtopic.h"

static void set_view(QtReadView *view, Snapshot snapshot, QtStop *stop,
					 const QtSettledHint hints[2]);
static bool hint_is_usable(QtSettledHint hint, Snapshot snapshot);
static uint64 full_xid(TransactionId xid);
static void scan_segment(QtPartitionScan *scan);
static void publish(QtPartitionScan *scan);
static QtPartition *current_partition(QtPartitionScan *scan);
static QtSegment *segment_at(QtPartition *partition, int ordinal, bool backward);
static void segment_missing(const QtPartitionScan *scan) pg_attribute_noreturn();
static void check_segment_complete(QtPartitionScan *scan, const QtSegment *segment);

void
qt_read_view_open(QtReadView *view, QtTopic *topic, int number)
{
	QtPartition *partition;
	QtPartitionKey key;
	QtSettledHint hints[2];
	Snapshot	snapshot;

	if (!IsolationUsesXactSnapshot())
	{
		qt_read_view_open_latest(view, topic, number);
		return;
	}

	/* hint first, then snapshot */
	partition = qt_topic_partition(topic, number);
	key = partition->key;
	qt_slot_hints(partition->slot, &key, hints);
	qt_debug_point("read-hint");
	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	set_view(view, snapshot, qt_stop_find(snapshot, NULL, key.sequence), hints);
	view->registered = true;
	qt_debug_point("read-snapshot");
}

void
qt_read_view_open_latest(QtReadView *view, QtTopic *topic, int number)
{
	QtPartition *partition = qt_topic_partition(topic, number);
	QtPartitionKey key = partition->key;
	QtSettledHint hints[2];

	/* hint first, then snapshot */
	qt_slot_hints(partition->slot, &key, hints);
	qt_debug_point("read-hint");
	view->snapshot = RegisterSnapshot(GetLatestSnapshot());
	view->settled = hints[0].offset;
	view->stop = NULL;
	view->registered = true;
	qt_debug_point("read-snapshot");
}

void
qt_read_view_close(QtReadView *view)
{
	if (view->registered)
		UnregisterSnapshot(view->snapshot);
	view->snapshot = NULL;
	view->registered = false;
}

void
qt_read_view_of_statement(QtReadView *view, EState *estate, QtTopic *topic, int number)
{
	QtPartition *partition = qt_topic_partition(topic, number);
	QtPartitionKey key = partition->key;
	QtSettledHint hints[2];

	qt_slot_hints(partition->slot, &key, hints);
	set_view(view, estate->es_snapshot,
			 qt_stop_find(estate->es_snapshot, IsolationUsesXactSnapshot() ? NULL : estate,
						  key.sequence),
			 hints);
	view->registered = false;
}

void
qt_scan_begin(QtPartitionScan *scan, QtTopic *topic, int number,
			  QtReadView *view, int64 position)
{
	QtPartition *partition;
	int64		settled = Max(view->settled, view->stop ? view->stop->settled : 0);

	memset(scan, 0, sizeof(*scan));
	scan->topic = topic;
	scan->partition = number;
	scan->view = view;
	scan->context = AllocSetContextCreate(CurrentMemoryContext, "qtopic scan",
										  ALLOCSET_DEFAULT_SIZES);

	/* the segment list must not be older than the snapshot */
	partition = current_partition(scan);
	if (RecoveryInProgress() ||
		qt_slot_highest_segment(partition->slot, &partition->key) >
		(uint32) partition->segments[partition->segment_count - 1].ordinal)
	{
		qt_topic_reload_partition(topic, number);
		partition = current_partition(scan);
	}

	scan->leaf.bound = PG_INT64_MAX;
	if (view->stop && view->stop->bound != PG_INT64_MAX)
	{
		scan->leaf.bound = view->stop->bound;
		scan->leaf.bound_base = settled = view->stop->bound_base;
	}

	/*
	 * What others have deleted since the first look counts for later
	 * snapshots; what this transaction deletes counts at once, and may be
	 * rolled back.
	 */
	scan->log_start_offset = partition->log_start_offset;
	if (view->stop && !partition->log_start_is_ours)
	{
		if (view->stop->log_start < 0)
			view->stop->log_start = partition->log_start_offset;
		scan->log_start_offset = view->stop->log_start;
	}
	scan->ordinal = partition->segments[0].ordinal;
	scan->leaf.snapshot = view->snapshot;
	scan->leaf.position = position;
	scan->leaf.upto = PG_INT64_MAX;
	scan->leaf.min_time = PG_INT64_MIN;
	scan->leaf.next_key = Min(position, settled);
	/* what we deleted ourselves is not settled by that */
	if (!partition->log_start_is_ours)
		scan->leaf.next_key = Max(scan->leaf.next_key, scan->log_start_offset);
}

void
qt_scan_find_stop(QtTopic *topic, int number, QtReadView *view)
{
	QtPartitionScan scan;

	if (view->stop->bound != PG_INT64_MAX)
		return;
	qt_scan_begin(&scan, topic, number, view, PG_INT64_MAX);
	(void) qt_scan_next(&scan, 1, 1);
	if (scan.end == QT_SCAN_END)
		view->stop->bound = view->stop->bound_base = scan.leaf.next_key;
	qt_scan_end(&scan);
}

void
qt_scan_begin_backward(QtPartitionScan *scan, QtTopic *topic, int number,
					   QtReadView *view, int64 position, int64 upto)
{
	QtPartition *partition;

	qt_scan_find_stop(topic, number, view);

	/* which batch holds the highest offset that is wanted? */
	qt_scan_begin(scan, topic, number, view, Min(upto, view->stop->bound));
	scan->leaf.headers_only = true;
	if (qt_scan_next(scan, 1, 1))
		scan->leaf.next_key = scan->leaf.batches[0].last_offset + 1;
	else
		scan->leaf.next_key = view->stop->bound;
	scan->leaf.headers_only = false;
	scan->leaf.batch_count = 0;

	partition = current_partition(scan);
	scan->ordinal = partition->segments[partition->segment_count - 1].ordinal;
	scan->segments_read = 0;
	scan->done = false;
	scan->leaf.backward = true;
	scan->leaf.position = Max(position, scan->log_start_offset);
}

bool
qt_scan_next(QtPartitionScan *scan, int64 max_records, Size max_bytes)
{
	MemoryContext old;

	MemoryContextReset(scan->context);
	scan->leaf.batches = NULL;
	scan->leaf.batch_count = 0;
	scan->leaf.batch_capacity = 0;
	scan->leaf.flush_to = InvalidXLogRecPtr;
	scan->leaf.max_records = max_records;
	scan->leaf.max_bytes = max_bytes;

	/* another scan with the snapshot may have stopped meanwhile */
	if (scan->view->stop && scan->view->stop->bound < scan->leaf.bound)
	{
		scan->leaf.bound = scan->view->stop->bound;
		scan->leaf.bound_base = scan->view->stop->bound_base;
	}

	old = MemoryContextSwitchTo(scan->context);
	while (!scan->done && scan->leaf.batch_count == 0)
		scan_segment(scan);
	MemoryContextSwitchTo(old);

	if (!scan->leaf.backward)
		publish(scan);
	qt_segment_flush(scan->leaf.flush_to);
	return scan->leaf.batch_count > 0;
}

int64
qt_scan_stable_offset(const QtPartitionScan *scan)
{
	int64		offset = scan->leaf.next_key;

	Assert(scan->done && scan->end != QT_SCAN_OUTSIDE);
	if (scan->end == QT_SCAN_STOPPED)
		offset = scan->leaf.stop_base;
	return Max(offset, scan->log_start_offset);
}

void
qt_scan_end(QtPartitionScan *scan)
{
	MemoryContextDelete(scan->context);
	scan->context = NULL;
}

int64
qt_scan_latest_stable_offset(QtTopic *topic, int number, int64 *log_start_offset)
{
	QtReadView	view;
	QtPartitionScan scan;
	int64		offset;

	qt_read_view_open_latest(&view, topic, number);
	qt_scan_begin(&scan, topic, number, &view, PG_INT64_MAX);
	(void) qt_scan_next(&scan, PG_INT64_MAX, 1);
	offset = qt_scan_stable_offset(&scan);
	*log_start_offset = scan.log_start_offset;
	qt_scan_end(&scan);
	qt_read_view_close(&view);
	return offset;
}

/* ---- settled points ---- */

/* A view with a snapshot that is older than the hints. */
static void
set_view(QtReadView *view, Snapshot snapshot, QtStop *stop,
		 const QtSettledHint hints[2])
{
	view->snapshot = snapshot;
	view->stop = stop;
	view->settled = stop->settled;
	for (int i = 0; i < 2; i++)
		if (hints[i].offset > view->settled && hint_is_usable(hints[i], snapshot))
			view->settled = hints[i].offset;
}

/*
 * Was everything below the hint's offset settled in a snapshot that may be
 * older than the hint?  The publisher's snapshot saw the transactions there
 * ended, and their xids are below its xmax.  A snapshot with a higher xmax was
 * taken later and sees the same; one with an xmin not below saw them all ended
 * anyway.
 */
static bool
hint_is_usable(QtSettledHint hint, Snapshot snapshot)
{
	return full_xid(snapshot->xmax) > hint.xid || full_xid(snapshot->xmin) >= hint.xid;
}

/* The 64-bit value of an xid that is at most 2^31 behind the next one. */
static uint64
full_xid(TransactionId xid)
{
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return U64FromFullTransactionId(FullTransactionIdFromEpochAndXid(epoch, xid));
}

/* ---- scanning ---- */

/* Scan on in the current segment, or go to the next one. */
static void
scan_segment(QtPartitionScan *scan)
{
	QtSegment  *next = segment_at(current_partition(scan), scan->ordinal, scan->leaf.backward);
	QtSegment	segment;
	QtScanEnd	end;

	if (next == NULL)
		segment_missing(scan);
	segment = *next;
	LockRelationOid(segment.leaf, AccessShareLock);
	if (!scan->topic->valid)
	{
		/* the lock brought news: look the segment up again */
		UnlockRelationOid(segment.leaf, AccessShareLock);
		return;
	}
	if (scan->ordinal != segment.ordinal || scan->segments_read == 0)
		scan->segments_read++;
	scan->leaf.leaf = segment.leaf;
	scan->ordinal = segment.ordinal;
	end = qt_segment_scan(&scan->leaf);
	UnlockRelationOid(segment.leaf, AccessShareLock);

	if (end == QT_SCAN_END)
	{
		if (!scan->leaf.backward)
			check_segment_complete(scan, &segment);
		next = segment_at(current_partition(scan),
						  segment.ordinal + (scan->leaf.backward ? -1 : 1),
						  scan->leaf.backward);
		if (next != NULL)
		{
			scan->ordinal = next->ordinal;
			scan->segments_read++;
			return;
		}
	}
	if (end != QT_SCAN_LIMIT)
	{
		scan->done = true;
		scan->end = end;
		if (end == QT_SCAN_STOPPED && scan->view->stop &&
			scan->leaf.stop_key < scan->view->stop->bound)
		{
			scan->view->stop->bound = scan->leaf.stop_key;
			scan->view->stop->bound_base = scan->leaf.stop_base;
		}
	}
}

/*
 * Let others know how far we got: all below was settled in the snapshot.  What
 * is below the log start is gone and need not have been; but if this
 * transaction moved the log start, it may come back.
 */
static void
publish(QtPartitionScan *scan)
{
	QtPartition *partition = current_partition(scan);
	QtSettledHint hint = {scan->leaf.next_key, full_xid(scan->view->snapshot->xmax)};

	if (partition->log_start_is_ours)
		return;
	qt_slot_publish(partition->slot, &partition->key, hint);
	if (scan->view->stop)
		scan->view->stop->settled = Max(scan->view->stop->settled, scan->leaf.next_key);
}

/* The partition, from a valid cache entry. */
static QtPartition *
current_partition(QtPartitionScan *scan)
{
	qt_topic_refresh(scan->topic);
	return qt_topic_partition(scan->topic, scan->partition);
}

/* The segment of that ordinal, or the next one in the direction, or NULL. */
static QtSegment *
segment_at(QtPartition *partition, int ordinal, bool backward)
{
	if (backward)
	{
		for (int i = partition->segment_count - 1; i >= 0; i--)
			if (partition->segments[i].ordinal <= ordinal)
				return &partition->segments[i];
	}
	else
	{
		for (int i = 0; i < partition->segment_count; i++)
			if (partition->segments[i].ordinal >= ordinal)
				return &partition->segments[i];
	}
	return NULL;
}

/* All segments on one side of the one that we were in are gone. */
static void
segment_missing(const QtPartitionScan *scan)
{
	ereport(ERROR,
			(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
			 errmsg("records of topic \"%s\", partition %d are missing",
					scan->topic->name, scan->partition),
			 errdetail("There is no segment left where the read stood, at offset %lld.",
					   (long long) scan->leaf.next_key),
			 errhint("The records expired while they were read.")));
}

/*
 * A leaf that was truncated behind us reads empty, without an error: a settled
 * segment must have shown its last row.
 */
static void
check_segment_complete(QtPartitionScan *scan, const QtSegment *segment)
{
	if (segment->state != QT_SEGMENT_SETTLED || scan->leaf.next_key > segment->last_key)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
			 errmsg("records of topic \"%s\", partition %d are missing",
					scan->topic->name, scan->partition),
			 errdetail("The segment of leaf %d should end at offset %lld, but the last record found is before %lld.",
					   segment->leaf_no, (long long) segment->last_key,
					   (long long) scan->leaf.next_key),
			 errhint("The records expired while they were read, or the storage was restored in part.")));
}
