/*
 * copyfrom.h
 *	  COPY FROM writes its rows when it writes those of a heap table.
 */
#ifndef NVMKV_FDW_COPYFROM_H
#define NVMKV_FDW_COPYFROM_H

#include "postgres.h"

#include "nodes/execnodes.h"

struct CopyFromStateData;

/* What the tables of one COPY FROM share. */
typedef struct NvmkvCopyFrom
{
	struct CopyFromStateData *state;
	int depth; /* of triggers, when it began */
	int rows;  /* kept back */
	int bytes; /* of input they were made of */
} NvmkvCopyFrom;

/* The COPY that is calling; NULL: it is none. */
extern struct CopyFromStateData *nvmkv_copyfrom_state(void);

/* Does it keep rows of this table back? */
extern bool nvmkv_copyfrom_keeps_rows(const struct CopyFromStateData *state, ModifyTableState *mtstate,
									  const ResultRelInfo *rri);
extern NvmkvCopyFrom *nvmkv_copyfrom_create(struct CopyFromStateData *state);

/* Has read a row that is kept back.  True: write them all. */
extern bool nvmkv_copyfrom_add(NvmkvCopyFrom *copy);

/* The line that is being read. */
extern uint64 nvmkv_copyfrom_line(const NvmkvCopyFrom *copy);

/* May whoever begins to look now see the rows that are kept back? */
extern bool nvmkv_copyfrom_shows_rows(const NvmkvCopyFrom *copy);

/*
 * Around writing: errors name the line of the row, not the one that was read last.  Nothing is to be done when an
 * error ends it.
 */
typedef struct NvmkvCopyLine
{
	ErrorContextCallback callback;
	bool pushed;
	uint64 line;
	bool valid;
} NvmkvCopyLine;

extern void nvmkv_copyfrom_begin_writing(const NvmkvCopyFrom *copy, NvmkvCopyLine *saved);
extern void nvmkv_copyfrom_set_line(const NvmkvCopyFrom *copy, uint64 line);
extern void nvmkv_copyfrom_end_writing(const NvmkvCopyFrom *copy, const NvmkvCopyLine *saved);

#endif
