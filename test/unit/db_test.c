/*
 * db_test.c
 *	  The database as a whole: opening and recovery, reading and writing through
 *	  all its parts, background work, failures and limits.
 */
#include "lib/rig.h"

#include "lib/check.h"

#define MIB (UINT64_C(1) << 20)

/* ---- helpers ---- */

/* The value of "key", as a text in a static buffer; "-" when there is none, "!" at a failure. */
static const char *
get_text(NvmkvDb *db, const char *key, const NvmkvSnapshot *snapshot)
{
	static char text[256];
	NvmkvBuf value = {0};
	NvmkvStatus st = nvmkv_get(db, rig_slice(key), snapshot, &value, NULL);

	if (st == NVMKV_OK)
		snprintf(text, sizeof(text), "%.*s", (int) value.size, value.size > 0 ? (const char *) value.data : "");
	else
		snprintf(text, sizeof(text), "%s", st == NVMKV_NOT_FOUND ? "-" : "!");
	if (st != NVMKV_OK && st != NVMKV_NOT_FOUND)
		fprintf(stderr, "    get \"%s\": %s\n", key, nvmkv_error()->text);
	nvmkv_buf_free(&value);
	return text;
}

#define CHECK_GET(db, key, snapshot, expected) \
	do \
	{ \
		const char *check_text_ = get_text((db), (key), (snapshot)); \
		if (strcmp(check_text_, (expected)) != 0) \
		{ \
			check_failed(__FILE__, __LINE__, "get " key); \
			fprintf(stderr, "    \"%s\", expected \"%s\"\n", check_text_, (expected)); \
		} \
	} while (0)

/* Deterministic content of a value. */
static void
fill_value(uint8_t *data, size_t size, uint64_t seed)
{
	size_t i;

	for (i = 0; i < size; i++)
		data[i] = (uint8_t) ((seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407)) >> 56);
}

static NvmkvStatus
put_number(NvmkvDb *db, uint64_t key, uint64_t version, size_t size)
{
	uint8_t *data = malloc(size + 8);
	NvmkvStatus st;

	if (data == NULL)
		return NVMKV_NO_MEMORY;
	fill_value(data, size, key * 1000003 + version);
	st = rig_entry(db, NVMKV_KIND_VALUE, rig_key(key), 0, 0, nvmkv_slice(data, size));
	free(data);
	return st;
}

static bool
is_number(NvmkvSlice value, uint64_t key, uint64_t version, size_t size)
{
	uint8_t *data = malloc(size + 8);
	bool equal;

	if (data == NULL)
		return false;
	fill_value(data, size, key * 1000003 + version);
	equal = slice_equal(value, nvmkv_slice(data, size));
	free(data);
	return equal;
}

static bool
has_number(NvmkvDb *db, uint64_t key, uint64_t version, size_t size)
{
	NvmkvBuf value = {0};
	bool equal = nvmkv_get(db, rig_key(key), NULL, &value, NULL) == NVMKV_OK &&
		is_number(nvmkv_buf_slice(&value), key, version, size);

	nvmkv_buf_free(&value);
	return equal;
}

/* Rows a scan shows, forwards or backwards. */
static uint64_t
count_rows(NvmkvDb *db, const char *lower, const char *upper, bool reverse, const NvmkvSnapshot *snapshot)
{
	NvmkvScan *scan;
	const NvmkvScanRow *rows;
	unsigned n;
	uint64_t count = 0;
	NvmkvBuf last = {0};

	if (nvmkv_scan_create(db, &scan) != NVMKV_OK)
		return UINT64_MAX;
	CHECK_OK(nvmkv_scan_start(scan, rig_slice(lower), rig_slice(upper), reverse, snapshot));
	while (CHECK_STATUS(nvmkv_scan_batch(scan, 7, 4096, &rows, &n), NVMKV_OK) && n > 0)
	{
		unsigned i;

		for (i = 0; i < n; i++)
		{
			int c = slice_compare(nvmkv_buf_slice(&last), rows[i].key);

			CHECK(count + i == 0 || (reverse ? c > 0 : c < 0));
			CHECK_OK(nvmkv_buf_set(&last, rows[i].key));
		}
		count += n;
	}
	nvmkv_scan_destroy(scan);
	nvmkv_buf_free(&last);
	return count;
}

static void
print_problem(void *ctx, const char *where, const char *text)
{
	unsigned *problems = ctx;

	if (++*problems <= 3)
		fprintf(stderr, "    check: %s: %s\n", where, text);
}

static void
count_problem(void *ctx, const char *where, const char *text)
{
	(void) where;
	(void) text;
	++*(unsigned *) ctx;
}

static void
check_sound(NvmkvDb *db)
{
	unsigned problems = 0;

	CHECK_OK(nvmkv_check(db, print_problem, &problems));
	CHECK_EQ(problems, 0);
}

/* ---- opening ---- */

TEST(opens_fresh_and_again)
{
	Rig rig;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_GET(rig.db, "a", NULL, "-");
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(rig_put(rig.db, "b", "2"));
	CHECK_OK(rig_delete(rig.db, "a"));
	CHECK_GET(rig.db, "a", NULL, "-");
	CHECK_GET(rig.db, "b", NULL, "2");
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_GET(rig.db, "a", NULL, "-");
	CHECK_GET(rig.db, "b", NULL, "2");
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, "a", NULL, "-");
	CHECK_GET(rig.db, "b", NULL, "2");
	CHECK_OK(rig_put(rig.db, "c", "3"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, "c", NULL, "3");
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_GET(rig.db, "a", NULL, "-");
	CHECK_GET(rig.db, "b", NULL, "2");
	CHECK_GET(rig.db, "c", NULL, "3");
	check_sound(rig.db);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, "b", NULL, "2");
	CHECK_GET(rig.db, "c", NULL, "3");
	check_sound(rig.db);
	rig_remove(&rig);
}

TEST(fills_drains_and_recovers)
{
	Rig rig;
	uint64_t i, round;
	enum { KEYS = 20000, SIZE = 200, ROUNDS = 6 };

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	for (round = 0; round < ROUNDS; round++)
	{
		for (i = 0; i < KEYS; i++)
			REQUIRE_OK(put_number(rig.db, i * 7919 % KEYS, round, SIZE));
		if (round == 2)
			REQUIRE_OK(rig_reopen(&rig));
		if (round == 4)
			CHECK_OK(nvmkv_compact_all(rig.db));
		/* Without a sync the end of the round may be lost. */
		if (round == 2)
			continue;
		for (i = 0; i < KEYS; i += 37)
			CHECK(has_number(rig.db, i, round, SIZE));
		CHECK_EQ(count_rows(rig.db, "", "", false, NULL), KEYS);
		CHECK_EQ(count_rows(rig.db, "", "", true, NULL), KEYS);
		CHECK_EQ(count_rows(rig.db, "00000100", "00000200", true, NULL), 100);
		CHECK_EQ(count_rows(rig.db, "00000100", "00000200", false, NULL), 100);
		check_sound(rig.db);
	}
	rig_remove(&rig);
}

TEST_MAIN()
