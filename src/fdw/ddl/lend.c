/*
 * lend.c
 *	  One of our tables, for the server a plain table for a moment.
 *
 * The server makes foreign keys, and constraints that can be deferred, of plain and of
 * partitioned tables only, and looks at nothing else of the kind but the table's row in
 * pg_class: it reads columns, indexes and privileges, and writes a constraint and its
 * triggers.
 */
#include "postgres.h"

#include "catalog/pg_am.h"
#include "catalog/pg_class.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/catalogrow.h"
#include "fdw/ddl/lend.h"

static void
show_as(Oid relid, char relkind, Oid relam, Oid relfilenode, Oid reltoastrelid)
{
	NvmkvCatalogRow row;
	Form_pg_class form = nvmkv_class_row(&row, relid);

	form->relkind = relkind;
	form->relam = relam;
	form->relfilenode = relfilenode;
	form->reltoastrelid = reltoastrelid;
	nvmkv_catalog_row_save(&row);
}

/* No file has the name of a table that is not one; and one that seems to have a TOAST table is given none. */
void
nvmkv_lend_table(Oid relid)
{
	show_as(relid, RELKIND_RELATION, HEAP_TABLE_AM_OID, relid, relid);
}

void
nvmkv_return_table(Oid relid)
{
	show_as(relid, RELKIND_FOREIGN_TABLE, InvalidOid, InvalidOid, InvalidOid);
}
