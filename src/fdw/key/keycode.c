/*
 * keycode.c
 *	  Keys of rows, and of entries of indexes.
 *
 * A nullable column has a byte before its value's (keyvalue.h), that DESC leaves
 * alone: 02, or for NULL 01 where NULLs come first, 03 where they come last, and
 * nothing behind it.
 *
 * What is here is on disk: a change needs a new format of rows.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "port/pg_bswap.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/key/keycode.h"
#include "fdw/key/keynumber.h"
#include "fdw/key/keyvalue.h"

/* Of nullable columns. */
#define NULL_FIRST 0x01
#define NOT_NULL 0x02
#define NULL_LAST 0x03

/* ---------------------------------------------------------------- encoding */

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
	nvmkv_key_value_append(&col->how, &col->element, buf, value);
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
	nvmkv_key_append_uint(buf, table->storage_id, NVMKV_STORAGE_ID_BYTES);
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

/* A string whose bytes are all in the key. */
static bool
is_long_string(const NvmkvKeyType *how)
{
	return (how->key_class == NVMKV_KEY_BYTES || how->key_class == NVMKV_KEY_COLLATED) && how->type != NAMEOID &&
		how->type != BPCHAROID && !how->folded;
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
		if (is_long_string(&col->how))
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
	nvmkv_key_append_uint(buf, rowid, 8);
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

bool
nvmkv_key_says_null(const NvmkvKeyColumn *col, uint8 byte)
{
	return byte == (col->nulls_first ? NULL_FIRST : NULL_LAST);
}

/* Of a nullable column: is there a value? */
static bool
take_not_null(NvmkvKeyReader *reader, const NvmkvKeyColumn *col)
{
	uint8 byte = *nvmkv_key_take(reader, 1);

	if (byte == NOT_NULL)
		return true;
	if (!nvmkv_key_says_null(col, byte))
		nvmkv_key_report_malformed(reader->table);
	return false;
}

void
nvmkv_key_decode(const NvmkvTable *table, NvmkvSlice key, Datum *values, bool *nulls)
{
	NvmkvKeyReader reader = {table, key.data, key.data + key.size, 0};

	(void) nvmkv_key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	if (table->nkeys == 0)
	{
		(void) nvmkv_key_take(&reader, 8);
		if (reader.p != reader.end)
			nvmkv_key_report_malformed(table);
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
			values[attno] = nvmkv_key_value_take(&reader, &col->how);
			nulls[attno] = false;
		}
		else
			nvmkv_key_value_skip(&reader, &col->how);
	}
	if (reader.p != reader.end)
		nvmkv_key_report_malformed(table);
}

/* Behind a column of a key; what is the value's of it. */
static NvmkvSlice
take_part(NvmkvKeyReader *reader, const NvmkvKeyColumn *col)
{
	const uint8 *start = reader->p;

	reader->flip = col->descending ? 0xff : 0;
	if (!col->nullable || take_not_null(reader, col))
	{
		start = reader->p;
		nvmkv_key_value_skip(reader, &col->how);
	}
	return nvmkv_slice(start, (size_t) (reader->p - start));
}

uint32
nvmkv_key_prefix_size(const NvmkvTable *table, NvmkvSlice key, int ncolumns)
{
	NvmkvKeyReader reader = {table, key.data, key.data + key.size, 0};

	(void) nvmkv_key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	for (int i = 0; i < ncolumns; i++)
		(void) take_part(&reader, &table->keys[i]);
	return (uint32) (reader.p - key.data);
}

void
nvmkv_key_of_entry(const NvmkvTable *table, const NvmkvIndex *index, NvmkvSlice entry_key, StringInfo buf)
{
	const NvmkvTable *entries = &index->entries;
	NvmkvKeyReader reader = {entries, entry_key.data, entry_key.data + entry_key.size, 0};
	NvmkvSlice parts[NVMKV_KEY_COLUMNS_MAX];

	(void) nvmkv_key_take(&reader, NVMKV_STORAGE_ID_BYTES);
	for (int i = 0; i < entries->nkeys; i++)
		parts[i] = take_part(&reader, &entries->keys[i]);
	if (reader.p != reader.end)
		nvmkv_key_report_malformed(entries);

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
