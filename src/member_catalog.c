/*
 * member_catalog.c
 *		The catalog tables of members and of what they own.
 *
 * Written like the tables of group_catalog.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "member_catalog.h"

#define ANUM_MEMBERS_GROUP_ID		1
#define ANUM_MEMBERS_MEMBER_ID		2
#define ANUM_MEMBERS_MEMBER_NO		3
#define ANUM_MEMBERS_INSTANCE_ID	4
#define ANUM_MEMBERS_FENCED			5
#define ANUM_MEMBERS_JOINED_EPOCH	6
#define ANUM_MEMBERS_MEMBER_EPOCH	7
#define ANUM_MEMBERS_ASSIGNOR		8
#define ANUM_MEMBERS_SESSION_MS		9
#define ANUM_MEMBERS_TOPICS			10
#define NATTS_MEMBERS				10

#define ANUM_OWNERSHIP_GT_ID		1
#define ANUM_OWNERSHIP_PARTITION	2
#define ANUM_OWNERSHIP_OWNER		3
#define ANUM_OWNERSHIP_SINCE_EPOCH	4
#define ANUM_OWNERSHIP_REVOKE_EPOCH 5
#define ANUM_OWNERSHIP_TARGET		6
#define NATTS_OWNERSHIP				6

static HeapTuple member_to_tuple(const QtMemberRow *row, TupleDesc desc);
static void member_from_tuple(HeapTuple tuple, TupleDesc desc, QtMemberRow *row);
static void topics_from_array(Datum array, QtMemberRow *row);
static List *ownership(int gt_id, int partition, Snapshot snapshot);
static void ownership_from_tuple(HeapTuple tuple, TupleDesc desc, QtOwnership *row);

Oid
qt_member_catalog_table(void)
{
	return qt_catalog_table("members");
}

void
qt_member_catalog_lock(bool lock)
{
	Oid			tables[] = {qt_catalog_table("members"), qt_catalog_table("ownership")};

	for (int i = 0; i < lengthof(tables); i++)
	{
		if (lock)
			LockRelationOid(tables[i], RowExclusiveLock);
		else
			UnlockRelationOid(tables[i], RowExclusiveLock);
	}
}

/* ---- members ---- */

bool
qt_member_catalog_find(int group_id, const char *member_id, Snapshot snapshot,
					   QtMemberRow *row)
{
	Relation	rel = table_open(qt_catalog_table("members"), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&keys[0], ANUM_MEMBERS_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(group_id));
	ScanKeyInit(&keys[1], ANUM_MEMBERS_MEMBER_ID, BTEqualStrategyNumber, F_TEXTEQ,
				CStringGetTextDatum(member_id));
	scan = systable_beginscan(rel, qt_catalog_table("members_pkey"), true, snapshot, 2, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
		member_from_tuple(tuple, RelationGetDescr(rel), row);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

List *
qt_member_catalog_members(int group_id, Snapshot snapshot)
{
	Relation	rel = table_open(qt_catalog_table("members"), AccessShareLock);
	Relation	index = index_open(qt_catalog_table("members_pkey"), AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *members = NIL;

	ScanKeyInit(&key, ANUM_MEMBERS_GROUP_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(group_id));
	scan = systable_beginscan_ordered(rel, index, snapshot, group_id == 0 ? 0 : 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		QtMemberRow *row = palloc(sizeof(QtMemberRow));

		member_from_tuple(tuple, RelationGetDescr(rel), row);
		members = lappend(members, row);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return members;
}

int
qt_member_catalog_next_no(void)
{
	return (int) nextval_internal(qt_catalog_table("member_no_seq"), false);
}

void
qt_member_catalog_insert(QtMemberRow *row)
{
	Relation	rel = table_open(qt_catalog_table("members"), RowExclusiveLock);
	HeapTuple	tuple = member_to_tuple(row, RelationGetDescr(rel));

	CatalogTupleInsert(rel, tuple);
	row->tid = tuple->t_self;
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
qt_member_catalog_update(QtMemberRow *row)
{
	Relation	rel = table_open(qt_catalog_table("members"), RowExclusiveLock);
	HeapTuple	tuple = member_to_tuple(row, RelationGetDescr(rel));

	CatalogTupleUpdate(rel, &row->tid, tuple);
	row->tid = tuple->t_self;
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
qt_member_catalog_delete(const QtMemberRow *row)
{
	Relation	rel = table_open(qt_catalog_table("members"), RowExclusiveLock);

	CatalogTupleDelete(rel, unconstify(ItemPointerData *, &row->tid));
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

static HeapTuple
member_to_tuple(const QtMemberRow *row, TupleDesc desc)
{
	Datum		values[NATTS_MEMBERS];
	bool		nulls[NATTS_MEMBERS] = {false};
	Datum	   *topics = palloc(sizeof(Datum) * Max(row->topic_count, 1));

	for (int i = 0; i < row->topic_count; i++)
		topics[i] = Int32GetDatum(row->topics[i]);
	values[ANUM_MEMBERS_GROUP_ID - 1] = Int32GetDatum(row->group_id);
	values[ANUM_MEMBERS_MEMBER_ID - 1] = CStringGetTextDatum(row->member_id);
	values[ANUM_MEMBERS_MEMBER_NO - 1] = Int32GetDatum(row->member_no);
	nulls[ANUM_MEMBERS_INSTANCE_ID - 1] = row->instance_id == NULL;
	if (row->instance_id)
		values[ANUM_MEMBERS_INSTANCE_ID - 1] = CStringGetTextDatum(row->instance_id);
	values[ANUM_MEMBERS_FENCED - 1] = BoolGetDatum(row->fenced);
	values[ANUM_MEMBERS_JOINED_EPOCH - 1] = Int32GetDatum(row->joined_epoch);
	values[ANUM_MEMBERS_MEMBER_EPOCH - 1] = Int32GetDatum(row->member_epoch);
	values[ANUM_MEMBERS_ASSIGNOR - 1] = CStringGetTextDatum(qt_assignor_name(row->assignor));
	values[ANUM_MEMBERS_SESSION_MS - 1] = Int32GetDatum(row->session_ms);
	values[ANUM_MEMBERS_TOPICS - 1] =
		PointerGetDatum(construct_array(topics, row->topic_count, INT4OID,
										sizeof(int32), true, TYPALIGN_INT));
	return heap_form_tuple(desc, values, nulls);
}

static void
member_from_tuple(HeapTuple tuple, TupleDesc desc, QtMemberRow *row)
{
	Datum		values[NATTS_MEMBERS];
	bool		nulls[NATTS_MEMBERS];
	char	   *assignor;

	heap_deform_tuple(tuple, desc, values, nulls);
	row->group_id = DatumGetInt32(values[ANUM_MEMBERS_GROUP_ID - 1]);
	row->member_id = TextDatumGetCString(values[ANUM_MEMBERS_MEMBER_ID - 1]);
	row->member_no = DatumGetInt32(values[ANUM_MEMBERS_MEMBER_NO - 1]);
	row->instance_id = nulls[ANUM_MEMBERS_INSTANCE_ID - 1] ? NULL :
		TextDatumGetCString(values[ANUM_MEMBERS_INSTANCE_ID - 1]);
	row->fenced = DatumGetBool(values[ANUM_MEMBERS_FENCED - 1]);
	row->joined_epoch = DatumGetInt32(values[ANUM_MEMBERS_JOINED_EPOCH - 1]);
	row->member_epoch = DatumGetInt32(values[ANUM_MEMBERS_MEMBER_EPOCH - 1]);
	assignor = TextDatumGetCString(values[ANUM_MEMBERS_ASSIGNOR - 1]);
	row->assignor = qt_assignor_from_name(assignor);
	row->session_ms = DatumGetInt32(values[ANUM_MEMBERS_SESSION_MS - 1]);
	topics_from_array(values[ANUM_MEMBERS_TOPICS - 1], row);
	row->tid = tuple->t_self;
	if ((int) row->assignor < 0)
		elog(ERROR, "member %d has unrecognized assignor \"%s\"", row->member_no, assignor);
}

static void
topics_from_array(Datum array, QtMemberRow *row)
{
	Datum	   *topics;

	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &topics, NULL, &row->topic_count);
	row->topics = palloc(sizeof(int) * Max(row->topic_count, 1));
	for (int i = 0; i < row->topic_count; i++)
		row->topics[i] = DatumGetInt32(topics[i]);
}

/* ---- ownership ---- */

List *
qt_member_catalog_ownership(int gt_id, Snapshot snapshot)
{
	return ownership(gt_id, -1, snapshot);
}

bool
qt_member_catalog_find_ownership(int gt_id, int partition, Snapshot snapshot,
								 QtOwnership *row)
{
	List	   *rows = ownership(gt_id, partition, snapshot);

	if (rows == NIL)
		return false;
	*row = *(QtOwnership *) linitial(rows);
	return true;
}

void
qt_member_catalog_save_ownership(QtOwnership *row)
{
	Datum		values[NATTS_OWNERSHIP];
	bool		nulls[NATTS_OWNERSHIP] = {false};
	Relation	rel;
	HeapTuple	tuple;

	if (!row->is_new && !row->changed)
		return;
	values[ANUM_OWNERSHIP_GT_ID - 1] = Int32GetDatum(row->gt_id);
	values[ANUM_OWNERSHIP_PARTITION - 1] = Int32GetDatum(row->partition);
	values[ANUM_OWNERSHIP_OWNER - 1] = Int32GetDatum(row->owner);
	nulls[ANUM_OWNERSHIP_OWNER - 1] = row->owner == 0;
	values[ANUM_OWNERSHIP_SINCE_EPOCH - 1] = Int32GetDatum(row->since_epoch);
	values[ANUM_OWNERSHIP_REVOKE_EPOCH - 1] = Int32GetDatum(row->revoke_epoch);
	nulls[ANUM_OWNERSHIP_REVOKE_EPOCH - 1] = row->revoke_epoch == 0;
	values[ANUM_OWNERSHIP_TARGET - 1] = Int32GetDatum(row->target);
	nulls[ANUM_OWNERSHIP_TARGET - 1] = row->target == 0;

	rel = table_open(qt_catalog_table("ownership"), RowExclusiveLock);
	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	if (row->is_new)
		CatalogTupleInsert(rel, tuple);
	else
		CatalogTupleUpdate(rel, &row->tid, tuple);
	row->tid = tuple->t_self;
	row->is_new = row->changed = false;
	heap_freetuple(tuple);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

void
qt_member_catalog_delete_ownership(int gt_id)
{
	Relation	rel = table_open(qt_catalog_table("ownership"), RowExclusiveLock);
	ListCell   *lc;

	foreach(lc, ownership(gt_id, -1, SnapshotSelf))
		CatalogTupleDelete(rel, &((QtOwnership *) lfirst(lc))->tid);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* Of one partition of a topic in a group, or of all (-1). */
static List *
ownership(int gt_id, int partition, Snapshot snapshot)
{
	Relation	rel = table_open(qt_catalog_table("ownership"), AccessShareLock);
	Relation	index = index_open(qt_catalog_table("ownership_pkey"), AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *rows = NIL;

	ScanKeyInit(&keys[0], ANUM_OWNERSHIP_GT_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(gt_id));
	ScanKeyInit(&keys[1], ANUM_OWNERSHIP_PARTITION, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(partition));
	scan = systable_beginscan_ordered(rel, index, snapshot, partition < 0 ? 1 : 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		QtOwnership *row = palloc(sizeof(QtOwnership));

		ownership_from_tuple(tuple, RelationGetDescr(rel), row);
		rows = lappend(rows, row);
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	return rows;
}

static void
ownership_from_tuple(HeapTuple tuple, TupleDesc desc, QtOwnership *row)
{
	Datum		values[NATTS_OWNERSHIP];
	bool		nulls[NATTS_OWNERSHIP];

	heap_deform_tuple(tuple, desc, values, nulls);
	memset(row, 0, sizeof(*row));
	row->gt_id = DatumGetInt32(values[ANUM_OWNERSHIP_GT_ID - 1]);
	row->partition = DatumGetInt32(values[ANUM_OWNERSHIP_PARTITION - 1]);
	if (!nulls[ANUM_OWNERSHIP_OWNER - 1])
		row->owner = DatumGetInt32(values[ANUM_OWNERSHIP_OWNER - 1]);
	row->since_epoch = DatumGetInt32(values[ANUM_OWNERSHIP_SINCE_EPOCH - 1]);
	if (!nulls[ANUM_OWNERSHIP_REVOKE_EPOCH - 1])
		row->revoke_epoch = DatumGetInt32(values[ANUM_OWNERSHIP_REVOKE_EPOCH - 1]);
	if (!nulls[ANUM_OWNERSHIP_TARGET - 1])
		row->target = DatumGetInt32(values[ANUM_OWNERSHIP_TARGET - 1]);
	row->tid = tuple->t_self;
}
