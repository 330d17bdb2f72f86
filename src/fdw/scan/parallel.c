/*-------------------------------------------------------------------------
 *
 * parallel.c
 *	  Scans by several processes.
 *
 * The work is cut into parts, and each process takes the next one when it is
 * done with its last: a counter in dynamic shared memory is all they share.
 * A scan of one range is cut by keys the leader finds in advance; a
 * scan of several ranges takes each as a part.  Every process evaluates the
 * ranges for itself, from the same parameters.
 *
 * Parts are given out in the direction of the scan, so what one process
 * returns is in order, too, and Gather Merge can rely on it.
 *
 * Layout: the struct, then the ends of the cuts' bytes (uint32 each), then the bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "fdw/scan/keysplit.h"
#include "fdw/scan/parallel.h"

/* Enough that nobody waits long for the one who got the biggest; the more the smaller. */
#define PARTS_PER_PROCESS 8
#define PARTS_MAX 128

typedef struct NvmkvParallelScan
{
	pg_atomic_uint32 next; /* part */
	slock_t mutex;		   /* protects total */
	NvmkvScanReport total; /* of all processes, for EXPLAIN */
	bool one_range;		   /* parts are cut out of one range */
	uint32 ncuts;
	uint32 ends[FLEXIBLE_ARRAY_MEMBER];
} NvmkvParallelScan;

static NvmkvSlice
cut_at(const NvmkvParallelScan *shared, uint32 i)
{
	const char *bytes = (const char *) &shared->ends[shared->ncuts];
	uint32 start = i == 0 ? 0 : shared->ends[i - 1];

	return nvmkv_slice(bytes + start, shared->ends[i] - start);
}

/* Finds the parts, for processes of which there will be nworkers besides this one. */
static void
plan_parts(ForeignScanState *node, NvmkvTableScan *state, int nworkers)
{
	NvmkvKeyRange range;
	MemoryContext oldcontext;
	int nparts = Min((nworkers + 1) * PARTS_PER_PROCESS, PARTS_MAX);

	nvmkv_scan_open(node);
	nvmkv_keyscan_evaluate(state->keys, state->keyed, node->ss.ps.ps_ExprContext);
	state->ncuts = 0;
	state->one_range = nvmkv_keyscan_is_one_range(state->keys);
	if (state->one_range && nvmkv_keyscan_next(state->keys, &range) && !range.point)
	{
		oldcontext = MemoryContextSwitchTo(state->context);
		state->cuts = palloc(sizeof(NvmkvSlice) * PARTS_MAX);
		state->ncuts = nvmkv_key_split(state->reader.db, range.lower, range.upper, nparts, state->cuts);
		MemoryContextSwitchTo(oldcontext);
	}
	nvmkv_keyscan_rewind(state->keys);
}

Size
nvmkvEstimateDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt)
{
	NvmkvTableScan *state = node->fdw_state;
	Size size;

	plan_parts(node, state, pcxt->nworkers);
	size = offsetof(NvmkvParallelScan, ends) + sizeof(uint32) * state->ncuts;
	for (int i = 0; i < state->ncuts; i++)
		size += state->cuts[i].size;
	return size;
}

void
nvmkvInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	NvmkvTableScan *state = node->fdw_state;
	NvmkvParallelScan *shared = coordinate;
	char *bytes;
	uint32 end = 0;

	pg_atomic_init_u32(&shared->next, 0);
	SpinLockInit(&shared->mutex);
	memset(&shared->total, 0, sizeof(shared->total));
	shared->one_range = state->one_range;
	shared->ncuts = (uint32) state->ncuts;
	bytes = (char *) &shared->ends[shared->ncuts];
	for (int i = 0; i < state->ncuts; i++)
	{
		memcpy(bytes + end, state->cuts[i].data, state->cuts[i].size);
		end += (uint32) state->cuts[i].size;
		shared->ends[i] = end;
	}
	state->shared = shared;
}

/* Parameters may have changed; cuts that no longer fit the range make unequal parts, not wrong ones. */
void
nvmkvReInitializeDSMForeignScan(ForeignScanState *node, ParallelContext *pcxt, void *coordinate)
{
	NvmkvParallelScan *shared = coordinate;

	pg_atomic_write_u32(&shared->next, 0);
}

void
nvmkvInitializeWorkerForeignScan(ForeignScanState *node, shm_toc *toc, void *coordinate)
{
	NvmkvTableScan *state = node->fdw_state;

	state->shared = coordinate;
}

void
nvmkv_parallel_publish(NvmkvTableScan *state)
{
	NvmkvScanReport now;
	NvmkvScanReport *total = &state->shared->total;
	const NvmkvScanReport *before = &state->published;

	nvmkv_scan_own_report(state, &now);
	SpinLockAcquire(&state->shared->mutex);
	total->ranges += now.ranges - before->ranges;
	total->points += now.points - before->points;
	total->found += now.found - before->found;
	total->skipped += now.skipped - before->skipped;
	total->engine.rows += now.engine.rows - before->engine.rows;
	total->engine.versions_passed += now.engine.versions_passed - before->engine.versions_passed;
	total->engine.leaps += now.engine.leaps - before->engine.leaps;
	total->engine.batches += now.engine.batches - before->engine.batches;
	total->engine.memtable_entries += now.engine.memtable_entries - before->engine.memtable_entries;
	total->engine.level0_entries += now.engine.level0_entries - before->engine.level0_entries;
	total->engine.table_entries += now.engine.table_entries - before->engine.table_entries;
	SpinLockRelease(&state->shared->mutex);
	state->published = now;
}

/* The last moment the shared memory is there.  Workers have published when they came to the end of their parts. */
void
nvmkvShutdownForeignScan(ForeignScanState *node)
{
	NvmkvTableScan *state = node->fdw_state;

	if (state == NULL || state->shared == NULL)
		return;
	nvmkv_parallel_publish(state);
	if (!IsParallelWorker())
	{
		SpinLockAcquire(&state->shared->mutex);
		state->total = state->shared->total;
		SpinLockRelease(&state->shared->mutex);
		state->has_total = true;
	}
	state->shared = NULL;
}

/* Part "part" of the range; false when there is nothing in it. */
static bool
cut_out(const NvmkvParallelScan *shared, uint32 part, NvmkvKeyRange *range)
{
	if (part > 0)
	{
		NvmkvSlice lower = cut_at(shared, part - 1);

		if (slice_compare(lower, range->lower) > 0)
			range->lower = lower;
	}
	if (part < shared->ncuts)
	{
		NvmkvSlice upper = cut_at(shared, part);

		if (range->upper.size == 0 || slice_compare(upper, range->upper) < 0)
			range->upper = upper;
	}
	return range->upper.size == 0 || slice_compare(range->lower, range->upper) < 0;
}

bool
nvmkv_parallel_next(NvmkvTableScan *state, NvmkvKeyRange *range_out)
{
	NvmkvParallelScan *shared = state->shared;

	for (;;)
	{
		uint32 part = pg_atomic_fetch_add_u32(&shared->next, 1);

		if (shared->one_range)
		{
			if (part > shared->ncuts)
				return false;
			nvmkv_keyscan_rewind(state->keys);
			if (!nvmkv_keyscan_next(state->keys, range_out))
				return false;
			if (range_out->point)
				return part == 0;
			if (cut_out(shared, state->backward ? shared->ncuts - part : part, range_out))
				return true;
		}
		else
		{
			do
			{
				if (!nvmkv_keyscan_next(state->keys, range_out))
					return false;
			} while (state->ranges_passed++ < part);
			return true;
		}
	}
}
