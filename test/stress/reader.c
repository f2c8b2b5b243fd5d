/*
 * reader.c
 *		Everything that reads, and the maintenance that runs beside.
 *
 * A position is the offset of the last record read plus one, nothing else, and
 * is kept through crashes.
 */
#include "stress.h"

typedef struct Fetched
{
	int			count;			/* -1: it failed */
	long		last;			/* offset of the last record */
} Fetched;

/* Write "offset:producer.number" for each row of offset, key, value. */
static Fetched
log_records(Worker *worker, const PGresult *result)
{
	Fetched		fetched = {PQntuples(result), -1};

	for (int i = 0; i < fetched.count; i++)
	{
		int			producer;
		long		number;
		const char *offset = PQgetvalue(result, i, 0);

		if (parse_value(worker, PQgetvalue(result, i, 2),
						PQgetisnull(result, i, 1) ? NULL : PQgetvalue(result, i, 1),
						&producer, &number))
			fprintf(worker->log, " %s:%d.%ld", offset, producer, number);
		else
			fprintf(worker->log, " %s:corrupt", offset);
		fetched.last = atol(offset);
	}
	fprintf(worker->log, "\n");
	return fetched;
}

/* fetch_records(); what it returned is logged as "fetch kind ... tag". */
static Fetched
fetch(Worker *worker, const char *kind, const char *tag, int topic, int partition,
	  long from, int max_records, int max_wait_ms)
{
	char		p[16];
	char		f[24];
	char		m[16];
	char		w[24];
	const char *params[] = {topics[topic].name, p, f, m, w};
	PGresult   *result;
	Fetched		fetched = {-1, -1};

	sprintf(p, "%d", partition);
	sprintf(f, "%ld", from);
	sprintf(m, "%d", max_records);
	sprintf(w, "%d ms", max_wait_ms);
	result = query(worker, "SELECT _offset, key, value FROM fetch_records($1, $2, $3, $4, $5)",
				   5, params);
	if (result == NULL)
		return fetched;
	if (PQntuples(result) > 0 || strcmp(tag, "-") != 0)
	{
		fprintf(worker->log, "fetch %s %s %d %ld %s", kind, topics[topic].name, partition, from, tag);
		fetched = log_records(worker, result);
	}
	else
		fetched.count = 0;
	PQclear(result);
	return fetched;
}

/* Last stable and next offset of each partition; how many, 0 if that failed. */
static int
offsets(Worker *worker, int topic, long *stable, long *next)
{
	const char *params[] = {topics[topic].name};
	PGresult   *result;
	int			count;

	result = query(worker,
				   "SELECT o._partition, o.last_stable_offset, o.next_offset,"
				   " extract(epoch FROM pg_postmaster_start_time())"
				   " FROM partition_offsets($1) o ORDER BY 1", 1, params);
	if (result == NULL)
		return 0;
	count = PQntuples(result);
	if (count < topics[topic].partitions || count > topics[topic].max_partitions)
		fatal("topic %s has %d partitions", topics[topic].name, count);
	for (int p = 0; p < count; p++)
	{
		stable[p] = atol(PQgetvalue(result, p, 1));
		next[p] = atol(PQgetvalue(result, p, 2));
		fprintf(worker->log, "stable %s %d %ld %ld %s\n", topics[topic].name, p,
				stable[p], next[p], PQgetvalue(result, p, 3));
	}
	PQclear(result);
	return count;
}

/* Before each read: wait while nobody may, and be slow at some place. */
static void
pace(Worker *worker)
{
	static const char *const points[] = {"read-hint", "read-snapshot"};

	while (holding)
		usleep(2000);
	random_point(worker, points, 2);
}

static void
begin(Reader *reader)
{
	connect_worker(&reader->worker);
}

static void
end(Reader *reader)
{
	PQfinish(reader->worker.conn);
	fclose(reader->worker.log);
}

/* Is all that will ever be committed there to be read? */
static bool
all_settled(Reader *reader)
{
	return reader->standby ? standby_settled : settled;
}

static int
random_limit(Worker *worker)
{
	return chance(worker, 20) ? 1 + random_below(worker, 5) : 1 + random_below(worker, 1000);
}

/* Follows one partition from its beginning to its end, once it exists. */
void *
follower_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;
	const char *topic = topics[reader->topic].name;
	long		position = 0;

	while (!all_settled(reader) && reader->partition >= partitions_of(reader->topic))
		usleep(20000);
	if (reader->partition >= partitions_of(reader->topic))
	{
		fclose(worker->log);
		return NULL;
	}
	begin(reader);
	fprintf(worker->log, "start %s %d 0\n", topic, reader->partition);
	for (;;)
	{
		bool		last = all_settled(reader);
		Fetched		fetched;

		pace(worker);
		fetched = fetch(worker, "follow", "-", reader->topic, reader->partition,
									position, random_limit(worker), last ? 0 : 500);

		if (fetched.count > 0)
			position = fetched.last + 1;
		else if (fetched.count == 0 && last)
			break;
		else if (connection_lost(worker))
			connect_worker(worker);
		else if (fetched.count < 0)
			usleep(20000);		/* a standby does not have the partition yet */
	}
	fprintf(worker->log, "drained %s %d\n", topic, reader->partition);
	end(reader);
	return NULL;
}

/*
 * Starts at the end of every partition, at some time, and follows them all.
 * Below where it starts nothing may be left to come.
 */
void *
tail_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;
	long		position[8][MAX_PARTITIONS];
	long		next[MAX_PARTITIONS];
	bool		drained[8][MAX_PARTITIONS] = {{false}};
	int			count[8];
	int			left = 0;

	begin(reader);
	while (now() < reader->starts)
		usleep(10000);
	for (int t = 0; t < topic_count; t++)
	{
		while ((count[t] = offsets(worker, t, position[t], next)) == 0)
			if (connection_lost(worker))
				connect_worker(worker);
		for (int p = 0; p < count[t]; p++)
		{
			fprintf(worker->log, "start %s %d %ld\n", topics[t].name, p, position[t][p]);
			left++;
		}
	}

	while (left > 0)
	{
		bool		idle = true;

		for (int t = 0; t < topic_count; t++)
			for (int p = 0; p < count[t]; p++)
			{
				bool		last = all_settled(reader);
				Fetched		fetched;

				if (drained[t][p])
					continue;
				pace(worker);
				fetched = fetch(worker, "tail", "-", t, p, position[t][p],
								random_limit(worker), 0);
				if (fetched.count > 0)
				{
					position[t][p] = fetched.last + 1;
					idle = false;
				}
				else if (fetched.count == 0 && last)
				{
					fprintf(worker->log, "drained %s %d\n", topics[t].name, p);
					drained[t][p] = true;
					left--;
				}
				else if (connection_lost(worker))
					connect_worker(worker);
			}
		if (idle)
			usleep(20000);
	}
	end(reader);
	return NULL;
}

/*
 * The rest of the last stretch before an offset must be there, too.  While
 * somebody's subtransactions overflow the snapshots, an aborted one of an open
 * transaction may stop this read and not the one before.
 */
static void
fetch_below(Reader *reader, int topic, int partition, long bound, int overflows_before)
{
	Worker	   *worker = &reader->worker;
	long		from = bound - 1 - random_below(worker, 200);
	bool		overflow = reader->standby || overflowed > 0;
	PGresult   *result;
	char		p[16];
	char		f[24];
	const char *params[] = {topics[topic].name, p, f};

	sprintf(p, "%d", partition);
	sprintf(f, "%ld", from < 0 ? 0 : from);
	result = query(worker, "SELECT _offset, key, value FROM fetch_records($1, $2, $3, 1000)", 3, params);
	if (result == NULL)
		return;
	overflow = overflow || overflows != overflows_before;
	fprintf(worker->log, "fetch %s %s %d %s %ld", overflow ? "below-overflow" : "below",
			topics[topic].name, partition, f, bound);
	log_records(worker, result);
	PQclear(result);
}

/*
 * Reads from random positions, mostly near the end.  A read from lower down,
 * made afterwards, must get as far as a seek did, and as the last stable offset.
 */
void *
seeker_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;

	begin(reader);
	while (!all_settled(reader))
	{
		int			topic = random_below(worker, topic_count);
		int			partition = random_below(worker, partitions_of(topic));
		long		stable[MAX_PARTITIONS];
		long		next[MAX_PARTITIONS];
		int			before = overflows;
		bool		ok = offsets(worker, topic, stable, next) > partition;

		if (ok && chance(worker, 30))
			fetch_below(reader, topic, partition, stable[partition], before);
		else if (ok)
		{
			long		end = reader->standby ? stable[partition] : next[partition];
			long		position = chance(worker, 20) ? random_below(worker, end + 1) :
				end - random_below(worker, 100);
			Fetched		fetched = fetch(worker, "seek", "-", topic, partition,
										position < 0 ? 0 : position, 500, 0);

			if (fetched.count > 0)
				fetch_below(reader, topic, partition, fetched.last + 1, before);
		}
		if (connection_lost(worker))
			connect_worker(worker);
		usleep(random_below(worker, 15000));
		pace(worker);
	}
	end(reader);
	return NULL;
}

/* The records from a position on, as a relation; false if that failed. */
static bool
read_relation(Worker *worker, const char *kind, const char *tag, int topic, int partition,
			  long position)
{
	char		sql[512];
	PGresult   *result;

	snprintf(sql, sizeof(sql), "SELECT _offset, key, value FROM qtopic.\"%s\""
			 " WHERE _partition = %d AND _offset >= %ld", topics[topic].name, partition, position);
	result = query(worker, sql, 0, NULL);
	if (result == NULL)
		return false;
	fprintf(worker->log, "fetch %s %s %d %ld %s", kind, topics[topic].name, partition, position, tag);
	log_records(worker, result);
	PQclear(result);
	return true;
}

static void
vacuum_leaf(Worker *worker, int topic, int partition)
{
	const char *params[] = {topics[topic].name};
	char		sql[128];
	PGresult   *result;

	result = query(worker, "SELECT topic_id FROM qtopic_internal.topics WHERE name = $1", 1, params);
	if (result == NULL)
		return;
	snprintf(sql, sizeof(sql), "VACUUM qtopic_internal.topic_%s_p%d_0",
			 PQgetvalue(result, 0, 0), partition);
	PQclear(result);
	/* REINDEX CONCURRENTLY may hold the leaf and wait for our own snapshot */
	PQclear(query(worker, "SET lock_timeout = '100ms'", 0, NULL));
	PQclear(query(worker, sql, 0, NULL));
}

/*
 * Reads the same several times with one snapshot, which may be old already, as
 * a function and as a relation.
 */
void *
snapshot_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;
	Worker		vacuum = *worker;
	long		pair = 0;

	begin(reader);
	strcpy(vacuum.name, "vacuum");
	if (!reader->standby)
		connect_worker(&vacuum);
	while (!all_settled(reader))
	{
		int			topic = random_below(worker, topic_count);
		int			partition = random_below(worker, partitions_of(topic));
		long		stable[MAX_PARTITIONS];
		long		next[MAX_PARTITIONS];
		long		position;
		char		tag[24];
		int			before = overflows;
		bool		was_overflowed = overflowed > 0;

		if (offsets(worker, topic, stable, next) > partition)
		{
			long		end = reader->standby ? stable[partition] : next[partition];

			position = stable[partition] - random_below(worker, 60);
			if (position < 0)
				position = 0;
			sprintf(tag, "%ld", pair++);
			PQclear(query(worker, "BEGIN ISOLATION LEVEL REPEATABLE READ", 0, NULL));
			if (chance(worker, 50))
			{
				PQclear(query(worker, "SELECT 1", 0, NULL));
				usleep(random_below(worker, 60000));
			}
			for (int i = 0; i < 4; i++)
			{
				/* only complete answers can be compared: the limit is no limit */
				long		from = end < position || chance(worker, 40) ? position :
					position + random_below(worker, end - position + 1);

				if (chance(worker, 50) ?
					!read_relation(worker, "snapshot", tag, topic, partition, from) :
					fetch(worker, "snapshot", tag, topic, partition, from, 1000000, 0).count < 0)
					break;
				usleep(random_below(worker, 30000));
				if (!reader->standby && !async_only && chance(worker, 30))
				{
					/* which may remove what stopped the first read */
					if (connection_lost(&vacuum))
						connect_worker(&vacuum);
					vacuum_leaf(&vacuum, topic, partition);
				}
			}
			fprintf(worker->log, "compare %s %d %s %s\n", topics[topic].name, partition, tag,
					reader->standby || was_overflowed || overflowed > 0 || overflows != before ?
					"overflow" : "all");
			PQclear(query(worker, "COMMIT", 0, NULL));
		}
		if (connection_lost(worker))
			connect_worker(worker);
		usleep(random_below(worker, 10000));
		pace(worker);
	}
	if (vacuum.conn != NULL)
		PQfinish(vacuum.conn);
	end(reader);
	return NULL;
}

/* A topic as a relation: a plain SELECT, a cursor that pauses, a self-join. */
void *
relation_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;

	begin(reader);
	while (!all_settled(reader))
	{
		int			topic = random_below(worker, topic_count);
		int			partition = random_below(worker, partitions_of(topic));
		const char *name = topics[topic].name;
		long		stable[MAX_PARTITIONS];
		long		next[MAX_PARTITIONS];
		long		position;
		char		sql[1024];
		PGresult   *result = NULL;
		uint32_t	dice = random_below(worker, 3);

		if (offsets(worker, topic, stable, next) > partition)
		{
			position = stable[partition] - random_below(worker, 100);
			if (position < 0)
				position = 0;
			if (dice == 0)
			{
				snprintf(sql, sizeof(sql), "SELECT count(*) FROM qtopic.\"%s\" a WHERE _offset >= %ld"
						 " AND NOT EXISTS (SELECT FROM qtopic.\"%s\" b WHERE b._partition = a._partition"
						 " AND b._offset = a._offset)", name, position, name);
				result = query(worker, sql, 0, NULL);
				if (result)
					fprintf(worker->log, "selfjoin %s %s\n", name, PQgetvalue(result, 0, 0));
			}
			else if (dice == 1)
				read_relation(worker, "relation", "-", topic, partition, position);
			else
			{
				/* the pieces, one after the other, are one read */
				snprintf(sql, sizeof(sql), "BEGIN; DECLARE c CURSOR FOR SELECT _offset, key, value"
						 " FROM qtopic.\"%s\" WHERE _partition = %d AND _offset >= %ld; FETCH 1 FROM c",
						 name, partition, position);
				while ((result = query(worker, sql, 0, NULL)) != NULL && PQntuples(result) > 0)
				{
					fprintf(worker->log, "fetch cursor %s %d %ld -", name, partition, position);
					position = log_records(worker, result).last + 1;
					PQclear(result);
					usleep(random_below(worker, 50000));
					snprintf(sql, sizeof(sql), "FETCH %u FROM c", 1 + random_below(worker, 50));
				}
				PQclear(query(worker, "COMMIT", 0, NULL));
			}
			PQclear(result);
		}
		if (connection_lost(worker))
			connect_worker(worker);
		usleep(20000 + random_below(worker, 100000));
		pace(worker);
	}
	end(reader);
	return NULL;
}

/* What people do without qtopic. */
void *
naive_main(void *arg)
{
	Reader	   *reader = arg;
	Worker	   *worker = &reader->worker;
	char		last[24] = "0";
	const char *params[] = {last};

	begin(reader);
	for (;;)
	{
		bool		final = settled;
		PGresult   *result = query(worker, "SELECT id FROM stress_naive WHERE id > $1 ORDER BY id",
								   1, params);

		if (result)
		{
			int			count = PQntuples(result);

			for (int i = 0; i < count; i++)
				fprintf(worker->log, "naive-read %s\n", PQgetvalue(result, i, 0));
			if (count > 0)
				snprintf(last, sizeof(last), "%s", PQgetvalue(result, count - 1, 0));
			PQclear(result);
			if (final)
				break;
		}
		else if (connection_lost(worker))
			connect_worker(worker);
		usleep(5000);
	}
	end(reader);
	return NULL;
}

/* What administrators and accidents do to the storage and to producers. */
void *
maintenance_main(void *arg)
{
	static const char *const actions[] = {
		"VACUUM qtopic_internal.%s", "VACUUM qtopic_internal.%s",
		"VACUUM (FREEZE) qtopic_internal.%s", "VACUUM (FREEZE) qtopic_internal.%s",
		"REINDEX TABLE CONCURRENTLY qtopic_internal.%s",
		"CHECKPOINT",
		"VACUUM qtopic_internal.positions", "VACUUM (FREEZE) qtopic_internal.positions",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		" WHERE application_name LIKE 'stress_producer%%' ORDER BY random() LIMIT 1",
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		" WHERE application_name LIKE 'stress_consumer%%' ORDER BY random() LIMIT 1",
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
		" WHERE application_name LIKE 'stress_consumer%%' ORDER BY random() LIMIT 1",
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
		" WHERE application_name LIKE 'stress_producer%%' ORDER BY random() LIMIT 1",
	};
	Worker	   *worker = arg;

	connect_worker(worker);
	while (!stopping)
	{
		PGresult   *result;
		char		leaf[128] = "";
		char		sql[512];
		unsigned	action = random_below(worker, sizeof(actions) / sizeof(actions[0]));

		usleep(random_below(worker, 300000));
		if (async_only)
			continue;
		result = query(worker, "SELECT relname FROM pg_class WHERE relnamespace ="
					   " 'qtopic_internal'::regnamespace AND relkind = 'r'"
					   " AND relname ~ '^topic_\\d+_p' ORDER BY random() LIMIT 1", 0, NULL);
		if (result && PQntuples(result) == 1)
			snprintf(leaf, sizeof(leaf), "%s", PQgetvalue(result, 0, 0));
		PQclear(result);
		if (leaf[0])
		{
			snprintf(sql, sizeof(sql), actions[action], leaf);
			result = query(worker, sql, 0, NULL);
			if (result)
			{
				const char *word = sql + (strncmp(sql, "SELECT ", 7) == 0 ? 7 : 0);

				fprintf(worker->log, "maintenance %.*s\n", (int) strcspn(word, "( "), word);
			}
			PQclear(result);
		}
		if (connection_lost(worker))
			connect_worker(worker);
	}
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}

/*
 * Holds the locks of the debug points for moments.  A session that is cancelled
 * as it gets such a lock keeps it; so does the disturber if the unlocking is.
 */
void *
disturber_main(void *arg)
{
	Worker	   *worker = arg;

	connect_worker(worker);
	while (!stopping)
	{
		char		sql[96];
		int			key = FIRST_KEY + random_below(worker, KEY_COUNT);

		snprintf(sql, sizeof(sql), "SET lock_timeout = '1s'; SELECT pg_advisory_lock(%d)", key);
		PQclear(query(worker, sql, 0, NULL));
		usleep(random_below(worker, chance(worker, 20) ? 30000 : 6000));
		PQclear(query(worker, "SELECT pg_advisory_unlock_all()", 0, NULL));
		usleep(random_below(worker, 6000));
		if (connection_lost(worker))
			connect_worker(worker);
	}
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}

/* The log as it is in the end. */
void
read_all(Worker *worker)
{
	for (int t = 0; t < topic_count; t++)
		for (int p = 0; p < partitions_of(t); p++)
		{
			long		position = 0;
			Fetched		fetched;

			while ((fetched = fetch(worker, "final", "-", t, p, position, 1000, 0)).count > 0)
				position = fetched.last + 1;
			if (fetched.count < 0)
				fatal("cannot read the log: %s", PQerrorMessage(worker->conn));
		}
}
