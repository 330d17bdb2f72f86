/*
 * recover_test.c
 *	  What a crash of the processes leaves is there again, after one and after
 *	  several: the engine's own log.
 */
#include "lib/check.h"
#include "lib/rig.h"

static Rig rig;

static bool
has(const char *key)
{
	NvmkvBuf value = {0};
	bool found = nvmkv_get(rig.db, rig_slice(key), NULL, &value, NULL) == NVMKV_OK;

	nvmkv_buf_free(&value);
	return found;
}

static void
write_through(const char *key)
{
	CHECK_OK(rig_put(rig.db, key, "v"));
	CHECK_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
}

TEST(what_was_logged_survives_crashes)
{
	unsigned round;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	write_through("a");
	CHECK_OK(nvmkv_flush_all(rig.db));
	/* The first record that is in no row. */
	write_through("b");
	REQUIRE_OK(rig_reopen(&rig));
	CHECK(has("a") && has("b"));
	/* The log is another by now. */
	for (round = 0; round < 2; round++)
	{
		REQUIRE_OK(rig_reopen(&rig));
		CHECK(has("a") && has("b"));
	}
	write_through("c");
	write_through("d");
	REQUIRE_OK(rig_reopen(&rig));
	REQUIRE_OK(rig_reopen(&rig));
	CHECK(has("a") && has("b") && has("c") && has("d"));
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
