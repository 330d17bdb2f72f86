/*
 * db_open.c
 *	  Layout of the shared segment, opening and recovery.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/db/db_int.h"
#include "engine/log/log_reader.h"

#define DB_MAGIC UINT64_C(0x3142444b564d564e) /* "NVMKVDB1" */

/* Blocks a process keeps of the tables it reads. */
#define DB_BLOCK_CACHE_BYTES (UINT64_C(32) << 20)

/* Memtables that must fit into the pool: one being flushed, and a batch that is drained meanwhile. */
#define DB_POOL_MEMTABLES_MIN 3

typedef struct Layout
{
	size_t epochs, memtables, versions, pool, retired, log, total;
} Layout;

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

static void
compute_layout(const NvmkvOptions *o, Layout *l)
{
	l->epochs = align64(sizeof(DbShm));
	l->memtables = l->epochs + align64(epoch_shm_bytes(o->process_slots));
	l->versions = l->memtables + align64(mempool_shm_bytes(o->max_write_buffers, o->write_buffer_bytes));
	l->pool = l->versions + align64(versions_shm_bytes(o->version_slot_bytes));
	l->retired = l->pool + align64(nvm_pool_shm_bytes((uint64_t) NVM_EXTENTS_MAX * NVM_EXTENT_BYTES));
	l->log = l->retired + align64(retired_shm_bytes());
	l->total = l->log + (o->standalone_log ? align64(log_group_shm_bytes(o->log_buffer_bytes)) : 0);
}

static NvmkvStatus
check_options(const NvmkvOptions *o)
{
	NVMKV_RETURN_IF(nvmkv_options_check(o));
	if (o->nvm_bytes > 0 && o->nvm_bytes < DB_POOL_MEMTABLES_MIN * o->write_buffer_bytes)
		return NVMKV_FAIL(NVMKV_INVALID, "a container of %" PRIu64 " bytes is too small for write buffers of %" PRIu64
						  " bytes: it must hold at least %d of them", o->nvm_bytes, o->write_buffer_bytes, DB_POOL_MEMTABLES_MIN);
	return NVMKV_OK;
}

size_t
nvmkv_shm_bytes(const NvmkvOptions *options)
{
	Layout l;

	if (check_options(options) != NVMKV_OK)
		return 0;
	compute_layout(options, &l);
	return l.total;
}

/* ---- recovery ---- */

static bool
version_has_file(const VersionImage *v, uint64_t number)
{
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = 0; i < v->nfiles; i++)
		if (files[i].number == number)
			return true;
	return false;
}

/* What an interrupted job or switch left behind goes. */
static bool
remove_if_orphan(void *ctx, const char *name)
{
	NvmkvDb *db = ctx;
	char path[MANIFEST_PATH_MAX];
	size_t n = strlen(name);
	char *end;
	bool orphan = strcmp(name, "CURRENT.tmp") == 0;

	if (n > 4 && strcmp(name + n - 4, ".sst") == 0)
	{
		uint64_t number = strtoull(name, &end, 10);

		orphan = strcmp(end, ".sst") == 0 && !version_has_file(versions_current(&db->versions), number);
	}
	else if (strncmp(name, "MANIFEST-", 9) == 0)
	{
		uint64_t number = strtoull(name + 9, &end, 10);

		orphan = *end == '\0' && number != versions_manifest_number(&db->versions);
	}
	if (orphan)
	{
		(void) snprintf(path, sizeof(path), "%s/%s", db->dir, name);
		if (port_files->unlink(path) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove leftover file \"%s\": %s", path, nvmkv_error()->text);
	}
	return true;
}

/* Every table the version names is there in its full size. */
static NvmkvStatus
check_files(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	const VersionFile *files = version_files(v);
	uint32_t i;

	for (i = 0; i < v->nfiles; i++)
	{
		char path[SST_PATH_BYTES_MAX];
		PortFile *file;
		uint64_t size;
		NvmkvStatus st;

		NVMKV_RETURN_IF(sst_file_name(db->dir, files[i].number, path, sizeof(path)));
		st = port_files->open(path, PORT_FILE_READ, &file);
		if (st == NVMKV_NOT_FOUND)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" is missing", path);
		NVMKV_RETURN_IF(st);
		st = port_files->size(file, &size);
		port_files->close(file);
		NVMKV_RETURN_IF(st);
		if (size != files[i].bytes)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" has %" PRIu64 " bytes, expected %" PRIu64, path, size, files[i].bytes);
	}
	return NVMKV_OK;
}

/* The extents of all rows are taken; the rows' headers are sound. */
static NvmkvStatus
recover_rows(NvmkvDb *db)
{
	const VersionImage *v = versions_current(&db->versions);
	uint32_t i;

	for (i = 0; i < v->nrows; i++)
	{
		NvmRowRef ref = version_row_ref(v, &v->rows[i]);
		uint32_t e;

		for (e = 0; e < ref.extent_count; e++)
			if (e == 0 || e >= ref.first_extent_live)
				NVMKV_RETURN_IF(nvm_pool_mark(db->pool, ref.extents[e]));
		NVMKV_RETURN_IF(nvm_row_check_header(db->pool, &ref));
	}
	return NVMKV_OK;
}

static NvmkvStatus
open_pool(NvmkvDb *db, NvmPoolShm *pool_shm)
{
	const VersionImage *v = versions_current(&db->versions);
	bool created;

	if (db->options.nvm_bytes == 0 && v->nrows == 0)
		return NVMKV_OK;
	/* Without rows any sound pool will do, a new one too. */
	NVMKV_RETURN_IF(nvm_pool_open(db->nvm_path, db->options.nvm_bytes, db->options.system_identifier, v->nrows > 0 ? v->pool_id : 0,
								  pool_shm, &db->pool, &created));
	db->shm->nvm_is_pmem = db->pool->dev->is_pmem ? 1 : 0;
	if ((uint64_t) db->pool->extent_count * NVM_EXTENT_BYTES < DB_POOL_MEMTABLES_MIN * db->options.write_buffer_bytes)
		return NVMKV_FAIL(NVMKV_INVALID, "the pool \"%s\" of %u MiB is too small for write buffers of %" PRIu64 " bytes: it must hold at least %d of them",
						  db->nvm_path, db->pool->extent_count, db->options.write_buffer_bytes, DB_POOL_MEMTABLES_MIN);
	if (db->pool->pool_id != v->pool_id)
	{
		VersionEdit edit = {0};

		edit.has_pool = true;
		edit.pool_id = db->pool->pool_id;
		NVMKV_RETURN_IF(versions_install(&db->versions, &edit));
	}
	return recover_rows(db);
}

/* ---- the standalone log ---- */

static NvmkvStatus
replay_log_file(NvmkvDb *db, uint64_t number, uint64_t durable, uint64_t *last_sequence)
{
	char path[LOG_GROUP_PATH_BYTES_MAX];
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus st;

	log_group_path(path, sizeof(path), db->dir, number);
	NVMKV_RETURN_IF(log_reader_open(&reader, path, LOG_KIND_WAL, number));
	while ((st = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		NvmkvSlice batch;
		uint64_t base = 0;
		uint32_t count = 0;
		const uint8_t *cursor;

		st = log_group_split_record(record, &base, &batch);
		if (st == NVMKV_OK)
			st = nvmkv_batch_open(batch, &count, &cursor);
		/*
		 * No gap but among what is in rows and tables: of log files that nobody needs, a crash may bring back some whose
		 * removal was not durable yet.
		 */
		if (st == NVMKV_OK && (base <= *last_sequence || (base > *last_sequence + 1 && base > durable + 1)))
			st = NVMKV_FAIL(NVMKV_CORRUPTION, "log \"%s\" goes on with sequence %" PRIu64 " after %" PRIu64 ": a log file is missing or cut short",
							path, base, *last_sequence > durable ? *last_sequence : durable);
		if (st == NVMKV_OK && base + count - 1 > durable)
		{
			/* What a memtable that becomes active during this call starts behind. */
			db->replay_position = base - 1;
			st = nvmkv_replay(db, batch, base);
		}
		if (st != NVMKV_OK)
			break;
		*last_sequence = base + count - 1;
	}
	log_reader_close(&reader);
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

typedef struct LogList
{
	uint64_t *numbers;
	unsigned count, capacity;
	bool failed;
} LogList;

static bool
collect_log(void *ctx, const char *name)
{
	LogList *list = ctx;
	char *end;
	uint64_t number = strtoull(name, &end, 10);

	if (end == name || strcmp(end, ".log") != 0)
		return true;
	if (list->count == list->capacity)
	{
		unsigned grown = list->capacity == 0 ? 16 : 2 * list->capacity;
		uint64_t *numbers = port_realloc(list->numbers, grown * sizeof(uint64_t));

		if (numbers == NULL)
		{
			list->failed = true;
			return false;
		}
		list->numbers = numbers;
		list->capacity = grown;
	}
	list->numbers[list->count++] = number;
	return true;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *) a;
	uint64_t y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/*
 * Replays every log file, flushes what was replayed, starts a new file and removes the old ones: afterwards nothing but
 * rows and tables holds the past.
 */
static NvmkvStatus
recover_log(NvmkvDb *db)
{
	LogList list = {0};
	uint64_t durable = versions_current(&db->versions)->durable_seq;
	uint64_t last = 0;
	uint64_t next;
	unsigned i;
	NvmkvStatus st = port_files->list(db->dir, collect_log, &list);

	if (st == NVMKV_OK && list.failed)
		st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	if (st == NVMKV_OK && list.count > 1)
		qsort(list.numbers, list.count, sizeof(uint64_t), compare_numbers);
	db->replaying = true;
	db->replay_position = durable;
	for (i = 0; st == NVMKV_OK && i < list.count; i++)
		st = replay_log_file(db, list.numbers[i], durable, &last);
	if (last < durable)
		last = durable;
	db->replay_position = last;
	if (st == NVMKV_OK)
		st = nvmkv_flush_all(db);
	db->replaying = false;
	next = list.count > 0 ? list.numbers[list.count - 1] + 1 : 1;
	if (st == NVMKV_OK)
		st = log_group_start(db->own_log, next, last);
	for (i = 0; st == NVMKV_OK && i < list.count; i++)
	{
		char path[LOG_GROUP_PATH_BYTES_MAX];

		log_group_path(path, sizeof(path), db->dir, list.numbers[i]);
		st = port_files->unlink(path);
	}
	port_free(list.numbers);
	return st;
}

/* The log's operations while it is being replayed: nothing is appended, all of it is durable. */
static NvmkvStatus
own_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	NvmkvDb *db = ctx;

	return log_group_append(db->own_log, batch, count, last_sequence_out);
}

static NvmkvStatus
own_flush(void *ctx, uint64_t sequence)
{
	NvmkvDb *db = ctx;

	return db->replaying ? NVMKV_OK : log_group_flush(db->own_log, sequence, true);
}

static uint64_t
own_position(void *ctx)
{
	NvmkvDb *db = ctx;

	return db->replaying ? db->replay_position : log_group_position(db->own_log);
}

static NvmkvStatus
open_own_log(NvmkvDb *db)
{
	db->own_log = port_alloc_zero(sizeof(LogGroup));
	if (db->own_log == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	log_group_shm_init((LogGroupShm *) (void *) ((uint8_t *) db->shm + db->shm->log_off), db->options.log_buffer_bytes,
					   db->options.write_buffer_bytes);
	NVMKV_RETURN_IF(log_group_attach(db->own_log, (LogGroupShm *) (void *) ((uint8_t *) db->shm + db->shm->log_off), db->dir));
	db->log.ctx = db;
	db->log.append = own_append;
	db->log.flush = own_flush;
	db->log.position = own_position;
	return NVMKV_OK;
}

/* ---- open ---- */

static NvmkvStatus
init_memory(NvmkvDb *db, uint8_t *memory)
{
	NvmkvOptions *o = &db->options;
	Layout l;

	compute_layout(o, &l);
	memset(db->shm, 0, sizeof(DbShm));
	db->shm->magic = DB_MAGIC;
	db->shm->bytes = l.total;
	db->shm->epochs_off = l.epochs;
	db->shm->memtables_off = l.memtables;
	db->shm->versions_off = l.versions;
	db->shm->pool_off = l.pool;
	db->shm->retired_off = l.retired;
	db->shm->log_off = o->standalone_log ? l.log : 0;
	port_cond_init(&db->shm->progress);
	db->epochs = (EpochShm *) (void *) (memory + l.epochs);
	epoch_init(db->epochs, o->process_slots);
	mempool_init((MemPoolShm *) (void *) (memory + l.memtables), o->max_write_buffers, o->write_buffer_bytes, 0);
	versions_shm_init((VersionSetShm *) (void *) (memory + l.versions), o->version_slot_bytes);
	nvm_pool_shm_init((NvmPoolShm *) (void *) (memory + l.pool), (uint64_t) NVM_EXTENTS_MAX * NVM_EXTENT_BYTES);
	db->retired = (DbRetiredShm *) (void *) (memory + l.retired);
	retired_init(db->retired);
	if (o->standalone_log)
		NVMKV_RETURN_IF(open_own_log(db));
	mempool_attach(&db->mem, (MemPoolShm *) (void *) (memory + l.memtables), db->epochs, &db->log);
	versions_attach(&db->versions, (VersionSetShm *) (void *) (memory + l.versions), db->epochs, &db->mem, db->dir);
	return table_cache_create(db->dir, TABLE_CACHE_TABLES_DEFAULT, DB_BLOCK_CACHE_BYTES, &db->tables);
}

static NvmkvStatus
recover(NvmkvDb *db, uint8_t *memory)
{
	const VersionImage *v;
	bool fresh;

	NVMKV_RETURN_IF(port_files->mkdir(db->dir));
	NVMKV_RETURN_IF(versions_recover(&db->versions, db->options.system_identifier, &fresh));
	v = versions_current(&db->versions);
	db->shm->next_file = v->next_file;
	db->shm->next_row = v->next_row;
	db->shm->last_sequence = v->durable_seq;
	/* Now that it is known where the memtables begin. */
	mempool_init(db->mem.shm, db->options.max_write_buffers, db->options.write_buffer_bytes, v->durable_seq);
	NVMKV_RETURN_IF(check_files(db));
	NVMKV_RETURN_IF(open_pool(db, (NvmPoolShm *) (void *) (memory + db->shm->pool_off)));
	NVMKV_RETURN_IF(port_files->list(db->dir, remove_if_orphan, db));
	mempool_open_gate(&db->mem); /* for replay; nvmkv_write asks "accepting" */
	if (db->own_log != NULL)
		NVMKV_RETURN_IF(recover_log(db));
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_open(void *memory, const char *dir, const NvmkvOptions *options, const NvmkvLogOps *log, NvmkvDb **db_out)
{
	NvmkvDb *db;
	NvmkvStatus st;

	*db_out = NULL;
	NVMKV_RETURN_IF(check_options(options));
	if (!options->standalone_log && log == NULL)
		return NVMKV_FAIL(NVMKV_INVALID, "no log was given");
	db = port_alloc_zero(sizeof(NvmkvDb));
	if (db == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a database handle");
	db->options = *options;
	db->shm = memory;
	if (snprintf(db->dir, sizeof(db->dir), "%s", dir) >= (int) sizeof(db->dir) ||
		(options->nvm_path != NULL
			 ? snprintf(db->nvm_path, sizeof(db->nvm_path), "%s", options->nvm_path)
			 : snprintf(db->nvm_path, sizeof(db->nvm_path), "%s/level0.pool", dir)) >= (int) sizeof(db->nvm_path))
	{
		port_free(db);
		return NVMKV_FAIL(NVMKV_INVALID, "the database's path is too long");
	}
	db->options.nvm_path = db->nvm_path;
	if (log != NULL)
		db->log = *log;
	st = init_memory(db, memory);
	if (st == NVMKV_OK)
		st = recover(db, memory);
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
	if (db->point.table != NULL)
		db->point.base.ops->destroy(&db->point.base);
	if (db->tables != NULL)
		table_cache_destroy(db->tables);
	if (db->pool != NULL)
		nvm_pool_close(db->pool);
	if (db->own_log != NULL)
	{
		log_group_detach(db->own_log);
		port_free(db->own_log);
	}
	port_free(db);
}

void
nvmkv_set_txn_ops(NvmkvDb *db, const NvmkvTxnOps *ops)
{
	db->has_txn = ops != NULL;
	if (ops != NULL)
		db->txn = *ops;
}

void
nvmkv_set_wake(NvmkvDb *db, void (*wake)(void))
{
	db->wake = wake;
	db->mem.wake = wake;
}
