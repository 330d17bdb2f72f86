/*
 * writers.c
 *	  Statements of this process that change foreign tables, from their beginning to their end.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "fdw/txn/writers.h"

typedef struct Writer
{
	dlist_node link;
	const EState *estate;
	MemoryContextCallback release;
} Writer;

static dlist_head writers = DLIST_STATIC_INIT(writers);

/* Also when an ERROR has ended it. */
static void
at_context_reset(void *arg)
{
	dlist_delete(&((Writer *) arg)->link);
}

void
nvmkv_writer_begin(EState *estate)
{
	Writer *writer = MemoryContextAlloc(estate->es_query_cxt, sizeof(Writer));

	writer->estate = estate;
	writer->release.func = at_context_reset;
	writer->release.arg = writer;
	dlist_push_tail(&writers, &writer->link);
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &writer->release);
}

bool
nvmkv_writer_is_outside(const EState *estate)
{
	dlist_iter iter;

	dlist_foreach(iter, &writers)
	{
		if (dlist_container(Writer, link, iter.cur)->estate != estate)
			return true;
	}
	return false;
}
