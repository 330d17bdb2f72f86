/*
 * foreignkeytrigger.c
 *	  Triggers of foreign keys on our tables.
 *
 * They are the server's own, with functions of ours in them (modify/foreignkey.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
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

static Oid
server_function(Form_pg_trigger trigger, int kind, char action)
{
	if (kind == RI_TRIGGER_FK)
		return TRIGGER_FOR_INSERT(trigger->tgtype) ? F_RI_FKEY_CHECK_INS : F_RI_FKEY_CHECK_UPD;
	for (int i = 0; i < lengthof(action_functions); i++)
	{
		if (action_functions[i].action == action)
			return action_functions[i].functions[TRIGGER_FOR_DELETE(trigger->tgtype) ? 0 : 1];
	}
	elog(ERROR, "unknown action of foreign key %u", trigger->tgconstraint);
}

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
