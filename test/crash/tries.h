/*
 * tries.h
 *	  Lives with many faults of a kind: at every point, or at moments taken at random.  Part of a test, as check.h is.
 */
#ifndef NVMKV_TEST_TRIES_H
#define NVMKV_TEST_TRIES_H

#include "crash/life.h"

#include "lib/check.h"

/* Plays the script without a fault, to learn what there is to spoil. */
static inline void
survey(uint64_t seed, Record *out)
{
	static const Fault none = {FAULT_NONE, NULL, 0, 1};

	CHECK(life_with(&none, seed));
	*out = *record;
}

/*
 * So many hits of each point of the plan at most.  With a sanitizer, failures at every fourth point, deaths at every
 * twelfth: it has nothing to see in them but the recovery that follows.
 */
static inline void
points_of_plan(const Record *plan, uint64_t seed, FaultKind kind, const char *only, unsigned hits_max)
{
	uint32_t i;

	for (i = 0; i < plan->npoints; i++)
	{
		const Point *point = &plan->points[i];
		uint32_t tries = point->hits < check_part(hits_max) ? point->hits : check_part(hits_max);
		uint32_t t;

		if ((check_sanitized() && i % (kind == FAULT_KILL ? 12 : 4) != 0) ||
			(kind != FAULT_ERROR && strcmp(point->name, "port.alloc") == 0) ||
			(only != NULL && strncmp(point->name, only, strlen(only)) != 0))
			continue;
		for (t = 0; t < tries; t++)
		{
			Fault f = {kind, point->name, t + 1, check_random()};

			if (point->hits > tries)
				f.at = 1 + check_random_below(point->hits);
			CHECK(life_with(&f, seed));
		}
	}
}

/*
 * A script and what there is to spoil in it; a new one at each call, with a sanitizer one for each kind of life.  The
 * plan holds until the next call.
 */
static inline const Record *
a_plan(uint64_t *seed_out)
{
	static Record plan;
	static Life of;
	static uint64_t seed;
	static bool known = false;

	if (!known || !check_sanitized() || memcmp(&of, &life, sizeof(of)) != 0)
	{
		seed = check_random();
		of = life;
		known = true;
		survey(seed, &plan);
	}
	*seed_out = seed;
	return &plan;
}

/* only: the points whose names begin so; NULL: all. */
static inline void
every_point(FaultKind kind, const char *only, unsigned hits_max)
{
	const Record *plan;
	uint64_t seed;

	REQUIRE(record_make());
	plan = a_plan(&seed);
	points_of_plan(plan, seed, kind, only, hits_max);
}

/* At so many moments: hits of the point; NULL: operations of files. */
static inline void
sample(FaultKind kind, const char *point, unsigned tries)
{
	const Record *plan;
	uint64_t seed, range;
	unsigned i;

	REQUIRE(record_make());
	plan = a_plan(&seed);
	range = point != NULL ? record_hits(plan, point) : plan->operations;
	/* What power takes differs most from one time to the next. */
	if (kind != FAULT_POWER || check_sanitized())
		tries = check_part(tries);
	if (check_sanitized())
		tries = (tries + 1) / 2;
	for (i = 0; i < tries; i++)
	{
		Fault f = {kind, point, 1 + check_random_below(range), check_random()};

		CHECK(life_with(&f, seed));
	}
}

#endif
