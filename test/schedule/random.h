/*
 * random.h
 *	  Random numbers of a seed: splitmix64.
 */
#ifndef NVMKV_SCHEDULE_RANDOM_H
#define NVMKV_SCHEDULE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Random
{
	uint64_t state;
} Random;

static inline uint64_t
random_next(Random *random)
{
	uint64_t z = (random->state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

static inline int
random_below(Random *random, int bound)
{
	return (int) (random_next(random) % (uint64_t) bound);
}

static inline bool
random_percent(Random *random, int percent)
{
	return random_below(random, 100) < percent;
}

#endif
