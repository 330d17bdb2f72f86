/*
 * unsynced.c
 *	  See unsynced.h.
 */
#include "lib/unsynced.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/rig.h"

#define FILES_MAX 256
#define PATH_BYTES 640

typedef struct File
{
	char path[PATH_BYTES]; /* empty: none */
	bool content, name;	   /* not durable */
} File;

static File known[FILES_MAX];

NvmkvStatus (*unsynced_fail)(const char *what, const char *path);

void
unsynced_reset(void)
{
	memset(known, 0, sizeof(known));
	unsynced_fail = NULL;
}

const char *
unsynced_of(const char *part)
{
	unsigned i;

	for (i = 0; i < FILES_MAX; i++)
		if ((known[i].content || known[i].name) && strstr(known[i].path, part) != NULL)
			return known[i].path;
	return NULL;
}

static File *
file_of(const char *path)
{
	File *none = NULL;
	unsigned i;

	for (i = 0; i < FILES_MAX; i++)
	{
		if (strcmp(known[i].path, path) == 0)
			return &known[i];
		if (none == NULL && !known[i].content && !known[i].name)
			none = &known[i];
	}
	if (none == NULL)
	{
		fprintf(stderr, "unsynced.c: too many files\n");
		exit(2);
	}
	memset(none, 0, sizeof(*none));
	snprintf(none->path, sizeof(none->path), "%s", path);
	return none;
}

static NvmkvStatus
may_fail(const char *what, const char *path)
{
	return unsynced_fail != NULL ? unsynced_fail(what, path) : NVMKV_OK;
}

static NvmkvStatus
unsynced_open(const char *path, int flags, PortFile **file_out)
{
	bool there = access(path, F_OK) == 0;

	NVMKV_RETURN_IF(rig_quick_files.open(path, flags, file_out));
	if (!there)
		file_of(path)->name = true;
	else if ((flags & PORT_FILE_TRUNCATE) != 0)
		file_of(path)->content = true;
	return NVMKV_OK;
}

static NvmkvStatus
unsynced_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	return rig_quick_files.read(file, offset, data, size);
}

static NvmkvStatus
unsynced_read_some(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out)
{
	return rig_quick_files.read_some(file, offset, data, size, got_out);
}

static NvmkvStatus
unsynced_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	NVMKV_RETURN_IF(may_fail("write", port_file_path(file)));
	file_of(port_file_path(file))->content = true;
	return rig_quick_files.write(file, offset, data, size);
}

static NvmkvStatus
unsynced_preallocate(PortFile *file, uint64_t size)
{
	file_of(port_file_path(file))->content = true;
	return rig_quick_files.preallocate(file, size);
}

static NvmkvStatus
unsynced_sync(PortFile *file)
{
	NVMKV_RETURN_IF(may_fail("sync", port_file_path(file)));
	file_of(port_file_path(file))->content = false;
	return NVMKV_OK;
}

static NvmkvStatus
unsynced_size(PortFile *file, uint64_t *size_out)
{
	return rig_quick_files.size(file, size_out);
}

static NvmkvStatus
unsynced_truncate(PortFile *file, uint64_t size)
{
	file_of(port_file_path(file))->content = true;
	return rig_quick_files.truncate(file, size);
}

static void
unsynced_close(PortFile *file)
{
	rig_quick_files.close(file);
}

static NvmkvStatus
unsynced_unlink(const char *path)
{
	File *file;

	NVMKV_RETURN_IF(may_fail("unlink", path));
	file = file_of(path);
	file->content = file->name = false;
	return rig_quick_files.unlink(path);
}

/* All of it is durable then. */
static NvmkvStatus
unsynced_rename(const char *from, const char *to)
{
	File *file;

	NVMKV_RETURN_IF(rig_quick_files.rename(from, to));
	file = file_of(from);
	file->content = file->name = false;
	file = file_of(to);
	file->content = file->name = false;
	return NVMKV_OK;
}

static NvmkvStatus
unsynced_mkdir(const char *path)
{
	return rig_quick_files.mkdir(path);
}

static NvmkvStatus
unsynced_sync_dir(const char *path)
{
	size_t n = strlen(path);
	unsigned i;

	for (i = 0; i < FILES_MAX; i++)
		if (strncmp(known[i].path, path, n) == 0 && known[i].path[n] == '/' &&
			strchr(known[i].path + n + 1, '/') == NULL)
			known[i].name = false;
	return NVMKV_OK;
}

static NvmkvStatus
unsynced_list(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx)
{
	return rig_quick_files.list(dir, each, ctx);
}

const PortFileOps unsynced_files = {
	.open = unsynced_open,
	.read = unsynced_read,
	.read_some = unsynced_read_some,
	.write = unsynced_write,
	.preallocate = unsynced_preallocate,
	.sync = unsynced_sync,
	.size = unsynced_size,
	.truncate = unsynced_truncate,
	.close = unsynced_close,
	.unlink = unsynced_unlink,
	.rename = unsynced_rename,
	.mkdir = unsynced_mkdir,
	.sync_dir = unsynced_sync_dir,
	.list = unsynced_list,
};
