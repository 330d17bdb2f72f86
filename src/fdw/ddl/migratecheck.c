/*
 * migratecheck.c
 *	  What keeps a heap table from becoming one of ours.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/policy.h"
#include "utils/lsyscache.h"
#include "utils/reltrigger.h"

#include "fdw/compat/compat.h"
#include "fdw/ddl/migratecheck.h"

static void
refuse(Relation rel, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" cannot become a foreign table", RelationGetRelationName(rel)),
			 errdetail("%s", detail)));
}

/* ---------------------------------------------------------------- parts */

static void
check_table(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		refuse(rel, "It is not an ordinary table.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		refuse(rel, "It is a temporary table.");
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		refuse(rel, "It is an unlogged table.");
	if (OidIsValid(rel->rd_rel->reloftype))
		refuse(rel, "It is a typed table.");
	if (rel->rd_rel->relreplident != REPLICA_IDENTITY_DEFAULT)
		refuse(rel, "It has a replica identity that is not the default.");
	if (rel->rd_rel->relrowsecurity || rel->rd_rel->relforcerowsecurity || relation_has_policies(rel))
		refuse(rel, "It has row security.");
}

static void
check_rules(Relation rel)
{
	ObjectAddress address;

	if (rel->rd_rules == NULL || rel->rd_rules->numLocks == 0)
		return;
	ObjectAddressSet(address, RewriteRelationId, rel->rd_rules->rules[0]->ruleId);
	refuse(rel, psprintf("It has %s.", getObjectDescription(&address, false)));
}

static void
check_publications(Relation rel)
{
	List *publications = GetRelationPublications(RelationGetRelid(rel));

	if (publications != NIL)
		refuse(rel, psprintf("It is in publication \"%s\".", get_publication_name(linitial_oid(publications), false)));
}

/* Those of foreign keys become ours. */
static void
check_triggers(Relation rel)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgisinternal)
			continue;
		if (OidIsValid(trigger->tgconstraint))
			refuse(rel, psprintf("Trigger \"%s\" is a constraint trigger.", trigger->tgname));
		if (TRIGGER_USES_TRANSITION_TABLE(trigger->tgoldtable) || TRIGGER_USES_TRANSITION_TABLE(trigger->tgnewtable))
			refuse(rel, psprintf("Trigger \"%s\" has transition tables.", trigger->tgname));
		if (TRIGGER_FOR_TRUNCATE(trigger->tgtype) && !NVMKV_FOREIGN_TRUNCATE_TRIGGERS)
			refuse(rel, psprintf("Trigger \"%s\" is for TRUNCATE.", trigger->tgname));
	}
}

static void
check_indexes(Relation rel)
{
	ListCell *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessExclusiveLock);
		const char *name = RelationGetRelationName(index);

		if (index->rd_rel->relam != BTREE_AM_OID)
			refuse(rel, psprintf("Index \"%s\" is not a B-tree.", name));
		if (index->rd_index->indisexclusion)
			refuse(rel, psprintf("Constraint \"%s\" is an exclusion constraint.", name));
		index_close(index, NoLock);
	}
}

/* ---------------------------------------------------------------- all */

void
nvmkv_refuse_migration(Relation rel)
{
	check_table(rel);
	check_rules(rel);
	check_publications(rel);
	check_triggers(rel);
	check_indexes(rel);
}
