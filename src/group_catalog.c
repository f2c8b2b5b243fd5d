/*
 * group_catalog.c
 *		The catalog tables of consumer groups.
 *
 * Written like system catalogs, not by SQL: a position is moved by an UPDATE
 * that increments n, which is part of the key.  So the newest version is the
 * first entry of a backward index scan, and costs the same to find however
 * many dead versions another session's old snapshot keeps.
 *
 * What was written keeps its table locked to the end of the transaction:
 * REINDEX CONCURRENTLY would leave a row out of the new index if it did not
 * wait for that.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "group_catalog.h"
#include "member_catalog.h"
#include "qtopic.h"

#define ANUM_GROUPS_GROUP_ID		1
#define ANUM_GROUPS_NAME			2
#define ANUM_GROUPS_OWNER			3
#define ANUM_GROUPS_GROUP_EPOCH		4
#define ANUM_GROUPS_ASSIGNOR		5
#define ANUM_GROUPS_LAST_ACTIVE		6
#define NATTS_GROUPS				6

#define ANUM_GROUP_TOPICS_GT_ID			1
#define ANUM_GROUP_TOPICS_GROUP_ID		2
#define ANUM_GROUP_TOPICS_TOPIC_ID		3
#define ANUM_GROUP_TOPICS_START_AT		4
#define ANUM_GROUP_TOPICS_START_TIME	5
#define ANUM_GROUP_TOPICS_PARTITIONS	6
#define NATTS_GROUP_TOPICS				6

#define ANUM_POSITIONS_GT_ID		1
#define ANUM_POSITIONS_PARTITION	2
#define ANUM_POSITIONS_N			3
#define ANUM_POSITIONS_NEXT_OFFSET	4
#define ANUM_POSITIONS_LEADER_EPOCH 5
#define ANUM_POSITIONS_COMMIT_TIME	6
#define ANUM_POSITIONS_METADATA		7
#define NATTS_POSITIONS				7

static const char *const start_names[] = {"earliest", "latest", "none", "time"};

static bool find_group(int attnum, RegProcedure equal, const char *index, Datum value,
					   Snapshot snapshot, QtGroupRow *row);
static void update_group(int group_id, Datum *values, bool *replace);
static void group_from_tuple(HeapTuple tuple, TupleDesc desc, QtGroupRow *row);
static void group_topic_from_tuple(HeapTuple tuple, TupleDesc desc, QtGroupTopicRow *row);
static List *group_topics(int attnum, const char *index, int value);
static int	next_id(const char *sequence);
static void insert(const char *table, Datum *values, bool *nulls);
static int	delete_rows(const char *table, const char *index, int nkeys, ScanKey keys);

int
qt_start_at_from_name(const char *name)
{
	for (int i = 0; i < lengthof(start_names); i++)
		if (strcmp(name, start_names[i]) == 0)
			return i;
	return -1;
}

/* ---- groups ---- */

bool
qt_group_catalog_find(const char *name, QtGroupRow *row)
{
	Datum		value = CStringGetTextDatum(name);
	Snapshot	snapshot;
	bool		found;

	if (find_group(ANUM_GROUPS_NAME, F_TEXTEQ, "groups_name_key", value, SnapshotSelf, row))
		return true;
	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	found = find_group(ANUM_GROUPS_NAME, F_TEXTEQ, "groups_name_key", value, snapshot, row);
	UnregisterSnapshot(snapshot);
	return found;
}

bool
qt_group_catalog_find_as_of(const char *name, Snapshot snapshot, QtGroupRow *row)
{
	return find_group(ANUM_GROUPS_NAME, F_TEXTEQ, "groups_name_key",
					  CStringGetTextDatum(name), snapshot, row);
}

bool
qt_group_catalog_get(int group_id, QtGroupRow *row)
{
	Datum		value = Int32GetDatum(group_id);
	Snapshot	snapshot;
	bool		found;

	if (find_group(ANUM_GROUPS_GROUP_ID, F_INT4EQ, "groups_pkey", value, SnapshotSelf, row))
		return true;
	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	found = find_group(ANUM_GROUPS_GROUP_ID, F_INT4EQ, "groups_pkey", value, snapshot, row);
	UnregisterSnapshot(snapshot);
	return found;
}

int
qt_group_catalog_insert(const char *name, Oid owner, TimestampTz now)
{
	Datum		values[NATTS_GROUPS];
	bool		nulls[NATTS_GROUPS] = {false};
	int			group_id = next_id("group_id_seq");

	values[ANUM_GROUPS_GROUP_ID - 1] = Int32GetDatum(group_id);
	values[ANUM_GROUPS_NAME - 1] = CStringGetTextDatum(name);
	values[ANUM_GROUPS_OWNER - 1] = ObjectIdGetDatum(owner);
	values[ANUM_GROUPS_GROUP_EPOCH - 1] = Int32GetDatum(0);
	nulls[ANUM_GROUPS_ASSIGNOR - 1] = true;
	values[ANUM_GROUPS_LAST_ACTIVE - 1] = TimestampTzGetDatum(now);
	insert("groups", values, nulls);
	return group_id;
}

void
qt_group_catalog_set_active(int group_id, TimestampTz last_active)
{
	Datum		values[NATTS_GROUPS] = {0};
	bool		replace[NATTS_GROUPS] = {false};

	values[ANUM_GROUPS_LAST_ACTIVE - 1] = TimestampTzGetDatum(last_active);
	replace[ANUM_GROUPS_LAST_ACTIVE - 1] = true;
	update_group(group_id, values, replace);
}

void
qt_group_catalog_set_epoch(int group_id, int group_epoch, const char *assignor)
{
	Datum		values[NATTS_GROUPS] = {0};
	bool		replace[NATTS_GROUPS] = {false};

	values[ANUM_GROUPS_GROUP_EPOCH - 1] = Int32GetDatum(group_epoch);
	replace[ANUM_GROUPS_GROUP_EPOCH - 1] = true;
	values[ANUM_GROUPS_ASSIGNOR - 1] = CStringGetTextDatum(assignor);
	replace[ANUM_GROUPS_ASSIGNOR - 1] = true;
	update_group(group_id, values, replace);
}

void
qt_group_catalog_delete(int group_id)
{
	ScanKeyData key;

	ScanKeyInit(&key, ANUM_GROUPS_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(group_id));
	(void) delete_rows("groups", "groups_pkey", 1, &key);
}

List *
qt_group_catalog_groups(void)
{
	Relation	rel = table_open(qt_catalog_table("groups"), AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;
	List	   *groups = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		QtGroupRow *row = palloc(sizeof(QtGroupRow));

		group_from_tuple(tuple, RelationGetDescr(rel), row);
		groups = lappend(groups, row);
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return groups;
}

static void
update_group(int group_id, Datum *values, bool *replace)
{
	Relation	rel = table_open(qt_catalog_table("groups"), RowExclusiveLock);
	bool		nulls[NATTS_GROUPS] = {false};
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, ANUM_GROUPS_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(group_id));
	scan = systable_beginscan(rel, qt_catalog_table("groups_pkey"), true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		tuple = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replace);
		CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

static bool
find_group(int attnum, RegProcedure equal, const char *index, Datum value,
		   Snapshot snapshot, QtGroupRow *row)
{
	Relation	rel = table_open(qt_catalog_table("groups"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, equal, value);
	scan = systable_beginscan(rel, qt_catalog_table(index), true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		group_from_tuple(tuple, RelationGetDescr(rel), row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

static void
group_from_tuple(HeapTuple tuple, TupleDesc desc, QtGroupRow *row)
{
	Datum		values[NATTS_GROUPS];
	bool		nulls[NATTS_GROUPS];

	heap_deform_tuple(tuple, desc, values, nulls);
	row->group_id = DatumGetInt32(values[ANUM_GROUPS_GROUP_ID - 1]);
	row->name = TextDatumGetCString(values[ANUM_GROUPS_NAME - 1]);
	row->owner = DatumGetObjectId(values[ANUM_GROUPS_OWNER - 1]);
	row->group_epoch = DatumGetInt32(values[ANUM_GROUPS_GROUP_EPOCH - 1]);
	row->last_active = DatumGetTimestampTz(values[ANUM_GROUPS_LAST_ACTIVE - 1]);
}

/* ---- topics of groups ---- */

bool
qt_group_catalog_find_topic(int group_id, int topic_id, QtGroupTopicRow *row)
{
	Relation	rel = table_open(qt_catalog_table("group_topics"), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&keys[0], ANUM_GROUP_TOPICS_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(group_id));
	ScanKeyInit(&keys[1], ANUM_GROUP_TOPICS_TOPIC_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(topic_id));
	scan = systable_beginscan(rel, qt_catalog_table("group_topics_group_id_topic_id_key"),
							  true, SnapshotSelf, 2, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		group_topic_from_tuple(tuple, RelationGetDescr(rel), row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

List *
qt_group_catalog_topics(int group_id)
{
	return group_topics(ANUM_GROUP_TOPICS_GROUP_ID, "group_topics_group_id_topic_id_key", group_id);
}

List *
qt_group_catalog_groups_of_topic(int topic_id)
{
	return group_topics(ANUM_GROUP_TOPICS_TOPIC_ID, NULL, topic_id);
}

void
qt_group_catalog_insert_topic(QtGroupTopicRow *row)
{
	Datum		values[NATTS_GROUP_TOPICS];
	bool		nulls[NATTS_GROUP_TOPICS] = {false};

	row->gt_id = next_id("group_topic_id_seq");
	values[ANUM_GROUP_TOPICS_GT_ID - 1] = Int32GetDatum(row->gt_id);
	values[ANUM_GROUP_TOPICS_GROUP_ID - 1] = Int32GetDatum(row->group_id);
	values[ANUM_GROUP_TOPICS_TOPIC_ID - 1] = Int32GetDatum(row->topic_id);
	values[ANUM_GROUP_TOPICS_START_AT - 1] = CStringGetTextDatum(start_names[row->start_at]);
	values[ANUM_GROUP_TOPICS_START_TIME - 1] = TimestampTzGetDatum(row->start_time);
	nulls[ANUM_GROUP_TOPICS_START_TIME - 1] = row->start_at != QT_START_TIME;
	values[ANUM_GROUP_TOPICS_PARTITIONS - 1] = Int32GetDatum(row->partitions);
	insert("group_topics", values, nulls);
}

void
qt_group_catalog_delete_topic(const QtGroupTopicRow *row)
{
	ScanKeyData key;

	(void) qt_group_catalog_delete_positions(row->gt_id, -1);
	qt_member_catalog_delete_ownership(row->gt_id);
	ScanKeyInit(&key, ANUM_GROUP_TOPICS_GT_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(row->gt_id));
	(void) delete_rows("group_topics", "group_topics_pkey", 1, &key);
}

/* The rows with a value in an attribute; index may be NULL. */
static List *
group_topics(int attnum, const char *index, int value)
{
	Relation	rel = table_open(qt_catalog_table("group_topics"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *rows = NIL;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
	scan = systable_beginscan(rel, index ? qt_catalog_table(index) : InvalidOid,
							  index != NULL, SnapshotSelf, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		QtGroupTopicRow *row = palloc(sizeof(QtGroupTopicRow));

		group_topic_from_tuple(tuple, RelationGetDescr(rel), row);
		rows = lappend(rows, row);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return rows;
}

static void
group_topic_from_tuple(HeapTuple tuple, TupleDesc desc, QtGroupTopicRow *row)
{
	Datum		values[NATTS_GROUP_TOPICS];
	bool		nulls[NATTS_GROUP_TOPICS];
	char	   *start_at;

	heap_deform_tuple(tuple, desc, values, nulls);
	row->gt_id = DatumGetInt32(values[ANUM_GROUP_TOPICS_GT_ID - 1]);
	row->group_id = DatumGetInt32(values[ANUM_GROUP_TOPICS_GROUP_ID - 1]);
	row->topic_id = DatumGetInt32(values[ANUM_GROUP_TOPICS_TOPIC_ID - 1]);
	start_at = TextDatumGetCString(values[ANUM_GROUP_TOPICS_START_AT - 1]);
	row->start_at = qt_start_at_from_name(start_at);
	row->start_time = nulls[ANUM_GROUP_TOPICS_START_TIME - 1] ? 0 :
		DatumGetTimestampTz(values[ANUM_GROUP_TOPICS_START_TIME - 1]);
	row->partitions = DatumGetInt32(values[ANUM_GROUP_TOPICS_PARTITIONS - 1]);
	if ((int) row->start_at < 0)
		elog(ERROR, "row %d of group_topics has unrecognized start \"%s\"", row->gt_id, start_at);
}

/* ---- positions ---- */

void
qt_group_catalog_read_position(int gt_id, int partition, bool locked, QtPosition *position)
{
	Snapshot	snapshot = locked ? SnapshotSelf : RegisterSnapshot(qt_catalog_snapshot());
	Relation	rel = table_open(qt_catalog_table("positions"), AccessShareLock);
	Relation	index = index_open(qt_catalog_table("positions_pkey"), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	memset(position, 0, sizeof(*position));
	ScanKeyInit(&keys[0], ANUM_POSITIONS_GT_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(gt_id));
	ScanKeyInit(&keys[1], ANUM_POSITIONS_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	scan = systable_beginscan_ordered(rel, index, snapshot, 2, keys);
	tuple = systable_getnext_ordered(scan, BackwardScanDirection);
	if (HeapTupleIsValid(tuple))
	{
		position->n = DatumGetInt64(heap_getattr(tuple, ANUM_POSITIONS_N,
												 RelationGetDescr(rel), &isnull));
		position->next_offset = DatumGetInt64(heap_getattr(tuple, ANUM_POSITIONS_NEXT_OFFSET,
														   RelationGetDescr(rel), &isnull));
		position->tid = tuple->t_self;
		position->xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	if (!locked)
		UnregisterSnapshot(snapshot);
}

void
qt_group_catalog_write_position(int gt_id, int partition, const QtPosition *old,
				  int64 next_offset, int leader_epoch,
				  TimestampTz now, const char *metadata)
{
	Datum		values[NATTS_POSITIONS];
	bool		nulls[NATTS_POSITIONS] = {false};
	Relation	rel;
	HeapTuple	tuple;

	values[ANUM_POSITIONS_GT_ID - 1] = Int32GetDatum(gt_id);
	values[ANUM_POSITIONS_PARTITION - 1] = Int32GetDatum(partition);
	values[ANUM_POSITIONS_N - 1] = Int64GetDatum(old->n + 1);
	values[ANUM_POSITIONS_NEXT_OFFSET - 1] = Int64GetDatum(next_offset);
	values[ANUM_POSITIONS_LEADER_EPOCH - 1] = Int32GetDatum(leader_epoch);
	values[ANUM_POSITIONS_COMMIT_TIME - 1] = TimestampTzGetDatum(now);
	nulls[ANUM_POSITIONS_METADATA - 1] = metadata == NULL;
	if (metadata)
		values[ANUM_POSITIONS_METADATA - 1] = CStringGetTextDatum(metadata);

	if (old->n == 0)
	{
		insert("positions", values, nulls);
		return;
	}
	rel = table_open(qt_catalog_table("positions"), RowExclusiveLock);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	CatalogTupleUpdate(rel, unconstify(ItemPointerData *, &old->tid), tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

int
qt_group_catalog_delete_positions(int gt_id, int partition)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], ANUM_POSITIONS_GT_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(gt_id));
	ScanKeyInit(&keys[1], ANUM_POSITIONS_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	return delete_rows("positions", "positions_pkey", partition < 0 ? 1 : 2, keys);
}

/* ---- writing ---- */

static int
next_id(const char *sequence)
{
	/* users have no rights on the sequence */
	return (int) nextval_internal(qt_catalog_table(sequence), false);
}

static void
insert(const char *table, Datum *values, bool *nulls)
{
	Relation	rel = table_open(qt_catalog_table(table), RowExclusiveLock);
	HeapTuple	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

static int
delete_rows(const char *table, const char *index, int nkeys, ScanKey keys)
{
	Relation	rel = table_open(qt_catalog_table(table), RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, qt_catalog_table(index), true,
										  SnapshotSelf, nkeys, keys);
	HeapTuple	tuple;
	int			count = 0;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		CatalogTupleDelete(rel, &tuple->t_self);
		count++;
	}
	systable_endscan(scan);
	table_close(rel, NoLock);
	CommandCounterIncrement();
	return count;
}
