/*
 * isolate_test.c
 *	  Damage costs the keys in it and nothing else: whatever bytes of tables, value
 *	  tables and rows are spoilt, and whichever tables are cut short or gone, a key
 *	  has its newest value or the failure says that it is lost; writes, flushes and
 *	  compaction go on to their end; and what is dropped or given up is gone.
 *
 * NVMKV_ISOLATIONS: how many random damages (default 15).
 */
#include <dirent.h>

#include "engine/tree/damage.h"
#include "engine/tree/tree.h"

#include "lib/rig.h"

#include "lib/check.h"

#define STORAGES 3
#define KEYS_EACH 300
#define KEYS (STORAGES * KEYS_EACH)
#define ROUNDS 15

/* Of each key: the version it must have, 0: it is deleted. */
typedef struct Model
{
	unsigned version[KEYS];
	bool dropped[STORAGES];
} Model;

static NvmkvSlice
key_of(unsigned key)
{
	static _Thread_local char text[4][32];
	static _Thread_local unsigned at;
	char *t = text[at++ % 4];

	return nvmkv_slice(t, (size_t) snprintf(t, sizeof(text[0]), "storage%c%05u", 'A' + key / KEYS_EACH, key % KEYS_EACH));
}

static NvmkvSlice
storage_of(unsigned storage)
{
	static _Thread_local char text[4][16];
	static _Thread_local unsigned at;
	char *t = text[at++ % 4];

	return nvmkv_slice(t, (size_t) snprintf(t, sizeof(text[0]), "storage%c", 'A' + storage));
}

/* One in seven is large enough to stand apart, if any are. */
static NvmkvSlice
value_of(unsigned key, unsigned version, uint8_t bytes[2000])
{
	size_t size = key % 7 == 0 ? 2000 : 60 + key % 50;

	memset(bytes, 'a' + (int) (key % 26), size);
	put_u32(bytes, key);
	put_u32(bytes + 4, version);
	return nvmkv_slice(bytes, size);
}

static void
put(Rig *rig, Model *m, unsigned key)
{
	static unsigned last_version;
	uint8_t bytes[2000];

	m->version[key] = ++last_version;
	REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, key_of(key), 0, 0, value_of(key, last_version, bytes)));
}

static void
delete(Rig *rig, Model *m, unsigned key)
{
	m->version[key] = 0;
	REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_DELETION, key_of(key), 0, 0, nvmkv_slice(NULL, 0)));
}

/* Two levels, three rows, and a log. */
static void
make(Rig *rig, Model *m, uint32_t threshold)
{
	unsigned k;

	memset(m, 0, sizeof(*m));
	rig_init(rig);
	rig->options.value_threshold_bytes = threshold;
	rig->options.target_file_bytes = 64 * 1024;
	rig->options.block_bytes = 1024;
	REQUIRE_OK(rig_open(rig));
	for (k = 0; k < KEYS; k++)
		put(rig, m, k);
	REQUIRE_OK(nvmkv_compact_range(rig->db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	for (k = 0; k < KEYS; k += 3)
		if (k % 5 == 0)
			delete(rig, m, k);
		else
			put(rig, m, k);
	REQUIRE_OK(nvmkv_flush_all(rig->db));
	REQUIRE_OK(nvmkv_compact_all(rig->db));
	for (k = 1; k < 3 * KEYS; k += 7)
	{
		put(rig, m, k % KEYS);
		if (k > KEYS && k <= KEYS + 7)
			REQUIRE_OK(nvmkv_flush_all(rig->db));
		if (k > 2 * KEYS && k <= 2 * KEYS + 7)
			REQUIRE_OK(nvmkv_flush_all(rig->db));
	}
	REQUIRE_OK(nvmkv_flush_all(rig->db));
	for (k = 0; k < KEYS; k += 31)
		put(rig, m, k);
	REQUIRE_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
	rig_close(rig);
}

static void
run(const char *command)
{
	CHECK(system(command) == 0);
}

static void
save(const Rig *rig)
{
	char command[2000];

	(void) snprintf(command, sizeof(command), "cp -a '%s' '%s/saved'", rig->path, rig->dir);
	run(command);
}

/* What was saved comes back. */
static void
restore(const Rig *rig)
{
	char command[2600];

	(void) snprintf(command, sizeof(command), "rm -r '%s' && cp -a '%s/saved' '%s'", rig->path, rig->dir, rig->path);
	run(command);
}

/* ---- what can be read ---- */

/* Which keys are lost; all others must be as the model has them.  Returns how many. */
static unsigned
find_lost(Rig *rig, const Model *m, bool lost[KEYS])
{
	NvmkvBuf value = {0};
	unsigned n = 0;
	unsigned k;

	for (k = 0; k < KEYS; k++)
	{
		uint8_t bytes[2000];
		NvmkvStatus st;

		lost[k] = false;
		if (m->dropped[k / KEYS_EACH])
			continue;
		st = nvmkv_get(rig->db, key_of(k), NULL, &value, NULL);
		lost[k] = st == NVMKV_CORRUPTION;
		n += lost[k];
		if (lost[k])
			continue;
		if (m->version[k] == 0)
			CHECK_STATUS(st, NVMKV_NOT_FOUND);
		else if (CHECK_STATUS(st, NVMKV_OK))
			CHECK(slice_equal(nvmkv_buf_slice(&value), value_of(k, m->version[k], bytes)));
	}
	nvmkv_buf_free(&value);
	return n;
}

/* A scan of the storage shows every key up to its end or a failure, and fails where a key is lost. */
static void
check_scan(Rig *rig, const Model *m, const bool lost[KEYS], unsigned storage, bool reverse)
{
	int step = reverse ? -1 : 1;
	int at = (int) (storage * KEYS_EACH) + (reverse ? KEYS_EACH - 1 : 0);
	int end = (int) (storage * KEYS_EACH) + (reverse ? -1 : KEYS_EACH);
	const NvmkvScanRow *rows;
	NvmkvScan *scan;
	unsigned n = 1;
	NvmkvStatus st = NVMKV_OK;

	REQUIRE_OK(nvmkv_scan_create(rig->db, &scan));
	CHECK_OK(nvmkv_scan_start(scan, storage_of(storage), storage_of(storage + 1), reverse, NULL));
	while (n > 0 && (st = nvmkv_scan_batch(scan, 40, 100000, &rows, &n)) == NVMKV_OK)
	{
		unsigned i;

		for (i = 0; i < n; i++, at += step)
		{
			uint8_t bytes[2000];

			for (; at != end && !lost[at] && m->version[at] == 0; at += step)
				;
			if (at == end || lost[at] || !slice_equal(rows[i].key, key_of((unsigned) at)))
			{
				check_failed(__FILE__, __LINE__, "the scan shows the next key");
				break;
			}
			CHECK(slice_equal(rows[i].value, value_of((unsigned) at, m->version[at], bytes)));
		}
	}
	if (st == NVMKV_OK)
		for (; at != end; at += step)
			CHECK(!lost[at] && m->version[at] == 0);
	else
		CHECK_STATUS(st, NVMKV_CORRUPTION);
	nvmkv_scan_destroy(scan);
}

static void
check_scans(Rig *rig, const Model *m, const bool lost[KEYS])
{
	unsigned s;

	for (s = 0; s < STORAGES; s++)
		if (!m->dropped[s])
		{
			check_scan(rig, m, lost, s, false);
			check_scan(rig, m, lost, s, true);
		}
}

static unsigned problems;

static void
count_problem(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	(void) where;
	problems++;
	if (getenv("NVMKV_SHOW") != NULL)
		fprintf(stderr, "    %s: %s\n", where, text);
}

static unsigned
count_problems(Rig *rig)
{
	problems = 0;
	CHECK_OK(nvmkv_check(rig->db, count_problem, NULL));
	return problems;
}

static uint64_t
damaged_ranges(Rig *rig)
{
	NvmkvStats stats;

	nvmkv_stats(rig->db, &stats);
	return stats.damaged_ranges;
}

static unsigned
tables_on_disk(const Rig *rig)
{
	DIR *dir = opendir(rig->path);
	struct dirent *entry;
	unsigned n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, ".sst") != NULL;
	if (dir != NULL)
		closedir(dir);
	return n;
}

static unsigned
tables_in_version(Rig *rig)
{
	unsigned n;

	db_enter(rig->db);
	n = versions_current(&rig->db->versions)->nfiles;
	db_leave(rig->db);
	return n;
}

/* ---- damage ---- */

/* A file whose name ends so. */
static bool
pick_file(const Rig *rig, const char *suffix, char *path, size_t size)
{
	DIR *dir = opendir(rig->path);
	struct dirent *entry;
	unsigned seen = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		const char *at = strstr(entry->d_name, suffix);

		if (at != NULL && at[strlen(suffix)] == '\0' && check_random_below(++seen) == 0)
			rig_path(rig, entry->d_name, path, size);
	}
	if (dir != NULL)
		closedir(dir);
	return seen > 0;
}

static void
spoil(const char *path, uint64_t at, unsigned bytes)
{
	FILE *file = fopen(path, "r+b");

	REQUIRE(file != NULL);
	for (; bytes > 0; bytes--, at++)
	{
		int c;

		if (fseek(file, (long) at, SEEK_SET) != 0 || (c = fgetc(file)) == EOF)
			break;
		CHECK(fseek(file, (long) at, SEEK_SET) == 0 && fputc(c ^ (int) (1 + check_random_below(255)), file) != EOF);
	}
	CHECK(fclose(file) == 0);
}

/* Says what it did. */
static void
do_damage(const Rig *rig, char *what, size_t size)
{
	char path[700];
	struct stat st;
	uint64_t at;

	switch (check_random_below(6))
	{
		case 0:
			REQUIRE(pick_file(rig, ".sst", path, sizeof(path)));
			CHECK(unlink(path) == 0);
			(void) snprintf(what, size, "%s is gone", path);
			break;
		case 1:
			REQUIRE(pick_file(rig, ".sst", path, sizeof(path)) && stat(path, &st) == 0);
			at = check_random_below((uint64_t) st.st_size);
			CHECK(truncate(path, (off_t) at) == 0);
			(void) snprintf(what, size, "%s is cut at %" PRIu64, path, at);
			break;
		case 2:
		case 3:
			REQUIRE(pick_file(rig, ".sst", path, sizeof(path)) && stat(path, &st) == 0);
			at = check_random_below((uint64_t) st.st_size);
			spoil(path, at, 1 + (unsigned) check_random_below(3));
			(void) snprintf(what, size, "%s is spoilt at %" PRIu64, path, at);
			break;
		default:
			rig_path(rig, "level0.pool", path, sizeof(path));
			/* Rows are at the start of extents. */
			at = ((2 + check_random_below(6)) << 20) + check_random_below(check_random_below(2) == 0 ? 400 : 60000);
			spoil(path, at, 1 + (unsigned) check_random_below(200));
			(void) snprintf(what, size, "%s is spoilt at %" PRIu64, path, at);
			break;
	}
}

/* ---- what comes of it ---- */

static void
write_some(Rig *rig, Model *m)
{
	unsigned i;

	for (i = 0; i < 30; i++)
	{
		unsigned key = (unsigned) check_random_below(KEYS);

		if (!m->dropped[key / KEYS_EACH])
			put(rig, m, key);
	}
}

static void
drop(Rig *rig, Model *m, unsigned storage)
{
	m->dropped[storage] = true;
	REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_RANGE_DELETION, storage_of(storage), 0, 0, nvmkv_slice(NULL, 0)));
}

static void
check_nothing_is_left(Rig *rig, const Model *m)
{
	bool lost[KEYS];

	CHECK_EQ(find_lost(rig, m, lost), 0);
	check_scans(rig, m, lost);
	CHECK_EQ(damaged_ranges(rig), 0);
	CHECK_EQ(count_problems(rig), 0);
	CHECK_OK(rig_work(rig->db, NVMKV_WORK_RECLAIM));
	CHECK_EQ(tables_on_disk(rig), tables_in_version(rig));
}

/* The keys that were lost are absent now, or what is left of them is there. */
static void
take_over(Rig *rig, Model *m, const bool lost[KEYS])
{
	NvmkvBuf value = {0};
	unsigned k;

	for (k = 0; k < KEYS; k++)
		if (lost[k] && !m->dropped[k / KEYS_EACH])
		{
			NvmkvStatus st = nvmkv_get(rig->db, key_of(k), NULL, &value, NULL);

			CHECK(st == NVMKV_OK || st == NVMKV_NOT_FOUND);
			if (st == NVMKV_OK)
				CHECK(value.size >= 8 && get_u32(value.data) == k && get_u32(value.data + 4) <= m->version[k]);
			put(rig, m, k);
		}
	nvmkv_buf_free(&value);
}

static void
live_with(Rig *rig, Model *m)
{
	bool before[KEYS], after[KEYS], again[KEYS];
	unsigned nbefore, nafter;
	NvmkvRowStats row;

	nbefore = find_lost(rig, m, before);
	check_scans(rig, m, before);
	write_some(rig, m);
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(nvmkv_compact_all(rig->db));
	CHECK_EQ(nvmkv_row_stats(rig->db, &row, 1), 0);
	(void) find_lost(rig, m, after);
	write_some(rig, m);
	CHECK_OK(nvmkv_compact_range(rig->db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	nafter = find_lost(rig, m, after);
	/* Not many more: keys of a damaged block with newer versions above that are older than the block's newest. */
	if (nafter > nbefore + 40)
	{
		check_failed(__FILE__, __LINE__, "compaction spreads damage");
		fprintf(stderr, "    %u keys were lost before, %u after\n", nbefore, nafter);
		(void) count_problems(rig);
	}
	check_scans(rig, m, after);
	CHECK(nafter == 0 || count_problems(rig) > 0);
	REQUIRE_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
	REQUIRE_OK(rig_reopen(rig));
	CHECK_EQ(find_lost(rig, m, again), nafter);
	CHECK(memcmp(after, again, sizeof(after)) == 0);
	check_scans(rig, m, again);
	if (check_random_below(2) == 0)
	{
		drop(rig, m, 0);
		drop(rig, m, 2);
		CHECK_OK(nvmkv_compact_range(rig->db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
		(void) find_lost(rig, m, after);
		check_scans(rig, m, after);
		drop(rig, m, 1);
		CHECK_OK(nvmkv_compact_range(rig->db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	}
	else
	{
		CHECK_OK(nvmkv_forget_damage(rig->db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
		take_over(rig, m, again);
		CHECK_OK(nvmkv_compact_all(rig->db));
	}
	check_nothing_is_left(rig, m);
	REQUIRE_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
	REQUIRE_OK(rig_reopen(rig));
	check_nothing_is_left(rig, m);
}

static void
isolate(uint32_t threshold)
{
	const char *text = getenv("NVMKV_ISOLATIONS");
	unsigned rounds = text != NULL ? (unsigned) atoi(text) : ROUNDS;
	Model made, m;
	Rig rig;
	unsigned i;

	port_files = &rig_quick_files;
	make(&rig, &made, threshold);
	save(&rig);
	for (i = 0; i < rounds && check_failures == 0; i++)
	{
		char what[800] = "";
		NvmkvStatus st;

		m = made;
		do_damage(&rig, what, sizeof(what));
		st = rig_open(&rig);
		CHECK_OK(st);
		if (st == NVMKV_OK)
			live_with(&rig, &m);
		if (check_failures > 0)
			fprintf(stderr, "    round %u: %s\n", i, what);
		rig_close(&rig);
		restore(&rig);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(damage_costs_what_is_in_it)
{
	isolate(0);
}

TEST(damage_beside_values_apart)
{
	isolate(1000);
}

/* Whatever byte of a table it is: what a scan shows is found, too. */
TEST(damage_costs_lookups_what_it_costs_scans)
{
	char path[700];
	bool lost[KEYS];
	struct stat st;
	uint64_t at;
	unsigned k;
	Model m;
	Rig rig;

	memset(&m, 0, sizeof(m));
	rig_init(&rig);
	rig.options.block_bytes = 1024;
	REQUIRE_OK(rig_open(&rig));
	for (k = 600; k < 620; k++)
		put(&rig, &m, k);
	REQUIRE_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	rig_close(&rig);
	REQUIRE(pick_file(&rig, ".sst", path, sizeof(path)) && stat(path, &st) == 0);
	save(&rig);
	for (at = 0; at < (uint64_t) st.st_size && check_failures == 0; at += 24)
	{
		spoil(path, at, 1);
		REQUIRE_OK(rig_open(&rig));
		(void) find_lost(&rig, &m, lost);
		check_scans(&rig, &m, lost);
		if (check_failures > 0)
			fprintf(stderr, "    spoilt at %" PRIu64 "\n", at);
		rig_close(&rig);
		restore(&rig);
	}
	rig_remove(&rig);
}

/* Compaction that comes upon damage keeps the deletions above it: without them such keys would be lost, not absent. */
TEST(deletions_above_damage_stay)
{
	bool lost[KEYS];
	char path[700];
	struct stat st;
	unsigned round;
	unsigned k;
	Model m;
	Rig rig;

	memset(&m, 0, sizeof(m));
	rig_init(&rig);
	rig.options.value_threshold_bytes = 0;
	REQUIRE_OK(rig_open(&rig));
	for (k = 0; k < KEYS; k++)
		put(&rig, &m, k);
	REQUIRE_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	for (k = 0; k < KEYS; k += 2)
		delete(&rig, &m, k);
	REQUIRE_OK(nvmkv_flush_all(rig.db));
	rig_close(&rig);
	REQUIRE(pick_file(&rig, ".sst", path, sizeof(path)) && stat(path, &st) == 0);
	spoil(path, (uint64_t) st.st_size / 3, 8000);
	REQUIRE_OK(rig_open(&rig));
	for (round = 0; round < 2; round++)
	{
		CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
		CHECK(damaged_ranges(&rig) > 0);
		CHECK(find_lost(&rig, &m, lost) > 0);
		for (k = 0; k < KEYS; k += 2)
			CHECK(!lost[k]);
	}
	rig_remove(&rig);
}

/* Key of a prefix that is a sequence; 0: of the list behind all of them. */
static NvmkvSlice
born_key(uint8_t bytes[16], uint64_t prefix, unsigned key)
{
	put_be64(bytes, prefix == 0 ? UINT64_MAX : prefix);
	put_be64(bytes + 8, key);
	return nvmkv_slice(bytes, 16);
}

static void
put_born(Rig *rig, uint64_t prefix, unsigned key)
{
	static const uint8_t value[300] = {'v'};
	uint8_t bytes[16];

	REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, born_key(bytes, prefix, key), 0, 0,
						 nvmkv_slice(value, sizeof(value))));
}

/* A prefix that is younger than the damage has nothing in it, wherever it is. */
static void
check_young(Rig *rig, uint64_t prefix)
{
	const NvmkvScanRow *rows;
	NvmkvBuf value = {0};
	NvmkvScan *scan;
	uint8_t key[16], end[8];
	unsigned n = 0;
	int reverse;

	CHECK_OK(nvmkv_get(rig->db, born_key(key, prefix, 5), NULL, &value, NULL));
	CHECK_STATUS(nvmkv_get(rig->db, born_key(key, prefix, 6), NULL, &value, NULL), NVMKV_NOT_FOUND);
	put_be64(end, prefix + 1);
	for (reverse = 0; reverse < 2; reverse++)
	{
		REQUIRE_OK(nvmkv_scan_create(rig->db, &scan));
		CHECK_OK(nvmkv_scan_start(scan, nvmkv_slice(born_key(key, prefix, 0).data, 8), nvmkv_slice(end, 8), reverse,
								  NULL));
		CHECK_OK(nvmkv_scan_batch(scan, 10, 100000, &rows, &n));
		CHECK_EQ(n, 1);
		CHECK_OK(nvmkv_scan_batch(scan, 10, 100000, &rows, &n));
		CHECK_EQ(n, 0);
		nvmkv_scan_destroy(scan);
	}
	/* The one before it is not, and what it has between is lost. */
	CHECK_STATUS(nvmkv_get(rig->db, born_key(key, 1, KEYS - 1), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK_STATUS(nvmkv_get(rig->db, born_key(key, 0, 1), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK_OK(nvmkv_get(rig->db, born_key(key, 1, 1), NULL, &value, NULL));
	nvmkv_buf_free(&value);
}

TEST(what_is_younger_than_damage_is_not_lost)
{
	char last[700] = "";
	struct dirent *entry;
	NvmkvStats stats;
	uint64_t young;
	Rig rig;
	DIR *dir;
	unsigned k;

	rig_init(&rig);
	rig.options.target_file_bytes = 64 * 1024;
	rig.options.prefix_bytes = 8;
	rig.options.prefix_is_sequence = true;
	REQUIRE_OK(rig_open(&rig));
	for (k = 0; k < KEYS; k++)
		put_born(&rig, 1, k);
	put_born(&rig, 0, 1);
	REQUIRE_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	nvmkv_stats(rig.db, &stats);
	young = stats.last_sequence;
	rig_close(&rig);
	/* The last table reaches from one prefix to the list. */
	dir = opendir(rig.path);
	REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
		if (strstr(entry->d_name, ".sst") != NULL && (last[0] == '\0' || strcmp(entry->d_name, strrchr(last, '/') + 1) > 0))
			rig_path(&rig, entry->d_name, last, sizeof(last));
	closedir(dir);
	CHECK(unlink(last) == 0);
	REQUIRE_OK(rig_open(&rig));
	put_born(&rig, young, 5);
	check_young(&rig, young);
	REQUIRE_OK(nvmkv_flush_all(rig.db));
	check_young(&rig, young);
	CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK(damaged_ranges(&rig) > 0);
	check_young(&rig, young);
	REQUIRE_OK(rig_reopen(&rig));
	check_young(&rig, young);
	rig_remove(&rig);
}

TEST_MAIN()
