/*
 * guard.h
 *	  Statements that would leave foreign tables without nvmkv.storage, which
 *	  tells where their rows are.
 */
#ifndef NVMKV_FDW_GUARD_H
#define NVMKV_FDW_GUARD_H

#include "postgres.h"

#include "nodes/nodes.h"

/* Is it of a kind that nvmkv_guard_catalogue() has to see?  Cheap, reads no catalogue. */
extern bool nvmkv_could_harm_catalogue(const Node *stmt);

/*
 * Before such a statement.  ERROR (OBJECT_NOT_IN_PREREQUISITE_STATE) if it would move, empty, rename, detach or drop
 * nvmkv.storage.  Returns whether the view is there and may go with something else that is dropped: then
 * nvmkv_require_catalogue() is to be called after the statement.
 */
extern bool nvmkv_guard_catalogue(Node *stmt);

/* ERROR if the view has gone and tables are left. */
extern void nvmkv_require_catalogue(void);

#endif
