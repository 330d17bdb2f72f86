/*
 * indexes.c
 *	  What the wrapper knows of the indexes of a foreign table.
 *
 * An index is rows of the server's catalogues (relkind 'I', a B-tree without a
 * file); here they become the description of its entries (layout.h).
 *
 * Which bytes a column has its operator class tells, too: those of the
 * text_pattern_ops kind compare the bytes of text under any collation.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keytype.h"
#include "fdw/table/indexes.h"
#include "fdw/table/rowattrs.h"

/* Column number i, from 0, of an index: a column of the table or an expression. */
static void
describe_column(NvmkvIndex *index, const NvmkvTable *table, Relation rel, int i, ListCell **expression)
{
	AttrNumber attnum = rel->rd_index->indkey.values[i];
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), i)->attname);
	TupleDesc desc = index->entries.tupdesc;
	Oid type;
	int32 typmod;
	Oid collation;

	if (attnum > 0)
	{
		Form_pg_attribute att = TupleDescAttr(table->tupdesc, attnum - 1);

		type = att->atttypid;
		typmod = att->atttypmod;
		collation = att->attcollation;
	}
	else
	{
		const Node *node;

		if (*expression == NULL)
			elog(ERROR, "too few expressions of index \"%s\"", RelationGetRelationName(rel));
		node = lfirst(*expression);
		type = exprType(node);
		typmod = exprTypmod(node);
		collation = exprCollation(node);
		*expression = lnext(index->expressions, *expression);
	}
	index->attnums[i] = attnum;
	TupleDescInitEntry(desc, (AttrNumber) (i + 1), name, type, typmod, 0);
	if (i < index->ncolumns)
		collation = rel->rd_indcollation[i];
	TupleDescInitEntryCollation(desc, (AttrNumber) (i + 1), collation);
}

/* Key column number i of the index. */
static void
describe_key(NvmkvIndex *index, Relation rel, int i)
{
	NvmkvKeyColumn *col = &index->entries.keys[i];
	Form_pg_attribute att = TupleDescAttr(index->entries.tupdesc, i);
	int16 options = rel->rd_indoption[i];
	const char *reason;

	memset(col, 0, sizeof(*col));
	col->attnum = (AttrNumber) (i + 1);
	col->type = att->atttypid;
	col->typmod = att->atttypmod;
	col->collation = att->attcollation;
	col->descending = (options & INDOPTION_DESC) != 0;
	col->nullable = true;
	col->nulls_first = (options & INDOPTION_NULLS_FIRST) != 0;
	col->opfamily = rel->rd_opfamily[i];
	if (!nvmkv_key_column_setup(col, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of type %s cannot be in an index of a foreign table", NameStr(att->attname),
						format_type_be(col->type)),
				 reason != NULL ? errhint("%s", reason) : 0));
}

/* Does a key column of the index have the bytes of this one of the table's key?  Its number, or -1. */
static int
same_column(Relation rel, const NvmkvKeyColumn *key)
{
	for (int i = 0; i < rel->rd_index->indnkeyatts; i++)
	{
		bool descending = (rel->rd_indoption[i] & INDOPTION_DESC) != 0;

		bool by_bytes = nvmkv_key_is_pattern_family(rel->rd_opfamily[i]);

		if (rel->rd_index->indkey.values[i] == key->attnum && descending == key->descending &&
			rel->rd_indcollation[i] == key->collation &&
			!(by_bytes ? key->how.key_class == NVMKV_KEY_COLLATED : nvmkv_key_is_pattern_family(key->opfamily)))
			return i;
	}
	return -1;
}

/* What tells rows with equal index columns apart. */
static const NvmkvKeyColumn *
row_key_columns(const NvmkvTable *table, int *count_out)
{
	static const NvmkvKeyColumn row_id = {
		.attnum = SelfItemPointerAttributeNumber,
		.type = INT8OID,
		.typmod = -1,
		.ordered = true,
		.image_equal = true,
		.how.key_class = NVMKV_KEY_INT,
		.how.type = INT8OID,
		.how.width = 8,
	};

	*count_out = Max(table->nkeys, 1);
	return table->nkeys > 0 ? table->keys : &row_id;
}

/* The columns of the table's key behind those of the index, unless they are there. */
static void
append_row_key(NvmkvIndex *index, const NvmkvTable *table, Relation rel)
{
	NvmkvTable *entries = &index->entries;
	AttrNumber attnum = (AttrNumber) index->natts;
	int count;
	const NvmkvKeyColumn *row_key = row_key_columns(table, &count);

	entries->nkeys = index->ncolumns;
	for (int i = 0; i < count; i++)
	{
		const NvmkvKeyColumn *col = &row_key[i];
		const char *name = "ctid";

		index->row_key[i] = same_column(rel, col);
		if (index->row_key[i] >= 0)
			continue;
		if (col->attnum > 0)
			name = NameStr(TupleDescAttr(table->tupdesc, col->attnum - 1)->attname);
		index->attnums[attnum++] = col->attnum;
		TupleDescInitEntry(entries->tupdesc, attnum, name, col->type, col->typmod, 0);
		TupleDescInitEntryCollation(entries->tupdesc, attnum, col->collation);
		index->row_key[i] = entries->nkeys;
		entries->keys[entries->nkeys] = *col;
		entries->keys[entries->nkeys++].attnum = attnum;
	}
	Assert(attnum == entries->tupdesc->natts);
}

/* Columns of the table's key that append_row_key appends. */
static int
count_appended(const NvmkvTable *table, Relation rel)
{
	int count;
	const NvmkvKeyColumn *row_key = row_key_columns(table, &count);
	int appended = 0;

	for (int i = 0; i < count; i++)
	{
		if (same_column(rel, &row_key[i]) < 0)
			appended++;
	}
	return appended;
}

bool
nvmkv_index_is_table(Relation index)
{
	return index->rd_index->indisprimary && index->rd_index->indimmediate;
}

static void
describe_index(NvmkvIndex *index, const NvmkvTable *table, Relation rel)
{
	Form_pg_index form = rel->rd_index;
	NvmkvTable *entries = &index->entries;
	int natts = form->indnatts + count_appended(table, rel);
	ListCell *expression;

	index->oid = RelationGetRelid(rel);
	index->ready = form->indisready;
	index->valid = form->indisvalid;
	index->is_unique = form->indisunique;
	index->deferrable = form->indisunique && !form->indimmediate;
	index->nulls_not_distinct = form->indnullsnotdistinct;
	index->ncolumns = form->indnkeyatts;
	index->natts = form->indnatts;
	index->attnums = palloc0(sizeof(AttrNumber) * natts);
	index->row_key = palloc0(sizeof(int) * Max(table->nkeys, 1));
	index->expressions = copyObject(RelationGetIndexExpressions(rel));
	index->predicate = copyObject(RelationGetIndexPredicate(rel));
	index->is_key = index->is_unique && index->expressions == NIL && index->predicate == NIL;

	entries->relid = index->oid;
	entries->tupdesc = CreateTemplateTupleDesc(natts);
	expression = list_head(index->expressions);
	for (int i = 0; i < index->natts; i++)
		describe_column(index, table, rel, i, &expression);
	for (int i = 0; i < index->ncolumns; i++)
		describe_key(index, rel, i);
	append_row_key(index, table, rel);
	nvmkv_describe_row_attrs(entries);
	for (int i = 0; i < natts; i++)
		index->has_values = index->has_values || !entries->attr_in_key[i];
}

void
nvmkv_describe_indexes(NvmkvTable *table, Relation rel)
{
	List *oids;
	ListCell *lc;

	table->nindexes = 0;
	if (!rel->rd_rel->relhasindex)
		return;
	oids = RelationGetIndexList(rel);
	table->indexes = palloc0(sizeof(NvmkvIndex) * Max(list_length(oids), 1));
	foreach(lc, oids)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (!nvmkv_index_is_table(index))
			describe_index(&table->indexes[table->nindexes++], table, index);
		index_close(index, NoLock);
	}
	list_free(oids);
}

NvmkvIndex *
nvmkv_find_index(const NvmkvTable *table, Oid oid)
{
	for (int i = 0; i < table->nindexes; i++)
	{
		if (table->indexes[i].oid == oid)
			return &table->indexes[i];
	}
	return NULL;
}

const NvmkvTable *
nvmkv_keyed_by(const NvmkvTable *table, Oid oid)
{
	const NvmkvIndex *index;

	if (!OidIsValid(oid))
		return table;
	index = nvmkv_find_index(table, oid);
	if (index == NULL)
		elog(ERROR, "foreign table %u has no index with OID %u", table->relid, oid);
	return &index->entries;
}

bool
nvmkv_index_is_old_enough(Oid oid)
{
	HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(oid));
	bool old_enough;

	if (!HeapTupleIsValid(tuple))
		return false;
	old_enough = !((Form_pg_index) GETSTRUCT(tuple))->indcheckxmin ||
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(tuple->t_data), TransactionXmin);
	ReleaseSysCache(tuple);
	return old_enough;
}
