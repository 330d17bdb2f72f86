/*
 * select.c
 *	  See select.h.
 */
#include "query/select.h"

/* Types of the result, if they are not given: those of columns, in the order of a table, which is that of its key. */
static void
draw_outputs(Draw *draw, const Scope *scope, Outputs *outputs)
{
	int first;

	if (outputs->count > 0)
		return;
	outputs->count = 1 + choose(draw->choices, MAX_OUTPUTS - 1);
	first = choose_percent(draw->choices, 50) ? choose(draw->choices, scope->count) : 0;
	for (int i = 0; i < outputs->count; i++)
		outputs->types[i] = scope->vars[(first + i) % scope->count].type;
}

static void
add_where(Draw *draw, Text *out, const Scope *scope, int depth)
{
	if (choose_percent(draw->choices, 85))
	{
		text_add(out, " WHERE ");
		draw_condition(draw, out, scope, depth);
	}
}

static void
plain(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, int depth, bool distinct)
{
	Scope scope = {.outer = outer};
	Text from;

	text_init(&from);
	draw_from(draw, &from, &scope, depth);
	draw_outputs(draw, &scope, outputs);
	text_add(out, distinct ? "SELECT DISTINCT " : "SELECT ");
	for (int i = 0; i < outputs->count; i++)
	{
		const Var *var = i < scope.count && scope.vars[i].type == outputs->types[i] ? &scope.vars[i] : NULL;

		text_add(out, i == 0 ? "" : ", ");
		if (var != NULL && choose_percent(draw->choices, 50))
			text_add(out, var->name);
		else
			draw_value(draw, out, &scope, outputs->types[i], depth);
		text_addf(out, " AS c%d", i + 1);
	}
	text_addf(out, " FROM %s", from.data);
	add_where(draw, out, &scope, depth);
	text_free(&from);
}

/* An aggregate of a type, or false. */
static bool
aggregate(Draw *draw, Text *out, const Scope *scope, const Type *type)
{
	const Scope own = {.count = 0, .outer = scope};
	const Var *var = draw_var(draw, &own, type);
	int kind = choose(draw->choices, 4);

	if (type == type_bigint && (kind < 2 || var == NULL))
	{
		const Var *counted = draw_var(draw, &own, NULL);
		const Var *summed = draw_var(draw, &own, type_int);

		if (kind == 0)
			text_add(out, "count(*)");
		else if (kind == 1 && summed != NULL)
			text_addf(out, "sum(%s)", summed->name);
		else
			text_addf(out, "count(%s%s)", choose_percent(draw->choices, 50) ? "DISTINCT " : "", counted->name);
	}
	else if (type == type_text && var != NULL && kind < 2)
		text_addf(out, "string_agg(%s, ',' ORDER BY %s)", var->name, var->name);
	else if (type == type_numeric && var != NULL && kind < 2)
		text_addf(out, "sum(%s)", var->name);
	else if (type == type_bool && var != NULL)
		text_addf(out, "%s(%s)", kind < 2 ? "bool_or" : "bool_and", var->name);
	else if (type->has_max && var != NULL)
		text_addf(out, "%s(%s)", kind % 2 == 0 ? "max" : "min", var->name);
	else
		return false;
	if (choose_percent(draw->choices, 15))
	{
		text_add(out, " FILTER (WHERE ");
		draw_condition(draw, out, scope, 0);
		text_add(out, ")");
	}
	return true;
}

static void
grouped(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, int depth)
{
	static const char *const how[] = {"", "", "", "ROLLUP ", "CUBE "};
	Scope scope = {.outer = outer};
	const Var *groups[3];
	int count = choose(draw->choices, 4);
	bool free_types = outputs->count == 0;
	Text from;

	text_init(&from);
	draw_from(draw, &from, &scope, depth);
	for (int i = 0; i < count; i++)
		groups[i] = draw_var(draw, &(Scope) {.count = 0, .outer = &scope}, NULL);
	draw_outputs(draw, &scope, outputs);
	text_add(out, "SELECT ");
	for (int i = 0; i < outputs->count; i++)
	{
		const Var *group = NULL;

		if (free_types && count > 0 && choose_percent(draw->choices, 50))
			outputs->types[i] = groups[choose(draw->choices, count)]->type;
		else if (free_types && choose_percent(draw->choices, 40))
			outputs->types[i] = type_bigint;
		for (int n = 0; n < count; n++)
		{
			if (groups[n]->type == outputs->types[i])
				group = groups[n];
		}
		text_add(out, i == 0 ? "" : ", ");
		if (group != NULL)
			text_add(out, group->name);
		else if (!aggregate(draw, out, &scope, outputs->types[i]))
			draw_value(draw, out, &(Scope) {.count = 0}, outputs->types[i], 0);
		text_addf(out, " AS c%d", i + 1);
	}
	text_addf(out, " FROM %s", from.data);
	add_where(draw, out, &scope, depth);
	if (count > 0)
		text_addf(out, " GROUP BY %s(", how[choose(draw->choices, 5)]);
	for (int i = 0; i < count; i++)
		text_addf(out, "%s%s%s", i == 0 ? "" : ", ", groups[i]->name, i == count - 1 ? ")" : "");
	if (choose_percent(draw->choices, 20))
		text_addf(out, " HAVING count(*) > %d", choose(draw->choices, 3));
	text_free(&from);
}

static void
window(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, int depth)
{
	static const char *const functions[] = {"rank()", "dense_rank()", "count(*)"};
	Scope scope = {.outer = outer};
	Scope own = {.count = 0, .outer = &scope};
	bool free_types = outputs->count == 0;
	Text from;

	text_init(&from);
	draw_from(draw, &from, &scope, depth);
	draw_outputs(draw, &scope, outputs);
	text_add(out, "SELECT ");
	for (int i = 0; i < outputs->count; i++)
	{
		const Var *var;
		bool over = choose_percent(draw->choices, 60);

		if (free_types && choose_percent(draw->choices, 40))
			outputs->types[i] = type_bigint;
		var = draw_var(draw, &own, outputs->types[i]);
		text_add(out, i == 0 ? "" : ", ");
		if (outputs->types[i] == type_bigint && over)
			text_add(out, functions[choose(draw->choices, 3)]);
		else if (var != NULL && outputs->types[i]->has_max && over)
			text_addf(out, "max(%s)", var->name);
		else
		{
			draw_value(draw, out, &scope, outputs->types[i], 0);
			over = false;
		}
		if (over)
		{
			text_add(out, " OVER (");
			if (choose_percent(draw->choices, 60))
				text_addf(out, "PARTITION BY %s ", draw_var(draw, &own, NULL)->name);
			text_addf(out, "ORDER BY %s", draw_var(draw, &own, NULL)->name);
			text_add(out, choose_percent(draw->choices, 30) ? " DESC)" : ")");
		}
		text_addf(out, " AS c%d", i + 1);
	}
	text_addf(out, " FROM %s", from.data);
	add_where(draw, out, &scope, depth);
	text_free(&from);
}

static void
set_operation(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, int depth)
{
	static const char *const words[] = {"UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"};

	text_add(out, "(");
	(void) draw_select(draw, out, outer, outputs, ORDER_NONE, depth - 1);
	text_addf(out, ") %s (", words[choose(draw->choices, 6)]);
	(void) draw_select(draw, out, outer, outputs, ORDER_NONE, depth - 1);
	text_add(out, ")");
}

static int
order_by(Draw *draw, Text *out, const Outputs *outputs, Order order)
{
	int count = order == ORDER_WHOLE ? outputs->count : 1 + choose(draw->choices, outputs->count);
	bool backwards = choose_percent(draw->choices, 40);

	for (int i = 0; i < count; i++)
	{
		bool descending = backwards != choose_percent(draw->choices, 15);

		text_addf(out, "%s%d%s%s", i == 0 ? " ORDER BY " : ", ", i + 1, descending ? " DESC" : "",
				  choose_percent(draw->choices, 15) ? descending ? " NULLS LAST" : " NULLS FIRST" : "");
	}
	if (order == ORDER_WHOLE && choose_percent(draw->choices, 60))
		text_addf(out, " LIMIT %d", choose(draw->choices, 6));
	if (order == ORDER_WHOLE && choose_percent(draw->choices, 20))
		text_addf(out, " OFFSET %d", choose(draw->choices, 4));
	return count;
}

int
draw_select(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, Order order, int depth)
{
	int kind = choose(draw->choices, depth > 0 ? 12 : 10);

	if (kind <= 4)
		plain(draw, out, outer, outputs, depth, false);
	else if (kind <= 6)
		grouped(draw, out, outer, outputs, depth);
	else if (kind <= 7)
		plain(draw, out, outer, outputs, depth, true);
	else if (kind <= 9 || depth == 0)
		window(draw, out, outer, outputs, depth);
	else
		set_operation(draw, out, outer, outputs, depth);
	return order == ORDER_NONE ? 0 : order_by(draw, out, outputs, order);
}
