/*
 * estimate.c
 *	  How much is in a table or an index.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "fdw/host/family.h"
#include "fdw/host/status.h"
#include "fdw/key/keycode.h"
#include "fdw/plan/estimate.h"

/*
 * An estimate asks every sorted source, so a burst of short queries shares one.  It is kept for a microsecond per
 * entry: a table must have grown little before it is asked again, and a small one is always asked.
 */
#define ESTIMATE_AGE_MAX_US 1000000.0
#define ESTIMATES_MAX 1024

typedef struct CachedEstimate
{
	uint64 storage_id; /* hash key */
	NvmkvEstimate estimate;
	TimestampTz taken;
} CachedEstimate;

static HTAB *estimates;

static void
create_estimates(void)
{
	HASHCTL ctl;

	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(CachedEstimate);
	ctl.hcxt = TopMemoryContext;
	estimates = hash_create("nvmkv table estimates", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
nvmkv_table_estimate(const NvmkvTable *table, NvmkvEstimate *estimate_out)
{
	NvmkvDb *db = nvmkv_engine_of_or_null(table->storage_id);
	TimestampTz now;
	CachedEstimate *cached;
	bool found;
	StringInfoData lower;
	StringInfoData upper;

	memset(estimate_out, 0, sizeof(*estimate_out));
	if (db == NULL || table->storage_id == 0)
		return;

	if (estimates != NULL && hash_get_num_entries(estimates) >= ESTIMATES_MAX)
	{
		hash_destroy(estimates);
		estimates = NULL;
	}
	if (estimates == NULL)
		create_estimates();

	now = GetCurrentTimestamp();
	cached = hash_search(estimates, &table->storage_id, HASH_FIND, NULL);
	if (cached != NULL && now >= cached->taken &&
		(double) (now - cached->taken) < Min(cached->estimate.entries, ESTIMATE_AGE_MAX_US))
	{
		*estimate_out = cached->estimate;
		return;
	}

	nvmkv_key_table_range(table, &lower, &upper);
	nvmkv_check_status(nvmkv_estimate(db, nvmkv_slice(lower.data, (size_t) lower.len),
									  nvmkv_slice(upper.data, (size_t) upper.len), estimate_out),
					   "estimating the size of a table of", "nvmkv");
	pfree(lower.data);
	pfree(upper.data);

	cached = hash_search(estimates, &table->storage_id, HASH_ENTER, &found);
	cached->estimate = *estimate_out;
	cached->taken = now;
}
