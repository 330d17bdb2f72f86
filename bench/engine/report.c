/*
 * report.c
 *	  See report.h.
 */
#include "engine/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MB 1e6
#define MIN_SECONDS 1e-9

/* The sum of all workers that count, or of those aside. */
static void
sum_results(const Report *report, bool aside, WorkerResult *sum)
{
	unsigned i, second;

	memset(sum, 0, sizeof(*sum));
	for (i = 0; i < report->count; i++)
	{
		const WorkerResult *r = &report->results[i];

		sum->user_bytes += r->user_bytes;
		if (r->aside != aside)
			continue;
		sum->writes = r->writes;
		sum->operations += r->operations;
		sum->found += r->found;
		sum->bytes += r->bytes;
		sum->slow_ns += r->slow_ns;
		histogram_merge(&sum->latency, &r->latency);
		for (second = 0; second < TEAM_SECONDS_MAX; second++)
			sum->seconds[second] += r->seconds[second];
		if (sum->begin_ns == 0 || r->begin_ns < sum->begin_ns)
			sum->begin_ns = r->begin_ns;
		if (r->end_ns > sum->end_ns)
			sum->end_ns = r->end_ns;
	}
}

static double
duration(const WorkerResult *r)
{
	double seconds = (double) (r->end_ns - r->begin_ns) / 1e9;

	return seconds > MIN_SECONDS ? seconds : MIN_SECONDS;
}

/* Whole seconds in which nothing was done. */
static unsigned
idle_seconds(const WorkerResult *r)
{
	unsigned whole = (unsigned) duration(r);
	unsigned idle = 0;
	unsigned i;

	for (i = 0; i < whole && i < TEAM_SECONDS_MAX; i++)
		idle += r->seconds[i] == 0;
	return idle;
}

static FILE *
open_for(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (file == NULL)
		bench_die("cannot open %s: %s", path, strerror(errno));
	return file;
}

static FILE *
open_series(const Report *report, const char *what)
{
	char path[4096];

	(void) snprintf(path, sizeof(path), "%s/%s.%s.%s.%llu.%s", report->options->series,
					report->options->label[0] != '\0' ? report->options->label : "run", report->workload, store_name,
					(unsigned long long) report->options->round, what);
	return open_for(path, "w");
}

static void
write_series(const Report *report, const WorkerResult *all)
{
	FILE *file = open_series(report, "seconds");
	unsigned whole = (unsigned) duration(all);
	unsigned i;

	for (i = 0; i < whole && i < TEAM_SECONDS_MAX; i++)
		(void) fprintf(file, "%u\t%u\n", i, all->seconds[i]);
	(void) fclose(file);
	file = open_series(report, "latency");
	histogram_print(&all->latency, file);
	(void) fclose(file);
}

static const char csv_header[] =
	"label,engine,workload,round,operations,seconds,ops_per_s,mb_per_s,p50_us,p99_us,p999_us,max_us,found,"
	"idle_seconds,slow_write_s,stall_s,user_bytes,nvm_bytes,log_bytes,file_bytes,"
	"all_user_bytes,all_nvm_bytes,all_log_bytes,all_file_bytes,disk_bytes,nvm_used,nvm_total,level0_entries,"
	"l1_amplification,cache_hits,cache_misses,writer_ops_per_s,writer_p99_us,memory,options\n";

static void
write_row(const Report *report, const WorkerResult *all, const WorkerResult *aside)
{
	const BenchOptions *o = report->options;
	const StoreStats *b = &report->before;
	const StoreStats *a = &report->after;
	const Histogram *h = &all->latency;
	char options[2048];
	FILE *file = open_for(o->csv, "a");

	bench_options_print(o, options, sizeof(options));
	if (ftell(file) == 0)
		(void) fputs(csv_header, file);
	(void) fprintf(file, "%s,%s,%s,%llu,%llu,%.6f,%.1f,%.3f,%.3f,%.3f,%.3f,%.3f,%llu,", o->label, store_name,
				   report->workload, (unsigned long long) o->round, (unsigned long long) all->operations,
				   report->seconds, (double) all->operations / report->seconds,
				   (double) all->bytes / report->seconds / MB, histogram_percentile(h, 0.5) / 1e3,
				   histogram_percentile(h, 0.99) / 1e3, histogram_percentile(h, 0.999) / 1e3, (double) h->max / 1e3,
				   (unsigned long long) all->found);
	(void) fprintf(file, "%u,%.3f,%.3f,", all->writes ? idle_seconds(all) : 0, (double) all->slow_ns / 1e9,
				   a->stall_seconds < 0 ? -1 : a->stall_seconds - b->stall_seconds);
	(void) fprintf(file, "%llu,%llu,%llu,%llu,", (unsigned long long) all->user_bytes,
				   (unsigned long long) (a->nvm_bytes - b->nvm_bytes),
				   (unsigned long long) (a->log_bytes - b->log_bytes),
				   (unsigned long long) (a->file_bytes - b->file_bytes));
	(void) fprintf(file, "%llu,%llu,%llu,%llu,%llu,%llu,%llu,%llu,%.3f,%llu,%llu,",
				   (unsigned long long) report->user_bytes_all, (unsigned long long) a->nvm_bytes,
				   (unsigned long long) a->log_bytes, (unsigned long long) a->file_bytes,
				   (unsigned long long) report->disk_bytes, (unsigned long long) a->nvm_used,
				   (unsigned long long) a->nvm_total, (unsigned long long) a->level0_entries, a->l1_amplification,
				   (unsigned long long) (a->cache_hits - b->cache_hits),
				   (unsigned long long) (a->cache_misses - b->cache_misses));
	(void) fprintf(file, "%.1f,%.3f,%llu,%s\n", (double) aside->operations / report->seconds,
				   histogram_percentile(&aside->latency, 0.99) / 1e3, (unsigned long long) report->memory, options);
	(void) fclose(file);
}

static void
print_report(const Report *report, const WorkerResult *all, const WorkerResult *aside)
{
	const StoreStats *b = &report->before;
	const StoreStats *a = &report->after;
	const Histogram *h = &all->latency;
	double user = (double) report->user_bytes_all;

	printf("%-8s %-17s", store_name, report->workload);
	if (all->operations == 0)
		printf(" %9.3f s", report->seconds);
	else
		printf(" %10.0f op/s %7.1f MB/s  us: p50 %.2f p99 %.2f p99.9 %.2f max %.0f",
			   (double) all->operations / report->seconds, (double) all->bytes / report->seconds / MB,
			   histogram_percentile(h, 0.5) / 1e3, histogram_percentile(h, 0.99) / 1e3,
			   histogram_percentile(h, 0.999) / 1e3, (double) h->max / 1e3);
	if (all->found > 0)
		printf("  found %llu of %llu", (unsigned long long) all->found, (unsigned long long) all->operations);
	if (all->writes)
	{
		printf("  idle seconds %u, writes over 1 ms %.2f s", idle_seconds(all), (double) all->slow_ns / 1e9);
		if (a->stall_seconds >= 0)
			printf(", stalls %.2f s", a->stall_seconds - b->stall_seconds);
	}
	if (aside->operations > 0)
		printf("  beside: %.0f writes/s, p99 %.2f", (double) aside->operations / report->seconds,
			   histogram_percentile(&aside->latency, 0.99) / 1e3);
	if (user > 0 && (all->writes || report->count == 0))
		printf("  amplification: nvm %.2f files %.2f log %.2f; on disk %.0f MB, container %.0f of %.0f MB",
			   (double) a->nvm_bytes / user, (double) a->file_bytes / user, (double) a->log_bytes / user,
			   (double) report->disk_bytes / MB, (double) a->nvm_used / MB, (double) a->nvm_total / MB);
	if (a->l1_amplification > 0 && (all->writes || report->count == 0))
		printf(", into level 1 %.2f", a->l1_amplification);
	if (report->memory > 0)
		printf("  memory %.1f MB", (double) report->memory / MB);
	printf("\n");
	(void) fflush(stdout);
}

void
report_workload(const Report *report)
{
	WorkerResult *all = bench_alloc(sizeof(WorkerResult));
	WorkerResult *aside = bench_alloc(sizeof(WorkerResult));
	Report r = *report;

	sum_results(report, false, all);
	sum_results(report, true, aside);
	if (report->count > 0)
		r.seconds = duration(all);
	else if (r.seconds < MIN_SECONDS)
		r.seconds = MIN_SECONDS;
	print_report(&r, all, aside);
	if (r.options->csv[0] != '\0')
		write_row(&r, all, aside);
	if (r.options->series[0] != '\0' && all->operations > 0)
		write_series(&r, all);
	free(all);
	free(aside);
}
