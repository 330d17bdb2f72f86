/*
 * module.c
 *	  What happens when the library is loaded.
 *
 * Preloaded, it brings shared memory, the engine, the WAL resource manager and
 * the workers.  Loaded later (CREATE EXTENSION, the validator, DDL) it brings
 * what needs none of that, so that tables can be defined, looked at and
 * dropped, and their use gets a clear error.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

#include "bgworker/worker.h"
#include "fdw/changes/decode.h"
#include "fdw/compat/compat.h"
#include "fdw/ddl/ddl.h"
#include "fdw/host/copysession.h"
#include "fdw/host/faultpoint.h"
#include "fdw/host/guc.h"
#include "fdw/host/redo.h"
#include "fdw/modify/modify.h"
#include "fdw/plan/relinfo.h"
#include "fdw/scan/explain.h"
#include "fdw/start.h"
#include "fdw/xact.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* The server itself looks whether its major version is that of the headers. */
static void
check_server_version(void)
{
	if (atoi(GetConfigOption("server_version_num", false, false)) < NVMKV_SERVER_VERSION_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("nvmkv_fdw needs PostgreSQL %d.%d or newer, this is %s", NVMKV_SERVER_VERSION_MIN / 10000,
						NVMKV_SERVER_VERSION_MIN % 10000, GetConfigOption("server_version", false, false))));
}

void
_PG_init(void)
{
	check_server_version();

	/* pg_upgrade starts servers to look at catalogues only: nothing may be written. */
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
	{
		nvmkv_faultpoint_init(); /* before the prefix of its name is reserved */
		nvmkv_guc_init();
		nvmkv_start_init();
		nvmkv_copysession_init();
		nvmkv_redo_init(nvmkv_changes_decode);
		nvmkv_changes_init();
		nvmkv_worker_init();
	}
	nvmkv_ddl_init();
	nvmkv_relinfo_init();
	nvmkv_explain_init();
	nvmkv_modify_init();
	nvmkv_xact_init();
}
