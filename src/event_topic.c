/*
 * event_topic.c
 *		Event triggers that keep topics and their relations together.
 *
 * Dropping a topic's foreign table, by whatever way, drops the topic: there is
 * never half of one.  Changing it behind qtopic's back is refused, but for
 * what does no harm (comments, privileges) and what pg_restore does: create it
 * and give it to its owner.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "qtopic.h"
#include "topic.h"

PG_FUNCTION_INFO_V1(qtopic_on_drop);
PG_FUNCTION_INFO_V1(qtopic_on_alter);

static void check_event(FunctionCallInfo fcinfo, const char *event);
static bool is_topic_relation(Oid relid);
static bool may_alter_relation(Node *parsetree);
static bool is_restoring(Node *parsetree);
static void refuse_alter(Oid relid);

/*
 * Event sql_drop.  drop_topic() has removed the catalog rows when it drops the
 * relation, so there is nothing left to do then.
 */
Datum
qtopic_on_drop(PG_FUNCTION_ARGS)
{
	SPITupleTable *rows;
	uint64		count;

	check_event(fcinfo, "sql_drop");

	SPI_connect();
	SPI_execute("SELECT object_name FROM pg_catalog.pg_event_trigger_dropped_objects()"
				" WHERE object_type OPERATOR(pg_catalog.=) 'foreign table'"
				"   AND schema_name OPERATOR(pg_catalog.=) '" QT_RELATION_SCHEMA "'",
				true, 0);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
		qt_topic_relation_dropped(SPI_getvalue(rows->vals[i], rows->tupdesc, 1));
	SPI_finish();
	PG_RETURN_NULL();
}

/* Event ddl_command_end of what may alter a relation. */
Datum
qtopic_on_alter(PG_FUNCTION_ARGS)
{
	EventTriggerData *data;
	SPITupleTable *rows;
	uint64		count;

	check_event(fcinfo, "ddl_command_end");
	data = (EventTriggerData *) fcinfo->context;
	if (!may_alter_relation(data->parsetree) || is_restoring(data->parsetree))
		PG_RETURN_NULL();

	SPI_connect();
	SPI_execute("SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands()"
				" WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass",
				true, 0);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		Oid			relid = DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));

		if (!isnull && is_topic_relation(relid))
			refuse_alter(relid);
	}
	SPI_finish();
	PG_RETURN_NULL();
}

static void
check_event(FunctionCallInfo fcinfo, const char *event)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo) ||
		strcmp(((EventTriggerData *) fcinfo->context)->event, event) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as an event trigger for %s", event)));
}

/* A foreign table of our server. */
static bool
is_topic_relation(Oid relid)
{
	ForeignServer *server;

	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return false;
	server = GetForeignServerByName(QT_SERVER_NAME, true);
	return server != NULL && GetForeignTable(relid)->serverid == server->serverid;
}

/*
 * Is it a statement by which a relation is altered?  There are more than one
 * would think: ALTER VIEW and ALTER INDEX rename foreign tables, too.
 */
static bool
may_alter_relation(Node *parsetree)
{
	AlterTableStmt *statement = (AlterTableStmt *) parsetree;
	RenameStmt *rename = (RenameStmt *) parsetree;

	if (IsA(parsetree, RenameStmt) && rename->renameType == OBJECT_SCHEMA &&
		strcmp(rename->subname, QT_RELATION_SCHEMA) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rename schema \"%s\"", rename->subname),
				 errdetail("The relations of the topics are found there by name.")));

	/* our own storage */
	if (IsA(parsetree, AlterTableStmt) && statement->relation != NULL &&
		statement->relation->schemaname != NULL &&
		strcmp(statement->relation->schemaname, QT_STORAGE_SCHEMA) == 0)
		return false;
	return IsA(parsetree, AlterTableStmt) || IsA(parsetree, RenameStmt) ||
		IsA(parsetree, AlterObjectSchemaStmt);
}

/* ALTER ... OWNER TO is how pg_restore hands over what it created. */
static bool
is_restoring(Node *parsetree)
{
	AlterTableStmt *statement = (AlterTableStmt *) parsetree;
	ListCell   *lc;

	if (!IsA(parsetree, AlterTableStmt))
		return false;
	foreach(lc, statement->cmds)
	{
		AlterTableCmd *command = lfirst(lc);

		if (command->subtype != AT_ChangeOwner || command->newowner == NULL ||
			!superuser_arg(get_rolespec_oid(command->newowner, false)))
			return false;
	}
	return true;
}

static void
refuse_alter(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot alter relation \"%s\" of a topic", get_rel_name(relid)),
			 errdetail("The relation has the name, the columns and the owner that qtopic gave it."),
			 errhint("Use alter_topic(), or make a view.")));
}
