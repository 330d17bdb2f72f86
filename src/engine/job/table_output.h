/*
 * table_output.h
 *	  The tables a job writes: split by size, between user keys only; and value
 *	  tables for their large values (value.h).
 *
 * A table becomes part of the database by the edit that adds it; until then
 * table_output_free removes it.
 */
#ifndef NVMKV_JOB_TABLE_OUTPUT_H
#define NVMKV_JOB_TABLE_OUTPUT_H

#include "engine/sst/sst_builder.h"
#include "engine/tree/tree.h"

/* So many finished tables may wait to be synced. */
#define OUTPUT_UNSYNCED_MAX 16

/* One that is being written. */
typedef struct OutputTable
{
	PortFile *file; /* NULL: none is */
	SstBuilder *builder;
	uint64_t number;
	uint64_t paid;		  /* bytes of it that the limit of compaction has heard of */
	uint64_t value_bytes; /* value table: of its blocks; else of the values apart that it refers to */
} OutputTable;

typedef struct TableOutput
{
	NvmkvDb *db;
	unsigned level;
	unsigned bloom_bits_per_key;
	uint64_t split_bytes;
	uint64_t split_apart_bytes; /* of a table's values apart */
	OutputTable table;
	OutputTable values;
	const VersionImage *inputs; /* where the values apart of the entries added are; NULL: they have none */
	bool frees_all;				/* of those: see value_is_moved */
	ValueRefs refs;				/* of all tables */
	NvmkvBuf last_key;
	NvmkvBuf payload; /* of an entry whose value goes apart */
	PortFile *unsynced[OUTPUT_UNSYNCED_MAX]; /* of finished tables, the last of "files" */
	unsigned nunsynced;
	MetaFile *files; /* finished, value tables too; their keys are owned here */
	uint32_t nfiles, capacity;
	uint64_t bytes;
	/* Tables two levels down, for table_output_grandparents. */
	const VersionImage *v;
	uint32_t grandparent, end_grandparent;
	uint64_t grandparent_bytes, grandparent_limit; /* overlapped by the table being written */
} TableOutput;

/* last: no deeper level has anything, and none is about to. */
extern void table_output_init(TableOutput *out, NvmkvDb *db, unsigned level, bool last);

/* A table also ends before it would overlap more than "limit" bytes of files [first, end) of the image, which must stay. */
extern void table_output_grandparents(TableOutput *out, const VersionImage *v, uint32_t first, uint32_t end,
									  uint64_t limit);

/* Entries in internal order. */
extern NvmkvStatus table_output_add(TableOutput *out, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* Finishes the last table and makes all of them durable, names included; each is opened and its ends are read back. */
extern NvmkvStatus table_output_finish(TableOutput *out);

/* keep: an installed edit names the tables.  Otherwise they are removed. */
extern void table_output_free(TableOutput *out, bool keep);

#endif
