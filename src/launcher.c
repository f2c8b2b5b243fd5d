/*
 * launcher.c
 *		The process that starts the workers of the databases.
 *
 * It is connected to no database and reads pg_database only when it is told
 * to, at its start and once in LOOK_AGAIN_MS.  To find out whether a database
 * has the extension takes a process in that database, so a worker is started
 * there, which ends if the extension is missing.
 *
 * States of a database, as the launcher sees them; what the workers' slots in
 * shared memory add is described in worker_slots.h:
 *
 * UNKNOWN				to be looked at: new, or told, or the worker was asked
 *						to go.  A worker is started as soon as there is room:
 *						STARTED, or HELD if somebody keeps workers away.
 * HELD					until the hold ends: UNKNOWN.
 * STARTED				there is a worker.  It ends: asked to go: UNKNOWN; no
 *						extension: WITHOUT_EXTENSION; else BACKOFF.
 * BACKOFF				until a time, 1 s after the first failure, then twice as
 *						long each time up to 5 min, and from the beginning
 *						after a worker that lived for a minute: UNKNOWN.
 * WITHOUT_EXTENSION	until told by CREATE EXTENSION or LOOK_AGAIN_MS have
 *						passed: UNKNOWN.
 *
 * A database that pg_database does not have, or that allows no connections, is
 * forgotten.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/sinval.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "launcher.h"
#include "qtopic.h"
#include "worker_slots.h"

/* seconds until the postmaster starts a launcher that ended */
#define RESTART_S			5

/* Workers that start at a time: databases are looked at a few at once. */
#define STARTING_MAX		2

#define BACKOFF_FIRST_MS	1000
#define BACKOFF_MAX_MS		(5 * 60 * 1000)
#define HEALTHY_MS			(60 * 1000)
#define FULL_RETRY_MS		(10 * 1000)
#define LOOK_AGAIN_MS		(60 * 60 * 1000)

typedef enum DatabaseState
{
	DATABASE_UNKNOWN,
	DATABASE_HELD,
	DATABASE_STARTED,
	DATABASE_BACKOFF,
	DATABASE_WITHOUT_EXTENSION
} DatabaseState;

typedef struct Database
{
	Oid			oid;			/* hash key */
	NameData	name;
	DatabaseState state;
	bool		listed;
	bool		told;			/* while STARTED: look again */
	TimestampTz due;			/* of BACKOFF and WITHOUT_EXTENSION */
	int			failures;		/* in a row */
	QtWorkerTicket ticket;
	BackgroundWorkerHandle *handle; /* while STARTED by this launcher */
} Database;

static HTAB *databases = NULL;
static TimestampTz next_look = 0;	/* at pg_database */
static TimestampTz retry_full = 0;	/* no slot was free: not before */
static bool full_logged = false;
static List *dying = NIL;		/* handles of workers that have ended */
static bool room = true;		/* else somebody wakes us when there is some */

static void turn(TimestampTz now);
static void take_questions(TimestampTz now);
static void list_databases(void);
static void list_database(Form_pg_database form);
static bool is_to_be_listed(Form_pg_database form);
static void find_unborn(void);
static void collect_ended(TimestampTz now);
static void worker_ended(Database *database, const QtWorkerEnd *end, TimestampTz now);
static void start_due(TimestampTz now);
static bool start(Database *database, TimestampTz now);
static bool register_worker(Database *database);
static void report_full(const Database *database, TimestampTz now);
static void forget_worker(Database *database);
static void bury_dead(void);
static long time_to_sleep(TimestampTz now);

void
qt_launcher_register(void)
{
	BackgroundWorker worker = {0};

	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_S;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "qtopic");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "qtopic_launcher_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "qtopic launcher");
	snprintf(worker.bgw_type, BGW_MAXLEN, "qtopic launcher");
	RegisterBackgroundWorker(&worker);
}

void
qtopic_launcher_main(Datum arg)
{
	HASHCTL		info = {0};
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(Database);
	info.hcxt = TopMemoryContext;
	databases = hash_create("qtopic databases", 64, &info,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	context = AllocSetContextCreate(TopMemoryContext, "qtopic launcher turn",
									ALLOCSET_DEFAULT_SIZES);
	qt_launcher_attach();

	/* an error ends the process; the next launcher takes over the workers */
	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();

		MemoryContextSwitchTo(context);
		turn(now);
		MemoryContextReset(context);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 time_to_sleep(now), qt_wait_event("QtopicLauncher"));
		ResetLatch(MyLatch);
		if (ShutdownRequestPending)
			break;
		CHECK_FOR_INTERRUPTS();
		if (catchupInterruptPending)
			ProcessCatchupInterrupt();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
	/* not 0: it is to be started again unless the server is shut down */
	proc_exit(1);
}

static void
turn(TimestampTz now)
{
	find_unborn();
	collect_ended(now);
	bury_dead();
	take_questions(now);
	if (now >= next_look)
	{
		list_databases();
		next_look = TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS);
	}
	if (qt_guc_workers)
		start_due(now);
	else
		qt_workers_stop();
}

/*
 * Somebody asks to look at a database, or says that something about databases
 * has changed.
 */
static void
take_questions(TimestampTz now)
{
	Oid			oid;
	HASH_SEQ_STATUS status;
	Database   *database;

	while (qt_launcher_take(&oid))
	{
		next_look = now;
		hash_seq_init(&status, databases);
		while ((database = hash_seq_search(&status)) != NULL)
		{
			if (OidIsValid(oid) && database->oid != oid)
				continue;
			if (database->state == DATABASE_WITHOUT_EXTENSION)
				database->state = DATABASE_UNKNOWN;
			else if (database->state == DATABASE_STARTED)
				database->told = true;
		}
	}
}

static void
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	HASH_SEQ_STATUS status;
	Database   *database;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		database->listed = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
		if (is_to_be_listed((Form_pg_database) GETSTRUCT(tuple)))
			list_database((Form_pg_database) GETSTRUCT(tuple));
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);

	/* one that is STARTED is looked at again when its worker has ended */
	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		if (!database->listed && database->state != DATABASE_STARTED)
			(void) hash_search(databases, &database->oid, HASH_REMOVE, NULL);
}

static bool
is_to_be_listed(Form_pg_database form)
{
	return form->datallowconn && !database_is_invalid_form(form);
}

static void
list_database(Form_pg_database form)
{
	bool		found;
	Database   *database = hash_search(databases, &form->oid, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) database + sizeof(Oid), 0, sizeof(Database) - sizeof(Oid));
		database->state = DATABASE_UNKNOWN;
	}
	database->name = form->datname;
	database->listed = true;
}

/* Workers that were registered, but whose process never came to be. */
static void
find_unborn(void)
{
	HASH_SEQ_STATUS status;
	Database   *database;
	pid_t		pid;

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
		if (database->state == DATABASE_STARTED && database->handle != NULL &&
			GetBackgroundWorkerPid(database->handle, &pid) == BGWH_STOPPED &&
			qt_worker_unclaim(&database->ticket))
		{
			forget_worker(database);
			database->state = DATABASE_UNKNOWN;
		}
}

static void
collect_ended(TimestampTz now)
{
	QtWorkerEnd end;

	while (qt_worker_collect(&end))
	{
		Database   *database = hash_search(databases, &end.database, HASH_FIND, NULL);

		if (database != NULL)
			worker_ended(database, &end, now);
		/* the database may be gone; and there is room */
		next_look = now;
		retry_full = 0;
	}
}

static void
worker_ended(Database *database, const QtWorkerEnd *end, TimestampTz now)
{
	bool		told = database->told;
	int64		delay = BACKOFF_FIRST_MS;

	forget_worker(database);
	if (end->outcome != QT_WORKER_FAILED)
		database->failures = 0;
	if (end->outcome == QT_WORKER_ASKED ||
		(end->outcome == QT_WORKER_NO_EXTENSION && told))
	{
		database->state = DATABASE_UNKNOWN;
		return;
	}
	if (end->outcome == QT_WORKER_NO_EXTENSION)
	{
		database->state = DATABASE_WITHOUT_EXTENSION;
		database->due = TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS);
		return;
	}

	if (now - end->started >= HEALTHY_MS * INT64CONST(1000))
		database->failures = 0;
	for (int i = 0; i < database->failures && delay < BACKOFF_MAX_MS; i++)
		delay *= 2;
	delay = Min(delay, BACKOFF_MAX_MS);
	database->failures++;
	database->state = DATABASE_BACKOFF;
	database->due = TimestampTzPlusMilliseconds(now, delay);
	ereport(LOG,
			(errmsg("qtopic worker of database \"%s\" has ended, restarting it in %lld ms",
					NameStr(database->name), (long long) delay)));
}

static void
start_due(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Database   *database;
	int			starting = qt_workers_starting();

	room = true;
	if (now < retry_full)
		return;
	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
	{
		if (database->state == DATABASE_STARTED ||
			((database->state == DATABASE_BACKOFF ||
			  database->state == DATABASE_WITHOUT_EXTENSION) && now < database->due))
			continue;
		room = starting < STARTING_MAX;
		if (!room || !start(database, now))
		{
			hash_seq_term(&status);
			return;
		}
		if (database->state == DATABASE_STARTED)
			starting++;
	}
	full_logged = false;
}

/* False if there is no room for another worker. */
static bool
start(Database *database, TimestampTz now)
{
	switch (qt_worker_claim(database->oid, &database->ticket))
	{
		case QT_CLAIM_DONE:
			break;
		case QT_CLAIM_EXISTS:
			/* from the life of an earlier launcher */
			database->state = DATABASE_STARTED;
			return true;
		case QT_CLAIM_HELD:
			database->state = DATABASE_HELD;
			return true;
		case QT_CLAIM_FULL:
			report_full(database, now);
			return false;
	}

	if (!register_worker(database))
	{
		(void) qt_worker_unclaim(&database->ticket);
		report_full(database, now);
		return false;
	}
	database->state = DATABASE_STARTED;
	database->told = false;
	return true;
}

static bool
register_worker(Database *database)
{
	BackgroundWorker worker = {0};
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	bool		registered;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "qtopic");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "qtopic_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "qtopic worker of database %u", database->oid);
	snprintf(worker.bgw_type, BGW_MAXLEN, "qtopic worker");
	worker.bgw_notify_pid = MyProcPid;
	memcpy(worker.bgw_extra, &database->ticket, sizeof(QtWorkerTicket));
	registered = RegisterDynamicBackgroundWorker(&worker, &database->handle);
	MemoryContextSwitchTo(caller);
	return registered;
}

/*
 * A worker that is starting may find nothing to do, and the postmaster may not
 * have seen yet that one has ended: then there is room soon, and we are woken.
 */
static void
report_full(const Database *database, TimestampTz now)
{
	room = qt_workers_starting() == 0 && dying == NIL;
	if (!room)
		return;
	retry_full = TimestampTzPlusMilliseconds(now, FULL_RETRY_MS);
	if (!full_logged)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no background worker is free for qtopic in database \"%s\"",
						NameStr(database->name)),
				 errdetail("It is tried again every %d s.", FULL_RETRY_MS / 1000),
				 errhint("Increase max_worker_processes by the number of databases that have qtopic, and one for the launcher.")));
	full_logged = true;
}

static void
forget_worker(Database *database)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	if (database->handle != NULL)
		dying = lappend(dying, database->handle);
	database->handle = NULL;
	database->told = false;
	MemoryContextSwitchTo(caller);
}

/* Forget those that the postmaster has seen the end of. */
static void
bury_dead(void)
{
	ListCell   *cell;
	pid_t		pid;

	foreach(cell, dying)
	{
		BackgroundWorkerHandle *handle = lfirst(cell);

		if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
			continue;
		pfree(handle);
		dying = foreach_delete_current(dying, cell);
	}
}

/* Until the next state that changes by time. */
static long
time_to_sleep(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Database   *database;
	TimestampTz wake = next_look;

	if (!qt_guc_workers)
		return Max(TimestampDifferenceMilliseconds(now, wake), 10);
	/* somebody wakes us, unless those that are in the way hang */
	if (!room)
		return Max(Min(TimestampDifferenceMilliseconds(now, wake), FULL_RETRY_MS), 10);

	hash_seq_init(&status, databases);
	while ((database = hash_seq_search(&status)) != NULL)
	{
		TimestampTz due = DT_NOEND;

		if (database->state == DATABASE_UNKNOWN)
			due = now;
		else if (database->state == DATABASE_BACKOFF ||
				 database->state == DATABASE_WITHOUT_EXTENSION)
			due = database->due;
		wake = Min(wake, Max(due, retry_full));
	}
	return Max(TimestampDifferenceMilliseconds(now, wake), 10);
}
