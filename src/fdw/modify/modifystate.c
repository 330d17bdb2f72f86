/*
 * modifystate.c
 *	  The state of a change of one foreign table: rows to bytes.
 */
#include "postgres.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/modifystate.h"
#include "fdw/txn/addressbook.h"

/* That of the row that is replaced in place; a new row gets one when it is written. */
static uint64
rowid_to_write(const NvmkvModify *modify)
{
	if (modify->table->nkeys > 0 || modify->old_key.len == 0)
		return 0;
	return nvmkv_key_rowid(nvmkv_buffer_slice(&modify->old_key));
}

void
nvmkv_modify_encode(NvmkvModify *modify, TupleTableSlot *slot)
{
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);

	if (modify->table->nkeys > 0)
		nvmkv_key_from_slot(modify->table, &modify->key, slot);
	else
		resetStringInfo(&modify->key);
	nvmkv_row_encode(modify->table, &modify->value, slot);
	nvmkv_entries_of_row(modify->entry_maker, slot, rowid_to_write(modify), &modify->entries);
	MemoryContextSwitchTo(old_context);
}

void
nvmkv_modify_encode_old(NvmkvModify *modify, HeapTuple row)
{
	uint64 rowid = modify->table->nkeys == 0 ? nvmkv_rowid_from_tid(&row->t_self) : 0;

	nvmkv_entries_of_tuple(modify->entry_maker, row, rowid, &modify->old_entries);
}

void
nvmkv_modify_set_ctid(const NvmkvModify *modify, TupleTableSlot *slot, uint64 sequence)
{
	if (modify->returns_ctid)
		nvmkv_address_to_tid(sequence, &slot->tts_tid);
}
