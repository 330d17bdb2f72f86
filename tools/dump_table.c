/*
 * dump_table.c
 *	  Footer, properties, blocks and entries of an SSTable.
 */
#include "tools/dump_format.h"

#include <inttypes.h>

#include "engine/sst/sst_table.h"
#include "engine/sst/value_refs.h"

static void
dump_handle(Dump *dump, const char *what, SstHandle handle)
{
	fprintf(dump->out, "%s at %" PRIu64 ", %" PRIu32 " bytes", what, handle.offset, handle.size);
}

static void
dump_footer(Dump *dump, const SstFooter *footer)
{
	dump_handle(dump, "footer: top index", footer->top);
	dump_handle(dump, "; properties", footer->props);
	fprintf(dump->out, "; file of %" PRIu64 " bytes\n", footer->file_bytes);
}

/* The value tables it refers to. */
static void
dump_refs(Dump *dump, const SstProps *props)
{
	ValueRefs refs = {0};
	uint32_t i;

	if (value_refs_add_list(&refs, props->references) != NVMKV_OK)
		dump_failure(dump);
	for (i = 0; i < refs.count; i++)
		fprintf(dump->out, "properties: refers to %" PRIu64 " bytes in value table %06" PRIu64 "\n", refs.shares[i].bytes,
				refs.shares[i].number);
	value_refs_free(&refs);
}

static void
dump_props(Dump *dump, const SstProps *props)
{
	fprintf(dump->out,
			"properties: entries %" PRIu64 ", keys %" PRIu64 ", deletions %" PRIu64 ", key bytes %" PRIu64
			", payload bytes %" PRIu64 ", sequences %" PRIu64 " .. %" PRIu64 ", unresolved fxid %" PRIu64 "\n",
			props->entries, props->keys, props->deletions, props->key_bytes, props->payload_bytes, props->min_sequence,
			props->max_sequence, props->min_unresolved_fxid);
	fprintf(dump->out,
			"properties: data blocks %" PRIu64 " of %" PRIu32 " bytes, partitions %" PRIu32 ", restart interval %" PRIu32
			", filter bits %u of keys and prefixes of %u bytes, keys ",
			props->data_blocks, props->block_bytes, props->partitions, props->restart_interval,
			(unsigned) props->bloom_bits_per_key, (unsigned) props->prefix_bytes);
	dump_bytes(dump, props->smallest);
	fputs(" .. ", dump->out);
	dump_bytes(dump, props->largest);
	fputc('\n', dump->out);
	dump_refs(dump, props);
}

/* A block in the index, with the separator that ends it. */
static void
dump_block_line(Dump *dump, const char *what, SstHandle handle, const SstBlockCursor *separator)
{
	dump_handle(dump, what, handle);
	fputs(", up to ", dump->out);
	dump_bytes(dump, separator->key);
	fprintf(dump->out, " tag %016" PRIx64, separator->tag);
}

static void
dump_data(Dump *dump, SstTable *table, SstHandle handle)
{
	uint8_t buffer[SST_KEY_BUFFER_BYTES];
	SstBlock block;
	SstBlockCursor cursor;
	uint64_t entries = 0;
	bool on;

	if (sst_table_block(table, handle, SST_BLOCK_PRIVATE, &block) != NVMKV_OK)
	{
		fputc('\n', dump->out);
		dump_failure(dump);
		return;
	}
	if (!sst_block_cursor_open(&cursor, block.data, block.size, buffer))
		cursor.corrupt = true;
	else
	{
		for (on = sst_block_cursor_first(&cursor); on; on = sst_block_cursor_next(&cursor))
			entries++;
		fprintf(dump->out, ", entries %" PRIu64 ", restarts %" PRIu32, entries, cursor.restart_count);
	}
	fputc('\n', dump->out);
	if (cursor.corrupt)
	{
		(void) sst_table_malformed(table, handle.offset);
		dump_failure(dump);
	}
	if (dump->show_keys && entries > 0)
	{
		for (on = sst_block_cursor_first(&cursor); on; on = sst_block_cursor_next(&cursor))
		{
			fputs("        ", dump->out);
			dump_entry(dump, cursor.key, cursor.tag, cursor.payload);
		}
	}
	sst_table_release_block(table, &block);
}

static void
dump_index(Dump *dump, SstTable *table, SstHandle handle)
{
	SstBlock block;
	SstBlockCursor cursor;
	bool on;

	if (sst_table_block(table, handle, SST_BLOCK_PRIVATE, &block) != NVMKV_OK)
	{
		dump_failure(dump);
		return;
	}
	if (!sst_block_cursor_open(&cursor, block.data, block.size, NULL))
		cursor.corrupt = true;
	else
	{
		for (on = sst_block_cursor_first(&cursor); on; on = sst_block_cursor_next(&cursor))
		{
			SstHandle data;

			if (sst_table_data_handle(table, cursor.payload, &data) != NVMKV_OK)
			{
				dump_failure(dump);
				continue;
			}
			dump_block_line(dump, "    data block", data, &cursor);
			dump_data(dump, table, data);
		}
	}
	if (cursor.corrupt)
	{
		(void) sst_table_malformed(table, handle.offset);
		dump_failure(dump);
	}
	sst_table_release_block(table, &block);
}

static void
dump_blocks(Dump *dump, SstTable *table)
{
	SstBlockCursor top = sst_table_top_cursor(table);
	bool on;

	for (on = sst_block_cursor_first(&top); on; on = sst_block_cursor_next(&top))
	{
		SstHandle index;
		SstHandle filter;

		if (sst_table_top_handles(table, top.payload, &index, &filter) != NVMKV_OK)
		{
			dump_failure(dump);
			continue;
		}
		dump_block_line(dump, "partition: index", index, &top);
		if (filter.size > 0)
			dump_handle(dump, "; filter", filter);
		fputc('\n', dump->out);
		dump_index(dump, table, index);
	}
	if (top.corrupt)
	{
		(void) sst_table_malformed(table, sst_table_limit(table));
		dump_failure(dump);
	}
}

static NvmkvStatus
read_footer(const char *path, SstFooter *footer_out)
{
	uint8_t bytes[SST_FOOTER_BYTES];
	uint64_t size = 0;
	PortFile *file;
	NvmkvStatus status = port_files->open(path, PORT_FILE_READ, &file);

	if (status == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "\"%s\" does not exist", path);
	NVMKV_RETURN_IF(status);
	status = port_files->size(file, &size);
	if (status == NVMKV_OK && size < SST_FOOTER_BYTES)
		status = NVMKV_FAIL(NVMKV_CORRUPTION, "%s: %" PRIu64 " bytes are too few for an SSTable", path, size);
	if (status == NVMKV_OK)
		status = port_files->read(file, size - SST_FOOTER_BYTES, bytes, sizeof(bytes));
	port_files->close(file);
	NVMKV_RETURN_IF(status);
	return sst_footer_decode(bytes, size, path, footer_out);
}

void
dump_table(Dump *dump, const char *path)
{
	SstFooter footer;
	SstTable *table;

	if (read_footer(path, &footer) != NVMKV_OK)
	{
		dump_failure(dump);
		return;
	}
	dump_footer(dump, &footer);
	if (sst_table_open(path, 0, footer.file_bytes, NULL, &table) != NVMKV_OK)
	{
		dump_failure(dump);
		return;
	}
	dump_props(dump, sst_table_props(table));
	dump_blocks(dump, table);
	sst_table_unref(table);
}
