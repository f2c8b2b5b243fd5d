/*
 * event_topic.c
 *		Event triggers that keep topics and their relations together.
 *
 * Dropping a topic's foreign table, by whatever way, drops the topic: there is
 * never half of one.  Changing it behind qtopic's back is refused, but for
 * what does no harm (comments, privileges) and what pg_restore does: create it
 * and give it to its owner.  Nor can another table become its parent, its child
 * or the table that it is a partition of, which would be altered in its place.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog.h"
#include "qtopic.h"
#include "topic.h"

PG_FUNCTION_INFO_V1(qtopic_on_drop);
PG_FUNCTION_INFO_V1(qtopic_on_alter);

static void check_event(FunctionCallInfo fcinfo, const char *event);
static void check_relations(bool altered, bool inherited);
static void check_inheritance(Oid relid);
static List *find_parents(Oid relid);
static bool is_topic_relation(Oid relid);
static void check_rename(RenameStmt *rename);
static bool may_alter_relation(Node *parsetree);
static bool may_inherit(Node *parsetree);
static bool is_restoring(Node *parsetree);
static void refuse_alter(Oid relid);
static void refuse_inheritance(Oid relid);

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

/*
 * Event ddl_command_end.  Of most commands the parse tree tells that there is
 * nothing to look at.
 */
Datum
qtopic_on_alter(PG_FUNCTION_ARGS)
{
	Node	   *parsetree;

	check_event(fcinfo, "ddl_command_end");
	parsetree = ((EventTriggerData *) fcinfo->context)->parsetree;

	if (IsA(parsetree, RenameStmt))
		check_rename((RenameStmt *) parsetree);

	check_relations(may_alter_relation(parsetree) && !is_restoring(parsetree),
					may_inherit(parsetree));
	PG_RETURN_NULL();
}

/* Look at the relations that the command has made or changed. */
static void
check_relations(bool altered, bool inherited)
{
	SPITupleTable *rows;
	uint64		count;

	if (!altered && !inherited)
		return;
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

		if (isnull)
			continue;
		if (altered && is_topic_relation(relid))
			refuse_alter(relid);
		if (inherited)
			check_inheritance(relid);
	}
	SPI_finish();
}

/* Neither the relation nor a parent or child of it may be that of a topic. */
static void
check_inheritance(Oid relid)
{
	List	   *others = list_concat(find_inheritance_children(relid, NoLock), find_parents(relid));
	ListCell   *lc;

	if (others != NIL && is_topic_relation(relid))
		refuse_inheritance(relid);
	foreach(lc, others)
		if (is_topic_relation(lfirst_oid(lc)))
			refuse_inheritance(lfirst_oid(lc));
}

static List *
find_parents(Oid relid)
{
	List	   *parents = NIL;
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parents = lappend_oid(parents, ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent);
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parents;
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

/* The relations of the topics are told by these names. */
static void
check_rename(RenameStmt *rename)
{
	const char *kind;
	const char *name;

	switch (rename->renameType)
	{
		case OBJECT_SCHEMA:
			kind = "schema";
			name = rename->subname;
			if (strcmp(name, QT_RELATION_SCHEMA) != 0)
				return;
			break;
		case OBJECT_FOREIGN_SERVER:
			kind = "server";
			name = strVal(rename->object);
			if (strcmp(name, QT_SERVER_NAME) != 0)
				return;
			break;
		case OBJECT_FDW:
			kind = "foreign-data wrapper";
			name = strVal(rename->object);
			if (strcmp(name, QT_WRAPPER_NAME) != 0)
				return;
			break;
		default:
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot rename %s \"%s\"", kind, name),
			 errdetail("The relations of the topics are found by its name.")));
}

/*
 * Is it a statement by which a relation is altered?  There are more than one
 * would think: ALTER VIEW and ALTER INDEX rename foreign tables, too.
 */
static bool
may_alter_relation(Node *parsetree)
{
	AlterTableStmt *statement = (AlterTableStmt *) parsetree;

	/* our own storage */
	if (IsA(parsetree, AlterTableStmt) && statement->relation != NULL &&
		statement->relation->schemaname != NULL &&
		strcmp(statement->relation->schemaname, QT_STORAGE_SCHEMA) == 0)
		return false;
	return IsA(parsetree, AlterTableStmt) || IsA(parsetree, RenameStmt) ||
		IsA(parsetree, AlterObjectSchemaStmt);
}

/* Is it a statement after which there may be a parent or a child more? */
static bool
may_inherit(Node *parsetree)
{
	ListCell   *lc;

	if (IsA(parsetree, CreateSchemaStmt))
		return ((CreateSchemaStmt *) parsetree)->schemaElts != NIL;
	if (IsA(parsetree, CreateStmt))
		return ((CreateStmt *) parsetree)->inhRelations != NIL;
	if (IsA(parsetree, CreateForeignTableStmt))
		return ((CreateForeignTableStmt *) parsetree)->base.inhRelations != NIL;
	if (!IsA(parsetree, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) parsetree)->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, lc)->subtype;

		if (type == AT_AddInherit || type == AT_AttachPartition)
			return true;
	}
	return false;
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

static void
refuse_inheritance(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("relation \"%s\" of a topic cannot be a parent, a child or a partition", get_rel_name(relid)),
			 errdetail("It shows the records of the topic, and changes with nothing else."),
			 errhint("Make a view with UNION ALL.")));
}
