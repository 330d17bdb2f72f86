/*
 * own_log.h
 *	  The standalone database's log.
 */
#ifndef NVMKV_DB_OWN_LOG_H
#define NVMKV_DB_OWN_LOG_H

#include "engine/tree/tree.h"

extern NvmkvStatus own_log_open(NvmkvDb *db);

/* The same for a handle that joins: the log is in use. */
extern NvmkvStatus own_log_attach(NvmkvDb *db);
extern void own_log_close(NvmkvDb *db);

/* Ends the current file when it is full enough, and removes those nobody needs.  REQUIRES the FLUSH claim. */
extern void own_log_tidy(NvmkvDb *db);

/*
 * The root's version says how far the log has been let go of, so that a record that is missing is told from one that
 * nobody needs.  Most often its own flushes have said so; not when only other families are written to.
 */
extern NvmkvStatus own_log_note_durable(NvmkvDb *root, uint64_t durable);

#endif
