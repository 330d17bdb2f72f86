/*
 * rowspool.h
 *	  Bytes that are appended, read again, and cut off at the end: in memory, and in a temporary file what is more than
 *	  work_mem.
 */
#ifndef NVMKV_FDW_ROWSPOOL_H
#define NVMKV_FDW_ROWSPOOL_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "storage/buffile.h"

typedef struct NvmkvRowSpool
{
	BufFile *file;	 /* NULL: nothing had to be written yet */
	uint64 in_file;	 /* so many bytes of it count, and the rest follows them */
	StringInfoData rest;
} NvmkvRowSpool;

/*
 * An empty one, in the current memory context.  A file belongs to the transaction, and is closed with its failure; else
 * nvmkv_row_spool_close() closes it.
 */
extern void nvmkv_row_spool_init(NvmkvRowSpool *spool);
extern void nvmkv_row_spool_close(NvmkvRowSpool *spool);

/* How many bytes there are. */
extern uint64 nvmkv_row_spool_size(const NvmkvRowSpool *spool);

/* Puts bytes at the end.  ERROR if the file cannot be written, then the spool is to be used no more. */
extern void nvmkv_row_spool_append(NvmkvRowSpool *spool, const void *data, Size size);

/* Copies bytes that are there.  ERROR if the file cannot be read. */
extern void nvmkv_row_spool_read(NvmkvRowSpool *spool, uint64 position, void *data, Size size);

/* Forgets what is behind a position.  Never fails. */
extern void nvmkv_row_spool_cut(NvmkvRowSpool *spool, uint64 position);

#endif
