/*
 * crash_test.c
 *	  Failures and crashes at every point, then recovery.
 *
 * A child process plays a script of writes, syncs, flushes, compactions and
 * reopens; somewhere in it a fault point, a file operation or an allocation
 * fails, the process is killed, or the power goes.  The script is recorded in
 * shared memory as it goes.  Afterwards the database must open, hold exactly
 * the writes up to some moment, and this moment must not lie before the last
 * write that was acknowledged as durable.
 *
 * In some lives the keys are spread over column families, which are dropped and
 * made anew on the way.  A family's name says which one of all it was, so that
 * after a death in the middle of it the model knows what has become of it.
 *
 * NVMKV_CRASH_SECONDS makes the random part longer.
 */
#include <signal.h>
#include <sys/wait.h>

#include "engine/db/db_int.h"
#include "engine/log/log_format.h"
#include "engine/log/log_map.h"

#include "lib/lossy.h"
#include "lib/rig.h"

#include "lib/check.h"

#define KEYS 400
#define FAMILIES 3
#define WRITES_MAX 8192
#define POINTS_MAX 64
#define SYNCS_MAX 12 /* remembered of each kind of file */
#define STEPS 300
#define STEPS_MANY 500
#define DEFAULT_SECONDS 2.0

/* A life costs four times as much with a sanitizer: fewer of them there. */
#if defined(__SANITIZE_ADDRESS__)
#define LIVES(n) (((n) + 2) / 3)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LIVES(n) (((n) + 2) / 3)
#endif
#endif
#ifndef LIVES
#define LIVES(n) (n)
#endif

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

static Record *record;
static LossyTally all_sectors; /* of all lives */
static LineTally all_lines;
static Fault fault;
static uint64_t fault_hits;
static bool recovering;
static bool fault_over; /* a passing failure has passed */
static bool pool_without_container;
static bool container_changes; /* its size, with every open */
static bool long_keys;	 /* they make a manifest grow fast */
static bool large_values; /* enough data for level 2 */
static bool values_apart; /* even the smaller ones */
static bool mapped_log;	  /* the log is on persistent memory */
static bool with_families;

static uint64_t script_state;

static uint64_t
script_random(uint64_t bound)
{
	script_state = script_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (script_state >> 33) % bound;
}

/* ---- persistent memory: lines of 64 bytes, of the pool and of a mapped log ---- */

#define LINE 64

typedef struct OldLine
{
	const uint8_t *at;
	NvmDevice *dev; /* NULL: of the log */
	uint8_t bytes[LINE];
	struct OldLine *next;
} OldLine;

static const NvmDeviceOps *line_inner;
static NvmDeviceOps line_ops;
static OldLine *old_lines;
static uint64_t line_operations;

static void
put_line(const OldLine *old, const void *words)
{
	if (old->dev == NULL)
		memcpy((void *) (uintptr_t) old->at, words, LINE);
	else
		line_inner->copy(old->dev, (uint64_t) (old->at - old->dev->base), words, LINE);
}

static void
lose_lines(void)
{
	OldLine *old;

	for (old = old_lines; old != NULL; old = old->next)
	{
		unsigned choice = (unsigned) (check_random() % 3);
		uint64_t words[LINE / 8];
		unsigned i;

		memcpy(words, old->at, LINE);
		for (i = 0; i < LINE / 8; i++)
		{
			/* Eight bytes are old or new; the medium never makes up others. */
			if (choice == 1 || (choice == 2 && check_random() % 2 == 0))
				memcpy(&words[i], old->bytes + i * 8, 8);
		}
		record->lines.kept += choice == 0;
		record->lines.reverted += choice == 1;
		record->lines.torn += choice == 2;
		record->lines.header += old->dev != NULL && (uint64_t) (old->at - old->dev->base) < NVM_EXTENT_BYTES;
		record->lines.log += old->dev == NULL;
		put_line(old, words);
	}
}

static void
line_before(void)
{
	record->operations = ++line_operations;
	if (fault.kind == FAULT_POWER_LINES && line_operations == fault.at)
	{
		lose_lines();
		lossy_crash();
		_exit(EXIT_KILLED);
	}
}

/* Whoever copies much persists soon: the search is linear. */
static void
remember_lines(NvmDevice *dev, const uint8_t *base, uint64_t offset, size_t size)
{
	uint64_t line;

	for (line = offset / LINE; size > 0 && line <= (offset + size - 1) / LINE; line++)
	{
		OldLine *old = old_lines;

		while (old != NULL && old->at != base + line * LINE)
			old = old->next;
		if (old != NULL)
			continue;
		old = malloc(sizeof(OldLine));
		if (old == NULL)
			_exit(3);
		old->at = base + line * LINE;
		old->dev = dev;
		memcpy(old->bytes, old->at, LINE);
		old->next = old_lines;
		old_lines = old;
	}
}

static void
forget_lines(const uint8_t *from, const uint8_t *to)
{
	OldLine **link = &old_lines;

	while (*link != NULL)
	{
		OldLine *old = *link;

		if (old->at < from || old->at >= to)
			link = &old->next;
		else
		{
			*link = old->next;
			free(old);
		}
	}
}

static void
line_copy(NvmDevice *dev, uint64_t offset, const void *data, size_t size)
{
	line_before();
	remember_lines(dev, dev->base, offset, size);
	line_inner->copy(dev, offset, data, size);
}

static NvmkvStatus
line_persist(NvmDevice *dev, uint64_t offset, uint64_t size)
{
	line_before();
	NVMKV_RETURN_IF(line_inner->persist(dev, offset, size));
	forget_lines(dev->base + offset, dev->base + offset + size);
	return NVMKV_OK;
}

static bool
log_is_pmem(PortFile *file)
{
	(void) file;
	return true;
}

static void
log_copy(LogMap *map, uint64_t offset, const void *data, size_t size)
{
	if (fault.kind == FAULT_POWER_LINES)
	{
		line_before();
		remember_lines(NULL, map->base, offset, size);
	}
	log_map_pmem.copy(map, offset, data, size);
}

static void
log_drain(LogMap *map)
{
	if (fault.kind == FAULT_POWER_LINES)
	{
		line_before();
		forget_lines(map->base, map->base + LOG_FILE_BYTES_MAX);
	}
	log_map_pmem.drain(map);
}

static const LogMapOps line_log = {log_is_pmem, log_copy, log_drain};

/* All that was not persisted when the device is closed might get lost later; nothing may rely on it. */
static void
line_close(NvmDevice *dev)
{
	forget_lines(dev->base, dev->base + dev->bytes);
	line_inner->close(dev);
}

/* From the first byte on: the header is written before the database is open. */
static void
watch_lines(NvmDevice *dev)
{
	line_inner = dev->ops;
	line_ops.copy = line_copy;
	line_ops.persist = line_persist;
	line_ops.close = line_close;
	dev->ops = &line_ops;
}

/* ---- faults ---- */

static NvmkvStatus
at_point(const char *point)
{
	uint32_t i;

	if (fault.kind == FAULT_NONE)
	{
		for (i = 0; i < record->npoints && strcmp(record->points[i].name, point) != 0; i++)
			;
		if (i == record->npoints && i < POINTS_MAX)
			snprintf(record->points[record->npoints++].name, sizeof(record->points[0].name), "%s", point);
		record->points[i].hits++;
		return NVMKV_OK;
	}
	if (fault.kind == FAULT_POWER_RECOVERY && !recovering)
		return NVMKV_OK;
	if (fault.point == NULL || strcmp(point, fault.point) != 0 || ++fault_hits != fault.at)
		return NVMKV_OK;
	if (fault.kind == FAULT_POWER_RECOVERY)
		lossy_crash();
	if (fault.kind == FAULT_POWER_RECOVERY || fault.kind == FAULT_KILL)
		_exit(EXIT_KILLED);
	if (fault.kind == FAULT_SPACE)
		return NVMKV_FAIL(NVMKV_NO_SPACE, "no space at %s", point);
	return NVMKV_FAIL(strcmp(point, "port.alloc") == 0 ? NVMKV_NO_MEMORY : NVMKV_IO, "fault at %s", point);
}

static void
at_operation(uint64_t operation)
{
	record->operations = operation;
	if (fault.kind == FAULT_POWER && operation == fault.at)
	{
		lossy_crash();
		_exit(EXIT_KILLED);
	}
}

/* Remembers some of all syncs: the last moments at which what they sync can be lost. */
static NvmkvStatus
note_sync(uint64_t operation, const char *what, const char *path)
{
	LossyKind kind = lossy_kind(path);
	uint64_t n;

	if (strcmp(what, "sync") != 0)
		return NVMKV_OK;
	n = record->nsyncs[kind]++;
	if (n >= SYNCS_MAX)
		n = check_random_below(n + 1);
	if (n < SYNCS_MAX)
		record->syncs[kind][n] = operation;
	return NVMKV_OK;
}

static NvmkvStatus
fail_operation(uint64_t operation, const char *what, const char *path)
{
	bool allocates = strcmp(what, "write") == 0 || strcmp(what, "preallocate") == 0 || strcmp(what, "create") == 0;

	if (fault_over || operation < fault.at || (fault.kind == FAULT_FILE && operation > fault.at))
		return NVMKV_OK;
	if (fault.kind == FAULT_SPACES)
		return allocates ? NVMKV_FAIL(NVMKV_NO_SPACE, "no space for %s of \"%s\"", what, path) : NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "%s of \"%s\" fails", what, path);
}

/* ---- script ---- */

static NvmkvSlice
value_of(const Write *w, uint8_t *buffer)
{
	uint64_t state = w->seed;
	uint32_t i;

	for (i = 0; i < w->size; i += 8)
	{
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(buffer + i, &state, w->size - i < 8 ? w->size - i : 8);
	}
	return nvmkv_slice(buffer, w->size);
}

#define VALUE_MAX 70000
#define LONG_KEY_BYTES 1900

static NvmkvSlice
key_of(unsigned number)
{
	static char text[LONG_KEY_BYTES + 1];
	NvmkvSlice key = rig_key(number);

	if (!long_keys)
		return key;
	memset(text, 'k', sizeof(text));
	memcpy(text, key.data, key.size);
	return nvmkv_slice(text, LONG_KEY_BYTES);
}

static unsigned
family_of(unsigned key)
{
	return with_families ? key % FAMILIES : 0;
}

/* The newest write of the key with a sequence up to "last"; NULL: none, or a deletion. */
static const Write *
newest(unsigned key, uint64_t last)
{
	uint32_t i;

	for (i = record->nwrites; i-- > 0;)
		if (record->writes[i].key == key && record->writes[i].seq <= last &&
			record->writes[i].birth == record->birth[family_of(key)])
			return record->writes[i].deletes ? NULL : &record->writes[i];
	return NULL;
}

/* Does the family hold what the writes up to "last" left in it?  Prints the first difference. */
static bool
family_holds(NvmkvDb *root, unsigned family, uint64_t last, bool reverse)
{
	static uint8_t buffer[VALUE_MAX + 8];
	NvmkvScan *scan = NULL;
	const NvmkvScanRow *rows;
	unsigned n, i;
	unsigned key = reverse ? KEYS : 0;
	bool good = true;
	NvmkvDb *db;
	NvmkvStatus st = nvmkv_family(root, family, &db);

	if (st == NVMKV_OK)
		st = nvmkv_scan_create(db, &scan);
	if (st == NVMKV_OK)
		st = nvmkv_scan_start(scan, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, NULL);
	do
	{
		n = 0;
		if (st == NVMKV_OK)
			st = nvmkv_scan_batch(scan, 16, 65536, &rows, &n);
		if (st != NVMKV_OK)
		{
			fprintf(stderr, "    scan: %s\n", nvmkv_error()->text);
			good = false;
		}
		for (i = 0; i <= n && good; i++)
		{
			const Write *w = NULL;

			/* The next key that has a value. */
			if (reverse)
				while (key > 0 && (family_of(--key) != family || (w = newest(key, last)) == NULL))
					;
			else
				for (; key < KEYS && w == NULL; key++)
					if (family_of(key) == family)
						w = newest(key, last);
			if (i == n && n > 0)
			{
				/* It belongs to the next batch. */
				if (w != NULL)
					key = reverse ? key + 1 : key - 1;
				break;
			}
			if ((w == NULL) != (n == 0) ||
				(w != NULL && (!slice_equal(rows[i].key, key_of(w->key)) || rows[i].sequence != w->seq ||
							   !slice_equal(rows[i].value, value_of(w, buffer)))))
			{
				if (w == NULL)
					fprintf(stderr, "    a key that should not be there: %.8s, sequence %" PRIu64 "\n",
							(const char *) rows[i].key.data, rows[i].sequence);
				else
					fprintf(stderr, "    key %u should have sequence %" PRIu64 " and has not\n", w->key, w->seq);
				good = false;
			}
		}
	} while (good && n > 0);
	nvmkv_scan_destroy(scan);
	return good;
}

static bool
holds(NvmkvDb *db, uint64_t last, bool reverse)
{
	unsigned family;

	for (family = 0; family < FAMILIES; family++)
		if (record->birth[family] != 0 && !family_holds(db, family, last, reverse))
			return false;
	return true;
}

/* ---- families ---- */

/* Which are there?  false: not those that should be. */
static bool
look_at_families(NvmkvDb *db)
{
	NvmkvFamilyInfo list[FAMILIES];
	unsigned count = nvmkv_family_list(db, list, FAMILIES);
	unsigned family, i;

	record->birth[0] = 1;
	for (family = 1; family < FAMILIES; family++)
	{
		uint32_t birth = 0;

		for (i = 0; i < count; i++)
			if (list[i].id == family)
				birth = (uint32_t) strtoul(list[i].name, NULL, 10);
		if (birth != record->birth[family] && !record->unsettled[family])
		{
			fprintf(stderr, "    family %u is the %" PRIu32 "th, not the %" PRIu32 "th\n", family, birth, record->birth[family]);
			return false;
		}
		record->birth[family] = birth;
		record->unsettled[family] = false;
	}
	return true;
}

/* Makes a family, or drops it, or drops and makes it.  After a failure the next open tells what has become of it. */
static void
script_family(NvmkvDb *db, unsigned family)
{
	NvmkvFamilyOptions shape;
	char name[16];
	bool there = record->birth[family] != 0;

	if (record->unsettled[family])
		return;
	record->unsettled[family] = true;
	if (there && nvmkv_family_drop(db, family) != NVMKV_OK)
		return;
	record->birth[family] = 0;
	if (!there || script_random(2) == 0)
	{
		nvmkv_family_options_default(db, &shape);
		if (family == 1 && !pool_without_container)
			shape.nvm_bytes = UINT64_C(16) << 20;
		(void) snprintf(name, sizeof(name), "%" PRIu32, ++record->births);
		if (nvmkv_family_create(db, family, name, &shape, NULL) != NVMKV_OK)
			return;
		record->birth[family] = record->births;
	}
	record->unsettled[family] = false;
}

static void
script_write(NvmkvDb *db)
{
	static uint8_t buffer[VALUE_MAX + 8];
	NvmkvBatch batch = {0};
	unsigned count = (unsigned) (1 + script_random(6));
	uint64_t last = 0;
	unsigned i;
	NvmkvStatus st = NVMKV_OK;

	/* At an error the batch was not written: its record makes room for the next. */
	if (record->nwrites + count > WRITES_MAX)
		return;
	for (i = 0; i < count; i++)
	{
		Write *w = &record->writes[record->nwrites + i];

		w->seq = record->assigned + 1 + i;
		w->key = (uint16_t) script_random(KEYS);
		if (record->birth[family_of(w->key)] == 0)
			w->key = (uint16_t) (w->key - family_of(w->key));
		w->birth = record->birth[family_of(w->key)];
		nvmkv_batch_family(&batch, family_of(w->key));
		w->seed = script_random(1u << 30);
		w->deletes = script_random(5) == 0;
		if (w->deletes)
			w->size = 0;
		else if (large_values)
			w->size = (uint32_t) script_random(VALUE_MAX);
		else
			w->size = (uint32_t) (script_random(5) == 0 ? script_random(VALUE_MAX / 2) : script_random(1500));
		if (st == NVMKV_OK)
			st = nvmkv_batch_put(&batch, w->deletes ? NVMKV_TYPE_DELETION : NVMKV_TYPE_VALUE, key_of(w->key),
								 nvmkv_slice(NULL, 0), value_of(w, buffer));
	}
	if (st == NVMKV_OK)
	{
		/* Death in the middle of it: all or nothing. */
		record->nwrites += count;
		record->attempted = record->assigned + count;
		st = rig_write(db, &batch, &last);
		if (st == NVMKV_OK)
		{
			record->assigned = last;
			/* Who takes a write answers for it. */
			for (i = 0; i < count; i++)
				record->unsettled[family_of(record->writes[record->nwrites - 1 - i].key)] = false;
		}
		else
		{
			record->nwrites -= count;
			record->attempted = record->assigned;
		}
		if (st == NVMKV_OK && last != record->writes[record->nwrites - 1].seq)
		{
			fprintf(stderr, "    sequence %" PRIu64 ", expected %" PRIu64 "\n", last, record->writes[record->nwrites - 1].seq);
			_exit(EXIT_WRONG);
		}
	}
	nvmkv_batch_free(&batch);
}

#define CONTAINER_SIZES 6

static const uint64_t container_sizes[CONTAINER_SIZES] = {16, 24, 0, 40, 0, 17};

/* A failure while a family is opened costs that family: it is there at the next open. */
static bool
families_are_open(NvmkvDb *db)
{
	NvmkvFamilyInfo list[FAMILIES];
	unsigned count = nvmkv_family_list(db, list, FAMILIES);
	unsigned i;

	for (i = 0; i < count; i++)
	{
		NvmkvDb *family;

		if (nvmkv_family(db, list[i].id, &family) != NVMKV_OK)
			return false;
	}
	return true;
}

/* A reopen that a passing failure spoilt works the next time, or the time after. */
static void
script_reopen(Rig *rig)
{
	NvmkvStats stats;
	unsigned tries;
	uint64_t durable = rig->db != NULL ? nvmkv_durable_seq(rig->db) : 0;

	if (durable > record->synced)
		record->synced = durable;
	if (container_changes)
		rig->options.nvm_bytes = container_sizes[script_random(CONTAINER_SIZES)] << 20;
	for (tries = 0; tries < 3; tries++)
	{
		NvmkvStatus st;

		recovering = rig->db != NULL;
		st = rig_reopen(rig);
		recovering = false;
		if (st == NVMKV_OK && families_are_open(rig->db))
			break;
		/* A disk that does not answer any more, or is full, is repaired before the next try. */
		if (tries == 1)
			fault_over = true;
		if (tries == 2)
		{
			fprintf(stderr, "    does not open: %s\n", nvmkv_error()->text);
			_exit(EXIT_WRONG);
		}
	}
	if (fault.kind == FAULT_SPACES)
		fault_over = lossy_operations() >= fault.at;
	if (!look_at_families(rig->db))
		_exit(EXIT_WRONG);
	nvmkv_stats(rig->db, &stats);
	if (stats.last_sequence < record->synced || stats.last_sequence > record->assigned)
	{
		fprintf(stderr, "    reopened at sequence %" PRIu64 ", not within %" PRIu64 " .. %" PRIu64 "\n", stats.last_sequence,
				record->synced, record->assigned);
		_exit(EXIT_WRONG);
	}
	while (record->nwrites > 0 && record->writes[record->nwrites - 1].seq > stats.last_sequence)
		record->nwrites--;
	record->assigned = record->attempted = record->synced = stats.last_sequence;
}

/* Exit code of the child. */
static int
play_script(Rig *rig, uint64_t seed)
{
	unsigned step;
	bool did, more;
	unsigned tries;

	script_state = seed;
	if (pool_without_container)
		rig->options.nvm_bytes = 0;
	if (values_apart)
		rig->options.value_threshold_bytes = 100;
	script_reopen(rig);
	for (step = 1; step < FAMILIES && with_families; step++)
		script_family(rig->db, step);
	for (step = 0; step < (long_keys || large_values ? STEPS_MANY : STEPS); step++)
	{
		NvmkvDb *db = rig->db;
		uint64_t dice = script_random(100);

		if (with_families && script_random(60) == 0)
			script_family(db, 1 + (unsigned) script_random(FAMILIES - 1));
		if (dice < 58)
			script_write(db);
		else if (dice < 68)
		{
			uint64_t upto = record->assigned;

			if (nvmkv_sync(db, upto) == NVMKV_OK)
				record->synced = upto;
		}
		else if (dice < 78)
			(void) nvmkv_switch_memtable(db);
		else if (dice < 88)
			(void) nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);
		else if (dice < 92)
			(void) nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
		else if (dice < 93)
			(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
		else if (dice < 95)
		{
			uint64_t upto = record->assigned;

			if (nvmkv_flush_all(db) == NVMKV_OK && upto > record->synced)
				record->synced = upto;
		}
		else if (dice < (container_changes ? 96 : 98))
		{
			(void) nvmkv_compact_all(db);
			/* What is in no row any more is free, and may be cut. */
			if (container_changes)
			{
				(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
				(void) nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
			}
		}
		else if (dice < 99 && !container_changes)
		{
			/* Once more after a passing failure; a disk that is gone for good is not asked. */
			if (fault.kind != FAULT_FILES && !holds(db, record->assigned, false) && !holds(db, record->assigned, false))
				return EXIT_WRONG;
		}
		else
			script_reopen(rig);
	}
	if (large_values)
	{
		(void) nvmkv_flush_all(rig->db);
		(void) nvmkv_compact_all(rig->db);
		for (step = 0; step < 20; step++)
			(void) nvmkv_work(rig->db, NVMKV_WORK_COMPACT, &did, &more);
	}
	for (tries = 0; tries < 2; tries++)
		if (fault.kind == FAULT_FILES || holds(rig->db, record->assigned, true))
			break;
	if (tries == 2)
		return EXIT_WRONG;
	rig_close(rig);
	return 0;
}

/* Leaks count as failures where the build can find them; looking takes long. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* Plays the script in a child.  true: it ended as it should; *killed_out: by the fault. */
static bool
run_child(Rig *rig, uint64_t seed, bool *killed_out)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
	{
		int code;

		fault_hits = 0;
		fault_over = false;
		lossy_reset(fault.seed + 1);
		lossy_tally = &record->tally;
		lossy_hook = at_operation;
		if (fault.kind == FAULT_FILE || fault.kind == FAULT_FILES || fault.kind == FAULT_SPACES)
			lossy_fail = fail_operation;
		if (fault.kind == FAULT_NONE)
			lossy_fail = note_sync;
		if (fault.kind == FAULT_POWER_LINES)
		{
			lossy_hook = NULL;
			lossy_ignore_content("level0.pool");
			nvm_device_hook = watch_lines;
			check_random_state = fault.seed;
		}
		lossy_overwritten("level0.pool");
		if (mapped_log)
			log_map_ops = &line_log;
		port_files = &lossy_files;
		port_fault_hook = at_point;
		code = play_script(rig, seed);
		port_fault_hook = NULL;
		if (code == 0 && fault.seed % 8 == 0 && __lsan_do_recoverable_leak_check != NULL)
		{
			lossy_reset(0);
			if (__lsan_do_recoverable_leak_check() != 0)
				code = EXIT_WRONG;
		}
		fflush(NULL);
		_exit(code);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	*killed_out = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_KILLED;
	if (WIFSIGNALED(status))
		fprintf(stderr, "    the child died of signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || *killed_out);
}

static void
print_problem(void *ctx, const char *where, const char *text)
{
	++*(unsigned *) ctx;
	fprintf(stderr, "    check: %s: %s\n", where, text);
}

/* Opens what the child left, compares, goes on with it, opens again. */
static bool
recovers(Rig *rig)
{
	NvmkvStats stats;
	unsigned problems = 0;
	uint64_t last;
	uint32_t i;

	if (rig_open(rig) != NVMKV_OK)
	{
		fprintf(stderr, "    does not open: %s\n", nvmkv_error()->text);
		return false;
	}
	if (!look_at_families(rig->db))
		return false;
	nvmkv_stats(rig->db, &stats);
	last = stats.last_sequence;
	if (last < record->synced || last > record->attempted)
	{
		fprintf(stderr, "    recovered up to %" PRIu64 ", not within %" PRIu64 " .. %" PRIu64 "\n", last, record->synced, record->attempted);
		return false;
	}
	if (!holds(rig->db, last, false) || !holds(rig->db, last, true))
		return false;
	if (nvmkv_check(rig->db, print_problem, &problems) != NVMKV_OK || problems > 0)
		return false;
	while (record->nwrites > 0 && record->writes[record->nwrites - 1].seq > last)
		record->nwrites--;
	record->assigned = record->attempted = last;
	for (i = 0; i < 5; i++)
		script_write(rig->db);
	if (nvmkv_flush_all(rig->db) != NVMKV_OK || nvmkv_compact_all(rig->db) != NVMKV_OK || rig_reopen(rig) != NVMKV_OK)
	{
		fprintf(stderr, "    after recovery: %s\n", nvmkv_error()->text);
		return false;
	}
	return holds(rig->db, record->assigned, false);
}

static void
add_tallies(void)
{
	unsigned k;

	for (k = 0; k < LOSSY_KINDS; k++)
	{
		all_sectors.kept[k] += record->tally.kept[k];
		all_sectors.reverted[k] += record->tally.reverted[k];
		all_sectors.garbled[k] += record->tally.garbled[k];
		all_sectors.names_lost[k] += record->tally.names_lost[k];
		all_sectors.names_back[k] += record->tally.names_back[k];
	}
	all_lines.kept += record->lines.kept;
	all_lines.reverted += record->lines.reverted;
	all_lines.torn += record->lines.torn;
	all_lines.header += record->lines.header;
	all_lines.log += record->lines.log;
}

/* One life, one fault, one recovery. */
static bool
try_fault(const Fault *f, uint64_t seed)
{
	Rig rig;
	bool killed = false;
	bool good;

	fault = *f;
	memset(record, 0, offsetof(Record, writes));
	rig_init(&rig);
	rig.options.max_write_buffers = 4;
	if (pool_without_container)
		rig.options.nvm_bytes = 0;
	if (with_families)
		rig.options.max_families = FAMILIES;
	good = run_child(&rig, seed, &killed);
	add_tallies();
	fault.kind = FAULT_NONE;
	if (good)
	{
		PortFileOps quick = lossy_files;

		/* Recovery is watched by nobody: nothing needs to be really synced. */
		lossy_reset(0);
		lossy_hook = NULL;
		lossy_fail = NULL;
		port_files = &quick;
		good = recovers(&rig);
		rig_close(&rig);
		port_files = &port_posix_files;
		lossy_reset(0);
	}
	if (!good)
		fprintf(stderr, "    fault: kind %d, point %s, at %" PRIu64 ", seed %" PRIu64 ", script seed %" PRIu64 "\n", (int) f->kind,
				f->point != NULL ? f->point : "-", f->at, f->seed, seed);
	rig_remove(&rig);
	return good;
}

static bool
make_record(void)
{
	if (record == NULL)
		record = port_posix_shared_alloc(sizeof(Record));
	return record != NULL;
}

/* Plays the script without a fault, to learn what there is to spoil. */
static void
survey(uint64_t seed, Record *out)
{
	static const Fault none = {FAULT_NONE, NULL, 0, 1};

	CHECK(try_fault(&none, seed));
	*out = *record;
}

/* ---- every point ---- */

static void
points_of_plan(const Record *plan, uint64_t seed, FaultKind kind, const char *only, unsigned hits_max)
{
	uint32_t i;

	for (i = 0; i < plan->npoints; i++)
	{
		const Point *point = &plan->points[i];
		uint32_t tries = point->hits < LIVES(hits_max) ? point->hits : LIVES(hits_max);
		uint32_t t;

		if ((kind != FAULT_ERROR && strcmp(point->name, "port.alloc") == 0) ||
			(only != NULL && strncmp(point->name, only, strlen(only)) != 0))
			continue;
		for (t = 0; t < tries; t++)
		{
			Fault f = {kind, point->name, t + 1, check_random()};

			if (point->hits > tries)
				f.at = 1 + check_random_below(point->hits);
			CHECK(try_fault(&f, seed));
		}
	}
}

/* only: the points whose names begin so; NULL: all. */
static void
every_point(FaultKind kind, const char *only, unsigned hits_max)
{
	static Record plan;
	uint64_t seed = check_random();

	REQUIRE(make_record());
	survey(seed, &plan);
	points_of_plan(&plan, seed, kind, only, hits_max);
}

TEST(error_at_every_point)
{
	every_point(FAULT_ERROR, NULL, 3);
}

TEST(no_space_at_every_point)
{
	every_point(FAULT_SPACE, NULL, 2);
}

TEST(kill_at_every_point)
{
	every_point(FAULT_KILL, NULL, 3);
}

TEST(kill_at_every_point_without_container)
{
	pool_without_container = true;
	every_point(FAULT_KILL, NULL, 2);
	pool_without_container = false;
}

/* ---- the n-th ---- */

static void
sample(FaultKind kind, const char *point, unsigned tries)
{
	static Record plan;
	uint64_t seed = check_random();
	uint64_t range = 0;
	unsigned i;

	REQUIRE(make_record());
	survey(seed, &plan);
	range = plan.operations;
	for (i = 0; point != NULL && i < plan.npoints; i++)
		if (strcmp(plan.points[i].name, point) == 0)
			range = plan.points[i].hits;
	for (i = 0; i < LIVES(tries); i++)
	{
		Fault f = {kind, point, 1 + check_random_below(range), check_random()};

		CHECK(try_fault(&f, seed));
	}
}

TEST(nth_allocation_fails)
{
	sample(FAULT_ERROR, "port.alloc", 40);
}

TEST(nth_file_operation_fails)
{
	sample(FAULT_FILE, NULL, 25);
}

TEST(disk_dies)
{
	sample(FAULT_FILES, NULL, 8);
}

TEST(disk_is_full_for_a_while)
{
	sample(FAULT_SPACES, NULL, 10);
}

TEST(power_goes)
{
	sample(FAULT_POWER, NULL, 40);
}

/* With all of it still unsynced: of the first syncs, which make the files, and of some later ones. */
TEST(power_goes_before_syncs)
{
	static Record plan;
	unsigned round, k, i;

	REQUIRE(make_record());
	for (round = 0; round < 2; round++)
	{
		uint64_t seed = check_random();

		long_keys = round == 1;
		survey(seed, &plan);
		for (k = LOSSY_CURRENT; k <= LOSSY_POOL; k++)
			for (i = 0; i < LIVES(SYNCS_MAX) && i < plan.nsyncs[k]; i++)
			{
				Fault f = {FAULT_POWER, NULL, plan.syncs[k][i], check_random()};

				CHECK(try_fault(&f, seed));
			}
	}
	long_keys = false;
}

TEST(power_goes_without_container)
{
	pool_without_container = true;
	sample(FAULT_POWER, NULL, 15);
	pool_without_container = false;
}

/* A manifest past its size is replaced by a new one. */
TEST(manifest_is_replaced)
{
	static Record plan;
	uint32_t i;

	long_keys = true;
	REQUIRE(make_record());
	survey(check_random(), &plan);
	for (i = 0; i < plan.npoints; i++)
		if (strcmp(plan.points[i].name, "current.before_rename") == 0)
			CHECK(plan.points[i].hits >= 2);
	every_point(FAULT_KILL, "current.", 3);
	every_point(FAULT_KILL, "manifest.before", 3);
	every_point(FAULT_ERROR, "current.", 3);
	every_point(FAULT_ERROR, "manifest.before", 3);
	every_point(FAULT_ERROR, "log.create", 3);
	sample(FAULT_FILE, NULL, 10);
	sample(FAULT_POWER, NULL, 25);
	long_keys = false;
}

static uint32_t
hits_of(const Record *plan, const char *point)
{
	uint32_t i;

	for (i = 0; i < plan->npoints; i++)
		if (strcmp(plan->points[i].name, point) == 0)
			return plan->points[i].hits;
	return 0;
}

/* Most values are apart: tables of them are written, collected and dropped. */
static void
values_move(bool container)
{
	static Record plan;

	values_apart = true;
	pool_without_container = !container;
	REQUIRE(make_record());
	survey(check_random(), &plan);
	CHECK(hits_of(&plan, "values.before_sweep") > 0);
	every_point(FAULT_KILL, "values.", 4);
	every_point(FAULT_ERROR, "values.", 3);
	every_point(FAULT_KILL, "table.", 4);
	every_point(FAULT_ERROR, "table.", 3);
	every_point(FAULT_KILL, "level.", 2);
	every_point(FAULT_KILL, container ? "column." : "flush.", 2);
	sample(FAULT_FILE, NULL, 8);
	sample(FAULT_SPACES, NULL, 4);
	sample(FAULT_POWER, NULL, 20);
	sample(FAULT_ERROR, "port.alloc", 10);
	values_apart = false;
	pool_without_container = false;
}

TEST(values_apart_move)
{
	values_move(true);
}

TEST(values_apart_move_without_container)
{
	values_move(false);
}

/* More data, and so more levels. */
TEST(deeper_levels)
{
	large_values = true;
	pool_without_container = true;
	every_point(FAULT_KILL, "level.", 3);
	every_point(FAULT_ERROR, "level.", 2);
	sample(FAULT_POWER, NULL, 8);
	sample(FAULT_ERROR, "port.alloc", 8);
	large_values = false;
	pool_without_container = false;
}

static bool
changes_in_every_way(const Record *plan)
{
	return hits_of(plan, "pool.resized") > 0 && hits_of(plan, "pool.before_cut") > 0 &&
		hits_of(plan, "pool.before_remove") > 0 && hits_of(plan, "pool.file_allocated") > 1;
}

/* The container becomes larger, smaller, goes and comes back, with rows in it. */
TEST(container_comes_and_goes)
{
	static Record plan;
	uint64_t seed = 0;
	unsigned i;

	container_changes = true;
	REQUIRE(make_record());
	/* Not every script has all of it. */
	for (i = 0; i < 100 && (i == 0 || !changes_in_every_way(&plan)); i++)
	{
		seed = check_random();
		survey(seed, &plan);
	}
	CHECK(changes_in_every_way(&plan));
	points_of_plan(&plan, seed, FAULT_KILL, "pool.", 2);
	points_of_plan(&plan, seed, FAULT_ERROR, "pool.", 1);
	sample(FAULT_FILE, NULL, 5);
	sample(FAULT_FILES, NULL, 2);
	sample(FAULT_SPACES, NULL, 3);
	sample(FAULT_POWER, NULL, 10);
	sample(FAULT_ERROR, "port.alloc", 4);
	container_changes = false;
}

TEST(families_come_and_go)
{
	with_families = true;
	every_point(FAULT_KILL, "famil", 3);
	every_point(FAULT_ERROR, "famil", 3);
	every_point(FAULT_KILL, "manifest.", 2);
	every_point(FAULT_KILL, "log.", 2);
	sample(FAULT_FILE, NULL, 15);
	sample(FAULT_FILES, NULL, 5);
	sample(FAULT_SPACES, NULL, 8);
	sample(FAULT_POWER, NULL, 30);
	sample(FAULT_ERROR, "port.alloc", 20);
	with_families = false;
}

/*
 * Recovery from a kill finds in the log what was never synced.  When the power goes before all families have flushed
 * it, they must agree about it all the same.
 */
TEST(power_goes_in_recovery)
{
	unsigned i;

	REQUIRE(make_record());
	with_families = true;
	for (i = 0; i < LIVES(24); i++)
	{
		Fault f = {FAULT_POWER_RECOVERY, "flush.before_install", 1 + check_random_below(8), check_random()};

		CHECK(try_fault(&f, check_random()));
	}
	with_families = false;
}

static void
lose_power_with_lines(unsigned lives, uint64_t range)
{
	uint64_t seed = check_random();
	unsigned i;

	REQUIRE(make_record());
	for (i = 0; i < LIVES(lives); i++)
	{
		Fault f = {FAULT_POWER_LINES, NULL, 1 + check_random_below(range), check_random()};

		CHECK(try_fault(&f, seed + i / 5));
	}
}

/*
 * The first copy is the header's, the second operation persists it: the power goes in between.  What is there
 * afterwards is no header, all of it, or a torn one.
 */
TEST(power_goes_while_a_pool_gets_its_header)
{
	uint64_t before = all_lines.header;
	uint64_t seed = check_random();
	unsigned i;

	REQUIRE(make_record());
	for (i = 0; i < LIVES(12); i++)
	{
		Fault f = {FAULT_POWER_LINES, NULL, 2, check_random()};

		CHECK(try_fault(&f, seed));
	}
	CHECK(all_lines.header > before);
}

TEST(power_goes_with_lines_in_flight)
{
	lose_power_with_lines(15, 250);
}

/* What was acknowledged was drained: any of the other lines may get lost. */
TEST(power_goes_with_a_log_on_persistent_memory)
{
	mapped_log = true;
	lose_power_with_lines(30, 400);
	sample(FAULT_POWER, NULL, 15);
	mapped_log = false;
}

TEST(death_and_failures_with_a_log_on_persistent_memory)
{
	mapped_log = true;
	every_point(FAULT_KILL, "log.", 3);
	every_point(FAULT_ERROR, "log.", 3);
	sample(FAULT_FILE, NULL, 10);
	mapped_log = false;
}

/* Any script, any fault, as long as time is given. */
TEST(random_faults)
{
	const char *text = getenv("NVMKV_CRASH_SECONDS");
	double seconds = text != NULL ? atof(text) : DEFAULT_SECONDS;
	uint64_t start = port_now_us();
	unsigned lives = 0;

	REQUIRE(make_record());
	while ((double) (port_now_us() - start) < seconds * 1e6 && check_failures == 0)
	{
		static const FaultKind kinds[] = {FAULT_ERROR, FAULT_FILE,  FAULT_FILES,      FAULT_SPACES,
										  FAULT_POWER, FAULT_POWER, FAULT_POWER_LINES};
		Fault f = {kinds[check_random_below(7)], NULL, 1 + check_random_below(900), check_random()};

		if (f.kind == FAULT_ERROR)
		{
			f.point = "port.alloc";
			f.at *= 3;
		}
		pool_without_container = check_random_below(4) == 0;
		mapped_log = check_random_below(3) == 0;
		with_families = check_random_below(3) == 0;
		container_changes = !pool_without_container && check_random_below(3) == 0;
		CHECK(try_fault(&f, check_random()));
		lives++;
	}
	pool_without_container = false;
	mapped_log = false;
	with_families = false;
	container_changes = false;
	printf("%u lives\n", lives);
}

/* Did the power really do all that it can do?  After the others; one test alone need not have met everything. */
TEST(what_the_power_took)
{
	unsigned k;

	for (k = 0; k < LOSSY_KINDS; k++)
		printf("%-8s sectors kept %" PRIu64 ", reverted %" PRIu64 ", of them garbled %" PRIu64 "; names lost %" PRIu64 ", back %" PRIu64 "\n",
			   lossy_kind_name((LossyKind) k), all_sectors.kept[k], all_sectors.reverted[k], all_sectors.garbled[k],
			   all_sectors.names_lost[k], all_sectors.names_back[k]);
	printf("lines kept %" PRIu64 ", reverted %" PRIu64 ", torn %" PRIu64 ", in the header %" PRIu64 ", in the log %" PRIu64 "\n",
		   all_lines.kept, all_lines.reverted, all_lines.torn, all_lines.header, all_lines.log);
	/* With fewer lives it may not have. */
	if (check_argc > 1 || LIVES(3) < 3)
		return;
	CHECK(all_sectors.kept[LOSSY_CURRENT] + all_sectors.reverted[LOSSY_CURRENT] > 0);
	for (k = LOSSY_MANIFEST; k <= LOSSY_POOL; k++)
		CHECK(all_sectors.kept[k] > 0 && all_sectors.reverted[k] > 0 && all_sectors.garbled[k] > 0);
	CHECK(all_lines.kept > 0 && all_lines.reverted > 0 && all_lines.torn > 0);
	CHECK(all_lines.header > 0 && all_lines.log > 0);
}

TEST_MAIN()
