/*
 * keydetail.h
 *	  A row's key in messages.
 */
#ifndef NVMKV_FDW_KEYDETAIL_H
#define NVMKV_FDW_KEYDETAIL_H

#include "executor/tuptable.h"
#include "utils/relcache.h"

#include "fdw/key/layout.h"

/* As for an index: nothing of a key is shown that the user could not select. */
extern bool nvmkv_key_may_be_shown(const NvmkvTable *table);

/*
 * "(a, b)=(1, x)" as in the heap's duplicate-key DETAIL; honours column privileges as BuildIndexValueDescription does:
 * NULL if not permitted.
 */
extern char *nvmkv_key_description(const NvmkvTable *table, Relation rel, TupleTableSlot *slot);

#endif
