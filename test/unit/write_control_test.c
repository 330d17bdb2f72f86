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
#define WRITES 8000 /* of each */
#define VALUE_BYTES 1000
#define DEVICE_RATE (UINT64_C(4) << 20) /* so slow that writers are faster on any machine */

#define FLUSHER_SLOT (WRITERS + 1)
#define COMPACTOR_SLOT (WRITERS + 2)

/* Shared by the processes of a test. */
typedef struct Board
{
	uint32_t worker_stop;
	uint32_t failures;
	uint32_t disk_full; /* no table file may be written */
	uint64_t keys[WRITERS];
	uint64_t least; /* what the slowest had written when the first was done */
} Board;

static Board *board;

/* ---- a clock of the test's own: the linker has these called in place of the port's ---- */

static uint64_t test_clock; /* microseconds; 0: the port's clock */

extern uint64_t __real_port_now_us(void);
extern uint64_t __wrap_port_now_us(void);
extern NvmkvStatus __real_port_cond_wait(PortCond *cond, int timeout_ms);
extern NvmkvStatus __wrap_port_cond_wait(PortCond *cond, int timeout_ms);

uint64_t
__wrap_port_now_us(void)
{
	return test_clock != 0 ? test_clock : __real_port_now_us();
}

/* With the clock of the test there is nobody else who could end a wait. */
NvmkvStatus
__wrap_port_cond_wait(PortCond *cond, int timeout_ms)
{
	if (test_clock == 0)
		return __real_port_cond_wait(cond, timeout_ms);
	if (port_interrupted())
		return NVMKV_FAIL(NVMKV_CANCELLED, "interrupted");
	test_clock += (uint64_t) timeout_ms * 1000;
	return NVMKV_OK;
}

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

/* The first who is done notes how far the others are. */
static void
note_least(void)
{
	uint64_t least = WRITES;
	unsigned i;

	for (i = 0; i < WRITERS; i++)
	{
		uint64_t keys = port_load_relaxed(&board->keys[i]);

		if (keys < least)
			least = keys;
	}
	if (board->least == 0)
		board->least = least;
}

static void
write_all(NvmkvDb *db, unsigned me)
{
	NvmkvBatch batch = {0};
	uint8_t value[VALUE_BYTES];
	uint64_t i, last;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < WRITES; i++)
	{
		uint64_t number = i * WRITERS + me;
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
		port_store_relaxed(&board->keys[me], i + 1);
	}
	note_least();
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

/* How fast they may be, and that no moment is without a write, write_rate_test looks at, with a clock of its own. */
static void
flood(uint64_t nvm_bytes)
{
	PortFileOps files = rig_quick_files;
	pid_t writers[WRITERS];
	pid_t flusher, compactor;
	NvmkvStats stats;
	uint64_t delays = 0;
	uint64_t k;
	Rig rig;
	unsigned i;

	files.write = slow_write;
	port_files = &files;
	board = mmap(NULL, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(board != MAP_FAILED);
	rig_init(&rig);
	rig.options.nvm_bytes = nvm_bytes;
	rig.options.max_write_buffers = 4;
	REQUIRE_OK(rig_open(&rig));
	flusher = start(rig.db, FLUSHER_SLOT, DEVICE_RATE, run_flusher);
	compactor = start(rig.db, COMPACTOR_SLOT, DEVICE_RATE, run_compactor);
	for (i = 0; i < WRITERS; i++)
		writers[i] = start(rig.db, (int) i + 1, 0, write_all);
	for (i = 0; i < WRITERS; i++)
		CHECK(ended_well(writers[i]));
	nvmkv_stats(rig.db, &stats);
	port_store_relaxed(&board->worker_stop, 1);
	CHECK(ended_well(flusher));
	CHECK(ended_well(compactor));

	CHECK_EQ(board->failures, 0);
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
	{
		delays += stats.delays[i];
		if (getenv("VERBOSE") != NULL)
			fprintf(stderr, "    cause %u: %llu delays %llu ms, %llu stalls %llu ms\n", i,
					(unsigned long long) stats.delays[i], (unsigned long long) stats.delay_us[i] / 1000,
					(unsigned long long) stats.stalls[i], (unsigned long long) stats.stall_us[i] / 1000);
	}
	/* They were slowed down to what the device can take, not let loose and stopped. */
	CHECK(delays > 0);
	CHECK_EQ(stats.stalls[NVMKV_STALL_DEBT], 0);
	/* Nobody had to wait for the end of the others. */
	CHECK(board->least > WRITES / 10);

	device_rate = 0;
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	for (i = 0; i < WRITERS; i++)
		for (k = 0; k < WRITES; k += 97)
		{
			uint64_t number = k * WRITERS + i;
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
	flood(16 << 20);
}

TEST(flood_without_a_container)
{
	flood(0);
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
	uint64_t i;
	unsigned tries;
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
		CHECK_STATUS(write_some(rig.db, &written, 60000), NVMKV_NO_SPACE);
		/* A step that was on its way may still make some room. */
		CHECK_STATUS(write_some(rig.db, &written, 60000), NVMKV_NO_SPACE);
		port_store_seq(&board->disk_full, 0);
		/* The refusal ends with the first step that succeeds. */
		for (tries = 0; (st = write_some(rig.db, &written, 5000)) == NVMKV_NO_SPACE && tries < 30000; tries++)
			port_sleep_us(10000);
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
		{
			test_clock += 100; /* pressure is looked for now and then */
			REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(i * 7919 + n), 0, 0,
								 nvmkv_slice(value, sizeof(value))));
		}
		REQUIRE_OK(nvmkv_flush_all(rig->db));
	}
}

/* What a step of compaction, or all of it, waited, as a part of the time that the limit wants for its bytes. */
static double
waited(Rig *rig, bool all)
{
	NvmkvStats before, after;
	uint64_t started;
	bool did = false, more;

	nvmkv_stats(rig->db, &before);
	started = test_clock;
	if (all)
		CHECK_OK(nvmkv_compact_all(rig->db));
	else
	{
		CHECK_OK(nvmkv_work(rig->db, NVMKV_WORK_COMPACT, &did, &more));
		CHECK(did);
	}
	nvmkv_stats(rig->db, &after);
	CHECK(after.file_bytes > before.file_bytes + (2 << 20));
	return (double) (test_clock - started) / ((double) (after.file_bytes - before.file_bytes) * 1e6 / (double) LIMIT);
}

TEST(compaction_keeps_to_its_limit_while_nobody_waits)
{
	Rig rig;
	bool did, more;
	double part;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.nvm_bytes = 0;
	rig.options.compaction_bytes_per_second = LIMIT;
	test_clock = UINT64_C(3600000000);
	REQUIRE_OK(rig_open(&rig));
	fill_level0(&rig, 4);
	part = waited(&rig, false);
	CHECK(part > 0.9 && part < 1.1);
	/* It can be stopped while it waits. */
	fill_level0(&rig, 4);
	port_posix_set_interrupted(true);
	CHECK_STATUS(nvmkv_work(rig.db, NVMKV_WORK_COMPACT, &did, &more), NVMKV_CANCELLED);
	port_posix_set_interrupted(false);
	/* Somebody waits for it. */
	CHECK(waited(&rig, true) == 0.0);
	/* Level 0 grows into the zone of debt. */
	fill_level0(&rig, 10);
	test_clock = port_load_relaxed(&rig.db->shm->work_limit.urgent_us) + 1100000;
	CHECK(waited(&rig, false) < 0.8);
	/* Changed at run time. */
	fill_level0(&rig, 4);
	nvmkv_set_compaction_rate(rig.db, 0);
	CHECK(waited(&rig, false) == 0.0);
	fill_level0(&rig, 4);
	nvmkv_set_compaction_rate(rig.db, LIMIT);
	part = waited(&rig, false);
	CHECK(part > 0.9 && part < 1.1);
	rig_remove(&rig);
	test_clock = 0;
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
