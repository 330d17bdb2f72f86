/*
 * drop.c
 *	  Tables and rows that hold nothing but entries of a dropped storage go as a
 *	  whole.
 *
 * Compaction drops such entries wherever it comes by (gc.h), but nobody writes
 * to a dropped storage any more, so nothing makes it come by.
 *
 * The entry that says the storage is dropped is its smallest key.  What it is in
 * stays: other entries of the storage may stand in rows, or share their tables
 * with other storages.  It goes when a compaction takes it and nothing else of
 * the storage is left (compaction.c).
 *
 * So do damaged ranges: what a dropped storage has lost nobody misses.  A range
 * may reach over several storages; the part of one that is in the middle goes
 * with the entry above.  Nothing is read of the tables that go but what values
 * they refer to, and damaged ones need not say that (value.h).
 *
 * A step is about one storage, whose whole range it announces (running.h).
 * Rows may be those a flush builds its hints on, hence the FLUSH claim; without
 * it they wait for the next time.
 *
 * Crash outcome: the edit is installed or not; what no version names is free at
 * the next open.
 */
#include "engine/job/drop.h"

#include "engine/job/compaction.h"
#include "engine/job/value.h"
#include "engine/read/dropped.h"
#include "engine/tree/claim.h"
#include "engine/tree/damage.h"
#include "engine/tree/install.h"
#include "engine/tree/retire.h"
#include "engine/tree/running.h"

#define STORAGE_BYTES DAMAGE_STORAGE_BYTES

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

/* Tables, rows, and both ends of damaged ranges: where a storage can be seen to have something to itself. */
static uint32_t
places(const VersionImage *v)
{
	return version_ntables(v) + v->nrows + 2 * v->ndamages;
}

/* The storage of which this place has nothing else; of size 0: there is none. */
static NvmkvSlice
storage_at(const VersionImage *v, uint32_t at)
{
	const VersionFile *files = version_files(v);
	const VersionDamage *damages = version_damages(v);
	NvmkvSlice smallest, largest;

	if (at < version_ntables(v))
	{
		smallest = version_bytes(v, files[at].smallest);
		largest = version_bytes(v, files[at].largest);
	}
	else if ((at -= version_ntables(v)) < v->nrows)
	{
		smallest = version_bytes(v, v->rows[at].smallest);
		largest = version_bytes(v, v->rows[at].largest);
	}
	else
	{
		at -= v->nrows;
		smallest = version_bytes(v, at % 2 == 0 ? damages[at / 2].low : damages[at / 2].upper);
		return smallest.size >= STORAGE_BYTES ? nvmkv_slice(smallest.data, STORAGE_BYTES) : nvmkv_slice(NULL, 0);
	}
	return is_within_storage(smallest, largest) ? nvmkv_slice(smallest.data, STORAGE_BYTES) : nvmkv_slice(NULL, 0);
}

/* The next dropped storage, from place *at on, that has one to itself.  *storage_out: into the image. */
static NvmkvStatus
find_dropped(Compaction *c, uint32_t *at, NvmkvSlice *storage_out)
{
	NvmkvSlice asked = *storage_out;

	*storage_out = nvmkv_slice(NULL, 0);
	for (; *at < places(c->v); (*at)++)
	{
		NvmkvSlice storage = storage_at(c->v, *at);
		bool dropped;

		if (storage.size == 0 || slice_equal(storage, asked))
			continue;
		NVMKV_RETURN_IF(db_storage_dropped(c->db, storage, &dropped));
		asked = storage;
		if (dropped)
		{
			*storage_out = storage;
			return NVMKV_OK;
		}
	}
	return NVMKV_OK;
}

static bool
is_in(const VersionImage *v, VersionBytes smallest, VersionBytes largest, NvmkvSlice storage)
{
	NvmkvSlice low = version_bytes(v, smallest);

	return is_within_storage(low, version_bytes(v, largest)) && memcmp(low.data, storage.data, STORAGE_BYTES) == 0;
}

/* What the current version has of the storage alone.  range: of its keys. */
static NvmkvStatus
collect(Compaction *c, const DamageRange *range, bool with_rows, VersionEdit *edit)
{
	NvmkvSlice storage = range->lower;
	const VersionFile *files = version_files(c->v);
	uint32_t i;

	port_free(c->drops);
	port_free(c->row_drops);
	c->drops = port_alloc((c->v->nfiles + 1) * sizeof(MetaFileDrop));
	c->row_drops = port_alloc((c->v->nrows + 1) * sizeof(uint64_t));
	if (c->drops == NULL || c->row_drops == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	for (i = 0; i < version_ntables(c->v); i++)
		if (is_in(c->v, files[i].smallest, files[i].largest, storage))
		{
			c->drops[edit->nfile_drops].level = files[i].level;
			c->drops[edit->nfile_drops++].number = files[i].number;
		}
	for (i = 0; with_rows && i < c->v->nrows; i++)
		if (is_in(c->v, c->v->rows[i].smallest, c->v->rows[i].largest, storage))
			c->row_drops[edit->nrow_drops++] = c->v->rows[i].row_id;
	edit->file_drops = c->drops;
	edit->row_drops = c->row_drops;
	if (damage_is_in(c->v, range))
		NVMKV_RETURN_IF(compaction_clear_damage(c, range));
	edit->damage_clears = c->clears;
	edit->ndamage_clears = c->nclears;
	return NVMKV_OK;
}

/* The values that the tables refer to.  Nobody else takes those out, now that it is announced. */
static NvmkvStatus
release_values(Compaction *c, VersionEdit *edit)
{
	const VersionFile *files = version_files(c->v);
	uint64_t lost = 0;
	uint32_t drop = 0;
	uint32_t i;

	c->released.count = 0;
	for (i = 0; i < version_ntables(c->v) && drop < edit->nfile_drops; i++)
		if (files[i].number == edit->file_drops[drop].number)
		{
			NVMKV_RETURN_IF(value_refs_or_lost(c->db, &files[i], &c->released, &lost));
			drop++;
		}
	if (lost > 0)
		NVMKV_RETURN_IF(value_refs_lost(c->db, lost, &c->released, &c->holds_lost_refs));
	edit->value_releases = c->released.shares;
	edit->nvalue_releases = c->released.count;
	return NVMKV_OK;
}

/* Announces the storage's range on all levels; c->running NULL: others are at work there. */
static NvmkvStatus
announce(Compaction *c, NvmkvSlice storage, bool with_rows, VersionEdit *edit)
{
	NvmkvDb *db = c->db;
	uint8_t last[NVMKV_KEY_BYTES_MAX];
	uint8_t end[STORAGE_BYTES];
	NvmkvSlice high = nvmkv_slice(last, sizeof(last));
	DamageRange range;
	NvmkvStatus st = NVMKV_OK;

	memset(last, UINT8_MAX, sizeof(last));
	memcpy(last, storage.data, STORAGE_BYTES);
	running_lock(db);
	if (!running_conflicts(db, 0, VERSION_LEVELS - 1, storage, high))
	{
		VersionImage *v;

		st = db_copy_image(db, &v);
		if (st == NVMKV_OK)
		{
			port_free(c->v);
			c->v = v;
			range = damage_storage_range(high, end);
			st = collect(c, &range, with_rows, edit);
		}
		if (st == NVMKV_OK && edit->nfile_drops + edit->nrow_drops + edit->ndamage_clears > 0)
			c->running = running_add(db, 0, VERSION_LEVELS - 1, nvmkv_slice(last, STORAGE_BYTES), high);
	}
	running_unlock(db);
	if (st == NVMKV_OK && c->running != NULL)
		st = release_values(c, edit);
	return st;
}

static void
retire(const Compaction *c, const VersionEdit *edit)
{
	uint32_t i, r;

	for (i = 0; i < edit->nfile_drops; i++)
		retired_add_file(c->db, edit->file_drops[i].number);
	for (i = 0; i < edit->nrow_drops; i++)
		for (r = 0; r < c->v->nrows; r++)
			if (c->v->rows[r].row_id == edit->row_drops[i])
			{
				NvmRowRef row = version_row_ref(c->v, &c->v->rows[r]);
				uint32_t from = row.first_extent_live > 1 ? row.first_extent_live : 1;

				retired_add_extents(c->db, row.extents, 1);
				if (row.extent_count > from)
					retired_add_extents(c->db, row.extents + from, row.extent_count - from);
			}
}

static NvmkvStatus
install(Compaction *c, const VersionEdit *edit)
{
	/* What was learnt of the dropping transaction must not be forgotten by a crash. */
	NVMKV_RETURN_IF(db_flush_log(c->db, NVMKV_SEQUENCE_MAX));
	NVMKV_RETURN_IF(port_fault("drop.before_install"));
	NVMKV_RETURN_IF(db_install(c->db, edit));
	running_end(c->db, c->running, true);
	c->running = NULL;
	retire(c, edit);
	if (edit->ndamage_clears > 0)
		damage_release_files(c->db, c->v);
	return NVMKV_OK;
}

static NvmkvStatus
drop_first(Compaction *c, bool with_rows, bool *did_out)
{
	NvmkvSlice storage = nvmkv_slice(NULL, 0);
	uint32_t at = 0;

	for (;;)
	{
		VersionEdit edit = {0};

		NVMKV_RETURN_IF(find_dropped(c, &at, &storage));
		if (storage.size == 0)
			return NVMKV_OK;
		NVMKV_RETURN_IF(announce(c, storage, with_rows, &edit));
		if (c->running != NULL)
		{
			NVMKV_RETURN_IF(install(c, &edit));
			*did_out = true;
			return NVMKV_OK;
		}
		at++;
		/* The image may be another, and the slice was into the old one: what repeats is asked again. */
		storage = nvmkv_slice(NULL, 0);
	}
}

NvmkvStatus
drop_step(NvmkvDb *db, bool *did_out)
{
	Compaction *c;
	bool with_rows;
	NvmkvStatus st;

	*did_out = false;
	NVMKV_RETURN_IF(compaction_create(db, &c));
	st = db_copy_image(db, &c->v);
	if (st == NVMKV_OK)
	{
		if (db->has_txn && db->txn.begin_job != NULL)
			db->txn.begin_job(db->txn.ctx);
		with_rows = db_claim(db, DB_CLAIM_FLUSH);
		st = drop_first(c, with_rows, did_out);
		if (with_rows)
			db_unclaim(db, DB_CLAIM_FLUSH);
	}
	return compaction_end(c, st);
}
