/*
 * consume.c
 *		Reading in a consumer group.
 *
 * A look at a topic takes its locks in this order, all to the end of the
 * transaction unless nothing was read: the topic's relation (shared, against
 * drop_topic), the group (shared), one partition after the other (exclusive,
 * by try).  A partition's position is read under its lock, and its records with
 * a snapshot that is taken after it; so no position is ever older than the
 * records read from it.
 *
 * Partitions are tried in the order of their last attempt, whatever came of
 * it, and one whose records were given back several times is read alone: so one
 * whose records make the consumer fail does not keep it from the others.
 *
 * Before waiting all locks are released.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "consume.h"
#include "debug_point.h"
#include "fetch.h"
#include "group.h"
#include "guc.h"
#include "position.h"
#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"
#include "worker_slots.h"

/* Partitions that one call reads: each lock that it keeps takes shared memory. */
#define PARTITIONS_MAX	64

/* A partition that was given back so often is read alone. */
#define ALONE_ROLLBACKS	3

/* That somebody has done with a group wakes nobody. */
#define RECHECK_GROUP_MS	1000

/* After that time the topics of a group are listed again. */
#define RELIST_MS		10000

/* A partition that may have something to read. */
typedef struct Candidate
{
	int			partition;
	TimestampTz attempted;
	int			rollbacks;
} Candidate;

/* A look at a topic. */
typedef struct Look
{
	const QtConsumeRequest *request;
	QtTopic    *topic;
	int			topic_id;		/* if it is one of several, else 0 */
	bool		probe;			/* only see whether there are records */
	QtRecordSink sink;
	void	   *sink_arg;
	int64		count;
	int64		bytes;
	bool		moved;			/* a position that this snapshot does not see */
	bool		wrote;			/* moved a position itself */
	QtGroupStatus status;		/* of the group; QT_GROUP_OPEN: as below */
	QtGroup		group;
} Look;

static bool look_and_wait(Look *looks, int look_count, int64 max_wait_ms);
static void look_at_topic(Look *look);
static void read_group(Look *look);
static bool is_full(const Look *look);
static void probe_without_group(Look *look);
static int	find_candidates(const Look *look, Candidate **candidates);
static int	compare_attempts(const void *a, const void *b);
static bool try_partition(Look *look, int partition);
static bool read_partition(Look *look, const QtPositionId *id);
static bool is_moved_since_snapshot(const QtPosition *position);
static void fetch_from(Look *look, int partition, int64 from_offset, QtFetchResult *result);
static void drop_record(void *arg, const QtRecord *record, const QtBatchSource *source);
static int	waits_for(const Look *looks, int look_count);
static long recheck_ms(const Look *looks, int look_count);
static bool is_gone(const Look *look);
static bool records_may_have_come(const Look *look);
static bool has_records(QtTopic *topic);
static QtPositionId position_id(const Look *look, int partition);
static Look *looks_of_group(const QtConsumeRequest *request, int *count);

int64
qt_consume(const QtConsumeRequest *request, QtRecordSink sink, void *arg)
{
	Look		look = {request, request->topic};

	look.sink = sink;
	look.sink_arg = arg;
	(void) look_and_wait(&look, 1, Min(request->max_wait_ms, qt_guc_max_wait));
	return look.count;
}

bool
qt_wait_for_records(const QtConsumeRequest *request)
{
	Look		look = {request, request->topic};
	int64		left = request->max_wait_ms;

	look.probe = true;
	look.sink = drop_record;
	if (request->topic != NULL)
		return look_and_wait(&look, 1, left);

	/* a topic may join the group meanwhile */
	for (;;)
	{
		int			count;
		Look	   *looks = looks_of_group(request, &count);
		bool		found = look_and_wait(looks, count, Min(left, RELIST_MS));

		pfree(looks);
		left -= RELIST_MS;
		if (found || left <= 0)
			return found;
	}
}

/* Look until something is found or the time is over. */
static bool
look_and_wait(Look *looks, int look_count, int64 max_wait_ms)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "qtopic look",
												  ALLOCSET_DEFAULT_SIZES);
	TimestampTz deadline = 0;
	bool		waiting = false;
	bool		found = false;

	for (;;)
	{
		bool		may_have_come = false;
		long		left;
		MemoryContext old = MemoryContextSwitchTo(context);

		for (int i = 0; i < look_count && !found; i++)
		{
			look_at_topic(&looks[i]);
			found = looks[i].count > 0;
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
		if (found || max_wait_ms <= 0 || IsolationUsesXactSnapshot() ||
			TransactionIdIsValid(GetTopTransactionIdIfAny()))
			break;

		if (!waiting)
		{
			int		   *wait_slots = palloc(sizeof(int) * look_count);

			/* look once more after we can be woken */
			for (int i = 0; i < look_count; i++)
				wait_slots[i] = looks[i].topic->wait_slot;
			qt_wakeup_register();
			deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), max_wait_ms);
			qt_wait_begin(wait_slots, look_count, waits_for(looks, look_count));
			waiting = true;
			continue;
		}

		/* records that cannot be there need no snapshot to be looked for */
		do
		{
			left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
			if (left > 0)
				qt_wait_sleep(Min(left, recheck_ms(looks, look_count)));
			for (int i = 0; i < look_count && !may_have_come; i++)
				may_have_come = records_may_have_come(&looks[i]);
		} while (left > 0 && !may_have_come);
		if (left <= 0)
			break;
	}

	if (waiting)
		qt_wait_end();
	MemoryContextDelete(context);
	return found;
}

/* One look, without waiting; keeps locks only if it found or wrote something. */
static void
look_at_topic(Look *look)
{
	bool		created = false;

	if (is_gone(look))
		return;
	look->wrote = false;
	look->status = qt_group_open(&look->group, look->request->group, look->topic, false);
	/* that something may come is no reason to write */
	if (look->status == QT_GROUP_MISSING && !look->probe && has_records(look->topic))
	{
		look->status = qt_group_open(&look->group, look->request->group, look->topic, true);
		created = look->status == QT_GROUP_OPEN;
	}
	if (look->status == QT_GROUP_OPEN)
	{
		qt_group_refuse_members(&look->group.row, look->probe);
		read_group(look);
		if (!look->wrote && !created)
			qt_group_close(&look->group);
	}
	else if (look->status == QT_GROUP_MISSING && look->probe)
		probe_without_group(look);
}

static void
read_group(Look *look)
{
	QtGroupStateKey key = qt_position_key(look->group.in_topic.gt_id, -1);
	Candidate  *candidates;
	int			count;
	int			tried = 0;
	int			held = 0;

	qt_group_state_attempt(&key, GetCurrentTimestamp());
	count = find_candidates(look, &candidates);
	look->moved = false;
	for (int i = 0; i < count && held < PARTITIONS_MAX && !is_full(look); i++)
	{
		/* one that made transactions fail must not fail others */
		bool		alone = candidates[i].rollbacks >= ALONE_ROLLBACKS;

		if (alone && look->count > 0)
			continue;
		tried++;
		if (try_partition(look, candidates[i].partition))
			held++;
		if (alone && look->count > 0)
			break;
		CHECK_FOR_INTERRUPTS();
	}
	pfree(candidates);

	if (look->moved && look->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to a concurrent move of positions"),
				 errdetail("Another transaction of consumer group \"%s\" has read topic \"%s\" since the snapshot was taken.",
						   look->request->group, look->topic->name),
				 errhint("The transaction might succeed if retried.")));

	/* what is left is for others */
	if (!look->probe && tried < count)
		qt_wait_wake_group(look->topic->wait_slot, look->group.in_topic.gt_id, count - tried);
}

static bool
is_full(const Look *look)
{
	return look->count >= (look->probe ? 1 : look->request->max_records) ||
		look->bytes >= look->request->max_bytes;
}

/* A new group will start at the beginning of the log. */
static void
probe_without_group(Look *look)
{
	for (int p = 0; p < look->topic->partition_count && look->count == 0; p++)
	{
		QtFetchResult result;

		fetch_from(look, p, 0, &result);
	}
}

/* The partitions to try, in order. */
static int
find_candidates(const Look *look, Candidate **candidates)
{
	QtTopic    *topic = look->topic;
	int			partitions = topic->partition_count;	/* may grow meanwhile */
	int			count = 0;

	*candidates = palloc(sizeof(Candidate) * partitions);
	for (int p = 0; p < partitions; p++)
	{
		QtPartition *partition = qt_topic_partition(topic, p);
		QtGroupStateKey key = qt_position_key(look->group.in_topic.gt_id, p);
		QtGroupState state;

		qt_group_state_read(&key, &state);
		/* one that has moved since the snapshot must be found out */
		if (state.position >= 0 && !IsolationUsesXactSnapshot() &&
			state.position >= qt_partition_next_offset(partition))
			continue;
		(*candidates)[count].partition = p;
		(*candidates)[count].rollbacks = state.rollbacks;
		(*candidates)[count++].attempted = state.attempted;
	}
	if (count > 1)
		qsort(*candidates, count, sizeof(Candidate), compare_attempts);
	return count;
}

static int
compare_attempts(const void *a, const void *b)
{
	const Candidate *left = a;
	const Candidate *right = b;

	if (left->attempted != right->attempted)
		return left->attempted < right->attempted ? -1 : 1;
	return left->partition - right->partition;
}

/* Read a partition unless somebody else does; true if its lock is kept. */
static bool
try_partition(Look *look, int partition)
{
	QtPositionId id = position_id(look, partition);
	QtGroupStateKey key = qt_position_key(id.gt_id, partition);

	if (!qt_position_try_lock(&id))
		return false;
	if (!look->probe)
		qt_group_state_attempt(&key, GetCurrentTimestamp());
	qt_debug_point("consume-locked");
	if (read_partition(look, &id))
		return true;
	qt_position_unlock(&id);
	return false;
}

/* With the partition locked; false if the position has not moved. */
static bool
read_partition(Look *look, const QtPositionId *id)
{
	QtGroupStateKey key = qt_position_key(id->gt_id, id->partition);
	QtPosition	position;
	QtFetchResult result;
	int64		from_offset;
	bool		moved;

	qt_group_catalog_read_position(id->gt_id, id->partition, true, &position);
	if (position.n > 0 && is_moved_since_snapshot(&position))
	{
		look->moved = true;
		return false;
	}
	from_offset = qt_group_start(&look->group, id->partition, &position, &moved);
	fetch_from(look, id->partition, from_offset, &result);
	if (look->probe && (result.count > 0 || moved))
		return false;
	qt_debug_point("consume-read");
	if (result.count > 0 || moved)
	{
		qt_position_move(id, &position, result.count > 0 ? result.next_offset : from_offset,
						 result.leader_epoch, NULL);
		look->wrote = true;
		return true;
	}

	/* not by what this transaction has changed and not committed */
	if (!TransactionIdIsValid(GetTopTransactionIdIfAny()))
		qt_group_state_found(&key, result.empty_to);
	return false;
}

/*
 * By its transaction, not its value: a position that was moved and moved back
 * was used by somebody whom this snapshot does not see.
 */
static bool
is_moved_since_snapshot(const QtPosition *position)
{
	return IsolationUsesXactSnapshot() &&
		!TransactionIdIsCurrentTransactionId(position->xmin) &&
		XidInMVCCSnapshot(position->xmin, GetTransactionSnapshot());
}

static void
fetch_from(Look *look, int partition, int64 from_offset, QtFetchResult *result)
{
	QtFetchRequest fetch = {look->topic, partition, from_offset};

	fetch.max_records = look->probe ? 1 : look->request->max_records - look->count;
	fetch.max_bytes = look->request->max_bytes - look->bytes;
	qt_fetch_once(&fetch, look->sink, look->sink_arg, result);
	look->count += result->count;
	look->bytes += result->bytes;
}

static void
drop_record(void *arg, const QtRecord *record, const QtBatchSource *source)
{
}

/* For whom the session waits: see waits.h. */
static int
waits_for(const Look *looks, int look_count)
{
	int			gt_id = looks[0].group.in_topic.gt_id;

	if (look_count != 1 || looks[0].status != QT_GROUP_OPEN)
		return QT_WAIT_ANY_GROUP;
	return looks[0].probe ? QT_WAIT_TO_TELL(gt_id) : gt_id;
}

static long
recheck_ms(const Look *looks, int look_count)
{
	for (int i = 0; i < look_count; i++)
		if (looks[i].status != QT_GROUP_OPEN)
			return RECHECK_GROUP_MS;
	return qt_worker_recheck_ms();
}

/* One of several topics that was dropped meanwhile is not waited for. */
static bool
is_gone(const Look *look)
{
	return look->topic_id != 0 && qt_topic_lookup_id(look->topic_id, true) != look->topic;
}

/* Is it worth while to look again?  Takes no snapshot or lock. */
static bool
records_may_have_come(const Look *look)
{
	QtTopic    *topic = look->topic;
	QtGroupStateKey use = qt_position_key(look->group.in_topic.gt_id, -1);

	AcceptInvalidationMessages();
	if (is_gone(look))
		return false;
	if (look->status == QT_GROUP_OPEN)
		qt_group_state_attempt(&use, GetCurrentTimestamp());	/* to wait is use */
	if (look->status == QT_GROUP_BUSY)
		return true;
	if (look->status == QT_GROUP_MISSING)
		return has_records(topic);
	qt_topic_refresh(topic);
	for (int p = 0; p < topic->partition_count; p++)
	{
		QtPartition *partition = qt_topic_partition(topic, p);
		QtGroupStateKey key = qt_position_key(look->group.in_topic.gt_id, p);
		QtGroupState state;

		qt_group_state_read(&key, &state);
		if (state.position < 0 ||
			state.position < qt_partition_next_offset(partition))
			return true;
	}
	return false;
}

/* Was anything ever appended that is still there? */
static bool
has_records(QtTopic *topic)
{
	qt_topic_refresh(topic);
	for (int p = 0; p < topic->partition_count; p++)
	{
		QtPartition *partition = qt_topic_partition(topic, p);

		if (qt_partition_next_offset(partition) > partition->log_start_offset)
			return true;
	}
	return false;
}

static QtPositionId
position_id(const Look *look, int partition)
{
	QtPositionId id = {look->group.in_topic.gt_id, look->topic, partition};

	return id;
}

/* One look for each topic of the group that the user may read. */
static Look *
looks_of_group(const QtConsumeRequest *request, int *count)
{
	QtGroupRow	row;
	List	   *topics;
	ListCell   *lc;
	Look	   *looks;

	qt_group_lookup(request->group, &row);
	topics = qt_group_catalog_topics(row.group_id);
	looks = palloc0(sizeof(Look) * Max(list_length(topics), 1));
	*count = 0;
	foreach(lc, topics)
	{
		QtGroupTopicRow *in_topic = lfirst(lc);
		QtTopic    *topic = qt_topic_lookup_id(in_topic->topic_id, true);

		if (topic == NULL || !qt_group_is_usable(&row, topic))
			continue;
		looks[*count].request = request;
		looks[*count].topic = topic;
		looks[*count].topic_id = in_topic->topic_id;
		looks[*count].probe = true;
		looks[(*count)++].sink = drop_record;
	}
	return looks;
}
