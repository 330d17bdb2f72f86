/*
 * merge.c
 *	  K-way merge by a binary heap over the children's positions.
 *
 * Moving on in the same direction costs one comparison, with the entry that
 * comes next, as long as the current child stays in front; otherwise it sinks
 * to its place.  A change of direction repositions every child around the
 * current entry, which is rare.
 */
#include "engine/iter/merge.h"

#include "engine/port/port.h"

/* Does child a come before child b in the heap's direction? */
static bool
before(const MergeIter *m, unsigned a, unsigned b)
{
	const NvmkvIter *x = m->children[a];
	const NvmkvIter *y = m->children[b];
	int c = ikey_compare(x->key, x->tag, y->key, y->tag);

	if (c == 0)
		return m->reverse ? a > b : a < b;
	return m->reverse ? c > 0 : c < 0;
}

static void
sift_down(MergeIter *m, unsigned at)
{
	unsigned moving = m->heap[at];

	for (;;)
	{
		unsigned child = 2 * at + 1;

		if (child >= m->heap_size)
			break;
		if (child + 1 < m->heap_size && before(m, m->heap[child + 1], m->heap[child]))
			child++;
		if (!before(m, m->heap[child], moving))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = moving;
}

static void
publish(MergeIter *m)
{
	const NvmkvIter *top;

	m->base.valid = m->heap_size > 0 && m->base.status == NVMKV_OK;
	if (!m->base.valid)
		return;
	top = m->children[m->heap[0]];
	m->base.key = top->key;
	m->base.tag = top->tag;
	m->base.payload = top->payload;
}

/* Builds the heap from the children's positions. */
static void
rebuild(MergeIter *m, bool reverse)
{
	unsigned i;

	m->reverse = reverse;
	m->heap_size = 0;
	m->second = 0;
	m->base.status = NVMKV_OK;
	for (i = 0; i < m->nchildren; i++)
	{
		if (m->children[i]->status != NVMKV_OK && m->base.status == NVMKV_OK)
			m->base.status = m->children[i]->status;
		if (m->children[i]->valid)
			m->heap[m->heap_size++] = i;
	}
	for (i = m->heap_size / 2; i-- > 0;)
		sift_down(m, i);
	publish(m);
}

void
merge_iter_take(MergeIter *m, bool reverse)
{
	rebuild(m, reverse);
}

static void
merge_seek(NvmkvIter *it, NvmkvSlice key, uint64_t tag)
{
	MergeIter *m = (MergeIter *) it;
	unsigned i;

	for (i = 0; i < m->nchildren; i++)
		m->children[i]->ops->seek(m->children[i], key, tag);
	rebuild(m, false);
}

static void
merge_seek_for_prev(NvmkvIter *it, NvmkvSlice key, uint64_t tag)
{
	MergeIter *m = (MergeIter *) it;
	unsigned i;

	for (i = 0; i < m->nchildren; i++)
		m->children[i]->ops->seek_for_prev(m->children[i], key, tag);
	rebuild(m, true);
}

static void
merge_seek_first(NvmkvIter *it)
{
	MergeIter *m = (MergeIter *) it;
	unsigned i;

	for (i = 0; i < m->nchildren; i++)
		m->children[i]->ops->seek_first(m->children[i]);
	rebuild(m, false);
}

static void
merge_seek_last(NvmkvIter *it)
{
	MergeIter *m = (MergeIter *) it;
	unsigned i;

	for (i = 0; i < m->nchildren; i++)
		m->children[i]->ops->seek_last(m->children[i]);
	rebuild(m, true);
}

/* Where in the heap the child is that comes next after the first.  REQUIRES at least two. */
static inline unsigned
find_second(MergeIter *m)
{
	if (m->second == 0)
		m->second = m->heap_size > 2 && before(m, m->heap[2], m->heap[1]) ? 2 : 1;
	return m->second;
}

/* After the child at the top has moved in the heap's direction. */
static void
settle_top(MergeIter *m)
{
	NvmkvIter *top = m->children[m->heap[0]];

	if (top->status != NVMKV_OK && m->base.status == NVMKV_OK)
		m->base.status = top->status;
	if (!top->valid)
	{
		m->heap[0] = m->heap[--m->heap_size];
		m->second = 0;
		if (m->heap_size > 1)
			sift_down(m, 0);
	}
	else if (m->heap_size > 1)
	{
		unsigned second = find_second(m);

		if (before(m, m->heap[second], m->heap[0]))
		{
			unsigned moved = m->heap[0];

			m->heap[0] = m->heap[second];
			m->heap[second] = moved;
			sift_down(m, second);
			m->second = 0;
		}
	}
	publish(m);
}

/*
 * Turns the heap around.  Every child is placed strictly behind the current entry in the new direction; equal
 * entries of other children are ordered by child number, so they go to the side their number says.
 */
static void
turn(MergeIter *m, bool reverse)
{
	unsigned current = m->heap[0];
	NvmkvSlice key = m->base.key;
	uint64_t tag = m->base.tag;
	unsigned i;

	for (i = 0; i < m->nchildren; i++)
	{
		NvmkvIter *child = m->children[i];

		if (i == current)
			continue; /* its entry's bytes are "key": moves last */
		if (reverse)
		{
			child->ops->seek_for_prev(child, key, tag);
			if (child->valid && i > current && ikey_compare(child->key, child->tag, key, tag) == 0)
				child->ops->prev(child);
		}
		else
		{
			child->ops->seek(child, key, tag);
			if (child->valid && i < current && ikey_compare(child->key, child->tag, key, tag) == 0)
				child->ops->next(child);
		}
	}
	if (reverse)
		m->children[current]->ops->prev(m->children[current]);
	else
		m->children[current]->ops->next(m->children[current]);
	rebuild(m, reverse);
}

static void
merge_next(NvmkvIter *it)
{
	MergeIter *m = (MergeIter *) it;

	if (m->reverse)
	{
		turn(m, false);
		return;
	}
	m->children[m->heap[0]]->ops->next(m->children[m->heap[0]]);
	settle_top(m);
}

static void
merge_prev(NvmkvIter *it)
{
	MergeIter *m = (MergeIter *) it;

	if (!m->reverse)
	{
		turn(m, true);
		return;
	}
	m->children[m->heap[0]]->ops->prev(m->children[m->heap[0]]);
	settle_top(m);
}

static void
merge_destroy(NvmkvIter *it)
{
	merge_iter_free((MergeIter *) it);
}

static const NvmkvIterOps merge_ops = {
	merge_seek,
	merge_seek_for_prev,
	merge_seek_first,
	merge_seek_last,
	merge_next,
	merge_prev,
	merge_destroy,
};

NvmkvStatus
merge_iter_init(MergeIter *m, NvmkvIter **children, unsigned nchildren)
{
	memset(m, 0, sizeof(*m));
	m->base.ops = &merge_ops;
	m->children = children;
	m->nchildren = nchildren;
	m->heap = port_alloc((nchildren + 1) * sizeof(unsigned));
	if (m->heap == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a merge of %u sources", nchildren);
	return NVMKV_OK;
}

unsigned
merge_iter_source(const MergeIter *m)
{
	return m->heap[0];
}

NvmkvIter *
merge_iter_child(const MergeIter *m)
{
	return m->children[m->heap[0]];
}

bool
merge_iter_next_key(MergeIter *m, NvmkvSlice *key_out)
{
	if (m->heap_size < 2)
		return false;
	*key_out = m->children[m->heap[find_second(m)]]->key;
	return true;
}

void
merge_iter_moved(MergeIter *m)
{
	settle_top(m);
}

void
merge_iter_free(MergeIter *m)
{
	port_free(m->heap);
	m->heap = NULL;
	m->base.valid = false;
}
