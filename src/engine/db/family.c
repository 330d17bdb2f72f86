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
 *	  BROKEN	in FAMILIES, but it could not be opened: nobody has a handle of it, and its files are left alone
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
#include "engine/tree/tree.h"

/* How often a drop looks whether background work has left the family. */
#define DROP_WAIT_MS 20

#define PATH_BYTES_MAX 1200

typedef enum FamilyState
{
	FAMILY_FREE,
	FAMILY_OPENING,
	FAMILY_OPEN,
	FAMILY_BROKEN,
	FAMILY_CLOSING
} FamilyState;

typedef struct FamilySlot
{
	uint32_t state;	 /* FamilyState */
	uint64_t births; /* families the slot has had; an old handle is known by it */
	NvmkvFamilyInfo info;
	NvmkvFamilyOptions next; /* the options of the next open, which FAMILIES has */
	/* BROKEN: why, and which sequences it has all the same */
	uint32_t status;
	char error[NVMKV_ERROR_TEXT_MAX];
	uint64_t durable_seq;
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

/* Numbers that a family may have, and 0. */
static unsigned
slots(const NvmkvOptions *options)
{
	return options->family_slots > options->max_families ? options->family_slots : options->max_families;
}

size_t
families_shm_bytes(const NvmkvOptions *options)
{
	if (slots(options) <= 1)
		return 0;
	return head_bytes(options) + (slots(options) - 1) * align64(tree_shm_bytes(options));
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

	memset(options, 0, sizeof(*options));
	options->own = NVMKV_OWN_ALL;
	options->write_buffer_bytes = o->write_buffer_bytes;
	options->max_write_buffers = o->max_write_buffers;
	options->nvm_bytes = 0;
	options->target_file_bytes = o->target_file_bytes;
	options->block_bytes = o->block_bytes;
	options->bloom_bits_per_key = o->bloom_bits_per_key;
	options->l0_write_amplification = o->l0_write_amplification;
	memcpy(options->compression, o->compression, sizeof(options->compression));
}

/* What is not the family's own is the database's. */
static void
fill_in(const NvmkvOptions *root, NvmkvFamilyOptions *options)
{
	if ((options->own & NVMKV_OWN_WRITE_BUFFER_BYTES) == 0)
		options->write_buffer_bytes = root->write_buffer_bytes;
	if ((options->own & NVMKV_OWN_MAX_WRITE_BUFFERS) == 0)
		options->max_write_buffers = root->max_write_buffers;
	if ((options->own & NVMKV_OWN_NVM_BYTES) == 0)
		options->nvm_bytes = root->nvm_bytes;
	if ((options->own & NVMKV_OWN_TARGET_FILE_BYTES) == 0)
		options->target_file_bytes = root->target_file_bytes;
	if ((options->own & NVMKV_OWN_BLOOM_BITS) == 0)
		options->bloom_bits_per_key = root->bloom_bits_per_key;
	if ((options->own & NVMKV_OWN_COMPRESSION) == 0)
		memcpy(options->compression, root->compression, sizeof(options->compression));
	if ((options->own & NVMKV_OWN_REST) == 0)
	{
		options->block_bytes = root->block_bytes;
		options->l0_write_amplification = root->l0_write_amplification;
	}
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

/* What the tree of a family is opened with: its shape; the rest is the root's. */
static void
merge_options(const NvmkvOptions *root, const NvmkvFamilyOptions *family, NvmkvOptions *options)
{
	NvmkvFamilyOptions own = *family;

	fill_in(root, &own);
	*options = *root;
	options->write_buffer_bytes = own.write_buffer_bytes;
	options->max_write_buffers = own.max_write_buffers;
	options->nvm_bytes = own.nvm_bytes;
	options->target_file_bytes = own.target_file_bytes;
	options->block_bytes = own.block_bytes;
	options->bloom_bits_per_key = own.bloom_bits_per_key;
	options->l0_write_amplification = own.l0_write_amplification;
	memcpy(options->compression, own.compression, sizeof(options->compression));
	options->standalone_log = false;
	options->max_families = 1;
	options->family_slots = 0;
}

void
nvmkv_options_cover(NvmkvOptions *options, const char *dir)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count, i;

	if (family_file_read(dir, list, &count) != NVMKV_OK)
		return;
	for (i = 0; i < count; i++)
	{
		NvmkvOptions merged;
		size_t bytes;

		if (list[i].id >= slots(options))
			options->family_slots = list[i].id + 1;
		merge_options(options, &list[i].options, &merged);
		bytes = mempool_shm_bytes(merged.max_write_buffers, merged.write_buffer_bytes);
		if (nvmkv_options_check(&merged) == NVMKV_OK && bytes > options->family_memtables_bytes)
			options->family_memtables_bytes = bytes;
	}
}

/* What a family asks for must fit. */
static NvmkvStatus
check_family(const NvmkvDb *root, const NvmkvFamilyOptions *own)
{
	NvmkvOptions options;

	merge_options(&root->options, own, &options);
	NVMKV_RETURN_IF(tree_check_options(&options));
	if (tree_shm_bytes(&options) > family_shm(root)->tree_bytes)
		return NVMKV_FAIL(NVMKV_LIMIT, "%u write buffers of %" PRIu64 " bytes are more than what %s (%u) and %s (%" PRIu64 " bytes) reserve",
						  options.max_write_buffers, options.write_buffer_bytes, option_name("max_write_buffers"),
						  root->options.max_write_buffers, option_name("write_buffer_bytes"), root->options.write_buffer_bytes);
	return NVMKV_OK;
}

#define CONTAINER_MEMTABLES_MIN 3 /* as in tree_check_options */
#define WRITE_BUFFER_BYTES_MIN (UINT64_C(64) << 10)

/*
 * What a family has, with options that may have been given to it elsewhere, or under other options of the database,
 * becomes what there is room for: fewer memtables, and smaller ones.
 */
static void
fit_options(const NvmkvDb *root, const char *name, NvmkvOptions *o, bool complain)
{
	const NvmkvOptions asked = *o;

	if (o->nvm_bytes > 0 && o->write_buffer_bytes > o->nvm_bytes / CONTAINER_MEMTABLES_MIN)
		o->write_buffer_bytes = o->nvm_bytes / CONTAINER_MEMTABLES_MIN;
	while (tree_shm_bytes(o) > family_shm(root)->tree_bytes && o->max_write_buffers > 2)
		o->max_write_buffers--;
	while (tree_shm_bytes(o) > family_shm(root)->tree_bytes && o->write_buffer_bytes / 2 >= WRITE_BUFFER_BYTES_MIN)
		o->write_buffer_bytes /= 2;
	if (complain &&
		(o->write_buffer_bytes != asked.write_buffer_bytes || o->max_write_buffers != asked.max_write_buffers))
		port_log(PORT_LOG_WARNING, "column family \"%s\" has %u write buffers of %" PRIu64 " kB instead of %u of %" PRIu64
				 " kB: %s, %s and %s leave no room for more", name, o->max_write_buffers, o->write_buffer_bytes / 1024,
				 asked.max_write_buffers, asked.write_buffer_bytes / 1024, option_name("max_write_buffers"),
				 option_name("write_buffer_bytes"), option_name("nvm_bytes"));
}

/* ---- handles ---- */

static void
family_dir(const NvmkvDb *root, unsigned id, char *path)
{
	(void) snprintf(path, PATH_BYTES_MAX, "%s/family-%u", root->dir, id);
}

/*
 * The container is where the root's is: in the directory, or beside a pool that stands elsewhere; but not beside a
 * device.  *in_dir_out: in the directory.
 */
static void
container_path(const NvmkvDb *root, unsigned id, char *path, bool *in_dir_out)
{
	char own[PATH_BYTES_MAX];

	(void) snprintf(own, sizeof(own), "%s/level0.pool", root->dir);
	*in_dir_out = strcmp(root->nvm_path, own) == 0 || nvm_device_is_device(root->nvm_path);
	if (*in_dir_out)
		(void) snprintf(path, PATH_BYTES_MAX, "%s/family-%u/level0.pool", root->dir, id);
	else
		(void) snprintf(path, PATH_BYTES_MAX, "%s.family-%u", root->nvm_path, id);
}

static NvmkvStatus
make_handle(NvmkvDb *root, unsigned id, const NvmkvFamilyInfo *info, bool opens, NvmkvDb **db_out)
{
	NvmkvOptions options;
	char dir[PATH_BYTES_MAX];
	char pool[PATH_BYTES_MAX];
	bool in_dir;

	family_dir(root, id, dir);
	merge_options(&root->options, &info->options, &options);
	fit_options(root, info->name, &options, opens);
	NVMKV_RETURN_IF(tree_check_options(&options));
	container_path(root, id, pool, &in_dir);
	options.nvm_path = in_dir ? NULL : pool;
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

	NVMKV_RETURN_IF(make_handle(root, id, &slot->info, false, &db));
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
	if (shm == NULL || id >= slots(&root->options))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	if (port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN)
		return NVMKV_FAIL((NvmkvStatus) shm->slot[id].status, "column family \"%s\" cannot be used: %s", shm->slot[id].info.name,
						  shm->slot[id].error);
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
	for (id = 1; id < slots(&db->root->options); id++)
		if (shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_BROKEN)
		{
			if (n < max)
			{
				list_out[n] = shm->slot[id].info;
				list_out[n].options = shm->slot[id].next;
				fill_in(&db->root->options, &list_out[n].options);
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
		char path[PATH_BYTES_MAX];

		container_path(root, id, path, &in_dir);
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

	return shm != NULL && id > 0 && id < slots(&root->options) &&
		port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN && last_sequence <= shm->slot[id].durable_seq;
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

	return id > 0 && shm != NULL && id < slots(&root->options) && port_load_seq(&shm->slot[id].state) == FAMILY_BROKEN;
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
	for (; id < slots(&root->options); id++)
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
	/* Where a link leads, too. */
	(void) snprintf(pool, sizeof(pool), "%s/family-%u/level0.pool", root->dir, id);
	NVMKV_RETURN_IF(nvm_pool_remove(pool, root->options.system_identifier));
	NVMKV_RETURN_IF(port_files->list(dir, remove_file, &e));
	NVMKV_RETURN_IF(e.status);
	(void) snprintf(pool, sizeof(pool), "%s.family-%u", root->nvm_path, id);
	NVMKV_RETURN_IF(nvm_pool_remove(pool, root->options.system_identifier));
	return port_files->unlink(pool);
}

static NvmkvStatus
write_list(NvmkvDb *root, bool *doubtful_out)
{
	FamilyShm *shm = family_shm(root);
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned n = 0;
	unsigned id;

	for (id = 1; id < slots(&root->options); id++)
		if (shm->slot[id].state == FAMILY_OPEN || shm->slot[id].state == FAMILY_OPENING ||
			shm->slot[id].state == FAMILY_BROKEN)
		{
			list[n] = shm->slot[id].info;
			list[n++].options = shm->slot[id].next;
		}
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
	unsigned others = 0;
	unsigned id;

	*there_out = false;
	*id_out = wanted;
	if (strcmp(name, "default") == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "the column family \"default\" is always there");
	for (id = 1; id < slots(&root->options); id++)
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
		for (id = 1; id < slots(&root->options) && shm->slot[id].state != FAMILY_FREE; id++)
			;
		*id_out = id;
		if (others + 1 >= root->options.max_families)
			return NVMKV_FAIL(NVMKV_LIMIT, "there are %u column families already, as many as %s allows", others + 1,
							  option_name("max_families"));
	}
	else if (wanted >= slots(&root->options))
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
	slot->next = *options;
	NVMKV_RETURN_IF(make_handle(root, id, &slot->info, true, &db));
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
	/* One that the log makes again gets what there is room for. */
	st = id == 0 ? check_family(root, options) : NVMKV_OK;
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
		st = write_list(root, &doubtful);
	if (st != NVMKV_OK)
	{
		slot->next = before;
		return doubtful ? list_in_doubt(root, st) : st;
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
	fill_in(&root->options, &next);
	fill_in(&root->options, &asked);
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

	if (shm == NULL || id == 0 || id >= slots(&root->options))
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
		set_state(shm, id, before);
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
	if (shm == NULL || id >= slots(&root->options))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "there is no column family %u", id);
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	NVMKV_RETURN_IF(claim(root));
	st = drop_claimed(root, id);
	unclaim(shm);
	return st;
}

/* ---- open and close ---- */

static bool
is_free(const NvmkvDb *root, unsigned id)
{
	return id >= slots(&root->options) || family_shm(root)->slot[id].state == FAMILY_FREE;
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
		remove_files(root, (unsigned) id) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove the files of dropped column family %lu: %s", id, nvmkv_error()->text);
	return true;
}

/* What is wrong with a family costs nobody else anything. */
static void
note_broken(NvmkvDb *root, unsigned id, NvmkvStatus status, uint64_t durable_seq)
{
	FamilySlot *slot = &family_shm(root)->slot[id];

	slot->state = FAMILY_BROKEN;
	/* NOT_FOUND, of its pool, would say that there is no such family, and that its log need not be replayed. */
	slot->status = (uint32_t) (status == NVMKV_NOT_FOUND ? NVMKV_INVALID : status);
	slot->durable_seq = durable_seq;
	(void) snprintf(slot->error, sizeof(slot->error), "%s", nvmkv_error()->text);
	port_log(PORT_LOG_WARNING, "column family \"%s\" cannot be used: %s", slot->info.name, slot->error);
}

static NvmkvStatus
open_listed(NvmkvDb *root, const NvmkvFamilyInfo *info)
{
	FamilyShm *shm = family_shm(root);
	NvmkvDb *db;
	NvmkvStatus st;

	if (info->id >= slots(&root->options))
		return NVMKV_FAIL(NVMKV_INVALID, "there is a column family \"%s\" with number %u, and %s is %u: it must be more than that",
						  info->name, info->id, option_name("max_families"), root->options.max_families);
	shm->slot[info->id].info = *info;
	shm->slot[info->id].next = info->options;
	shm->slot[info->id].births = 1;
	st = make_handle(root, info->id, info, true, &db);
	if (st != NVMKV_OK)
	{
		note_broken(root, info->id, st, 0);
		return NVMKV_OK;
	}
	st = tree_open(db, tree_memory(root, info->id));
	if (st != NVMKV_OK)
	{
		/* It was made after the copy began, and the log will make it again; or it is broken. */
		if (!db->has_no_point)
			note_broken(root, info->id, st, tree_durable_if_known(db));
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
