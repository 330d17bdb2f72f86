/*
 * dump_test.c
 *	  nvmkv_dump on the files of a database, sound and damaged.
 */
#include "tools/dump_main.h"

#include <dirent.h>

#include "lib/check.h"
#include "lib/rig.h"

#define DAMAGES 150 /* of each file */

/* ---- running the tool ---- */

static char out_text[1 << 20];
static char err_text[1 << 16];

static void
take_text(FILE *from, char *text, size_t size)
{
	size_t n;

	rewind(from);
	n = fread(text, 1, size - 1, from);
	text[n] = '\0';
	fclose(from);
}

/* Up to five words; returns the exit code, the texts are in out_text and err_text. */
static int
run(const char *a, const char *b, const char *c, const char *d, const char *e)
{
	const char *words[] = {"nvmkv_dump", a, b, c, d, e};
	char *argv[7];
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	int argc = 0;
	int code;

	if (out == NULL || err == NULL)
	{
		perror("tmpfile");
		exit(2);
	}
	while (argc < 6 && words[argc] != NULL)
	{
		argv[argc] = strdup(words[argc]);
		argc++;
	}
	code = dump_main(argc, argv, out, err);
	while (argc > 0)
		free(argv[--argc]);
	take_text(out, out_text, sizeof(out_text));
	take_text(err, err_text, sizeof(err_text));
	return code;
}

static unsigned
count_in(const char *text, const char *word)
{
	unsigned n = 0;

	for (text = strstr(text, word); text != NULL; text = strstr(text + 1, word))
		n++;
	return n;
}

/* ---- the database: a table, a row, entries in the log ---- */

static void
make_database(Rig *rig)
{
	unsigned i;

	rig_init(rig);
	REQUIRE_OK(rig_open(rig));
	for (i = 0; i < 400; i++)
		CHECK_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice("0123456789abcdef", i % 17)));
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(nvmkv_compact_all(rig->db));
	for (i = 200; i < 500; i++)
		CHECK_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i), 7000 + i, i, rig_slice("second")));
	CHECK_OK(rig_delete(rig->db, "\"\\\x01"));
	CHECK_OK(nvmkv_flush_all(rig->db));
	CHECK_OK(rig_put(rig->db, "logged", "here"));
	CHECK_OK(rig_entry(rig->db, NVMKV_KIND_LOCK, rig_slice("locked"), 99, 3, rig_slice("x")));
	CHECK_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
}

/* The path of the last file, by name, that ends with (or starts with) a word. */
static void
find_file(const Rig *rig, const char *word, bool at_end, char *path, size_t size)
{
	char best[256] = "";
	DIR *dir = opendir(rig->path);
	struct dirent *entry;

	REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
	{
		size_t n = strlen(entry->d_name);
		size_t m = strlen(word);

		if (n >= m && strcmp(entry->d_name + (at_end ? n - m : 0), word) >= 0 &&
			strncmp(entry->d_name + (at_end ? n - m : 0), word, m) == 0 && strcmp(entry->d_name, best) > 0)
			(void) snprintf(best, sizeof(best), "%s", entry->d_name);
	}
	closedir(dir);
	CHECK(best[0] != '\0');
	rig_path(rig, best, path, size);
}

TEST(shows_a_manifest)
{
	Rig rig;
	char path[700];

	make_database(&rig);
	CHECK_EQ(run("manifest", rig.path, NULL, NULL, NULL), 0);
	CHECK(count_in(out_text, "edit at ") > 2);
	CHECK(count_in(out_text, "    system 4711\n") >= 2);
	CHECK(strstr(out_text, "\nstate\n") != NULL);
	CHECK(strstr(out_text, " level 1: bytes ") != NULL);
	CHECK(strstr(out_text, "\n    row 2 ") != NULL);
	CHECK(strstr(out_text, "keys \"\\x22\\x5c\\x01\" .. ") != NULL);

	/* The file itself gives the same. */
	find_file(&rig, "MANIFEST-", false, path, sizeof(path));
	CHECK_EQ(run("manifest", path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "\nstate\n") != NULL);
	rig_remove(&rig);
}

TEST(shows_a_log)
{
	Rig rig;
	char path[700];

	make_database(&rig);
	find_file(&rig, ".log", true, path, sizeof(path));
	CHECK_EQ(run("log", path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "base sequence ") != NULL);
	CHECK(strstr(out_text, " value \"logged\" value 4\n") != NULL);
	CHECK(strstr(out_text, " tagged lock \"locked\" fxid 99 cid 3 value 1\n") != NULL);
	CHECK(strstr(out_text, "end at ") != NULL);
	rig_remove(&rig);
}

TEST(shows_a_table)
{
	Rig rig;
	char path[700];

	make_database(&rig);
	find_file(&rig, ".sst", true, path, sizeof(path));
	CHECK_EQ(run("sst", path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "footer: ") != NULL);
	CHECK(strstr(out_text, "entries 400, keys 400") != NULL);
	CHECK(strstr(out_text, "data block at 0") != NULL);
	CHECK_EQ(count_in(out_text, " value \"00000"), 0);
	CHECK_EQ(run("sst", path, "--keys", NULL, NULL), 0);
	CHECK_EQ(count_in(out_text, " value \"00000"), 400);
	rig_remove(&rig);
}

TEST(shows_a_pool_while_it_is_in_use)
{
	Rig rig;
	char path[700];

	make_database(&rig);
	rig_path(&rig, "level0.pool", path, sizeof(path));
	CHECK_EQ(run("pool", path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, ": system 4711, 15 extents") != NULL);
	CHECK_EQ(run("pool", path, "--dir", rig.path, NULL), 0);
	CHECK(strstr(out_text, "rows 1, extents in use 1 of 15\n") != NULL);
	CHECK_EQ(run("pool", path, "--dir", rig.path, "--keys"), 0);
	CHECK_EQ(count_in(out_text, " tagged value \"00000"), 300);
	CHECK(strstr(out_text, " deletion \"\\x22\\x5c\\x01\" value 0\n") != NULL);

	/* The database goes on, and the pool is still its own. */
	CHECK_OK(rig_put(rig.db, "after", "wards"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(rig_reopen(&rig));
	rig_remove(&rig);
}

TEST(refuses_what_it_does_not_know)
{
	Rig rig;
	char path[700];

	CHECK_EQ(run("--help", NULL, NULL, NULL, NULL), 0);
	CHECK(strncmp(out_text, "usage: ", 7) == 0 && err_text[0] == '\0');
	CHECK_EQ(run("-h", NULL, NULL, NULL, NULL), 0);
	CHECK_EQ(run(NULL, NULL, NULL, NULL, NULL), 2);
	CHECK(out_text[0] == '\0' && strcspn(err_text, "\n") + 1 == strlen(err_text));
	CHECK_EQ(run("sst", NULL, NULL, NULL, NULL), 2);
	CHECK_EQ(run("wal", "/dev/null", NULL, NULL, NULL), 2);
	CHECK_EQ(run("log", "/dev/null", "--keys", NULL, NULL), 2);
	CHECK_EQ(run("pool", "/dev/null", "--keys", NULL, NULL), 2);

	/* Files of another kind, no files at all. */
	make_database(&rig);
	rig_path(&rig, "CURRENT", path, sizeof(path));
	CHECK_EQ(run("manifest", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("log", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("sst", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("pool", path, NULL, NULL, NULL), 1);
	CHECK(strncmp(err_text, "nvmkv_dump: corruption: ", 24) == 0);
	find_file(&rig, "MANIFEST-", false, path, sizeof(path));
	CHECK_EQ(run("log", path, NULL, NULL, NULL), 1);
	rig_path(&rig, "nowhere", path, sizeof(path));
	CHECK_EQ(run("manifest", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("log", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("sst", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("pool", path, NULL, NULL, NULL), 1);
	CHECK_EQ(run("manifest", rig.dir, NULL, NULL, NULL), 1);
	CHECK_EQ(run("pool", rig.path, NULL, NULL, NULL), 1);
	rig_remove(&rig);
}

/* ---- damage ---- */

static uint8_t *
read_whole(const char *path, size_t *size_out)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *data;

	if (file == NULL || fstat(fileno(file), &st) != 0 || (data = malloc((size_t) st.st_size)) == NULL ||
		fread(data, 1, (size_t) st.st_size, file) != (size_t) st.st_size)
	{
		perror(path);
		exit(2);
	}
	fclose(file);
	*size_out = (size_t) st.st_size;
	return data;
}

static void
write_whole(const char *path, const uint8_t *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
	{
		perror(path);
		exit(2);
	}
}

/* Copies of the file with one bit changed or cut short: whatever is said, it ends with exit code 0 or 1. */
static void
damage(const Rig *rig, const char *kind, const char *path, const char *more1, const char *more2, const char *more3)
{
	char copy[700];
	size_t size;
	size_t used;
	uint8_t *data = read_whole(path, &size);
	unsigned i;
	unsigned noticed = 0;

	for (used = size; used > 1 && data[used - 1] == 0; used--)
		;
	rig_path(rig, "damaged", copy, sizeof(copy));
	for (i = 0; i < DAMAGES; i++)
	{
		size_t at = (size_t) check_random_below(i % 3 == 0 && used > 400 ? 400 : used);
		int code;

		if (i % 5 == 0)
			write_whole(copy, data, at);
		else
		{
			uint8_t bit = (uint8_t) (1u << check_random_below(8));

			data[at] ^= bit;
			write_whole(copy, data, size);
			data[at] ^= bit;
		}
		code = run(kind, copy, more1, more2, more3);
		CHECK(code == 0 || code == 1);
		CHECK((code == 1) == (err_text[0] != '\0'));
		noticed += code == 1;
	}
	CHECK(noticed > DAMAGES / 5);
	CHECK(unlink(copy) == 0);
	free(data);
}

TEST(damaged_files_are_reported)
{
	Rig rig;
	char path[700];

	make_database(&rig);
	rig_close(&rig);
	find_file(&rig, "MANIFEST-", false, path, sizeof(path));
	damage(&rig, "manifest", path, NULL, NULL, NULL);
	find_file(&rig, ".log", true, path, sizeof(path));
	damage(&rig, "log", path, NULL, NULL, NULL);
	find_file(&rig, ".sst", true, path, sizeof(path));
	damage(&rig, "sst", path, "--keys", NULL, NULL);
	rig_remove(&rig);
}

TEST(damaged_pools_are_reported)
{
	Rig rig;
	char path[700];
	char command[1500];
	const char *extents;
	long row; /* offset of the row's first extent */
	unsigned i;

	make_database(&rig);
	rig_close(&rig);
	rig_path(&rig, "level0.pool", path, sizeof(path));
	CHECK_EQ(run("pool", path, "--dir", rig.path, NULL), 0);
	extents = strstr(out_text, " 1 extents: ");
	REQUIRE(extents != NULL);
	row = (strtol(extents + strlen(" 1 extents: "), NULL, 10) + 1) << 20;

	/* Changed in place: a pool is large. */
	for (i = 0; i < DAMAGES; i++)
	{
		long at = i % 4 == 0 ? (long) check_random_below(64) :
							   row + (long) check_random_below(i % 4 == 1 ? 256 : 30000);
		FILE *file = fopen(path, "r+b");
		int byte;
		int code;

		REQUIRE(file != NULL);
		REQUIRE(fseek(file, at, SEEK_SET) == 0);
		byte = getc(file);
		REQUIRE(fseek(file, at, SEEK_SET) == 0);
		REQUIRE(putc(byte ^ (1 << check_random_below(8)), file) != EOF && fflush(file) == 0);
		code = run("pool", path, "--dir", rig.path, "--keys");
		CHECK(code == 0 || code == 1);
		CHECK(code == 1 || at >= row + 256);
		CHECK((code == 1) == (err_text[0] != '\0'));
		REQUIRE(fseek(file, at, SEEK_SET) == 0 && putc(byte, file) != EOF && fclose(file) == 0);
	}
	CHECK_EQ(run("pool", path, "--dir", rig.path, "--keys"), 0);

	/* Cut short; and with a manifest about another pool. */
	CHECK(truncate(path, 1 << 20) == 0);
	CHECK_EQ(run("pool", path, "--dir", rig.path, NULL), 1);
	CHECK(err_text[0] != '\0');
	CHECK(truncate(path, 100) == 0);
	CHECK_EQ(run("pool", path, NULL, NULL, NULL), 1);
	(void) snprintf(command, sizeof(command), "rm -r '%s'", rig.path);
	CHECK(system(command) == 0);
	rig_remove(&rig);
}

/* ---- the whole database ---- */

/* A family is checked with the rest. */
TEST(checks_families)
{
	Rig rig;
	NvmkvDb *family;
	NvmkvFamilyOptions options;
	NvmkvBatch batch = {0};
	char path[700];
	unsigned i, id = 0;
	uint64_t last;
	uint8_t *data;
	size_t size;

	rig_init(&rig);
	rig.options.max_families = 2;
	REQUIRE_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "a", "1"));
	nvmkv_family_options_default(rig.db, &options);
	CHECK_OK(nvmkv_family_create(rig.db, 0, "other", &options, &id));
	REQUIRE_OK(nvmkv_family(rig.db, id, &family));
	for (i = 0; i < 300; i++)
	{
		nvmkv_batch_clear(&batch);
		nvmkv_batch_family(&batch, id);
		CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(i), nvmkv_slice(NULL, 0), rig_slice("value")));
		CHECK_OK(rig_write(rig.db, &batch, &last));
	}
	nvmkv_batch_free(&batch);
	CHECK_OK(nvmkv_flush_all(family));
	CHECK_OK(nvmkv_flush_all(rig.db));
	rig_close(&rig);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "tables 1, rows 1, logs 1 with 301 records: 0 problems\n") != NULL);
	rig_path(&rig, "FAMILIES", path, sizeof(path));
	data = read_whole(path, &size);
	data[30] ^= 1;
	write_whole(path, data, size);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, "FAMILIES") != NULL);
	data[30] ^= 1;
	write_whole(path, data, size);
	free(data);
	snprintf(path, sizeof(path), "%s/family-%u/CURRENT", rig.path, id);
	CHECK(unlink(path) == 0);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, "family-") != NULL);
	rig_remove(&rig);
}

/* ---- values apart ---- */

/* Two value tables of the same size. */
static void
make_values(Rig *rig, char *a, char *b, size_t size)
{
	static uint8_t value[3000];
	unsigned i;
	struct stat sa, sb;

	rig_init(rig);
	REQUIRE_OK(rig_open(rig));
	for (i = 0; i < 200; i++)
	{
		check_random_bytes(value, sizeof(value));
		CHECK_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice(value, sizeof(value))));
		if (i == 99 || i == 199)
		{
			CHECK_OK(nvmkv_flush_all(rig->db));
			CHECK_OK(nvmkv_compact_all(rig->db));
			find_file(rig, ".sst", true, i == 99 ? a : b, size);
		}
	}
	rig_close(rig);
	CHECK(stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_size == sb.st_size && sa.st_size > 100 * 3000);
}

static void
flip(const char *path, size_t at)
{
	size_t size;
	uint8_t *data = read_whole(path, &size);

	data[at] ^= 4;
	write_whole(path, data, size);
	free(data);
}

TEST(checks_values_apart)
{
	Rig rig;
	char a[700], b[700], keys[700], aside[700];

	make_values(&rig, a, b, sizeof(a));
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);
	CHECK(err_text[0] == '\0');
	CHECK_EQ(run("manifest", rig.path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "value table ") != NULL && strstr(out_text, ", in use ") != NULL);
	(void) snprintf(keys, sizeof(keys), "%s/%06lu.sst", rig.path, strtoul(strrchr(b, '/') + 1, NULL, 10) - 1);
	CHECK_EQ(run("sst", keys, "--keys", NULL, NULL), 0);
	CHECK(strstr(out_text, "refers to ") != NULL);
	CHECK(count_in(out_text, " value in ") >= 100);
	CHECK_EQ(run("sst", b, "--keys", NULL, NULL), 0);
	CHECK_EQ(count_in(out_text, " value 3000\n"), 100);

	/* A value, the reference to one, another's values. */
	flip(a, 10000);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, strrchr(a, '/') + 1) != NULL);
	flip(a, 10000);
	flip(keys, 500);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, strrchr(keys, '/') + 1) != NULL);
	flip(keys, 500);
	rig_path(&rig, "aside", aside, sizeof(aside));
	CHECK(rename(a, aside) == 0 && rename(b, a) == 0 && rename(aside, b) == 0);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, strrchr(a, '/') + 1) != NULL && strstr(err_text, strrchr(b, '/') + 1) != NULL);
	CHECK(strstr(err_text, "another key") != NULL);
	CHECK(rename(a, aside) == 0 && rename(b, a) == 0 && rename(aside, b) == 0);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);

	CHECK(truncate(a, 5000) == 0);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, strrchr(a, '/') + 1) != NULL);
	CHECK(unlink(b) == 0);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
	CHECK(strstr(err_text, strrchr(b, '/') + 1) != NULL);
	rig_remove(&rig);
}

TEST(checks_a_database)
{
	Rig rig;
	char path[700];
	unsigned i;
	static const char *const parts[] = {".sst", ".log", "CURRENT", "MANIFEST-", "level0.pool"};

	make_database(&rig);
	rig_close(&rig);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "tables 1, rows 1, logs 1 with 703 records: 0 problems\n") != NULL);
	CHECK(err_text[0] == '\0');
	rig_path(&rig, "level0.pool", path, sizeof(path));
	CHECK_EQ(run("check", rig.path, "--pool", path, NULL), 0);
	CHECK_EQ(run("check", rig.path, "--pool", rig.path, NULL), 1);
	CHECK_EQ(run("check", rig.path, "--dir", path, NULL), 2);
	CHECK_EQ(run("check", rig.dir, NULL, NULL, NULL), 1);
	CHECK_EQ(run("check", rig.path, "--log-dir", rig.path, NULL), 0);
	CHECK_EQ(run("check", rig.path, "--log-dir", "/nowhere", NULL), 1);
	/* Something is left over: no problem. */
	rig_path(&rig, "009999.sst", path, sizeof(path));
	write_whole(path, (const uint8_t *) "x", 1);
	CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);
	CHECK(strstr(out_text, "009999.sst") != NULL);
	CHECK(unlink(path) == 0);
	/* One bit of each file's content; then the file is missing. */
	for (i = 0; i < 5; i++)
	{
		size_t size, used, at;
		uint8_t *data;
		const char *name;

		find_file(&rig, parts[i], parts[i][0] == '.', path, sizeof(path));
		name = strrchr(path, '/') + 1;
		data = read_whole(path, &size);
		for (used = size; used > 1 && data[used - 1] == 0; used--)
			;
		at = i == 4 ? 20 : used * 2 / 3;
		data[at] ^= 0x10;
		write_whole(path, data, size);
		CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 1);
		if (strstr(err_text, name) == NULL)
		{
			check_failed(__FILE__, __LINE__, "the message names the file");
			fprintf(stderr, "    %s: %s\n", name, err_text);
		}
		data[at] ^= 0x10;
		CHECK(unlink(path) == 0);
		/* All the log may be lost that was not needed: what it holds alone was the last. */
		CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), i == 1 ? 0 : 1);
		write_whole(path, data, size);
		CHECK_EQ(run("check", rig.path, NULL, NULL, NULL), 0);
		free(data);
	}
	rig_remove(&rig);
}

TEST_MAIN()
