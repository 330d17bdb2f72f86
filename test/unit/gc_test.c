/*
 * gc_test.c
 *	  What flush and compaction keep, freeze and drop of a key's versions: the
 *	  rules one by one.
 */
#include "lib/check.h"

#include "engine/base/ikey.h"
#include "engine/job/gc.h"

/* Transactions 1 to 9 run, 10 to 19 have failed, others have committed.  All see those below HORIZON. */
#define HORIZON 50

static NvmkvOutcome
outcome(void *ctx, uint64_t fxid)
{
	(void) ctx;
	return fxid < 10 ? NVMKV_OUTCOME_RUNNING : fxid < 20 ? NVMKV_OUTCOME_ABORTED : NVMKV_OUTCOME_COMMITTED;
}

static uint64_t
horizon(void *ctx)
{
	(void) ctx;
	return HORIZON;
}

static const NvmkvTxnOps ops = {NULL, NULL, outcome, horizon};

/* Storages whose last byte is 'd' are dropped. */
static NvmkvStatus
is_dropped(void *ctx, NvmkvSlice storage, bool *dropped_out)
{
	unsigned *asked = ctx;

	(*asked)++;
	*dropped_out = storage.data[storage.size - 1] == 'd';
	return NVMKV_OK;
}

static bool says_elsewhere;

static NvmkvStatus
is_elsewhere(void *ctx, NvmkvSlice storage, bool *elsewhere_out)
{
	(void) ctx;
	(void) storage;
	*elsewhere_out = says_elsewhere;
	return NVMKV_OK;
}

static bool
is_needed(void *ctx, NvmkvSlice key, uint64_t sequence)
{
	(void) ctx;
	(void) sequence;
	return key.data[key.size - 1] == 'n';
}

static unsigned asked;
static GcFilter gc;

static void
begin(bool bottom)
{
	asked = 0;
	gc_free(&gc);
	gc_init(&gc, &ops, bottom, is_dropped, &asked);
}

/* One version; what becomes of it: its type byte, or -1 when it is dropped. */
static int
next(const char *key, uint64_t sequence, unsigned type, uint64_t fxid)
{
	uint8_t payload[NVMKV_TXN_TAG_BYTES + 1] = {0};
	uint64_t tag = ikey_tag(sequence, type);
	NvmkvSlice whole = nvmkv_slice(payload, (type & NVMKV_TYPE_TAGGED_BIT) != 0 ? sizeof(payload) : 1);
	bool keep;

	put_u64(payload, fxid);
	CHECK_OK(gc_next(&gc, nvmkv_slice(key, strlen(key)), &tag, &whole, &keep));
	if (!keep)
		return -1;
	CHECK_EQ(whole.size, ikey_is_tagged(tag) ? sizeof(payload) : 1);
	CHECK_EQ(ikey_sequence(tag), sequence);
	return (int) ikey_type(tag);
}

TEST(outcomes_decide)
{
	begin(false);
	/* Of one that runs everything stays; of one that failed nothing. */
	CHECK_EQ(next("a", 90, NVMKV_TYPE_TAGGED_VALUE, 1), NVMKV_TYPE_TAGGED_VALUE);
	CHECK_EQ(next("a", 80, NVMKV_TYPE_TAGGED_VALUE, 11), -1);
	/* Somebody may not see these yet, and so needs what is older. */
	CHECK_EQ(next("a", 70, NVMKV_TYPE_TAGGED_VALUE, 60), NVMKV_TYPE_COMMITTED_VALUE);
	CHECK_EQ(next("a", 60, NVMKV_TYPE_COMMITTED_VALUE, 61), NVMKV_TYPE_COMMITTED_VALUE);
	CHECK_EQ(next("a", 50, NVMKV_TYPE_COMMITTED_VALUE, HORIZON), NVMKV_TYPE_COMMITTED_VALUE);
	/* This one everybody sees: it loses its tag, and what is older goes. */
	CHECK_EQ(next("a", 40, NVMKV_TYPE_TAGGED_VALUE, HORIZON - 1), NVMKV_TYPE_VALUE);
	CHECK_EQ(next("a", 30, NVMKV_TYPE_VALUE, 0), -1);
	CHECK_EQ(next("a", 20, NVMKV_TYPE_TAGGED_VALUE, 1), -1);
	CHECK_EQ(next("b", 10, NVMKV_TYPE_COMMITTED_DELETION, 20), NVMKV_TYPE_DELETION);
	CHECK_EQ(next("c", 10, NVMKV_TYPE_TAGGED_VALUE, HORIZON), NVMKV_TYPE_COMMITTED_VALUE);
	CHECK_EQ(next("c", 9, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	CHECK_EQ(gc.frozen, 2);
	CHECK_EQ(gc.dropped_aborted, 1);
	gc_free(&gc);
}

TEST(locks_last_as_long_as_their_transactions)
{
	begin(false);
	CHECK_EQ(next("a", 90, NVMKV_TYPE_TAGGED_LOCK, 1), NVMKV_TYPE_TAGGED_LOCK);
	CHECK_EQ(next("a", 80, NVMKV_TYPE_TAGGED_LOCK, 11), -1);
	/* One whose transaction somebody does not see yet tells him how it had locked the row. */
	CHECK_EQ(next("a", 70, NVMKV_TYPE_TAGGED_LOCK, 60), NVMKV_TYPE_TAGGED_LOCK);
	CHECK_EQ(next("a", 60, NVMKV_TYPE_TAGGED_LOCK, 30), -1);
	/* None of them hides the row. */
	CHECK_EQ(next("a", 50, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	gc_free(&gc);
}

/* A replay may have put the same write into two sources. */
TEST(repetitions_go)
{
	begin(false);
	CHECK_EQ(next("a", 90, NVMKV_TYPE_TAGGED_VALUE, 1), NVMKV_TYPE_TAGGED_VALUE);
	CHECK_EQ(next("a", 90, NVMKV_TYPE_TAGGED_VALUE, 1), -1);
	CHECK_EQ(next("b", 90, NVMKV_TYPE_TAGGED_VALUE, 1), NVMKV_TYPE_TAGGED_VALUE);
	gc_free(&gc);
}

TEST(deletions_go_at_the_bottom)
{
	begin(false);
	CHECK_EQ(next("a", 90, NVMKV_TYPE_DELETION, 0), NVMKV_TYPE_DELETION);
	CHECK_EQ(next("a", 80, NVMKV_TYPE_VALUE, 0), -1);
	begin(true);
	CHECK_EQ(next("a", 90, NVMKV_TYPE_DELETION, 0), -1);
	CHECK_EQ(next("a", 80, NVMKV_TYPE_VALUE, 0), -1);
	/* Not one that somebody may not see. */
	CHECK_EQ(next("b", 90, NVMKV_TYPE_TAGGED_DELETION, 60), NVMKV_TYPE_COMMITTED_DELETION);
	CHECK_EQ(next("b", 80, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	/* Nor one that tells that the key is not there, rather than lost. */
	gc.needed = is_needed;
	CHECK_EQ(next("n", 90, NVMKV_TYPE_DELETION, 0), NVMKV_TYPE_DELETION);
	CHECK_EQ(next("o", 90, NVMKV_TYPE_DELETION, 0), -1);
	gc_free(&gc);
}

TEST(dropped_storages_go)
{
	begin(false);
	gc.elsewhere = is_elsewhere;
	says_elsewhere = true;
	CHECK_EQ(next("1234567c", 90, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	CHECK_EQ(next("1234567cx", 90, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	/* The entry that says it stays for as long as anything of the storage is elsewhere. */
	CHECK_EQ(next("1234567d", 90, NVMKV_TYPE_RANGE_DELETION, 0), NVMKV_TYPE_RANGE_DELETION);
	CHECK_EQ(next("1234567dx", 80, NVMKV_TYPE_VALUE, 0), -1);
	CHECK_EQ(next("1234567dy", 70, NVMKV_TYPE_TAGGED_VALUE, 1), -1);
	CHECK_EQ(next("1234567ex", 90, NVMKV_TYPE_VALUE, 0), NVMKV_TYPE_VALUE);
	CHECK_EQ(asked, 3);
	begin(false);
	gc.elsewhere = is_elsewhere;
	says_elsewhere = false;
	CHECK_EQ(next("1234567d", 90, NVMKV_TYPE_RANGE_DELETION, 0), -1);
	gc_free(&gc);
}

TEST_MAIN()
