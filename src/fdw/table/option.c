/*
 * option.c
 *	  Options of servers and tables.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "access/xlog.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "fdw/host/engine.h"
#include "fdw/host/familyoption.h"
#include "fdw/host/origin.h"
#include "fdw/key/keyspec.h"
#include "fdw/table/autovacuum.h"
#include "fdw/table/option.h"

PG_FUNCTION_INFO_V1(nvmkv_fdw_validator);

typedef struct OptionDef
{
	const char *name;
	Oid context; /* catalogue of the object that may have it */
} OptionDef;

static const OptionDef option_defs[] = {
	{NVMKV_OPTION_COLUMN_FAMILY, ForeignServerRelationId},
	{NVMKV_OPTION_NVM, ForeignServerRelationId},
	{NVMKV_OPTION_NVM_SIZE, ForeignServerRelationId},
	{NVMKV_OPTION_WRITE_BUFFER_SIZE, ForeignServerRelationId},
	{NVMKV_OPTION_MAX_WRITE_BUFFERS, ForeignServerRelationId},
	{NVMKV_OPTION_TARGET_FILE_SIZE, ForeignServerRelationId},
	{NVMKV_OPTION_BLOOM_BITS_PER_KEY, ForeignServerRelationId},
	{NVMKV_OPTION_COMPRESSION, ForeignServerRelationId},
	{NVMKV_OPTION_PRIMARY_KEY, ForeignTableRelationId},
	{NVMKV_OPTION_CHANGES, ForeignTableRelationId},
};

/* Reserved for secondary indexes: refused by name, so that nobody takes it for an ignored one. */
#define INDEX_OPTION_PREFIX "index_"

static bool
option_is_known(const char *name, Oid context)
{
	for (int i = 0; i < lengthof(option_defs); i++)
	{
		if (option_defs[i].context == context && strcmp(option_defs[i].name, name) == 0)
			return true;
	}
	return context == ForeignTableRelationId && nvmkv_is_autovacuum_option(name);
}

static void
report_unknown_option(const char *name, Oid context)
{
	StringInfoData names;

	if (context == ForeignTableRelationId && strncmp(name, INDEX_OPTION_PREFIX, strlen(INDEX_OPTION_PREFIX)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("secondary indexes are not supported")));

	initStringInfo(&names);
	for (int i = 0; i < lengthof(option_defs); i++)
	{
		if (option_defs[i].context == context)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", option_defs[i].name);
	}
	for (int i = 0; context == ForeignTableRelationId && nvmkv_autovacuum_options[i] != NULL; i++)
		appendStringInfo(&names, ", %s", nvmkv_autovacuum_options[i]);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 names.len > 0 ? errhint("Valid options in this context are: %s", names.data) :
							 errhint("There are no valid options in this context.")));
}

NvmkvTold
nvmkv_option_changes(List *options)
{
	const char *value = nvmkv_option_string(options, NVMKV_OPTION_CHANGES);

	if (value == NULL)
		return NVMKV_TOLD_NOTHING;
	if (strcmp(value, "new") == 0)
		return NVMKV_TOLD_NEW;
	if (strcmp(value, "full") == 0)
		return NVMKV_TOLD_FULL;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", NVMKV_OPTION_CHANGES, value),
			 errhint("Valid values are \"new\" and \"full\".")));
}

/* As of a publication. */
static void
check_changes(List *options)
{
	if (nvmkv_option_changes(options) != NVMKV_TOLD_NOTHING && !XLogLogicalInfoActive())
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("wal_level is insufficient to tell changes"),
				 errhint("Set wal_level to \"logical\" before creating replication slots.")));
}

/*
 * Checks what can be told from the options alone.  Whether the columns of a
 * key exist and can be a key is asked when the table is known.
 */
Datum
nvmkv_fdw_validator(PG_FUNCTION_ARGS)
{
	List *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid context = PG_GETARG_OID(1);
	ListCell *lc;

	/* Asked for each new table, and for each change of its options, whether it has any or not. */
	if (context == ForeignTableRelationId)
		nvmkv_engine_require_preload();
	/* pg_upgrade's server makes the definitions of tables; their rows do not come that way. */
	if (context == ForeignTableRelationId && IsBinaryUpgrade)
		nvmkv_origin_await();

	foreach(lc, options)
	{
		DefElem *def = (DefElem *) lfirst(lc);

		if (!option_is_known(def->defname, context))
			report_unknown_option(def->defname, context);

		if (strcmp(def->defname, NVMKV_OPTION_PRIMARY_KEY) == 0)
			list_free_deep(nvmkv_parse_primary_key(defGetString(def)));
	}
	if (context == ForeignServerRelationId)
		nvmkv_family_check_options(options);
	if (context == ForeignTableRelationId)
	{
		(void) nvmkv_autovacuum_settings(options);
		check_changes(options);
	}
	PG_RETURN_VOID();
}

const char *
nvmkv_option_string(List *options, const char *name)
{
	ListCell *lc;

	foreach(lc, options)
	{
		DefElem *def = (DefElem *) lfirst(lc);

		if (strcmp(def->defname, name) == 0)
			return defGetString(def);
	}
	return NULL;
}
