/*
 * rowcode.c
 *	  Value bytes of a row.
 *
 *	  row := head u8, natts varint, [nulls], value*
 *	  head: format version in the low four bits, ROW_HAS_NULLS, other bits zero
 *	  natts: how many attributes the table had when the row was written
 *	  nulls: one bit an attribute, from the lowest bit of the first byte up; 1 is NULL; (natts + 7) / 8 bytes
 *	  value: of each attribute that is neither NULL nor rebuilt from the key, in order:
 *		  fixed width	attlen bytes, as in memory
 *		  varlena		with its header, of one byte where the heap would use that; may be compressed, never external
 *		  cstring		with its terminator
 *
 * Nothing is padded: what must be aligned is copied when it is read, unless it
 * happens to stand right.  Dropped attributes are written as NULL; a row
 * written before the drop still carries the value, and pg_attribute still says
 * how long it is.
 *
 * These bytes come back from media: every length is checked before it is
 * believed.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "catalog/pg_type.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"

#define ROW_FORMAT 1
#define ROW_FORMAT_MASK 0x0f
#define ROW_HAS_NULLS 0x10

/* A varlena longer than this is worth a try to compress it: where the heap starts to toast. */
#define ROW_COMPRESS_ABOVE TOAST_TUPLE_THRESHOLD

StaticAssertDecl(MaxTupleAttributeNumber < 128 * 128, "natts takes two bytes at most");

/* ---------------------------------------------------------------- encoding */

static void
append_natts(StringInfo buf, int natts)
{
	if (natts >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (0x80 | (natts & 0x7f)));
		natts >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) natts);
}

/* Room for "size" more bytes of a row; the limit is checked before anything is allocated for it. */
static void
reserve(const NvmkvTable *table, StringInfo buf, Size size)
{
	if (size > NVMKV_VALUE_BYTES_MAX - (Size) buf->len)
	{
		char *relname = get_rel_name(table->relid);

		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row of foreign table \"%s\" takes more than the maximum of %u bytes",
						relname ? relname : "?", NVMKV_VALUE_BYTES_MAX)));
	}
	enlargeStringInfo(buf, (int) size);
}

static void
append_byval(const NvmkvTable *table, StringInfo buf, Datum value, int16 len)
{
	char *out;

	reserve(table, buf, len);
	out = buf->data + buf->len;
	switch (len)
	{
		case 1:
			*out = DatumGetChar(value);
			break;
		case 2:
		{
			int16 v = DatumGetInt16(value);

			memcpy(out, &v, 2);
			break;
		}
		case 4:
		{
			int32 v = DatumGetInt32(value);

			memcpy(out, &v, 4);
			break;
		}
		default:
			Assert(len == sizeof(Datum));
			memcpy(out, &value, sizeof(Datum));
			break;
	}
	buf->len += len;
}

static void
append_varlena(const NvmkvTable *table, StringInfo buf, Form_pg_attribute att, Datum value)
{
	struct varlena *original = (struct varlena *) DatumGetPointer(value);
	struct varlena *v = original;
	Size size;

	if (VARATT_IS_EXTERNAL_EXPANDED(v))
	{
		ExpandedObjectHeader *object = DatumGetEOHP(value);

		size = EOH_get_flat_size(object);
		reserve(table, buf, size);
		v = palloc(size);
		EOH_flatten_into(object, v, size);
	}
	else if (VARATT_IS_EXTERNAL(v))
	{
		reserve(table, buf, toast_datum_size(value));
		v = detoast_external_attr(v);
	}

	/* As heap_toast_insert_or_update does, but value by value. */
	if (!VARATT_IS_COMPRESSED(v) && VARSIZE_ANY(v) > ROW_COMPRESS_ABOVE &&
		(att->attstorage == TYPSTORAGE_EXTENDED || att->attstorage == TYPSTORAGE_MAIN))
	{
		Datum compressed = toast_compress_datum(PointerGetDatum(v), att->attcompression);

		if (DatumGetPointer(compressed) != NULL)
		{
			if (v != original)
				pfree(v);
			v = (struct varlena *) DatumGetPointer(compressed);
		}
	}

	if (att->attstorage != TYPSTORAGE_PLAIN && VARATT_CAN_MAKE_SHORT(v))
	{
		size = VARATT_CONVERTED_SHORT_SIZE(v);
		reserve(table, buf, size);
		SET_VARSIZE_SHORT(buf->data + buf->len, size);
		memcpy(buf->data + buf->len + VARHDRSZ_SHORT, VARDATA(v), size - VARHDRSZ_SHORT);
		buf->len += (int) size;
	}
	else
	{
		size = VARSIZE_ANY(v);
		reserve(table, buf, size);
		appendBinaryStringInfo(buf, (const char *) v, (int) size);
	}

	if (v != original)
		pfree(v);
}

void
nvmkv_row_encode(const NvmkvTable *table, StringInfo buf, TupleTableSlot *slot)
{
	int natts = table->tupdesc->natts;
	bool has_nulls = false;
	int nulls_at;

	Assert(slot->tts_tupleDescriptor->natts == natts);
	slot_getallattrs(slot);

	for (int i = 0; i < natts && !has_nulls; i++)
		has_nulls = table->row_attrs[i].dropped || (slot->tts_isnull[i] && !table->row_attrs[i].in_key);

	resetStringInfo(buf);
	appendStringInfoCharMacro(buf, (char) (ROW_FORMAT | (has_nulls ? ROW_HAS_NULLS : 0)));
	append_natts(buf, natts);
	nulls_at = buf->len;
	if (has_nulls)
	{
		int nbytes = (natts + 7) / 8;

		enlargeStringInfo(buf, nbytes);
		memset(buf->data + buf->len, 0, nbytes);
		buf->len += nbytes;
	}

	for (int i = 0; i < natts; i++)
	{
		const NvmkvRowAttr *attr = &table->row_attrs[i];
		Datum value = slot->tts_values[i];

		if (attr->in_key)
			continue;
		if (attr->dropped || slot->tts_isnull[i])
			buf->data[nulls_at + i / 8] |= (char) (1 << (i % 8));
		else if (attr->byval)
			append_byval(table, buf, value, attr->len);
		else if (attr->len == -1)
			append_varlena(table, buf, TupleDescAttr(table->tupdesc, i), value);
		else
		{
			Size size = attr->len >= 0 ? (Size) attr->len : strlen(DatumGetCString(value)) + 1;

			reserve(table, buf, size);
			appendBinaryStringInfo(buf, DatumGetPointer(value), (int) size);
		}
	}
}

/* ---------------------------------------------------------------- decoding */

pg_noreturn static void report_malformed_row(const NvmkvTable *table);

static void
report_malformed_row(const NvmkvTable *table)
{
	char *relname = get_rel_name(table->relid);

	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("malformed row in foreign table \"%s\"", relname ? relname : "?")));
}

/* Bytes of the value at p, or 0 when they do not fit before end. */
static inline size_t
value_size(const NvmkvRowAttr *attr, const uint8 *p, const uint8 *end)
{
	size_t room = end - p;
	size_t size;

	if (attr->len > 0)
		size = attr->len;
	else if (room == 0)
		return 0;
	else if (attr->len == -1)
	{
		if (VARATT_IS_1B(p))
		{
			/* What says "external" here says so by mistake. */
			if (VARATT_IS_1B_E(p))
				return 0;
			size = VARSIZE_1B(p);
		}
		else
		{
			struct
			{
				uint32 header;
				uint32 compressed_header;
			} head = {0, 0};

			if (room < VARHDRSZ)
				return 0;
			memcpy(&head.header, p, VARHDRSZ);
			size = VARSIZE_4B(&head);
			if (size < (VARATT_IS_4B_C(&head) ? VARHDRSZ_COMPRESSED : VARHDRSZ))
				return 0;
		}
	}
	else
	{
		const uint8 *stop = memchr(p, 0, room);

		if (stop == NULL)
			return 0;
		size = (size_t) (stop - p) + 1;
	}
	return size <= room ? size : 0;
}

/* A by-reference value that stands where its type cannot read it. */
static Datum
aligned_copy(const uint8 *p, size_t size)
{
	char *copy = palloc(size);

	memcpy(copy, p, size);
	return PointerGetDatum(copy);
}

static inline Datum
byval_datum(const uint8 *p, int16 len)
{
	switch (len)
	{
		case 1:
			return CharGetDatum(*(const char *) p);
		case 2:
		{
			int16 v;

			memcpy(&v, p, 2);
			return Int16GetDatum(v);
		}
		case 4:
		{
			int32 v;

			memcpy(&v, p, 4);
			return Int32GetDatum(v);
		}
		default:
		{
			Datum v;

			memcpy(&v, p, sizeof(Datum));
			return v;
		}
	}
}

void
nvmkv_row_decode(const NvmkvTable *table, NvmkvSlice value, Datum *values, bool *nulls, int natts_needed)
{
	const uint8 *p = value.data;
	const uint8 *end = p + value.size;
	const uint8 *null_bits = NULL;
	const NvmkvRowAttr *attr = table->row_attrs;
	size_t head_bytes = 2;
	int stored; /* attributes the row was written with */
	int natts;  /* and those of them to be read */
	int i;

	if (unlikely(value.size < 2 || (p[0] & ~ROW_HAS_NULLS) != ROW_FORMAT))
	{
		if (value.size > 0 && (p[0] & ROW_FORMAT_MASK) != ROW_FORMAT)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("unknown format %d of a row in foreign table with OID %u", p[0] & ROW_FORMAT_MASK, table->relid),
					 errhint("If it is of a newer version of nvmkv_fdw, use that.")));
		report_malformed_row(table);
	}
	stored = p[1];
	if (stored >= 0x80)
	{
		if (value.size < 3)
			report_malformed_row(table);
		stored = (stored & 0x7f) | (p[2] << 7);
		head_bytes = 3;
	}
	if (unlikely(stored > table->tupdesc->natts))
		report_malformed_row(table);
	if (p[0] & ROW_HAS_NULLS)
	{
		null_bits = p + head_bytes;
		head_bytes += (stored + 7) / 8;
		if (head_bytes > value.size)
			report_malformed_row(table);
	}
	p += head_bytes;

	natts = Min(stored, natts_needed);
	for (i = 0; i < natts; i++, attr++)
	{
		size_t size;

		if (attr->in_key)
			continue;
		if (null_bits != NULL && (null_bits[i / 8] & (1 << (i % 8))))
		{
			values[i] = (Datum) 0;
			nulls[i] = true;
			continue;
		}

		size = value_size(attr, p, end);
		if (unlikely(size == 0))
			report_malformed_row(table);
		if (unlikely(attr->dropped))
		{
			values[i] = (Datum) 0;
			nulls[i] = true;
		}
		else
		{
			nulls[i] = false;
			if (attr->byval)
				values[i] = byval_datum(p, attr->len);
			else if (((uintptr_t) p & (attr->align - 1)) == 0 || (attr->len == -1 && VARATT_IS_1B(p)))
				values[i] = PointerGetDatum(p);
			else
				values[i] = aligned_copy(p, size);
		}
		p += size;
	}

	/* Columns that came later: what they were added with. */
	for (; i < natts_needed; i++)
	{
		if (!table->row_attrs[i].in_key)
			values[i] = getmissingattr(table->tupdesc, i + 1, &nulls[i]);
	}
}

void
nvmkv_row_to_slot(const NvmkvTable *table, NvmkvSlice key, NvmkvSlice value, TupleTableSlot *slot)
{
	Assert(slot->tts_tupleDescriptor->natts == table->tupdesc->natts);

	ExecClearTuple(slot);
	nvmkv_key_decode(table, key, slot->tts_values, slot->tts_isnull);
	nvmkv_row_decode(table, value, slot->tts_values, slot->tts_isnull, table->tupdesc->natts);
	ExecStoreVirtualTuple(slot);

	slot->tts_tableOid = table->relid;
	if (table->nkeys == 0)
		nvmkv_rowid_to_tid(nvmkv_key_rowid(key), &slot->tts_tid);
}
