/*
 * resultrow.h
 *	  Rows that SQL functions return, put together column by column.
 */
#ifndef NVMKV_FDW_RESULTROW_H
#define NVMKV_FDW_RESULTROW_H

#include "postgres.h"

#include "fmgr.h"

#define NVMKV_RESULT_COLUMNS_MAX 64

/* Zero-initialise; columns are put in order. */
typedef struct NvmkvResultRow
{
	int count;
	Datum values[NVMKV_RESULT_COLUMNS_MAX];
	bool nulls[NVMKV_RESULT_COLUMNS_MAX];
} NvmkvResultRow;

extern void nvmkv_result_put(NvmkvResultRow *row, Datum value);
extern void nvmkv_result_put_null(NvmkvResultRow *row);

/* Counters are unsigned, SQL's integers are not: they stop at the greatest one. */
extern void nvmkv_result_put_int8(NvmkvResultRow *row, uint64 value);
extern void nvmkv_result_put_int4(NvmkvResultRow *row, uint64 value);

/* NULL for what is not there: NULL or "", 0, 0, no bytes. */
extern void nvmkv_result_put_text(NvmkvResultRow *row, const char *value);
extern void nvmkv_result_put_lsn(NvmkvResultRow *row, uint64 sequence);
extern void nvmkv_result_put_time(NvmkvResultRow *row, uint64 clock_us); /* since 1970 */
extern void nvmkv_result_put_bytes(NvmkvResultRow *row, const uint8 *data, size_t size);

/* Hands a row to the tuplestore of a function that called InitMaterializedSRF, and empties it. */
extern void nvmkv_result_emit(FunctionCallInfo fcinfo, NvmkvResultRow *row);

/* The one row of a function that returns a record. */
extern Datum nvmkv_result_record(FunctionCallInfo fcinfo, NvmkvResultRow *row);

#endif
