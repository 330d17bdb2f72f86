/*
 * value_refs.h
 *	  How many bytes of which value tables something refers to.
 */
#ifndef NVMKV_SST_VALUE_REFS_H
#define NVMKV_SST_VALUE_REFS_H

#include "engine/base/slice.h"
#include "engine/base/status.h"

typedef struct ValueShare
{
	uint64_t number; /* of the value table */
	uint64_t bytes;	 /* of its blocks, trailers included */
} ValueShare;

/* Zero-initialise; value_refs_free. */
typedef struct ValueRefs
{
	ValueShare *shares; /* by number, each once */
	uint32_t count, capacity;
} ValueRefs;

extern void value_refs_free(ValueRefs *refs);

/* Adds bytes of a table.  NO_MEMORY. */
extern NvmkvStatus value_refs_add(ValueRefs *refs, uint64_t number, uint64_t bytes);

/* NULL: nothing of it. */
extern ValueShare *value_refs_find(const ValueRefs *refs, uint64_t number);

/* As the properties of a table have them (sst_format.h); appends to buf. */
extern NvmkvStatus value_refs_encode(const ValueRefs *refs, NvmkvBuf *buf);

/* Adds all of a list that sst_props_decode found to be sound. */
extern NvmkvStatus value_refs_add_list(ValueRefs *refs, NvmkvSlice list);

/* Is the list sound?  *bytes_out: of all shares. */
extern bool value_refs_check(NvmkvSlice list, uint64_t *bytes_out);

#endif
