/*
 * device.h
 *	  A mapped persistent range and the one way to make its bytes durable.
 *
 * Two media.  Persistent memory (libpmem says so): non-temporal stores and a
 * drain.  An ordinary file: written with write calls, because they fault no
 * page in, and because a full disk or a bad sector is then an error and never
 * a signal; made durable by syncing the file; read through a shared mapping,
 * which the page cache keeps coherent with the writes.  Tests add a lossy one
 * by wrapping the operations.
 *
 * A device is mapped once (server: by the postmaster before it forks) and
 * described by a process-local struct; the bytes hold no address.
 *
 * A file can be truncated under its map, and a medium can fail: the map is
 * guarded (port_guard.h).  A process that has lost a page of it persists
 * nothing more there, and believes nothing it read of an object the page
 * belongs to.
 */
#ifndef NVMKV_NVM_DEVICE_H
#define NVMKV_NVM_DEVICE_H

#include "engine/port/port_guard.h"

#define NVM_DEVICE_PATH_MAX 1024

typedef struct NvmDevice NvmDevice;

typedef struct NvmDeviceOps
{
	/*
	 * Copies into the range without waiting for durability; readers of the map see the bytes.  A failure is reported
	 * by the next persist.
	 */
	void (*copy)(NvmDevice *dev, uint64_t offset, const void *data, size_t size);

	/*
	 * What this process copied into [offset, offset + size) before is durable
	 * on OK.  A copy that failed is reported once; a sync that failed is
	 * reported by every later call too, for the medium's state is unknown.
	 */
	NvmkvStatus (*persist)(NvmDevice *dev, uint64_t offset, uint64_t size);

	void (*close)(NvmDevice *dev);
} NvmDeviceOps;

struct NvmDevice
{
	const NvmDeviceOps *ops;
	const uint8_t *base; /* all stores go through ops->copy */
	uint64_t bytes;
	bool is_pmem;
	PortGuard guard; /* of the map */
	char path[NVM_DEVICE_PATH_MAX];
};

/*
 * Opens "path"; creates a file of create_bytes really allocated bytes, all
 * zero, when it is absent and create_bytes > 0 (*created_out); where "path" is
 * a link, there where it leads.  Creation
 * happens under another name: after a crash the path is absent or whole.
 * The device is locked against use by another process that is not a child.
 * NOT_FOUND when absent and create_bytes is 0; IO, NO_SPACE, CORRUPTION
 * (empty file), INVALID (not a regular or DAX file, or in use): all name the
 * path.
 */
extern NvmkvStatus nvm_device_open(const char *path, uint64_t create_bytes, NvmDevice **dev_out, bool *created_out);
/*
 * Opens a device that another process of the same database has opened already and keeps the lock of.  NOT_FOUND and as
 * above.
 */
extern NvmkvStatus nvm_device_attach(const char *path, NvmDevice **dev_out);
extern void nvm_device_close(NvmDevice *dev);

/*
 * What "path" is a link to, after all further links, or itself; it need not exist.  A new file is made there, so that
 * who has put a link in the pool's place has the pool on the medium it leads to.  INVALID, IO.
 */
extern NvmkvStatus nvm_device_target(const char *path, char target_out[NVM_DEVICE_PATH_MAX]);

/* Is it a file, which can become longer and shorter? */
extern bool nvm_device_has_length(const NvmDevice *dev);

/* Is there an ordinary file at the path, or where a link there leads? */
extern bool nvm_device_is_file(const char *path);

/* The same of a device. */
extern bool nvm_device_is_device(const char *path);

/*
 * Makes a file so long, durably, with real blocks; it has to be opened anew to be mapped in its new length.  At failure
 * it is as it was.  NO_SPACE, IO.
 */
extern NvmkvStatus nvm_device_set_length(NvmDevice *dev, uint64_t bytes);

/* Cuts a mapped file.  REQUIRES that nobody looks at what is behind "bytes" any more. */
extern NvmkvStatus nvm_device_cut(NvmDevice *dev, uint64_t bytes);

/* For tests: called with each device as soon as it is mapped; may wrap its operations.  NULL: none. */
extern void (*nvm_device_hook)(NvmDevice *dev);

/* IO: names the device and the first of its pages that this process found gone.  REQUIRES that there is one. */
extern NvmkvStatus nvm_device_lost(const NvmDevice *dev);

#endif
