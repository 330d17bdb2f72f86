/*
 * damage.c
 *	  Damage told in terms of tables and keys.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "port/pg_bswap.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/host/family.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/keydetail.h"
#include "fdw/key/keytext.h"
#include "fdw/table/catalog.h"
#include "fdw/table/stored.h"
#include "fdw/table/table.h"
#include "fdw/txn/damage.h"

/* ---------------------------------------------------------------- errors */

#define DAMAGE_HINT \
	"nvmkv.check() and the view nvmkv.damage tell which rows are damaged; others can be read and written. Restore from a backup, or copy what can be read elsewhere and TRUNCATE the table; or give up what is lost with nvmkv.accept_damage()."

#define INDEX_HINT \
	"REINDEX makes the index anew from the rows of its table, which is not concerned; other parts of it can be used."

void
nvmkv_check_table_status(NvmkvStatus status, const char *doing, const NvmkvTable *table)
{
	const NvmkvError *error = nvmkv_error();
	bool is_index;
	const char *name;
	char *keys = NULL;

	if (likely(status == NVMKV_OK))
		return;
	name = get_rel_name(table->relid);
	if (status != NVMKV_CORRUPTION)
		nvmkv_check_status(status, doing, name);
	is_index = get_rel_relkind(table->relid) == RELKIND_PARTITIONED_INDEX;
	if (error->low_size > 0)
		keys = nvmkv_key_may_be_shown(table)
			? nvmkv_key_range_text(table, nvmkv_slice(error->low, error->low_size),
								   nvmkv_slice(error->upper, error->upper_size))
			: pstrdup("");
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("%s \"%s\" failed", doing, name != NULL ? name : "?"),
			 keys == NULL ? errdetail("%s", error->text)
			 : keys[0] == '\0' ? errdetail("Rows of it were in a file that is damaged, and are lost.")
			 : is_index		   ? errdetail("Entries with keys %s may be lost: %s.", keys, error->text)
							   : errdetail("Rows with keys %s may be lost: %s.", keys, error->text),
			 errhint("%s", is_index ? INDEX_HINT : DAMAGE_HINT)));
}

/* ---------------------------------------------------------------- ranges by table */

/* The storage id that the bytes begin with; what is missing is zero. */
static uint64
storage_of_bound(NvmkvSlice bound)
{
	uint64 id = 0;

	memcpy(&id, bound.data, Min(bound.size, sizeof(id)));
	return pg_ntoh64(id);
}

static char *
keys_in_table(const NvmkvStoredTable *stored, NvmkvSlice lower, NvmkvSlice upper)
{
	const NvmkvIndex *index;
	Relation rel;
	/* Neither waits for who truncates it nor keeps a table that is dropped. */
	const NvmkvTable *definition = nvmkv_open_stored(stored->relid, true, &rel, &index);
	NvmkvTable table;
	char *keys;

	if (definition == NULL)
		return nvmkv_key_range_bytes_text(stored->storage_id, lower, upper);
	table = *definition;
	table.storage_id = stored->storage_id;
	keys = nvmkv_key_range_text(&table, lower, upper);
	relation_close(rel, AccessShareLock);
	return keys;
}

static NvmkvDamagePart *
add_part(List **parts, uint64 storage_id)
{
	NvmkvDamagePart *part = palloc0(sizeof(NvmkvDamagePart));

	part->storage_id = storage_id;
	*parts = lappend(*parts, part);
	return part;
}

List *
nvmkv_damage_parts(NvmkvSlice lower, NvmkvSlice upper, uint64 newest)
{
	uint64 first = storage_of_bound(lower);
	uint64 last = upper.size > 0 ? storage_of_bound(upper) : PG_UINT64_MAX;
	/* Nothing of the last one where the range ends with its first key. */
	bool reaches_last = upper.size == 0 || upper.size > NVMKV_STORAGE_ID_BYTES;
	bool has_first = false;
	bool has_last = !reaches_last;
	List *parts = NIL;
	Snapshot snapshot;
	ListCell *lc;

	nvmkv_catalog_hold();
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	foreach(lc, nvmkv_catalog_storages(snapshot))
	{
		const NvmkvStoredTable *stored = lfirst(lc);
		NvmkvDamagePart *part;

		if (stored->storage_id < first || stored->storage_id > last || (stored->storage_id == last && !reaches_last))
			continue;
		/* A storage id is the position from which on there may be rows. */
		if (nvmkv_birth_of_storage(stored->storage_id) >= newest)
			continue;
		has_first |= stored->storage_id == first;
		has_last |= stored->storage_id == last;
		part = add_part(&parts, stored->storage_id);
		part->relid = stored->relid;
		part->keys = keys_in_table(stored, lower, upper);
	}
	UnregisterSnapshot(snapshot);
	if (!has_first && (first != last || reaches_last))
		(void) add_part(&parts, first);
	if (!has_last && last != first && upper.size > 0)
		(void) add_part(&parts, last);
	return parts;
}
