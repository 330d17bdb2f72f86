/*
 * meta_test.c
 *	  Versions from edits: segments of the outcome record and what is lost of it;
 *	  what tables refer to in value tables; tables that come and go.
 */
#include "engine/meta/draft.h"

#include "lib/check.h"

/* ---- outcomes ---- */

static NvmkvStatus
set_segment(VersionDraft *draft, uint64_t segment, uint64_t file)
{
	VersionSegment one = {segment, file};
	VersionEdit edit = {.segments = &one, .nsegments = 1};

	return draft_apply(draft, &edit);
}

static NvmkvStatus
lose(VersionDraft *draft, uint64_t from, uint64_t to)
{
	VersionXids xids = {from, to};
	VersionEdit edit = {.lost = &xids, .nlost = 1};

	return draft_apply(draft, &edit);
}

static NvmkvStatus
find(VersionDraft *draft, uint64_t from, uint64_t to)
{
	VersionXids xids = {from, to};
	VersionEdit edit = {.found = &xids, .nfound = 1};

	return draft_apply(draft, &edit);
}

static VersionImage *
image_of(VersionDraft *draft)
{
	VersionImage *image = malloc(draft_image_bytes(draft));

	if (image != NULL)
		draft_write_image(draft, 1, image);
	return image;
}

TEST(segments_have_one_file_each)
{
	VersionDraft draft;
	VersionImage *image;

	draft_init(&draft);
	CHECK_OK(set_segment(&draft, 7, 1));
	CHECK_OK(set_segment(&draft, 3, 2));
	CHECK_OK(set_segment(&draft, 5, 3));
	CHECK_OK(set_segment(&draft, 7, 4));
	CHECK_OK(set_segment(&draft, 5, 0));
	CHECK_STATUS(set_segment(&draft, 5, 0), NVMKV_CORRUPTION);
	CHECK_OK(draft_finish(&draft));
	image = image_of(&draft);
	REQUIRE(image != NULL && image->nsegments == 2);
	CHECK(version_outcome_file(image, 3) == 2);
	CHECK(version_outcome_file(image, 5) == 0);
	CHECK(version_outcome_file(image, 7) == 4);
	CHECK(version_outcome_file(image, 8) == 0);
	free(image);
	draft_free(&draft);
}

/* Against a plain list of what is lost. */
TEST(lost_ranges_are_a_set)
{
	bool lost[64] = {false};
	unsigned step;
	uint64_t random = 1;
	VersionDraft draft;

	draft_init(&draft);
	for (step = 0; step < 2000; step++)
	{
		VersionImage *image;
		uint64_t from, to, i;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		from = (random >> 33) % 60;
		to = from + 1 + (random >> 40) % (63 - from);
		CHECK_OK((random >> 60) % 2 == 0 ? lose(&draft, from, to) : find(&draft, from, to));
		for (i = from; i < to; i++)
			lost[i] = (random >> 60) % 2 == 0;
		CHECK_OK(draft_finish(&draft));
		image = image_of(&draft);
		REQUIRE(image != NULL);
		for (i = 0; i < 64; i++)
			CHECK(version_outcome_is_lost(image, i) == lost[i]);
		for (i = 1; i < image->nunknown; i++)
			CHECK(version_unknown(image)[i - 1].to < version_unknown(image)[i].from);
		free(image);
	}
	draft_free(&draft);
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

/* What a newer version may write into a MANIFEST; this one says what to do. */
TEST(edits_of_a_newer_format_are_refused)
{
	uint8_t system[] = {1, EDIT_FORMAT + 1, 1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t unknown[] = {127, 1};
	MetaArena arena = {0};
	VersionEdit edit;

	CHECK_STATUS(edit_decode(nvmkv_slice(system, sizeof(system)), &arena, &edit), NVMKV_VERSION);
	CHECK(strstr(nvmkv_error()->text, "use the version that wrote it, or a newer one") != NULL);
	system[1] = EDIT_FORMAT;
	CHECK_OK(edit_decode(nvmkv_slice(system, sizeof(system)), &arena, &edit));
	CHECK_STATUS(edit_decode(nvmkv_slice(unknown, sizeof(unknown)), &arena, &edit), NVMKV_VERSION);
	CHECK(strstr(nvmkv_error()->text, "use the version that wrote it, or a newer one") != NULL);
	meta_arena_free(&arena);
}

/* Edits of processes beside each other may be applied in either order. */
TEST(next_numbers_only_go_up)
{
	VersionDraft draft;
	VersionEdit edit = {.has_next_file = true, .next_file = 40, .has_next_row = true, .next_row = 30};

	draft_init(&draft);
	CHECK_OK(draft_apply(&draft, &edit));
	edit.next_file = 39;
	edit.next_row = 29;
	CHECK_OK(draft_apply(&draft, &edit));
	CHECK_EQ(draft.next_file, 40);
	CHECK_EQ(draft.next_row, 30);
	draft_free(&draft);
}

/* What an edit says that cannot be is refused, and what was durable stays so. */
TEST(edits_that_cannot_be)
{
	VersionDraft draft;
	VersionEdit edit = {.has_durable = true, .durable_seq = 100};
	MetaRow row = {.row_id = 1, .entries = 10, .extent_count = 3, .first_extent_live = 1};
	MetaRowAdvance advance = {.row_id = 1, .first_live = 5, .first_extent_live = 2};
	MetaFile files[3] = {{.number = 1, .level = 1, .bytes = 10}, {.number = 2, .level = 1, .bytes = 10},
						 {.number = 3, .level = VERSION_VALUES, .bytes = 10, .value_bytes = 5}};
	MetaFileDrop drop = {.level = VERSION_VALUES, .number = 3};

	draft_init(&draft);
	CHECK_OK(draft_apply(&draft, &edit));
	edit.durable_seq = 90;
	CHECK_OK(draft_apply(&draft, &edit));
	CHECK_EQ(draft.durable_seq, 100);

	edit = (VersionEdit){.has_settled = true, .settled = 50};
	CHECK_OK(draft_apply(&draft, &edit));
	edit.settled = 49;
	CHECK_STATUS(draft_apply(&draft, &edit), NVMKV_CORRUPTION);

	/* A row is drained forwards only, and has something left. */
	edit = (VersionEdit){.row_adds = &row, .nrow_adds = 1};
	CHECK_OK(draft_apply(&draft, &edit));
	edit = (VersionEdit){.row_advances = &advance, .nrow_advances = 1};
	CHECK_OK(draft_apply(&draft, &edit));
	advance.first_live = 4;
	CHECK_STATUS(draft_apply(&draft, &edit), NVMKV_CORRUPTION);
	advance.first_live = 10;
	CHECK_STATUS(draft_apply(&draft, &edit), NVMKV_CORRUPTION);
	advance.first_live = 9;
	advance.first_extent_live = 1;
	CHECK_STATUS(draft_apply(&draft, &edit), NVMKV_CORRUPTION);
	draft_free(&draft);

	/* Two tables of a level have no key in common; one of values goes when nothing refers to it. */
	draft_init(&draft);
	files[0].smallest = nvmkv_slice("a", 1);
	files[0].largest = files[1].smallest = nvmkv_slice("b", 1);
	files[1].largest = nvmkv_slice("c", 1);
	edit = (VersionEdit){.file_adds = files, .nfile_adds = 2};
	CHECK_OK(draft_apply(&draft, &edit));
	CHECK_STATUS(draft_finish(&draft), NVMKV_CORRUPTION);
	edit = (VersionEdit){.file_adds = files + 2, .nfile_adds = 1};
	CHECK_OK(draft_apply(&draft, &edit));
	edit = (VersionEdit){.file_drops = &drop, .nfile_drops = 1};
	CHECK_STATUS(draft_apply(&draft, &edit), NVMKV_CORRUPTION);
	draft_free(&draft);
}

TEST_MAIN()
