/*
 * log_group.c
 *	  Group commit across processes.
 *
 * Positions are byte counts that go up for ever, over all files; the byte at
 * position p is in the ring at p mod ring size and in the current file at
 * p - file_start.
 *
 *	  file_start <= synced <= written, assigned <= written + ring size
 *
 * Locks, in this order:
 *	 rotate_lock (PORT_RANK_LOG_ROTATE)	who ends the file; held while the next one is made
 *	 sync_lock (PORT_RANK_LOG_SYNC)		who syncs; protects synced*
 *	 append_lock (PORT_RANK_LOG)		who frames a record into the ring; protects assigned*, allocated
 *	 write_lock (PORT_RANK_LOG_WRITE)	who writes ring to file; protects written*
 * number and file_start change under all of them and are stable under any.
 * What an appender can meet, append_lock and write_lock, nobody holds while he
 * waits for the disk: a file is synced, and the next one is made, beside them.
 * (The one exception is the sync of the little that came since the last one,
 * when the file is ended.)
 *
 * An appender publishes "assigned" and then "assigned_sequence"; a leader loads
 * them in the other order, so the bytes it writes cover the sequence it will
 * announce, without taking append_lock: others append while it syncs.  Those who
 * wait for their sequence find it synced when the leader wakes them, or one of
 * them leads the next round for all that gathered meanwhile.
 *
 * On persistent memory (log_map.h) what is written is durable: write_lock
 * protects synced* too there, and sync_lock only serves the end of a file.
 *
 * The file's blocks are allocated before a record is accepted, so a full disk is
 * found by append, which leaves nothing behind, rather than by a later write.
 *
 * The locks are robust.  What a process that died inside left is not mended: its
 * record may be there in part, and its memtable's part is missing anyway.  The
 * log fails then, everybody hears why, and the next open recovers.
 */
#include "engine/log/log_group.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/log/log_format.h"

/* A waiter looks again after this time even if nobody woke it. */
#define WAIT_MS 1000

/*
 * What has gathered in the ring is written when it is so much, by whoever appended last: a few microseconds now and
 * then, instead of milliseconds for a full ring.  Less where the ring is small.
 */
#define CHUNK_BYTES UINT64_C(65536)
#define CHUNKS_MIN 4

/* The current file grows by so much when its segment is full. */
#define GROWTH_BYTES (UINT64_C(1) << 20)

/* A file is not ended while more than this waits to be synced, if a few syncs can help it. */
#define ROTATE_UNSYNCED_BYTES (UINT64_C(1) << 20)
#define ROTATE_SYNCS_MAX 4

struct LogGroupShm
{
	PortLock rotate_lock;
	PortLock sync_lock;
	PortLock append_lock;
	PortLock write_lock;
	PortCond written_cond; /* written or synced something, or sync_lock or write_lock can be had */

	uint64_t ring_bytes;
	uint64_t chunk_bytes;
	uint64_t segment_bytes;
	bool mapped; /* the files are on persistent memory; from the first one on */

	uint64_t number;     /* of the current file; 0: not started */
	uint64_t recycled;   /* what its number was before, 0: it is new */
	uint64_t file_start; /* position of the current file's byte 0 */
	uint64_t allocated;  /* the current file has blocks up to this offset */

	_Alignas(64) uint64_t assigned;
	uint64_t assigned_sequence;
	uint64_t records; /* appended; here, because who appends has this line */

	_Alignas(64) uint64_t written;
	uint64_t written_sequence;
	uint64_t synced;
	uint64_t synced_sequence;

	uint32_t failing; /* somebody is filling in the following */
	uint32_t failed;  /* NvmkvStatus of the first failed write or sync; set after the rest */
	int32_t failed_errno;
	char failed_text[NVMKV_ERROR_TEXT_MAX];

	LogGroupStats stats; /* but for the records */

	_Alignas(64) uint8_t ring[];
};

size_t
log_group_shm_bytes(uint64_t buffer_bytes)
{
	return sizeof(LogGroupShm) + (size_t) buffer_bytes;
}

void
log_group_shm_init(LogGroupShm *shm, uint64_t buffer_bytes, uint64_t segment_bytes)
{
	memset(shm, 0, sizeof(*shm));
	port_lock_init_robust(&shm->rotate_lock, PORT_RANK_LOG_ROTATE);
	port_lock_init_robust(&shm->sync_lock, PORT_RANK_LOG_SYNC);
	port_lock_init_robust(&shm->append_lock, PORT_RANK_LOG);
	port_lock_init_robust(&shm->write_lock, PORT_RANK_LOG_WRITE);
	port_cond_init(&shm->written_cond);
	shm->ring_bytes = buffer_bytes;
	shm->chunk_bytes = buffer_bytes / CHUNKS_MIN < CHUNK_BYTES ? buffer_bytes / CHUNKS_MIN : CHUNK_BYTES;
	shm->segment_bytes = segment_bytes;
}

NvmkvStatus
log_group_attach(LogGroup *log, LogGroupShm *shm, const char *dir)
{
	size_t bytes = strlen(dir) + 1;

	memset(log, 0, sizeof(*log));
	log->dir = port_alloc(bytes);
	if (log->dir == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to attach to the log");
	memcpy(log->dir, dir, bytes);
	log->shm = shm;
	return NVMKV_OK;
}

static void
close_file(LogGroup *log)
{
	log->map = NULL;
	if (log->file != NULL)
		port_files->close(log->file);
	log->file = NULL;
	log->file_number = 0;
}

void
log_group_detach(LogGroup *log)
{
	unsigned i;

	close_file(log);
	for (i = 0; i < LOG_GROUP_MAPS; i++)
		log_map_close(&log->maps[i]);
	port_free(log->dir);
	memset(log, 0, sizeof(*log));
}

void
log_group_path(char *path, size_t size, const char *dir, uint64_t number)
{
	(void) snprintf(path, size, "%s/%06" PRIu64 ".log", dir, number);
}

uint64_t
log_group_position(const LogGroup *log)
{
	return port_load_acquire(&log->shm->assigned_sequence);
}

bool
log_group_has_failed(const LogGroup *log)
{
	return port_load_acquire(&log->shm->failed) != NVMKV_OK;
}

uint64_t
log_group_number(const LogGroup *log)
{
	return port_load_acquire(&log->shm->number);
}

void
log_group_stats(const LogGroup *log, LogGroupStats *stats_out)
{
	const LogGroupStats *s = &log->shm->stats;

	stats_out->records = port_load_relaxed(&log->shm->records);
	stats_out->bytes = port_load_relaxed(&s->bytes);
	stats_out->writes = port_load_relaxed(&s->writes);
	stats_out->syncs = port_load_relaxed(&s->syncs);
	stats_out->waits = port_load_relaxed(&s->waits);
}

/* ---- failures ---- */

/* The first one counts. */
static NvmkvStatus
set_failed(LogGroupShm *shm, NvmkvStatus status)
{
	uint32_t nobody = 0;

	if (__atomic_compare_exchange_n(&shm->failing, &nobody, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
	{
		const NvmkvError *error = nvmkv_error();

		(void) snprintf(shm->failed_text, sizeof(shm->failed_text), "%s",
						error->status == status ? error->text : nvmkv_status_name(status));
		shm->failed_errno = error->sys_errno;
		port_store_release(&shm->failed, (uint32_t) status);
		port_log(PORT_LOG_WARNING, "the log takes no more records until the database is opened again: %s", shm->failed_text);
	}
	return status;
}

static NvmkvStatus
check_failed(const LogGroupShm *shm)
{
	if (port_load_acquire(&shm->failed) == NVMKV_OK)
		return NVMKV_OK;
	errno = shm->failed_errno;
	return NVMKV_FAIL_ERRNO(NVMKV_READ_ONLY, "writes are refused since the log failed: %s", shm->failed_text);
}

/* ---- locks ---- */

/* BUSY: not without waiting, which was not wanted. */
static NvmkvStatus
take(LogGroupShm *shm, PortLock *lock, bool wait)
{
	switch (port_lock_robust(lock, wait))
	{
		case PORT_LOCK_TAKEN:
			return NVMKV_OK;
		case PORT_LOCK_BUSY:
			return NVMKV_BUSY;
		case PORT_LOCK_DEAD:
			break;
	}
	(void) set_failed(shm, NVMKV_FAIL(NVMKV_IO, "a process died while it wrote the log; end all processes and open the database again"));
	return NVMKV_FAIL(NVMKV_READ_ONLY, "writes are refused since a process died while it wrote the log; end all processes and open the database again");
}

/* Of sync_lock or write_lock. */
static void
release_and_wake(LogGroupShm *shm, PortLock *lock)
{
	port_lock_release(lock);
	port_cond_broadcast(&shm->written_cond);
}

/* ---- writing: with write_lock ---- */

/* The current file's map, the one that its old name had, or the one that was used least recently, to be made anew. */
static LogMap *
find_map(LogGroup *log)
{
	const LogGroupShm *shm = log->shm;
	LogMap *oldest = &log->maps[0];
	unsigned i;

	for (i = 0; i < LOG_GROUP_MAPS; i++)
	{
		LogMap *map = &log->maps[i];

		if (map->base != NULL && (map->number == shm->number || map->number == shm->recycled))
			return map;
		if (map->base == NULL || (oldest->base != NULL && map->number < oldest->number))
			oldest = map;
	}
	log_map_close(oldest);
	return oldest;
}

static NvmkvStatus
use_map(LogGroup *log)
{
	LogMap *map = find_map(log);

	if (map->base == NULL)
		NVMKV_RETURN_IF(log_map_open(map, log->file));
	map->number = log->shm->number;
	log->map = map;
	return NVMKV_OK;
}

/* This process's descriptor of the current file, and its map. */
static NvmkvStatus
use_current_file(LogGroup *log)
{
	char path[LOG_GROUP_PATH_BYTES_MAX];

	if (log->file != NULL && log->file_number == log->shm->number)
		return NVMKV_OK;
	close_file(log);
	log_group_path(path, sizeof(path), log->dir, log->shm->number);
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &log->file));
	if (log->shm->mapped)
	{
		NvmkvStatus status = use_map(log);

		if (status != NVMKV_OK)
		{
			close_file(log);
			return status;
		}
	}
	log->file_number = log->shm->number;
	return NVMKV_OK;
}

/* "at": where in the file.  The file's blocks are there. */
static NvmkvStatus
write_file(LogGroup *log, uint64_t at, const uint8_t *data, uint64_t size)
{
	NVMKV_RETURN_IF(port_fault("log.write"));
	if (log->shm->mapped)
		return log_map_write(log->map, log->file, at, data, (size_t) size, port_load_acquire(&log->shm->allocated));
	return port_files->write(log->file, at, data, (size_t) size);
}

/*
 * Writes the ring up to position "end".  A failure to open or a full disk may pass, and what is in the ring stays
 * there; any other failure of a write is for ever.
 */
static NvmkvStatus
write_ring(LogGroup *log, uint64_t end)
{
	LogGroupShm *shm = log->shm;

	NVMKV_RETURN_IF(check_failed(shm));
	NVMKV_RETURN_IF(use_current_file(log));
	while (shm->written < end)
	{
		uint64_t at = shm->written % shm->ring_bytes;
		uint64_t n = end - shm->written;
		NvmkvStatus status;

		if (n > shm->ring_bytes - at)
			n = shm->ring_bytes - at;
		status = write_file(log, shm->written - shm->file_start, shm->ring + at, n);
		if (status != NVMKV_OK)
			return status == NVMKV_NO_SPACE ? status : set_failed(shm, status);
		port_count(&shm->stats.writes, 1);
		port_count(&shm->stats.bytes, n);
		port_store_release(&shm->written, shm->written + n);
	}
	return NVMKV_OK;
}

/* Writes all that is assigned: up to *sequence_out, which ends at position *end_out. */
static NvmkvStatus
write_assigned(LogGroup *log, uint64_t *sequence_out, uint64_t *end_out)
{
	LogGroupShm *shm = log->shm;

	*sequence_out = port_load_acquire(&shm->assigned_sequence);
	*end_out = port_load_acquire(&shm->assigned);
	NVMKV_RETURN_IF(write_ring(log, *end_out));
	port_store_release(&shm->written_sequence, *sequence_out);
	if (shm->mapped)
	{
		port_store_release(&shm->synced, *end_out);
		port_store_release(&shm->synced_sequence, *sequence_out);
	}
	return NVMKV_OK;
}

/* Caller holds sync_lock. */
static NvmkvStatus
sync_assigned(LogGroup *log)
{
	LogGroupShm *shm = log->shm;
	uint64_t sequence = 0;
	uint64_t end = 0;
	NvmkvStatus status;

	NVMKV_RETURN_IF(take(shm, &shm->write_lock, true));
	status = write_assigned(log, &sequence, &end);
	release_and_wake(shm, &shm->write_lock);
	if (status != NVMKV_OK || shm->mapped)
		return status;

	/* The file stays the current one as long as sync_lock is held. */
	if (shm->synced < end)
	{
		status = port_fault("log.sync");
		if (status == NVMKV_OK)
			status = port_files->sync(log->file);
		if (status != NVMKV_OK)
			return set_failed(shm, status);
		port_count(&shm->stats.syncs, 1);
		port_store_release(&shm->synced, end);
	}
	port_store_release(&shm->synced_sequence, sequence);
	return NVMKV_OK;
}

/* ---- appending ---- */

typedef struct AppendCtx
{
	LogGroup *log;
	uint64_t copied;   /* position behind the last byte in the ring */
	bool write_locked; /* the ring was full: this process writes until the record is complete */
} AppendCtx;

static NvmkvStatus
sink_ring(void *arg, const void *data, size_t size)
{
	AppendCtx *ctx = arg;
	LogGroupShm *shm = ctx->log->shm;
	const uint8_t *p = data;

	while (size > 0)
	{
		uint64_t room = shm->ring_bytes - (ctx->copied - port_load_acquire(&shm->written));
		uint64_t at = ctx->copied % shm->ring_bytes;
		uint64_t n = size;

		if (room == 0)
		{
			if (!ctx->write_locked)
			{
				NVMKV_RETURN_IF(take(shm, &shm->write_lock, true));
				ctx->write_locked = true;
				continue;
			}
			NVMKV_RETURN_IF(write_ring(ctx->log, ctx->copied));
			continue;
		}
		if (n > room)
			n = room;
		if (n > shm->ring_bytes - at)
			n = shm->ring_bytes - at;
		memcpy(shm->ring + at, p, (size_t) n);
		ctx->copied += n;
		p += n;
		size -= (size_t) n;
	}
	return NVMKV_OK;
}

/* Caller holds append_lock.  Makes sure that the current file has blocks up to "end". */
static NvmkvStatus
allocate_file(LogGroup *log, uint64_t end)
{
	LogGroupShm *shm = log->shm;
	uint64_t step = shm->segment_bytes < GROWTH_BYTES ? shm->segment_bytes : GROWTH_BYTES;
	uint64_t size;
	NvmkvStatus status;

	if (end <= shm->allocated)
		return NVMKV_OK;
	size = (end + step - 1) / step * step;
	NVMKV_RETURN_IF(take(shm, &shm->write_lock, true));
	status = use_current_file(log);
	if (status == NVMKV_OK)
		status = port_fault("log.allocate");
	if (status == NVMKV_OK)
		status = port_files->preallocate(log->file, size);
	/* No later sync makes the file's size durable there. */
	if (status == NVMKV_OK && shm->mapped)
		status = port_files->sync(log->file);
	release_and_wake(shm, &shm->write_lock);
	if (status == NVMKV_OK)
		port_store_release(&shm->allocated, size);
	return status;
}

/* Caller holds append_lock. */
static NvmkvStatus
append_locked(LogGroup *log, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	LogGroupShm *shm = log->shm;
	uint64_t base = shm->assigned_sequence + 1;
	uint8_t head[LOG_GROUP_RECORD_HEADER_BYTES];
	NvmkvSlice parts[2];
	AppendCtx ctx = {log, shm->assigned, false};
	uint64_t offset = shm->assigned - shm->file_start;
	uint64_t end = log_record_end(offset, sizeof(head) + (uint64_t) batch.size);
	NvmkvStatus status;

	NVMKV_RETURN_IF(check_failed(shm));
	if (shm->number == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "the log is not started");
	if (count == 0 || count > NVMKV_SEQUENCE_MAX - base)
		return NVMKV_FAIL(NVMKV_LIMIT, "%u sequences cannot follow %" PRIu64, count, base - 1);
	if (end > LOG_FILE_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "a batch of %zu bytes at %" PRIu64 " does not fit in log file %" PRIu64,
						  batch.size, offset, shm->number);
	NVMKV_RETURN_IF(port_fault("log.append"));
	NVMKV_RETURN_IF(allocate_file(log, end));

	put_u64(head, base);
	parts[0] = nvmkv_slice(head, sizeof(head));
	parts[1] = batch;
	status = log_record_frame(offset, (uint32_t) shm->number,
							  (uint32_t) (port_load_acquire(&shm->synced) - shm->file_start),
							  parts, 2, sink_ring, &ctx);
	if (status == NVMKV_OK)
	{
		*last_sequence_out = base + count - 1;
		port_store_relaxed(&shm->records, shm->records + 1);
		port_store_release(&shm->assigned, ctx.copied);
		port_store_release(&shm->assigned_sequence, *last_sequence_out);
	}
	else if (ctx.write_locked && shm->written > shm->assigned)
	{
		/*
		 * A part of the record is in the file, but nothing of it was synced or announced: take it back, the next
		 * record overwrites it.  What may stay behind has no first piece, so no reader takes it for a record.
		 */
		port_store_release(&shm->written, shm->assigned);
	}
	if (ctx.write_locked)
		release_and_wake(shm, &shm->write_lock);
	return status;
}

/* What a failure here means, the next append says: this one's record is in the ring. */
static void
write_chunk(LogGroup *log)
{
	LogGroupShm *shm = log->shm;
	uint64_t sequence;
	uint64_t end;

	if (port_load_acquire(&shm->assigned) - port_load_acquire(&shm->written) < shm->chunk_bytes ||
		take(shm, &shm->write_lock, false) != NVMKV_OK)
		return;
	(void) write_assigned(log, &sequence, &end);
	release_and_wake(shm, &shm->write_lock);
}

NvmkvStatus
log_group_append(LogGroup *log, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	LogGroupShm *shm = log->shm;
	NvmkvStatus status;

	NVMKV_RETURN_IF(take(shm, &shm->append_lock, true));
	status = append_locked(log, batch, count, last_sequence_out);
	port_lock_release(&shm->append_lock);
	if (status == NVMKV_OK)
		write_chunk(log);
	return status;
}

/* ---- flushing ---- */

/* Leads a round, for all who wait, if nobody else does: BUSY.  *done reaches "sequence" on OK. */
static NvmkvStatus
lead(LogGroup *log, bool sync, const uint64_t *done, uint64_t sequence)
{
	LogGroupShm *shm = log->shm;
	bool syncs = sync && !shm->mapped;
	PortLock *lock = syncs ? &shm->sync_lock : &shm->write_lock;
	NvmkvStatus status;
	uint64_t written;
	uint64_t end;

	NVMKV_RETURN_IF(take(shm, lock, false));
	/* The previous leader may have finished between the test and the lock. */
	if (port_load_acquire(done) >= sequence)
		status = NVMKV_OK;
	else if (syncs)
		status = sync_assigned(log);
	else
		status = write_assigned(log, &written, &end);
	release_and_wake(shm, lock);
	return status;
}

NvmkvStatus
log_group_flush(LogGroup *log, uint64_t sequence, bool sync)
{
	LogGroupShm *shm = log->shm;
	const uint64_t *done = sync ? &shm->synced_sequence : &shm->written_sequence;
	uint64_t assigned = port_load_acquire(&shm->assigned_sequence);
	NvmkvStatus status;

	if (sequence > assigned)
		sequence = assigned;
	if (port_load_acquire(done) >= sequence)
		return NVMKV_OK;
	status = lead(log, sync, done, sequence);
	if (status != NVMKV_BUSY)
		return status;

	port_count(&shm->stats.waits, 1);
	port_cond_prepare(&shm->written_cond);
	while (port_load_acquire(done) < sequence)
	{
		status = lead(log, sync, done, sequence);
		if (status == NVMKV_BUSY)
			status = port_cond_wait(&shm->written_cond, WAIT_MS);
		if (status != NVMKV_OK)
			break;
	}
	port_cond_finish(&shm->written_cond);
	return status == NVMKV_BUSY ? NVMKV_OK : status;
}

/* ---- files ---- */

/*
 * Creates file "number", ready for records.
 * 1. create, or rename the recycled one   crash after: not this log yet, reads as empty
 * 2. allocate, write the header           crash after: as 1, or an empty log
 * 3. sync file, sync directory            crash after: an empty log
 */
static NvmkvStatus
create_file(LogGroup *log, uint64_t number, uint64_t recycle, PortFile **file_out, uint64_t *allocated_out)
{
	char path[LOG_GROUP_PATH_BYTES_MAX];
	char old_path[LOG_GROUP_PATH_BYTES_MAX];
	uint8_t header[LOG_FILE_HEADER_BYTES];
	uint64_t segment_bytes = log->shm->segment_bytes;
	PortFile *file = NULL;
	int flags = PORT_FILE_READ | PORT_FILE_WRITE;
	NvmkvStatus status;

	log_group_path(path, sizeof(path), log->dir, number);
	NVMKV_RETURN_IF(port_fault("log.create"));
	if (recycle != 0)
	{
		log_group_path(old_path, sizeof(old_path), log->dir, recycle);
		NVMKV_RETURN_IF(port_files->rename(old_path, path));
	}
	else
		flags |= PORT_FILE_CREATE | PORT_FILE_TRUNCATE;
	status = port_files->open(path, flags, &file);
	if (status == NVMKV_OK)
		status = port_files->preallocate(file, segment_bytes);
	if (status == NVMKV_OK)
		status = port_files->size(file, allocated_out);
	if (status == NVMKV_OK)
	{
		log_file_header_encode(header, LOG_KIND_WAL, number);
		status = port_files->write(file, 0, header, sizeof(header));
	}
	if (status == NVMKV_OK)
		status = port_files->sync(file);
	if (status == NVMKV_OK)
		status = port_files->sync_dir(log->dir);
	if (status != NVMKV_OK)
	{
		if (file != NULL)
			port_files->close(file);
		(void) port_files->unlink(path);
		return status;
	}
	*file_out = file;
	return NVMKV_OK;
}

/* Caller holds all locks; everything assigned is synced. */
static void
install_file(LogGroup *log, uint64_t number, uint64_t recycled, PortFile *file, uint64_t allocated)
{
	LogGroupShm *shm = log->shm;
	uint64_t start = shm->assigned;
	uint64_t end = start + LOG_FILE_HEADER_BYTES;

	/* This process opens it again when it has to write: then it is mapped, too, if need be. */
	close_file(log);
	port_files->close(file);
	shm->file_start = start;
	shm->recycled = recycled;
	port_store_release(&shm->allocated, allocated);

	/* The header went to the file directly: its positions are skipped in the ring. */
	port_store_release(&shm->written, end);
	port_store_release(&shm->synced, end);
	port_store_release(&shm->assigned, end);
	port_store_release(&shm->number, number);
}

NvmkvStatus
log_group_start(LogGroup *log, uint64_t number, uint64_t last_sequence)
{
	LogGroupShm *shm = log->shm;
	PortFile *file;
	uint64_t allocated;

	/* Nobody else is there yet: no locks. */
	if (shm->number != 0 || number == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "log file %" PRIu64 " cannot start the log", number);
	NVMKV_RETURN_IF(create_file(log, number, 0, &file, &allocated));
	shm->mapped = log_map_ops->is_pmem(file);
	install_file(log, number, 0, file, allocated);
	shm->written_sequence = last_sequence;
	shm->synced_sequence = last_sequence;
	port_store_release(&shm->assigned_sequence, last_sequence);
	return NVMKV_OK;
}

/*
 * Caller holds sync_lock.  Syncs until little is left, or those who append are too fast for it; then lets nobody append
 * until the rest is synced and the new file is in use.
 */
static NvmkvStatus
change_file(LogGroup *log, uint64_t number, uint64_t recycled, PortFile *file, uint64_t allocated,
			uint64_t *last_sequence_out)
{
	LogGroupShm *shm = log->shm;
	unsigned syncs;
	NvmkvStatus status;

	for (syncs = 0; syncs < ROTATE_SYNCS_MAX; syncs++)
	{
		if (port_load_acquire(&shm->assigned) - port_load_acquire(&shm->synced) <= ROTATE_UNSYNCED_BYTES)
			break;
		NVMKV_RETURN_IF(sync_assigned(log));
	}
	NVMKV_RETURN_IF(take(shm, &shm->append_lock, true));
	status = sync_assigned(log);
	if (status == NVMKV_OK)
		status = take(shm, &shm->write_lock, true);
	if (status == NVMKV_OK)
	{
		*last_sequence_out = shm->assigned_sequence;
		install_file(log, number, recycled, file, allocated);
		release_and_wake(shm, &shm->write_lock);
	}
	port_lock_release(&shm->append_lock);
	return status;
}

/* Caller holds rotate_lock.  The new file is made first, while others append and sync. */
static NvmkvStatus
rotate_locked(LogGroup *log, uint64_t number, uint64_t recycle, uint64_t *last_sequence_out)
{
	LogGroupShm *shm = log->shm;
	PortFile *file;
	uint64_t allocated;
	NvmkvStatus status;

	if (shm->number == 0 || number <= shm->number || recycle >= shm->number)
		return NVMKV_FAIL(NVMKV_INVALID, "log file %" PRIu64 " cannot follow %" PRIu64 ", recycling %" PRIu64,
						  number, shm->number, recycle);
	NVMKV_RETURN_IF(port_fault("log.rotate"));
	NVMKV_RETURN_IF(check_failed(shm));
	NVMKV_RETURN_IF(create_file(log, number, recycle, &file, &allocated));
	status = take(shm, &shm->sync_lock, true);
	if (status == NVMKV_OK)
	{
		status = change_file(log, number, recycle, file, allocated, last_sequence_out);
		release_and_wake(shm, &shm->sync_lock);
	}
	if (status != NVMKV_OK)
	{
		char path[LOG_GROUP_PATH_BYTES_MAX];

		port_files->close(file);
		log_group_path(path, sizeof(path), log->dir, number);
		(void) port_files->unlink(path);
	}
	return status;
}

NvmkvStatus
log_group_rotate(LogGroup *log, uint64_t number, uint64_t recycle, uint64_t *last_sequence_out)
{
	NvmkvStatus status;

	NVMKV_RETURN_IF(take(log->shm, &log->shm->rotate_lock, true));
	status = rotate_locked(log, number, recycle, last_sequence_out);
	port_lock_release(&log->shm->rotate_lock);
	return status;
}
