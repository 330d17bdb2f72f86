/*
 * column.h
 *	  Which key range of the compactor's rows the next column takes.
 *
 * A column is everything up to and including one user key, in every row of the
 * batch, so all versions of a user key move together.
 */
#ifndef NVMKV_NVM_COLUMN_H
#define NVMKV_NVM_COLUMN_H

#include "engine/nvm/row.h"

typedef struct NvmColumn
{
	bool last;           /* everything that is left; cut is empty then */
	NvmkvBuf cut;        /* inclusive user key */
	uint64_t *end_index; /* per row: the column is entries [first_live, end_index) */
	uint64_t bytes;      /* data bytes of the column, of all rows */
} NvmColumn;

/*
 * rows: the batch, any order, with their first_live.  cuts: ascending user
 * keys, the upper boundaries of level-1 files; those below the rows' live
 * keys do no harm.  low_bytes: what a column should have at least, > 0.
 *
 * The cut is the first of cuts with at least low_bytes below it.  Where that
 * is more than 2 * low_bytes, a key of the rows is the cut instead, so that
 * the column has low_bytes to 2 * low_bytes; exceeded only where the versions
 * of one user key weigh more than low_bytes and at least half of low_bytes
 * cannot be had without them.  What is left after the last column is taken whole.
 *
 * Cost: rows x log(cuts) x log(entries) searches, some of them reading an
 * entry.  No lock, nothing written; the caller's epoch keeps the rows.
 * CORRUPTION, NO_MEMORY; INVALID when the rows have no live entry.
 * out: nvm_column_free, also after a failure.
 */
extern NvmkvStatus nvm_column_pick(const NvmPool *pool, const NvmRowRef *rows, uint32_t nrows, const NvmkvSlice *cuts,
								   uint32_t ncuts, uint64_t low_bytes, NvmColumn *out);
extern void nvm_column_free(NvmColumn *column);

#endif
