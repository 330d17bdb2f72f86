/*
 * backup.c
 *	  Points from which a file-by-file copy of the running database can be opened.
 *
 * A copy that is made while work goes on has every file from another moment.
 * It becomes sound by four things: the host's log, replayed from the redo point
 * at which the copy began; a description of the database that was complete by
 * then (the backup point); no table file that it names is deleted while the
 * copy is made; and it names nothing but table files, which never change.
 *
 * So before a backup point is written the container is drained.  Rows that are
 * flushed meanwhile are left out of it: all their records start at or behind its
 * durable sequence and are replayed.  Table files may hold some of those entries,
 * too; the replay then repeats what is there.
 *
 * File: <dir>/BACKUP-<durable sequence, 16 hexadecimal digits>, in the format of
 * a MANIFEST with one edit.  One is written at each checkpoint while a backup
 * runs, since nobody says which of them the copy starts from; the copy is opened
 * by the first at or behind its redo point.  They go when no backup runs.
 */
#include "engine/db/db_int.h"

static NvmkvStatus
hold_tree(NvmkvDb *db)
{
	port_store_seq(&db->shm->hold_files, 1);
	return NVMKV_OK;
}

static NvmkvStatus
write_tree_point(NvmkvDb *db)
{
	uint64_t durable;

	NVMKV_RETURN_IF(nvmkv_flush_all(db));
	/* Rows that exist now are drained next; rows that come later hold only what starts here or later. */
	durable = nvmkv_durable_seq(db);
	NVMKV_RETURN_IF(db_drain_rows_before(db, port_load_seq(&db->shm->next_row)));
	return versions_write_backup(&db->versions, durable);
}

/* Each tree has a point of its own; column families come and go only when no backup is held. */
NvmkvStatus
nvmkv_backup_point(NvmkvDb *db)
{
	NVMKV_RETURN_IF(family_each(db, hold_tree));
	return family_each(db, write_tree_point);
}

bool
nvmkv_backup_is_held(NvmkvDb *db)
{
	return port_load_seq(&db->shm->hold_files) != 0;
}

static NvmkvStatus
release_tree(NvmkvDb *db)
{
	port_store_seq(&db->shm->hold_files, 0);
	retired_release_held(db);
	versions_remove_backups(&db->versions);
	return NVMKV_OK;
}

void
nvmkv_backup_done(NvmkvDb *db)
{
	/* Of a tree out of reach, what is held goes at the next open. */
	(void) family_each(db, release_tree);
}
