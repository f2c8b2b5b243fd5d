/*
 * position.c
 *		Positions of consumer groups: locking and moving them.
 *
 * The transaction keeps a list of what it locked and moved.  At its end, or
 * that of a subtransaction, shared memory learns the outcome; when the locks
 * are gone, a waiting session of the group is woken if there may be something
 * for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "group_lock.h"
#include "group_state.h"
#include "position.h"
#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"
#include "worker_slots.h"

/* A lock on a partition in a group, and what was done under it. */
typedef struct Hold
{
	QtGroupStateKey key;
	int			locks;			/* how many times */
	bool		moved;
	int64		position;		/* if moved; -1: forgotten */
	int			level;			/* of the subtransaction */
	bool		ended;			/* the lock will be released now */
	bool		committed;
	int			wait_slot;
	QtPartitionSlot *slot;
	QtPartitionKey partition;
} Hold;

/* Those of this transaction, in TopTransactionContext. */
static Hold *holds = NULL;
static int	hold_count = 0;
static int	hold_capacity = 0;
static bool transaction_ends = false;

static void lock_table(void);
static void unlock_table(void);
static void prepare_hold(const QtPositionId *id);
static void note_hold(void);
static void note_move(const QtPositionId *id, int64 position);
static int	current_hold(const QtGroupStateKey *key);
static int	find_hold(const QtGroupStateKey *key, int level, int count);
static void at_end(QtTransactionEnd end);
static void at_subcommit(int level);
static void at_subabort(int level);
static void locks_released(void);
static void wake_sibling(const Hold *hold);

static const QtTransactionHooks hooks = {
	NULL, at_end, at_subcommit, at_subabort, locks_released
};

bool
qt_position_try_lock(const QtPositionId *id)
{
	prepare_hold(id);
	lock_table();
	if (!qt_group_try_lock_partition(id->gt_id, id->partition))
	{
		qt_group_state_refuse(&holds[hold_count].key);
		if (!qt_group_try_lock_partition(id->gt_id, id->partition))
		{
			unlock_table();
			return false;
		}
	}
	note_hold();
	return true;
}

void
qt_position_lock(const QtPositionId *id)
{
	prepare_hold(id);
	lock_table();
	qt_group_lock_partition(id->gt_id, id->partition);
	note_hold();
}

void
qt_position_unlock(const QtPositionId *id)
{
	QtGroupStateKey key = qt_position_key(id->gt_id, id->partition);
	int			hold = current_hold(&key);

	if (--holds[hold].locks == 0)
		memmove(&holds[hold], &holds[hold + 1], sizeof(Hold) * (--hold_count - hold));
	qt_group_unlock_partition(id->gt_id, id->partition);
	unlock_table();
	if (qt_group_state_take_refused(&key))
		qt_wait_wake_group(id->topic->wait_slot, id->gt_id, 1);
}

void
qt_position_move(const QtPositionId *id, const QtPosition *old,
				 int64 next_offset, int leader_epoch, const char *metadata)
{
	note_move(id, next_offset);
	qt_group_catalog_write_position(id->gt_id, id->partition, old, next_offset,
									leader_epoch, GetCurrentTimestamp(), metadata);
}

int
qt_position_forget(int gt_id, QtTopic *topic, int partition)
{
	int			first = partition < 0 ? 0 : partition;
	int			end = partition < 0 ? topic->partition_count : partition + 1;

	for (int p = first; p < end; p++)
	{
		QtGroupStateKey key = qt_position_key(gt_id, p);

		qt_group_state_forget(&key);
		qt_wakeup_note(topic->wait_slot, p);
	}
	return qt_group_catalog_delete_positions(gt_id, partition);
}

QtGroupStateKey
qt_position_key(int gt_id, int partition)
{
	return (QtGroupStateKey) {MyDatabaseId, qt_positions_table(), gt_id, partition};
}

/*
 * From the read of a position to its move nobody may give its row another
 * place, as VACUUM FULL would.
 */
static void
lock_table(void)
{
	LockRelationOid(qt_positions_table(), RowExclusiveLock);
}

static void
unlock_table(void)
{
	UnlockRelationOid(qt_positions_table(), RowExclusiveLock);
}

/* Fill the next hold before the lock is taken, so that note_hold cannot fail. */
static void
prepare_hold(const QtPositionId *id)
{
	QtPartition *partition = qt_topic_partition(id->topic, id->partition);
	Hold	   *hold;

	qt_wakeup_add_hooks(&hooks);
	if (holds == NULL)
	{
		holds = MemoryContextAlloc(TopTransactionContext, sizeof(Hold) * 16);
		hold_count = 0;
		hold_capacity = 16;
	}
	else if (hold_count == hold_capacity)
	{
		holds = repalloc(holds, sizeof(Hold) * hold_capacity * 2);
		hold_capacity *= 2;
	}
	hold = &holds[hold_count];
	memset(hold, 0, sizeof(*hold));
	hold->key = qt_position_key(id->gt_id, id->partition);
	hold->locks = 1;
	hold->level = GetCurrentTransactionNestLevel();
	hold->wait_slot = id->topic->wait_slot;
	hold->slot = partition->slot;
	hold->partition = partition->key;
}

/* The lock of the prepared hold has been taken. */
static void
note_hold(void)
{
	int			same = find_hold(&holds[hold_count].key, holds[hold_count].level, hold_count);

	if (same >= 0)
		holds[same].locks++;
	else
		hold_count++;
}

static void
note_move(const QtPositionId *id, int64 position)
{
	QtGroupStateKey key = qt_position_key(id->gt_id, id->partition);
	int			hold = current_hold(&key);

	holds[hold].moved = true;
	holds[hold].position = position;
}

/* That of the current subtransaction. */
static int
current_hold(const QtGroupStateKey *key)
{
	int			hold = find_hold(key, GetCurrentTransactionNestLevel(), hold_count);

	if (hold < 0)
		elog(ERROR, "partition %d in topic %d of a group is not locked",
			 key->partition, key->gt_id);
	return hold;
}

/* A hold of that level among the first ones, or -1.  Does not throw. */
static int
find_hold(const QtGroupStateKey *key, int level, int count)
{
	for (int i = count - 1; i >= 0; i--)
		if (holds[i].level == level && memcmp(&holds[i].key, key, sizeof(*key)) == 0)
			return i;
	return -1;
}

static void
at_end(QtTransactionEnd end)
{
	transaction_ends = true;
	for (int i = 0; i < hold_count; i++)
	{
		Hold	   *hold = &holds[i];

		hold->ended = true;
		hold->committed = end != QT_END_ABORT;
		if (end == QT_END_COMMIT && hold->moved)
			qt_group_state_moved(&hold->key, hold->position);
		else if (end == QT_END_ABORT)
			qt_group_state_rolled_back(&hold->key);
		else if (end == QT_END_PREPARE)
			qt_group_state_found(&hold->key, -1);
	}

	/* nobody will hear when it ends */
	if (end == QT_END_PREPARE && hold_count > 0)
		qt_worker_tell(QT_NEWS_PREPARED);
}

static void
at_subcommit(int level)
{
	int			kept = 0;

	for (int i = 0; i < hold_count; i++)
	{
		int			same = -1;

		if (holds[i].level >= level)
		{
			holds[i].level = level - 1;
			same = find_hold(&holds[i].key, level - 1, kept);
		}
		if (same < 0)
			holds[kept++] = holds[i];
		else
		{
			holds[same].locks += holds[i].locks;
			if (holds[i].moved)
				holds[same].position = holds[i].position;
			holds[same].moved |= holds[i].moved;
		}
	}
	hold_count = kept;
}

static void
at_subabort(int level)
{
	for (int i = 0; i < hold_count; i++)
	{
		if (holds[i].level < level)
			continue;
		holds[i].ended = true;
		holds[i].committed = false;
		qt_group_state_rolled_back(&holds[i].key);
	}
}

static void
locks_released(void)
{
	int			kept = 0;

	for (int i = 0; i < hold_count; i++)
	{
		if (holds[i].ended)
			wake_sibling(&holds[i]);
		else
			holds[kept++] = holds[i];
	}
	hold_count = kept;

	/* the memory goes away with the transaction */
	if (transaction_ends)
		holds = NULL;
	transaction_ends = false;
}

/* Is there something for another session of the group? */
static void
wake_sibling(const Hold *hold)
{
	bool		refused = qt_group_state_take_refused(&hold->key);

	if (refused || !hold->committed ||
		(hold->moved &&
		 qt_slot_next_offset(hold->slot, &hold->partition) > hold->position))
		qt_wait_wake_group(hold->wait_slot, hold->key.gt_id, 1);
}
