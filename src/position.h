/*
 * position.h
 *		Positions of consumer groups: locking and moving them.
 *
 * What is moved here becomes the position when the transaction commits; until
 * then the partition is locked in the group.
 */
#ifndef QTOPIC_POSITION_H
#define QTOPIC_POSITION_H

#include "group_catalog.h"
#include "group_state.h"
#include "topic_cache.h"

/* A partition of a topic in a group. */
typedef struct QtPositionId
{
	int			gt_id;
	QtTopic    *topic;
	int			partition;
} QtPositionId;

/*
 * Lock the partition in the group.  If the try fails, whoever holds the lock
 * wakes a waiting session of the group after letting go.
 */
extern bool qt_position_try_lock(const QtPositionId *id);
extern void qt_position_lock(const QtPositionId *id);

/* Unlock before the end of the transaction, which has moved nothing. */
extern void qt_position_unlock(const QtPositionId *id);

/* Move a locked position that was read as `old`. */
extern void qt_position_move(const QtPositionId *id, const QtPosition *old,
							 int64 next_offset, int leader_epoch, const char *metadata);

/*
 * Forget the position in a partition, or in all (-1); returns how many.  The
 * caller has the group for itself.
 */
extern int	qt_position_forget(int gt_id, QtTopic *topic, int partition);

/* Key of a partition in shared memory; -1: of the topic in the group. */
extern QtGroupStateKey qt_position_key(int gt_id, int partition);

#endif							/* QTOPIC_POSITION_H */
