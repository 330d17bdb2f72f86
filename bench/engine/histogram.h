/*
 * histogram.h
 *	  Latencies in buckets that are 1/32 of a power of two wide: percentiles are
 *	  right to 3 %, the greatest value is kept exactly.
 */
#ifndef NVMKV_BENCH_HISTOGRAM_H
#define NVMKV_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_SUB_BITS 5
#define HISTOGRAM_SUB (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64u - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

typedef struct Histogram
{
	uint64_t count, sum, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
} Histogram;

static inline unsigned
histogram_bucket(uint64_t value)
{
	unsigned shift;

	if (value < HISTOGRAM_SUB)
		return (unsigned) value;
	shift = 63u - (unsigned) __builtin_clzll(value) - HISTOGRAM_SUB_BITS;
	return shift * HISTOGRAM_SUB + (unsigned) (value >> shift);
}

static inline void
histogram_add(Histogram *h, uint64_t value)
{
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
	h->buckets[histogram_bucket(value)]++;
}

extern void histogram_merge(Histogram *into, const Histogram *from);

/* The value that a share (0 .. 1) of all do not exceed. */
extern double histogram_percentile(const Histogram *h, double share);

/* A line a bucket that is in use: its value, and the share of all values up to it. */
extern void histogram_print(const Histogram *h, FILE *out);

#endif
