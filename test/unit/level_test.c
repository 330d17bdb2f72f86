/*
 * level_test.c
 *	  Levels 2 and deeper: shape, contents, deletions, verification.
 */
#include "engine/tree/tree.h"
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

	for (i = (size_t) n; i < VALUE_BYTES; i += sizeof(seed))
	{
		seed = seed * UINT64_C(6364136223846793005) + 1;
		memcpy(text + i, &seed, VALUE_BYTES - i < sizeof(seed) ? VALUE_BYTES - i : sizeof(seed));
	}
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

/* Every key, with a sanitizer every fourth, as "versions" says: 0 absent. */
static unsigned
wrong_keys(NvmkvDb *db, const uint8_t *versions)
{
	static char expected[VALUE_BYTES];
	NvmkvBuf value = {0};
	unsigned wrong = 0;
	uint64_t key;

	for (key = 0; key < KEYS; key += 4 / check_part(4))
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

static uint64_t
level_bytes(NvmkvDb *db, unsigned level, uint64_t *target_out)
{
	NvmkvLevelStats levels[8];

	if (nvmkv_level_stats(db, levels, 8) <= level)
		return 0;
	*target_out = levels[level].target_bytes;
	return levels[level].bytes;
}

/* A row of new values, of keys so far apart, and one step of compaction as if writers were waiting for extents. */
static void
write_row(Rig *rig, unsigned from, unsigned apart)
{
	static char value[VALUE_BYTES];
	unsigned i;

	for (i = from; i < from + 1000; i++)
	{
		uint64_t key = (uint64_t) i * apart % KEYS;

		make_value(value, key, 1);
		REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(key), 0, 0, nvmkv_slice(value, VALUE_BYTES)));
	}
	REQUIRE_OK(nvmkv_flush_all(rig->db));
}

static uint64_t
step_under_pressure(Rig *rig)
{
	uint64_t before = rig->db->shm->counters.columns;
	bool did, more;

	rig->db->shm->pool_full = 1;
	CHECK_OK(nvmkv_work(rig->db, NVMKV_WORK_COMPACT, &did, &more));
	CHECK(did);
	rig->db->shm->pool_full = 0;
	CHECK_OK(nvmkv_work(rig->db, NVMKV_WORK_RECLAIM, &did, &more));
	return rig->db->shm->counters.columns - before;
}

/* Writers who wait get their columns, one step in four at least, and yet level 1 comes down to its bounds. */
TEST(levels_keep_pace_under_pressure)
{
	uint64_t target = 0;
	uint64_t target2 = 0;
	unsigned round;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	/* Level 1 grows far over its target, as no level has a turn; at its end, so that nothing is written twice. */
	for (round = 0; round < KEYS / 1000; round++)
	{
		write_row(&rig, round * 1000, 1);
		rig.db->shm->level_steps = 1000;
		CHECK_EQ(step_under_pressure(&rig), 1);
	}
	CHECK(level_bytes(rig.db, 1, &target) > 2 * target);
	CHECK_EQ(level_bytes(rig.db, 2, &target2), 0);
	for (round = 0; round < 12; round++)
	{
		unsigned steps = 1;

		write_row(&rig, round * 1000, 7919);
		while (steps < 10 && step_under_pressure(&rig) == 0)
			steps++;
		CHECK(steps <= 4);
		CHECK(round > 0 || steps == 4);
	}
	CHECK(level_bytes(rig.db, 1, &target) < target * 7 / 4);
	CHECK(level_bytes(rig.db, 2, &target2) > 0);
	CHECK(problems(rig.db) == 0);
	rig_close(&rig);
	rig_remove(&rig);
	port_files = &port_posix_files;
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
