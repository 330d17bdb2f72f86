/*
 * sst_table.h
 *	  An SSTable in use by this process.
 *
 * A table holds its top index and properties in memory; all other blocks come
 * through the block cache.  What opening needs to know of the file is in the
 * block cache, too, so the file itself is opened when something is not there:
 * a new process on a warm database reads without opening any.  It is counted:
 * the opener has one reference, every iterator another.  Used by one thread.
 */
#ifndef NVMKV_SST_TABLE_H
#define NVMKV_SST_TABLE_H

#include "engine/port/port.h"
#include "engine/sst/sst_block.h"
#include "engine/sst/sst_cache.h"

typedef struct SstTable SstTable;

/* How a block is going to be used. */
typedef enum SstBlockUse
{
	SST_BLOCK_DATA,	  /* within the epoch, by way of the cache */
	SST_BLOCK_INDEX,  /* the same, and worth keeping longer */
	SST_BLOCK_PRIVATE /* past the cache, in memory of its own: by those who are in no epoch */
} SstBlockUse;

/*
 * Checks footer, top index and properties, of the file or as they were found good by whoever left them in the cache.
 * path:       copied.
 * number:     names its blocks in the cache; unique among the files the cache serves.
 * file_bytes: size of the finished file, as recorded when it was built.
 * cache:      NULL to read every block from the file; must outlive the table.
 * Returns OK, CORRUPTION (also: the file is missing or cut off), VERSION,
 * NOT_SUPPORTED, IO (also: no descriptor left), NO_MEMORY; what opens the file later may return the same.
 */
extern NvmkvStatus sst_table_open(const char *path, uint64_t number, uint64_t file_bytes, SstCache *cache,
								  SstTable **table_out);

/*
 * A value table, of which nothing but sst_table_block is wanted, with handles from references: neither its size nor its
 * head is looked at.
 */
extern NvmkvStatus sst_table_open_values(const char *path, uint64_t number, SstCache *cache, SstTable **table_out);

extern void sst_table_ref(SstTable *table);

/* Closes the file with the last reference. NULL is allowed. */
extern void sst_table_unref(SstTable *table);

/* Gives up the file's descriptor, until it is needed again; false: it has none. */
extern bool sst_table_close_file(SstTable *table);
extern bool sst_table_has_file(const SstTable *table);

extern const char *sst_table_path(const SstTable *table);
extern uint64_t sst_table_number(const SstTable *table);

/* Valid as long as the table. */
extern const SstProps *sst_table_props(const SstTable *table);

/* false: no version of this user key is in the table (hash = filter_hash(key)).  At failure true. */
extern NvmkvStatus sst_table_may_contain(SstTable *table, NvmkvSlice key, uint64_t hash, bool *may_out);

/*
 * Keys in [lower, upper) all begin with "prefix" (hash = filter_prefix_hash(prefix)).  false: the table has none of
 * them, say the filters of the partitions that would hold them.  upper.size 0: no upper bound.  At failure true.
 */
extern NvmkvStatus sst_table_may_hold(SstTable *table, NvmkvSlice prefix, uint64_t hash, NvmkvSlice lower,
									  NvmkvSlice upper, bool *may_out);

/* Fetches the filter's line for the key into the processor's cache, if the filter is in the block cache. */
extern void sst_table_prefetch(SstTable *table, NvmkvSlice key, uint64_t hash);

/* About how many of the file's bytes stand before "key": the offset of the data block where it would be. */
extern NvmkvStatus sst_table_offset_of(SstTable *table, NvmkvSlice key, uint64_t *offset_out);

/* ---- for the iterator and the verifier ---- */

/* A cursor over the top index, standing nowhere; valid as long as the table. */
extern SstBlockCursor sst_table_top_cursor(const SstTable *table);

/* Reads from the file, which is opened if it is not. */
extern NvmkvStatus sst_table_read(SstTable *table, uint64_t offset, void *data, size_t size);

/* The same by a call, and so are all further reads of the table: a map may show what the file does not have. */
extern NvmkvStatus sst_table_reread(SstTable *table, uint64_t offset, void *data, size_t size);

/*
 * The thread's last failure is of reading "what", of the table's file: is it damage that stays (tree/damage.h)?
 * An unreadable piece of a file that can be read elsewhere is; then, and of a checksum, the failure is CORRUPTION.
 */
extern NvmkvStatus sst_table_judge(SstTable *table, NvmkvStatus status);

/* sst_table_open has failed with this status: does it fail again, past the cache, so that the file is damaged? */
extern bool sst_file_is_damaged(const char *path, uint64_t file_bytes, NvmkvStatus status);

/* File offset behind the last partition: handles in the index must lie below. */
extern uint64_t sst_table_limit(const SstTable *table);

/*
 * The block, checked; from the cache, or the file.  Release with sst_table_release_block.  If block_out->own is NULL
 * it is good until the caller's epoch ends, and in a later one if sst_table_block_is_current says so.
 */
extern NvmkvStatus sst_table_block(SstTable *table, SstHandle handle, SstBlockUse use, SstBlock *block_out);
/* Its two halves: the block as the cache has it, if it does; and from the file, left in the cache if that wants it. */
extern bool sst_table_find_block(SstTable *table, SstHandle handle, SstBlock *block_out);
extern NvmkvStatus sst_table_load_block(SstTable *table, SstHandle handle, SstBlockUse use, SstBlock *block_out);
/* Would the cache take the block without driving out another? */
extern bool sst_table_cache_has_room(const SstTable *table, SstHandle handle);
/* Expands a block that was read by sst_table_read; see sst_expand. */
extern NvmkvStatus sst_table_expand(SstTable *table, unsigned codec, NvmkvSlice stored, uint64_t offset, uint8_t *room,
									uint32_t bytes);
extern void sst_table_release_block(SstTable *table, SstBlock *block);
extern bool sst_table_block_is_current(const SstTable *table, SstHandle handle, const SstBlock *block);

/* The handles in a top index entry's payload, and the handle in an index entry's. */
extern NvmkvStatus sst_table_top_handles(const SstTable *table, NvmkvSlice payload, SstHandle *index_out,
										 SstHandle *filter_out);
extern NvmkvStatus sst_table_data_handle(const SstTable *table, NvmkvSlice payload, SstHandle *data_out);

/* Probes a filter partition; true when there is none (size 0), or it is damaged: that costs a look, but no key. */
extern NvmkvStatus sst_table_filter_probe(SstTable *table, SstHandle filter, uint64_t hash, bool *may_out);

/* The one text for a block whose entries are malformed though its checksum is right. */
extern NvmkvStatus sst_table_malformed(const SstTable *table, uint64_t offset);

#endif
