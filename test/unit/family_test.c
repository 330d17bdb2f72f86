/*
 * family_test.c
 *	  Column families: creation, reading and writing, batches over several,
 *	  recovery, drop, several processes.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/rig.h"

#include "lib/check.h"

#define MIB (UINT64_C(1) << 20)

/* A rig with room for some families. */
static void
family_rig(Rig *rig)
{
	rig_init(rig);
	rig->options.max_families = 4;
}

static NvmkvStatus
create(NvmkvDb *db, const char *name, unsigned *id_out)
{
	NvmkvFamilyOptions options;

	nvmkv_family_options_default(db, &options);
	return nvmkv_family_create(db, 0, name, &options, id_out);
}

static NvmkvStatus
put(NvmkvBatch *batch, unsigned family, const char *key, const char *value)
{
	nvmkv_batch_family(batch, family);
	return nvmkv_batch_put(batch, NVMKV_TYPE_VALUE, rig_slice(key), nvmkv_slice(NULL, 0), rig_slice(value));
}

static NvmkvStatus
put_one(NvmkvDb *db, unsigned family, const char *key, const char *value)
{
	NvmkvBatch batch = {0};
	NvmkvStatus st = put(&batch, family, key, value);

	if (st == NVMKV_OK)
		st = rig_write(db, &batch, NULL);
	nvmkv_batch_free(&batch);
	return st;
}

/* The value of a key of a family; "-" when there is none, "!" at a failure. */
static const char *
get(NvmkvDb *db, unsigned id, const char *key)
{
	static char text[64];
	NvmkvBuf value = {0};
	NvmkvDb *family;
	NvmkvStatus st = nvmkv_family(db, id, &family);

	if (st == NVMKV_OK)
		st = nvmkv_get(family, rig_slice(key), NULL, &value, NULL);
	if (st == NVMKV_OK)
		snprintf(text, sizeof(text), "%.*s", (int) value.size, value.size > 0 ? (const char *) value.data : "");
	else
		snprintf(text, sizeof(text), "%s", st == NVMKV_NOT_FOUND ? "-" : "!");
	nvmkv_buf_free(&value);
	return text;
}

#define CHECK_GET(db, family, key, expected) \
	do \
	{ \
		const char *check_text_ = get((db), (family), (key)); \
		if (strcmp(check_text_, (expected)) != 0) \
		{ \
			check_failed(__FILE__, __LINE__, "get " key); \
			fprintf(stderr, "    \"%s\", expected \"%s\"\n", check_text_, (expected)); \
		} \
	} while (0)

static uint64_t
count_rows(NvmkvDb *db, unsigned id)
{
	NvmkvDb *family;
	NvmkvScan *scan;
	const NvmkvScanRow *rows;
	unsigned n;
	uint64_t count = 0;

	if (nvmkv_family(db, id, &family) != NVMKV_OK || nvmkv_scan_create(family, &scan) != NVMKV_OK)
		return UINT64_MAX;
	CHECK_OK(nvmkv_scan_start(scan, rig_slice(""), rig_slice(""), false, NULL));
	while (CHECK_STATUS(nvmkv_scan_batch(scan, 100, 65536, &rows, &n), NVMKV_OK) && n > 0)
		count += n;
	nvmkv_scan_destroy(scan);
	return count;
}

static void
no_problem(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	check_failed(__FILE__, __LINE__, "check");
	fprintf(stderr, "    %s: %s\n", where, text);
}

static unsigned
count_files(const char *dir, const char *suffix)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
	{
		size_t length = strlen(e->d_name);
		size_t tail = strlen(suffix);

		n += e->d_name[0] != '.' && length >= tail && strcmp(e->d_name + length - tail, suffix) == 0;
	}
	if (d != NULL)
		closedir(d);
	return n;
}

/* Rows of many bytes, keys first .. first + n - 1. */
static NvmkvStatus
fill(NvmkvDb *db, unsigned family, uint64_t first, uint64_t n)
{
	NvmkvBatch batch = {0};
	char value[1000];
	uint64_t i;
	NvmkvStatus st = NVMKV_OK;

	memset(value, 'v', sizeof(value));
	for (i = first; i < first + n && st == NVMKV_OK; i++)
	{
		nvmkv_batch_clear(&batch);
		nvmkv_batch_family(&batch, family);
		st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(i * 7919 % 1000003), nvmkv_slice(NULL, 0),
							 nvmkv_slice(value, sizeof(value)));
		if (st == NVMKV_OK)
			st = rig_write(db, &batch, NULL);
	}
	nvmkv_batch_free(&batch);
	return st;
}

TEST(create_write_read)
{
	Rig rig;
	unsigned hot, cold;
	NvmkvFamilyInfo list[4];

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK(nvmkv_family_list(rig.db, list, 4) == 0);
	CHECK_OK(create(rig.db, "hot", &hot));
	CHECK_OK(create(rig.db, "cold", &cold));
	CHECK(hot == 1 && cold == 2);
	CHECK_OK(put_one(rig.db, 0, "k", "default"));
	CHECK_OK(put_one(rig.db, hot, "k", "in hot"));
	CHECK_GET(rig.db, 0, "k", "default");
	CHECK_GET(rig.db, hot, "k", "in hot");
	CHECK_GET(rig.db, cold, "k", "-");
	CHECK_OK(put_one(rig.db, hot, "k", "newer"));
	CHECK_GET(rig.db, hot, "k", "newer");
	CHECK_GET(rig.db, 0, "k", "default");
	CHECK(nvmkv_family_list(rig.db, list, 4) == 2);
	CHECK(list[0].id == hot && strcmp(list[0].name, "hot") == 0 && list[1].id == cold);
	CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	rig_remove(&rig);
}

TEST(names_and_limits)
{
	Rig rig;
	unsigned id;
	NvmkvFamilyOptions options;
	NvmkvDb *family;
	char name[NVMKV_FAMILY_NAME_BYTES + 2];

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	nvmkv_family_options_default(rig.db, &options);
	CHECK_STATUS(create(rig.db, "", &id), NVMKV_INVALID);
	CHECK_STATUS(create(rig.db, "a\nb", &id), NVMKV_INVALID);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CHECK_STATUS(create(rig.db, name, &id), NVMKV_INVALID);
	name[sizeof(name) - 2] = '\0';
	CHECK_OK(create(rig.db, name, &id));
	CHECK_STATUS(create(rig.db, "default", &id), NVMKV_INVALID);
	CHECK_STATUS(create(rig.db, name, &id), NVMKV_INVALID);
	CHECK_OK(nvmkv_family_create(rig.db, 1, name, &options, &id)); /* it is there already */
	CHECK_STATUS(nvmkv_family_create(rig.db, 1, "other", &options, &id), NVMKV_INVALID);
	CHECK_STATUS(nvmkv_family_create(rig.db, 4, "other", &options, &id), NVMKV_LIMIT);
	options.write_buffer_bytes *= 2;
	CHECK_STATUS(nvmkv_family_create(rig.db, 0, "wide", &options, &id), NVMKV_LIMIT);
	options.write_buffer_bytes = 1;
	CHECK_STATUS(nvmkv_family_create(rig.db, 0, "narrow", &options, &id), NVMKV_INVALID);
	CHECK_OK(create(rig.db, "b", &id));
	CHECK_OK(create(rig.db, "c", &id));
	CHECK_STATUS(create(rig.db, "d", &id), NVMKV_LIMIT);
	CHECK_STATUS(nvmkv_family(rig.db, 7, &family), NVMKV_NOT_FOUND);
	CHECK_STATUS(nvmkv_family_drop(rig.db, 7), NVMKV_NOT_FOUND);
	CHECK_STATUS(nvmkv_family_drop(rig.db, 0), NVMKV_INVALID);
	CHECK_STATUS(put_one(rig.db, 9, "k", "nowhere"), NVMKV_NOT_FOUND);
	rig_close(&rig);

	/* With fewer slots than the database has families it is not opened. */
	rig.options.max_families = 3;
	CHECK_STATUS(rig_open(&rig), NVMKV_INVALID);
	rig.options.max_families = 1;
	CHECK_STATUS(rig_open(&rig), NVMKV_INVALID);
	rig.options.max_families = 4;
	CHECK_OK(rig_open(&rig));
	rig_remove(&rig);

	rig_init(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_STATUS(create(rig.db, "b", &id), NVMKV_LIMIT);
	CHECK_STATUS(nvmkv_family_drop(rig.db, 1), NVMKV_NOT_FOUND);
	rig_remove(&rig);
}

static NvmkvStatus
reopen_covered(Rig *rig)
{
	rig_close(rig);
	rig->options.family_slots = 0;
	rig->options.family_memtables_bytes = 0;
	nvmkv_options_cover(&rig->options, rig->path);
	return rig_open(rig);
}

/*
 * The database's options go down: families that there are get what they need, or what they follow; new ones get what
 * is left.
 */
TEST(options_go_down_and_up)
{
	Rig rig;
	NvmkvFamilyOptions options;
	NvmkvFamilyInfo list[4];
	NvmkvContainerInfo container;
	unsigned own, follows, id;
	int round;

	family_rig(&rig);
	rig.options.write_buffer_bytes = 4 * MIB;
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "other", &id));
	CHECK_OK(create(rig.db, "own", &own));
	nvmkv_family_options_default(rig.db, &options);
	options.own = 0;
	options.nvm_bytes = rig.options.nvm_bytes;
	CHECK_OK(nvmkv_family_create(rig.db, 0, "follows", &options, &follows));
	CHECK_OK(nvmkv_family_drop(rig.db, id));
	for (round = 0; round < 4; round++)
	{
		static const uint64_t nvm[] = {16, 24, 0, 16};
		uint64_t last = (uint64_t) round * 3000;

		CHECK_OK(fill(rig.db, 0, last, 3000));
		CHECK_OK(fill(rig.db, own, last, 3000));
		CHECK_OK(fill(rig.db, follows, last, 3000));
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		rig.options.max_families = round % 2 == 0 ? 1 : 4;
		rig.options.write_buffer_bytes = round % 2 == 0 ? MIB / 4 : 4 * MIB;
		rig.options.max_write_buffers = round % 2 == 0 ? 2 : 3;
		rig.options.nvm_bytes = nvm[round] * MIB;
		REQUIRE_OK(reopen_covered(&rig));
		CHECK_EQ(count_rows(rig.db, 0), last + 3000);
		CHECK_EQ(count_rows(rig.db, own), last + 3000);
		CHECK_EQ(count_rows(rig.db, follows), last + 3000);
		CHECK_EQ(nvmkv_family_list(rig.db, list, 4), 2);
		CHECK_EQ(list[0].options.write_buffer_bytes, 4 * MIB);
		CHECK_EQ(list[1].options.write_buffer_bytes, rig.options.write_buffer_bytes);
		CHECK_EQ(list[1].options.nvm_bytes, rig.options.nvm_bytes);
		CHECK_OK(nvmkv_family_container(rig.db, follows, &container));
		CHECK_EQ(container.wanted, nvm[round] * MIB);
		if (nvm[round] > 0)
			CHECK_EQ(container.bytes, nvm[round] * MIB);
		CHECK(strstr(container.path, "family-3/level0.pool") != NULL);
		if (round % 2 == 0)
			CHECK_STATUS(create(rig.db, "more", &id), NVMKV_LIMIT);
		CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	}

	/* Other options, from the next open on. */
	nvmkv_family_options_default(rig.db, &options);
	options.own = NVMKV_OWN_NVM_BYTES | NVMKV_OWN_MAX_WRITE_BUFFERS;
	options.nvm_bytes = 20 * MIB;
	options.max_write_buffers = 9;
	CHECK_STATUS(nvmkv_family_reshape(rig.db, 0, &options), NVMKV_NOT_FOUND);
	CHECK_STATUS(nvmkv_family_reshape(rig.db, 1, &options), NVMKV_NOT_FOUND);
	CHECK_OK(nvmkv_family_reshape(rig.db, own, &options));
	CHECK_OK(put_one(rig.db, own, "k", "before"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(nvmkv_family_container(rig.db, own, &container));
	CHECK_EQ(container.bytes, 0);
	REQUIRE_OK(reopen_covered(&rig));
	CHECK_GET(rig.db, own, "k", "before");
	CHECK_OK(nvmkv_family_container(rig.db, own, &container));
	CHECK_EQ(container.bytes, 20 * MIB);
	CHECK_EQ(nvmkv_family_list(rig.db, list, 4), 2);
	CHECK_EQ(list[0].options.max_write_buffers, 9);
	CHECK_EQ(list[0].options.write_buffer_bytes, rig.options.write_buffer_bytes);
	rig_remove(&rig);
}

/* A family whose container is missing, or whose files are damaged, costs the others nothing. */
TEST(family_that_cannot_be_opened)
{
	Rig rig;
	NvmkvFamilyOptions options;
	NvmkvDb *family;
	char pool[600], moved[650];
	unsigned hot, cold;

	family_rig(&rig);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	rig.options.nvm_path = pool;
	CHECK_OK(rig_open(&rig));
	nvmkv_family_options_default(rig.db, &options);
	options.nvm_bytes = 16 * MIB;
	CHECK_OK(nvmkv_family_create(rig.db, 0, "hot", &options, &hot));
	CHECK_OK(create(rig.db, "cold", &cold));
	CHECK_OK(put_one(rig.db, 0, "k", "default"));
	CHECK_OK(put_one(rig.db, hot, "k", "hot"));
	CHECK_OK(put_one(rig.db, cold, "k", "cold"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&rig);

	(void) snprintf(pool, sizeof(pool), "%s/pool.family-%u", rig.dir, hot);
	(void) snprintf(moved, sizeof(moved), "%s.moved", pool);
	CHECK(rename(pool, moved) == 0);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	REQUIRE_OK(rig_open(&rig));
	CHECK_STATUS(nvmkv_family(rig.db, hot, &family), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "\"hot\"") != NULL && strstr(nvmkv_error()->text, "pool.family-1") != NULL);
	CHECK_STATUS(put_one(rig.db, hot, "k", "more"), NVMKV_INVALID);
	CHECK_GET(rig.db, 0, "k", "default");
	CHECK_GET(rig.db, cold, "k", "cold");
	CHECK_OK(put_one(rig.db, cold, "k", "colder"));
	CHECK_OK(nvmkv_family_create(rig.db, hot, "hot", &options, NULL)); /* it is there */
	CHECK_STATUS(create(rig.db, "hot", NULL), NVMKV_INVALID);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&rig);

	/* Put right, it has all it had. */
	(void) snprintf(pool, sizeof(pool), "%s/pool.family-%u", rig.dir, hot);
	CHECK(rename(moved, pool) == 0);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	REQUIRE_OK(rig_open(&rig));
	CHECK_GET(rig.db, hot, "k", "hot");
	CHECK_GET(rig.db, cold, "k", "colder");
	CHECK_OK(put_one(rig.db, hot, "k", "hotter"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&rig);

	/* What only the log has of it is not given up. */
	(void) snprintf(pool, sizeof(pool), "%s/pool.family-%u", rig.dir, hot);
	CHECK(rename(pool, moved) == 0);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	CHECK_STATUS(rig_open(&rig), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "\"hot\"") != NULL && strstr(nvmkv_error()->text, "pool.family-1") != NULL);
	(void) snprintf(pool, sizeof(pool), "%s/pool.family-%u", rig.dir, hot);
	CHECK(rename(moved, pool) == 0);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	REQUIRE_OK(rig_open(&rig));
	CHECK_GET(rig.db, hot, "k", "hotter");

	/* Dropped, it is gone with all its files. */
	rig_close(&rig);
	(void) snprintf(pool, sizeof(pool), "%s/pool.family-%u", rig.dir, hot);
	CHECK(truncate(pool, 100) == 0);
	(void) snprintf(pool, sizeof(pool), "%s/pool", rig.dir);
	REQUIRE_OK(rig_open(&rig));
	CHECK_STATUS(nvmkv_family(rig.db, hot, &family), NVMKV_CORRUPTION);
	CHECK_OK(nvmkv_family_drop(rig.db, hot));
	CHECK_STATUS(nvmkv_family(rig.db, hot, &family), NVMKV_NOT_FOUND);
	CHECK_OK(nvmkv_family_create(rig.db, 0, "hot", &options, &hot));
	CHECK_GET(rig.db, hot, "k", "-");
	rig_remove(&rig);
}

TEST(batch_over_several_is_atomic)
{
	Rig rig;
	unsigned a, b;
	NvmkvBatch batch = {0};
	int i;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "a", &a));
	CHECK_OK(create(rig.db, "b", &b));
	for (i = 0; i < 3; i++)
	{
		nvmkv_batch_clear(&batch);
		CHECK_OK(put(&batch, 0, "k", i == 0 ? "0" : "x"));
		CHECK_OK(put(&batch, a, "k", i == 0 ? "0" : "x"));
		CHECK_OK(put(&batch, b, "k", i == 0 ? "0" : "x"));
		CHECK_OK(put(&batch, a, "l", "l"));
		CHECK_OK(rig_write(rig.db, &batch, NULL));
	}
	CHECK_GET(rig.db, 0, "k", "x");
	CHECK_GET(rig.db, a, "k", "x");
	CHECK_GET(rig.db, b, "k", "x");
	CHECK_GET(rig.db, a, "l", "l");
	CHECK_GET(rig.db, b, "l", "-");

	/* A family that is not there: nothing is written to the others. */
	nvmkv_batch_clear(&batch);
	CHECK_OK(put(&batch, a, "k", "half"));
	CHECK_OK(put(&batch, 3, "k", "half"));
	CHECK_STATUS(rig_write(rig.db, &batch, NULL), NVMKV_NOT_FOUND);
	CHECK_GET(rig.db, a, "k", "x");

	/* One that is flushed and one that is not: replay fills in what is missing, and nothing twice. */
	{
		NvmkvDb *family;

		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		CHECK_OK(nvmkv_family(rig.db, a, &family));
		CHECK_OK(nvmkv_flush_all(family));
	}
	nvmkv_batch_clear(&batch);
	CHECK_OK(put(&batch, a, "k", "last"));
	CHECK_OK(put(&batch, b, "k", "last"));
	CHECK_OK(rig_write(rig.db, &batch, NULL));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, 0, "k", "x");
	CHECK_GET(rig.db, a, "k", "last");
	CHECK_GET(rig.db, b, "k", "last");
	CHECK_GET(rig.db, a, "l", "l");
	CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	nvmkv_batch_free(&batch);
	rig_remove(&rig);
}

/* Families of other shapes: with a container, without, with smaller buffers; data goes through all of each. */
TEST(shapes)
{
	Rig rig;
	NvmkvFamilyOptions options;
	unsigned with, without;
	int pass;

	family_rig(&rig);
	rig.options.write_buffer_bytes = 2 * MIB;
	CHECK_OK(rig_open(&rig));
	nvmkv_family_options_default(rig.db, &options);
	options.write_buffer_bytes = 1 * MIB;
	options.max_write_buffers = 2;
	options.nvm_bytes = 16 * MIB;
	CHECK_OK(nvmkv_family_create(rig.db, 0, "with", &options, &with));
	options.nvm_bytes = 0;
	options.bloom_bits_per_key = 0;
	options.block_bytes = 1024;
	CHECK_OK(nvmkv_family_create(rig.db, 0, "without", &options, &without));
	for (pass = 0; pass < 2; pass++)
	{
		NvmkvLevelStats levels[8];
		NvmkvDb *family;
		unsigned n;

		CHECK_OK(fill(rig.db, with, 0, 12000));
		CHECK_OK(fill(rig.db, without, 0, 6000));
		CHECK_OK(fill(rig.db, 0, 0, 3000));
		CHECK_OK(nvmkv_flush_all(rig.db));
		CHECK_OK(nvmkv_compact_all(rig.db));
		CHECK(count_rows(rig.db, 0) == 3000);
		CHECK(count_rows(rig.db, with) == 12000);
		CHECK(count_rows(rig.db, without) == 6000);
		CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
		CHECK_OK(nvmkv_family(rig.db, with, &family));
		n = nvmkv_level_stats(family, levels, 8);
		CHECK(n > 1 && levels[1].files + levels[2].files > 0);
		CHECK_OK(rig_reopen(&rig));
		CHECK(count_rows(rig.db, with) == 12000);
		CHECK(count_rows(rig.db, without) == 6000);
	}
	CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	rig_remove(&rig);
}

/* A family that is written to once, and others that go on: the log does not grow for ever, and nothing is lost. */
TEST(log_of_an_idle_family)
{
	Rig rig;
	unsigned idle, busy;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "idle", &idle));
	CHECK_OK(create(rig.db, "busy", &busy));
	CHECK_OK(put_one(rig.db, idle, "k", "kept"));
	CHECK_OK(fill(rig.db, busy, 0, 40000));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_FLUSH));
	CHECK(count_files(rig.path, ".log") < 16);
	CHECK_GET(rig.db, idle, "k", "kept");
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, idle, "k", "kept");
	CHECK(count_rows(rig.db, busy) == 40000);
	CHECK(count_rows(rig.db, 0) == 0);
	CHECK_OK(put_one(rig.db, busy, "z", "z"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, busy, "z", "z");
	CHECK_GET(rig.db, idle, "k", "kept");
	rig_remove(&rig);
}

/* A log file that one flush ends and lets go of at once, while the default family has nothing to flush. */
TEST(log_file_of_one_flush)
{
	Rig rig;
	unsigned a;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "a", &a));
	CHECK_OK(fill(rig.db, 0, 0, 600));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(fill(rig.db, a, 0, 600));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(put_one(rig.db, a, "z", "z"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, a, "z", "z");
	CHECK(count_rows(rig.db, 0) == 600);
	CHECK(count_rows(rig.db, a) == 601);
	rig_remove(&rig);
}

/* Counts of all families, and one job a flush that names its tables. */
TEST(statistics_of_all)
{
	Rig rig;
	NvmkvFamilyOptions options;
	NvmkvStats all, own;
	NvmkvJobStats jobs[64];
	NvmkvDb *family;
	unsigned a, n, i;
	unsigned flushes = 0;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	nvmkv_family_options_default(rig.db, &options);
	options.nvm_bytes = 0;
	CHECK_OK(nvmkv_family_create(rig.db, 0, "a", &options, &a));
	CHECK_OK(put_one(rig.db, 0, "k", "v"));
	CHECK_OK(put_one(rig.db, a, "k", "v"));
	nvmkv_reset_stats(rig.db);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_GET(rig.db, 0, "k", "v");
	CHECK_GET(rig.db, a, "k", "v");
	REQUIRE_OK(nvmkv_family(rig.db, a, &family));
	nvmkv_stats(family, &own);
	CHECK_EQ(own.flushes, 1);
	CHECK_EQ(own.files_written, 1);
	CHECK_EQ(own.gets, 1);
	CHECK_EQ(own.nvm_bytes, 0);
	CHECK_EQ(own.extents_total, 0);
	nvmkv_stats(rig.db, &all);
	CHECK_EQ(all.flushes, 2);
	CHECK_EQ(all.files_written, 1);
	CHECK_EQ(all.file_bytes, own.file_bytes);
	CHECK_EQ(all.gets, 2);
	CHECK(all.nvm_bytes > 0 && all.extents_total > 0);
	CHECK(all.gate_open && !all.sticky && !all.nvm_is_pmem);
	CHECK_EQ(all.durable_seq, nvmkv_durable_seq(rig.db));
	CHECK(all.last_sequence >= own.last_sequence);
	n = nvmkv_job_stats(family, jobs, 64);
	for (i = 0; i < n; i++)
		if (strcmp(jobs[i].job, "flush") == 0)
		{
			flushes++;
			CHECK(strcmp(jobs[i].phase, "finished") == 0);
			CHECK_EQ(jobs[i].files_out, 1);
		}
	CHECK_EQ(flushes, 1);
	nvmkv_reset_stats(rig.db);
	nvmkv_stats(rig.db, &all);
	CHECK_EQ(all.flushes + all.files_written + all.gets, 0);
	rig_remove(&rig);
}

TEST(drop_and_create_again)
{
	Rig rig;
	unsigned id;
	char dir[700];
	int i;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	snprintf(dir, sizeof(dir), "%s/family-1", rig.path);
	for (i = 0; i < 5; i++)
	{
		CHECK_OK(create(rig.db, i % 2 == 0 ? "even" : "odd", &id));
		CHECK(id == 1);
		CHECK_GET(rig.db, id, "k", "-");
		CHECK_OK(put_one(rig.db, id, "k", "of a dropped one"));
		CHECK_OK(fill(rig.db, id, 0, 2000));
		CHECK_OK(nvmkv_family_drop(rig.db, id));
		CHECK_STATUS(put_one(rig.db, id, "k", "too late"), NVMKV_NOT_FOUND);
		CHECK(count_files(dir, "") == 0);
	}
	/* The log still has all that; it is not the new family's. */
	CHECK_OK(create(rig.db, "new", &id));
	CHECK_OK(put_one(rig.db, id, "new", "new"));
	CHECK_OK(put_one(rig.db, 0, "d", "d"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, id, "k", "-");
	CHECK_GET(rig.db, id, "new", "new");
	CHECK(count_rows(rig.db, id) == 1);
	CHECK_OK(nvmkv_family_drop(rig.db, id));
	CHECK_OK(rig_reopen(&rig));
	CHECK(nvmkv_family_list(rig.db, NULL, 0) == 0);
	CHECK_GET(rig.db, 0, "d", "d");
	CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
	rig_remove(&rig);
}

/* ---- failures and crashes ---- */

static const char *fail_point;
static bool fail_dies;

static NvmkvStatus
fail_hook(const char *point)
{
	if (strcmp(point, fail_point) != 0)
		return NVMKV_OK;
	if (fail_dies)
		_exit(0);
	return NVMKV_FAIL(NVMKV_IO, "failed at %s", point);
}

TEST(failures_leave_all_or_nothing)
{
	static const char *const points[] = {"family.before_list", "families.before_rename", "family.before_drop"};
	Rig rig;
	unsigned id, i;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	for (i = 0; i < 3; i++)
	{
		bool drop = i == 2;

		fail_point = points[i];
		fail_dies = false;
		if (drop)
		{
			CHECK_OK(create(rig.db, "f", &id));
			CHECK_OK(put_one(rig.db, id, "k", "v"));
		}
		port_fault_hook = fail_hook;
		CHECK_STATUS(drop ? nvmkv_family_drop(rig.db, id) : create(rig.db, "f", &id), NVMKV_IO);
		port_fault_hook = NULL;
		CHECK(nvmkv_family_list(rig.db, NULL, 0) == (drop ? 1 : 0));
	}
	CHECK_GET(rig.db, id, "k", "v");
	CHECK_OK(put_one(rig.db, id, "k", "w"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, id, "k", "w");
	rig_remove(&rig);
}

TEST(dies_while_it_creates_and_drops)
{
	static const char *const points[] = {"family.before_list", "families.before_rename", "family.before_drop", "family.dropped"};
	unsigned i;

	for (i = 0; i < 4; i++)
	{
		Rig rig;
		unsigned id;
		int status;
		pid_t pid;

		family_rig(&rig);
		CHECK_OK(rig_open(&rig));
		if (i >= 2)
		{
			CHECK_OK(create(rig.db, "f", &id));
			CHECK_OK(fill(rig.db, id, 0, 3000));
			CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		}
		pid = fork();
		if (pid == 0)
		{
			port_posix_set_slot(1);
			fail_point = points[i];
			fail_dies = true;
			port_fault_hook = fail_hook;
			if (i >= 2)
				(void) nvmkv_family_drop(rig.db, id);
			else
				(void) create(rig.db, "f", &id);
			_exit(1);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK_OK(rig_reopen(&rig));
		CHECK(nvmkv_family_list(rig.db, NULL, 0) == (i == 2 ? 1 : 0));
		if (i == 2)
			CHECK(count_rows(rig.db, 1) == 3000);
		else
		{
			CHECK_OK(create(rig.db, "g", &id));
			CHECK(count_rows(rig.db, id) == 0);
		}
		CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
		rig_remove(&rig);
	}
}

TEST(damaged_list)
{
	Rig rig;
	unsigned id;
	char path[700];
	long size;
	FILE *f;
	long at;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "f", &id));
	rig_close(&rig);
	rig_path(&rig, "FAMILIES", path, sizeof(path));
	f = fopen(path, "r+b");
	CHECK(f != NULL);
	if (f == NULL)
		return;
	fseek(f, 0, SEEK_END);
	size = ftell(f);
	for (at = 0; at < size; at += 3)
	{
		int byte;

		fseek(f, at, SEEK_SET);
		byte = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(byte ^ 0x10, f);
		fflush(f);
		CHECK_STATUS(rig_open(&rig), NVMKV_CORRUPTION);
		fseek(f, at, SEEK_SET);
		fputc(byte, f);
		fflush(f);
	}
	CHECK_OK(rig_open(&rig));
	rig_close(&rig);
	CHECK(ftruncate(fileno(f), size - 1) == 0);
	CHECK_STATUS(rig_open(&rig), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "FAMILIES") != NULL);
	fclose(f);
	rig_remove(&rig);
}

/* ---- several processes ---- */

/* A family that another process makes at run time is found, with its container, by all; and let go of when dropped. */
TEST(made_by_another_process)
{
	Rig rig;
	int round;

	family_rig(&rig);
	rig.options.write_buffer_bytes = 1 * MIB;
	CHECK_OK(rig_open(&rig));
	for (round = 0; round < 3; round++)
	{
		int status;
		pid_t pid = fork();

		if (pid == 0)
		{
			NvmkvFamilyOptions options;
			unsigned id;

			port_posix_set_slot(1);
			nvmkv_family_options_default(rig.db, &options);
			options.nvm_bytes = 16 * MIB;
			_exit(nvmkv_family_create(rig.db, 0, "theirs", &options, &id) == NVMKV_OK && id == 1 &&
						  fill(rig.db, id, 0, 3000) == NVMKV_OK && nvmkv_flush_all(rig.db) == NVMKV_OK &&
						  put_one(rig.db, id, "k", "v") == NVMKV_OK
					  ? 0
					  : 1);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK_GET(rig.db, 1, "k", "v");
		CHECK(count_rows(rig.db, 1) == 3001);
		CHECK_OK(fill(rig.db, 1, 3000, 3000));
		CHECK_OK(nvmkv_compact_all(rig.db));
		CHECK(count_rows(rig.db, 1) == 6001);
		CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
		pid = fork();
		if (pid == 0)
		{
			port_posix_set_slot(1);
			_exit(count_rows(rig.db, 1) == 6001 && nvmkv_family_drop(rig.db, 1) == NVMKV_OK ? 0 : 1);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK_STATUS(put_one(rig.db, 1, "k", "gone"), NVMKV_NOT_FOUND);
		CHECK_OK(nvmkv_flush_all(rig.db));
	}
	rig_remove(&rig);
}

static unsigned wakes;

static void
count_wake(void)
{
	wakes++;
}

/* Who comes to know a family only after the database has its wake-up wakes the flusher for it, too. */
TEST(work_for_a_family_wakes_the_flusher)
{
	Rig rig;
	NvmkvDb *thread;
	unsigned a;
	int status;
	pid_t pid;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	nvmkv_set_wake(rig.db, count_wake);
	pid = fork();
	if (pid == 0)
	{
		port_posix_set_slot(1);
		_exit(create(rig.db, "a", &a) == NVMKV_OK && put_one(rig.db, a, "k", "v") == NVMKV_OK &&
					  nvmkv_switch_memtable(rig.db) == NVMKV_OK && wakes == 1
				  ? 0
				  : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	wakes = 0;
	CHECK_OK(put_one(rig.db, 1, "k", "w"));
	CHECK_OK(nvmkv_switch_memtable(rig.db));
	CHECK_EQ(wakes, 1);
	CHECK_OK(nvmkv_flush_all(rig.db));
	REQUIRE_OK(nvmkv_open_thread(rig.db, &thread));
	wakes = 0;
	CHECK_OK(put_one(thread, 1, "k", "x"));
	CHECK_OK(nvmkv_switch_memtable(thread));
	CHECK_EQ(wakes, 1);
	nvmkv_close(thread);
	rig_remove(&rig);
}

/* A worker goes on with all families while they come and go. */
TEST(work_while_families_come_and_go)
{
	Rig rig;
	volatile uint32_t *stop;
	int status, i;
	pid_t pid;

	family_rig(&rig);
	stop = port_posix_shared_alloc(sizeof(uint32_t));
	CHECK_OK(rig_open(&rig));
	pid = fork();
	if (pid == 0)
	{
		bool ok = true;

		port_posix_set_slot(1);
		while (ok && port_load_acquire(stop) == 0)
		{
			NvmkvWork work;

			for (work = NVMKV_WORK_FLUSH; work <= NVMKV_WORK_RECLAIM; work++)
			{
				bool did, more;
				NvmkvStatus st = nvmkv_work(rig.db, work, &did, &more);

				ok &= st == NVMKV_OK || st == NVMKV_BUSY;
			}
			nvmkv_tidy(rig.db);
			(void) nvmkv_durable_seq(rig.db);
		}
		_exit(ok ? 0 : 1);
	}
	for (i = 0; i < 20; i++)
	{
		unsigned a, b;

		CHECK_OK(create(rig.db, "a", &a));
		CHECK_OK(create(rig.db, "b", &b));
		CHECK_OK(fill(rig.db, a, 0, 2500));
		CHECK_OK(fill(rig.db, b, 0, 500));
		CHECK(count_rows(rig.db, a) == 2500);
		CHECK_OK(nvmkv_family_drop(rig.db, a));
		CHECK(count_rows(rig.db, b) == 500);
		CHECK_OK(nvmkv_family_drop(rig.db, b));
	}
	port_store_release(stop, 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	port_posix_shared_free((void *) (uintptr_t) stop, sizeof(uint32_t));
	rig_remove(&rig);
}

/*
 * A kill may take what the log had not written, and the log then goes on from an earlier position: a family that was
 * born behind it must not take what comes next for what it has.
 */
TEST(born_behind_unsynced_writes)
{
	Rig rig;
	unsigned a, i;
	uint64_t before = 0;
	NvmkvStats stats;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(put_one(rig.db, 0, "k", "synced"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	for (i = 0; i < 50; i++)
		CHECK_OK(put_one(rig.db, 0, "k", "not synced"));
	CHECK_OK(create(rig.db, "a", &a));
	nvmkv_stats(rig.db, &stats);
	before = stats.last_sequence;
	CHECK_OK(rig_reopen(&rig));
	nvmkv_stats(rig.db, &stats);
	/* Making a family synced them. */
	CHECK_EQ(stats.last_sequence, before);
	CHECK_GET(rig.db, 0, "k", "not synced");
	CHECK_OK(put_one(rig.db, a, "k", "later"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, a, "k", "later");
	rig_remove(&rig);
}

static Rig *busy_rig;
static unsigned busy_family;

/* Between a flush's sync of the log and its edit: others write, and the start of the family's new memtable moves up. */
static NvmkvStatus
write_elsewhere(const char *point)
{
	NvmkvDb *family;
	unsigned i;

	if (strcmp(point, "table.synced") != 0)
		return NVMKV_OK;
	port_fault_hook = NULL;
	for (i = 0; i < 50; i++)
		CHECK_OK(put_one(busy_rig->db, 0, "k", "not synced"));
	CHECK_OK(nvmkv_family(busy_rig->db, busy_family, &family));
	CHECK_OK(nvmkv_switch_memtable(family));
	return NVMKV_OK;
}

TEST(flushed_while_others_write)
{
	Rig rig;
	unsigned a;

	family_rig(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(create(rig.db, "a", &a));
	CHECK_OK(put_one(rig.db, a, "k", "flushed"));
	busy_rig = &rig;
	busy_family = a;
	port_fault_hook = write_elsewhere;
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK(port_fault_hook == NULL);
	port_fault_hook = NULL;
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, a, "k", "flushed");
	CHECK_GET(rig.db, 0, "k", "-");
	CHECK_OK(put_one(rig.db, a, "k", "later"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	CHECK_OK(rig_reopen(&rig));
	CHECK_GET(rig.db, a, "k", "later");
	rig_remove(&rig);
}

static unsigned renames_that_fail;

/* The new name is there, but nobody knows for how long: the directory could not be synced. */
static NvmkvStatus
half_rename(const char *from, const char *to)
{
	NVMKV_RETURN_IF(rig_quick_files.rename(from, to));
	if (strstr(to, "FAMILIES") == NULL || renames_that_fail == 0)
		return NVMKV_OK;
	renames_that_fail--;
	return NVMKV_FAIL(NVMKV_IO, "could not sync the directory of \"%s\"", to);
}

/* Whatever list is in place then: what is acknowledged later is there at the next open. */
TEST(list_replaced_and_not_synced)
{
	PortFileOps ops = rig_quick_files;
	unsigned failures;

	ops.rename = half_rename;
	port_files = &ops;
	for (failures = 1; failures <= 2; failures++)
	{
		NvmkvStatus expected = failures == 1 ? NVMKV_OK : NVMKV_READ_ONLY;
		unsigned a, b;
		Rig rig;

		family_rig(&rig);
		CHECK_OK(rig_open(&rig));
		CHECK_OK(create(rig.db, "a", &a));
		CHECK_OK(put_one(rig.db, a, "k", "v"));
		CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		renames_that_fail = failures;
		CHECK_STATUS(nvmkv_family_drop(rig.db, a), NVMKV_IO);
		CHECK(strstr(nvmkv_error()->text, "FAMILIES") != NULL);
		CHECK_GET(rig.db, a, "k", "v");
		CHECK_STATUS(put_one(rig.db, a, "k", "w"), expected);
		if (failures == 1)
			CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
		else
			CHECK_STATUS(create(rig.db, "b", &b), NVMKV_READ_ONLY);
		CHECK_OK(rig_reopen(&rig));
		/* Who was told nothing more may find it dropped, or not. */
		CHECK_GET(rig.db, a, "k", failures == 1 ? "w" : nvmkv_family_list(rig.db, NULL, 0) == 0 ? "!" : "v");
		renames_that_fail = failures;
		CHECK_STATUS(create(rig.db, "c", &b), NVMKV_IO);
		CHECK_STATUS(put_one(rig.db, 0, "k", "w"), expected);
		CHECK_OK(rig_reopen(&rig));
		CHECK_OK(nvmkv_check(rig.db, no_problem, NULL));
		rig_remove(&rig);
	}
	port_files = &port_posix_files;
}

TEST_MAIN()
