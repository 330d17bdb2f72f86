/*
 * keycode.c
 *	  Order-preserving key bytes.
 *
 * Bytes of one column, before DESC complements them:
 *
 *	  INT			width bytes big-endian; the sign bit flipped when signed
 *	  FLOAT			width bytes big-endian of the IEEE bits: negative ones complemented, others with the sign bit set;
 *					-0 is written as 0, every NaN as all ones (after infinity)
 *	  BYTES_FIXED	the bytes
 *	  BYTES			each byte, 00 as 00 FF, then 00 01: shorter strings first, no string's bytes begin another's
 *	  TIMETZ		instant (time + zone) as INT of 8, then zone as INT of 4: the order of timetz_cmp
 *	  NUMERIC		class; for finite non-zero values then weight and base-10000 digits (see numeric_append)
 *
 * A nullable column has a byte before these, that DESC leaves alone: 02, or for NULL 01 where NULLs come first, 03
 * where they come last, and nothing behind it.
 *
 * All but FLOAT, NUMERIC and blank-padded strings give back the very datum
 * that was written.  These three forget what their type's equality ignores
 * (sign of zero, trailing zeros, trailing blanks); the row's value keeps it.
 *
 * What is here is on disk: a change needs a new format of rows.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/pg_locale.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/xid8.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"

StaticAssertDecl(sizeof(NameData) == NAMEDATALEN, "a name is its bytes");

#define KEY_TYPE_CHOICES \
	"Key columns can be boolean, integers, oid, \"char\", name, text, varchar, char, bytea, numeric, real, double precision, money, dates and times, uuid, macaddr, macaddr8, pg_lsn, xid8, enums, and domains over these."

/* Escapes of BYTES. */
#define BYTES_ZERO 0xff /* after 00: a zero byte */
#define BYTES_END 0x01  /* after 00: the end */

/* Of nullable columns. */
#define NULL_FIRST 0x01
#define NOT_NULL 0x02
#define NULL_LAST 0x03

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

/* ---------------------------------------------------------------- setup */

static void
set_int(NvmkvKeyColumn *col, int16 width, bool is_signed)
{
	col->key_class = NVMKV_KEY_INT;
	col->width = width;
	col->is_signed = is_signed;
}

static void
set_fixed(NvmkvKeyColumn *col, NvmkvKeyClass key_class, int16 width)
{
	col->key_class = key_class;
	col->width = width;
}

/* Class of col->base_type; false when it has none. */
static bool
set_class(NvmkvKeyColumn *col)
{
	switch (col->base_type)
	{
		case BOOLOID:
		case CHAROID: /* compared as an unsigned byte */
			set_int(col, 1, false);
			return true;
		case INT2OID:
			set_int(col, 2, true);
			return true;
		case INT4OID:
		case DATEOID:
			set_int(col, 4, true);
			return true;
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case MONEYOID:
			set_int(col, 8, true);
			return true;
		case OIDOID:
			set_int(col, 4, false);
			return true;
		case PG_LSNOID:
		case XID8OID:
			set_int(col, 8, false);
			return true;
		case FLOAT4OID:
			set_fixed(col, NVMKV_KEY_FLOAT, 4);
			return true;
		case FLOAT8OID:
			set_fixed(col, NVMKV_KEY_FLOAT, 8);
			return true;
		case UUIDOID:
			set_fixed(col, NVMKV_KEY_BYTES_FIXED, UUID_LEN);
			return true;
		case MACADDROID:
			set_fixed(col, NVMKV_KEY_BYTES_FIXED, 6);
			return true;
		case MACADDR8OID:
			set_fixed(col, NVMKV_KEY_BYTES_FIXED, 8);
			return true;
		case TIMETZOID:
			set_fixed(col, NVMKV_KEY_TIMETZ, 12);
			return true;
		case INTERVALOID:
			set_fixed(col, NVMKV_KEY_INTERVAL, 16);
			return true;
		case NUMERICOID:
			set_fixed(col, NVMKV_KEY_NUMERIC, 0);
			return true;
		case BYTEAOID:
		case NAMEOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			set_fixed(col, NVMKV_KEY_BYTES, 0);
			return true;
		default:
			/* The sort order of an enum can change, its members' OIDs do not. */
			if (type_is_enum(col->base_type))
			{
				set_int(col, 4, false);
				col->ordered = false;
				return true;
			}
			return false;
	}
}

bool
nvmkv_key_column_setup(NvmkvKeyColumn *col, const char **reason_out)
{
	TypeCacheEntry *type;

	*reason_out = NULL;
	col->base_type = getBaseType(col->type);
	col->ordered = true;
	col->is_signed = false;
	if (!set_class(col))
	{
		*reason_out = _(KEY_TYPE_CHOICES);
		return false;
	}
	col->image_equal = col->key_class != NVMKV_KEY_FLOAT && col->key_class != NVMKV_KEY_NUMERIC &&
					   col->key_class != NVMKV_KEY_INTERVAL && col->base_type != BPCHAROID;

	if (OidIsValid(col->collation))
	{
		if (!get_collation_isdeterministic(col->collation))
		{
			*reason_out = _("Nondeterministic collations are not supported in keys.");
			return false;
		}
		if (!lc_collate_is_c(col->collation))
			col->ordered = false;
	}

	/* What the planner may believe: the type's own order, or equality alone. */
	type = lookup_type_cache(col->base_type, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_HASH_OPFAMILY);
	col->opfamily = col->ordered ? type->btree_opf : type->hash_opf;
	col->opcintype = col->ordered ? type->btree_opintype : type->hash_opintype;
	if (!OidIsValid(col->opfamily))
	{
		*reason_out = _("The type has no default operator class.");
		return false;
	}
	return true;
}

/* ---------------------------------------------------------------- encoding */

static inline void
append_uint(StringInfo buf, uint64 value, int width)
{
	uint64 big = pg_hton64(value << (8 * (8 - width)));

	appendBinaryStringInfo(buf, (const char *) &big, width);
}

static inline uint64
sign_bit(int width)
{
	return UINT64CONST(1) << (8 * width - 1);
}

static void
int_append(const NvmkvKeyColumn *col, StringInfo buf, Datum value)
{
	uint64 bits;

	switch (col->width)
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
	append_uint(buf, col->is_signed ? bits ^ sign_bit(col->width) : bits, col->width);
}

static void
float_append(const NvmkvKeyColumn *col, StringInfo buf, Datum value)
{
	uint64 sign = sign_bit(col->width);
	uint64 bits;
	bool is_nan;

	if (col->width == 4)
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
	if (col->width == 4)
		bits &= PG_UINT32_MAX;
	append_uint(buf, bits, col->width);
}

static void
bytes_append(StringInfo buf, const char *data, size_t size)
{
	const char *end = data + size;

	while (data < end)
	{
		const char *zero = memchr(data, 0, end - data);
		const char *stop = zero != NULL ? zero : end;

		appendBinaryStringInfo(buf, data, stop - data);
		data = stop;
		if (zero != NULL)
		{
			appendStringInfoCharMacro(buf, '\0');
			appendStringInfoCharMacro(buf, (char) BYTES_ZERO);
			data++;
		}
	}
	appendStringInfoCharMacro(buf, '\0');
	appendStringInfoCharMacro(buf, (char) BYTES_END);
}

static void
varlena_append(const NvmkvKeyColumn *col, StringInfo buf, Datum value)
{
	struct varlena *flat = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	int size = VARSIZE_ANY_EXHDR(flat);

	if (col->base_type == BPCHAROID)
		size = bpchartruelen(VARDATA_ANY(flat), size);
	bytes_append(buf, VARDATA_ANY(flat), size);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
}

static void
timetz_append(StringInfo buf, Datum value)
{
	const TimeTzADT *time = DatumGetTimeTzADTP(value);
	int64 instant = time->time + (int64) time->zone * USECS_PER_SEC;

	append_uint(buf, (uint64) instant ^ sign_bit(8), 8);
	append_uint(buf, (uint32) time->zone ^ sign_bit(4), 4);
}

/* As the type compares: a month is 30 days, a day 24 hours.  Whole days, then what is left of a day. */
static void
interval_append(StringInfo buf, Datum value)
{
	const Interval *interval = DatumGetIntervalP(value);
	int64 days = (int64) interval->month * DAYS_PER_MONTH + interval->day + interval->time / USECS_PER_DAY;
	int64 rest = interval->time % USECS_PER_DAY;

	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	append_uint(buf, (uint64) days ^ sign_bit(8), 8);
	append_uint(buf, (uint64) rest, 8);
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
static void
numeric_append(StringInfo buf, Datum value)
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
		append_uint(buf, NUMERIC_NOT_A_NUMBER, 1);
	else if (sign == WIRE_NUMERIC_PINF)
		append_uint(buf, NUMERIC_POSITIVE_INFINITY, 1);
	else if (sign == WIRE_NUMERIC_NINF)
		append_uint(buf, NUMERIC_NEGATIVE_INFINITY, 1);
	else if (ndigits == 0)
		append_uint(buf, NUMERIC_ZERO, 1);
	else
	{
		if (sign == WIRE_NUMERIC_NEGATIVE)
			flip = PG_UINT16_MAX;
		append_uint(buf, flip ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE, 1);
		append_uint(buf, (uint16) ((weight + 32768) ^ flip), 2);
		for (int i = 0; i < ndigits; i++)
			append_uint(buf, (uint16) ((wire_uint16(digits + 2 * i) + 1) ^ flip), 2);
		append_uint(buf, flip, 2);
	}
	pfree(wire);
}

void
nvmkv_key_append_null(const NvmkvKeyColumn *col, StringInfo buf)
{
	Assert(col->nullable);
	appendStringInfoCharMacro(buf, col->nulls_first ? NULL_FIRST : NULL_LAST);
}

void
nvmkv_key_append_not_null(const NvmkvKeyColumn *col, StringInfo buf)
{
	if (col->nullable)
		appendStringInfoCharMacro(buf, NOT_NULL);
}

void
nvmkv_key_append(const NvmkvKeyColumn *col, StringInfo buf, Datum value)
{
	int start;

	nvmkv_key_append_not_null(col, buf);
	start = buf->len;
	switch (col->key_class)
	{
		case NVMKV_KEY_INT:
			int_append(col, buf, value);
			break;
		case NVMKV_KEY_FLOAT:
			float_append(col, buf, value);
			break;
		case NVMKV_KEY_BYTES_FIXED:
			appendBinaryStringInfo(buf, DatumGetPointer(value), col->width);
			break;
		case NVMKV_KEY_BYTES:
			if (col->base_type == NAMEOID)
				bytes_append(buf, NameStr(*DatumGetName(value)), strlen(NameStr(*DatumGetName(value))));
			else
				varlena_append(col, buf, value);
			break;
		case NVMKV_KEY_TIMETZ:
			timetz_append(buf, value);
			break;
		case NVMKV_KEY_NUMERIC:
			numeric_append(buf, value);
			break;
		case NVMKV_KEY_INTERVAL:
			interval_append(buf, value);
			break;
	}

	if (col->descending)
	{
		for (int i = start; i < buf->len; i++)
			buf->data[i] = (char) ~buf->data[i];
	}
}

void
nvmkv_key_begin(const NvmkvTable *table, StringInfo buf)
{
	resetStringInfo(buf);
	append_uint(buf, table->storage_id, NVMKV_STORAGE_ID_BYTES);
}

static void
report_key_too_long(const NvmkvTable *table, int64 size)
{
	char *relname = get_rel_name(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 get_rel_relkind(table->relid) == RELKIND_PARTITIONED_INDEX
				 ? errmsg("key of index \"%s\" takes " INT64_FORMAT " bytes, more than the maximum of %d",
						  relname ? relname : "?", size, NVMKV_KEY_BYTES_MAX)
				 : errmsg("key of foreign table \"%s\" takes " INT64_FORMAT " bytes, more than the maximum of %d",
						  relname ? relname : "?", size, NVMKV_KEY_BYTES_MAX),
			 errhint("Consider a hash of the value as the key.")));
}

static void
report_null_key(const NvmkvTable *table, AttrNumber attnum)
{
	char *relname = get_rel_name(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
					NameStr(TupleDescAttr(table->tupdesc, attnum - 1)->attname), relname ? relname : "?")));
}

void
nvmkv_key_from_slot(const NvmkvTable *table, StringInfo buf, TupleTableSlot *slot)
{
	Assert(table->nkeys > 0);
	nvmkv_key_begin(table, buf);
	for (int i = 0; i < table->nkeys; i++)
	{
		const NvmkvKeyColumn *col = &table->keys[i];
		bool isnull;
		Datum value = slot_getattr(slot, col->attnum, &isnull);

		if (isnull && col->nullable)
		{
			nvmkv_key_append_null(col, buf);
			continue;
		}
		if (isnull)
			report_null_key(table, col->attnum);

		/* Not a gigabyte of text for nothing. */
		if (col->key_class == NVMKV_KEY_BYTES && col->base_type != NAMEOID && col->base_type != BPCHAROID)
		{
			Size raw = toast_raw_datum_size(value) - VARHDRSZ;

			if (raw > NVMKV_KEY_BYTES_MAX)
				report_key_too_long(table, raw);
		}
		nvmkv_key_append(col, buf, value);
	}
	if (buf->len > NVMKV_KEY_BYTES_MAX)
		report_key_too_long(table, buf->len);
}

/* ---------------------------------------------------------------- hidden row ids */

void
nvmkv_key_from_rowid(const NvmkvTable *table, StringInfo buf, uint64 rowid)
{
	nvmkv_key_begin(table, buf);
	nvmkv_key_append_rowid(buf, rowid);
}

void
nvmkv_key_append_rowid(StringInfo buf, uint64 rowid)
{
	append_uint(buf, rowid, 8);
}

uint64
nvmkv_key_rowid(NvmkvSlice key)
{
	uint64 big;

	if (key.size != NVMKV_STORAGE_ID_BYTES + 8)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("malformed key of a row without a primary key: %zu bytes", key.size)));
	memcpy(&big, key.data + NVMKV_STORAGE_ID_BYTES, sizeof(big));
	return pg_ntoh64(big);
}

/* Offsets run from 1 to 65535: with 0 the pointer would be invalid. */
#define ROWIDS_PER_BLOCK 65535

void
nvmkv_rowid_to_tid(uint64 rowid, ItemPointer tid)
{
	uint64 block = rowid / ROWIDS_PER_BLOCK;

	if (block > MaxBlockNumber)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row id " UINT64_FORMAT " is out of range", rowid)));
	ItemPointerSet(tid, (BlockNumber) block, (OffsetNumber) (rowid % ROWIDS_PER_BLOCK + 1));
}

uint64
nvmkv_rowid_from_tid(ItemPointer tid)
{
	uint64 block = ItemPointerGetBlockNumberNoCheck(tid);

	return block * ROWIDS_PER_BLOCK + ItemPointerGetOffsetNumberNoCheck(tid) - 1;
}

/* ---------------------------------------------------------------- decoding */

/* Bytes of a key that are still to be read; flip undoes DESC. */
typedef struct KeyReader
{
	const NvmkvTable *table;
	const uint8 *p;
	const uint8 *end;
	uint8 flip; /* 0 or 0xff */
} KeyReader;

pg_noreturn static void report_malformed_key(const NvmkvTable *table);

static void
report_malformed_key(const NvmkvTable *table)
{
	char *relname = get_rel_name(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("malformed key in foreign table \"%s\"", relname ? relname : "?")));
}

static inline const uint8 *
key_take(KeyReader *reader, size_t size)
{
	const uint8 *p = reader->p;

	if (unlikely((size_t) (reader->end - p) < size))
		report_malformed_key(reader->table);
	reader->p += size;
	return p;
}

static inline uint64
key_take_uint(KeyReader *reader, int width)
{
	const uint8 *p = key_take(reader, width);
	uint64 big = 0;

	memcpy((char *) &big + (8 - width), p, width);
	big = pg_ntoh64(big);
	if (reader->flip)
		big = ~big;
	return width == 8 ? big : big & ((UINT64CONST(1) << (8 * width)) - 1);
}

static Datum
int_take(KeyReader *reader, const NvmkvKeyColumn *col)
{
	uint64 bits = key_take_uint(reader, col->width);

	if (col->is_signed)
		bits ^= sign_bit(col->width);
	switch (col->width)
	{
		case 1:
			/* "char" is signed in C. */
			return col->base_type == BOOLOID ? BoolGetDatum(bits != 0) : CharGetDatum((char) bits);
		case 2:
			return Int16GetDatum((int16) bits);
		case 4:
			return col->is_signed ? Int32GetDatum((int32) bits) : UInt32GetDatum((uint32) bits);
		default:
			return Int64GetDatum((int64) bits);
	}
}

/* Finds the end of a BYTES column; returns how many bytes it stands for. *escaped_out: some are escapes. */
static size_t
bytes_measure(KeyReader *reader, const uint8 **data_out, const uint8 **stop_out)
{
	const uint8 *data = reader->p;
	const uint8 *p = data;
	size_t escapes = 0;

	for (;;)
	{
		p = memchr(p, reader->flip, reader->end - p);
		if (p == NULL || reader->end - p < 2)
			report_malformed_key(reader->table);
		if ((p[1] ^ reader->flip) == BYTES_END)
			break;
		if ((p[1] ^ reader->flip) != BYTES_ZERO)
			report_malformed_key(reader->table);
		escapes++;
		p += 2;
	}
	reader->p = p + 2;
	*data_out = data;
	*stop_out = p;
	return (size_t) (p - data) - escapes;
}

static void
bytes_copy(const KeyReader *reader, char *out, size_t size, const uint8 *data, const uint8 *stop)
{
	if ((size_t) (stop - data) == size)
		memcpy(out, data, size);
	else
	{
		for (const uint8 *p = data; p < stop; p++)
		{
			*out++ = (char) *p;
			if (*p == reader->flip)
				p++; /* the escape's second byte */
		}
		out -= size;
	}
	if (reader->flip)
	{
		for (size_t i = 0; i < size; i++)
			out[i] = (char) ~out[i];
	}
}

static Datum
bytes_take(KeyReader *reader, const NvmkvKeyColumn *col)
{
	const uint8 *data;
	const uint8 *stop;
	size_t size = bytes_measure(reader, &data, &stop);

	if (col->base_type == NAMEOID)
	{
		NameData *name;

		if (size >= NAMEDATALEN)
			report_malformed_key(reader->table);
		name = palloc0(sizeof(NameData));
		bytes_copy(reader, NameStr(*name), size, data, stop);
		return NameGetDatum(name);
	}
	else
	{
		struct varlena *result = palloc(size + VARHDRSZ);

		SET_VARSIZE(result, size + VARHDRSZ);
		bytes_copy(reader, VARDATA(result), size, data, stop);
		return PointerGetDatum(result);
	}
}

static Datum
fixed_take(KeyReader *reader, const NvmkvKeyColumn *col)
{
	const uint8 *data = key_take(reader, col->width);
	char *result;

	/* None of these types needs alignment for its bytes. */
	if (!reader->flip)
		return PointerGetDatum(data);
	result = palloc(col->width);
	for (int i = 0; i < col->width; i++)
		result[i] = (char) ~data[i];
	return PointerGetDatum(result);
}

static Datum
timetz_take(KeyReader *reader)
{
	int64 instant = (int64) (key_take_uint(reader, 8) ^ sign_bit(8));
	int32 zone = (int32) (key_take_uint(reader, 4) ^ sign_bit(4));
	TimeTzADT *result = palloc0(sizeof(TimeTzADT));

	result->zone = zone;
	result->time = instant - (int64) zone * USECS_PER_SEC;
	return TimeTzADTPGetDatum(result);
}

static void
numeric_skip(KeyReader *reader)
{
	uint16 flip;

	switch (key_take_uint(reader, 1))
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
			report_malformed_key(reader->table);
	}
	(void) key_take(reader, 2);
	while (key_take_uint(reader, 2) != flip)
		;
}

bool
nvmkv_key_says_null(const NvmkvKeyColumn *col, uint8 byte)
{
	return byte == (col->nulls_first ? NULL_FIRST : NULL_LAST);
}

/* Of a nullable column: is there a value? */
static bool
take_not_null(KeyReader *reader, const NvmkvKeyColumn *col)
{
	uint8 byte = *key_take(reader, 1);

	if (byte == NOT_NULL)
		return true;
	if (!nvmkv_key_says_null(col, byte))
		report_malformed_key(reader->table);
	return false;
}

/* Behind the value of a column. */
static void
skip_value(KeyReader *reader, const NvmkvKeyColumn *col)
{
	const uint8 *data;
	const uint8 *stop;

	switch (col->key_class)
	{
		case NVMKV_KEY_INT:
		case NVMKV_KEY_BYTES_FIXED:
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_TIMETZ:
		case NVMKV_KEY_INTERVAL:
			(void) key_take(reader, col->width);
			break;
		case NVMKV_KEY_BYTES:
			(void) bytes_measure(reader, &data, &stop);
			break;
		case NVMKV_KEY_NUMERIC:
			numeric_skip(reader);
			break;
	}
}

static Datum
take_value(KeyReader *reader, const NvmkvKeyColumn *col)
{
	switch (col->key_class)
	{
		case NVMKV_KEY_INT:
			return int_take(reader, col);
		case NVMKV_KEY_BYTES:
			return bytes_take(reader, col);
		case NVMKV_KEY_BYTES_FIXED:
			return fixed_take(reader, col);
		case NVMKV_KEY_TIMETZ:
			return timetz_take(reader);
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_NUMERIC:
		case NVMKV_KEY_INTERVAL:
			break;
	}
	elog(ERROR, "keys of class %d do not give back their values", (int) col->key_class);
}

void
nvmkv_key_decode(const NvmkvTable *table, NvmkvSlice key, Datum *values, bool *nulls)
{
	KeyReader reader = {table, key.data, key.data + key.size, 0};

	(void) key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	if (table->nkeys == 0)
	{
		(void) key_take(&reader, 8);
		if (reader.p != reader.end)
			report_malformed_key(table);
		return;
	}

	for (int i = 0; i < table->nkeys; i++)
	{
		const NvmkvKeyColumn *col = &table->keys[i];
		int attno = col->attnum - 1;

		reader.flip = col->descending ? 0xff : 0;
		if (col->nullable && !take_not_null(&reader, col))
		{
			values[attno] = (Datum) 0;
			nulls[attno] = true;
		}
		else if (col->image_equal)
		{
			values[attno] = take_value(&reader, col);
			nulls[attno] = false;
		}
		else
			skip_value(&reader, col);
	}
	if (reader.p != reader.end)
		report_malformed_key(table);
}

/* Behind a column of a key; what is the value's of it. */
static NvmkvSlice
take_part(KeyReader *reader, const NvmkvKeyColumn *col)
{
	const uint8 *start = reader->p;

	reader->flip = col->descending ? 0xff : 0;
	if (!col->nullable || take_not_null(reader, col))
	{
		start = reader->p;
		skip_value(reader, col);
	}
	return nvmkv_slice(start, (size_t) (reader->p - start));
}

uint32
nvmkv_key_prefix_size(const NvmkvTable *table, NvmkvSlice key, int ncolumns)
{
	KeyReader reader = {table, key.data, key.data + key.size, 0};

	(void) key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	for (int i = 0; i < ncolumns; i++)
		(void) take_part(&reader, &table->keys[i]);
	return (uint32) (reader.p - key.data);
}

void
nvmkv_key_of_entry(const NvmkvTable *table, const NvmkvIndex *index, NvmkvSlice entry_key, StringInfo buf)
{
	const NvmkvTable *entries = &index->entries;
	KeyReader reader = {entries, entry_key.data, entry_key.data + entry_key.size, 0};
	NvmkvSlice parts[NVMKV_KEY_COLUMNS_MAX];

	(void) key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	for (int i = 0; i < entries->nkeys; i++)
		parts[i] = take_part(&reader, &entries->keys[i]);
	if (reader.p != reader.end)
		report_malformed_key(entries);

	nvmkv_key_begin(table, buf);
	for (int i = 0; i < Max(table->nkeys, 1); i++)
	{
		NvmkvSlice part = parts[index->row_key[i]];

		appendBinaryStringInfo(buf, (const char *) part.data, (int) part.size);
	}
}

/* ---------------------------------------------------------------- bounds, messages */

bool
nvmkv_key_successor(StringInfo buf)
{
	while (buf->len > 0)
	{
		uint8 last = (uint8) buf->data[buf->len - 1];

		if (last != 0xff)
		{
			buf->data[buf->len - 1] = (char) (last + 1);
			return true;
		}
		buf->len--;
	}
	return false;
}

void
nvmkv_key_table_range(const NvmkvTable *table, StringInfo lower, StringInfo upper)
{
	initStringInfo(lower);
	initStringInfo(upper);
	nvmkv_key_begin(table, lower);
	nvmkv_key_begin(table, upper);
	if (!nvmkv_key_successor(upper))
		resetStringInfo(upper);
}

bool
nvmkv_key_may_be_shown(const NvmkvTable *table)
{
	if (check_enable_rls(table->relid, InvalidOid, true) == RLS_ENABLED)
		return false;
	if (pg_class_aclcheck(table->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	for (int i = 0; i < table->nkeys; i++)
	{
		if (pg_attribute_aclcheck(table->relid, table->keys[i].attnum, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return table->nkeys > 0;
}

char *
nvmkv_key_description(const NvmkvTable *table, Relation rel, TupleTableSlot *slot)
{
	Oid relid = RelationGetRelid(rel);
	StringInfoData description;

	if (!nvmkv_key_may_be_shown(table))
		return NULL;
	initStringInfo(&description);
	for (int i = 0; i < table->nkeys; i++)
		appendStringInfo(&description, "%s%s", i > 0 ? ", " : "(",
						 quote_identifier(get_attname(relid, table->keys[i].attnum, false)));
	appendStringInfoString(&description, ")=(");
	for (int i = 0; i < table->nkeys; i++)
	{
		bool isnull;
		Datum value = slot_getattr(slot, table->keys[i].attnum, &isnull);
		Oid output;
		bool is_varlena;

		if (i > 0)
			appendStringInfoString(&description, ", ");
		if (isnull)
			appendStringInfoString(&description, "null");
		else
		{
			getTypeOutputInfo(table->keys[i].type, &output, &is_varlena);
			appendStringInfoString(&description, OidOutputFunctionCall(output, value));
		}
	}
	appendStringInfoChar(&description, ')');
	return description.data;
}
