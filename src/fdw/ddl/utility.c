/*
 * utility.c
 *	  The hook on utility statements.
 *
 * What concerns our tables is recognized here, and handed to who knows what to
 * do before, after or in place of what the server does: a new table gets its
 * storage (create.c), ALTER TABLE is looked at before and after (alter.c), ALTER
 * DOMAIN after, a renamed key column is renamed in the option (rename.c), COPY t
 * TO becomes COPY (SELECT) TO (copyto.c), FREEZE is settled (copyfreeze.c),
 * nvmkv.storage is guarded (guard.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/event_trigger.h"
#include "miscadmin.h"

#include "fdw/ddl/alter.h"
#include "fdw/ddl/alterserver.h"
#include "fdw/ddl/checkpoint.h"
#include "fdw/ddl/copyfreeze.h"
#include "fdw/ddl/copyto.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/guard.h"
#include "fdw/ddl/locktable.h"
#include "fdw/ddl/rename.h"
#include "fdw/ddl/utility.h"

static ProcessUtility_hook_type previous_process_utility = NULL;

/* ---------------------------------------------------------------- on its way */

void
nvmkv_utility_next(const NvmkvUtility *call)
{
	ProcessUtility_hook_type next = previous_process_utility;

	if (next == NULL)
		next = standard_ProcessUtility;
	next(call->pstmt, call->query_string, call->read_only_tree, call->context, call->params, call->query_env,
		 call->dest, call->completion);
}

/* The statement wrapped as the one that it stands for. */
static PlannedStmt *
wrap(const PlannedStmt *pstmt, Node *stmt)
{
	PlannedStmt *wrapper = makeNode(PlannedStmt);

	wrapper->commandType = CMD_UTILITY;
	wrapper->canSetTag = pstmt->canSetTag;
	wrapper->utilityStmt = stmt;
	wrapper->stmt_location = pstmt->stmt_location;
	wrapper->stmt_len = pstmt->stmt_len;
	return wrapper;
}

void
nvmkv_utility_next_with(const NvmkvUtility *call, Node *stmt)
{
	NvmkvUtility other = *call;

	other.pstmt = wrap(call->pstmt, stmt);
	other.read_only_tree = false;
	nvmkv_utility_next(&other);
}

void
nvmkv_utility_run(const NvmkvUtility *call, Node *stmt)
{
	PlannedStmt *wrapper = wrap(call->pstmt, stmt);

	wrapper->canSetTag = false;
	ProcessUtility(wrapper, call->query_string, false, PROCESS_UTILITY_SUBCOMMAND, call->params, NULL, None_Receiver,
				   NULL);
	CommandCounterIncrement();
}

void
nvmkv_utility_as_ddl(const NvmkvUtility *call, NvmkvUtilityStep step, void *arg)
{
	bool complete = call->context != PROCESS_UTILITY_SUBCOMMAND;
	const char *name = CreateCommandName(call->pstmt->utilityStmt);
	NvmkvUtility inner = *call;
	bool needs_end;

	if (XactReadOnly)
		PreventCommandIfReadOnly(name);
	PreventCommandIfParallelMode(name);
	PreventCommandDuringRecovery(name);

	inner.context = PROCESS_UTILITY_SUBCOMMAND;
	needs_end = complete && EventTriggerBeginCompleteQuery();
	PG_TRY();
	{
		if (complete)
			EventTriggerDDLCommandStart(call->pstmt->utilityStmt);
		step(&inner, arg);
		if (complete)
		{
			EventTriggerSQLDrop(call->pstmt->utilityStmt);
			EventTriggerDDLCommandEnd(call->pstmt->utilityStmt);
		}
	}
	PG_FINALLY();
	{
		if (needs_end)
			EventTriggerEndCompleteQuery();
	}
	PG_END_TRY();
}

/* ---------------------------------------------------------------- statements */

/* One table after the other, in the statement's order: the server locks what is not ours, and checks the statement. */
static void
lock_tables(const NvmkvUtility *call)
{
	ListCell *lc;

	foreach(lc, castNode(LockStmt, call->pstmt->utilityStmt)->relations)
	{
		RangeVar *relation = lfirst_node(RangeVar, lc);
		LockStmt *stmt = copyObject(castNode(LockStmt, call->pstmt->utilityStmt));
		bool ours = nvmkv_lock_names_ours(relation);

		stmt->relations = ours ? NIL : list_make1(copyObject(relation));
		nvmkv_utility_next_with(call, (Node *) stmt);
		if (ours)
			nvmkv_lock_table(stmt, relation);
		else
			nvmkv_lock_under_view(stmt, relation);
	}
}

static void
call_next(void *arg)
{
	nvmkv_utility_next(arg);
}

static void
alter_table(const NvmkvUtility *call)
{
	List *alters = nvmkv_alter_begin(castNode(AlterTableStmt, call->pstmt->utilityStmt));

	nvmkv_utility_next(call);
	if (alters != NIL)
		nvmkv_alter_finish(alters);
}

static void
alter_server(const NvmkvUtility *call)
{
	Oid serverid;
	List *relids = nvmkv_reoptioned_tables(castNode(AlterForeignServerStmt, call->pstmt->utilityStmt), &serverid);
	char *family = relids != NIL ? nvmkv_family_of_server(serverid) : NULL;

	nvmkv_utility_next(call);
	if (family != NULL)
		nvmkv_alter_server_finish(serverid, family, relids);
}

/* Of either kind: the one node begins with the other. */
static void
create_table(const NvmkvUtility *call)
{
	const CreateStmt *stmt = (const CreateStmt *) call->pstmt->utilityStmt;
	bool foreign = IsA(stmt, CreateForeignTableStmt);
	bool existed = foreign && stmt->if_not_exists && OidIsValid(nvmkv_created_relid(stmt->relation));

	nvmkv_utility_next(call);
	if (foreign && !existed)
		nvmkv_create_finish(nvmkv_created_relid(stmt->relation));
	if (stmt->partbound != NULL)
		nvmkv_create_partition_finish(nvmkv_created_relid(stmt->relation));
}

static void
process_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *query_env, DestReceiver *dest, QueryCompletion *completion)
{
	NvmkvUtility call = {pstmt, query_string, read_only_tree, context, params, query_env, dest, completion};
	Node *stmt = pstmt->utilityStmt;
	bool had_catalogue = nvmkv_could_harm_catalogue(stmt) && nvmkv_guard_catalogue(stmt);

	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			alter_table(&call);
			break;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			create_table(&call);
			break;
		case T_RenameStmt:
			nvmkv_utility_next(&call);
			nvmkv_rename_finish(castNode(RenameStmt, stmt));
			break;
		case T_AlterDomainStmt:
			nvmkv_utility_next(&call);
			nvmkv_alter_domain_finish(castNode(AlterDomainStmt, stmt));
			break;
		case T_AlterForeignServerStmt:
			alter_server(&call);
			break;
		case T_CopyStmt:
			call.pstmt = nvmkv_freeze_settle(nvmkv_rewrite_copy_to(pstmt));
			nvmkv_utility_next(&call);
			break;
		case T_LockStmt:
			if (nvmkv_lock_concerns_ours(castNode(LockStmt, stmt)))
				lock_tables(&call);
			else
				nvmkv_utility_next(&call);
			break;
		case T_CheckPointStmt:
			nvmkv_checkpoint_command(call_next, &call);
			break;
		default:
			nvmkv_utility_next(&call);
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
