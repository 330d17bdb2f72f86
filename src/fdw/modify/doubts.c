/*
 * doubts.c
 *	  Values of DEFERRABLE unique constraints that another row may have, too.
 *
 * The constraint has a trigger in the catalogue, by which the server knows when
 * it is checked (ddl/uniquetrigger.c).  No command fires it by itself.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/host/family.h"
#include "fdw/modify/deferred.h"
#include "fdw/modify/doubts.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"
#include "fdw/txn/unique.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_unique_check);

void
nvmkv_doubts_find(NvmkvModify *modify, NvmkvSlice old_entries, NvmkvSlice entries)
{
	resetStringInfo(&modify->doubts);
	if (modify->has_deferrable)
		nvmkv_unique_find_doubts(modify->db, modify->table, old_entries, entries, &modify->doubts);
}

/* The trigger of the constraint that the index is of. */
static Trigger *
find_trigger(Relation rel, Oid index)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (triggers->triggers[i].tgisinternal && triggers->triggers[i].tgconstrindid == index)
			return &triggers->triggers[i];
	}
	elog(ERROR, "index %u is deferrable and has no trigger", index);
}

void
nvmkv_doubts_keep(NvmkvModify *modify)
{
	NvmkvSlice doubts = nvmkv_buffer_slice(&modify->doubts);
	size_t at = 0;
	size_t begin = 0;
	NvmkvEntry entry;

	for (; nvmkv_entries_next(doubts, &at, &entry); begin = at)
	{
		Trigger *trigger = find_trigger(modify->rel, modify->table->indexes[entry.index].oid);
		TriggerData data = {
			.type = T_TriggerData,
			.tg_event = TRIGGER_EVENT_INSERT,
			.tg_relation = modify->rel,
			.tg_trigger = trigger,
		};

		nvmkv_deferred_keep(&data, trigger->tginitdeferred, doubts.data + begin, at - begin);
	}
	resetStringInfo(&modify->doubts);
}

/* The first one; NULL: there is none. */
static const NvmkvIndex *
find_arbiter(const NvmkvModify *modify)
{
	for (int i = 0; modify->has_deferrable && i < modify->table->nindexes; i++)
	{
		const NvmkvIndex *index = &modify->table->indexes[i];

		if (index->deferrable && index->ready &&
			(modify->arbiters == NIL || list_member_oid(modify->arbiters, index->oid)))
			return index;
	}
	return NULL;
}

bool
nvmkv_doubts_meet_arbiter(const NvmkvModify *modify, Oid before)
{
	const NvmkvIndex *index = find_arbiter(modify);

	return index != NULL && index->oid < before;
}

void
nvmkv_doubts_refuse_arbiter(const NvmkvModify *modify)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("ON CONFLICT does not support deferrable unique constraints/exclusion constraints as arbiters"),
			 errtableconstraint(modify->rel, get_rel_name(find_arbiter(modify)->oid))));
}

/* ---------------------------------------------------------------- checking */

/* NvmkvDeferredCheck.  Other indexes may have come or gone since. */
static bool
check_entry(TriggerData *trigger, void *data, Size size, bool early, void *arg)
{
	const NvmkvTable *table = arg;
	const NvmkvIndex *index = nvmkv_find_index(table, trigger->tg_trigger->tgconstrindid);
	NvmkvSlice entry = nvmkv_slice(data, size);

	if (index == NULL)
		elog(ERROR, "foreign table %u has no index with OID %u", table->relid, trigger->tg_trigger->tgconstrindid);
	nvmkv_entries_set_index(entry, (unsigned) (index - table->indexes));
	return nvmkv_unique_check(nvmkv_engine_of(table->storage_id), table, trigger->tg_relation, entry, early);
}

Datum
nvmkv_sql_unique_check(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !trigger->tg_trigger->tgisinternal || trigger->tg_relation->rd_tableam != NULL ||
		!nvmkv_deferred_is_due(trigger))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function nvmkv.%s() was not called by a trigger of a unique constraint", "unique_check")));
	nvmkv_deferred_check(trigger, check_entry, nvmkv_table(trigger->tg_relation));
	return PointerGetDatum(NULL);
}
