/*
 * write_control.c
 *	  Looking at the room for writes, and waiting for one's turn (see
 *	  write_control.h).
 */
#include "engine/tree/write_control.h"

#include "engine/tree/bucket.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/jobs.h"
#include "engine/tree/running.h"
#include "engine/tree/shape.h"
#include "engine/tree/write_rate.h"

/* Between two looks. */
#define LOOK_US UINT64_C(2000)

/* The zone of extents, as a share of the pool. */
#define EXTENTS_ZONE_SHARE 0.125

/* Score of a level where slowing down begins, and where it is at its strongest. */
#define SCORE_ZONE_START 2.0
#define SCORE_ZONE_END 4.0

/* The same for the number of tables in level 0. */
#define LEVEL0_ZONE_START 8.0
#define LEVEL0_ZONE_END 24.0

/* A level with this score has work to do for level compaction. */
#define SCORE_BUSY 1.5
#define LEVEL0_BUSY 4

/*
 * A shorter nap cannot be interrupted, and need not be.  What a write has to wait is mostly some microseconds: a
 * millisecond at a time would make one write in a hundred or two a slow one.
 */
#define SHORT_NAP_US 1000

/* Without any work by others for so long there are no others. */
#define WORKER_GONE_US UINT64_C(3000000)

/* A turn may come sooner than it looked at first. */
#define NAP_MS_MAX 50

/* ---- looking ---- */

static bool
others_work(const NvmkvDb *db, uint64_t now_us)
{
	const DbWriteControl *c = &db->shm->control;
	uint32_t worker = port_load_relaxed(&c->worker);
	unsigned i;

	if (worker != 0 && worker != db_claim_word() && now_us < port_load_relaxed(&c->worked_us) + WORKER_GONE_US)
		return true;
	for (i = 0; i < DB_CLAIMS; i++)
	{
		uint32_t claim = port_load_relaxed(&db->shm->claims[i]);

		if (claim != 0 && claim != db_claim_word())
			return true;
	}
	return running_others(db);
}

void
write_control_note_worker(NvmkvDb *db)
{
	DbWriteControl *c = &db->shm->control;

	port_store_relaxed(&c->worker, db_claim_word());
	port_store_relaxed(&c->worked_us, port_now_us());
}

void
write_control_note_step(NvmkvDb *db, NvmkvStallCause cause, NvmkvStatus status)
{
	uint32_t *failing = &db->shm->control.failing[cause];
	uint32_t fails = status != NVMKV_OK;

	/* Neither is a failure.  A flush that finds no extent waits for compaction. */
	if (status == NVMKV_BUSY || status == NVMKV_CANCELLED ||
		(cause == NVMKV_STALL_MEMTABLES && status == NVMKV_NO_SPACE && port_load_relaxed(&db->shm->pool_full) != 0))
		return;
	if (port_load_relaxed(failing) != fails)
		port_store_relaxed(failing, fails);
}

static uint64_t
extents_zone(const NvmkvDb *db)
{
	return (uint64_t) (EXTENTS_ZONE_SHARE * (double) db_container_bytes(db));
}

/* What a column gives back it gives when it ends; in a small pool it is small. */
static uint64_t
column_bytes(const NvmkvDb *db)
{
	uint64_t zone = extents_zone(db);

	return db->options.target_file_bytes < zone ? db->options.target_file_bytes : zone;
}

bool
write_control_pool_is_low(const NvmkvDb *db)
{
	return db->pool != NULL &&
		nvm_pool_free_count(db->pool) * NVM_EXTENT_BYTES <
			db->options.write_buffer_bytes + column_bytes(db) + extents_zone(db);
}

/*
 * What memtables will take of the pool, but for what a running flush has taken: so free extents less this do not leap
 * when a flush takes them.  One write buffer at most: more than that waits for flushes and not for extents.
 */
static double
extents_promised(const NvmkvDb *db)
{
	double limit = (double) db->options.write_buffer_bytes;
	double bytes = 0.0;
	uint64_t total, running;
	MemPoolStats pool;
	unsigned i;

	mempool_stats(&db->mem, &pool);
	for (i = 0; i < pool.buffers; i++)
	{
		MemBufferStats buffer;

		mempool_buffer_stats(&db->mem, i, &buffer);
		if (buffer.state == MEM_BUFFER_ACTIVE || buffer.state == MEM_BUFFER_IMMUTABLE)
			bytes += (double) buffer.bytes;
	}
	jobs_drained(db, DB_JOB_FLUSH, &total, &running);
	bytes -= (double) running;
	if (bytes < 0.0)
		bytes = 0.0;
	return bytes < limit ? bytes : limit;
}

/* In write buffers.  A flush gives its buffer back when it ends; with two of them there is no more to spare. */
static double
buffers_below_zone(const NvmkvDb *db)
{
	return db->options.max_write_buffers > 2 ? 1.0 : 0.5;
}

/* A drain's speed is measured while there is work for it. */
static double
measure(DbWriteControl *c, NvmkvStallCause cause, uint64_t total, bool busy, uint64_t now_us)
{
	write_meter_look(&c->meters[cause], total, busy, now_us);
	return write_meter_speed(&c->meters[cause]);
}

static void
look_at_memtables(NvmkvDb *db, WriteSignal *signal, uint64_t now_us)
{
	uint64_t room = 0;
	uint64_t total, running;
	bool waiting = false;
	MemPoolStats pool;
	unsigned i;

	mempool_stats(&db->mem, &pool);
	for (i = 0; i < pool.buffers; i++)
	{
		MemBufferStats buffer;

		mempool_buffer_stats(&db->mem, i, &buffer);
		if (buffer.state == MEM_BUFFER_FREE)
			room += buffer.capacity;
		else if (buffer.state == MEM_BUFFER_ACTIVE && buffer.bytes < buffer.capacity)
			room += buffer.capacity - buffer.bytes;
		else if (buffer.state == MEM_BUFFER_IMMUTABLE)
			waiting = true;
	}
	jobs_drained(db, DB_JOB_FLUSH, &total, &running);
	signal->reserve = (double) (room + running) / (double) db->options.write_buffer_bytes - buffers_below_zone(db);
	/* A flush that cannot go on for want of extents says nothing of how fast one is. */
	signal->drain = measure(&db->shm->control, NVMKV_STALL_MEMTABLES, total,
							waiting && port_load_relaxed(&db->shm->pool_full) == 0, now_us);
	if (!waiting)
		signal->reserve = 1.0;
}

static void
look_at_extents(NvmkvDb *db, WriteSignal *signal, uint64_t now_us)
{
	uint64_t total, running;
	bool rows;

	signal->reserve = 1.0;
	if (db_container_bytes(db) == 0)
		return;
	db_enter(db);
	rows = versions_current(&db->versions)->nrows > 0;
	db_leave(db);
	jobs_drained(db, DB_JOB_COLUMN, &total, &running);
	signal->reserve = ((double) nvm_pool_free_count(db->pool) * (double) NVM_EXTENT_BYTES + (double) running -
					   (double) column_bytes(db) - extents_promised(db)) /
		(double) extents_zone(db);
	signal->drain = measure(&db->shm->control, NVMKV_STALL_EXTENTS, total, rows && signal->reserve < 1.0, now_us);
}

static void
look_at_debt(NvmkvDb *db, WriteSignal *signal, uint64_t now_us)
{
	const VersionImage *v;
	uint64_t total, running;
	unsigned level;
	uint32_t level0;
	double score;

	db_enter(db);
	v = versions_current(&db->versions);
	score = level_highest_score(db, v, &level);
	level0 = v->level_start[1];
	db_leave(db);

	signal->reserve = (SCORE_ZONE_END - score) / (SCORE_ZONE_END - SCORE_ZONE_START);
	if (db_container_bytes(db) == 0)
	{
		double reserve = (LEVEL0_ZONE_END - (double) level0) / (LEVEL0_ZONE_END - LEVEL0_ZONE_START);

		/* Level 0 goes first (column.c). */
		if (reserve < 1.0 || score < SCORE_BUSY)
		{
			jobs_drained(db, DB_JOB_COLUMN, &total, &running);
			signal->reserve = reserve;
			signal->drain = measure(&db->shm->control, NVMKV_STALL_DEBT, total, level0 >= LEVEL0_BUSY, now_us);
			return;
		}
	}
	jobs_drained(db, DB_JOB_LEVEL, &total, &running);
	signal->drain = measure(&db->shm->control, NVMKV_STALL_DEBT, total, score >= SCORE_BUSY, now_us);
}

static void
set_rate(NvmkvDb *db, const WriteSignal *signals, uint64_t now_us)
{
	DbWriteControl *c = &db->shm->control;
	NvmkvStallCause cause;
	uint64_t rate = write_rate(signals, &cause);

	port_store_relaxed(&c->pressed, rate != 0);
	/* What a full pool does to memtables is the pool's doing. */
	if (cause == NVMKV_STALL_MEMTABLES && port_load_relaxed(&db->shm->pool_full) != 0)
		cause = NVMKV_STALL_EXTENTS;
	port_store_relaxed(&c->cause, (uint32_t) cause);
	if (rate != 0 && !others_work(db, now_us))
		rate = 0;
	if (rate != 0 && port_load_relaxed(&c->rate) == 0)
		bucket_reset(&c->bucket, now_us);
	port_store_relaxed(&c->rate, rate);
}

void
write_control_look(NvmkvDb *db, uint64_t now_us)
{
	DbWriteControl *c = &db->shm->control;
	uint32_t nobody = 0;
	WriteSignal signals[NVMKV_STALL_CAUSES];

	if (now_us < port_load_relaxed(&c->looked_us) + LOOK_US || port_load_relaxed(&c->looking) != 0 ||
		!__atomic_compare_exchange_n(&c->looking, &nobody, db_claim_word(), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	memset(signals, 0, sizeof(signals));
	look_at_memtables(db, &signals[NVMKV_STALL_MEMTABLES], now_us);
	look_at_extents(db, &signals[NVMKV_STALL_EXTENTS], now_us);
	look_at_debt(db, &signals[NVMKV_STALL_DEBT], now_us);
	if (port_load_relaxed(&c->failing[NVMKV_STALL_MEMTABLES]) != 0)
		signals[NVMKV_STALL_MEMTABLES].reserve = 1.0;
	if (port_load_relaxed(&c->failing[NVMKV_STALL_EXTENTS]) != 0)
	{
		signals[NVMKV_STALL_EXTENTS].reserve = 1.0;
		signals[NVMKV_STALL_DEBT].reserve = 1.0;
		/* Flushes wait for it, too. */
		if (port_load_relaxed(&db->shm->pool_full) != 0)
			signals[NVMKV_STALL_MEMTABLES].reserve = 1.0;
	}
	if (port_load_relaxed(&db->shm->pool_full) != 0)
		signals[NVMKV_STALL_MEMTABLES].drain = signals[NVMKV_STALL_EXTENTS].drain;
	set_rate(db, signals, now_us);
	port_store_relaxed(&c->looked_us, now_us);
	port_store_release(&c->looking, 0);
}

void
write_control_abort(NvmkvDb *db)
{
	DbWriteControl *c = &db->shm->control;

	if (port_load_relaxed(&c->looking) == db_claim_word())
		port_store_release(&c->looking, 0);
}

bool
write_control_is_pressed(NvmkvDb *db)
{
	write_control_look(db, port_now_us());
	return port_load_relaxed(&db->shm->control.pressed) != 0;
}

/* ---- writers ---- */

bool
write_control_ask(NvmkvDb *db, size_t bytes)
{
	DbWriteControl *c = &db->shm->control;
	uint64_t now = port_now_us();
	uint64_t rate;

	db->unlooked_bytes = 0;
	write_control_look(db, now);
	rate = port_load_relaxed(&c->rate);
	if (rate == 0)
	{
		db->paid_bytes = 0;
		return true;
	}
	if (db->paid_bytes >= bytes)
	{
		db->paid_bytes -= bytes;
		return true;
	}
	bucket_refill(&c->bucket, rate, now);
	return bucket_try(&c->bucket, bytes);
}

/* Naps until the ticket's turn. */
static NvmkvStatus
wait_for_turn(NvmkvDb *db, uint64_t ticket)
{
	DbWriteControl *c = &db->shm->control;

	for (;;)
	{
		uint64_t now = port_now_us();
		uint64_t rate, us;

		write_control_look(db, now);
		rate = port_load_relaxed(&c->rate);
		if (rate == 0)
			return NVMKV_OK;
		bucket_refill(&c->bucket, rate, now);
		us = bucket_wait_us(&c->bucket, ticket, rate);
		if (us == 0)
			return NVMKV_OK;
		if (us < SHORT_NAP_US)
		{
			port_sleep_us(us);
			continue;
		}
		us = (us + 999) / 1000;
		NVMKV_RETURN_IF(port_cond_wait(&db->shm->work_limit.wait, us < NAP_MS_MAX ? (int) us : NAP_MS_MAX));
		NVMKV_RETURN_IF(db_refuse_writes(db));
	}
}

NvmkvStatus
write_control_wait(NvmkvDb *db, size_t bytes)
{
	DbWriteControl *c = &db->shm->control;
	uint64_t started, ticket;
	uint32_t cause;
	NvmkvStatus st;

	/* What was paid for and not written goes towards this. */
	if (port_load_relaxed(&c->rate) == 0 || db->paid_bytes >= bytes)
		return NVMKV_OK;
	started = port_now_us();
	cause = port_load_relaxed(&c->cause);
	ticket = bucket_ticket(&c->bucket, bytes);
	port_cond_prepare(&db->shm->work_limit.wait);
	st = wait_for_turn(db, ticket);
	port_cond_finish(&db->shm->work_limit.wait);
	if (st == NVMKV_OK)
		db->paid_bytes = bytes;
	else
		bucket_give_back(&c->bucket, bytes);
	port_count(&db->shm->counters.delays[cause], 1);
	port_count(&db->shm->counters.delay_us[cause], port_now_us() - started);
	return st;
}
