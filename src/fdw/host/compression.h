/*
 * compression.h
 *	  Which levels are compressed how, as settings and options say it.
 */
#ifndef NVMKV_FDW_COMPRESSION_H
#define NVMKV_FDW_COMPRESSION_H

#include "postgres.h"

#include "engine/base/options.h"

/*
 * 'lz4', or 'none, lz4, zstd': of level 1, 2 and so on, the last one of all that follow; level 0, where there is no
 * container, is compressed like level 1.  false: it is no such list; *detail_out says why.
 */
extern bool nvmkv_parse_compression(const char *definition, uint8 compression_out[NVMKV_LEVELS],
									const char **detail_out);

/* And back, as short as it can be written; palloc'd. */
extern char *nvmkv_format_compression(const uint8 compression[NVMKV_LEVELS]);

#endif
