/*
 * backup.c
 *	  Points from which a file-by-file copy of the running database can be opened.
 *
 * A copy that is made while work goes on has every file from another moment.
 * It becomes sound by four things: the host's log, replayed from the redo point
 * at which the copy began; a description of the database (the backup point)
 * that was complete before the copier looked at the directory; no table file
 * that it names is deleted before the copy is complete; and it names nothing
 * but table files, and files of outcomes, which never change.
 *
 * So before a backup point is written the container is drained.  Rows that are
 * flushed meanwhile are left out of it: all their records start at or behind its
 * durable sequence and are replayed.  Table files may hold some of those entries,
 * too; the replay then repeats what is there.  Any point at or behind the copy's
 * redo point is right, if the copy's log ends behind it.
 *
 * File: <dir>/BACKUP-<durable sequence>-<stamp>, 16 hexadecimal digits each, in
 * the format of a MANIFEST with one edit.  It appears whole, by a rename.
 *
 * Stamps say what is kept for whom.  Each copy gets one when it begins
 * (nvmkv_copy_begin); a point, and a file that leaves the tree, have the stamp
 * that was given out last.  So a copy may need what has its own stamp or a
 * later one, and what is older than the oldest living copy goes: points first,
 * then files.  As long as there is a copy, files that go are unlinked and not
 * truncated: what a copier has of a file is all of it.  A copier may have read a
 * point that was made for another one and is about to go, but that names files
 * it has not found then; the restore passes over such points.
 *
 * Everything of this is in shared memory and goes with the processes: an open
 * that is no restore removes all points, and files that only they name.
 */
#include "engine/db/db_work.h"
#include "engine/db/family.h"
#include "engine/tree/install.h"
#include "engine/tree/retire.h"
#include "engine/tree/tree.h"

/* *position_out is lowered to that of this tree's point. */
static NvmkvStatus
write_tree_point(NvmkvDb *db, uint64_t *position_out)
{
	uint64_t stamp = port_load_seq(&db->root->shm->copy_clock);
	uint64_t durable;

	NVMKV_RETURN_IF(tree_flush(db));
	if (db->root == db)
		NVMKV_RETURN_IF(nvmkv_save_outcomes(db));
	durable = mempool_durable_seq(&db->mem);
	/*
	 * A copy may end its log as soon as that says it is consistent, and go on with another one from there; that must
	 * not be before the point, or what the other log has below it would be taken for old.  On a standby this moves the
	 * minimum recovery point, even if nothing was flushed.
	 */
	NVMKV_RETURN_IF(db_flush_log(db, NVMKV_SEQUENCE_MAX));
	/* Rows that exist now are drained; rows that come later hold only what starts at "durable" or later. */
	NVMKV_RETURN_IF(db_drain_rows_before(db, port_load_seq(&db->shm->next_row)));
	NVMKV_RETURN_IF(versions_write_backup(&db->versions, durable, stamp));
	if (durable < *position_out)
		*position_out = durable;
	return NVMKV_OK;
}

/*
 * Each tree has a point of its own; column families come and go only when there is no copy (but in recovery, where
 * the log makes them again).
 */
NvmkvStatus
nvmkv_copy_point(NvmkvDb *db, uint64_t *position_out)
{
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	*position_out = UINT64_MAX;
	while ((st = family_next(db->root, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = write_tree_point(tree, position_out);
		if (st != NVMKV_OK)
		{
			family_leave(db->root, cursor);
			return st;
		}
	}
	return st;
}

static NvmkvStatus
release_tree(NvmkvDb *db)
{
	uint64_t keep = port_load_seq(&db->root->shm->copy_keep);

	versions_remove_backups(&db->versions, keep);
	retired_release_held(db, keep);
	return NVMKV_OK;
}

void
nvmkv_copy_release(NvmkvDb *db)
{
	DbShm *shm = db->root->shm;
	uint64_t keep = port_load_seq(&shm->copy_keep);

	if (port_load_seq(&shm->copy_released) == keep)
		return;
	/* Of a tree out of reach, what is held goes the next time. */
	if (family_each(db->root, release_tree) == NVMKV_OK)
		port_store_seq(&shm->copy_released, keep);
}

void
nvmkv_copy_held(NvmkvDb *db, uint64_t stamp, NvmkvCopyHeld *held_out)
{
	unsigned cursor = 0;
	NvmkvDb *tree;

	memset(held_out, 0, sizeof(*held_out));
	while (family_next(db->root, &cursor, &tree) == NVMKV_OK && tree != NULL)
	{
		NvmkvDb *one = tree;
		const VersionImage *v;
		unsigned level;

		retired_held(one, stamp, held_out);
		db_enter(one);
		v = versions_current(&one->versions);
		for (level = 0; level < VERSION_GROUPS; level++)
			held_out->tree_bytes += v->level_bytes[level];
		db_leave(one);
	}
}
