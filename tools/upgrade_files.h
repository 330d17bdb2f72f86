/*
 * upgrade_files.h
 *	  Directories of a database, copied, moved and removed as a whole.
 */
#ifndef NVMKV_TOOLS_UPGRADE_FILES_H
#define NVMKV_TOOLS_UPGRADE_FILES_H

#include "engine/port/port.h"

/* Is it a directory? */
extern bool upgrade_is_dir(const char *path);

/* The file or directory with all that is in it; absent is OK.  IO. */
extern NvmkvStatus upgrade_remove(const char *path);

/*
 * Copies the directory, with all files and directories in it, to one that is not there yet; durable when it returns.
 * After a failure, or a crash, any part may be there.  INVALID: something in it is neither.
 */
extern NvmkvStatus upgrade_copy_dir(const char *from, const char *to);

/* The file appears whole under the name "to", in place of another one, or not at all. */
extern NvmkvStatus upgrade_copy_file(const char *from, const char *to);

/* Within one file system, durably; "to" is not there.  IO: that it is another one, too. */
extern NvmkvStatus upgrade_move(const char *from, const char *to);

/* Is there a file of this ending in the directory, or in one in it? */
extern NvmkvStatus upgrade_has_files(const char *dir, const char *ending, bool *has_out);

#endif
