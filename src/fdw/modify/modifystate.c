/*
 * modifystate.c
 *	  The state of a change of one foreign table: made, and rows to bytes.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/xact.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/changes/note.h"
#include "fdw/host/family.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/deferred.h"
#include "fdw/modify/foreignkeyrow.h"
#include "fdw/modify/modifystate.h"
#include "fdw/storage/storage.h"
#include "fdw/table/counters.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/writers.h"

/* ---------------------------------------------------------------- begin */

/* Of any of the statement's tables: the lists name the same columns of each. */
static bool
returns_ctid(const ModifyTable *plan)
{
	ListCell *lc;

	foreach(lc, pull_var_clause((Node *) plan->returningLists, PVC_RECURSE_PLACEHOLDERS))
	{
		if (lfirst_node(Var, lc)->varattno == SelfItemPointerAttributeNumber)
			return true;
	}
	return false;
}

/* The executor is left with INSERT's row triggers; see rowtrigger.c. */
static void
take_triggers(NvmkvModify *modify, ResultRelInfo *rri)
{
	ModifyTable *plan = modify->mtstate != NULL ? (ModifyTable *) modify->mtstate->ps.plan : NULL;
	bool upsert = plan != NULL && plan->onConflictAction == ONCONFLICT_UPDATE;

	if (upsert || modify->operation == CMD_UPDATE || modify->operation == CMD_DELETE)
	{
		nvmkv_row_triggers_take(&modify->triggers, rri, upsert);
		if (modify->table->nkeys == 0)
			nvmkv_rows_may_go(modify->rel);
	}
}

NvmkvModify *
nvmkv_modify_create(EState *estate, ModifyTableState *mtstate, ResultRelInfo *rri, CmdType operation)
{
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	NvmkvModify *modify = palloc0(sizeof(NvmkvModify));

	/* This statement is about to look at the table, or at its keys. */
	nvmkv_write_flush_deferred();

	nvmkv_writer_begin(estate);
	modify->rel = rri->ri_RelationDesc;
	modify->counted = nvmkv_counted(RelationGetRelid(modify->rel));
	modify->table = nvmkv_table(modify->rel);
	modify->db = nvmkv_engine_of(modify->table->storage_id);
	modify->mtstate = mtstate;
	modify->operation = operation;

	/* COPY has no plan and runs without es_output_cid. */
	modify->cid = mtstate != NULL && mtstate->ps.plan == NULL ? GetCurrentCommandId(true) : estate->es_output_cid;
	modify->returns_ctid = modify->table->nkeys > 0 && mtstate != NULL && mtstate->ps.plan != NULL &&
		returns_ctid((ModifyTable *) mtstate->ps.plan);
	modify->row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv row", ALLOCSET_SMALL_SIZES);
	nvmkv_buffer_init(&modify->key);
	initStringInfo(&modify->value);
	nvmkv_buffer_init(&modify->old_key);
	modify->entry_maker = nvmkv_entry_maker_create(modify->table, estate, InvalidOid);
	for (int i = 0; i < modify->table->nindexes; i++)
	{
		const NvmkvIndex *index = &modify->table->indexes[i];

		modify->has_unique = modify->has_unique || (index->ready && index->is_unique);
		modify->has_deferrable = modify->has_deferrable || (index->ready && index->deferrable);
	}
	if (modify->has_deferrable)
		modify->key_index = nvmkv_primary_key_index(modify->rel);
	nvmkv_buffer_init(&modify->entries);
	nvmkv_buffer_init(&modify->old_entries);
	nvmkv_buffer_init(&modify->old_row);
	if (nvmkv_note_wants_old(modify->table))
		modify->old_row_slot = MakeSingleTupleTableSlot(modify->table->tupdesc, &TTSOpsHeapTuple);
	nvmkv_buffer_init(&modify->doubts);
	nvmkv_buffer_init(&modify->newest);
	nvmkv_buffer_init(&modify->moved);
	nvmkv_buffer_init(&modify->standing);
	nvmkv_buffer_init(&modify->holders);
	nvmkv_deferred_begin(rri);
	take_triggers(modify, rri);
	MemoryContextSwitchTo(old_context);
	return modify;
}

/* ---------------------------------------------------------------- rows */

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

static void
encode_old_row(NvmkvModify *modify, TupleTableSlot *row)
{
	MemoryContext old_context = MemoryContextSwitchTo(modify->row_context);

	nvmkv_note_old_row(modify->table, row, &modify->old_row);
	MemoryContextSwitchTo(old_context);
}

void
nvmkv_modify_encode_old(NvmkvModify *modify, HeapTuple row)
{
	uint64 rowid = modify->table->nkeys == 0 ? nvmkv_rowid_from_tid(&row->t_self) : 0;

	nvmkv_entries_of_tuple(modify->entry_maker, row, rowid, &modify->old_entries);
	if (modify->old_row_slot != NULL)
	{
		ExecStoreHeapTuple(row, modify->old_row_slot, false);
		encode_old_row(modify, modify->old_row_slot);
		ExecClearTuple(modify->old_row_slot);
	}
}

void
nvmkv_modify_encode_shown(NvmkvModify *modify, TupleTableSlot *row)
{
	uint64 rowid = modify->table->nkeys == 0 ? nvmkv_key_rowid(nvmkv_buffer_slice(&modify->old_key)) : 0;

	nvmkv_entries_of_row(modify->entry_maker, row, rowid, &modify->old_entries);
	if (modify->old_row_slot != NULL)
		encode_old_row(modify, row);
}

void
nvmkv_modify_set_ctid(const NvmkvModify *modify, TupleTableSlot *slot, uint64 sequence)
{
	if (modify->returns_ctid)
		nvmkv_address_to_tid(sequence, &slot->tts_tid);
}
