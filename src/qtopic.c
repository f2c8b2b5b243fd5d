/*
 * qtopic.c
 *		_PG_init, and nothing else.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "guc.h"
#include "launcher.h"
#include "qtopic.h"
#include "shmem.h"
#include "worker_hooks.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	qt_guc_define();
	if (process_shared_preload_libraries_in_progress)
	{
		qt_shmem_install_hooks();
		qt_worker_hooks_install();
		qt_launcher_register();
	}
}
