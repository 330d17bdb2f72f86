/*
 * meta_test.c
 *	  Versions from edits: outcomes of transactions, which are kept, and how
 *	  many; what tables refer to in value tables; tables that come and go.
 */
#include "engine/meta/draft.h"

#include "lib/check.h"

/* A table whose unresolved entries start with this transaction: outcomes from it on are needed. */
static NvmkvStatus
add_table(VersionDraft *draft, uint64_t number, uint64_t min_unresolved_fxid)
{
	MetaFile file = {
		.number = number, .bytes = 1, .entries = 1, .min_unresolved_fxid = min_unresolved_fxid, .level = 1};
	VersionEdit edit = {.file_adds = &file, .nfile_adds = 1};

	file.smallest = nvmkv_slice("a", 1);
	file.largest = nvmkv_slice("b", 1);
	return draft_apply(draft, &edit);
}

static NvmkvStatus
add_outcomes(VersionDraft *draft, const MetaOutcome *outcomes, uint32_t count)
{
	VersionEdit edit = {.outcomes = outcomes, .noutcomes = count};

	return draft_apply(draft, &edit);
}

TEST(an_outcome_replaces_what_was_not_known)
{
	MetaOutcome outcomes[] = {{9, VERSION_OUTCOME_RUNNING},
							  {7, VERSION_OUTCOME_RUNNING},
							  {9, VERSION_OUTCOME_COMMITTED},
							  {5, VERSION_OUTCOME_ABORTED},
							  {9, VERSION_OUTCOME_RUNNING}};
	VersionDraft draft;

	draft_init(&draft);
	CHECK_OK(add_table(&draft, 1, 6));
	CHECK_OK(add_outcomes(&draft, outcomes, 5));
	CHECK_OK(draft_finish(&draft));
	REQUIRE(draft.noutcomes == 2); /* nothing refers to 5 */
	CHECK(draft.outcomes[0].fxid == 7 && draft.outcomes[0].state == VERSION_OUTCOME_RUNNING);
	CHECK(draft.outcomes[1].fxid == 9 && draft.outcomes[1].state == VERSION_OUTCOME_COMMITTED);
	draft_free(&draft);
}

/* Many subtransactions of one long transaction must not make the version larger than its slot. */
TEST(outcomes_are_bounded)
{
	const uint32_t count = VERSION_OUTCOMES_MAX + 5000;
	MetaOutcome *outcomes = malloc(count * sizeof(MetaOutcome));
	VersionDraft draft;
	uint32_t known = 0;
	uint32_t i;

	REQUIRE(outcomes != NULL);
	for (i = 0; i < count; i++)
	{
		outcomes[i].fxid = 100 + (uint64_t) i * 13 % count;
		outcomes[i].state = outcomes[i].fxid % 100 == 0 ? VERSION_OUTCOME_COMMITTED : VERSION_OUTCOME_RUNNING;
	}
	draft_init(&draft);
	CHECK_OK(add_table(&draft, 1, 100));
	CHECK_OK(add_outcomes(&draft, outcomes, count));
	CHECK_OK(draft_finish(&draft));
	CHECK(draft.noutcomes == VERSION_OUTCOMES_MAX);
	for (i = 0; i < draft.noutcomes; i++)
	{
		CHECK(i == 0 || draft.outcomes[i - 1].fxid < draft.outcomes[i].fxid);
		known += draft.outcomes[i].state == VERSION_OUTCOME_COMMITTED;
	}
	CHECK(known == (count + 99) / 100); /* what is known stays */
	CHECK(draft.outcomes[0].fxid == 100 && draft.outcomes[60000].fxid == 60100); /* the oldest stay */
	draft_free(&draft);
	free(outcomes);
}

/* ---- values apart ---- */

/* A table, or a value table: of 1000 bytes, of which so many are referred to. */
static NvmkvStatus
add_values(VersionDraft *draft, uint64_t number, uint32_t level, uint64_t value_bytes)
{
	MetaFile file = {.number = number, .bytes = 1000, .entries = 1, .level = level, .value_bytes = value_bytes};
	VersionEdit edit = {.file_adds = &file, .nfile_adds = 1};

	file.smallest = nvmkv_slice("a", 1);
	file.largest = nvmkv_slice("b", 1);
	return draft_apply(draft, &edit);
}

static NvmkvStatus
drop_table(VersionDraft *draft, uint64_t number, uint32_t level)
{
	MetaFileDrop drop = {.level = level, .number = number};
	VersionEdit edit = {.file_drops = &drop, .nfile_drops = 1};

	return draft_apply(draft, &edit);
}

static NvmkvStatus
release(VersionDraft *draft, uint64_t number, uint64_t bytes)
{
	ValueShare share = {.number = number, .bytes = bytes};
	VersionEdit edit = {.value_releases = &share, .nvalue_releases = 1};

	return draft_apply(draft, &edit);
}

/* Table 1 refers to 400 bytes of value table 2 and 200 of value table 3. */
static void
make_values(VersionDraft *draft)
{
	draft_init(draft);
	CHECK_OK(add_values(draft, 3, VERSION_VALUES, 200));
	CHECK_OK(add_values(draft, 1, 1, 600));
	CHECK_OK(add_values(draft, 2, VERSION_VALUES, 400));
	CHECK_OK(draft_finish(draft));
}

TEST(values_are_released_and_dropped)
{
	VersionDraft draft;
	VersionImage *v;

	make_values(&draft);
	CHECK_OK(drop_table(&draft, 1, 1));
	CHECK_OK(add_values(&draft, 4, 1, 300));
	CHECK_OK(release(&draft, 2, 100));
	CHECK_OK(release(&draft, 3, 200));
	REQUIRE_OK(draft_finish(&draft));
	v = calloc(1, draft_image_bytes(&draft));
	REQUIRE(v != NULL);
	draft_write_image(&draft, 1, v);
	CHECK_EQ(v->nfiles, 3);
	CHECK_EQ(version_ntables(v), 1);
	CHECK_EQ(v->ndead, 1);
	CHECK_EQ(v->level_value_bytes[1], 300);
	CHECK_EQ(v->level_value_bytes[VERSION_VALUES], 300);
	CHECK_EQ(version_level_size(v, 1), 1300);
	CHECK_EQ(v->level_bytes[1], 1000);
	CHECK_EQ(v->level_bytes[VERSION_VALUES], 2000);
	REQUIRE(version_find_values(v, 2) != NULL && version_find_values(v, 3) != NULL);
	CHECK_EQ(version_find_values(v, 2)->value_bytes, 300);
	CHECK_EQ(version_find_values(v, 2)->released_bytes, 100);
	CHECK_EQ(version_find_values(v, 3)->released_bytes, 200);
	CHECK(version_find_values(v, 1) == NULL && version_find_values(v, 4) == NULL && version_find_values(v, 5) == NULL);
	CHECK_OK(drop_table(&draft, 3, VERSION_VALUES));
	CHECK_OK(draft_finish(&draft));
	free(v);
	draft_free(&draft);
}

#define MANY 3000

/* Many tables come and go, in many edits: what is there is found, and nothing else. */
TEST(many_tables)
{
	static bool there[MANY + 1];
	VersionDraft draft;
	VersionImage *v;
	uint64_t *numbers;
	uint32_t count = 0;
	uint32_t i, round;

	memset(there, 0, sizeof(there));
	draft_init(&draft);
	for (round = 0; round < 5 * MANY && check_failures == 0; round++)
	{
		uint32_t number = 1 + (uint32_t) check_random_below(MANY);

		if (there[number])
		{
			CHECK_STATUS(add_values(&draft, number, 0, 0), NVMKV_CORRUPTION);
			if (round % 3 == 0)
				continue;
			CHECK_OK(drop_table(&draft, number, 0));
			CHECK_STATUS(drop_table(&draft, number, 0), NVMKV_CORRUPTION);
		}
		else
		{
			CHECK_STATUS(drop_table(&draft, number, 0), NVMKV_CORRUPTION);
			CHECK_OK(add_values(&draft, number, 0, 0));
		}
		count = there[number] ? count - 1 : count + 1;
		there[number] = !there[number];
		CHECK_EQ(draft.nfiles, count);
		/* The order changes in between. */
		if (round % 1000 == 999)
			CHECK_OK(draft_finish(&draft));
	}
	CHECK_OK(draft_finish(&draft));
	v = calloc(1, draft_image_bytes(&draft));
	REQUIRE(v != NULL);
	draft_write_image(&draft, 1, v);
	draft_free(&draft);
	numbers = version_file_numbers(v);
	REQUIRE(numbers != NULL);
	for (i = 0; i <= MANY; i++)
		CHECK_EQ(version_numbers_have(numbers, v->nfiles, i), there[i]);
	for (i = 1; i < v->nfiles; i++)
		CHECK(version_files(v)[i - 1].number > version_files(v)[i].number);
	port_free(numbers);
	/* And on from an image. */
	draft_init(&draft);
	CHECK_OK(draft_from_image(&draft, v));
	for (i = 1; i <= MANY; i++)
		if (there[i])
			CHECK_OK(drop_table(&draft, i, 0));
	CHECK_EQ(draft.nfiles, 0);
	draft_free(&draft);
	free(v);
}

TEST(wrong_accounts_of_values_are_refused)
{
	VersionDraft draft;

	/* More than there is, of what is not there, of a table that has no values. */
	make_values(&draft);
	CHECK_STATUS(release(&draft, 2, 401), NVMKV_CORRUPTION);
	CHECK_STATUS(release(&draft, 7, 1), NVMKV_CORRUPTION);
	CHECK_STATUS(release(&draft, 1, 1), NVMKV_CORRUPTION);
	/* In use; another's level. */
	CHECK_STATUS(drop_table(&draft, 2, VERSION_VALUES), NVMKV_CORRUPTION);
	CHECK_STATUS(drop_table(&draft, 2, 1), NVMKV_CORRUPTION);
	CHECK_STATUS(drop_table(&draft, 1, VERSION_VALUES), NVMKV_CORRUPTION);
	CHECK_OK(draft_finish(&draft));
	/* Released, and still referred to. */
	CHECK_OK(release(&draft, 2, 1));
	CHECK_STATUS(draft_finish(&draft), NVMKV_CORRUPTION);
	draft_free(&draft);

	/* Gone, and nothing released. */
	make_values(&draft);
	CHECK_OK(drop_table(&draft, 1, 1));
	CHECK_STATUS(draft_finish(&draft), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "600") != NULL);
	draft_free(&draft);

	/* More values than the file has bytes; and with those that are released. */
	draft_init(&draft);
	CHECK_OK(add_values(&draft, 1, 1, 1001));
	CHECK_OK(add_values(&draft, 2, VERSION_VALUES, 1001));
	CHECK_STATUS(draft_finish(&draft), NVMKV_CORRUPTION);
	draft_free(&draft);
	draft_init(&draft);
	CHECK_OK(add_values(&draft, 1, 1, 600));
	CHECK_OK(add_values(&draft, 2, VERSION_VALUES, 600));
	draft.files[1].released_bytes = 401;
	CHECK_STATUS(draft_finish(&draft), NVMKV_CORRUPTION);
	draft.files[1].released_bytes = 400;
	CHECK_OK(draft_finish(&draft));
	draft_free(&draft);
}

TEST(edits_keep_what_is_said_of_values)
{
	ValueShare shares[2] = {{5, 100}, {UINT64_MAX, UINT64_MAX}};
	MetaFile file = {.number = 9, .bytes = 5000, .entries = 3, .level = VERSION_VALUES, .value_bytes = 300,
					 .released_bytes = 70000};
	MetaFileDrop drop = {.level = VERSION_VALUES, .number = 8};
	VersionEdit edit = {.file_adds = &file, .nfile_adds = 1, .file_drops = &drop, .nfile_drops = 1,
						.value_releases = shares, .nvalue_releases = 2};
	MetaArena arena = {0};
	NvmkvBuf bytes = {0};
	VersionEdit again;
	size_t size;

	file.smallest = nvmkv_slice("a", 1);
	file.largest = nvmkv_slice("b", 1);
	CHECK_OK(edit_encode(&edit, &bytes));
	REQUIRE_OK(edit_decode(nvmkv_buf_slice(&bytes), &arena, &again));
	REQUIRE(again.nfile_adds == 1 && again.nfile_drops == 1 && again.nvalue_releases == 2);
	CHECK(again.file_adds[0].level == VERSION_VALUES && again.file_drops[0].level == VERSION_VALUES);
	CHECK_EQ(again.file_adds[0].value_bytes, 300);
	CHECK_EQ(again.file_adds[0].released_bytes, 70000);
	CHECK(memcmp(again.value_releases, shares, sizeof(shares)) == 0);
	/* Cut short, the last field is malformed. */
	for (size = bytes.size - 1; size > bytes.size - 20; size--)
		CHECK_STATUS(edit_decode(nvmkv_slice(bytes.data, size), &arena, &again), NVMKV_CORRUPTION);
	/* No level is beyond that of the value tables. */
	file.level = VERSION_VALUES + 1;
	bytes.size = 0;
	CHECK_OK(edit_encode(&edit, &bytes));
	CHECK_STATUS(edit_decode(nvmkv_buf_slice(&bytes), &arena, &again), NVMKV_CORRUPTION);
	nvmkv_buf_free(&bytes);
	meta_arena_free(&arena);
}

TEST_MAIN()
