/*
 * verify.c
 *	  Questions that DDL asks of the rows of one of our tables.
 *
 * The server verifies existing rows while it rewrites or scans a heap table
 * and trusts foreign tables.  Here a query looks for a row that would have
 * failed; it is run like any other, so that expressions are evaluated with the
 * rights of whoever runs the DDL.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/verify.h"
#include "fdw/host/engine.h"
#include "fdw/host/ready.h"
#include "fdw/table/catalog.h"
#include "fdw/table/table.h"

/*
 * Plans without the table's own constraints as premises: they are what is in
 * question.  The privileges of a SELECT are not asked for, either: who may
 * alter the table need not be able to read it.
 */
static PlannedStmt *
plan_question(const char *sql)
{
	RawStmt *raw = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	Query *query = parse_analyze_fixedparams(raw, sql, NULL, 0, NULL);
	int guc_level = NewGUCNestLevel();
	PlannedStmt *plan;

	nvmkv_forget_permissions(query);
	(void) set_config_option("constraint_exclusion", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	plan = pg_plan_query(query, sql, 0, NULL);
	AtEOXact_GUC(true, guc_level);
	return plan;
}

static char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
}

/* Selects from the rows of the table as of now, at most limit (0: all), for the receiver; the number of those. */
static uint64
select_rows(Relation rel, const char *what, const char *condition, DestReceiver *receiver, uint64 limit)
{
	StringInfoData sql;
	QueryDesc *query;
	uint64 found;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s FROM ONLY %s", what, qualified_name(rel));
	if (condition != NULL)
		appendStringInfo(&sql, " WHERE %s", condition);

	PushActiveSnapshot(GetLatestSnapshot());
	query = CreateQueryDesc(plan_question(sql.data), sql.data, GetActiveSnapshot(), InvalidSnapshot, receiver, NULL,
							NULL, 0);
	ExecutorStart(query, 0);
	ExecutorRun(query, ForwardScanDirection, limit);
	found = query->estate->es_processed;
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
	pfree(sql.data);
	return found;
}

bool
nvmkv_has_row(Relation rel, const char *condition)
{
	/* In pg_upgrade they come later, and were verified where they come from. */
	return !IsBinaryUpgrade && select_rows(rel, "", condition, None_Receiver, 1) > 0;
}

/* ---------------------------------------------------------------- row by row */

typedef struct RowReceiver
{
	DestReceiver base;
	TupleTableSlot *row; /* of the table */
	NvmkvVerifyRow verify;
	void *arg;
	MemoryContext per_row;
} RowReceiver;

/* The row is the only column. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->per_row);
	bool isnull;
	HeapTupleHeader header = DatumGetHeapTupleHeader(slot_getattr(slot, 1, &isnull));
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	ExecForceStoreHeapTuple(&tuple, receiver->row, false);
	receiver->verify(receiver->row, receiver->arg);
	ExecClearTuple(receiver->row);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->per_row);
	return true;
}

static void
receive_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receive_nothing(DestReceiver *self)
{
}

void
nvmkv_verify_rows(Relation rel, NvmkvVerifyRow verify, void *arg)
{
	RowReceiver receiver = {
		.base = {receive_row, receive_startup, receive_nothing, receive_nothing, DestNone},
		.row = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple),
		.verify = verify,
		.arg = arg,
		.per_row = AllocSetContextCreate(CurrentMemoryContext, "nvmkv row", ALLOCSET_SMALL_SIZES),
	};

	(void) select_rows(rel, psprintf("(%s.*)::%s", qualified_name(rel), qualified_name(rel)), NULL, &receiver.base, 0);
	ExecDropSingleTupleTableSlot(receiver.row);
	MemoryContextDelete(receiver.per_row);
}

/* ---------------------------------------------------------------- questions */

bool
nvmkv_table_has_rows(Relation rel)
{
	NvmkvStorageRow row;

	if (!nvmkv_catalog_lookup(RelationGetRelid(rel), &row) || row.dboid != MyDatabaseId)
		return false;
	(void) nvmkv_engine();
	return nvmkv_has_row(rel, NULL);
}

void
nvmkv_report_null_values(Relation rel, AttrNumber attnum)
{
	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("column \"%s\" of relation \"%s\" contains null values",
					NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname), RelationGetRelationName(rel)),
			 errtablecol(rel, attnum)));
}

/* Not IS NULL: the planner would answer that from what is about to be verified, and rows of nulls are not null. */
static const char *
null_condition(const char *column)
{
	return psprintf("pg_catalog.num_nulls(%s) > 0", quote_identifier(column));
}

void
nvmkv_verify_not_null(Relation rel, AttrNumber attnum)
{
	const char *name = NameStr(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attname);

	if (nvmkv_has_row(rel, null_condition(name)))
		nvmkv_report_null_values(rel, attnum);
}

/* SQL that is true where the expression is false. */
static char *
negate(Relation rel, Node *expression)
{
	List *context = deparse_context_for(RelationGetRelationName(rel), RelationGetRelid(rel));

	return psprintf("NOT (%s)", deparse_expression(expression, context, false, false));
}

void
nvmkv_verify_check(Relation rel, const char *name, const char *expression)
{
	if (nvmkv_has_row(rel, negate(rel, stringToNode(expression))))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("check constraint \"%s\" of relation \"%s\" is violated by some row", name, RelationGetRelationName(rel)),
				 errtableconstraint(rel, name)));
}

List *
nvmkv_our_tables_below(Oid relid)
{
	List *ours = NIL;
	ListCell *lc;

	if (!OidIsValid(relid))
		return NIL;
	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (nvmkv_is_our_relid(lfirst_oid(lc)))
			ours = lappend_oid(ours, lfirst_oid(lc));
	}
	return ours;
}

/*
 * Do the rows of our tables among this one and its descendants meet its partition constraint?  Those of the descendants
 * are not asked for: the server keeps them when one further up changes.
 */
static void
verify_partition_constraint(Oid top_relid, bool is_default)
{
	Relation top = table_open(top_relid, NoLock);
	List *quals = RelationGetPartitionQual(top);
	ListCell *lc;

	foreach(lc, quals != NIL ? nvmkv_our_tables_below(top_relid) : NIL)
	{
		Relation rel;
		NvmkvStorageRow row;
		List *mapped;

		/* One that has never had rows can be a partition without an engine, too. */
		if (!nvmkv_catalog_lookup(lfirst_oid(lc), &row) || row.dboid != MyDatabaseId)
			continue;
		(void) nvmkv_engine();

		rel = table_open(lfirst_oid(lc), NoLock);
		mapped = rel == top ? quals : map_partition_varattnos(quals, 1, rel, top);
		if (nvmkv_has_row(rel, negate(rel, (Node *) make_ands_explicit(mapped))))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 is_default ?
					 errmsg("updated partition constraint for default partition \"%s\" would be violated by some row",
							RelationGetRelationName(rel)) :
					 errmsg("partition constraint of relation \"%s\" is violated by some row", RelationGetRelationName(rel)),
					 errtable(rel)));
		table_close(rel, NoLock);
	}
	table_close(top, NoLock);
}

void
nvmkv_verify_partition(Oid relid)
{
	Oid default_relid = get_default_partition_oid(get_partition_parent(relid, false));

	verify_partition_constraint(relid, false);
	if (OidIsValid(default_relid) && default_relid != relid)
		verify_partition_constraint(default_relid, true);
}

/* ---------------------------------------------------------------- domains */

/* Is the type the domain, or a domain over it? */
static bool
is_of_domain(Oid type, Oid domain)
{
	while (type != domain)
	{
		HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for type %u", type);
		form = (Form_pg_type) GETSTRUCT(tuple);
		type = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : InvalidOid;
		ReleaseSysCache(tuple);
		if (!OidIsValid(type))
			return false;
	}
	return true;
}

/* Calls verify for each column of our tables that is of the domain.  Keeps writers out until the transaction ends. */
static void
for_domain_columns(Oid domain, void (*verify)(Relation rel, Form_pg_attribute att, void *arg), void *arg)
{
	ListCell *lc;

	foreach(lc, nvmkv_our_relids())
	{
		Relation rel = try_relation_open(lfirst_oid(lc), ShareLock);

		if (rel == NULL)
			continue;
		for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

			if (!att->attisdropped && is_of_domain(att->atttypid, domain))
				verify(rel, att, arg);
		}
		relation_close(rel, NoLock);
	}
}

static void
note_use(Relation rel, Form_pg_attribute att, void *arg)
{
	*(bool *) arg = true;
}

bool
nvmkv_domain_is_used(Oid domain)
{
	bool used = false;

	for_domain_columns(domain, note_use, &used);
	return used;
}

static void
verify_domain_column_not_null(Relation rel, Form_pg_attribute att, void *arg)
{
	if (nvmkv_has_row(rel, null_condition(NameStr(att->attname))))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" contains null values",
						NameStr(att->attname), RelationGetRelationName(rel)),
				 errtablecol(rel, att->attnum)));
}

void
nvmkv_verify_domain_not_null(Oid domain)
{
	for_domain_columns(domain, verify_domain_column_not_null, NULL);
}

/* Puts a column in the place of VALUE. */
static Node *
replace_value(Node *node, void *arg)
{
	Form_pg_attribute att = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, CoerceToDomainValue))
		return (Node *) makeVar(1, att->attnum, att->atttypid, att->atttypmod, att->attcollation, 0);
	return expression_tree_mutator(node, replace_value, arg);
}

static void
verify_domain_column_check(Relation rel, Form_pg_attribute att, void *arg)
{
	if (nvmkv_has_row(rel, negate(rel, replace_value((Node *) arg, att))))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("column \"%s\" of table \"%s\" contains values that violate the new constraint",
						NameStr(att->attname), RelationGetRelationName(rel)),
				 errtablecol(rel, att->attnum)));
}

void
nvmkv_verify_domain_checks(Oid domain)
{
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	List *checks = NIL;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;
	ListCell *lc;

	ScanKeyInit(&key, Anum_pg_constraint_contypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(domain));
	scan = systable_beginscan(constraints, ConstraintTypidIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		Datum expression = heap_getattr(tuple, Anum_pg_constraint_conbin, RelationGetDescr(constraints), &isnull);

		if (((Form_pg_constraint) GETSTRUCT(tuple))->convalidated && !isnull)
			checks = lappend(checks, stringToNode(TextDatumGetCString(expression)));
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);

	foreach(lc, checks)
		for_domain_columns(domain, verify_domain_column_check, lfirst(lc));
}
