/*
 * create.c
 *	  CREATE FOREIGN TABLE of a table of ours.
 *
 * The server refuses in it what it takes in CREATE TABLE: PRIMARY KEY, LIKE.  So
 * the statement is analysed as that of a plain table, and executed as the server
 * executes such one (ProcessUtilitySlow), but for the relation's kind.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/column.h"
#include "fdw/ddl/create.h"
#include "fdw/ddl/foreignkey.h"
#include "fdw/ddl/keyconstraint.h"
#include "fdw/ddl/keyoption.h"
#include "fdw/ddl/partindex.h"
#include "fdw/ddl/primarykey.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/key/keyspec.h"
#include "fdw/storage/storage.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

/* ---------------------------------------------------------------- after */

Oid
nvmkv_created_relid(const RangeVar *relation)
{
	return get_relname_relid(relation->relname, RangeVarGetCreationNamespace(relation));
}

void
nvmkv_create_finish(Oid relid)
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

void
nvmkv_create_partition_finish(Oid relid)
{
	CommandCounterIncrement();
	if (OidIsValid(relid) && get_rel_relispartition(relid))
		nvmkv_verify_partition(relid);
}

/* ---------------------------------------------------------------- making */

/* PRIMARY KEY tells the option, so that the table gets its storage once.  A DEFERRABLE one is no order of rows. */
static List *
add_key_option(List *options, List *stmts)
{
	ListCell *lc;

	if (nvmkv_option_string(options, NVMKV_OPTION_PRIMARY_KEY) != NULL)
		return options;
	foreach(lc, stmts)
	{
		const IndexStmt *index = lfirst(lc);

		if (IsA(index, IndexStmt) && index->primary && !index->deferrable)
		{
			char *definition = nvmkv_format_primary_key(nvmkv_primary_key_specs(index));

			return lappend(list_copy(options),
						   makeDefElem(pstrdup(NVMKV_OPTION_PRIMARY_KEY), (Node *) makeString(definition), -1));
		}
	}
	return options;
}

ObjectAddress
nvmkv_make_table(CreateStmt *base, const char *server, List *options, const char *query_string, Node *told)
{
	CreateForeignTableStmt *foreign = makeNode(CreateForeignTableStmt);
	Oid parent = InvalidOid;
	List *hidden = NIL;
	ObjectAddress address;

	if (base->partbound != NULL)
	{
		parent = RangeVarGetRelid(linitial_node(RangeVar, base->inhRelations), NoLock, false);
		hidden = nvmkv_hide_indexes(parent);
	}
	address = DefineRelation(base, RELKIND_FOREIGN_TABLE, InvalidOid, NULL, query_string);
	CommandCounterIncrement();
	foreign->servername = pstrdup(server);
	foreign->options = options;
	CreateForeignTable(foreign, address.objectId);
	CommandCounterIncrement();
	EventTriggerCollectSimpleCommand(address, InvalidObjectAddress, told);
	nvmkv_create_finish(address.objectId);
	CommandCounterIncrement();
	if (OidIsValid(parent))
	{
		nvmkv_show_indexes(parent, hidden);
		nvmkv_primary_key_show(address.objectId);
		nvmkv_partition_indexes(parent, address.objectId, query_string);
	}
	return address;
}

/*
 * What LIKE tells besides columns, as statements.  From 18 on the server leaves out indexes for a foreign table, so
 * they are always found here, as expandTableLikeClause() does for another table.
 */
static List *
expand_like(RangeVar *table, TableLikeClause *like)
{
	bool with_indexes = (like->options & CREATE_TABLE_LIKE_INDEXES) != 0;
	List *stmts;
	Relation made;
	Relation source;
	AttrMap *columns;
	ListCell *lc;

	like->options &= ~(bits32) CREATE_TABLE_LIKE_INDEXES;
	stmts = expandTableLikeClause(table, like);
	if (!with_indexes)
		return stmts;

	made = table_openrv(table, NoLock); /* nobody else sees it yet */
	source = table_open(like->relationOid, NoLock); /* locked by the analysis of the statement */
	columns = nvmkv_build_attrmap(RelationGetDescr(made), RelationGetDescr(source));
	foreach(lc, RelationGetIndexList(source))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		IndexStmt *stmt = generateClonedIndexStmt(table, index, columns, NULL);

		if (like->options & CREATE_TABLE_LIKE_COMMENTS)
			stmt->idxcomment = GetComment(lfirst_oid(lc), RelationRelationId, 0);
		stmts = lappend(stmts, stmt);
		index_close(index, AccessShareLock);
	}
	table_close(source, NoLock);
	table_close(made, NoLock);
	return stmts;
}

void
nvmkv_create_parts(const NvmkvStatement *statement, CreateStmt *base, const char *server, List *options, Node *told)
{
	List *stmts = transformCreateStmt(base, statement->query_string);
	Oid relid = InvalidOid;

	while (stmts != NIL)
	{
		Node *part = linitial(stmts);

		stmts = list_delete_first(stmts);
		if (IsA(part, CreateStmt))
			relid = nvmkv_make_table((CreateStmt *) part, server, add_key_option(options, stmts),
									 statement->query_string, told).objectId;
		else if (IsA(part, TableLikeClause))
			stmts = list_concat(expand_like(base->relation, (TableLikeClause *) part), stmts);
		else
		{
			/* A foreign key may reference the primary key that the option has told. */
			if (IsA(part, AlterTableStmt) && OidIsValid(relid))
				nvmkv_primary_key_show(relid);
			nvmkv_statement_part(statement, part);
		}
	}

	/* None was made if there was one, and the statement said IF NOT EXISTS. */
	if (OidIsValid(relid))
		nvmkv_primary_key_show(relid);
}

static void
create(const NvmkvStatement *statement, Node *stmt, void *arg)
{
	const CreateForeignTableStmt *foreign = (const CreateForeignTableStmt *) stmt;
	CreateStmt *base = makeNode(CreateStmt);

	memcpy(base, &foreign->base, sizeof(CreateStmt));
	base->type = T_CreateStmt;
	nvmkv_create_parts(statement, base, foreign->servername, foreign->options, stmt);
}

bool
nvmkv_create_foreign_table(const NvmkvStatement *statement)
{
	if (!nvmkv_is_our_server(((CreateForeignTableStmt *) statement->pstmt->utilityStmt)->servername))
		return false;
	nvmkv_statement_execute(statement, create, NULL);
	return true;
}
