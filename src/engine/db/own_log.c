/*
 * own_log.c
 *	  The standalone database's log: opening, rotation, removal.
 *
 * Files are numbered; their records follow on without a gap.  A file is not
 * needed any more when everything in it is in rows and tables.  Files are ended
 * by the flush, once they hold about as much as a memtable, so that no more than
 * the memtables' worth of log is kept.
 */
#include "engine/db/own_log.h"

#include "engine/db/family.h"
#include "engine/log/log_files.h"
#include "engine/log/log_reader.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"

/* The log's operations while it is being replayed: nothing is appended, all of it has been synced. */
static NvmkvStatus
own_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	NvmkvDb *db = ctx;

	return log_group_append(db->own_log, batch, count, last_sequence_out);
}

static NvmkvStatus
own_flush(void *ctx, uint64_t sequence)
{
	NvmkvDb *db = ctx;

	return db->replaying ? NVMKV_OK : log_group_flush(db->own_log, sequence, true);
}

static uint64_t
own_position(void *ctx)
{
	NvmkvDb *db = ctx;

	return db->replaying ? db->replay_position : log_group_position(db->own_log);
}

static LogGroupShm *
log_shm(NvmkvDb *db)
{
	return (LogGroupShm *) (void *) ((uint8_t *) db->shm + db->shm->log_off);
}

NvmkvStatus
own_log_open(NvmkvDb *db)
{
	log_group_shm_init(log_shm(db), db->options.log_buffer_bytes, db->options.write_buffer_bytes);
	return own_log_attach(db);
}

NvmkvStatus
own_log_attach(NvmkvDb *db)
{
	db->own_log = port_alloc_zero(sizeof(LogGroup));
	if (db->own_log == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory");
	NVMKV_RETURN_IF(log_group_attach(db->own_log, log_shm(db), db->log_dir));
	db->log.ctx = db;
	db->log.append = own_append;
	db->log.flush = own_flush;
	db->log.position = own_position;
	return NVMKV_OK;
}

void
own_log_close(NvmkvDb *db)
{
	if (db->own_log == NULL)
		return;
	log_group_detach(db->own_log);
	port_free(db->own_log);
	db->own_log = NULL;
}

/* ---- rotation ---- */

/* Forgets ended file 0 of the list. */
static void
drop_oldest(DbShm *shm)
{
	shm->nended_logs--;
	memmove(&shm->ended_logs[0], &shm->ended_logs[1], shm->nended_logs * sizeof(shm->ended_logs[0]));
}

/* One of them is kept: the next file is made of it, whose blocks, or pages, are there already. */
static void
remove_unneeded(NvmkvDb *db, uint64_t durable)
{
	DbShm *shm = db->shm;

	while (shm->nended_logs > 1 && shm->ended_logs[1].last_sequence <= durable)
	{
		char path[LOG_GROUP_PATH_BYTES_MAX];

		log_group_path(path, sizeof(path), db->log_dir, shm->ended_logs[0].number);
		if (port_files->unlink(path) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove old log \"%s\": %s", path, nvmkv_error()->text);
		drop_oldest(shm);
	}
}

/* The new file takes over the blocks of one that is not needed, where there is one. */
static NvmkvStatus
end_file(NvmkvDb *db, uint64_t durable)
{
	DbShm *shm = db->shm;
	uint64_t number = log_group_number(db->own_log);
	uint64_t recycle = 0;
	uint64_t last;

	if (shm->nended_logs > 0 && shm->ended_logs[0].last_sequence <= durable)
	{
		/* After a failure its name may be the old or the new one: it is left to the next recovery then. */
		recycle = shm->ended_logs[0].number;
		drop_oldest(shm);
	}
	NVMKV_RETURN_IF(log_group_rotate(db->own_log, number + 1, recycle, &last));
	shm->ended_logs[shm->nended_logs].number = number;
	shm->ended_logs[shm->nended_logs].last_sequence = last;
	shm->nended_logs++;
	return NVMKV_OK;
}

/* So many full files may wait for a tree that has not been flushed since; then it is. */
#define LAGGING_LOGS_MAX 8

/* A tree whose memtable holds what is in the oldest file, or that is empty: its memtable is switched. */
static void
hurry_lagging(NvmkvDb *root)
{
	unsigned cursor = 0;
	NvmkvDb *tree;

	while (family_next(root, &cursor, &tree) == NVMKV_OK && tree != NULL)
		if (mempool_durable_seq(&tree->mem) < root->shm->ended_logs[0].last_sequence)
			(void) mempool_switch(&tree->mem, port_process_slot()); /* BUSY: it is being flushed */
}

NvmkvStatus
own_log_note_durable(NvmkvDb *root, uint64_t durable)
{
	VersionEdit edit = {0};
	uint64_t noted;

	db_enter(root);
	noted = versions_current(&root->versions)->durable_seq;
	db_leave(root);
	if (noted >= durable)
		return NVMKV_OK;
	edit.has_durable = true;
	edit.durable_seq = durable;
	return db_install(root, &edit);
}

/* May the files that everybody has flushed be let go of?  Not before the root's version says so. */
static bool
note_unneeded(NvmkvDb *root, uint64_t durable)
{
	const DbShm *shm = root->shm;

	if (shm->nended_logs == 0 || shm->ended_logs[0].last_sequence > durable ||
		own_log_note_durable(root, durable) == NVMKV_OK)
		return true;
	/* Not the flush's failure: the files stay, and the one in use goes on. */
	(void) db_note_failure(root, nvmkv_error()->status);
	return false;
}

static void
tidy_claimed(NvmkvDb *root)
{
	DbShm *shm = root->shm;
	uint64_t durable;
	LogGroupStats stats;

	log_group_stats(root->own_log, &stats);
	if (shm->nended_logs >= LAGGING_LOGS_MAX)
		hurry_lagging(root);
	durable = nvmkv_durable_seq(root);
	if (!note_unneeded(root, durable))
		return;
	if (stats.bytes - shm->log_bytes_ended >= root->options.write_buffer_bytes && shm->nended_logs < DB_ENDED_LOGS_MAX)
	{
		if (end_file(root, durable) == NVMKV_OK)
			shm->log_bytes_ended = stats.bytes;
		else
			(void) db_note_failure(root, nvmkv_error()->status);
	}
	/* The file that was ended just now may be one of them. */
	if (note_unneeded(root, durable))
		remove_unneeded(root, durable);
}

void
own_log_tidy(NvmkvDb *db)
{
	NvmkvDb *root = db->root;

	if (root->own_log == NULL || root->replaying)
		return;
	if (db == root)
		tidy_claimed(root);
	else if (db_claim(root, DB_CLAIM_FLUSH)) /* else the root is being flushed, and sees to it */
	{
		tidy_claimed(root);
		db_unclaim(root, DB_CLAIM_FLUSH);
	}
}
