/*
 * nvm_device.c
 *	  Persistent memory and ordinary files behind one table of operations.
 *
 * Called by whoever opens a pool (once, before processes fork) and by the
 * flush, which copies and persists.  The struct is process-local: after a fork
 * each process keeps its own record of failures, which is right, since the
 * process that copies is the one that persists.
 *
 * The file below the map stays open for its lock and, on ordinary files, for
 * writing.  The lock is fcntl's: it belongs to the process that opened, is not
 * inherited, and so keeps a second server (a copy of the data directory whose
 * settings still name this pool) from using the same bytes.
 */
#include "engine/nvm/device.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libpmem.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/assert.h"

void (*nvm_device_hook)(NvmDevice *dev);

typedef struct MappedDevice
{
	NvmDevice dev; /* first: the operations cast back */
	PortFile *file;
	void *map;
	bool has_length;          /* a file, be it on persistent memory */
	bool dirty;               /* copied since the last sync (files) */
	bool sync_failed;         /* sticky */
	NvmkvStatus copy_failure; /* of a copy not yet reported (files) */
	uint64_t behind;		  /* the range that the medium was last asked to write (files) */
	uint64_t behind_bytes;
} MappedDevice;

static MappedDevice *
mapped_of(NvmDevice *dev)
{
	return (MappedDevice *) (void *) dev;
}

/* Also of a device that is not open yet all the way. */
static void
release(NvmDevice *dev)
{
	MappedDevice *m = mapped_of(dev);

	port_guard_remove(&dev->guard);
	if (m->map != NULL && dev->is_pmem)
		(void) pmem_unmap(m->map, (size_t) dev->bytes);
	else if (m->map != NULL)
		(void) munmap(m->map, (size_t) dev->bytes);
	if (m->file != NULL)
		port_files->close(m->file);
	port_free(m);
}

NvmkvStatus
nvm_device_lost(const NvmDevice *dev)
{
	uint64_t page = port_load_acquire(&dev->guard.pages[0]);

	return NVMKV_FAIL(NVMKV_IO, "pool \"%s\" cannot be read at %" PRIu64 ": it was truncated, or its medium has failed; restore it and restart",
					  dev->path, page > 0 ? page - 1 : 0);
}

/* ---- persistent memory ---- */

static void
pmem_copy(NvmDevice *dev, uint64_t offset, const void *data, size_t size)
{
	NVMKV_ASSERT(offset <= dev->bytes && size <= dev->bytes - offset);
	pmem_memcpy_nodrain((uint8_t *) mapped_of(dev)->map + offset, data, size);
}

/* Copies were flushed as they were made: what is left is to wait for them. */
static NvmkvStatus
pmem_persist_range(NvmDevice *dev, uint64_t offset, uint64_t size)
{
	(void) offset;
	(void) size;
	pmem_drain();
	return port_guard_lost(&dev->guard) == 0 ? NVMKV_OK : nvm_device_lost(dev);
}

static const NvmDeviceOps pmem_ops = {pmem_copy, pmem_persist_range, release};

/* ---- ordinary file ---- */

/*
 * The medium writes one range while the next is being made, so that persist finds little left to do, and those who
 * share the disk find no whole row before them in its queue.
 */
#define WRITE_BEHIND_BYTES_MIN (64 * 1024)

static NvmkvStatus
write_behind(MappedDevice *m, uint64_t offset, uint64_t size)
{
	NvmkvStatus status = port_write_behind(m->file, offset, size, false);

	if (status == NVMKV_OK && m->behind_bytes > 0)
		status = port_write_behind(m->file, m->behind, m->behind_bytes, true);
	m->behind = offset;
	m->behind_bytes = size;
	return status;
}

static void
file_copy(NvmDevice *dev, uint64_t offset, const void *data, size_t size)
{
	MappedDevice *m = mapped_of(dev);
	NvmkvStatus status;

	NVMKV_ASSERT(offset <= dev->bytes && size <= dev->bytes - offset);
	m->dirty = true;
	status = port_files->write(m->file, offset, data, size);
	if (status == NVMKV_OK && size >= WRITE_BEHIND_BYTES_MIN)
		status = write_behind(m, offset, size);
	if (status != NVMKV_OK && m->copy_failure == NVMKV_OK)
		m->copy_failure = status;
}

static NvmkvStatus
file_persist(NvmDevice *dev, uint64_t offset, uint64_t size)
{
	MappedDevice *m = mapped_of(dev);
	NvmkvStatus status;

	(void) offset;
	(void) size;
	if (port_guard_lost(&dev->guard) != 0)
		return nvm_device_lost(dev);
	if (m->sync_failed)
		return NVMKV_FAIL(NVMKV_IO, "pool \"%s\": an earlier sync failed, its content is not certain", dev->path);
	if (m->copy_failure != NVMKV_OK)
	{
		status = m->copy_failure;
		m->copy_failure = NVMKV_OK;
		return NVMKV_FAIL(status, "pool \"%s\": a write failed (%s)", dev->path, nvmkv_status_name(status));
	}
	if (!m->dirty)
		return NVMKV_OK;
	status = port_files->sync(m->file);
	if (status != NVMKV_OK)
		m->sync_failed = true;
	else
		m->dirty = false;
	return status;
}

static const NvmDeviceOps file_ops = {file_copy, file_persist, release};

/* ---- opening ---- */

/* As many links as Linux follows. */
#define LINKS_MAX 40

NvmkvStatus
nvm_device_target(const char *path, char target_out[NVM_DEVICE_PATH_MAX])
{
	unsigned links;

	if (strlen(path) >= NVM_DEVICE_PATH_MAX)
		return NVMKV_FAIL(NVMKV_INVALID, "path of a pool must have 1 to %d bytes, not %zu", NVM_DEVICE_PATH_MAX - 1, strlen(path));
	memcpy(target_out, path, strlen(path) + 1);
	for (links = 0; links <= LINKS_MAX; links++)
	{
		char link[NVM_DEVICE_PATH_MAX];
		ssize_t size = readlink(target_out, link, sizeof(link));
		char *slash = strrchr(target_out, '/');
		size_t kept = 0;

		if (size < 0 && (errno == EINVAL || errno == ENOENT))
			return NVMKV_OK; /* no link, or nothing there */
		if (size < 0)
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot look at pool \"%s\"", path);
		/* One that is relative begins in the directory that the link is in. */
		if (link[0] != '/' && slash != NULL)
			kept = (size_t) (slash - target_out) + 1;
		if (kept + (size_t) size >= NVM_DEVICE_PATH_MAX)
			return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" is a link to a path that is too long", path);
		memcpy(target_out + kept, link, (size_t) size);
		target_out[kept + (size_t) size] = '\0';
	}
	errno = ELOOP;
	return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot look at pool \"%s\"", path);
}

/*
 * Steps: 1 allocate and sync under another name (crash: a left-over that the
 * next creation truncates); 2 durable rename (crash: before or after).
 * A link stays one: the file is made where it leads to, also when nothing is there yet.
 */
static NvmkvStatus
create_file(const char *path, uint64_t bytes)
{
	char target[NVM_DEVICE_PATH_MAX];
	char temp[NVM_DEVICE_PATH_MAX + 8];
	PortFile *file;
	NvmkvStatus status;

	NVMKV_RETURN_IF(nvm_device_target(path, target));
	(void) snprintf(temp, sizeof(temp), "%s.new", target);
	NVMKV_RETURN_IF(
		port_files->open(temp, PORT_FILE_READ | PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	status = port_files->preallocate(file, bytes);
	if (status == NVMKV_OK)
		status = port_files->sync(file);
	port_files->close(file);
	if (status == NVMKV_OK)
		status = port_fault("pool.file_allocated");
	if (status == NVMKV_OK)
		status = port_files->rename(temp, target);
	if (status != NVMKV_OK)
		(void) port_files->unlink(temp);
	return status;
}

static NvmkvStatus
lock_file(MappedDevice *m)
{
	struct flock lock = {0};

	lock.l_type = F_WRLCK;
	lock.l_whence = SEEK_SET;
	if (fcntl(port_file_fd(m->file), F_SETLK, &lock) == 0)
		return NVMKV_OK;
	if (errno == EACCES || errno == EAGAIN)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" is in use by another process; give each server its own pool", m->dev.path);
	/* Some file systems know no locks; the lock is a safeguard, not a need. */
	return NVMKV_OK;
}

static NvmkvStatus
map_file(MappedDevice *m, uint64_t bytes, bool is_device)
{
	size_t mapped_bytes = 0;
	int is_pmem = 0;
	void *map = pmem_map_file(m->dev.path, 0, 0, 0, &mapped_bytes, &is_pmem);

	if (map != NULL && is_pmem)
	{
		m->dev.ops = &pmem_ops;
		m->dev.bytes = mapped_bytes;
		m->dev.is_pmem = true;
	}
	else
	{
		if (map != NULL)
			(void) pmem_unmap(map, mapped_bytes);
		if (is_device)
			return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" is a device, but not a DAX device that can be mapped as persistent memory", m->dev.path);
		map = mmap(NULL, (size_t) bytes, PROT_READ, MAP_SHARED, port_file_fd(m->file), 0);
		if (map == MAP_FAILED)
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot map pool \"%s\" (%" PRIu64 " bytes)", m->dev.path, bytes);
		m->dev.ops = &file_ops;
		m->dev.bytes = bytes;
	}
	m->map = map;
	m->dev.base = map;
	(void) port_guard_add(&m->dev.guard, map, m->dev.bytes, m->dev.is_pmem);
	return NVMKV_OK;
}

static NvmkvStatus
open_mapped(MappedDevice *m, const struct stat *st, bool lock)
{
	bool is_device = S_ISCHR(st->st_mode);
	uint64_t bytes = is_device ? 0 : (uint64_t) st->st_size;

	NVMKV_RETURN_IF(port_files->open(m->dev.path, PORT_FILE_READ | PORT_FILE_WRITE, &m->file));

	/* A sparse file would fail some day in the middle of a flush: now is better. */
	if (!is_device && (uint64_t) st->st_blocks * 512 < bytes)
		NVMKV_RETURN_IF(port_files->preallocate(m->file, bytes));
	NVMKV_RETURN_IF(map_file(m, bytes, is_device));

	/* Last: libpmem opened and closed the file, and closing any descriptor of it drops the process's locks. */
	return lock ? lock_file(m) : NVMKV_OK;
}

/* Opens what stands at "path", whose stat is "st". */
static NvmkvStatus
open_existing(const char *path, const struct stat *st, bool lock, NvmDevice **dev_out)
{
	MappedDevice *m;
	NvmkvStatus status;

	if (!S_ISREG(st->st_mode) && !S_ISCHR(st->st_mode))
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" is neither a regular file nor a DAX device", path);
	if (S_ISREG(st->st_mode) && st->st_size == 0)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is empty: truncated, or not a pool", path);

	m = port_alloc_zero(sizeof(*m));
	if (m == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to describe pool \"%s\"", path);
	memcpy(m->dev.path, path, strlen(path) + 1);
	m->has_length = S_ISREG(st->st_mode);
	status = open_mapped(m, st, lock);
	if (status != NVMKV_OK)
	{
		release(&m->dev);
		return status;
	}
	if (nvm_device_hook != NULL)
		nvm_device_hook(&m->dev);
	*dev_out = &m->dev;
	return NVMKV_OK;
}

static NvmkvStatus
check_path(const char *path)
{
	size_t length = strlen(path);

	if (length == 0 || length >= NVM_DEVICE_PATH_MAX)
		return NVMKV_FAIL(NVMKV_INVALID, "path of a pool must have 1 to %d bytes, not %zu", NVM_DEVICE_PATH_MAX - 1, length);
	return NVMKV_OK;
}

NvmkvStatus
nvm_device_open(const char *path, uint64_t create_bytes, NvmDevice **dev_out, bool *created_out)
{
	struct stat st;

	*dev_out = NULL;
	*created_out = false;
	NVMKV_RETURN_IF(check_path(path));
	if (stat(path, &st) != 0)
	{
		if (errno != ENOENT)
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot look at pool \"%s\"", path);
		if (create_bytes == 0)
			return NVMKV_FAIL(NVMKV_NOT_FOUND, "pool \"%s\" does not exist", path);
		NVMKV_RETURN_IF(create_file(path, create_bytes));
		*created_out = true;
		if (stat(path, &st) != 0)
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot look at pool \"%s\"", path);
	}
	return open_existing(path, &st, true, dev_out);
}

NvmkvStatus
nvm_device_attach(const char *path, NvmDevice **dev_out)
{
	struct stat st;

	*dev_out = NULL;
	NVMKV_RETURN_IF(check_path(path));
	if (stat(path, &st) != 0)
		return NVMKV_FAIL_ERRNO(errno == ENOENT ? NVMKV_NOT_FOUND : NVMKV_IO, "cannot look at pool \"%s\"", path);
	return open_existing(path, &st, false, dev_out);
}

void
nvm_device_close(NvmDevice *dev)
{
	if (dev != NULL)
		dev->ops->close(dev);
}

/* ---- length ---- */

bool
nvm_device_has_length(const NvmDevice *dev)
{
	return ((const MappedDevice *) (const void *) dev)->has_length;
}

bool
nvm_device_is_device(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISCHR(st.st_mode);
}

bool
nvm_device_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

NvmkvStatus
nvm_device_set_length(NvmDevice *dev, uint64_t bytes)
{
	PortFile *file = mapped_of(dev)->file;
	NvmkvStatus status;

	NVMKV_ASSERT(nvm_device_has_length(dev));
	if (bytes < dev->bytes)
		status = port_files->truncate(file, bytes);
	else
		status = port_files->preallocate(file, bytes);
	if (status == NVMKV_OK)
		status = port_files->sync(file);
	/* Some file systems have made it longer all the same, without blocks for all of it. */
	if (status != NVMKV_OK && bytes > dev->bytes)
	{
		const NvmkvError cause = *nvmkv_error();

		(void) port_files->truncate(file, dev->bytes);
		(void) nvmkv_fail_at(cause.status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	}
	return status;
}

NvmkvStatus
nvm_device_cut(NvmDevice *dev, uint64_t bytes)
{
	NVMKV_ASSERT(nvm_device_has_length(dev) && bytes < dev->bytes);
	return port_files->truncate(mapped_of(dev)->file, bytes);
}
