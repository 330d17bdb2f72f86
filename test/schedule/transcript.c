/*
 * transcript.c
 *	  See transcript.h.
 */
#include "schedule/transcript.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
copy_string(const char *string)
{
	char *copy = strdup(string);

	if (copy == NULL)
	{
		fprintf(stderr, "no memory\n");
		exit(2);
	}
	return copy;
}

void
transcript_add(Transcript *transcript, Event event, const char *text)
{
	if (transcript->count == MAX_EVENTS)
	{
		fprintf(stderr, "more than %d events\n", MAX_EVENTS);
		exit(2);
	}
	event.text = copy_string(text);
	transcript->events[transcript->count++] = event;
}

void
transcript_clear(Transcript *transcript)
{
	for (int i = 0; i < transcript->count; i++)
		free(transcript->events[i].text);
	transcript->count = 0;
}

void
event_word(const Event *event, char *word, size_t size)
{
	static const char *const words[] = {
		[OUTCOME_DONE] = "done",
		[OUTCOME_FAILED] = "error",
		[OUTCOME_WAITS] = "waits",
		[OUTCOME_DEADLOCK] = "deadlock",
		[OUTCOME_CYCLE] = "cycle",
		[OUTCOME_SPINS] = "spins",
		[OUTCOME_STUCK] = "stuck",
		[OUTCOME_CONTENT] = "content",
	};

	(void) snprintf(word, size, "%s%s%s%s", event->late ? "at last " : "", words[event->outcome],
					event->outcome == OUTCOME_FAILED ? " " : "", event->outcome == OUTCOME_FAILED ? event->code : "");
}

void
transcript_print(const Transcript *transcript, const Schedule *schedule, Text *out)
{
	for (int i = 0; i < transcript->count; i++)
	{
		const Event *event = &transcript->events[i];
		char word[64];
		char *copy = copy_string(event->text);
		char *rest = NULL;

		event_word(event, word, sizeof(word));
		if (event->step >= 0)
			text_addf(out, "  s%d %s: %s\n", schedule->steps[event->step].session + 1, word,
							  schedule->steps[event->step].sql);
		else
			text_addf(out, "  %s\n", word);
		for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
			text_addf(out, "       %s\n", line);
		free(copy);
	}
}

static bool
same_event(const Event *a, const Event *b)
{
	if (a->step != b->step || a->outcome != b->outcome || a->late != b->late)
		return false;
	/* Messages name what is called differently. */
	return a->outcome == OUTCOME_FAILED ? strcmp(a->code, b->code) == 0 : strcmp(a->text, b->text) == 0;
}

int
transcript_difference(const Transcript *a, const Transcript *b)
{
	int i;

	for (i = 0; i < a->count && i < b->count; i++)
	{
		if (!same_event(&a->events[i], &b->events[i]))
			return i;
	}
	return a->count == b->count ? -1 : i;
}

bool
transcript_differs_by_alarm(const Transcript *a, const Transcript *b)
{
	int i = transcript_difference(a, b);

	if (i < 0 || i >= a->count || i >= b->count)
		return false;
	return a->events[i].alarm != b->events[i].alarm;
}
