/*
 * keyscalar.c
 *	  Key bytes of what is no container, by class.
 */
#include "postgres.h"

#include "fdw/key/keynumber.h"
#include "fdw/key/keyscalar.h"
#include "fdw/key/keystring.h"

void
nvmkv_key_scalar_append(const NvmkvKeyType *how, StringInfo buf, Datum value)
{
	switch (how->key_class)
	{
		case NVMKV_KEY_INT:
			nvmkv_key_append_int(how, buf, value);
			break;
		case NVMKV_KEY_FLOAT:
			nvmkv_key_append_float(how, buf, value);
			break;
		case NVMKV_KEY_BYTES_FIXED:
			appendBinaryStringInfo(buf, DatumGetPointer(value), how->width);
			break;
		case NVMKV_KEY_BYTES:
		case NVMKV_KEY_COLLATED:
			nvmkv_key_append_string(how, buf, value);
			break;
		case NVMKV_KEY_TIMETZ:
			nvmkv_key_append_timetz(buf, value);
			break;
		case NVMKV_KEY_NUMERIC:
			nvmkv_key_append_numeric(buf, value);
			break;
		case NVMKV_KEY_INTERVAL:
			nvmkv_key_append_interval(buf, value);
			break;
		case NVMKV_KEY_INET:
			nvmkv_key_append_inet(buf, value);
			break;
		case NVMKV_KEY_BITS:
			nvmkv_key_append_bits(buf, value);
			break;
		case NVMKV_KEY_ARRAY:
		case NVMKV_KEY_RANGE:
			elog(ERROR, "a container of class %d among scalars", (int) how->key_class);
	}
}
