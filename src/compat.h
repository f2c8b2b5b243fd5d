/*
 * compat.h
 *		The only place that looks at PG_VERSION_NUM.
 *
 * The code uses the newest name of an API; older servers get it from here.
 */
#ifndef QTOPIC_COMPAT_H
#define QTOPIC_COMPAT_H

#include "pg_config.h"

#if PG_VERSION_NUM < 150000
#error "qtopic needs PostgreSQL 15 or later"
#endif

/* 16 renamed the relation file node of a relcache entry and of a WAL record. */
#if PG_VERSION_NUM < 160000
#define rd_locator	rd_node
#define qt_seq_locator	node
#else
#define qt_seq_locator	locator
#endif

/* 16 replaced the pg_*_aclcheck family by one function. */
#if PG_VERSION_NUM < 160000
#define object_aclcheck(classid, objectid, roleid, mode) \
	((classid) == NamespaceRelationId ? \
	 pg_namespace_aclcheck((objectid), (roleid), (mode)) : \
	 pg_foreign_server_aclcheck((objectid), (roleid), (mode)))
#endif

#if PG_VERSION_NUM < 160000
#define object_ownercheck(classid, objectid, roleid) \
	pg_database_ownercheck((objectid), (roleid))	/* all that is asked */
#endif

/* Since 17 an extension can name what it waits for; at most a few names. */
#if PG_VERSION_NUM < 170000
#define qt_wait_event(name) PG_WAIT_EXTENSION
#else
#define qt_wait_event(name) WaitEventExtensionNew(name)
#endif

/* 17 made the number of a session in the array of processes a global. */
#if PG_VERSION_NUM < 170000
#define qt_my_proc_number()	(MyProc->pgprocno)
#else
#define qt_my_proc_number()	(MyProcNumber)
#endif

#endif							/* QTOPIC_COMPAT_H */
