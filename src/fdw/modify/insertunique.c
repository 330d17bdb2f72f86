/*
 * insertunique.c
 *	  INSERT into a table with unique indexes other than the primary key's.
 *
 * Such rows are written one at a time, under the latches of the row's key and
 * of its values (txn/unique.h).
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "fdw/host/rowid.h"
#include "fdw/key/keycode.h"
#include "fdw/modify/doubts.h"
#include "fdw/modify/insertunique.h"
#include "fdw/txn/unique.h"

typedef enum InsertResult
{
	INSERT_WRITTEN,
	INSERT_NO_ROOM,
	INSERT_WAITS, /* for transaction *xid_out, which may have the key */
	INSERT_KEY_EXISTS,
	INSERT_VALUE_EXISTS
} InsertResult;

/* One turn under the latches; nothing is waited for.  *rest_out: entries that have to wait for somebody. */
static InsertResult
try_insert(NvmkvModify *modify, NvmkvSlice key, TransactionId *xid_out, NvmkvRival *rival_out, NvmkvSlice *rest_out)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvSlice entries = nvmkv_buffer_slice(&modify->entries);
	FullTransactionId fxid = GetCurrentFullTransactionId();
	InsertResult result = INSERT_WRITTEN;
	NvmkvLatchSet latches;

	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_unique_add_latches(&latches, none, entries);
	nvmkv_latch_set_acquire(&latches);
	if (modify->table->nkeys > 0)
	{
		NvmkvRowView view;

		nvmkv_row_view(modify->db, modify->table, key, &query, &view);
		*xid_out = view.wait_xid;
		if (view.state == NVMKV_ROW_WAIT)
			result = INSERT_WAITS;
		else if (view.state == NVMKV_ROW_LIVE)
			result = INSERT_KEY_EXISTS;
	}
	if (result == INSERT_WRITTEN &&
		nvmkv_unique_find_rival(modify->db, modify->table, none, entries, rival_out, NULL))
	{
		entries.size = rival_out->at;
		if (!TransactionIdIsValid(rival_out->wait_xid))
			result = INSERT_VALUE_EXISTS;
	}
	if (result == INSERT_WRITTEN)
	{
		*rest_out = nvmkv_slice(entries.data + entries.size, (size_t) modify->entries.len - entries.size);
		nvmkv_doubts_find(modify, none, entries);
		nvmkv_write_begin();
		nvmkv_entries_put(none, entries, fxid, modify->cid);
		nvmkv_write_put(NVMKV_TYPE_TAGGED_VALUE, key, fxid, modify->cid, nvmkv_buffer_slice(&modify->value));
		nvmkv_write_tell(modify->table, NVMKV_CHANGE_INSERT, fxid, none, none);
		if (!nvmkv_write_finish(modify->db, modify->rel))
			result = INSERT_NO_ROOM;
	}
	nvmkv_latch_set_release(&latches);
	return result;
}

void
nvmkv_insert_unique(NvmkvModify *modify, TupleTableSlot *slot)
{
	NvmkvSlice rest = nvmkv_slice(NULL, 0);
	InsertResult result;
	NvmkvSlice key;

	if (modify->table->nkeys == 0)
	{
		uint64 rowid = nvmkv_rowid_allocate(1);

		nvmkv_entries_set_rowid(nvmkv_buffer_slice(&modify->entries), rowid);
		nvmkv_key_from_rowid(modify->table, &modify->key, rowid);
		nvmkv_rowid_to_tid(rowid, &slot->tts_tid);
	}
	key = nvmkv_buffer_slice(&modify->key);
	do
	{
		TransactionId xid;
		NvmkvRival rival;

		CHECK_FOR_INTERRUPTS();
		result = try_insert(modify, key, &xid, &rival, &rest);
		switch (result)
		{
			case INSERT_WRITTEN:
				break;
			case INSERT_NO_ROOM:
				nvmkv_write_wait_room(modify->db, modify->rel);
				break;
			case INSERT_WAITS:
				nvmkv_write_wait_xid(modify->rel, key, xid, XLTW_InsertIndex);
				break;
			case INSERT_KEY_EXISTS:
			case INSERT_VALUE_EXISTS:
				/* A serializable transaction would rather hear that it cannot be serialized. */
				nvmkv_write_check_serializable(modify->rel, key);
				if (result == INSERT_KEY_EXISTS)
					nvmkv_write_duplicate(modify->table, modify->rel, slot);
				nvmkv_unique_report(modify->table, modify->rel, &rival);
		}
	} while (result != INSERT_WRITTEN);
	nvmkv_modify_set_ctid(modify, slot, nvmkv_write_last_sequence());
	nvmkv_unique_write_rest(modify->db, modify->table, modify->rel, key, rest, GetCurrentFullTransactionId(),
							modify->cid, &modify->doubts);
	nvmkv_doubts_keep(modify);
	nvmkv_write_check_serializable(modify->rel, key);
}
