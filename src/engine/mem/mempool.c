/*
 * mempool.c
 *	  Switching, retiring and reusing memtable buffers (contract in mempool.h).
 *
 * Lock protocol.  "list" and the states change under the lock (rank
 * MEMTABLES); the list and the gate are read without it.  Laying out a buffer
 * (clearing its filter) takes longer than a lock should be held: the buffer is
 * CLEANING meanwhile and belongs to the process that cleans.
 *
 * Why a flushed buffer holds everything logged before the next one's start.
 *	  A switch does:  1 start = log position
 *					  2 publish the new list
 *	  The flusher:	  3 wait until no slot writes into the old buffer
 *	  A writer does:  a publish its slot
 *					  b check that the buffer is active
 *					  c append to the log
 *					  d insert
 *					  e clear its slot
 * A writer of the new buffer passed b after 2, so it appended after 1: no
 * record of the new or any later buffer starts below "start".	Hence a record
 * that starts below "start" went to an older buffer; its writer had appended
 * (c), so had passed a and b before 2, and 3 has waited for its e.  So after
 * 3 the older buffers hold every record below "start", and when the last of
 * them is flushed "start" is the new durable_seq.	(A writer that passed b
 * before 2 may append after 1: its record is in the old buffer and starts at
 * or above "start".  It will be replayed although it was flushed, and the
 * repetition is harmless.)
 *
 * The same holds without a switch for an empty active buffer: if the position
 * was read first, then no slot writes into it, then it is still empty, its
 * start may move up to that position.
 *
 * The gate is checked after a: whoever closes it and then finds all slots
 * quiet knows that nobody is inside and nobody will come.
 *
 * A process that dies inside leaves its slot (and at worst a CLEANING buffer)
 * to mempool_abort_cleanup.
 */
#include "engine/mem/mempool.h"

#include "engine/base/assert.h"
#include "engine/base/options.h"

#define LIST_BITS 4 /* of one element: buffer + 1 */
#define LIST_MASK UINT64_C(0xf)

#define NO_SLOT (-1)

#define UNSETTLED_BIT (UINT64_C(1) << 63)

/* Ceiling of one nap: readers leave their epochs without waking anybody. */
#define WAIT_FOR_READERS_MS 1
#define WAIT_MS_MAX 1000

_Static_assert(NVMKV_MEMTABLES_MAX * LIST_BITS <= 64, "the list is one word");
_Static_assert(NVMKV_MEMTABLES_MAX <= LIST_MASK, "0 ends the list");

typedef struct PoolBuffer
{
	uint32_t state;		   /* MemBufferState */
	int32_t cleaner;	   /* slot of the process that has it CLEANING */
	uint64_t generation;
	uint64_t start_seq;
	uint64_t retire_stamp; /* FLUSHED and CLEANING */
} PoolBuffer;

struct MemPoolShm
{
	/* Constant after mempool_init. */
	uint64_t buffer_bytes;
	uint64_t buffers_start; /* byte offset of buffer 0 */
	uint32_t buffers;
	uint32_t gate_open; /* rarely changes */

	_Alignas(64) uint64_t list; /* newest first in the low bits */
	uint64_t super_version; /* odd while the list is being changed by a switch */
	uint64_t unsettled;		/* numbers given out meanwhile */

	PortLock lock; /* rank MEMTABLES: list, buffer[], generation */
	PortCond room; /* a buffer became free, or the gate moved */

	uint64_t generation;
	uint64_t switches;
	uint64_t stalls;
	uint64_t stall_us;
	PoolBuffer buffer[NVMKV_MEMTABLES_MAX];
};

#define BUFFER_ALIGN UINT64_C(4096)

static uint64_t
align_up(uint64_t v)
{
	return (v + BUFFER_ALIGN - 1) / BUFFER_ALIGN * BUFFER_ALIGN;
}

static inline MemtableShm *
memtable_of(const MemPool *pool, unsigned buffer)
{
	NVMKV_ASSERT(buffer < pool->shm->buffers);
	return (MemtableShm *) (void *) ((uint8_t *) pool->shm + pool->shm->buffers_start +
									 buffer * align_up(pool->shm->buffer_bytes));
}

static inline unsigned
list_newest(uint64_t list)
{
	return (unsigned) (list & LIST_MASK) - 1;
}

static inline unsigned
list_count(uint64_t list)
{
	return list == 0 ? 0 : (unsigned) (63 - __builtin_clzll(list)) / LIST_BITS + 1;
}

static inline unsigned
list_at(uint64_t list, unsigned i)
{
	return (unsigned) (list >> (LIST_BITS * i) & LIST_MASK) - 1;
}

static inline unsigned
list_oldest(uint64_t list)
{
	return list_at(list, list_count(list) - 1);
}

static inline MemBufferState
buffer_state(const MemPoolShm *shm, unsigned buffer)
{
	return (MemBufferState) port_load_acquire(&shm->buffer[buffer].state);
}

static inline void
set_state(MemPoolShm *shm, unsigned buffer, MemBufferState state)
{
	port_store_release(&shm->buffer[buffer].state, (uint32_t) state);
}

size_t
mempool_shm_bytes(unsigned buffers, uint64_t buffer_bytes)
{
	return (size_t) (align_up(sizeof(MemPoolShm)) + BUFFER_ALIGN + buffers * align_up(buffer_bytes));
}

void
mempool_init(MemPoolShm *shm, unsigned buffers, uint64_t buffer_bytes, uint64_t start_seq)
{
	MemPool pool = {.shm = shm};
	unsigned i;

	NVMKV_ASSERT(buffers >= 2 && buffers <= NVMKV_MEMTABLES_MAX);

	memset(shm, 0, sizeof(*shm));
	shm->buffer_bytes = buffer_bytes;
	/* Buffers start at page borders of the address space, where the segment is. */
	shm->buffers_start = align_up((uintptr_t) shm + sizeof(*shm)) - (uintptr_t) shm;
	shm->buffers = buffers;
	port_lock_init(&shm->lock, PORT_RANK_MEMTABLES);
	port_cond_init(&shm->room);
	for (i = 0; i < buffers; i++)
	{
		memtable_init(memtable_of(&pool, i), buffer_bytes);
		shm->buffer[i].cleaner = NO_SLOT;
		set_state(shm, i, MEM_BUFFER_FREE);
	}
	shm->generation = 1;
	shm->buffer[0].generation = 1;
	shm->buffer[0].start_seq = start_seq;
	set_state(shm, 0, MEM_BUFFER_ACTIVE);
	shm->super_version = 2;
	port_store_seq(&shm->list, 1);
}

void
mempool_attach(MemPool *pool, MemPoolShm *shm, EpochShm *epochs, const NvmkvLogOps *log)
{
	pool->shm = shm;
	pool->epochs = epochs;
	pool->log = log;
	pool->wake = NULL;
}

size_t
mempool_batch_bytes_max(const MemPool *pool)
{
	return memtable_capacity(pool->shm->buffer_bytes);
}

/* ---- readers ---- */

void
mempool_list(const MemPool *pool, MemList *out)
{
	uint64_t list = port_load_seq(&pool->shm->list);
	unsigned i;

	out->count = list_count(list);
	for (i = 0; i < out->count; i++)
	{
		out->buffer[i] = (uint8_t) list_at(list, i);
		out->memtable[i] = memtable_of(pool, out->buffer[i]);
	}
}

uint64_t
mempool_super_version(const MemPool *pool)
{
	uint64_t version = port_load_seq(&pool->shm->super_version);

	/* A switch is under way: a number that equals none before and none after. */
	if (version % 2 != 0)
		return UNSETTLED_BIT | port_fetch_add(&pool->shm->unsettled, 1);
	return version;
}

void
mempool_bump(MemPool *pool)
{
	(void) port_fetch_add(&pool->shm->super_version, 2);
}

/* ---- switching ---- */

static void
wake_flusher(MemPool *pool)
{
	if (pool->wake != NULL)
		pool->wake();
}

/* A buffer that is FREE (the lowest, so that few are in use under a light load), or -1. */
static int
free_buffer(const MemPoolShm *shm)
{
	unsigned i;

	for (i = 0; i < shm->buffers; i++)
	{
		if (buffer_state(shm, i) == MEM_BUFFER_FREE)
			return (int) i;
	}
	return -1;
}

/*
 * REQUIRES the lock.  Steps 1 and 2 of the protocol above.  The super version is odd around them: once a writer can
 * find the new buffer, a reader must not take its cached list for good, and there is no moment at which both could
 * change at once.
 */
static void
activate(MemPool *pool, unsigned buffer)
{
	MemPoolShm *shm = pool->shm;
	uint64_t list = port_load_relaxed(&shm->list);

	NVMKV_ASSERT(list_count(list) < shm->buffers);
	NVMKV_ASSERT(memtable_is_empty(memtable_of(pool, buffer)));
	(void) port_fetch_add(&shm->super_version, 1);
	port_store_relaxed(&shm->buffer[buffer].start_seq, pool->log->position(pool->log->ctx));
	port_store_relaxed(&shm->buffer[buffer].generation, ++shm->generation);
	set_state(shm, buffer, MEM_BUFFER_ACTIVE);
	set_state(shm, list_newest(list), MEM_BUFFER_IMMUTABLE);
	port_store_seq(&shm->list, list << LIST_BITS | (buffer + 1));
	(void) port_fetch_add(&shm->super_version, 1);
	port_count(&shm->switches, 1);
}

/* Replaces the active buffer if it is still "full".  BUSY: none is free. */
static NvmkvStatus
switch_from(MemPool *pool, int slot, unsigned full)
{
	MemPoolShm *shm = pool->shm;
	NvmkvStatus status = NVMKV_OK;
	bool switched = false;
	int next;

	if (free_buffer(shm) < 0)
	{
		(void) mempool_reclaim(pool, slot);
		if (free_buffer(shm) < 0)
			return NVMKV_BUSY;
	}
	port_lock_exclusive(&shm->lock);
	if (list_newest(port_load_relaxed(&shm->list)) == full)
	{
		next = free_buffer(shm);
		if (next < 0)
			status = NVMKV_BUSY;
		else
		{
			activate(pool, (unsigned) next);
			switched = true;
		}
	}
	port_lock_release(&shm->lock);
	if (switched)
		wake_flusher(pool);
	return status;
}

NvmkvStatus
mempool_switch(MemPool *pool, int slot)
{
	MemPoolShm *shm = pool->shm;
	uint64_t position;
	unsigned active;
	bool moved = false;

	port_lock_exclusive(&shm->lock);
	active = list_newest(port_load_relaxed(&shm->list));
	position = pool->log->position(pool->log->ctx);
	if (epoch_buffer_is_quiet(pool->epochs, active) && memtable_is_empty(memtable_of(pool, active)))
	{
		/* Not down: in recovery the position may still be below what had been flushed before. */
		if (position > port_load_relaxed(&shm->buffer[active].start_seq))
			port_store_relaxed(&shm->buffer[active].start_seq, position);
		moved = true;
	}
	port_lock_release(&shm->lock);
	return moved ? NVMKV_OK : switch_from(pool, slot, active);
}

/* ---- writers ---- */

static NvmkvStatus
too_large(const MemPool *pool, size_t bytes)
{
	return NVMKV_FAIL(NVMKV_LIMIT, "a batch of %zu bytes does not fit a write buffer, which takes %zu (%s)", bytes,
					  mempool_batch_bytes_max(pool), option_name("write_buffer_bytes"));
}

static NvmkvStatus
gate_closed(void)
{
	return NVMKV_FAIL(NVMKV_READ_ONLY, "writes are not accepted: the database is starting up or shutting down");
}

NvmkvStatus
mempool_write_begin(MemPool *pool, int slot, size_t bytes, MemRoom *out)
{
	MemPoolShm *shm = pool->shm;

	if (bytes > mempool_batch_bytes_max(pool))
		return too_large(pool, bytes);

	for (;;)
	{
		unsigned active = list_newest(port_load_acquire(&shm->list));

		NVMKV_RETURN_IF(port_fault("mempool.register"));
		epoch_writing_begin(pool->epochs, slot, active);
		if (port_load_seq(&shm->gate_open) == 0)
		{
			epoch_writing_end(pool->epochs, slot);
			return gate_closed();
		}
		if (list_newest(port_load_seq(&shm->list)) != active)
		{
			epoch_writing_end(pool->epochs, slot);
			continue;
		}
		out->memtable = memtable_of(pool, active);
		out->buffer = active;
		if (memtable_reserve(out->memtable, bytes, &out->room))
			return NVMKV_OK;
		epoch_writing_end(pool->epochs, slot);

		if (switch_from(pool, slot, active) != NVMKV_OK)
			return NVMKV_BUSY;
	}
}

void
mempool_write_end(MemPool *pool, int slot, MemRoom *room)
{
	memtable_finish(room->memtable, &room->room);
	epoch_writing_end(pool->epochs, slot);
	/* A switch happened meanwhile: the flusher may have found the buffer busy because of this writer. */
	if (list_newest(port_load_seq(&pool->shm->list)) != room->buffer)
		wake_flusher(pool);
}

/* Would a write have a chance?  *readers_out: a flushed buffer only waits for readers to leave. */
static NvmkvStatus
room_state(MemPool *pool, int slot, size_t bytes, bool *readers_out)
{
	MemPoolShm *shm = pool->shm;

	*readers_out = false;
	if (port_load_seq(&shm->gate_open) == 0)
		return gate_closed();
	if (free_buffer(shm) >= 0 || memtable_has_room(memtable_of(pool, list_newest(port_load_seq(&shm->list))), bytes))
		return NVMKV_OK;
	*readers_out = mempool_reclaim(pool, slot) > 0;
	return free_buffer(shm) >= 0 ? NVMKV_OK : NVMKV_BUSY;
}

NvmkvStatus
mempool_wait_room(MemPool *pool, int slot, size_t bytes, int timeout_ms)
{
	MemPoolShm *shm = pool->shm;
	NvmkvStatus status;
	uint64_t start;
	uint64_t waited_us = 0;
	bool readers;

	if (bytes > mempool_batch_bytes_max(pool))
		return too_large(pool, bytes);
	status = room_state(pool, slot, bytes, &readers);
	if (status != NVMKV_BUSY)
		return status;

	start = port_now_us();
	port_cond_prepare(&shm->room);
	while ((status = room_state(pool, slot, bytes, &readers)) == NVMKV_BUSY)
	{
		uint64_t nap_ms = readers ? WAIT_FOR_READERS_MS : WAIT_MS_MAX;

		waited_us = port_now_us() - start;
		if (timeout_ms >= 0)
		{
			uint64_t left_us = (uint64_t) timeout_ms * 1000;

			if (waited_us >= left_us)
				break;
			left_us -= waited_us;
			if ((left_us + 999) / 1000 < nap_ms)
				nap_ms = (left_us + 999) / 1000;
		}
		status = port_cond_wait(&shm->room, (int) nap_ms);
		if (status != NVMKV_OK)
			break;
	}
	port_cond_finish(&shm->room);
	port_count(&shm->stalls, 1);
	port_count(&shm->stall_us, port_now_us() - start);
	return status;
}

void
mempool_open_gate(MemPool *pool)
{
	port_store_seq(&pool->shm->gate_open, 1);
	port_cond_broadcast(&pool->shm->room);
}

void
mempool_close_gate(MemPool *pool)
{
	port_store_seq(&pool->shm->gate_open, 0);
	port_cond_broadcast(&pool->shm->room);
}

bool
mempool_writers_are_quiet(const MemPool *pool)
{
	return epoch_writers_are_quiet(pool->epochs);
}

NvmkvStatus
mempool_wait_writers(const MemPool *pool)
{
	while (!mempool_writers_are_quiet(pool))
	{
		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "interrupted while writers finish");
		port_sleep_us(100);
	}
	return NVMKV_OK;
}

void
mempool_abort_cleanup(MemPool *pool, int slot)
{
	MemPoolShm *shm = pool->shm;
	bool was_writing = epoch_is_writing(pool->epochs, slot);
	unsigned i;

	epoch_abort_cleanup(pool->epochs, slot);
	for (i = 0; i < shm->buffers; i++)
	{
		/* Only its own process, which does nothing now, moves a CLEANING buffer: no lock. */
		if (buffer_state(shm, i) == MEM_BUFFER_CLEANING && port_load_relaxed(&shm->buffer[i].cleaner) == slot)
			set_state(shm, i, MEM_BUFFER_FLUSHED);
	}
	if (was_writing)
		wake_flusher(pool);
}

/* ---- flush ---- */

NvmkvStatus
mempool_oldest_immutable(MemPool *pool, unsigned *buffer_out, MemtableShm **memtable_out)
{
	uint64_t list = port_load_seq(&pool->shm->list);
	unsigned oldest;

	if (list_count(list) < 2)
		return NVMKV_NOT_FOUND;
	oldest = list_oldest(list);
	if (!epoch_buffer_is_quiet(pool->epochs, oldest))
		return NVMKV_BUSY;
	*buffer_out = oldest;
	*memtable_out = memtable_of(pool, oldest);
	return NVMKV_OK;
}

/* start_seq of the element before the last.  REQUIRES: the list does not lose its last element meanwhile. */
static uint64_t
start_after_oldest(const MemPoolShm *shm, uint64_t list)
{
	return port_load_relaxed(&shm->buffer[list_at(list, list_count(list) - 2)].start_seq);
}

uint64_t
mempool_durable_after(MemPool *pool, unsigned buffer)
{
	MemPoolShm *shm = pool->shm;
	uint64_t list;
	uint64_t result;

	port_lock_shared(&shm->lock);
	list = port_load_relaxed(&shm->list);
	NVMKV_ASSERT(list_count(list) >= 2 && list_oldest(list) == buffer);
	result = start_after_oldest(shm, list);
	port_lock_release(&shm->lock);
	(void) buffer;
	return result;
}

uint64_t
mempool_flushed(MemPool *pool, int slot, unsigned buffer)
{
	MemPoolShm *shm = pool->shm;
	uint64_t list;
	uint64_t durable;

	port_lock_exclusive(&shm->lock);
	list = port_load_relaxed(&shm->list);
	NVMKV_ASSERT(list_count(list) >= 2 && list_oldest(list) == buffer);
	NVMKV_ASSERT(buffer_state(shm, buffer) == MEM_BUFFER_IMMUTABLE);
	durable = start_after_oldest(shm, list);
	port_store_seq(&shm->list, list & ~(LIST_MASK << (LIST_BITS * (list_count(list) - 1))));
	/* The stamp last: a reader that found its cached list still good before the bump is then covered by it. */
	mempool_bump(pool);
	port_store_relaxed(&shm->buffer[buffer].retire_stamp, epoch_retire_stamp(pool->epochs));
	set_state(shm, buffer, MEM_BUFFER_FLUSHED);
	port_lock_release(&shm->lock);

	(void) mempool_reclaim(pool, slot);
	/* Waiters that find it occupied by readers watch it from now on. */
	port_cond_broadcast(&shm->room);
	return durable;
}

uint64_t
mempool_durable_seq(MemPool *pool)
{
	MemPoolShm *shm = pool->shm;
	uint64_t result;

	port_lock_shared(&shm->lock);
	result = port_load_relaxed(&shm->buffer[list_oldest(port_load_relaxed(&shm->list))].start_seq);
	port_lock_release(&shm->lock);
	return result;
}

/* FLUSHED -> CLEANING, if no reader is inside. */
static bool
take_for_cleaning(MemPool *pool, int slot, unsigned buffer)
{
	MemPoolShm *shm = pool->shm;
	bool taken = false;

	port_lock_exclusive(&shm->lock);
	if (buffer_state(shm, buffer) == MEM_BUFFER_FLUSHED &&
		epoch_is_safe(pool->epochs, port_load_relaxed(&shm->buffer[buffer].retire_stamp)))
	{
		port_store_relaxed(&shm->buffer[buffer].cleaner, slot);
		set_state(shm, buffer, MEM_BUFFER_CLEANING);
		taken = true;
	}
	port_lock_release(&shm->lock);
	return taken;
}

unsigned
mempool_reclaim(MemPool *pool, int slot)
{
	MemPoolShm *shm = pool->shm;
	unsigned waiting = 0;
	unsigned freed = 0;
	unsigned i;

	for (i = 0; i < shm->buffers; i++)
	{
		if (buffer_state(shm, i) != MEM_BUFFER_FLUSHED)
			continue;
		if (!epoch_is_safe(pool->epochs, port_load_relaxed(&shm->buffer[i].retire_stamp)) ||
			!take_for_cleaning(pool, slot, i))
		{
			waiting++;
			continue;
		}
		memtable_init(memtable_of(pool, i), shm->buffer_bytes);
		set_state(shm, i, MEM_BUFFER_FREE);
		freed++;
	}
	if (freed > 0)
		port_cond_broadcast(&shm->room);
	return waiting;
}

/* ---- statistics ---- */

void
mempool_stats(const MemPool *pool, MemPoolStats *out)
{
	const MemPoolShm *shm = pool->shm;
	unsigned i;

	out->buffers = shm->buffers;
	out->live = list_count(port_load_seq(&shm->list));
	out->free = 0;
	for (i = 0; i < shm->buffers; i++)
	{
		if (buffer_state(shm, i) == MEM_BUFFER_FREE)
			out->free++;
	}
	out->switches = port_load_relaxed(&shm->switches);
	out->stalls = port_load_relaxed(&shm->stalls);
	out->stall_us = port_load_relaxed(&shm->stall_us);
}

void
mempool_buffer_stats(const MemPool *pool, unsigned buffer, MemBufferStats *out)
{
	const MemPoolShm *shm = pool->shm;
	const MemtableShm *mt = memtable_of(pool, buffer);

	out->state = buffer_state(shm, buffer);
	out->generation = port_load_relaxed(&shm->buffer[buffer].generation);
	out->start_seq = port_load_relaxed(&shm->buffer[buffer].start_seq);
	out->bytes = memtable_bytes_used(mt);
	out->capacity = memtable_capacity(shm->buffer_bytes);
	out->entries = memtable_entries(mt);
	out->first_sequence = out->entries == 0 ? 0 : memtable_first_sequence(mt);
	out->last_sequence = memtable_last_sequence(mt);
}

const char *
mempool_state_name(MemBufferState state)
{
	switch (state)
	{
		case MEM_BUFFER_FREE:
			return "free";
		case MEM_BUFFER_ACTIVE:
			return "active";
		case MEM_BUFFER_IMMUTABLE:
			return "immutable";
		case MEM_BUFFER_FLUSHED:
		case MEM_BUFFER_CLEANING:
			return "flushed";
	}
	return "unknown";
}
