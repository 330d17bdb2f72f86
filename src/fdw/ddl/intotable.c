/*
 * intotable.c
 *	  The rows of a query into a foreign table that is made for them.
 *
 * This follows the server's receiver for CREATE TABLE AS (createas.c there).
 * Rows are collected and written as an INSERT's are; what looks at the table
 * from within the query, by a function, sees those that came before.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/createtable.h"
#include "fdw/ddl/intotable.h"
#include "fdw/key/rowcode.h"
#include "fdw/storage/storage.h"
#include "fdw/table/counters.h"
#include "fdw/txn/bulk.h"
#include "fdw/txn/writers.h"

typedef struct IntoReceiver
{
	DestReceiver pub;
	const IntoClause *into;
	Node *stmt;
	EState *estate;
	Relation rel;
	NvmkvTable *table;
	NvmkvWriteBatch *batch;
	StringInfoData value;
	MemoryContext row_context;
} IntoReceiver;

/* ---------------------------------------------------------------- the table */

ColumnDef *
nvmkv_into_column(const IntoClause *into, ListCell **names, const char *name, Oid type, int32 typmod, Oid collation)
{
	ColumnDef *column;

	if (*names != NULL)
	{
		name = strVal(lfirst(*names));
		*names = lnext(into->colNames, *names);
	}
	column = makeColumnDef(name, type, typmod, collation);
	if (!OidIsValid(collation) && type_is_collatable(type))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_COLLATION),
				 errmsg("no collation was derived for column \"%s\" with collatable type %s", column->colname,
						format_type_be(type)),
				 errhint("Use the COLLATE clause to set the collation explicitly.")));
	return column;
}

void
nvmkv_into_end_of_columns(ListCell *names)
{
	if (names != NULL)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("too many column names were specified")));
}

ObjectAddress
nvmkv_into_make(const IntoClause *into, List *columns, Node *stmt)
{
	CreateStmt *create = makeNode(CreateStmt);

	create->relation = into->rel;
	create->tableElts = columns;
	create->options = into->options;
	create->oncommit = into->onCommit;
	create->tablespacename = into->tableSpaceName;
	return nvmkv_make_default_table(create, stmt);
}

/* ---------------------------------------------------------------- the receiver */

static void
start(DestReceiver *self, int operation, TupleDesc desc)
{
	IntoReceiver *receiver = (IntoReceiver *) self;
	ListCell *names = list_head(receiver->into->colNames);
	List *columns = NIL;
	ObjectAddress address;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		columns = lappend(columns, nvmkv_into_column(receiver->into, &names, NameStr(att->attname), att->atttypid,
													 att->atttypmod, att->attcollation));
	}
	nvmkv_into_end_of_columns(names);
	address = nvmkv_into_make(receiver->into, columns, receiver->stmt);
	if (receiver->into->skipData)
		return;

	nvmkv_writer_begin(receiver->estate);
	receiver->rel = table_open(address.objectId, AccessExclusiveLock);
	receiver->table = nvmkv_table(receiver->rel);
	receiver->batch = nvmkv_write_batch_create(receiver->rel, receiver->table, GetCurrentCommandId(true));
	nvmkv_write_batch_defer(receiver->batch, NULL);
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	IntoReceiver *receiver = (IntoReceiver *) self;
	const NvmkvSlice none = nvmkv_slice("", 0);
	MemoryContext old_context;

	if (receiver->rel == NULL)
		return true;
	MemoryContextReset(receiver->row_context);
	old_context = MemoryContextSwitchTo(receiver->row_context);
	nvmkv_row_encode(receiver->table, &receiver->value, slot);
	MemoryContextSwitchTo(old_context);
	pgstat_count_heap_insert(nvmkv_counted(RelationGetRelid(receiver->rel)), 1);
	/* It has no key, and no index. */
	if (nvmkv_write_batch_add(receiver->batch, none, nvmkv_buffer_slice(&receiver->value), none))
		nvmkv_write_batch_flush(receiver->batch, NULL);
	return true;
}

static void
shut_down(DestReceiver *self)
{
	IntoReceiver *receiver = (IntoReceiver *) self;

	if (receiver->rel == NULL)
		return;
	nvmkv_write_batch_flush(receiver->batch, NULL);
	nvmkv_write_batch_undefer(receiver->batch);
	table_close(receiver->rel, NoLock);
	receiver->rel = NULL;
}

/* Its memory is the query's. */
static void
destroy(DestReceiver *self)
{
}

DestReceiver *
nvmkv_into_receiver(const IntoClause *into, Node *stmt, EState *estate)
{
	MemoryContext old_context = MemoryContextSwitchTo(estate->es_query_cxt);
	IntoReceiver *receiver = palloc0(sizeof(IntoReceiver));

	receiver->pub.rStartup = start;
	receiver->pub.receiveSlot = receive;
	receiver->pub.rShutdown = shut_down;
	receiver->pub.rDestroy = destroy;
	receiver->pub.mydest = DestNone; /* nobody's business */
	receiver->into = into;
	receiver->stmt = stmt;
	receiver->estate = estate;
	initStringInfo(&receiver->value);
	receiver->row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv row", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(old_context);
	return (DestReceiver *) receiver;
}
