/*
 * data.h
 *	  Keys and values: the same for every engine, and without memory of what was
 *	  written, since the n-th random key is a function of n.
 */
#ifndef NVMKV_BENCH_DATA_H
#define NVMKV_BENCH_DATA_H

#include "engine/bench.h"

#define DATA_KEY_BYTES_MAX 1040

typedef struct DataKey
{
	uint8_t bytes[DATA_KEY_BYTES_MAX];
	uint64_t size;
} DataKey;

/* Scrambles a number (the finaliser of splitmix64). */
static inline uint64_t
data_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* 0 .. n - 1 out of 64 random bits. */
static inline uint64_t
data_below(uint64_t random, uint64_t n)
{
	return (uint64_t) (((unsigned __int128) random * n) >> 64);
}

/* The key number of the i-th write of fillrandom. */
static inline uint64_t
data_random_key(const BenchOptions *o, uint64_t i)
{
	return data_below(data_mix(o->seed * UINT64_C(0x100000001) + i), o->keys);
}

extern void data_key(const BenchOptions *o, uint64_t number, DataKey *key);

/* A key between this number's and the next: never written. */
extern void data_absent_key(const BenchOptions *o, uint64_t number, DataKey *key);

/* Once, before the others. */
extern void data_prepare(const BenchOptions *o);

/* value_bytes bytes that compress as wanted. */
extern const uint8_t *data_value(const BenchOptions *o, uint64_t i);

/* Zipf's distribution over 0 .. n - 1, exponent 0.99, as YCSB draws it. */
typedef struct DataZipf
{
	uint64_t n;
	double zeta_n, alpha, eta;
} DataZipf;

extern void data_zipf_prepare(DataZipf *zipf, uint64_t n);

/* How popular: 0 is the most popular. */
extern uint64_t data_zipf_rank(const DataZipf *zipf, uint64_t random);

static inline uint64_t
data_zipf_key(const DataZipf *zipf, uint64_t random)
{
	return data_mix(data_zipf_rank(zipf, random)) % zipf->n;
}

#endif
