/*
 * uniquetrigger.c
 *	  Triggers of unique constraints that are DEFERRABLE.
 *
 * The server makes one for each such constraint, by which SET CONSTRAINTS finds it and
 * events are told apart.  For a heap table the server queues an event where an index has
 * said that a value may be there twice; of a foreign table it knows nothing like that, and
 * would queue one for each row.  So on ours the trigger is for no command, and has a function of
 * ours: whoever writes a row puts the event into the queue (modify/doubts.c).
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"

#include "fdw/ddl/uniquetrigger.h"
#include "fdw/table/catalog.h"

static Oid
our_function(void)
{
	List *name = list_make2(makeString(pstrdup(NVMKV_CATALOG_SCHEMA)), makeString(pstrdup("unique_check")));

	return LookupFuncName(name, 0, NULL, false);
}

void
nvmkv_unique_triggers_settle(Oid relid, bool ours)
{
	Relation triggers = table_open(TriggerRelationId, RowExclusiveLock);
	Oid function = our_function();
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		HeapTuple copy;

		if (!form->tgisinternal || (form->tgfoid != F_UNIQUE_KEY_RECHECK && form->tgfoid != function))
			continue;
		copy = heap_copytuple(tuple);
		form = (Form_pg_trigger) GETSTRUCT(copy);
		form->tgfoid = ours ? function : F_UNIQUE_KEY_RECHECK;
		form->tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER;
		if (!ours)
			form->tgtype |= TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE;
		CatalogTupleUpdate(triggers, &copy->t_self, copy);
		heap_freetuple(copy);
	}
	systable_endscan(scan);
	table_close(triggers, RowExclusiveLock);
	CacheInvalidateRelcacheByRelid(relid);
	CommandCounterIncrement();
}
