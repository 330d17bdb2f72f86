/*
 * nvmkv_upgrade.c
 *	  The program; see upgrade.h.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/port/port.h"
#include "tools/upgrade.h"

static const char usage[] =
	"usage: nvmkv_upgrade OLD NEW [--copy|--link] [--check]\n"
	"Brings the files of foreign tables from the data directory OLD to NEW, which pg_upgrade has made of it; both\n"
	"servers are stopped.  To be run as the user of the servers, after pg_upgrade, before NEW is started.\n"
	"       --copy     copies them: OLD can be used as before (default)\n"
	"       --link     moves them: nothing is copied, OLD has none any more; as after pg_upgrade --link or --swap\n"
	"       --check    only says whether it can be done\n"
	"       --help     this text\n"
	"What was interrupted is done by running it again.  Exit code 1: it cannot be done, and why.\n";

/* New files are as those of the new cluster are: readable for its group, or not. */
static void
take_modes(const char *data)
{
	struct stat st;

	if (stat(data, &st) != 0 || (st.st_mode & S_IRGRP) == 0)
		return;
	port_file_mode = 0640;
	port_dir_mode = 0750;
}

#ifdef USE_ASSERT_CHECKING

/*
 * NVMKV_UPGRADE_KILL="point n": the program is killed when it comes to the point for the nth time, as power ends it.
 * For tests.
 */
static char kill_point[64];
static int kill_turn;

static NvmkvStatus
strike(const char *point)
{
	if (strcmp(point, kill_point) == 0 && --kill_turn == 0)
		(void) kill(getpid(), SIGKILL);
	return NVMKV_OK;
}

static void
take_kill(void)
{
	const char *wanted = getenv("NVMKV_UPGRADE_KILL");

	if (wanted != NULL && sscanf(wanted, "%63s %d", kill_point, &kill_turn) == 2)
		port_fault_hook = strike;
}

#endif

int
main(int argc, char **argv)
{
	UpgradeOptions options = {0};
	bool copy = false;
	bool good = true;
	int i;

	for (i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
		{
			fputs(usage, stdout);
			return fflush(stdout) == 0 ? 0 : 1;
		}
		if (strcmp(argv[i], "--link") == 0)
			options.move = true;
		else if (strcmp(argv[i], "--copy") == 0)
			copy = true;
		else if (strcmp(argv[i], "--check") == 0)
			options.check = true;
		else if (argv[i][0] == '-' || options.new_data != NULL)
			good = false;
		else if (options.old_data == NULL)
			options.old_data = argv[i];
		else
			options.new_data = argv[i];
	}
	if (!good || options.new_data == NULL || (copy && options.move))
	{
		fputs("nvmkv_upgrade: wrong usage (nvmkv_upgrade --help says more)\n", stderr);
		return 2;
	}
	if (geteuid() == 0)
	{
		fputs("nvmkv_upgrade: cannot be run as root: be the user who runs the servers\n", stderr);
		return 1;
	}
	take_modes(options.new_data);
#ifdef USE_ASSERT_CHECKING
	take_kill();
#endif
	if (upgrade_run(&options, stdout) != NVMKV_OK)
	{
		(void) fflush(stdout);
		fprintf(stderr, "nvmkv_upgrade: %s\n", nvmkv_error()->text);
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
