/*
 * shape.c
 *	  See shape.h.
 *
 * Rows are in memtables, in the container or in files, as is drawn.  Values of a column come from few, so that joins
 * find something; some tables have many rows that a server makes itself.
 */
#include "query/shape.h"

#include <stdio.h>

void
draw_constant(Text *out, Choices *choices, const Type *type)
{
	int count = 0;

	while (count < MAX_VALUES && type->values[count] != NULL)
		count++;
	/* The first ones are the usual ones. */
	if (count > 6 && !choose_percent(choices, 20))
		count = 6;
	text_addf(out, "'%s'::%s", type->values[choose(choices, count)], type->name);
}

void
column_names(Text *out, const Table *table, int count)
{
	for (int i = 0; i < count; i++)
		text_addf(out, "%s%s", i == 0 ? "" : ", ", table->columns[i].name);
}

static const Type *
draw_type(Choices *choices)
{
	/* Half of them are of the few that much can be done with. */
	return &types[choose(choices, choose_percent(choices, 50) ? type_count : 6)];
}

static void
draw_table(Table *table, Choices *choices, char name)
{
	static const int key_counts[] = {1, 1, 1, 1, 2, 2, 2, 3, 0};

	(void) snprintf(table->name, sizeof(table->name), "%c", name);
	table->key_count = key_counts[choose(choices, 9)];
	table->column_count = table->key_count + 1 + choose(choices, 3);
	for (int i = 0; i < table->column_count; i++)
	{
		Column *column = &table->columns[i];

		(void) snprintf(column->name, sizeof(column->name), "%c%d", i < table->key_count ? 'k' : 'v', i + 1);
		column->type = draw_type(choices);
		column->descending = i < table->key_count && choose_percent(choices, 25);
	}
	table->partitions = 0;
	/* Of these types a hash partition can be made. */
	if (table->key_count > 0 && table->columns[0].type->family != FAMILY_OTHER && choose_percent(choices, 20))
		table->partitions = 1 + choose(choices, 3);
}

static void
add_columns(Text *out, const Table *table)
{
	for (int i = 0; i < table->column_count; i++)
	{
		const Column *column = &table->columns[i];

		text_addf(out, "%s%s %s%s", i == 0 ? "" : ", ", column->name,
				  column->type->column != NULL ? column->type->column : column->type->name,
				  i < table->key_count ? " NOT NULL" : "");
	}
}

static void
add_options(Text *out, const Table *table)
{
	if (table->key_count == 0)
		return;
	text_add(out, " OPTIONS (primary_key '");
	for (int i = 0; i < table->key_count; i++)
		text_addf(out, "%s%s%s", i == 0 ? "" : ", ", table->columns[i].name,
				  table->columns[i].descending ? " DESC" : "");
	text_add(out, "')");
}

static void
add_table(Text *out, const Table *table, bool foreign)
{
	text_addf(out, "CREATE %sTABLE %s (", foreign && table->partitions == 0 ? "FOREIGN " : "", table->name);
	add_columns(out, table);
	if (!foreign && table->partitions == 0 && table->key_count > 0)
	{
		text_add(out, ", PRIMARY KEY (");
		column_names(out, table, table->key_count);
		text_add(out, ")");
	}
	text_add(out, ")");
	if (table->partitions > 0)
		text_addf(out, " PARTITION BY HASH (%s)", table->columns[0].name);
	else if (foreign)
	{
		text_add(out, " SERVER nvmkv");
		add_options(out, table);
	}
	text_add(out, ";\n");
	for (int i = 0; i < table->partitions; i++)
	{
		text_addf(out, "CREATE %sTABLE %s%d PARTITION OF %s FOR VALUES WITH (MODULUS %d, REMAINDER %d)",
				  foreign ? "FOREIGN " : "", table->name, i, table->name, table->partitions, i);
		if (foreign)
		{
			text_add(out, " SERVER nvmkv");
			add_options(out, table);
			text_add(out, ";\n");
			continue;
		}
		text_addf(out, ";\nALTER TABLE %s%d ADD PRIMARY KEY (", table->name, i);
		column_names(out, table, table->key_count);
		text_add(out, ");\n");
	}
}

/* A column of an index, or an expression. */
static void
add_index_column(Text *out, const Table *table, Choices *choices)
{
	static const char *const orders[] = {"", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"};
	const Column *column = &table->columns[choose(choices, table->column_count)];
	const char *name = column->name;

	if (choose_percent(choices, 85))
		text_add(out, name);
	else if (column->type->family == FAMILY_TEXT)
		text_addf(out, "(lower(%s::text))", name);
	else
		text_addf(out, "(%s IS NULL)", name);
	text_add(out, orders[choose(choices, 6)]);
}

/*
 * Some indexes.  Which rows a statement meets first is not the same for both flavours, so that those that are unique
 * have the key in them.
 */
static void
add_indexes(Text *out, const Table *table, Choices *choices)
{
	int count = choose(choices, 3);

	for (int i = 0; i < count; i++)
	{
		int columns = 1 + choose(choices, 2);
		bool unique = table->key_count > 0 && choose_percent(choices, 20);

		text_addf(out, "CREATE %sINDEX ON %s (", unique ? "UNIQUE " : "", table->name);
		for (int j = 0; j < columns; j++)
		{
			text_add(out, j == 0 ? "" : ", ");
			add_index_column(out, table, choices);
		}
		if (unique)
		{
			text_add(out, ", ");
			column_names(out, table, table->key_count);
		}
		text_add(out, ")");
		if (choose_percent(choices, 30))
			text_addf(out, " INCLUDE (%s)", table->columns[choose(choices, table->column_count)].name);
		if (choose_percent(choices, 15))
		{
			const Column *column = &table->columns[choose(choices, table->column_count)];

			text_addf(out, " WHERE %s", column->name);
			if (choose_percent(choices, 50))
				text_add(out, " IS NOT NULL");
			else
			{
				text_add(out, choose_percent(choices, 50) ? " = " : " > ");
				draw_constant(out, choices, column->type);
			}
		}
		text_add(out, ";\n");
	}
}

static void
add_rows(Text *out, const Table *table, Choices *choices)
{
	int count = choose(choices, 25);

	for (int row = 0; row < count; row++)
	{
		text_addf(out, row == 0 ? "INSERT INTO %s VALUES (" : ", (", table->name);
		for (int i = 0; i < table->column_count; i++)
		{
			if (i > 0)
				text_add(out, ", ");
			if (i >= table->key_count && choose_percent(choices, 15))
				text_add(out, "NULL");
			else
				draw_constant(out, choices, table->columns[i].type);
		}
		text_add(out, ")");
	}
	if (count > 0)
		text_add(out, " ON CONFLICT DO NOTHING;\n");
}

static void
add_many_rows(Text *out, const Table *table, Choices *choices)
{
	if (table->key_count == 0 || table->columns[0].type->family != FAMILY_NUMBER || !choose_percent(choices, 25))
		return;
	text_addf(out, "INSERT INTO %s SELECT g::%s", table->name, table->columns[0].type->name);
	for (int i = 1; i < table->column_count; i++)
	{
		text_add(out, ", ");
		draw_constant(out, choices, table->columns[i].type);
	}
	text_addf(out, " FROM generate_series(-5, %d) g ON CONFLICT DO NOTHING;\n", choose_percent(choices, 30) ? 400 : 60);
}

/* The same for both flavours; what moves rows, and what differs, for one. */
void
shape_draw(Shape *shape, Choices *choices)
{
	static const char *const moves[] = {"", "SELECT nvmkv.flush();\n", "SELECT nvmkv.compact();\n"};
	Text both;

	text_init(&both);
	text_init(&shape->heap);
	text_init(&shape->nvmkv);
	text_add(&both, "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');\n");
	text_add(&shape->heap, both.data);
	text_add(&shape->nvmkv, both.data);
	for (int i = 0; i < TABLES; i++)
	{
		Table *table = &shape->tables[i];

		draw_table(table, choices, (char) ('a' + i));
		add_table(&shape->heap, table, false);
		add_table(&shape->nvmkv, table, true);
		for (int part = 0; part < 2; part++)
		{
			text_clear(&both);
			add_rows(&both, table, choices);
			if (part == 0)
				add_many_rows(&both, table, choices);
			if (table->partitions == 0)
				add_indexes(&both, table, choices);
			text_add(&shape->heap, both.data);
			text_add(&shape->nvmkv, both.data);
			text_add(&shape->nvmkv, moves[choose_percent(choices, 30) ? 1 + choose(choices, 2) : 0]);
		}
		if (choose_percent(choices, 50))
		{
			text_addf(&shape->heap, "ANALYZE %s;\n", table->name);
			text_addf(&shape->nvmkv, "ANALYZE %s;\n", table->name);
		}
	}
	text_free(&both);
}

void
shape_free(Shape *shape)
{
	text_free(&shape->heap);
	text_free(&shape->nvmkv);
}
