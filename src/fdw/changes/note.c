/*
 * note.c
 *	  What a log record tells logical decoding of the rows in its batch: see note.h.
 *
 * The bytes are collected beside the batch, in memory that is kept from record
 * to record.  They are read by the process that decodes, maybe long after, and
 * every length is checked before it is believed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "engine/base/batch.h"
#include "fdw/changes/note.h"
#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"

/* Memory that is kept between notes. */
#define KEPT_BYTES (256 * 1024)

/* Changes of one kind that follow each other in the batch. */
typedef struct Run
{
	uint8 op;
	uint32 first;
	uint32 count;
} Run;

static StringInfoData head; /* the note, up to the run */
static StringInfoData rows; /* of the run, which is none while it has no rows */
static Run run;
static bool is_begun;

/* ---------------------------------------------------------------- bytes */

static void
append_u32(StringInfo buf, uint32 value)
{
	uint8 bytes[sizeof(value)];

	put_u32(bytes, value);
	appendBinaryStringInfo(buf, (const char *) bytes, sizeof(bytes));
}

static void
append_varint(StringInfo buf, uint64 value)
{
	uint8 bytes[10];

	appendBinaryStringInfo(buf, (const char *) bytes, (int) (put_varint(bytes, value) - bytes));
}

static void
append_slice(StringInfo buf, NvmkvSlice bytes)
{
	append_varint(buf, bytes.size);
	appendBinaryStringInfo(buf, (const char *) bytes.data, (int) bytes.size);
}

static bool
has_old(uint8 flags, uint8 op)
{
	if (op == NVMKV_CHANGE_INSERT)
		return false;
	return (flags & (NVMKV_NOTE_OLD | NVMKV_NOTE_OLD_KEY)) != 0;
}

static void
append_row(StringInfo buf, uint8 flags, uint8 op, NvmkvSlice old_key, NvmkvSlice old)
{
	if (op == NVMKV_CHANGE_MOVE)
		append_slice(buf, old_key);
	if (has_old(flags, op))
		append_slice(buf, old);
}

static void
append_run(StringInfo buf, const Run *of, const StringInfoData *its_rows)
{
	appendStringInfoCharMacro(buf, (char) of->op);
	append_varint(buf, of->first);
	append_varint(buf, of->count);
	appendBinaryStringInfo(buf, its_rows->data, its_rows->len);
}

/* ---------------------------------------------------------------- which changes are told */

/* Does a column of the key have to be in the row's value? */
static bool
key_is_lossy(const NvmkvTable *table)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		if (!table->keys[i].image_equal)
			return true;
	}
	return false;
}

static uint8
flags_of(const NvmkvTable *table)
{
	uint8 flags = 0;

	if (table->told == NVMKV_TOLD_FULL)
		flags |= NVMKV_NOTE_OLD;
	else if (key_is_lossy(table))
		flags |= NVMKV_NOTE_OLD_KEY;
	for (int i = 0; i < table->nkeys; i++)
	{
		if (table->keys[i].how.key_class == NVMKV_KEY_COLLATED)
			flags |= NVMKV_NOTE_SORT_KEYS;
	}
	return flags;
}

bool
nvmkv_note_is_wanted(const NvmkvTable *table)
{
	return table->told != NVMKV_TOLD_NOTHING && XLogLogicalInfoActive();
}

bool
nvmkv_note_wants_old(const NvmkvTable *table)
{
	return nvmkv_note_is_wanted(table) && (table->told == NVMKV_TOLD_FULL || key_is_lossy(table));
}

static bool
is_key_column(const NvmkvTable *table, AttrNumber attnum)
{
	for (int i = 0; i < table->nkeys; i++)
	{
		if (table->keys[i].attnum == attnum)
			return true;
	}
	return false;
}

void
nvmkv_note_old_row(const NvmkvTable *table, TupleTableSlot *slot, StringInfo buf)
{
	TupleTableSlot *key;

	if (table->told == NVMKV_TOLD_FULL)
	{
		nvmkv_row_encode(table, buf, slot);
		return;
	}
	slot_getallattrs(slot);
	key = MakeSingleTupleTableSlot(table->tupdesc, &TTSOpsVirtual);
	ExecClearTuple(key);
	for (int i = 0; i < table->tupdesc->natts; i++)
	{
		key->tts_values[i] = slot->tts_values[i];
		key->tts_isnull[i] = slot->tts_isnull[i] || !is_key_column(table, (AttrNumber) (i + 1));
	}
	ExecStoreVirtualTuple(key);
	nvmkv_row_encode(table, buf, key);
	ExecDropSingleTupleTableSlot(key);
}

/* ---------------------------------------------------------------- writing */

static void
empty(StringInfo buf)
{
	if (buf->data == NULL || buf->maxlen > KEPT_BYTES)
	{
		MemoryContext old_context = MemoryContextSwitchTo(TopMemoryContext);
		char *before = buf->data;

		initStringInfo(buf);
		if (before != NULL)
			pfree(before);
		MemoryContextSwitchTo(old_context);
	}
	else
		resetStringInfo(buf);
}

void
nvmkv_note_clear(void)
{
	is_begun = false;
	run.count = 0;
	if (head.maxlen > KEPT_BYTES)
		empty(&head);
	if (rows.maxlen > KEPT_BYTES)
		empty(&rows);
}

/* Where there is none yet. */
static void
begin(Oid relid, uint8 flags, FullTransactionId fxid)
{
	if (is_begun)
		return;
	empty(&head);
	empty(&rows);
	run.count = 0;
	append_u32(&head, MyDatabaseId);
	append_u32(&head, relid);
	if (XidFromFullTransactionId(fxid) != GetCurrentTransactionIdIfAny())
	{
		appendStringInfoCharMacro(&head, (char) (flags | NVMKV_NOTE_XIDS));
		append_u32(&head, XidFromFullTransactionId(fxid));
		append_u32(&head, GetTopTransactionIdIfAny());
	}
	else
		appendStringInfoCharMacro(&head, (char) flags);
	is_begun = true;
}

static void
end_run(void)
{
	if (run.count > 0)
		append_run(&head, &run, &rows);
	run.count = 0;
	resetStringInfo(&rows);
}

void
nvmkv_note_row(const NvmkvTable *table, NvmkvChange change, unsigned number, FullTransactionId fxid, NvmkvSlice old_key,
			   NvmkvSlice old)
{
	uint8 flags;

	if (!nvmkv_note_is_wanted(table))
		return;
	flags = flags_of(table);
	begin(table->relid, flags, fxid);
	if (run.count == 0 || run.op != change || run.first + run.count != number)
	{
		end_run();
		run = (Run) {(uint8) change, number, 0};
	}
	run.count++;
	append_row(&rows, flags, (uint8) change, old_key, old);
}

void
nvmkv_note_late_row(const NvmkvTable *table, FullTransactionId fxid, NvmkvSlice key, NvmkvSlice value)
{
	if (!nvmkv_note_is_wanted(table))
		return;
	begin(table->relid, flags_of(table), fxid);
	end_run();
	run = (Run) {NVMKV_CHANGE_INSERT, 0, 1};
	append_slice(&rows, key);
	append_slice(&rows, value);
	end_run();
}

void
nvmkv_note_truncate(List *relids, bool cascade, bool restart)
{
	ListCell *lc;

	begin(linitial_oid(relids), 0, GetCurrentFullTransactionId());
	end_run();
	appendStringInfoCharMacro(&head, NVMKV_CHANGE_TRUNCATE);
	appendStringInfoCharMacro(&head, (char) ((cascade ? NVMKV_NOTE_CASCADE : 0) | (restart ? NVMKV_NOTE_RESTART : 0)));
	append_varint(&head, (uint64) list_length(relids));
	foreach(lc, relids)
		append_u32(&head, lfirst_oid(lc));
}

NvmkvSlice
nvmkv_note_bytes(void)
{
	if (!is_begun)
		return nvmkv_slice(NULL, 0);
	end_run();
	return nvmkv_buffer_slice(&head);
}

/* ---------------------------------------------------------------- reading */

pg_noreturn static void
report_malformed(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("malformed WAL record of changes of a foreign table")));
}

static uint32
take_u32(NvmkvNote *note)
{
	uint32 value;

	if (note->end - note->cursor < (ptrdiff_t) sizeof(value))
		report_malformed();
	value = get_u32(note->cursor);
	note->cursor += sizeof(value);
	return value;
}

static uint8
take_u8(NvmkvNote *note)
{
	if (note->cursor >= note->end)
		report_malformed();
	return *note->cursor++;
}

static uint32
take_varint(NvmkvNote *note)
{
	uint32 value;

	note->cursor = get_varint32(note->cursor, note->end, &value);
	if (note->cursor == NULL)
		report_malformed();
	return value;
}

static NvmkvSlice
take_slice(NvmkvNote *note)
{
	uint32 size = take_varint(note);
	NvmkvSlice bytes;

	if (size > (size_t) (note->end - note->cursor))
		report_malformed();
	bytes = nvmkv_slice(note->cursor, size);
	note->cursor += size;
	return bytes;
}

static void
read_batch(NvmkvNote *note)
{
	const uint8_t *cursor;
	const uint8_t *end = note->batch.data + note->batch.size;

	if (nvmkv_batch_open(note->batch, &note->nrecords, &cursor) != NVMKV_OK ||
		note->nrecords > note->batch.size)
		report_malformed();
	note->records = palloc_extended(sizeof(NvmkvBatchRecord) * Max(note->nrecords, 1), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < note->nrecords; i++)
	{
		if (nvmkv_batch_next(&cursor, end, &note->records[i]) != NVMKV_OK)
			report_malformed();
	}
}

void
nvmkv_note_open(NvmkvNote *note, NvmkvSlice bytes, NvmkvSlice batch)
{
	memset(note, 0, sizeof(*note));
	note->cursor = bytes.data;
	note->end = bytes.data + bytes.size;
	note->batch = batch;
	note->database = take_u32(note);
	note->table = take_u32(note);
	note->flags = take_u8(note);
	if ((note->flags & ~NVMKV_NOTE_FLAGS) != 0)
		report_malformed();
	if ((note->flags & NVMKV_NOTE_XIDS) != 0)
	{
		note->xid = take_u32(note);
		note->top_xid = take_u32(note);
	}
}

static void
take_truncate(NvmkvNote *note, NvmkvNoteChange *change)
{
	uint32 count;

	change->truncate_flags = take_u8(note);
	count = take_varint(note);
	if ((change->truncate_flags & ~NVMKV_NOTE_TRUNCATE_FLAGS) != 0 || count == 0)
		report_malformed();
	for (uint32 i = 0; i < count; i++)
		change->relids = lappend_oid(change->relids, take_u32(note));
}

/* Key and value of the next row of the run, in the batch. */
static void
find_in_batch(NvmkvNote *note, NvmkvNoteChange *change)
{
	NvmkvTxnTag txn;
	const NvmkvBatchRecord *record;

	if (note->records == NULL)
		read_batch(note);
	if (note->first + note->next > note->nrecords)
		report_malformed();
	record = &note->records[note->first + note->next - 1];
	change->key = record->key;
	if (ikey_split_payload(ikey_tag(0, record->type), record->payload, &txn, &change->value) != NVMKV_OK)
		report_malformed();
}

bool
nvmkv_note_next(NvmkvNote *note, NvmkvNoteChange *change_out)
{
	memset(change_out, 0, sizeof(*change_out));
	if (note->next == note->count)
	{
		if (note->cursor == note->end)
			return false;
		note->op = take_u8(note);
		change_out->change = note->op;
		if (note->op == NVMKV_CHANGE_TRUNCATE)
		{
			take_truncate(note, change_out);
			return true;
		}
		note->first = take_varint(note);
		note->count = take_varint(note);
		note->next = 0;
		if (note->op < NVMKV_CHANGE_INSERT || note->op > NVMKV_CHANGE_MOVE || note->count == 0 ||
			note->first > PG_INT32_MAX || note->count > PG_INT32_MAX)
			report_malformed();
	}
	change_out->change = note->op;
	if (note->first == 0)
	{
		change_out->key = take_slice(note);
		change_out->value = take_slice(note);
	}
	else
		find_in_batch(note, change_out);
	if (note->op == NVMKV_CHANGE_MOVE)
		change_out->old_key = take_slice(note);
	if (has_old(note->flags, note->op))
		change_out->old = take_slice(note);
	note->next++;
	return true;
}

void
nvmkv_note_complete(NvmkvNote *note, StringInfo buf)
{
	NvmkvNoteChange change;

	append_u32(buf, note->database);
	append_u32(buf, note->table);
	appendStringInfoCharMacro(buf, (char) (note->flags & ~NVMKV_NOTE_XIDS));
	while (nvmkv_note_next(note, &change))
	{
		appendStringInfoCharMacro(buf, (char) change.change);
		if (change.change == NVMKV_CHANGE_TRUNCATE)
		{
			ListCell *lc;

			appendStringInfoCharMacro(buf, (char) change.truncate_flags);
			append_varint(buf, (uint64) list_length(change.relids));
			foreach(lc, change.relids)
				append_u32(buf, lfirst_oid(lc));
			continue;
		}
		append_varint(buf, 0);
		append_varint(buf, 1);
		append_slice(buf, change.key);
		append_slice(buf, change.change == NVMKV_CHANGE_DELETE ? nvmkv_slice(NULL, 0) : change.value);
		append_row(buf, note->flags, (uint8) change.change, change.old_key, change.old);
	}
}
