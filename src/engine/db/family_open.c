/*
 * family_open.c
 *	  The families that a database has are opened and closed with it.
 */
#include "engine/db/family_open.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/db/family.h"
#include "engine/db/family_file.h"
#include "engine/db/family_files.h"
#include "engine/db/family_slots.h"
#include "engine/tree/tree_open.h"

static bool
is_free(const NvmkvDb *root, unsigned id)
{
	return id >= family_slots(&root->options) || family_shm(root)->slot[id].state == FAMILY_FREE;
}

static bool
remove_leftover(void *ctx, const char *name)
{
	NvmkvDb *root = ctx;
	char *end;
	unsigned long id;

	if (strncmp(name, "family-", 7) != 0)
		return true;
	id = strtoul(name + 7, &end, 10);
	if (*end == '\0' && id > 0 && id < NVMKV_FAMILIES_MAX && is_free(root, (unsigned) id) &&
		family_remove_files(root, (unsigned) id) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove the files of dropped column family %lu: %s", id, nvmkv_error()->text);
	return true;
}

/* What is wrong with a family costs nobody else anything. */
static NvmkvStatus
open_listed(NvmkvDb *root, const NvmkvFamilyInfo *info)
{
	FamilyShm *shm = family_shm(root);
	NvmkvDb *db;
	NvmkvStatus st;

	if (info->id >= family_slots(&root->options))
		return NVMKV_FAIL(NVMKV_INVALID, "there is a column family \"%s\" with number %u, and %s is %u: it must be more than that",
						  info->name, info->id, option_name("max_families"), root->options.max_families);
	shm->slot[info->id].info = *info;
	shm->slot[info->id].next = info->options;
	shm->slot[info->id].births = 1;
	st = family_make_handle(root, info->id, info, true, &db);
	if (st != NVMKV_OK)
	{
		family_note_broken(root, info->id, st, 0);
		return NVMKV_OK;
	}
	st = tree_open(db, family_tree_memory(root, info->id));
	if (st != NVMKV_OK)
	{
		/* It was made after the copy began, and the log will make it again; or it was broken then. */
		shm->slot[info->id].has_no_point = db->has_no_point;
		if (db->has_no_point)
			st = NVMKV_FAIL(st, "it could not be used when this copy was made");
		family_note_broken(root, info->id, st, tree_durable_if_known(db));
		tree_close(db);
		return NVMKV_OK;
	}
	db->family_birth = 1;
	shm->slot[info->id].state = FAMILY_OPEN;
	root->families[info->id] = db;
	db_note_applied(root, db_slot_counters(db)->last_sequence);
	return NVMKV_OK;
}

NvmkvStatus
families_open(NvmkvDb *root)
{
	FamilyShm *shm = family_shm(root);
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	bool doubtful;
	unsigned count;
	unsigned i;

	NVMKV_RETURN_IF(family_file_read(root->dir, list, &count));
	if (root->agreement != NULL)
	{
		uint32_t there = 1;

		for (i = 0; i < count; i++)
			there |= UINT32_C(1) << list[i].id;
		NVMKV_RETURN_IF(agreement_judge_families(root->agreement, there));
	}
	if (shm == NULL)
	{
		if (count > 0)
			return NVMKV_FAIL(NVMKV_INVALID, "there is a column family \"%s\" with number %u, and %s is 1: it must be more than that",
							  list[count - 1].name, list[count - 1].id, option_name("max_families"));
		return NVMKV_OK;
	}
	families_init(root);
	for (i = 0; i < count; i++)
		NVMKV_RETURN_IF(open_listed(root, &list[i]));
	if (root->options.restore_from != 0)
		NVMKV_RETURN_IF(family_write_list(root, &doubtful));
	return port_files->list(root->dir, remove_leftover, root);
}

void
families_close(NvmkvDb *root)
{
	unsigned id;

	for (id = 1; id < NVMKV_FAMILIES_MAX; id++)
		family_detach(root, id);
}
