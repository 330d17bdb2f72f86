/*
 * kept.c
 *	  Keeping WAL that the tree cannot take, and replaying it: see kept.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "postmaster/startup.h"
#include "storage/shmem.h"

#include "engine/log/kept_log.h"
#include "engine/port/port.h"
#include "fdw/compat/compat.h"
#include "fdw/host/apply.h"
#include "fdw/host/guc.h"
#include "fdw/host/kept.h"
#include "fdw/host/keptpart.h"
#include "fdw/host/origin.h"
#include "fdw/host/settle.h"
#include "fdw/host/wal.h"

/* What is pending: bit of the database as a whole, and bit i of family i. */
#define WHOLE UINT32_C(1)

typedef struct KeptShared
{
	pg_atomic_uint32 pending;
	XLogRecPtr start; /* of WHOLE */
	pg_atomic_uint32 obstacle; /* a NvmkvStatus: why the last replay failed; it is tried again */
	char obstacle_text[NVMKV_ERROR_TEXT_MAX]; /* complete when obstacle is set */
} KeptShared;

static KeptShared *shared;

/* Of the process that keeps. */
static KeptWriter writer;
static XLogRecPtr keep_from;	   /* where a file that is begun now starts */
static bool lost_wal_told = false; /* once a start */
static bool has_kept_memtables = false;

static const char *
kept_dir(void)
{
	static char dir[MAXPGPATH];

	snprintf(dir, sizeof(dir), "%s/" NVMKV_KEPT_DIR, DataDir);
	return dir;
}

void
nvmkv_kept_shmem_request(void)
{
	RequestAddinShmemSpace(MAXALIGN(sizeof(KeptShared)));
}

void
nvmkv_kept_shmem_init(void)
{
	bool found;

	shared = ShmemInitStruct("nvmkv kept WAL", sizeof(KeptShared), &found);
	if (!found)
	{
		pg_atomic_init_u32(&shared->pending, 0);
		pg_atomic_init_u32(&shared->obstacle, NVMKV_OK);
	}
}

bool
nvmkv_kept_is_pending(void)
{
	return pg_atomic_read_u32(&shared->pending) != 0;
}

/* ---------------------------------------------------------------- opening */

static void
warn_problem(void *ctx, const char *problem)
{
	ereport(WARNING,
			(errmsg("WAL of foreign tables is lost: %s", problem),
			 errdetail("\"nvmkv.ignore_lost_wal\" is on.")));
}

NvmkvStatus
nvmkv_kept_find(NvmkvOptions *options)
{
	bool found;
	NvmkvStatus status = kept_start(kept_dir(), nvmkv_origin_identifier(), &found, &shared->start);

	if (status != NVMKV_OK && nvmkv_ignore_lost_wal && status != NVMKV_NO_MEMORY)
	{
		warn_problem(NULL, nvmkv_error()->text);
		found = true;
		status = NVMKV_OK;
	}
	if (status == NVMKV_OK && found)
	{
		pg_atomic_write_u32(&shared->pending, WHOLE);
		if (shared->start != InvalidXLogRecPtr)
			options->log_begin = shared->start; /* it comes before the log, and with it the log goes on */
	}
	nvmkv_kept_parts_find(options);
	return status;
}

void
nvmkv_kept_opened(NvmkvDb *db)
{
	(void) pg_atomic_fetch_or_u32(&shared->pending, nvmkv_kept_parts_opened(db));
}

/* ---------------------------------------------------------------- replaying */

static NvmkvStatus
replay_item(void *ctx, const KeptItem *item)
{
	NvmkvDb *db = ctx;

	if (AmStartupProcess())
		ProcessStartupProcInterrupts();
	if (port_interrupted())
		return NVMKV_FAIL(NVMKV_CANCELLED, "replay of kept WAL was interrupted");
	if (item->kind == KEPT_ENTRY)
		return nvmkv_apply_entry(db, item->start, item->data);
	if (item->kind == KEPT_OUTCOMES)
		return nvmkv_settle_kept(db, item->start, item->end, item->data.size > 0 ? item->data.data : NULL);
	NVMKV_RETURN_IF(nvmkv_apply(db, item->info, item->start, item->end, item->data));
	nvmkv_wal_set_earlier(item->end);
	return NVMKV_OK;
}

static NvmkvStatus
replay_whole(NvmkvDb *db, XLogRecPtr next)
{
	KeptReading reading = {
		.dir = kept_dir(),
		.system_identifier = nvmkv_origin_identifier(),
		.lenient = nvmkv_ignore_lost_wal,
		.problem = warn_problem,
		.ctx = db,
	};
	KeptSummary summary;

	/* All of it is looked at before any of it is used. */
	NVMKV_RETURN_IF(kept_read(&reading, &summary));
	NVMKV_RETURN_IF(nvmkv_kept_check_end(&reading, &summary, next));
	ereport(LOG,
			(errmsg("replaying WAL of foreign tables that was kept: from %X/%X to %X/%X, " UINT64_FORMAT " records",
					LSN_FORMAT_ARGS(summary.start), LSN_FORMAT_ARGS(summary.position), summary.items)));
	nvmkv_wal_set_earlier(Max(summary.start, 1));
	NVMKV_RETURN_IF(nvmkv_log_opens(db));
	NVMKV_RETURN_IF(nvmkv_kept_parts_begin(db, summary.start));
	reading.each = replay_item;
	reading.problem = NULL;
	NVMKV_RETURN_IF(kept_read(&reading, &summary));
	nvmkv_wal_set_earlier(Max(summary.position, 1));
	NVMKV_RETURN_IF(nvmkv_flush_all(db));
	NVMKV_RETURN_IF(nvmkv_kept_parts_mark(summary.position, summary.closed || next == InvalidXLogRecPtr));
	/* The tree reaches up to where the log is now before it no longer begins at what was kept. */
	nvmkv_wal_set_earlier(0);
	NVMKV_RETURN_IF(nvmkv_log_opens(db));
	NVMKV_RETURN_IF(kept_remove(kept_dir(), UINT64_MAX));
	(void) pg_atomic_fetch_and_u32(&shared->pending, ~WHOLE);
	ereport(LOG,
			(errmsg("WAL of foreign tables that was kept has been replayed")));
	return NVMKV_OK;
}

/* What is kept of families is the older one. */
static NvmkvStatus
replay(NvmkvDb *db, XLogRecPtr next)
{
	const uint32 pending = pg_atomic_read_u32(&shared->pending);
	XLogRecPtr after_parts = next;

	if ((pending & WHOLE) != 0)
	{
		after_parts = shared->start;
		nvmkv_wal_set_earlier(Max(shared->start, 1));
	}
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
		if ((pending >> id & 1) != 0)
		{
			NVMKV_RETURN_IF(nvmkv_kept_part_replay(db, id, after_parts));
			(void) pg_atomic_fetch_and_u32(&shared->pending, ~(UINT32_C(1) << id));
		}
	return (pending & WHOLE) != 0 ? replay_whole(db, next) : NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_replay(NvmkvDb *db, XLogRecPtr next)
{
	NvmkvStatus status = replay(db, next);

	if (status != NVMKV_OK && pg_atomic_read_u32(&shared->obstacle) == NVMKV_OK)
	{
		strlcpy(shared->obstacle_text, nvmkv_error()->text, sizeof(shared->obstacle_text));
		pg_write_barrier();
		pg_atomic_write_u32(&shared->obstacle, status);
	}
	return status;
}

NvmkvStatus
nvmkv_kept_obstacle(const char **text_out)
{
	NvmkvStatus status = pg_atomic_read_u32(&shared->obstacle);

	pg_read_barrier();
	*text_out = shared->obstacle_text;
	return status;
}

/* ---------------------------------------------------------------- keeping */

static bool
gives_up_wal(void)
{
	if (!nvmkv_ignore_lost_wal)
		return false;
	if (!lost_wal_told)
		ereport(WARNING,
				(errmsg("WAL of foreign tables is lost: it cannot be replayed"),
				 errdetail("\"nvmkv.ignore_lost_wal\" is on.")));
	lost_wal_told = true;
	return true;
}

static void
open_writer(void)
{
	if (writer.log.file != NULL)
		return;
	nvmkv_kept_check(kept_writer_begin(&writer, kept_dir(), nvmkv_origin_identifier(), keep_from, false));
	ereport(LOG,
			(errmsg("keeping WAL of foreign tables in \"%s\" from %X/%X on", NVMKV_KEPT_DIR, LSN_FORMAT_ARGS(keep_from)),
			 errdetail("It will be replayed by the next start with which they are available.")));
}

void
nvmkv_kept_begin(NvmkvDb *db, XLogRecPtr redo)
{
	uint64 start;
	bool found;

	keep_from = redo;
	if (db != NULL)
		nvmkv_kept_check(nvmkv_kept_parts_begin(db, redo));
	else
		nvmkv_kept_parts_close();
	if (db != NULL || nvmkv_ignore_lost_wal)
		return;
	/* What was kept before is continued, whether there are records or not: or something would seem to be missing. */
	if (kept_start(kept_dir(), nvmkv_origin_identifier(), &found, &start) != NVMKV_OK || found)
		open_writer();
}

void
nvmkv_kept_record(uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data)
{
	if (gives_up_wal())
		return;
	open_writer();
	nvmkv_kept_check(kept_writer_record(&writer, info, start, end, data));
}

void
nvmkv_kept_mark(XLogRecPtr upto, bool end)
{
	nvmkv_kept_check(nvmkv_kept_parts_mark(upto, end));
	if (writer.log.file != NULL)
		nvmkv_kept_check(kept_writer_mark(&writer, upto, end));
}

/* ---------------------------------------------------------------- memtables */

typedef struct Dump
{
	KeptWriter writer;
	uint64 newest; /* largest sequence of it */
} Dump;

static NvmkvStatus
keep_entry(void *ctx, uint64_t sequence, NvmkvSlice batch)
{
	Dump *dump = ctx;

	dump->newest = Max(dump->newest, sequence);
	return kept_writer_entry(&dump->writer, sequence, batch);
}

static NvmkvStatus
keep_outcomes(void *ctx, uint64_t from, uint64_t to, const uint8_t *bits)
{
	Dump *dump = ctx;

	return kept_writer_outcomes(&dump->writer, from, to, bits);
}

static NvmkvStatus
write_dump(NvmkvDb *db, Dump *dump, uint64 durable, XLogRecPtr upto)
{
	uint64_t settled_at;

	NVMKV_RETURN_IF(nvmkv_unflushed(db, durable, keep_entry, dump));
	NVMKV_RETURN_IF(nvmkv_unsaved_outcomes(db, keep_outcomes, dump, &settled_at));
	/* As ever, WAL first: what a crash takes back must not come back from here. */
	NVMKV_RETURN_IF(nvmkv_wal_ops()->flush(NULL, Max(dump->newest, settled_at)));
	return kept_writer_mark(&dump->writer, upto, true);
}

NvmkvStatus
nvmkv_kept_memtables(NvmkvDb *db, XLogRecPtr upto)
{
	Dump dump = {.newest = 0};
	uint64 durable = Min(nvmkv_stored_seq(db), upto); /* in recovery files may be ahead of what was looked at */
	uint64 number;
	NvmkvStatus status = kept_writer_begin(&dump.writer, kept_dir(), nvmkv_origin_identifier(), durable, true);

	NVMKV_RETURN_IF(status);
	number = dump.writer.log.number;
	status = write_dump(db, &dump, durable, upto);
	if (status != NVMKV_OK)
	{
		const NvmkvError error = *nvmkv_error();

		/* Unfinished it counts for nothing; but it takes space. */
		(void) port_files->truncate(dump.writer.log.file, 0);
		kept_writer_close(&dump.writer);
		return NVMKV_FAIL(status, "%s", error.text);
	}
	kept_writer_close(&dump.writer);
	has_kept_memtables = true;
	(void) kept_remove(kept_dir(), number); /* what this one takes the place of; harmless where it stays */
	return NVMKV_OK;
}

void
nvmkv_kept_flushed(void)
{
	if (has_kept_memtables && kept_remove(kept_dir(), UINT64_MAX) == NVMKV_OK)
		has_kept_memtables = false;
}

void
nvmkv_kept_give_up(NvmkvDb *db, XLogRecPtr upto)
{
	/* Of families there is everything below; the rest is kept for all of them. */
	nvmkv_kept_check(nvmkv_kept_parts_mark(upto, false));
	nvmkv_kept_parts_close();
	if (gives_up_wal())
		return;
	/* Families that cannot be used have all that comes before: or what is kept would begin too late for them. */
	if (nvmkv_log_let_go(db, Min(nvmkv_stored_seq(db), upto)) != NVMKV_OK)
		ereport(LOG,
				(errmsg("could not note up to where foreign tables have everything: %s", nvmkv_error()->text)));
	nvmkv_kept_check(nvmkv_kept_memtables(db, upto));
	keep_from = upto;
	open_writer();
}
