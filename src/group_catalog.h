/*
 * group_catalog.h
 *		The catalog tables of consumer groups.
 *
 * Rows are read as they are at the moment (SnapshotSelf) under the locks of
 * group_lock.h, whatever the isolation level; they are no part of what
 * SERIALIZABLE watches, or consumers of different partitions would fail each
 * other.  What is written here is visible to the next read here.
 */
#ifndef QTOPIC_GROUP_CATALOG_H
#define QTOPIC_GROUP_CATALOG_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

/* Where a group starts without a valid position. */
typedef enum QtStartAt
{
	QT_START_EARLIEST,
	QT_START_LATEST,
	QT_START_NONE,				/* QT001 */
	QT_START_TIME
} QtStartAt;

typedef struct QtGroupRow
{
	int			group_id;
	char	   *name;
	Oid			owner;
	int			group_epoch;	/* 0: it never had members */
	TimestampTz last_active;
} QtGroupRow;

typedef struct QtGroupTopicRow
{
	int			gt_id;
	int			group_id;
	int			topic_id;
	QtStartAt	start_at;
	TimestampTz start_time;		/* QT_START_TIME only */
	int			partitions;		/* those to which start_at applies */
} QtGroupTopicRow;

/* The position of a group in a partition. */
typedef struct QtPosition
{
	int64		n;				/* 0: there is no row */
	int64		next_offset;
	ItemPointerData tid;
	TransactionId xmin;
} QtPosition;

/* The value of start_at; -1 if there is none of that name. */
extern int	qt_start_at_from_name(const char *name);

/*
 * Groups.  A row that is updated at this moment may be missed by SnapshotSelf:
 * what is not found is looked for with a fresh snapshot.
 */
extern bool qt_group_catalog_find(const char *name, QtGroupRow *row);
extern bool qt_group_catalog_get(int group_id, QtGroupRow *row);
extern int	qt_group_catalog_insert(const char *name, Oid owner, TimestampTz now);

/* Found in a snapshot or not at all. */
extern bool qt_group_catalog_find_as_of(const char *name, Snapshot snapshot, QtGroupRow *row);

/* The caller holds the lock on the group; exclusively for the second. */
extern void qt_group_catalog_set_active(int group_id, TimestampTz last_active);
extern void qt_group_catalog_set_epoch(int group_id, int group_epoch, const char *assignor);
extern void qt_group_catalog_delete(int group_id);
extern List *qt_group_catalog_groups(void); /* of QtGroupRow */

/* Topics of groups; lists are of QtGroupTopicRow. */
extern bool qt_group_catalog_find_topic(int group_id, int topic_id, QtGroupTopicRow *row);
extern List *qt_group_catalog_topics(int group_id);
extern List *qt_group_catalog_groups_of_topic(int topic_id);

/* Sets gt_id of the row. */
extern void qt_group_catalog_insert_topic(QtGroupTopicRow *row);

/* Deletes its positions, and what members own of it, as well. */
extern void qt_group_catalog_delete_topic(const QtGroupTopicRow *row);

/*
 * Positions.  Reading one that is not locked needs a fresh snapshot, or it may
 * be missed while it moves.  Partition -1 in delete: all.
 */
extern void qt_group_catalog_read_position(int gt_id, int partition, bool locked,
										   QtPosition *position);
extern void qt_group_catalog_write_position(int gt_id, int partition, const QtPosition *old,
							  int64 next_offset, int leader_epoch,
							  TimestampTz now, const char *metadata);
extern int	qt_group_catalog_delete_positions(int gt_id, int partition);

#endif							/* QTOPIC_GROUP_CATALOG_H */
