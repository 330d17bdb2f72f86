/*
 * origin_test.c
 *	  The mark that says where a directory has come from: its words, and what is
 *	  none of them.
 */
#include "engine/meta/origin.h"

#include "lib/check.h"

static char dir[300];

static void
write_line(const char *line)
{
	char path[400];
	FILE *file;

	origin_path(dir, path, sizeof(path));
	file = fopen(path, "w");
	REQUIRE(file != NULL);
	fputs(line, file);
	fclose(file);
}

static NvmkvStatus
read_line(const char *line)
{
	Origin origin;

	write_line(line);
	return origin_read(dir, &origin);
}

TEST(origin_bytes)
{
	const Origin taken = {ORIGIN_TAKEN, 4711, 4712, UINT64_C(0x5000028)};
	const Origin given = {.kind = ORIGIN_GIVEN, .system = UINT64_MAX};
	const Origin awaited = {.kind = ORIGIN_AWAITED};
	char top[256];
	Origin back;

	check_make_dir(top, sizeof(top));
	snprintf(dir, sizeof(dir), "%s/data", top);
	REQUIRE_OK(origin_read(dir, &back));
	CHECK(back.kind == ORIGIN_NONE);

	/* The example of the format. */
	write_line("nvmkv-origin 1 taken 4711 4712 0/5000028\n");
	REQUIRE_OK(origin_read(dir, &back));
	CHECK(back.kind == ORIGIN_TAKEN && back.tree == 4711 && back.system == 4712 && back.position == 0x5000028);

	REQUIRE_OK(origin_write(dir, &taken));
	REQUIRE_OK(origin_read(dir, &back));
	CHECK(back.kind == ORIGIN_TAKEN && back.tree == 4711 && back.system == 4712 && back.position == taken.position);
	REQUIRE_OK(origin_write(dir, &given));
	REQUIRE_OK(origin_read(dir, &back));
	CHECK(back.kind == ORIGIN_GIVEN && back.system == UINT64_MAX);
	REQUIRE_OK(origin_write(dir, &awaited));
	REQUIRE_OK(origin_read(dir, &back));
	CHECK(back.kind == ORIGIN_AWAITED);

	CHECK_STATUS(read_line("nvmkv-origin 2 awaited\n"), NVMKV_VERSION);
	CHECK_STATUS(read_line(""), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 awaited"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 awaited \n"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 given \n"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 given 1 2\n"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 taken 4711 4712 0/50"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("nvmkv-origin 1 taken 4711 4712\n"), NVMKV_CORRUPTION);
	CHECK_STATUS(read_line("something else\n"), NVMKV_CORRUPTION);
	check_remove_dir(top);
}

TEST_MAIN()
