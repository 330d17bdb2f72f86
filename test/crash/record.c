/*
 * record.c
 *	  See record.h.
 */
#include "crash/record.h"

#include <string.h>

#include "engine/port/port_posix.h"

Life life;
Fault fault;
Record *record;

static uint64_t chance_state;

bool
record_make(void)
{
	if (record == NULL)
		record = port_posix_shared_alloc(sizeof(Record));
	return record != NULL;
}

uint32_t
record_hits(const Record *of, const char *point)
{
	uint32_t i;

	for (i = 0; i < of->npoints; i++)
		if (strcmp(of->points[i].name, point) == 0)
			return of->points[i].hits;
	return 0;
}

void
chance_seed(uint64_t seed)
{
	chance_state = seed;
}

/* splitmix64 */
uint64_t
chance(uint64_t bound)
{
	uint64_t z = (chance_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % bound;
}
