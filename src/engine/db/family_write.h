/*
 * family_write.h
 *	  Batches with entries of other families than the default one.
 */
#ifndef NVMKV_DB_FAMILY_WRITE_H
#define NVMKV_DB_FAMILY_WRITE_H

#include "engine/tree/tree.h"

/* What a batch, or a record of the log, has for each family. */
typedef struct FamilyShares
{
	uint32_t families;				  /* bit i: it has entries of family i */
	size_t bytes[NVMKV_FAMILIES_MAX]; /* that they take in its memtable at most */
} FamilyShares;

/* Walks all of it: CORRUPTION when it is not what it should be. */
extern NvmkvStatus family_measure(NvmkvSlice batch, FamilyShares *shares, uint32_t *count_out);

extern NvmkvStatus family_write(NvmkvDb *root, const NvmkvBatch *batch, uint64_t *last_sequence_out);

#endif
