/*
 * rowmark.h
 *	  SELECT ... FOR UPDATE / SHARE: rows are locked late, when they reach the
 *	  top of the plan.
 *
 * The server names the row to lock by a ctid.  Tables with a hidden row id
 * have a true one.  For a table with a primary key the scan numbers
 * the rows it returns and remembers their keys for the query.
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
 * the query.
 */
extern NvmkvRowMarks *nvmkv_rowmark_begin(EState *estate, Index scanrelid);

/*
 * Is the table read as a child of one that the query takes note of?  Then ctid may be asked for because other children
 * need it; of a child that hands over whole rows nobody looks at it.
 */
extern bool nvmkv_rowmark_is_of_parent(EState *estate, Index scanrelid);

/* Remembers a key, and whether the row is a covered one (covered.h); *tid is what its slot must carry as tts_tid. */
extern void nvmkv_rowmark_assign(NvmkvRowMarks *marks, NvmkvSlice key, bool covered, ItemPointer tid);

/* FdwRoutine callbacks. */
extern RowMarkType nvmkv_get_row_mark_type(RangeTblEntry *rte, LockClauseStrength strength);
extern void nvmkv_refetch_row(EState *estate, ExecRowMark *erm, Datum rowid, TupleTableSlot *slot, bool *updated);

#endif
