/*
 * check.c
 *	  See check.h.
 */
#include "tools/check.h"

#include <inttypes.h>

void
check_problem(void *ctx, const char *text)
{
	Check *c = ctx;

	fprintf(c->dump->err, "nvmkv_dump: %s\n", text);
	c->dump->failed = true;
	c->problems++;
}

void
check_failure(Check *c)
{
	dump_failure(c->dump);
	c->problems++;
}
