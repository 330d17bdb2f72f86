/*
 * pool.c
 *	  Header of the pool and the shared bitmap of its extents.
 *
 * Callers: opening (one process), the flush (takes), whoever retires extents
 * (gives), recovery (marks).  The bitmap is changed under the lock EXTENTS
 * only, for a time that grows with the number of words looked at; it is read
 * without the lock by statistics and checks.
 *
 * Size.  The extents of a file are as many as its length holds, and those of a
 * device as many as the caller wants: nothing on the medium counts them, so that
 * a pool becomes larger or smaller by the file's length alone, before or after
 * which a crash may come at any moment.  Only opening makes it larger, and only
 * where no row is it becomes smaller.
 *
 * Next fit: a take starts where the last one ended.  So the extents of one row
 * mostly stand side by side (one map range, one range to persist), and the
 * medium wears evenly.
 */
#include "engine/nvm/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "engine/base/assert.h"
#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

#define WORD_BITS 64

struct NvmPoolShm
{
	PortLock lock;         /* protects all below */
	uint32_t capacity;     /* extents there are bits for; fixed */
	uint32_t extent_count; /* of the open pool: where rows may be */
	uint32_t usable;       /* the first so many are taken for new rows; the others go when they are free */
	uint32_t cut;          /* they are gone (nvm_pool_cut) */
	uint32_t cursor;       /* where the next take starts to look */
	uint32_t free_count;   /* of the usable ones */
	NvmPoolStamp stamp;	   /* the one that is durable; not under the lock: who opens writes it, then who builds a row */
	uint64_t words[]; /* bit set: taken */
};

/* ---- header ---- */

/*
 * Writes the header of a pool that holds nothing, and no stamp of what a device may have held before.  A crash before
 * the persist leaves a zero page, a sound header, or a torn one in front of nothing but zeros: all open as empty.
 */
static NvmkvStatus
format_pool(NvmDevice *dev, uint64_t create_bytes, uint64_t system_identifier, NvmPoolHeader *header_out)
{
	uint8_t page[NVM_POOL_PAGE_BYTES] = {0};
	uint64_t bytes = dev->bytes < create_bytes ? dev->bytes : create_bytes;

	if (bytes < NVM_POOL_BYTES_MIN)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" would have %" PRIu64 " bytes, at least %" PRIu64 " are needed",
						  dev->path, bytes, NVM_POOL_BYTES_MIN);
	header_out->extent_count = nvm_pool_extents_of(bytes);
	header_out->system_identifier = system_identifier;
	header_out->pool_id = 0;
	while (header_out->pool_id == 0)
	{
		if (getrandom(&header_out->pool_id, sizeof(header_out->pool_id), 0) != (ssize_t) sizeof(header_out->pool_id))
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "no random bytes for the identifier of pool \"%s\"", dev->path);
	}
	NVMKV_RETURN_IF(port_fault("pool.before_header"));
	NVMKV_RETURN_IF(nvm_stamp_clear(dev));
	nvm_pool_header_encode(header_out, page);
	dev->ops->copy(dev, 0, page, sizeof(page));
	NVMKV_RETURN_IF(dev->ops->persist(dev, 0, sizeof(page)));
	return port_fault("pool.header_persisted");
}

NvmkvStatus
nvm_pool_too_short(const char *path, uint64_t bytes, uint32_t extents_used)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" is truncated: it has %" PRIu64 " bytes, at least %" PRIu64 " are expected; restore it from a backup",
					  path, bytes, extents_used > 0 ? nvm_extent_offset(extents_used) : NVM_POOL_HEAD_BYTES);
}

/* The header of an open device: read, or written when nothing is lost by it. */
static NvmkvStatus
settle_header(NvmDevice *dev, const NvmPoolOpening *opening, NvmPoolHeader *header_out, bool *formatted_out)
{
	uint64_t create_bytes = opening->bytes;
	uint64_t system_identifier = opening->system_identifier;
	uint64_t expected_pool_id = opening->expected_pool_id;
	NvmkvStatus status;

	*formatted_out = false;
	/* One that is given up has been cut to less by earlier versions. */
	if (dev->bytes < (opening->extents_used > 0 ? NVM_POOL_HEAD_BYTES : NVM_POOL_PAGE_BYTES))
		return nvm_pool_too_short(dev->path, dev->bytes, opening->extents_used);
	if (nvm_pool_is_zero(dev->base, NVM_POOL_PAGE_BYTES))
	{
		if (expected_pool_id != 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" has no header, but rows in it are expected; restore it from a backup", dev->path);
		if (create_bytes == 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" has no header: it was never finished", dev->path);
		*formatted_out = true;
		return format_pool(dev, create_bytes, system_identifier, header_out);
	}
	status = nvm_pool_header_decode(dev->base, dev->path, header_out);
	if (status == NVMKV_CORRUPTION && expected_pool_id == 0 && create_bytes != 0 &&
		nvm_pool_is_zero(dev->base + NVM_POOL_PAGE_BYTES, (size_t) (dev->bytes - NVM_POOL_PAGE_BYTES)))
	{
		*formatted_out = true;
		return format_pool(dev, create_bytes, system_identifier, header_out);
	}
	NVMKV_RETURN_IF(status);
	if (header_out->system_identifier != system_identifier)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" belongs to system %" PRIu64 ", this is system %" PRIu64 "; name another file, or remove that one if nothing needs it",
						  dev->path, header_out->system_identifier, system_identifier);
	if (expected_pool_id != 0 && header_out->pool_id != expected_pool_id)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" has identifier %016" PRIx64 ", the manifest expects %016" PRIx64 "; put the right pool in its place",
						  dev->path, header_out->pool_id, expected_pool_id);
	return NVMKV_OK;
}

/* ---- opening ---- */

size_t
nvm_pool_shm_bytes(uint64_t pool_bytes_max)
{
	size_t words = (nvm_pool_extents_of(pool_bytes_max) + WORD_BITS - 1) / WORD_BITS;

	return sizeof(NvmPoolShm) + words * sizeof(uint64_t);
}

void
nvm_pool_shm_init(NvmPoolShm *shm, uint64_t pool_bytes_max)
{
	memset(shm, 0, nvm_pool_shm_bytes(pool_bytes_max));
	port_lock_init(&shm->lock, PORT_RANK_EXTENTS);
	shm->capacity = nvm_pool_extents_of(pool_bytes_max);
}

static void
reset_shm(NvmPoolShm *shm, uint32_t extent_count, uint32_t usable)
{
	port_lock_exclusive(&shm->lock);
	memset(shm->words, 0, (shm->capacity + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t));
	shm->extent_count = extent_count;
	shm->usable = usable;
	shm->cut = 0;
	shm->cursor = 0;
	port_store_relaxed(&shm->free_count, usable);
	port_lock_release(&shm->lock);
}

/* Takes the device over, also at failure. */
static NvmkvStatus
make_handle(NvmDevice *dev, NvmPoolShm *shm, uint64_t pool_id, uint32_t extent_count, uint32_t usable,
			NvmPool **pool_out)
{
	NvmPool *pool = port_alloc(sizeof(*pool));

	if (pool != NULL && (pool->checked = port_alloc_zero((extent_count + 1) * sizeof(NvmChecked))) == NULL)
	{
		port_free(pool);
		pool = NULL;
	}
	if (pool == NULL)
	{
		nvm_device_close(dev);
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to describe a pool");
	}
	pool->dev = dev;
	pool->shm = shm;
	pool->extent_count = extent_count;
	pool->usable = usable;
	pool->pool_id = pool_id;
	*pool_out = pool;
	return NVMKV_OK;
}

/*
 * A file gets the length that the extents wanted take, or those in use if they reach further.  One that cannot become
 * larger stays as it is: that is worth a warning, and costs nobody anything.  A device is as long as it is.
 *
 * Crash: the file has its old length, its new one or, where it becomes larger, any between them.  All hold the extents
 * in use, and the next open comes to the same end.
 */
static NvmkvStatus
settle_length(NvmDevice **dev, uint32_t wanted, uint32_t used)
{
	uint32_t target = wanted > used ? wanted : used;
	uint32_t now = nvm_pool_extents_of((*dev)->bytes);
	char path[NVM_DEVICE_PATH_MAX];
	bool created;

	if (wanted == 0 || target == now || !nvm_device_has_length(*dev))
		return NVMKV_OK;
	NVMKV_RETURN_IF(port_fault("pool.before_resize"));
	if (nvm_device_set_length(*dev, nvm_extent_offset(target)) != NVMKV_OK)
	{
		port_log(PORT_LOG_WARNING, "container \"%s\" stays at %u MB instead of %u MB: %s", (*dev)->path, now + 1, target + 1,
				 nvmkv_error()->text);
		return NVMKV_OK;
	}
	port_log(PORT_LOG_INFO, "container \"%s\" has %u MB now, before it had %u MB", (*dev)->path, target + 1, now + 1);
	NVMKV_RETURN_IF(port_fault("pool.resized"));
	/* Mapped anew. */
	memcpy(path, (*dev)->path, sizeof(path));
	nvm_device_close(*dev);
	*dev = NULL;
	return nvm_device_open(path, 0, dev, &created);
}

/* How many extents there are, and how many of them are for new rows. */
static NvmkvStatus
count_extents(const NvmDevice *dev, uint32_t wanted, uint32_t used, const NvmPoolShm *shm, uint32_t *count_out,
			  uint32_t *usable_out)
{
	uint32_t there = nvm_pool_extents_of(dev->bytes);

	if (used > there)
		return nvm_pool_too_short(dev->path, dev->bytes, used);
	*usable_out = wanted < there ? wanted : there;
	/* Of a file what is not wanted is still in its length, until it is cut; of a device it is not ours. */
	*count_out = nvm_device_has_length(dev) ? there : (*usable_out > used ? *usable_out : used);
	if (*count_out > shm->capacity)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" has %u extents, shared memory was sized for %u; restart the server, or lower the size of the pool",
						  dev->path, *count_out, shm->capacity);
	return NVMKV_OK;
}

/*
 * Of an open device: header and stamp, and whether they are the right ones.  The stamp is durable then: what a process
 * has left that died over it may be in memory only.
 */
static NvmkvStatus
settle_head(NvmDevice *dev, const NvmPoolOpening *opening, NvmPoolHeader *header_out, NvmPoolStamp *stamp_out,
			bool *formatted_out)
{
	NvmkvStatus status = settle_header(dev, opening, header_out, formatted_out);

	if (status == NVMKV_OK)
		nvm_stamp_read(dev->base, dev->bytes, stamp_out);
	if (port_guard_lost(&dev->guard) != 0)
		status = nvm_device_lost(dev);
	if (status == NVMKV_OK && !*formatted_out && opening->judge != NULL)
		status = opening->judge(opening->ctx, header_out, stamp_out);
	return status;
}

NvmkvStatus
nvm_pool_open(const NvmPoolOpening *opening, NvmPoolShm *shm, NvmPool **pool_out, bool *created_out)
{
	const char *path = opening->path;
	uint64_t bytes = opening->bytes;
	NvmDevice *dev;
	NvmPoolHeader header;
	NvmPoolStamp stamp;
	NvmkvStatus status;
	uint32_t wanted = nvm_pool_extents_of(bytes);
	uint32_t used = opening->extents_used;
	uint32_t count, usable;
	bool file_created;

	*pool_out = NULL;
	*created_out = false;
	if (bytes != 0 && bytes < NVM_POOL_BYTES_MIN)
		return NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" would have %" PRIu64 " bytes, at least %" PRIu64 " are needed",
						  path, bytes, NVM_POOL_BYTES_MIN);
	status = nvm_device_open(path, opening->expected_pool_id != 0 ? 0 : bytes >> NVM_EXTENT_SHIFT << NVM_EXTENT_SHIFT,
							 &dev, &file_created);
	if (status == NVMKV_CORRUPTION && used > 0)
		return nvm_pool_too_short(path, 0, used);
	if (status == NVMKV_NOT_FOUND && opening->expected_pool_id != 0)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "pool \"%s\" is missing, but rows in it are expected; mount or restore it", path);
	NVMKV_RETURN_IF(status);

	status = settle_head(dev, opening, &header, &stamp, created_out);
	/* Before the length is touched: what is missing is not put there as zeros. */
	if (status == NVMKV_OK)
		status = count_extents(dev, wanted, used, shm, &count, &usable);
	if (status == NVMKV_OK && stamp.number != 0)
		status = nvm_stamp_write(dev, &stamp);
	if (status == NVMKV_OK)
		status = settle_length(&dev, wanted, used);
	if (status == NVMKV_OK)
		status = count_extents(dev, wanted, used, shm, &count, &usable);
	if (status != NVMKV_OK)
	{
		nvm_device_close(dev);
		return status;
	}
	NVMKV_RETURN_IF(make_handle(dev, shm, header.pool_id, count, usable, pool_out));
	reset_shm(shm, count, usable);
	shm->stamp = stamp;
	return NVMKV_OK;
}

const NvmPoolStamp *
nvm_pool_stamp(const NvmPool *pool)
{
	return &pool->shm->stamp;
}

NvmkvStatus
nvm_pool_begin_generation(NvmPool *pool, uint64_t generation, uint64_t position, uint64_t last_row)
{
	NvmPoolStamp next = {pool->shm->stamp.number + 1, generation, position, last_row};

	NVMKV_RETURN_IF(nvm_stamp_write(pool->dev, &next));
	pool->shm->stamp = next;
	return NVMKV_OK;
}

NvmkvStatus
nvm_pool_note_row(NvmPool *pool, uint64_t row_id)
{
	NvmPoolStamp next = pool->shm->stamp;

	if (next.number == 0)
		return NVMKV_OK;
	NVMKV_ASSERT(row_id > next.last_row);
	next.number++;
	next.last_row = row_id;
	NVMKV_RETURN_IF(nvm_stamp_write(pool->dev, &next));
	pool->shm->stamp.number = next.number;
	pool->shm->stamp.last_row = row_id;
	return NVMKV_OK;
}

NvmkvStatus
nvm_pool_attach(const char *path, uint64_t pool_id, NvmPoolShm *shm, NvmPool **pool_out)
{
	NvmDevice *dev;
	NvmPoolHeader header;
	NvmPoolStamp stamp = {0};
	NvmkvStatus status;

	*pool_out = NULL;
	NVMKV_RETURN_IF(nvm_device_attach(path, &dev));
	nvm_stamp_read(dev->base, dev->bytes, &stamp);
	if (dev->bytes < NVM_POOL_PAGE_BYTES)
		status = nvm_pool_too_short(path, dev->bytes, shm->usable);
	else
		status = nvm_pool_header_decode(dev->base, path, &header);
	if (port_guard_lost(&dev->guard) != 0)
		status = nvm_device_lost(dev);
	if (status == NVMKV_OK && (header.pool_id != pool_id || stamp.generation != shm->stamp.generation))
		status = NVMKV_FAIL(NVMKV_INVALID, "pool \"%s\" is not the one that is in use", path);
	if (status == NVMKV_OK && nvm_pool_extents_of(dev->bytes) < shm->usable)
		status = nvm_pool_too_short(path, dev->bytes, shm->usable);
	if (status != NVMKV_OK)
	{
		nvm_device_close(dev);
		return status;
	}
	return make_handle(dev, shm, pool_id, shm->extent_count, shm->usable, pool_out);
}

void
nvm_pool_close(NvmPool *pool)
{
	if (pool == NULL)
		return;
	nvm_device_close(pool->dev);
	port_free(pool->checked);
	port_free(pool);
}

/* ---- extents ---- */

static bool
bit_is_set(const NvmPoolShm *shm, uint32_t extent)
{
	return (port_load_relaxed(&shm->words[extent / WORD_BITS]) >> (extent % WORD_BITS) & 1) != 0;
}

static void
set_bit_locked(NvmPoolShm *shm, uint32_t extent)
{
	uint64_t *word = &shm->words[extent / WORD_BITS];

	NVMKV_ASSERT(!bit_is_set(shm, extent));
	port_store_relaxed(word, *word | UINT64_C(1) << (extent % WORD_BITS));
}

/* The first free extent in [from, to), or "to". */
static uint32_t
find_free_locked(const NvmPoolShm *shm, uint32_t from, uint32_t to)
{
	uint32_t extent = from;

	while (extent < to)
	{
		uint64_t free_bits = ~shm->words[extent / WORD_BITS] >> (extent % WORD_BITS);

		if (free_bits != 0)
		{
			extent += (uint32_t) __builtin_ctzll(free_bits);
			return extent < to ? extent : to;
		}
		extent = (extent / WORD_BITS + 1) * WORD_BITS;
	}
	return to;
}

NvmkvStatus
nvm_pool_mark(NvmPool *pool, uint32_t extent)
{
	NvmPoolShm *shm = pool->shm;
	bool taken;

	if (extent >= pool->extent_count)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\" has %u extents, a row claims number %u", pool->dev->path, pool->extent_count, extent);
	port_lock_exclusive(&shm->lock);
	taken = bit_is_set(shm, extent);
	if (!taken)
	{
		set_bit_locked(shm, extent);
		if (extent < shm->usable)
			port_store_relaxed(&shm->free_count, shm->free_count - 1);
	}
	port_lock_release(&shm->lock);
	if (taken)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "pool \"%s\": two rows claim extent %u", pool->dev->path, extent);
	return NVMKV_OK;
}

NvmkvStatus
nvm_pool_take(NvmPool *pool, uint32_t count, uint32_t *extents_out)
{
	NvmPoolShm *shm = pool->shm;
	uint32_t free_count;
	uint32_t i;

	port_lock_exclusive(&shm->lock);
	free_count = shm->free_count;
	if (free_count < count)
	{
		port_lock_release(&shm->lock);
		return NVMKV_FAIL(NVMKV_NO_SPACE, "pool \"%s\" is full: %u of %u extents are free, %u are needed",
						  pool->dev->path, free_count, pool->usable, count);
	}
	for (i = 0; i < count; i++)
	{
		uint32_t extent = find_free_locked(shm, shm->cursor, shm->usable);

		if (extent == shm->usable)
			extent = find_free_locked(shm, 0, shm->cursor);
		NVMKV_ASSERT(extent < shm->usable);
		set_bit_locked(shm, extent);
		extents_out[i] = extent;
		shm->cursor = extent + 1;
	}
	port_store_relaxed(&shm->free_count, free_count - count);
	port_lock_release(&shm->lock);
	return NVMKV_OK;
}

void
nvm_pool_give(NvmPool *pool, const uint32_t *extents, uint32_t count)
{
	NvmPoolShm *shm = pool->shm;
	uint32_t given = 0;
	uint32_t i;

	port_lock_exclusive(&shm->lock);
	for (i = 0; i < count; i++)
	{
		uint32_t extent = extents[i];

		/* Giving twice is our bug: two rows may share the extent by now.  Never count it as free space. */
		NVMKV_ASSERT(extent < shm->extent_count);
		NVMKV_ASSERT(bit_is_set(shm, extent));
		if (extent >= shm->extent_count || !bit_is_set(shm, extent))
			continue;
		port_store_relaxed(&shm->words[extent / WORD_BITS],
						   shm->words[extent / WORD_BITS] & ~(UINT64_C(1) << (extent % WORD_BITS)));
		given += extent < shm->usable;
	}
	port_store_relaxed(&shm->free_count, shm->free_count + given);
	port_lock_release(&shm->lock);
}

/* Has it something to cut, of which nothing is taken? */
static bool
begin_cut(NvmPoolShm *shm)
{
	bool begin;
	uint32_t extent;

	port_lock_exclusive(&shm->lock);
	begin = shm->usable < shm->extent_count && shm->cut == 0;
	for (extent = shm->usable; begin && extent < shm->extent_count; extent++)
		begin = !bit_is_set(shm, extent);
	/* Tried once: after a failure it is left to the next open. */
	if (begin)
		port_store_relaxed(&shm->cut, 1);
	port_lock_release(&shm->lock);
	return begin;
}

NvmkvStatus
nvm_pool_cut(NvmPool *pool, bool *cut_out)
{
	uint32_t usable = pool->usable;

	*cut_out = false;
	if (usable == pool->extent_count || port_load_relaxed(&pool->shm->cut) != 0 ||
		!nvm_device_has_length(pool->dev) || !begin_cut(pool->shm))
		return NVMKV_OK;
	NVMKV_RETURN_IF(port_fault("pool.before_cut"));
	NVMKV_RETURN_IF(nvm_device_cut(pool->dev, usable == 0 ? NVM_POOL_HEAD_BYTES : nvm_extent_offset(usable)));
	*cut_out = true;
	port_log(PORT_LOG_INFO, "container \"%s\" has %u MB now, before it had %u MB", pool->dev->path,
			 usable == 0 ? 0 : usable + 1, pool->extent_count + 1);
	return NVMKV_OK;
}

uint64_t
nvm_pool_bytes(const NvmPool *pool)
{
	uint32_t extents = nvm_pool_is_cut(pool) ? pool->usable : pool->extent_count;

	return extents == 0 ? 0 : nvm_extent_offset(extents);
}

bool
nvm_pool_is_cut(const NvmPool *pool)
{
	return port_load_relaxed(&pool->shm->cut) != 0;
}

uint32_t
nvm_pool_free_count(const NvmPool *pool)
{
	return port_load_relaxed(&pool->shm->free_count);
}

bool
nvm_pool_is_taken(const NvmPool *pool, uint32_t extent)
{
	return extent < pool->extent_count && bit_is_set(pool->shm, extent);
}
