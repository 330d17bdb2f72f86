/*
 * dump_check.h
 *	  Is a database sound?
 */
#ifndef NVMKV_TOOLS_DUMP_CHECK_H
#define NVMKV_TOOLS_DUMP_CHECK_H

#include "tools/dump.h"

/*
 * Verifies a whole database that nobody uses.  pool NULL: DIR/level0.pool; log_dir NULL: DIR.  Every finding is a line
 * on "err"; what was looked at is counted on "out".
 */
extern void dump_check(Dump *dump, const char *dir, const char *pool, const char *log_dir);

#endif
