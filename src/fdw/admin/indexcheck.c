/*
 * indexcheck.c
 *	  Does an index have the entries of its table's rows, and no other ones?
 *
 * Both come in order, so one pass over the two tells what only one of them has.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "fdw/admin/indexcheck.h"
#include "fdw/host/family.h"
#include "fdw/host/ownercontext.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/keytext.h"
#include "fdw/txn/entrysort.h"
#include "fdw/txn/visibility.h"
#include "fdw/txn/write.h"

#define SCAN_ROWS 1024
#define SCAN_BYTES (256 * 1024)
#define SHOWN_PROBLEMS 10

typedef struct IndexCheck
{
	const NvmkvIndex *index;
	NvmkvReportProblem report;
	void *ctx;
	uint64 problems;

	/* The entries that are there. */
	NvmkvScan *scan;
	const NvmkvScanRow *rows;
	unsigned count;
	unsigned next;
} IndexCheck;

/* The next entry that is there; NULL: there are no more. */
static const NvmkvScanRow *
next_stored(IndexCheck *check)
{
	const char *name = get_rel_name(check->index->oid);

	for (;;)
	{
		while (check->next < check->count)
		{
			const NvmkvScanRow *row = &check->rows[check->next++];

			if (!row->beneath)
				return row;
		}
		CHECK_FOR_INTERRUPTS();
		nvmkv_check_status(nvmkv_scan_batch(check->scan, SCAN_ROWS, SCAN_BYTES, &check->rows, &check->count),
						   "checking index", name);
		check->next = 0;
		if (check->count == 0)
			return NULL;
	}
}

static void
report_entry(IndexCheck *check, NvmkvSlice key, const char *problem)
{
	const NvmkvTable *entries = &check->index->entries;
	StringInfoData upper;

	if (++check->problems > SHOWN_PROBLEMS)
		return;
	initStringInfo(&upper);
	appendBinaryStringInfo(&upper, (const char *) key.data, (int) key.size);
	(void) nvmkv_key_successor(&upper);
	check->report(check->ctx, psprintf("index %s", get_rel_name(entries->relid)),
				  psprintf("%s: keys %s", problem, nvmkv_key_range_text(entries, key, nvmkv_buffer_slice(&upper))));
}

static void
compare(IndexCheck *check, NvmkvEntrySort *sort)
{
	NvmkvEntry wanted;
	bool has_wanted = nvmkv_entrysort_next(sort, &wanted);
	const NvmkvScanRow *stored = next_stored(check);

	while (has_wanted || stored != NULL)
	{
		int c = 0;

		if (!has_wanted)
			c = 1;
		else if (stored == NULL)
			c = -1;
		else
			c = slice_compare(wanted.key, stored->key);
		if (c < 0)
			report_entry(check, wanted.key, "the entry of a row is missing");
		else if (c > 0)
			report_entry(check, stored->key, "an entry has no row");
		else if (!slice_equal(wanted.value, stored->value))
			report_entry(check, stored->key, "an entry is not that of its row");
		if (c <= 0)
			has_wanted = nvmkv_entrysort_next(sort, &wanted);
		if (c >= 0)
			stored = next_stored(check);
	}
	if (check->problems > SHOWN_PROBLEMS)
		check->report(check->ctx, psprintf("index %s", get_rel_name(check->index->oid)),
					  psprintf(UINT64_FORMAT " more entries are wrong", check->problems - SHOWN_PROBLEMS));
}

/* The expressions of an index are its owner's; whoever checks must not run them with rights of his own. */
static NvmkvEntrySort *
make_entries(Relation rel, const NvmkvTable *table, const NvmkvIndex *index)
{
	NvmkvOwnerContext context;
	NvmkvEntrySort *sort;

	nvmkv_become_owner(&context, rel->rd_rel->relowner);
	sort = nvmkv_entrysort_create(rel, table, index, GetActiveSnapshot());
	nvmkv_become_user(&context);
	return sort;
}

void
nvmkv_check_index(Relation rel, const NvmkvTable *table, const NvmkvIndex *index, NvmkvReportProblem report, void *ctx)
{
	IndexCheck check = {.index = index, .report = report, .ctx = ctx};
	NvmkvEntrySort *sort = make_entries(rel, table, index);
	NvmkvVisibility visibility;
	StringInfoData lower;
	StringInfoData upper;

	nvmkv_key_table_range(&index->entries, &lower, &upper);
	nvmkv_visibility_init(&visibility, GetActiveSnapshot(), NULL);
	PG_TRY();
	{
		nvmkv_check_status(nvmkv_scan_create(nvmkv_engine_of(index->entries.storage_id), &check.scan), "checking index",
						   get_rel_name(index->oid));
		nvmkv_check_status(nvmkv_scan_start(check.scan, nvmkv_buffer_slice(&lower), nvmkv_buffer_slice(&upper), false,
											&visibility.engine),
						   "checking index", get_rel_name(index->oid));
		compare(&check, sort);
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(check.scan);
	}
	PG_END_TRY();
	nvmkv_entrysort_destroy(sort);
}
