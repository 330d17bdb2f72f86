/*
 * status.c
 *	  What the engine's statuses mean in SQL terms.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fdw/host/status.h"

static int
sqlstate_of(NvmkvStatus status, int sys_errno)
{
	switch (status)
	{
		case NVMKV_CORRUPTION:
			return ERRCODE_DATA_CORRUPTED;
		case NVMKV_NO_SPACE:
			return ERRCODE_DISK_FULL;
		case NVMKV_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case NVMKV_LIMIT:
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		case NVMKV_READ_ONLY:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case NVMKV_NOT_SUPPORTED:
			return ERRCODE_FEATURE_NOT_SUPPORTED;
		case NVMKV_IO:
			return ERRCODE_IO_ERROR;
		case NVMKV_CANCELLED:
			return ERRCODE_QUERY_CANCELED;
		case NVMKV_BUSY:
			return ERRCODE_OBJECT_IN_USE;
		case NVMKV_OK:
		case NVMKV_NOT_FOUND:
		case NVMKV_INVALID:
		case NVMKV_VERSION:
			break;
	}
	return ERRCODE_INTERNAL_ERROR;
}

static const char *
hint_of(NvmkvStatus status)
{
	switch (status)
	{
		case NVMKV_CORRUPTION:
			return "Run nvmkv.check() to see what else is damaged, and restore from a backup.";
		case NVMKV_NO_SPACE:
			return "Make space on the file system of the data directory or the container; writes go on by themselves then.";
		default:
			return NULL;
	}
}

void
nvmkv_check_status(NvmkvStatus status, const char *doing, const char *object)
{
	const NvmkvError *error = nvmkv_error();
	const char *hint = hint_of(status);

	if (likely(status == NVMKV_OK))
		return;
	if (status == NVMKV_CANCELLED)
		CHECK_FOR_INTERRUPTS();
	ereport(ERROR,
			(errcode(sqlstate_of(status, error->sys_errno)),
			 object != NULL ? errmsg("%s \"%s\" failed", doing, object) : errmsg("%s failed", doing),
			 errdetail("%s", error->text),
			 hint != NULL ? errhint("%s", hint) : 0));
}
