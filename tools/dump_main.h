/*
 * dump_main.h
 *	  nvmkv_dump: says in words what is in a file of a database, and whether a
 *	  database is sound.
 *
 * Reads only, without the database's shared memory and without its locks: it
 * may run beside a server, and then shows a moment of what changes.  Damage is
 * reported on "err", as much as possible of the rest is still shown.
 */
#ifndef NVMKV_TOOLS_DUMP_MAIN_H
#define NVMKV_TOOLS_DUMP_MAIN_H

#include <stdio.h>

/* Exit codes. */
#define DUMP_OK 0
#define DUMP_DAMAGED 1 /* or could not be read */
#define DUMP_USAGE 2

/* The whole program: returns its exit code. */
extern int dump_main(int argc, char **argv, FILE *out, FILE *err);

#endif
