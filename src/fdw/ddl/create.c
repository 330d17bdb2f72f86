/*
 * create.c
 *	  What a new table of ours gets beside what the server makes.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/ddl/alter.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/storage/storage.h"
#include "fdw/table/table.h"

Oid
nvmkv_created_relid(const RangeVar *relation)
{
	return get_relname_relid(relation->relname, RangeVarGetCreationNamespace(relation));
}

void
nvmkv_create_finish(Oid relid)
{
	Relation rel;

	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return;

	rel = table_open(relid, NoLock);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" cannot be temporary", RelationGetRelationName(rel)),
				 errhint("Use a temporary table, or a permanent foreign table.")));

	nvmkv_set_key_not_null(rel);

	/* In pg_upgrade the old cluster's catalogue comes along. */
	if (!IsBinaryUpgrade && nvmkv_engine_or_null() != NULL)
		nvmkv_table_new_storage(rel);
	table_close(rel, NoLock);
}

void
nvmkv_create_partition_finish(Oid relid)
{
	CommandCounterIncrement();
	if (OidIsValid(relid) && get_rel_relispartition(relid))
		nvmkv_verify_partition(relid);
}
