/*
 * bulkwrite.h
 *	  Writing the rows of a batch.
 */
#ifndef NVMKV_FDW_BULKWRITE_H
#define NVMKV_FDW_BULKWRITE_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "fdw/txn/bulkrows.h"

/* Is the key free?  If not, *xid_out is whose end it has to wait for, or invalid: it exists. */
extern bool nvmkv_bulk_key_is_free(const NvmkvWriteBatch *batch, NvmkvSlice key, TransactionId *xid_out);

/* Writes all rows and notes it in them; see nvmkv_write_batch_flush. */
extern void nvmkv_bulk_write_keyed(NvmkvWriteBatch *batch);
extern void nvmkv_bulk_write_without_key(NvmkvWriteBatch *batch, ItemPointerData *tids);

#endif
