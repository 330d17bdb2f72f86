/*
 * keyspec.c
 *	  The text of a primary key.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "fdw/key/keyspec.h"
#include "fdw/key/layout.h"

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

	if (list_length(specs) > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("cannot use more than %d columns in a primary key", INDEX_MAX_KEYS)));
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
