/*
 * definition.h
 *	  What a table's rows look like, in words for a reader without a server.
 *
 * Kept with the storage in the registry (registry.c), so that nvmkv_dump can
 * make text of the rows of a database that no server opens any more.  Lines of
 * fields with tabs between them, in fields \\, \t and \n as in COPY:
 *
 *	  nvmkv		1
 *	  table		schema.name, quoted where SQL wants it
 *	  column	attnum, attlen, attbyval, "d" when dropped else "-", OID of the type below domains (ANYENUMOID for an
 *				enum, TEXTOID for citext, ANYARRAYOID for an array), the same of an array's elements or 0, name, type as
 *				SQL has it, what rows read that were written before the column was added, \N for NULL
 *	  key		attnum, NvmkvKeyClass, width, signed, descending, "k" when the value is in the key alone else "v"
 *	  label		OID, label: of enums
 */
#ifndef NVMKV_FDW_DEFINITION_H
#define NVMKV_FDW_DEFINITION_H

#include "postgres.h"

#include "utils/rel.h"

#include "engine/nvmkv.h"
#include "fdw/table/table.h"

/* palloc'd. */
extern char *nvmkv_definition(Relation rel, const NvmkvKeyColumn *keys, int nkeys);

#endif
