/*
 * change.h
 *	  Draws statements that change a table.
 */
#ifndef NVMKV_QUERY_CHANGE_H
#define NVMKV_QUERY_CHANGE_H

#include "query/select.h"

/* Appends a statement that changes the table, or locks rows of it; which rows, and to what, does not depend on the
 * order in which they are met. */
extern void draw_change(Draw *draw, Text *out, const Table *table);

#endif
