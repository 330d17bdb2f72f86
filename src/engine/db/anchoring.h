/*
 * anchoring.h
 *	  The database's anchor; without one (NvmkvOptions.anchored) these do nothing.
 */
#ifndef NVMKV_DB_ANCHORING_H
#define NVMKV_DB_ANCHORING_H

#include "engine/tree/tree.h"

/* Around opening: finds out what the trees are asked, into *a, which lives until the end; says that they are right. */
extern NvmkvStatus anchoring_begin(NvmkvDb *root, Agreement *a);
extern NvmkvStatus anchoring_settle(NvmkvDb *root);

/*
 * For families that come and go: holds the anchor (and opening and closing) off, writes it with the families there are,
 * lets go.
 */
extern NvmkvStatus anchoring_hold(NvmkvDb *root);
extern NvmkvStatus anchoring_note(NvmkvDb *root);
extern void anchoring_release(NvmkvDb *root);

/* The trees are closed: the log is to hold nothing for the database. */
extern bool anchoring_is_closed(NvmkvDb *root);

/* Reports what is wrong with the anchor's file. */
extern NvmkvStatus anchoring_check(NvmkvDb *root, void (*problem)(void *ctx, const char *text), void *ctx);

#endif
