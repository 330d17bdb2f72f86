/*
 * select.h
 *	  Draws queries.
 */
#ifndef NVMKV_QUERY_SELECT_H
#define NVMKV_QUERY_SELECT_H

#include "query/expression.h"

typedef enum Order
{
	ORDER_NONE,
	ORDER_SOME, /* by some columns, the first ones: equal rows come in any order */
	ORDER_WHOLE /* by all columns, and perhaps with a limit */
} Order;

/*
 * Appends a query.  Where outputs has types, the result has these.  A query that is ordered by some of its columns
 * tells how many; 0 for no order, all of them for a whole one.
 */
extern int draw_select(Draw *draw, Text *out, const Scope *outer, Outputs *outputs, Order order, int depth);

/* Appends WITH and some queries, or nothing. */
extern void draw_with(Draw *draw, Text *out);

/* Appends what stands behind FROM, and adds its columns to the scope. */
extern void draw_from(Draw *draw, Text *out, Scope *scope, int depth);

/* Adds a table's columns to a scope, under an alias. */
extern void scope_add_table(Scope *scope, const Table *table, const char *alias);

#endif
