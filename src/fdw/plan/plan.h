/*
 * plan.h
 *	  Planning of scans: sizes, paths, plans.
 */
#ifndef NVMKV_FDW_PLAN_H
#define NVMKV_FDW_PLAN_H

#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

/* ForeignScan.fdw_private, a list in this order; ForeignScan.fdw_exprs holds the conditions' clauses, after them those
   that entries are tested with, and after them the one on ctid, or CURRENT OF, if there is one (address.h). */
enum NvmkvScanPrivateIndex
{
	NVMKV_SCAN_CONDITIONS, /* List of integer lists: the clauses' place and meaning, see quals.c */
	NVMKV_SCAN_BACKWARD,   /* Boolean: scan from the greatest key down */
	NVMKV_SCAN_ORDERED,	   /* Boolean: the plan relies on the key's order */
	NVMKV_SCAN_ATTRIBUTES, /* integer list: attributes the query uses; 0 whole rows, negative system columns */
	NVMKV_SCAN_SHOWS_CTID, /* Boolean: ctid is in the query's result */
	NVMKV_SCAN_INDEXES,	   /* OID list: none: the table's key; one: that index; else for each arm, 0 for the key */
	NVMKV_SCAN_COVERING,   /* Boolean: the entries of the index have all that is used */
	NVMKV_SCAN_SKIP,	   /* none, or integer list: how many of the conditions bound the scan as a whole; the key's
							  columns that are skipped, from this to before that (skip.h) */
	NVMKV_SCAN_TESTED,	   /* clauses that entries are tested with before rows are read: how many, integer; the
							  attributes in them, integer list */

	/* Only where the scan deletes the rows that it finds (directdelete.h). */
	NVMKV_SCAN_SETS_TAG, /* Boolean: they count for the statement */
	NVMKV_SCAN_MAY_FAIL	 /* Boolean: conditions tested row by row may raise errors */
};

/* How many of fdw_exprs entries are tested with; *address_out: the last one is on ctid. */
extern int nvmkv_scan_tests(const ForeignScan *plan, bool *address_out);

extern void nvmkvGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void nvmkvGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);

/* The plan of a path of a table's. */
extern ForeignScan *nvmkv_scan_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path, List *tlist,
									List *scan_clauses);

/* Does a scan by this path return just the rows that the conditions of "rel" mean, and read nothing but keys for them? */
extern bool nvmkv_path_is_exact(const RelOptInfo *rel, const ForeignPath *path);

extern List *nvmkvReparameterizeForeignPathByChild(PlannerInfo *root, List *fdw_private, RelOptInfo *child_rel);
extern bool nvmkvIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

#endif
