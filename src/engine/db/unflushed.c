/*
 * unflushed.c
 *	  Shows what is in memtables and nowhere else, to a host that keeps it in
 *	  another place because it cannot be flushed.
 */
#include "engine/base/assert.h"
#include "engine/db/family.h"
#include "engine/tree/tree.h"

typedef struct Show
{
	NvmkvStatus (*visit)(void *ctx, uint64_t sequence, NvmkvSlice batch);
	void *ctx;
	unsigned family;
	NvmkvBatch batch;
} Show;

static NvmkvStatus
show_memtable(Show *show, MemtableShm *memtable)
{
	MemtableIter it;

	memtable_iter_init(&it, memtable);
	for (it.base.ops->seek_first(&it.base); it.base.valid; it.base.ops->next(&it.base))
	{
		nvmkv_batch_clear(&show->batch);
		nvmkv_batch_family(&show->batch, show->family);
		NVMKV_RETURN_IF(nvmkv_batch_put(&show->batch, ikey_type(it.base.tag), it.base.key, it.base.payload,
										nvmkv_slice(NULL, 0)));
		NVMKV_RETURN_IF(show->visit(show->ctx, ikey_sequence(it.base.tag), nvmkv_buf_slice(&show->batch.bytes)));
	}
	return it.base.status;
}

/* The epoch keeps memtables that are flushed meanwhile: what they hold is shown all the same, which does no harm. */
static NvmkvStatus
show_tree(Show *show, NvmkvDb *tree)
{
	MemList list;
	unsigned i;
	NvmkvStatus st = NVMKV_OK;

	db_enter(tree);
	mempool_list(&tree->mem, &list);
	for (i = list.count; st == NVMKV_OK && i-- > 0;)
		st = show_memtable(show, list.memtable[i]);
	db_leave(tree);
	return st;
}

NvmkvStatus
nvmkv_unflushed(NvmkvDb *db, uint64_t durable, NvmkvStatus (*visit)(void *ctx, uint64_t sequence, NvmkvSlice batch),
				void *ctx)
{
	Show show = {.visit = visit, .ctx = ctx};
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	NVMKV_ASSERT(durable <= nvmkv_durable_seq(db));
	(void) durable;
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		show.family = tree->family;
		/* A writer that has its record in the log may still be about to link it. */
		st = mempool_wait_writers(&tree->mem);
		if (st == NVMKV_OK)
			st = show_tree(&show, tree);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			break;
		}
	}
	nvmkv_batch_free(&show.batch);
	return st;
}
