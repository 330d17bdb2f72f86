/*
 * family_slots.c
 *	  See family_slots.h.
 */
#include "engine/db/family_slots.h"

#include <stdio.h>

#include "engine/tree/tree_memory.h"

static size_t
family_align(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

static size_t
family_head_bytes(const NvmkvOptions *options)
{
	return family_align(sizeof(FamilyShm) + options->process_slots * sizeof(uint32_t));
}

unsigned
family_slots(const NvmkvOptions *options)
{
	return options->family_slots > options->max_families ? options->family_slots : options->max_families;
}

size_t
families_shm_bytes(const NvmkvOptions *options)
{
	if (family_slots(options) <= 1)
		return 0;
	return family_head_bytes(options) + (family_slots(options) - 1) * family_align(tree_shm_bytes(options, false));
}

FamilyShm *
family_shm(const NvmkvDb *root)
{
	uint64_t off = root->shm->families_off;

	return off == 0 ? NULL : (FamilyShm *) (void *) ((uint8_t *) root->shm + off);
}

void *
family_tree_memory(const NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);

	return (uint8_t *) shm + family_head_bytes(&root->options) + (id - 1) * shm->tree_bytes;
}

void
family_set_state(FamilyShm *shm, unsigned id, FamilyState state)
{
	port_lock_exclusive(&shm->lock);
	port_store_seq(&shm->slot[id].state, (uint32_t) state);
	port_lock_release(&shm->lock);
}

void
families_init(NvmkvDb *root)
{
	FamilyShm *shm = family_shm(root);

	memset(shm, 0, family_head_bytes(&root->options));
	port_lock_init(&shm->lock, PORT_RANK_JOB);
	shm->tree_bytes = family_align(tree_shm_bytes(&root->options, false));
}

void
family_note_broken(NvmkvDb *root, unsigned id, NvmkvStatus status, uint64_t durable_seq)
{
	FamilyShm *shm = family_shm(root);
	FamilySlot *slot = &shm->slot[id];

	/* NOT_FOUND, of its pool, would say that there is no such family, and that its log need not be replayed. */
	slot->status = (uint32_t) (status == NVMKV_NOT_FOUND ? NVMKV_INVALID : status);
	slot->durable_seq = durable_seq;
	(void) snprintf(slot->error, sizeof(slot->error), "%s", nvmkv_error()->text);
	family_set_state(shm, id, FAMILY_BROKEN); /* the last: then all of it is read */
	port_log(PORT_LOG_WARNING, "column family \"%s\" cannot be used: %s", slot->info.name, slot->error);
}
