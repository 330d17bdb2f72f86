/*
 * sst_builder.c
 *	  Writing an SSTable in one pass, forwards.
 *
 * An entry goes into the open data block.  A full data block is written and
 * gets an entry in the open index block; that entry's separator needs the next
 * key, so the block stays open until the next entry (or the end) comes.  When
 * index block or filter are full, filter and index block are written, and get
 * an entry in the top index, with the separator of their last data block.
 *
 * Memory: one data block, one index block, the hashes of one partition's keys,
 * the top index, and the write buffer.
 */
#include "engine/base/assert.h"
#include "engine/base/filter.h"
#include "engine/sst/sst_block.h"
#include "engine/sst/sst_builder.h"
#include "engine/sst/sst_codec.h"

#define WRITE_BUFFER_BYTES ((size_t) 256 * 1024)

/*
 * The medium is asked to write in pieces of this size, two of them at a time: the sync at the end is short then, and
 * those that share the disk (the log above all) never find a whole table before them in its queue.
 */
#define WRITE_BEHIND_BYTES UINT64_C(1048576)

struct SstBuilder
{
	PortFile *file;
	SstBuildOptions options;
	SstBlockBuilder data;
	SstBlockBuilder index;
	SstBlockBuilder top;
	NvmkvBuf hashes;	   /* uint64_t each: the partition's user keys, and their prefixes */
	uint64_t hashes_max;   /* how many fill a filter partition; UINT64_MAX without filters */
	NvmkvBuf filter;
	NvmkvBuf out;		   /* written so far, not yet in the file */
	uint64_t file_offset;  /* where "out" begins in the file */
	uint64_t behind;	   /* up to here the medium was asked to write */
	NvmkvBuf last_key;	   /* of the newest entry */
	uint64_t last_tag;
	NvmkvBuf smallest;
	SstCompressor compressor;
	ValueRefs refs;
	SstProps props;
	bool failed;
	bool finished;
};

static NvmkvStatus
check_options(const SstBuildOptions *options)
{
	if (options->block_bytes < 1024 || options->block_bytes > 1024 * 1024)
		return NVMKV_FAIL(NVMKV_INVALID, "block size %u is not in 1024 .. 1048576", (unsigned) options->block_bytes);
	if (options->restart_interval < 1 || options->restart_interval > SST_RESTART_INTERVAL_MAX)
		return NVMKV_FAIL(NVMKV_INVALID, "restart interval %u is not in 1 .. %d",
						  options->restart_interval, SST_RESTART_INTERVAL_MAX);
	if (options->bloom_bits_per_key > 32)
		return NVMKV_FAIL(NVMKV_INVALID, "%u bits a key are not in 0 .. 32", options->bloom_bits_per_key);
	if (options->prefix_bytes > NVMKV_PREFIX_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_INVALID, "prefixes of %u bytes are not in 0 .. %d", options->prefix_bytes, NVMKV_PREFIX_BYTES_MAX);
	if (options->codec > SST_CODEC_ZSTD)
		return NVMKV_FAIL(NVMKV_INVALID, "there is no codec %u", options->codec);
	return NVMKV_OK;
}

NvmkvStatus
sst_builder_create(const SstBuildOptions *options, PortFile *file, SstBuilder **builder_out)
{
	SstBuilder *b;
	NvmkvStatus status;

	*builder_out = NULL;
	NVMKV_RETURN_IF(check_options(options));
	b = port_alloc_zero(sizeof(*b));
	if (b == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory for an SSTable builder");
	status = nvmkv_buf_reserve(&b->out, WRITE_BUFFER_BYTES);
	if (status != NVMKV_OK)
	{
		port_free(b);
		return status;
	}
	b->file = file;
	b->options = *options;
	b->compressor.codec = options->codec;
	sst_block_builder_init(&b->data, options->restart_interval);
	sst_block_builder_init(&b->index, 1);
	sst_block_builder_init(&b->top, 1);
	b->hashes_max = options->bloom_bits_per_key == 0 ? UINT64_MAX :
		SST_FILTER_PARTITION_BYTES * UINT64_C(8) / options->bloom_bits_per_key;
	b->props.min_sequence = UINT64_MAX;
	b->props.block_bytes = options->block_bytes;
	b->props.restart_interval = options->restart_interval;
	b->props.bloom_bits_per_key = (uint16_t) options->bloom_bits_per_key;
	b->props.prefix_bytes = options->bloom_bits_per_key == 0 ? 0 : (uint16_t) options->prefix_bytes;
	*builder_out = b;
	return NVMKV_OK;
}

void
sst_builder_destroy(SstBuilder *b)
{
	if (b == NULL)
		return;
	sst_block_builder_free(&b->data);
	sst_block_builder_free(&b->index);
	sst_block_builder_free(&b->top);
	nvmkv_buf_free(&b->hashes);
	nvmkv_buf_free(&b->filter);
	nvmkv_buf_free(&b->out);
	nvmkv_buf_free(&b->last_key);
	nvmkv_buf_free(&b->smallest);
	sst_compressor_free(&b->compressor);
	value_refs_free(&b->refs);
	port_free(b);
}

static NvmkvStatus
write_behind(SstBuilder *b)
{
	while (b->file_offset - b->behind >= WRITE_BEHIND_BYTES)
	{
		NVMKV_RETURN_IF(port_write_behind(b->file, b->behind, WRITE_BEHIND_BYTES, false));
		if (b->behind > 0)
			NVMKV_RETURN_IF(port_write_behind(b->file, b->behind - WRITE_BEHIND_BYTES, WRITE_BEHIND_BYTES, true));
		b->behind += WRITE_BEHIND_BYTES;
	}
	return NVMKV_OK;
}

static NvmkvStatus
flush_out(SstBuilder *b)
{
	if (b->out.size == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(port_fault("sst.write"));
	NVMKV_RETURN_IF(port_files->write(b->file, b->file_offset, b->out.data, b->out.size));
	b->file_offset += b->out.size;
	b->out.size = 0;
	return write_behind(b);
}

/* Bytes larger than the buffer go past it. */
static NvmkvStatus
write_out(SstBuilder *b, const uint8_t *data, size_t size)
{
	if (b->out.size + size > WRITE_BUFFER_BYTES)
		NVMKV_RETURN_IF(flush_out(b));
	if (size > WRITE_BUFFER_BYTES)
	{
		NVMKV_RETURN_IF(port_fault("sst.write"));
		NVMKV_RETURN_IF(port_files->write(b->file, b->file_offset, data, size));
		b->file_offset += size;
		return NVMKV_OK;
	}
	return nvmkv_buf_append(&b->out, data, size);
}

static NvmkvStatus
write_stored(SstBuilder *b, NvmkvSlice block, unsigned codec, SstHandle *handle_out)
{
	uint8_t trailer[SST_TRAILER_BYTES];

	handle_out->offset = b->file_offset + b->out.size;
	handle_out->size = (uint32_t) block.size;
	sst_trailer_encode(block.data, block.size, codec, trailer);
	NVMKV_RETURN_IF(write_out(b, block.data, block.size));
	return write_out(b, trailer, sizeof(trailer));
}

static NvmkvStatus
check_size(NvmkvSlice block)
{
	if (block.size > SST_BLOCK_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "SSTable block of %zu bytes", block.size);
	return NVMKV_OK;
}

static NvmkvStatus
write_block(SstBuilder *b, NvmkvSlice block, SstHandle *handle_out)
{
	NVMKV_RETURN_IF(check_size(block));
	return write_stored(b, block, SST_CODEC_NONE, handle_out);
}

static NvmkvStatus
write_data_block(SstBuilder *b, NvmkvSlice block, SstHandle *handle_out)
{
	NvmkvSlice stored;
	unsigned codec;

	NVMKV_RETURN_IF(check_size(block));
	NVMKV_RETURN_IF(sst_compress(&b->compressor, block, &stored, &codec));
	return write_stored(b, stored, codec, handle_out);
}

static NvmkvStatus
write_filter(SstBuilder *b, SstHandle *handle_out)
{
	uint64_t count = b->hashes.size / sizeof(uint64_t);
	size_t bytes = filter_bytes(count, b->options.bloom_bits_per_key);
	uint64_t i;

	handle_out->offset = 0;
	handle_out->size = 0;
	if (bytes == 0)
		return NVMKV_OK;
	b->filter.size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&b->filter, bytes));
	memset(b->filter.data, 0, bytes);
	b->filter.size = bytes;
	for (i = 0; i < count; i++)
	{
		uint64_t hash;

		memcpy(&hash, b->hashes.data + i * sizeof(hash), sizeof(hash));
		filter_add(b->filter.data, bytes, hash);
	}
	b->hashes.size = 0;
	return write_block(b, nvmkv_buf_slice(&b->filter), handle_out);
}

/* An index entry: every key is stored whole. */
static NvmkvStatus
add_to_index(SstBlockBuilder *index, NvmkvSlice separator, uint64_t tag, const uint8_t *payload, const uint8_t *end)
{
	return sst_block_builder_add(index, separator, 0, tag, nvmkv_slice(payload, (size_t) (end - payload)));
}

/* Ends the partition, whose last data block has this separator. */
static NvmkvStatus
close_partition(SstBuilder *b, NvmkvSlice separator, uint64_t tag)
{
	uint8_t payload[2 * SST_HANDLE_BYTES_MAX];
	SstHandle filter;
	SstHandle index;
	NvmkvSlice block;
	uint8_t *end;

	NVMKV_RETURN_IF(write_filter(b, &filter));
	NVMKV_RETURN_IF(sst_block_builder_finish(&b->index, &block));
	NVMKV_RETURN_IF(write_block(b, block, &index));
	sst_block_builder_reset(&b->index);
	end = sst_handle_encode(payload, index);
	end = sst_handle_encode(end, filter);
	b->props.partitions++;
	return add_to_index(&b->top, separator, tag, payload, end);
}

static bool
partition_is_full(const SstBuilder *b)
{
	if (b->hashes.size / sizeof(uint64_t) >= b->hashes_max)
		return true;
	return b->index.entries >= SST_INDEX_BLOCK_ENTRIES_MIN &&
		sst_block_builder_bytes(&b->index) >= SST_INDEX_BLOCK_BYTES;
}

/* Writes the data block, which this separator describes. */
static NvmkvStatus
end_data_block(SstBuilder *b, NvmkvSlice separator, uint64_t tag, SstHandle *handle_out)
{
	uint8_t payload[SST_HANDLE_BYTES_MAX];
	NvmkvSlice block;
	uint8_t *end;

	NVMKV_RETURN_IF(sst_block_builder_finish(&b->data, &block));
	NVMKV_RETURN_IF(write_data_block(b, block, handle_out));
	sst_block_builder_reset(&b->data);
	b->props.data_blocks++;
	end = sst_handle_encode(payload, *handle_out);
	return add_to_index(&b->index, separator, tag, payload, end);
}

/* Writes the data block; the next entry's key is *next, or NULL at the end. */
static NvmkvStatus
close_data_block(SstBuilder *b, const NvmkvSlice *next)
{
	uint8_t separator_bytes[NVMKV_KEY_BYTES_MAX];
	NvmkvSlice last = nvmkv_buf_slice(&b->last_key);
	NvmkvSlice separator = last;
	uint64_t tag = 0;
	SstHandle handle;

	if (next != NULL)
	{
		if (slice_equal(last, *next))
			tag = b->last_tag;
		else
			separator = nvmkv_slice(separator_bytes, sst_separator(last, *next, separator_bytes));
	}
	NVMKV_RETURN_IF(end_data_block(b, separator, tag, &handle));
	if (next == NULL || partition_is_full(b))
		return close_partition(b, separator, tag);
	return NVMKV_OK;
}

/* What the properties say of an entry. */
static NvmkvStatus
count_entry(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	uint64_t sequence = ikey_sequence(tag);
	unsigned kind = ikey_kind(tag);
	NvmkvTxnTag txn = {0, 0};
	NvmkvSlice value;

	NVMKV_RETURN_IF(ikey_split_payload(tag, payload, &txn, &value));
	if (ikey_is_apart(tag))
	{
		SstReference reference;

		NVMKV_RETURN_IF(sst_reference_decode(value, &reference));
		NVMKV_RETURN_IF(value_refs_add(&b->refs, reference.number, sst_reference_bytes(reference)));
	}
	if (ikey_is_tagged(tag) && (tag & NVMKV_TYPE_COMMITTED_BIT) == 0 &&
		(b->props.min_unresolved_fxid == 0 || txn.fxid < b->props.min_unresolved_fxid))
		b->props.min_unresolved_fxid = txn.fxid;
	if (kind == NVMKV_KIND_DELETION || kind == NVMKV_KIND_RANGE_DELETION)
		b->props.deletions++;
	if (sequence < b->props.min_sequence)
		b->props.min_sequence = sequence;
	if (sequence > b->props.max_sequence)
		b->props.max_sequence = sequence;
	b->props.entries++;
	b->props.key_bytes += key.size;
	b->props.payload_bytes += payload.size;
	return NVMKV_OK;
}

/* Length of the longest common prefix with the last key; INVALID when (key, tag) is not beyond it. */
static NvmkvStatus
check_order(const SstBuilder *b, NvmkvSlice key, uint64_t tag, size_t *shared_out)
{
	const uint8_t *last = b->last_key.data;
	size_t n = key.size < b->last_key.size ? key.size : b->last_key.size;
	size_t i = 0;
	bool above;

	while (i + 8 <= n && get_u64(last + i) == get_u64(key.data + i))
		i += 8;
	while (i < n && last[i] == key.data[i])
		i++;
	*shared_out = i;
	if (i < n)
		above = key.data[i] > last[i];
	else if (key.size != b->last_key.size)
		above = key.size > b->last_key.size;
	else
		above = tag < b->last_tag;
	if (!above)
		return NVMKV_FAIL(NVMKV_INVALID, "SSTable entries are not in order");
	return NVMKV_OK;
}

/*
 * Notes what the partition's filter has to know of an entry that shares so many bytes with the one before.  A key or a
 * prefix that goes on in a new partition is in that one's filter too.
 */
static NvmkvStatus
add_hashes(SstBuilder *b, NvmkvSlice key, size_t shared, bool new_key)
{
	bool new_partition = b->data.entries == 0 && b->index.entries == 0;
	size_t prefix_bytes = b->props.prefix_bytes;
	uint64_t hash;

	if (new_key || new_partition)
	{
		hash = filter_hash(key);
		NVMKV_RETURN_IF(nvmkv_buf_append(&b->hashes, &hash, sizeof(hash)));
	}
	if (prefix_bytes > 0 && key.size >= prefix_bytes && (shared < prefix_bytes || new_partition))
	{
		hash = filter_prefix_hash(nvmkv_slice(key.data, prefix_bytes));
		NVMKV_RETURN_IF(nvmkv_buf_append(&b->hashes, &hash, sizeof(hash)));
	}
	return NVMKV_OK;
}

static NvmkvStatus
add_entry(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	bool first = b->props.entries == 0;
	bool new_key = true;
	size_t shared = 0;

	if (key.size > NVMKV_KEY_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "key of %zu bytes, at most %d are allowed", key.size, NVMKV_KEY_BYTES_MAX);
	if (payload.size > SST_PAYLOAD_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "value of %zu bytes, at most %u are allowed", payload.size, NVMKV_VALUE_BYTES_MAX);
	if (!ikey_type_is_valid_in_table(ikey_type(tag)))
		return NVMKV_FAIL(NVMKV_INVALID, "entry type 0x%02x is unknown", ikey_type(tag));
	if (first)
		NVMKV_RETURN_IF(nvmkv_buf_set(&b->smallest, key));
	else
	{
		NVMKV_RETURN_IF(check_order(b, key, tag, &shared));
		new_key = shared < key.size || key.size != b->last_key.size;
	}
	if (b->data.entries > 0)
	{
		size_t entry_bytes = SST_ENTRY_HEADER_BYTES_MIN + (key.size - shared) + 8 + payload.size;

		if (sst_block_builder_bytes(&b->data) + entry_bytes > b->options.block_bytes)
			NVMKV_RETURN_IF(close_data_block(b, &key));
	}

	if (b->hashes_max != UINT64_MAX)
		NVMKV_RETURN_IF(add_hashes(b, key, shared, new_key));
	NVMKV_RETURN_IF(count_entry(b, key, tag, payload));
	NVMKV_RETURN_IF(sst_block_builder_add(&b->data, key, b->data.entries == 0 ? 0 : shared, tag, payload));
	if (new_key)
	{
		b->props.keys++;
		NVMKV_RETURN_IF(nvmkv_buf_set(&b->last_key, key));
	}
	b->last_tag = tag;
	return NVMKV_OK;
}

NvmkvStatus
sst_builder_add(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	NvmkvStatus status;

	NVMKV_ASSERT(!b->failed && !b->finished);
	status = add_entry(b, key, tag, payload);
	b->failed = status != NVMKV_OK;
	return status;
}

NvmkvStatus
sst_builder_add_value(SstBuilder *b, NvmkvSlice key, uint64_t tag, NvmkvSlice value, SstHandle *block_out)
{
	NvmkvStatus status;

	NVMKV_ASSERT(!b->failed && !b->finished && b->data.entries == 0);
	status = add_entry(b, key, tag, value);
	/* The next key is not known: the separator is the entry itself. */
	if (status == NVMKV_OK)
		status = end_data_block(b, nvmkv_buf_slice(&b->last_key), tag, block_out);
	if (status == NVMKV_OK && partition_is_full(b))
		status = close_partition(b, nvmkv_buf_slice(&b->last_key), tag);
	b->failed = status != NVMKV_OK;
	return status;
}

uint64_t
sst_builder_bytes(const SstBuilder *b)
{
	uint64_t bytes = b->file_offset + b->out.size;

	if (b->finished)
		return bytes;
	bytes += sst_block_builder_bytes(&b->data) + sst_block_builder_bytes(&b->index) + sst_block_builder_bytes(&b->top);
	bytes += filter_bytes(b->hashes.size / sizeof(uint64_t), b->options.bloom_bits_per_key);
	bytes += SST_PROPS_FIXED_BYTES + b->smallest.size + b->last_key.size + b->refs.count * sizeof(ValueShare);
	return bytes + 5 * SST_TRAILER_BYTES + SST_FOOTER_BYTES;
}

static NvmkvStatus
finish(SstBuilder *b)
{
	uint8_t footer_bytes[SST_FOOTER_BYTES];
	NvmkvSlice block;
	SstFooter footer;

	if (b->props.entries == 0)
		return NVMKV_FAIL(NVMKV_INVALID, "an SSTable needs an entry");
	NVMKV_RETURN_IF(port_fault("sst.finish"));
	if (b->data.entries > 0)
		NVMKV_RETURN_IF(close_data_block(b, NULL));
	else if (b->index.entries > 0) /* of a value table */
		NVMKV_RETURN_IF(close_partition(b, nvmkv_buf_slice(&b->last_key), b->last_tag));
	NVMKV_RETURN_IF(sst_block_builder_finish(&b->top, &block));
	NVMKV_RETURN_IF(write_block(b, block, &footer.top));
	b->props.smallest = nvmkv_buf_slice(&b->smallest);
	b->props.largest = nvmkv_buf_slice(&b->last_key);

	/* The buffers of the data block and of the hashes are free now. */
	sst_block_builder_reset(&b->data);
	b->hashes.size = 0;
	NVMKV_RETURN_IF(value_refs_encode(&b->refs, &b->hashes));
	b->props.references = nvmkv_buf_slice(&b->hashes);
	NVMKV_RETURN_IF(sst_props_encode(&b->props, &b->data.bytes));
	NVMKV_RETURN_IF(write_block(b, nvmkv_buf_slice(&b->data.bytes), &footer.props));
	footer.file_bytes = b->file_offset + b->out.size + SST_FOOTER_BYTES;
	sst_footer_encode(&footer, footer_bytes);
	NVMKV_RETURN_IF(write_out(b, footer_bytes, sizeof(footer_bytes)));
	return flush_out(b);
}

NvmkvStatus
sst_builder_finish(SstBuilder *b, SstBuilt *built_out)
{
	NvmkvStatus status;

	NVMKV_ASSERT(!b->failed && !b->finished);
	memset(built_out, 0, sizeof(*built_out));
	status = finish(b);
	if (status != NVMKV_OK)
	{
		b->failed = true;
		return status;
	}
	b->finished = true;
	built_out->file_bytes = b->file_offset;
	built_out->entries = b->props.entries;
	built_out->deletions = b->props.deletions;
	built_out->user_bytes = b->props.key_bytes + b->props.payload_bytes;
	built_out->min_sequence = b->props.min_sequence;
	built_out->max_sequence = b->props.max_sequence;
	built_out->min_unresolved_fxid = b->props.min_unresolved_fxid;
	built_out->smallest = b->props.smallest;
	built_out->largest = b->props.largest;
	built_out->refs = &b->refs;
	return NVMKV_OK;
}
