/*
 * table_output.h
 *	  The tables a job writes: split by size, between user keys only.
 *
 * A table becomes part of the database by the edit that adds it; until then
 * table_output_free removes it.
 */
#ifndef NVMKV_DB_TABLE_OUTPUT_H
#define NVMKV_DB_TABLE_OUTPUT_H

#include "engine/db/db_int.h"
#include "engine/sst/sst_builder.h"

typedef struct TableOutput
{
	NvmkvDb *db;
	unsigned level;
	uint64_t split_bytes;
	PortFile *file; /* being written, with "builder" */
	SstBuilder *builder;
	uint64_t number;
	NvmkvBuf last_key;
	MetaFile *files; /* finished and synced; their keys are owned here */
	uint32_t nfiles, capacity;
	uint64_t bytes;
} TableOutput;

extern void table_output_init(TableOutput *out, NvmkvDb *db, unsigned level);

/* Entries in internal order. */
extern NvmkvStatus table_output_add(TableOutput *out, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* Finishes the last table and makes all of them durable, names included; each is opened and its ends are read back. */
extern NvmkvStatus table_output_finish(TableOutput *out);

/* keep: an installed edit names the tables.  Otherwise they are removed. */
extern void table_output_free(TableOutput *out, bool keep);

#endif
