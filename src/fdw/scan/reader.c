/*
 * reader.c
 *	  Reads ranges of keys: rows of a foreign table, or entries of one of its
 *	  indexes.
 *
 * A range that is one whole key is looked up, any other is fetched from the
 * engine in batches, small ones first, because whoever asks (a LIMIT, the inner
 * side of a join) may want a row or two.  The engine is in no epoch between two
 * calls, so neither an idle cursor nor a row that is held by the node above
 * holds anything back.
 *
 * An entry of an index is a version like that of a row, so one of a key may be
 * covered, too (covered.h): it is the entry of a row that is covered.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "fdw/key/keycode.h"
#include "fdw/scan/reader.h"
#include "fdw/txn/covered.h"
#include "fdw/txn/damage.h"
#include "fdw/txn/write.h"

#define BATCH_ROWS_MIN 8
#define BATCH_ROWS_MAX 1024
#define BATCH_BYTES_MAX (256 * 1024)

static void
check(const NvmkvReader *reader, NvmkvStatus status)
{
	nvmkv_check_table_status(status, reader->doing, reader->table);
}

void
nvmkv_reader_init(NvmkvReader *reader, const NvmkvReader *template)
{
	*reader = *template;
	reader->batch_rows = BATCH_ROWS_MIN;
	nvmkv_buffer_init(&reader->covered);
}

void
nvmkv_reader_start(NvmkvReader *reader, const NvmkvKeyRange *range)
{
	if (range->point)
	{
		reader->point = range->lower;
		reader->point_asked = true;
		return;
	}
	if (reader->scan == NULL)
	{
		check(reader, nvmkv_scan_create(reader->db, &reader->scan));
		if (reader->keys_only)
			nvmkv_scan_keys_only(reader->scan);
	}
	check(reader, nvmkv_scan_start(reader->scan, range->lower, range->upper, reader->backward,
								   &reader->visibility->engine));
	reader->in_range = true;
	reader->rows = NULL;
	reader->nrows = 0;
	reader->next = 0;
}

/* The next batch of the range; false at its end. */
static bool
fetch_batch(NvmkvReader *reader)
{
	check(reader, nvmkv_scan_batch(reader->scan, reader->batch_rows, BATCH_BYTES_MAX, &reader->rows, &reader->nrows));
	reader->next = 0;
	/* Who reads many short ranges gets no room for long ones. */
	if (reader->nrows >= reader->batch_rows)
		reader->batch_rows = Min(reader->batch_rows * 2, BATCH_ROWS_MAX);
	if (reader->nrows == 0)
		reader->in_range = false;
	return reader->nrows > 0;
}

/* Is there a covered row of the key? */
static bool
find_covered(NvmkvReader *reader, NvmkvSlice key, NvmkvRowBytes *row_out)
{
	uint64 sequence;

	if (!nvmkv_covered_row(reader->db, reader->table, key, reader->visibility, &reader->covered, &sequence, NULL))
		return false;
	*row_out = (NvmkvRowBytes){
		.key = key,
		.value = nvmkv_buffer_slice(&reader->covered),
		.sequence = sequence,
		.covered = true,
	};
	return true;
}

/* What is in value. */
static void
take_point(const NvmkvReader *reader, NvmkvRowBytes *row_out)
{
	*row_out = (NvmkvRowBytes){
		.key = reader->point,
		.value = nvmkv_buf_slice(&reader->value),
		.sequence = reader->point_version.sequence,
		.fxid = reader->point_version.txn.fxid,
	};
}

static NvmkvStatus
get_point(NvmkvReader *reader)
{
	NvmkvStatus status;

	memset(&reader->point_version, 0, sizeof(reader->point_version));
	status = nvmkv_get(reader->db, reader->point, &reader->visibility->engine, &reader->value, &reader->point_version);
	if (status != NVMKV_NOT_FOUND)
		check(reader, status);
	return status;
}

/*
 * The next writer of the version that a serializable transaction reads conflicts with it.  If he has committed already
 * he was met on the way, and whoever writes after him is no concern: as on a heap, where it is the version that is
 * locked.  Else the lock comes before the look that counts, for writers look for locks after they have written.
 */
static NvmkvStatus
get_point_serializable(NvmkvReader *reader)
{
	NvmkvStatus status;

	nvmkv_visibility_expect_successor(reader->visibility);
	status = get_point(reader);
	if (nvmkv_visibility_met_successor(reader->visibility))
		return status;
	nvmkv_predicate_lock_key(reader->visibility, reader->point);
	return get_point(reader);
}

/* The row with this very key, or the first of two; false when there is none to be seen. */
static bool
look_up(NvmkvReader *reader, NvmkvRowBytes *row_out)
{
	NvmkvStatus status;

	reader->report->points++;
	if (reader->point.size > NVMKV_KEY_BYTES_MAX)
		return false;
	if (reader->locks_points && reader->visibility->rel != NULL)
		status = get_point_serializable(reader);
	else
		status = get_point(reader);
	if (nvmkv_visibility_is_own(reader->visibility, &reader->point_version) &&
		find_covered(reader, reader->point, row_out))
		reader->point_waits = status == NVMKV_OK;
	else if (status == NVMKV_OK)
		take_point(reader, row_out);
	else
		return false;
	reader->report->found++;
	return true;
}

bool
nvmkv_reader_next(NvmkvReader *reader, NvmkvRowBytes *row_out)
{
	if (reader->point_asked)
	{
		reader->point_asked = false;
		return look_up(reader, row_out);
	}
	if (reader->point_waits)
	{
		take_point(reader, row_out);
		reader->point_waits = false;
		return true;
	}
	while (reader->in_range && (reader->next < reader->nrows || fetch_batch(reader)))
	{
		const NvmkvScanRow *row = &reader->rows[reader->next++];

		if (!row->beneath)
		{
			*row_out = (NvmkvRowBytes){
				.key = row->key,
				.value = row->value,
				.sequence = row->sequence,
				.fxid = row->txn.fxid,
				.mark = row->newest ? nvmkv_scan_mark(reader->scan) : 0,
			};
			return true;
		}
		if (find_covered(reader, row->key, row_out))
			return true;
	}
	return false;
}

uint64
nvmkv_reader_count(NvmkvReader *reader)
{
	uint64 count = 0;
	NvmkvRowBytes row;

	while (reader->point_asked || reader->point_waits)
		count += nvmkv_reader_next(reader, &row);
	while (reader->in_range && (reader->next < reader->nrows || fetch_batch(reader)))
	{
		for (; reader->next < reader->nrows; reader->next++)
		{
			const NvmkvScanRow *found = &reader->rows[reader->next];

			if (!found->beneath || find_covered(reader, found->key, &row))
				count++;
		}
		CHECK_FOR_INTERRUPTS();
	}
	return count;
}

void
nvmkv_reader_reset(NvmkvReader *reader)
{
	reader->in_range = false;
	reader->point_asked = false;
	reader->point_waits = false;
	reader->rows = NULL;
	reader->nrows = 0;
	reader->next = 0;
	reader->batch_rows = BATCH_ROWS_MIN;
}

void
nvmkv_reader_release(NvmkvReader *reader)
{
	nvmkv_scan_destroy(reader->scan);
	reader->scan = NULL;
	nvmkv_buf_free(&reader->value);
}

void
nvmkv_reader_add_stats(const NvmkvReader *reader, NvmkvScanStats *stats)
{
	const NvmkvScanStats *own;

	if (reader->scan == NULL)
		return;
	own = nvmkv_scan_stats(reader->scan);
	stats->rows += own->rows;
	stats->versions_passed += own->versions_passed;
	stats->leaps += own->leaps;
	stats->batches += own->batches;
	stats->memtable_entries += own->memtable_entries;
	stats->level0_entries += own->level0_entries;
	stats->table_entries += own->table_entries;
}
