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
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "debug_point.h"
#include "partition_scan.h"
#include "qtopic.h"

/* The stops of one statement or transaction. */
typedef struct StopSet
{
	const void *owner;			/* an EState, or NULL: the transaction */
	HTAB	   *stops;
	struct StopSet *next;
} StopSet;

static StopSet *stop_sets = NULL;

static QtStop *find_stop(EState *estate, Oid sequence);
static void forget_stop_set(void *arg);
static void set_view(QtReadView *view, Snapshot snapshot, QtStop *stop,
					 const QtSettledHint hints[2]);
static bool hint_is_usable(QtSettledHint hint, Snapshot snapshot);
static uint64 full_xid(TransactionId xid);
static QtPartition *current_partition(QtPartitionScan *scan);
static QtSegment *next_segment(QtPartition *partition, int ordinal);
static void check_segment_complete(QtPartitionScan *scan, const QtSegment *segment);
static void finish(QtPartitionScan *scan, QtScanEnd end);

void
qt_read_view_open(QtReadView *view, QtTopic *topic, int number)
{
	QtPartition *partition = qt_topic_partition(topic, number);
	QtPartitionKey key = partition->key;
	QtSettledHint hints[2];

	/* hint first, then snapshot */
	qt_slot_hints(partition->slot, &key, hints);
	qt_debug_point("read-hint");
	if (IsolationUsesXactSnapshot())
		set_view(view, RegisterSnapshot(GetTransactionSnapshot()),
				 find_stop(NULL, key.sequence), hints);
	else
	{
		view->snapshot = RegisterSnapshot(GetLatestSnapshot());
		view->settled = hints[0].offset;
		view->stop = NULL;
	}
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
			 find_stop(IsolationUsesXactSnapshot() ? NULL : estate, key.sequence), hints);
	view->registered = false;
}

void
qt_scan_begin(QtPartitionScan *scan, QtTopic *topic, int number,
			  QtReadView *view, int64 position)
{
	QtPartition *partition;

	memset(scan, 0, sizeof(*scan));
	scan->topic = topic;
	scan->partition = number;
	scan->view = view;
	scan->context = AllocSetContextCreate(CurrentMemoryContext, "qtopic scan",
										  ALLOCSET_DEFAULT_SIZES);

	/* the segment list must not be older than the snapshot */
	partition = current_partition(scan);
	if (RecoveryInProgress() ||
		pg_atomic_read_u32(&partition->slot->highest_segment) >
		(uint32) partition->segments[partition->segment_count - 1].ordinal)
	{
		qt_topic_reload_partition(topic, number);
		partition = current_partition(scan);
	}

	scan->log_start_offset = partition->log_start_offset;
	scan->ordinal = partition->segments[0].ordinal;
	scan->leaf.snapshot = view->snapshot;
	scan->leaf.position = position;
	scan->leaf.bound = view->stop ? view->stop->bound : PG_INT64_MAX;
	scan->leaf.next_key = Max(partition->log_start_offset, Min(position, view->settled));
}

bool
qt_scan_next(QtPartitionScan *scan, int64 max_records, Size max_bytes)
{
	MemoryContext old;
	QtPartition *partition;
	QtSettledHint hint;

	MemoryContextReset(scan->context);
	scan->leaf.batches = NULL;
	scan->leaf.batch_count = 0;
	scan->leaf.batch_capacity = 0;
	scan->leaf.flush_to = InvalidXLogRecPtr;
	scan->leaf.max_records = max_records;
	scan->leaf.max_bytes = max_bytes;

	old = MemoryContextSwitchTo(scan->context);
	while (!scan->done && scan->leaf.batch_count == 0)
	{
		QtSegment	segment = *next_segment(current_partition(scan), scan->ordinal);
		QtSegment  *next;
		QtScanEnd	end;

		LockRelationOid(segment.leaf, AccessShareLock);
		if (!scan->topic->valid)
		{
			/* the lock brought news: look the segment up again */
			UnlockRelationOid(segment.leaf, AccessShareLock);
			continue;
		}
		scan->leaf.leaf = segment.leaf;
		scan->ordinal = segment.ordinal;
		end = qt_segment_scan(&scan->leaf);
		UnlockRelationOid(segment.leaf, AccessShareLock);

		if (end == QT_SCAN_STOPPED)
			finish(scan, end);
		else if (end == QT_SCAN_END)
		{
			check_segment_complete(scan, &segment);
			next = next_segment(current_partition(scan), segment.ordinal + 1);
			if (next == NULL)
				finish(scan, end);
			else
				scan->ordinal = next->ordinal;
		}
	}
	MemoryContextSwitchTo(old);

	/* all below next_key was settled in the snapshot */
	partition = current_partition(scan);
	hint.offset = scan->leaf.next_key;
	hint.xid = full_xid(scan->view->snapshot->xmax);
	qt_slot_publish(partition->slot, &partition->key, hint);
	if (scan->view->stop)
		scan->view->stop->settled = Max(scan->view->stop->settled, scan->leaf.next_key);

	qt_segment_flush(scan->leaf.flush_to);
	return scan->leaf.batch_count > 0;
}

int64
qt_scan_stable_offset(const QtPartitionScan *scan)
{
	int64		offset = scan->leaf.next_key;

	Assert(scan->done);
	if (scan->end == QT_SCAN_STOPPED)
		offset = Max(offset, scan->leaf.stop_base);
	return Max(offset, scan->log_start_offset);
}

void
qt_scan_end(QtPartitionScan *scan)
{
	MemoryContextDelete(scan->context);
	scan->context = NULL;
}

/* ---- stops ---- */

/*
 * What a statement (or, for NULL, the transaction) has learned about a
 * partition.
 */
static QtStop *
find_stop(EState *estate, Oid sequence)
{
	StopSet    *set;
	QtStop	   *stop;
	bool		found;

	for (set = stop_sets; set != NULL; set = set->next)
		if (set->owner == estate)
			break;

	if (set == NULL)
	{
		MemoryContext context = estate ? estate->es_query_cxt : TopTransactionContext;
		MemoryContextCallback *callback;
		HASHCTL		info = {0};

		set = MemoryContextAlloc(context, sizeof(StopSet));
		callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
		info.keysize = sizeof(Oid);
		info.entrysize = sizeof(QtStop);
		info.hcxt = context;
		set->stops = hash_create("qtopic stops", 8, &info,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		set->owner = estate;
		set->next = stop_sets;
		stop_sets = set;
		callback->func = forget_stop_set;
		callback->arg = set;
		MemoryContextRegisterResetCallback(context, callback);
	}

	stop = hash_search(set->stops, &sequence, HASH_ENTER, &found);
	if (!found)
	{
		stop->bound = PG_INT64_MAX;
		stop->settled = 0;
	}
	return stop;
}

/* The memory context of a set goes away. */
static void
forget_stop_set(void *arg)
{
	StopSet   **link = &stop_sets;

	while (*link != NULL && *link != (StopSet *) arg)
		link = &(*link)->next;
	if (*link != NULL)
		*link = (*link)->next;
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
	/* "Before this server was started" says nothing about that time itself. */
	if (snapshot->takenDuringRecovery && !RecoveryInProgress())
		return false;
	return hint.xid == 0 || full_xid(snapshot->xmax) > hint.xid ||
		full_xid(snapshot->xmin) >= hint.xid;
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

/* The partition, from a valid cache entry. */
static QtPartition *
current_partition(QtPartitionScan *scan)
{
	qt_topic_refresh(scan->topic);
	return qt_topic_partition(scan->topic, scan->partition);
}

/* The first segment whose ordinal is not below, or NULL. */
static QtSegment *
next_segment(QtPartition *partition, int ordinal)
{
	for (int i = 0; i < partition->segment_count; i++)
		if (partition->segments[i].ordinal >= ordinal)
			return &partition->segments[i];
	return NULL;
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

static void
finish(QtPartitionScan *scan, QtScanEnd end)
{
	scan->done = true;
	scan->end = end;
	if (end == QT_SCAN_STOPPED && scan->view->stop)
		scan->view->stop->bound = Min(scan->view->stop->bound, scan->leaf.stop_key);
}
