/*
 * topic.c
 *		Creating, altering and dropping topics, deleting records.
 *
 * A cold path, so the work is done by SQL, as the owner of the extension and
 * with a safe search_path.  All of it belongs to the caller's transaction: a
 * rollback leaves nothing behind.
 *
 * Storage of topic 7: the partitioned table topic_7, one leaf
 * topic_7_p<partition>_0 for each partition with an index on last_offset, and
 * one sequence topic_7_p<partition>_offset, owned by the table.  The locks
 * that matter: create and alter take ShareUpdateExclusiveLock on the
 * partitioned table (ATTACH PARTITION), which readers and producers do not
 * touch; drop takes AccessExclusiveLock on everything and so waits for
 * producers, who hold RowExclusiveLock on the leaf to the end of their
 * transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "group_catalog.h"
#include "partition_scan.h"
#include "qtopic.h"
#include "shmem.h"
#include "topic.h"
#include "topic_cache.h"
#include "topic_config.h"
#include "waits.h"
#include "wakeup.h"

/* Storage parameters of a leaf that holds an active segment. */
#define LEAF_OPTIONS \
	"toast_tuple_target = 8160, autovacuum_vacuum_insert_threshold = -1, " \
	"vacuum_truncate = off"

/* What is saved while statements run as the extension's owner. */
typedef struct OwnerContext
{
	Oid			user;
	int			security;
	int			guc_level;
} OwnerContext;

static int64 move_log_start(int topic_id, int partition, int64 offset);
static void delete_topic_rows(const QtTopicRow *row);
static void forget_groups(int topic_id);
static void check_topic_name(const char *name);
static void check_partition_count(int partitions);
static void become_owner(OwnerContext *saved);
static void become_user(const OwnerContext *saved);
static void run(const char *sql,...) pg_attribute_printf(1, 2);
static int	insert_topic(const char *name, const char *relation, int partitions,
						 Jsonb *config, Oid creator);
static void add_partitions(int topic_id, int from, int to);
static void reset_storage_acl(int topic_id);
static void create_relation(const char *relation, const QtTopicConfig *config, Oid creator);
static bool find_topic_for_change(const char *name, bool missing_ok);
static bool lock_topic(const char *name, Oid user, QtTopicRow *row);
static void topic_missing(const char *name) pg_attribute_noreturn();
static void check_creator(Oid user, const QtTopicRow *row);
static void invalidate_all(void);
static const char *format_type_name(QtFormat format);

void
qt_topic_create(const char *name, int partitions, Jsonb *config)
{
	OwnerContext saved;
	Jsonb	   *stored;
	QtTopicConfig parsed;
	Oid			schema;
	AclResult	acl;
	NameData	relation;
	Oid			creator = GetUserId();
	int			topic_id;

	PreventCommandIfReadOnly("create_topic()");
	PreventCommandDuringRecovery("create_topic()");
	qt_shmem_require();
	check_topic_name(name);
	check_partition_count(partitions);

	schema = get_namespace_oid(QT_RELATION_SCHEMA, false);
	acl = object_aclcheck(NamespaceRelationId, schema, creator, ACL_CREATE);
	if (acl != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to create topic \"%s\"", name),
				 errdetail("Role \"%s\" lacks privilege CREATE on schema \"%s\".",
						   GetUserNameFromId(creator, false), QT_RELATION_SCHEMA),
				 errhint("Have a superuser run: GRANT CREATE ON SCHEMA %s TO %s",
						 QT_RELATION_SCHEMA,
						 quote_identifier(GetUserNameFromId(creator, false)))));

	stored = qt_topic_config_merge(NULL, config);
	qt_topic_config_parse(stored, &parsed);
	qt_topic_fit_name(&relation, name);

	become_owner(&saved);
	SPI_connect();

	topic_id = insert_topic(name, NameStr(relation), partitions, stored, creator);
	AcceptInvalidationMessages();
	if (topic_id == 0)
	{
		QtTopicRow	other;

		if (!qt_catalog_find_topic(name, &other) &&
			qt_catalog_find_relation(NameStr(relation), &other))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("relation %s already exists",
							quote_qualified_identifier(QT_RELATION_SCHEMA, NameStr(relation))),
					 errdetail("It shows topic \"%s\", and topic \"%s\" needs a relation of that name.",
							   other.name, name),
					 errhint("Choose another name for the topic.")));
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("topic \"%s\" already exists", name)));
	}
	if (OidIsValid(get_relname_relid(NameStr(relation), schema)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("relation %s already exists",
						quote_qualified_identifier(QT_RELATION_SCHEMA, NameStr(relation))),
				 errdetail("It is not a topic, and topic \"%s\" needs a relation of that name.", name),
				 errhint("Choose another name for the topic, or drop the relation.")));

	run("CREATE TABLE %s.topic_%d (partition integer NOT NULL, leaf integer NOT NULL,"
		" last_offset bigint NOT NULL, batch bytea NOT NULL)"
		" PARTITION BY RANGE (partition, leaf)", QT_STORAGE_SCHEMA, topic_id);
	run("ALTER TABLE %s.topic_%d ALTER COLUMN batch SET STORAGE EXTERNAL",
		QT_STORAGE_SCHEMA, topic_id);
	add_partitions(topic_id, 0, partitions);
	reset_storage_acl(topic_id);
	create_relation(NameStr(relation), &parsed, creator);
	invalidate_all();

	SPI_finish();
	become_user(&saved);
}

void
qt_topic_alter(const char *name, int partitions, Jsonb *config)
{
	OwnerContext saved;
	QtTopicRow	row;

	PreventCommandIfReadOnly("alter_topic()");
	PreventCommandDuringRecovery("alter_topic()");
	(void) find_topic_for_change(name, false);

	become_owner(&saved);
	SPI_connect();

	if (!lock_topic(name, saved.user, &row))
		topic_missing(name);

	if (config != NULL)
	{
		Oid			types[2] = {INT4OID, JSONBOID};
		Datum		values[2];

		values[0] = Int32GetDatum(row.topic_id);
		values[1] = JsonbPGetDatum(qt_topic_config_merge(row.config, config));
		SPI_execute_with_args("UPDATE qtopic_internal.topics SET config = $2 WHERE topic_id = $1",
							  2, types, values, NULL, false, 0);
	}

	if (partitions != 0)
	{
		if (partitions < row.partitions)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot reduce the number of partitions of topic \"%s\"", name),
					 errdetail("It has %d partitions, %d were requested.",
							   row.partitions, partitions),
					 errhint("Partitions can only be added.  Create another topic and produce the records to it.")));
		if (partitions > QT_PARTITIONS_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("number of partitions must be at most %d", QT_PARTITIONS_MAX),
					 errdetail("%d were requested.", partitions)));
		if (partitions - row.partitions > QT_PARTITIONS_PER_CALL_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("cannot add %d partitions at once", partitions - row.partitions),
					 errdetail("One call adds at most %d partitions, as each takes several locks.",
							   QT_PARTITIONS_PER_CALL_MAX),
					 errhint("Call alter_topic() several times, each in a transaction of its own.")));
		if (partitions > row.partitions)
		{
			Oid			types[2] = {INT4OID, INT4OID};
			Datum		values[2];

			values[0] = Int32GetDatum(row.topic_id);
			values[1] = Int32GetDatum(partitions);
			SPI_execute_with_args("UPDATE qtopic_internal.topics SET partitions = $2 WHERE topic_id = $1",
								  2, types, values, NULL, false, 0);
			add_partitions(row.topic_id, row.partitions, partitions);
			reset_storage_acl(row.topic_id);
		}
	}
	invalidate_all();

	SPI_finish();
	become_user(&saved);
}

int64
qt_topic_delete_records(const char *name, int partition, int64 before_offset)
{
	OwnerContext saved;
	QtTopicRow	row;
	QtTopic    *topic;
	int64		log_start;
	int64		stable;

	PreventCommandIfReadOnly("delete_records()");
	PreventCommandDuringRecovery("delete_records()");
	(void) find_topic_for_change(name, false);

	become_owner(&saved);
	SPI_connect();

	if (!lock_topic(name, saved.user, &row))
		topic_missing(name);
	topic = qt_topic_lookup(name, false);
	qt_topic_check_partition(topic, partition);
	if (topic->config.cleanup_compact && !topic->config.cleanup_delete)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot delete records of topic \"%s\"", name),
				 errdetail("Its cleanup.policy is compact only: the last record of each key is to be kept."),
				 errhint("Produce a record with a null value for each key to remove, or add delete to cleanup.policy with alter_topic().")));

	stable = qt_scan_latest_stable_offset(topic, partition, &log_start);
	if (before_offset < -1 || before_offset > stable)
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("offset %lld is out of range for topic \"%s\", partition %d",
						(long long) before_offset, name, partition),
				 errdetail("Records can be deleted up to the last stable offset, which is %lld.",
						   (long long) stable),
				 errhint("Use -1 to delete all records up to there.")));
	if (before_offset == -1)
		before_offset = stable;
	if (before_offset > log_start)
		log_start = move_log_start(row.topic_id, partition, before_offset);

	SPI_finish();
	become_user(&saved);
	return log_start;
}

/* Returns the new log start offset, which may be higher. */
static int64
move_log_start(int topic_id, int partition, int64 offset)
{
	Oid			types[3] = {INT4OID, INT4OID, INT8OID};
	Datum		values[3];
	bool		isnull;
	int64		moved_to;

	values[0] = Int32GetDatum(topic_id);
	values[1] = Int32GetDatum(partition);
	values[2] = Int64GetDatum(offset);
	if (SPI_execute_with_args("UPDATE qtopic_internal.partitions"
							  " SET log_start_offset = greatest(log_start_offset, $3)"
							  " WHERE topic_id = $1 AND partition = $2 RETURNING log_start_offset",
							  3, types, values, NULL, false, 0) != SPI_OK_UPDATE_RETURNING ||
		SPI_processed != 1)
		elog(ERROR, "could not move the log start of topic %d, partition %d", topic_id, partition);
	moved_to = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	invalidate_all();
	return moved_to;
}

void
qt_topic_drop(const char *name, bool missing_ok)
{
	OwnerContext saved;
	QtTopicRow	row;
	Oid			schema;

	PreventCommandIfReadOnly("drop_topic()");
	PreventCommandDuringRecovery("drop_topic()");
	if (!find_topic_for_change(name, missing_ok))
	{
		ereport(NOTICE,
				(errmsg("topic \"%s\" does not exist, skipping", name)));
		return;
	}

	become_owner(&saved);
	SPI_connect();

	if (lock_topic(name, saved.user, &row))
	{
		delete_topic_rows(&row);
		schema = get_namespace_oid(QT_RELATION_SCHEMA, false);
		if (OidIsValid(get_relname_relid(NameStr(row.relation), schema)))
			run("DROP FOREIGN TABLE %s",
				quote_qualified_identifier(QT_RELATION_SCHEMA, NameStr(row.relation)));
		run("DROP TABLE IF EXISTS %s.topic_%d", QT_STORAGE_SCHEMA, row.topic_id);
		forget_groups(row.topic_id);
	}
	else if (!missing_ok)
		topic_missing(name);

	SPI_finish();
	become_user(&saved);
}

void
qt_topic_relation_dropped(const char *relation)
{
	OwnerContext saved;
	QtTopicRow	row;

	if (!qt_catalog_find_relation(relation, &row))
		return;

	become_owner(&saved);
	SPI_connect();
	delete_topic_rows(&row);
	run("DROP TABLE IF EXISTS %s.topic_%d", QT_STORAGE_SCHEMA, row.topic_id);
	forget_groups(row.topic_id);
	SPI_finish();
	become_user(&saved);
}

void
qt_topic_fit_name(NameData *fitted, const char *name)
{
	size_t		len = strlen(name);

	memset(fitted, 0, sizeof(NameData));
	if (len < NAMEDATALEN)
		memcpy(NameStr(*fitted), name, len);
	else
		snprintf(NameStr(*fitted), NAMEDATALEN, "%.46s_%016llx", name,
				 (unsigned long long) DatumGetUInt64(hash_any_extended((const unsigned char *) name,
																	   len, 0)));
}

static void
delete_topic_rows(const QtTopicRow *row)
{
	FullTransactionId xid = GetCurrentFullTransactionId();

	for (int p = 0; p < row->partitions; p++)
	{
		QtPartitionKey key = {MyDatabaseId, InvalidOid, row->topic_id, p};
		NameData	sequence;

		qt_catalog_sequence_name(&sequence, row->topic_id, p);
		key.sequence = qt_catalog_table(NameStr(sequence));
		qt_slot_note_drop(&key, U64FromFullTransactionId(xid));
	}
	/* who waits for records is to notice */
	qt_wakeup_note_drop(qt_wait_slot(row->topic_id));

	run("DELETE FROM %s.segments WHERE topic_id = %d", QT_STORAGE_SCHEMA, row->topic_id);
	run("DELETE FROM %s.partitions WHERE topic_id = %d", QT_STORAGE_SCHEMA, row->topic_id);
	run("DELETE FROM %s.topics WHERE topic_id = %d", QT_STORAGE_SCHEMA, row->topic_id);
	invalidate_all();
}

/*
 * Forget what groups know of a topic.  Its relation is locked: consumers hold
 * it to the end of their transactions.
 */
static void
forget_groups(int topic_id)
{
	ListCell   *lc;

	foreach(lc, qt_group_catalog_groups_of_topic(topic_id))
		qt_group_catalog_delete_topic(lfirst(lc));
}

/* Kafka's rules for names. */
static void
check_topic_name(const char *name)
{
	size_t		len = strlen(name);
	size_t		legal = strspn(name, "abcdefghijklmnopqrstuvwxyz"
							   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic name must not be empty")));
	if (len > QT_TOPIC_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic name is too long"),
				 errdetail("It has %zu characters, at most %d are allowed.",
						   len, QT_TOPIC_NAME_MAX)));
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic name must not be \"%s\"", name)));
	if (legal < len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic name \"%s\" contains an invalid character", name),
				 errdetail("Position %zu is not an ASCII letter, digit, \".\", \"_\" or \"-\".",
						   legal + 1),
				 errhint("Use the same names as in Kafka.")));
}

static void
check_partition_count(int partitions)
{
	if (partitions < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of partitions must be at least 1"),
				 errdetail("%d were requested.", partitions)));
	if (partitions > QT_PARTITIONS_PER_CALL_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot create %d partitions at once", partitions),
				 errdetail("One call creates at most %d partitions, as each takes several locks.",
						   QT_PARTITIONS_PER_CALL_MAX),
				 errhint("Create the topic with fewer partitions and add the rest with alter_topic(), in transactions of their own.")));
}

/*
 * Run what follows as the owner of the extension, in a restricted operation
 * and with settings that a user cannot influence.
 */
static void
become_owner(OwnerContext *saved)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"default_tablespace", ""},
		{"session_replication_role", "origin"},
		{"standard_conforming_strings", "on"},
		{NULL, NULL}
	};

	GetUserIdAndSecContext(&saved->user, &saved->security);
	SetUserIdAndSecContext(qt_catalog_owner(),
						   saved->security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	saved->guc_level = NewGUCNestLevel();
	for (int i = 0; settings[i][0]; i++)
		(void) set_config_option(settings[i][0], settings[i][1],
								 PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static void
become_user(const OwnerContext *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->user, saved->security);
}

/* Execute a statement that returns nothing. */
static void
run(const char *sql,...)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, sql);
		needed = appendStringInfoVA(&buf, sql, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	if (SPI_execute(buf.data, false, 0) < 0)
		elog(ERROR, "SPI_execute failed: %s", buf.data);
	pfree(buf.data);
}

/*
 * Returns the new identifier, or 0 if there is a topic of that name (after
 * having waited for a transaction that is just creating or dropping it).
 */
static int
insert_topic(const char *name, const char *relation, int partitions,
			 Jsonb *config, Oid creator)
{
	Oid			types[5] = {TEXTOID, NAMEOID, INT4OID, JSONBOID, OIDOID};
	Datum		values[5];
	bool		isnull;

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetDatum(relation);
	values[2] = Int32GetDatum(partitions);
	values[3] = JsonbPGetDatum(config);
	values[4] = ObjectIdGetDatum(creator);
	if (SPI_execute_with_args("INSERT INTO qtopic_internal.topics"
							  " SELECT nextval('qtopic_internal.topic_id_seq'), $1, $2, $3, $4,"
							  "        $5::regrole, clock_timestamp()"
							  " ON CONFLICT DO NOTHING RETURNING topic_id",
							  5, types, values, NULL, false, 0) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not insert topic \"%s\"", name);
	if (SPI_processed == 0)
		return 0;
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

/* Create storage and catalog rows of partitions from .. to - 1. */
static void
add_partitions(int topic_id, int from, int to)
{
	const char *schema = QT_STORAGE_SCHEMA;

	for (int p = from; p < to; p++)
	{
		NameData	parent;
		NameData	leaf;
		NameData	sequence;

		qt_catalog_parent_name(&parent, topic_id);
		qt_catalog_leaf_name(&leaf, topic_id, p, 0);
		qt_catalog_sequence_name(&sequence, topic_id, p);

		/*
		 * LIKE and ATTACH work while somebody holds the parent; CREATE TABLE
		 * ... PARTITION OF does not.
		 */
		run("CREATE TABLE %s.%s (LIKE %s.%s INCLUDING STORAGE) USING heap WITH (" LEAF_OPTIONS ")",
			schema, NameStr(leaf), schema, NameStr(parent));
		run("CREATE INDEX %s_key ON %s.%s USING btree (last_offset)",
			NameStr(leaf), schema, NameStr(leaf));
		run("ALTER TABLE %s.%s ATTACH PARTITION %s.%s FOR VALUES FROM (%d, 0) TO (%d, 1)",
			schema, NameStr(parent), schema, NameStr(leaf), p, p);
		run("CREATE SEQUENCE %s.%s AS bigint MINVALUE 0 START 0 OWNED BY %s.%s.partition",
			schema, NameStr(sequence), schema, NameStr(parent));
		CHECK_FOR_INTERRUPTS();
	}

	run("INSERT INTO %s.partitions (topic_id, partition, log_start_offset)"
		" SELECT %d, p, 0 FROM generate_series(%d, %d) p",
		schema, topic_id, from, to - 1);
	run("INSERT INTO %s.segments (topic_id, partition, leaf_no, generation, state, ordinal, base_offset)"
		" SELECT %d, p, 0, 0, 'ACTIVE', 0, 0 FROM generate_series(%d, %d) p",
		schema, topic_id, from, to - 1);
}

/*
 * Take away what ALTER DEFAULT PRIVILEGES gave: nobody but a superuser may
 * touch the storage.
 */
static void
reset_storage_acl(int topic_id)
{
	SPITupleTable *rows;
	uint64		count;
	Oid			types[1] = {INT4OID};
	Datum		values[1];

	values[0] = Int32GetDatum(topic_id);
	SPI_execute_with_args("SELECT pg_catalog.format('REVOKE ALL ON %s %I.%I FROM %s CASCADE',"
						  "   CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,"
						  "   n.nspname, c.relname,"
						  "   CASE a.grantee WHEN 0 THEN 'PUBLIC'"
						  "        ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END)"
						  " FROM pg_catalog.pg_class c"
						  " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
						  " CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a"
						  " WHERE n.nspname = 'qtopic_internal' AND c.relacl IS NOT NULL"
						  "   AND a.grantee <> c.relowner"
						  "   AND c.relkind IN ('r', 'p', 'S')"
						  "   AND (c.relname = 'topic_' || $1 OR c.relname LIKE 'topic\\_' || $1 || '\\_p%')",
						  1, types, values, NULL, false, 0);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		run("%s", SPI_getvalue(rows->vals[i], rows->tupdesc, 1));
}

/* The foreign table that shows the topic, and its creator's rights on it. */
static void
create_relation(const char *relation, const QtTopicConfig *config, Oid creator)
{
	const char *qualified = quote_qualified_identifier(QT_RELATION_SCHEMA, relation);

	run("CREATE FOREIGN TABLE %s (_partition integer, _offset bigint,"
		" _timestamp timestamptz, key %s, value %s, headers jsonb) SERVER %s",
		qualified, format_type_name(config->key_format),
		format_type_name(config->value_format), QT_SERVER_NAME);
	if (creator != GetUserId())
		run("GRANT SELECT, INSERT ON %s TO %s WITH GRANT OPTION",
			qualified, quote_identifier(GetUserNameFromId(creator, false)));
}

/*
 * Check existence (42704 unless missing_ok) and rights before anything is
 * locked.
 */
static bool
find_topic_for_change(const char *name, bool missing_ok)
{
	QtTopicRow	row;

	qt_shmem_require();
	if (!qt_catalog_find_topic(name, &row))
	{
		if (!missing_ok)
			topic_missing(name);
		return false;
	}
	check_creator(GetUserId(), &row);
	return true;
}

/*
 * Lock the topic's catalog row against other changes and read it.  False if
 * it has been dropped by now; it may also have been created anew by another
 * role, so the rights are checked again.
 */
static bool
lock_topic(const char *name, Oid user, QtTopicRow *row)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	values[0] = CStringGetTextDatum(name);
	SPI_execute_with_args("SELECT 1 FROM qtopic_internal.topics WHERE name = $1 FOR UPDATE",
						  1, types, values, NULL, false, 0);
	if (SPI_processed != 1 || !qt_catalog_find_topic(name, row))
		return false;
	check_creator(user, row);
	return true;
}

static void
topic_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("topic \"%s\" does not exist", name)));
}

static void
check_creator(Oid user, const QtTopicRow *row)
{
	const char *creator;

	if (superuser_arg(user) || has_privs_of_role(user, row->creator))
		return;
	creator = GetUserNameFromId(row->creator, true);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be the creator of topic \"%s\"", row->name),
			 creator ? errdetail("The topic was created by role \"%s\".", creator) :
			 errdetail("The role that created the topic was dropped."),
			 errhint("Have the creator, a member of that role or a superuser do it.")));
}

/*
 * Our tables send no invalidation of their own; every session watches the
 * relcache entry of this one.
 */
static void
invalidate_all(void)
{
	CacheInvalidateRelcacheByRelid(qt_catalog_table("topics"));
	CommandCounterIncrement();
}

static const char *
format_type_name(QtFormat format)
{
	switch (format)
	{
		case QT_FORMAT_TEXT:
			return "text";
		case QT_FORMAT_JSONB:
			return "jsonb";
		case QT_FORMAT_BYTEA:
			return "bytea";
	}
	return "text";
}
