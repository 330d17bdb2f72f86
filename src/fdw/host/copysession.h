/*
 * copysession.h
 *	  Sessions that begin to copy the server's files: see copies.h.
 */
#ifndef NVMKV_FDW_COPYSESSION_H
#define NVMKV_FDW_COPYSESSION_H

#include "postgres.h"

/* From _PG_init, while the server preloads libraries. */
extern void nvmkv_copysession_init(void);

/* Before a function is executed (OAT_FUNCTION_EXECUTE).  May take long; ERROR when a copy would be of no use. */
extern void nvmkv_copy_before_function(Oid function);

#endif
