/*
 * consumer.c
 *		Consumers without overhead: of a consumer group, of a table, of PgQ.
 *
 * usage: consumer drain SIDE SOURCE READER RECORDS TRANSACTIONS
 *		  consumer latency qtopic|pgq SOURCE READER RATE SECONDS EVENT
 *		  consumer wait SESSIONS SQL
 *
 * drain reads RECORDS records and commits, TRANSACTIONS times, and prints the
 * seconds that took.  SIDE is one of
 *		qtopic-bytea, qtopic-text	SOURCE is a topic, READER a consumer group
 *		qtopic-alone				the same as -text, without BEGIN and COMMIT
 *		plain						a table; the table READER has its position
 *		pgq							a queue with batches of RECORDS events
 * PgQ's batches have the size they have; if it is another one, seconds are
 * counted for as many records.
 *
 * latency: PRODUCERS processes together send RATE records a second, each in a
 * transaction of its own, at fixed times.  A record is the JSON object EVENT
 * with the time of the monotonic clock, just before its statement was sent.
 * The consumer notes the time when it has the result that brings a record: in
 * a consumer group it waits in consume(), without BEGIN and COMMIT; with PgQ it
 * asks for a batch every POLL_MS while another process calls pgq.ticker() every
 * TICK_MS.  The first second does not count.  Prints, in ms, four lines of
 * p50, p99 and p99.9: from sending to receipt; from when the producer knew of
 * its commit to receipt; the producer's statement; from when the statement was
 * due to receipt, which contains the time that its producer was late.
 *
 * wait keeps the statement running on all sessions, until its input ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "util.h"

#define TEXTOID		25
#define INT8OID		20

#define PRODUCERS	4
#define POLL_MS		5
#define TICK_MS		100
#define PAGE		500
#define GIVE_UP_S	10

/* What is known of each record sent for latency; shared with the producers. */
typedef struct Trip
{
	double		due;
	double		sent;
	double		committed;
	double		received;
} Trip;

static const int binary[1] = {1};

static PGresult *
run(PGconn *conn, const char *sql)
{
	PGresult   *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		expect(conn, result, PGRES_COMMAND_OK);
	return result;
}

/* A prepared statement without parameters, or with one bigint; result in binary. */
static PGresult *
run_prepared(PGconn *conn, const char *name, const int64_t *param, ExecStatusType status)
{
	char		number[8];
	const char *values[1] = {number};
	const int	lengths[1] = {8};

	for (int i = 0; param != NULL && i < 8; i++)
		number[i] = (char) (*param >> (56 - 8 * i));
	return expect(conn, PQexecPrepared(conn, name, param != NULL, values, lengths, binary, 1),
				  status);
}

/* ---- drain ---- */

static void
prepare_drain(PGconn *conn, const char *side, const char *source, const char *reader, int records)
{
	static const Oid number[1] = {INT8OID};

	if (strcmp(side, "plain") == 0)
	{
		prepare(conn, "read", 0, NULL,
				"SELECT id, ts, key, value FROM %s WHERE id > (SELECT position FROM %s) "
				"ORDER BY id LIMIT %d", source, reader, records);
		prepare(conn, "move", 1, number, "UPDATE %s SET position = $1", reader);
	}
	else if (strcmp(side, "pgq") == 0)
	{
		prepare(conn, "next", 0, NULL, "SELECT pgq.next_batch('%s', '%s')", source, reader);
		prepare(conn, "read", 1, number,
				"SELECT ev_id, ev_time, ev_extra1, ev_data FROM pgq.get_batch_events($1)");
		prepare(conn, "move", 1, number, "SELECT pgq.finish_batch($1)");
	}
	else
		prepare(conn, "read", 0, NULL,
				"SELECT _offset, _timestamp, key, value FROM %s('%s', '%s', %d)",
				strcmp(side, "qtopic-bytea") == 0 ? "consume_bytea" : "consume",
				reader, source, records);
}

/* The id of the next batch; false if there is none. */
static bool
next_batch(PGconn *conn, int64_t *batch)
{
	PGresult   *result = run_prepared(conn, "next", NULL, PGRES_TUPLES_OK);
	bool		found = !PQgetisnull(result, 0, 0);

	if (found)
		*batch = get_int64(PQgetvalue(result, 0, 0));
	PQclear(result);
	return found;
}

/* A transaction, without its BEGIN and COMMIT; the number of records. */
static int
drain_once(PGconn *conn, const char *side)
{
	bool		plain = strcmp(side, "plain") == 0;
	bool		pgq = strcmp(side, "pgq") == 0;
	int64_t		place = 0;
	PGresult   *result;
	int			rows;

	if (pgq && !next_batch(conn, &place))
		return 0;
	result = run_prepared(conn, "read", pgq ? &place : NULL, PGRES_TUPLES_OK);
	rows = PQntuples(result);
	if (rows > 0 && PQgetlength(result, rows - 1, 3) == 0)
		fail("the values are empty");
	if (plain && rows > 0)
		place = get_int64(PQgetvalue(result, rows - 1, 0));
	PQclear(result);
	if (plain || pgq)
		PQclear(run_prepared(conn, "move", &place, plain ? PGRES_COMMAND_OK : PGRES_TUPLES_OK));
	return rows;
}

static void
drain(const char *side, const char *source, const char *reader, int records, int transactions)
{
	bool		alone = strcmp(side, "qtopic-alone") == 0;
	int64_t		wanted = (int64_t) records * transactions;
	int64_t		done = 0;
	PGconn	   *conn = connect_server();
	double		start;

	prepare_drain(conn, side, source, reader, records);
	start = now();
	while (done < wanted)
	{
		int			rows;

		if (!alone)
			PQclear(run(conn, "BEGIN"));
		rows = drain_once(conn, side);
		if (!alone)
			PQclear(run(conn, "COMMIT"));
		if (rows == 0)
			fail("%s has only %" PRId64 " records for %s", source, done, reader);
		if (rows != records && strcmp(side, "pgq") != 0)
			fail("%s gave %d records instead of %d", source, rows, records);
		done += rows;
	}
	printf("%.6f\n", (now() - start) * wanted / done);
	PQfinish(conn);
}

/* ---- latency ---- */

static void
sleep_until(double at)
{
	struct timespec until = {(time_t) at, (long) ((at - (time_t) at) * 1e9)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* Start a process that ends with this one; true in the child. */
static bool
child(void)
{
	pid_t		pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid == 0;
}

/* Sends every PRODUCERS-th record, from number first on. */
static void
send_records(bool qtopic, const char *source, double start, int rate, Trip *trips,
			 int first, int count, const char *event)
{
	static const Oid types[2] = {TEXTOID, TEXTOID};
	PGconn	   *conn = connect_server();

	prepare(conn, "send", 2, types,
			qtopic ? "SELECT produce('%s', $1, $2)" :
			"SELECT pgq.insert_event('%s', 'event', $2, $1, NULL, NULL, NULL)", source);
	for (int i = first; i < count; i += PRODUCERS)
	{
		char		key[30];
		char		value[5000];
		const char *values[2] = {key, value};

		trips[i].due = start + (double) i / rate;
		sleep_until(trips[i].due);
		snprintf(key, sizeof(key), "visitor%d", i % 1000);
		trips[i].sent = now();
		snprintf(value, sizeof(value), "{\"number\":%d,\"sent\":%.6f,%s", i, trips[i].sent, event + 1);
		PQclear(expect(conn, PQexecPrepared(conn, "send", 2, values, NULL, NULL, 0),
					   PGRES_TUPLES_OK));
		trips[i].committed = now();
	}
	PQfinish(conn);
}

static void
call_ticker(double start)
{
	PGconn	   *conn = connect_server();

	for (int64_t tick = 0;; tick++)
	{
		sleep_until(start + tick * TICK_MS / 1e3);
		PQclear(run(conn, "SELECT pgq.ticker()"));
	}
}

/* The values of some records; NULL if there are none. */
static PGresult *
receive(PGconn *conn, bool qtopic, int64_t *batch)
{
	if (!qtopic)
	{
		if (!next_batch(conn, batch))
		{
			sleep_until(now() + POLL_MS / 1e3);
			return NULL;
		}
	}
	return run_prepared(conn, "read", qtopic ? NULL : batch, PGRES_TUPLES_OK);
}

/* Note the time at which records were received; how many are new. */
static int
note_receipt(PGresult *result, Trip *trips, int count)
{
	double		at = now();
	int			received = 0;

	for (int row = 0; row < PQntuples(result); row++)
	{
		int			number;
		double		sent;

		if (sscanf(PQgetvalue(result, row, 0), "{\"number\":%d,\"sent\":%lf,", &number, &sent) != 2 ||
			number < 0 || number >= count || trips[number].received != 0)
			fail("not a record that is expected: %s", PQgetvalue(result, row, 0));
		trips[number].received = at;
		received++;
	}
	return received;
}

static void
receive_records(PGconn *conn, bool qtopic, Trip *trips, int count)
{
	double		deadline = now() + GIVE_UP_S;
	int			received = 0;

	while (received < count)
	{
		int64_t		batch;
		PGresult   *result = receive(conn, qtopic, &batch);
		int			more = result == NULL ? 0 : note_receipt(result, trips, count);

		if (result != NULL && !qtopic)
			PQclear(run_prepared(conn, "move", &batch, PGRES_TUPLES_OK));
		PQclear(result);
		received += more;
		if (more > 0)
			deadline = now() + GIVE_UP_S;
		else if (now() > deadline)
			fail("only %d of %d records came", received, count);
	}
}

static int
compare_times(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return (left > right) - (left < right);
}

static void
print_percentiles(double *times, int count)
{
	qsort(times, count, sizeof(double), compare_times);
	printf("%.4f %.4f %.4f\n", 1e3 * times[count / 2], 1e3 * times[(int) (count * 0.99)],
		   1e3 * times[(int) (count * 0.999)]);
}

static void
print_trips(const Trip *trips, int first, int count)
{
	double	   *times = malloc(sizeof(double) * count);

	if (times == NULL)
		fail("out of memory");
	for (int i = first; i < count; i++)
		times[i - first] = trips[i].received - trips[i].sent;
	print_percentiles(times, count - first);
	for (int i = first; i < count; i++)
		times[i - first] = trips[i].received - trips[i].committed;
	print_percentiles(times, count - first);
	for (int i = first; i < count; i++)
		times[i - first] = trips[i].committed - trips[i].sent;
	print_percentiles(times, count - first);
	for (int i = first; i < count; i++)
		times[i - first] = trips[i].received - trips[i].due;
	print_percentiles(times, count - first);
	free(times);
}

static void
latency(bool qtopic, const char *source, const char *reader, int rate, int seconds,
		const char *event)
{
	static const Oid number[1] = {INT8OID};
	int			count = rate * (seconds + 1);
	Trip	   *trips = mmap(NULL, sizeof(Trip) * count, PROT_READ | PROT_WRITE,
							 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double		start = now() + 0.5;
	PGconn	   *conn;

	if (trips == MAP_FAILED)
		fail("out of memory");
	if (!qtopic && child())
		call_ticker(start);
	for (int i = 0; i < PRODUCERS; i++)
		if (child())
		{
			send_records(qtopic, source, start, rate, trips, i, count, event);
			exit(0);
		}

	conn = connect_server();
	if (qtopic)
		prepare(conn, "read", 0, NULL, "SELECT value FROM consume('%s', '%s', %d, '10 s')",
				reader, source, PAGE);
	else
	{
		prepare(conn, "next", 0, NULL, "SELECT pgq.next_batch('%s', '%s')", source, reader);
		prepare(conn, "read", 1, number, "SELECT ev_data FROM pgq.get_batch_events($1)");
		prepare(conn, "move", 1, number, "SELECT pgq.finish_batch($1)");
	}
	receive_records(conn, qtopic, trips, count);
	PQfinish(conn);

	/* the producer of the last record may not have noted its commit */
	for (int i = 0; i < PRODUCERS; i++)
	{
		int			status;

		if (wait(&status) < 0 || status != 0)
			fail("a process has failed");
	}
	print_trips(trips, rate, count);
}

/* ---- wait ---- */

static void
keep_waiting(int sessions, const char *sql)
{
	PGconn	  **conns = calloc(sessions, sizeof(PGconn *));
	struct pollfd *polls = calloc(sessions + 1, sizeof(struct pollfd));

	if (conns == NULL || polls == NULL)
		fail("out of memory");
	for (int i = 0; i < sessions; i++)
	{
		conns[i] = connect_server();
		if (!PQsendQuery(conns[i], sql))
			fail("%s", PQerrorMessage(conns[i]));
		polls[i] = (struct pollfd) {PQsocket(conns[i]), POLLIN, 0};
	}
	polls[sessions] = (struct pollfd) {STDIN_FILENO, POLLIN, 0};
	printf("ready\n");
	fflush(stdout);

	while (poll(polls, sessions + 1, -1) > 0 && polls[sessions].revents == 0)
		for (int i = 0; i < sessions; i++)
		{
			PGresult   *result;

			if (polls[i].revents == 0)
				continue;
			if (!PQconsumeInput(conns[i]))
				fail("%s", PQerrorMessage(conns[i]));
			while (!PQisBusy(conns[i]) && (result = PQgetResult(conns[i])) != NULL)
				PQclear(expect(conns[i], result, PGRES_TUPLES_OK));
			if (!PQisBusy(conns[i]) && !PQsendQuery(conns[i], sql))
				fail("%s", PQerrorMessage(conns[i]));
		}
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "drain") == 0 && argc == 7)
		drain(argv[2], argv[3], argv[4], atoi(argv[5]), atoi(argv[6]));
	else if (strcmp(verb, "latency") == 0 && argc == 8)
		latency(strcmp(argv[2], "qtopic") == 0, argv[3], argv[4], atoi(argv[5]), atoi(argv[6]),
				argv[7]);
	else if (strcmp(verb, "wait") == 0 && argc == 4)
		keep_waiting(atoi(argv[2]), argv[3]);
	else
		fail("usage: see the beginning of consumer.c");
	return 0;
}
