/*
 * altertype.h
 *	  ALTER TABLE ... ALTER COLUMN TYPE, before the server changes the column.
 */
#ifndef NVMKV_FDW_ALTERTYPE_H
#define NVMKV_FDW_ALTERTYPE_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "fdw/ddl/tablebefore.h"

/*
 * The expression of USING, of columns of the table; NULL: there is none.  The server is not shown it: it refuses it for
 * foreign tables.  Errors as the server's.
 */
extern Node *nvmkv_parse_using(Relation rel, const AlterTableCmd *cmd, const char *query_string);

/* Takes USING out of all commands of the statement. */
extern void nvmkv_take_using(AlterTableStmt *stmt);

/*
 * Notes what becomes of the rows when the column gets its new type.  using is of the columns of the table "parent",
 * which the command names.  What is not ours to say, the server says in its turn.
 */
extern void nvmkv_note_type_change(NvmkvTableBefore *before, Relation rel, const AlterTableCmd *cmd, Node *using,
								   Relation parent);

#endif
