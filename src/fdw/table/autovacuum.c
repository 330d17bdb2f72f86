/*
 * autovacuum.c
 *	  What a table says of when it is analyzed by itself.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"

#include "fdw/table/autovacuum.h"

const char *const nvmkv_autovacuum_options[] = {
	"autovacuum_enabled",
	"autovacuum_analyze_threshold",
	"autovacuum_analyze_scale_factor",
	"autovacuum_vacuum_cost_delay",
	"autovacuum_vacuum_cost_limit",
	"log_autovacuum_min_duration",
	NULL
};

bool
nvmkv_is_autovacuum_option(const char *name)
{
	for (int i = 0; nvmkv_autovacuum_options[i] != NULL; i++)
	{
		if (strcmp(nvmkv_autovacuum_options[i], name) == 0)
			return true;
	}
	return false;
}

List *
nvmkv_pick_autovacuum_options(List *options)
{
	List *picked = NIL;
	ListCell *lc;

	foreach(lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		/* toast.autovacuum_enabled is about another table. */
		if (option->defnamespace == NULL && nvmkv_is_autovacuum_option(option->defname))
			picked = lappend(picked, makeDefElem(pstrdup(option->defname),
												 (Node *) makeString(option->arg != NULL ? defGetString(option) : "true"),
												 option->location));
	}
	return picked;
}

AutoVacOpts
nvmkv_autovacuum_settings(List *options)
{
	Datum parameters = transformRelOptions((Datum) 0, nvmkv_pick_autovacuum_options(options), NULL, NULL, false, false);

	return ((StdRdOptions *) heap_reloptions(RELKIND_RELATION, parameters, true))->autovacuum;
}
