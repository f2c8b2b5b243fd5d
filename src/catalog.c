/*
 * catalog.c
 *		The catalog tables of qtopic, read with a snapshot of their own.
 *
 * The only file that knows attribute numbers.  Writing is done by SQL in
 * topic.c, which is a cold path.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog.h"
#include "qtopic.h"

#define ANUM_TOPICS_TOPIC_ID	1
#define ANUM_TOPICS_NAME		2
#define ANUM_TOPICS_RELATION	3
#define ANUM_TOPICS_PARTITIONS	4
#define ANUM_TOPICS_CONFIG		5
#define ANUM_TOPICS_CREATOR		6
#define NATTS_TOPICS			7

#define ANUM_PARTITIONS_TOPIC_ID			1
#define ANUM_PARTITIONS_PARTITION			2
#define ANUM_PARTITIONS_LOG_START_OFFSET	3

#define ANUM_SEGMENTS_TOPIC_ID		1
#define ANUM_SEGMENTS_PARTITION		2
#define ANUM_SEGMENTS_LEAF_NO		3
#define ANUM_SEGMENTS_GENERATION	4
#define ANUM_SEGMENTS_STATE			5
#define ANUM_SEGMENTS_ORDINAL		6
#define ANUM_SEGMENTS_LAST_KEY		9
#define NATTS_SEGMENTS				13

static const char *const segment_states[] = {
	"FREE", "ACTIVE", "SEALED", "SETTLED", "EXPIRED", "FILLING", "FILLED", "REPLACED"
};

static bool find_topic(const char *index, int attnum, RegProcedure equal,
					   Datum value, QtTopicRow *row);
static void read_segment(HeapTuple tuple, TupleDesc desc, int topic_id,
						 int partition, QtPartitionRow *row);
static int	compare_ordinals(const void *a, const void *b);

Oid
qt_catalog_schema(const char *schema)
{
	return get_namespace_oid(schema, true);
}

Oid
qt_catalog_table(const char *table)
{
	Oid			schema = qt_catalog_schema(QT_STORAGE_SCHEMA);

	return OidIsValid(schema) ? get_relname_relid(table, schema) : InvalidOid;
}

/*
 * Not GetLatestSnapshot(), which may not be called while a query runs in
 * parallel.  For a relation that sends no invalidations, and "none" is one,
 * the catalog snapshot is taken anew each time.
 */
Snapshot
qt_catalog_snapshot(void)
{
	return GetCatalogSnapshot(InvalidOid);
}

void
qt_catalog_parent_name(NameData *name, int topic_id)
{
	snprintf(NameStr(*name), NAMEDATALEN, "topic_%d", topic_id);
}

void
qt_catalog_leaf_name(NameData *name, int topic_id, int partition, int leaf_no)
{
	snprintf(NameStr(*name), NAMEDATALEN, "topic_%d_p%d_%d", topic_id, partition, leaf_no);
}

void
qt_catalog_sequence_name(NameData *name, int topic_id, int partition)
{
	snprintf(NameStr(*name), NAMEDATALEN, "topic_%d_p%d_offset", topic_id, partition);
}

Oid
qt_catalog_owner(void)
{
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			owner = InvalidOid;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(QT_EXTENSION_NAME));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" is not installed in this database", QT_EXTENSION_NAME)));
	return owner;
}

bool
qt_catalog_find_topic(const char *name, QtTopicRow *row)
{
	return find_topic("topics_name_key", ANUM_TOPICS_NAME, F_TEXTEQ,
					  CStringGetTextDatum(name), row);
}

bool
qt_catalog_get_topic(int topic_id, QtTopicRow *row)
{
	return find_topic("topics_pkey", ANUM_TOPICS_TOPIC_ID, F_INT4EQ,
					  Int32GetDatum(topic_id), row);
}

bool
qt_catalog_find_relation(const char *relation, QtTopicRow *row)
{
	return find_topic("topics_relation_key", ANUM_TOPICS_RELATION, F_NAMEEQ,
					  CStringGetDatum(relation), row);
}

bool
qt_catalog_get_partition(int topic_id, int partition, QtPartitionRow *row)
{
	Snapshot	snapshot;
	Relation	rel;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;
	bool		isnull;
	NameData	name;

	memset(row, 0, sizeof(*row));
	snapshot = RegisterSnapshot(qt_catalog_snapshot());

	ScanKeyInit(&keys[0], ANUM_PARTITIONS_TOPIC_ID, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(topic_id));
	ScanKeyInit(&keys[1], ANUM_PARTITIONS_PARTITION, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(partition));
	rel = table_open(qt_catalog_table("partitions"), AccessShareLock);
	scan = systable_beginscan(rel, qt_catalog_table("partitions_pkey"), true,
							  snapshot, 2, keys);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		row->log_start_offset =
			DatumGetInt64(heap_getattr(tuple, ANUM_PARTITIONS_LOG_START_OFFSET,
									   RelationGetDescr(rel), &isnull));
		row->log_start_is_ours =
			TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (found)
	{
		rel = table_open(qt_catalog_table("segments"), AccessShareLock);
		ScanKeyInit(&keys[0], ANUM_SEGMENTS_TOPIC_ID, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(topic_id));
		ScanKeyInit(&keys[1], ANUM_SEGMENTS_PARTITION, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(partition));
		scan = systable_beginscan(rel, qt_catalog_table("segments_pkey"), true,
								  snapshot, 2, keys);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			read_segment(tuple, RelationGetDescr(rel), topic_id, partition, row);
		systable_endscan(scan);
		table_close(rel, AccessShareLock);

		if (row->segment_count > 1)
			qsort(row->segments, row->segment_count, sizeof(QtSegment), compare_ordinals);

		qt_catalog_sequence_name(&name, topic_id, partition);
		row->sequence = qt_catalog_table(NameStr(name));
	}

	UnregisterSnapshot(snapshot);
	return found;
}

static bool
find_topic(const char *index, int attnum, RegProcedure equal, Datum value,
		   QtTopicRow *row)
{
	Snapshot	snapshot;
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;
	Oid			table = qt_catalog_table("topics");

	if (!OidIsValid(table))
		return false;

	ScanKeyInit(&key, attnum, BTEqualStrategyNumber, equal, value);
	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	rel = table_open(table, AccessShareLock);
	scan = systable_beginscan(rel, qt_catalog_table(index), true, snapshot, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple);
	if (found)
	{
		Datum		values[NATTS_TOPICS];
		bool		nulls[NATTS_TOPICS];

		heap_deform_tuple(tuple, RelationGetDescr(rel), values, nulls);
		row->topic_id = DatumGetInt32(values[ANUM_TOPICS_TOPIC_ID - 1]);
		row->name = TextDatumGetCString(values[ANUM_TOPICS_NAME - 1]);
		row->relation = *DatumGetName(values[ANUM_TOPICS_RELATION - 1]);
		row->partitions = DatumGetInt32(values[ANUM_TOPICS_PARTITIONS - 1]);
		row->config = DatumGetJsonbPCopy(values[ANUM_TOPICS_CONFIG - 1]);
		row->creator = DatumGetObjectId(values[ANUM_TOPICS_CREATOR - 1]);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	UnregisterSnapshot(snapshot);
	return found;
}

/* Add the segment to the row, unless its leaf holds nothing to read. */
static void
read_segment(HeapTuple tuple, TupleDesc desc, int topic_id, int partition,
			 QtPartitionRow *row)
{
	Datum		values[NATTS_SEGMENTS];
	bool		nulls[NATTS_SEGMENTS];
	QtSegment  *segment;
	char	   *state;
	int			i;
	TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	NameData	name;

	heap_deform_tuple(tuple, desc, values, nulls);

	state = TextDatumGetCString(values[ANUM_SEGMENTS_STATE - 1]);
	for (i = 0; i < lengthof(segment_states); i++)
		if (strcmp(state, segment_states[i]) == 0)
			break;
	if (i == lengthof(segment_states))
		elog(ERROR, "segment of topic %d, partition %d has unrecognized state \"%s\"",
			 topic_id, partition, state);
	if (i != QT_SEGMENT_ACTIVE && i != QT_SEGMENT_SEALED && i != QT_SEGMENT_SETTLED)
		return;

	if (row->segments == NULL)
		row->segments = palloc(sizeof(QtSegment));
	else
		row->segments = repalloc(row->segments,
								 (row->segment_count + 1) * sizeof(QtSegment));
	segment = &row->segments[row->segment_count++];

	segment->state = i;
	segment->leaf_no = DatumGetInt32(values[ANUM_SEGMENTS_LEAF_NO - 1]);
	segment->generation = DatumGetInt32(values[ANUM_SEGMENTS_GENERATION - 1]);
	segment->ordinal = DatumGetInt32(values[ANUM_SEGMENTS_ORDINAL - 1]);
	segment->last_key = nulls[ANUM_SEGMENTS_LAST_KEY - 1] ? -1 :
		DatumGetInt64(values[ANUM_SEGMENTS_LAST_KEY - 1]);
	segment->made_by = TransactionIdIsCurrentTransactionId(xmin) ? xmin : InvalidTransactionId;

	qt_catalog_leaf_name(&name, topic_id, partition, segment->leaf_no);
	segment->leaf = qt_catalog_table(NameStr(name));
	if (!OidIsValid(segment->leaf))
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("a segment of topic %d, partition %d cannot be opened", topic_id, partition),
				 errdetail("The catalog names relation \"%s\", which does not exist.", NameStr(name)),
				 errhint("The storage was changed behind qtopic or restored in part; restore it from a backup.")));
}

static int
compare_ordinals(const void *a, const void *b)
{
	int			left = ((const QtSegment *) a)->ordinal;
	int			right = ((const QtSegment *) b)->ordinal;

	return (left > right) - (left < right);
}
