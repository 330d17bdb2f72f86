/*
 * family_change.c
 *	  Column families are made, reshaped and dropped.
 */

#include "engine/db/anchoring.h"
#include "engine/db/family.h"
#include "engine/db/family_file.h"
#include "engine/db/family_files.h"
#include "engine/db/family_options.h"
#include "engine/db/family_slots.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/tree.h"
#include "engine/tree/tree_open.h"

/* How often a drop looks whether background work has left the family. */
#define DROP_WAIT_MS 20

/* ---- the claim ---- */

static NvmkvStatus
claim(const NvmkvDb *root)
{
	FamilyShm *shm = family_shm(root);
	uint32_t expected = 0;
	uint32_t mine = (uint32_t) (port_process_slot() + 2);

	/*
	 * A copy of the files would have one without its files, or the other way round.  In recovery the log has the
	 * family, and the copy is opened without what it has no point of (open_listed); of drops the host sees to.
	 */
	if (port_load_acquire(&root->shm->accepting) != 0 && nvmkv_copy_is_held(root))
		return NVMKV_FAIL(NVMKV_BUSY, "column families cannot be created or dropped while a backup is made");
	if (!__atomic_compare_exchange_n(&shm->claim, &expected, mine, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return NVMKV_FAIL(NVMKV_BUSY, "another process creates or drops a column family");
	return NVMKV_OK;
}

static void
unclaim(FamilyShm *shm)
{
	port_store_release(&shm->claim, 0);
}

/* A failure says which family it is about. */
static NvmkvStatus
of_family(const char *name, NvmkvStatus status)
{
	char text[NVMKV_ERROR_TEXT_MAX];
	int sys_errno = nvmkv_error()->sys_errno;

	memcpy(text, nvmkv_error()->text, sizeof(text));
	return nvmkv_fail_at(status, sys_errno, __FILE__, __LINE__, "column family \"%s\": %s", name, text);
}

/* ---- create ---- */

/* The number a new family of this name gets: *there_out if it exists already. */
static NvmkvStatus
choose_slot(const NvmkvDb *root, unsigned wanted, const char *name, unsigned *id_out, bool *there_out)
{
	const FamilyShm *shm = family_shm(root);
	unsigned others = 0;
	unsigned id;

	*there_out = false;
	*id_out = wanted;
	if (strcmp(name, "default") == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "the column family \"default\" is always there");
	for (id = 1; id < family_slots(&root->options); id++)
	{
		if ((shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_BROKEN) &&
			strcmp(shm->slot[id].info.name, name) == 0)
		{
			if (id != wanted)
				return NVMKV_FAIL(NVMKV_INVALID, "column family \"%s\" already exists", name);
			*there_out = true;
			return NVMKV_OK;
		}
		others += shm->slot[id].state != FAMILY_FREE;
	}
	if (wanted == 0)
	{
		for (id = 1; id < family_slots(&root->options) && shm->slot[id].state != FAMILY_FREE; id++)
			;
		*id_out = id;
		if (others + 1 >= root->options.max_families)
			return NVMKV_FAIL(NVMKV_LIMIT, "there are %u column families already, as many as %s allows", others + 1,
							  option_name("max_families"));
	}
	else if (wanted >= family_slots(&root->options))
		return NVMKV_FAIL(NVMKV_LIMIT, "column family \"%s\" has number %u, and %s is %u: it must be more than that", name, wanted,
						  option_name("max_families"), root->options.max_families);
	else if (shm->slot[wanted].state != FAMILY_FREE)
		return NVMKV_FAIL(NVMKV_INVALID, "column family %u is \"%s\"", wanted, shm->slot[wanted].info.name);
	return NVMKV_OK;
}

/*
 * An empty tree that is durable up to the log's end.  The log must be, too: else it might go on from before that after
 * a crash, and what it then has for the family would be taken for old.
 */
static NvmkvStatus
open_empty(NvmkvDb *root, NvmkvDb *db)
{
	VersionEdit edit = {0};

	NVMKV_RETURN_IF(family_remove_files(root, db->family));
	NVMKV_RETURN_IF(tree_open(db, family_tree_memory(root, db->family)));
	edit.has_durable = true;
	edit.durable_seq = root->log.position(root->log.ctx);
	NVMKV_RETURN_IF(db_flush_log(root, NVMKV_SEQUENCE_MAX));
	NVMKV_RETURN_IF(db_install(db, &edit));
	NVMKV_RETURN_IF(nvmkv_switch_memtable(db)); /* an empty one: its start moves up */
	if (port_load_acquire(&root->shm->accepting) != 0)
		port_store_release(&db->shm->accepting, 1);
	return port_fault("family.before_list");
}

static NvmkvStatus
create_claimed(NvmkvDb *root, unsigned wanted, const char *name, const NvmkvFamilyOptions *options, unsigned *id_out)
{
	FamilyShm *shm = family_shm(root);
	FamilySlot *slot;
	NvmkvDb *db;
	unsigned id;
	bool there;
	bool doubtful = false;
	NvmkvStatus st;

	NVMKV_RETURN_IF(choose_slot(root, wanted, name, &id, &there));
	*id_out = id;
	slot = &shm->slot[id];
	if (there && !(slot->state == FAMILY_BROKEN && slot->has_no_point))
		return NVMKV_OK;
	NVMKV_RETURN_IF(family_refresh(root, id)); /* lets go of a dropped family's handle */
	slot->has_no_point = false;
	memset(&slot->info, 0, sizeof(slot->info));
	slot->info.id = id;
	memcpy(slot->info.name, name, strlen(name) + 1);
	slot->info.options = *options;
	slot->next = *options;
	port_store_seq(&slot->kept_from, 0); /* a dropped one's */
	NVMKV_RETURN_IF(family_make_handle(root, id, &slot->info, true, &db));
	port_store_seq(&slot->births, slot->births + 1);
	db->family_birth = slot->births;
	family_set_state(shm, id, FAMILY_OPENING);
	st = open_empty(root, db);
	if (st == NVMKV_OK)
		st = family_write_list(root, &doubtful);
	if (st != NVMKV_OK)
	{
		tree_close(db);
		family_set_state(shm, id, FAMILY_FREE);
		return doubtful ? family_list_in_doubt(root, st) : st;
	}
	root->families[id] = db;
	family_set_state(shm, id, FAMILY_OPEN);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_family_create(NvmkvDb *db, unsigned id, const char *name, const NvmkvFamilyOptions *options, unsigned *id_out)
{
	NvmkvDb *root = db->root;
	FamilyShm *shm = family_shm(root);
	unsigned made = 0;
	NvmkvStatus st;

	NVMKV_RETURN_IF(family_name_check(name));
	if (shm == NULL)
		return NVMKV_FAIL(NVMKV_LIMIT, "%s is 1, which is the default column family", option_name("max_families"));
	/* One that the log makes again gets what there is room for. */
	st = id == 0 ? family_check_options(root, options) : NVMKV_OK;
	if (st != NVMKV_OK)
		return of_family(name, st);
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	NVMKV_RETURN_IF(claim(root));
	st = anchoring_hold(root);
	if (st == NVMKV_OK)
	{
		if (anchoring_is_closed(root))
			st = NVMKV_FAIL(NVMKV_BUSY, "the database is closed for the moment");
		else
			st = create_claimed(root, id, name, options, &made);
		anchoring_release(root);
	}
	unclaim(shm);
	if (st == NVMKV_OK && id_out != NULL)
		*id_out = made;
	return st;
}

/* ---- other options ---- */

static NvmkvStatus
reshape_claimed(NvmkvDb *root, unsigned id, const NvmkvFamilyOptions *options)
{
	FamilySlot *slot = &family_shm(root)->slot[id];
	const NvmkvFamilyOptions before = slot->next;
	bool doubtful = false;
	NvmkvStatus st;

	if (slot->state != FAMILY_OPEN && slot->state != FAMILY_BROKEN)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	slot->next = *options;
	st = port_fault("family.before_reshape");
	if (st == NVMKV_OK)
		st = family_write_list(root, &doubtful);
	if (st != NVMKV_OK)
	{
		slot->next = before;
		return doubtful ? family_list_in_doubt(root, st) : st;
	}
	return NVMKV_OK;
}

/* Would they change nothing? */
static bool
has_options(const NvmkvDb *root, unsigned id, const NvmkvFamilyOptions *options)
{
	FamilyShm *shm = family_shm(root);
	NvmkvFamilyOptions next, asked;

	memset(&next, 0, sizeof(next));
	memset(&asked, 0, sizeof(asked));
	port_lock_shared(&shm->lock);
	memcpy(&next, &shm->slot[id].next, sizeof(next));
	port_lock_release(&shm->lock);
	memcpy(&asked, options, sizeof(asked));
	family_fill_in(&root->options, &next);
	family_fill_in(&root->options, &asked);
	return next.own == asked.own && next.write_buffer_bytes == asked.write_buffer_bytes &&
		next.max_write_buffers == asked.max_write_buffers && next.nvm_bytes == asked.nvm_bytes &&
		next.target_file_bytes == asked.target_file_bytes && next.block_bytes == asked.block_bytes &&
		next.bloom_bits_per_key == asked.bloom_bits_per_key &&
		memcmp(next.compression, asked.compression, sizeof(next.compression)) == 0;
}

NvmkvStatus
nvmkv_family_reshape(NvmkvDb *db, unsigned id, const NvmkvFamilyOptions *options)
{
	NvmkvDb *root = db->root;
	FamilyShm *shm = family_shm(root);
	NvmkvStatus st;

	if (shm == NULL || id == 0 || id >= family_slots(&root->options))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	if (has_options(root, id, options))
		return NVMKV_OK;
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	NVMKV_RETURN_IF(claim(root));
	st = reshape_claimed(root, id, options);
	unclaim(shm);
	return st;
}

/* ---- drop ---- */

static bool
is_used_elsewhere(const NvmkvDb *root, unsigned id)
{
	const FamilyShm *shm = family_shm(root);
	unsigned slot;

	for (slot = 0; slot < root->options.process_slots; slot++)
		if ((port_load_seq(&shm->in_use[slot]) >> id & 1) != 0)
			return true;
	return false;
}

static NvmkvStatus
wait_until_left(NvmkvDb *root, unsigned id)
{
	NvmkvStatus st = NVMKV_OK;

	port_cond_prepare(&root->shm->progress);
	while (st == NVMKV_OK && is_used_elsewhere(root, id))
		st = port_cond_wait(&root->shm->progress, DROP_WAIT_MS);
	port_cond_finish(&root->shm->progress);
	return st;
}

static NvmkvStatus
drop_claimed(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);
	FamilyState before = (FamilyState) shm->slot[id].state;
	bool doubtful = false;
	NvmkvStatus st;

	if (before != FAMILY_OPEN && before != FAMILY_BROKEN)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	family_set_state(shm, id, FAMILY_CLOSING);
	st = wait_until_left(root, id);
	if (st == NVMKV_OK)
		st = port_fault("family.before_drop");
	if (st == NVMKV_OK)
		st = anchoring_hold(root);
	if (st == NVMKV_OK)
	{
		st = anchoring_note(root); /* without the family */
		if (st == NVMKV_OK)
			st = family_write_list(root, &doubtful);
		anchoring_release(root);
	}
	if (st != NVMKV_OK)
	{
		family_set_state(shm, id, before);
		return doubtful ? family_list_in_doubt(root, st) : st;
	}
	family_detach(root, id);
	/* It is gone; what cannot be removed is removed at the next open, or when the number is used again. */
	if (port_fault("family.dropped") != NVMKV_OK || family_remove_files(root, id) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove the files of dropped column family %u: %s", id, nvmkv_error()->text);
	family_set_state(shm, id, FAMILY_FREE);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_family_drop(NvmkvDb *db, unsigned id)
{
	NvmkvDb *root = db->root;
	FamilyShm *shm = family_shm(root);
	NvmkvStatus st;

	if (id == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "the default column family cannot be dropped");
	if (shm == NULL || id >= family_slots(&root->options))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	NVMKV_RETURN_IF(claim(root));
	st = drop_claimed(root, id);
	unclaim(shm);
	return st;
}

/* ---- give up ---- */

static NvmkvStatus
give_up_claimed(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);
	const NvmkvError why = *nvmkv_error();
	NvmkvDb *db;
	uint64_t stored;
	NvmkvStatus st;

	NVMKV_RETURN_IF(nvmkv_family(root, id, &db));
	stored = nvmkv_stored_seq(db);
	family_set_state(shm, id, FAMILY_CLOSING);
	st = wait_until_left(root, id);
	if (st != NVMKV_OK)
	{
		family_set_state(shm, id, FAMILY_OPEN);
		return st;
	}
	family_detach(root, id);
	family_note_broken(root, id, NVMKV_FAIL(why.status, "%s", why.text), stored);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_family_give_up(NvmkvDb *db, unsigned id)
{
	NvmkvDb *root = db->root;
	NvmkvStatus st;

	NVMKV_RETURN_IF(claim(root));
	st = give_up_claimed(root, id);
	unclaim(family_shm(root));
	return st;
}
