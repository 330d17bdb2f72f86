/*
 * keymove.c
 *	  Rows that an UPDATE moves to another partition, and the foreign keys that reference their partitioned table.
 *
 * For those the row has not gone: the server leaves out the partition's event of a
 * DELETE, and queues one of an UPDATE for the partitioned table that the statement
 * names.  It remembers the old and the new row by their addresses, which it cannot
 * where one of the partitions is a foreign table.
 *
 * So it is kept from queueing it by a condition (WHEN) that is put to the triggers of
 * the partitioned table, in the executor's copy of them.  It sees both rows when the
 * server would queue the event.  If both partitions are heaps it says yes.  Else it
 * keeps the rows here and queues another event in its place: of the trigger for UPDATE
 * that the partition of ours has for the same foreign key, but for an INSERT, by which
 * the trigger's function knows it.  That does what the server's would have done for
 * the partitioned table.
 *
 * Rows stand in line in the order of their events.  There is one line for each query
 * under way; those of a query that another one's trigger runs are all done when the
 * outer one goes on.  Only what foreign keys do ends before its own triggers are fired,
 * which are the outer query's then: such rows are kept with those of constraints that
 * are checked later (deferred.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/modify/deferred.h"
#include "fdw/modify/deferredrow.h"
#include "fdw/modify/keymove.h"
#include "fdw/modify/rowspool.h"

/* Before the two rows, each a MinimalTuple of the partitioned table with the key's columns alone. */
typedef struct MoveHead
{
	Oid mark; /* InvalidOid: other things that are kept begin with their length */
	Oid root;
	Oid trigger; /* of root */
	Size old_size;
	Size new_size;
} MoveHead;

/* Rows of one query. */
typedef struct Line
{
	const EState *estate;
	NvmkvRowSpool rows; /* each with its size before it */
	uint64 done;
	struct Line *outer;
	MemoryContextCallback end;
} Line;

/* Stands for the compiled WHEN of a trigger. */
typedef struct Condition
{
	ExprState state;
	ModifyTableState *mtstate;
	int trigger;		   /* its place among those of the partitioned table */
	ResultRelInfo *source; /* while a row moves from a partition of ours: that one */
} Condition;

/* The innermost query's first. */
static Line *lines = NULL;

/* ---------------------------------------------------------------- lines */

/* MemoryContextCallbackFunction.  A file that is left belongs to a query that has failed, and went with it. */
static void
forget_line(void *arg)
{
	Line **at = &lines;

	while (*at != arg)
		at = &(*at)->outer;
	*at = (*at)->outer;
}

static Line *
find_line(EState *estate)
{
	MemoryContext old_context;
	Line *line;

	for (line = lines; line != NULL; line = line->outer)
	{
		if (line->estate == estate)
			return line;
	}
	old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	line = palloc0(sizeof(Line));
	line->estate = estate;
	nvmkv_row_spool_init(&line->rows);
	line->outer = lines;
	line->end.func = forget_line;
	line->end.arg = line;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &line->end);
	lines = line;
	MemoryContextSwitchTo(old_context);
	return line;
}

static bool
is_waiting(const Line *line)
{
	return line->done < nvmkv_row_spool_size(&line->rows);
}

/* ---------------------------------------------------------------- keeping */

/* What the event needs to know of a foreign key. */
typedef struct MovedKey
{
	int n;
	AttrNumber attnums[INDEX_MAX_KEYS]; /* of the table that is referenced */
	Oid referenced;
	Oid parent;
	bool waits; /* its check may be deferred */
	bool deferred;
} MovedKey;

static MovedKey
look_up(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	AttrNumber columns[INDEX_MAX_KEYS];
	Oid equal[INDEX_MAX_KEYS];
	Form_pg_constraint form;
	MovedKey key;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	DeconstructFkConstraintRow(tuple, &key.n, columns, key.attnums, NULL, NULL, equal, NULL, NULL);
	key.referenced = form->confrelid;
	key.parent = form->conparentid;
	key.waits = form->condeferrable && form->confupdtype == FKCONSTR_ACTION_NOACTION;
	key.deferred = form->condeferred;
	ReleaseSysCache(tuple);
	return key;
}

/* The partition's trigger for this foreign key of the partitioned table. */
static const Trigger *
partition_trigger(ResultRelInfo *partition, Oid constraint)
{
	const TriggerDesc *triggers = partition->ri_TrigDesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];
		MovedKey key;

		if (!trigger->tgisinternal || !trigger->tgisclone || !TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			!OidIsValid(trigger->tgconstraint))
			continue;
		key = look_up(trigger->tgconstraint);
		if (key.referenced != RelationGetRelid(partition->ri_RelationDesc))
			continue; /* the partition's own reference */
		while (OidIsValid(key.parent) && key.parent != constraint)
			key = look_up(key.parent);
		if (OidIsValid(key.parent))
			return trigger;
	}
	elog(ERROR, "partition \"%s\" has no trigger of foreign key %u",
		 RelationGetRelationName(partition->ri_RelationDesc), constraint);
}

/* The rows as bytes, in the current memory context. */
static void *
form_move(Oid root, Oid trigger, const MovedKey *key, TupleTableSlot *old_row, TupleTableSlot *new_row, Size *size_out)
{
	MinimalTuple old_tuple = nvmkv_deferred_form_row(old_row, key->attnums, key->n);
	MinimalTuple new_tuple = nvmkv_deferred_form_row(new_row, key->attnums, key->n);
	MoveHead head = {InvalidOid, root, trigger, old_tuple->t_len, new_tuple->t_len};
	Size at_old = MAXALIGN(sizeof(head));
	Size at_new = at_old + MAXALIGN(head.old_size);
	char *data = palloc0(at_new + head.new_size);

	memcpy(data, &head, sizeof(head));
	memcpy(data + at_old, old_tuple, head.old_size);
	memcpy(data + at_new, new_tuple, head.new_size);
	*size_out = at_new + head.new_size;
	return data;
}

/* It is found by its trigger's OID again when it is fired.  Its row says nothing. */
static void
queue_event(EState *estate, Relation partition, Trigger trigger)
{
	TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(partition), &TTSOpsVirtual);
	TriggerDesc triggers = {.triggers = &trigger, .numtriggers = 1, .trig_insert_after_row = true};
	ResultRelInfo rri = {.type = T_ResultRelInfo, .ri_RelationDesc = partition, .ri_TrigDesc = &triggers};

	trigger.tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER | TRIGGER_TYPE_INSERT;
	trigger.tgdeferrable = trigger.tginitdeferred = false;
	ExecARInsertTriggers(estate, &rri, ExecStoreAllNullTuple(row), NIL, NULL);
	ExecDropSingleTupleTableSlot(row);
}

static void
keep(const Condition *condition, ResultRelInfo *partition, const Trigger *trigger, TupleTableSlot *old_row,
	 TupleTableSlot *new_row)
{
	EState *estate = condition->mtstate->ps.state;
	Relation root = condition->mtstate->rootResultRelInfo->ri_RelationDesc;
	Trigger own = *partition_trigger(partition, trigger->tgconstraint);
	MovedKey key = look_up(trigger->tgconstraint);
	Size size;
	void *data = form_move(RelationGetRelid(root), trigger->tgoid, &key, old_row, new_row, &size);

	own.tgenabled = TRIGGER_FIRES_ALWAYS; /* whether it fires the partitioned table's has said */
	if ((estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) == 0)
	{
		Line *line = find_line(estate);

		nvmkv_row_spool_append(&line->rows, &size, sizeof(size));
		nvmkv_row_spool_append(&line->rows, data, size);
		queue_event(estate, partition->ri_RelationDesc, own);
	}
	else
	{
		TriggerData event = {
			.type = T_TriggerData,
			.tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW,
			.tg_relation = partition->ri_RelationDesc,
			.tg_trigger = &own,
		};

		if (key.waits)
			nvmkv_deferred_keep(&event, key.deferred, data, size);
		else
			nvmkv_deferred_keep_for_statement(&event, data, size);
	}
}

/* ---------------------------------------------------------------- the condition */

/* The partition of ours, if there is one of the two. */
static ResultRelInfo *
find_ours(const Condition *condition, TupleTableSlot *new_row)
{
	ModifyTableState *mtstate = condition->mtstate;
	ResultRelInfo *target;

	if (condition->source != NULL)
		return condition->source;
	target = ExecFindPartition(mtstate, mtstate->rootResultRelInfo, mtstate->mt_partition_tuple_routing, new_row,
							   mtstate->ps.state);
	return target->ri_FdwRoutine != NULL ? target : NULL;
}

/* ExprStateEvalFunc */
static Datum
is_left_to_server(ExprState *state, ExprContext *econtext, bool *is_null)
{
	const Condition *condition = (const Condition *) state;
	ResultRelInfo *root = condition->mtstate->rootResultRelInfo;
	Trigger *trigger = &root->ri_TrigDesc->triggers[condition->trigger];
	TupleTableSlot *old_row = econtext->ecxt_innertuple;
	TupleTableSlot *new_row = econtext->ecxt_outertuple;
	ResultRelInfo *ours = find_ours(condition, new_row);

	*is_null = false;
	if (ours == NULL)
		return BoolGetDatum(true);
	if (RI_FKey_pk_upd_check_required(trigger, root->ri_RelationDesc, old_row, new_row))
		keep(condition, ours, trigger, old_row, new_row);
	return BoolGetDatum(false);
}

static bool
is_action_on_update(const Trigger *trigger)
{
	return TRIGGER_FOR_UPDATE(trigger->tgtype) && RI_FKey_trigger_type(trigger->tgfoid) == RI_TRIGGER_PK;
}

void
nvmkv_key_moves_begin(ModifyTableState *mtstate)
{
	ResultRelInfo *root = mtstate->rootResultRelInfo;
	MemoryContext old_context = MemoryContextSwitchTo(mtstate->ps.state->es_query_cxt);

	for (int i = 0; root->ri_TrigDesc != NULL && i < root->ri_TrigDesc->numtriggers; i++)
	{
		Trigger *trigger = &root->ri_TrigDesc->triggers[i];
		Condition *condition;

		if (!is_action_on_update(trigger) || trigger->tgqual != NULL)
			continue;
		condition = palloc0(sizeof(Condition));
		condition->state.type = T_ExprState;
		condition->state.flags = EEO_FLAG_IS_QUAL;
		condition->state.evalfunc = is_left_to_server;
		condition->mtstate = mtstate;
		condition->trigger = i;
		trigger->tgqual = pstrdup("<>"); /* there is one, and it is compiled already */
		root->ri_TrigWhenExprs[i] = &condition->state;
	}
	MemoryContextSwitchTo(old_context);
}

static void
set_source(ResultRelInfo *root, ResultRelInfo *source)
{
	for (int i = 0; root->ri_TrigDesc != NULL && i < root->ri_TrigDesc->numtriggers; i++)
	{
		Condition *condition = (Condition *) root->ri_TrigWhenExprs[i];

		if (condition != NULL && condition->state.evalfunc == is_left_to_server)
			condition->source = source;
	}
}

/* ExecCrossPartitionUpdateForeignKey's refusal. */
static void
refuse_keys_of_ancestors(ModifyTableState *mtstate, ResultRelInfo *source)
{
	ResultRelInfo *root = mtstate->rootResultRelInfo;
	ListCell *lc;

	foreach(lc, ExecGetAncestorResultRels(mtstate->ps.state, source))
	{
		ResultRelInfo *ancestor = lfirst(lc);
		const TriggerDesc *triggers = ancestor->ri_TrigDesc;

		for (int i = 0; ancestor != root && triggers != NULL && i < triggers->numtriggers; i++)
		{
			if (triggers->triggers[i].tgisclone || !is_action_on_update(&triggers->triggers[i]))
				continue;
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot move tuple across partitions when a non-root ancestor of the source partition is directly referenced in a foreign key"),
					 errdetail("A foreign key points to ancestor \"%s\" but not the root ancestor \"%s\".",
							   RelationGetRelationName(ancestor->ri_RelationDesc),
							   RelationGetRelationName(root->ri_RelationDesc)),
					 errhint("Consider defining the foreign key on table \"%s\".",
							 RelationGetRelationName(root->ri_RelationDesc))));
		}
	}
}

void
nvmkv_key_moves_fire(ModifyTableState *mtstate, ResultRelInfo *source, ResultRelInfo *target, HeapTuple old_row,
					 TupleTableSlot *slot)
{
	ResultRelInfo *root = mtstate->rootResultRelInfo;

	refuse_keys_of_ancestors(mtstate, source);
	set_source(root, source);
	ExecARUpdateTriggers(mtstate->ps.state, root, source, target, NULL, old_row, slot, NIL, NULL, true);
	set_source(root, NULL);
}

/* ---------------------------------------------------------------- acting */

bool
nvmkv_key_move_is_due(const TriggerData *trigger)
{
	return TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
}

void *
nvmkv_key_move_take(Size *size_out)
{
	Line *line = lines;
	void *data;

	while (line != NULL && !is_waiting(line))
		line = line->outer;
	if (line == NULL)
		elog(ERROR, "no row has moved");
	nvmkv_row_spool_read(&line->rows, line->done, size_out, sizeof(*size_out));
	data = palloc(*size_out);
	nvmkv_row_spool_read(&line->rows, line->done + sizeof(*size_out), data, *size_out);
	line->done += sizeof(*size_out) + *size_out;
	if (!is_waiting(line))
	{
		nvmkv_row_spool_close(&line->rows);
		line->done = 0;
	}
	return data;
}

bool
nvmkv_key_move_is(const void *data, Size size)
{
	return size > sizeof(MoveHead) && ((const MoveHead *) data)->mark == InvalidOid;
}

static Trigger *
find_trigger(Relation rel, Oid oid)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		if (rel->trigdesc->triggers[i].tgoid == oid)
			return &rel->trigdesc->triggers[i];
	}
	elog(ERROR, "table \"%s\" has lost trigger %u", RelationGetRelationName(rel), oid);
}

void
nvmkv_key_move_act(const void *data, NvmkvKeyMoveAction act)
{
	const MoveHead *head = data;
	char *at_old = (char *) data + MAXALIGN(sizeof(*head));
	Relation root = table_open(head->root, AccessShareLock);
	TupleTableSlot *old_row = MakeSingleTupleTableSlot(RelationGetDescr(root), &TTSOpsMinimalTuple);
	TupleTableSlot *new_row = MakeSingleTupleTableSlot(RelationGetDescr(root), &TTSOpsMinimalTuple);
	Trigger trigger = *find_trigger(root, head->trigger); /* of a cache that others may build anew */
	TriggerData event = {
		.type = T_TriggerData,
		.tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW,
		.tg_relation = root,
		.tg_trigger = &trigger,
		.tg_trigslot = ExecStoreMinimalTuple((MinimalTuple) at_old, old_row, false),
		.tg_newslot = ExecStoreMinimalTuple((MinimalTuple) (at_old + MAXALIGN(head->old_size)), new_row, false),
	};

	act(&event);
	ExecDropSingleTupleTableSlot(new_row);
	ExecDropSingleTupleTableSlot(old_row);
	table_close(root, AccessShareLock);
}
