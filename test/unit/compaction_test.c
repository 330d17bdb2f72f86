/*
 * compaction_test.c
 *	  Several compactions at once: disjointness, columns in order, what remains
 *	  when one of them fails or dies; compaction of a range; dropped storages.
 *
 * Two processes are led step by step: at a fault point a child stops, says where
 * it is, and goes on, fails or dies as it is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#include "engine/job/compaction.h"
#include "engine/tree/tree.h"
#include "engine/tree/running.h"
#include "engine/job/choice.h"
#include "lib/rig.h"

#include "lib/check.h"

#define KEYS 9000
#define VALUE_BYTES 1000

/* ---- contents ---- */

static NvmkvSlice
value_of(uint64_t key, unsigned version)
{
	static char text[VALUE_BYTES];

	memset(text, (int) ('a' + (key + version) % 26), sizeof(text));
	(void) snprintf(text, 40, "%" PRIu64 ".%u", key, version);
	return nvmkv_slice(text, sizeof(text));
}

static void
put_all(Rig *rig, unsigned version)
{
	uint64_t i;

	for (i = 0; i < KEYS; i++)
	{
		/* Not in order, so that every row has keys everywhere. */
		uint64_t key = i * 4099 % KEYS;

		REQUIRE_OK(rig_entry(rig->db, NVMKV_KIND_VALUE, rig_key(key), 0, 0, value_of(key, version)));
	}
	REQUIRE_OK(nvmkv_flush_all(rig->db));
}

static unsigned
wrong_keys(NvmkvDb *db, unsigned version)
{
	NvmkvBuf value = {0};
	unsigned wrong = 0;
	uint64_t key;

	for (key = 0; key < KEYS; key++)
		wrong += nvmkv_get(db, rig_key(key), NULL, &value, NULL) != NVMKV_OK ||
			!slice_equal(nvmkv_buf_slice(&value), value_of(key, version));
	nvmkv_buf_free(&value);
	return wrong;
}

static void
on_problem(void *ctx, const char *where, const char *text)
{
	fprintf(stderr, "    %s: %s\n", where, text);
	(*(unsigned *) ctx)++;
}

static void
check_sound(Rig *rig, unsigned version)
{
	unsigned problems = 0;

	CHECK_EQ(wrong_keys(rig->db, version), 0);
	CHECK_OK(nvmkv_check(rig->db, on_problem, &problems));
	CHECK_EQ(problems, 0);
}

static unsigned
sst_files(const Rig *rig)
{
	char command[700];
	unsigned n = 0;
	FILE *f;

	(void) snprintf(command, sizeof(command), "ls '%s' | grep -c sst", rig->path);
	f = popen(command, "r");
	CHECK(f != NULL && fscanf(f, "%u", &n) == 1);
	if (f != NULL)
		(void) pclose(f);
	return n;
}

static unsigned
running(NvmkvDb *db)
{
	unsigned n = 0;
	unsigned i;

	for (i = 0; i < RUNNING_MAX; i++)
		n += port_load_seq(&db->shm->running.works[i].owner) != 0;
	return n;
}

/* ---- children that are led ---- */

typedef enum Order
{
	ORDER_NONE,
	ORDER_GO_ON,
	ORDER_FAIL,
	ORDER_DIE,
	ORDER_RAISE
} Order;

#define CHILDREN 3

typedef struct Lead
{
	char at[32]; /* the point where the child stops */
	uint32_t arrived;
	uint32_t order;
	uint32_t ended; /* status + 1 */
} Lead;

static Lead *leads; /* shared */
static pid_t pids[CHILDREN];
static Lead *mine;
static jmp_buf raised;

static NvmkvStatus
stop_here(const char *point)
{
	if (strcmp(point, mine->at) != 0 || port_load_seq(&mine->arrived) != 0)
		return NVMKV_OK;
	port_store_seq(&mine->arrived, 1);
	while (port_load_seq(&mine->order) == ORDER_NONE)
		port_sleep_us(200);
	switch ((Order) mine->order)
	{
		case ORDER_FAIL:
			return NVMKV_FAIL(NVMKV_NO_SPACE, "told to fail");
		case ORDER_DIE:
			_exit(0);
		case ORDER_RAISE:
			longjmp(raised, 1);
		case ORDER_NONE:
		case ORDER_GO_ON:
			break;
	}
	return NVMKV_OK;
}

static void
child_main(Rig *rig, unsigned number)
{
	bool more;
	bool did = false;
	NvmkvStatus st;

	mine = &leads[number];
	port_posix_set_slot((int) number + 1);
	port_fault_hook = stop_here;
	if (setjmp(raised) == 0)
		st = compact_step(rig->db, false, &did, &more);
	else
	{
		nvmkv_abort_cleanup(rig->db);
		st = NVMKV_CANCELLED;
	}
	port_store_seq(&mine->ended, (uint32_t) st + 1);
	_exit(0);
}

/* A child that compacts and stops at the point. */
static void
start_child(Rig *rig, unsigned number, const char *at)
{
	memset(&leads[number], 0, sizeof(Lead));
	(void) snprintf(leads[number].at, sizeof(leads[number].at), "%s", at);
	fflush(NULL);
	pids[number] = fork();
	REQUIRE(pids[number] >= 0);
	if (pids[number] == 0)
		child_main(rig, number);
}

/* It stops or has ended. */
static bool
arrives(unsigned number)
{
	while (port_load_seq(&leads[number].arrived) == 0 && port_load_seq(&leads[number].ended) == 0)
		port_sleep_us(200);
	return port_load_seq(&leads[number].arrived) != 0;
}

static void
tell(unsigned number, Order order)
{
	port_store_seq(&leads[number].order, (uint32_t) order);
}

/* Its status; of one that died INVALID. */
static NvmkvStatus
ends(unsigned number)
{
	int status;

	while (waitpid(pids[number], &status, 0) < 0 && errno == EINTR)
		;
	CHECK(WIFEXITED(status));
	return leads[number].ended == 0 ? NVMKV_INVALID : (NvmkvStatus) (leads[number].ended - 1);
}

static void
open_batch(Rig *rig, unsigned versions)
{
	unsigned version;

	port_files = &rig_quick_files;
	leads = port_posix_shared_alloc(CHILDREN * sizeof(Lead));
	rig_init(rig);
	REQUIRE_OK(rig_open(rig));
	for (version = 0; version < versions; version++)
		put_all(rig, version);
	/* The gate does not open by itself for so little. */
	port_store_seq(&rig->db->shm->pool_full, 1);
}

static void
close_batch(Rig *rig)
{
	rig_remove(rig);
	port_posix_shared_free(leads, CHILDREN * sizeof(Lead));
	port_files = &port_posix_files;
}

/* ---- columns ---- */

/* Two columns are under way; the later one is ready first and waits. */
TEST(columns_run_together_and_install_in_order)
{
	NvmkvStats stats;
	Rig rig;

	open_batch(&rig, 1);
	start_child(&rig, 0, "column.announced");
	REQUIRE(arrives(0));
	start_child(&rig, 1, "column.before_turn");
	REQUIRE(arrives(1));
	CHECK_EQ(running(rig.db), 2);
	CHECK_EQ(rig.db->shm->running.works[1].after, rig.db->shm->running.works[0].column);
	CHECK(slice_compare(db_key_slice(&rig.db->shm->running.works[0].high),
						db_key_slice(&rig.db->shm->running.works[1].low)) < 0);
	tell(1, ORDER_GO_ON);
	port_sleep_us(30000);
	nvmkv_stats(rig.db, &stats);
	CHECK_EQ(stats.columns, 0);
	CHECK_EQ(leads[1].ended, 0);
	CHECK_EQ(wrong_keys(rig.db, 0), 0);
	tell(0, ORDER_GO_ON);
	CHECK_OK(ends(0));
	CHECK_OK(ends(1));
	nvmkv_stats(rig.db, &stats);
	CHECK_EQ(stats.columns, 2);
	CHECK_EQ(running(rig.db), 0);
	check_sound(&rig, 0);
	CHECK_OK(nvmkv_compact_all(rig.db));
	check_sound(&rig, 0);
	REQUIRE_OK(rig_reopen(&rig));
	check_sound(&rig, 0);
	close_batch(&rig);
}

/* What becomes of those behind a column that fails at each of its steps, raises, or dies. */
TEST(columns_behind_one_that_fails_are_discarded)
{
	static const char *const points[] = {"column.announced", "table.synced", "column.before_turn", "column.before_install"};
	static const Order orders[] = {ORDER_FAIL, ORDER_RAISE, ORDER_DIE};
	unsigned p, o;

	for (p = 0; p < sizeof(points) / sizeof(points[0]); p++)
		for (o = 0; o < sizeof(orders) / sizeof(orders[0]); o++)
		{
			NvmkvStats stats;
			Rig rig;

			open_batch(&rig, 1);
			start_child(&rig, 0, points[p]);
			REQUIRE(arrives(0));
			start_child(&rig, 1, "column.before_turn");
			REQUIRE(arrives(1));
			start_child(&rig, 2, "column.announced");
			REQUIRE(arrives(2));
			CHECK_EQ(running(rig.db), 3);
			tell(0, orders[o]);
			CHECK(ends(0) != NVMKV_OK);
			if (orders[o] == ORDER_DIE)
			{
				/* Whoever finds the dead process's slot cleans up after it. */
				port_posix_set_slot(1);
				nvmkv_abort_cleanup(rig.db);
				port_posix_set_slot(0);
			}
			tell(1, ORDER_GO_ON);
			CHECK_STATUS(ends(1), NVMKV_BUSY);
			/* The last has not begun to merge. */
			tell(2, ORDER_GO_ON);
			CHECK_STATUS(ends(2), NVMKV_BUSY);
			CHECK_EQ(running(rig.db), 0);
			nvmkv_stats(rig.db, &stats);
			CHECK_EQ(stats.columns, 0);
			if (orders[o] != ORDER_DIE)
				CHECK_EQ(sst_files(&rig), 0);
			check_sound(&rig, 0);
			CHECK_OK(nvmkv_compact_all(rig.db));
			check_sound(&rig, 0);
			REQUIRE_OK(rig_reopen(&rig));
			check_sound(&rig, 0);
			close_batch(&rig);
		}
}

static bool
conflicts(Rig *rig, unsigned first_level, unsigned last_level, const char *low, const char *high)
{
	bool answer;

	running_lock(rig->db);
	answer = running_conflicts(rig->db, first_level, last_level, rig_slice(low), rig_slice(high));
	running_unlock(rig->db);
	return answer;
}

/* One key in common is enough on one level in common. */
TEST(works_conflict_where_they_meet)
{
	Running *work;
	Rig rig;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	running_lock(rig.db);
	work = running_add(rig.db, 1, 2, rig_slice("d"), rig_slice("f"));
	running_unlock(rig.db);
	REQUIRE(work != NULL);
	CHECK(conflicts(&rig, 1, 2, "e", "e"));
	CHECK(conflicts(&rig, 1, 2, "a", "d"));
	CHECK(conflicts(&rig, 1, 2, "f", "g"));
	CHECK(!conflicts(&rig, 1, 2, "a", "c"));
	CHECK(!conflicts(&rig, 1, 2, "g", "h"));
	CHECK(conflicts(&rig, 0, 1, "a", "z"));
	CHECK(conflicts(&rig, 2, 3, "a", "z"));
	CHECK(conflicts(&rig, 1, 1, "a", "z"));
	CHECK(!conflicts(&rig, 0, 0, "a", "z"));
	CHECK(!conflicts(&rig, 3, 4, "a", "z"));
	running_end(rig.db, work, true);
	CHECK(!conflicts(&rig, 1, 2, "a", "z"));
	rig_remove(&rig);
}

/* All columns behind one that fails know it at once, not when the one before them has ended. */
TEST(columns_behind_one_that_fails_know_it)
{
	static const char *const keys[] = {"a", "b", "c"};
	Running *columns[3];
	Rig rig;
	unsigned i;

	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	running_lock(rig.db);
	for (i = 0; i < 3; i++)
	{
		columns[i] = running_add(rig.db, 0, 1, rig_slice(keys[i]), rig_slice(keys[i]));
		REQUIRE(columns[i] != NULL);
		running_make_column(rig.db, columns[i], i > 0 ? columns[i - 1] : NULL, false, rig_slice(keys[i]));
	}
	running_unlock(rig.db);
	CHECK(running_turn(rig.db, columns[0]) == RUNNING_TURN_NOW);
	CHECK(running_turn(rig.db, columns[1]) == RUNNING_TURN_LATER);
	CHECK(running_turn(rig.db, columns[2]) == RUNNING_TURN_LATER);
	running_end(rig.db, columns[0], false);
	CHECK(running_turn(rig.db, columns[1]) == RUNNING_TURN_NEVER);
	CHECK(running_turn(rig.db, columns[2]) == RUNNING_TURN_NEVER);
	running_end(rig.db, columns[2], false);
	running_end(rig.db, columns[1], false);
	CHECK_EQ(running(rig.db), 0);
	rig_remove(&rig);
}

/* With a full level 1 below, and a level compaction beside them. */
TEST(columns_and_levels_keep_apart)
{
	unsigned round;
	Rig rig;

	open_batch(&rig, 1);
	CHECK_OK(nvmkv_compact_all(rig.db));
	put_all(&rig, 1);
	port_store_seq(&rig.db->shm->pool_full, 1);
	for (round = 0; round < 12; round++)
	{
		unsigned i, k;

		for (i = 0; i < CHILDREN; i++)
		{
			start_child(&rig, i, i == 0 ? "column.announced" : "table.synced");
			(void) arrives(i);
		}
		for (i = 0; i < RUNNING_MAX; i++)
			for (k = 0; k < i; k++)
			{
				const Running *a = &rig.db->shm->running.works[i];
				const Running *b = &rig.db->shm->running.works[k];

				if (a->owner != 0 && b->owner != 0 && a->first_level <= b->last_level &&
					b->first_level <= a->last_level)
					CHECK(slice_compare(db_key_slice(&a->high), db_key_slice(&b->low)) < 0 ||
						  slice_compare(db_key_slice(&b->high), db_key_slice(&a->low)) < 0);
			}
		for (i = CHILDREN; i-- > 0;)
			tell(i, round % 4 == 3 && i == 0 ? ORDER_FAIL : ORDER_GO_ON);
		for (i = 0; i < CHILDREN; i++)
			(void) ends(i);
		CHECK_EQ(running(rig.db), 0);
		CHECK_EQ(wrong_keys(rig.db, 1), 0);
	}
	check_sound(&rig, 1);
	CHECK_OK(nvmkv_compact_all(rig.db));
	check_sound(&rig, 1);
	REQUIRE_OK(rig_reopen(&rig));
	check_sound(&rig, 1);
	close_batch(&rig);
}

/* ---- ranges ---- */

static uint64_t
bytes_in_levels(NvmkvDb *db, unsigned *deepest_out)
{
	NvmkvLevelStats levels[VERSION_LEVELS];
	unsigned n = nvmkv_level_stats(db, levels, VERSION_LEVELS);
	uint64_t bytes = 0;
	unsigned i;

	*deepest_out = 0;
	for (i = 0; i < n; i++)
	{
		bytes += levels[i].bytes;
		if (levels[i].files > 0)
			*deepest_out = i;
	}
	return bytes;
}

/* What was rolled back after it had gone to a level gives its space back. */
TEST(range_compaction_gives_space_back)
{
	RigTxns *txns = rig_txns_create();
	uint64_t before, after, fxid;
	unsigned deepest;
	uint64_t key;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	put_all(&rig, 0);
	CHECK_OK(nvmkv_compact_all(rig.db));
	before = bytes_in_levels(rig.db, &deepest);
	fxid = rig_begin(txns);
	for (key = 0; key < KEYS; key++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(key), fxid, 0, value_of(key, 7)));
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(nvmkv_compact_all(rig.db));
	rig_abort(txns, fxid);
	CHECK_OK(nvmkv_compact_all(rig.db));
	after = bytes_in_levels(rig.db, &deepest);
	CHECK(after > before + before / 2);
	/* The first half only. */
	CHECK_OK(nvmkv_compact_range(rig.db, rig_key(0), rig_key(KEYS / 2)));
	CHECK(bytes_in_levels(rig.db, &deepest) < after - before / 3);
	CHECK(bytes_in_levels(rig.db, &deepest) > before + before / 5);
	CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK(bytes_in_levels(rig.db, &deepest) <= before + before / 20);
	check_sound(&rig, 0);
	/* Nothing to do, and nothing there. */
	CHECK_OK(nvmkv_compact_range(rig.db, rig_key(5), rig_key(5)));
	CHECK_OK(nvmkv_compact_range(rig.db, rig_slice("x"), rig_slice("y")));
	REQUIRE_OK(rig_reopen(&rig));
	check_sound(&rig, 0);
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

/* All of the range is on one level afterwards. */
TEST(range_compaction_goes_to_the_lowest_level)
{
	NvmkvLevelStats levels[VERSION_LEVELS];
	unsigned version, deepest, i;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	/* More than level 1 is to have. */
	for (i = 0; i < 3 * KEYS; i++)
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(i), 0, 0, value_of(i, 0)));
	for (version = 0; version < 2; version++)
	{
		put_all(&rig, version);
		CHECK_OK(nvmkv_compact_all(rig.db));
	}
	(void) bytes_in_levels(rig.db, &deepest);
	CHECK(deepest >= 2);
	CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	REQUIRE(nvmkv_level_stats(rig.db, levels, VERSION_LEVELS) > deepest);
	for (i = 0; i < VERSION_LEVELS; i++)
		CHECK((levels[i].files > 0) == (i == deepest));
	check_sound(&rig, 1);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- dropped storages ---- */

static bool
see(void *ctx, const NvmkvVersion *version)
{
	(void) version;
	++*(unsigned *) ctx;
	return true;
}

static unsigned
versions_of(NvmkvDb *db, const char *key)
{
	unsigned n = 0;

	CHECK_OK(nvmkv_versions(db, rig_slice(key), see, &n));
	return n;
}

/* Nothing remains of it, not even that it was dropped; and not before. */
TEST(dropped_storage_leaves_nothing)
{
	bool container;
	unsigned round;

	for (round = 0; round < 2; round++)
	{
		RigTxns *txns = rig_txns_create();
		uint64_t drop;
		unsigned i;
		char key[32];
		Rig rig;

		container = round == 0;
		port_files = &rig_quick_files;
		rig_init(&rig);
		if (!container)
			rig.options.nvm_bytes = 0;
		REQUIRE_OK(rig_open(&rig));
		rig_txns_use(txns, rig.db);
		for (i = 0; i < 6000; i++)
		{
			(void) snprintf(key, sizeof(key), "storage%c%04u", 'A' + (int) (i % 3), i / 3);
			REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0, value_of(i, 0)));
		}
		CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
		drop = rig_begin(txns);
		CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageB"), drop, 0, nvmkv_slice(NULL, 0)));
		CHECK_OK(nvmkv_compact_range(rig.db, rig_slice("storageB"), rig_slice("storageC")));
		CHECK_EQ(versions_of(rig.db, "storageB"), 1);
		CHECK_EQ(versions_of(rig.db, "storageB1000"), 1);
		rig_commit(txns, drop);
		CHECK_OK(nvmkv_compact_range(rig.db, rig_slice("storageB"), rig_slice("storageC")));
		CHECK_OK(nvmkv_compact_range(rig.db, rig_slice("storageB"), rig_slice("storageC")));
		CHECK_EQ(versions_of(rig.db, "storageB"), 0);
		for (i = 0; i < 2000; i++)
		{
			(void) snprintf(key, sizeof(key), "storageB%04u", i);
			CHECK_EQ(versions_of(rig.db, key), 0);
			key[7] = 'C';
			CHECK_EQ(versions_of(rig.db, key), 1);
		}
		rig_remove(&rig);
		rig_txns_destroy(txns);
		port_files = &port_posix_files;
	}
}

/* Rows that hold nothing else go as a whole, before any column comes by. */
TEST(rows_of_a_dropped_storage_go_at_once)
{
	RigTxns *txns = rig_txns_create();
	NvmkvStats before, after;
	uint64_t drop;
	unsigned i;
	bool did, more;
	char key[32];
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	nvmkv_stats(rig.db, &before);
	for (i = 0; i < 3000; i++)
	{
		(void) snprintf(key, sizeof(key), "storageA%04u", i);
		REQUIRE_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0, value_of(i, 0)));
	}
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(rig_put(rig.db, "storageB0000", "b"));
	drop = rig_begin(txns);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storageA"), drop, 0, nvmkv_slice(NULL, 0)));
	rig_commit(txns, drop);
	CHECK_OK(nvmkv_flush_all(rig.db));
	for (i = 0; i < 10; i++)
	{
		rig.db->shm->next_drop_us = 0;
		CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_COMPACT, &did, &more));
		CHECK_OK(nvmkv_work(rig.db, NVMKV_WORK_RECLAIM, &did, &more));
	}
	nvmkv_stats(rig.db, &after);
	CHECK(after.extents_free + 2 >= before.extents_free);
	CHECK_EQ(after.columns, 0);
	CHECK_EQ(versions_of(rig.db, "storageA0007"), 0);
	CHECK_EQ(versions_of(rig.db, "storageA"), 1);
	CHECK_EQ(versions_of(rig.db, "storageB0000"), 1);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(versions_of(rig.db, "storageB0000"), 1);
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

/* ---- a host that raises ---- */

static NvmkvOutcome
outcome_raises(void *ctx, uint64_t fxid)
{
	(void) ctx;
	(void) fxid;
	longjmp(raised, 1);
}

/* Nothing stays behind: the leak checker sees the memory, this the files and announcements. */
TEST(raising_in_a_compaction_leaves_nothing)
{
	const NvmkvTxnOps ops = {NULL, NULL, outcome_raises, NULL};
	NvmkvLevelStats levels[VERSION_LEVELS];
	volatile unsigned round;
	uint64_t key;
	unsigned files;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	put_all(&rig, 0);
	for (key = KEYS / 2; key < KEYS / 2 + 5; key++)
		CHECK_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_key(KEYS + key), 9, 0, rig_slice("x")));
	CHECK_OK(nvmkv_flush_all(rig.db));
	files = sst_files(&rig);
	nvmkv_set_txn_ops(rig.db, &ops);
	for (round = 0; round < 3; round++)
	{
		if (setjmp(raised) == 0)
		{
			(void) nvmkv_compact_all(rig.db);
			CHECK(false);
		}
		nvmkv_abort_cleanup(rig.db);
		CHECK(rig.db->compaction == NULL);
		CHECK_EQ(running(rig.db), 0);
	}
	nvmkv_set_txn_ops(rig.db, NULL);
	CHECK_OK(nvmkv_compact_all(rig.db));
	REQUIRE(nvmkv_level_stats(rig.db, levels, VERSION_LEVELS) > 1);
	CHECK_EQ(sst_files(&rig), files + levels[1].files + levels[2].files);
	check_sound(&rig, 0);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
