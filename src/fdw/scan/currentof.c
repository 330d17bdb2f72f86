/*
 * currentof.c
 *	  Scans for the row that a cursor stands on: WHERE CURRENT OF.
 *
 * The server decides whether a cursor has a row of a table, with all its
 * messages (execCurrentOf), and tells its ctid.  The key, which the ctid does not
 * tell, is in the cursor's own scan, or in its row mark when it locks rows.
 *
 * The row may have been changed since the cursor has come to it, by the same
 * transaction or, if it is not locked, by another one.  As on a heap it is followed
 * to the last version that the statement's snapshot sees; if it is deleted for
 * that, or has gone to another partition, there is none.  A row that somebody else
 * has put under the key of a deleted one is not meant (conflict.c).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/execdesc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/portal.h"
#include "utils/rel.h"

#include "fdw/host/family.h"
#include "fdw/host/latch.h"
#include "fdw/key/keycode.h"
#include "fdw/scan/currentof.h"
#include "fdw/scan/rowmark.h"
#include "fdw/scan/scanstate.h"
#include "fdw/txn/addressbook.h"
#include "fdw/txn/conflict.h"
#include "fdw/txn/write.h"

struct NvmkvCurrentOf
{
	const CurrentOfExpr *expr;
	StringInfoData key;
	StringInfoData moved;
	uint64 from; /* sequence of the version that the cursor has come to, or that has arrived at this key */
	uint64 end;	 /* of the tombstone behind its last one, which the snapshot does not see */
	bool found;	 /* and not read yet */
};

/* Where the cursor is. */
typedef struct Position
{
	Oid relid;
	ItemPointerData tid; /* what the server says of it */
	StringInfo key;
	NvmkvRowAnchor anchor;
	Snapshot snapshot; /* of the cursor */
} Position;

NvmkvCurrentOf *
nvmkv_currentof_create(const CurrentOfExpr *expr)
{
	NvmkvCurrentOf *current = palloc0(sizeof(NvmkvCurrentOf));

	current->expr = expr;
	initStringInfo(&current->key);
	initStringInfo(&current->moved);
	return current;
}

/* ---------------------------------------------------------------- the cursor */

/* NULL: the server will say what is wrong. */
static const char *
cursor_name(const CurrentOfExpr *expr, const ExprContext *econtext)
{
	ParamListInfo params = econtext->ecxt_param_list_info;
	ParamExternData fetched;
	const ParamExternData *param;

	if (expr->cursor_name != NULL)
		return expr->cursor_name;
	if (params == NULL || expr->cursor_param <= 0 || expr->cursor_param > params->numParams)
		return NULL;
	param = params->paramFetch != NULL ? params->paramFetch(params, expr->cursor_param, false, &fetched)
									   : &params->params[expr->cursor_param - 1];
	return param->ptype == REFCURSOROID && !param->isnull ? TextDatumGetCString(param->value) : NULL;
}

/* The same. */
static QueryDesc *
cursor_query(const CurrentOfExpr *expr, const ExprContext *econtext)
{
	const char *name = cursor_name(expr, econtext);
	Portal portal = name != NULL ? GetPortalByName(name) : NULL;

	return PortalIsValid(portal) && portal->strategy == PORTAL_ONE_SELECT && portal->queryDesc != NULL &&
		portal->queryDesc->estate != NULL ? portal->queryDesc : NULL;
}

/* The state of a scan of the table that stands on a row; NULL: the node is something else. */
static NvmkvTableScan *
standing_scan(PlanState *node, Oid relid)
{
	const ScanState *scan = (ScanState *) node;

	if (!IsA(node, ForeignScanState) || scan->ss_currentRelation == NULL ||
		RelationGetRelid(scan->ss_currentRelation) != relid || TupIsNull(scan->ss_ScanTupleSlot))
		return NULL;
	return ((ForeignScanState *) node)->fdw_state;
}

/*
 * Scans leave out the ctid of rows that is not asked for, and the table's OID, which the server has a look at.  Here
 * they get them.  arg: Position.
 */
static bool
name_row(PlanState *node, void *arg)
{
	Position *position = arg;
	NvmkvTableScan *scan = standing_scan(node, position->relid);

	if (scan != NULL)
	{
		TupleTableSlot *slot = ((ScanState *) node)->ss_ScanTupleSlot;

		slot->tts_tableOid = position->relid;
		if (scan->table->nkeys > 0)
			nvmkv_address_to_tid(scan->row_sequence, &slot->tts_tid);
	}
	return planstate_tree_walker(node, name_row, arg);
}

/* Is this the scan that the server has found?  Of two at the same version either does.  arg: Position. */
static bool
find_scan(PlanState *node, void *arg)
{
	Position *position = arg;
	NvmkvTableScan *scan = standing_scan(node, position->relid);

	if (scan == NULL || !ItemPointerEquals(&((ScanState *) node)->ss_ScanTupleSlot->tts_tid, &position->tid))
		return planstate_tree_walker(node, find_scan, arg);
	resetStringInfo(position->key);
	if (scan->covering)
	{
		/* The entry is older than the row's version if that has left it as it was. */
		nvmkv_key_of_entry(scan->table, scan->index, scan->row_key, position->key);
		position->anchor.kind = NVMKV_ANCHOR_SNAPSHOT;
		return true;
	}
	appendBinaryStringInfo(position->key, (const char *) scan->row_key.data, (int) scan->row_key.size);
	position->anchor = (NvmkvRowAnchor){.kind = NVMKV_ANCHOR_VERSION, .sequence = scan->row_sequence};
	return true;
}

/* The row mark of the table, which is one. */
static bool
find_mark(const EState *estate, Position *position)
{
	for (Index i = 0; i < estate->es_range_table_size; i++)
	{
		const ExecRowMark *erm = estate->es_rowmarks[i];
		NvmkvSlice key;

		if (erm == NULL || erm->relid != position->relid || !RowMarkRequiresRowShareLock(erm->markType))
			continue;
		position->anchor.kind = NVMKV_ANCHOR_VERSION;
		nvmkv_rowmark_locked(erm, &key, &position->anchor.sequence);
		nvmkv_buffer_set(position->key, key);
		return true;
	}
	return false;
}

/* False: the cursor is on no row of this table, but on one of another child of the same parent. */
static bool
find_position(const NvmkvCurrentOf *current, ExprContext *econtext, Position *position)
{
	QueryDesc *query = cursor_query(current->expr, econtext);

	if (query != NULL && query->estate->es_rowmarks == NULL)
		(void) name_row(query->planstate, position);
	if (!execCurrentOf(unconstify(CurrentOfExpr *, current->expr), econtext, position->relid, &position->tid))
		return false;
	Assert(query != NULL);
	position->snapshot = query->estate->es_snapshot;
	if (query->estate->es_rowmarks != NULL ? !find_mark(query->estate, position)
		: !find_scan(query->planstate, position))
		elog(ERROR, "the row of a cursor is not in its query");
	return true;
}

/* ---------------------------------------------------------------- the row */

static void
look(const NvmkvTable *table, NvmkvCurrentOf *current, const NvmkvRowAnchor *anchor, Snapshot snapshot,
	 NvmkvRowView *view_out)
{
	NvmkvSlice key = nvmkv_buffer_slice(&current->key);
	NvmkvRowQuery query = {.want = NVMKV_LOCK_NONE, .snapshot = snapshot, .anchor = *anchor, .moved = &current->moved};
	NvmkvLatchSet latches;

	nvmkv_latch_set_init(&latches);
	nvmkv_latch_set_add(&latches, nvmkv_key_hash(key));
	nvmkv_latch_set_acquire(&latches);
	nvmkv_row_view(nvmkv_engine_of(table->storage_id), table, key, &query, view_out);
	nvmkv_latch_set_release(&latches);
}

/* The snapshot's versions of the row, from an anchor on.  The first is by another snapshot, if it is by one. */
static bool
follow_row(const NvmkvTable *table, NvmkvCurrentOf *current, NvmkvRowAnchor anchor, Snapshot anchors,
		   Snapshot snapshot)
{
	for (;;)
	{
		NvmkvRowView view;

		look(table, current, &anchor, anchors, &view);
		current->from = view.anchor;
		current->end = NVMKV_SEQUENCE_MAX;
		if (view.state == NVMKV_ROW_ABSENT)
			return false;
		if (view.state != NVMKV_ROW_DELETED)
			return true;
		if (view.arrival.fxid != 0 &&
			!nvmkv_tag_is_visible(snapshot, view.arrival.fxid, view.arrival.cid, false, NULL))
		{
			current->end = view.sequence;
			return true;
		}
		if (!view.has_moved || current->moved.len == 1)
			return false;
		nvmkv_buffer_set(&current->key, nvmkv_buffer_slice(&current->moved));
		anchor = view.arrival;
	}
}

void
nvmkv_currentof_evaluate(NvmkvCurrentOf *current, ForeignScanState *node)
{
	NvmkvTableScan *scan = node->fdw_state;
	Position position = {.relid = scan->table->relid, .key = &current->key};

	current->found = find_position(current, node->ss.ps.ps_ExprContext, &position) &&
		follow_row(scan->table, current, position.anchor, position.snapshot, scan->visibility.snapshot);
}

bool
nvmkv_currentof_next(NvmkvCurrentOf *current, NvmkvSlice *key_out)
{
	bool found = current->found;

	current->found = false;
	*key_out = nvmkv_buffer_slice(&current->key);
	return found;
}

bool
nvmkv_currentof_has(const NvmkvCurrentOf *current, uint64 sequence)
{
	return sequence >= current->from && sequence < current->end;
}
