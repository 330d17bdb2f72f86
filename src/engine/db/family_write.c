/*
 * family_write.c
 *	  Batches with entries of other families than the default one.
 *
 * A batch is one log record whatever families it writes to, which is what
 * makes it atomic: room is taken in the memtable of each before the record is
 * appended, and all its entries are linked after.  If one family has no room
 * the others' room is let go of (it is lost in their memtables), and
 * nvmkv_wait_room waits for the family that had none.
 */
#include "engine/db/family_write.h"

#include "engine/base/assert.h"
#include "engine/db/outcome.h"
#include "engine/tree/emptied.h"
#include "engine/tree/failure.h"
#include "engine/tree/write_control.h"

typedef struct Part
{
	NvmkvDb *db;
	MemRoom room;
} Part;

typedef struct Parts
{
	FamilyShares shares;
	Part part[NVMKV_FAMILIES_MAX];
	uint32_t begun; /* bit i: part[i].room is ours */
} Parts;

NvmkvStatus
family_measure(NvmkvSlice batch, FamilyShares *shares, uint32_t *count_out)
{
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	uint32_t i;

	memset(shares, 0, sizeof(*shares));
	NVMKV_RETURN_IF(nvmkv_batch_open(batch, count_out, &cursor));
	for (i = 0; i < *count_out; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		shares->families |= UINT32_C(1) << record.family;
		shares->bytes[record.family] += memtable_entry_bytes_max(record.key.size, record.payload.size);
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
begin(Part *part, size_t bytes, int slot)
{
	NvmkvStatus st;

	if (!write_control_admits(part->db, bytes))
		return NVMKV_BUSY;
	st = mempool_write_begin(&part->db->mem, slot, bytes, &part->room);
	if (st != NVMKV_OK)
		write_control_give_back(part->db, bytes);
	return st;
}

/* The batch is not written, and has room in some of its families. */
static void
give_back(Parts *parts, int slot)
{
	unsigned id;

	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
		if ((parts->begun >> id & 1) != 0)
			write_control_give_back(parts->part[id].db, parts->shares.bytes[id]);
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

		if ((parts->shares.families >> id & 1) == 0)
			continue;
		st = nvmkv_family(root, id, &part->db);
		if (st == NVMKV_OK)
			st = db_refuse_writes(part->db);
		if (st == NVMKV_OK)
			st = begin(part, parts->shares.bytes[id], slot);
		if (st != NVMKV_OK)
		{
			if (st == NVMKV_BUSY)
			{
				root->busy_family = id;
				root->busy_bytes = parts->shares.bytes[id];
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
	MemtableGroup group;
	uint32_t count, i;
	NvmkvStatus st = nvmkv_batch_open(batch, &count, &cursor);

	group.n = 0;
	for (i = 0; st == NVMKV_OK && i < count; i++)
	{
		NvmkvBatchRecord record;

		st = nvmkv_batch_next(&cursor, end, &record);
		if (st == NVMKV_OK && (parts->begun >> record.family & 1) != 0)
			memtable_group_add(&group, parts->part[record.family].room.memtable, &parts->part[record.family].room.room,
							   (MemtableEntry){record.key, ikey_tag(base + i, record.type), record.payload});
	}
	memtable_group_finish(&group);
	NVMKV_ASSERT(st == NVMKV_OK); /* it has been measured */
}

NvmkvStatus
family_write(NvmkvDb *root, const NvmkvBatch *batch, uint64_t *last_sequence_out)
{
	int slot = port_process_slot();
	NvmkvSlice bytes = nvmkv_buf_slice(&batch->bytes);
	uint32_t count;
	uint64_t last;
	Parts parts = {0};
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_refuse_writes(root));
	NVMKV_RETURN_IF(family_measure(bytes, &parts.shares, &count));
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
				emptied_note_written(parts.part[id].db, bytes);
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
