/*
 * table_output.c
 *	  Writing the tables of a job.
 */
#include "engine/job/table_output.h"

#include <inttypes.h>

#include "engine/job/value.h"
#include "engine/tree/failure.h"
#include "engine/tree/work_limit.h"

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

/*
 * A table ends with so many times its size of values apart, too: however small the entries are, a column meets few keys
 * beside its own in the tables of level 1.
 */
#define VALUES_SPLIT_FACTOR 8

/* A column is at most twice as large as a table: so its values need not be in more than one. */
#define VALUE_TABLE_FACTOR 2

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
	out->split_apart_bytes = VALUES_SPLIT_FACTOR * db->options.target_file_bytes;
}

/* Nothing of the entries' own makes a value table: no filters, and each entry is a block. */
static void
build_options(const TableOutput *out, const OutputTable *t, SstBuildOptions *options)
{
	bool is_values = t == &out->values;

	options->block_bytes = out->db->options.block_bytes;
	options->restart_interval = is_values ? 1 : out->db->options.restart_interval;
	options->bloom_bits_per_key = is_values ? 0 : out->bloom_bits_per_key;
	options->prefix_bytes = is_values ? 0 : out->db->options.prefix_bytes;
	options->codec = out->db->options.compression[out->level];
}

static NvmkvStatus
start_table(TableOutput *out, OutputTable *t)
{
	SstBuildOptions options;
	char path[SST_PATH_BYTES_MAX];

	build_options(out, t, &options);
	t->paid = 0;
	t->value_bytes = 0;
	t->number = port_fetch_add(&out->db->root->shm->next_file, 1);
	NVMKV_RETURN_IF(sst_file_name(out->db->dir, t->number, path, sizeof(path)));
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_EXCLUSIVE, &t->file));
	return sst_builder_create(&options, t->file, &t->builder);
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
record_table(TableOutput *out, const OutputTable *t, const SstBuilt *built)
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
	file->number = t->number;
	file->level = t == &out->values ? VERSION_VALUES : out->level;
	file->bytes = built->file_bytes;
	file->entries = built->entries;
	file->min_sequence = built->min_sequence;
	file->max_sequence = built->max_sequence;
	file->min_unresolved_fxid = built->min_unresolved_fxid;
	file->value_bytes = t->value_bytes;
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
add_refs(ValueRefs *refs, const ValueRefs *more)
{
	uint32_t i;

	for (i = 0; i < more->count; i++)
		NVMKV_RETURN_IF(value_refs_add(refs, more->shares[i].number, more->shares[i].bytes));
	return NVMKV_OK;
}

/* Several at a time: what the file system has to write for the first covers the others, too. */
static NvmkvStatus
sync_tables(TableOutput *out)
{
	while (out->nunsynced > 0)
	{
		PortFile *file = out->unsynced[out->nunsynced - 1];
		NvmkvStatus st = port_files->sync(file);

		if (st == NVMKV_IO)
			db_set_sticky(out->db);
		NVMKV_RETURN_IF(st);
		NVMKV_RETURN_IF(port_fault("table.synced"));
		port_files->close(file);
		out->nunsynced--;
	}
	return NVMKV_OK;
}

static NvmkvStatus
end_table(TableOutput *out, OutputTable *t)
{
	SstBuilt built;
	NvmkvStatus st = out->nunsynced < OUTPUT_UNSYNCED_MAX ? NVMKV_OK : sync_tables(out);

	if (st == NVMKV_OK)
		st = sst_builder_finish(t->builder, &built);
	if (st == NVMKV_OK)
		st = add_refs(&out->refs, built.refs);
	if (st == NVMKV_OK)
	{
		st = record_table(out, t, &built);
		out->bytes += built.file_bytes;
		port_count(&out->db->shm->counters.file_bytes, built.file_bytes);
		port_count(&out->db->shm->counters.files_written, 1);
	}
	if (st != NVMKV_OK)
		return st; /* file and builder stay for free */
	sst_builder_destroy(t->builder);
	t->builder = NULL;
	out->unsynced[out->nunsynced++] = t->file;
	t->file = NULL;
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
pay(TableOutput *out, OutputTable *t)
{
	uint64_t bytes = sst_builder_bytes(t->builder);
	uint64_t owed = bytes - t->paid;

	if (out->level == 0 || bytes < t->paid + WORK_LIMIT_PIECE_BYTES)
		return NVMKV_OK;
	t->paid = bytes;
	return work_limit_pay(out->db, owed);
}

/* ---- values apart ---- */

/*
 * Puts the value into the value table; *payload, which begins with the transaction's bytes, becomes what refers to it.
 */
static NvmkvStatus
put_apart(TableOutput *out, NvmkvSlice key, uint64_t *tag, NvmkvSlice *payload, NvmkvSlice value, uint64_t *bytes_out)
{
	uint8_t bytes[SST_REFERENCE_BYTES_MAX];
	size_t head = ikey_is_tagged(*tag) ? NVMKV_TXN_TAG_BYTES : 0;
	SstReference reference;

	if (out->values.builder == NULL)
		NVMKV_RETURN_IF(start_table(out, &out->values));
	NVMKV_RETURN_IF(sst_builder_add_value(out->values.builder, key, ikey_tag(ikey_sequence(*tag), NVMKV_TYPE_VALUE),
										  value, &reference.block));
	reference.number = out->values.number;
	*bytes_out = sst_reference_bytes(reference);
	out->values.value_bytes += *bytes_out;
	NVMKV_RETURN_IF(nvmkv_buf_set(&out->payload, nvmkv_slice(payload->data, head)));
	NVMKV_RETURN_IF(nvmkv_buf_append(&out->payload, bytes, (size_t) (sst_reference_encode(bytes, reference) - bytes)));
	*payload = nvmkv_buf_slice(&out->payload);
	*tag |= NVMKV_TYPE_APART_BIT;
	return pay(out, &out->values);
}

/* A value that is apart already: stays where it is, or moves to a new value table. */
static NvmkvStatus
keep_apart(TableOutput *out, NvmkvSlice key, uint64_t *tag, NvmkvSlice *payload, NvmkvSlice where, uint64_t *bytes_out)
{
	SstReference reference;
	ValueBlock value;
	bool lost;
	NvmkvStatus st;

	NVMKV_RETURN_IF(sst_reference_decode(where, &reference));
	*bytes_out = sst_reference_bytes(reference);
	if (out->inputs == NULL || !value_is_moved(out->db, out->inputs, reference.number, out->frees_all))
		return NVMKV_OK;
	NVMKV_RETURN_IF(value_open_or_lost(out->db->tables, key, *tag, where, &value, &lost));
	if (lost)
	{
		value_note_lost(out->db, reference.number);
		return NVMKV_OK;
	}
	st = put_apart(out, key, tag, payload, value.value, bytes_out);
	value_close(&value);
	return st;
}

/* Gives an entry the form that it has in the table.  *bytes_out: what its value takes if that is apart, else 0. */
static NvmkvStatus
settle_value(TableOutput *out, NvmkvSlice key, uint64_t *tag, NvmkvSlice *payload, uint64_t *bytes_out)
{
	uint32_t threshold = out->db->options.value_threshold_bytes;
	NvmkvTxnTag txn;
	NvmkvSlice value;

	*bytes_out = 0;
	if (ikey_kind(*tag) != NVMKV_KIND_VALUE || (!ikey_is_apart(*tag) && (threshold == 0 || payload->size < threshold)))
		return NVMKV_OK;
	NVMKV_RETURN_IF(ikey_split_payload(*tag, *payload, &txn, &value));
	if (ikey_is_apart(*tag))
		return keep_apart(out, key, tag, payload, value, bytes_out);
	return value.size >= threshold ? put_apart(out, key, tag, payload, value, bytes_out) : NVMKV_OK;
}

/* ---- entries ---- */

static bool
is_full(const TableOutput *out)
{
	return sst_builder_bytes(out->table.builder) >= out->split_bytes ||
		out->table.value_bytes >= out->split_apart_bytes;
}

static NvmkvStatus
end_full_tables(TableOutput *out, NvmkvSlice key)
{
	if (out->table.builder == NULL || slice_equal(nvmkv_buf_slice(&out->last_key), key))
		return NVMKV_OK;
	if (overlaps_enough(out, key) || is_full(out))
	{
		NVMKV_RETURN_IF(end_table(out, &out->table));
		out->grandparent_bytes = 0;
	}
	if (out->values.builder != NULL &&
		sst_builder_bytes(out->values.builder) >= VALUE_TABLE_FACTOR * out->db->options.target_file_bytes)
		return end_table(out, &out->values);
	return NVMKV_OK;
}

NvmkvStatus
table_output_add(TableOutput *out, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	uint64_t apart;

	NVMKV_RETURN_IF(end_full_tables(out, key));
	if (out->table.builder == NULL)
		NVMKV_RETURN_IF(start_table(out, &out->table));
	NVMKV_RETURN_IF(nvmkv_buf_set(&out->last_key, key));
	NVMKV_RETURN_IF(settle_value(out, key, &tag, &payload, &apart));
	out->table.value_bytes += apart;
	NVMKV_RETURN_IF(sst_builder_add(out->table.builder, key, tag, payload));
	return pay(out, &out->table);
}

NvmkvStatus
table_output_finish(TableOutput *out)
{
	if (out->table.builder != NULL)
		NVMKV_RETURN_IF(end_table(out, &out->table));
	if (out->values.builder != NULL)
		NVMKV_RETURN_IF(end_table(out, &out->values));
	NVMKV_RETURN_IF(sync_tables(out));
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

static void
abandon_table(TableOutput *out, OutputTable *t)
{
	sst_builder_destroy(t->builder);
	if (t->file != NULL)
	{
		port_files->close(t->file);
		remove_table(out, t->number);
	}
}

void
table_output_free(TableOutput *out, bool keep)
{
	uint32_t i;

	abandon_table(out, &out->table);
	abandon_table(out, &out->values);
	while (out->nunsynced > 0)
		port_files->close(out->unsynced[--out->nunsynced]);
	for (i = 0; i < out->nfiles; i++)
	{
		if (!keep)
			remove_table(out, out->files[i].number);
		port_free((void *) (uintptr_t) out->files[i].smallest.data);
		port_free((void *) (uintptr_t) out->files[i].largest.data);
	}
	port_free(out->files);
	value_refs_free(&out->refs);
	nvmkv_buf_free(&out->last_key);
	nvmkv_buf_free(&out->payload);
	memset(out, 0, sizeof(*out));
}
