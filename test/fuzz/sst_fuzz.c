/*
 * sst_fuzz.c
 *	  Input: an SSTable.  One that opens is read in every way there is.
 */
#include <string.h>

#include "engine/base/filter.h"
#include "engine/sst/sst_builder.h"
#include "engine/sst/sst_iter.h"
#include "engine/sst/sst_verify.h"
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
		sst_table_unref(table);
		(void) sst_verify(path, number, size, ignore, NULL);
	}
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

void
fuzz_seeds(void)
{
	seed(1, 1, 3, 16, 0, SST_CODEC_NONE, 0);
	seed(1, 30, 20, 4, 10, SST_CODEC_NONE, 0);
	seed(40, 1, 0, 16, 10, SST_CODEC_NONE, 3);
	seed(60, 3, 5, 2, 4, SST_CODEC_NONE, 6);
	seed(50, 2, 100, 1, 0, SST_CODEC_NONE, 6);
	seed(60, 3, 50, 16, 10, SST_CODEC_LZ4, 6);
	seed(60, 3, 50, 16, 10, SST_CODEC_ZSTD, 0);
}
