/*
 * fdw_handler.c
 *		The foreign data wrapper: a topic is a relation.
 *
 * Which topic a foreign table shows is told by its name alone; no option can
 * make it another.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "fdw_topic.h"
#include "qtopic.h"
#include "record_row.h"

PG_FUNCTION_INFO_V1(qtopic_fdw_handler);
PG_FUNCTION_INFO_V1(qtopic_fdw_validator);

static void check_columns(Oid relid, const QtTopic *topic);

Datum
qtopic_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = qt_fdw_get_rel_size;
	routine->GetForeignPaths = qt_fdw_get_paths;
	routine->GetForeignPlan = qt_fdw_get_plan;
	routine->GetForeignUpperPaths = qt_fdw_get_upper_paths;

	routine->BeginForeignScan = qt_fdw_begin_scan;
	routine->IterateForeignScan = qt_fdw_iterate;
	routine->ReScanForeignScan = qt_fdw_rescan;
	routine->EndForeignScan = qt_fdw_end_scan;
	routine->ExplainForeignScan = qt_fdw_explain;

	routine->IsForeignScanParallelSafe = qt_fdw_is_parallel_safe;
	routine->EstimateDSMForeignScan = qt_fdw_estimate_dsm;
	routine->InitializeDSMForeignScan = qt_fdw_initialize_dsm;
	routine->ReInitializeDSMForeignScan = qt_fdw_reinitialize_dsm;
	routine->InitializeWorkerForeignScan = qt_fdw_initialize_worker;
	routine->ShutdownForeignScan = qt_fdw_shutdown_scan;

	routine->PlanForeignModify = qt_fdw_plan_modify;
	routine->BeginForeignModify = qt_fdw_begin_modify;
	routine->ExecForeignInsert = qt_fdw_insert;
	routine->EndForeignModify = qt_fdw_end_insert;
	routine->BeginForeignInsert = qt_fdw_begin_insert;
	routine->EndForeignInsert = qt_fdw_end_insert;
	routine->IsForeignRelUpdatable = qt_fdw_is_updatable;
	routine->ExecForeignTruncate = qt_fdw_truncate;

	routine->AnalyzeForeignTable = qt_fdw_analyze;
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
qt_fdw_topic(Oid relid)
{
	const char *relation = get_rel_name(relid);
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	QtTopicRow	row;
	QtTopic    *topic = NULL;

	if (relation == NULL || schema == NULL || strcmp(schema, QT_RELATION_SCHEMA) != 0 ||
		!qt_catalog_find_relation(relation, &row) ||
		(topic = qt_topic_lookup(row.name, false))->relation != relid)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
				 errmsg("foreign table \"%s\" is not the relation of a topic",
						relation ? relation : ""),
				 errhint("Use create_topic() to create a topic with its relation.")));
	check_columns(relid, topic);
	return topic;
}

/*
 * A scan fills in the columns that create_topic() made; who disables the event
 * trigger can change them.
 */
static void
check_columns(Oid relid, const QtTopic *topic)
{
	static const Oid format_types[] = {TEXTOID, JSONBOID, BYTEAOID};
	Oid			types[QT_RECORD_COLUMNS] = {INT4OID, INT8OID, TIMESTAMPTZOID, InvalidOid, InvalidOid, JSONBOID};
	bool		good = get_attname(relid, QT_RECORD_COLUMNS + 1, true) == NULL;

	types[QT_COLUMN_KEY] = format_types[topic->config.key_format];
	types[QT_COLUMN_VALUE] = format_types[topic->config.value_format];
	for (int i = 0; good && i < QT_RECORD_COLUMNS; i++)
		good = get_atttype(relid, i + 1) == types[i];
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign table \"%s\" does not have the columns of a topic", get_rel_name(relid)),
				 errhint("Its columns were changed behind qtopic.  Read the records with fetch_records().")));
}
