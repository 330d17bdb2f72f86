/*
 * upgrade_tree.h
 *	  Are the trees of a database, which nobody uses, whole and closed?
 */
#ifndef NVMKV_TOOLS_UPGRADE_TREE_H
#define NVMKV_TOOLS_UPGRADE_TREE_H

#include "engine/port/port.h"

#define UPGRADE_PATH_BYTES 4096

typedef struct UpgradeTrees
{
	/* in */
	const char *dir;	  /* where they are */
	const char *anchored; /* the directory whose anchor speaks of them */
	uint64_t system;	  /* whose they must be */
	uint64_t log_end;	  /* what is in them is not of later */
	/* out */
	unsigned count; /* of families */
	uint64_t durable, files, bytes;
	bool pool_is_elsewhere; /* rows are in a container that is not in their directory */
} UpgradeTrees;

/*
 * Reads every MANIFEST and asks what an open would; looks for every file that they name, in its full size.  What is
 * in the files is not read: nvmkv_dump check does that.  CORRUPTION, INVALID, VERSION, IO, NO_MEMORY.
 */
extern NvmkvStatus upgrade_judge_trees(UpgradeTrees *trees);

#endif
