/*
 * salvage_table.c
 *	  See salvage_table.h.
 */
#include "tools/salvage_table.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/status.h"

/* The next field of a line; undoes the escapes in place.  NULL: there is none. */
static char *
next_field(char **line)
{
	char *field = *line;
	char *in = field;
	char *out = field;

	if (field == NULL)
		return NULL;
	while (*in != '\0' && *in != '\t')
	{
		if (*in == '\\' && in[1] != '\0' && in[1] != 'N')
		{
			in++;
			*out++ = *in == 't' ? '\t' : *in == 'n' ? '\n' : *in;
			in++;
		}
		else
			*out++ = *in++;
	}
	*line = *in == '\t' ? in + 1 : NULL;
	*out = '\0';
	return field;
}

static long
next_number(char **line)
{
	const char *field = next_field(line);

	return field != NULL ? strtol(field, NULL, 10) : -1;
}

static bool
next_is(char **line, char c)
{
	const char *field = next_field(line);

	return field != NULL && field[0] == c;
}

static bool
parse_column(SalvageTable *table, char *line)
{
	SalvageColumn *c;

	if (next_number(&line) != (long) table->ncolumns + 1 || table->ncolumns == SALVAGE_COLUMNS_MAX)
		return false;
	c = &table->columns[table->ncolumns++];
	c->len = (int) next_number(&line);
	c->byval = next_is(&line, 't');
	c->dropped = next_is(&line, 'd');
	c->type = (uint32_t) next_number(&line);
	c->element = (uint32_t) next_number(&line);
	c->name = next_field(&line);
	c->type_name = next_field(&line);
	c->missing = next_field(&line);
	if (c->missing == NULL || c->len < -2 || c->len == 0)
		return false;
	if (strcmp(c->missing, "\\N") == 0)
		c->missing = NULL;
	return true;
}

static bool
parse_key(SalvageTable *table, char *line)
{
	SalvageKey *k;
	long column = next_number(&line);

	if (table->nkeys == SALVAGE_KEYS_MAX || column < 1 || column > (long) table->ncolumns)
		return false;
	k = &table->keys[table->nkeys++];
	k->column = (int) column - 1;
	k->key_class = (int) next_number(&line);
	k->width = (int) next_number(&line);
	k->is_signed = next_is(&line, 't');
	k->descending = next_is(&line, 't');
	k->in_key = next_is(&line, 'k');
	table->columns[k->column].in_key = k->in_key;
	return k->width >= 0 && k->width <= 64;
}

static bool
parse_line(SalvageTable *table, char *line)
{
	const char *what = next_field(&line);

	if (strcmp(what, "nvmkv") == 0)
		return next_number(&line) == 1;
	if (strcmp(what, "table") == 0)
		return (table->name = next_field(&line)) != NULL;
	if (strcmp(what, "column") == 0)
		return parse_column(table, line);
	if (strcmp(what, "key") == 0)
		return parse_key(table, line);
	if (strcmp(what, "label") == 0)
	{
		SalvageLabel *label = &table->labels[table->nlabels++];

		label->oid = (uint32_t) strtoul(next_field(&line), NULL, 10);
		return (label->label = next_field(&line)) != NULL;
	}
	return true;
}

NvmkvStatus
salvage_table_parse(NvmkvSlice definition, SalvageTable *table)
{
	char *line;
	size_t lines = 1;
	size_t i;

	memset(table, 0, sizeof(*table));
	table->bytes = malloc(definition.size + 1);
	for (i = 0; i < definition.size; i++)
		lines += definition.data[i] == '\n';
	table->labels = calloc(lines, sizeof(SalvageLabel));
	table->columns = calloc(lines, sizeof(SalvageColumn));
	if (table->bytes == NULL || table->labels == NULL || table->columns == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	memcpy(table->bytes, definition.data, definition.size);
	table->bytes[definition.size] = '\0';
	for (line = table->bytes; line != NULL && *line != '\0';)
	{
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end++ = '\0';
		if (!parse_line(table, line))
			return NVMKV_FAIL(NVMKV_CORRUPTION, "malformed definition of a table");
		line = end;
	}
	if (table->name == NULL)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "there is no definition of the table");
	return NVMKV_OK;
}

void
salvage_table_free(SalvageTable *table)
{
	free(table->bytes);
	free(table->labels);
	free(table->columns);
	memset(table, 0, sizeof(*table));
}
