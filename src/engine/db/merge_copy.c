/*
 * merge_copy.c
 *	  What column and level compaction share.
 */
#include "engine/db/merge_copy.h"

/* Entries and bytes between two looks at progress and interruption. */
#define MERGE_STRIDE 4096
#define MERGE_STRIDE_BYTES UINT64_C(262144)

NvmkvStatus
merge_copy(DbJob *job, GcFilter *gc, NvmkvIter *m, TableOutput *output)
{
	uint64_t keys = 0;
	uint64_t bytes = 0;
	uint64_t look_at = MERGE_STRIDE_BYTES;

	for (m->ops->seek_first(m); m->valid; m->ops->next(m))
	{
		uint64_t tag = m->tag;
		NvmkvSlice payload = m->payload;
		bool keep;

		NVMKV_RETURN_IF(gc_next(gc, m->key, &tag, &payload, &keep));
		if (keep)
			NVMKV_RETURN_IF(table_output_add(output, m->key, tag, payload));
		bytes += m->key.size + m->payload.size;
		if (++keys % MERGE_STRIDE == 0 || bytes >= look_at)
		{
			look_at = bytes + MERGE_STRIDE_BYTES;
			job_progress(job, keys, bytes);
			if (port_interrupted())
				return NVMKV_FAIL(NVMKV_CANCELLED, "compaction interrupted");
		}
	}
	job_progress(job, keys, bytes);
	return m->status;
}

void
merge_overlapping(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high, uint32_t *first_out,
				  uint32_t *end_out)
{
	const VersionFile *files = version_files(v);
	uint32_t i = version_find_file(v, level, low);

	*first_out = i;
	while (i < v->level_start[level + 1] && slice_compare(version_bytes(v, files[i].smallest), high) <= 0)
		i++;
	*end_out = i;
}

bool
merge_is_bottom(const VersionImage *v, unsigned level, NvmkvSlice low, NvmkvSlice high, uint32_t first_input,
				uint32_t end_input)
{
	const VersionFile *files = version_files(v);
	unsigned below;

	/* Inputs of the level reach beyond the range, and their deletions there are judged too. */
	if (first_input < end_input)
	{
		NvmkvSlice smallest = version_bytes(v, files[first_input].smallest);
		NvmkvSlice largest = version_bytes(v, files[end_input - 1].largest);

		if (slice_compare(smallest, low) < 0)
			low = smallest;
		if (slice_compare(largest, high) > 0)
			high = largest;
	}
	for (below = level + 1; below < VERSION_LEVELS; below++)
	{
		uint32_t first, end;

		merge_overlapping(v, below, low, high, &first, &end);
		if (first < end)
			return false;
	}
	return true;
}

uint64_t
merge_files_bytes(const VersionImage *v, uint32_t first, uint32_t end)
{
	const VersionFile *files = version_files(v);
	uint64_t bytes = 0;
	uint32_t i;

	for (i = first; i < end; i++)
		bytes += files[i].bytes;
	return bytes;
}
