/*
 * port_memory.c
 *	  Process memory and the fault hook; the same for both hosts.
 *
 * malloc, not the server's contexts: engine objects live longer than a
 * transaction and nothing here may raise.  Each allocation is a fault point,
 * so that tests can make the n-th one fail.
 */
#include "engine/port/port.h"

#include <stdlib.h>

NvmkvStatus (*port_fault_hook)(const char *point) = NULL;

void *
port_alloc(size_t size)
{
	if (port_fault("port.alloc") != NVMKV_OK)
		return NULL;
	return malloc(size > 0 ? size : 1);
}

void *
port_alloc_zero(size_t size)
{
	if (port_fault("port.alloc") != NVMKV_OK)
		return NULL;
	return calloc(1, size > 0 ? size : 1);
}

void *
port_realloc(void *p, size_t size)
{
	if (port_fault("port.alloc") != NVMKV_OK)
		return NULL;
	return realloc(p, size > 0 ? size : 1);
}

void
port_free(void *p)
{
	free(p);
}
