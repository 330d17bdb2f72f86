/*
 * lossy.h
 *	  Files that lose what was not synced when the power goes.
 *
 * Wraps port_posix_files.  The kernel's files always hold the newest content;
 * beside them the durable content of every sector that was changed since the
 * last sync is remembered.  lossy_crash() then lets each such sector of 512
 * bytes be new, old or garbage, each file that grew end anywhere between, each
 * file whose name was not synced be there or not, each removed one come back
 * or not.  Garbage only where nothing was durable before: a disk writes a
 * sector whole or not at all, or else no log could grow in place.  Nothing is really synced: only the order of things
 * is tested.
 *
 * Files are known by path; what is open must not be renamed.
 */
#ifndef NVMKV_TEST_LOSSY_H
#define NVMKV_TEST_LOSSY_H

#include "engine/port/port.h"

extern const PortFileOps lossy_files;

/* Forgets everything; random numbers of the crash come from the seed. */
extern void lossy_reset(uint64_t seed);

/* Contents of files with this name at the end of their path are not looked after (their names are).  NULL: none. */
extern void lossy_ignore_content(const char *suffix);

/*
 * Files with this name at the end of their path write over things nobody needs: there garbage is possible everywhere.
 */
extern void lossy_overwritten(const char *suffix);

/* Called before each operation that changes something or syncs; counts from 1. */
extern void (*lossy_hook)(uint64_t operation);

/* An operation about to happen may be made to fail: not OK is what it returns, and nothing is done.  NULL: none. */
extern NvmkvStatus (*lossy_fail)(uint64_t operation, const char *what, const char *path);

/* The power goes: what is on disk afterwards is what a machine would find.  The process must end. */
extern void lossy_crash(void);

extern uint64_t lossy_operations(void);

/* What the crashes did, by kind of file, for tests to see that everything happened. */
typedef enum LossyKind
{
	LOSSY_CURRENT,
	LOSSY_MANIFEST,
	LOSSY_LOG,
	LOSSY_TABLE,
	LOSSY_POOL,
	LOSSY_OTHER,
	LOSSY_KINDS
} LossyKind;

typedef struct LossyTally
{
	/* sectors that were not synced */
	uint64_t kept[LOSSY_KINDS], reverted[LOSSY_KINDS], garbled[LOSSY_KINDS];
	/* names that were not synced: lost, or come back */
	uint64_t names_lost[LOSSY_KINDS], names_back[LOSSY_KINDS];
} LossyTally;

extern LossyTally *lossy_tally; /* NULL: nobody counts */
extern const char *lossy_kind_name(LossyKind kind);
extern LossyKind lossy_kind(const char *path);

#endif
