/*
 * kept_test.c
 *	  Kept log records: order, overlap, gaps, dumps, ends that are cut off.
 */
#include "lib/check.h"

#include "engine/base/coding.h"
#include "engine/log/kept_log.h"
#include "engine/port/port_posix.h"

#define SYSTEM 42

static char dir[256];

typedef struct Seen
{
	unsigned count;
	uint64_t sum;
	uint64_t last_end;
	bool in_order;
	unsigned problems;
	uint64_t settled; /* as a dump says */
} Seen;

static NvmkvStatus
see(void *ctx, const KeptItem *item)
{
	Seen *seen = ctx;

	if (item->kind == KEPT_OUTCOMES)
	{
		CHECK_EQ(item->start, seen->settled == 0 ? 5 : seen->settled);
		CHECK_EQ(item->data.size, seen->settled == 0 ? 4 : 0);
		CHECK(seen->settled != 0 || item->data.data[0] == 0x20);
		seen->settled = item->end;
		return NVMKV_OK;
	}
	seen->count++;
	seen->sum += item->start;
	if (item->kind == KEPT_RECORD)
	{
		CHECK(item->data.size == 8 && get_u64(item->data.data) == item->start);
		seen->in_order = seen->in_order && item->start >= seen->last_end;
		seen->last_end = item->end;
	}
	return NVMKV_OK;
}

static void
note_problem(void *ctx, const char *text)
{
	(void) text;
	((Seen *) ctx)->problems++;
}

static NvmkvStatus
read_all(bool lenient, Seen *seen, KeptSummary *summary)
{
	KeptReading reading = {dir, SYSTEM, lenient, see, note_problem, seen};

	memset(seen, 0, sizeof(*seen));
	seen->in_order = true;
	return kept_read(&reading, summary);
}

/* A file with the records that start at from, from + 10, ... below to. */
static void
write_file(uint64_t begin, uint64_t from, uint64_t to, int mark)
{
	KeptWriter w;
	uint64_t at;

	REQUIRE_OK(kept_writer_begin(&w, dir, SYSTEM, begin, false));
	for (at = from; at < to; at += 10)
	{
		uint8_t bytes[8];

		put_u64(bytes, at);
		CHECK_OK(kept_writer_record(&w, 0x10, at, at + 10, nvmkv_slice(bytes, sizeof(bytes))));
	}
	if (mark >= 0)
		CHECK_OK(kept_writer_mark(&w, to, mark == 1));
	kept_writer_close(&w);
}

static void
write_dump(uint64_t begin, unsigned entries, bool finish)
{
	static const uint8_t bits[4] = {0x20, 1, 2, 4};
	KeptWriter w;
	unsigned i;

	REQUIRE_OK(kept_writer_begin(&w, dir, SYSTEM, begin, true));
	for (i = 0; i < entries; i++)
		CHECK_OK(kept_writer_entry(&w, begin + i, nvmkv_slice("batch", 5)));
	CHECK_OK(kept_writer_outcomes(&w, 5, 27, bits));
	CHECK_OK(kept_writer_outcomes(&w, 27, 4000000000, NULL));
	if (finish)
		CHECK_OK(kept_writer_mark(&w, begin + 1000, true));
	kept_writer_close(&w);
}

static void
start(void)
{
	check_make_dir(dir, sizeof(dir));
}

static void
finish(void)
{
	check_remove_dir(dir);
}

static void
path_of(unsigned number, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/%06u.kept", dir, number);
}

TEST(nothing_is_kept)
{
	Seen seen;
	KeptSummary summary;
	bool found;
	uint64_t from;

	start();
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(summary.files == 0 && seen.count == 0);
	CHECK_OK(kept_start(dir, SYSTEM, &found, &from));
	CHECK(!found);
	finish();
}

TEST(files_that_overlap_are_read_once)
{
	Seen seen;
	KeptSummary summary;
	bool found;
	uint64_t from;

	start();
	write_file(100, 100, 500, 0);
	write_file(300, 300, 800, -1); /* a crash: no mark */
	write_file(300, 300, 900, 1);
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(seen.count == 80 && seen.in_order);
	CHECK(summary.start == 100 && summary.position == 900 && summary.closed);
	CHECK_OK(kept_start(dir, SYSTEM, &found, &from));
	CHECK(found && from == 100);
	/* Behind an END the next may begin anywhere. */
	write_file(5000, 5000, 5100, 0);
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(seen.count == 90 && summary.position == 5100 && !summary.closed);
	CHECK_OK(kept_remove(dir, UINT64_MAX));
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(summary.files == 0);
	finish();
}

TEST(gap_is_told)
{
	Seen seen;
	KeptSummary summary;

	start();
	write_file(100, 100, 500, 0);
	write_file(600, 600, 800, 1);
	CHECK_STATUS(read_all(false, &seen, &summary), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "0/1F4") != NULL && strstr(nvmkv_error()->text, "0/258") != NULL);
	CHECK_OK(read_all(true, &seen, &summary));
	CHECK(seen.problems == 1 && seen.count == 60);
	finish();
}

TEST(dump_takes_the_place_of_what_is_before)
{
	Seen seen;
	KeptSummary summary;

	start();
	write_dump(1000, 5, true);
	write_dump(2000, 7, true);
	write_dump(3000, 9, false);
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(seen.count == 7 && summary.start == 2000 && summary.position == 3000 && summary.closed);
	CHECK_EQ(seen.settled, 4000000000);
	write_file(3000, 3000, 3100, 1);
	CHECK_OK(read_all(false, &seen, &summary));
	CHECK(seen.count == 17);
	finish();
}

TEST(another_system_is_refused)
{
	KeptReading reading = {dir, SYSTEM + 1, false, NULL, NULL, NULL};
	KeptSummary summary;

	start();
	write_file(100, 100, 200, 1);
	CHECK_STATUS(kept_read(&reading, &summary), NVMKV_INVALID);
	finish();
}

/* Each length of the last file: what was not durable may be missing, what was is missed where it can be seen. */
TEST(cut_at_every_byte)
{
	char path[300];
	PortFile *file;
	uint64_t size, cut;
	Seen seen;
	KeptSummary summary;

	start();
	path_of(2, path, sizeof(path));
	write_file(100, 100, 300, 0);
	write_file(300, 300, 600, -1);
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &file));
	CHECK_OK(port_files->size(file, &size));
	for (cut = size; cut-- > 0;)
	{
		CHECK_OK(port_files->truncate(file, cut));
		CHECK_OK(read_all(false, &seen, &summary));
		CHECK(seen.in_order && seen.count >= 20 && summary.position >= 300);
		CHECK(summary.position == 100 + 10 * (uint64_t) seen.count);
	}
	port_files->close(file);
	finish();
}

TEST(every_flipped_byte_of_what_was_durable)
{
	char path[300];
	PortFile *file;
	uint64_t size, at;
	Seen seen;
	KeptSummary summary;

	start();
	path_of(1, path, sizeof(path));
	write_file(100, 100, 300, 1);
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &file));
	CHECK_OK(port_files->size(file, &size));
	for (at = 0; at < size; at++)
	{
		uint8_t byte;
		NvmkvStatus st;

		CHECK_OK(port_files->read(file, at, &byte, 1));
		byte ^= 0x10;
		CHECK_OK(port_files->write(file, at, &byte, 1));
		st = read_all(false, &seen, &summary);
		/* Told, or nothing is missing (of two marks one is enough). */
		CHECK(st != NVMKV_OK || (seen.count == 20 && summary.closed));
		byte ^= 0x10;
		CHECK_OK(port_files->write(file, at, &byte, 1));
	}
	port_files->close(file);
	finish();
}

TEST_MAIN()
