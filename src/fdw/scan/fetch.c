/*
 * fetch.c
 *	  The rows that entries of an index are of.
 *
 * An entry is visible exactly when the version of the row is that has it, so
 * the row is there, and nothing has to be compared again.  Only where a
 * snapshot sees two rows with one key (covered.h) is it a question which of
 * them an entry is of.  The newer one was put there by the transaction itself,
 * and so were all entries that it has.  So an entry that somebody else has
 * written is that of the covered row, and so is one that is covered itself.
 *
 * Rows are fetched one by one, in the order of the entries.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "fdw/key/keycode.h"
#include "fdw/scan/fetch.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/write.h"

void
nvmkv_fetch_init(NvmkvFetch *fetch, NvmkvDb *db, const NvmkvTable *table, const NvmkvIndex *index,
				 const NvmkvVisibility *visibility)
{
	memset(fetch, 0, sizeof(*fetch));
	fetch->db = db;
	fetch->table = table;
	fetch->index = index;
	fetch->visibility = visibility;
	initStringInfo(&fetch->key);
	initStringInfo(&fetch->covered);
}

static bool
find_covered(NvmkvFetch *fetch, NvmkvRowBytes *row_out)
{
	NvmkvSlice key = nvmkv_buffer_slice(&fetch->key);
	uint64 sequence;

	if (!nvmkv_covered_row(fetch->db, fetch->table, key, fetch->visibility, &fetch->covered, &sequence, NULL))
		return false;
	*row_out = (NvmkvRowBytes){
		.key = key,
		.value = nvmkv_buffer_slice(&fetch->covered),
		.sequence = sequence,
		.covered = true,
	};
	return true;
}

void
nvmkv_report_entry_without_row(const NvmkvIndex *index)
{
	const char *name = get_rel_name(index->oid);

	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" has an entry without a row", name != NULL ? name : "?"),
			 errhint("REINDEX or drop it.")));
}

void
nvmkv_fetch_row(NvmkvFetch *fetch, const NvmkvRowBytes *entry, NvmkvRowBytes *row_out)
{
	NvmkvVersion version = {0};
	NvmkvStatus status = NVMKV_NOT_FOUND;
	NvmkvSlice key;

	nvmkv_key_of_entry(fetch->table, fetch->index, entry->key, &fetch->key);
	key = nvmkv_buffer_slice(&fetch->key);
	if (!entry->covered)
	{
		status = nvmkv_get(fetch->db, key, &fetch->visibility->engine, &fetch->value, &version);
		if (status != NVMKV_NOT_FOUND)
			nvmkv_check_table_status(status, "reading foreign table", fetch->table);
	}
	if (entry->covered ||
		(nvmkv_visibility_is_own(fetch->visibility, &version) &&
		 !nvmkv_visibility_is_own_id(fetch->visibility, entry->fxid)))
	{
		if (find_covered(fetch, row_out))
			return;
	}
	if (status != NVMKV_OK)
		nvmkv_report_entry_without_row(fetch->index);
	*row_out = (NvmkvRowBytes){
		.key = key,
		.value = nvmkv_buf_slice(&fetch->value),
		.sequence = version.sequence,
		.fxid = version.txn.fxid,
	};
}

void
nvmkv_fetch_release(NvmkvFetch *fetch)
{
	nvmkv_buf_free(&fetch->value);
}
