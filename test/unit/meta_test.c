/*
 * meta_test.c
 *	  Outcomes of transactions in a version: which are kept, and how many.
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

TEST_MAIN()
