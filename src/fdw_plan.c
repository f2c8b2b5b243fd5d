/*
 * fdw_plan.c
 *		Planning scans of the relation of a topic.
 *
 * Comparisons of _partition, _offset and _timestamp with values that do not
 * depend on the row become bounds of the scan, which applies them exactly; all
 * other conditions are left to the executor, some of them bound the scan, too.
 * A scan delivers its rows by partition and offset, up or down, so it can do
 * without a sort.  count() and the extremes of _offset, over all or by partition,
 * are computed from the headers of the batches; what a query makes of them is
 * computed from these.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw_topic.h"
#include "qtopic.h"
#include "record_row.h"

/* Records of a batch, for costs. */
#define RECORDS_PER_BATCH	40.0

/* What a relation carries from one planning step to the next. */
typedef struct TopicRel
{
	Oid			relid;
	RelOptInfo *base;			/* the relation itself, for an upper one */
	bool		all_pushed;		/* every condition is applied by the scan */
	bool		one_partition;	/* there is a condition _partition = value */
} TopicRel;

static bool match_condition(RelOptInfo *rel, Expr *clause, QtCondition *condition);
static bool match_comparison(RelOptInfo *rel, OpExpr *clause, QtCondition *condition);
static Oid	timestamp_opfamily(void);
static bool match_any(RelOptInfo *rel, ScalarArrayOpExpr *clause, QtCondition *condition);
static bool match_row(RelOptInfo *rel, RowCompareExpr *clause, QtCondition *condition);
static bool is_value(RelOptInfo *rel, Expr *expr);
static int	match_column(RelOptInfo *rel, Expr *expr);
static double count_records(Oid relid);
static void add_topic_path(PlannerInfo *root, RelOptInfo *rel, double rows,
						   List *pathkeys, Relids required_outer, bool backward);
static void add_parallel_path(PlannerInfo *root, RelOptInfo *rel);
static List *order_of_scan(PlannerInfo *root, RelOptInfo *rel, bool *backward);
static int	pathkey_column(RelOptInfo *rel, PathKey *pathkey);
static void add_lookup_paths(PlannerInfo *root, RelOptInfo *rel);
static bool is_lookup_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
							 EquivalenceMember *em, void *arg);
static bool grouped_by_partition(PlannerInfo *root, RelOptInfo *rel);
static bool match_aggregate(RelOptInfo *rel, Expr *expr, QtAggregate *aggregate);
static List *needed_columns(RelOptInfo *rel, List *local_clauses);

void
qt_fdw_get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	TopicRel   *info = palloc0(sizeof(TopicRel));
	ListCell   *lc;

	info->relid = relid;
	info->base = rel;
	info->all_pushed = true;
	foreach(lc, rel->baserestrictinfo)
	{
		QtCondition condition;

		if (!match_condition(rel, lfirst_node(RestrictInfo, lc)->clause, &condition) ||
			condition.lossy)
			info->all_pushed = false;
		else if (condition.column == QT_COLUMN_PARTITION &&
				 condition.strategy == BTEqualStrategyNumber)
			info->one_partition = true;
	}
	rel->fdw_private = info;

	rel->tuples = count_records(relid);
	rel->rows = clamp_row_est(rel->tuples *
							  clauselist_selectivity(root, rel->baserestrictinfo, 0,
													 JOIN_INNER, NULL));
}

void
qt_fdw_get_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	List	   *pathkeys;
	bool		backward;

	add_topic_path(root, rel, rel->rows, NIL, rel->lateral_relids, false);
	pathkeys = order_of_scan(root, rel, &backward);
	if (pathkeys != NIL)
		add_topic_path(root, rel, rel->rows, pathkeys, rel->lateral_relids, backward);
	add_parallel_path(root, rel);
	add_lookup_paths(root, rel);
}

void
qt_fdw_get_upper_paths(PlannerInfo *root, UpperRelationKind stage,
					   RelOptInfo *input_rel, RelOptInfo *output_rel, void *extra)
{
	Query	   *parse = root->parse;
	TopicRel   *info = input_rel->fdw_private;
	List	   *wanted;
	List	   *columns = NIL;
	List	   *aggregates = NIL;
	ListCell   *lc;
	ForeignPath *path;
	Cost		cost;

	if (stage != UPPERREL_GROUP_AGG || input_rel->reloptkind != RELOPT_BASEREL ||
		info == NULL || !info->all_pushed || output_rel->fdw_private != NULL ||
		parse->groupingSets != NIL ||
		!bms_is_empty(input_rel->lateral_relids) ||
		(parse->groupClause != NIL && !grouped_by_partition(root, input_rel)))
		return;

	/* what the expressions of the query are made of */
	wanted = list_concat(pull_var_clause((Node *) output_rel->reltarget->exprs,
										 PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS),
						 pull_var_clause(parse->havingQual,
										 PVC_INCLUDE_AGGREGATES | PVC_RECURSE_PLACEHOLDERS));
	if (parse->groupClause != NIL)
		wanted = list_concat(wanted,
							 pull_var_clause((Node *) get_sortgrouplist_exprs(parse->groupClause,
																			  root->processed_tlist), 0));
	foreach(lc, wanted)
	{
		QtAggregate aggregate;

		if (list_member(columns, lfirst(lc)))
			continue;
		if (!match_aggregate(input_rel, lfirst(lc), &aggregate))
			return;
		columns = lappend(columns, lfirst(lc));
		aggregates = lappend_int(aggregates, aggregate);
	}
	if (columns == NIL)
		return;

	output_rel->fdw_private = info;
	cost = 10 * cpu_operator_cost + input_rel->rows / RECORDS_PER_BATCH * cpu_tuple_cost;
	path = create_foreign_upper_path(root, output_rel, root->upper_targets[UPPERREL_GROUP_AGG],
									 parse->groupClause ? 10 : 1, cost, cost,
									 NIL, NULL, list_make2(columns, aggregates));
	path->path.parallel_safe = false;
	add_path(output_rel, (Path *) path);
}

ForeignScan *
qt_fdw_get_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
				ForeignPath *best_path, List *tlist, List *scan_clauses,
				Plan *outer_plan)
{
	bool		upper = IS_UPPER_REL(rel);
	TopicRel   *info = rel->fdw_private;
	RelOptInfo *base = info->base;
	List	   *local = NIL;
	List	   *pushed = NIL;
	List	   *values = NIL;
	List	   *columns = NIL;
	List	   *strategies = NIL;
	List	   *private;
	ListCell   *lc;

	if (upper)
	{
		scan_clauses = base->baserestrictinfo;
		local = (List *) copyObject(root->parse->havingQual);
	}

	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
		QtCondition condition;

		if (rinfo->pseudoconstant)
			continue;
		if (match_condition(base, rinfo->clause, &condition))
		{
			pushed = lappend(pushed, rinfo->clause);
			columns = lappend_int(columns, condition.column);
			strategies = lappend_int(strategies, condition.strategy);
			values = lappend(values, condition.value);
			if (!condition.lossy)
				continue;
		}
		Assert(!upper);
		local = lappend(local, rinfo->clause);
	}

	private = list_make5(list_make1_oid(info->relid), columns, strategies,
						 list_make1_int(!upper && best_path->fdw_private != NIL ?
										linitial_int(best_path->fdw_private) : 0),
						 upper ? lsecond(best_path->fdw_private) : NIL);
	private = lappend(private, upper ? NIL : needed_columns(rel, local));

	return make_foreignscan(tlist, local, upper ? 0 : rel->relid, values, private,
							upper ? add_to_flat_tlist(NIL, linitial(best_path->fdw_private)) : NIL,
							upper ? NIL : pushed, outer_plan);
}

/* ---- conditions ---- */

/*
 * Is the clause a bound that the scan can apply?
 */
static bool
match_condition(RelOptInfo *rel, Expr *clause, QtCondition *condition)
{
	condition->lossy = false;
	if (IsA(clause, OpExpr))
		return match_comparison(rel, (OpExpr *) clause, condition);
	if (IsA(clause, ScalarArrayOpExpr))
		return match_any(rel, (ScalarArrayOpExpr *) clause, condition);
	if (IsA(clause, RowCompareExpr))
		return match_row(rel, (RowCompareExpr *) clause, condition);
	return false;
}

static bool
match_comparison(RelOptInfo *rel, OpExpr *clause, QtCondition *condition)
{
	Oid			operator = clause->opno;
	Expr	   *left;
	Expr	   *right;
	Oid			type;

	if (list_length(clause->args) != 2)
		return false;
	left = linitial(clause->args);
	right = lsecond(clause->args);

	condition->column = match_column(rel, left);
	if (condition->column < 0)
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
		operator = get_commutator(operator);
		condition->column = match_column(rel, left);
	}
	if (condition->column < 0 || !OidIsValid(operator) || !is_value(rel, right))
		return false;

	type = exprType((Node *) right);
	if (condition->column == QT_COLUMN_TIMESTAMP)
		condition->strategy = type != TIMESTAMPTZOID ? 0 :
			get_op_opfamily_strategy(operator, timestamp_opfamily());
	else
		condition->strategy =
			type != INT2OID && type != INT4OID && type != INT8OID ? 0 :
			get_op_opfamily_strategy(operator, INTEGER_BTREE_FAM_OID);
	condition->value = right;
	return condition->strategy != 0;
}

static Oid
timestamp_opfamily(void)
{
	return get_opclass_family(GetDefaultOpClass(TIMESTAMPTZOID, BTREE_AM_OID));
}

/* _partition = ANY (array); of _offset it is the least and the greatest that bound. */
static bool
match_any(RelOptInfo *rel, ScalarArrayOpExpr *clause, QtCondition *condition)
{
	Expr	   *array = lsecond(clause->args);
	Oid			type = exprType((Node *) array);

	condition->column = match_column(rel, linitial(clause->args));
	condition->strategy = QT_STRATEGY_ANY;
	condition->value = array;
	condition->lossy = condition->column == QT_COLUMN_OFFSET;
	return clause->useOr &&
		(condition->column == QT_COLUMN_PARTITION || condition->column == QT_COLUMN_OFFSET) &&
		(type == INT2ARRAYOID || type == INT4ARRAYOID || type == INT8ARRAYOID) &&
		get_op_opfamily_strategy(clause->opno, INTEGER_BTREE_FAM_OID) == BTEqualStrategyNumber &&
		is_value(rel, array);
}

/* (_partition, _offset) > (value, value): the first column is bounded, by >= */
static bool
match_row(RelOptInfo *rel, RowCompareExpr *clause, QtCondition *condition)
{
	OpExpr		first;

	if (clause->rctype != ROWCOMPARE_LT && clause->rctype != ROWCOMPARE_LE &&
		clause->rctype != ROWCOMPARE_GE && clause->rctype != ROWCOMPARE_GT)
		return false;
	memset(&first, 0, sizeof(first));
	first.xpr.type = T_OpExpr;
	first.opno = linitial_oid(clause->opnos);
	first.args = list_make2(linitial(clause->largs), linitial(clause->rargs));
	if (!match_comparison(rel, &first, condition))
		return false;
	if (condition->strategy == BTLessStrategyNumber)
		condition->strategy = BTLessEqualStrategyNumber;
	else if (condition->strategy == BTGreaterStrategyNumber)
		condition->strategy = BTGreaterEqualStrategyNumber;
	condition->lossy = true;
	return true;
}

/* Does the expression have the same value for all rows of the scan? */
static bool
is_value(RelOptInfo *rel, Expr *expr)
{
	return !bms_is_member(rel->relid, pull_varnos(NULL, (Node *) expr)) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr);
}

/* Column (from 0) of a Var of the relation that can be bounded, or -1. */
static int
match_column(RelOptInfo *rel, Expr *expr)
{
	Var		   *var;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	var = (Var *) expr;
	if (!IsA(var, Var) || var->varno != rel->relid || var->varlevelsup != 0 ||
		var->varattno < 1 || var->varattno > QT_COLUMN_TIMESTAMP + 1)
		return -1;
	return var->varattno - 1;
}

/* ---- paths ---- */

/* Offsets between log start and end of all partitions, gaps included. */
static double
count_records(Oid relid)
{
	QtTopic    *topic = qt_fdw_topic(relid);
	int			count = topic->partition_count;
	double		records = 0;

	for (int p = 0; p < count; p++)
	{
		QtPartition *partition;

		qt_topic_refresh(topic);
		partition = qt_topic_partition(topic, p);
		records += (double) pg_atomic_read_u64(&partition->slot->next_offset) -
			partition->log_start_offset;
	}
	return Max(records, 1);
}

/*
 * A scan reads what is within its bounds, and nothing else costs anything: so
 * its cost goes with the rows that pass the bounds.
 */
static void
add_topic_path(PlannerInfo *root, RelOptInfo *rel, double rows, List *pathkeys,
			   Relids required_outer, bool backward)
{
	Cost		startup = 10 * cpu_operator_cost + rel->baserestrictcost.startup;
	Cost		run = rows * (cpu_tuple_cost + cpu_operator_cost +
							  rel->baserestrictcost.per_tuple) +
		rows / RECORDS_PER_BATCH * seq_page_cost;

	ForeignPath *path = create_foreignscan_path(root, rel, NULL, rows, startup, startup + run,
												pathkeys, required_outer, NULL,
												list_make1_int(backward));

	/* each process would find out for itself where to stop */
	path->path.parallel_safe = false;
	add_path(rel, (Path *) path);
}

/* A scan that several processes share. */
static void
add_parallel_path(PlannerInfo *root, RelOptInfo *rel)
{
	ForeignPath *path;
	double		batches = rel->rows / RECORDS_PER_BATCH;
	int			workers;
	double		divisor;

	if (!rel->consider_parallel || !bms_is_empty(rel->lateral_relids))
		return;
	/* a batch fills a page */
	workers = compute_parallel_worker(rel, batches, -1, max_parallel_workers_per_gather);
	if (workers <= 0)
		return;
	divisor = workers + (parallel_leader_participation ? Max(1.0 - 0.3 * workers, 0) : 0);
	path = create_foreignscan_path(root, rel, NULL, clamp_row_est(rel->rows / divisor),
								   10 * cpu_operator_cost,
								   10 * cpu_operator_cost +
								   rel->rows / divisor * (cpu_tuple_cost + cpu_operator_cost +
														  rel->baserestrictcost.per_tuple) +
								   batches * seq_page_cost,
								   NIL, NULL, NULL, list_make1_int(false));
	path->path.parallel_aware = true;
	path->path.parallel_workers = workers;
	add_partial_path(rel, (Path *) path);
}

/*
 * In how much of the order of the query can the scan deliver?  That is by
 * partition and offset, both up or both down.  The two are unique, but what the
 * query orders by after them is not to be claimed: a join or a set-returning
 * function may bring the same record several times.
 */
static List *
order_of_scan(PlannerInfo *root, RelOptInfo *rel, bool *backward)
{
	bool		partition_done = ((TopicRel *) rel->fdw_private)->one_partition;
	int			direction = 0;
	int			keys = 0;
	ListCell   *lc;

	foreach(lc, root->query_pathkeys)
	{
		PathKey    *pathkey = lfirst_node(PathKey, lc);
		int			column = pathkey_column(rel, pathkey);

		if (direction != 0 && pathkey->pk_strategy != direction)
			break;
		if (column == QT_COLUMN_PARTITION && !partition_done)
			partition_done = true;
		else if (column != QT_COLUMN_OFFSET || !partition_done)
			break;
		direction = pathkey->pk_strategy;
		keys++;
		if (column == QT_COLUMN_OFFSET)
			break;
	}
	*backward = direction == BTGreaterStrategyNumber;
	return list_truncate(list_copy(root->query_pathkeys), keys);
}

static int
pathkey_column(RelOptInfo *rel, PathKey *pathkey)
{
	ListCell   *lc;

	if (pathkey->pk_opfamily != INTEGER_BTREE_FAM_OID ||
		pathkey->pk_eclass->ec_has_volatile)
		return -1;
	foreach(lc, pathkey->pk_eclass->ec_members)
	{
		EquivalenceMember *em = lfirst(lc);
		int			column = em->em_is_child ? -1 : match_column(rel, em->em_expr);

		if (column >= 0)
			return column;
	}
	return -1;
}

/* Paths for nested loops that look records up by partition or offset. */
static void
add_lookup_paths(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *clauses = NIL;
	List	   *parameterizations = NIL;
	Relids		all_outer = NULL;
	ListCell   *lc;

	foreach(lc, rel->joininfo)
	{
		RestrictInfo *rinfo = lfirst(lc);
		QtCondition condition;

		if (join_clause_is_movable_to(rinfo, rel) &&
			match_condition(rel, rinfo->clause, &condition))
			clauses = lappend(clauses, rinfo);
	}
	if (rel->has_eclass_joins)
		for (int column = QT_COLUMN_PARTITION; column <= QT_COLUMN_OFFSET; column++)
			clauses = list_concat(clauses,
								  generate_implied_equalities_for_column(root, rel, is_lookup_member,
																		 &column, rel->lateral_referencers));

	foreach(lc, clauses)
	{
		RestrictInfo *rinfo = lfirst(lc);
		Relids		outer = bms_union(rinfo->clause_relids, rel->lateral_relids);
		ParamPathInfo *parameterization;

		outer = bms_del_member(outer, rel->relid);
		if (bms_is_empty(outer))
			continue;
		parameterization = get_baserel_parampathinfo(root, rel, outer);
		parameterizations = list_append_unique_ptr(parameterizations, parameterization);
		all_outer = bms_union(all_outer, outer);
	}

	/* a partition from one relation, an offset from another */
	if (list_length(parameterizations) > 1)
		parameterizations = list_append_unique_ptr(parameterizations,
												   get_baserel_parampathinfo(root, rel, all_outer));
	foreach(lc, parameterizations)
	{
		ParamPathInfo *parameterization = lfirst(lc);

		add_topic_path(root, rel, parameterization->ppi_rows, NIL,
					   parameterization->ppi_req_outer, false);
	}
}

static bool
is_lookup_member(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec,
				 EquivalenceMember *em, void *arg)
{
	return match_column(rel, em->em_expr) == *(int *) arg;
}

/* ---- aggregates ---- */

/* GROUP BY _partition */
static bool
grouped_by_partition(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *exprs = get_sortgrouplist_exprs(root->parse->groupClause, root->processed_tlist);

	return list_length(exprs) == 1 && match_column(rel, linitial(exprs)) == QT_COLUMN_PARTITION;
}

/* What is it, of an aggregated scan?  Only the grouping column can be a Var. */
static bool
match_aggregate(RelOptInfo *rel, Expr *expr, QtAggregate *aggregate)
{
	Aggref	   *aggref = (Aggref *) expr;
	Expr	   *argument;
	int			column;

	if (!IsA(expr, Aggref))
	{
		*aggregate = QT_AGGREGATE_PARTITION;
		return match_column(rel, expr) == QT_COLUMN_PARTITION;
	}
	if (aggref->aggfilter != NULL || aggref->aggdistinct != NIL ||
		aggref->aggorder != NIL || aggref->aggsplit != AGGSPLIT_SIMPLE)
		return false;
	if (aggref->aggfnoid == F_COUNT_)
	{
		*aggregate = QT_AGGREGATE_COUNT;
		return true;
	}
	if (list_length(aggref->args) != 1)
		return false;
	argument = linitial_node(TargetEntry, aggref->args)->expr;
	column = match_column(rel, argument);

	/* these columns are never NULL */
	if (aggref->aggfnoid == F_COUNT_ANY &&
		(column >= 0 || (IsA(argument, Const) && !((Const *) argument)->constisnull)))
		*aggregate = QT_AGGREGATE_COUNT;
	else if (aggref->aggfnoid == F_MIN_INT8 && column == QT_COLUMN_OFFSET)
		*aggregate = QT_AGGREGATE_MIN_OFFSET;
	else if (aggref->aggfnoid == F_MAX_INT8 && column == QT_COLUMN_OFFSET)
		*aggregate = QT_AGGREGATE_MAX_OFFSET;
	else
		return false;
	return true;
}

/* Columns (from 0) that somebody above the scan, or its filter, looks at. */
static List *
needed_columns(RelOptInfo *rel, List *local_clauses)
{
	Bitmapset  *attributes = NULL;
	List	   *columns = NIL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &attributes);
	pull_varattnos((Node *) local_clauses, rel->relid, &attributes);
	for (int column = 0; column < QT_RECORD_COLUMNS; column++)
		if (bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, attributes) ||
			bms_is_member(column + 1 - FirstLowInvalidHeapAttributeNumber, attributes))
			columns = lappend_int(columns, column);
	return columns;
}
