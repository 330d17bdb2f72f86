/*
 * edit.c
 *	  Bytes of version edits.
 */
#include "engine/meta/edit.h"

#include <inttypes.h>

typedef enum EditTag
{
	TAG_SYSTEM = 1,
	TAG_DURABLE = 2,
	TAG_NEXT_FILE = 3,
	TAG_NEXT_ROW = 4,
	TAG_POOL = 5,
	TAG_LOG = 6,
	TAG_CLOSED = 7,
	TAG_INCARNATION = 8,
	TAG_EDITS = 9,
	TAG_GENERATION = 10,
	TAG_ROW_ADD = 16,
	TAG_ROW_ADVANCE = 17,
	TAG_ROW_DROP = 18,
	TAG_ROW_ROLE = 19,
	TAG_FILE_ADD = 32,
	TAG_FILE_DROP = 33,
	TAG_VALUE_RELEASE = 34,
	TAG_SETTLED = 48,
	TAG_OUTCOMES_LOW = 49,
	TAG_SEGMENT = 50,
	TAG_LOST = 51,
	TAG_FOUND = 52,
	TAG_DAMAGE = 64,
	TAG_DAMAGE_CLEAR = 65
} EditTag;

/* ---- arena ---- */

typedef struct MetaArenaBlock
{
	struct MetaArenaBlock *next;
	size_t used, size;
	uint64_t memory[];
} MetaArenaBlock;

#define ARENA_BLOCK_BYTES 65536

void *
meta_arena_alloc(MetaArena *arena, size_t size)
{
	MetaArenaBlock *block = arena->blocks;

	size = (size + 7) & ~(size_t) 7;
	if (block == NULL || block->size - block->used < size)
	{
		size_t want = size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES;

		block = port_alloc(sizeof(MetaArenaBlock) + want);
		if (block == NULL)
		{
			(void) NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
			return NULL;
		}
		block->next = arena->blocks;
		block->used = 0;
		block->size = want;
		arena->blocks = block;
	}
	block->used += size;
	return (uint8_t *) block->memory + block->used - size;
}

void
meta_arena_free(MetaArena *arena)
{
	while (arena->blocks != NULL)
	{
		MetaArenaBlock *next = arena->blocks->next;

		port_free(arena->blocks);
		arena->blocks = next;
	}
}

/* ---- writing: the first failure sticks in *status ---- */

typedef struct Writer
{
	NvmkvBuf *buf;
	NvmkvStatus status;
} Writer;

static void
write_bytes(Writer *w, const void *data, size_t size)
{
	if (w->status == NVMKV_OK)
		w->status = nvmkv_buf_append(w->buf, data, size);
}

static void
write_varint(Writer *w, uint64_t v)
{
	uint8_t bytes[VARINT64_BYTES_MAX];

	write_bytes(w, bytes, (size_t) (put_varint(bytes, v) - bytes));
}

static void
write_u64(Writer *w, uint64_t v)
{
	uint8_t bytes[8];

	put_u64(bytes, v);
	write_bytes(w, bytes, sizeof(bytes));
}

static void
write_slice(Writer *w, NvmkvSlice s)
{
	write_varint(w, s.size);
	write_bytes(w, s.data, s.size);
}

/*
 * ROW_ADD body: row_id, entries, first_live, data_bytes, live_bytes, older_row_id, min_sequence, max_sequence,
 * min_unresolved_fxid, role, first_extent_live, extent_count, extents[] (all varints), smallest, largest (varint
 * size, bytes)
 */
static void
write_row(Writer *w, const MetaRow *row)
{
	uint32_t i;

	write_varint(w, TAG_ROW_ADD);
	write_varint(w, row->row_id);
	write_varint(w, row->entries);
	write_varint(w, row->first_live);
	write_varint(w, row->data_bytes);
	write_varint(w, row->live_bytes);
	write_varint(w, row->older_row_id);
	write_varint(w, row->min_sequence);
	write_varint(w, row->max_sequence);
	write_varint(w, row->min_unresolved_fxid);
	write_varint(w, row->role);
	write_varint(w, row->first_extent_live);
	write_varint(w, row->extent_count);
	for (i = 0; i < row->extent_count; i++)
		write_varint(w, row->extents[i]);
	write_slice(w, row->smallest);
	write_slice(w, row->largest);
}

/*
 * FILE_ADD body: level, number, bytes, entries, min_sequence, max_sequence, min_unresolved_fxid, value_bytes,
 * released_bytes (varints), smallest, largest
 */
static void
write_file(Writer *w, const MetaFile *file)
{
	write_varint(w, TAG_FILE_ADD);
	write_varint(w, file->level);
	write_varint(w, file->number);
	write_varint(w, file->bytes);
	write_varint(w, file->entries);
	write_varint(w, file->min_sequence);
	write_varint(w, file->max_sequence);
	write_varint(w, file->min_unresolved_fxid);
	write_varint(w, file->value_bytes);
	write_varint(w, file->released_bytes);
	write_slice(w, file->smallest);
	write_slice(w, file->largest);
}

/* DAMAGE body: kind, level, source, offset, max_sequence, found_us, bytes (varints), low, upper (varint size, bytes) */
static void
write_damage(Writer *w, const MetaDamage *damage)
{
	write_varint(w, TAG_DAMAGE);
	write_varint(w, damage->kind);
	write_varint(w, damage->level);
	write_varint(w, damage->source);
	write_varint(w, damage->offset);
	write_varint(w, damage->max_sequence);
	write_varint(w, damage->found_us);
	write_varint(w, damage->bytes);
	write_slice(w, damage->low);
	write_slice(w, damage->upper);
}

static void
write_xids(Writer *w, EditTag tag, const VersionXids *xids)
{
	write_varint(w, tag);
	write_varint(w, xids->from);
	write_varint(w, xids->to);
}

NvmkvStatus
edit_encode(const VersionEdit *edit, NvmkvBuf *out)
{
	Writer w = {out, NVMKV_OK};
	uint32_t i;

	if (edit->has_system)
	{
		write_varint(&w, TAG_SYSTEM);
		write_varint(&w, EDIT_FORMAT);
		write_u64(&w, edit->system_identifier);
	}
	if (edit->has_durable)
	{
		write_varint(&w, TAG_DURABLE);
		write_u64(&w, edit->durable_seq);
	}
	if (edit->has_next_file)
	{
		write_varint(&w, TAG_NEXT_FILE);
		write_varint(&w, edit->next_file);
	}
	if (edit->has_next_row)
	{
		write_varint(&w, TAG_NEXT_ROW);
		write_varint(&w, edit->next_row);
	}
	if (edit->has_pool)
	{
		write_varint(&w, TAG_POOL);
		write_u64(&w, edit->pool_id);
	}
	if (edit->has_log)
	{
		write_varint(&w, TAG_LOG);
		write_varint(&w, edit->log_number);
	}
	if (edit->has_closed)
	{
		write_varint(&w, TAG_CLOSED);
		write_varint(&w, edit->closed);
	}
	if (edit->has_incarnation)
	{
		write_varint(&w, TAG_INCARNATION);
		write_u64(&w, edit->incarnation);
		write_u64(&w, edit->predecessor);
	}
	if (edit->has_edits)
	{
		write_varint(&w, TAG_EDITS);
		write_varint(&w, edit->edits);
	}
	if (edit->has_generation)
	{
		write_varint(&w, TAG_GENERATION);
		write_u64(&w, edit->generation);
		write_u64(&w, edit->successor);
		write_varint(&w, edit->stamp_number);
	}
	if (edit->has_settled)
	{
		write_varint(&w, TAG_SETTLED);
		write_varint(&w, edit->settled);
	}
	if (edit->has_outcomes_low)
	{
		write_varint(&w, TAG_OUTCOMES_LOW);
		write_varint(&w, edit->outcomes_low);
	}
	for (i = 0; i < edit->nrow_drops; i++)
	{
		write_varint(&w, TAG_ROW_DROP);
		write_varint(&w, edit->row_drops[i]);
	}
	for (i = 0; i < edit->nrow_advances; i++)
	{
		write_varint(&w, TAG_ROW_ADVANCE);
		write_varint(&w, edit->row_advances[i].row_id);
		write_varint(&w, edit->row_advances[i].first_live);
		write_varint(&w, edit->row_advances[i].live_bytes);
		write_varint(&w, edit->row_advances[i].first_extent_live);
	}
	for (i = 0; i < edit->nrow_roles; i++)
	{
		write_varint(&w, TAG_ROW_ROLE);
		write_varint(&w, edit->row_roles[i].row_id);
		write_varint(&w, edit->row_roles[i].role);
	}
	for (i = 0; i < edit->nrow_adds; i++)
		write_row(&w, &edit->row_adds[i]);
	for (i = 0; i < edit->nfile_drops; i++)
	{
		write_varint(&w, TAG_FILE_DROP);
		write_varint(&w, edit->file_drops[i].level);
		write_varint(&w, edit->file_drops[i].number);
	}
	for (i = 0; i < edit->nfile_adds; i++)
		write_file(&w, &edit->file_adds[i]);
	for (i = 0; i < edit->nvalue_releases; i++)
	{
		write_varint(&w, TAG_VALUE_RELEASE);
		write_varint(&w, edit->value_releases[i].number);
		write_varint(&w, edit->value_releases[i].bytes);
	}
	for (i = 0; i < edit->ndamage_clears; i++)
	{
		write_varint(&w, TAG_DAMAGE_CLEAR);
		write_slice(&w, edit->damage_clears[i].lower);
		write_slice(&w, edit->damage_clears[i].upper);
	}
	for (i = 0; i < edit->ndamages; i++)
		write_damage(&w, &edit->damages[i]);
	for (i = 0; i < edit->nsegments; i++)
	{
		write_varint(&w, TAG_SEGMENT);
		write_varint(&w, edit->segments[i].segment);
		write_varint(&w, edit->segments[i].file);
	}
	for (i = 0; i < edit->nlost; i++)
		write_xids(&w, TAG_LOST, &edit->lost[i]);
	for (i = 0; i < edit->nfound; i++)
		write_xids(&w, TAG_FOUND, &edit->found[i]);
	return w.status;
}

/* ---- reading ---- */

typedef struct Reader
{
	const uint8_t *p;
	const uint8_t *end;
	MetaArena *arena;
	NvmkvStatus status; /* first failure; reads give 0 from then on */
} Reader;

static void
reader_corrupt(Reader *r, const char *what)
{
	if (r->status == NVMKV_OK)
		r->status = NVMKV_FAIL(NVMKV_CORRUPTION, "version edit: bad %s", what);
}

static uint64_t
read_varint(Reader *r)
{
	uint64_t v = 0;
	const uint8_t *next;

	if (r->status != NVMKV_OK)
		return 0;
	next = get_varint(r->p, r->end, &v);
	if (next == NULL)
	{
		reader_corrupt(r, "number");
		return 0;
	}
	r->p = next;
	return v;
}

static uint32_t
read_varint32(Reader *r, uint32_t max)
{
	uint64_t v = read_varint(r);

	if (v > max)
	{
		reader_corrupt(r, "number (too large)");
		return 0;
	}
	return (uint32_t) v;
}

static uint64_t
read_u64(Reader *r)
{
	uint64_t v;

	if (r->status != NVMKV_OK)
		return 0;
	if (r->end - r->p < 8)
	{
		reader_corrupt(r, "number (cut off)");
		return 0;
	}
	v = get_u64(r->p);
	r->p += 8;
	return v;
}

static NvmkvSlice
read_bytes(Reader *r, uint64_t max)
{
	uint64_t size = read_varint(r);
	NvmkvSlice s = nvmkv_slice(NULL, 0);

	if (r->status != NVMKV_OK)
		return s;
	if (size > (uint64_t) (r->end - r->p) || size > max)
	{
		reader_corrupt(r, "key");
		return s;
	}
	s = nvmkv_slice(r->p, (size_t) size);
	r->p += size;
	return s;
}

static NvmkvSlice
read_slice(Reader *r)
{
	return read_bytes(r, NVMKV_KEY_BYTES_MAX);
}

static void
read_damage(Reader *r, MetaDamage *damage)
{
	damage->kind = read_varint32(r, VERSION_DAMAGE_ROW);
	damage->level = read_varint32(r, VERSION_VALUES);
	damage->source = read_varint(r);
	damage->offset = read_varint(r);
	damage->max_sequence = read_varint(r);
	damage->found_us = read_varint(r);
	damage->bytes = read_varint(r);
	damage->low = read_bytes(r, NVMKV_KEY_BYTES_MAX + 1);
	damage->upper = read_bytes(r, NVMKV_KEY_BYTES_MAX + 1);
	if (r->status == NVMKV_OK && slice_compare(damage->low, damage->upper) >= 0)
		reader_corrupt(r, "damaged range");
}

static void
read_row(Reader *r, MetaRow *row)
{
	uint32_t *extents;
	uint32_t i;

	row->row_id = read_varint(r);
	row->entries = read_varint(r);
	row->first_live = read_varint(r);
	row->data_bytes = read_varint(r);
	row->live_bytes = read_varint(r);
	row->older_row_id = read_varint(r);
	row->min_sequence = read_varint(r);
	row->max_sequence = read_varint(r);
	row->min_unresolved_fxid = read_varint(r);
	row->role = read_varint32(r, VERSION_COMPACTOR);
	row->first_extent_live = read_varint32(r, NVM_EXTENTS_MAX);
	row->extent_count = read_varint32(r, NVM_EXTENTS_MAX);
	if (r->status == NVMKV_OK && (row->extent_count == 0 || row->extent_count > (size_t) (r->end - r->p) ||
								  row->first_extent_live > row->extent_count || row->first_live >= row->entries))
		reader_corrupt(r, "row");
	if (r->status != NVMKV_OK)
		return;
	extents = meta_arena_alloc(r->arena, row->extent_count * sizeof(uint32_t));
	if (extents == NULL)
	{
		r->status = NVMKV_NO_MEMORY;
		return;
	}
	for (i = 0; i < row->extent_count; i++)
		extents[i] = read_varint32(r, NVM_EXTENTS_MAX);
	row->extents = extents;
	row->smallest = read_slice(r);
	row->largest = read_slice(r);
}

static void
read_file(Reader *r, MetaFile *file)
{
	file->level = read_varint32(r, VERSION_VALUES);
	file->number = read_varint(r);
	file->bytes = read_varint(r);
	file->entries = read_varint(r);
	file->min_sequence = read_varint(r);
	file->max_sequence = read_varint(r);
	file->min_unresolved_fxid = read_varint(r);
	file->value_bytes = read_varint(r);
	file->released_bytes = read_varint(r);
	file->smallest = read_slice(r);
	file->largest = read_slice(r);
}

static VersionXids
read_xids(Reader *r)
{
	VersionXids xids;

	xids.from = read_varint(r);
	xids.to = read_varint(r);
	if (r->status == NVMKV_OK && xids.from >= xids.to)
		reader_corrupt(r, "range of transactions");
	return xids;
}

/* Grows a list in the arena to hold one more element; old copies stay behind until the arena goes. */
static void *
list_grow(Reader *r, const void *list, uint32_t count, size_t element)
{
	uint8_t *grown;

	if (count != 0 && (count & (count - 1)) != 0)
		return (uint8_t *) (uintptr_t) list + count * element; /* capacity is the next power of two */
	grown = meta_arena_alloc(r->arena, (count == 0 ? 1 : 2 * (size_t) count) * element);
	if (grown == NULL)
	{
		r->status = NVMKV_NO_MEMORY;
		return NULL;
	}
	if (count > 0)
		memcpy(grown, list, count * element);
	return grown + count * element;
}

/* Appends *item to edit list "list"/"n". */
#define LIST_APPEND(r, list, n, item) \
	do \
	{ \
		uint8_t *at_ = (r)->status == NVMKV_OK ? list_grow((r), (list), (n), sizeof(item)) : NULL; \
		if (at_ != NULL) \
		{ \
			memcpy(at_, &(item), sizeof(item)); \
			(list) = (const void *) (at_ - (n) * sizeof(item)); \
			(n)++; \
		} \
	} while (0)

static void
read_field(Reader *r, VersionEdit *e)
{
	uint64_t tag = read_varint(r);

	if (r->status != NVMKV_OK)
		return;
	switch (tag)
	{
		case TAG_SYSTEM:
			{
				uint64_t format = read_varint(r);

				if (r->status == NVMKV_OK && format != EDIT_FORMAT)
				{
					r->status = NVMKV_FAIL(NVMKV_VERSION, "manifest has format %" PRIu64 ", this version reads %d" NVMKV_USE_NEWER,
											   format, EDIT_FORMAT);
					return;
				}
				e->system_identifier = read_u64(r);
				e->has_system = true;
				break;
			}
		case TAG_DURABLE:
			e->durable_seq = read_u64(r);
			e->has_durable = true;
			break;
		case TAG_NEXT_FILE:
			e->next_file = read_varint(r);
			e->has_next_file = true;
			break;
		case TAG_NEXT_ROW:
			e->next_row = read_varint(r);
			e->has_next_row = true;
			break;
		case TAG_POOL:
			e->pool_id = read_u64(r);
			e->has_pool = true;
			break;
		case TAG_LOG:
			e->log_number = read_varint(r);
			e->has_log = true;
			break;
		case TAG_CLOSED:
			e->closed = read_varint32(r, 1) != 0;
			e->has_closed = true;
			break;
		case TAG_INCARNATION:
			e->incarnation = read_u64(r);
			e->predecessor = read_u64(r);
			e->has_incarnation = true;
			break;
		case TAG_EDITS:
			e->edits = read_varint(r);
			e->has_edits = true;
			break;
		case TAG_GENERATION:
			e->generation = read_u64(r);
			e->successor = read_u64(r);
			e->stamp_number = read_varint(r);
			e->has_generation = true;
			break;
		case TAG_ROW_ADD:
			{
				MetaRow row;

				memset(&row, 0, sizeof(row));
				read_row(r, &row);
				LIST_APPEND(r, e->row_adds, e->nrow_adds, row);
				break;
			}
		case TAG_ROW_ADVANCE:
			{
				MetaRowAdvance advance;

				memset(&advance, 0, sizeof(advance));
				advance.row_id = read_varint(r);
				advance.first_live = read_varint(r);
				advance.live_bytes = read_varint(r);
				advance.first_extent_live = read_varint32(r, NVM_EXTENTS_MAX);
				LIST_APPEND(r, e->row_advances, e->nrow_advances, advance);
				break;
			}
		case TAG_ROW_DROP:
			{
				uint64_t row_id = read_varint(r);

				LIST_APPEND(r, e->row_drops, e->nrow_drops, row_id);
				break;
			}
		case TAG_ROW_ROLE:
			{
				MetaRowRole role;

				memset(&role, 0, sizeof(role));
				role.row_id = read_varint(r);
				role.role = read_varint32(r, VERSION_COMPACTOR);
				LIST_APPEND(r, e->row_roles, e->nrow_roles, role);
				break;
			}
		case TAG_FILE_ADD:
			{
				MetaFile file;

				memset(&file, 0, sizeof(file));
				read_file(r, &file);
				LIST_APPEND(r, e->file_adds, e->nfile_adds, file);
				break;
			}
		case TAG_FILE_DROP:
			{
				MetaFileDrop drop;

				memset(&drop, 0, sizeof(drop));
				drop.level = read_varint32(r, VERSION_VALUES);
				drop.number = read_varint(r);
				LIST_APPEND(r, e->file_drops, e->nfile_drops, drop);
				break;
			}
		case TAG_VALUE_RELEASE:
			{
				ValueShare release;

				release.number = read_varint(r);
				release.bytes = read_varint(r);
				LIST_APPEND(r, e->value_releases, e->nvalue_releases, release);
				break;
			}
		case TAG_SETTLED:
			e->settled = read_varint(r);
			e->has_settled = true;
			break;
		case TAG_OUTCOMES_LOW:
			e->outcomes_low = read_varint(r);
			e->has_outcomes_low = true;
			break;
		case TAG_SEGMENT:
			{
				VersionSegment segment;

				segment.segment = read_varint(r);
				segment.file = read_varint(r);
				LIST_APPEND(r, e->segments, e->nsegments, segment);
				break;
			}
		case TAG_LOST:
			{
				VersionXids lost = read_xids(r);

				LIST_APPEND(r, e->lost, e->nlost, lost);
				break;
			}
		case TAG_FOUND:
			{
				VersionXids found = read_xids(r);

				LIST_APPEND(r, e->found, e->nfound, found);
				break;
			}
		case TAG_DAMAGE:
			{
				MetaDamage damage;

				memset(&damage, 0, sizeof(damage));
				read_damage(r, &damage);
				LIST_APPEND(r, e->damages, e->ndamages, damage);
				break;
			}
		case TAG_DAMAGE_CLEAR:
			{
				MetaDamageClear clear;

				memset(&clear, 0, sizeof(clear));
				clear.lower = read_bytes(r, NVMKV_KEY_BYTES_MAX + 1);
				clear.upper = read_bytes(r, NVMKV_KEY_BYTES_MAX + 1);
				LIST_APPEND(r, e->damage_clears, e->ndamage_clears, clear);
				break;
			}
		default:
			r->status = NVMKV_FAIL(NVMKV_VERSION, "version edit has the unknown field %" PRIu64 NVMKV_USE_NEWER, tag);
			break;
	}
}

NvmkvStatus
edit_decode(NvmkvSlice bytes, MetaArena *arena, VersionEdit *edit_out)
{
	Reader r = {bytes.data, bytes.data + bytes.size, arena, NVMKV_OK};

	memset(edit_out, 0, sizeof(*edit_out));
	while (r.status == NVMKV_OK && r.p < r.end)
		read_field(&r, edit_out);
	return r.status;
}
