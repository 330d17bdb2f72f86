/*
 * sst_test.c
 *	  SSTables: format, builder, reader, table cache, verification.
 *
 * Tables are built from a sorted array that serves as the oracle.
 */
#include <sys/resource.h>

#include "engine/base/crc32c.h"
#include "engine/base/filter.h"
#include "engine/port/port_guard.h"
#include "engine/sst/sst_builder.h"
#include "engine/sst/sst_codec.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/sst_verify.h"
#include "engine/sst/table_cache.h"

#include "lib/cache_rig.h"
#include "lib/check.h"

typedef struct Entry
{
	NvmkvSlice key;
	uint64_t tag;
	NvmkvSlice payload;
} Entry;

typedef struct Model
{
	Entry *entries;
	size_t count;
	size_t capacity;
} Model;

static NvmkvSlice
copy_slice(const void *data, size_t size)
{
	uint8_t *p = malloc(size > 0 ? size : 1);

	if (size > 0)
		memcpy(p, data, size);
	return nvmkv_slice(p, size);
}

static NvmkvSlice
str(const char *s)
{
	return nvmkv_slice(s, strlen(s));
}

static void
free_slice(NvmkvSlice s)
{
	union
	{
		const uint8_t *from;
		void *to;
	} p = {s.data};

	free(p.to);
}

static void
model_add(Model *m, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	if (m->count == m->capacity)
	{
		m->capacity = m->capacity == 0 ? 64 : m->capacity * 2;
		m->entries = realloc(m->entries, m->capacity * sizeof(Entry));
	}
	m->entries[m->count].key = copy_slice(key.data, key.size);
	m->entries[m->count].tag = tag;
	m->entries[m->count].payload = copy_slice(payload.data, payload.size);
	m->count++;
}

static int
compare_entries(const void *a, const void *b)
{
	const Entry *x = a;
	const Entry *y = b;

	return ikey_compare(x->key, x->tag, y->key, y->tag);
}

/* Sorts and removes repetitions of (key, tag). */
static void
model_sort(Model *m)
{
	size_t i;
	size_t n = 0;

	if (m->count > 0)
		qsort(m->entries, m->count, sizeof(Entry), compare_entries);
	for (i = 0; i < m->count; i++)
	{
		if (n > 0 && compare_entries(&m->entries[n - 1], &m->entries[i]) == 0)
		{
			free_slice(m->entries[i].key);
			free_slice(m->entries[i].payload);
		}
		else
			m->entries[n++] = m->entries[i];
	}
	m->count = n;
}

static void
model_free(Model *m)
{
	size_t i;

	for (i = 0; i < m->count; i++)
	{
		free_slice(m->entries[i].key);
		free_slice(m->entries[i].payload);
	}
	free(m->entries);
	memset(m, 0, sizeof(*m));
}

/* First index >= (key, tag). */
static size_t
model_lower_bound(const Model *m, NvmkvSlice key, uint64_t tag)
{
	size_t low = 0;
	size_t high = m->count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (ikey_compare(m->entries[middle].key, m->entries[middle].tag, key, tag) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A payload of "size" user bytes that suits the type. */
static size_t
make_payload(uint8_t *buf, unsigned type, size_t size)
{
	size_t head = 0;

	if (ikey_is_tagged(type))
	{
		put_u64(buf, 1000 + check_random_below(1000));
		put_u32(buf + 8, (uint32_t) check_random_below(10));
		head = NVMKV_TXN_TAG_BYTES;
	}
	check_random_bytes(buf + head, size);
	return head + size;
}

static const unsigned types[] = {
	NVMKV_TYPE_DELETION, NVMKV_TYPE_VALUE, NVMKV_TYPE_RANGE_DELETION, NVMKV_TYPE_TAGGED_DELETION,
	NVMKV_TYPE_TAGGED_VALUE, NVMKV_TYPE_TAGGED_LOCK, NVMKV_TYPE_COMMITTED_DELETION, NVMKV_TYPE_COMMITTED_VALUE};

static unsigned
random_type(void)
{
	return types[check_random_below(sizeof(types) / sizeof(types[0]))];
}

/*
 * Random entries: "keys" user keys with 1 .. versions_max versions.  Keys have a common prefix of prefix_bytes and up to
 * tail_max random bytes from a small alphabet, so that prefixes are shared at all lengths.
 */
static void
model_random(Model *m, size_t keys, unsigned versions_max, size_t prefix_bytes, size_t tail_max, size_t value_max)
{
	uint8_t *key = malloc(prefix_bytes + tail_max + 1);
	uint8_t *payload = malloc(value_max + NVMKV_TXN_TAG_BYTES + 1);
	size_t i;

	memset(key, 'p', prefix_bytes);
	for (i = 0; i < keys; i++)
	{
		size_t tail = check_random_below(tail_max + 1);
		unsigned versions = 1 + (unsigned) check_random_below(versions_max);
		size_t j;

		for (j = 0; j < tail; j++)
			key[prefix_bytes + j] = check_random_below(8) == 0 ? 0xff : (uint8_t) check_random_below(4);
		while (versions-- > 0)
		{
			unsigned type = random_type();
			size_t size = ikey_kind(type) == NVMKV_KIND_VALUE ? check_random_below(value_max + 1) : 0;

			size = make_payload(payload, type, size);
			model_add(m, nvmkv_slice(key, prefix_bytes + tail), ikey_tag(check_random_below(UINT64_C(1) << 40), type),
					  nvmkv_slice(payload, size));
		}
	}
	free(key);
	free(payload);
	model_sort(m);
}

static const SstBuildOptions default_options = {4096, 16, 10, SST_CODEC_NONE, 0};

/* An empty file; NULL at failure. */
static PortFile *
create_file(const char *path)
{
	PortFile *file = NULL;

	CHECK_OK(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	return file;
}

static NvmkvStatus
add(SstBuilder *b, const Entry *e)
{
	return sst_builder_add(b, e->key, e->tag, e->payload);
}

/* Builds the table; returns its size, 0 at failure. */
static uint64_t
build(const Model *m, const SstBuildOptions *options, const char *path)
{
	uint64_t bytes = 0;
	SstBuilder *b = NULL;
	PortFile *file = NULL;
	SstBuilt built;
	size_t i;

	file = create_file(path);
	if (file == NULL)
		return 0;
	if (check_status(__FILE__, __LINE__, "create", sst_builder_create(options, file, &b), NVMKV_OK))
	{
		for (i = 0; i < m->count; i++)
		{
			if (!check_status(__FILE__, __LINE__, "add", add(b, &m->entries[i]), NVMKV_OK))
				break;
		}
		if (i == m->count && check_status(__FILE__, __LINE__, "finish", sst_builder_finish(b, &built), NVMKV_OK))
		{
			uint64_t size = 0;

			bytes = built.file_bytes;
			CHECK_OK(port_files->size(file, &size));
			CHECK_EQ(size, bytes);
			CHECK_EQ(sst_builder_bytes(b), bytes);
			CHECK_EQ(built.entries, m->count);
			CHECK(slice_equal(built.smallest, m->entries[0].key));
			CHECK(slice_equal(built.largest, m->entries[m->count - 1].key));
		}
	}
	sst_builder_destroy(b);
	port_files->close(file);
	return bytes;
}

static void
count_problem(void *ctx, const char *text)
{
	unsigned *count = ctx;

	if ((*count)++ == 0 && getenv("SST_TEST_VERBOSE") != NULL)
		fprintf(stderr, "    problem: %s\n", text);
}

static void
print_problem(void *ctx, const char *text)
{
	unsigned *count = ctx;

	(*count)++;
	fprintf(stderr, "    problem: %s\n", text);
}

static bool
is_at(const NvmkvIter *it, const Model *m, size_t i)
{
	if (it->status != NVMKV_OK)
		return false;
	if (i >= m->count)
		return !it->valid;
	return it->valid && it->tag == m->entries[i].tag && slice_equal(it->key, m->entries[i].key) &&
		slice_equal(it->payload, m->entries[i].payload);
}

/* Seeks to (key, tag) both ways, and takes some steps. */
static void
check_seeks(NvmkvIter *it, const Model *m, NvmkvSlice key, uint64_t tag)
{
	size_t i = model_lower_bound(m, key, tag);
	bool exact = i < m->count && ikey_compare(m->entries[i].key, m->entries[i].tag, key, tag) == 0;
	size_t p = exact ? i : i - 1; /* wraps below the first: not valid, as behind the last */

	it->ops->seek(it, key, tag);
	CHECK(is_at(it, m, i));
	if (it->valid)
	{
		it->ops->next(it);
		CHECK(is_at(it, m, i + 1));
		if (it->valid)
		{
			it->ops->prev(it);
			CHECK(is_at(it, m, i));
		}
	}
	it->ops->seek_for_prev(it, key, tag);
	CHECK(is_at(it, m, p));
	if (it->valid)
	{
		it->ops->prev(it);
		CHECK(is_at(it, m, p - 1));
		if (it->valid)
		{
			it->ops->next(it);
			CHECK(is_at(it, m, p));
		}
	}
}

/* Seeks around every "step"th entry: its own key and tag, just before, just behind, its prefix, its successors. */
static void
check_boundaries(NvmkvIter *it, const Model *m, size_t step)
{
	uint8_t key[NVMKV_KEY_BYTES_MAX + 1];
	size_t i;

	for (i = 0; i < m->count; i += step)
	{
		const Entry *e = &m->entries[i];

		check_seeks(it, m, e->key, e->tag);
		check_seeks(it, m, e->key, e->tag + 1);
		if (e->tag > 0)
			check_seeks(it, m, e->key, e->tag - 1);
		check_seeks(it, m, e->key, NVMKV_TAG_MAX);
		check_seeks(it, m, e->key, 0);
		if (e->key.size == 0)
			continue;
		memcpy(key, e->key.data, e->key.size);
		check_seeks(it, m, nvmkv_slice(key, e->key.size - 1), e->tag);
		key[e->key.size] = 0;
		check_seeks(it, m, nvmkv_slice(key, e->key.size + 1), e->tag);
		key[e->key.size - 1]++;
		check_seeks(it, m, nvmkv_slice(key, e->key.size), e->tag);
	}
}

static void
check_scans(NvmkvIter *it, const Model *m)
{
	size_t i;

	it->ops->seek_first(it);
	for (i = 0; i < m->count && is_at(it, m, i); i++)
		it->ops->next(it);
	CHECK_EQ(i, m->count);
	CHECK(!it->valid && it->status == NVMKV_OK);
	it->ops->seek_last(it);
	for (i = m->count; i > 0 && is_at(it, m, i - 1); i--)
		it->ops->prev(it);
	CHECK_EQ(i, 0);
	CHECK(!it->valid && it->status == NVMKV_OK);
}

/* Ranges within one prefix of the length the table's filters know. */
static void
check_prefixes(SstTable *table, const Model *m, size_t step)
{
	size_t bytes = sst_table_props(table)->prefix_bytes;
	size_t i;

	for (i = 0; bytes > 0 && i < m->count; i += step)
	{
		NvmkvSlice key = m->entries[i].key;
		uint8_t upper[NVMKV_KEY_BYTES_MAX + 1];
		NvmkvSlice prefix = nvmkv_slice(key.data, bytes);
		uint64_t hash;
		bool may = false;

		if (key.size < bytes || key.size == NVMKV_KEY_BYTES_MAX)
			continue;
		hash = filter_prefix_hash(prefix);
		memcpy(upper, key.data, key.size);
		upper[key.size] = 0;
		CHECK_OK(sst_table_may_hold(table, prefix, hash, key, nvmkv_slice(upper, key.size + 1), &may));
		CHECK(may);
		CHECK_OK(sst_table_may_hold(table, prefix, hash, prefix, nvmkv_slice(upper, key.size + 1), &may));
		CHECK(may);
	}
}

static void
check_point_lookups(SstIter *it, SstTable *table, const Model *m, size_t step)
{
	size_t i;

	for (i = 0; i < m->count; i += step)
	{
		const Entry *e = &m->entries[i];
		uint64_t hash = filter_hash(e->key);
		size_t newest = model_lower_bound(m, e->key, NVMKV_TAG_MAX);
		bool may = false;
		uint8_t other[NVMKV_KEY_BYTES_MAX + 1];
		size_t at;

		CHECK_OK(sst_table_may_contain(table, e->key, hash, &may));
		CHECK(may);
		sst_iter_seek_key(it, e->key, NVMKV_TAG_MAX, hash);
		CHECK(is_at(&it->base, m, newest));
		sst_iter_seek_key(it, e->key, e->tag, hash);
		CHECK(is_at(&it->base, m, i));
		if (e->tag > 0)
		{
			sst_iter_seek_key(it, e->key, e->tag - 1, hash);
			at = i + 1 < m->count && slice_equal(m->entries[i + 1].key, e->key) ? i + 1 : m->count;
			CHECK(is_at(&it->base, m, at));
		}

		/* A key that is not there, most often. */
		if (e->key.size == NVMKV_KEY_BYTES_MAX)
			continue;
		memcpy(other, e->key.data, e->key.size);
		other[e->key.size] = 7;
		at = model_lower_bound(m, nvmkv_slice(other, e->key.size + 1), NVMKV_TAG_MAX);
		if (at < m->count && !slice_equal(m->entries[at].key, nvmkv_slice(other, e->key.size + 1)))
			at = m->count;
		hash = filter_hash(nvmkv_slice(other, e->key.size + 1));
		sst_iter_seek_key(it, nvmkv_slice(other, e->key.size + 1), NVMKV_TAG_MAX, hash);
		CHECK(is_at(&it->base, m, at));
	}
}

/* Everything a reader can do, against the model. */
static void
check_table(const char *path, uint64_t bytes, const Model *m, uint64_t cache_bytes, size_t step)
{
	unsigned problems = 0;
	SstTable *table;
	CacheRig rig;
	SstIter it;

	REQUIRE_OK(cache_rig_init(&rig, cache_bytes, 4096));
	cache_rig_enter(&rig);
	if (check_status(__FILE__, __LINE__, "open", sst_table_open(path, 1, bytes, &rig.cache, &table), NVMKV_OK))
	{
		CHECK_EQ(sst_table_props(table)->entries, m->count);
		sst_iter_init(&it, table, SST_ITER_CACHED);
		check_scans(&it.base, m);
		check_boundaries(&it.base, m, step);
		check_point_lookups(&it, table, m, step);
		check_prefixes(table, m, step);
		it.base.ops->destroy(&it.base);
		it.base.ops->destroy(&it.base);
		sst_iter_init(&it, table, SST_ITER_BULK);
		sst_table_unref(table); /* the iterator has its own reference */
		check_scans(&it.base, m);
		check_boundaries(&it.base, m, step * 16 + 1);
		it.base.ops->destroy(&it.base);
	}
	cache_rig_leave(&rig);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
	CHECK_OK(sst_verify(path, 1, bytes, print_problem, &problems));
	CHECK_EQ(problems, 0);
}

typedef struct Scratch
{
	char dir[1024];
	char path[SST_PATH_BYTES_MAX];
} Scratch;

static void
scratch_make(Scratch *s)
{
	check_make_dir(s->dir, sizeof(s->dir));
	CHECK_OK(sst_file_name(s->dir, 1, s->path, sizeof(s->path)));
}

static void
build_and_check(const Model *m, const SstBuildOptions *options, uint64_t cache_bytes, size_t step)
{
	Scratch s;
	uint64_t bytes;

	scratch_make(&s);
	bytes = build(m, options, s.path);
	if (bytes > 0)
		check_table(s.path, bytes, m, cache_bytes, step);
	check_remove_dir(s.dir);
}

TEST(separator_is_short_and_between)
{
	uint8_t left[12];
	uint8_t right[12];
	uint8_t out[12];
	unsigned i;

	for (i = 0; i < 20000; i++)
	{
		NvmkvSlice a = nvmkv_slice(left, check_random_below(8));
		NvmkvSlice b = nvmkv_slice(right, check_random_below(8));
		NvmkvSlice s;
		unsigned j;

		for (j = 0; j < 8; j++)
		{
			left[j] = (uint8_t) (check_random_below(3) == 0 ? 0xff : check_random_below(3));
			right[j] = (uint8_t) (check_random_below(3) == 0 ? 0xff : check_random_below(3));
		}
		if (slice_compare(a, b) >= 0)
			continue;
		s = nvmkv_slice(out, sst_separator(a, b, out));
		CHECK(slice_compare(a, s) <= 0);
		CHECK(slice_compare(s, b) < 0);
		CHECK(s.size <= a.size);
	}
	CHECK_EQ(sst_separator(str("abcdef"), str("abzz"), out), 3);
	CHECK(memcmp(out, "abd", 3) == 0);
	CHECK_EQ(sst_separator(str("abc1zz"), str("abd0"), out), 4);
	CHECK(memcmp(out, "abc2", 4) == 0);
}

static uint8_t *
read_file(const char *path, uint64_t bytes)
{
	uint8_t *data = malloc(bytes);
	PortFile *file;

	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK || port_files->read(file, 0, data, bytes) != NVMKV_OK)
	{
		check_failed(__FILE__, __LINE__, "read_file");
		exit(2);
	}
	port_files->close(file);
	return data;
}

static void
write_file(const char *path, const uint8_t *data, uint64_t bytes)
{
	PortFile *file;

	if (port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file) != NVMKV_OK ||
		port_files->write(file, 0, data, bytes) != NVMKV_OK)
	{
		check_failed(__FILE__, __LINE__, "write_file");
		exit(2);
	}
	port_files->close(file);
}

/* The worked example of sst_format.h, byte for byte, written and read. */
TEST(worked_example)
{
	static const uint8_t expected[] = {
		0x00, 0x02, 0x02, 0x61, 0x62, 0x01, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x68, 0x69, 0x02,
		0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x01, 0x01, 0x63, 0x01, 0x07,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x21, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xd5,
		0x1e, 0xcb, 0x12, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x02, 0x61, 0x62, 0x63, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2f, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x2e,
		0x34, 0xd3, 0x65, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x04, 0x61, 0x62, 0x63, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x37, 0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
		0x00, 0xac, 0x80, 0x91, 0xea, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x61, 0x62, 0x61, 0x62, 0x63, 0x22, 0x69,
		0xb2, 0xb7, 0x00, 0x00, 0x00, 0x00, 0x57, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1a, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x79, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x65, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1e, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,
		0x00, 0x00, 0xe3, 0x87, 0x38, 0x20, 0x4e, 0x56, 0x4d, 0x4b, 0x56, 0x53, 0x54, 0x31,
	};
	SstBuildOptions options = {4096, 16, 0, SST_CODEC_NONE, 0};
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	uint8_t *data;

	model_add(&m, str("ab"), ikey_tag(9, NVMKV_TYPE_VALUE), str("hi"));
	model_add(&m, str("ab"), ikey_tag(4, NVMKV_TYPE_DELETION), str(""));
	model_add(&m, str("abc"), ikey_tag(7, NVMKV_TYPE_VALUE), str("!"));
	scratch_make(&s);
	bytes = build(&m, &options, s.path);
	CHECK_EQ(bytes, sizeof(expected));
	data = read_file(s.path, bytes);
	CHECK(memcmp(data, expected, sizeof(expected)) == 0);
	free(data);
	write_file(s.path, expected, sizeof(expected));
	check_table(s.path, sizeof(expected), &m, 1 << 20, 1);
	model_free(&m);
	check_remove_dir(s.dir);
}

TEST(one_entry)
{
	Model m = {0};

	model_add(&m, str("k"), ikey_tag(5, NVMKV_TYPE_VALUE), str(""));
	build_and_check(&m, &default_options, 1 << 20, 1);
	model_free(&m);
	model_add(&m, str(""), ikey_tag(0, NVMKV_TYPE_DELETION), str(""));
	build_and_check(&m, &default_options, 0, 1);
	model_free(&m);
}

TEST(random_tables_under_many_options)
{
	static const SstBuildOptions options[] = {
		{1024, 1, 10, SST_CODEC_NONE, 0}, {1024, 2, 0, SST_CODEC_LZ4, 0}, {4096, 16, 10, SST_CODEC_ZSTD, 0},
		{1024, 128, 32, SST_CODEC_ZSTD, 0}, {65536, 7, 1, SST_CODEC_LZ4, 2}, {4096, 16, 10, SST_CODEC_NONE, 3},
		{1024, 4, 10, SST_CODEC_NONE, 9}};
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
	{
		Model m = {0};

		model_random(&m, 1500, 1, 0, 9, 60);
		build_and_check(&m, &options[i], UINT64_C(16) << 20, 1);
		model_free(&m);
		model_random(&m, 300, 12, 8, 6, 300);
		build_and_check(&m, &options[i], 20000, 1);
		model_free(&m);
	}
}

TEST(long_shared_prefixes_and_longest_keys)
{
	Model m = {0};

	model_random(&m, 1200, 2, 2000, 48, 10);
	build_and_check(&m, &default_options, 1 << 20, 7);
	model_free(&m);
	model_random(&m, 400, 1, NVMKV_KEY_BYTES_MAX - 6, 6, 0);
	build_and_check(&m, &(SstBuildOptions){1024, 16, 10, SST_CODEC_NONE, 0}, 1 << 20, 5);
	model_free(&m);
}

/* One user key over many blocks, index blocks and filters. */
TEST(versions_of_a_key_span_partitions)
{
	uint8_t payload[600];
	Model m = {0};
	unsigned i;

	memset(payload, 'x', sizeof(payload));
	model_add(&m, str("a"), ikey_tag(1, NVMKV_TYPE_VALUE), str("first"));
	for (i = 0; i < 3000; i++)
		model_add(&m, str("hot"), ikey_tag(1000 + i * 2, NVMKV_TYPE_VALUE), nvmkv_slice(payload, sizeof(payload)));
	model_add(&m, str("z"), ikey_tag(1, NVMKV_TYPE_VALUE), str("last"));
	model_sort(&m);
	build_and_check(&m, &(SstBuildOptions){1024, 16, 10, SST_CODEC_NONE, 2}, 1 << 20, 3);
	model_free(&m);
}

TEST(many_partitions)
{
	Model m = {0};
	uint8_t key[16];
	uint64_t i;

	memset(key, 0, sizeof(key));
	for (i = 0; i < 60000; i++)
	{
		put_be64(key + 8, i * 3);
		model_add(&m, nvmkv_slice(key, sizeof(key)), ikey_tag(i + 1, NVMKV_TYPE_VALUE), nvmkv_slice(key, 8));
	}
	build_and_check(&m, &default_options, 1 << 18, 97);
	model_free(&m);
}

/* Keys of even ids, of one of them so many that they fill several partitions; odd ids are hardly ever believed in. */
TEST(prefixes)
{
	const uint64_t ids = 1500;
	Model m = {0};
	uint8_t key[16];
	uint64_t big = 700;
	uint64_t id;
	unsigned bits;

	model_add(&m, str("short"), ikey_tag(1, NVMKV_TYPE_VALUE), str(""));
	for (id = 0; id < 2 * ids; id += 2)
	{
		uint64_t count = id == big ? 30000 : id % 50;
		uint64_t i;

		put_be64(key, id);
		model_add(&m, nvmkv_slice(key, 8), ikey_tag(9, NVMKV_TYPE_RANGE_DELETION), str(""));
		for (i = 0; i < count; i++)
		{
			put_be64(key + 8, i * 2);
			model_add(&m, nvmkv_slice(key, 16), ikey_tag(i + 1, NVMKV_TYPE_VALUE), nvmkv_slice(key, 8));
		}
	}
	model_sort(&m);
	for (bits = 0; bits <= 10; bits += 10)
	{
		SstBuildOptions options = {1024, 16, bits, SST_CODEC_NONE, 8};
		unsigned problems = 0;
		unsigned wrong = 0;
		SstTable *table;
		uint64_t bytes;
		Scratch s;
		bool may;

		scratch_make(&s);
		bytes = build(&m, &options, s.path);
		REQUIRE(bytes > 0);
		REQUIRE_OK(sst_table_open(s.path, 1, bytes, NULL, &table));
		CHECK_EQ(sst_table_props(table)->prefix_bytes, bits == 0 ? 0 : 8);
		CHECK(bits == 0 || sst_table_props(table)->partitions > 4);
		for (id = 0; id <= 2 * ids; id++)
		{
			uint8_t next[8];
			NvmkvSlice prefix = nvmkv_slice(key, 8);

			put_be64(key, id);
			put_be64(next, id + 1);
			CHECK_OK(sst_table_may_hold(table, prefix, filter_prefix_hash(prefix), prefix, nvmkv_slice(next, 8), &may));
			CHECK(may || id % 2 != 0 || id == 2 * ids);
			wrong += may && id % 2 != 0;
			/* A table cannot answer for prefixes of another length. */
			prefix.size = 7;
			CHECK_OK(sst_table_may_hold(table, prefix, filter_prefix_hash(prefix), prefix, nvmkv_slice(next, 8), &may));
			CHECK(may);
		}
		CHECK(bits == 0 ? wrong == ids : wrong < ids / 20);
		put_be64(key, big);
		for (id = 0; id < 60000; id += 50)
		{
			uint8_t upper[16];

			put_be64(key + 8, id);
			memcpy(upper, key, 8);
			put_be64(upper + 8, id + 1);
			CHECK_OK(sst_table_may_hold(table, nvmkv_slice(key, 8), filter_prefix_hash(nvmkv_slice(key, 8)),
										nvmkv_slice(key, 16), nvmkv_slice(upper, 16), &may));
			CHECK(may);
		}
		sst_table_unref(table);
		CHECK_OK(sst_verify(s.path, 1, bytes, print_problem, &problems));
		CHECK_EQ(problems, 0);
		check_remove_dir(s.dir);
	}
	model_free(&m);
}

TEST(payloads_of_many_sizes)
{
	static const size_t sizes[] = {0, 1, 127, 128, 4000, 4096, 16383, 16384, 65536, 300000, 8u << 20};
	uint8_t *bytes = malloc(8u << 20);
	Model m = {0};
	char key[16];
	size_t i;

	check_random_bytes(bytes, 1 << 20);
	memset(bytes + (1 << 20), 'v', 7u << 20);
	for (i = 0; i < 3 * sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		size_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];

		snprintf(key, sizeof(key), "key%03zu", i);
		model_add(&m, str(key), ikey_tag(i + 1, NVMKV_TYPE_VALUE), nvmkv_slice(bytes, size));
	}
	free(bytes);
	build_and_check(&m, &default_options, UINT64_C(16) << 20, 1);
	model_free(&m);
}

TEST(properties)
{
	uint8_t payload[NVMKV_TXN_TAG_BYTES + 1];
	SstProps props;
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	SstTable *table;

	memset(payload, 0, sizeof(payload));
	put_u64(payload, 77);
	model_add(&m, str("a"), ikey_tag(30, NVMKV_TYPE_TAGGED_VALUE), nvmkv_slice(payload, sizeof(payload)));
	put_u64(payload, 11);
	model_add(&m, str("a"), ikey_tag(20, NVMKV_TYPE_COMMITTED_VALUE), nvmkv_slice(payload, sizeof(payload)));
	put_u64(payload, 55);
	model_add(&m, str("b"), ikey_tag(25, NVMKV_TYPE_TAGGED_LOCK), nvmkv_slice(payload, sizeof(payload)));
	model_add(&m, str("c"), ikey_tag(9, NVMKV_TYPE_DELETION), str(""));
	model_add(&m, str("d"), ikey_tag(10, NVMKV_TYPE_RANGE_DELETION), str(""));
	scratch_make(&s);
	bytes = build(&m, &default_options, s.path);
	REQUIRE_OK(sst_table_open(s.path, 1, bytes, NULL, &table));
	props = *sst_table_props(table);
	CHECK_EQ(props.entries, 5);
	CHECK_EQ(props.keys, 4);
	CHECK_EQ(props.deletions, 2);
	CHECK_EQ(props.key_bytes, 5);
	CHECK_EQ(props.payload_bytes, 39);
	CHECK_EQ(props.min_sequence, 9);
	CHECK_EQ(props.max_sequence, 30);
	CHECK_EQ(props.min_unresolved_fxid, 55);
	CHECK_EQ(props.data_blocks, 1);
	CHECK_EQ(props.partitions, 1);
	CHECK(slice_equal(props.smallest, str("a")));
	CHECK(slice_equal(props.largest, str("d")));
	sst_table_unref(table);
	model_free(&m);
	check_remove_dir(s.dir);
}

TEST(offset_of_grows_with_the_key)
{
	Model m = {0};
	uint64_t previous = 0;
	Scratch s;
	uint64_t bytes;
	SstTable *table;
	size_t i;

	model_random(&m, 20000, 1, 0, 12, 100);
	scratch_make(&s);
	bytes = build(&m, &default_options, s.path);
	REQUIRE_OK(sst_table_open(s.path, 1, bytes, NULL, &table));
	for (i = 0; i < m.count; i += 50)
	{
		uint64_t offset = 0;

		CHECK_OK(sst_table_offset_of(table, m.entries[i].key, &offset));
		CHECK(offset >= previous && offset < bytes);
		previous = offset;
	}
	CHECK(previous > bytes / 2);
	CHECK_OK(sst_table_offset_of(table, str("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), &previous));
	CHECK(previous < bytes);
	sst_table_unref(table);
	model_free(&m);
	check_remove_dir(s.dir);
}

TEST(builder_refuses_what_is_wrong)
{
	static const SstBuildOptions bad[] = {
		{1023, 16, 10, 0, 0},  {(1 << 20) + 1, 16, 10, 0, 0}, {4096, 0, 10, 0, 0},
		{4096, 129, 10, 0, 0}, {4096, 16, 33, 0, 0},
		{4096, 16, 10, 3, 0}, {4096, 16, 10, 0, NVMKV_PREFIX_BYTES_MAX + 1}};
	uint8_t *big = calloc(1, SST_PAYLOAD_BYTES_MAX + 1);
	uint64_t tag = ikey_tag(10, NVMKV_TYPE_VALUE);
	PortFile *file;
	SstBuilder *b;
	SstBuilt built;
	Scratch s;
	unsigned i;

	struct
	{
		NvmkvSlice key;
		uint64_t tag;
		NvmkvSlice payload;
		NvmkvStatus expected;
	} cases[] = {
		{str("m"), tag, str("v"), NVMKV_INVALID},
		{str("m"), tag + 0x100, str("v"), NVMKV_INVALID},
		{str("lz"), tag - 0x100, str("v"), NVMKV_INVALID},
		{str(""), tag, str("v"), NVMKV_INVALID},
		{str("n"), ikey_tag(10, 0x7f), str("v"), NVMKV_INVALID},
		{str("n"), ikey_tag(10, NVMKV_TYPE_TAGGED_VALUE), str("short"), NVMKV_CORRUPTION},
		{nvmkv_slice(big, NVMKV_KEY_BYTES_MAX + 1), tag, str("v"), NVMKV_LIMIT},
		{str("n"), tag, nvmkv_slice(big, SST_PAYLOAD_BYTES_MAX + 1), NVMKV_LIMIT},
	};

	scratch_make(&s);
	REQUIRE_OK(port_files->open(s.path, PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_STATUS(sst_builder_create(&bad[i], file, &b), NVMKV_INVALID);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		REQUIRE_OK(sst_builder_create(&default_options, file, &b));
		CHECK_OK(sst_builder_add(b, str("m"), tag, str("v")));
		CHECK_STATUS(sst_builder_add(b, cases[i].key, cases[i].tag, cases[i].payload), cases[i].expected);
		sst_builder_destroy(b);
	}
	REQUIRE_OK(sst_builder_create(&default_options, file, &b));
	CHECK_STATUS(sst_builder_finish(b, &built), NVMKV_INVALID);
	sst_builder_destroy(b);
	port_files->close(file);
	check_remove_dir(s.dir);
	free(big);
}

TEST(builder_bytes_never_fall_short)
{
	Model m = {0};
	PortFile *file;
	SstBuilder *b;
	SstBuilt built;
	Scratch s;
	uint64_t estimate = 0;
	uint64_t size = 0;
	size_t i;

	model_random(&m, 8000, 1, 4, 12, 100);
	scratch_make(&s);
	REQUIRE_OK(port_files->open(s.path, PORT_FILE_WRITE | PORT_FILE_CREATE, &file));
	REQUIRE_OK(sst_builder_create(&default_options, file, &b));
	for (i = 0; i < m.count; i++)
	{
		CHECK_OK(add(b, &m.entries[i]));
		CHECK_OK(port_files->size(file, &size));
		CHECK(sst_builder_bytes(b) >= size);
		estimate = sst_builder_bytes(b);
	}
	CHECK_OK(sst_builder_finish(b, &built));
	CHECK(built.file_bytes < estimate + 200 && built.file_bytes + 200 > estimate);
	sst_builder_destroy(b);
	port_files->close(file);
	check_remove_dir(s.dir);
	model_free(&m);
}

/* ---- damage ---- */

/*
 * Reads a damaged table every way.  Whatever is returned without a failure must be true; says whether one was met.
 * "sealed": the damage has a right checksum, so that wrong entries may be returned, but nothing may crash.
 */
static bool
read_damaged(const char *path, uint64_t bytes, const Model *m, bool sealed)
{
	bool failed = false;
	CacheRig rig;
	SstTable *table;
	NvmkvStatus status;
	SstIter it;
	uint64_t offset;
	size_t steps;
	size_t i;
	bool may;

	CHECK_OK(cache_rig_init(&rig, 1 << 20, 4096));
	cache_rig_enter(&rig);
	status = sst_table_open(path, 1, bytes, &rig.cache, &table);
	if (status != NVMKV_OK)
	{
		CHECK(status == NVMKV_CORRUPTION || status == NVMKV_VERSION || status == NVMKV_NOT_SUPPORTED);
		CHECK(strstr(nvmkv_error()->text, path) != NULL);
		cache_rig_free(&rig);
		return true;
	}
	sst_iter_init(&it, table, SST_ITER_CACHED);
	for (i = 0; i < 2; i++)
	{
		it.base.ops->seek_first(&it.base);
		for (steps = 0; it.base.valid && steps <= 2 * m->count + 10; steps++)
		{
			CHECK(sealed || is_at(&it.base, m, steps));
			it.base.ops->next(&it.base);
		}
		CHECK(sealed || steps == m->count || it.base.status != NVMKV_OK);
		failed |= it.base.status != NVMKV_OK;
		it.base.ops->seek_last(&it.base);
		for (steps = 0; it.base.valid && steps <= 2 * m->count + 10; steps++)
		{
			CHECK(sealed || is_at(&it.base, m, m->count - 1 - steps));
			it.base.ops->prev(&it.base);
		}
		CHECK(sealed || steps == m->count || it.base.status != NVMKV_OK);
		failed |= it.base.status != NVMKV_OK;
		it.base.ops->destroy(&it.base);
		sst_iter_init(&it, table, SST_ITER_BULK);
	}
	it.base.ops->destroy(&it.base);
	sst_iter_init(&it, table, SST_ITER_CACHED);
	for (i = 0; i < m->count; i += 1 + m->count / 20)
	{
		const Entry *e = &m->entries[i];

		it.base.ops->seek(&it.base, e->key, e->tag);
		CHECK(sealed || it.base.status != NVMKV_OK || is_at(&it.base, m, i));
		failed |= it.base.status != NVMKV_OK;
		it.base.ops->seek_for_prev(&it.base, e->key, e->tag);
		CHECK(sealed || it.base.status != NVMKV_OK || is_at(&it.base, m, i));
		sst_iter_seek_key(&it, e->key, e->tag, filter_hash(e->key));
		CHECK(sealed || it.base.status != NVMKV_OK || is_at(&it.base, m, i));
		failed |= it.base.status != NVMKV_OK;
		status = sst_table_may_contain(table, e->key, filter_hash(e->key), &may);
		CHECK(sealed || may);
		failed |= status != NVMKV_OK;
		if (e->key.size >= 4)
		{
			NvmkvSlice prefix = nvmkv_slice(e->key.data, 4);

			status = sst_table_may_hold(table, prefix, filter_prefix_hash(prefix), prefix, nvmkv_slice(NULL, 0), &may);
			CHECK(sealed || may);
			failed |= status != NVMKV_OK;
		}
		failed |= sst_table_offset_of(table, e->key, &offset) != NVMKV_OK;
	}
	it.base.ops->destroy(&it.base);
	sst_table_unref(table);
	cache_rig_free(&rig);
	return failed;
}

/* Flips a bit of each byte; of how many readers do not know, who then have all entries. */
static void
flip_every_byte(const Model *m, unsigned bloom_bits, uint64_t *bytes_out, uint64_t *unmet_out)
{
	Scratch s;
	uint64_t bytes;
	uint8_t *good;
	uint8_t *data;
	uint64_t i;

	scratch_make(&s);
	bytes = build(m, &(SstBuildOptions){1024, 4, bloom_bits, SST_CODEC_NONE, 4}, s.path);
	REQUIRE(bytes > 0);
	*unmet_out = 0;
	good = read_file(s.path, bytes);
	data = malloc(bytes);
	for (i = 0; i < bytes; i++)
	{
		unsigned problems = 0;

		memcpy(data, good, bytes);
		data[i] ^= (uint8_t) (1u << check_random_below(8));
		write_file(s.path, data, bytes);
		*unmet_out += !read_damaged(s.path, bytes, m, false);
		if (sst_verify(s.path, 1, bytes, count_problem, &problems) == NVMKV_OK)
			CHECK(problems > 0);
	}
	free(good);
	free(data);
	check_remove_dir(s.dir);
	*bytes_out = bytes;
}

/* By readers, too, but for those of filters: without one they look at the data. */
TEST(every_flipped_bit_is_detected)
{
	Model m = {0};
	uint64_t plain = 0, filtered = 0, unmet = 0;

	model_random(&m, 120, 2, 3, 6, 30);
	flip_every_byte(&m, 0, &plain, &unmet);
	CHECK_EQ(unmet, 0);
	flip_every_byte(&m, 10, &filtered, &unmet);
	CHECK(unmet > 0 && unmet < filtered - plain);
	model_free(&m);
}

/* Bytes changed under a right checksum: wrong answers are possible, crashes and endless loops are not. */
TEST(sealed_damage_never_crashes)
{
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	uint8_t *good;
	uint8_t *data;
	uint64_t blocks[1000];
	uint64_t ends[1000];
	unsigned block_count = 0;
	unsigned undetected = 0;
	unsigned round;
	uint64_t start = 0;
	uint64_t end;

	model_random(&m, 150, 2, 3, 6, 30);
	scratch_make(&s);
	bytes = build(&m, &(SstBuildOptions){1024, 4, 10, SST_CODEC_NONE, 4}, s.path);
	REQUIRE(bytes > 0);
	good = read_file(s.path, bytes);
	data = malloc(bytes);

	/* Blocks follow each other: each ends where a trailer fits. */
	for (end = 1; end + SST_TRAILER_BYTES <= bytes - SST_FOOTER_BYTES && block_count < 1000; end++)
	{
		uint8_t trailer[SST_TRAILER_BYTES];

		sst_trailer_encode(good + start, end - start, SST_CODEC_NONE, trailer);
		if (memcmp(trailer, good + end, SST_TRAILER_BYTES) != 0)
			continue;
		blocks[block_count] = start;
		ends[block_count++] = end;
		start = end + SST_TRAILER_BYTES;
		end = start;
	}
	CHECK_EQ(start, bytes - SST_FOOTER_BYTES);
	for (round = 0; round < 4000; round++)
	{
		unsigned block = (unsigned) check_random_below(block_count);
		uint64_t size = ends[block] - blocks[block];
		unsigned changes = 1 + (unsigned) check_random_below(3);
		unsigned problems = 0;

		memcpy(data, good, bytes);
		while (changes-- > 0)
		{
			/* Often at the end, where restarts are. */
			uint64_t at = size - 1 - check_random_below(size < 40 || check_random_below(3) > 0 ? size : 40);
			uint8_t value = (uint8_t) check_random();

			if (check_random_below(2) == 0)
				value = check_random_below(2) == 0 ? 0xff : (uint8_t) (data[blocks[block] + at] + 1);
			data[blocks[block] + at] = value;
		}
		sst_trailer_encode(data + blocks[block], size, SST_CODEC_NONE, data + ends[block]);
		write_file(s.path, data, bytes);
		read_damaged(s.path, bytes, &m, true);
		if (sst_verify(s.path, 1, bytes, count_problem, &problems) == NVMKV_OK && problems == 0)
			undetected += memcmp(data, good, bytes) != 0;
	}

	/* What verification cannot know: another payload, a filter bit too many, a sequence between its neighbours. */
	CHECK(undetected < 4000 * 3 / 4);
	free(good);
	free(data);
	model_free(&m);
	check_remove_dir(s.dir);
}

TEST(truncated_files)
{
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	uint8_t *good;
	uint64_t size;

	model_random(&m, 400, 2, 3, 6, 30);
	scratch_make(&s);
	bytes = build(&m, &(SstBuildOptions){1024, 4, 10, SST_CODEC_NONE, 0}, s.path);
	REQUIRE(bytes > 0);
	good = read_file(s.path, bytes);
	for (size = 0; size < bytes; size += 1 + bytes / 300)
	{
		SstTable *table;

		/* Cut off, and believed to be long; cut off, and known to be short; whole, but believed to be otherwise. */
		write_file(s.path, good, size);
		CHECK(read_damaged(s.path, bytes, &m, false));
		CHECK(read_damaged(s.path, size, &m, false));
		write_file(s.path, good, bytes);
		CHECK_STATUS(sst_table_open(s.path, 1, size, NULL, &table), NVMKV_CORRUPTION);
		CHECK_STATUS(sst_table_open(s.path, 1, bytes + 1 + size, NULL, &table), NVMKV_CORRUPTION);
	}
	CHECK_OK(port_files->unlink(s.path));
	CHECK(read_damaged(s.path, bytes, &m, false));
	free(good);
	model_free(&m);
	check_remove_dir(s.dir);
}

/* ---- compression ---- */

/* Repetitive rows; size of the table, and whether it reads back. */
static uint64_t
compressed_bytes(unsigned codec)
{
	SstBuildOptions options = {8192, 16, 10, codec, 0};
	char value[200];
	uint64_t bytes;
	Model m = {0};
	Scratch s;
	int i;

	for (i = 0; i < 3000; i++)
	{
		char key[16];

		snprintf(key, sizeof(key), "key%08d", i);
		snprintf(value, sizeof(value), "row %d of a table with much that repeats, much that repeats, much that repeats", i);
		model_add(&m, str(key), ikey_tag(1, NVMKV_TYPE_VALUE), str(value));
	}
	scratch_make(&s);
	bytes = build(&m, &options, s.path);
	CHECK(bytes > 0);
	check_table(s.path, bytes, &m, 1 << 20, 7);
	check_table(s.path, bytes, &m, 0, 7);
	check_remove_dir(s.dir);
	model_free(&m);
	return bytes;
}

TEST(compression_makes_tables_smaller)
{
	uint64_t none = compressed_bytes(SST_CODEC_NONE);
	uint64_t lz4 = compressed_bytes(SST_CODEC_LZ4);
	uint64_t zstd = compressed_bytes(SST_CODEC_ZSTD);

	CHECK(lz4 < none * 6 / 10);
	CHECK(zstd < lz4);
}

/* What does not become smaller is stored as it is: not a byte more than without a codec. */
TEST(random_bytes_are_not_compressed)
{
	uint64_t bytes[3];
	unsigned codec;
	Model m = {0};

	model_random(&m, 400, 1, 0, 16, 400);
	for (codec = SST_CODEC_NONE; codec <= SST_CODEC_ZSTD; codec++)
	{
		SstBuildOptions options = {4096, 16, 10, codec, 0};
		Scratch s;

		scratch_make(&s);
		bytes[codec] = build(&m, &options, s.path);
		check_remove_dir(s.dir);
	}
	CHECK(bytes[SST_CODEC_LZ4] == bytes[SST_CODEC_NONE] && bytes[SST_CODEC_ZSTD] == bytes[SST_CODEC_NONE]);
	model_free(&m);
}

/* Bytes that a sound checksum vouches for, and that expand to nothing, or to something else, are found out. */
TEST(malformed_compressed_blocks)
{
	static uint8_t room[4096];
	uint8_t raw[4096];
	SstCompressor c = {0};
	void *context = NULL;
	NvmkvSlice stored;
	unsigned codec;
	size_t i;

	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (uint8_t) (i % 100 < 90 ? 'a' + i % 7 : check_random());
	for (c.codec = SST_CODEC_LZ4; c.codec <= SST_CODEC_ZSTD; c.codec++)
	{
		uint8_t *copy;
		uint32_t bytes;

		CHECK_OK(sst_compress(&c, nvmkv_slice(raw, sizeof(raw)), &stored, &codec));
		CHECK(codec == c.codec && stored.size < sizeof(raw));
		CHECK_OK(sst_expanded_bytes(stored, "t", 0, &bytes));
		CHECK(bytes == sizeof(raw));
		CHECK_OK(sst_expand(codec, stored, room, bytes, &context, "t", 0));
		CHECK(memcmp(room, raw, sizeof(raw)) == 0);
		copy = malloc(stored.size);
		for (i = 4; i <= stored.size; i++) /* cut off */
		{
			NvmkvSlice cut = nvmkv_slice(stored.data, i);

			if (i == 4)
				CHECK_STATUS(sst_expanded_bytes(cut, "t", 0, &bytes), NVMKV_CORRUPTION);
			else if (i < stored.size)
				CHECK_STATUS(sst_expand(codec, cut, room, sizeof(room), &context, "t", 0), NVMKV_CORRUPTION);
		}
		for (i = 0; i < 20000; i++) /* damaged: either found out, or expanded within the room */
		{
			memcpy(copy, stored.data, stored.size);
			copy[4 + check_random_below((uint32_t) stored.size - 4)] ^= (uint8_t) (1 + check_random_below(255));
			(void) sst_expand(codec, nvmkv_slice(copy, stored.size), room, sizeof(room), &context, "t", 0);
		}
		CHECK_STATUS(sst_expand(codec, stored, room, sizeof(room) - 1, &context, "t", 0), NVMKV_CORRUPTION);
		put_u32(copy, 0);
		CHECK_STATUS(sst_expanded_bytes(nvmkv_slice(copy, stored.size), "t", 0, &bytes), NVMKV_CORRUPTION);
		put_u32(copy, SST_BLOCK_BYTES_MAX + 1);
		CHECK_STATUS(sst_expanded_bytes(nvmkv_slice(copy, stored.size), "t", 0, &bytes), NVMKV_CORRUPTION);
		free(copy);
	}
	sst_expander_free(context);
	sst_compressor_free(&c);
}

TEST(codecs_and_versions_of_the_future)
{
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	uint8_t *data;
	SstTable *table;
	uint8_t *footer;
	uint8_t *trailer;
	uint64_t props_size, wrong;
	uint32_t crc;
	unsigned codec;

	model_add(&m, str("k"), ikey_tag(1, NVMKV_TYPE_VALUE), str("v"));
	scratch_make(&s);
	bytes = build(&m, &default_options, s.path);
	REQUIRE(bytes > 0);
	data = read_file(s.path, bytes);
	footer = data + bytes - SST_FOOTER_BYTES;
	/* A footer that speaks of another length. */
	for (wrong = bytes - 1; wrong <= bytes + 1; wrong += 2)
	{
		put_u64(footer + SST_FOOTER_FILE_BYTES, wrong);
		put_u32(footer + SST_FOOTER_CRC, crc32c_mask(crc32c(footer, SST_FOOTER_CRC)));
		write_file(s.path, data, bytes);
		CHECK_STATUS(sst_table_open(s.path, 1, bytes, NULL, &table), NVMKV_CORRUPTION);
	}
	put_u64(footer + SST_FOOTER_FILE_BYTES, bytes);
	put_u32(footer + SST_FOOTER_CRC, crc32c_mask(crc32c(footer, SST_FOOTER_CRC)));
	trailer = footer - SST_TRAILER_BYTES;
	props_size = get_u64(footer + SST_FOOTER_PROPS_SIZE);
	for (codec = 1; codec <= 3; codec++)
	{
		trailer[SST_TRAILER_CODEC] = (uint8_t) codec;
		crc = crc32c_extend(crc32c(trailer - props_size, props_size), trailer + SST_TRAILER_CODEC, 4);
		put_u32(trailer, crc32c_mask(crc));
		write_file(s.path, data, bytes);
		CHECK_STATUS(sst_table_open(s.path, 1, bytes, NULL, &table), codec <= 2 ? NVMKV_CORRUPTION : NVMKV_VERSION);
	}
	put_u32(footer + SST_FOOTER_VERSION, SST_FORMAT_VERSION + 1);
	put_u32(footer + SST_FOOTER_CRC, crc32c_mask(crc32c(footer, SST_FOOTER_CRC)));
	write_file(s.path, data, bytes);
	CHECK_STATUS(sst_table_open(s.path, 1, bytes, NULL, &table), NVMKV_VERSION);
	free(data);
	model_free(&m);
	check_remove_dir(s.dir);
}

/* ---- failures of the host ---- */

static unsigned fail_countdown; /* 0: nothing fails */
static const char *fail_point;
static PortFileOps faulty_files;

static NvmkvStatus
fail_at_point(const char *point)
{
	if (fail_countdown == 0 || strcmp(point, fail_point) != 0 || --fail_countdown > 0)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_NO_SPACE, "injected failure");
}

static NvmkvStatus
faulty_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	if (fail_countdown > 0 && --fail_countdown == 0)
		return NVMKV_FAIL(NVMKV_IO, "injected failure");
	return port_posix_files.read(file, offset, data, size);
}

/* Builds, then reads a little; the first failure. */
static NvmkvStatus
build_once(const Model *m, const char *path)
{
	SstBuilder *b = NULL;
	PortFile *file;
	SstBuilt built;
	NvmkvStatus status;
	size_t i;

	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	status = sst_builder_create(&default_options, file, &b);
	for (i = 0; status == NVMKV_OK && i < m->count; i++)
		status = add(b, &m->entries[i]);
	if (status == NVMKV_OK)
		status = sst_builder_finish(b, &built);
	sst_builder_destroy(b);
	port_files->close(file);
	return status;
}

TEST(builder_passes_failures_on)
{
	static const char *const points[] = {"sst.write", "sst.finish", "port.alloc"};
	Model m = {0};
	Scratch s;
	unsigned i;

	model_random(&m, 15000, 1, 4, 8, 100);
	scratch_make(&s);
	port_fault_hook = fail_at_point;
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++)
	{
		unsigned nth;

		fail_point = points[i];
		for (nth = 1; nth < 100; nth++)
		{
			NvmkvStatus status;

			fail_countdown = nth;
			status = build_once(&m, s.path);
			if (fail_countdown > 0)
				break;
			CHECK(status == NVMKV_NO_SPACE || status == NVMKV_NO_MEMORY);
		}
		CHECK(nth > 1 && nth < 100);
	}
	fail_countdown = 0;
	port_fault_hook = NULL;
	model_free(&m);
	check_remove_dir(s.dir);
}

/* A scan both ways, point lookups, a verification: the first failure, or OK with right answers. */
static NvmkvStatus
read_once(const Model *m, const char *path, uint64_t bytes)
{
	unsigned problems = 0;
	CacheRig rig;
	SstTable *table = NULL;
	NvmkvStatus status;
	SstIter it;
	unsigned mode;
	size_t i;

	NVMKV_RETURN_IF(cache_rig_init(&rig, 1 << 20, 4096));
	cache_rig_enter(&rig);
	status = sst_table_open(path, 1, bytes, &rig.cache, &table);
	for (mode = 0; mode < 2 && status == NVMKV_OK; mode++)
	{
		sst_iter_init(&it, table, mode == 0 ? SST_ITER_CACHED : SST_ITER_BULK);
		it.base.ops->seek_first(&it.base);
		for (i = 0; it.base.valid; i++)
		{
			CHECK(is_at(&it.base, m, i));
			it.base.ops->next(&it.base);
		}
		status = it.base.status;
		if (status == NVMKV_OK)
		{
			sst_iter_seek_key(&it, m->entries[5].key, m->entries[5].tag, filter_hash(m->entries[5].key));
			status = it.base.status;
			CHECK(status != NVMKV_OK || is_at(&it.base, m, 5));
		}

		/* After a failure the next seek starts afresh. */
		if (status != NVMKV_OK)
		{
			it.base.ops->seek(&it.base, m->entries[7].key, m->entries[7].tag);
			CHECK(is_at(&it.base, m, 7));
		}
		it.base.ops->destroy(&it.base);
	}
	sst_table_unref(table);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
	if (status == NVMKV_OK)
	{
		status = sst_verify(path, 1, bytes, print_problem, &problems);
		CHECK_EQ(problems, 0);
	}
	return status;
}

TEST(reader_passes_failures_on)
{
	Model m = {0};
	Scratch s;
	uint64_t bytes;
	unsigned nth;

	model_random(&m, 1000, 1, 4, 8, 100);
	scratch_make(&s);
	bytes = build(&m, &default_options, s.path);
	faulty_files = port_posix_files;
	faulty_files.read = faulty_read;
	faulty_files.map = NULL;
	port_files = &faulty_files;
	for (nth = 1; nth < 10000; nth++)
	{
		NvmkvStatus status;

		fail_countdown = nth;
		status = read_once(&m, s.path, bytes);
		if (fail_countdown > 0)
			break;
		CHECK_STATUS(status, NVMKV_IO);
	}
	CHECK(nth > 10 && nth < 10000);
	port_files = &port_posix_files;
	port_fault_hook = fail_at_point;
	fail_point = "port.alloc";
	for (nth = 1; nth < 10000; nth++)
	{
		NvmkvStatus status;

		fail_countdown = nth;
		status = read_once(&m, s.path, bytes);
		if (fail_countdown > 0)
			break;
		CHECK_STATUS(status, NVMKV_NO_MEMORY);
	}
	CHECK(nth > 10 && nth < 10000);
	fail_countdown = 0;
	port_fault_hook = NULL;
	model_free(&m);
	check_remove_dir(s.dir);
}

/* From now on a descriptor is to be had only when another is closed.  *before_out: the limit there was. */
static void
allow_no_more_descriptors(struct rlimit *before_out)
{
	int next = dup(0);
	struct rlimit limit;

	REQUIRE(next > 0);
	close(next);
	REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	if (before_out != NULL)
		*before_out = limit;
	limit.rlim_cur = (rlim_t) next;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static unsigned
count_files(SstTable *const *tables, unsigned count)
{
	unsigned files = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		files += sst_table_has_file(tables[i]);
	return files;
}

TEST(table_cache_gives_up_files_for_descriptors)
{
	TableCacheStats stats;
	struct rlimit before;
	PortFile *files[2];
	char name[SST_PATH_BYTES_MAX];
	uint64_t bytes[6];
	Model m = {0};
	Scratch s;
	TableCache *cache;
	SstTable *tables[6];
	SstIter it;
	uint64_t i;

	model_random(&m, 10, 1, 4, 8, 10);
	scratch_make(&s);
	for (i = 0; i < 6; i++)
	{
		CHECK_OK(sst_file_name(s.dir, i, name, sizeof(name)));
		bytes[i] = build(&m, &default_options, name);
	}
	REQUIRE_OK(table_cache_create(s.dir, 100, NULL, &cache));
	for (i = 0; i < 5; i++)
		CHECK_OK(table_cache_get(cache, i, bytes[i], &tables[i]));
	allow_no_more_descriptors(&before);
	CHECK_OK(table_cache_get(cache, 5, bytes[5], &tables[5]));
	CHECK_EQ(count_files(tables, 6), 5);

	/* Files of any kind are opened in exchange for a table's; the least recently used table goes first. */
	CHECK_OK(port_files->open(name, PORT_FILE_READ, &files[0]));
	CHECK_OK(port_files->open(name, PORT_FILE_READ, &files[1]));
	CHECK_EQ(count_files(tables, 6), 3);
	CHECK(!sst_table_has_file(tables[2]) && sst_table_has_file(tables[3]));
	CHECK_OK(port_files->sync_dir(s.dir));
	port_files->close(files[0]);
	port_files->close(files[1]);

	/* A table without its file is as good as before. */
	sst_iter_init(&it, tables[0], SST_ITER_BULK);
	check_scans(&it.base, &m);
	it.base.ops->destroy(&it.base);
	while (count_files(tables, 6) > 0)
	{
		allow_no_more_descriptors(NULL);
		CHECK_OK(port_files->sync_dir(s.dir));
	}
	allow_no_more_descriptors(NULL);
	sst_iter_init(&it, tables[0], SST_ITER_BULK);
	it.base.ops->seek_first(&it.base);
	CHECK_STATUS(it.base.status, NVMKV_NO_MEMORY);
	CHECK_STATUS(port_files->sync_dir(s.dir), NVMKV_NO_MEMORY);
	REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
	check_scans(&it.base, &m);
	it.base.ops->destroy(&it.base);
	table_cache_stats(cache, &stats);
	CHECK_EQ(stats.open, 6);
	table_cache_destroy(cache);
	model_free(&m);
	check_remove_dir(s.dir);
}

/* ---- with the block cache ---- */

TEST(a_warm_table_needs_no_file)
{
	Model m = {0};
	SstTable *table;
	CacheRig rig;
	Scratch s;
	uint64_t bytes;
	SstIter it;
	unsigned i;

	model_random(&m, 3000, 2, 3, 6, 60);
	scratch_make(&s);
	bytes = build(&m, &default_options, s.path);
	REQUIRE_OK(cache_rig_init(&rig, 8 << 20, 4096));
	for (i = 0; i < 2; i++)
	{
		cache_rig_enter(&rig);
		REQUIRE_OK(sst_table_open(s.path, 1, bytes, &rig.cache, &table));
		CHECK_EQ(sst_table_props(table)->entries, m.count);
		sst_iter_init(&it, table, SST_ITER_CACHED);
		check_scans(&it.base, &m);
		check_point_lookups(&it, table, &m, 7);
		it.base.ops->destroy(&it.base);
		CHECK(sst_table_has_file(table) == (i == 0));
		sst_table_unref(table);
		cache_rig_leave(&rig);

		/* What the first reader left is all the second one has. */
		(void) unlink(s.path);
	}

	/* Past the cache, and under another number, the loss is noticed. */
	cache_rig_enter(&rig);
	REQUIRE_OK(sst_table_open(s.path, 1, bytes, &rig.cache, &table));
	sst_iter_init(&it, table, SST_ITER_BULK);
	it.base.ops->seek_first(&it.base);
	CHECK_STATUS(it.base.status, NVMKV_CORRUPTION);
	it.base.ops->destroy(&it.base);
	sst_table_unref(table);
	CHECK_STATUS(sst_table_open(s.path, 2, bytes, &rig.cache, &table), NVMKV_CORRUPTION);
	cache_rig_leave(&rig);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
	check_remove_dir(s.dir);
	model_free(&m);
}

/* A scan that leaves its epoch after every entry, while its blocks are pushed out of a small cache. */
TEST(iterators_over_many_epochs)
{
	Model m = {0};
	SstTable *table;
	CacheRig rig;
	Scratch s;
	uint64_t bytes;
	SstIter it;
	SstIter other;
	unsigned lost = 0;
	bool reverse;
	size_t i;

	model_random(&m, 3000, 2, 3, 6, 60);
	scratch_make(&s);
	bytes = build(&m, &(SstBuildOptions){1024, 4, 10, SST_CODEC_NONE, 0}, s.path);
	REQUIRE_OK(cache_rig_init(&rig, 128 * 1024, 1024));
	REQUIRE_OK(sst_table_open(s.path, 1, bytes, &rig.cache, &table));
	for (reverse = false;; reverse = true)
	{
		sst_iter_init(&it, table, SST_ITER_CACHED);
		sst_iter_init(&other, table, SST_ITER_CACHED);
		for (i = 0; i < m.count; i++)
		{
			size_t at = reverse ? m.count - 1 - i : i;
			size_t n;

			cache_rig_enter(&rig);
			if (i == 0)
				reverse ? it.base.ops->seek_last(&it.base) : it.base.ops->seek_first(&it.base);
			else if (sst_iter_renew(&it))
				reverse ? it.base.ops->prev(&it.base) : it.base.ops->next(&it.base);
			else
			{
				lost++;
				it.base.ops->seek(&it.base, m.entries[at].key, m.entries[at].tag);
			}
			CHECK(is_at(&it.base, &m, at));
			cache_rig_leave(&rig);
			for (n = 0; n < 4; n++)
			{
				size_t elsewhere = check_random() % m.count;

				cache_rig_enter(&rig);
				(void) sst_iter_renew(&other);
				other.base.ops->seek(&other.base, m.entries[elsewhere].key, m.entries[elsewhere].tag);
				CHECK(is_at(&other.base, &m, elsewhere));
				cache_rig_leave(&rig);
			}
		}
		it.base.ops->destroy(&it.base);
		other.base.ops->destroy(&other.base);
		if (reverse)
			break;
	}
	CHECK(lost > 10 && lost < 2 * m.count);
	sst_table_unref(table);
	CHECK_CACHE(&rig.cache);
	cache_rig_free(&rig);
	check_remove_dir(s.dir);
	model_free(&m);
}

/* ---- reading ahead ---- */

static unsigned ahead_reads;
static size_t ahead_bytes;
static size_t ahead_refused; /* reads of more than so many bytes fail; 0: none do */

static NvmkvStatus
counted_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	if (ahead_refused > 0 && size > ahead_refused)
		return NVMKV_FAIL(NVMKV_IO, "injected failure");
	ahead_reads++;
	ahead_bytes += size;
	return port_posix_files.read(file, offset, data, size);
}

/* All entries from number "from" on, in an epoch of their own each time "stay" of them were looked at. */
static void
scan_on(CacheRig *rig, SstIter *it, const Model *m, size_t from, size_t stay)
{
	size_t i;

	cache_rig_enter(rig);
	it->base.ops->seek(&it->base, m->entries[from].key, m->entries[from].tag);
	for (i = from; i < m->count && is_at(&it->base, m, i); i++)
	{
		if (i % stay == stay - 1)
		{
			cache_rig_leave(rig);
			cache_rig_enter(rig);
			if (!sst_iter_renew(it))
				it->base.ops->seek(&it->base, m->entries[i].key, m->entries[i].tag);
		}
		it->base.ops->next(&it->base);
	}
	CHECK(is_at(&it->base, m, i));
	cache_rig_leave(rig);
}

/* A scan of more than the cache holds: few reads, the cache keeps what it has, errors of what nobody needs are none. */
TEST(long_scans_read_ahead)
{
	Model m = {0};
	SstTable *table;
	SstCacheStats before, after;
	CacheRig rig;
	Scratch s;
	uint64_t bytes;
	unsigned codec;
	SstIter it;

	model_random(&m, 20000, 1, 4, 8, 100);
	faulty_files = port_posix_files;
	faulty_files.read = counted_read;
	faulty_files.map = NULL;
	for (codec = SST_CODEC_NONE; codec <= SST_CODEC_LZ4; codec++)
	{
		unsigned round;

		scratch_make(&s);
		bytes = build(&m, &(SstBuildOptions){1024, 4, 10, codec, 0}, s.path);
		REQUIRE(bytes > 1024 * 1024 / 2);
		REQUIRE_OK(cache_rig_init(&rig, 128 * 1024, 1024));
		REQUIRE_OK(sst_table_open(s.path, 1, bytes, &rig.cache, &table));
		port_files = &faulty_files;
		sst_iter_init(&it, table, SST_ITER_CACHED);
		scan_on(&rig, &it, &m, 0, 100); /* fills the cache */
		sst_cache_stats(&rig.cache, &before);
		for (round = 0; round < 3; round++)
		{
			ahead_reads = 0;
			ahead_bytes = 0;
			scan_on(&rig, &it, &m, check_random_below(m.count / 2), 1 + check_random_below(300));
			CHECK(ahead_reads < bytes / 16384);
			CHECK(ahead_bytes < 2 * bytes);
		}
		sst_cache_stats(&rig.cache, &after);
		CHECK(after.inserts - before.inserts < 64);

		/* Blocks one after the other can be read, larger pieces cannot. */
		ahead_refused = 32 * 1024 - 1;
		scan_on(&rig, &it, &m, 0, 100);
		ahead_refused = 0;
		it.base.ops->destroy(&it.base);
		port_files = &port_posix_files;
		sst_table_unref(table);
		CHECK_CACHE(&rig.cache);
		cache_rig_free(&rig);
		check_remove_dir(s.dir);
	}
	model_free(&m);
}

/* ---- the table cache ---- */

static bool
keep_even(void *ctx, uint64_t number)
{
	(void) ctx;
	return number % 2 == 0;
}

TEST(table_cache_opens_and_closes)
{
	TableCacheStats stats;
	char name[SST_PATH_BYTES_MAX];
	uint64_t bytes[12];
	Model m = {0};
	Scratch s;
	TableCache *cache;
	SstTable *table;
	CacheRig rig;
	SstIter it;
	uint64_t i;

	CHECK_OK(sst_file_name("/d", 7, name, sizeof(name)));
	CHECK(strcmp(name, "/d/000007.sst") == 0);
	CHECK_OK(sst_file_name("/d", UINT64_C(12345678), name, sizeof(name)));
	CHECK(strcmp(name, "/d/12345678.sst") == 0);
	CHECK_STATUS(sst_file_name("/d", 7, name, 13), NVMKV_LIMIT);

	model_random(&m, 300, 1, 0, 9, 60);
	scratch_make(&s);
	for (i = 0; i < 12; i++)
	{
		CHECK_OK(sst_file_name(s.dir, i, name, sizeof(name)));
		bytes[i] = build(&m, &default_options, name);
	}
	REQUIRE_OK(cache_rig_init(&rig, 1 << 20, 4096));
	cache_rig_enter(&rig);
	REQUIRE_OK(table_cache_create(s.dir, 4, &rig.cache, &cache));
	CHECK_STATUS(table_cache_get(cache, 99, 1000, &table), NVMKV_CORRUPTION);
	REQUIRE_OK(table_cache_get(cache, 0, bytes[0], &table));
	sst_iter_init(&it, table, SST_ITER_CACHED);
	it.base.ops->seek_first(&it.base);
	for (i = 0; i < 12; i++)
	{
		REQUIRE_OK(table_cache_get(cache, i, bytes[i], &table));
		CHECK_OK(sst_file_name(s.dir, i, name, sizeof(name)));
		CHECK(strcmp(sst_table_path(table), name) == 0);
		REQUIRE_OK(table_cache_get(cache, i, bytes[i], &table));
		table_cache_stats(cache, &stats);
		CHECK(stats.open <= 4);
	}
	CHECK_EQ(stats.opened, 12);
	CHECK_EQ(stats.hits, 13);

	/* The iterator's table was given up meanwhile, and even evicted: it goes on. */
	table_cache_evict(cache, 0);
	check_scans(&it.base, &m);
	it.base.ops->destroy(&it.base);
	table_cache_retain(cache, keep_even, NULL);
	table_cache_stats(cache, &stats);
	CHECK_EQ(stats.open, 2);
	REQUIRE_OK(table_cache_get(cache, 10, bytes[10], &table));
	table_cache_stats(cache, &stats);
	CHECK_EQ(stats.opened, 12);

	/* A wrong reference takes a table for one of values: that harms nobody else. */
	table_cache_evict(cache, 10);
	REQUIRE_OK(table_cache_get_values(cache, 10, &table));
	CHECK(table_cache_peek(cache, 10) == NULL);
	REQUIRE_OK(table_cache_get(cache, 10, bytes[10], &table));
	CHECK(table_cache_peek(cache, 10) == table);
	sst_iter_init(&it, table, SST_ITER_CACHED);
	check_scans(&it.base, &m);
	it.base.ops->destroy(&it.base);
	REQUIRE_OK(table_cache_get_values(cache, 10, &table));
	CHECK(table_cache_peek(cache, 10) == table);
	table_cache_destroy(cache);
	cache_rig_free(&rig);
	model_free(&m);
	check_remove_dir(s.dir);
}

TEST_MAIN()
