/*
 * unsynced.h
 *	  Files that remember what of them is not durable.
 *
 * Wraps the quick files (rig.h): nothing is really synced, but what was written
 * and not synced, and names that were made and whose directory was not synced,
 * are known, so that a test can ask at a moment at which something relies on
 * them.  For one thread.
 */
#ifndef NVMKV_TEST_UNSYNCED_H
#define NVMKV_TEST_UNSYNCED_H

#include "engine/port/port.h"

/* port_files = &unsynced_files; */
extern const PortFileOps unsynced_files;

/* Forgets everything, and makes nothing fail. */
extern void unsynced_reset(void);

/* A file with this in its path whose content or name could be lost; NULL: there is none. */
extern const char *unsynced_of(const char *part);

/* Not OK: the operation ("write", "sync", "unlink") is not done and returns that.  NULL: none fails. */
extern NvmkvStatus (*unsynced_fail)(const char *what, const char *path);

#endif
