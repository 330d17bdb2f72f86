/*
 * alterserver.c
 *	  ALTER SERVER of a server that has tables.
 */
#include "postgres.h"

#include "access/xact.h"
#include "foreign/foreign.h"
#include "utils/lsyscache.h"

#include "fdw/ddl/alterserver.h"
#include "fdw/host/familyoption.h"
#include "fdw/table/option.h"
#include "fdw/table/table.h"

List *
nvmkv_reoptioned_tables(const AlterForeignServerStmt *stmt, Oid *serverid_out)
{
	List *relids = NIL;
	ListCell *lc;

	*serverid_out = get_foreign_server_oid(stmt->servername, true);
	if (stmt->options == NIL || !OidIsValid(*serverid_out))
		return NIL;
	foreach(lc, nvmkv_our_relids())
	{
		if (GetForeignTable(lfirst_oid(lc))->serverid == *serverid_out)
			relids = lappend_oid(relids, lfirst_oid(lc));
	}
	return relids;
}

char *
nvmkv_family_of_server(Oid serverid)
{
	const char *name = nvmkv_option_string(GetForeignServer(serverid)->options, NVMKV_OPTION_COLUMN_FAMILY);

	return pstrdup(name != NULL ? name : NVMKV_FAMILY_DEFAULT_NAME);
}

void
nvmkv_alter_server_finish(Oid serverid, const char *family, List *relids)
{
	CommandCounterIncrement();
	if (strcmp(nvmkv_family_of_server(serverid), family) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change option \"%s\" of server \"%s\" because it has foreign tables",
						NVMKV_OPTION_COLUMN_FAMILY, GetForeignServer(serverid)->servername),
				 errdetail("Foreign table \"%s\" is in column family \"%s\".", get_rel_name(linitial_oid(relids)), family),
				 errhint("Create another server with that column family.")));
}
