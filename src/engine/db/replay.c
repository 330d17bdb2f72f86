/*
 * replay.c
 *	  Replay of the log's records, which finds the families of each.
 */
#include "engine/base/assert.h"
#include "engine/db/db_work.h"
#include "engine/db/family.h"
#include "engine/db/family_write.h"
#include "engine/db/write_room.h"
#include "engine/job/flush.h"
#include "engine/tree/claim.h"
#include "engine/tree/emptied.h"
#include "engine/tree/failure.h"
#include "engine/tree/tree.h"

/* Links entries [from, to) of the batch that are the family's, for which there is room in a memtable. */
static NvmkvStatus
replay_piece(NvmkvDb *db, NvmkvSlice batch, uint64_t base, uint32_t from, uint32_t to, size_t bytes)
{
	int slot = port_process_slot();
	const uint8_t *end = batch.data + batch.size;
	const uint8_t *cursor;
	MemtableGroup group;
	uint32_t count, i;
	MemRoom room;
	NvmkvStatus st;

	if (bytes == 0)
		return NVMKV_OK;
	group.n = 0;
	NVMKV_RETURN_IF(db_replay_room(db, bytes, &room));
	st = nvmkv_batch_open(batch, &count, &cursor);
	for (i = 0; st == NVMKV_OK && i < to; i++)
	{
		NvmkvBatchRecord record;

		st = nvmkv_batch_next(&cursor, end, &record);
		if (st == NVMKV_OK && i >= from && record.family == db->family)
			memtable_group_add(&group, room.memtable, &room.room,
							   (MemtableEntry){record.key, ikey_tag(base + i, record.type), record.payload});
	}
	memtable_group_finish(&group);
	NVMKV_ASSERT(st == NVMKV_OK); /* it has been measured */
	emptied_note_written(db, batch);
	mempool_write_end(&db->mem, slot, &room);
	return st;
}

/* An entry that no memtable has room for becomes a table of its own, with all that is older below it. */
static NvmkvStatus
flush_large(NvmkvDb *db, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	for (;;)
	{
		NvmkvStatus st;
		bool ready;

		NVMKV_RETURN_IF(nvmkv_flush_all(db));
		NVMKV_RETURN_IF(db_drain_rows_before(db, port_load_seq(&db->shm->next_row)));
		if (!db_claim(db, DB_CLAIM_FLUSH))
		{
			NVMKV_RETURN_IF(db_wait_progress(db));
			continue;
		}
		st = db_refuse_if_sticky(db);
		ready = st == NVMKV_OK && !flush_has_rows(db);
		if (ready)
		{
			st = flush_entry(db, key, tag, payload);
			emptied_note_key(db, key);
		}
		db_unclaim(db, DB_CLAIM_FLUSH);
		if (ready || st != NVMKV_OK)
			return st;
	}
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
			NVMKV_RETURN_IF(flush_large(db, record.key, ikey_tag(base + i, record.type), record.payload));
			from = i + 1;
		}
		else
			bytes += entry;
	}
	return replay_piece(db, batch, base, from, count, bytes);
}

/* Cannot the family take what a record that ends there has for it, though it may not have it? */
static bool
is_away(NvmkvDb *root, unsigned id, uint64_t last_sequence)
{
	return family_is_broken(root, id) && !family_has(root, id, last_sequence);
}

NvmkvStatus
nvmkv_replay_away(NvmkvDb *root, NvmkvSlice batch, uint64_t base_sequence, uint32_t *families_out)
{
	uint32_t count;
	FamilyShares shares;
	unsigned id;

	*families_out = 0;
	if (family_broken_durable(root) == UINT64_MAX || root->options.loses_log)
		return NVMKV_OK;
	NVMKV_RETURN_IF(family_measure(batch, &shares, &count));
	for (id = 0; count > 0 && id < NVMKV_FAMILIES_MAX; id++)
		if ((shares.families >> id & 1) != 0 && is_away(root, id, base_sequence + count - 1))
			*families_out |= UINT32_C(1) << id;
	return NVMKV_OK;
}

/*
 * Each family for itself: what is replayed is seen by nobody before all is.  A family that holds the record in rows or
 * tables, or that was born after it, is left out, and so is one that is there no more.
 */
NvmkvStatus
nvmkv_replay_to(NvmkvDb *root, NvmkvSlice batch, uint64_t base_sequence, uint32_t families)
{
	uint32_t count;
	FamilyShares shares;
	unsigned id;

	NVMKV_RETURN_IF(family_measure(batch, &shares, &count)); /* all of it is checked before any is applied */
	for (id = 0; id < NVMKV_FAMILIES_MAX; id++)
	{
		NvmkvDb *db;
		NvmkvStatus st;

		if (((shares.families & families) >> id & 1) == 0)
			continue;
		st = nvmkv_family(root, id, &db);
		if (st == NVMKV_NOT_FOUND || (st != NVMKV_OK && family_has(root, id, base_sequence + count - 1)))
			continue;
		if (st != NVMKV_OK && root->options.loses_log && st != NVMKV_NO_MEMORY)
		{
			family_tell_loss(root, id);
			continue;
		}
		NVMKV_RETURN_IF(st);
		if (count == 0 || base_sequence + count - 1 <= mempool_durable_seq(&db->mem))
			continue;
		NVMKV_RETURN_IF(replay_part(db, batch, base_sequence));
		db_note_applied(db, base_sequence + count - 1);
	}
	db_note_applied(root, base_sequence + count - 1);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_replay(NvmkvDb *root, NvmkvSlice batch, uint64_t base_sequence)
{
	return nvmkv_replay_to(root, batch, base_sequence, UINT32_MAX);
}
