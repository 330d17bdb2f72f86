/*
 * upgrade.h
 *	  nvmkv_upgrade: brings the files of foreign tables to the cluster that
 *	  pg_upgrade has made of the one they are in.
 *
 * Both servers are down, the old one in order, so that the trees are closed and
 * the log holds nothing for them.  In the new cluster the files are awaited
 * (engine/meta/origin.h), since pg_upgrade's server has made tables there.
 *
 * Steps; what was done is found by a later run, which goes on from there:
 *	  1. nothing is changed: both control files, the marks of both, every MANIFEST, the anchor, every file they name
 *	  2. copy	the directory, under another name, then renamed
 *		 link	the directory is moved: both must be in one file system
 *	  3. the anchor is copied
 *	  4. the new cluster's mark says that the files have been taken: from here on it opens them
 *	  5. link	the old cluster's mark says that they were given
 * Up to step 4 the new cluster does not open them.  The old one does, with link up to step 2: once the directory is
 * moved its anchor says that there was one.
 */
#ifndef NVMKV_TOOLS_UPGRADE_H
#define NVMKV_TOOLS_UPGRADE_H

#include "tools/dump.h"

typedef struct UpgradeOptions
{
	const char *old_data;
	const char *new_data;
	bool move;	/* "link" */
	bool check; /* step 1 only */
} UpgradeOptions;

/* OK: the new cluster has them, or can have them.  Else the engine's last failure says why not. */
extern NvmkvStatus upgrade_run(const UpgradeOptions *options, FILE *out);

#endif
