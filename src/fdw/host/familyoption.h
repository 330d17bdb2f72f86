/*
 * familyoption.h
 *	  The options of a server that name a column family and give it a shape.
 */
#ifndef NVMKV_FDW_FAMILYOPTION_H
#define NVMKV_FDW_FAMILYOPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "engine/nvmkv.h"

#define NVMKV_FAMILY_DEFAULT_NAME "default"

#define NVMKV_OPTION_COLUMN_FAMILY "column_family"
#define NVMKV_OPTION_NVM "nvm"
#define NVMKV_OPTION_NVM_SIZE "nvm_size"
#define NVMKV_OPTION_WRITE_BUFFER_SIZE "write_buffer_size"
#define NVMKV_OPTION_MAX_WRITE_BUFFERS "max_write_buffers"
#define NVMKV_OPTION_TARGET_FILE_SIZE "target_file_size"
#define NVMKV_OPTION_BLOOM_BITS_PER_KEY "bloom_bits_per_key"
#define NVMKV_OPTION_COMPRESSION "compression"

/*
 * What a server's options, a list of DefElem, say of the shape, over what is in *shape; *shaped_out: they say
 * something.  The name of the family, "default" if none is given.  ERROR HV024.
 */
extern const char *nvmkv_family_options(List *options, NvmkvFamilyOptions *shape, bool *shaped_out);

/* Checks the options of a server.  ERROR HV024. */
extern void nvmkv_family_check_options(List *options);

#endif
