/*
 * shmem.h
 *		Shared memory: one slot for each partition in use.
 *
 * field of a slot			protected by
 * ----------------------	------------------------------------------------
 * key, in_use				written under control lock, append lock and hint
 *							lock together; read under any of them
 * highest_segment			written under append lock; read atomically
 * next_offset, next_is_old	written under append lock; read atomically
 * dropped_by				atomic
 * recent, older, shifted	hint lock (a spinlock)
 *
 * Order of locks: control < append < hint.
 */
#ifndef QTOPIC_SHMEM_H
#define QTOPIC_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

/*
 * Identity of a partition in the whole cluster.  The sequence's OID tells a
 * partition from one of the same number in a dropped and recreated extension.
 */
typedef struct QtPartitionKey
{
	Oid			database;
	Oid			sequence;
	int			topic_id;
	int			partition;
} QtPartitionKey;

/*
 * Every transaction that appended below offset had ended before a snapshot
 * was taken whose xmax is xid.
 */
typedef struct QtSettledHint
{
	int64		offset;
	uint64		xid;
} QtSettledHint;

typedef struct QtPartitionSlot
{
	LWLock		append_lock;
	QtPartitionKey key;
	bool		in_use;
	pg_atomic_uint32 highest_segment;	/* ordinal */
	pg_atomic_uint64 next_offset;
	pg_atomic_uint32 next_is_old;	/* it is from recovery, and may be too low */
	pg_atomic_uint64 dropped_by;	/* full xid, or 0 */
	slock_t		hint_lock;
	QtSettledHint recent;
	QtSettledHint older;		/* for snapshots that are older than recent */
	TimestampTz shifted;		/* when older was last set */
} QtPartitionSlot;

/* Called once, from _PG_init, while libraries are preloaded. */
extern void qt_shmem_install_hooks(void);

/* Throws 55000 with the line to add unless the library was preloaded. */
extern void qt_shmem_require(void);

/* The slot of a partition, or NULL. */
extern QtPartitionSlot *qt_slot_find(const QtPartitionKey *key);

/*
 * Find or make the slot of a partition.  highest_segment, next_offset and
 * settled describe a partition to which nobody has appended since the server
 * was started; they are used only if there is no slot yet, and settled only
 * while no slot was ever collected, as a collected slot leaves no trace of
 * what was appended through it.  Returns NULL when all slots are taken.
 */
extern QtPartitionSlot *qt_slot_create(const QtPartitionKey *key,
									   int highest_segment, int64 next_offset,
									   QtSettledHint settled);

/*
 * Note that this transaction, xid, drops the partition, for qt_slot_collect in
 * other databases, which cannot look it up.
 */
extern void qt_slot_note_drop(const QtPartitionKey *key, uint64 xid);

/*
 * Free the slots for which is_dead() is true and that nobody appends to; no
 * lock is held while it is called.  dropped_by is the full xid of the last transaction that dropped the
 * partition, or tried to, or 0.  To free the slot of a partition that lives
 * does no harm but that it begins anew.  Returns how many were freed.
 */
extern int	qt_slot_collect(bool (*is_dead) (const QtPartitionKey *key, uint64 dropped_by));

/*
 * The next offset of a partition, or PG_INT64_MAX if it is not known: the slot
 * is no longer its own, or was made in recovery and nobody has appended since.
 * Does not throw.
 */
extern int64 qt_slot_next_offset(QtPartitionSlot *slot, const QtPartitionKey *key);

/* After recovery: the next offset is at least this, and so known again. */
extern void qt_slot_raise_next_offset(QtPartitionSlot *slot, const QtPartitionKey *key,
									  int64 next_offset);

/* The highest segment written to, or PG_UINT32_MAX if the slot is another's. */
extern uint32 qt_slot_highest_segment(QtPartitionSlot *slot, const QtPartitionKey *key);

/*
 * Take the append lock; false (and no lock) if the slot is no longer that of
 * the partition.  Nothing that can wait for a transaction may be done while
 * the lock is held: it cannot be cancelled.
 */
extern bool qt_slot_lock(QtPartitionSlot *slot, const QtPartitionKey *key);
extern void qt_slot_unlock(QtPartitionSlot *slot);

/* Both hints, the recent one first. */
extern void qt_slot_hints(QtPartitionSlot *slot, const QtPartitionKey *key,
						  QtSettledHint hints[2]);

/*
 * Publish how far a scan got: every row below offset was settled in a
 * snapshot with the given xmax.
 */
extern void qt_slot_publish(QtPartitionSlot *slot, const QtPartitionKey *key,
							QtSettledHint hint);

#endif							/* QTOPIC_SHMEM_H */
