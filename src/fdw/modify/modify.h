/*
 * modify.h
 *	  INSERT, COPY FROM, UPDATE and DELETE of foreign tables.
 */
#ifndef NVMKV_FDW_MODIFY_H
#define NVMKV_FDW_MODIFY_H

#include "postgres.h"

#include "foreign/fdwapi.h"

/* Sets the callbacks of modify.c, change.c and rowmark.c in the wrapper's routine. */
extern void nvmkv_modify_callbacks(FdwRoutine *routine);

/* When the library is loaded. */
extern void nvmkv_modify_init(void);

#endif
