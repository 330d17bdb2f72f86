/*
 * log_test.c
 *	  Log files: format, ends, damage, recycling; group commit of processes.
 */
#include "lib/check.h"

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <sys/wait.h>

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"
#include "engine/log/log_group.h"
#include "engine/log/log_reader.h"
#include "engine/log/log_writer.h"
#include "engine/port/port_posix.h"

#define PATH_BYTES 512

static char test_dir[256];

static void
test_path(char *path, const char *name)
{
	snprintf(path, PATH_BYTES, "%s/%s", test_dir, name);
}

/* Contents of record i: its size and bytes follow from i, so that a reader can check them. */
static size_t
record_bytes(unsigned i, size_t max)
{
	return (size_t) (i * UINT64_C(2654435761) % (max + 1));
}

static void
fill_record(uint8_t *data, size_t size, unsigned i)
{
	size_t k;

	for (k = 0; k < size; k++)
		data[k] = (uint8_t) (k * 31 + i * 7 + (k >> 8));
}

static bool
is_record(NvmkvSlice record, unsigned i, size_t max)
{
	size_t k;

	if (record.size != record_bytes(i, max))
		return false;
	for (k = 0; k < record.size; k++)
	{
		if (record.data[k] != (uint8_t) (k * 31 + i * 7 + (k >> 8)))
			return false;
	}
	return true;
}

/* ends[i] is where record i ends in the file; ends[-1 + n] the file's end. */
static void
write_records(const char *path, uint64_t number, unsigned n, size_t max, bool sync_each, uint64_t *ends)
{
	LogWriter writer;
	uint8_t *data = malloc(max + 1);
	unsigned i;

	CHECK_OK(log_writer_create(&writer, path, LOG_KIND_WAL, number));
	CHECK_OK(log_writer_sync(&writer));
	for (i = 0; i < n; i++)
	{
		size_t size = record_bytes(i, max);
		NvmkvSlice parts[3];

		fill_record(data, size, i);
		parts[0] = nvmkv_slice(data, size / 3);
		parts[1] = nvmkv_slice(data + size, 0);
		parts[2] = nvmkv_slice(data + size / 3, size - size / 3);
		CHECK_OK(log_writer_append(&writer, parts, 3));
		if (sync_each)
			CHECK_OK(log_writer_sync(&writer));
		if (ends != NULL)
			ends[i] = writer.offset;
	}
	log_writer_close(&writer);
	free(data);
}

/* Reads all; the records must be 0, 1, ...; *n_out how many. */
static NvmkvStatus
read_records(const char *path, uint64_t number, size_t max, unsigned *n_out, LogEnd *end_out, uint64_t *end_offset_out)
{
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus status;

	*n_out = 0;
	*end_out = LOG_END_NOT_YET;
	*end_offset_out = UINT64_MAX;
	NVMKV_RETURN_IF(log_reader_open(&reader, path, LOG_KIND_WAL, number));
	while ((status = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		CHECK(is_record(record, *n_out, max));
		++*n_out;
	}
	CHECK(log_reader_next(&reader, &record) == status);
	*end_out = reader.end;
	*end_offset_out = reader.end_offset;
	log_reader_close(&reader);
	return status == NVMKV_NOT_FOUND ? NVMKV_OK : status;
}

static size_t
load_file(const char *path, uint8_t *data, size_t max)
{
	PortFile *file;
	size_t n = 0;

	CHECK_OK(port_files->open(path, PORT_FILE_READ, &file));
	CHECK_OK(port_files->read_some(file, 0, data, max, &n));
	port_files->close(file);
	return n;
}

static void
save_file(const char *path, const uint8_t *data, size_t size)
{
	PortFile *file;

	/* Not truncated to nothing first: ext4 would write such a file out when it is closed. */
	CHECK_OK(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	CHECK_OK(port_files->truncate(file, size));
	CHECK_OK(port_files->write(file, 0, data, size));
	port_files->close(file);
}

TEST(worked_example)
{
	/* The bytes of log_format.h. */
	static const uint8_t example[51] = {
		0x4e, 0x56, 0x4d, 0x4b, 0x56, 0x4c, 0x4f, 0x47, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
		0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x51, 0x4f, 0xbe, 0xae,
		0x8d, 0x7f, 0x27, 0xf3, 0x03, 0x00, 0x01, 0x00, 0x07, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00,
		0x61, 0x62, 0x63};
	char path[PATH_BYTES];
	LogWriter writer;
	LogReader reader;
	NvmkvSlice record = nvmkv_slice("abc", 3);
	uint8_t bytes[100];

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	save_file(path, example, sizeof(example));
	REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, 7));
	CHECK_OK(log_reader_next(&reader, &record));
	CHECK(slice_equal(record, nvmkv_slice("abc", 3)));
	CHECK_STATUS(log_reader_next(&reader, &record), NVMKV_NOT_FOUND);
	CHECK(reader.end == LOG_END_CLEAN);
	CHECK_EQ(reader.end_offset, 51);
	log_reader_close(&reader);

	record = nvmkv_slice("abc", 3);
	REQUIRE_OK(log_writer_create(&writer, path, LOG_KIND_WAL, 7));
	CHECK_OK(log_writer_sync(&writer));
	CHECK_OK(log_writer_append(&writer, &record, 1));
	log_writer_close(&writer);
	CHECK_EQ(load_file(path, bytes, sizeof(bytes)), 51);
	CHECK(memcmp(bytes, example, 51) == 0);
	check_remove_dir(test_dir);
}

TEST(headers)
{
	char path[PATH_BYTES];
	uint8_t bytes[100];
	LogReader reader;
	NvmkvSlice record;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	CHECK_STATUS(log_reader_open(&reader, path, LOG_KIND_WAL, 7), NVMKV_NOT_FOUND);
	write_records(path, 7, 0, 0, true, NULL);
	CHECK_STATUS(log_reader_open(&reader, path, LOG_KIND_MANIFEST, 7), NVMKV_INVALID);
	REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, 7));
	CHECK_STATUS(log_reader_next(&reader, &record), NVMKV_NOT_FOUND);
	CHECK(reader.end == LOG_END_CLEAN);
	log_reader_close(&reader);
	CHECK_EQ(load_file(path, bytes, sizeof(bytes)), LOG_FILE_HEADER_BYTES);
	put_u32(bytes + 8, 2);
	put_u32(bytes + 28, crc32c_mask(crc32c(bytes, 28)));
	save_file(path, bytes, LOG_FILE_HEADER_BYTES);
	CHECK_STATUS(log_reader_open(&reader, path, LOG_KIND_WAL, 7), NVMKV_VERSION);
	check_remove_dir(test_dir);
}

static NvmkvStatus
sink_count(void *ctx, const void *data, size_t size)
{
	CHECK(data != NULL || size == 0);
	*(uint64_t *) ctx += size;
	return NVMKV_OK;
}

/* Every offset and size around the edges of a block: the predicted end is the real one. */
TEST(record_ends)
{
	static uint8_t data[3 * LOG_BLOCK_BYTES];
	unsigned round;

	for (round = 0; round < 3000; round++)
	{
		uint64_t offset = LOG_FILE_HEADER_BYTES + check_random_below(3 * LOG_BLOCK_BYTES);
		size_t size = check_random_below(2) == 0 ? check_random_below(100) : check_random_below(sizeof(data));
		uint64_t total = 0;
		NvmkvSlice part;

		if (check_random_below(2) == 0)
			offset = LOG_BLOCK_BYTES - 40 + check_random_below(80);
		if (check_random_below(2) == 0)
			size = LOG_BLOCK_BYTES - 60 + check_random_below(120);
		part = nvmkv_slice(data, size);
		CHECK_OK(log_record_frame(offset, 1, 0, &part, 1, sink_count, &total));
		CHECK_EQ(log_record_end(offset, size), offset + total);
	}
}

TEST(records_of_all_sizes)
{
	static const size_t maxima[] = {0, 1, 50, 1000, 33000, 200000};
	char path[PATH_BYTES];
	unsigned i;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	for (i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++)
	{
		uint64_t ends[300];
		unsigned n;
		LogEnd end;
		uint64_t end_offset;

		write_records(path, 9, 300, maxima[i], false, ends);
		CHECK_OK(read_records(path, 9, maxima[i], &n, &end, &end_offset));
		CHECK_EQ(n, 300);
		CHECK(end == LOG_END_CLEAN);
		CHECK_EQ(end_offset, ends[299]);
	}
	check_remove_dir(test_dir);
}

/* A first record of each size that ends near the first block's end, then a second one. */
TEST(records_at_the_edge_of_a_block)
{
	static uint8_t data[LOG_BLOCK_BYTES];
	char path[PATH_BYTES];
	size_t size;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	for (size = LOG_BLOCK_BYTES - 100; size < LOG_BLOCK_BYTES; size++)
	{
		LogWriter writer;
		LogReader reader;
		NvmkvSlice first = nvmkv_slice(data, size);
		NvmkvSlice second = nvmkv_slice("second", 6);
		NvmkvSlice got;

		REQUIRE_OK(log_writer_create(&writer, path, LOG_KIND_MANIFEST, 1));
		CHECK_OK(log_writer_append(&writer, &first, 1));
		CHECK_OK(log_writer_append(&writer, &second, 1));
		log_writer_close(&writer);
		REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_MANIFEST, 1));
		CHECK_OK(log_reader_next(&reader, &got));
		CHECK_EQ(got.size, size);
		CHECK_OK(log_reader_next(&reader, &got));
		CHECK(slice_equal(got, second));
		CHECK_STATUS(log_reader_next(&reader, &got), NVMKV_NOT_FOUND);
		CHECK(reader.end == LOG_END_CLEAN);
		log_reader_close(&reader);
	}
	check_remove_dir(test_dir);
}

TEST(record_of_8_megabytes)
{
	const size_t max = 8 << 20;
	char path[PATH_BYTES];
	LogWriter writer;
	LogReader reader;
	NvmkvSlice part;
	NvmkvSlice got;
	uint8_t *data = malloc(max);

	REQUIRE(data != NULL);
	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	fill_record(data, max, 3);
	part = nvmkv_slice(data, max);
	REQUIRE_OK(log_writer_create(&writer, path, LOG_KIND_WAL, 1));
	CHECK_OK(log_writer_append(&writer, &part, 1));
	CHECK_OK(log_writer_sync(&writer));
	log_writer_close(&writer);
	REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, 1));
	CHECK_OK(log_reader_next(&reader, &got));
	CHECK(slice_equal(part, got));
	log_reader_close(&reader);
	free(data);
	check_remove_dir(test_dir);
}

TEST(file_cut_at_every_byte)
{
	const unsigned n_records = 40;
	static uint8_t bytes[80000];
	char path[PATH_BYTES];
	uint64_t ends[40];
	size_t size;
	size_t cut;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	write_records(path, 4, n_records, 3000, true, ends);
	size = load_file(path, bytes, sizeof(bytes));
	REQUIRE(size > LOG_BLOCK_BYTES && size < sizeof(bytes));
	for (cut = 0; cut <= size; cut++)
	{
		unsigned expected = 0;
		unsigned n;
		LogEnd end;
		uint64_t end_offset;

		/* All bytes near edges, a sample elsewhere: the cut takes time. */
		if (cut > 300 && (cut + 60) % LOG_BLOCK_BYTES > 120 && check_random_below(16) != 0)
			continue;
		save_file(path, bytes, cut);
		while (expected < n_records && ends[expected] <= cut)
			expected++;
		CHECK_OK(read_records(path, 4, 3000, &n, &end, &end_offset));
		CHECK_EQ(n, expected);
		if (cut < LOG_FILE_HEADER_BYTES)
		{
			CHECK_EQ(end_offset, 0);
			CHECK(end == (cut == 0 ? LOG_END_CLEAN : LOG_END_TORN));
		}
		else if (expected > 0 && cut == ends[expected - 1])
			CHECK(end == LOG_END_CLEAN);
	}
	check_remove_dir(test_dir);
}

/* Each record was synced before the next: damage anywhere but in the last one is proved by a later one. */
TEST(flipped_bits_in_durable_records)
{
	const unsigned n_records = 30;
	static uint8_t bytes[80000];
	char path[PATH_BYTES];
	uint64_t ends[30];
	size_t size;
	unsigned round;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	write_records(path, 4, n_records, 3000, true, ends);
	size = load_file(path, bytes, sizeof(bytes));
	REQUIRE(size > LOG_BLOCK_BYTES && size < sizeof(bytes));
	for (round = 0; round < 4000; round++)
	{
		size_t at = round < 200 ? round : check_random_below(size);
		uint8_t bit = (uint8_t) (1u << check_random_below(8));
		unsigned hit = 0;
		unsigned n;
		LogEnd end;
		uint64_t end_offset;
		NvmkvStatus status;

		bytes[at] ^= bit;
		save_file(path, bytes, size);
		bytes[at] ^= bit;
		while (ends[hit] <= at)
			hit++;
		status = read_records(path, 4, 3000, &n, &end, &end_offset);
		if (status == NVMKV_OK && n == n_records)
		{
			/* Only the padding at a block's end may be hit without a trace. */
			CHECK(at % LOG_BLOCK_BYTES >= LOG_BLOCK_BYTES - LOG_FRAGMENT_HEADER_BYTES);
		}
		else if (hit == n_records - 1)
		{
			CHECK_STATUS(status, NVMKV_OK);
			CHECK(n == hit && end != LOG_END_NOT_YET);
		}
		else
		{
			CHECK_STATUS(status, NVMKV_CORRUPTION);
			CHECK(at < LOG_FILE_HEADER_BYTES ? n == 0 : n == hit);
			CHECK(strstr(nvmkv_error()->text, path) != NULL);
		}
	}
	check_remove_dir(test_dir);
}

/* Nothing was synced after the header: whatever is missing, what comes before it is the log. */
TEST(holes_in_unsynced_records)
{
	static uint8_t bytes[600000];
	static uint8_t copy[600000];
	char path[PATH_BYTES];
	uint64_t ends[40];
	size_t size;
	unsigned round;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	write_records(path, 4, 40, 20000, false, ends);
	size = load_file(path, bytes, sizeof(bytes));
	for (round = 0; round < 500; round++)
	{
		size_t first_bad = size;
		unsigned expected = 0;
		size_t page;
		unsigned n;
		LogEnd end;
		uint64_t end_offset;

		memcpy(copy, bytes, size);
		for (page = 4096; page < size; page += 4096)
		{
			if (check_random_below(40) == 0)
			{
				memset(copy + page, 0, size - page < 4096 ? size - page : 4096);
				if (first_bad == size)
					first_bad = page;
			}
		}
		save_file(path, copy, size);
		while (expected < 40 && ends[expected] <= first_bad)
			expected++;
		CHECK_OK(read_records(path, 4, 20000, &n, &end, &end_offset));
		CHECK_EQ(n, expected);
		CHECK(end != LOG_END_NOT_YET);
	}
	check_remove_dir(test_dir);
}

TEST(random_bytes_do_no_harm)
{
	static uint8_t bytes[70000];
	char path[PATH_BYTES];
	unsigned round;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	write_records(path, 4, 30, 3000, true, NULL);
	for (round = 0; round < 200; round++)
	{
		size_t size = load_file(path, bytes, sizeof(bytes));
		char damaged[PATH_BYTES];
		unsigned i;
		unsigned n;
		LogEnd end;
		uint64_t end_offset;

		for (i = 0; i < 20; i++)
		{
			size_t at = check_random_below(size);
			size_t run = check_random_below(100);

			check_random_bytes(bytes + at, size - at < run ? size - at : run);
		}
		test_path(damaged, "damaged");
		save_file(damaged, bytes, size);
		(void) read_records(damaged, 4, 3000, &n, &end, &end_offset);
	}
	check_remove_dir(test_dir);
}

/* A file that was log 3 becomes log 5: whatever was cut or lost, no record of log 3 is read. */
TEST(recycled_file)
{
	static uint8_t old_bytes[600000];
	static uint8_t new_bytes[600000];
	static uint8_t mixed[600000];
	char path[PATH_BYTES];
	uint64_t ends[20];
	size_t old_size;
	size_t new_size;
	unsigned round;
	unsigned n;
	LogEnd end;
	uint64_t end_offset;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	write_records(path, 3, 200, 2990, true, NULL);
	old_size = load_file(path, old_bytes, sizeof(old_bytes));

	/* Renamed, but its header not yet written. */
	CHECK_OK(read_records(path, 5, 3000, &n, &end, &end_offset));
	CHECK_EQ(n, 0);

	write_records(path, 5, 20, 3000, true, ends);
	new_size = load_file(path, new_bytes, sizeof(new_bytes));
	REQUIRE(new_size < old_size);
	for (round = 0; round < 1000; round++)
	{
		size_t least = LOG_FILE_HEADER_BYTES;
		size_t cut = round == 0 ? new_size : least + check_random_below(new_size - least);
		unsigned expected = 0;

		memcpy(mixed, old_bytes, old_size);
		memcpy(mixed, new_bytes, cut);
		save_file(path, mixed, old_size);

		/* The old bytes behind the cut may happen to be the new ones. */
		while (cut < new_size && mixed[cut] == new_bytes[cut])
			cut++;
		while (expected < 20 && ends[expected] <= cut)
			expected++;
		CHECK_OK(read_records(path, 5, 3000, &n, &end, &end_offset));
		CHECK_EQ(n, expected);
		if (round == 0)
			CHECK(end != LOG_END_NOT_YET && end_offset == new_size);
	}
	check_remove_dir(test_dir);
}

/* ---- files that fail ---- */

static PortFileOps failing_ops;
static NvmkvStatus fail_write_with;
static NvmkvStatus fail_sync_with;
static unsigned writes_before_failure;
static unsigned partial_write_bytes;

static NvmkvStatus
failing_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	if (fail_write_with != NVMKV_OK && writes_before_failure-- == 0)
	{
		writes_before_failure = 0;
		if (partial_write_bytes < size)
			(void) port_posix_files.write(file, offset, data, partial_write_bytes);
		errno = fail_write_with == NVMKV_NO_SPACE ? ENOSPC : EIO;
		return NVMKV_FAIL_ERRNO(fail_write_with, "test refuses a write");
	}
	return port_posix_files.write(file, offset, data, size);
}

static NvmkvStatus
failing_sync(PortFile *file)
{
	if (fail_sync_with != NVMKV_OK)
	{
		errno = EIO;
		return NVMKV_FAIL_ERRNO(fail_sync_with, "test refuses a sync");
	}
	return port_posix_files.sync(file);
}

static void
use_failing_files(void)
{
	failing_ops = port_posix_files;
	failing_ops.write = failing_write;
	failing_ops.sync = failing_sync;
	fail_write_with = NVMKV_OK;
	fail_sync_with = NVMKV_OK;
	writes_before_failure = 0;
	partial_write_bytes = 0;
	port_files = &failing_ops;
}

TEST(writer_on_a_full_disk)
{
	static uint8_t data[100000];
	char path[PATH_BYTES];
	LogWriter writer;
	LogReader reader;
	NvmkvSlice part = nvmkv_slice(data, sizeof(data));
	NvmkvSlice small = nvmkv_slice("small", 5);
	NvmkvSlice got;

	check_make_dir(test_dir, sizeof(test_dir));
	test_path(path, "log");
	use_failing_files();
	REQUIRE_OK(log_writer_create(&writer, path, LOG_KIND_MANIFEST, 1));
	CHECK_OK(log_writer_append(&writer, &small, 1));
	CHECK_OK(log_writer_sync(&writer));
	fail_write_with = NVMKV_NO_SPACE;
	partial_write_bytes = 70000;
	CHECK_STATUS(log_writer_append(&writer, &part, 1), NVMKV_NO_SPACE);
	fail_write_with = NVMKV_OK;
	CHECK_OK(log_writer_append(&writer, &small, 1));
	CHECK_OK(log_writer_sync(&writer));

	/* The leftover of the large record is behind the end and is not taken for anything. */
	REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_MANIFEST, 1));
	CHECK_OK(log_reader_next(&reader, &got));
	CHECK_OK(log_reader_next(&reader, &got));
	CHECK(slice_equal(got, small));
	CHECK_STATUS(log_reader_next(&reader, &got), NVMKV_NOT_FOUND);
	log_reader_close(&reader);

	fail_sync_with = NVMKV_IO;
	CHECK_OK(log_writer_append(&writer, &small, 1));
	CHECK_STATUS(log_writer_sync(&writer), NVMKV_IO);
	fail_sync_with = NVMKV_OK;
	CHECK_STATUS(log_writer_sync(&writer), NVMKV_READ_ONLY);
	CHECK_STATUS(log_writer_append(&writer, &small, 1), NVMKV_READ_ONLY);
	log_writer_close(&writer);
	port_files = &port_posix_files;
	check_remove_dir(test_dir);
}

/* ---- the group log ---- */

typedef struct Group
{
	LogGroupShm *shm;
	size_t bytes;
	LogGroup log;
} Group;

static void
start_group(Group *g, uint64_t buffer_bytes, uint64_t last_sequence)
{
	check_make_dir(test_dir, sizeof(test_dir));
	g->bytes = log_group_shm_bytes(buffer_bytes);
	g->shm = port_posix_shared_alloc(g->bytes);
	if (g->shm == NULL)
		exit(2);
	log_group_shm_init(g->shm, buffer_bytes, 1 << 20);
	CHECK_OK(log_group_attach(&g->log, g->shm, test_dir));
	CHECK_OK(log_group_start(&g->log, 1, last_sequence));
}

static void
end_group(Group *g)
{
	log_group_detach(&g->log);
	port_posix_shared_free(g->shm, g->bytes);
	check_remove_dir(test_dir);
}

/* Reads the files 1..last_number: sequences without a gap, and each writer's records in order. */
typedef struct Replay
{
	uint64_t last_sequence;
	uint64_t records;
	uint64_t of_writer[16]; /* last counter seen */
} Replay;

/* A batch here: writer u32, counter u64, then filling that follows from the counter. */
static NvmkvSlice
make_test_batch(uint8_t *data, uint32_t writer, uint64_t counter, size_t filling)
{
	put_u32(data, writer);
	put_u64(data + 4, counter);
	fill_record(data + 12, filling, (unsigned) counter);
	return nvmkv_slice(data, 12 + filling);
}

/* It takes so many sequences. */
static uint32_t
batch_count(uint64_t counter)
{
	return (uint32_t) (counter % 5 + 1);
}

static void
replay(Replay *r, uint64_t first_sequence, uint64_t first_number, uint64_t last_number)
{
	uint64_t number;

	memset(r, 0, sizeof(*r));
	r->last_sequence = first_sequence;
	for (number = first_number; number <= last_number; number++)
	{
		char path[PATH_BYTES];
		LogReader reader;
		NvmkvSlice record;
		NvmkvStatus status;

		log_group_path(path, sizeof(path), test_dir, number);
		REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, number));
		while ((status = log_reader_next(&reader, &record)) == NVMKV_OK)
		{
			uint64_t base;
			NvmkvSlice batch;
			uint32_t writer;
			uint64_t counter;
			static uint8_t expected[9 << 20];

			REQUIRE_OK(log_group_split_record(record, &base, &batch));
			CHECK_EQ(base, r->last_sequence + 1);
			REQUIRE(batch.size >= 12);
			writer = get_u32(batch.data);
			counter = get_u64(batch.data + 4);
			REQUIRE(writer < 16);
			CHECK_EQ(counter, r->of_writer[writer] + 1);
			r->of_writer[writer] = counter;
			r->records++;

			r->last_sequence += batch_count(counter);
			(void) make_test_batch(expected, writer, counter, batch.size - 12);
			CHECK(memcmp(expected, batch.data, batch.size) == 0);
		}
		CHECK_STATUS(status, NVMKV_NOT_FOUND);
		log_reader_close(&reader);
	}
}

static void
run_group_of_one(void)
{
	Group g;
	Replay r;
	static uint8_t data[9 << 20];
	uint64_t last = 0;
	uint64_t counter;
	char path[PATH_BYTES];

	start_group(&g, 65536, 1000);
	CHECK_EQ(log_group_position(&g.log), 1000);
	CHECK_OK(log_group_flush(&g.log, NVMKV_SEQUENCE_MAX, true));
	for (counter = 1; counter <= 300; counter++)
	{
		size_t filling = check_random_below(counter % 20 == 0 ? 300000 : 2000);
		NvmkvSlice batch = make_test_batch(data, 0, counter, filling);
		uint64_t before = log_group_position(&g.log);

		CHECK_OK(log_group_append(&g.log, batch, batch_count(counter), &last));
		CHECK_EQ(last, before + batch_count(counter));
		CHECK_EQ(log_group_position(&g.log), last);
		if (check_random_below(4) == 0)
			CHECK_OK(log_group_flush(&g.log, last, true));
		if (check_random_below(50) == 0)
		{
			uint64_t ended = 0;

			CHECK_OK(log_group_rotate(&g.log, log_group_number(&g.log) + 1, 0, &ended));
			CHECK_EQ(ended, last);
		}
	}
	/* One record of 8 MB through a ring of 64 KiB. */
	CHECK_OK(log_group_append(&g.log, make_test_batch(data, 0, counter, 8 << 20), batch_count(counter), &last));
	CHECK_OK(log_group_flush(&g.log, NVMKV_SEQUENCE_MAX, true));
	replay(&r, 1000, 1, log_group_number(&g.log));
	CHECK_EQ(r.records, 301);
	CHECK_EQ(r.last_sequence, last);

	CHECK_STATUS(log_group_append(&g.log, nvmkv_slice(data, 12), 0, &last), NVMKV_LIMIT);
	CHECK_STATUS(log_group_rotate(&g.log, 1, 0, &last), NVMKV_INVALID);
	log_group_path(path, sizeof(path), test_dir, 1);
	CHECK(access(path, F_OK) == 0);
	end_group(&g);
}

TEST(group_of_one)
{
	run_group_of_one();
}

static void
run_group_recycles_files(void)
{
	Group g;
	uint8_t data[3000];
	uint64_t last = 0;
	uint64_t ended = 0;
	uint64_t counter = 0;
	uint64_t number;
	char path[PATH_BYTES];

	start_group(&g, 1 << 20, 0);
	for (number = 1; number <= 6; number++)
	{
		unsigned i;
		unsigned n = number % 2 == 1 ? 200 : 5;

		for (i = 0; i < n; i++)
		{
			counter++;
			CHECK_OK(log_group_append(&g.log, make_test_batch(data, 0, counter, 1000), batch_count(counter), &last));
		}

		/* The file before the last is no longer needed. */
		CHECK_OK(log_group_rotate(&g.log, number + 1, number > 1 ? number - 1 : 0, &ended));
		CHECK_EQ(ended, last);
		log_group_path(path, sizeof(path), test_dir, number - 1);
		CHECK(access(path, F_OK) != 0);
	}
	/* Files 6 and 7 are there; 6 was 4, which was 2; it holds the last five batches. */
	{
		LogReader reader;
		NvmkvSlice record;
		unsigned n = 0;

		log_group_path(path, sizeof(path), test_dir, 6);
		REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, 6));
		while (log_reader_next(&reader, &record) == NVMKV_OK)
			n++;
		CHECK(reader.end == LOG_END_CLEAN);
		CHECK_EQ(n, 5);
		log_reader_close(&reader);
		log_group_path(path, sizeof(path), test_dir, 7);
		REQUIRE_OK(log_reader_open(&reader, path, LOG_KIND_WAL, 7));
		CHECK_STATUS(log_reader_next(&reader, &record), NVMKV_NOT_FOUND);
		log_reader_close(&reader);
	}
	CHECK_STATUS(log_group_rotate(&g.log, 8, 2, &ended), NVMKV_NOT_FOUND);
	CHECK_OK(log_group_rotate(&g.log, 8, 0, &ended));
	end_group(&g);
}

TEST(group_recycles_files)
{
	run_group_recycles_files();
}

typedef struct Progress
{
	uint64_t flushed[16]; /* counter of the last batch each writer was told is durable */
	uint64_t last_sequence[16];
	uint32_t stop;
} Progress;

/* A writer's life; returns its exit code. */
static int
write_as(LogGroup *log, Progress *progress, uint32_t writer, uint64_t batches, uint64_t seed)
{
	static uint8_t data[400000];
	uint64_t counter;

	check_random_state = seed;
	for (counter = 1; counter <= batches; counter++)
	{
		size_t filling = check_random_below(check_random_below(50) == 0 ? 300000 : 500);
		uint64_t last;
		NvmkvSlice batch = make_test_batch(data, writer, counter, filling);

		if (log_group_append(log, batch, batch_count(counter), &last) != NVMKV_OK)
			return 1;
		if (check_random_below(3) != 0)
		{
			if (log_group_flush(log, last, true) != NVMKV_OK)
				return 2;
			port_store_release(&progress->last_sequence[writer], last);
			port_store_release(&progress->flushed[writer], counter);
		}
		if (check_random_below(100) == 0)
		{
			uint64_t ended;
			uint64_t number = log_group_number(log);
			NvmkvStatus status = log_group_rotate(log, number + 1, 0, &ended);

			/* Another writer may have rotated meanwhile. */
			if (status != NVMKV_OK && status != NVMKV_INVALID)
				return 3;
		}
	}
	return 0;
}

static pid_t
fork_writer(Group *g, Progress *progress, uint32_t writer, uint64_t batches)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		LogGroup log;
		int code;

		port_posix_set_slot((int) writer + 1);
		if (log_group_attach(&log, g->shm, test_dir) != NVMKV_OK)
			_exit(4);
		code = write_as(&log, progress, writer, batches, check_seed + writer);
		log_group_detach(&log);
		_exit(code);
	}
	return pid;
}

/* As on a disk: while one syncs, the others run, and come to wait for it. */
static NvmkvStatus
sync_as_others_run(PortFile *file)
{
	unsigned i;

	for (i = 0; i < 50; i++)
		(void) sched_yield();
	return port_posix_files.sync(file);
}

static void
run_group_of_four_processes(void)
{
	const uint64_t batches = 500;
	PortFileOps files = port_posix_files;
	Group g;
	Progress *progress = port_posix_shared_alloc(sizeof(Progress));
	pid_t pids[4];
	Replay r;
	LogGroupStats stats;
	unsigned i;

	REQUIRE(progress != NULL);
	files.sync = sync_as_others_run;
	port_files = &files;
	start_group(&g, 131072, 0);
	for (i = 0; i < 4; i++)
		pids[i] = fork_writer(&g, progress, i, batches);
	for (i = 0; i < 4; i++)
	{
		int status = 0;

		CHECK(waitpid(pids[i], &status, 0) == pids[i]);
		CHECK_EQ(status, 0);
	}
	port_files = &port_posix_files;
	CHECK_OK(log_group_flush(&g.log, NVMKV_SEQUENCE_MAX, true));
	replay(&r, 0, 1, log_group_number(&g.log));
	CHECK_EQ(r.records, 4 * batches);
	for (i = 0; i < 4; i++)
		CHECK_EQ(r.of_writer[i], batches);
	CHECK_EQ(r.last_sequence, log_group_position(&g.log));
	log_group_stats(&g.log, &stats);
	CHECK_EQ(stats.records, 4 * batches);
	end_group(&g);
	port_posix_shared_free(progress, sizeof(*progress));
}

TEST(group_of_four_processes)
{
	run_group_of_four_processes();
}

/* All processes die at once: every batch a writer was told is durable is in the files. */
static void
run_group_killed_as_a_whole(void)
{
	unsigned round;

	for (round = 0; round < 5; round++)
	{
		Group g;
		Progress *progress = port_posix_shared_alloc(sizeof(Progress));
		pid_t pids[4];
		Replay r;
		unsigned i;

		REQUIRE(progress != NULL);
		start_group(&g, 131072, 0);
		for (i = 0; i < 4; i++)
			pids[i] = fork_writer(&g, progress, i, UINT64_MAX);
		while (port_load_acquire(&progress->flushed[round % 4]) < 50 + round * 20)
			port_sleep_us(500);
		for (i = 0; i < 4; i++)
			kill(pids[i], SIGKILL);
		for (i = 0; i < 4; i++)
			CHECK(waitpid(pids[i], NULL, 0) == pids[i]);
		replay(&r, 0, 1, log_group_number(&g.log));
		for (i = 0; i < 4; i++)
		{
			CHECK(r.of_writer[i] >= progress->flushed[i]);
			CHECK(r.last_sequence >= progress->last_sequence[i]);
		}
		end_group(&g);
		port_posix_shared_free(progress, sizeof(*progress));
	}
}

TEST(group_killed_as_a_whole)
{
	run_group_killed_as_a_whole();
}

TEST(group_on_a_full_disk)
{
	Group g;
	Replay r;
	static uint8_t data[300000];
	uint64_t last = 0;
	uint64_t counter;
	uint64_t appended = 0;

	use_failing_files();
	start_group(&g, 65536, 0);
	for (counter = 1; counter <= 400;)
	{
		NvmkvSlice batch = make_test_batch(data, 0, counter, check_random_below(3) == 0 ? 200000 : 500);
		NvmkvStatus status;

		fail_write_with = check_random_below(2) == 0 ? NVMKV_NO_SPACE : NVMKV_OK;
		writes_before_failure = (unsigned) check_random_below(4);
		partial_write_bytes = (unsigned) check_random_below(60000);
		status = log_group_append(&g.log, batch, batch_count(counter), &last);
		if (status == NVMKV_OK)
		{
			appended++;
			counter++;
		}
		else
			CHECK_STATUS(status, NVMKV_NO_SPACE);
		if (check_random_below(3) == 0)
		{
			status = log_group_flush(&g.log, last, true);
			CHECK(status == NVMKV_OK || status == NVMKV_NO_SPACE);
		}
	}
	fail_write_with = NVMKV_OK;
	CHECK_OK(log_group_flush(&g.log, NVMKV_SEQUENCE_MAX, true));
	replay(&r, 0, 1, 1);
	CHECK_EQ(r.records, appended);
	CHECK_EQ(r.last_sequence, last);
	port_files = &port_posix_files;
	end_group(&g);
}

static NvmkvStatus
refuse_allocation(const char *point)
{
	return strcmp(point, "log.allocate") == 0 || strcmp(point, "log.create") == 0 ? NVMKV_FAIL(NVMKV_NO_SPACE, "test refuses %s", point) : NVMKV_OK;
}

TEST(group_without_room_for_its_file)
{
	Group g;
	static uint8_t data[1 << 20];
	uint64_t last = 0;
	uint64_t before;
	uint64_t ended;

	start_group(&g, 1 << 20, 0);
	port_fault_hook = refuse_allocation;
	CHECK_OK(log_group_append(&g.log, nvmkv_slice(data, 1000), 1, &last));
	CHECK_STATUS(log_group_append(&g.log, nvmkv_slice(data, sizeof(data)), 1, &before), NVMKV_NO_SPACE);
	CHECK_EQ(log_group_position(&g.log), last);
	CHECK_STATUS(log_group_rotate(&g.log, 2, 0, &ended), NVMKV_NO_SPACE);
	CHECK_EQ(log_group_number(&g.log), 1);
	CHECK_OK(log_group_append(&g.log, nvmkv_slice(data, 1000), 1, &last));
	port_fault_hook = NULL;
	CHECK_OK(log_group_append(&g.log, nvmkv_slice(data, sizeof(data)), 1, &last));
	CHECK_EQ(last, 3);
	CHECK_OK(log_group_flush(&g.log, last, true));
	CHECK_OK(log_group_rotate(&g.log, 2, 0, &ended));
	end_group(&g);
}

TEST(group_failure_is_sticky)
{
	Group g;
	LogGroup other;
	uint64_t last = 0;

	use_failing_files();
	start_group(&g, 65536, 0);
	CHECK_OK(log_group_attach(&other, g.shm, test_dir));
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("first", 5), 1, &last));
	CHECK_OK(log_group_flush(&g.log, last, true));
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("second", 6), 1, &last));
	fail_sync_with = NVMKV_IO;
	CHECK_OK(log_group_flush(&g.log, last, false));
	CHECK_STATUS(log_group_flush(&g.log, last, true), NVMKV_IO);
	fail_sync_with = NVMKV_OK;
	CHECK_STATUS(log_group_flush(&other, last, true), NVMKV_READ_ONLY);
	CHECK(strstr(nvmkv_error()->text, "test refuses a sync") != NULL);
	CHECK_EQ(nvmkv_error()->sys_errno, EIO);
	CHECK_STATUS(log_group_append(&other, nvmkv_slice("third", 5), 1, &last), NVMKV_READ_ONLY);
	CHECK_STATUS(log_group_rotate(&other, 2, 0, &last), NVMKV_READ_ONLY);

	/* What was durable before stays so. */
	CHECK_OK(log_group_flush(&g.log, 1, true));
	log_group_detach(&other);
	port_files = &port_posix_files;
	end_group(&g);
}

TEST(group_wait_can_be_interrupted)
{
	Group g;
	uint64_t last = 0;

	start_group(&g, 65536, 0);
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("x", 1), 1, &last));
	port_posix_set_interrupted(true);

	/* Nobody else is writing, so there is nothing to wait for. */
	CHECK_OK(log_group_flush(&g.log, last, true));
	port_posix_set_interrupted(false);
	end_group(&g);
}

/* ---- several at a time, and death ---- */

static LogGroup *beside;
static unsigned beside_done;

/* While one is at this point another appends and makes it durable. */
static NvmkvStatus
append_beside(const char *point)
{
	uint64_t last;

	if (strcmp(point, "log.create") != 0)
		return NVMKV_OK;
	CHECK_OK(log_group_append(beside, nvmkv_slice("beside", 6), 1, &last));
	CHECK_OK(log_group_flush(beside, last, true));
	beside_done++;
	return NVMKV_OK;
}

TEST(group_goes_on_while_a_file_is_made)
{
	Group g;
	LogGroup other;
	uint64_t last = 0;
	uint64_t ended = 0;

	start_group(&g, 65536, 0);
	CHECK_OK(log_group_attach(&other, g.shm, test_dir));
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("first", 5), 1, &last));
	beside = &other;
	beside_done = 0;
	port_fault_hook = append_beside;
	CHECK_OK(log_group_rotate(&g.log, 2, 0, &ended));
	CHECK_OK(log_group_rotate(&g.log, 3, 1, &ended));
	port_fault_hook = NULL;
	CHECK_EQ(beside_done, 2);
	CHECK_EQ(ended, 3);
	log_group_detach(&other);
	end_group(&g);
}

static const char *death_point;

static NvmkvStatus
die_at_point(const char *point)
{
	if (strcmp(point, death_point) == 0)
		(void) raise(SIGKILL);
	return NVMKV_OK;
}

/* Whatever lock it holds: nobody hangs, and everybody is told. */
TEST(group_survives_a_dead_lock_holder)
{
	static const char *const points[] = {"log.append", "log.write", "log.sync", "log.create"};
	unsigned i;

	for (i = 0; i < 4; i++)
	{
		Group g;
		uint64_t last = 0;
		pid_t pid;
		int status = 0;

		start_group(&g, 65536, 0);
		CHECK_OK(log_group_append(&g.log, nvmkv_slice("first", 5), 1, &last));
		CHECK_OK(log_group_flush(&g.log, last, true));
		fflush(NULL);
		pid = fork();
		if (pid == 0)
		{
			LogGroup log;
			uint64_t mine;

			death_point = points[i];
			port_fault_hook = die_at_point;
			if (log_group_attach(&log, g.shm, test_dir) == NVMKV_OK &&
				log_group_append(&log, nvmkv_slice("last", 4), 1, &mine) == NVMKV_OK &&
				log_group_flush(&log, mine, true) == NVMKV_OK)
				(void) log_group_rotate(&log, 2, 0, &mine);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

		/* Where an appender does not meet the lock it goes on, until somebody does. */
		if (log_group_append(&g.log, nvmkv_slice("second", 6), 1, &last) == NVMKV_OK && i < 3)
			CHECK_STATUS(log_group_flush(&g.log, last, true), NVMKV_READ_ONLY);
		if (i == 3)
			CHECK_STATUS(log_group_rotate(&g.log, 3, 0, &last), NVMKV_READ_ONLY);
		CHECK(strstr(nvmkv_error()->text, "process died") != NULL);
		CHECK(log_group_has_failed(&g.log));
		CHECK_STATUS(log_group_append(&g.log, nvmkv_slice("third", 5), 1, &last), NVMKV_READ_ONLY);

		/* What was durable before is no news. */
		CHECK_OK(log_group_flush(&g.log, 1, true));
		end_group(&g);
	}
}

/* ---- on persistent memory ---- */

static uint64_t map_copies, map_drains, map_undrained;

static bool
map_is_pmem(PortFile *file)
{
	(void) file;
	return true;
}

static void
map_copy(LogMap *map, uint64_t offset, const void *data, size_t size)
{
	map_copies++;
	map_undrained += size;
	log_map_pmem.copy(map, offset, data, size);
}

static void
map_drain(LogMap *map)
{
	map_drains++;
	map_undrained = 0;
	log_map_pmem.drain(map);
}

static const LogMapOps counting_map = {map_is_pmem, map_copy, map_drain};

/* The same tests, with the log mapped: neither appending nor syncing makes a system call for a record. */
TEST(mapped_groups)
{
	log_map_ops = &counting_map;
	run_group_of_one();
	run_group_recycles_files();
	run_group_of_four_processes();
	run_group_killed_as_a_whole();
	log_map_ops = &log_map_pmem;
}

static unsigned syncs_seen, writes_seen;

static NvmkvStatus
count_sync(PortFile *file)
{
	syncs_seen++;
	return port_posix_files.sync(file);
}

static NvmkvStatus
count_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	writes_seen++;
	return port_posix_files.write(file, offset, data, size);
}

TEST(mapped_group_acknowledges_what_is_drained)
{
	PortFileOps files = port_posix_files;
	Group g;
	Replay r;
	uint8_t data[3000];
	uint64_t last = 0;
	uint64_t counter;

	files.sync = count_sync;
	files.write = count_write;
	log_map_ops = &counting_map;
	start_group(&g, 65536, 0);
	port_files = &files;
	syncs_seen = writes_seen = 0;
	map_drains = 0;
	for (counter = 1; counter <= 200; counter++)
	{
		CHECK_OK(log_group_append(&g.log, make_test_batch(data, 0, counter, check_random_below(2000)),
								  batch_count(counter), &last));
		CHECK_OK(log_group_flush(&g.log, last, true));
		CHECK_EQ(map_undrained, 0);
	}
	CHECK(map_drains >= 200);
	CHECK_EQ(syncs_seen, 0);
	CHECK_EQ(writes_seen, 0);
	port_files = &port_posix_files;
	replay(&r, 0, 1, 1);
	CHECK_EQ(r.records, 200);
	end_group(&g);
	log_map_ops = &log_map_pmem;
}

/* The file ends under the map: the handler puts a page there, but nothing that was written to it is acknowledged. */
TEST(mapped_group_loses_its_file)
{
	Group g;
	uint64_t last = 0;
	char path[PATH_BYTES];

	CHECK_OK(port_guard_install());
	log_map_ops = &counting_map;
	start_group(&g, 65536, 0);
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("first", 5), 1, &last));
	CHECK_OK(log_group_flush(&g.log, last, true));
	log_group_path(path, sizeof(path), test_dir, 1);
	CHECK_EQ(truncate(path, 0), 0);
	CHECK_OK(log_group_append(&g.log, nvmkv_slice("second", 6), 1, &last));
	CHECK_STATUS(log_group_flush(&g.log, last, true), NVMKV_IO);
	CHECK(strstr(nvmkv_error()->text, path) != NULL);
	CHECK_STATUS(log_group_append(&g.log, nvmkv_slice("third", 5), 1, &last), NVMKV_READ_ONLY);
	end_group(&g);
	log_map_ops = &log_map_pmem;
}

TEST_MAIN()
