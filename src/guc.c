/*
 * guc.c
 *		Configuration parameters of the server.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "guc.h"
#include "qtopic.h"

bool		qt_guc_check_crcs = true;
int			qt_guc_deferred_buffer_size = 64 * 1024;
bool		qt_guc_durable_read = true;
int			qt_guc_max_group_partitions = 10000;
int			qt_guc_max_members = 1000;
int			qt_guc_max_partitions = 10000;
int			qt_guc_max_wait = 30000;
int			qt_guc_notify_interval = 100;
int			qt_guc_offsets_retention = 10080;
int			qt_guc_produce_mode = QT_PRODUCE_IMMEDIATE;
bool		qt_guc_workers = true;
#ifdef QTOPIC_DEBUG_POINTS
char	   *qt_guc_debug_point = NULL;
#endif

static const struct config_enum_entry produce_modes[] = {
	{"immediate", QT_PRODUCE_IMMEDIATE, false},
	{"deferred", QT_PRODUCE_DEFERRED, false},
	{NULL, 0, false}
};

void
qt_guc_define(void)
{
	DefineCustomBoolVariable("qtopic.check_crcs",
							 "Checks the CRC-32C of every record batch that is read.",
							 NULL,
							 &qt_guc_check_crcs, true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

#ifdef QTOPIC_DEBUG_POINTS
	DefineCustomStringVariable("qtopic.debug_point",
							   "Stops at the named place until an advisory lock is free.",
							   "Of the form name:key; for tests only.",
							   &qt_guc_debug_point, "",
							   PGC_SUSET, GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
#endif

	DefineCustomIntVariable("qtopic.deferred_buffer_size",
							"Sets how much a transaction may buffer in deferred mode before it appends early.",
							NULL,
							&qt_guc_deferred_buffer_size, 64 * 1024,
							64, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("qtopic.durable_read",
							 "Flushes the commit of every record before it is returned.",
							 "When off, a reader may see records that a crash takes back, if their transactions used synchronous_commit = off.",
							 &qt_guc_durable_read, true,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	/* Variables of this kind can be defined during preload only. */
	if (process_shared_preload_libraries_in_progress)
	{
		DefineCustomIntVariable("qtopic.max_group_partitions",
								"Sets for how many partitions of all consumer groups it is remembered in shared memory how far they got.",
								"With more of them in use, consumers look for records more often than needed.  Each one takes about 64 bytes.",
								&qt_guc_max_group_partitions, 10000,
								16, 10000000,
								PGC_POSTMASTER, 0,
								NULL, NULL, NULL);

		DefineCustomIntVariable("qtopic.max_members",
								"Sets how many members the consumer groups of all databases may have at once.",
								"Each one takes about 80 bytes of shared memory.",
								&qt_guc_max_members, 1000,
								10, 1000000,
								PGC_POSTMASTER, 0,
								NULL, NULL, NULL);

		DefineCustomIntVariable("qtopic.max_partitions",
								"Sets how many partitions of all databases may be in use at once.",
								"Each one takes about 200 bytes of shared memory.",
								&qt_guc_max_partitions, 10000,
								16, 1000000,
								PGC_POSTMASTER, 0,
								NULL, NULL, NULL);
	}

	DefineCustomIntVariable("qtopic.max_wait",
							"Sets an upper bound for max_wait of the reading functions.",
							"A waiting SELECT holds back the removal of dead rows.",
							&qt_guc_max_wait, 30000,
							0, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("qtopic.notify_interval",
							"Sets the least time between two transactions of a worker that send notifications.",
							"What comes in between is sent together.",
							&qt_guc_notify_interval, 100,
							10, 60 * 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("qtopic.offsets_retention",
							"Sets for how long the positions of a consumer group are kept after its last use.",
							"As offsets.retention.minutes of Kafka.",
							&qt_guc_offsets_retention, 10080,
							1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("qtopic.produce_mode",
							 "Sets when produce() appends its records: at once or at the end of the transaction.",
							 NULL,
							 &qt_guc_produce_mode, QT_PRODUCE_IMMEDIATE,
							 produce_modes,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("qtopic.workers",
							 "Starts a background worker for each database that has qtopic.",
							 "Without it there are no notifications.",
							 &qt_guc_workers, true,
							 PGC_SIGHUP, 0,
							 NULL, NULL, NULL);

	/* otherwise those above would be taken for mistakes */
	if (process_shared_preload_libraries_in_progress)
		MarkGUCPrefixReserved("qtopic");
}
