/*
 * world.h
 *	  Sessions that work on one flavour of the tables, and one that watches who waits for whom.
 *
 * A step is over when its session has answered or waits for a lock.  Waiting is what pg_blocking_pids() says, as it
 * is for PostgreSQL's isolation tester; but prepared transactions count among those that are waited for.
 */
#ifndef NVMKV_SCHEDULE_WORLD_H
#define NVMKV_SCHEDULE_WORLD_H

#include <postgresql/libpq-fe.h>

#include "schedule/schedule.h"

typedef struct Session
{
	PGconn *conn;
	int pid;
	bool busy;
	bool blocked; /* busy, and waits for a lock */
	Text said; /* rows, tags, notices, errors: a line each; in order once it is not busy */
	char code[6]; /* SQLSTATE of the statement that failed, or empty */
	bool alarm; /* it failed for what SERIALIZABLE transactions have read and written */
	bool committed; /* the last command tag was COMMIT */
} Session;

typedef struct World
{
	Flavour flavour;
	char schema[64];
	const char *conninfo;
	Session sessions[MAX_SESSIONS];
	PGconn *control;
	bool racing; /* at the last settling two waited for the same transaction: both go on when it ends, in any order */
} World;

typedef enum Settled
{
	SETTLED, /* each session has answered, or waits for one that is idle, or for a prepared transaction */
	SETTLED_DEADLOCK, /* one was told that it is in a deadlock */
	SETTLED_CYCLE, /* they wait for each other, and nobody is told */
	SETTLED_SPINS /* one does neither answer nor wait */
} Settled;

/* Connects.  What goes wrong here and below, and is not an answer to a step, ends the program with a message. */
extern void world_open(World *world, const char *conninfo, Flavour flavour, const char *name);

/* Drops its schema. */
extern void world_close(World *world);

/* Makes and drops the tables of a schedule. */
extern void world_prepare(World *world, const Schedule *schedule);
extern void world_clear(World *world, const Schedule *schedule);

/* Sends a step. */
extern void world_send(World *world, const Step *step);

/* Waits until nothing moves; so many milliseconds at most.  Whoever moves after that has been asked something. */
extern Settled world_settle(World *world, int patience);

/* What it is made of: milliseconds of a clock that does not go back; waits for an answer, so long; takes in what is
 * there, and says whether some session has become idle; ends the program. */
extern long world_now(void);
extern void world_wait(const World *world, int milliseconds);
extern bool world_receive(World *world);
extern _Noreturn void world_give_up(const World *world, const char *what, const char *message);

/* Sends a step, and waits for the answer, however long it takes. */
extern void world_do(World *world, const Step *step);

/* Waits until some session has answered that was busy. */
extern void world_await_any(World *world);

/* Ends whatever runs: cancels, rolls back, and rolls prepared transactions back. */
extern void world_stop(World *world);

/* The rows of both tables, as this connection of the world sees them. */
extern void world_content(World *world, PGconn *conn, Text *out);

#endif
