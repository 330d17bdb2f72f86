/*
 * merge_test.c
 *	  The merging iterator over arrays, both ways: against all entries sorted,
 *	  and with a source that fails.
 */
#include "lib/check.h"

#include "engine/iter/merge.h"

#define SOURCES 5
#define ENTRIES 12

/* ---- a source: numbers as keys of one byte, ascending ---- */

typedef struct ArrayIter
{
	NvmkvIter base;
	uint8_t keys[ENTRIES];
	unsigned count;
	int at;
	int fails_at; /* -1: never */
	uint8_t source; /* the payload */
} ArrayIter;

static void
show(ArrayIter *it)
{
	it->base.status = NVMKV_OK;
	it->base.valid = it->at >= 0 && it->at < (int) it->count;
	if (it->base.valid && it->at == it->fails_at)
	{
		it->base.valid = false;
		it->base.status = NVMKV_FAIL(NVMKV_CORRUPTION, "wanted");
	}
	if (!it->base.valid)
		return;
	it->base.key = nvmkv_slice(&it->keys[it->at], 1);
	it->base.tag = 1;
	it->base.payload = nvmkv_slice(&it->source, 1);
}

static void
array_seek(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	ArrayIter *it = (ArrayIter *) base;

	(void) tag; /* all entries have tag 1, and are sought by it */
	for (it->at = 0; it->at < (int) it->count && it->keys[it->at] < key.data[0]; it->at++)
		;
	show(it);
}

static void
array_seek_for_prev(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	ArrayIter *it = (ArrayIter *) base;

	(void) tag;
	for (it->at = (int) it->count - 1; it->at >= 0 && it->keys[it->at] > key.data[0]; it->at--)
		;
	show(it);
}

static void
array_seek_first(NvmkvIter *base)
{
	((ArrayIter *) base)->at = 0;
	show((ArrayIter *) base);
}

static void
array_seek_last(NvmkvIter *base)
{
	((ArrayIter *) base)->at = (int) ((ArrayIter *) base)->count - 1;
	show((ArrayIter *) base);
}

static void
array_next(NvmkvIter *base)
{
	((ArrayIter *) base)->at++;
	show((ArrayIter *) base);
}

static void
array_prev(NvmkvIter *base)
{
	((ArrayIter *) base)->at--;
	show((ArrayIter *) base);
}

static void
array_destroy(NvmkvIter *base)
{
	base->valid = false;
}

static const NvmkvIterOps array_ops = {
	array_seek, array_seek_for_prev, array_seek_first, array_seek_last, array_next, array_prev, array_destroy,
};

static ArrayIter arrays[SOURCES];
static NvmkvIter *children[SOURCES];

/* What the merge must show: pairs of key and source, in order. */
static uint8_t expected[SOURCES * ENTRIES][2];
static unsigned nexpected;

static void
fill(unsigned range)
{
	unsigned s, i, key;

	nexpected = 0;
	for (s = 0; s < SOURCES; s++)
	{
		arrays[s].base.ops = &array_ops;
		arrays[s].source = (uint8_t) s;
		arrays[s].fails_at = -1;
		arrays[s].count = 0;
		children[s] = &arrays[s].base;
		for (key = 0; key < range && arrays[s].count < ENTRIES; key++)
			if (check_random_below(2) == 0)
				arrays[s].keys[arrays[s].count++] = (uint8_t) key;
	}
	/* Equal entries stand in the order of their sources, which is that of age. */
	for (key = 0; key < range; key++)
		for (s = 0; s < SOURCES; s++)
			for (i = 0; i < arrays[s].count; i++)
				if (arrays[s].keys[i] == key)
				{
					expected[nexpected][0] = (uint8_t) key;
					expected[nexpected++][1] = (uint8_t) s;
				}
}

static bool
stands_at(const NvmkvIter *m, int at)
{
	if (at < 0 || at >= (int) nexpected)
		return !m->valid;
	return m->valid && m->key.data[0] == expected[at][0] && m->payload.data[0] == expected[at][1];
}

TEST(walks_and_turns)
{
	unsigned round, step;

	for (round = 0; round < 200; round++)
	{
		MergeIter merge;
		NvmkvIter *m = &merge.base;
		int at;

		fill(1 + (unsigned) check_random_below(16));
		REQUIRE_OK(merge_iter_init(&merge, children, SOURCES));
		m->ops->seek_first(m);
		for (at = 0; at < (int) nexpected; at++, m->ops->next(m))
			REQUIRE(stands_at(m, at));
		CHECK(!m->valid);
		m->ops->seek_last(m);
		for (at = (int) nexpected - 1; at >= 0; at--, m->ops->prev(m))
			REQUIRE(stands_at(m, at));
		CHECK(!m->valid);
		if (nexpected > 0)
		{
			uint8_t key = (uint8_t) check_random_below(16);

			m->ops->seek(m, nvmkv_slice(&key, 1), 1);
			for (at = 0; at < (int) nexpected && expected[at][0] < key; at++)
				;
			CHECK(stands_at(m, at));
			m->ops->seek_first(m);
			for (at = 0, step = 0; step < 60 && at >= 0 && at < (int) nexpected; step++)
			{
				bool forward = check_random_below(5) < 3;

				at += forward ? 1 : -1;
				if (forward)
					m->ops->next(m);
				else
					m->ops->prev(m);
				REQUIRE(stands_at(m, at));
			}
		}
		merge_iter_free(&merge);
	}
}

TEST(a_source_that_fails_is_told)
{
	unsigned s;

	for (s = 0; s < SOURCES; s++)
	{
		MergeIter merge;
		NvmkvIter *m = &merge.base;

		do
			fill(16);
		while (arrays[s].count < 2);
		arrays[s].fails_at = (int) arrays[s].count - 1;
		REQUIRE_OK(merge_iter_init(&merge, children, SOURCES));
		for (m->ops->seek_first(m); m->valid; m->ops->next(m))
			;
		CHECK_STATUS(m->status, NVMKV_CORRUPTION);
		m->ops->seek_last(m);
		CHECK(!m->valid);
		CHECK_STATUS(m->status, NVMKV_CORRUPTION);
		merge_iter_free(&merge);
	}
}

TEST_MAIN()
