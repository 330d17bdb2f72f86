/*
 * salvage_type.h
 *	  Text of values of the server's built-in types, from their bytes.
 */
#ifndef NVMKV_TOOLS_SALVAGE_TYPE_H
#define NVMKV_TOOLS_SALVAGE_TYPE_H

#include "tools/salvage_table.h"

/* OIDs of the server's pg_type. */
#define TYPE_BYTEA 17
#define TYPE_NAME 19
#define TYPE_TIMETZ 1266
#define TYPE_ARRAY 2277 /* any array */
#define TYPE_ENUM 3500	/* any enum */

/*
 * Appends the text of a value: "data" is what the type has in memory, without a varlena's header.  element: of an array.
 * *odd_out: the type is not known here, its bytes were appended in hexadecimal.  CORRUPTION: malformed.
 */
extern NvmkvStatus salvage_value(const SalvageTable *table, uint32_t type, uint32_t element, NvmkvSlice data,
								 NvmkvBuf *text, bool *odd_out);

/*
 * The varlena at p, with its header, before end: its size, and its bytes without the header, expanded into scratch
 * where they are compressed.
 */
extern NvmkvStatus salvage_varlena(const uint8_t *p, const uint8_t *end, size_t *size_out, NvmkvSlice *data_out,
								   NvmkvBuf *scratch);

#endif
