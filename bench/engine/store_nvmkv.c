/*
 * store_nvmkv.c
 *	  This project's engine, standing alone.
 *
 * The database is opened by the first process; background work is done by
 * processes of their own, one that flushes and some that compact; they sleep
 * until a writer wakes them.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/nvmkv.h"
#include "engine/port/port_guard.h"
#include "engine/port/port_posix.h"
#include "engine/store.h"

#define SLOTS 128
#define SLOT_WORKERS 32 /* slots below: this process, background work */
#define BACKGROUND_MAX 16
#define IDLE_MS 1000
#define RETRY_MS 5
#define MIB (UINT64_C(1) << 20)

/* Rows of the container that are counted. */
#define ROWS_MAX 512
#define LEVELS_MAX 8

/* Rows a scan fetches at a time at most, and bytes. */
#define SCAN_ROWS 1024u
#define SCAN_BYTES (256u * 1024)

const char *const store_name = "nvmkv";
const bool store_uses_processes = true;
const char *const store_differs =
	"processes, not threads; level 0 in the container; a write without sync is in a log buffer that all processes "
	"share, not in the file";

struct StoreSession
{
	NvmkvBatch batch;
	NvmkvBuf value;
	NvmkvScan *scan;
	uint64_t scan_rows;
	const NvmkvScanRow *rows;
	unsigned nrows, at;
};

typedef struct Background
{
	PortCond wake;
	uint32_t calls; /* to wake up, so far */
	uint32_t stop;
	uint32_t hold; /* no compaction */
} Background;

static const NvmkvSnapshot everything = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};

static NvmkvDb *db;
static void *memory;
static size_t memory_bytes;
static Background *background;
static pid_t children[BACKGROUND_MAX];
static unsigned nchildren;

static void
must(NvmkvStatus status, const char *what)
{
	if (status != NVMKV_OK)
		bench_die("nvmkv: %s: %s: %s", what, nvmkv_status_name(status), nvmkv_error()->text);
}

/* ---- background work ---- */

static void
wake_background(void)
{
	(void) port_fetch_add(&background->calls, 1);
	port_cond_broadcast(&background->wake);
}

/* One round; how long to sleep afterwards, 0: not at all. */
static int
flush_round(void)
{
	bool did, more, waiting, unused;
	NvmkvStatus status = nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);

	if (status == NVMKV_OK && did)
		wake_background();
	(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &unused, &waiting);
	if (status == NVMKV_OK)
		return more ? 0 : waiting ? RETRY_MS : IDLE_MS;
	if (status != NVMKV_BUSY && status != NVMKV_NO_SPACE)
		must(status, "flush");
	return RETRY_MS;
}

static int
compact_round(void)
{
	bool did, more, unused, waiting;
	NvmkvStatus status;

	if (port_load_acquire(&background->hold) != 0)
		return IDLE_MS;
	status = nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
	if (status == NVMKV_OK && did)
	{
		(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &unused, &waiting);
		nvmkv_tidy(db);
		wake_background();
	}
	if (status == NVMKV_OK)
		return more ? 0 : IDLE_MS;
	if (status != NVMKV_BUSY)
		must(status, "compaction");
	return RETRY_MS;
}

/* Sleeps only if nobody has called since before it looked for work. */
static void
background_main(int slot, int (*round)(void))
{
	port_posix_set_slot(slot);
	while (port_load_acquire(&background->stop) == 0)
	{
		uint32_t calls = port_load_acquire(&background->calls);
		int sleep_ms = round();

		if (sleep_ms == 0)
			continue;
		port_cond_prepare(&background->wake);
		if (port_load_acquire(&background->calls) == calls && port_load_acquire(&background->stop) == 0)
			(void) port_cond_wait(&background->wake, sleep_ms);
		port_cond_finish(&background->wake);
	}
	_exit(0);
}

static int
codec_of(const char *name)
{
	if (strcmp(name, "none") == 0)
		return NVMKV_COMPRESSION_NONE;
	if (strcmp(name, "lz4") == 0)
		return NVMKV_COMPRESSION_LZ4;
	if (strcmp(name, "zstd") == 0)
		return NVMKV_COMPRESSION_ZSTD;
	bench_die("nvmkv: --compression is none, lz4 or zstd");
}

static void
start_background(int (*round)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		bench_die("cannot fork: %s", strerror(errno));
	if (pid == 0)
		background_main((int) nchildren + 1, round);
	children[nchildren++] = pid;
}

/* ---- life ---- */

void
store_open(const BenchOptions *o)
{
	NvmkvOptions options;
	uint64_t i;

	nvmkv_options_default(&options);
	options.write_buffer_bytes = o->write_buffer;
	options.max_write_buffers = (unsigned) o->write_buffers;
	options.nvm_bytes = o->container;
	options.nvm_path = o->pool[0] != '\0' ? o->pool : NULL;
	if (o->file_bytes > 0)
		options.target_file_bytes = o->file_bytes;
	options.block_bytes = (uint32_t) o->block;
	options.bloom_bits_per_key = (unsigned) o->bloom;
	options.block_cache_bytes = o->cache;
	options.process_slots = SLOTS;
	options.system_identifier = 1;
	options.log_buffer_bytes = 4 * MIB;
	options.standalone_log = true;
	options.log_dir = o->log_dir[0] != '\0' ? o->log_dir : NULL;
	memset(options.compression, codec_of(o->compression), sizeof(options.compression));

	port_posix_set_slot(0);
	port_posix_log_from(PORT_LOG_WARNING);
	memory_bytes = nvmkv_shm_bytes(&options);
	if (memory_bytes == 0)
		must(nvmkv_error()->status, "options");
	memory = port_posix_shared_alloc(memory_bytes);
	background = port_posix_shared_alloc(sizeof(Background));
	if (memory == NULL || background == NULL)
		bench_die("nvmkv: no shared memory");
	port_cond_init(&background->wake);
	must(port_guard_install(), "SIGBUS");
	must(nvmkv_open(memory, o->dir, &options, NULL, &db), "open");
	nvmkv_set_wake(db, wake_background);
	nvmkv_open_gate(db);
	start_background(flush_round);
	for (i = 0; i < o->workers && nchildren < BACKGROUND_MAX; i++)
		start_background(compact_round);
}

static void
end_background(void)
{
	unsigned i;

	port_store_release(&background->stop, 1);
	wake_background();
	for (i = 0; i < nchildren; i++)
	{
		int status;

		if (waitpid(children[i], &status, 0) != children[i] || status != 0)
			bench_die("nvmkv: a process of the background work failed");
	}
	nchildren = 0;
}

void
store_close(void)
{
	must(nvmkv_close_gate(db), "close");
	end_background();
	must(nvmkv_flush_all(db), "flush");
	nvmkv_close(db);
	port_posix_shared_free(memory, memory_bytes);
	port_posix_shared_free(background, sizeof(Background));
}

void
store_crash(void)
{
	unsigned i;

	must(nvmkv_sync(db, NVMKV_SEQUENCE_MAX), "sync");
	for (i = 0; i < nchildren; i++)
		(void) kill(children[i], SIGKILL);
	_exit(0);
}

/* ---- sessions ---- */

StoreSession *
store_session_begin(unsigned worker)
{
	StoreSession *session = bench_alloc(sizeof(StoreSession));

	port_posix_set_slot(SLOT_WORKERS + (int) worker);
	must(nvmkv_scan_create(db, &session->scan), "scan");
	return session;
}

void
store_session_end(StoreSession *session)
{
	nvmkv_scan_destroy(session->scan);
	nvmkv_batch_free(&session->batch);
	nvmkv_buf_free(&session->value);
	free(session);
	nvmkv_abort_cleanup(db);
}

void
store_put(StoreSession *session, const void *key, size_t key_size, const void *value, size_t value_size, bool sync)
{
	uint64_t last;
	NvmkvStatus status;

	nvmkv_batch_clear(&session->batch);
	must(nvmkv_batch_put(&session->batch, NVMKV_KIND_VALUE, nvmkv_slice(key, key_size), nvmkv_slice(NULL, 0),
						 nvmkv_slice(value, value_size)),
		 "batch");
	while ((status = nvmkv_write(db, &session->batch, &last)) == NVMKV_BUSY)
		must(nvmkv_wait_room(db, session->batch.memtable_bytes), "wait for room");
	must(status, "write");
	if (sync)
		must(nvmkv_sync(db, last), "sync");
}

bool
store_get(StoreSession *session, const void *key, size_t key_size, size_t *size_out)
{
	NvmkvStatus status = nvmkv_get(db, nvmkv_slice(key, key_size), &everything, &session->value, NULL);

	if (status == NVMKV_NOT_FOUND)
		return false;
	must(status, "get");
	*size_out = session->value.size;
	return true;
}

void
store_scan_begin(StoreSession *session, const void *key, size_t key_size, bool backwards, uint64_t rows)
{
	NvmkvSlice bound = nvmkv_slice(key, key_size);
	NvmkvSlice none = nvmkv_slice(NULL, 0);

	session->scan_rows = rows < SCAN_ROWS ? rows : SCAN_ROWS;
	session->nrows = session->at = 0;
	must(nvmkv_scan_start(session->scan, backwards ? none : bound, none, backwards, &everything), "scan");
}

bool
store_scan_next(StoreSession *session, size_t *bytes_out)
{
	if (session->at == session->nrows)
	{
		session->at = 0;
		must(nvmkv_scan_batch(session->scan, (unsigned) session->scan_rows, SCAN_BYTES, &session->rows,
							  &session->nrows),
			 "scan");
		if (session->nrows == 0)
			return false;
	}
	*bytes_out = session->rows[session->at].key.size + session->rows[session->at].value.size;
	session->at++;
	return true;
}

void
store_scan_end(StoreSession *session)
{
	session->nrows = session->at = 0;
}

/* ---- state ---- */

void
store_stats(StoreStats *stats)
{
	NvmkvStats s;
	NvmkvCacheStats cache;
	NvmkvLevelStats levels[LEVELS_MAX];
	NvmkvRowStats rows[ROWS_MAX];
	unsigned nrows = nvmkv_row_stats(db, rows, ROWS_MAX);
	unsigned n = nvmkv_level_stats(db, levels, LEVELS_MAX);
	unsigned i;

	nvmkv_stats(db, &s);
	nvmkv_cache_stats(db, &cache);
	memset(stats, 0, sizeof(*stats));
	stats->nvm_bytes = s.nvm_bytes;
	stats->log_bytes = s.log_bytes;
	stats->file_bytes = s.file_bytes + s.manifest_bytes;
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
		stats->stall_seconds += (double) (s.stall_us[i] + s.delay_us[i]) / 1e6;
	stats->nvm_total = s.extents_total * MIB;
	stats->nvm_used = (s.extents_total - s.extents_free) * MIB;
	for (i = 0; i < nrows && i < ROWS_MAX; i++)
		stats->level0_entries += rows[i].live_entries;
	stats->cache_hits = cache.hits;
	stats->cache_misses = cache.misses;
	for (i = 0; i < n && i < LEVELS_MAX; i++)
		if (levels[i].level == 1)
			stats->l1_amplification = levels[i].write_amplification;
	if (s.errors > 0 && s.last_error[0] != '\0')
		(void) fprintf(stderr, "nvmkv: background work has failed %llu times, last: %s\n",
					   (unsigned long long) s.errors, s.last_error);
}

uint64_t
store_shared_memory(void)
{
	size_t page = (size_t) sysconf(_SC_PAGESIZE);
	size_t pages = (memory_bytes + page - 1) / page;
	unsigned char *resident = bench_alloc(pages);
	uint64_t bytes = 0;
	size_t i;

	if (mincore(memory, memory_bytes, resident) != 0)
		bench_die("mincore: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		bytes += (resident[i] & 1) != 0 ? page : 0;
	free(resident);
	return bytes;
}

void
store_print_levels(void)
{
	static const char *const causes[NVMKV_STALL_CAUSES] = {"memtables", "extents", "levels"};
	NvmkvLevelStats levels[LEVELS_MAX];
	NvmkvRowStats rows[ROWS_MAX];
	unsigned nlevels = nvmkv_level_stats(db, levels, LEVELS_MAX);
	unsigned nrows = nvmkv_row_stats(db, rows, ROWS_MAX);
	NvmkvStats s;
	unsigned i;

	nvmkv_stats(db, &s);
	printf("  container: %u rows, %u of %u extents free; %llu batches, %llu columns\n", nrows, s.extents_free,
		   s.extents_total, (unsigned long long) s.batches, (unsigned long long) s.columns);
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
		if (s.stalls[i] > 0 || s.delays[i] > 0)
			printf("  writers waited for %s: %llu times for their turn, %.3f s; %llu times for room, %.3f s\n", causes[i],
				   (unsigned long long) s.delays[i], (double) s.delay_us[i] / 1e6, (unsigned long long) s.stalls[i],
				   (double) s.stall_us[i] / 1e6);
	for (i = 0; i < nrows && i < ROWS_MAX; i++)
		printf("    row %llu %s: %llu of %llu MB live\n", (unsigned long long) rows[i].row_id, rows[i].role,
			   (unsigned long long) (rows[i].live_bytes / MIB), (unsigned long long) (rows[i].bytes / MIB));
	for (i = 0; i < nlevels && i < LEVELS_MAX; i++)
		if (levels[i].files > 0 || levels[i].bytes_written > 0)
			printf("  level %u: %llu files, %llu MB, score %.2f; read %llu MB, written %llu MB, amplification %.2f\n",
				   levels[i].level, (unsigned long long) levels[i].files, (unsigned long long) (levels[i].bytes / MIB),
				   levels[i].score, (unsigned long long) (levels[i].bytes_read / MIB),
				   (unsigned long long) (levels[i].bytes_written / MIB), levels[i].write_amplification);
}

uint64_t
store_activity(void)
{
	NvmkvStats s;

	nvmkv_stats(db, &s);
	return s.nvm_bytes + s.file_bytes + s.manifest_bytes;
}

void
store_drain(void)
{
	(void) store_hold_level0(false);
	must(nvmkv_flush_all(db), "flush");
	must(nvmkv_compact_all(db), "compaction");
}

bool
store_hold_level0(bool hold)
{
	port_store_release(&background->hold, hold ? 1 : 0);
	wake_background();
	return true;
}
