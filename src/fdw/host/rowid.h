/*
 * rowid.h
 *	  Row ids of tables without a primary key: one ascending counter for the
 *	  whole cluster.
 */
#ifndef NVMKV_FDW_ROWID_H
#define NVMKV_FDW_ROWID_H

#include "postgres.h"

extern void nvmkv_rowid_shmem_request(void);
extern void nvmkv_rowid_shmem_init(void);

/*
 * The first of "count" consecutive new ids.  Ask right before writing the rows: see rowid.c for why ids that are
 * given out must not stay unwritten in numbers.
 */
extern uint64 nvmkv_rowid_allocate(uint32 count);

#endif
