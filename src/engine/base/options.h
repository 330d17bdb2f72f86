/*
 * options.h
 *	  What a database is opened with.  Everything is a plain value; ranges are
 *	  checked by nvmkv_options_check.
 */
#ifndef NVMKV_BASE_OPTIONS_H
#define NVMKV_BASE_OPTIONS_H

#include "engine/base/status.h"
#include <stdbool.h>
#include <stdint.h>

#define NVMKV_KEY_BYTES_MAX 2048                  /* encoded key, storage id included */
/* Payload without the transaction tag: a column of 32 MiB, and the rest of its row. */
#define NVMKV_VALUE_BYTES_MAX (32u * 1024 * 1024 + 64 * 1024)
#define NVMKV_PREFIX_BYTES_MAX 64
#define NVMKV_FAMILIES_MAX 16                     /* column families, the default one included */
#define NVMKV_LEVELS 7                            /* of a tree: 0, where there is no container, to 6 */
#define NVMKV_MEMTABLES_MAX 15                    /* their order is packed in nibbles of one word */

/* On disk: never renumber. */
typedef enum NvmkvCompression
{
	NVMKV_COMPRESSION_NONE,
	NVMKV_COMPRESSION_LZ4,
	NVMKV_COMPRESSION_ZSTD
} NvmkvCompression;

typedef struct NvmkvOptions
{
	uint64_t write_buffer_bytes;   /* one memtable, 64 KiB .. 1 GiB */
	unsigned max_write_buffers;    /* memtables, 2 .. 15 */
	uint64_t nvm_bytes;            /* container's pool when it is created; 0 = no container, flush to SSTables */
	const char *nvm_path;          /* pool file; NULL = <dir>/level0.pool */
	uint64_t target_file_bytes;    /* SSTable, 64 KiB .. 1 GiB */
	uint32_t block_bytes;          /* data block before compression, 1 KiB .. 1 MiB */
	unsigned restart_interval;     /* keys between restart points, 1 .. 128 */
	unsigned bloom_bits_per_key;   /* 0 .. 32 */
	uint32_t value_threshold_bytes; /* tables keep values of this size and more apart; 64 .. 1 GiB, 0: none */
	unsigned prefix_bytes;         /* filters also know so many first bytes of keys; 0 .. 64, 0: none */
	/*
	 * The first 8 bytes of keys are a number whose first byte is that of a column family and whose rest is a sequence:
	 * nothing that begins so was written before it.  Other first bytes say nothing.  So new prefixes have no part in
	 * old damage.
	 */
	bool prefix_is_sequence;
	double l0_write_amplification; /* batch gate, 1.5 .. 20 */
	uint8_t compression[NVMKV_LEVELS]; /* NvmkvCompression of the data blocks that are written to each level */
	uint64_t block_cache_bytes;    /* blocks of tables in shared memory, 64 KiB .. 1 TiB */
	uint64_t compaction_bytes_per_second; /* written at most, 0: no limit; nvmkv_set_compaction_rate changes it */
	uint64_t version_slot_bytes;   /* room for one version image */
	unsigned process_slots;        /* processes that may use the database at once */
	unsigned max_families;         /* column families, the default one included, 1 .. 16; shared memory for each */
	/*
	 * Raised by nvmkv_options_cover: families that memory is reserved for, if more than max_families; and what is
	 * reserved for the memtables of each, if more than the database's own take.
	 */
	unsigned family_slots;
	uint64_t family_memtables_bytes;
	uint64_t system_identifier;    /* stamps manifest and pool; must match at reopen */
	uint64_t restore_from;         /* the files are a copy made while work went on: its log's redo position; else 0 */
	bool anchored;                 /* an anchor beside the directory proves at the next open that it is the same */
	uint64_t log_begin;            /* anchored: where replay will begin, 0: not known */
	uint64_t family_log_begin[NVMKV_FAMILIES_MAX]; /* the same of a family of which the host keeps something; or 0 */
	uint64_t log_end;              /* anchored: where the log ends, 0: not known yet (nvmkv_check_log_end) */
	bool loses_log;                /* what the log has for a family that cannot be used is passed over at replay */
	uint64_t first_fxid;           /* a new database: no transaction below it will ever have written to it */
	uint64_t log_buffer_bytes;     /* standalone log only */
	const char *log_dir;           /* standalone log only: where its files are, made if absent; NULL = the database's */
	bool standalone_log;           /* false: the host supplies the log (LogOps) */
} NvmkvOptions;

/* What messages call an option; the fields' own names unless the host's users know it by another. */
typedef struct NvmkvOptionName
{
	const char *option; /* the field */
	const char *name;
} NvmkvOptionName;

/* names: ends with {NULL, NULL}, and stays; for the whole process.  To be called before a database is opened. */
extern void nvmkv_options_name(const NvmkvOptionName *names);
extern const char *option_name(const char *option);

extern void nvmkv_options_default(NvmkvOptions *options);

/* INVALID names the option and its range. */
extern NvmkvStatus nvmkv_options_check(const NvmkvOptions *options);

#endif
