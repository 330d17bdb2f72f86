/*
 * watch.c
 *	  Who waits for whom: world_settle() of world.h.
 */
#include "schedule/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRAPH_BYTES 512

static int
count_busy(const World *world)
{
	int count = 0;

	for (int i = 0; i < MAX_SESSIONS; i++)
		count += world->sessions[i].busy ? 1 : 0;
	return count;
}

/* Whom each busy session waits for, as text that changes with it; marks those who wait. */
static void
read_graph(World *world, char *graph, bool edges[MAX_SESSIONS][MAX_SESSIONS])
{
	char pids[128] = "{";
	const char *values[1] = {pids};
	PGresult *result;
	int row = 0;

	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (world->sessions[i].busy)
			(void) snprintf(pids + strlen(pids), sizeof(pids) - strlen(pids), "%s%d", pids[1] == '\0' ? "" : ",",
							world->sessions[i].pid);
	}
	(void) strncat(pids, "}", sizeof(pids) - strlen(pids) - 1);
	result = PQexecPrepared(world->control, "blockers", 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		world_give_up(world, "who waits", PQresultErrorMessage(result));
	memset(edges, 0, sizeof(bool) * MAX_SESSIONS * MAX_SESSIONS);
	graph[0] = '\0';
	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		const char *blockers;

		if (!world->sessions[i].busy)
			continue;
		blockers = PQgetvalue(result, row++, 0);
		world->sessions[i].blocked = blockers[0] != '\0';
		(void) snprintf(graph + strlen(graph), GRAPH_BYTES - strlen(graph), "%d:%s;", i, blockers);
		while (*blockers != '\0')
		{
			char *next;
			long pid = strtol(blockers, &next, 10);

			for (int j = 0; j < MAX_SESSIONS; j++)
				edges[i][j] |= world->sessions[j].pid == pid;
			blockers = next + (*next == ' ');
		}
	}
	PQclear(result);
}

static bool
has_cycle(bool edges[MAX_SESSIONS][MAX_SESSIONS])
{
	for (int k = 0; k < MAX_SESSIONS; k++)
	{
		for (int i = 0; i < MAX_SESSIONS; i++)
		{
			for (int j = 0; j < MAX_SESSIONS; j++)
				edges[i][j] |= edges[i][k] && edges[k][j];
		}
	}
	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (edges[i][i])
			return true;
	}
	return false;
}

/* Was one of these told, and has answered since? */
static bool
told_of_deadlock(const World *world, const bool asked[MAX_SESSIONS])
{
	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (asked[i] && !world->sessions[i].busy && strcmp(world->sessions[i].code, "40P01") == 0)
			return true;
	}
	return false;
}

/*
 * Heap tables only, for these say what is right.  Those who wait for a row stand in a queue, of which only the
 * first waits for the transaction that has the row; those who want a key wait for the transaction without a queue.
 */
static void
read_races(World *world)
{
	PGresult *result;

	world->racing = false;
	if (world->flavour == FLAVOUR_NVMKV || count_busy(world) < 2)
		return;
	result = PQexecPrepared(world->control, "races", 0, NULL, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		world_give_up(world, "who races", PQresultErrorMessage(result));
	world->racing = PQntuples(result) > 0;
	PQclear(result);
}

/*
 * One query asks for one session after the other, so a session that is shown waiting may have gone on because of
 * one that is shown after it.  What is shown as often as there are waiters, without a change, is so: those who wait
 * for idle ones were right at first, those who wait for these in the next answer, and so on.
 */
Settled
world_settle(World *world, int patience)
{
	long start = world_now();
	char last[GRAPH_BYTES] = "";
	int same = 0;
	int pause = 1;
	bool asked[MAX_SESSIONS];

	for (int i = 0; i < MAX_SESSIONS; i++)
		asked[i] = world->sessions[i].busy;
	world_wait(world, 1);
	for (;;)
	{
		bool edges[MAX_SESSIONS][MAX_SESSIONS];
		char graph[GRAPH_BYTES];
		bool all_blocked = true;
		bool cycle;

		(void) world_receive(world);
		if (told_of_deadlock(world, asked))
			return SETTLED_DEADLOCK;
		world->racing = false;
		if (count_busy(world) == 0)
			return SETTLED;
		read_graph(world, graph, edges);
		cycle = has_cycle(edges);
		for (int i = 0; i < MAX_SESSIONS; i++)
			all_blocked &= !world->sessions[i].busy || world->sessions[i].blocked;
		same = all_blocked && !cycle && strcmp(graph, last) == 0 ? same + 1 : 0;
		(void) strcpy(last, graph);
		if (world_receive(world))
			continue;
		if (same >= count_busy(world))
		{
			read_races(world);
			return SETTLED;
		}
		if (world_now() - start > patience)
			return all_blocked ? SETTLED_CYCLE : SETTLED_SPINS;
		if (!all_blocked || cycle)
		{
			world_wait(world, pause);
			pause = pause < 10 ? pause + 1 : 10;
		}
	}
}
