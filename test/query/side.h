/*
 * side.h
 *	  One flavour of the tables, in a schema of its own, and the session that works on them.
 */
#ifndef NVMKV_QUERY_SIDE_H
#define NVMKV_QUERY_SIDE_H

#include <postgresql/libpq-fe.h>

#include "query/unit.h"

#define CANCELED "57014" /* SQLSTATE of a statement that took too long */

typedef enum Flavour
{
	FLAVOUR_HEAP,
	FLAVOUR_NVMKV,
	FLAVOUR_SHORT /* heap tables that have lost some rows: it must be noticed */
} Flavour;

typedef struct Side
{
	Flavour flavour;
	const char *conninfo;
	char schema[64];
	PGconn *conn;
	Text warnings; /* since the last command was sent */
} Side;

typedef struct Answer
{
	char code[6]; /* SQLSTATE, or empty */
	bool lost; /* the connection is */
	Text tag; /* of the command, or its error */
	Text rows; /* a line each; sorted unless all of their order counts */
	Text heads; /* the columns whose order counts */
	Text warnings;
} Answer;

/* Connects, waiting for a server that recovers; a server that cannot be reached ends the program. */
extern void side_open(Side *side, Flavour flavour, const char *conninfo, const char *name);

/* Drops its schema. */
extern void side_close(Side *side);

/* Makes the tables anew.  False if a statement failed: "answer" then is what it got, and its text the tag. */
extern bool side_prepare(Side *side, const Shape *shape, Answer *answer);

/* Says a command. */
extern void side_run(Side *side, const Command *command, Answer *answer);

/* Ends what is left of a unit: transaction, cursors, statements, settings.  Connects again if need be. */
extern void side_reset(Side *side);

extern void answer_init(Answer *answer);
extern void answer_free(Answer *answer);

#endif
