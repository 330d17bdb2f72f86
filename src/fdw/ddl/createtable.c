/*
 * createtable.c
 *	  CREATE TABLE that makes a foreign table.
 *
 * The statement is analysed and executed as that of a plain table, but that the
 * relation is a foreign table (create.c).
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/syscache.h"

#include "fdw/ddl/accessmethod.h"
#include "fdw/ddl/alterstorage.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/createtable.h"
#include "fdw/table/autovacuum.h"
#include "fdw/table/table.h"

/* Where tables are that are made without the name of a server. */
#define SERVER_NAME "nvmkv"

/* ---------------------------------------------------------------- making */

/* Without such a server the error is that of CREATE FOREIGN TABLE. */
char *
nvmkv_default_server(void)
{
	(void) GetForeignServerByName(SERVER_NAME, false);
	if (!nvmkv_is_our_server(SERVER_NAME))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of nvmkv_fdw", SERVER_NAME),
				 errhint("Tables with access method nvmkv are made on the server of that name.")));
	return pstrdup(SERVER_NAME);
}

/*
 * What is said of a heap's files is checked, and forgotten: there are no pages that it could be about.  Returns the
 * options that storage parameters become.
 */
static List *
settle(CreateStmt *create)
{
	List *options = nvmkv_pick_autovacuum_options(create->options);

	(void) nvmkv_default_server();
	nvmkv_check_storage_parameters(create->options, false);
	create->options = NIL;
	create->accessMethod = NULL;
	return options;
}

ObjectAddress
nvmkv_make_default_table(CreateStmt *create, Node *told)
{
	List *options = settle(create);

	return nvmkv_make_table(create, SERVER_NAME, options, NULL, told);
}

static void
execute(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	CreateStmt *create = castNode(CreateStmt, stmt);
	List *options = settle(create);

	nvmkv_create_parts(statement, create, SERVER_NAME, options, stmt);
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
nvmkv_makes_our_table(const CreateStmt *stmt)
{
	if (IsA(stmt, CreateForeignTableStmt))
		return nvmkv_is_our_server(((const CreateForeignTableStmt *) stmt)->servername);
	return kind_wanted(stmt) == NVMKV_TABLE_OURS;
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
