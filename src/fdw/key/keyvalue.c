/*
 * keyvalue.c
 *	  The bytes of one value in a key, by class.
 */
#include "postgres.h"

#include "fdw/key/keycontainer.h"
#include "fdw/key/keynumber.h"
#include "fdw/key/keyscalar.h"
#include "fdw/key/keystring.h"
#include "fdw/key/keyvalue.h"

void
nvmkv_key_value_append(const NvmkvKeyType *how, const NvmkvKeyType *element, StringInfo buf, Datum value)
{
	if (how->key_class == NVMKV_KEY_ARRAY)
		nvmkv_key_append_array(element, buf, value);
	else if (how->key_class == NVMKV_KEY_RANGE)
		nvmkv_key_append_range(element, buf, value);
	else
		nvmkv_key_scalar_append(how, buf, value);
}

bool
nvmkv_key_class_gives_back(NvmkvKeyClass key_class)
{
	switch (key_class)
	{
		case NVMKV_KEY_INT:
		case NVMKV_KEY_BYTES_FIXED:
		case NVMKV_KEY_BYTES:
		case NVMKV_KEY_TIMETZ:
		case NVMKV_KEY_COLLATED:
		case NVMKV_KEY_INET:
		case NVMKV_KEY_BITS:
			return true;
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_NUMERIC:
		case NVMKV_KEY_INTERVAL:
		case NVMKV_KEY_ARRAY:
		case NVMKV_KEY_RANGE:
			break;
	}
	return false;
}

void
nvmkv_key_value_skip(NvmkvKeyReader *reader, const NvmkvKeyType *how)
{
	switch (how->key_class)
	{
		case NVMKV_KEY_INT:
		case NVMKV_KEY_BYTES_FIXED:
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_TIMETZ:
		case NVMKV_KEY_INTERVAL:
			(void) nvmkv_key_take(reader, (size_t) how->width);
			break;
		case NVMKV_KEY_BYTES:
		case NVMKV_KEY_ARRAY:
		case NVMKV_KEY_RANGE:
			nvmkv_key_skip_escaped(reader);
			break;
		case NVMKV_KEY_COLLATED:
			nvmkv_key_skip_escaped(reader);
			nvmkv_key_skip_escaped(reader);
			break;
		case NVMKV_KEY_NUMERIC:
			nvmkv_key_skip_numeric(reader);
			break;
		case NVMKV_KEY_INET:
			nvmkv_key_skip_inet(reader);
			break;
		case NVMKV_KEY_BITS:
			nvmkv_key_skip_escaped(reader);
			(void) nvmkv_key_take(reader, 1);
			break;
	}
}

Datum
nvmkv_key_value_take(NvmkvKeyReader *reader, const NvmkvKeyType *how)
{
	switch (how->key_class)
	{
		case NVMKV_KEY_INT:
			return nvmkv_key_take_int(reader, how);
		case NVMKV_KEY_BYTES:
		case NVMKV_KEY_COLLATED:
			return nvmkv_key_take_string(reader, how);
		case NVMKV_KEY_BYTES_FIXED:
			return nvmkv_key_take_fixed(reader, how);
		case NVMKV_KEY_TIMETZ:
			return nvmkv_key_take_timetz(reader);
		case NVMKV_KEY_INET:
			return nvmkv_key_take_inet(reader);
		case NVMKV_KEY_BITS:
			return nvmkv_key_take_bits(reader);
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_NUMERIC:
		case NVMKV_KEY_INTERVAL:
		case NVMKV_KEY_ARRAY:
		case NVMKV_KEY_RANGE:
			break;
	}
	elog(ERROR, "keys of class %d do not give back their values", (int) how->key_class);
}
