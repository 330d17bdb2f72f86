/*
 * ddl.c
 *	  What DDL on our tables has to do, and to refuse, beyond what the server
 *	  does for foreign tables.
 *
 * Two hooks.  Utility statements: utility.c.  Object access, here: a dropped
 * table takes its storage with it, whichever command drops it; a database, those
 * of all its tables.
 *
 * All changes are made by the current transaction, in catalogues and in
 * tagged entries of the engine: they go with its rollback.
 *
 * The hooks are there when the library is.  Where the server has not loaded it,
 * the event trigger nvmkv_require_library does, for the statements that could
 * do harm, and refuses those that change definitions behind the back of rows;
 * CREATE and changes of options are refused by the validator.  DROP goes
 * through: what it leaves is removed at the next start with the library
 * (sweep.c), as is what is dropped where no trigger fires - a database, or
 * anything in single-user mode.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "commands/event_trigger.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/predicate.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/changes/note.h"
#include "fdw/ddl/alter.h"
#include "fdw/ddl/copyfreeze.h"
#include "fdw/ddl/createas.h"
#include "fdw/ddl/ddl.h"
#include "fdw/ddl/foreignkeypart.h"
#include "fdw/ddl/guard.h"
#include "fdw/ddl/missingvalue.h"
#include "fdw/ddl/rename.h"
#include "fdw/ddl/utility.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/copysession.h"
#include "fdw/host/engine.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/registry.h"
#include "fdw/storage/storage.h"
#include "fdw/table/catalog.h"
#include "fdw/table/counters.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"
#include "fdw/txn/write.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_require_library);

static object_access_hook_type previous_object_access = NULL;

/* ---------------------------------------------------------------- without the library */

/*
 * The event trigger, before a statement.  With the library loaded at server start process_utility does what is to be
 * done; here the library has perhaps been loaded by this very call, and the statement does not get there.
 */
Datum
nvmkv_sql_require_library(PG_FUNCTION_ARGS)
{
	Node *stmt;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function nvmkv.require_library() was not called by an event trigger")));
	if (nvmkv_engine_is_preloaded())
		return (Datum) 0;

	stmt = ((EventTriggerData *) fcinfo->context)->parsetree;
	if (IsA(stmt, AlterTableStmt))
		(void) nvmkv_alter_begin((AlterTableStmt *) stmt, NULL);
	else if (IsA(stmt, RenameStmt) && nvmkv_renamed_tables((RenameStmt *) stmt) != NIL)
		nvmkv_engine_require_preload();
	else if (IsA(stmt, AlterDomainStmt) && nvmkv_domain_is_used(nvmkv_altered_domain((AlterDomainStmt *) stmt)))
		nvmkv_engine_require_preload();
	else
		nvmkv_guard_catalogue(stmt);
	return (Datum) 0;
}

/* ---------------------------------------------------------------- drop */

static void
drop_storage(uint64 storage_id, const char *relname)
{
	if (nvmkv_engine_or_null() != NULL)
		nvmkv_registry_end_storage(storage_id);
	else if (nvmkv_engine_is_preloaded())
		ereport(WARNING,
				(errmsg("rows of dropped foreign table \"%s\" keep their space for now", relname != NULL ? relname : "?"),
				 errdetail("Foreign tables of nvmkv_fdw are not available: %s", nvmkv_engine_absence()),
				 errhint("They are removed by the next start with which foreign tables are available.")));
	else
		ereport(WARNING,
				(errmsg("rows of dropped foreign table \"%s\" keep their space for now", relname != NULL ? relname : "?"),
				 errdetail("They are removed when the server has been started with nvmkv_fdw in shared_preload_libraries, and the engine runs.")));
}

/* A table, or an index, which may be of a table that is not ours. */
static void
before_drop_relation(Oid relid)
{
	NvmkvStorageRow row;

	/* Without a catalogue its drop has dealt with all storages. */
	if (!OidIsValid(nvmkv_catalog_relid()) || !nvmkv_catalog_lookup(relid, &row))
		return;
	nvmkv_catalog_delete(relid);
	if (row.dboid == MyDatabaseId)
		drop_storage(row.storage_id, get_rel_name(relid));
}

/* DROP EXTENSION may take the catalogue before the tables. */
static void
before_drop_catalog(void)
{
	ListCell *lc;

	foreach(lc, nvmkv_catalog_storages(SnapshotSelf))
	{
		const NvmkvStoredTable *table = lfirst(lc);

		drop_storage(table->storage_id, get_rel_name(table->relid));
	}
}

static void
before_drop_column(Oid relid, AttrNumber attnum)
{
	const char *definition = nvmkv_option_string(GetForeignTable(relid)->options, NVMKV_OPTION_PRIMARY_KEY);
	const char *name = get_attname(relid, attnum, false);
	ListCell *lc;

	if (definition == NULL)
		return;
	foreach(lc, nvmkv_parse_primary_key(definition))
	{
		if (strcmp(((NvmkvKeySpec *) lfirst(lc))->name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop column \"%s\" because it is in the primary key of foreign table \"%s\"", name, get_rel_name(relid)),
					 errhint("Drop the foreign table, or create a new one and copy the rows with INSERT ... SELECT.")));
	}
}

/* What is cached of the table has the names of its indexes. */
static void
after_alter_index(Oid index)
{
	Oid relid = IndexGetRelation(index, true);

	if (OidIsValid(relid) && nvmkv_is_our_relid(relid))
		CacheInvalidateRelcacheByRelid(relid);
}

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	bool is_index;

	if (previous_object_access != NULL)
		previous_object_access(access, class_id, object_id, sub_id, arg);

	if (access == OAT_FUNCTION_EXECUTE)
		nvmkv_copy_before_function(object_id);
	is_index = class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_PARTITIONED_INDEX;
	if (access == OAT_POST_ALTER && is_index)
		after_alter_index(object_id);
	if (access == OAT_POST_ALTER && class_id == InheritsRelationId)
		nvmkv_partition_has_left(object_id);
	if (access != OAT_DROP)
		return;
	if (class_id == DatabaseRelationId && nvmkv_engine_or_null() != NULL)
		(void) nvmkv_registry_drop_database(object_id);
	if (class_id != RelationRelationId)
		return;
	if (sub_id == 0 && object_id == nvmkv_catalog_relid())
		before_drop_catalog();
	else if (is_index && sub_id == 0)
		before_drop_relation(object_id);
	else if (nvmkv_is_our_relid(object_id))
	{
		if (sub_id == 0)
			before_drop_relation(object_id);
		else
			before_drop_column(object_id, (AttrNumber) sub_id);
	}
}

/* ---------------------------------------------------------------- truncate */

void
nvmkvExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	List *told = NIL;
	ListCell *lc;

	foreach(lc, rels)
	{
		Relation rel = lfirst(lc);

		CheckTableForSerializableConflictIn(rel);
		if (nvmkv_note_is_wanted(nvmkv_table_definition(rel)))
			told = lappend_oid(told, RelationGetRelid(rel));
		nvmkv_table_new_storage(rel);
		pgstat_count_truncate(nvmkv_counted(RelationGetRelid(rel)));
		nvmkv_freeze_note_truncated(RelationGetRelid(rel));
	}
	if (told != NIL)
		nvmkv_write_tell_truncate(told, behavior == DROP_CASCADE, restart_seqs);
}

void
nvmkv_ddl_init(void)
{
	nvmkv_freeze_init();
	nvmkv_utility_init();
	nvmkv_create_as_init();
	nvmkv_missing_value_init();
	previous_object_access = object_access_hook;
	object_access_hook = object_access;
}
