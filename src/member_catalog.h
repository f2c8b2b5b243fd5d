/*
 * member_catalog.h
 *		The catalog tables of members and of what they own.
 *
 * Rows are written under the exclusive lock on the group, and then read with
 * SnapshotSelf.  Without the lock they are read with a fresh snapshot, the same
 * for all that must fit together.
 */
#ifndef QTOPIC_MEMBER_CATALOG_H
#define QTOPIC_MEMBER_CATALOG_H

#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/snapshot.h"

#include "assignor.h"

/* A member; what it points to is palloc'd. */
typedef struct QtMemberRow
{
	int			group_id;
	char	   *member_id;
	int			member_no;
	char	   *instance_id;	/* or NULL */
	bool		fenced;
	int			joined_epoch;
	int			member_epoch;
	QtAssignor	assignor;
	int			session_ms;
	int			topic_count;
	int		   *topics;			/* gt_id */
	ItemPointerData tid;		/* when read */
} QtMemberRow;

/* Of a partition in a group. */
typedef struct QtOwnership
{
	int			gt_id;
	int			partition;
	int			owner;			/* member_no; 0: nobody */
	int			since_epoch;
	int			revoke_epoch;	/* 0: not to be revoked */
	int			target;			/* member_no; 0: nobody */
	bool		is_new;			/* not in the table yet */
	bool		changed;		/* since it was read */
	ItemPointerData tid;		/* when read */
} QtOwnership;

/*
 * Lock or unlock the tables against those who would give rows another place,
 * like VACUUM FULL: from the read of a row to its update.
 */
extern void qt_member_catalog_lock(bool lock);

/* Members.  Lists are of QtMemberRow, by member_id; 0: of all groups. */
extern bool qt_member_catalog_find(int group_id, const char *member_id, Snapshot snapshot,
								   QtMemberRow *row);
extern List *qt_member_catalog_members(int group_id, Snapshot snapshot);
extern int	qt_member_catalog_next_no(void);

/* These set the row's tid. */
extern void qt_member_catalog_insert(QtMemberRow *row);
extern void qt_member_catalog_update(QtMemberRow *row);
extern void qt_member_catalog_delete(const QtMemberRow *row);

/* The table's OID; tells this extension from a later one. */
extern Oid	qt_member_catalog_table(void);

/* What is known of the partitions of a topic in a group, in order. */
extern List *qt_member_catalog_ownership(int gt_id, Snapshot snapshot);
extern bool qt_member_catalog_find_ownership(int gt_id, int partition, Snapshot snapshot,
											 QtOwnership *row);

/* Write a row if it is new or changed. */
extern void qt_member_catalog_save_ownership(QtOwnership *row);
extern void qt_member_catalog_delete_ownership(int gt_id);

#endif							/* QTOPIC_MEMBER_CATALOG_H */
