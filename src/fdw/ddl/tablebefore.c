/*
 * tablebefore.c
 *	  See tablebefore.h.
 */
#include "postgres.h"

#include "fdw/ddl/tablebefore.h"
#include "fdw/ddl/verify.h"
#include "fdw/storage/storage.h"

bool
nvmkv_before_in_key(const NvmkvTableBefore *before, AttrNumber attnum)
{
	for (int i = 0; before->had_storage && i < before->storage.nkeys; i++)
	{
		if (before->storage.keys[i].attnum == attnum)
			return true;
	}
	return false;
}

void
nvmkv_before_keep_rows(NvmkvTableBefore *before, Relation rel)
{
	if (!before->asked && nvmkv_table_has_rows(rel))
		before->old = nvmkv_table(rel);
	before->asked = true;
}
