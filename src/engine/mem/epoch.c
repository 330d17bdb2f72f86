/*
 * epoch.c
 *	  Epoch-based reclamation and writer registration (contract in epoch.h).
 *
 * Why a reclaimer cannot miss a reader.  All operations below are sequentially
 * consistent, so they have one order.
 *
 *	  reader:	 S  slot.epoch = e				reclaimer:	U  unlink
 *				 G  read global; if not e, again			F  s = global++		(the stamp)
 *				 L  read the links							C  read slot.epoch; safe if 0 or > s
 *
 * Let e be the last value published; G read e.  If G comes before F, then so
 * does S, and C sees e (or what followed it: the reader has left), and e <= s
 * because global was not past s yet: not safe, as it must be.  If G comes after
 * F, then e > s, G has read what F or a later increment wrote, so U happens
 * before L: the reader cannot find the thing.
 *
 * The cached minimum.  m = min(global before the scan, epochs seen by it).
 * Whatever has a stamp below m is safe for ever: its F came before the scan,
 * so a reader with e <= s has been seen (then m <= s, contradiction) or has
 * left, and later readers publish more than s.
 *
 * Writers, by the same argument (W publish, A check that the buffer is active;
 * P publish another active buffer, Q scan): A before P implies W before Q.
 */
#include "engine/mem/epoch.h"

#include "engine/base/assert.h"

typedef struct EpochSlot
{
	_Alignas(64) uint64_t epoch; /* 0: outside */
	uint32_t writing;			 /* buffer + 1; 0: none */
	uint32_t depth;				 /* nested enters; the owner's alone */
} EpochSlot;

struct EpochShm
{
	_Alignas(64) uint64_t global; /* starts at 1 */
	_Alignas(64) uint64_t safe_below; /* every smaller stamp is safe */
	uint32_t slots;
	EpochSlot slot[];
};

static inline EpochSlot *
slot_of(EpochShm *shm, int slot)
{
	NVMKV_ASSERT(slot >= 0 && (uint32_t) slot < shm->slots);
	return &shm->slot[slot];
}

size_t
epoch_shm_bytes(unsigned slots)
{
	return sizeof(EpochShm) + slots * sizeof(EpochSlot);
}

void
epoch_init(EpochShm *shm, unsigned slots)
{
	memset(shm, 0, epoch_shm_bytes(slots));
	shm->global = 1;
	shm->slots = slots;
}

void
epoch_enter(EpochShm *shm, int slot)
{
	EpochSlot *own = slot_of(shm, slot);
	uint64_t epoch;

	if (own->depth++ > 0)
		return;
	epoch = port_load_seq(&shm->global);
	for (;;)
	{
		uint64_t now;

		port_store_seq(&own->epoch, epoch);
		now = port_load_seq(&shm->global);
		if (now == epoch)
			return;
		epoch = now;
	}
}

void
epoch_leave(EpochShm *shm, int slot)
{
	EpochSlot *own = slot_of(shm, slot);

	NVMKV_ASSERT(own->depth > 0);
	if (--own->depth == 0)
		port_store_release(&own->epoch, 0);
}

bool
epoch_is_inside(const EpochShm *shm, int slot)
{
	NVMKV_ASSERT(slot >= 0 && (uint32_t) slot < shm->slots);
	return port_load_seq(&shm->slot[slot].epoch) != 0;
}

uint64_t
epoch_retire_stamp(EpochShm *shm)
{
	return port_fetch_add(&shm->global, 1);
}

bool
epoch_is_safe(EpochShm *shm, uint64_t stamp)
{
	uint64_t seen = port_load_acquire(&shm->safe_below);
	uint64_t low;
	uint32_t i;

	if (stamp < seen)
		return true;

	low = port_load_seq(&shm->global);
	for (i = 0; i < shm->slots; i++)
	{
		uint64_t epoch = port_load_seq(&shm->slot[i].epoch);

		if (epoch != 0 && epoch < low)
			low = epoch;
	}
	while (seen < low &&
		   !__atomic_compare_exchange_n(&shm->safe_below, &seen, low, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	return stamp < low;
}

void
epoch_writing_begin(EpochShm *shm, int slot, unsigned buffer)
{
	EpochSlot *own = slot_of(shm, slot);

	NVMKV_ASSERT(port_load_relaxed(&own->writing) == 0);
	port_store_seq(&own->writing, buffer + 1);
}

void
epoch_writing_end(EpochShm *shm, int slot)
{
	/* Not merely release: the caller then looks whether somebody waits for it. */
	port_store_seq(&slot_of(shm, slot)->writing, 0);
}

bool
epoch_is_writing(const EpochShm *shm, int slot)
{
	NVMKV_ASSERT(slot >= 0 && (uint32_t) slot < shm->slots);
	return port_load_seq(&shm->slot[slot].writing) != 0;
}

bool
epoch_buffer_is_quiet(const EpochShm *shm, unsigned buffer)
{
	uint32_t i;

	for (i = 0; i < shm->slots; i++)
	{
		if (port_load_seq(&shm->slot[i].writing) == buffer + 1)
			return false;
	}
	return true;
}

bool
epoch_writers_are_quiet(const EpochShm *shm)
{
	uint32_t i;

	for (i = 0; i < shm->slots; i++)
	{
		if (port_load_seq(&shm->slot[i].writing) != 0)
			return false;
	}
	return true;
}

void
epoch_abort_cleanup(EpochShm *shm, int slot)
{
	EpochSlot *own = slot_of(shm, slot);

	own->depth = 0;
	port_store_seq(&own->writing, 0);
	port_store_release(&own->epoch, 0);
}
