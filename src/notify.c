/*
 * notify.c
 *		Notifications of new records, sent by the worker of a database.
 *
 * A transaction that appended moves the generation of its topics' wait slots
 * when it ends, so a topic whose generation stands has no news.  Of one that
 * has, only partitions are read that are in use and whose next offset is past
 * what was announced.  What is announced is the last stable offset, so a
 * record behind an open transaction is announced when that one ends, which
 * moves the generation again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "fetch.h"
#include "notify.h"
#include "qtopic.h"
#include "shmem.h"
#include "topic.h"
#include "topic_cache.h"
#include "waits.h"

#define CHANNEL_PREFIX	"qtopic_"

/* The core refuses a payload of 8,000 bytes; one entry has at most 40. */
#define PAYLOAD_BYTES_MAX	7900

/* A topic that somebody has locked, or that cannot be read, is left alone. */
#define RETRY_MS		5000

typedef struct NotifyPartition
{
	Oid			sequence;		/* InvalidOid: not looked up yet */
	int64		announced;		/* last stable offset sent last, or -1 */
} NotifyPartition;

typedef struct NotifyTopic
{
	int			topic_id;		/* hash key */
	char		name[QT_TOPIC_NAME_MAX + 1];
	bool		listed;
	int			wait_slot;
	bool		looked;			/* generation is set */
	uint64		generation;
	TimestampTz retry;			/* not before; 0: no failure */
	int			partition_count;
	NotifyPartition *partitions;
} NotifyTopic;

static MemoryContext context = NULL;
static HTAB *topics = NULL;
static uint64 listed_changes;
static TimestampTz next_retry = DT_NOEND;

static void list_topics(void);
static void list_topic(int topic_id, const char *name);
static void look_at(NotifyTopic *topic, TimestampTz now);
static void announce(NotifyTopic *topic);
static void fit_partitions(NotifyTopic *topic, int count);
static bool may_have_news(NotifyTopic *topic, int partition);

void
qt_notify_send(TimestampTz now)
{
	HASH_SEQ_STATUS status;
	NotifyTopic *topic;

	list_topics();
	next_retry = DT_NOEND;
	hash_seq_init(&status, topics);
	while ((topic = hash_seq_search(&status)) != NULL)
	{
		if (topic->retry <= now &&
			!(topic->looked && topic->generation == qt_wait_generation(topic->wait_slot)))
			look_at(topic, now);
		if (topic->retry > now)
			next_retry = Min(next_retry, topic->retry);
	}
}

TimestampTz
qt_notify_retry(void)
{
	return next_retry;
}

void
qt_notify_reset(void)
{
	if (context != NULL)
		MemoryContextDelete(context);
	context = NULL;
	topics = NULL;
	next_retry = DT_NOEND;
}

/* Bring the list of topics up to date, if topics have changed. */
static void
list_topics(void)
{
	uint64		changes = qt_topic_changes();
	HASH_SEQ_STATUS status;
	NotifyTopic *topic;
	HASHCTL		info = {0};

	if (topics != NULL && listed_changes == changes)
		return;
	if (topics == NULL)
	{
		context = AllocSetContextCreate(TopMemoryContext, "qtopic notify",
										ALLOCSET_DEFAULT_SIZES);
		info.keysize = sizeof(int);
		info.entrysize = sizeof(NotifyTopic);
		info.hcxt = context;
		topics = hash_create("qtopic notify topics", 64, &info,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}

	hash_seq_init(&status, topics);
	while ((topic = hash_seq_search(&status)) != NULL)
		topic->listed = false;

	SPI_connect();
	if (SPI_execute("SELECT topic_id, name FROM qtopic_internal.topics", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot list topics");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		int			topic_id = DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[i],
														   SPI_tuptable->tupdesc, 1, &isnull));

		list_topic(topic_id, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
	}
	SPI_finish();

	hash_seq_init(&status, topics);
	while ((topic = hash_seq_search(&status)) != NULL)
		if (!topic->listed)
		{
			if (topic->partitions)
				pfree(topic->partitions);
			(void) hash_search(topics, &topic->topic_id, HASH_REMOVE, NULL);
		}
	listed_changes = changes;
}

/* A topic keeps its identifier, and its name for life. */
static void
list_topic(int topic_id, const char *name)
{
	bool		found;
	NotifyTopic *topic = hash_search(topics, &topic_id, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) topic + sizeof(int), 0, sizeof(NotifyTopic) - sizeof(int));
		strlcpy(topic->name, name, sizeof(topic->name));
		topic->wait_slot = qt_wait_slot(topic_id);
	}
	topic->listed = true;
}

/*
 * Read a topic in a subtransaction: one that somebody has locked does not keep
 * the others waiting for more than the lock timeout.
 */
static void
look_at(NotifyTopic *topic, TimestampTz now)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	uint64		generation = qt_wait_generation(topic->wait_slot);

	/* what we read next is not older */
	pg_memory_barrier();
	topic->retry = 0;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		announce(topic);
		ReleaseCurrentSubTransaction();
		topic->looked = true;
		topic->generation = generation;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE)
			ereport(LOG,
					(errcode(error->sqlerrcode),
					 errmsg("could not look for news of topic \"%s\": %s",
							topic->name, error->message)));
		FreeErrorData(error);
		for (int i = 0; i < topic->partition_count; i++)
			topic->partitions[i].announced = -1;
		topic->looked = false;
		topic->retry = TimestampTzPlusMilliseconds(now, RETRY_MS);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

/* Notify of the partitions of a topic whose last stable offset has moved. */
static void
announce(NotifyTopic *notify)
{
	QtTopic    *topic = qt_topic_lookup(notify->name, true);
	StringInfoData payload;
	NameData	channel;
	char		name[sizeof(CHANNEL_PREFIX) + QT_TOPIC_NAME_MAX];
	int			count;

	if (topic == NULL || topic->id != notify->topic_id || !topic->config.notify)
		return;
	count = topic->partition_count;
	fit_partitions(notify, count);
	snprintf(name, sizeof(name), CHANNEL_PREFIX "%s", notify->name);
	qt_topic_fit_name(&channel, name);

	initStringInfo(&payload);
	for (int i = 0; i < count; i++)
	{
		QtPartitionState state;

		if (may_have_news(notify, i))
		{
			qt_partition_state(topic, i, &state);
			if (state.last_stable_offset > Max(notify->partitions[i].announced,
											   state.log_start_offset))
			{
				appendStringInfo(&payload, "%s\"%d\":%lld",
								 payload.len == 0 ? "{\"partitions\":{" : ",", i,
								 (long long) state.last_stable_offset);
				notify->partitions[i].announced = state.last_stable_offset;
			}
			CHECK_FOR_INTERRUPTS();
		}
		if (payload.len > PAYLOAD_BYTES_MAX || (payload.len > 0 && i == count - 1))
		{
			appendStringInfoString(&payload, "}}");
			Async_Notify(NameStr(channel), payload.data);
			resetStringInfo(&payload);
		}
	}
	pfree(payload.data);
}

static void
fit_partitions(NotifyTopic *topic, int count)
{
	NotifyPartition *partitions;

	if (count <= topic->partition_count)
		return;
	partitions = MemoryContextAllocZero(context, count * sizeof(NotifyPartition));
	for (int i = 0; i < count; i++)
		if (i < topic->partition_count)
			partitions[i] = topic->partitions[i];
		else
			partitions[i].announced = -1;
	if (topic->partitions)
		pfree(topic->partitions);
	topic->partitions = partitions;
	topic->partition_count = count;
}

/*
 * A partition without a slot in shared memory has not been used since the
 * server was started; to ask must not make one, as there are not many.
 */
static bool
may_have_news(NotifyTopic *topic, int number)
{
	NotifyPartition *partition = &topic->partitions[number];
	QtPartitionKey key = {0};
	QtPartitionSlot *slot;

	if (!OidIsValid(partition->sequence))
	{
		NameData	name;

		qt_catalog_sequence_name(&name, topic->topic_id, number);
		partition->sequence = qt_catalog_table(NameStr(name));
	}
	key.database = MyDatabaseId;
	key.sequence = partition->sequence;
	key.topic_id = topic->topic_id;
	key.partition = number;
	slot = qt_slot_find(&key);
	return slot != NULL &&
		(int64) pg_atomic_read_u64(&slot->next_offset) > partition->announced;
}
