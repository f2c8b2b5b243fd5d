/*
 * member_state.c
 *		Shared memory of members: when they were last seen.
 *
 * A shared hash table of fixed size.  Entries of members that are no more are
 * swept by the worker, or when the table is full.
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "member_state.h"

/* Nobody is away for longer than the longest session and comes back. */
#define STALE_MS		(60 * 60 * 1000)

typedef struct Entry
{
	QtMemberKey key;			/* hash key */
	int			session_ms;
	bool		expired;
	TimestampTz last_seen;
} Entry;

static HTAB *table = NULL;
static LWLock *lock = NULL;

static Entry *enter(const QtMemberKey *key, int session_ms, TimestampTz now);
static int	compare_numbers(const void *a, const void *b);
static bool is_overdue(const Entry *entry, TimestampTz now);
static void sweep_stale(TimestampTz now);

Size
qt_member_state_shmem_size(void)
{
	return hash_estimate_size(qt_guc_max_members, sizeof(Entry));
}

void
qt_member_state_shmem_init(LWLock *given)
{
	HASHCTL		info = {0};

	lock = given;
	info.keysize = sizeof(QtMemberKey);
	info.entrysize = sizeof(Entry);
	table = ShmemInitHash("qtopic members", qt_guc_max_members, qt_guc_max_members,
						  &info, HASH_ELEM | HASH_BLOBS | HASH_FIXED_SIZE);
}

bool
qt_member_state_seen(const QtMemberKey *key, int session_ms, TimestampTz now)
{
	Entry	   *entry;
	bool		expired;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = enter(key, session_ms, now);
	expired = entry != NULL && entry->expired;
	if (entry != NULL && !expired)
		entry->last_seen = Max(entry->last_seen, now);
	LWLockRelease(lock);
	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many members of consumer groups"),
				 errdetail("At most %d members of all databases are possible.",
						   qt_guc_max_members),
				 errhint("Increase qtopic.max_members and restart the server.")));
	return !expired;
}

bool
qt_member_state_expire(const QtMemberKey *key, int session_ms, TimestampTz now)
{
	Entry	   *entry;
	bool		expired;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = enter(key, session_ms, now);
	expired = entry == NULL || is_overdue(entry, now);
	if (entry != NULL)
		entry->expired = expired;
	LWLockRelease(lock);
	return expired;
}

bool
qt_member_state_overdue(const QtMemberKey *key, int session_ms, TimestampTz now)
{
	Entry	   *entry;
	bool		overdue;

	LWLockAcquire(lock, LW_EXCLUSIVE);
	entry = enter(key, session_ms, now);
	overdue = entry == NULL || is_overdue(entry, now);
	LWLockRelease(lock);
	return overdue;
}

TimestampTz
qt_member_state_last_seen(const QtMemberKey *key)
{
	Entry	   *entry;
	TimestampTz last_seen;

	LWLockAcquire(lock, LW_SHARED);
	entry = hash_search(table, key, HASH_FIND, NULL);
	last_seen = entry ? entry->last_seen : 0;
	LWLockRelease(lock);
	return last_seen;
}

TimestampTz
qt_member_state_next_due(Oid database)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;
	TimestampTz due = DT_NOEND;

	LWLockAcquire(lock, LW_SHARED);
	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->key.database == database)
			due = Min(due, entry->expired ? 0 :
					  TimestampTzPlusMilliseconds(entry->last_seen, entry->session_ms));
	LWLockRelease(lock);
	return due;
}

bool
qt_member_state_is_full(void)
{
	bool		is_full;

	LWLockAcquire(lock, LW_SHARED);
	is_full = hash_get_num_entries(table) >= qt_guc_max_members;
	LWLockRelease(lock);
	return is_full;
}

void
qt_member_state_sweep(Oid database, Oid members, int *keep, int count,
					  TimestampTz before)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	qsort(keep, count, sizeof(int), compare_numbers);
	LWLockAcquire(lock, LW_EXCLUSIVE);
	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->key.database != database)
			continue;
		if (entry->key.members == members &&
			(entry->last_seen >= before ||
			 bsearch(&entry->key.member_no, keep, count, sizeof(int), compare_numbers)))
			continue;
		(void) hash_search(table, &entry->key, HASH_REMOVE, NULL);
	}
	LWLockRelease(lock);
}

static int
compare_numbers(const void *a, const void *b)
{
	return *(const int *) a < *(const int *) b ? -1 : *(const int *) a > *(const int *) b;
}

/* The entry of a member, made if need be; NULL if the table is full. */
static Entry *
enter(const QtMemberKey *key, int session_ms, TimestampTz now)
{
	Entry	   *entry = hash_search(table, key, HASH_FIND, NULL);

	if (entry == NULL)
	{
		if (hash_get_num_entries(table) >= qt_guc_max_members)
			sweep_stale(now);
		if (hash_get_num_entries(table) < qt_guc_max_members)
			entry = hash_search(table, key, HASH_ENTER_NULL, NULL);
		if (entry == NULL)
			return NULL;
		entry->expired = false;
		entry->last_seen = GetCurrentTimestamp();
	}
	entry->session_ms = session_ms;
	return entry;
}

static bool
is_overdue(const Entry *entry, TimestampTz now)
{
	return entry->expired ||
		now >= TimestampTzPlusMilliseconds(entry->last_seen, entry->session_ms);
}

static void
sweep_stale(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, table);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (now >= TimestampTzPlusMilliseconds(entry->last_seen, STALE_MS))
			(void) hash_search(table, &entry->key, HASH_REMOVE, NULL);
}
