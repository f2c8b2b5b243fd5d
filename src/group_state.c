/*
 * group_state.c
 *		Shared memory of consumer groups: what they know of partitions.
 *
 * A hash table of fixed size with open addressing: a key is in one of a few
 * neighbouring entries.  If all of them are taken, the one that was tried
 * longest ago is given away.  Each access locks one entry at a time; who makes
 * an entry holds another lock, so that no key gets two.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "group_state.h"
#include "guc.h"
#include "qtopic.h"

/* In how many entries a key may be. */
#define NEIGHBOURS		8

typedef struct Entry
{
	slock_t		lock;
	bool		in_use;
	QtGroupStateKey key;
	QtGroupState state;
} Entry;

typedef struct Table
{
	slock_t		making;			/* held while an entry is made; taken first */
	Entry		entries[FLEXIBLE_ARRAY_MEMBER];
} Table;

static Table *table = NULL;

static Entry *lock_entry(const QtGroupStateKey *key, bool create);
static Entry *find_entry(const QtGroupStateKey *key, Entry **victim);

Size
qt_group_state_shmem_size(void)
{
	return add_size(offsetof(Table, entries),
					mul_size(qt_guc_max_group_partitions, sizeof(Entry)));
}

void
qt_group_state_shmem_init(void)
{
	bool		found;

	table = ShmemInitStruct("qtopic group partitions", qt_group_state_shmem_size(), &found);
	if (found)
		return;
	memset(table, 0, qt_group_state_shmem_size());
	SpinLockInit(&table->making);
	for (int i = 0; i < qt_guc_max_group_partitions; i++)
		SpinLockInit(&table->entries[i].lock);
}

void
qt_group_state_read(const QtGroupStateKey *key, QtGroupState *state)
{
	Entry	   *entry = lock_entry(key, false);

	if (entry == NULL)
	{
		memset(state, 0, sizeof(*state));
		state->position = -1;
		return;
	}
	*state = entry->state;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_attempt(const QtGroupStateKey *key, TimestampTz now)
{
	Entry	   *entry = lock_entry(key, true);

	entry->state.attempted = now;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_forget(const QtGroupStateKey *key)
{
	Entry	   *entry = lock_entry(key, false);

	if (entry == NULL)
		return;
	entry->state.position = -1;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_found(const QtGroupStateKey *key, int64 position)
{
	Entry	   *entry = lock_entry(key, true);

	entry->state.position = position;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_moved(const QtGroupStateKey *key, int64 position)
{
	Entry	   *entry = lock_entry(key, true);

	entry->state.position = position;
	entry->state.rollbacks = 0;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_rolled_back(const QtGroupStateKey *key)
{
	Entry	   *entry = lock_entry(key, true);

	entry->state.rollbacks++;
	SpinLockRelease(&entry->lock);
}

void
qt_group_state_refuse(const QtGroupStateKey *key)
{
	Entry	   *entry = lock_entry(key, true);

	entry->state.refused = true;
	SpinLockRelease(&entry->lock);
}

bool
qt_group_state_take_refused(const QtGroupStateKey *key)
{
	Entry	   *entry = lock_entry(key, false);
	bool		refused = false;

	if (entry == NULL)
		return false;
	refused = entry->state.refused;
	entry->state.refused = false;
	SpinLockRelease(&entry->lock);
	return refused;
}

/* The entry of a key, locked; NULL if there is none and it is not to be made. */
static Entry *
lock_entry(const QtGroupStateKey *key, bool create)
{
	Entry	   *victim;
	Entry	   *entry = find_entry(key, &victim);

	if (entry != NULL || !create)
		return entry;

	SpinLockAcquire(&table->making);
	entry = find_entry(key, &victim);
	if (entry == NULL)
	{
		entry = victim;
		SpinLockAcquire(&entry->lock);
		entry->in_use = true;
		entry->key = *key;
		memset(&entry->state, 0, sizeof(entry->state));
		entry->state.position = -1;
	}
	SpinLockRelease(&table->making);
	return entry;
}

/* The entry of a key, locked, or NULL and one that may be given to it. */
static Entry *
find_entry(const QtGroupStateKey *key, Entry **victim)
{
	uint32		hash = hash_bytes((const unsigned char *) key, sizeof(*key));
	TimestampTz oldest = PG_INT64_MAX;

	for (int i = 0; i < NEIGHBOURS; i++)
	{
		Entry	   *entry = &table->entries[(hash + i) % qt_guc_max_group_partitions];
		TimestampTz attempted;

		SpinLockAcquire(&entry->lock);
		if (entry->in_use && memcmp(&entry->key, key, sizeof(*key)) == 0)
			return entry;
		attempted = entry->in_use ? entry->state.attempted : PG_INT64_MIN;
		if (attempted < oldest)
		{
			oldest = attempted;
			*victim = entry;
		}
		SpinLockRelease(&entry->lock);
	}
	return NULL;
}
