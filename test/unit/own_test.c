/*
 * own_test.c
 *	  A reader that meets its own versions: scans tell where a row of somebody
 *	  else may be beneath one, for it to see as well.
 */
#include "engine/nvmkv.h"

#include <stdio.h>

#include "lib/check.h"
#include "lib/rig.h"

/* What a scan of all keys shows: "key=value", and "key?" where there may be a row beneath. */
static void
check_scan(NvmkvDb *db, const RigSnapshot *snapshot, bool reverse, const char *expected)
{
	const NvmkvScanRow *rows;
	char shown[200] = "";
	NvmkvScan *scan;
	unsigned n;

	REQUIRE_OK(nvmkv_scan_create(db, &scan));
	REQUIRE_OK(nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, &snapshot->base));
	/* A batch of one row: the hint must come with it, or by itself. */
	while (CHECK_STATUS(nvmkv_scan_batch(scan, 1, 4096, &rows, &n), NVMKV_OK) && n > 0)
	{
		CHECK(n <= 2);
		for (unsigned i = 0; i < n; i++)
		{
			size_t length = strlen(shown);

			(void) snprintf(shown + length, sizeof(shown) - length, "%s%.*s%s%.*s", length > 0 ? " " : "",
							(int) rows[i].key.size, (const char *) rows[i].key.data, rows[i].beneath ? "?" : "=",
							(int) rows[i].value.size, (const char *) rows[i].value.data);
		}
	}
	nvmkv_scan_destroy(scan);
	CHECK(strcmp(shown, expected) == 0);
	if (strcmp(shown, expected) != 0)
		fprintf(stderr, "    shown: %s\n    expected: %s\n", shown, expected);
}

static void
put(NvmkvDb *db, const char *key, uint64_t fxid, unsigned cid, const char *value)
{
	CHECK_OK(rig_entry(db, value != NULL ? NVMKV_KIND_VALUE : NVMKV_KIND_DELETION, rig_slice(key), fxid, cid,
					   value != NULL ? rig_slice(value) : nvmkv_slice(NULL, 0)));
}

TEST(hints_about_rows_beneath_the_readers_own)
{
	static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g"};
	RigTxns *txns = rig_txns_create();
	RigSnapshot *reader, *other;
	uint64_t first, own, later, gone;
	Rig rig;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	first = rig_begin(txns);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put(rig.db, keys[i], first, 0, "0");
	rig_commit(txns, first);
	own = rig_begin(txns);
	reader = rig_snapshot(txns, own, 5);

	/* a: deleted since.  b: deleted, inserted, deleted.  c: changed since.  f, g: deleted since. */
	later = rig_begin(txns);
	put(rig.db, "a", later, 0, NULL);
	put(rig.db, "b", later, 0, NULL);
	put(rig.db, "b", later, 1, "1");
	put(rig.db, "b", later, 2, NULL);
	put(rig.db, "c", later, 0, "1");
	put(rig.db, "f", later, 0, NULL);
	put(rig.db, "g", later, 0, NULL);
	rig_commit(txns, later);
	/* h: come and gone, all unseen.  d: a deletion that was rolled back may give a hint, too. */
	gone = rig_begin(txns);
	put(rig.db, "d", gone, 0, NULL);
	rig_abort(txns, gone);

	put(rig.db, "a", own, 1, "own");
	put(rig.db, "b", own, 1, "own");
	put(rig.db, "d", own, 1, "own");
	put(rig.db, "e", own, 1, "own"); /* an update in place */
	put(rig.db, "f", own, 1, "own"); /* deleted again */
	put(rig.db, "f", own, 2, NULL);
	put(rig.db, "g", own, 6, "own"); /* not seen yet: what is beneath is the row */
	other = rig_snapshot(txns, 0, 0);

	check_scan(rig.db, reader, false, "a? a=own b? b=own c=0 d? d=own e=own f? g=0");
	check_scan(rig.db, reader, true, "g=0 f? e=own d=own d? c=0 b=own b? a=own a?");
	check_scan(rig.db, other, false, "c=1 d=0 e=0");

	/* In a row, then in tables; what was rolled back has gone. */
	CHECK_OK(nvmkv_flush_all(rig.db));
	check_scan(rig.db, reader, false, "a? a=own b? b=own c=0 d=own e=own f? g=0");
	check_scan(rig.db, reader, true, "g=0 f? e=own d=own c=0 b=own b? a=own a?");
	CHECK_OK(nvmkv_compact_all(rig.db));
	check_scan(rig.db, reader, false, "a? a=own b? b=own c=0 d=own e=own f? g=0");
	check_scan(rig.db, reader, true, "g=0 f? e=own d=own c=0 b=own b? a=own a?");
	check_scan(rig.db, other, true, "e=0 d=0 c=1");

	rig_release(reader);
	rig_release(other);
	rig_remove(&rig);
	rig_txns_destroy(txns);
}

TEST_MAIN()
