/*
 * copyfrom.c
 *	  COPY FROM writes its rows when it writes those of a heap table.
 *
 * For a heap table COPY keeps rows back until there are enough of them, unless
 * something it runs for each row is expected to look at the table.  Functions
 * in a CHECK or in a domain do not count as such and see only what has been
 * written; a duplicate key is told when the rows are written, with the line of
 * its row, and a row that cannot be read or violates a CHECK before that.  To a
 * wrapper COPY hands over each row as it comes.  So what it does for a heap is
 * done here: the conditions and limits are those of CopyFrom(), and its state
 * is found by the callback it has put on the error context stack.
 *
 * Other than for a heap, nobody says when the last row has been read.  Whatever
 * can look at the table after that flushes the rows: scans, that is, in a
 * deeper trigger than the COPY was begun in; and so that triggers that do not
 * look do not run before a duplicate key is found, the first call of each
 * AFTER trigger.
 */
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "commands/copy.h"
#include "commands/copyfrom_internal.h"
#include "fmgr.h"
#include "optimizer/optimizer.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "fdw/txn/copyfrom.h"

/* As MAX_BUFFERED_TUPLES and MAX_BUFFERED_BYTES of copyfrom.c in the server. */
#define KEPT_ROWS 1000
#define KEPT_BYTES 65535

static int
trigger_depth(void)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0));
}

CopyFromState
nvmkv_copyfrom_state(void)
{
	for (ErrorContextCallback *callback = error_context_stack; callback != NULL; callback = callback->previous)
	{
		if (callback->callback == CopyFromErrorCallback)
			return callback->arg;
	}
	return NULL;
}

static bool
fires_before_row(const ResultRelInfo *rri)
{
	return rri->ri_TrigDesc != NULL && rri->ri_TrigDesc->trig_insert_before_row;
}

bool
nvmkv_copyfrom_keeps_rows(const struct CopyFromStateData *state, ModifyTableState *mtstate, const ResultRelInfo *rri)
{
	const ResultRelInfo *target = mtstate->rootResultRelInfo;

	if (fires_before_row(target) || fires_before_row(rri) || mtstate->mt_transition_capture != NULL)
		return false;
	return !state->volatile_defexprs && !contain_volatile_functions(state->whereClause);
}

NvmkvCopyFrom *
nvmkv_copyfrom_create(CopyFromState state)
{
	NvmkvCopyFrom *copy = palloc0(sizeof(NvmkvCopyFrom));

	copy->state = state;
	copy->depth = trigger_depth();
	return copy;
}

/* ---------------------------------------------------------------- rows */

bool
nvmkv_copyfrom_add(NvmkvCopyFrom *copy)
{
	copy->rows++;
	copy->bytes += copy->state->line_buf.len;
	return copy->rows >= KEPT_ROWS || copy->bytes >= KEPT_BYTES;
}

uint64
nvmkv_copyfrom_line(const NvmkvCopyFrom *copy)
{
	return copy->state->cur_lineno;
}

bool
nvmkv_copyfrom_shows_rows(const NvmkvCopyFrom *copy)
{
	return trigger_depth() > copy->depth;
}

void
nvmkv_copyfrom_begin_writing(const NvmkvCopyFrom *copy, NvmkvCopyLine *saved)
{
	saved->line = copy->state->cur_lineno;
	saved->valid = copy->state->line_buf_valid;
	copy->state->line_buf_valid = false;

	/* After the last row COPY has left the stack. */
	saved->pushed = nvmkv_copyfrom_state() != copy->state;
	if (saved->pushed)
	{
		saved->callback.callback = CopyFromErrorCallback;
		saved->callback.arg = copy->state;
		saved->callback.previous = error_context_stack;
		error_context_stack = &saved->callback;
	}
}

void
nvmkv_copyfrom_set_line(const NvmkvCopyFrom *copy, uint64 line)
{
	copy->state->cur_lineno = line;
}

void
nvmkv_copyfrom_end_writing(const NvmkvCopyFrom *copy, const NvmkvCopyLine *saved)
{
	if (saved->pushed)
		error_context_stack = saved->callback.previous;
	copy->state->cur_lineno = saved->line;
	copy->state->line_buf_valid = saved->valid;
}
