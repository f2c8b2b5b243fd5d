/*
 * fdw_topic.h
 *		What the files of the foreign data wrapper share.
 */
#ifndef QTOPIC_FDW_TOPIC_H
#define QTOPIC_FDW_TOPIC_H

#include "foreign/fdwapi.h"

#include "topic_cache.h"

/*
 * The topic that a foreign table shows, told by its name alone; HV00R if it
 * is not the relation of a topic.
 */
extern QtTopic *qt_fdw_topic(Relation rel);

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
