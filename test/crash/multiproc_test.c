/*
 * multiproc_test.c
 *	  Several processes on one database, killed all at once, again and again.
 *
 * A host process opens the database and forks writers, readers, workers and
 * some who look at the views.
 * Each writer has keys of its own, written in pairs, and takes part in
 * counting up shared keys under mutexes in shared memory.  Readers check that
 * no counter ever goes back.  After the kill the database is opened from its
 * files: every counter that was acknowledged as synced is there, no value was
 * made up, and of a pair both or none were written.
 *
 * The same is played by threads of one process, which end instead of being
 * killed: there ThreadSanitizer sees what it cannot see between processes.
 *
 * NVMKV_MULTIPROC_ROUNDS: how often (default 10, threads: 3).
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/rig.h"

#include "lib/check.h"

#define WRITERS 4
#define READERS 2
#define WORKERS 3
#define WATCHERS 2
#define ALL (WRITERS + READERS + WORKERS + WATCHERS)
#define OWN_KEYS 300 /* of a writer, half of them in a second place */
#define SHARED_KEYS 64
#define STRIPES 8
#define DEFAULT_ROUNDS 10
#define DEFAULT_THREAD_ROUNDS 3

typedef struct Counter
{
	uint64_t attempted; /* perhaps written */
	uint64_t applied;	/* acknowledged by a write */
	uint64_t synced;	/* acknowledged by a sync */
} Counter;

/* In memory of all processes. */
typedef struct Board
{
	pthread_mutex_t stripes[STRIPES];
	Counter own[WRITERS][OWN_KEYS];
	Counter shared[SHARED_KEYS];
	uint32_t wrong; /* somebody saw something wrong */
	uint32_t over;	/* threads: come to an end */
	uint64_t writes, syncs, reads, steps;
} Board;

static Board *board;

static void
wrong(const char *what, const char *key, uint64_t got, uint64_t bound)
{
	port_store_seq(&board->wrong, 1);
	fprintf(stderr, "    %s: key %s has %" PRIu64 ", bound %" PRIu64 " (%s)\n", what, key, got, bound, nvmkv_error()->text);
}

static bool
goes_on(void)
{
	return port_load_relaxed(&board->over) == 0;
}

static void
raise_to(uint64_t *to, uint64_t value)
{
	uint64_t seen = port_load_seq(to);

	while (seen < value && !__atomic_compare_exchange_n(to, &seen, value, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
}

/* ---- keys and values ---- */

static NvmkvSlice
own_key(char *text, size_t size, unsigned writer, unsigned key, char half)
{
	return nvmkv_slice(text, (size_t) snprintf(text, size, "own%c%04u-%u", half, key, writer));
}

static NvmkvSlice
shared_key(char *text, size_t size, unsigned key)
{
	return nvmkv_slice(text, (size_t) snprintf(text, size, "shared%04u", key));
}

/* A counter and ballast that can be recognised. */
static NvmkvSlice
make_value(uint8_t *buffer, size_t size, uint64_t counter)
{
	put_u64(buffer, counter);
	memset(buffer + 8, (int) (counter & 0xff), size - 8);
	return nvmkv_slice(buffer, size);
}

static bool
read_value(NvmkvSlice value, uint64_t *counter_out)
{
	size_t i;

	if (value.size < 8)
		return false;
	*counter_out = get_u64(value.data);
	for (i = 8; i < value.size; i++)
		if (value.data[i] != (uint8_t) (*counter_out & 0xff))
			return false;
	return true;
}

/* 0 when there is none; false at a failure. */
static bool
get_counter(NvmkvDb *db, NvmkvSlice key, uint64_t *counter_out)
{
	NvmkvBuf value = {0};
	NvmkvStatus st = nvmkv_get(db, key, NULL, &value, NULL);
	bool good = st == NVMKV_NOT_FOUND || (st == NVMKV_OK && read_value(nvmkv_buf_slice(&value), counter_out));

	if (st == NVMKV_NOT_FOUND)
		*counter_out = 0;
	nvmkv_buf_free(&value);
	return good;
}

/* ---- writers ---- */

static size_t
value_size(void)
{
	return 8 + (check_random_below(20) == 0 ? check_random_below(20000) : check_random_below(400));
}

/* Both halves of one of the writer's keys, in one batch. */
static NvmkvStatus
write_pair(NvmkvDb *db, unsigned writer, unsigned key, uint64_t *last_out)
{
	static _Thread_local uint8_t buffer[20100];
	NvmkvBatch batch = {0};
	Counter *counter = &board->own[writer][key];
	char text[2][32];
	NvmkvStatus st;

	counter->attempted = counter->applied + 1;
	st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, own_key(text[0], sizeof(text[0]), writer, key, 'a'),
						 nvmkv_slice(NULL, 0), make_value(buffer, value_size(), counter->attempted));
	if (st == NVMKV_OK)
		st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, own_key(text[1], sizeof(text[1]), writer, key, 'z'),
							 nvmkv_slice(NULL, 0), make_value(buffer, value_size(), counter->attempted));
	if (st == NVMKV_OK)
	{
		while ((st = nvmkv_write(db, &batch, last_out)) == NVMKV_BUSY)
		{
			st = nvmkv_wait_room(db, batch.memtable_bytes);
			if (st != NVMKV_OK)
				break;
		}
	}
	if (st == NVMKV_OK)
		port_store_seq(&counter->applied, counter->attempted);
	nvmkv_batch_free(&batch);
	return st;
}

/* Counts a shared key up.  The mutex is never held while waiting for room. */
static NvmkvStatus
count_up(NvmkvDb *db, unsigned key, uint64_t *counter_out, uint64_t *last_out)
{
	static _Thread_local uint8_t buffer[20100];
	pthread_mutex_t *stripe = &board->stripes[key % STRIPES];
	Counter *counter = &board->shared[key];
	NvmkvBatch batch = {0};
	char text[32];
	NvmkvSlice slice = shared_key(text, sizeof(text), key);
	NvmkvStatus st;

	do
	{
		uint64_t now = 0;

		nvmkv_batch_clear(&batch);
		pthread_mutex_lock(stripe);
		if (!get_counter(db, slice, &now) || now != counter->applied)
			wrong("read before write", text, now, counter->applied);
		*counter_out = counter->applied + 1;
		st = nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, slice, nvmkv_slice(NULL, 0),
							 make_value(buffer, value_size(), *counter_out));
		if (st == NVMKV_OK)
		{
			counter->attempted = *counter_out;
			st = nvmkv_write(db, &batch, last_out);
			if (st == NVMKV_OK)
				port_store_seq(&counter->applied, *counter_out);
		}
		pthread_mutex_unlock(stripe);
		if (st == NVMKV_BUSY)
		{
			st = nvmkv_wait_room(db, batch.memtable_bytes);
			if (st == NVMKV_OK)
				st = NVMKV_BUSY;
		}
	} while (st == NVMKV_BUSY);
	nvmkv_batch_free(&batch);
	return st;
}

static void
be_writer(NvmkvDb *db, unsigned writer)
{
	while (goes_on())
	{
		unsigned keys[8];
		unsigned shared[8];
		uint64_t shared_counters[8];
		unsigned n = 1 + (unsigned) check_random_below(8);
		unsigned i;
		uint64_t last = 0;
		NvmkvStatus st = NVMKV_OK;

		for (i = 0; i < n && st == NVMKV_OK; i++)
		{
			keys[i] = (unsigned) check_random_below(OWN_KEYS);
			shared[i] = (unsigned) check_random_below(SHARED_KEYS);
			st = write_pair(db, writer, keys[i], &last);
			if (st == NVMKV_OK)
				st = count_up(db, shared[i], &shared_counters[i], &last);
			port_count(&board->writes, 2);
		}
		if (st == NVMKV_OK && check_random_below(4) == 0)
		{
			st = nvmkv_sync(db, last);
			port_count(&board->syncs, 1);
			for (i = 0; i < n && st == NVMKV_OK; i++)
			{
				raise_to(&board->own[writer][keys[i]].synced, board->own[writer][keys[i]].applied);
				raise_to(&board->shared[shared[i]].synced, shared_counters[i]);
			}
		}
		if (st != NVMKV_OK)
		{
			wrong("write", nvmkv_status_name(st), 0, 0);
			return;
		}
	}
}

/* ---- readers ---- */

static void
read_shared(NvmkvDb *db, uint64_t *seen)
{
	unsigned key = (unsigned) check_random_below(SHARED_KEYS);
	uint64_t applied = port_load_seq(&board->shared[key].applied);
	uint64_t now = 0;
	char text[32];

	if (!get_counter(db, shared_key(text, sizeof(text), key), &now) || now < seen[key] || now < applied)
		wrong("read", text, now, applied > seen[key] ? applied : seen[key]);
	else
		seen[key] = now;
}

/*
 * A scan of a writer's first or second halves, either way: in order, nothing missing, nothing older than what was
 * there.
 */
static void
scan_own(NvmkvScan *scan)
{
	static _Thread_local uint64_t before[WRITERS * OWN_KEYS];
	bool second = check_random_below(2) == 0;
	bool reverse = check_random_below(2) == 0;
	const NvmkvScanRow *rows;
	unsigned at = 0;
	unsigned n = 0, i;
	NvmkvStatus st;

	for (i = 0; i < WRITERS * OWN_KEYS; i++)
	{
		unsigned k = reverse ? WRITERS * OWN_KEYS - 1 - i : i;

		before[i] = port_load_seq(&board->own[k % WRITERS][k / WRITERS].applied);
	}
	st = nvmkv_scan_start(scan, rig_slice(second ? "ownz" : "owna"), rig_slice(second ? "own{" : "ownb"), reverse, NULL);
	while (st == NVMKV_OK && (st = nvmkv_scan_batch(scan, 50, 65536, &rows, &n)) == NVMKV_OK && n > 0)
	{
		for (i = 0; i < n; i++)
		{
			uint64_t now = 0;
			char text[32];
			unsigned k;

			/* The next key that was there before must not be passed over. */
			for (;; at++)
			{
				if (at == WRITERS * OWN_KEYS)
				{
					wrong("scan", "behind the end", 0, 0);
					return;
				}
				k = reverse ? WRITERS * OWN_KEYS - 1 - at : at;
				if (slice_equal(rows[i].key, own_key(text, sizeof(text), k % WRITERS, k / WRITERS, second ? 'z' : 'a')))
					break;
				if (before[at] > 0)
				{
					wrong("scan misses", text, 0, before[at]);
					return;
				}
			}
			if (!read_value(rows[i].value, &now) || now < before[at])
				wrong("scan", text, now, before[at]);
			at++;
		}
	}
	for (; st == NVMKV_OK && at < WRITERS * OWN_KEYS; at++)
		if (before[at] > 0)
			wrong("scan ends before", "the end", at, before[at]);
	if (st != NVMKV_OK)
		wrong("scan", nvmkv_status_name(st), 0, 0);
}

static void
be_reader(NvmkvDb *db)
{
	static _Thread_local uint64_t seen[SHARED_KEYS];
	NvmkvScan *scan;

	if (nvmkv_scan_create(db, &scan) != NVMKV_OK)
	{
		wrong("reader", "scan", 0, 0);
		return;
	}
	memset(seen, 0, sizeof(seen));
	while (goes_on())
	{
		read_shared(db, seen);
		if (check_random_below(50) == 0)
			scan_own(scan);
		if (check_random_below(100) == 0)
			nvmkv_tidy(db);
		port_count(&board->reads, 1);
	}
	nvmkv_scan_destroy(scan);
}

/* ---- worker ---- */

static void
be_worker(NvmkvDb *db)
{
	while (goes_on())
	{
		bool flushed, compacted, reclaimed, more;
		NvmkvStatus st = nvmkv_work(db, NVMKV_WORK_FLUSH, &flushed, &more);

		if (st == NVMKV_OK || st == NVMKV_BUSY || st == NVMKV_NO_SPACE)
			st = nvmkv_work(db, NVMKV_WORK_COMPACT, &compacted, &more);
		if (st == NVMKV_OK || st == NVMKV_BUSY)
			st = nvmkv_work(db, NVMKV_WORK_RECLAIM, &reclaimed, &more);
		if (st != NVMKV_OK && st != NVMKV_BUSY)
		{
			wrong("work", nvmkv_status_name(st), 0, 0);
			return;
		}
		nvmkv_tidy(db);
		if (flushed || compacted)
			port_count(&board->steps, 1);
		else
			port_sleep_us(500);
		/* Small memtables, so that a short life sees many of them. */
		if (check_random_below(20) == 0)
			(void) nvmkv_switch_memtable(db);
	}
}

/* ---- watchers ---- */

#define COUNT_MAX (UINT64_C(1) << 60) /* no count comes so far */

/* What the views show of a moment fits together, whatever happens meanwhile. */
static void
look_at_views(NvmkvDb *db)
{
	static _Thread_local NvmkvJobStats jobs[64];
	NvmkvMemtableStats memtables[16];
	NvmkvLevelStats levels[NVMKV_LEVELS];
	NvmkvRowStats rows[16];
	NvmkvCacheStats cache;
	NvmkvStats stats;
	unsigned n, i;

	if (check_random_below(8) == 0)
		nvmkv_reset_stats(db);
	nvmkv_stats(db, &stats);
	nvmkv_cache_stats(db, &cache);
	/* Counts since the reset, whoever comes in between with another one: not less than none. */
	if (stats.gets >= COUNT_MAX || stats.writes >= COUNT_MAX || stats.user_bytes >= COUNT_MAX ||
		cache.hits >= COUNT_MAX || cache.misses >= COUNT_MAX || cache.inserts >= COUNT_MAX)
		wrong("counts", "since the reset", stats.gets, COUNT_MAX);
	n = nvmkv_job_stats(db, jobs, 64);
	for (i = 0; i < n; i++)
		if (jobs[i].job_id == 0 || jobs[i].pid <= 0 || jobs[i].keys_done > jobs[i].keys_total)
			wrong("jobs", jobs[i].job, jobs[i].keys_done, jobs[i].keys_total);
	n = nvmkv_memtable_stats(db, memtables, 16);
	for (i = 0; i < n; i++)
		if (memtables[i].bytes > memtables[i].capacity)
			wrong("memtables", memtables[i].state, memtables[i].bytes, memtables[i].capacity);
	(void) nvmkv_row_stats(db, rows, 16);
	(void) nvmkv_level_stats(db, levels, NVMKV_LEVELS);
}

static void
be_watcher(NvmkvDb *db)
{
	while (goes_on())
	{
		look_at_views(db);
		port_sleep_us(1000);
	}
}

/* ---- the host ---- */

/* One of them, by number; returns when something is wrong, or it is over. */
static void
be_somebody(NvmkvDb *db, unsigned i, uint64_t seed)
{
	port_posix_set_slot((int) i + 1);
	check_random_state = seed + i;
	if (i < WRITERS)
		be_writer(db, i);
	else if (i < WRITERS + READERS)
		be_reader(db);
	else if (i < WRITERS + READERS + WORKERS)
		be_worker(db);
	else
		be_watcher(db);
}

static void
be_host(Rig *rig, uint64_t seed)
{
	unsigned i;

	if (rig_open(rig) != NVMKV_OK)
	{
		wrong("host", "open", 0, 0);
		_exit(1);
	}
	for (i = 0; i < ALL; i++)
	{
		if (fork() != 0)
			continue;
		be_somebody(rig->db, i, seed);
		_exit(1);
	}
	for (;;)
		pause();
}

/* ---- after the kill ---- */

static void
print_problem(void *ctx, const char *where, const char *text)
{
	++*(unsigned *) ctx;
	fprintf(stderr, "    check: %s: %s\n", where, text);
}

static void
settle(Counter *counter, const char *key, uint64_t now)
{
	if (now < counter->synced || now > counter->attempted)
	{
		check_failed(__FILE__, __LINE__, "a counter is what it may be");
		fprintf(stderr, "    key %s has %" PRIu64 ", not within %" PRIu64 " .. %" PRIu64 "\n", key, now, counter->synced, counter->attempted);
	}
	counter->attempted = counter->applied = counter->synced = now;
}

static void
verify(Rig *rig)
{
	unsigned problems = 0;
	unsigned w, k;

	REQUIRE_OK(rig_open(rig));
	for (w = 0; w < WRITERS; w++)
		for (k = 0; k < OWN_KEYS; k++)
		{
			uint64_t first = 0;
			uint64_t second = 0;
			char text[2][32];

			CHECK(get_counter(rig->db, own_key(text[0], sizeof(text[0]), w, k, 'a'), &first));
			CHECK(get_counter(rig->db, own_key(text[1], sizeof(text[1]), w, k, 'z'), &second));
			CHECK_EQ(first, second);
			settle(&board->own[w][k], text[0], first);
		}
	for (k = 0; k < SHARED_KEYS; k++)
	{
		uint64_t now = 0;
		char text[32];

		CHECK(get_counter(rig->db, shared_key(text, sizeof(text), k), &now));
		settle(&board->shared[k], text, now);
	}
	CHECK_OK(nvmkv_check(rig->db, print_problem, &problems));
	CHECK_EQ(problems, 0);
	rig_close(rig);
}

static void
make_mutexes(void)
{
	pthread_mutexattr_t attr;
	unsigned i;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	for (i = 0; i < STRIPES; i++)
		pthread_mutex_init(&board->stripes[i], &attr);
	pthread_mutexattr_destroy(&attr);
}

/* Lets a host live for a while, then kills it and all it forked. */
static void
live_and_die(Rig *rig, uint64_t life_us)
{
	uint64_t seed = check_random();
	pid_t host;

	make_mutexes();
	fflush(NULL);
	host = fork();
	if (host == 0)
	{
		setpgid(0, 0);
		be_host(rig, seed);
	}
	REQUIRE(host > 0);
	setpgid(host, host);
	port_sleep_us(life_us);
	CHECK(kill(-host, SIGKILL) == 0);
	/* Orphans of the host become this process's children: all are dead when none is left. */
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	CHECK_EQ(board->wrong, 0);
}

TEST(killed_all_at_once)
{
	const char *text = getenv("NVMKV_MULTIPROC_ROUNDS");
	unsigned rounds = text != NULL ? (unsigned) atoi(text) : DEFAULT_ROUNDS;
	unsigned round;
	Rig rig;

	board = port_posix_shared_alloc(sizeof(Board));
	REQUIRE(board != NULL);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	/* Only kills: what the kernel has, it keeps. */
	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.max_write_buffers = 4;
	for (round = 0; round < rounds && check_failures == 0; round++)
	{
		if (round % 4 == 3)
			rig.options.nvm_bytes = 0;
		else
			rig.options.nvm_bytes = 16u << 20;
		rig.options.value_threshold_bytes = round % 2 == 0 ? 100 : 1024;
		live_and_die(&rig, 100000 + check_random_below(900000));
		if (check_failures == 0)
			verify(&rig);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
	printf("%u rounds, %" PRIu64 " writes, %" PRIu64 " syncs, %" PRIu64 " reads, %" PRIu64 " background steps\n", round, board->writes,
		   board->syncs, board->reads, board->steps);
	port_posix_shared_free(board, sizeof(Board));
}

/* ---- threads ---- */

typedef struct Somebody
{
	pthread_t thread;
	const NvmkvDb *of;
	unsigned number;
	uint64_t seed;
} Somebody;

static void *
be_thread(void *arg)
{
	const Somebody *me = arg;
	NvmkvDb *db;

	if (nvmkv_open_thread(me->of, &db) != NVMKV_OK)
		wrong("thread", "open", 0, 0);
	else
	{
		be_somebody(db, me->number, me->seed);
		nvmkv_close(db);
	}
	return NULL;
}

TEST(threads_of_one_process)
{
	Somebody all[ALL];
	const char *text = getenv("NVMKV_MULTIPROC_ROUNDS");
	unsigned rounds = text != NULL ? (unsigned) atoi(text) : DEFAULT_THREAD_ROUNDS;
	unsigned round, i;
	Rig rig;

	board = port_posix_shared_alloc(sizeof(Board));
	REQUIRE(board != NULL);
	make_mutexes();
	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.max_write_buffers = 4;
	for (round = 0; round < rounds && check_failures == 0; round++)
	{
		rig.options.nvm_bytes = round % 3 == 2 ? 0 : 16u << 20;
		rig.options.value_threshold_bytes = round % 2 == 0 ? 100 : 1024;
		REQUIRE_OK(rig_open(&rig));
		board->over = 0;
		for (i = 0; i < ALL; i++)
		{
			all[i].of = rig.db;
			all[i].number = i;
			all[i].seed = check_random();
			CHECK(pthread_create(&all[i].thread, NULL, be_thread, &all[i]) == 0);
		}
		port_sleep_us(700000);
		port_store_seq(&board->over, 1);
		for (i = 0; i < ALL; i++)
			CHECK(pthread_join(all[i].thread, NULL) == 0);
		CHECK_EQ(board->wrong, 0);
		rig_close(&rig);
		verify(&rig);
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
	printf("%u rounds, %" PRIu64 " writes, %" PRIu64 " syncs, %" PRIu64 " reads, %" PRIu64 " background steps\n", round, board->writes,
		   board->syncs, board->reads, board->steps);
	port_posix_shared_free(board, sizeof(Board));
}

TEST_MAIN()
