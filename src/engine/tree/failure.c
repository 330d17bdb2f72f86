/*
 * failure.c
 *	  Noting failures, and refusing writes after those that last.
 */
#include "engine/tree/failure.h"

#include <stdio.h>

NvmkvStatus
db_note_failure(NvmkvDb *db, NvmkvStatus status)
{
	DbShm *shm = db->shm;
	const NvmkvError *error = nvmkv_error();

	if (status == NVMKV_BUSY || status == NVMKV_CANCELLED)
		return status;
	port_count(&shm->counters.errors, 1);
	(void) snprintf(shm->last_error, sizeof(shm->last_error), "%.*s", (int) sizeof(shm->last_error) - 1, error->text);
	port_store_relaxed(&shm->last_error_status, (uint32_t) status);
	port_store_relaxed(&shm->last_error_clock_us, port_clock_us());
	port_log(PORT_LOG_WARNING, "background work failed: %s", error->text);
	/* It will not get better: writers had better know at once. */
	if (db_pages_lost(db) != 0)
		db_set_sticky(db);
	return status;
}

void
db_set_sticky(NvmkvDb *db)
{
	DbShm *shm = db->shm;
	uint32_t expected = DB_STICKY_NO;

	if (!__atomic_compare_exchange_n(&shm->sticky, &expected, DB_STICKY_BEING_SET, false, __ATOMIC_SEQ_CST,
									 __ATOMIC_RELAXED))
		return;
	(void) snprintf(shm->sticky_cause, sizeof(shm->sticky_cause), "%.*s", (int) sizeof(shm->sticky_cause) - 1,
					nvmkv_error()->text);
	port_store_release(&shm->sticky, DB_STICKY_SET);
	port_log(PORT_LOG_WARNING, "writes are refused until restart: %s", shm->sticky_cause);
}

NvmkvStatus
db_refuse_if_sticky(NvmkvDb *db)
{
	uint32_t sticky = port_load_acquire(&db->shm->sticky);

	if (sticky == DB_STICKY_NO)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_READ_ONLY, "writes are refused until restart: %s",
					  sticky == DB_STICKY_SET ? db->shm->sticky_cause : "");
}

NvmkvStatus
db_refuse_writes(NvmkvDb *db)
{
	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	if (port_load_acquire(&db->shm->accepting) == 0)
		return NVMKV_FAIL(NVMKV_READ_ONLY, "the database does not accept writes now");
	return NVMKV_OK;
}
