/*-------------------------------------------------------------------------
 *
 * resultrow.c
 *	  Rows that SQL functions return, put together column by column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "fdw/host/resultrow.h"

void
nvmkv_result_put(NvmkvResultRow *row, Datum value)
{
	Assert(row->count < NVMKV_RESULT_COLUMNS_MAX);
	row->values[row->count] = value;
	row->nulls[row->count++] = false;
}

void
nvmkv_result_put_null(NvmkvResultRow *row)
{
	Assert(row->count < NVMKV_RESULT_COLUMNS_MAX);
	row->values[row->count] = (Datum) 0;
	row->nulls[row->count++] = true;
}

void
nvmkv_result_put_int8(NvmkvResultRow *row, uint64 value)
{
	nvmkv_result_put(row, Int64GetDatum(value > (uint64) PG_INT64_MAX ? PG_INT64_MAX : (int64) value));
}

void
nvmkv_result_put_int4(NvmkvResultRow *row, uint64 value)
{
	nvmkv_result_put(row, Int32GetDatum(value > (uint64) PG_INT32_MAX ? PG_INT32_MAX : (int32) value));
}

void
nvmkv_result_put_text(NvmkvResultRow *row, const char *value)
{
	if (value != NULL && value[0] != '\0')
		nvmkv_result_put(row, CStringGetTextDatum(value));
	else
		nvmkv_result_put_null(row);
}

void
nvmkv_result_put_lsn(NvmkvResultRow *row, uint64 sequence)
{
	if (sequence > 0)
		nvmkv_result_put(row, LSNGetDatum((XLogRecPtr) sequence));
	else
		nvmkv_result_put_null(row);
}

/* The engine's clock counts microseconds since 1970, the server's since 2000. */
void
nvmkv_result_put_time(NvmkvResultRow *row, uint64 clock_us)
{
	if (clock_us > 0)
		nvmkv_result_put(row, TimestampTzGetDatum((TimestampTz) clock_us -
									 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY));
	else
		nvmkv_result_put_null(row);
}

void
nvmkv_result_put_bytes(NvmkvResultRow *row, const uint8 *data, size_t size)
{
	if (size > 0)
	{
		bytea *value = palloc(VARHDRSZ + size);

		SET_VARSIZE(value, VARHDRSZ + size);
		memcpy(VARDATA(value), data, size);
		nvmkv_result_put(row, PointerGetDatum(value));
	}
	else
		nvmkv_result_put_null(row);
}

void
nvmkv_result_emit(FunctionCallInfo fcinfo, NvmkvResultRow *row)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	Assert(row->count == rsinfo->setDesc->natts);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, row->values, row->nulls);
	row->count = 0;
}

Datum
nvmkv_result_record(FunctionCallInfo fcinfo, NvmkvResultRow *row)
{
	TupleDesc tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	Assert(row->count == tupdesc->natts);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(tupdesc), row->values, row->nulls));
}
