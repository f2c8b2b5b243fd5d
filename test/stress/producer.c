/*
 * producer.c
 *		Transactions that produce, and the decider of the prepared ones.
 *
 * A transaction also inserts a row into stress_outcome, so that PostgreSQL can
 * be asked afterwards whether it took place, and into stress_naive for each
 * call, where the naive reader looks.
 */
#include "stress.h"

#define MAX_PREPARED	18

typedef struct Txn
{
	Worker	   *worker;
	long		number;
	bool		deferred;		/* by qtopic.produce_mode */
	bool		mixed;			/* each call chooses */
	bool		broken;			/* nothing more can be done in it */
	bool		overflowed;		/* is counted as such */
	Savepoints	savepoints;		/* first record of each */
} Txn;

/* Number of the next record and transaction, for each producer. */
typedef struct Counters
{
	long		record;
	long		txn;
} Counters;

static Counters counters[64];

/* Transactions that wait to be decided. */
typedef struct Prepared
{
	int			producer;
	long		txn;
	bool		commit;
	bool		certain;		/* PREPARE TRANSACTION was acknowledged */
	bool		overflowed;
	double		due;
	struct Prepared *next;
} Prepared;

static pthread_mutex_t prepared_lock = PTHREAD_MUTEX_INITIALIZER;
static Prepared *prepared = NULL;
static int	prepared_count = 0;
static int	undecided = 0;		/* of these: of producers */
static volatile int preparers = 0;	/* who may still prepare */

static size_t
random_padding(Worker *worker)
{
	uint32_t	dice = random_below(worker, 1000);

	if (dice < 600)
		return random_below(worker, 100);
	if (dice < 950)
		return random_below(worker, 1500);
	if (dice < 990)
		return random_below(worker, 12000);
	return random_below(worker, 150000);	/* toasted */
}

static const char *
random_key(Worker *worker, char *buffer)
{
	sprintf(buffer, "k%u", random_below(worker, 40));
	return buffer;
}

static const Topic *
random_topic(Worker *worker)
{
	return &topics[random_below(worker, topic_count)];
}

/* "call": records that are about to be sent.  Returns the first one's number. */
static long
note_call(Txn *txn, int count, const Topic *topic, bool deferred)
{
	long		first = counters[txn->worker->id].record;

	counters[txn->worker->id].record += count;
	fprintf(txn->worker->log, "call %ld %d %s %c\n", first, count, topic->name,
			deferred ? 'd' : 'i');
	return first;
}

/*
 * One record.  The naive row goes with it in the same statement, or not at
 * all.  With fail, the statement fails after it has appended.
 */
static bool
produce_one(Txn *txn, bool fail)
{
	static const char *const plain = "SELECT _partition, _offset FROM ";
	static const char *const with_row =
	"WITH n AS (INSERT INTO stress_naive (producer, number) VALUES ($6, $7))"
	" SELECT _partition, _offset FROM ";
	static const char *const failing = "SELECT _partition, 1 / (_partition - _partition) FROM ";
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	bool		deferred = txn->mixed ? chance(worker, 50) : txn->deferred;
	bool		row = !fail && chance(worker, 70);
	char		key_text[16];
	char		partition[16];
	char		producer[16];
	char		number[24];
	const char *params[7];
	char		sql[512];
	PGresult   *result;
	long		n;

	n = note_call(txn, 1, topic, deferred);
	params[0] = topic->name;
	params[1] = chance(worker, 50) ? random_key(worker, key_text) : NULL;
	params[2] = make_value(worker, worker->id, n, random_padding(worker), params[1]);
	sprintf(partition, "%u", random_below(worker, partitions_of(topic - topics)));
	params[3] = chance(worker, 50) ? partition : NULL;
	params[4] = txn->mixed ? (deferred ? "t" : "f") : NULL;
	sprintf(producer, "%d", worker->id);
	sprintf(number, "%ld", n);
	params[5] = producer;
	params[6] = number;
	snprintf(sql, sizeof(sql), "%s produce($1, $2::text, $3::text, partition => $4, deferred => $5)",
			 fail ? failing : row ? with_row : plain);

	result = query(worker, sql, row ? 7 : 5, params);
	if (result == NULL)
		return false;
	if (!PQgetisnull(result, 0, 1))
		fprintf(worker->log, "got %s %s %s %s %ld\n", topic->name, PQgetvalue(result, 0, 0),
				PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 1), n);
	PQclear(result);
	return true;
}

/* The literal of a text[]; none of the texts needs quoting. */
static char *
array_of(char **texts, int count)
{
	size_t		size = 3;
	char	   *array;
	char	   *end;

	for (int i = 0; i < count; i++)
		size += strlen(texts[i]) + 3;
	end = array = malloc(size);
	for (int i = 0; i < count; i++)
		end += sprintf(end, "%c%s", i ? ',' : '{', texts[i]);
	strcpy(end, "}");
	return array;
}

static bool
produce_batch(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	bool		deferred = txn->mixed ? chance(worker, 50) : txn->deferred;
	bool		keyed = chance(worker, 50);
	bool		large = chance(worker, 4);
	int			count = 1 + random_below(worker, chance(worker, 10) ? 300 : 30);
	char	  **values = malloc(count * sizeof(char *));
	char	  **keys = malloc(count * sizeof(char *));
	char	   *value_array;
	char	   *key_array = NULL;
	char		partition[16];
	char		producer[16];
	char		number[24];
	const char *params[7];
	PGresult   *result;
	long		first;
	long		n;

	first = n = note_call(txn, count, topic, deferred);
	for (int i = 0; i < count; i++)
	{
		char		key[16];

		keys[i] = keyed ? strdup(random_key(worker, key)) : NULL;
		values[i] = strdup(make_value(worker, worker->id, first + i,
									  large ? random_padding(worker) : random_below(worker, 200),
									  keys[i]));
	}
	value_array = array_of(values, count);
	if (keyed)
		key_array = array_of(keys, count);
	for (int i = 0; i < count; i++)
	{
		free(keys[i]);
		free(values[i]);
	}
	free(keys);
	free(values);

	params[0] = topic->name;
	params[1] = key_array;
	params[2] = value_array;
	sprintf(partition, "%u", random_below(worker, partitions_of(topic - topics)));
	params[3] = chance(worker, 40) ? partition : NULL;
	params[4] = txn->mixed ? (deferred ? "t" : "f") : NULL;
	sprintf(producer, "%d", worker->id);
	sprintf(number, "%ld", first);
	params[5] = producer;
	params[6] = number;
	result = query(worker,
				   "WITH n AS (INSERT INTO stress_naive (producer, number) VALUES ($6, $7))"
				   " SELECT _partition, base_offset, last_offset, record_count"
				   " FROM produce_batch($1, $2::text[], $3::text[], partition => $4, deferred => $5)",
				   7, params);
	free(value_array);
	free(key_array);
	if (result == NULL)
		return false;

	/* which record is where is known only if all must be in one partition */
	for (int i = 0; i < PQntuples(result); i++)
	{
		if (PQgetisnull(result, i, 1))
			continue;
		if (topic->max_partitions == 1 || params[3] != NULL)
		{
			fprintf(worker->log, "got %s %s %s %s %ld\n", topic->name, PQgetvalue(result, i, 0),
					PQgetvalue(result, i, 1), PQgetvalue(result, i, 2), n);
			n += atol(PQgetvalue(result, i, 3));
		}
		else
			fprintf(worker->log, "span %s %s %s %s %ld %d\n", topic->name, PQgetvalue(result, i, 0),
					PQgetvalue(result, i, 1), PQgetvalue(result, i, 2), first, count);
	}
	PQclear(result);
	return true;
}

/* INSERT into the relation of a topic, which qtopic.produce_mode governs. */
static bool
insert(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	bool		returning = chance(worker, 50);
	int			count = 1 + random_below(worker, 20);
	char	  **values = malloc(count * sizeof(char *));
	char	   *array;
	const char *params[1];
	char		sql[256];
	PGresult   *result;
	long		first = note_call(txn, count, topic, txn->deferred);

	for (int i = 0; i < count; i++)
		values[i] = strdup(make_value(worker, worker->id, first + i, random_padding(worker), NULL));
	params[0] = array = array_of(values, count);
	for (int i = 0; i < count; i++)
		free(values[i]);
	free(values);
	snprintf(sql, sizeof(sql), "INSERT INTO qtopic.\"%s\" (value) SELECT unnest($1::text[])%s",
			 topic->name, returning ? " RETURNING _partition, _offset" : "");
	result = query(worker, sql, 1, params);
	free(array);
	if (result == NULL)
		return false;
	for (int i = 0; i < PQntuples(result); i++)
		if (!PQgetisnull(result, i, 1))
			fprintf(worker->log, "got %s %s %s %s %ld\n", topic->name, PQgetvalue(result, i, 0),
					PQgetvalue(result, i, 1), PQgetvalue(result, i, 1), first + i);
	PQclear(result);
	return true;
}

/* Its own records must stop what a transaction reads. */
static bool
read_own(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	char		partition[16];
	const char *params[] = {topic->name, partition};
	PGresult   *result;
	int			first;

	first = random_below(worker, partitions_of(topic - topics));
	sprintf(partition, "%d", first);
	result = query(worker,
				   "SELECT r._offset, r.key, r.value, greatest(o.last_stable_offset - 20, 0)"
				   " FROM partition_offsets($1) o,"
				   " fetch_records($1, $2, greatest(o.last_stable_offset - 20, 0), 100) r"
				   " WHERE o._partition = $2::int",
				   2, params);
	if (result == NULL)
		return false;
	if (PQntuples(result) > 0)
	{
		fprintf(worker->log, "fetch own %s %d %s %d.%ld", topic->name, first,
				PQgetvalue(result, 0, 3), worker->id, txn->number);
		for (int i = 0; i < PQntuples(result); i++)
		{
			int			producer;
			long		number;

			if (parse_value(worker, PQgetvalue(result, i, 2),
							PQgetisnull(result, i, 1) ? NULL : PQgetvalue(result, i, 1),
							&producer, &number))
				fprintf(worker->log, " %s:%d.%ld", PQgetvalue(result, i, 0), producer, number);
			else
				fprintf(worker->log, " %s:corrupt", PQgetvalue(result, i, 0));
		}
		fprintf(worker->log, "\n");
	}
	PQclear(result);
	return true;
}

/* An exception block: what it produced is gone, what comes after is not. */
static bool
produce_in_block(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	bool		deferred = txn->deferred;
	long		gone = note_call(txn, 1, topic, deferred);
	long		kept = note_call(txn, 1, topic, deferred);
	char		first[512];
	bool		ok;

	snprintf(first, sizeof(first), "%s",
			 make_value(worker, worker->id, gone, random_below(worker, 200), NULL));
	ok = run(worker,
			 "DO $$ BEGIN"
			 " BEGIN PERFORM produce('%s', NULL::text, '%s'); RAISE EXCEPTION 'gone';"
			 " EXCEPTION WHEN raise_exception THEN NULL; END;"
			 " PERFORM produce('%s', NULL::text, '%s'); END $$",
			 topic->name, first, topic->name,
			 make_value(worker, worker->id, kept, random_below(worker, 200), NULL));
	fprintf(worker->log, "undo %ld %ld\n", gone, kept);
	return ok;
}

/* Back to one of the savepoints, if there are any. */
static bool
undo(Txn *txn)
{
	long		record = -1;

	if (!rollback_to(txn->worker, &txn->savepoints, &record))
		return false;
	if (record >= 0)
		fprintf(txn->worker->log, "undo %ld %ld\n", record, counters[txn->worker->id].record);
	return true;
}

/* More subtransactions than a snapshot has room for. */
static bool
overflow(Txn *txn)
{
	if (!txn->overflowed)
	{
		txn->overflowed = true;
		__sync_fetch_and_add(&overflows, 1);
		__sync_fetch_and_add(&overflowed, 1);
	}
	for (int i = 0; i < 70; i++)
	{
		long		start = counters[txn->worker->id].record;

		if (!run(txn->worker, "SAVEPOINT many") || !produce_one(txn, false))
			return false;
		if (i % 7 == 0)
		{
			if (!run(txn->worker, "ROLLBACK TO many"))
				return false;
			fprintf(txn->worker->log, "undo %ld %ld\n", start, counters[txn->worker->id].record);
		}
		if (!run(txn->worker, "RELEASE many"))
			return false;
	}
	return true;
}

/* An error; inside a savepoint the transaction goes on. */
static bool
provoke(Txn *txn)
{
	bool		expected;

	if (chance(txn->worker, 50))
		expected = !produce_one(txn, true);
	else
		expected = !run(txn->worker, "SELECT produce('%s', 'k', 'v', partition => 99)",
						random_topic(txn->worker)->name);
	if (!expected)
		fprintf(txn->worker->log, "error XXXXX a statement that must fail did not\n");
	if (connection_lost(txn->worker))
		return false;
	return undo(txn) && txn->savepoints.depth > 0;
}

/* One step of a transaction; false if the transaction cannot go on. */
static bool
step(Txn *txn)
{
	uint32_t	dice = random_below(txn->worker, 1000);

	if (dice < 320)
		return produce_one(txn, false);
	if (dice < 400)
		return insert(txn);
	if (dice < 600)
		return produce_batch(txn);
	if (dice < 750)
		return savepoint(txn->worker, &txn->savepoints, counters[txn->worker->id].record);
	if (dice < 830)
		return undo(txn);
	if (dice < 900)
		return release(txn->worker, &txn->savepoints);
	if (dice < 940)
		return holding ? true : read_own(txn);
	if (dice < 960)
		return txn->mixed ? true : produce_in_block(txn);
	if (dice < 999)
		return txn->savepoints.depth > 0 || chance(txn->worker, 10) ? provoke(txn) : true;
	return overflow(txn);
}

static bool
note_outcome(Txn *txn)
{
	return run(txn->worker, "INSERT INTO stress_outcome VALUES (%d, %ld)",
			   txn->worker->id, txn->number);
}

static void
end_txn(Txn *txn, const char *outcome)
{
	fprintf(txn->worker->log, "end %ld %s\n", txn->number, outcome);
	if (txn->overflowed && strcmp(outcome, "prepared") != 0)
		__sync_fetch_and_sub(&overflowed, 1);
}

/* One statement that is a transaction. */
static void
autocommit(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const Topic *topic = random_topic(worker);
	char		key_text[16];
	char		partition[16];
	char		producer[16];
	char		number[24];
	char		txn_number[24];
	const char *params[6];
	PGresult   *result;
	long		n;

	fprintf(worker->log, "begin %ld autocommit\n", txn->number);
	if (!run(worker, "SET synchronous_commit = %s", async_only || chance(worker, 40) ? "off" : "on"))
	{
		end_txn(txn, "fail");
		return;
	}
	n = note_call(txn, 1, topic, false);
	params[0] = topic->name;
	params[1] = chance(worker, 50) ? random_key(worker, key_text) : NULL;
	params[2] = make_value(worker, worker->id, n, random_padding(worker), params[1]);
	sprintf(producer, "%d", worker->id);
	sprintf(number, "%ld", n);
	sprintf(txn_number, "%ld", txn->number);
	params[3] = producer;
	params[4] = number;
	params[5] = txn_number;
	result = query(worker,
				   "WITH n AS (INSERT INTO stress_naive (producer, number) VALUES ($4, $5)),"
				   " o AS (INSERT INTO stress_outcome VALUES ($4, $6))"
				   " SELECT _partition, _offset FROM produce($1, $2::text, $3::text)",
				   6, params);
	if (result == NULL)
	{
		end_txn(txn, connection_lost(worker) ? "info" : "fail");
		return;
	}
	snprintf(partition, sizeof(partition), "%s", PQgetvalue(result, 0, 0));
	fprintf(worker->log, "got %s %s %s %s %ld\n", topic->name, partition,
			PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 1), n);
	PQclear(result);
	end_txn(txn, "ok");
}

static void
count_prepared(int worker_id, int change)
{
	pthread_mutex_lock(&prepared_lock);
	prepared_count += change;
	if (worker_id < FIRST_CONSUMER)
		undecided += change;
	pthread_mutex_unlock(&prepared_lock);
}

bool
prepare_transaction(Worker *worker, long txn, bool overflowed_txn)
{
	Prepared   *entry = malloc(sizeof(Prepared));
	uint32_t	dice = random_below(worker, 100);

	entry->producer = worker->id;
	entry->txn = txn;
	entry->commit = chance(worker, 75);
	entry->overflowed = overflowed_txn;
	entry->certain = run(worker, "PREPARE TRANSACTION 'stress.%d.%ld'", worker->id, txn);
	if (!entry->certain && !connection_lost(worker))
	{
		free(entry);
		count_prepared(worker->id, -1);
		return false;
	}
	entry->due = now() + (dice < 70 ? random_below(worker, 50) :
						  dice < 96 ? random_below(worker, 300) : random_below(worker, 2500)) / 1000.0;
	pthread_mutex_lock(&prepared_lock);
	entry->next = prepared;
	prepared = entry;
	pthread_mutex_unlock(&prepared_lock);
	return true;
}

void
may_prepare(void)
{
	__sync_fetch_and_add(&preparers, 1);
}

void
no_more_prepares(void)
{
	__sync_fetch_and_sub(&preparers, 1);
}

/* May one more transaction be prepared?  If so, it is counted. */
bool
reserve_prepared(const Worker *worker)
{
	bool		may;

	pthread_mutex_lock(&prepared_lock);
	may = prepared_count < MAX_PREPARED;
	prepared_count += may;
	undecided += may && worker->id < FIRST_CONSUMER;
	pthread_mutex_unlock(&prepared_lock);
	return may;
}

bool
producers_decided(void)
{
	return __sync_fetch_and_add(&undecided, 0) == 0;
}

static void
explicit_txn(Txn *txn)
{
	Worker	   *worker = txn->worker;
	uint32_t	dice = random_below(worker, 100);
	const char *isolation = dice < 80 ? "READ COMMITTED" : dice < 93 ? "REPEATABLE READ" : "SERIALIZABLE";
	bool		async = async_only || chance(worker, 40);
	bool		early = chance(worker, 50);
	int			steps = 1;
	PGresult   *result;

	dice = random_below(worker, 100);
	txn->deferred = dice < 30;
	txn->mixed = dice >= 80;
	while (steps < 40 && chance(worker, 80))
		steps++;
	dice = random_below(worker, 100);

	fprintf(worker->log, "begin %ld %s%s\n", txn->number,
			txn->mixed ? "mixed" : txn->deferred ? "deferred" : "immediate",
			async ? "-async" : "");
	if (!run(worker, "BEGIN ISOLATION LEVEL %s; SET LOCAL synchronous_commit = %s;"
			 "SET LOCAL qtopic.produce_mode = %s;"
			 "SET LOCAL qtopic.deferred_buffer_size = '%s'",
			 isolation, async ? "off" : "on", txn->deferred ? "deferred" : "immediate",
			 chance(worker, 30) ? "64kB" : "64MB") ||
		(early && !note_outcome(txn)))
		txn->broken = true;
	for (int i = 0; i < steps && !txn->broken; i++)
	{
		if (!step(txn))
			txn->broken = true;
		else
			random_pause(worker);
	}
	if (!txn->broken && !early && !note_outcome(txn))
		txn->broken = true;

	if (connection_lost(worker))
	{
		end_txn(txn, "fail");
		return;
	}
	if (!txn->broken && dice < 15 && !async_only && reserve_prepared(worker))
	{
		end_txn(txn, prepare_transaction(worker, txn->number, txn->overflowed) ?
				"prepared" : "fail");
		return;
	}
	/* a broken one cannot commit, whatever is asked */
	if (dice > 85 && !txn->broken)
	{
		(void) run(worker, "ROLLBACK");
		end_txn(txn, "fail");
		return;
	}

	result = PQexec(worker->conn, "COMMIT");
	if (PQresultStatus(result) == PGRES_COMMAND_OK)
	{
		bool		committed = strcmp(PQcmdStatus(result), "COMMIT") == 0;

		if (committed && txn->broken)
			fprintf(worker->log, "error XXXXX a broken transaction committed\n");
		end_txn(txn, committed ? "ok" : "fail");
	}
	else
	{
		note_error(worker, result);
		end_txn(txn, txn->broken || !connection_lost(worker) ? "fail" : "info");
	}
	PQclear(result);
}

void *
producer_main(void *arg)
{
	static const char *const points[] = {"append-opened", "append-reserved", "append-heap"};
	Worker	   *worker = arg;

	fprintf(worker->log, "producer %d\n", worker->id);
	connect_worker(worker);
	while (!stopping)
	{
		Txn			txn = {.worker = worker, .number = counters[worker->id].txn++};

		if (connection_lost(worker))
		{
			connect_worker(worker);
			async_only = false;
			holding = false;
		}
		random_point(worker, points, 3);
		if (chance(worker, 25))
			autocommit(&txn);
		else
			explicit_txn(&txn);
		random_pause(worker);
	}
	PQfinish(worker->conn);
	fclose(worker->log);
	no_more_prepares();
	return NULL;
}

/* The next transaction that is due, taken from the list. */
static Prepared *
take_due(void)
{
	Prepared  **link;
	Prepared   *found = NULL;
	double		time = now();

	pthread_mutex_lock(&prepared_lock);
	for (link = &prepared; *link; link = &(*link)->next)
		if ((*link)->due <= time || stopping)
		{
			found = *link;
			*link = found->next;
			break;
		}
	pthread_mutex_unlock(&prepared_lock);
	return found;
}

static void
decide(Worker *worker, Prepared *entry)
{
	bool		tried = false;
	const char *decision = entry->commit ? "commit" : "rollback";

	for (;;)
	{
		char		sql[128];
		PGresult   *result;
		const char *state;

		snprintf(sql, sizeof(sql), "%s PREPARED 'stress.%d.%ld'",
				 entry->commit ? "COMMIT" : "ROLLBACK", entry->producer, entry->txn);
		result = PQexec(worker->conn, sql);
		if (PQresultStatus(result) == PGRES_COMMAND_OK)
		{
			PQclear(result);
			break;
		}
		state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		if (state && strcmp(state, "42704") == 0)
		{
			if (!entry->certain)
				decision = tried ? "unknown" : "rollback";	/* never prepared */
			else if (!tried)
				fprintf(worker->log, "error XXXXX prepared transaction stress.%d.%ld has vanished\n",
						entry->producer, entry->txn);
			PQclear(result);
			break;
		}
		note_error(worker, result);
		PQclear(result);
		if (connection_lost(worker))
		{
			/* it may have been done, and then it was prepared */
			tried = true;
			connect_worker(worker);
		}
		else
			usleep(10000);
	}
	fprintf(worker->log, "decide %d %ld %s\n", entry->producer, entry->txn, decision);
}

void *
decider_main(void *arg)
{
	Worker	   *worker = arg;

	connect_worker(worker);
	for (;;)
	{
		bool		last = stopping && preparers == 0;
		Prepared   *entry = async_only ? NULL : take_due();

		if (entry)
		{
			decide(worker, entry);
			if (entry->overflowed)
				__sync_fetch_and_sub(&overflowed, 1);
			count_prepared(entry->producer, -1);
			free(entry);
		}
		else if (last)
			break;
		else
			usleep(2000);
	}
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}
