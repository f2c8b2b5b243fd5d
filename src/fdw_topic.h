/*
 * fdw_topic.h
 *		What the files of the foreign data wrapper share.
 */
#ifndef QTOPIC_FDW_TOPIC_H
#define QTOPIC_FDW_TOPIC_H

#include "commands/explain.h"
#include "foreign/fdwapi.h"

#include "topic_cache.h"

/*
 * The topic that a foreign table shows, told by its name alone; HV00R if it
 * is not the relation of a topic.
 */
extern QtTopic *qt_fdw_topic(Oid relid);

/*
 * A condition that the scan applies itself: column, operator, value.  The value
 * does not depend on the scan's row.
 */
typedef struct QtCondition
{
	int			column;			/* QT_COLUMN_PARTITION, _OFFSET or _TIMESTAMP */
	int			strategy;		/* of btree, or QT_STRATEGY_ANY: equal to an element */
	Expr	   *value;
	bool		lossy;			/* only a bound, to be checked again; others are exact */
} QtCondition;

#define QT_STRATEGY_ANY		100

/* What an aggregated scan computes in a column. */
typedef enum QtAggregate
{
	QT_AGGREGATE_PARTITION,		/* the grouping column */
	QT_AGGREGATE_COUNT,
	QT_AGGREGATE_MIN_OFFSET,
	QT_AGGREGATE_MAX_OFFSET
} QtAggregate;

/* Elements of a ForeignScan's fdw_private. */
enum
{
	QT_PRIVATE_RELATION,		/* OID list of one */
	QT_PRIVATE_COLUMNS,			/* integer lists that go with fdw_exprs */
	QT_PRIVATE_STRATEGIES,
	QT_PRIVATE_BACKWARD,		/* integer list of one */
	QT_PRIVATE_AGGREGATES,		/* integer list, NIL for a scan of records */
	QT_PRIVATE_NEEDED			/* integer list of columns that are looked at */
};

/* fdw_plan.c */
extern void qt_fdw_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void qt_fdw_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void qt_fdw_get_upper_paths(PlannerInfo *root, UpperRelationKind stage,
								   RelOptInfo *input_rel, RelOptInfo *output_rel,
								   void *extra);
extern ForeignScan *qt_fdw_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
									ForeignPath *best_path, List *tlist,
									List *scan_clauses, Plan *outer_plan);

/* fdw_scan.c */
extern void qt_fdw_begin_scan(ForeignScanState *node, int eflags);
extern TupleTableSlot *qt_fdw_iterate(ForeignScanState *node);
extern void qt_fdw_rescan(ForeignScanState *node);
extern void qt_fdw_end_scan(ForeignScanState *node);
extern void qt_fdw_explain(ForeignScanState *node, ExplainState *es);

extern bool qt_fdw_is_parallel_safe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);
extern Size qt_fdw_estimate_dsm(ForeignScanState *node, ParallelContext *pcxt);
extern void qt_fdw_initialize_dsm(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
extern void qt_fdw_reinitialize_dsm(ForeignScanState *node, ParallelContext *pcxt, void *coordinate);
extern void qt_fdw_initialize_worker(ForeignScanState *node, shm_toc *toc, void *coordinate);
extern void qt_fdw_shutdown_scan(ForeignScanState *node);

/* fdw_analyze.c */
extern bool qt_fdw_analyze(Relation rel, AcquireSampleRowsFunc *sample, BlockNumber *pages);

/* fdw_modify.c */
extern List *qt_fdw_plan_modify(PlannerInfo *root, ModifyTable *plan,
								Index result_relation, int subplan_index);
extern void qt_fdw_begin_modify(ModifyTableState *mtstate, ResultRelInfo *rinfo,
								List *fdw_private, int subplan_index, int eflags);
extern void qt_fdw_begin_insert(ModifyTableState *mtstate, ResultRelInfo *rinfo);
extern TupleTableSlot *qt_fdw_insert(EState *estate, ResultRelInfo *rinfo,
									 TupleTableSlot *slot, TupleTableSlot *plan_slot);
extern void qt_fdw_end_insert(EState *estate, ResultRelInfo *rinfo);
extern int	qt_fdw_is_updatable(Relation rel);
extern void qt_fdw_truncate(List *rels, DropBehavior behavior, bool restart_seqs);
extern void qt_fdw_refuse_change(const char *relation) pg_attribute_noreturn();

#endif							/* QTOPIC_FDW_TOPIC_H */
