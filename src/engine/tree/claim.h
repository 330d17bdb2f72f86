/*
 * claim.h
 *	  Claims of background work (tree.h says what they are), and waiting for others' steps.
 */
#ifndef NVMKV_TREE_CLAIM_H
#define NVMKV_TREE_CLAIM_H

#include "engine/tree/tree.h"

/* Takes a claim if nobody has it. */
extern bool db_claim(NvmkvDb *db, DbClaim claim);
extern void db_unclaim(NvmkvDb *db, DbClaim claim);

/* Names this process in claims; not 0. */
extern uint32_t db_claim_word(void);

/* Waits a moment for somebody else's step; CANCELLED. */
extern NvmkvStatus db_wait_progress(NvmkvDb *db);

#endif
