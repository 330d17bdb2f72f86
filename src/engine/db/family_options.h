/*
 * family_options.h
 *	  What a family has of options: its own, and the database's.
 */
#ifndef NVMKV_DB_FAMILY_OPTIONS_H
#define NVMKV_DB_FAMILY_OPTIONS_H

#include "engine/tree/tree.h"

/* What is not the family's own is the database's. */
extern void family_fill_in(const NvmkvOptions *root, NvmkvFamilyOptions *options);

/* What the tree of a family is opened with: its shape; the rest is the root's. */
extern void family_merge_options(const NvmkvOptions *root, const NvmkvFamilyOptions *family, NvmkvOptions *options);

/* What a family asks for must fit. */
extern NvmkvStatus family_check_options(const NvmkvDb *root, const NvmkvFamilyOptions *own);

/*
 * What a family has, with options that may have been given to it elsewhere, or under other options of the database,
 * becomes what there is room for: fewer memtables, and smaller ones.
 */
extern void family_fit_options(const NvmkvDb *root, const char *name, NvmkvOptions *o, bool complain);

#endif
