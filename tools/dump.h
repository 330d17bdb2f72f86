/*
 * dump.h
 *	  nvmkv_dump: says in words what is in a file of a database, and whether a
 *	  database is sound.
 *
 * Reads only, without the database's shared memory and without its locks: it
 * may run beside a server, and then shows a moment of what changes.  Damage is
 * reported on "err", as much as possible of the rest is still shown.
 */
#ifndef NVMKV_TOOLS_DUMP_H
#define NVMKV_TOOLS_DUMP_H

#include <stdio.h>

#include "engine/db/lost.h"
#include "engine/meta/draft.h"
#include "engine/nvm/pool_format.h"
#include "engine/sst/sst_table.h"

/* Exit codes. */
#define DUMP_OK 0
#define DUMP_DAMAGED 1 /* or could not be read */
#define DUMP_USAGE 2

typedef struct Dump
{
	FILE *out;
	FILE *err;
	bool show_keys; /* entries too */
	bool failed;
} Dump;

/* The whole program: returns its exit code. */
extern int dump_main(int argc, char **argv, FILE *out, FILE *err);

/* Each shows one file; what is wrong with it is in dump->failed. */
extern void dump_manifest(Dump *dump, const char *path);
extern void dump_log(Dump *dump, const char *path);
extern void dump_table(Dump *dump, const char *path);
extern void dump_pool(Dump *dump, const char *path, const char *dir); /* dir NULL: without rows */

/*
 * Verifies a whole database that nobody uses.  pool NULL: DIR/level0.pool; log_dir NULL: DIR.  Every finding is a line
 * on "err"; what was looked at is counted on "out".
 */
extern void dump_check(Dump *dump, const char *dir, const char *pool, const char *log_dir);

/* Options of salvage; NULL or false where not given. */
typedef struct SalvageOptions
{
	const char *pool;  /* else DIR/level0.pool */
	const char *xact;  /* else DIR/../pg_xact */
	const char *kept;  /* else DIR/../nvmkv_kept */
	const char *table; /* else all: as the list has it, or the storage's number */
	const char *to;	   /* directory for the files; else what there is is listed */
	bool keep_unknown; /* rows of transactions of which nobody knows whether they committed */
} SalvageOptions;

/* What can be read of the tables of a database that nobody uses, as COPY text. */
extern void dump_salvage(Dump *dump, const char *dir, const SalvageOptions *options);

/* ---- shared by them ---- */

/* Reports the engine's last failure. */
extern void dump_failure(Dump *dump);

/* In quotes; what is not printable, and quotes and backslashes, as \xNN. */
extern void dump_bytes(Dump *dump, NvmkvSlice bytes);
extern void dump_bytes_to(FILE *out, NvmkvSlice bytes);

/* Sequence, type, transaction, key and size of an entry, and a newline. */
extern void dump_entry(Dump *dump, NvmkvSlice key, uint64_t tag, NvmkvSlice payload);

/* The log number a file's header names.  CORRUPTION, VERSION, INVALID (another kind), NOT_FOUND, IO. */
extern NvmkvStatus dump_log_number(const char *path, uint32_t kind, uint64_t *number_out);

/* What a MANIFEST describes after all its edits; keys and extents are in the arena. */
typedef struct DumpState
{
	VersionDraft live;
	MetaArena arena;
} DumpState;

/*
 * Folds the MANIFEST that "path" is, or that the database in directory "path" uses.  show_edits: prints every edit.
 * false: it could not be folded, "state" is what was before; reported.
 */
extern bool dump_fold(Dump *dump, const char *path, bool show_edits, DumpState *state);
/* The same of the database in directory "dir"; *number_out: which MANIFEST it was. */
extern bool dump_fold_current(Dump *dump, const char *dir, uint64_t *number_out, DumpState *state);
extern void dump_state_free(DumpState *state);

/* One row of a version, with a newline. */
extern void dump_damage(Dump *dump, const MetaDamage *damage);
extern void dump_row(Dump *dump, const MetaRow *row);
extern NvmRowRef dump_row_ref(const MetaRow *row);

/* A pool mapped for reading. */
typedef struct DumpPool
{
	PortFile *file;
	void *map;
	NvmPoolHeader header;
	NvmDevice device;
	NvmPool pool;
} DumpPool;

/* To be unmapped whatever it returns. */
extern NvmkvStatus dump_pool_map(const char *path, DumpPool *pool);
extern void dump_pool_unmap(DumpPool *pool);

/* What transactions whose outcomes are lost have written.  Zero-initialise. */
typedef struct DumpLost
{
	VersionXids *ranges; /* the transactions */
	uint32_t nranges;
	LostList list;
} DumpLost;

/* All transactions first, then tables and rows.  Damage of these is nobody's concern here.  NO_MEMORY. */
extern NvmkvStatus dump_lost_add(DumpLost *lost, uint64_t from, uint64_t to);
extern NvmkvStatus dump_lost_table(DumpLost *lost, SstTable *table);
extern NvmkvStatus dump_lost_row(DumpLost *lost, const NvmPool *pool, const NvmRowRef *row);

/* A finding on "err" for each storage; returns how many.  Frees. */
extern uint64_t dump_lost_end(Dump *dump, DumpLost *lost);

#endif
