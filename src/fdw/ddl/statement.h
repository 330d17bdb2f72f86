/*
 * statement.h
 *	  A utility statement on its way through our hook, and one that is executed
 *	  here in place of the server.
 */
#ifndef NVMKV_FDW_DDL_STATEMENT_H
#define NVMKV_FDW_DDL_STATEMENT_H

#include "postgres.h"

#include "tcop/utility.h"

/* The arguments of the hook. */
typedef struct NvmkvStatement
{
	PlannedStmt *pstmt;
	const char *query_string;
	bool read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *query_env;
	DestReceiver *dest;
	QueryCompletion *completion;
	void (*next) (const struct NvmkvStatement *statement); /* the next hook, or the server */
} NvmkvStatement;

/*
 * Executes a statement that makes, changes or drops something: body(stmt, arg), with what the server does around each
 * such statement - it is refused where nothing may be written, event triggers are called before and after (if the
 * server has them for such statements: of REINDEX from 17 on), what body drops or collects
 * (EventTriggerCollectSimpleCommand) is theirs to see, and what it has made can be seen at the end.
 */
extern void nvmkv_statement_execute(const NvmkvStatement *statement,
									void (*body) (const NvmkvStatement *statement, Node *stmt, void *arg), void *arg);

/* A copy of the statement, to be changed and executed as a part of it: event triggers are called for the whole. */
extern NvmkvStatement nvmkv_statement_rest(const NvmkvStatement *statement);

/* Executes a statement that is part of this one, and makes its effects visible. */
extern void nvmkv_statement_part(const NvmkvStatement *statement, Node *part);

#endif
