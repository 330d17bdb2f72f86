/*
 * arbiter.c
 *	  INSERT ... ON CONFLICT into a table with unique indexes: is there a row
 *	  that the new one conflicts with?
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "fdw/host/latch.h"
#include "fdw/key/keycode.h"
#include "fdw/modify/arbiter.h"
#include "fdw/modify/doubts.h"
#include "fdw/table/indexes.h"

static bool
is_arbiter(const NvmkvModify *modify, const NvmkvIndex *index)
{
	List *oids = modify->arbiters;

	return oids == NIL || list_member_oid(oids, index->oid);
}

/* The primary key's index is none of table->indexes. */
static bool
key_is_arbiter(const NvmkvModify *modify)
{
	List *oids = modify->arbiters;
	ListCell *lc;

	if (modify->table->nkeys == 0)
		return false;
	foreach(lc, oids)
	{
		if (nvmkv_find_index(modify->table, lfirst_oid(lc)) == NULL)
			return true;
	}
	return oids == NIL;
}

/* Those of the entries that are of arbiters, or of the other indexes. */
static void
select_entries(const NvmkvModify *modify, NvmkvSlice entries, bool of_arbiters, StringInfo selected)
{
	size_t at = 0;
	size_t start = 0;
	NvmkvEntry entry;

	resetStringInfo(selected);
	while (nvmkv_entries_next(entries, &at, &entry))
	{
		if (is_arbiter(modify, &modify->table->indexes[entry.index]) == of_arbiters)
			appendBinaryStringInfo(selected, (const char *) entries.data + start, (int) (at - start));
		start = at;
	}
}

typedef enum Found
{
	FOUND_NOTHING,
	FOUND_ARBITER_KEY, /* the key's row conflicts, or may */
	FOUND_ARBITER_VALUE,
	FOUND_KEY, /* it exists, and is no arbiter */
	FOUND_VALUE,
	FOUND_WAIT_ARBITER, /* for *xid_out, before it can be said */
	FOUND_WAIT_KEY,		/* no arbiter */
	FOUND_WAIT_VALUE,
	FOUND_DEFERRABLE /* an arbiter that can be none */
} Found;

/* key_first: the key has been waited for, so it comes before the arbiters.  REQUIRES the latches. */
static Found
find(NvmkvModify *modify, NvmkvSlice key, bool key_first, NvmkvSlice of_arbiters, NvmkvSlice others,
	 TransactionId *xid_out, StringInfo rival_key, NvmkvRival *rival_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvRowView view = {.state = NVMKV_ROW_ABSENT};
	bool stands;

	if (modify->table->nkeys > 0)
		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
	stands = view.state == NVMKV_ROW_LIVE || view.state == NVMKV_ROW_WAIT;
	if (stands && key_is_arbiter(modify))
		return nvmkv_doubts_meet_arbiter(modify, modify->key_index) ? FOUND_DEFERRABLE : FOUND_ARBITER_KEY;
	if (!(stands && key_first) &&
		nvmkv_unique_find_rival(modify->db, modify->table, none, of_arbiters, rival_out, rival_key))
	{
		if (nvmkv_doubts_meet_arbiter(modify, modify->table->indexes[rival_out->index].oid))
			return FOUND_DEFERRABLE;
		*xid_out = rival_out->wait_xid;
		return TransactionIdIsValid(*xid_out) ? FOUND_WAIT_ARBITER : FOUND_ARBITER_VALUE;
	}
	if (nvmkv_doubts_meet_arbiter(modify, OID_MAX))
		return FOUND_DEFERRABLE;
	if (stands)
	{
		*xid_out = view.wait_xid;
		return view.state == NVMKV_ROW_WAIT ? FOUND_WAIT_KEY : FOUND_KEY;
	}
	if (nvmkv_unique_find_rival(modify->db, modify->table, none, others, rival_out, rival_key))
		return TransactionIdIsValid(rival_out->wait_xid) ? FOUND_WAIT_VALUE : FOUND_VALUE;
	return FOUND_NOTHING;
}

/* The row has been written, and some entries, when an arbiter's value turns out to be another row's: it never was. */
static void
take_back(NvmkvModify *modify, NvmkvSlice key, NvmkvSlice entries, FullTransactionId fxid)
{
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	bool written = false;

	while (!written)
	{
		NvmkvLatchSet latches;

		CHECK_FOR_INTERRUPTS();
		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
		nvmkv_unique_add_latches(&latches, none, entries);
		nvmkv_latch_set_acquire(&latches);
		nvmkv_write_begin();
		nvmkv_entries_put(entries, none, fxid, modify->cid);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_DELETION, key, fxid, modify->cid, none);
		written = nvmkv_write_finish(modify->db, modify->rel);
		nvmkv_latch_set_release(&latches);
		if (!written)
			nvmkv_write_wait_room(modify->db, modify->rel);
	}
}

/*
 * The row is there, with its entries before the rest, while it is waited for the rival, who may have the value of the
 * next one: as on a heap.
 */
static NvmkvConflictLook
finish_insert(NvmkvModify *modify, NvmkvSlice key, NvmkvSlice rest, bool has_rival, NvmkvRival *rival,
			  FullTransactionId fxid)
{
	NvmkvSlice entries = nvmkv_buffer_slice(&modify->entries);

	for (;;)
	{
		if (has_rival && is_arbiter(modify, &modify->table->indexes[rival->index]))
		{
			take_back(modify, key, nvmkv_slice(entries.data, entries.size - rest.size), fxid);
			return NVMKV_CONFLICT_AGAIN;
		}
		if (has_rival)
			nvmkv_unique_wait_rival(modify->table, modify->rel, key, rival);
		if (rest.size == 0)
		{
			nvmkv_doubts_keep(modify);
			return NVMKV_CONFLICT_NONE;
		}
		CHECK_FOR_INTERRUPTS();
		has_rival = nvmkv_unique_write_free(modify->db, modify->table, modify->rel, &rest, fxid, modify->cid,
											&modify->doubts, rival);
	}
}

NvmkvConflictLook
nvmkv_arbiter_look(NvmkvModify *modify, NvmkvSlice key, TupleTableSlot *slot, bool *key_first, StringInfo row_key,
				   NvmkvRival *rival_out)
{
	FullTransactionId fxid = GetCurrentFullTransactionId();
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvSlice entries = nvmkv_buffer_slice(&modify->entries);
	NvmkvSlice free = entries;
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);
	TransactionId xid = InvalidTransactionId;
	StringInfoData of_arbiters;
	StringInfoData others;
	StringInfoData rival_key;
	NvmkvLatchSet latches;
	bool written = false;
	Found found;

	initStringInfo(&of_arbiters);
	initStringInfo(&others);
	initStringInfo(&rival_key);
	select_entries(modify, entries, true, &of_arbiters);
	select_entries(modify, entries, false, &others);
	MemoryContextSwitchTo(old_context);

	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_unique_add_latches(&latches, none, entries);
	nvmkv_latch_set_acquire(&latches);
	found = find(modify, key, *key_first, nvmkv_buffer_slice(&of_arbiters), nvmkv_buffer_slice(&others), &xid,
				 &rival_key, rival_out);
	if (found == FOUND_WAIT_VALUE)
	{
		/* The same one, and where it is among them all. */
		(void) nvmkv_unique_find_rival(modify->db, modify->table, none, entries, rival_out, NULL);
		free.size = rival_out->at;
	}
	if (found == FOUND_NOTHING || found == FOUND_WAIT_VALUE)
	{
		nvmkv_doubts_find(modify, none, free);
		nvmkv_write_begin();
		nvmkv_entries_put(none, free, fxid, modify->cid);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
		if (found == FOUND_NOTHING)
			nvmkv_write_tell(modify->table, NVMKV_CHANGE_INSERT, fxid, none, none);
		written = nvmkv_write_finish(modify->db, modify->rel);
	}
	nvmkv_latch_set_release(&latches);
	if (written)
		nvmkv_modify_set_ctid(modify, slot, nvmkv_write_last_sequence());

	*key_first = found == FOUND_WAIT_KEY;
	switch (found)
	{
		case FOUND_NOTHING:
		case FOUND_WAIT_VALUE:
			if (written)
			{
				NvmkvConflictLook look =
					finish_insert(modify, key, nvmkv_slice(entries.data + free.size, entries.size - free.size),
								  found == FOUND_WAIT_VALUE, rival_out, fxid);

				/* One that was taken back is not told at all. */
				if (look == NVMKV_CONFLICT_NONE && found == FOUND_WAIT_VALUE)
					nvmkv_write_tell_late(modify->table, fxid, key, nvmkv_buffer_slice(&modify->value));
				return look;
			}
			nvmkv_write_wait_room(modify->db, modify->rel);
			break;
		case FOUND_WAIT_ARBITER:
		case FOUND_WAIT_KEY:
			nvmkv_write_wait_xid(modify->rel, key, xid, XLTW_InsertIndex);
			break;
		case FOUND_ARBITER_KEY:
			rival_out->index = (unsigned) modify->table->nindexes;
			resetStringInfo(row_key);
			appendBinaryStringInfo(row_key, (const char *) key.data, (int) key.size);
			return NVMKV_CONFLICT_ROW;
		case FOUND_ARBITER_VALUE:
			nvmkv_key_of_entry(modify->table, &modify->table->indexes[rival_out->index], nvmkv_buffer_slice(&rival_key),
							   row_key);
			return NVMKV_CONFLICT_ROW;
		case FOUND_KEY:
			nvmkv_write_check_serializable(modify->rel, key);
			nvmkv_write_duplicate(modify->table, modify->rel, slot);
		case FOUND_VALUE:
			nvmkv_write_check_serializable(modify->rel, key);
			nvmkv_unique_report(modify->table, modify->rel, rival_out);
		case FOUND_DEFERRABLE:
			nvmkv_doubts_refuse_arbiter(modify);
	}
	return NVMKV_CONFLICT_AGAIN;
}

bool
nvmkv_arbiter_still_conflicts(NvmkvModify *modify, TupleTableSlot *row, const NvmkvRival *rival)
{
	size_t at = 0;
	NvmkvEntry entry;

	if (rival->index == (unsigned) modify->table->nindexes)
		return true;
	nvmkv_entries_of_row(modify->entry_maker, row, 0, &modify->old_entries);
	while (nvmkv_entries_next(nvmkv_buffer_slice(&modify->old_entries), &at, &entry))
	{
		if (entry.index == rival->index && entry.unique_size == rival->entry.unique_size &&
			memcmp(entry.key.data, rival->entry.key.data, entry.unique_size) == 0)
			return true;
	}
	return false;
}
