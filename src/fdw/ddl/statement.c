/*
 * statement.c
 *	  A utility statement that is executed here in place of the server.
 *
 * This follows standard_ProcessUtility() and ProcessUtilitySlow().
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/event_trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/cmdtag.h"

#include "fdw/ddl/statement.h"

static void
prevent_where_nothing_is_written(Node *stmt)
{
	const char *name = GetCommandTagName(CreateCommandTag(stmt));

	PreventCommandIfReadOnly(name);
	PreventCommandIfParallelMode(name);
	PreventCommandDuringRecovery(name);
}

void
nvmkv_statement_execute(const NvmkvStatement *statement,
						void (*body) (const NvmkvStatement *statement, Node *stmt, void *arg), void *arg)
{
	PlannedStmt *pstmt = statement->read_only_tree ? copyObject(statement->pstmt) : statement->pstmt;
	Node *stmt = pstmt->utilityStmt;
	bool told = statement->context != PROCESS_UTILITY_SUBCOMMAND &&
		command_tag_event_trigger_ok(CreateCommandTag(stmt));
	bool triggers;

	check_stack_depth();
	prevent_where_nothing_is_written(stmt);
	triggers = told && EventTriggerBeginCompleteQuery();
	PG_TRY();
	{
		if (told)
			EventTriggerDDLCommandStart(stmt);
		body(statement, stmt, arg);
		if (told)
		{
			EventTriggerSQLDrop(stmt);
			EventTriggerDDLCommandEnd(stmt);
		}
	}
	PG_FINALLY();
	{
		if (triggers)
			EventTriggerEndCompleteQuery();
	}
	PG_END_TRY();
	CommandCounterIncrement();
}

NvmkvStatement
nvmkv_statement_rest(const NvmkvStatement *statement)
{
	NvmkvStatement rest = *statement;

	rest.pstmt = copyObject(statement->pstmt);
	rest.read_only_tree = false;
	rest.context = PROCESS_UTILITY_SUBCOMMAND;
	return rest;
}

void
nvmkv_statement_part(const NvmkvStatement *statement, Node *part)
{
	PlannedStmt *wrapper = makeNode(PlannedStmt);

	wrapper->commandType = CMD_UTILITY;
	wrapper->canSetTag = false;
	wrapper->utilityStmt = part;
	wrapper->stmt_location = statement->pstmt->stmt_location;
	wrapper->stmt_len = statement->pstmt->stmt_len;
	ProcessUtility(wrapper, statement->query_string, false, PROCESS_UTILITY_SUBCOMMAND, statement->params, NULL,
				   None_Receiver, NULL);
	CommandCounterIncrement();
}
