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
#include "utils/timestamp.h"

#include "group_activity.h"
#include "group_catalog.h"
#include "group_lock.h"
#include "group_state.h"
#include "guc.h"
#include "position.h"
#include "qtopic.h"

/* What a group may be found older than it is, as a part of the retention. */
#define SAVE_PARTS		100

/* Groups that are written in one transaction, which keeps them locked. */
#define SAVED_MAX		500

static bool is_unused(const QtGroupRow *group, TimestampTz now);
static int64 retention_ms(void);
static int	expire_topic(const QtGroupRow *group, const QtGroupTopicRow *in_topic);

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
	ListCell   *lc;

	foreach(lc, qt_group_catalog_groups())
	{
		QtGroupRow *group = lfirst(lc);
		ListCell   *lc2;

		/* with the group for ourselves, once more */
		if (!is_unused(group, now) || !qt_group_try_lock_exclusive(group->group_id) ||
			!qt_group_catalog_get(group->group_id, group) || !is_unused(group, now))
			continue;
		foreach(lc2, qt_group_catalog_topics(group->group_id))
			forgotten += expire_topic(group, lfirst(lc2));
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

static int64
retention_ms(void)
{
	return qt_guc_offsets_retention * INT64CONST(60000);
}

static int
expire_topic(const QtGroupRow *group, const QtGroupTopicRow *in_topic)
{
	QtTopic    *topic = qt_topic_lookup_id(in_topic->topic_id, true);

	if (topic == NULL || !ConditionalLockRelationOid(topic->relation, AccessShareLock))
		return 0;
	qt_topic_refresh(topic);

	/* a former member may be about to commit without the group's lock */
	for (int p = 0; group->group_epoch > 0 && p < topic->partition_count; p++)
		if (!qt_group_try_lock_partition(in_topic->gt_id, p))
			return 0;
	return qt_position_forget(in_topic->gt_id, topic, -1);
}
