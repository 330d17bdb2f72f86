/*
 * retire.c
 *	  Extents and files that are out of the version but may still have readers.
 *
 * A ring in shared memory, oldest first; stamps ascend, so the head says
 * whether anything can go.  Nothing here survives a crash or needs to: what no
 * version names is free at the next open.
 */
#include "engine/tree/retire.h"

#include "engine/meta/outcome_file.h"
#include "engine/tree/damage_files.h"

#define RETIRED_MAX 65536u
#define HELD_MAX 32768u
#define RETIRED_FILE_BIT (UINT64_C(1) << 63)
#define RETIRED_OUTCOMES_BIT (UINT64_C(1) << 62)

typedef struct Retired
{
	uint64_t stamp;
	uint64_t what; /* extent number, or RETIRED_FILE_BIT | file number; RETIRED_OUTCOMES_BIT: it holds outcomes */
} Retired;

/* A table that is kept for copies (backup.c). */
typedef struct Held
{
	uint64_t number, bytes, stamp;
} Held;

struct DbRetiredShm
{
	PortLock lock; /* protects head, tail, ring */
	uint32_t head; /* oldest; head == tail: empty; both count up and wrap at 2^32 */
	uint32_t tail;
	Retired ring[RETIRED_MAX];
	/* stamps ascend; what does not fit stays until the next open */
	uint32_t nheld;
	Held held[HELD_MAX];
};

size_t
retired_shm_bytes(void)
{
	return sizeof(DbRetiredShm);
}

void
retired_init(DbRetiredShm *shm)
{
	port_lock_init(&shm->lock, PORT_RANK_JOB);
	shm->head = 0;
	shm->tail = 0;
	shm->nheld = 0;
}

static void
add(NvmkvDb *db, uint64_t stamp, uint64_t what)
{
	DbRetiredShm *shm = db->retired;

	for (;;)
	{
		bool done = false;

		port_lock_exclusive(&shm->lock);
		if (shm->tail - shm->head < RETIRED_MAX)
		{
			Retired *slot = &shm->ring[shm->tail % RETIRED_MAX];

			slot->stamp = stamp;
			slot->what = what;
			shm->tail++;
			done = true;
		}
		port_lock_release(&shm->lock);
		if (done)
			return;
		/* Full: readers leave their epochs within one engine call. */
		if (retired_reclaim(db) == RETIRED_MAX)
			port_sleep_us(200);
	}
}

void
retired_add_extents(NvmkvDb *db, const uint32_t *extents, uint32_t count)
{
	uint64_t stamp = epoch_retire_stamp(db->epochs);
	uint32_t i;

	for (i = 0; i < count; i++)
		add(db, stamp, extents[i]);
}

void
retired_add_file(NvmkvDb *db, uint64_t number)
{
	add(db, epoch_retire_stamp(db->epochs), RETIRED_FILE_BIT | number);
}

void
retired_add_outcomes(NvmkvDb *db, uint64_t number)
{
	add(db, epoch_retire_stamp(db->epochs), RETIRED_FILE_BIT | RETIRED_OUTCOMES_BIT | number);
}

static void
delete_outcomes(NvmkvDb *db, uint64_t number)
{
	char path[MANIFEST_PATH_MAX];

	outcome_file_path(db->dir, number, path, sizeof(path));
	if (port_files->unlink(path) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove obsolete file of outcomes \"%s\": %s", path, nvmkv_error()->text);
}

/*
 * The file's blocks go at once, even while an idle process still has it open: it can never be read again
 * (no version names it and no reader is inside an older epoch).  But not while there are copiers: one may be reading
 * it, and would have half of it.
 */
static void
delete_file(NvmkvDb *db, uint64_t number)
{
	char path[MANIFEST_PATH_MAX];
	PortFile *file;

	if ((number & RETIRED_OUTCOMES_BIT) != 0)
	{
		delete_outcomes(db, number & ~RETIRED_OUTCOMES_BIT);
		return;
	}
	if (damage_keeps_file(db, number, NULL))
		return;
	sst_file_name(db->dir, number, path, sizeof(path));
	if (!nvmkv_copy_is_held(db) && port_files->open(path, PORT_FILE_WRITE, &file) == NVMKV_OK)
	{
		(void) port_files->truncate(file, 0);
		port_files->close(file);
	}
	sst_cache_drop_file(&db->blocks, number);
	if (port_files->unlink(path) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove obsolete table \"%s\": %s", path, nvmkv_error()->text);
	port_count(&db->shm->counters.files_deleted, 1);
}

static uint64_t
file_bytes(const NvmkvDb *db, uint64_t number)
{
	char path[MANIFEST_PATH_MAX];
	PortFile *file;
	uint64_t bytes = 0;

	if ((number & RETIRED_OUTCOMES_BIT) != 0)
		outcome_file_path(db->dir, number & ~RETIRED_OUTCOMES_BIT, path, sizeof(path));
	else
		sst_file_name(db->dir, number, path, sizeof(path));
	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return 0;
	if (port_files->size(file, &bytes) != NVMKV_OK)
		bytes = 0;
	port_files->close(file);
	return bytes;
}

/* Keeps the file for the copies that are being made, if there are any. */
static bool
hold_file(NvmkvDb *db, uint64_t number)
{
	DbRetiredShm *shm = db->retired;
	uint64_t bytes;
	bool hold;

	if (!nvmkv_copy_is_held(db))
		return false;
	bytes = file_bytes(db, number);
	port_lock_exclusive(&shm->lock);
	hold = nvmkv_copy_is_held(db);
	if (hold && shm->nheld < HELD_MAX)
	{
		Held held = {number, bytes, port_load_seq(&db->root->shm->copy_clock)};

		shm->held[shm->nheld++] = held;
	}
	port_lock_release(&shm->lock);
	return hold;
}

/* The first held table of this stamp or a later one.  REQUIRES the lock. */
static uint32_t
first_held_since(const DbRetiredShm *shm, uint64_t stamp)
{
	uint32_t i = 0;

	while (i < shm->nheld && shm->held[i].stamp < stamp)
		i++;
	return i;
}

void
retired_release_held(NvmkvDb *db, uint64_t keep)
{
	DbRetiredShm *shm = db->retired;

	for (;;)
	{
		uint64_t numbers[64];
		uint32_t n;
		uint32_t i;

		port_lock_exclusive(&shm->lock);
		n = first_held_since(shm, keep);
		if (n > 64)
			n = 64;
		for (i = 0; i < n; i++)
			numbers[i] = shm->held[i].number;
		shm->nheld -= n;
		memmove(shm->held, shm->held + n, shm->nheld * sizeof(Held));
		port_lock_release(&shm->lock);
		for (i = 0; i < n; i++)
			delete_file(db, numbers[i]);
		if (n == 0)
			return;
	}
}

void
retired_held(NvmkvDb *db, uint64_t stamp, NvmkvCopyHeld *held)
{
	DbRetiredShm *shm = db->retired;
	uint32_t i;

	port_lock_shared(&shm->lock);
	for (i = first_held_since(shm, stamp); i < shm->nheld; i++)
	{
		held->files++;
		held->bytes += shm->held[i].bytes;
	}
	held->is_full |= shm->nheld == HELD_MAX;
	port_lock_release(&shm->lock);
}

uint32_t
retired_reclaim(NvmkvDb *db)
{
	DbRetiredShm *shm = db->retired;
	uint32_t waiting;

	for (;;)
	{
		uint64_t what[64];
		uint32_t n = 0;
		uint32_t i;

		port_lock_exclusive(&shm->lock);
		while (n < 64 && shm->head != shm->tail && epoch_is_safe(db->epochs, shm->ring[shm->head % RETIRED_MAX].stamp))
			what[n++] = shm->ring[shm->head++ % RETIRED_MAX].what;
		waiting = shm->tail - shm->head;
		port_lock_release(&shm->lock);
		for (i = 0; i < n; i++)
		{
			uint32_t extent = (uint32_t) what[i];

			if ((what[i] & RETIRED_FILE_BIT) == 0)
				nvm_pool_give(db->pool, &extent, 1);
			else if (!hold_file(db, what[i] & ~RETIRED_FILE_BIT))
				delete_file(db, what[i] & ~RETIRED_FILE_BIT);
		}
		if (n < 64)
			return waiting;
	}
}
