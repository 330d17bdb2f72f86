/*
 * settings.h
 *	  The engine's options from the settings nvmkv.*.
 */
#ifndef NVMKV_FDW_SETTINGS_H
#define NVMKV_FDW_SETTINGS_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * What the settings say, made to fit together, and room for the column families that there are: what is to be known of
 * the tree before it is opened is the caller's to add.  "complain": with a WARNING where a setting is made smaller.
 */
extern void nvmkv_settings(NvmkvOptions *options, bool complain);

/* Shared memory for an engine with these settings, with room to align it.  FATAL when they do not fit together. */
extern Size nvmkv_settings_shm_bytes(bool complain);

#endif
