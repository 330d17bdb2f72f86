/*
 * start.h
 *	  The start of the server: shared memory, and the engine opened in it.
 */
#ifndef NVMKV_FDW_START_H
#define NVMKV_FDW_START_H

/* From _PG_init, while the server preloads libraries: hooks for shared memory. */
extern void nvmkv_start_init(void);

#endif
