/*
 * worker_hooks.c
 *		What sessions tell launcher and workers about databases and extensions.
 *
 * A statement that needs a database without sessions (DROP DATABASE, RENAME,
 * SET TABLESPACE, CREATE DATABASE from it as a template) first asks its worker
 * to go, waits for it, and keeps new ones away until the transaction has
 * ended: one that started in between would be in the way for good, as it looks
 * like any other session.
 *
 * The end is that of the resource owner, after the locks: it is reached on
 * commit, on abort, and when the session is terminated.
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "debug_point.h"
#include "qtopic.h"
#include "worker_hooks.h"
#include "worker_slots.h"

static ProcessUtility_hook_type prev_utility_hook = NULL;
static object_access_hook_type prev_object_access_hook = NULL;

/* What is to be done at the end of the transaction. */
static bool holding = false;
static bool extensions_changed = false;
static Oid	changed_database = InvalidOid;

static void process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
							ProcessUtilityContext context, ParamListInfo params,
							QueryEnvironment *queryEnv, DestReceiver *dest,
							QueryCompletion *qc);
static Oid	database_to_be_free(Node *statement);
static Oid	template_of(const CreatedbStmt *statement);
static bool sets_tablespace(const AlterDatabaseStmt *statement);
static bool may_copy(Oid database);
static void watch_objects(ObjectAccessType access, Oid classId, Oid objectId,
						  int subId, void *arg);
static void at_release(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg);

void
qt_worker_hooks_install(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	prev_object_access_hook = object_access_hook;
	object_access_hook = watch_objects;
	RegisterResourceReleaseCallback(at_release, NULL);
}

static void
process_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Oid			database = database_to_be_free(pstmt->utilityStmt);

	if (OidIsValid(database))
	{
		holding = true;
		qt_worker_hold(database);
		qt_worker_wait_gone(database);
		qt_debug_point("database-held");
	}

	if (prev_utility_hook)
		prev_utility_hook(pstmt, queryString, readOnlyTree, context, params,
						  queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params,
								queryEnv, dest, qc);
}

/*
 * The database that a statement needs without sessions, or InvalidOid; also if
 * the user may not do it, as then its worker shall not be disturbed.
 */
static Oid
database_to_be_free(Node *statement)
{
	const char *name = NULL;
	Oid			database;

	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
			database = template_of((CreatedbStmt *) statement);
			return may_copy(database) ? database : InvalidOid;
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_AlterDatabaseStmt:
			if (sets_tablespace((AlterDatabaseStmt *) statement))
				name = ((AlterDatabaseStmt *) statement)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		default:
			break;
	}
	if (name == NULL)
		return InvalidOid;
	database = get_database_oid(name, true);
	return OidIsValid(database) &&
		object_ownercheck(DatabaseRelationId, database, GetUserId()) ? database : InvalidOid;
}

static Oid
template_of(const CreatedbStmt *statement)
{
	const char *name = "template1";
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			name = defGetString(option);
	}
	return get_database_oid(name, true);
}

static bool
sets_tablespace(const AlterDatabaseStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
			return true;
	return false;
}

/* As createdb() checks it. */
static bool
may_copy(Oid database)
{
	HeapTuple	tuple;
	bool		may_create = superuser();
	bool		is_template = false;

	if (!OidIsValid(database))
		return false;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may_create |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return may_create &&
		(is_template || object_ownercheck(DatabaseRelationId, database, GetUserId()));
}

/* Whatever way it comes about: also CREATE EXTENSION and DROP ... CASCADE. */
static void
watch_objects(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if (access != OAT_POST_CREATE && access != OAT_POST_ALTER && access != OAT_DROP)
		return;
	if (classId == ExtensionRelationId)
		extensions_changed = true;
	else if (classId == DatabaseRelationId)
		changed_database = objectId;
}

/* Must not throw.  To tell too much, after a rollback, does no harm. */
static void
at_release(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !isTopLevel)
		return;
	if (!holding && !extensions_changed && !OidIsValid(changed_database))
		return;

	if (holding)
		qt_worker_release();
	if (extensions_changed)
	{
		/* both: a worker may be there, but about to end */
		qt_worker_tell(QT_NEWS_EXTENSION);
		qt_launcher_ask(MyDatabaseId);
	}
	if (OidIsValid(changed_database))
		qt_launcher_ask(changed_database);
	holding = extensions_changed = false;
	changed_database = InvalidOid;
}
