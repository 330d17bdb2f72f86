/*
 * rig.c
 *	  See rig.h.
 */
#include "lib/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

/* ---- quick files ---- */

static NvmkvStatus
quick_open(const char *path, int flags, PortFile **file_out)
{
	return port_posix_files.open(path, flags, file_out);
}

static NvmkvStatus
quick_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	return port_posix_files.read(file, offset, data, size);
}

static NvmkvStatus
quick_read_some(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out)
{
	return port_posix_files.read_some(file, offset, data, size, got_out);
}

static NvmkvStatus
quick_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	return port_posix_files.write(file, offset, data, size);
}

static NvmkvStatus
quick_preallocate(PortFile *file, uint64_t size)
{
	return port_posix_files.preallocate(file, size);
}

static NvmkvStatus
quick_sync(PortFile *file)
{
	(void) file;
	return NVMKV_OK;
}

static NvmkvStatus
quick_size(PortFile *file, uint64_t *size_out)
{
	return port_posix_files.size(file, size_out);
}

static NvmkvStatus
quick_truncate(PortFile *file, uint64_t size)
{
	return port_posix_files.truncate(file, size);
}

static void
quick_close(PortFile *file)
{
	port_posix_files.close(file);
}

static NvmkvStatus
quick_unlink(const char *path)
{
	return port_posix_files.unlink(path);
}

static NvmkvStatus
quick_rename(const char *from, const char *to)
{
	return rename(from, to) == 0 ? NVMKV_OK : port_posix_files.rename(from, to);
}

static NvmkvStatus
quick_mkdir(const char *path)
{
	return mkdir(path, port_dir_mode) == 0 || errno == EEXIST ? NVMKV_OK : port_posix_files.mkdir(path);
}

static NvmkvStatus
quick_sync_dir(const char *path)
{
	(void) path;
	return NVMKV_OK;
}

static NvmkvStatus
quick_list(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx)
{
	return port_posix_files.list(dir, each, ctx);
}

static void *
quick_map(PortFile *file, uint64_t bytes)
{
	return port_posix_files.map(file, bytes);
}

const PortFileOps rig_quick_files = {
	.map = quick_map,
	.open = quick_open,
	.read = quick_read,
	.read_some = quick_read_some,
	.write = quick_write,
	.preallocate = quick_preallocate,
	.sync = quick_sync,
	.size = quick_size,
	.truncate = quick_truncate,
	.close = quick_close,
	.unlink = quick_unlink,
	.rename = quick_rename,
	.mkdir = quick_mkdir,
	.sync_dir = quick_sync_dir,
	.list = quick_list,
};

/* ---- databases ---- */

void
rig_options(NvmkvOptions *options)
{
	nvmkv_options_default(options);
	options->write_buffer_bytes = 1 * MIB;
	options->max_write_buffers = 3;
	options->nvm_bytes = 16 * MIB;
	options->target_file_bytes = 1 * MIB;
	options->block_bytes = 2048;
	options->block_cache_bytes = 128 * 1024; /* so small that blocks come and go */
	options->version_slot_bytes = 1 * MIB;
	options->process_slots = 16;
	options->system_identifier = 4711;
	options->log_buffer_bytes = 64 * 1024;
	options->standalone_log = true;
}

void
rig_init(Rig *rig)
{
	const char *base = getenv("TMPDIR");

	memset(rig, 0, sizeof(*rig));
	(void) snprintf(rig->dir, sizeof(rig->dir), "%s/nvmkv-rig-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(rig->dir) == NULL)
	{
		perror(rig->dir);
		exit(2);
	}
	(void) snprintf(rig->path, sizeof(rig->path), "%s/db", rig->dir);
	rig_options(&rig->options);
}

void
rig_remove(Rig *rig)
{
	char command[600];

	rig_close(rig);
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", rig->dir);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", rig->dir);
}

NvmkvStatus
rig_open(Rig *rig)
{
	NvmkvStatus st;

	rig->memory_bytes = nvmkv_shm_bytes(&rig->options);
	if (rig->memory_bytes == 0)
		return nvmkv_error()->status;
	rig->memory = port_posix_shared_alloc(rig->memory_bytes);
	if (rig->memory == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "no shared memory");
	NVMKV_RETURN_IF(port_guard_install()); /* or tables are not read through maps */
	st = nvmkv_open(rig->memory, rig->path, &rig->options, NULL, &rig->db);
	if (st != NVMKV_OK)
	{
		rig_close(rig);
		return st;
	}
	nvmkv_open_gate(rig->db);
	return NVMKV_OK;
}

/* Of this process's callbacks: whom they ask. */
static _Thread_local NvmkvDb *asked;

void
rig_close(Rig *rig)
{
	if (asked == rig->db)
		asked = NULL;
	nvmkv_close(rig->db);
	rig->db = NULL;
	port_posix_shared_free(rig->memory, rig->memory_bytes);
	rig->memory = NULL;
}

NvmkvStatus
rig_reopen(Rig *rig)
{
	rig_close(rig);
	return rig_open(rig);
}

void
rig_path(const Rig *rig, const char *name, char *path, size_t size)
{
	(void) snprintf(path, size, "%s/%s", rig->path, name);
}

NvmkvStatus
rig_write(NvmkvDb *db, const NvmkvBatch *batch, uint64_t *last_sequence_out)
{
	uint64_t last;
	NvmkvStatus st;

	if (last_sequence_out == NULL)
		last_sequence_out = &last;
	while ((st = nvmkv_write(db, batch, last_sequence_out)) == NVMKV_BUSY)
	{
		bool did, reclaimed, more;

		/* Nobody else works here: the wait would first give others a chance. */
		(void) nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);
		if (!did && nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more) == NVMKV_OK && did)
			continue;
		(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &reclaimed, &more);
		if (!did)
			NVMKV_RETURN_IF(nvmkv_wait_room(db, batch->memtable_bytes));
	}
	return st;
}

NvmkvStatus
rig_entry(NvmkvDb *db, unsigned kind, NvmkvSlice key, uint64_t fxid, uint32_t cid, NvmkvSlice value)
{
	NvmkvBatch batch = {0};
	NvmkvStatus st;

	if (fxid == 0)
		st = nvmkv_batch_put(&batch, kind, key, nvmkv_slice(NULL, 0), value);
	else
		st = nvmkv_batch_put_tagged(&batch, kind | NVMKV_TYPE_TAGGED_BIT, key, fxid, cid, value);
	if (st == NVMKV_OK)
		st = rig_write(db, &batch, NULL);
	nvmkv_batch_free(&batch);
	return st;
}

NvmkvStatus
rig_put(NvmkvDb *db, const char *key, const char *value)
{
	return rig_entry(db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0, rig_slice(value));
}

NvmkvStatus
rig_delete(NvmkvDb *db, const char *key)
{
	return rig_entry(db, NVMKV_KIND_DELETION, rig_slice(key), 0, 0, nvmkv_slice(NULL, 0));
}

NvmkvStatus
rig_work(NvmkvDb *db, NvmkvWork work)
{
	bool did = true;
	bool more = true;

	while (did && more)
		NVMKV_RETURN_IF(nvmkv_work(db, work, &did, &more));
	return NVMKV_OK;
}

NvmkvSlice
rig_key(uint64_t number)
{
	static _Thread_local char ring[8][24];
	static _Thread_local unsigned at;
	char *text = ring[at++ % 8];

	return nvmkv_slice(text, (size_t) snprintf(text, sizeof(ring[0]), "%08" PRIu64, number));
}

/* ---- fake transactions ---- */

RigTxns *
rig_txns_create(void)
{
	RigTxns *txns = port_posix_shared_alloc(sizeof(RigTxns));

	if (txns == NULL)
		exit(2);
	txns->next_fxid = 1;
	return txns;
}

void
rig_txns_destroy(RigTxns *txns)
{
	port_posix_shared_free(txns, sizeof(RigTxns));
}

uint64_t
rig_begin(RigTxns *txns)
{
	if (txns->next_fxid >= RIG_TXNS)
	{
		fprintf(stderr, "out of fake transactions\n");
		exit(2);
	}
	return txns->next_fxid++;
}

void
rig_commit(RigTxns *txns, uint64_t fxid)
{
	txns->txn[fxid].state = RIG_TXN_COMMITTED;
	txns->txn[fxid].committed_at = ++txns->clock;
}

void
rig_abort(RigTxns *txns, uint64_t fxid)
{
	txns->txn[fxid].state = RIG_TXN_ABORTED;
}

void
rig_abort_running(RigTxns *txns)
{
	uint64_t fxid;

	for (fxid = 1; fxid < txns->next_fxid; fxid++)
		if (txns->txn[fxid].state == RIG_TXN_RUNNING)
			txns->txn[fxid].state = RIG_TXN_ABORTED;
}

bool
rig_sees(const RigSnapshot *snapshot, uint64_t fxid, uint32_t cid)
{
	const RigTxns *txns = snapshot->txns;

	if (fxid == 0)
		return true;
	if (fxid == snapshot->own_fxid)
		return cid < snapshot->own_cid;
	return txns->txn[fxid].state == RIG_TXN_COMMITTED && txns->txn[fxid].committed_at <= snapshot->time;
}

/* What the database says of a transaction must be so, and it must say something of those that are forgotten. */
static void
check_settled(const RigTxns *txns, uint64_t fxid)
{
	NvmkvSettled settled;
	NvmkvSettled expected =
		txns->txn[fxid].state == RIG_TXN_COMMITTED ? NVMKV_SETTLED_COMMITTED : NVMKV_SETTLED_ABORTED;

	if (asked == NULL)
		return;
	if (nvmkv_settled_outcome(asked, fxid, &settled) != NVMKV_OK)
		return; /* a fault that was wanted */
	if (settled == NVMKV_SETTLED_NOT_YET ? fxid < txns->forgotten : settled != expected)
	{
		fprintf(stderr, "transaction %" PRIu64 " is settled as %d, expected %d\n", fxid, (int) settled, (int) expected);
		abort();
	}
}

static NvmkvSight
snapshot_visible(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	const RigSnapshot *snapshot = ctx;

	(void) key;
	(void) memo;
	if (committed_hint && snapshot->txns->txn[fxid].state != RIG_TXN_COMMITTED)
	{
		fprintf(stderr, "transaction %" PRIu64 " is marked as committed and is not\n", fxid);
		abort();
	}
	check_settled(snapshot->txns, fxid);
	if (!rig_sees(snapshot, fxid, cid))
		return NVMKV_UNSEEN;
	return fxid == snapshot->own_fxid ? NVMKV_SEEN_OWN : NVMKV_SEEN;
}

static uint64_t horizon(void *ctx);

static uint64_t
snapshot_horizon(void *ctx)
{
	const RigSnapshot *snapshot = ctx;

	return horizon(snapshot->txns);
}

RigSnapshot *
rig_snapshot(RigTxns *txns, uint64_t own_fxid, uint32_t own_cid)
{
	unsigned i;

	for (i = 0; i < RIG_SNAPSHOTS; i++)
	{
		RigSnapshot *snapshot = &txns->snapshots[i];

		if (snapshot->held)
			continue;
		snapshot->txns = txns;
		snapshot->time = txns->clock;
		snapshot->own_fxid = own_fxid;
		snapshot->own_cid = own_cid;
		snapshot->held = true;
		snapshot->base.ctx = snapshot;
		snapshot->base.visible = snapshot_visible;
		snapshot->base.sequence = NVMKV_SEQUENCE_MAX;
		snapshot->base.horizon = snapshot_horizon;
		return snapshot;
	}
	return NULL;
}

void
rig_release(RigSnapshot *snapshot)
{
	if (snapshot != NULL)
		snapshot->held = false;
}

/* Time up to which every snapshot, held or to come, sees everything. */
static uint64_t
oldest_time(const RigTxns *txns)
{
	uint64_t oldest = txns->clock;
	unsigned i;

	for (i = 0; i < RIG_SNAPSHOTS; i++)
		if (txns->snapshots[i].held && txns->snapshots[i].time < oldest)
			oldest = txns->snapshots[i].time;
	return oldest;
}

static NvmkvOutcome
outcome(void *ctx, uint64_t fxid)
{
	const RigTxns *txns = ctx;

	check_settled(txns, fxid);
	switch ((RigTxnState) txns->txn[fxid].state)
	{
		case RIG_TXN_RUNNING:
			return NVMKV_OUTCOME_RUNNING;
		case RIG_TXN_ABORTED:
			return NVMKV_OUTCOME_ABORTED;
		case RIG_TXN_COMMITTED:
			break;
	}
	return txns->txn[fxid].committed_at <= oldest_time(txns) ? NVMKV_OUTCOME_FROZEN : NVMKV_OUTCOME_COMMITTED;
}

static uint64_t
horizon(void *ctx)
{
	const RigTxns *txns = ctx;
	uint64_t oldest = oldest_time(txns);
	uint64_t fxid;

	for (fxid = 1; fxid < txns->next_fxid; fxid++)
		if (txns->txn[fxid].state == RIG_TXN_RUNNING ||
			(txns->txn[fxid].state == RIG_TXN_COMMITTED && txns->txn[fxid].committed_at > oldest))
			break;
	return fxid;
}

void
rig_txns_use(RigTxns *txns, NvmkvDb *db)
{
	NvmkvTxnOps ops = {txns, NULL, outcome, horizon};

	asked = db;
	nvmkv_set_txn_ops(db, &ops);
}

NvmkvStatus
rig_settle(RigTxns *txns, NvmkvDb *db, bool forget)
{
	static uint8_t bits[RIG_TXNS / 8];
	uint64_t from = nvmkv_settled(db);
	uint64_t to = from;
	NvmkvStatus st = NVMKV_OK;

	memset(bits, 0, sizeof(bits));
	for (; to < txns->next_fxid && (to == 0 || txns->txn[to].state != RIG_TXN_RUNNING); to++)
		if (txns->txn[to].state == RIG_TXN_COMMITTED)
			bits[to / 8 - from / 8] |= (uint8_t) (1 << to % 8);
	if (from < to)
	{
		NVMKV_RETURN_IF(nvmkv_settle_begin(db));
		st = nvmkv_settle_prepare(db, from, to);
		if (st == NVMKV_OK)
			nvmkv_settle(db, from, to, bits, 0);
		nvmkv_settle_end(db);
	}
	if (st == NVMKV_OK && forget)
		st = nvmkv_save_outcomes(db);
	if (st == NVMKV_OK && forget)
		txns->forgotten = nvmkv_settled(db);
	return st;
}
