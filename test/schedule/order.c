/*
 * order.c
 *	  See order.h.
 *
 * Depth first: a transaction is tried behind those before it, within a savepoint; what its first wrong result shows
 * need not be looked at in any order that begins so.
 */
#include "schedule/order.h"

#include <string.h>

typedef struct Search
{
	World *reference;
	const Schedule *schedule;
	const char *results[MAX_STEPS]; /* what each step of a transaction has answered */
	const char *content;
	bool left[MAX_SESSIONS];
	int path[MAX_SESSIONS];
	int depth;
} Search;

void
order_committed(const Schedule *schedule, const Transcript *transcript, bool committed[MAX_SESSIONS])
{
	memset(committed, 0, sizeof(bool) * MAX_SESSIONS);
	for (int i = 0; i < transcript->count; i++)
	{
		const Event *event = &transcript->events[i];

		/* The tag: COMMIT of a transaction that had failed answers ROLLBACK. */
		if (event->step >= 0 && event->outcome == OUTCOME_DONE && strcmp(schedule->steps[event->step].sql, "COMMIT") == 0 &&
			strcmp(event->text, "COMMIT\n") == 0)
			committed[schedule->steps[event->step].session] = true;
	}
}

/* Does the transaction of a session answer here what it has answered? */
static bool
answers_alike(Search *search, int number)
{
	for (int i = 0; i < search->schedule->step_count; i++)
	{
		Step step = search->schedule->steps[i];

		if (step.session != number || strncmp(step.sql, "BEGIN", 5) == 0 || strcmp(step.sql, "COMMIT") == 0)
			continue;
		step.session = 0;
		world_do(search->reference, &step);
		if (search->results[i] == NULL || strcmp(search->reference->sessions[0].said.data, search->results[i]) != 0)
			return false;
	}
	return true;
}

static void
do_command(Search *search, const char *sql)
{
	Step step = {.session = 0};

	(void) strcpy(step.sql, sql);
	world_do(search->reference, &step);
}

static bool
content_is_alike(Search *search)
{
	Text content;
	bool alike;

	text_init(&content);
	world_content(search->reference, search->reference->sessions[0].conn, &content);
	alike = strcmp(content.data, search->content) == 0;
	text_free(&content);
	return alike;
}

static bool
search_on(Search *search)
{
	bool any_left = false;

	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (!search->left[i])
			continue;
		any_left = true;
		do_command(search, "SAVEPOINT tried");
		search->left[i] = false;
		search->path[search->depth++] = i;
		if (answers_alike(search, i) && search_on(search))
			return true;
		search->depth--;
		search->left[i] = true;
		do_command(search, "ROLLBACK TO tried; RELEASE tried");
	}
	return !any_left && content_is_alike(search);
}

bool
order_find(World *reference, const Schedule *schedule, const Transcript *transcript, Text *order)
{
	Search search = {.reference = reference, .schedule = schedule, .content = ""};
	bool found;

	text_clear(order);
	order_committed(schedule, transcript, search.left);
	for (int i = 0; i < transcript->count; i++)
	{
		if (transcript->events[i].step >= 0 && transcript->events[i].outcome == OUTCOME_DONE)
			search.results[transcript->events[i].step] = transcript->events[i].text;
		if (transcript->events[i].outcome == OUTCOME_CONTENT)
			search.content = transcript->events[i].text;
	}
	world_prepare(reference, schedule);
	do_command(&search, "BEGIN");
	found = search_on(&search);
	for (int i = 0; found && i < search.depth; i++)
		text_addf(order, "%ss%d", i == 0 ? "" : " ", search.path[i] + 1);
	do_command(&search, "ROLLBACK");
	world_clear(reference, schedule);
	return found;
}
