/*
 * tree_open.c
 *	  Opening and recovery of one tree.
 */
#include "engine/tree/tree_open.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/tree/tree_files.h"
#include "engine/tree/tree_memory.h"
#include "engine/tree/tree_pool.h"

NvmkvStatus
tree_check_options(const NvmkvOptions *o)
{
	NVMKV_RETURN_IF(nvmkv_options_check(o));
	if (o->nvm_bytes > 0 && o->nvm_bytes < DB_POOL_MEMTABLES_MIN * o->write_buffer_bytes)
		return NVMKV_FAIL(NVMKV_INVALID, "a container of %" PRIu64 " bytes (%s) is too small for write buffers of %" PRIu64
						  " bytes (%s): it must hold at least %d of them", o->nvm_bytes, option_name("nvm_bytes"),
						  o->write_buffer_bytes, option_name("write_buffer_bytes"), DB_POOL_MEMTABLES_MIN);
	return NVMKV_OK;
}

/* ---- recovery ---- */

static void
raise_next_file(NvmkvDb *root, uint64_t next_file)
{
	if (root->shm->next_file < next_file)
		root->shm->next_file = next_file;
}

static bool
see_nothing(void *ctx, const char *name)
{
	(void) ctx;
	(void) name;
	return false;
}

/* A directory that should be there and is not is not made: it might be put back. */
static NvmkvStatus
make_directory(const NvmkvDb *db)
{
	const Agreement *a = db->root->agreement;
	bool accepted;

	if (a != NULL && port_files->list(db->dir, see_nothing, NULL) == NVMKV_NOT_FOUND)
		NVMKV_RETURN_IF(agreement_judge(a, db->family, NULL, db->dir, &accepted));
	return port_files->mkdir(db->dir);
}

/* A new database has no entries: outcomes from here on are its concern. */
static NvmkvStatus
start_outcomes(NvmkvDb *db)
{
	VersionEdit edit = {0};

	edit.has_settled = edit.has_outcomes_low = true;
	edit.settled = edit.outcomes_low = db->options.first_fxid;
	return versions_install(&db->versions, &edit);
}

NvmkvStatus
tree_recover(NvmkvDb *db)
{
	VersionsOpening opening = {0};
	Agreement born = {0};
	const VersionImage *v;
	NvmkvStatus st;
	bool fresh;

	NVMKV_RETURN_IF(tree_take_up(db));
	NVMKV_RETURN_IF(make_directory(db));
	opening.system_identifier = db->options.system_identifier;
	opening.restore_from = db->options.restore_from;
	opening.family = db->family;
	opening.agreement = db->root->agreement;
	if (db->options.anchored && opening.agreement == NULL)
	{
		born.incarnation = db->root->shm->incarnation;
		opening.agreement = &born;
		opening.born = true;
	}
	st = versions_recover(&db->versions, &opening, &fresh);
	db->has_no_point = st == NVMKV_NOT_FOUND;
	NVMKV_RETURN_IF(st);
	if (fresh && db->root == db && db->options.first_fxid != 0)
		NVMKV_RETURN_IF(start_outcomes(db));
	v = versions_current(&db->versions);
	raise_next_file(db->root, v->next_file);
	db->shm->next_row = v->next_row;
	db_note_applied(db, v->durable_seq);
	NVMKV_RETURN_IF(tree_check_files(db));
	NVMKV_RETURN_IF(tree_open_pool(db, tree_pool(db)));
	/* Now that it is known where the memtables begin, and how large they are. */
	mempool_init(db->mem.shm, db->options.max_write_buffers, db->options.write_buffer_bytes,
				 versions_current(&db->versions)->durable_seq);
	NVMKV_RETURN_IF(tree_remove_orphans(db));
	mempool_open_gate(&db->mem); /* for replay; nvmkv_write asks "accepting" */
	return NVMKV_OK;
}

NvmkvStatus
tree_open(NvmkvDb *db, void *memory)
{
	tree_lay_out(db, memory, tree_shm_bytes(&db->options, false));
	return tree_recover(db);
}

uint64_t
tree_durable_if_known(const NvmkvDb *db)
{
	return db->shm != NULL && db->versions.shm != NULL && versions_are_there(&db->versions)
		? versions_current(&db->versions)->durable_seq
		: 0;
}

NvmkvStatus
tree_attach(NvmkvDb *db, void *memory)
{
	uint64_t pool_id;

	tree_find_memory(db, memory);
	NVMKV_RETURN_IF(tree_take_up(db));
	if (db->shm->has_pool == 0)
		return NVMKV_OK;
	db_enter(db);
	pool_id = versions_current(&db->versions)->pool_id;
	db_leave(db);
	return nvm_pool_attach(db->nvm_path, pool_id, tree_pool(db), &db->pool);
}

NvmkvStatus
tree_handle(const char *dir, const NvmkvOptions *options, NvmkvDb *root, NvmkvDb **db_out)
{
	NvmkvDb *db = port_alloc_zero(sizeof(NvmkvDb));

	*db_out = NULL;
	if (db == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a database handle");
	db->options = *options;
	db->root = root != NULL ? root : db;
	if (snprintf(db->dir, sizeof(db->dir), "%s", dir) >= (int) sizeof(db->dir) ||
		(options->nvm_path != NULL
			 ? snprintf(db->nvm_path, sizeof(db->nvm_path), "%s", options->nvm_path)
			 : snprintf(db->nvm_path, sizeof(db->nvm_path), "%s/level0.pool", dir)) >= (int) sizeof(db->nvm_path) ||
		snprintf(db->log_dir, sizeof(db->log_dir), "%s", options->log_dir != NULL ? options->log_dir : dir) >=
			(int) sizeof(db->log_dir))
	{
		port_free(db);
		return NVMKV_FAIL(NVMKV_INVALID, "the database's path is too long");
	}
	if (root != NULL)
	{
		db->log = root->log;
		db->txn = root->txn;
		db->has_txn = root->has_txn;
		db->wake = root->wake;
	}
	db->options.nvm_path = db->nvm_path;
	db->options.log_dir = db->log_dir;
	db->families[0] = db->root;
	*db_out = db;
	return NVMKV_OK;
}

void
tree_close(NvmkvDb *db)
{
	if (db->point.table != NULL)
		db->point.base.ops->destroy(&db->point.base);
	nvmkv_buf_free(&db->apart);
	if (db->tables != NULL)
		table_cache_destroy(db->tables);
	if (db->pool != NULL && !db->is_thread)
		nvm_pool_close(db->pool);
	port_free(db);
}
