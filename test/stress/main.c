/*
 * main.c
 *		The stress driver: starts the workers, ends them in order, and writes
 *		down the truth.
 *
 * usage: driver CONNINFO LOGDIR SECONDS SEED PRODUCERS [STANDBY-CONNINFO]
 *
 * The servers may crash at any time and come back: all workers connect again.
 * SIGUSR1 announces a crash: until a producer has connected again transactions
 * use synchronous_commit = off only, so that there is something to lose.
 * SIGUSR2 keeps readers from reading as long, since they flush what they read.
 */
#include "stress.h"

#include <signal.h>
#include <stdarg.h>

/* Few partitions, so that transactions meet. */
const Topic topics[] = {
	{"stress_one", 1, 1},
	{"stress.two", 2, 4},
	{"stress-three", 3, 5},
};
const int	topic_count = TOPIC_COUNT;

volatile bool stopping = false;
volatile bool settled = false;
volatile bool decided = false;
volatile bool standby_settled = false;
volatile bool async_only = false;
volatile bool holding = false;
volatile int overflowed = 0;
volatile int overflows = 0;

static const char *log_dir;
static uint64_t seed;
static volatile int partition_counts[TOPIC_COUNT];
static int	worker_count = 0;

static double began;

static Reader readers[64];
static int	reader_count = 0;

static void progress(const char *what);
static void on_signal(int signo);
static void init_worker(Worker *worker, const char *name, const char *conninfo);
static void start(Worker *worker, void *(*main) (void *), void *arg);
static void start_readers(bool standby, const char *conninfo, double seconds, Worker *self);
static void start_reader(const char *name, void *(*main) (void *), const char *conninfo,
						 Reader what);
static void wait_for_standby(Worker *worker, const char *conninfo);
static void write_truth(Worker *worker);

int
main(int argc, char **argv)
{
	const char *conninfo;
	const char *standby;
	int			producers;
	double		seconds;
	Worker		self;
	Worker		decider;
	Worker		maintenance;
	Worker		disturber[2];
	Worker	   *producer;
	Consumer	consumer[CONSUMER_COUNT];
	Keeper		keeper = {.seconds = 0};
	Keeper		sleeper;

	if (argc < 6)
		fatal("usage: driver CONNINFO LOGDIR SECONDS SEED PRODUCERS [STANDBY-CONNINFO]");
	conninfo = argv[1];
	began = now();
	log_dir = argv[2];
	seconds = atof(argv[3]);
	seed = strtoull(argv[4], NULL, 10);
	producers = atoi(argv[5]);
	standby = argc > 6 ? argv[6] : NULL;
	signal(SIGUSR1, on_signal);
	signal(SIGUSR2, on_signal);
	signal(SIGPIPE, SIG_IGN);

	for (int t = 0; t < topic_count; t++)
		partition_counts[t] = topics[t].partitions;
	init_worker(&self, "truth", conninfo);
	connect_worker(&self);

	init_worker(&decider, "decider", conninfo);
	start(&decider, decider_main, &decider);
	producer = calloc(producers, sizeof(Worker));
	for (int i = 0; i < producers; i++)
	{
		init_worker(&producer[i], "producer", conninfo);
		producer[i].id = i;
		may_prepare();
		start(&producer[i], producer_main, &producer[i]);
	}

	for (int i = 0; i < CONSUMER_COUNT; i++)
	{
		init_worker(&consumer[i].worker, "consumer", conninfo);
		consumer[i].worker.id = FIRST_CONSUMER + i;
		consumer[i].group = group_of(i);
		may_prepare();
		start(&consumer[i].worker, consumer_main, &consumer[i]);
	}
	keeper.seconds = sleeper.seconds = seconds;
	init_worker(&keeper.worker, "keeper", conninfo);
	keeper.worker.id = KEEPER;
	may_prepare();
	start(&keeper.worker, keeper_main, &keeper);
	init_worker(&sleeper.worker, "sleeper", conninfo);
	start(&sleeper.worker, sleeper_main, &sleeper);

	start_readers(false, conninfo, seconds, &self);
	if (standby)
		start_readers(true, standby, seconds, &self);
	init_worker(&maintenance, "maintenance", conninfo);
	start(&maintenance, maintenance_main, &maintenance);
	init_worker(&disturber[0], "disturber", conninfo);
	start(&disturber[0], disturber_main, &disturber[0]);
	if (standby)
	{
		init_worker(&disturber[1], "disturber", standby);
		start(&disturber[1], disturber_main, &disturber[1]);
	}

	while (now() < began + seconds)
		usleep(50000);

	stopping = true;
	progress("stopping");
	for (int i = 0; i < producers; i++)
		pthread_join(producer[i].thread, NULL);
	while (!producers_decided())
		usleep(5000);
	pthread_join(keeper.worker.thread, NULL);
	pthread_join(sleeper.worker.thread, NULL);
	pthread_join(maintenance.thread, NULL);
	for (int i = 0; i <= (standby != NULL); i++)
		pthread_join(disturber[i].thread, NULL);
	connect_worker(&self);
	if (!count_partitions(&self))
		fatal("cannot count the partitions");
	settled = true;
	progress("settled");
	if (standby)
	{
		wait_for_standby(&self, standby);
		standby_settled = true;
	}
	for (int i = 0; i < reader_count; i++)
		pthread_join(readers[i].worker.thread, NULL);
	pthread_join(decider.thread, NULL);
	decided = true;
	for (int i = 0; i < CONSUMER_COUNT; i++)
		pthread_join(consumer[i].worker.thread, NULL);
	progress("the consumers have ended");

	read_all(&self);
	progress("all was read");
	for (int g = 0; g < group_count; g++)
		drain_group(&self, g);
	move_back_at_end(&self);
	for (int g = 0; g < group_count; g++)
		drain_group(&self, g);
	write_truth(&self);
	write_groups(&self);
	progress("complete");
	fprintf(self.log, "complete\n");
	fclose(self.log);
	return 0;
}

/* The readers of one server; the naive one on the primary only. */
static void
start_readers(bool standby, const char *conninfo, double seconds, Worker *self)
{
	Reader		any = {.standby = standby, .topic = -1, .partition = -1, .starts = began};
	Reader		late = any;

	for (int t = 0; t < topic_count; t++)
		for (int p = 0; p < topics[t].max_partitions; p++)
		{
			Reader		one = any;

			one.topic = t;
			one.partition = p;
			start_reader("follower", follower_main, conninfo, one);
		}
	late.starts += seconds * random_below(self, 50) / 100;
	start_reader("tail", tail_main, conninfo, late);
	start_reader("seeker", seeker_main, conninfo, any);
	start_reader("snapshot", snapshot_main, conninfo, any);
	start_reader("snapshot", snapshot_main, conninfo, any);
	start_reader("relation", relation_main, conninfo, any);
	if (!standby)
		start_reader("naive", naive_main, conninfo, any);
}

static void
start_reader(const char *name, void *(*main) (void *), const char *conninfo, Reader what)
{
	Reader	   *reader = &readers[reader_count];

	if (reader_count++ == sizeof(readers) / sizeof(readers[0]))
		fatal("too many readers");
	*reader = what;
	init_worker(&reader->worker, name, conninfo);
	start(&reader->worker, main, reader);
}

double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

void
fatal(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fprintf(stderr, "driver: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

/* For the log of the test: what takes how long. */
static void
progress(const char *what)
{
	fprintf(stderr, "driver: %.1f s: %s\n", now() - began, what);
}

static void
on_signal(int signo)
{
	async_only = true;
	if (signo == SIGUSR2)
		holding = true;
}

static void
init_worker(Worker *worker, const char *name, const char *conninfo)
{
	char		path[1024];

	memset(worker, 0, sizeof(*worker));
	snprintf(worker->name, sizeof(worker->name), "%s", name);
	snprintf(path, sizeof(path), "%s/%02d-%s.log", log_dir, worker_count, name);
	worker->log = fopen(path, "w");
	if (worker->log == NULL)
		fatal("cannot write %s", path);
	setvbuf(worker->log, NULL, _IOFBF, 1 << 16);
	worker->conninfo = conninfo;
	worker->random_state = (seed + 1) * 0x9E3779B97F4A7C15u + worker_count++ * 0xBF58476D1CE4E5B9u;
}

/* Each worker closes its own log. */
static void
start(Worker *worker, void *(*main) (void *), void *arg)
{
	if (pthread_create(&worker->thread, NULL, main, arg) != 0)
		fatal("cannot create a thread");
}

void
connect_worker(Worker *worker)
{
	double		deadline = now() + 60;
	char		conninfo[2048];

	snprintf(conninfo, sizeof(conninfo), "%s application_name=stress_%s%d",
			 worker->conninfo, worker->name, worker->id);
	for (;;)
	{
		if (worker->conn)
			PQfinish(worker->conn);
		worker->conn = PQconnectdb(conninfo);
		if (PQstatus(worker->conn) == CONNECTION_OK)
			break;
		if (now() > deadline)
			fatal("%s cannot connect: %s", worker->name, PQerrorMessage(worker->conn));
		usleep(50000);
	}
	PQclear(PQexec(worker->conn, "SET client_min_messages = error"));
}

bool
connection_lost(Worker *worker)
{
	return PQstatus(worker->conn) != CONNECTION_OK;
}

bool
note_error(Worker *worker, const PGresult *result)
{
	static const char *const foreseen[] = {
		"22012", "22023",		/* what producers provoke */
		"40001",				/* serialization, conflict with recovery */
		"57014", "57P01", "57P02", "57P03", /* cancelled, terminated */
		"25P02",
		"55P03",				/* lock_timeout */
		NULL
	};
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (connection_lost(worker) || state == NULL)
		return true;
	if (worker->group_errors)
		fprintf(worker->log, "event SQLSTATE-%s\n", state);
	for (int i = 0; foreseen[i]; i++)
		if (strcmp(state, foreseen[i]) == 0)
			return true;
	/* a group is in use, or is gone */
	if (worker->group_errors && (strcmp(state, "QT003") == 0 || strcmp(state, "42704") == 0))
		return true;
	fprintf(worker->log, "error %s %s\n", state,
			PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	if (++worker->errors >= MAX_ERRORS)
		fatal("too many errors, the last one: %s", PQresultErrorMessage(result));
	usleep(100000);
	return false;
}

PGresult *
query(Worker *worker, const char *sql, int nparams, const char *const *params)
{
	PGresult   *result;

	if (nparams > 0)
		result = PQexecParams(worker->conn, sql, nparams, NULL, params, NULL, NULL, 0);
	else
		result = PQexec(worker->conn, sql);
	if (PQresultStatus(result) == PGRES_COMMAND_OK ||
		PQresultStatus(result) == PGRES_TUPLES_OK)
		return result;
	note_error(worker, result);
	PQclear(result);
	return NULL;
}

bool
run(Worker *worker, const char *format,...)
{
	char		sql[2048];
	va_list		args;
	PGresult   *result;

	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	result = query(worker, sql, 0, NULL);
	PQclear(result);
	return result != NULL;
}

void
note_event(Worker *worker, const char *event)
{
	fprintf(worker->log, "event %s\n", event);
}

int
partitions_of(int topic)
{
	return partition_counts[topic];
}

bool
count_partitions(Worker *worker)
{
	for (int t = 0; t < topic_count; t++)
	{
		const char *params[] = {topics[t].name};
		PGresult   *result = query(worker, "SELECT count(*) FROM partition_offsets($1)", 1, params);

		if (result == NULL)
			return false;
		partition_counts[t] = atoi(PQgetvalue(result, 0, 0));
		PQclear(result);
	}
	return true;
}

/* splitmix64 */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t	z = (*state += 0x9E3779B97F4A7C15u);

	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

uint32_t
random_below(Worker *worker, uint32_t bound)
{
	return bound == 0 ? 0 : (uint32_t) ((next_random(&worker->random_state) >> 16) % bound);
}

bool
chance(Worker *worker, double percent)
{
	return random_below(worker, 1000000) < percent * 10000;
}

void
random_point(Worker *worker, const char *const *points, int count)
{
	char		sql[128];
	uint32_t	point = random_below(worker, count + 1);
	PGresult   *result;

	if (worker->no_points || !chance(worker, 10))
		return;
	if (point == (uint32_t) count)
		strcpy(sql, "SET qtopic.debug_point = ''");
	else
		snprintf(sql, sizeof(sql), "SET qtopic.debug_point = '%s:%d'", points[point],
				 FIRST_KEY + random_below(worker, KEY_COUNT));
	result = PQexec(worker->conn, sql);
	if (PQresultStatus(result) != PGRES_COMMAND_OK && !connection_lost(worker))
		worker->no_points = true;
	PQclear(result);
}

/* Often none, sometimes long: later offsets must commit first. */
void
random_pause(Worker *worker)
{
	uint32_t	dice = random_below(worker, 1000);

	if (dice >= 500)
		return;
	if (dice >= 80)
		usleep(random_below(worker, 3000));
	else if (dice >= 5)
		usleep(random_below(worker, 25000));
	else
		usleep(random_below(worker, 250000));
}

/* Every third one can be compressed. */
static void
fill_padding(char *to, size_t len, int producer, long number)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t	state = ((uint64_t) producer << 40) + number;

	for (size_t i = 0; i < len;)
	{
		uint64_t	bits = next_random(&state);

		for (int k = 0; k < 10 && i < len; k++, bits >>= 6)
			to[i++] = number % 3 == 0 ? digits[number & 63] : digits[bits & 63];
	}
}

static void
make_room(Worker *worker, size_t size)
{
	if (size > worker->text_size)
	{
		worker->text_size = size * 2;
		worker->text = realloc(worker->text, worker->text_size);
		if (worker->text == NULL)
			fatal("out of memory");
	}
}

const char *
make_value(Worker *worker, int producer, long number, size_t padding, const char *key)
{
	int			len;

	make_room(worker, padding + 128);
	len = snprintf(worker->text, 128, "%d.%ld.%zu.%s|", producer, number, padding,
				   key ? key : "");
	fill_padding(worker->text + len, padding, producer, number);
	worker->text[len + padding] = '\0';
	return worker->text;
}

bool
parse_value(Worker *worker, const char *value, const char *key, int *producer, long *number)
{
	size_t		padding;

	if (sscanf(value, "%d.%ld.%zu.", producer, number, &padding) != 3 ||
		padding > 10000000)
		return false;
	return strcmp(value, make_value(worker, *producer, *number, padding, key)) == 0;
}

/* Until the standby has replayed all that the primary has written. */
static void
wait_for_standby(Worker *worker, const char *conninfo)
{
	Worker		standby = *worker;
	double		deadline = now() + 60;
	PGresult   *result;
	char		lsn[64];

	result = query(worker, "SELECT pg_logical_emit_message(true, 'stress', 'end')", 0, NULL);
	if (result == NULL)
		fatal("cannot write WAL");
	snprintf(lsn, sizeof(lsn), "%s", PQgetvalue(result, 0, 0));
	PQclear(result);

	standby.conn = NULL;
	standby.conninfo = conninfo;
	connect_worker(&standby);
	for (;;)
	{
		const char *params[] = {lsn};
		bool		done;

		result = query(&standby, "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", 1, params);
		done = result && strcmp(PQgetvalue(result, 0, 0), "t") == 0;
		PQclear(result);
		if (done)
			break;
		if (now() > deadline)
			fatal("the standby does not replay");
		usleep(20000);
	}
	PQfinish(standby.conn);
}

/* What PostgreSQL itself says about which transactions took place. */
static void
write_truth(Worker *worker)
{
	PGresult   *result;

	result = query(worker, "SELECT producer, txn FROM stress_outcome ORDER BY 1, 2", 0, NULL);
	if (result == NULL)
		fatal("cannot read the outcomes");
	for (int i = 0; i < PQntuples(result); i++)
		fprintf(worker->log, "committed %s %s\n",
				PQgetvalue(result, i, 0), PQgetvalue(result, i, 1));
	PQclear(result);

	result = query(worker, "SELECT id FROM stress_naive ORDER BY id", 0, NULL);
	if (result == NULL)
		fatal("cannot read the plain table");
	for (int i = 0; i < PQntuples(result); i++)
		fprintf(worker->log, "naive-row %s\n", PQgetvalue(result, i, 0));
	PQclear(result);
}
