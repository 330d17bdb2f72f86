/*
 * check_agreement.h
 *	  Is the directory the right one: what an open would ask.
 */
#ifndef NVMKV_TOOLS_CHECK_AGREEMENT_H
#define NVMKV_TOOLS_CHECK_AGREEMENT_H

#include "tools/check.h"

/* Is this a version of the server's control file that is known? */
extern bool check_control_version(uint32_t version);

/* Where the log begins and ends, if the directory is in a server's that this tool knows. */
extern void check_read_control(Agreement *a, const char *dir);

/* A database of a library's user has no anchor, and its trees no incarnation. */
extern bool check_is_anchored(const Agreement *a, const char *dir);

/* live NULL: there is no tree. */
extern void check_judge(Check *c, const char *dir, const VersionDraft *live);

#endif
