/*
 * nvmkv_dump.c
 *	  The program; see dump_main.h.
 */
#include "tools/dump_main.h"

#include "engine/port/port_guard.h"

int
main(int argc, char **argv)
{
	/* Without it a truncated pool would end the program; no other harm. */
	(void) port_guard_install();
	return dump_main(argc, argv, stdout, stderr);
}
