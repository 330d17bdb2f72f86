/*
 * autoanalyze.c
 *	  ANALYZE of tables that have changed enough, as autovacuum's of heap tables.
 *
 * Autovacuum looks at relations with files only.  The rules here are those of its
 * relation_needs_vacanalyze() and table_recheck_autovac(): the settings are
 * autovacuum's, or the table's own; a table that somebody has locked is left for
 * the next time; what is in the counters is looked at again under the lock, for
 * another may have analyzed it meanwhile.  Partitioned tables are not analyzed by
 * autovacuum, either.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_table.h"
#include "commands/dbcommands.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "storage/lmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/pg_rusage.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "fdw/admin/autoanalyze.h"
#include "fdw/compat/compat.h"
#include "fdw/table/autovacuum.h"
#include "fdw/table/counters.h"
#include "fdw/table/table.h"

/* ---------------------------------------------------------------- which */

/* False: it has been dropped. */
static bool
read_settings(Oid relid, AutoVacOpts *settings)
{
	HeapTuple tuple = SearchSysCache1(FOREIGNTABLEREL, ObjectIdGetDatum(relid));
	bool none;
	Datum options;

	if (!HeapTupleIsValid(tuple))
		return false;
	options = SysCacheGetAttr(FOREIGNTABLEREL, tuple, Anum_pg_foreign_table_ftoptions, &none);
	*settings = nvmkv_autovacuum_settings(none ? NIL : untransformRelOptions(options));
	ReleaseSysCache(tuple);
	return true;
}

/* False, too, if it has been dropped, or is a table of somebody else's now. */
static bool
is_to_be_analyzed(Oid relid, AutoVacOpts *settings)
{
	HeapTuple tuple;
	PgStat_StatTabEntry counters;
	double tuples, threshold, scale;

	/* Most tables have not changed at all, and of those nothing is looked up. */
	nvmkv_counters(relid, &counters);
	if (counters.mod_since_analyze == 0)
		return false;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	tuples = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
	ReleaseSysCache(tuple);
	if (!nvmkv_is_our_relid(relid) || !read_settings(relid, settings) || !settings->enabled)
		return false;
	threshold = settings->analyze_threshold >= 0 ? settings->analyze_threshold : autovacuum_anl_thresh;
	scale = settings->analyze_scale_factor >= 0 ? settings->analyze_scale_factor : autovacuum_anl_scale;
	return (double) counters.mod_since_analyze > threshold + scale * Max(tuples, 0);
}

static bool
is_wanted(Oid relid)
{
	AutoVacOpts settings;

	return is_to_be_analyzed(relid, &settings);
}

List *
nvmkv_tables_to_analyze(void)
{
	return nvmkv_foreign_relids(is_wanted);
}

/* ---------------------------------------------------------------- one */

/* To the end of the transaction. */
static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

/* Those of the table, of autovacuum, or, where neither has any, of every VACUUM. */
static void
set_costs(const AutoVacOpts *settings)
{
	double delay = settings->vacuum_cost_delay >= 0 ? settings->vacuum_cost_delay : autovacuum_vac_cost_delay;
	int limit = settings->vacuum_cost_limit > 0 ? settings->vacuum_cost_limit : autovacuum_vac_cost_limit;

	if (delay >= 0)
		set_local("vacuum_cost_delay", psprintf("%g", delay));
	if (limit > 0)
		set_local("vacuum_cost_limit", psprintf("%d", limit));
}

static void
execute_analyze(Oid relid)
{
	ParseState *pstate = make_parsestate(NULL);
	VacuumStmt *stmt = makeNode(VacuumStmt);

	stmt->rels = list_make1(makeVacuumRelation(NULL, relid, NIL));
	ExecVacuum(pstate, stmt, true);
	free_parsestate(pstate);
}

static void
say_in_context(void *name)
{
	errcontext("automatic analyze of table \"%s\"", (const char *) name);
}

void
nvmkv_autoanalyze(Oid relid)
{
	ErrorContextCallback context = {.previous = error_context_stack, .callback = say_in_context};
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	const char *name = get_rel_name(relid);
	PgStat_StatTabEntry before;
	AutoVacOpts settings;
	TimestampTz started = GetCurrentTimestamp();
	PGRUsage usage;
	char *full_name;
	char *activity;
	int log_min_duration;

	if (name == NULL || schema == NULL || !is_to_be_analyzed(relid, &settings))
		return;
	log_min_duration = settings.log_min_duration >= 0 ? settings.log_min_duration : Log_autovacuum_min_duration;
	if (!ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
	{
		if (log_min_duration >= 0)
			ereport(LOG,
					(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
					 errmsg("skipping analyze of \"%s\" --- lock not available", name)));
		return;
	}
	if (!is_to_be_analyzed(relid, &settings))
		return;

	full_name = psprintf("%s.%s.%s", get_database_name(MyDatabaseId), schema, name);
	activity = psprintf("autovacuum: ANALYZE %s.%s", schema, name);
	context.arg = full_name;
	error_context_stack = &context;
	pg_rusage_init(&usage);
	pgstat_report_activity(STATE_RUNNING, activity);
	set_costs(&settings);
	nvmkv_counters(relid, &before);
	execute_analyze(relid);
	nvmkv_count_autoanalyze(relid, &before);
	error_context_stack = context.previous;

	if (log_min_duration == 0 ||
		(log_min_duration > 0 && TimestampDifferenceExceeds(started, GetCurrentTimestamp(), log_min_duration)))
		ereport(LOG,
				(errmsg("automatic analyze of table \"%s\"\nsystem usage: %s", full_name, pg_rusage_show(&usage))));
}
