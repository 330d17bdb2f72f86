/*-------------------------------------------------------------------------
 *
 * views.c
 *	  SQL functions behind the views of schema nvmkv, and those that do work.
 *
 * Counters are read without locks while work goes on; figures of one row may
 * be a moment apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xlog.h"
#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "fdw/admin/indexcheck.h"
#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/table/table.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/lost.h"
#include "fdw/txn/visibility.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_progress);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_engine);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_memtables);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_matrix);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_levels);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_values);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_cache);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_outcomes);
PG_FUNCTION_INFO_V1(nvmkv_sql_storage_estimate);
PG_FUNCTION_INFO_V1(nvmkv_sql_flush);
PG_FUNCTION_INFO_V1(nvmkv_sql_compact);
PG_FUNCTION_INFO_V1(nvmkv_sql_set_outcome);
PG_FUNCTION_INFO_V1(nvmkv_sql_check);
PG_FUNCTION_INFO_V1(nvmkv_sql_reset_stats);

/* ---------------------------------------------------------------- lists */

/*
 * Calls one of the engine's lists with an array that grows until everything fits.  Elements are element_size
 * bytes; palloc'd.
 */
typedef unsigned (*ListFunction)(struct NvmkvDb *db, void *out, unsigned max);

static void *
fetch_list(ListFunction list, NvmkvDb *db, size_t element_size, unsigned *count_out)
{
	unsigned max = 64;

	for (;;)
	{
		void *out = palloc_extended(element_size * max, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		unsigned count = list(db, out, max);

		if (count < max)
		{
			*count_out = count;
			return out;
		}
		pfree(out);
		max *= 4;
	}
}

/* A row of the result for each element of each family's list: the family's name, then what "put" says of the element. */
static void
emit_lists(FunctionCallInfo fcinfo, ListFunction list, size_t element_size,
		   void (*put)(NvmkvResultRow *row, const void *element))
{
	unsigned nfamilies;
	NvmkvFamilyEntry *families = nvmkv_families(&nfamilies);
	NvmkvResultRow row = {0};

	InitMaterializedSRF(fcinfo, 0);
	for (unsigned f = 0; f < nfamilies; f++)
	{
		unsigned count;
		const char *elements = fetch_list(list, families[f].db, element_size, &count);

		for (unsigned i = 0; i < count; i++)
		{
			nvmkv_result_put_text(&row, families[f].name);
			put(&row, elements + i * element_size);
			nvmkv_result_emit(fcinfo, &row);
		}
	}
}

/* ---------------------------------------------------------------- what goes on */

static unsigned
list_jobs(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_job_stats(db, out, max);
}

static void
put_level(NvmkvResultRow *row, int level)
{
	if (level >= 0)
		nvmkv_result_put_int4(row, level);
	else
		nvmkv_result_put_null(row);
}

static void
put_job_stats(NvmkvResultRow *row, const void *element)
{
	const NvmkvJobStats *job = element;

	nvmkv_result_put_int8(row, job->job_id);
	nvmkv_result_put_text(row, job->job);
	if (job->pid != 0)
		nvmkv_result_put(row, Int32GetDatum(job->pid));
	else
		nvmkv_result_put_null(row);
	nvmkv_result_put_text(row, job->phase);
	nvmkv_result_put_time(row, job->started_clock_us);
	nvmkv_result_put_time(row, job->finished_clock_us);
	nvmkv_result_put_int8(row, job->keys_done);
	nvmkv_result_put_int8(row, job->keys_total);
	nvmkv_result_put_int8(row, job->bytes_done);
	nvmkv_result_put_int8(row, job->bytes_total);
	nvmkv_result_put_bytes(row, job->first_key, job->first_key_size);
	nvmkv_result_put_bytes(row, job->last_key, job->last_key_size);
	nvmkv_result_put_int4(row, job->rows_in);
	nvmkv_result_put_int4(row, job->files_in);
	nvmkv_result_put_int4(row, job->files_out);
	put_level(row, job->level);
	put_level(row, job->output_level);
}

Datum
nvmkv_sql_progress(PG_FUNCTION_ARGS)
{
	emit_lists(fcinfo, list_jobs, sizeof(NvmkvJobStats), put_job_stats);
	return (Datum) 0;
}

/* ---------------------------------------------------------------- state and counters */

static const char *
engine_state(const NvmkvStats *stats)
{
	if (stats->sticky)
		return "failed";
	return stats->gate_open ? "open" : "read only";
}

Datum
nvmkv_sql_stat_engine(PG_FUNCTION_ARGS)
{
	NvmkvStats stats;
	NvmkvResultRow row = {0};

	nvmkv_stats(nvmkv_engine(), &stats);
	nvmkv_result_put_text(&row, engine_state(&stats));
	nvmkv_result_put(&row, BoolGetDatum(stats.nvm_is_pmem));
	nvmkv_result_put_lsn(&row, stats.last_sequence);
	nvmkv_result_put_lsn(&row, stats.durable_seq);
	nvmkv_result_put_int8(&row, stats.version_number);
	nvmkv_result_put_int4(&row, stats.extents_total);
	nvmkv_result_put_int4(&row, stats.extents_free);
	nvmkv_result_put_int8(&row, stats.user_bytes);
	nvmkv_result_put_int8(&row, stats.log_bytes);
	nvmkv_result_put_int8(&row, stats.nvm_bytes);
	nvmkv_result_put_int8(&row, stats.file_bytes);
	nvmkv_result_put_int8(&row, stats.file_read_bytes);
	nvmkv_result_put_int8(&row, stats.manifest_bytes);
	nvmkv_result_put_int8(&row, stats.writes);
	nvmkv_result_put_int8(&row, stats.entries_written);
	nvmkv_result_put_int8(&row, stats.gets);
	nvmkv_result_put_int8(&row, stats.get_hits);
	nvmkv_result_put_int8(&row, stats.scans);
	nvmkv_result_put_int8(&row, stats.filter_useful);
	nvmkv_result_put_int8(&row, stats.filter_passed);
	nvmkv_result_put_int8(&row, stats.data_reads);
	nvmkv_result_put_int8(&row, stats.sources_skipped);
	nvmkv_result_put_int8(&row, stats.switches);
	nvmkv_result_put_int8(&row, stats.flushes);
	nvmkv_result_put_int8(&row, stats.columns);
	nvmkv_result_put_int8(&row, stats.batches);
	nvmkv_result_put_int8(&row, stats.files_written);
	nvmkv_result_put_int8(&row, stats.files_deleted);
	nvmkv_result_put_int8(&row, stats.entries_frozen);
	nvmkv_result_put_int8(&row, stats.entries_dropped_aborted);
	nvmkv_result_put_int8(&row, stats.entries_dropped_obsolete);
	nvmkv_result_put_int8(&row, stats.stalls[NVMKV_STALL_MEMTABLES]);
	nvmkv_result_put(&row, Float8GetDatum((float8) stats.stall_us[NVMKV_STALL_MEMTABLES] / 1000.0));
	nvmkv_result_put_int8(&row, stats.stalls[NVMKV_STALL_EXTENTS]);
	nvmkv_result_put(&row, Float8GetDatum((float8) stats.stall_us[NVMKV_STALL_EXTENTS] / 1000.0));
	for (int cause = 0; cause < NVMKV_STALL_CAUSES; cause++)
	{
		nvmkv_result_put_int8(&row, stats.delays[cause]);
		nvmkv_result_put(&row, Float8GetDatum((float8) stats.delay_us[cause] / 1000.0));
	}
	if (stats.write_rate != 0)
		nvmkv_result_put_int8(&row, stats.write_rate);
	else
		nvmkv_result_put_null(&row);
	nvmkv_result_put_int8(&row, stats.errors);
	nvmkv_result_put_text(&row, stats.last_error);
	nvmkv_result_put_time(&row, stats.last_error_clock_us);
	return nvmkv_result_record(fcinfo, &row);
}

Datum
nvmkv_sql_stat_cache(PG_FUNCTION_ARGS)
{
	NvmkvCacheStats stats;
	NvmkvResultRow row = {0};

	nvmkv_cache_stats(nvmkv_engine(), &stats);
	nvmkv_result_put_int8(&row, stats.capacity);
	nvmkv_result_put_int8(&row, stats.bytes);
	nvmkv_result_put_int8(&row, stats.blocks);
	nvmkv_result_put_int8(&row, stats.hits);
	nvmkv_result_put_int8(&row, stats.misses);
	nvmkv_result_put_int8(&row, stats.inserts);
	nvmkv_result_put_int8(&row, stats.evictions);
	nvmkv_result_put_int8(&row, stats.refused);
	return nvmkv_result_record(fcinfo, &row);
}

static unsigned
list_lost_outcomes(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_lost_outcomes(db, out, max);
}

Datum
nvmkv_sql_stat_outcomes(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvOutcomeStats stats;
	NvmkvLostOutcomes *lost;
	StringInfoData ranges;
	unsigned nlost;
	NvmkvResultRow row = {0};

	nvmkv_outcome_stats(db, &stats);
	lost = fetch_list(list_lost_outcomes, db, sizeof(NvmkvLostOutcomes), &nlost);
	initStringInfo(&ranges);
	for (unsigned i = 0; i < nlost; i++)
		appendStringInfo(&ranges, "%s" UINT64_FORMAT "-" UINT64_FORMAT, i > 0 ? ", " : "", lost[i].from, lost[i].to - 1);
	nvmkv_result_put_int8(&row, stats.settled);
	nvmkv_result_put_int8(&row, stats.saved);
	nvmkv_result_put_int8(&row, stats.low);
	nvmkv_result_put_int8(&row, stats.segments);
	nvmkv_result_put_int8(&row, stats.segments * stats.segment_bytes);
	nvmkv_result_put_int8(&row, stats.lost);
	nvmkv_result_put_text(&row, ranges.data);
	return nvmkv_result_record(fcinfo, &row);
}

static unsigned
list_memtables(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_memtable_stats(db, out, max);
}

static void
put_memtable_stats(NvmkvResultRow *row, const void *element)
{
	const NvmkvMemtableStats *memtable = element;

	nvmkv_result_put_int4(row, memtable->buffer);
	nvmkv_result_put_text(row, memtable->state);
	nvmkv_result_put_int8(row, memtable->bytes);
	nvmkv_result_put_int8(row, memtable->capacity);
	nvmkv_result_put_int8(row, memtable->entries);
	nvmkv_result_put_lsn(row, memtable->first_sequence);
	nvmkv_result_put_lsn(row, memtable->last_sequence);
}

Datum
nvmkv_sql_stat_memtables(PG_FUNCTION_ARGS)
{
	emit_lists(fcinfo, list_memtables, sizeof(NvmkvMemtableStats), put_memtable_stats);
	return (Datum) 0;
}

static unsigned
list_rows(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_row_stats(db, out, max);
}

static void
put_row_stats(NvmkvResultRow *row, const void *element)
{
	const NvmkvRowStats *stored = element;

	nvmkv_result_put_int8(row, stored->row_id);
	nvmkv_result_put_text(row, stored->role);
	nvmkv_result_put_int8(row, stored->entries);
	nvmkv_result_put_int8(row, stored->live_entries);
	nvmkv_result_put_int8(row, stored->bytes);
	nvmkv_result_put_int8(row, stored->live_bytes);
	nvmkv_result_put_int4(row, stored->extents);
	nvmkv_result_put(row, BoolGetDatum(stored->has_hints));
}

Datum
nvmkv_sql_stat_matrix(PG_FUNCTION_ARGS)
{
	emit_lists(fcinfo, list_rows, sizeof(NvmkvRowStats), put_row_stats);
	return (Datum) 0;
}

static unsigned
list_levels(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_level_stats(db, out, max);
}

static void
put_level_stats(NvmkvResultRow *row, const void *element)
{
	const NvmkvLevelStats *level = element;

	nvmkv_result_put_int4(row, level->level);
	nvmkv_result_put_int8(row, level->files);
	nvmkv_result_put_int8(row, level->bytes);
	nvmkv_result_put_int8(row, level->value_bytes);
	if (level->target_bytes > 0)
		nvmkv_result_put_int8(row, level->target_bytes);
	else
		nvmkv_result_put_null(row);
	nvmkv_result_put(row, Float8GetDatum(level->score));
	nvmkv_result_put_int8(row, level->bytes_read);
	nvmkv_result_put_int8(row, level->bytes_written);
	nvmkv_result_put(row, Float8GetDatum(level->write_amplification));
}

Datum
nvmkv_sql_stat_levels(PG_FUNCTION_ARGS)
{
	emit_lists(fcinfo, list_levels, sizeof(NvmkvLevelStats), put_level_stats);
	return (Datum) 0;
}

static unsigned
list_values(struct NvmkvDb *db, void *out, unsigned max)
{
	return nvmkv_value_stats(db, out, max);
}

static void
put_value_stats(NvmkvResultRow *row, const void *element)
{
	const NvmkvValueStats *values = element;

	nvmkv_result_put_int8(row, values->files);
	nvmkv_result_put_int8(row, values->bytes);
	nvmkv_result_put_int8(row, values->bytes_in_use);
}

Datum
nvmkv_sql_stat_values(PG_FUNCTION_ARGS)
{
	emit_lists(fcinfo, list_values, sizeof(NvmkvValueStats), put_value_stats);
	return (Datum) 0;
}

Datum
nvmkv_sql_storage_estimate(PG_FUNCTION_ARGS)
{
	uint64 lower = pg_hton64((uint64) PG_GETARG_INT64(0));
	uint64 upper = pg_hton64((uint64) PG_GETARG_INT64(0) + 1);
	NvmkvDb *db = nvmkv_engine_of_any((uint64) PG_GETARG_INT64(0));
	NvmkvEstimate estimate = {0};
	NvmkvResultRow row = {0};

	/* Nothing is left of a storage whose family was dropped. */
	if (db != NULL)
		nvmkv_check_status(nvmkv_estimate(db, nvmkv_slice(&lower, sizeof(lower)), nvmkv_slice(&upper, sizeof(upper)),
										  &estimate),
						   "estimating the size of a storage of", "nvmkv");
	nvmkv_result_put(&row, Float8GetDatum(estimate.entries));
	nvmkv_result_put(&row, Float8GetDatum(estimate.bytes));
	nvmkv_result_put(&row, Float8GetDatum(estimate.sources));
	return nvmkv_result_record(fcinfo, &row);
}

Datum
nvmkv_sql_reset_stats(PG_FUNCTION_ARGS)
{
	nvmkv_reset_stats(nvmkv_engine());
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- work */

Datum
nvmkv_sql_flush(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();

	nvmkv_settle_now(db);
	nvmkv_check_status(nvmkv_flush_all(db), "flushing the memtables of", "nvmkv");
	PG_RETURN_VOID();
}

/* A foreign table of ours, locked against DROP; ERROR for any other relation. */
static Relation
open_table(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);

	if (!nvmkv_is_our_table(rel))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a foreign table of nvmkv_fdw", RelationGetRelationName(rel))));
	return rel;
}

Datum
nvmkv_sql_compact(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	uint64 lower = 0;
	uint64 upper = 0;
	size_t size = 0; /* of both; 0: everything */

	if (!PG_ARGISNULL(0))
	{
		Relation rel = open_table(PG_GETARG_OID(0));
		uint64 storage_id = nvmkv_table(rel)->storage_id;

		lower = pg_hton64(storage_id);
		upper = pg_hton64(storage_id + 1);
		size = NVMKV_STORAGE_ID_BYTES;
		table_close(rel, AccessShareLock);
	}
	/* The horizon is held back to what is settled: what has ended until now need not wait. */
	nvmkv_settle_now(db);
	nvmkv_check_status(nvmkv_compact_range(db, nvmkv_slice(&lower, size), nvmkv_slice(&upper, size)), "compacting",
					   "nvmkv");
	PG_RETURN_VOID();
}

Datum
nvmkv_sql_set_outcome(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	uint64 first = U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(0));
	uint64 last = U64FromFullTransactionId(PG_GETARG_FULLTRANSACTIONID(1));
	uint64 count;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", "nvmkv.set_outcome()"),
				 errhint("Call it on the primary: the standby follows.")));
	if (last < first)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the last transaction must not be before the first")));
	count = nvmkv_settle_by_word(db, first, last, PG_GETARG_BOOL(2));
	if (count == 0)
		ereport(NOTICE,
				(errmsg("the outcomes of all these transactions are known, or not needed"),
				 errhint("nvmkv.stat_outcomes lists those that are not.")));
	PG_RETURN_INT64((int64) count);
}

/* ---------------------------------------------------------------- check */

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
			object = psprintf("foreign table %s: keys %s", qualified_name(part->relid), part->keys);
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

Datum
nvmkv_sql_check(PG_FUNCTION_ARGS)
{
	const char *absence = nvmkv_engine_absence();
	List *findings = NIL;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (absence != NULL)
	{
		report_problem(fcinfo, "nvmkv", psprintf("foreign tables are not available: %s", absence));
		return (Datum) 0;
	}
	nvmkv_check_status(nvmkv_check(nvmkv_engine(), note_finding, &findings), "checking", "nvmkv");
	nvmkv_broken_families(nvmkv_engine(), report_family, fcinfo);
	foreach(lc, findings)
		report_finding(fcinfo, lfirst(lc));
	nvmkv_list_lost_rows(nvmkv_engine(), report_problem, fcinfo);
	if (!PG_ARGISNULL(0))
	{
		Relation rel = open_table(PG_GETARG_OID(0));
		const NvmkvTable *table = nvmkv_table(rel);

		check_table(fcinfo, rel);
		for (int i = 0; i < table->nindexes; i++)
		{
			if (table->indexes[i].ready && table->indexes[i].valid && nvmkv_index_is_old_enough(table->indexes[i].oid))
				nvmkv_check_index(rel, table, &table->indexes[i], report_problem, fcinfo);
		}
		table_close(rel, AccessShareLock);
	}
	return (Datum) 0;
}
