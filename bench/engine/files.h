/*
 * files.h
 *	  Directories of databases.
 */
#ifndef NVMKV_BENCH_FILES_H
#define NVMKV_BENCH_FILES_H

#include "engine/bench.h"

/* Removes what is there, and makes the directory and those above it. */
extern void files_make_empty(const char *dir);

/* Bytes that the files below take on their medium, without those of this name (NULL: with all). */
extern uint64_t files_bytes(const char *dir, const char *but);

#endif
