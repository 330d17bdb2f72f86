/*
 * crash_test.c
 *	  Failures and deaths of the process at every point, then recovery (life.h).
 *
 * NVMKV_CRASH_SECONDS makes the random part longer.
 */
#include "crash/tries.h"

#define DEFAULT_SECONDS 2.0

TEST(error_at_every_point)
{
	every_point(FAULT_ERROR, NULL, 3);
}

TEST(no_space_at_every_point)
{
	every_point(FAULT_SPACE, NULL, 2);
}

TEST(kill_at_every_point)
{
	every_point(FAULT_KILL, NULL, 3);
}

TEST(kill_at_every_point_without_container)
{
	life.pool_without_container = true;
	every_point(FAULT_KILL, NULL, 2);
	life.pool_without_container = false;
}

TEST(nth_allocation_fails)
{
	sample(FAULT_ERROR, "port.alloc", 40);
}

TEST(nth_file_operation_fails)
{
	sample(FAULT_FILE, NULL, 25);
}

TEST(disk_dies)
{
	sample(FAULT_FILES, NULL, 8);
}

TEST(disk_is_full_for_a_while)
{
	sample(FAULT_SPACES, NULL, 10);
}

TEST(death_and_failures_with_a_log_on_persistent_memory)
{
	life.mapped_log = true;
	every_point(FAULT_KILL, "log.", 3);
	every_point(FAULT_ERROR, "log.", 3);
	sample(FAULT_FILE, NULL, 10);
	life.mapped_log = false;
}

/* Any script, any fault, as long as time is given. */
TEST(random_faults)
{
	const char *text = getenv("NVMKV_CRASH_SECONDS");
	double seconds = text != NULL ? atof(text) : DEFAULT_SECONDS;
	uint64_t start = port_now_us();
	unsigned lives = 0;

	REQUIRE(record_make());
	while ((double) (port_now_us() - start) < seconds * 1e6 && check_failures == 0)
	{
		static const FaultKind kinds[] = {FAULT_ERROR, FAULT_FILE,  FAULT_FILES,      FAULT_SPACES,
										  FAULT_POWER, FAULT_POWER, FAULT_POWER_LINES};
		Fault f = {kinds[check_random_below(7)], NULL, 1 + check_random_below(900), check_random()};

		if (f.kind == FAULT_ERROR)
		{
			f.point = "port.alloc";
			f.at *= 3;
		}
		life.pool_without_container = check_random_below(4) == 0;
		life.mapped_log = check_random_below(3) == 0;
		life.with_families = check_random_below(3) == 0;
		life.container_changes = !life.pool_without_container && check_random_below(3) == 0;
		CHECK(life_with(&f, check_random()));
		lives++;
	}
	life.pool_without_container = false;
	life.mapped_log = false;
	life.with_families = false;
	life.container_changes = false;
	printf("%u lives\n", lives);
}

TEST_MAIN()
