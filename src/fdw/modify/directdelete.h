/*
 * directdelete.h
 *	  DELETE of one table by the scan itself, several rows at a time.
 *
 * What the executor does with each row of a DELETE - it has the scan make the whole row, the wrapper take it apart
 * again, find its key and claim it - is not needed where nobody wants to see the row.  There the scan goes on to delete
 * what it finds ("Foreign Delete" in EXPLAIN), in batches of up to 64 rows with one record each.
 *
 * THE PLAN allows it when the rows that are deleted are looked at by nobody: no row triggers and so no foreign keys
 * that reference the table, no RETURNING, no transition tables; when no other relation takes part, so that a row that
 * has changed meanwhile can be tested again by the scan's own conditions; and, since rows that are kept back are not
 * locked yet, when nothing in the conditions takes time on purpose, waits or writes (insertplan.h).  Subqueries, WITH,
 * and conditions on ctid, which mean few rows, take the way of the executor.
 *
 * NOBODY CAN TELL.  Within the statement only functions that are not volatile are called, whose snapshots do not show
 * what this command deletes.  All rows that were found before one that has to be waited for are written before the
 * wait, and none that was found after it, as on a heap: who waits holds what he would hold there.  If conditions that
 * are tested row by row can raise errors, each row is looked at when it is found, so that what a row before has to
 * wait for, or fail by, comes first; else the look under the latches is the only one.  A batch does not outlive the
 * call that reads the scan to its end; an ERROR leaves versions of an aborted transaction, as in any statement.
 */
#ifndef NVMKV_FDW_DIRECTDELETE_H
#define NVMKV_FDW_DIRECTDELETE_H

#include "postgres.h"

#include "foreign/fdwapi.h"

/* Sets the callbacks in the wrapper's routine. */
extern void nvmkv_direct_delete_callbacks(FdwRoutine *routine);

#endif
