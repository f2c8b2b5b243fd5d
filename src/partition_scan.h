/*
 * partition_scan.h
 *		The stop scan over a partition: what everything that reads is built on.
 *
 * Order of steps, each for a reason (see the architecture notes): the settled
 * hint is read, then the snapshot taken, then the segment list, then the leaf
 * is locked and scanned.
 */
#ifndef QTOPIC_PARTITION_SCAN_H
#define QTOPIC_PARTITION_SCAN_H

#include "nodes/execnodes.h"
#include "utils/snapshot.h"

#include "segment_store.h"
#include "stop_set.h"
#include "topic_cache.h"

/* A snapshot to read one partition with. */
typedef struct QtReadView
{
	Snapshot	snapshot;
	bool		registered;		/* by qt_read_view_open */
	int64		settled;		/* where a scan may start at the latest */
	QtStop	   *stop;			/* NULL: the snapshot is used for one scan only */
} QtReadView;

/*
 * A view for a function: the latest snapshot under READ COMMITTED, else that
 * of the transaction.  Must be closed before waiting.
 */
extern void qt_read_view_open(QtReadView *view, QtTopic *topic, int partition);
extern void qt_read_view_close(QtReadView *view);

/* The same with a snapshot taken now, whatever the isolation level. */
extern void qt_read_view_open_latest(QtReadView *view, QtTopic *topic, int partition);

/* A view for a scan of a statement; not to be closed. */
extern void qt_read_view_of_statement(QtReadView *view, EState *estate,
									  QtTopic *topic, int partition);

/* A scan over one partition. */
typedef struct QtPartitionScan
{
	QtTopic    *topic;
	int			partition;
	QtReadView *view;
	int64		log_start_offset;
	int			ordinal;		/* of the segment the scan is in */
	int			segments_read;
	bool		done;
	QtScanEnd	end;			/* why it is done: not LIMIT */
	MemoryContext context;		/* of the batches; reset by each chunk */
	QtLeafScan	leaf;
} QtPartitionScan;

/*
 * Begin a scan that returns the batches which hold records at or above
 * position.  Sets log_start_offset; the caller checks the position.  Memory
 * is of the current context.  The caller may then set upto, min_time and
 * headers_only of scan->leaf.
 */
extern void qt_scan_begin(QtPartitionScan *scan, QtTopic *topic, int partition,
						  QtReadView *view, int64 position);

/* Find out where the view's snapshot stops, unless that is known. */
extern void qt_scan_find_stop(QtTopic *topic, int partition, QtReadView *view);

/*
 * Begin a scan downwards, from the batch that holds upto (or the last one below
 * it) to the one that holds position.  The view is of a statement or a
 * transaction; its stop is found out first, by a scan upwards.
 */
extern void qt_scan_begin_backward(QtPartitionScan *scan, QtTopic *topic, int partition,
								   QtReadView *view, int64 position, int64 upto);

/*
 * Read the next chunk into scan->leaf.batches, about max_records and
 * max_bytes at most; false when there is nothing more.  The batches are
 * durable.  No pin or lock is held afterwards.  QT001 if a segment cannot be
 * read to its end.
 */
extern bool qt_scan_next(QtPartitionScan *scan, int64 max_records, Size max_bytes);

/*
 * Where the scan stopped, or the end it came to; valid when it is done with
 * END or STOPPED.  A scan
 * from a settled point with a fresh snapshot gives the last stable offset.
 */
extern int64 qt_scan_stable_offset(const QtPartitionScan *scan);

extern void qt_scan_end(QtPartitionScan *scan);

/*
 * The last stable offset with a snapshot taken now, whatever the isolation
 * level, and the log start offset.
 */
extern int64 qt_scan_latest_stable_offset(QtTopic *topic, int partition,
										  int64 *log_start_offset);

#endif							/* QTOPIC_PARTITION_SCAN_H */
