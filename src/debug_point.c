/*
 * debug_point.c
 *		Named places at which a test can stop a session.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/fmgrprotos.h"

#include "debug_point.h"
#include "guc.h"

#ifdef QTOPIC_DEBUG_POINTS
void
qt_debug_point(const char *name)
{
	size_t		len = strlen(name);
	int64		key;

	if (qt_guc_debug_point == NULL ||
		strncmp(qt_guc_debug_point, name, len) != 0 ||
		qt_guc_debug_point[len] != ':')
		return;

	key = strtoi64(qt_guc_debug_point + len + 1, NULL, 10);
	DirectFunctionCall1(pg_advisory_lock_shared_int8, Int64GetDatum(key));
	DirectFunctionCall1(pg_advisory_unlock_shared_int8, Int64GetDatum(key));
}
#endif
