/*
 * autovacuum.h
 *	  What a table says of when it is analyzed by itself.
 *
 * Options of the wrapper, for the server keeps no storage parameters of foreign tables: those of a heap table that are
 * about ANALYZE, with the same names and values.
 */
#ifndef NVMKV_FDW_AUTOVACUUM_H
#define NVMKV_FDW_AUTOVACUUM_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/rel.h"

/* Their names; the last one is NULL. */
extern const char *const nvmkv_autovacuum_options[];

extern bool nvmkv_is_autovacuum_option(const char *name);

/* Those of a list of DefElem, with string values: of the wrapper's options, or of a heap's storage parameters. */
extern List *nvmkv_pick_autovacuum_options(List *options);

/* The settings that a list of options makes, others among them.  What a heap table refuses is the same error here. */
extern AutoVacOpts nvmkv_autovacuum_settings(List *options);

#endif
