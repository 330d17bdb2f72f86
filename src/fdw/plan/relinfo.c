/*-------------------------------------------------------------------------
 *
 * relinfo.c
 *	  What the planner is told about a foreign table before it makes paths.
 *
 * The primary key is shown to the planner as a hypothetical unique btree
 * index.  This must happen in get_relation_info, before join removal and before
 * equivalence classes are matched to indexes; from then on core finds by itself which conditions and
 * orders the key serves, and plan.c turns its index paths into foreign paths.
 *
 * A key with a column that knows only equality (a collation whose order is not
 * that of the bytes) is shown without sort order; comparisons of such a column
 * match the index in core's eyes and are refused again by quals.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/table.h"
#include "catalog/pg_am_d.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/plan/cost.h"
#include "fdw/plan/quals.h"
#include "fdw/plan/relinfo.h"
#include "fdw/storage/storage.h"

static get_relation_info_hook_type previous_relation_info_hook;

/* ---------------------------------------------------------------- size */

/*
 * An estimate asks every sorted source, so a burst of short queries shares one.  It is kept for a microsecond per
 * entry: a table must have grown little before it is asked again, and a small one is always asked.
 */
#define ESTIMATE_AGE_MAX_US 1000000.0
#define ESTIMATES_MAX 1024

typedef struct CachedEstimate
{
	uint64 storage_id; /* hash key */
	NvmkvEstimate estimate;
	TimestampTz taken;
} CachedEstimate;

static HTAB *estimates;

static void
create_estimates(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(CachedEstimate);
	ctl.hcxt = TopMemoryContext;
	estimates = hash_create("nvmkv table estimates", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
nvmkv_table_estimate(const NvmkvTable *table, NvmkvEstimate *estimate_out)
{
	NvmkvDb *db = nvmkv_engine_of_or_null(table->storage_id);
	TimestampTz now;
	CachedEstimate *cached;
	bool found;
	StringInfoData lower;
	StringInfoData upper;

	memset(estimate_out, 0, sizeof(*estimate_out));
	if (db == NULL || table->storage_id == 0)
		return;

	if (estimates != NULL && hash_get_num_entries(estimates) >= ESTIMATES_MAX)
	{
		hash_destroy(estimates);
		estimates = NULL;
	}
	if (estimates == NULL)
		create_estimates();

	now = GetCurrentTimestamp();
	cached = hash_search(estimates, &table->storage_id, HASH_FIND, NULL);
	if (cached != NULL && now >= cached->taken &&
		(double) (now - cached->taken) < Min(cached->estimate.entries, ESTIMATE_AGE_MAX_US))
	{
		*estimate_out = cached->estimate;
		return;
	}

	nvmkv_key_table_range(table, &lower, &upper);
	nvmkv_check_status(nvmkv_estimate(db, nvmkv_slice(lower.data, (size_t) lower.len),
									  nvmkv_slice(upper.data, (size_t) upper.len), estimate_out),
					   "estimating the size of a table of", "nvmkv");
	pfree(lower.data);
	pfree(upper.data);

	cached = hash_search(estimates, &table->storage_id, HASH_ENTER, &found);
	cached->estimate = *estimate_out;
	cached->taken = now;
}

/*
 * Sets rel->pages and rel->tuples.  As for a heap table, one that was never analyzed is taken for ten pages at
 * least: plans made while it is nearly empty must still be good when it has grown.
 */
#define NEVER_ANALYZED_PAGES 10

static void
set_size(RelOptInfo *rel, Relation relation, NvmkvRelInfo *info)
{
	NvmkvEstimate estimate;
	double entry_bytes;

	nvmkv_table_estimate(info->table, &estimate);
	info->bytes = estimate.bytes;
	info->sources = Max(estimate.sources, 1);

	if (estimate.entries >= 1)
		entry_bytes = Max(estimate.bytes / estimate.entries, 1);
	else
		entry_bytes = NVMKV_STORAGE_ID_BYTES +
			get_relation_data_width(RelationGetRelid(relation), rel->attr_widths - rel->min_attr);
	rel->pages = (BlockNumber) Min(ceil(estimate.bytes / BLCKSZ), (double) MaxBlockNumber);
	rel->tuples = rint(estimate.entries);
	rel->allvisfrac = 0;
	if (relation->rd_rel->reltuples < 0 && rel->pages < NEVER_ANALYZED_PAGES)
	{
		rel->pages = NEVER_ANALYZED_PAGES;
		rel->tuples = Max(rel->tuples, rint(NEVER_ANALYZED_PAGES * BLCKSZ / entry_bytes));
	}
	rel->pages = Max(rel->pages, 1);
}

/* ---------------------------------------------------------------- key */

/* The key, or the hidden row id, as an index; NULL when a column has no operators the planner could match. */
static IndexOptInfo *
make_key_index(RelOptInfo *rel, Oid relid, const NvmkvTable *table)
{
	IndexOptInfo *index = makeNode(IndexOptInfo);
	int ncols;
	const NvmkvKeyColumn *cols = nvmkv_key_columns(table, &ncols);
	bool ordered = true;

	index->indexoid = relid; /* none of its own; nothing looks a hypothetical index up */
	index->reltablespace = rel->reltablespace;
	index->rel = rel;
	index->pages = 1; /* the table's pages are the index's: counted once, as pages of the table */
	index->tuples = rel->tuples;
	index->tree_height = 0;

	index->ncolumns = index->nkeycolumns = ncols;
	index->indexkeys = palloc(sizeof(int) * ncols);
	index->indexcollations = palloc(sizeof(Oid) * ncols);
	index->opfamily = palloc(sizeof(Oid) * ncols);
	index->opcintype = palloc(sizeof(Oid) * ncols);
	index->reverse_sort = palloc(sizeof(bool) * ncols);
	index->nulls_first = palloc(sizeof(bool) * ncols);
	index->opclassoptions = palloc0(sizeof(bytea *) * ncols);
	index->canreturn = palloc0(sizeof(bool) * ncols); /* an index-only scan would be the same scan */

	for (int i = 0; i < ncols; i++)
	{
		const NvmkvKeyColumn *col = &cols[i];
		Var *var = makeVar(rel->relid, col->attnum, col->type, col->typmod, col->collation, 0);

		index->indexkeys[i] = col->attnum;
		index->indexcollations[i] = col->collation;
		index->opfamily[i] = nvmkv_key_operator_family(col);
		index->opcintype[i] = col->opcintype;
		if (!OidIsValid(index->opfamily[i]))
			return NULL;

		/* There are no NULLs; these are the places ORDER BY and ORDER BY ... DESC ask for by default. */
		index->reverse_sort[i] = col->descending;
		index->nulls_first[i] = col->descending;
		ordered = ordered && col->ordered;

		index->indextlist = lappend(index->indextlist, makeTargetEntry((Expr *) var, i + 1, NULL, false));
	}
	index->sortopfamily = ordered ? index->opfamily : NULL;

	index->relam = BTREE_AM_OID;
	/* A row id is unique, but no column that grouping could be told by. */
	index->unique = table->nkeys > 0;
	index->immediate = true;
	index->hypothetical = true;
	index->amoptionalkey = true;
	index->amsearcharray = true;
	index->amhasgettuple = true;
	index->amcanparallel = true;
	index->amcostestimate = nvmkv_cost_key_path;
	return index;
}

NvmkvRelInfo *
nvmkv_relinfo(RelOptInfo *rel, Oid relid)
{
	NvmkvRelInfo *info = rel->fdw_private;
	Relation relation;

	if (info != NULL)
		return info;

	info = palloc0(sizeof(NvmkvRelInfo));
	relation = table_open(relid, NoLock);

	/* EXPLAIN works without the engine; with it, the table's storage is looked up for its size. */
	info->table = nvmkv_engine_or_null() != NULL ? nvmkv_table(relation) : nvmkv_table_definition(relation);
	set_size(rel, relation, info);
	table_close(relation, NoLock);
	rel->fdw_private = info;
	return info;
}

void
nvmkv_relinfo_allow_or(RelOptInfo *rel)
{
	ListCell *lc;

	foreach(lc, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, lc);

		if (index->amcostestimate == nvmkv_cost_key_path)
			index->amhasgetbitmap = true;
	}
}

static void
relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	IndexOptInfo *index;

	if (previous_relation_info_hook)
		previous_relation_info_hook(root, relid, inhparent, rel);

	/* For an inheritance parent this is the whole tree; the parent's own rows come again as a child. */
	if (inhparent || rel->fdwroutine == NULL || !nvmkv_is_our_relid(relid))
		return;

	index = make_key_index(rel, relid, nvmkv_relinfo(rel, relid)->table);
	if (index != NULL)
		rel->indexlist = lappend(rel->indexlist, index);
}

void
nvmkv_relinfo_init(void)
{
	previous_relation_info_hook = get_relation_info_hook;
	get_relation_info_hook = relation_info;
}
