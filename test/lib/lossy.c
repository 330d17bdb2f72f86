/*
 * lossy.c
 *	  See lossy.h.
 */
#include "lib/lossy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define PATH_BYTES 700
#define MARK ".lossy"

typedef struct OldSector
{
	uint64_t number;
	uint8_t bytes[SECTOR];
	struct OldSector *next;
} OldSector;

#define BUCKETS 8192 /* a pool has tens of thousands of sectors */

typedef struct LossyFile
{
	char path[PATH_BYTES];
	char aside[PATH_BYTES + 32]; /* where a removed file waits; empty: it is not removed */
	bool name_synced;
	bool replaced; /* by a rename: the name is this file's or the other's, never nobody's */
	uint64_t durable_size;
	OldSector *old[BUCKETS];
	struct LossyFile *next;
} LossyFile;

static LossyFile *files;
static uint64_t operations;
static uint64_t random_state;
static unsigned aside_number;
static char ignored[64];
static char overwritten[64];

LossyTally *lossy_tally;
void (*lossy_hook)(uint64_t operation);
NvmkvStatus (*lossy_fail)(uint64_t operation, const char *what, const char *path);

static uint64_t
next_random(void)
{
	uint64_t z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static void
die(const char *what, const char *path)
{
	fprintf(stderr, "lossy files: %s \"%s\" failed\n", what, path);
	_exit(3);
}

static NvmkvStatus
before(const char *what, const char *path)
{
	NvmkvStatus st = NVMKV_OK;

	operations++;
	if (lossy_hook != NULL)
		lossy_hook(operations);
	if (lossy_fail != NULL)
		st = lossy_fail(operations, what, path);
	return st;
}

/* ---- the books ---- */

static void
forget_content(LossyFile *file)
{
	unsigned i;

	for (i = 0; i < BUCKETS; i++)
		while (file->old[i] != NULL)
		{
			OldSector *next = file->old[i]->next;

			free(file->old[i]);
			file->old[i] = next;
		}
}

static void
forget_file(LossyFile *file)
{
	LossyFile **link = &files;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	forget_content(file);
	free(file);
}

void
lossy_reset(uint64_t seed)
{
	while (files != NULL)
		forget_file(files);
	operations = 0;
	random_state = seed;
}

void
lossy_ignore_content(const char *suffix)
{
	(void) snprintf(ignored, sizeof(ignored), "%s", suffix != NULL ? suffix : "");
}

void
lossy_overwritten(const char *suffix)
{
	(void) snprintf(overwritten, sizeof(overwritten), "%s", suffix != NULL ? suffix : "");
}

uint64_t
lossy_operations(void)
{
	return operations;
}

static bool
ends_with(const char *path, const char *suffix)
{
	size_t n = strlen(suffix);
	size_t size = strlen(path);

	return n > 0 && size >= n && strcmp(path + size - n, suffix) == 0;
}

static bool
is_blank(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static LossyFile *
find(const char *path)
{
	LossyFile *file;

	for (file = files; file != NULL; file = file->next)
		if (file->aside[0] == '\0' && strcmp(file->path, path) == 0)
			return file;
	return NULL;
}

static LossyFile *
add(const char *path)
{
	LossyFile *file = calloc(1, sizeof(LossyFile));

	if (file == NULL)
		die("memory for", path);
	(void) snprintf(file->path, sizeof(file->path), "%s", path);
	file->next = files;
	files = file;
	return file;
}

/* What was there before the books were opened is durable. */
static LossyFile *
find_or_add(const char *path)
{
	LossyFile *file = find(path);
	struct stat st;

	if (file != NULL)
		return file;
	file = add(path);
	file->name_synced = true;
	if (stat(path, &st) == 0)
		file->durable_size = (uint64_t) st.st_size;
	return file;
}

static const char *
real_path(const LossyFile *file)
{
	return file->aside[0] != '\0' ? file->aside : file->path;
}

static uint64_t
size_now(const LossyFile *file)
{
	struct stat st;

	if (stat(real_path(file), &st) != 0)
		die("stat of", real_path(file));
	return (uint64_t) st.st_size;
}

#define READ_SECTORS 512 /* a call; a truncated pool has tens of thousands */

/* Remembers the durable content of sectors [from, to), those that are not remembered yet. */
static void
remember(LossyFile *file, uint64_t from, uint64_t to)
{
	static uint8_t content[READ_SECTORS][SECTOR];
	uint64_t end = file->durable_size / SECTOR + 1;
	uint64_t first = UINT64_MAX; /* in "content" */
	uint64_t number;
	int fd = -1;

	if (ends_with(file->path, ignored))
		return;
	for (number = from; number < to; number++)
	{
		OldSector **bucket = &file->old[number % BUCKETS];
		OldSector *old = *bucket;

		while (old != NULL && old->number != number)
			old = old->next;
		if (old != NULL)
			continue;
		old = calloc(1, sizeof(OldSector));
		if (old == NULL)
			die("memory for", file->path);
		old->number = number;
		old->next = *bucket;
		*bucket = old;
		if (number >= end)
			continue;
		if (fd < 0)
			fd = open(real_path(file), O_RDONLY | O_CLOEXEC);
		if (number < first || number >= first + READ_SECTORS)
		{
			/* No more than is asked for: most writes are small. */
			size_t size = SECTOR * (size_t) (to - number < READ_SECTORS ? to - number : READ_SECTORS);
			ssize_t got = fd < 0 ? -1 : pread(fd, content, size, (off_t) (number * SECTOR));

			if (got < 0)
				die("read of", real_path(file));
			memset((uint8_t *) content + got, 0, size - (size_t) got); /* behind the end of the file */
			first = number;
		}
		memcpy(old->bytes, content[number - first], SECTOR);
	}
	if (fd >= 0)
		close(fd);
}

/* ---- operations ---- */

static NvmkvStatus
lossy_open(const char *path, int flags, PortFile **file_out)
{
	bool existed = access(path, F_OK) == 0;
	bool creates = !existed && (flags & (PORT_FILE_CREATE | PORT_FILE_EXCLUSIVE)) != 0;
	bool truncates = existed && (flags & PORT_FILE_TRUNCATE) != 0;

	if (creates || truncates)
		NVMKV_RETURN_IF(before(creates ? "create" : "truncate", path));
	if (truncates)
	{
		LossyFile *file = find_or_add(path);

		remember(file, 0, file->durable_size / SECTOR + 1);
	}
	NVMKV_RETURN_IF(port_posix_files.open(path, flags, file_out));
	if (creates)
		(void) add(path);
	return NVMKV_OK;
}

static NvmkvStatus
lossy_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	const char *path = port_file_path(file);

	NVMKV_RETURN_IF(before("write", path));
	if (size > 0)
		remember(find_or_add(path), offset / SECTOR, (offset + size - 1) / SECTOR + 1);
	return port_posix_files.write(file, offset, data, size);
}

static NvmkvStatus
lossy_preallocate(PortFile *file, uint64_t size)
{
	const char *path = port_file_path(file);

	NVMKV_RETURN_IF(before("preallocate", path));
	(void) find_or_add(path);
	return port_posix_files.preallocate(file, size);
}

static void
content_is_durable(const char *path)
{
	LossyFile *file = find_or_add(path);

	forget_content(file);
	file->durable_size = size_now(file);
}

static NvmkvStatus
lossy_sync(PortFile *file)
{
	NVMKV_RETURN_IF(before("sync", port_file_path(file)));
	/* A file removed while it is open: nobody will find what was synced. */
	if (access(port_file_path(file), F_OK) == 0)
		content_is_durable(port_file_path(file));
	return NVMKV_OK;
}

static NvmkvStatus
lossy_truncate(PortFile *file, uint64_t size)
{
	const char *path = port_file_path(file);
	LossyFile *books;

	NVMKV_RETURN_IF(before("truncate", path));
	books = find_or_add(path);
	remember(books, size / SECTOR, books->durable_size / SECTOR + 1);
	return port_posix_files.truncate(file, size);
}

static NvmkvStatus
lossy_unlink(const char *path)
{
	LossyFile *file;

	NVMKV_RETURN_IF(before("unlink", path));
	if (access(path, F_OK) != 0)
		return NVMKV_OK;
	file = find_or_add(path);
	if (!file->name_synced)
	{
		forget_file(file);
		return port_posix_files.unlink(path);
	}
	(void) snprintf(file->aside, sizeof(file->aside), "%s" MARK "%u", path, aside_number++);
	if (rename(path, file->aside) != 0)
		die("setting aside of", path);
	return NVMKV_OK;
}

static bool
is_in(const LossyFile *file, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(file->path, dir, n) == 0 && file->path[n] == '/' && strchr(file->path + n + 1, '/') == NULL;
}

static void
names_are_durable(const char *dir)
{
	LossyFile *file, *next;

	for (file = files; file != NULL; file = next)
	{
		next = file->next;
		if (!is_in(file, dir))
			continue;
		file->name_synced = true;
		if (file->aside[0] != '\0')
		{
			(void) unlink(file->aside);
			forget_file(file);
		}
	}
}

static NvmkvStatus
lossy_sync_dir(const char *path)
{
	NVMKV_RETURN_IF(before("sync", path));
	names_are_durable(path);
	return NVMKV_OK;
}

static void
parent_of(const char *path, char *parent)
{
	char *slash;

	(void) snprintf(parent, PATH_BYTES, "%s", path);
	slash = strrchr(parent, '/');
	if (slash != NULL)
		*slash = '\0';
}

/* Three steps, with a chance to fail or crash before each: sync of the file, rename, sync of the directory. */
static NvmkvStatus
lossy_rename(const char *from, const char *to)
{
	char parent[PATH_BYTES];
	LossyFile *file;
	LossyFile *replaced;

	NVMKV_RETURN_IF(before("sync", from));
	content_is_durable(from);
	NVMKV_RETURN_IF(before("rename", from));
	/* The rename itself is all or nothing; the replaced file may come back when the directory is not synced. */
	replaced = access(to, F_OK) == 0 ? find_or_add(to) : NULL;
	if (replaced != NULL && replaced->name_synced)
	{
		(void) snprintf(replaced->aside, sizeof(replaced->aside), "%s" MARK "%u", to, aside_number++);
		if (link(to, replaced->aside) != 0)
			die("setting aside of", to);
		replaced->replaced = true;
	}
	else if (replaced != NULL)
		forget_file(replaced);
	if (rename(from, to) != 0)
		die("rename of", from);
	file = find_or_add(from);
	(void) snprintf(file->path, sizeof(file->path), "%s", to);
	file->name_synced = false;
	parent_of(to, parent);
	return lossy_sync_dir(parent);
}

typedef struct ListFilter
{
	bool (*each)(void *ctx, const char *name);
	void *ctx;
} ListFilter;

static bool
list_unmarked(void *ctx, const char *name)
{
	ListFilter *filter = ctx;

	return strstr(name, MARK) != NULL || filter->each(filter->ctx, name);
}

static NvmkvStatus
lossy_list(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx)
{
	ListFilter filter = {each, ctx};

	return port_posix_files.list(dir, list_unmarked, &filter);
}

static NvmkvStatus
lossy_mkdir(const char *path)
{
	NVMKV_RETURN_IF(before("mkdir", path));
	/* Its name is durable at once, as with the real one, which takes its time. */
	return mkdir(path, port_dir_mode) == 0 || errno == EEXIST ? NVMKV_OK : port_posix_files.mkdir(path);
}

static NvmkvStatus
lossy_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	return port_posix_files.read(file, offset, data, size);
}

static NvmkvStatus
lossy_read_some(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out)
{
	return port_posix_files.read_some(file, offset, data, size, got_out);
}

static NvmkvStatus
lossy_size(PortFile *file, uint64_t *size_out)
{
	return port_posix_files.size(file, size_out);
}

static void
lossy_close(PortFile *file)
{
	port_posix_files.close(file);
}

const PortFileOps lossy_files = {
	.open = lossy_open,
	.read = lossy_read,
	.read_some = lossy_read_some,
	.write = lossy_write,
	.preallocate = lossy_preallocate,
	.sync = lossy_sync,
	.size = lossy_size,
	.truncate = lossy_truncate,
	.close = lossy_close,
	.unlink = lossy_unlink,
	.rename = lossy_rename,
	.mkdir = lossy_mkdir,
	.sync_dir = lossy_sync_dir,
	.list = lossy_list,
};

/* ---- the crash ---- */

LossyKind
lossy_kind(const char *path)
{
	const char *name = strrchr(path, '/');

	name = name != NULL ? name + 1 : path;
	if (strncmp(name, "CURRENT", 7) == 0)
		return LOSSY_CURRENT;
	if (strncmp(name, "MANIFEST-", 9) == 0)
		return LOSSY_MANIFEST;
	if (strstr(name, ".log") != NULL)
		return LOSSY_LOG;
	if (strstr(name, ".sst") != NULL)
		return LOSSY_TABLE;
	return strncmp(name, "level0.pool", 11) == 0 ? LOSSY_POOL : LOSSY_OTHER;
}

const char *
lossy_kind_name(LossyKind kind)
{
	static const char *const names[] = {"CURRENT", "manifest", "log", "table", "pool", "other"};

	return kind < LOSSY_KINDS ? names[kind] : "?";
}

static void
count(uint64_t *counters, const char *path)
{
	if (lossy_tally != NULL)
		counters[lossy_kind(path)]++;
}

/* The tally's array, or NULL. */
#define TALLY(field) (lossy_tally != NULL ? lossy_tally->field : NULL)

static void
crash_content(LossyFile *file)
{
	uint64_t now = size_now(file);
	uint64_t size = now;
	unsigned mood = (unsigned) (next_random() % 4); /* all new, all old, or each sector for itself */
	int fd = open(real_path(file), O_RDWR | O_CLOEXEC);
	unsigned i;

	if (fd < 0)
		die("open of", real_path(file));
	if (now > file->durable_size && mood != 0)
		size = mood == 1 ? file->durable_size : file->durable_size + next_random() % (now - file->durable_size + 1);
	else if (now < file->durable_size && mood != 0)
		size = mood == 1 || next_random() % 2 == 0 ? file->durable_size : now;
	if (ftruncate(fd, (off_t) size) != 0)
		die("truncation of", real_path(file));
	for (i = 0; i < BUCKETS; i++)
	{
		OldSector *old;

		for (old = file->old[i]; old != NULL; old = old->next)
		{
			uint64_t offset = old->number * SECTOR;
			unsigned choice = mood < 2 ? mood : (unsigned) (next_random() % 3);
			unsigned b;

			/* Not new and not garbage: old.  A sector that the truncation took away is back with the size. */
			if (offset >= size || (choice == 0 && offset < now))
			{
				count(TALLY(kept), file->path);
				continue;
			}
			count(TALLY(reverted), file->path);
			if (choice == 2 && (ends_with(file->path, overwritten) || is_blank(old->bytes, SECTOR)))
			{
				count(TALLY(garbled), file->path);
				for (b = 0; b < SECTOR; b++)
					old->bytes[b] = (uint8_t) next_random();
			}
			if (pwrite(fd, old->bytes, (size_t) (size - offset < SECTOR ? size - offset : SECTOR), (off_t) offset) < 0)
				die("write of", real_path(file));
		}
	}
	close(fd);
}

void
lossy_crash(void)
{
	LossyFile *file;

	for (file = files; file != NULL; file = file->next)
		crash_content(file);
	for (file = files; file != NULL; file = file->next)
		if (file->aside[0] == '\0' && !file->name_synced && next_random() % 2 == 0)
		{
			count(TALLY(names_lost), file->path);
			(void) unlink(file->path);
		}
	for (file = files; file != NULL; file = file->next)
		if (file->aside[0] != '\0')
		{
			if (access(file->path, F_OK) != 0 && (file->replaced || next_random() % 2 == 0))
			{
				count(TALLY(names_back), file->path);
				(void) rename(file->aside, file->path);
			}
			else
				(void) unlink(file->aside);
		}
}
