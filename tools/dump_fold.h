/*
 * dump_fold.h
 *	  What a MANIFEST describes, all its edits taken together.
 */
#ifndef NVMKV_TOOLS_DUMP_FOLD_H
#define NVMKV_TOOLS_DUMP_FOLD_H

#include "engine/meta/draft.h"
#include "tools/dump.h"

/* What a MANIFEST describes after all its edits; keys and extents are in the arena. */
typedef struct DumpState
{
	VersionDraft live;
	MetaArena arena;
} DumpState;

/*
 * Folds the MANIFEST that "path" is, or that the database in directory "path" uses.  show_edits: prints every edit.
 * false: it could not be folded, "state" is what was before; reported.
 */
extern bool dump_fold(Dump *dump, const char *path, bool show_edits, DumpState *state);
/* The same of the database in directory "dir"; *number_out: which MANIFEST it was. */
extern bool dump_fold_current(Dump *dump, const char *dir, uint64_t *number_out, DumpState *state);
extern void dump_state_free(DumpState *state);

#endif
