/*
 * pool_owner.c
 *	  See pool_owner.h.
 */
#include "engine/nvm/pool_owner.h"

#include <string.h>

bool
nvm_pool_is_owned(const NvmPoolOwner *owner, const NvmPoolHeader *header, const NvmPoolStamp *stamp)
{
	return header->system_identifier == owner->system_identifier && header->pool_id == owner->pool_id &&
		(stamp->generation == owner->generation || (owner->successor != 0 && stamp->generation == owner->successor));
}

bool
nvm_pool_is_inside(const char *path, const char *dir)
{
	size_t n = strlen(dir);
	char target[NVM_DEVICE_PATH_MAX];

	return strncmp(path, dir, n) == 0 && path[n] == '/' && nvm_device_is_file(path) &&
		nvm_device_target(path, target) == NVMKV_OK && strcmp(target, path) == 0;
}

/* Header and stamp of what stands at the path; false: it is no pool. */
static NvmkvStatus
read_head(const char *path, NvmPoolHeader *header_out, NvmPoolStamp *stamp_out, bool *is_pool_out)
{
	uint8_t head[NVM_POOL_HEAD_BYTES];
	PortFile *file;
	size_t size = 0;
	NvmkvStatus status;

	*is_pool_out = false;
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ, &file));
	status = port_files->read_some(file, 0, head, sizeof(head), &size);
	port_files->close(file);
	NVMKV_RETURN_IF(status);
	if (size < NVM_POOL_HEADER_BYTES || nvm_pool_header_decode(head, path, header_out) != NVMKV_OK)
		return NVMKV_OK;
	nvm_stamp_read(head, size, stamp_out);
	*is_pool_out = true;
	return NVMKV_OK;
}

NvmkvStatus
nvm_pool_remove(const char *path, const char *dir, const NvmPoolOwner *owner)
{
	char target[NVM_DEVICE_PATH_MAX];
	NvmPoolHeader header;
	NvmPoolStamp stamp;
	bool is_pool;

	if (!nvm_device_is_file(path))
		return NVMKV_OK;
	NVMKV_RETURN_IF(read_head(path, &header, &stamp, &is_pool));
	if (!is_pool || header.system_identifier != owner->system_identifier)
		return NVMKV_OK;
	if (stamp.number != 0 && !nvm_pool_is_owned(owner, &header, &stamp) && !nvm_pool_is_inside(path, dir))
	{
		port_log(PORT_LOG_WARNING, "container \"%s\" is not wanted any more, but another copy of the database has opened it since: remove it if none needs it",
				 path);
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(nvm_device_target(path, target));
	NVMKV_RETURN_IF(port_fault("pool.before_remove"));
	NVMKV_RETURN_IF(port_files->unlink(target));
	port_log(PORT_LOG_INFO, "container \"%s\" is given up and removed", path);
	return NVMKV_OK;
}
