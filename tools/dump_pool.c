/*
 * dump_pool.c
 *	  Header of the container's pool, and the rows a manifest says are in it.
 */
#include "tools/dump_format.h"

#include <inttypes.h>

#include "tools/dump_fold.h"
#include "tools/dump_map.h"
#include "tools/dump_version.h"

static void
dump_entries(Dump *dump, const DumpPool *m, const NvmRowRef *ref)
{
	NvmkvBuf scratch = {0};
	uint64_t i;

	for (i = ref->first_live; i < ref->entries; i++)
	{
		NvmkvSlice key;
		NvmkvSlice payload;
		uint64_t tag;

		/* One entry's damage does not hide the next. */
		if (nvm_row_entry(&m->pool, ref, i, &scratch, &key, &tag, &payload) != NVMKV_OK)
		{
			dump_failure(dump);
			continue;
		}
		fprintf(dump->out, "        %" PRIu64 ": ", i);
		dump_entry(dump, key, tag, payload);
	}
	nvmkv_buf_free(&scratch);
}

static void
dump_rows(Dump *dump, const DumpPool *m, const VersionDraft *live)
{
	uint64_t used = 0;
	uint32_t i;
	uint32_t e;

	if (live->nrows > 0 && live->pool_id != m->header.pool_id)
	{
		(void) NVMKV_FAIL(NVMKV_INVALID, "the manifest is about pool %016" PRIx64, live->pool_id);
		dump_failure(dump);
		return;
	}
	for (i = 0; i < live->nrows; i++)
	{
		NvmRowRef ref = dump_row_ref(&live->rows[i]);

		dump_row(dump, &live->rows[i]);
		for (e = 0; e < ref.extent_count; e++)
			used += e == 0 || e >= ref.first_extent_live;
		if (nvm_row_check_header(&m->pool, &ref) != NVMKV_OK)
			dump_failure(dump);
		else if (dump->show_keys)
			dump_entries(dump, m, &ref);
	}
	fprintf(dump->out, "rows %" PRIu32 ", extents in use %" PRIu64 " of %" PRIu32 "\n", live->nrows, used, m->pool.extent_count);
}

void
dump_pool(Dump *dump, const char *path, const char *dir)
{
	DumpPool m;
	DumpState state;

	if (dump_pool_map(path, &m) != NVMKV_OK)
		dump_failure(dump);
	else
	{
		fprintf(dump->out, "pool %016" PRIx64 ": system %" PRIu64 ", %" PRIu32 " extents of %" PRIu64 " bytes, file of %" PRIu64 " bytes\n",
				m.header.pool_id, m.header.system_identifier, m.pool.extent_count, NVM_EXTENT_BYTES, m.device.bytes);
		fprintf(dump->out, "generation %016" PRIx64 ", opened at sequence %" PRIu64 ", rows up to %" PRIu64 "\n",
				m.stamp.generation, m.stamp.position, m.stamp.last_row);
		if (dir != NULL)
		{
			if (dump_fold(dump, dir, false, &state))
				dump_rows(dump, &m, &state.live);
			dump_state_free(&state);
		}
	}
	dump_pool_unmap(&m);
}
