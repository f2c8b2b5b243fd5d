/*
 * keeper.c
 *		What happens to groups and topics while consumers are at work.
 *
 * A position that is moved by hand leaves a row "reset" in stress_processed,
 * like a record that is processed: after the lock and in the same transaction.
 */
#include "stress.h"

/* Groups; the first two are those in which nothing but consuming happens. */
const Group groups[] = {
	{"ledger", 0, TOPIC_COUNT},
	{"search-index", 0, TOPIC_COUNT},
	{"wanderer", 1, 2},
	{"throw-away", 0, 1},
};
const int	group_count = 4;

const Group *
group_of(int consumer)
{
	return &groups[consumer < 6 ? consumer % 2 : 2 + consumer % 2];
}

int
random_topic_of(Worker *worker, const Group *group)
{
	return group->first_topic + random_below(worker, group->end_topic - group->first_topic);
}

/* Commit, unless chance wants it otherwise. */
static void
end_or_not(Worker *worker, const char *event)
{
	static long prepared = 0;
	uint32_t	dice = random_below(worker, 100);

	if (dice >= 75 && !async_only && reserve_prepared(worker))
	{
		note_event(worker, "keeper-prepared");
		if (!prepare_transaction(worker, prepared++, false))
			(void) run(worker, "ROLLBACK");
		return;
	}
	if (dice < 30)
	{
		note_event(worker, "keeper-rolled-back");
		(void) run(worker, "ROLLBACK");
		return;
	}
	usleep(random_below(worker, 30000));
	if (run(worker, "COMMIT"))
		note_event(worker, event);
	else
		(void) run(worker, "ROLLBACK");
}

/* Where reset_offsets() goes, mostly near the position; returns a name for it. */
static const char *
random_target(Worker *worker, char *target, size_t size)
{
	uint32_t	dice = random_below(worker, 100);
	const char *fixed = dice < 2 ? "earliest" : dice < 15 ? "latest" : "current";

	if (dice < 25)
	{
		snprintf(target, size, "'%s'", fixed);
		return fixed;
	}
	if (dice < 50)
	{
		snprintf(target, size, "to_offset => %u", random_below(worker, 20000));
		return "to-offset";
	}
	if (dice < 60)
	{
		snprintf(target, size, "to_time => clock_timestamp() - '%u ms'::interval",
				 random_below(worker, 3000));
		return "to-time";
	}
	snprintf(target, size, "shift_by => %d", (int) random_below(worker, 2000) - 1000);
	return "shift-by";
}

/* reset_offsets(), and a row for each position. */
static bool
run_reset(Worker *worker, const Group *group, const char *topic, const char *target)
{
	return run(worker,
			   "WITH r AS MATERIALIZED (SELECT * FROM reset_offsets('%s', '%s', %s))"
			   " INSERT INTO stress_processed"
			   " (consumer_group, topic, partition, record_offset, record, old_offset)"
			   " SELECT '%s', '%s', _partition, new_offset, 'reset', old_offset FROM r",
			   group->name, topic, target, group->name, topic);
}

/* At some time in the group "wanderer". */
static void
reset(Worker *worker)
{
	const Group *group = &groups[2];
	const char *topic = topics[random_topic_of(worker, group)].name;
	char		event[32];
	char		target[128];
	size_t		len;

	snprintf(event, sizeof(event), "reset-%s", random_target(worker, target, sizeof(target)));
	len = strlen(target);
	if (chance(worker, 70))
		snprintf(target + len, sizeof(target) - len, ", partition => %u",
				 random_below(worker, partitions_of(group->first_topic)));
	if (chance(worker, 20) &&
		run(worker, "SELECT reset_offsets('%s', '%s', %s, dry_run => true)",
			group->name, topic, target))
		note_event(worker, "reset-dry-run");
	if (run(worker, "BEGIN") &&
		(chance(worker, 70) ||
		 run(worker, "SAVEPOINT s; SELECT reset_offsets('%s', '%s', 'earliest'); ROLLBACK TO s",
			 group->name, topic)) &&
		run_reset(worker, group, topic, target))
		end_or_not(worker, event);
	else
		(void) run(worker, "ROLLBACK");
}

/* The rows that say that a group begins anew; partition -1: in all. */
static bool
note_beginning(Worker *worker, const Group *group, const char *topic, int partition)
{
	return run(worker,
			   "INSERT INTO stress_processed (consumer_group, topic, partition, record_offset, record)"
			   " SELECT '%s', '%s', p, 0, 'reset' FROM generate_series(%d, %d) p",
			   group->name, topic, partition < 0 ? 0 : partition,
			   partition < 0 ? MAX_PARTITIONS - 1 : partition);
}

/* delete_offsets(), delete_group() and create_group() of "throw-away". */
static void
throw_away(Worker *worker)
{
	const Group *group = &groups[3];
	int			topic = random_topic_of(worker, group);
	const char *name = topics[topic].name;
	uint32_t	dice = random_below(worker, 100);
	int			partition = chance(worker, 50) ? -1 : (int) random_below(worker, partitions_of(topic));
	char		argument[32] = "";

	if (partition >= 0)
		snprintf(argument, sizeof(argument), ", %d", partition);
	if (!run(worker, "BEGIN"))
		return;
	if (dice < 40)
	{
		if (run(worker, "SELECT delete_offsets('%s', '%s'%s)", group->name, name, argument) &&
			note_beginning(worker, group, name, partition))
			end_or_not(worker, "delete-offsets");
		else
			(void) run(worker, "ROLLBACK");
		return;
	}
	if (run(worker, "SELECT delete_group('%s')", group->name) &&
		note_beginning(worker, group, name, -1) &&
		(dice < 70 || run(worker, "SELECT create_group('%s', '%s')", group->name, name)))
		end_or_not(worker, dice < 70 ? "delete-group" : "delete-and-create-group");
	else
		(void) run(worker, "ROLLBACK");
}

/* One of the topics that may gets another partition. */
static void
add_partition(Worker *worker)
{
	int			t = 1 + random_below(worker, topic_count - 1);
	int			count = partitions_of(t);

	if (count >= topics[t].max_partitions)
		return;
	if (!run(worker, "BEGIN; SELECT alter_topic('%s', %d)", topics[t].name, count + 1))
		(void) run(worker, "ROLLBACK");
	else if (chance(worker, 30))
		(void) run(worker, "ROLLBACK");
	else
	{
		usleep(random_below(worker, 50000));
		if (run(worker, "COMMIT"))
			note_event(worker, "partition-added");
	}
	/* also when it is unknown whether it took place */
	if (connection_lost(worker))
		connect_worker(worker);
	count_partitions(worker);
}

/* Everything that happens to groups and topics, at random times. */
void *
keeper_main(void *arg)
{
	Keeper	   *keeper = arg;
	Worker	   *worker = &keeper->worker;
	double		began = now();
	double		last_deletion = began;
	double		next_partition = began + keeper->seconds / 10;

	worker->group_errors = true;
	connect_worker(worker);
	while (!stopping)
	{
		double		time = now();

		usleep(50000 + random_below(worker, 250000));
		if (connection_lost(worker))
			connect_worker(worker);
		if (async_only)
			continue;
		if (time > next_partition)
		{
			add_partition(worker);
			next_partition = now() + keeper->seconds / 8;
		}
		else if (time > last_deletion + keeper->seconds / 20 && time < began + keeper->seconds * 0.7)
		{
			throw_away(worker);
			last_deletion = now();
		}
		else
			reset(worker);
	}
	no_more_prepares();
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}

/* Holds an old snapshot, again and again, each for a part of the run. */
void *
sleeper_main(void *arg)
{
	Keeper	   *keeper = arg;
	Worker	   *worker = &keeper->worker;

	connect_worker(worker);
	while (!stopping)
	{
		double		until = now() + keeper->seconds / 4;

		if (connection_lost(worker))
			connect_worker(worker);
		if (run(worker, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM stress_outcome"))
			note_event(worker, "old-snapshot");
		while (!stopping && now() < until && !async_only)
			usleep(50000);
		(void) run(worker, "COMMIT");
		usleep(200000 + random_below(worker, 500000));
	}
	PQfinish(worker->conn);
	fclose(worker->log);
	return NULL;
}

/*
 * When all has been read, go back a little, in a transaction that is prepared:
 * no record comes that would make anybody look again.
 */
void
move_back_at_end(Worker *worker)
{
	const Group *group = &groups[2];

	if (!run(worker, "BEGIN") ||
		!run_reset(worker, group, topics[group->first_topic].name, "shift_by => -50") ||
		!run(worker, "PREPARE TRANSACTION 'stress.end'") ||
		!run(worker, "COMMIT PREPARED 'stress.end'"))
		fatal("cannot move positions: %s", PQerrorMessage(worker->conn));
}

/* The positions at the end. */
static void
write_positions(Worker *worker)
{
	PGresult   *result;

	for (int g = 0; g < group_count; g++)
		for (int t = groups[g].first_topic; t < groups[g].end_topic; t++)
			fprintf(worker->log, "group %s %s\n", groups[g].name, topics[t].name);

	result = query(worker, "SELECT consumer_group, topic, partition, current_offset, lag"
				   " FROM qtopic_group_lag ORDER BY 1, 2, 3", 0, NULL);
	if (result == NULL)
		fatal("cannot read the positions: %s", PQerrorMessage(worker->conn));
	for (int i = 0; i < PQntuples(result); i++)
		fprintf(worker->log, "position %s %s %s %s %s\n", PQgetvalue(result, i, 0),
				PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
				PQgetvalue(result, i, 3), PQgetvalue(result, i, 4));
	PQclear(result);
}

/* The table, a line for each run of rows of one transaction and partition. */
static void
write_processed(Worker *worker)
{
	PGresult   *result;

	if (!run(worker, "BEGIN; DECLARE c NO SCROLL CURSOR FOR"
			 " SELECT consumer_group, topic, partition, consumer, txn, record_offset, record, old_offset"
			 " FROM stress_processed ORDER BY consumer_group, topic, partition, seq"))
		fatal("cannot read what was processed: %s", PQerrorMessage(worker->conn));
	while ((result = query(worker, "FETCH 20000 FROM c", 0, NULL)) && PQntuples(result) > 0)
	{
		bool		open = false;

		for (int i = 0; i < PQntuples(result); i++)
		{
			bool		reset = strcmp(PQgetvalue(result, i, 6), "reset") == 0;
			bool		same = open && !reset;

			for (int c = 0; same && c < 5; c++)
				same = strcmp(PQgetvalue(result, i, c), PQgetvalue(result, i - 1, c)) == 0;
			if (!same && open)
				fprintf(worker->log, "\n");
			if (reset)
				fprintf(worker->log, "reset %s %s %s %s %s\n", PQgetvalue(result, i, 0),
						PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
						PQgetisnull(result, i, 7) ? "-" : PQgetvalue(result, i, 7),
						PQgetvalue(result, i, 5));
			else
			{
				if (!same)
					fprintf(worker->log, "processed %s %s %s %s %s", PQgetvalue(result, i, 0),
							PQgetvalue(result, i, 1), PQgetvalue(result, i, 2),
							PQgetvalue(result, i, 3), PQgetvalue(result, i, 4));
				fprintf(worker->log, " %s:%s", PQgetvalue(result, i, 5), PQgetvalue(result, i, 6));
			}
			open = !reset;
		}
		if (open)
			fprintf(worker->log, "\n");
		PQclear(result);
	}
	if (result == NULL)
		fatal("cannot read what was processed: %s", PQerrorMessage(worker->conn));
	PQclear(result);
	(void) run(worker, "COMMIT");
}

void
write_groups(Worker *worker)
{
	write_positions(worker);
	write_processed(worker);
}
