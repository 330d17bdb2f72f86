/*
 * unit.h
 *	  What is said to both flavours together: a query, a prepared statement and its executions, a cursor's life, a
 *	  transaction.
 */
#ifndef NVMKV_QUERY_UNIT_H
#define NVMKV_QUERY_UNIT_H

#include "query/shape.h"

#define MAX_COMMANDS 24

#define IN_ORDER (-1)

typedef struct Command
{
	Text sql;
	int ordered; /* rows come in the order of so many columns, the first ones; IN_ORDER: of all */
	bool nvmkv_only;
} Command;

typedef struct Unit
{
	Command commands[MAX_COMMANDS];
	int count;
} Unit;

/* Draws one; it is to be freed. */
extern void unit_draw(Unit *unit, const Shape *shape, Choices *choices);
extern void unit_free(Unit *unit);

#endif
