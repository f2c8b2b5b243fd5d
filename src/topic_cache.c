/*
 * topic_cache.c
 *		What this session knows of topics and partitions.
 *
 * The catalog tables are ordinary tables and send no invalidation of their
 * own: whoever changes a topic invalidates the relcache entry of
 * qtopic_internal.topics (all topics) or of the topic's partitioned table
 * (that topic).  The callback only sets flags.  An entry is marked valid
 * before the catalog is read, so that a change in between is not lost.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "debug_point.h"
#include "offset_sequence.h"
#include "qtopic.h"
#include "topic_cache.h"
#include "waits.h"

/* A rebuild that is overtaken by invalidations this often is given up. */
#define REBUILD_TRIES_MAX	100

static HTAB *topics = NULL;
static Oid	topics_table = InvalidOid;	/* qtopic_internal.topics */
static Oid	positions_table = InvalidOid;	/* .positions; invalid: not known */
static uint64 changes = 0;

static void init_cache(void);
static void invalidate(Datum arg, Oid relid);
static void topic_missing(const char *name);
static bool rebuild(QtTopic *topic);
static bool has_stale_segment(const QtPartition *partition);
static Oid	find_relation(const char *relation);
static bool is_trusted_owner(Oid relid);
static QtPartitionSlot *find_slot(const QtPartitionKey *key, int highest_segment);
static QtSettledHint settled_at_start(int64 next_offset);
static bool prepared_transaction_exists(void);
static bool partition_is_dead(const QtPartitionKey *key, uint64 dropped_by);

QtTopic *
qt_topic_lookup(const char *name, bool missing_ok)
{
	QtTopic    *topic;
	bool		found;

	qt_shmem_require();
	if (topics == NULL)
		init_cache();
	AcceptInvalidationMessages();

	if (strlen(name) > QT_TOPIC_NAME_MAX)
		topic = NULL;
	else
	{
		topic = hash_search(topics, name, HASH_ENTER, &found);
		if (!found)
		{
			memset((char *) topic + sizeof(topic->name), 0,
				   sizeof(QtTopic) - sizeof(topic->name));
			topic->sticky_partition = -1;
		}
		if (!rebuild(topic))
		{
			if (topic->context)
				MemoryContextDelete(topic->context);
			(void) hash_search(topics, name, HASH_REMOVE, NULL);
			topic = NULL;
		}
	}

	if (topic == NULL && !missing_ok)
		topic_missing(name);
	return topic;
}

QtTopic *
qt_topic_lookup_id(int topic_id, bool missing_ok)
{
	QtTopic    *topic = NULL;
	QtTopicRow	row;

	qt_shmem_require();
	if (topics != NULL)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, topics);
		while ((topic = hash_seq_search(&status)) != NULL)
			if (topic->valid && topic->id == topic_id)
			{
				hash_seq_term(&status);
				return topic;
			}
	}

	if (qt_catalog_get_topic(topic_id, &row))
		topic = qt_topic_lookup(row.name, true);
	if (topic != NULL && topic->id != topic_id)
		topic = NULL;
	if (topic == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic with identifier %d does not exist", topic_id)));
	return topic;
}

uint64
qt_topic_changes(void)
{
	qt_shmem_require();
	if (topics == NULL)
		init_cache();
	AcceptInvalidationMessages();
	return changes;
}

void
qt_topic_refresh(QtTopic *topic)
{
	int			id = topic->id;

	if (!rebuild(topic) || topic->id != id)
		topic_missing(topic->name);
}

QtPartition *
qt_topic_partition(QtTopic *topic, int partition)
{
	qt_topic_check_partition(topic, partition);
	if (!topic->partitions[partition].loaded ||
		has_stale_segment(&topic->partitions[partition]))
		qt_topic_reload_partition(topic, partition);
	return &topic->partitions[partition];
}

/*
 * Is a segment in the list that a transaction of this session made, which has
 * ended?  If it rolled back, the segment is not there any more.
 */
static bool
has_stale_segment(const QtPartition *partition)
{
	for (int i = 0; i < partition->segment_count; i++)
		if (TransactionIdIsValid(partition->segments[i].made_by) &&
			!TransactionIdIsCurrentTransactionId(partition->segments[i].made_by))
			return true;
	return false;
}

Oid
qt_positions_table(void)
{
	Oid			table = positions_table;

	if (topics == NULL)
		init_cache();
	if (!OidIsValid(table))
		table = positions_table = qt_catalog_table("positions");
	return table;
}

int64
qt_partition_next_offset(const QtPartition *partition)
{
	int64		next_offset = qt_slot_next_offset(partition->slot, &partition->key);

	if (next_offset == PG_INT64_MAX && !RecoveryInProgress())
	{
		qt_slot_raise_next_offset(partition->slot, &partition->key,
								  qt_sequence_peek(partition->key.sequence));
		next_offset = qt_slot_next_offset(partition->slot, &partition->key);
	}
	return next_offset;
}

void
qt_topic_reload_partition(QtTopic *topic, int number)
{
	QtPartition *partition;
	QtPartitionRow row;
	QtPartitionKey key;
	QtPartitionSlot *slot;
	MemoryContext old;

	for (;;)
	{
		qt_topic_refresh(topic);
		qt_topic_check_partition(topic, number);

		/*
		 * The slot comes after the catalog row, so that a slot that is made
		 * here starts with a segment list that is not older than the slot.
		 */
		if (qt_catalog_get_partition(topic->id, number, &row) &&
			OidIsValid(row.sequence) && row.segment_count > 0)
		{
			memset(&key, 0, sizeof(key));
			key.database = MyDatabaseId;
			key.sequence = row.sequence;
			key.topic_id = topic->id;
			key.partition = number;
			slot = find_slot(&key, row.segments[row.segment_count - 1].ordinal);
			if (topic->valid)
				break;
		}
		else if (topic->valid)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("storage of topic \"%s\", partition %d is incomplete",
							topic->name, number),
					 errhint("The storage was changed behind qtopic or restored in part; restore it from a backup.")));
	}

	/* no invalidation can come in below */
	partition = &topic->partitions[number];
	old = MemoryContextSwitchTo(topic->context);
	if (partition->segments)
		pfree(partition->segments);
	partition->segments = palloc(sizeof(QtSegment) * row.segment_count);
	memcpy(partition->segments, row.segments, sizeof(QtSegment) * row.segment_count);
	MemoryContextSwitchTo(old);
	partition->segment_count = row.segment_count;
	partition->log_start_offset = row.log_start_offset;
	partition->log_start_is_ours = row.log_start_is_ours;
	partition->key = key;
	partition->slot = slot;
	partition->loaded = true;
	pfree(row.segments);
}

void
qt_topic_check_partition(const QtTopic *topic, int partition)
{
	if (partition < 0 || partition >= topic->partition_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" has no partition %d", topic->name, partition),
				 errdetail_plural("It has %d partition, numbered from 0.",
								  "It has %d partitions, numbered from 0.",
								  topic->partition_count, topic->partition_count)));
}

void
qt_topic_check_right(const QtTopic *topic, AclMode right)
{
	Oid			user = GetUserId();
	const char *what = right == ACL_SELECT ? "SELECT" : "INSERT";

	if (OidIsValid(topic->relation) &&
		pg_class_aclcheck(topic->relation, user, right) == ACLCHECK_OK)
		return;
	if (!OidIsValid(topic->relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" has no relation in schema \"%s\"",
						topic->name, QT_RELATION_SCHEMA),
				 errhint("The foreign table was dropped behind qtopic; use drop_topic().")));
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for topic \"%s\"", topic->name),
			 errdetail("Role \"%s\" lacks privilege %s on relation %s.",
					   GetUserNameFromId(user, false), what,
					   quote_qualified_identifier(QT_RELATION_SCHEMA,
												  NameStr(topic->relation_name))),
			 errhint("Have the creator of the topic run: GRANT %s ON %s TO %s", what,
					 quote_qualified_identifier(QT_RELATION_SCHEMA,
												NameStr(topic->relation_name)),
					 quote_identifier(GetUserNameFromId(user, false)))));
}

static void
init_cache(void)
{
	HASHCTL		info = {0};

	info.keysize = sizeof(((QtTopic *) NULL)->name);
	info.entrysize = sizeof(QtTopic);
	topics = hash_create("qtopic topics", 16, &info, HASH_ELEM | HASH_STRINGS);

	/* the callback needs the table */
	CacheRegisterRelcacheCallback(invalidate, (Datum) 0);
}

/* Relcache callback: sets flags and nothing else. */
static void
invalidate(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	QtTopic    *topic;

	if (relid == InvalidOid || relid == topics_table || !OidIsValid(topics_table))
		changes++;
	if (relid == InvalidOid || relid == positions_table)
		positions_table = InvalidOid;
	hash_seq_init(&status, topics);
	while ((topic = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || relid == topics_table ||
			relid == topic->relation || relid == topic->parent ||
			!OidIsValid(topic->relation) || !OidIsValid(topic->parent))	/* may be there now */
			topic->valid = false;
}

static void
topic_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("topic \"%s\" does not exist", name),
			 errhint("Use create_topic() to create it, or look at the view qtopic_topics.")));
}

/* Make the entry valid; false if there is no such topic. */
static bool
rebuild(QtTopic *topic)
{
	QtTopicRow	row;
	NameData	parent;

	for (int tries = 0; !topic->valid || !topic->complete; tries++)
	{
		if (tries == REBUILD_TRIES_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("topic \"%s\" was changed too often while it was read", topic->name)));

		topics_table = qt_catalog_table("topics");
		if (topic->context == NULL)
			topic->context = AllocSetContextCreate(CacheMemoryContext, "qtopic topic",
												   ALLOCSET_SMALL_SIZES);
		MemoryContextReset(topic->context);
		topic->partitions = NULL;
		topic->partition_count = 0;

		topic->complete = false;
		topic->valid = true;	/* an invalidation from here on counts */
		if (!qt_catalog_find_topic(topic->name, &row))
		{
			topic->valid = false;
			return false;
		}
		topic->id = row.topic_id;
		topic->relation_name = row.relation;
		topic->relation = find_relation(NameStr(row.relation));
		qt_catalog_parent_name(&parent, row.topic_id);
		topic->parent = qt_catalog_table(NameStr(parent));
		qt_topic_config_parse(row.config, &topic->config);
		topic->creator = row.creator;
		topic->wait_slot = qt_wait_slot(row.topic_id);
		topic->partitions = MemoryContextAllocZero(topic->context,
												   row.partitions * sizeof(QtPartition));
		topic->partition_count = row.partitions;
		topic->complete = true;
		qt_debug_point("cache-rebuilt");
	}
	return true;
}

/*
 * The topic's foreign table.  Rights are checked on it, so a relation that
 * somebody else put in its place must not count.
 */
static Oid
find_relation(const char *relation)
{
	Oid			schema = qt_catalog_schema(QT_RELATION_SCHEMA);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(relation, schema) : InvalidOid;
	ForeignServer *server = GetForeignServerByName(QT_SERVER_NAME, true);

	if (!OidIsValid(relid) || server == NULL ||
		get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE ||
		!is_trusted_owner(relid) ||
		GetForeignTable(relid)->serverid != server->serverid)
		return InvalidOid;
	return relid;
}

/*
 * The relation is the extension owner's, or after a restore that of another
 * superuser.
 */
static bool
is_trusted_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return superuser_arg(owner) || owner == qt_catalog_owner();
}

static QtPartitionSlot *
find_slot(const QtPartitionKey *key, int highest_segment)
{
	QtPartitionSlot *slot = qt_slot_find(key);
	int64		next_offset;
	QtSettledHint settled;

	if (slot != NULL)
		return slot;

	next_offset = qt_sequence_peek(key->sequence);
	settled = settled_at_start(next_offset);
	slot = qt_slot_create(key, highest_segment, next_offset, settled);
	if (slot == NULL && qt_slot_collect(partition_is_dead) > 0)
		slot = qt_slot_create(key, highest_segment, next_offset, (QtSettledHint) {0, 0});
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("too many partitions are in use"),
				 errdetail("All slots for partitions in shared memory are taken."),
				 errhint("Increase qtopic.max_partitions and restart the server.")));
	return slot;
}

/*
 * What is settled in a partition that nobody has appended to since the server
 * was started: everything, as no transaction of an earlier life of the server
 * is still running, unless it was prepared.  On a standby the transactions of
 * the primary are, and nothing is known.  A prepared one may have ended just
 * now, so this counts for snapshots from now on only.
 */
static QtSettledHint
settled_at_start(int64 next_offset)
{
	if (RecoveryInProgress() || prepared_transaction_exists())
		return (QtSettledHint) {0, 0};
	return (QtSettledHint) {
		next_offset, U64FromFullTransactionId(ReadNextFullTransactionId())
	};
}

/*
 * Is there a prepared transaction?  A running transaction that has no process
 * is one; one that ended while we look is mistaken for one, which is safe.
 */
static bool
prepared_transaction_exists(void)
{
	Snapshot	snapshot;
	bool		found = false;

	if (max_prepared_xacts == 0)
		return false;

	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	for (int i = 0; i < snapshot->xcnt && !found; i++)
		found = BackendXidGetPid(snapshot->xip[i]) == 0;
	UnregisterSnapshot(snapshot);
	return found;
}

/*
 * For qt_slot_collect.  A partition of another database cannot be looked up; it
 * is dead if the database is, or the transaction that dropped it committed.
 */
static bool
partition_is_dead(const QtPartitionKey *key, uint64 dropped_by)
{
	FullTransactionId xid = FullTransactionIdFromU64(dropped_by);

	if (key->database == MyDatabaseId)
		return !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(key->sequence));
	if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(key->database)))
		return true;
	if (dropped_by == 0)
		return false;

	/* the status of a very old transaction may be gone, and to err is safe */
	if (U64FromFullTransactionId(ReadNextFullTransactionId()) - dropped_by > PG_INT32_MAX / 4)
		return true;
	return !TransactionIdIsInProgress(XidFromFullTransactionId(xid)) &&
		TransactionIdDidCommit(XidFromFullTransactionId(xid));
}
