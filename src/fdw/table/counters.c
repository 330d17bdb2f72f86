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
 *
 * One description at a time may be linked with a relation's pending counters.  A table that has become ours, or is so
 * again after a rollback, takes the link from the server's; one that is no longer ours gives it up.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"

#include "fdw/compat/compat.h"
#include "fdw/table/counters.h"

typedef struct Counted
{
	Oid relid; /* key */
	RelationData relation;
	FormData_pg_class form;
} Counted;

static HTAB *counted_relations = NULL;
static List *changed_kinds = NIL; /* in this transaction; in its memory */

/* Whichever description is linked with the relation's counters is no more. */
static void
unlink_counters(Oid relid)
{
	PgStat_EntryRef *entry = pgstat_fetch_pending_entry(PGSTAT_KIND_RELATION, MyDatabaseId, relid);
	PgStat_TableStatus *pending = entry != NULL ? entry->pending : NULL;

	if (pending != NULL && pending->relation != NULL)
		pgstat_unlink_relation(pending->relation);
}

/* While the server's descriptions are as they were: it forgets the link of what has no file any more. */
static void
kinds_change_back(void)
{
	ListCell *lc;

	foreach(lc, changed_kinds)
		unlink_counters(lfirst_oid(lc));
}

static void
transaction_ends(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		kinds_change_back();
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		changed_kinds = NIL;
}

static void
subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		kinds_change_back();
}

void
nvmkv_counted_change_kind(Oid relid)
{
	static bool registered = false;
	MemoryContext old_context;

	if (!registered)
	{
		RegisterXactCallback(transaction_ends, NULL);
		RegisterSubXactCallback(subtransaction_ends, NULL);
		registered = true;
	}
	unlink_counters(relid);
	old_context = MemoryContextSwitchTo(TopTransactionContext);
	changed_kinds = list_append_unique_oid(changed_kinds, relid);
	MemoryContextSwitchTo(old_context);
}

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
	else if (counted->relation.pgstat_info == NULL)
		unlink_counters(relid);
	return &counted->relation;
}

void
nvmkv_counters(Oid relid, PgStat_StatTabEntry *out)
{
	const PgStat_StatTabEntry *entry = pgstat_fetch_stat_tabentry(relid);

	if (entry != NULL)
		*out = *entry;
	else
		memset(out, 0, sizeof(*out));
}

void
nvmkv_count_autoanalyze(Oid relid, const PgStat_StatTabEntry *before)
{
	PgStat_EntryRef *ref = pgstat_get_entry_ref_locked(PGSTAT_KIND_RELATION, MyDatabaseId, relid, false);
	PgStat_StatTabEntry *entry = &((PgStatShared_Relation *) ref->shared_stats)->stats;

	/* Not if somebody has reset the counters since. */
	if (entry->analyze_count == before->analyze_count + 1)
	{
		entry->autoanalyze_count++;
		entry->analyze_count--;
		entry->last_autoanalyze_time = entry->last_analyze_time;
		entry->last_analyze_time = before->last_analyze_time;
		nvmkv_move_analyze_time(entry, before);
	}
	pgstat_unlock_entry(ref);
}
