/*
 * type.h
 *	  Types of columns, with values.
 *
 * Values of a type that are equal also look alike: DISTINCT and grouping may show any of them.
 */
#ifndef NVMKV_QUERY_TYPE_H
#define NVMKV_QUERY_TYPE_H

#include <stdbool.h>

#define MAX_VALUES 12

/* Types that can be compared with each other. */
typedef enum Family
{
	FAMILY_NUMBER,
	FAMILY_TEXT,
	FAMILY_TIME,
	FAMILY_OTHER /* each only with itself */
} Family;

typedef struct Type
{
	const char *name;
	const char *column; /* its declaration in a table, if it is another one */
	Family family;
	bool has_max; /* there are min() and max() */
	const char *values[MAX_VALUES + 1]; /* up to a null pointer */
} Type;

extern const Type types[];
extern const int type_count;

/* Those that the drawing of expressions has names for. */
extern const Type *const type_int;
extern const Type *const type_bigint;
extern const Type *const type_numeric;
extern const Type *const type_text;
extern const Type *const type_bool;

extern bool types_compare(const Type *a, const Type *b);

#endif
