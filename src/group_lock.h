/*
 * group_lock.h
 *		Heavyweight locks of consumer groups.
 *
 * Advisory locks with class numbers of our own, held to the end of the
 * transaction, also when it is prepared; ROLLBACK TO frees them together with
 * what they protect.  Taken in this order:
 *
 * lock			protects						taken
 * ----------	------------------------------	------------------------------
 * name			the creation of a group or of	exclusive, by try only
 *				its rows of group_topics
 * group		what the group is				shared by try: consume;
 *												exclusive by try, for a second
 *												at most: whoever changes it
 * partition	a group's position in a			exclusive; by try: consume,
 *				partition						waiting, in ascending order:
 *												reset_offsets
 *
 * Exclusive requests on a group never queue: one that did would make every
 * conditional request for a share fail, and so stop the group.
 */
#ifndef QTOPIC_GROUP_LOCK_H
#define QTOPIC_GROUP_LOCK_H

/* Class number (objsubid in pg_locks) of the lock on a partition. */
#define QT_LOCK_CLASS_PARTITION	20553

/* All of these are about groups of this database. */

extern bool qt_group_try_lock_name(const char *name);
extern void qt_group_unlock_name(const char *name);

extern bool qt_group_try_lock_shared(int group_id);
extern void qt_group_unlock_shared(int group_id);

extern bool qt_group_try_lock_exclusive(int group_id);
extern void qt_group_unlock_exclusive(int group_id);

/* Tries for a second, then throws QT003. */
extern void qt_group_lock_exclusive(int group_id, const char *name);

extern bool qt_group_try_lock_partition(int gt_id, int partition);
extern void qt_group_lock_partition(int gt_id, int partition);
extern void qt_group_unlock_partition(int gt_id, int partition);

#endif							/* QTOPIC_GROUP_LOCK_H */
