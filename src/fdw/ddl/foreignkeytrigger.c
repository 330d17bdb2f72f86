/*
 * foreignkeytrigger.c
 *	  Triggers of foreign keys on our tables.
 *
 * They are the server's own, with functions of ours in them (modify/foreignkey.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/ddl/triggerrow.h"

static Oid
our_function(int kind)
{
	return nvmkv_trigger_function(kind == RI_TRIGGER_FK ? "foreign_key_check" : "foreign_key_action");
}

/* Of a trigger that is the server's, or was. */
static int
trigger_kind(Oid function)
{
	if (function == our_function(RI_TRIGGER_FK))
		return RI_TRIGGER_FK;
	if (function == our_function(RI_TRIGGER_PK))
		return RI_TRIGGER_PK;
	return RI_FKey_trigger_type(function);
}

/* The server's, by the event: DELETE, UPDATE. */
static const struct
{
	char action;
	Oid functions[2];
} action_functions[] = {
	{FKCONSTR_ACTION_NOACTION, {F_RI_FKEY_NOACTION_DEL, F_RI_FKEY_NOACTION_UPD}},
	{FKCONSTR_ACTION_RESTRICT, {F_RI_FKEY_RESTRICT_DEL, F_RI_FKEY_RESTRICT_UPD}},
	{FKCONSTR_ACTION_CASCADE, {F_RI_FKEY_CASCADE_DEL, F_RI_FKEY_CASCADE_UPD}},
	{FKCONSTR_ACTION_SETNULL, {F_RI_FKEY_SETNULL_DEL, F_RI_FKEY_SETNULL_UPD}},
	{FKCONSTR_ACTION_SETDEFAULT, {F_RI_FKEY_SETDEFAULT_DEL, F_RI_FKEY_SETDEFAULT_UPD}},
};

Oid
nvmkv_foreign_key_action_function(char action, int16 event)
{
	for (int i = 0; i < lengthof(action_functions); i++)
	{
		if (action_functions[i].action == action)
			return action_functions[i].functions[event == TRIGGER_TYPE_DELETE ? 0 : 1];
	}
	elog(ERROR, "unknown action of a foreign key: %d", action);
}

static Oid
server_function(Form_pg_trigger trigger, int kind, char action)
{
	if (kind == RI_TRIGGER_FK)
		return TRIGGER_FOR_INSERT(trigger->tgtype) ? F_RI_FKEY_CHECK_INS : F_RI_FKEY_CHECK_UPD;
	return nvmkv_foreign_key_action_function(action, trigger->tgtype & TRIGGER_TYPE_DELETE);
}

/* ---------------------------------------------------------------- finding */

/* kind RI_TRIGGER_NONE: all. */
static List *
find_triggers(Oid constraint, Oid relid, int kind, int16 event)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	List *found = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(triggers, TriggerConstraintIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (form->tgrelid == relid &&
			(kind == RI_TRIGGER_NONE || (trigger_kind(form->tgfoid) == kind && (form->tgtype & event) != 0)))
			found = lappend_oid(found, form->oid);
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
	return found;
}

List *
nvmkv_foreign_key_triggers(Oid constraint, Oid relid)
{
	return find_triggers(constraint, relid, RI_TRIGGER_NONE, 0);
}

Oid
nvmkv_foreign_key_trigger(Oid constraint, Oid relid, int kind, int16 event)
{
	List *found = find_triggers(constraint, relid, kind, event);

	if (list_length(found) != 1)
		elog(ERROR, "foreign key %u has %d triggers of a kind on table %u", constraint, list_length(found), relid);
	return linitial_oid(found);
}

/* ---------------------------------------------------------------- changing */

/*
 * Its function; and when is it to be fired?  As the server decides it, that knows our triggers no more if the
 * constraint is altered.
 */
static void
set_function(Form_pg_trigger trigger, int kind, bool ours)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(trigger->tgconstraint));
	Form_pg_constraint form;
	char action;
	bool waits;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", trigger->tgconstraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	action = TRIGGER_FOR_DELETE(trigger->tgtype) ? form->confdeltype : form->confupdtype;
	waits = kind == RI_TRIGGER_FK || action == FKCONSTR_ACTION_NOACTION;
	trigger->tgfoid = ours ? our_function(kind) : server_function(trigger, kind, action);
	trigger->tgdeferrable = waits && form->condeferrable;
	trigger->tginitdeferred = waits && form->condeferred;
	ReleaseSysCache(tuple);
}

/* NvmkvTriggerChange; arg: bool, whether it becomes ours. */
static bool
change_function(Form_pg_trigger trigger, const void *arg)
{
	int kind = trigger_kind(trigger->tgfoid);

	if (kind == RI_TRIGGER_NONE)
		return false;
	set_function(trigger, kind, *(const bool *) arg);
	return true;
}

static void
set_functions(Oid relid, bool ours)
{
	nvmkv_triggers_change(relid, change_function, &ours);
}

void
nvmkv_foreign_key_triggers_settle(Oid relid)
{
	set_functions(relid, true);
}

void
nvmkv_foreign_key_triggers_give_back(Oid relid)
{
	set_functions(relid, false);
}
