/*
 * salvage.h
 *	  What can be read of a damaged database.
 */
#ifndef NVMKV_TOOLS_SALVAGE_H
#define NVMKV_TOOLS_SALVAGE_H

#include "tools/dump.h"

/* Options of salvage; NULL or false where not given. */
typedef struct SalvageOptions
{
	const char *pool;  /* else DIR/level0.pool */
	const char *xact;  /* else DIR/../pg_xact */
	const char *kept;  /* else DIR/../nvmkv_kept */
	const char *table; /* else all: as the list has it, or the storage's number */
	const char *to;	   /* directory for the files; else what there is is listed */
	bool keep_unknown; /* rows of transactions of which nobody knows whether they committed */
} SalvageOptions;

/* What can be read of the tables of a database that nobody uses, as COPY text. */
extern void dump_salvage(Dump *dump, const char *dir, const SalvageOptions *options);

#endif
