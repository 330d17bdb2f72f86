/*-------------------------------------------------------------------------
 *
 * keyoperand.c
 *	  Comparison values of another type, brought into a key column's domain.
 *
 * The rules restate what the cross-type operators of the btree families
 * do, so that a range of keys holds exactly the rows the operator accepts:
 *
 *	integer_ops		all widths compare as 64-bit integers
 *	float_ops		real is widened to double precision
 *	datetime_ops	date is midnight; a date too late for a timestamp is
 *					greater than every finite timestamp, less than infinity
 *	text_ops		name and text compare by their bytes (a key column of
 *					type text has ordered bytes only with collation C)
 *
 * A comparison of date or timestamp with timestamp with time zone depends on
 * the session's time zone, which is not monotonic at its transitions: there the
 * bounds are widened by two days, more than any offset or transition, and the operator
 * itself decides row by row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type_d.h"
#include "datatype/timestamp.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#include "fdw/key/keycode.h"
#include "fdw/plan/keyoperand.h"

#define ZONE_SLACK_DAYS 2

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

static bool
is_text(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == NAMEOID;
}

static bool
is_datetime(Oid type)
{
	return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

/* The operator's name for the column's own type may be its class's: text for varchar, anyenum for an enum. */
static bool
is_own_type(const NvmkvKeyColumn *col, Oid type)
{
	return type == col->how.type || type == col->opcintype;
}

NvmkvOperandSupport
nvmkv_operand_support(const NvmkvKeyColumn *col, Oid type)
{
	Oid coltype = col->how.type;

	if (is_own_type(col, type))
		return NVMKV_OPERAND_FULL;
	if ((is_integer(coltype) && is_integer(type)) ||
		(is_float(coltype) && is_float(type)) ||
		(is_text(coltype) && is_text(type)))
		return NVMKV_OPERAND_FULL;
	if (is_datetime(coltype) && is_datetime(type))
	{
		if (type == TIMESTAMPTZOID && coltype != TIMESTAMPTZOID)
			return NVMKV_OPERAND_LOSSY;
		return NVMKV_OPERAND_FULL;
	}
	return NVMKV_OPERAND_NONE;
}

static NvmkvOperand
operand(NvmkvOperandKind kind, Oid type, Datum value)
{
	NvmkvOperand op = {kind, type, value, (Datum) 0};

	return op;
}

static NvmkvOperand
convert_integer(Oid coltype, Oid type, Datum value)
{
	int64 v = type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) : DatumGetInt64(value);
	int64 min = coltype == INT2OID ? PG_INT16_MIN : coltype == INT4OID ? PG_INT32_MIN : PG_INT64_MIN;
	int64 max = coltype == INT2OID ? PG_INT16_MAX : coltype == INT4OID ? PG_INT32_MAX : PG_INT64_MAX;

	if (v < min)
		return operand(NVMKV_OPERAND_BELOW_ALL, coltype, (Datum) 0);
	if (v > max)
		return operand(NVMKV_OPERAND_ABOVE_ALL, coltype, (Datum) 0);
	if (coltype == INT2OID)
		return operand(NVMKV_OPERAND_EXACT, coltype, Int16GetDatum((int16) v));
	if (coltype == INT4OID)
		return operand(NVMKV_OPERAND_EXACT, coltype, Int32GetDatum((int32) v));
	return operand(NVMKV_OPERAND_EXACT, coltype, Int64GetDatum(v));
}

static NvmkvOperand
convert_float(Oid coltype, Datum value)
{
	float8 v;
	float4 f;

	if (coltype == FLOAT8OID)
		return operand(NVMKV_OPERAND_EXACT, coltype, Float8GetDatum((float8) DatumGetFloat4(value)));

	/*
	 * A conversion rounds to nearest; out of range values become an infinity, NaN stays NaN (the greatest value in
	 * both types).
	 */
	v = DatumGetFloat8(value);
	f = (float4) v;
	if (isnan(v) || (float8) f == v)
		return operand(NVMKV_OPERAND_EXACT, coltype, Float4GetDatum(f));
	if ((float8) f > v)
		f = nextafterf(f, -get_float4_infinity());
	return operand(NVMKV_OPERAND_ROUNDED, coltype, Float4GetDatum(f));
}

/* The whole days of a finite timestamp, rounded down; *exact_out: nothing was cut off. */
static DateADT
timestamp_days(Timestamp t, bool *exact_out)
{
	int64 days = t / USECS_PER_DAY;
	int64 rest = t % USECS_PER_DAY;

	*exact_out = rest == 0;
	return (DateADT) (rest < 0 ? days - 1 : days);
}

static NvmkvOperand
convert_to_date(Oid type, Timestamp t)
{
	DateADT day;
	bool exact;
	NvmkvOperand op;

	if (TIMESTAMP_IS_NOBEGIN(t))
		return operand(NVMKV_OPERAND_EXACT, DATEOID, DateADTGetDatum(DATEVAL_NOBEGIN));
	if (TIMESTAMP_IS_NOEND(t))
		return operand(NVMKV_OPERAND_EXACT, DATEOID, DateADTGetDatum(DATEVAL_NOEND));

	day = timestamp_days(t, &exact);
	if (type == TIMESTAMPOID)
		return operand(exact ? NVMKV_OPERAND_EXACT : NVMKV_OPERAND_ROUNDED, DATEOID, DateADTGetDatum(day));

	op = operand(NVMKV_OPERAND_AROUND, DATEOID, DateADTGetDatum(day - ZONE_SLACK_DAYS));
	op.above = DateADTGetDatum(day + ZONE_SLACK_DAYS);
	return op;
}

/* To timestamp or timestamptz; "overflow" as the server's own conversions report it. */
static NvmkvOperand
widened_timestamp(Oid coltype, int64 t, int overflow)
{
	if (overflow > 0)
		return operand(NVMKV_OPERAND_ROUNDED, coltype, Int64GetDatum(END_TIMESTAMP - 1));
	if (overflow < 0)
		return operand(NVMKV_OPERAND_ROUNDED, coltype, Int64GetDatum(DT_NOBEGIN));
	return operand(NVMKV_OPERAND_EXACT, coltype, Int64GetDatum(t));
}

static NvmkvOperand
convert_zoned_to_timestamp(TimestampTz t)
{
	const int64 slack = ZONE_SLACK_DAYS * USECS_PER_DAY;
	NvmkvOperand op;

	if (TIMESTAMP_NOT_FINITE(t))
		return operand(NVMKV_OPERAND_EXACT, TIMESTAMPOID, TimestampGetDatum(t));
	op = operand(NVMKV_OPERAND_AROUND, TIMESTAMPOID,
				 TimestampGetDatum(t < MIN_TIMESTAMP + slack ? DT_NOBEGIN : t - slack));
	op.above = TimestampGetDatum(t >= END_TIMESTAMP - slack ? DT_NOEND : t + slack);
	return op;
}

static NvmkvOperand
convert_datetime(Oid coltype, Oid type, Datum value)
{
	int overflow = 0;
	int64 t;

	if (coltype == DATEOID)
		return convert_to_date(type, DatumGetTimestamp(value));
	if (coltype == TIMESTAMPOID && type == TIMESTAMPTZOID)
		return convert_zoned_to_timestamp(DatumGetTimestampTz(value));

	if (coltype == TIMESTAMPOID)
		t = date2timestamp_opt_overflow(DatumGetDateADT(value), &overflow);
	else if (type == DATEOID)
		t = date2timestamptz_opt_overflow(DatumGetDateADT(value), &overflow);
	else
		t = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), &overflow);
	return widened_timestamp(coltype, t, overflow);
}

/* No row has offset 0, but a ctid to compare with may. */
static NvmkvOperand
convert_ctid(Datum value)
{
	ItemPointer tid = (ItemPointer) DatumGetPointer(value);
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	ItemPointer below;

	if (ItemPointerGetOffsetNumberNoCheck(tid) > 0)
		return operand(NVMKV_OPERAND_EXACT, TIDOID, value);
	if (block == 0)
		return operand(NVMKV_OPERAND_BELOW_ALL, TIDOID, (Datum) 0);
	below = palloc(sizeof(ItemPointerData));
	ItemPointerSet(below, block - 1, PG_UINT16_MAX);
	return operand(NVMKV_OPERAND_ROUNDED, TIDOID, PointerGetDatum(below));
}

NvmkvOperand
nvmkv_operand_convert(const NvmkvKeyColumn *col, Oid type, Datum value)
{
	Oid coltype = col->how.type;

	if (coltype == TIDOID)
		return convert_ctid(value);
	if (is_own_type(col, type))
		return operand(NVMKV_OPERAND_EXACT, coltype, value);
	if (is_text(coltype))
		return operand(NVMKV_OPERAND_EXACT, type, value);
	if (is_integer(coltype))
		return convert_integer(coltype, type, value);
	if (is_float(coltype))
		return convert_float(coltype, value);
	Assert(is_datetime(coltype));
	return convert_datetime(coltype, type, value);
}

void
nvmkv_operand_append(const NvmkvKeyColumn *col, Oid type, Datum value, StringInfo buf)
{
	NvmkvKeyColumn same = *col;

	if (type == TIDOID)
	{
		nvmkv_key_append_rowid(buf, nvmkv_rowid_from_tid((ItemPointer) DatumGetPointer(value)));
		return;
	}
	same.how.type = type;
	nvmkv_key_append(&same, buf, value);
}
