/*
 * option.c
 *	  Options of servers and tables, and the text of a primary key.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

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
	return false;
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
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 names.len > 0 ? errhint("Valid options in this context are: %s", names.data) :
							 errhint("There are no valid options in this context.")));
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

/* ---------------------------------------------------------------- compression */

static int
codec_of(const char *name, size_t length)
{
	static const char *const names[] = {"none", "lz4", "zstd"};

	for (int codec = 0; codec < lengthof(names); codec++)
		if (strlen(names[codec]) == length && pg_strncasecmp(names[codec], name, length) == 0)
			return codec;
	return -1;
}

bool
nvmkv_parse_compression(const char *definition, uint8 compression_out[NVMKV_LEVELS], const char **detail_out)
{
	const char *p = definition;
	int level = 1;

	for (;;)
	{
		const char *start;
		int codec;

		while (scanner_isspace(*p))
			p++;
		start = p;
		while (*p != '\0' && *p != ',' && !scanner_isspace(*p))
			p++;
		codec = codec_of(start, (size_t) (p - start));
		*detail_out = "Write none, lz4 or zstd; or a list of them, for level 1, 2 and so on, separated by commas.";
		if (codec < 0)
			return false;
		*detail_out = "There are 6 levels.";
		if (level == NVMKV_LEVELS)
			return false;
		for (int l = level == 1 ? 0 : level; l < NVMKV_LEVELS; l++)
			compression_out[l] = (uint8) codec;
		level++;
		while (scanner_isspace(*p))
			p++;
		*detail_out = "A comma is expected between levels.";
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

/* ---------------------------------------------------------------- primary key */

static void
report_bad_primary_key(const char *definition, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", NVMKV_OPTION_PRIMARY_KEY, definition),
			 errdetail_internal("%s", detail),
			 errhint("Write column names, each with an optional ASC or DESC, separated by commas: 'a, b DESC'.")));
}

static const char *
skip_spaces(const char *p)
{
	while (scanner_isspace(*p))
		p++;
	return p;
}

static bool
is_identifier_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_identifier_part(char c)
{
	return is_identifier_start(c) || (c >= '0' && c <= '9') || c == '$';
}

/* Reads one identifier by SQL's rules; NULL when there is none. */
static char *
read_identifier(const char *definition, const char **cursor)
{
	const char *p = *cursor;
	char *name;

	if (*p == '"')
	{
		StringInfoData quoted;

		initStringInfo(&quoted);
		for (p++;; p++)
		{
			if (*p == '\0')
				report_bad_primary_key(definition, _("A quoted name is not closed."));
			if (*p == '"' && *++p != '"')
				break;
			appendStringInfoChar(&quoted, *p);
		}
		if (quoted.len == 0)
			report_bad_primary_key(definition, _("A quoted name is empty."));
		truncate_identifier(quoted.data, quoted.len, true);
		name = quoted.data;
	}
	else
	{
		const char *start = p;

		if (!is_identifier_start(*p))
			return NULL;
		while (is_identifier_part(*p))
			p++;
		name = downcase_truncate_identifier(start, p - start, true);
	}
	*cursor = p;
	return name;
}

List *
nvmkv_parse_primary_key(const char *definition)
{
	const char *p = skip_spaces(definition);
	List *specs = NIL;

	for (;;)
	{
		NvmkvKeySpec *spec = palloc0(sizeof(NvmkvKeySpec));
		ListCell *lc;

		spec->name = read_identifier(definition, &p);
		if (spec->name == NULL)
			report_bad_primary_key(definition, _("A column name is expected."));

		p = skip_spaces(p);
		if (is_identifier_start(*p))
		{
			char *word = read_identifier(definition, &p);

			if (strcmp(word, "desc") == 0)
				spec->descending = true;
			else if (strcmp(word, "asc") != 0)
				report_bad_primary_key(definition, psprintf(_("\"%s\" is neither ASC nor DESC."), word));
			p = skip_spaces(p);
		}

		foreach(lc, specs)
		{
			if (strcmp(((NvmkvKeySpec *) lfirst(lc))->name, spec->name) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in primary key constraint", spec->name)));
		}
		specs = lappend(specs, spec);

		if (*p == '\0')
			break;
		if (*p != ',')
			report_bad_primary_key(definition, _("A comma is expected between columns."));
		p = skip_spaces(p + 1);
	}

	if (list_length(specs) > NVMKV_KEY_COLUMNS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("cannot use more than %d columns in a primary key", NVMKV_KEY_COLUMNS_MAX)));
	return specs;
}

char *
nvmkv_format_primary_key(List *specs)
{
	StringInfoData definition;
	ListCell *lc;

	initStringInfo(&definition);
	foreach(lc, specs)
	{
		NvmkvKeySpec *spec = (NvmkvKeySpec *) lfirst(lc);

		appendStringInfo(&definition, "%s%s%s", definition.len > 0 ? ", " : "", quote_identifier(spec->name),
						 spec->descending ? " DESC" : "");
	}
	return definition.data;
}
