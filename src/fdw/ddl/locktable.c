/*
 * locktable.c
 *	  LOCK TABLE of foreign tables.
 *
 * The server refuses to lock a foreign table by name, and passes it over where
 * it is in a view that is locked.  The lock itself is the server's, on the
 * relation: every statement takes one of them on each table it uses, whatever
 * its kind.  This follows LockTableCommand() and what it calls.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "fdw/ddl/locktable.h"
#include "fdw/table/table.h"

static AclMode
needed_rights(LOCKMODE mode)
{
	if (mode == AccessShareLock)
		return ACL_SELECT;
	if (mode == RowExclusiveLock)
		return ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
	return ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
}

static void
check_rights(Oid relid, LOCKMODE mode, Oid user)
{
	AclResult result = pg_class_aclcheck(relid, user, needed_rights(mode));

	if (result != ACLCHECK_OK)
		aclcheck_error(result, get_relkind_objtype(get_rel_relkind(relid)), get_rel_name(relid));
}

bool
nvmkv_lock_names_ours(const RangeVar *relation)
{
	Oid relid = RangeVarGetRelid(relation, NoLock, true);

	return OidIsValid(relid) && nvmkv_is_our_relid(relid);
}

static bool
is_view(const RangeVar *relation)
{
	Oid relid = RangeVarGetRelid(relation, NoLock, true);

	return OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW;
}

bool
nvmkv_lock_concerns_ours(const LockStmt *stmt)
{
	ListCell *lc;

	foreach(lc, stmt->relations)
	{
		if (nvmkv_lock_names_ours(lfirst(lc)) || is_view(lfirst(lc)))
			return true;
	}
	return false;
}

static void
lock_relation(Oid relid, const LockStmt *stmt)
{
	char *name;

	if (!stmt->nowait)
	{
		LockRelationOid(relid, stmt->mode);
		return;
	}
	if (ConditionalLockRelationOid(relid, stmt->mode))
		return;
	name = get_rel_name(relid);
	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("could not obtain lock on relation \"%s\"", name)));
}

static void
lock_children(Oid relid, const LockStmt *stmt)
{
	ListCell *lc;

	foreach(lc, find_all_inheritors(relid, NoLock, NULL))
	{
		if (lfirst_oid(lc) != relid)
			lock_relation(lfirst_oid(lc), stmt);
	}
}

static void
before_lock(const RangeVar *relation, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid))
		check_rights(relid, *(const LOCKMODE *) arg, GetUserId());
}

void
nvmkv_lock_table(const LockStmt *stmt, const RangeVar *relation)
{
	LOCKMODE mode = stmt->mode;
	Oid relid = RangeVarGetRelidExtended(relation, mode, stmt->nowait ? RVR_NOWAIT : 0, before_lock, &mode);

	if (relation->inh)
		lock_children(relid, stmt);
}

/* ---------------------------------------------------------------- views */

typedef struct ViewLocks
{
	const LockStmt *stmt;
	Oid user; /* whose rights count */
	Oid view;
	List *views; /* that are being looked into */
} ViewLocks;

static void lock_in_view(Oid view, const LockStmt *stmt, List *views);

static bool
is_placeholder(const RangeTblEntry *rte, Oid view)
{
	return rte->relid == view && (strcmp(rte->eref->aliasname, "old") == 0 || strcmp(rte->eref->aliasname, "new") == 0);
}

static bool
lock_in_node(Node *node, void *context)
{
	ViewLocks *locks = context;
	ListCell *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, lock_in_node, context);

	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind != RTE_RELATION || is_placeholder(rte, locks->view))
			continue;
		if (rte->relkind == RELKIND_VIEW && !list_member_oid(locks->views, rte->relid))
			lock_in_view(rte->relid, locks->stmt, locks->views);
		else if (rte->relkind == RELKIND_FOREIGN_TABLE && nvmkv_is_our_relid(rte->relid))
		{
			check_rights(rte->relid, locks->stmt->mode, locks->user);
			lock_relation(rte->relid, locks->stmt);
			if (rte->inh)
				lock_children(rte->relid, locks->stmt);
		}
	}
	return query_tree_walker((Query *) node, lock_in_node, context, QTW_IGNORE_JOINALIASES);
}

static void
lock_in_view(Oid view, const LockStmt *stmt, List *views)
{
	Relation rel = table_open(view, NoLock);
	ViewLocks locks = {
		.stmt = stmt,
		.user = RelationHasSecurityInvoker(rel) ? GetUserId() : rel->rd_rel->relowner,
		.view = view,
		.views = lappend_oid(list_copy(views), view),
	};

	(void) lock_in_node((Node *) get_view_query(rel), &locks);
	table_close(rel, NoLock);
}

void
nvmkv_lock_under_view(const LockStmt *stmt, const RangeVar *relation)
{
	if (is_view(relation))
		lock_in_view(RangeVarGetRelid(relation, NoLock, false), stmt, NIL);
}
