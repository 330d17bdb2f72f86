/*
 * family.h
 *	  Column families: which there are, and walking over their trees.
 */
#ifndef NVMKV_DB_FAMILY_H
#define NVMKV_DB_FAMILY_H

#include "engine/tree/tree.h"

/*
 * Walks over the trees of a database, the default family first:
 *	  cursor = 0;
 *	  while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
 * Until the next step, or family_leave when the loop is left early, the tree's family is not dropped.  Given a family's
 * own handle, walks over that tree alone.  Fails when this process cannot come at a tree.
 */
extern NvmkvStatus family_next(NvmkvDb *db, unsigned *cursor, NvmkvDb **tree_out);
extern void family_leave(NvmkvDb *db, unsigned cursor);

/* "step" with each tree; stops at the first failure. */
extern NvmkvStatus family_each(NvmkvDb *db, NvmkvStatus (*step)(NvmkvDb *tree));

/* What an aborted call of this process left. */
extern void families_abort_cleanup(NvmkvDb *root);

/* Is there this family, and could not be opened? */
extern bool family_is_broken(NvmkvDb *root, unsigned id);

/* Up to where all such families have everything for sure; UINT64_MAX: there is none. */
extern uint64_t family_broken_durable(NvmkvDb *root);

/* Says, once, that what the log has for such a family is passed over. */
extern void family_tell_loss(NvmkvDb *root, unsigned id);

/* Of such a family: is it known to have all up to there in rows and tables? */
extern bool family_has(NvmkvDb *root, unsigned id, uint64_t last_sequence);

/* From where on the host may keep what the log has for it (nvmkv_family_set_kept); 0: it keeps nothing. */
extern uint64_t family_kept_from(NvmkvDb *root, unsigned id);

/* Some family cannot be used, or has something kept: what it has entries of, nobody knows. */
extern bool family_any_is_away(NvmkvDb *root);

/* ---- for those who open, make and drop ---- */

/* This process's handle of a family of this description, with nothing open; opens: by who brings it into being. */
extern NvmkvStatus family_make_handle(NvmkvDb *root, unsigned id, const NvmkvFamilyInfo *info, bool opens,
									  NvmkvDb **db_out);

/* Closes this process's handle, if it has one. */
extern void family_detach(NvmkvDb *root, unsigned id);

/* Brings this process's handle of a family up to date; it is NULL afterwards if there is no such family. */
extern NvmkvStatus family_refresh(NvmkvDb *root, unsigned id);

#endif
