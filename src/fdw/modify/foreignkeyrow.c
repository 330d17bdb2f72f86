/*
 * foreignkeyrow.c
 *	  Rows of a table that references, and whether they are still there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "fdw/host/family.h"
#include "fdw/host/ownercontext.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/modify/foreignkeyrow.h"
#include "fdw/storage/storage.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/visibility.h"
#include "fdw/txn/write.h"

/*
 * Tables without a primary key that this transaction has changed or deleted rows of, or tried to.  In the transaction's
 * memory.
 */
static List *changed_relids = NIL;

static bool
column_is_same(TupleTableSlot *a, TupleTableSlot *b, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(a->tts_tupleDescriptor, attnum - 1);
	bool a_null;
	bool b_null;
	Datum a_value = slot_getattr(a, attnum, &a_null);
	Datum b_value = slot_getattr(b, attnum, &b_null);

	return a_null == b_null && (a_null || datum_image_eq(a_value, b_value, att->attbyval, att->attlen));
}

bool
nvmkv_columns_are_same(TupleTableSlot *a, TupleTableSlot *b, const NvmkvKeyColumns *columns)
{
	for (int i = 0; i < columns->n; i++)
	{
		if (!column_is_same(a, b, columns->attnums[i]))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- by the primary key */

static bool
stands_by_key(Relation rel, const NvmkvTable *table, TupleTableSlot *row, const NvmkvKeyColumns *columns)
{
	SnapshotData now = *GetLatestSnapshot();
	NvmkvVisibility visibility;
	NvmkvVersion version = {0};
	NvmkvBuf found = {0};
	StringInfoData value;
	StringInfoData key;
	NvmkvStatus status;
	bool stands = false;

	now.curcid = GetCurrentCommandId(false) + 1; /* what the command has written, too */
	initStringInfo(&key);
	nvmkv_key_from_slot(table, &key, row);
	nvmkv_visibility_init(&visibility, &now, NULL);
	status = nvmkv_get(nvmkv_engine_of(table->storage_id), nvmkv_buffer_slice(&key), &visibility.engine, &found,
					   &version);
	initStringInfo(&value);
	if (status == NVMKV_OK)
		appendBinaryStringInfo(&value, (const char *) found.data, (int) found.size);
	nvmkv_buf_free(&found);
	if (status != NVMKV_NOT_FOUND)
		nvmkv_check_table_status(status, "reading foreign table", table);
	if (status == NVMKV_OK)
	{
		TupleTableSlot *now_slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);

		nvmkv_row_to_slot(table, nvmkv_buffer_slice(&key), nvmkv_buffer_slice(&value), now_slot);
		stands = nvmkv_columns_are_same(now_slot, row, columns);
		ExecDropSingleTupleTableSlot(now_slot);
	}
	pfree(value.data);
	pfree(key.data);
	return stands;
}

/* ---------------------------------------------------------------- by what it has */

/* Appends that the column is as in the row, whose value is parameter number i; NULLs are said. */
static void
append_condition(StringInfo query, Relation rel, const NvmkvKeyColumns *columns, int i, bool is_null)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), columns->attnums[i] - 1);
	char *name = psprintf("x.%s", quote_identifier(NameStr(att->attname)));

	appendStringInfoString(query, i == 0 ? " WHERE " : " AND ");
	if (is_null)
		appendStringInfo(query, "%s IS NULL", name);
	else
	{
		char *parameter = psprintf("$%d", i + 1);

		generate_operator_clause(query, name, att->atttypid, columns->equal[i], parameter, att->atttypid);
	}
}

static bool
stands_by_columns(Relation rel, TupleTableSlot *row, const NvmkvKeyColumns *columns)
{
	Oid types[INDEX_MAX_KEYS];
	Datum values[INDEX_MAX_KEYS];
	char nulls[INDEX_MAX_KEYS];
	NvmkvOwnerContext context;
	StringInfoData query;
	bool stands;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT 1 FROM ONLY %s AS x",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel)));
	for (int i = 0; i < columns->n; i++)
	{
		bool is_null;

		values[i] = slot_getattr(row, columns->attnums[i], &is_null);
		types[i] = TupleDescAttr(RelationGetDescr(rel), columns->attnums[i] - 1)->atttypid;
		nulls[i] = is_null ? 'n' : ' ';
		append_condition(&query, rel, columns, i, is_null);
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	nvmkv_become_owner(&context, rel->rd_rel->relowner);
	if (SPI_execute_with_args(query.data, columns->n, types, values, nulls, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "looking for a row of \"%s\" failed", RelationGetRelationName(rel));
	stands = SPI_processed > 0;
	nvmkv_become_user(&context);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	pfree(query.data);
	return stands;
}

/* ---------------------------------------------------------------- either */

bool
nvmkv_row_stands(Relation rel, TupleTableSlot *row, const NvmkvKeyColumns *columns)
{
	const NvmkvTable *table = nvmkv_table(rel);

	if (table->nkeys > 0)
		return stands_by_key(rel, table, row, columns);
	return !list_member_oid(changed_relids, RelationGetRelid(rel)) || stands_by_columns(rel, row, columns);
}

void
nvmkv_rows_may_go(Relation rel)
{
	MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);

	changed_relids = list_append_unique_oid(changed_relids, RelationGetRelid(rel));
	MemoryContextSwitchTo(old_context);
}

void
nvmkv_rows_may_go_forget(void)
{
	changed_relids = NIL;
}
