/*
 * createtable.c
 *	  CREATE TABLE that makes a foreign table.
 *
 * The statement is analysed and executed as that of a plain table, but that the
 * relation is a foreign table (create.c).
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
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/accessmethod.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/createtable.h"
#include "fdw/table/table.h"

/* Where tables are that are made without the name of a server. */
#define SERVER_NAME "nvmkv"

/* ---------------------------------------------------------------- making */

/* They are what a heap table's may be, and forgotten: there are no pages they could be about. */
static void
check_storage_parameters(List *options)
{
	static NvmkvOptionNamespace namespaces[] = HEAP_RELOPT_NAMESPACES;
	Datum of_table = transformRelOptions((Datum) 0, options, NULL, namespaces, true, false);
	Datum of_toast = transformRelOptions((Datum) 0, options, "toast", namespaces, true, false);

	(void) heap_reloptions(RELKIND_RELATION, of_table, true);
	(void) heap_reloptions(RELKIND_TOASTVALUE, of_toast, true);
}

/* Without such a server the error is that of CREATE FOREIGN TABLE. */
static void
check_server(void)
{
	(void) GetForeignServerByName(SERVER_NAME, false);
	if (!nvmkv_is_our_server(SERVER_NAME))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of nvmkv_fdw", SERVER_NAME),
				 errhint("Tables with access method nvmkv are made on the server of that name.")));
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
	check_server();
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

static void
execute(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	CreateStmt *create = castNode(CreateStmt, stmt);

	check_server();
	check_storage_parameters(create->options);
	create->options = NIL;
	create->accessMethod = NULL;
	nvmkv_create_parts(statement, create, SERVER_NAME, NIL, stmt);
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
