/*
 * dump_map.c
 *	  See dump_map.h.
 */
#include "tools/dump_map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

NvmkvStatus
dump_pool_map(const char *path, DumpPool *m)
{
	struct stat st;
	NvmkvStatus status;

	memset(m, 0, sizeof(*m));
	if (strlen(path) >= sizeof(m->device.path))
		return NVMKV_FAIL(NVMKV_LIMIT, "the name of the pool is too long");
	/* Asked before it is opened: opening a pipe would wait. */
	if (stat(path, &st) != 0)
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot look at pool \"%s\"", path);
	if (!S_ISREG(st.st_mode))
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" is not a regular file", path);
	status = port_files->open(path, PORT_FILE_READ, &m->file);
	if (status == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "pool \"%s\" does not exist", path);
	NVMKV_RETURN_IF(status);
	NVMKV_RETURN_IF(port_files->size(m->file, &m->device.bytes));
	if (m->device.bytes < NVM_POOL_PAGE_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is truncated: it has %" PRIu64 " bytes", path, m->device.bytes);
	m->map = mmap(NULL, (size_t) m->device.bytes, PROT_READ, MAP_SHARED, port_file_fd(m->file), 0);
	if (m->map == MAP_FAILED)
	{
		m->map = NULL;
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "cannot map pool \"%s\" (%" PRIu64 " bytes)", path, m->device.bytes);
	}
	NVMKV_RETURN_IF(nvm_pool_header_decode(m->map, path, &m->header));
	nvm_stamp_read(m->map, m->device.bytes, &m->stamp);
	(void) strcpy(m->device.path, path);
	m->device.base = m->map;
	port_guard_add(&m->device.guard, m->map, m->device.bytes, false);
	m->pool.dev = &m->device;
	m->pool.extent_count = nvm_pool_extents_of(m->device.bytes);
	m->pool.pool_id = m->header.pool_id;
	return NVMKV_OK;
}

void
dump_pool_unmap(DumpPool *m)
{
	port_guard_remove(&m->device.guard);
	if (m->map != NULL)
		(void) munmap(m->map, (size_t) m->device.bytes);
	if (m->file != NULL)
		port_files->close(m->file);
}

NvmRowRef
dump_row_ref(const MetaRow *row)
{
	NvmRowRef ref;

	ref.row_id = row->row_id;
	ref.entries = row->entries;
	ref.first_live = row->first_live;
	ref.data_bytes = row->data_bytes;
	ref.older_row_id = row->older_row_id;
	ref.extents = row->extents;
	ref.extent_count = row->extent_count;
	ref.first_extent_live = row->first_extent_live;
	ref.live_bytes = row->live_bytes;
	return ref;
}
