/*
 * waits.c
 *		Wait slots: sessions that wait for records, and how they are woken.
 *
 * No locks.  The waiter sets its bit, then reads the generation, then looks
 * at the data, then sleeps on its latch unless the generation has moved.  The
 * waker makes its records visible, then moves the generation, then reads the
 * bitmap and sets latches.  With a full barrier between the two steps on
 * either side, one of them sees the other.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#include "qtopic.h"
#include "waits.h"

typedef struct WaitSlot
{
	pg_atomic_uint64 generation;
	pg_atomic_uint32 *waiting;	/* bitmap over all sessions */
} WaitSlot;

static WaitSlot *slots = NULL;

static int	my_slot = -1;		/* where this session waits, or -1 */
static uint64 seen_generation;

static int
bitmap_words(void)
{
	return (MaxBackends + 31) / 32;
}

Size
qt_waits_shmem_size(void)
{
	return mul_size(QT_WAIT_SLOTS,
					add_size(sizeof(WaitSlot),
							 mul_size(bitmap_words(), sizeof(pg_atomic_uint32))));
}

void
qt_waits_shmem_init(void)
{
	bool		found;

	slots = ShmemInitStruct("qtopic wait slots", qt_waits_shmem_size(), &found);
	if (!found)
	{
		pg_atomic_uint32 *words = (pg_atomic_uint32 *) (slots + QT_WAIT_SLOTS);

		for (int i = 0; i < QT_WAIT_SLOTS; i++)
		{
			pg_atomic_init_u64(&slots[i].generation, 0);
			slots[i].waiting = words + i * bitmap_words();
			for (int w = 0; w < bitmap_words(); w++)
				pg_atomic_init_u32(&slots[i].waiting[w], 0);
		}
	}
}

int
qt_wait_slot(int topic_id)
{
	return hash_combine(hash_bytes_uint32(MyDatabaseId),
						hash_bytes_uint32(topic_id)) % QT_WAIT_SLOTS;
}

void
qt_wait_begin(int wait_slot)
{
	int			me = qt_my_proc_number();

	Assert(my_slot == -1);
	my_slot = wait_slot;
	/* a full barrier: partner of the one in qt_wait_wake */
	pg_atomic_fetch_or_u32(&slots[wait_slot].waiting[me / 32], UINT32_C(1) << (me % 32));
	seen_generation = pg_atomic_read_u64(&slots[wait_slot].generation);
	pg_memory_barrier();
}

void
qt_wait_sleep(long timeout_ms)
{
	uint64		generation;

	Assert(my_slot >= 0);
	generation = pg_atomic_read_u64(&slots[my_slot].generation);
	if (generation == seen_generation)
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout_ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		generation = pg_atomic_read_u64(&slots[my_slot].generation);
	}
	CHECK_FOR_INTERRUPTS();
	seen_generation = generation;
	/* the caller looks at the data next, and must not see older data */
	pg_memory_barrier();
}

void
qt_wait_end(void)
{
	int			me;

	if (my_slot < 0)
		return;
	me = qt_my_proc_number();
	pg_atomic_fetch_and_u32(&slots[my_slot].waiting[me / 32], ~(UINT32_C(1) << (me % 32)));
	my_slot = -1;
}

void
qt_wait_wake(int wait_slot)
{
	WaitSlot   *slot = &slots[wait_slot];

	/* a full barrier: partner of the one in qt_wait_begin */
	pg_atomic_fetch_add_u64(&slot->generation, 1);
	for (int w = 0; w < bitmap_words(); w++)
	{
		uint32		bits = pg_atomic_read_u32(&slot->waiting[w]);

		while (bits != 0)
		{
			int			bit = pg_rightmost_one_pos32(bits);

			bits &= bits - 1;
			SetLatch(&ProcGlobal->allProcs[w * 32 + bit].procLatch);
		}
	}
}
