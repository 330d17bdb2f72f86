/*
 * utility.h
 *	  The hook on utility statements.
 */
#ifndef NVMKV_FDW_UTILITY_H
#define NVMKV_FDW_UTILITY_H

#include "postgres.h"

#include "nodes/plannodes.h"
#include "tcop/utility.h"

/* A statement on its way: the arguments of ProcessUtility. */
typedef struct NvmkvUtility
{
	PlannedStmt *pstmt; /* the tree may be shared: who changes it makes a copy */
	const char *query_string;
	bool read_only_tree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *query_env;
	DestReceiver *dest;
	QueryCompletion *completion;
} NvmkvUtility;

/* The statement's way without us: the hook that was there before, or the server. */
extern void nvmkv_utility_next(const NvmkvUtility *call);

/* The same for another statement in place of it. */
extern void nvmkv_utility_next_with(const NvmkvUtility *call, Node *stmt);

/* Runs a statement that another one consists of, as the server does: through all hooks, and sees what it has done. */
extern void nvmkv_utility_run(const NvmkvUtility *call, Node *stmt);

/*
 * Runs step(call, arg) as the server runs a statement that makes or changes objects: refused where it would be, with
 * event triggers around it.  What step runs itself has to have the context PROCESS_UTILITY_SUBCOMMAND, as its call
 * has, so that triggers fire once.
 */
typedef void (*NvmkvUtilityStep) (const NvmkvUtility *call, void *arg);
extern void nvmkv_utility_as_ddl(const NvmkvUtility *call, NvmkvUtilityStep step, void *arg);

/* Installs the hook; when the library is loaded. */
extern void nvmkv_utility_init(void);

#endif
