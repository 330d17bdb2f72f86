/*
 * nvmkv_dump.c
 *	  See dump.h; the usage is in dump.c.
 */
#include "tools/dump.h"

int
main(int argc, char **argv)
{
	return dump_main(argc, argv, stdout, stderr);
}
