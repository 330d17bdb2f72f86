/*
 * utility.c
 *	  The hook on utility statements.
 *
 * What concerns our tables is recognized here, and handed to who knows what to
 * do before, after or in place of what the server does: CREATE TABLE, CREATE
 * FOREIGN TABLE, CREATE TABLE AS and DROP TABLE of ours are executed
 * (createtable.c, create.c, createas.c, droptable.c), so are CREATE INDEX and
 * constraints that are indexes (alterindex.c), ALTER TABLE is looked at before and
 * after (alter.c), SET ACCESS METHOD makes one kind of table of the other
 * (migrate.c), foreign keys are added with the server's help (foreignkey.c),
 * ALTER DOMAIN is looked at after, a renamed key column is renamed in the option
 * (rename.c), COPY t TO becomes COPY (SELECT) TO (copyto.c), FREEZE is settled
 * (copyfreeze.c), nvmkv.storage is guarded (guard.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "tcop/utility.h"

#include "fdw/ddl/addcolumn.h"
#include "fdw/ddl/alter.h"
#include "fdw/ddl/alterindex.h"
#include "fdw/ddl/alterserver.h"
#include "fdw/ddl/alterstorage.h"
#include "fdw/ddl/altertype.h"
#include "fdw/ddl/checkpoint.h"
#include "fdw/ddl/copyfreeze.h"
#include "fdw/ddl/copyto.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/createas.h"
#include "fdw/ddl/createtable.h"
#include "fdw/ddl/droptable.h"
#include "fdw/ddl/foreignkey.h"
#include "fdw/ddl/foreignkeypart.h"
#include "fdw/ddl/guard.h"
#include "fdw/ddl/kindword.h"
#include "fdw/ddl/locktable.h"
#include "fdw/ddl/migrate.h"
#include "fdw/ddl/partindex.h"
#include "fdw/ddl/reindex.h"
#include "fdw/ddl/rename.h"
#include "fdw/ddl/statement.h"
#include "fdw/ddl/utility.h"
#include "fdw/ddl/verify.h"
#include "fdw/table/table.h"
#include "fdw/ddl/vacuum.h"

static ProcessUtility_hook_type previous_process_utility = NULL;

/* NvmkvStatement.next */
static void
next_utility(const NvmkvStatement *statement)
{
	ProcessUtility_hook_type next = previous_process_utility;

	if (next == NULL)
		next = standard_ProcessUtility;
	next(statement->pstmt, statement->query_string, statement->read_only_tree, statement->context, statement->params,
		 statement->query_env, statement->dest, statement->completion);
}

/* ---------------------------------------------------------------- statements */

/* One table after the other, in the statement's order: the server locks what is not ours, and checks the statement. */
static void
lock_tables(const NvmkvStatement *statement)
{
	ListCell *lc;

	foreach(lc, castNode(LockStmt, statement->pstmt->utilityStmt)->relations)
	{
		RangeVar *relation = lfirst_node(RangeVar, lc);
		NvmkvStatement single = *statement;
		LockStmt *stmt;
		bool ours = nvmkv_lock_names_ours(relation);

		single.pstmt = copyObject(statement->pstmt);
		single.read_only_tree = false;
		stmt = castNode(LockStmt, single.pstmt->utilityStmt);
		stmt->relations = ours ? NIL : list_make1(copyObject(relation));
		next_utility(&single);
		if (ours)
			nvmkv_lock_table(stmt, relation);
		else
			nvmkv_lock_under_view(stmt, relation);
	}
}

static void
call_next(void *arg)
{
	next_utility(arg);
}

/* The server gives indexes of other tables the new owner. */
static void
follow_owner(const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->cmds)
	{
		Oid relid;

		if (lfirst_node(AlterTableCmd, lc)->subtype != AT_ChangeOwner)
			continue;
		relid = RangeVarGetRelid(stmt->relation, NoLock, true);
		if (OidIsValid(relid) && nvmkv_is_our_relid(relid))
		{
			CommandCounterIncrement();
			nvmkv_indexes_follow_owner(relid);
		}
	}
}

/* As parts of one statement: event triggers are called when all is done. */
static void
alter_ours(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);

	nvmkv_take_using(castNode(AlterTableStmt, rest.pstmt->utilityStmt));
	next_utility(&rest);
	nvmkv_alter_finish(arg, statement);
}

static void alter_table(const NvmkvStatement *statement);

static void
alter_in_turn(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	NvmkvStatement rest = nvmkv_statement_rest(statement);
	AlterTableStmt *first = castNode(AlterTableStmt, rest.pstmt->utilityStmt);
	List *later = nvmkv_take_later_defaults(first);

	alter_table(&rest);
	CommandCounterIncrement();
	rest = nvmkv_statement_rest(statement);
	castNode(AlterTableStmt, rest.pstmt->utilityStmt)->cmds = later;
	alter_table(&rest);
}

static void
alter_table(const NvmkvStatement *statement)
{
	const AlterTableStmt *stmt = castNode(AlterTableStmt, statement->pstmt->utilityStmt);
	NvmkvAlter *alter;

	if (nvmkv_has_later_defaults(stmt) &&
		nvmkv_our_tables_below(RangeVarGetRelid(stmt->relation, NoLock, true)) != NIL)
	{
		nvmkv_statement_execute(statement, alter_in_turn, NULL);
		return;
	}
	alter = nvmkv_alter_begin(stmt, statement->query_string);

	if (alter == NULL)
		next_utility(statement);
	else
		nvmkv_statement_execute(statement, alter_ours, alter);
	follow_owner(castNode(AlterTableStmt, statement->pstmt->utilityStmt));
}

static void
add_indexes(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	nvmkv_add_indexes(statement, alter_table);
}

static void
alter_indexes(const NvmkvStatement *statement)
{
	if (nvmkv_adds_index(castNode(AlterTableStmt, statement->pstmt->utilityStmt)))
		nvmkv_statement_execute(statement, add_indexes, NULL);
	else if (!nvmkv_index_partitions(statement) && !nvmkv_attach_partition(statement, alter_table))
		alter_table(statement);
}

static void
alter_table_with_indexes(const NvmkvStatement *statement)
{
	if (!nvmkv_alter_partition_keys(statement, alter_indexes))
		alter_indexes(statement);
}

static void
alter_foreign_keys(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	nvmkv_alter_foreign_keys(statement, alter_table_with_indexes);
}

static void
alter_server(const NvmkvStatement *statement)
{
	Oid serverid;
	List *relids = nvmkv_reoptioned_tables(castNode(AlterForeignServerStmt, statement->pstmt->utilityStmt), &serverid);
	char *family = relids != NIL ? nvmkv_family_of_server(serverid) : NULL;

	next_utility(statement);
	if (family != NULL)
		nvmkv_alter_server_finish(serverid, family, relids);
}

/* Foreign keys that the new partition, if it is one, has to get from its parent. */
static List *
find_inherited_keys(const CreateStmt *stmt, Oid *parent_out)
{
	List *keys;

	if (stmt->partbound == NULL)
		return NIL;
	*parent_out = RangeVarGetRelid(linitial_node(RangeVar, stmt->inhRelations), NoLock, true);
	if (!OidIsValid(*parent_out))
		return NIL;
	keys = nvmkv_keys_to_inherit(*parent_out, nvmkv_makes_our_table(stmt));

	/* IF NOT EXISTS, or it will be refused. */
	return keys != NIL && !OidIsValid(nvmkv_created_relid(stmt->relation)) ? keys : NIL;
}

/* Of either node: the one begins with the other. */
static void
create_table(NvmkvStatement *statement)
{
	const CreateStmt *stmt = (const CreateStmt *) statement->pstmt->utilityStmt;
	bool foreign = IsA(stmt, CreateForeignTableStmt);
	Oid parent = InvalidOid;
	List *keys = find_inherited_keys(stmt, &parent);
	List *hidden = keys != NIL ? nvmkv_hide_foreign_keys(parent, keys) : NIL;

	if (!(foreign ? nvmkv_create_foreign_table(statement) : nvmkv_create_table(statement)))
		next_utility(statement);
	if (stmt->partbound != NULL)
		nvmkv_create_partition_finish(nvmkv_created_relid(stmt->relation));
	if (keys != NIL)
	{
		nvmkv_show_foreign_keys(parent, hidden);
		nvmkv_inherit_foreign_keys(statement, parent, nvmkv_created_relid(stmt->relation), keys, false);
	}
}

/* Tables may have got another owner. */
static void
reassign_finish(void)
{
	ListCell *lc;

	CommandCounterIncrement();
	foreach(lc, nvmkv_our_relids())
		nvmkv_indexes_follow_owner(lfirst_oid(lc));
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *completion)
{
	NvmkvStatement statement = {pstmt, query_string, read_only_tree, context, params,
								query_env, dest, completion, next_utility};
	Node *stmt = pstmt->utilityStmt;
	bool had_catalogue = nvmkv_could_harm_catalogue(stmt) && nvmkv_guard_catalogue(stmt);
	Oid settled;

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			if (nvmkv_set_access_method(&statement))
				break;
			statement.pstmt = nvmkv_settle_storage(pstmt, &settled);
			if (nvmkv_concerns_foreign_key(castNode(AlterTableStmt, stmt)))
				nvmkv_statement_execute(&statement, alter_foreign_keys, NULL);
			else
				alter_table_with_indexes(&statement);
			if (OidIsValid(settled))
				nvmkv_settle_storage_finish(castNode(AlterTableStmt, stmt), settled);
			break;
		case T_IndexStmt:
			if (!nvmkv_create_index(&statement) && !nvmkv_index_partitions(&statement))
				next_utility(&statement);
			break;
		case T_ReindexStmt:
			if (!nvmkv_reindex(&statement))
				next_utility(&statement);
			break;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			create_table(&statement);
			break;
		case T_CreateTableAsStmt:
		case T_ExplainStmt:
			if (!nvmkv_create_as(&statement))
				next_utility(&statement);
			break;
		case T_DropStmt:
			statement.pstmt = nvmkv_settle_drop_index(pstmt, context == PROCESS_UTILITY_TOPLEVEL);
			if (!nvmkv_drop_tables(&statement))
				next_utility(&statement);
			break;
		case T_VacuumStmt:
			if (!nvmkv_vacuum(&statement))
				next_utility(&statement);
			break;
		case T_CommentStmt:
		case T_SecLabelStmt:
		case T_AlterExtensionContentsStmt:
			statement.pstmt = nvmkv_settle_kind_word(pstmt);
			next_utility(&statement);
			break;
		case T_ReassignOwnedStmt:
			next_utility(&statement);
			reassign_finish();
			break;
		case T_RenameStmt:
			next_utility(&statement);
			nvmkv_rename_finish(castNode(RenameStmt, stmt));
			break;
		case T_AlterDomainStmt:
			next_utility(&statement);
			nvmkv_alter_domain_finish(castNode(AlterDomainStmt, stmt));
			break;
		case T_AlterForeignServerStmt:
			alter_server(&statement);
			break;
		case T_CopyStmt:
			statement.pstmt = nvmkv_freeze_settle(nvmkv_rewrite_copy_to(pstmt));
			next_utility(&statement);
			break;
		case T_LockStmt:
			if (nvmkv_lock_concerns_ours(castNode(LockStmt, stmt)))
				lock_tables(&statement);
			else
				next_utility(&statement);
			break;
		case T_CheckPointStmt:
			nvmkv_checkpoint_command(call_next, &statement);
			break;
		default:
			next_utility(&statement);
			break;
	}
	if (had_catalogue)
		nvmkv_require_catalogue();
}

void
nvmkv_utility_init(void)
{
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
