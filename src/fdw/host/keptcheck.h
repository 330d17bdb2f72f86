/*
 * keptcheck.h
 *	  What the keeping of WAL for the database as a whole (kept.h) and for one
 *	  family (keptpart.h) have in common.
 */
#ifndef NVMKV_FDW_KEPTCHECK_H
#define NVMKV_FDW_KEPTCHECK_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/log/kept_log.h"
#include "engine/nvmkv.h"

/* In the data directory. */
#define NVMKV_KEPT_DIR "nvmkv_kept"

/* Is what fails so worth trying again, as it is? */
extern bool nvmkv_kept_is_passing(NvmkvStatus status);

/*
 * Is there nothing between what is kept and what comes next, at "next"; invalid: nothing does?  The end of a file may be
 * lost without a trace in it.  CORRUPTION; a lenient reading is told instead.
 */
extern NvmkvStatus nvmkv_kept_check_end(const KeptReading *reading, const KeptSummary *summary, XLogRecPtr next);

/* In recovery, of a failure to keep: FATAL, as the last failure says, unless it is OK. */
extern void nvmkv_kept_check(NvmkvStatus status);

#endif
