/*
 * nvmkv_dump.c
 *	  See dump.h; the usage is in dump.c.
 */
#include "tools/dump.h"

#include "engine/port/port_guard.h"

int
main(int argc, char **argv)
{
	/* Without it a truncated pool would end the program; no other harm. */
	(void) port_guard_install();
	return dump_main(argc, argv, stdout, stderr);
}
