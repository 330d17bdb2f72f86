/*
 * level_test.c
 *	  Levels 2 and deeper: shape, contents, deletions, verification.
 */
#include "lib/rig.h"

#include "lib/check.h"

#define KEYS 50000
#define VALUE_BYTES 700

/* Value of a key at its n-th write. */
static void
make_value(char *text, uint64_t key, unsigned version)
{
	uint64_t seed = key * 7919 + version;
	size_t i;
	int n = snprintf(text, VALUE_BYTES, "%" PRIu64 ".%u.", key, version);

	for (i = (size_t) n; i < VALUE_BYTES; i++)
		text[i] = (char) ('a' + (int) ((seed = seed * UINT64_C(6364136223846793005) + 1) >> 59) % 26);
}

typedef struct Shape
{
	unsigned deepest; /* level that has files */
	uint64_t bytes;
} Shape;

static Shape
shape_of(NvmkvDb *db)
{
	NvmkvLevelStats levels[8];
	unsigned n = nvmkv_level_stats(db, levels, 8);
	Shape shape = {0, 0};
	unsigned i;

	for (i = 0; i < n; i++)
	{
		shape.bytes += levels[i].bytes;
		if (levels[i].files > 0)
			shape.deepest = levels[i].level;
	}
	return shape;
}

static void
on_problem(void *ctx, const char *where, const char *text)
{
	fprintf(stderr, "    %s: %s\n", where, text);
	(*(unsigned *) ctx)++;
}

static unsigned
problems(NvmkvDb *db)
{
	unsigned count = 0;

	CHECK_OK(nvmkv_check(db, on_problem, &count));
	return count;
}

/* Compaction until nothing is over its target. */
static NvmkvStatus
settle(NvmkvDb *db)
{
	NVMKV_RETURN_IF(nvmkv_flush_all(db));
	NVMKV_RETURN_IF(rig_work(db, NVMKV_WORK_COMPACT));
	return rig_work(db, NVMKV_WORK_RECLAIM);
}

/* Every key as "versions" says: 0 absent. */
static unsigned
wrong_keys(NvmkvDb *db, const uint8_t *versions)
{
	static char expected[VALUE_BYTES];
	NvmkvBuf value = {0};
	unsigned wrong = 0;
	uint64_t key;

	for (key = 0; key < KEYS; key++)
	{
		NvmkvStatus st = nvmkv_get(db, rig_key(key), NULL, &value, NULL);

		if (versions[key] == 0)
			wrong += st != NVMKV_NOT_FOUND;
		else
		{
			make_value(expected, key, versions[key]);
			wrong += st != NVMKV_OK || value.size != VALUE_BYTES || memcmp(value.data, expected, VALUE_BYTES) != 0;
		}
	}
	nvmkv_buf_free(&value);
	return wrong;
}

/* The scan in both directions shows exactly the present keys. */
static uint64_t
count_scanned(NvmkvDb *db, bool reverse)
{
	NvmkvScan *scan;
	uint64_t total = 0;
	NvmkvBuf last = {0};

	if (nvmkv_scan_create(db, &scan) != NVMKV_OK ||
		nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, NULL) != NVMKV_OK)
		return UINT64_MAX;
	for (;;)
	{
		const NvmkvScanRow *rows;
		unsigned n;
		unsigned i;

		if (nvmkv_scan_batch(scan, 500, 1 << 20, &rows, &n) != NVMKV_OK)
			return UINT64_MAX;
		if (n == 0)
			break;
		for (i = 0; i < n; i++)
		{
			int c = total + i == 0 ? 1 : slice_compare(rows[i].key, nvmkv_buf_slice(&last));

			CHECK(reverse ? (total + i == 0 || c < 0) : c > 0);
			CHECK_OK(nvmkv_buf_set(&last, rows[i].key));
		}
		total += n;
	}
	nvmkv_scan_destroy(scan);
	nvmkv_buf_free(&last);
	return total;
}

static NvmkvStatus
write_random(NvmkvDb *db, uint8_t *versions, unsigned count)
{
	static char value[VALUE_BYTES];
	unsigned i;

	for (i = 0; i < count; i++)
	{
		uint64_t key = check_random() % KEYS;

		if (check_random() % 10 == 0)
		{
			versions[key] = 0;
			NVMKV_RETURN_IF(rig_entry(db, NVMKV_KIND_DELETION, rig_key(key), 0, 0, nvmkv_slice(NULL, 0)));
			continue;
		}
		versions[key] = (uint8_t) (versions[key] % 250 + 1);
		make_value(value, key, versions[key]);
		NVMKV_RETURN_IF(rig_entry(db, NVMKV_KIND_VALUE, rig_key(key), 0, 0, nvmkv_slice(value, VALUE_BYTES)));
	}
	return NVMKV_OK;
}

static uint64_t
present(const uint8_t *versions)
{
	uint64_t n = 0;
	uint64_t key;

	for (key = 0; key < KEYS; key++)
		n += versions[key] != 0;
	return n;
}

static void
run(bool container)
{
	static uint8_t versions[KEYS];
	NvmkvLevelStats levels[8];
	Shape shape;
	unsigned round;
	Rig rig;

	memset(versions, 0, sizeof(versions));
	rig_init(&rig);
	if (!container)
		rig.options.nvm_bytes = 0;
	REQUIRE_OK(rig_open(&rig));
	for (round = 0; round < 2; round++)
	{
		REQUIRE_OK(write_random(rig.db, versions, 45000));
		REQUIRE_OK(settle(rig.db));
		CHECK(wrong_keys(rig.db, versions) == 0);
	}
	shape = shape_of(rig.db);
	CHECK(shape.deepest >= 2);
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 3);
	CHECK(levels[1].target_bytes > 0 && levels[1].bytes <= levels[1].target_bytes);
	CHECK(levels[2].target_bytes == 10 * levels[1].target_bytes);
	CHECK(levels[2].bytes_written > 0 && levels[2].write_amplification > 0);
	CHECK(count_scanned(rig.db, false) == present(versions));
	CHECK(count_scanned(rig.db, true) == present(versions));
	CHECK(problems(rig.db) == 0);

	REQUIRE_OK(rig_reopen(&rig));
	CHECK(wrong_keys(rig.db, versions) == 0);
	CHECK(shape_of(rig.db).bytes > 0);
	CHECK(problems(rig.db) == 0);
	rig_close(&rig);
	rig_remove(&rig);
}

TEST(data_goes_down_from_the_container)
{
	run(true);
}

TEST(data_goes_down_without_container)
{
	run(false);
}

/* Tombstones in upper levels must hide what lies deeper until they meet it. */
TEST(deletions_hide_deeper_levels)
{
	static uint8_t versions[KEYS];
	uint64_t key;
	Rig rig;

	memset(versions, 0, sizeof(versions));
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	REQUIRE_OK(write_random(rig.db, versions, 60000));
	REQUIRE_OK(settle(rig.db));
	REQUIRE(shape_of(rig.db).deepest >= 2);
	for (key = 0; key < KEYS; key += 3)
	{
		versions[key] = 0;
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_DELETION, rig_key(key), 0, 0, nvmkv_slice(NULL, 0)));
	}
	CHECK(wrong_keys(rig.db, versions) == 0);
	REQUIRE_OK(nvmkv_flush_all(rig.db));
	REQUIRE_OK(nvmkv_compact_all(rig.db));
	CHECK(wrong_keys(rig.db, versions) == 0);
	CHECK(count_scanned(rig.db, false) == present(versions));
	REQUIRE_OK(rig_reopen(&rig));
	CHECK(wrong_keys(rig.db, versions) == 0);
	rig_close(&rig);
	rig_remove(&rig);
}

TEST_MAIN()
