/*
 * shmem.c
 *		Shared memory: one slot for each partition in use.
 *
 * Slots are found through a shared hash and never move.  A slot is made at
 * the first use of a partition in the life of the server.  When the table is
 * full, the slots of partitions that are no more are collected: there are many
 * ways for a partition to vanish (drop_topic, DROP DATABASE, DROP EXTENSION, a
 * creation that rolled back), and this one look covers all.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "group_state.h"
#include "guc.h"
#include "member_state.h"
#include "qtopic.h"
#include "shmem.h"
#include "waits.h"
#include "worker_slots.h"

#define TRANCHE_CONTROL		"QtopicControl"
#define TRANCHE_APPEND		"QtopicAppend"
#define TRANCHE_MEMBERS		"QtopicMembers"
#define TRANCHE_WORKERS		"QtopicWorkers"

/* How old the second hint of a slot is at least when it is replaced. */
#define HINT_SHIFT_MS		2000

typedef struct SharedControl
{
	LWLock	   *lock;			/* the hash, free slots, collected */
	int			append_tranche;
	bool		collected;		/* qt_slot_collect freed a slot */
	int			first_free;		/* no free slot is below */
	int			slot_count;
	QtPartitionSlot slots[FLEXIBLE_ARRAY_MEMBER];
} SharedControl;

typedef struct SlotEntry
{
	QtPartitionKey key;			/* hash key */
	int			slot;
} SlotEntry;

static SharedControl *control = NULL;
static HTAB *slot_hash = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void request_shmem(void);
static void startup_shmem(void);
static Size control_size(void);
static bool free_slot(SlotEntry *entry);

void
qt_shmem_install_hooks(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shmem;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
}

void
qt_shmem_require(void)
{
	if (control == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("qtopic must be loaded via shared_preload_libraries"),
				 errdetail("Topics need shared memory that is set up at server start."),
				 errhint("Add \"shared_preload_libraries = 'qtopic'\" to postgresql.conf and restart the server.")));
}

QtPartitionSlot *
qt_slot_find(const QtPartitionKey *key)
{
	SlotEntry  *entry;
	QtPartitionSlot *slot;

	LWLockAcquire(control->lock, LW_SHARED);
	entry = hash_search(slot_hash, key, HASH_FIND, NULL);
	slot = entry ? &control->slots[entry->slot] : NULL;
	LWLockRelease(control->lock);
	return slot;
}

QtPartitionSlot *
qt_slot_create(const QtPartitionKey *key, int highest_segment,
			   int64 next_offset, QtSettledHint settled)
{
	SlotEntry  *entry;
	QtPartitionSlot *slot = NULL;
	bool		found;
	int			i;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);

	entry = hash_search(slot_hash, key, HASH_FIND, NULL);
	if (entry)
	{
		slot = &control->slots[entry->slot];
		LWLockRelease(control->lock);
		return slot;
	}

	for (i = control->first_free; i < control->slot_count; i++)
		if (!control->slots[i].in_use)
			break;
	control->first_free = i;
	if (i < control->slot_count)
		entry = hash_search(slot_hash, key, HASH_ENTER_NULL, &found);
	if (entry)
	{
		slot = &control->slots[i];
		entry->slot = i;
		control->first_free = i + 1;

		if (control->collected)
			settled = (QtSettledHint) {0, 0};

		/* nobody may believe that the slot is still that of its last owner */
		LWLockAcquire(&slot->append_lock, LW_EXCLUSIVE);
		SpinLockAcquire(&slot->hint_lock);
		slot->key = *key;
		slot->in_use = true;
		pg_atomic_write_u32(&slot->highest_segment, (uint32) highest_segment);
		pg_atomic_write_u64(&slot->next_offset, (uint64) next_offset);
		pg_atomic_write_u32(&slot->next_is_old, RecoveryInProgress());
		pg_atomic_write_u64(&slot->dropped_by, 0);
		slot->recent = settled;
		slot->older = settled;
		slot->shifted = 0;
		SpinLockRelease(&slot->hint_lock);
		LWLockRelease(&slot->append_lock);
	}

	LWLockRelease(control->lock);
	return slot;
}

void
qt_slot_note_drop(const QtPartitionKey *key, uint64 xid)
{
	SlotEntry  *entry;

	/* an event trigger gets here without preload too: there are no slots */
	if (control == NULL)
		return;
	LWLockAcquire(control->lock, LW_SHARED);
	entry = hash_search(slot_hash, key, HASH_FIND, NULL);
	if (entry)
		pg_atomic_write_u64(&control->slots[entry->slot].dropped_by, xid);
	LWLockRelease(control->lock);
}

int
qt_slot_collect(bool (*is_dead) (const QtPartitionKey *key, uint64 dropped_by))
{
	QtPartitionKey *keys;
	uint64	   *dropped_by;
	int			nkeys = 0;
	int			freed = 0;

	keys = palloc(sizeof(QtPartitionKey) * control->slot_count);
	dropped_by = palloc(sizeof(uint64) * control->slot_count);

	LWLockAcquire(control->lock, LW_SHARED);
	for (int i = 0; i < control->slot_count; i++)
		if (control->slots[i].in_use)
		{
			keys[nkeys] = control->slots[i].key;
			dropped_by[nkeys++] = pg_atomic_read_u64(&control->slots[i].dropped_by);
		}
	LWLockRelease(control->lock);

	for (int i = 0; i < nkeys; i++)
	{
		SlotEntry  *entry;

		if (!is_dead(&keys[i], dropped_by[i]))
			continue;
		LWLockAcquire(control->lock, LW_EXCLUSIVE);
		entry = hash_search(slot_hash, &keys[i], HASH_FIND, NULL);
		if (entry && free_slot(entry))
		{
			control->collected = true;
			freed++;
		}
		LWLockRelease(control->lock);
	}

	pfree(keys);
	pfree(dropped_by);
	return freed;
}

int64
qt_slot_next_offset(QtPartitionSlot *slot, const QtPartitionKey *key)
{
	int64		next_offset = (int64) pg_atomic_read_u64(&slot->next_offset);

	/* if the slot changes hands after this, so did what we read */
	pg_read_barrier();
	if (!slot->in_use || memcmp(&slot->key, key, sizeof(QtPartitionKey)) != 0 ||
		pg_atomic_read_u32(&slot->next_is_old) != 0)
		return PG_INT64_MAX;
	return next_offset;
}

void
qt_slot_raise_next_offset(QtPartitionSlot *slot, const QtPartitionKey *key,
						  int64 next_offset)
{
	if (!qt_slot_lock(slot, key))
		return;
	if ((int64) pg_atomic_read_u64(&slot->next_offset) < next_offset)
		pg_atomic_write_u64(&slot->next_offset, (uint64) next_offset);
	pg_atomic_write_u32(&slot->next_is_old, 0);
	qt_slot_unlock(slot);
}

uint32
qt_slot_highest_segment(QtPartitionSlot *slot, const QtPartitionKey *key)
{
	uint32		ordinal = pg_atomic_read_u32(&slot->highest_segment);

	pg_read_barrier();
	if (!slot->in_use || memcmp(&slot->key, key, sizeof(QtPartitionKey)) != 0)
		return PG_UINT32_MAX;
	return ordinal;
}

bool
qt_slot_lock(QtPartitionSlot *slot, const QtPartitionKey *key)
{
	LWLockAcquire(&slot->append_lock, LW_EXCLUSIVE);
	if (slot->in_use && memcmp(&slot->key, key, sizeof(QtPartitionKey)) == 0)
		return true;
	LWLockRelease(&slot->append_lock);
	return false;
}

void
qt_slot_unlock(QtPartitionSlot *slot)
{
	LWLockRelease(&slot->append_lock);
}

void
qt_slot_hints(QtPartitionSlot *slot, const QtPartitionKey *key,
			  QtSettledHint hints[2])
{
	hints[0] = hints[1] = (QtSettledHint) {0, 0};

	SpinLockAcquire(&slot->hint_lock);
	if (slot->in_use && memcmp(&slot->key, key, sizeof(QtPartitionKey)) == 0)
	{
		hints[0] = slot->recent;
		hints[1] = slot->older;
	}
	SpinLockRelease(&slot->hint_lock);
}

void
qt_slot_publish(QtPartitionSlot *slot, const QtPartitionKey *key,
				QtSettledHint hint)
{
	TimestampTz now = GetCurrentStatementStartTimestamp();

	SpinLockAcquire(&slot->hint_lock);
	if (slot->in_use && memcmp(&slot->key, key, sizeof(QtPartitionKey)) == 0)
	{
		if (hint.offset > slot->recent.offset)
		{
			if (now - slot->shifted >= HINT_SHIFT_MS * INT64CONST(1000))
			{
				slot->older = slot->recent;
				slot->shifted = now;
			}
			slot->recent = hint;
		}
		else if (hint.offset == slot->recent.offset && hint.xid < slot->recent.xid)
			slot->recent.xid = hint.xid;
	}
	SpinLockRelease(&slot->hint_lock);
}

static void
request_shmem(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(control_size());
	RequestAddinShmemSpace(hash_estimate_size(qt_guc_max_partitions, sizeof(SlotEntry)));
	RequestAddinShmemSpace(qt_waits_shmem_size());
	RequestAddinShmemSpace(qt_group_state_shmem_size());
	RequestAddinShmemSpace(qt_member_state_shmem_size());
	RequestAddinShmemSpace(qt_workers_shmem_size());
	RequestNamedLWLockTranche(TRANCHE_CONTROL, 1);
	RequestNamedLWLockTranche(TRANCHE_MEMBERS, 1);
	RequestNamedLWLockTranche(TRANCHE_WORKERS, 1);
}

static void
startup_shmem(void)
{
	HASHCTL		info = {0};
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);

	control = ShmemInitStruct("qtopic control", control_size(), &found);
	if (!found)
	{
		memset(control, 0, control_size());
		control->lock = &GetNamedLWLockTranche(TRANCHE_CONTROL)->lock;
		control->append_tranche = LWLockNewTrancheId();
		control->slot_count = qt_guc_max_partitions;
		for (int i = 0; i < control->slot_count; i++)
		{
			QtPartitionSlot *slot = &control->slots[i];

			LWLockInitialize(&slot->append_lock, control->append_tranche);
			SpinLockInit(&slot->hint_lock);
			pg_atomic_init_u32(&slot->highest_segment, 0);
			pg_atomic_init_u64(&slot->next_offset, 0);
			pg_atomic_init_u32(&slot->next_is_old, 0);
			pg_atomic_init_u64(&slot->dropped_by, 0);
		}
	}
	LWLockRegisterTranche(control->append_tranche, TRANCHE_APPEND);

	info.keysize = sizeof(QtPartitionKey);
	info.entrysize = sizeof(SlotEntry);
	slot_hash = ShmemInitHash("qtopic partition hash",
							  qt_guc_max_partitions, qt_guc_max_partitions,
							  &info, HASH_ELEM | HASH_BLOBS);

	qt_waits_shmem_init();
	qt_group_state_shmem_init();
	qt_member_state_shmem_init(&GetNamedLWLockTranche(TRANCHE_MEMBERS)->lock);
	qt_workers_shmem_init(&GetNamedLWLockTranche(TRANCHE_WORKERS)->lock);

	LWLockRelease(AddinShmemInitLock);
}

static Size
control_size(void)
{
	return add_size(offsetof(SharedControl, slots),
					mul_size(qt_guc_max_partitions, sizeof(QtPartitionSlot)));
}

/*
 * Caller holds the control lock.  A slot that somebody appends to is left alone:
 * to wait for that would make all wait who look for a slot.
 */
static bool
free_slot(SlotEntry *entry)
{
	QtPartitionSlot *slot = &control->slots[entry->slot];

	Assert(LWLockHeldByMeInMode(control->lock, LW_EXCLUSIVE));

	if (!LWLockConditionalAcquire(&slot->append_lock, LW_EXCLUSIVE))
		return false;
	SpinLockAcquire(&slot->hint_lock);
	slot->in_use = false;
	SpinLockRelease(&slot->hint_lock);
	LWLockRelease(&slot->append_lock);

	control->first_free = Min(control->first_free, entry->slot);
	(void) hash_search(slot_hash, &slot->key, HASH_REMOVE, NULL);
	return true;
}
