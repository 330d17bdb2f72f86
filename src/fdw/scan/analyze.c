/*-------------------------------------------------------------------------
 *
 * analyze.c
 *	  ANALYZE of foreign tables.
 *
 * A table of ordinary size is read as a whole and sampled with Vitter's
 * algorithm, so every row has the same chance.  Of a big one only stretches are read, at the
 * beginning of parts that hold about as many entries each; the number of live
 * rows is then the engine's number of entries times the share of entries that
 * were live in the stretches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "commands/vacuum.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"
#include "utils/snapmgr.h"

#include "fdw/compat/compat.h"
#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/plan/estimate.h"
#include "fdw/scan/analyze.h"
#include "fdw/scan/keysplit.h"
#include "fdw/storage/storage.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/visibility.h"

#define BATCH_ROWS 1024
#define BATCH_BYTES (1024 * 1024)

/* More entries than this are sampled by stretches: some seconds of reading. */
#define READ_WHOLE_ENTRIES_MAX 5000000.0
#define STRETCHES 256
#define STRETCH_ROWS_MIN 1024

typedef struct Sample
{
	Relation rel;
	const NvmkvTable *table;
	HeapTuple *rows;
	int nrows;
	int target;
	double seen;		 /* live rows read */
	double to_skip;		 /* of these, before the next one enters the sample; < 0: to be drawn */
	ReservoirStateData reservoir;
	Datum *values;
	bool *nulls;
	MemoryContext row_context; /* reset for each row */
} Sample;

static HeapTuple
make_tuple(Sample *sample, const NvmkvScanRow *row)
{
	TupleDesc tupdesc = RelationGetDescr(sample->rel);
	MemoryContext oldcontext = MemoryContextSwitchTo(sample->row_context);
	HeapTuple tuple;

	memset(sample->nulls, true, sizeof(bool) * (size_t) tupdesc->natts);
	nvmkv_key_decode(sample->table, row->key, sample->values, sample->nulls);
	nvmkv_row_decode(sample->table, row->value, sample->values, sample->nulls, tupdesc->natts);
	MemoryContextSwitchTo(oldcontext);

	tuple = heap_form_tuple(tupdesc, sample->values, sample->nulls);
	nvmkv_rowid_to_tid((uint64) sample->seen, &tuple->t_self);
	MemoryContextReset(sample->row_context);
	return tuple;
}

/* Takes a row into the sample, or not. */
static void
sample_row(Sample *sample, const NvmkvScanRow *row)
{
	if (sample->nrows < sample->target)
		sample->rows[sample->nrows++] = make_tuple(sample, row);
	else
	{
		if (sample->to_skip < 0)
			sample->to_skip = reservoir_get_next_S(&sample->reservoir, sample->seen, sample->target);
		if (sample->to_skip <= 0)
		{
			int victim = (int) (sample->target * sampler_random_fract(&sample->reservoir.randstate));

			heap_freetuple(sample->rows[victim]);
			sample->rows[victim] = make_tuple(sample, row);
		}
		sample->to_skip -= 1;
	}
	sample->seen += 1;
}

/*
 * What vacuum_delay_point() goes by: rows as the blocks of a heap that they would fill.  Where they come from is not
 * told, so they cost what blocks cost that have to be read.
 */
static void
charge(uint64 *bytes)
{
	if (VacuumCostActive)
		VacuumCostBalance += VacuumCostPageMiss * (int) (*bytes / BLCKSZ);
	*bytes %= BLCKSZ;
}

/* Reads up to max_rows rows of a range; 0 for all. */
static void
read_range(Sample *sample, NvmkvScan *scan, NvmkvSlice lower, NvmkvSlice upper, double max_rows,
		   const NvmkvSnapshot *snapshot)
{
	double left = max_rows;
	uint64 bytes = 0;

	nvmkv_check_table_status(nvmkv_scan_start(scan, lower, upper, false, snapshot), "reading foreign table", sample->table);
	for (;;)
	{
		const NvmkvScanRow *rows;
		unsigned count;

		vacuum_delay_point(true);
		nvmkv_check_table_status(nvmkv_scan_batch(scan, BATCH_ROWS, BATCH_BYTES, &rows, &count), "reading foreign table",
								 sample->table);
		if (count == 0)
			return;
		for (unsigned i = 0; i < count; i++)
		{
			sample_row(sample, &rows[i]);
			bytes += rows[i].key.size + rows[i].value.size;
		}
		charge(&bytes);
		left -= count;
		if (max_rows > 0 && left <= 0)
			return;
	}
}

/* In the order they were read, which is the storage's, so that the correlation ANALYZE computes is true. */
static int
compare_positions(const void *a, const void *b)
{
	return ItemPointerCompare(&(*(const HeapTuple *) a)->t_self, &(*(const HeapTuple *) b)->t_self);
}

static int
acquire_sample(Relation rel, int elevel, HeapTuple *rows, int target, double *live_out, double *dead_out)
{
	NvmkvTable *table = nvmkv_table(rel);
	NvmkvDb *db = nvmkv_engine_of(table->storage_id);
	TupleDesc tupdesc = RelationGetDescr(rel);
	NvmkvVisibility visibility;
	NvmkvEstimate estimate;
	Sample sample;
	StringInfoData lower;
	StringInfoData upper;
	NvmkvScan *volatile scan = NULL;

	memset(&sample, 0, sizeof(sample));
	sample.rel = rel;
	sample.table = table;
	sample.rows = rows;
	sample.target = target;
	sample.to_skip = -1;
	sample.values = palloc0(sizeof(Datum) * (size_t) tupdesc->natts);
	sample.nulls = palloc0(sizeof(bool) * (size_t) tupdesc->natts);
	sample.row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv sample row", ALLOCSET_DEFAULT_SIZES);
	reservoir_init_selection_state(&sample.reservoir, target);

	nvmkv_key_table_range(table, &lower, &upper);
	nvmkv_visibility_init(&visibility, GetActiveSnapshot(), NULL);
	nvmkv_table_estimate(table, &estimate);

	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;
		NvmkvSlice cuts[STRETCHES];
		NvmkvSlice end = nvmkv_slice(upper.data, (size_t) upper.len);
		double stretch_rows = 0;
		int ncuts = 0;

		nvmkv_check_status(nvmkv_scan_create(db, &new_scan), "reading foreign table", RelationGetRelationName(rel));
		scan = new_scan;
		if (estimate.entries > READ_WHOLE_ENTRIES_MAX)
		{
			ncuts = nvmkv_key_split(db, nvmkv_slice(lower.data, (size_t) lower.len), end, STRETCHES, cuts);
			stretch_rows = Max(STRETCH_ROWS_MIN, ceil(10.0 * target / (ncuts + 1)));
			if (ncuts == 0)
				stretch_rows = 0;
		}
		for (int i = 0; i <= ncuts; i++)
			read_range(&sample, scan, i == 0 ? nvmkv_slice(lower.data, (size_t) lower.len) : cuts[i - 1],
					   i == ncuts ? end : cuts[i], stretch_rows, &visibility.engine);

		*live_out = sample.seen;
		*dead_out = (double) nvmkv_scan_stats(scan)->versions_passed;
		if (stretch_rows > 0 && *live_out + *dead_out > 0)
		{
			double share = *live_out / (*live_out + *dead_out);

			*live_out = rint(estimate.entries * share);
			*dead_out = rint(estimate.entries * (1 - share));
		}
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
	qsort(rows, (size_t) sample.nrows, sizeof(HeapTuple), compare_positions);

	ereport(elevel,
			(errmsg("\"%s\": read %.0f rows; %d rows in sample, %.0f estimated total rows, %.0f other entries",
					RelationGetRelationName(rel), sample.seen, sample.nrows, *live_out, *dead_out)));
	return sample.nrows;
}

/*
 * ANALYZE writes the number of rows into the pg_class entry of each index, in place: what is done to an entry in
 * place needs this lock on the relation, which for the server's own indexes that on the table stands for.
 */
static void
lock_indexes(Relation rel)
{
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach(lc, indexes)
		LockRelationOid(lfirst_oid(lc), ShareUpdateExclusiveLock);
	list_free(indexes);
}

bool
nvmkvAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *totalpages)
{
	NvmkvEstimate estimate;

	(void) nvmkv_engine();
	nvmkv_table_estimate(nvmkv_table(relation), &estimate);
	*func = acquire_sample;
	lock_indexes(relation);

	/* Never 0: the planner takes that for a table that was not analyzed. */
	*totalpages = (BlockNumber) Max(Min(ceil(estimate.bytes / BLCKSZ), (double) MaxBlockNumber), 1);
	return true;
}
