/*
 * ddl.c
 *	  What DDL on our tables has to do, and to refuse, beyond what the server
 *	  does for foreign tables.
 *
 * Two hooks.  Utility statements: a new table gets its storage, ALTER TABLE is
 * looked at before and after (alter.c), ALTER DOMAIN after, a renamed key column
 * is renamed in the option, COPY t TO becomes COPY (SELECT) TO, FREEZE is
 * settled (copyfreeze.c), nvmkv.storage is guarded (guard.c).  Object access: a
 * dropped table takes its storage with it, whichever command drops it; a
 * database, those of all its tables.
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

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_inherits.h"
#include "commands/copy.h"
#include "commands/event_trigger.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "storage/predicate.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw/ddl/alter.h"
#include "fdw/ddl/checkpoint.h"
#include "fdw/ddl/copyfreeze.h"
#include "fdw/ddl/ddl.h"
#include "fdw/ddl/guard.h"
#include "fdw/ddl/locktable.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/copysession.h"
#include "fdw/host/engine.h"
#include "fdw/host/familyoption.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/registry.h"
#include "fdw/storage/storage.h"
#include "fdw/table/catalog.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_require_library);

static ProcessUtility_hook_type previous_process_utility = NULL;
static object_access_hook_type previous_object_access = NULL;

/* ---------------------------------------------------------------- create */

/* The relation a CREATE statement makes, or would make; InvalidOid before. */
static Oid
created_relid(const RangeVar *relation)
{
	return get_relname_relid(relation->relname, RangeVarGetCreationNamespace(relation));
}

static void
after_create(Oid relid)
{
	Relation rel;

	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return;

	rel = table_open(relid, NoLock);
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("foreign table \"%s\" cannot be temporary", RelationGetRelationName(rel)),
				 errhint("Use a temporary table, or a permanent foreign table.")));

	nvmkv_set_key_not_null(rel);

	/* In pg_upgrade the old cluster's catalogue comes along. */
	if (!IsBinaryUpgrade && nvmkv_engine_or_null() != NULL)
		nvmkv_table_new_storage(rel);
	table_close(rel, NoLock);
}

/* A new partition, ours or not, takes values away from the default one. */
static void
after_create_partition(Oid relid)
{
	CommandCounterIncrement();
	if (OidIsValid(relid) && get_rel_relispartition(relid))
		nvmkv_verify_partition(relid);
}

/* ---------------------------------------------------------------- rename */

/* Our tables whose columns the statement renames. */
static List *
renamed_tables(const RenameStmt *stmt)
{
	List *relids = NIL;
	Oid relid;
	ListCell *lc;

	if (stmt->renameType != OBJECT_COLUMN ||
		(stmt->relationType != OBJECT_TABLE && stmt->relationType != OBJECT_FOREIGN_TABLE))
		return NIL;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid))
		return NIL;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (nvmkv_is_our_relid(lfirst_oid(lc)))
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

static void
after_rename(const RenameStmt *stmt)
{
	ListCell *lc;

	/* The server has locked and changed all of them. */
	CommandCounterIncrement();
	foreach(lc, renamed_tables(stmt))
		nvmkv_rename_key_column(lfirst_oid(lc), stmt->subname, stmt->newname);
}

/* ---------------------------------------------------------------- domains */

static Oid
altered_domain(const AlterDomainStmt *stmt)
{
	return typenameTypeId(NULL, makeTypeNameFromNameList(stmt->typeName));
}

static void
after_alter_domain(const AlterDomainStmt *stmt)
{
	Oid domain = altered_domain(stmt);

	switch (stmt->subtype)
	{
		case 'O':
			CommandCounterIncrement();
			nvmkv_verify_domain_not_null(domain);
			break;
		case 'C':
			if (castNode(Constraint, stmt->def)->skip_validation)
				break;
			/* FALLTHROUGH */
		case 'V':
			CommandCounterIncrement();
			nvmkv_verify_domain_checks(domain);
			break;
		default:
			break;
	}
}

/* ---------------------------------------------------------------- copy to */

/* COPY t (a, b) TO as COPY (SELECT a, b FROM ONLY t) TO, in a copy of the statement: trees may be shared. */
static PlannedStmt *
rewrite_copy_to(PlannedStmt *pstmt)
{
	CopyStmt *stmt = castNode(CopyStmt, pstmt->utilityStmt);
	SelectStmt *select;
	RangeVar *from;
	Oid relid;
	Relation rel;
	ListCell *lc;

	if (stmt->is_from || stmt->relation == NULL)
		return pstmt;
	relid = RangeVarGetRelid(stmt->relation, AccessShareLock, true);
	if (!OidIsValid(relid) || !nvmkv_is_our_relid(relid))
		return pstmt;

	rel = table_open(relid, NoLock);
	select = makeNode(SelectStmt);
	foreach(lc, CopyGetAttnums(RelationGetDescr(rel), rel, stmt->attlist))
	{
		ColumnRef *column = makeNode(ColumnRef);
		ResTarget *target = makeNode(ResTarget);

		column->fields = list_make1(makeString(get_attname(relid, (AttrNumber) lfirst_int(lc), false)));
		column->location = -1;
		target->val = (Node *) column;
		target->location = -1;
		select->targetList = lappend(select->targetList, target);
	}
	from = makeRangeVar(get_namespace_name(RelationGetNamespace(rel)), pstrdup(RelationGetRelationName(rel)), -1);
	from->inh = false;
	select->fromClause = list_make1(from);
	table_close(rel, NoLock);

	pstmt = copyObject(pstmt);
	stmt = castNode(CopyStmt, pstmt->utilityStmt);
	stmt->relation = NULL;
	stmt->attlist = NIL;
	stmt->query = (Node *) select;
	return pstmt;
}

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
		(void) nvmkv_alter_begin((AlterTableStmt *) stmt);
	else if (IsA(stmt, RenameStmt) && renamed_tables((RenameStmt *) stmt) != NIL)
		nvmkv_engine_require_preload();
	else if (IsA(stmt, AlterDomainStmt) && nvmkv_domain_is_used(altered_domain((AlterDomainStmt *) stmt)))
		nvmkv_engine_require_preload();
	else
		nvmkv_guard_catalogue(stmt);
	return (Datum) 0;
}

/* ---------------------------------------------------------------- servers */

/* The tables of our server, if the statement gives its options; NIL: it has none, or is not ours. */
static List *
reoptioned_tables(const AlterForeignServerStmt *stmt, Oid *serverid_out)
{
	List *relids = NIL;
	ListCell *lc;

	*serverid_out = get_foreign_server_oid(stmt->servername, true);
	if (stmt->options == NIL || !OidIsValid(*serverid_out))
		return NIL;
	foreach(lc, nvmkv_our_relids())
	{
		if (GetForeignTable(lfirst_oid(lc))->serverid == *serverid_out)
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

static char *
family_of_server(Oid serverid)
{
	const char *name = nvmkv_option_string(GetForeignServer(serverid)->options, NVMKV_OPTION_COLUMN_FAMILY);

	return pstrdup(name != NULL ? name : NVMKV_FAMILY_DEFAULT_NAME);
}

/* Tables stay in the family they were made in: a later TRUNCATE must not take one to another. */
static void
after_alter_server(Oid serverid, const char *family, List *relids)
{
	CommandCounterIncrement();
	if (strcmp(family_of_server(serverid), family) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change option \"%s\" of server \"%s\" because it has foreign tables",
						NVMKV_OPTION_COLUMN_FAMILY, GetForeignServer(serverid)->servername),
				 errdetail("Foreign table \"%s\" is in column family \"%s\".", get_rel_name(linitial_oid(relids)), family),
				 errhint("Create another server with that column family.")));
}

/* ---------------------------------------------------------------- utility statements */

static void
next_process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
					 ParamListInfo params, QueryEnvironment *query_env, DestReceiver *dest,
					 QueryCompletion *completion)
{
	if (previous_process_utility != NULL)
		previous_process_utility(pstmt, query_string, read_only_tree, context, params, query_env, dest, completion);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context, params, query_env, dest, completion);
}

/* One table after the other, in the statement's order: the server locks what is not ours, and checks the statement. */
static void
lock_tables(PlannedStmt *pstmt, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
			ParamListInfo params, QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *completion)
{
	ListCell *lc;

	foreach(lc, castNode(LockStmt, pstmt->utilityStmt)->relations)
	{
		RangeVar *relation = lfirst_node(RangeVar, lc);
		PlannedStmt *single = copyObject(pstmt);
		LockStmt *stmt = castNode(LockStmt, single->utilityStmt);
		bool ours = nvmkv_lock_names_ours(relation);

		stmt->relations = ours ? NIL : list_make1(copyObject(relation));
		next_process_utility(single, query_string, read_only_tree, context, params, query_env, dest, completion);
		if (ours)
			nvmkv_lock_table(stmt, relation);
		else
			nvmkv_lock_under_view(stmt, relation);
	}
}

/* The arguments of next_process_utility. */
typedef struct UtilityCall
{
	PlannedStmt *pstmt;
	const char *query_string;
	bool read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *query_env;
	DestReceiver *dest;
	QueryCompletion *completion;
} UtilityCall;

static void
call_next(void *arg)
{
	const UtilityCall *c = arg;

	next_process_utility(c->pstmt, c->query_string, c->read_only_tree, c->context, c->params, c->query_env, c->dest,
						 c->completion);
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *completion)
{
	Node *stmt = pstmt->utilityStmt;
	List *alters = NIL;
	List *server_relids = NIL;
	Oid serverid = InvalidOid;
	char *family = NULL;
	bool existed = false;
	bool had_catalogue = false;

	if (IsA(stmt, AlterTableStmt))
		alters = nvmkv_alter_begin((AlterTableStmt *) stmt);
	else if (IsA(stmt, CopyStmt))
		pstmt = nvmkv_freeze_settle(rewrite_copy_to(pstmt));
	else if (nvmkv_could_harm_catalogue(stmt))
		had_catalogue = nvmkv_guard_catalogue(stmt);
	else if (IsA(stmt, AlterForeignServerStmt))
	{
		server_relids = reoptioned_tables((AlterForeignServerStmt *) stmt, &serverid);
		if (server_relids != NIL)
			family = family_of_server(serverid);
	}
	else if (IsA(stmt, CreateForeignTableStmt) && ((CreateForeignTableStmt *) stmt)->base.if_not_exists)
		existed = OidIsValid(created_relid(((CreateForeignTableStmt *) stmt)->base.relation));

	if (IsA(stmt, LockStmt) && nvmkv_lock_concerns_ours(castNode(LockStmt, stmt)))
		lock_tables(pstmt, query_string, read_only_tree, context, params, query_env, dest, completion);
	else if (IsA(stmt, CheckPointStmt))
	{
		UtilityCall call = {pstmt, query_string, read_only_tree, context, params, query_env, dest, completion};

		nvmkv_checkpoint_command(call_next, &call);
	}
	else
		next_process_utility(pstmt, query_string, read_only_tree, context, params, query_env, dest, completion);

	if (had_catalogue)
		nvmkv_require_catalogue();
	if (alters != NIL)
		nvmkv_alter_finish(alters);
	else if (family != NULL)
		after_alter_server(serverid, family, server_relids);
	else if (IsA(stmt, AlterDomainStmt))
		after_alter_domain((AlterDomainStmt *) stmt);
	else if (IsA(stmt, RenameStmt))
		after_rename((RenameStmt *) stmt);
	else if (IsA(stmt, CreateForeignTableStmt) && !existed)
		after_create(created_relid(((CreateForeignTableStmt *) stmt)->base.relation));

	/* Of either node: the one begins with the other. */
	if ((IsA(stmt, CreateStmt) || IsA(stmt, CreateForeignTableStmt)) && ((CreateStmt *) stmt)->partbound != NULL)
		after_create_partition(created_relid(((CreateStmt *) stmt)->relation));
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

static void
before_drop_table(Oid relid)
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

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (previous_object_access != NULL)
		previous_object_access(access, class_id, object_id, sub_id, arg);

	if (access == OAT_FUNCTION_EXECUTE)
		nvmkv_copy_before_function(object_id);
	if (access != OAT_DROP)
		return;
	if (class_id == DatabaseRelationId && nvmkv_engine_or_null() != NULL)
		(void) nvmkv_registry_drop_database(object_id);
	if (class_id != RelationRelationId)
		return;
	if (sub_id == 0 && object_id == nvmkv_catalog_relid())
		before_drop_catalog();
	else if (nvmkv_is_our_relid(object_id))
	{
		if (sub_id == 0)
			before_drop_table(object_id);
		else
			before_drop_column(object_id, (AttrNumber) sub_id);
	}
}

/* ---------------------------------------------------------------- truncate */

void
nvmkvExecForeignTruncate(List *rels, DropBehavior behavior, bool restart_seqs)
{
	ListCell *lc;

	foreach(lc, rels)
	{
		Relation rel = lfirst(lc);

		CheckTableForSerializableConflictIn(rel);
		nvmkv_table_new_storage(rel);
		nvmkv_freeze_note_truncated(RelationGetRelid(rel));
	}
}

void
nvmkv_ddl_init(void)
{
	nvmkv_freeze_init();
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	previous_object_access = object_access_hook;
	object_access_hook = object_access;
}
