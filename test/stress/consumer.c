/*
 * consumer.c
 *		Transactions that consume.
 *
 * A consumer writes what it processed into the table stress_processed, in the
 * transaction that moves the position.  A row's seq is taken after the
 * partition's lock, which is held until the transaction ends: so in a partition
 * seq is the order of commits.
 */
#include "stress.h"

#include <sys/socket.h>


typedef struct Txn
{
	Worker	   *worker;
	const Group *group;
	long		number;
	bool		all;			/* as much as there is, without waiting */
	bool		broken;
	Savepoints	savepoints;		/* rows at each */
	long		rows;			/* that it wrote, without those rolled back */
} Txn;

/* ---- consuming ---- */

/* A "fetch consume" line for each partition of a result of partition, offset, key, value. */
static void
log_taken(Worker *worker, int topic, const PGresult *result)
{
	int			count = PQntuples(result);

	for (int i = 0; i < count; i++)
	{
		const char *offset = PQgetvalue(result, i, 1);
		int			producer;
		long		number;

		if (i == 0 || strcmp(PQgetvalue(result, i, 0), PQgetvalue(result, i - 1, 0)) != 0)
			fprintf(worker->log, "%sfetch consume %s %s %s -", i == 0 ? "" : "\n",
					topics[topic].name, PQgetvalue(result, i, 0), offset);
		if (parse_value(worker, PQgetvalue(result, i, 3),
						PQgetisnull(result, i, 2) ? NULL : PQgetvalue(result, i, 2),
						&producer, &number))
			fprintf(worker->log, " %s:%d.%ld", offset, producer, number);
		else
			fprintf(worker->log, " %s:corrupt", offset);
	}
	if (count > 0)
		fprintf(worker->log, "\n");
}

/* The arguments of consume(), and who asks. */
typedef struct Arguments
{
	char		max_records[16];
	char		max_wait[24];
	char		max_bytes[16];
	char		consumer[16];
	char		txn[24];
	const char *params[7];
} Arguments;

static void
choose_arguments(Txn *txn, int topic, Arguments *arguments)
{
	Worker	   *worker = txn->worker;

	sprintf(arguments->max_records, "%u",
			1 + random_below(worker, chance(worker, 25) ? 6 : 800));
	sprintf(arguments->max_wait, "%u ms", chance(worker, 40) ? 0 : random_below(worker, settled ? 20 : 300));
	sprintf(arguments->max_bytes, "%u",
			chance(worker, 75) ? 52428800 : 1 + random_below(worker, 60000));
	sprintf(arguments->consumer, "%d", worker->id);
	sprintf(arguments->txn, "%ld", txn->number);
	if (txn->all)
	{
		strcpy(arguments->max_records, "2000");
		strcpy(arguments->max_wait, "0");
		strcpy(arguments->max_bytes, "52428800");
	}
	arguments->params[0] = txn->group->name;
	arguments->params[1] = topics[topic].name;
	arguments->params[2] = arguments->max_records;
	arguments->params[3] = arguments->max_wait;
	arguments->params[4] = arguments->max_bytes;
	arguments->params[5] = arguments->consumer;
	arguments->params[6] = arguments->txn;
}

/*
 * There are three ways to consume and to write a row for each record.  They
 * return the number of records, or -1.  This one: in one statement.
 */
static int
process_at_once(Txn *txn, int topic)
{
	Arguments	arguments;
	PGresult   *result;
	int			count;

	choose_arguments(txn, topic, &arguments);
	result = query(txn->worker,
				   "WITH c AS MATERIALIZED (SELECT * FROM consume($1, $2, $3, $4, $5)),"
				   " p AS (INSERT INTO stress_processed"
				   " (consumer_group, topic, partition, record_offset, record, consumer, txn)"
				   " SELECT $1, $2, _partition, _offset,"
				   " split_part(value, '.', 1) || '.' || split_part(value, '.', 2), $6, $7 FROM c)"
				   " SELECT _partition, _offset, key, value FROM c",
				   7, arguments.params);
	if (result == NULL)
		return -1;
	log_taken(txn->worker, topic, result);
	count = PQntuples(result);
	txn->rows += count;
	PQclear(result);
	return count;
}

/* Add the rows for a result of partition, offset, key, value. */
static bool
write_rows(Txn *txn, int topic, const PGresult *result)
{
	int			count = PQntuples(result);
	size_t		size = 64 + (size_t) count * 32;
	char	   *partitions = malloc(size);
	char	   *offsets = malloc(size);
	char	   *records = malloc(size);
	char	   *p = partitions;
	char	   *o = offsets;
	char	   *r = records;
	char		consumer[16];
	char		number_text[24];
	const char *params[] = {txn->group->name, topics[topic].name, partitions, offsets, records,
	consumer, number_text};
	PGresult   *inserted;

	if (count == 0)
		strcpy(partitions, "{}"), strcpy(offsets, "{}"), strcpy(records, "{}");
	for (int i = 0; i < count; i++)
	{
		int			producer = -1;
		long		number = -1;

		(void) sscanf(PQgetvalue(result, i, 3), "%d.%ld.", &producer, &number);
		p += sprintf(p, "%c%s", i ? ',' : '{', PQgetvalue(result, i, 0));
		o += sprintf(o, "%c%s", i ? ',' : '{', PQgetvalue(result, i, 1));
		r += sprintf(r, "%c%d.%ld", i ? ',' : '{', producer, number);
	}
	if (count > 0)
		*p++ = *o++ = *r++ = '}', *p = *o = *r = '\0';
	sprintf(consumer, "%d", txn->worker->id);
	sprintf(number_text, "%ld", txn->number);
	inserted = query(txn->worker,
					 "INSERT INTO stress_processed"
					 " (consumer_group, topic, partition, record_offset, record, consumer, txn)"
					 " SELECT $1, $2, p, o, r, $6, $7"
					 " FROM unnest($3::int[], $4::bigint[], $5::text[]) u (p, o, r)",
					 7, params);
	free(partitions);
	free(offsets);
	free(records);
	PQclear(inserted);
	if (inserted == NULL)
		return false;
	txn->rows += count;
	return true;
}

/* To the client, and back in a second statement. */
static int
process_in_client(Txn *txn, int topic)
{
	Arguments	arguments;
	PGresult   *result;
	int			count;

	choose_arguments(txn, topic, &arguments);
	result = query(txn->worker,
				   "SELECT _partition, _offset, key, value FROM consume($1, $2, $3, $4, $5)",
				   5, arguments.params);
	if (result == NULL)
		return -1;
	log_taken(txn->worker, topic, result);
	random_pause(txn->worker);
	count = write_rows(txn, topic, result) ? PQntuples(result) : -1;
	PQclear(result);
	return count;
}

/* Piece by piece; all that the cursor returns belongs to this transaction. */
static int
process_by_cursor(Txn *txn, int topic)
{
	Worker	   *worker = txn->worker;
	PGresult   *result;
	int			total = 0;
	bool		stale = chance(worker, 20);

	if (!run(worker, "DECLARE c CURSOR FOR SELECT _partition, _offset, key, value"
			 " FROM consume('%s', '%s', %u)",
			 txn->group->name, topics[topic].name, 1 + random_below(worker, 300)))
		return -1;
	if (stale)
	{
		/* opened in a savepoint that is newer than the cursor: refused */
		if (!run(worker, "SAVEPOINT stale"))
			return -1;
		result = PQexec(worker->conn, "FETCH 1 FROM c");
		if (PQresultStatus(result) == PGRES_TUPLES_OK)
			fprintf(worker->log, "error XXXXX a cursor older than its savepoint consumed\n");
		else if (!connection_lost(worker) &&
				 strcmp(PQresultErrorField(result, PG_DIAG_SQLSTATE), "55000") == 0)
			note_event(worker, "stale-cursor-refused");
		else
			note_error(worker, result);
		PQclear(result);
		return run(worker, "ROLLBACK TO stale; RELEASE stale; CLOSE c") ? 0 : -1;
	}
	for (;;)
	{
		char		sql[64];
		int			count;

		snprintf(sql, sizeof(sql), "FETCH %u FROM c", 1 + random_below(worker, 150));
		result = query(worker, sql, 0, NULL);
		if (result == NULL)
			return -1;
		count = PQntuples(result);
		log_taken(worker, topic, result);
		if (count > 0 && !write_rows(txn, topic, result))
			count = -1;
		PQclear(result);
		if (count < 0)
			return -1;
		if (count == 0)
			break;
		total += count;
	}
	note_event(worker, "cursor");
	return run(worker, "CLOSE c") ? total : -1;
}

static int
process(Txn *txn, bool in_block)
{
	static const char *const points[] = {"consume-locked", "consume-read", "read-hint", "read-snapshot"};
	int			topic = random_topic_of(txn->worker, txn->group);
	uint32_t	dice = random_below(txn->worker, 100);

	if (!in_block)
		random_point(txn->worker, points, 4);
	if (!in_block || dice < 50)
		return process_at_once(txn, topic);
	return dice < 80 ? process_in_client(txn, topic) : process_by_cursor(txn, topic);
}

static bool
undo(Txn *txn)
{
	long		rows = txn->rows;

	if (!rollback_to(txn->worker, &txn->savepoints, &txn->rows))
		return false;
	if (txn->rows != rows)
		note_event(txn->worker, "savepoint-rolled-back");
	return true;
}

/* ---- transactions ---- */

/* Some other consumer ends, wherever it is. */
static bool
kill_another(Worker *worker)
{
	note_event(worker, "killed-another");
	return run(worker, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
			   " WHERE application_name LIKE 'stress_consumer%%' AND pid <> pg_backend_pid()"
			   " ORDER BY random() LIMIT 1");
}

/* Leave without a word, as a process that is killed does. */
static void
die(Worker *worker)
{
	note_event(worker, "died");
	shutdown(PQsocket(worker->conn), SHUT_RDWR);
	PQclear(PQexec(worker->conn, "SELECT 1"));
}

static bool
step(Txn *txn)
{
	Worker	   *worker = txn->worker;
	uint32_t	dice = random_below(worker, 1000);

	if (dice < 550)
		return holding || process(txn, true) >= 0;
	if (dice < 700)
		return savepoint(worker, &txn->savepoints, txn->rows);
	if (dice < 850)
		return undo(txn);
	if (dice < 920)
		return release(worker, &txn->savepoints);
	if (dice < 970)
		return txn->savepoints.depth == 0 ||
			(!run(worker, "SELECT 1 / 0") && !connection_lost(worker) && undo(txn));
	if (dice < 985)
	{
		die(worker);
		return false;
	}
	return chance(worker, 50) || kill_another(worker);
}

/* "consumer-end": how many rows it left behind, if it took place. */
static void
end_txn(Txn *txn, bool async, const char *outcome)
{
	fprintf(txn->worker->log, "consumer-end %d %ld %s %s %ld\n", txn->worker->id, txn->number,
			async ? "async" : "sync", outcome, txn->rows);
}

static void
commit(Txn *txn, bool async)
{
	Worker	   *worker = txn->worker;
	PGresult   *result = PQexec(worker->conn, "COMMIT");

	if (PQresultStatus(result) == PGRES_COMMAND_OK)
		end_txn(txn, async, strcmp(PQcmdStatus(result), "COMMIT") == 0 ? "ok" : "fail");
	else
	{
		note_error(worker, result);
		end_txn(txn, async, connection_lost(worker) ? "info" : "fail");
	}
	PQclear(result);
}

static void
explicit_txn(Txn *txn, bool async)
{
	Worker	   *worker = txn->worker;
	uint32_t	dice = random_below(worker, 100);
	const char *isolation = dice < 65 ? "READ COMMITTED" : dice < 88 ? "REPEATABLE READ" : "SERIALIZABLE";

	txn->broken = !run(worker, "BEGIN ISOLATION LEVEL %s; SET LOCAL synchronous_commit = %s",
					   isolation, async ? "off" : "on");
	do
	{
		if (!txn->broken)
			txn->broken = !step(txn);
		random_pause(worker);
	} while (!txn->broken && chance(worker, 72));

	dice = random_below(worker, 100);
	if (connection_lost(worker))
		end_txn(txn, async, "fail");
	else if (txn->broken || dice >= 85)
	{
		(void) run(worker, "ROLLBACK");
		end_txn(txn, async, "fail");
	}
	else if (dice < 15 && !async_only && reserve_prepared(worker))
		end_txn(txn, async, prepare_transaction(worker, txn->number, false) ? "prepared" : "fail");
	else
		commit(txn, async);
}

/* One statement that is a transaction; how many records it got. */
static int
autocommit(Txn *txn, bool async)
{
	int			count = -1;

	if (run(txn->worker, "SET synchronous_commit = %s", async ? "off" : "on"))
	{
		count = process(txn, false);
		if (count < 0 && connection_lost(txn->worker))
		{
			/* how many they were is unknown */
			txn->rows = -1;
			end_txn(txn, async, "info");
			return -1;
		}
	}
	end_txn(txn, async, count < 0 ? "fail" : "ok");
	return count;
}

static void
wait_for_news(Txn *txn)
{
	Worker	   *worker = txn->worker;
	const char *topic = topics[random_topic_of(worker, txn->group)].name;
	char		quoted[64] = "NULL";

	if (chance(worker, 70))
		snprintf(quoted, sizeof(quoted), "'%s'", topic);
	if (run(worker, "CALL wait_for_records('%s', %s, '%u ms')", txn->group->name, quoted,
			random_below(worker, settled ? 20 : 400)))
		note_event(worker, "waited-for-records");
}

/* In all topics of the group, until there is nothing left. */
static void
drain(Consumer *consumer, long *number)
{
	Worker	   *worker = &consumer->worker;
	int			idle = 0;

	while (idle < 3)
	{
		int			count = 0;

		for (int t = consumer->group->first_topic; t < consumer->group->end_topic; t++)
		{
			Txn			txn = {.worker = worker, .group = consumer->group, .number = (*number)++,
			.all = true};
			int			got = process_at_once(&txn, t);

			if (got < 0 && connection_lost(worker))
				txn.rows = -1;
			end_txn(&txn, false, got >= 0 ? "ok" : connection_lost(worker) ? "info" : "fail");
			if (connection_lost(worker))
				connect_worker(worker);
			count += got != 0;
		}
		idle = count > 0 ? 0 : idle + 1;
		if (count == 0)
			usleep(20000);
	}
}

void *
consumer_main(void *arg)
{
	Consumer   *consumer = arg;
	Worker	   *worker = &consumer->worker;
	long		number = 0;
	int			more = 15;

	worker->group_errors = true;
	connect_worker(worker);
	/* the last records are for when no more come: nobody may forget them */
	while (!settled || more-- > 0)
	{
		Txn			txn = {.worker = worker, .group = consumer->group, .number = number++};
		uint32_t	dice = random_below(worker, 100);
		bool		async = async_only || chance(worker, 40);

		if (connection_lost(worker))
			connect_worker(worker);
		while (holding || (stopping && !settled))
			usleep(2000);
		if (dice < 10)
			wait_for_news(&txn);
		else if (dice < 40)
			(void) autocommit(&txn, async);
		else
			explicit_txn(&txn, async);
	}
	no_more_prepares();
	while (!decided)
		usleep(2000);
	if (connection_lost(worker))
		connect_worker(worker);
	(void) run(worker, "SET synchronous_commit = on; SET qtopic.debug_point = ''");
	drain(consumer, &number);
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}

void
drain_group(Worker *worker, int group)
{
	Consumer	consumer = {.worker = *worker, .group = &groups[group]};
	static long number = 0;

	consumer.worker.id = LAST_CONSUMER;
	drain(&consumer, &number);
	worker->conn = consumer.worker.conn;
	worker->text = consumer.worker.text;
	worker->text_size = consumer.worker.text_size;
}
