/*
 * family_open.h
 *	  Opening and closing the families that a database has.
 */
#ifndef NVMKV_DB_FAMILY_OPEN_H
#define NVMKV_DB_FAMILY_OPEN_H

#include "engine/tree/tree.h"

/* Opens the families that the database has: by the process that opens it, before the log is replayed. */
extern NvmkvStatus families_open(NvmkvDb *root);
extern void families_close(NvmkvDb *root);

#endif
