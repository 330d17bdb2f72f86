/*
 * checkpoint.c
 *	  See checkpoint.h.
 *
 * The session waits for the checkpointer, where it can be cancelled.  So a
 * timeout looks every now and then whether the barrier has tried and failed, and
 * cancels then; what comes out as a cancelled statement is told as what it is.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "fdw/ddl/checkpoint.h"
#include "fdw/host/checkpoint.h"

#define LOOK_MS 200

/* The first may have begun before there was space. */
#define FAILURES 2

static uint32 failures_before;
static volatile sig_atomic_t is_obstructed;

static void
look_for_obstacle(void)
{
	if (nvmkv_checkpoint_obstacle(NULL) == NVMKV_OK || nvmkv_checkpoint_failures() - failures_before < FAILURES)
		return;
	is_obstructed = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

static void
report_obstacle(void)
{
	const char *why;
	NvmkvStatus status = nvmkv_checkpoint_obstacle(&why);

	ereport(ERROR,
			(errcode(status == NVMKV_IO ? ERRCODE_IO_ERROR : ERRCODE_DISK_FULL),
			 errmsg("the checkpoint is not complete, because foreign tables can be neither flushed nor kept"),
			 errdetail("%s", why),
			 errhint("Make space, or put right what the message says: the checkpoint goes on by itself.")));
}

void
nvmkv_checkpoint_command(void (*step) (void *arg), void *arg)
{
	static TimeoutId timeout = MAX_TIMEOUTS; /* none yet */
	MemoryContext context = CurrentMemoryContext;

	if (timeout == MAX_TIMEOUTS)
		timeout = RegisterTimeout(USER_TIMEOUT, look_for_obstacle);
	is_obstructed = false;
	failures_before = nvmkv_checkpoint_failures();
	enable_timeout_every(timeout, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_MS), LOOK_MS);
	PG_TRY();
	{
		step(arg);
	}
	PG_CATCH();
	{
		disable_timeout(timeout, false);
		if (!is_obstructed || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		report_obstacle();
	}
	PG_END_TRY();
	disable_timeout(timeout, false);
	/* It was done when the obstacle was seen. */
	if (is_obstructed)
		QueryCancelPending = false;
}
