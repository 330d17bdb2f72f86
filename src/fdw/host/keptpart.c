/*
 * keptpart.c
 *	  Keeping the part of the WAL that belongs to a column family which cannot
 *	  be used, and replaying it: see keptpart.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "postmaster/startup.h"

#include "engine/log/kept_log.h"
#include "engine/port/port.h"
#include "fdw/compat/compat.h"
#include "fdw/host/guc.h"
#include "fdw/host/keptcheck.h"
#include "fdw/host/keptpart.h"
#include "fdw/host/origin.h"

#define PART_PATH_MAX (MAXPGPATH + 64)

/* Of the process that keeps. */
typedef struct Part
{
	KeptWriter writer;
	char dir[PART_PATH_MAX]; /* the writer's */
} Part;

static Part parts[NVMKV_FAMILIES_MAX];
static XLogRecPtr keep_from; /* where a file that is begun now starts */

/* Of the process that opens the engine: where what is kept of each family starts, at least 1; 0: nothing is. */
static uint64 found[NVMKV_FAMILIES_MAX];

static const char *
part_dir(unsigned id, char *dir)
{
	char base[MAXPGPATH];

	snprintf(base, sizeof(base), "%s/" NVMKV_KEPT_DIR, DataDir);
	kept_family_dir(base, id, dir, PART_PATH_MAX);
	return dir;
}

static const char *
family_name(NvmkvDb *db, unsigned id)
{
	static NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));

	for (unsigned i = 0; i < count; i++)
		if (list[i].id == id)
			return list[i].name;
	return "?";
}

/* ---------------------------------------------------------------- opening */

void
nvmkv_kept_parts_find(NvmkvOptions *options)
{
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
	{
		char dir[PART_PATH_MAX];
		bool any;
		uint64 start;

		found[id] = 0;
		/* What cannot be read is told by the replay, which gives the family up. */
		if (kept_start(part_dir(id, dir), nvmkv_origin_identifier(), &any, &start) != NVMKV_OK)
			any = true;
		if (any)
			found[id] = Max(start, 1);
		options->family_log_begin[id] = found[id];
	}
}

static void
remove_files(unsigned id)
{
	char dir[PART_PATH_MAX];

	if (kept_remove(part_dir(id, dir), UINT64_MAX) != NVMKV_OK)
		ereport(WARNING,
				(errmsg("could not remove WAL that was kept of a dropped column family: %s", nvmkv_error()->text)));
}

uint32
nvmkv_kept_parts_opened(NvmkvDb *db)
{
	uint32 pending = 0;

	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
	{
		NvmkvDb *family;
		NvmkvStatus status;

		if (found[id] == 0)
			continue;
		nvmkv_family_set_kept(db, id, found[id]);
		status = nvmkv_family(db, id, &family);
		if (status == NVMKV_NOT_FOUND)
		{
			nvmkv_family_set_kept(db, id, 0);
			remove_files(id);
		}
		else if (status == NVMKV_OK)
			pending |= UINT32_C(1) << id;
	}
	return pending;
}

void
nvmkv_kept_part_drop(unsigned id)
{
	if (parts[id].writer.log.file != NULL)
		kept_writer_close(&parts[id].writer);
	found[id] = 0;
	remove_files(id);
}

/* ---------------------------------------------------------------- replaying */

typedef struct PartReplay
{
	NvmkvDb *db;
	unsigned id;
} PartReplay;

static void
warn_problem(void *ctx, const char *problem)
{
	const PartReplay *replay = ctx;

	ereport(WARNING,
			(errmsg("WAL of column family \"%s\" is lost: %s", family_name(replay->db, replay->id), problem),
			 errdetail("\"nvmkv.ignore_lost_wal\" is on.")));
}

static NvmkvStatus
replay_item(void *ctx, const KeptItem *item)
{
	const PartReplay *replay = ctx;
	const uint32 family = UINT32_C(1) << replay->id;
	const uint8_t *cursor;
	uint32_t count;

	if (AmStartupProcess())
		ProcessStartupProcInterrupts();
	if (port_interrupted())
		return NVMKV_FAIL(NVMKV_CANCELLED, "replay of kept WAL was interrupted");
	if (item->kind == KEPT_ENTRY)
		return nvmkv_replay_to(replay->db, item->data, item->start, family);
	NVMKV_RETURN_IF(nvmkv_batch_open(item->data, &count, &cursor));
	NVMKV_RETURN_IF(nvmkv_replay_to(replay->db, item->data, item->end - count + 1, family));
	nvmkv_family_set_kept(replay->db, replay->id, item->end);
	return NVMKV_OK;
}

static NvmkvStatus
replay_part(PartReplay *replay, NvmkvDb *family, XLogRecPtr next)
{
	char dir[PART_PATH_MAX];
	KeptReading reading = {
		.dir = part_dir(replay->id, dir),
		.system_identifier = nvmkv_origin_identifier(),
		.lenient = nvmkv_ignore_lost_wal,
		.problem = warn_problem,
		.ctx = replay,
	};
	KeptSummary summary;

	/* All of it is looked at before any of it is used. */
	NVMKV_RETURN_IF(kept_read(&reading, &summary));
	NVMKV_RETURN_IF(nvmkv_kept_check_end(&reading, &summary, next));
	ereport(LOG,
			(errmsg("replaying WAL of column family \"%s\" that was kept: from %X/%X to %X/%X, " UINT64_FORMAT " records",
					family_name(replay->db, replay->id), LSN_FORMAT_ARGS(summary.start),
					LSN_FORMAT_ARGS(summary.position), summary.items)));
	nvmkv_family_set_kept(replay->db, replay->id, Max(summary.start, 1));
	NVMKV_RETURN_IF(nvmkv_log_opens(family));
	reading.each = replay_item;
	reading.problem = NULL;
	NVMKV_RETURN_IF(kept_read(&reading, &summary));
	nvmkv_family_set_kept(replay->db, replay->id, Max(summary.position, 1));
	NVMKV_RETURN_IF(nvmkv_flush_all(family));
	/* The family reaches up to where the others are before it no longer begins at what was kept. */
	nvmkv_family_set_kept(replay->db, replay->id, 0);
	NVMKV_RETURN_IF(nvmkv_log_opens(family));
	NVMKV_RETURN_IF(kept_remove(reading.dir, UINT64_MAX));
	ereport(LOG,
			(errmsg("WAL of column family \"%s\" that was kept has been replayed", family_name(replay->db, replay->id))));
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_part_replay(NvmkvDb *db, unsigned id, XLogRecPtr next)
{
	PartReplay replay = {.db = db, .id = id};
	NvmkvDb *family;
	NvmkvStatus status = nvmkv_family(db, id, &family);

	if (status == NVMKV_OK)
		status = replay_part(&replay, family, next);
	if (status == NVMKV_OK)
		found[id] = 0;
	if (status == NVMKV_OK || nvmkv_kept_is_passing(status))
		return status;
	/* It is begun again when the family is put right; until then what comes is kept, too. */
	nvmkv_family_set_kept(db, id, found[id]);
	return nvmkv_family_give_up(db, id);
}

/* ---------------------------------------------------------------- keeping */

static NvmkvStatus
open_writer(NvmkvDb *db, unsigned id)
{
	Part *part = &parts[id];
	char base[MAXPGPATH];

	if (part->writer.log.file != NULL)
		return NVMKV_OK;
	snprintf(base, sizeof(base), "%s/" NVMKV_KEPT_DIR, DataDir);
	NVMKV_RETURN_IF(port_files->mkdir(base));
	NVMKV_RETURN_IF(kept_writer_begin(&part->writer, part_dir(id, part->dir), nvmkv_origin_identifier(), keep_from,
									  false));
	if (found[id] == 0)
	{
		found[id] = Max(keep_from, 1);
		nvmkv_family_set_kept(db, id, found[id]);
	}
	ereport(LOG,
			(errmsg("keeping WAL of column family \"%s\" in \"%s/family-%u\" from %X/%X on", family_name(db, id),
					NVMKV_KEPT_DIR, id, LSN_FORMAT_ARGS(keep_from)),
			 errdetail("It will be replayed by the next start with which the family can be used.")));
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_parts_begin(NvmkvDb *db, XLogRecPtr from)
{
	NvmkvDb *family;

	keep_from = from;
	if (nvmkv_ignore_lost_wal)
		return NVMKV_OK;
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
	{
		NvmkvStatus status = found[id] != 0 ? nvmkv_family(db, id, &family) : NVMKV_OK;

		if (status != NVMKV_OK && status != NVMKV_NOT_FOUND)
			NVMKV_RETURN_IF(open_writer(db, id));
	}
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_part_record(NvmkvDb *db, uint32 families, uint8 info, XLogRecPtr start, XLogRecPtr end, NvmkvSlice data)
{
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
		if ((families >> id & 1) != 0)
		{
			NVMKV_RETURN_IF(open_writer(db, id));
			NVMKV_RETURN_IF(kept_writer_record(&parts[id].writer, info, start, end, data));
		}
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_part_entry(NvmkvDb *db, uint32 families, uint64 sequence, NvmkvSlice batch)
{
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
		if ((families >> id & 1) != 0)
		{
			NVMKV_RETURN_IF(open_writer(db, id));
			NVMKV_RETURN_IF(kept_writer_entry(&parts[id].writer, sequence, batch));
		}
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_kept_parts_mark(XLogRecPtr upto, bool end)
{
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
	{
		KeptWriter *writer = &parts[id].writer;

		if (writer->log.file == NULL)
			continue;
		NVMKV_RETURN_IF(kept_writer_mark(writer, upto, end));
		if (end)
			kept_writer_close(writer);
	}
	return NVMKV_OK;
}

void
nvmkv_kept_parts_close(void)
{
	for (unsigned id = 1; id < NVMKV_FAMILIES_MAX; id++)
		kept_writer_close(&parts[id].writer);
}
