/*
 * keycontainer.c
 *	  Key bytes of arrays and ranges.
 *
 * As BYTES, so that who does not know the elements can go past them, these bytes:
 *
 *	  ARRAY		element*, 01, dimensions u8, [length u32 of each, if there are several], lower bound i32 of each
 *				element: 02 and its bytes, or 03 for NULL: it comes last
 *	  RANGE		01 when empty, else 02, lower, upper
 *				lower: 01 for none; 02, the value, 01 inclusive or 02 exclusive
 *				upper: 02, the value, 01 exclusive or 02 inclusive; 03 for none
 *
 * the order of array_cmp and range_cmp, element by element in that of the
 * element's type.  Integers are as keyvalue.h tells.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "fdw/key/keycontainer.h"
#include "fdw/key/keynumber.h"
#include "fdw/key/keyscalar.h"
#include "fdw/key/keystring.h"

#define ARRAY_END 0x01
#define ARRAY_VALUE 0x02
#define ARRAY_NULL 0x03

#define RANGE_EMPTY 0x01
#define RANGE_NOT_EMPTY 0x02

#define BOUND_NONE_BELOW 0x01
#define BOUND_VALUE 0x02
#define BOUND_NONE_ABOVE 0x03
#define BOUND_FIRST 0x01 /* of two bounds with the same value */
#define BOUND_SECOND 0x02

static void
finish(StringInfo buf, StringInfo bytes)
{
	nvmkv_key_append_escaped(buf, bytes->data, (size_t) bytes->len);
	pfree(bytes->data);
}

void
nvmkv_key_append_array(const NvmkvKeyType *element, StringInfo buf, Datum value)
{
	ArrayType *array = DatumGetArrayTypeP(value);
	TypeCacheEntry *type = lookup_type_cache(ARR_ELEMTYPE(array), 0);
	StringInfoData bytes;
	Datum *values;
	bool *nulls;
	int count;

	initStringInfo(&bytes);
	deconstruct_array(array, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign, &values, &nulls,
					  &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			appendStringInfoChar(&bytes, ARRAY_NULL);
		else
		{
			appendStringInfoChar(&bytes, ARRAY_VALUE);
			nvmkv_key_scalar_append(element, &bytes, values[i]);
		}
	}
	appendStringInfoChar(&bytes, ARRAY_END);
	nvmkv_key_append_uint(&bytes, (uint64) ARR_NDIM(array), 1);
	for (int i = 0; i < ARR_NDIM(array) && ARR_NDIM(array) > 1; i++)
		nvmkv_key_append_uint(&bytes, (uint32) ARR_DIMS(array)[i], 4);
	for (int i = 0; i < ARR_NDIM(array); i++)
		nvmkv_key_append_uint(&bytes, (uint32) ARR_LBOUND(array)[i] ^ nvmkv_key_sign_bit(4), 4);
	pfree(values);
	pfree(nulls);
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	finish(buf, &bytes);
}

static void
append_bound(const NvmkvKeyType *element, StringInfo bytes, const RangeBound *bound)
{
	if (bound->infinite)
	{
		appendStringInfoChar(bytes, bound->lower ? BOUND_NONE_BELOW : BOUND_NONE_ABOVE);
		return;
	}
	appendStringInfoChar(bytes, BOUND_VALUE);
	nvmkv_key_scalar_append(element, bytes, bound->val);
	appendStringInfoChar(bytes, bound->lower == bound->inclusive ? BOUND_FIRST : BOUND_SECOND);
}

void
nvmkv_key_append_range(const NvmkvKeyType *element, StringInfo buf, Datum value)
{
	RangeType *range = DatumGetRangeTypeP(value);
	TypeCacheEntry *type = lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO);
	StringInfoData bytes;
	RangeBound lower;
	RangeBound upper;
	bool empty;

	initStringInfo(&bytes);
	range_deserialize(type, range, &lower, &upper, &empty);
	appendStringInfoChar(&bytes, empty ? RANGE_EMPTY : RANGE_NOT_EMPTY);
	if (!empty)
	{
		append_bound(element, &bytes, &lower);
		append_bound(element, &bytes, &upper);
	}
	if ((Pointer) range != DatumGetPointer(value))
		pfree(range);
	finish(buf, &bytes);
}
