/*
 * returnold.h
 *	  RETURNING of INSERT ... ON CONFLICT DO UPDATE names the row as it was.
 */
#ifndef NVMKV_FDW_RETURNOLD_H
#define NVMKV_FDW_RETURNOLD_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/execnodes.h"

typedef struct NvmkvReturnOld NvmkvReturnOld;

/*
 * The next result of rri's RETURNING list is that of a row which was as in "old", which stays till then.  *kept: NULL at
 * first; it is the query's (context).  Nothing is done where the list does not name it.
 */
extern void nvmkv_return_old(NvmkvReturnOld **kept, MemoryContext context, const ResultRelInfo *rri,
							 TupleTableSlot *old);

#endif
