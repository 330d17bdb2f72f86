/*
 * port_time.c
 *	  Clocks; the same for both hosts.
 */
#include "engine/port/port.h"

#include <time.h>

static uint64_t
read_clock_us(clockid_t id)
{
	struct timespec ts;

	/* Cannot fail for these two clocks and a valid pointer. */
	(void) clock_gettime(id, &ts);
	return (uint64_t) ts.tv_sec * 1000000 + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t
port_now_us(void)
{
	return read_clock_us(CLOCK_MONOTONIC);
}

uint64_t
port_clock_us(void)
{
	return read_clock_us(CLOCK_REALTIME);
}
