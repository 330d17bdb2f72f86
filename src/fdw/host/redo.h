/*
 * redo.h
 *	  The resource manager that replays our WAL.
 */
#ifndef NVMKV_FDW_REDO_H
#define NVMKV_FDW_REDO_H

/* Registers it; from _PG_init while the server preloads libraries. */
extern void nvmkv_redo_init(void);

#endif
