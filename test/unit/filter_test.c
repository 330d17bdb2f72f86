/*
 * filter_test.c
 *	  What filters spare a whole database: lookups of keys that are not there,
 *	  scans of prefixes that are not there.
 */
#include "lib/rig.h"

#include "engine/base/coding.h"

#include "lib/check.h"

#define MIB (UINT64_C(1) << 20)
#define VALUE_BYTES 100

/* Writes of one batch after another. */
typedef struct Loader
{
	NvmkvDb *db;
	NvmkvBatch batch;
} Loader;

static void
load(Loader *l, unsigned kind, NvmkvSlice key, NvmkvSlice value)
{
	CHECK_OK(nvmkv_batch_put(&l->batch, kind, key, nvmkv_slice(NULL, 0), value));
	if (l->batch.count < 200)
		return;
	CHECK_OK(rig_write(l->db, &l->batch, NULL));
	nvmkv_batch_clear(&l->batch);
}

static void
load_end(Loader *l)
{
	if (l->batch.count > 0)
		CHECK_OK(rig_write(l->db, &l->batch, NULL));
	nvmkv_batch_free(&l->batch);
}

typedef struct Shape
{
	unsigned rows;
	uint64_t files[8]; /* by level */
} Shape;

static Shape
shape_of(NvmkvDb *db)
{
	NvmkvRowStats rows[256];
	NvmkvLevelStats levels[8];
	Shape shape = {0, {0}};
	unsigned n = nvmkv_level_stats(db, levels, 8);
	unsigned i;

	for (i = 0; i < n; i++)
		shape.files[levels[i].level] = levels[i].files;
	shape.rows = nvmkv_row_stats(db, rows, 256);
	return shape;
}

static void
settle(NvmkvDb *db)
{
	CHECK_OK(nvmkv_flush_all(db));
	CHECK_OK(rig_work(db, NVMKV_WORK_COMPACT));
	CHECK_OK(rig_work(db, NVMKV_WORK_RECLAIM));
}

/* ---- lookups ---- */

/* 16 bytes, spread over the key space. */
static NvmkvSlice
spread_key(uint8_t *key, uint64_t number)
{
	uint64_t z = number * UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	put_be64(key, z ^ (z >> 31));
	put_be64(key + 8, number);
	return nvmkv_slice(key, 16);
}

/* Even numbers [from, to). */
static void
write_keys(NvmkvDb *db, uint64_t from, uint64_t to)
{
	static const uint8_t value[VALUE_BYTES] = {'v'};
	Loader l = {.db = db};
	uint8_t key[16];
	uint64_t i;

	for (i = from; i < to && check_failures == 0; i++)
		load(&l, NVMKV_TYPE_VALUE, spread_key(key, i * 2), nvmkv_slice(value, sizeof(value)));
	load_end(&l);
}

/*
 * Looks up "count" odd numbers below 2 * keys: at most one lookup in a hundred may ask for data.  As no data read of a
 * lookup is left uncounted, so many reads in all are the stricter bound.
 */
static void
look_up_missing(NvmkvDb *db, const char *when, uint64_t keys, uint64_t count)
{
	Shape shape = shape_of(db);
	NvmkvBuf value = {0};
	NvmkvStats before;
	NvmkvStats after;
	uint8_t key[16];
	uint64_t i;

	nvmkv_stats(db, &before);
	for (i = 0; i < count; i++)
		CHECK_STATUS(nvmkv_get(db, spread_key(key, (i * 7919 % keys) * 2 + 1), NULL, &value, NULL), NVMKV_NOT_FOUND);
	nvmkv_stats(db, &after);
	nvmkv_buf_free(&value);
	CHECK(after.filter_useful > before.filter_useful);
	if (after.data_reads - before.data_reads <= count / 100)
		return;
	check_failures++;
	fprintf(stderr, "    %s: rows %u, files %u %u %u %u; %.3f %% of %u lookups asked for data, %.3f %% passed a filter\n", when,
			shape.rows, (unsigned) shape.files[0], (unsigned) shape.files[1], (unsigned) shape.files[2],
			(unsigned) shape.files[3], 100.0 * (double) (after.data_reads - before.data_reads) / (double) count,
			(unsigned) count, 100.0 * (double) (after.filter_passed - before.filter_passed) / (double) count);
}

static void
look_up_present(NvmkvDb *db, uint64_t keys, uint64_t count)
{
	NvmkvBuf value = {0};
	NvmkvStats before;
	NvmkvStats after;
	uint8_t key[16];
	uint64_t i;

	nvmkv_stats(db, &before);
	for (i = 0; i < count; i++)
		CHECK_OK(nvmkv_get(db, spread_key(key, (i * 7919 % keys) * 2), NULL, &value, NULL));
	nvmkv_stats(db, &after);
	nvmkv_buf_free(&value);
	CHECK(after.data_reads - before.data_reads >= count / 2); /* the rest was in memtables */
}

static void
missing_keys(uint64_t nvm_bytes, uint64_t keys)
{
	Shape shape;
	Rig rig;

	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	rig.options.block_bytes = 4096;
	rig.options.block_cache_bytes = 16 * MIB;
	rig.options.bloom_bits_per_key = 10;
	REQUIRE_OK(rig_open(&rig));

	/* A little at first: rows, or tables of level 0. */
	write_keys(rig.db, 0, keys / 8);
	CHECK_OK(nvmkv_flush_all(rig.db));
	look_up_missing(rig.db, "begun", keys, keys / 4);
	write_keys(rig.db, keys / 8, keys);
	CHECK_OK(nvmkv_flush_all(rig.db));
	look_up_missing(rig.db, "written", keys, keys / 2);
	settle(rig.db);
	look_up_missing(rig.db, "settled", keys, keys);
	shape = shape_of(rig.db);
	CHECK(shape.files[1] > 0 && shape.files[2] > 0);

	/* Something of everything. */
	write_keys(rig.db, keys, keys + keys / 16);
	CHECK_OK(nvmkv_flush_all(rig.db));
	look_up_missing(rig.db, "written on", keys, keys / 2);
	look_up_present(rig.db, keys + keys / 16, keys / 4);
	shape = shape_of(rig.db);
	CHECK(nvm_bytes == 0 || shape.rows > 0);
	CHECK(shape.files[1] > 0 && shape.files[2] > 0);
	rig_remove(&rig);
}

TEST(missing_keys_touch_no_data)
{
	missing_keys(16 * MIB, 350000);
}

TEST(missing_keys_touch_no_data_without_container)
{
	missing_keys(0, 250000);
}

/* ---- scans ---- */

#define IDS 120 /* 0, 2, 4 ... are there */
#define ROWS_OF_AN_ID 1500
#define FIRST_MARK 1000
#define MARKS 30

static NvmkvSlice
id_key(uint8_t *key, uint64_t id, uint64_t row)
{
	put_be64(key, id);
	put_be64(key + 8, row);
	return nvmkv_slice(key, 16);
}

static uint64_t
count_range(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper, bool reverse)
{
	NvmkvScan *scan;
	uint64_t total = 0;
	unsigned count;

	if (!CHECK_OK(nvmkv_scan_create(db, &scan)))
		return UINT64_MAX;
	CHECK_OK(nvmkv_scan_start(scan, lower, upper, reverse, NULL));
	do
	{
		const NvmkvScanRow *rows;

		count = 0;
		CHECK_OK(nvmkv_scan_batch(scan, 100, SIZE_MAX, &rows, &count));
		total += count;
	} while (count > 0);
	nvmkv_scan_destroy(scan);
	return total;
}

static uint64_t
count_id(NvmkvDb *db, uint64_t id, bool reverse)
{
	uint8_t lower[8];
	uint8_t upper[8];

	put_be64(lower, id);
	put_be64(upper, id + 1);
	return count_range(db, nvmkv_slice(lower, 8), nvmkv_slice(upper, 8), reverse);
}

static bool
see_mark(void *ctx, const NvmkvVersion *version)
{
	*(unsigned *) ctx += (version->type & NVMKV_TYPE_KIND_MASK) == NVMKV_KIND_RANGE_DELETION;
	return true;
}

/* The keys of marks of dropped storages are ids, nothing more. */
static void
check_marks(NvmkvDb *db)
{
	unsigned marks = 0;
	uint8_t key[16];
	uint64_t id;

	for (id = FIRST_MARK; id < FIRST_MARK + MARKS; id++)
		CHECK_OK(nvmkv_versions(db, nvmkv_slice(id_key(key, id, 0).data, 8), see_mark, &marks));
	CHECK_EQ(marks, MARKS);
}

/* The rows of all ids, by scans of a whole id and of a part of it. */
static void
check_ids(NvmkvDb *db)
{
	uint8_t lower[16];
	uint8_t upper[16];
	uint64_t id;

	for (id = 0; id < IDS; id += 2)
	{
		CHECK_EQ(count_id(db, id, id % 4 == 0), ROWS_OF_AN_ID);
		CHECK_EQ(count_range(db, id_key(lower, id, 700), id_key(upper, id, 900), id % 4 != 0), 200);
	}

	/* Over several, and to the end. */
	put_be64(lower, 7);
	put_be64(upper, 13);
	CHECK_EQ(count_range(db, nvmkv_slice(lower, 8), nvmkv_slice(upper, 8), false), 3 * ROWS_OF_AN_ID);
	CHECK_EQ(count_range(db, nvmkv_slice(lower, 8), nvmkv_slice(NULL, 0), true), (IDS / 2 - 4) * ROWS_OF_AN_ID);
}

typedef struct Spared
{
	uint64_t skipped; /* sources left out */
	uint64_t blocks;  /* of all kinds, asked for */
} Spared;

/* Scans of the ids that are not there. */
static Spared
scan_absent(NvmkvDb *db)
{
	NvmkvCacheStats cache_before;
	NvmkvCacheStats cache_after;
	NvmkvStats before;
	NvmkvStats after;
	Spared spared;
	uint64_t id;

	for (id = 1; id < IDS; id += 2)
		(void) count_id(db, id, true); /* the tables are open now */
	nvmkv_stats(db, &before);
	nvmkv_cache_stats(db, &cache_before);
	for (id = 1; id < IDS; id += 2)
		CHECK_EQ(count_id(db, id, id % 4 == 1), 0);
	nvmkv_cache_stats(db, &cache_after);
	nvmkv_stats(db, &after);
	spared.skipped = after.sources_skipped - before.sources_skipped;
	spared.blocks = cache_after.hits + cache_after.misses - cache_before.hits - cache_before.misses;
	return spared;
}

static void
absent_ids(uint64_t nvm_bytes)
{
	static const uint8_t value[VALUE_BYTES] = {'v'};
	Loader l = {0};
	Spared spared;
	Spared all;
	uint8_t key[16];
	uint64_t row;
	uint64_t id;
	Rig rig;

	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	rig.options.block_cache_bytes = 16 * MIB;
	rig.options.prefix_bytes = 8;
	REQUIRE_OK(rig_open(&rig));
	l.db = rig.db;
	for (row = 0; row < ROWS_OF_AN_ID; row++)
		for (id = 0; id < IDS; id += 2)
			load(&l, NVMKV_TYPE_VALUE, id_key(key, id, row), nvmkv_slice(value, sizeof(value)));
	for (id = FIRST_MARK; id < FIRST_MARK + MARKS; id++)
		load(&l, NVMKV_TYPE_RANGE_DELETION, nvmkv_slice(id_key(key, id, 0).data, 8), nvmkv_slice(NULL, 0));
	load_end(&l);
	CHECK_OK(nvmkv_flush_all(rig.db));
	check_marks(rig.db);
	check_ids(rig.db);

	/* A filter block or two of each table left out, and nothing else. */
	spared = scan_absent(rig.db);
	CHECK(spared.skipped >= IDS / 2);
	CHECK(spared.blocks <= 2 * spared.skipped);

	/* One that looks for prefixes of another length leaves out nothing, and finds the same. */
	rig.options.prefix_bytes = 7;
	REQUIRE_OK(rig_reopen(&rig));
	check_ids(rig.db);
	all = scan_absent(rig.db);
	CHECK_EQ(all.skipped, 0);
	CHECK(all.blocks >= spared.blocks);

	/* Nor one that knows of none. */
	rig.options.prefix_bytes = 0;
	REQUIRE_OK(rig_reopen(&rig));
	check_ids(rig.db);
	CHECK_EQ(scan_absent(rig.db).skipped, 0);

	rig.options.prefix_bytes = 8;
	REQUIRE_OK(rig_reopen(&rig));
	settle(rig.db);
	check_ids(rig.db);
	CHECK(scan_absent(rig.db).skipped > 0);
	rig_remove(&rig);
}

TEST(scans_of_absent_ids_touch_no_data)
{
	absent_ids(16 * MIB);
}

TEST(scans_of_absent_ids_touch_no_data_without_container)
{
	absent_ids(0);
}

/* Bounds at the end of the key space, where a prefix has no next one. */
TEST(last_prefix)
{
	static const uint8_t last[3] = {0xff, 0xff, 0x01};
	Rig rig;

	rig_init(&rig);
	rig.options.prefix_bytes = 2;
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(rig_put(rig.db, "ab", "1"));
	CHECK_OK(rig_put(rig.db, "b\xff", "1"));
	CHECK_OK(rig_put(rig.db, "b\xff" "c", "1"));
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, nvmkv_slice(last, 3), 0, 0, rig_slice("1")));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(count_range(rig.db, nvmkv_slice(last, 2), nvmkv_slice(NULL, 0), false), 1);
	CHECK_EQ(count_range(rig.db, nvmkv_slice(last, 3), nvmkv_slice(NULL, 0), true), 1);
	CHECK_EQ(count_range(rig.db, nvmkv_slice(last, 1), nvmkv_slice(NULL, 0), true), 1);
	CHECK_EQ(count_range(rig.db, rig_slice("b\xff"), rig_slice("c"), true), 2);
	CHECK_EQ(count_range(rig.db, rig_slice("b\xff"), rig_slice("b\xff" "a"), true), 1);
	CHECK_EQ(count_range(rig.db, rig_slice("b"), rig_slice("c"), false), 2);
	CHECK_EQ(count_range(rig.db, rig_slice("a"), rig_slice("b"), false), 2);
	CHECK_EQ(count_range(rig.db, rig_slice("aa"), rig_slice("ab"), false), 0);
	CHECK_EQ(count_range(rig.db, rig_slice("aa"), rig_slice("ac"), false), 1);
	rig_remove(&rig);
}

TEST_MAIN()
