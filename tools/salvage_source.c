/*
 * salvage_source.c
 *	  Reading around damage: see salvage_source.h.
 *
 * A block that cannot be read costs the keys in it; its neighbours in the
 * index say which.  An index block that cannot be read costs its partition.
 */
#include "tools/salvage_source.h"

#include <inttypes.h>

/* What cannot be read: between the key before it, if there is one, and the separator. */
static void
report_lost(SalvageSource *s, NvmkvSlice from, NvmkvSlice to)
{
	dump_failure(s->dump);
	fputs("nvmkv_dump: lost: rows with keys ", s->dump->err);
	if (from.size > 0)
	{
		fputs("from ", s->dump->err);
		dump_bytes_to(s->dump->err, from);
		fputc(' ', s->dump->err);
	}
	fputs("up to ", s->dump->err);
	dump_bytes_to(s->dump->err, to);
	fputc('\n', s->dump->err);
}

static void
release_data(SalvageSource *s)
{
	if (s->has_data)
		sst_table_release_block(s->table, &s->data_block);
	s->has_data = false;
}

static void
release_index(SalvageSource *s)
{
	release_data(s);
	if (s->has_index)
		sst_table_release_block(s->table, &s->index_block);
	s->has_index = false;
}

void
salvage_source_close(SalvageSource *s)
{
	if (s->table != NULL)
	{
		release_index(s);
		sst_table_unref(s->table);
	}
	s->table = NULL;
	s->open = false;
	s->valid = false;
	nvmkv_buf_free(&s->scratch);
}

/* ---- table files ---- */

/* The separator up to which was read: where the next block that cannot be read begins. */
static void
remember(SalvageSource *s, NvmkvSlice separator)
{
	s->scratch.size = 0;
	(void) nvmkv_buf_append(&s->scratch, separator.data, separator.size);
}

/* Loads the data block that the index cursor stands on. */
static bool
load_data(SalvageSource *s)
{
	SstHandle handle;

	release_data(s);
	if (sst_table_data_handle(s->table, s->index.payload, &handle) == NVMKV_OK &&
		sst_table_block(s->table, handle, SST_BLOCK_PRIVATE, &s->data_block) == NVMKV_OK)
	{
		s->has_data = true;
		if (sst_block_cursor_open(&s->data, s->data_block.data, s->data_block.size, s->buffer))
		{
			remember(s, s->index.key);
			return true;
		}
		(void) sst_table_malformed(s->table, handle.offset);
		release_data(s);
	}
	report_lost(s, nvmkv_buf_slice(&s->scratch), s->index.key);
	remember(s, s->index.key);
	return false;
}

static bool
load_index(SalvageSource *s)
{
	SstHandle index, filter;

	release_index(s);
	if (sst_table_top_handles(s->table, s->top.payload, &index, &filter) == NVMKV_OK &&
		sst_table_block(s->table, index, SST_BLOCK_PRIVATE, &s->index_block) == NVMKV_OK)
	{
		s->has_index = true;
		if (sst_block_cursor_open(&s->index, s->index_block.data, s->index_block.size, NULL))
			return true;
		(void) sst_table_malformed(s->table, index.offset);
		release_index(s);
	}
	report_lost(s, nvmkv_buf_slice(&s->scratch), s->top.key);
	remember(s, s->top.key);
	return false;
}

static void
take_data(SalvageSource *s)
{
	s->valid = true;
	s->key = s->data.key;
	s->tag = s->data.tag;
	s->payload = s->data.payload;
}

/*
 * From where the cursors stand on to the first entry: "on" says whether top stands on a partition; lower: NULL once
 * everything is above it.
 */
static void
walk(SalvageSource *s, bool on, const NvmkvSlice *lower)
{
	for (; on; on = sst_block_cursor_next(&s->top))
	{
		bool in_index;

		if (!load_index(s))
			continue;
		in_index = lower != NULL ? sst_block_cursor_seek(&s->index, *lower, NVMKV_TAG_MAX)
								 : sst_block_cursor_first(&s->index);
		for (; in_index; in_index = sst_block_cursor_next(&s->index))
		{
			if (!load_data(s))
				continue;
			if (lower != NULL ? sst_block_cursor_seek(&s->data, *lower, NVMKV_TAG_MAX)
							  : sst_block_cursor_first(&s->data))
			{
				take_data(s);
				return;
			}
		}
	}
	salvage_source_close(s);
}

static void
table_next(SalvageSource *s)
{
	if (s->has_data && sst_block_cursor_next(&s->data))
	{
		take_data(s);
		return;
	}
	s->valid = false;
	if (s->has_data && s->data.corrupt)
	{
		(void) NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": a block is malformed", s->path);
		report_lost(s, s->key, s->index.key);
	}
	while (sst_block_cursor_next(&s->index))
		if (load_data(s) && sst_block_cursor_first(&s->data))
		{
			take_data(s);
			return;
		}
	walk(s, sst_block_cursor_next(&s->top), NULL);
}

static void
table_seek(SalvageSource *s, NvmkvSlice lower)
{
	if (sst_table_open(s->path, s->number, s->bytes, NULL, &s->table) != NVMKV_OK)
	{
		dump_failure(s->dump);
		fprintf(s->dump->err, "nvmkv_dump: lost: rows in \"%s\"\n", s->path);
		s->table = NULL;
		return;
	}
	s->top = sst_table_top_cursor(s->table);
	walk(s, sst_block_cursor_seek(&s->top, lower, NVMKV_TAG_MAX), &lower);
}

/* ---- rows ---- */

static void
row_load(SalvageSource *s)
{
	for (; s->at < s->row.entries; s->at++)
	{
		if (nvm_row_entry(s->pool, &s->row, s->at, &s->scratch, &s->key, &s->tag, &s->payload) == NVMKV_OK)
		{
			s->valid = true;
			return;
		}
		dump_failure(s->dump);
		fprintf(s->dump->err, "nvmkv_dump: lost: entry %" PRIu64 " of row %" PRIu64 " of the container\n", s->at,
				s->row.row_id);
	}
	salvage_source_close(s);
}

static void
row_seek(SalvageSource *s, NvmkvSlice lower)
{
	if (nvm_row_lower_bound(s->pool, &s->row, lower, NVMKV_TAG_MAX, s->row.first_live, s->row.entries, &s->at) !=
		NVMKV_OK)
		s->at = s->row.first_live;
	row_load(s);
	while (s->valid && slice_compare(s->key, lower) < 0)
		salvage_source_next(s);
}

/* ---- entries in memory ---- */

static void
entries_load(SalvageSource *s)
{
	if (s->at >= s->nentries)
	{
		salvage_source_close(s);
		return;
	}
	s->valid = true;
	s->key = s->entries[s->at].key;
	s->tag = s->entries[s->at].tag;
	s->payload = s->entries[s->at].payload;
}

/* ---- all of them ---- */

void
salvage_source_seek(SalvageSource *s, NvmkvSlice lower)
{
	s->open = true;
	s->valid = false;
	s->key = nvmkv_slice(NULL, 0);
	if (s->entries != NULL)
	{
		s->at = 0;
		while (s->at < s->nentries && slice_compare(s->entries[s->at].key, lower) < 0)
			s->at++;
		entries_load(s);
	}
	else if (s->pool != NULL)
		row_seek(s, lower);
	else
		table_seek(s, lower);
}

void
salvage_source_next(SalvageSource *s)
{
	s->valid = false;
	if (s->entries != NULL)
	{
		s->at++;
		entries_load(s);
	}
	else if (s->pool != NULL)
	{
		s->at++;
		row_load(s);
	}
	else
		table_next(s);
}

/* ---- merge: a heap of sources, the smallest entry at [0] ---- */

static bool
before(const SalvageSource *a, const SalvageSource *b)
{
	return ikey_compare(a->key, a->tag, b->key, b->tag) < 0;
}

static void
sift_down(SalvageMerge *m, size_t i)
{
	for (;;)
	{
		size_t least = i;
		size_t child = 2 * i + 1;
		SalvageSource *swapped;

		if (child < m->count && before(m->heap[child], m->heap[least]))
			least = child;
		if (child + 1 < m->count && before(m->heap[child + 1], m->heap[least]))
			least = child + 1;
		if (least == i)
			return;
		swapped = m->heap[i];
		m->heap[i] = m->heap[least];
		m->heap[least] = swapped;
		i = least;
	}
}

void
salvage_merge_start(SalvageMerge *m)
{
	size_t kept = 0;
	size_t i;

	for (i = 0; i < m->count; i++)
		if (m->heap[i]->valid)
			m->heap[kept++] = m->heap[i];
	m->count = kept;
	for (i = m->count / 2; i-- > 0;)
		sift_down(m, i);
}

SalvageSource *
salvage_merge_top(SalvageMerge *m)
{
	return m->count > 0 ? m->heap[0] : NULL;
}

void
salvage_merge_next(SalvageMerge *m)
{
	salvage_source_next(m->heap[0]);
	if (!m->heap[0]->valid)
		m->heap[0] = m->heap[--m->count];
	if (m->count > 0)
		sift_down(m, 0);
}
