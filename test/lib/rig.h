/*
 * rig.h
 *	  A database in a directory of its own, for tests: opening, closing without
 *	  a flush, writing with whatever work that needs, and a table of fake
 *	  transactions.
 */
#ifndef NVMKV_TEST_RIG_H
#define NVMKV_TEST_RIG_H

#include "engine/nvmkv.h"
#include "engine/port/port_guard.h"
#include "engine/port/port_posix.h"

typedef struct Rig
{
	char dir[512];
	char path[600]; /* of the database: dir/db */
	NvmkvOptions options;
	void *memory;
	size_t memory_bytes;
	NvmkvDb *db; /* NULL: closed */
} Rig;

/*
 * Files that are never really synced, for tests that kill processes but never the machine; they may be copied and
 * changed.  port_files = &rig_quick_files;
 */
extern const PortFileOps rig_quick_files;

/* Smallest sensible sizes: write buffers of 1 MiB, a pool of 16 MiB, tables of 1 MiB. */
extern void rig_options(NvmkvOptions *options);

/* New empty directory; small options; not open. */
extern void rig_init(Rig *rig);
extern void rig_remove(Rig *rig);

/* Opens with rig->options in new shared memory, and lets writers in. */
extern NvmkvStatus rig_open(Rig *rig);

/* Forgets everything that is not in files, as a crash of the processes would. */
extern void rig_close(Rig *rig);
extern NvmkvStatus rig_reopen(Rig *rig);

/* dir/db/name */
extern void rig_path(const Rig *rig, const char *name, char *path, size_t size);

/* Logs a batch, doing in this process what it takes to make room. */
extern NvmkvStatus rig_write(NvmkvDb *db, const NvmkvBatch *batch, uint64_t *last_sequence_out);

/* One entry; fxid 0: untagged.  kind: NVMKV_KIND_*. */
extern NvmkvStatus rig_entry(NvmkvDb *db, unsigned kind, NvmkvSlice key, uint64_t fxid, uint32_t cid, NvmkvSlice value);
extern NvmkvStatus rig_put(NvmkvDb *db, const char *key, const char *value);
extern NvmkvStatus rig_delete(NvmkvDb *db, const char *key);

/* Steps of this kind until one says there is no more to do. */
extern NvmkvStatus rig_work(NvmkvDb *db, NvmkvWork work);

static inline NvmkvSlice
rig_slice(const char *text)
{
	return nvmkv_slice(text, strlen(text));
}

/* "%08u" of a number as a key, in a ring of buffers: eight are good at a time. */
extern NvmkvSlice rig_key(uint64_t number);

/* ---- fake transactions ---- */

#define RIG_TXNS 65536 /* fxids 1 .. RIG_TXNS - 1 */
#define RIG_SNAPSHOTS 64

typedef enum RigTxnState
{
	RIG_TXN_RUNNING,
	RIG_TXN_COMMITTED,
	RIG_TXN_ABORTED
} RigTxnState;

/* A snapshot sees what was committed up to a time, and the earlier commands of its own transaction. */
typedef struct RigSnapshot
{
	struct RigTxns *txns;
	uint64_t time;
	uint64_t own_fxid; /* 0: none */
	uint32_t own_cid;  /* its entries with a smaller cid are seen */
	bool held;
	NvmkvSnapshot base;
} RigSnapshot;

typedef struct RigTxns
{
	uint64_t next_fxid;
	uint64_t clock;
	uint64_t forgotten; /* outcomes below are asked of the database */
	struct
	{
		uint8_t state;
		uint64_t committed_at;
	} txn[RIG_TXNS];
	RigSnapshot snapshots[RIG_SNAPSHOTS]; /* the held ones hold back the horizon */
} RigTxns;

/* Processes forked later share it; one of them changes it. */
extern RigTxns *rig_txns_create(void);
extern void rig_txns_destroy(RigTxns *txns);
extern void rig_txns_use(RigTxns *txns, NvmkvDb *db);

/*
 * Settles what has ended, and with "forget" relies on the database for that from now on.  Whoever is told a transaction's
 * outcome by it, from now on, checks it.
 */
extern NvmkvStatus rig_settle(RigTxns *txns, NvmkvDb *db, bool forget);

extern uint64_t rig_begin(RigTxns *txns);
extern void rig_commit(RigTxns *txns, uint64_t fxid);
extern void rig_abort(RigTxns *txns, uint64_t fxid);

/* What a crash does to the running. */
extern void rig_abort_running(RigTxns *txns);

/* NULL: all are in use. */
extern RigSnapshot *rig_snapshot(RigTxns *txns, uint64_t own_fxid, uint32_t own_cid);
extern void rig_release(RigSnapshot *snapshot);
extern bool rig_sees(const RigSnapshot *snapshot, uint64_t fxid, uint32_t cid);

#endif
