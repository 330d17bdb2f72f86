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

/* The least that "of" says of a tree. */
static NvmkvStatus
least_of_trees(NvmkvDb *db, uint64_t (*of)(NvmkvDb *tree), uint64_t *least_out)
{
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	*least_out = UINT64_MAX;
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t own = of(tree);

		if (own < *least_out)
			*least_out = own;
	}
	return st;
}

static uint64_t
durable_of(NvmkvDb *tree)
{
	return mempool_durable_seq(&tree->mem);
}

/* A tree that this process cannot come at has told nothing: so nothing is durable. */
uint64_t
nvmkv_durable_seq(NvmkvDb *db)
{
	uint64_t durable;

	return least_of_trees(db, durable_of, &durable) == NVMKV_OK ? durable : 0;
}

static uint64_t
stored_of(NvmkvDb *tree)
{
	uint64_t stored;

	db_enter(tree);
	stored = versions_current(&tree->versions)->durable_seq;
	db_leave(tree);
	return stored;
}

uint64_t
nvmkv_stored_seq(NvmkvDb *db)
{
	uint64_t stored;

	return least_of_trees(db, stored_of, &stored) == NVMKV_OK ? stored : 0;
}

static uint64_t
unresolved_of(NvmkvDb *tree)
{
	uint64_t fxid;

	db_enter(tree);
	fxid = version_min_unresolved(versions_current(&tree->versions));
	db_leave(tree);
	return fxid != 0 ? fxid : UINT64_MAX;
}

uint64_t
nvmkv_replay_seq(NvmkvDb *db)
{
	uint64_t needed = family_broken_durable(db);
	uint64_t durable = nvmkv_durable_seq(db);

	return needed < durable ? needed : durable;
}

/* Nor is anything resolved: 1 is the smallest fxid there can be. */
uint64_t
nvmkv_min_unresolved_fxid(NvmkvDb *db)
{
	uint64_t fxid;

	if (least_of_trees(db, unresolved_of, &fxid) != NVMKV_OK)
		return 1;
	return fxid != UINT64_MAX ? fxid : 0;
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
