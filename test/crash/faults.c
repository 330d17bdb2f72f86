/*
 * faults.c
 *	  See faults.h.
 */
#include "crash/faults.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash/lines.h"
#include "crash/record.h"

bool fault_recovering;
bool fault_over;

static uint64_t fault_hits;

static NvmkvStatus
at_point(const char *point)
{
	uint32_t i;

	if (fault.kind == FAULT_NONE)
	{
		for (i = 0; i < record->npoints && strcmp(record->points[i].name, point) != 0; i++)
			;
		if (i == record->npoints && i < POINTS_MAX)
			snprintf(record->points[record->npoints++].name, sizeof(record->points[0].name), "%s", point);
		record->points[i].hits++;
		return NVMKV_OK;
	}
	if (fault.kind == FAULT_POWER_RECOVERY && !fault_recovering)
		return NVMKV_OK;
	if (fault.point == NULL || strcmp(point, fault.point) != 0 || ++fault_hits != fault.at)
		return NVMKV_OK;
	if (fault.kind == FAULT_POWER_RECOVERY)
		lossy_crash();
	if (fault.kind == FAULT_POWER_RECOVERY || fault.kind == FAULT_KILL)
		_exit(EXIT_KILLED);
	if (fault.kind == FAULT_SPACE)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space at %s", point);
	return NVMKV_FAIL(strcmp(point, "port.alloc") == 0 ? NVMKV_NO_MEMORY : NVMKV_IO, "fault at %s", point);
}

static void
at_operation(uint64_t operation)
{
	record->operations = operation;
	if (fault.kind == FAULT_POWER && operation == fault.at)
	{
		lossy_crash();
		_exit(EXIT_KILLED);
	}
}

/* Remembers some of all syncs: the last moments at which what they sync can be lost. */
static NvmkvStatus
note_sync(uint64_t operation, const char *what, const char *path)
{
	LossyKind kind = lossy_kind(path);
	uint64_t n;

	if (strcmp(what, "sync") != 0)
		return NVMKV_OK;
	n = record->nsyncs[kind]++;
	if (n >= SYNCS_MAX)
		n = chance(n + 1);
	if (n < SYNCS_MAX)
		record->syncs[kind][n] = operation;
	return NVMKV_OK;
}

static NvmkvStatus
fail_operation(uint64_t operation, const char *what, const char *path)
{
	bool allocates = strcmp(what, "write") == 0 || strcmp(what, "preallocate") == 0 || strcmp(what, "create") == 0;

	if (fault_over || operation < fault.at || (fault.kind == FAULT_FILE && operation > fault.at))
		return NVMKV_OK;
	if (fault.kind == FAULT_SPACES)
		return allocates ? NVMKV_FAIL(NVMKV_NO_SPACE, "no space for %s of \"%s\"", what, path) : NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "%s of \"%s\" fails", what, path);
}

void
faults_arm(void)
{
	fault_hits = 0;
	fault_over = false;
	chance_seed(fault.seed);
	lossy_reset(fault.seed + 1);
	lossy_tally = &record->tally;
	lossy_hook = at_operation;
	if (fault.kind == FAULT_FILE || fault.kind == FAULT_FILES || fault.kind == FAULT_SPACES)
		lossy_fail = fail_operation;
	if (fault.kind == FAULT_NONE)
		lossy_fail = note_sync;
	if (fault.kind == FAULT_POWER_LINES)
	{
		lossy_hook = NULL;
		lossy_ignore_content("level0.pool");
		nvm_device_hook = lines_watch;
	}
	lossy_overwritten("level0.pool");
	if (life.mapped_log)
		log_map_ops = &lines_log;
	port_files = &lossy_files;
	port_fault_hook = at_point;
}
