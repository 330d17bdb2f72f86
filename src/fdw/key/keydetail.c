/*
 * keydetail.c
 *	  A row's key in messages.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/key/keydetail.h"

bool
nvmkv_key_may_be_shown(const NvmkvTable *table)
{
	if (pg_class_aclcheck(table->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < table->nkeys; i++)
	{
		if (pg_attribute_aclcheck(table->relid, table->keys[i].attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return table->nkeys > 0;
}

char *
nvmkv_key_description(const NvmkvTable *table, Relation rel, TupleTableSlot *slot)
{
	Oid relid = RelationGetRelid(rel);
	StringInfoData description;

	if (!nvmkv_key_may_be_shown(table))
		return NULL;
	initStringInfo(&description);
	for (int i = 0; i < table->nkeys; i++)
		appendStringInfo(&description, "%s%s", i > 0 ? ", " : "(",
						 quote_identifier(get_attname(relid, table->keys[i].attnum, false)));
	appendStringInfoString(&description, ")=(");
	for (int i = 0; i < table->nkeys; i++)
	{
		bool isnull;
		Datum value = slot_getattr(slot, table->keys[i].attnum, &isnull);
		Oid output;
		bool is_varlena;

		if (i > 0)
			appendStringInfoString(&description, ", ");
		if (isnull)
			appendStringInfoString(&description, "null");
		else
		{
			getTypeOutputInfo(table->keys[i].type, &output, &is_varlena);
			appendStringInfoString(&description, OidOutputFunctionCall(output, value));
		}
	}
	appendStringInfoChar(&description, ')');
	return description.data;
}
