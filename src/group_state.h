/*
 * group_state.h
 *		Shared memory of consumer groups: what they know of partitions.
 *
 * All of it is advice, lost at restart, and may be thrown out when the table
 * is full: who goes by it must do the right thing without it.  An entry is
 * protected by a spinlock of its own.
 */
#ifndef QTOPIC_GROUP_STATE_H
#define QTOPIC_GROUP_STATE_H

#include "datatype/timestamp.h"

/*
 * A partition in a group; partition -1 is for the group's use of the topic as
 * a whole.  The OID of the table of positions tells a group from one of the same
 * number in a dropped and recreated extension.
 */
typedef struct QtGroupStateKey
{
	Oid			database;
	Oid			positions;
	int			gt_id;
	int			partition;
} QtGroupStateKey;

typedef struct QtGroupState
{
	int64		position;		/* committed, or past it up to where there are
								 * no records; -1: not known */
	TimestampTz attempted;		/* when the group last tried to read; 0: not known */
	int			rollbacks;		/* of transactions that had it locked, since the
								 * position last moved */
	bool		refused;		/* somebody did not get the lock */
} QtGroupState;

extern Size qt_group_state_shmem_size(void);
extern void qt_group_state_shmem_init(void);

/* What is known; all zero with position -1 if nothing is. */
extern void qt_group_state_read(const QtGroupStateKey *key, QtGroupState *state);

/* The group tries to read. */
extern void qt_group_state_attempt(const QtGroupStateKey *key, TimestampTz now);

/* The position is not known any more.  Does not throw. */
extern void qt_group_state_forget(const QtGroupStateKey *key);

/*
 * The position as committed; -1: not known.  The caller holds the lock on the
 * partition in the group, and with the second tells that it has moved.  Do not
 * throw.
 */
extern void qt_group_state_found(const QtGroupStateKey *key, int64 position);
extern void qt_group_state_moved(const QtGroupStateKey *key, int64 position);

/* Records were read, but the position did not move.  Does not throw. */
extern void qt_group_state_rolled_back(const QtGroupStateKey *key);

/*
 * Say that the lock was refused, then try it again: either that succeeds, or
 * whoever holds it finds this after letting go.
 */
extern void qt_group_state_refuse(const QtGroupStateKey *key);

/* Was somebody refused since the last call?  Does not throw. */
extern bool qt_group_state_take_refused(const QtGroupStateKey *key);

#endif							/* QTOPIC_GROUP_STATE_H */
