/*
 * rowmark.h
 *	  SELECT ... FOR UPDATE / SHARE: rows are locked late, when they reach the
 *	  top of the plan.
 *
 * The server names the row to lock by its ctid.  With a hidden row id that is
 * the key.  For a table with a primary key the scan notes the keys of the rows
 * it returns (addressbook.h).
 */
#ifndef NVMKV_FDW_ROWMARK_H
#define NVMKV_FDW_ROWMARK_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"

#include "engine/nvmkv.h"

typedef struct NvmkvRowMarks NvmkvRowMarks;

/*
 * For a scan of a table with a primary key: NULL unless this query may lock rows the scan returns.  Lives as long as
 * the query.  shows_ctid: what it notes is for later statements of the transaction, too.
 */
extern NvmkvRowMarks *nvmkv_rowmark_begin(EState *estate, Index scanrelid, bool shows_ctid);

/* Notes a row the scan returns: its key, its version, and whether it is a covered one (covered.h). */
extern void nvmkv_rowmark_note(NvmkvRowMarks *marks, NvmkvSlice key, uint64 sequence, bool covered);

/* The row that was locked last, of one of our tables: its key, until another one is locked, and its version. */
extern void nvmkv_rowmark_locked(const ExecRowMark *erm, NvmkvSlice *key_out, uint64 *sequence_out);

/* FdwRoutine callbacks. */
extern RowMarkType nvmkv_get_row_mark_type(RangeTblEntry *rte, LockClauseStrength strength);
extern void nvmkv_refetch_row(EState *estate, ExecRowMark *erm, Datum rowid, TupleTableSlot *slot, bool *updated);

#endif
