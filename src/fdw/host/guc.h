/*
 * guc.h
 *	  Settings nvmkv.*
 */
#ifndef NVMKV_FDW_GUC_H
#define NVMKV_FDW_GUC_H

#include "postgres.h"

extern int nvmkv_write_buffer_size_kb;
extern int nvmkv_max_write_buffers;
extern int nvmkv_nvm_size_mb;
extern char *nvmkv_nvm_path;

/* Smaller containers hold next to nothing beside their header. */
#define NVMKV_NVM_SIZE_MB_MIN 16

extern int nvmkv_target_file_size_kb;
extern int nvmkv_block_cache_size_mb;
extern int nvmkv_bloom_bits_per_key;
extern int nvmkv_value_threshold;
extern double nvmkv_l0_write_amplification;
extern char *nvmkv_compression; /* text of nvmkv_parse_compression */
extern int nvmkv_compaction_workers;
extern int nvmkv_max_column_families;
extern int nvmkv_compaction_rate_limit_kb; /* a second; 0: none */
extern int nvmkv_copy_space_limit_mb;	   /* 0: none; -1: as the tables are large */
extern bool nvmkv_ignore_lost_wal;

/* From _PG_init, while the server preloads libraries. */
extern void nvmkv_guc_init(void);

#endif
