/*
 * group_activity.h
 *		When consumer groups were last used, and the end of their positions.
 */
#ifndef QTOPIC_GROUP_ACTIVITY_H
#define QTOPIC_GROUP_ACTIVITY_H

#include "datatype/timestamp.h"

/* When a group was last used since the server was started; 0: not at all. */
extern TimestampTz qt_group_last_seen(int group_id);

/*
 * Store when the groups of this database were last used, to a hundredth of
 * qtopic.offsets_retention; a group that is being changed is left out.
 */
extern void qt_group_activity_save(TimestampTz now);

/*
 * Forget the positions of groups that were not used for
 * qtopic.offsets_retention before now; a group in use is left out.  Returns how
 * many positions were forgotten.
 */
extern int	qt_group_activity_expire(TimestampTz now);

#endif							/* QTOPIC_GROUP_ACTIVITY_H */
