/*
 * nvmkv_upstream.c
 *	  For tests only: what is written as CREATE TABLE becomes an nvmkv table.
 *
 * PostgreSQL's own tests are written for heap tables.  With this library loaded
 * after nvmkv_fdw they run as they are: CREATE TABLE, CREATE TABLE AS and SELECT
 * INTO make foreign tables, a primary key becomes the option; DROP, COMMENT and
 * SECURITY LABEL, which want to be told the kind of what they are about, are told.
 *
 * A table stays a heap table where
 *	 - the statement says so: TEMPORARY, UNLOGGED, PARTITION BY, OF type;
 *	 - the foreign table cannot be made, and the heap table can;
 *	 - upstream.heap_tables names it: lines "suite/test reason table...", for tables
 *	   of which something later is asked that a foreign table cannot do.
 * An index that is not unique is left out, and so are storage parameters, of CREATE
 * and of ALTER TABLE.
 *
 * Each of these decisions is a line of the server's log, "upstream: ...", with
 * the test it was made in, by which test/upstream/compare.pl tells why something is as it is.
 * The test's name is in application_name: pg_regress and isolationtester set it.
 *
 * upstream.convert = off leaves everything as it is written.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "storage/fd.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

PG_MODULE_MAGIC;

void _PG_init(void);

static ProcessUtility_hook_type next_process_utility = NULL;
static bool convert_tables = true;
static char *heap_tables_file = NULL;
static bool converting = false; /* statements of our own, not to be converted */

/* What an attempt has to say to the client is kept back until it is known that it succeeds. */
static emit_log_hook_type next_emit_log = NULL;
static bool attempting = false;
static List *kept_back = NIL;

/* What ProcessUtility was called with. */
typedef struct Call
{
	PlannedStmt *pstmt;
	const char *query;
	bool read_only;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *env;
	DestReceiver *dest;
	QueryCompletion *qc;
} Call;

/* "regress/name" or "isolation/name" */
static const char *
current_test(void)
{
	static char name[128];
	const char *set = application_name;
	const char *slash;

	if (set == NULL)
		return "?";
	if (strncmp(set, "pg_regress/", 11) == 0)
		snprintf(name, sizeof(name), "regress/%s", set + 11);
	else if (strncmp(set, "isolation/", 10) == 0 && (slash = strchr(set + 10, '/')) != NULL)
		snprintf(name, sizeof(name), "%.*s", (int)(slash - set), set);
	else
		strlcpy(name, set, sizeof(name));
	return name;
}

static void
note(const char *what, const char *table, const char *why)
{
	ereport(LOG_SERVER_ONLY, (errmsg("upstream: %s %s %s: %s", current_test(), what, table, why), errhidestmt(true),
							  errhidecontext(true)));
}

/* Is the table one of those that are to stay? */
static bool
is_heap_table(const char *table)
{
	char line[1024];
	char *save;
	char *word;
	bool found = false;
	FILE *in;

	if (heap_tables_file == NULL || heap_tables_file[0] == '\0')
		return false;
	in = AllocateFile(heap_tables_file, "r");
	if (in == NULL)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open \"%s\": %m", heap_tables_file)));
	while (!found && fgets(line, sizeof(line), in) != NULL)
	{
		word = strtok_r(line, " \t\n", &save);
		if (word == NULL || strcmp(word, current_test()) != 0 || strtok_r(NULL, " \t\n", &save) == NULL)
			continue;
		while (!found && (word = strtok_r(NULL, " \t\n", &save)) != NULL)
			found = strcmp(word, table) == 0;
	}
	FreeFile(in);
	return found;
}

static void
run(const Call *call, Node *statement)
{
	PlannedStmt *pstmt = call->pstmt;

	if (statement != pstmt->utilityStmt)
	{
		pstmt = copyObject(pstmt);
		pstmt->utilityStmt = statement;
	}
	if (next_process_utility)
		next_process_utility(pstmt, call->query, call->read_only, call->context, call->params, call->env, call->dest,
							 call->qc);
	else
		standard_ProcessUtility(pstmt, call->query, call->read_only, call->context, call->params, call->env,
								call->dest, call->qc);
}

/* Messages get here only if they go to the log: the tests' servers have log_min_messages = notice. */
static void
upstream_emit_log(ErrorData *edata)
{
	if (attempting && edata->elevel < ERROR && edata->output_to_client)
	{
		MemoryContext context = MemoryContextSwitchTo(TopTransactionContext);

		kept_back = lappend(kept_back, CopyErrorData());
		edata->output_to_client = false;
		MemoryContextSwitchTo(context);
	}
	if (next_emit_log)
		next_emit_log(edata);
}

/*
 * Runs "work" so that its failure costs nothing: false, with the error's message,
 * if it failed.
 */
static bool
attempt(void (*work)(void *), void *argument, char **message)
{
	ListCell *cell;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	kept_back = NIL;
	attempting = true;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(argument);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		*message = error->message;
	}
	PG_END_TRY();
	attempting = false;
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (done)
	{
		foreach (cell, kept_back)
			ThrowErrorData(lfirst(cell));
	}
	return done;
}

/* ------------------------------------------------------------ CREATE TABLE */

static ColumnDef *
find_column(CreateStmt *stmt, const char *name)
{
	ListCell *cell;

	foreach (cell, stmt->tableElts)
	{
		ColumnDef *column = lfirst(cell);

		if (IsA(column, ColumnDef) && strcmp(column->colname, name) == 0)
			return column;
	}
	return NULL;
}

static bool
is_not_null(const ColumnDef *column)
{
	ListCell *cell;

	if (column->is_not_null)
		return true;
	foreach (cell, column->constraints)
		if (((Constraint *)lfirst(cell))->contype == CONSTR_NOTNULL)
			return true;
	return false;
}

/*
 * Takes the constraint of this kind out of the statement and returns its columns,
 * NIL if there is none.  Of UNIQUE only one whose columns are all NOT NULL: it says
 * what a primary key says.
 */
static List *
take_key(CreateStmt *stmt, ConstrType kind)
{
	ListCell *cell;
	ListCell *inner;

	foreach (cell, stmt->tableElts)
	{
		ColumnDef *column = lfirst(cell);
		Constraint *constraint = lfirst(cell);

		if (IsA(column, ColumnDef))
		{
			foreach (inner, column->constraints)
			{
				constraint = lfirst(inner);
				if (constraint->contype != kind || lnext(column->constraints, inner) != NULL)
					continue; /* DEFERRABLE would come behind it */
				if (kind == CONSTR_UNIQUE && (!is_not_null(column) || constraint->nulls_not_distinct))
					continue;
				column->constraints = foreach_delete_current(column->constraints, inner);
				column->is_not_null = true;
				return list_make1(makeString(column->colname));
			}
		}
		else if (IsA(constraint, Constraint) && constraint->contype == kind && !constraint->deferrable &&
				 constraint->including == NIL && constraint->indexname == NULL && !constraint->nulls_not_distinct)
		{
			bool usable = true;

			foreach (inner, constraint->keys)
			{
				column = find_column(stmt, strVal(lfirst(inner)));
				if (kind == CONSTR_UNIQUE && (column == NULL || !is_not_null(column)))
					usable = false;
			}
			if (!usable)
				continue;
			foreach (inner, constraint->keys)
				if ((column = find_column(stmt, strVal(lfirst(inner)))) != NULL)
					column->is_not_null = true;
			stmt->tableElts = foreach_delete_current(stmt->tableElts, cell);
			return constraint->keys;
		}
	}
	return NIL;
}

static CreateForeignTableStmt *
foreign_statement(CreateStmt *heap)
{
	CreateForeignTableStmt *foreign = makeNode(CreateForeignTableStmt);
	CreateStmt *base = copyObject(heap);
	List *key = take_key(base, CONSTR_PRIMARY);

	if (key == NIL)
		key = take_key(base, CONSTR_UNIQUE);
	base->options = NIL;
	base->tablespacename = NULL;
	base->accessMethod = NULL;
	foreign->base = *base;
	foreign->base.type = T_CreateForeignTableStmt;
	foreign->servername = pstrdup("nvmkv");
	if (key != NIL)
	{
		StringInfoData text;
		ListCell *cell;

		initStringInfo(&text);
		foreach (cell, key)
			appendStringInfo(&text, "%s%s", text.len ? ", " : "", quote_identifier(strVal(lfirst(cell))));
		foreign->options = list_make1(makeDefElem(pstrdup("primary_key"), (Node *)makeString(text.data), -1));
	}
	return foreign;
}

typedef struct Creation
{
	const Call *call;
	Node *statement;
} Creation;

static void
run_creation(void *argument)
{
	Creation *creation = argument;

	run(creation->call, creation->statement);
}

static bool
has_oids(CreateStmt *stmt)
{
	ListCell *cell;

	foreach (cell, stmt->options)
		if (strcmp(((DefElem *)lfirst(cell))->defname, "oids") == 0)
			return true;
	return false;
}

static void
create_table(const Call *call, CreateStmt *stmt)
{
	Creation creation = {call, NULL};
	char *message = NULL;
	const char *table = stmt->relation->relname;
	const char *stays = NULL;

	if (stmt->relation->relpersistence == RELPERSISTENCE_TEMP ||
		isTempNamespace(RangeVarGetCreationNamespace(stmt->relation)))
		stays = "temporary";
	else if (stmt->relation->relpersistence == RELPERSISTENCE_UNLOGGED)
		stays = "unlogged";
	else if (stmt->partspec)
		stays = "partitioned";
	else if (stmt->ofTypename)
		stays = "of a type";
	else if (has_oids(stmt))
	{
		run(call, call->pstmt->utilityStmt); /* it says what has become of them */
		return;
	}
	else if (is_heap_table(table))
		stays = "listed";
	if (stays == NULL)
	{
		creation.statement = (Node *)foreign_statement(stmt);
		if (attempt(run_creation, &creation, &message))
		{
			note("converted", table, "");
			return;
		}
		stays = message;
	}
	run(call, call->pstmt->utilityStmt);
	note("heap", table, stays);
}

/* ---------------------------------------------- CREATE TABLE AS, SELECT INTO */

static void
execute(const char *command)
{
	if (SPI_execute(command, false, 0) < 0)
		elog(ERROR, "could not execute \"%s\"", command);
}

/* A foreign table in place of the heap table "argument" points to the Oid of. */
static void
replace_by_foreign(void *argument)
{
	Oid oid = *(Oid *)argument;
	Relation rel = relation_open(oid, AccessExclusiveLock);
	TupleDesc desc = RelationGetDescr(rel);
	char *name = pstrdup(quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
													RelationGetRelationName(rel)));
	const char *aside = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), "upstream_aside");
	StringInfoData create;
	int i;

	initStringInfo(&create);
	appendStringInfo(&create, "CREATE FOREIGN TABLE %s (", name);
	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		appendStringInfo(&create, "%s%s %s", i ? ", " : "", quote_identifier(NameStr(column->attname)),
						 format_type_extended(column->atttypid, column->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		if (OidIsValid(column->attcollation) && column->attcollation != get_typcollation(column->atttypid))
			appendStringInfo(&create, " COLLATE %s",
							 quote_qualified_identifier("pg_catalog", get_collation_name(column->attcollation)));
	}
	appendStringInfoString(&create, ") SERVER nvmkv");
	relation_close(rel, NoLock);

	SPI_connect();
	execute(psprintf("ALTER TABLE %s RENAME TO upstream_aside", name));
	execute(create.data);
	execute(psprintf("INSERT INTO %s SELECT * FROM %s", name, aside));
	execute(psprintf("DROP TABLE %s", aside));
	SPI_finish();
}

static void
create_table_as(const Call *call, CreateTableAsStmt *stmt)
{
	RangeVar *into = stmt->into->rel;
	char *message = NULL;
	bool existed;
	bool done;
	Oid oid;

	existed = OidIsValid(RangeVarGetRelid(into, NoLock, true));
	run(call, call->pstmt->utilityStmt);
	CommandCounterIncrement();
	oid = RangeVarGetRelid(into, NoLock, true);
	if (existed || !OidIsValid(oid) || stmt->objtype != OBJECT_TABLE)
		return;
	if (get_rel_persistence(oid) != RELPERSISTENCE_PERMANENT || is_heap_table(into->relname))
	{
		note("heap", into->relname,
			 get_rel_persistence(oid) == RELPERSISTENCE_TEMP
				 ? "temporary"
				 : get_rel_persistence(oid) == RELPERSISTENCE_UNLOGGED ? "unlogged" : "listed");
		return;
	}
	converting = true;
	done = attempt(replace_by_foreign, &oid, &message);
	converting = false;
	note(done ? "converted" : "heap", into->relname, done ? "" : message);
}

/* ------------------------------------------------------- further statements */

static bool
is_foreign(List *name)
{
	Oid oid = RangeVarGetRelid(makeRangeVarFromNameList(name), NoLock, true);

	return OidIsValid(oid) && get_rel_relkind(oid) == RELKIND_FOREIGN_TABLE;
}

/* DROP TABLE of several tables, in their order: one statement for each run of one kind. */
static void
drop_tables(const Call *call, DropStmt *stmt)
{
	ListCell *cell = list_head(stmt->objects);

	while (cell != NULL)
	{
		DropStmt *part = copyObject(stmt);
		bool foreign = is_foreign(lfirst(cell));

		part->objects = NIL;
		part->removeType = foreign ? OBJECT_FOREIGN_TABLE : OBJECT_TABLE;
		for (; cell != NULL && is_foreign(lfirst(cell)) == foreign; cell = lnext(stmt->objects, cell))
			part->objects = lappend(part->objects, lfirst(cell));
		run(call, (Node *)part);
		CommandCounterIncrement();
	}
}

static bool
is_ours(RangeVar *table)
{
	Oid oid = RangeVarGetRelid(table, NoLock, true);

	return OidIsValid(oid) && get_rel_relkind(oid) == RELKIND_FOREIGN_TABLE &&
		   strcmp(GetForeignServer(GetForeignTable(oid)->serverid)->servername, "nvmkv") == 0;
}

/* An index of a foreign table that only makes things faster: left out. */
static bool
leave_out_index(IndexStmt *stmt)
{
	if (stmt->unique || stmt->excludeOpNames || !is_ours(stmt->relation))
		return false;
	note("index", stmt->relation->relname, stmt->idxname ? stmt->idxname : "");
	return true;
}

/* ALTER TABLE of a foreign table that sets nothing but parameters of heap storage: left out. */
static bool
leave_out_parameters(AlterTableStmt *stmt)
{
	ListCell *cell;

	if (!is_ours(stmt->relation))
		return false;
	foreach (cell, stmt->cmds)
	{
		AlterTableType subtype = ((AlterTableCmd *)lfirst(cell))->subtype;

		if (subtype != AT_SetRelOptions && subtype != AT_ResetRelOptions)
			return false;
	}
	return true;
}

static void
upstream_process_utility(PlannedStmt *pstmt, const char *query, bool read_only, ProcessUtilityContext context,
						 ParamListInfo params, QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	Call call = {pstmt, query, read_only, context, params, env, dest, qc};
	Node *statement = pstmt->utilityStmt;

	/* Outside of transactions there is nothing to look names up in. */
	if (!convert_tables || converting || !IsTransactionState())
		run(&call, statement);
	else if (IsA(statement, CreateStmt))
		create_table(&call, (CreateStmt *)statement);
	else if (IsA(statement, CreateTableAsStmt))
		create_table_as(&call, (CreateTableAsStmt *)statement);
	else if (IsA(statement, DropStmt) && ((DropStmt *)statement)->removeType == OBJECT_TABLE)
		drop_tables(&call, (DropStmt *)statement);
	else if (IsA(statement, IndexStmt) && leave_out_index((IndexStmt *)statement))
		return;
	else if (IsA(statement, AlterTableStmt) && leave_out_parameters((AlterTableStmt *)statement))
		return;
	else if (IsA(statement, CommentStmt) && ((CommentStmt *)statement)->objtype == OBJECT_TABLE &&
			 is_foreign((List *)((CommentStmt *)statement)->object))
	{
		CommentStmt *comment = copyObject((CommentStmt *)statement);

		comment->objtype = OBJECT_FOREIGN_TABLE;
		run(&call, (Node *)comment);
	}
	else if (IsA(statement, SecLabelStmt) && ((SecLabelStmt *)statement)->objtype == OBJECT_TABLE &&
			 is_foreign((List *)((SecLabelStmt *)statement)->object))
	{
		SecLabelStmt *label = copyObject((SecLabelStmt *)statement);

		label->objtype = OBJECT_FOREIGN_TABLE;
		run(&call, (Node *)label);
	}
	else
		run(&call, statement);
}

void
_PG_init(void)
{
	DefineCustomBoolVariable("upstream.convert", "Whether tables become nvmkv tables.", NULL, &convert_tables, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("upstream.heap_tables", "File with the tables that stay heap tables.", NULL,
							   &heap_tables_file, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("upstream");
	next_emit_log = emit_log_hook;
	emit_log_hook = upstream_emit_log;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = upstream_process_utility;
}
