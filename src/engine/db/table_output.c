/*
 * table_output.c
 *	  Writing the tables of a job.
 */
#include "engine/db/table_output.h"

#include <inttypes.h>

#include "engine/db/work_limit.h"

/*
 * Bits a key beyond those of the options.  The filters of all levels together are to pass as many keys in vain as one
 * ideal filter with the options' bits would: at 10 bits 0.8 %, where one of ours, a line a key, passes 1.0 %.
 * So each is a bit larger, which is 0.65 % for the last level; and the levels above it, which have a tenth of the
 * keys, get so many bits that they hardly count: 0.12 % each, and 0.01 % for each of the tables of level 0, which may
 * be many.
 */
#define LAST_LEVEL_BITS 1
#define UPPER_LEVEL_BITS 6
#define LEVEL0_BITS 16
#define FILTER_BITS_MAX 32

static unsigned
filter_bits(const NvmkvDb *db, unsigned level, bool last)
{
	unsigned bits = db->options.bloom_bits_per_key;

	if (bits == 0)
		return 0;
	bits += level == 0 ? LEVEL0_BITS : (last ? LAST_LEVEL_BITS : UPPER_LEVEL_BITS);
	return bits < FILTER_BITS_MAX ? bits : FILTER_BITS_MAX;
}

void
table_output_init(TableOutput *out, NvmkvDb *db, unsigned level, bool last)
{
	memset(out, 0, sizeof(*out));
	out->db = db;
	out->level = level;
	out->bloom_bits_per_key = filter_bits(db, level, last);
	out->split_bytes = db->options.target_file_bytes;
}

static NvmkvStatus
start_table(TableOutput *out)
{
	SstBuildOptions options;
	char path[SST_PATH_BYTES_MAX];

	options.block_bytes = out->db->options.block_bytes;
	options.restart_interval = out->db->options.restart_interval;
	options.bloom_bits_per_key = out->bloom_bits_per_key;
	options.prefix_bytes = out->db->options.prefix_bytes;
	options.codec = out->db->options.compression[out->level];
	out->paid = 0;
	out->number = port_fetch_add(&out->db->root->shm->next_file, 1);
	NVMKV_RETURN_IF(sst_file_name(out->db->dir, out->number, path, sizeof(path)));
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_EXCLUSIVE, &out->file));
	return sst_builder_create(&options, out->file, &out->builder);
}

/* Copies a key for the edit. */
static NvmkvStatus
own_key(NvmkvSlice key, NvmkvSlice *copy_out)
{
	uint8_t *copy = port_alloc(key.size + 1);

	if (copy == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	if (key.size > 0)
		memcpy(copy, key.data, key.size);
	*copy_out = nvmkv_slice(copy, key.size);
	return NVMKV_OK;
}

static NvmkvStatus
record_table(TableOutput *out, const SstBuilt *built)
{
	MetaFile *file;

	if (out->nfiles == out->capacity)
	{
		uint32_t grown = out->capacity == 0 ? 8 : 2 * out->capacity;
		MetaFile *files = port_realloc(out->files, grown * sizeof(MetaFile));

		if (files == NULL)
			return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
		out->files = files;
		out->capacity = grown;
	}
	file = &out->files[out->nfiles];
	memset(file, 0, sizeof(*file));
	file->number = out->number;
	file->level = out->level;
	file->bytes = built->file_bytes;
	file->entries = built->entries;
	file->min_sequence = built->min_sequence;
	file->max_sequence = built->max_sequence;
	file->min_unresolved_fxid = built->min_unresolved_fxid;
	out->nfiles++; /* from here on free removes the file */
	NVMKV_RETURN_IF(own_key(built->smallest, &file->smallest));
	return own_key(built->largest, &file->largest);
}

/* Opens the table as a reader will: footer, index, properties, and the first and last entry. */
static NvmkvStatus
verify_table(TableOutput *out, const MetaFile *file)
{
	SstTable *table;
	SstIter *it;
	NvmkvStatus st;

	NVMKV_RETURN_IF(table_cache_get(out->db->tables, file->number, file->bytes, &table));
	it = port_alloc(sizeof(SstIter));
	if (it == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	sst_iter_init(it, table, SST_ITER_BULK);
	it->base.ops->seek_first(&it->base);
	st = it->base.status;
	if (st == NVMKV_OK && (!it->base.valid || !slice_equal(it->base.key, file->smallest)))
		st = NVMKV_FAIL(NVMKV_CORRUPTION, "table %" PRIu64 " does not start with its smallest key", file->number);
	if (st == NVMKV_OK)
	{
		it->base.ops->seek_last(&it->base);
		st = it->base.status;
		if (st == NVMKV_OK && (!it->base.valid || !slice_equal(it->base.key, file->largest)))
			st = NVMKV_FAIL(NVMKV_CORRUPTION, "table %" PRIu64 " does not end with its largest key", file->number);
	}
	it->base.ops->destroy(&it->base);
	port_free(it);
	return st;
}

static NvmkvStatus
end_table(TableOutput *out)
{
	SstBuilt built;
	NvmkvStatus st = sst_builder_finish(out->builder, &built);

	if (st == NVMKV_OK)
	{
		st = port_files->sync(out->file);
		if (st == NVMKV_IO)
			db_set_sticky(out->db);
	}
	if (st == NVMKV_OK)
		st = port_fault("table.synced");
	if (st == NVMKV_OK)
	{
		st = record_table(out, &built);
		out->bytes += built.file_bytes;
		port_count(&out->db->shm->counters.file_bytes, built.file_bytes);
		port_count(&out->db->shm->counters.files_written, 1);
	}
	if (st != NVMKV_OK)
		return st; /* file and builder stay for free */
	sst_builder_destroy(out->builder);
	out->builder = NULL;
	port_files->close(out->file);
	out->file = NULL;
	return verify_table(out, &out->files[out->nfiles - 1]);
}

void
table_output_grandparents(TableOutput *out, const VersionImage *v, uint32_t first, uint32_t end, uint64_t limit)
{
	out->v = v;
	out->grandparent = first;
	out->end_grandparent = end;
	out->grandparent_limit = limit;
}

/* Takes note of the grandparents that end before key: has the table overlapped enough of them? */
static bool
overlaps_enough(TableOutput *out, NvmkvSlice key)
{
	while (out->grandparent < out->end_grandparent)
	{
		const VersionFile *file = &version_files(out->v)[out->grandparent];

		if (slice_compare(key, version_bytes(out->v, file->largest)) <= 0)
			break;
		out->grandparent_bytes += file->bytes;
		out->grandparent++;
	}
	return out->grandparent_bytes > out->grandparent_limit;
}

/* Tables of level 0 are flushed ones: those do not wait. */
static NvmkvStatus
pay(TableOutput *out)
{
	uint64_t bytes = sst_builder_bytes(out->builder);
	uint64_t owed = bytes - out->paid;

	if (out->level == 0 || bytes < out->paid + WORK_LIMIT_PIECE_BYTES)
		return NVMKV_OK;
	out->paid = bytes;
	return work_limit_pay(out->db, owed);
}

NvmkvStatus
table_output_add(TableOutput *out, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	if (out->builder != NULL && !slice_equal(nvmkv_buf_slice(&out->last_key), key) &&
		(overlaps_enough(out, key) || sst_builder_bytes(out->builder) >= out->split_bytes))
	{
		NVMKV_RETURN_IF(end_table(out));
		out->grandparent_bytes = 0;
	}
	if (out->builder == NULL)
		NVMKV_RETURN_IF(start_table(out));
	NVMKV_RETURN_IF(nvmkv_buf_set(&out->last_key, key));
	NVMKV_RETURN_IF(sst_builder_add(out->builder, key, tag, payload));
	return pay(out);
}

NvmkvStatus
table_output_finish(TableOutput *out)
{
	if (out->builder != NULL)
		NVMKV_RETURN_IF(end_table(out));
	if (out->nfiles > 0)
	{
		NvmkvStatus st = port_files->sync_dir(out->db->dir);

		if (st == NVMKV_IO)
			db_set_sticky(out->db);
		return st;
	}
	return NVMKV_OK;
}

static void
remove_table(TableOutput *out, uint64_t number)
{
	char path[SST_PATH_BYTES_MAX];

	table_cache_evict(out->db->tables, number);
	if (sst_file_name(out->db->dir, number, path, sizeof(path)) == NVMKV_OK && port_files->unlink(path) != NVMKV_OK)
		port_log(PORT_LOG_WARNING, "could not remove unfinished table \"%s\": %s", path, nvmkv_error()->text);
}

void
table_output_free(TableOutput *out, bool keep)
{
	uint32_t i;

	sst_builder_destroy(out->builder);
	if (out->file != NULL)
	{
		port_files->close(out->file);
		remove_table(out, out->number);
	}
	for (i = 0; i < out->nfiles; i++)
	{
		if (!keep)
			remove_table(out, out->files[i].number);
		port_free((void *) (uintptr_t) out->files[i].smallest.data);
		port_free((void *) (uintptr_t) out->files[i].largest.data);
	}
	port_free(out->files);
	nvmkv_buf_free(&out->last_key);
	memset(out, 0, sizeof(*out));
}
