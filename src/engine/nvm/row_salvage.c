/*
 * row_salvage.c
 *	  Entries of a row whose part of the index is damaged.
 *
 * The data region is one sequence of entries, each with a checksum that is seeded
 * with the row and its offset: so what passes it is an entry of this row, at its
 * place.  Only where one does not is the next one searched for, byte by byte.
 */
#include "engine/nvm/row_access.h"

typedef struct Carve
{
	const NvmPool *pool;
	const NvmRowRef *row;
	uint64_t limit;	   /* offset behind the last entry */
	uint64_t count;	   /* how many there are */
	uint32_t *offsets; /* as found; 0 for each place where some are missing */
	uint64_t found, breaks;
} Carve;

/* The offset behind the entry that begins here; 0: there is none that is sound. */
static uint64_t
end_of_entry(const Carve *c, uint64_t offset)
{
	NvmRowEntryHead head;

	if (nvm_row_read_head_at(c->pool, c->row, offset, c->row->entries, &head) != NVMKV_OK ||
		offset + nvm_row_entry_bytes(&head) > c->limit ||
		nvm_row_check_entry(c->pool, c->row, c->row->entries, &head) != NVMKV_OK)
		return 0;
	return offset + nvm_row_entry_bytes(&head);
}

/* Behind fill, if zeros stand from here to the end of the extent; else the same. */
static uint64_t
behind_fill(const Carve *c, uint64_t offset)
{
	uint64_t room = NVM_EXTENT_BYTES - (offset & (NVM_EXTENT_BYTES - 1));
	uint64_t i;

	if (room > NVM_ROW_UNSPLIT_BYTES_MAX || offset + room >= c->limit)
		return offset;
	for (i = 0; i < room; i++)
	{
		const uint8_t *p = nvm_row_at(c->pool, c->row, offset + i);

		if (p == NULL || *p != 0)
			return offset;
	}
	return offset + room;
}

/* Is there nothing but fill up to the limit? */
static bool
ends_here(const Carve *c, uint64_t offset)
{
	for (; offset < c->limit; offset++)
	{
		const uint8_t *p = nvm_row_at(c->pool, c->row, offset);

		if (p == NULL || *p != 0)
			return false;
	}
	return true;
}

static bool
has_room(const Carve *c)
{
	return c->found + c->breaks < c->count;
}

/* false: more is missing than there is room for. */
static bool
walk(Carve *c, uint64_t offset)
{
	while (offset < c->limit && has_room(c))
	{
		uint64_t end = end_of_entry(c, offset);

		if (end == 0 && behind_fill(c, offset) != offset)
		{
			offset = behind_fill(c, offset);
			end = end_of_entry(c, offset);
		}
		if (end == 0)
		{
			c->offsets[c->found + c->breaks++] = 0;
			do
				offset++;
			while (offset < c->limit && (end = end_of_entry(c, offset)) == 0);
			if (end == 0 || !has_room(c))
				return end == 0;
		}
		c->offsets[c->found + c->breaks] = (uint32_t) offset;
		c->found++;
		offset = end;
	}
	return ends_here(c, offset);
}

/* What is missing beyond one entry at each break is put where the first is: how it is divided is not known. */
static void
spread(Carve *c)
{
	uint64_t have = c->found + c->breaks;
	uint64_t more = c->count - have;
	uint64_t at = 0;

	while (at < have && c->offsets[at] != 0)
		at++;
	memmove(c->offsets + at + more, c->offsets + at, (have - at) * sizeof(uint32_t));
	memset(c->offsets + at, 0, more * sizeof(uint32_t));
}

/* Where the data of the stretch begins; 0: that is not known. */
static uint64_t
start_offset(const NvmPool *pool, const NvmRowRef *row, uint64_t first)
{
	NvmRowEntryHead head;

	if (first > row->first_live)
	{
		/* That one is in a sound part of the index; where its own data is damaged, what follows is searched for. */
		if (nvm_row_read_head(pool, row, first - 1, &head) != NVMKV_OK)
			return 0;
		return nvm_row_check_entry(pool, row, first - 1, &head) == NVMKV_OK ? head.offset + nvm_row_entry_bytes(&head)
																			 : head.offset + 1;
	}
	if (row->live_bytes > 0 && row->live_bytes <= row->data_bytes)
		return nvm_row_data_end(row->data_bytes) - row->live_bytes;
	return first == 0 ? NVM_ROW_HEADER_BYTES : 0;
}

static bool
is_sound(const NvmPool *pool, const NvmRowRef *row, uint64_t block)
{
	return nvm_row_check_block(pool, row, block) == NVMKV_OK;
}

/* Offset of the first entry behind the stretch. */
static uint64_t
end_offset(const NvmPool *pool, const NvmRowRef *row, uint64_t end)
{
	NvmRowEntryHead head;

	if (end >= row->entries || nvm_row_read_head(pool, row, end, &head) != NVMKV_OK)
		return nvm_row_data_end(row->data_bytes);
	return head.offset;
}

NvmkvStatus
nvm_row_find_stretch(const NvmPool *pool, const NvmRowRef *row, uint64_t index, NvmRowStretch *out)
{
	uint64_t low = index >> NVM_ROW_BLOCK_SHIFT;
	uint64_t high = low;
	Carve c = {.pool = pool, .row = row};
	uint64_t start;

	memset(out, 0, sizeof(*out));
	if (index < row->first_live || index >= row->entries || is_sound(pool, row, low))
		return NVMKV_OK;
	while (low > row->first_live >> NVM_ROW_BLOCK_SHIFT && !is_sound(pool, row, low - 1))
		low--;
	while (high < (row->entries - 1) >> NVM_ROW_BLOCK_SHIFT && !is_sound(pool, row, high + 1))
		high++;
	out->first = low << NVM_ROW_BLOCK_SHIFT;
	if (out->first < row->first_live)
		out->first = row->first_live;
	out->end = (high + 1) << NVM_ROW_BLOCK_SHIFT;
	if (out->end > row->entries)
		out->end = row->entries;
	c.count = out->end - out->first;
	c.limit = end_offset(pool, row, out->end);
	c.offsets = port_alloc_zero(c.count * sizeof(uint32_t));
	if (c.offsets == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no memory to look for %llu entries of a row", (unsigned long long) c.count);
	out->offsets = c.offsets;
	start = start_offset(pool, row, out->first);
	if (start != 0 && walk(&c, start) && c.found + c.breaks <= c.count)
	{
		/* All is accounted for, or else something is missing at a place that was noticed. */
		if (c.found + c.breaks == c.count || c.breaks > 0)
		{
			spread(&c);
			return NVMKV_OK;
		}
	}
	memset(c.offsets, 0, c.count * sizeof(uint32_t));
	return NVMKV_OK;
}

void
nvm_row_stretch_free(NvmRowStretch *stretch)
{
	port_free(stretch->offsets);
	memset(stretch, 0, sizeof(*stretch));
}
