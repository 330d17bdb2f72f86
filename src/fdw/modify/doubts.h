/*
 * doubts.h
 *	  Values of DEFERRABLE unique constraints that another row may have, too.
 *
 * As on a heap the row is written all the same.  Where there was another entry
 * with its value at that moment, or one that may come or go with somebody's
 * transaction, its own is kept (deferred.h), to be looked at again when the
 * constraint is checked, by nvmkv.unique_check().
 */
#ifndef NVMKV_FDW_DOUBTS_H
#define NVMKV_FDW_DOUBTS_H

#include "postgres.h"

#include "fdw/modify/modifystate.h"

/* The row that is about to be written with these entries: fills modify->doubts.  REQUIRES the latches of its values. */
extern void nvmkv_doubts_find(NvmkvModify *modify, NvmkvSlice old_entries, NvmkvSlice entries);

/* It has been written, with all its entries: modify->doubts are kept.  Hold no latch. */
extern void nvmkv_doubts_keep(NvmkvModify *modify);

/*
 * Is ON CONFLICT about a DEFERRABLE constraint?  The executor looks at the indexes in the order of their OIDs, up to
 * the first one with a conflict: at those before this one.  Then it is ERROR 55000, which this raises.
 */
extern bool nvmkv_doubts_meet_arbiter(const NvmkvModify *modify, Oid before);
pg_noreturn extern void nvmkv_doubts_refuse_arbiter(const NvmkvModify *modify);

#endif
