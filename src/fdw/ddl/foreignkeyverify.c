/*
 * foreignkeyverify.c
 *	  Rows that are there, and a foreign key.
 *
 * As the server does it: one query over both tables where whoever runs the DDL
 * may read them, else row by row with the rights of the referenced table's
 * owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/ddl/foreignkeyverify.h"
#include "fdw/ddl/verify.h"
#include "fdw/modify/foreignkey.h"

/* NvmkvVerifyRow */
static void
check_row(TupleTableSlot *slot, void *arg)
{
	TriggerData *data = arg;
	bool free_tuple;

	data->tg_trigslot = slot;
	data->tg_trigtuple = ExecFetchSlotHeapTuple(slot, false, &free_tuple);
	nvmkv_foreign_key_check_row(data);
	if (free_tuple)
		heap_freetuple(data->tg_trigtuple);
}

/* After validateForeignKeyConstraint of the server. */
void
nvmkv_foreign_key_verify(Oid constraint)
{
	HeapTuple tuple;
	Form_pg_constraint form;
	Trigger trigger = {0};
	Relation rel;
	Relation referenced;

	/* In pg_upgrade neither table has its rows yet; they were checked where they come from. */
	if (IsBinaryUpgrade)
		return;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	trigger.tgname = pstrdup(NameStr(form->conname));
	trigger.tgenabled = TRIGGER_FIRES_ON_ORIGIN;
	trigger.tgisinternal = true;
	trigger.tgconstrrelid = form->confrelid;
	trigger.tgconstrindid = form->conindid;
	trigger.tgconstraint = constraint;
	rel = table_open(form->conrelid, NoLock);
	referenced = table_open(form->confrelid, NoLock);
	ReleaseSysCache(tuple);

	if (!RI_Initial_Check(&trigger, rel, referenced))
	{
		TriggerData data = {
			.type = T_TriggerData,
			.tg_event = TRIGGER_EVENT_INSERT | TRIGGER_EVENT_ROW,
			.tg_relation = rel,
			.tg_trigger = &trigger,
		};

		nvmkv_verify_rows(rel, check_row, &data);
	}
	table_close(referenced, NoLock);
	table_close(rel, NoLock);
}
