/*
 * check_log.h
 *	  The standalone database's log.
 */
#ifndef NVMKV_TOOLS_CHECK_LOG_H
#define NVMKV_TOOLS_CHECK_LOG_H

#include "tools/check.h"

extern void check_logs(Check *c);

#endif
