/*
 * fdw_scan.c
 *		Executing scans of the relation of a topic.
 *
 * A scan reads with the snapshot of its statement, and all scans of a
 * statement stop at the same offsets, so a topic looks the same however often
 * it is read.  Between two rows no pin or lock is held on the storage; the
 * executor's lock on the foreign table keeps drop_topic away.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "fdw_topic.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_reader.h"

/* What EXPLAIN (ANALYZE) shows. */
enum
{
	COUNT_PARTITIONS,
	COUNT_SEGMENTS,
	COUNT_BATCHES_READ,
	COUNT_BATCHES_PASSED,
	COUNTS
};

typedef struct TopicScan
{
	QtTopicReader reader;
	QtReadBounds bounds;
	List	   *columns;		/* of the conditions */
	List	   *strategies;
	List	   *values;			/* ExprStates */
	List	   *types;			/* of the values */
	bool		backward;
	bool		started;		/* bounds are computed */
	int			needed;			/* bits of the columns that are looked at */
	MemoryContext bounds_context;

	/* an aggregated scan */
	List	   *aggregates;
	bool		grouped;
	bool		ends_only;		/* nobody asks for the count */
	bool		finished;

	/* a scan that several processes share */
	struct SharedScan *shared;
	int			task;			/* in hand, or -1 */
	uint64		added[COUNTS];	/* of this process to the shared counters */
	uint64		others[COUNTS]; /* of other processes, when the scan was shared */
} TopicScan;

/*
 * The work of a shared scan: stretches of partitions.  The process that sets it
 * up finds out where the snapshot stops before anybody reads, so that all stop
 * at the same place.
 */
typedef struct ScanTask
{
	int			partition;
	int64		low;			/* offsets, inclusive */
	int64		high;
	int64		stop;			/* of the partition */
	int64		stop_base;
	int64		log_start;
} ScanTask;

typedef struct SharedScan
{
	pg_atomic_uint32 next;		/* task that nobody has taken */
	pg_atomic_uint64 counts[COUNTS];	/* of all processes */
	int			task_count;
	ScanTask	tasks[FLEXIBLE_ARRAY_MEMBER];
} SharedScan;

/* Stretches that a partition is cut into at the most, and how long they are. */
#define TASKS_PER_PARTITION		64
#define TASK_OFFSETS_MIN		5000

static void refuse_lock(ForeignScanState *node);
static void explain_conditions(ForeignScanState *node, ExplainState *es);
static char *deparse_conditions(ForeignScan *plan, List *context, bool use_prefix);
static void start(ForeignScanState *node);
static void share_work(ForeignScanState *node);
static void get_counts(const TopicScan *state, uint64 *counts);
static void add_counts(TopicScan *state);
static bool next_record(TopicScan *state, QtRecord *record);
static void compute_bounds(TopicScan *state, ExprContext *econtext);
static void apply_condition(QtReadBounds *bounds, int column, int strategy,
							Datum value, Oid type, int partition_count);
static void apply_partition(QtReadBounds *bounds, int strategy, int64 value,
							int partition_count);
static void apply_any(QtReadBounds *bounds, int column, ArrayType *array,
					  int partition_count);
static void apply_offset(QtReadBounds *bounds, int strategy, int64 value);
static void apply_time(QtReadBounds *bounds, int strategy, TimestampTz value);
static int64 integer_value(Datum value, Oid type);
static bool next_aggregate(TopicScan *state, TupleTableSlot *slot);
static void keep_partitions(QtReadBounds *bounds, Bitmapset *partitions);

void
qt_fdw_begin_scan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *private = plan->fdw_private;
	EState	   *estate = node->ss.ps.state;
	TopicScan  *state;
	ListCell   *lc;

	refuse_lock(node);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;

	state = palloc0(sizeof(TopicScan));
	state->columns = list_nth(private, QT_PRIVATE_COLUMNS);
	state->strategies = list_nth(private, QT_PRIVATE_STRATEGIES);
	state->values = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
	foreach(lc, plan->fdw_exprs)
		state->types = lappend_oid(state->types, exprType(lfirst(lc)));
	state->backward = linitial_int(list_nth(private, QT_PRIVATE_BACKWARD)) != 0;
	state->aggregates = list_nth(private, QT_PRIVATE_AGGREGATES);
	state->grouped = list_member_int(state->aggregates, QT_AGGREGATE_PARTITION);
	state->ends_only = !list_member_int(state->aggregates, QT_AGGREGATE_COUNT);
	foreach(lc, (List *) list_nth(private, QT_PRIVATE_NEEDED))
		state->needed |= 1 << lfirst_int(lc);
	state->bounds_context = AllocSetContextCreate(estate->es_query_cxt, "qtopic bounds",
												  ALLOCSET_SMALL_SIZES);
	qt_reader_open(&state->reader,
				   qt_fdw_topic(linitial_oid(list_nth(private, QT_PRIVATE_RELATION))),
				   estate);
	node->fdw_state = state;
}

/*
 * Records are never locked: nobody can change them.  Here and not in the planner,
 * so that who has no right to lock is told so.
 */
static void
refuse_lock(ForeignScanState *node)
{
	Index		relation = ((ForeignScan *) node->ss.ps.plan)->scan.scanrelid;
	ExecRowMark *mark = relation == 0 ? NULL :
		ExecFindRowMark(node->ss.ps.state, relation, true);

	if (mark != NULL && mark->strength != LCS_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot lock records of topic \"%s\"", qt_fdw_topic(mark->relid)->name),
				 errdetail("Records are never changed, so there is nothing to lock."),
				 errhint("Name the tables to lock with FOR UPDATE OF.")));
}

TupleTableSlot *
qt_fdw_iterate(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	QtTopicConfig *config;
	QtRecord	record;
	MemoryContext old;

	ExecClearTuple(slot);
	if (!state->started)
		start(node);

	if (state->aggregates != NIL)
		return next_aggregate(state, slot) ? ExecStoreVirtualTuple(slot) : slot;

	if (!next_record(state, &record))
		return slot;

	config = &state->reader.topic->config;
	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	qt_record_to_row(&record, &state->reader.source,
					 config->key_format, config->value_format, state->needed,
					 slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	return ExecStoreVirtualTuple(slot);
}

void
qt_fdw_rescan(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;

	/* values may have changed: compute the bounds again when they are needed */
	state->started = false;
}

void
qt_fdw_end_scan(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;

	if (state != NULL)
		qt_reader_close(&state->reader);
}

void
qt_fdw_explain(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	TopicScan  *state = node->fdw_state;

	explain_conditions(node, es);
	if (linitial_int(list_nth(plan->fdw_private, QT_PRIVATE_BACKWARD)) != 0)
		ExplainPropertyText("Direction", "backward", es);

	if (es->analyze && state != NULL)
	{
		uint64		counts[COUNTS];

		get_counts(state, counts);
		for (int i = 0; i < COUNTS; i++)
			counts[i] += state->others[i];
		ExplainPropertyUInteger("Partitions Read", NULL, counts[COUNT_PARTITIONS], es);
		ExplainPropertyUInteger("Segments Read", NULL, counts[COUNT_SEGMENTS], es);
		if (state->started && state->bounds.low > 0)
			ExplainPropertyInteger("First Offset", NULL, state->bounds.low, es);
		if (state->started && state->bounds.high != PG_INT64_MAX)
			ExplainPropertyInteger("Last Offset", NULL, state->bounds.high, es);
		ExplainPropertyUInteger("Batches Read", NULL, counts[COUNT_BATCHES_READ], es);
		ExplainPropertyUInteger("Batches Passed", NULL, counts[COUNT_BATCHES_PASSED], es);
	}
}

/* An aggregated scan is of no relation for the executor, so its name is shown, too. */
static void
explain_conditions(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, NIL);
	bool		use_prefix = list_length(es->rtable) > 1;

	if (plan->scan.scanrelid == 0)
	{
		Oid			relid = linitial_oid(list_nth(plan->fdw_private, QT_PRIVATE_RELATION));

		ExplainPropertyText("Relation",
							quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
													   get_rel_name(relid)), es);
		if (plan->fdw_exprs != NIL)
			ExplainPropertyText("Log Cond", deparse_conditions(plan, context, use_prefix), es);
	}
	else if (plan->fdw_recheck_quals != NIL)
		ExplainPropertyText("Log Cond",
							deparse_expression((Node *) make_ands_explicit(plan->fdw_recheck_quals),
											   context, use_prefix, false), es);
}

/* The conditions of an aggregated scan, whose columns the plan does not know. */
static char *
deparse_conditions(ForeignScan *plan, List *context, bool use_prefix)
{
	static const char *const columns[] = {"_partition", "_offset", "_timestamp"};
	static const char *const operators[] = {NULL, "<", "<=", "=", ">=", ">"};
	StringInfoData text;
	ListCell   *column;
	ListCell   *strategy;
	ListCell   *value;
	bool		several = list_length(plan->fdw_exprs) > 1;

	initStringInfo(&text);
	forthree(column, list_nth(plan->fdw_private, QT_PRIVATE_COLUMNS),
			 strategy, list_nth(plan->fdw_private, QT_PRIVATE_STRATEGIES),
			 value, plan->fdw_exprs)
	{
		const char *deparsed = deparse_expression(lfirst(value), context, use_prefix, false);

		if (text.len > 0)
			appendStringInfoString(&text, " AND ");
		else if (several)
			appendStringInfoChar(&text, '(');
		if (lfirst_int(strategy) == QT_STRATEGY_ANY)
			appendStringInfo(&text, "(%s = ANY (%s))", columns[lfirst_int(column)], deparsed);
		else
			appendStringInfo(&text, "(%s %s %s)", columns[lfirst_int(column)],
							 operators[lfirst_int(strategy)], deparsed);
	}
	if (several)
		appendStringInfoChar(&text, ')');
	return text.data;
}

/* ---- bounds ---- */

static void
start(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;

	compute_bounds(state, node->ss.ps.ps_ExprContext);
	if (state->shared == NULL)
		qt_reader_start(&state->reader, &state->bounds);
	state->task = -1;
	state->started = true;
	state->finished = false;
}

/* Evaluate the conditions. */
static void
compute_bounds(TopicScan *state, ExprContext *econtext)
{
	ListCell   *column;
	ListCell   *strategy;
	ListCell   *value;
	ListCell   *type;
	MemoryContext old;

	MemoryContextReset(state->bounds_context);
	qt_read_bounds_init(&state->bounds);
	state->bounds.backward = state->backward;
	old = MemoryContextSwitchTo(state->bounds_context);
	forfour(column, state->columns, strategy, state->strategies,
			value, state->values, type, state->types)
	{
		bool		isnull;
		Datum		datum = ExecEvalExpr((ExprState *) lfirst(value), econtext, &isnull);

		if (isnull)
			state->bounds.nothing = true;	/* NULL is never true */
		else
			apply_condition(&state->bounds, lfirst_int(column), lfirst_int(strategy),
							datum, lfirst_oid(type), state->reader.partition_count);
	}
	MemoryContextSwitchTo(old);
}

static void
apply_condition(QtReadBounds *bounds, int column, int strategy, Datum value,
				Oid type, int partition_count)
{
	if (strategy == QT_STRATEGY_ANY)
		apply_any(bounds, column, DatumGetArrayTypeP(value), partition_count);
	else if (column == QT_COLUMN_PARTITION)
		apply_partition(bounds, strategy, integer_value(value, type), partition_count);
	else if (column == QT_COLUMN_OFFSET)
		apply_offset(bounds, strategy, integer_value(value, type));
	else
		apply_time(bounds, strategy, DatumGetTimestampTz(value));
}

/* Partitions one by one; offsets between the least and the greatest. */
static void
apply_any(QtReadBounds *bounds, int column, ArrayType *array, int partition_count)
{
	Oid			element = ARR_ELEMTYPE(array);
	Bitmapset  *partitions = NULL;
	int64		least = PG_INT64_MAX;
	int64		greatest = PG_INT64_MIN;
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	deconstruct_array(array, element, typlen, typbyval, typalign,
					  &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		int64		number;

		if (nulls[i])
			continue;
		number = integer_value(values[i], element);
		least = Min(least, number);
		greatest = Max(greatest, number);
		if (column == QT_COLUMN_PARTITION && number >= 0 && number < partition_count)
			partitions = bms_add_member(partitions, (int) number);
	}
	if (column == QT_COLUMN_PARTITION)
		keep_partitions(bounds, partitions);
	else if (least > greatest)
		bounds->nothing = true;
	else
	{
		bounds->low = Max(bounds->low, least);
		bounds->high = Min(bounds->high, greatest);
	}
}

static void
apply_partition(QtReadBounds *bounds, int strategy, int64 value, int partition_count)
{
	QtReadBounds range;
	Bitmapset  *partitions = NULL;

	qt_read_bounds_init(&range);
	apply_offset(&range, strategy, value);
	range.low = Max(range.low, 0);
	range.high = Min(range.high, partition_count - 1);
	if (!range.nothing && range.low <= range.high)
		partitions = bms_add_range(NULL, (int) range.low, (int) range.high);
	keep_partitions(bounds, partitions);
}

static void
apply_offset(QtReadBounds *bounds, int strategy, int64 value)
{
	if ((strategy == BTLessStrategyNumber && value == PG_INT64_MIN) ||
		(strategy == BTGreaterStrategyNumber && value == PG_INT64_MAX))
	{
		bounds->nothing = true;
		return;
	}
	switch (strategy)
	{
		case BTLessStrategyNumber:
			bounds->high = Min(bounds->high, value - 1);
			break;
		case BTLessEqualStrategyNumber:
			bounds->high = Min(bounds->high, value);
			break;
		case BTEqualStrategyNumber:
			bounds->low = Max(bounds->low, value);
			bounds->high = Min(bounds->high, value);
			break;
		case BTGreaterEqualStrategyNumber:
			bounds->low = Max(bounds->low, value);
			break;
		case BTGreaterStrategyNumber:
			bounds->low = Max(bounds->low, value + 1);
			break;
		default:
			elog(ERROR, "unexpected strategy %d", strategy);
	}
}

/*
 * Records have whole milliseconds, the value has microseconds.  An infinite
 * value compares with what records of times that SQL cannot show look like.
 */
static void
apply_time(QtReadBounds *bounds, int strategy, TimestampTz value)
{
	int64		floor;
	bool		whole;

	if (TIMESTAMP_NOT_FINITE(value))
	{
		floor = qt_timestamp_edge_ms(TIMESTAMP_IS_NOEND(value));
		whole = false;
		/* at or beyond the edge is equal to infinity */
		if (TIMESTAMP_IS_NOEND(value))
		{
			if (strategy == BTGreaterStrategyNumber)
				bounds->nothing = true;
			else if (strategy == BTGreaterEqualStrategyNumber || strategy == BTEqualStrategyNumber)
				bounds->time_low = Max(bounds->time_low, floor);
			else if (strategy == BTLessStrategyNumber)
				bounds->time_high = Min(bounds->time_high, floor - 1);
		}
		else
		{
			if (strategy == BTLessStrategyNumber)
				bounds->nothing = true;
			else if (strategy == BTLessEqualStrategyNumber || strategy == BTEqualStrategyNumber)
				bounds->time_high = Min(bounds->time_high, floor);
			else if (strategy == BTGreaterStrategyNumber)
				bounds->time_low = Max(bounds->time_low, floor + 1);
		}
		return;
	}

	floor = qt_timestamp_to_ms(value);
	whole = qt_timestamp_from_ms(floor) == value;
	switch (strategy)
	{
		case BTLessStrategyNumber:
			bounds->time_high = Min(bounds->time_high, whole ? floor - 1 : floor);
			break;
		case BTLessEqualStrategyNumber:
			bounds->time_high = Min(bounds->time_high, floor);
			break;
		case BTEqualStrategyNumber:
			if (!whole)
				bounds->nothing = true;
			bounds->time_low = Max(bounds->time_low, floor);
			bounds->time_high = Min(bounds->time_high, floor);
			break;
		case BTGreaterEqualStrategyNumber:
			bounds->time_low = Max(bounds->time_low, whole ? floor : floor + 1);
			break;
		case BTGreaterStrategyNumber:
			bounds->time_low = Max(bounds->time_low, floor + 1);
			break;
		default:
			elog(ERROR, "unexpected strategy %d", strategy);
	}
}

static void
keep_partitions(QtReadBounds *bounds, Bitmapset *partitions)
{
	bounds->partitions = bounds->some_partitions ?
		bms_intersect(bounds->partitions, partitions) : partitions;
	bounds->some_partitions = true;
}

static int64
integer_value(Datum value, Oid type)
{
	switch (type)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* ---- sharing ---- */

bool
qt_fdw_is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte)
{
	return true;
}

Size
qt_fdw_estimate_dsm(ForeignScanState *node, ParallelContext *pcxt)
{
	TopicScan  *state = node->fdw_state;

	return add_size(offsetof(SharedScan, tasks),
					mul_size(mul_size(state->reader.partition_count, TASKS_PER_PARTITION),
							 sizeof(ScanTask)));
}

void
qt_fdw_initialize_dsm(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	TopicScan  *state = node->fdw_state;
	SharedScan *shared = coordinate;

	pg_atomic_init_u32(&shared->next, 0);
	for (int i = 0; i < COUNTS; i++)
		pg_atomic_init_u64(&shared->counts[i], 0);
	state->shared = shared;
	share_work(node);
}

void
qt_fdw_reinitialize_dsm(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	share_work(node);
}

void
qt_fdw_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	TopicScan  *state = node->fdw_state;

	state->shared = coordinate;
}

/* The shared memory goes away: the leader keeps what the others have counted. */
void
qt_fdw_shutdown_scan(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;

	if (state == NULL || state->shared == NULL)
		return;
	add_counts(state);
	if (!IsParallelWorker())
		for (int i = 0; i < COUNTS; i++)
			state->others[i] += pg_atomic_read_u64(&state->shared->counts[i]) - state->added[i];
	memset(state->added, 0, sizeof(state->added));
	state->shared = NULL;
}

static void
get_counts(const TopicScan *state, uint64 *counts)
{
	const QtTopicReader *reader = &state->reader;

	counts[COUNT_PARTITIONS] = reader->partitions_read;
	counts[COUNT_SEGMENTS] = reader->segments_read;
	counts[COUNT_BATCHES_READ] = reader->batches_read;
	counts[COUNT_BATCHES_PASSED] = reader->batches_passed;
	if (reader->scanning)
	{
		counts[COUNT_SEGMENTS] += reader->scan.segments_read;
		counts[COUNT_BATCHES_PASSED] += reader->scan.leaf.batches_passed;
	}
}

/* Tell the other processes what has been read since the last time. */
static void
add_counts(TopicScan *state)
{
	uint64		counts[COUNTS];

	get_counts(state, counts);
	for (int i = 0; i < COUNTS; i++)
	{
		pg_atomic_fetch_add_u64(&state->shared->counts[i], counts[i] - state->added[i]);
		state->added[i] = counts[i];
	}
}

/* Cut what is within the bounds into tasks. */
static void
share_work(ForeignScanState *node)
{
	TopicScan  *state = node->fdw_state;
	SharedScan *shared = state->shared;
	QtReadBounds *bounds = &state->bounds;

	start(node);
	shared->task_count = 0;
	pg_atomic_write_u32(&shared->next, 0);
	state->reader.bounds = *bounds;
	for (int p = 0; p < state->reader.partition_count; p++)
	{
		QtStop		stop;
		int64		low;
		int64		high;
		int64		stretch;

		if (bounds->nothing ||
			(bounds->some_partitions && !bms_is_member(p, bounds->partitions)))
			continue;
		qt_reader_find_stop(&state->reader, p, &stop);
		low = Max(bounds->low, stop.log_start);
		high = Min(bounds->high, stop.bound_base - 1);
		if (low > high)
			continue;
		stretch = Max((high - low) / TASKS_PER_PARTITION + 1, TASK_OFFSETS_MIN);
		for (int64 from = low; from <= high; from += stretch)
		{
			ScanTask   *task = &shared->tasks[shared->task_count++];

			task->partition = p;
			task->low = from;
			task->high = high - from < stretch ? high : from + stretch - 1;
			task->stop = stop.bound;
			task->stop_base = stop.bound_base;
			task->log_start = stop.log_start;
			if (task->high == high)
				break;
		}
	}
}

/* The next record, of this process's share if the scan is shared. */
static bool
next_record(TopicScan *state, QtRecord *record)
{
	while (state->shared != NULL)
	{
		QtReadBounds bounds = state->bounds;
		ScanTask   *task;
		uint32		next;
		MemoryContext old;

		if (state->task >= 0 && qt_reader_next(&state->reader, record))
			return true;

		add_counts(state);
		next = pg_atomic_fetch_add_u32(&state->shared->next, 1);
		if (next >= state->shared->task_count)
		{
			state->task = -1;
			/* not past the end again and again, for the number would wrap */
			pg_atomic_write_u32(&state->shared->next, state->shared->task_count);
			return false;
		}
		task = &state->shared->tasks[next];
		bounds.some_partitions = true;
		old = MemoryContextSwitchTo(state->bounds_context);
		bounds.partitions = bms_make_singleton(task->partition);
		MemoryContextSwitchTo(old);
		bounds.low = task->low;
		bounds.high = task->high;
		bounds.continued = next > 0 && task[-1].partition == task->partition;
		bounds.stop_fixed = true;
		bounds.stop = task->stop;
		bounds.stop_base = task->stop_base;
		bounds.log_start = task->log_start;
		qt_reader_start(&state->reader, &bounds);
		state->task = (int) next;
	}
	return qt_reader_next(&state->reader, record);
}

/* ---- aggregates ---- */

/* One row for each partition if grouped, else one row for all. */
static bool
next_aggregate(TopicScan *state, TupleTableSlot *slot)
{
	QtPartitionSummary total = {0};
	QtPartitionSummary part;
	ListCell   *lc;
	int			i = 0;

	if (state->finished)
		return false;
	if (state->grouped)
	{
		if (!qt_reader_summarize(&state->reader, state->ends_only, &total))
			return false;
	}
	else
	{
		while (qt_reader_summarize(&state->reader, state->ends_only, &part))
		{
			if (total.count == 0 || part.first_offset < total.first_offset)
				total.first_offset = part.first_offset;
			if (total.count == 0 || part.last_offset > total.last_offset)
				total.last_offset = part.last_offset;
			total.count += part.count;
		}
		state->finished = true;
	}

	foreach(lc, state->aggregates)
	{
		slot->tts_isnull[i] = false;
		switch ((QtAggregate) lfirst_int(lc))
		{
			case QT_AGGREGATE_PARTITION:
				slot->tts_values[i] = Int32GetDatum(total.partition);
				break;
			case QT_AGGREGATE_COUNT:
				slot->tts_values[i] = Int64GetDatum(total.count);
				break;
			case QT_AGGREGATE_MIN_OFFSET:
				slot->tts_values[i] = Int64GetDatum(total.first_offset);
				slot->tts_isnull[i] = total.count == 0;
				break;
			case QT_AGGREGATE_MAX_OFFSET:
				slot->tts_values[i] = Int64GetDatum(total.last_offset);
				slot->tts_isnull[i] = total.count == 0;
				break;
		}
		i++;
	}
	return true;
}
