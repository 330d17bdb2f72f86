/*
 * edit_fuzz.c
 *	  Input: version edits, each behind its length (u16).  They are folded as
 *	  recovery folds a MANIFEST.  A state that is accepted becomes an image, and
 *	  that, as one edit, the same image again.
 */
#include <string.h>

#include "engine/meta/draft.h"
#include "fuzz/fuzz.h"

#define EDITS_MAX 64

static VersionImage *
image_of(const VersionDraft *draft)
{
	VersionImage *image = malloc((size_t) draft_image_bytes(draft));

	FUZZ_REQUIRE(image != NULL);
	memset(image, 0, (size_t) draft_image_bytes(draft));
	draft_write_image(draft, 1, image);
	FUZZ_REQUIRE(image->bytes == draft_image_bytes(draft));
	return image;
}

/* What tables refer to is what value tables have, and the dead are counted. */
static void
check_values(const VersionImage *image)
{
	const VersionFile *files = version_files(image);
	uint64_t referred = 0;
	uint64_t stored = 0;
	uint32_t dead = 0;
	uint32_t i;

	for (i = 0; i < image->nfiles; i++)
		if (i < version_ntables(image))
			referred += files[i].value_bytes;
		else
		{
			FUZZ_REQUIRE(files[i].level == VERSION_VALUES);
			FUZZ_REQUIRE(files[i].value_bytes <= files[i].bytes);
			FUZZ_REQUIRE(files[i].released_bytes <= files[i].bytes - files[i].value_bytes);
			stored += files[i].value_bytes;
			dead += files[i].value_bytes == 0;
		}
	FUZZ_REQUIRE(referred == stored && stored == image->level_value_bytes[VERSION_VALUES] && dead == image->ndead);
}

/* The lists an image describes, byte by byte. */
static void
touch_image(const VersionImage *image)
{
	uint32_t i;

	FUZZ_REQUIRE(image->level_start[VERSION_GROUPS] == image->nfiles);
	for (i = 0; i < image->nrows; i++)
	{
		NvmRowRef ref = version_row_ref(image, &image->rows[i]);

		fuzz_touch(nvmkv_slice(ref.extents, ref.extent_count * sizeof(uint32_t)));
		fuzz_touch(version_bytes(image, image->rows[i].smallest));
		fuzz_touch(version_bytes(image, image->rows[i].largest));
	}
	for (i = 0; i < image->nfiles; i++)
	{
		const VersionFile *file = &version_files(image)[i];
		NvmkvSlice key = version_bytes(image, file->largest);
		unsigned level;

		fuzz_touch(version_bytes(image, file->smallest));
		fuzz_touch(key);
		for (level = 1; level < VERSION_LEVELS; level++)
			FUZZ_REQUIRE(version_find_file(image, level, key) <= image->level_start[level + 1]);
		FUZZ_REQUIRE(version_find_values(image, file->number) == (i < version_ntables(image) ? NULL : file));
	}
	check_values(image);
	FUZZ_REQUIRE(image->ndamages <= VERSION_DAMAGES_MAX);
	for (i = 0; i < image->ndamages; i++)
	{
		const VersionDamage *damage = &version_damages(image)[i];
		NvmkvSlice low = version_bytes(image, damage->low);

		fuzz_touch(low);
		fuzz_touch(version_bytes(image, damage->upper));
		FUZZ_REQUIRE(slice_compare(low, version_bytes(image, damage->upper)) < 0);
		FUZZ_REQUIRE(i == 0 || slice_compare(version_bytes(image, damage[-1].low), low) <= 0);
		FUZZ_REQUIRE(version_damage_at(image, low)->max_sequence >= damage->max_sequence);
		FUZZ_REQUIRE(version_damage_from(image, low) <= i);
		FUZZ_REQUIRE(damage->kind == VERSION_DAMAGE_ROW || version_damage_names(image, damage->source));
	}
	for (i = 0; i < image->nsegments; i++)
	{
		const VersionSegment *segment = &version_segments(image)[i];

		FUZZ_REQUIRE(version_outcome_file(image, segment->segment) == segment->file);
	}
	for (i = 0; i < image->nunknown; i++)
	{
		const VersionXids *lost = &version_unknown(image)[i];

		FUZZ_REQUIRE(lost->from < lost->to && (i == 0 || lost[-1].to < lost->from));
		FUZZ_REQUIRE(version_outcome_is_lost(image, lost->from) && version_outcome_is_lost(image, lost->to - 1));
		FUZZ_REQUIRE(!version_outcome_is_lost(image, lost->to));
	}
	(void) version_role_bytes(image, VERSION_RECEIVER);
	(void) version_min_unresolved(image);
}

static void
check_round_trip(const VersionDraft *draft)
{
	VersionImage *image = image_of(draft);
	VersionImage *same;
	MetaArena arena = {0};
	VersionDraft again;
	VersionEdit edit;
	NvmkvBuf bytes = {0};

	touch_image(image);
	FUZZ_OK(draft_snapshot_edit(draft, &arena, &edit));
	FUZZ_OK(edit_encode(&edit, &bytes));
	FUZZ_OK(edit_decode(nvmkv_buf_slice(&bytes), &arena, &edit));
	draft_init(&again);
	FUZZ_OK(draft_apply(&again, &edit));
	FUZZ_OK(draft_finish(&again));
	same = image_of(&again);
	FUZZ_REQUIRE(same->bytes == image->bytes && memcmp(same, image, (size_t) image->bytes) == 0);
	free(same);
	draft_free(&again);

	draft_init(&again);
	FUZZ_OK(draft_from_image(&again, image));
	FUZZ_OK(draft_finish(&again));
	same = image_of(&again);
	FUZZ_REQUIRE(same->bytes == image->bytes && memcmp(same, image, (size_t) image->bytes) == 0);
	free(same);
	draft_free(&again);

	free(image);
	nvmkv_buf_free(&bytes);
	meta_arena_free(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FuzzInput in = {data, size};
	MetaArena arena = {0};
	VersionDraft draft;
	NvmkvStatus status = NVMKV_OK;
	unsigned i;

	draft_init(&draft);
	for (i = 0; i < EDITS_MAX && in.left > 0 && status == NVMKV_OK; i++)
	{
		size_t length = fuzz_u16(&in);
		VersionEdit edit;

		status = edit_decode(fuzz_bytes(&in, length), &arena, &edit);
		if (status == NVMKV_OK)
			status = draft_apply(&draft, &edit);
	}
	if (status == NVMKV_OK)
		status = draft_finish(&draft);
	if (status == NVMKV_OK)
		check_round_trip(&draft);
	draft_free(&draft);
	meta_arena_free(&arena);
	return 0;
}

/* ---- seeds ---- */

static void
append_edit(NvmkvBuf *seed, const VersionEdit *edit)
{
	NvmkvBuf bytes = {0};
	uint8_t length[2];

	FUZZ_OK(edit_encode(edit, &bytes));
	put_u16(length, (uint16_t) bytes.size);
	FUZZ_OK(nvmkv_buf_append(seed, length, sizeof(length)));
	FUZZ_OK(nvmkv_buf_append(seed, bytes.data, bytes.size));
	fuzz_seed(seed->data, seed->size);
	nvmkv_buf_free(&bytes);
}

void
fuzz_seeds(void)
{
	static const uint32_t extents[] = {3, 4, 9};
	static const uint64_t drop = 1;
	MetaRow rows[2] = {{0}, {0}};
	MetaFile files[2] = {{0}, {0}};
	MetaRowAdvance advance = {2, 50, 500, 2};
	MetaRowRole role = {1, VERSION_COMPACTOR};
	MetaFileDrop file_drop = {1, 10};
	MetaFile values[2];
	const MetaFileDrop refer_drops[] = {{2, 20}, {2, 21}};
	const ValueShare releases[] = {{30, 3000}, {31, 7}};
	const MetaFileDrop dead = {VERSION_VALUES, 30};
	MetaDamage damages[3] = {{0}, {0}, {0}};
	const MetaDamageClear clear = {nvmkv_slice("bb", 2), nvmkv_slice("dd", 2)};
	const VersionSegment segments[] = {{3, 40}, {1, 41}, {3, 42}};
	const VersionXids lost[] = {{100, 200}, {300, 400}};
	const VersionXids found = {150, 350};
	VersionEdit edit = {0};
	NvmkvBuf seed = {0};
	unsigned i;

	edit.has_system = edit.has_durable = edit.has_next_file = edit.has_next_row = edit.has_pool = edit.has_log = true;
	edit.system_identifier = 4711;
	edit.next_file = 10;
	edit.next_row = 1;
	edit.pool_id = 77;
	edit.has_closed = edit.has_incarnation = edit.has_edits = edit.closed = true;
	edit.incarnation = 12;
	edit.predecessor = 11;
	edit.edits = 300;
	edit.has_generation = true;
	edit.generation = 13;
	edit.successor = 14;
	edit.stamp_number = 300;
	append_edit(&seed, &edit);

	memset(&edit, 0, sizeof(edit));
	for (i = 0; i < 2; i++)
	{
		rows[i].row_id = i + 1;
		rows[i].entries = 100;
		rows[i].data_bytes = rows[i].live_bytes = 5000;
		rows[i].older_row_id = i;
		rows[i].min_sequence = 1;
		rows[i].max_sequence = 1000;
		rows[i].min_unresolved_fxid = 90;
		rows[i].extent_count = 3;
		rows[i].extents = extents;
		rows[i].smallest = nvmkv_slice("aaa", 3);
		rows[i].largest = nvmkv_slice("zzzz", 4);
	}
	edit.row_adds = rows;
	edit.nrow_adds = 2;
	edit.has_settled = edit.has_outcomes_low = true;
	edit.settled = 4000000;
	edit.outcomes_low = 90;
	edit.segments = segments;
	edit.nsegments = 2;
	edit.lost = lost;
	edit.nlost = 2;
	append_edit(&seed, &edit);

	memset(&edit, 0, sizeof(edit));
	for (i = 0; i < 2; i++)
	{
		files[i].number = 10 + i;
		files[i].bytes = 100000;
		files[i].entries = 10;
		files[i].level = 1;
		files[i].smallest = nvmkv_slice(i == 0 ? "a" : "d", 1);
		files[i].largest = nvmkv_slice(i == 0 ? "c" : "f", 1);
	}
	edit.file_adds = files;
	edit.nfile_adds = 2;
	edit.row_roles = &role;
	edit.nrow_roles = 1;
	edit.row_advances = &advance;
	edit.nrow_advances = 1;
	edit.segments = segments + 2;
	edit.nsegments = 1;
	edit.found = &found;
	edit.nfound = 1;
	append_edit(&seed, &edit);

	memset(&edit, 0, sizeof(edit));
	edit.row_drops = &drop;
	edit.nrow_drops = 1;
	edit.file_drops = &file_drop;
	edit.nfile_drops = 1;
	append_edit(&seed, &edit);

	/* Tables that refer to values; all of one value table and a part of another are released, the former goes. */
	memset(&edit, 0, sizeof(edit));
	for (i = 0; i < 2; i++)
	{
		files[i].number = 20 + i;
		files[i].level = 2;
		files[i].value_bytes = 3000 + i;
		values[i] = files[i];
		values[i].number = 30 + i;
		values[i].level = VERSION_VALUES;
	}
	edit.file_adds = files;
	edit.nfile_adds = 2;
	append_edit(&seed, &edit);
	edit.file_adds = values;
	append_edit(&seed, &edit);
	memset(&edit, 0, sizeof(edit));
	files[0].number = 40;
	files[0].value_bytes = 3001 - 7;
	edit.file_drops = refer_drops;
	edit.nfile_drops = 2;
	edit.file_adds = files;
	edit.nfile_adds = 1;
	edit.value_releases = releases;
	edit.nvalue_releases = 2;
	append_edit(&seed, &edit);
	memset(&edit, 0, sizeof(edit));
	edit.file_drops = &dead;
	edit.nfile_drops = 1;
	append_edit(&seed, &edit);

	/* Damaged ranges: two that touch, one of a row; the middle of all is cleared. */
	memset(&edit, 0, sizeof(edit));
	for (i = 0; i < 3; i++)
	{
		damages[i].kind = i == 2 ? VERSION_DAMAGE_ROW : VERSION_DAMAGE_TABLE;
		damages[i].source = i == 2 ? 2 : 11;
		damages[i].level = 1;
		damages[i].offset = i == 2 ? NVMKV_DAMAGE_ALL : 4096;
		damages[i].max_sequence = 100 + i;
		damages[i].bytes = 100000;
		damages[i].low = nvmkv_slice(i == 1 ? "cc" : "aa", 2);
		damages[i].upper = nvmkv_slice(i == 0 ? "cc" : "yy", 2);
	}
	edit.damages = damages;
	edit.ndamages = 3;
	append_edit(&seed, &edit);
	memset(&edit, 0, sizeof(edit));
	edit.damage_clears = &clear;
	edit.ndamage_clears = 1;
	append_edit(&seed, &edit);
	nvmkv_buf_free(&seed);
}
