/*
 * gate.c
 *	  Writers are let in and kept out.
 */
#include "engine/db/family.h"
#include "engine/tree/tree.h"

void
nvmkv_open_gate(NvmkvDb *db)
{
	unsigned cursor = 0;
	NvmkvDb *tree;

	/* The one who opens the gate has a handle of every family: it opened the database, or inherited from who did. */
	while (family_next(db, &cursor, &tree) == NVMKV_OK && tree != NULL)
	{
		mempool_open_gate(&tree->mem);
		port_store_release(&tree->shm->accepting, 1);
	}
}

static NvmkvStatus
close_gate(NvmkvDb *db)
{
	port_store_release(&db->shm->accepting, 0);
	mempool_close_gate(&db->mem);
	return mempool_wait_writers(&db->mem);
}

NvmkvStatus
nvmkv_close_gate(NvmkvDb *db)
{
	return family_each(db, close_gate);
}
