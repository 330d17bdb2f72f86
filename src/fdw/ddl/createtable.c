/*
 * createtable.c
 *	  CREATE TABLE that makes a foreign table.
 *
 * The statement is analysed as that of a plain table, so that it may say all
 * that such one may (PRIMARY KEY, LIKE, serial), and is executed as the server
 * would (ProcessUtilitySlow), but that the relation is a foreign table.
 *
 * The primary key is needed when the table is made, for its option.  In the
 * list of statements that the server makes of CREATE TABLE it comes later, as
 * the making of an index, or not before LIKE is expanded.  So LIKE is expanded
 * right after the relation is there, and the key is taken out of the list before
 * the relation becomes a table of ours; the rest of the list is executed then.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/ddl/accessmethod.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/createtable.h"
#include "fdw/key/keyspec.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

/* Where tables are that are made without the name of a server. */
#define SERVER_NAME "nvmkv"

/* ---------------------------------------------------------------- the primary key */

/* The text of the option that says what this index of a primary key says. */
static char *
key_of_index(const IndexStmt *index)
{
	List *specs = NIL;
	ListCell *lc;

	if (index->deferrable || index->initdeferred)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("primary keys of foreign tables cannot be deferrable"),
				 errhint("Leave out DEFERRABLE.")));
	foreach(lc, index->indexParams)
	{
		const IndexElem *column = lfirst_node(IndexElem, lc);
		NvmkvKeySpec *spec = palloc(sizeof(NvmkvKeySpec));

		spec->name = column->name;
		spec->descending = column->ordering == SORTBY_DESC;
		specs = lappend(specs, spec);
	}
	return nvmkv_format_primary_key(specs);
}

static void
refuse_index(const IndexStmt *index)
{
	if (index->excludeOpNames != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("exclusion constraints are not supported on foreign tables")));
	if (index->isconstraint)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("unique constraints are not supported on foreign tables")));
}

/* The key that a table has by its option, if LIKE copies indexes; NULL: none. */
static const char *
key_of_liked(const TableLikeClause *like)
{
	if ((like->options & CREATE_TABLE_LIKE_INDEXES) == 0 || !nvmkv_is_our_relid(like->relationOid))
		return NULL;
	return nvmkv_option_string(GetForeignTable(like->relationOid)->options, NVMKV_OPTION_PRIMARY_KEY);
}

static void
take_key(char **key, const char *found, const RangeVar *relation)
{
	if (*key != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("multiple primary keys for table \"%s\" are not allowed", relation->relname)));
	*key = pstrdup(found);
}

/* The statements that are left when LIKE is expanded and the key taken out; *key stays NULL when there is none. */
static List *
settle_key(List *stmts, RangeVar *relation, char **key)
{
	List *rest = NIL;

	while (stmts != NIL)
	{
		Node *stmt = linitial(stmts);

		stmts = list_delete_first(stmts);
		if (IsA(stmt, TableLikeClause))
		{
			TableLikeClause *like = (TableLikeClause *) stmt;
			const char *liked = key_of_liked(like);

			if (liked != NULL)
				take_key(key, liked, relation);
			stmts = list_concat(expandTableLikeClause(relation, like), stmts);
		}
		else if (IsA(stmt, IndexStmt) && ((IndexStmt *) stmt)->primary)
			take_key(key, key_of_index((IndexStmt *) stmt), relation);
		else
		{
			if (IsA(stmt, IndexStmt))
				refuse_index((IndexStmt *) stmt);
			rest = lappend(rest, stmt);
		}
	}
	return rest;
}

/* ---------------------------------------------------------------- making */

/* They are what a heap table's may be, and forgotten: there are no pages they could be about. */
static void
check_storage_parameters(List *options)
{
	static char *namespaces[] = HEAP_RELOPT_NAMESPACES;
	Datum of_table = transformRelOptions((Datum) 0, options, NULL, namespaces, true, false);
	Datum of_toast = transformRelOptions((Datum) 0, options, "toast", namespaces, true, false);

	(void) heap_reloptions(RELKIND_RELATION, of_table, true);
	(void) heap_reloptions(RELKIND_TOASTVALUE, of_toast, true);
}

static ObjectAddress
make_relation(CreateStmt *create, const char *query_string)
{
	ObjectAddress address;

	check_storage_parameters(create->options);
	create->options = NIL;
	create->accessMethod = NULL;
	address = DefineRelation(create, RELKIND_FOREIGN_TABLE, InvalidOid, NULL, query_string);
	CommandCounterIncrement();
	return address;
}

static void
make_ours(Oid relid, List *options)
{
	CreateForeignTableStmt *foreign = makeNode(CreateForeignTableStmt);

	foreign->servername = pstrdup(SERVER_NAME);
	foreign->options = options;
	CreateForeignTable(foreign, relid);
	CommandCounterIncrement();
	if (!nvmkv_is_our_relid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of nvmkv_fdw", SERVER_NAME),
				 errhint("Tables with access method nvmkv are made on the server of that name.")));
	nvmkv_create_finish(relid);
	CommandCounterIncrement();
}

ObjectAddress
nvmkv_make_table(CreateStmt *create, List *options, Node *stmt, const char *query_string)
{
	ObjectAddress address = make_relation(create, query_string);

	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, stmt);
	make_ours(address.objectId, options);
	return address;
}

/* What analysis has made of CREATE TABLE: what comes before the table, the table, and what comes after it. */
static void
execute(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	List *stmts = transformCreateStmt((CreateStmt *) stmt, statement->query_string);
	CreateStmt *create;
	ObjectAddress address;
	char *key = NULL;
	ListCell *lc;

	for (; stmts != NIL && !IsA(linitial(stmts), CreateStmt); stmts = list_delete_first(stmts))
		nvmkv_statement_part(statement, linitial(stmts));
	if (stmts == NIL)
		return; /* IF NOT EXISTS */

	create = linitial_node(CreateStmt, stmts);
	address = make_relation(create, statement->query_string);
	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, (Node *) create);
	stmts = settle_key(list_delete_first(stmts), create->relation, &key);
	make_ours(address.objectId,
			  key == NULL ? NIL
			  : list_make1(makeDefElem(pstrdup(NVMKV_OPTION_PRIMARY_KEY), (Node *) makeString(key), -1)));
	foreach(lc, stmts)
		nvmkv_statement_part(statement, lfirst(lc));
}

/* ---------------------------------------------------------------- the statement */

/* That of the partitioned table, when it has one; it can have from version 17 of the server on. */
static Oid
access_method_of_parent(const CreateStmt *create)
{
	Oid parent = RangeVarGetRelid(linitial_node(RangeVar, create->inhRelations), NoLock, true);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(parent));
	Oid am = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return am;
}

static NvmkvKindOfTable
kind_wanted(const CreateStmt *create)
{
	const char *never = create->ofTypename != NULL ? "typed table" : NULL;
	NvmkvKindOfTable kind;

	if (create->partspec != NULL)
		return NVMKV_TABLE_OTHER;
	kind = nvmkv_kind_of_table(create->accessMethod, create->relation, never);
	if (create->accessMethod == NULL && create->partbound != NULL)
	{
		Oid am = access_method_of_parent(create);

		if (OidIsValid(am) && !nvmkv_is_our_access_method(am))
			return NVMKV_TABLE_OTHER;
		if (OidIsValid(am))
			kind = nvmkv_kind_of_table(get_am_name(am), create->relation, never);
	}
	return kind;
}

bool
nvmkv_create_table(NvmkvStatement *statement)
{
	switch (kind_wanted(castNode(CreateStmt, statement->pstmt->utilityStmt)))
	{
		case NVMKV_TABLE_OURS:
			nvmkv_statement_execute(statement, execute, NULL);
			return true;
		case NVMKV_TABLE_HEAP:
			statement->pstmt = copyObject(statement->pstmt);
			statement->read_only_tree = false;
			castNode(CreateStmt, statement->pstmt->utilityStmt)->accessMethod = pstrdup("heap");
			return false;
		case NVMKV_TABLE_OTHER:
			return false;
	}
	return false;
}
