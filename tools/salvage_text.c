/*
 * salvage_text.c
 *	  A table's definition, and lines of COPY text from keys and values.  fdw/key/keyvalue.h and fdw/key/rowcode.c tell
 *	  the bytes.
 */
#include "tools/salvage_text.h"

#include <stdlib.h>

#include "engine/base/coding.h"
#include "tools/salvage_type.h"

#define STORAGE_ID_BYTES 8

/* ---- keys ---- */

typedef struct KeyReader
{
	const uint8_t *p;
	const uint8_t *end;
	uint8_t flip;
} KeyReader;

static NvmkvStatus
malformed_key(void)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "malformed key of a row");
}

static NvmkvStatus
take(KeyReader *r, size_t n, uint8_t *out)
{
	size_t i;

	if ((size_t) (r->end - r->p) < n)
		return malformed_key();
	for (i = 0; i < n; i++)
		out[i] = r->p[i] ^ r->flip;
	r->p += n;
	return NVMKV_OK;
}

/* As fdw/key/layout.h numbers them. */
enum
{
	KEY_INT,
	KEY_FLOAT,
	KEY_BYTES_FIXED,
	KEY_BYTES,
	KEY_TIMETZ,
	KEY_NUMERIC,
	KEY_INTERVAL,
	KEY_COLLATED,
	KEY_INET,
	KEY_BITS,
	KEY_ARRAY,
	KEY_RANGE
};

static void
reverse(uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n / 2; i++)
	{
		uint8_t c = p[i];

		p[i] = p[n - 1 - i];
		p[n - 1 - i] = c;
	}
}

static NvmkvStatus
take_bytes(KeyReader *r, NvmkvBuf *out)
{
	for (;;)
	{
		uint8_t c = 0, second = 0;

		NVMKV_RETURN_IF(take(r, 1, &c));
		if (c == 0)
		{
			NVMKV_RETURN_IF(take(r, 1, &second));
			if (second == 0x01)
				return NVMKV_OK;
			if (second != 0xff)
				return malformed_key();
		}
		NVMKV_RETURN_IF(nvmkv_buf_append(out, &c, 1));
	}
}

static NvmkvStatus
skip_numeric(KeyReader *r)
{
	uint8_t c = 0, digits[2] = {0, 0};
	uint8_t stop;

	NVMKV_RETURN_IF(take(r, 1, &c));
	if (c != 0x20 && c != 0x40)
		return NVMKV_OK;
	stop = c == 0x20 ? 0xff : 0;
	NVMKV_RETURN_IF(take(r, 2, digits));
	do
		NVMKV_RETURN_IF(take(r, 2, digits));
	while (digits[0] != stop || digits[1] != stop);
	return NVMKV_OK;
}

/* Family, network, length of the mask, address. */
static NvmkvStatus
take_inet(KeyReader *r, NvmkvBuf *out)
{
	uint8_t head[2] = {0, 0}, address[16] = {0};
	size_t size;

	NVMKV_RETURN_IF(take(r, 1, head));
	size = head[0] == 2 ? 4 : 16;
	NVMKV_RETURN_IF(take(r, size, address));
	NVMKV_RETURN_IF(take(r, 1, head + 1));
	NVMKV_RETURN_IF(take(r, size, address));
	NVMKV_RETURN_IF(nvmkv_buf_append(out, head, 2));
	return nvmkv_buf_append(out, address, size);
}

/* Bytes, and how many bits of the last one count; of the value the number of bits comes first. */
static NvmkvStatus
take_bits(KeyReader *r, NvmkvBuf *out)
{
	uint8_t count[4] = {0}, last = 0;
	size_t size;

	NVMKV_RETURN_IF(nvmkv_buf_append(out, count, sizeof(count)));
	NVMKV_RETURN_IF(take_bytes(r, out));
	NVMKV_RETURN_IF(take(r, 1, &last));
	size = out->size - sizeof(count);
	if (last > 8 || (last == 0) != (size == 0))
		return malformed_key();
	put_u32(out->data, size == 0 ? 0 : (uint32_t) (8 * (size - 1) + last));
	return NVMKV_OK;
}

/* The column's value in the type's own bytes. */
static NvmkvStatus
take_key(KeyReader *r, const SalvageKey *k, uint32_t type, NvmkvBuf *out)
{
	uint8_t bytes[64] = {0};

	r->flip = k->descending ? 0xff : 0;
	out->size = 0;
	switch (k->key_class)
	{
		case KEY_INT:
			if (k->width > 8)
				return malformed_key();
			NVMKV_RETURN_IF(take(r, (size_t) k->width, bytes));
			if (k->is_signed)
				bytes[0] ^= 0x80;
			reverse(bytes, (size_t) k->width);
			return nvmkv_buf_append(out, bytes, (size_t) k->width);
		case KEY_FLOAT:
		case KEY_BYTES_FIXED:
			NVMKV_RETURN_IF(take(r, (size_t) k->width, bytes));
			return nvmkv_buf_append(out, bytes, (size_t) k->width);
		case KEY_COLLATED:
			NVMKV_RETURN_IF(take_bytes(r, out)); /* the sort key */
			out->size = 0;
			/* fall through */
		case KEY_BYTES:
		case KEY_ARRAY: /* the row has it, and a range */
		case KEY_RANGE:
			NVMKV_RETURN_IF(take_bytes(r, out));
			if (type != TYPE_NAME || out->size >= 64)
				return NVMKV_OK;
			return nvmkv_buf_append(out, bytes, 64 - out->size);
		case KEY_TIMETZ:
		{
			int64_t instant;
			int32_t zone;

			NVMKV_RETURN_IF(take(r, 12, bytes));
			bytes[0] ^= 0x80;
			bytes[8] ^= 0x80;
			reverse(bytes, 8);
			reverse(bytes + 8, 4);
			instant = (int64_t) get_u64(bytes);
			zone = (int32_t) get_u32(bytes + 8);
			put_u64(bytes, (uint64_t) (instant - (int64_t) zone * 1000000));
			return nvmkv_buf_append(out, bytes, 12);
		}
		case KEY_NUMERIC:
			return skip_numeric(r);
		case KEY_INTERVAL: /* the row has it */
			return take(r, 16, bytes);
		case KEY_INET:
			return take_inet(r, out);
		case KEY_BITS:
			return take_bits(r, out);
		default:
			return NVMKV_FAIL(NVMKV_CORRUPTION, "malformed definition of a table");
	}
}

/* ---- rows ---- */

/* Texts of the columns of one row; in the table's memory between rows. */
typedef struct Fields
{
	NvmkvBuf text;						   /* of all of them */
	uint32_t start[SALVAGE_COLUMNS_MAX + 1]; /* start = end: NULL */
	uint32_t end[SALVAGE_COLUMNS_MAX];
	bool there[SALVAGE_COLUMNS_MAX];
	NvmkvBuf scratch, bytes;
} Fields;

static NvmkvStatus
put_value(SalvageTable *table, unsigned i, NvmkvSlice data, Fields *f)
{
	SalvageColumn *c = &table->columns[i];
	bool odd = false;

	f->start[i] = (uint32_t) f->text.size;
	NVMKV_RETURN_IF(salvage_value(table, c->type, c->element, data, &f->text, &odd));
	f->end[i] = (uint32_t) f->text.size;
	f->there[i] = true;
	c->odd = c->odd || odd;
	return NVMKV_OK;
}

static NvmkvStatus
read_key(SalvageTable *table, NvmkvSlice key, Fields *f)
{
	KeyReader r = {key.data + STORAGE_ID_BYTES, key.data + key.size, 0};
	unsigned i;

	if (key.size < STORAGE_ID_BYTES)
		return malformed_key();
	for (i = 0; i < table->nkeys; i++)
	{
		const SalvageKey *k = &table->keys[i];

		NVMKV_RETURN_IF(take_key(&r, k, table->columns[k->column].type, &f->bytes));
		if (k->in_key)
			NVMKV_RETURN_IF(put_value(table, (unsigned) k->column, nvmkv_buf_slice(&f->bytes), f));
	}
	if (table->nkeys > 0 && r.p != r.end)
		return malformed_key();
	return NVMKV_OK;
}

static NvmkvStatus
malformed_row(void)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "malformed row");
}

static NvmkvStatus
read_column(SalvageTable *table, unsigned i, const uint8_t **p, const uint8_t *end, Fields *f)
{
	const SalvageColumn *c = &table->columns[i];
	NvmkvSlice data;
	size_t size;

	if (c->len == -1)
		NVMKV_RETURN_IF(salvage_varlena(*p, end, &size, &data, &f->scratch));
	else if (c->len == -2)
	{
		size = strnlen((const char *) *p, (size_t) (end - *p)) + 1;
		data = nvmkv_slice(*p, size - 1);
	}
	else
	{
		size = (size_t) c->len;
		data = nvmkv_slice(*p, size);
	}
	if (size > (size_t) (end - *p))
		return malformed_row();
	*p += size;
	return c->dropped ? NVMKV_OK : put_value(table, i, data, f);
}

static NvmkvStatus
read_row(SalvageTable *table, NvmkvSlice value, Fields *f, unsigned *stored_out)
{
	const uint8_t *p = value.data;
	const uint8_t *end = p + value.size;
	const uint8_t *nulls = NULL;
	unsigned stored, i;

	if (value.size < 2 || (p[0] & ~0x10) != 1)
		return malformed_row();
	stored = p[1];
	p += 2;
	if (stored >= 0x80)
	{
		if (p == end)
			return malformed_row();
		stored = (stored & 0x7f) | (unsigned) (*p++ << 7);
	}
	if (stored > table->ncolumns)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "a row has %u columns, its table's definition %u", stored, table->ncolumns);
	if ((value.data[0] & 0x10) != 0)
	{
		nulls = p;
		p += (stored + 7) / 8;
		if (p > end)
			return malformed_row();
	}
	for (i = 0; i < stored; i++)
	{
		if (table->columns[i].in_key || (nulls != NULL && (nulls[i / 8] >> (i % 8) & 1) != 0))
			continue;
		NVMKV_RETURN_IF(read_column(table, i, &p, end, f));
	}
	*stored_out = stored;
	return NVMKV_OK;
}

static NvmkvStatus
append_escaped(NvmkvBuf *line, const uint8_t *p, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
	{
		static const char special[] = "\\\b\f\n\r\t\v";
		static const char letters[] = "\\bfnrtv";
		const char *at = p[i] != 0 ? strchr(special, p[i]) : NULL;
		char pair[2] = {'\\', 0};

		if (at == NULL)
			NVMKV_RETURN_IF(nvmkv_buf_append(line, p + i, 1));
		else
		{
			pair[1] = letters[at - special];
			NVMKV_RETURN_IF(nvmkv_buf_append(line, pair, 2));
		}
	}
	return NVMKV_OK;
}

static NvmkvStatus
write_line(const SalvageTable *table, const Fields *f, unsigned stored, NvmkvBuf *line)
{
	bool first = true;
	unsigned i;

	for (i = 0; i < table->ncolumns; i++)
	{
		const SalvageColumn *c = &table->columns[i];

		if (c->dropped)
			continue;
		if (!first)
			NVMKV_RETURN_IF(nvmkv_buf_append(line, "\t", 1));
		first = false;
		if (f->there[i])
			NVMKV_RETURN_IF(append_escaped(line, f->text.data + f->start[i], f->end[i] - f->start[i]));
		else if (i >= stored && c->missing != NULL && !c->in_key)
			NVMKV_RETURN_IF(append_escaped(line, (const uint8_t *) c->missing, strlen(c->missing)));
		else
			NVMKV_RETURN_IF(nvmkv_buf_append(line, "\\N", 2));
	}
	return nvmkv_buf_append(line, "\n", 1);
}

NvmkvStatus
salvage_row(SalvageTable *table, NvmkvSlice key, NvmkvSlice value, NvmkvBuf *line)
{
	static Fields f; /* one thread */
	size_t before = line->size;
	unsigned stored = 0;
	NvmkvStatus st;

	f.text.size = 0;
	memset(f.there, 0, sizeof(f.there));
	st = read_key(table, key, &f);
	if (st == NVMKV_OK)
		st = read_row(table, value, &f, &stored);
	if (st == NVMKV_OK)
		st = write_line(table, &f, stored, line);
	if (st != NVMKV_OK)
		line->size = before;
	return st;
}
