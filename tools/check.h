/*
 * check.h
 *	  The state of the verification of a database, and how findings are told.
 */
#ifndef NVMKV_TOOLS_CHECK_H
#define NVMKV_TOOLS_CHECK_H

#include "engine/meta/agreement.h"
#include "engine/sst/table_cache.h"
#include "engine/sst/value_refs.h"
#include "tools/dump_lost.h"

#define PATH_BYTES 4096

typedef struct Check
{
	Dump *dump;
	/* the tree that is looked at: the database itself, or a family of it */
	const char *dir;
	const VersionDraft *live;
	TableCache *values; /* for what tables refer to */
	ValueRefs refs;		/* of all tables */
	uint64_t manifest_number;
	unsigned family;
	DumpLost lost; /* of all trees */
	/* what an open would ask; NULL: nothing */
	const Agreement *agreement;
	/* the log */
	const char *log_dir;
	uint64_t durable_seq; /* of the database itself: what is below need not be in the log */
	uint64_t last_sequence;
	unsigned nlogs;
	/* what was seen */
	uint64_t tables, rows, records, problems;
} Check;

/* A finding. */
extern void check_problem(void *ctx, const char *text);

/* The engine's last failure is a finding. */
extern void check_failure(Check *c);

#endif
