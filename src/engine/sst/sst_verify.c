/*
 * sst_verify.c
 *	  Checking every byte of an SSTable.
 *
 * Walks top index, index blocks and data blocks in file order with the same
 * cursors reading uses, on a table opened without a cache, and recomputes what
 * the properties say.  A broken block ends the walk of what hangs below it
 * only; then the sums are not compared any more, as they cannot be right.
 */
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/filter.h"
#include "engine/sst/sst_verify.h"
#include "engine/sst/value_refs.h"

#define TEXT_BYTES 512

typedef struct Walk
{
	SstTable *table;
	void (*problem)(void *ctx, const char *text);
	void *ctx;
	uint64_t expected_offset; /* where the next block must begin */
	bool incomplete;		  /* something was not walked */
	bool have_last;
	NvmkvBuf last_key;
	uint64_t last_tag;
	bool have_separator; /* of the block before the current one */
	NvmkvBuf separator;
	uint64_t separator_tag;
	SstProps sums;
	ValueRefs refs;
	NvmkvBuf smallest;
	uint8_t key_buffer[SST_KEY_BUFFER_BYTES];
} Walk;

static void finding(Walk *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
finding(Walk *w, const char *fmt, ...)
{
	char text[TEXT_BYTES];
	int n = snprintf(text, sizeof(text), "%s: ", sst_table_path(w->table));
	va_list args;

	if (n < 0 || (size_t) n >= sizeof(text))
		n = 0;
	va_start(args, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t) n, fmt, args);
	va_end(args);
	w->problem(w->ctx, text);
}

/* A failure that is a finding (true), or one that ends the walk (false). */
static bool
is_finding(Walk *w, NvmkvStatus status)
{
	if (status != NVMKV_CORRUPTION)
		return false;
	w->incomplete = true;
	w->problem(w->ctx, nvmkv_error()->text);
	return true;
}

static void
check_offset(Walk *w, SstHandle handle, const char *what)
{
	if (handle.offset != w->expected_offset)
		finding(w, "%s block at %" PRIu64 " should begin at %" PRIu64, what, handle.offset, w->expected_offset);
	w->expected_offset = handle.offset + handle.size + SST_TRAILER_BYTES;
}

/* Reads a block; without data after a finding. */
static NvmkvStatus
read_block(Walk *w, SstHandle handle, SstBlock *block_out)
{
	NvmkvStatus status = sst_table_block(w->table, handle, SST_BLOCK_PRIVATE, block_out);

	if (status != NVMKV_OK && is_finding(w, status))
		status = NVMKV_OK;
	return status;
}

static NvmkvStatus
count_reference(Walk *w, const SstBlockCursor *c)
{
	NvmkvTxnTag txn;
	NvmkvSlice value;
	SstReference reference;
	NvmkvStatus status = ikey_split_payload(c->tag, c->payload, &txn, &value);

	if (status == NVMKV_OK)
		status = sst_reference_decode(value, &reference);
	if (status == NVMKV_OK)
		return value_refs_add(&w->refs, reference.number, sst_reference_bytes(reference));
	finding(w, "%s", nvmkv_error()->text);
	return NVMKV_OK;
}

static void
count(Walk *w, const SstBlockCursor *c, bool new_key)
{
	uint64_t sequence = ikey_sequence(c->tag);
	unsigned kind = ikey_kind(c->tag);
	NvmkvTxnTag txn = {0, 0};
	NvmkvSlice value;

	if (ikey_split_payload(c->tag, c->payload, &txn, &value) != NVMKV_OK)
		finding(w, "%s", nvmkv_error()->text);
	else if (ikey_is_tagged(c->tag) && (c->tag & NVMKV_TYPE_COMMITTED_BIT) == 0 &&
			 (w->sums.min_unresolved_fxid == 0 || txn.fxid < w->sums.min_unresolved_fxid))
		w->sums.min_unresolved_fxid = txn.fxid;
	if (kind == NVMKV_KIND_DELETION || kind == NVMKV_KIND_RANGE_DELETION)
		w->sums.deletions++;
	if (sequence < w->sums.min_sequence)
		w->sums.min_sequence = sequence;
	if (sequence > w->sums.max_sequence)
		w->sums.max_sequence = sequence;
	w->sums.entries++;
	w->sums.keys += new_key;
	w->sums.key_bytes += c->key.size;
	w->sums.payload_bytes += c->payload.size;
}

/* The length stored as shared must be the longest, or 0 at a restart; restarts are where the interval says. */
static void
check_shared(Walk *w, const SstBlockCursor *c, uint64_t offset, uint32_t ordinal)
{
	const uint8_t *p = c->data + c->at;
	NvmkvSlice last = nvmkv_buf_slice(&w->last_key);
	uint32_t interval = sst_table_props(w->table)->restart_interval;
	uint32_t shared = 0;
	uint32_t unshared = 0;
	uint32_t payload = 0;
	size_t n = 0;

	if (interval == 0 || sst_entry_header(p, c->data + c->limit, &shared, &unshared, &payload) == NULL)
		return;
	if (ordinal % interval != 0)
	{
		while (n < last.size && n < c->key.size && last.data[n] == c->key.data[n])
			n++;
	}
	else if (ordinal / interval >= c->restart_count ||
			 get_u32(c->data + c->limit + (size_t) (ordinal / interval) * 4) != c->at)
		finding(w, "data block at %" PRIu64 ": entry %u should be a restart", offset, (unsigned) ordinal);
	if (shared != n)
		finding(w, "data block at %" PRIu64 ": entry %u shares %u bytes, expected %zu",
				offset, (unsigned) ordinal, (unsigned) shared, n);
}

/* One entry of the data block at "offset"; "upper" is the block's separator in the index. */
static NvmkvStatus
check_entry(Walk *w, const SstBlockCursor *c, uint64_t offset, uint32_t ordinal,
			const SstBlockCursor *upper, const SstBlock *filter)
{
	NvmkvSlice last = nvmkv_buf_slice(&w->last_key);
	bool new_key = !w->have_last || !slice_equal(last, c->key);
	size_t prefix_bytes = sst_table_props(w->table)->prefix_bytes;

	if (w->have_last && ikey_compare(last, w->last_tag, c->key, c->tag) >= 0)
		finding(w, "data block at %" PRIu64 ": entry %u is not above the one before", offset, (unsigned) ordinal);
	if (!ikey_type_is_valid_in_table(ikey_type(c->tag)))
		finding(w, "data block at %" PRIu64 ": entry %u has the unknown type 0x%02x", offset, (unsigned) ordinal, ikey_type(c->tag));
	if (ikey_compare(c->key, c->tag, upper->key, upper->tag) > 0)
		finding(w, "data block at %" PRIu64 ": entry %u is above the block's separator", offset, (unsigned) ordinal);
	if (w->have_separator && ikey_compare(nvmkv_buf_slice(&w->separator), w->separator_tag, c->key, c->tag) >= 0)
		finding(w, "data block at %" PRIu64 ": entry %u is not above the separator of the block before", offset, (unsigned) ordinal);
	if (filter->data != NULL && !filter_may_contain(filter->data, filter->size, filter_hash(c->key)))
		finding(w, "data block at %" PRIu64 ": the key of entry %u is missing in the filter", offset, (unsigned) ordinal);
	if (filter->data != NULL && prefix_bytes > 0 && c->key.size >= prefix_bytes &&
		!filter_may_contain(filter->data, filter->size, filter_prefix_hash(nvmkv_slice(c->key.data, prefix_bytes))))
		finding(w, "data block at %" PRIu64 ": the prefix of entry %u is missing in the filter", offset, (unsigned) ordinal);
	check_shared(w, c, offset, ordinal);
	count(w, c, new_key);
	if (ikey_is_apart(c->tag))
		NVMKV_RETURN_IF(count_reference(w, c));
	if (!w->have_last)
		NVMKV_RETURN_IF(nvmkv_buf_set(&w->smallest, c->key));
	NVMKV_RETURN_IF(nvmkv_buf_set(&w->last_key, c->key));
	w->last_tag = c->tag;
	w->have_last = true;
	return NVMKV_OK;
}

static NvmkvStatus
walk_data(Walk *w, SstHandle handle, const SstBlockCursor *upper, const SstBlock *filter)
{
	NvmkvStatus status = NVMKV_OK;
	SstBlockCursor c;
	SstBlock block;
	uint32_t ordinal;
	bool on;

	check_offset(w, handle, "data");
	w->sums.data_blocks++;
	NVMKV_RETURN_IF(read_block(w, handle, &block));
	if (block.data == NULL)
		return NVMKV_OK;
	if (!sst_block_cursor_open(&c, block.data, block.size, w->key_buffer))
		(void) is_finding(w, sst_table_malformed(w->table, handle.offset));
	else
	{
		on = sst_block_cursor_first(&c);
		for (ordinal = 0; on && status == NVMKV_OK; ordinal++)
		{
			status = check_entry(w, &c, handle.offset, ordinal, upper, filter);
			on = sst_block_cursor_next(&c);
		}
		if (c.corrupt)
			(void) is_finding(w, sst_table_malformed(w->table, handle.offset));
	}
	sst_table_release_block(w->table, &block);
	return status;
}

/* The separator behind which the next block's entries must stand. */
static NvmkvStatus
pass_separator(Walk *w, const SstBlockCursor *index)
{
	NVMKV_RETURN_IF(nvmkv_buf_set(&w->separator, index->key));
	w->separator_tag = index->tag;
	w->have_separator = true;
	return NVMKV_OK;
}

/* The data blocks of an open index block, whose entry in the top index is "upper". */
static NvmkvStatus
walk_index(Walk *w, SstHandle handle, const SstBlock *block,
		   const SstBlockCursor *upper, const SstBlock *filter)
{
	SstBlockCursor c;
	bool on = false;

	if (!sst_block_cursor_open(&c, block->data, block->size, NULL) || !(on = sst_block_cursor_first(&c)))
	{
		(void) is_finding(w, sst_table_malformed(w->table, handle.offset));
		return NVMKV_OK;
	}
	while (on)
	{
		NvmkvStatus status;
		SstHandle data;

		if (port_interrupted())
			return NVMKV_FAIL(NVMKV_CANCELLED, "%s: verification was cancelled", sst_table_path(w->table));
		if (w->have_separator && ikey_compare(nvmkv_buf_slice(&w->separator), w->separator_tag, c.key, c.tag) >= 0)
			finding(w, "index block at %" PRIu64 ": separators are not in order", handle.offset);
		status = sst_table_data_handle(w->table, c.payload, &data);
		if (status == NVMKV_OK)
			status = walk_data(w, data, &c, filter);
		else if (is_finding(w, status))
			status = NVMKV_OK;
		if (status == NVMKV_OK)
			status = pass_separator(w, &c);
		NVMKV_RETURN_IF(status);
		on = sst_block_cursor_next(&c);
	}
	if (c.corrupt)
		(void) is_finding(w, sst_table_malformed(w->table, handle.offset));
	else if (ikey_compare(nvmkv_buf_slice(&w->separator), w->separator_tag, upper->key, upper->tag) != 0)
		finding(w, "index block at %" PRIu64 ": its last separator is not the top index's", handle.offset);
	return NVMKV_OK;
}

static NvmkvStatus
walk_partition(Walk *w, const SstBlockCursor *top)
{
	NvmkvStatus status;
	SstHandle index;
	SstHandle filter;
	SstBlock index_block = {0};
	SstBlock filter_block = {0};

	status = sst_table_top_handles(w->table, top->payload, &index, &filter);
	if (status != NVMKV_OK)
		return is_finding(w, status) ? NVMKV_OK : status;
	w->sums.partitions++;
	if (filter.size != 0)
	{
		if (filter.size % FILTER_LINE_BYTES != 0)
			finding(w, "filter block at %" PRIu64 " has %u bytes", filter.offset, (unsigned) filter.size);
		NVMKV_RETURN_IF(read_block(w, filter, &filter_block));
	}
	else if (sst_table_props(w->table)->bloom_bits_per_key != 0)
		finding(w, "partition of the index block at %" PRIu64 " has no filter", index.offset);
	status = read_block(w, index, &index_block);
	if (status == NVMKV_OK && index_block.data != NULL)
		status = walk_index(w, index, &index_block, top, &filter_block);

	/* After an unread index block nobody knows where its data blocks ended. */
	if (index_block.data == NULL)
		w->expected_offset = filter.size != 0 ? filter.offset : index.offset;
	if (status == NVMKV_OK && filter.size != 0)
		check_offset(w, filter, "filter");
	if (status == NVMKV_OK)
		check_offset(w, index, "index");
	sst_table_release_block(w->table, &index_block);
	sst_table_release_block(w->table, &filter_block);
	return status;
}

static void
check_number(Walk *w, const char *name, uint64_t stored, uint64_t counted)
{
	if (stored != counted)
		finding(w, "property %s is %" PRIu64 ", counted %" PRIu64, name, stored, counted);
}

/* The references in the properties are those of the entries. */
static NvmkvStatus
check_refs(Walk *w)
{
	ValueRefs stored = {0};
	NvmkvStatus status = value_refs_add_list(&stored, sst_table_props(w->table)->references);
	uint32_t i;

	if (status == NVMKV_OK && stored.count != w->refs.count)
		finding(w, "properties have references to %u value tables, counted %u", stored.count, w->refs.count);
	for (i = 0; status == NVMKV_OK && i < w->refs.count; i++)
	{
		const ValueShare *share = value_refs_find(&stored, w->refs.shares[i].number);

		if (share == NULL || share->bytes != w->refs.shares[i].bytes)
			finding(w, "properties have %" PRIu64 " bytes in value table %" PRIu64 ", counted %" PRIu64,
					share != NULL ? share->bytes : 0, w->refs.shares[i].number, w->refs.shares[i].bytes);
	}
	value_refs_free(&stored);
	return status;
}

static NvmkvStatus
check_props(Walk *w)
{
	const SstProps *props = sst_table_props(w->table);

	check_number(w, "entries", props->entries, w->sums.entries);
	check_number(w, "keys", props->keys, w->sums.keys);
	check_number(w, "deletions", props->deletions, w->sums.deletions);
	check_number(w, "key bytes", props->key_bytes, w->sums.key_bytes);
	check_number(w, "payload bytes", props->payload_bytes, w->sums.payload_bytes);
	check_number(w, "data blocks", props->data_blocks, w->sums.data_blocks);
	check_number(w, "smallest sequence", props->min_sequence, w->sums.min_sequence);
	check_number(w, "largest sequence", props->max_sequence, w->sums.max_sequence);
	check_number(w, "smallest unresolved transaction", props->min_unresolved_fxid, w->sums.min_unresolved_fxid);
	check_number(w, "partitions", props->partitions, w->sums.partitions);
	if (!slice_equal(props->smallest, nvmkv_buf_slice(&w->smallest)))
		finding(w, "the smallest key is not the one the properties name");
	if (!slice_equal(props->largest, nvmkv_buf_slice(&w->last_key)))
		finding(w, "the largest key is not the one the properties name");
	return check_refs(w);
}

static NvmkvStatus
walk_table(Walk *w)
{
	SstBlockCursor top = sst_table_top_cursor(w->table);
	bool on = sst_block_cursor_first(&top);

	while (on)
	{
		NVMKV_RETURN_IF(walk_partition(w, &top));
		on = sst_block_cursor_next(&top);
	}
	if (top.corrupt)
		(void) is_finding(w, sst_table_malformed(w->table, sst_table_limit(w->table)));
	if (!w->incomplete)
	{
		if (w->expected_offset != sst_table_limit(w->table))
			finding(w, "the partitions end at %" PRIu64 ", the top index begins at %" PRIu64, w->expected_offset, sst_table_limit(w->table));
		return check_props(w);
	}
	return NVMKV_OK;
}

NvmkvStatus
sst_verify(const char *path, uint64_t number, uint64_t file_bytes,
		   void (*problem)(void *ctx, const char *text), void *ctx)
{
	NvmkvStatus status;
	Walk *w = port_alloc_zero(sizeof(*w));

	if (w == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "%s: no memory to verify the table", path);
	w->problem = problem;
	w->ctx = ctx;
	w->sums.min_sequence = UINT64_MAX;
	status = sst_table_open(path, number, file_bytes, NULL, &w->table);
	if (status == NVMKV_OK)
		status = walk_table(w);
	else if (is_finding(w, status))
		status = NVMKV_OK;
	sst_table_unref(w->table);
	nvmkv_buf_free(&w->last_key);
	nvmkv_buf_free(&w->separator);
	nvmkv_buf_free(&w->smallest);
	value_refs_free(&w->refs);
	port_free(w);
	return status;
}
