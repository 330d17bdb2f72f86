/*
 * damage_test.c
 *	  Damaged files and files of a future version: what is said of them, and
 *	  what can still be read.
 *
 * Whatever bit changes, no wrong row is shown: a key has its value, or the
 * failure names the file.  In the part of a log that was not synced a record
 * may be taken for unfinished; then it and all behind it are gone, as after a
 * crash.  NVMKV_DAMAGES: how many bits of each file (default 25).
 */
#include <dirent.h>

#include "engine/base/crc32c.h"
#include "engine/tree/tree.h"
#include "engine/log/log_format.h"
#include "engine/log/log_reader.h"
#include "engine/log/log_writer.h"
#include "engine/nvm/pool_format.h"
#include "engine/nvm/row_format.h"

#include "lib/rig.h"

#include "lib/check.h"

#define KEYS 900
#define IN_TABLE 300 /* keys below it are in a table, */
#define IN_ROW 600   /* then in a row, then in the log */
#define DAMAGES 25   /* of each file */

static void
value_of(unsigned key, uint8_t *value)
{
	memset(value, 'a' + (int) (key % 26), 500);
	put_u32(value, key);
}

/* Closed at the end; nothing but the log has the last keys.  threshold: of values apart. */
static void
make_parts(Rig *rig, uint32_t threshold)
{
	uint8_t value[500];
	unsigned i;

	rig_init(rig);
	rig->options.value_threshold_bytes = threshold;
	REQUIRE_OK(rig_open(rig));
	for (i = 0; i < KEYS; i++)
	{
		value_of(i, value);
		REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice(value, sizeof(value))));
		if (i == IN_TABLE - 1 || i == IN_ROW - 1)
			REQUIRE_OK(nvmkv_flush_all(rig->db));
		if (i == IN_TABLE - 1)
			REQUIRE_OK(nvmkv_compact_all(rig->db));
		/* Later records say that earlier ones are durable. */
		if (i % 50 == 0)
			REQUIRE_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
	}
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

	snprintf(command, sizeof(command), "cp -a '%s' '%s/saved'", rig->path, rig->dir);
	run(command);
}

/* What was saved comes back; the database is closed. */
static void
restore(Rig *rig)
{
	char command[2600];

	rig_close(rig);
	snprintf(command, sizeof(command), "rm -r '%s' && cp -a '%s/saved' '%s'", rig->path, rig->dir, rig->path);
	run(command);
}

/* The last file by name that ends with (or starts with) the word. */
static void
find_file(const Rig *rig, const char *word, char *path, size_t size)
{
	DIR *dir = opendir(rig->path);
	struct dirent *entry;
	char best[256] = "";

	REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
	{
		const char *at = strstr(entry->d_name, word);

		if (at != NULL && (at == entry->d_name || at[strlen(word)] == '\0') && strcmp(entry->d_name, best) > 0)
			snprintf(best, sizeof(best), "%s", entry->d_name);
	}
	closedir(dir);
	CHECK(best[0] != '\0');
	rig_path(rig, best, path, size);
}

static void
read_at(const char *path, uint64_t offset, void *data, size_t size)
{
	FILE *file = fopen(path, "rb");

	REQUIRE(file != NULL);
	CHECK(fseek(file, (long) offset, SEEK_SET) == 0 && fread(data, 1, size, file) == size);
	fclose(file);
}

static void
write_at(const char *path, uint64_t offset, const void *data, size_t size)
{
	FILE *file = fopen(path, "r+b");

	REQUIRE(file != NULL);
	CHECK(fseek(file, (long) offset, SEEK_SET) == 0 && fwrite(data, 1, size, file) == size);
	CHECK(fclose(file) == 0);
}

static uint64_t
size_of(const char *path)
{
	struct stat st;

	CHECK(stat(path, &st) == 0);
	return (uint64_t) st.st_size;
}

/* The text of the last failure names the file; prints it where it does not. */
static void
check_named(const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	if (strstr(nvmkv_error()->text, name) == NULL)
	{
		check_failed(__FILE__, __LINE__, "the message names the file");
		fprintf(stderr, "    %s: %s\n", name, nvmkv_error()->text);
	}
}

/* ---- formats of the future ---- */

/* Opening must fail so, and name the file; "word" is in the message, too. */
static void
check_refused(Rig *rig, const char *path, NvmkvStatus expected, const char *word)
{
	if (CHECK_STATUS(rig_open(rig), expected))
	{
		check_named(path);
		if (strstr(nvmkv_error()->text, word) == NULL)
		{
			check_failed(__FILE__, __LINE__, "the message says what is wrong");
			fprintf(stderr, "    %s: %s\n", word, nvmkv_error()->text);
		}
	}
	/* Nothing was changed by it. */
	restore(rig);
	CHECK_OK(rig_open(rig));
	restore(rig);
}

/* Overwrites a number of a header, and seals the header again. */
static void
change_header(const char *path, uint64_t offset, size_t field, uint32_t value, size_t crc)
{
	uint8_t header[512];

	read_at(path, offset, header, crc + 4);
	put_u32(header + field, value);
	put_u32(header + crc, crc32c_mask(crc32c(header, crc)));
	write_at(path, offset, header, crc + 4);
}

/* Appends a record to the end of a log of either kind. */
static void
append_record(const char *path, uint64_t number, uint64_t end, const void *data, size_t size)
{
	LogWriter writer;
	NvmkvSlice part = nvmkv_slice(data, size);

	memset(&writer, 0, sizeof(writer));
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &writer.file));
	writer.number = number;
	writer.offset = writer.synced = end;
	CHECK_OK(log_writer_append(&writer, &part, 1));
	log_writer_close(&writer);
}

/* Where the log ends, and its number. */
static uint64_t
end_of(const char *path, uint32_t kind, uint64_t *number_out)
{
	uint8_t header[LOG_FILE_HEADER_BYTES];
	LogReader reader;
	NvmkvSlice record;
	uint64_t end;

	read_at(path, 0, header, sizeof(header));
	CHECK_OK(log_file_header_decode(header, kind, number_out));
	CHECK_OK(log_reader_open(&reader, path, kind, *number_out));
	while (log_reader_next(&reader, &record) == NVMKV_OK)
		;
	end = reader.end_offset;
	log_reader_close(&reader);
	return end;
}

TEST(unknown_versions_are_named)
{
	Rig rig;
	char path[700];
	uint64_t number, end;
	uint64_t extent;
	uint8_t bytes[64];

	port_files = &rig_quick_files;
	make_parts(&rig, 0);
	save(&rig);
	/* Files of records. */
	find_file(&rig, "MANIFEST-", path, sizeof(path));
	change_header(path, 0, 8, 77, 28);
	check_refused(&rig, path, NVMKV_VERSION, "77");
	find_file(&rig, ".log", path, sizeof(path));
	change_header(path, 0, 8, 78, 28);
	check_refused(&rig, path, NVMKV_VERSION, "78");
	/* An edit with another format, one with an unknown field. */
	find_file(&rig, "MANIFEST-", path, sizeof(path));
	end = end_of(path, LOG_KIND_MANIFEST, &number);
	memset(bytes, 0, sizeof(bytes));
	bytes[0] = 1;
	bytes[1] = 99;
	append_record(path, number, end, bytes, 10);
	check_refused(&rig, path, NVMKV_VERSION, "99");
	end = end_of(path, LOG_KIND_MANIFEST, &number);
	bytes[0] = 101;
	append_record(path, number, end, bytes, 1);
	check_refused(&rig, path, NVMKV_VERSION, "101");
	/* An edit that makes no sense: its place is told. */
	end = end_of(path, LOG_KIND_MANIFEST, &number);
	bytes[0] = 18;
	bytes[1] = 123;
	append_record(path, number, end, bytes, 2);
	snprintf((char *) bytes, sizeof(bytes), "%" PRIu64, end);
	check_refused(&rig, path, NVMKV_CORRUPTION, (char *) bytes);
	/* A batch. */
	find_file(&rig, ".log", path, sizeof(path));
	end = end_of(path, LOG_KIND_WAL, &number);
	put_u64(bytes, KEYS + 1);
	memset(bytes + 8, 0, 8);
	bytes[8] = 55;
	append_record(path, number, end, bytes, 16);
	check_refused(&rig, path, NVMKV_VERSION, "55");
	/* One whose entries are cut off. */
	end = end_of(path, LOG_KIND_WAL, &number);
	put_u64(bytes, KEYS + 1);
	memset(bytes + 8, 0, 8);
	bytes[8] = 1;
	bytes[12] = 3;
	append_record(path, number, end, bytes, 16);
	snprintf((char *) bytes, sizeof(bytes), "%" PRIu64, end);
	check_refused(&rig, path, NVMKV_CORRUPTION, (char *) bytes);
	/* A table. */
	find_file(&rig, ".sst", path, sizeof(path));
	end = size_of(path) - SST_FOOTER_BYTES;
	change_header(path, end, SST_FOOTER_VERSION, 66, SST_FOOTER_CRC);
	REQUIRE_OK(rig_open(&rig));
	{
		NvmkvBuf value = {0};

		CHECK_STATUS(nvmkv_get(rig.db, rig_key(5), NULL, &value, NULL), NVMKV_VERSION);
		check_named(path);
		CHECK(strstr(nvmkv_error()->text, "66") != NULL);
		CHECK_OK(nvmkv_get(rig.db, rig_key(IN_TABLE + 5), NULL, &value, NULL));
		nvmkv_buf_free(&value);
	}
	restore(&rig);
	/* The pool, and a row in it. */
	find_file(&rig, "level0.pool", path, sizeof(path));
	change_header(path, 0, NVM_POOL_OFFSET_FORMAT, 44, NVM_POOL_OFFSET_CRC);
	check_refused(&rig, path, NVMKV_VERSION, "44");
	for (extent = 1; extent < 16; extent++)
	{
		/* Rows that were drained still stand there: never mind. */
		read_at(path, extent << 20, bytes, 8);
		if (get_u64(bytes) == NVM_ROW_MAGIC)
			change_header(path, extent << 20, NVM_ROW_OFFSET_FORMAT, 33, NVM_ROW_OFFSET_CRC);
	}
	check_refused(&rig, path, NVMKV_VERSION, "33");
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- one bit ---- */

static unsigned problems;

static void
count_problem(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	(void) where;
	(void) text;
	problems++;
}

/* The keys that can be read; none may have another value, or be gone. */
static unsigned
readable(NvmkvDb *db, unsigned upto, const char *path)
{
	NvmkvBuf value = {0};
	uint8_t expected[500];
	unsigned good = 0;
	unsigned i;

	for (i = 0; i < upto; i++)
	{
		NvmkvStatus st = nvmkv_get(db, rig_key(i), NULL, &value, NULL);

		if (st == NVMKV_OK)
		{
			value_of(i, expected);
			CHECK(slice_equal(nvmkv_buf_slice(&value), nvmkv_slice(expected, sizeof(expected))));
			good++;
		}
		else if (CHECK_STATUS(st, NVMKV_CORRUPTION))
			check_named(path);
	}
	nvmkv_buf_free(&value);
	return good;
}

/* So many rows are shown, all of them right and in order, before the end or a failure. */
static void
check_scan(NvmkvDb *db, unsigned upto, bool reverse, const char *path)
{
	const NvmkvScanRow *rows;
	NvmkvScan *scan;
	uint8_t expected[500];
	unsigned next = reverse ? upto : 0;
	unsigned n = 1, i;
	NvmkvStatus st = NVMKV_OK;

	REQUIRE_OK(nvmkv_scan_create(db, &scan));
	CHECK_OK(nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, NULL));
	while (n > 0 && (st = nvmkv_scan_batch(scan, 50, 100000, &rows, &n)) == NVMKV_OK)
		for (i = 0; i < n; i++)
		{
			unsigned key = reverse ? --next : next++;

			value_of(key, expected);
			CHECK(slice_equal(rows[i].key, rig_key(key)));
			CHECK(slice_equal(rows[i].value, nvmkv_slice(expected, sizeof(expected))));
		}
	if (st == NVMKV_OK)
		CHECK_EQ(next, reverse ? 0 : upto);
	else if (CHECK_STATUS(st, NVMKV_CORRUPTION))
		check_named(path);
	nvmkv_scan_destroy(scan);
}

/* One bit in [from, to) of the file changes. */
static void
change_a_bit(Rig *rig, const char *path, uint64_t from, uint64_t to, bool is_log)
{
	uint64_t at = from + check_random_below(to - from);
	uint8_t byte = 0;
	NvmkvStatus st;

	read_at(path, at, &byte, 1);
	byte ^= (uint8_t) (1u << check_random_below(8));
	write_at(path, at, &byte, 1);
	st = rig_open(rig);
	if (st == NVMKV_OK)
	{
		NvmkvStats stats;
		unsigned upto, good;

		nvmkv_stats(rig->db, &stats);
		upto = (unsigned) stats.last_sequence;
		/* All that is followed by a record that says so was durable: that is, all but the last records. */
		CHECK(upto <= KEYS && upto > KEYS - 60);
		CHECK(upto == KEYS || is_log);
		good = readable(rig->db, upto, path);
		check_scan(rig->db, upto, false, path);
		check_scan(rig->db, upto, true, path);
		problems = 0;
		CHECK_OK(nvmkv_check(rig->db, count_problem, NULL));
		CHECK(good == upto || problems > 0);
		/* Damage has its limits. */
		CHECK(good >= upto - IN_TABLE);
		/* Writes go on. */
		CHECK_OK(rig_put(rig->db, "zzz", "1"));
	}
	else
	{
		CHECK(st == NVMKV_CORRUPTION || st == NVMKV_VERSION || st == NVMKV_INVALID);
		check_named(path);
	}
	if (check_failures > 0)
		fprintf(stderr, "    %s, bit at %" PRIu64 "\n", path, at);
	restore(rig);
}

static unsigned
damages_of_each(void)
{
	const char *text = getenv("NVMKV_DAMAGES");

	return text != NULL ? (unsigned) atoi(text) : DAMAGES;
}

TEST(no_bit_makes_a_wrong_row)
{
	static const char *const files[] = {"CURRENT", "MANIFEST-", ".log", ".sst", "level0.pool"};
	Rig rig;
	char path[700];
	unsigned f, i;
	unsigned damages = damages_of_each();

	port_files = &rig_quick_files;
	make_parts(&rig, 0);
	save(&rig);
	for (f = 0; f < 5; f++)
	{
		uint64_t from = 0;
		uint64_t to;
		uint64_t number;

		find_file(&rig, files[f], path, sizeof(path));
		to = size_of(path);
		if (f == 1 || f == 2)
			to = end_of(path, f == 1 ? LOG_KIND_MANIFEST : LOG_KIND_WAL, &number);
		for (i = 0; i < damages && check_failures == 0; i++)
		{
			/* Rows are at the start of extents: header, entries, index, directory, filter. */
			if (f == 4)
			{
				from = i % 4 == 0 ? 0 : (1 + check_random_below(3)) << 20;
				to = from + (i % 4 == 0 ? NVM_POOL_HEADER_BYTES : 170000);
			}
			change_a_bit(&rig, path, from, to, f == 2);
		}
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* The same where values are apart, for their table and for that of the keys, whose number is the one before. */
TEST(no_bit_makes_a_wrong_value)
{
	Rig rig;
	char values[700];
	char keys[700];
	unsigned long number;
	unsigned i;

	port_files = &rig_quick_files;
	make_parts(&rig, 300);
	save(&rig);
	find_file(&rig, ".sst", values, sizeof(values));
	CHECK(size_of(values) > IN_TABLE * 500);
	number = strtoul(strrchr(values, '/') + 1, NULL, 10);
	(void) snprintf(keys, sizeof(keys), "%s/%06lu.sst", rig.path, number - 1);
	CHECK(size_of(keys) < IN_TABLE * 100);
	for (i = 0; i < damages_of_each() && check_failures == 0; i++)
	{
		change_a_bit(&rig, values, 0, size_of(values), false);
		change_a_bit(&rig, keys, 0, size_of(keys), false);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* One block of a table: the other blocks can be read, level by level the rest of the database, too. */
TEST(the_rest_can_be_read)
{
	Rig rig;
	char path[700];
	uint8_t byte;
	unsigned good;
	NvmkvBuf value = {0};

	port_files = &rig_quick_files;
	make_parts(&rig, 0);
	find_file(&rig, ".sst", path, sizeof(path));
	read_at(path, 5000, &byte, 1);
	byte ^= 1;
	write_at(path, 5000, &byte, 1);
	REQUIRE_OK(rig_open(&rig));
	good = readable(rig.db, KEYS, path);
	CHECK(good < KEYS && good >= KEYS - 10);
	/* Where: the block's offset. */
	CHECK_STATUS(nvmkv_get(rig.db, rig_key(9), NULL, &value, NULL), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, " at ") != NULL);
	/* Compaction goes round it, and the same keys are lost afterwards, but for what was written since. */
	CHECK_OK(rig_put(rig.db, "00000009", "new"));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_OK(nvmkv_get(rig.db, rig_key(9), NULL, &value, NULL));
	CHECK_EQ(readable(rig.db, 5, path), 5);
	CHECK_STATUS(nvmkv_get(rig.db, rig_key(10), NULL, &value, NULL), NVMKV_CORRUPTION);
	check_named(path);
	nvmkv_buf_free(&value);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
