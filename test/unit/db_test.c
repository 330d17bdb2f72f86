/*
 * db_test.c
 *	  The database as a whole: opening and recovery, reading and writing through
 *	  all its parts, background work, failures and limits.
 */
#include <dirent.h>
#include <setjmp.h>

#include "engine/nvm/pool_stamp.h"

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

	for (i = 0; i < size; i += sizeof(seed))
	{
		seed = (seed ^ (seed >> 29)) * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(data + i, &seed, size - i < sizeof(seed) ? size - i : sizeof(seed));
	}
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

	port_files = &rig_quick_files;
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


TEST(reopens_with_other_sizes)
{
	static const struct
	{
		uint64_t write_buffer, nvm;
		unsigned buffers;
	} lives[] = {{1, 16, 3}, {4, 32, 2}, {2, 0, 5}, {1, 24, 15}, {5, 16, 2}, {2, 0, 2}, {1, 64, 2}, {1, 16, 2}};
	Rig rig;
	uint64_t i, life;
	enum { KEYS = 6000, SIZE = 150 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	for (life = 0; life < sizeof(lives) / sizeof(lives[0]); life++)
	{
		rig.options.write_buffer_bytes = lives[life].write_buffer * MIB;
		rig.options.nvm_bytes = lives[life].nvm * MIB;
		rig.options.max_write_buffers = lives[life].buffers;
		REQUIRE_OK(rig_reopen(&rig));
		for (i = 0; life > 0 && i < KEYS; i++)
			CHECK(has_number(rig.db, i, i % life, SIZE));
		/* The next life has some keys of each life before it. */
		for (i = 0; i < KEYS; i++)
			if (i % (life + 1) == life || life == 0)
				REQUIRE_OK(put_number(rig.db, i, life, SIZE));
			else
				REQUIRE_OK(put_number(rig.db, i, i % (life + 1), SIZE));
		if (life % 2 == 0)
			CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		check_sound(rig.db);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/*
 * What is in the log was written with larger memtables: batches that do not fit are replayed in pieces, entries that do
 * not fit become tables.  The newest version wins all the same.
 */
TEST(log_of_larger_memtables_is_replayed)
{
	static const size_t sizes[] = {100, 300000, 700, 1500000, 40, 90000, 3000000};
	static const uint64_t containers[] = {16, 0, 64};
	uint64_t i, round, version;
	size_t c;
	enum { KEYS = 30 };

	port_files = &rig_quick_files;
	for (c = 0; c < sizeof(containers) / sizeof(containers[0]); c++)
	{
		Rig rig;

		rig_init(&rig);
		rig.options.write_buffer_bytes = 16 * MIB;
		rig.options.nvm_bytes = 64 * MIB;
		REQUIRE_OK(rig_open(&rig));
		for (version = 0; version < 3; version++)
		{
			NvmkvBatch batch = {0};

			for (i = 0; i < KEYS; i++)
			{
				size_t size = sizes[(i + version) % (sizeof(sizes) / sizeof(sizes[0]))];
				uint8_t *data = malloc(size + 8);

				REQUIRE(data != NULL);
				fill_value(data, size, i * 1000003 + version);
				REQUIRE_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(i), nvmkv_slice(NULL, 0),
										   nvmkv_slice(data, size)));
				free(data);
				/* Some batches of all sizes. */
				if (batch.memtable_bytes > (version + 1) * 2000000 || i == KEYS - 1)
				{
					REQUIRE_OK(rig_write(rig.db, &batch, NULL));
					nvmkv_batch_clear(&batch);
				}
			}
			nvmkv_batch_free(&batch);
		}
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		for (round = 0; round < 2; round++)
		{
			rig.options.write_buffer_bytes = round == 0 ? MIB / 8 : MIB;
			rig.options.nvm_bytes = containers[c] * MIB;
			REQUIRE_OK(rig_reopen(&rig));
			for (i = 0; i < KEYS; i++)
				CHECK(has_number(rig.db, i, 2, sizes[(i + 2) % (sizeof(sizes) / sizeof(sizes[0]))]));
			check_sound(rig.db);
		}
		CHECK_STATUS(put_number(rig.db, 1, 3, 2 * MIB), NVMKV_LIMIT);
		rig_remove(&rig);
	}
	port_files = &port_posix_files;
}

static uint64_t
pool_file_bytes(const Rig *rig)
{
	char path[700];
	struct stat st;

	rig_path(rig, "level0.pool", path, sizeof(path));
	return stat(path, &st) == 0 ? (uint64_t) st.st_size : 0;
}

/*
 * What is wanted of the container may change with every open, with rows in it: at once it becomes larger, and smaller
 * or nothing once what is in the way has been compacted.
 */
TEST(container_follows_what_is_wanted)
{
	static const uint64_t wanted[] = {32, 64, 16, 0, 0, 24, 0, 48, 16};
	Rig rig;
	NvmkvStats stats;
	uint64_t i, life;
	enum { KEYS = 16000, SIZE = 1000 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.max_write_buffers = 4;
	rig.options.l0_write_amplification = 1.5; /* rows stay as long as there is room */
	for (life = 0; life < sizeof(wanted) / sizeof(wanted[0]) && check_failures == 0; life++)
	{
		uint64_t before = pool_file_bytes(&rig);
		uint64_t mib = wanted[life];

		rig.options.nvm_bytes = mib * MIB;
		REQUIRE_OK(rig_reopen(&rig));
		if (life > 0)
			for (i = 0; i < KEYS; i++)
				CHECK(has_number(rig.db, i, life - 1, SIZE));
		CHECK(pool_file_bytes(&rig) >= mib * MIB);
		nvmkv_stats(rig.db, &stats);
		CHECK_EQ(stats.extents_total, mib > 0 ? mib - 1 : 0);
		/* Half of it before what was there is compacted, in the work that makes room. */
		for (i = 0; i < KEYS / 2; i++)
			REQUIRE_OK(put_number(rig.db, i, life, SIZE));
		if (before > mib * MIB)
			CHECK_OK(rig_work(rig.db, NVMKV_WORK_COMPACT));
		CHECK_OK(rig_work(rig.db, NVMKV_WORK_RECLAIM));
		CHECK_OK(rig_work(rig.db, NVMKV_WORK_COMPACT));
		CHECK(pool_file_bytes(&rig) <= (mib > 0 ? mib * MIB : NVM_POOL_HEAD_BYTES));
		for (; i < KEYS; i++)
			REQUIRE_OK(put_number(rig.db, i, life, SIZE));
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		check_sound(rig.db);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- snapshots and transactions ---- */

/* Types of the versions of a key, newest first, in hexadecimal. */
static bool
collect_type(void *ctx, const NvmkvVersion *version)
{
	char *text = ctx;

	snprintf(text + strlen(text), 200 - strlen(text), "%02x ", version->type);
	return true;
}

static const char *
types_of(NvmkvDb *db, const char *key)
{
	static char text[200];

	text[0] = '\0';
	if (nvmkv_versions(db, rig_slice(key), collect_type, text) != NVMKV_OK)
		return "!";
	return text;
}

#define CHECK_TYPES(db, key, expected) \
	do \
	{ \
		const char *check_types_ = types_of((db), (key)); \
		if (strcmp(check_types_, (expected)) != 0) \
		{ \
			check_failed(__FILE__, __LINE__, "versions of " key); \
			fprintf(stderr, "    \"%s\", expected \"%s\"\n", check_types_, (expected)); \
		} \
	} while (0)

static NvmkvStatus
put_tagged(NvmkvDb *db, const char *key, uint64_t fxid, uint32_t cid, const char *value)
{
	if (value == NULL)
		return rig_entry(db, NVMKV_KIND_DELETION, rig_slice(key), fxid, cid, nvmkv_slice(NULL, 0));
	return rig_entry(db, NVMKV_KIND_VALUE, rig_slice(key), fxid, cid, rig_slice(value));
}

TEST(snapshots_see_their_versions_everywhere)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *before, *between, *after, *own;
	uint64_t a, b, c, d;
	unsigned place;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	before = rig_snapshot(txns, 0, 0);
	a = rig_begin(txns);
	CHECK_OK(put_tagged(rig.db, "key", a, 0, "a0"));
	CHECK_OK(put_tagged(rig.db, "key", a, 1, "a1"));
	CHECK_OK(put_tagged(rig.db, "gone", a, 1, "a"));
	rig_commit(txns, a);
	between = rig_snapshot(txns, 0, 0);
	b = rig_begin(txns);
	CHECK_OK(put_tagged(rig.db, "key", b, 0, "b"));
	CHECK_OK(put_tagged(rig.db, "gone", b, 0, NULL));
	rig_commit(txns, b);
	after = rig_snapshot(txns, 0, 0);
	c = rig_begin(txns);
	CHECK_OK(put_tagged(rig.db, "key", c, 0, "aborted"));
	rig_abort(txns, c);
	d = rig_begin(txns);
	CHECK_OK(put_tagged(rig.db, "key", d, 0, "d0"));
	CHECK_OK(put_tagged(rig.db, "key", d, 1, "d1"));
	CHECK_OK(put_tagged(rig.db, "key", d, 2, NULL));
	own = rig_snapshot(txns, d, 2);
	/* In the memtable, in a row, in tables. */
	for (place = 0; place < 3; place++)
	{
		CHECK_GET(rig.db, "key", NULL, "-");
		CHECK_GET(rig.db, "key", &before->base, "-");
		CHECK_GET(rig.db, "key", &between->base, "a1");
		CHECK_GET(rig.db, "gone", &between->base, "a");
		CHECK_GET(rig.db, "key", &after->base, "b");
		CHECK_GET(rig.db, "gone", &after->base, "-");
		CHECK_GET(rig.db, "key", &own->base, "d1");
		CHECK_EQ(count_rows(rig.db, "", "", false, &between->base), 2);
		CHECK_EQ(count_rows(rig.db, "", "", true, &between->base), 2);
		CHECK_EQ(count_rows(rig.db, "", "", true, &after->base), 1);
		CHECK_EQ(count_rows(rig.db, "", "", false, &before->base), 0);
		if (place == 0)
		{
			CHECK_TYPES(rig.db, "key", "10 11 11 11 11 11 11 ");
			CHECK_OK(nvmkv_flush_all(rig.db));
			CHECK_TYPES(rig.db, "key", "10 11 11 31 31 31 ");
		}
		else if (place == 1)
			CHECK_OK(nvmkv_compact_all(rig.db));
	}
	check_sound(rig.db);
	CHECK_EQ(nvmkv_min_unresolved_fxid(rig.db), d);
	/* What nobody holds back any more freezes at the next compaction that touches it. */
	rig_commit(txns, d);
	rig_release(before);
	rig_release(between);
	rig_release(after);
	rig_release(own);
	CHECK_OK(put_tagged(rig.db, "key", rig_begin(txns), 0, "running"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_TYPES(rig.db, "key", "11 ");
	after = rig_snapshot(txns, 0, 0);
	CHECK_GET(rig.db, "key", &after->base, "-");
	check_sound(rig.db);
	rig_remove(&rig);
	rig_txns_destroy(txns);
}

/* Rows with several versions of a key, columns whose natural cut falls among them, reads by all snapshots. */
TEST(no_cut_within_the_versions_of_a_key)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshots[40];
	unsigned i, k, pass;
	enum { VERSIONS = 40, HOT = 3, SIZE = 30000 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 32 * MIB;
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	for (i = 0; i < VERSIONS; i++)
	{
		uint64_t fxid = rig_begin(txns);
		static uint8_t data[SIZE];

		for (k = 0; k < 20; k++)
		{
			size_t size = k % 7 < HOT ? SIZE : 50;

			fill_value(data, size, i * 100 + k);
			REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(k), fxid, 0, nvmkv_slice(data, size)));
		}
		rig_commit(txns, fxid);
		snapshots[i] = rig_snapshot(txns, 0, 0);
	}
	for (pass = 0; pass < 3; pass++)
	{
		for (i = 0; i < VERSIONS; i++)
			for (k = 0; k < 20; k++)
			{
				static uint8_t data[SIZE];
				size_t size = k % 7 < HOT ? SIZE : 50;
				NvmkvBuf value = {0};

				fill_value(data, size, i * 100 + k);
				CHECK_OK(nvmkv_get(rig.db, rig_key(k), &snapshots[i]->base, &value, NULL));
				CHECK(slice_equal(nvmkv_buf_slice(&value), nvmkv_slice(data, size)));
				nvmkv_buf_free(&value);
			}
		check_sound(rig.db);
		if (pass == 0)
			CHECK_OK(nvmkv_flush_all(rig.db));
		else if (pass == 1)
			CHECK_OK(nvmkv_compact_all(rig.db));
	}
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

TEST(locks_are_for_conflict_checks_only)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshot;
	uint64_t holder;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	CHECK_OK(rig_put(rig.db, "key", "value"));
	holder = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_LOCK, rig_slice("key"), holder, 0, nvmkv_slice("s", 1)));
	snapshot = rig_snapshot(txns, holder, 1);
	CHECK_GET(rig.db, "key", &snapshot->base, "value");
	CHECK_EQ(count_rows(rig.db, "", "", true, &snapshot->base), 1);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_TYPES(rig.db, "key", "12 01 ");
	CHECK_GET(rig.db, "key", &snapshot->base, "value");
	rig_commit(txns, holder);
	rig_release(snapshot);
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_TYPES(rig.db, "key", "01 ");

	/* Also for who does not see yet what their transaction has done. */
	holder = rig_begin(txns);
	snapshot = rig_snapshot(txns, 0, 0);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_LOCK, rig_slice("key"), holder, 0, nvmkv_slice("u", 1)));
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice("key"), holder, 1, rig_slice("new")));
	rig_commit(txns, holder);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_TYPES(rig.db, "key", "31 12 01 ");
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_TYPES(rig.db, "key", "31 12 01 ");
	CHECK_GET(rig.db, "key", &snapshot->base, "value");
	rig_release(snapshot);
	CHECK_OK(rig_put(rig.db, "key", "newest"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_TYPES(rig.db, "key", "01 ");
	rig_remove(&rig);
	rig_txns_destroy(txns);
}

TEST(sequence_bounds_what_is_seen)
{
	Rig rig;
	NvmkvSnapshot snapshot = {NULL, NULL, 0, NULL};
	NvmkvBatch batch = {0};
	uint64_t last = 0;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("a"), nvmkv_slice(NULL, 0), rig_slice("2")));
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("a"), nvmkv_slice(NULL, 0), rig_slice("3")));
	CHECK_OK(rig_write(rig.db, &batch, &last));
	nvmkv_batch_free(&batch);
	CHECK_EQ(last, 3);
	CHECK_GET(rig.db, "a", &snapshot, "-");
	snapshot.sequence = 1;
	CHECK_GET(rig.db, "a", &snapshot, "1");
	snapshot.sequence = 2;
	CHECK_GET(rig.db, "a", &snapshot, "2");
	snapshot.sequence = 3;
	CHECK_GET(rig.db, "a", &snapshot, "3");
	CHECK_EQ(count_rows(rig.db, "", "", false, &snapshot), 1);
	rig_remove(&rig);
}

TEST(keys_without_values)
{
	Rig rig;
	NvmkvScan *scan = NULL;
	unsigned place;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(rig_put(rig.db, "b", "2"));
	CHECK_OK(rig_delete(rig.db, "b"));
	CHECK_OK(rig_put(rig.db, "c", "3"));
	for (place = 0; place < 2; place++)
	{
		const NvmkvScanRow *rows;
		unsigned n = 0;

		if (place == 1)
			REQUIRE_OK(nvmkv_flush_all(rig.db));
		REQUIRE_OK(nvmkv_scan_create(rig.db, &scan));
		nvmkv_scan_keys_only(scan);
		REQUIRE_OK(nvmkv_scan_start(scan, rig_slice(""), rig_slice(""), place == 1, NULL));
		REQUIRE_OK(nvmkv_scan_batch(scan, 8, 4096, &rows, &n));
		REQUIRE(n == 2);
		CHECK(slice_equal(rows[place].key, rig_slice("a")) && rows[place].value.size == 0);
		CHECK(slice_equal(rows[1 - place].key, rig_slice("c")) && rows[1 - place].value.size == 0);
		nvmkv_scan_destroy(scan);
	}
	rig_remove(&rig);
}

/* Reads the table's one key; whether its row was the newest entry.  REQUIRES that it is shown. */
static bool
scan_is_newest(NvmkvDb *db, bool reverse, const NvmkvSnapshot *snapshot, uint64_t *mark_out)
{
	NvmkvScan *scan = NULL;
	const NvmkvScanRow *rows;
	unsigned n = 0;
	bool newest = false;

	if (nvmkv_scan_create(db, &scan) == NVMKV_OK &&
		nvmkv_scan_start(scan, rig_slice("a"), rig_slice("b"), reverse, snapshot) == NVMKV_OK &&
		nvmkv_scan_batch(scan, 8, 4096, &rows, &n) == NVMKV_OK && n == 1)
	{
		newest = rows[0].newest;
		*mark_out = nvmkv_scan_mark(scan);
	}
	CHECK_EQ(n, 1);
	nvmkv_scan_destroy(scan);
	return newest;
}

/* Types of what may have come since, with "+" if all there is was asked for. */
static const char *
types_since(NvmkvDb *db, uint64_t mark)
{
	static char text[200];
	bool all = false;

	text[0] = '\0';
	if (nvmkv_versions_since(db, rig_slice("a"), mark, collect_type, text, &all) != NVMKV_OK)
		return "!";
	if (all)
		strcat(text, "+");
	return text;
}

#define CHECK_SINCE(db, mark, expected) \
	do \
	{ \
		const char *check_since_ = types_since((db), (mark)); \
		if (strcmp(check_since_, (expected)) != 0) \
		{ \
			check_failed(__FILE__, __LINE__, "versions since a scan"); \
			fprintf(stderr, "    \"%s\", expected \"%s\"\n", check_since_, (expected)); \
		} \
	} while (0)

TEST(what_has_come_since_a_scan)
{
	Rig rig;
	NvmkvSnapshot first = {.sequence = 1};
	int reverse;

	rig_init(&rig);
	for (reverse = 0; reverse < 2; reverse++)
	{
		uint64_t mark = 0;
		uint64_t later = 0;

		REQUIRE_OK(rig_open(&rig));
		CHECK_OK(rig_put(rig.db, "a", "1"));
		CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK(scan_is_newest(rig.db, reverse != 0, &first, &mark));
		CHECK_SINCE(rig.db, mark, "");
		CHECK_SINCE(rig.db, 0, "01 +");

		/* A later version, in the same memtable as another key. */
		CHECK_OK(rig_put(rig.db, "aa", "0"));
		CHECK_SINCE(rig.db, mark, "");
		CHECK_OK(rig_delete(rig.db, "aa"));
		CHECK_OK(rig_put(rig.db, "a", "2"));
		CHECK_SINCE(rig.db, mark, "01 ");
		CHECK(!scan_is_newest(rig.db, reverse != 0, &first, &later));
		CHECK(scan_is_newest(rig.db, reverse != 0, NULL, &later));

		/* It goes where memtables are not enough. */
		CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK_SINCE(rig.db, mark, "01 01 +");
		CHECK_SINCE(rig.db, later, "01 01 +");
		CHECK(!scan_is_newest(rig.db, reverse != 0, &first, &later));
		CHECK_SINCE(rig.db, later, "");
		rig_close(&rig);
		rig_remove(&rig);
		rig_init(&rig);
	}
	rig_remove(&rig);
}

/* Several keys at once, in any order and each as often as it is named, from whatever has them. */
TEST(versions_of_several_keys)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "c", "c", "a", "zz", "b"};
	static const char *const expected[] = {"01 ", "00 01 ", "01 01 ", "", "01 ", "01 01 ", "01 01 ", "01 ", "", "00 01 "};
	enum { KEYS = sizeof(names) / sizeof(names[0]) };
	NvmkvLook looks[KEYS] = {0};
	char texts[KEYS][200];
	uint64_t mark = 0;
	Rig rig;
	size_t i;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(rig_put(rig.db, "b", "1"));
	CHECK_OK(rig_put(rig.db, "c", "1"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(rig_put(rig.db, "e", "1"));
	CHECK_OK(rig_put(rig.db, "c", "2"));
	CHECK_OK(rig_delete(rig.db, "b"));
	for (i = 0; i < KEYS; i++)
	{
		texts[i][0] = '\0';
		looks[i].key = rig_slice(names[i]);
		looks[i].ctx = texts[i];
	}
	CHECK_OK(nvmkv_versions_of_keys(rig.db, looks, KEYS, collect_type));
	for (i = 0; i < KEYS; i++)
	{
		CHECK(looks[i].all);
		CHECK(strcmp(texts[i], expected[i]) == 0);
	}

	/* Each has a mark of its own. */
	CHECK(scan_is_newest(rig.db, false, NULL, &mark));
	for (i = 0; i < KEYS; i++)
	{
		texts[i][0] = '\0';
		looks[i].mark = i % 2 == 0 ? mark : 0;
	}
	CHECK_OK(nvmkv_versions_of_keys(rig.db, looks, KEYS, collect_type));
	for (i = 0; i < KEYS; i++)
		CHECK(looks[i].all == (i % 2 != 0));
	CHECK(strcmp(texts[0], "") == 0 && strcmp(texts[7], "01 ") == 0 && strcmp(texts[2], "01 ") == 0);
	rig_close(&rig);
	rig_remove(&rig);
}

/*
 * Runs of keys that only one source has, between keys that several have: a forward scan takes the ones straight from
 * their source and the others by the merge, and must not show where it changes from one to the other.
 */
#define RUN_KEYS 600
#define RUN_ROUNDS 8

typedef struct RunVersion
{
	uint64_t sequence; /* 0: none */
	bool is_value;
} RunVersion;

typedef struct Runs
{
	RunVersion version[RUN_KEYS][RUN_ROUNDS];
} Runs;

static NvmkvStatus
write_run_version(NvmkvDb *db, unsigned key, unsigned round, RunVersion *version)
{
	NvmkvBatch batch = {0};
	uint8_t data[100];
	NvmkvStatus st;

	fill_value(data, sizeof(data), (uint64_t) key * 1000003 + round);
	st = nvmkv_batch_put(&batch, version->is_value ? NVMKV_KIND_VALUE : NVMKV_KIND_DELETION, rig_key(key),
						 nvmkv_slice(NULL, 0), nvmkv_slice(data, version->is_value ? sizeof(data) : 0));
	if (st == NVMKV_OK)
		st = rig_write(db, &batch, &version->sequence);
	nvmkv_batch_free(&batch);
	return st;
}

/* Is the key shown at the sequence?  *round_out: by the version of which round. */
static bool
run_shows(const Runs *runs, unsigned key, uint64_t sequence, unsigned *round_out)
{
	unsigned round = RUN_ROUNDS;

	while (round-- > 0)
	{
		const RunVersion *version = &runs->version[key][round];

		if (version->sequence == 0 || version->sequence > sequence)
			continue;
		*round_out = round;
		return version->is_value;
	}
	return false;
}

static void
check_run_scan(NvmkvDb *db, const Runs *runs, uint64_t sequence, bool reverse)
{
	const NvmkvSnapshot snapshot = {NULL, NULL, sequence, NULL};
	unsigned lower = (unsigned) (check_random() % RUN_KEYS);
	unsigned upper = lower + (unsigned) (check_random() % (RUN_KEYS + 1 - lower));
	unsigned max_rows = 1 + (unsigned) (check_random() % 100);
	size_t max_bytes = (size_t) (check_random() % 20000);
	unsigned at = 0; /* keys passed, from the side the scan comes from */
	unsigned key;
	const NvmkvScanRow *rows;
	const NvmkvScanStats *stats;
	NvmkvBuf low = {0};
	uint64_t shown = 0;
	unsigned n = 0;
	NvmkvScan *scan;

	REQUIRE_OK(nvmkv_scan_create(db, &scan));
	CHECK_OK(nvmkv_buf_set(&low, rig_key(lower)));
	REQUIRE_OK(nvmkv_scan_start(scan, nvmkv_buf_slice(&low), rig_key(upper), reverse, &snapshot));
	do
	{
		unsigned i;

		REQUIRE_OK(nvmkv_scan_batch(scan, max_rows, max_bytes, &rows, &n));
		CHECK(n <= max_rows);
		for (i = 0; i < n; i++)
		{
			unsigned round = 0;

			while (at < upper - lower && !run_shows(runs, reverse ? upper - 1 - at : lower + at, sequence, &round))
				at++;
			REQUIRE(at < upper - lower);
			key = reverse ? upper - 1 - at : lower + at;
			at++;
			CHECK(slice_equal(rows[i].key, rig_key(key)));
			CHECK(is_number(rows[i].value, key, round, 100));
			CHECK_EQ(rows[i].sequence, runs->version[key][round].sequence);
		}
		shown += n;
	} while (n > 0);
	for (; at < upper - lower; at++)
	{
		unsigned round;

		CHECK(!run_shows(runs, reverse ? upper - 1 - at : lower + at, sequence, &round));
	}
	stats = nvmkv_scan_stats(scan);
	CHECK_EQ(stats->rows, shown);
	CHECK_EQ(stats->memtable_entries + stats->level0_entries + stats->table_entries, shown);
	nvmkv_scan_destroy(scan);
	nvmkv_buf_free(&low);
}

TEST(scans_change_between_runs_and_merging)
{
	static Runs runs;
	unsigned round, i;
	Rig rig;

	memset(&runs, 0, sizeof(runs));
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	for (round = 0; round < RUN_ROUNDS; round++)
	{
		uint64_t first = 0;
		uint64_t last = 0;
		unsigned key = 0;

		/* Blocks of keys, long and short, with long and short gaps between them; the first round has all. */
		while (key < RUN_KEYS)
		{
			unsigned end = key + 1 + (unsigned) (check_random() % (check_random() % 2 == 0 ? 4 : 60));

			for (; key < end && key < RUN_KEYS; key++)
			{
				RunVersion *version = &runs.version[key][round];

				version->is_value = check_random() % 10 != 0;
				REQUIRE_OK(write_run_version(rig.db, key, round, version));
				first = first != 0 ? first : version->sequence;
				last = version->sequence;
			}
			if (round > 0)
				key += (unsigned) (check_random() % (check_random() % 2 == 0 ? 4 : 200));
		}
		if (round < 6)
			CHECK_OK(nvmkv_flush_all(rig.db));
		if (round == 2)
			CHECK_OK(nvmkv_compact_all(rig.db));
		for (i = 0; i < 60; i++)
			check_run_scan(rig.db, &runs, NVMKV_SEQUENCE_MAX, i % 3 == 0);
		/* From amidst the round, which holds no key twice; so nothing that is seen then has been merged away. */
		for (i = 0; i < 30 && round != 2; i++)
			check_run_scan(rig.db, &runs, first + check_random() % (last - first + 1), i % 3 == 0);
	}
	rig_remove(&rig);
}

TEST(dropped_storages_disappear)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *old;
	char key[32];
	uint64_t drop;
	unsigned i;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	for (i = 0; i < 100; i++)
	{
		snprintf(key, sizeof(key), "storageA%04u", i);
		CHECK_OK(rig_put(rig.db, key, "a"));
		snprintf(key, sizeof(key), "storageB%04u", i);
		CHECK_OK(rig_put(rig.db, key, "b"));
	}
	CHECK_OK(nvmkv_flush_all(rig.db));
	old = rig_snapshot(txns, 0, 0);
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageA"), drop, 0, nvmkv_slice(NULL, 0)));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "storageA", "storageB", false, NULL), 100);
	/* Dropped for good, but somebody may still look. */
	rig_commit(txns, drop);
	CHECK_OK(rig_put(rig.db, "storageA0000", "late"));
	CHECK_OK(rig_put(rig.db, "storageB9999", "b"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "storageA", "storageB", false, NULL), 100);
	rig_release(old);
	CHECK_OK(rig_put(rig.db, "storageA0000", "later"));
	CHECK_OK(rig_put(rig.db, "storageB0001", "c"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "storageA", "storageB", false, NULL), 0);
	CHECK_EQ(count_rows(rig.db, "storageB", "storageC", true, NULL), 101);
	CHECK_EQ(count_rows(rig.db, "", "", true, NULL), 101);
	check_sound(rig.db);
	/* A drop that was undone. */
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageB"), drop, 0, nvmkv_slice(NULL, 0)));
	rig_abort(txns, drop);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "storageB", "storageC", false, NULL), 101);
	rig_remove(&rig);
	rig_txns_destroy(txns);
}

/* Nobody writes to a dropped storage any more: its tables go without a compaction that comes by. */
TEST(dropped_storages_free_their_tables)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *old;
	NvmkvLevelStats levels[8];
	NvmkvStats before, after;
	char key[32];
	uint64_t drop;
	unsigned i, storage;
	uint8_t data[1000];

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 0;
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	for (storage = 0; storage < 3; storage++)
		for (i = 0; i < 5000; i++)
		{
			snprintf(key, sizeof(key), "storage%c%04u", 'A' + (int) storage, i);
			fill_value(data, sizeof(data), i);
			REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0, nvmkv_slice(data, sizeof(data))));
		}
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	old = rig_snapshot(txns, 0, 0);
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageB"), drop, 0, nvmkv_slice(NULL, 0)));
	rig_commit(txns, drop);
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "storageB", "storageC", false, NULL), 5000);
	rig_release(old);
	nvmkv_stats(rig.db, &before);
	CHECK_OK(nvmkv_compact_all(rig.db));
	nvmkv_stats(rig.db, &after);
	/* What is left of it shares tables with the neighbours. */
	CHECK(count_rows(rig.db, "storageB", "storageC", false, NULL) < 2500);
	CHECK_EQ(count_rows(rig.db, "storageA", "storageB", true, NULL), 5000);
	CHECK_EQ(count_rows(rig.db, "storageC", "storageD", true, NULL), 5000);
	CHECK_EQ(after.file_bytes, before.file_bytes);
	CHECK(after.files_deleted >= before.files_deleted + 2);
	check_sound(rig.db);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK(count_rows(rig.db, "storageB", "storageC", false, NULL) < 2500);
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 2);
	check_sound(rig.db);
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

static uint64_t
horizon_is_high(void *ctx)
{
	(void) ctx;
	return 1000;
}

/* Answers from the database's own record, as a host does that has forgotten. */
static NvmkvOutcome
record_outcome(void *ctx, uint64_t fxid)
{
	NvmkvSettled settled;

	CHECK_OK(nvmkv_settled_outcome(ctx, fxid, &settled));
	return settled == NVMKV_SETTLED_COMMITTED ? NVMKV_OUTCOME_COMMITTED
		: settled == NVMKV_SETTLED_ABORTED	  ? NVMKV_OUTCOME_ABORTED
											  : NVMKV_OUTCOME_RUNNING;
}

TEST(outcomes_outlive_the_host_s_memory)
{
	NvmkvTxnOps forgetful = {NULL, NULL, record_outcome, horizon_is_high};
	Rig rig;
	RigTxns *txns = rig_txns_create();
	uint64_t a, b;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	a = rig_begin(txns);
	b = rig_begin(txns);
	CHECK_OK(put_tagged(rig.db, "a", a, 0, "a"));
	CHECK_OK(put_tagged(rig.db, "b", b, 0, "b"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(nvmkv_min_unresolved_fxid(rig.db), a);
	CHECK_OK(rig_settle(txns, rig.db, true));
	CHECK_EQ(nvmkv_settled(rig.db), a);
	rig_commit(txns, a);
	rig_abort(txns, b);
	CHECK_OK(rig_settle(txns, rig.db, true));
	CHECK_EQ(nvmkv_settled(rig.db), b + 1);
	REQUIRE_OK(rig_reopen(&rig));
	forgetful.ctx = rig.db;
	nvmkv_set_txn_ops(rig.db, &forgetful);
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_TYPES(rig.db, "a", "01 ");
	CHECK_TYPES(rig.db, "b", "");
	CHECK_EQ(nvmkv_min_unresolved_fxid(rig.db), 0);
	rig_remove(&rig);
	rig_txns_destroy(txns);
}

/* ---- without a container ---- */

TEST(tables_only)
{
	Rig rig;
	NvmkvLevelStats levels[8];
	NvmkvStats stats;
	uint64_t i, round;
	enum { KEYS = 5000, SIZE = 200 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 0;
	REQUIRE_OK(rig_open(&rig));
	for (round = 0; round < 6; round++)
	{
		for (i = 0; i < KEYS; i++)
			REQUIRE_OK(put_number(rig.db, i * 31 % KEYS, round, SIZE));
		if (round == 3)
			CHECK_OK(rig_work(rig.db, NVMKV_WORK_COMPACT));
		if (round % 2 == 1)
		{
			CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
			REQUIRE_OK(rig_reopen(&rig));
		}
		for (i = 0; i < KEYS; i += 17)
			CHECK(has_number(rig.db, i, round, SIZE));
		CHECK_EQ(count_rows(rig.db, "", "", round % 2 == 0, NULL), KEYS);
		check_sound(rig.db);
	}
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 2);
	CHECK_EQ(levels[0].files, 0);
	CHECK(levels[1].files > 0);
	nvmkv_stats(rig.db, &stats);
	CHECK_EQ(stats.extents_total, 0);
	/* A container from now on; what stands in level 0 by then is older than its rows. */
	CHECK_OK(rig_put(rig.db, "00000001", "older"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	rig.options.nvm_bytes = 16 * MIB;
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_OK(rig_put(rig.db, "00000001", "newer"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_GET(rig.db, "00000001", NULL, "newer");
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_GET(rig.db, "00000001", NULL, "newer");
	check_sound(rig.db);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* A deletion in a table of level 1 that is rewritten for the sake of other keys still hides what level 2 holds. */
TEST(deletions_hide_what_deeper_levels_hold)
{
	Rig rig;
	NvmkvLevelStats levels[8];
	uint64_t i, j;
	enum { KEYS = 12000, SIZE = 1000, STEP = 200 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 0;
	REQUIRE_OK(rig_open(&rig));
	for (i = 0; i < KEYS; i++)
		REQUIRE_OK(put_number(rig.db, i, 0, SIZE));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_COMPACT));
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 3);
	CHECK(levels[1].files > 1 && levels[2].files > 1);
	for (i = 0; i < KEYS; i += STEP)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_DELETION, rig_key(i), 0, 0, nvmkv_slice(NULL, 0)));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	for (j = STEP / 2; j < KEYS; j += STEP)
	{
		REQUIRE_OK(put_number(rig.db, j, 1, SIZE));
		CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK_OK(nvmkv_compact_all(rig.db));
		CHECK_EQ(count_rows(rig.db, "", "", j / STEP % 2 == 0, NULL), KEYS - KEYS / STEP);
	}
	check_sound(rig.db);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- no space ---- */

static bool disk_full;
static const char *disk_full_for; /* paths with this in them; NULL: all */

static bool
is_full(const char *path)
{
	return disk_full && (disk_full_for == NULL || strstr(path, disk_full_for) != NULL);
}

static NvmkvStatus
full_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	uint64_t now = 0;

	/* Blocks that are there already can be written to. */
	if (is_full(port_file_path(file)) && (port_posix_files.size(file, &now) != NVMKV_OK || offset + size > now))
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space for \"%s\"", port_file_path(file));
	return port_posix_files.write(file, offset, data, size);
}

static NvmkvStatus
full_preallocate(PortFile *file, uint64_t size)
{
	if (is_full(port_file_path(file)))
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space for \"%s\"", port_file_path(file));
	return port_posix_files.preallocate(file, size);
}

static void
fill_the_disk(const char *for_paths, uint64_t nvm_bytes)
{
	PortFileOps files = rig_quick_files;
	Rig rig;
	NvmkvStatus st = NVMKV_OK;
	NvmkvStats stats;
	uint64_t i;
	uint64_t written = 0;
	unsigned fills;
	enum { SIZE = 900 };

	files.write = full_write;
	files.preallocate = full_preallocate;
	port_files = &files;
	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	REQUIRE_OK(rig_open(&rig));
	for (fills = 0; fills < 3; fills++)
	{
		for (i = 0; i < 3000; i++)
			REQUIRE_OK(put_number(rig.db, written + i, 0, SIZE));
		written += 3000;
		disk_full = true;
		disk_full_for = for_paths;
		for (i = 0; i < 60000 && (st = put_number(rig.db, written, 0, SIZE)) == NVMKV_OK; i++)
			written++;
		CHECK_STATUS(st, NVMKV_NO_SPACE);
		CHECK_STATUS(put_number(rig.db, written, 0, SIZE), NVMKV_NO_SPACE);
		/* Reads go on. */
		CHECK(has_number(rig.db, written - 1, 0, SIZE));
		CHECK(has_number(rig.db, 0, 0, SIZE));
		CHECK(!has_number(rig.db, written, 0, SIZE));
		disk_full = false;
		/* So do writes, by themselves, when there is space. */
		for (i = 0; i < 5000; i++)
			REQUIRE_OK(put_number(rig.db, written + i, 0, SIZE));
		written += 5000;
		nvmkv_stats(rig.db, &stats);
		CHECK(!stats.sticky);
	}
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	REQUIRE_OK(rig_reopen(&rig));
	for (i = 0; i < written; i += 7)
		CHECK(has_number(rig.db, i, 0, SIZE));
	CHECK_EQ(count_rows(rig.db, "", "", false, NULL), written);
	check_sound(rig.db);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(full_disk)
{
	fill_the_disk(NULL, 16 * MIB);
}

TEST(full_disk_for_tables)
{
	fill_the_disk(".sst", 16 * MIB);
}

TEST(full_disk_without_container)
{
	fill_the_disk(".sst", 0);
}

TEST(full_disk_for_the_manifest)
{
	fill_the_disk("MANIFEST", 16 * MIB);
}

/* ---- limits, gate ---- */

TEST(limits_are_told)
{
	Rig rig;
	NvmkvBatch batch = {0};
	uint8_t *big = calloc(1, NVMKV_VALUE_BYTES_MAX + 1);
	size_t largest;
	uint64_t last;

	REQUIRE(big != NULL);
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_STATUS(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, nvmkv_slice(big, NVMKV_KEY_BYTES_MAX + 1), rig_slice(""),
								 rig_slice("")),
				 NVMKV_LIMIT);
	CHECK_STATUS(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("k"), rig_slice(""),
								 nvmkv_slice(big, NVMKV_VALUE_BYTES_MAX + 1)),
				 NVMKV_LIMIT);
	CHECK_STATUS(nvmkv_write(rig.db, &batch, &last), NVMKV_INVALID); /* still empty */
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("k"), nvmkv_slice(NULL, 0), nvmkv_slice(big, 1 * MIB)));
	CHECK_STATUS(nvmkv_write(rig.db, &batch, &last), NVMKV_LIMIT);
	CHECK_STATUS(nvmkv_wait_room(rig.db, batch.memtable_bytes), NVMKV_LIMIT);
	nvmkv_batch_clear(&batch);
	/* The largest that fits, does. */
	largest = nvmkv_batch_bytes_max(rig.db) - NVMKV_KEY_BYTES_MAX - BATCH_ENTRY_OVERHEAD;
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, nvmkv_slice(big, NVMKV_KEY_BYTES_MAX), nvmkv_slice(NULL, 0),
							 nvmkv_slice(big, largest)));
	CHECK_OK(rig_write(rig.db, &batch, &last));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "", "", false, NULL), 1);
	nvmkv_batch_free(&batch);
	free(big);
	rig_remove(&rig);
}

TEST(gate_keeps_writers_out)
{
	Rig rig;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(nvmkv_close_gate(rig.db));
	CHECK_STATUS(rig_put(rig.db, "a", "2"), NVMKV_READ_ONLY);
	CHECK_STATUS(nvmkv_wait_room(rig.db, 100), NVMKV_READ_ONLY);
	CHECK_GET(rig.db, "a", NULL, "1");
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_GET(rig.db, "a", NULL, "1");
	nvmkv_open_gate(rig.db);
	CHECK_OK(rig_put(rig.db, "a", "3"));
	CHECK_GET(rig.db, "a", NULL, "3");
	rig_remove(&rig);
}

/* ---- long scans ---- */

TEST(old_cursor_while_the_container_turns_over)
{
	Rig rig;
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshot;
	NvmkvScan *scans[2] = {NULL, NULL};
	NvmkvStats stats;
	uint64_t first = rig_begin(txns);
	uint64_t at[2] = {0, 0};
	uint64_t i, round;
	unsigned s;
	bool did, more;
	enum { KEYS = 1000, SIZE = 400, ROUNDS = 100, CHURN = 2000 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	for (i = 0; i < KEYS; i++)
	{
		uint8_t data[SIZE];

		fill_value(data, SIZE, i);
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(i), first, 0, nvmkv_slice(data, SIZE)));
	}
	rig_commit(txns, first);
	snapshot = rig_snapshot(txns, 0, 0);
	for (s = 0; s < 2; s++)
	{
		REQUIRE_OK(nvmkv_scan_create(rig.db, &scans[s]));
		REQUIRE_OK(nvmkv_scan_start(scans[s], rig_slice(""), rig_slice("9"), s == 1, &snapshot->base));
	}
	for (round = 0; round < ROUNDS; round++)
	{
		for (s = 0; s < 2; s++)
		{
			const NvmkvScanRow *rows;
			unsigned n, r;

			REQUIRE_OK(nvmkv_scan_batch(scans[s], KEYS / ROUNDS, SIZE_MAX, &rows, &n));
			CHECK_EQ(n, KEYS / ROUNDS);
			for (r = 0; r < n; r++, at[s]++)
			{
				uint64_t key = s == 1 ? KEYS - 1 - at[s] : at[s];
				uint8_t data[SIZE];

				fill_value(data, SIZE, key);
				CHECK(slice_equal(rows[r].key, rig_key(key)));
				CHECK(slice_equal(rows[r].value, nvmkv_slice(data, SIZE)));
			}
		}
		/* Others overwrite and delete what is scanned, and churn beside it. */
		if (round % 10 == 0)
		{
			uint64_t fxid = rig_begin(txns);

			for (i = 0; i < KEYS; i++)
				REQUIRE_OK(rig_entry(rig.db, i % 3 == 0 ? NVMKV_KIND_DELETION : NVMKV_KIND_VALUE, rig_key(i), fxid, 0,
									 i % 3 == 0 ? rig_slice("") : rig_slice("new")));
			rig_commit(txns, fxid);
		}
		for (i = 0; i < CHURN; i++)
			REQUIRE_OK(put_number(rig.db, 90000000 + i, round, SIZE));
	}
	for (s = 0; s < 2; s++)
	{
		const NvmkvScanRow *rows;
		unsigned n;

		CHECK_OK(nvmkv_scan_batch(scans[s], 10, SIZE_MAX, &rows, &n));
		CHECK_EQ(n, 0);
		CHECK_EQ(nvmkv_scan_stats(scans[s])->rows, KEYS);
	}
	nvmkv_stats(rig.db, &stats);
	/* The container was filled several times, and the open scans held nothing back. */
	CHECK(stats.nvm_bytes > 4 * rig.options.nvm_bytes);
	CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more));
	CHECK(!more);
	for (s = 0; s < 2; s++)
		nvmkv_scan_destroy(scans[s]);
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

/* ---- sizes ---- */

TEST(ten_thousand_tiny_flushes)
{
	Rig rig;
	uint64_t i;
	const uint64_t flushes = check_part(10000);
	enum { KEYS = 700 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	for (i = 0; i < flushes; i++)
	{
		bool did, more;
		NvmkvStatus st;

		REQUIRE_OK(put_number(rig.db, i % KEYS, i / KEYS, 20));
		while ((st = nvmkv_switch_memtable(rig.db)) == NVMKV_BUSY)
		{
			(void) nvmkv_work(rig.db, NVMKV_WORK_FLUSH, &did, &more);
			(void) nvmkv_work(rig.db, NVMKV_WORK_COMPACT, &did, &more);
			(void) nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more);
		}
		REQUIRE_OK(st);
	}
	CHECK_OK(nvmkv_flush_all(rig.db));
	for (i = flushes - KEYS; i < flushes; i++)
		CHECK(has_number(rig.db, i % KEYS, i / KEYS, 20));
	check_sound(rig.db);
	REQUIRE_OK(rig_reopen(&rig));
	for (i = flushes - KEYS; i < flushes; i++)
		CHECK(has_number(rig.db, i % KEYS, i / KEYS, 20));
	CHECK_EQ(count_rows(rig.db, "", "", true, NULL), KEYS);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(values_of_all_sizes)
{
	Rig rig;
	unsigned pass;
	size_t size;
	enum { HUGE_KEY = 99999999 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.write_buffer_bytes = 10 * MIB;
	rig.options.nvm_bytes = 40 * MIB;
	REQUIRE_OK(rig_open(&rig));
	for (size = 0; size <= 65536; size = size < 40 ? size + 1 : size * 5 / 4)
		REQUIRE_OK(put_number(rig.db, size, 1, size));
	REQUIRE_OK(put_number(rig.db, 65536, 1, 65536));
	REQUIRE_OK(put_number(rig.db, HUGE_KEY, 1, 8 * MIB));
	for (pass = 0; pass < 5; pass++)
	{
		for (size = 0; size <= 65536; size = size < 40 ? size + 1 : size * 5 / 4)
			CHECK(has_number(rig.db, size, 1, size));
		CHECK(has_number(rig.db, 65536, 1, 65536));
		CHECK(has_number(rig.db, HUGE_KEY, 1, 8 * MIB));
		check_sound(rig.db);
		if (pass == 0)
		{
			CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
			REQUIRE_OK(rig_reopen(&rig));
		}
		else if (pass == 1)
			CHECK_OK(nvmkv_flush_all(rig.db));
		else if (pass == 2)
			CHECK_OK(nvmkv_compact_all(rig.db));
		else if (pass == 3)
			REQUIRE_OK(rig_reopen(&rig));
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* Work is offered after every write, as idle workers do; the gate must not take it for every few rows. */
TEST(light_load_keeps_write_amplification_low)
{
	Rig rig;
	NvmkvLevelStats levels[8];
	uint64_t i;
	const uint64_t writes = check_sanitized() ? 40000 : 150000;
	enum { KEYS = 20000, SIZE = 500 };

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 32 * MIB;
	rig.options.l0_write_amplification = 3.0;
	REQUIRE_OK(rig_open(&rig));
	for (i = 0; i < writes; i++)
	{
		bool did, more;

		REQUIRE_OK(put_number(rig.db, check_random_below(KEYS), i, SIZE));
		if (i % 50 == 0)
		{
			CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_FLUSH, &did, &more));
			CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_COMPACT, &did, &more));
			CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more));
		}
	}
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 2);
	printf("write amplification of level 1: %.2f\n", levels[1].write_amplification);
	CHECK(levels[1].write_amplification > 0 && levels[1].write_amplification <= rig.options.l0_write_amplification);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- a host that raises ---- */

static jmp_buf raised;
static bool raise_in_append;

typedef struct HostLog
{
	uint64_t last;
	struct
	{
		uint64_t base;
		uint8_t *bytes;
		size_t size;
	} records[1000];
	unsigned n;
} HostLog;

static NvmkvStatus
host_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	HostLog *log = ctx;

	if (raise_in_append)
		longjmp(raised, 1);
	log->records[log->n].base = log->last + 1;
	log->records[log->n].bytes = malloc(batch.size);
	if (log->records[log->n].bytes == NULL)
		return NVMKV_NO_MEMORY;
	memcpy(log->records[log->n].bytes, batch.data, batch.size);
	log->records[log->n++].size = batch.size;
	/* Like a log whose positions are bytes: sequences with gaps. */
	log->last += count;
	*last_sequence_out = log->last;
	log->last += 5;
	return NVMKV_OK;
}

static NvmkvStatus
host_flush(void *ctx, uint64_t sequence)
{
	(void) ctx;
	(void) sequence;
	return NVMKV_OK;
}

static uint64_t
host_position(void *ctx)
{
	return ((HostLog *) ctx)->last;
}

static NvmkvSight
visible_raises(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	(void) ctx;
	(void) key;
	(void) fxid;
	(void) cid;
	(void) committed_hint;
	(void) memo;
	longjmp(raised, 1);
}

static NvmkvOutcome
outcome_raises(void *ctx, uint64_t fxid)
{
	(void) ctx;
	(void) fxid;
	longjmp(raised, 1);
}

static NvmkvStatus
host_open(Rig *rig, HostLog *log)
{
	NvmkvLogOps ops = {log, host_append, host_flush, host_position};

	rig->options.standalone_log = false;
	rig->memory_bytes = nvmkv_shm_bytes(&rig->options);
	rig->memory = port_posix_shared_alloc(rig->memory_bytes);
	if (rig->memory == NULL)
		return NVMKV_NO_MEMORY;
	return nvmkv_open(rig->memory, rig->path, &rig->options, &ops, &rig->db);
}

static HostLog host_log;

TEST(host_s_log_and_replay)
{
	Rig rig;
	unsigned i, life;

	memset(&host_log, 0, sizeof(host_log));
	rig_init(&rig);
	CHECK_STATUS(rig.options.standalone_log = false, NVMKV_OK);
	for (life = 0; life < 4; life++)
	{
		uint64_t durable;
		char key[16];

		REQUIRE_OK(host_open(&rig, &host_log));
		CHECK_STATUS(rig_put(rig.db, "early", "x"), NVMKV_READ_ONLY);
		durable = nvmkv_durable_seq(rig.db);
		for (i = 0; i < host_log.n; i++)
			if (host_log.records[i].base > durable)
				CHECK_OK(nvmkv_replay(rig.db, nvmkv_slice(host_log.records[i].bytes, host_log.records[i].size),
									  host_log.records[i].base));
		nvmkv_open_gate(rig.db);
		for (i = 0; i < life * 20; i++)
		{
			snprintf(key, sizeof(key), "key%u", i);
			CHECK(strcmp(get_text(rig.db, key, NULL), key) == 0);
		}
		for (i = life * 20; i < life * 20 + 20; i++)
		{
			snprintf(key, sizeof(key), "key%u", i);
			CHECK_OK(rig_put(rig.db, key, key));
			if (i % 20 == 10 && life != 1)
				CHECK_OK(nvmkv_flush_all(rig.db));
		}
		CHECK(nvmkv_durable_seq(rig.db) >= durable);
		rig_close(&rig);
	}
	rig_remove(&rig);
	for (i = 0; i < host_log.n; i++)
		free(host_log.records[i].bytes);
}

TEST(host_raises_anywhere)
{
	NvmkvSnapshot raising = {NULL, visible_raises, NVMKV_SEQUENCE_MAX, NULL};
	const NvmkvTxnOps ops = {NULL, NULL, outcome_raises, NULL};
	Rig rig;
	NvmkvBatch batch = {0};
	NvmkvScan *volatile scan = NULL;
	volatile unsigned place;
	unsigned i;
	bool did, more;

	memset(&host_log, 0, sizeof(host_log));
	rig_init(&rig);
	REQUIRE_OK(host_open(&rig, &host_log));
	nvmkv_open_gate(rig.db);
	CHECK_OK(put_tagged(rig.db, "key", 7, 0, "value"));
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("other"), nvmkv_slice(NULL, 0), rig_slice("x")));
	for (place = 0; place < 3; place++)
	{
		uint64_t last;

		/* Writing. */
		raise_in_append = true;
		if (setjmp(raised) == 0)
		{
			(void) nvmkv_write(rig.db, &batch, &last);
			CHECK(false);
		}
		raise_in_append = false;
		nvmkv_abort_cleanup(rig.db);
		CHECK_GET(rig.db, "other", NULL, "-");
		/* Reading a point. */
		if (setjmp(raised) == 0)
		{
			(void) get_text(rig.db, "key", &raising);
			CHECK(false);
		}
		nvmkv_abort_cleanup(rig.db);
		/* Scanning. */
		if (setjmp(raised) == 0)
		{
			const NvmkvScanRow *rows;
			NvmkvScan *s;
			unsigned n;

			REQUIRE_OK(nvmkv_scan_create(rig.db, &s));
			scan = s;
			CHECK_OK(nvmkv_scan_start(scan, rig_slice(""), rig_slice(""), place == 1, &raising));
			(void) nvmkv_scan_batch(scan, 10, 1000, &rows, &n);
			CHECK(false);
		}
		nvmkv_abort_cleanup(rig.db);
		nvmkv_scan_destroy(scan);
		/* Nothing is held: what this flush and compaction retire can be reused at once. */
		if (place == 0)
			CHECK_OK(nvmkv_flush_all(rig.db));
		if (place == 1)
			CHECK_OK(nvmkv_compact_all(rig.db));
		CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more));
		CHECK(!more);
	}
	/* Background work. */
	nvmkv_set_txn_ops(rig.db, &ops);
	CHECK_OK(put_tagged(rig.db, "third", 8, 0, "value"));
	CHECK_OK(nvmkv_switch_memtable(rig.db));
	for (i = 0; i < 3; i++)
	{
		if (setjmp(raised) == 0)
		{
			(void) nvmkv_work(rig.db, NVMKV_WORK_FLUSH, &did, &more);
			CHECK(false);
		}
		nvmkv_abort_cleanup(rig.db);
	}
	nvmkv_set_txn_ops(rig.db, NULL);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(count_rows(rig.db, "", "", false, NULL), 0);
	check_sound(rig.db);
	nvmkv_batch_free(&batch);
	rig_remove(&rig);
	for (i = 0; i < host_log.n; i++)
		free(host_log.records[i].bytes);
}

/* ---- media ---- */

static void
copy_file(const char *from, const char *to)
{
	char command[2200];

	snprintf(command, sizeof(command), "cp --sparse=never '%s' '%s'", from, to);
	CHECK(system(command) == 0);
}

/* Changes one byte; offset from the end when negative. */
static void
flip_byte(const char *path, long offset)
{
	FILE *f = fopen(path, "r+b");
	int c;

	REQUIRE(f != NULL);
	CHECK(fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET) == 0);
	c = fgetc(f);
	CHECK(c != EOF);
	CHECK(fseek(f, offset, offset < 0 ? SEEK_END : SEEK_SET) == 0);
	CHECK(fputc(c ^ 0x40, f) != EOF);
	fclose(f);
}

/* Where the text stands in the file, or -1. */
static long
find_in_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "rb");
	size_t n = strlen(text);
	static char buffer[1 << 16];
	long at = 0;
	long found = -1;

	if (f == NULL)
		return -1;
	while (found < 0)
	{
		size_t got, i;

		if (fseek(f, at, SEEK_SET) != 0 || (got = fread(buffer, 1, sizeof(buffer), f)) < n)
			break;
		for (i = 0; i + n <= got && found < 0; i++)
			if (memcmp(buffer + i, text, n) == 0)
				found = at + (long) i;
		at += (long) (got - n + 1);
	}
	fclose(f);
	return found;
}

/* The first file in the database whose name ends like this. */
static bool
find_file(const Rig *rig, const char *suffix, char *path, size_t size)
{
	DIR *dir = opendir(rig->path);
	struct dirent *entry;
	bool found = false;

	if (dir == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL)
	{
		const char *at = strstr(entry->d_name, suffix);

		if (at != NULL)
		{
			rig_path(rig, entry->d_name, path, size);
			found = true;
		}
	}
	closedir(dir);
	return found;
}

/* A database with tables, rows and log records. */
static void
make_all_parts(Rig *rig)
{
	uint64_t i;

	rig_init(rig);
	REQUIRE_OK(rig_open(rig));
	for (i = 0; i < 500; i++)
		REQUIRE_OK(put_number(rig->db, i, 0, 300));
	CHECK_OK(rig_put(rig->db, "intable", "needle in a table"));
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(nvmkv_compact_all(rig->db));
	CHECK_OK(rig_put(rig->db, "inrow", "needle in a row"));
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(rig_put(rig->db, "inlog", "needle in the log"));
	CHECK_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
}

TEST(corruption_is_found_and_told)
{
	Rig rig;
	char path[700];
	unsigned problems = 0;
	NvmkvBuf value = {0};

	make_all_parts(&rig);
	check_sound(rig.db);
	CHECK_OK(nvmkv_flush_all(rig.db));
	rig_close(&rig);
	/* A row. */
	rig_path(&rig, "level0.pool", path, sizeof(path));
	flip_byte(path, find_in_file(path, "needle in a row") + 3);
	REQUIRE_OK(rig_open(&rig));
	CHECK_STATUS(nvmkv_get(rig.db, rig_slice("inrow"), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	CHECK_GET(rig.db, "intable", NULL, "needle in a table");
	CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
	CHECK_OK(nvmkv_check(rig.db, count_problem, &problems));
	CHECK(problems > 0);
	/* Compaction goes round it, and the key stays lost. */
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_STATUS(nvmkv_get(rig.db, rig_slice("inrow"), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	CHECK_GET(rig.db, "intable", NULL, "needle in a table");
	CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
	rig_remove(&rig);

	/* A table. */
	make_all_parts(&rig);
	rig_close(&rig);
	REQUIRE(find_file(&rig, ".sst", path, sizeof(path)));
	flip_byte(path, 1000);
	REQUIRE_OK(rig_open(&rig));
	problems = 0;
	CHECK_OK(nvmkv_check(rig.db, count_problem, &problems));
	CHECK(problems > 0);
	CHECK_STATUS(nvmkv_get(rig.db, rig_key(1), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, ".sst") != NULL);
	nvmkv_buf_free(&value);
	rig_remove(&rig);
}

/* Spoils a copy-able file of a good database; opening must fail with this status and name the file. */
static void
check_spoilt(const char *suffix, void (*spoil)(const char *path), NvmkvStatus expected)
{
	Rig rig;
	char path[700];
	char saved[800];
	const char *name;

	make_all_parts(&rig);
	rig_close(&rig);
	REQUIRE(find_file(&rig, suffix, path, sizeof(path)));
	snprintf(saved, sizeof(saved), "%s/saved", rig.dir);
	copy_file(path, saved);
	spoil(path);
	if (!CHECK_STATUS(rig_open(&rig), expected))
		fprintf(stderr, "    (spoilt: %s)\n", path);
	name = strrchr(path, '/') + 1;
	if (strstr(nvmkv_error()->text, strcmp(suffix, "CURRENT") == 0 ? "CURRENT" : name) == NULL)
	{
		check_failed(__FILE__, __LINE__, "the message names the file");
		fprintf(stderr, "    %s: %s\n", name, nvmkv_error()->text);
	}
	/* Nothing was made worse. */
	copy_file(saved, path);
	REQUIRE_OK(rig_open(&rig));
	CHECK_GET(rig.db, "intable", NULL, "needle in a table");
	CHECK_GET(rig.db, "inrow", NULL, "needle in a row");
	CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
	check_sound(rig.db);
	rig_remove(&rig);
}

/* The same where it costs what is in the file alone, until that comes back. */
static void
check_lives_on(const char *suffix, void (*spoil)(const char *path))
{
	Rig rig;
	char path[700];
	char saved[800];
	NvmkvBuf value = {0};

	make_all_parts(&rig);
	rig_close(&rig);
	REQUIRE(find_file(&rig, suffix, path, sizeof(path)));
	snprintf(saved, sizeof(saved), "%s/saved", rig.dir);
	copy_file(path, saved);
	spoil(path);
	REQUIRE_OK(rig_open(&rig));
	CHECK_STATUS(nvmkv_get(rig.db, rig_slice("intable"), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, strrchr(path, '/') + 1) != NULL);
	CHECK_GET(rig.db, "inrow", NULL, "needle in a row");
	CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
	rig_close(&rig);
	copy_file(saved, path);
	REQUIRE_OK(rig_open(&rig));
	CHECK_GET(rig.db, "intable", NULL, "needle in a table");
	check_sound(rig.db);
	nvmkv_buf_free(&value);
	rig_remove(&rig);
}

static void
remove_it(const char *path)
{
	CHECK(unlink(path) == 0);
}

static void
halve_it(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	CHECK(truncate(path, st.st_size / 2) == 0);
}

/* Only the header is left. */
static void
cut_it(const char *path)
{
	CHECK(truncate(path, MIB) == 0);
}

static void
empty_it(const char *path)
{
	CHECK(truncate(path, 0) == 0);
}

static void
garble_start(const char *path)
{
	flip_byte(path, 10);
}

static void
garble_record(const char *path)
{
	/* In the header of the file comes the magic, then the first record. */
	flip_byte(path, 60);
}

TEST(spoilt_files_are_named_and_left_alone)
{
	port_files = &rig_quick_files;
	check_spoilt("level0.pool", remove_it, NVMKV_NOT_FOUND);
	check_spoilt("level0.pool", cut_it, NVMKV_CORRUPTION);
	check_spoilt("level0.pool", empty_it, NVMKV_CORRUPTION);
	check_spoilt("level0.pool", garble_start, NVMKV_CORRUPTION);
	check_lives_on(".sst", remove_it);
	check_lives_on(".sst", halve_it);
	check_spoilt("CURRENT", remove_it, NVMKV_CORRUPTION);
	check_spoilt("CURRENT", empty_it, NVMKV_CORRUPTION);
	check_spoilt("CURRENT", garble_start, NVMKV_CORRUPTION);
	check_spoilt("MANIFEST-", remove_it, NVMKV_CORRUPTION);
	check_spoilt("MANIFEST-", empty_it, NVMKV_CORRUPTION);
	check_spoilt("MANIFEST-", garble_record, NVMKV_CORRUPTION);
	check_spoilt(".log", garble_start, NVMKV_CORRUPTION);
	port_files = &port_posix_files;
}

TEST(foreign_files_are_refused)
{
	Rig rig, other;
	char path[700], foreign[700];

	port_files = &rig_quick_files;
	make_all_parts(&rig);
	rig_close(&rig);
	rig.options.system_identifier++;
	CHECK_STATUS(rig_open(&rig), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "another system") != NULL);
	rig.options.system_identifier--;
	REQUIRE_OK(rig_open(&rig));
	rig_close(&rig);
	/* The pool of another database of the same system. */
	make_all_parts(&other);
	rig_close(&other);
	rig_path(&rig, "level0.pool", path, sizeof(path));
	rig_path(&other, "level0.pool", foreign, sizeof(foreign));
	copy_file(foreign, path);
	CHECK_STATUS(rig_open(&rig), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	rig_remove(&other);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(missing_log_file_is_noticed)
{
	Rig rig;
	char path[700];
	uint64_t i;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.max_write_buffers = 6;
	REQUIRE_OK(rig_open(&rig));
	/* Flushed is only the first memtable, with which the log's first file ends; more log is written than that. */
	for (i = 0; i < 3000; i++)
	{
		bool did, more;

		REQUIRE_OK(put_number(rig.db, i, 0, 1000));
		if (i == 1500)
			CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_FLUSH, &did, &more));
	}
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&rig);
	rig_path(&rig, "000001.log", path, sizeof(path));
	CHECK(unlink(path) == 0);
	CHECK_STATUS(rig_open(&rig), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "missing") != NULL);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(log_has_a_directory_of_its_own)
{
	Rig rig;
	char dir[600], path[700];
	uint64_t i, lives;

	port_files = &rig_quick_files;
	rig_init(&rig);
	(void) snprintf(dir, sizeof(dir), "%s/log", rig.dir);
	rig.options.log_dir = dir;
	REQUIRE_OK(rig_open(&rig));
	(void) snprintf(path, sizeof(path), "%s/000001.log", dir);
	CHECK(access(path, F_OK) == 0);
	rig_path(&rig, "000001.log", path, sizeof(path));
	CHECK(access(path, F_OK) != 0);
	for (lives = 0; lives < 3; lives++)
	{
		for (i = 0; i < 3000; i++)
			REQUIRE_OK(put_number(rig.db, i, lives, 1000));
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		REQUIRE_OK(rig_reopen(&rig));
		for (i = 0; i < 3000; i++)
			CHECK(has_number(rig.db, i, lives, 1000));
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- failures that stay ---- */

static const char *sync_fails_for;

static NvmkvStatus
failing_sync(PortFile *file)
{
	if (sync_fails_for != NULL && strstr(port_file_path(file), sync_fails_for) != NULL)
		return NVMKV_FAIL(NVMKV_IO, "sync of \"%s\" failed", port_file_path(file));
	return NVMKV_OK;
}

TEST(failed_syncs_are_sticky)
{
	static const char *const files_that_fail[] = {".log", "level0.pool", "MANIFEST", ".sst"};
	PortFileOps files = rig_quick_files;
	unsigned i;

	files.sync = failing_sync;
	port_files = &files;
	for (i = 0; i < 4; i++)
	{
		Rig rig;
		NvmkvStats stats;

		sync_fails_for = NULL;
		make_all_parts(&rig);
		CHECK_OK(rig_put(rig.db, "more", "1"));
		sync_fails_for = files_that_fail[i];
		if (i == 0)
			CHECK_STATUS(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX), NVMKV_IO);
		else
			CHECK_STATUS(i == 3 ? nvmkv_compact_all(rig.db) : nvmkv_flush_all(rig.db), NVMKV_IO);
		sync_fails_for = NULL;
		nvmkv_stats(rig.db, &stats);
		CHECK(stats.sticky);
		CHECK_STATUS(rig_put(rig.db, "no", "1"), NVMKV_READ_ONLY);
		CHECK(strstr(nvmkv_error()->text, "sync of") != NULL);
		CHECK_STATUS(nvmkv_flush_all(rig.db), NVMKV_READ_ONLY);
		CHECK_STATUS(nvmkv_compact_all(rig.db), NVMKV_READ_ONLY);
		CHECK_STATUS(rig_put(rig.db, "no", "1"), NVMKV_READ_ONLY);
		CHECK(strstr(nvmkv_error()->text, "sync of") != NULL);
		/* Reads go on, and after a restart everything. */
		CHECK_GET(rig.db, "inrow", NULL, "needle in a row");
		CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
		REQUIRE_OK(rig_reopen(&rig));
		CHECK_GET(rig.db, "intable", NULL, "needle in a table");
		CHECK_GET(rig.db, "inrow", NULL, "needle in a row");
		CHECK_GET(rig.db, "inlog", NULL, "needle in the log");
		CHECK_OK(rig_put(rig.db, "more", "2"));
		CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK_OK(nvmkv_compact_all(rig.db));
		CHECK_GET(rig.db, "more", NULL, "2");
		check_sound(rig.db);
		rig_remove(&rig);
	}
	port_files = &port_posix_files;
}

/* ---- views ---- */

TEST(views_add_up)
{
	Rig rig;
	NvmkvStats stats;
	NvmkvMemtableStats memtables[16];
	NvmkvRowStats rows[64];
	NvmkvLevelStats levels[8];
	NvmkvJobStats jobs[64];
	NvmkvEstimate estimate;
	uint64_t i;
	unsigned n;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	/* Of two processes, each of which counts for itself. */
	for (i = 0; i < 3000; i++)
	{
		port_posix_set_slot(i % 1000 < 500 ? 1 : 0);
		REQUIRE_OK(put_number(rig.db, i, 0, 900));
	}
	CHECK_OK(nvmkv_flush_all(rig.db));
	n = nvmkv_row_stats(rig.db, rows, 64);
	CHECK(n >= 2);
	for (i = 0; n > 0; n--)
		i += rows[n - 1].live_entries;
	CHECK_EQ(i, 3000);
	CHECK_OK(nvmkv_estimate(rig.db, rig_key(1000), rig_key(2000), &estimate));
	CHECK(estimate.entries > 900 && estimate.entries < 1100);
	CHECK(estimate.bytes > 900 * 900);
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(nvmkv_row_stats(rig.db, rows, 64), 0);
	CHECK(nvmkv_level_stats(rig.db, levels, 8) >= 2);
	CHECK(levels[1].files >= 2);
	CHECK(levels[1].bytes_written >= levels[1].bytes);
	CHECK_OK(nvmkv_estimate(rig.db, rig_key(1000), rig_key(2000), &estimate));
	CHECK(estimate.entries > 900 && estimate.entries < 1100);
	CHECK_EQ(nvmkv_memtable_stats(rig.db, memtables, 16), rig.options.max_write_buffers);
	n = nvmkv_job_stats(rig.db, jobs, 64);
	CHECK(n >= 3);
	while (n-- > 0)
		CHECK(strcmp(jobs[n].phase, "finished") == 0 && jobs[n].finished_clock_us >= jobs[n].started_clock_us);
	nvmkv_stats(rig.db, &stats);
	CHECK_EQ(stats.writes, 3000);
	CHECK_EQ(stats.entries_written, 3000);
	CHECK(stats.user_bytes == 3000 * 908);
	CHECK_EQ(stats.extents_free, stats.extents_total);
	CHECK_EQ(stats.last_sequence, 3000);
	CHECK_EQ(stats.durable_seq, 3000);
	CHECK_EQ(stats.errors, 0);
	nvmkv_reset_stats(rig.db);
	nvmkv_stats(rig.db, &stats);
	CHECK_EQ(stats.writes, 0);
	CHECK_EQ(stats.entries_written, 0);
	CHECK_EQ(stats.user_bytes, 0);
	CHECK_EQ(stats.log_bytes, 0);
	CHECK_EQ(stats.last_sequence, 3000);
	CHECK_EQ(stats.durable_seq, 3000);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
