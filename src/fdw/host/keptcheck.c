/*
 * keptcheck.c
 *	  See keptcheck.h.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fdw/host/keptcheck.h"

bool
nvmkv_kept_is_passing(NvmkvStatus status)
{
	return status == NVMKV_NO_SPACE || status == NVMKV_NO_MEMORY || status == NVMKV_CANCELLED || status == NVMKV_BUSY;
}

NvmkvStatus
nvmkv_kept_check_end(const KeptReading *reading, const KeptSummary *summary, XLogRecPtr next)
{
	const char *name = reading->dir + strlen(DataDir) + 1;
	NvmkvStatus status;

	if (summary->files == 0 || summary->closed || (next != InvalidXLogRecPtr && summary->position >= next))
		return NVMKV_OK;
	if (next == InvalidXLogRecPtr)
		status = NVMKV_FAIL(NVMKV_CORRUPTION, "what is kept in \"%s\" breaks off at %X/%X: a file is missing or cut short",
							name, LSN_FORMAT_ARGS(summary->position));
	else
		status = NVMKV_FAIL(NVMKV_CORRUPTION, "what is kept in \"%s\" breaks off at %X/%X, and what follows begins at %X/%X: a file is missing or cut short",
							name, LSN_FORMAT_ARGS(summary->position), LSN_FORMAT_ARGS(next));
	if (!reading->lenient)
		return status;
	reading->problem(reading->ctx, nvmkv_error()->text);
	return NVMKV_OK;
}

void
nvmkv_kept_check(NvmkvStatus status)
{
	if (status != NVMKV_OK)
		ereport(FATAL,
				(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_IO_ERROR),
				 errmsg("could not keep WAL of foreign tables that are not available"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Make space, or put right what keeps the foreign tables from being available.  \"nvmkv.ignore_lost_wal\" gives up what was written to them.")));
}
