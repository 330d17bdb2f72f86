/*
 * port_files.c
 *	  Files by plain POSIX calls; the same for both hosts.
 *
 * Every transfer loops over short counts and EINTR.  A failed sync is returned
 * once and never retried here: the kernel may have dropped the dirty pages, so
 * a second sync that succeeds would prove nothing.
 *
 * Names become durable by syncing their directory: rename and mkdir do it,
 * creation leaves it to the caller (sync_dir), who often creates several.
 */
#include "engine/port/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct PortFile
{
	int fd;
	char path[];
};

bool (*port_fd_give_up)(void) = NULL;

mode_t port_file_mode = S_IRUSR | S_IWUSR;
mode_t port_dir_mode = S_IRWXU;

/* One request to the kernel moves at most this much: below the limit of 2 GiB - 4 KiB. */
#define TRANSFER_BYTES_MAX ((size_t) 1 << 30)

static NvmkvStatus
fail_errno(const char *what, const char *path)
{
	NvmkvStatus status = NVMKV_IO;

	/* EFBIG: a limit on the size of files, which is lifted like a full disk is. */
	if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
		status = NVMKV_NO_SPACE;
	else if (errno == ENOENT)
		status = NVMKV_NOT_FOUND;
	else if (errno == ENOMEM || errno == EMFILE || errno == ENFILE)
		status = NVMKV_NO_MEMORY;
	return NVMKV_FAIL_ERRNO(status, "could not %s \"%s\": %m", what, path);
}

static bool
give_up_fd(void)
{
	bool (*give_up)(void) = port_load_relaxed(&port_fd_give_up);

	return give_up != NULL && give_up();
}

/*
 * A descriptor for one more file, if need be in exchange for one that is kept for later.  To have none is no I/O
 * error: the medium is well.
 */
static NvmkvStatus
acquire_fd(const char *path)
{
	while (!port_fd_acquire())
	{
		if (!give_up_fd())
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "could not open \"%s\": too many files are open in this process", path);
	}
	return NVMKV_OK;
}

static NvmkvStatus
open_fd(const char *path, int oflags, int *fd_out)
{
	NvmkvStatus status = acquire_fd(path);

	NVMKV_RETURN_IF(status);
	do
		*fd_out = open(path, oflags, port_file_mode);
	while (*fd_out < 0 && (errno == EINTR || ((errno == EMFILE || errno == ENFILE) && give_up_fd())));
	if (*fd_out >= 0)
		return NVMKV_OK;
	status = fail_errno("open", path);
	port_fd_release();
	return status;
}

static NvmkvStatus
posix_open(const char *path, int flags, PortFile **file_out)
{
	size_t path_bytes = strlen(path) + 1;
	PortFile *file;
	int oflags = O_CLOEXEC;
	NvmkvStatus status;

	*file_out = NULL;
	oflags |= (flags & PORT_FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
	if ((flags & (PORT_FILE_CREATE | PORT_FILE_EXCLUSIVE)) != 0)
		oflags |= O_CREAT;
	if ((flags & PORT_FILE_EXCLUSIVE) != 0)
		oflags |= O_EXCL;
	if ((flags & PORT_FILE_TRUNCATE) != 0)
		oflags |= O_TRUNC;

	file = port_alloc(sizeof(PortFile) + path_bytes);
	if (file == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to open \"%s\"", path);
	memcpy(file->path, path, path_bytes);
	status = open_fd(path, oflags, &file->fd);
	if (status != NVMKV_OK)
	{
		port_free(file);
		return status;
	}
	*file_out = file;
	return NVMKV_OK;
}

static NvmkvStatus
posix_read_some(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out)
{
	size_t got = 0;

	*got_out = 0;
	while (got < size)
	{
		size_t want = size - got < TRANSFER_BYTES_MAX ? size - got : TRANSFER_BYTES_MAX;
		ssize_t n = pread(file->fd, (uint8_t *) data + got, want, (off_t) (offset + got));

		if (n < 0)
		{
			if (errno == EINTR)
				continue;
			return fail_errno("read file", file->path);
		}
		if (n == 0)
			break;
		got += (size_t) n;
	}
	*got_out = got;
	return NVMKV_OK;
}

static NvmkvStatus
posix_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	size_t got;

	NVMKV_RETURN_IF(posix_read_some(file, offset, data, size, &got));
	if (got != size)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "file \"%s\" is too short: it has %zu of %zu bytes at %" PRIu64, file->path, got,
						  size, offset);
	return NVMKV_OK;
}

static NvmkvStatus
posix_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size)
	{
		size_t want = size - done < TRANSFER_BYTES_MAX ? size - done : TRANSFER_BYTES_MAX;
		ssize_t n = pwrite(file->fd, (const uint8_t *) data + done, want, (off_t) (offset + done));

		if (n < 0)
		{
			if (errno == EINTR)
				continue;
			return fail_errno("write file", file->path);
		}
		if (n == 0)
		{
			/* No progress without an error: what a full device looks like on some file systems. */
			errno = ENOSPC;
			return fail_errno("write file", file->path);
		}
		done += (size_t) n;
	}
	return NVMKV_OK;
}

static NvmkvStatus
posix_preallocate(PortFile *file, uint64_t size)
{
	int rc;

	do
		rc = posix_fallocate(file->fd, 0, (off_t) size);
	while (rc == EINTR);
	if (rc != 0)
	{
		errno = rc;
		return fail_errno("allocate space for file", file->path);
	}
	return NVMKV_OK;
}

static NvmkvStatus
posix_sync(PortFile *file)
{
	int rc;

	/* fdatasync also writes the size and the block map, which is all a reader needs. */
	do
		rc = fdatasync(file->fd);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		return fail_errno("sync file", file->path);
	return NVMKV_OK;
}

static NvmkvStatus
posix_write_behind(PortFile *file, uint64_t offset, uint64_t size, bool wait)
{
	unsigned flags = SYNC_FILE_RANGE_WRITE;

	if (wait)
		flags |= SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER;
	/* Whoever does not know it leaves all the work to sync. */
	if (sync_file_range(file->fd, (off_t) offset, (off_t) size, flags) != 0 &&
		(errno == EIO || errno == ENOSPC || errno == EDQUOT))
		return fail_errno("write file", file->path);
	return NVMKV_OK;
}

static NvmkvStatus
posix_size(PortFile *file, uint64_t *size_out)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0)
		return fail_errno("stat file", file->path);
	*size_out = (uint64_t) st.st_size;
	return NVMKV_OK;
}

static NvmkvStatus
posix_truncate(PortFile *file, uint64_t size)
{
	int rc;

	do
		rc = ftruncate(file->fd, (off_t) size);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
		return fail_errno("truncate file", file->path);
	return NVMKV_OK;
}

static void
posix_close(PortFile *file)
{
	if (file == NULL)
		return;

	/* Linux releases the descriptor even when close reports EINTR; durability was sync's business. */
	(void) close(file->fd);
	port_fd_release();
	port_free(file);
}

static NvmkvStatus
posix_unlink(const char *path)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return fail_errno("remove file", path);
	return NVMKV_OK;
}

/* Opens an existing file or directory for reading only, as fsync needs. */
static NvmkvStatus
sync_path(const char *path, int extra_flags)
{
	NvmkvStatus status = NVMKV_OK;
	int fd;
	int rc;

	NVMKV_RETURN_IF(open_fd(path, O_RDONLY | O_CLOEXEC | extra_flags, &fd));
	do
		rc = fsync(fd);
	while (rc != 0 && errno == EINTR);
	if (rc != 0)
	{
		/* Some file systems have no sync for directories and say EINVAL: then there is nothing to wait for. */
		if (!((extra_flags & O_DIRECTORY) != 0 && errno == EINVAL))
			status = fail_errno("sync", path);
	}
	(void) close(fd);
	port_fd_release();
	return status;
}

static NvmkvStatus
posix_sync_dir(const char *path)
{
	return sync_path(path, O_DIRECTORY);
}

static NvmkvStatus
sync_parent_dir(const char *path)
{
	size_t size = strlen(path);
	char *parent;
	char *slash;
	NvmkvStatus status;

	parent = port_alloc(size + 2);
	if (parent == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to sync the directory of \"%s\"", path);
	memcpy(parent, path, size + 1);
	while (size > 1 && parent[size - 1] == '/')
		parent[--size] = '\0';
	slash = strrchr(parent, '/');
	if (slash == NULL)
		memcpy(parent, ".", 2);
	else if (slash == parent)
		parent[1] = '\0';
	else
		*slash = '\0';
	status = posix_sync_dir(parent);
	port_free(parent);
	return status;
}

/*
 * 1. sync "from"      crash after: nothing visible changed
 * 2. rename           crash after: either name, but complete contents
 * 3. sync directory   crash after: "to" has the new contents
 * Both names are in one directory, or the old name may come back too.
 */
static NvmkvStatus
posix_rename(const char *from, const char *to)
{
	NVMKV_RETURN_IF(sync_path(from, 0));
	if (rename(from, to) != 0)
		return fail_errno("rename a file to", to);
	return sync_parent_dir(to);
}

static NvmkvStatus
posix_mkdir(const char *path)
{
	struct stat st;

	if (mkdir(path, port_dir_mode) != 0)
	{
		if (errno != EEXIST)
			return fail_errno("create directory", path);
		if (stat(path, &st) != 0)
			return fail_errno("stat directory", path);
		if (!S_ISDIR(st.st_mode))
			return NVMKV_FAIL(NVMKV_IO, "\"%s\" exists and is not a directory", path);
	}

	/* Also when it existed: whoever made it may have died before this. */
	return sync_parent_dir(path);
}

static NvmkvStatus
posix_list(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx)
{
	NvmkvStatus status = NVMKV_OK;
	DIR *d;

	NVMKV_RETURN_IF(acquire_fd(dir));
	d = opendir(dir);
	if (d == NULL)
	{
		status = fail_errno("open directory", dir);
		port_fd_release();
		return status;
	}
	for (;;)
	{
		struct dirent *entry;

		errno = 0;
		entry = readdir(d);
		if (entry == NULL)
		{
			if (errno != 0)
				status = fail_errno("read directory", dir);
			break;
		}
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (!each(ctx, entry->d_name))
			break;
	}
	(void) closedir(d);
	port_fd_release();
	return status;
}

static void *
posix_map(PortFile *file, uint64_t bytes)
{
	void *map = mmap(NULL, (size_t) bytes, PROT_READ, MAP_SHARED, file->fd, 0);

	if (map == MAP_FAILED)
		return NULL;
	/* Who reads here and there wants no neighbours. */
	(void) madvise(map, (size_t) bytes, MADV_RANDOM);
	return map;
}

int
port_file_fd(PortFile *file)
{
	return file->fd;
}

const char *
port_file_path(PortFile *file)
{
	return file->path;
}

const PortFileOps port_posix_files = {
	.open = posix_open,
	.read = posix_read,
	.read_some = posix_read_some,
	.write = posix_write,
	.preallocate = posix_preallocate,
	.sync = posix_sync,
	.size = posix_size,
	.truncate = posix_truncate,
	.close = posix_close,
	.unlink = posix_unlink,
	.rename = posix_rename,
	.mkdir = posix_mkdir,
	.sync_dir = posix_sync_dir,
	.list = posix_list,
	.write_behind = posix_write_behind,
	.map = posix_map,
};

const PortFileOps *port_files = &port_posix_files;
