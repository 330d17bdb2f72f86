/*
 * rowcode.h
 *	  Value bytes of a row: the attributes the key does not hold.
 *
 * Layout is by attribute number, so a dropped column is skipped, a column added later reads as its missing
 * value (pg_attribute.attmissingval) or NULL.  Stored datums are flat: external TOAST pointers are fetched first.
 * Big values (> 2 KB) are compressed by the column's method as the heap would, when that makes them smaller.
 */
#ifndef NVMKV_FDW_ROWCODE_H
#define NVMKV_FDW_ROWCODE_H

#include "lib/stringinfo.h"
#include "executor/tuptable.h"

#include "fdw/key/layout.h"

/* Replaces buf by the value bytes of the slot's row.  ERROR 54000 above NVMKV_VALUE_BYTES_MAX. */
extern void nvmkv_row_encode(const NvmkvTable *table, StringInfo buf, TupleTableSlot *slot);

/*
 * Fills values/nulls of the first natts_needed attributes, as far as they are not in the key.  By-reference values
 * point into "value", or are palloc'd in the current context where the type needs alignment: keep it alive.
 * ERROR XX001 on malformed bytes.
 */
extern void nvmkv_row_decode(const NvmkvTable *table, NvmkvSlice value, Datum *values, bool *nulls, int natts_needed);

/* Key and value to a virtual tuple in slot (of any kind), tts_tid from a hidden row id. */
extern void nvmkv_row_to_slot(const NvmkvTable *table, NvmkvSlice key, NvmkvSlice value, TupleTableSlot *slot);

#endif
