/*
 * lost.c
 *	  See lost.h.
 */
#include "postgres.h"

#include "access/relation.h"
#include "executor/tuptable.h"
#include "port/pg_bswap.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/host/engine.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/keydetail.h"
#include "fdw/table/catalog.h"
#include "fdw/table/stored.h"
#include "fdw/table/table.h"
#include "fdw/txn/lost.h"

/* ---------------------------------------------------------------- names */

static uint64
storage_of_key(NvmkvSlice key)
{
	uint64 storage_id = 0;

	if (key.size >= NVMKV_STORAGE_ID_BYTES)
		memcpy(&storage_id, key.data, sizeof(storage_id));
	return pg_ntoh64(storage_id);
}

/* The table of this database with the storage, opened; NULL: there is none.  *index_out: of which it is, or NULL. */
static Relation
open_table(uint64 storage_id, const NvmkvIndex **index_out)
{
	ListCell *lc;

	*index_out = NULL;
	foreach(lc, nvmkv_catalog_storages(SnapshotSelf))
	{
		const NvmkvStoredTable *stored = lfirst(lc);

		if (stored->storage_id == storage_id)
		{
			Relation rel;

			return nvmkv_open_stored(stored->relid, false, &rel, index_out) != NULL ? rel : NULL;
		}
	}
	return NULL;
}

static char *
name_of(Relation rel, const NvmkvIndex *index, uint64 storage_id)
{
	if (index != NULL)
		return psprintf("index \"%s\"", get_rel_name(index->oid));
	if (rel != NULL)
		return psprintf("foreign table \"%s\"", RelationGetRelationName(rel));
	if (storage_id == NVMKV_REGISTRY_STORAGE_ID)
		return "the list of storages";
	return psprintf("storage " INT64_FORMAT, (int64) storage_id);
}

static bool
is_readable(const NvmkvTable *table)
{
	for (int i = 0; i < table->nkeys; i++)
		if (!table->keys[i].image_equal)
			return false;
	return table->nkeys > 0;
}

static char *
in_hex(NvmkvSlice key)
{
	StringInfoData hex;

	initStringInfo(&hex);
	appendStringInfoString(&hex, "\\x");
	for (size_t i = Min(key.size, NVMKV_STORAGE_ID_BYTES); i < key.size; i++)
		appendStringInfo(&hex, "%02x", key.data[i]);
	return hex.data;
}

/*
 * "(k)=(5)", or the bytes where a column's value is not in the key or there are none; NULL: the user may not see it.
 * rel NULL, or an index's entry: the bytes.
 */
static char *
describe(Relation rel, const NvmkvIndex *index, NvmkvSlice key)
{
	NvmkvTable *table;
	TupleTableSlot *slot;
	char *description;

	if (rel == NULL || index != NULL)
		return in_hex(key);
	table = nvmkv_table_definition(rel);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	memset(slot->tts_isnull, true, sizeof(bool) * (size_t) RelationGetDescr(rel)->natts);
	nvmkv_key_decode(table, key, slot->tts_values, slot->tts_isnull);
	ExecStoreVirtualTuple(slot);
	description = nvmkv_key_description(table, rel, slot);
	ExecDropSingleTupleTableSlot(slot);
	return description == NULL || is_readable(table) ? description : in_hex(key);
}

/* ---------------------------------------------------------------- a row that was read */

void
nvmkv_report_lost_outcome(uint64 fxid, NvmkvSlice key)
{
	StringInfoData copy;
	uint64 storage_id = storage_of_key(key);
	const NvmkvIndex *index;
	Relation rel;
	char *description = NULL;

	/* The key lies in the engine.  What follows reads catalogues, as nobody should in there; the statement is over. */
	initStringInfo(&copy);
	appendBinaryStringInfo(&copy, (const char *) key.data, (int) key.size);
	nvmkv_abort_cleanup(nvmkv_engine_held());
	LWLockReleaseAll();

	rel = open_table(storage_id, &index);
	if (rel != NULL)
		description = describe(rel, index, nvmkv_slice(copy.data, (size_t) copy.len));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of %s was written by transaction " UINT64_FORMAT ", whose outcome is lost",
					name_of(rel, index, storage_id), fxid),
			 description != NULL ? errdetail("Key %s may have been written or not: the commit log that said so is gone.", description)
								 : errdetail("It may have been written or not: the commit log that said so is gone."),
			 errhint("nvmkv.check() lists such rows by table and key; nvmkv.set_outcome('" UINT64_FORMAT "', '" UINT64_FORMAT "', committed) decides about this transaction's.",
					 fxid, fxid)));
}

/* ---------------------------------------------------------------- all of them */

typedef struct LostRows
{
	StringInfoData first_key, last_key;
	uint64 versions, first_fxid, last_fxid;
} LostRows;

static void
copy_key(StringInfo to, NvmkvSlice key)
{
	initStringInfo(to);
	appendBinaryStringInfo(to, (const char *) key.data, (int) key.size);
}

/* Only copies: an ERROR here would lose the engine's list. */
static void
note(void *ctx, const NvmkvLostVersions *lost)
{
	List **list = ctx;
	LostRows *rows = palloc(sizeof(LostRows));

	copy_key(&rows->first_key, lost->first_key);
	copy_key(&rows->last_key, lost->last_key);
	rows->versions = lost->versions;
	rows->first_fxid = lost->first_fxid;
	rows->last_fxid = lost->last_fxid;
	*list = lappend(*list, rows);
}

/* Where check() has found it: a table by its name alone, as in its other findings. */
static char *
place_of(Relation rel, const NvmkvIndex *index, uint64 storage_id)
{
	return rel != NULL && index == NULL ? pstrdup(RelationGetRelationName(rel)) : name_of(rel, index, storage_id);
}

void
nvmkv_list_lost_rows(NvmkvDb *db, void (*report)(void *ctx, const char *where, const char *text), void *ctx)
{
	List *list = NIL;
	ListCell *lc;

	nvmkv_check_status(nvmkv_lost_versions(db, note, &list), "checking", "nvmkv");
	foreach(lc, list)
	{
		const LostRows *rows = lfirst(lc);
		NvmkvSlice first = nvmkv_slice(rows->first_key.data, (size_t) rows->first_key.len);
		NvmkvSlice last = nvmkv_slice(rows->last_key.data, (size_t) rows->last_key.len);
		uint64 storage_id = storage_of_key(first);
		const NvmkvIndex *index;
		Relation rel = open_table(storage_id, &index);

		report(ctx, place_of(rel, index, storage_id),
			   psprintf(UINT64_FORMAT " row versions of transactions " UINT64_FORMAT " to " UINT64_FORMAT
						", whose outcomes are lost, keys %s to %s; nvmkv.set_outcome() decides about them",
						rows->versions, rows->first_fxid, rows->last_fxid, describe(rel, index, first),
						describe(rel, index, last)));
		if (rel != NULL)
			relation_close(rel, AccessShareLock);
	}
}
