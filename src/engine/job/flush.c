/*
 * flush.c
 *	  One immutable memtable becomes one row of the matrix container, or a table
 *	  of level 1 where there is no container.
 *
 * Steps, and what a crash after each leaves:
 *	  1 entries filtered (gc.h) and copied to extents or a file		nothing: the log replays the memtable
 *	  2 log flushed: the records of the memtable, all before the new durable sequence, and the outcomes of transactions
 *		that step 1 stored	the same
 *	  3 row (table) persisted						extents and files no version names are free at the next open
 *	  4 edit installed: the row and the new durable sequence		the row is there, replay starts behind it
 *	  5 memtable unlinked
 *
 * The holder of the claim is the only one who adds rows.  The newest receiver
 * row, which the new row's hints point into, cannot become part of a batch
 * meanwhile: that needs the same claim (column.c).
 */
#include "engine/job/flush.h"

#include "engine/job/gc.h"
#include "engine/job/table_output.h"
#include "engine/read/dropped.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/jobs.h"

/* Entries and bytes between two looks at interruption and progress. */
#define FLUSH_STRIDE 4096
#define FLUSH_STRIDE_BYTES UINT64_C(262144)

/* Everything a flush owns, so that an abort can let go of it (flush_abandon). */
typedef struct Flush
{
	NvmkvDb *db;
	DbJob *job;
	unsigned buffer;
	MemtableShm *memtable;
	void *own_memory; /* the memtable is none of the pool's: it holds one large entry of a record that is replayed */
	GcFilter gc;
	VersionImage *image;	/* private copy; the builder's older row is in it */
	NvmRowBuilder *builder; /* with a container */
	bool has_row;			/* the builder has finished a row */
	bool to_tables;			/* without one, or when it is given up */
	TableOutput output;
	uint64_t keys, bytes;
	bool pool_full; /* no extent was left */
	uint64_t durable; /* what the edit will say; the log is synced up to there */
} Flush;

/* Feeds what survives to add(ctx, ...). */
static NvmkvStatus
filter_memtable(Flush *f, NvmkvStatus (*add)(void *ctx, NvmkvSlice key, uint64_t tag, NvmkvSlice payload), void *ctx,
				uint64_t *added_out)
{
	MemtableIter it;
	uint64_t look_at = FLUSH_STRIDE_BYTES;

	*added_out = 0;
	memtable_iter_init(&it, f->memtable);
	for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base))
	{
		uint64_t tag = it.base.tag;
		NvmkvSlice payload = it.base.payload;
		bool keep;

		NVMKV_RETURN_IF(gc_next(&f->gc, it.base.key, &tag, &payload, &keep));
		if (keep)
		{
			NVMKV_RETURN_IF(add(ctx, it.base.key, tag, payload));
			(*added_out)++;
		}
		f->bytes += it.base.key.size + it.base.payload.size;
		if (++f->keys % FLUSH_STRIDE == 0 || f->bytes >= look_at)
		{
			look_at = f->bytes + FLUSH_STRIDE_BYTES;
			job_progress(f->job, f->keys, f->bytes);
			if (port_interrupted())
				return NVMKV_FAIL(NVMKV_CANCELLED, "flush interrupted");
		}
	}
	job_progress(f->job, f->keys, f->bytes);
	return it.base.status;
}

static NvmkvStatus
add_to_row(void *ctx, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	return nvm_row_builder_add(ctx, key, tag, payload);
}

static NvmkvStatus
add_to_tables(void *ctx, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	return table_output_add(ctx, key, tag, payload);
}

/* The newest receiver row, for hints.  Points into the image, which the caller keeps alive. */
static bool
newest_receiver(const VersionImage *v, NvmRowRef *ref)
{
	if (v->nrows == 0 || v->rows[0].role != VERSION_RECEIVER)
		return false;
	*ref = version_row_ref(v, &v->rows[0]);
	return true;
}

static void
describe_row(const NvmRowBuilt *built, MetaRow *row)
{
	memset(row, 0, sizeof(*row));
	row->row_id = built->ref.row_id;
	row->entries = built->ref.entries;
	row->data_bytes = built->ref.data_bytes;
	row->live_bytes = built->ref.data_bytes;
	row->older_row_id = built->ref.older_row_id;
	row->min_sequence = built->min_sequence;
	row->max_sequence = built->max_sequence;
	row->min_unresolved_fxid = built->min_unresolved_fxid;
	row->role = VERSION_RECEIVER;
	row->extent_count = built->ref.extent_count;
	row->extents = built->ref.extents;
	row->smallest = nvmkv_buf_slice(&built->smallest);
	row->largest = nvmkv_buf_slice(&built->largest);
}

/* Step 4 and 5.  The edit carries the row or tables, or neither when nothing survived. */
static NvmkvStatus
install(Flush *f, VersionEdit *edit)
{
	NvmkvDb *db = f->db;

	job_phase(f->job, DB_PHASE_INSTALLING);
	edit->has_durable = true;
	edit->durable_seq = f->durable;
	edit->has_next_row = true;
	edit->next_row = port_load_seq(&db->shm->next_row);
	edit->has_next_file = true;
	edit->next_file = port_load_seq(&db->root->shm->next_file);
	NVMKV_RETURN_IF(port_fault("flush.before_install"));
	return db_install(db, edit);
}

/*
 * Step 2.  The position first: an empty memtable's start may move up at any time, as far as the log is written but not
 * synced.  After a crash the log might go on from before it, and what it then has for the tree would be taken for old.
 */
static NvmkvStatus
sync_log(Flush *f)
{
	job_phase(f->job, DB_PHASE_SYNCING);
	f->durable = f->own_memory != NULL ? mempool_durable_seq(&f->db->mem)
									   : mempool_durable_after(&f->db->mem, f->buffer);
	return db_flush_log(f->db, NVMKV_SEQUENCE_MAX);
}

static NvmkvStatus
flush_to_row(Flush *f)
{
	NvmkvDb *db = f->db;
	const NvmRowBuilt *built;
	VersionEdit edit = {0};
	MetaRow row;
	NvmRowRef older;
	bool has_older;
	uint64_t added = 0;
	uint64_t row_id = port_fetch_add(&db->shm->next_row, 1);
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_copy_image(db, &f->image));
	has_older = newest_receiver(f->image, &older);
	st = nvm_row_builder_create(db->pool, row_id, has_older ? &older : NULL, db->options.bloom_bits_per_key,
								db->options.prefix_bytes, &f->builder);
	if (st == NVMKV_OK)
		st = filter_memtable(f, add_to_row, f->builder, &added);
	f->pool_full = st == NVMKV_NO_SPACE;
	if (st == NVMKV_OK)
		st = sync_log(f);
	if (st == NVMKV_OK && added > 0)
	{
		st = nvm_row_builder_finish(f->builder, &built);
		f->pool_full = st == NVMKV_NO_SPACE;
		if (st == NVMKV_IO)
			db_set_sticky(db);
		if (st == NVMKV_OK)
		{
			f->has_row = true;
			describe_row(built, &row);
			edit.row_adds = &row;
			edit.nrow_adds = 1;
			port_count(&db->shm->counters.nvm_bytes, built->nvm_bytes);
		}
	}
	if (st == NVMKV_OK)
		st = install(f, &edit);
	if (st == NVMKV_OK)
		port_store_relaxed(&db->shm->pool_full, 0);
	else if (f->pool_full)
		port_store_relaxed(&db->shm->pool_full, 1);
	return st;
}

/*
 * Without a container.  A new table may overlap what level 1 holds; then it goes to level 0, above it, newest first.
 */
static NvmkvStatus
flush_to_tables(Flush *f)
{
	NvmkvDb *db = f->db;
	VersionEdit edit = {0};
	uint64_t added;
	NvmkvStatus st;

	table_output_init(&f->output, db, 0, false);
	/* One memtable, one table: the limit of tables in level 0 is that of memtables, not of their size. */
	f->output.split_bytes = UINT64_MAX;
	f->output.split_apart_bytes = UINT64_MAX;
	st = filter_memtable(f, add_to_tables, &f->output, &added);
	if (st == NVMKV_OK)
		st = sync_log(f);
	if (st == NVMKV_OK)
		st = table_output_finish(&f->output);
	if (st == NVMKV_OK)
	{
		edit.file_adds = f->output.files;
		edit.nfile_adds = f->output.nfiles;
		st = install(f, &edit);
	}
	if (st == NVMKV_OK)
		port_store_relaxed(&db->shm->pool_full, 0); /* of a container that is given up */
	return st;
}

/*
 * Lets go of everything.  What was installed stays, and so does what may have been: after a failed sync the manifest
 * may name the row or table or not, so nobody may write to its extents, or remove it, before the next open.
 */
static void
flush_free(Flush *f, bool installed)
{
	NvmkvDb *db = f->db;
	bool keep = installed || db_is_sticky(db);

	if (f->builder != NULL)
	{
		if (keep && f->has_row)
			nvm_row_builder_keep(f->builder);
		nvm_row_builder_destroy(f->builder);
	}
	if (f->to_tables)
		table_output_free(&f->output, keep);
	gc_free(&f->gc);
	port_free(f->image);
	port_free(f->own_memory);
	port_free(f);
	db->flush = NULL;
}

void
flush_abandon(NvmkvDb *db)
{
	if (db->flush != NULL)
		flush_free(db->flush, false);
}

bool
flush_has_rows(NvmkvDb *db)
{
	bool has;

	db_enter(db);
	has = versions_current(&db->versions)->nrows > 0;
	db_leave(db);
	return has;
}

/*
 * A row is hardly larger than its memtable: without so much room the work would only be thrown away.  A container that
 * is given up has no room as long as there are rows in it; then there are tables.
 */
static bool
pool_has_room(NvmkvDb *db, const MemtableShm *memtable)
{
	uint64_t extents = memtable_bytes_used(memtable) / NVM_EXTENT_BYTES + 1;

	if (db_container_bytes(db) == 0)
		return db->pool == NULL || !flush_has_rows(db);
	return nvm_pool_free_count(db->pool) >= extents;
}

/* The flush itself.  REQUIRES the claim.  own_memory: taken over. */
static NvmkvStatus
flush_memtable(NvmkvDb *db, unsigned buffer, MemtableShm *memtable, void *own_memory)
{
	Flush *f = port_alloc_zero(sizeof(Flush));
	NvmkvStatus st;

	if (f == NULL)
	{
		port_free(own_memory);
		return db_note_failure(db, NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a flush"));
	}
	f->db = db;
	f->buffer = buffer;
	f->memtable = memtable;
	f->own_memory = own_memory;
	f->output.db = db;
	db->flush = f;
	f->job = job_begin(db, DB_JOB_FLUSH);
	job_totals(f->job, memtable_entries(memtable), memtable_bytes_used(memtable), 0, 0);
	job_takes(f->job, memtable_bytes_used(memtable));
	job_phase(f->job, DB_PHASE_MERGING);
	gc_init(&f->gc, db->has_txn ? &db->txn : NULL, false, db_storage_dropped, db);
	f->to_tables = own_memory != NULL || db_container_bytes(db) == 0;
	st = f->to_tables ? flush_to_tables(f) : flush_to_row(f);
	if (st == NVMKV_OK)
	{
		if (own_memory == NULL)
			(void) mempool_flushed(&db->mem, port_process_slot(), buffer);
		port_count(&db->shm->counters.flushes, 1);
		gc_count(db, &f->gc);
		port_store_relaxed(&db->shm->no_space, 0);
	}
	else if (!f->pool_full) /* a full pool is how compaction knows that it must hurry */
		(void) db_note_failure(db, st);
	job_end(f->job, st == NVMKV_OK, f->output.nfiles);
	flush_free(f, st == NVMKV_OK);
	return st;
}

/* ---- an entry that no memtable has room for ---- */

#define MEMTABLE_ALIGN 64

/* A memtable in this process's memory, with this entry.  *memory_out is to be freed. */
static NvmkvStatus
make_memtable(NvmkvSlice key, uint64_t tag, NvmkvSlice payload, void **memory_out, MemtableShm **memtable_out)
{
	size_t entry = memtable_entry_bytes_max(key.size, payload.size);
	uint64_t bytes = 2 * (uint64_t) entry;
	MemtableRoom room;
	uintptr_t at;

	while (memtable_capacity(bytes) < entry)
		bytes *= 2;
	*memory_out = port_alloc(bytes + MEMTABLE_ALIGN);
	if (*memory_out == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for an entry of %zu bytes, which is larger than a write buffer", entry);
	at = ((uintptr_t) *memory_out + MEMTABLE_ALIGN - 1) / MEMTABLE_ALIGN * MEMTABLE_ALIGN;
	*memtable_out = (MemtableShm *) at;
	memtable_init(*memtable_out, bytes);
	if (!memtable_reserve(*memtable_out, entry, &room))
	{
		port_free(*memory_out);
		return NVMKV_FAIL(NVMKV_LIMIT, "an entry of %zu bytes is too large", entry);
	}
	memtable_insert(*memtable_out, &room, &(MemtableEntry){key, tag, payload}, 1);
	memtable_finish(*memtable_out, &room);
	return NVMKV_OK;
}

NvmkvStatus
flush_entry(NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	void *memory;
	MemtableShm *memtable;

	NVMKV_RETURN_IF(make_memtable(key, tag, payload, &memory, &memtable));
	return flush_memtable(db, 0, memtable, memory);
}

/* ---- the oldest memtable ---- */

NvmkvStatus
flush_oldest(NvmkvDb *db, bool *did_out, bool *starved_out)
{
	unsigned buffer;
	MemtableShm *memtable;
	NvmkvStatus st;

	*did_out = false;
	*starved_out = false;
	st = mempool_oldest_immutable(&db->mem, &buffer, &memtable);
	if (st != NVMKV_OK)
		return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
	if (!pool_has_room(db, memtable))
	{
		*starved_out = port_load_relaxed(&db->shm->pool_full) == 0;
		port_store_relaxed(&db->shm->pool_full, 1);
		return NVMKV_BUSY;
	}
	st = flush_memtable(db, buffer, memtable, NULL);
	*did_out = st == NVMKV_OK;
	return st;
}
