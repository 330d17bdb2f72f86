/*
 * option.h
 *	  Options of servers and tables, and the text of a primary key.
 */
#ifndef NVMKV_FDW_OPTION_H
#define NVMKV_FDW_OPTION_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "engine/base/options.h"

#define NVMKV_OPTION_PRIMARY_KEY "primary_key"
#define NVMKV_OPTION_COLUMN_FAMILY "column_family"
#define NVMKV_OPTION_NVM "nvm"
#define NVMKV_OPTION_NVM_SIZE "nvm_size"
#define NVMKV_OPTION_WRITE_BUFFER_SIZE "write_buffer_size"
#define NVMKV_OPTION_MAX_WRITE_BUFFERS "max_write_buffers"
#define NVMKV_OPTION_TARGET_FILE_SIZE "target_file_size"
#define NVMKV_OPTION_BLOOM_BITS_PER_KEY "bloom_bits_per_key"
#define NVMKV_OPTION_COMPRESSION "compression"

/* A column as the option's text names it. */
typedef struct NvmkvKeySpec
{
	char *name; /* folded, or as it was quoted */
	bool descending;
} NvmkvKeySpec;

/* 'a, "B c" DESC' to a list of NvmkvKeySpec, palloc'd.  ERROR HV024 for what is not such a text, 42701, 54011. */
extern List *nvmkv_parse_primary_key(const char *definition);

/* And back; parsing the result gives the same list. */
extern char *nvmkv_format_primary_key(List *specs);

/*
 * 'lz4', or 'none, lz4, zstd': of level 1, 2 and so on, the last one of all that follow; level 0, where there is no
 * container, is compressed like level 1.  false: it is no such list; *detail_out says why.
 */
extern bool nvmkv_parse_compression(const char *definition, uint8 compression_out[NVMKV_LEVELS],
									const char **detail_out);

/* Value of a string option in a list of DefElem, or NULL. */
extern const char *nvmkv_option_string(List *options, const char *name);

#endif
