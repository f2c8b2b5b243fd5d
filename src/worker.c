/*
 * worker.c
 *		The process that works for one database.
 *
 * A worker runs jobs, and between them sleeps without a transaction, snapshot
 * or lock.  A job has a transaction and a memory context of its own; an error
 * in one ends that transaction, and the job is tried again later and later.
 * Whoever has news for a worker that sleeps sets its latch; a worker without
 * news sleeps until the next job that goes by the clock.
 *
 * It ends when it is asked to (a cancel request makes it look), when its
 * database does not have the extension (any more), and when it is terminated.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "storage/sinval.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "catalog.h"
#include "group_activity.h"
#include "guc.h"
#include "membership.h"
#include "notify.h"
#include "qtopic.h"
#include "waits.h"
#include "worker.h"
#include "worker_slots.h"

/* A job that failed is tried again after 1 s, then 2 s, up to this. */
#define JOB_BACKOFF_MAX_MS	(60 * 1000)

/* How long a job waits for somebody's lock. */
#define LOCK_TIMEOUT		"100ms"

typedef struct WorkerJob
{
	const char *name;			/* pg_stat_activity shows it */
	const int  *interval_ms;	/* at least that long between two runs */
	TimestampTz (*due) (void);	/* when it wants to run; NULL: by the interval */
	void		(*run) (TimestampTz now);	/* in a transaction with a snapshot */
	void		(*failed) (void);	/* after an error; or NULL */
} WorkerJob;

static TimestampTz extension_due(void);
static void check_extension(TimestampTz now);
static TimestampTz prepared_due(void);
static void watch_prepared(TimestampTz now);
static void prepared_failed(void);
static void list_prepared(void);
static void forget_prepared(void);
static TimestampTz notify_due(void);
static void notify(TimestampTz now);
static void notify_failed(void);
static void save_groups(TimestampTz now);
static TimestampTz expire_due(void);
static void expire_groups(TimestampTz now);
static TimestampTz members_due(void);
static void expire_members(TimestampTz now);

static const int at_once = 0;
static const int second = 1000;
static const int minute = 60 * 1000;
static const int ten_minutes = 10 * 60 * 1000;

/* in the order in which they run */
static const WorkerJob jobs[] = {
	{"extension", &at_once, extension_due, check_extension, NULL},
	{"prepared transactions", &second, prepared_due, watch_prepared, prepared_failed},
	{"notify", &qt_guc_notify_interval, notify_due, notify, notify_failed},
	{"expiry of members", &second, members_due, expire_members, NULL},
	{"activity of groups", &minute, NULL, save_groups, NULL},
	{"expiry of positions", &ten_minutes, expire_due, expire_groups, NULL},
};

typedef struct JobState
{
	TimestampTz last_run;		/* 0: never */
	TimestampTz not_before;		/* after a failure */
	int			failures;		/* in a row */
} JobState;

static JobState states[lengthof(jobs)];
static int	current_job = -1;
static MemoryContext job_context;

static TimestampTz members_listed = 0;
static volatile sig_atomic_t terminated = false;
static Oid	extension = InvalidOid;
static bool extension_is_gone = false;

/* Prepared transactions when we last looked. */
static TransactionId *prepared = NULL;
static int	prepared_count = 0;

static void handle_sigterm(SIGNAL_ARGS);
static void configure(void);
static bool find_extension(void);
static bool must_end(void);
static void run_until_end(void);
static bool run_due(void);
static void run_job(int job, TimestampTz now);
static void sleep_until_due(void);
static TimestampTz job_due(int job);
static TimestampTz next_due(void);
static void recover(void);

void
qtopic_worker_main(Datum arg)
{
	QtWorkerTicket ticket;
	Oid			database;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_sigterm);
	memcpy(&ticket, MyBgworkerEntry->bgw_extra, sizeof(ticket));
	database = qt_worker_attach(&ticket);
	if (!OidIsValid(database))
		proc_exit(0);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	configure();
	job_context = AllocSetContextCreate(TopMemoryContext, "qtopic worker job",
										ALLOCSET_DEFAULT_SIZES);

	if (!find_extension())
	{
		qt_worker_set_outcome(QT_WORKER_NO_EXTENSION);
		proc_exit(0);
	}
	if (qt_worker_serve())
	{
		/* what came before we could be told */
		qt_worker_tell(QT_NEWS_RECORDS | QT_NEWS_PREPARED | QT_NEWS_EXTENSION);
		while (!must_end())
		{
			PG_TRY();
			{
				run_until_end();
			}
			PG_CATCH();
			{
				recover();
			}
			PG_END_TRY();
		}
	}
	if (extension_is_gone)
		qt_worker_set_outcome(QT_WORKER_NO_EXTENSION);
	proc_exit(0);
}

/*
 * Cancel what runs, as a client would, so that the main loop ends the process
 * in order.
 */
static void
handle_sigterm(SIGNAL_ARGS)
{
	int			save_errno = errno;

	terminated = true;
	if (!proc_exit_inprogress)
	{
		InterruptPending = true;
		QueryCancelPending = true;
	}
	SetLatch(MyLatch);
	errno = save_errno;
}

static void
configure(void)
{
	static const char *const settings[][2] = {
		{"application_name", "qtopic worker"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"idle_in_transaction_session_timeout", "0"},
		{"lock_timeout", LOCK_TIMEOUT},
		{"qtopic.durable_read", "off"}, /* returns no records */
		{"row_security", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"synchronous_commit", "off"},
		{"transaction_timeout", "0"},
		{NULL, NULL}
	};

	for (int i = 0; settings[i][0] != NULL; i++)
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

static bool
find_extension(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	extension = get_extension_oid(QT_EXTENSION_NAME, true);
	CommitTransactionCommand();
	return OidIsValid(extension);
}

/* ---- the loop ---- */

static bool
must_end(void)
{
	return terminated || extension_is_gone || qt_worker_asked_to_go();
}

static void
run_until_end(void)
{
	while (!must_end())
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (catchupInterruptPending)
			ProcessCatchupInterrupt();
		if (!run_due())
			sleep_until_due();
		CHECK_FOR_INTERRUPTS();
	}
}

/* Run the jobs that are due; false if there are none. */
static bool
run_due(void)
{
	bool		any = false;

	for (int i = 0; i < lengthof(jobs) && !must_end(); i++)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (job_due(i) > now)
			continue;
		run_job(i, now);
		any = true;
	}
	return any;
}

static void
run_job(int job, TimestampTz now)
{
	current_job = job;
	states[job].last_run = now;
	pgstat_report_activity(STATE_RUNNING, jobs[job].name);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	MemoryContextSwitchTo(job_context);
	jobs[job].run(now);
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextReset(job_context);
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	states[job].failures = 0;
	states[job].not_before = 0;
	current_job = -1;
}

/* We can be woken first, then look for the last time for something to do. */
static void
sleep_until_due(void)
{
	TimestampTz due;

	qt_worker_set_asleep(true);
	due = next_due();
	(void) WaitLatch(MyLatch,
					 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
					 (due == DT_NOEND ? 0 : WL_TIMEOUT),
					 due == DT_NOEND ? -1 :
					 TimestampDifferenceMilliseconds(GetCurrentTimestamp(), due),
					 qt_wait_event("QtopicWorker"));
	ResetLatch(MyLatch);
	qt_worker_set_asleep(false);
}

static TimestampTz
job_due(int job)
{
	JobState   *state = &states[job];
	TimestampTz due = jobs[job].due ? jobs[job].due() : 0;

	if (state->last_run != 0)
		due = Max(due, TimestampTzPlusMilliseconds(state->last_run, *jobs[job].interval_ms));
	return Max(due, state->not_before);
}

static TimestampTz
next_due(void)
{
	TimestampTz due = DT_NOEND;

	for (int i = 0; i < lengthof(jobs); i++)
		due = Min(due, job_due(i));
	return due;
}

/*
 * After an error.  If it came because we have to end, nobody wants to know.
 * One reason for an error is that the extension is being dropped.
 */
static void
recover(void)
{
	int			job = current_job;

	HOLD_INTERRUPTS();
	QueryCancelPending = false;
	if (!terminated && !qt_worker_asked_to_go())
		EmitErrorReport();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	FlushErrorState();
	MemoryContextReset(job_context);
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();

	current_job = -1;
	if (job < 0)
		return;
	if (jobs[job].failed)
		jobs[job].failed();
	states[job].not_before =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									Min(1000 << Min(states[job].failures, 10),
										JOB_BACKOFF_MAX_MS));
	states[job].failures++;
	qt_worker_tell(QT_NEWS_EXTENSION);
}

/* ---- job: is the extension still there? ---- */

static TimestampTz
extension_due(void)
{
	return (qt_worker_news() & QT_NEWS_EXTENSION) ? 0 : DT_NOEND;
}

/* One that was dropped and made again is another one. */
static void
check_extension(TimestampTz now)
{
	qt_worker_take_news(QT_NEWS_EXTENSION);
	extension_is_gone = get_extension_oid(QT_EXTENSION_NAME, true) != extension;
}

/* ---- job: COMMIT PREPARED and ROLLBACK PREPARED wake nobody ---- */

static TimestampTz
prepared_due(void)
{
	return prepared_count > 0 || (qt_worker_news() & QT_NEWS_PREPARED) ? 0 : DT_NOEND;
}

/*
 * Wake all that wait, and have the topics looked at, when a prepared
 * transaction has ended, or may have before we heard of it.  Which of them
 * appended is not known.
 */
static void
watch_prepared(TimestampTz now)
{
	bool		wake = (qt_worker_news() & QT_NEWS_PREPARED) != 0;

	qt_worker_take_news(QT_NEWS_PREPARED);
	for (int i = 0; i < prepared_count && !wake; i++)
		wake = !TransactionIdIsInProgress(prepared[i]);
	if (wake)
	{
		list_prepared();
		qt_wait_wake_all();
		qt_worker_tell(QT_NEWS_RECORDS);
	}
}

static void
prepared_failed(void)
{
	forget_prepared();
	qt_worker_tell(QT_NEWS_PREPARED);
}

/* Not from a snapshot, which leaves out the newest of them. */
static void
list_prepared(void)
{
	forget_prepared();
	SPI_connect();
	if (SPI_execute("SELECT transaction FROM pg_prepared_xacts WHERE database = current_database()",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot list prepared transactions");
	if (SPI_processed > 0)
		prepared = MemoryContextAlloc(TopMemoryContext, SPI_processed * sizeof(TransactionId));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		prepared[prepared_count++] =
			DatumGetTransactionId(SPI_getbinval(SPI_tuptable->vals[i],
												SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
}

static void
forget_prepared(void)
{
	if (prepared != NULL)
		pfree(prepared);
	prepared = NULL;
	prepared_count = 0;
}

/* ---- job: notify of records ---- */

static TimestampTz
notify_due(void)
{
	return (qt_worker_news() & QT_NEWS_RECORDS) ? 0 : qt_notify_retry();
}

static void
notify(TimestampTz now)
{
	qt_worker_take_news(QT_NEWS_RECORDS);
	qt_notify_send(now);
}

/* What was to be sent is found again. */
static void
notify_failed(void)
{
	qt_notify_reset();
	qt_worker_tell(QT_NEWS_RECORDS);
}

/* ---- jobs: consumer groups ---- */

static void
save_groups(TimestampTz now)
{
	qt_group_activity_save(now);
}

/* Not soon after the start: the server may have been down for long. */
static TimestampTz
expire_due(void)
{
	return TimestampTzPlusMilliseconds(MyStartTimestamp, ten_minutes);
}

static void
expire_groups(TimestampTz now)
{
	int			count = qt_group_activity_expire(now);

	if (count > 0)
		ereport(LOG,
				(errmsg_plural("%d position of unused consumer groups has expired",
							   "%d positions of unused consumer groups have expired",
							   count, count)));
}

/*
 * At least once a minute, as one that nobody has heard of since the server was
 * started, or since its join committed, has no timeout yet.
 */
static TimestampTz
members_due(void)
{
	qt_worker_take_news(QT_NEWS_MEMBERS);
	return members_listed == 0 ? 0 :
		Min(qt_members_next_due(), TimestampTzPlusMilliseconds(members_listed, minute));
}

static void
expire_members(TimestampTz now)
{
	int			count = qt_members_expire(now);

	members_listed = now;
	if (count > 0)
		ereport(LOG,
				(errmsg_plural("%d member of consumer groups has not been heard of for its session timeout",
							   "%d members of consumer groups have not been heard of for their session timeouts",
							   count, count)));
}
