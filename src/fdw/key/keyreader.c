/*
 * keyreader.c
 *	  Taking the bytes of a key one after the other.
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "fdw/key/keyreader.h"

void
nvmkv_key_report_malformed(const NvmkvTable *table)
{
	char *relname = get_rel_name(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("malformed key in foreign table \"%s\"", relname ? relname : "?")));
}
