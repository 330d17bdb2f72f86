/*
 * workload.c
 *	  What a worker does in each workload.
 *
 * Of count workers each does its part of the operations, so that the whole is the
 * same however many there are.
 */
#include "engine/workload.h"

#include <string.h>

/* Entries that a scan of everything is clocked by. */
#define SCAN_CLOCK 100

/* Longest scan of YCSB E. */
#define YCSB_SCAN_ROWS 100

/* First and last + 1 of a worker's part of n. */
static void
share(const Worker *w, uint64_t n, uint64_t *begin, uint64_t *end)
{
	*begin = n / w->count * w->index;
	*end = w->index + 1 == w->count ? n : n / w->count * (w->index + 1);
}

static void
put(Worker *w, uint64_t number, uint64_t version, bool sync)
{
	const BenchOptions *o = w->options;
	DataKey key;

	data_key(o, number, &key);
	store_put(w->session, key.bytes, key.size, data_value(o, version), o->value_bytes, sync);
	w->result->user_bytes += key.size + o->value_bytes;
	w->result->bytes += key.size + o->value_bytes;
}

static void
get(Worker *w, const DataKey *key)
{
	size_t size;

	if (store_get(w->session, key->bytes, key->size, &size))
	{
		w->result->found++;
		w->result->bytes += key->size + size;
	}
}

/* ---- writes ---- */

static void
write_all(Worker *w, uint64_t n, bool random, uint64_t first_version, bool sync)
{
	const BenchOptions *o = w->options;
	double per_second = (double) o->load_rate / (double) (o->key_bytes + o->value_bytes) / w->count;
	uint64_t begin, end, i;

	w->result->writes = true;
	share(w, n, &begin, &end);
	for (i = begin; i < end; i++)
	{
		if (o->load_rate > 0)
			worker_pace(w, (double) (i - begin), per_second);
		put(w, random ? data_random_key(o, first_version + i) : i, first_version + i, sync);
		if (!worker_count(w, 1))
			break;
	}
}

static void
fillseq(Worker *w)
{
	write_all(w, w->options->keys, false, 0, w->options->sync);
}

static void
fillrandom(Worker *w)
{
	write_all(w, w->options->keys, true, 0, w->options->sync);
}

/* Other random keys than fillrandom's, of the same range. */
static void
overwrite(Worker *w)
{
	write_all(w, w->options->keys, true, w->options->keys, w->options->sync);
}

static void
fillsync(Worker *w)
{
	write_all(w, w->options->reads, true, 0, true);
}

/* ---- point reads ---- */

static void
choose_key(Worker *w, DataKey *key)
{
	const BenchOptions *o = w->options;
	uint64_t random = worker_random(w);

	if (o->found < 0)
		data_key(o, data_below(random, o->keys), key);
	else if ((double) (worker_random(w) >> 11) / 9007199254740992.0 < o->found)
		data_key(o, data_random_key(o, data_below(random, o->keys)), key);
	else
		data_absent_key(o, data_below(random, o->keys), key);
}

static void
read_random(Worker *w)
{
	uint64_t begin, end, i;
	DataKey key;

	share(w, w->options->reads, &begin, &end);
	for (i = begin; i < end; i++)
	{
		choose_key(w, &key);
		get(w, &key);
		if (!worker_count(w, 1))
			break;
	}
}

static void
read_missing(Worker *w)
{
	uint64_t begin, end, i;
	DataKey key;

	share(w, w->options->reads, &begin, &end);
	for (i = begin; i < end; i++)
	{
		data_absent_key(w->options, data_below(worker_random(w), w->options->keys), &key);
		get(w, &key);
		if (!worker_count(w, 1))
			break;
	}
}

/* Worker 0 of one more than wanted writes until the readers are done. */
static void
read_while_writing(Worker *w)
{
	const BenchOptions *o = w->options;
	uint64_t i;

	if (w->index > 0)
	{
		w->index--;
		w->count--;
		read_random(w);
		return;
	}
	w->result->writes = true;
	w->result->aside = true;
	for (i = 0;; i++)
	{
		if (o->writer_rate > 0)
			worker_pace(w, (double) i, (double) o->writer_rate);
		put(w, data_random_key(o, 2 * o->keys + i), i, o->sync);
		if (!worker_count(w, 1))
			break;
	}
}

/* ---- scans ---- */

static uint64_t
scan(Worker *w, const void *key, size_t size, bool backwards, uint64_t rows)
{
	uint64_t n = 0;
	size_t bytes;

	store_scan_begin(w->session, key, size, backwards, rows);
	while (n < rows && store_scan_next(w->session, &bytes))
	{
		w->result->bytes += bytes;
		n++;
	}
	store_scan_end(w->session);
	return n;
}

/* Clocked every so many entries: a look at the clock costs as much as an entry. */
static void
scan_all(Worker *w, bool backwards)
{
	uint64_t rows = w->options->reads;
	uint64_t n = 0;
	size_t bytes;

	store_scan_begin(w->session, NULL, 0, backwards, rows);
	while (n < rows && store_scan_next(w->session, &bytes))
	{
		w->result->bytes += bytes;
		if (++n % SCAN_CLOCK == 0 && !worker_count(w, SCAN_CLOCK))
			break;
	}
	if (n % SCAN_CLOCK != 0)
		(void) worker_count(w, n % SCAN_CLOCK);
	w->result->found = n;
	store_scan_end(w->session);
}

static void
read_seq(Worker *w)
{
	scan_all(w, false);
}

static void
read_reverse(Worker *w)
{
	scan_all(w, true);
}

static void
seek_random(Worker *w)
{
	const BenchOptions *o = w->options;
	uint64_t begin, end, i;
	DataKey key;

	share(w, o->reads, &begin, &end);
	for (i = begin; i < end; i++)
	{
		data_key(o, data_below(worker_random(w), o->keys), &key);
		w->result->found += scan(w, key.bytes, key.size, false, o->nexts + 1) > 0;
		if (!worker_count(w, 1))
			break;
	}
}

/* ---- YCSB ---- */

/* Of a hundred operations: so many are reads, updates, scans, read-modify-writes; the rest inserts a new key. */
typedef struct Mix
{
	unsigned reads, updates, scans, modifications;
	bool latest; /* new keys are the popular ones */
} Mix;

static void
ycsb(Worker *w, const Mix *mix)
{
	const BenchOptions *o = w->options;
	uint64_t begin, end, i;
	uint64_t inserted = 0;
	DataKey key;

	share(w, o->reads, &begin, &end);
	for (i = begin; i < end; i++)
	{
		unsigned dice = (unsigned) data_below(worker_random(w), 100);
		uint64_t newest = o->keys + w->index + inserted * w->count;
		uint64_t number;

		if (mix->latest)
		{
			uint64_t rank = data_zipf_rank(w->zipf, worker_random(w));

			/* Ranks count back over this worker's own inserts, then over what was there before. */
			number = rank < inserted ? newest - (rank + 1) * w->count : o->keys - 1 - (rank - inserted) % o->keys;
		}
		else
			number = data_zipf_key(w->zipf, worker_random(w));
		data_key(o, number, &key);
		if (dice < mix->reads)
			get(w, &key);
		else if (dice < mix->reads + mix->updates)
			put(w, number, i, o->sync);
		else if (dice < mix->reads + mix->updates + mix->scans)
			(void) scan(w, key.bytes, key.size, false, 1 + data_below(worker_random(w), YCSB_SCAN_ROWS));
		else if (dice < mix->reads + mix->updates + mix->scans + mix->modifications)
		{
			get(w, &key);
			put(w, number, i, o->sync);
		}
		else
		{
			put(w, newest, i, o->sync);
			inserted++;
		}
		if (!worker_count(w, 1))
			break;
	}
}

static void
ycsb_a(Worker *w)
{
	ycsb(w, &(const Mix){.reads = 50, .updates = 50});
}

static void
ycsb_b(Worker *w)
{
	ycsb(w, &(const Mix){.reads = 95, .updates = 5});
}

static void
ycsb_c(Worker *w)
{
	ycsb(w, &(const Mix){.reads = 100});
}

static void
ycsb_d(Worker *w)
{
	ycsb(w, &(const Mix){.reads = 95, .latest = true});
}

static void
ycsb_e(Worker *w)
{
	ycsb(w, &(const Mix){.scans = 95});
}

static void
ycsb_f(Worker *w)
{
	ycsb(w, &(const Mix){.reads = 50, .modifications = 50});
}

static const Workload workloads[] = {
	{"fillseq", fillseq, true, false},
	{"fillrandom", fillrandom, true, false},
	{"overwrite", overwrite, true, false},
	{"fillsync", fillsync, true, false},
	{"readrandom", read_random, false, false},
	{"readmissing", read_missing, false, false},
	{"readwhilewriting", read_while_writing, false, true},
	{"readseq", read_seq, false, false},
	{"readreverse", read_reverse, false, false},
	{"seekrandom", seek_random, false, false},
	{"ycsba", ycsb_a, false, false},
	{"ycsbb", ycsb_b, false, false},
	{"ycsbc", ycsb_c, false, false},
	{"ycsbd", ycsb_d, false, false},
	{"ycsbe", ycsb_e, false, false},
	{"ycsbf", ycsb_f, false, false},
};

const Workload *
workload_find(const char *name)
{
	unsigned i;

	for (i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
		if (strcmp(workloads[i].name, name) == 0)
			return &workloads[i];
	return NULL;
}
