/*
 * copy_test.c
 *	  What is kept for copies of the files, for whom and how long; which
 *	  description a copy is opened by.
 */
#include "lib/rig.h"

#include <dirent.h>

#include "lib/check.h"

#define KEYS 400

static Rig rig;
static unsigned round_number;

/* Every key anew, and down to the lowest level: the tables that had them are obsolete. */
static void
turn_over(void)
{
	char value[64];
	unsigned i;

	round_number++;
	(void) snprintf(value, sizeof(value), "round %u", round_number);
	for (i = 0; i < KEYS; i++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, rig_slice(value)));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_RECLAIM));
}

static unsigned
count_files(const char *path, const char *part)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, part) != NULL;
	if (dir != NULL)
		closedir(dir);
	return n;
}

static uint64_t
held(uint64_t stamp)
{
	NvmkvCopyHeld h;

	nvmkv_copy_held(rig.db, stamp, &h);
	CHECK((h.files == 0) == (h.bytes == 0));
	CHECK(h.tree_bytes > 0);
	return h.files;
}

static void
start(void)
{
	port_files = &rig_quick_files;
	rig_init(&rig);
	round_number = 0;
	REQUIRE_OK(rig_open(&rig));
	turn_over();
}

/* The same files under another name, without those whose names have this in them. */
static void
copy_files(const char *to, const char *without)
{
	char command[2048];

	(void) snprintf(command, sizeof(command), "rm -rf '%s/%s' && cp -r '%s' '%s/%s'", rig.dir, to, rig.path, rig.dir, to);
	CHECK(system(command) == 0);
	if (without != NULL)
	{
		(void) snprintf(command, sizeof(command), "rm -f '%s/%s/'*'%s'*", rig.dir, to, without);
		CHECK(system(command) == 0);
	}
}

static NvmkvStatus
open_copy(Rig *copy, const char *name, uint64_t from)
{
	*copy = rig;
	copy->db = NULL;
	copy->memory = NULL;
	(void) snprintf(copy->path, sizeof(copy->path), "%s/%s", rig.dir, name);
	copy->options.restore_from = from;
	return rig_open(copy);
}

static void
check_round(Rig *copy, unsigned expected)
{
	NvmkvSnapshot all = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};
	NvmkvBuf value = {0};
	char text[64];
	unsigned i;

	(void) snprintf(text, sizeof(text), "round %u", expected);
	for (i = 0; i < KEYS; i += 37)
	{
		CHECK_OK(nvmkv_get(copy->db, rig_key(i), &all, &value, NULL));
		CHECK(value.size == strlen(text) && memcmp(value.data, text, value.size) == 0);
	}
	nvmkv_buf_free(&value);
}

/* What leaves the tree is kept for those copies that began before, and goes with the last of them. */
TEST(kept_for_those_who_need_it)
{
	uint64_t first, second, position;

	start();
	turn_over();
	CHECK(!nvmkv_copy_is_held(rig.db));
	CHECK(held(0) == 0);
	first = nvmkv_copy_begin(rig.db);
	CHECK(nvmkv_copy_is_held(rig.db));
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	CHECK(position > 0);
	turn_over();
	CHECK(held(first) > 0);
	second = nvmkv_copy_begin(rig.db);
	CHECK(second > first);
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	CHECK(held(second) == 0);
	turn_over();
	CHECK(held(second) > 0);
	CHECK(held(first) > held(second));
	CHECK(count_files(rig.path, "BACKUP-") == 2);

	nvmkv_copy_oldest(rig.db, second);
	nvmkv_copy_release(rig.db);
	CHECK(held(first) == held(second));
	CHECK(held(second) > 0);
	CHECK(count_files(rig.path, "BACKUP-") == 1);

	nvmkv_copy_oldest(rig.db, 0);
	CHECK(!nvmkv_copy_is_held(rig.db));
	nvmkv_copy_release(rig.db);
	CHECK(held(0) == 0);
	CHECK(count_files(rig.path, "BACKUP-") == 0);
	turn_over();
	CHECK(held(0) == 0);
	check_round(&rig, round_number);
	rig_remove(&rig);
}

/* Nothing of it outlives the processes. */
TEST(gone_after_a_crash)
{
	uint64_t position;
	unsigned tables;

	start();
	(void) nvmkv_copy_begin(rig.db);
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	turn_over();
	turn_over();
	CHECK(held(0) > 0);
	tables = count_files(rig.path, ".sst");
	REQUIRE_OK(rig_reopen(&rig));
	CHECK(count_files(rig.path, "BACKUP-") == 0);
	CHECK(count_files(rig.path, ".sst") < tables);
	CHECK(!nvmkv_copy_is_held(rig.db));
	CHECK(held(0) == 0);
	check_round(&rig, round_number);
	rig_remove(&rig);
}

/* A point at or behind the position from which the log is replayed; one whose tables are all there. */
TEST(opened_by_the_first_whole_point)
{
	uint64_t first, second, position, later;
	char name[64];
	Rig copy;

	start();
	first = nvmkv_copy_begin(rig.db);
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	turn_over();
	copy_files("early", NULL);
	second = nvmkv_copy_begin(rig.db);
	CHECK_OK(nvmkv_copy_point(rig.db, &later));
	CHECK(later > position);
	turn_over();
	copy_files("whole", NULL);

	/* The log of the copy has everything: what matters is that it opens, with a point that goes when it is in use. */
	CHECK_OK(open_copy(&copy, "early", position));
	CHECK(count_files(copy.path, "BACKUP-") == 1);
	check_round(&copy, round_number - 1);
	nvmkv_copy_release(copy.db);
	CHECK(count_files(copy.path, "BACKUP-") == 0);
	rig_close(&copy);

	CHECK_STATUS(open_copy(&copy, "early", position + 1), NVMKV_NOT_FOUND);
	copy_files("none", "BACKUP-");
	CHECK_STATUS(open_copy(&copy, "none", position), NVMKV_NOT_FOUND);

	/* Another one's point is left of it, but not all of its tables: the second is taken. */
	nvmkv_copy_oldest(rig.db, second);
	copy_files("second", NULL);
	(void) snprintf(name, sizeof(name), "BACKUP-%016" PRIX64 "-%016" PRIX64, later, second);
	nvmkv_copy_release(rig.db);
	{
		char command[4096];

		(void) snprintf(command, sizeof(command), "cd '%s/second' && for f in *.sst; do [ -e '%s/'$f ] || rm $f; done",
						rig.dir, rig.path);
		CHECK(system(command) == 0);
	}
	CHECK(count_files(rig.path, "BACKUP-") == 1);
	CHECK_OK(open_copy(&copy, "second", position));
	check_round(&copy, round_number);
	rig_close(&copy);

	/* With neither of them whole it says which table is missing. */
	copy_files("broken", ".sst");
	CHECK_STATUS(open_copy(&copy, "broken", position), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "incomplete copy") != NULL);
	(void) first;
	rig_remove(&rig);
}

/* Else a copy had one without its files, or the files without it; but recovery goes by the log, whoever copies. */
TEST(no_family_comes_meanwhile)
{
	NvmkvFamilyOptions options;
	unsigned id;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.max_families = 4;
	REQUIRE_OK(rig_open(&rig));
	nvmkv_family_options_default(rig.db, &options);
	(void) nvmkv_copy_begin(rig.db);
	CHECK_STATUS(nvmkv_family_create(rig.db, 0, "hot", &options, &id), NVMKV_BUSY);
	CHECK(strstr(nvmkv_error()->text, "backup") != NULL);
	CHECK_OK(nvmkv_close_gate(rig.db));
	CHECK_OK(nvmkv_family_create(rig.db, 2, "hot", &options, &id));
	nvmkv_open_gate(rig.db);
	CHECK_STATUS(nvmkv_family_drop(rig.db, id), NVMKV_BUSY);
	nvmkv_copy_oldest(rig.db, 0);
	nvmkv_copy_release(rig.db);
	CHECK_OK(nvmkv_family_create(rig.db, 0, "cold", &options, NULL));
	CHECK_OK(nvmkv_family_drop(rig.db, id));
	rig_remove(&rig);
}

TEST_MAIN()
