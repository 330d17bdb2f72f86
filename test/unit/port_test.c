/*
 * port_test.c
 *	  Files, locks and waits of the POSIX port, across processes.
 */
#include "lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/port/port_map.h"
#include "engine/port/port_posix.h"

/* Exit code of a child, or -signal. */
static int
wait_child(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void
join_path(char *out, size_t size, const char *dir, const char *name)
{
	snprintf(out, size, "%s/%s", dir, name);
}

TEST(files_read_what_was_written)
{
	char dir[256];
	char path[300];
	PortFile *file;
	uint8_t data[1000];
	uint8_t got[1000];
	size_t n;
	uint64_t size;

	check_make_dir(dir, sizeof(dir));
	join_path(path, sizeof(path), dir, "f");
	CHECK_STATUS(port_files->open(path, PORT_FILE_READ, &file), NVMKV_NOT_FOUND);
	CHECK(file == NULL && nvmkv_error()->sys_errno == ENOENT && strstr(nvmkv_error()->text, path) != NULL);
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	CHECK((fcntl(port_file_fd(file), F_GETFD) & FD_CLOEXEC) != 0);
	CHECK(strcmp(port_file_path(file), path) == 0);
	check_random_bytes(data, sizeof(data));
	CHECK_OK(port_files->write(file, 500, data, sizeof(data)));
	CHECK_OK(port_files->sync(file));
	CHECK_OK(port_files->size(file, &size));
	CHECK_EQ(size, 1500);
	CHECK_OK(port_files->read(file, 500, got, sizeof(got)));
	CHECK(memcmp(data, got, sizeof(data)) == 0);
	CHECK_STATUS(port_files->read(file, 501, got, sizeof(got)), NVMKV_CORRUPTION);
	CHECK_OK(port_files->read_some(file, 1400, got, sizeof(got), &n));
	CHECK_EQ(n, 100);
	CHECK_OK(port_files->read_some(file, 5000, got, sizeof(got), &n));
	CHECK_EQ(n, 0);
	CHECK_OK(port_files->preallocate(file, 100000));
	CHECK_OK(port_files->size(file, &size));
	CHECK_EQ(size, 100000);
	CHECK_OK(port_files->preallocate(file, 10));
	CHECK_OK(port_files->size(file, &size));
	CHECK_EQ(size, 100000);
	CHECK_OK(port_files->truncate(file, 600));
	CHECK_STATUS(port_files->read(file, 500, got, 200), NVMKV_CORRUPTION);
	port_files->close(file);

	CHECK_STATUS(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_EXCLUSIVE, &file), NVMKV_IO);
	CHECK_EQ(nvmkv_error()->sys_errno, EEXIST);
	REQUIRE_OK(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_TRUNCATE, &file));
	CHECK_OK(port_files->size(file, &size));
	CHECK_EQ(size, 0);
	port_files->close(file);
	port_files->close(NULL);
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ, &file));
	CHECK_STATUS(port_files->write(file, 0, "x", 1), NVMKV_IO);
	port_files->close(file);
	check_remove_dir(dir);
}

static bool
count_name(void *ctx, const char *name)
{
	unsigned *count = ctx;

	CHECK(name[0] != '.');
	return ++*count < 2;
}

TEST(directories)
{
	char dir[256];
	char sub[300];
	char a[400];
	char b[400];
	char c[400];
	PortFile *file;
	unsigned count = 0;

	check_make_dir(dir, sizeof(dir));
	join_path(sub, sizeof(sub), dir, "sub");
	join_path(a, sizeof(a), sub, "a");
	join_path(b, sizeof(b), sub, "b");
	join_path(c, sizeof(c), sub, "c");
	CHECK_STATUS(port_files->list(sub, count_name, &count), NVMKV_NOT_FOUND);
	CHECK_OK(port_files->mkdir(sub));
	CHECK_OK(port_files->mkdir(sub));
	REQUIRE_OK(port_files->open(a, PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	CHECK_OK(port_files->write(file, 0, "a", 1));
	port_files->close(file);
	CHECK_STATUS(port_files->mkdir(a), NVMKV_IO);
	CHECK_OK(port_files->rename(a, b));
	CHECK_STATUS(port_files->open(a, PORT_FILE_READ, &file), NVMKV_NOT_FOUND);
	CHECK_STATUS(port_files->rename(a, c), NVMKV_NOT_FOUND);
	REQUIRE_OK(port_files->open(c, PORT_FILE_WRITE | PORT_FILE_EXCLUSIVE, &file));
	port_files->close(file);
	CHECK_OK(port_files->sync_dir(sub));
	CHECK_OK(port_files->list(sub, count_name, &count));
	CHECK_EQ(count, 2);
	CHECK_OK(port_files->unlink(b));
	CHECK_OK(port_files->unlink(b));
	count = 0;
	CHECK_OK(port_files->list(sub, count_name, &count));
	CHECK_EQ(count, 1);

	/* Names without a directory part. */
	REQUIRE(chdir(sub) == 0);
	CHECK_OK(port_files->rename("c", "d"));
	CHECK_OK(port_files->mkdir("e/"));
	REQUIRE(chdir("/") == 0);
	check_remove_dir(dir);
}

TEST(full_disk_is_told_apart)
{
	PortFile *file;

	if (access("/dev/full", W_OK) != 0)
		return;
	REQUIRE_OK(port_files->open("/dev/full", PORT_FILE_WRITE, &file));
	CHECK_STATUS(port_files->write(file, 0, "x", 1), NVMKV_NO_SPACE);
	CHECK_EQ(nvmkv_error()->sys_errno, ENOSPC);
	port_files->close(file);
}

typedef struct Shared
{
	PortLock lock;
	PortCond cond;
	uint64_t counter;
	uint32_t state;
} Shared;

static Shared *
make_shared(void)
{
	Shared *s = port_posix_shared_alloc(sizeof(Shared));

	if (s == NULL)
		exit(2);
	port_lock_init(&s->lock, PORT_RANK_MANIFEST);
	port_cond_init(&s->cond);
	return s;
}

static void
check_exclusion(bool robust)
{
	Shared *s = make_shared();
	pid_t pids[4];
	unsigned i;

	if (robust)
		port_lock_init_robust(&s->lock, PORT_RANK_MANIFEST);
	for (i = 0; i < 4; i++)
	{
		pids[i] = fork();
		if (pids[i] == 0)
		{
			unsigned n;

			for (n = 0; n < 5000; n++)
			{
				if (!robust)
					port_lock_exclusive(&s->lock);
				else if (port_lock_robust(&s->lock, true) != PORT_LOCK_TAKEN)
					_exit(1);
				s->counter++;
				/* Those who wait are made to give up looking and sleep, too. */
				if (n % 1000 == 0)
					sched_yield();
				port_lock_release(&s->lock);
			}
			_exit(0);
		}
	}
	for (i = 0; i < 4; i++)
		CHECK_EQ(wait_child(pids[i]), 0);
	CHECK_EQ(s->counter, 20000);
	CHECK(robust ? port_lock_robust(&s->lock, false) == PORT_LOCK_TAKEN : port_lock_try_exclusive(&s->lock));
	port_lock_release(&s->lock);
	port_posix_shared_free(s, sizeof(*s));
}

TEST(exclusive_lock_excludes_processes)
{
	check_exclusion(false);
}

TEST(robust_lock_excludes_processes)
{
	check_exclusion(true);
}

TEST(shared_lock_admits_readers_only)
{
	Shared *s = make_shared();
	pid_t reader = fork();
	pid_t writer;

	/* The first reader holds the lock until the parent, a second reader, has it too. */
	if (reader == 0)
	{
		port_lock_shared(&s->lock);
		port_store_release(&s->state, 1);
		while (port_load_acquire(&s->state) != 2)
			sched_yield();
		port_lock_release(&s->lock);
		_exit(0);
	}
	while (port_load_acquire(&s->state) != 1)
		sched_yield();
	port_lock_shared(&s->lock);
	writer = fork();
	if (writer == 0)
		_exit(port_lock_try_exclusive(&s->lock) ? 1 : 0);
	CHECK_EQ(wait_child(writer), 0);
	port_store_release(&s->state, 2);
	CHECK_EQ(wait_child(reader), 0);
	port_lock_release(&s->lock);
	port_posix_shared_free(s, sizeof(*s));
}

#ifndef NDEBUG
TEST(descending_ranks_are_caught)
{
	pid_t pid = fork();

	if (pid == 0)
	{
		PortLock low;
		PortLock high;
		int null = open("/dev/null", O_WRONLY);

		(void) dup2(null, 2);
		port_lock_init(&low, PORT_RANK_MANIFEST);
		port_lock_init(&high, PORT_RANK_LOG);
		port_lock_exclusive(&low);
		port_lock_exclusive(&high);
		port_lock_release(&low);
		port_lock_release(&high);
		port_lock_exclusive(&high);
		signal(SIGABRT, SIG_DFL);
		port_lock_exclusive(&low);
		_exit(0);
	}
	CHECK_EQ(wait_child(pid), -SIGABRT);
}
#endif

TEST(robust_lock_outlives_its_holder)
{
	PortLock *lock = port_posix_shared_alloc(sizeof(PortLock));
	pid_t pid;

	port_lock_init_robust(lock, PORT_RANK_LOG);
	CHECK(port_lock_robust(lock, true) == PORT_LOCK_TAKEN);
	pid = fork();
	if (pid == 0)
		_exit(port_lock_robust(lock, false) == PORT_LOCK_BUSY ? 0 : 1);
	CHECK_EQ(wait_child(pid), 0);
	port_lock_release(lock);

	pid = fork();
	if (pid == 0)
		_exit(port_lock_robust(lock, true) == PORT_LOCK_TAKEN ? 0 : 1);
	CHECK_EQ(wait_child(pid), 0);
	CHECK(port_lock_robust(lock, true) == PORT_LOCK_DEAD);
	CHECK(port_lock_robust(lock, false) == PORT_LOCK_DEAD);
	CHECK(port_lock_robust(lock, true) == PORT_LOCK_DEAD);
	port_posix_shared_free(lock, sizeof(PortLock));
}

TEST(waits_end_by_broadcast)
{
	Shared *s = make_shared();
	pid_t pids[3];
	unsigned i;

	for (i = 0; i < 3; i++)
	{
		pids[i] = fork();
		if (pids[i] == 0)
		{
			unsigned round;

			/* Ping-pong: even states are the parent's turn to wait for all three. */
			for (round = 0; round < 200; round++)
			{
				port_cond_prepare(&s->cond);
				while (port_load_acquire(&s->state) <= round)
				{
					if (port_cond_wait(&s->cond, -1) != NVMKV_OK)
						_exit(1);
				}
				port_cond_finish(&s->cond);
				(void) port_fetch_add(&s->counter, 1);
				port_cond_broadcast(&s->cond);
			}
			_exit(0);
		}
	}
	for (i = 0; i < 200; i++)
	{
		port_store_release(&s->state, i + 1);
		port_cond_broadcast(&s->cond);
		port_cond_prepare(&s->cond);
		while (port_load_acquire(&s->counter) < 3 * (uint64_t) (i + 1))
			CHECK_OK(port_cond_wait(&s->cond, -1));
		port_cond_finish(&s->cond);
	}
	for (i = 0; i < 3; i++)
		CHECK_EQ(wait_child(pids[i]), 0);
	port_posix_shared_free(s, sizeof(*s));
}

TEST(waits_end_by_time_and_interrupt)
{
	Shared *s = make_shared();
	uint64_t start = port_now_us();

	port_cond_prepare(&s->cond);
	CHECK_OK(port_cond_wait(&s->cond, 20));
	CHECK(port_now_us() - start >= 20000);
	CHECK(!port_interrupted());
	port_posix_set_interrupted(true);
	CHECK(port_interrupted());
	CHECK_STATUS(port_cond_wait(&s->cond, -1), NVMKV_CANCELLED);
	port_posix_set_interrupted(false);
	port_cond_finish(&s->cond);

	/* Not prepared: prepares, and asks the caller to test again. */
	CHECK_OK(port_cond_wait(&s->cond, -1));
	CHECK_OK(port_cond_wait(&s->cond, 1));
	port_cond_finish(&s->cond);
	port_posix_shared_free(s, sizeof(*s));
}

TEST(killed_waiter_does_not_hang_others)
{
	Shared *s = make_shared();
	unsigned round;

	for (round = 0; round < 20; round++)
	{
		pid_t pid = fork();

		if (pid == 0)
		{
			port_cond_prepare(&s->cond);
			port_store_release(&s->state, 1);
			for (;;)
				(void) port_cond_wait(&s->cond, -1);
		}
		while (port_load_acquire(&s->state) == 0)
			sched_yield();
		if (round % 2 == 0)
			port_cond_broadcast(&s->cond);
		kill(pid, SIGKILL);
		CHECK_EQ(wait_child(pid), -SIGKILL);
		port_store_release(&s->state, 0);
		port_cond_broadcast(&s->cond);
	}
	port_posix_shared_free(s, sizeof(*s));
}

TEST(slots_and_clocks)
{
	uint64_t before;

	CHECK_EQ(port_process_slot(), 0);
	port_posix_set_slot(5);
	CHECK_EQ(port_process_slot(), 5);
	port_posix_set_slot(0);
	before = port_now_us();
	port_sleep_us(2000);
	CHECK(port_now_us() - before >= 2000);
	CHECK(port_clock_us() > UINT64_C(1600000000) * 1000000);
	CHECK(port_fd_acquire());
	port_fd_release();
	port_log(PORT_LOG_WARNING, "not enabled, not shown: %d", 1);
}

static NvmkvStatus
refuse_memory(const char *point)
{
	return strcmp(point, "port.alloc") == 0 ? NVMKV_NO_MEMORY : NVMKV_OK;
}

TEST(memory)
{
	uint8_t *p = port_alloc(0);
	uint8_t *z = port_alloc_zero(100);
	unsigned i;

	CHECK(p != NULL && z != NULL);
	for (i = 0; i < 100; i++)
		CHECK(z[i] == 0);
	p = port_realloc(p, 1000);
	CHECK(p != NULL);
	port_fault_hook = refuse_memory;
	CHECK(port_alloc(1) == NULL && port_alloc_zero(1) == NULL && port_realloc(p, 2000) == NULL);
	port_fault_hook = NULL;
	port_free(p);
	port_free(z);
	port_free(NULL);
}

TEST(maps_read_what_was_written)
{
	static uint8_t data[3 * 4096 + 100];
	static uint8_t got[sizeof(data)];
	PortFileOps without = port_posix_files;
	PortMap early = {0};
	PortMap map = {0};
	PortFile *file;
	char dir[256];
	char path[300];
	size_t i;
	unsigned tries;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t) (i * 31 / 7);
	check_make_dir(dir, sizeof(dir));
	join_path(path, sizeof(path), dir, "file");
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	REQUIRE_OK(port_files->write(file, 0, data, sizeof(data)));

	/* Nobody would catch a lost page, and later nobody must look for one there. */
	CHECK(!port_map_open(&early, file, sizeof(data)));
	CHECK(early.base == NULL);
	port_map_close(&early);
	REQUIRE_OK(port_guard_install());
	without.map = NULL;
	port_files = &without;
	CHECK(!port_map_open(&map, file, sizeof(data)));
	port_files = &port_posix_files;
	REQUIRE(port_map_open(&map, file, sizeof(data)));

	/* A slow copy sends the next ones to calls, and not for ever. */
	for (tries = 0; tries < 100000 && !port_map_read(&map, 0, got, sizeof(got)); tries++)
		;
	CHECK(memcmp(data, got, sizeof(data)) == 0);
	CHECK(!port_map_read(&map, 1, got, sizeof(data)));
	CHECK(!port_map_read(&map, sizeof(data) + 1, got, 0));
	CHECK(!port_map_read(&map, UINT64_MAX, got, 2));

	/* What is cut off is not read as zeros. */
	REQUIRE_OK(port_files->truncate(file, 4096));
	for (tries = 0; tries < 1000; tries++)
		CHECK(!port_map_read(&map, 2 * 4096, got, 100));
	CHECK(port_guard_lost(&map.guard) > 0);
	port_map_close(&map);
	port_map_close(&map);
	port_files->close(file);
	REQUIRE_OK(port_files->unlink(path));
	check_remove_dir(dir);
}

/* ---- what the kernel is asked for (test/engine.mk wraps the calls) ---- */

extern int __real_fsync(int fd);
extern int __wrap_fsync(int fd);
extern int __real_fdatasync(int fd);
extern int __wrap_fdatasync(int fd);
extern ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
extern ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
extern ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
extern ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);

static ino_t synced[16]; /* files and directories, in order */
static unsigned nsynced;
static bool stutters; /* transfers are interrupted, and short */
static unsigned calls;

int
__wrap_fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && nsynced < 16)
		synced[nsynced++] = st.st_ino;
	return __real_fsync(fd);
}

int
__wrap_fdatasync(int fd)
{
	return __real_fdatasync(fd);
}

static bool
is_interrupted(size_t *size)
{
	if (!stutters)
		return false;
	if (calls++ % 2 == 0)
	{
		errno = EINTR;
		return true;
	}
	*size = *size > 3 ? 3 : *size;
	return false;
}

ssize_t
__wrap_pread(int fd, void *data, size_t size, off_t offset)
{
	return is_interrupted(&size) ? -1 : __real_pread(fd, data, size, offset);
}

ssize_t
__wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return is_interrupted(&size) ? -1 : __real_pwrite(fd, data, size, offset);
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

TEST(names_are_made_durable)
{
	char dir[256];
	char sub[300];
	char a[400];
	char b[400];
	PortFile *file;

	check_make_dir(dir, sizeof(dir));
	join_path(sub, sizeof(sub), dir, "sub");
	join_path(a, sizeof(a), sub, "a");
	join_path(b, sizeof(b), sub, "b");
	nsynced = 0;
	CHECK_OK(port_files->mkdir(sub));
	CHECK(nsynced == 1 && synced[0] == inode_of(dir));
	/* Whoever made it may have died before its sync. */
	CHECK_OK(port_files->mkdir(sub));
	CHECK(nsynced == 2 && synced[1] == inode_of(dir));
	REQUIRE_OK(port_files->open(a, PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	port_files->close(file);
	nsynced = 0;
	CHECK_OK(port_files->rename(a, b));
	CHECK(nsynced == 2 && synced[0] == inode_of(b) && synced[1] == inode_of(sub));
	check_remove_dir(dir);
}

TEST(transfers_go_on_after_short_ones)
{
	char dir[256];
	char path[300];
	char data[100];
	char got[100];
	PortFile *file;

	check_make_dir(dir, sizeof(dir));
	join_path(path, sizeof(path), dir, "f");
	check_random_bytes(data, sizeof(data));
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	stutters = true;
	calls = 0;
	CHECK_OK(port_files->write(file, 10, data, sizeof(data)));
	CHECK_OK(port_files->read(file, 10, got, sizeof(got)));
	stutters = false;
	CHECK(memcmp(data, got, sizeof(data)) == 0);
	port_files->close(file);
	check_remove_dir(dir);
}

static int
write_beyond_the_limit(const char *path)
{
	struct rlimit limit = {1000, 1000};
	PortFile *file;

	(void) signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0 ||
		port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE, &file) != NVMKV_OK)
		return 1;
	return port_files->write(file, 1000, "x", 1) == NVMKV_NO_SPACE ? 0 : 2;
}

/* It is lifted like a full disk is. */
TEST(limit_of_files_is_a_full_disk)
{
	char dir[256];
	char path[300];
	pid_t pid;

	check_make_dir(dir, sizeof(dir));
	join_path(path, sizeof(path), dir, "f");
	pid = fork();
	if (pid == 0)
		_exit(write_beyond_the_limit(path));
	CHECK_EQ(wait_child(pid), 0);
	check_remove_dir(dir);
}

TEST_MAIN()
