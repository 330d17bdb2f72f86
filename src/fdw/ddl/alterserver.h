/*
 * alterserver.h
 *	  ALTER SERVER of a server that has tables.
 */
#ifndef NVMKV_FDW_ALTERSERVER_H
#define NVMKV_FDW_ALTERSERVER_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* The tables of our server, if the statement gives its options; NIL: it has none, or is not ours. */
extern List *nvmkv_reoptioned_tables(const AlterForeignServerStmt *stmt, Oid *serverid_out);

/* The name of the column family that new tables of the server are in. */
extern char *nvmkv_family_of_server(Oid serverid);

/*
 * After the server's part: tables stay in the family they were made in, a later TRUNCATE must not take one to another.
 * ERROR 0A000 if the family is another now.
 */
extern void nvmkv_alter_server_finish(Oid serverid, const char *family, List *relids);

#endif
