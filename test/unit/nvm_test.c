/*
 * nvm_test.c
 *	  Devices, the extent pool, rows and the column choice.
 *
 * Rows are compared with a sorted array.  The tests run on an ordinary file;
 * one of them runs the whole program again with PMEM_IS_PMEM_FORCE=1, so that
 * everything is also seen through the libpmem device.
 */
#include "lib/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "engine/base/crc32c.h"
#include "engine/base/filter.h"
#include "engine/base/options.h"
#include "engine/nvm/column.h"
#include "engine/nvm/pool_owner.h"
#include "engine/nvm/row_access.h"
#include "engine/port/port_posix.h"

#define MIB (UINT64_C(1) << 20)
#define SYSTEM UINT64_C(4711)
#define POOL_BYTES_MAX (1024 * MIB)

/* ---- a pool in a directory of its own ---- */

typedef struct Fixture
{
	char dir[256];
	char path[512];
	NvmPoolShm *shm;
	NvmPool *pool;
	uint32_t used; /* extents that the next open is told of */
	NvmDeviceOps quick_ops;
} Fixture;

static void
fixture_paths(Fixture *f)
{
	memset(f, 0, sizeof(*f));
	check_make_dir(f->dir, sizeof(f->dir));
	(void) snprintf(f->path, sizeof(f->path), "%s/level0.pool", f->dir);
	f->shm = port_posix_shared_alloc(nvm_pool_shm_bytes(POOL_BYTES_MAX));
	nvm_pool_shm_init(f->shm, POOL_BYTES_MAX);
}

static NvmkvStatus
open_at(const char *path, uint64_t bytes, uint64_t system, uint64_t pool_id, uint32_t used, NvmPoolShm *shm,
		NvmPool **pool_out, bool *created_out)
{
	NvmPoolOpening opening = {
		.path = path, .bytes = bytes, .system_identifier = system, .expected_pool_id = pool_id, .extents_used = used};

	return nvm_pool_open(&opening, shm, pool_out, created_out);
}

/* As by a tree that has never opened it. */
static NvmkvStatus
remove_at(const Fixture *f, uint64_t system)
{
	NvmPoolOwner owner = {system, 0, 0, 0};

	return nvm_pool_remove(f->path, "elsewhere", &owner);
}

static void
fixture_open(Fixture *f, uint64_t bytes)
{
	bool created;

	fixture_paths(f);
	if (!CHECK_OK(open_at(f->path, bytes, SYSTEM, 0, 0, f->shm, &f->pool, &created)))
		exit(2);
	CHECK(created);
}

static NvmkvStatus
persist_nothing(NvmDevice *dev, uint64_t offset, uint64_t size)
{
	(void) dev;
	(void) offset;
	(void) size;
	return NVMKV_OK;
}

/* For tests that build many rows and never lose power. */
static void
fixture_open_quick(Fixture *f, uint64_t bytes)
{
	fixture_open(f, bytes);
	f->quick_ops = *f->pool->dev->ops;
	f->quick_ops.persist = persist_nothing;
	f->pool->dev->ops = &f->quick_ops;
}

static void
fixture_close(Fixture *f)
{
	nvm_pool_close(f->pool);
	port_posix_shared_free(f->shm, nvm_pool_shm_bytes(POOL_BYTES_MAX));
	check_remove_dir(f->dir);
}

/* ---- entries ---- */

typedef struct Entry
{
	NvmkvSlice key;
	uint64_t tag;
	NvmkvSlice payload;
} Entry;

typedef struct Entries
{
	Entry *e;
	uint64_t count;
	uint64_t capacity;
} Entries;

static NvmkvSlice
copy_slice(const void *data, size_t size)
{
	uint8_t *p = malloc(size + 1);

	if (p == NULL)
		exit(2);
	if (size > 0)
		memcpy(p, data, size);
	return nvmkv_slice(p, size);
}

static void
entries_add(Entries *list, const void *key, size_t key_size, uint64_t tag, const void *payload, size_t payload_size)
{
	if (list->count == list->capacity)
	{
		list->capacity = list->capacity == 0 ? 64 : list->capacity * 2;
		list->e = realloc(list->e, list->capacity * sizeof(Entry));
		if (list->e == NULL)
			exit(2);
	}
	list->e[list->count].key = copy_slice(key, key_size);
	list->e[list->count].tag = tag;
	list->e[list->count].payload = copy_slice(payload, payload_size);
	list->count++;
}

static void
free_bytes(NvmkvSlice s)
{
	uint8_t *p;

	memcpy(&p, &s.data, sizeof(p));
	free(p);
}

static void
entries_free(Entries *list)
{
	uint64_t i;

	for (i = 0; i < list->count; i++)
	{
		free_bytes(list->e[i].key);
		free_bytes(list->e[i].payload);
	}
	free(list->e);
	memset(list, 0, sizeof(*list));
}

static int
entry_compare(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;

	return ikey_compare(x->key, x->tag, y->key, y->tag);
}

static void
entries_sort(Entries *list)
{
	qsort(list->e, list->count, sizeof(Entry), entry_compare);
}

static uint64_t
oracle_lower_bound(const Entries *list, NvmkvSlice key, uint64_t tag, uint64_t first)
{
	uint64_t low = first;
	uint64_t high = list->count;

	while (low < high)
	{
		uint64_t middle = (low + high) / 2;

		if (ikey_compare(list->e[middle].key, list->e[middle].tag, key, tag) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t
oracle_upper_bound(const Entries *list, NvmkvSlice key, uint64_t first)
{
	uint64_t i = oracle_lower_bound(list, key, 0, first);

	while (i < list->count && slice_equal(list->e[i].key, key))
		i++;
	return i;
}

static uint64_t next_sequence = 1;

static unsigned
random_type(void)
{
	static const unsigned types[] = {
		NVMKV_TYPE_DELETION, NVMKV_TYPE_VALUE, NVMKV_TYPE_VALUE, NVMKV_TYPE_TAGGED_VALUE,
		NVMKV_TYPE_TAGGED_DELETION, NVMKV_TYPE_TAGGED_LOCK, NVMKV_TYPE_COMMITTED_VALUE, NVMKV_TYPE_RANGE_DELETION};

	return types[check_random_below(sizeof(types) / sizeof(types[0]))];
}

/* Kinds of keys; each must order right by itself and with the other storage ids of its row. */
enum
{
	KEYS_SHORT,    /* 0..12 bytes of a two-letter alphabet: prefixes of each other, zeros */
	KEYS_TABLES,   /* few storage ids, integers behind them */
	KEYS_LONG,     /* long shared prefixes, 0..64 bytes */
	KEYS_MANY_IDS, /* a storage id for every few keys */
	KEYS_VERSIONS, /* few keys with hundreds of versions */
	KEYS_DECIMAL,  /* db_bench's */
	KEYS_RANDOM,   /* any bytes, 0..64 */
	KEYS_KINDS
};

static size_t
random_key(unsigned kind, uint8_t *key, uint64_t range)
{
	uint64_t n = check_random_below(range);
	size_t size;
	size_t i;

	switch (kind)
	{
		case KEYS_SHORT:
			size = check_random_below(13);
			for (i = 0; i < size; i++)
				key[i] = check_random_below(2) == 0 ? 0 : 0xff;
			return size;
		case KEYS_TABLES:
			put_be64(key, UINT64_C(0x1122334400) + check_random_below(3) * 0x10001);
			key[8] = 1;
			put_be64(key + 9, n);
			return 17 - (check_random_below(50) == 0 ? check_random_below(17) : 0);
		case KEYS_LONG:
			size = check_random_below(65);
			memset(key, 'p', size);
			for (i = size > 3 ? size - 3 : 0; i < size; i++)
				key[i] = (uint8_t) ('a' + check_random_below(4));
			return size;
		case KEYS_MANY_IDS:
			put_be64(key, UINT64_C(0x1122334400) + n / 4 * 77);
			put_be64(key + 8, n);
			return 16;
		case KEYS_VERSIONS:
			return (size_t) snprintf((char *) key, 64, "hot-key-number-%04" PRIu64, n % 5);
		case KEYS_DECIMAL:
			return (size_t) snprintf((char *) key, 64, "%016" PRIu64, n);
		default:
			size = check_random_below(65);
			check_random_bytes(key, size);
			return size;
	}
}

static void
add_random(Entries *list, unsigned kind, uint64_t range, size_t payload_max)
{
	static uint8_t payload[65536 + NVMKV_TXN_TAG_BYTES];
	uint8_t key[128];
	size_t key_size = random_key(kind, key, range);
	unsigned type = random_type();
	size_t size = check_random_below(payload_max + 1);

	if (check_random_below(3) == 0)
		size = check_random_below(size + 1);
	if ((type & NVMKV_TYPE_TAGGED_BIT) != 0)
		size += NVMKV_TXN_TAG_BYTES;
	memset(payload, (int) check_random_below(256), size);
	if (size > 8)
		put_u64(payload, check_random() | 1);
	entries_add(list, key, key_size, ikey_tag(next_sequence++, type), payload, size);
}

static Entries
random_entries(unsigned kind, uint64_t count, uint64_t range, size_t payload_max)
{
	Entries list = {0};

	while (list.count < count)
		add_random(&list, kind, range, payload_max);
	entries_sort(&list);
	return list;
}

/* ---- rows ---- */

static unsigned problems;
static bool problems_print = true;

static void
count_problem(void *ctx, const char *text)
{
	(void) ctx;
	problems++;
	if (problems_print)
		fprintf(stderr, "    problem: %s\n", text);
}

static unsigned
verify_row(const Fixture *f, const NvmRowRef *row, const NvmRowRef *older, bool print)
{
	problems = 0;
	problems_print = print;
	CHECK_OK(nvm_row_verify(f->pool, row, older, count_problem, NULL));
	return problems;
}

static uint64_t next_row_id = 1;
static unsigned row_prefix_bytes; /* of rows that are built from now on */

/* Builds and keeps the memory of the builder: its ref is valid until the builder is destroyed. */
static NvmRowBuilder *
build_row(const Fixture *f, const Entries *list, const NvmRowRef *older, unsigned bits, const NvmRowBuilt **built_out)
{
	NvmRowBuilder *b;
	NvmkvStatus status;
	uint64_t i;

	*built_out = NULL;
	status = nvm_row_builder_create(f->pool, next_row_id++, older, bits, row_prefix_bytes, &b);
	for (i = 0; i < list->count && status == NVMKV_OK; i++)
		status = nvm_row_builder_add(b, list->e[i].key, list->e[i].tag, list->e[i].payload);
	if (status == NVMKV_OK)
		status = nvm_row_builder_finish(b, built_out);
	if (!CHECK_OK(status))
		exit(2);
	return b;
}

static void
check_entry(const Fixture *f, const NvmRowRef *row, const Entries *list, uint64_t i, NvmkvBuf *scratch)
{
	NvmkvSlice key;
	NvmkvSlice payload;
	uint64_t tag;

	if (!CHECK_OK(nvm_row_entry(f->pool, row, i, scratch, &key, &tag, &payload)))
		return;
	CHECK(slice_equal(key, list->e[i].key));
	CHECK(slice_equal(payload, list->e[i].payload));
	CHECK_EQ(tag, list->e[i].tag);
}

static void
check_all_entries(const Fixture *f, const NvmRowRef *row, const Entries *list)
{
	NvmkvBuf scratch = {0};
	uint64_t i;

	for (i = row->first_live; i < list->count && check_failures == 0; i++)
		check_entry(f, row, list, i, &scratch);
	nvmkv_buf_free(&scratch);
}

/* A target near what is there: an entry's key and tag, a little changed perhaps. */
static size_t
random_target(const Entries *list, unsigned kind, uint64_t range, uint8_t *key, uint64_t *tag_out)
{
	const Entry *e = &list->e[check_random_below(list->count)];
	size_t size = e->key.size;

	if (check_random_below(4) == 0)
		size = random_key(kind, key, range);
	else
	{
		if (size > 0)
			memcpy(key, e->key.data, size);
		switch (check_random_below(6))
		{
			case 0:
				key[size++] = 0;
				break;
			case 1:
				size = size > 0 ? size - 1 : 0;
				break;
			case 2:
				if (size > 0)
					key[check_random_below(size)]++;
				break;
			default:
				break;
		}
	}
	switch (check_random_below(4))
	{
		case 0:
			*tag_out = NVMKV_TAG_MAX;
			break;
		case 1:
			*tag_out = 0;
			break;
		case 2:
			*tag_out = e->tag + 1 - check_random_below(3);
			break;
		default:
			*tag_out = ikey_tag(check_random_below(next_sequence + 1), 0);
			break;
	}
	return size;
}

static void
check_searches(const Fixture *f, const NvmRowRef *row, const Entries *list, unsigned kind, uint64_t range,
			   unsigned count)
{
	uint8_t key[256];

	while (count-- > 0 && check_failures == 0)
	{
		uint64_t tag;
		NvmkvSlice target = nvmkv_slice(key, random_target(list, kind, range, key, &tag));
		uint64_t lower = oracle_lower_bound(list, target, tag, row->first_live);
		uint64_t upper = oracle_upper_bound(list, target, row->first_live);
		uint64_t left = check_random_below(lower + 1);
		uint64_t right = lower + check_random_below(list->count - lower + 2);
		uint64_t got;

		CHECK_OK(nvm_row_lower_bound(f->pool, row, target, tag, 0, row->entries, &got));
		CHECK_EQ(got, lower);
		CHECK_OK(nvm_row_lower_bound(f->pool, row, target, tag, left, right, &got));
		CHECK_EQ(got, lower);
		CHECK_OK(nvm_row_upper_bound(f->pool, row, target, 0, row->entries, &got));
		CHECK_EQ(got, upper);
	}
}

static void
check_position(const NvmkvIter *it, const Entries *list, uint64_t expected, uint64_t first, uint64_t end)
{
	CHECK_OK(it->status);
	CHECK_EQ(it->valid, expected >= first && expected < end);
	if (it->valid && expected < end)
	{
		CHECK(slice_equal(it->key, list->e[expected].key));
		CHECK(slice_equal(it->payload, list->e[expected].payload));
		CHECK_EQ(it->tag, list->e[expected].tag);
	}
}

/* Both directions whole, then seeks with a walk either way. */
static void
check_iterator(const Fixture *f, const NvmRowRef *row, const Entries *list, unsigned kind, uint64_t range, uint64_t end,
			   unsigned seeks)
{
	NvmRowIter it;
	NvmkvIter *base = &it.base;
	uint8_t key[256];
	uint64_t i;

	nvm_row_iter_init(&it, f->pool, row, end);
	CHECK(!base->valid);
	if (end > list->count)
		end = list->count;
	if (end < row->first_live)
		end = row->first_live;
	i = row->first_live;
	for (base->ops->seek_first(base); base->valid && check_failures == 0; base->ops->next(base))
		check_position(base, list, i++, row->first_live, end);
	CHECK_EQ(i, end);
	for (base->ops->seek_last(base); base->valid && check_failures == 0; base->ops->prev(base))
		check_position(base, list, --i, row->first_live, end);
	CHECK_EQ(i, row->first_live);

	while (seeks-- > 0 && check_failures == 0)
	{
		uint64_t tag;
		NvmkvSlice target = nvmkv_slice(key, random_target(list, kind, range, key, &tag));
		unsigned steps = (unsigned) check_random_below(6);

		i = oracle_lower_bound(list, target, tag, row->first_live);
		if (check_random_below(2) == 0)
		{
			i = i < end ? i : end;
			base->ops->seek(base, target, tag);
			check_position(base, list, i, row->first_live, end);
		}
		else
		{
			if (i == list->count || ikey_compare(list->e[i].key, list->e[i].tag, target, tag) > 0)
				i--; /* wraps below 0: not a position */
			else if (i >= end)
				i = end - 1;
			if (i != UINT64_MAX && i >= end)
				i = end - 1;
			base->ops->seek_for_prev(base, target, tag);
			check_position(base, list, i, row->first_live, end);
		}
		while (steps-- > 0 && base->valid && check_failures == 0)
		{
			if (check_random_below(2) == 0)
			{
				base->ops->next(base);
				i++;
			}
			else
			{
				base->ops->prev(base);
				i--;
			}
			check_position(base, list, i, row->first_live, end);
		}
	}
	base->ops->destroy(base);
}

static void
check_filter(const Fixture *f, const NvmRowRef *row, const Entries *list, unsigned bits)
{
	unsigned hits = 0;
	unsigned i;

	for (i = 0; i < list->count; i++)
		CHECK(nvm_row_may_contain(f->pool, row, filter_hash(list->e[i].key)));
	for (i = 0; i < 4000; i++)
		hits += nvm_row_may_contain(f->pool, row, check_random());
	if (bits == 0)
		CHECK_EQ(hits, 4000);
	else if (bits >= 10)
		CHECK(hits < 4000 / 20);
}

/* What the index says of entries and of keys that are not theirs. */
static void
check_may_be(const Fixture *f, const NvmRowRef *row, const Entries *list, unsigned kind, uint64_t range)
{
	uint8_t other[NVMKV_KEY_BYTES_MAX];
	uint64_t i;
	bool may;

	for (i = row->first_live; i < list->count; i++)
	{
		size_t size = random_key(kind, other, range);
		NvmkvSlice key = list->e[i].key;

		CHECK_OK(nvm_row_may_be(f->pool, row, i, key, &may));
		CHECK(may);
		CHECK_OK(nvm_row_may_be(f->pool, row, i, nvmkv_slice(other, size), &may));
		CHECK(may || !slice_equal(list->e[i].key, nvmkv_slice(other, size)));

		/* The first bytes of it, and of another one. */
		key.size = check_random_below(key.size + 1);
		CHECK_OK(nvm_row_may_begin(f->pool, row, i, key, &may));
		CHECK(may);
		size = check_random_below(size + 1);
		CHECK_OK(nvm_row_may_begin(f->pool, row, i, nvmkv_slice(other, size), &may));
		CHECK(may || size > list->e[i].key.size || (size > 0 && memcmp(list->e[i].key.data, other, size) != 0));
	}
	CHECK_STATUS(nvm_row_may_begin(f->pool, row, row->entries, nvmkv_slice(other, 1), &may), NVMKV_INVALID);
	CHECK_STATUS(nvm_row_may_be(f->pool, row, row->entries, nvmkv_slice(other, 1), &may), NVMKV_INVALID);
}

/* ---- device and pool ---- */

TEST(pool_header_example)
{
	static const uint8_t expected[NVM_POOL_HEADER_BYTES] = {
		0x4e, 0x56, 0x4d, 0x4b, 0x56, 0x50, 0x4f, 0x4c, 0x01, 0,    0,    0,    0x00, 0x00, 0x10, 0x00,
		0x07, 0,    0,    0,    0,    0,    0,    0,    0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,
		0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0,    0,    0,    0,    0,    0,    0,    0,
		0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0xcc, 0x86, 0xf5, 0x36};
	NvmPoolHeader header = {7, UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718)};
	uint8_t bytes[NVM_POOL_HEADER_BYTES];
	unsigned i;

	nvm_pool_header_encode(&header, bytes);
	CHECK(memcmp(bytes, expected, sizeof(bytes)) == 0);
	memset(&header, 0, sizeof(header));
	CHECK_OK(nvm_pool_header_decode(bytes, "x", &header));
	CHECK_EQ(header.extent_count, 7);
	CHECK_EQ(header.system_identifier, UINT64_C(0x0102030405060708));
	CHECK_EQ(header.pool_id, UINT64_C(0x1112131415161718));
	for (i = 0; i < sizeof(bytes) * 8; i++)
	{
		bytes[i / 8] ^= (uint8_t) (1u << (i % 8));
		CHECK_STATUS(nvm_pool_header_decode(bytes, "x", &header), NVMKV_CORRUPTION);
		bytes[i / 8] ^= (uint8_t) (1u << (i % 8));
	}
}

TEST(pool_stamp_bytes)
{
	static const uint8_t begins[] = {0x4e, 0x56, 0x4d, 0x4b, 0x56, 0x53, 0x54, 0x4d, 1, 0, 0, 0, 0, 0, 0, 0,
									 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5};
	NvmPoolStamp stamp = {1, 0x21, 256, 5};
	NvmPoolStamp back;
	uint8_t bytes[NVM_STAMP_BYTES];
	unsigned i;

	nvm_stamp_encode(&stamp, bytes);
	CHECK(memcmp(bytes, begins, sizeof(begins)) == 0);
	CHECK(nvm_stamp_decode(bytes, &back));
	CHECK(memcmp(&stamp, &back, sizeof(back)) == 0);
	for (i = 0; i < sizeof(bytes) * 8; i++)
	{
		bytes[i / 8] ^= (uint8_t) (1u << (i % 8));
		CHECK(!nvm_stamp_decode(bytes, &back));
		CHECK_EQ(back.number, 0);
		bytes[i / 8] ^= (uint8_t) (1u << (i % 8));
	}
}

/* Writes into the file behind the pool's back. */
static void
patch_file(const char *path, uint64_t offset, const void *data, size_t size)
{
	int fd = open(path, O_RDWR);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, data, size, (off_t) offset) == (ssize_t) size);
	(void) close(fd);
}

static NvmkvStatus
try_open(Fixture *f, uint64_t bytes, uint64_t system, uint64_t pool_id, bool *created_out)
{
	NvmkvStatus status = open_at(f->path, bytes, system, pool_id, f->used, f->shm, &f->pool, created_out);

	if (status != NVMKV_OK)
	{
		CHECK(f->pool == NULL);
		CHECK(strstr(nvmkv_error()->text, "level0.pool") != NULL);
	}
	return status;
}

TEST(pool_reopen)
{
	Fixture f;
	bool created;
	uint64_t pool_id;
	uint32_t extents[3];

	fixture_paths(&f);
	CHECK_STATUS(try_open(&f, 0, SYSTEM, 0, &created), NVMKV_NOT_FOUND);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 77, &created), NVMKV_NOT_FOUND);
	CHECK(access(f.path, F_OK) != 0);
	CHECK_STATUS(try_open(&f, 4 * MIB, SYSTEM, 0, &created), NVMKV_INVALID);
	REQUIRE_OK(try_open(&f, 16 * MIB + 12345, SYSTEM, 0, &created));
	CHECK(created);
	CHECK_EQ(f.pool->extent_count, 15);
	CHECK_EQ(f.pool->dev->bytes, 16 * MIB);
	CHECK(f.pool->pool_id != 0);
	CHECK_EQ(f.pool->dev->is_pmem, getenv("PMEM_IS_PMEM_FORCE") != NULL);
	pool_id = f.pool->pool_id;
	CHECK_OK(nvm_pool_take(f.pool, 3, extents));
	nvm_pool_close(f.pool);

	/* The bitmap starts empty; the identifier stays. */
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created));
	CHECK(!created);
	CHECK_EQ(f.pool->extent_count, 15);
	CHECK_EQ(nvm_pool_free_count(f.pool), 15);
	nvm_pool_close(f.pool);
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	CHECK(!created);
	CHECK_EQ(f.pool->pool_id, pool_id);
	nvm_pool_close(f.pool);

	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM + 1, pool_id, &created), NVMKV_INVALID);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM + 1, 0, &created), NVMKV_INVALID);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id + 1, &created), NVMKV_INVALID);
	nvm_pool_shm_init(f.shm, 8 * MIB);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_INVALID);
	nvm_pool_shm_init(f.shm, 16 * MIB);
	REQUIRE_OK(try_open(&f, 0, SYSTEM, pool_id, &created));
	fixture_close(&f);
}

/* A pool is made where a link at its path leads, also when nothing is there yet; the link stays. */
TEST(pool_behind_a_link)
{
	static const char *const links[] = {"elsewhere/pool", "", "second", "./loop"}; /* "": the target in full */
	Fixture f;
	size_t i;

	fixture_paths(&f);
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
	{
		char dir[NVM_DEVICE_PATH_MAX], target[NVM_DEVICE_PATH_MAX + 32], link[NVM_DEVICE_PATH_MAX + 32];
		struct stat st;
		bool created;

		(void) snprintf(dir, sizeof(dir), "%s", f.path);
		*strrchr(dir, '/') = '\0';
		(void) snprintf(target, sizeof(target), "%s/elsewhere", dir);
		(void) mkdir(target, 0700);
		(void) snprintf(target, sizeof(target), "%s/elsewhere/pool", dir);
		(void) unlink(target);
		(void) unlink(f.path);
		(void) snprintf(link, sizeof(link), "%s/second", dir);
		(void) unlink(link);
		CHECK(symlink("elsewhere/pool", link) == 0);
		(void) snprintf(link, sizeof(link), "%s/loop", dir);
		(void) unlink(link);
		CHECK(symlink("loop", link) == 0);
		CHECK(symlink(i == 1 ? target : links[i], f.path) == 0);
		if (i == 3)
		{
			CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 0, &created), NVMKV_IO);
			break;
		}
		REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
		CHECK(created);
		nvm_pool_close(f.pool);
		CHECK(lstat(f.path, &st) == 0 && S_ISLNK(st.st_mode));
		CHECK(lstat(target, &st) == 0 && S_ISREG(st.st_mode));
		CHECK_EQ(st.st_size, 16 * MIB);
		REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
		CHECK(!created);
		nvm_pool_close(f.pool);
	}
	f.pool = NULL;
	fixture_close(&f);
}

TEST(pool_damaged_files)
{
	static const uint8_t zeros[NVM_POOL_PAGE_BYTES];
	Fixture f;
	bool created;
	uint64_t pool_id;
	uint32_t format = NVMKV_LE32(9);
	uint8_t header[NVM_POOL_HEADER_BYTES];
	uint8_t byte = 0x55;
	uint8_t other; /* in the number of the pool, which is a random one */

	fixture_open(&f, 16 * MIB);
	pool_id = f.pool->pool_id;
	memcpy(header, f.pool->dev->base, sizeof(header));
	other = (uint8_t) ~header[35];
	nvm_pool_close(f.pool);

	/* Something beyond the header: this is not a pool that was never finished. */
	patch_file(f.path, 3 * MIB, &byte, 1);
	patch_file(f.path, 35, &other, 1);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 0, &created), NVMKV_CORRUPTION);
	patch_file(f.path, 0, header, sizeof(header));
	patch_file(f.path, 0, &byte, 1);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 0, &created), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "magic") != NULL);

	memcpy(header + NVM_POOL_OFFSET_FORMAT, &format, 4);
	put_u32(header + NVM_POOL_OFFSET_CRC, crc32c_mask(crc32c(header, NVM_POOL_OFFSET_CRC)));
	patch_file(f.path, 0, header, sizeof(header));
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_VERSION);

	/* Half created, with a torn header or none: only when nothing is expected in it. */
	patch_file(f.path, 3 * MIB, zeros, 1);
	patch_file(f.path, 35, &other, 1);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK_STATUS(try_open(&f, 0, SYSTEM, 0, &created), NVMKV_CORRUPTION);
	CHECK_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	CHECK(created);
	nvm_pool_close(f.pool);
	patch_file(f.path, 0, zeros, sizeof(zeros));
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK_STATUS(try_open(&f, 0, SYSTEM, 0, &created), NVMKV_CORRUPTION);
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	CHECK(created);
	CHECK(f.pool->pool_id != pool_id);
	pool_id = f.pool->pool_id;
	nvm_pool_close(f.pool);

	CHECK(truncate(f.path, 15 * MIB) == 0);
	f.used = 15;
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK(strstr(nvmkv_error()->text, "truncated: it has 15728640 bytes, at least 16777216 are expected") != NULL);
	CHECK(truncate(f.path, 100) == 0);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK(truncate(f.path, 0) == 0);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_CORRUPTION);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 0, &created), NVMKV_CORRUPTION);
	CHECK(unlink(f.path) == 0);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, pool_id, &created), NVMKV_NOT_FOUND);
	CHECK(mkdir(f.path, 0700) == 0);
	CHECK_STATUS(try_open(&f, 16 * MIB, SYSTEM, 0, &created), NVMKV_INVALID);
	CHECK_STATUS(open_at("/dev/null", 16 * MIB, SYSTEM, 0, 0, f.shm, &f.pool, &created), NVMKV_INVALID);
	CHECK_STATUS(open_at("/proc/self/nothing/pool", 16 * MIB, SYSTEM, 0, 0, f.shm, &f.pool, &created), NVMKV_NOT_FOUND);
	CHECK_STATUS(open_at("", 16 * MIB, SYSTEM, 0, 0, f.shm, &f.pool, &created), NVMKV_INVALID);
	fixture_close(&f);
}

static const char *fault_point;
static unsigned fault_hits;

static NvmkvStatus
fail_at_point(const char *point)
{
	if (fault_point == NULL || strcmp(point, fault_point) != 0)
		return NVMKV_OK;
	fault_hits++;
	return NVMKV_FAIL(NVMKV_IO, "fault at %s of level0.pool", point);
}

static uint64_t
file_bytes(const Fixture *f)
{
	struct stat st;

	return stat(f->path, &st) == 0 ? (uint64_t) st.st_size : 0;
}

static NvmPoolStamp seen;
static NvmkvStatus judgement;

static NvmkvStatus
judge(void *ctx, const NvmPoolHeader *header, const NvmPoolStamp *stamp)
{
	Fixture *f = ctx;

	CHECK(header->system_identifier == SYSTEM && f->pool == NULL);
	seen = *stamp;
	return judgement == NVMKV_OK ? NVMKV_OK : NVMKV_FAIL(judgement, "level0.pool: no");
}

static NvmkvStatus
open_judged(Fixture *f, uint64_t bytes)
{
	NvmPoolOpening opening = {.path = f->path, .bytes = bytes, .system_identifier = SYSTEM, .judge = judge, .ctx = f};
	bool created;

	f->pool = NULL;
	return nvm_pool_open(&opening, f->shm, &f->pool, &created);
}

/* Two slots in turn: one that is torn leaves the other; who says no has a pool that is as it was. */
TEST(pool_generations)
{
	Fixture f;
	uint8_t torn = 0x77;
	uint64_t row;
	unsigned i;

	fixture_open(&f, 16 * MIB);
	CHECK_EQ(nvm_pool_stamp(f.pool)->number, 0);
	CHECK_OK(nvm_pool_note_row(f.pool, 3)); /* nobody's */
	CHECK_EQ(nvm_pool_stamp(f.pool)->number, 0);
	nvm_pool_close(f.pool);
	REQUIRE_OK(open_judged(&f, 16 * MIB));
	CHECK_EQ(seen.number, 0);
	CHECK_OK(nvm_pool_begin_generation(f.pool, 71, 1000, 5));
	for (row = 10; row < 15; row++)
	{
		CHECK_OK(nvm_pool_note_row(f.pool, row));
		CHECK_EQ(nvm_pool_stamp(f.pool)->last_row, row);
	}
	nvm_pool_close(f.pool);
	/* Number 6 is in slot 0; then the one before it counts; then none. */
	for (i = 0; i < 3; i++)
	{
		REQUIRE_OK(open_judged(&f, 16 * MIB));
		CHECK_EQ(seen.number, i < 2 ? 6 - i : 0);
		CHECK_EQ(seen.generation, i < 2 ? 71 : 0);
		CHECK_EQ(seen.position, i < 2 ? 1000 : 0);
		CHECK_EQ(seen.last_row, i < 2 ? 14 - i : 0);
		nvm_pool_close(f.pool);
		patch_file(f.path, (i + 1) * NVM_POOL_PAGE_BYTES + 9, &torn, 1);
	}
	judgement = NVMKV_CORRUPTION;
	CHECK_STATUS(open_judged(&f, 32 * MIB), NVMKV_CORRUPTION);
	judgement = NVMKV_OK;
	CHECK_EQ(file_bytes(&f), 16 * MIB);
	fixture_close(&f);
}

/* Whichever write of a stamp is the last, and torn: the one before it is there, and the next one is written again. */
TEST(pool_stamp_stopped)
{
	static const char *const points[] = {"pool.before_stamp", "pool.stamped"};
	Fixture f;
	unsigned i;

	fixture_open(&f, 16 * MIB);
	CHECK_OK(nvm_pool_begin_generation(f.pool, 71, 1000, 5));
	for (i = 0; i < 6; i++)
	{
		NvmPoolStamp before = *nvm_pool_stamp(f.pool);

		fault_point = points[i % 2];
		port_fault_hook = fail_at_point;
		CHECK_STATUS(i < 3 ? nvm_pool_note_row(f.pool, 100 * i + 10)
						   : nvm_pool_begin_generation(f.pool, 80 + i, 2000, 20),
					 NVMKV_IO);
		port_fault_hook = NULL;
		CHECK(memcmp(&before, nvm_pool_stamp(f.pool), sizeof(before)) == 0);
		/* Written or not, it is not known to be durable: its slot is the next one to be written, too. */
		CHECK_OK(nvm_pool_note_row(f.pool, 100 * i + 30));
		CHECK_EQ(nvm_pool_stamp(f.pool)->number, before.number + 1);
		nvm_pool_close(f.pool);
		REQUIRE_OK(open_judged(&f, 16 * MIB));
		CHECK_EQ(seen.number, before.number + 1);
		CHECK_EQ(seen.generation, 71);
		CHECK_EQ(seen.last_row, 100 * i + 30);
	}
	fixture_close(&f);
}

/* What is not wanted any more goes only if nobody else has opened it since. */
TEST(pool_removed_by_its_owner)
{
	Fixture f;
	NvmPoolOwner owner;
	bool created;

	fixture_open(&f, 16 * MIB);
	owner = (NvmPoolOwner){SYSTEM, f.pool->pool_id, 71, 0};
	CHECK_OK(nvm_pool_begin_generation(f.pool, 72, 1000, 5));
	nvm_pool_close(f.pool);
	f.pool = NULL;
	CHECK_OK(nvm_pool_remove(f.path, "elsewhere", &owner));
	CHECK(access(f.path, F_OK) == 0);
	owner.successor = 72;
	owner.pool_id++;
	CHECK_OK(nvm_pool_remove(f.path, "elsewhere", &owner));
	CHECK(access(f.path, F_OK) == 0);
	owner.pool_id--;
	CHECK_OK(nvm_pool_remove(f.path, "elsewhere", &owner));
	CHECK(access(f.path, F_OK) != 0);
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	CHECK_OK(nvm_pool_begin_generation(f.pool, 73, 1000, 5));
	nvm_pool_close(f.pool);
	f.pool = NULL;
	CHECK_OK(nvm_pool_remove(f.path, f.dir, &owner)); /* in its directory there is nobody else */
	CHECK(access(f.path, F_OK) != 0);
	fixture_close(&f);
}

/* Opens with rows in the first "used" extents, and marks the last of them. */
static void
reopen_sized(Fixture *f, uint64_t bytes, uint32_t used, uint32_t count, uint32_t usable)
{
	uint64_t id = f->pool->pool_id;
	bool created;

	nvm_pool_close(f->pool);
	f->pool = NULL;
	f->used = used;
	if (!CHECK_OK(try_open(f, bytes, SYSTEM, used > 0 ? id : 0, &created)))
		exit(2);
	CHECK(!created);
	CHECK_EQ(f->pool->pool_id, id);
	CHECK_EQ(f->pool->extent_count, count);
	CHECK_EQ(f->pool->usable, usable);
	CHECK_EQ(nvm_pool_free_count(f->pool), usable);
	CHECK_EQ(file_bytes(f), (count + 1) * MIB);
	if (used > 0)
		CHECK_OK(nvm_pool_mark(f->pool, used - 1));
	CHECK_EQ(nvm_pool_free_count(f->pool), usable - (used > 0 && used <= usable ? 1 : 0));
}

/* The length follows what is wanted, as far as no extent in use stands in the way. */
TEST(pool_grows_and_shrinks)
{
	Fixture f;
	uint32_t extents[32];
	uint32_t high = 19;
	bool cut;

	fixture_open(&f, 16 * MIB);
	reopen_sized(&f, 33 * MIB + 5, 0, 32, 32);
	reopen_sized(&f, 33 * MIB, 32, 32, 32);
	reopen_sized(&f, 12 * MIB, 20, 19 + 1, 11);
	/* New rows take what is wanted only; what is beyond is cut when it is free. */
	CHECK_OK(nvm_pool_take(f.pool, 11, extents));
	CHECK_EQ(extents[10], 10);
	CHECK_STATUS(nvm_pool_take(f.pool, 1, extents), NVMKV_NO_SPACE);
	CHECK_OK(nvm_pool_cut(f.pool, &cut));
	CHECK(!cut);
	nvm_pool_give(f.pool, &high, 1);
	CHECK_EQ(nvm_pool_free_count(f.pool), 0);
	CHECK_OK(nvm_pool_cut(f.pool, &cut));
	CHECK(cut);
	CHECK(nvm_pool_is_cut(f.pool));
	CHECK_EQ(file_bytes(&f), 12 * MIB);
	CHECK_OK(nvm_pool_cut(f.pool, &cut));
	CHECK(!cut);
	reopen_sized(&f, 12 * MIB, 11, 11, 11);

	/* Given up: nothing is taken, then all but the header goes, then the file. */
	reopen_sized(&f, 0, 11, 11, 0);
	CHECK_STATUS(nvm_pool_take(f.pool, 1, extents), NVMKV_NO_SPACE);
	high = 10;
	nvm_pool_give(f.pool, &high, 1);
	CHECK_OK(nvm_pool_cut(f.pool, &cut));
	CHECK(cut);
	CHECK_EQ(file_bytes(&f), NVM_POOL_HEAD_BYTES);
	/* Wanted again before it went. */
	reopen_sized(&f, 24 * MIB, 0, 23, 23);
	nvm_pool_close(f.pool);
	f.pool = NULL;
	CHECK_OK(remove_at(&f, SYSTEM + 1));
	CHECK_EQ(file_bytes(&f), 24 * MIB);
	CHECK_OK(remove_at(&f, SYSTEM));
	CHECK(access(f.path, F_OK) != 0);
	CHECK_OK(remove_at(&f, SYSTEM));
	fixture_close(&f);
}

/* A link's pool is removed where it is, and the link is good for another one. */
TEST(pool_behind_a_link_is_removed)
{
	Fixture f;
	char target[600];
	bool created;

	fixture_paths(&f);
	(void) snprintf(target, sizeof(target), "%s/other", f.dir);
	CHECK(symlink("other", f.path) == 0);
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	nvm_pool_close(f.pool);
	f.pool = NULL;
	CHECK_OK(remove_at(&f, SYSTEM));
	CHECK(access(target, F_OK) != 0);
	REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
	CHECK(created && access(target, F_OK) == 0);
	fixture_close(&f);
}

TEST(pool_blocks_are_allocated)
{
	Fixture f;
	struct stat st;
	bool created;
	int fd;

	/* Also of a file that somebody made sparse. */
	fixture_open(&f, 32 * MIB);
	CHECK(stat(f.path, &st) == 0);
	CHECK((uint64_t) st.st_blocks * 512 >= 32 * MIB);
	nvm_pool_close(f.pool);
	CHECK(unlink(f.path) == 0);
	fd = open(f.path, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 32 * MIB) == 0);
	(void) close(fd);
	REQUIRE_OK(try_open(&f, 32 * MIB, SYSTEM, 0, &created));
	CHECK(stat(f.path, &st) == 0);
	CHECK((uint64_t) st.st_blocks * 512 >= 32 * MIB);
	fixture_close(&f);
}

/* Whatever step of creation is the last, the next start creates the pool. */
TEST(pool_creation_stopped)
{
	static const char *const points[] = {"pool.file_allocated", "pool.before_header", "pool.header_persisted"};
	size_t i;

	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++)
	{
		Fixture f;
		bool created;

		fixture_paths(&f);
		fault_point = points[i];
		fault_hits = 0;
		port_fault_hook = fail_at_point;
		CHECK_STATUS(open_at(f.path, 16 * MIB, SYSTEM, 0, 0, f.shm, &f.pool, &created), NVMKV_IO);
		CHECK_EQ(fault_hits, 1);
		port_fault_hook = NULL;
		REQUIRE_OK(try_open(&f, 16 * MIB, SYSTEM, 0, &created));
		CHECK_EQ(created, i < 2);
		fixture_close(&f);
	}
}

static PortFileOps full_files;

static NvmkvStatus
no_blocks(PortFile *file, uint64_t size)
{
	(void) port_posix_files.preallocate(file, size); /* a part of it, as some file systems leave it */
	return NVMKV_FAIL(NVMKV_NO_SPACE, "no space");
}

/* Wherever a change of the length stops, the next open finds what it needs and goes on; no space costs nothing. */
TEST(pool_resizing_stopped)
{
	static const char *const points[] = {"pool.before_resize", "pool.resized"};
	Fixture f;
	bool created, cut;
	uint32_t high = 19;
	size_t i;

	for (i = 0; i < 4; i++)
	{
		bool grows = i < 2;
		uint64_t id;

		fixture_open(&f, 20 * MIB);
		id = f.pool->pool_id;
		nvm_pool_close(f.pool);
		f.used = 12;
		fault_point = points[i % 2];
		fault_hits = 0;
		port_fault_hook = fail_at_point;
		CHECK_STATUS(try_open(&f, grows ? 40 * MIB : 10 * MIB, SYSTEM, id, &created), NVMKV_IO);
		port_fault_hook = NULL;
		CHECK_EQ(fault_hits, 1);
		CHECK_EQ(file_bytes(&f), (i % 2 == 0 ? 20 : grows ? 40 : 13) * MIB);
		REQUIRE_OK(try_open(&f, grows ? 40 * MIB : 10 * MIB, SYSTEM, id, &created));
		CHECK_EQ(f.pool->extent_count, grows ? 39 : 12);
		CHECK_EQ(f.pool->usable, grows ? 39 : 9);
		fixture_close(&f);
	}

	fixture_open(&f, 20 * MIB);
	nvm_pool_close(f.pool);
	full_files = port_posix_files;
	full_files.preallocate = no_blocks;
	port_files = &full_files;
	REQUIRE_OK(try_open(&f, 40 * MIB, SYSTEM, 0, &created));
	port_files = &port_posix_files;
	CHECK_EQ(f.pool->extent_count, 19);
	CHECK_EQ(f.pool->usable, 19);
	CHECK_EQ(file_bytes(&f), 20 * MIB);

	/* Before the cut, and before the removal. */
	reopen_sized(&f, 12 * MIB, 19, 19, 11);
	high = 18;
	nvm_pool_give(f.pool, &high, 1);
	fault_point = "pool.before_cut";
	port_fault_hook = fail_at_point;
	CHECK_STATUS(nvm_pool_cut(f.pool, &cut), NVMKV_IO);
	CHECK(!cut);
	CHECK_EQ(file_bytes(&f), 20 * MIB);
	port_fault_hook = NULL;
	reopen_sized(&f, 12 * MIB, 0, 11, 11);
	nvm_pool_close(f.pool);
	f.pool = NULL;
	fault_point = "pool.before_remove";
	port_fault_hook = fail_at_point;
	CHECK_STATUS(remove_at(&f, SYSTEM), NVMKV_IO);
	port_fault_hook = NULL;
	CHECK_OK(remove_at(&f, SYSTEM));
	CHECK(access(f.path, F_OK) != 0);
	fixture_close(&f);
}

TEST(pool_in_use_elsewhere)
{
	Fixture f;
	pid_t pid;
	int state = 0;

	fixture_open(&f, 16 * MIB);
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		NvmPool *pool;
		bool created;
		NvmkvStatus status = open_at(f.path, 0, SYSTEM, 0, 0, f.shm, &pool, &created);

		_exit(status == NVMKV_INVALID && strstr(nvmkv_error()->text, "in use") != NULL ? 0 : 1);
	}
	CHECK(waitpid(pid, &state, 0) == pid);
	CHECK_EQ(state, 0);
	fixture_close(&f);
}

TEST(pool_extents)
{
	Fixture f;
	bool taken[199] = {false};
	uint32_t held[199];
	uint32_t count = 0;
	uint32_t extents[199];
	unsigned round;
	uint32_t i;

	fixture_open(&f, 200 * MIB);
	CHECK_EQ(f.pool->extent_count, 199);
	for (i = 0; i < 10; i++)
	{
		CHECK_OK(nvm_pool_mark(f.pool, i * 7));
		taken[i * 7] = true;
		held[count++] = i * 7;
	}
	CHECK_STATUS(nvm_pool_mark(f.pool, 7), NVMKV_CORRUPTION);
	CHECK_STATUS(nvm_pool_mark(f.pool, 199), NVMKV_CORRUPTION);
	CHECK_STATUS(nvm_pool_mark(f.pool, UINT32_MAX), NVMKV_CORRUPTION);
	CHECK(!nvm_pool_is_taken(f.pool, 199));

	for (round = 0; round < 5000 && check_failures == 0; round++)
	{
		uint32_t want = (uint32_t) check_random_below(30);

		if (check_random_below(2) == 0)
		{
			NvmkvStatus status = nvm_pool_take(f.pool, want, extents);

			CHECK_STATUS(status, want > 199 - count ? NVMKV_NO_SPACE : NVMKV_OK);
			if (status != NVMKV_OK)
				continue;
			for (i = 0; i < want; i++)
			{
				CHECK(extents[i] < 199 && !taken[extents[i]]);
				taken[extents[i]] = true;
				held[count++] = extents[i];
			}
		}
		else
		{
			for (i = 0; i < want && count > 0; i++)
			{
				uint32_t at = (uint32_t) check_random_below(count);

				extents[i] = held[at];
				taken[held[at]] = false;
				held[at] = held[--count];
			}
			nvm_pool_give(f.pool, extents, i);
		}
		CHECK_EQ(nvm_pool_free_count(f.pool), 199 - count);
		for (i = 0; i < 199; i++)
			CHECK_EQ(nvm_pool_is_taken(f.pool, i), taken[i]);
	}
	nvm_pool_give(f.pool, held, count);
	CHECK_OK(nvm_pool_take(f.pool, 199, extents));
	CHECK_STATUS(nvm_pool_take(f.pool, 1, extents), NVMKV_NO_SPACE);
	CHECK(strstr(nvmkv_error()->text, "full") != NULL);
	CHECK_EQ(nvm_pool_free_count(f.pool), 0);
	fixture_close(&f);
}

/* Extents next to each other for one after another; after the end the search wraps. */
TEST(pool_next_fit)
{
	Fixture f;
	uint32_t a[6];
	uint32_t b[6];
	uint32_t i;

	fixture_open(&f, 16 * MIB);
	CHECK_OK(nvm_pool_take(f.pool, 6, a));
	CHECK_OK(nvm_pool_take(f.pool, 6, b));
	for (i = 0; i < 6; i++)
	{
		CHECK_EQ(a[i], i);
		CHECK_EQ(b[i], 6 + i);
	}
	nvm_pool_give(f.pool, a, 6);
	CHECK_OK(nvm_pool_take(f.pool, 5, a));
	CHECK_EQ(a[0], 12);
	CHECK_EQ(a[2], 14);
	CHECK_EQ(a[3], 0);
	CHECK_EQ(a[4], 1);
	fixture_close(&f);
}

/* Processes take and give at once: no extent has two owners, none is lost. */
TEST(pool_processes)
{
	enum
	{
		PROCESSES = 4,
		ROUNDS = 3000
	};
	Fixture f;
	uint32_t *owner = port_posix_shared_alloc(128 * sizeof(uint32_t));
	pid_t pids[PROCESSES];
	uint32_t p;

	fixture_open(&f, 128 * MIB);
	(void) fflush(NULL);
	for (p = 0; p < PROCESSES; p++)
	{
		pids[p] = fork();
		if (pids[p] == 0)
		{
			uint32_t held[128];
			uint32_t count = 0;
			unsigned round;
			uint32_t i;

			port_posix_set_slot((int) p);
			check_random_state = check_seed + p + 1;
			for (round = 0; round < ROUNDS; round++)
			{
				uint32_t want = (uint32_t) check_random_below(20);

				if (nvm_pool_take(f.pool, want, held + count) == NVMKV_OK)
				{
					for (i = count; i < count + want; i++)
					{
						if (__atomic_exchange_n(&owner[held[i]], p + 1, __ATOMIC_SEQ_CST) != 0)
							_exit(1);
					}
					count += want;
				}
				want = (uint32_t) check_random_below(count + 1);
				for (i = count - want; i < count; i++)
				{
					if (__atomic_exchange_n(&owner[held[i]], 0, __ATOMIC_SEQ_CST) != p + 1)
						_exit(1);
				}
				nvm_pool_give(f.pool, held + count - want, want);
				count -= want;
			}
			for (i = 0; i < count; i++)
				owner[held[i]] = 0;
			nvm_pool_give(f.pool, held, count);
			_exit(0);
		}
	}
	for (p = 0; p < PROCESSES; p++)
	{
		int state = 1;

		CHECK(waitpid(pids[p], &state, 0) == pids[p]);
		CHECK_EQ(state, 0);
	}
	CHECK_EQ(nvm_pool_free_count(f.pool), 127);
	port_posix_shared_free(owner, 128 * sizeof(uint32_t));
	fixture_close(&f);
}

/* ---- rows ---- */

TEST(row_entry_example)
{
	static const uint8_t expected[] = {0x69, 0xb6, 0xbd, 0x65, 0x03, 0x05, 0x01, 0x07, 0, 0, 0, 0, 0, 0,
									   'k', 'e', 'y', 'v', 'a', 'l', 'u', 'e'};
	Fixture f;
	Entries list = {0};
	const NvmRowBuilt *built;
	NvmRowBuilder *b;
	const uint8_t *p;

	fixture_open(&f, 8 * MIB);
	entries_add(&list, "key", 3, ikey_tag(7, NVMKV_TYPE_VALUE), "value", 5);
	next_row_id = 5;
	b = build_row(&f, &list, NULL, 10, &built);
	p = f.pool->dev->base + nvm_extent_offset(built->ref.extents[0]) + NVM_ROW_HEADER_BYTES;
	CHECK(memcmp(p, expected, sizeof(expected)) == 0);
	CHECK_EQ(built->ref.entries, 1);
	CHECK_EQ(built->ref.extent_count, 1);
	CHECK_EQ(built->ref.first_extent_live, 1);
	CHECK_EQ(built->ref.data_bytes, sizeof(expected));
	CHECK_EQ(built->user_bytes, 8);
	CHECK_EQ(built->min_sequence, 7);
	CHECK_EQ(built->max_sequence, 7);
	CHECK_EQ(built->min_unresolved_fxid, 0);
	check_all_entries(&f, &built->ref, &list);
	CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
	nvm_row_builder_destroy(b);
	CHECK_EQ(nvm_pool_free_count(f.pool), 7);
	entries_free(&list);
	fixture_close(&f);
}

static void
check_built(const NvmRowBuilt *built, const Entries *list)
{
	uint64_t min_sequence = UINT64_MAX;
	uint64_t max_sequence = 0;
	uint64_t min_fxid = 0;
	uint64_t user_bytes = 0;
	uint64_t i;

	for (i = 0; i < list->count; i++)
	{
		NvmkvTxnTag txn = {0};
		NvmkvSlice value = {0};

		CHECK_OK(ikey_split_payload(list->e[i].tag, list->e[i].payload, &txn, &value));
		if (ikey_sequence(list->e[i].tag) < min_sequence)
			min_sequence = ikey_sequence(list->e[i].tag);
		if (ikey_sequence(list->e[i].tag) > max_sequence)
			max_sequence = ikey_sequence(list->e[i].tag);
		if (ikey_is_tagged(list->e[i].tag) && (list->e[i].tag & NVMKV_TYPE_COMMITTED_BIT) == 0 &&
			(min_fxid == 0 || txn.fxid < min_fxid))
			min_fxid = txn.fxid;
		user_bytes += list->e[i].key.size + value.size;
	}
	CHECK_EQ(built->ref.entries, list->count);
	CHECK_EQ(built->min_sequence, min_sequence);
	CHECK_EQ(built->max_sequence, max_sequence);
	CHECK_EQ(built->min_unresolved_fxid, min_fxid);
	CHECK_EQ(built->user_bytes, user_bytes);
	CHECK(slice_equal(nvmkv_buf_slice(&built->smallest), list->e[0].key));
	CHECK(slice_equal(nvmkv_buf_slice(&built->largest), list->e[list->count - 1].key));
}

TEST(row_random)
{
	Fixture f;
	unsigned round;

	fixture_open_quick(&f, 128 * MIB);
	for (round = 0; round < 60 && check_failures == 0; round++)
	{
		unsigned kind = round % KEYS_KINDS;
		uint64_t count = 1 + check_random_below(check_random_below(2) == 0 ? 20 : 3000);
		uint64_t range = 1 + check_random_below(count * 2);
		unsigned bits = round % 5 == 0 ? 0 : 10;
		Entries list = random_entries(kind, count, range, round % 9 == 0 ? 20000 : 200);
		const NvmRowBuilt *built;
		NvmRowBuilder *b;
		NvmRowRef row;
		unsigned pass;

		row_prefix_bytes = round % 4 * 3;
		b = build_row(&f, &list, NULL, bits, &built);
		row = built->ref;
		row_prefix_bytes = 0;
		check_built(built, &list);
		CHECK_OK(nvm_row_check_header(f.pool, &row));
		CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
		check_filter(&f, &row, &list, bits);
		for (pass = 0; pass < 4; pass++)
		{
			check_all_entries(&f, &row, &list);
			check_searches(&f, &row, &list, kind, range, 300);
			check_may_be(&f, &row, &list, kind, range);
			check_iterator(&f, &row, &list, kind, range, row.entries, 200);
			check_iterator(&f, &row, &list, kind, range, check_random_below(count + 2), 100);
			row.first_live = pass == 2 ? count : check_random_below(count + 1);
			row.first_extent_live = nvm_row_extents_below(f.pool, &row, row.first_live);
			CHECK_EQ(nvm_row_bytes_between(f.pool, &row, 0, row.first_live) +
						 nvm_row_bytes_between(f.pool, &row, row.first_live, count),
					 row.data_bytes);
			CHECK_OK(nvm_row_check_header(f.pool, &row));
			CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
		}
		nvm_row_builder_destroy(b);
		entries_free(&list);
		CHECK_EQ(nvm_pool_free_count(f.pool), 127);
		if (check_failures > 0)
			fprintf(stderr, "    round %u, kind %u, %" PRIu64 " entries\n", round, kind, count);
	}
	fixture_close(&f);
}

/* Keys of even ids; odd ids are hardly ever believed to be there. */
TEST(row_knows_prefixes)
{
	const uint64_t ids = 1000;
	uint8_t key[16];
	Entries list = {0};
	Fixture f;
	uint64_t id;
	unsigned bits;

	fixture_open_quick(&f, 16 * MIB);
	entries_add(&list, "short", 5, ikey_tag(1, NVMKV_TYPE_VALUE), "v", 1);
	for (id = 0; id < 2 * ids; id += 2)
	{
		uint64_t i;

		put_be64(key, id);
		entries_add(&list, key, 8, ikey_tag(7, NVMKV_TYPE_RANGE_DELETION), NULL, 0);
		for (i = 0; i < id % 7; i++)
		{
			put_be64(key + 8, i);
			entries_add(&list, key, sizeof(key), ikey_tag(100 + i, NVMKV_TYPE_VALUE), "value", 5);
		}
	}
	entries_sort(&list);
	for (bits = 0; bits <= 10; bits += 10)
	{
		const NvmRowBuilt *built;
		NvmRowBuilder *b;
		unsigned wrong = 0;

		row_prefix_bytes = 8;
		b = build_row(&f, &list, NULL, bits, &built);
		row_prefix_bytes = 0;
		CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
		for (id = 0; id < 2 * ids; id++)
		{
			bool may;

			put_be64(key, id);
			may = nvm_row_may_hold(f.pool, &built->ref, 8, filter_prefix_hash(nvmkv_slice(key, 8)));
			CHECK(may || id % 2 != 0);
			wrong += may && id % 2 != 0;
			/* Prefixes of another length are not in it, so it says nothing of them. */
			CHECK(nvm_row_may_hold(f.pool, &built->ref, 7, filter_prefix_hash(nvmkv_slice(key, 7))));
			CHECK(nvm_row_may_hold(f.pool, &built->ref, 0, filter_prefix_hash(nvmkv_slice(key, 0))));
			if (id % 2 == 0)
				CHECK(nvm_row_may_contain(f.pool, &built->ref, filter_hash(nvmkv_slice(key, 8))));
		}
		CHECK(bits == 0 ? wrong == ids : wrong < ids / 20);
		nvm_row_builder_destroy(b);

		/* As before there were prefixes. */
		b = build_row(&f, &list, NULL, bits, &built);
		put_be64(key, 1);
		CHECK(nvm_row_may_hold(f.pool, &built->ref, 8, filter_prefix_hash(nvmkv_slice(key, 8))));
		CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
		nvm_row_builder_destroy(b);
	}
	entries_free(&list);
	fixture_close(&f);
}

TEST(row_first_live_everywhere)
{
	Fixture f;
	unsigned kind;

	fixture_open_quick(&f, 16 * MIB);
	for (kind = 0; kind < KEYS_KINDS && check_failures == 0; kind++)
	{
		Entries list = random_entries(kind, 700, 900, 100);
		const NvmRowBuilt *built;
		NvmRowBuilder *b = build_row(&f, &list, NULL, 10, &built);
		NvmRowRef row = built->ref;

		for (row.first_live = 0; row.first_live <= row.entries && check_failures == 0; row.first_live++)
		{
			NvmRowIter it;
			NvmkvBuf scratch = {0};
			NvmkvSlice slice;
			uint64_t tag;

			check_searches(&f, &row, &list, kind, 900, 10);
			nvm_row_iter_init(&it, f.pool, &row, row.entries);
			it.base.ops->seek_first(&it.base);
			check_position(&it.base, &list, row.first_live, row.first_live, row.entries);
			if (it.base.valid)
			{
				it.base.ops->prev(&it.base);
				CHECK(!it.base.valid);
			}
			it.base.ops->destroy(&it.base);
			if (row.first_live > 0)
				CHECK_STATUS(nvm_row_entry(f.pool, &row, row.first_live - 1, &scratch, &slice, &tag, &slice),
							 NVMKV_INVALID);
			CHECK_STATUS(nvm_row_entry(f.pool, &row, row.entries, &scratch, &slice, &tag, &slice), NVMKV_INVALID);
		}
		nvm_row_builder_destroy(b);
		entries_free(&list);
	}
	fixture_close(&f);
}

/* Takes every extent and gives back a random half: rows get extents that are not neighbours. */
static uint32_t
fragment_pool(const Fixture *f, uint32_t *kept)
{
	uint32_t *all = malloc(f->pool->extent_count * sizeof(uint32_t));
	uint32_t count = 0;
	uint32_t i;

	CHECK_OK(nvm_pool_take(f->pool, f->pool->extent_count, all));
	for (i = 0; i < f->pool->extent_count; i++)
	{
		if (i % 3 == 1 || check_random_below(4) == 0)
			kept[count++] = all[i];
		else
			nvm_pool_give(f->pool, &all[i], 1);
	}
	free(all);
	return count;
}

/* Extents that were given back are overwritten at once: whoever still looks at them reads garbage. */
TEST(row_extents_given_back)
{
	static uint8_t garbage[1 << 20];
	Fixture f;
	uint32_t kept[255];
	unsigned round;

	memset(garbage, 0xA5, sizeof(garbage));
	fixture_open_quick(&f, 256 * MIB);
	(void) fragment_pool(&f, kept);
	for (round = 0; round < 4 && check_failures == 0; round++)
	{
		unsigned kind = round == 0 ? KEYS_TABLES : (round == 1 ? KEYS_VERSIONS : KEYS_DECIMAL);
		Entries list = random_entries(kind, round == 3 ? 300 : 9000, 20000, round == 3 ? 65000 : 1500);
		Entries newer = random_entries(kind, 500, 20000, 100);
		const NvmRowBuilt *built;
		NvmRowBuilder *b = build_row(&f, &list, NULL, 10, &built);
		NvmRowRef row = built->ref;
		uint32_t data_extents = (uint32_t) (nvm_row_data_end(row.data_bytes) >> NVM_EXTENT_SHIFT);
		uint32_t last = 1;

		CHECK(row.extent_count >= 6);
		CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
		for (;;)
		{
			uint32_t below = nvm_row_extents_below(f.pool, &row, row.first_live);
			const NvmRowBuilt *newer_built;
			NvmRowBuilder *nb;

			CHECK(below >= last && below >= 1 && below < row.extent_count);
			CHECK(below <= data_extents || below == 1);
			for (; last < below; last++)
				f.pool->dev->ops->copy(f.pool->dev, nvm_extent_offset(row.extents[last]), garbage, sizeof(garbage));
			row.first_extent_live = below;
			CHECK_OK(nvm_row_check_header(f.pool, &row));
			CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
			check_searches(&f, &row, &list, kind, 20000, 200);
			check_all_entries(&f, &row, &list);

			/* A newer row's hints are built over what is live. */
			nb = build_row(&f, &newer, &row, 10, &newer_built);
			CHECK_EQ(newer_built->ref.older_row_id, row.row_id);
			CHECK_EQ(verify_row(&f, &newer_built->ref, &row, true), 0);
			nvm_row_builder_destroy(nb);
			if (row.first_live == row.entries || check_failures > 0)
				break;
			row.first_live += 1 + check_random_below(row.entries / 10);
			if (row.first_live > row.entries)
				row.first_live = row.entries;
		}
		if (data_extents > 1)
			CHECK_EQ(last, data_extents);
		nvm_row_builder_destroy(b);
		entries_free(&list);
		entries_free(&newer);
	}
	fixture_close(&f);
}

TEST(row_large_values)
{
	Fixture f;
	uint32_t kept[127];
	uint32_t kept_count;
	uint8_t *big = malloc(8 * MIB + 1);
	unsigned round;

	check_random_bytes(big, 8 * MIB + 1);
	fixture_open_quick(&f, 128 * MIB);
	for (round = 0; round < 2; round++)
	{
		Entries list = {0};
		const NvmRowBuilt *built;
		NvmRowBuilder *b;
		size_t sizes[] = {0, 1, 16000, 16384, 16385, 65536, MIB - 300, MIB, MIB + 1, 3 * MIB + 7, 8 * MIB};
		size_t i;

		for (i = 0; i < 40; i++)
		{
			char key[32];
			size_t size = i < 11 ? sizes[(i * 7) % 11] : check_random_below(65536);

			entries_add(&list, key, (size_t) snprintf(key, sizeof(key), "key%03zu", i),
						ikey_tag(i + 1, NVMKV_TYPE_VALUE), big + i % 2, size);
		}
		b = build_row(&f, &list, NULL, 10, &built);
		CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
		check_all_entries(&f, &built->ref, &list);
		check_iterator(&f, &built->ref, &list, KEYS_DECIMAL, 10, built->ref.entries, 20);
		check_searches(&f, &built->ref, &list, KEYS_DECIMAL, 10, 200);
		nvm_row_builder_destroy(b);
		entries_free(&list);
		if (round == 0)
			kept_count = fragment_pool(&f, kept);
	}
	(void) kept_count;
	free(big);
	fixture_close(&f);
}

TEST(row_limits)
{
	Fixture f;
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	uint8_t *big = calloc(1, NVMKV_VALUE_BYTES_MAX + NVMKV_TXN_TAG_BYTES + 1);
	NvmkvSlice key = nvmkv_slice("k", 1);
	NvmkvSlice value = nvmkv_slice("v", 1);

	fixture_open(&f, 64 * MIB);
	CHECK_STATUS(nvm_row_builder_create(f.pool, 0, NULL, 10, 0, &b), NVMKV_INVALID);
	CHECK_OK(nvm_row_builder_create(f.pool, 900, NULL, 10, 0, &b));
	CHECK_STATUS(nvm_row_builder_finish(b, &built), NVMKV_INVALID);
	nvm_row_builder_destroy(b);

	CHECK_OK(nvm_row_builder_create(f.pool, 901, NULL, 10, 0, &b));
	CHECK_OK(nvm_row_builder_add(b, key, ikey_tag(5, NVMKV_TYPE_VALUE), value));
	CHECK_STATUS(nvm_row_builder_add(b, key, ikey_tag(5, NVMKV_TYPE_VALUE), value), NVMKV_INVALID);
	CHECK_STATUS(nvm_row_builder_add(b, nvmkv_slice("l", 1), ikey_tag(5, NVMKV_TYPE_VALUE), value), NVMKV_INVALID);
	CHECK_STATUS(nvm_row_builder_finish(b, &built), NVMKV_INVALID);
	nvm_row_builder_destroy(b);

	CHECK_OK(nvm_row_builder_create(f.pool, 902, NULL, 10, 0, &b));
	CHECK_STATUS(
		nvm_row_builder_add(b, nvmkv_slice(big, NVMKV_KEY_BYTES_MAX + 1), ikey_tag(5, NVMKV_TYPE_VALUE), value),
		NVMKV_LIMIT);
	nvm_row_builder_destroy(b);
	CHECK_OK(nvm_row_builder_create(f.pool, 903, NULL, 10, 0, &b));
	CHECK_STATUS(nvm_row_builder_add(b, key, ikey_tag(5, NVMKV_TYPE_VALUE),
									 nvmkv_slice(big, NVMKV_VALUE_BYTES_MAX + NVMKV_TXN_TAG_BYTES + 1)),
				 NVMKV_LIMIT);
	nvm_row_builder_destroy(b);
	CHECK_OK(nvm_row_builder_create(f.pool, 904, NULL, 10, 0, &b));
	CHECK_STATUS(nvm_row_builder_add(b, key, ikey_tag(5, NVMKV_TYPE_TAGGED_VALUE), value), NVMKV_CORRUPTION);
	nvm_row_builder_destroy(b);
	CHECK_OK(nvm_row_builder_create(f.pool, 905, NULL, 10, 0, &b));
	CHECK_STATUS(nvm_row_builder_add(b, key, ikey_tag(5, 0x77), value), NVMKV_INVALID);
	nvm_row_builder_destroy(b);

	/* The largest there may be. */
	CHECK_OK(nvm_row_builder_create(f.pool, 906, NULL, 10, 0, &b));
	CHECK_OK(nvm_row_builder_add(b, nvmkv_slice(big, NVMKV_KEY_BYTES_MAX), ikey_tag(5, NVMKV_TYPE_TAGGED_VALUE),
								 nvmkv_slice(big, NVMKV_VALUE_BYTES_MAX + NVMKV_TXN_TAG_BYTES)));
	CHECK_OK(nvm_row_builder_finish(b, &built));
	CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
	nvm_row_builder_destroy(b);
	CHECK_EQ(nvm_pool_free_count(f.pool), 63);
	free(big);
	fixture_close(&f);
}

TEST(row_ten_thousand_tiny)
{
	enum
	{
		LIVE = 50,
		ROWS = 10000
	};
	Fixture f;
	NvmRowBuilder *builders[LIVE] = {NULL};
	const NvmRowBuilt *built[LIVE];
	Entries lists[LIVE];
	unsigned i;

	fixture_open_quick(&f, 64 * MIB);
	memset(lists, 0, sizeof(lists));
	for (i = 0; i < check_part(ROWS) && check_failures == 0; i++)
	{
		unsigned slot = i % LIVE;

		if (builders[slot] != NULL)
		{
			check_all_entries(&f, &built[slot]->ref, &lists[slot]);
			nvm_row_builder_destroy(builders[slot]);
			entries_free(&lists[slot]);
		}
		lists[slot] = random_entries(i % KEYS_KINDS, 1 + check_random_below(5), 10, 20);
		builders[slot] = build_row(&f, &lists[slot], i > 0 ? &built[(i - 1) % LIVE]->ref : NULL, 10, &built[slot]);
		CHECK_EQ(built[slot]->ref.extent_count, 1);
	}
	for (i = 0; i < LIVE; i++)
	{
		const NvmRowRef *older = NULL;
		unsigned j;

		for (j = 0; j < LIVE; j++)
		{
			if (built[j]->ref.row_id == built[i]->ref.older_row_id)
				older = &built[j]->ref;
		}
		CHECK_EQ(verify_row(&f, &built[i]->ref, older, true), 0);
	}
	for (i = 0; i < LIVE; i++)
	{
		nvm_row_builder_destroy(builders[i]);
		entries_free(&lists[i]);
	}
	CHECK_EQ(nvm_pool_free_count(f.pool), 63);
	fixture_close(&f);
}

/* At whatever entry the pool is full: an error, and every extent is free again. */
TEST(row_pool_full)
{
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 20000, 1000000, 600);
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	uint32_t room;
	uint32_t need = 0;

	fixture_open_quick(&f, 32 * MIB);
	for (room = 1; room < 31; room++)
	{
		uint32_t held[31];
		NvmkvStatus status = NVMKV_OK;
		uint64_t i;

		CHECK_OK(nvm_pool_take(f.pool, 31 - room, held));
		CHECK_OK(nvm_row_builder_create(f.pool, next_row_id++, NULL, 10, 0, &b));
		for (i = 0; i < list.count && status == NVMKV_OK; i++)
			status = nvm_row_builder_add(b, list.e[i].key, list.e[i].tag, list.e[i].payload);
		if (status == NVMKV_OK)
			status = nvm_row_builder_finish(b, &built);
		if (status == NVMKV_OK)
		{
			if (need == 0)
				need = room;
			CHECK_EQ(built->ref.extent_count, need);
			check_searches(&f, &built->ref, &list, KEYS_TABLES, 1000000, 100);
			CHECK_EQ(verify_row(&f, &built->ref, NULL, true), 0);
		}
		else
		{
			CHECK_STATUS(status, NVMKV_NO_SPACE);
			CHECK_EQ(need, 0);
			CHECK_STATUS(nvm_row_builder_add(b, list.e[0].key, list.e[0].tag, list.e[0].payload), NVMKV_NO_SPACE);
		}
		nvm_row_builder_destroy(b);
		CHECK_EQ(nvm_pool_free_count(f.pool), room);
		nvm_pool_give(f.pool, held, 31 - room);
	}
	CHECK(need > 5);
	entries_free(&list);
	fixture_close(&f);
}

/* ---- durability ---- */

/* A device that remembers what was copied and not yet persisted. */
typedef struct Unpersisted
{
	const NvmDeviceOps *real;
	NvmDeviceOps ops;
	uint64_t from[4096];
	uint64_t to[4096];
	unsigned count;
	unsigned header_copies; /* of row headers, at 0 of an extent with the magic */
	unsigned at_data_point;
	unsigned at_header_point;
} Unpersisted;

static Unpersisted unpersisted;

static void
remember_copy(NvmDevice *dev, uint64_t offset, const void *data, size_t size)
{
	Unpersisted *u = &unpersisted;

	if (u->count < 4096 && size > 0)
	{
		u->from[u->count] = offset;
		u->to[u->count] = offset + size;
		u->count++;
	}
	else if (size > 0)
		check_failed(__FILE__, __LINE__, "too many copies");
	if ((offset & (NVM_EXTENT_BYTES - 1)) == 0 && size >= 8 && get_u64(data) == NVM_ROW_MAGIC)
		u->header_copies++;
	u->real->copy(dev, offset, data, size);
}

static NvmkvStatus
remember_persist(NvmDevice *dev, uint64_t offset, uint64_t size)
{
	Unpersisted *u = &unpersisted;
	unsigned i;
	unsigned left = 0;

	for (i = 0; i < u->count; i++)
	{
		if (u->from[i] >= offset && u->to[i] <= offset + size)
			continue;
		u->from[left] = u->from[i];
		u->to[left] = u->to[i];
		left++;
	}
	u->count = left;
	return u->real->persist(dev, offset, size);
}

static NvmkvStatus
look_at_points(const char *point)
{
	if (strcmp(point, "row.data_persisted") == 0)
	{
		unpersisted.at_data_point++;
		CHECK_EQ(unpersisted.header_copies, 0);
	}
	else if (strcmp(point, "row.header_persisted") == 0)
	{
		unpersisted.at_header_point++;
		CHECK_EQ(unpersisted.header_copies, 1);
	}
	else
		return NVMKV_OK;
	CHECK_EQ(unpersisted.count, 0);
	return NVMKV_OK;
}

TEST(row_publish_order)
{
	Fixture f;
	uint32_t kept[63];
	Entries list = random_entries(KEYS_TABLES, 15000, 100000, 1000);
	unsigned round;

	fixture_open(&f, 64 * MIB);
	(void) fragment_pool(&f, kept);
	memset(&unpersisted, 0, sizeof(unpersisted));
	unpersisted.real = f.pool->dev->ops;
	unpersisted.ops = *f.pool->dev->ops;
	unpersisted.ops.copy = remember_copy;
	unpersisted.ops.persist = remember_persist;
	f.pool->dev->ops = &unpersisted.ops;
	port_fault_hook = look_at_points;
	for (round = 0; round < 3; round++)
	{
		const NvmRowBuilt *built;
		NvmRowBuilder *b = build_row(&f, &list, NULL, 10, &built);

		CHECK(built->ref.extent_count > 5);
		CHECK_EQ(unpersisted.count, 0);
		nvm_row_builder_destroy(b);
		unpersisted.header_copies = 0;
	}
	CHECK_EQ(unpersisted.at_data_point, 3);
	CHECK_EQ(unpersisted.at_header_point, 3);
	port_fault_hook = NULL;
	f.pool->dev->ops = unpersisted.real;
	entries_free(&list);
	fixture_close(&f);
}

TEST(row_fault_points)
{
	static const char *const points[] = {"row.data_persisted", "row.header_persisted"};
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 1000, 100000, 100);
	size_t i;

	fixture_open(&f, 16 * MIB);
	for (i = 0; i < 2; i++)
	{
		NvmRowBuilder *b;
		const NvmRowBuilt *built;
		uint64_t j;

		fault_point = points[i];
		fault_hits = 0;
		port_fault_hook = fail_at_point;
		CHECK_OK(nvm_row_builder_create(f.pool, next_row_id++, NULL, 10, 0, &b));
		for (j = 0; j < list.count; j++)
			CHECK_OK(nvm_row_builder_add(b, list.e[j].key, list.e[j].tag, list.e[j].payload));
		CHECK_STATUS(nvm_row_builder_finish(b, &built), NVMKV_IO);
		CHECK_EQ(fault_hits, 1);
		CHECK(built == NULL);
		nvm_row_builder_destroy(b);
		CHECK_EQ(nvm_pool_free_count(f.pool), 15);
		port_fault_hook = NULL;
	}
	entries_free(&list);
	fixture_close(&f);
}

/* The n-th allocation fails: an error, nothing leaked, the extents free. */
static unsigned allocations_left;

static NvmkvStatus
fail_allocation(const char *point)
{
	if (strcmp(point, "port.alloc") != 0)
		return NVMKV_OK;
	if (allocations_left == 0)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory");
	allocations_left--;
	return NVMKV_OK;
}

TEST(row_no_memory)
{
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 3000, 100000, 300);
	unsigned n;
	bool done = false;

	fixture_open_quick(&f, 16 * MIB);
	for (n = 0; !done && n < 1000; n++)
	{
		NvmRowBuilder *b = NULL;
		const NvmRowBuilt *built = NULL;
		NvmColumn column = {0};
		NvmkvStatus status;
		uint64_t i;

		allocations_left = n;
		port_fault_hook = fail_allocation;
		status = nvm_row_builder_create(f.pool, next_row_id++, NULL, 10, 0, &b);
		for (i = 0; i < list.count && status == NVMKV_OK; i++)
			status = nvm_row_builder_add(b, list.e[i].key, list.e[i].tag, list.e[i].payload);
		if (status == NVMKV_OK)
			status = nvm_row_builder_finish(b, &built);
		if (status == NVMKV_OK)
			status = nvm_column_pick(f.pool, &built->ref, 1, NULL, 0, 10000, &column);
		port_fault_hook = NULL;
		done = status == NVMKV_OK;
		if (!done)
			CHECK_STATUS(status, NVMKV_NO_MEMORY);
		nvm_column_free(&column);
		nvm_row_builder_destroy(b);
		CHECK_EQ(nvm_pool_free_count(f.pool), 15);
	}
	CHECK(done && n > 10);
	entries_free(&list);
	fixture_close(&f);
}

/* The n-th write or sync of the file fails. */
static const PortFileOps *real_files;
static unsigned writes_left;
static unsigned syncs_left;

static NvmkvStatus
failing_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	if (writes_left == 0)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space");
	writes_left--;
	return real_files->write(file, offset, data, size);
}

static NvmkvStatus
failing_sync(PortFile *file)
{
	if (syncs_left == 0)
		return NVMKV_FAIL(NVMKV_IO, "sync fails");
	syncs_left--;
	return real_files->sync(file);
}

TEST(row_device_failures)
{
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 3000, 100000, 300);
	PortFileOps files = *port_files;
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	unsigned n;
	bool done = false;

	if (getenv("PMEM_IS_PMEM_FORCE") != NULL)
	{
		entries_free(&list);
		return; /* stores into memory have no status */
	}
	fixture_open(&f, 16 * MIB);
	real_files = port_files;
	files.write = failing_write;
	files.sync = failing_sync;
	port_files = &files;
	for (n = 0; !done && n < 100; n++)
	{
		NvmkvStatus status = NVMKV_OK;
		uint64_t i;

		writes_left = n;
		syncs_left = 2;
		CHECK_OK(nvm_row_builder_create(f.pool, next_row_id++, NULL, 10, 0, &b));
		for (i = 0; i < list.count && status == NVMKV_OK; i++)
			status = nvm_row_builder_add(b, list.e[i].key, list.e[i].tag, list.e[i].payload);
		if (status == NVMKV_OK)
			status = nvm_row_builder_finish(b, &built);
		done = status == NVMKV_OK;
		if (!done)
			CHECK_STATUS(status, NVMKV_NO_SPACE);
		nvm_row_builder_destroy(b);
		CHECK_EQ(nvm_pool_free_count(f.pool), 15);
	}
	CHECK(done && n > 5);

	/* A failed sync is for ever: the kernel may have dropped what it could not write. */
	writes_left = UINT32_MAX;
	syncs_left = 0;
	for (n = 0; n < 2; n++)
	{
		CHECK_OK(nvm_row_builder_create(f.pool, next_row_id++, NULL, 10, 0, &b));
		CHECK_OK(nvm_row_builder_add(b, list.e[0].key, list.e[0].tag, list.e[0].payload));
		CHECK_STATUS(nvm_row_builder_finish(b, &built), NVMKV_IO);
		nvm_row_builder_destroy(b);
		syncs_left = 10;
	}
	port_files = real_files;
	entries_free(&list);
	fixture_close(&f);
}

/* A row outlives the process: open again, mark, read. */
TEST(row_reopen)
{
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 20000, 1000000, 300);
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	NvmRowRef row;
	uint32_t extents[64];
	uint64_t pool_id;
	bool created;
	uint32_t i;

	fixture_open(&f, 32 * MIB);
	b = build_row(&f, &list, NULL, 10, &built);
	row = built->ref;
	memcpy(extents, row.extents, row.extent_count * sizeof(uint32_t));
	row.extents = extents;
	pool_id = f.pool->pool_id;
	nvm_row_builder_keep(b);
	nvm_row_builder_destroy(b);
	CHECK_EQ(nvm_pool_free_count(f.pool), 31 - row.extent_count);
	nvm_pool_close(f.pool);

	REQUIRE_OK(try_open(&f, 8 * MIB, SYSTEM, pool_id, &created));
	for (i = 0; i < row.extent_count; i++)
		CHECK_OK(nvm_pool_mark(f.pool, row.extents[i]));
	CHECK_EQ(nvm_pool_free_count(f.pool), 7 - row.extent_count);
	CHECK_OK(nvm_row_check_header(f.pool, &row));
	CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
	check_all_entries(&f, &row, &list);

	/* What the manifest says must be what the header says. */
	row.entries++;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	row.entries--;
	row.row_id++;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	CHECK_EQ(verify_row(&f, &row, NULL, false), 1);
	row.row_id--;
	row.data_bytes--;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	row.data_bytes++;
	row.older_row_id++;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	row.older_row_id--;
	row.extent_count--;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	row.extent_count++;
	extents[2] ^= 1;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	extents[2] ^= 1;
	extents[0] = 999;
	CHECK_STATUS(nvm_row_check_header(f.pool, &row), NVMKV_CORRUPTION);
	entries_free(&list);
	fixture_close(&f);
}

/* ---- damage ---- */

static uint8_t
flip(const Fixture *f, const NvmRowRef *row, uint64_t offset, uint8_t bits)
{
	uint64_t at = nvm_extent_offset(row->extents[offset >> NVM_EXTENT_SHIFT]) + (offset & (NVM_EXTENT_BYTES - 1));
	uint8_t byte = f->pool->dev->base[at] ^ bits;

	f->pool->dev->ops->copy(f->pool->dev, at, &byte, 1);
	return byte;
}

TEST(row_every_byte_is_checked)
{
	Fixture f;
	Entries list = {0};
	NvmRowBuilder *b;
	NvmRowBuilder *older_builder;
	const NvmRowBuilt *built;
	const NvmRowBuilt *older_built;
	Entries older = random_entries(KEYS_TABLES, 200, 400, 40);
	NvmRowRef row;
	uint64_t used;
	uint64_t offset;
	const uint8_t *header;

	fixture_open_quick(&f, 16 * MIB);
	while (list.count < 600)
		add_random(&list, list.count % 2 == 0 ? KEYS_TABLES : KEYS_DECIMAL, 400, 40);
	entries_sort(&list);
	older_builder = build_row(&f, &older, NULL, 10, &older_built);
	row_prefix_bytes = 8;
	b = build_row(&f, &list, &older_built->ref, 10, &built);
	row_prefix_bytes = 0;
	row = built->ref;
	header = f.pool->dev->base + nvm_extent_offset(row.extents[0]);
	used = get_u64(header + NVM_ROW_OFFSET_LIST) + 4 * row.extent_count;
	CHECK_EQ(row.extent_count, 1);
	CHECK_EQ(verify_row(&f, &row, &older_built->ref, true), 0);
	/* With a sanitizer every third: it has nothing to see in the checksums of the others. */
	for (offset = 0; offset < used && check_failures == 0; offset += check_sanitized() ? 3 : 1)
	{
		uint64_t data_end = nvm_row_data_end(row.data_bytes);
		bool region_gap = (offset >= data_end && offset < nvm_row_index_offset(row.data_bytes)) ||
						  (offset >= nvm_row_index_offset(row.data_bytes) + row.entries * NVM_ROW_ELEMENT_BYTES &&
						   offset < nvm_row_directory_offset(row.data_bytes, row.entries)) ||
						  (offset >= nvm_row_fence_offset(row.data_bytes, row.entries) +
										 get_u64(header + NVM_ROW_OFFSET_FENCE_BYTES) &&
						   offset < get_u64(header + NVM_ROW_OFFSET_FILTER));
		uint8_t bits = (uint8_t) (1u << check_random_below(8));

		if (region_gap)
			continue;
		(void) flip(&f, &row, offset, bits);
		if (verify_row(&f, &row, &older_built->ref, false) == 0)
		{
			fprintf(stderr, "    byte %" PRIu64 " of %" PRIu64 "\n", offset, used);
			CHECK(problems > 0);
		}
		(void) flip(&f, &row, offset, bits);
	}
	CHECK_EQ(verify_row(&f, &row, &older_built->ref, true), 0);
	nvm_row_builder_destroy(b);
	nvm_row_builder_destroy(older_builder);
	entries_free(&list);
	entries_free(&older);
	fixture_close(&f);
}

/* Under any damage reads end in an entry that was written at that place, or in CORRUPTION; never in a crash. */
TEST(row_random_damage)
{
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 3000, 2000, 60);
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	NvmRowRef row;
	uint8_t *saved = malloc(2 * MIB);
	NvmkvBuf scratch = {0};
	uint64_t used;
	unsigned round;
	unsigned corruptions = 0;

	fixture_open_quick(&f, 16 * MIB);
	row_prefix_bytes = 8;
	b = build_row(&f, &list, NULL, 10, &built);
	row_prefix_bytes = 0;
	row = built->ref;
	CHECK(row.extent_count <= 2);
	CHECK(nvm_row_copy_out(f.pool, &row, 0, (uint64_t) row.extent_count * MIB, saved));
	used = get_u64(saved + NVM_ROW_OFFSET_LIST) + 4 * row.extent_count;
	for (round = 0; round < 300 && check_failures == 0; round++)
	{
		unsigned damages = 1 + (unsigned) check_random_below(30);
		NvmRowIter it;
		unsigned i;

		for (i = 0; i < damages; i++)
		{
			uint64_t at = check_random_below(used);
			uint64_t size = 1 + check_random_below(40);

			/* The header is checked at open: here the rest, and a few times the header too. */
			if (at < NVM_ROW_HEADER_BYTES && round % 10 != 0)
				continue;
			while (size-- > 0 && at < used)
				(void) flip(&f, &row, at++, (uint8_t) check_random());
		}
		for (i = 0; i < 100; i++)
		{
			uint8_t key[256];
			uint64_t tag;
			NvmkvSlice target = nvmkv_slice(key, random_target(&list, KEYS_TABLES, 2000, key, &tag));
			uint64_t index;
			NvmkvSlice k;
			NvmkvSlice p;
			NvmkvStatus status = nvm_row_lower_bound(f.pool, &row, target, tag, 0, row.entries, &index);
			bool may = true;

			(void) nvm_row_may_contain(f.pool, &row, filter_hash(target));
			(void) nvm_row_may_hold(f.pool, &row, 8, check_random());
			if (status == NVMKV_OK && index < row.entries)
				status = nvm_row_may_be(f.pool, &row, index, target, &may);
			if (status == NVMKV_OK && index < row.entries)
				status = nvm_row_entry(f.pool, &row, index, &scratch, &k, &tag, &p);
			if (status == NVMKV_OK && index < row.entries)
			{
				uint64_t real = oracle_lower_bound(&list, k, tag, 0);

				CHECK(real < list.count && list.e[real].tag == tag && slice_equal(list.e[real].key, k) &&
					  slice_equal(list.e[real].payload, p));
			}
			if (status != NVMKV_OK)
			{
				CHECK_STATUS(status, NVMKV_CORRUPTION);
				corruptions++;
			}
			(void) nvm_row_bytes_between(f.pool, &row, check_random_below(row.entries + 1),
										 check_random_below(row.entries + 1));
			CHECK(nvm_row_extents_below(f.pool, &row, check_random_below(row.entries + 1)) <= row.extent_count);
		}
		nvm_row_iter_init(&it, f.pool, &row, row.entries);
		for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base))
			continue;
		it.base.ops->destroy(&it.base);
		(void) verify_row(&f, &row, NULL, false);
		for (i = 0; i < 3; i++)
		{
			NvmColumn column;
			NvmkvStatus status = nvm_column_pick(f.pool, &row, 1, NULL, 0, 500 + check_random_below(50000), &column);

			if (status != NVMKV_OK && status != NVMKV_INVALID)
				CHECK_STATUS(status, NVMKV_CORRUPTION);
			nvm_column_free(&column);
		}
		for (i = 0; i < row.extent_count; i++)
			f.pool->dev->ops->copy(f.pool->dev, nvm_extent_offset(row.extents[i]), saved + i * MIB, MIB);
	}
	CHECK(corruptions > 100);
	CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
	nvmkv_buf_free(&scratch);
	free(saved);
	nvm_row_builder_destroy(b);
	entries_free(&list);
	fixture_close(&f);
}

/* An element that is spoilt after its block was checked, and leads into the midst of an entry, gives no extent away. */
TEST(row_keeps_extents_when_its_index_is_damaged)
{
	Fixture f;
	Entries list = random_entries(KEYS_DECIMAL, 300, 20000, 65000);
	NvmRowBuilder *b;
	const NvmRowBuilt *built;
	NvmRowRef row;
	NvmRowEntryHead head;
	uint64_t element, good, wrong;
	unsigned tried = 0;
	unsigned i;

	fixture_open_quick(&f, 64 * MIB);
	b = build_row(&f, &list, NULL, 10, &built);
	row = built->ref;
	CHECK(row.extent_count >= 6);
	CHECK_OK(nvm_row_read_head(f.pool, &row, 1, &head));
	good = head.offset;
	CHECK(nvm_row_extents_below(f.pool, &row, 1) == 1);
	element = nvm_row_index_offset(row.data_bytes) + NVM_ROW_ELEMENT_BYTES + NVM_ROW_ELEMENT_DATA;
	for (wrong = nvm_row_data_end(row.data_bytes) - MIB; tried < 20; wrong++)
	{
		REQUIRE(wrong < nvm_row_data_end(row.data_bytes));
		if (nvm_row_read_head_at(f.pool, &row, wrong, 1, &head) != NVMKV_OK ||
			nvm_row_check_entry(f.pool, &row, 1, &head) == NVMKV_OK)
			continue;
		tried++;
		for (i = 0; i < 4; i++)
			(void) flip(&f, &row, element + i, (uint8_t) ((good ^ wrong) >> 8 * i));
		CHECK_EQ(nvm_row_extents_below(f.pool, &row, 1), 1);
		for (i = 0; i < 4; i++)
			(void) flip(&f, &row, element + i, (uint8_t) ((good ^ wrong) >> 8 * i));
	}
	CHECK_EQ(verify_row(&f, &row, NULL, true), 0);
	nvm_row_builder_destroy(b);
	entries_free(&list);
	fixture_close(&f);
}

/* Offsets in a sealed header that would lead over the end of an extent. */
TEST(row_header_offsets)
{
	static const struct
	{
		unsigned field;
		uint64_t value;
	} bad[] = {
		{NVM_ROW_OFFSET_FILTER, NVM_EXTENT_BYTES - 8},
		{NVM_ROW_OFFSET_FILTER, UINT64_MAX - 63},
		{NVM_ROW_OFFSET_FILTER_BYTES, UINT64_MAX},
		{NVM_ROW_OFFSET_LIST, NVM_EXTENT_BYTES - 2},
		{NVM_ROW_OFFSET_LIST, UINT64_MAX - 3},
		{NVM_ROW_OFFSET_FENCE_BYTES, UINT64_MAX}};
	Fixture f;
	Entries list = random_entries(KEYS_TABLES, 300, 2000, 60);
	const NvmRowBuilt *built;
	NvmRowBuilder *b;
	uint8_t header[NVM_ROW_HEADER_BYTES];
	uint64_t at;
	unsigned i;

	fixture_open_quick(&f, 16 * MIB);
	b = build_row(&f, &list, NULL, 10, &built);
	at = nvm_extent_offset(built->ref.extents[0]);
	memcpy(header, f.pool->dev->base + at, sizeof(header));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		uint8_t changed[NVM_ROW_HEADER_BYTES];

		memcpy(changed, header, sizeof(header));
		put_u64(changed + bad[i].field, bad[i].value);
		put_u32(changed + NVM_ROW_OFFSET_CRC, crc32c_mask(crc32c(changed, NVM_ROW_OFFSET_CRC)));
		f.pool->dev->ops->copy(f.pool->dev, at, changed, sizeof(changed));
		CHECK_STATUS(nvm_row_check_header(f.pool, &built->ref), NVMKV_CORRUPTION);
		CHECK(nvm_row_may_contain(f.pool, &built->ref, check_random()) || i > 0);
	}
	f.pool->dev->ops->copy(f.pool->dev, at, header, sizeof(header));
	CHECK_OK(nvm_row_check_header(f.pool, &built->ref));
	nvm_row_builder_destroy(b);
	entries_free(&list);
	fixture_close(&f);
}

/* An older row that cannot be read costs the hints, not the flush. */
TEST(row_hints_without_older)
{
	Fixture f;
	Entries list = random_entries(KEYS_VERSIONS, 2000, 5, 50);
	NvmRowBuilder *older_builder;
	NvmRowBuilder *b;
	const NvmRowBuilt *older_built;
	const NvmRowBuilt *built;
	uint64_t i;

	fixture_open(&f, 16 * MIB);
	older_builder = build_row(&f, &list, NULL, 10, &older_built);

	/* Keys and tags stay: searches must ask of some entry whether it is before, and only a sound one may say that. */
	for (i = 0; i < older_built->ref.entries; i++)
	{
		NvmRowEntryHead head;

		CHECK_OK(nvm_row_read_head(f.pool, &older_built->ref, i, &head));
		(void) flip(&f, &older_built->ref, head.offset, 0xff);
	}
	b = build_row(&f, &list, &older_built->ref, 10, &built);
	CHECK_EQ(built->ref.older_row_id, 0);
	check_all_entries(&f, &built->ref, &list);
	nvm_row_builder_destroy(b);
	nvm_row_builder_destroy(older_builder);
	entries_free(&list);
	fixture_close(&f);
}

/* ---- hints ---- */

TEST(hints_narrow_only)
{
	enum
	{
		ROWS = 6
	};
	Fixture f;
	unsigned round;

	fixture_open_quick(&f, 64 * MIB);
	for (round = 0; round < 14 && check_failures == 0; round++)
	{
		unsigned kind = round % KEYS_KINDS;
		Entries lists[ROWS];
		NvmRowBuilder *builders[ROWS];
		NvmRowRef rows[ROWS]; /* 0 is the oldest */
		unsigned r;
		unsigned i;
		uint64_t narrowed = 0;

		for (r = 0; r < ROWS; r++)
		{
			const NvmRowBuilt *built;

			lists[r] = random_entries(kind, 1 + check_random_below(1500), 2000, 60);
			/* Rows are drained between flushes, too. */
			if (r > 0 && check_random_below(2) == 0)
				rows[r - 1].first_live = check_random_below(rows[r - 1].entries + 1);
			builders[r] = build_row(&f, &lists[r], r > 0 ? &rows[r - 1] : NULL, 10, &built);
			rows[r] = built->ref;
			CHECK_EQ(verify_row(&f, &rows[r], r > 0 ? &rows[r - 1] : NULL, true), 0);
		}
		for (r = 0; r < ROWS; r++)
		{
			if (check_random_below(3) == 0)
				rows[r].first_live += check_random_below(rows[r].entries - rows[r].first_live + 1);
		}
		for (r = 1; r < ROWS; r++)
			CHECK_EQ(verify_row(&f, &rows[r], &rows[r - 1], true), 0);
		for (i = 0; i < 1500 && check_failures == 0; i++)
		{
			uint8_t key[256];
			uint64_t tag;
			NvmkvSlice target = nvmkv_slice(key, random_target(&lists[i % ROWS], kind, 2000, key, &tag));
			uint64_t left = 0;
			uint64_t right = rows[ROWS - 1].entries;

			for (r = ROWS; r-- > 0;)
			{
				uint64_t index;
				uint64_t plain = oracle_lower_bound(&lists[r], target, tag, rows[r].first_live);

				CHECK_OK(nvm_row_lower_bound(f.pool, &rows[r], target, tag, left, right, &index));
				CHECK_EQ(index, plain);
				if (r == 0)
					break;
				nvm_row_hint_window(f.pool, &rows[r], index, &rows[r - 1], &left, &right);
				CHECK(left >= rows[r - 1].first_live && left <= right && right <= rows[r - 1].entries);
				narrowed += right - left < rows[r - 1].entries - rows[r - 1].first_live;
			}
		}
		CHECK(narrowed > 0);

		/* Not the row they were made for: the whole of it. */
		if (ROWS > 2)
		{
			uint64_t left;
			uint64_t right;

			nvm_row_hint_window(f.pool, &rows[2], rows[2].first_live, &rows[0], &left, &right);
			CHECK_EQ(left, rows[0].first_live);
			CHECK_EQ(right, rows[0].entries);
		}
		for (r = 0; r < ROWS; r++)
		{
			nvm_row_builder_destroy(builders[r]);
			entries_free(&lists[r]);
		}
	}
	fixture_close(&f);
}

/* ---- columns ---- */

static int
slice_compare_void(const void *a, const void *b)
{
	return slice_compare(*(const NvmkvSlice *) a, *(const NvmkvSlice *) b);
}

static uint64_t
weight_up_to(const Fixture *f, const NvmRowRef *rows, const Entries *lists, uint32_t nrows, NvmkvSlice key)
{
	uint64_t bytes = 0;
	uint32_t r;

	for (r = 0; r < nrows; r++)
		bytes += nvm_row_bytes_between(f->pool, &rows[r], rows[r].first_live,
									   oracle_upper_bound(&lists[r], key, rows[r].first_live));
	return bytes;
}

/* What the versions of the column's last key weigh. */
static uint64_t
weight_of_key(const Fixture *f, const NvmRowRef *rows, const Entries *lists, uint32_t nrows, NvmkvSlice key)
{
	uint64_t bytes = 0;
	uint32_t r;

	for (r = 0; r < nrows; r++)
		bytes += nvm_row_bytes_between(f->pool, &rows[r],
									   oracle_lower_bound(&lists[r], key, NVMKV_TAG_MAX, rows[r].first_live),
									   oracle_upper_bound(&lists[r], key, rows[r].first_live));
	return bytes;
}

TEST(column_invariants)
{
	enum
	{
		ROWS_MAX = 6,
		CUTS_MAX = 12
	};
	Fixture f;
	unsigned round;

	fixture_open_quick(&f, 64 * MIB);
	for (round = 0; round < 120 && check_failures == 0; round++)
	{
		unsigned kind = round % KEYS_KINDS;
		uint32_t nrows = 1 + (uint32_t) check_random_below(ROWS_MAX);
		uint32_t ncuts = (uint32_t) check_random_below(CUTS_MAX + 1);
		Entries lists[ROWS_MAX];
		NvmRowBuilder *builders[ROWS_MAX];
		NvmRowRef rows[ROWS_MAX];
		NvmkvSlice cuts[CUTS_MAX];
		uint8_t cut_bytes[CUTS_MAX][256];
		uint64_t total = 0;
		uint64_t low;
		uint64_t drained = 0;
		unsigned columns = 0;
		uint32_t r;
		uint32_t i;

		for (r = 0; r < nrows; r++)
		{
			const NvmRowBuilt *built;

			lists[r] = random_entries(kind, 1 + check_random_below(800), 1 + check_random_below(1000),
									  round % 4 == 0 ? 3000 : 50);
			builders[r] = build_row(&f, &lists[r], NULL, 10, &built);
			rows[r] = built->ref;
			if (check_random_below(4) == 0)
			{
				/* A batch that is under way: drained up to the same key everywhere is not needed for the invariants. */
				rows[r].first_live = check_random_below(rows[r].entries + 1);
			}
			total += nvm_row_bytes_between(f.pool, &rows[r], rows[r].first_live, rows[r].entries);
		}
		for (i = 0; i < ncuts; i++)
		{
			uint64_t tag;

			cuts[i] = nvmkv_slice(cut_bytes[i],
								  random_target(&lists[check_random_below(nrows)], kind, 1000, cut_bytes[i], &tag));
		}
		qsort(cuts, ncuts, sizeof(cuts[0]), slice_compare_void);
		low = 1 + check_random_below(round % 3 == 0 ? 2 * total + 2 : total / 5 + 2);

		while (drained < total && check_failures == 0)
		{
			NvmColumn column;
			uint64_t bytes = 0;
			NvmkvSlice cut;

			if (!CHECK_OK(nvm_column_pick(f.pool, rows, nrows, cuts, ncuts, low, &column)))
				break;
			cut = nvmkv_buf_slice(&column.cut);
			for (r = 0; r < nrows; r++)
			{
				CHECK(column.end_index[r] >= rows[r].first_live && column.end_index[r] <= rows[r].entries);
				if (column.last)
					CHECK_EQ(column.end_index[r], rows[r].entries);
				else
					CHECK_EQ(column.end_index[r], oracle_upper_bound(&lists[r], cut, rows[r].first_live));
				bytes += nvm_row_bytes_between(f.pool, &rows[r], rows[r].first_live, column.end_index[r]);
			}
			CHECK_EQ(bytes, column.bytes);
			CHECK(bytes > 0);
			if (!column.last && bytes < low)
				CHECK(bytes >= low / 2);
			if (bytes > 2 * low)
			{
				/* Only a heavy key is an excuse: the last one, or in the last column some one. */
				if (!column.last)
				{
					CHECK(weight_of_key(&f, rows, lists, nrows, cut) > low);
					CHECK(bytes - weight_of_key(&f, rows, lists, nrows, cut) < low);
				}
				else
				{
					for (r = 0; r < nrows; r++)
					{
						for (i = (uint32_t) rows[r].first_live; i < rows[r].entries; i++)
						{
							uint64_t w = weight_up_to(&f, rows, lists, nrows, lists[r].e[i].key);

							CHECK(w < low || w > 2 * low);
						}
					}
				}
			}
			/* A given cut that fits is taken, the first of them. */
			for (i = 0; i < ncuts && !column.last; i++)
			{
				uint64_t w = weight_up_to(&f, rows, lists, nrows, cuts[i]);

				if (w >= low)
				{
					if (w <= 2 * low)
						CHECK_EQ(bytes, w);
					break;
				}
			}
			for (r = 0; r < nrows; r++)
				rows[r].first_live = column.end_index[r];
			drained += bytes;
			columns++;
			nvm_column_free(&column);
		}
		CHECK_EQ(drained, total);
		if (check_failures == 0)
		{
			NvmColumn column;

			CHECK_STATUS(nvm_column_pick(f.pool, rows, nrows, cuts, ncuts, low, &column), NVMKV_INVALID);
			nvm_column_free(&column);
		}
		for (r = 0; r < nrows; r++)
		{
			nvm_row_builder_destroy(builders[r]);
			entries_free(&lists[r]);
		}
		if (check_failures > 0)
			fprintf(stderr, "    round %u, kind %u, low %" PRIu64 " of %" PRIu64 "\n", round, kind, low, total);
	}
	fixture_close(&f);
}

/* ---- size ---- */

static double
overhead(const Fixture *f, size_t key_size, size_t value_size, uint64_t count)
{
	uint8_t key[16] = {0};
	uint8_t *value = malloc(value_size);
	const NvmRowBuilt *built;
	NvmRowBuilder *b;
	double ratio = 0;
	uint64_t i;

	check_random_bytes(value, value_size);
	CHECK_OK(nvm_row_builder_create(f->pool, next_row_id++, NULL, 10, 0, &b));
	for (i = 0; i < count; i++)
	{
		put_be64(key + 8, i * 7);
		CHECK_OK(nvm_row_builder_add(b, nvmkv_slice(key, key_size), ikey_tag(i + 1, NVMKV_TYPE_VALUE),
									 nvmkv_slice(value, value_size)));
	}
	CHECK_OK(nvm_row_builder_finish(b, &built));
	CHECK_EQ(built->user_bytes, count * (key_size + value_size));
	ratio = (double) built->nvm_bytes / (double) built->user_bytes;
	nvm_row_builder_destroy(b);
	free(value);
	return ratio;
}

TEST(row_overhead)
{
	Fixture f;

	fixture_open_quick(&f, 32 * MIB);
	CHECK(overhead(&f, 16, 100, 100000) <= 1.30);
	CHECK(overhead(&f, 16, 4096, 3000) <= 1.02);
	fixture_close(&f);
}

/* Last: everything above once more, on memory that libpmem takes for persistent. */
TEST(with_pmem)
{
	pid_t pid;
	int state = 1;

	if (getenv("PMEM_IS_PMEM_FORCE") != NULL)
		return;
	(void) fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		char seed[32];

		(void) snprintf(seed, sizeof(seed), "%" PRIu64, check_seed);
		(void) setenv("NVMKV_SEED", seed, 1);
		(void) setenv("PMEM_IS_PMEM_FORCE", "1", 1);
		(void) execl("/proc/self/exe", "nvm_test (pmem)", (char *) NULL);
		_exit(127);
	}
	CHECK(waitpid(pid, &state, 0) == pid);
	CHECK_EQ(state, 0);
}

TEST_MAIN()
