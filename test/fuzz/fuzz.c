/*
 * fuzz.c
 *	  See fuzz.h.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#define PATH_BYTES 600

static char work_dir[400];
static unsigned seeds_written;

static void
remove_work_dir(void)
{
	char command[500];

	(void) snprintf(command, sizeof(command), "rm -rf '%s'", work_dir);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", work_dir);
}

void
fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: does not hold: %s (last failure: %s)\n", file, line, what, nvmkv_error()->text);
	abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *base = getenv("TMPDIR");

	(void) argc;
	(void) argv;
	(void) snprintf(work_dir, sizeof(work_dir), "%s/nvmkv-fuzz-XXXXXX", base != NULL ? base : "/tmp");
	FUZZ_REQUIRE(mkdtemp(work_dir) != NULL);
	FUZZ_REQUIRE(atexit(remove_work_dir) == 0);
	if (getenv("NVMKV_FUZZ_SEEDS") != NULL)
		fuzz_seeds();
	return 0;
}

const char *
fuzz_path(const char *name)
{
	static char ring[4][PATH_BYTES];
	static unsigned at;
	char *path = ring[at++ % 4];

	(void) snprintf(path, PATH_BYTES, "%s/%s", work_dir, name);
	return path;
}

void
fuzz_write_file(const char *path, const void *data, size_t size)
{
	FILE *file = fopen(path, "wb");

	FUZZ_REQUIRE(file != NULL);
	FUZZ_REQUIRE(size == 0 || fwrite(data, 1, size, file) == size);
	FUZZ_REQUIRE(fclose(file) == 0);
}

uint8_t *
fuzz_read_file(const char *path, size_t *size_out)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long size;

	FUZZ_REQUIRE(file != NULL);
	FUZZ_REQUIRE(fseek(file, 0, SEEK_END) == 0);
	size = ftell(file);
	FUZZ_REQUIRE(size >= 0);
	rewind(file);
	data = malloc((size_t) size + 1);
	FUZZ_REQUIRE(data != NULL);
	FUZZ_REQUIRE(fread(data, 1, (size_t) size, file) == (size_t) size);
	FUZZ_REQUIRE(fclose(file) == 0);
	*size_out = (size_t) size;
	return data;
}

void
fuzz_seed(const void *data, size_t size)
{
	char path[PATH_BYTES];

	(void) snprintf(path, sizeof(path), "%s/seed-%03u", getenv("NVMKV_FUZZ_SEEDS"), seeds_written++);
	fuzz_write_file(path, data, size);
}

void
fuzz_seed_file(const char *path)
{
	size_t size;
	uint8_t *data = fuzz_read_file(path, &size);

	fuzz_seed(data, size);
	free(data);
}

void
fuzz_touch(NvmkvSlice s)
{
	volatile uint8_t sink = 0;
	size_t i;

	for (i = 0; i < s.size; i++)
		sink = (uint8_t) (sink ^ s.data[i]);
}
