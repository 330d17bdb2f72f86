/*
 * tree_memory.c
 *	  Layout of a tree's shared memory.
 */
#include "engine/tree/tree_memory.h"

#include "engine/tree/emptied.h"
#include "engine/tree/retire.h"
#include "engine/tree/running.h"

#define DB_MAGIC UINT64_C(0x3142444b564d564e) /* "NVMKVDB1" */

typedef struct Layout
{
	size_t epochs, memtables, versions, pool, retired, slot_counters, total;
} Layout;

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

static size_t
memtables_bytes(const NvmkvOptions *o, bool is_root)
{
	size_t bytes = mempool_shm_bytes(o->max_write_buffers, o->write_buffer_bytes);

	return is_root || bytes > o->family_memtables_bytes ? bytes : (size_t) o->family_memtables_bytes;
}

static void
compute_layout(const NvmkvOptions *o, bool is_root, Layout *l)
{
	l->epochs = align64(sizeof(DbShm));
	l->memtables = l->epochs + align64(epoch_shm_bytes(o->process_slots));
	l->versions = l->memtables + align64(memtables_bytes(o, is_root));
	l->pool = l->versions + align64(versions_shm_bytes(o->version_slot_bytes));
	l->retired = l->pool + align64(nvm_pool_shm_bytes((uint64_t) NVM_EXTENTS_MAX * NVM_EXTENT_BYTES));
	l->slot_counters = l->retired + align64(retired_shm_bytes());
	l->total = l->slot_counters + (o->process_slots + 1) * sizeof(DbSlotCounters);
}

size_t
tree_shm_bytes(const NvmkvOptions *options, bool is_root)
{
	Layout l;

	compute_layout(options, is_root, &l);
	return l.total;
}

void
tree_find_memory(NvmkvDb *db, void *memory)
{
	DbShm *shm = memory;
	uint8_t *bytes = memory;

	db->shm = shm;
	db->epochs = (EpochShm *) (void *) (bytes + shm->epochs_off);
	db->retired = (DbRetiredShm *) (void *) (bytes + shm->retired_off);
	db->slot_counters = (DbSlotCounters *) (void *) (bytes + shm->slot_counters_off);
	if (db->root != db)
		sst_cache_attach(&db->blocks, db->root->blocks.shm, &db->root->blocks.epochs);
}

void
tree_lay_out(NvmkvDb *db, void *memory, size_t bytes)
{
	const NvmkvOptions *o = &db->options;
	DbShm *shm = memory;
	Layout l;

	compute_layout(o, db->root == db, &l);
	memset(shm, 0, sizeof(DbShm));
	shm->magic = DB_MAGIC;
	shm->bytes = bytes;
	shm->epochs_off = l.epochs;
	shm->memtables_off = l.memtables;
	shm->versions_off = l.versions;
	shm->pool_off = l.pool;
	shm->retired_off = l.retired;
	shm->slot_counters_off = l.slot_counters;
	port_cond_init(&shm->progress);
	running_init(&shm->running);
	emptied_init(&shm->emptied);
	port_cond_init(&shm->work_limit.wait);
	tree_find_memory(db, memory);
	epoch_init(db->epochs, o->process_slots);
	mempool_init(tree_memtables(db), o->max_write_buffers, o->write_buffer_bytes, 0);
	versions_shm_init(tree_versions(db), o->version_slot_bytes);
	nvm_pool_shm_init(tree_pool(db), (uint64_t) NVM_EXTENTS_MAX * NVM_EXTENT_BYTES);
	retired_init(db->retired);
	memset(db->slot_counters, 0, (o->process_slots + 1) * sizeof(DbSlotCounters));
}

static uint64_t
tree_position(void *ctx)
{
	const NvmkvDb *db = ctx;
	uint64_t earlier = db->earlier != NULL ? port_load_seq(db->earlier) : 0;

	return earlier != 0 ? earlier : db->root->log.position(db->root->log.ctx);
}

NvmkvStatus
tree_take_up(NvmkvDb *db)
{
	db->place.ctx = db;
	db->place.position = tree_position;
	mempool_attach(&db->mem, tree_memtables(db), db->epochs, &db->place);
	db->mem.wake = db->wake;
	versions_attach(&db->versions, tree_versions(db), db->epochs, &db->mem, db->dir);
	return table_cache_create(db->dir, TABLE_CACHE_TABLES_DEFAULT, &db->blocks, &db->tables);
}
