/*
 * copy_stamp.c
 *	  Copies of the files that are being made (backup.c): the stamps that say what
 *	  is kept for whom.
 */
#include "engine/tree/tree.h"

uint64_t
nvmkv_copy_begin(NvmkvDb *db)
{
	DbShm *shm = db->root->shm;
	uint64_t now = port_clock_us();
	uint64_t stamp = shm->copy_clock + 1 > now ? shm->copy_clock + 1 : now;

	port_store_seq(&shm->copy_clock, stamp);
	if (shm->copy_oldest == 0)
		port_store_seq(&shm->copy_oldest, stamp);
	return stamp;
}

void
nvmkv_copy_oldest(NvmkvDb *db, uint64_t stamp)
{
	DbShm *shm = db->root->shm;

	port_store_seq(&shm->copy_keep, stamp != 0 ? stamp : shm->copy_clock + 1);
	port_store_seq(&shm->copy_oldest, stamp);
}

bool
nvmkv_copy_is_held(const NvmkvDb *db)
{
	return port_load_seq(&db->root->shm->copy_oldest) != 0;
}
