/*
 * keynumber.c
 *	  Key bytes of numbers and times.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "fdw/key/keynumber.h"

/* Classes of NUMERIC, in order. */
#define NUMERIC_NEGATIVE_INFINITY 0x10
#define NUMERIC_NEGATIVE 0x20
#define NUMERIC_ZERO 0x30
#define NUMERIC_POSITIVE 0x40
#define NUMERIC_POSITIVE_INFINITY 0x50
#define NUMERIC_NOT_A_NUMBER 0x60

/* The binary format of numeric_send. */
#define WIRE_NUMERIC_NEGATIVE 0x4000
#define WIRE_NUMERIC_NAN 0xC000
#define WIRE_NUMERIC_PINF 0xD000
#define WIRE_NUMERIC_NINF 0xF000
#define WIRE_NUMERIC_HEAD 8 /* ndigits, weight, sign, dscale: 2 bytes each */

void
nvmkv_key_append_int(const NvmkvKeyType *how, StringInfo buf, Datum value)
{
	uint64 bits;

	switch (how->width)
	{
		case 1:
			bits = DatumGetUInt8(value);
			break;
		case 2:
			bits = DatumGetUInt16(value);
			break;
		case 4:
			bits = DatumGetUInt32(value);
			break;
		default:
			bits = (uint64) DatumGetInt64(value);
			break;
	}
	nvmkv_key_append_uint(buf, how->is_signed ? bits ^ nvmkv_key_sign_bit(how->width) : bits, how->width);
}

void
nvmkv_key_append_float(const NvmkvKeyType *how, StringInfo buf, Datum value)
{
	uint64 sign = nvmkv_key_sign_bit(how->width);
	uint64 bits;
	bool is_nan;

	if (how->width == 4)
	{
		float4 number = DatumGetFloat4(value);
		uint32 bits4;

		is_nan = isnan(number);
		if (number == 0)
			number = 0; /* not -0 */
		memcpy(&bits4, &number, sizeof(bits4));
		bits = bits4;
	}
	else
	{
		float8 number = DatumGetFloat8(value);

		is_nan = isnan(number);
		if (number == 0)
			number = 0;
		memcpy(&bits, &number, sizeof(bits));
	}

	if (is_nan)
		bits = PG_UINT64_MAX;
	else
		bits = (bits & sign) ? ~bits : bits | sign;
	if (how->width == 4)
		bits &= PG_UINT32_MAX;
	nvmkv_key_append_uint(buf, bits, how->width);
}

void
nvmkv_key_append_timetz(StringInfo buf, Datum value)
{
	const TimeTzADT *time = DatumGetTimeTzADTP(value);
	int64 instant = time->time + (int64) time->zone * USECS_PER_SEC;

	nvmkv_key_append_uint(buf, (uint64) instant ^ nvmkv_key_sign_bit(8), 8);
	nvmkv_key_append_uint(buf, (uint32) time->zone ^ nvmkv_key_sign_bit(4), 4);
}

/* As the type compares: a month is 30 days, a day 24 hours.  Whole days, then what is left of a day. */
void
nvmkv_key_append_interval(StringInfo buf, Datum value)
{
	const Interval *interval = DatumGetIntervalP(value);
	int64 days = (int64) interval->month * DAYS_PER_MONTH + interval->day + interval->time / USECS_PER_DAY;
	int64 rest = interval->time % USECS_PER_DAY;

	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	nvmkv_key_append_uint(buf, (uint64) days ^ nvmkv_key_sign_bit(8), 8);
	nvmkv_key_append_uint(buf, (uint64) rest, 8);
}

static uint16
wire_uint16(const char *p)
{
	uint16 big;

	memcpy(&big, p, sizeof(big));
	return pg_ntoh16(big);
}

/*
 * class u8; and for POSITIVE and NEGATIVE:
 *	  weight u16 (of the first digit, in powers of 10000, plus 32768), digit u16 + 1 each, 0 u16
 * with leading and trailing zero digits left out; all but the class
 * complemented for NEGATIVE.
 */
void
nvmkv_key_append_numeric(StringInfo buf, Datum value)
{
	bytea *wire = DatumGetByteaPP(DirectFunctionCall1(numeric_send, value));
	const char *p = VARDATA_ANY(wire);
	int ndigits = wire_uint16(p); /* up to 36 864: 131 072 decimal digits before the point, 16 383 after it */
	int weight = (int16) wire_uint16(p + 2);
	int sign = wire_uint16(p + 4);
	const char *digits = p + WIRE_NUMERIC_HEAD;
	uint16 flip = 0;

	Assert(VARSIZE_ANY_EXHDR(wire) == WIRE_NUMERIC_HEAD + 2 * ndigits);

	while (ndigits > 0 && wire_uint16(digits) == 0)
	{
		digits += 2;
		ndigits--;
		weight--;
	}
	while (ndigits > 0 && wire_uint16(digits + 2 * (ndigits - 1)) == 0)
		ndigits--;

	if (sign == WIRE_NUMERIC_NAN)
		nvmkv_key_append_uint(buf, NUMERIC_NOT_A_NUMBER, 1);
	else if (sign == WIRE_NUMERIC_PINF)
		nvmkv_key_append_uint(buf, NUMERIC_POSITIVE_INFINITY, 1);
	else if (sign == WIRE_NUMERIC_NINF)
		nvmkv_key_append_uint(buf, NUMERIC_NEGATIVE_INFINITY, 1);
	else if (ndigits == 0)
		nvmkv_key_append_uint(buf, NUMERIC_ZERO, 1);
	else
	{
		if (sign == WIRE_NUMERIC_NEGATIVE)
			flip = PG_UINT16_MAX;
		nvmkv_key_append_uint(buf, flip ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE, 1);
		nvmkv_key_append_uint(buf, (uint16) ((weight + 32768) ^ flip), 2);
		for (int i = 0; i < ndigits; i++)
			nvmkv_key_append_uint(buf, (uint16) ((wire_uint16(digits + 2 * i) + 1) ^ flip), 2);
		nvmkv_key_append_uint(buf, flip, 2);
	}
	pfree(wire);
}

/* ---------------------------------------------------------------- decoding */

Datum
nvmkv_key_take_int(NvmkvKeyReader *reader, const NvmkvKeyType *how)
{
	uint64 bits = nvmkv_key_take_uint(reader, how->width);

	if (how->is_signed)
		bits ^= nvmkv_key_sign_bit(how->width);
	switch (how->width)
	{
		case 1:
			/* "char" is signed in C. */
			return how->type == BOOLOID ? BoolGetDatum(bits != 0) : CharGetDatum((char) bits);
		case 2:
			return Int16GetDatum((int16) bits);
		case 4:
			return how->is_signed ? Int32GetDatum((int32) bits) : UInt32GetDatum((uint32) bits);
		default:
			return Int64GetDatum((int64) bits);
	}
}

Datum
nvmkv_key_take_timetz(NvmkvKeyReader *reader)
{
	int64 instant = (int64) (nvmkv_key_take_uint(reader, 8) ^ nvmkv_key_sign_bit(8));
	int32 zone = (int32) (nvmkv_key_take_uint(reader, 4) ^ nvmkv_key_sign_bit(4));
	TimeTzADT *result = palloc0(sizeof(TimeTzADT));

	result->zone = zone;
	result->time = instant - (int64) zone * USECS_PER_SEC;
	return TimeTzADTPGetDatum(result);
}

void
nvmkv_key_skip_numeric(NvmkvKeyReader *reader)
{
	uint16 flip;

	switch (nvmkv_key_take_uint(reader, 1))
	{
		case NUMERIC_NEGATIVE_INFINITY:
		case NUMERIC_ZERO:
		case NUMERIC_POSITIVE_INFINITY:
		case NUMERIC_NOT_A_NUMBER:
			return;
		case NUMERIC_NEGATIVE:
			flip = PG_UINT16_MAX;
			break;
		case NUMERIC_POSITIVE:
			flip = 0;
			break;
		default:
			nvmkv_key_report_malformed(reader->table);
	}
	(void) nvmkv_key_take(reader, 2);
	while (nvmkv_key_take_uint(reader, 2) != flip)
		;
}
