/*
 * xact.h
 *	  What the wrapper does at the end of transactions and of the process.
 */
#ifndef NVMKV_FDW_XACT_H
#define NVMKV_FDW_XACT_H

#include "postgres.h"

/* From _PG_init. */
extern void nvmkv_xact_init(void);

#endif
