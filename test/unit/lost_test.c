/*
 * lost_test.c
 *	  What there is of versions whose outcomes are lost: found in every source
 *	  of an open database and in files alone, by the prefix of their keys.
 */
#include "tools/dump_main.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/meta/outcome_file.h"

#include "lib/check.h"
#include "lib/rig.h"

#define LOST_FROM 10
#define LOST_TO 20

/* ---- a database with some ---- */

/* The key "number" of storage 'A', 'B' ... */
static NvmkvSlice
key_of(char storage, unsigned number)
{
	static uint8_t key[16];

	memset(key, storage, 8);
	put_u64(key + 8, 0);
	key[15] = (uint8_t) number;
	return nvmkv_slice(key, sizeof(key));
}

static void
put(NvmkvDb *db, unsigned kind, char storage, unsigned number, uint64_t fxid)
{
	CHECK_OK(rig_entry(db, kind, key_of(storage, number), fxid, 0,
					   kind == NVMKV_KIND_DELETION ? nvmkv_slice(NULL, 0) : rig_slice("x")));
}

static void
put_in_family(NvmkvDb *db, unsigned family, char storage, unsigned number, uint64_t fxid)
{
	uint8_t txn[NVMKV_TXN_TAG_BYTES] = {0};
	NvmkvBatch batch = {0};
	uint64_t last;

	put_u64(txn, fxid);
	nvmkv_batch_family(&batch, family);
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_TAGGED_VALUE, key_of(storage, number), nvmkv_slice(txn, sizeof(txn)),
							 rig_slice("y")));
	CHECK_OK(rig_write(db, &batch, &last));
	nvmkv_batch_free(&batch);
}

/* Transactions 1 to 29 are settled, and of some it is not known how. */
static void
lose(NvmkvDb *db)
{
	static const uint8_t none[OUTCOME_SEGMENT_BYTES];

	REQUIRE_OK(nvmkv_settle_begin(db));
	nvmkv_settle(db, nvmkv_settled(db), LOST_FROM, NULL, 0);
	CHECK_OK(nvmkv_settle_lost(db, LOST_FROM, LOST_TO, 0));
	CHECK_OK(nvmkv_settle_prepare(db, LOST_TO, 30));
	nvmkv_settle(db, LOST_TO, 30, none, 0);
	nvmkv_settle_end(db);
}

/* Storage A in a table, a row and a memtable; B in a memtable; C in a column family; D has nothing that is lost. */
static void
make_database(Rig *rig)
{
	NvmkvFamilyOptions options;
	NvmkvDb *family;
	unsigned id = 0;
	unsigned i;

	rig_init(rig);
	rig->options.prefix_bytes = 8;
	rig->options.max_families = 2;
	REQUIRE_OK(rig_open(rig));
	nvmkv_family_options_default(rig->db, &options);
	CHECK_OK(nvmkv_family_create(rig->db, 0, "other", &options, &id));
	REQUIRE_OK(nvmkv_family(rig->db, id, &family));
	for (i = 3; i < 8; i++)
		put(rig->db, NVMKV_KIND_VALUE, 'A', i, 10 + i);
	put(rig->db, NVMKV_KIND_VALUE, 'D', 1, 21);
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(nvmkv_compact_all(rig->db));
	put(rig->db, NVMKV_KIND_DELETION, 'A', 9, 19);
	put(rig->db, NVMKV_KIND_VALUE, 'A', 5, 9);
	put(rig->db, NVMKV_KIND_LOCK, 'D', 1, 15);
	CHECK_OK(nvmkv_flush_all(rig->db));
	put(rig->db, NVMKV_KIND_VALUE, 'A', 1, 12);
	put(rig->db, NVMKV_KIND_VALUE, 'B', 4, 11);
	put(rig->db, NVMKV_KIND_LOCK, 'B', 5, 11);
	put(rig->db, NVMKV_KIND_RANGE_DELETION, 'D', 0, 14);
	put_in_family(rig->db, id, 'C', 2, 16);
	lose(rig->db);
}

/* ---- an open database ---- */

static char found[4096];

static void
note(void *ctx, const NvmkvLostVersions *lost)
{
	unsigned *calls = ctx;
	size_t at = strlen(found);

	(*calls)++;
	(void) snprintf(found + at, sizeof(found) - at, "%c%u-%c%u: %" PRIu64 " of %" PRIu64 "-%" PRIu64 "\n",
					lost->first_key.data[0], lost->first_key.data[15], lost->last_key.data[0], lost->last_key.data[15],
					lost->versions, lost->first_fxid, lost->last_fxid);
}

/* What is said of all, in "found"; returns of how many storages. */
static unsigned
look(Rig *rig)
{
	unsigned calls = 0;

	found[0] = '\0';
	CHECK_OK(nvmkv_lost_versions(rig->db, note, &calls));
	return calls;
}

static void
check_found(const char *expected)
{
	if (strstr(found, expected) == NULL)
	{
		check_failed(__FILE__, __LINE__, expected);
		fprintf(stderr, "    %s", found);
	}
}

TEST(are_found_in_every_source)
{
	uint64_t count;
	Rig rig;

	port_files = &rig_quick_files;
	make_database(&rig);
	CHECK_EQ(look(&rig), 3);
	check_found("A1-A9: 7 of 12-19\n");
	check_found("B4-B4: 1 of 11-11\n");
	check_found("C2-C2: 1 of 16-16\n");
	/* Where they move to. */
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(look(&rig), 3);
	check_found("A1-A9: 7 of 12-19\n");
	/* No more than somebody decides about. */
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_set_outcome(rig.db, 11, 17, true, 0, &count));
	nvmkv_settle_end(rig.db);
	CHECK_EQ(count, 6);
	CHECK_EQ(look(&rig), 1);
	check_found("A7-A9: 2 of 17-19\n");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(without_prefixes_there_is_one_range)
{
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	CHECK_EQ(look(&rig), 0);
	put(rig.db, NVMKV_KIND_VALUE, 'B', 1, 11);
	put(rig.db, NVMKV_KIND_VALUE, 'A', 2, 13);
	CHECK_EQ(look(&rig), 0);
	lose(rig.db);
	CHECK_EQ(look(&rig), 1);
	check_found("A2-B1: 2 of 11-13\n");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(looking_can_be_cancelled)
{
	unsigned calls = 0;
	Rig rig;

	port_files = &rig_quick_files;
	make_database(&rig);
	port_posix_set_interrupted(true);
	CHECK_EQ(nvmkv_lost_versions(rig.db, note, &calls), NVMKV_CANCELLED);
	port_posix_set_interrupted(false);
	CHECK_EQ(calls, 0);
	CHECK_EQ(look(&rig), 3);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- memory ---- */

static unsigned fails_at; /* 0: none does */

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t n, size_t size);
extern void *__real_realloc(void *old, size_t size);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t n, size_t size);
extern void *__wrap_realloc(void *old, size_t size);

static bool
fails(void)
{
	return fails_at > 0 && --fails_at == 0;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

TEST(every_allocation_may_fail)
{
	unsigned n;
	unsigned calls = 0;
	NvmkvStatus st = NVMKV_NO_MEMORY;
	Rig rig;

	port_files = &rig_quick_files;
	make_database(&rig);
	for (n = 1; st == NVMKV_NO_MEMORY && n < 100; n++)
	{
		CHECK_EQ(calls, 0);
		found[0] = '\0';
		fails_at = n;
		st = nvmkv_lost_versions(rig.db, note, &calls);
	}
	fails_at = 0;
	CHECK_EQ(st, NVMKV_OK);
	CHECK_EQ(calls, 3);
	CHECK(n > 5);
	check_found("A1-A9: 7 of 12-19\n");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- damage ---- */

/* All bytes of the file at "path" from the one at "from" on, as far as they are there. */
static void
spoil(const char *path, uint64_t from, uint64_t bytes)
{
	uint8_t byte;
	uint64_t size, i;
	PortFile *f;

	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &f));
	CHECK_OK(port_files->size(f, &size));
	for (i = from; i < from + bytes && i < size; i++)
	{
		CHECK_OK(port_files->read(f, i, &byte, 1));
		byte ^= 0x10;
		CHECK_OK(port_files->write(f, i, &byte, 1));
	}
	port_files->close(f);
}

static void
ignore(void *ctx, const char *where, const char *text)
{
	(void) where;
	(void) text;
	(*(unsigned *) ctx)++;
}

/* The first table there is. */
static void
table_path(const Rig *rig, char *path, size_t size)
{
	unsigned number;

	for (number = 1; number < 100; number++)
	{
		(void) snprintf(path, size, "%s/%06u.sst", rig->path, number);
		if (access(path, F_OK) == 0)
			return;
	}
	path[0] = '\0';
}

/* A damaged table hides what is in it, and nothing else. */
TEST(damage_hides_no_more_than_it_must)
{
	unsigned problems = 0;
	char path[700];
	Rig rig;

	port_files = &rig_quick_files;
	make_database(&rig);
	table_path(&rig, path, sizeof(path));
	spoil(path, 10, 20);
	CHECK_EQ(look(&rig), 3);
	check_found("A1-A9: 2 of 12-19\n");
	check_found("B4-B4: 1 of 11-11\n");
	CHECK_OK(nvmkv_check(rig.db, ignore, &problems));
	CHECK(problems > 0);
	CHECK(unlink(path) == 0);
	CHECK_EQ(look(&rig), 3);
	check_found("C2-C2: 1 of 16-16\n");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- files alone ---- */

static char err_text[1 << 16];

/* nvmkv_dump check, its findings in err_text. */
static int
dump(const Rig *rig)
{
	char program[] = "nvmkv_dump";
	char command[] = "check";
	char dir[sizeof(rig->path)];
	char *argv[] = {program, command, dir, NULL};
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	size_t n;
	int code;

	if (out == NULL || err == NULL)
	{
		perror("tmpfile");
		exit(2);
	}
	(void) snprintf(dir, sizeof(dir), "%s", rig->path);
	code = dump_main(3, argv, out, err);
	rewind(err);
	n = fread(err_text, 1, sizeof(err_text) - 1, err);
	err_text[n] = '\0';
	fclose(out);
	fclose(err);
	return code;
}

static void
check_dumped(const char *expected)
{
	if (strstr(err_text, expected) == NULL)
	{
		check_failed(__FILE__, __LINE__, expected);
		fprintf(stderr, "%s", err_text);
	}
}

TEST(are_found_in_files)
{
	Rig rig;

	port_files = &rig_quick_files;
	make_database(&rig);
	put(rig.db, NVMKV_KIND_VALUE, (char) 0xff, 3, 13);
	CHECK_OK(nvmkv_flush_all(rig.db));
	rig_close(&rig);
	CHECK_EQ(dump(&rig), 1);
	CHECK(strstr(err_text, "outcomes of") == NULL);
	check_dumped("nvmkv_dump: storage 4702111234474983745: 7 row versions of transactions 12 to 19, whose outcomes are lost, "
				 "keys \\x0000000000000001 to \\x0000000000000009\n");
	check_dumped("nvmkv_dump: storage 4774451407313060418: 1 row versions of transactions 11 to 11, ");
	check_dumped("nvmkv_dump: storage 4846791580151137091: 1 row versions of transactions 16 to 16, ");
	check_dumped("nvmkv_dump: the list of storages: 1 row versions of transactions 13 to 13, ");
	CHECK(strstr(err_text, "storage 4919") == NULL);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* Lost outcomes that no version needs are no finding, whether there never was one or somebody has decided. */
TEST(nobody_is_told_of_what_no_version_needs)
{
	unsigned problems = 0;
	uint64_t count;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.prefix_bytes = 8;
	REQUIRE_OK(rig_open(&rig));
	put(rig.db, NVMKV_KIND_VALUE, 'A', 1, 9);
	put(rig.db, NVMKV_KIND_VALUE, 'A', 2, 15);
	lose(rig.db);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(look(&rig), 1);
	CHECK_OK(nvmkv_check(rig.db, ignore, &problems));
	CHECK_EQ(problems, 0);
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_set_outcome(rig.db, 15, 16, true, 0, &count));
	nvmkv_settle_end(rig.db);
	CHECK_EQ(look(&rig), 0);
	rig_close(&rig);
	CHECK_EQ(dump(&rig), 0);
	CHECK_EQ(strlen(err_text), 0);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* What a damaged file of outcomes told is lost as soon as it is damaged. */
TEST(what_a_damaged_file_told_is_lost)
{
	char path[1200];
	uint64_t number;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.prefix_bytes = 8;
	REQUIRE_OK(rig_open(&rig));
	put(rig.db, NVMKV_KIND_VALUE, 'A', 1, 25);
	lose(rig.db);
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_settle_prepare(rig.db, 30, 40));
	nvmkv_settle(rig.db, 30, 40, (const uint8_t *) "\xff\xff", 0);
	nvmkv_settle_end(rig.db);
	CHECK_OK(nvmkv_flush_all(rig.db));
	rig_close(&rig);
	CHECK_EQ(dump(&rig), 0);
	CHECK(strstr(err_text, "row versions") == NULL);
	for (number = 1; number < 100; number++)
	{
		outcome_file_path(rig.path, number, path, sizeof(path));
		if (access(path, F_OK) == 0)
			break;
	}
	spoil(path, OUTCOME_FILE_HEAD + 10, 1);
	CHECK_EQ(dump(&rig), 1);
	check_dumped("storage 4702111234474983745: 1 row versions of transactions 25 to 25, ");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
