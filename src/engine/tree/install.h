/*
 * install.h
 *	  The way from a job to the log and to the manifest, and from the current
 *	  version to a copy that stays.
 */
#ifndef NVMKV_TREE_INSTALL_H
#define NVMKV_TREE_INSTALL_H

#include "engine/tree/tree.h"

/* A private copy of the current version, to be freed with port_free. */
extern NvmkvStatus db_copy_image(NvmkvDb *db, VersionImage **image_out);
extern NvmkvStatus db_copy_image_in_epoch(NvmkvDb *db, VersionImage **image_out);

/* log->flush; versions_install.  A failure that leaves the medium's state unknown becomes sticky. */
extern NvmkvStatus db_flush_log(NvmkvDb *db, uint64_t sequence);
extern NvmkvStatus db_install(NvmkvDb *db, const VersionEdit *edit);

#endif
