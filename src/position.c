/*
 * position.c
 *		Positions of consumer groups: locking and moving them.
 *
 * The transaction keeps a list of what it moved.  At its end, or that of a
 * subtransaction, shared memory learns the outcome; when the locks are gone,
 * a waiting session of the group is woken if there may be something for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "group_lock.h"
#include "group_state.h"
#include "position.h"
#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"

typedef struct Move
{
	QtGroupStateKey key;
	int64		position;		/* -1: forgotten */
	int			level;			/* of the subtransaction */
	bool		ended;			/* its locks will be released now */
	bool		committed;
	int			wait_slot;
	QtPartitionSlot *slot;
	QtPartitionKey partition;
} Move;

/* The moves of this transaction, in TopTransactionContext. */
static Move *moves = NULL;
static int	move_count = 0;
static int	move_capacity = 0;

static void note_move(const QtPositionId *id, int64 position);
static void at_end(QtTransactionEnd end);
static void at_subcommit(int level);
static void at_subabort(int level);
static void locks_released(void);
static void wake_sibling(const Move *move);

static const QtTransactionHooks hooks = {
	NULL, at_end, at_subcommit, at_subabort, locks_released
};

bool
qt_position_try_lock(const QtPositionId *id)
{
	QtGroupStateKey key;

	if (qt_group_try_lock_partition(id->gt_id, id->partition))
		return true;
	key = qt_position_key(id->gt_id, id->partition);
	qt_group_state_refuse(&key);
	return qt_group_try_lock_partition(id->gt_id, id->partition);
}

void
qt_position_lock(const QtPositionId *id)
{
	qt_group_lock_partition(id->gt_id, id->partition);
}

void
qt_position_unlock(const QtPositionId *id)
{
	QtGroupStateKey key = qt_position_key(id->gt_id, id->partition);

	qt_group_unlock_partition(id->gt_id, id->partition);
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

bool
qt_position_forget(const QtPositionId *id)
{
	note_move(id, -1);
	return qt_group_catalog_delete_positions(id->gt_id, id->partition) > 0;
}

QtGroupStateKey
qt_position_key(int gt_id, int partition)
{
	QtGroupStateKey key = {MyDatabaseId, InvalidOid, gt_id, partition};

	key.positions = qt_catalog_table("positions");
	return key;
}

static void
note_move(const QtPositionId *id, int64 position)
{
	QtPartition *partition = qt_topic_partition(id->topic, id->partition);
	Move	   *move;

	qt_wakeup_add_hooks(&hooks);
	if (moves == NULL)
	{
		moves = MemoryContextAlloc(TopTransactionContext, sizeof(Move) * 16);
		move_count = 0;
		move_capacity = 16;
	}
	else if (move_count == move_capacity)
	{
		moves = repalloc(moves, sizeof(Move) * move_capacity * 2);
		move_capacity *= 2;
	}

	move = &moves[move_count++];
	memset(move, 0, sizeof(*move));
	move->key = qt_position_key(id->gt_id, id->partition);
	move->position = position;
	move->level = GetCurrentTransactionNestLevel();
	move->wait_slot = id->topic->wait_slot;
	move->slot = partition->slot;
	move->partition = partition->key;
}

static void
at_end(QtTransactionEnd end)
{
	for (int i = 0; i < move_count; i++)
	{
		Move	   *move = &moves[i];

		move->ended = true;
		move->committed = end != QT_END_ABORT;
		if (end == QT_END_COMMIT)
			qt_group_state_moved(&move->key, move->position);
		else if (end == QT_END_ABORT)
			qt_group_state_rolled_back(&move->key);
	}
}

static void
at_subcommit(int level)
{
	for (int i = 0; i < move_count; i++)
		if (moves[i].level >= level)
			moves[i].level = level - 1;
}

static void
at_subabort(int level)
{
	for (int i = 0; i < move_count; i++)
	{
		if (moves[i].level < level)
			continue;
		moves[i].ended = true;
		moves[i].committed = false;
		qt_group_state_rolled_back(&moves[i].key);
	}
}

static void
locks_released(void)
{
	int			kept = 0;

	for (int i = 0; i < move_count; i++)
	{
		if (moves[i].ended)
			wake_sibling(&moves[i]);
		else
			moves[kept++] = moves[i];
	}
	move_count = kept;

	/* the memory goes away with the transaction */
	if (kept == 0)
		moves = NULL;
}

/* Is there something for another session of the group? */
static void
wake_sibling(const Move *move)
{
	bool		refused = qt_group_state_take_refused(&move->key);

	if (refused || !move->committed ||
		qt_slot_next_offset(move->slot, &move->partition) > move->position)
		qt_wait_wake_group(move->wait_slot, move->key.gt_id, 1);
}
