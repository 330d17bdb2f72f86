/*
 * db_trees.c
 *	  What is asked of all trees of a database, or done to each in a moment.
 */
#include "engine/db/family.h"
#include "engine/tree/tree.h"

static NvmkvStatus
switch_tree(NvmkvDb *db)
{
	return mempool_switch(&db->mem, port_process_slot());
}

NvmkvStatus
nvmkv_switch_memtable(NvmkvDb *db)
{
	return family_each(db, switch_tree);
}

/* A tree that this process cannot come at has told nothing: so nothing is durable. */
uint64_t
nvmkv_durable_seq(NvmkvDb *db)
{
	uint64_t durable = UINT64_MAX;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t own = mempool_durable_seq(&tree->mem);

		if (own < durable)
			durable = own;
	}
	return st == NVMKV_OK ? durable : 0;
}

/* Nor is anything resolved: 1 is the smallest fxid there can be. */
uint64_t
nvmkv_min_unresolved_fxid(NvmkvDb *db)
{
	uint64_t fxid = 0;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t own;

		db_enter(tree);
		own = version_min_unresolved(versions_current(&tree->versions));
		db_leave(tree);
		if (own != 0 && (fxid == 0 || own < fxid))
			fxid = own;
	}
	return st == NVMKV_OK ? fxid : 1;
}

/* ---- files of this process ---- */

typedef struct Kept
{
	uint64_t *numbers;
	uint32_t count;
} Kept;

static bool
is_kept(void *ctx, uint64_t number)
{
	const Kept *kept = ctx;

	return version_numbers_have(kept->numbers, kept->count, number);
}

/* Closes what the version has not.  Without memory not now. */
static void
tidy_by(NvmkvDb *db, const VersionImage *v)
{
	Kept kept = {version_file_numbers(v), v->nfiles};

	if (kept.numbers == NULL)
		return;
	table_cache_retain(db->tables, is_kept, &kept);
	port_free(kept.numbers);
	db->tidied_version = v->number;
}

static NvmkvStatus
tidy_tree(NvmkvDb *db)
{
	const VersionImage *v;
	TableCacheStats stats;

	table_cache_stats(db->tables, &stats);
	if (stats.open == 0)
		return NVMKV_OK;
	db_enter(db);
	v = versions_current(&db->versions);
	if (v->number != db->tidied_version)
		tidy_by(db, v);
	db_leave(db);
	return NVMKV_OK;
}

void
nvmkv_tidy(NvmkvDb *db)
{
	(void) family_each(db, tidy_tree); /* it does not fail; families out of reach have no open files here */
}
