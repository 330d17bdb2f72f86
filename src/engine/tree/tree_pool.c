/*
 * tree_pool.c
 *	  See tree_pool.h.
 */
#include "engine/tree/tree_pool.h"

#include <inttypes.h>

/* Something is wrong with the row's header: is it damage of the tree's pool, or is the pool of another time? */
static NvmkvStatus
judge_pool(NvmkvDb *db, const NvmRowRef *row)
{
	const Agreement *a = db->root->agreement;
	uint64_t position = versions_current(&db->versions)->durable_seq;
	const NvmkvError found = *nvmkv_error();

	if (!nvm_row_is_another(db->pool, row))
		return NVMKV_OK;
	(void) NVMKV_FAIL(NVMKV_CORRUPTION, "%s: the pool is of another time or another server, the manifest has what was written up to log position %" PRIX32 "/%" PRIX32
					  "; put back the files that belong together", found.text, (uint32_t) (position >> 32), (uint32_t) position);
	if (a == NULL || !a->accept)
		return NVMKV_CORRUPTION;
	port_log(PORT_LOG_WARNING, "accepted, as \"%s.accept\" says: %s", a->dir, nvmkv_error()->text);
	return NVMKV_OK;
}

/*
 * The extents of all rows are taken.  A row with a damaged head costs the keys in it until compaction has gone round
 * the damage, unless the pool is not the one it was.
 */
static NvmkvStatus
recover_rows(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	uint32_t i;

	for (i = 0; i < v->nrows; i++)
	{
		NvmRowRef ref = version_row_ref(v, &v->rows[i]);
		uint32_t e;
		NvmkvStatus st;

		for (e = 0; e < ref.extent_count; e++)
			if (e == 0 || e >= ref.first_extent_live)
				NVMKV_RETURN_IF(nvm_pool_mark(db->pool, ref.extents[e]));
		st = nvm_row_check_header(db->pool, &ref);
		if (st == NVMKV_CORRUPTION)
		{
			NVMKV_RETURN_IF(judge_pool(db, &ref));
			port_log(PORT_LOG_WARNING, "row %" PRIu64 " of \"%s\" is damaged: keys in it cannot be read before it is compacted",
					 ref.row_id, db->nvm_path);
			port_store_relaxed(&db->shm->drain_wanted, 1);
			continue;
		}
		NVMKV_RETURN_IF(st);
	}
	return NVMKV_OK;
}

/* Is the pool a part of the copy that is being restored? */
static bool
is_copied(const NvmkvDb *db)
{
	size_t n = strlen(db->dir);

	return db->options.restore_from != 0 && strncmp(db->nvm_path, db->dir, n) == 0 && db->nvm_path[n] == '/';
}

/* The highest extent of any row, and one more. */
static uint32_t
extents_used(const VersionImage *v)
{
	uint32_t used = 0;
	uint32_t i, e;

	for (i = 0; i < v->nrows; i++)
	{
		NvmRowRef ref = version_row_ref(v, &v->rows[i]);

		for (e = 0; e < ref.extent_count; e++)
			if ((e == 0 || e >= ref.first_extent_live) && ref.extents[e] >= used)
				used = ref.extents[e] + 1;
	}
	return used;
}

/* A pool that could not become as large as was wanted does with smaller memtables. */
static void
fit_memtables(NvmkvDb *db)
{
	uint64_t fits = (uint64_t) db->pool->usable * NVM_EXTENT_BYTES / DB_POOL_MEMTABLES_MIN;

	if (db->pool->usable == 0 || db->options.write_buffer_bytes <= fits)
		return;
	port_log(PORT_LOG_WARNING, "write buffers have %" PRIu64 " kB instead of %" PRIu64
			 " kB: the container \"%s\" of %u MB must hold %d of them",
			 fits / 1024, db->options.write_buffer_bytes / 1024, db->nvm_path, db->pool->usable + 1,
			 DB_POOL_MEMTABLES_MIN);
	db->options.write_buffer_bytes = fits;
}

NvmkvStatus
tree_open_pool(NvmkvDb *db, NvmPoolShm *pool_shm)
{
	const VersionImage *v = versions_current(&db->versions);
	bool created;
	NvmkvStatus st;

	if (db->options.nvm_bytes == 0 && v->nrows == 0)
	{
		if (nvm_pool_remove(db->nvm_path, db->options.system_identifier) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove the container that is not wanted any more: %s",
					 nvmkv_error()->text);
		return NVMKV_OK;
	}
	st = nvm_pool_open(db->nvm_path, db->options.nvm_bytes, db->options.system_identifier,
					   v->nrows > 0 ? v->pool_id : 0, extents_used(v), pool_shm, &db->pool, &created);
	if (st == NVMKV_CORRUPTION && is_copied(db))
	{
		/* It came with the copy, which may have caught it in the making. */
		NVMKV_RETURN_IF(port_files->unlink(db->nvm_path));
		st = nvm_pool_open(db->nvm_path, db->options.nvm_bytes, db->options.system_identifier, 0, 0, pool_shm,
						   &db->pool, &created);
	}
	NVMKV_RETURN_IF(st);
	if (db->options.restore_from != 0 && !is_copied(db) && !created && v->nrows == 0 && db->pool->pool_id == v->pool_id)
		return NVMKV_FAIL(NVMKV_INVALID, "the pool \"%s\" is that of the server that this is a copy of; name another one, or remove it if that server is gone",
						  db->nvm_path);
	db->shm->has_pool = 1;
	db->shm->nvm_is_pmem = db->pool->dev->is_pmem ? 1 : 0;
	fit_memtables(db);
	if (db->pool->pool_id != v->pool_id)
	{
		VersionEdit edit = {0};

		edit.has_pool = true;
		edit.pool_id = db->pool->pool_id;
		NVMKV_RETURN_IF(versions_install(&db->versions, &edit));
	}
	return recover_rows(db);
}
