/*
 * power_test.c
 *	  The power goes, then recovery (life.h).
 */
#include "crash/tries.h"

TEST(power_goes)
{
	sample(FAULT_POWER, NULL, 40);
}

/* With all of it still unsynced: of the first syncs, which make the files, and of some later ones. */
TEST(power_goes_before_syncs)
{
	static Record plan;
	unsigned round, k, i;

	REQUIRE(record_make());
	for (round = 0; round < 2; round++)
	{
		uint64_t seed = check_random();

		life.long_keys = round == 1;
		survey(seed, &plan);
		for (k = LOSSY_CURRENT; k <= LOSSY_POOL; k++)
			for (i = 0; i < check_part(SYNCS_MAX) && i < plan.nsyncs[k]; i++)
			{
				Fault f = {FAULT_POWER, NULL, plan.syncs[k][i], check_random()};

				CHECK(life_with(&f, seed));
			}
	}
	life.long_keys = false;
}

TEST(power_goes_without_container)
{
	life.pool_without_container = true;
	sample(FAULT_POWER, NULL, 15);
	life.pool_without_container = false;
}

/*
 * Recovery from a kill finds in the log what was never synced.  When the power goes before all families have flushed
 * it, they must agree about it all the same.
 */
TEST(power_goes_in_recovery)
{
	unsigned i;

	REQUIRE(record_make());
	life.with_families = true;
	for (i = 0; i < check_part(24); i++)
	{
		Fault f = {FAULT_POWER_RECOVERY, "flush.before_install", 1 + check_random_below(8), check_random()};

		CHECK(life_with(&f, check_random()));
	}
	life.with_families = false;
}

static void
lose_power_with_lines(unsigned lives, uint64_t range)
{
	uint64_t seed = check_random();
	unsigned i;

	REQUIRE(record_make());
	for (i = 0; i < check_part(lives); i++)
	{
		Fault f = {FAULT_POWER_LINES, NULL, 1 + check_random_below(range), check_random()};

		CHECK(life_with(&f, seed + i / 5));
	}
}

/*
 * The first copy is the header's, the second operation persists it: the power goes in between.  What is there
 * afterwards is no header, all of it, or a torn one.
 */
TEST(power_goes_while_a_pool_gets_its_header)
{
	uint64_t before = life_lines.header;
	uint64_t seed = check_random();
	unsigned i;

	REQUIRE(record_make());
	for (i = 0; i < check_part(12); i++)
	{
		Fault f = {FAULT_POWER_LINES, NULL, 2, check_random()};

		CHECK(life_with(&f, seed));
	}
	CHECK(life_lines.header > before);
}

TEST(power_goes_with_lines_in_flight)
{
	lose_power_with_lines(15, 250);
}

/* What was acknowledged was drained: any of the other lines may get lost. */
TEST(power_goes_with_a_log_on_persistent_memory)
{
	life.mapped_log = true;
	lose_power_with_lines(30, 400);
	sample(FAULT_POWER, NULL, 15);
	life.mapped_log = false;
}

/* Did the power really do all that it can do?  After the others; one test alone need not have met everything. */
TEST(what_the_power_took)
{
	unsigned k;

	life_print_tally();
	/* With fewer lives it may not have. */
	if (check_argc > 1 || check_sanitized())
		return;
	CHECK(life_sectors.kept[LOSSY_CURRENT] + life_sectors.reverted[LOSSY_CURRENT] > 0);
	for (k = LOSSY_MANIFEST; k <= LOSSY_POOL; k++)
		CHECK(life_sectors.kept[k] > 0 && life_sectors.reverted[k] > 0 && life_sectors.garbled[k] > 0);
	CHECK(life_lines.kept > 0 && life_lines.reverted > 0 && life_lines.torn > 0);
	CHECK(life_lines.header > 0 && life_lines.log > 0);
}

TEST_MAIN()
