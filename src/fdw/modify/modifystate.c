/*
 * modifystate.c
 *	  The state of a change of one foreign table: rows to bytes.
 */
#include "postgres.h"

#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/modifystate.h"
#include "fdw/txn/addressbook.h"

void
nvmkv_modify_encode(NvmkvModify *modify, TupleTableSlot *slot)
{
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);

	if (modify->table->nkeys > 0)
		nvmkv_key_from_slot(modify->table, &modify->key, slot);
	else
		resetStringInfo(&modify->key);
	nvmkv_row_encode(modify->table, &modify->value, slot);
	MemoryContextSwitchTo(old_context);
}

void
nvmkv_modify_set_ctid(const NvmkvModify *modify, TupleTableSlot *slot, uint64 sequence)
{
	if (modify->returns_ctid)
		nvmkv_address_to_tid(sequence, &slot->tts_tid);
}
