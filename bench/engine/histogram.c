/*
 * histogram.c
 *	  See histogram.h.
 */
#include "engine/histogram.h"

void
histogram_merge(Histogram *into, const Histogram *from)
{
	unsigned i;

	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

/* The greatest value that belongs to a bucket. */
static uint64_t
bucket_end(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * HISTOGRAM_SUB)
		return bucket;
	shift = bucket / HISTOGRAM_SUB - 1;
	return ((((uint64_t) bucket - shift * HISTOGRAM_SUB) + 1) << shift) - 1;
}

double
histogram_percentile(const Histogram *h, double share)
{
	double wanted = share * (double) h->count;
	uint64_t seen = 0;
	unsigned i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		seen += h->buckets[i];
		if (h->buckets[i] > 0 && (double) seen >= wanted)
			return (double) (bucket_end(i) < h->max ? bucket_end(i) : h->max);
	}
	return (double) h->max;
}

void
histogram_print(const Histogram *h, FILE *out)
{
	uint64_t seen = 0;
	unsigned i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		if (h->buckets[i] == 0)
			continue;
		seen += h->buckets[i];
		(void) fprintf(out, "%.3f\t%.9f\n", (double) bucket_end(i) / 1000, (double) seen / (double) h->count);
	}
}
