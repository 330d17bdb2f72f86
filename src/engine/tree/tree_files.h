/*
 * tree_files.h
 *	  The files of a tree that is being opened.
 */
#ifndef NVMKV_TREE_TREE_FILES_H
#define NVMKV_TREE_TREE_FILES_H

#include "engine/tree/tree.h"

/*
 * Tables that are missing or short cost the keys in them (damage.h), and may come back.  If all are missing it is the
 * directory that is wrong.
 */
extern NvmkvStatus tree_check_files(NvmkvDb *db);

/* What an interrupted job or switch left behind goes. */
extern NvmkvStatus tree_remove_orphans(NvmkvDb *db);

#endif
