/*
 * keyoption.c
 *	  The option of a table that tells its primary key.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "nodes/makefuncs.h"

#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/tableoption.h"
#include "fdw/key/keyspec.h"
#include "fdw/table/option.h"

char *
nvmkv_primary_key_option(Oid relid)
{
	const char *definition = nvmkv_option_string(GetForeignTable(relid)->options, NVMKV_OPTION_PRIMARY_KEY);

	return definition != NULL ? pstrdup(definition) : NULL;
}

void
nvmkv_primary_key_set_option(Oid relid, List *specs)
{
	DefElem *option = makeDefElem(NVMKV_OPTION_PRIMARY_KEY, NULL, -1);

	if (specs != NIL)
		option->arg = (Node *) makeString(nvmkv_format_primary_key(specs));
	else
		option->defaction = DEFELEM_DROP;
	nvmkv_table_change_options(relid, list_make1(option));
}

void
nvmkv_primary_key_rename_column(Oid relid, const char *old_name, const char *new_name)
{
	const char *definition = nvmkv_primary_key_option(relid);
	List *specs = definition != NULL ? nvmkv_parse_primary_key(definition) : NIL;
	bool renamed = false;
	ListCell *lc;

	foreach(lc, specs)
	{
		NvmkvKeySpec *spec = lfirst(lc);

		if (strcmp(spec->name, old_name) == 0)
		{
			spec->name = pstrdup(new_name);
			renamed = true;
		}
	}
	if (renamed)
		nvmkv_primary_key_set_option(relid, specs);
}
