/*
 * value_test.c
 *	  Values apart from their keys: which they are, how they are read, how their
 *	  space comes back, what damage and failures do to them.
 */
#include "engine/job/value.h"
#include "engine/tree/tree.h"
#include "engine/job/value_collect.h"

#include <dirent.h>
#include <setjmp.h>
#include <sys/wait.h>

#include "lib/rig.h"

#include "lib/check.h"

#define KIB ((size_t) 1024)
#define MIB ((size_t) 1 << 20)
#define KEYS_MAX 20000
#define NONE UINT32_MAX
#define IDLE_STEPS_MAX 2000

/* ---- a database, and what is to be in it ---- */

typedef struct Expected
{
	uint32_t round; /* NONE: the key is not there */
	uint32_t size;
} Expected;

typedef struct Store
{
	Rig rig;
	unsigned family; /* that has the keys */
	NvmkvDb *db;	 /* its handle */
	bool compressible;
	size_t key_bytes; /* of each key; 0: those of rig_key */
	uint32_t keys;
	Expected expected[KEYS_MAX];
} Store;

static Store store;

static void
store_init(void)
{
	uint32_t i;

	memset(&store, 0, sizeof(store));
	port_files = &rig_quick_files;
	rig_init(&store.rig);
	for (i = 0; i < KEYS_MAX; i++)
		store.expected[i].round = NONE;
}

static void
store_open(void)
{
	REQUIRE_OK(rig_reopen(&store.rig));
	store.db = store.rig.db;
	if (store.family != 0)
		CHECK_OK(nvmkv_family(store.rig.db, store.family, &store.db));
}

static void
store_remove(void)
{
	rig_remove(&store.rig);
	port_files = &port_posix_files;
}

static NvmkvSlice
key_of(uint32_t number)
{
	static uint8_t bytes[NVMKV_KEY_BYTES_MAX];
	NvmkvSlice key = rig_key(number);

	if (store.key_bytes == 0)
		return key;
	memset(bytes, 'k', store.key_bytes);
	memcpy(bytes, key.data, key.size);
	return nvmkv_slice(bytes, store.key_bytes);
}

/* Good until the next call. */
static NvmkvSlice
value_of(uint32_t number, uint32_t round, size_t size)
{
	static uint8_t bytes[8 * MIB];
	uint64_t z = (uint64_t) number * 1000003 + round;
	size_t i;

	for (i = 0; i < size; i += sizeof(z))
	{
		if (i == 0 || !store.compressible)
			z = (z ^ (z >> 31)) * UINT64_C(0xBF58476D1CE4E5B9) + 1;
		memcpy(bytes + i, &z, size - i < sizeof(z) ? size - i : sizeof(z));
	}
	return nvmkv_slice(bytes, size);
}

static void
put_tagged(uint32_t number, uint32_t round, size_t size, uint64_t fxid)
{
	NvmkvBatch batch = {0};
	NvmkvSlice value = value_of(number, round, size);

	nvmkv_batch_family(&batch, store.family);
	if (fxid == 0)
		CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, key_of(number), nvmkv_slice(NULL, 0), value));
	else
		CHECK_OK(nvmkv_batch_put_tagged(&batch, NVMKV_TYPE_TAGGED_VALUE, key_of(number), fxid, 0, value));
	CHECK_OK(rig_write(store.rig.db, &batch, NULL));
	nvmkv_batch_free(&batch);
	store.expected[number].round = round;
	store.expected[number].size = (uint32_t) size;
	if (number >= store.keys)
		store.keys = number + 1;
}

static void
put(uint32_t number, uint32_t round, size_t size)
{
	put_tagged(number, round, size, 0);
}

static void
put_all(uint32_t keys, uint32_t round, size_t size)
{
	uint32_t i;

	/* Not in order, so that every row has keys everywhere. */
	for (i = 0; i < keys && check_failures == 0; i++)
		put((uint32_t) ((uint64_t) i * 7919 % keys), round, size);
}

static void
delete_key(uint32_t number)
{
	NvmkvBatch batch = {0};

	nvmkv_batch_family(&batch, store.family);
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_DELETION, key_of(number), nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK_OK(rig_write(store.rig.db, &batch, NULL));
	nvmkv_batch_free(&batch);
	store.expected[number].round = NONE;
}

/* ---- work ---- */

/* Steps of compaction until there is no more to do: that must come. */
static void
work_until_idle(void)
{
	bool did = true;
	bool more;
	unsigned steps;

	for (steps = 0; did && steps < IDLE_STEPS_MAX; steps++)
		if (!CHECK_OK(nvmkv_work(store.rig.db, NVMKV_WORK_COMPACT, &did, &more)))
			return;
	CHECK(!did);
	CHECK_OK(rig_work(store.rig.db, NVMKV_WORK_RECLAIM));
}

/* All of it in levels, and nothing left to do. */
static void
settle(void)
{
	CHECK_OK(nvmkv_flush_all(store.rig.db));
	CHECK_OK(nvmkv_compact_all(store.rig.db));
	work_until_idle();
}

static void
compact_everything(void)
{
	CHECK_OK(nvmkv_compact_range(store.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	work_until_idle();
}

/* ---- tables ---- */

#define NUMBERS_MAX 4096

/* Value tables, as the version has them. */
typedef struct Tables
{
	uint32_t count;
	uint32_t given_up;
	uint64_t bytes, in_use, released;
	uint64_t table_bytes;		   /* of the others */
	uint64_t numbers[NUMBERS_MAX]; /* of value tables */
	uint32_t all;				   /* tables of both kinds */
} Tables;

static Tables
tables_of(NvmkvDb *db)
{
	Tables t = {0};
	const VersionImage *v;
	uint32_t i;

	db_enter(db);
	v = versions_current(&db->versions);
	t.all = v->nfiles;
	for (i = 0; i < version_ntables(v); i++)
		t.table_bytes += version_files(v)[i].bytes;
	for (; i < v->nfiles && t.count < NUMBERS_MAX; i++)
	{
		const VersionFile *values = &version_files(v)[i];

		t.numbers[t.count++] = values->number;
		t.bytes += values->bytes;
		t.in_use += values->value_bytes;
		t.released += values->released_bytes;
		t.given_up += values->released_bytes > values->value_bytes;
	}
	db_leave(db);
	return t;
}

static unsigned
files_on_disk(const NvmkvDb *db)
{
	DIR *dir = opendir(db->dir);
	struct dirent *entry;
	unsigned n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, ".sst") != NULL;
	if (dir != NULL)
		closedir(dir);
	return n;
}

static bool
is_on_disk(const NvmkvDb *db, uint64_t number)
{
	char path[SST_PATH_BYTES_MAX];

	return sst_file_name(db->dir, number, path, sizeof(path)) == NVMKV_OK && access(path, F_OK) == 0;
}

/* The directory has the files of the version and no others; the statistics are the version's. */
static void
check_files(void)
{
	Tables t = tables_of(store.db);
	NvmkvValueStats stats;

	CHECK_EQ(files_on_disk(store.db), t.all);
	REQUIRE(nvmkv_value_stats(store.db, &stats, 1) == 1);
	CHECK_EQ(stats.files, t.count);
	CHECK_EQ(stats.bytes, t.bytes);
	CHECK_EQ(stats.bytes_in_use, t.in_use);
}

/* ---- contents ---- */

static bool
is_expected(uint32_t number, NvmkvSlice value)
{
	const Expected *e = &store.expected[number];

	return e->round != NONE && slice_equal(value, value_of(number, e->round, e->size));
}

/* Keys whose value cannot be had, or is another. */
static unsigned
wrong_keys(const NvmkvSnapshot *snapshot)
{
	NvmkvBuf value = {0};
	unsigned wrong = 0;
	uint32_t i;

	for (i = 0; i < store.keys; i++)
	{
		NvmkvStatus st = nvmkv_get(store.db, key_of(i), snapshot, &value, NULL);

		wrong += store.expected[i].round == NONE ? st != NVMKV_NOT_FOUND :
												   st != NVMKV_OK || !is_expected(i, nvmkv_buf_slice(&value));
	}
	nvmkv_buf_free(&value);
	return wrong;
}

typedef struct Walk
{
	NvmkvScan *scan;
	bool reverse, keys_only;
	uint32_t next; /* number of the key that may come next; backwards: behind it */
} Walk;

static void
walk_start(Walk *w, bool reverse, bool keys_only, const NvmkvSnapshot *snapshot)
{
	w->reverse = reverse;
	w->keys_only = keys_only;
	w->next = reverse ? store.keys : 0;
	REQUIRE_OK(nvmkv_scan_create(store.db, &w->scan));
	CHECK_OK(nvmkv_scan_start(w->scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, snapshot));
	if (keys_only)
		nvmkv_scan_keys_only(w->scan);
}

/* The number of the next key that is there; NONE: there is none. */
static uint32_t
walk_next(Walk *w)
{
	while (w->reverse ? w->next > 0 : w->next < store.keys)
	{
		uint32_t number = w->reverse ? --w->next : w->next++;

		if (store.expected[number].round != NONE)
			return number;
	}
	return NONE;
}

/* A batch of rows, all of them right; false: the end. */
static bool
walk_batch(Walk *w, unsigned rows_max)
{
	const NvmkvScanRow *rows;
	unsigned n = 0;
	unsigned i;

	if (!CHECK_OK(nvmkv_scan_batch(w->scan, rows_max, MIB, &rows, &n)))
		return false;
	for (i = 0; i < n; i++)
	{
		uint32_t number = walk_next(w);

		CHECK(number != NONE && slice_equal(rows[i].key, key_of(number)));
		if (number == NONE)
			return false;
		CHECK(w->keys_only ? rows[i].value.size == 0 : is_expected(number, rows[i].value));
	}
	return n > 0;
}

static void
walk_all(bool reverse, bool keys_only, const NvmkvSnapshot *snapshot)
{
	Walk w;

	walk_start(&w, reverse, keys_only, snapshot);
	while (walk_batch(&w, 100) && check_failures == 0)
		;
	CHECK(walk_next(&w) == NONE);
	nvmkv_scan_destroy(w.scan);
}

static void
print_problem(void *ctx, const char *where, const char *text)
{
	if (++*(unsigned *) ctx <= 3)
		fprintf(stderr, "    check: %s: %s\n", where, text);
}

static void
check_sound(void)
{
	unsigned problems = 0;

	CHECK_OK(nvmkv_check(store.rig.db, print_problem, &problems));
	CHECK_EQ(problems, 0);
}

static void
check_contents(const NvmkvSnapshot *snapshot)
{
	CHECK_EQ(wrong_keys(snapshot), 0);
	walk_all(false, false, snapshot);
	walk_all(true, false, snapshot);
	walk_all(false, true, snapshot);
	walk_all(true, true, snapshot);
	check_sound();
}

/* ---- which values are apart ---- */

static size_t
mixed_size(uint32_t number)
{
	static const size_t sizes[] = {0, 1, 100, 1023, 1024, 1025, 5000, 30000};

	return sizes[number % 8];
}

/* What values of at least the threshold take, and the others. */
static void
expected_bytes(size_t threshold, uint64_t *apart_out, uint64_t *within_out, uint32_t *count_out)
{
	uint32_t i;

	*apart_out = *within_out = *count_out = 0;
	for (i = 0; i < store.keys; i++)
	{
		if (store.expected[i].round == NONE)
			continue;
		if (threshold != 0 && store.expected[i].size >= threshold)
		{
			*apart_out += store.expected[i].size;
			++*count_out;
		}
		else
			*within_out += store.expected[i].size;
	}
}

/* Of incompressible values exactly those of the threshold and more are apart; each brings its key along, and frames. */
static void
check_apart(size_t threshold)
{
	Tables t = tables_of(store.db);
	uint64_t apart, within;
	uint32_t count;

	expected_bytes(threshold, &apart, &within, &count);
	CHECK((t.count > 0) == (count > 0));
	CHECK(t.in_use >= apart && t.in_use <= apart + count * 64);
	CHECK(t.table_bytes >= within && t.table_bytes <= within + within / 20 + store.keys * 64 + 4096);
}

static void
put_mixed(uint32_t keys, uint32_t round)
{
	uint32_t i;

	for (i = 0; i < keys; i++)
		put((uint32_t) ((uint64_t) i * 7919 % keys), round, mixed_size(i));
}

/* A family for the keys, if they are not to be in the default one. */
static void
make_family(unsigned compression)
{
	NvmkvFamilyOptions options;

	nvmkv_family_options_default(store.rig.db, &options);
	memset(options.compression, (int) compression, sizeof(options.compression));
	CHECK_OK(nvmkv_family_create(store.rig.db, 0, "values", &options, &store.family));
	CHECK_OK(nvmkv_family(store.rig.db, store.family, &store.db));
}

static void
large_values(unsigned compression, bool container, bool in_family)
{
	store_init();
	store.compressible = compression != NVMKV_COMPRESSION_NONE;
	memset(store.rig.options.compression, (int) compression, sizeof(store.rig.options.compression));
	if (!container)
		store.rig.options.nvm_bytes = 0;
	store.rig.options.max_families = 2;
	store_open();
	if (in_family)
		make_family(compression);
	put_mixed(800, 0);
	check_contents(NULL);
	settle();
	check_contents(NULL);
	check_files();
	if (!store.compressible)
		check_apart(1024);
	else
		CHECK(tables_of(store.db).count > 0 && tables_of(store.db).in_use < 400 * KIB);
	store_open();
	check_contents(NULL);

	/* Some of them anew, smaller or larger; some in memory, some in rows. */
	put_mixed(500, 1);
	CHECK_OK(nvmkv_flush_all(store.rig.db));
	put_mixed(300, 2);
	check_contents(NULL);
	settle();
	if (!store.compressible)
		check_apart(1024);
	check_contents(NULL);
	store_open();
	check_contents(NULL);
	check_files();
	compact_everything();
	check_contents(NULL);
	check_files();
	CHECK_EQ(tables_of(store.db).released, 0);
	store_remove();
}

TEST(large_values_stand_apart)
{
	large_values(NVMKV_COMPRESSION_NONE, true, false);
	large_values(NVMKV_COMPRESSION_NONE, false, false);
}

TEST(compressed_values_stand_apart)
{
	large_values(NVMKV_COMPRESSION_LZ4, true, false);
	large_values(NVMKV_COMPRESSION_ZSTD, false, false);
}

TEST(values_of_a_family_stand_apart)
{
	large_values(NVMKV_COMPRESSION_NONE, false, true);
	large_values(NVMKV_COMPRESSION_ZSTD, false, true);
}

TEST(the_largest_values)
{
	unsigned round;

	store_init();
	store.rig.options.write_buffer_bytes = 10 * MIB;
	store.rig.options.nvm_bytes = 40 * MIB;
	store_open();
	for (round = 0; round < 3; round++)
	{
		put(0, round, 0);
		put(1, round, 8 * MIB);
		put(2, round, 10);
		put(3, round, 8 * MIB - 1);
		check_contents(NULL);
		settle();
		check_contents(NULL);
		check_apart(1024);
		check_files();
		store_open();
		check_contents(NULL);
	}
	store_remove();
}

/* What is apart stays apart; what is within goes apart when it is written anew. */
TEST(another_threshold_at_each_open)
{
	static const uint32_t thresholds[] = {0, 64, 5000, 0, 1024};
	uint32_t lowest = UINT32_MAX;
	unsigned i;

	store_init();
	for (i = 0; i < 5; i++)
	{
		store.rig.options.value_threshold_bytes = thresholds[i];
		store_open();
		if (i == 0)
			put_mixed(800, 0);
		check_contents(NULL);
		settle();
		compact_everything();
		if (thresholds[i] != 0 && thresholds[i] < lowest)
			lowest = thresholds[i];
		check_apart(lowest == UINT32_MAX ? 0 : lowest);
		check_contents(NULL);
		check_files();
	}
	/* New ones go by the new threshold. */
	put_mixed(800, 1);
	settle();
	compact_everything();
	check_apart(1024);
	check_contents(NULL);
	store_remove();
}

/* ---- keys only ---- */

static void
garble(const char *path)
{
	FILE *file = fopen(path, "r+b");
	uint8_t junk[4096];
	struct stat st;
	long at;

	REQUIRE(file != NULL);
	CHECK(fstat(fileno(file), &st) == 0);
	memset(junk, 0xA5, sizeof(junk));
	for (at = 0; at < st.st_size; at += (long) sizeof(junk))
	{
		size_t left = (size_t) (st.st_size - at);

		CHECK(fwrite(junk, 1, left < sizeof(junk) ? left : sizeof(junk), file) > 0);
	}
	CHECK(fclose(file) == 0);
}

static void
table_path(uint64_t number, char *path)
{
	CHECK_OK(sst_file_name(store.db->dir, number, path, SST_PATH_BYTES_MAX));
}

/* Whoever wants keys alone reads no value, be it damaged. */
TEST(keys_alone_cost_no_value)
{
	NvmkvCacheStats before, after;
	const NvmkvScanRow *rows;
	char path[SST_PATH_BYTES_MAX];
	NvmkvScan *scan;
	Tables t;
	unsigned n;
	uint32_t i;

	store_init();
	store_open();
	put_all(2000, 0, 3000);
	settle();
	store_open();
	nvmkv_cache_stats(store.rig.db, &before);
	walk_all(false, true, NULL);
	nvmkv_cache_stats(store.rig.db, &after);
	/* References to 2000 values are in some 40 blocks. */
	CHECK(after.hits + after.misses - before.hits - before.misses < 200);
	t = tables_of(store.db);
	rig_close(&store.rig);
	for (i = 0; i < t.count; i++)
	{
		(void) snprintf(path, sizeof(path), "%s/%06" PRIu64 ".sst", store.rig.path, t.numbers[i]);
		garble(path);
	}
	store_open();
	walk_all(false, true, NULL);
	walk_all(true, true, NULL);
	REQUIRE_OK(nvmkv_scan_create(store.db, &scan));
	CHECK_OK(nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), false, NULL));
	CHECK_STATUS(nvmkv_scan_batch(scan, 10, MIB, &rows, &n), NVMKV_CORRUPTION);
	nvmkv_scan_destroy(scan);
	store_remove();
}

/* ---- versions and transactions ---- */

#define VERSIONS 4

typedef struct Seen
{
	uint32_t number;
	uint32_t count;
	unsigned types[VERSIONS];
	uint64_t fxids[VERSIONS];
	bool right;
} Seen;

/* Newest first: rounds VERSIONS - 1 .. 0. */
static bool
see_version(void *ctx, const NvmkvVersion *version)
{
	Seen *seen = ctx;

	if (seen->count == VERSIONS)
	{
		seen->right = false;
		return false;
	}
	seen->right = seen->right &&
		slice_equal(version->value, value_of(seen->number, VERSIONS - 1 - seen->count, mixed_size(seen->number)));
	seen->types[seen->count] = version->type;
	seen->fxids[seen->count++] = version->txn.fxid;
	return true;
}

/* Every version is there and has its value; all of them are of the type. */
static void
check_versions(unsigned type, const uint64_t *fxids)
{
	uint32_t i, k;

	for (i = 0; i < store.keys; i++)
	{
		Seen seen = {.number = i, .right = true};

		CHECK_OK(nvmkv_versions(store.db, key_of(i), see_version, &seen));
		CHECK_EQ(seen.count, VERSIONS);
		CHECK(seen.right);
		for (k = 0; k < seen.count; k++)
			CHECK(seen.types[k] == type && seen.fxids[k] == fxids[VERSIONS - 1 - k]);
	}
}

/* One snapshot before each round's commit, and one behind all of them: each sees its own round. */
static void
check_snapshots(RigSnapshot *const *snapshots)
{
	uint32_t i, k;

	for (k = 0; k <= VERSIONS; k++)
	{
		for (i = 0; i < store.keys; i++)
			store.expected[i].round = k == 0 ? NONE : k - 1;
		CHECK_EQ(wrong_keys(&snapshots[k]->base), 0);
		walk_all(false, false, &snapshots[k]->base);
		walk_all(true, false, &snapshots[k]->base);
		walk_all(false, true, &snapshots[k]->base);
	}
}

TEST(versions_of_transactions_keep_their_values)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshots[VERSIONS + 1];
	uint64_t fxids[VERSIONS];
	NvmkvVersion version;
	NvmkvBuf value = {0};
	uint32_t i, k;

	store_init();
	store_open();
	rig_txns_use(txns, store.rig.db);
	for (k = 0; k < VERSIONS; k++)
	{
		snapshots[k] = rig_snapshot(txns, 0, 0);
		fxids[k] = rig_begin(txns);
		for (i = 0; i < 400; i++)
			put_tagged(i, k, mixed_size(i), fxids[k]);
	}
	/* Running. */
	settle();
	CHECK(tables_of(store.db).count > 0);
	check_versions(NVMKV_TYPE_TAGGED_VALUE, fxids);
	for (k = 0; k < VERSIONS; k++)
	{
		rig_release(snapshots[k]);
		snapshots[k] = rig_snapshot(txns, 0, 0);
		rig_commit(txns, fxids[k]);
	}
	snapshots[VERSIONS] = rig_snapshot(txns, 0, 0);
	check_snapshots(snapshots);
	store_open();
	rig_txns_use(txns, store.rig.db);
	check_snapshots(snapshots);

	/* Known to be committed, not yet seen by all. */
	compact_everything();
	CHECK_EQ(tables_of(store.db).released, 0);
	check_versions(NVMKV_TYPE_TAGGED_VALUE | NVMKV_TYPE_COMMITTED_BIT, fxids);
	check_snapshots(snapshots);
	store_open();
	rig_txns_use(txns, store.rig.db);
	check_snapshots(snapshots);

	/* Frozen: the last one alone is left, without a tag. */
	for (k = 0; k <= VERSIONS; k++)
		rig_release(snapshots[k]);
	compact_everything();
	check_contents(NULL);
	check_apart(1024);
	check_files();
	CHECK_OK(nvmkv_get(store.db, key_of(7), NULL, &value, &version));
	CHECK(version.type == NVMKV_TYPE_VALUE && version.txn.fxid == 0 && is_expected(7, nvmkv_buf_slice(&value)));
	nvmkv_buf_free(&value);
	store_open();
	check_contents(NULL);
	store_remove();
	rig_txns_destroy(txns);
}

/* ---- space ---- */

/* What nobody refers to is no more than what somebody does, and then comes what keys and indexes take. */
static void
check_space(double factor)
{
	Tables t = tables_of(store.db);

	CHECK_EQ(t.given_up, 0);
	CHECK(t.released <= t.in_use);
	if ((double) t.bytes <= factor * (double) t.in_use)
		return;
	check_failed(__FILE__, __LINE__, "space that comes back");
	fprintf(stderr, "    %u value tables, %" PRIu64 " bytes, %" PRIu64 " in use\n", t.count, t.bytes, t.in_use);
}

static void
overwrite_rounds(bool container, bool drained)
{
	unsigned round;
	uint32_t i;

	store_init();
	if (!container)
		store.rig.options.nvm_bytes = 0;
	store_open();
	for (round = 0; round < 8 && check_failures == 0; round++)
	{
		put_all(2000, round, 4096);
		if (drained)
			settle();
		else
			work_until_idle();
		check_space(2.5);
		check_files();
	}
	check_contents(NULL);
	compact_everything();
	CHECK_EQ(tables_of(store.db).released, 0);
	CHECK(tables_of(store.db).bytes < 2000 * (4096 + 200));
	check_contents(NULL);
	check_files();

	/* With the last key its value goes. */
	for (i = 0; i < store.keys; i++)
		delete_key(i);
	compact_everything();
	CHECK_EQ(tables_of(store.db).all, 0);
	check_files();
	check_contents(NULL);
	store_open();
	check_contents(NULL);
	check_files();
	store_remove();
}

TEST(overwritten_values_give_their_space_back)
{
	overwrite_rounds(true, true);
	overwrite_rounds(true, false);
	overwrite_rounds(false, true);
	overwrite_rounds(false, false);
}

/* Random keys, so that no table is overwritten whole. */
TEST(scattered_overwrites_give_their_space_back)
{
	unsigned round;
	uint32_t i;

	store_init();
	store_open();
	put_all(3000, 0, 3000);
	for (round = 1; round < 25 && check_failures == 0; round++)
	{
		for (i = 0; i < 700; i++)
			put((uint32_t) check_random_below(3000), round, 1500 + check_random_below(3000));
		settle();
		check_space(2.5);
	}
	check_contents(NULL);
	check_files();
	store_remove();
}

/*
 * While nobody writes: what rows in the container overwrite, and what is less than half of a value table, gives its
 * space back too, and then there is nothing left to do.
 */
TEST(quiet_times_give_space_back)
{
	const uint64_t quiet_us = value_quiet_us;
	Tables t;
	uint32_t i;

	store_init();
	store_open();
	put_all(3000, 0, 3000);
	settle();
	for (i = 0; i < 3000; i += 3)
		put(i, 1, 3000);
	CHECK_OK(nvmkv_flush_all(store.rig.db));
	work_until_idle();
	CHECK_EQ(tables_of(store.db).released, 0);
	value_quiet_us = 0;
	work_until_idle();
	value_quiet_us = quiet_us;
	t = tables_of(store.db);
	CHECK((double) t.bytes <= 1.2 * (double) t.in_use);
	CHECK(t.in_use >= 3000 * 3000 && t.in_use < 3000 * 3100);
	check_contents(NULL);
	check_files();
	store_remove();
}

static void
storage_key(char *key, size_t size, unsigned storage, unsigned number)
{
	(void) snprintf(key, size, "storage%c%05u", 'A' + (int) storage, number);
}

#define STORAGE_KEYS 5000 /* of each of three */

/* In the order of the keys, or the three side by side. */
static void
storage_at(unsigned i, bool in_order, unsigned *storage_out, unsigned *number_out)
{
	*storage_out = in_order ? i / STORAGE_KEYS : i % 3;
	*number_out = in_order ? i % STORAGE_KEYS : i / 3;
}

static void
drop_storage(bool container, bool in_order)
{
	RigTxns *txns = rig_txns_create();
	NvmkvBuf value = {0};
	uint64_t before, drop;
	unsigned i, storage, number;
	char key[32];
	bool did, more;

	store_init();
	if (!container)
		store.rig.options.nvm_bytes = 0;
	store_open();
	rig_txns_use(txns, store.rig.db);
	for (i = 0; i < 3 * STORAGE_KEYS; i++)
	{
		storage_at(i, in_order, &storage, &number);
		storage_key(key, sizeof(key), storage, number);
		REQUIRE_OK(rig_entry(store.rig.db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0, value_of(i, storage, 3000)));
	}
	settle();
	before = tables_of(store.db).in_use;
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(store.rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageB"), drop, 0, nvmkv_slice(NULL, 0)));
	rig_commit(txns, drop);
	CHECK_OK(nvmkv_flush_all(store.rig.db));
	for (i = 0; i < 3; i++)
	{
		store.rig.db->shm->next_drop_us = 0;
		CHECK_OK(nvmkv_work(store.rig.db, NVMKV_WORK_COMPACT, &did, &more));
	}
	work_until_idle();
	/* What shares tables with the neighbours goes when compaction comes by. */
	CHECK(tables_of(store.db).in_use < before - before / 6);
	check_space(2.5);
	check_files();
	CHECK_OK(nvmkv_compact_range(store.db, rig_slice("storageB"), rig_slice("storageC")));
	work_until_idle();
	CHECK(tables_of(store.db).in_use < before / 3 * 2 + 64 * KIB);
	check_space(2.5);
	check_files();
	for (i = 0; i < 3 * STORAGE_KEYS; i++)
	{
		storage_at(i, in_order, &storage, &number);
		storage_key(key, sizeof(key), storage, number);
		if (storage == 1)
			CHECK_STATUS(nvmkv_get(store.db, rig_slice(key), NULL, &value, NULL), NVMKV_NOT_FOUND);
		else
			CHECK(nvmkv_get(store.db, rig_slice(key), NULL, &value, NULL) == NVMKV_OK &&
				  slice_equal(nvmkv_buf_slice(&value), value_of(i, storage, 3000)));
	}
	check_sound();
	nvmkv_buf_free(&value);
	store_remove();
	rig_txns_destroy(txns);
}

TEST(dropped_storage_releases_its_values)
{
	drop_storage(true, true);
	drop_storage(false, false);
}

/* Two or three large values a time must not make ever more tables of two or three values. */
TEST(few_large_values_share_tables)
{
	unsigned round, most = 0;
	uint32_t i;

	store_init();
	store_open();
	for (round = 0; round < 40 && check_failures == 0; round++)
	{
		for (i = 0; i < 300; i++)
			put((uint32_t) check_random_below(5000), round, 100);
		for (i = 0; i < 3; i++)
			put(5000 + round * 3 + i, round, 3000);
		settle();
		if (tables_of(store.db).count > most)
			most = tables_of(store.db).count;
	}
	CHECK(most <= 10);
	compact_everything();
	CHECK(tables_of(store.db).count <= 4);
	check_contents(NULL);
	check_files();
	store_remove();
}

/* ---- shapes that make collection hard ---- */

/* Keys that are larger than their values: an index takes as much as what it leads to. */
TEST(long_keys_and_small_values)
{
	unsigned round;
	uint32_t i;

	store_init();
	store.key_bytes = NVMKV_KEY_BYTES_MAX;
	store.rig.options.value_threshold_bytes = 64;
	store_open();
	for (round = 0; round < 10 && check_failures == 0; round++)
	{
		for (i = 0; i < 900; i++)
			put(round % 2 == 0 ? i : (uint32_t) check_random_below(900), round, 64);
		settle();
		check_space(4.0); /* a key with the value, and one in the index */
		check_files();
	}
	check_contents(NULL);
	compact_everything();
	CHECK_EQ(tables_of(store.db).released, 0);
	check_contents(NULL);
	store_remove();
}

TEST(highly_compressible_values)
{
	unsigned round;
	uint32_t i;

	store_init();
	store.compressible = true;
	memset(store.rig.options.compression, NVMKV_COMPRESSION_ZSTD, sizeof(store.rig.options.compression));
	store_open();
	for (round = 0; round < 10 && check_failures == 0; round++)
	{
		for (i = 0; i < 600; i++)
			put((uint32_t) check_random_below(1000), round, 20000);
		settle();
		check_space(2.5);
		check_files();
	}
	check_contents(NULL);
	compact_everything();
	CHECK_EQ(tables_of(store.db).released, 0);
	store_remove();
}

/* ---- damage ---- */

static void
flip_byte(const char *path, long offset)
{
	FILE *file = fopen(path, "r+b");
	int c;

	REQUIRE(file != NULL);
	CHECK(fseek(file, offset, SEEK_SET) == 0);
	c = fgetc(file);
	CHECK(c != EOF && fseek(file, offset, SEEK_SET) == 0 && fputc(c ^ 0x10, file) != EOF);
	CHECK(fclose(file) == 0);
}

static const char *named; /* in findings */
static unsigned findings;

static void
find_name(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	(void) where;
	findings += strstr(text, named) != NULL;
}

/* Keys that can be read are right; of the others, it is said which file is damaged, and where. */
static unsigned
unreadable_keys(const char *name)
{
	NvmkvBuf value = {0};
	unsigned bad = 0;
	uint32_t i;

	for (i = 0; i < store.keys; i++)
	{
		NvmkvStatus st = nvmkv_get(store.db, key_of(i), NULL, &value, NULL);

		if (st == NVMKV_OK)
			CHECK(is_expected(i, nvmkv_buf_slice(&value)));
		else if (CHECK_STATUS(st, NVMKV_CORRUPTION))
		{
			CHECK(strstr(nvmkv_error()->text, name) != NULL);
			CHECK(strstr(nvmkv_error()->text, " at ") != NULL || strstr(nvmkv_error()->text, " missing") != NULL);
			bad++;
		}
	}
	nvmkv_buf_free(&value);
	return bad;
}

/* What tables refer to is what value tables have. */
static void
check_accounts(void)
{
	named = "tables refer to";
	findings = 0;
	CHECK_OK(nvmkv_check(store.rig.db, find_name, NULL));
	CHECK_EQ(findings, 0);
}

/* Value tables a and b of the same size, and nothing but them. */
static void
make_two_tables(char *path_a, char *path_b)
{
	struct stat a, b;
	uint32_t i;
	Tables t;

	store_init();
	store_open();
	for (i = 0; i < 100; i++)
		put(i, 0, 4096);
	settle();
	for (; i < 200; i++)
		put(i, 0, 4096);
	settle();
	check_contents(NULL);
	t = tables_of(store.db);
	REQUIRE(t.count == 2);
	table_path(t.numbers[0], path_a);
	table_path(t.numbers[1], path_b);
	CHECK(stat(path_a, &a) == 0 && stat(path_b, &b) == 0 && a.st_size == b.st_size);
	CHECK_OK(nvmkv_sync(store.rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&store.rig);
}

TEST(damaged_value_is_told)
{
	char a[SST_PATH_BYTES_MAX], b[SST_PATH_BYTES_MAX];

	make_two_tables(a, b);
	named = strrchr(a, '/') + 1;
	flip_byte(a, 4150 * 3); /* in the third or fourth value */
	store_open();
	CHECK_EQ(unreadable_keys(named), 1);
	findings = 0;
	CHECK_OK(nvmkv_check(store.rig.db, find_name, NULL));
	CHECK(findings > 0);
	walk_all(false, true, NULL);

	/* Compaction that would free the rest of its table does not carry it on, nor does it lose anything. */
	put(50, 1, 4096);
	CHECK_OK(nvmkv_compact_range(store.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK_EQ(unreadable_keys(named), 1);
	check_accounts();
	store_remove();
}

TEST(swapped_value_tables_are_noticed)
{
	char a[SST_PATH_BYTES_MAX], b[SST_PATH_BYTES_MAX], aside[SST_PATH_BYTES_MAX + 8];
	NvmkvBuf value = {0};
	uint32_t i;

	make_two_tables(a, b);
	(void) snprintf(aside, sizeof(aside), "%s.aside", a);
	CHECK(rename(a, aside) == 0 && rename(b, a) == 0 && rename(aside, b) == 0);
	store_open();
	for (i = 0; i < store.keys; i++)
	{
		named = strrchr(i < 100 ? a : b, '/') + 1;
		CHECK_STATUS(nvmkv_get(store.db, key_of(i), NULL, &value, NULL), NVMKV_CORRUPTION);
		CHECK(strstr(nvmkv_error()->text, named) != NULL);
	}
	findings = 0;
	CHECK_OK(nvmkv_check(store.rig.db, find_name, NULL));
	CHECK(findings > 0);
	walk_all(false, true, NULL);
	nvmkv_buf_free(&value);
	store_remove();
}

/* The table is one of the same keys and sizes, with what they had before. */
TEST(values_of_earlier_versions_are_noticed)
{
	char earlier[SST_PATH_BYTES_MAX], now[SST_PATH_BYTES_MAX], aside[SST_PATH_BYTES_MAX];
	char command[2 * SST_PATH_BYTES_MAX + 16];
	NvmkvBuf value = {0};
	struct stat a, b;
	Tables t;
	uint32_t i;

	store_init();
	(void) snprintf(aside, sizeof(aside), "%s/aside", store.rig.dir);
	store_open();
	for (i = 0; i < 100; i++)
		put(i, 0, 4096);
	settle();
	t = tables_of(store.db);
	REQUIRE(t.count == 1);
	table_path(t.numbers[0], earlier);
	(void) snprintf(command, sizeof(command), "cp '%s' '%s'", earlier, aside);
	CHECK(system(command) == 0);
	for (i = 0; i < 100; i++)
		put(i, 1, 4096);
	settle();
	compact_everything();
	t = tables_of(store.db);
	REQUIRE(t.count == 1);
	table_path(t.numbers[0], now);
	CHECK_OK(nvmkv_sync(store.rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&store.rig);
	CHECK(stat(aside, &a) == 0 && stat(now, &b) == 0);
	CHECK_EQ(a.st_size, b.st_size);
	CHECK(rename(aside, now) == 0);
	store_open();
	for (i = 0; i < store.keys; i++)
		CHECK_STATUS(nvmkv_get(store.db, key_of(i), NULL, &value, NULL), NVMKV_CORRUPTION);
	nvmkv_buf_free(&value);
	store_remove();
}

TEST(missing_and_truncated_value_tables)
{
	char a[SST_PATH_BYTES_MAX], b[SST_PATH_BYTES_MAX], aside[SST_PATH_BYTES_MAX + 8];
	struct stat st;

	make_two_tables(a, b);
	named = strrchr(b, '/') + 1;
	(void) snprintf(aside, sizeof(aside), "%s/aside", store.rig.dir);
	CHECK(rename(b, aside) == 0);
	/* Its values are lost as long as it is away, whatever compaction does. */
	store_open();
	CHECK_EQ(unreadable_keys(named), 100);
	CHECK_OK(nvmkv_compact_range(store.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK_EQ(unreadable_keys(named), 100);
	check_accounts();
	named = strrchr(b, '/') + 1;
	rig_close(&store.rig);
	CHECK(rename(aside, b) == 0 && stat(b, &st) == 0);
	CHECK(truncate(b, st.st_size - 1) == 0);
	store_open();
	rig_close(&store.rig);
	CHECK(truncate(b, st.st_size) == 0); /* a zero where the last byte of the footer was */
	store_open();
	CHECK_EQ(wrong_keys(NULL), 0);
	findings = 0;
	CHECK_OK(nvmkv_check(store.rig.db, find_name, NULL));
	CHECK(findings > 0);
	store_remove();
}

/* ---- readers, while tables come and go ---- */

/* Values of a transaction that will be rolled back, among the others. */
static void
put_doomed(uint64_t fxid)
{
	static uint8_t bytes[2500];
	unsigned i;

	for (i = 0; i < 300; i++)
		CHECK_OK(rig_entry(store.db, NVMKV_KIND_VALUE, key_of((uint32_t) check_random_below(1500)), fxid, 0,
						   nvmkv_slice(bytes, sizeof(bytes))));
}

TEST(old_scan_while_values_move)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *old;
	Tables before;
	Walk forward, backward;
	Expected *then = malloc(sizeof(store.expected));
	Expected *now = malloc(sizeof(store.expected));
	RigSnapshot *latest;
	uint32_t i, round, gone;
	uint64_t fxid, doomed;

	REQUIRE(then != NULL && now != NULL);
	store_init();
	store_open();
	rig_txns_use(txns, store.rig.db);
	put_all(1500, 0, 3000);
	doomed = rig_begin(txns);
	put_doomed(doomed);
	compact_everything();
	rig_abort(txns, doomed);
	old = rig_snapshot(txns, 0, 0);
	memcpy(then, store.expected, sizeof(store.expected));
	memcpy(now, store.expected, sizeof(store.expected));
	walk_start(&forward, false, false, &old->base);
	walk_start(&backward, true, false, &old->base);
	for (round = 1; round < 6 && check_failures == 0; round++)
	{
		CHECK(walk_batch(&forward, 100));
		CHECK(walk_batch(&backward, 100));
		before = tables_of(store.db);
		memcpy(store.expected, now, sizeof(store.expected));
		fxid = rig_begin(txns);
		for (i = 0; i < 700; i++)
			put_tagged((uint32_t) check_random_below(1500), round, 2500, fxid);
		rig_commit(txns, fxid);
		doomed = rig_begin(txns);
		put_doomed(doomed);
		memcpy(now, store.expected, sizeof(store.expected));
		compact_everything();
		for (i = 0, gone = 0; i < before.count; i++)
			gone += !is_on_disk(store.db, before.numbers[i]);
		CHECK(gone > 0);
		rig_abort(txns, doomed);
		latest = rig_snapshot(txns, 0, 0);
		check_contents(&latest->base);
		rig_release(latest);
		memcpy(store.expected, then, sizeof(store.expected));
	}
	while (walk_batch(&forward, 100) && check_failures == 0)
		;
	while (walk_batch(&backward, 100) && check_failures == 0)
		;
	CHECK(walk_next(&forward) == NONE && walk_next(&backward) == NONE);
	nvmkv_scan_destroy(forward.scan);
	nvmkv_scan_destroy(backward.scan);
	rig_release(old);
	memcpy(store.expected, now, sizeof(store.expected));
	compact_everything();
	check_contents(NULL);
	check_apart(1024);
	check_files();
	free(then);
	free(now);
	store_remove();
	rig_txns_destroy(txns);
}

/* ---- others, while a table is looked at ---- */

static bool others_work; /* when the next table is opened */

/* What another process does meanwhile: it replaces the table, and deletes it if nobody looks at it. */
static NvmkvStatus
open_late(const char *path, int flags, PortFile **file_out)
{
	pid_t child;
	int status;

	if (others_work && flags == PORT_FILE_READ && strstr(path, ".sst") != NULL)
	{
		others_work = false;
		fflush(NULL);
		child = fork();
		if (child == 0)
		{
			bool did = false;
			bool more;

			port_posix_set_slot(1);
			CHECK_OK(nvmkv_work(store.rig.db, NVMKV_WORK_COMPACT, &did, &more));
			CHECK(did);
			CHECK_OK(nvmkv_work(store.rig.db, NVMKV_WORK_RECLAIM, &did, &more));
			_exit(check_failures == 0 ? 0 : 1);
		}
		CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	}
	return port_posix_files.open(path, flags, file_out);
}

static NvmkvStatus
no_rewrite(const char *point)
{
	return strcmp(point, "level.announced") == 0 ? NVMKV_FAIL(NVMKV_NO_SPACE, "fault at %s", point) : NVMKV_OK;
}

/* Until more than half of a value table is released, and the rest is about to be collected. */
static void
store_with_given_up(void)
{
	NvmkvStatus st = NVMKV_OK;
	uint32_t i, round;

	store_init();
	store_open();
	put_all(1000, 0, 3000);
	settle();
	port_fault_hook = no_rewrite;
	for (round = 1; st == NVMKV_OK && round < 20; round++)
	{
		for (i = 0; i < 150; i++)
			put((uint32_t) check_random_below(1000), round, 3000);
		CHECK_OK(nvmkv_flush_all(store.rig.db));
		st = nvmkv_compact_all(store.rig.db);
	}
	port_fault_hook = NULL;
	CHECK_STATUS(st, NVMKV_NO_SPACE);
	CHECK(tables_of(store.db).given_up > 0);
}

TEST(table_is_replaced_while_it_is_looked_at)
{
	PortFileOps files = rig_quick_files;
	bool did, more;

	files.open = open_late;
	store_with_given_up();
	store_open(); /* all tables are to be opened again */
	CHECK(tables_of(store.db).given_up > 0);
	port_files = &files;
	others_work = true;
	CHECK_OK(nvmkv_work(store.rig.db, NVMKV_WORK_COMPACT, &did, &more));
	CHECK(!others_work);
	port_files = &rig_quick_files;
	settle();
	check_space(2.5);
	check_contents(NULL);
	check_files();
	store_remove();
}

#define OVERWRITES_MAX 100

static unsigned overwrites;

/* Others overwrite values whenever some have been collected. */
static NvmkvStatus
overwrite_meanwhile(const char *point)
{
	static bool inside;
	uint32_t i;

	if (strcmp(point, "values.before_sweep") != 0 || inside || overwrites == OVERWRITES_MAX)
		return NVMKV_OK;
	inside = true;
	overwrites++;
	for (i = 0; i < 50; i++)
		put((uint32_t) check_random_below(1000), 100 + overwrites, 3000);
	CHECK_OK(nvmkv_flush_all(store.rig.db));
	CHECK_OK(nvmkv_compact_all(store.rig.db));
	inside = false;
	return NVMKV_OK;
}

TEST(collection_ends_while_others_overwrite)
{
	uint32_t i;

	store_init();
	store_open();
	put_all(1000, 0, 3000);
	settle();
	for (i = 0; i < 50; i++)
		put((uint32_t) check_random_below(1000), 1, 3000);
	settle();
	port_fault_hook = overwrite_meanwhile;
	CHECK_OK(value_free_all(store.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	port_fault_hook = NULL;
	CHECK(overwrites > 0 && overwrites < OVERWRITES_MAX);
	settle();
	check_space(2.5);
	check_contents(NULL);
	check_files();
	store_remove();
}

static jmp_buf raised;

static void
begin_job_raises(void *ctx)
{
	(void) ctx;
	longjmp(raised, 1);
}

TEST(raising_while_values_are_collected_leaves_nothing)
{
	static const NvmkvTxnOps raising = {NULL, begin_job_raises, NULL, NULL};
	bool did;

	store_with_given_up();
	nvmkv_set_txn_ops(store.rig.db, &raising);
	if (setjmp(raised) == 0)
	{
		(void) value_collect(store.db, &did);
		CHECK(false);
	}
	CHECK(store.db->collecting != NULL);
	nvmkv_abort_cleanup(store.rig.db);
	CHECK(store.db->collecting == NULL);
	nvmkv_set_txn_ops(store.rig.db, NULL);
	settle();
	check_space(2.5);
	check_contents(NULL);
	check_files();
	store_remove();
}

/* ---- failures ---- */

#define EXIT_DIED 7

static const char *fail_at; /* point */
static unsigned fail_after; /* so many more pass */
static NvmkvStatus fail_with;
static bool failed;
static bool fail_dies;

static NvmkvStatus
fail_there(const char *point)
{
	if (fail_at == NULL || strcmp(point, fail_at) != 0 || fail_after-- > 0)
		return NVMKV_OK;
	if (fail_dies)
		_exit(EXIT_DIED);
	fail_at = NULL;
	failed = true;
	return NVMKV_FAIL(fail_with, "fault at %s", point);
}

/* Values that are to be written, and others that are to move. */
static void
make_work(uint32_t round)
{
	uint32_t i;

	for (i = 0; i < 400; i++)
		put(i, round, 2500);
	for (i = 0; i < 400; i++)
		put((uint32_t) check_random_below(1200), round, 3500);
	for (i = 1200; i < 1250; i++)
	{
		if (round % 2 == 0)
			put(i, round, 4000);
		else
			delete_key(i);
	}
	CHECK_OK(nvmkv_flush_all(store.rig.db));
}

static void
start_failures(void)
{
	store_init();
	store_open();
	put_all(1250, 0, 3000);
	settle();
	port_fault_hook = fail_there;
}

/* Each failure leaves nothing behind, and the work is done by who tries again. */
TEST(failures_leave_nothing_behind)
{
	static const char *const points[] = {"sst.write", "sst.finish", "table.synced", "values.before_sweep",
										 "level.before_install", "column.before_install"};
	unsigned p, n, round = 1;

	start_failures();
	for (p = 0; p < 6; p++)
	{
		unsigned failures = 0;

		for (n = 0; n < 12 && check_failures == 0; n++)
		{
			NvmkvStatus st;

			make_work(round++);
			failed = false;
			fail_at = points[p];
			fail_after = n;
			fail_with = n % 2 == 0 ? NVMKV_NO_SPACE : NVMKV_IO;
			st = nvmkv_compact_all(store.rig.db);
			fail_at = NULL;
			CHECK(failed == (st != NVMKV_OK));
			failures += failed;
			CHECK_EQ(wrong_keys(NULL), 0);
			CHECK_OK(rig_work(store.rig.db, NVMKV_WORK_RECLAIM));
			check_files();
			settle();
			check_space(2.5);
		}
		CHECK(failures > 0);
		check_contents(NULL);
		check_files();
	}
	port_fault_hook = NULL;
	store_open();
	check_contents(NULL);
	check_files();
	store_remove();
}

/* Dead, or half collected, is taken up by the next life. */
TEST(death_while_values_move)
{
	static const char *const points[] = {"values.before_sweep", "table.synced", "level.before_install",
										 "column.before_install", "manifest.appended"};
	unsigned p, n, round = 1;

	start_failures();
	for (p = 0; p < 5; p++)
	{
		unsigned deaths = 0;

		for (n = 0; n < 4 && check_failures == 0; n++)
		{
			int status = 0;
			pid_t child;

			make_work(round++);
			CHECK_OK(nvmkv_sync(store.rig.db, NVMKV_SEQUENCE_MAX));
			fflush(NULL);
			child = fork();
			REQUIRE(child >= 0);
			if (child == 0)
			{
				fail_at = points[p];
				fail_after = n;
				fail_dies = true;
				(void) nvmkv_compact_all(store.rig.db);
				_exit(0);
			}
			REQUIRE(waitpid(child, &status, 0) == child);
			CHECK(WIFEXITED(status));
			deaths += WEXITSTATUS(status) == EXIT_DIED;
			store_open();
			check_files();
			CHECK_EQ(wrong_keys(NULL), 0);
			settle();
			check_space(2.5);
			check_files();
		}
		CHECK(deaths > 0);
	}
	port_fault_hook = NULL;
	check_contents(NULL);
	store_remove();
}

/* ---- a disk ---- */

static bool disk_full;
static bool disk_fails_to_sync;

static NvmkvStatus
disk_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	if (disk_full && strstr(port_file_path(file), ".sst") != NULL && offset + size > 300 * KIB)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space for \"%s\"", port_file_path(file));
	return port_posix_files.write(file, offset, data, size);
}

static NvmkvStatus
disk_sync(PortFile *file)
{
	if (disk_fails_to_sync && strstr(port_file_path(file), ".sst") != NULL)
		return NVMKV_FAIL(NVMKV_IO, "cannot sync \"%s\"", port_file_path(file));
	return NVMKV_OK;
}

TEST(full_disk_for_values)
{
	PortFileOps files = rig_quick_files;
	unsigned round;

	files.write = disk_write;
	files.sync = disk_sync;
	start_failures();
	port_files = &files;
	for (round = 1; round < 4; round++)
	{
		make_work(round);
		disk_full = true;
		CHECK_STATUS(nvmkv_compact_all(store.rig.db), NVMKV_NO_SPACE);
		CHECK_STATUS(nvmkv_compact_range(store.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)), NVMKV_NO_SPACE);
		CHECK_EQ(wrong_keys(NULL), 0);
		check_files();
		disk_full = false;
		settle();
		check_space(2.5);
		check_files();
	}
	check_contents(NULL);

	/* After a failed sync nobody knows what is on the disk: until the next open it stays as it is. */
	make_work(round);
	disk_fails_to_sync = true;
	CHECK_STATUS(nvmkv_compact_all(store.rig.db), NVMKV_IO);
	CHECK_EQ(wrong_keys(NULL), 0);
	disk_fails_to_sync = false;
	CHECK(nvmkv_compact_all(store.rig.db) != NVMKV_OK);
	CHECK_OK(nvmkv_sync(store.rig.db, NVMKV_SEQUENCE_MAX));
	store_open();
	check_files();
	check_contents(NULL);
	settle();
	check_space(2.5);
	check_files();
	check_contents(NULL);
	port_fault_hook = NULL;
	store_remove();
}

TEST_MAIN()
