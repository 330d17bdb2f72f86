/*
 * outcome.h
 *	  The outcome record inside the engine: see outcome.c; what a host sees of
 *	  it is in nvmkv.h.
 */
#ifndef NVMKV_DB_OUTCOME_H
#define NVMKV_DB_OUTCOME_H

#include "engine/tree/tree.h"

extern size_t outcomes_shm_bytes(void);
extern void outcomes_init(OutcomeShm *shm);

/* Brings the record to where the version and its files are; by the process that opens the database. */
extern NvmkvStatus outcomes_open(NvmkvDb *root);
extern void outcomes_close(NvmkvDb *root);

/* A transaction has written; while it runs. */
extern void outcomes_note_written(NvmkvDb *root, uint64_t fxid);

/*
 * Reads every file of the record; report(ctx, text) gets each finding.  That outcomes are lost is none: it
 * matters where a version is of such a transaction, and nvmkv_lost_versions tells those.
 */
extern NvmkvStatus outcomes_check(NvmkvDb *root, void (*report)(void *ctx, const char *text), void *ctx);

#endif
