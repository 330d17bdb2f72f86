/*
 * row_fuzz.c
 *	  Input: bytes to change in a pool with two rows, and what the manifest says
 *	  of them.  The rows are read in every way there is; nothing outside of the
 *	  pool is ever touched.
 *
 *	  flags u8, first live u16 (per mille), then patches: region u8, offset u32,
 *	  count u8, bytes
 */
#include <string.h>
#include <sys/mman.h>

#include "engine/base/filter.h"
#include "engine/nvm/column.h"
#include "engine/nvm/pool_format.h"
#include "engine/nvm/row_access.h"
#include "fuzz/fuzz.h"

#define PATCHES_MAX 32
#define STEPS_MAX 3000
#define BIG_VALUE_BYTES (3 * 512 * 1024)

#define FLAG_HEADER_COUNTS 1 /* the manifest agrees with the header, whatever that says */
#define FLAG_OTHER_ROW 2

/* The pool: as many extents as the rows have, at the very end of an allocation. */
static uint8_t *base;
static NvmDevice device;
static NvmPool pool;
static NvmRowRef rows[2]; /* 0: small, oldest; 1: several extents, with hints */
static uint32_t extents[2][8];

static NvmkvSlice
number_key(unsigned number)
{
	static char text[16];

	return nvmkv_slice(text, (size_t) snprintf(text, sizeof(text), "key%05u", number));
}

static NvmRowBuilder *
build_row(NvmPool *from, uint64_t row_id, const NvmRowRef *older, unsigned count, size_t big_bytes, NvmRowRef *ref_out)
{
	uint8_t *value = calloc(1, BIG_VALUE_BYTES);
	const NvmRowBuilt *built;
	NvmRowBuilder *builder;
	unsigned i;

	FUZZ_REQUIRE(value != NULL);
	FUZZ_OK(nvm_row_builder_create(from, row_id, older, 10, 6, &builder));
	for (i = 0; i < count; i++)
	{
		unsigned type = i % 7 == 0 ? NVMKV_TYPE_DELETION : i % 5 == 0 ? NVMKV_TYPE_TAGGED_VALUE : NVMKV_TYPE_VALUE;
		size_t bytes = i == count / 2 ? big_bytes : type == NVMKV_TYPE_DELETION ? 0 : NVMKV_TXN_TAG_BYTES + i % 40;

		FUZZ_OK(nvm_row_builder_add(builder, number_key(i / 2 * 3), ikey_tag(row_id * 10000 + 5000 - i, type),
									nvmkv_slice(value, bytes)));
	}
	FUZZ_OK(nvm_row_builder_finish(builder, &built));
	*ref_out = built->ref;
	free(value);
	return builder;
}

/* Moves a row's extents to the new pool, where its first is "first" and the others follow downwards. */
static void
move_row(const NvmPool *from, unsigned which, const NvmRowRef *ref, uint32_t first)
{
	uint32_t i;

	FUZZ_REQUIRE(ref->extent_count <= 8);
	rows[which] = *ref;
	for (i = 0; i < ref->extent_count; i++)
	{
		extents[which][i] = first - i;
		memcpy(base + nvm_extent_offset(first - i), from->dev->base + nvm_extent_offset(ref->extents[i]),
			   NVM_EXTENT_BYTES);
	}
	rows[which].extents = extents[which];

	/* The header's list must say the same. */
	{
		uint64_t list = get_u64(nvm_row_at(&pool, &rows[which], 0) + NVM_ROW_OFFSET_LIST);

		for (i = 0; i < ref->extent_count; i++)
			put_u32(base + (nvm_row_at(&pool, &rows[which], list + i * 4) - base), extents[which][i]);
	}
}

static void
build_pool(void)
{
	const char *path = fuzz_path("pool");
	NvmPoolShm *shm = aligned_alloc(64, (nvm_pool_shm_bytes(NVM_POOL_BYTES_MIN) + 63) / 64 * 64);
	NvmRowBuilder *builders[2];
	NvmRowRef refs[2];
	NvmPoolOpening opening = {.path = path, .bytes = NVM_POOL_BYTES_MIN, .system_identifier = 4711};
	NvmPool *built;
	bool created;

	FUZZ_REQUIRE(shm != NULL);
	nvm_pool_shm_init(shm, NVM_POOL_BYTES_MIN);
	FUZZ_OK(nvm_pool_open(&opening, shm, &built, &created));
	builders[0] = build_row(built, 1, NULL, 600, 100, &refs[0]);
	builders[1] = build_row(built, 2, &refs[0], 700, BIG_VALUE_BYTES, &refs[1]);

	pool.extent_count = refs[0].extent_count + refs[1].extent_count;
	pool.pool_id = built->pool_id;
	pool.dev = &device;
	base = malloc(nvm_extent_offset(pool.extent_count));
	FUZZ_REQUIRE(base != NULL);
	memset(base, 0, NVM_EXTENT_BYTES);
	device.base = base;
	device.bytes = nvm_extent_offset(pool.extent_count);
	(void) snprintf(device.path, sizeof(device.path), "pool");
	move_row(built, 0, &refs[0], pool.extent_count - 1);
	move_row(built, 1, &refs[1], pool.extent_count - 2);

	nvm_row_builder_destroy(builders[1]);
	nvm_row_builder_destroy(builders[0]);
	nvm_pool_close(built);
	free(shm);
}

/* ---- patches ---- */

typedef struct Patch
{
	uint8_t *at;
	size_t size;
	uint8_t saved[255];
} Patch;

/* Where a region of the row starts, so that small offsets hit what matters. */
static uint64_t
region_start(const NvmRowRef *row, unsigned region)
{
	const uint8_t *header = nvm_row_at(&pool, row, 0);

	switch (region % 8)
	{
		case 0:
		case 1:
			return 0;
		case 2:
			return NVM_ROW_HEADER_BYTES;
		case 3:
			return nvm_row_index_offset(row->data_bytes);
		case 4:
			return nvm_row_directory_offset(row->data_bytes, row->entries);
		case 5:
			return nvm_row_records_offset(row->data_bytes, row->entries);
		case 6:
			return nvm_row_fence_offset(row->data_bytes, row->entries);
		default:
			return get_u64(header + NVM_ROW_OFFSET_LIST);
	}
}

static void
apply_patch(FuzzInput *in, const NvmRowRef *row, Patch *patch)
{
	unsigned region = fuzz_u8(in);
	uint64_t start = region_start(row, region);
	uint64_t offset = fuzz_u32(in);
	NvmkvSlice bytes = fuzz_bytes(in, 1 + fuzz_u8(in) % 64);
	const uint8_t *at;

	/* Regions 0 and 1 are the header; elsewhere large offsets go on into what follows. */
	offset = start + (region % 8 < 2 ? offset % NVM_ROW_HEADER_BYTES : offset % (64 * 1024));
	at = nvm_row_at(&pool, row, offset);
	patch->size = 0;
	if (at == NULL || bytes.size > nvm_row_piece(offset, bytes.size))
		return;
	patch->at = base + (at - base);
	patch->size = bytes.size;
	memcpy(patch->saved, patch->at, bytes.size);
	memcpy(patch->at, bytes.data, bytes.size);
}

/* ---- reading ---- */

static void
ignore(void *ctx, const char *text)
{
	(void) ctx;
	(void) text;
}

static void
walk(NvmkvIter *it, void (*move)(NvmkvIter *))
{
	unsigned steps;

	for (steps = 0; it->valid && steps < STEPS_MAX; steps++)
	{
		FUZZ_OK(it->status);
		fuzz_touch(it->key);
		fuzz_touch(nvmkv_slice(it->payload.data, it->payload.size < 256 ? it->payload.size : 256));
		if (it->payload.size > 0)
			fuzz_touch(nvmkv_slice(it->payload.data + it->payload.size - 1, 1));
		move(it);
	}
}

static void
read_row(const NvmRowRef *row, const NvmRowRef *older)
{
	static const unsigned numbers[] = {0, 1, 300, 450, 897, 1050, 99999};
	NvmRowIter it;
	unsigned i;

	nvm_row_iter_init(&it, &pool, row, UINT64_MAX);
	it.base.ops->seek_first(&it.base);
	walk(&it.base, it.base.ops->next);
	it.base.ops->seek_last(&it.base);
	walk(&it.base, it.base.ops->prev);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
	{
		NvmkvSlice key = number_key(numbers[i]);
		uint64_t left, right;

		(void) nvm_row_may_contain(&pool, row, filter_hash(key));
		(void) nvm_row_may_hold(&pool, row, 6, filter_prefix_hash(nvmkv_slice(key.data, 6)));
		it.base.ops->seek(&it.base, key, NVMKV_TAG_MAX);
		if (it.index < row->entries)
		{
			bool may;

			(void) nvm_row_may_be(&pool, row, it.index, key, &may);
		}
		nvm_row_hint_window(&pool, row, it.index, older, &left, &right);
		FUZZ_REQUIRE(left <= right && right <= older->entries);
		it.base.ops->seek_for_prev(&it.base, key, 0);
	}
	it.base.ops->destroy(&it.base);
	(void) nvm_row_bytes_between(&pool, row, row->first_live, row->entries);
	(void) nvm_row_extents_below(&pool, row, row->first_live);
}

static void
read_columns(void)
{
	NvmkvSlice cuts[2] = {nvmkv_slice("key00100", 8), nvmkv_slice("key00500", 8)};
	NvmColumn column;

	(void) nvm_column_pick(&pool, rows, 2, cuts, 2, 4000, &column);
	nvm_column_free(&column);
}

static void
check_all(NvmRowRef *row, const NvmRowRef *older, unsigned flags)
{
	const uint8_t *header = nvm_row_at(&pool, row, 0);
	NvmkvStatus status;

	if ((flags & FLAG_HEADER_COUNTS) != 0)
	{
		row->entries = get_u64(header + NVM_ROW_OFFSET_ENTRIES);
		row->data_bytes = get_u64(header + NVM_ROW_OFFSET_DATA_BYTES);
		if (row->first_live >= row->entries)
			row->first_live = 0;
	}
	status = nvm_row_check_header(&pool, row);

	/* A header that goes bad after it was checked does no harm either; counts nobody checked are another matter. */
	if (status == NVMKV_OK || (flags & FLAG_HEADER_COUNTS) == 0)
	{
		read_row(row, older);
		read_columns();
		if (status == NVMKV_OK)
			(void) nvm_row_verify(&pool, row, older, ignore, NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static Patch patches[PATCHES_MAX];
	FuzzInput in = {data, size};
	unsigned flags = fuzz_u8(&in);
	unsigned which = (flags & FLAG_OTHER_ROW) != 0 ? 0 : 1;
	unsigned count = 0;
	NvmRowRef saved;

	if (base == NULL)
		build_pool();
	saved = rows[which];
	rows[which].first_live = saved.entries * (fuzz_u16(&in) % 1000) / 1000;
	while (count < PATCHES_MAX && in.left > 0)
		apply_patch(&in, &saved, &patches[count++]);
	check_all(&rows[which], &rows[which == 1 ? 0 : 1], flags);

	while (count > 0)
	{
		count--;
		if (patches[count].size > 0)
			memcpy(patches[count].at, patches[count].saved, patches[count].size);
	}
	rows[which] = saved;
	return 0;
}

void
fuzz_seeds(void)
{
	unsigned flags, region;

	for (flags = 0; flags < 4; flags++)
	{
		for (region = 0; region < 8; region++)
		{
			uint8_t seed[16] = {0};

			seed[0] = (uint8_t) flags;
			seed[1] = (uint8_t) (region * 7);
			seed[3] = (uint8_t) region;
			seed[4] = (uint8_t) (region == 1 ? NVM_ROW_OFFSET_FILTER : 8);
			seed[8] = 7;
			seed[9] = 1;
			fuzz_seed(seed, sizeof(seed));
		}
		fuzz_seed(&flags, 1);
	}
}
