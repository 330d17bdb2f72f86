/*
 * install.c
 *	  Syncing the log, installing an edit, copying the version.
 */
#include "engine/tree/install.h"

#include "engine/tree/failure.h"

NvmkvStatus
db_flush_log(NvmkvDb *db, uint64_t sequence)
{
	NvmkvStatus st = db->log.flush(db->log.ctx, sequence);

	/* READ_ONLY: the log failed in another process, which may not have lived to say so. */
	if (st == NVMKV_IO || st == NVMKV_READ_ONLY)
		db_set_sticky(db);
	return st;
}

NvmkvStatus
db_install(NvmkvDb *db, const VersionEdit *edit)
{
	NvmkvStatus st;

	/* What this process makes of a pool that is not all there is not to be believed, and nothing may be freed by it. */
	if (db_pages_lost(db) != 0)
	{
		st = nvm_device_lost(db->pool->dev);
		db_set_sticky(db);
		return st;
	}
	st = versions_install(&db->versions, edit);
	if (st != NVMKV_OK && versions_are_sticky(&db->versions))
		db_set_sticky(db);
	return st;
}

NvmkvStatus
db_copy_image_in_epoch(NvmkvDb *db, VersionImage **image_out)
{
	const VersionImage *v = versions_current(&db->versions);

	*image_out = port_alloc(v->bytes);
	if (*image_out == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a copy of the version");
	memcpy(*image_out, v, v->bytes);
	return NVMKV_OK;
}

NvmkvStatus
db_copy_image(NvmkvDb *db, VersionImage **image_out)
{
	NvmkvStatus st;

	db_enter(db);
	st = db_copy_image_in_epoch(db, image_out);
	db_leave(db);
	return st;
}
