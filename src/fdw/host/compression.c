/*
 * compression.c
 *	  Which levels are compressed how, as settings and options say it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "parser/scansup.h"

#include "fdw/host/compression.h"

static const char *const names[] = {"none", "lz4", "zstd"};

static int
codec_of(const char *name, size_t length)
{
	for (int codec = 0; codec < lengthof(names); codec++)
		if (strlen(names[codec]) == length && pg_strncasecmp(names[codec], name, length) == 0)
			return codec;
	return -1;
}

bool
nvmkv_parse_compression(const char *definition, uint8 compression_out[NVMKV_LEVELS], const char **detail_out)
{
	const char *p = definition;
	int level = 1;

	for (;;)
	{
		const char *start;
		int codec;

		while (scanner_isspace(*p))
			p++;
		start = p;
		while (*p != '\0' && *p != ',' && !scanner_isspace(*p))
			p++;
		codec = codec_of(start, (size_t) (p - start));
		*detail_out = "Write none, lz4 or zstd; or a list of them, for level 1, 2 and so on, separated by commas.";
		if (codec < 0)
			return false;
		*detail_out = "There are 6 levels.";
		if (level == NVMKV_LEVELS)
			return false;
		for (int l = level == 1 ? 0 : level; l < NVMKV_LEVELS; l++)
			compression_out[l] = (uint8) codec;
		level++;
		while (scanner_isspace(*p))
			p++;
		*detail_out = "A comma is expected between levels.";
		if (*p == '\0')
			return true;
		if (*p++ != ',')
			return false;
	}
}

char *
nvmkv_format_compression(const uint8 compression[NVMKV_LEVELS])
{
	StringInfoData list;
	int last = NVMKV_LEVELS - 1;

	while (last > 1 && compression[last] == compression[last - 1])
		last--;
	initStringInfo(&list);
	for (int level = 1; level <= last; level++)
		appendStringInfo(&list, "%s%s", level > 1 ? ", " : "", names[compression[level]]);
	return list.data;
}
