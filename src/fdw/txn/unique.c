/*
 * unique.c
 *	  Values that only one row may have.
 *
 * As on a heap: an entry that stands counts, whoever wrote it, and one that a
 * running transaction has written or taken away has to be waited for.
 */
#include "postgres.h"

#include "access/genam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/unique.h"
#include "fdw/txn/write.h"

#define LOOK_ROWS 64
#define LOOK_BYTES (64 * 1024)

/* Is it among the entries? */
static bool
has_entry(NvmkvSlice entries, unsigned index, NvmkvSlice key)
{
	size_t at = 0;
	NvmkvEntry entry;

	while (nvmkv_entries_next(entries, &at, &entry))
	{
		if (entry.index == index && slice_equal(entry.key, key))
			return true;
	}
	return false;
}

/* The next of the new entries whose value has to be looked for; *begin_out: where it begins. */
static bool
next_unique(NvmkvSlice old_entries, NvmkvSlice new_entries, size_t *at, size_t *begin_out, NvmkvEntry *entry_out)
{
	for (*begin_out = *at; nvmkv_entries_next(new_entries, at, entry_out); *begin_out = *at)
	{
		if (entry_out->unique_size > 0 && !has_entry(old_entries, entry_out->index, entry_out->key))
			return true;
	}
	return false;
}

static NvmkvSlice
value_of(const NvmkvEntry *entry)
{
	return nvmkv_slice(entry->key.data, entry->unique_size);
}

bool
nvmkv_unique_concerns(NvmkvSlice old_entries, NvmkvSlice new_entries)
{
	size_t at = 0;
	size_t begin;
	NvmkvEntry entry;

	return next_unique(old_entries, new_entries, &at, &begin, &entry);
}

void
nvmkv_unique_add_latches(NvmkvLatchSet *latches, NvmkvSlice old_entries, NvmkvSlice new_entries)
{
	size_t at = 0;
	size_t begin;
	NvmkvEntry entry;

	while (next_unique(old_entries, new_entries, &at, &begin, &entry))
		nvmkv_latch_set_add(latches, nvmkv_key_hash(value_of(&entry)));
}

/* ---------------------------------------------------------------- looking */

/* Keys that a look has met, one behind the other, each with its size before it. */
typedef struct MetKeys
{
	StringInfoData bytes;
} MetKeys;

static void
note_key(MetKeys *met, NvmkvSlice key)
{
	uint32 size = (uint32) key.size;

	/* Versions of one key come one after the other. */
	if ((size_t) met->bytes.len >= size + sizeof(size) &&
		memcmp(met->bytes.data + met->bytes.len - size, key.data, size) == 0)
		return;
	appendBinaryStringInfo(&met->bytes, (const char *) &size, sizeof(size));
	appendBinaryStringInfo(&met->bytes, (const char *) key.data, (int) size);
}

/* Sees nothing, but that there are versions. */
static NvmkvSight
note_version(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	note_key(ctx, key);
	return NVMKV_UNSEEN;
}

/* All keys that begin with the value: those of versions that a transaction's end decides about, and settled ones. */
static void
meet_keys(NvmkvDb *db, NvmkvSlice value, MetKeys *met)
{
	NvmkvSnapshot everything = {.ctx = met, .visible = note_version, .sequence = PG_UINT64_MAX};
	NvmkvScan *volatile scan = NULL;
	StringInfoData upper;

	initStringInfo(&upper);
	appendBinaryStringInfo(&upper, (const char *) value.data, (int) value.size);
	(void) nvmkv_key_successor(&upper);
	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;
		const NvmkvScanRow *rows;
		unsigned count;

		nvmkv_check_status(nvmkv_scan_create(db, &new_scan), "reading a unique index", NULL);
		scan = new_scan;
		nvmkv_scan_keys_only(scan);
		nvmkv_check_status(nvmkv_scan_start(scan, value, nvmkv_buffer_slice(&upper), false, &everything),
						   "reading a unique index", NULL);
		do
		{
			nvmkv_check_status(nvmkv_scan_batch(scan, LOOK_ROWS, LOOK_BYTES, &rows, &count), "reading a unique index",
							   NULL);
			for (unsigned i = 0; i < count; i++)
				note_key(met, rows[i].key);
		} while (count > 0);
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
	pfree(upper.data);
}

/*
 * A row that another transaction has changed but for this value, or deletes as we look: as on a heap its end decides,
 * too.  Without the row's latch: whoever changes it from now on comes later.
 */
static TransactionId
who_changes_row(NvmkvDb *db, const NvmkvTable *table, const NvmkvIndex *index, NvmkvSlice entry_key)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	StringInfoData key;
	NvmkvRowView view;

	initStringInfo(&key);
	nvmkv_key_of_entry(table, index, entry_key, &key);
	nvmkv_row_view(db, table, nvmkv_buffer_slice(&key), &query, &view);
	pfree(key.data);
	return view.state == NVMKV_ROW_WAIT ? view.wait_xid : InvalidTransactionId;
}

/* Of the keys that were met, the first that stands against the new entry. */
static bool
find_standing(NvmkvDb *db, const NvmkvTable *table, const NvmkvEntry *entry, NvmkvSlice old_entries,
			  const MetKeys *met, TransactionId *xid_out, StringInfo rival_key)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	const NvmkvIndex *index = &table->indexes[entry->index];
	int at = 0;

	while (at < met->bytes.len)
	{
		NvmkvRowView view;
		NvmkvSlice key;
		uint32 size;

		memcpy(&size, met->bytes.data + at, sizeof(size));
		key = nvmkv_slice(met->bytes.data + at + sizeof(size), size);
		at += (int) (sizeof(size) + size);
		if (has_entry(old_entries, entry->index, key))
			continue;
		nvmkv_row_view(db, &index->entries, key, &query, &view);
		if (view.state != NVMKV_ROW_LIVE && view.state != NVMKV_ROW_WAIT)
			continue;
		*xid_out = view.state == NVMKV_ROW_WAIT ? view.wait_xid : who_changes_row(db, table, index, key);
		if (rival_key != NULL)
		{
			resetStringInfo(rival_key);
			appendBinaryStringInfo(rival_key, (const char *) key.data, (int) key.size);
		}
		return true;
	}
	return false;
}

/* Has another row the entry's value, or may it have?  One that old_entries are of does not count. */
static bool
find_other(NvmkvDb *db, const NvmkvTable *table, const NvmkvEntry *entry, NvmkvSlice old_entries,
		   TransactionId *xid_out, StringInfo rival_key)
{
	bool is_free;
	bool found;
	MetKeys met;

	/* Most values are new. */
	nvmkv_check_status(nvmkv_prefix_is_free(db, value_of(entry), &is_free), "reading a unique index", NULL);
	if (is_free)
		return false;
	initStringInfo(&met.bytes);
	meet_keys(db, value_of(entry), &met);
	found = find_standing(db, table, entry, old_entries, &met, xid_out, rival_key);
	pfree(met.bytes.data);
	return found;
}

bool
nvmkv_unique_find_rival(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice old_entries, NvmkvSlice new_entries,
						NvmkvRival *rival_out, StringInfo rival_key)
{
	size_t at = 0;
	size_t begin;
	NvmkvEntry entry;

	while (next_unique(old_entries, new_entries, &at, &begin, &entry))
	{
		if (!table->indexes[entry.index].deferrable &&
			find_other(db, table, &entry, old_entries, &rival_out->wait_xid, rival_key))
		{
			rival_out->index = entry.index;
			rival_out->at = begin;
			rival_out->entry = entry;
			return true;
		}
	}
	return false;
}

/* ---------------------------------------------------------------- later */

void
nvmkv_unique_find_doubts(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice old_entries, NvmkvSlice new_entries,
						 StringInfo doubts)
{
	size_t at = 0;
	size_t begin;
	NvmkvEntry entry;
	TransactionId xid;

	while (next_unique(old_entries, new_entries, &at, &begin, &entry))
	{
		if (table->indexes[entry.index].deferrable && find_other(db, table, &entry, old_entries, &xid, NULL))
			appendBinaryStringInfo(doubts, (const char *) new_entries.data + begin, (int) (at - begin));
	}
}

bool
nvmkv_unique_check(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice entry_bytes, bool only_look)
{
	static const NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .anchor = {.kind = NVMKV_ANCHOR_NEWEST}};
	NvmkvRival rival = {.at = 0};
	StringInfoData key; /* of the row */
	bool unique = false;
	size_t at = 0;

	if (!nvmkv_entries_next(entry_bytes, &at, &rival.entry))
		elog(ERROR, "no entry to check");
	rival.index = rival.entry.index;
	initStringInfo(&key);
	nvmkv_key_of_entry(table, &table->indexes[rival.index], rival.entry.key, &key);
	while (!unique)
	{
		NvmkvLatchSet latches;
		NvmkvRowView view;

		CHECK_FOR_INTERRUPTS();
		nvmkv_latch_set_init(&latches);
		nvmkv_latch_set_add(&latches, nvmkv_key_hash(value_of(&rival.entry)));
		nvmkv_latch_set_acquire(&latches);
		nvmkv_row_view(db, &table->indexes[rival.index].entries, rival.entry.key, &query, &view);
		unique = view.state != NVMKV_ROW_LIVE ||
			!find_other(db, table, &rival.entry, entry_bytes, &rival.wait_xid, NULL);
		nvmkv_latch_set_release(&latches);
		if (unique || only_look)
			break;
		nvmkv_unique_wait_rival(table, rel, nvmkv_buffer_slice(&key), &rival);
	}
	pfree(key.data);
	return unique;
}

/* ---------------------------------------------------------------- writing */

bool
nvmkv_unique_write_free(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice *rest, FullTransactionId fxid,
						CommandId cid, StringInfo doubts, NvmkvRival *rival_out)
{
	NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvSlice free = *rest;
	NvmkvLatchSet latches;
	bool has_rival;
	bool written = true;
	int known_doubts = doubts->len;

	nvmkv_latch_set_init(&latches);
	nvmkv_unique_add_latches(&latches, none, *rest);
	nvmkv_latch_set_acquire(&latches);
	has_rival = nvmkv_unique_find_rival(db, table, none, *rest, rival_out, NULL);
	if (has_rival)
		free.size = rival_out->at;
	if (free.size > 0)
	{
		nvmkv_unique_find_doubts(db, table, none, free, doubts);
		nvmkv_write_begin();
		nvmkv_entries_put(none, free, fxid, cid);
		written = nvmkv_write_finish(db, rel);
	}
	nvmkv_latch_set_release(&latches);
	if (!written)
	{
		doubts->len = known_doubts;
		nvmkv_write_wait_room(db, rel);
		return false;
	}
	*rest = nvmkv_slice(rest->data + free.size, rest->size - free.size);
	return has_rival;
}

void
nvmkv_unique_wait_rival(const NvmkvTable *table, Relation rel, NvmkvSlice key, const NvmkvRival *rival)
{
	if (!TransactionIdIsValid(rival->wait_xid))
	{
		/* A serializable transaction would rather hear that it cannot be serialized. */
		nvmkv_write_check_serializable(rel, key);
		nvmkv_unique_report(table, rel, rival);
	}
	nvmkv_write_wait_xid(rel, key, rival->wait_xid, XLTW_InsertIndex);
}

void
nvmkv_unique_write_rest(NvmkvDb *db, const NvmkvTable *table, Relation rel, NvmkvSlice key, NvmkvSlice entries,
						FullTransactionId fxid, CommandId cid, StringInfo doubts)
{
	while (entries.size > 0)
	{
		NvmkvRival rival;

		CHECK_FOR_INTERRUPTS();
		if (nvmkv_unique_write_free(db, table, rel, &entries, fxid, cid, doubts, &rival))
			nvmkv_unique_wait_rival(table, rel, key, &rival);
	}
}

/* ---------------------------------------------------------------- messages */

/* "(a, b)=(1, x)", or NULL where it must not be shown. */
static char *
describe_value(const NvmkvIndex *index, NvmkvSlice key, NvmkvSlice value)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(index->entries.tupdesc, &TTSOpsVirtual);
	Relation rel = index_open(index->oid, AccessShareLock);
	char *description;

	ExecClearTuple(slot);
	nvmkv_key_decode(&index->entries, key, slot->tts_values, slot->tts_isnull);
	if (index->has_values)
		nvmkv_row_decode(&index->entries, value, slot->tts_values, slot->tts_isnull, slot->tts_tupleDescriptor->natts);
	ExecStoreVirtualTuple(slot);
	description = BuildIndexValueDescription(rel, slot->tts_values, slot->tts_isnull);
	index_close(rel, NoLock);
	return description;
}

void
nvmkv_unique_report(const NvmkvTable *table, Relation rel, const NvmkvRival *rival)
{
	const NvmkvIndex *index = &table->indexes[rival->index];
	char *description = describe_value(index, rival->entry.key, rival->entry.value);
	const char *name = get_rel_name(index->oid);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"", name),
			 description != NULL ? errdetail("Key %s already exists.", description) : 0,
			 errtableconstraint(rel, name)));
}

void
nvmkv_unique_report_build(Relation rel, const NvmkvIndex *index, NvmkvSlice key, NvmkvSlice value)
{
	char *description = describe_value(index, key, value);
	const char *name = get_rel_name(index->oid);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("could not create unique index \"%s\"", name),
			 description != NULL ? errdetail("Key %s is duplicated.", description) : errdetail("Duplicate keys exist."),
			 errtableconstraint(rel, name)));
}
