/*
 * round.c
 *	  See round.h.
 */
#include "query/round.h"

#include <stdio.h>
#include <string.h>

void
round_draw(Round *round, uint64_t seed, int unit_count)
{
	Random seeds = {seed};
	Shape shape;

	round->seed = seed;
	round->unit_count = unit_count;
	choices_begin(&round->shape, random_next(&seeds));
	shape_draw(&shape, &round->shape);
	for (int i = 0; i < unit_count; i++)
	{
		Unit unit;

		choices_begin(&round->units[i], random_next(&seeds));
		unit_draw(&unit, &shape, &round->units[i]);
		unit_free(&unit);
	}
	shape_free(&shape);
}

static const char *
code_of(const Answer *answer)
{
	return answer->code[0] == '\0' ? "none" : answer->code;
}

static bool
is_internal(const Answer *answer)
{
	return strncmp(answer->code, "XX", 2) == 0;
}

static void
compare(const Command *command, Difference *difference)
{
	const Answer *heap = &difference->heap;
	const Answer *twin = &difference->twin;
	const char *kind = "";

	if (heap->lost || twin->lost)
		kind = "lost connection";
	else if (command->nvmkv_only && twin->code[0] == '\0')
		kind = "";
	else if (strcmp(heap->code, twin->code) != 0 || is_internal(heap))
	{
		(void) snprintf(difference->kind, sizeof(difference->kind), "error %s / %s", code_of(heap), code_of(twin));
		return;
	}
	else if (strcmp(heap->warnings.data, twin->warnings.data) != 0)
		kind = "warning";
	else if (heap->code[0] == '\0' && strcmp(heap->tag.data, twin->tag.data) != 0)
		kind = "tag";
	else if (strcmp(heap->rows.data, twin->rows.data) != 0)
		kind = "rows";
	else if (strcmp(heap->heads.data, twin->heads.data) != 0)
		kind = "order";
	(void) snprintf(difference->kind, sizeof(difference->kind), "%s", kind);
}

static bool
timed_out(const Answer *answer)
{
	return strcmp(answer->code, CANCELED) == 0;
}

/* False if the round ends with this command. */
static bool
run_command(Pair *pair, const Command *command, Counts *counts, Difference *difference)
{
	answer_free(&difference->heap);
	answer_free(&difference->twin);
	answer_init(&difference->heap);
	answer_init(&difference->twin);
	side_run(&pair->heap, command, &difference->heap);
	side_run(&pair->twin, command, &difference->twin);
	counts->commands++;
	if (timed_out(&difference->heap) || timed_out(&difference->twin))
	{
		counts->timeouts++;
		return false;
	}
	if (difference->heap.code[0] != '\0')
		counts->errors++;
	compare(command, difference);
	return difference->kind[0] == '\0';
}

static bool
prepare(Pair *pair, const Shape *shape, Counts *counts, Difference *difference)
{
	bool heap = side_prepare(&pair->heap, shape, &difference->heap);
	bool twin = side_prepare(&pair->twin, shape, &difference->twin);

	if (heap && twin)
		return true;
	difference->unit = -1;
	if (timed_out(&difference->heap) || timed_out(&difference->twin))
		counts->timeouts++;
	else
		(void) snprintf(difference->kind, sizeof(difference->kind), "tables %s / %s", code_of(&difference->heap),
						code_of(&difference->twin));
	return false;
}

void
round_run(Pair *pair, Round *round, Counts *counts, Difference *difference)
{
	Shape shape;
	bool goes_on;

	memset(difference, 0, sizeof(*difference));
	answer_init(&difference->heap);
	answer_init(&difference->twin);
	counts->rounds++;
	choices_again(&round->shape);
	shape_draw(&shape, &round->shape);
	goes_on = prepare(pair, &shape, counts, difference);
	for (int i = 0; i < round->unit_count && goes_on; i++)
	{
		Unit unit;

		choices_again(&round->units[i]);
		unit_draw(&unit, &shape, &round->units[i]);
		for (int n = 0; n < unit.count && goes_on; n++)
		{
			difference->unit = i;
			difference->command = n;
			goes_on = run_command(pair, &unit.commands[n], counts, difference);
		}
		unit_free(&unit);
		side_reset(&pair->heap);
		side_reset(&pair->twin);
	}
	shape_free(&shape);
}

void
difference_free(Difference *difference)
{
	answer_free(&difference->heap);
	answer_free(&difference->twin);
}

void
round_print(const Round *round, int marked_unit, int marked_command, Text *out)
{
	Choices choices = round->shape;
	Shape shape;

	choices_again(&choices);
	shape_draw(&shape, &choices);
	text_addf(out, "%s-- beside\n", shape.nvmkv.data);
	text_add(out, shape.heap.data);
	for (int i = 0; i < round->unit_count; i++)
	{
		Unit unit;

		choices = round->units[i];
		choices_again(&choices);
		unit_draw(&unit, &shape, &choices);
		text_add(out, "-- a unit\n");
		for (int n = 0; n < unit.count; n++)
			text_addf(out, "%s;%s\n", unit.commands[n].sql.data, i == marked_unit && n == marked_command ? " -- <<<" : "");
		unit_free(&unit);
	}
	shape_free(&shape);
}
