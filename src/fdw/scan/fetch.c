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
 * Where no order is asked for, some entries are read first, of several ranges
 * if need be, and their rows are looked up in the order in which the table has
 * them: those that are in one block come one after the other.  They are few at
 * first, as with batches of entries (reader.c), and never more than work_mem holds; a
 * row is fetched when it is asked for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "fdw/key/keycode.h"
#include "fdw/scan/fetch.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/write.h"

#define ENTRIES_MIN 8

void
nvmkv_fetch_init(NvmkvFetch *fetch, NvmkvDb *db, const NvmkvTable *table, const NvmkvIndex *index,
				 const NvmkvVisibility *visibility, bool in_order)
{
	memset(fetch, 0, sizeof(*fetch));
	fetch->db = db;
	fetch->table = table;
	fetch->index = index;
	fetch->visibility = visibility;
	nvmkv_buffer_init(&fetch->key);
	nvmkv_buffer_init(&fetch->keys);
	nvmkv_buffer_init(&fetch->covered);
	fetch->in_order = in_order;
	fetch->limit = in_order ? 1 : ENTRIES_MIN;
	fetch->size = fetch->limit;
	fetch->items = palloc(sizeof(NvmkvFetchItem) * (Size) fetch->size);
}

void
nvmkv_fetch_reset(NvmkvFetch *fetch)
{
	fetch->nitems = 0;
	fetch->next = 0;
	if (!fetch->in_order)
		fetch->limit = ENTRIES_MIN;
}

/* ---------------------------------------------------------------- entries */

bool
nvmkv_fetch_add(NvmkvFetch *fetch, const NvmkvRowBytes *entry)
{
	NvmkvFetchItem *item;

	if (fetch->next == fetch->nitems)
	{
		fetch->nitems = 0;
		fetch->next = 0;
		resetStringInfo(&fetch->keys);
	}
	if (fetch->nitems == fetch->size)
	{
		fetch->size = fetch->limit;
		fetch->items = repalloc(fetch->items, sizeof(NvmkvFetchItem) * (Size) fetch->size);
	}
	nvmkv_key_of_entry(fetch->table, fetch->index, entry->key, &fetch->key);
	appendBinaryStringInfo(&fetch->keys, fetch->key.data, fetch->key.len);
	item = &fetch->items[fetch->nitems++];
	item->key = nvmkv_slice(NULL, (size_t) fetch->key.len);
	item->fxid = entry->fxid;
	item->covered = entry->covered;
	return fetch->nitems < fetch->limit;
}

/* May twice as many wait? */
static bool
has_room(const NvmkvFetch *fetch)
{
	Size bytes = sizeof(NvmkvFetchItem) * (Size) fetch->nitems + (Size) fetch->keys.len;

	return fetch->nitems == fetch->limit && 2 * bytes <= (Size) work_mem * 1024;
}

static int
compare_items(const void *a, const void *b)
{
	return slice_compare(((const NvmkvFetchItem *) a)->key, ((const NvmkvFetchItem *) b)->key);
}

void
nvmkv_fetch_begin(NvmkvFetch *fetch)
{
	const char *data = fetch->keys.data;

	for (int i = 0; i < fetch->nitems; i++)
	{
		NvmkvSlice *key = &fetch->items[i].key;

		*key = nvmkv_slice(data, key->size);
		data += key->size;
	}
	if (fetch->in_order)
		return;
	qsort(fetch->items, (size_t) fetch->nitems, sizeof(NvmkvFetchItem), compare_items);
	if (has_room(fetch))
		fetch->limit *= 2;
}

/* ---------------------------------------------------------------- rows */

static bool
find_covered(NvmkvFetch *fetch, NvmkvSlice key, NvmkvRowBytes *row_out)
{
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

/* Is it the entry of a covered row, if there is one? */
static bool
may_be_of_covered(const NvmkvFetch *fetch, const NvmkvFetchItem *item, const NvmkvVersion *version)
{
	return item->covered || (nvmkv_visibility_is_own(fetch->visibility, version) &&
							 !nvmkv_visibility_is_own_id(fetch->visibility, item->fxid));
}

bool
nvmkv_fetch_next(NvmkvFetch *fetch, NvmkvRowBytes *row_out)
{
	NvmkvVersion version = {0};
	NvmkvStatus status = NVMKV_NOT_FOUND;
	const NvmkvFetchItem *item;

	if (fetch->next == fetch->nitems)
		return false;
	item = &fetch->items[fetch->next++];
	if (!item->covered)
	{
		status = nvmkv_get(fetch->db, item->key, &fetch->visibility->engine, &fetch->value, &version);
		if (status != NVMKV_NOT_FOUND)
			nvmkv_check_table_status(status, "reading foreign table", fetch->table);
	}
	if (may_be_of_covered(fetch, item, &version) && find_covered(fetch, item->key, row_out))
		return true;
	if (status != NVMKV_OK)
		nvmkv_report_entry_without_row(fetch->index);
	*row_out = (NvmkvRowBytes){
		.key = item->key,
		.value = nvmkv_buf_slice(&fetch->value),
		.sequence = version.sequence,
		.fxid = version.txn.fxid,
	};
	return true;
}

void
nvmkv_fetch_release(NvmkvFetch *fetch)
{
	nvmkv_buf_free(&fetch->value);
}
