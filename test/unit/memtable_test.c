/*
 * memtable_test.c
 *	  One memtable against a sorted array, alone and with several processes
 *	  and threads inserting, one of them killed.
 */
#include "lib/check.h"

#include "engine/port/port_posix.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "engine/base/filter.h"
#include "engine/mem/memtable.h"
#include "engine/port/port.h"

/* ---- a memtable in this process ---- */

static MemtableShm *
make_memtable(uint64_t bytes)
{
	MemtableShm *mt = aligned_alloc(64, bytes);

	if (mt == NULL)
		exit(2);
	/* Old content must not matter. */
	memset(mt, 0x5a, bytes);
	memtable_init(mt, bytes);
	return mt;
}

static void
put(MemtableShm *mt, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	MemtableRoom room;

	if (!memtable_reserve(mt, memtable_entry_bytes_max(key.size, payload.size), &room))
	{
		check_failed(__FILE__, __LINE__, "memtable_reserve");
		return;
	}
	memtable_insert(mt, &room, &(MemtableEntry){key, tag, payload}, 1);
	memtable_finish(mt, &room);
}

static NvmkvSlice
text(const char *s)
{
	return nvmkv_slice(s, strlen(s));
}

/* ---- the oracle ---- */

typedef struct Entry
{
	uint8_t key[48];
	size_t key_bytes;
	uint64_t tag;
	uint8_t payload[32];
	size_t payload_bytes;
} Entry;

static NvmkvSlice
entry_key(const Entry *e)
{
	return nvmkv_slice(e->key, e->key_bytes);
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;

	return ikey_compare(entry_key(x), x->tag, entry_key(y), y->tag);
}

/* Keys from a small alphabet, so that prefixes, ties in the first words, zero bytes and repeated keys are common. */
static void
random_key(Entry *e)
{
	static const uint8_t alphabet[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	uint64_t shape = check_random_below(4);
	size_t i;

	e->key_bytes = shape == 0 ? check_random_below(9) : (shape == 1 ? 16 : check_random_below(sizeof(e->key) + 1));
	for (i = 0; i < e->key_bytes; i++)
		e->key[i] = i % 8 < 6 ? 0 : alphabet[check_random_below(sizeof(alphabet))];
}

static Entry *
random_entries(size_t n)
{
	Entry *e = calloc(n, sizeof(*e));
	size_t i;

	for (i = 0; i < n; i++)
	{
		random_key(&e[i]);
		e[i].tag = ikey_tag(i + 1, check_random_below(2) == 0 ? NVMKV_TYPE_VALUE : NVMKV_TYPE_TAGGED_VALUE);
		e[i].payload_bytes = check_random_below(sizeof(e[i].payload) + 1);
		check_random_bytes(e[i].payload, e[i].payload_bytes);
	}
	return e;
}

/*
 * Inserts in batches of random size, these in groups of random size; every other batch is sorted first, some of those
 * backwards.
 */
static void
insert_entries(MemtableShm *mt, Entry *e, size_t n)
{
	size_t i = 0;

	while (i < n)
	{
		size_t batch = 1 + check_random_below(60);
		uint64_t order = check_random_below(4);
		size_t bytes = 0;
		size_t j;
		MemtableRoom room;

		if (batch > n - i)
			batch = n - i;
		if (order >= 2)
			qsort(e + i, batch, sizeof(*e), compare_entries);
		for (j = 0; j < batch; j++)
			bytes += memtable_entry_bytes_max(e[i + j].key_bytes, e[i + j].payload_bytes);
		REQUIRE(memtable_reserve(mt, bytes, &room));
		for (j = 0; j < batch;)
		{
			MemtableEntry group[MEMTABLE_GROUP];
			unsigned most = (unsigned) check_random_below(MEMTABLE_GROUP) + 1;
			unsigned k;

			for (k = 0; k < most && j < batch; k++, j++)
			{
				const Entry *one = &e[order == 3 ? i + batch - 1 - j : i + j];

				group[k] = (MemtableEntry){entry_key(one), one->tag, nvmkv_slice(one->payload, one->payload_bytes)};
			}
			memtable_insert(mt, &room, group, k);
		}
		memtable_finish(mt, &room);
		i += batch;
	}
}

static bool
shows(const NvmkvIter *it, const Entry *e)
{
	return it->valid && it->status == NVMKV_OK && slice_equal(it->key, entry_key(e)) && it->tag == e->tag &&
		   slice_equal(it->payload, nvmkv_slice(e->payload, e->payload_bytes));
}

/* Points at the newest version of the key that is not newer than the tag. */
static bool
find(MemtableShm *mt, NvmkvSlice key, uint64_t tag, MemtableIter *it)
{
	memtable_iter_init(it, mt);
	it->base.ops->seek(&it->base, key, tag);
	return it->base.valid && slice_equal(it->base.key, key);
}

/* First index in the sorted entries that is >= (key, tag). */
static size_t
lower_bound(const Entry *e, size_t n, NvmkvSlice key, uint64_t tag)
{
	size_t low = 0;
	size_t high = n;

	while (low < high)
	{
		size_t mid = (low + high) / 2;

		if (ikey_compare(entry_key(&e[mid]), e[mid].tag, key, tag) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

#define ENTRIES 4000

TEST(agrees_with_sorted_array)
{
	MemtableShm *mt = make_memtable(4 << 20);
	Entry *e = random_entries(ENTRIES);
	MemtableIter it;
	size_t i;

	insert_entries(mt, e, ENTRIES);
	qsort(e, ENTRIES, sizeof(*e), compare_entries);
	CHECK_EQ(memtable_entries(mt), ENTRIES);
	CHECK_EQ(memtable_first_sequence(mt), 1);
	CHECK_EQ(memtable_last_sequence(mt), ENTRIES);
	CHECK(!memtable_is_empty(mt));

	memtable_iter_init(&it, mt);
	CHECK(!it.base.valid);
	it.base.ops->seek_first(&it.base);
	for (i = 0; i < ENTRIES; i++)
	{
		REQUIRE(shows(&it.base, &e[i]));
		it.base.ops->next(&it.base);
	}
	CHECK(!it.base.valid);
	it.base.ops->seek_last(&it.base);
	for (i = ENTRIES; i > 0; i--)
	{
		REQUIRE(shows(&it.base, &e[i - 1]));
		it.base.ops->prev(&it.base);
	}
	CHECK(!it.base.valid);

	/* Seeks to what is there and to what may not be. */
	for (i = 0; i < 4 * ENTRIES; i++)
	{
		Entry other;
		const Entry *near = &e[check_random_below(ENTRIES)];
		NvmkvSlice key = entry_key(near);
		uint64_t tag = near->tag;
		size_t at;

		if (i % 4 == 1)
			tag = ikey_tag(check_random_below(ENTRIES + 2), NVMKV_TYPE_VALUE);
		else if (i % 4 == 2)
			tag = i % 8 == 2 ? NVMKV_TAG_MAX : 0;
		else if (i % 4 == 3)
		{
			random_key(&other);
			key = entry_key(&other);
		}
		at = lower_bound(e, ENTRIES, key, tag);
		it.base.ops->seek(&it.base, key, tag);
		REQUIRE(at < ENTRIES ? shows(&it.base, &e[at]) : !it.base.valid);
		if (it.base.valid && check_random_below(4) == 0)
		{
			it.base.ops->prev(&it.base);
			REQUIRE(at > 0 ? shows(&it.base, &e[at - 1]) : !it.base.valid);
		}

		it.base.ops->seek_for_prev(&it.base, key, tag);
		if (at < ENTRIES && ikey_compare(entry_key(&e[at]), e[at].tag, key, tag) == 0)
			REQUIRE(shows(&it.base, &e[at]));
		else
			REQUIRE(at > 0 ? shows(&it.base, &e[at - 1]) : !it.base.valid);
		if (it.base.valid && check_random_below(4) == 0)
		{
			size_t on = lower_bound(e, ENTRIES, it.base.key, it.base.tag);

			it.base.ops->prev(&it.base);
			REQUIRE(on > 0 ? shows(&it.base, &e[on - 1]) : !it.base.valid);
		}

		if (find(mt, key, tag, &it))
			REQUIRE(at < ENTRIES && shows(&it.base, &e[at]) && slice_equal(entry_key(&e[at]), key));
		else
			REQUIRE(at == ENTRIES || !slice_equal(entry_key(&e[at]), key));
	}
	it.base.ops->destroy(&it.base);
	free(e);
	free(mt);
}

/* From one place to the next, near or far, there or not, forwards most often; new entries come in between. */
TEST(seeks_near_the_last_place)
{
	MemtableShm *mt = make_memtable(4 << 20);
	Entry *e = random_entries(ENTRIES);
	size_t n = ENTRIES / 2;
	size_t at = 0;
	MemtableIter it;
	size_t i;

	insert_entries(mt, e, n);
	qsort(e, n, sizeof(*e), compare_entries);
	memtable_iter_init(&it, mt);
	for (i = 0; i < 4 * ENTRIES; i++)
	{
		uint64_t how = check_random_below(16);
		const Entry *to;
		uint64_t tag;

		if (how == 0 || at >= n)
			at = check_random_below(n);
		else
			at += check_random_below(how < 14 ? 8 : 500);
		to = &e[at < n ? at : n - 1];
		tag = how % 3 == 0 ? NVMKV_TAG_MAX : (how % 3 == 1 ? 0 : to->tag);
		at = lower_bound(e, n, entry_key(to), tag);
		memtable_iter_seek_near(&it, entry_key(to), tag);
		REQUIRE(at < n ? shows(&it.base, &e[at]) : !it.base.valid);
		if (it.base.valid && how == 5)
		{
			it.base.ops->next(&it.base);
			REQUIRE(at + 1 < n ? shows(&it.base, &e[at + 1]) : !it.base.valid);
		}
		if (i % (8 * ENTRIES / 100) == 0 && n < ENTRIES)
		{
			size_t more = ENTRIES - n < 50 ? ENTRIES - n : 50;

			insert_entries(mt, e + n, more);
			n += more;
			qsort(e, n, sizeof(*e), compare_entries);
		}
	}
	CHECK_EQ(n, ENTRIES);
	free(e);
	free(mt);
}

TEST(walks_both_ways)
{
	MemtableShm *mt = make_memtable(4 << 20);
	Entry *e = random_entries(ENTRIES);
	MemtableIter it;
	size_t at = ENTRIES / 2;
	size_t i;

	insert_entries(mt, e, ENTRIES);
	qsort(e, ENTRIES, sizeof(*e), compare_entries);
	memtable_iter_init(&it, mt);
	it.base.ops->seek(&it.base, entry_key(&e[at]), e[at].tag);
	for (i = 0; i < 40000; i++)
	{
		/* Runs in one direction, then the other. */
		bool forward = (check_random() >> 7) % 16 < ((i / 500) % 2 == 0 ? 9u : 7u);

		REQUIRE(shows(&it.base, &e[at]));
		if (forward && at + 1 < ENTRIES)
		{
			it.base.ops->next(&it.base);
			at++;
		}
		else if (!forward && at > 0)
		{
			it.base.ops->prev(&it.base);
			at--;
		}
	}
	free(e);
	free(mt);
}

TEST(backward_steps_see_entries_that_came_before_the_seek)
{
	MemtableShm *mt = make_memtable(1 << 20);
	MemtableIter it;
	uint8_t key[8];
	uint64_t i;

	for (i = 0; i < 1000; i += 2)
	{
		put_be64(key, i);
		put(mt, nvmkv_slice(key, 8), ikey_tag(i + 1, NVMKV_TYPE_VALUE), text(""));
	}
	memtable_iter_init(&it, mt);
	it.base.ops->seek_last(&it.base);
	/* Odd keys come while the iterator walks down: it may show them or not, but every even one, in order. */
	for (i = 998;; i -= 2)
	{
		REQUIRE(it.base.valid);
		if (get_be64(it.base.key.data) == i + 1)
			it.base.ops->prev(&it.base);
		REQUIRE(it.base.valid);
		CHECK_EQ(get_be64(it.base.key.data), i);
		put_be64(key, i - 1);
		if (i > 0)
			put(mt, nvmkv_slice(key, 8), ikey_tag(i + 5000, NVMKV_TYPE_VALUE), text(""));
		it.base.ops->prev(&it.base);
		if (i == 0)
			break;
	}
	CHECK(!it.base.valid);
	free(mt);
}

TEST(empty_memtable)
{
	MemtableShm *mt = make_memtable(MEMTABLE_BYTES_MIN);
	MemtableIter it;

	memtable_iter_init(&it, mt);
	it.base.ops->seek_first(&it.base);
	CHECK(!it.base.valid);
	it.base.ops->seek_last(&it.base);
	CHECK(!it.base.valid);
	it.base.ops->seek(&it.base, text("a"), NVMKV_TAG_MAX);
	CHECK(!it.base.valid);
	it.base.ops->seek_for_prev(&it.base, text("a"), 0);
	CHECK(!it.base.valid);
	CHECK_OK(it.base.status);
	CHECK(!find(mt, text("a"), NVMKV_TAG_MAX, &it));
	CHECK(!memtable_may_contain(mt, filter_hash(text("a"))));
	CHECK(memtable_is_empty(mt));
	CHECK_EQ(memtable_entries(mt), 0);
	CHECK_EQ(memtable_bytes_used(mt), 0);
	CHECK_EQ(memtable_first_sequence(mt), UINT64_MAX);
	CHECK_EQ(memtable_last_sequence(mt), 0);
	CHECK_EQ(memtable_range_estimate(mt, text("a"), text("z")), 0);
	free(mt);
}

TEST(versions_stand_newest_first)
{
	MemtableShm *mt = make_memtable(MEMTABLE_BYTES_MIN);
	MemtableIter it;

	put(mt, text("k"), ikey_tag(5, NVMKV_TYPE_VALUE), text("five"));
	put(mt, text("k"), ikey_tag(9, NVMKV_TYPE_DELETION), text(""));
	put(mt, text("k"), ikey_tag(7, NVMKV_TYPE_VALUE), text("seven"));
	put(mt, text("kk"), ikey_tag(8, NVMKV_TYPE_VALUE), text("other"));
	REQUIRE(find(mt, text("k"), NVMKV_TAG_MAX, &it));
	CHECK_EQ(ikey_sequence(it.base.tag), 9);
	it.base.ops->next(&it.base);
	CHECK_EQ(ikey_sequence(it.base.tag), 7);
	REQUIRE(find(mt, text("k"), ikey_tag(6, 0xff), &it));
	CHECK_EQ(ikey_sequence(it.base.tag), 5);
	CHECK(slice_equal(it.base.payload, text("five")));
	CHECK(!find(mt, text("k"), ikey_tag(4, 0xff), &it));
	CHECK(!find(mt, text("j"), NVMKV_TAG_MAX, &it));
	free(mt);
}

TEST(repetition_is_ignored)
{
	MemtableShm *mt = make_memtable(MEMTABLE_BYTES_MIN);
	uint64_t used;
	int i;

	put(mt, text("a"), ikey_tag(1, NVMKV_TYPE_VALUE), text("x"));
	put(mt, text("b"), ikey_tag(2, NVMKV_TYPE_VALUE), text("y"));
	used = memtable_bytes_used(mt);
	for (i = 0; i < 5; i++)
	{
		put(mt, text("a"), ikey_tag(1, NVMKV_TYPE_VALUE), text("x"));
		put(mt, text("b"), ikey_tag(2, NVMKV_TYPE_VALUE), text("y"));
	}
	CHECK_EQ(memtable_entries(mt), 2);
	CHECK_EQ(memtable_bytes_used(mt), used);
	free(mt);
}

TEST(room_is_counted)
{
	const uint64_t bytes = 1 << 20;
	MemtableShm *mt = make_memtable(bytes);
	size_t capacity = memtable_capacity(bytes);
	uint8_t payload[700];
	MemtableRoom room;
	MemtableRoom other;
	uint64_t n = 0;

	memset(payload, 3, sizeof(payload));
	CHECK(capacity > bytes / 64 * 61);
	CHECK(!memtable_reserve(mt, capacity + 1, &room));
	CHECK(!memtable_reserve(mt, SIZE_MAX, &room));
	CHECK(memtable_has_room(mt, capacity));
	CHECK(memtable_reserve(mt, capacity, &room));
	CHECK(!memtable_has_room(mt, 1));
	CHECK(!memtable_reserve(mt, 1, &other));
	CHECK(memtable_reserve(mt, 0, &other));
	memtable_finish(mt, &room);
	CHECK_EQ(memtable_bytes_used(mt), 0);

	/* To the brim, with keys and payloads of every length: places never overlap. */
	for (;;)
	{
		uint8_t key[40] = {0};
		size_t key_bytes = 8 + n % 33;
		size_t payload_bytes = n * 7 % sizeof(payload);

		put_be64(key, n);
		if (!memtable_reserve(mt, memtable_entry_bytes_max(key_bytes, payload_bytes), &room))
			break;
		memset(payload, (int) (n & 0xff), payload_bytes);
		memtable_insert(mt, &room,
						&(MemtableEntry){nvmkv_slice(key, key_bytes), ikey_tag(n + 1, NVMKV_TYPE_VALUE),
										 nvmkv_slice(payload, payload_bytes)},
						1);
		memtable_finish(mt, &room);
		n++;
	}
	CHECK(memtable_bytes_used(mt) > capacity - 1000);
	{
		MemtableIter it;
		uint64_t i = 0;

		memtable_iter_init(&it, mt);
		for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base), i++)
		{
			size_t j;

			CHECK_EQ(get_be64(it.base.key.data), i);
			CHECK_EQ(it.base.key.size, 8 + i % 33);
			CHECK_EQ(it.base.payload.size, i * 7 % sizeof(payload));
			for (j = 0; j < it.base.payload.size; j++)
				REQUIRE(it.base.payload.data[j] == (uint8_t) i);
		}
		CHECK_EQ(i, n);
	}
	free(mt);
}

TEST(estimate_is_an_upper_bound)
{
	size_t key;

	for (key = 0; key <= 2048; key++)
		REQUIRE(memtable_entry_bytes_max(key, 100) <= key + 100 + BATCH_ENTRY_OVERHEAD);
}

TEST(long_keys_and_large_payloads)
{
	MemtableShm *mt = make_memtable(16 << 20);
	uint8_t *key = malloc(2048);
	uint8_t *payload = malloc(8 << 20);
	MemtableIter it;
	unsigned i;

	memset(key, 'k', 2048);
	memset(payload, 'p', 8 << 20);
	for (i = 0; i < 200; i++)
	{
		key[2047] = (uint8_t) i;
		put(mt, nvmkv_slice(key, 2048), ikey_tag(i + 1, NVMKV_TYPE_VALUE), text("short"));
	}
	put(mt, nvmkv_slice(key, 2047), ikey_tag(500, NVMKV_TYPE_VALUE), nvmkv_slice(payload, 8 << 20));
	memtable_iter_init(&it, mt);
	it.base.ops->seek_first(&it.base);
	REQUIRE(it.base.valid);
	CHECK_EQ(it.base.key.size, 2047);
	CHECK(slice_equal(it.base.payload, nvmkv_slice(payload, 8 << 20)));
	for (i = 0; i < 200; i++)
	{
		it.base.ops->next(&it.base);
		REQUIRE(it.base.valid);
		CHECK_EQ(it.base.key.size, 2048);
		CHECK_EQ(it.base.key.data[2047], i);
	}
	free(payload);
	free(key);
	free(mt);
}

TEST(filter_and_range)
{
	const uint64_t n = 20000;
	MemtableShm *mt = make_memtable(8 << 20);
	uint8_t key[16];
	uint64_t wrong = 0;
	uint64_t i;

	put_be64(key, 77);
	for (i = 0; i < n; i++)
	{
		/* 2i in an order that jumps about: 7919 is prime to n. */
		put_be64(key + 8, i * 7919 % n * 2);
		put(mt, nvmkv_slice(key, 16), ikey_tag(i + 1, NVMKV_TYPE_VALUE), text("some payload of a usual size"));
	}
	for (i = 0; i < n; i++)
	{
		put_be64(key + 8, i * 2);
		REQUIRE(memtable_may_contain(mt, filter_hash(nvmkv_slice(key, 16))));
		put_be64(key + 8, i * 2 + 1);
		wrong += memtable_may_contain(mt, filter_hash(nvmkv_slice(key, 16)));
	}
	CHECK(wrong < n / 100);
	for (i = 0; i <= n; i += n / 20)
	{
		uint8_t end[16];
		uint64_t entries;

		memcpy(end, key, sizeof(end));
		put_be64(end + 8, i * 2);
		entries = memtable_range_estimate(mt, nvmkv_slice(key, 8), nvmkv_slice(end, 16));
		CHECK(entries <= i + i / 4 && entries + i / 4 >= i);
		if (i >= 100)
		{
			put_be64(key + 8, (i - 100) * 2);
			CHECK_EQ(memtable_range_estimate(mt, nvmkv_slice(key, 16), nvmkv_slice(end, 16)), 100);
		}
	}
	put_be64(key, 76);
	CHECK_EQ(memtable_range_estimate(mt, nvmkv_slice(key, 16), nvmkv_slice(key, 16)), 0);
	free(mt);
}

TEST(hint_stays_with_the_entry)
{
	MemtableShm *mt = make_memtable(MEMTABLE_BYTES_MIN);
	MemtableIter it;

	put(mt, text("a"), ikey_tag(1, NVMKV_TYPE_TAGGED_VALUE), text("0123456789abx"));
	put(mt, text("b"), ikey_tag(2, NVMKV_TYPE_TAGGED_VALUE), text("0123456789aby"));
	REQUIRE(find(mt, text("b"), NVMKV_TAG_MAX, &it));
	CHECK_EQ(*memtable_iter_hint(&it.base), 0);
	*memtable_iter_hint(&it.base) = 2;
	memtable_iter_init(&it, mt);
	it.base.ops->seek_first(&it.base);
	CHECK_EQ(*memtable_iter_hint(&it.base), 0);
	it.base.ops->next(&it.base);
	CHECK_EQ(*memtable_iter_hint(&it.base), 2);
	free(mt);
}

/* ---- several inserters ---- */

#define WRITERS 4
#define WRITER_ENTRIES 20000

/* What writer w's i-th entry is: spread over the key space, some keys shared by all writers. */
static size_t
writer_key(unsigned w, uint64_t i, uint8_t *key)
{
	put_be64(key, 1);
	if (i % 16 == 0)
	{
		put_be64(key + 8, i / 16 % 64);
		return 16;
	}
	put_be64(key + 8, (i * WRITERS + w) * UINT64_C(0x9E3779B97F4A7C15));
	put_be64(key + 16, w);
	return 24;
}

static uint64_t
writer_tag(unsigned w, uint64_t i)
{
	return ikey_tag(i * WRITERS + w + 1, NVMKV_TYPE_VALUE);
}

static void
write_entries(MemtableShm *mt, unsigned w, uint64_t from, uint64_t to)
{
	uint8_t keys[MEMTABLE_GROUP][24];
	uint8_t payloads[MEMTABLE_GROUP][40];
	MemtableGroup group;
	uint64_t i = from;

	while (i < to)
	{
		uint64_t batch = 1 + (i * 31 + w) % 40;
		MemtableRoom room;
		uint64_t j;

		if (batch > to - i)
			batch = to - i;
		if (!memtable_reserve(mt, batch * memtable_entry_bytes_max(24, 40), &room))
			_exit(3);
		group.n = 0;
		for (j = 0; j < batch; j++, i++)
		{
			uint8_t *key = keys[j % MEMTABLE_GROUP];
			uint8_t *payload = payloads[j % MEMTABLE_GROUP];
			size_t key_bytes = writer_key(w, i, key);

			memset(payload, (int) ((i + w) & 0xff), sizeof(payloads[0]));
			memtable_group_add(&group, mt, &room,
							   (MemtableEntry){nvmkv_slice(key, key_bytes), writer_tag(w, i),
											   nvmkv_slice(payload, sizeof(payloads[0]))});
		}
		memtable_group_finish(&group);
		memtable_finish(mt, &room);
	}
}

/* Order, and every payload belongs to its entry. Returns the number of entries. */
static uint64_t
verify_walk(MemtableShm *mt, bool backwards)
{
	MemtableIter it;
	uint8_t last_key[24];
	size_t last_bytes = 0;
	uint64_t last_tag = 0;
	uint64_t n = 0;

	memtable_iter_init(&it, mt);
	if (backwards)
		it.base.ops->seek_last(&it.base);
	else
		it.base.ops->seek_first(&it.base);
	while (it.base.valid)
	{
		uint64_t number = ikey_sequence(it.base.tag) - 1;
		unsigned w = (unsigned) (number % WRITERS);
		uint64_t i = number / WRITERS;
		uint8_t key[24];
		size_t key_bytes = writer_key(w, i, key);
		size_t j;

		if (!slice_equal(it.base.key, nvmkv_slice(key, key_bytes)) || it.base.payload.size != 40)
			return UINT64_MAX;
		for (j = 0; j < 40; j++)
		{
			if (it.base.payload.data[j] != (uint8_t) (i + w))
				return UINT64_MAX;
		}
		if (n > 0)
		{
			int c = ikey_compare(nvmkv_slice(last_key, last_bytes), last_tag, it.base.key, it.base.tag);

			if (backwards ? c <= 0 : c >= 0)
				return UINT64_MAX;
		}
		memcpy(last_key, key, key_bytes);
		last_bytes = key_bytes;
		last_tag = it.base.tag;
		n++;
		if (backwards)
			it.base.ops->prev(&it.base);
		else
			it.base.ops->next(&it.base);
	}
	return n;
}

static bool
all_found(MemtableShm *mt, unsigned w, uint64_t to)
{
	uint64_t i;

	for (i = 0; i < to; i++)
	{
		uint8_t key[24];
		size_t key_bytes = writer_key(w, i, key);
		MemtableIter it;

		if (!memtable_may_contain(mt, filter_hash(nvmkv_slice(key, key_bytes))))
			return false;
		if (!find(mt, nvmkv_slice(key, key_bytes), writer_tag(w, i), &it) || it.base.tag != writer_tag(w, i))
			return false;
	}
	return true;
}

static int
make_segment(size_t bytes)
{
	int fd = memfd_create("memtable_test", 0);

	if (fd < 0 || ftruncate(fd, (off_t) bytes) != 0)
		exit(2);
	return fd;
}

static MemtableShm *
map_segment(int fd, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		exit(2);
	return p;
}

TEST(processes_insert_at_different_addresses)
{
	const size_t bytes = 32 << 20;
	int fd = make_segment(bytes);
	MemtableShm *mt = map_segment(fd, bytes);
	pid_t pid[WRITERS];
	unsigned w;
	unsigned running = WRITERS;
	uint64_t walks = 0;

	memtable_init(mt, bytes);
	fflush(stdout);
	for (w = 0; w < WRITERS; w++)
	{
		pid[w] = fork();
		if (pid[w] == 0)
		{
			/* The parent's mapping is still in place, so each child's own is elsewhere; they differ by the padding. */
			void *padding = mmap(NULL, (w + 1) * 12288, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			MemtableShm *own = map_segment(fd, bytes);

			if (padding == MAP_FAILED || own == mt)
				_exit(2);
			munmap(mt, bytes);
			write_entries(own, w, 0, WRITER_ENTRIES);
			_exit(all_found(own, w, WRITER_ENTRIES) ? 0 : 4);
		}
		REQUIRE(pid[w] > 0);
	}
	/* Read while they write. */
	while (running > 0)
	{
		int status;

		CHECK(verify_walk(mt, walks % 2 == 1) != UINT64_MAX);
		walks++;
		while (running > 0 && waitpid(-1, &status, WNOHANG) > 0)
		{
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			running--;
		}
	}
	CHECK_EQ(verify_walk(mt, false), WRITERS * WRITER_ENTRIES);
	CHECK_EQ(verify_walk(mt, true), WRITERS * WRITER_ENTRIES);
	CHECK_EQ(memtable_entries(mt), WRITERS * WRITER_ENTRIES);
	CHECK_EQ(memtable_last_sequence(mt), WRITERS * WRITER_ENTRIES);
	for (w = 0; w < WRITERS; w++)
		CHECK(all_found(mt, w, WRITER_ENTRIES));
	munmap(mt, bytes);
	close(fd);
}

/* Writers are killed wherever they happen to be; the list stays whole and takes further entries. */
TEST(killed_writers_leave_a_sound_list)
{
	const size_t bytes = 32 << 20;
	int fd = make_segment(bytes);
	MemtableShm *mt = map_segment(fd, bytes);
	unsigned round;

	memtable_init(mt, bytes);
	fflush(stdout);
	for (round = 0; round < 20; round++)
	{
		uint64_t from = round * 1000;
		uint64_t before = memtable_bytes_used(mt);
		uint64_t linked;
		pid_t pid = fork();
		int status;

		if (pid == 0)
		{
			write_entries(mt, round % WRITERS, from, from + 1000);
			_exit(0);
		}
		REQUIRE(pid > 0);
		/* Somewhere in the first half of its work, or at its end if that is quicker. */
		while (memtable_bytes_used(mt) < before + round * 5000 && waitpid(pid, &status, WNOHANG) == 0)
			sched_yield();
		kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		linked = verify_walk(mt, false);
		CHECK(linked != UINT64_MAX && linked >= memtable_entries(mt));
		CHECK_EQ(verify_walk(mt, true), linked);
		/* The same again: what is there is recognised, the rest is added. */
		write_entries(mt, round % WRITERS, from, from + 1000);
		CHECK_EQ(verify_walk(mt, false), (round + 1) * 1000);
	}
	munmap(mt, bytes);
	close(fd);
}

typedef struct ThreadArg
{
	MemtableShm *mt;
	unsigned w;
	uint64_t result;
} ThreadArg;

static void *
insert_thread(void *p)
{
	ThreadArg *arg = p;

	write_entries(arg->mt, arg->w, 0, 4000);
	return NULL;
}

static void *
walk_thread(void *p)
{
	ThreadArg *arg = p;
	unsigned i;

	for (i = 0; i < 20 && arg->result != UINT64_MAX; i++)
		arg->result = verify_walk(arg->mt, i % 2 == 0);
	return NULL;
}

/* The same with threads, where a race detector can look on.  Two threads insert the same entries: repetitions race. */
TEST(threads_insert)
{
	MemtableShm *mt = make_memtable(16 << 20);
	pthread_t thread[WRITERS + 2];
	ThreadArg arg[WRITERS + 2];
	unsigned i;

	for (i = 0; i < WRITERS + 2; i++)
	{
		arg[i] = (ThreadArg){mt, i < WRITERS ? i : 0, 0};
		REQUIRE(pthread_create(&thread[i], NULL, i <= WRITERS ? insert_thread : walk_thread, &arg[i]) == 0);
	}
	for (i = 0; i < WRITERS + 2; i++)
		pthread_join(thread[i], NULL);
	CHECK(arg[WRITERS + 1].result != UINT64_MAX);
	CHECK_EQ(verify_walk(mt, false), WRITERS * 4000);
	CHECK_EQ(memtable_entries(mt), WRITERS * 4000);
	free(mt);
}

/* ---- what a reader is told while an entry comes in ---- */

extern void __real_filter_add_atomic(uint8_t *filter, size_t bytes, uint64_t hash);
extern void __wrap_filter_add_atomic(uint8_t *filter, size_t bytes, uint64_t hash);

static const MemtableShm *filled; /* watched while its filter learns of an entry (test/engine.mk wraps it) */
static unsigned learned;

void
__wrap_filter_add_atomic(uint8_t *filter, size_t bytes, uint64_t hash)
{
	if (filled != NULL)
	{
		CHECK(memtable_is_empty(filled));
		learned++;
	}
	__real_filter_add_atomic(filter, bytes, hash);
}

TEST(filter_knows_an_entry_before_it_is_there)
{
	MemtableShm *mt = port_posix_shared_alloc(1 << 17);
	MemtableRoom room;

	REQUIRE(mt != NULL);
	memtable_init(mt, 1 << 17);
	REQUIRE(memtable_reserve(mt, memtable_entry_bytes_max(1, 1), &room));
	learned = 0;
	filled = mt;
	memtable_insert(mt, &room,
					&(MemtableEntry){nvmkv_slice("k", 1), ikey_tag(1, NVMKV_TYPE_VALUE), nvmkv_slice("v", 1)}, 1);
	filled = NULL;
	memtable_finish(mt, &room);
	CHECK_EQ(learned, 1);
	CHECK(!memtable_is_empty(mt));
	port_posix_shared_free(mt, 1 << 17);
}

TEST(oldest_transaction_is_known)
{
	static const uint64_t fxids[] = {50, 40, 60, 45};
	MemtableShm *mt = port_posix_shared_alloc(1 << 17);
	unsigned i;

	REQUIRE(mt != NULL);
	memtable_init(mt, 1 << 17);
	for (i = 0; i < 4; i++)
	{
		uint8_t payload[NVMKV_TXN_TAG_BYTES] = {0};
		uint8_t key = (uint8_t) i;
		MemtableRoom room;

		put_u64(payload, fxids[i]);
		REQUIRE(memtable_reserve(mt, memtable_entry_bytes_max(1, sizeof(payload)), &room));
		memtable_insert(mt, &room,
						&(MemtableEntry){nvmkv_slice(&key, 1), ikey_tag(i + 1, NVMKV_TYPE_TAGGED_VALUE),
										 nvmkv_slice(payload, sizeof(payload))},
						1);
		memtable_finish(mt, &room);
		CHECK_EQ(memtable_first_fxid(mt), i == 0 ? 50 : 40);
	}
	port_posix_shared_free(mt, 1 << 17);
}

TEST_MAIN()
