/*
 * kept_log.h
 *	  Log records that a host keeps while the tree they belong to cannot take
 *	  them: because it cannot be opened, or cannot be flushed.
 *
 * A directory of log files (log_format.h, kind LOG_KIND_KEPT) "NUMBER.kept",
 * numbered in the order in which they were begun.  Whoever begins to keep
 * begins a file; nobody appends to one that was there.  Positions are the
 * host's log positions.
 *
 * Records (little-endian), the kind in the first byte:
 *	  BEGIN		kind u8 = 1, dump u8, zero u8[6], system identifier u64, start u64.  The first of a file.  Every
 *				record of the log that starts at "start" or above, up to where the file ends, is in it.
 *	  RECORD	kind u8 = 2, info u8, zero u8[6], start u64, end u64, data.  A record of the log: the host knows its
 *				kind by info.  In the order of the log.
 *	  ENTRY		kind u8 = 3, zero u8[7], sequence u64, batch.  One entry that was in a memtable, as a batch of one.
 *	  MARK		kind u8 = 4, zero u8[7], position u64.  Every record below the position is there.
 *	  END		kind u8 = 5, zero u8[7], position u64.  The same, and the log goes on without records for the tree.
 *	  OUTCOMES	kind u8 = 6, has bits u8, zero u8[6], from u64, to u64, bits.  What was settled and in no file, as
 *				nvmkv_settle (nvmkv.h) takes it; without bits no transaction of the range has committed.
 *
 * Files of one directory continue each other: where one ends, at the latest,
 * the next one starts; or the one before it has an END.  They may overlap, as
 * recovery begins anew after a crash.  A file with "dump" holds, as ENTRYs, all that
 * is in no row or table of a tree that reaches up to "start", and OUTCOMES: the log
 * in which they stand is cut off.  Without its END it is unfinished, and counts for
 * nothing; with it, it takes the place of all files before it.
 */
#ifndef NVMKV_LOG_KEPT_LOG_H
#define NVMKV_LOG_KEPT_LOG_H

#include "engine/log/log_writer.h"

/* On disk: never renumber. */
typedef enum KeptKind
{
	KEPT_BEGIN = 1,
	KEPT_RECORD = 2,
	KEPT_ENTRY = 3,
	KEPT_MARK = 4,
	KEPT_END = 5,
	KEPT_OUTCOMES = 6
} KeptKind;

/* The directory, in one of these, of what is kept of a column family alone. */
extern void kept_family_dir(const char *dir, unsigned family, char *path, size_t size);

/* ---- writing; one process at a time ---- */

typedef struct KeptWriter
{
	LogWriter log; /* log.file is NULL: not open */
	const char *dir;
	uint64_t system_identifier;
	uint64_t position; /* everything below has been appended */
	bool dump;
} KeptWriter;

/*
 * Begins a file, and the directory where there is none (dir: pointer kept).  Its BEGIN, and its name, are durable on
 * OK.  NO_SPACE, IO, NO_MEMORY: then there is nothing to close.
 */
extern NvmkvStatus kept_writer_begin(KeptWriter *w, const char *dir, uint64_t system_identifier, uint64_t start,
									 bool dump);

/* Not durable before a mark.  As log_writer_append; a file that is full is followed by another. */
extern NvmkvStatus kept_writer_record(KeptWriter *w, uint8_t info, uint64_t start, uint64_t end, NvmkvSlice data);
extern NvmkvStatus kept_writer_entry(KeptWriter *w, uint64_t sequence, NvmkvSlice batch);
extern NvmkvStatus kept_writer_outcomes(KeptWriter *w, uint64_t from, uint64_t to, const uint8_t *bits);

/* Appends a MARK, or the END, and makes all durable. */
extern NvmkvStatus kept_writer_mark(KeptWriter *w, uint64_t position, bool end);
extern void kept_writer_close(KeptWriter *w);

/* ---- reading ---- */

typedef struct KeptItem
{
	KeptKind kind; /* RECORD, ENTRY or OUTCOMES */
	uint8_t info;
	uint64_t start, end; /* of an entry both are its sequence; of outcomes, which transactions: from, to */
	NvmkvSlice data;	 /* valid during the call; of outcomes the bits, empty where there are none */
} KeptItem;

typedef struct KeptSummary
{
	unsigned files;
	uint64_t start;	   /* the tree must reach up to here */
	uint64_t position; /* up to where records are kept */
	bool closed;	   /* and behind it there were none: an END */
	uint64_t items;
	uint64_t bytes;
	uint64_t problems; /* what was passed over, with KeptReading.lenient */
} KeptSummary;

typedef struct KeptReading
{
	const char *dir;
	uint64_t system_identifier; /* 0: any */
	bool lenient;				/* passes over what is damaged or missing, and tells it to problem() */
	NvmkvStatus (*each)(void *ctx, const KeptItem *item); /* NULL: nobody asks */
	void (*problem)(void *ctx, const char *text);		  /* NULL: nobody asks */
	void *ctx;
} KeptReading;

/*
 * Reads all that is kept, each record once, in order.  OK with summary->files 0 when there is nothing.
 * CORRUPTION: a file is damaged or missing; INVALID: of another system; IO, NO_MEMORY, VERSION, and what each() says.
 */
extern NvmkvStatus kept_read(const KeptReading *reading, KeptSummary *summary_out);

/* Where what is kept begins, without reading it; *found_out false: nothing is. */
extern NvmkvStatus kept_start(const char *dir, uint64_t system_identifier, bool *found_out, uint64_t *start_out);

/* Removes the files that were begun before the one of this number, the oldest first, durably; UINT64_MAX: all. */
extern NvmkvStatus kept_remove(const char *dir, uint64_t before);

#endif
