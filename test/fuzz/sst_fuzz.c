/*
 * sst_fuzz.c
 *	  Input: an SSTable.  One that opens is read in every way there is.
 */
#include <string.h>

#include "engine/base/filter.h"
#include "engine/sst/sst_builder.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/sst_verify.h"
#include "engine/sst/value_refs.h"
#include "fuzz/fuzz.h"
#include "lib/cache_rig.h"

#define CACHE_BYTES 65536
#define STEPS_MAX 3000 /* index entries may share blocks: a small file can be a long way */

static void
ignore(void *ctx, const char *text)
{
	(void) ctx;
	(void) text;
}

/* Walks until the end, a failure, or long enough. */
static void
walk(NvmkvIter *it, void (*move)(NvmkvIter *))
{
	unsigned steps;

	for (steps = 0; it->valid && steps < STEPS_MAX; steps++)
	{
		FUZZ_OK(it->status);
		fuzz_touch(it->key);
		fuzz_touch(it->payload);
		move(it);
	}
}

static void
read_table(SstTable *table, SstIterMode mode, const NvmkvSlice *keys, unsigned nkeys)
{
	SstIter it;
	unsigned i;

	sst_iter_init(&it, table, mode);
	it.base.ops->seek_first(&it.base);
	walk(&it.base, it.base.ops->next);
	it.base.ops->seek_last(&it.base);
	walk(&it.base, it.base.ops->prev);
	for (i = 0; i < nkeys; i++)
	{
		uint64_t offset;
		bool may;

		it.base.ops->seek(&it.base, keys[i], NVMKV_TAG_MAX);
		if (it.base.valid)
			it.base.ops->prev(&it.base);
		it.base.ops->seek_for_prev(&it.base, keys[i], 0);
		if (it.base.valid)
			it.base.ops->next(&it.base);
		sst_iter_seek_key(&it, keys[i], NVMKV_TAG_MAX, filter_hash(keys[i]));
		if (it.base.valid)
			FUZZ_REQUIRE(slice_equal(it.base.key, keys[i]));
		(void) sst_table_may_contain(table, keys[i], filter_hash(keys[i]), &may);
		(void) sst_table_may_hold(table, nvmkv_slice("key000", 6), filter_prefix_hash(nvmkv_slice("key000", 6)), keys[i],
								  nvmkv_slice("key001", 6), &may);
		(void) sst_table_offset_of(table, keys[i], &offset);
	}
	it.base.ops->destroy(&it.base);
}

/* The list in the properties, taken apart and put together again. */
static void
check_refs(const SstProps *props)
{
	ValueRefs refs = {0};
	NvmkvBuf bytes = {0};
	uint64_t sum;
	uint32_t i;

	FUZZ_REQUIRE(value_refs_check(props->references, &sum) && sum == props->value_bytes);
	FUZZ_OK(value_refs_add_list(&refs, props->references));
	for (i = 0; i < refs.count; i++)
	{
		sum -= refs.shares[i].bytes;
		FUZZ_REQUIRE(value_refs_find(&refs, refs.shares[i].number) == &refs.shares[i]);
	}
	FUZZ_REQUIRE(sum == 0);
	FUZZ_OK(value_refs_encode(&refs, &bytes));
	/* Numbers may be written longer than they need. */
	FUZZ_REQUIRE(bytes.size <= props->references.size);
	if (refs.count > 0)
		FUZZ_REQUIRE(value_refs_check(nvmkv_buf_slice(&bytes), &sum) && sum == props->value_bytes);
	nvmkv_buf_free(&bytes);
	value_refs_free(&refs);
}

/* The end of the input as a reference into it, as if it were a value table. */
static void
read_value(const char *path, uint64_t number, SstCache *cache, const uint8_t *data, size_t size)
{
	size_t n = size < SST_REFERENCE_BYTES_MAX ? size : size % SST_REFERENCE_BYTES_MAX;
	uint8_t bytes[SST_REFERENCE_BYTES_MAX];
	SstReference reference;
	SstReference again;
	SstTable *table;
	SstBlock block;

	if (sst_reference_decode(nvmkv_slice(data + size - n, n), &reference) != NVMKV_OK)
	{
		/* Of most inputs the end is no reference; these do for one. */
		reference.number = 1;
		reference.block.offset = size > 0 ? data[0] % 64 : 0;
		reference.block.size = 1 + (uint32_t) (size % 3000);
	}
	n = (size_t) (sst_reference_encode(bytes, reference) - bytes);
	FUZZ_OK(sst_reference_decode(nvmkv_slice(bytes, n), &again));
	FUZZ_REQUIRE(again.number == reference.number && again.block.offset == reference.block.offset &&
				 again.block.size == reference.block.size);
	FUZZ_OK(sst_table_open_values(path, number, cache, &table));
	if (sst_table_block(table, reference.block, SST_BLOCK_DATA, &block) == NVMKV_OK)
	{
		SstBlockCursor c;

		if (sst_block_cursor_open(&c, block.data, block.size, NULL) && sst_block_cursor_first(&c))
		{
			fuzz_touch(c.key);
			fuzz_touch(c.payload);
		}
		sst_table_release_block(table, &block);
	}
	sst_table_unref(table);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_path("3.sst");
	static CacheRig rig;
	static uint64_t number; /* of another file each time, as the cache expects it */
	SstTable *table;

	if (number++ == 0)
		FUZZ_OK(cache_rig_init(&rig, CACHE_BYTES, 1024));
	fuzz_write_file(path, data, size);
	cache_rig_enter(&rig);
	if (sst_table_open(path, number, size, &rig.cache, &table) == NVMKV_OK)
	{
		const SstProps *props = sst_table_props(table);
		NvmkvSlice keys[4];

		/* Keys from the file, and one that moves with the input. */
		keys[0] = props->smallest;
		keys[1] = props->largest;
		keys[2] = nvmkv_slice(data + size / 3, 5);
		keys[3] = nvmkv_slice("key0017", 7);
		read_table(table, SST_ITER_CACHED, keys, 4);
		read_table(table, SST_ITER_BULK, keys, 4);
		check_refs(props);
		sst_table_unref(table);
		(void) sst_verify(path, number, size, ignore, NULL);
	}
	read_value(path, number, &rig.cache, data, size);
	cache_rig_leave(&rig);
	return 0;
}

/* ---- seeds ---- */

static void
seed(unsigned keys, unsigned versions, size_t value_bytes, unsigned restart_interval, unsigned bloom_bits,
	 unsigned codec, unsigned prefix_bytes)
{
	const SstBuildOptions options = {1024, restart_interval, bloom_bits, codec, prefix_bytes};
	const char *path = fuzz_path("seed.sst");
	uint8_t value[200] = {0};
	SstBuilder *builder;
	SstBuilt built;
	PortFile *file;
	unsigned i, v;

	FUZZ_OK(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	FUZZ_OK(sst_builder_create(&options, file, &builder));
	for (i = 0; i < keys; i++)
	{
		for (v = 0; v < versions; v++)
		{
			unsigned value_type = (i + v) % 3 == 0 ? NVMKV_TYPE_TAGGED_VALUE : NVMKV_TYPE_VALUE;
			unsigned type = (i + v) % 5 == 0 ? NVMKV_TYPE_DELETION : value_type;
			size_t payload = type == NVMKV_TYPE_DELETION ? 0 : value_bytes + NVMKV_TXN_TAG_BYTES;
			uint64_t sequence = 1000 + (uint64_t) (versions - v) * 7 + i;
			char key[16];
			int n = snprintf(key, sizeof(key), "key%04u", i);

			FUZZ_OK(sst_builder_add(builder, nvmkv_slice(key, (size_t) n), ikey_tag(sequence, type),
									nvmkv_slice(value, payload)));
		}
	}
	FUZZ_OK(sst_builder_finish(builder, &built));
	sst_builder_destroy(builder);
	port_files->close(file);
	fuzz_seed_file(path);
}

/* Keys whose values are in the value tables 5 and 7, or values, each a block. */
static void
seed_apart(bool values, unsigned codec)
{
	const SstBuildOptions options = {1024, values ? 1 : 16, values ? 0 : 10, codec, 0};
	const char *path = fuzz_path("seed.sst");
	uint8_t bytes[300] = {0};
	SstBuilder *builder;
	SstBuilt built;
	PortFile *file;
	unsigned i;

	FUZZ_OK(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	FUZZ_OK(sst_builder_create(&options, file, &builder));
	for (i = 0; i < 30; i++)
	{
		SstReference reference = {i % 4 == 0 ? 5 : 7, {i * 1000, 300 + i}};
		unsigned type = i % 3 == 0 ? NVMKV_TYPE_TAGGED_VALUE : NVMKV_TYPE_VALUE;
		size_t head = i % 3 == 0 ? NVMKV_TXN_TAG_BYTES : 0;
		char text[16];
		NvmkvSlice key = nvmkv_slice(text, (size_t) snprintf(text, sizeof(text), "key%04u", i));

		if (values)
			FUZZ_OK(sst_builder_add_value(builder, key, ikey_tag(100 + i, NVMKV_TYPE_VALUE),
										  nvmkv_slice(bytes, sizeof(bytes) - i), &reference.block));
		else if (i % 5 == 4)
			FUZZ_OK(sst_builder_add(builder, key, ikey_tag(100 + i, type), nvmkv_slice(bytes, head + i)));
		else
		{
			size_t size = (size_t) (sst_reference_encode(bytes + head, reference) - bytes);

			type |= NVMKV_TYPE_APART_BIT;
			FUZZ_OK(sst_builder_add(builder, key, ikey_tag(100 + i, type), nvmkv_slice(bytes, size)));
		}
	}
	FUZZ_OK(sst_builder_finish(builder, &built));
	sst_builder_destroy(builder);
	port_files->close(file);
	fuzz_seed_file(path);
}

void
fuzz_seeds(void)
{
	seed_apart(false, SST_CODEC_NONE);
	seed_apart(true, SST_CODEC_NONE);
	seed_apart(true, SST_CODEC_LZ4);
	seed(1, 1, 3, 16, 0, SST_CODEC_NONE, 0);
	seed(1, 30, 20, 4, 10, SST_CODEC_NONE, 0);
	seed(40, 1, 0, 16, 10, SST_CODEC_NONE, 3);
	seed(60, 3, 5, 2, 4, SST_CODEC_NONE, 6);
	seed(50, 2, 100, 1, 0, SST_CODEC_NONE, 6);
	seed(60, 3, 50, 16, 10, SST_CODEC_LZ4, 6);
	seed(60, 3, 50, 16, 10, SST_CODEC_ZSTD, 0);
}
