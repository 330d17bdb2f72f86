/*-------------------------------------------------------------------------
 *
 * views.c
 *	  SQL functions behind the views of schema nvmkv.
 *
 * Counters are read without locks while work goes on; figures of one row may
 * be a moment apart.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/settle.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_progress);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_engine);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_memtables);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_matrix);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_levels);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_values);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_cache);
PG_FUNCTION_INFO_V1(nvmkv_sql_stat_outcomes);
PG_FUNCTION_INFO_V1(nvmkv_sql_storage_estimate);
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
