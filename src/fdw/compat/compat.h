/*
 * compat.h
 *	  All differences between the versions of PostgreSQL, 15 to 18.
 *
 * What changed its name or its arguments has those of the newest version here, or a name of ours where that would not
 * do.  What is replaced by a macro is declared before; a header that has moved is included here.
 */
#ifndef NVMKV_COMPAT_H
#define NVMKV_COMPAT_H

/* What foreign tables are told of the end of an INSERT's rows came with that minor release. */
#define NVMKV_SERVER_VERSION_MIN 150002
#if PG_VERSION_NUM < NVMKV_SERVER_VERSION_MIN
#error "nvmkv_fdw needs PostgreSQL 15.2 or newer"
#endif

#include "catalog/heap.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "lib/ilist.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "postmaster/startup.h"
#include "storage/proc.h"
#include "utils/fmgroids.h"
#include "utils/pg_locale.h"
#include "utils/selfuncs.h"
#include "utils/tuplesort.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#if PG_VERSION_NUM >= 170000
#include "storage/procnumber.h"
#else
#include "storage/backendid.h"
#endif

/* ---- names */

#if PG_VERSION_NUM >= 180000
#define lc_collate_is_c(collation) (pg_newlocale_from_collation(collation)->collate_is_c)
#endif
#if PG_VERSION_NUM < 180000
#define pg_noreturn _Noreturn
#define ProcessStartupProcInterrupts() HandleStartupProcInterrupts()
#define VAR_RETURNING_DEFAULT 0
#define expandRTE(rte, rtindex, sublevels_up, returning_type, location, include_dropped, names, vars) \
	expandRTE(rte, rtindex, sublevels_up, location, include_dropped, names, vars)
#define vacuum_delay_point(is_analyze) vacuum_delay_point()
#define heap_form_minimal_tuple(desc, values, nulls, extra) heap_form_minimal_tuple(desc, values, nulls)
#define ExecutorRun(query, direction, count) ExecutorRun(query, direction, count, true)
#endif
#if PG_VERSION_NUM < 160000
#define tuplesort_getdatum(sort, forward, copy, value, isnull, abbreviated) \
	tuplesort_getdatum(sort, forward, value, isnull, abbreviated)
#define object_aclcheck(class, object, role, mode) pg_tablespace_aclcheck(object, role, mode) /* of tablespaces */
/* Of relations and schemas. */
#define object_ownercheck(class, object, role) \
	((class) == RelationRelationId ? pg_class_ownercheck(object, role) : pg_namespace_ownercheck(object, role))
#endif
#if PG_VERSION_NUM < 170000
#define RestrictSearchPath() ((void) 0) /* of functions that DDL runs as the owner of a table */
#define TransamVariables ShmemVariableCache
#define GetNumberFromPGProc(proc) ((int) ((proc) - ProcGlobal->allProcs))
#define estimate_array_length(root, array) estimate_array_length(array)
#else
#define F_RANDOM F_RANDOM_ /* random() */
#endif

/* An element of HEAP_RELOPT_NAMESPACES, for transformRelOptions(). */
#if PG_VERSION_NUM >= 180000
typedef const char *const NvmkvOptionNamespace;
#else
typedef char *NvmkvOptionNamespace;
#endif

/* ---- collations */

/* ICU's collator of a collation; NULL: it is another provider's. */
static inline pg_locale_t
nvmkv_icu_locale(Oid collation)
{
	pg_locale_t locale = lc_collate_is_c(collation) ? NULL : pg_newlocale_from_collation(collation);

	return locale != NULL && locale->provider == COLLPROVIDER_ICU ? locale : NULL;
}

#ifdef USE_ICU
#define nvmkv_icu_version(icu_locale) get_collation_actual_version(COLLPROVIDER_ICU, (icu_locale)->info.icu.locale)
#else
#define nvmkv_icu_version(icu_locale) ""
#endif

/* Until 15 sort keys were for the server's own use only.  As from 16 on: the length without the zero at the end. */
#if PG_VERSION_NUM < 160000
static inline size_t
pg_strnxfrm(char *dest, size_t destsize, const char *src, size_t srclen, pg_locale_t locale)
{
#ifdef USE_ICU
	UChar *characters;
	int32_t count = icu_to_uchar(&characters, src, srclen);
	int32_t size = ucol_getSortKey(locale->info.icu.ucol, characters, count, (uint8_t *) dest, (int32_t) destsize);

	pfree(characters);
	if (size <= 0)
		elog(ERROR, "no sort key of a string of %zu bytes", srclen);
	return (size_t) size - 1;
#else
	elog(ERROR, "collations of ICU are not supported by this server");
#endif
}
#endif

/* ---- privileges */

#if PG_VERSION_NUM >= 160000
#define nvmkv_schema_aclcheck(schema, role, mode) object_aclcheck(NamespaceRelationId, schema, role, mode)
#define nvmkv_tablespace_aclcheck(space, role, mode) object_aclcheck(TableSpaceRelationId, space, role, mode)
#define nvmkv_function_aclcheck(function, role, mode) object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define nvmkv_schema_aclcheck(schema, role, mode) pg_namespace_aclcheck(schema, role, mode)
#define nvmkv_tablespace_aclcheck(space, role, mode) pg_tablespace_aclcheck(space, role, mode)
#define nvmkv_function_aclcheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

/* ---- files */

#if PG_VERSION_NUM >= 160000
typedef RelFileNumber NvmkvFileNumber;
#define nvmkv_file(rel) ((rel)->rd_locator)
#define nvmkv_new_file_number(space, classes, persistence) GetNewRelFileNumber(space, classes, persistence)
#define nvmkv_set_new_file(rel, persistence, freeze_xid, min_multi) \
	table_relation_set_new_filelocator(rel, &(rel)->rd_locator, persistence, freeze_xid, min_multi)
#define nvmkv_assume_new_file(rel) RelationAssumeNewRelfilelocator(rel)
#else
typedef Oid NvmkvFileNumber;
#define nvmkv_file(rel) ((rel)->rd_node)
#define nvmkv_new_file_number(space, classes, persistence) GetNewRelFileNode(space, classes, persistence)
#define nvmkv_set_new_file(rel, persistence, freeze_xid, min_multi) \
	table_relation_set_new_filenode(rel, &(rel)->rd_node, persistence, freeze_xid, min_multi)
#define nvmkv_assume_new_file(rel) RelationAssumeNewRelfilenode(rel)
#endif

/* ---- triggers */

#define NVMKV_FOREIGN_TRUNCATE_TRIGGERS (PG_VERSION_NUM >= 160000)

/* ---- columns */

#if PG_VERSION_NUM >= 180000
#define nvmkv_is_virtual(att) ((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#define nvmkv_is_not_null(desc, i) (TupleDescCompactAttr(desc, i)->attnullability == ATTNULLABLE_VALID)
#else
#define nvmkv_is_virtual(att) false /* generated when it is read */
#define nvmkv_is_not_null(desc, i) (TupleDescAttr(desc, i)->attnotnull) /* and no row has been found that is */
#endif

/*
 * A column that is to be NOT NULL: from 18 on there is a constraint in the catalogue, beside the column's mark.  And a
 * copy of that constraint's row, or NULL.
 */
#if PG_VERSION_NUM >= 180000
static inline void
nvmkv_add_not_null_constraint(Relation rel, const char *column)
{
	Constraint *constraint = makeNotNullConstraint(makeString(pstrdup(column)));

	(void) AddRelationNewConstraints(rel, NIL, list_make1(constraint), false, true, true, NULL);
}

#define nvmkv_not_null_constraint(relid, attnum) findNotNullConstraintAttnum(relid, attnum)
#else
#define nvmkv_add_not_null_constraint(rel, column) ((void) 0)
#define nvmkv_not_null_constraint(relid, attnum) ((HeapTuple) NULL)
#endif
#if PG_VERSION_NUM < 170000
#define AT_SetExpression (-1) /* of a generated column */
#endif

/* ---- indexes */

/* An index's description, of one that is made by a command or as a partitioned one is: not built. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_make_index_info(natts, nkeys, am, predicate, unique, nulls_not_distinct, ready) \
	makeIndexInfo(natts, nkeys, am, NIL, predicate, unique, nulls_not_distinct, ready, !(ready), false, false)
#elif PG_VERSION_NUM >= 160000
#define nvmkv_make_index_info(natts, nkeys, am, predicate, unique, nulls_not_distinct, ready) \
	makeIndexInfo(natts, nkeys, am, NIL, predicate, unique, nulls_not_distinct, ready, !(ready), false)
#else
#define nvmkv_make_index_info(natts, nkeys, am, predicate, unique, nulls_not_distinct, ready) \
	makeIndexInfo(natts, nkeys, am, NIL, predicate, unique, nulls_not_distinct, ready, !(ready))
#endif

/* Options of operator classes: an argument from 17 on, in the description before. */
#if PG_VERSION_NUM >= 170000
#define nvmkv_catalog_index_create(rel, name, parent, constraint, info, names, am, space, collations, classes, \
								   class_options, column_options, options, flags, constraint_flags, internal, \
								   constraint_out) \
	index_create(rel, name, InvalidOid, parent, constraint, InvalidRelFileNumber, info, names, am, space, collations, \
				 classes, class_options, column_options, NULL, options, flags, constraint_flags, false, internal, \
				 constraint_out)
#else
#define nvmkv_catalog_index_create(rel, name, parent, constraint, info, names, am, space, collations, classes, \
								   class_options, column_options, options, flags, constraint_flags, internal, \
								   constraint_out) \
	((info)->ii_OpclassOptions = (class_options), \
	 index_create(rel, name, InvalidOid, parent, constraint, InvalidOid, info, names, am, space, collations, classes, \
				  column_options, options, flags, constraint_flags, false, internal, constraint_out))
#endif

/* CREATE INDEX of a table of the server's, as the part of a partitioned table's. */
#if PG_VERSION_NUM >= 160000
#define nvmkv_server_define_index(relid, stmt, parent, constraint) \
	DefineIndex(relid, stmt, InvalidOid, parent, constraint, -1, false, true, true, false, false)
#define nvmkv_build_attrmap(to, from) build_attrmap_by_name(to, from, false)
#else
#define nvmkv_server_define_index(relid, stmt, parent, constraint) \
	DefineIndex(relid, stmt, InvalidOid, parent, constraint, false, true, true, false, false)
#define nvmkv_build_attrmap(to, from) build_attrmap_by_name(to, from)
#endif

#if PG_VERSION_NUM >= 180000
#define nvmkv_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel, false)
#define nvmkv_has_periods(stmt) ((stmt)->iswithoutoverlaps)
#define nvmkv_set_periods(stmt, constraint) ((stmt)->iswithoutoverlaps = (constraint)->without_overlaps)
#else
#define nvmkv_primary_key_index(rel) RelationGetPrimaryKeyIndex(rel)
#define nvmkv_has_periods(stmt) false /* WITHOUT OVERLAPS */
#define nvmkv_set_periods(stmt, constraint) ((void) 0)
#endif

#if PG_VERSION_NUM >= 180000
#define nvmkv_is_enforced(constraint) ((constraint)->conenforced)
#else
#define nvmkv_is_enforced(constraint) true
#endif

/*
 * A constraint that is part of a foreign key which references a partitioned table, for one of its partitions, and its
 * name if that of the key is not free: "columns" are its columns.  As the server names and makes them.
 */
#if PG_VERSION_NUM >= 180000
#define nvmkv_choose_part_name(rel, key, columns) ChooseConstraintName(key, NULL, "", RelationGetNamespace(rel), NIL)
#define nvmkv_create_part_of_foreign_key(name, key, index, partition, n, columns, referenced, pf, pp, ff, nset, set) \
	CreateConstraintEntry(name, (key)->connamespace, CONSTRAINT_FOREIGN, (key)->condeferrable, (key)->condeferred, \
						  (key)->conenforced, (key)->convalidated, (key)->oid, (key)->conrelid, columns, n, n, \
						  InvalidOid, index, partition, referenced, pf, pp, ff, n, (key)->confupdtype, \
						  (key)->confdeltype, set, nset, (key)->confmatchtype, NULL, NULL, NULL, false, 1, false, \
						  (key)->conperiod, false)
#else
#define nvmkv_choose_part_name(rel, key, columns) \
	ChooseConstraintName(RelationGetRelationName(rel), columns, "fkey", RelationGetNamespace(rel), NIL)
#define nvmkv_create_part_of_foreign_key(name, key, index, partition, n, columns, referenced, pf, pp, ff, nset, set) \
	CreateConstraintEntry(name, (key)->connamespace, CONSTRAINT_FOREIGN, (key)->condeferrable, (key)->condeferred, \
						  true, (key)->oid, (key)->conrelid, columns, n, n, InvalidOid, index, partition, referenced, \
						  pf, pp, ff, n, (key)->confupdtype, (key)->confdeltype, set, nset, (key)->confmatchtype, \
						  NULL, NULL, NULL, false, 1, false, false)
#endif

/* ALTER CONSTRAINT: of which, and what beside when it is checked. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_altered_constraint(cmd) (castNode(ATAlterConstraint, (cmd)->def)->conname)
#define nvmkv_alters_enforcement(cmd) (castNode(ATAlterConstraint, (cmd)->def)->alterEnforceability)
#else
#define nvmkv_altered_constraint(cmd) (castNode(Constraint, (cmd)->def)->conname)
#define nvmkv_alters_enforcement(cmd) false
#endif

/*
 * What follows a foreign key among the constraints of a new column, and says more of it.  False: it is something else.
 * The parser has seen to it that these words do not contradict each other, but for those of a column.
 */
static inline bool
nvmkv_take_key_attribute(Constraint *key, const Constraint *attribute)
{
	switch ((int) attribute->contype)
	{
		case CONSTR_ATTR_DEFERRED:
			key->initdeferred = true;
			key->deferrable = true;
			return true;
		case CONSTR_ATTR_DEFERRABLE:
			key->deferrable = true;
			return true;
		case CONSTR_ATTR_NOT_DEFERRABLE:
		case CONSTR_ATTR_IMMEDIATE:
			return true;
#if PG_VERSION_NUM >= 180000
		case CONSTR_ATTR_NOT_ENFORCED:
			key->is_enforced = false;
			key->skip_validation = true;
			key->initially_valid = false;
			return true;
		case CONSTR_ATTR_ENFORCED:
			return true;
#endif
		default:
			return false;
	}
}

/* ---- planner */

/* What a path costs more that uses what is switched off; from 18 on such paths are counted instead. */
#if PG_VERSION_NUM >= 180000
#define NVMKV_DISABLE_COST 0.0
#define nvmkv_disabled_nodes(path) ((path)->disabled_nodes)
#else
#define NVMKV_DISABLE_COST disable_cost
#define nvmkv_disabled_nodes(path) 0
#endif

/* Of a table; what newer versions want to know besides is of joins that a wrapper does by itself. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_create_path(root, rel, rows, disabled, startup, total, pathkeys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, disabled, startup, total, pathkeys, outer, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define nvmkv_create_path(root, rel, rows, disabled, startup, total, pathkeys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, pathkeys, outer, NULL, NIL, private)
#else
#define nvmkv_create_path(root, rel, rows, disabled, startup, total, pathkeys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, pathkeys, outer, NULL, private)
#endif

/* Of what comes after scans and joins, in no order. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_create_upper_path(root, rel, rows, disabled, startup, total, private) \
	create_foreign_upper_path(root, rel, (rel)->reltarget, rows, disabled, startup, total, NIL, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define nvmkv_create_upper_path(root, rel, rows, disabled, startup, total, private) \
	create_foreign_upper_path(root, rel, (rel)->reltarget, rows, startup, total, NIL, NULL, NIL, private)
#else
#define nvmkv_create_upper_path(root, rel, rows, disabled, startup, total, private) \
	create_foreign_upper_path(root, rel, (rel)->reltarget, rows, startup, total, NIL, NULL, private)
#endif

/* A table of the query, by its place in the range table. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_range_table_relation(estate, rti) ExecGetRangeTableRelation(estate, rti, false)
#else
#define nvmkv_range_table_relation(estate, rti) ExecGetRangeTableRelation(estate, rti)
#endif

/* Of an index as the planner sees it: until 17 it did not ask. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_set_nulls_not_distinct(index, value) ((index)->nullsnotdistinct = (value))
#else
#define nvmkv_set_nulls_not_distinct(index, value) ((void) (value))
#endif

/* What names columns of the topmost parent, for its child. */
#if PG_VERSION_NUM >= 160000
#define nvmkv_translate_to_child(root, node, child) \
	adjust_appendrel_attrs_multilevel(root, node, child, (child)->top_parent)
#else
#define nvmkv_translate_to_child(root, node, child) \
	adjust_appendrel_attrs_multilevel(root, node, (child)->relids, (child)->top_parent_relids)
#endif

#if PG_VERSION_NUM < 160000
#define vacuum_is_permitted_for_relation(relid, form, options) vacuum_is_relation_owner(relid, form, options)
#endif

/* A query for which no privileges are to be asked. */
#if PG_VERSION_NUM >= 160000
#define nvmkv_forget_permissions(query) \
	do \
	{ \
		ListCell *cell_; \
\
		foreach(cell_, (query)->rteperminfos) \
			lfirst_node(RTEPermissionInfo, cell_)->requiredPerms = 0; \
	} while (0)
#else
#define nvmkv_forget_permissions(query) \
	do \
	{ \
		ListCell *cell_; \
\
		foreach(cell_, (query)->rtable) \
			lfirst_node(RangeTblEntry, cell_)->requiredPerms = 0; \
	} while (0)
#endif

/*
 * Options of EXPLAIN that are ours: the number of what is kept for an EXPLAIN, a name, and who is told that it was
 * named; and what is kept.
 */
#if PG_VERSION_NUM >= 180000
static inline int
nvmkv_register_explain_option(const char *name, ExplainOptionHandler handler)
{
	RegisterExtensionExplainOption(name, handler);
	return GetExplainExtensionId(name);
}
#define nvmkv_explain_state(es, number) GetExplainExtensionState(es, number)
#define nvmkv_set_explain_state(es, number, state) SetExplainExtensionState(es, number, state)
#else
#define nvmkv_register_explain_option(name, handler) ((void) (handler), -1)
#define nvmkv_explain_state(es, number) ((void) (number), (void *) NULL)
#define nvmkv_set_explain_state(es, number, state) ((void) (es), (void) (number), (void) (state))
#endif

/* ---- executor */

#if PG_VERSION_NUM >= 180000
#define nvmkv_before_update_triggers(estate, epq, rel, old_row, slot) \
	ExecBRUpdateTriggers(estate, epq, rel, NULL, old_row, slot, NULL, NULL, false)
#define nvmkv_before_delete_triggers(estate, epq, rel, old_row) \
	ExecBRDeleteTriggers(estate, epq, rel, NULL, old_row, NULL, NULL, NULL, false)
#elif PG_VERSION_NUM >= 160000
#define nvmkv_before_update_triggers(estate, epq, rel, old_row, slot) \
	ExecBRUpdateTriggers(estate, epq, rel, NULL, old_row, slot, NULL, NULL)
#define nvmkv_before_delete_triggers(estate, epq, rel, old_row) \
	ExecBRDeleteTriggers(estate, epq, rel, NULL, old_row, NULL, NULL, NULL)
#else
#define nvmkv_before_update_triggers(estate, epq, rel, old_row, slot) \
	ExecBRUpdateTriggers(estate, epq, rel, NULL, old_row, slot, NULL)
#define nvmkv_before_delete_triggers(estate, epq, rel, old_row) \
	ExecBRDeleteTriggers(estate, epq, rel, NULL, old_row, NULL)
#endif

#if PG_VERSION_NUM >= 160000
#define ri_NumGeneratedNeeded ri_NumGeneratedNeededU /* in an UPDATE */
#define nvmkv_insert_index_tuples(rel, slot, estate) \
	ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL, false)
#else
#define nvmkv_insert_index_tuples(rel, slot, estate) ExecInsertIndexTuples(rel, slot, estate, false, false, NULL, NIL)
#define ExecGetRootToChildMap(rel, estate) ((rel)->ri_RootToPartitionMap)
#endif

/* Of a RETURNING list: does it name the row as it was?  What it is to take for that row, and for the one that is. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_returns_old(returning) (((returning)->pi_state.flags & EEO_FLAG_HAS_OLD) != 0)

static inline void
nvmkv_give_old(ExprState *returning, ExprContext *econtext, TupleTableSlot *row)
{
	econtext->ecxt_oldtuple = row;
	returning->flags &= ~EEO_FLAG_OLD_IS_NULL;
}

static inline void
nvmkv_give_new(ExprState *returning, ExprContext *econtext, TupleTableSlot *row)
{
	econtext->ecxt_newtuple = row;
	returning->flags &= ~EEO_FLAG_NEW_IS_NULL;
}
#else
#define nvmkv_returns_old(returning) ((void) (returning), false)
#define nvmkv_give_old(returning, econtext, row) ((void) (returning), (void) (econtext), (void) (row))
#define nvmkv_give_new(returning, econtext, row) ((void) (returning), (void) (econtext), (void) (row))
#endif

/* The last argument of what is called in place of ExecutorRun(). */
#if PG_VERSION_NUM >= 180000
#define NVMKV_RUN_ONCE_PARAMETER
#define NVMKV_RUN_ONCE
#else
#define NVMKV_RUN_ONCE_PARAMETER , bool once
#define NVMKV_RUN_ONCE , once
#endif

/*
 * Prepares a table's generated columns for an UPDATE, if that is not done before the wrapper begins.  Where there is
 * one list for both, who takes it from the executor for an UPDATE has taken it for rows that are moved here, too.
 */
#define NVMKV_GENERATED_FOR_BOTH (PG_VERSION_NUM < 160000)
#if PG_VERSION_NUM >= 180000
#define nvmkv_init_generated(rel, estate) ExecInitGenerated(rel, estate, CMD_UPDATE)
#elif PG_VERSION_NUM >= 160000
#define nvmkv_init_generated(rel, estate) ExecInitStoredGenerated(rel, estate, CMD_UPDATE)
#else
#define ri_GeneratedExprsU ri_GeneratedExprs
#define nvmkv_init_generated(rel, estate) ((void) 0)
#endif

/* ---- statistics */

#if PG_VERSION_NUM >= 160000
#define nvmkv_count_update(counted) pgstat_count_heap_update(counted, false, false)
#define nvmkv_count_fetched(counted, n) \
	do \
	{ \
		if (pgstat_should_count_relation(counted)) \
			(counted)->pgstat_info->counts.tuples_fetched += (PgStat_Counter) (n); \
	} while (0)
#else
#define nvmkv_count_update(counted) pgstat_count_heap_update(counted, false)
#define nvmkv_count_fetched(counted, n) \
	do \
	{ \
		if (pgstat_should_count_relation(counted)) \
			(counted)->pgstat_info->t_counts.t_tuples_fetched += (PgStat_Counter) (n); \
	} while (0)
#endif

/* An ANALYZE in a table's counters that is none of autovacuum's is to be one that is: what it had before is given. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_move_analyze_time(entry, before) \
	do \
	{ \
		(entry)->total_autoanalyze_time += (entry)->total_analyze_time - (before)->total_analyze_time; \
		(entry)->total_analyze_time = (before)->total_analyze_time; \
	} while (0)
#else
#define nvmkv_move_analyze_time(entry, before) ((void) 0)
#endif
#if PG_VERSION_NUM < 160000
#define last_analyze_time analyze_timestamp
#define last_autoanalyze_time autovac_analyze_timestamp
#define autoanalyze_count autovac_analyze_count
#define mod_since_analyze changes_since_analyze
#endif

/* ---- processes */

/* What pg_database says of one whose DROP DATABASE was interrupted; until 15.3 there was nothing. */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB (-2)
#endif

/* A process's local transaction id. */
#if PG_VERSION_NUM >= 170000
#define nvmkv_lxid(proc) ((proc)->vxid.lxid)
#else
#define nvmkv_lxid(proc) ((proc)->lxid)
#endif

/*
 * An entry of the array of processes that nobody has; NULL: there is none.  For the postmaster, before there are other
 * processes.
 */
#if PG_VERSION_NUM >= 160000
static inline PGPROC *
nvmkv_take_free_process(void)
{
	if (dlist_is_empty(&ProcGlobal->freeProcs))
		return NULL;
	return dlist_container(PGPROC, links, dlist_pop_head_node(&ProcGlobal->freeProcs));
}
#else
static inline PGPROC *
nvmkv_take_free_process(void)
{
	PGPROC *proc = ProcGlobal->freeProcs;

	if (proc != NULL)
		ProcGlobal->freeProcs = (PGPROC *) proc->links.next;
	return proc;
}
#endif

/* It is no session and waits for nothing: parts of what nvmkv_forget_session() does. */
#if PG_VERSION_NUM >= 180000
#define nvmkv_forget_kind(proc) ((proc)->isRegularBackend = false)
#else
#define nvmkv_forget_kind(proc) ((proc)->isBackgroundWorker = false)
#endif
#if PG_VERSION_NUM >= 170000
#define nvmkv_forget_number(proc) ((proc)->vxid.procNumber = INVALID_PROC_NUMBER)
#else
#define nvmkv_forget_number(proc) ((proc)->backendId = InvalidBackendId)
#endif
#if PG_VERSION_NUM >= 160000
#define nvmkv_forget_links(proc) dlist_node_init(&(proc)->links)
#else
#define nvmkv_forget_links(proc) SHMQueueElemInit(&(proc)->links)
#endif

static inline void
nvmkv_forget_session(PGPROC *proc)
{
	nvmkv_forget_links(proc);
	nvmkv_forget_kind(proc);
	nvmkv_forget_number(proc);
	nvmkv_lxid(proc) = InvalidLocalTransactionId;
}

/* Of the list of registered background workers: the loop over it, and the worker that an iterator is at. */
#if PG_VERSION_NUM >= 180000
typedef dlist_iter NvmkvWorkerIter;
#define nvmkv_foreach_worker(iter) dlist_foreach(iter, &BackgroundWorkerList)
#define nvmkv_worker_at(iter) dlist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#else
typedef slist_iter NvmkvWorkerIter;
#define nvmkv_foreach_worker(iter) slist_foreach(iter, &BackgroundWorkerList)
#define nvmkv_worker_at(iter) slist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#endif

#endif
