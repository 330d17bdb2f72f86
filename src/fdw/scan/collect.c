/*
 * collect.c
 *	  Conditions joined by OR that several indexes serve.
 *
 * All entries that the arms mean are read, and their rows' keys sorted, in
 * memory or in temporary files, as work_mem allows.  So a row that several arms
 * mean is read once, and rows are read in the order in which they are stored.
 *
 * What is sorted is the key and behind it a byte, the number of the source it
 * is from: no key is the beginning of another one's.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keycode.h"
#include "fdw/plan/quals.h"
#include "fdw/scan/collect.h"
#include "fdw/scan/keyscan.h"
#include "fdw/scan/reader.h"
#include "fdw/scan/source.h"

/* The arms that one index serves. */
typedef struct Source
{
	Oid index_oid;
	NvmkvKeyScan *keys;
	const NvmkvIndex *index; /* NULL: the table's key */
	NvmkvReader reader;
	bool open;
} Source;

struct NvmkvCollector
{
	MemoryContext context;
	NvmkvScanReport *report;
	int nsources;
	Source *sources;
	Tuplesortstate *sort;
	StringInfoData key; /* of a row, and the byte behind it */
	bool has_key;
};

/* ---------------------------------------------------------------- begin and end */

/* The conditions of the arms this index serves, and their clauses, with arms numbered anew. */
static void
conditions_of(Oid index_oid, List *clauses, List *conditions, List *indexes, List **clauses_out, List **conditions_out)
{
	ListCell *lc1;
	ListCell *lc2;
	int last_arm = -1;
	int narms = 0;

	*clauses_out = NIL;
	*conditions_out = NIL;
	forboth(lc1, clauses, lc2, conditions)
	{
		List *condition = list_copy(lfirst(lc2));
		ListCell *arm = list_nth_cell(condition, NVMKV_CONDITION_FIELD_ARM);

		if (list_nth_oid(indexes, lfirst_int(arm)) != index_oid)
			continue;
		if (lfirst_int(arm) != last_arm)
			narms++;
		last_arm = lfirst_int(arm);
		lfirst_int(arm) = narms - 1;
		*clauses_out = lappend(*clauses_out, lfirst(lc1));
		*conditions_out = lappend(*conditions_out, condition);
	}
}

NvmkvCollector *
nvmkv_collector_create(List *clauses, List *conditions, List *indexes, PlanState *parent, NvmkvScanReport *report)
{
	NvmkvCollector *collector = palloc0(sizeof(NvmkvCollector));
	List *distinct = list_concat_unique_oid(NIL, indexes);
	ListCell *lc;

	collector->context = CurrentMemoryContext;
	collector->report = report;
	collector->sources = palloc0(sizeof(Source) * list_length(distinct));
	foreach(lc, distinct)
	{
		Source *source = &collector->sources[collector->nsources++];
		List *own_clauses;
		List *own_conditions;

		source->index_oid = lfirst_oid(lc);
		conditions_of(source->index_oid, clauses, conditions, indexes, &own_clauses, &own_conditions);
		source->keys = nvmkv_keyscan_create(own_clauses, own_conditions, false, parent);
	}
	Assert(collector->nsources <= PG_UINT8_MAX);
	initStringInfo(&collector->key);
	return collector;
}

void
nvmkv_collector_release(NvmkvCollector *collector)
{
	for (int i = 0; i < collector->nsources; i++)
		nvmkv_reader_release(&collector->sources[i].reader);
}

void
nvmkv_collector_end(NvmkvCollector *collector)
{
	if (collector->sort != NULL)
		tuplesort_end(collector->sort);
	collector->sort = NULL;
	nvmkv_collector_release(collector);
}

void
nvmkv_collector_add_stats(const NvmkvCollector *collector, NvmkvScanStats *stats)
{
	for (int i = 0; i < collector->nsources; i++)
		nvmkv_reader_add_stats(&collector->sources[i].reader, stats);
}

/* ---------------------------------------------------------------- reading */

static void
open_source(NvmkvCollector *collector, Source *source, const NvmkvTable *table, NvmkvVisibility *visibility)
{
	source->index = nvmkv_source_index(table, source->index_oid);
	nvmkv_source_open(&source->reader, table, source->index, visibility, false, true, collector->report);
	source->open = true;
}

/* Into the sort: keys of rows, from all ranges of a source. */
static void
read_source(NvmkvCollector *collector, int i, const NvmkvTable *table, ExprContext *econtext)
{
	Source *source = &collector->sources[i];
	NvmkvKeyRange range;
	StringInfoData bytes; /* a bytea */
	StringInfoData key;

	initStringInfo(&bytes);
	initStringInfo(&key);
	nvmkv_reader_reset(&source->reader);
	nvmkv_keyscan_evaluate(source->keys, source->reader.table, econtext);
	while (nvmkv_keyscan_next(source->keys, &range))
	{
		NvmkvRowBytes row;

		collector->report->ranges++;
		nvmkv_source_lock(table, source->index, source->reader.visibility, &range);
		nvmkv_reader_start(&source->reader, &range);
		while (nvmkv_reader_next(&source->reader, &row))
		{
			CHECK_FOR_INTERRUPTS();
			resetStringInfo(&bytes);
			appendStringInfoSpaces(&bytes, VARHDRSZ);
			if (source->index != NULL)
			{
				nvmkv_key_of_entry(table, source->index, row.key, &key);
				appendBinaryStringInfo(&bytes, key.data, key.len);
			}
			else
				appendBinaryStringInfo(&bytes, (const char *) row.key.data, (int) row.key.size);
			appendStringInfoCharMacro(&bytes, (char) i);
			SET_VARSIZE(bytes.data, bytes.len);
			tuplesort_putdatum(collector->sort, PointerGetDatum(bytes.data), false);
		}
	}
	pfree(bytes.data);
	pfree(key.data);
}

void
nvmkv_collector_evaluate(NvmkvCollector *collector, const NvmkvTable *table, NvmkvVisibility *visibility,
						 ExprContext *econtext)
{
	Oid less = lookup_type_cache(BYTEAOID, TYPECACHE_LT_OPR)->lt_opr;
	MemoryContext oldcontext = MemoryContextSwitchTo(collector->context);

	if (collector->sort != NULL)
		tuplesort_end(collector->sort);
	collector->sort = NULL;
	collector->sort = tuplesort_begin_datum(BYTEAOID, less, InvalidOid, false, work_mem, NULL,
											TUPLESORT_RANDOMACCESS);
	for (int i = 0; i < collector->nsources; i++)
	{
		if (!collector->sources[i].open)
			open_source(collector, &collector->sources[i], table, visibility);
		read_source(collector, i, table, econtext);
	}
	tuplesort_performsort(collector->sort);
	collector->has_key = false;
	MemoryContextSwitchTo(oldcontext);
}

/* ---------------------------------------------------------------- keys */

bool
nvmkv_collector_next(NvmkvCollector *collector, NvmkvSlice *key_out, const NvmkvIndex **index_out)
{
	Datum datum;
	bool isnull;

	while (tuplesort_getdatum(collector->sort, true, true, &datum, &isnull, NULL))
	{
		const char *data = VARDATA_ANY(DatumGetPointer(datum));
		int size = VARSIZE_ANY_EXHDR(DatumGetPointer(datum)) - 1;
		bool same = collector->has_key && collector->key.len == size && memcmp(collector->key.data, data, size) == 0;

		if (!same)
		{
			resetStringInfo(&collector->key);
			appendBinaryStringInfo(&collector->key, data, size);
			*index_out = collector->sources[(uint8) data[size]].index;
		}
		collector->has_key = true;
		pfree(DatumGetPointer(datum));
		if (same)
			continue;
		*key_out = nvmkv_slice(collector->key.data, (size_t) collector->key.len);
		return true;
	}
	return false;
}

void
nvmkv_collector_rewind(NvmkvCollector *collector)
{
	if (collector->sort != NULL)
		tuplesort_rescan(collector->sort);
	collector->has_key = false;
}
