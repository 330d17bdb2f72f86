/*
 * rowattrs.c
 *	  What decoding rows needs of a table's columns.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "fdw/table/rowattrs.h"

static uint8
align_bytes(char typalign)
{
	switch (typalign)
	{
		case TYPALIGN_CHAR:
			return 1;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT;
		case TYPALIGN_INT:
			return ALIGNOF_INT;
		default:
			return ALIGNOF_DOUBLE;
	}
}

void
nvmkv_describe_row_attrs(NvmkvTable *table)
{
	int natts = table->tupdesc->natts;

	table->attr_in_key = palloc0(Max(natts, 1) * sizeof(bool));
	for (int i = 0; i < table->nkeys; i++)
		table->attr_in_key[table->keys[i].attnum - 1] = table->keys[i].image_equal;

	table->row_attrs = palloc0(Max(natts, 1) * sizeof(NvmkvRowAttr));
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(table->tupdesc, i);

		table->row_attrs[i].len = att->attlen;
		table->row_attrs[i].align = align_bytes(att->attalign);
		table->row_attrs[i].byval = att->attbyval;
		table->row_attrs[i].in_key = table->attr_in_key[i];
		table->row_attrs[i].dropped = att->attisdropped;
	}
}
