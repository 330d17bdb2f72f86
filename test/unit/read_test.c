/*
 * read_test.c
 *	  What point reads and scans show: of versions, locks and deletions, and over
 *	  the tables of a level, both ways and in batches between which things change.
 */
#include "lib/check.h"
#include "lib/rig.h"

#include "engine/read/dropped.h"

static Rig rig;

static void
open_rig(void)
{
	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.target_file_bytes = 65536;
	REQUIRE_OK(rig_open(&rig));
}

static void
close_rig(void)
{
	rig_remove(&rig);
	port_files = &port_posix_files;
}

static NvmkvStatus
get(const char *key, const NvmkvSnapshot *snapshot, char *text, size_t size)
{
	NvmkvBuf value = {0};
	NvmkvStatus st = nvmkv_get(rig.db, rig_slice(key), snapshot, &value, NULL);

	snprintf(text, size, "%.*s", (int) value.size, value.data != NULL ? (const char *) value.data : "");
	nvmkv_buf_free(&value);
	return st;
}

/* Keys of the range one behind the other; "between" comes after each batch of one row. */
static void
scan(const char *lower, const char *upper, bool reverse, const NvmkvSnapshot *snapshot, void (*between)(unsigned shown),
	 char *text, size_t size)
{
	const NvmkvScanRow *rows;
	unsigned count;
	unsigned shown = 0;
	size_t at = 0;
	NvmkvScan *s;

	text[0] = '\0';
	REQUIRE_OK(nvmkv_scan_create(rig.db, &s));
	CHECK_OK(nvmkv_scan_start(s, rig_slice(lower), rig_slice(upper), reverse, snapshot));
	for (;;)
	{
		REQUIRE_OK(nvmkv_scan_batch(s, 1, 1, &rows, &count));
		if (count == 0 || ++shown > 100)
			break;
		at += (size_t) snprintf(text + at, size - at, "%.*s", (int) rows[0].key.size, (const char *) rows[0].key.data);
		if (between != NULL)
			between(shown);
	}
	nvmkv_scan_destroy(s);
}

TEST(snapshots_end_at_their_sequence)
{
	NvmkvSnapshot snapshot = {NULL, NULL, 0, NULL};
	NvmkvBatch batch = {0};
	char text[64];
	uint64_t first;

	open_rig();
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("a"), nvmkv_slice(NULL, 0), rig_slice("1")));
	CHECK_OK(rig_write(rig.db, &batch, &first));
	nvmkv_batch_free(&batch);
	CHECK_OK(rig_put(rig.db, "a", "2"));
	CHECK_OK(rig_put(rig.db, "b", "3"));
	snapshot.sequence = first;
	CHECK_OK(get("a", &snapshot, text, sizeof(text)));
	CHECK(strcmp(text, "1") == 0);
	CHECK_STATUS(get("b", &snapshot, text, sizeof(text)), NVMKV_NOT_FOUND);
	scan("", "", false, &snapshot, NULL, text, sizeof(text));
	CHECK(strcmp(text, "a") == 0);
	scan("", "", true, &snapshot, NULL, text, sizeof(text));
	CHECK(strcmp(text, "a") == 0);
	snapshot.sequence = first - 1;
	CHECK_STATUS(get("a", &snapshot, text, sizeof(text)), NVMKV_NOT_FOUND);
	close_rig();
}

TEST(locks_and_deletions)
{
	RigTxns *txns = rig_txns_create();
	char text[64];
	unsigned round;

	open_rig();
	rig_txns_use(txns, rig.db);
	CHECK_OK(rig_put(rig.db, "a", "1"));
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_LOCK, rig_slice("a"), rig_begin(txns), 0, rig_slice("l")));
	CHECK_OK(rig_put(rig.db, "b", "2"));
	CHECK_OK(rig_delete(rig.db, "b"));
	for (round = 0; round < 2; round++)
	{
		RigSnapshot *snapshot = rig_snapshot(txns, 1, UINT32_MAX);

		CHECK_OK(get("a", &snapshot->base, text, sizeof(text)));
		CHECK(strcmp(text, "1") == 0);
		CHECK_STATUS(get("b", &snapshot->base, text, sizeof(text)), NVMKV_NOT_FOUND);
		scan("", "", round == 1, &snapshot->base, NULL, text, sizeof(text));
		CHECK(strcmp(text, "a") == 0);
		rig_release(snapshot);
		CHECK_OK(nvmkv_flush_all(rig.db));
	}
	close_rig();
	rig_txns_destroy(txns);
}

/* ---- keys that begin with given bytes ---- */

#define BEGIN_KEYS 3000

static size_t
prefixed_key(uint64_t i, uint8_t *key)
{
	put_be64(key, 7);
	put_be64(key + 8, i * UINT64_C(0x9E3779B97F4A7C15) >> (i % 3 == 0 ? 40 : 0));
	put_be64(key + 16, i);
	return 8 + (size_t) (i % 17);
}

static bool
is_deleted(uint64_t i)
{
	return i % 5 == 0;
}

/* Does any of the first n keys begin so? */
static bool
some_key_begins(uint64_t n, NvmkvSlice prefix, bool count_deleted)
{
	uint8_t key[24];
	uint64_t i;

	for (i = 0; i < n; i++)
		if ((count_deleted || !is_deleted(i)) && prefixed_key(i, key) >= prefix.size &&
			memcmp(key, prefix.data, prefix.size) == 0)
			return true;
	return false;
}

static void
check_prefixes(uint64_t n)
{
	unsigned free_ones = 0;
	unsigned i;

	for (i = 0; i < 1500; i++)
	{
		uint8_t key[24];
		size_t size = prefixed_key(check_random_below(BEGIN_KEYS + 500), key);
		NvmkvSlice prefix;
		bool is_free;

		if (i % 4 == 0)
			key[check_random_below(size)]++;
		prefix = nvmkv_slice(key, 8 + check_random_below(size - 7));
		REQUIRE_OK(nvmkv_prefix_is_free(rig.db, prefix, &is_free));
		/* A deletion may have gone. */
		REQUIRE(is_free ? !some_key_begins(n, prefix, false) : some_key_begins(n, prefix, true));
		free_ones += is_free;
	}
	CHECK(free_ones > 50);
}

/* In memtables, rows of the container and tables of several levels, deleted or not. */
TEST(prefixes_that_no_key_has)
{
	uint8_t key[24];
	uint64_t i;

	open_rig();
	for (i = 0; i < BEGIN_KEYS; i++)
	{
		NvmkvBatch batch = {0};
		size_t size = prefixed_key(i, key);
		unsigned type = is_deleted(i) ? NVMKV_TYPE_DELETION : NVMKV_TYPE_VALUE;

		CHECK_OK(nvmkv_batch_put(&batch, type, nvmkv_slice(key, size), nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
		CHECK_OK(rig_write(rig.db, &batch, NULL));
		nvmkv_batch_free(&batch);
		if (i % 500 == 250)
			check_prefixes(i + 1);
		if (i % 700 == 699)
			CHECK_OK(nvmkv_flush_all(rig.db));
		if (i == 1400)
			CHECK_OK(nvmkv_compact_all(rig.db));
	}
	check_prefixes(BEGIN_KEYS);
	close_rig();
}

/* A drop counts when nobody can see what was there before. */
TEST(drop_waits_for_those_who_do_not_see_it)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshot;
	bool dropped = true;
	uint64_t drop;

	open_rig();
	rig_txns_use(txns, rig.db);
	snapshot = rig_snapshot(txns, 0, 0);
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageA"), drop, 0, nvmkv_slice(NULL, 0)));
	CHECK_OK(db_storage_dropped(rig.db, rig_slice("storageA"), &dropped));
	CHECK(!dropped);
	rig_commit(txns, drop);
	CHECK_OK(nvmkv_flush_all(rig.db)); /* now it is known to have committed */
	dropped = true;
	CHECK_OK(db_storage_dropped(rig.db, rig_slice("storageA"), &dropped));
	CHECK(!dropped);
	rig_release(snapshot);
	CHECK_OK(db_storage_dropped(rig.db, rig_slice("storageA"), &dropped));
	CHECK(dropped);
	close_rig();
	rig_txns_destroy(txns);
}

static void
flush_between(unsigned shown)
{
	if (shown == 1)
		CHECK_OK(nvmkv_flush_all(rig.db));
	if (shown == 2)
		CHECK_OK(nvmkv_compact_all(rig.db));
}

/* What comes in front of where the scan stands is shown, in whatever memtable it is. */
static void
write_between(unsigned shown)
{
	if (shown != 1)
		return;
	CHECK_OK(nvmkv_switch_memtable(rig.db));
	CHECK_OK(rig_put(rig.db, "bb", "new"));
}

TEST(batches_between_which_things_change)
{
	char text[64];
	unsigned round;

	for (round = 0; round < 4; round++)
	{
		bool reverse = round % 2 == 1;

		open_rig();
		CHECK_OK(rig_put(rig.db, "a", "1"));
		CHECK_OK(rig_put(rig.db, "b", "2"));
		CHECK_OK(rig_put(rig.db, "c", "3"));
		CHECK_OK(rig_put(rig.db, "d", "4"));
		scan("", "", reverse, NULL, round < 2 ? flush_between : write_between, text, sizeof(text));
		CHECK(strcmp(text, round == 0 ? "abcd" : round == 1 ? "dcba" : round == 2 ? "abbbcd" : "dcbbba") == 0);
		close_rig();
	}
}

#define KEYS 1500

static unsigned
count_of(uint64_t from, uint64_t to, bool reverse)
{
	const NvmkvScanRow *rows;
	unsigned count;
	unsigned sum = 0;
	NvmkvScan *s;

	if (nvmkv_scan_create(rig.db, &s) != NVMKV_OK)
		return 0;
	CHECK_OK(nvmkv_scan_start(s, rig_key(from), rig_key(to), reverse, NULL));
	do
	{
		CHECK_OK(nvmkv_scan_batch(s, 1000, 1 << 20, &rows, &count));
		if (sum == 0 && count > 0)
			CHECK(slice_equal(rows[0].key, rig_key(reverse ? to - 1 : from)));
		sum += count;
	} while (count > 0);
	nvmkv_scan_destroy(s);
	return sum;
}

/* Ranges that begin and end anywhere in the tables of a level. */
TEST(ranges_over_tables)
{
	uint8_t value[200];
	NvmkvLevelStats levels[NVMKV_LEVELS];
	uint64_t tables = 0;
	unsigned nlevels;
	uint64_t i;

	open_rig();
	check_random_bytes(value, sizeof(value));
	for (i = 0; i < KEYS; i++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice(value, sizeof(value))));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	nlevels = nvmkv_level_stats(rig.db, levels, NVMKV_LEVELS);
	while (nlevels > 0)
		tables += levels[--nlevels].files;
	CHECK(tables > 3);
	CHECK_EQ(count_of(0, KEYS, false), KEYS);
	CHECK_EQ(count_of(0, KEYS, true), KEYS);
	for (i = 0; i + 3 < KEYS; i++)
	{
		CHECK_EQ(count_of(i, i + 3, false), 3);
		CHECK_EQ(count_of(i, i + 3, true), 3);
	}
	close_rig();
}

/* ---- one scan for many ranges of a prefix ---- */

#define PREFIXES 3
#define PREFIX_KEYS 400

/* Number n of a prefix, of 8 bytes, in a ring of buffers. */
static NvmkvSlice
prefix_key(unsigned prefix, unsigned n)
{
	static char keys[4][32];
	static unsigned next;
	char *key = keys[next++ % 4];

	snprintf(key, sizeof(keys[0]), "storage%c%05u", 'A' + prefix, n);
	return rig_slice(key);
}

/* The range's rows are those whose numbers are "there", each once and in order, and have their numbers as values. */
static void
check_range(NvmkvScan *s, unsigned prefix, unsigned from, unsigned to, bool reverse, const bool *there)
{
	unsigned n = reverse ? to : from;
	const NvmkvScanRow *rows;
	unsigned count;
	unsigned i;

	REQUIRE_OK(nvmkv_scan_start(s, prefix_key(prefix, from), prefix_key(prefix, to), reverse, NULL));
	for (;;)
	{
		REQUIRE_OK(nvmkv_scan_batch(s, 3, 1 << 20, &rows, &count));
		for (i = 0; i < count; i++)
		{
			while (reverse ? n > from && !there[n - 1] : n < to && !there[n])
				n = reverse ? n - 1 : n + 1;
			REQUIRE(reverse ? n > from : n < to);
			REQUIRE(slice_equal(rows[i].key, prefix_key(prefix, reverse ? n - 1 : n)));
			REQUIRE(slice_equal(rows[i].value, rows[i].key));
			n = reverse ? n - 1 : n + 1;
		}
		if (count == 0)
			break;
	}
	for (; reverse ? n > from : n < to; n = reverse ? n - 1 : n + 1)
		REQUIRE(!there[reverse ? n - 1 : n]);
}

static void
check_everything(NvmkvScan *s, bool there[PREFIXES][PREFIX_KEYS])
{
	const NvmkvScanRow *rows;
	unsigned count;
	unsigned i;

	REQUIRE_OK(nvmkv_scan_start(s, prefix_key(0, 0), nvmkv_slice(NULL, 0), false, NULL));
	REQUIRE_OK(nvmkv_scan_batch(s, PREFIXES * PREFIX_KEYS, 1 << 20, &rows, &count));
	for (i = 0; i < PREFIXES * PREFIX_KEYS; i++)
		count -= there[i / PREFIX_KEYS][i % PREFIX_KEYS];
	REQUIRE(count == 0);
}

/*
 * Some keys that belong together come into one row of the container, so rows meet some ranges and not others; from time
 * to time they go down to tables.
 */
static void
change_keys(bool there[PREFIXES][PREFIX_KEYS])
{
	unsigned prefix = (unsigned) check_random_below(PREFIXES);
	unsigned first = (unsigned) check_random_below(PREFIX_KEYS - 40);
	unsigned n;

	for (n = first; n < first + 40; n += 1 + (unsigned) check_random_below(3))
	{
		bool put = check_random() % 4 > 0;
		NvmkvSlice key = prefix_key(prefix, n);

		there[prefix][n] = put;
		REQUIRE_OK(rig_entry(rig.db, put ? NVMKV_KIND_VALUE : NVMKV_KIND_DELETION, key, 0, 0,
							 put ? key : nvmkv_slice(NULL, 0)));
	}
	if (check_random() % 2 == 0)
		REQUIRE_OK(nvmkv_flush_all(rig.db));
	if (check_random() % 16 == 0)
		REQUIRE_OK(nvmkv_compact_all(rig.db));
}

/* A scan that is started again and again shows the same as a new one, whatever happens between. */
TEST(many_ranges_of_a_prefix)
{
	static bool there[PREFIXES][PREFIX_KEYS];
	unsigned container;

	for (container = 0; container < 2; container++)
	{
		NvmkvScan *s;
		unsigned round;

		memset(there, 0, sizeof(there));
		port_files = &rig_quick_files;
		rig_init(&rig);
		rig.options.target_file_bytes = 65536;
		rig.options.prefix_bytes = 8;
		if (container == 0)
			rig.options.nvm_bytes = 0;
		REQUIRE_OK(rig_open(&rig));
		REQUIRE_OK(nvmkv_scan_create(rig.db, &s));
		for (round = 0; round < 300; round++)
		{
			unsigned prefix = (unsigned) check_random_below(PREFIXES);
			unsigned ranges = (unsigned) check_random_below(6);
			bool reverse = check_random() % 8 == 0;

			change_keys(there);
			if (check_random() % 8 == 0)
				check_everything(s, there);
			while (ranges-- > 0)
			{
				unsigned from = (unsigned) check_random_below(PREFIX_KEYS);
				unsigned most = check_random() % 2 == 0 ? PREFIX_KEYS - from : (PREFIX_KEYS - from) % 20 + 1;

				check_range(s, prefix, from, from + (unsigned) check_random_below(most), reverse, there[prefix]);
				if (check_random() % 16 == 0)
					reverse = !reverse;
			}
		}
		nvmkv_scan_destroy(s);
		close_rig();
	}
}

/* All versions of a key are in one table of a level, however many there are. */
TEST(versions_of_a_key_stay_together)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshot;
	uint8_t value[900];
	char text[1000];
	unsigned i;

	open_rig();
	rig_txns_use(txns, rig.db);
	memset(value, 'v', sizeof(value));
	for (i = 0; i < 200; i++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice("k"), rig_begin(txns), 0,
							 nvmkv_slice(value, sizeof(value))));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	snapshot = rig_snapshot(txns, 1, 1);
	CHECK_OK(get("k", &snapshot->base, text, sizeof(text)));
	rig_release(snapshot);
	close_rig();
	rig_txns_destroy(txns);
}

TEST_MAIN()
