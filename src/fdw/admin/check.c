/*
 * check.c
 *	  nvmkv.check(): what is wrong with the tree, and with a table and its indexes.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/admin/indexcheck.h"
#include "fdw/admin/work.h"
#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/lost.h"
#include "fdw/txn/visibility.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_check_all);
PG_FUNCTION_INFO_V1(nvmkv_sql_check);

/* What the engine has found: noted, since catalogues are not read, and nothing is raised, from within it. */
typedef struct Finding
{
	char *where;
	char *problem;
	NvmkvSlice low; /* keys it costs, [low, upper); low.size 0: not known */
	NvmkvSlice upper;
	uint64 newest;
} Finding;

static NvmkvSlice
copy_bytes(const uint8 *bytes, size_t size)
{
	uint8 *copy = palloc(Max(size, 1));

	memcpy(copy, bytes, size);
	return nvmkv_slice(copy, size);
}

static void
note_finding(void *ctx, const char *where, const char *problem)
{
	const NvmkvError *error = nvmkv_error();
	List **findings = ctx;
	Finding *finding = palloc(sizeof(Finding));

	finding->where = pstrdup(where);
	finding->problem = pstrdup(problem);
	finding->low = copy_bytes(error->low, error->low_size);
	finding->upper = copy_bytes(error->upper, error->upper_size);
	finding->newest = error->newest;
	*findings = lappend(*findings, finding);
}

static void
report_problem(void *ctx, const char *where, const char *problem)
{
	FunctionCallInfo fcinfo = ctx;
	NvmkvResultRow row = {0};

	nvmkv_result_put_text(&row, where);
	nvmkv_result_put_text(&row, problem);
	nvmkv_result_emit(fcinfo, &row);
}

static char *
qualified_name(Oid relid)
{
	char *name = get_rel_name(relid);

	return name == NULL ? psprintf("%u", relid)
		: quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

/* Damage is reported of each table that it concerns. */
static void
report_finding(FunctionCallInfo fcinfo, const Finding *finding)
{
	ListCell *lc;

	if (finding->low.size == 0)
	{
		report_problem(fcinfo, finding->where, finding->problem);
		return;
	}
	foreach(lc, nvmkv_damage_parts(finding->low, finding->upper, finding->newest))
	{
		const NvmkvDamagePart *part = lfirst(lc);
		char *object = finding->where;

		if (OidIsValid(part->relid))
			object = psprintf("%s %s: keys %s",
							  get_rel_relkind(part->relid) == RELKIND_FOREIGN_TABLE ? "foreign table" : "index",
							  qualified_name(part->relid), part->keys);
		report_problem(fcinfo, object,
					   OidIsValid(part->relid) ? psprintf("%s: %s", finding->where, finding->problem) : finding->problem);
	}
}

/* Decodes a row, for its errors. */
static void
check_row(FunctionCallInfo fcinfo, const NvmkvTable *table, const NvmkvScanRow *row, Datum *values, bool *nulls)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		nvmkv_key_decode(table, row->key, values, nulls);
		nvmkv_row_decode(table, row->value, values, nulls, table->tupdesc->natts);
	}
	PG_CATCH();
	{
		ErrorData *error;

		/* Only what is wrong with the bytes is a finding. */
		if (geterrcode() != ERRCODE_DATA_CORRUPTED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		report_problem(fcinfo, get_rel_name(table->relid), error->message);
		FreeErrorData(error);
	}
	PG_END_TRY();
}

/* Decodes the rows of a table, up to damage: that, and what it costs, has been told of by itself. */
static void
check_table(FunctionCallInfo fcinfo, Relation rel)
{
	NvmkvTable *table = nvmkv_table(rel);
	NvmkvDb *db = nvmkv_engine_of(table->storage_id);
	const char *name = RelationGetRelationName(rel);
	Datum *values = palloc0(sizeof(Datum) * (size_t) table->tupdesc->natts);
	bool *nulls = palloc0(sizeof(bool) * (size_t) table->tupdesc->natts);
	MemoryContext batch_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv check", ALLOCSET_DEFAULT_SIZES);
	NvmkvVisibility visibility;
	StringInfoData lower;
	StringInfoData upper;
	NvmkvScan *volatile scan = NULL;

	nvmkv_key_table_range(table, &lower, &upper);
	nvmkv_visibility_init(&visibility, GetActiveSnapshot(), NULL);
	visibility.passes_lost = true; /* such versions are listed by themselves */

	PG_TRY();
	{
		NvmkvScan *new_scan = NULL;

		nvmkv_check_status(nvmkv_scan_create(db, &new_scan), "checking foreign table", name);
		scan = new_scan;
		nvmkv_check_status(nvmkv_scan_start(scan, nvmkv_slice(lower.data, (size_t) lower.len),
											nvmkv_slice(upper.data, (size_t) upper.len), false, &visibility.engine),
						   "checking foreign table", name);
		for (;;)
		{
			const NvmkvScanRow *rows;
			unsigned count;
			MemoryContext oldcontext;
			NvmkvStatus status;

			CHECK_FOR_INTERRUPTS();
			status = nvmkv_scan_batch(scan, 1024, 1024 * 1024, &rows, &count);
			if (status == NVMKV_CORRUPTION)
			{
				report_problem(fcinfo, name, psprintf("its rows were checked up to this: %s", nvmkv_error()->text));
				break;
			}
			nvmkv_check_status(status, "checking foreign table", name);
			if (count == 0)
				break;
			oldcontext = MemoryContextSwitchTo(batch_context);
			for (unsigned i = 0; i < count; i++)
				check_row(fcinfo, table, &rows[i], values, nulls);
			MemoryContextSwitchTo(oldcontext);
			MemoryContextReset(batch_context);
		}
	}
	PG_FINALLY();
	{
		nvmkv_scan_destroy(scan);
	}
	PG_END_TRY();
}

static void
report_family(void *ctx, const char *family, const char *problem)
{
	report_problem(ctx, psprintf("column family \"%s\"", family), psprintf("its foreign tables are not available: %s", problem));
}

/* False, and told: there is nothing to check. */
static bool
can_check(FunctionCallInfo fcinfo)
{
	const char *absence = nvmkv_engine_absence();

	InitMaterializedSRF(fcinfo, 0);
	if (absence != NULL)
		report_problem(fcinfo, "nvmkv", psprintf("foreign tables are not available: %s", absence));
	return absence == NULL;
}

static void
check_tree(FunctionCallInfo fcinfo)
{
	List *findings = NIL;
	ListCell *lc;

	nvmkv_check_status(nvmkv_check(nvmkv_engine(), note_finding, &findings), "checking", "nvmkv");
	nvmkv_broken_families(nvmkv_engine(), report_family, fcinfo);
	foreach(lc, findings)
		report_finding(fcinfo, lfirst(lc));
	nvmkv_list_lost_rows(nvmkv_engine(), report_problem, fcinfo);
}

Datum
nvmkv_sql_check_all(PG_FUNCTION_ARGS)
{
	if (can_check(fcinfo))
		check_tree(fcinfo);
	return (Datum) 0;
}

Datum
nvmkv_sql_check(PG_FUNCTION_ARGS)
{
	Relation rel;

	/* NULL is everything to the function of version 1.0, which only those have that may work on all. */
	if (PG_ARGISNULL(0))
		return nvmkv_sql_check_all(fcinfo);
	rel = nvmkv_open_our_table(PG_GETARG_OID(0));
	nvmkv_require_owner(rel, "check");
	if (can_check(fcinfo))
	{
		const NvmkvTable *table = nvmkv_table(rel);

		if (nvmkv_may_work_on_all("check"))
			check_tree(fcinfo);
		check_table(fcinfo, rel);
		for (int i = 0; i < table->nindexes; i++)
		{
			const NvmkvIndex *index = &table->indexes[i];

			if (index->ready && index->valid && nvmkv_index_is_old_enough(index->oid))
				nvmkv_check_index(rel, table, index, report_problem, fcinfo);
		}
	}
	table_close(rel, AccessShareLock);
	return (Datum) 0;
}
