/*
 * retire.c
 *	  Extents and files that are out of the version but may still have readers.
 *
 * A ring in shared memory, oldest first; stamps ascend, so the head says
 * whether anything can go.  Nothing here survives a crash or needs to: what no
 * version names is free at the next open.
 */
#include "engine/base/assert.h"
#include "engine/db/db_int.h"

#define RETIRED_MAX 65536u
#define HELD_MAX 16384u
#define RETIRED_FILE_BIT (UINT64_C(1) << 63)

typedef struct Retired
{
	uint64_t stamp;
	uint64_t what; /* extent number, or RETIRED_FILE_BIT | file number */
} Retired;

struct DbRetiredShm
{
	PortLock lock; /* protects head, tail, ring */
	uint32_t head; /* oldest; head == tail: empty; both count up and wrap at 2^32 */
	uint32_t tail;
	Retired ring[RETIRED_MAX];
	/* tables whose deletion waits for a copy of the files; what does not fit stays until the next open */
	uint32_t nheld;
	uint64_t held[HELD_MAX];
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

/*
 * The file's blocks go at once, even while an idle process still has it open: it can never be read again
 * (no version names it and no reader is inside an older epoch).
 */
static void
delete_file(NvmkvDb *db, uint64_t number)
{
	char path[MANIFEST_PATH_MAX];
	PortFile *file;

	sst_file_name(db->dir, number, path, sizeof(path));
	if (port_files->open(path, PORT_FILE_WRITE, &file) == NVMKV_OK)
	{
		(void) port_files->truncate(file, 0);
		port_files->close(file);
	}
	sst_cache_drop_file(&db->blocks, number);
	if (port_files->unlink(path) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove obsolete table \"%s\": %s", path, nvmkv_error()->text);
	port_count(&db->shm->counters.files_deleted, 1);
}

/* Keeps the file for a copy that is being made, if one is. */
static bool
hold_file(NvmkvDb *db, uint64_t number)
{
	DbRetiredShm *shm = db->retired;
	bool hold;

	port_lock_exclusive(&shm->lock);
	hold = port_load_seq(&db->shm->hold_files) != 0;
	if (hold && shm->nheld < HELD_MAX)
		shm->held[shm->nheld++] = number;
	port_lock_release(&shm->lock);
	return hold;
}

void
retired_release_held(NvmkvDb *db)
{
	DbRetiredShm *shm = db->retired;

	for (;;)
	{
		uint64_t number = 0;

		port_lock_exclusive(&shm->lock);
		if (shm->nheld > 0)
			number = shm->held[--shm->nheld];
		port_lock_release(&shm->lock);
		if (number == 0)
			return;
		delete_file(db, number);
	}
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
