/*
 * turnover_test.c
 *	  Failures, deaths and power losses while a manifest, values, tables of deeper levels, the container or column
 *	  families are made anew, moved or dropped (life.h).
 */
#include "crash/tries.h"

/* A manifest past its size is replaced by a new one. */
TEST(manifest_is_replaced)
{
	static Record plan;

	life.long_keys = true;
	REQUIRE(record_make());
	survey(check_random(), &plan);
	CHECK(record_hits(&plan, "current.before_rename") >= 2);
	every_point(FAULT_KILL, "current.", 3);
	every_point(FAULT_KILL, "manifest.before", 3);
	every_point(FAULT_ERROR, "current.", 3);
	every_point(FAULT_ERROR, "manifest.before", 3);
	every_point(FAULT_ERROR, "log.create", 3);
	sample(FAULT_FILE, NULL, 10);
	sample(FAULT_POWER, NULL, 25);
	life.long_keys = false;
}

/* Most values are apart: tables of them are written, collected and dropped. */
static void
values_move(bool container)
{
	static Record plan;

	life.values_apart = true;
	life.pool_without_container = !container;
	REQUIRE(record_make());
	survey(check_random(), &plan);
	CHECK(record_hits(&plan, "values.before_sweep") > 0);
	every_point(FAULT_KILL, "values.", 4);
	every_point(FAULT_ERROR, "values.", 3);
	every_point(FAULT_KILL, "table.", 4);
	every_point(FAULT_ERROR, "table.", 3);
	every_point(FAULT_KILL, "level.", 2);
	every_point(FAULT_KILL, container ? "column." : "flush.", 2);
	sample(FAULT_FILE, NULL, 8);
	sample(FAULT_SPACES, NULL, 4);
	sample(FAULT_POWER, NULL, 20);
	sample(FAULT_ERROR, "port.alloc", 10);
	life.values_apart = false;
	life.pool_without_container = false;
}

TEST(values_apart_move)
{
	values_move(true);
}

TEST(values_apart_move_without_container)
{
	values_move(false);
}

/* More data, and so more levels. */
TEST(deeper_levels)
{
	life.large_values = true;
	life.pool_without_container = true;
	every_point(FAULT_KILL, "level.", 3);
	every_point(FAULT_ERROR, "level.", 2);
	sample(FAULT_POWER, NULL, 8);
	sample(FAULT_ERROR, "port.alloc", 8);
	life.large_values = false;
	life.pool_without_container = false;
}

static bool
changes_in_every_way(const Record *plan)
{
	return record_hits(plan, "pool.resized") > 0 && record_hits(plan, "pool.before_cut") > 0 &&
		record_hits(plan, "pool.before_remove") > 0 && record_hits(plan, "pool.file_allocated") > 1;
}

/* The container becomes larger, smaller, goes and comes back, with rows in it. */
TEST(container_comes_and_goes)
{
	static Record plan;
	uint64_t seed = 0;
	unsigned i;

	life.container_changes = true;
	REQUIRE(record_make());
	/* Not every script has all of it; with a sanitizer one that has some of it will do. */
	for (i = 0; i < 100 && (i == 0 || !changes_in_every_way(&plan)) && !(check_sanitized() && i > 0); i++)
	{
		seed = check_random();
		survey(seed, &plan);
	}
	CHECK(check_sanitized() || changes_in_every_way(&plan));
	points_of_plan(&plan, seed, FAULT_KILL, "pool.", 2);
	points_of_plan(&plan, seed, FAULT_ERROR, "pool.", 1);
	sample(FAULT_FILE, NULL, 5);
	sample(FAULT_FILES, NULL, 2);
	sample(FAULT_SPACES, NULL, 3);
	sample(FAULT_POWER, NULL, 10);
	sample(FAULT_ERROR, "port.alloc", 4);
	life.container_changes = false;
}

TEST(families_come_and_go)
{
	life.with_families = true;
	every_point(FAULT_KILL, "famil", 3);
	every_point(FAULT_ERROR, "famil", 3);
	every_point(FAULT_KILL, "manifest.", 2);
	every_point(FAULT_KILL, "log.", 2);
	sample(FAULT_FILE, NULL, 15);
	sample(FAULT_FILES, NULL, 5);
	sample(FAULT_SPACES, NULL, 8);
	sample(FAULT_POWER, NULL, 30);
	sample(FAULT_ERROR, "port.alloc", 20);
	life.with_families = false;
}

/*
 * Did the power really do what it can do to what turns over?  The rest is for power_test.  After the others; one test
 * alone need not have met everything.
 */
TEST(what_the_power_took)
{
	unsigned k;

	life_print_tally();
	/* With fewer lives it may not have. */
	if (check_argc > 1 || check_sanitized())
		return;
	CHECK(life_sectors.kept[LOSSY_MANIFEST] > 0 && life_sectors.reverted[LOSSY_MANIFEST] > 0);
	for (k = LOSSY_LOG; k <= LOSSY_POOL; k++)
		CHECK(life_sectors.kept[k] > 0 && life_sectors.reverted[k] > 0 && life_sectors.garbled[k] > 0);
}

TEST_MAIN()
