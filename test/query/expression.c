/*
 * expression.c
 *	  See expression.h.
 */
#include "query/expression.h"

#include "query/select.h"

static const char *const comparisons[] = {"=", "<", "<=", ">", ">=", "<>"};

/* Columns of types, of tables: those that compare with "type", of this one only if "exact". */
static const Var *
var_among(Draw *draw, const Scope *scope, const Type *type, bool exact)
{
	const Var *found[2 * MAX_VARS];
	int count = 0;

	for (const Scope *level = scope; level != NULL && count <= MAX_VARS; level = level == scope ? level->outer : NULL)
	{
		for (int i = 0; i < level->count; i++)
		{
			const Var *var = &level->vars[i];

			if (type == NULL || var->type == type || (!exact && types_compare(var->type, type)))
				found[count++] = var;
		}
	}
	return count == 0 ? NULL : found[choose(draw->choices, count)];
}

const Var *
draw_var(Draw *draw, const Scope *scope, const Type *type)
{
	return var_among(draw, scope, type, true);
}

/* A column to compare: often the first one of a key. */
static const Var *
compared_var(Draw *draw, const Scope *scope)
{
	if (choose_percent(draw->choices, 60))
	{
		const Var *keys[MAX_VARS];
		int count = 0;

		for (int i = 0; i < scope->count; i++)
		{
			if (scope->vars[i].key)
				keys[count++] = &scope->vars[i];
		}
		if (count > 0)
			return keys[choose(draw->choices, count)];
	}
	return draw_var(draw, scope, NULL);
}

static bool
add_param(Draw *draw, Text *out, const Type *type)
{
	if (!draw->with_params || draw->param_count == MAX_PARAMS || !choose_percent(draw->choices, 50))
		return false;
	draw->params[draw->param_count++] = type;
	text_addf(out, "$%d", draw->param_count);
	return true;
}

static void
constant(Draw *draw, Text *out, const Type *type)
{
	if (add_param(draw, out, type))
		return;
	if (choose_percent(draw->choices, 4))
		text_addf(out, "NULL::%s", type->name);
	else
		draw_constant(out, draw->choices, type);
}

/* Some type that compares with this one. */
static const Type *
like_type(Draw *draw, const Type *type)
{
	const Type *found[16];
	int count = 0;

	if (!choose_percent(draw->choices, 35))
		return type;
	for (int i = 0; i < type_count && count < 16; i++)
	{
		if (types_compare(&types[i], type))
			found[count++] = &types[i];
	}
	return found[choose(draw->choices, count)];
}

static void
name_var(Text *out, const Var *var)
{
	text_add(out, var->name);
}

static void
scalar_subquery(Draw *draw, Text *out, const Scope *scope, const Type *type, int depth)
{
	Scope inner = {.outer = scope};
	const Var *var;

	text_add(out, "(SELECT ");
	if (type == type_bigint && choose_percent(draw->choices, 50))
	{
		text_add(out, "count(*) FROM ");
		draw_from(draw, out, &inner, depth - 1);
	}
	else
	{
		Text from;

		text_init(&from);
		draw_from(draw, &from, &inner, depth - 1);
		var = type->has_max ? var_among(draw, &(Scope) {.count = 0, .outer = &inner}, type, true) : NULL;
		if (var != NULL)
			text_addf(out, "%s(%s) FROM ", choose_percent(draw->choices, 50) ? "max" : "min", var->name);
		else
		{
			constant(draw, out, type);
			text_add(out, " FROM ");
		}
		text_add(out, from.data);
		text_free(&from);
		if (var == NULL)
		{
			text_add(out, " LIMIT 1)");
			return;
		}
	}
	text_add(out, " WHERE ");
	draw_condition(draw, out, &inner, depth - 1);
	text_add(out, ")");
}

void
draw_value(Draw *draw, Text *out, const Scope *scope, const Type *type, int depth)
{
	const Var *var = var_among(draw, scope, type, true);
	int kind = choose(draw->choices, depth > 0 ? 12 : 7);

	if (var != NULL && kind < 6)
		name_var(out, var);
	else if (kind <= 6 || depth == 0)
		constant(draw, out, type);
	else if (kind == 7)
	{
		text_add(out, "coalesce(");
		draw_value(draw, out, scope, type, depth - 1);
		text_add(out, ", ");
		draw_value(draw, out, scope, type, depth - 1);
		text_add(out, ")");
	}
	else if (kind == 8)
	{
		text_add(out, "CASE WHEN ");
		draw_condition(draw, out, scope, depth - 1);
		text_add(out, " THEN ");
		draw_value(draw, out, scope, type, depth - 1);
		if (choose_percent(draw->choices, 60))
		{
			text_add(out, " ELSE ");
			draw_value(draw, out, scope, type, depth - 1);
		}
		text_add(out, " END");
	}
	else if (kind == 9 && type->family == FAMILY_NUMBER)
	{
		/* It stays in the type's range. */
		text_add(out, "(least(greatest(");
		draw_value(draw, out, scope, type, depth - 1);
		text_addf(out, ", '-9'::%s), '9'::%s) + %d)::%s", type->name, type->name, 1 + choose(draw->choices, 3), type->name);
	}
	else if (kind == 9 && type == type_text)
	{
		text_add(out, "(");
		draw_value(draw, out, scope, type, depth - 1);
		text_add(out, " || 'b')");
	}
	else if (kind == 9 && type == type_bool)
	{
		text_add(out, "(");
		draw_condition(draw, out, scope, depth - 1);
		text_add(out, ")");
	}
	else
		scalar_subquery(draw, out, scope, type, depth);
}

/* A column, and what its comparisons are followed by: of columns' collations that differ, C is taken. */
static const char *
collation(const Var *var)
{
	return var->type->family == FAMILY_TEXT ? " COLLATE \"C\"" : "";
}

static void
operand(Draw *draw, Text *out, const Scope *scope, const Var *var, int depth)
{
	const Type *type = like_type(draw, var->type);
	const Var *other = choose_percent(draw->choices, 30) ? var_among(draw, scope, type, false) : NULL;

	if (other != NULL)
		text_addf(out, "%s%s", other->name, collation(other));
	else if (depth > 0 && choose_percent(draw->choices, 25))
	{
		draw_value(draw, out, scope, type, depth);
		text_add(out, collation(var));
	}
	else
		constant(draw, out, type);
}

static void
in_list(Draw *draw, Text *out, const Var *var)
{
	int count = 1 + choose(draw->choices, 5);
	bool array = choose_percent(draw->choices, 50);
	const Type *type = array ? var->type : like_type(draw, var->type);

	if (array)
		text_addf(out, "%s %s (ARRAY[", var->name, choose_percent(draw->choices, 85) ? "= ANY" :
				  choose_percent(draw->choices, 50) ? "<> ALL" : "< ANY");
	else
		text_addf(out, "%s %sIN (", var->name, choose_percent(draw->choices, 15) ? "NOT " : "");
	for (int i = 0; i < count; i++)
	{
		text_add(out, i == 0 ? "" : ", ");
		constant(draw, out, type);
	}
	text_add(out, array ? "])" : ")");
}

static void
subquery_condition(Draw *draw, Text *out, const Scope *scope, const Var *var, int depth)
{
	Scope inner = {.outer = scope};
	Text from;

	text_init(&from);
	draw_from(draw, &from, &inner, depth - 1);
	if (choose_percent(draw->choices, 50))
	{
		text_addf(out, "%sEXISTS (SELECT FROM %s WHERE ", choose_percent(draw->choices, 40) ? "NOT " : "", from.data);
		if (draw_join_condition(draw, out, &inner, 0, false))
			text_add(out, " AND ");
		draw_condition(draw, out, &inner, depth - 1);
	}
	else
	{
		const Var *other = var_among(draw, &(Scope) {.count = 0, .outer = &inner}, var->type, false);

		text_addf(out, "%s %s (SELECT ", var->name, choose_percent(draw->choices, 70) ? "IN" :
				  choose_percent(draw->choices, 60) ? "NOT IN" : "<= ALL");
		if (other != NULL)
			text_addf(out, "%s%s", other->name, collation(other));
		else
			constant(draw, out, var->type);
		text_addf(out, " FROM %s WHERE ", from.data);
		draw_condition(draw, out, &inner, depth - 1);
	}
	text_add(out, ")");
	text_free(&from);
}

static void
row_comparison(Draw *draw, Text *out, const Scope *scope, const Var *var)
{
	const Var *vars[MAX_KEYS] = {var};
	int count = 1;

	/* Columns that follow each other are often a key. */
	for (int i = 0; i + 1 < scope->count && count == 1; i++)
	{
		if (&scope->vars[i] != var)
			continue;
		while (count < MAX_KEYS && i + count < scope->count)
		{
			vars[count] = &scope->vars[i + count];
			count++;
		}
	}
	if (count > 2 && choose_percent(draw->choices, 70))
		count = 2;
	text_add(out, "(");
	for (int i = 0; i < count; i++)
		text_addf(out, "%s%s", i == 0 ? "" : ", ", vars[i]->name);
	text_addf(out, ") %s (", comparisons[choose(draw->choices, 6)]);
	for (int i = 0; i < count; i++)
	{
		text_add(out, i == 0 ? "" : ", ");
		constant(draw, out, vars[i]->type);
	}
	text_add(out, ")");
}

static void
pattern(Draw *draw, Text *out, const Var *var)
{
	static const char *const patterns[] = {"a%", "ab%", "%", "a", "a\\%%", "_b%", "%b", "", "a_c", "A%"};

	text_addf(out, "%s %s ", var->name, choose_percent(draw->choices, 80) ? "LIKE" : "NOT LIKE");
	text_addf(out, "'%s'", patterns[choose(draw->choices, 10)]);
}

static void
several(Draw *draw, Text *out, const Scope *scope, int depth, const char *word)
{
	int count = 2 + choose(draw->choices, 2);

	text_add(out, "(");
	for (int i = 0; i < count; i++)
	{
		text_add(out, i == 0 ? "" : word);
		draw_condition(draw, out, scope, depth - 1);
	}
	text_add(out, ")");
}

void
draw_condition(Draw *draw, Text *out, const Scope *scope, int depth)
{
	const Var *var = compared_var(draw, scope);
	int kind = choose(draw->choices, depth > 0 ? 20 : 13);

	if (var == NULL)
		text_add(out, "true");
	else if (kind <= 5)
	{
		text_addf(out, "%s %s ", var->name, comparisons[choose(draw->choices, 6)]);
		operand(draw, out, scope, var, depth);
	}
	else if (kind == 6)
		in_list(draw, out, var);
	else if (kind == 7)
	{
		text_addf(out, "%s %sBETWEEN ", var->name, choose_percent(draw->choices, 10) ? "NOT " : "");
		text_add(out, choose_percent(draw->choices, 15) ? "SYMMETRIC " : "");
		constant(draw, out, like_type(draw, var->type));
		text_add(out, " AND ");
		constant(draw, out, like_type(draw, var->type));
	}
	else if (kind == 8)
		text_addf(out, "%s IS %sNULL", var->name, choose_percent(draw->choices, 60) ? "NOT " : "");
	else if (kind == 9)
		row_comparison(draw, out, scope, var);
	else if (kind == 10 && (var->type == type_text || var->type->family == FAMILY_TEXT))
		pattern(draw, out, var);
	else if (kind == 10 && var->type == type_bool)
		text_addf(out, "%s%s", choose_percent(draw->choices, 50) ? "NOT " : "", var->name);
	else if (kind <= 11)
	{
		text_addf(out, "%s IS %sDISTINCT FROM ", var->name, choose_percent(draw->choices, 60) ? "NOT " : "");
		operand(draw, out, scope, var, depth);
	}
	else if (kind == 12)
		text_add(out, choose_percent(draw->choices, 20) ? "false" : "true");
	else if (kind <= 14)
		several(draw, out, scope, depth, " AND ");
	else if (kind == 15)
		several(draw, out, scope, depth, " OR ");
	else if (kind == 16)
	{
		text_add(out, "NOT (");
		draw_condition(draw, out, scope, depth - 1);
		text_add(out, ")");
	}
	else
		subquery_condition(draw, out, scope, var, depth);
}

bool
draw_join_condition(Draw *draw, Text *out, const Scope *scope, int first, bool equal)
{
	Scope before = {.count = 0, .outer = scope->outer};
	Scope after = {.count = 0};
	const Var *var;
	const Var *other;

	for (int i = 0; i < scope->count; i++)
	{
		Scope *side = i < first ? &before : &after;

		side->vars[side->count++] = scope->vars[i];
	}
	if (first == 0 && scope->outer != NULL)
		before = *scope->outer;
	before.outer = equal ? NULL : before.outer;
	var = compared_var(draw, &after);
	other = var == NULL ? NULL : var_among(draw, &before, var->type, equal);
	if (other == NULL)
		return false;
	text_addf(out, "%s %s %s%s", var->name, equal || choose_percent(draw->choices, 85) ? "=" :
			  comparisons[choose(draw->choices, 6)], other->name, collation(other));
	return true;
}
