/*
 * everyrow.c
 *	  See everyrow.h.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fdw/host/family.h"
#include "fdw/key/keycode.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/everyrow.h"
#include "fdw/txn/visibility.h"
#include "fdw/txn/write.h"

#define SCAN_ROWS 1024
#define SCAN_BYTES (1024 * 1024)

static void
check(NvmkvStatus status, const NvmkvTable *table)
{
	nvmkv_check_table_status(status, "reading foreign table", table);
}

/* Rows with keys from "from" on (empty: from the first on), batch by batch; only the first batch if "once". */
static void
visit_rows(const NvmkvTable *table, Snapshot snapshot, NvmkvSlice from, bool keys_only, unsigned batch_rows, bool once,
		   NvmkvVisitRow visit, void *ctx)
{
	NvmkvVisibility visibility;
	StringInfoData lower;
	StringInfoData upper;
	NvmkvScan *volatile scan = NULL;

	nvmkv_key_table_range(table, &lower, &upper);
	if (from.size == 0)
		from = nvmkv_buffer_slice(&lower);
	nvmkv_visibility_init(&visibility, snapshot, NULL);
	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;
		const NvmkvScanRow *rows;
		unsigned count;

		check(nvmkv_scan_create(nvmkv_engine_of(table->storage_id), &new_scan), table);
		scan = new_scan;
		if (keys_only)
			nvmkv_scan_keys_only(scan);
		check(nvmkv_scan_start(scan, from, nvmkv_buffer_slice(&upper), false, &visibility.engine), table);
		do
		{
			CHECK_FOR_INTERRUPTS();
			check(nvmkv_scan_batch(scan, batch_rows, SCAN_BYTES, &rows, &count), table);
			for (unsigned i = 0; i < count; i++)
				visit(ctx, &rows[i]);
		} while (count > 0 && !once);
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
}

void
nvmkv_every_row(const NvmkvTable *table, Snapshot snapshot, NvmkvVisitRow visit, void *ctx)
{
	visit_rows(table, snapshot, nvmkv_slice(NULL, 0), false, SCAN_ROWS, false, visit, ctx);
}

void
nvmkv_some_keys(const NvmkvTable *table, Snapshot snapshot, NvmkvSlice from, unsigned max_rows, NvmkvVisitRow visit,
				void *ctx)
{
	visit_rows(table, snapshot, from, true, max_rows, true, visit, ctx);
}
