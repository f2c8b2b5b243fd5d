/*
 * stop_set.h
 *		What a snapshot has learned about partitions.
 *
 * The first stop of a scan counts for all later scans with the same snapshot,
 * wherever they are: in a self-join, a rescan, a row that the executor looks at
 * again, a STABLE function, all statements of a REPEATABLE READ transaction.
 * Snapshots that see the same transactions are the same.
 */
#ifndef QTOPIC_STOP_SET_H
#define QTOPIC_STOP_SET_H

#include "nodes/execnodes.h"
#include "utils/snapshot.h"

/*
 * What one snapshot has learned about one partition.  VACUUM may remove an
 * aborted row that was the reason for a stop, and a second scan would go further.
 */
typedef struct QtStop
{
	Oid			sequence;		/* identity of the partition; hash key */
	int64		bound;			/* keys from here on are out */
	int64		bound_base;		/* base offset of the batch at the bound */
	int64		settled;		/* below this every row is settled */
	int64		log_start;		/* of the first scan; -1: none yet */
} QtStop;

/*
 * Find or make what a snapshot has learned about the partition of a sequence.
 * It is kept at least until the end of the executor's state, or, if that is
 * NULL, of the transaction.
 */
extern QtStop *qt_stop_find(Snapshot snapshot, EState *estate, Oid sequence);

#endif							/* QTOPIC_STOP_SET_H */
