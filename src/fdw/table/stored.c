/*
 * stored.c
 *	  From a storage to what is in it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"

#include "fdw/table/indexes.h"
#include "fdw/table/stored.h"

const NvmkvTable *
nvmkv_open_stored(Oid relid, bool nowait, Relation *rel_out, const NvmkvIndex **index_out)
{
	bool is_index = get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX;
	Oid table_oid = is_index ? IndexGetRelation(relid, true) : relid;
	const NvmkvTable *table;

	*index_out = NULL;
	if (!OidIsValid(table_oid))
		return NULL;
	if (nowait && !ConditionalLockRelationOid(table_oid, AccessShareLock))
		return NULL;
	*rel_out = try_relation_open(table_oid, nowait ? NoLock : AccessShareLock);
	if (*rel_out == NULL)
	{
		if (nowait)
			UnlockRelationOid(table_oid, AccessShareLock);
		return NULL;
	}
	table = nvmkv_table_definition(*rel_out);
	if (!is_index)
		return table;
	*index_out = nvmkv_find_index(table, relid);
	if (*index_out != NULL)
		return &(*index_out)->entries;
	relation_close(*rel_out, AccessShareLock);
	return NULL;
}
