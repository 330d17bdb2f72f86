/*
 * family_write.c
 *	  Batches with entries of other families than the default one, and replay,
 *	  which finds the families of each.
 *
 * A batch is one log record whatever families it writes to, which is what
 * makes it atomic: room is taken in the memtable of each before the record is
 * appended, and all its entries are linked after.  If one family has no room
 * the others' room is let go of (it is lost in their memtables), and
 * nvmkv_wait_room waits for the family that had none.
 */
#include <inttypes.h>

#include "engine/base/assert.h"
#include "engine/db/outcome.h"
#include "engine/tree/write_control.h"

typedef struct Part
{
	NvmkvDb *db;
	size_t bytes;
	MemRoom room;
} Part;

typedef struct Parts
{
	Part part[NVMKV_FAMILIES_MAX];
	uint32_t families; /* bit i: part[i] is wanted */
	uint32_t begun;	   /* bit i: part[i].room is ours */
} Parts;

/* Which families, and how much room in each. */
static NvmkvStatus
measure(NvmkvSlice batch, Parts *parts, uint32_t *count_out)
{
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	uint32_t i;

	memset(parts, 0, sizeof(*parts));
	NVMKV_RETURN_IF(nvmkv_batch_open(batch, count_out, &cursor));
	for (i = 0; i < *count_out; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		parts->families |= UINT32_C(1) << record.family;
		parts->part[record.family].bytes += memtable_entry_bytes_max(record.key.size, record.payload.size);
	}
	if (cursor != end)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "batch has %zu bytes behind its last entry", (size_t) (end - cursor));
	return NVMKV_OK;
}

static void
end_all(Parts *parts, int slot)
{
	unsigned id;

	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
		if ((parts->begun >> id & 1) != 0)
			mempool_write_end(&parts->part[id].db->mem, slot, &parts->part[id].room);
	parts->begun = 0;
}

static NvmkvStatus
begin(Part *part, int slot)
{
	NvmkvStatus st;

	if (!write_control_admits(part->db, part->bytes))
		return NVMKV_BUSY;
	st = mempool_write_begin(&part->db->mem, slot, part->bytes, &part->room);
	if (st != NVMKV_OK)
		write_control_give_back(part->db, part->bytes);
	return st;
}

/* The batch is not written, and has room in some of its families. */
static void
give_back(Parts *parts, int slot)
{
	unsigned id;

	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
		if ((parts->begun >> id & 1) != 0)
			write_control_give_back(parts->part[id].db, parts->part[id].bytes);
	end_all(parts, slot);
}

static NvmkvStatus
begin_all(NvmkvDb *root, Parts *parts, int slot)
{
	unsigned id;

	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
	{
		Part *part = &parts->part[id];
		NvmkvStatus st;

		if ((parts->families >> id & 1) == 0)
			continue;
		st = nvmkv_family(root, id, &part->db);
		if (st == NVMKV_OK)
			st = db_refuse_writes(part->db);
		if (st == NVMKV_OK)
			st = begin(part, slot);
		if (st != NVMKV_OK)
		{
			if (st == NVMKV_BUSY)
			{
				root->busy_family = id;
				root->busy_bytes = part->bytes;
			}
			give_back(parts, slot);
			return st;
		}
		parts->begun |= UINT32_C(1) << id;
	}
	return NVMKV_OK;
}

/* Links the entries of the families that have room here; base: sequence of the batch's first. */
static void
apply(Parts *parts, NvmkvSlice batch, uint64_t base)
{
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	uint32_t count, i;
	NvmkvStatus st = nvmkv_batch_open(batch, &count, &cursor);

	for (i = 0; st == NVMKV_OK && i < count; i++)
	{
		NvmkvBatchRecord record;

		st = nvmkv_batch_next(&cursor, end, &record);
		if (st == NVMKV_OK && (parts->begun >> record.family & 1) != 0)
			memtable_insert(parts->part[record.family].room.memtable, &parts->part[record.family].room.room, record.key,
							ikey_tag(base + i, record.type), record.payload);
	}
	NVMKV_ASSERT(st == NVMKV_OK); /* it has been measured */
}

NvmkvStatus
family_write(NvmkvDb *root, const NvmkvBatch *batch, uint64_t *last_sequence_out)
{
	int slot = port_process_slot();
	NvmkvSlice bytes = nvmkv_buf_slice(&batch->bytes);
	uint32_t count;
	uint64_t last;
	Parts parts;
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_refuse_writes(root));
	NVMKV_RETURN_IF(measure(bytes, &parts, &count));
	NVMKV_RETURN_IF(begin_all(root, &parts, slot));
	/* As in nvmkv_write: the host's log may raise. */
	st = root->log.append(root->log.ctx, bytes, batch->count, &last);
	if (st == NVMKV_OK)
	{
		unsigned id;

		apply(&parts, bytes, last - batch->count + 1);
		for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
			if ((parts.begun >> id & 1) != 0)
			{
				outcomes_note_written(root, parts.part[id].room.room.last_fxid);
				db_note_applied(parts.part[id].db, last);
			}
		db_note_applied(root, last);
		*last_sequence_out = last;
		db_count_write(root, batch);
	}
	else if (st == NVMKV_READ_ONLY || (root->own_log != NULL && log_group_has_failed(root->own_log)))
		db_set_sticky(root);
	end_all(&parts, slot);
	return st;
}

/* ---- recovery ---- */

/* Links entries [from, to) of the batch that are the family's, for which there is room in a memtable. */
static NvmkvStatus
replay_piece(NvmkvDb *db, NvmkvSlice batch, uint64_t base, uint32_t from, uint32_t to, size_t bytes)
{
	int slot = port_process_slot();
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	uint32_t count, i;
	MemRoom room;
	NvmkvStatus st;

	if (bytes == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(db_replay_room(db, bytes, &room));
	st = nvmkv_batch_open(batch, &count, &cursor);
	for (i = 0; st == NVMKV_OK && i < to; i++)
	{
		NvmkvBatchRecord record;

		st = nvmkv_batch_next(&cursor, end, &record);
		if (st == NVMKV_OK && i >= from && record.family == db->family)
			memtable_insert(room.memtable, &room.room, record.key, ikey_tag(base + i, record.type), record.payload);
	}
	NVMKV_ASSERT(st == NVMKV_OK); /* it has been measured */
	mempool_write_end(&db->mem, slot, &room);
	return st;
}

/*
 * The family's entries, as many at a time as a memtable takes: mostly all.  When they were written memtables may have
 * been larger.  A memtable that is begun in the midst of a record starts before it, so that a crash has all of it
 * replayed again.
 */
static NvmkvStatus
replay_part(NvmkvDb *db, NvmkvSlice batch, uint64_t base)
{
	const size_t max = mempool_batch_bytes_max(&db->mem);
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	uint32_t from = 0;
	size_t bytes = 0;
	uint32_t count, i;

	NVMKV_RETURN_IF(nvmkv_batch_open(batch, &count, &cursor));
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;
		size_t entry;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		if (record.family != db->family)
			continue;
		entry = memtable_entry_bytes_max(record.key.size, record.payload.size);
		if (bytes + entry > max)
		{
			NVMKV_RETURN_IF(replay_piece(db, batch, base, from, i, bytes));
			from = i;
			bytes = 0;
		}
		if (entry > max)
		{
			NVMKV_RETURN_IF(flush_large_entry(db, record.key, ikey_tag(base + i, record.type), record.payload));
			from = i + 1;
		}
		else
			bytes += entry;
	}
	return replay_piece(db, batch, base, from, count, bytes);
}

/*
 * Each family for itself: what is replayed is seen by nobody before all is.  A family that holds the record in rows or
 * tables, or that was born after it, is left out, and so is one that is there no more.
 */
NvmkvStatus
nvmkv_replay(NvmkvDb *root, NvmkvSlice batch, uint64_t base_sequence)
{
	uint32_t count;
	Parts parts;
	unsigned id;

	NVMKV_RETURN_IF(measure(batch, &parts, &count)); /* all of it is checked before any is applied */
	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
	{
		NvmkvDb *db;
		NvmkvStatus st;

		if ((parts.families >> id & 1) == 0)
			continue;
		st = nvmkv_family(root, id, &db);
		if (st == NVMKV_NOT_FOUND || (st != NVMKV_OK && family_has(root, id, base_sequence + count - 1)))
			continue;
		NVMKV_RETURN_IF(st);
		if (count == 0 || base_sequence + count - 1 <= mempool_durable_seq(&db->mem))
			continue;
		NVMKV_RETURN_IF(replay_part(db, batch, base_sequence));
		db_note_applied(db, base_sequence + count - 1);
	}
	db_note_applied(root, base_sequence + count - 1);
	return NVMKV_OK;
}
