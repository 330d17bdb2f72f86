/*
 * agreement.c
 *	  See agreement.h.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"

#include "fdw/host/agreement.h"

void
nvmkv_agreement_options(NvmkvOptions *options)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);

	options->anchored = true;
	/* The server itself does not start then, and says why. */
	if (!crc_ok)
		return;
	/* The label counts, while there is one, and not the control file, which was copied at another time. */
	options->log_begin = access(BACKUP_LABEL_FILE, F_OK) == 0 ? options->restore_from : control->checkPointCopy.redo;
	if (options->restore_from == 0 && control->state == DB_SHUTDOWNED)
		options->log_end = control->checkPoint;
	pfree(control);
}

NvmkvStatus
nvmkv_agreement_open(NvmkvDb *db)
{
	NvmkvStatus status = nvmkv_check_log_end(db, GetXLogInsertRecPtr());

	return status == NVMKV_OK ? nvmkv_log_opens(db) : status;
}

static void
report(NvmkvStatus status, XLogRecPtr lsn)
{
	if (status != NVMKV_OK)
		ereport(FATAL,
				(errcode(status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL : ERRCODE_DATA_CORRUPTED),
				 errmsg("could not prepare foreign tables for recovery at %X/%X", LSN_FORMAT_ARGS(lsn)),
				 errdetail("%s", nvmkv_error()->text)));
}

NvmkvStatus
nvmkv_agreement_before_redo(NvmkvDb *db)
{
	static bool opened = false; /* one startup process, one recovery */

	if (opened)
		return NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_log_opens(db));
	opened = true;
	return NVMKV_OK;
}

void
nvmkv_agreement_check_end(NvmkvDb *db, XLogRecPtr end)
{
	NvmkvStatus status = nvmkv_check_log_end(db, end);

	if (status == NVMKV_CORRUPTION)
		ereport(FATAL,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the files of foreign tables are not those of this server's log"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Put the right directory \"nvmkv\" in the place of this one.  Without any the server starts, and keeps the WAL of foreign tables until it is there.")));
	report(status, end);
}
