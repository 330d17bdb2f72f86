/*
 * from.c
 *	  What stands behind FROM, and WITH: see select.h.
 */
#include "query/select.h"

#include <stdio.h>

static void
scope_add(Scope *scope, const char *alias, const char *column, const Type *type, bool key)
{
	Var *var;

	if (scope->count == MAX_VARS)
		return;
	var = &scope->vars[scope->count++];
	(void) snprintf(var->name, sizeof(var->name), "%s.%s", alias, column);
	var->type = type;
	var->key = key;
}

void
scope_add_table(Scope *scope, const Table *table, const char *alias)
{
	for (int i = 0; i < table->column_count; i++)
		scope_add(scope, alias, table->columns[i].name, table->columns[i].type, i == 0 && table->key_count > 0);
}

static void
add_outputs(Scope *scope, const Outputs *outputs, const char *alias)
{
	for (int i = 0; i < outputs->count; i++)
	{
		char column[16];

		(void) snprintf(column, sizeof(column), "c%d", i + 1);
		scope_add(scope, alias, column, outputs->types[i], false);
	}
}

static void
subquery(Draw *draw, Text *out, Scope *scope, const Scope *seen, const char *alias, int depth)
{
	Outputs outputs = {.count = 0};

	text_add(out, "(");
	(void) draw_select(draw, out, seen, &outputs, choose_percent(draw->choices, 25) ? ORDER_WHOLE : ORDER_NONE,
					   depth - 1);
	text_addf(out, ") %s", alias);
	add_outputs(scope, &outputs, alias);
}

static void
values(Draw *draw, Text *out, Scope *scope, const char *alias)
{
	const Type *type = &types[choose(draw->choices, type_count)];
	int count = 1 + choose(draw->choices, 5);

	text_add(out, "(VALUES ");
	for (int i = 0; i < count; i++)
	{
		text_add(out, i == 0 ? "(" : ", (");
		draw_constant(out, draw->choices, type);
		text_addf(out, ", %d)", choose(draw->choices, 6));
	}
	text_addf(out, ") %s (c1, c2)", alias);
	add_outputs(scope, &(Outputs) {{type, type_int}, 2}, alias);
}

/* "lateral": it may look at what is in FROM before it. */
static void
from_item(Draw *draw, Text *out, Scope *scope, bool lateral, int depth)
{
	char alias[16];
	Scope before = *scope;
	int kind = choose(draw->choices, depth > 0 ? 12 : 8);

	(void) snprintf(alias, sizeof(alias), "r%d", ++draw->aliases);
	if (kind >= 10 && depth > 0)
	{
		if (lateral)
			text_add(out, "LATERAL ");
		subquery(draw, out, scope, lateral ? &before : scope->outer, alias, depth);
	}
	else if (kind == 7)
		values(draw, out, scope, alias);
	else if (kind == 9)
	{
		int begin = choose(draw->choices, 4);

		text_addf(out, "generate_series(%d, %d) %s (c1)", begin, choose(draw->choices, 10), alias);
		add_outputs(scope, &(Outputs) {{type_int}, 1}, alias);
	}
	else if (kind >= 5 && draw->query_count > 0)
	{
		int number = choose(draw->choices, draw->query_count);

		text_addf(out, "w%d %s", number + 1, alias);
		add_outputs(scope, &draw->queries[number], alias);
	}
	else
	{
		const Table *table = &draw->shape->tables[choose(draw->choices, TABLES)];

		text_addf(out, "%s %s", table->name, alias);
		scope_add_table(scope, table, alias);
	}
}

static void
join(Draw *draw, Text *out, Scope *scope, int depth)
{
	static const char *const words[] = {"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"};
	int first = scope->count;
	int kind = choose(draw->choices, 4);
	bool lateral = kind < 2 && choose_percent(draw->choices, 50);
	Text item;
	Text condition;

	text_init(&item);
	text_init(&condition);
	from_item(draw, &item, scope, lateral, depth);
	if (!draw_join_condition(draw, &condition, scope, first, kind == 3))
	{
		/* Of a full join only equality is understood. */
		if (kind == 3)
			text_addf(out, " CROSS JOIN %s", item.data);
		else
			draw_condition(draw, &condition, scope, 0);
	}
	else if (kind < 3 && choose_percent(draw->choices, 25))
	{
		text_add(&condition, " AND ");
		draw_condition(draw, &condition, scope, depth > 0 ? depth - 1 : 0);
	}
	if (condition.length > 0)
		text_addf(out, " %s %s ON %s", words[kind], item.data, condition.data);
	text_free(&item);
	text_free(&condition);
}

void
draw_from(Draw *draw, Text *out, Scope *scope, int depth)
{
	static const int joins[] = {0, 0, 0, 1, 1, 1, 2, 3};
	int count = joins[choose(draw->choices, depth > 0 ? 8 : 5)];

	from_item(draw, out, scope, false, depth);
	for (int i = 0; i < count; i++)
		join(draw, out, scope, depth);
}

void
draw_with(Draw *draw, Text *out)
{
	int count = choose_percent(draw->choices, 15) ? 1 + choose(draw->choices, MAX_QUERIES) : 0;

	for (int i = 0; i < count; i++)
	{
		static const char *const how[] = {"", "MATERIALIZED ", "NOT MATERIALIZED "};
		Outputs outputs = {.count = 0};

		text_addf(out, "%sw%d AS %s(", i == 0 ? "WITH " : ", ", i + 1, how[choose(draw->choices, 3)]);
		(void) draw_select(draw, out, NULL, &outputs, ORDER_NONE, 1);
		text_add(out, i == count - 1 ? ") " : ")");
		draw->queries[draw->query_count++] = outputs;
	}
}
