/*
 * epoch_test.c
 *	  Epochs, writer registration and the pool of memtable buffers: the rules
 *	  one by one, then under load in several processes, with one killed.
 */
#include "lib/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/base/filter.h"
#include "engine/mem/mempool.h"
#include "engine/port/port_posix.h"

#define SLOTS 8

static EpochShm *
make_epochs(void)
{
	EpochShm *shm = port_posix_shared_alloc(epoch_shm_bytes(SLOTS));

	if (shm == NULL)
		exit(2);
	epoch_init(shm, SLOTS);
	return shm;
}

static void
free_epochs(EpochShm *shm)
{
	port_posix_shared_free(shm, epoch_shm_bytes(SLOTS));
}

/* Waits for a child; true when it ended with status 0. */
static bool
child_is_fine(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
	{
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- epochs ---- */

TEST(reader_holds_back_what_was_reachable)
{
	EpochShm *shm = make_epochs();
	uint64_t before;
	uint64_t during;
	uint64_t after;

	before = epoch_retire_stamp(shm);
	CHECK(before > 0);
	CHECK(epoch_is_safe(shm, before));

	epoch_enter(shm, 3);
	CHECK(epoch_is_inside(shm, 3));
	CHECK(!epoch_is_inside(shm, 2));
	during = epoch_retire_stamp(shm);
	CHECK(during > before);
	CHECK(epoch_is_safe(shm, before));
	CHECK(!epoch_is_safe(shm, during));

	/* A later reader does not hold back what was unlinked before it came. */
	epoch_enter(shm, 4);
	after = epoch_retire_stamp(shm);
	epoch_leave(shm, 3);
	CHECK(epoch_is_safe(shm, during));
	CHECK(!epoch_is_safe(shm, after));
	epoch_leave(shm, 4);
	CHECK(epoch_is_safe(shm, after));
	CHECK(epoch_is_safe(shm, during));
	free_epochs(shm);
}

TEST(epochs_nest)
{
	EpochShm *shm = make_epochs();
	uint64_t stamp;

	epoch_enter(shm, 0);
	stamp = epoch_retire_stamp(shm);
	epoch_enter(shm, 0);
	epoch_leave(shm, 0);
	CHECK(epoch_is_inside(shm, 0));
	CHECK(!epoch_is_safe(shm, stamp));
	epoch_leave(shm, 0);
	CHECK(!epoch_is_inside(shm, 0));
	CHECK(epoch_is_safe(shm, stamp));
	free_epochs(shm);
}

TEST(abort_clears_the_slot)
{
	EpochShm *shm = make_epochs();
	uint64_t stamp;

	epoch_enter(shm, 5);
	epoch_enter(shm, 5);
	epoch_writing_begin(shm, 5, 2);
	stamp = epoch_retire_stamp(shm);
	CHECK(!epoch_is_safe(shm, stamp));
	CHECK(!epoch_buffer_is_quiet(shm, 2));
	epoch_abort_cleanup(shm, 5);
	CHECK(epoch_is_safe(shm, stamp));
	CHECK(epoch_buffer_is_quiet(shm, 2));
	/* Nothing is left over for the next call. */
	epoch_enter(shm, 5);
	epoch_leave(shm, 5);
	CHECK(!epoch_is_inside(shm, 5));
	epoch_abort_cleanup(shm, 5);
	free_epochs(shm);
}

TEST(writers_are_known_by_buffer)
{
	EpochShm *shm = make_epochs();

	CHECK(epoch_writers_are_quiet(shm));
	epoch_writing_begin(shm, 1, 0);
	epoch_writing_begin(shm, 2, 14);
	CHECK(epoch_is_writing(shm, 1));
	CHECK(!epoch_is_writing(shm, 0));
	CHECK(!epoch_buffer_is_quiet(shm, 0));
	CHECK(epoch_buffer_is_quiet(shm, 1));
	CHECK(!epoch_buffer_is_quiet(shm, 14));
	epoch_writing_end(shm, 1);
	CHECK(epoch_buffer_is_quiet(shm, 0));
	CHECK(!epoch_writers_are_quiet(shm));
	epoch_writing_end(shm, 2);
	CHECK(epoch_writers_are_quiet(shm));
	free_epochs(shm);
}

/*
 * Memory is not reused under a reader.  "current" names the cell that is linked; the reclaimer links another one
 * and scribbles over the old one in the very moment its stamp is safe.  A reader must find its cell unchanged for
 * as long as it stays inside.  There are many cells, so that a reader that loses the processor inside holds the
 * reclaimer back no longer than it must.
 */
#define CELLS 64
#define CELL_WORDS 16

typedef struct Arena
{
	_Alignas(64) uint32_t current;
	_Alignas(64) uint32_t stop;
	_Alignas(64) uint32_t torn; /* words that readers saw being reused */
	uint64_t looks;
	_Alignas(64) uint64_t cell[CELLS][CELL_WORDS];
} Arena;

typedef struct ArenaUser
{
	Arena *arena;
	EpochShm *shm;
	int slot;
	bool careless; /* looks without an epoch */
} ArenaUser;

static void
fill_cell(Arena *arena, unsigned cell, uint64_t value)
{
	unsigned i;

	for (i = 0; i < CELL_WORDS; i++)
		port_store_relaxed(&arena->cell[cell][i], value);
}

static void
look(const ArenaUser *user)
{
	Arena *arena = user->arena;
	uint32_t cell;
	uint64_t value;
	unsigned pass;
	unsigned i;

	if (!user->careless)
		epoch_enter(user->shm, user->slot);
	cell = port_load_acquire(&arena->current);
	value = port_load_relaxed(&arena->cell[cell][0]);
	for (pass = 0; pass < 8; pass++)
	{
		for (i = 0; i < CELL_WORDS; i++)
		{
			if (port_load_relaxed(&arena->cell[cell][i]) != value)
				port_count(&arena->torn, 1);
		}
		if (pass == 3 && value % 16 == 0)
			sched_yield();
	}
	if (!user->careless)
		epoch_leave(user->shm, user->slot);
	port_count(&arena->looks, 1);
}

static void *
look_thread(void *p)
{
	const ArenaUser *user = p;

	while (port_load_relaxed(&user->arena->stop) == 0)
		look(user);
	return NULL;
}

static void
reuse_cells(Arena *arena, EpochShm *shm, unsigned rounds, bool careless)
{
	uint64_t stamp[CELLS] = {0}; /* not 0: unlinked, may be in use by readers */
	unsigned i;

	for (i = 0; i < rounds; i++)
	{
		uint32_t old = port_load_relaxed(&arena->current);
		uint32_t next = (old + 1) % CELLS;

		while (stamp[next] != 0 && !epoch_is_safe(shm, stamp[next]))
		{
			next = (next + 1) % CELLS;
			if (next == old)
			{
				sched_yield();
				next = (old + 1) % CELLS;
			}
		}
		fill_cell(arena, next, i + 1);
		stamp[next] = 0;
		port_store_release(&arena->current, next);
		stamp[old] = epoch_retire_stamp(shm);
		if (careless || epoch_is_safe(shm, stamp[old]))
		{
			fill_cell(arena, old, UINT64_MAX);
			stamp[old] = 0;
		}
	}
}

#define READERS 3

TEST(no_reuse_under_readers_in_processes)
{
	EpochShm *shm = make_epochs();
	Arena *arena = port_posix_shared_alloc(sizeof(Arena));
	pid_t pid[READERS];
	int i;

	REQUIRE(arena != NULL);
	fflush(stdout);
	for (i = 0; i < READERS; i++)
	{
		pid[i] = fork();
		if (pid[i] == 0)
		{
			ArenaUser user = {arena, shm, i, false};

			(void) look_thread(&user);
			_exit(0);
		}
		REQUIRE(pid[i] > 0);
	}
	reuse_cells(arena, shm, 100000, false);
	/* At least some looks must have been among the switches. */
	while (port_load_relaxed(&arena->looks) < 1000)
		sched_yield();
	port_store_relaxed(&arena->stop, 1);
	for (i = 0; i < READERS; i++)
		CHECK(child_is_fine(pid[i]));
	CHECK_EQ(arena->torn, 0);
	port_posix_shared_free(arena, sizeof(Arena));
	free_epochs(shm);
}

TEST(no_reuse_under_readers_in_threads)
{
	EpochShm *shm = make_epochs();
	Arena *arena = port_posix_shared_alloc(sizeof(Arena));
	ArenaUser user[READERS];
	pthread_t thread[READERS];
	int i;

	REQUIRE(arena != NULL);
	for (i = 0; i < READERS; i++)
	{
		user[i] = (ArenaUser){arena, shm, i, false};
		REQUIRE(pthread_create(&thread[i], NULL, look_thread, &user[i]) == 0);
	}
	reuse_cells(arena, shm, 20000, false);
	while (port_load_relaxed(&arena->looks) < 1000)
		sched_yield();
	port_store_relaxed(&arena->stop, 1);
	for (i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	CHECK_EQ(arena->torn, 0);
	port_posix_shared_free(arena, sizeof(Arena));
	free_epochs(shm);
}

/* The test above can fail: without epochs reuse is seen. */
TEST(reuse_without_epochs_is_noticed)
{
	EpochShm *shm = make_epochs();
	Arena *arena = port_posix_shared_alloc(sizeof(Arena));
	ArenaUser user = {arena, shm, 0, true};
	pid_t pid;

	REQUIRE(arena != NULL);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		(void) look_thread(&user);
		_exit(0);
	}
	REQUIRE(pid > 0);
	while (port_load_relaxed(&arena->torn) == 0)
		reuse_cells(arena, shm, 100, true);
	port_store_relaxed(&arena->stop, 1);
	CHECK(child_is_fine(pid));
	port_posix_shared_free(arena, sizeof(Arena));
	free_epochs(shm);
}

/*
 * The moment of entering.  Two threads start together: one publishes its slot and then reads a link, the other
 * changes the link and then looks at the slots.  Never may the first have read the old link while the second found
 * nobody.
 */
#define MEETINGS 30000

typedef struct Meeting
{
	EpochShm *shm;
	_Alignas(64) uint64_t arrived; /* at the start and at the end of each round, by both */
	_Alignas(64) uint64_t link;
	uint64_t read;
} Meeting;

static void
meet(Meeting *m, uint64_t *goal)
{
	unsigned spins = 0;

	*goal += 2;
	(void) port_fetch_add(&m->arrived, 1);
	while (port_load_seq(&m->arrived) < *goal)
	{
		if (++spins % 4096 == 0)
			sched_yield();
	}
}

static void *
entering_thread(void *p)
{
	Meeting *m = p;
	uint64_t goal = 0;
	uint64_t i;

	for (i = 1; i <= MEETINGS; i++)
	{
		bool reader = i % 2 == 0;

		meet(m, &goal);
		if (reader)
			epoch_enter(m->shm, 0);
		else
			epoch_writing_begin(m->shm, 0, 7);
		port_store_relaxed(&m->read, port_load_seq(&m->link));
		meet(m, &goal);
		if (reader)
			epoch_leave(m->shm, 0);
		else
			epoch_writing_end(m->shm, 0);
	}
	return NULL;
}

TEST(entering_is_seen_or_sees)
{
	Meeting *m = port_posix_shared_alloc(sizeof(Meeting));
	uint64_t goal = 0;
	uint64_t missed = 0;
	uint64_t i;
	pthread_t thread;

	REQUIRE(m != NULL);
	m->shm = make_epochs();
	REQUIRE(pthread_create(&thread, NULL, entering_thread, m) == 0);
	for (i = 1; i <= MEETINGS; i++)
	{
		bool nobody;

		meet(m, &goal);
		port_store_seq(&m->link, i);
		nobody = i % 2 == 0 ? epoch_is_safe(m->shm, epoch_retire_stamp(m->shm)) : epoch_buffer_is_quiet(m->shm, 7);
		meet(m, &goal);
		if (nobody && port_load_relaxed(&m->read) < i)
			missed++;
	}
	pthread_join(thread, NULL);
	CHECK_EQ(missed, 0);
	free_epochs(m->shm);
	port_posix_shared_free(m, sizeof(Meeting));
}

/* ---- the pool ---- */

/* A log that is a counter: a record's place is also the sequence of its only entry. */
static uint64_t
counter_position(void *ctx)
{
	return port_load_seq((uint64_t *) ctx);
}

typedef struct Bench
{
	EpochShm *epochs;
	MemPoolShm *shm;
	size_t pool_bytes;
	uint64_t *counter; /* shared */
	NvmkvLogOps log;
	MemPool pool;
} Bench;

static unsigned wakes;

static void
count_wake(void)
{
	wakes++;
}

static void
make_pool(Bench *b, unsigned buffers, uint64_t buffer_bytes)
{
	b->epochs = make_epochs();
	b->pool_bytes = mempool_shm_bytes(buffers, buffer_bytes);
	b->shm = port_posix_shared_alloc(b->pool_bytes);
	b->counter = port_posix_shared_alloc(sizeof(uint64_t));
	if (b->shm == NULL || b->counter == NULL)
		exit(2);
	*b->counter = 100;
	b->log = (NvmkvLogOps){.ctx = b->counter, .position = counter_position};
	mempool_init(b->shm, buffers, buffer_bytes, 50);
	mempool_attach(&b->pool, b->shm, b->epochs, &b->log);
	mempool_open_gate(&b->pool);
}

static void
free_pool(Bench *b)
{
	port_posix_shared_free(b->counter, sizeof(uint64_t));
	port_posix_shared_free(b->shm, b->pool_bytes);
	free_epochs(b->epochs);
}

#define VALUE_BYTES 100

/* Logs and inserts one entry into room that was taken. */
static uint64_t
append_and_insert(Bench *b, MemRoom *room, uint64_t id)
{
	uint64_t sequence = port_fetch_add(b->counter, 1);
	uint8_t key[16];
	uint8_t value[VALUE_BYTES];

	put_be64(key, 9);
	put_be64(key + 8, id);
	memset(value, (int) (id & 0xff), sizeof(value));
	memtable_insert(room->memtable, &room->room,
					&(MemtableEntry){nvmkv_slice(key, 16), ikey_tag(sequence, NVMKV_TYPE_VALUE),
									 nvmkv_slice(value, sizeof(value))},
					1);
	return sequence;
}

static NvmkvStatus
write_one(Bench *b, int slot, uint64_t id)
{
	MemRoom room;

	NVMKV_RETURN_IF(mempool_write_begin(&b->pool, slot, memtable_entry_bytes_max(16, VALUE_BYTES), &room));
	(void) append_and_insert(b, &room, id);
	mempool_write_end(&b->pool, slot, &room);
	return NVMKV_OK;
}

/* How often the key is in the live memtables, looked up as a reader would. */
static unsigned
copies_of(Bench *b, int slot, uint64_t id)
{
	MemList list;
	unsigned copies = 0;
	unsigned i;
	uint8_t key[16];

	put_be64(key, 9);
	put_be64(key + 8, id);
	epoch_enter(b->epochs, slot);
	mempool_list(&b->pool, &list);
	for (i = 0; i < list.count; i++)
	{
		MemtableIter it;

		memtable_iter_init(&it, list.memtable[i]);
		it.base.ops->seek(&it.base, nvmkv_slice(key, 16), NVMKV_TAG_MAX);
		copies += it.base.valid && slice_equal(it.base.key, nvmkv_slice(key, 16));
	}
	epoch_leave(b->epochs, slot);
	return copies;
}

static MemBufferState
state_of(Bench *b, unsigned buffer)
{
	MemBufferStats stats;

	mempool_buffer_stats(&b->pool, buffer, &stats);
	return stats.state;
}

TEST(life_of_buffers)
{
	Bench b;
	MemPoolStats stats;
	MemList list;
	MemtableShm *mt;
	unsigned buffer;
	unsigned first;
	uint64_t id = 0;
	uint64_t switched_at[2];
	uint64_t super;
	MemBufferStats active;

	make_pool(&b, 3, 1 << 17);
	b.pool.wake = count_wake;
	wakes = 0;
	CHECK_EQ(mempool_durable_seq(&b.pool), 50);
	CHECK_STATUS(mempool_oldest_immutable(&b.pool, &buffer, &mt), NVMKV_NOT_FOUND);
	super = mempool_super_version(&b.pool);

	/* Fill until nothing is free. */
	for (;;)
	{
		NvmkvStatus status = write_one(&b, 0, id);

		if (status == NVMKV_BUSY)
			break;
		REQUIRE_OK(status);
		id++;
	}
	mempool_stats(&b.pool, &stats);
	CHECK_EQ(stats.buffers, 3);
	CHECK_EQ(stats.live, 3);
	CHECK_EQ(stats.free, 0);
	CHECK_EQ(stats.switches, 2);
	CHECK_EQ(wakes, 2);
	CHECK(mempool_super_version(&b.pool) > super);
	CHECK(!epoch_is_writing(b.epochs, 0));
	CHECK_STATUS(mempool_switch(&b.pool, 0), NVMKV_BUSY);
	CHECK_STATUS(mempool_wait_room(&b.pool, 0, memtable_entry_bytes_max(16, VALUE_BYTES), 0), NVMKV_BUSY);
	CHECK_STATUS(mempool_wait_room(&b.pool, 0, 2000, 1), NVMKV_BUSY);
	mempool_stats(&b.pool, &stats);
	CHECK_EQ(stats.stalls, 2);

	mempool_list(&b.pool, &list);
	REQUIRE(list.count == 3);
	CHECK_EQ(state_of(&b, list.buffer[0]), MEM_BUFFER_ACTIVE);
	CHECK_EQ(state_of(&b, list.buffer[1]), MEM_BUFFER_IMMUTABLE);
	CHECK_EQ(state_of(&b, list.buffer[2]), MEM_BUFFER_IMMUTABLE);
	mempool_buffer_stats(&b.pool, list.buffer[1], &active);
	switched_at[0] = active.start_seq;
	CHECK_EQ(active.first_sequence, switched_at[0]);
	mempool_buffer_stats(&b.pool, list.buffer[0], &active);
	switched_at[1] = active.start_seq;
	CHECK_EQ(active.generation, 3);

	/* The oldest is flushed first; a reader inside keeps it from being used again. */
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &first, &mt));
	CHECK_EQ(first, list.buffer[2]);
	CHECK_EQ(mempool_durable_after(&b.pool, first), switched_at[0]);
	epoch_enter(b.epochs, 7);
	CHECK_EQ(mempool_flushed(&b.pool, 1, first), switched_at[0]);
	CHECK_EQ(mempool_durable_seq(&b.pool), switched_at[0]);
	CHECK_EQ(state_of(&b, first), MEM_BUFFER_FLUSHED);
	CHECK_STATUS(write_one(&b, 0, id), NVMKV_BUSY);
	CHECK_EQ(mempool_reclaim(&b.pool, 1), 1);
	CHECK_EQ(copies_of(&b, 0, 0), 0);
	CHECK_EQ(copies_of(&b, 0, id - 1), 1);
	epoch_leave(b.epochs, 7);

	/* The writer itself finds that it may be used again. */
	CHECK_OK(mempool_wait_room(&b.pool, 0, 100, 0));
	CHECK_OK(write_one(&b, 0, id));
	CHECK_EQ(copies_of(&b, 0, id), 1);
	mempool_list(&b.pool, &list);
	CHECK_EQ(list.count, 3);
	CHECK_EQ(list.buffer[0], first);
	CHECK_EQ(memtable_entries(list.memtable[0]), 1);

	/* The rest. */
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
	CHECK_EQ(mempool_flushed(&b.pool, 1, buffer), switched_at[1]);
	CHECK_OK(mempool_switch(&b.pool, 0));
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
	(void) mempool_flushed(&b.pool, 1, buffer);
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
	CHECK_EQ(buffer, first);
	CHECK_EQ(mempool_flushed(&b.pool, 1, buffer), *b.counter);
	CHECK_STATUS(mempool_oldest_immutable(&b.pool, &buffer, &mt), NVMKV_NOT_FOUND);
	mempool_stats(&b.pool, &stats);
	CHECK_EQ(stats.live, 1);
	CHECK_EQ(stats.free, 2);
	free_pool(&b);
}

/* The two races of the protocol, played out step by step. */
static Bench *race_bench;
static bool race_armed;

static NvmkvStatus
switch_before_registration(const char *point)
{
	if (race_armed && strcmp(point, "mempool.register") == 0)
	{
		MemtableShm *mt;
		unsigned buffer;

		race_armed = false;
		CHECK_OK(write_one(race_bench, 1, 1000));
		CHECK_OK(mempool_switch(&race_bench->pool, 1));
		CHECK_OK(mempool_oldest_immutable(&race_bench->pool, &buffer, &mt));
		(void) mempool_flushed(&race_bench->pool, 1, buffer);
	}
	return NVMKV_OK;
}

TEST(writer_notices_a_switch_before_it_registered)
{
	Bench b;
	MemList list;

	make_pool(&b, 2, 1 << 17);
	race_bench = &b;
	race_armed = true;
	port_fault_hook = switch_before_registration;
	CHECK_OK(write_one(&b, 0, 1));
	port_fault_hook = NULL;
	CHECK(!race_armed);
	mempool_list(&b.pool, &list);
	CHECK_EQ(list.count, 1);
	CHECK_EQ(memtable_entries(list.memtable[0]), 1);
	CHECK_EQ(copies_of(&b, 0, 1), 1);
	CHECK_EQ(copies_of(&b, 0, 1000), 0);
	free_pool(&b);
}

static unsigned newest_at_position;
static uint64_t super_at_position[2];

static uint64_t
position_looks_at_the_list(void *ctx)
{
	MemList list;

	mempool_list(&race_bench->pool, &list);
	newest_at_position = list.buffer[0];
	super_at_position[0] = mempool_super_version(&race_bench->pool);
	super_at_position[1] = mempool_super_version(&race_bench->pool);
	return counter_position(ctx);
}

TEST(position_is_read_before_the_switch_shows)
{
	Bench b;
	MemList list;
	uint64_t super;

	make_pool(&b, 2, 1 << 17);
	race_bench = &b;
	super = mempool_super_version(&b.pool);
	CHECK_EQ(mempool_super_version(&b.pool), super);
	b.log.position = position_looks_at_the_list;
	CHECK_OK(write_one(&b, 0, 1));
	newest_at_position = 99;
	CHECK_OK(mempool_switch(&b.pool, 0));
	mempool_list(&b.pool, &list);
	CHECK_EQ(newest_at_position, 0);
	CHECK_EQ(list.buffer[0], 1);
	/* During the switch no number lasts; before and after it does. */
	CHECK(super_at_position[0] != super_at_position[1]);
	CHECK(super_at_position[0] != super && super_at_position[1] != super);
	super = mempool_super_version(&b.pool);
	CHECK(super != super_at_position[0] && super != super_at_position[1]);
	CHECK_EQ(mempool_super_version(&b.pool), super);
	mempool_bump(&b.pool);
	CHECK(mempool_super_version(&b.pool) != super);
	free_pool(&b);
}

TEST(switch_of_an_empty_buffer_moves_its_start)
{
	Bench b;
	MemRoom room;
	MemtableShm *mt;
	MemPoolStats stats;
	unsigned buffer;

	make_pool(&b, 2, 1 << 17);
	CHECK_OK(mempool_switch(&b.pool, 0));
	CHECK_EQ(mempool_durable_seq(&b.pool), 100);

	/* Somebody is inside and may have logged already: then it has to be a real switch. */
	REQUIRE_OK(mempool_write_begin(&b.pool, 1, 500, &room));
	CHECK_OK(mempool_switch(&b.pool, 0));
	mempool_stats(&b.pool, &stats);
	CHECK_EQ(stats.live, 2);
	CHECK_EQ(mempool_durable_seq(&b.pool), 100);
	CHECK_STATUS(mempool_oldest_immutable(&b.pool, &buffer, &mt), NVMKV_BUSY);
	(void) append_and_insert(&b, &room, 1);
	b.pool.wake = count_wake;
	wakes = 0;
	mempool_write_end(&b.pool, 1, &room);
	CHECK_EQ(wakes, 1);
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
	CHECK_EQ(memtable_entries(mt), 1);
	(void) mempool_flushed(&b.pool, 0, buffer);
	/* Its record started at the new buffer's start or above, and is flushed nevertheless. */
	CHECK_EQ(mempool_durable_seq(&b.pool), 100);
	CHECK_OK(mempool_switch(&b.pool, 0));
	CHECK_EQ(mempool_durable_seq(&b.pool), 101);
	free_pool(&b);
}

TEST(gate_and_limits)
{
	Bench b;
	MemRoom room;
	size_t max;

	make_pool(&b, 2, 1 << 17);
	max = mempool_batch_bytes_max(&b.pool);
	CHECK_STATUS(mempool_write_begin(&b.pool, 0, max + 1, &room), NVMKV_LIMIT);
	CHECK_STATUS(mempool_wait_room(&b.pool, 0, max + 1, 0), NVMKV_LIMIT);
	CHECK_OK(write_one(&b, 0, 1));
	/* As large as can be: needs a buffer for itself. */
	REQUIRE_OK(mempool_write_begin(&b.pool, 0, max, &room));
	CHECK(!mempool_writers_are_quiet(&b.pool));
	mempool_close_gate(&b.pool);
	CHECK_STATUS(write_one(&b, 1, 2), NVMKV_READ_ONLY);
	CHECK_STATUS(mempool_wait_room(&b.pool, 1, 10, -1), NVMKV_READ_ONLY);
	/* The one who was inside may finish. */
	(void) append_and_insert(&b, &room, 3);
	mempool_write_end(&b.pool, 0, &room);
	CHECK(mempool_writers_are_quiet(&b.pool));
	CHECK_EQ(copies_of(&b, 0, 3), 1);
	mempool_open_gate(&b.pool);
	CHECK_OK(write_one(&b, 1, 2));
	CHECK_EQ(copies_of(&b, 0, 2), 1);
	free_pool(&b);
}

TEST(all_fifteen_buffers)
{
	Bench b;
	MemList list;
	unsigned i;

	make_pool(&b, NVMKV_MEMTABLES_MAX, 1 << 16);
	for (i = 0; i < NVMKV_MEMTABLES_MAX; i++)
	{
		CHECK_OK(write_one(&b, 0, i));
		CHECK_STATUS(mempool_switch(&b.pool, 0), i + 1 < NVMKV_MEMTABLES_MAX ? NVMKV_OK : NVMKV_BUSY);
	}
	mempool_list(&b.pool, &list);
	REQUIRE(list.count == NVMKV_MEMTABLES_MAX);
	for (i = 0; i < list.count; i++)
	{
		CHECK_EQ(list.buffer[i], NVMKV_MEMTABLES_MAX - 1 - i);
		CHECK_EQ(memtable_entries(list.memtable[i]), 1);
	}
	for (i = 0; i + 1 < NVMKV_MEMTABLES_MAX; i++)
	{
		MemtableShm *mt;
		unsigned buffer;

		REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
		CHECK_EQ(buffer, i);
		(void) mempool_flushed(&b.pool, 0, buffer);
	}
	CHECK_EQ(copies_of(&b, 0, NVMKV_MEMTABLES_MAX - 1), 1);
	free_pool(&b);
}

TEST(dead_writer_is_cleaned_up)
{
	Bench b;
	MemtableShm *mt;
	unsigned buffer;
	int status;
	pid_t pid;

	make_pool(&b, 2, 1 << 17);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
	{
		MemRoom room;

		if (mempool_write_begin(&b.pool, 3, 1000, &room) != NVMKV_OK)
			_exit(1);
		epoch_enter(b.epochs, 3);
		(void) append_and_insert(&b, &room, 11);
		raise(SIGKILL);
	}
	REQUIRE(pid > 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	CHECK(WIFSIGNALED(status));
	CHECK_OK(write_one(&b, 0, 12));
	CHECK_OK(mempool_switch(&b.pool, 0));
	CHECK_STATUS(mempool_oldest_immutable(&b.pool, &buffer, &mt), NVMKV_BUSY);
	b.pool.wake = count_wake;
	wakes = 0;
	mempool_abort_cleanup(&b.pool, 3);
	CHECK_EQ(wakes, 1);
	REQUIRE_OK(mempool_oldest_immutable(&b.pool, &buffer, &mt));
	CHECK_EQ(copies_of(&b, 0, 11), 1);
	CHECK_EQ(copies_of(&b, 0, 12), 1);
	(void) mempool_flushed(&b.pool, 0, buffer);
	CHECK_EQ(state_of(&b, buffer), MEM_BUFFER_FREE);
	free_pool(&b);
}

/*
 * Everything at once: writers that wait for room, a flusher, readers.
 *
 * The flusher marks what it flushed in "rows" before it unlinks a memtable, and then checks the promise of
 * durable_seq: every record below it is marked.  A reader picks an entry some writer has acknowledged and must find
 * it in a memtable or marked.
 */
#define LOAD_WRITERS 3
#define LOAD_READERS 2
#define LOAD_ENTRIES 12000
#define FLUSHER_SLOT 6
#define LOAD_SEQUENCES (100 + LOAD_WRITERS * LOAD_ENTRIES + 1)

typedef struct Load
{
	Bench b;
	_Alignas(64) uint64_t acked[LOAD_WRITERS]; /* entries written so far; in shared memory */
	uint32_t writers_done;
	uint32_t failures;
	uint64_t looks;
	uint8_t row_by_sequence[LOAD_SEQUENCES];
	uint8_t row_by_id[LOAD_WRITERS * LOAD_ENTRIES];
} Load;

#define LOAD_CHECK(load, cond) \
	do \
	{ \
		if (!(cond)) \
		{ \
			port_count(&(load)->failures, 1); \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond); \
		} \
	} while (0)

static void
load_write(Load *load, unsigned w)
{
	Bench *b = &load->b;
	int slot = (int) w;
	uint64_t i = 0;

	while (i < LOAD_ENTRIES)
	{
		uint64_t batch = 1 + i % 5;
		size_t bytes;
		uint64_t j;
		MemRoom room;
		NvmkvStatus status;

		if (batch > LOAD_ENTRIES - i)
			batch = LOAD_ENTRIES - i;
		bytes = batch * memtable_entry_bytes_max(16, VALUE_BYTES);
		while ((status = mempool_write_begin(&b->pool, slot, bytes, &room)) == NVMKV_BUSY)
		{
			status = mempool_wait_room(&b->pool, slot, bytes, 10000);
			LOAD_CHECK(load, status == NVMKV_OK);
		}
		LOAD_CHECK(load, status == NVMKV_OK);
		for (j = 0; j < batch; j++)
			(void) append_and_insert(b, &room, w * LOAD_ENTRIES + i + j);
		mempool_write_end(&b->pool, slot, &room);
		i += batch;
		port_store_seq(&load->acked[w], i);
		/* However busy the machine is: readers see the second half. */
		while (i > LOAD_ENTRIES / 2 && port_load_relaxed(&load->looks) == 0)
			sched_yield();
	}
	(void) port_fetch_add(&load->writers_done, 1);
}

static void
load_read(Load *load, unsigned r)
{
	Bench *b = &load->b;
	int slot = LOAD_WRITERS + (int) r;
	uint64_t random = r + 1;

	while (port_load_acquire(&load->writers_done) < LOAD_WRITERS)
	{
		unsigned w;
		uint64_t acked;
		uint64_t id;
		unsigned copies;

		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		w = (unsigned) (random >> 33) % LOAD_WRITERS;
		acked = port_load_seq(&load->acked[w]);
		if (acked == 0)
		{
			sched_yield();
			continue;
		}
		id = w * LOAD_ENTRIES + (random % 2 == 0 ? acked - 1 : (random >> 20) % acked);
		copies = copies_of(b, slot, id);
		LOAD_CHECK(load, copies <= 1);
		/* The list first, the rows second: as every reader has to. */
		LOAD_CHECK(load, copies == 1 || port_load_acquire(&load->row_by_id[id]) == 1);
		port_count(&load->looks, 1);
	}
}

/* One flush if there is one to do. */
static bool
load_flush(Load *load)
{
	Bench *b = &load->b;
	MemtableShm *mt;
	MemtableIter it;
	unsigned buffer;
	uint64_t durable;
	uint64_t after;
	uint64_t s;

	if (mempool_oldest_immutable(&b->pool, &buffer, &mt) != NVMKV_OK)
		return false;
	after = mempool_durable_after(&b->pool, buffer);
	memtable_iter_init(&it, mt);
	for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base))
	{
		uint64_t sequence = ikey_sequence(it.base.tag);
		uint64_t id = get_be64(it.base.key.data + 8);

		LOAD_CHECK(load, sequence < LOAD_SEQUENCES && load->row_by_sequence[sequence] == 0);
		LOAD_CHECK(load, it.base.payload.size == VALUE_BYTES && it.base.payload.data[VALUE_BYTES - 1] == (uint8_t) id);
		load->row_by_sequence[sequence] = 1;
		port_store_release(&load->row_by_id[id], 1);
	}
	durable = mempool_flushed(&b->pool, FLUSHER_SLOT, buffer);
	LOAD_CHECK(load, durable >= after);
	LOAD_CHECK(load, durable == mempool_durable_seq(&b->pool) || durable < mempool_durable_seq(&b->pool));
	for (s = 100; s < durable; s++)
		LOAD_CHECK(load, load->row_by_sequence[s] == 1);
	return true;
}

static Load *
make_load(unsigned buffers, uint64_t buffer_bytes)
{
	Load *load = port_posix_shared_alloc(sizeof(Load));

	if (load == NULL)
		exit(2);
	make_pool(&load->b, buffers, buffer_bytes);
	load->b.pool.log = &load->b.log;
	return load;
}

static void
finish_load(Load *load)
{
	uint64_t flushed = 0;
	uint64_t i;

	while (load_flush(load))
		;
	CHECK_OK(mempool_switch(&load->b.pool, FLUSHER_SLOT));
	CHECK(load_flush(load));
	for (i = 0; i < LOAD_WRITERS * LOAD_ENTRIES; i++)
		flushed += load->row_by_id[i];
	CHECK_EQ(flushed, LOAD_WRITERS * LOAD_ENTRIES);
	CHECK_EQ(mempool_durable_seq(&load->b.pool), *load->b.counter);
	CHECK_EQ(load->failures, 0);
	CHECK(load->looks > 0);
	free_pool(&load->b);
	port_posix_shared_free(load, sizeof(Load));
}

TEST(switches_under_load_in_processes)
{
	Load *load = make_load(3, 1 << 18);
	pid_t pid[LOAD_WRITERS + LOAD_READERS];
	unsigned flushes = 0;
	unsigned i;

	fflush(stdout);
	for (i = 0; i < LOAD_WRITERS + LOAD_READERS; i++)
	{
		pid[i] = fork();
		if (pid[i] == 0)
		{
			if (i < LOAD_WRITERS)
				load_write(load, i);
			else
				load_read(load, i - LOAD_WRITERS);
			_exit(0);
		}
		REQUIRE(pid[i] > 0);
	}
	while (port_load_acquire(&load->writers_done) < LOAD_WRITERS)
	{
		if (load_flush(load))
			flushes++;
		else
			port_sleep_us(100);
		/* A flush on demand now and then, also of nearly empty buffers. */
		if (flushes % 8 == 7)
			(void) mempool_switch(&load->b.pool, FLUSHER_SLOT);
	}
	for (i = 0; i < LOAD_WRITERS + LOAD_READERS; i++)
		CHECK(child_is_fine(pid[i]));
	CHECK(flushes > 5);
	finish_load(load);
}

typedef struct LoadThread
{
	Load *load;
	unsigned number;
} LoadThread;

static void *
load_thread(void *p)
{
	LoadThread *arg = p;

	if (arg->number < LOAD_WRITERS)
		load_write(arg->load, arg->number);
	else
		load_read(arg->load, arg->number - LOAD_WRITERS);
	return NULL;
}

TEST(switches_under_load_in_threads)
{
	Load *load = make_load(2, 1 << 19);
	pthread_t thread[LOAD_WRITERS + LOAD_READERS];
	LoadThread arg[LOAD_WRITERS + LOAD_READERS];
	unsigned i;

	for (i = 0; i < LOAD_WRITERS + LOAD_READERS; i++)
	{
		arg[i] = (LoadThread){load, i};
		REQUIRE(pthread_create(&thread[i], NULL, load_thread, &arg[i]) == 0);
	}
	while (port_load_acquire(&load->writers_done) < LOAD_WRITERS)
	{
		if (!load_flush(load))
			port_sleep_us(100);
	}
	for (i = 0; i < LOAD_WRITERS + LOAD_READERS; i++)
		pthread_join(thread[i], NULL);
	finish_load(load);
}

TEST(state_names)
{
	CHECK(strcmp(mempool_state_name(MEM_BUFFER_FREE), "free") == 0);
	CHECK(strcmp(mempool_state_name(MEM_BUFFER_ACTIVE), "active") == 0);
	CHECK(strcmp(mempool_state_name(MEM_BUFFER_IMMUTABLE), "immutable") == 0);
	CHECK(strcmp(mempool_state_name(MEM_BUFFER_FLUSHED), "flushed") == 0);
	CHECK(strcmp(mempool_state_name(MEM_BUFFER_CLEANING), "flushed") == 0);
}

TEST_MAIN()
