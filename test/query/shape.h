/*
 * shape.h
 *	  The tables of a round, their rows, and the statements that make them for each flavour.
 */
#ifndef NVMKV_QUERY_SHAPE_H
#define NVMKV_QUERY_SHAPE_H

#include "query/choices.h"
#include "query/type.h"
#include "schedule/text.h"

#define TABLES 3
#define MAX_COLUMNS 6
#define MAX_KEYS 3

typedef struct Column
{
	char name[4];
	const Type *type;
	bool descending; /* in the key's order */
} Column;

/* The first columns are the key. */
typedef struct Table
{
	char name[4];
	Column columns[MAX_COLUMNS];
	int column_count;
	int key_count;
	int partitions; /* 0: not partitioned */
} Table;

typedef struct Shape
{
	Table tables[TABLES];
	Text heap; /* statements, a line each */
	Text nvmkv;
} Shape;

/* Draws tables; the shape is to be freed. */
extern void shape_draw(Shape *shape, Choices *choices);
extern void shape_free(Shape *shape);

/* Appends a value of a type, as a constant. */
extern void draw_constant(Text *out, Choices *choices, const Type *type);

/* Appends the names of a table's columns, or of its key's. */
extern void column_names(Text *out, const Table *table, int count);

#endif
