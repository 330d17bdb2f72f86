/*
 * checkpoint.c
 *	  See checkpoint.h.
 */
#include "postgres.h"

#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "fdw/host/checkpoint.h"

/* Two texts, so that the one that is told is not written over while it is read. */
typedef struct CheckpointShared
{
	pg_atomic_uint32 obstacle; /* a NvmkvStatus */
	pg_atomic_uint32 failures;
	pg_atomic_uint32 text;	   /* the one that counts */
	char texts[2][NVMKV_ERROR_TEXT_MAX];
} CheckpointShared;

static CheckpointShared *shared;

void
nvmkv_checkpoint_shmem_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(CheckpointShared)));
}

void
nvmkv_checkpoint_shmem_init(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("nvmkv checkpoint", sizeof(CheckpointShared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(*shared));
		pg_atomic_init_u32(&shared->obstacle, NVMKV_OK);
		pg_atomic_init_u32(&shared->failures, 0);
		pg_atomic_init_u32(&shared->text, 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
nvmkv_checkpoint_note(NvmkvStatus status, const char *why)
{
	uint32 next = 1 - pg_atomic_read_u32(&shared->text);

	if (status != NVMKV_OK && strcmp(shared->texts[1 - next], why) != 0)
	{
		strlcpy(shared->texts[next], why, NVMKV_ERROR_TEXT_MAX);
		pg_write_barrier();
		pg_atomic_write_u32(&shared->text, next);
	}
	pg_atomic_write_u32(&shared->obstacle, status);
	if (status != NVMKV_OK)
		(void) pg_atomic_fetch_add_u32(&shared->failures, 1);
}

uint32
nvmkv_checkpoint_failures(void)
{
	return shared != NULL ? pg_atomic_read_u32(&shared->failures) : 0;
}

NvmkvStatus
nvmkv_checkpoint_obstacle(const char **why_out)
{
	if (shared == NULL)
		return NVMKV_OK;
	if (why_out != NULL)
		*why_out = shared->texts[pg_atomic_read_u32(&shared->text)];
	return pg_atomic_read_u32(&shared->obstacle);
}
