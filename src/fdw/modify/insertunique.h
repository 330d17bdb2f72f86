/*
 * insertunique.h
 *	  INSERT into a table with unique indexes other than the primary key's.
 */
#ifndef NVMKV_FDW_INSERTUNIQUE_H
#define NVMKV_FDW_INSERTUNIQUE_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "fdw/modify/modifystate.h"

/*
 * Writes the row in modify->key, value and entries, once its key and its values are free; 23505 if they are not going
 * to be.  slot gets its ctid.
 */
extern void nvmkv_insert_unique(NvmkvModify *modify, TupleTableSlot *slot);

#endif
