/*
 * copysession.c
 *	  Sessions that begin to copy the server's files, and what SQL shows of copies: see copies.h.
 */
#include "postgres.h"

/* Its headers need not be there: what they are included for has the same layout without them (libpq-be.h). */
#undef ENABLE_GSS

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/prepare.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/pg_lsn.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "fdw/host/copies.h"
#include "fdw/host/copysession.h"
#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/status.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_copies);
PG_FUNCTION_INFO_V1(nvmkv_sql_copy_start);
PG_FUNCTION_INFO_V1(nvmkv_sql_copy_stop);

/* What pg_rewind of this server's version prepares before it looks at any file; it has no name of its own. */
#define REWIND_STATEMENT "fetch_chunks_stmt"
#define REWIND_QUERY_PART "pg_read_binary_file(path, begin, len, true) AS chunk"
#define BACKUP_APPLICATION "pg_basebackup"

static ClientAuthentication_hook_type previous_client_authentication;

/* Does this process copy, for this reason? */
static bool
copies_as(int kind)
{
	const NvmkvCopy *mine = nvmkv_copy_mine();

	return mine != NULL && (mine->kinds & kind) != 0;
}

static void
end_mine(int code, Datum arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();
	const NvmkvCopy *mine = nvmkv_copy_mine();

	if (mine != NULL && db != NULL)
		nvmkv_copy_mine_end(db, mine->kinds);
}

/* At the end of a transaction: has the backup begun, or ended? */
static void
look_at_backup(XactEvent event, void *arg)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	if (db == NULL || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT) || !copies_as(NVMKV_COPY_BACKUP))
		return;
	if (get_backup_status() == SESSION_BACKUP_NONE)
	{
		const NvmkvCopy *mine = nvmkv_copy_mine();

		/* Its statement was cancelled for it, which says no more than that (copies.c). */
		if (event == XACT_EVENT_ABORT && mine->broken[0] != '\0' && !mine->started)
			ereport(WARNING,
					(errmsg("the backup has not begun: foreign tables cannot be kept for it"),
					 errdetail("%s", mine->broken),
					 errhint("Increase nvmkv.copy_space_limit, or put right what the message says, and begin the backup anew.")));
		nvmkv_copy_mine_end(db, NVMKV_COPY_BACKUP);
	}
	else
		nvmkv_copy_mine_has_begun();
}

static void
begin_mine(NvmkvDb *db, int kind)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(end_mine, (Datum) 0);
		RegisterXactCallback(look_at_backup, NULL);
		registered = true;
	}
	nvmkv_copy_mine_add(db, kind);
}

/* The point is needed here and now; without it there is no copy. */
static void
begin_with_point(int kind)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvStatus status;

	begin_mine(db, kind);
	status = nvmkv_copy_mine_get_point(db);
	if (status != NVMKV_OK)
	{
		nvmkv_copy_mine_end(db, kind);
		nvmkv_check_status(status, "draining foreign tables for a copy of the data directory", NULL);
	}
}

static void
refuse_if_broken(const char *advice)
{
	const NvmkvCopy *mine = nvmkv_copy_mine();

	if (mine != NULL && mine->broken[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this copy of the data directory cannot be used"),
				 errdetail("%s", mine->broken),
				 errhint("%s", advice)));
}

static void
before_backup_start(void)
{
	if (RecoveryInProgress())
		begin_with_point(NVMKV_COPY_BACKUP);
	else
		begin_mine(nvmkv_engine(), NVMKV_COPY_BACKUP); /* its checkpoint waits until the barrier has made the point */
}

static bool
is_rewind(void)
{
	PreparedStatement *prepared = FetchPreparedStatement(REWIND_STATEMENT, false);

	return prepared != NULL && strstr(prepared->plansource->query_string, REWIND_QUERY_PART) != NULL;
}

void
nvmkv_copy_before_function(Oid function)
{
	switch (function)
	{
		case F_PG_BACKUP_START:
		case F_PG_BACKUP_STOP:
		case F_PG_LS_DIR_TEXT:
		case F_PG_LS_DIR_TEXT_BOOL_BOOL:
		case F_PG_READ_BINARY_FILE_TEXT:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8:
		case F_PG_READ_BINARY_FILE_TEXT_INT8_INT8_BOOL:
			break;
		default:
			return;
	}
	/* Where the engine is not open nothing changes; the copy is as good as what it was made of. */
	if (MyProc == NULL || IsParallelWorker() || !IsUnderPostmaster || nvmkv_engine_or_null() == NULL)
		return;
	if (function == F_PG_BACKUP_START)
		before_backup_start();
	else if (function == F_PG_BACKUP_STOP)
		refuse_if_broken("End the session, and begin the backup anew.");
	else if (!copies_as(NVMKV_COPY_REWIND) && is_rewind())
		begin_with_point(NVMKV_COPY_REWIND);
}

/* ---------------------------------------------------------------- walsenders of a standby */

/*
 * In the walsender, which is about to take commands.  What a client may take to show who it is does not limit this; a
 * cancelled or terminated one ends here.
 */
static void
begin_walsender(NvmkvDb *db, const Port *port)
{
	NvmkvStatus status;

	begin_mine(db, NVMKV_COPY_WALSENDER);
	disable_timeout(STATEMENT_TIMEOUT, false);
	status = nvmkv_copy_mine_get_point(db);
	CHECK_FOR_INTERRUPTS();
	enable_timeout_after(STATEMENT_TIMEOUT, AuthenticationTimeout * 1000);
	if (status == NVMKV_OK)
		return;
	nvmkv_abort_cleanup(db);
	if (port->application_name != NULL && strcmp(port->application_name, BACKUP_APPLICATION) == 0)
		ereport(FATAL,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign tables could not be drained for a base backup"),
				 errdetail("%s", nvmkv_error()->text)));
	/* It may be a standby, which needs none of this.  If it turns out to make a backup, it is terminated. */
	ereport(LOG,
			(errmsg("foreign tables could not be drained for a base backup"),
			 errdetail("%s", nvmkv_error()->text)));
	nvmkv_copy_mine_end(db, NVMKV_COPY_WALSENDER);
}

static void
client_authentication(Port *port, int status)
{
	NvmkvDb *db = nvmkv_engine_or_null();

	if (previous_client_authentication != NULL)
		previous_client_authentication(port, status);
	if (status == STATUS_OK && am_walsender && db != NULL && RecoveryInProgress())
		begin_walsender(db, port);
}

/* ---------------------------------------------------------------- SQL */

static const char *
kind_name(int kinds)
{
	if ((kinds & NVMKV_COPY_BACKUP) != 0)
		return "pg_backup_start";
	if ((kinds & NVMKV_COPY_WALSENDER) != 0)
		return "base backup";
	if ((kinds & NVMKV_COPY_REWIND) != 0)
		return "pg_rewind";
	return "copy_start";
}

Datum
nvmkv_sql_copies(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvResultRow row = {0};
	NvmkvCopy *copies = palloc(MaxBackends * sizeof(NvmkvCopy));
	unsigned count;

	InitMaterializedSRF(fcinfo, 0);
	count = nvmkv_copies_list(copies);
	for (unsigned i = 0; i < count; i++)
	{
		NvmkvCopyHeld held = {0};

		if (nvmkv_copy_is_needed(&copies[i]))
			nvmkv_copy_held(db, copies[i].stamp, &held);
		nvmkv_result_put(&row, Int32GetDatum(copies[i].pid));
		nvmkv_result_put_text(&row, kind_name(copies[i].kinds));
		nvmkv_result_put(&row, TimestampTzGetDatum(copies[i].since));
		if (copies[i].position != InvalidXLogRecPtr)
			nvmkv_result_put(&row, LSNGetDatum(copies[i].position));
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_put_int8(&row, held.files);
		nvmkv_result_put_int8(&row, held.bytes);
		if (copies[i].broken[0] != '\0')
			nvmkv_result_put_text(&row, copies[i].broken);
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_emit(fcinfo, &row);
	}
	return (Datum) 0;
}

static void
need_workers(void)
{
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("copies cannot be made in single-user mode"),
				 errhint("Stop the server and copy its directory.")));
}

Datum
nvmkv_sql_copy_start(PG_FUNCTION_ARGS)
{
	need_workers();
	begin_with_point(NVMKV_COPY_SESSION);
	PG_RETURN_LSN(nvmkv_copy_mine()->position);
}

Datum
nvmkv_sql_copy_stop(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	char broken[sizeof(((NvmkvCopy *) 0)->broken)];

	need_workers();
	if (!copies_as(NVMKV_COPY_SESSION))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nvmkv.copy_start() was not called in this session")));
	strlcpy(broken, nvmkv_copy_mine()->broken, sizeof(broken));
	nvmkv_copy_mine_end(db, NVMKV_COPY_SESSION);
	if (broken[0] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this copy of the data directory cannot be used"),
				 errdetail("%s", broken),
				 errhint("Increase nvmkv.copy_space_limit, and make another one.")));
	PG_RETURN_VOID();
}

void
nvmkv_copysession_init(void)
{
	previous_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = client_authentication;
}
