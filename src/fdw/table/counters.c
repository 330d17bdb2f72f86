/*
 * counters.c
 *	  What is done to tables and indexes, in the server's cumulative statistics.
 *
 * The server counts for relations that have files, and has the counters in the
 * relation's cached description.  It opens foreign tables and our indexes without
 * them; but whatever counts, and reports at the end of a transaction, goes by the
 * OID alone.  So a description that only has what is needed for that stands in
 * for the cached one.  It stays for the life of the process, because the server's
 * counters refer to it until they are reported.
 *
 * Who is dropped loses them in the same way as any relation.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "fdw/table/counters.h"

typedef struct Counted
{
	Oid relid; /* key */
	RelationData relation;
	FormData_pg_class form;
} Counted;

static HTAB *counted_relations = NULL;

Relation
nvmkv_counted(Oid relid)
{
	Counted *counted;
	bool found;

	if (counted_relations == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Counted), .hcxt = TopMemoryContext};

		counted_relations = hash_create("nvmkv counters", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	counted = hash_search(counted_relations, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset(&counted->relation, 0, sizeof(counted->relation));
		memset(&counted->form, 0, sizeof(counted->form));
		counted->relation.rd_id = relid;
		counted->relation.rd_rel = &counted->form;
	}
	counted->relation.pgstat_enabled = pgstat_track_counts;
	if (!pgstat_track_counts)
		pgstat_unlink_relation(&counted->relation);
	return &counted->relation;
}
