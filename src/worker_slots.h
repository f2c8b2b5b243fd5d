/*
 * worker_slots.h
 *		What launcher, workers and sessions know of each other.
 *
 * One slot for each background worker that there can be:
 *
 *		FREE -> STARTING -> RUNNING -> ENDED -> FREE
 *					\		   |		^
 *					 \		   v		|
 *					  `--> STOPPING ----'
 *
 * The launcher claims a slot (STARTING) and starts a process, which attaches
 * to it, is RUNNING once it has found the extension in its database, and
 * leaves it ENDED; the launcher collects that.  Whoever wants the worker gone
 * makes it STOPPING.  There is at most one slot a database that is not FREE or
 * ENDED.
 *
 * field of a slot			protected by
 * ----------------------	------------------------------------------------
 * database ... outcome		lock (QtopicWorkers)
 * serving, news, asleep	atomic
 * proc						written before serving is set; atomic
 */
#ifndef QTOPIC_WORKER_SLOTS_H
#define QTOPIC_WORKER_SLOTS_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

/* How a worker ended. */
typedef enum QtWorkerOutcome
{
	QT_WORKER_FAILED,			/* without a word: error, or terminated */
	QT_WORKER_ASKED,			/* somebody wanted it gone */
	QT_WORKER_NO_EXTENSION		/* its database does not have the extension */
} QtWorkerOutcome;

/* What a worker is told, as bits. */
#define QT_NEWS_RECORDS		0x01	/* a transaction that appended has ended */
#define QT_NEWS_PREPARED	0x02	/* one was prepared */
#define QT_NEWS_EXTENSION	0x04	/* an extension was made or dropped */
#define QT_NEWS_MEMBERS		0x08	/* somebody has joined a group */

extern Size qt_workers_shmem_size(void);
extern void qt_workers_shmem_init(LWLock *lock);

/* ---- for everybody; cheap, without error or allocation */

/* Does a worker look after this database? */
extern bool qt_worker_is_running(void);

/*
 * How long a waiting session may sleep before it looks for itself: a second,
 * but longer where a worker watches for what wakes nobody.
 */
extern long qt_worker_recheck_ms(void);

/* Tell the worker of this database, if there is one; wakes it if it sleeps. */
extern void qt_worker_tell(uint32 news);

/* Have the launcher look at a database that it knows to be without extension. */
extern void qt_launcher_ask(Oid database);

/*
 * Keep workers off a database until qt_worker_release(), and ask the one there
 * is to go.  A session that dies must release too.
 */
extern void qt_worker_hold(Oid database);
extern void qt_worker_release(void);

/* Wait until the worker of a database is gone.  Can be cancelled. */
extern void qt_worker_wait_gone(Oid database);

/* ---- for the launcher */

typedef enum QtWorkerClaim
{
	QT_CLAIM_DONE,
	QT_CLAIM_EXISTS,			/* the database has a worker */
	QT_CLAIM_HELD,
	QT_CLAIM_FULL
} QtWorkerClaim;

/* Identifies a worker; in its bgw_extra. */
typedef struct QtWorkerTicket
{
	int			slot;
	uint64		token;
} QtWorkerTicket;

typedef struct QtWorkerEnd
{
	Oid			database;
	QtWorkerOutcome outcome;
	TimestampTz started;
} QtWorkerEnd;

/* Become the launcher: gets the latches, drops claims of the last one. */
extern void qt_launcher_attach(void);

extern QtWorkerClaim qt_worker_claim(Oid database, QtWorkerTicket *ticket);

/* The process did not come to be.  False if it did. */
extern bool qt_worker_unclaim(const QtWorkerTicket *ticket);

/* How many workers have been claimed in the last seconds that do not run yet. */
extern int	qt_workers_starting(void);

/* Collect a worker that has ended; false if there is none. */
extern bool qt_worker_collect(QtWorkerEnd *end);

/*
 * Take the next question of qt_launcher_ask(), false if there is none.
 * InvalidOid: there were too many, so look at all databases.
 */
extern bool qt_launcher_take(Oid *database);

/* Ask all workers to go. */
extern void qt_workers_stop(void);

/* ---- for a worker */

/* Take the slot; the database, or InvalidOid if the worker is not wanted. */
extern Oid	qt_worker_attach(const QtWorkerTicket *ticket);

/* The extension is there; false if the worker was asked to go. */
extern bool qt_worker_serve(void);

extern bool qt_worker_asked_to_go(void);

/* How the worker is going to end, if it says nothing else. */
extern void qt_worker_set_outcome(QtWorkerOutcome outcome);

/* What it was told: look, or take some of it. */
extern uint32 qt_worker_news(void);
extern void qt_worker_take_news(uint32 news);

/* While true, qt_worker_tell() wakes it; a full barrier. */
extern void qt_worker_set_asleep(bool asleep);

#endif							/* QTOPIC_WORKER_SLOTS_H */
