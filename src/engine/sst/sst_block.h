/*
 * sst_block.h
 *	  Entry blocks: building one, and a cursor over one.
 *
 * Bytes: see sst_format.h.  The cursor checks every length before it follows
 * it, so that no block, however wrong, makes it read outside of the block;
 * it allocates nothing.
 */
#ifndef NVMKV_SST_BLOCK_H
#define NVMKV_SST_BLOCK_H

#include "engine/sst/sst_format.h"

/* ---- building ---- */

/* Zero-initialise, then sst_block_builder_init; release with sst_block_builder_free. */
typedef struct SstBlockBuilder
{
	NvmkvBuf bytes;
	NvmkvBuf restarts; /* u32 each, as they will stand in the block */
	unsigned restart_interval;
	unsigned since_restart;
	uint32_t entries;
} SstBlockBuilder;

extern void sst_block_builder_init(SstBlockBuilder *b, unsigned restart_interval);
extern void sst_block_builder_free(SstBlockBuilder *b);

/* Adds one entry; "shared" is the length of the longest common prefix with the key added before (0 for the first). */
extern NvmkvStatus sst_block_builder_add(SstBlockBuilder *b, NvmkvSlice key, size_t shared, uint64_t tag,
											 NvmkvSlice payload);

/* The size the finished block would have. */
extern size_t sst_block_builder_bytes(const SstBlockBuilder *b);

/* Completes the block; the slice is valid until the next call. */
extern NvmkvStatus sst_block_builder_finish(SstBlockBuilder *b, NvmkvSlice *block_out);

/* Empties it for the next block, keeping the memory. */
extern void sst_block_builder_reset(SstBlockBuilder *b);

/* ---- reading ---- */

/* Room for any key, and for copying 16 bytes at a time. */
#define SST_KEY_BUFFER_BYTES (NVMKV_KEY_BYTES_MAX + 16)

/*
 * A position in a block.  key, tag and payload describe the entry while the
 * last operation said true; they point into the block or into "buffer".
 * "corrupt" is set when an operation met a malformed entry (and said false).
 */
typedef struct SstBlockCursor
{
	const uint8_t *data;  /* NULL: no block */
	uint8_t *buffer;	  /* where keys are put together; NULL: every entry of the block is a restart */
	uint32_t limit;		  /* end of the entries, start of the restarts */
	uint32_t restart_count;
	uint32_t at;		  /* offset of the entry; REQUIRED to be an entry's for next and prev */
	uint32_t next;		  /* offset of the one behind it */
	bool corrupt;
	NvmkvSlice key;
	uint64_t tag;
	NvmkvSlice payload;
} SstBlockCursor;

/* Attaches the cursor to a block whose checksum is right; it stands nowhere yet.  false: malformed. */
extern bool sst_block_cursor_open(SstBlockCursor *c, const uint8_t *data, uint32_t size, uint8_t *buffer);

/* Detaches: the cursor stands nowhere. */
static inline void
sst_block_cursor_close(SstBlockCursor *c)
{
	c->data = NULL;
}

/* Each says whether the cursor stands on an entry now. */
extern bool sst_block_cursor_seek(SstBlockCursor *c, NvmkvSlice key, uint64_t tag); /* first entry >= (key, tag) */
extern bool sst_block_cursor_first(SstBlockCursor *c);
extern bool sst_block_cursor_last(SstBlockCursor *c);
extern bool sst_block_cursor_prev(SstBlockCursor *c);

/* An entry's three lengths; the returned pointer is the first byte behind them, NULL when malformed. */
static inline const uint8_t *
sst_entry_header(const uint8_t *p, const uint8_t *end, uint32_t *shared_out, uint32_t *unshared_out,
				 uint32_t *payload_out)
{
	uint32_t shared;
	uint32_t unshared;
	uint32_t payload;

	if (end - p < SST_ENTRY_BYTES_MIN)
		return NULL;
	shared = p[0];
	unshared = p[1];
	payload = p[2];
	if ((shared | unshared | payload) < 0x80)
		p += 3;
	else
	{
		if ((p = get_varint32(p, end, &shared)) == NULL ||
			(p = get_varint32(p, end, &unshared)) == NULL ||
			(p = get_varint32(p, end, &payload)) == NULL)
			return NULL;
		if (shared > NVMKV_KEY_BYTES_MAX || unshared > NVMKV_KEY_BYTES_MAX - shared)
			return NULL;
	}
	if ((uint64_t) (end - p) < (uint64_t) unshared + 8 + payload)
		return NULL;
	*shared_out = shared;
	*unshared_out = unshared;
	*payload_out = payload;
	return p;
}

/*
 * Moves to the entry at c->next, whose predecessor's key is c->key.  In line always: a caller that copies the entry
 * takes it from registers then; from memory, where its parts have just been stored one by one, it would wait.
 */
__attribute__((always_inline)) static inline bool
sst_block_cursor_next(SstBlockCursor *c)
{
	const uint8_t *end = c->data + c->limit;
	const uint8_t *p = c->data + c->next;
	uint32_t shared;
	uint32_t unshared;
	uint32_t payload;

	if (c->next >= c->limit)
		return false;
	p = sst_entry_header(p, end, &shared, &unshared, &payload);
	if (p == NULL || shared > c->key.size || (shared > 0 && c->buffer == NULL))
	{
		c->corrupt = true;
		return false;
	}
	c->at = c->next;
	if (shared == 0)
		c->key.data = p;
	else
	{
		if (c->key.data != c->buffer)
			memcpy(c->buffer, c->key.data, shared);
		/* Copying 16 bytes is faster than copying exactly as few; both sides have the room. */
		if (unshared <= 16 && end - p >= 16)
			memcpy(c->buffer + shared, p, 16);
		else
			memcpy(c->buffer + shared, p, unshared);
		c->key.data = c->buffer;
	}
	c->key.size = shared + unshared;
	c->tag = get_u64(p + unshared);
	c->payload.data = p + unshared + 8;
	c->payload.size = payload;
	c->next = (uint32_t) ((c->payload.data + payload) - c->data);
	return true;
}

#endif
