/*
 * restore.h
 *	  Is this data directory a copy of one that was in use, and still to be opened as such?
 *
 * A copy made at run time comes with a backup label, or with a control file
 * that remembers one.  The startup process does away with both as it goes,
 * whatever becomes of the engine: with a setting that does not fit, or without
 * this library, the next start would take the files for those of a crash.  So
 * there is a mark: what was to be restored, and whether it was.
 *
 * File: nvmkv/RESTORE, one line: the redo point of the copy, as %X/%X, and
 * "pending" or "done".  It goes when the copy's recovery has passed its end.
 */
#ifndef NVMKV_FDW_RESTORE_H
#define NVMKV_FDW_RESTORE_H

#include "postgres.h"

#include "access/xlogdefs.h"

/* The redo point of the copy that is to be opened; invalid: this is none, or it was opened before. */
extern XLogRecPtr nvmkv_restore_from(void);

/* Was it opened?  With its redo point, or invalid. */
extern void nvmkv_restore_note(XLogRecPtr from, bool done);

#endif
