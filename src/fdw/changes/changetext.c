/*
 * changetext.c
 *	  A change of a foreign table as text.
 *
 * Runs in logical decoding, with a historic snapshot: relations and types come
 * from the caches of the catalogues, and no table but those is looked at.  No
 * lock is taken: nobody can change what was.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/changes/changetext.h"
#include "fdw/changes/note.h"
#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/table/table.h"

typedef struct Column
{
	Oid type; /* below domains */
	FmgrInfo output;
	bool is_key;
	bool left_out; /* dropped, or computed when it is read */
} Column;

typedef struct Teller
{
	NvmkvTable *table;
	char *schema;
	char *name;
	Column *columns;
	TupleTableSlot *before;
	TupleTableSlot *after;
	StringInfoData text;
} Teller;

/* ---------------------------------------------------------------- settings */

static void
set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Those that the text of values depends on; an error takes them back with the transaction. */
static int
begin_settings(void)
{
	int level = NewGUCNestLevel();

	if (DateStyle != USE_ISO_DATES)
		set("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set("intervalstyle", "postgres");
	if (extra_float_digits < 1)
		set("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		set("bytea_output", "hex");
	if (strcmp(namespace_search_path, "pg_catalog") != 0)
		set("search_path", "pg_catalog");
	return level;
}

/* ---------------------------------------------------------------- tables */

static Relation
open_table(Oid relid)
{
	Relation rel = RelationIdGetRelation(relid);

	if (!RelationIsValid(rel))
		elog(ERROR, "could not open relation with OID %u", relid);
	return rel;
}

/*
 * Of a transaction that may still be rolled back the server watches, at each look at a catalogue, whether it has been.
 * That watch does not stand a look within a look, as the search for a type's default operator class is.  So it is asked
 * here afterwards; what went wrong meanwhile did because of that.
 */
static NvmkvTable *
describe_table(Relation rel, bool sort_keys)
{
	TransactionId watched = CheckXidAlive;
	MemoryContext context = CurrentMemoryContext;
	NvmkvTable *volatile table = NULL;
	ErrorData *volatile error = NULL;

	if (!TransactionIdIsValid(watched))
		return nvmkv_table_as_logged(rel, sort_keys);
	CheckXidAlive = InvalidTransactionId;
	PG_TRY();
	{
		table = nvmkv_table_as_logged(rel, sort_keys);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	CheckXidAlive = watched;
	if (!TransactionIdIsInProgress(watched) && !TransactionIdDidCommit(watched))
		ereport(ERROR,
				(errcode(ERRCODE_TRANSACTION_ROLLBACK),
				 errmsg("transaction aborted during system catalog scan")));
	if (error != NULL)
		ReThrowError(error);
	return table;
}

static void
begin_table(Teller *teller, Oid relid, bool sort_keys)
{
	Relation rel = open_table(relid);
	TupleDesc desc;

	teller->table = describe_table(rel, sort_keys);
	teller->schema = get_namespace_name(RelationGetNamespace(rel));
	teller->name = pstrdup(RelationGetRelationName(rel));
	RelationClose(rel);

	desc = teller->table->tupdesc;
	teller->columns = palloc0(sizeof(Column) * (Size) Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Column *column = &teller->columns[i];
		Oid output;
		bool is_varlena;

		column->left_out = att->attisdropped || nvmkv_is_virtual(att);
		if (column->left_out)
			continue;
		column->type = getBaseType(att->atttypid);
		getTypeOutputInfo(att->atttypid, &output, &is_varlena);
		fmgr_info(output, &column->output);
	}
	for (int i = 0; i < teller->table->nkeys; i++)
		teller->columns[teller->table->keys[i].attnum - 1].is_key = true;
	teller->before = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	teller->after = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
}

/* The row of a key, and of a value; an empty one has no columns. */
static void
take_row(const Teller *teller, TupleTableSlot *slot, NvmkvSlice key, NvmkvSlice value)
{
	if (value.size > 0)
	{
		nvmkv_row_to_slot(teller->table, key, value, slot);
		return;
	}
	ExecClearTuple(slot);
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
		slot->tts_isnull[i] = true;
	nvmkv_key_decode(teller->table, key, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
}

/* ---------------------------------------------------------------- JSON */

static void
append_string(StringInfo out, const char *name, const char *value)
{
	appendStringInfo(out, "\"%s\":", name);
	escape_json(out, value);
}

static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID || type == FLOAT8OID ||
		type == NUMERICOID;
}

static void
append_value(StringInfo out, Column *column, Datum value)
{
	char *printed;

	if (column->type == BOOLOID)
	{
		appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
		return;
	}
	printed = OutputFunctionCall(&column->output, value);
	if (is_number(column->type) && IsValidJsonNumber(printed, (int) strlen(printed)))
		appendStringInfoString(out, printed);
	else
		escape_json(out, printed);
	pfree(printed);
}

/* The row's columns, or those of the key. */
static void
append_row(Teller *teller, const char *name, TupleTableSlot *slot, bool only_key)
{
	StringInfo out = &teller->text;
	const char *separator = "";

	appendStringInfo(out, ",\"%s\":", name);
	if (only_key && teller->table->nkeys == 0)
	{
		appendStringInfoString(out, "null");
		return;
	}
	appendStringInfoChar(out, '{');
	for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++)
	{
		Column *column = &teller->columns[i];

		if (column->left_out || (only_key && !column->is_key))
			continue;
		appendStringInfoString(out, separator);
		escape_json(out, NameStr(TupleDescAttr(slot->tts_tupleDescriptor, i)->attname));
		appendStringInfoChar(out, ':');
		if (slot->tts_isnull[i])
			appendStringInfoString(out, "null");
		else
			append_value(out, column, slot->tts_values[i]);
		separator = ",";
	}
	appendStringInfoChar(out, '}');
}

static void
append_change(Teller *teller, const NvmkvNote *note, const NvmkvNoteChange *change)
{
	static const char *const ops[] = {
		[NVMKV_CHANGE_INSERT] = "insert",
		[NVMKV_CHANGE_UPDATE] = "update",
		[NVMKV_CHANGE_DELETE] = "delete",
		[NVMKV_CHANGE_MOVE] = "update",
	};
	bool has_new = change->change != NVMKV_CHANGE_DELETE;
	bool is_moved = change->change == NVMKV_CHANGE_MOVE;
	bool has_before = is_moved || !has_new || change->old.size > 0; /* of another key, or with all columns */
	StringInfo out = &teller->text;

	if (has_new)
		take_row(teller, teller->after, change->key, change->value);
	if (has_before)
		take_row(teller, teller->before, is_moved ? change->old_key : change->key, change->old);
	appendStringInfoChar(out, '{');
	append_string(out, "schema", teller->schema);
	appendStringInfoChar(out, ',');
	append_string(out, "table", teller->name);
	appendStringInfo(out, ",\"op\":\"%s\"", ops[change->change]);
	append_row(teller, "key", has_before ? teller->before : teller->after, true);
	if ((note->flags & NVMKV_NOTE_OLD) != 0 && change->change != NVMKV_CHANGE_INSERT)
		append_row(teller, "old", teller->before, false);
	if (has_new)
		append_row(teller, "new", teller->after, false);
	appendStringInfoChar(out, '}');
}

static void
append_truncate(StringInfo out, const NvmkvNoteChange *change)
{
	const char *separator = "";
	ListCell *lc;

	appendStringInfoString(out, "{\"op\":\"truncate\",\"tables\":[");
	foreach(lc, change->relids)
	{
		Relation rel = open_table(lfirst_oid(lc));

		appendStringInfo(out, "%s{", separator);
		append_string(out, "schema", get_namespace_name(RelationGetNamespace(rel)));
		appendStringInfoChar(out, ',');
		append_string(out, "table", RelationGetRelationName(rel));
		appendStringInfoChar(out, '}');
		separator = ",";
		RelationClose(rel);
	}
	appendStringInfo(out, "],\"cascade\":%s,\"restart_identity\":%s}",
					 (change->truncate_flags & NVMKV_NOTE_CASCADE) != 0 ? "true" : "false",
					 (change->truncate_flags & NVMKV_NOTE_RESTART) != 0 ? "true" : "false");
}

/* ---------------------------------------------------------------- all of a note */

void
nvmkv_change_texts(NvmkvSlice bytes, void (*say) (void *arg, const char *json, Size size), void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv changes", ALLOCSET_DEFAULT_SIZES);
	MemoryContext row_context = AllocSetContextCreate(context, "nvmkv change", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	int level = begin_settings();
	Teller teller = {0};
	NvmkvNoteChange change;
	NvmkvNote note;

	nvmkv_note_open(&note, bytes, nvmkv_slice(NULL, 0));
	MemoryContextSwitchTo(row_context);
	while (nvmkv_note_next(&note, &change))
	{
		if (teller.table == NULL && change.change != NVMKV_CHANGE_TRUNCATE)
		{
			MemoryContextSwitchTo(context);
			begin_table(&teller, note.table, (note.flags & NVMKV_NOTE_SORT_KEYS) != 0);
			MemoryContextSwitchTo(row_context);
		}
		initStringInfo(&teller.text);
		if (change.change == NVMKV_CHANGE_TRUNCATE)
			append_truncate(&teller.text, &change);
		else
			append_change(&teller, &note, &change);
		MemoryContextSwitchTo(old_context);
		say(arg, teller.text.data, (Size) teller.text.len);
		MemoryContextSwitchTo(row_context);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old_context);
	AtEOXact_GUC(false, level);
	MemoryContextDelete(context);
}
