/*
 * table.h
 *	  The tables of a schedule, and how SQL names their keys.
 */
#ifndef NVMKV_SCHEDULE_TABLE_H
#define NVMKV_SCHEDULE_TABLE_H

#include "schedule/schedule.h"

/* Keys are numbers from 0 to KEYS - 1; those that rows are shifted to are above. */
#define KEYS 7

/* A flavour's name: "heap", "nvmkv", "lax".  False, with a word on stderr, if there is none of that name. */
extern bool flavour_read(const char *name, Flavour *flavour);

/* Appends statements that make and fill the tables, a statement a line. */
extern void table_create(Text *out, const Schedule *schedule, Flavour flavour);

/* Appends statements that drop them. */
extern void table_drop(Text *out, const Schedule *schedule, Flavour flavour);

/* Parts of statements: the names of the key columns; a key's values; a condition on them; an assignment. */
extern const char *key_columns(const Schedule *schedule);
extern void key_values(Text *out, const Schedule *schedule, int key);
extern void key_equals(Text *out, const Schedule *schedule, const char *prefix, int key);
extern void key_less(Text *out, const Schedule *schedule, int key);
extern void key_set(Text *out, const Schedule *schedule, int key);

#endif
