/*
 * files.c
 *	  See files.h.
 */
#include "engine/files.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DESCRIPTORS 16

/* nftw has no argument for its callback. */
static uint64_t sum;
static const char *left_out;

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void) st;
	(void) kind;
	(void) where;
	if (remove(path) != 0)
		bench_die("cannot remove %s: %s", path, strerror(errno));
	return 0;
}

/* Files come and go while they are counted. */
static int
count_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	if (kind == FTW_F && (left_out == NULL || strcmp(path + where->base, left_out) != 0))
		sum += (uint64_t) st->st_blocks * 512;
	return 0;
}

void
files_make_empty(const char *dir)
{
	char path[4096];
	char *slash = path;

	(void) nftw(dir, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	if ((size_t) snprintf(path, sizeof(path), "%s/", dir) >= sizeof(path))
		bench_die("%s: too long", dir);
	while ((slash = strchr(slash + 1, '/')) != NULL)
	{
		*slash = '\0';
		if (mkdir(path, 0777) != 0 && errno != EEXIST)
			bench_die("cannot make %s: %s", path, strerror(errno));
		*slash = '/';
	}
}

uint64_t
files_bytes(const char *dir, const char *but)
{
	sum = 0;
	left_out = but;
	(void) nftw(dir, count_one, DESCRIPTORS, FTW_PHYS);
	return sum;
}
