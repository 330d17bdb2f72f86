/*
 * dump.h
 *	  What the parts of nvmkv_dump share: how things are said, and failures.
 */
#ifndef NVMKV_TOOLS_DUMP_H
#define NVMKV_TOOLS_DUMP_H

#include <stdio.h>

#include "engine/base/ikey.h"

typedef struct Dump
{
	FILE *out;
	FILE *err;
	bool show_keys; /* entries too */
	bool failed;
} Dump;

/* Reports the engine's last failure. */
extern void dump_failure(Dump *dump);

/* In quotes; what is not printable, and quotes and backslashes, as \xNN. */
extern void dump_bytes(Dump *dump, NvmkvSlice bytes);
extern void dump_bytes_to(FILE *out, NvmkvSlice bytes);

/* Sequence, type, transaction, key and size of an entry, and a newline. */
extern void dump_entry(Dump *dump, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* The log number a file's header names.  CORRUPTION, VERSION, INVALID (another kind), NOT_FOUND, IO. */
extern NvmkvStatus dump_log_number(const char *path, uint32_t kind, uint64_t *number_out);

#endif
