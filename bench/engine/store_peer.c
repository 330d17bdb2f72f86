/*
 * store_peer.c
 *	  See store_peer.h.
 */
#include "engine/store_peer.h"

#include <stdio.h>

uint64_t
peer_bytes_written(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	unsigned long long bytes = 0;
	char line[128];

	if (file == NULL)
		bench_die("/proc/self/io cannot be read");
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "wchar: %llu", &bytes) == 1)
			break;
	(void) fclose(file);
	return bytes;
}
