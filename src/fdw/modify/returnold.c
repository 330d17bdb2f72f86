/*
 * returnold.c
 *	  RETURNING of INSERT ... ON CONFLICT DO UPDATE names the row as it was.
 *
 * The executor takes what a wrapper has done for an insertion, so that there was no row, and says so to the RETURNING
 * list right before it computes it.  So the list's computation is replaced, for this one time, by one that tells it of
 * the row first.
 *
 * Nothing but the list's address says then whose it is: those that may have been replaced are in a list of this
 * process.  Each leaves that when the memory of its query goes, by an error, too; before that nobody else has its
 * address.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "lib/ilist.h"
#include "utils/memutils.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/returnold.h"

struct NvmkvReturnOld
{
	dlist_node node;
	MemoryContextCallback at_end;
	ExprState *returning;
	ExprStateEvalFunc computation; /* the list's own; NULL: it is in its place */
	TupleTableSlot *old;
};

static dlist_head lists = DLIST_STATIC_INIT(lists);

static void
leave_list(void *arg)
{
	dlist_delete(&((NvmkvReturnOld *) arg)->node);
}

static Datum
compute_with_old(ExprState *returning, ExprContext *econtext, bool *isnull)
{
	dlist_iter iter;

	dlist_foreach(iter, &lists)
	{
		NvmkvReturnOld *kept = dlist_container(NvmkvReturnOld, node, iter.cur);

		if (kept->returning != returning || kept->computation == NULL)
			continue;
		returning->evalfunc = kept->computation;
		kept->computation = NULL;
		nvmkv_give_old(returning, econtext, kept->old);
		return returning->evalfunc(returning, econtext, isnull);
	}
	elog(ERROR, "a RETURNING list was replaced by nobody");
}

void
nvmkv_return_old(NvmkvReturnOld **kept, MemoryContext context, const ResultRelInfo *rri, TupleTableSlot *old)
{
	NvmkvReturnOld *mine = *kept;

	if (rri->ri_projectReturning == NULL || !nvmkv_returns_old(rri->ri_projectReturning))
		return;
	if (mine == NULL)
	{
		mine = MemoryContextAllocZero(context, sizeof(NvmkvReturnOld));
		mine->returning = &rri->ri_projectReturning->pi_state;
		dlist_push_head(&lists, &mine->node);
		mine->at_end.func = leave_list;
		mine->at_end.arg = mine;
		MemoryContextRegisterResetCallback(context, &mine->at_end);
		*kept = mine;
	}
	mine->old = old;
	if (mine->computation != NULL)
		return;
	mine->computation = mine->returning->evalfunc;
	mine->returning->evalfunc = compute_with_old;
}
