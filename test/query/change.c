/*
 * change.c
 *	  See change.h.
 */
#include "query/change.h"

/* The target's alias is t.  What joins find more than once changes a row to the same. */
static void
returning(Draw *draw, Text *out, const Scope *target, Outputs *outputs)
{
	*outputs = (Outputs) {.count = 0};
	if (!choose_percent(draw->choices, 50))
		return;
	outputs->count = 1 + choose(draw->choices, MAX_OUTPUTS - 1);
	for (int i = 0; i < outputs->count; i++)
	{
		outputs->types[i] = draw_var(draw, target, NULL)->type;
		text_add(out, i == 0 ? " RETURNING " : ", ");
		draw_value(draw, out, target, outputs->types[i], 0);
		text_addf(out, " AS c%d", i + 1);
	}
}

/* FROM or USING and more tables, sometimes; then WHERE. */
static void
others_and_where(Draw *draw, Text *out, const Scope *target, const char *word)
{
	Scope scope = *target;
	bool joined = choose_percent(draw->choices, 35);

	if (joined)
	{
		Scope others = {.count = 0};

		text_addf(out, " %s ", word);
		draw_from(draw, out, &others, 1);
		for (int i = 0; i < others.count && scope.count < MAX_VARS; i++)
			scope.vars[scope.count++] = others.vars[i];
	}
	text_add(out, " WHERE ");
	if (joined && draw_join_condition(draw, out, &scope, target->count, false))
		text_add(out, " AND ");
	draw_condition(draw, out, &scope, 1);
}

static void
set_values(Draw *draw, Text *out, const Table *table, const Scope *target)
{
	int first = table->key_count + choose(draw->choices, table->column_count - table->key_count);

	for (int i = first; i < table->column_count; i++)
	{
		text_addf(out, "%s%s = ", i == first ? "" : ", ", table->columns[i].name);
		draw_value(draw, out, target, table->columns[i].type, 1);
		if (choose_percent(draw->choices, 50))
			break;
	}
}

static void
whole_key(Draw *draw, Text *out, const Table *table)
{
	for (int i = 0; i < table->key_count; i++)
	{
		text_addf(out, "%st.%s = ", i == 0 ? "" : " AND ", table->columns[i].name);
		draw_constant(out, draw->choices, table->columns[i].type);
	}
}

static void
update(Draw *draw, Text *out, const Table *table, const Scope *target, Outputs *outputs)
{
	text_addf(out, "UPDATE %s t SET ", table->name);
	if (table->key_count > 0 && choose_percent(draw->choices, 20))
	{
		/* One row moves: of several, some might be where others go. */
		const Column *column = &table->columns[choose(draw->choices, table->key_count)];

		text_addf(out, "%s = ", column->name);
		draw_constant(out, draw->choices, column->type);
		text_add(out, " WHERE ");
		whole_key(draw, out, table);
	}
	else
	{
		set_values(draw, out, table, target);
		others_and_where(draw, out, target, "FROM");
	}
	returning(draw, out, target, outputs);
}

static void
delete(Draw *draw, Text *out, const Table *table, const Scope *target, Outputs *outputs)
{
	text_addf(out, "DELETE FROM %s t", table->name);
	others_and_where(draw, out, target, "USING");
	returning(draw, out, target, outputs);
}

static void
one_row(Draw *draw, Text *out, const Table *table)
{
	text_add(out, "VALUES (");
	for (int i = 0; i < table->column_count; i++)
	{
		text_add(out, i == 0 ? "" : ", ");
		draw_constant(out, draw->choices, table->columns[i].type);
	}
	text_add(out, ")");
}

/* Rows in an order of their own: of those with the same key the same one comes first. */
static void
rows_of_query(Draw *draw, Text *out, const Table *table)
{
	Scope scope = {.count = 0};
	Text from;

	text_init(&from);
	draw_from(draw, &from, &scope, 1);
	text_add(out, "SELECT ");
	for (int i = 0; i < table->column_count; i++)
	{
		const Type *type = table->columns[i].type;

		text_add(out, i == 0 ? "" : ", ");
		text_add(out, i < table->key_count ? "coalesce(" : "");
		draw_value(draw, out, &scope, type, 1);
		if (i < table->key_count)
			text_addf(out, ", '%s'::%s)", type->values[0], type->name);
	}
	text_addf(out, " FROM %s WHERE ", from.data);
	draw_condition(draw, out, &scope, 1);
	text_add(out, " ORDER BY 1");
	for (int i = 1; i < table->column_count; i++)
		text_addf(out, ", %d", i + 1);
	text_free(&from);
}

static void
insert(Draw *draw, Text *out, const Table *table, const Scope *target, Outputs *outputs)
{
	bool one = choose_percent(draw->choices, 40);

	text_addf(out, "INSERT INTO %s AS t ", table->name);
	if (one)
		one_row(draw, out, table);
	else
		rows_of_query(draw, out, table);
	if (table->key_count > 0 && table->partitions == 0 && choose_percent(draw->choices, 50))
	{
		text_add(out, " ON CONFLICT (");
		column_names(out, table, table->key_count);
		text_add(out, ") DO UPDATE SET ");
		set_values(draw, out, table, target);
		if (choose_percent(draw->choices, 30))
		{
			text_add(out, " WHERE ");
			draw_condition(draw, out, target, 0);
		}
	}
	else if (!one || choose_percent(draw->choices, 50))
		text_add(out, " ON CONFLICT DO NOTHING");
	returning(draw, out, target, outputs);
}

static void
lock(Draw *draw, Text *out, const Table *table, const Scope *target)
{
	static const char *const strengths[] = {"UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"};
	static const char *const waits[] = {"", " NOWAIT", " SKIP LOCKED"};

	text_addf(out, "SELECT * FROM %s t WHERE ", table->name);
	draw_condition(draw, out, target, 1);
	text_addf(out, " FOR %s", strengths[choose(draw->choices, 4)]);
	text_add(out, waits[choose(draw->choices, 3)]);
}

void
draw_change(Draw *draw, Text *out, const Table *table)
{
	Scope target = {.count = 0};
	Outputs outputs = {.count = 0};
	bool read = choose_percent(draw->choices, 10);
	Text change;

	scope_add_table(&target, table, "t");
	text_init(&change);
	switch (choose(draw->choices, 10))
	{
		case 0:
		case 1:
		case 2:
			delete(draw, &change, table, &target, &outputs);
			break;
		case 3:
		case 4:
		case 5:
			update(draw, &change, table, &target, &outputs);
			break;
		case 6:
			lock(draw, &change, table, &target);
			break;
		default:
			insert(draw, &change, table, &target, &outputs);
			break;
	}
	if (read && outputs.count > 0)
	{
		draw->query_count = 1;
		draw->queries[0] = outputs;
		text_addf(out, "WITH w1 AS (%s) ", change.data);
		outputs.count = 0;
		(void) draw_select(draw, out, NULL, &outputs, ORDER_NONE, 1);
		draw->query_count = 0;
	}
	else
		text_add(out, change.data);
	text_free(&change);
}
