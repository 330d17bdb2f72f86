/*
 * foreignkeytrigger.c
 *	  Triggers of foreign keys on our tables.
 *
 * They are the server's own, and so are their functions on the side of a table
 * that is referenced.  On the other side the server asks the access method of
 * the table whether the row is still there, and a foreign table has none.  So
 * nvmkv.foreign_key_check() stands in place of its functions there: it shows them
 * the table with an access method that has an answer.
 *
 * Events of a foreign table are fired from rows that are kept to the end of the
 * statement, and the server takes it that none waits for longer.  So no trigger of
 * a foreign key may be deferred here: a key that wants it is refused where our
 * table references (foreignkey.c); where it is referenced, its triggers fire at
 * the end of the statement.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeytrigger.h"
#include "fdw/table/catalog.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_foreign_key_check);

/* ---------------------------------------------------------------- the check */

/*
 * TableAmRoutine.tuple_satisfies_snapshot, asked with SnapshotSelf: an event is fired at the end of the statement that
 * has written the row.
 */
static bool
row_is_there(Relation rel, TupleTableSlot *slot, Snapshot snapshot)
{
	return true;
}

static const TableAmRoutine lent_method = {
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

	table.rd_tableam = &lent_method;
	shown.tg_relation = &table;
	InitFunctionCallInfoData(*fcinfo, NULL, 0, InvalidOid, (Node *) &shown, NULL);
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		RI_FKey_check_upd(fcinfo);
	else
		RI_FKey_check_ins(fcinfo);
}

/*
 * Has an UPDATE left all columns of the foreign key as they were, byte by byte?  The server asks this before it queues
 * an event of its own functions, and there is nothing to check then.
 */
static bool
leaves_key(const TriggerData *trigger)
{
	TupleDesc tupdesc = RelationGetDescr(trigger->tg_relation);
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(trigger->tg_trigger->tgconstraint));
	AttrNumber columns[INDEX_MAX_KEYS];
	AttrNumber referenced[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS];
	int ncolumns;
	bool same = true;

	if (!HeapTupleIsValid(tuple))
		return false; /* the server says so */
	DeconstructFkConstraintRow(tuple, &ncolumns, columns, referenced, operators, NULL, NULL, NULL, NULL);
	ReleaseSysCache(tuple);
	for (int i = 0; i < ncolumns && same; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, columns[i] - 1);
		bool isnull[2];
		Datum before = slot_getattr(trigger->tg_trigslot, columns[i], &isnull[0]);
		Datum after = slot_getattr(trigger->tg_newslot, columns[i], &isnull[1]);

		same = isnull[0] == isnull[1] &&
			(isnull[0] || datum_image_eq(before, after, att->attbyval, att->attlen));
	}
	return same;
}

Datum
nvmkv_sql_foreign_key_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !trigger->tg_trigger->tgisinternal || trigger->tg_relation->rd_tableam != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function nvmkv.foreign_key_check() was not called by a trigger of a foreign key")));
	if (!TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) || !leaves_key(trigger))
		nvmkv_foreign_key_check_row(trigger);
	return PointerGetDatum(NULL);
}

/* ---------------------------------------------------------------- settling */

static Oid
check_function(void)
{
	List *name = list_make2(makeString(pstrdup(NVMKV_CATALOG_SCHEMA)), makeString(pstrdup("foreign_key_check")));

	return LookupFuncName(name, 0, NULL, false);
}

void
nvmkv_foreign_key_triggers_settle(Oid relid)
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
		bool checks = form->tgfoid == F_RI_FKEY_CHECK_INS || form->tgfoid == F_RI_FKEY_CHECK_UPD;
		HeapTuple copy;

		if (!form->tgisinternal || (!checks && !form->tgdeferrable))
			continue;
		copy = heap_copytuple(tuple);
		form = (Form_pg_trigger) GETSTRUCT(copy);
		if (checks)
			form->tgfoid = check_function();
		form->tgdeferrable = false;
		form->tginitdeferred = false;
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
