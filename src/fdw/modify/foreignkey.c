/*
 * foreignkey.c
 *	  What triggers of foreign keys do on our tables.
 *
 * It is the server's own functions that check and act.  They cannot stand in the
 * triggers themselves: the server knows them there, leaves out events in which a
 * key has not changed, and then looks for the row of another event of the same
 * change, of a foreign table, where it is not.  And the check asks the access
 * method of the table whether the row is still there, and a foreign table has
 * none.  So nvmkv.foreign_key_check() stands in triggers of a table that references:
 * it finds out itself, and shows the server's function a table with an access
 * method that says yes.  nvmkv.foreign_key_action() stands in those of a table that
 * is referenced; in a partition's it acts for rows, too, that have moved from or to it
 * (keymove.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_constraint.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/modify/deferred.h"
#include "fdw/modify/deferredrow.h"
#include "fdw/modify/foreignkey.h"
#include "fdw/modify/foreignkeyrow.h"
#include "fdw/modify/keymove.h"
#include "fdw/storage/storage.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_foreign_key_check);
PG_FUNCTION_INFO_V1(nvmkv_sql_foreign_key_action);

/* What a trigger of a foreign key has to know of it. */
typedef struct ForeignKey
{
	NvmkvKeyColumns columns; /* of the table that references */
	NvmkvKeyColumns referenced;
	bool deferrable;
	bool deferred;
	char on_update;
	char on_delete;
} ForeignKey;

/* ---------------------------------------------------------------- the server's check */

/* TableAmRoutine.tuple_satisfies_snapshot */
static bool
row_is_there(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	return true;
}

static const TableAmRoutine shown_method = {
	.type = T_TableAmRoutine,
	.tuple_satisfies_snapshot = row_is_there,
};

/*
 * The table that is shown is a copy: the cached one may be opened by the queries that the server's function runs, and
 * read anew meanwhile.
 */
void
nvmkv_foreign_key_check_row(TriggerData *trigger)
{
	LOCAL_FCINFO(fcinfo, 0);
	RelationData table = *trigger->tg_relation;
	TriggerData shown = *trigger;

	table.rd_tableam = &shown_method;
	shown.tg_relation = &table;
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, (Node *) &shown, NULL);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		RI_FKey_check_upd(fcinfo);
	else
		RI_FKey_check_ins(fcinfo);
}

/* ---------------------------------------------------------------- is there anything to check? */

/* False: there is none any more. */
static bool
find_key(Oid constraint, ForeignKey *key)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	DeconstructFkConstraintRow(tuple, &key->columns.n, key->columns.attnums, key->referenced.attnums, NULL, NULL,
							   key->columns.equal, NULL, NULL);
	key->referenced.n = key->columns.n;
	key->deferrable = form->condeferrable;
	key->deferred = form->condeferred;
	key->on_update = form->confupdtype;
	key->on_delete = form->confdeltype;
	ReleaseSysCache(tuple);
	return true;
}

/* Has an UPDATE left the columns of the foreign key, and what the row is found by?  Then it checks nothing. */
static bool
leaves_columns(const TriggerData *trigger, const NvmkvKeyColumns *columns)
{
	const NvmkvTable *table = nvmkv_table(trigger->tg_relation);
	NvmkvKeyColumns key = {.n = table->nkeys};

	for (int i = 0; i < table->nkeys; i++)
		key.attnums[i] = table->keys[i].attnum;
	return nvmkv_columns_are_same(trigger->tg_trigslot, trigger->tg_newslot, &key) &&
		nvmkv_columns_are_same(trigger->tg_trigslot, trigger->tg_newslot, columns);
}

static TriggerData *
get_trigger(FunctionCallInfo fcinfo, const char *function)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !trigger->tg_trigger->tgisinternal || trigger->tg_relation->rd_tableam != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function nvmkv.%s() was not called by a trigger of a foreign key", function)));
	return trigger;
}

static void
check_standing_row(TriggerData *trigger, const NvmkvKeyColumns *columns)
{
	if (nvmkv_row_stands(trigger->tg_relation,
						 TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newslot : trigger->tg_trigslot,
						 columns))
		nvmkv_foreign_key_check_row(trigger);
}

/* NvmkvDeferredRowCheck */
static void
check_deferred_row(TriggerData *trigger)
{
	ForeignKey key;

	trigger->tg_event = TRIGGER_EVENT_INSERT | TRIGGER_EVENT_ROW; /* a row is there, however it came */
	if (find_key(trigger->tg_trigger->tgconstraint, &key))
		check_standing_row(trigger, &key.columns);
}

/* The row, with what it is found by. */
static void
defer_check(TriggerData *trigger, const ForeignKey *key)
{
	const NvmkvTable *table = nvmkv_table(trigger->tg_relation);
	AttrNumber attnums[2 * INDEX_MAX_KEYS];
	int n = 0;

	for (int i = 0; i < key->columns.n; i++)
		attnums[n++] = key->columns.attnums[i];
	for (int i = 0; i < table->nkeys; i++)
		attnums[n++] = table->keys[i].attnum;
	nvmkv_deferred_keep_row(trigger, key->deferred,
							TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newslot : trigger->tg_trigslot,
							attnums, n);
}

Datum
nvmkv_sql_foreign_key_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = get_trigger(fcinfo, "foreign_key_check");
	ForeignKey key;

	if (nvmkv_deferred_is_due(trigger))
		nvmkv_deferred_check_rows(trigger, check_deferred_row, NULL);
	else if (find_key(trigger->tg_trigger->tgconstraint, &key) &&
			 !(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) && leaves_columns(trigger, &key.columns)))
	{
		if (key.deferrable)
			defer_check(trigger, &key);
		else
			check_standing_row(trigger, &key.columns);
	}
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------- actions */

/* The server's functions, by event: DELETE, UPDATE. */
static const struct
{
	char action;
	PGFunction functions[2];
} actions[] = {
	{FKCONSTR_ACTION_NOACTION, {RI_FKey_noaction_del, RI_FKey_noaction_upd}},
	{FKCONSTR_ACTION_RESTRICT, {RI_FKey_restrict_del, RI_FKey_restrict_upd}},
	{FKCONSTR_ACTION_CASCADE, {RI_FKey_cascade_del, RI_FKey_cascade_upd}},
	{FKCONSTR_ACTION_SETNULL, {RI_FKey_setnull_del, RI_FKey_setnull_upd}},
	{FKCONSTR_ACTION_SETDEFAULT, {RI_FKey_setdefault_del, RI_FKey_setdefault_upd}},
};

/* NvmkvDeferredRowCheck, NvmkvKeyMoveAction, and what is done at once. */
static void
act(TriggerData *trigger)
{
	bool update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	ForeignKey key;
	char action;

	LOCAL_FCINFO(fcinfo, 0);

	if (!find_key(trigger->tg_trigger->tgconstraint, &key))
		elog(ERROR, "cache lookup failed for constraint %u", trigger->tg_trigger->tgconstraint);
	action = update ? key.on_update : key.on_delete;
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, (Node *) trigger, NULL);
	for (int i = 0; i < lengthof(actions); i++)
	{
		if (actions[i].action == action)
		{
			(void) actions[i].functions[update ? 1 : 0](fcinfo);
			return;
		}
	}
	elog(ERROR, "unknown action of foreign key %u", trigger->tg_trigger->tgconstraint);
}

/* Only NO ACTION waits. */
static bool
may_wait(const TriggerData *trigger, const ForeignKey *key)
{
	char action = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? key->on_update : key->on_delete;

	return key->deferrable && action == FKCONSTR_ACTION_NOACTION;
}

/* NvmkvDeferredOtherCheck */
static bool
act_on_move(const void *data, Size size)
{
	if (!nvmkv_key_move_is(data, size))
		return false;
	nvmkv_key_move_act(data, act);
	return true;
}

static void
act_or_wait_on_move(TriggerData *trigger)
{
	ForeignKey key;
	Size size;
	void *data = nvmkv_key_move_take(&size);

	trigger->tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW;
	if (find_key(trigger->tg_trigger->tgconstraint, &key) && may_wait(trigger, &key))
		nvmkv_deferred_keep(trigger, key.deferred, data, size);
	else
		nvmkv_key_move_act(data, act);
}

Datum
nvmkv_sql_foreign_key_action(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = get_trigger(fcinfo, "foreign_key_action");
	bool update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	ForeignKey key;

	if (nvmkv_deferred_is_due(trigger))
		nvmkv_deferred_check_rows(trigger, act, act_on_move);
	else if (nvmkv_key_move_is_due(trigger))
		act_or_wait_on_move(trigger);
	else if (RI_FKey_pk_upd_check_required(trigger->tg_trigger, trigger->tg_relation, trigger->tg_trigslot,
										   update ? trigger->tg_newslot : NULL))
	{
		if (find_key(trigger->tg_trigger->tgconstraint, &key) && may_wait(trigger, &key))
			nvmkv_deferred_keep_row(trigger, key.deferred, trigger->tg_trigslot, key.referenced.attnums,
									key.referenced.n);
		else
			act(trigger);
	}
	return PointerGetDatum(NULL);
}
