/*
 * write.c
 *	  Entries of the current transaction, on their way into the engine.
 *
 * One call of nvmkv_write makes one log record, so rows travel in chunks (of
 * several rows in bulk.c).  Each chunk goes through the write protocol:
 *	  latch the keys' stripes; look at the newest versions; write; unlatch.
 * Whatever may take long - another transaction's end, room in a memtable - is
 * waited for with no latch held, and then the look is taken again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/predicate.h"
#include "utils/rel.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/ready.h"
#include "fdw/host/status.h"
#include "fdw/host/wal.h"
#include "fdw/key/keycode.h"
#include "fdw/key/keydetail.h"
#include "fdw/txn/write.h"

/* Memory of the record buffer that is kept between writes. */
#define KEPT_RECORD_BYTES (1024 * 1024)

/* ---------------------------------------------------------------- single decisions */

/*
 * The record being collected.  Its memory is malloc'd by the engine and survives errors; nvmkv_write_begin empties
 * it.
 */
static NvmkvBatch record;
static uint64_t last_sequence;

static const char *
object_name(Relation rel)
{
	return rel != NULL ? RelationGetRelationName(rel) : NULL;
}

void
nvmkv_write_begin(void)
{
	if (record.bytes.capacity > KEPT_RECORD_BYTES)
		nvmkv_batch_free(&record);
	nvmkv_batch_clear(&record);
	nvmkv_note_clear();
}

void
nvmkv_write_put(unsigned type, NvmkvSlice key, FullTransactionId fxid, CommandId cid, NvmkvSlice value)
{
	nvmkv_batch_family(&record, nvmkv_family_of_key(key));
	nvmkv_check_status(nvmkv_batch_put_tagged(&record, type, key, U64FromFullTransactionId(fxid), cid, value),
					   "collecting rows to write", NULL);
}

void
nvmkv_write_tell(const NvmkvTable *table, NvmkvChange change, FullTransactionId fxid, NvmkvSlice old_key,
				 NvmkvSlice old)
{
	nvmkv_note_row(table, change, record.count, fxid, old_key, old);
}

void
nvmkv_write_tell_truncate(List *relids, bool cascade, bool restart)
{
	nvmkv_note_clear();
	nvmkv_note_truncate(relids, cascade, restart);
	nvmkv_wal_note(nvmkv_note_bytes());
}

void
nvmkv_write_tell_late(const NvmkvTable *table, FullTransactionId fxid, NvmkvSlice key, NvmkvSlice value)
{
	NvmkvSlice note;

	nvmkv_note_clear();
	nvmkv_note_late_row(table, fxid, key, value);
	note = nvmkv_note_bytes();
	if (note.size > 0)
		nvmkv_wal_note(note);
}

/* A record is in one memtable, whole.  Only a row that makes a record by itself can be too large. */
static void
record_too_large(NvmkvDb *db, Relation rel)
{
	const char *hint = rel != NULL ? nvmkv_family_larger_buffer(rel) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 rel != NULL ? errmsg("row of foreign table \"%s\" does not fit into a memtable", RelationGetRelationName(rel))
						 : errmsg("record does not fit into a memtable"),
			 errdetail("It takes %zu bytes, a memtable holds %zu.", record.memtable_bytes, nvmkv_batch_bytes_max(db)),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Was a write refused because there is no barrier for the moment (engine.c), or was none when it was
 * tried?  changes: of before it was.
 */
static bool
was_kept_out(NvmkvStatus status, uint32 changes)
{
	return status == NVMKV_READ_ONLY &&
		(nvmkv_engine_writes_are_closed() || nvmkv_engine_writes_changes() != changes);
}

bool
nvmkv_write_finish(NvmkvDb *db, Relation rel)
{
	uint32 changes = nvmkv_engine_writes_changes();
	NvmkvStatus status;

	nvmkv_wal_set_note(nvmkv_note_bytes());
	status = nvmkv_write(db, &record, &last_sequence);
	if (status == NVMKV_BUSY || was_kept_out(status, changes))
		return false;
	if (status == NVMKV_LIMIT && record.memtable_bytes > nvmkv_batch_bytes_max(db))
		record_too_large(db, rel);
	nvmkv_check_status(status, "writing foreign table", object_name(rel));
	return true;
}

uint64
nvmkv_write_last_sequence(void)
{
	return last_sequence;
}

void
nvmkv_write_wait_turn(const NvmkvTable *table, Relation rel, Size bytes)
{
	NvmkvDb *family = nvmkv_engine_of_or_null(table->storage_id);
	NvmkvStatus status = NVMKV_OK;

	Assert(!nvmkv_latch_is_held());
	if (family != NULL)
		status = nvmkv_wait_turn(family, bytes);
	if (status == NVMKV_CANCELLED)
		nvmkv_check_status(status, "writing foreign table", object_name(rel));
}

void
nvmkv_write_wait_room(NvmkvDb *db, Relation rel)
{
	NvmkvStatus status;
	uint32 changes;

	Assert(!nvmkv_latch_is_held());
	do
	{
		CHECK_FOR_INTERRUPTS();
		changes = nvmkv_engine_writes_changes();
		(void) nvmkv_engine(); /* waits while writers are kept out */
		status = nvmkv_wait_room(db, record.memtable_bytes);
	} while (was_kept_out(status, changes));
	nvmkv_check_status(status, "writing foreign table", object_name(rel));
}

void
nvmkv_write_check_serializable(Relation rel, NvmkvSlice key)
{
	/*
	 * Readers take no latch, so the check comes after the write: a reader that noted its interest before is found here,
	 * one that comes later finds the version.
	 */
	if (IsolationIsSerializable())
		CheckForSerializableConflictIn(rel, NULL, nvmkv_key_hash_to_page(nvmkv_key_hash(key)));
}

void
nvmkv_write_wait_xid(Relation rel, NvmkvSlice key, TransactionId xid, XLTW_Oper oper)
{
	ItemPointerData tid;

	Assert(!nvmkv_latch_is_held());
	nvmkv_key_hash_to_tid(nvmkv_key_hash(key), &tid);
	XactLockTableWait(xid, rel, &tid, oper);
}

void
nvmkv_write_duplicate(const NvmkvTable *table, Relation rel, TupleTableSlot *slot)
{
	char *description = nvmkv_key_description(table, rel, slot);

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("duplicate key value violates unique constraint \"%s\"", table->key_name),
			 description != NULL ? errdetail("Key %s already exists.", description) : 0,
			 errtableconstraint(rel, table->key_name)));
}

/* ---------------------------------------------------------------- storages */

void
nvmkv_storage_drop(uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine();
	FullTransactionId fxid = GetCurrentFullTransactionId();
	CommandId cid = GetCurrentCommandId(true);
	uint64 prefix = pg_hton64(storage_id);

	nvmkv_write_begin();
	nvmkv_write_put(NVMKV_TYPE_TAGGED_RANGE_DELETION, nvmkv_slice(&prefix, sizeof(prefix)), fxid, cid,
					nvmkv_slice(NULL, 0));
	while (!nvmkv_write_finish(db, NULL))
		nvmkv_write_wait_room(db, NULL);
}
