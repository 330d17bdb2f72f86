/*
 * write_control_test.c
 *	  Writers in processes of their own against background work on a slow device:
 *	  nobody stands still for long, nobody starves, nothing is lost; and the limit
 *	  of compaction that never stands in a writer's way.
 */
#include "lib/check.h"
#include "lib/rig.h"

#include "engine/tree/write_control.h"
#include "engine/tree/write_rate.h"
#include "engine/tree/tree.h"
#include "engine/tree/jobs.h"
#include "engine/tree/claim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WRITERS 2
#define SECONDS 6
#define VALUE_BYTES 1000

#define FLUSHER_SLOT (WRITERS + 1)
#define COMPACTOR_SLOT (WRITERS + 2)

/* Shared by the processes of a test. */
typedef struct Board
{
	uint32_t stop; /* for writers, then for the worker */
	uint32_t worker_stop;
	uint32_t failures;
	uint32_t disk_full; /* no table file may be written */
	uint64_t started_us;
	uint64_t written[WRITERS][SECONDS + 2]; /* writes in each second */
	uint64_t longest_us[WRITERS];
	uint64_t keys[WRITERS];
} Board;

static Board *board;

/* ---- a slow device ---- */

static uint64_t device_rate;  /* bytes a second to tables and pool, of this process */
static uint64_t device_ready; /* when it has done what it was told */

static NvmkvStatus
slow_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	const char *path = port_file_path(file);

	if (board->disk_full && strstr(path, ".sst") != NULL)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space for \"%s\"", path);
	if (device_rate != 0 && (strstr(path, ".sst") != NULL || strstr(path, "level0.pool") != NULL))
	{
		uint64_t now = port_now_us();

		if (device_ready < now)
			device_ready = now;
		device_ready += size * 1000000 / device_rate;
		port_sleep_us(device_ready - now);
	}
	return rig_quick_files.write(file, offset, data, size);
}

/* ---- processes ---- */

static void
work_until_told(NvmkvDb *db, NvmkvWork work)
{
	while (port_load_relaxed(&board->worker_stop) == 0)
	{
		bool did, reclaimed, more;

		(void) nvmkv_work(db, work, &did, &more);
		(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &reclaimed, &more);
		if (!did)
			port_sleep_us(1000);
	}
}

static void
write_until_told(NvmkvDb *db, unsigned me)
{
	NvmkvBatch batch = {0};
	uint8_t value[VALUE_BYTES];
	uint64_t last;

	memset(value, 'v', sizeof(value));
	while (port_load_relaxed(&board->stop) == 0)
	{
		uint64_t started = port_now_us();
		uint64_t number = board->keys[me] * WRITERS + me;
		uint64_t second, us;
		NvmkvStatus st;

		nvmkv_batch_clear(&batch);
		st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(number * 7919 % 1000003), nvmkv_slice(NULL, 0),
							 nvmkv_slice(value, sizeof(value)));
		while (st == NVMKV_OK && (st = nvmkv_write(db, &batch, &last)) == NVMKV_BUSY)
			st = nvmkv_wait_room(db, batch.memtable_bytes);
		if (st != NVMKV_OK)
		{
			fprintf(stderr, "    writer %u: %s\n", me, nvmkv_error()->text);
			port_count(&board->failures, 1);
			break;
		}
		us = port_now_us();
		second = (us - board->started_us) / 1000000;
		if (second <= SECONDS)
			board->written[me][second]++;
		if (us - started > board->longest_us[me])
			board->longest_us[me] = us - started;
		port_store_relaxed(&board->keys[me], board->keys[me] + 1);
	}
	nvmkv_batch_free(&batch);
}

/* slot 0 is the parent's. */
static pid_t
start(NvmkvDb *db, int slot, uint64_t rate, void (*run)(NvmkvDb *, unsigned))
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	port_posix_set_slot(slot);
	device_rate = rate;
	run(db, (unsigned) slot - 1);
	_exit(0);
}

static void
run_flusher(NvmkvDb *db, unsigned unused)
{
	(void) unused;
	work_until_told(db, NVMKV_WORK_FLUSH);
}

static void
run_compactor(NvmkvDb *db, unsigned unused)
{
	(void) unused;
	work_until_told(db, NVMKV_WORK_COMPACT);
}

static bool
ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
flood(uint64_t nvm_bytes, uint64_t rate)
{
	PortFileOps files = rig_quick_files;
	pid_t writers[WRITERS];
	pid_t flusher, compactor;
	NvmkvStats stats;
	uint64_t all[WRITERS] = {0};
	uint64_t delays = 0;
	Rig rig;
	unsigned i, s;

	files.write = slow_write;
	port_files = &files;
	board = mmap(NULL, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(board != MAP_FAILED);
	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	rig.options.max_write_buffers = 4;
	REQUIRE_OK(rig_open(&rig));
	flusher = start(rig.db, FLUSHER_SLOT, rate, run_flusher);
	compactor = start(rig.db, COMPACTOR_SLOT, rate, run_compactor);
	board->started_us = port_now_us();
	for (i = 0; i < WRITERS; i++)
		writers[i] = start(rig.db, (int) i + 1, 0, write_until_told);
	while (port_now_us() < board->started_us + SECONDS * UINT64_C(1000000))
		port_sleep_us(50000);
	port_store_relaxed(&board->stop, 1);
	for (i = 0; i < WRITERS; i++)
		CHECK(ended_well(writers[i]));
	nvmkv_stats(rig.db, &stats);
	port_store_relaxed(&board->worker_stop, 1);
	CHECK(ended_well(flusher));
	CHECK(ended_well(compactor));

	CHECK_EQ(board->failures, 0);
	for (s = 0; s < SECONDS; s++)
	{
		for (i = 0; i < WRITERS; i++)
		{
			all[i] += board->written[i][s];
			/* No second with nothing, for neither of them. */
			CHECK(board->written[i][s] > 0);
		}
		if (getenv("VERBOSE") != NULL)
			fprintf(stderr, "    second %u: %llu + %llu\n", s, (unsigned long long) board->written[0][s],
					(unsigned long long) board->written[1][s]);
	}
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
	{
		delays += stats.delays[i];
		if (getenv("VERBOSE") != NULL)
			fprintf(stderr, "    cause %u: %llu delays %llu ms, %llu stalls %llu ms\n", i,
					(unsigned long long) stats.delays[i], (unsigned long long) stats.delay_us[i] / 1000,
					(unsigned long long) stats.stalls[i], (unsigned long long) stats.stall_us[i] / 1000);
	}
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "    longest %llu, %llu us\n", (unsigned long long) board->longest_us[0],
				(unsigned long long) board->longest_us[1]);
	/* They were slowed down to what the device can take, not let loose and stopped. */
	CHECK(delays > 0);
	CHECK_EQ(stats.stalls[NVMKV_STALL_DEBT], 0);
	/* Each got its share. */
	CHECK(all[0] < 2 * all[1] && all[1] < 2 * all[0]);
	/* Not longer than a flush or a column takes; a loaded machine adds to that. */
	for (i = 0; i < WRITERS; i++)
		CHECK(board->longest_us[i] < 1500000);

	device_rate = 0;
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	for (i = 0; i < WRITERS; i++)
		for (s = 0; s < board->keys[i]; s += 97)
		{
			uint64_t number = (uint64_t) s * WRITERS + i;
			NvmkvBuf value = {0};

			CHECK_OK(nvmkv_get(rig.db, rig_key(number * 7919 % 1000003), NULL, &value, NULL));
			CHECK_EQ(value.size, VALUE_BYTES);
			nvmkv_buf_free(&value);
		}
	rig_remove(&rig);
	munmap(board, sizeof(Board));
	port_files = &port_posix_files;
}

TEST(flood_with_a_container)
{
	flood(16 << 20, 12 << 20);
}

TEST(flood_without_a_container)
{
	flood(0, 12 << 20);
}

/* ---- no space ---- */

/* Writes until it is refused, or so many. */
static NvmkvStatus
write_some(NvmkvDb *db, uint64_t *number, uint64_t count)
{
	uint8_t value[VALUE_BYTES];
	NvmkvBatch batch = {.count = 0};
	uint64_t end = *number + count;
	uint64_t last;
	NvmkvStatus st = NVMKV_OK;

	memset(value, 'v', sizeof(value));
	while (*number < end && st == NVMKV_OK)
	{
		nvmkv_batch_clear(&batch);
		st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(*number * 7919 % 1000003), nvmkv_slice(NULL, 0),
							 nvmkv_slice(value, sizeof(value)));
		while (st == NVMKV_OK && (st = nvmkv_write(db, &batch, &last)) == NVMKV_BUSY)
			st = nvmkv_wait_room(db, batch.memtable_bytes);
		if (st == NVMKV_OK)
			++*number;
	}
	nvmkv_batch_free(&batch);
	return st;
}

/*
 * Others work, without success: writers fill what is left at full speed and are told; they go on when there is space.
 */
static void
run_out_of_space(uint64_t nvm_bytes)
{
	PortFileOps files = rig_quick_files;
	pid_t flusher, compactor;
	uint64_t written = 0;
	uint64_t i, started;
	NvmkvStats stats;
	Rig rig;
	NvmkvStatus st;

	files.write = slow_write;
	port_files = &files;
	board = mmap(NULL, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(board != MAP_FAILED);
	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	REQUIRE_OK(rig_open(&rig));
	flusher = start(rig.db, FLUSHER_SLOT, 0, run_flusher);
	compactor = start(rig.db, COMPACTOR_SLOT, 0, run_compactor);
	for (i = 0; i < 3; i++)
	{
		REQUIRE_OK(write_some(rig.db, &written, 5000));
		port_store_seq(&board->disk_full, 1);
		started = port_now_us();
		CHECK_STATUS(write_some(rig.db, &written, 60000), NVMKV_NO_SPACE);
		CHECK_STATUS(write_some(rig.db, &written, 1), NVMKV_NO_SPACE);
		CHECK(port_now_us() - started < 20000000);
		port_store_seq(&board->disk_full, 0);
		/* The refusal ends with the first step that succeeds. */
		started = port_now_us();
		do
			st = write_some(rig.db, &written, 5000);
		while (st == NVMKV_NO_SPACE && port_now_us() - started < 20000000);
		REQUIRE_OK(st);
	}
	port_store_relaxed(&board->worker_stop, 1);
	CHECK(ended_well(flusher));
	CHECK(ended_well(compactor));
	nvmkv_stats(rig.db, &stats);
	CHECK(!stats.sticky);
	CHECK(stats.errors > 0);
	REQUIRE_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	REQUIRE_OK(rig_reopen(&rig));
	for (i = 0; i < written; i += 97)
	{
		NvmkvBuf value = {0};

		CHECK_OK(nvmkv_get(rig.db, rig_key(i * 7919 % 1000003), NULL, &value, NULL));
		nvmkv_buf_free(&value);
	}
	rig_remove(&rig);
	munmap(board, sizeof(Board));
	port_files = &port_posix_files;
}

TEST(full_disk_with_a_container)
{
	run_out_of_space(16 << 20);
}

TEST(full_disk_without_a_container)
{
	run_out_of_space(0);
}

/* ---- nothing to slow down for ---- */

/* Whatever the sizes: an empty container and one memtable that is not full are room enough. */
TEST(an_idle_database_slows_nobody_down)
{
	static const struct
	{
		uint64_t write_buffer, pool, file;
	} sizes[] = {
		{1 << 20, 16 << 20, 1 << 20},
		{1 << 20, 16 << 20, 1 << 30},
		{4 << 20, 16 << 20, 32 << 20},
		{1 << 20, 128 << 20, 32 << 20},
		{1 << 20, 0, 1 << 20},
	};
	unsigned i;

	port_files = &rig_quick_files;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		NvmkvStats stats;
		Rig rig;

		rig_init(&rig);
		rig.options.write_buffer_bytes = sizes[i].write_buffer;
		rig.options.nvm_bytes = sizes[i].pool;
		rig.options.target_file_bytes = sizes[i].file;
		REQUIRE_OK(rig_open(&rig));
		/* As if somebody else worked. */
		rig.db->shm->control.worker = 77;
		rig.db->shm->control.worked_us = port_now_us() + 3600000000;
		REQUIRE_OK(rig_put(rig.db, "a", "b"));
		nvmkv_stats(rig.db, &stats);
		CHECK_EQ(stats.write_rate, 0);
		CHECK(!rig.db->shm->control.pressed);
		CHECK(!write_control_pool_is_low(rig.db));
		rig_remove(&rig);
	}
	port_files = &port_posix_files;
}

/* ---- the limit of compaction ---- */

#define LIMIT (UINT64_C(4) << 20)

static void
fill_level0(Rig *rig, unsigned tables)
{
	uint8_t value[VALUE_BYTES];
	unsigned i, n;

	memset(value, 'v', sizeof(value));
	for (n = 0; n < tables; n++)
	{
		for (i = 0; i < 800; i++)
			REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i * 7919 + n), 0, 0,
								 nvmkv_slice(value, sizeof(value))));
		REQUIRE_OK(nvmkv_flush_all(rig->db));
	}
}

/* Microseconds a step of compaction took for each that the limit gives its bytes. */
static double
slowness(Rig *rig, bool all)
{
	NvmkvStats before, after;
	uint64_t started;
	bool did = false, more;

	nvmkv_stats(rig->db, &before);
	started = port_now_us();
	if (all)
		CHECK_OK(nvmkv_compact_all(rig->db));
	else
	{
		CHECK_OK(nvmkv_work(rig->db, NVMKV_WORK_COMPACT, &did, &more));
		CHECK(did);
	}
	started = port_now_us() - started;
	nvmkv_stats(rig->db, &after);
	CHECK(after.file_bytes > before.file_bytes + (2 << 20));
	return (double) started / ((double) (after.file_bytes - before.file_bytes) * 1e6 / (double) LIMIT);
}

TEST(compaction_keeps_to_its_limit_while_nobody_waits)
{
	Rig rig;
	bool did, more;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 0;
	rig.options.compaction_bytes_per_second = LIMIT;
	REQUIRE_OK(rig_open(&rig));
	fill_level0(&rig, 4);
	CHECK(slowness(&rig, false) > 0.9);
	/* It can be stopped while it waits. */
	fill_level0(&rig, 4);
	port_posix_set_interrupted(true);
	CHECK_STATUS(nvmkv_work(rig.db, NVMKV_WORK_COMPACT, &did, &more), NVMKV_CANCELLED);
	port_posix_set_interrupted(false);
	/* Somebody waits for it. */
	CHECK(slowness(&rig, true) < 0.8);
	/* Level 0 grows into the zone of debt. */
	fill_level0(&rig, 10);
	while (port_now_us() < port_load_relaxed(&rig.db->shm->work_limit.urgent_us) + 1100000)
		port_sleep_us(10000);
	CHECK(slowness(&rig, false) < 0.8);
	/* Changed at run time. */
	fill_level0(&rig, 4);
	nvmkv_set_compaction_rate(rig.db, 0);
	CHECK(slowness(&rig, false) < 0.8);
	fill_level0(&rig, 4);
	nvmkv_set_compaction_rate(rig.db, LIMIT);
	CHECK(slowness(&rig, false) > 0.9);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- what an abort leaves ---- */

/* A process dies while it looks at the room for writes, and in the middle of a flush; what others do is not touched. */
TEST(abort_lets_go_of_looking_and_of_jobs)
{
	DbWriteControl *c;
	DbJob *mine, *others;
	uint64_t looked;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	c = &rig.db->shm->control;
	looked = c->looked_us;
	mine = job_begin(rig.db, DB_JOB_LEVEL);
	port_posix_set_slot(1);
	CHECK(db_claim(rig.db, DB_CLAIM_FLUSH));
	others = job_begin(rig.db, DB_JOB_FLUSH);
	c->looking = db_claim_word();
	port_posix_set_slot(2);
	nvmkv_abort_cleanup(rig.db);
	write_control_look(rig.db, looked + 10000000);
	CHECK_EQ(c->looked_us, looked);
	CHECK_EQ(others->phase, DB_PHASE_PICKING);

	/* Whoever finds the slot cleans up after it. */
	port_posix_set_slot(1);
	nvmkv_abort_cleanup(rig.db);
	port_posix_set_slot(0);
	write_control_look(rig.db, looked + 10000000);
	CHECK_EQ(c->looked_us, looked + 10000000);
	CHECK_EQ(others->phase, DB_PHASE_FAILED);
	CHECK_EQ(mine->phase, DB_PHASE_PICKING);
	job_end(mine, true, 0);
	CHECK(db_claim(rig.db, DB_CLAIM_FLUSH));
	db_unclaim(rig.db, DB_CLAIM_FLUSH);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
