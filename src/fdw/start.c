/*
 * start.c
 *	  The start of the server: shared memory, and the engine opened in it.
 *
 * The postmaster opens the engine in shmem_startup_hook, with plain system
 * calls, before it has any child.  The hook runs again in the same postmaster
 * after a crash: the old handle is closed then, and everything is read anew
 * from files.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "engine/port/port.h"
#include "engine/port/port_guard.h"
#include "fdw/host/agreement.h"
#include "fdw/host/checkpoint.h"
#include "fdw/host/copies.h"
#include "fdw/host/engine.h"
#include "fdw/host/guc.h"
#include "fdw/host/kept.h"
#include "fdw/host/latch.h"
#include "fdw/host/origin.h"
#include "fdw/host/restore.h"
#include "fdw/host/rowid.h"
#include "fdw/host/settings.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"
#include "fdw/start.h"
#include "fdw/txn/visibility.h"

static shmem_request_hook_type previous_shmem_request;
static shmem_startup_hook_type previous_shmem_startup;

static void
request_shared_memory(void)
{
	if (previous_shmem_request)
		previous_shmem_request();
	RequestAddinShmemSpace(nvmkv_settings_shm_bytes(true));
	nvmkv_engine_shmem_request();
	nvmkv_latch_shmem_request();
	nvmkv_wal_shmem_request();
	nvmkv_kept_shmem_request();
	nvmkv_checkpoint_shmem_request();
	nvmkv_rowid_shmem_request();
	nvmkv_copies_shmem_request();
	RequestAddinShmemSpace(nvmkv_settle_shmem_bytes());
}

static void
open_engine(void *memory)
{
	NvmkvOptions options;
	NvmkvDb *db = NULL;
	char dir[MAXPGPATH];
	NvmkvStatus status;

	/* Readable for the group where the cluster is (initdb --allow-group-access). */
	port_file_mode = (mode_t) pg_file_create_mode;
	port_dir_mode = (mode_t) pg_dir_create_mode;
	/* Before there are children: a page of the pool that is gone is an error to who reads it, not the end of all. */
	if (port_guard_install() != NVMKV_OK)
		ereport(LOG,
				(errmsg("nvmkv_fdw: %s", nvmkv_error()->text)));
	nvmkv_settings(&options, false);
	/* Nothing is made, nor left a mark in, where the files are elsewhere. */
	status = nvmkv_origin_find();
	if (status != NVMKV_OK)
	{
		nvmkv_engine_begin_open(false);
		nvmkv_engine_end_open(NULL);
		return;
	}
	options.system_identifier = nvmkv_origin_identifier();
	options.restore_from = nvmkv_restore_from();
	nvmkv_agreement_options(&options);
	options.first_fxid = nvmkv_settle_first_fxid();
	snprintf(dir, sizeof(dir), "%s/nvmkv", DataDir);
	nvmkv_engine_begin_open(options.restore_from != 0);
	status = nvmkv_kept_find(&options);
	if (nvmkv_ignore_lost_wal)
	{
		options.log_begin = 0;
		memset(options.family_log_begin, 0, sizeof(options.family_log_begin));
		options.loses_log = true;
		ereport(WARNING,
				(errmsg("nvmkv_fdw: WAL of foreign tables may be lost without a further word"),
				 errdetail("\"nvmkv.ignore_lost_wal\" is on.")));
	}
	if (status == NVMKV_OK)
		status = nvmkv_open(memory, dir, &options, nvmkv_wal_ops(), &db);
	nvmkv_engine_end_open(status == NVMKV_OK ? db : NULL);
	nvmkv_restore_note(options.restore_from, status == NVMKV_OK);
	if (status == NVMKV_OK)
	{
		nvmkv_set_txn_ops(db, nvmkv_txn_ops());
		nvmkv_kept_opened(db);
	}
	/* What may be different next time must be so before the label is used up, and recovery goes on without us. */
	nvmkv_engine_check_copy();
}

static void
start_shared_memory(void)
{
	bool is_new;
	bool found;
	void *memory;

	if (previous_shmem_startup)
		previous_shmem_startup();
	is_new = nvmkv_engine_shmem_init();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = (void *) CACHELINEALIGN(ShmemInitStruct("nvmkv engine", nvmkv_settings_shm_bytes(false), &found));
	LWLockRelease(AddinShmemInitLock);
	nvmkv_latch_shmem_init();
	nvmkv_wal_shmem_init();
	nvmkv_checkpoint_shmem_init();
	nvmkv_kept_shmem_init();
	nvmkv_rowid_shmem_init();
	nvmkv_copies_shmem_init();
	if (is_new)
	{
		open_engine(memory);
		nvmkv_settle_guard_init(nvmkv_engine_or_null());
	}
}

void
nvmkv_start_init(void)
{
	previous_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	previous_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = start_shared_memory;
}
