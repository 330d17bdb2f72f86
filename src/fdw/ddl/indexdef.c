/*
 * indexdef.c
 *	  The catalogue's part of making an index of one of our tables.
 *
 * The server's DefineIndex() refuses foreign tables.  This does what it does, in
 * its order, up to index_create(), which is asked for an index as of a
 * partitioned table: a row of pg_class with relkind 'I', without a file.  With
 * relkind 'i' the server would look for the table's access method, which there
 * is none of, as soon as somebody plans a query.
 *
 * Dependencies, comments, renaming, rollback, pg_dump, and what reads
 * pg_constraint are the server's own then.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/reloptions.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/indexbuild.h"
#include "fdw/ddl/indexdef.h"
#include "fdw/ddl/primarykey.h"
#include "fdw/ddl/uniquetrigger.h"
#include "fdw/host/engine.h"
#include "fdw/host/ownercontext.h"
#include "fdw/storage/storage.h"
#include "fdw/table/indexes.h"

#define INDEX_ACCESS_METHOD "btree"

/* Columns of an index in the making; arrays for all of them, key columns first. */
typedef struct IndexColumns
{
	int nkeys;
	Oid *collations;
	Oid *classes;
	int16 *options;
	Datum *class_options; /* NULL: no column has any */
} IndexColumns;

/* ---------------------------------------------------------------- what cannot be */

static void
refuse_kind(Relation rel, const IndexStmt *stmt)
{
	const char *name = RelationGetRelationName(rel);

	if (stmt->excludeOpNames != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("exclusion constraints are not supported on foreign tables")));
	if (nvmkv_has_periods(stmt))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("constraints using WITHOUT OVERLAPS are not supported on foreign tables")));
	if (stmt->accessMethod != NULL && strcmp(stmt->accessMethod, INDEX_ACCESS_METHOD) != 0)
	{
		(void) get_index_am_oid(stmt->accessMethod, false);
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("access method \"%s\" is not supported for indexes of foreign table \"%s\"",
						stmt->accessMethod, name),
				 errhint("Only indexes with access method \"%s\" can be created on it.", INDEX_ACCESS_METHOD)));
	}
}

/* Members of a Bitmapset as pull_varattnos has them; 0 is a whole row, or an expression. */
static Bitmapset *
used_columns(const IndexInfo *info)
{
	Bitmapset *used = NULL;

	for (int i = 0; i < info->ii_NumIndexAttrs; i++)
		used = bms_add_member(used, info->ii_IndexAttrNumbers[i] - FirstLowInvalidHeapAttributeNumber);
	pull_varattnos((Node *) info->ii_Expressions, 1, &used);
	pull_varattnos((Node *) info->ii_Predicate, 1, &used);
	return used;
}

static void
refuse_system_columns(const IndexInfo *info)
{
	Bitmapset *used = used_columns(info);
	int column = -1;

	while ((column = bms_next_member(used, column)) >= 0)
	{
		if (column + FirstLowInvalidHeapAttributeNumber < 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("index creation on system columns is not supported")));
	}
}

static void
refuse_virtual_columns(Relation rel, const IndexInfo *info, const IndexStmt *stmt)
{
	Bitmapset *used = used_columns(info);
	int column = -1;

	while ((column = bms_next_member(used, column)) >= 0)
	{
		AttrNumber attnum = (AttrNumber) (column + FirstLowInvalidHeapAttributeNumber);

		if (attnum > 0 && nvmkv_is_virtual(TupleDescAttr(RelationGetDescr(rel), attnum - 1)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 stmt->primary ? errmsg("primary keys on virtual generated columns are not supported")
					 : stmt->isconstraint ? errmsg("unique constraints on virtual generated columns are not supported")
					 : errmsg("indexes on virtual generated columns are not supported")));
	}
}

/* ---------------------------------------------------------------- columns */

static bool
is_mutable(Expr *expr)
{
	return contain_mutable_functions((Node *) expression_planner(expr));
}

/* The column or expression that an element names, into the description; returns its type. */
static Oid
resolve_column(Relation rel, const IndexStmt *stmt, const IndexElem *element, bool is_key, IndexInfo *info, int number,
			   Oid *collation_out)
{
	Node *expr = element->expr;
	AttrNumber attnum = InvalidAttrNumber;
	Oid type;

	if (element->name != NULL)
	{
		HeapTuple tuple = SearchSysCacheAttName(RelationGetRelid(rel), element->name);
		Form_pg_attribute att;

		if (!HeapTupleIsValid(tuple))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 stmt->isconstraint ? errmsg("column \"%s\" named in key does not exist", element->name)
					 : errmsg("column \"%s\" does not exist", element->name)));
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		attnum = att->attnum;
		type = att->atttypid;
		*collation_out = att->attcollation;
		ReleaseSysCache(tuple);
	}
	else
	{
		if (!is_key)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("expressions are not supported in included columns")));
		type = exprType(expr);
		*collation_out = exprCollation(expr);

		/* "(x)" and "(x COLLATE y)" are the column. */
		while (IsA(expr, CollateExpr))
			expr = (Node *) ((CollateExpr *) expr)->arg;
		if (IsA(expr, Var) && ((Var *) expr)->varattno != InvalidAttrNumber)
			attnum = ((Var *) expr)->varattno;
		else
		{
			info->ii_Expressions = lappend(info->ii_Expressions, expr);
			if (is_mutable((Expr *) expr))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						 errmsg("functions in index expression must be marked IMMUTABLE")));
		}
	}
	info->ii_IndexAttrNumbers[number] = attnum;
	return type;
}

static void
check_included(const IndexElem *element)
{
	if (element->collation != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("including column does not support a collation")));
	if (element->opclass != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("including column does not support an operator class")));
	if (element->ordering != SORTBY_DEFAULT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("including column does not support ASC/DESC options")));
	if (element->nulls_ordering != SORTBY_NULLS_DEFAULT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("including column does not support NULLS FIRST/LAST options")));
}

static void
check_collation(Oid type, Oid collation)
{
	if (type_is_collatable(type) && !OidIsValid(collation))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_COLLATION),
				 errmsg("could not determine which collation to use for index expression"),
				 errhint("Use the COLLATE clause to set the collation explicitly.")));
	if (!type_is_collatable(type) && OidIsValid(collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("collations are not supported by type %s", format_type_be(type))));
}

static int16
column_options(const IndexElem *element)
{
	bool descending = element->ordering == SORTBY_DESC;
	int16 options = descending ? INDOPTION_DESC : 0;

	/* NULLs are the largest by default. */
	if (element->nulls_ordering == SORTBY_NULLS_FIRST ||
		(element->nulls_ordering == SORTBY_NULLS_DEFAULT && descending))
		options |= INDOPTION_NULLS_FIRST;
	return options;
}

static void
resolve_columns(Relation rel, const IndexStmt *stmt, List *elements, NvmkvOwnerContext *context, IndexInfo *info,
				IndexColumns *columns)
{
	int natts = list_length(elements);
	int number = 0;
	ListCell *lc;

	columns->collations = palloc0(natts * sizeof(Oid));
	columns->classes = palloc0(natts * sizeof(Oid));
	columns->options = palloc0(natts * sizeof(int16));
	columns->class_options = NULL;

	foreach(lc, elements)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);
		bool is_key = number < columns->nkeys;
		Oid collation;
		Oid type = resolve_column(rel, stmt, element, is_key, info, number, &collation);

		if (!is_key)
		{
			check_included(element);
			number++;
			continue;
		}

		/* Names are looked up with the privileges of who wrote them. */
		nvmkv_become_user(context);
		if (element->collation != NIL)
			collation = get_collation_oid(element->collation, false);
		check_collation(type, collation);
		columns->collations[number] = collation;
		columns->classes[number] = ResolveOpClass(element->opclass, type, INDEX_ACCESS_METHOD, BTREE_AM_OID);
		nvmkv_become_owner(context, context->owner);

		columns->options[number] = column_options(element);
		if (element->opclassopts != NIL)
		{
			if (columns->class_options == NULL)
				columns->class_options = palloc0(natts * sizeof(Datum));
			columns->class_options[number] =
				transformRelOptions((Datum) 0, element->opclassopts, NULL, NULL, false, false);
		}
		number++;
	}
}

/* ---------------------------------------------------------------- names */

/* Names of the index's columns: those of the table's columns, made unique by a number. */
static List *
choose_column_names(List *elements)
{
	List *names = NIL;
	ListCell *lc;

	foreach(lc, elements)
	{
		const IndexElem *element = lfirst_node(IndexElem, lc);
		const char *wanted = element->indexcolname != NULL ? element->indexcolname
			: element->name != NULL ? element->name
									: "expr";
		char *name = pstrdup(wanted);
		bool taken = true;

		for (int i = 1; taken; i++)
		{
			ListCell *other;

			taken = false;
			foreach(other, names)
				taken = taken || strcmp(lfirst(other), name) == 0;
			if (taken)
			{
				char suffix[32];
				int length;

				snprintf(suffix, sizeof(suffix), "%d", i);
				length = pg_mbcliplen(wanted, (int) strlen(wanted), NAMEDATALEN - 1 - (int) strlen(suffix));
				name = psprintf("%.*s%s", length, wanted, suffix);
			}
		}
		names = lappend(names, name);
	}
	return names;
}

static char *
choose_name(Relation rel, const IndexStmt *stmt, List *column_names)
{
	char columns[2 * NAMEDATALEN];
	int length = 0;
	ListCell *lc;

	if (stmt->idxname != NULL)
		return stmt->idxname;
	if (stmt->primary)
		return ChooseRelationName(RelationGetRelationName(rel), NULL, "pkey", RelationGetNamespace(rel), true);

	columns[0] = '\0';
	foreach(lc, column_names)
	{
		if (length > 0)
			columns[length++] = '_';
		strlcpy(columns + length, lfirst(lc), NAMEDATALEN);
		length += (int) strlen(columns + length);
		if (length >= NAMEDATALEN)
			break;
	}
	return ChooseRelationName(RelationGetRelationName(rel), columns, stmt->isconstraint ? "key" : "idx",
							  RelationGetNamespace(rel), stmt->isconstraint);
}

static Oid
choose_tablespace(Relation rel, const IndexStmt *stmt, Oid user, bool anew)
{
	Oid space = stmt->tableSpace != NULL ? get_tablespace_oid(stmt->tableSpace, false)
		: stmt->reset_default_tblspc ? InvalidOid
									 : GetDefaultTablespace(rel->rd_rel->relpersistence, false);

	if (OidIsValid(space) && space != MyDatabaseTableSpace && !anew)
	{
		AclResult allowed = nvmkv_tablespace_aclcheck(space, user, ACL_CREATE);

		if (allowed != ACLCHECK_OK)
			aclcheck_error(allowed, OBJECT_TABLESPACE, get_tablespace_name(space));
	}
	if (space == GLOBALTABLESPACE_OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only shared relations can be placed in pg_global tablespace")));
	return space;
}

/* ---------------------------------------------------------------- making it */

static Oid
create_index(Relation rel, IndexStmt *stmt, NvmkvOwnerContext *context, Oid parent_index, Oid parent_constraint,
			 bool anew)
{
	List *elements = list_concat_copy(stmt->indexParams, stmt->indexIncludingParams);
	Oid schema = RelationGetNamespace(rel);
	bits16 flags = INDEX_CREATE_SKIP_BUILD | INDEX_CREATE_PARTITIONED;
	bits16 constraint_flags;
	IndexColumns columns = {.nkeys = list_length(stmt->indexParams)};
	AclResult allowed = nvmkv_schema_aclcheck(schema, context->user, ACL_CREATE);
	IndexInfo *info;
	List *names;
	char *name;
	Oid space;
	Datum options;
	Oid constraint;
	Oid index;

	if (allowed != ACLCHECK_OK && !anew)
		aclcheck_error(allowed, OBJECT_SCHEMA, get_namespace_name(schema));
	space = choose_tablespace(rel, stmt, context->user, anew);
	names = choose_column_names(elements);
	name = choose_name(rel, stmt, names);

	if (stmt->whereClause != NULL && is_mutable((Expr *) stmt->whereClause))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("functions in index predicate must be marked IMMUTABLE")));
	options = transformRelOptions((Datum) 0, stmt->options, NULL, NULL, false, false);
	(void) btoptions(options, true);

	info = nvmkv_make_index_info(list_length(elements), columns.nkeys, BTREE_AM_OID,
								 make_ands_implicit((Expr *) stmt->whereClause), stmt->unique, stmt->nulls_not_distinct,
								 true);
	resolve_columns(rel, stmt, elements, context, info, &columns);
	if (stmt->primary)
		index_check_primary_key(rel, info, true, stmt);
	refuse_system_columns(info);
	refuse_virtual_columns(rel, info, stmt);

	if (stmt->isconstraint)
		flags |= INDEX_CREATE_ADD_CONSTRAINT;
	if (stmt->primary)
		flags |= INDEX_CREATE_IS_PRIMARY;
	if (stmt->if_not_exists)
		flags |= INDEX_CREATE_IF_NOT_EXISTS;
	if (stmt->concurrent)
		flags |= INDEX_CREATE_INVALID;
	constraint_flags = nvmkv_deferrable_begin(RelationGetRelid(rel), stmt->deferrable, stmt->initdeferred);
	index = nvmkv_catalog_index_create(rel, name, parent_index, parent_constraint, info, names, BTREE_AM_OID, space,
									   columns.collations, columns.classes, columns.class_options, columns.options,
									   options, flags, constraint_flags, false, &constraint);
	nvmkv_deferrable_end(RelationGetRelid(rel), stmt->deferrable);
	if (OidIsValid(index) && stmt->idxcomment != NULL)
		CreateComments(index, RelationRelationId, 0, stmt->idxcomment);
	return index;
}

static void
fill(Relation rel, Oid index_oid)
{
	Relation index = index_open(index_oid, AccessExclusiveLock);

	if (!nvmkv_index_is_table(index))
		nvmkv_index_create(rel, index);
	index_close(index, NoLock);
}

/* Rights are not asked for again of an index that is made anew. */
static Oid
define_index(Oid relid, const IndexStmt *stmt, const char *query_string, Oid parent_index, Oid parent_constraint,
			 bool anew)
{
	Relation rel = table_open(relid, stmt->concurrent ? ShareUpdateExclusiveLock : ShareLock);
	int natts = list_length(stmt->indexParams) + list_length(stmt->indexIncludingParams);
	NvmkvOwnerContext context;
	IndexStmt *transformed;
	Oid index;

	nvmkv_engine_require_preload();
	refuse_kind(rel, stmt);
	if (stmt->indexParams == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("must specify at least one column")));
	if (natts > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
	transformed = transformIndexStmt(relid, copyObject(unconstify(IndexStmt *, stmt)), query_string);

	CheckTableNotInUse(rel, "CREATE INDEX");
	if (stmt->primary && !stmt->deferrable)
	{
		index = nvmkv_primary_key_settle(rel, transformed);
		if (OidIsValid(index))
		{
			table_close(rel, NoLock);
			return index;
		}
	}

	nvmkv_become_owner(&context, rel->rd_rel->relowner);
	index = create_index(rel, transformed, &context, parent_index, parent_constraint, anew);
	nvmkv_become_user(&context);
	CommandCounterIncrement();

	/* In pg_upgrade the entries come along, with the rows. */
	if (OidIsValid(index) && stmt->concurrent)
		nvmkv_index_new_storage(rel, index);
	else if (OidIsValid(index) && !IsBinaryUpgrade)
		fill(rel, index);
	table_close(rel, NoLock);
	return index;
}

Oid
nvmkv_define_index(Oid relid, const IndexStmt *stmt, const char *query_string, Oid parent_index, Oid parent_constraint)
{
	return define_index(relid, stmt, query_string, parent_index, parent_constraint, false);
}

Oid
nvmkv_define_index_anew(Oid relid, const IndexStmt *stmt, const char *query_string)
{
	return define_index(relid, stmt, query_string, InvalidOid, InvalidOid, true);
}
