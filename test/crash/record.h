/*
 * record.h
 *	  A life of a database: what is to happen in it, and the record of what did.
 *
 * The record is in memory that the child, who plays the life, shares with the test, who judges it.
 */
#ifndef NVMKV_TEST_RECORD_H
#define NVMKV_TEST_RECORD_H

#include "lib/lossy.h"

#define KEYS 400
#define FAMILIES 3
#define WRITES_MAX 8192
#define POINTS_MAX 64
#define SYNCS_MAX 12 /* remembered of each kind of file */

#define EXIT_KILLED 77 /* by the fault */
#define EXIT_WRONG 1   /* the child found something wrong */

typedef struct Write
{
	uint64_t seq;
	uint64_t seed;
	uint32_t size;
	uint16_t key;
	bool deletes;
	uint32_t birth; /* of the key's family, as it was then */
} Write;

typedef struct Point
{
	char name[32];
	uint32_t hits;
} Point;

/* What became of lines of the pool and of a mapped log that were not persisted, when the power went. */
typedef struct LineTally
{
	uint64_t kept, reverted, torn;
	uint64_t header; /* of them in the pool's header */
	uint64_t log;    /* of them in the log */
} LineTally;

/* What the child did, for the parent. */
typedef struct Record
{
	uint32_t nwrites;	/* some of them perhaps attempted only */
	uint64_t attempted; /* last sequence that may be in the log */
	uint64_t assigned;	/* last sequence of a write that was acknowledged */
	uint64_t synced;	/* last sequence of a sync that was acknowledged */
	uint64_t operations;
	LossyTally tally;
	LineTally lines;
	uint64_t nsyncs[LOSSY_KINDS]; /* operations that sync such a file */
	uint64_t syncs[LOSSY_KINDS][SYNCS_MAX];
	uint32_t births;			/* of families, all that were tried */
	uint32_t birth[FAMILIES];	/* of each family that is there, 0: none; the default one's is 1 */
	bool unsettled[FAMILIES];	/* who made or dropped it died, or failed: it may or may not be there */
	uint32_t npoints;
	Point points[POINTS_MAX];
	Write writes[WRITES_MAX];
} Record;

typedef enum FaultKind
{
	FAULT_NONE,
	FAULT_ERROR, /* of the point */
	FAULT_SPACE, /* NO_SPACE at the point */
	FAULT_KILL,	 /* at the point */
	FAULT_FILE,	 /* the n-th file operation fails */
	FAULT_FILES, /* it and all after it */
	FAULT_SPACES,		/* the same, NO_SPACE, until the next reopen */
	FAULT_POWER, /* the power goes at the n-th file operation */
	FAULT_POWER_RECOVERY,	/* the power goes at the point, counted while a database is opened again */
	FAULT_POWER_LINES	/* the power goes at the n-th copy to or persist of the pool or a mapped log */
} FaultKind;

typedef struct Fault
{
	FaultKind kind;
	const char *point;
	uint64_t at; /* hit or operation, from 1 */
	uint64_t seed;
} Fault;

/* What kind of life it is. */
typedef struct Life
{
	bool pool_without_container;
	bool container_changes; /* its size, with every open */
	bool long_keys;			/* they make a manifest grow fast */
	bool large_values;		/* enough data for level 2 */
	bool values_apart;		/* even the smaller ones */
	bool mapped_log;		/* the log is on persistent memory */
	bool with_families;
} Life;

extern Life life;
extern Fault fault;
extern Record *record;

/* Makes the record, once; false: there is no memory. */
extern bool record_make(void);

/* How often the point was passed. */
extern uint32_t record_hits(const Record *of, const char *point);

/* 0 .. bound - 1: chances of the life.  The fault's seed starts them. */
extern uint64_t chance(uint64_t bound);
extern void chance_seed(uint64_t seed);

#endif
