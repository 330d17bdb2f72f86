/*
 * keytext.c
 *	  Bounds of key ranges as text.
 *
 * A bound is bytes between keys: a key, a part of one, or one with bytes
 * behind it.  Whole columns are decoded as in a key.  Of a column of fixed width that
 * is cut short the missing bytes are zero, which is the first key that begins
 * so.  The first column that cannot be told ends the text.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/lsyscache.h"

#include "fdw/key/keycode.h"
#include "fdw/key/keytext.h"

#define SHOWN_BYTES 24
#define SHOWN_TEXT_BYTES 64
#define TIMETZ_BYTES 12

static void
append_bytes(StringInfo out, NvmkvSlice bytes)
{
	appendStringInfoString(out, "'\\x");
	for (size_t i = 0; i < Min(bytes.size, SHOWN_BYTES); i++)
		appendStringInfo(out, "%02x", bytes.data[i]);
	appendStringInfoString(out, bytes.size > SHOWN_BYTES ? "...'" : "'");
}

/* Bytes of a string at p with its end; 0: it has none. */
static size_t
string_size(const uint8 *p, size_t left, uint8 flip)
{
	for (size_t i = 0; i + 1 < left; i++)
	{
		if (p[i] != flip)
			continue;
		/* A zero byte is followed by 01 at the end, and by ff within. */
		if ((p[i + 1] ^ flip) == 0x01)
			return i + 2;
		i++;
	}
	return 0;
}

static size_t
collated_size(const uint8 *p, size_t left, uint8 flip)
{
	size_t sort_key = string_size(p, left, flip);
	size_t rest = sort_key > 0 ? string_size(p + sort_key, left - sort_key, flip) : 0;

	return rest > 0 ? sort_key + rest : 0;
}

static size_t
inet_size(const uint8 *p, size_t left, uint8 flip)
{
	size_t address = (p[0] ^ flip) == PGSQL_AF_INET ? 4 : 16;

	return left >= 2 * address + 2 && (p[1 + address] ^ flip) <= 8 * address ? 2 * address + 2 : 0;
}

/* What is behind a key may have another number of bits at the end than there can be. */
static size_t
bits_size(const uint8 *p, size_t left, uint8 flip)
{
	size_t size = string_size(p, left, flip);

	if (size == 0 || size == left || (p[size] ^ flip) > BITS_PER_BYTE || (size == 2) != ((p[size] ^ flip) == 0))
		return 0;
	return size + 1;
}

/*
 * Bytes of the column at p, of "left": *partial_out, they are not all there and zeros are to follow.  0: it cannot be
 * told.
 */
static size_t
value_size(const NvmkvKeyColumn *col, const uint8 *p, size_t left, bool *partial_out)
{
	uint8 flip = col->descending ? 0xff : 0;
	size_t size = 0;

	*partial_out = false;
	if (left == 0 || !col->image_equal)
		return 0;
	switch (col->how.key_class)
	{
		case NVMKV_KEY_INT:
		case NVMKV_KEY_BYTES_FIXED:
			size = (size_t) col->how.width;
			break;
		case NVMKV_KEY_TIMETZ:
			size = TIMETZ_BYTES;
			break;
		case NVMKV_KEY_BYTES:
			return string_size(p, left, flip);
		case NVMKV_KEY_COLLATED:
			return collated_size(p, left, flip);
		case NVMKV_KEY_INET:
			return inet_size(p, left, flip);
		case NVMKV_KEY_BITS:
			return bits_size(p, left, flip);
		case NVMKV_KEY_FLOAT:
		case NVMKV_KEY_NUMERIC:
		case NVMKV_KEY_INTERVAL:
		case NVMKV_KEY_ARRAY:
		case NVMKV_KEY_RANGE:
			return 0;
	}
	*partial_out = left < size;
	return size;
}

/* The same with the byte that says whether there is a value. */
static size_t
column_size(const NvmkvKeyColumn *col, const uint8 *p, size_t left, bool *partial_out)
{
	size_t size;

	*partial_out = false;
	if (!col->nullable)
		return value_size(col, p, left, partial_out);
	if (left == 0)
		return 0;
	if (nvmkv_key_says_null(col, p[0]))
		return 1;
	size = value_size(col, p + 1, left - 1, partial_out);
	return size > 0 ? size + 1 : 0;
}

static void
append_value(StringInfo out, const NvmkvKeyColumn *col, Datum value)
{
	Oid output;
	bool is_varlena;
	char *shown;

	getTypeOutputInfo(col->type, &output, &is_varlena);
	shown = OidOutputFunctionCall(output, value);
	if (strlen(shown) > SHOWN_TEXT_BYTES)
		strcpy(shown + pg_mbcliplen(shown, (int) strlen(shown), SHOWN_TEXT_BYTES), "...");
	appendStringInfoString(out, shown);
}

/* How a bound is to what is shown of it. */
typedef enum BoundPlace
{
	BOUND_AT,	  /* it is the first key that begins so */
	BOUND_WITHIN, /* it is among the keys that begin so */
	BOUND_BEHIND  /* it is behind the one key */
} BoundPlace;

/* "(a, b)=(1, x)"; false: not even the first column can be told. */
static bool
append_columns(StringInfo out, const NvmkvTable *table, NvmkvSlice bound, BoundPlace *place_out)
{
	NvmkvTable prefix = *table;
	StringInfoData key;
	size_t at = NVMKV_STORAGE_ID_BYTES;
	bool partial = false;
	Datum *values;
	bool *nulls;

	initStringInfo(&key);
	appendBinaryStringInfo(&key, (const char *) bound.data, (int) bound.size);
	prefix.nkeys = 0;
	while (prefix.nkeys < table->nkeys && !partial)
	{
		size_t size = column_size(&table->keys[prefix.nkeys], bound.data + at, bound.size - at, &partial);

		if (size == 0)
			break;
		at += size;
		prefix.nkeys++;
		if (partial)
			appendStringInfoSpaces(&key, (int) (at - bound.size));
		if (partial)
			memset(key.data + bound.size, 0, at - bound.size);
	}
	if (at < bound.size)
		*place_out = prefix.nkeys == table->nkeys ? BOUND_BEHIND : BOUND_WITHIN;
	if (prefix.nkeys == 0)
		return false;
	values = palloc0(sizeof(Datum) * (size_t) table->tupdesc->natts);
	nulls = palloc0(sizeof(bool) * (size_t) table->tupdesc->natts);
	nvmkv_key_decode(&prefix, nvmkv_slice(key.data, at), values, nulls);
	for (int i = 0; i < prefix.nkeys; i++)
		appendStringInfo(out, "%s%s", i > 0 ? ", " : "(",
						 quote_identifier(NameStr(TupleDescAttr(table->tupdesc, table->keys[i].attnum - 1)->attname)));
	appendStringInfoString(out, ")=(");
	for (int i = 0; i < prefix.nkeys; i++)
	{
		if (i > 0)
			appendStringInfoString(out, ", ");
		if (nulls[table->keys[i].attnum - 1])
			appendStringInfoString(out, "null");
		else
			append_value(out, &table->keys[i], values[table->keys[i].attnum - 1]);
	}
	appendStringInfoChar(out, ')');
	pfree(key.data);
	return true;
}

/* Of a hidden row id: ctid, as far as it is one. */
static bool
append_rowid(StringInfo out, NvmkvSlice bound, BoundPlace *place_out)
{
	uint8 bytes[8] = {0};
	uint64 rowid;
	ItemPointerData tid;
	size_t n = bound.size - NVMKV_STORAGE_ID_BYTES;

	memcpy(bytes, bound.data + NVMKV_STORAGE_ID_BYTES, Min(n, sizeof(bytes)));
	memcpy(&rowid, bytes, sizeof(rowid));
	rowid = pg_ntoh64(rowid);
	if (rowid >> 48 != 0)
		return false;
	if (n > sizeof(bytes))
		*place_out = BOUND_BEHIND;
	nvmkv_rowid_to_tid(rowid, &tid);
	appendStringInfo(out, "ctid=(%u,%u)", ItemPointerGetBlockNumberNoCheck(&tid), ItemPointerGetOffsetNumberNoCheck(&tid));
	return true;
}

/* table: NULL, show bytes. */
static BoundPlace
append_bound(StringInfo out, const NvmkvTable *table, NvmkvSlice bound)
{
	BoundPlace place = BOUND_AT;
	bool done = false;

	if (table != NULL)
		done = table->nkeys > 0 ? append_columns(out, table, bound, &place) : append_rowid(out, bound, &place);
	if (!done)
		append_bytes(out, nvmkv_slice(bound.data + NVMKV_STORAGE_ID_BYTES, bound.size - NVMKV_STORAGE_ID_BYTES));
	return place;
}

/* Does the range begin, or end, within the table, that is, behind its first key? */
static bool
is_within(uint64 storage_id, NvmkvSlice bound)
{
	uint64 id = pg_hton64(storage_id);

	return bound.size > NVMKV_STORAGE_ID_BYTES && memcmp(bound.data, &id, sizeof(id)) == 0;
}

static char *
range_text(const NvmkvTable *table, uint64 storage_id, NvmkvSlice lower, NvmkvSlice upper)
{
	StringInfoData out;
	StringInfoData bound;

	initStringInfo(&out);
	initStringInfo(&bound);
	if (is_within(storage_id, lower))
	{
		BoundPlace place = append_bound(&bound, table, lower);

		appendStringInfo(&out, "%s %s", place == BOUND_BEHIND ? "behind" : "from", bound.data);
		resetStringInfo(&bound);
	}
	if (is_within(storage_id, upper))
	{
		BoundPlace place = append_bound(&bound, table, upper);

		appendStringInfo(&out, "%s%s %s", out.len > 0 ? " " : "", place == BOUND_AT ? "to before" : "up to", bound.data);
	}
	if (out.len == 0)
		appendStringInfoString(&out, "all");
	pfree(bound.data);
	return out.data;
}

char *
nvmkv_key_range_text(const NvmkvTable *table, NvmkvSlice lower, NvmkvSlice upper)
{
	return range_text(table, table->storage_id, lower, upper);
}

char *
nvmkv_key_range_bytes_text(uint64 storage_id, NvmkvSlice lower, NvmkvSlice upper)
{
	return range_text(NULL, storage_id, lower, upper);
}
