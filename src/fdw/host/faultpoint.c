/*
 * faultpoint.c
 *	  Failures on demand: see faultpoint.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "engine/port/port.h"
#include "fdw/host/faultpoint.h"

#ifdef USE_ASSERT_CHECKING

typedef struct Fault
{
	char point[64];
	NvmkvStatus status;
	char process[64]; /* "": all */
} Fault;

static char *fail_at = NULL;
static Fault fault;

static NvmkvStatus
strike(const char *point)
{
	if (strcmp(point, fault.point) != 0 ||
		(fault.process[0] != '\0' && strcmp(fault.process, GetBackendTypeDesc(MyBackendType)) != 0))
		return NVMKV_OK;
	return NVMKV_FAIL(fault.status, "\"nvmkv.fail_at\" lets \"%s\" fail: %s", point,
					  fault.status == NVMKV_NO_SPACE	? "no space left"
					  : fault.status == NVMKV_NO_MEMORY ? "out of memory"
														: "input/output error");
}

/* False: it is no such text. */
static bool
parse(const char *setting, Fault *fault_out)
{
	char status[16];

	memset(fault_out, 0, sizeof(*fault_out));
	if (*setting == '\0')
		return true;
	if (sscanf(setting, "%63s %15s %63[^\n]", fault_out->point, status, fault_out->process) < 2)
		return false;
	if (strcmp(status, "io") == 0)
		fault_out->status = NVMKV_IO;
	else if (strcmp(status, "no_space") == 0)
		fault_out->status = NVMKV_NO_SPACE;
	else if (strcmp(status, "no_memory") == 0)
		fault_out->status = NVMKV_NO_MEMORY;
	else
		return false;
	return true;
}

static bool
check_fail_at(char **newval, void **extra, GucSource source)
{
	Fault parsed;

	return parse(*newval, &parsed);
}

static void
assign_fail_at(const char *newval, void *extra)
{
	if (!parse(newval, &fault)) /* cannot be: it was checked */
		fault.point[0] = '\0';
	port_fault_hook = fault.point[0] != '\0' ? strike : NULL;
}

void
nvmkv_faultpoint_init(void)
{
	DefineCustomStringVariable("nvmkv.fail_at", "Lets a step of the engine fail, for tests.", NULL, &fail_at, "",
							   PGC_SIGHUP, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, check_fail_at, assign_fail_at, NULL);
}

#else

void
nvmkv_faultpoint_init(void)
{
}

#endif
