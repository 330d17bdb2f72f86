/*
 * sst_builder.h
 *	  Writing an SSTable.
 *
 * Crash outcome: until the caller has synced the file and recorded it in the
 * manifest, it is unknown to everybody and is removed at the next open.
 */
#ifndef NVMKV_SST_BUILDER_H
#define NVMKV_SST_BUILDER_H

#include "engine/port/port.h"
#include "engine/sst/sst_format.h"
#include "engine/sst/value_refs.h"

typedef struct SstBuildOptions
{
	uint32_t block_bytes;		 /* 1 KiB .. 1 MiB; only a single entry may make a data block larger */
	unsigned restart_interval;	 /* 1 .. SST_RESTART_INTERVAL_MAX */
	unsigned bloom_bits_per_key; /* 0 .. 32; 0 = no filters */
	unsigned codec;				 /* SST_CODEC_*, of data blocks */
	unsigned prefix_bytes;		 /* 0 .. NVMKV_PREFIX_BYTES_MAX, of the prefixes in the filters; 0 = none */
} SstBuildOptions;

typedef struct SstBuilder SstBuilder;

/* What the version records of a new file.  The keys are the builder's, until it is destroyed. */
typedef struct SstBuilt
{
	uint64_t file_bytes;
	uint64_t entries;
	uint64_t deletions;
	uint64_t user_bytes; /* keys and payloads */
	uint64_t min_sequence;
	uint64_t max_sequence;
	uint64_t min_unresolved_fxid; /* smallest fxid whose outcome is not stored, 0 none */
	NvmkvSlice smallest;		  /* user keys */
	NvmkvSlice largest;
	const ValueRefs *refs;		  /* what it refers to; the builder's, too */
} SstBuilt;

/* file: empty, open for writing, stays the caller's.  Returns OK, INVALID (options), NO_MEMORY. */
extern NvmkvStatus sst_builder_create(const SstBuildOptions *options, PortFile *file, SstBuilder **builder_out);

/*
 * Adds an entry, larger than the one before.  All versions of a user key must
 * go to one table: the caller cuts between keys.
 * Returns OK, INVALID (order, type), CORRUPTION (tagged payload too short),
 * LIMIT (key or payload too long), NO_MEMORY, or what writing failed with;
 * after a failure only destroy is allowed.
 */
extern NvmkvStatus sst_builder_add(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* The same for a value table: the entry, of type VALUE, is a block for itself, which a reference will name. */
extern NvmkvStatus sst_builder_add_value(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice value,
										 SstHandle *block_out);

/* About the size the file would have if it were finished now; never less than what was written. */
extern uint64_t sst_builder_bytes(const SstBuilder *b);


/* Writes the rest.  REQUIRES at least one entry.  The file is complete but not synced. */
extern NvmkvStatus sst_builder_finish(SstBuilder *b, SstBuilt *built_out);

/* NULL is allowed.  The file stays as far as it was written. */
extern void sst_builder_destroy(SstBuilder *b);

#endif
