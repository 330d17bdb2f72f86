/*
 * restore.c
 *	  The mark of a copy that is to be opened: see restore.h.  Used by the
 *	  postmaster, before there is any other process.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/fd.h"

#include "fdw/host/restore.h"

#define MARK_NAME "nvmkv/RESTORE"

/* The first line of a file in the data directory, false if there is no such file. */
static bool
read_line(const char *name, char *line, int size)
{
	char path[MAXPGPATH];
	FILE *file;
	bool has_line;

	snprintf(path, sizeof(path), "%s/%s", DataDir, name);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	has_line = fgets(line, size, file) != NULL;
	fclose(file);
	return has_line;
}

static XLogRecPtr
label_redo(void)
{
	char line[MAXPGPATH];
	uint32 hi, lo;

	if (!read_line(BACKUP_LABEL_FILE, line, sizeof(line)) || sscanf(line, "START WAL LOCATION: %X/%X", &hi, &lo) != 2)
		return InvalidXLogRecPtr;
	return (uint64) hi << 32 | lo;
}

static XLogRecPtr
read_mark(bool *done_out)
{
	char line[MAXPGPATH];
	char what[16];
	uint32 hi, lo;

	*done_out = false;
	if (!read_line(MARK_NAME, line, sizeof(line)) || sscanf(line, "%X/%X %15s", &hi, &lo, what) != 3)
		return InvalidXLogRecPtr;
	*done_out = strcmp(what, "done") == 0;
	return (uint64) hi << 32 | lo;
}

/* Set from when the label is read until the end of the copy has been replayed. */
static XLogRecPtr
control_file_redo(void)
{
	bool crc_ok;
	ControlFileData *control = get_controlfile(DataDir, &crc_ok);
	XLogRecPtr redo = crc_ok ? control->backupStartPoint : InvalidXLogRecPtr;

	pfree(control);
	return redo;
}

XLogRecPtr
nvmkv_restore_from(void)
{
	XLogRecPtr from = label_redo();
	XLogRecPtr marked;
	bool done;

	if (from != InvalidXLogRecPtr)
		return from;
	marked = read_mark(&done);
	if (marked != InvalidXLogRecPtr && !done)
		return marked;
	from = control_file_redo();
	return from == marked ? InvalidXLogRecPtr : from;
}

static void
write_mark(XLogRecPtr from, bool done)
{
	char path[MAXPGPATH];
	char temp[MAXPGPATH];
	FILE *file;
	bool written;

	snprintf(path, sizeof(path), "%s/%s", DataDir, MARK_NAME);
	snprintf(temp, sizeof(temp), "%s.tmp", path);
	file = fopen(temp, "w");
	if (file == NULL)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not create file \"%s\": %m", temp)));
	written = fprintf(file, "%X/%X %s\n", LSN_FORMAT_ARGS(from), done ? "done" : "pending") > 0;
	if (fclose(file) != 0 || !written)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", temp)));
	(void) chmod(temp, pg_file_create_mode);
	(void) durable_rename(temp, path, FATAL); /* syncs it first */
}

void
nvmkv_restore_note(XLogRecPtr from, bool done)
{
	char path[MAXPGPATH];
	bool was_done;
	XLogRecPtr marked = read_mark(&was_done);

	if (from != InvalidXLogRecPtr)
	{
		if (from != marked || done != was_done)
			write_mark(from, done);
	}
	else if (marked != InvalidXLogRecPtr && control_file_redo() == InvalidXLogRecPtr)
	{
		snprintf(path, sizeof(path), "%s/%s", DataDir, MARK_NAME);
		if (unlink(path) != 0 && errno != ENOENT)
			ereport(LOG,
					(errcode_for_file_access(),
					 errmsg("could not remove file \"%s\": %m", path)));
	}
}
