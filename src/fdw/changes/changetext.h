/*
 * changetext.h
 *	  A change of a foreign table as text: one JSON object, in the server's encoding.
 *
 *	  {"schema":s,"table":t,"op":"insert","key":{...},"new":{...}}
 *	  {"schema":s,"table":t,"op":"update","key":{...},"old":{...},"new":{...}}
 *	  {"schema":s,"table":t,"op":"delete","key":{...},"old":{...}}
 *	  {"op":"truncate","tables":[{"schema":s,"table":t},...],"cascade":b,"restart_identity":b}
 *
 * key: columns of the primary key, of the row before the change; null where there is none.  old: the row before, where
 * the table's option says so; else it is missing.  new: the row after, all columns of it, for rows are always whole.
 * Columns have the order, names and types of the moment of the change; those that are computed when they are read are
 * left out.
 *
 * Values: NULL is null, booleans are true and false, finite numbers (int2, int4, int8, float4, float8, numeric, domains
 * over them) are numbers, everything else is the text that the type's output function makes, arrays, composite types
 * and JSON among it: what is cast from text is the value again.  It has DateStyle ISO, IntervalStyle postgres,
 * bytea_output hex, whatever these settings are, and names of objects (regclass and the like) with their schema.
 */
#ifndef NVMKV_FDW_CHANGETEXT_H
#define NVMKV_FDW_CHANGETEXT_H

#include "postgres.h"

#include "engine/nvmkv.h"

/*
 * Calls "say" for the text of each change of a note that is complete (nvmkv_note_complete).  With the catalogues as they
 * were when it happened; in a transaction.  ERROR XX001, and what output functions raise.
 */
extern void nvmkv_change_texts(NvmkvSlice note, void (*say) (void *arg, const char *json, Size size), void *arg);

#endif
