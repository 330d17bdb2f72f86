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
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/table/catalog.h"

static Oid
our_function(int kind)
{
	const char *function = kind == RI_TRIGGER_FK ? "foreign_key_check" : "foreign_key_action";
	List *name = list_make2(makeString(pstrdup(NVMKV_CATALOG_SCHEMA)), makeString(pstrdup(function)));

	return LookupFuncName(name, 0, NULL, false);
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

static void
set_functions(Oid relid, bool ours)
{
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);
	bool changed = false;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		int kind = form->tgisinternal ? trigger_kind(form->tgfoid) : RI_TRIGGER_NONE;
		HeapTuple copy;

		if (kind == RI_TRIGGER_NONE)
			continue;
		copy = heap_copytuple(tuple);
		form = (Form_pg_trigger) GETSTRUCT(copy);
		set_function(form, kind, ours);
		CatalogTupleUpdate(triggers, &copy->t_self, copy);
		heap_freetuple(copy);
		changed = true;
	}
	systable_endscan(scan);
	table_close(triggers, RowExclusiveLock);
	if (changed)
	{
		CacheInvalidateRelcacheByRelid(relid);
		CommandCounterIncrement();
	}
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
