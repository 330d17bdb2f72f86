/*
 * db_open.c
 *	  Layout of the shared segment, opening and recovery.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/tree/damage.h"
#include "engine/db/outcome.h"
#include "engine/meta/outcome_file.h"

#define DB_MAGIC UINT64_C(0x3142444b564d564e) /* "NVMKVDB1" */

/* Memtables that must fit into the pool: one being flushed, and a batch that is drained meanwhile. */
#define DB_POOL_MEMTABLES_MIN 3

typedef struct Layout
{
	size_t epochs, memtables, versions, pool, retired, slot_counters, cache, log, outcomes, families, total;
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

/* A family's tree ends where the root's cache begins. */
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
	l->cache = l->log = l->outcomes = l->families = l->total;
	if (!is_root)
		return;
	l->log = l->cache + align64(sst_cache_shm_bytes(o->block_cache_bytes, o->process_slots, o->block_bytes));
	l->outcomes = l->log + (o->standalone_log ? align64(log_group_shm_bytes(o->log_buffer_bytes)) : 0);
	l->families = l->outcomes + align64(outcomes_shm_bytes());
	l->total = l->families + families_shm_bytes(o);
}

size_t
tree_shm_bytes(const NvmkvOptions *options)
{
	Layout l;

	compute_layout(options, false, &l);
	return l.total;
}

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

size_t
nvmkv_shm_bytes(const NvmkvOptions *options)
{
	Layout l;

	if (tree_check_options(options) != NVMKV_OK)
		return 0;
	compute_layout(options, true, &l);
	return l.total;
}

/* ---- recovery ---- */

typedef struct Orphans
{
	NvmkvDb *db;
	uint64_t *numbers; /* of the tables that are none */
	uint32_t count;
	DamageKept kept;
} Orphans;

static bool
names_outcomes(const VersionImage *v, uint64_t file)
{
	uint32_t i;

	for (i = 0; i < v->nsegments; i++)
		if (version_segments(v)[i].file == file)
			return true;
	return false;
}

static bool
remove_if_orphan(void *ctx, const char *name)
{
	Orphans *orphans = ctx;
	NvmkvDb *db = orphans->db;
	char path[MANIFEST_PATH_MAX];
	size_t n = strlen(name);
	char *end;
	uint64_t outcomes;
	bool orphan = strcmp(name, "CURRENT.tmp") == 0 || strcmp(name, "BACKUP.tmp") == 0;

	if (n > 4 && strcmp(name + n - 4, ".sst") == 0)
	{
		uint64_t number = strtoull(name, &end, 10);

		orphan = strcmp(end, ".sst") == 0 && !version_numbers_have(orphans->numbers, orphans->count, number) &&
			!damage_keeps_file(db, number, &orphans->kept);
	}
	else if (outcome_file_parse(name, &outcomes))
		orphan = !names_outcomes(versions_current(&db->versions), outcomes);
	else if (strncmp(name, "MANIFEST-", 9) == 0)
	{
		uint64_t number = strtoull(name + 9, &end, 10);

		orphan = *end == '\0' && number != versions_manifest_number(&db->versions);
	}
	else if (strncmp(name, "BACKUP-", 7) == 0)
		orphan = db->options.restore_from == 0; /* a restore may have to be begun again, by the same one */
	if (orphan)
	{
		(void) snprintf(path, sizeof(path), "%s/%s", db->dir, name);
		if (port_files->unlink(path) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove leftover file \"%s\": %s", path, nvmkv_error()->text);
	}
	return true;
}

/* What an interrupted job or switch left behind goes. */
static NvmkvStatus
remove_orphans(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	Orphans orphans = {db, version_file_numbers(v), v->nfiles, {0, 0}};
	NvmkvStatus st;

	if (orphans.numbers == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for the numbers of %u tables", v->nfiles);
	st = port_files->list(db->dir, remove_if_orphan, &orphans);
	port_free(orphans.numbers);
	return st;
}

/* So many are told one by one. */
#define LOGGED_MAX 10

/* Is the table there in its full size? */
static NvmkvStatus
check_file(NvmkvDb *db, const VersionFile *expected, bool *missing_out, bool *short_out)
{
	char path[SST_PATH_BYTES_MAX];
	PortFile *file;
	uint64_t size;
	NvmkvStatus st;

	NVMKV_RETURN_IF(sst_file_name(db->dir, expected->number, path, sizeof(path)));
	st = port_files->open(path, PORT_FILE_READ, &file);
	*missing_out = st == NVMKV_NOT_FOUND;
	*short_out = false;
	if (*missing_out)
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" is missing", path);
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(st);
	st = port_files->size(file, &size);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	*short_out = size != expected->bytes;
	if (*short_out)
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" has %" PRIu64 " bytes, expected %" PRIu64, path, size, expected->bytes);
	return NVMKV_OK;
}

/*
 * Tables that are missing or short cost the keys in them (damage.h), and may come back.  If all are missing it is the
 * directory that is wrong.
 */
static NvmkvStatus
check_files(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	uint32_t bad = 0;
	uint32_t gone = 0;
	uint32_t i;

	for (i = 0; i < v->nfiles; i++)
	{
		bool is_missing, is_short;

		NVMKV_RETURN_IF(check_file(db, &version_files(v)[i], &is_missing, &is_short));
		gone += is_missing;
		if ((is_missing || is_short) && bad++ < LOGGED_MAX)
			port_log(PORT_LOG_WARNING, "%s: keys in it cannot be read", nvmkv_error()->text);
	}
	if (bad > LOGGED_MAX)
		port_log(PORT_LOG_WARNING, "%u more table files of \"%s\" are missing or have a wrong size", bad - LOGGED_MAX, db->dir);
	if (gone > 1 && gone == v->nfiles)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "all %u table files are missing in \"%s\"", gone, db->dir);
	return NVMKV_OK;
}

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

/*
 * Without rows any sound pool will do, a new one too; and one that is not wanted any more goes.  A pool with rows is
 * opened, whatever is wanted: what is in the way of the size wanted is compacted (column.c).
 */
static NvmkvStatus
open_pool(NvmkvDb *db, NvmPoolShm *pool_shm)
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

/* ---- open ---- */

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

/*
 * Sets the handle's pointers up; with "create" lays out what they point to.  The root's cache serves all families, and
 * whoever reads a family is in the root's epoch too.
 */
static void
settle_memory(NvmkvDb *db, uint8_t *memory, bool create)
{
	const NvmkvOptions *o = &db->options;
	DbShm *shm = db->shm;

	db->epochs = (EpochShm *) (void *) (memory + shm->epochs_off);
	db->retired = (DbRetiredShm *) (void *) (memory + shm->retired_off);
	db->slot_counters = (DbSlotCounters *) (void *) (memory + shm->slot_counters_off);
	if (create)
	{
		epoch_init(db->epochs, o->process_slots);
		mempool_init((MemPoolShm *) (void *) (memory + shm->memtables_off), o->max_write_buffers, o->write_buffer_bytes,
					 0);
		versions_shm_init((VersionSetShm *) (void *) (memory + shm->versions_off), o->version_slot_bytes);
		nvm_pool_shm_init((NvmPoolShm *) (void *) (memory + shm->pool_off),
						  (uint64_t) NVM_EXTENTS_MAX * NVM_EXTENT_BYTES);
		retired_init(db->retired);
		memset(db->slot_counters, 0, (o->process_slots + 1) * sizeof(DbSlotCounters));
	}
	if (db->root == db)
	{
		db->outcomes = (OutcomeShm *) (void *) (memory + shm->outcomes_off);
		if (create)
			outcomes_init(db->outcomes);
	}
	if (db->root == db)
	{
		SstCacheEpochs epochs = {db, slot_inside, retire_stamp, is_safe};
		SstCacheShm *cache = (SstCacheShm *) (void *) (memory + shm->cache_off);

		if (create)
			sst_cache_shm_init(cache, o->block_cache_bytes, o->process_slots, o->block_bytes);
		sst_cache_attach(&db->blocks, cache, &epochs);
	}
	else
		sst_cache_attach(&db->blocks, db->root->blocks.shm, &db->root->blocks.epochs);
}

static NvmkvStatus
settle_rest(NvmkvDb *db, uint8_t *memory)
{
	mempool_attach(&db->mem, (MemPoolShm *) (void *) (memory + db->shm->memtables_off), db->epochs, &db->log);
	versions_attach(&db->versions, (VersionSetShm *) (void *) (memory + db->shm->versions_off), db->epochs, &db->mem,
					db->dir);
	return table_cache_create(db->dir, TABLE_CACHE_TABLES_DEFAULT, &db->blocks, &db->tables);
}

static NvmkvStatus
init_memory(NvmkvDb *db, uint8_t *memory)
{
	DbShm *shm = db->shm;
	Layout l;

	compute_layout(&db->options, db->root == db, &l);
	memset(shm, 0, sizeof(DbShm));
	shm->magic = DB_MAGIC;
	shm->bytes = l.total;
	shm->epochs_off = l.epochs;
	shm->memtables_off = l.memtables;
	shm->versions_off = l.versions;
	shm->pool_off = l.pool;
	shm->retired_off = l.retired;
	shm->slot_counters_off = l.slot_counters;
	shm->cache_off = l.cache;
	shm->log_off = db->options.standalone_log ? l.log : 0;
	shm->outcomes_off = l.outcomes;
	shm->families_off = l.total > l.families ? l.families : 0;
	port_cond_init(&shm->progress);
	running_init(&shm->running);
	port_cond_init(&shm->work_limit.wait);
	if (db->root == db)
	{
		shm->copy_clock = port_clock_us(); /* behind stamps of the past, which a copy may have points of */
		shm->copy_keep = shm->copy_clock + 1;
	}
	if (db->root == db)
		nvmkv_set_compaction_rate(db, db->options.compaction_bytes_per_second);
	settle_memory(db, memory, true);
	if (db->options.standalone_log)
		NVMKV_RETURN_IF(own_log_open(db));
	return settle_rest(db, memory);
}

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
tree_open(NvmkvDb *db, void *memory)
{
	VersionsOpening opening = {0};
	Agreement born = {0};
	const VersionImage *v;
	NvmkvStatus st;
	bool fresh;

	db->shm = memory;
	NVMKV_RETURN_IF(init_memory(db, memory));
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
	NVMKV_RETURN_IF(check_files(db));
	if (db->root == db)
		NVMKV_RETURN_IF(outcomes_open(db));
	NVMKV_RETURN_IF(open_pool(db, (NvmPoolShm *) (void *) ((uint8_t *) memory + db->shm->pool_off)));
	/* Now that it is known where the memtables begin, and how large they are. */
	mempool_init(db->mem.shm, db->options.max_write_buffers, db->options.write_buffer_bytes,
				 versions_current(&db->versions)->durable_seq);
	NVMKV_RETURN_IF(remove_orphans(db));
	mempool_open_gate(&db->mem); /* for replay; nvmkv_write asks "accepting" */
	return NVMKV_OK;
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

	db->shm = memory;
	settle_memory(db, memory, false);
	NVMKV_RETURN_IF(settle_rest(db, memory));
	if (db->shm->has_pool == 0)
		return NVMKV_OK;
	db_enter(db);
	pool_id = versions_current(&db->versions)->pool_id;
	db_leave(db);
	return nvm_pool_attach(db->nvm_path, pool_id, (NvmPoolShm *) (void *) ((uint8_t *) memory + db->shm->pool_off),
						   &db->pool);
}

/* ---- handles ---- */

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
		db->mem.wake = root->wake;
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
	own_log_close(db);
	outcomes_close(db);
	port_free(db);
}

static NvmkvStatus
open_root(NvmkvDb *db, void *memory)
{
	Agreement agreement;
	NvmkvStatus st;

	NVMKV_RETURN_IF(anchoring_begin(db, &agreement));
	st = tree_open(db, memory);
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
	db->root = db;
	memset(db->families, 0, sizeof(db->families)); /* made when they are asked for */
	db->families[0] = db;
	settle_memory(db, (uint8_t *) other->shm, false);
	if (other->own_log != NULL)
		st = own_log_attach(db);
	if (st == NVMKV_OK)
		st = settle_rest(db, (uint8_t *) other->shm);
	db->mem.wake = db->wake;
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
