/*
 * utility.h
 *	  The hook on utility statements.
 */
#ifndef NVMKV_FDW_UTILITY_H
#define NVMKV_FDW_UTILITY_H

#include "postgres.h"

/* Installs the hook; when the library is loaded. */
extern void nvmkv_utility_init(void);

#endif
