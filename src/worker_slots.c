/*
 * worker_slots.c
 *		What launcher, workers and sessions know of each other.
 *
 * The lock is held for a look at the arrays, never over anything that waits.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "qtopic.h"
#include "waits.h"
#include "worker_slots.h"

/* Databases that one transaction can keep workers off. */
#define HOLDS_PER_SESSION	16

/* Questions to the launcher; with more of them it looks at all databases. */
#define ASKED_MAX			64

/* One that has not started by then is stuck, and not in the way of others. */
#define STARTING_MS			(10 * 1000)

#define RECHECK_MS			1000
#define RECHECK_WATCHED_MS	10000

#define NO_PROC				((uint32) -1)

typedef enum WorkerState
{
	WORKER_FREE,
	WORKER_STARTING,
	WORKER_RUNNING,
	WORKER_STOPPING,
	WORKER_ENDED
} WorkerState;

typedef struct WorkerSlot
{
	Oid			database;
	WorkerState state;
	uint64		token;			/* changes with each claim */
	pid_t		pid;			/* 0 until the worker has attached */
	TimestampTz started;
	QtWorkerOutcome outcome;
	pg_atomic_uint32 serving;	/* database while RUNNING, else InvalidOid */
	pg_atomic_uint32 proc;		/* number of the process */
	pg_atomic_uint32 news;
	pg_atomic_uint32 asleep;
} WorkerSlot;

typedef struct WorkerControl
{
	LWLock	   *lock;
	pg_atomic_uint32 launcher;	/* number of the process, or NO_PROC */
	ConditionVariable ended;	/* a worker is gone */
	uint64		last_token;
	int			asked_count;
	bool		asked_all;
	Oid			asked[ASKED_MAX];
	int			slot_count;
	WorkerSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} WorkerControl;

static WorkerControl *control = NULL;
static Oid *holds = NULL;		/* HOLDS_PER_SESSION for each session */

static WorkerSlot *my_slot = NULL;	/* of this worker */
static WorkerSlot *our_slot = NULL; /* where the worker of this database was last */

static WorkerSlot *find_serving(void);
static WorkerSlot *find_live(Oid database);
static bool is_held(Oid database);
static Oid *my_holds(void);
static void ask(Oid database);
static void stop(WorkerSlot *slot);
static void wake_launcher(void);
static void detach_launcher(int code, Datum arg);
static void detach_worker(int code, Datum arg);

static Size
control_size(void)
{
	return add_size(offsetof(WorkerControl, slots),
					mul_size(max_worker_processes, sizeof(WorkerSlot)));
}

static Size
holds_size(void)
{
	return mul_size(MaxBackends, HOLDS_PER_SESSION * sizeof(Oid));
}

Size
qt_workers_shmem_size(void)
{
	return add_size(control_size(), holds_size());
}

void
qt_workers_shmem_init(LWLock *lock)
{
	bool		found;

	control = ShmemInitStruct("qtopic workers", control_size(), &found);
	if (!found)
	{
		memset(control, 0, control_size());
		control->lock = lock;
		control->slot_count = max_worker_processes;
		pg_atomic_init_u32(&control->launcher, NO_PROC);
		ConditionVariableInit(&control->ended);
		for (int i = 0; i < control->slot_count; i++)
		{
			pg_atomic_init_u32(&control->slots[i].serving, InvalidOid);
			pg_atomic_init_u32(&control->slots[i].proc, NO_PROC);
			pg_atomic_init_u32(&control->slots[i].news, 0);
			pg_atomic_init_u32(&control->slots[i].asleep, 0);
		}
	}
	holds = ShmemInitStruct("qtopic worker holds", holds_size(), &found);
	if (!found)
		memset(holds, 0, holds_size());
}

/* ---- for everybody ---- */

bool
qt_worker_is_running(void)
{
	return find_serving() != NULL;
}

long
qt_worker_recheck_ms(void)
{
	return qt_worker_is_running() ? RECHECK_WATCHED_MS : RECHECK_MS;
}

/*
 * The caller has made its news visible before.  The barriers are partners of
 * those in qt_worker_take_news, after which the worker looks at the data, and
 * qt_worker_set_asleep, after which it looks at the bits.
 */
void
qt_worker_tell(uint32 news)
{
	WorkerSlot *slot = find_serving();

	if (slot == NULL)
		return;
	pg_memory_barrier();
	if ((pg_atomic_read_u32(&slot->news) & news) == news)
		return;					/* somebody else has told it */
	pg_atomic_fetch_or_u32(&slot->news, news);
	if (pg_atomic_read_u32(&slot->asleep) != 0 &&
		pg_atomic_exchange_u32(&slot->asleep, 0) != 0)
		SetLatch(&ProcGlobal->allProcs[pg_atomic_read_u32(&slot->proc)].procLatch);
}

void
qt_launcher_ask(Oid database)
{
	if (control == NULL)
		return;
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	ask(database);
	LWLockRelease(control->lock);
	wake_launcher();
}

void
qt_worker_hold(Oid database)
{
	Oid		   *mine = my_holds();
	WorkerSlot *slot;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HOLDS_PER_SESSION; i++)
		if (!OidIsValid(mine[i]) || mine[i] == database)
		{
			mine[i] = database;
			break;
		}
	slot = find_live(database);
	if (slot != NULL)
		stop(slot);
	LWLockRelease(control->lock);
}

void
qt_worker_release(void)
{
	Oid		   *mine = my_holds();

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HOLDS_PER_SESSION; i++)
	{
		if (OidIsValid(mine[i]))
			ask(mine[i]);
		mine[i] = InvalidOid;
	}
	LWLockRelease(control->lock);
	wake_launcher();
}

void
qt_worker_wait_gone(Oid database)
{
	ConditionVariablePrepareToSleep(&control->ended);
	for (;;)
	{
		bool		gone;

		LWLockAcquire(control->lock, LW_SHARED);
		gone = find_live(database) == NULL;
		LWLockRelease(control->lock);
		if (gone)
			break;
		ConditionVariableSleep(&control->ended, qt_wait_event("QtopicWorkerEnd"));
	}
	ConditionVariableCancelSleep();
}

/* ---- for the launcher ---- */

/*
 * A worker that the last launcher claimed and that has not attached finds that
 * its slot is not its own.
 */
void
qt_launcher_attach(void)
{
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	for (int i = 0; i < control->slot_count; i++)
	{
		WorkerSlot *slot = &control->slots[i];

		if (slot->pid == 0 &&
			(slot->state == WORKER_STARTING || slot->state == WORKER_STOPPING))
			slot->state = WORKER_FREE;
	}
	LWLockRelease(control->lock);
	ConditionVariableBroadcast(&control->ended);

	pg_atomic_write_u32(&control->launcher, qt_my_proc_number());
	on_shmem_exit(detach_launcher, (Datum) 0);
}

QtWorkerClaim
qt_worker_claim(Oid database, QtWorkerTicket *ticket)
{
	QtWorkerClaim result;
	int			i = 0;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	while (i < control->slot_count && control->slots[i].state != WORKER_FREE)
		i++;
	if (find_live(database) != NULL)
		result = QT_CLAIM_EXISTS;
	else if (is_held(database))
		result = QT_CLAIM_HELD;
	else if (i == control->slot_count)
		result = QT_CLAIM_FULL;
	else
	{
		WorkerSlot *slot = &control->slots[i];

		slot->database = database;
		slot->state = WORKER_STARTING;
		slot->token = ++control->last_token;
		slot->pid = 0;
		slot->started = GetCurrentTimestamp();
		slot->outcome = QT_WORKER_FAILED;
		pg_atomic_write_u32(&slot->news, 0);
		pg_atomic_write_u32(&slot->asleep, 0);
		ticket->slot = i;
		ticket->token = slot->token;
		result = QT_CLAIM_DONE;
	}
	LWLockRelease(control->lock);
	return result;
}

bool
qt_worker_unclaim(const QtWorkerTicket *ticket)
{
	WorkerSlot *slot = &control->slots[ticket->slot];
	bool		mine;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	mine = slot->token == ticket->token && slot->pid == 0 &&
		(slot->state == WORKER_STARTING || slot->state == WORKER_STOPPING);
	if (mine)
		slot->state = WORKER_FREE;
	LWLockRelease(control->lock);
	if (mine)
		ConditionVariableBroadcast(&control->ended);
	return mine;
}

int
qt_workers_starting(void)
{
	TimestampTz long_ago = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -STARTING_MS);
	int			count = 0;

	LWLockAcquire(control->lock, LW_SHARED);
	for (int i = 0; i < control->slot_count; i++)
		if (control->slots[i].state == WORKER_STARTING && control->slots[i].started > long_ago)
			count++;
	LWLockRelease(control->lock);
	return count;
}

bool
qt_worker_collect(QtWorkerEnd *end)
{
	bool		found = false;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	for (int i = 0; i < control->slot_count && !found; i++)
	{
		WorkerSlot *slot = &control->slots[i];

		if (slot->state != WORKER_ENDED)
			continue;
		end->database = slot->database;
		end->outcome = slot->outcome;
		end->started = slot->started;
		slot->state = WORKER_FREE;
		found = true;
	}
	LWLockRelease(control->lock);
	return found;
}

bool
qt_launcher_take(Oid *database)
{
	bool		found = true;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	if (control->asked_all)
	{
		control->asked_all = false;
		*database = InvalidOid;
	}
	else if (control->asked_count > 0)
		*database = control->asked[--control->asked_count];
	else
		found = false;
	LWLockRelease(control->lock);
	return found;
}

void
qt_workers_stop(void)
{
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	for (int i = 0; i < control->slot_count; i++)
		stop(&control->slots[i]);
	LWLockRelease(control->lock);
}

/* ---- for a worker ---- */

Oid
qt_worker_attach(const QtWorkerTicket *ticket)
{
	WorkerSlot *slot = &control->slots[ticket->slot];
	Oid			database = InvalidOid;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	if (slot->token == ticket->token && slot->state == WORKER_STARTING)
	{
		slot->pid = MyProcPid;
		pg_atomic_write_u32(&slot->proc, qt_my_proc_number());
		database = slot->database;
		my_slot = slot;
	}
	else if (slot->token == ticket->token && slot->state == WORKER_STOPPING)
	{
		slot->state = WORKER_ENDED;
		slot->outcome = QT_WORKER_ASKED;
	}
	LWLockRelease(control->lock);

	if (my_slot != NULL)
		on_shmem_exit(detach_worker, (Datum) 0);
	else
		ConditionVariableBroadcast(&control->ended);
	wake_launcher();
	return database;
}

bool
qt_worker_serve(void)
{
	bool		wanted;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	wanted = my_slot->state == WORKER_STARTING;
	if (wanted)
	{
		my_slot->state = WORKER_RUNNING;
		pg_atomic_write_u32(&my_slot->serving, my_slot->database);
	}
	LWLockRelease(control->lock);
	wake_launcher();
	return wanted;
}

bool
qt_worker_asked_to_go(void)
{
	bool		asked;

	LWLockAcquire(control->lock, LW_SHARED);
	asked = my_slot->state == WORKER_STOPPING;
	LWLockRelease(control->lock);
	return asked;
}

void
qt_worker_set_outcome(QtWorkerOutcome outcome)
{
	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	my_slot->outcome = outcome;
	LWLockRelease(control->lock);
}

uint32
qt_worker_news(void)
{
	return pg_atomic_read_u32(&my_slot->news);
}

void
qt_worker_take_news(uint32 news)
{
	pg_atomic_fetch_and_u32(&my_slot->news, ~news);
}

void
qt_worker_set_asleep(bool asleep)
{
	pg_atomic_exchange_u32(&my_slot->asleep, asleep ? 1 : 0);
}

/* ---- within ---- */

/* The slot of the running worker of this database, or NULL. */
static WorkerSlot *
find_serving(void)
{
	if (control == NULL || !OidIsValid(MyDatabaseId))
		return NULL;
	if (our_slot != NULL && pg_atomic_read_u32(&our_slot->serving) == MyDatabaseId)
		return our_slot;
	for (int i = 0; i < control->slot_count; i++)
		if (pg_atomic_read_u32(&control->slots[i].serving) == MyDatabaseId)
			return our_slot = &control->slots[i];
	return NULL;
}

/* The slot of a worker that has not ended, or NULL. */
static WorkerSlot *
find_live(Oid database)
{
	Assert(LWLockHeldByMe(control->lock));
	for (int i = 0; i < control->slot_count; i++)
		if (control->slots[i].database == database &&
			control->slots[i].state != WORKER_FREE &&
			control->slots[i].state != WORKER_ENDED)
			return &control->slots[i];
	return NULL;
}

static bool
is_held(Oid database)
{
	Assert(LWLockHeldByMe(control->lock));
	for (int i = 0; i < MaxBackends * HOLDS_PER_SESSION; i++)
		if (holds[i] == database)
			return true;
	return false;
}

static Oid *
my_holds(void)
{
	return &holds[qt_my_proc_number() * HOLDS_PER_SESSION];
}

static void
ask(Oid database)
{
	Assert(LWLockHeldByMeInMode(control->lock, LW_EXCLUSIVE));
	for (int i = 0; i < control->asked_count; i++)
		if (control->asked[i] == database)
			return;
	if (control->asked_count == ASKED_MAX)
		control->asked_all = true;
	else
		control->asked[control->asked_count++] = database;
}

/*
 * A running worker is interrupted as if its query were cancelled.  One that
 * is starting finds out when it wants to run.
 */
static void
stop(WorkerSlot *slot)
{
	Assert(LWLockHeldByMeInMode(control->lock, LW_EXCLUSIVE));
	if (slot->state != WORKER_STARTING && slot->state != WORKER_RUNNING)
		return;
	if (slot->state == WORKER_RUNNING)
		(void) kill(slot->pid, SIGINT);
	slot->state = WORKER_STOPPING;
}

static void
wake_launcher(void)
{
	uint32		proc = pg_atomic_read_u32(&control->launcher);

	if (proc != NO_PROC)
		SetLatch(&ProcGlobal->allProcs[proc].procLatch);
}

static void
detach_launcher(int code, Datum arg)
{
	pg_atomic_write_u32(&control->launcher, NO_PROC);
}

/*
 * Registered before the worker connects, so called when it has left the array
 * of processes: who waits for its end does not find it there.  Sessions that
 * wait for records look for themselves again.
 */
static void
detach_worker(int code, Datum arg)
{
	bool		served;

	LWLockAcquire(control->lock, LW_EXCLUSIVE);
	served = pg_atomic_exchange_u32(&my_slot->serving, InvalidOid) != InvalidOid;
	if (my_slot->state == WORKER_STOPPING)
		my_slot->outcome = QT_WORKER_ASKED;
	my_slot->state = WORKER_ENDED;
	my_slot->pid = 0;
	LWLockRelease(control->lock);
	my_slot = NULL;
	if (served)
		qt_wait_wake_all();
	ConditionVariableBroadcast(&control->ended);
	wake_launcher();
}
