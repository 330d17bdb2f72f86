/*
 * sst_verify.h
 *	  Checking every byte of an SSTable.
 */
#ifndef NVMKV_SST_VERIFY_H
#define NVMKV_SST_VERIFY_H

#include "engine/sst/sst_table.h"

/*
 * Reads the whole file, past any cache: checksums, grammar, order of entries
 * and separators, that blocks follow each other without gaps, that filters hold
 * every key, that the properties are true.  "problem" gets each finding as a
 * text that names the file; after a finding in one part the others are still
 * looked at where that makes sense.
 * Returns OK also when there were findings; else IO, NO_MEMORY, VERSION,
 * NOT_SUPPORTED or CANCELLED (port_interrupted).
 */
extern NvmkvStatus sst_verify(const char *path, uint64_t number, uint64_t file_bytes,
							  void (*problem)(void *ctx, const char *text), void *ctx);

#endif
