/*
 * write_rate.c
 *	  The rate of writers (see write_rate.h).
 */
#include "engine/tree/write_rate.h"

/* The rate is drain * 2^-STEEPNESS .. 2^STEEPNESS over the zone. */
#define STEEPNESS 3.0

/* A drain that was never seen at work, and the least that one is believed to achieve. */
#define DRAIN_UNKNOWN 16777216.0
#define DRAIN_MIN 1048576.0

#define METER_US 2e6
/* Less than this says nothing. */
#define METER_US_MIN 50e3
/* Nobody looked for so long: nobody wrote, and what happened meanwhile is not a measure of speed. */
#define METER_GAP_US UINT64_C(1000000)

/* 2^x for small x, by straight lines between the powers: continuous and rising, which is all that matters. */
static double
power_of_two(double x)
{
	double result = 1.0;

	for (; x >= 1.0; x -= 1.0)
		result *= 2.0;
	for (; x < 0.0; x += 1.0)
		result /= 2.0;
	return result * (1.0 + x);
}

static double
signal_rate(const WriteSignal *signal)
{
	double reserve = signal->reserve > 0.0 ? signal->reserve : 0.0;
	double drain = signal->drain > 0.0 ? signal->drain : DRAIN_UNKNOWN;

	if (drain < DRAIN_MIN)
		drain = DRAIN_MIN;
	return drain * power_of_two(STEEPNESS * (2.0 * reserve - 1.0));
}

uint64_t
write_rate(const WriteSignal signals[NVMKV_STALL_CAUSES], NvmkvStallCause *cause_out)
{
	double lowest = 0.0;
	unsigned i;

	*cause_out = NVMKV_STALL_MEMTABLES;
	for (i = 0; i < NVMKV_STALL_CAUSES; i++)
	{
		double rate;

		/* Written so that a reserve that is no number slows nobody down. */
		if (!(signals[i].reserve < 1.0))
			continue;
		rate = signal_rate(&signals[i]);
		if (lowest == 0.0 || rate < lowest)
		{
			lowest = rate;
			*cause_out = (NvmkvStallCause) i;
		}
	}
	return (uint64_t) lowest;
}

void
write_meter_look(WriteMeter *meter, uint64_t total, bool busy, uint64_t now_us)
{
	uint64_t since = meter->looked_us;
	bool was_busy = meter->busy;
	double us, piece;

	if (since != 0 && now_us <= since)
		return;
	/* The piece that ends the work counts, too. */
	meter->busy = busy;
	if (since == 0 || !was_busy || now_us - since > METER_GAP_US)
	{
		meter->total = total;
		meter->looked_us = now_us;
		return;
	}
	us = (double) (now_us - since);
	/* What was done of a step that failed is taken back. */
	piece = total > meter->total ? (double) (total - meter->total) * 1e6 / us : 0.0;
	meter->speed += (piece - meter->speed) * us / (meter->busy_us + us);
	meter->busy_us += us;
	if (meter->busy_us > METER_US)
		meter->busy_us = METER_US;
	meter->total = total;
	meter->looked_us = now_us;
}

double
write_meter_speed(const WriteMeter *meter)
{
	/* Known, and nothing: not the same as unknown. */
	if (meter->busy_us < METER_US_MIN)
		return 0.0;
	return meter->speed > 1.0 ? meter->speed : 1.0;
}
