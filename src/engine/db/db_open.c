/*
 * db_open.c
 *	  The database is opened and closed: its own tree, what the trees share, and the
 *	  families.
 */
#include "engine/db/anchoring.h"
#include "engine/db/family_open.h"
#include "engine/db/family_slots.h"
#include "engine/db/outcome.h"
#include "engine/db/own_log.h"
#include "engine/db/own_log_recover.h"
#include "engine/read/get.h"
#include "engine/tree/tree.h"
#include "engine/tree/tree_memory.h"
#include "engine/tree/tree_open.h"

/* The parts of the database that its own tree's memory is followed by. */
typedef struct Layout
{
	size_t cache, log, outcomes, families, total;
} Layout;

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

static void
compute_layout(const NvmkvOptions *o, Layout *l)
{
	l->cache = align64(tree_shm_bytes(o, true));
	l->log = l->cache + align64(sst_cache_shm_bytes(o->block_cache_bytes, o->process_slots, o->block_bytes));
	l->outcomes = l->log + (o->standalone_log ? align64(log_group_shm_bytes(o->log_buffer_bytes)) : 0);
	l->families = l->outcomes + align64(outcomes_shm_bytes());
	l->total = l->families + families_shm_bytes(o);
}

size_t
nvmkv_shm_bytes(const NvmkvOptions *options)
{
	Layout l;

	if (tree_check_options(options) != NVMKV_OK)
		return 0;
	compute_layout(options, &l);
	return l.total;
}

/* ---- memory ---- */

/* What the block cache asks about epochs.  ctx: NvmkvDb. */
static int
slot_inside(void *ctx)
{
	const NvmkvDb *db = ctx;
	int slot = port_process_slot();

	return slot >= 0 && epoch_is_inside(db->epochs, slot) ? slot : -1;
}

static uint64_t
retire_stamp(void *ctx)
{
	return epoch_retire_stamp(((NvmkvDb *) ctx)->epochs);
}

static bool
is_safe(void *ctx, uint64_t stamp)
{
	return epoch_is_safe(((NvmkvDb *) ctx)->epochs, stamp);
}

static SstCacheShm *
cache_shm(const NvmkvDb *db)
{
	return (SstCacheShm *) (void *) ((uint8_t *) db->shm + db->shm->cache_off);
}

/* Sets the handle's pointers into memory that is laid out. */
static void
find_memory(NvmkvDb *db)
{
	SstCacheEpochs epochs = {db, slot_inside, retire_stamp, is_safe};

	db->outcomes = (OutcomeShm *) (void *) ((uint8_t *) db->shm + db->shm->outcomes_off);
	sst_cache_attach(&db->blocks, cache_shm(db), &epochs);
}

static NvmkvStatus
lay_out(NvmkvDb *db, void *memory)
{
	const NvmkvOptions *o = &db->options;
	DbShm *shm = memory;
	Layout l;

	compute_layout(o, &l);
	tree_lay_out(db, memory, l.total);
	shm->cache_off = l.cache;
	shm->log_off = o->standalone_log ? l.log : 0;
	shm->outcomes_off = l.outcomes;
	shm->families_off = l.total > l.families ? l.families : 0;
	shm->copy_clock = port_clock_us(); /* behind stamps of the past, which a copy may have points of */
	shm->copy_keep = shm->copy_clock + 1;
	nvmkv_set_compaction_rate(db, o->compaction_bytes_per_second);
	sst_cache_shm_init(cache_shm(db), o->block_cache_bytes, o->process_slots, o->block_bytes);
	find_memory(db);
	outcomes_init(db->outcomes);
	return o->standalone_log ? own_log_open(db) : NVMKV_OK;
}

/* ---- open ---- */

static NvmkvStatus
open_root(NvmkvDb *db, void *memory)
{
	Agreement agreement;
	NvmkvStatus st;

	NVMKV_RETURN_IF(anchoring_begin(db, &agreement));
	st = lay_out(db, memory);
	if (st == NVMKV_OK)
		st = tree_recover(db);
	if (st == NVMKV_OK)
		st = outcomes_open(db);
	if (st == NVMKV_OK && db->options.anchored)
		db->shm->incarnation = agreement.incarnation;
	if (st == NVMKV_OK)
		st = families_open(db);
	if (st == NVMKV_OK)
		st = anchoring_settle(db);
	db->agreement = NULL;
	NVMKV_RETURN_IF(st);
	return db->own_log != NULL ? own_log_recover(db) : NVMKV_OK;
}

NvmkvStatus
nvmkv_open(void *memory, const char *dir, const NvmkvOptions *options, const NvmkvLogOps *log, NvmkvDb **db_out)
{
	NvmkvDb *db;
	NvmkvStatus st;

	*db_out = NULL;
	NVMKV_RETURN_IF(tree_check_options(options));
	if (!options->standalone_log && log == NULL)
		return NVMKV_FAIL(NVMKV_INVALID, "no log was given");
	NVMKV_RETURN_IF(tree_handle(dir, options, NULL, &db));
	if (log != NULL)
		db->log = *log;
	st = open_root(db, memory);
	if (st != NVMKV_OK)
	{
		nvmkv_close(db);
		return st;
	}
	*db_out = db;
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_open_thread(const NvmkvDb *other, NvmkvDb **db_out)
{
	NvmkvDb *db = port_alloc(sizeof(NvmkvDb));
	NvmkvStatus st = NVMKV_OK;

	*db_out = NULL;
	if (db == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a database handle");
	/* What is shared, or never changes; then what each thread has for itself. */
	*db = *other;
	db->is_thread = true;
	db->options.nvm_path = db->nvm_path;
	db->options.log_dir = db->log_dir;
	db->tables = NULL;
	db->own_log = NULL;
	db->flush = NULL;
	db->compaction = NULL;
	db->outcome_cache = NULL;
	db->collecting = NULL;
	db->forgetting = NULL;
	db->paid_bytes = 0;
	memset(&db->point, 0, sizeof(db->point));
	memset(&db->apart, 0, sizeof(db->apart));
	db->spare_scan = NULL;
	db->root = db;
	memset(db->families, 0, sizeof(db->families)); /* made when they are asked for */
	db->families[0] = db;
	tree_find_memory(db, other->shm);
	find_memory(db);
	if (other->own_log != NULL)
		st = own_log_attach(db);
	if (st == NVMKV_OK)
		st = tree_take_up(db);
	if (st != NVMKV_OK)
	{
		nvmkv_close(db);
		return st;
	}
	*db_out = db;
	return NVMKV_OK;
}

void
nvmkv_close(NvmkvDb *db)
{
	if (db == NULL)
		return;
	families_close(db);
	own_log_close(db);
	outcomes_close(db);
	scan_free_spare(db);
	tree_close(db);
}

void
nvmkv_set_txn_ops(NvmkvDb *db, const NvmkvTxnOps *ops)
{
	unsigned i;

	for (i = 0; i < NVMKV_FAMILIES_MAX; i++)
	{
		NvmkvDb *tree = db->families[i];

		if (tree == NULL)
			continue;
		tree->has_txn = ops != NULL;
		if (ops != NULL)
			tree->txn = *ops;
	}
}

void
nvmkv_set_wake(NvmkvDb *db, void (*wake)(void))
{
	unsigned i;

	for (i = 0; i < NVMKV_FAMILIES_MAX; i++)
	{
		NvmkvDb *tree = db->families[i];

		if (tree == NULL)
			continue;
		tree->wake = wake;
		tree->mem.wake = wake;
	}
}
