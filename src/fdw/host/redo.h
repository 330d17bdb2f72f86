/*
 * redo.h
 *	  The resource manager that replays our WAL.
 */
#ifndef NVMKV_FDW_REDO_H
#define NVMKV_FDW_REDO_H

struct LogicalDecodingContext;
struct XLogRecordBuffer;

/* RmgrData.rm_decode. */
typedef void (*NvmkvDecode)(struct LogicalDecodingContext *ctx, struct XLogRecordBuffer *buf);

/* Registers it; from _PG_init while the server preloads libraries. */
extern void nvmkv_redo_init(NvmkvDecode decode);

#endif
