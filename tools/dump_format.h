/*
 * dump_format.h
 *	  The files that can be shown, one file of the tool a format.
 */
#ifndef NVMKV_TOOLS_DUMP_FORMAT_H
#define NVMKV_TOOLS_DUMP_FORMAT_H

#include "tools/dump.h"

/* Each shows one file; what is wrong with it is in dump->failed. */
extern void dump_manifest(Dump *dump, const char *path);
extern void dump_log(Dump *dump, const char *path);
extern void dump_table(Dump *dump, const char *path);
extern void dump_pool(Dump *dump, const char *path, const char *dir); /* dir NULL: without rows */

#endif
