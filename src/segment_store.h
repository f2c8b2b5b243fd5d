/*
 * segment_store.h
 *		Rows of the leaves: appending batches and the stop scan.
 *
 * The only file that touches the storage tables.  It knows relations and
 * offsets, not topics.
 */
#ifndef QTOPIC_SEGMENT_STORE_H
#define QTOPIC_SEGMENT_STORE_H

#include "access/htup_details.h"
#include "access/xlogdefs.h"
#include "utils/snapshot.h"

#include "batch_packer.h"
#include "shmem.h"

/* Columns of a leaf; the fixed ones first. */
#define QT_ANUM_LEAF_PARTITION		1
#define QT_ANUM_LEAF_LEAF			2
#define QT_ANUM_LEAF_LAST_OFFSET	3
#define QT_ANUM_LEAF_BATCH			4
#define QT_NATTS_LEAF				4

/* Bytes of a batch with which its row just fits a heap page. */
#define QT_BATCH_PAGE_LIMIT	\
	(MaxHeapTupleSize - MAXALIGN(SizeofHeapTupleHeader) - 16 - VARHDRSZ)

/* The value of toast_tuple_target that lets such a row stay inline. */
#define QT_TOAST_TUPLE_TARGET	8160

/* ---- appending ---- */

/* Where to append. */
typedef struct QtAppendTarget
{
	QtPartitionSlot *slot;
	QtPartitionKey key;
	Oid			leaf;
	int			leaf_no;
	int			ordinal;		/* of the segment that the leaf holds */
} QtAppendTarget;

/*
 * Append batches, in order, and store the base offset of each that was
 * appended.  Returns how many were; fewer than count mean that the target is
 * out of date: the caller reloads the catalog and goes on with the rest.
 *
 * The caller holds RowExclusiveLock on the leaf and keeps it to the end of
 * the transaction.  Other producers' records may come between two batches.
 */
extern int	qt_segment_append(const QtAppendTarget *target,
							  const QtPackedBatch *batches, int count,
							  int64 *base_offsets);

/* ---- reading ---- */

/* A batch copied out of a leaf. */
typedef struct QtStoredBatch
{
	int64		last_offset;
	const char *data;
	Size		len;
	Size		total_len;		/* larger than len if only the header was asked for */
} QtStoredBatch;

typedef enum QtScanEnd
{
	QT_SCAN_LIMIT,				/* one of the limits was reached */
	QT_SCAN_END,				/* no more rows in the leaf */
	QT_SCAN_OUTSIDE,			/* no more rows between position and upto */
	QT_SCAN_STOPPED				/* a row that is not settled, or the bound */
} QtScanEnd;

typedef struct QtLeafScan
{
	/* what the caller asks */
	Oid			leaf;			/* locked */
	Snapshot	snapshot;		/* MVCC, registered */
	int64		position;		/* return no batch that ends below */
	int64		bound;			/* batches whose last offset is not below are out */
	int64		bound_base;		/* base offset of the first of those */
	int64		upto;			/* the batch that holds this offset is the last */
	int64		min_time;		/* pass batches whose records are all before */
	bool		headers_only;	/* copy the batches' headers only */
	bool		backward;		/* from next_key downwards; all there is settled */
	int64		max_records;	/* stop after about that many ... */
	Size		max_bytes;		/* ... and after that many bytes; at least one batch */

	/*
	 * In and out.  Forward: the first key to look at, and all below it is
	 * settled.  Backward: the key above the first one to look at.
	 */
	int64		next_key;

	/* what the caller gets; palloc'd */
	QtStoredBatch *batches;
	int			batch_count;
	int			batch_capacity;
	int64		batches_passed; /* because of min_time, since the scan began */
	XLogRecPtr	flush_to;		/* the batches are durable once WAL is flushed to here */
	int64		stop_key;		/* last offset of the row that stopped the scan */
	int64		stop_base;		/* its base offset */
	TransactionId stop_xid;		/* its transaction; invalid if the bound stopped it */
} QtLeafScan;

/*
 * The stop scan over one leaf.  May be called again to go on where it left
 * off; holds no pin or lock between calls.
 */
extern QtScanEnd qt_segment_scan(QtLeafScan *scan);

/* Make records durable before they are returned; see qtopic.durable_read. */
extern void qt_segment_flush(XLogRecPtr flush_to);

#endif							/* QTOPIC_SEGMENT_STORE_H */
