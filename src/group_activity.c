/*
 * group_activity.c
 *		When consumer groups were last used, and the end of their positions.
 *
 * Positions expire by the last use of the group, not by their last move: a
 * quiet topic must not be read again from its beginning.  Use is noted in
 * shared memory; the catalog gets it from time to time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "group_activity.h"
#include "group_catalog.h"
#include "group_lock.h"
#include "group_state.h"
#include "guc.h"
#include "member_catalog.h"
#include "position.h"
#include "qtopic.h"

/* What a group may be found older than it is, as a part of the retention. */
#define SAVE_PARTS		100

/* Groups that are written in one transaction, which keeps them locked. */
#define SAVED_MAX		500

/* Positions that are deleted in one transaction, which keeps them locked. */
#define EXPIRED_MAX		1000

static bool is_unused(const QtGroupRow *group, TimestampTz now);
static bool has_members(const QtGroupRow *group);
static int64 retention_ms(void);
static int	expire_topic(const QtGroupRow *group, const QtGroupTopicRow *in_topic, int *left);

TimestampTz
qt_group_last_seen(int group_id)
{
	TimestampTz last_seen = 0;
	ListCell   *lc;

	foreach(lc, qt_group_catalog_topics(group_id))
	{
		QtGroupStateKey key = qt_position_key(((QtGroupTopicRow *) lfirst(lc))->gt_id, -1);
		QtGroupState state;

		qt_group_state_read(&key, &state);
		last_seen = Max(last_seen, state.attempted);
	}
	return last_seen;
}

void
qt_group_activity_save(TimestampTz now)
{
	int			saved = 0;
	ListCell   *lc;

	foreach(lc, qt_group_catalog_groups())
	{
		QtGroupRow *group = lfirst(lc);
		TimestampTz last_seen = Min(qt_group_last_seen(group->group_id), now);

		if (last_seen < TimestampTzPlusMilliseconds(group->last_active,
													retention_ms() / SAVE_PARTS) ||
			!qt_group_try_lock_shared(group->group_id))
			continue;
		/* the lock is kept, as nobody may delete the row before we commit */
		qt_group_catalog_set_active(group->group_id, last_seen);
		if (++saved == SAVED_MAX)
			break;
	}
}

int
qt_group_activity_expire(TimestampTz now)
{
	int			forgotten = 0;
	int			left = EXPIRED_MAX;
	ListCell   *lc;

	foreach(lc, qt_group_catalog_groups())
	{
		QtGroupRow *group = lfirst(lc);
		ListCell   *lc2;

		/* with the group for ourselves, once more */
		if (!is_unused(group, now) || !qt_group_try_lock_exclusive(group->group_id) ||
			!qt_group_catalog_get(group->group_id, group) || !is_unused(group, now) ||
			has_members(group))
			continue;
		foreach(lc2, qt_group_catalog_topics(group->group_id))
			forgotten += expire_topic(group, lfirst(lc2), &left);
		CHECK_FOR_INTERRUPTS();
	}
	return forgotten;
}

static bool
is_unused(const QtGroupRow *group, TimestampTz now)
{
	TimestampTz last_active = Max(group->last_active, qt_group_last_seen(group->group_id));

	return now >= TimestampTzPlusMilliseconds(last_active, retention_ms());
}

/* Their sessions may be longer than the retention. */
static bool
has_members(const QtGroupRow *group)
{
	return group->group_epoch > 0 &&
		qt_member_catalog_members(group->group_id, SnapshotSelf) != NIL;
}

static int64
retention_ms(void)
{
	return qt_guc_offsets_retention * INT64CONST(60000);
}

/* At most so many as *left says. */
static int
expire_topic(const QtGroupRow *group, const QtGroupTopicRow *in_topic, int *left)
{
	QtTopic    *topic = qt_topic_lookup_id(in_topic->topic_id, true);
	int			forgotten = 0;

	if (topic == NULL || !ConditionalLockRelationOid(topic->relation, AccessShareLock))
		return 0;
	qt_topic_refresh(topic);
	for (int p = 0; p < topic->partition_count && *left > 0; p++)
	{
		QtPosition	position;

		qt_group_catalog_read_position(in_topic->gt_id, p, true, &position);
		/* a former member may be about to commit without the group's lock */
		if (position.n == 0 ||
			(group->group_epoch > 0 && !qt_group_try_lock_partition(in_topic->gt_id, p)))
			continue;
		forgotten += qt_position_forget(in_topic->gt_id, topic, p);
		(*left)--;
	}
	return forgotten;
}
