/*
 * drop.c
 *	  Tables that hold nothing but entries of a dropped storage go as a whole.
 *
 * Compaction drops such entries wherever it comes by (gc.h), but nobody writes
 * to a dropped storage any more, so nothing makes it come by.
 *
 * The entry that says the storage is dropped is its smallest key.  The table
 * it is in stays: other entries of the storage may stand in rows, or share
 * their tables with other storages.
 *
 * Crash outcome: the edit is installed or not; files that no version names are
 * removed at the next open.  REQUIRES the COMPACT claim.
 */
#include "engine/db/db_int.h"

#define STORAGE_BYTES 8

/* Looking costs a point lookup a storage; a drop is rare and may wait a little. */
#define DROP_INTERVAL_US UINT64_C(5000000)

bool
drop_is_due(NvmkvDb *db)
{
	uint64_t now = port_now_us();

	if (now < port_load_relaxed(&db->shm->next_drop_us))
		return false;
	port_store_relaxed(&db->shm->next_drop_us, now + DROP_INTERVAL_US);
	return true;
}

/* Is all of the table in one storage, and not the storage's first key? */
static bool
is_within_storage(NvmkvSlice smallest, NvmkvSlice largest)
{
	return smallest.size > STORAGE_BYTES && largest.size > STORAGE_BYTES &&
		memcmp(smallest.data, largest.data, STORAGE_BYTES) == 0;
}

/* drops: room for all tables of the version. */
static NvmkvStatus
collect(NvmkvDb *db, const VersionImage *v, MetaFileDrop *drops, uint32_t *ndrops_out)
{
	const VersionFile *files = version_files(v);
	const uint8_t *asked = NULL; /* the storage of the last answer */
	bool dropped = false;
	uint32_t i;

	*ndrops_out = 0;
	for (i = 0; i < v->nfiles; i++)
	{
		NvmkvSlice smallest = version_bytes(v, files[i].smallest);

		if (!is_within_storage(smallest, version_bytes(v, files[i].largest)))
			continue;
		if (asked == NULL || memcmp(asked, smallest.data, STORAGE_BYTES) != 0)
		{
			NVMKV_RETURN_IF(db_storage_dropped(db, nvmkv_slice(smallest.data, STORAGE_BYTES), &dropped));
			asked = smallest.data;
		}
		if (dropped)
		{
			drops[*ndrops_out].level = files[i].level;
			drops[(*ndrops_out)++].number = files[i].number;
		}
	}
	return NVMKV_OK;
}

NvmkvStatus
drop_step(NvmkvDb *db, bool *did_out)
{
	VersionImage *v;
	MetaFileDrop *drops;
	VersionEdit edit = {0};
	uint32_t i;
	NvmkvStatus st;

	*did_out = false;
	NVMKV_RETURN_IF(db_copy_image(db, &v));
	drops = port_alloc((v->nfiles + 1) * sizeof(MetaFileDrop));
	if (drops == NULL)
	{
		port_free(v);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	}
	if (db->has_txn && db->txn.begin_job != NULL)
		db->txn.begin_job(db->txn.ctx);
	st = collect(db, v, drops, &edit.nfile_drops);
	if (st == NVMKV_OK && edit.nfile_drops > 0)
	{
		edit.file_drops = drops;
		/* What was learnt of the dropping transaction must not be forgotten by a crash. */
		st = db_flush_log(db, NVMKV_SEQUENCE_MAX);
		if (st == NVMKV_OK)
			st = db_install(db, &edit);
		for (i = 0; st == NVMKV_OK && i < edit.nfile_drops; i++)
			retired_add_file(db, drops[i].number);
		*did_out = st == NVMKV_OK;
	}
	if (st != NVMKV_OK)
		(void) db_note_failure(db, st);
	port_free(drops);
	port_free(v);
	return st;
}
