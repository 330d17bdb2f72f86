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

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_trigger.h"
#include "utils/fmgroids.h"

#include "fdw/ddl/lend.h"
#include "fdw/ddl/triggerrow.h"
#include "fdw/ddl/uniquetrigger.h"

/* NvmkvTriggerChange; arg: bool, whether it becomes ours. */
static bool
settle(Form_pg_trigger trigger, const void *arg)
{
	Oid function = nvmkv_trigger_function("unique_check");
	bool ours = *(const bool *) arg;

	if (trigger->tgfoid != F_UNIQUE_KEY_RECHECK && trigger->tgfoid != function)
		return false;
	trigger->tgfoid = ours ? function : F_UNIQUE_KEY_RECHECK;
	trigger->tgtype = TRIGGER_TYPE_ROW | TRIGGER_TYPE_AFTER;
	if (!ours)
		trigger->tgtype |= TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE;
	return true;
}

void
nvmkv_unique_triggers_settle(Oid relid, bool ours)
{
	nvmkv_triggers_change(relid, settle, &ours);
}

bits16
nvmkv_deferrable_begin(Oid relid, bool deferrable, bool initially_deferred)
{
	if (!deferrable)
		return 0;
	nvmkv_lend_table(relid);
	return INDEX_CONSTR_CREATE_DEFERRABLE | (initially_deferred ? INDEX_CONSTR_CREATE_INIT_DEFERRED : 0);
}

void
nvmkv_deferrable_end(Oid relid, bool deferrable)
{
	if (!deferrable)
		return;
	CommandCounterIncrement();
	nvmkv_return_table(relid);
	nvmkv_unique_triggers_settle(relid, true);
}
