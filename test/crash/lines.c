/*
 * lines.c
 *	  See lines.h.
 */
#include "crash/lines.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash/record.h"
#include "engine/log/log_format.h"
#include "engine/nvm/pool.h"

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
		unsigned choice = (unsigned) (chance(3));
		uint64_t words[LINE / 8];
		unsigned i;

		memcpy(words, old->at, LINE);
		for (i = 0; i < LINE / 8; i++)
		{
			/* Eight bytes are old or new; the medium never makes up others. */
			if (choice == 1 || (choice == 2 && chance(2) == 0))
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

const LogMapOps lines_log = {log_is_pmem, log_copy, log_drain};

/* All that was not persisted when the device is closed might get lost later; nothing may rely on it. */
static void
line_close(NvmDevice *dev)
{
	forget_lines(dev->base, dev->base + dev->bytes);
	line_inner->close(dev);
}

/* From the first byte on: the header is written before the database is open. */
void
lines_watch(NvmDevice *dev)
{
	line_inner = dev->ops;
	line_ops.copy = line_copy;
	line_ops.persist = line_persist;
	line_ops.close = line_close;
	dev->ops = &line_ops;
}
