/*
 * life.c
 *	  See life.h.
 */
#include "crash/life.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/faults.h"
#include "crash/script.h"
#include "engine/port/port.h"

LossyTally life_sectors;
LineTally life_lines;

/* Leaks count as failures where the build can find them; looking takes long. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Plays the script in a child.  true: it ended as it should; *killed_out: by the fault. */
static bool
run_child(Rig *rig, uint64_t seed, bool *killed_out)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		int code;

		faults_arm();
		code = script_play(rig, seed);
		port_fault_hook = NULL;
		if (code == 0 && fault.seed % 8 == 0 && __lsan_do_recoverable_leak_check != NULL)
		{
			lossy_reset(0);
			if (__lsan_do_recoverable_leak_check() != 0)
				code = EXIT_WRONG;
		}
		fflush(NULL);
		_exit(code);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	*killed_out = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_KILLED;
	if (WIFSIGNALED(status))
		fprintf(stderr, "    the child died of signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || *killed_out);
}

static void
print_problem(void *ctx, const char *where, const char *text)
{
	++*(unsigned *) ctx;
	fprintf(stderr, "    check: %s: %s\n", where, text);
}

/* Opens what the child left, compares, goes on with it, opens again. */
static bool
recovers(Rig *rig)
{
	NvmkvStats stats;
	unsigned problems = 0;
	uint64_t last;
	uint32_t i;

	if (rig_open(rig) != NVMKV_OK)
	{
		fprintf(stderr, "    does not open: %s\n", nvmkv_error()->text);
		return false;
	}
	if (!script_look_at_families(rig->db))
		return false;
	nvmkv_stats(rig->db, &stats);
	last = stats.last_sequence;
	if (last < record->synced || last > record->attempted)
	{
		fprintf(stderr, "    recovered up to %" PRIu64 ", not within %" PRIu64 " .. %" PRIu64 "\n", last, record->synced, record->attempted);
		return false;
	}
	if (!script_holds(rig->db, last, false) || !script_holds(rig->db, last, true))
		return false;
	if (nvmkv_check(rig->db, print_problem, &problems) != NVMKV_OK || problems > 0)
		return false;
	while (record->nwrites > 0 && record->writes[record->nwrites - 1].seq > last)
		record->nwrites--;
	record->assigned = record->attempted = last;
	for (i = 0; i < 5; i++)
		script_write(rig->db);
	if (nvmkv_flush_all(rig->db) != NVMKV_OK || nvmkv_compact_all(rig->db) != NVMKV_OK || rig_reopen(rig) != NVMKV_OK)
	{
		fprintf(stderr, "    after recovery: %s\n", nvmkv_error()->text);
		return false;
	}
	return script_holds(rig->db, record->assigned, false);
}

static void
add_tallies(void)
{
	unsigned k;

	for (k = 0; k < LOSSY_KINDS; k++)
	{
		life_sectors.kept[k] += record->tally.kept[k];
		life_sectors.reverted[k] += record->tally.reverted[k];
		life_sectors.garbled[k] += record->tally.garbled[k];
		life_sectors.names_lost[k] += record->tally.names_lost[k];
		life_sectors.names_back[k] += record->tally.names_back[k];
	}
	life_lines.kept += record->lines.kept;
	life_lines.reverted += record->lines.reverted;
	life_lines.torn += record->lines.torn;
	life_lines.header += record->lines.header;
	life_lines.log += record->lines.log;
}

bool
life_with(const Fault *f, uint64_t seed)
{
	Rig rig;
	bool killed = false;
	bool good;

	fault = *f;
	memset(record, 0, offsetof(Record, writes));
	rig_init(&rig);
	rig.options.max_write_buffers = 4;
	if (life.pool_without_container)
		rig.options.nvm_bytes = 0;
	if (life.with_families)
		rig.options.max_families = FAMILIES;
	good = run_child(&rig, seed, &killed);
	add_tallies();
	fault.kind = FAULT_NONE;
	if (good)
	{
		PortFileOps quick = lossy_files;

		/* Recovery is watched by nobody: nothing needs to be really synced. */
		lossy_reset(0);
		lossy_hook = NULL;
		lossy_fail = NULL;
		port_files = &quick;
		good = recovers(&rig);
		rig_close(&rig);
		port_files = &port_posix_files;
		lossy_reset(0);
	}
	if (!good)
		fprintf(stderr, "    fault: kind %d, point %s, at %" PRIu64 ", seed %" PRIu64 ", script seed %" PRIu64 "\n", (int) f->kind,
				f->point != NULL ? f->point : "-", f->at, f->seed, seed);
	rig_remove(&rig);
	return good;
}

void
life_print_tally(void)
{
	unsigned k;

	for (k = 0; k < LOSSY_KINDS; k++)
		printf("%-8s sectors kept %" PRIu64 ", reverted %" PRIu64 ", of them garbled %" PRIu64 "; names lost %" PRIu64
			   ", back %" PRIu64 "\n",
			   lossy_kind_name((LossyKind) k), life_sectors.kept[k], life_sectors.reverted[k], life_sectors.garbled[k],
			   life_sectors.names_lost[k], life_sectors.names_back[k]);
	printf("lines kept %" PRIu64 ", reverted %" PRIu64 ", torn %" PRIu64 ", in the header %" PRIu64 ", in the log %" PRIu64
		   "\n",
		   life_lines.kept, life_lines.reverted, life_lines.torn, life_lines.header, life_lines.log);
}
