/*
 * covered.h
 *	  Rows that a snapshot still sees although their keys are those of its own
 *	  transaction's rows by now.
 */
#ifndef NVMKV_FDW_COVERED_H
#define NVMKV_FDW_COVERED_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "fdw/txn/conflict.h"
#include "fdw/txn/visibility.h"

/*
 * The row of this key that is covered for the snapshot, if there is one: its value bytes replace "value"; *sequence_out
 * and *loss_out (may be NULL): its version, and by what it was lost.  v must show two rows (nvmkv_visibility_show_two).
 * Raises what the engine reports, and what v does.
 */
extern bool nvmkv_covered_row(NvmkvDb *db, const NvmkvTable *table, NvmkvSlice key, const NvmkvVisibility *v,
							  StringInfo value, uint64 *sequence_out, NvmkvRowLoss *loss_out);

/* Has a scan of this transaction shown one? */
extern bool nvmkv_covered_were_shown(void);

/* End of a transaction. */
extern void nvmkv_covered_forget(void);

#endif
