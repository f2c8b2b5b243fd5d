/*
 * poll.c
 *		Reading as a member of a consumer group.
 *
 * Every look begins at the committed position, so that a lost answer loses no
 * records.  No lock is taken but on a position that has to be set because it
 * is out of range.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "membership.h"
#include "poll.h"
#include "position.h"
#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"
#include "worker_slots.h"

/* A member that is woken without records looks at its group no more often. */
#define LOOK_MS			1000

/* A partition that the member owns, in the order in which it is read. */
typedef struct Candidate
{
	QtOwnedPartition *owned;
	TimestampTz attempted;
	int64		empty_to;		/* no records were below */
} Candidate;

typedef struct Look
{
	const QtPollRequest *request;
	QtRecordSink sink;
	void	   *sink_arg;
	QtMember	member;
	Candidate  *candidates;
	int			count;			/* of candidates */
	int64		records;
	int64		bytes;
	TimestampTz at;
} Look;

static void look_at_partitions(Look *look);
static void find_candidates(Look *look);
static int	compare_attempts(const void *a, const void *b);
static void read_partition(Look *look, Candidate *candidate);
static bool find_start(Look *look, const QtPositionId *id, QtGroup *group, int64 *from_offset);
static void unlock_position(const QtPositionId *id);
static bool read_position(const QtPositionId *id, QtPosition *position);
static bool must_return(const Look *look);
static void begin_wait(const Look *look);
static void sleep_until_news(const Look *look, TimestampTz deadline);
static bool records_may_have_come(const Look *look);

int64
qt_poll(const QtPollRequest *request, QtRecordSink sink, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "qtopic look",
												  ALLOCSET_DEFAULT_SIZES);
	int64		wait_ms = Min(request->max_wait_ms, qt_guc_max_wait);
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait_ms);
	bool		waiting = false;
	Look		look = {request, sink, arg};

	for (;;)
	{
		MemoryContext old;

		MemoryContextReset(context);
		old = MemoryContextSwitchTo(context);
		look_at_partitions(&look);
		MemoryContextSwitchTo(old);
		if (look.records > 0 || look.at >= deadline || must_return(&look))
			break;

		/* look once more after we can be woken */
		if (waiting)
			sleep_until_news(&look, deadline);
		else
			begin_wait(&look);
		waiting = true;
	}
	if (waiting)
		qt_wait_end();
	MemoryContextDelete(context);
	return look.records;
}

static void
look_at_partitions(Look *look)
{
	const QtPollRequest *request = look->request;

	look->at = GetCurrentTimestamp();
	qt_member_present(&look->member, request->group, request->member_id, request->epoch);
	find_candidates(look);
	for (int i = 0; i < look->count; i++)
		if (look->records < request->max_records && look->bytes < request->max_bytes)
			read_partition(look, &look->candidates[i]);
}

/* Those that were not read for the longest time first. */
static void
find_candidates(Look *look)
{
	const QtMember *member = &look->member;

	look->candidates = palloc(sizeof(Candidate) * Max(member->owned_count, 1));
	look->count = 0;
	for (int i = 0; i < member->owned_count; i++)
	{
		QtOwnedPartition *owned = &member->owned[i];
		QtGroupStateKey key = qt_position_key(owned->in_topic->gt_id, owned->partition);
		QtGroupState state;

		/* those it does not know of yet, and those of the next epoch, are not its own */
		if (owned->since_epoch > look->request->epoch)
			continue;
		qt_topic_check_right(owned->topic, ACL_SELECT);
		qt_group_state_read(&key, &state);
		look->candidates[look->count++] = (Candidate) {owned, state.attempted, -1};
	}
	qsort(look->candidates, look->count, sizeof(Candidate), compare_attempts);
}

static int
compare_attempts(const void *a, const void *b)
{
	const Candidate *left = a;
	const Candidate *right = b;

	if (left->attempted != right->attempted)
		return left->attempted < right->attempted ? -1 : 1;
	return left->owned < right->owned ? -1 : left->owned > right->owned;
}

static void
read_partition(Look *look, Candidate *candidate)
{
	QtOwnedPartition *owned = candidate->owned;
	QtPositionId id = {owned->in_topic->gt_id, owned->topic, owned->partition};
	QtGroupStateKey key = qt_position_key(id.gt_id, id.partition);
	QtGroup		group = {look->request->group, owned->topic};
	QtFetchRequest fetch = {owned->topic, owned->partition};
	QtFetchResult result;

	qt_topic_refresh(owned->topic);
	group.row = look->member.group;
	group.in_topic = *owned->in_topic;
	if (!find_start(look, &id, &group, &fetch.from_offset))
		return;
	fetch.max_records = look->request->max_records - look->records;
	fetch.max_bytes = look->request->max_bytes - look->bytes;
	qt_fetch_once(&fetch, look->sink, look->sink_arg, &result);
	candidate->empty_to = result.count > 0 ? result.next_offset : result.empty_to;
	if (result.count > 0)
		qt_group_state_attempt(&key, look->at);
	look->records += result.count;
	look->bytes += result.bytes;
}

/*
 * Where to read.  A position that the group's policy sets is set at once, or
 * "latest" would be later the next time.  False if somebody else is at it.
 */
static bool
find_start(Look *look, const QtPositionId *id, QtGroup *group, int64 *from_offset)
{
	QtPosition	position;
	bool		moved;

	if (!read_position(id, &position))
		return false;
	if (qt_group_has_start(group, id->partition, &position, from_offset))
		return true;

	/* as all who move positions, to the end of the transaction */
	if (!ConditionalLockRelationOid(id->topic->relation, AccessShareLock))
		return false;
	qt_topic_refresh(id->topic);
	if (!qt_position_try_lock(id))
	{
		UnlockRelationOid(id->topic->relation, AccessShareLock);
		return false;
	}
	if (!qt_member_owns(&look->member, look->request->epoch, id))
	{
		unlock_position(id);
		return false;
	}
	qt_group_catalog_read_position(id->gt_id, id->partition, true, &position);
	*from_offset = qt_group_start(group, id->partition, &position, &moved);
	if (moved)
		qt_position_move(id, &position, *from_offset, 0, NULL);
	else
		unlock_position(id);
	return true;
}

static void
unlock_position(const QtPositionId *id)
{
	qt_position_unlock(id);
	UnlockRelationOid(id->topic->relation, AccessShareLock);
}

/*
 * Without its lock a position is read with an MVCC snapshot, which SERIALIZABLE
 * watches: members of different partitions would fail each other.
 */
static bool
read_position(const QtPositionId *id, QtPosition *position)
{
	bool		lock = IsolationIsSerializable();

	if (lock && !qt_position_try_lock(id))
		return false;
	qt_group_catalog_read_position(id->gt_id, id->partition, lock, position);
	if (lock)
		qt_position_unlock(id);
	return true;
}

/* Is there a reason not to wait? */
static bool
must_return(const Look *look)
{
	return IsolationUsesXactSnapshot() || TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		look->member.group.group_epoch > look->request->epoch;
}

static void
begin_wait(const Look *look)
{
	int			count = look->member.topic_count;
	int		   *wait_slots = palloc(sizeof(int) * Max(count, 1));

	for (int i = 0; i < count; i++)
		wait_slots[i] = look->member.topics[i]->wait_slot;
	qt_wakeup_register();
	qt_wait_begin(wait_slots, count, 0);
	pfree(wait_slots);
}

/* Until there may be records, or it is time to look at the group. */
static void
sleep_until_news(const Look *look, TimestampTz deadline)
{
	/* nobody wakes for a partition that its last owner has let go */
	long		look_ms = look->member.needs_care ? LOOK_MS :
		Min(qt_worker_recheck_ms(), look->member.row.session_ms / 3);
	TimestampTz look_again = Min(TimestampTzPlusMilliseconds(look->at, look_ms), deadline);
	bool		woken = false;

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (now >= look_again || (woken && records_may_have_come(look)))
			return;
		qt_wait_sleep(TimestampDifferenceMilliseconds(now, look_again));

		/* or news of the group, which are not looked for each time */
		woken = true;
		look_again = Min(look_again, TimestampTzPlusMilliseconds(look->at, LOOK_MS));
	}
}

/* Takes no snapshot. */
static bool
records_may_have_come(const Look *look)
{
	AcceptInvalidationMessages();
	for (int i = 0; i < look->count; i++)
	{
		QtOwnedPartition *owned = look->candidates[i].owned;

		/* what has become of the topic is for the look to find out */
		if (!owned->topic->valid || qt_partition_next_offset(qt_topic_partition(owned->topic, owned->partition)) >
			look->candidates[i].empty_to)
			return true;
	}
	return false;
}
