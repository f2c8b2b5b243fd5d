/*
 * waits.c
 *		Wait slots: sessions that wait for records, and how they are woken.
 *
 * No locks.  The waiter sets its bits, then reads the generations, then looks
 * at the data, then sleeps on its latch unless a generation has moved.  The
 * waker makes its records visible, then moves the generation, then reads the
 * bitmap and sets latches.  With a full barrier between the two steps on
 * either side, one of them sees the other.
 *
 * A session is IDLE, WAITING or WOKEN.  A waker turns WAITING into WOKEN; the
 * session turns WOKEN into WAITING before it looks at the data, so a waker that
 * finds it WOKEN may count on a look that is still to come.  A session that
 * stops waiting while WOKEN has not looked, and wakes another one.
 */
#include "postgres.h"

#include <limits.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "port/pg_bitutils.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "qtopic.h"
#include "waits.h"

/* Groups whose sessions are counted in one wake-up; of others all are woken. */
#define GROUPS_COUNTED	16

enum
{
	SESSION_IDLE,
	SESSION_WAITING,
	SESSION_WOKEN
};

typedef struct WaitSlot
{
	pg_atomic_uint64 generation;
	pg_atomic_uint32 *waiting;	/* bitmap over all sessions */
} WaitSlot;

/* A session that may wait. */
typedef struct Waiter
{
	pg_atomic_uint32 state;
	pg_atomic_uint32 group_topic;	/* 0: none */
	pg_atomic_uint32 database;
} Waiter;

/* Sessions woken so far, by group. */
typedef struct WakeCount
{
	uint32		database;
	uint32		group_topic;
	int			sessions;
} WakeCount;

static WaitSlot *slots = NULL;
static Waiter *waiters = NULL;

/* Where this session waits. */
static bool waiting = false;
static uint64 my_slots[QT_WAIT_SLOTS / 64];
static uint64 seen_generations; /* their sum, which only grows */

static int	bitmap_words(void);
static void end_wait(bool pass_on);
static uint64 generations(void);
static void wake(int wait_slot, uint32 group_topic, int sessions);
static bool waits_for(Waiter *waiter, uint32 group_topic);
static bool wake_waiter(int number);
static int *sessions_of(WakeCount *counts, int *ncounts, Waiter *waiter);

static int
bitmap_words(void)
{
	return (MaxBackends + 31) / 32;
}

Size
qt_waits_shmem_size(void)
{
	return add_size(mul_size(QT_WAIT_SLOTS,
							 add_size(sizeof(WaitSlot),
									  mul_size(bitmap_words(), sizeof(pg_atomic_uint32)))),
					mul_size(bitmap_words() * 32, sizeof(Waiter)));
}

void
qt_waits_shmem_init(void)
{
	bool		found;
	pg_atomic_uint32 *words;

	slots = ShmemInitStruct("qtopic wait slots", qt_waits_shmem_size(), &found);
	words = (pg_atomic_uint32 *) (slots + QT_WAIT_SLOTS);
	waiters = (Waiter *) (words + QT_WAIT_SLOTS * bitmap_words());
	if (found)
		return;

	for (int i = 0; i < QT_WAIT_SLOTS; i++)
	{
		pg_atomic_init_u64(&slots[i].generation, 0);
		slots[i].waiting = words + i * bitmap_words();
		for (int w = 0; w < bitmap_words(); w++)
			pg_atomic_init_u32(&slots[i].waiting[w], 0);
	}
	for (int i = 0; i < bitmap_words() * 32; i++)
	{
		pg_atomic_init_u32(&waiters[i].state, SESSION_IDLE);
		pg_atomic_init_u32(&waiters[i].group_topic, 0);
		pg_atomic_init_u32(&waiters[i].database, InvalidOid);
	}
}

int
qt_wait_slot(int topic_id)
{
	return hash_combine(hash_bytes_uint32(MyDatabaseId),
						hash_bytes_uint32(topic_id)) % QT_WAIT_SLOTS;
}

void
qt_wait_begin(const int *wait_slots, int count, int group_topic)
{
	int			me = qt_my_proc_number();

	Assert(!waiting);
	waiting = true;
	pg_atomic_write_u32(&waiters[me].group_topic, group_topic);
	pg_atomic_write_u32(&waiters[me].database, MyDatabaseId);
	pg_atomic_write_u32(&waiters[me].state, SESSION_WAITING);
	for (int i = 0; i < count; i++)
	{
		my_slots[wait_slots[i] / 64] |= UINT64CONST(1) << (wait_slots[i] % 64);
		/* a full barrier: partner of the one in wake */
		pg_atomic_fetch_or_u32(&slots[wait_slots[i]].waiting[me / 32],
							   UINT32_C(1) << (me % 32));
	}
	seen_generations = generations();
	pg_memory_barrier();
}

void
qt_wait_sleep(long timeout_ms)
{
	Assert(waiting);
	if (generations() == seen_generations)
	{
		/* it may be the last that holds back the removal of dead rows */
		InvalidateCatalogSnapshot();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 timeout_ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
	/* the caller looks at the data next, and must not see older data */
	pg_atomic_exchange_u32(&waiters[qt_my_proc_number()].state, SESSION_WAITING);
	seen_generations = generations();
	pg_memory_barrier();
}

void
qt_wait_end(void)
{
	end_wait(false);
}

/* It may have been woken for records that it did not get. */
void
qt_wait_break_off(void)
{
	end_wait(true);
}

static void
end_wait(bool pass_on)
{
	int			me;

	if (!waiting)
		return;
	me = qt_my_proc_number();
	for (int i = 0; i < QT_WAIT_SLOTS; i++)
		if ((my_slots[i / 64] >> (i % 64)) & 1)
			pg_atomic_fetch_and_u32(&slots[i].waiting[me / 32], ~(UINT32_C(1) << (me % 32)));
	if (pg_atomic_exchange_u32(&waiters[me].state, SESSION_IDLE) == SESSION_WOKEN)
		pass_on = true;
	waiting = false;

	for (int i = 0; i < QT_WAIT_SLOTS; i++)
		if ((my_slots[i / 64] >> (i % 64)) & 1)
		{
			my_slots[i / 64] &= ~(UINT64CONST(1) << (i % 64));
			if (pass_on)
				wake(i, pg_atomic_read_u32(&waiters[me].group_topic), 1);
		}
}

void
qt_wait_wake(int wait_slot, int sessions)
{
	wake(wait_slot, 0, sessions);
}

void
qt_wait_wake_group(int wait_slot, int group_topic, int sessions)
{
	wake(wait_slot, group_topic, sessions);
}

/* The sum of the generations of the slots at which this session waits. */
static uint64
generations(void)
{
	uint64		sum = 0;

	for (int word = 0; word < lengthof(my_slots); word++)
	{
		uint64		bits = my_slots[word];

		while (bits != 0)
		{
			sum += pg_atomic_read_u64(&slots[word * 64 + pg_rightmost_one_pos64(bits)].generation);
			bits &= bits - 1;
		}
	}
	return sum;
}

/* Wake sessions of one group and topic of this database, or of all (0). */
static void
wake(int wait_slot, uint32 group_topic, int sessions)
{
	WaitSlot   *slot;
	WakeCount	counts[GROUPS_COUNTED];
	int			ncounts = 0;

	/* a topic can be dropped without preload: then nobody waits */
	if (slots == NULL)
		return;
	slot = &slots[wait_slot];

	/* a full barrier: partner of the one in qt_wait_begin */
	pg_atomic_fetch_add_u64(&slot->generation, 1);
	/* what we tell is no news to us: two that refuse each other would never sleep */
	if (waiting && ((my_slots[wait_slot / 64] >> (wait_slot % 64)) & 1))
		seen_generations++;
	for (int w = 0; w < bitmap_words(); w++)
	{
		uint32		bits = pg_atomic_read_u32(&slot->waiting[w]);

		for (; bits != 0; bits &= bits - 1)
		{
			int			number = w * 32 + pg_rightmost_one_pos32(bits);
			Waiter	   *waiter = &waiters[number];
			int		   *woken;

			if (waiting && number == qt_my_proc_number())
				continue;
			if (group_topic != 0 && !waits_for(waiter, group_topic))
				continue;
			woken = sessions_of(counts, &ncounts, waiter);
			if (woken != NULL && *woken >= sessions)
				continue;
			if (wake_waiter(number) && woken != NULL)
				++*woken;
		}
	}
}

/* Does a session wait for a topic in a group of this database? */
static bool
waits_for(Waiter *waiter, uint32 group_topic)
{
	uint32		wanted = pg_atomic_read_u32(&waiter->group_topic);

	return (wanted == group_topic || wanted == (uint32) QT_WAIT_ANY_GROUP ||
			wanted == (uint32) QT_WAIT_TO_TELL((int) group_topic)) &&
		pg_atomic_read_u32(&waiter->database) == MyDatabaseId;
}

/* False if the session waits no more. */
static bool
wake_waiter(int number)
{
	uint32		state = SESSION_WAITING;

	if (pg_atomic_compare_exchange_u32(&waiters[number].state, &state, SESSION_WOKEN))
		SetLatch(&ProcGlobal->allProcs[number].procLatch);
	return state != SESSION_IDLE;
}

/* How many of a waiter's group were woken; NULL if they are not counted. */
static int *
sessions_of(WakeCount *counts, int *ncounts, Waiter *waiter)
{
	uint32		database = pg_atomic_read_u32(&waiter->database);
	uint32		group_topic = pg_atomic_read_u32(&waiter->group_topic);

	if (group_topic == 0 || group_topic == (uint32) QT_WAIT_ANY_GROUP)
		return NULL;
	for (int i = 0; i < *ncounts; i++)
		if (counts[i].database == database && counts[i].group_topic == group_topic)
			return &counts[i].sessions;
	if (*ncounts == GROUPS_COUNTED)
		return NULL;
	counts[*ncounts] = (WakeCount) {database, group_topic, 0};
	return &counts[(*ncounts)++].sessions;
}

void
qt_wait_wake_all(void)
{
	for (int i = 0; i < QT_WAIT_SLOTS; i++)
		qt_wait_wake(i, INT_MAX);
}

uint64
qt_wait_generation(int wait_slot)
{
	return pg_atomic_read_u64(&slots[wait_slot].generation);
}
