/*
 * family_files.c
 *	  See family_files.h.
 */
#include "engine/db/family_files.h"

#include <stdio.h>

#include "engine/db/family_file.h"
#include "engine/db/family_slots.h"
#include "engine/tree/failure.h"

void
family_dir(const NvmkvDb *root, unsigned id, char *path)
{
	(void) snprintf(path, FAMILY_PATH_MAX, "%s/family-%u", root->dir, id);
}

void
family_container_path(const NvmkvDb *root, unsigned id, char *path, bool *in_dir_out)
{
	char own[FAMILY_PATH_MAX];

	(void) snprintf(own, sizeof(own), "%s/level0.pool", root->dir);
	*in_dir_out = strcmp(root->nvm_path, own) == 0 || nvm_device_is_device(root->nvm_path);
	if (*in_dir_out)
		(void) snprintf(path, FAMILY_PATH_MAX, "%s/family-%u/level0.pool", root->dir, id);
	else
		(void) snprintf(path, FAMILY_PATH_MAX, "%s.family-%u", root->nvm_path, id);
}

typedef struct Emptying
{
	const char *dir;
	NvmkvStatus status;
} Emptying;

static bool
remove_file(void *ctx, const char *name)
{
	Emptying *e = ctx;
	char path[2 * FAMILY_PATH_MAX];
	NvmkvStatus st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	(void) snprintf(path, sizeof(path), "%s/%s", e->dir, name);
	st = port_files->unlink(path);
	if (st != NVMKV_OK && e->status == NVMKV_OK)
		e->status = st;
	return true;
}

NvmkvStatus
family_remove_files(NvmkvDb *root, unsigned id)
{
	char dir[FAMILY_PATH_MAX];
	char pool[FAMILY_PATH_MAX];
	Emptying e = {dir, NVMKV_OK};
	PoolKnown known;

	family_dir(root, id, dir);
	NVMKV_RETURN_IF(port_files->mkdir(dir));
	/* The containers first: what is theirs and not somebody else's the manifest tells, be it damaged or not. */
	if (versions_read_pool(dir, root->options.system_identifier, &known) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "a container of a column family may stay behind: %s", nvmkv_error()->text);
	(void) snprintf(pool, sizeof(pool), "%s.family-%u", root->nvm_path, id);
	NVMKV_RETURN_IF(nvm_pool_remove(pool, dir, &known.owner));
	if (!nvm_device_is_file(pool))
		NVMKV_RETURN_IF(port_files->unlink(pool)); /* a link to it */
	(void) snprintf(pool, sizeof(pool), "%s/family-%u/level0.pool", root->dir, id); /* where a link leads, too */
	NVMKV_RETURN_IF(nvm_pool_remove(pool, dir, &known.owner));
	NVMKV_RETURN_IF(port_files->list(dir, remove_file, &e));
	return e.status;
}

NvmkvStatus
family_write_list(NvmkvDb *root, bool *doubtful_out)
{
	FamilyShm *shm = family_shm(root);
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned n = 0;
	unsigned id;

	for (id = 1; id < family_slots(&root->options); id++)
		if (shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_OPENING ||
			shm->slot[id].state == FAMILY_BROKEN)
		{
			list[n] = shm->slot[id].info;
			list[n++].options = shm->slot[id].next;
		}
	return family_file_write(root->dir, list, n, doubtful_out);
}

NvmkvStatus
family_list_in_doubt(NvmkvDb *root, NvmkvStatus status)
{
	char text[NVMKV_ERROR_TEXT_MAX];
	bool doubtful;

	(void) snprintf(text, sizeof(text), "%s", nvmkv_error()->text);
	if (family_write_list(root, &doubtful) != NVMKV_OK)
		db_set_sticky(root);
	return NVMKV_FAIL(status, "%s", text);
}
