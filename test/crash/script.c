/*
 * script.c
 *	  See script.h.
 */
#include "crash/script.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/faults.h"
#include "crash/record.h"
#include "engine/base/slice.h"

#define STEPS 300
#define STEPS_MANY 500
#define VALUE_MAX 70000
#define LONG_KEY_BYTES 1900

static uint64_t script_state;

static uint64_t
script_random(uint64_t bound)
{
	script_state = script_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (script_state >> 33) % bound;
}

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
static NvmkvSlice
key_of(unsigned number)
{
	static char text[LONG_KEY_BYTES + 1];
	NvmkvSlice key = rig_key(number);

	if (!life.long_keys)
		return key;
	memset(text, 'k', sizeof(text));
	memcpy(text, key.data, key.size);
	return nvmkv_slice(text, LONG_KEY_BYTES);
}

static unsigned
family_of(unsigned key)
{
	return life.with_families ? key % FAMILIES : 0;
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

bool
script_holds(NvmkvDb *db, uint64_t last, bool reverse)
{
	unsigned family;

	for (family = 0; family < FAMILIES; family++)
		if (record->birth[family] != 0 && !family_holds(db, family, last, reverse))
			return false;
	return true;
}

/* ---- families ---- */

bool
script_look_at_families(NvmkvDb *db)
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
		if (family == 1 && !life.pool_without_container)
			shape.nvm_bytes = UINT64_C(16) << 20;
		(void) snprintf(name, sizeof(name), "%" PRIu32, ++record->births);
		if (nvmkv_family_create(db, family, name, &shape, NULL) != NVMKV_OK)
			return;
		record->birth[family] = record->births;
	}
	record->unsettled[family] = false;
}

void
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
		else if (life.large_values)
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
	if (life.container_changes)
		rig->options.nvm_bytes = container_sizes[script_random(CONTAINER_SIZES)] << 20;
	for (tries = 0; tries < 3; tries++)
	{
		NvmkvStatus st;

		fault_recovering = rig->db != NULL;
		st = rig_reopen(rig);
		fault_recovering = false;
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
	if (!script_look_at_families(rig->db))
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

int
script_play(Rig *rig, uint64_t seed)
{
	unsigned step;
	bool did, more;
	unsigned tries;

	script_state = seed;
	if (life.pool_without_container)
		rig->options.nvm_bytes = 0;
	if (life.values_apart)
		rig->options.value_threshold_bytes = 100;
	script_reopen(rig);
	for (step = 1; step < FAMILIES && life.with_families; step++)
		script_family(rig->db, step);
	for (step = 0; step < (life.long_keys || life.large_values ? STEPS_MANY : STEPS); step++)
	{
		NvmkvDb *db = rig->db;
		uint64_t dice = script_random(100);

		if (life.with_families && script_random(60) == 0)
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
		else if (dice < (life.container_changes ? 96 : 98))
		{
			(void) nvmkv_compact_all(db);
			/* What is in no row any more is free, and may be cut. */
			if (life.container_changes)
			{
				(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
				(void) nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
			}
		}
		else if (dice < 99 && !life.container_changes)
		{
			/* Once more after a passing failure; a disk that is gone for good is not asked. */
			if (fault.kind != FAULT_FILES && !script_holds(db, record->assigned, false) &&
				!script_holds(db, record->assigned, false))
				return EXIT_WRONG;
		}
		else
			script_reopen(rig);
	}
	if (life.large_values)
	{
		(void) nvmkv_flush_all(rig->db);
		(void) nvmkv_compact_all(rig->db);
		for (step = 0; step < 20; step++)
			(void) nvmkv_work(rig->db, NVMKV_WORK_COMPACT, &did, &more);
	}
	for (tries = 0; tries < 2; tries++)
		if (fault.kind == FAULT_FILES || script_holds(rig->db, record->assigned, true))
			break;
	if (tries == 2)
		return EXIT_WRONG;
	rig_close(rig);
	return 0;
}
