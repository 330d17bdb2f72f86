/*
 * order_test.c
 *	  The order of steps that others rely on: somebody comes in between, at the
 *	  one moment at which it matters.
 */
#include "lib/check.h"
#include "lib/rig.h"

#include <pthread.h>

#include "engine/job/column.h"
#include "engine/meta/manifest.h"
#include "engine/nvm/pool.h"
#include "engine/tree/tree.h"

/* ---- what is wrapped (test/engine.mk) ---- */

extern uint64_t __real_epoch_retire_stamp(EpochShm *shm);
extern uint64_t __wrap_epoch_retire_stamp(EpochShm *shm);
extern void __real_mempool_list(const MemPool *pool, MemList *out);
extern void __wrap_mempool_list(const MemPool *pool, MemList *out);

static void (*at_stamp)(void);
static void (*at_list)(void); /* once */

uint64_t
__wrap_epoch_retire_stamp(EpochShm *shm)
{
	if (at_stamp != NULL)
		at_stamp();
	return __real_epoch_retire_stamp(shm);
}

void
__wrap_mempool_list(const MemPool *pool, MemList *out)
{
	void (*call)(void) = at_list;

	at_list = NULL;
	if (call != NULL)
		call();
	__real_mempool_list(pool, out);
}

/* ---- versions ---- */

#define SLOTS 8
#define BUFFER_BYTES (1 << 17)
#define VERSION_BYTES 65536

static NvmkvStatus
no_flush(void *ctx, uint64_t sequence)
{
	(void) ctx;
	(void) sequence;
	return NVMKV_OK;
}

static uint64_t
no_position(void *ctx)
{
	(void) ctx;
	return 1;
}

static const NvmkvLogOps no_log = {NULL, NULL, no_flush, no_position};

typedef struct Set
{
	EpochShm *epochs;
	MemPoolShm *buffers;
	VersionSetShm *versions;
	MemPool mem;
	VersionSet set;
	char dir[256];
} Set;

static Set set;

static void
make_set(void)
{
	VersionsOpening opening = {.system_identifier = 1};
	bool fresh;

	port_files = &rig_quick_files;
	check_make_dir(set.dir, sizeof(set.dir));
	set.epochs = port_posix_shared_alloc(epoch_shm_bytes(SLOTS));
	set.buffers = port_posix_shared_alloc(mempool_shm_bytes(2, BUFFER_BYTES));
	set.versions = port_posix_shared_alloc(versions_shm_bytes(VERSION_BYTES));
	REQUIRE(set.epochs != NULL && set.buffers != NULL && set.versions != NULL);
	epoch_init(set.epochs, SLOTS);
	mempool_init(set.buffers, 2, BUFFER_BYTES, 1);
	mempool_attach(&set.mem, set.buffers, set.epochs, &no_log);
	versions_shm_init(set.versions, VERSION_BYTES);
	versions_attach(&set.set, set.versions, set.epochs, &set.mem, set.dir);
	REQUIRE_OK(versions_recover(&set.set, &opening, &fresh));
}

static void
free_set(void)
{
	port_posix_shared_free(set.epochs, epoch_shm_bytes(SLOTS));
	port_posix_shared_free(set.buffers, mempool_shm_bytes(2, BUFFER_BYTES));
	port_posix_shared_free(set.versions, versions_shm_bytes(VERSION_BYTES));
	check_remove_dir(set.dir);
	port_files = &port_posix_files;
}

static void
install_one(void)
{
	VersionEdit edit = {.has_next_row = true, .next_row = versions_current(&set.set)->next_row + 1};

	CHECK_OK(versions_install(&set.set, &edit));
}

static uint64_t number_before, super_before;
static unsigned stamps;

static void
look_at_version(void)
{
	stamps++;
	CHECK_EQ(versions_current(&set.set)->number, number_before + 1);
	CHECK(mempool_super_version(&set.mem) != super_before);
}

TEST(version_is_stamped_when_its_successor_shows)
{
	make_set();
	number_before = versions_current(&set.set)->number;
	super_before = mempool_super_version(&set.mem);
	stamps = 0;
	at_stamp = look_at_version;
	install_one();
	at_stamp = NULL;
	CHECK_EQ(stamps, 1);
	free_set();
}

TEST(version_stays_for_its_readers)
{
	const VersionImage *seen;
	uint64_t number;
	unsigned i;

	make_set();
	epoch_enter(set.epochs, 1);
	seen = versions_current(&set.set);
	number = seen->number;
	for (i = 0; i < VERSION_SLOTS - 1; i++)
	{
		install_one();
		CHECK_EQ(seen->number, number);
	}
	epoch_leave(set.epochs, 1);
	for (i = 0; i < 2 * VERSION_SLOTS; i++)
		install_one();
	CHECK_EQ(versions_current(&set.set)->number, number + 3 * VERSION_SLOTS - 1);
	free_set();
}

/* ---- memtables ---- */

static uint64_t position;

static uint64_t
position_now(void *ctx)
{
	(void) ctx;
	return position;
}

static NvmkvStatus
close_gate_before_registration(const char *point)
{
	if (strcmp(point, "mempool.register") == 0)
		mempool_close_gate(&set.mem);
	return NVMKV_OK;
}

/* Whoever closes the gate and finds nobody inside relies on it. */
TEST(writer_notices_a_gate_closed_before_it_registered)
{
	MemRoom room;

	make_set();
	mempool_open_gate(&set.mem);
	port_fault_hook = close_gate_before_registration;
	CHECK_STATUS(mempool_write_begin(&set.mem, 0, 100, &room), NVMKV_READ_ONLY);
	port_fault_hook = NULL;
	CHECK(mempool_writers_are_quiet(&set.mem));
	free_set();
}

static void
look_at_the_list(void)
{
	MemList list;

	mempool_list(&set.mem, &list);
	CHECK_EQ(list.count, 1);
	CHECK(mempool_super_version(&set.mem) != super_before);
	stamps++;
}

/* A reader who comes behind the stamp must not find the buffer, nor take a list that has it for good. */
TEST(flushed_buffer_is_stamped_when_it_is_unlinked)
{
	MemtableShm *mt;
	MemRoom room;
	unsigned buffer;

	make_set();
	mempool_open_gate(&set.mem);
	CHECK_OK(mempool_write_begin(&set.mem, 0, 1000, &room));
	/* Somebody is inside: it is a real switch, though it is empty yet. */
	CHECK_OK(mempool_switch(&set.mem, 1));
	CHECK_STATUS(mempool_oldest_immutable(&set.mem, &buffer, &mt), NVMKV_BUSY);
	memtable_insert(room.memtable, &room.room,
					&(MemtableEntry){nvmkv_slice("k", 1), ikey_tag(1, NVMKV_TYPE_VALUE), nvmkv_slice("v", 1)}, 1);
	mempool_write_end(&set.mem, 0, &room);
	REQUIRE_OK(mempool_oldest_immutable(&set.mem, &buffer, &mt));
	super_before = mempool_super_version(&set.mem);
	stamps = 0;
	at_stamp = look_at_the_list;
	(void) mempool_flushed(&set.mem, 0, buffer);
	at_stamp = NULL;
	CHECK_EQ(stamps, 1);
	free_set();
}

/* In recovery the log's position may still be below what had been flushed before. */
TEST(start_of_an_empty_buffer_never_goes_down)
{
	const NvmkvLogOps log = {NULL, NULL, no_flush, position_now};

	make_set();
	mempool_attach(&set.mem, set.buffers, set.epochs, &log);
	position = 100;
	CHECK_OK(mempool_switch(&set.mem, 0));
	CHECK_EQ(mempool_durable_seq(&set.mem), 100);
	position = 40;
	CHECK_OK(mempool_switch(&set.mem, 0));
	CHECK_EQ(mempool_durable_seq(&set.mem), 100);
	free_set();
}

/* ---- readers ---- */

static Rig rig;

static void
open_rig(void)
{
	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
}

static void
close_rig(void)
{
	port_fault_hook = NULL;
	rig_remove(&rig);
	port_files = &port_posix_files;
}

static void
flush_now(void)
{
	CHECK_OK(nvmkv_flush_all(rig.db));
}

/* What is flushed while a reader looks about is in the memtables he finds, or in the version he looks at after them. */
TEST(flush_beside_a_reader)
{
	NvmkvBuf value = {0};
	const NvmkvScanRow *rows;
	unsigned count;
	NvmkvScan *scan;

	open_rig();
	CHECK_OK(rig_put(rig.db, "a", "1"));
	at_list = flush_now;
	CHECK_OK(nvmkv_get(rig.db, rig_slice("a"), NULL, &value, NULL));
	CHECK(at_list == NULL);
	CHECK_OK(rig_put(rig.db, "b", "2"));
	REQUIRE_OK(nvmkv_scan_create(rig.db, &scan));
	CHECK_OK(nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), false, NULL));
	at_list = flush_now;
	CHECK_OK(nvmkv_scan_batch(scan, 10, 1000, &rows, &count));
	CHECK(at_list == NULL);
	CHECK_EQ(count, 2);
	nvmkv_scan_destroy(scan);
	nvmkv_buf_free(&value);
	close_rig();
}

/* ---- extents ---- */

#define VALUE_BYTES 900

static void
fill_row(unsigned keys)
{
	char value[VALUE_BYTES];
	unsigned i;

	memset(value, 'v', sizeof(value));
	for (i = 0; i < keys; i++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, nvmkv_slice(value, sizeof(value))));
	REQUIRE_OK(nvmkv_flush_all(rig.db));
}

/* Once: there is more as long as a reader is inside. */
static void
reclaim(void)
{
	bool did, more;

	CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more));
}

static void
on_problem(void *ctx, const char *where, const char *text)
{
	fprintf(stderr, "    %s: %s\n", where, text);
	(*(unsigned *) ctx)++;
}

static void
check_sound(void)
{
	unsigned problems = 0;

	CHECK_OK(nvmkv_check(rig.db, on_problem, &problems));
	CHECK_EQ(problems, 0);
}

TEST(extents_stay_for_their_readers)
{
	uint32_t all, left;
	bool did;

	open_rig();
	all = nvm_pool_free_count(rig.db->pool);
	fill_row(1000);
	left = nvm_pool_free_count(rig.db->pool);
	CHECK(left < all);
	epoch_enter(rig.db->epochs, 5);
	/* A step of two edits: versions, too, stay for the reader. */
	CHECK_OK(column_step(rig.db, true, &did));
	CHECK(did);
	reclaim();
	CHECK_EQ(nvm_pool_free_count(rig.db->pool), left);
	epoch_leave(rig.db->epochs, 5);
	reclaim();
	CHECK_EQ(nvm_pool_free_count(rig.db->pool), all);
	close_rig();
}

static bool column_installs;

static NvmkvStatus
fail_column(const char *point)
{
	if (strcmp(point, "column.before_install") == 0)
		column_installs = true;
	else if (column_installs && strcmp(point, "manifest.appended") == 0)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "wanted");
	return NVMKV_OK;
}

TEST(extents_stay_when_the_column_is_not_installed)
{
	uint32_t left;

	open_rig();
	fill_row(1000);
	left = nvm_pool_free_count(rig.db->pool);
	column_installs = false;
	port_fault_hook = fail_column;
	CHECK_STATUS(nvmkv_compact_all(rig.db), NVMKV_NO_SPACE);
	port_fault_hook = NULL;
	CHECK(column_installs);
	reclaim();
	CHECK_EQ(nvm_pool_free_count(rig.db->pool), left);
	check_sound();
	close_rig();
}

/* ---- a column that begins while the one before it is under way ---- */

static uint32_t second_at_turn;
static unsigned announced;
static pthread_t second;

static void *
run_second(void *ctx)
{
	NvmkvDb *db;
	bool did = false;

	(void) ctx;
	port_posix_set_slot(1);
	CHECK_OK(nvmkv_open_thread(rig.db, &db));
	CHECK_OK(column_step(db, true, &did));
	CHECK(did);
	nvmkv_close(db);
	return NULL;
}

/* The first, when it is announced, waits until the second has all but the turn. */
static NvmkvStatus
run_both(const char *point)
{
	unsigned i;

	if (strcmp(point, "column.before_turn") == 0 && port_process_slot() == 1)
		port_store_release(&second_at_turn, 1);
	if (strcmp(point, "column.announced") != 0 || announced++ > 0)
		return NVMKV_OK;
	CHECK(pthread_create(&second, NULL, run_second, NULL) == 0);
	for (i = 0; i < 100000 && port_load_acquire(&second_at_turn) == 0; i++)
		port_sleep_us(100);
	CHECK(second_at_turn == 1);
	return NVMKV_OK;
}

TEST(column_behind_another_gives_back_what_that_has_left)
{
	uint32_t all;
	bool did = false;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.write_buffer_bytes = 8 << 20;
	rig.options.nvm_bytes = 32 << 20;
	rig.options.target_file_bytes = 2 << 20; /* so that the first has extents to give back */
	REQUIRE_OK(rig_open(&rig));
	all = nvm_pool_free_count(rig.db->pool);
	fill_row(6000);
	CHECK(nvm_pool_free_count(rig.db->pool) + 4 < all);
	announced = 0;
	second_at_turn = 0;
	port_fault_hook = run_both;
	CHECK_OK(column_step(rig.db, true, &did));
	CHECK(did);
	CHECK(pthread_join(second, NULL) == 0);
	port_fault_hook = NULL;
	CHECK(announced == 2);
	reclaim();
	check_sound();
	CHECK_OK(nvmkv_compact_all(rig.db));
	reclaim();
	CHECK_EQ(nvm_pool_free_count(rig.db->pool), all);
	close_rig();
}

/* ---- the log ---- */

typedef struct HostLog
{
	uint64_t last, flushed;
	bool others_write; /* while it is flushed */
} HostLog;

static HostLog host;

static NvmkvStatus
host_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	(void) ctx;
	(void) batch;
	host.last += count;
	*last_sequence_out = host.last;
	return NVMKV_OK;
}

static NvmkvStatus
host_flush(void *ctx, uint64_t sequence)
{
	(void) ctx;
	(void) sequence;
	host.flushed = host.last;
	if (host.others_write)
	{
		host.others_write = false;
		host.last += 100;
		CHECK_OK(nvmkv_switch_memtable(rig.db));
	}
	return NVMKV_OK;
}

static uint64_t
host_position(void *ctx)
{
	(void) ctx;
	return host.last;
}

static void
open_host(void)
{
	NvmkvLogOps ops = {NULL, host_append, host_flush, host_position};

	memset(&host, 0, sizeof(host));
	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.standalone_log = false;
	rig.memory_bytes = nvmkv_shm_bytes(&rig.options);
	rig.memory = port_posix_shared_alloc(rig.memory_bytes);
	REQUIRE(rig.memory != NULL);
	REQUIRE_OK(nvmkv_open(rig.memory, rig.path, &rig.options, &ops, &rig.db));
	nvmkv_open_gate(rig.db);
}

TEST(tree_is_durable_no_further_than_the_log)
{
	open_host();
	CHECK_OK(rig_put(rig.db, "a", "1"));
	host.others_write = true;
	CHECK_OK(nvmkv_switch_memtable(rig.db));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_FLUSH));
	CHECK(!host.others_write && host.flushed < host.last);
	CHECK(versions_current(&rig.db->versions)->durable_seq <= host.flushed);
	close_rig();
}

/* ---- writers that are inside ---- */

static NvmkvStatus
count_entry(void *ctx, uint64_t sequence, NvmkvSlice batch)
{
	(void) sequence;
	(void) batch;
	++*(unsigned *) ctx;
	return NVMKV_OK;
}

/* Interrupted: who waits for a writer that does not end is cancelled, who does not wait is done. */
TEST(writers_inside_are_waited_for)
{
	unsigned entries = 0;

	open_host();
	CHECK_OK(rig_put(rig.db, "a", "1"));
	epoch_writing_begin(rig.db->epochs, 5, 0);
	port_posix_set_interrupted(true);
	CHECK_STATUS(nvmkv_unflushed(rig.db, 0, count_entry, &entries), NVMKV_CANCELLED);
	CHECK_STATUS(nvmkv_close_gate(rig.db), NVMKV_CANCELLED);
	port_posix_set_interrupted(false);
	epoch_writing_end(rig.db->epochs, 5);
	CHECK_OK(nvmkv_close_gate(rig.db));
	CHECK_EQ(entries, 0);
	CHECK_OK(nvmkv_unflushed(rig.db, 0, count_entry, &entries));
	CHECK_EQ(entries, 1);
	close_rig();
}

TEST_MAIN()
