/*
 * bulk.h
 *	  Rows that one statement inserts into one table, several at a time.
 */
#ifndef NVMKV_FDW_BULK_H
#define NVMKV_FDW_BULK_H

#include "postgres.h"

#include "fdw/table/table.h"
#include "fdw/txn/copyfrom.h"
#include "fdw/txn/write.h"

typedef struct NvmkvWriteBatch NvmkvWriteBatch;

/* Rows to insert into one table by command "cid" of the current (sub)transaction.  In the current memory context. */
extern NvmkvWriteBatch *nvmkv_write_batch_create(Relation rel, const NvmkvTable *table, CommandId cid);

/*
 * Adds a row; key is ignored (and made when written) for tables with hidden row ids.  entries: of the row (entries.h).
 * True when it is time to flush.
 */
extern bool nvmkv_write_batch_add(NvmkvWriteBatch *batch, NvmkvSlice key, NvmkvSlice value, NvmkvSlice entries);

/*
 * Writes the rows, in order of addition, and empties the batch.  Waits where another transaction may have a key, 23505
 * where it exists; the rows before it have been written by then, those after it have not.  tids: NULL, or room for the
 * row id of each row.
 */
extern void nvmkv_write_batch_flush(NvmkvWriteBatch *batch, ItemPointerData *tids);

/*
 * Would a row with this key have to wait, or fail, if it was written now?  A hint: others go on writing.  Then the rows
 * before it are to be written, so that it meets them and whatever else there is in its turn.
 */
extern bool nvmkv_write_batch_meets(NvmkvWriteBatch *batch, NvmkvSlice key);

/*
 * A deferred batch keeps its rows back between calls of its statement.  It is flushed when anything of ours begins in
 * this process that could look at them, and forgotten when its transaction fails.  "copy": of a COPY FROM (copyfrom.h),
 * NULL for an INSERT.
 */
extern void nvmkv_write_batch_defer(NvmkvWriteBatch *batch, NvmkvCopyFrom *copy);
extern void nvmkv_write_batch_undefer(NvmkvWriteBatch *batch);

/* Of those batches, what may be seen now. */
extern void nvmkv_write_flush_deferred(void);

/* All batches of one COPY, whoever looks. */
extern void nvmkv_write_flush_copy(const NvmkvCopyFrom *copy);

/* What the batches of this COPY share; NULL: it has none yet. */
extern NvmkvCopyFrom *nvmkv_write_find_copy(const struct CopyFromStateData *state);

/* End of a (sub)transaction that failed: batches made in it are gone. */
extern void nvmkv_write_abort(SubTransactionId subid); /* InvalidSubTransactionId: the whole transaction */
extern void nvmkv_write_subcommit(SubTransactionId subid, SubTransactionId parent);
extern bool nvmkv_write_nothing_deferred(void);

#endif
