/*
 * family.c
 *	  Column families: which there are, and this process's handles of them.
 *
 * Each family is a tree of its own in <dir>/family-<number>, with its memtables
 * and versions in a piece of shared memory that is reserved when the database
 * is opened (NvmkvOptions.max_families).  They share with the default family,
 * the root: the log, the block cache and the numbering of table files.
 *
 * Life of a slot:
 *	  FREE		no family
 *	  OPENING	one is being made
 *	  OPEN		in FAMILIES; processes have handles of it
 *	  CLOSING	being dropped: nobody comes in any more
 * The one who holds the claim makes and drops.
 *
 * Background work must not be surprised by a drop.  So a process shows in
 * in_use which families it is at (bit = number), and then looks whether the
 * family is still OPEN; a drop sets CLOSING, and then waits until nobody shows
 * that.  Whoever reads or writes through a family's handle shows nothing:
 * nvmkv_family_drop requires that there is none of them.
 *
 * A number may be a dropped family's.  What the log holds of that one is not
 * taken for the new one's: a family is durable, from its birth, up to where the
 * log then was.
 *
 * Crash outcome.  Creation: the family exists once FAMILIES names it; before
 * that its files are left-overs, removed at the next open.  Drop: it is gone
 * once FAMILIES does not name it; files that are left are removed then, too.
 */
#include "engine/db/family_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/db/db_int.h"

/* How often a drop looks whether background work has left the family. */
#define DROP_WAIT_MS 20

#define PATH_BYTES_MAX 1200

typedef enum FamilyState
{
	FAMILY_FREE,
	FAMILY_OPENING,
	FAMILY_OPEN,
	FAMILY_CLOSING
} FamilyState;

typedef struct FamilySlot
{
	uint32_t state;	 /* FamilyState */
	uint64_t births; /* families the slot has had; an old handle is known by it */
	NvmkvFamilyInfo info;
} FamilySlot;

typedef struct FamilyShm
{
	PortLock lock;	  /* held for a change of state, and while a process makes its handle */
	uint32_t claim;	  /* process slot + 2 of the one who creates or drops */
	uint64_t tree_bytes;
	FamilySlot slot[NVMKV_FAMILIES_MAX]; /* [0] is not used */
	uint32_t in_use[];					 /* of each process slot */
} FamilyShm;

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

static size_t
head_bytes(const NvmkvOptions *options)
{
	return align64(sizeof(FamilyShm) + options->process_slots * sizeof(uint32_t));
}

size_t
families_shm_bytes(const NvmkvOptions *options)
{
	if (options->max_families <= 1)
		return 0;
	return head_bytes(options) + (options->max_families - 1) * align64(tree_shm_bytes(options));
}

static FamilyShm *
family_shm(const NvmkvDb *root)
{
	uint64_t off = root->shm->families_off;

	return off == 0 ? NULL : (FamilyShm *) (void *) ((uint8_t *) root->shm + off);
}

static void *
tree_memory(const NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);

	return (uint8_t *) shm + head_bytes(&root->options) + (id - 1) * shm->tree_bytes;
}

static void
set_state(FamilyShm *shm, unsigned id, FamilyState state)
{
	port_lock_exclusive(&shm->lock);
	port_store_seq(&shm->slot[id].state, (uint32_t) state);
	port_lock_release(&shm->lock);
}

/* ---- options ---- */

void
nvmkv_family_options_default(const NvmkvDb *db, NvmkvFamilyOptions *options)
{
	const NvmkvOptions *o = &db->root->options;

	options->write_buffer_bytes = o->write_buffer_bytes;
	options->max_write_buffers = o->max_write_buffers;
	options->nvm_bytes = 0;
	options->target_file_bytes = o->target_file_bytes;
	options->block_bytes = o->block_bytes;
	options->bloom_bits_per_key = o->bloom_bits_per_key;
	options->l0_write_amplification = o->l0_write_amplification;
	memcpy(options->compression, o->compression, sizeof(options->compression));
}

/* What the tree of a family is opened with: its shape; the rest is the root's. */
static void
merge_options(const NvmkvDb *root, const NvmkvFamilyOptions *own, NvmkvOptions *options)
{
	*options = root->options;
	options->write_buffer_bytes = own->write_buffer_bytes;
	options->max_write_buffers = own->max_write_buffers;
	options->nvm_bytes = own->nvm_bytes;
	options->target_file_bytes = own->target_file_bytes;
	options->block_bytes = own->block_bytes;
	options->bloom_bits_per_key = own->bloom_bits_per_key;
	options->l0_write_amplification = own->l0_write_amplification;
	memcpy(options->compression, own->compression, sizeof(options->compression));
	options->standalone_log = false;
	options->max_families = 1;
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

static NvmkvStatus
check_family(const NvmkvDb *root, const NvmkvFamilyOptions *own)
{
	NvmkvOptions options;

	merge_options(root, own, &options);
	NVMKV_RETURN_IF(tree_check_options(&options));
	if (tree_shm_bytes(&options) > family_shm(root)->tree_bytes)
		return NVMKV_FAIL(NVMKV_LIMIT, "%u write buffers of %" PRIu64 " bytes are more than what %s (%u) and %s (%" PRIu64 " bytes) reserve",
						  own->max_write_buffers, own->write_buffer_bytes, option_name("max_write_buffers"),
						  root->options.max_write_buffers, option_name("write_buffer_bytes"), root->options.write_buffer_bytes);
	return NVMKV_OK;
}

/* ---- handles ---- */

static void
family_dir(const NvmkvDb *root, unsigned id, char *path)
{
	(void) snprintf(path, PATH_BYTES_MAX, "%s/family-%u", root->dir, id);
}

static NvmkvStatus
make_handle(NvmkvDb *root, unsigned id, const NvmkvFamilyInfo *info, NvmkvDb **db_out)
{
	NvmkvOptions options;
	char dir[PATH_BYTES_MAX];
	char pool[PATH_BYTES_MAX];
	char beside[PATH_BYTES_MAX];

	family_dir(root, id, dir);
	merge_options(root, &info->options, &options);
	/* The container is where the root's is: in the directory, or beside a pool that stands elsewhere. */
	(void) snprintf(beside, sizeof(beside), "%s/level0.pool", root->dir);
	options.nvm_path = NULL;
	if (strcmp(root->nvm_path, beside) != 0)
	{
		(void) snprintf(pool, sizeof(pool), "%s.family-%u", root->nvm_path, id);
		options.nvm_path = pool;
	}
	NVMKV_RETURN_IF(tree_handle(dir, &options, root, db_out));
	(*db_out)->family = id;
	return NVMKV_OK;
}

/* REQUIRES the lock, so that the family is not dropped meanwhile. */
static NvmkvStatus
attach_locked(NvmkvDb *root, unsigned id)
{
	FamilySlot *slot = &family_shm(root)->slot[id];
	NvmkvDb *db;
	NvmkvStatus st;

	NVMKV_RETURN_IF(make_handle(root, id, &slot->info, &db));
	db->family_birth = slot->births;
	st = tree_attach(db, tree_memory(root, id));
	if (st != NVMKV_OK)
	{
		tree_close(db);
		return st;
	}
	root->families[id] = db;
	return NVMKV_OK;
}

static void
detach(NvmkvDb *root, unsigned id)
{
	if (root->families[id] != NULL)
		tree_close(root->families[id]);
	root->families[id] = NULL;
}

/* Brings this process's handle of a family up to date; it is NULL afterwards if there is no such family. */
static NvmkvStatus
refresh(NvmkvDb *root, unsigned id)
{
	FamilyShm *shm = family_shm(root);
	FamilySlot *slot = &shm->slot[id];
	NvmkvDb *db = root->families[id];
	NvmkvStatus st = NVMKV_OK;

	if (port_load_seq(&slot->state) == FAMILY_OPEN && db != NULL && db->family_birth == port_load_seq(&slot->births))
		return NVMKV_OK;
	port_lock_shared(&shm->lock);
	if (db != NULL && (slot->state != FAMILY_OPEN || db->family_birth != slot->births))
		detach(root, id);
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
	if (shm == NULL || id >= root->options.max_families)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	NVMKV_RETURN_IF(refresh(root, id));
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
	for (id = 1; id < db->root->options.max_families; id++)
		if (shm->slot[id].state == FAMILY_OPEN)
		{
			if (n < max)
				list_out[n] = shm->slot[id].info;
			n++;
		}
	port_lock_release(&shm->lock);
	return n;
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
	for (; id < root->options.max_families; id++)
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
		st = refresh(root, id);
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

/* ---- files ---- */

typedef struct Emptying
{
	const char *dir;
	NvmkvStatus status;
} Emptying;

static bool
remove_file(void *ctx, const char *name)
{
	Emptying *e = ctx;
	char path[2 * PATH_BYTES_MAX];
	NvmkvStatus st;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	(void) snprintf(path, sizeof(path), "%s/%s", e->dir, name);
	st = port_files->unlink(path);
	if (st != NVMKV_OK && e->status == NVMKV_OK)
		e->status = st;
	return true;
}

/* The directory stays, empty: its name will be used again. */
static NvmkvStatus
remove_files(NvmkvDb *root, unsigned id)
{
	char dir[PATH_BYTES_MAX];
	char pool[PATH_BYTES_MAX];
	Emptying e = {dir, NVMKV_OK};

	family_dir(root, id, dir);
	NVMKV_RETURN_IF(port_files->mkdir(dir));
	NVMKV_RETURN_IF(port_files->list(dir, remove_file, &e));
	NVMKV_RETURN_IF(e.status);
	(void) snprintf(pool, sizeof(pool), "%s.family-%u", root->nvm_path, id);
	return port_files->unlink(pool);
}

static NvmkvStatus
write_list(NvmkvDb *root, bool *doubtful_out)
{
	FamilyShm *shm = family_shm(root);
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned n = 0;
	unsigned id;

	for (id = 1; id < root->options.max_families; id++)
		if (shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_OPENING)
			list[n++] = shm->slot[id].info;
	return family_file_write(root->dir, list, n, doubtful_out);
}

/*
 * After a failure to replace the list it may be in doubt which is in place, and the next open goes by it: a family that
 * goes on would be lost, or one without files looked for.  So the list of what there is now is written once more; if
 * that fails, too, nothing is written any more before the next open, which finds out.
 */
static NvmkvStatus
list_in_doubt(NvmkvDb *root, NvmkvStatus status)
{
	char text[NVMKV_ERROR_TEXT_MAX];
	bool doubtful;

	(void) snprintf(text, sizeof(text), "%s", nvmkv_error()->text);
	if (write_list(root, &doubtful) != NVMKV_OK)
		db_set_sticky(root);
	return NVMKV_FAIL(status, "%s", text);
}

/* ---- create ---- */

/* The number a new family of this name gets: *there_out if it exists already. */
static NvmkvStatus
choose_slot(const NvmkvDb *root, unsigned wanted, const char *name, unsigned *id_out, bool *there_out)
{
	const FamilyShm *shm = family_shm(root);
	unsigned id;

	*there_out = false;
	*id_out = wanted;
	if (strcmp(name, "default") == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "the column family \"default\" is always there");
	for (id = 1; id < root->options.max_families; id++)
		if (shm->slot[id].state == FAMILY_OPEN && strcmp(shm->slot[id].info.name, name) == 0)
		{
			if (id != wanted)
				return NVMKV_FAIL(NVMKV_INVALID, "column family \"%s\" already exists", name);
			*there_out = true;
			return NVMKV_OK;
		}
	if (wanted == 0)
	{
		for (id = 1; id < root->options.max_families && shm->slot[id].state != FAMILY_FREE; id++)
			;
		*id_out = id;
		if (id == root->options.max_families)
			return NVMKV_FAIL(NVMKV_LIMIT, "there are %u column families already, as many as %s allows", id, option_name("max_families"));
	}
	else if (wanted >= root->options.max_families)
		return NVMKV_FAIL(NVMKV_LIMIT, "column family %u is one more than %s allows, which is %u", wanted, option_name("max_families"),
						  root->options.max_families);
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

	NVMKV_RETURN_IF(remove_files(root, db->family));
	NVMKV_RETURN_IF(tree_open(db, tree_memory(root, db->family)));
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
	if (there)
		return NVMKV_OK;
	NVMKV_RETURN_IF(refresh(root, id)); /* lets go of a dropped family's handle */
	slot = &shm->slot[id];
	memset(&slot->info, 0, sizeof(slot->info));
	slot->info.id = id;
	memcpy(slot->info.name, name, strlen(name) + 1);
	slot->info.options = *options;
	NVMKV_RETURN_IF(make_handle(root, id, &slot->info, &db));
	port_store_seq(&slot->births, slot->births + 1);
	db->family_birth = slot->births;
	set_state(shm, id, FAMILY_OPENING);
	st = open_empty(root, db);
	if (st == NVMKV_OK)
		st = write_list(root, &doubtful);
	if (st != NVMKV_OK)
	{
		tree_close(db);
		set_state(shm, id, FAMILY_FREE);
		return doubtful ? list_in_doubt(root, st) : st;
	}
	root->families[id] = db;
	set_state(shm, id, FAMILY_OPEN);
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
	st = check_family(root, options);
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
	bool doubtful = false;
	NvmkvStatus st;

	if (shm->slot[id].state != FAMILY_OPEN)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	set_state(shm, id, FAMILY_CLOSING);
	st = wait_until_left(root, id);
	if (st == NVMKV_OK)
		st = port_fault("family.before_drop");
	if (st == NVMKV_OK)
		st = anchoring_hold(root);
	if (st == NVMKV_OK)
	{
		st = anchoring_note(root); /* without the family */
		if (st == NVMKV_OK)
			st = write_list(root, &doubtful);
		anchoring_release(root);
	}
	if (st != NVMKV_OK)
	{
		set_state(shm, id, FAMILY_OPEN);
		return doubtful ? list_in_doubt(root, st) : st;
	}
	detach(root, id);
	/* It is gone; what cannot be removed is removed at the next open, or when the number is used again. */
	if (port_fault("family.dropped") != NVMKV_OK || remove_files(root, id) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove the files of dropped column family %u: %s", id, nvmkv_error()->text);
	set_state(shm, id, FAMILY_FREE);
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
	if (shm == NULL || id >= root->options.max_families)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	NVMKV_RETURN_IF(claim(root));
	st = drop_claimed(root, id);
	unclaim(shm);
	return st;
}

/* ---- open and close ---- */

static bool
remove_leftover(void *ctx, const char *name)
{
	NvmkvDb *root = ctx;
	char *end;
	unsigned long id;

	if (strncmp(name, "family-", 7) != 0)
		return true;
	id = strtoul(name + 7, &end, 10);
	if (*end == '\0' && id > 0 && id < NVMKV_FAMILIES_MAX && root->families[id] == NULL &&
		remove_files(root, (unsigned) id) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove the files of dropped column family %lu: %s", id, nvmkv_error()->text);
	return true;
}

static NvmkvStatus
open_listed(NvmkvDb *root, const NvmkvFamilyInfo *info)
{
	FamilyShm *shm = family_shm(root);
	NvmkvDb *db;
	NvmkvStatus st;

	if (info->id >= root->options.max_families)
		return NVMKV_FAIL(NVMKV_INVALID, "there is a column family \"%s\" with number %u, and %s is %u: it must be more than that",
						  info->name, info->id, option_name("max_families"), root->options.max_families);
	st = check_family(root, &info->options);
	if (st != NVMKV_OK)
		return of_family(info->name, st);
	NVMKV_RETURN_IF(make_handle(root, info->id, info, &db));
	st = tree_open(db, tree_memory(root, info->id));
	if (st != NVMKV_OK)
	{
		bool comes_later = db->has_no_point;

		tree_close(db);
		/* It was made after the copy began, and the log will make it again. */
		return comes_later ? NVMKV_OK : of_family(info->name, st);
	}
	db->family_birth = 1;
	shm->slot[info->id].info = *info;
	shm->slot[info->id].births = 1;
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
	memset(shm, 0, head_bytes(&root->options));
	port_lock_init(&shm->lock, PORT_RANK_JOB);
	shm->tree_bytes = align64(tree_shm_bytes(&root->options));
	for (i = 0; i < count; i++)
		NVMKV_RETURN_IF(open_listed(root, &list[i]));
	if (root->options.restore_from != 0)
		NVMKV_RETURN_IF(write_list(root, &doubtful));
	return port_files->list(root->dir, remove_leftover, root);
}

void
families_close(NvmkvDb *root)
{
	unsigned id;

	for (id = 1; id < NVMKV_FAMILIES_MAX; id++)
		detach(root, id);
}
