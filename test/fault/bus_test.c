/*
 * bus_test.c
 *	  Pages of the container's pool that are not there any more: the file was
 *	  truncated under its map, or is a hole on a file system that is full; and
 *	  those of tables.
 *
 * Whoever touches such a page gets a failure that names the pool; the rest of
 * the database can be read; nothing is written any more, and no wrong row is
 * ever shown.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "engine/tree/tree.h"
#include "engine/port/port_guard.h"

#include "lib/rig.h"

#include "lib/check.h"

#define ENTRIES 1500
#define VALUE 1000

/* Three places: a table holds keys from 0, a row those from 100000, another row those from 200000. */
static void
make_parts(Rig *rig)
{
	static uint8_t value[VALUE];
	unsigned part, i;

	REQUIRE_OK(rig_open(rig));
	for (part = 0; part < 3; part++)
	{
		for (i = 0; i < ENTRIES; i++)
		{
			memset(value, (int) (part + i), sizeof(value));
			REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(part * 100000 + i), 0, 0,
								 nvmkv_slice(value, VALUE)));
		}
		CHECK_OK(nvmkv_flush_all(rig->db));
		if (part == 0)
			CHECK_OK(nvmkv_compact_all(rig->db));
	}
	CHECK_OK(rig_put(rig->db, "300000", "in memory"));
	CHECK_OK(nvmkv_sync(rig->db, NVMKV_SEQUENCE_MAX));
}

static bool
is_whole(NvmkvSlice value, unsigned number)
{
	size_t i;

	if (value.size != VALUE)
		return false;
	for (i = 0; i < VALUE; i++)
		if (value.data[i] != (uint8_t) number)
			return false;
	return true;
}

/* How many of the part's keys can be read; none may be wrong, and failures must name the pool. */
static unsigned
readable(NvmkvDb *db, unsigned part)
{
	NvmkvBuf value = {0};
	unsigned good = 0;
	unsigned i;

	for (i = 0; i < ENTRIES; i++)
	{
		NvmkvStatus st = nvmkv_get(db, rig_key(part * 100000 + i), NULL, &value, NULL);

		if (st == NVMKV_OK)
		{
			CHECK(is_whole(nvmkv_buf_slice(&value), part + i));
			good++;
		}
		else
		{
			CHECK_STATUS(st, NVMKV_IO);
			CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
		}
	}
	nvmkv_buf_free(&value);
	return good;
}

/* Rows shown of [from, to) before the end or the failure, which is the result. */
static NvmkvStatus
scan(NvmkvDb *db, uint64_t from, uint64_t to, bool reverse, unsigned *shown_out)
{
	const NvmkvScanRow *rows;
	NvmkvScan *s;
	unsigned n = 1;
	NvmkvStatus st = nvmkv_scan_create(db, &s);

	*shown_out = 0;
	if (st == NVMKV_OK)
		st = nvmkv_scan_start(s, rig_key(from), rig_key(to), reverse, NULL);
	while (st == NVMKV_OK && n > 0)
	{
		st = nvmkv_scan_batch(s, 64, 65536, &rows, &n);
		*shown_out += n;
	}
	nvmkv_scan_destroy(s);
	return st;
}

static void
count_problem(void *ctx, const char *where, const char *text)
{
	(void) where;
	(void) text;
	++*(unsigned *) ctx;
}

/* Pages from "offset" on are gone; rows of part 1 and 2 have some there. */
static void
check_lost(Rig *rig)
{
	unsigned problems = 0;
	unsigned shown;
	NvmkvBuf value = {0};
	NvmkvStats stats;
	NvmkvEstimate estimate;

	/* What is elsewhere is as it was. */
	CHECK_EQ(readable(rig->db, 0), ENTRIES);
	CHECK_OK(nvmkv_get(rig->db, rig_slice("300000"), NULL, &value, NULL));
	nvmkv_buf_free(&value);
	CHECK_OK(scan(rig->db, 0, 100000, false, &shown));
	CHECK_EQ(shown, ENTRIES);
	CHECK(readable(rig->db, 2) < ENTRIES);
	CHECK_STATUS(scan(rig->db, 200000, 300000, false, &shown), NVMKV_IO);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	CHECK_STATUS(scan(rig->db, 0, 400000, true, &shown), NVMKV_IO);
	/* A planner can go on. */
	CHECK_OK(nvmkv_estimate(rig->db, rig_key(0), rig_key(200010), &estimate));
	CHECK(estimate.entries > ENTRIES);
	/* An absent key of the lost row is not known to be absent. */
	CHECK_STATUS(nvmkv_get(rig->db, rig_slice("00200700-absent"), NULL, &value, NULL), NVMKV_IO);
	nvmkv_buf_free(&value);
	CHECK_EQ(readable(rig->db, 0), ENTRIES);
	CHECK_OK(nvmkv_check(rig->db, count_problem, &problems));
	CHECK(problems > 0);
	/* No work builds on it, and writers are told. */
	CHECK(nvmkv_compact_all(rig->db) != NVMKV_OK);
	nvmkv_stats(rig->db, &stats);
	CHECK(stats.sticky);
	CHECK_STATUS(rig_put(rig->db, "more", "1"), NVMKV_READ_ONLY);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	CHECK_EQ(readable(rig->db, 0), ENTRIES);
}

TEST(truncated_under_the_map)
{
	Rig rig;
	char path[700];

	REQUIRE_OK(port_guard_install());
	port_files = &rig_quick_files;
	rig_init(&rig);
	make_parts(&rig);
	rig_path(&rig, "level0.pool", path, sizeof(path));
	CHECK(truncate(path, 2 << 20) == 0);
	check_lost(&rig);
	/* The next life sees it at once. */
	CHECK_STATUS(rig_reopen(&rig), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	CHECK(strstr(nvmkv_error()->text, "truncated") != NULL);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* One page in the middle of a row, and a scan that stands on it while it goes. */
TEST(lost_between_two_batches)
{
	Rig rig;
	char path[700];
	const NvmkvScanRow *rows;
	NvmkvScan *s;
	unsigned n = 0;
	unsigned batches = 0;
	NvmkvStatus st;

	REQUIRE_OK(port_guard_install());
	port_files = &rig_quick_files;
	rig_init(&rig);
	make_parts(&rig);
	REQUIRE_OK(nvmkv_scan_create(rig.db, &s));
	REQUIRE_OK(nvmkv_scan_start(s, rig_key(200000), rig_key(300000), false, NULL));
	CHECK_OK(nvmkv_scan_batch(s, 20, 65536, &rows, &n));
	CHECK_EQ(n, 20);
	rig_path(&rig, "level0.pool", path, sizeof(path));
	CHECK(truncate(path, 1 << 20) == 0);
	/* Another reader of this process finds it first. */
	CHECK_EQ(readable(rig.db, 2), 0);
	do
	{
		st = nvmkv_scan_batch(s, 20, 65536, &rows, &n);
		batches++;
	} while (st == NVMKV_OK && n > 0);
	CHECK_STATUS(st, NVMKV_IO);
	CHECK_EQ(batches, 1);
	nvmkv_scan_destroy(s);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* The pool is on a tmpfs of which nothing is left, and has a hole: runs in a name space of its own. */
static int
hole_on_a_full_file_system(void)
{
	Rig rig;
	char pool[700], ballast[700];
	int fd;

	if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
		return 3;
	rig_init(&rig);
	snprintf(pool, sizeof(pool), "%s/small", rig.dir);
	CHECK(mkdir(pool, 0700) == 0);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("tmpfs", pool, "tmpfs", 0, "size=20m") != 0)
	{
		rig_remove(&rig);
		return 3;
	}
	snprintf(pool, sizeof(pool), "%s/small/level0.pool", rig.dir);
	rig.options.nvm_path = pool;
	make_parts(&rig);
	fd = open(pool, O_RDWR);
	CHECK(fd >= 0 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 << 20, 8 << 20) == 0);
	close(fd);
	snprintf(ballast, sizeof(ballast), "%s/small/ballast", rig.dir);
	fd = open(ballast, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	while (fallocate(fd, 0, lseek(fd, 0, SEEK_END), 4096) == 0)
		CHECK(lseek(fd, 0, SEEK_END) > 0);
	close(fd);
	check_lost(&rig);
	rig_close(&rig);
	snprintf(pool, sizeof(pool), "%s/small", rig.dir);
	CHECK(umount2(pool, MNT_DETACH) == 0);
	rig_remove(&rig);
	return check_failures == 0 ? 0 : 1;
}

TEST(hole_on_a_full_tmpfs)
{
	int status = 0;
	pid_t pid;

	REQUIRE_OK(port_guard_install());
	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		port_files = &rig_quick_files;
		status = hole_on_a_full_file_system();
		fflush(NULL);
		_exit(status);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		printf("skipped: no file system can be mounted here\n");
	else
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- tables ---- */

/* The only table's path. */
static bool
see_table(void *ctx, const char *name)
{
	if (strstr(name, ".sst") != NULL)
		snprintf(ctx, 300, "%s", name);
	return true;
}

/* Which of part 0's keys can be read; what cannot names the table. */
static unsigned
readable_in_table(NvmkvDb *db, const char *table)
{
	NvmkvBuf value = {0};
	unsigned good = 0;
	unsigned i;

	for (i = 0; i < ENTRIES; i++)
	{
		NvmkvStatus st = nvmkv_get(db, rig_key(i), NULL, &value, NULL);

		if (st == NVMKV_OK)
		{
			CHECK(is_whole(nvmkv_buf_slice(&value), i));
			good++;
		}
		else
		{
			CHECK_STATUS(st, NVMKV_CORRUPTION);
			CHECK(strstr(nvmkv_error()->text, table) != NULL);
		}
	}
	nvmkv_buf_free(&value);
	return good;
}

/* The three places, with a cache that holds next to nothing of the table. */
static void
make_uncached_parts(Rig *rig, char table[300], char *path, size_t path_bytes)
{
	REQUIRE_OK(port_guard_install());
	port_files = &rig_quick_files;
	rig_init(rig);
	rig->options.block_cache_bytes = 64 * 1024;
	rig->options.value_threshold_bytes = 0;
	make_parts(rig);
	REQUIRE_OK(port_files->list(rig->path, see_table, table));
	rig_path(rig, table, path, path_bytes);
}

/* Its blocks are read through a map, by a reader whose cache holds next to none of them. */
TEST(table_truncated_under_its_map)
{
	Rig rig;
	char table[300] = "";
	char path[700];
	struct stat st;

	make_uncached_parts(&rig, table, path, sizeof(path));
	CHECK_EQ(readable_in_table(rig.db, table), ENTRIES);
	REQUIRE(stat(path, &st) == 0);
	CHECK(truncate(path, st.st_size / 2) == 0);
	CHECK(readable_in_table(rig.db, table) < ENTRIES * 2 / 3);
	CHECK_EQ(readable(rig.db, 1), ENTRIES);
	CHECK_OK(rig_put(rig.db, "more", "1"));
	rig_close(&rig);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* A scan says what it meets; it never shows a wrong row. */
TEST(table_truncated_under_a_scan)
{
	Rig rig;
	char table[300] = "";
	char path[700];
	const NvmkvScanRow *rows;
	NvmkvScan *s;
	struct stat file;
	unsigned seen = 0;
	unsigned n, i;
	NvmkvStatus st;

	make_uncached_parts(&rig, table, path, sizeof(path));
	REQUIRE_OK(nvmkv_scan_create(rig.db, &s));
	REQUIRE_OK(nvmkv_scan_start(s, rig_key(0), rig_key(100000), false, NULL));
	do
	{
		st = nvmkv_scan_batch(s, 20, 65536, &rows, &n);
		for (i = 0; st == NVMKV_OK && i < n; i++)
		{
			CHECK(slice_equal(rows[i].key, rig_key(seen)));
			CHECK(is_whole(rows[i].value, seen));
			seen++;
		}
		if (seen == 740)
		{
			REQUIRE(stat(path, &file) == 0);
			CHECK(truncate(path, file.st_size * 5 / 8) == 0);
		}
	} while (st == NVMKV_OK && n > 0);
	CHECK_STATUS(st, NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, table) != NULL);
	CHECK(seen >= 740 && seen < ENTRIES);
	nvmkv_scan_destroy(s);
	CHECK_EQ(readable(rig.db, 2), ENTRIES);
	rig_close(&rig);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- the guard alone ---- */

static unsigned others;

static void
other_handler(int number)
{
	(void) number;
	others++;
	_exit(others == 1 ? 42 : 43);
}

/* Touches a page behind the end of a file that nobody guards; returns how the child ended. */
static int
touch_elsewhere(bool handled)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		FILE *file = tmpfile();
		volatile uint8_t *map;

		signal(SIGBUS, handled ? other_handler : SIG_DFL);
		if (port_guard_install() != NVMKV_OK || file == NULL)
			_exit(1);
		map = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fileno(file), 0);
		if (map == MAP_FAILED)
			_exit(1);
		_exit(map[4096]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* In a process that has not installed the handler yet. */
static void
check_chaining(void)
{
	int status = touch_elsewhere(true);

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	status = touch_elsewhere(false);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
#else
	CHECK(status != 0);
#endif
}

TEST(pages_are_noted)
{
	FILE *file = tmpfile();
	PortGuard guard;
	volatile uint8_t *map;
	unsigned i;

	REQUIRE(file != NULL);
	REQUIRE_OK(port_guard_install());
	CHECK(ftruncate(fileno(file), 4096) == 0);
	map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
	REQUIRE(map != MAP_FAILED);
	CHECK(port_guard_add(&guard, (void *) (uintptr_t) map, 1 << 20, true));
	map[0] = 1;
	CHECK_EQ(port_guard_lost(&guard), 0);
	CHECK(!port_guard_lost_in(&guard, 0, 1 << 20));
	CHECK_EQ(map[3 * 4096 + 5], 0);
	map[3 * 4096 + 5] = 7;
	CHECK_EQ(map[3 * 4096 + 5], 7);
	CHECK_EQ(port_guard_lost(&guard), 1);
	CHECK(port_guard_lost_in(&guard, 0, 1 << 20));
	CHECK(port_guard_lost_in(&guard, 4 * 4096 - 1, 1));
	CHECK(port_guard_lost_in(&guard, 3 * 4096 - 1, 2));
	CHECK(!port_guard_lost_in(&guard, 0, 3 * 4096));
	CHECK(!port_guard_lost_in(&guard, 4 * 4096, 4096));
	/* More than the list holds: all is lost. */
	for (i = 8; i < 8 + PORT_GUARD_PAGES + 10; i++)
		CHECK_EQ(map[i * 4096], 0);
	CHECK(port_guard_lost_in(&guard, 0, 1));
	port_guard_remove(&guard);
	CHECK(munmap((void *) (uintptr_t) map, 1 << 20) == 0);
	fclose(file);
}

TEST(other_addresses_go_to_the_handler_before)
{
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		char *argv[] = {(char *) (uintptr_t) "bus_test", (char *) (uintptr_t) "chain!", NULL};

		execv("/proc/self/exe", argv);
		_exit(1);
	}
	REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "chain!") == 0)
	{
		check_chaining();
		return check_failures == 0 ? 0 : 1;
	}
	return check_main(argc, argv);
}
