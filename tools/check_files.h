/*
 * check_files.h
 *	  The files of one tree: tables, rows, outcomes; what does not belong there.
 */
#ifndef NVMKV_TOOLS_CHECK_FILES_H
#define NVMKV_TOOLS_CHECK_FILES_H

#include "tools/check.h"

extern void check_damages(Check *c);
extern void check_outcomes(Check *c, const char *dir);
extern void check_tables(Check *c);
extern void check_pool(Check *c, const char *path);

/* Says what the next open will remove. */
extern void check_directory(Check *c, const char *dir);

#endif
