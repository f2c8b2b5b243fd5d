/*
 * stress.h
 *		What the parts of the stress driver share.
 *
 * The driver is a libpq program.  Each worker is a thread with a connection and
 * a log of its own; it writes down what it asked for and what it was told, and
 * judges nothing: that is done afterwards, by checker.py, which also describes
 * the lines of the logs.
 */
#ifndef STRESS_H
#define STRESS_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PARTITIONS	16

/* Advisory locks at which sessions are held up. */
#define FIRST_KEY		7700
#define KEY_COUNT		4

/* After that many errors that were not foreseen a worker ends the driver. */
#define MAX_ERRORS		20

#define TOPIC_COUNT		3

typedef struct Topic
{
	const char *name;
	int			partitions;		/* at the beginning */
	int			max_partitions; /* so far it may grow */
} Topic;

extern const Topic topics[];
extern const int topic_count;

/* A consumer group reads topics from the first one on, up to the end. */
typedef struct Group
{
	const char *name;
	int			first_topic;
	int			end_topic;
} Group;

extern const Group groups[];
extern const int group_count;

typedef struct Worker
{
	char		name[32];
	int			id;
	const char *conninfo;
	PGconn	   *conn;
	FILE	   *log;
	uint64_t	random_state;
	pthread_t	thread;
	char	   *text;			/* room for a value */
	size_t		text_size;
	int			errors;			/* that were not foreseen */
	bool		no_points;		/* a build without debug points */
	bool		group_errors;	/* what becomes of groups is foreseen; count errors */
} Worker;

/* Set by main for all. */
extern volatile bool stopping;	/* producers end their transaction and stop */
extern volatile bool settled;	/* no producer's transaction is open or prepared any more */
extern volatile bool decided;	/* nor any other */
extern volatile bool standby_settled;	/* and the standby has replayed them */
extern volatile bool async_only;	/* a crash is near: no transaction flushes WAL */
extern volatile bool holding;	/* it is very near: readers, which flush, wait */

/* Open and prepared transactions with more subtransactions than a snapshot holds. */
extern volatile int overflowed;

/* How many there ever were. */
extern volatile int overflows;

/* ---- main.c ---- */

extern double now(void);
extern void fatal(const char *format,...);
extern void connect_worker(Worker *worker);
extern bool connection_lost(Worker *worker);

/* Log and return an error; true if it was foreseen. */
extern bool note_error(Worker *worker, const PGresult *result);

/* Without a result: NULL if it failed, which was noted. */
extern PGresult *query(Worker *worker, const char *sql, int nparams,
					   const char *const *params);

/* A statement whose result is of no interest; did it succeed? */
extern bool run(Worker *worker, const char *format,...);

/* For the checker to count. */
extern void note_event(Worker *worker, const char *event);

/* How many partitions a topic has got; count them anew. */
extern int	partitions_of(int topic);
extern bool count_partitions(Worker *worker);

extern uint32_t random_below(Worker *worker, uint32_t bound);
extern bool chance(Worker *worker, double percent);

/*
 * Now and then stop at another of these debug points, where the disturber
 * holds sessions up for some milliseconds: the windows that matter are short.
 */
extern void random_point(Worker *worker, const char *const *points, int count);
extern void random_pause(Worker *worker);

/*
 * The value of a record says who produced it, and everything else in it
 * follows from that: "producer.number.length.key|padding".
 */
extern const char *make_value(Worker *worker, int producer, long number,
							  size_t padding, const char *key);

/* Is the value as it was made?  Says which it is. */
extern bool parse_value(Worker *worker, const char *value, const char *key,
						int *producer, long *number);

/* ---- savepoint.c ---- */

#define MAX_DEPTH		8

/* Those of a transaction, each with a number that the caller remembers by it. */
typedef struct Savepoints
{
	int			depth;
	long		marks[MAX_DEPTH + 1];
} Savepoints;

/* All return false if the statement failed, and do nothing if there is nothing to do. */
extern bool savepoint(Worker *worker, Savepoints *savepoints, long mark);

/* Back to any of them, which remains; sets the mark to what it was there. */
extern bool rollback_to(Worker *worker, Savepoints *savepoints, long *mark);

/* Release any of them, with those after it. */
extern bool release(Worker *worker, Savepoints *savepoints);

/* ---- producer.c ---- */

extern void *producer_main(void *arg);
extern void *decider_main(void *arg);

/*
 * Others than producers prepare, too.  Who may do so is counted from its start
 * until no_more_prepares.  A transaction is prepared after reserve_prepared has
 * allowed it; if that failed it was rolled back, else the decider will decide.
 */
extern void may_prepare(void);
extern void no_more_prepares(void);
extern bool reserve_prepared(const Worker *worker);
extern bool prepare_transaction(Worker *worker, long txn, bool overflowed);

/* Is no producer's transaction prepared? */
extern bool producers_decided(void);

/* ---- reader.c ---- */

typedef struct Reader
{
	Worker		worker;
	bool		standby;
	int			topic;
	int			partition;		/* follower: the one partition */
	double		starts;			/* when it begins */
} Reader;

extern void *follower_main(void *arg);
extern void *tail_main(void *arg);
extern void *seeker_main(void *arg);
extern void *snapshot_main(void *arg);
extern void *relation_main(void *arg);
extern void *naive_main(void *arg);
extern void *maintenance_main(void *arg);
extern void *disturber_main(void *arg);
extern void read_all(Worker *worker);

/* ---- consumer.c ---- */

/* Identifiers of consumers are not those of producers. */
#define CONSUMER_COUNT	10
#define FIRST_CONSUMER	100
#define LAST_CONSUMER	(FIRST_CONSUMER + CONSUMER_COUNT)
#define KEEPER			(LAST_CONSUMER + 1)

typedef struct Consumer
{
	Worker		worker;
	const Group *group;
} Consumer;

extern void *consumer_main(void *arg);

/* Process what the consumers, which have ended, have left. */
extern void drain_group(Worker *worker, int group);

/* ---- keeper.c ---- */

/* Who changes groups and topics, or sleeps. */
typedef struct Keeper
{
	Worker		worker;
	double		seconds;		/* how long the run takes */
} Keeper;

extern const Group *group_of(int consumer);
extern int	random_topic_of(Worker *worker, const Group *group);
extern void *keeper_main(void *arg);
extern void *sleeper_main(void *arg);

/* When all groups are drained: give one something to read again. */
extern void move_back_at_end(Worker *worker);

/* The groups at the end: their positions, and what they have processed. */
extern void write_groups(Worker *worker);

#endif							/* STRESS_H */
