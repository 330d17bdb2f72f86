/*
 * deferredrow.c
 *	  Rows of one of our tables that are kept until a constraint is checked.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/deferred.h"
#include "fdw/modify/deferredrow.h"

MinimalTuple
nvmkv_deferred_form_row(TupleTableSlot *row, const AttrNumber *attnums, int nattnums)
{
	TupleDesc desc = row->tts_tupleDescriptor;
	Datum *values = palloc0(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	MinimalTuple tuple;

	memset(nulls, true, sizeof(bool) * desc->natts);
	for (int i = 0; i < nattnums; i++)
	{
		int column = attnums[i] - 1;

		values[column] = slot_getattr(row, attnums[i], &nulls[column]);
		/* What it points to may be gone by then. */
		if (!nulls[column] && TupleDescAttr(desc, column)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(values[column])))
			values[column] = PointerGetDatum(detoast_external_attr((struct varlena *) DatumGetPointer(values[column])));
	}
	tuple = heap_form_minimal_tuple(desc, values, nulls, 0);
	pfree(values);
	pfree(nulls);
	return tuple;
}

void
nvmkv_deferred_keep_row(const TriggerData *trigger, bool initially_deferred, TupleTableSlot *row,
						const AttrNumber *attnums, int nattnums)
{
	MinimalTuple tuple = nvmkv_deferred_form_row(row, attnums, nattnums);

	nvmkv_deferred_keep(trigger, initially_deferred, tuple, tuple->t_len);
	heap_free_minimal_tuple(tuple);
}

typedef struct RowCheck
{
	NvmkvDeferredRowCheck check;
	NvmkvDeferredOtherCheck other;
	TupleTableSlot *slot;
} RowCheck;

/* NvmkvDeferredCheck.  Where it is early the constraint is not deferred, and a heap's row would have been checked. */
static bool
check_row(TriggerData *trigger, void *data, Size size, bool early, void *arg)
{
	const RowCheck *rows = arg;

	if (rows->other != NULL && rows->other(data, size))
		return true;
	trigger->tg_trigslot = ExecStoreMinimalTuple(data, rows->slot, false);
	rows->check(trigger);
	ExecClearTuple(rows->slot);
	return true;
}

void
nvmkv_deferred_check_rows(TriggerData *trigger, NvmkvDeferredRowCheck check, NvmkvDeferredOtherCheck other)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation), &TTSOpsMinimalTuple);
	RowCheck rows = {check, other, slot};

	nvmkv_deferred_check(trigger, check_row, &rows);
	ExecDropSingleTupleTableSlot(slot);
}
