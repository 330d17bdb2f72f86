/*
 * expression.h
 *	  Draws values and conditions over what a query has in its FROM.
 *
 * What is drawn has one result, whatever the plan: nothing fails at run time, no sum depends on an order, no subquery
 * shows one of several rows.
 */
#ifndef NVMKV_QUERY_EXPRESSION_H
#define NVMKV_QUERY_EXPRESSION_H

#include "query/shape.h"

#define MAX_VARS 40
#define MAX_PARAMS 6
#define MAX_OUTPUTS 5
#define MAX_QUERIES 2

/* A column that can be named. */
typedef struct Var
{
	char name[32];
	const Type *type;
	bool key; /* the first column of a table's key */
} Var;

typedef struct Scope
{
	Var vars[MAX_VARS];
	int count;
	const struct Scope *outer; /* of the query that this one is in, if it may look there */
} Scope;

/* The columns of a query's result; they are named c1, c2 and so on. */
typedef struct Outputs
{
	const Type *types[MAX_OUTPUTS];
	int count;
} Outputs;

/* One statement that is being drawn. */
typedef struct Draw
{
	Choices *choices;
	const Shape *shape;
	int aliases; /* given so far */
	bool with_params;
	const Type *params[MAX_PARAMS]; /* $1 and so on, as they were used */
	int param_count;
	Outputs queries[MAX_QUERIES]; /* of WITH: w1 and so on */
	int query_count;
} Draw;

/* Appends a value of a type; of depth 0, one without a query in it. */
extern void draw_value(Draw *draw, Text *out, const Scope *scope, const Type *type, int depth);

/* Appends a condition. */
extern void draw_condition(Draw *draw, Text *out, const Scope *scope, int depth);

/* Appends a condition that compares something of the scope with one of its columns from "first" on, for joins; with
 * "equal" that is an equality of columns, or nothing is appended and false returned. */
extern bool draw_join_condition(Draw *draw, Text *out, const Scope *scope, int first, bool equal);

/* Some column of the scope, or a null pointer; of this type, if one is given. */
extern const Var *draw_var(Draw *draw, const Scope *scope, const Type *type);

#endif
