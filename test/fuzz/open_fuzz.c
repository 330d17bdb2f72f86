/*
 * open_fuzz.c
 *	  Input: changes to the files of a small database: MANIFEST, CURRENT, tables,
 *	  pool, log.  It is opened, read and checked; what was refused must have been
 *	  refused with a reason, what was opened must still be there after a second
 *	  open.
 *
 *	  change := file u8, kind u8, offset u32, count u8, bytes
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/nvm/pool.h"
#include "fuzz/fuzz.h"
#include "lib/rig.h"

#define FILES_MAX 16
#define CHANGES_MAX 8
#define ROWS_MAX 5000

typedef struct File
{
	char name[64];
	uint8_t *data;
	size_t size;
	size_t hot; /* of the pool: how far there is anything */
} File;

static File files[FILES_MAX];
static unsigned nfiles;
static Rig rig;
static bool made;

/* ---- files that cost nothing: no real blocks, no syncs ---- */

static PortFileOps fast_files;

static NvmkvStatus
only_grow(PortFile *file, uint64_t size)
{
	uint64_t now;

	FUZZ_OK(port_posix_files.size(file, &now));
	return now < size ? port_posix_files.truncate(file, size) : NVMKV_OK;
}

static NvmkvStatus
no_sync(PortFile *file)
{
	(void) file;
	return NVMKV_OK;
}

static NvmkvStatus
no_sync_dir(const char *path)
{
	(void) path;
	return NVMKV_OK;
}

static void
use_fast_files(void)
{
	fast_files = port_posix_files;
	fast_files.preallocate = only_grow;
	fast_files.sync = no_sync;
	fast_files.sync_dir = no_sync_dir;
	port_files = &fast_files;
}

/* ---- the database ---- */

static void
fill(NvmkvDb *db, unsigned from, unsigned to, size_t value_bytes)
{
	uint8_t value[2000] = {0};
	unsigned i;

	for (i = from; i < to; i++)
		FUZZ_OK(rig_entry(db, i % 9 == 0 ? NVMKV_KIND_DELETION : NVMKV_KIND_VALUE, rig_key(i), 0, 0,
						  nvmkv_slice(value, i % 9 == 0 ? 0 : value_bytes)));
}

static size_t
used_bytes(const uint8_t *data, size_t size)
{
	while (size > 0 && data[size - 1] == 0)
		size--;
	return size;
}

static void
remember_files(void)
{
	DIR *dir = opendir(rig.path);
	struct dirent *entry;

	FUZZ_REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
	{
		File *file = &files[nfiles];
		char path[700];

		if (entry->d_name[0] == '.')
			continue;
		FUZZ_REQUIRE(nfiles < FILES_MAX && strlen(entry->d_name) < sizeof(file->name));
		(void) strcpy(file->name, entry->d_name);
		rig_path(&rig, file->name, path, sizeof(path));
		file->data = fuzz_read_file(path, &file->size);
		file->hot = used_bytes(file->data, file->size);
		nfiles++;
	}
	closedir(dir);
}

static int
compare_files(const void *a, const void *b)
{
	return strcmp(((const File *) a)->name, ((const File *) b)->name);
}

/* A table on level 1, a row in the pool, entries in the log. */
static void
make_database(void)
{
	use_fast_files();
	rig_init(&rig);
	rig.options.version_slot_bytes = 64 * 1024;
	rig.options.max_write_buffers = 2;
	FUZZ_OK(rig_open(&rig));
	fill(rig.db, 0, 300, 20);
	FUZZ_OK(nvmkv_flush_all(rig.db));
	FUZZ_OK(nvmkv_compact_all(rig.db));
	fill(rig.db, 100, 400, 30);
	FUZZ_OK(nvmkv_flush_all(rig.db));
	fill(rig.db, 350, 380, 40);
	FUZZ_OK(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX));
	rig_close(&rig);
	remember_files();
	qsort(files, nfiles, sizeof(File), compare_files);
	FUZZ_REQUIRE(nfiles >= 4);
	made = true;
}

static void
restore_file(const File *file)
{
	char path[700];
	int fd;

	rig_path(&rig, file->name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	FUZZ_REQUIRE(fd >= 0);
	FUZZ_REQUIRE(write(fd, file->data, file->hot) == (ssize_t) file->hot);
	FUZZ_REQUIRE(ftruncate(fd, (off_t) file->size) == 0);
	FUZZ_REQUIRE(close(fd) == 0);
}

static void
restore(void)
{
	DIR *dir = opendir(rig.path);
	struct dirent *entry;
	unsigned i;

	FUZZ_REQUIRE(dir != NULL);
	while ((entry = readdir(dir)) != NULL)
	{
		char path[900];

		(void) snprintf(path, sizeof(path), "%s/%s", rig.path, entry->d_name);
		if (entry->d_name[0] != '.')
			FUZZ_REQUIRE(unlink(path) == 0);
	}
	closedir(dir);
	for (i = 0; i < nfiles; i++)
		restore_file(&files[i]);
}

/* ---- changes ---- */

static void
change(FuzzInput *in)
{
	const File *file = &files[fuzz_u8(in) % nfiles];
	unsigned kind = fuzz_u8(in);
	uint64_t offset = fuzz_u32(in) % (file->hot + 1);
	NvmkvSlice bytes = fuzz_bytes(in, 1 + fuzz_u8(in) % 64);
	char path[700];
	int fd;

	rig_path(&rig, file->name, path, sizeof(path));
	if (kind % 16 == 15)
	{
		FUZZ_REQUIRE(unlink(path) == 0 || errno == ENOENT);
		return;
	}
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return; /* removed by an earlier change */
	if (kind % 16 == 14)
		FUZZ_REQUIRE(ftruncate(fd, (off_t) offset) == 0);
	else
		FUZZ_REQUIRE(pwrite(fd, bytes.data, bytes.size, (off_t) offset) == (ssize_t) bytes.size);
	FUZZ_REQUIRE(close(fd) == 0);
}

/* ---- reading ---- */

static NvmkvSight
see_all(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	(void) ctx;
	(void) key;
	(void) fxid;
	(void) cid;
	(void) committed_hint;
	(void) memo;
	return NVMKV_SEEN;
}

static void
ignore(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	(void) where;
	(void) text;
}

/* Rows a scan shows, and how it ends. */
static NvmkvStatus
scan(NvmkvDb *db, bool reverse, uint64_t *rows_out)
{
	NvmkvSnapshot snapshot = {NULL, see_all, NVMKV_SEQUENCE_MAX, NULL};
	const NvmkvScanRow *rows;
	NvmkvScan *it;
	unsigned count = 1;
	NvmkvStatus status;

	*rows_out = 0;
	FUZZ_OK(nvmkv_scan_create(db, &it));
	status = nvmkv_scan_start(it, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, &snapshot);
	while (status == NVMKV_OK && count > 0 && *rows_out < ROWS_MAX)
	{
		unsigned i;

		status = nvmkv_scan_batch(it, 100, 100000, &rows, &count);
		for (i = 0; status == NVMKV_OK && i < count; i++)
		{
			fuzz_touch(rows[i].key);
			fuzz_touch(rows[i].value);
		}
		if (status == NVMKV_OK)
			*rows_out += count;
	}
	nvmkv_scan_destroy(it);
	return status;
}

static void
read_database(NvmkvDb *db, uint64_t *rows_out)
{
	NvmkvSnapshot snapshot = {NULL, see_all, NVMKV_SEQUENCE_MAX, NULL};
	NvmkvEstimate estimate;
	NvmkvBuf value = {0};
	uint64_t backwards;
	unsigned i;

	if (scan(db, false, rows_out) != NVMKV_OK)
		*rows_out = UINT64_MAX;
	(void) scan(db, true, &backwards);
	for (i = 0; i < 420; i += 37)
		(void) nvmkv_get(db, rig_key(i), &snapshot, &value, NULL);
	(void) nvmkv_estimate(db, rig_key(100), rig_key(200), &estimate);
	(void) nvmkv_check(db, ignore, NULL);
	nvmkv_buf_free(&value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput in = {data, size};
	uint64_t rows;
	uint64_t again;
	unsigned i;

	if (!made)
		make_database();
	restore();
	for (i = 0; i < CHANGES_MAX && in.left > 0; i++)
		change(&in);
	if (rig_open(&rig) != NVMKV_OK)
	{
		FUZZ_REQUIRE(nvmkv_error()->text[0] != '\0');
		return 0;
	}
	read_database(rig.db, &rows);
	if (rig_reopen(&rig) == NVMKV_OK)
	{
		read_database(rig.db, &again);
		FUZZ_REQUIRE(again == rows);
		(void) nvmkv_flush_all(rig.db);
		(void) nvmkv_compact_all(rig.db);
	}
	else
		FUZZ_REQUIRE(nvmkv_error()->status == NVMKV_NO_SPACE);
	rig_close(&rig);
	return 0;
}

void
fuzz_seeds(void)
{
	unsigned file, kind, at;

	for (file = 0; file < 6; file++)
	{
		for (kind = 13; kind < 16; kind++)
		{
			for (at = 0; at < 2; at++)
			{
				uint8_t seed[8] = {0};

				seed[0] = (uint8_t) file;
				seed[1] = (uint8_t) kind;
				seed[2] = (uint8_t) (at * 100);
				fuzz_seed(seed, sizeof(seed));
			}
		}
	}
}
