/*
 * keystring.c
 *	  Key bytes of strings, addresses and bit strings.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/inet.h"
#include "utils/pg_locale.h"
#include "utils/varbit.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keynumber.h"
#include "fdw/key/keystring.h"

/* Escapes of BYTES. */
#define BYTES_ZERO 0xff /* after 00: a zero byte */
#define BYTES_END 0x01	/* after 00: the end */

void
nvmkv_key_append_escaped(StringInfo buf, const char *data, size_t size)
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

/* ICU's sort keys have no zero bytes. */
static void
append_sort_key(StringInfo buf, const char *data, size_t size, Oid collation)
{
	pg_locale_t locale = pg_newlocale_from_collation(collation);
	size_t room = 2 * size + 32;
	size_t length;

	for (;;)
	{
		enlargeStringInfo(buf, (int) room);
		length = pg_strnxfrm(buf->data + buf->len, room, data, size, locale);
		if (length < room)
			break;
		room = length + 1;
	}
	Assert(memchr(buf->data + buf->len, 0, length) == NULL);
	buf->len += (int) length;
	appendStringInfoCharMacro(buf, '\0');
	appendStringInfoCharMacro(buf, (char) BYTES_END);
}

static void
append_text(const NvmkvKeyType *how, StringInfo buf, const char *data, size_t size)
{
	char *lower = NULL;

	if (how->folded)
	{
		/* As citext does, whose equality no collation concerns. */
		lower = str_tolower(data, size, DEFAULT_COLLATION_OID);
		data = lower;
		size = strlen(lower);
	}
	if (how->key_class == NVMKV_KEY_COLLATED)
		append_sort_key(buf, data, size, how->collation);
	nvmkv_key_append_escaped(buf, data, size);
	if (lower != NULL)
		pfree(lower);
}

void
nvmkv_key_append_string(const NvmkvKeyType *how, StringInfo buf, Datum value)
{
	struct varlena *flat;
	int size;

	if (how->type == NAMEOID)
	{
		append_text(how, buf, NameStr(*DatumGetName(value)), strlen(NameStr(*DatumGetName(value))));
		return;
	}
	flat = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	size = VARSIZE_ANY_EXHDR(flat);
	if (how->type == BPCHAROID)
		size = bpchartruelen(VARDATA_ANY(flat), size);
	append_text(how, buf, VARDATA_ANY(flat), (size_t) size);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
}

/* The network's address first: a shorter mask's is before all that are in it. */
void
nvmkv_key_append_inet(StringInfo buf, Datum value)
{
	inet *address = DatumGetInetPP(value);
	int size = ip_addrsize(address);
	uint8 network[16];

	for (int i = 0; i < size; i++)
	{
		int bits = Max(Min(ip_bits(address) - 8 * i, 8), 0);

		network[i] = ip_addr(address)[i] & (uint8) (0xff << (8 - bits));
	}
	nvmkv_key_append_uint(buf, ip_family(address), 1);
	appendBinaryStringInfo(buf, (const char *) network, size);
	nvmkv_key_append_uint(buf, ip_bits(address), 1);
	appendBinaryStringInfo(buf, (const char *) ip_addr(address), size);
	if ((Pointer) address != DatumGetPointer(value))
		pfree(address);
}

void
nvmkv_key_append_bits(StringInfo buf, Datum value)
{
	VarBit *bits = DatumGetVarBitP(value);
	int length = VARBITLEN(bits);

	nvmkv_key_append_escaped(buf, (const char *) VARBITS(bits), VARBITBYTES(bits));
	nvmkv_key_append_uint(buf, length == 0 ? 0 : (uint64) ((length - 1) % BITS_PER_BYTE + 1), 1);
	if ((Pointer) bits != DatumGetPointer(value))
		pfree(bits);
}

/* ---------------------------------------------------------------- decoding */

/* Finds the end of a BYTES column; returns how many bytes it stands for. *escaped_out: some are escapes. */
static size_t
bytes_measure(NvmkvKeyReader *reader, const uint8 **data_out, const uint8 **stop_out)
{
	const uint8 *data = reader->p;
	const uint8 *p = data;
	size_t escapes = 0;

	for (;;)
	{
		p = memchr(p, reader->flip, reader->end - p);
		if (p == NULL || reader->end - p < 2)
			nvmkv_key_report_malformed(reader->table);
		if ((p[1] ^ reader->flip) == BYTES_END)
			break;
		if ((p[1] ^ reader->flip) != BYTES_ZERO)
			nvmkv_key_report_malformed(reader->table);
		escapes++;
		p += 2;
	}
	reader->p = p + 2;
	*data_out = data;
	*stop_out = p;
	return (size_t) (p - data) - escapes;
}

void
nvmkv_key_skip_escaped(NvmkvKeyReader *reader)
{
	const uint8 *data;
	const uint8 *stop;

	(void) bytes_measure(reader, &data, &stop);
}

static void
bytes_copy(const NvmkvKeyReader *reader, char *out, size_t size, const uint8 *data, const uint8 *stop)
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

Datum
nvmkv_key_take_string(NvmkvKeyReader *reader, const NvmkvKeyType *how)
{
	const uint8 *data;
	const uint8 *stop;
	size_t size;

	if (how->key_class == NVMKV_KEY_COLLATED)
		nvmkv_key_skip_escaped(reader);
	size = bytes_measure(reader, &data, &stop);
	if (how->type == NAMEOID)
	{
		NameData *name;

		if (size >= NAMEDATALEN)
			nvmkv_key_report_malformed(reader->table);
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

Datum
nvmkv_key_take_fixed(NvmkvKeyReader *reader, const NvmkvKeyType *how)
{
	const uint8 *data = nvmkv_key_take(reader, how->width);
	char *result;

	/* None of these types needs alignment for its bytes. */
	if (!reader->flip)
		return PointerGetDatum(data);
	result = palloc(how->width);
	for (int i = 0; i < how->width; i++)
		result[i] = (char) ~data[i];
	return PointerGetDatum(result);
}

/* The family, and bytes of its addresses. */
static int
take_family(NvmkvKeyReader *reader, int *size_out)
{
	int family = (int) nvmkv_key_take_uint(reader, 1);

	if (family != PGSQL_AF_INET && family != PGSQL_AF_INET6)
		nvmkv_key_report_malformed(reader->table);
	*size_out = family == PGSQL_AF_INET ? 4 : 16;
	return family;
}

void
nvmkv_key_skip_inet(NvmkvKeyReader *reader)
{
	int size;

	(void) take_family(reader, &size);
	(void) nvmkv_key_take(reader, (size_t) (2 * size + 1));
}

Datum
nvmkv_key_take_inet(NvmkvKeyReader *reader)
{
	inet *result = palloc0(sizeof(inet));
	int size;
	const uint8 *address;

	ip_family(result) = (unsigned char) take_family(reader, &size);
	(void) nvmkv_key_take(reader, (size_t) size);
	ip_bits(result) = (unsigned char) nvmkv_key_take_uint(reader, 1);
	if (ip_bits(result) > 8 * size)
		nvmkv_key_report_malformed(reader->table);
	address = nvmkv_key_take(reader, (size_t) size);
	for (int i = 0; i < size; i++)
		ip_addr(result)[i] = address[i] ^ reader->flip;
	SET_INET_VARSIZE(result);
	return InetPGetDatum(result);
}

Datum
nvmkv_key_take_bits(NvmkvKeyReader *reader)
{
	const uint8 *data;
	const uint8 *stop;
	size_t size = bytes_measure(reader, &data, &stop);
	int last = (int) nvmkv_key_take_uint(reader, 1);
	VarBit *result;

	if (last > BITS_PER_BYTE || (last == 0) != (size == 0))
		nvmkv_key_report_malformed(reader->table);
	result = palloc0(VARHDRSZ + VARBITHDRSZ + size);
	SET_VARSIZE(result, VARHDRSZ + VARBITHDRSZ + size);
	VARBITLEN(result) = size == 0 ? 0 : (int32) (size - 1) * BITS_PER_BYTE + last;
	bytes_copy(reader, (char *) VARBITS(result), size, data, stop);
	return VarBitPGetDatum(result);
}
