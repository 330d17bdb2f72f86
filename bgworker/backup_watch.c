/*
 * backup_watch.c
 *	  Looks for base backups in the server's progress reports: a walsender that
 *	  makes one announces it before it asks for its checkpoint.
 */
#include "postgres.h"

#include "utils/backend_progress.h"
#include "utils/backend_status.h"

#include "bgworker/backup_watch.h"

bool
nvmkv_base_backup_runs(void)
{
	bool runs = false;
	int n;
	int i;

	/* The snapshot of all processes is kept until it is cleared. */
	pgstat_clear_backend_activity_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (i = 1; i <= n && !runs; i++)
	{
		LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(i);

		runs = local != NULL && local->backendStatus.st_progress_command == PROGRESS_COMMAND_BASEBACKUP;
	}
	pgstat_clear_backend_activity_snapshot();
	return runs;
}
