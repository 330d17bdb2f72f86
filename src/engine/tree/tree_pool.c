/*
 * tree_pool.c
 *	  See tree_pool.h.
 */
#include "engine/tree/tree_pool.h"

#include <inttypes.h>

#include "engine/tree/damage.h"
#include "engine/tree/install.h"

/* Goes on where people have said so; else what is wrong is what the last failure says. */
static NvmkvStatus
accept_or_refuse(const NvmkvDb *db, NvmkvStatus status)
{
	const Agreement *a = db->root->agreement;
	const NvmkvError found = *nvmkv_error();

	if (a != NULL && a->accept)
	{
		port_log(PORT_LOG_WARNING, "accepted, as \"%s.accept\" says: %s", a->dir, found.text);
		return NVMKV_OK;
	}
	if (a == NULL)
		return NVMKV_FAIL(status, "%s; put back the files that belong together", found.text);
	return NVMKV_FAIL(status, "%s; put back the files that belong together, or create \"%s.accept\" to go on with these",
					  found.text, a->dir);
}

/*
 * Something is wrong with the row's header, as the last failure says.  The pool is the right one; but if something else
 * is in the row's place, the manifest does not know of what came after the row.
 */
static NvmkvStatus
refuse_if_replaced(NvmkvDb *db, const VersionImage *v, const NvmRowRef *row, bool *replaced_out)
{
	const NvmkvError found = *nvmkv_error();

	*replaced_out = nvm_row_is_replaced(db->pool, row);
	if (!*replaced_out)
		return NVMKV_OK;
	(void) NVMKV_FAIL(NVMKV_CORRUPTION, "%s: something else is in its place, the manifest has lost its end behind log position %" PRIX32 "/%" PRIX32
					  ", or the pool was written to by another program", found.text, (uint32_t) (v->durable_seq >> 32), (uint32_t) v->durable_seq);
	return accept_or_refuse(db, NVMKV_CORRUPTION);
}

/* Rows that are not there, and that somebody has given up. */
typedef struct GivenUp
{
	DamageList damages;
	uint64_t *rows;
	uint32_t nrows;
} GivenUp;

/* The keys in them are damaged from now on, and what is in their place is not looked at again. */
static NvmkvStatus
drop_given_up(NvmkvDb *db, const GivenUp *given_up)
{
	VersionEdit edit = {0};

	if (given_up->nrows == 0)
		return NVMKV_OK;
	edit.row_drops = given_up->rows;
	edit.nrow_drops = given_up->nrows;
	edit.damages = given_up->damages.damages;
	edit.ndamages = given_up->damages.count;
	NVMKV_RETURN_IF(versions_install(&db->versions, &edit));
	damage_list_installed(&given_up->damages);
	return NVMKV_OK;
}

/*
 * The extents of the row are taken.  One with a damaged head costs the keys in it until compaction has gone round the
 * damage.
 */
static NvmkvStatus
recover_row(NvmkvDb *db, const VersionImage *v, const VersionRow *row, GivenUp *given_up)
{
	NvmRowRef ref = version_row_ref(v, row);
	bool replaced;
	uint32_t e;
	NvmkvStatus st;

	for (e = 0; e < ref.extent_count; e++)
		if (e == 0 || e >= ref.first_extent_live)
			NVMKV_RETURN_IF(nvm_pool_mark(db->pool, ref.extents[e]));
	st = nvm_row_check_header(db->pool, &ref);
	if (st != NVMKV_CORRUPTION)
		return st;
	NVMKV_RETURN_IF(refuse_if_replaced(db, v, &ref, &replaced));
	if (replaced)
	{
		for (e = 0; e < ref.extent_count; e++)
			if (e == 0 || e >= ref.first_extent_live)
				nvm_pool_give(db->pool, &ref.extents[e], 1);
		given_up->rows[given_up->nrows++] = ref.row_id;
		return given_up->damages.sink.lost(&given_up->damages.sink, true, ref.row_id, NVMKV_DAMAGE_ALL,
										   version_bytes(v, row->smallest), nvmkv_slice(NULL, 0));
	}
	port_log(PORT_LOG_WARNING, "row %" PRIu64 " of \"%s\" is damaged: keys in it cannot be read before it is compacted",
			 ref.row_id, db->nvm_path);
	port_store_relaxed(&db->shm->drain_wanted, 1);
	return NVMKV_OK;
}

static NvmkvStatus
recover_rows(NvmkvDb *db)
{
	GivenUp given_up = {0};
	VersionImage *v;
	uint32_t i;
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_copy_image_in_epoch(db, &v)); /* nobody else is there yet */
	damage_list_init(&given_up.damages, db, v);
	given_up.rows = port_alloc((v->nrows + 1) * sizeof(uint64_t));
	st = given_up.rows != NULL ? NVMKV_OK : NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a list of rows");
	for (i = 0; st == NVMKV_OK && i < v->nrows; i++)
		st = recover_row(db, v, &v->rows[i], &given_up);
	if (st == NVMKV_OK)
		st = drop_given_up(db, &given_up);
	damage_list_free(&given_up.damages);
	port_free(given_up.rows);
	port_free(v);
	return st;
}

/* Is the pool a part of the copy that is being restored? */
static bool
is_copied(const NvmkvDb *db)
{
	size_t n = strlen(db->dir);

	return db->options.restore_from != 0 && strncmp(db->nvm_path, db->dir, n) == 0 && db->nvm_path[n] == '/';
}

/*
 * Is the pool that is there the right one?  Without rows in it any will do that nobody else can have: one inside the
 * directory, or one that stands where a copy is restored to, unless it is that of the server the copy is of.
 */
static NvmkvStatus
judge_pool(void *ctx, const NvmPoolHeader *header, const NvmPoolStamp *stamp)
{
	const NvmkvDb *db = ctx;
	PoolKnown known;

	pool_known_of_version(versions_current(&db->versions), &known);
	if (!known.has_rows && db->options.restore_from != 0 && !is_copied(db) && header->pool_id == known.owner.pool_id)
		return NVMKV_FAIL(NVMKV_INVALID, "the pool \"%s\" is that of the server that this is a copy of; name another one, or remove it if that server is gone",
						  db->nvm_path);
	if (!known.has_rows && (db->options.restore_from != 0 || nvm_pool_is_inside(db->nvm_path, db->dir)))
		return NVMKV_OK;
	if (pool_agrees(&known, db->nvm_path, header, stamp) == NVMKV_OK)
		return NVMKV_OK;
	if (!known.has_rows)
	{
		const NvmkvError found = *nvmkv_error();

		(void) NVMKV_FAIL(NVMKV_INVALID, "%s; nothing of this database is in it: name another file (%s), or remove this one if no server needs it",
						  found.text, option_name("nvm_path"));
		return accept_or_refuse(db, NVMKV_INVALID);
	}
	return accept_or_refuse(db, NVMKV_CORRUPTION);
}

/* Begins another generation of the pool, in the manifest and in the pool: see meta/pool_agreement.h. */
static NvmkvStatus
own_pool(NvmkvDb *db)
{
	VersionEdit edit = {0};
	PoolKnown known;
	uint64_t next;

	pool_known_of_version(versions_current(&db->versions), &known);
	NVMKV_RETURN_IF(anchor_random(&next));
	edit.has_pool = edit.has_generation = true;
	edit.pool_id = db->pool->pool_id;
	edit.generation = nvm_pool_stamp(db->pool)->generation;
	edit.successor = next;
	edit.stamp_number = nvm_pool_stamp(db->pool)->number + 1;
	NVMKV_RETURN_IF(versions_install(&db->versions, &edit));
	NVMKV_RETURN_IF(nvm_pool_begin_generation(db->pool, next, known.position, known.last_row));
	edit.generation = next;
	edit.successor = 0;
	return versions_install(&db->versions, &edit);
}

/*
 * None is wanted, and no row is in one: its file goes, and the manifest speaks of it no more. A copy of this tree would
 * else refuse to take the pool that it once had itself, and this one has from a copy of it. Crash in between: the next
 * opening finds no file, and forgets it.
 */
static NvmkvStatus
give_up_pool(NvmkvDb *db)
{
	VersionEdit edit = {.has_pool = true, .has_generation = true};
	PoolKnown known;

	pool_known_of_version(versions_current(&db->versions), &known);
	if (nvm_pool_remove(db->nvm_path, db->dir, &known.owner) != NVMKV_OK)
	{
		port_log(PORT_LOG_WARNING, "could not remove the container that is not wanted any more: %s",
				 nvmkv_error()->text);
		return NVMKV_OK;
	}
	return known.owner.pool_id != 0 ? versions_install(&db->versions, &edit) : NVMKV_OK;
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
	NvmPoolOpening opening = {0};
	bool created;
	NvmkvStatus st;

	if (db->options.nvm_bytes == 0 && v->nrows == 0)
		return give_up_pool(db);
	opening.path = db->nvm_path;
	opening.bytes = db->options.nvm_bytes;
	opening.system_identifier = db->options.system_identifier;
	opening.expected_pool_id = v->nrows > 0 ? v->pool_id : 0;
	opening.extents_used = extents_used(v);
	opening.judge = judge_pool;
	opening.ctx = db;
	st = nvm_pool_open(&opening, pool_shm, &db->pool, &created);
	if (st == NVMKV_CORRUPTION && is_copied(db))
	{
		/* It came with the copy, which may have caught it in the making. */
		NVMKV_RETURN_IF(port_files->unlink(db->nvm_path));
		st = nvm_pool_open(&opening, pool_shm, &db->pool, &created);
	}
	NVMKV_RETURN_IF(st);
	db->shm->has_pool = 1;
	db->shm->nvm_is_pmem = db->pool->dev->is_pmem ? 1 : 0;
	fit_memtables(db);
	NVMKV_RETURN_IF(own_pool(db));
	return recover_rows(db);
}
