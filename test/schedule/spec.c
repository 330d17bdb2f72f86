/*
 * spec.c
 *	  See spec.h.
 */
#include "schedule/spec.h"

#include <string.h>

#include "schedule/table.h"

static void
print_block(Text *out, const char *name, const char *lines)
{
	text_addf(out, "%s\n{\n", name);
	while (*lines != '\0')
	{
		size_t length = strcspn(lines, "\n");

		text_addf(out, "  %.*s\n", (int) length, lines);
		lines += length + (lines[length] == '\n');
	}
	text_add(out, "}\n\n");
}

static void
print_sql(Text *out, const char *sql)
{
	for (; *sql != '\0'; sql++)
	{
		if (*sql == '@')
			text_add(out, "spec");
		else
			text_add_char(out, *sql);
	}
}

/* The tester does not see that a session waits for a prepared transaction: it has to be told. */
static bool
waits_unseen(const Schedule *schedule, const Transcript *transcript, int at)
{
	return transcript->events[at].outcome == OUTCOME_WAITS && schedule_has(schedule, KIND_PREPARED);
}

void
spec_print(const Schedule *schedule, const Transcript *transcript, Text *out)
{
	Text lines;

	text_init(&lines);
	table_create(&lines, schedule, FLAVOUR_NVMKV);
	print_block(out, "setup", lines.data);
	text_clear(&lines);
	table_drop(&lines, schedule, FLAVOUR_NVMKV);
	print_block(out, "teardown", lines.data);
	text_free(&lines);
	for (int session = 0; session < MAX_SESSIONS; session++)
	{
		bool any = false;

		for (int i = 0; i < schedule->step_count; i++)
		{
			if (schedule->steps[i].session != session)
				continue;
			if (!any)
				text_addf(out, "session s%d\nsetup\t{ SET enable_seqscan = off; SET enable_bitmapscan = off; }\n",
								  session + 1);
			any = true;
			text_addf(out, "step s%d_%d\t{ ", session + 1, i + 1);
			print_sql(out, schedule->steps[i].sql);
			text_add(out, "; }\n");
		}
		if (any)
			text_add(out, "\n");
	}
	text_addf(out, "session end\nstep sel\t{ SELECT * FROM t ORDER BY %s; }\n\npermutation", key_columns(schedule));
	for (int i = 0; i < transcript->count; i++)
	{
		const Event *event = &transcript->events[i];

		if (event->step >= 0 && !event->late)
			text_addf(out, " s%d_%d%s", schedule->steps[event->step].session + 1, event->step + 1,
							  waits_unseen(schedule, transcript, i) ? "(*)" : "");
	}
	text_add(out, " sel\n");
}
