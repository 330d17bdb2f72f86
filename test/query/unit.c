/*
 * unit.c
 *	  See unit.h.
 */
#include "query/unit.h"

#include <string.h>

#include "query/change.h"

static Text *
add_command(Unit *unit, int ordered)
{
	Command *command = &unit->commands[unit->count++];

	text_init(&command->sql);
	command->ordered = ordered;
	command->nvmkv_only = false;
	return &command->sql;
}

static void
draw_settings(Unit *unit, Choices *choices)
{
	static const char *const settings[] = {
		"enable_seqscan = off", "enable_seqscan = off", "enable_seqscan = off; SET enable_bitmapscan = on",
		"enable_hashjoin = off", "enable_mergejoin = off", "enable_nestloop = off",
		"enable_sort = off", "enable_hashagg = off", "enable_material = off", "enable_memoize = off",
		"enable_indexscan = off", "enable_bitmapscan = off", "enable_incremental_sort = off",
		"enable_partitionwise_join = on", "enable_partitionwise_aggregate = on", "enable_partition_pruning = off",
		"work_mem = '64kB'", "join_collapse_limit = 1", "cursor_tuple_fraction = 1",
		"plan_cache_mode = force_generic_plan", "plan_cache_mode = force_custom_plan", "geqo_threshold = 2",
		"random_page_cost = 0.01", "constraint_exclusion = on",
		/* This one has a new name from version 16 on. */
		"enable_tidscan = on; SELECT set_config(name, 'on', false) FROM pg_settings "
		"WHERE name IN ('force_parallel_mode', 'debug_parallel_query')",
		"parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0"};
	int count = choose_percent(choices, 60) ? 1 + choose(choices, 4) : 0;

	for (int i = 0; i < count; i++)
		text_addf(add_command(unit, 0), "SET %s", settings[choose(choices, sizeof(settings) / sizeof(settings[0]))]);
}

static void
query(Unit *unit, Draw *draw)
{
	Outputs outputs = {.count = 0};
	Text *sql = add_command(unit, 0);
	int ordered;

	draw_with(draw, sql);
	ordered = draw_select(draw, sql, NULL, &outputs, (Order) choose(draw->choices, 3), 2);
	unit->commands[unit->count - 1].ordered = ordered;
}

/* Generic plans come with the sixth execution. */
static void
prepared(Unit *unit, Draw *draw)
{
	static const int counts[] = {1, 2, 7};
	Outputs outputs = {.count = 0};
	Text *sql = add_command(unit, 0);
	Text statement;
	int count = counts[choose(draw->choices, 3)];
	int ordered = 0;

	text_init(&statement);
	draw->with_params = true;
	if (choose_percent(draw->choices, 20))
		draw_change(draw, &statement, &draw->shape->tables[choose(draw->choices, TABLES)]);
	else
		ordered = draw_select(draw, &statement, NULL, &outputs, (Order) choose(draw->choices, 3), 2);
	text_add(sql, "PREPARE p");
	for (int i = 0; i < draw->param_count; i++)
		text_addf(sql, "%s%s%s", i == 0 ? " (" : ", ", draw->params[i]->name, i == draw->param_count - 1 ? ")" : "");
	text_addf(sql, " AS %s", statement.data);
	for (int n = 0; n < count; n++)
	{
		sql = add_command(unit, ordered);
		text_add(sql, "EXECUTE p");
		for (int i = 0; i < draw->param_count; i++)
		{
			text_add(sql, i == 0 ? " (" : ", ");
			if (choose_percent(draw->choices, 5))
				text_add(sql, "NULL");
			else
				draw_constant(sql, draw->choices, draw->params[i]);
			text_add(sql, i == draw->param_count - 1 ? ")" : "");
		}
	}
	text_free(&statement);
}

static void
cursor(Unit *unit, Draw *draw)
{
	static const char *const moves[] = {"NEXT", "3", "PRIOR", "BACKWARD 2", "ALL", "FIRST", "LAST", "ABSOLUTE 2",
		"RELATIVE -1", "BACKWARD ALL", "ABSOLUTE -1", "0", "RELATIVE 2"};
	Outputs outputs = {.count = 0};
	bool hold = choose_percent(draw->choices, 20);
	int count = 1 + choose(draw->choices, 6);
	Text *sql;

	text_add(add_command(unit, 0), "BEGIN");
	sql = add_command(unit, 0);
	text_addf(sql, "DECLARE c SCROLL CURSOR %sFOR ", hold ? "WITH HOLD " : "");
	draw_with(draw, sql);
	(void) draw_select(draw, sql, NULL, &outputs, ORDER_WHOLE, 2);
	for (int i = 0; i < count; i++)
	{
		if (choose_percent(draw->choices, 10))
			draw_change(draw, add_command(unit, 0), &draw->shape->tables[choose(draw->choices, TABLES)]);
		text_addf(add_command(unit, IN_ORDER), "FETCH %s FROM c", moves[choose(draw->choices, 13)]);
	}
	text_add(add_command(unit, 0), "COMMIT");
	if (hold)
		text_add(add_command(unit, IN_ORDER), "FETCH PRIOR FROM c");
}

static void
transaction(Unit *unit, Draw *draw)
{
	static const char *const begins[] = {"BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE"};
	int count = 1 + choose(draw->choices, 3);

	text_add(add_command(unit, 0), begins[choose(draw->choices, 3)]);
	for (int i = 0; i < count; i++)
	{
		const Table *table = &draw->shape->tables[choose(draw->choices, TABLES)];
		bool undone = choose_percent(draw->choices, 25);

		if (undone)
			text_add(add_command(unit, 0), "SAVEPOINT s");
		draw_change(draw, add_command(unit, 0), table);
		if (undone)
			text_add(add_command(unit, 0), choose_percent(draw->choices, 60) ? "ROLLBACK TO s" : "RELEASE s");
		text_addf(add_command(unit, 0), "SELECT * FROM %s", table->name);
	}
	if (choose_percent(draw->choices, 40))
		query(unit, draw);
	text_add(add_command(unit, 0), choose_percent(draw->choices, 50) ? "COMMIT" : "ROLLBACK");
	for (int i = 0; i < TABLES; i++)
		text_addf(add_command(unit, 0), "SELECT * FROM %s", draw->shape->tables[i].name);
}

static void
background(Unit *unit, Choices *choices)
{
	text_add(add_command(unit, 0), choose_percent(choices, 50) ? "SELECT nvmkv.flush()" : "SELECT nvmkv.compact()");
	unit->commands[unit->count - 1].nvmkv_only = true;
}

void
unit_draw(Unit *unit, const Shape *shape, Choices *choices)
{
	Draw draw = {.choices = choices, .shape = shape};
	int kind = choose(choices, 20);

	unit->count = 0;
	draw_settings(unit, choices);
	if (kind < 9)
		query(unit, &draw);
	else if (kind < 12)
		prepared(unit, &draw);
	else if (kind < 14)
		cursor(unit, &draw);
	else if (kind < 19)
		transaction(unit, &draw);
	else
		background(unit, choices);
}

void
unit_free(Unit *unit)
{
	for (int i = 0; i < unit->count; i++)
		text_free(&unit->commands[i].sql);
	memset(unit, 0, sizeof(*unit));
}
