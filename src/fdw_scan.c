/*
 * fdw_scan.c
 *		The foreign data wrapper: a topic is a relation.
 *
 * A plain scan over all partitions, one after the other, each in offset
 * order.  It reads with the snapshot of the statement, and every scan of the
 * statement stops at the same offsets, so a topic looks the same however often
 * it is read.
 *
 * Which topic a foreign table shows is told by its name alone; no option can
 * make it another.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw_topic.h"
#include "guc.h"
#include "partition_scan.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_cache.h"

/* What is copied out of the storage at a time. */
#define CHUNK_BYTES		(256 * 1024)

/* Until there are statistics. */
#define ROWS_ESTIMATE	1000000

typedef struct TopicScan
{
	QtTopic    *topic;
	int			topic_id;
	int			partition_count;	/* as of the first look */
	int			partition;		/* the one that is read */
	bool		scanning;		/* view and scan are of that partition */
	QtReadView	view;
	QtPartitionScan scan;
	int			batch;			/* next batch of the chunk */
	bool		reading;		/* the reader has a batch */
	QtBatchSource source;
	QtBatchReader reader;
	MemoryContext context;		/* of the scans */
} TopicScan;

PG_FUNCTION_INFO_V1(qtopic_fdw_handler);
PG_FUNCTION_INFO_V1(qtopic_fdw_validator);

static void get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid);
static void get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
static ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
							 ForeignPath *best_path, List *tlist,
							 List *scan_clauses, Plan *outer_plan);
static void begin_scan(ForeignScanState *node, int eflags);
static TupleTableSlot *iterate_scan(ForeignScanState *node);
static void rescan(ForeignScanState *node);
static void end_scan(ForeignScanState *node);
static bool next_record(TopicScan *state, EState *estate, QtRecord *record);
static void close_partition(TopicScan *state);

Datum
qtopic_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->BeginForeignScan = begin_scan;
	routine->IterateForeignScan = iterate_scan;
	routine->ReScanForeignScan = rescan;
	routine->EndForeignScan = end_scan;

	routine->PlanForeignModify = qt_fdw_plan_modify;
	routine->BeginForeignModify = qt_fdw_begin_modify;
	routine->ExecForeignInsert = qt_fdw_insert;
	routine->EndForeignModify = qt_fdw_end_insert;
	routine->BeginForeignInsert = qt_fdw_begin_insert;
	routine->EndForeignInsert = qt_fdw_end_insert;
	routine->IsForeignRelUpdatable = qt_fdw_is_updatable;
	routine->ExecForeignTruncate = qt_fdw_truncate;
	PG_RETURN_POINTER(routine);
}

/* No object has options. */
Datum
qtopic_fdw_validator(PG_FUNCTION_ARGS)
{
	if (untransformRelOptions(PG_GETARG_DATUM(0)) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("topics have no foreign data wrapper options"),
				 errhint("Use alter_topic() to configure a topic.")));
	PG_RETURN_VOID();
}

QtTopic *
qt_fdw_topic(Relation rel)
{
	QtTopicRow	row;

	if (strcmp(get_namespace_name(RelationGetNamespace(rel)), QT_RELATION_SCHEMA) != 0 ||
		!qt_catalog_find_relation(RelationGetRelationName(rel), &row))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("foreign table \"%s\" is not the relation of a topic",
						RelationGetRelationName(rel)),
				 errhint("Use create_topic() to create a topic with its relation.")));
	return qt_topic_lookup(row.name, false);
}

static void
get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	rel->rows = clamp_row_est(ROWS_ESTIMATE *
							  clauselist_selectivity(root, rel->baserestrictinfo, 0,
													 JOIN_INNER, NULL));
	rel->tuples = ROWS_ESTIMATE;
}

static void
get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	Cost		run_cost = rel->tuples * (cpu_tuple_cost + rel->baserestrictcost.per_tuple);
	Cost		startup_cost = rel->baserestrictcost.startup;

	add_path(rel, (Path *) create_foreignscan_path(root, rel, NULL, rel->rows,
												   startup_cost, startup_cost + run_cost,
												   NIL, NULL, NULL, NIL));
}

static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *best_path,
		 List *tlist, List *scan_clauses, Plan *outer_plan)
{
	return make_foreignscan(tlist, extract_actual_clauses(scan_clauses, false),
							rel->relid, NIL, NIL, NIL, NIL, outer_plan);
}

static void
begin_scan(ForeignScanState *node, int eflags)
{
	Relation	rel = node->ss.ss_currentRelation;
	TopicScan  *state;

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state = palloc0(sizeof(TopicScan));
	state->topic = qt_fdw_topic(rel);
	state->topic_id = state->topic->id;
	state->partition_count = state->topic->partition_count;
	state->context = AllocSetContextCreate(node->ss.ps.state->es_query_cxt,
										   "qtopic topic scan", ALLOCSET_DEFAULT_SIZES);
	qt_batch_reader_init(&state->reader);
	node->fdw_state = state;
}

static TupleTableSlot *
iterate_scan(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	QtRecord	record;
	MemoryContext old;

	ExecClearTuple(slot);
	if (!next_record(state, node->ss.ps.state, &record))
		return slot;

	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	qt_record_to_row(&record, &state->source,
					 state->topic->config.key_format, state->topic->config.value_format,
					 slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(slot);
}

static void
rescan(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;

	close_partition(state);
	state->partition = 0;
}

static void
end_scan(ForeignScanState *node)
{
	if (node->fdw_state != NULL)
		close_partition(node->fdw_state);
}

/*
 * The next record of the topic; false at the end.  Between two calls no pin
 * is held; the executor's lock on the foreign table keeps drop_topic away.
 */
static bool
next_record(TopicScan *state, EState *estate, QtRecord *record)
{
	for (;;)
	{
		if (state->reading)
		{
			while (qt_batch_reader_next(&state->reader, record))
				if (record->offset >= state->scan.log_start_offset)
					return true;
			state->reading = false;
		}

		if (state->scanning && state->batch < state->scan.leaf.batch_count)
		{
			QtStoredBatch *batch = &state->scan.leaf.batches[state->batch++];

			state->source.topic = state->topic->name;
			state->source.partition = state->partition;
			state->source.last_offset = batch->last_offset;
			qt_batch_reader_open(&state->reader, batch->data, batch->len,
								 &state->source, qt_guc_check_crcs);
			state->reading = true;
			continue;
		}

		CHECK_FOR_INTERRUPTS();
		if (!state->scanning)
		{
			MemoryContext old;

			if (state->partition >= state->partition_count)
				return false;
			old = MemoryContextSwitchTo(state->context);
			qt_topic_refresh(state->topic);
			qt_read_view_of_statement(&state->view, estate, state->topic, state->partition);
			qt_scan_begin(&state->scan, state->topic, state->partition, &state->view, 0);
			state->scan.leaf.position = state->scan.log_start_offset;
			MemoryContextSwitchTo(old);
			state->scanning = true;
			state->batch = 0;
		}

		state->batch = 0;
		if (!qt_scan_next(&state->scan, PG_INT64_MAX, CHUNK_BYTES))
		{
			close_partition(state);
			state->partition++;
		}
	}
}

static void
close_partition(TopicScan *state)
{
	if (state->scanning)
	{
		qt_scan_end(&state->scan);
		qt_read_view_close(&state->view);
	}
	state->scanning = false;
	state->reading = false;
}
