/*
 * source.c
 *	  What a scan reads: a foreign table by its key, or an index of it.
 */
#include "postgres.h"

#include "fdw/host/family.h"
#include "fdw/key/keycode.h"
#include "fdw/scan/source.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/write.h"

const NvmkvIndex *
nvmkv_source_index(const NvmkvTable *table, Oid oid)
{
	const NvmkvIndex *index;

	if (!OidIsValid(oid))
		return NULL;
	index = nvmkv_find_index(table, oid);
	/* In a copy of its database a table has no storage before its first write, nor have its indexes. */
	if (index == NULL || (table->storage_known && !index->entries.storage_known))
		elog(ERROR, "index %u of foreign table %u has no entries", oid, table->relid);
	return index;
}

void
nvmkv_source_open(NvmkvReader *reader, const NvmkvTable *table, const NvmkvIndex *index, NvmkvVisibility *visibility,
				  bool backward, bool keys_only, NvmkvScanReport *report)
{
	const NvmkvTable *keyed = nvmkv_source_keyed(table, index);
	NvmkvReader given = {
		.db = nvmkv_engine_of(keyed->storage_id),
		.table = keyed,
		.doing = index != NULL ? "reading index" : "reading foreign table",
		.visibility = visibility,
		.backward = backward,
		.keys_only = keys_only,
		.locks_points = index == NULL,
		.report = report,
	};

	nvmkv_reader_init(reader, &given);
}

/*
 * One row is known by its key, which the reader locks as it looks it up, and whoever writes it, with whatever entries,
 * asks for that.  Anything else may be touched by any row.
 */
void
nvmkv_source_lock(const NvmkvTable *table, const NvmkvIndex *index, const NvmkvVisibility *visibility,
				  const NvmkvKeyRange *range)
{
	if (visibility->rel == NULL)
		return;
	if (!range->point)
		nvmkv_predicate_lock_relation(visibility);
	else if (index != NULL)
	{
		StringInfoData key;

		initStringInfo(&key);
		nvmkv_key_of_entry(table, index, range->lower, &key);
		nvmkv_predicate_lock_key(visibility, nvmkv_buffer_slice(&key));
		pfree(key.data);
	}
}
