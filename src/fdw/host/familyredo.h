/*
 * familyredo.h
 *	  Column families in recovery.
 */
#ifndef NVMKV_FDW_FAMILYREDO_H
#define NVMKV_FDW_FAMILYREDO_H

#include "postgres.h"

#include "engine/nvmkv.h"

/* A family is there, with these options; it is gone.  Returns what the engine's functions for families do. */
extern NvmkvStatus nvmkv_family_redo_create(NvmkvDb *db, const NvmkvFamilyInfo *info);
extern NvmkvStatus nvmkv_family_redo_drop(NvmkvDb *db, uint32 id);

#endif
