/*
 * version.c
 *	  Look-ups in a version image.
 */
#include "engine/meta/version.h"

#include <stdlib.h>

#include "engine/port/port.h"

uint32_t
version_find_file(const VersionImage *v, unsigned level, NvmkvSlice key)
{
	const VersionFile *files = version_files(v);
	uint32_t lo = v->level_start[level];
	uint32_t hi = v->level_start[level + 1];

	while (lo < hi)
	{
		uint32_t mid = lo + (hi - lo) / 2;

		if (slice_compare(version_bytes(v, files[mid].largest), key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t
version_role_bytes(const VersionImage *v, VersionRole role)
{
	uint64_t sum = 0;
	uint32_t i;

	for (i = 0; i < v->nrows; i++)
		if (v->rows[i].role == (uint32_t) role)
			sum += v->rows[i].live_bytes;
	return sum;
}

static uint64_t
min_fxid(uint64_t a, uint64_t b)
{
	if (a == 0)
		return b;
	return (b == 0 || a < b) ? a : b;
}

uint64_t
version_outcome_file(const VersionImage *v, uint64_t segment)
{
	const VersionSegment *segments = version_segments(v);
	uint32_t lo = 0;
	uint32_t hi = v->nsegments;

	while (lo < hi)
	{
		uint32_t mid = lo + (hi - lo) / 2;

		if (segments[mid].segment < segment)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->nsegments && segments[lo].segment == segment ? segments[lo].file : 0;
}

bool
version_outcome_is_lost(const VersionImage *v, uint64_t fxid)
{
	const VersionXids *unknown = version_unknown(v);
	uint32_t i;

	for (i = 0; i < v->nunknown && unknown[i].from <= fxid; i++)
		if (fxid < unknown[i].to)
			return true;
	return false;
}

uint64_t
version_min_unresolved(const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	uint64_t min = 0;
	uint32_t i;

	for (i = 0; i < v->nrows; i++)
		min = min_fxid(min, v->rows[i].min_unresolved_fxid);
	for (i = 0; i < v->nfiles; i++)
		min = min_fxid(min, files[i].min_unresolved_fxid);
	return min;
}

const VersionFile *
version_find_values(const VersionImage *v, uint64_t number)
{
	const VersionFile *files = version_files(v);
	uint32_t lo = v->level_start[VERSION_VALUES];
	uint32_t hi = v->level_start[VERSION_VALUES + 1];

	while (lo < hi)
	{
		uint32_t mid = lo + (hi - lo) / 2;

		if (files[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < v->level_start[VERSION_VALUES + 1] && files[lo].number == number ? &files[lo] : NULL;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *) a;
	uint64_t y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

uint64_t *
version_file_numbers(const VersionImage *v)
{
	const VersionFile *files = version_files(v);
	uint64_t *numbers = port_alloc((v->nfiles + 1) * sizeof(uint64_t));
	uint32_t i;

	if (numbers == NULL)
		return NULL;
	for (i = 0; i < v->nfiles; i++)
		numbers[i] = files[i].number;
	if (v->nfiles > 1)
		qsort(numbers, v->nfiles, sizeof(uint64_t), compare_numbers);
	return numbers;
}

bool
version_numbers_have(const uint64_t *numbers, uint32_t count, uint64_t number)
{
	return bsearch(&number, numbers, count, sizeof(uint64_t), compare_numbers) != NULL;
}

/* ---- damaged ranges ---- */

const VersionDamage *
version_damage_at(const VersionImage *v, NvmkvSlice key)
{
	const VersionDamage *damages = version_damages(v);
	const VersionDamage *worst = NULL;
	uint32_t i;

	for (i = 0; i < v->ndamages && slice_compare(version_bytes(v, damages[i].low), key) <= 0; i++)
		if (slice_compare(key, version_bytes(v, damages[i].upper)) < 0 &&
			(worst == NULL || worst->max_sequence < damages[i].max_sequence))
			worst = &damages[i];
	return worst;
}

uint32_t
version_damage_from(const VersionImage *v, NvmkvSlice key)
{
	const VersionDamage *damages = version_damages(v);
	uint32_t i;

	for (i = 0; i < v->ndamages; i++)
		if (slice_compare(version_bytes(v, damages[i].upper), key) > 0)
			break;
	return i;
}

bool
version_damage_names(const VersionImage *v, uint64_t table)
{
	const VersionDamage *damages = version_damages(v);
	uint32_t i;

	for (i = 0; i < v->ndamages; i++)
		if (damages[i].source == table && damages[i].kind != VERSION_DAMAGE_ROW)
			return true;
	return false;
}
