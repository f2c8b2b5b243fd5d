/*
 * group_lock.c
 *		Heavyweight locks of consumer groups.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#include "group_lock.h"
#include "qtopic.h"

/* Fourth field of an advisory lock's tag; the core uses 1 and 2. */
#define CLASS_NAME			20551
#define CLASS_GROUP			20552

/* Between two tries, and in all. */
#define RETRY_MS			10
#define TRY_MS				1000

static uint32 name_key(const char *name);
static bool try_lock(uint32 key1, uint32 key2, uint16 class, LOCKMODE mode);

bool
qt_group_try_lock_name(const char *name)
{
	return try_lock(name_key(name), 0, CLASS_NAME, ExclusiveLock);
}

void
qt_group_unlock_name(const char *name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, name_key(name), 0, CLASS_NAME);
	LockRelease(&tag, ExclusiveLock, false);
}

bool
qt_group_try_lock_shared(int group_id)
{
	return try_lock(group_id, 0, CLASS_GROUP, ShareLock);
}

void
qt_group_unlock_shared(int group_id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, group_id, 0, CLASS_GROUP);
	LockRelease(&tag, ShareLock, false);
}

bool
qt_group_try_lock_exclusive(int group_id)
{
	return try_lock(group_id, 0, CLASS_GROUP, ExclusiveLock);
}

void
qt_group_unlock_exclusive(int group_id)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, group_id, 0, CLASS_GROUP);
	LockRelease(&tag, ExclusiveLock, false);
}

void
qt_group_lock_exclusive(int group_id, const char *name)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TRY_MS);

	while (!qt_group_try_lock_exclusive(group_id))
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
					 errmsg("consumer group \"%s\" is in use", name),
					 errdetail("Other transactions are consuming in the group or changing it."),
					 errhint("Stop its consumers, or try again.")));
		pg_usleep(RETRY_MS * 1000L);
	}
}

bool
qt_group_try_lock_partition(int gt_id, int partition)
{
	return try_lock(gt_id, partition, QT_LOCK_CLASS_PARTITION, ExclusiveLock);
}

void
qt_group_lock_partition(int gt_id, int partition)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, gt_id, partition, QT_LOCK_CLASS_PARTITION);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

void
qt_group_unlock_partition(int gt_id, int partition)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, gt_id, partition, QT_LOCK_CLASS_PARTITION);
	LockRelease(&tag, ExclusiveLock, false);
}

static bool
try_lock(uint32 key1, uint32 key2, uint16 class, LOCKMODE mode)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, key1, key2, class);
	return LockAcquire(&tag, mode, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

static uint32
name_key(const char *name)
{
	return DatumGetUInt32(hash_any((const unsigned char *) name, strlen(name)));
}
