/*
 * addcolumn.h
 *	  Values of columns that ALTER TABLE has added, in rows that are there.
 */
#ifndef NVMKV_FDW_ADDCOLUMN_H
#define NVMKV_FDW_ADDCOLUMN_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "fdw/ddl/tablebefore.h"

/*
 * Takes out of the statement, and returns, the commands that give a column a default or make it an identity which the
 * statement adds itself.  On a heap table they are for later rows, those that are there get what ADD COLUMN says; so
 * they are executed when that has been done.
 */
extern List *nvmkv_take_later_defaults(AlterTableStmt *stmt);

/* Are there any? */
extern bool nvmkv_has_later_defaults(const AlterTableStmt *stmt);

/* Does the command give rows that are there a value in a new column?  Defaults of types are not looked for. */
extern bool nvmkv_adds_value(Oid relid, const AlterTableCmd *cmd);

/*
 * After the server has added the column: notes that rows have to be written anew if its value is not the same for all
 * of them.
 */
extern void nvmkv_note_new_column(NvmkvTableBefore *before, Relation rel, AttrNumber attnum);

/*
 * When this has been asked for all columns: gives the rows the column's value, be it by their being written anew.
 * ERROR as of ADD COLUMN on a heap table.
 */
extern void nvmkv_fill_new_column(NvmkvTableBefore *before, Relation rel, AttrNumber attnum);

#endif
