/*
 * stop_set.c
 *		What a snapshot has learned about partitions.
 *
 * All of it belongs to the transaction.  A set is kept while an executor state
 * uses it; some more are, since a function that is called once for each row
 * has a new state each time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "qtopic.h"
#include "stop_set.h"

/* Sets that nobody uses. */
#define UNUSED_MAX	16

typedef struct StopSet
{
	SnapshotData snapshot;		/* what it sees; arrays as below */
	TransactionId *xids;		/* xip, then subxip */
	HTAB	   *stops;
	MemoryContext context;		/* of all this */
	int			users;
	bool		of_transaction; /* kept to its end */
	uint64		used;			/* when it was looked for last */
	struct StopSet *next;
} StopSet;

/* A user of a set; in the memory of the executor's state. */
typedef struct SetUser
{
	MemoryContextCallback callback;
	EState	   *estate;
	StopSet    *set;
	struct SetUser *next;
} SetUser;

static MemoryContext sets_context = NULL;
static StopSet *sets = NULL;
static SetUser *set_users = NULL;
static uint64 uses = 0;

static StopSet *find_set(Snapshot snapshot);
static int	subxids_of(Snapshot snapshot);
static bool is_same(const StopSet *set, Snapshot snapshot);
static StopSet *make_set(Snapshot snapshot);
static void remove_unused(void);
static void use_set(StopSet *set, EState *estate);
static void end_use(void *arg);
static void forget_sets(void *arg);

QtStop *
qt_stop_find(Snapshot snapshot, EState *estate, Oid sequence)
{
	StopSet    *set = find_set(snapshot);
	QtStop	   *stop;
	bool		found;

	if (set == NULL)
		set = make_set(snapshot);
	set->used = ++uses;
	if (estate)
		use_set(set, estate);
	else
		set->of_transaction = true;

	stop = hash_search(set->stops, &sequence, HASH_ENTER, &found);
	if (!found)
	{
		stop->bound = PG_INT64_MAX;
		stop->bound_base = 0;
		stop->settled = 0;
		stop->log_start = -1;
	}
	return stop;
}

static StopSet *
find_set(Snapshot snapshot)
{
	for (StopSet *set = sets; set != NULL; set = set->next)
		if (is_same(set, snapshot))
			return set;
	return NULL;
}

/* A copied snapshot that has overflowed counts subtransactions that it lacks. */
static int
subxids_of(Snapshot snapshot)
{
	return snapshot->suboverflowed && !snapshot->takenDuringRecovery ? 0 :
		Max(snapshot->subxcnt, 0);
}

/* Do two snapshots see the same transactions? */
static bool
is_same(const StopSet *set, Snapshot snapshot)
{
	const SnapshotData *known = &set->snapshot;

	return known->xmin == snapshot->xmin && known->xmax == snapshot->xmax &&
		known->xcnt == snapshot->xcnt && known->subxcnt == subxids_of(snapshot) &&
		known->suboverflowed == snapshot->suboverflowed &&
		known->takenDuringRecovery == snapshot->takenDuringRecovery &&
		memcmp(set->xids, snapshot->xip, sizeof(TransactionId) * known->xcnt) == 0 &&
		memcmp(set->xids + known->xcnt, snapshot->subxip,
			   sizeof(TransactionId) * known->subxcnt) == 0;
}

static StopSet *
make_set(Snapshot snapshot)
{
	MemoryContext context;
	StopSet    *set;
	HASHCTL		info = {0};

	if (sets_context == NULL)
	{
		MemoryContextCallback *callback;

		context = AllocSetContextCreate(TopTransactionContext, "qtopic stop sets",
										ALLOCSET_SMALL_SIZES);
		callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
		callback->func = forget_sets;
		callback->arg = NULL;
		MemoryContextRegisterResetCallback(context, callback);
		sets_context = context;
	}
	remove_unused();

	context = AllocSetContextCreate(sets_context, "qtopic stop set", ALLOCSET_SMALL_SIZES);
	set = MemoryContextAllocZero(context, sizeof(StopSet));
	set->context = context;
	set->snapshot = *snapshot;
	set->snapshot.subxcnt = subxids_of(snapshot);
	set->xids = MemoryContextAlloc(context, sizeof(TransactionId) *
								   (snapshot->xcnt + set->snapshot.subxcnt + 1));
	if (snapshot->xcnt > 0)
		memcpy(set->xids, snapshot->xip, sizeof(TransactionId) * snapshot->xcnt);
	if (set->snapshot.subxcnt > 0)
		memcpy(set->xids + snapshot->xcnt, snapshot->subxip,
			   sizeof(TransactionId) * set->snapshot.subxcnt);

	info.keysize = sizeof(Oid);
	info.entrysize = sizeof(QtStop);
	info.hcxt = context;
	set->stops = hash_create("qtopic stops", 8, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	set->next = sets;
	sets = set;
	return set;
}

/* Make room: the one that nobody has looked for the longest. */
static void
remove_unused(void)
{
	StopSet   **oldest = NULL;
	StopSet    *set;
	int			unused = 0;

	for (StopSet **link = &sets; *link != NULL; link = &(*link)->next)
	{
		if ((*link)->users > 0 || (*link)->of_transaction)
			continue;
		unused++;
		if (oldest == NULL || (*link)->used < (*oldest)->used)
			oldest = link;
	}
	if (unused < UNUSED_MAX)
		return;
	set = *oldest;
	*oldest = set->next;
	MemoryContextDelete(set->context);
}

/* Keep a set as long as the executor's state. */
static void
use_set(StopSet *set, EState *estate)
{
	SetUser    *user;

	for (user = set_users; user != NULL; user = user->next)
		if (user->estate == estate && user->set == set)
			return;
	user = MemoryContextAlloc(estate->es_query_cxt, sizeof(SetUser));
	user->estate = estate;
	user->set = set;
	user->callback.func = end_use;
	user->callback.arg = user;
	user->next = set_users;
	set_users = user;
	set->users++;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &user->callback);
}

/* The memory of an executor's state goes away. */
static void
end_use(void *arg)
{
	for (SetUser **link = &set_users; *link != NULL; link = &(*link)->next)
		if (*link == arg)
		{
			(*link)->set->users--;
			*link = (*link)->next;
			return;
		}
}

/* The transaction ends. */
static void
forget_sets(void *arg)
{
	sets_context = NULL;
	sets = NULL;
	set_users = NULL;
}
