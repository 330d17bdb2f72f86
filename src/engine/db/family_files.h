/*
 * family_files.h
 *	  Where a family's files are, and the list of families.
 */
#ifndef NVMKV_DB_FAMILY_FILES_H
#define NVMKV_DB_FAMILY_FILES_H

#include "engine/tree/tree.h"

#define FAMILY_PATH_MAX 1200

extern void family_dir(const NvmkvDb *root, unsigned id, char *path);

/*
 * The container is where the root's is: in the directory, or beside a pool that stands elsewhere; but not beside a
 * device.  *in_dir_out: in the directory.
 */
extern void family_container_path(const NvmkvDb *root, unsigned id, char *path, bool *in_dir_out);

/* The directory stays, empty: its name will be used again. */
extern NvmkvStatus family_remove_files(NvmkvDb *root, unsigned id);

extern NvmkvStatus family_write_list(NvmkvDb *root, bool *doubtful_out);

/*
 * After a failure to replace the list it may be in doubt which is in place, and the next open goes by it: a family that
 * goes on would be lost, or one without files looked for.  So the list of what there is now is written once more; if
 * that fails, too, nothing is written any more before the next open, which finds out.
 */
extern NvmkvStatus family_list_in_doubt(NvmkvDb *root, NvmkvStatus status);

#endif
