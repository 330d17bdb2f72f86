/*
 * dump_check.c
 *	  Verification of a database that nobody uses: what nvmkv_check does for one
 *	  that is open, and what only opening would find.
 *
 * Asks what an open would (engine/meta/agreement.h), then walks the manifest,
 * the outcome record, every table and every row, of every column family, and
 * the log, and goes on after a finding.  Nothing is opened in the sense of the
 * engine: a log is not replayed, nothing is removed, the pool is not locked.
 */
#include "tools/dump_check.h"

#include <inttypes.h>
#include <string.h>

#include "engine/db/family_file.h"
#include "tools/check_agreement.h"
#include "tools/check_files.h"
#include "tools/check_log.h"
#include "tools/dump_fold.h"

/* Manifest, tables, rows.  pool NULL: level0.pool in "dir". */
static void
check_tree(Check *c, const char *dir, const char *pool)
{
	char beside[PATH_BYTES];
	DumpState state;

	(void) snprintf(beside, sizeof(beside), "%s/CURRENT", dir);
	if (c->agreement != NULL && !port_can_open(beside))
		check_judge(c, dir, NULL);
	(void) snprintf(beside, sizeof(beside), "%s/level0.pool", dir);
	if (dump_fold_current(c->dump, dir, &c->manifest_number, &state))
	{
		c->dir = dir;
		c->live = &state.live;
		check_judge(c, dir, c->live);
		check_damages(c);
		check_outcomes(c, dir);
		check_tables(c);
		check_pool(c, pool != NULL ? pool : beside);
		check_directory(c, dir);
		c->tables += c->live->nfiles;
		c->rows += c->live->nrows;
		c->durable_seq = c->live->durable_seq;
	}
	else
		c->problems++;
	dump_state_free(&state);
}

/* Their directories and pools are named as in db/family_files.c. */
static void
check_families(Check *c, const char *dir, const char *pool)
{
	NvmkvFamilyInfo families[NVMKV_FAMILIES_MAX];
	uint32_t there = 1;
	unsigned count = 0;
	unsigned i;

	if (family_file_read(dir, families, &count) != NVMKV_OK)
	{
		check_failure(c);
		return;
	}
	for (i = 0; i < count; i++)
		there |= UINT32_C(1) << families[i].id;
	if (c->agreement != NULL && agreement_judge_families(c->agreement, there) != NVMKV_OK)
		check_failure(c);
	for (i = 0; i < count; i++)
	{
		char family_dir[PATH_BYTES];
		char family_pool[PATH_BYTES];

		(void) snprintf(family_dir, sizeof(family_dir), "%s/family-%u", dir, families[i].id);
		(void) snprintf(family_pool, sizeof(family_pool), "%s.family-%u", pool != NULL ? pool : "", families[i].id);
		c->family = families[i].id;
		check_tree(c, family_dir, pool != NULL ? family_pool : NULL);
	}
}

void
dump_check(Dump *dump, const char *dir, const char *pool, const char *log_dir)
{
	Check c = {.dump = dump, .log_dir = log_dir != NULL ? log_dir : dir};
	Agreement agreement;
	uint64_t durable_seq;

	if (strlen(dir) > PATH_BYTES / 2 || (pool != NULL && strlen(pool) > PATH_BYTES / 2))
	{
		check_problem(&c, "the name of the directory or the pool is too long");
		return;
	}
	if (agreement_load(&agreement, dir, 0) != NVMKV_OK)
		check_failure(&c);
	else if (check_is_anchored(&agreement, dir))
	{
		agreement.accept = false;
		check_read_control(&agreement, dir);
		c.agreement = &agreement;
	}
	check_tree(&c, dir, pool);
	durable_seq = c.durable_seq;
	check_families(&c, dir, pool);
	c.problems += dump_lost_end(dump, &c.lost);
	c.durable_seq = durable_seq;
	check_logs(&c);
	fprintf(dump->out, "tables %" PRIu64 ", rows %" PRIu64 ", logs %u with %" PRIu64 " records: %" PRIu64 " problems\n",
			c.tables, c.rows, c.nlogs, c.records, c.problems);
}
