/*
 * outcome_test.c
 *	  The outcome record: what is settled, over segments, gaps and reopening;
 *	  what is lost, and somebody's word for it; what goes; damaged files.
 */
#include "engine/meta/outcome_file.h"

#include <stdio.h>
#include <unistd.h>

#include "engine/tree/tree.h"
#include "lib/rig.h"

#include "lib/check.h"

#define SEGMENT NVMKV_SETTLE_SEGMENT_XIDS

/* Which transactions commit in these tests. */
static bool
commits(uint64_t fxid)
{
	return (fxid * UINT64_C(0x9E3779B97F4A7C15) >> 40) % 3 == 0;
}

/* Settles up to "to", a segment at a time, by that rule. */
static void
settle_to(NvmkvDb *db, uint64_t to)
{
	static uint8_t bits[SEGMENT / 8 + 1];

	while (nvmkv_settled(db) < to)
	{
		uint64_t from = nvmkv_settled(db);
		uint64_t end = (from / SEGMENT + 1) * SEGMENT;
		uint64_t fxid;

		if (end > to)
			end = to;
		memset(bits, 0, sizeof(bits));
		for (fxid = from; fxid < end; fxid++)
			if (commits(fxid))
				bits[fxid / 8 - from / 8] |= (uint8_t) (1 << fxid % 8);
		REQUIRE_OK(nvmkv_settle_begin(db));
		CHECK_OK(nvmkv_settle_prepare(db, from, end));
		nvmkv_settle(db, from, end, bits, 0);
		nvmkv_settle_end(db);
	}
}

static void
settle_gap(NvmkvDb *db, uint64_t to)
{
	REQUIRE_OK(nvmkv_settle_begin(db));
	nvmkv_settle(db, nvmkv_settled(db), to, NULL, 0);
	nvmkv_settle_end(db);
}

static NvmkvSettled
told(NvmkvDb *db, uint64_t fxid)
{
	NvmkvSettled settled = NVMKV_SETTLED_NOT_YET;

	CHECK_OK(nvmkv_settled_outcome(db, fxid, &settled));
	return settled;
}

static void
check_range(NvmkvDb *db, uint64_t from, uint64_t to, uint64_t stride)
{
	uint64_t fxid;

	for (fxid = from; fxid < to; fxid += stride)
		CHECK_EQ(told(db, fxid), commits(fxid) ? NVMKV_SETTLED_COMMITTED : NVMKV_SETTLED_ABORTED);
}

/* An entry of transaction 1, whose outcome nobody asks for: all outcomes are kept. */
static void
keep_all(NvmkvDb *db)
{
	CHECK_OK(rig_entry(db, NVMKV_KIND_VALUE, rig_slice("keep"), 1, 0, rig_slice("x")));
	CHECK_OK(nvmkv_flush_all(db));
}

static unsigned
count_files(const Rig *rig)
{
	char command[700];
	FILE *pipe;
	unsigned n = 0;

	(void) snprintf(command, sizeof(command), "ls '%s' | grep -c xct", rig->path);
	pipe = popen(command, "r");
	if (pipe == NULL || fscanf(pipe, "%u", &n) != 1)
		n = 9999;
	if (pipe != NULL)
		(void) pclose(pipe);
	return n;
}

TEST(file_is_as_described)
{
	static uint8_t bits[OUTCOME_SEGMENT_BYTES];
	static uint8_t page[OUTCOME_PAGE_BYTES];
	const OutcomeFile file = {4711, 7, 1};
	OutcomeFile other = file;
	uint64_t number;
	uint8_t raw[8];
	char path[1200];
	PortFile *f;
	uint64_t size;
	Rig rig;

	rig_init(&rig);
	bits[3 / 8] = 1 << 3 % 8;
	CHECK_OK(outcome_file_write(rig.dir, &file, bits, 1));
	outcome_file_path(rig.dir, 7, path, sizeof(path));
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ, &f));
	CHECK_OK(port_files->size(f, &size));
	CHECK_EQ(size, 12288);
	CHECK_OK(port_files->read(f, 4096, raw, 1));
	CHECK_EQ(raw[0], 8);
	CHECK_OK(port_files->read(f, 0, raw, 8));
	CHECK(memcmp(raw, "NVMKVXCT", 8) == 0);
	port_files->close(f);
	CHECK_OK(outcome_file_read(rig.dir, &file, 0, page));
	CHECK(memcmp(page, bits, sizeof(page)) == 0);
	CHECK_OK(outcome_file_read(rig.dir, &file, 5, page));
	CHECK(page[0] == 0);
	other.segment = 2;
	CHECK_STATUS(outcome_file_read(rig.dir, &other, 0, page), NVMKV_CORRUPTION);
	other.number = 8;
	CHECK_STATUS(outcome_file_read(rig.dir, &other, 0, page), NVMKV_CORRUPTION);
	CHECK(outcome_file_parse("000007.xct", &number) && number == 7);
	CHECK(!outcome_file_parse("000007.sst", &number) && !outcome_file_parse("x.xct", &number));
	rig_remove(&rig);
}

TEST(settled_outcomes_are_told)
{
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	rig.options.first_fxid = 700;
	REQUIRE_OK(rig_open(&rig));
	CHECK_EQ(nvmkv_settled(rig.db), 700);
	CHECK_EQ(told(rig.db, 700), NVMKV_SETTLED_NOT_YET);
	keep_all(rig.db);
	settle_to(rig.db, 1003);
	settle_to(rig.db, 1004);
	settle_to(rig.db, 5000);
	check_range(rig.db, 700, 5000, 1);
	CHECK_EQ(told(rig.db, 5000), NVMKV_SETTLED_NOT_YET);
	/* It is in no file: the host's log would settle it again. */
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(nvmkv_settled(rig.db), 700);
	settle_to(rig.db, 5000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(count_files(&rig), 1);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(nvmkv_settled(rig.db), 5000);
	check_range(rig.db, 700, 5000, 1);
	settle_to(rig.db, 3 * SEGMENT + 17);
	check_range(rig.db, 700, 3 * SEGMENT + 17, 9973);
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(count_files(&rig), 4);
	check_range(rig.db, 700, 3 * SEGMENT + 17, 9973);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(settling_again_changes_nothing)
{
	static uint8_t all[200];
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	keep_all(rig.db);
	settle_to(rig.db, 1000);
	memset(all, 0xff, sizeof(all));
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	nvmkv_settle(rig.db, 10, 1000, all, 0);
	nvmkv_settle_end(rig.db);
	check_range(rig.db, 1, 1000, 1);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* Two thousand million transactions nobody has had. */
TEST(gaps_cost_nothing)
{
	const uint64_t behind = UINT64_C(2000) * SEGMENT + 12345;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	keep_all(rig.db);
	settle_to(rig.db, 1000);
	settle_gap(rig.db, behind);
	settle_to(rig.db, behind + 1000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_EQ(count_files(&rig), 2);
	REQUIRE_OK(rig_reopen(&rig));
	check_range(rig.db, 1, 1000, 1);
	CHECK_EQ(told(rig.db, 1000), NVMKV_SETTLED_ABORTED);
	CHECK_EQ(told(rig.db, behind / 2), NVMKV_SETTLED_ABORTED);
	CHECK_EQ(told(rig.db, behind - 1), NVMKV_SETTLED_ABORTED);
	check_range(rig.db, behind, behind + 1000, 1);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST(what_nobody_needs_goes)
{
	NvmkvOutcomeStats stats;
	RigTxns *txns = rig_txns_create();
	uint64_t fxid = rig_begin(txns);
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	rig_txns_use(txns, rig.db);
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice("a"), fxid, 0, rig_slice("x")));
	settle_gap(rig.db, 5);
	settle_to(rig.db, 2 * SEGMENT + 100);
	CHECK_OK(nvmkv_flush_all(rig.db));
	settle_to(rig.db, 2 * SEGMENT + 200);
	CHECK_OK(nvmkv_flush_all(rig.db));
	nvmkv_outcome_stats(rig.db, &stats);
	CHECK(stats.low <= fxid && stats.segments == 3);
	/* Its last entry is resolved; but somebody may have seen it before. */
	epoch_enter(rig.db->epochs, 5);
	rig_txns_use(txns, rig.db);
	txns->txn[fxid].state = RIG_TXN_ABORTED;
	CHECK_OK(nvmkv_compact_all(rig.db));
	settle_to(rig.db, 2 * SEGMENT + 300);
	CHECK_OK(nvmkv_flush_all(rig.db));
	settle_to(rig.db, 2 * SEGMENT + 400);
	CHECK_OK(nvmkv_flush_all(rig.db));
	nvmkv_outcome_stats(rig.db, &stats);
	CHECK(stats.low <= fxid && stats.segments == 3);
	epoch_leave(rig.db->epochs, 5);
	settle_to(rig.db, 2 * SEGMENT + 500);
	CHECK_OK(nvmkv_flush_all(rig.db));
	nvmkv_outcome_stats(rig.db, &stats);
	CHECK_EQ(stats.segments, 1);
	CHECK(stats.low > 2 * SEGMENT);
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_RECLAIM));
	CHECK_EQ(count_files(&rig), 1);
	CHECK_EQ(told(rig.db, SEGMENT), NVMKV_SETTLED_LOST); /* who asks all the same is not told anything wrong */
	rig_remove(&rig);
	rig_txns_destroy(txns);
	port_files = &port_posix_files;
}

TEST(lost_outcomes_are_somebody_s_to_decide)
{
	const uint64_t from = SEGMENT - 1000;
	const uint64_t to = SEGMENT + 1000;
	NvmkvLostOutcomes lost[4];
	uint64_t count;
	uint64_t fxid;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	keep_all(rig.db);
	settle_to(rig.db, from);
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_settle_lost(rig.db, from, to, 0));
	nvmkv_settle_end(rig.db);
	settle_to(rig.db, to + 5000);
	CHECK_EQ(told(rig.db, from), NVMKV_SETTLED_LOST);
	CHECK_EQ(told(rig.db, to - 1), NVMKV_SETTLED_LOST);
	check_range(rig.db, 1, from, 997);
	check_range(rig.db, to, to + 5000, 1);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(nvmkv_settled(rig.db), to);
	settle_to(rig.db, to + 5000);
	CHECK_EQ(nvmkv_lost_outcomes(rig.db, lost, 4), 1);
	CHECK(lost[0].from == from && lost[0].to == to);
	/* A word about others is none. */
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_set_outcome(rig.db, 1, from, true, 0, &count));
	CHECK_EQ(count, 0);
	CHECK_OK(nvmkv_set_outcome(rig.db, 1, SEGMENT + 10, true, 0, &count));
	CHECK_EQ(count, 1010);
	CHECK_OK(nvmkv_set_outcome(rig.db, SEGMENT, to + 5000, false, 0, &count));
	CHECK_EQ(count, 990);
	nvmkv_settle_end(rig.db);
	CHECK_EQ(nvmkv_lost_outcomes(rig.db, lost, 4), 0);
	for (unsigned round = 0; round < 2; round++)
	{
		for (fxid = from; fxid < to; fxid++)
			CHECK_EQ(told(rig.db, fxid), fxid < SEGMENT + 10 ? NVMKV_SETTLED_COMMITTED : NVMKV_SETTLED_ABORTED);
		check_range(rig.db, 1, from, 997);
		check_range(rig.db, to, nvmkv_settled(rig.db), 1);
		CHECK_OK(nvmkv_save_outcomes(rig.db));
		REQUIRE_OK(rig_reopen(&rig));
	}
	rig_remove(&rig);
	port_files = &port_posix_files;
}

static void
spoil(const Rig *rig, uint64_t number, uint64_t offset)
{
	uint8_t byte;
	char path[1200];
	PortFile *f;

	outcome_file_path(rig->path, number, path, sizeof(path));
	REQUIRE_OK(port_files->open(path, PORT_FILE_READ | PORT_FILE_WRITE, &f));
	CHECK_OK(port_files->read(f, offset, &byte, 1));
	byte ^= 0x10;
	CHECK_OK(port_files->write(f, offset, &byte, 1));
	port_files->close(f);
}

static uint64_t
file_of(Rig *rig, uint64_t segment)
{
	uint64_t number;

	for (number = 1; number < 100; number++)
	{
		OutcomeFile file = {rig->options.system_identifier, number, segment};
		static uint8_t page[OUTCOME_PAGE_BYTES];

		if (outcome_file_read(rig->path, &file, 0, page) == NVMKV_OK)
			return number;
	}
	return 0;
}

static void
count_problems(void *ctx, const char *where, const char *text)
{
	(void) where;
	(void) text;
	(*(unsigned *) ctx)++;
}

TEST(damage_costs_what_is_damaged)
{
	const uint64_t page_2 = 2 * OUTCOME_PAGE_XIDS;
	unsigned problems = 0;
	uint64_t first, second, count;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	keep_all(rig.db);
	settle_to(rig.db, 2 * SEGMENT + 100);
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	first = file_of(&rig, 0);
	second = file_of(&rig, 1);
	REQUIRE(first != 0 && second != 0);
	CHECK_OK(nvmkv_check(rig.db, count_problems, &problems));
	CHECK_EQ(problems, 0);
	spoil(&rig, first, OUTCOME_FILE_HEAD + 2 * OUTCOME_PAGE_BYTES + 77);
	CHECK_OK(nvmkv_check(rig.db, count_problems, &problems));
	CHECK_EQ(problems, 1);
	CHECK_EQ(told(rig.db, page_2 + 1), NVMKV_SETTLED_LOST);
	check_range(rig.db, 1, page_2, 997);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(told(rig.db, page_2 + 1), NVMKV_SETTLED_LOST);
	CHECK_EQ(told(rig.db, page_2 + OUTCOME_PAGE_XIDS - 1), NVMKV_SETTLED_LOST);
	check_range(rig.db, 1, page_2, 997);
	check_range(rig.db, page_2 + OUTCOME_PAGE_XIDS, SEGMENT, 997);
	/* The word makes the file whole. */
	REQUIRE_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_set_outcome(rig.db, 0, SEGMENT, true, 0, &count));
	nvmkv_settle_end(rig.db);
	CHECK_EQ(count, OUTCOME_PAGE_XIDS);
	CHECK_EQ(told(rig.db, page_2 + 1), NVMKV_SETTLED_COMMITTED);
	problems = 0;
	CHECK_OK(nvmkv_check(rig.db, count_problems, &problems));
	CHECK_EQ(problems, 0);
	/* A file's head, and a file. */
	spoil(&rig, second, 33);
	REQUIRE_OK(rig_reopen(&rig));
	CHECK_EQ(told(rig.db, SEGMENT), NVMKV_SETTLED_LOST);
	CHECK_EQ(told(rig.db, 2 * SEGMENT - 1), NVMKV_SETTLED_LOST);
	check_range(rig.db, 2 * SEGMENT, 2 * SEGMENT + 100, 1);
	check_range(rig.db, 1, page_2, 997);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* Files of outcomes that a copy may need stay; what they tell stays too. */
TEST(copies_keep_outcomes)
{
	uint64_t position;
	unsigned before;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	settle_to(rig.db, 1000);
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	(void) nvmkv_copy_begin(rig.db);
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	before = count_files(&rig);
	settle_to(rig.db, SEGMENT + 2000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	settle_to(rig.db, SEGMENT + 3000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_RECLAIM));
	CHECK(count_files(&rig) > before + 1);
	check_range(rig.db, 1000, SEGMENT + 3000, 997);
	nvmkv_copy_oldest(rig.db, 0);
	nvmkv_copy_release(rig.db);
	settle_to(rig.db, SEGMENT + 4000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	settle_to(rig.db, SEGMENT + 5000);
	CHECK_OK(nvmkv_flush_all(rig.db));
	CHECK_OK(rig_work(rig.db, NVMKV_WORK_RECLAIM));
	CHECK_EQ(count_files(&rig), 1);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* ---- what is not saved ---- */

typedef struct Shown
{
	struct
	{
		uint64_t from, to;
		uint8_t *bits; /* NULL: none */
	} range[4];
	unsigned count;
} Shown;

static NvmkvStatus
note_range(void *ctx, uint64_t from, uint64_t to, const uint8_t *bits)
{
	Shown *shown = ctx;
	size_t size = nvmkv_outcome_bytes(from, to);

	CHECK(from < to);
	if (shown->count == 4)
		return NVMKV_INVALID;
	shown->range[shown->count].from = from;
	shown->range[shown->count].to = to;
	shown->range[shown->count].bits = NULL;
	if (bits != NULL)
	{
		shown->range[shown->count].bits = malloc(size);
		memcpy(shown->range[shown->count].bits, bits, size);
	}
	shown->count++;
	return NVMKV_OK;
}

/* Reopens, so that what is in no file is forgotten, and settles what was shown before. */
static void
settle_shown(Rig *rig, Shown *shown)
{
	uint64_t sequence;
	unsigned i;

	CHECK_OK(nvmkv_unsaved_outcomes(rig->db, note_range, shown, &sequence));
	REQUIRE_OK(rig_reopen(rig));
	for (i = 0; i < shown->count; i++)
	{
		CHECK_EQ(nvmkv_settled(rig->db), shown->range[i].from);
		REQUIRE_OK(nvmkv_settle_begin(rig->db));
		if (shown->range[i].bits != NULL)
			CHECK_OK(nvmkv_settle_prepare(rig->db, shown->range[i].from, shown->range[i].to));
		nvmkv_settle(rig->db, shown->range[i].from, shown->range[i].to, shown->range[i].bits, 0);
		nvmkv_settle_end(rig->db);
		free(shown->range[i].bits);
	}
}

/* What is settled and in no file is shown as it may be settled again. */
TEST(what_is_not_saved_is_shown)
{
	Shown shown = {0};
	uint64_t sequence;
	Rig rig;

	port_files = &rig_quick_files;
	rig_init(&rig);
	REQUIRE_OK(rig_open(&rig));
	keep_all(rig.db);
	settle_to(rig.db, 1003);
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	CHECK_OK(nvmkv_unsaved_outcomes(rig.db, note_range, &shown, &sequence));
	CHECK_EQ(shown.count, 0);

	settle_to(rig.db, 5001);
	settle_shown(&rig, &shown);
	CHECK_EQ(shown.count, 1);
	CHECK_EQ(nvmkv_settled(rig.db), 5001);
	check_range(rig.db, 1, 5001, 1);

	/* Behind what has commits a gap into another segment. */
	settle_gap(rig.db, 3 * SEGMENT + 17);
	shown.count = 0;
	settle_shown(&rig, &shown);
	CHECK_EQ(shown.count, 2);
	CHECK_EQ(nvmkv_settled(rig.db), 3 * SEGMENT + 17);
	check_range(rig.db, 1, 5001, 1);
	CHECK_EQ(told(rig.db, 5001), NVMKV_SETTLED_ABORTED);

	/* A gap, and commits in the segment where it ends: the tail has moved on and has saved what was before. */
	settle_to(rig.db, 3 * SEGMENT + 1000);
	shown.count = 0;
	settle_shown(&rig, &shown);
	CHECK_EQ(nvmkv_settled(rig.db), 3 * SEGMENT + 1000);
	check_range(rig.db, 1, 5001, 1);
	CHECK_EQ(told(rig.db, 3 * SEGMENT + 16), NVMKV_SETTLED_ABORTED);
	check_range(rig.db, 3 * SEGMENT + 17, 3 * SEGMENT + 1000, 1);

	/* The same without anything to save before: what is shown begins before the tail. */
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	settle_gap(rig.db, 5 * SEGMENT + 17);
	settle_to(rig.db, 5 * SEGMENT + 1000);
	shown.count = 0;
	settle_shown(&rig, &shown);
	CHECK_EQ(shown.count, 2);
	CHECK_EQ(nvmkv_settled(rig.db), 5 * SEGMENT + 1000);
	CHECK_EQ(told(rig.db, 4 * SEGMENT), NVMKV_SETTLED_ABORTED);
	check_range(rig.db, 5 * SEGMENT + 17, 5 * SEGMENT + 1000, 1);
	rig_remove(&rig);
	port_files = &port_posix_files;
}

TEST_MAIN()
