/*
 * family.c
 *	  Column families: this process's handles of them, and walking (family_slots.h).
 */
#include "engine/db/family.h"

#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/db/family_files.h"
#include "engine/db/family_options.h"
#include "engine/db/family_slots.h"
#include "engine/read/get.h"
#include "engine/tree/tree_open.h"

/* ---- handles ---- */

NvmkvStatus
family_make_handle(NvmkvDb *root, unsigned id, const NvmkvFamilyInfo *info, bool opens, NvmkvDb **db_out)
{
	NvmkvOptions options;
	char dir[FAMILY_PATH_MAX];
	char pool[FAMILY_PATH_MAX];
	bool in_dir;

	family_dir(root, id, dir);
	family_merge_options(&root->options, &info->options, &options);
	family_fit_options(root, info->name, &options, opens);
	NVMKV_RETURN_IF(tree_check_options(&options));
	family_container_path(root, id, pool, &in_dir);
	options.nvm_path = in_dir ? NULL : pool;
	NVMKV_RETURN_IF(tree_handle(dir, &options, root, db_out));
	(*db_out)->family = id;
	(*db_out)->earlier = &family_shm(root)->slot[id].kept_from;
	return NVMKV_OK;
}

/* REQUIRES the lock, so that the family is not dropped meanwhile. */
static NvmkvStatus
attach_locked(NvmkvDb *root, unsigned id)
{
	FamilySlot *slot = &family_shm(root)->slot[id];
	NvmkvDb *db;
	NvmkvStatus st;

	NVMKV_RETURN_IF(family_make_handle(root, id, &slot->info, false, &db));
	db->family_birth = slot->births;
	st = tree_attach(db, family_tree_memory(root, id));
	if (st != NVMKV_OK)
	{
		tree_close(db);
		return st;
	}
	root->families[id] = db;
	return NVMKV_OK;
}

void
family_detach(NvmkvDb *root, unsigned id)
{
	if (root->families[id] != NULL)
	{
		scan_free_spare(root->families[id]);
		tree_close(root->families[id]);
	}
	root->families[id] = NULL;
}

NvmkvStatus
family_refresh(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);
	FamilySlot *slot = &shm->slot[id];
	NvmkvDb *db = root->families[id];
	NvmkvStatus st = NVMKV_OK;

	if (port_load_seq(&slot->state) == FAMILY_OPEN && db != NULL && db->family_birth == port_load_seq(&slot->births))
		return NVMKV_OK;
	port_lock_shared(&shm->lock);
	if (db != NULL && (slot->state != FAMILY_OPEN || db->family_birth != slot->births))
		family_detach(root, id);
	if (root->families[id] == NULL && slot->state == FAMILY_OPEN)
		st = attach_locked(root, id);
	port_lock_release(&shm->lock);
	return st;
}

NvmkvStatus
nvmkv_family(NvmkvDb *db, unsigned id, NvmkvDb **family_out)
{
	NvmkvDb *root = db->root;
	FamilyShm *shm = family_shm(root);

	*family_out = NULL;
	if (id == 0)
	{
		*family_out = root;
		return NVMKV_OK;
	}
	if (shm == NULL || id >= family_slots(&root->options))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	if (port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN)
		return NVMKV_FAIL((NvmkvStatus) shm->slot[id].status, "column family \"%s\" cannot be used: %s", shm->slot[id].info.name,
						  shm->slot[id].error);
	NVMKV_RETURN_IF(family_refresh(root, id));
	if (root->families[id] == NULL)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	*family_out = root->families[id];
	return NVMKV_OK;
}

unsigned
nvmkv_family_list(NvmkvDb *db, NvmkvFamilyInfo *list_out, unsigned max)
{
	FamilyShm *shm = family_shm(db->root);
	unsigned n = 0;
	unsigned id;

	if (shm == NULL)
		return 0;
	port_lock_shared(&shm->lock);
	for (id = 1; id < family_slots(&db->root->options); id++)
		if (shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_BROKEN)
		{
			if (n < max)
			{
				list_out[n] = shm->slot[id].info;
				list_out[n].options = shm->slot[id].next;
				family_fill_in(&db->root->options, &list_out[n].options);
			}
			n++;
		}
	port_lock_release(&shm->lock);
	return n;
}

NvmkvStatus
nvmkv_family_container(NvmkvDb *db, unsigned id, NvmkvContainerInfo *info_out)
{
	NvmkvDb *root = db->root;
	NvmkvDb *family;
	bool in_dir;

	memset(info_out, 0, sizeof(*info_out));
	if (id == 0)
		(void) snprintf(info_out->path, sizeof(info_out->path), "%s", root->nvm_path);
	else
	{
		char path[FAMILY_PATH_MAX];

		family_container_path(root, id, path, &in_dir);
		(void) snprintf(info_out->path, sizeof(info_out->path), "%.*s", (int) sizeof(info_out->path) - 1, path);
	}
	NVMKV_RETURN_IF(nvmkv_family(root, id, &family));
	info_out->wanted = family->options.nvm_bytes;
	if (family->pool != NULL)
		info_out->bytes = nvm_pool_bytes(family->pool);
	return NVMKV_OK;
}

bool
family_has(NvmkvDb *root, unsigned id, uint64_t last_sequence)
{
	const FamilyShm *shm = family_shm(root);

	return shm != NULL && id > 0 && id < family_slots(&root->options) &&
		port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN && last_sequence <= shm->slot[id].durable_seq;
}

uint64_t
family_kept_from(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);

	return shm != NULL && id > 0 && id < family_slots(&root->options) ? port_load_seq(&shm->slot[id].kept_from) : 0;
}

void
nvmkv_family_set_kept(NvmkvDb *db, unsigned id, uint64_t from)
{
	FamilyShm *shm = family_shm(db->root);

	if (shm != NULL && id > 0 && id < family_slots(&db->root->options))
		port_store_seq(&shm->slot[id].kept_from, from);
}

bool
family_any_is_away(NvmkvDb *root)
{
	FamilyShm *shm = family_shm(root);
	unsigned id;

	for (id = 1; shm != NULL && id < family_slots(&root->options); id++)
		if (family_is_broken(root, id) || port_load_seq(&shm->slot[id].kept_from) != 0)
			return true;
	return false;
}

void
family_tell_loss(NvmkvDb *root, unsigned id)
{
	FamilySlot *slot = &family_shm(root)->slot[id];

	if (slot->loss_told == 0)
		port_log(PORT_LOG_WARNING, "what was written last to column family \"%s\" is lost: it cannot be used", slot->info.name);
	slot->loss_told = 1;
}

uint64_t
family_broken_durable(NvmkvDb *root)
{
	const FamilyShm *shm = family_shm(root);
	uint64_t durable = UINT64_MAX;
	unsigned id;

	for (id = 1; shm != NULL && id < family_slots(&root->options); id++)
		if (port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN && shm->slot[id].durable_seq < durable)
			durable = shm->slot[id].durable_seq;
	return durable;
}

/* ---- walking ---- */

/* Shows, or shows no more, that this process is at the family.  A process without a slot is alone. */
static void
mark_use(NvmkvDb *root, unsigned id, bool in_use)
{
	FamilyShm *shm = family_shm(root);
	int slot = port_process_slot();
	uint32_t bits;

	if (slot < 0 || shm == NULL || id == 0)
		return;
	bits = shm->in_use[slot];
	bits = in_use ? bits | UINT32_C(1) << id : bits & ~(UINT32_C(1) << id);
	port_store_seq(&shm->in_use[slot], bits);
}

static bool
is_in_use_here(const NvmkvDb *root, unsigned id)
{
	int slot = port_process_slot();

	return slot >= 0 && (family_shm(root)->in_use[slot] >> id & 1) != 0;
}

/*
 * The cursor: the number of the tree to look at next, and above it the number of the family whose mark the next step
 * takes back, 0 for none.
 */
#define CURSOR_BITS 8
#define CURSOR_MASK ((1u << CURSOR_BITS) - 1)

void
family_leave(NvmkvDb *db, unsigned cursor)
{
	mark_use(db->root, cursor >> CURSOR_BITS, false);
}

bool
family_is_broken(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);

	return id > 0 && shm != NULL && id < family_slots(&root->options) &&
		port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN;
}

NvmkvStatus
family_next(NvmkvDb *db, unsigned *cursor, NvmkvDb **tree_out)
{
	NvmkvDb *root = db->root;
	FamilyShm *shm = family_shm(root);
	unsigned id = *cursor & CURSOR_MASK;

	*tree_out = NULL;
	family_leave(db, *cursor);
	*cursor = id + 1;
	if (id == 0)
	{
		*tree_out = db;
		return NVMKV_OK;
	}
	if (db != root || shm == NULL)
		return NVMKV_OK;
	for (; id < family_slots(&root->options); id++)
	{
		NvmkvStatus st;

		if (port_load_seq(&shm->slot[id].state) != FAMILY_OPEN && root->families[id] == NULL)
			continue;
		if (is_in_use_here(root, id))
		{
			/* By a loop outside this one: its handle stays, even if the family is closing by now. */
			*cursor = id + 1;
			*tree_out = root->families[id];
			return NVMKV_OK;
		}
		mark_use(root, id, true);
		*cursor = (id + 1) | id << CURSOR_BITS;
		st = family_refresh(root, id);
		if (st == NVMKV_OK && root->families[id] != NULL)
		{
			*tree_out = root->families[id];
			return NVMKV_OK;
		}
		family_leave(db, *cursor);
		*cursor = id + 1;
		NVMKV_RETURN_IF(st);
	}
	*cursor = id;
	return NVMKV_OK;
}

NvmkvStatus
family_each(NvmkvDb *db, NvmkvStatus (*step)(NvmkvDb *tree))
{
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = step(tree);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			return st;
		}
	}
	return st;
}

void
families_abort_cleanup(NvmkvDb *root)
{
	FamilyShm *shm = family_shm(root);
	int slot = port_process_slot();

	if (shm == NULL || slot < 0)
		return;
	port_store_seq(&shm->in_use[slot], 0);
	/* Nothing of the host's that may raise is called while the claim is held, so nothing can be left half done. */
	NVMKV_ASSERT(port_load_relaxed(&shm->claim) != (uint32_t) (slot + 2));
}
