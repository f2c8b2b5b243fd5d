/*
 * fdw_modify.c
 *		INSERT and COPY into the relation of a topic: producing.
 *
 * Rows are packed into batches across the whole statement and appended as
 * batches fill, the last ones when the statement ends.  Where somebody looks
 * at the row that was inserted (RETURNING, an AFTER ROW trigger), each record
 * is appended by itself, so that its offset is known.
 *
 * Records cannot be changed or removed one by one, so everything else is
 * refused, with a hint what to do instead.
 */
#include "postgres.h"

#include <time.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "fdw_topic.h"
#include "guc.h"
#include "produce.h"
#include "qtopic.h"
#include "record_row.h"

typedef struct TopicInsert
{
	QtProducer	producer;
	Oid			key_type;
	Oid			value_type;
	bool		row_by_row;		/* the inserted row is looked at */
	TimestampTz begun;
	MemoryContext context;		/* of the producer */
	MemoryContext row_context;
} TopicInsert;

static void begin_insert(EState *estate, ResultRelInfo *rinfo, bool row_by_row);
static void row_to_record(TopicInsert *insert, TupleTableSlot *slot,
						  QtRecord *record, int *partition);
static TimestampTz row_clock(const TopicInsert *insert);
static void show_row(TupleTableSlot *slot, const QtRecord *record,
					 int partition, int64 offset);

/*
 * Refuse at planning what cannot be done, whether or not it would hit a row.
 * The private list tells whether the inserted row is looked at: by RETURNING, or
 * a view's check option.
 */
List *
qt_fdw_plan_modify(PlannerInfo *root, ModifyTable *plan, Index result_relation,
				   int subplan_index)
{
	RangeTblEntry *rte = planner_rt_fetch(result_relation, root);
	Relation	rel = table_open(rte->relid, NoLock);
	const char *name = pstrdup(RelationGetRelationName(rel));

	table_close(rel, NoLock);
	if (plan->operation != CMD_INSERT)
		qt_fdw_refuse_change(name);
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ON CONFLICT is not supported for topic \"%s\"", name),
				 errdetail("A log has no unique keys: records of the same key follow each other."),
				 errhint("Leave ON CONFLICT out; readers take the last record of a key.")));
	return list_make1_int(plan->returningLists != NIL || plan->withCheckOptionLists != NIL);
}

/* UPDATE, DELETE and TRUNCATE. */
void
qt_fdw_refuse_change(const char *relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("records of topic \"%s\" cannot be changed or removed", relation),
			 errdetail("A topic is an append-only log."),
			 errhint("Produce a newer record of the same key, delete the oldest records with delete_records(), or drop the topic with drop_topic().")));
}

void
qt_fdw_truncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	qt_fdw_refuse_change(RelationGetRelationName((Relation) linitial(rels)));
}

int
qt_fdw_is_updatable(Relation rel)
{
	return 1 << CMD_INSERT;
}

void
qt_fdw_begin_modify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
					List *fdw_private, int subplan_index, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		begin_insert(mtstate->ps.state, rinfo, linitial_int(fdw_private) != 0);
}

void
qt_fdw_begin_insert(ModifyTableState *mtstate, ResultRelInfo *rinfo)
{
	begin_insert(mtstate->ps.state, rinfo, false);
}

TupleTableSlot *
qt_fdw_insert(EState *estate, ResultRelInfo *rinfo, TupleTableSlot *slot,
			  TupleTableSlot *plan_slot)
{
	TopicInsert *insert = rinfo->ri_FdwState;
	MemoryContext old = MemoryContextSwitchTo(insert->row_context);
	QtRecord	record;
	int			partition;
	int64		offset;

	CHECK_FOR_INTERRUPTS();
	row_to_record(insert, slot, &record, &partition);
	if (insert->row_by_row)
	{
		qt_produce_record(insert->producer.topic, &record, partition,
						  insert->producer.deferred, &partition, &offset);
		MemoryContextSwitchTo(old);
		show_row(slot, &record, partition, offset);
	}
	else
	{
		qt_producer_put(&insert->producer, &record, partition);
		MemoryContextSwitchTo(old);
	}
	MemoryContextReset(insert->row_context);
	return slot;
}

void
qt_fdw_end_insert(EState *estate, ResultRelInfo *rinfo)
{
	TopicInsert *insert = rinfo->ri_FdwState;
	MemoryContext old;

	if (insert == NULL)
		return;
	rinfo->ri_FdwState = NULL;
	old = MemoryContextSwitchTo(insert->context);
	if (!insert->row_by_row)
		qt_producer_finish(&insert->producer);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(insert->context);
}

static void
begin_insert(EState *estate, ResultRelInfo *rinfo, bool row_by_row)
{
	Relation	rel = rinfo->ri_RelationDesc;
	TupleDesc	desc = RelationGetDescr(rel);
	QtTopic    *topic = qt_fdw_topic(RelationGetRelid(rel));
	MemoryContext context = AllocSetContextCreate(estate->es_query_cxt, "qtopic insert",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TopicInsert *insert = palloc0(sizeof(TopicInsert));

	qt_producer_begin(&insert->producer, topic,
					  qt_guc_produce_mode == QT_PRODUCE_DEFERRED);
	insert->producer.without_runs = true;
	insert->key_type = TupleDescAttr(desc, QT_COLUMN_KEY)->atttypid;
	insert->value_type = TupleDescAttr(desc, QT_COLUMN_VALUE)->atttypid;
	insert->row_by_row = row_by_row ||
		(rinfo->ri_TrigDesc != NULL &&
		 (rinfo->ri_TrigDesc->trig_insert_after_row ||
		  rinfo->ri_TrigDesc->trig_insert_after_statement));
	insert->begun = GetCurrentTimestamp();
	insert->context = context;
	insert->row_context = AllocSetContextCreate(context, "qtopic insert row",
												ALLOCSET_DEFAULT_SIZES);
	rinfo->ri_FdwState = insert;
	MemoryContextSwitchTo(old);
}

static void
row_to_record(TopicInsert *insert, TupleTableSlot *slot, QtRecord *record, int *partition)
{
	QtTopic    *topic = insert->producer.topic;
	bool		time_given;

	slot_getallattrs(slot);
	if (!slot->tts_isnull[QT_COLUMN_OFFSET])
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot insert a value into column \"_offset\" of topic \"%s\"", topic->name),
				 errdetail("Offsets are given by the log, in the order of appending."),
				 errhint("Leave the column out.")));

	memset(record, 0, sizeof(*record));
	record->key_len = record->value_len = -1;
	*partition = QT_PARTITION_ANY;
	if (!slot->tts_isnull[QT_COLUMN_PARTITION])
	{
		*partition = DatumGetInt32(slot->tts_values[QT_COLUMN_PARTITION]);
		qt_topic_check_partition(topic, *partition);
	}
	time_given = !slot->tts_isnull[QT_COLUMN_TIMESTAMP];
	record->timestamp =
		qt_record_timestamp(topic, time_given,
							time_given ? DatumGetTimestampTz(slot->tts_values[QT_COLUMN_TIMESTAMP]) : 0,
							row_clock(insert));
	if (!slot->tts_isnull[QT_COLUMN_KEY])
		qt_record_set_key(record, topic, slot->tts_values[QT_COLUMN_KEY], insert->key_type);
	if (!slot->tts_isnull[QT_COLUMN_VALUE])
		qt_record_set_value(record, topic, slot->tts_values[QT_COLUMN_VALUE], insert->value_type);
	if (!slot->tts_isnull[QT_COLUMN_HEADERS])
		qt_record_set_headers(record, DatumGetJsonbP(slot->tts_values[QT_COLUMN_HEADERS]));
}

/*
 * The time of a row that brings none.  Reading the exact clock for each is
 * measurable, and times are kept in milliseconds: a clock of the kernel that
 * is some behind will do, but never behind the beginning of the statement.
 */
static TimestampTz
row_clock(const TopicInsert *insert)
{
#ifdef CLOCK_REALTIME_COARSE
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0)
	{
		int64		seconds = (int64) now.tv_sec -
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

		return Max(insert->begun, seconds * USECS_PER_SEC + now.tv_nsec / 1000);
	}
#endif
	return GetCurrentTimestamp();
}

/* Let the slot show where the record went. */
static void
show_row(TupleTableSlot *slot, const QtRecord *record, int partition, int64 offset)
{
	Datum		values[QT_RECORD_COLUMNS];
	bool		nulls[QT_RECORD_COLUMNS];
	MemoryContext old = MemoryContextSwitchTo(slot->tts_mcxt);

	memcpy(values, slot->tts_values, sizeof(values));
	memcpy(nulls, slot->tts_isnull, sizeof(nulls));
	values[QT_COLUMN_PARTITION] = Int32GetDatum(partition);
	nulls[QT_COLUMN_PARTITION] = false;
	values[QT_COLUMN_OFFSET] = Int64GetDatum(offset);
	nulls[QT_COLUMN_OFFSET] = offset < 0;
	values[QT_COLUMN_TIMESTAMP] = TimestampTzGetDatum(qt_timestamp_from_ms(record->timestamp));
	nulls[QT_COLUMN_TIMESTAMP] = false;
	ExecForceStoreHeapTuple(heap_form_tuple(slot->tts_tupleDescriptor, values, nulls),
							slot, true);
	MemoryContextSwitchTo(old);
}
