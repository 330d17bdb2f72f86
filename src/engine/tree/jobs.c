/*
 * jobs.c
 *	  The list of running and finished jobs that the progress view shows.
 *
 * One writer an element (its job), which may read it as it likes; all else is whole words, each written and read at
 * once.  Readers copy and compare "generation" around the copy.
 */
#include "engine/tree/jobs.h"

#include <unistd.h>

#include "engine/tree/claim.h"

static void
begin_change(DbJob *job)
{
	port_store_relaxed(&job->generation, job->generation + 1);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void
end_change(DbJob *job)
{
	port_store_release(&job->generation, job->generation + 1);
}

_Static_assert(sizeof(NvmkvJobStats) % sizeof(PortWord) == 0 && offsetof(DbJob, stats) % sizeof(PortWord) == 0,
			   "descriptions are copied by words");

static void
describe(DbJob *job, const NvmkvJobStats *stats)
{
	begin_change(job);
	port_store_words(&job->stats, stats, sizeof(job->stats));
	end_change(job);
}

static bool
is_running(const DbJob *job)
{
	uint32_t phase = port_load_relaxed(&job->phase);

	return port_load_relaxed(&job->kind) != DB_JOB_NONE && phase != DB_PHASE_FINISHED && phase != DB_PHASE_FAILED;
}

/* The same of an element that may be somebody's: false if it is, or becomes so meanwhile. */
static bool
begin_change_of_idle(DbJob *job)
{
	uint32_t generation = port_load_acquire(&job->generation);

	return (generation & 1) == 0 && !is_running(job) &&
		__atomic_compare_exchange_n(&job->generation, &generation, generation + 1, false, __ATOMIC_ACQ_REL,
									__ATOMIC_RELAXED);
}

DbJob *
job_begin(NvmkvDb *db, DbJobKind kind)
{
	uint64_t id = port_fetch_add(&db->shm->next_job, 1) + 1;
	DbJob *job = &db->shm->jobs[id % DB_JOBS];
	NvmkvJobStats stats = {.job_id = id, .pid = (int) getpid(), .level = -1, .output_level = -1};
	unsigned i;

	/* Few jobs run at once, so an element without a running one is always near. */
	for (i = 0; i < DB_JOBS && !begin_change_of_idle(job); i++)
		job = &db->shm->jobs[(id + i + 1) % DB_JOBS];
	if (i == DB_JOBS)
		begin_change(job);
	port_store_relaxed(&job->kind, (uint32_t) kind);
	port_store_relaxed(&job->phase, (uint32_t) DB_PHASE_PICKING);
	port_store_relaxed(&job->owner, db_claim_word());
	port_store_relaxed(&job->takes, 0);
	stats.started_clock_us = port_clock_us();
	port_store_words(&job->stats, &stats, sizeof(stats));
	end_change(job);
	return job;
}

void
job_phase(DbJob *job, DbJobPhase phase)
{
	port_store_relaxed(&job->phase, (uint32_t) phase);
}

void
job_progress(DbJob *job, uint64_t keys_done, uint64_t bytes_done)
{
	port_store_relaxed(&job->stats.keys_done, keys_done);
	port_store_relaxed(&job->stats.bytes_done, bytes_done);
}

void
job_totals(DbJob *job, uint64_t keys_total, uint64_t bytes_total, uint32_t rows_in, uint32_t files_in)
{
	NvmkvJobStats stats = job->stats;

	stats.keys_total = keys_total;
	stats.bytes_total = bytes_total;
	stats.rows_in = rows_in;
	stats.files_in = files_in;
	describe(job, &stats);
}

void
job_takes(DbJob *job, uint64_t bytes)
{
	port_store_relaxed(&job->takes, bytes);
}

/* Of a job that has merged everything so much is done: the rest is syncing. */
#define MERGED_SHARE 0.9

void
jobs_drained(const NvmkvDb *db, DbJobKind kind, uint64_t *total_out, uint64_t *running_out)
{
	unsigned i;

	*total_out = 0;
	*running_out = 0;
	for (i = 0; i < DB_JOBS; i++)
	{
		const DbJob *job = &db->shm->jobs[i];
		uint32_t phase = port_load_relaxed(&job->phase);
		uint64_t keys = port_load_relaxed(&job->stats.keys_total);

		*total_out += port_load_relaxed(&job->drained[kind]);
		if (port_load_relaxed(&job->kind) != (uint32_t) kind || phase == DB_PHASE_FINISHED ||
			phase == DB_PHASE_FAILED || keys == 0)
			continue;
		*running_out += (uint64_t) (MERGED_SHARE * (double) port_load_relaxed(&job->takes) *
									(double) port_load_relaxed(&job->stats.keys_done) / (double) keys);
	}
	*total_out += *running_out;
}

void
job_levels(DbJob *job, unsigned level, unsigned output_level)
{
	NvmkvJobStats stats = job->stats;

	stats.level = (int) level;
	stats.output_level = (int) output_level;
	describe(job, &stats);
}

static uint8_t
copy_key(uint8_t *to, NvmkvSlice key)
{
	size_t n = key.size < NVMKV_JOB_KEY_BYTES ? key.size : NVMKV_JOB_KEY_BYTES;

	if (n > 0)
		memcpy(to, key.data, n);
	return (uint8_t) n;
}

void
job_range(DbJob *job, NvmkvSlice first, NvmkvSlice last)
{
	NvmkvJobStats stats = job->stats;

	stats.first_key_size = copy_key(stats.first_key, first);
	stats.last_key_size = copy_key(stats.last_key, last);
	describe(job, &stats);
}

void
job_end(DbJob *job, bool ok, uint32_t files_out)
{
	NvmkvJobStats stats = job->stats;

	stats.files_out = files_out;
	stats.finished_clock_us = port_clock_us();
	begin_change(job);
	port_store_words(&job->stats, &stats, sizeof(stats));
	if (ok)
		port_store_relaxed(&job->drained[job->kind], job->drained[job->kind] + job->takes);
	port_store_relaxed(&job->phase, ok ? DB_PHASE_FINISHED : DB_PHASE_FAILED);
	end_change(job);
}

void
jobs_abort(NvmkvDb *db)
{
	unsigned i;

	for (i = 0; i < DB_JOBS; i++)
	{
		DbJob *job = &db->shm->jobs[i];

		if (port_load_relaxed(&job->owner) == db_claim_word() && is_running(job))
			job_end(job, false, job->stats.files_out);
	}
}

static const char *
kind_name(uint32_t kind)
{
	static const char *const names[] = {"none", "flush", "column compaction", "level compaction"};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

static const char *
phase_name(uint32_t phase)
{
	static const char *const names[] = {"picking", "merging", "syncing", "installing", "finished", "failed"};

	return phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "unknown";
}

/* A consistent copy; false when there is none to be had right now. */
static bool
copy_job(const DbJob *job, NvmkvJobStats *out)
{
	unsigned tries;

	for (tries = 0; tries < 1000; tries++)
	{
		uint32_t generation = port_load_acquire(&job->generation);
		uint32_t kind;

		if ((generation & 1) != 0)
			continue;
		port_load_words(out, &job->stats, sizeof(*out));
		kind = port_load_relaxed(&job->kind);
		out->job = kind_name(kind);
		out->phase = phase_name(port_load_relaxed(&job->phase));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (port_load_relaxed(&job->generation) == generation)
			return kind != DB_JOB_NONE;
	}
	return false;
}

unsigned
nvmkv_job_stats(NvmkvDb *db, NvmkvJobStats *out, unsigned max)
{
	unsigned n = 0;
	unsigned i;

	for (i = 0; i < DB_JOBS && n < max; i++)
		if (copy_job(&db->shm->jobs[i], &out[n]))
			n++;
	return n;
}
