/*
 * write_rate_test.c
 *	  The rate of writers as a function of room and drain, the bucket they spend
 *	  from, and both together in a simulation with a clock of its own.
 */
#include "lib/check.h"

#include <stdlib.h>

#include "engine/tree/bucket.h"
#include "engine/tree/write_rate.h"

#define MIB 1048576.0

/* ---- the rate ---- */

static uint64_t
rate_of(double reserve, double drain)
{
	WriteSignal signals[NVMKV_STALL_CAUSES] = {{1.0, 0.0}, {1.0, 0.0}, {1.0, 0.0}};
	NvmkvStallCause cause;

	signals[NVMKV_STALL_EXTENTS].reserve = reserve;
	signals[NVMKV_STALL_EXTENTS].drain = drain;
	return write_rate(signals, &cause);
}

TEST(no_limit_while_all_reserves_are_whole)
{
	CHECK_EQ(rate_of(1.0, 10 * MIB), 0);
	CHECK_EQ(rate_of(5.0, 10 * MIB), 0);
	CHECK_EQ(rate_of(1.0, 0.0), 0);
}

TEST(rate_follows_the_drain)
{
	CHECK_EQ(rate_of(0.5, 10 * MIB), (uint64_t) (10 * MIB));
	CHECK_EQ(rate_of(0.0, 80 * MIB), (uint64_t) (10 * MIB));
	CHECK_EQ(rate_of(-3.0, 80 * MIB), (uint64_t) (10 * MIB));
	CHECK(rate_of(0.9999, 10 * MIB) > (uint64_t) (79 * MIB));
	/* A drain that stands still, or was never seen, does not stop writers. */
	CHECK(rate_of(0.0, 1.0) >= 100000);
	CHECK(rate_of(0.0, 0.0) >= 1048576);
}

TEST(rate_has_no_steps)
{
	uint64_t last = rate_of(0.0, 10 * MIB);
	unsigned i;

	for (i = 1; i < 1000; i++)
	{
		uint64_t rate = rate_of(i / 1000.0, 10 * MIB);

		CHECK(rate >= last);
		CHECK((double) rate <= (double) last * 1.02);
		last = rate;
	}
}

TEST(the_scarcest_room_decides)
{
	WriteSignal signals[NVMKV_STALL_CAUSES] = {{0.9, 10 * MIB}, {0.4, 10 * MIB}, {0.6, 10 * MIB}};
	NvmkvStallCause cause;
	uint64_t rate = write_rate(signals, &cause);

	CHECK_EQ(cause, NVMKV_STALL_EXTENTS);
	CHECK_EQ(rate, rate_of(0.4, 10 * MIB));
	/* By the rate it asks for, not by the share that is left. */
	signals[NVMKV_STALL_EXTENTS].drain = 1000 * MIB;
	CHECK_EQ(write_rate(signals, &cause), rate_of(0.6, 10 * MIB));
	CHECK_EQ(cause, NVMKV_STALL_DEBT);
}

/* ---- the meter ---- */

TEST(meter_measures_busy_times_only)
{
	WriteMeter m = {0};
	uint64_t now = 1000000;
	uint64_t total = 0;
	unsigned i;

	CHECK(write_meter_speed(&m) == 0.0);
	for (i = 0; i < 500; i++, now += 10000)
	{
		write_meter_look(&m, total, true, now);
		total += 100000;
	}
	CHECK(write_meter_speed(&m) > 9.9e6 && write_meter_speed(&m) < 10.1e6);
	for (i = 0; i < 500; i++, now += 10000)
		write_meter_look(&m, total, false, now);
	CHECK(write_meter_speed(&m) > 9.9e6);
	/* Nobody looked for long. */
	now += 3600000000;
	write_meter_look(&m, total, true, now);
	CHECK(write_meter_speed(&m) > 9.9e6);
	/* Busy and without success. */
	for (i = 0; i < 1000; i++)
		write_meter_look(&m, total, true, now += 10000);
	CHECK(write_meter_speed(&m) < 1e5 && write_meter_speed(&m) > 0.0);
}

TEST(meter_takes_pieces_for_a_flow)
{
	WriteMeter m = {0};
	uint64_t now = 1000000;
	uint64_t total = 0;
	unsigned i;

	for (i = 1; i <= 2000; i++, now += 10000)
	{
		write_meter_look(&m, total, true, now);
		if (i % 25 == 0)
			total += 8 << 20; /* a quarter of a second's work at once: 32 MiB/s */
		if (i > 500)
			CHECK(write_meter_speed(&m) > 26 * MIB && write_meter_speed(&m) < 38 * MIB);
	}
}

/* ---- the bucket ---- */

TEST(bucket_keeps_the_rate)
{
	Bucket bucket = {0};
	uint64_t start = 5000000;
	uint64_t now = start;
	uint64_t spent = 0;

	bucket_reset(&bucket, now);
	for (; now < start + 2000000; now += 100)
	{
		bucket_refill(&bucket, 1000000, now);
		if (bucket_try(&bucket, 3000))
			spent += 3000;
	}
	CHECK(spent > 1990000 && spent < 2020000);
	/* Idle time is not saved up. */
	now += 60000000;
	bucket_refill(&bucket, 1000000, now);
	for (spent = 0; bucket_try(&bucket, 1000);)
		spent += 1000;
	CHECK(spent <= 1000000 * BUCKET_BURST_US / 1000000 + 1000);
}

TEST(bucket_serves_tickets_in_order)
{
	Bucket bucket = {0};
	uint64_t now = 5000000;
	uint64_t a, b, c;

	bucket_reset(&bucket, now);
	CHECK(bucket_try(&bucket, 50000));
	CHECK(!bucket_try(&bucket, 1));
	a = bucket_ticket(&bucket, 10000);
	b = bucket_ticket(&bucket, 20000);
	c = bucket_ticket(&bucket, 1);
	CHECK_EQ(bucket_wait_us(&bucket, a, 1000000), 50001);
	CHECK_EQ(bucket_wait_us(&bucket, b, 1000000), 60001);
	CHECK_EQ(bucket_wait_us(&bucket, c, 1000000), 80001);
	bucket_refill(&bucket, 1000000, now += 50000);
	CHECK_EQ(bucket_wait_us(&bucket, a, 1000000), 0);
	CHECK(bucket_wait_us(&bucket, b, 1000000) > 0);
	/* One that gives up makes room for those behind. */
	bucket_give_back(&bucket, 20000);
	CHECK_EQ(bucket_wait_us(&bucket, c, 1000000), 10001);
	/* At twice the rate, half the time. */
	CHECK_EQ(bucket_wait_us(&bucket, c, 2000000), 5001);
}

/* ---- the loop, closed ---- */

typedef struct Loop
{
	double drain;		 /* true speed of background work, bytes a second */
	double piece;		 /* room comes back in pieces of this size */
	double zone, room;
	double demand;		 /* what writers would write, bytes a second */
	bool credited;		 /* pieces under way count as far as they have come */
	/* results, from the fifth second on */
	double written;
	double slowest, fastest; /* bytes in any tenth of a second */
	double room_min;
} Loop;

static void
run_loop(Loop *l, unsigned seconds)
{
	WriteSignal signals[NVMKV_STALL_CAUSES] = {{1.0, 0.0}, {1.0, 0.0}, {1.0, 0.0}};
	WriteSignal *signal = &signals[NVMKV_STALL_EXTENTS];
	Bucket bucket = {0};
	WriteMeter meter = {0};
	uint64_t now = 1000000;
	uint64_t rate = 0;
	double total = l->room; /* when nothing has been written */
	double drained = 0.0, under_way = 0.0, tenth = 0.0;
	unsigned ms;

	l->slowest = 1e30;
	l->room_min = 1e30;
	for (ms = 0; ms < seconds * 1000; ms++, now += 1000)
	{
		double left = l->demand / 1000;
		NvmkvStallCause cause;

		if (ms % 2 == 0)
		{
			double running = l->credited ? under_way : 0.0;
			uint64_t before = rate;

			signal->reserve = (l->room + running) / l->zone;
			write_meter_look(&meter, (uint64_t) (drained + running), signal->reserve < 1.0, now);
			signal->drain = write_meter_speed(&meter);
			rate = write_rate(signals, &cause);
			if (before == 0 && rate != 0)
				bucket_reset(&bucket, now);
		}
		if (rate != 0)
			bucket_refill(&bucket, rate, now);
		while (left > 0 && l->room >= 4096 && (rate == 0 || bucket_try(&bucket, 4096)))
		{
			left -= 4096;
			l->room -= 4096;
			tenth += 4096;
		}
		if (l->room < total - under_way)
			under_way += l->drain / 1000;
		if (under_way >= l->piece)
		{
			under_way -= l->piece;
			l->room += l->piece;
			drained += l->piece;
		}
		if (ms >= 5000)
		{
			if (l->room < l->room_min)
				l->room_min = l->room;
			if (ms % 100 == 99)
			{
				l->written += tenth;
				if (tenth < l->slowest)
					l->slowest = tenth;
				if (tenth > l->fastest)
					l->fastest = tenth;
			}
		}
		if (ms % 100 == 99)
			tenth = 0.0;
	}
}

TEST(flood_settles_at_the_speed_of_the_drain)
{
	static const double drains[] = {2 * MIB, 30 * MIB, 200 * MIB};
	unsigned i;

	for (i = 0; i < 3; i++)
	{
		Loop l = {.drain = drains[i], .piece = 16 * MIB, .zone = 64 * MIB, .room = 256 * MIB, .demand = 1000 * MIB,
				  .credited = true};

		run_loop(&l, 65);
		CHECK(l.written > 0.95 * 60 * l.drain && l.written < 1.15 * 60 * l.drain);
		/* No swinging: every tenth of a second is near the mean. */
		CHECK(l.slowest > 0.5 * l.drain / 10);
		CHECK(l.fastest < 2.5 * l.drain / 10);
		/* Nobody was stopped. */
		CHECK(l.room_min > 0.1 * l.zone);
	}
}

/* Nobody says how far the pieces have come, and each is half the zone: writers feel it, and go on. */
TEST(a_drain_in_large_pieces_does_not_stop_writers)
{
	Loop l = {.drain = 40 * MIB, .piece = 48 * MIB, .zone = 100 * MIB, .room = 512 * MIB, .demand = 1000 * MIB};

	run_loop(&l, 65);
	if (getenv("VERBOSE") != NULL)
		fprintf(stderr, "    %g of drain, slowest %g, fastest %g, room %g\n", l.written / 60 / l.drain, l.slowest * 10 / l.drain,
				l.fastest * 10 / l.drain, l.room_min);
	CHECK(l.written > 0.9 * 60 * l.drain);
	CHECK(l.slowest > 0.02 * l.drain / 10);
	CHECK(l.room_min > 4096.0);
}

TEST(a_light_load_is_not_slowed_down)
{
	Loop l = {.drain = 40 * MIB, .piece = 16 * MIB, .zone = 64 * MIB, .room = 256 * MIB, .demand = 30 * MIB,
			  .credited = true};

	run_loop(&l, 30);
	CHECK(l.slowest > 0.9 * l.demand / 10);
}

TEST_MAIN()
