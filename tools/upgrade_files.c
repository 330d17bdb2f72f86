/*
 * upgrade_files.c
 *	  See upgrade_files.h.
 */
#include "tools/upgrade_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define COPY_BYTES (UINT64_C(1) << 20)

/* What is done to each name in a directory. */
typedef NvmkvStatus (*EachName)(void *ctx, const char *path, const char *name, bool is_dir);

bool
upgrade_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static NvmkvStatus
join(char *buf, const char *dir, const char *name)
{
	if (snprintf(buf, PATH_BYTES, "%s/%s", dir, name) >= PATH_BYTES)
		return NVMKV_FAIL(NVMKV_LIMIT, "the name of \"%s\" in \"%s\" is too long", name, dir);
	return NVMKV_OK;
}

static NvmkvStatus
look_at(const char *dir, const char *name, EachName each, void *ctx)
{
	char path[PATH_BYTES];
	struct stat st;

	NVMKV_RETURN_IF(join(path, dir, name));
	if (lstat(path, &st) != 0)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not look at \"%s\"", path);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" is neither a file nor a directory: put what it stands for in its place", path);
	return each(ctx, path, name, S_ISDIR(st.st_mode));
}

static NvmkvStatus
for_each(const char *dir, EachName each, void *ctx)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;
	NvmkvStatus status = NVMKV_OK;

	if (handle == NULL)
		return errno == ENOENT ? NVMKV_OK : NVMKV_FAIL_ERRNO(NVMKV_IO, "could not open directory \"%s\"", dir);
	while (status == NVMKV_OK)
	{
		errno = 0;
		entry = readdir(handle);
		if (entry == NULL && errno != 0)
			status = NVMKV_FAIL_ERRNO(NVMKV_IO, "could not read directory \"%s\"", dir);
		if (entry == NULL)
			break;
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = look_at(dir, entry->d_name, each, ctx);
	}
	closedir(handle);
	return status;
}

static NvmkvStatus
remove_one(void *ctx, const char *path, const char *name, bool is_dir)
{
	(void) ctx;
	(void) name;
	if (!is_dir)
		return port_files->unlink(path);
	NVMKV_RETURN_IF(for_each(path, remove_one, NULL));
	if (rmdir(path) != 0)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not remove directory \"%s\"", path);
	return NVMKV_OK;
}

NvmkvStatus
upgrade_remove(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? NVMKV_OK : NVMKV_FAIL_ERRNO(NVMKV_IO, "could not look at \"%s\"", path);
	return remove_one(NULL, path, "", S_ISDIR(st.st_mode));
}

static NvmkvStatus
copy_bytes(PortFile *from, PortFile *to)
{
	void *buffer = port_alloc(COPY_BYTES);
	uint64_t offset = 0;
	size_t got = 1;
	NvmkvStatus status = NVMKV_OK;

	if (buffer == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	while (status == NVMKV_OK && got > 0)
	{
		status = port_files->read_some(from, offset, buffer, COPY_BYTES, &got);
		if (status == NVMKV_OK && got > 0)
			status = port_files->write(to, offset, buffer, got);
		offset += got;
	}
	port_free(buffer);
	return status == NVMKV_OK ? port_files->sync(to) : status;
}

static NvmkvStatus
copy_to(const char *from, const char *to)
{
	PortFile *source;
	PortFile *target;
	NvmkvStatus status;

	NVMKV_RETURN_IF(port_fault("upgrade.copy"));
	NVMKV_RETURN_IF(port_files->open(from, PORT_FILE_READ, &source));
	status = port_files->open(to, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &target);
	if (status == NVMKV_OK)
	{
		status = copy_bytes(source, target);
		port_files->close(target);
	}
	port_files->close(source);
	return status;
}

static NvmkvStatus
copy_one(void *ctx, const char *path, const char *name, bool is_dir)
{
	char to[PATH_BYTES];

	NVMKV_RETURN_IF(join(to, ctx, name));
	return is_dir ? upgrade_copy_dir(path, to) : copy_to(path, to);
}

NvmkvStatus
upgrade_copy_dir(const char *from, const char *to)
{
	NVMKV_RETURN_IF(port_files->mkdir(to));
	NVMKV_RETURN_IF(for_each(from, copy_one, (void *) (uintptr_t) to));
	return port_files->sync_dir(to);
}

NvmkvStatus
upgrade_copy_file(const char *from, const char *to)
{
	char temp[PATH_BYTES];

	if (snprintf(temp, sizeof(temp), "%s.new", to) >= PATH_BYTES)
		return NVMKV_FAIL(NVMKV_LIMIT, "the name of \"%s\" is too long", to);
	NVMKV_RETURN_IF(copy_to(from, temp));
	return port_files->rename(temp, to);
}

/* The directory that a path is in. */
static NvmkvStatus
sync_parent(const char *path)
{
	char parent[PATH_BYTES];
	char *slash;

	(void) snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return port_files->sync_dir(".");
	*slash = '\0';
	return port_files->sync_dir(parent);
}

NvmkvStatus
upgrade_move(const char *from, const char *to)
{
	if (rename(from, to) != 0)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not move \"%s\" to \"%s\"", from, to);
	NVMKV_RETURN_IF(sync_parent(to));
	return sync_parent(from);
}

typedef struct Ending
{
	const char *text;
	bool found;
} Ending;

static NvmkvStatus
see_ending(void *ctx, const char *path, const char *name, bool is_dir)
{
	Ending *ending = ctx;
	size_t n = strlen(name);
	size_t m = strlen(ending->text);

	if (is_dir)
		return for_each(path, see_ending, ending);
	if (n > m && strcmp(name + n - m, ending->text) == 0)
		ending->found = true;
	return NVMKV_OK;
}

NvmkvStatus
upgrade_has_files(const char *dir, const char *ending, bool *has_out)
{
	Ending search = {ending, false};

	NVMKV_RETURN_IF(for_each(dir, see_ending, &search));
	*has_out = search.found;
	return NVMKV_OK;
}
