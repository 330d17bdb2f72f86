/*
 * manifest.c
 *	  Recovery and installation of versions: see manifest.h.
 */
#include "engine/meta/manifest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "engine/base/assert.h"
#include "engine/log/log_reader.h"
#include "engine/log/log_writer.h"
#include "engine/meta/outcome_file.h"
#include "engine/sst/table_cache.h"

/* A MANIFEST is started anew when it is this much larger than what it describes. */
#define MANIFEST_SLACK_BYTES (UINT64_C(64) << 10)

/*
 * Each opening goes on with row ids that are up to so many higher, at random: rows of a pool of another time, or of
 * another copy of the database, are told from those the manifest means by their ids.
 */
#define ROW_GAP_MASK ((UINT64_C(1) << 40) - 1)

struct VersionSetShm
{
	PortLock lock; /* protects everything but "current" */
	uint64_t slot_bytes;
	uint32_t current; /* slot in use + 1; 0: none yet.  Written under the lock, read by anyone */
	uint32_t sticky;  /* a sync failed */
	uint32_t sealed;  /* an edit has closed the tree, and none has opened it again */
	uint32_t zero;
	uint64_t slot_stamp[VERSION_SLOTS]; /* epoch stamp at which the slot was retired; 0: free */
	uint64_t manifest_number;
	uint64_t manifest_offset; /* end of its last record, all of it synced */
	uint64_t manifest_head;	  /* offset after its first record */
	uint64_t written;
};

size_t
versions_shm_bytes(uint64_t slot_bytes)
{
	return sizeof(VersionSetShm) + VERSION_SLOTS * (size_t) slot_bytes;
}

void
versions_shm_init(VersionSetShm *shm, uint64_t slot_bytes)
{
	memset(shm, 0, sizeof(*shm));
	port_lock_init(&shm->lock, PORT_RANK_MANIFEST);
	shm->slot_bytes = slot_bytes;
}

void
versions_attach(VersionSet *set, VersionSetShm *shm, EpochShm *epochs, MemPool *mem, const char *dir)
{
	memset(set, 0, sizeof(*set));
	set->shm = shm;
	set->slots = (uint8_t *) (shm + 1);
	set->slot_bytes = shm->slot_bytes;
	set->epochs = epochs;
	set->mem = mem;
	(void) snprintf(set->dir, sizeof(set->dir), "%s", dir);
}

void
manifest_path(const char *dir, uint64_t number, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s/MANIFEST-%06" PRIu64, dir, number);
}

static void
current_path(const char *dir, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s/CURRENT", dir);
}

static VersionImage *
slot_image(const VersionSet *set, uint32_t slot)
{
	return (VersionImage *) (void *) (set->slots + slot * set->slot_bytes);
}

const VersionImage *
versions_current(const VersionSet *set)
{
	uint32_t current = port_load_acquire(&set->shm->current);

	NVMKV_ASSERT(current != 0);
	return slot_image(set, current - 1);
}

bool
versions_are_there(const VersionSet *set)
{
	return port_load_acquire(&set->shm->current) != 0;
}

bool
versions_are_sticky(const VersionSet *set)
{
	return port_load_acquire(&set->shm->sticky) != 0;
}

uint64_t
versions_manifest_bytes(const VersionSet *set)
{
	return port_load_relaxed(&set->shm->written);
}

uint64_t
versions_manifest_number(const VersionSet *set)
{
	return port_load_relaxed(&set->shm->manifest_number);
}

/* ---- CURRENT ---- */

/* Durable on OK.  *uncertain_out: after this failure CURRENT may name the manifest or its predecessor. */
static NvmkvStatus
write_current(const char *dir, uint64_t number, bool *uncertain_out)
{
	char path[MANIFEST_PATH_MAX];
	char temp[MANIFEST_PATH_MAX];
	char line[64];
	PortFile *file;
	NvmkvStatus st;
	int n = snprintf(line, sizeof(line), "MANIFEST-%06" PRIu64 "\n", number);

	current_path(dir, path, sizeof(path));
	(void) snprintf(temp, sizeof(temp), "%s/CURRENT.tmp", dir);
	NVMKV_RETURN_IF(port_files->open(temp, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	st = port_files->write(file, 0, line, (size_t) n);
	if (st == NVMKV_OK)
		st = port_files->sync(file);
	port_files->close(file);
	if (st == NVMKV_OK)
		st = port_fault("current.before_rename");
	if (st != NVMKV_OK)
	{
		(void) port_files->unlink(temp);
		return st;
	}
	st = port_files->rename(temp, path);
	*uncertain_out = st != NVMKV_OK;
	return st;
}

static NvmkvStatus
read_current(const char *dir, uint64_t *number_out)
{
	char path[MANIFEST_PATH_MAX];
	char line[64];
	char rest;
	size_t got = 0;
	PortFile *file;
	NvmkvStatus st;

	current_path(dir, path, sizeof(path));
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ, &file));
	st = port_files->read_some(file, 0, line, sizeof(line) - 1, &got);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	line[got] = '\0';
	if (sscanf(line, "MANIFEST-%" SCNu64 "%c", number_out, &rest) != 2 || rest != '\n')
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" does not name a manifest", path);
	return NVMKV_OK;
}

/* ---- writing ---- */

/*
 * Writes the draft's state as a file of one edit, and syncs it, not its name.  At failure there is no file and
 * nothing to close.
 */
static NvmkvStatus
write_snapshot(const VersionDraft *draft, const char *path, uint64_t number, LogWriter *writer)
{
	NvmkvBuf bytes = {0};
	MetaArena arena = {0};
	VersionEdit edit;
	NvmkvStatus st;

	st = draft_snapshot_edit(draft, &arena, &edit);
	if (st == NVMKV_OK)
		st = edit_encode(&edit, &bytes);
	meta_arena_free(&arena);
	if (st == NVMKV_OK)
		st = log_writer_create(writer, path, LOG_KIND_MANIFEST, number);
	if (st == NVMKV_OK)
	{
		NvmkvSlice part = nvmkv_buf_slice(&bytes);

		st = log_writer_append(writer, &part, 1);
		if (st == NVMKV_OK)
			st = log_writer_sync(writer);
		if (st != NVMKV_OK)
		{
			log_writer_close(writer);
			(void) port_files->unlink(path);
		}
	}
	nvmkv_buf_free(&bytes);
	return st;
}

/*
 * Starts MANIFEST-<number> with the draft's state and points CURRENT to it.  REQUIRES the lock.
 * A failure leaves things as they were, or is sticky: with CURRENT uncertain, neither manifest may grow.
 */
static NvmkvStatus
start_manifest(VersionSet *set, const VersionDraft *draft, uint64_t number)
{
	char path[MANIFEST_PATH_MAX];
	LogWriter writer;
	bool uncertain = false;
	NvmkvStatus st;

	manifest_path(set->dir, number, path, sizeof(path));
	NVMKV_RETURN_IF(write_snapshot(draft, path, number, &writer));
	st = port_files->sync_dir(set->dir);
	if (st == NVMKV_OK)
		st = port_fault("manifest.before_current");
	if (st == NVMKV_OK)
		st = write_current(set->dir, number, &uncertain);
	if (st == NVMKV_OK)
	{
		set->shm->manifest_number = number;
		set->shm->manifest_offset = writer.offset;
		set->shm->manifest_head = writer.offset;
		port_count(&set->shm->written, writer.offset);
	}
	log_writer_close(&writer);
	if (uncertain)
		port_store_release(&set->shm->sticky, 1);
	else if (st != NVMKV_OK)
		(void) port_files->unlink(path);
	return st;
}

/* Appends and syncs one edit.  REQUIRES the lock. */
static NvmkvStatus
append_edit(VersionSet *set, const VersionEdit *edit)
{
	VersionSetShm *shm = set->shm;
	char path[MANIFEST_PATH_MAX];
	NvmkvBuf bytes = {0};
	LogWriter writer;
	NvmkvSlice part;
	NvmkvStatus st;

	memset(&writer, 0, sizeof(writer));
	manifest_path(set->dir, shm->manifest_number, path, sizeof(path));
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_WRITE, &writer.file));
	writer.number = shm->manifest_number;
	writer.offset = shm->manifest_offset;
	writer.synced = shm->manifest_offset;
	st = edit_encode(edit, &bytes);
	part = nvmkv_buf_slice(&bytes);
	if (st == NVMKV_OK)
		st = log_writer_append(&writer, &part, 1);
	if (st == NVMKV_OK)
		st = port_fault("manifest.appended");
	if (st != NVMKV_OK)
	{
		/* Not a byte of it may be found later, neither behind the next record nor after a crash before there is one. */
		const NvmkvError cause = *nvmkv_error();

		if (port_files->truncate(writer.file, shm->manifest_offset) != NVMKV_OK ||
			port_files->sync(writer.file) != NVMKV_OK)
			port_store_release(&shm->sticky, 1);
		errno = cause.sys_errno;
		(void) nvmkv_fail_at(cause.status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	}
	else
	{
		st = log_writer_sync(&writer);
		if (st == NVMKV_OK)
			st = port_fault("manifest.synced");
		if (st != NVMKV_OK)
			port_store_release(&shm->sticky, 1);
		else
		{
			port_count(&shm->written, writer.offset - shm->manifest_offset);
			shm->manifest_offset = writer.offset;
		}
	}
	log_writer_close(&writer);
	nvmkv_buf_free(&bytes);
	return st;
}

/* A slot no reader can be in.  REQUIRES the lock.  Readers leave within one engine call, so this ends. */
static uint32_t
free_slot(VersionSet *set)
{
	VersionSetShm *shm = set->shm;

	for (;;)
	{
		uint32_t i;

		for (i = 0; i < VERSION_SLOTS; i++)
		{
			if (i + 1 == shm->current)
				continue;
			if (shm->slot_stamp[i] == 0 || epoch_is_safe(set->epochs, shm->slot_stamp[i]))
				return i;
		}
		port_sleep_us(100);
	}
}

/* Writes the draft into a free slot; the slot is not published. */
static NvmkvStatus
build_image(VersionSet *set, const VersionDraft *draft, uint64_t number, uint32_t *slot_out)
{
	uint64_t bytes = draft_image_bytes(draft);

	if (bytes > set->slot_bytes)
		return NVMKV_FAIL(NVMKV_LIMIT, "a version of %" PRIu64 " bytes (%u tables) exceeds the %" PRIu64 " bytes reserved for it",
						  bytes, draft->nfiles, set->slot_bytes);
	*slot_out = free_slot(set);
	draft_write_image(draft, number, slot_image(set, *slot_out));
	return NVMKV_OK;
}

static void
publish(VersionSet *set, uint32_t slot)
{
	VersionSetShm *shm = set->shm;
	uint32_t old = shm->current;

	shm->slot_stamp[slot] = 0;
	port_store_release(&shm->current, slot + 1);
	mempool_bump(set->mem);
	if (old != 0)
		shm->slot_stamp[old - 1] = epoch_retire_stamp(set->epochs);
}

NvmkvStatus
versions_install(VersionSet *set, const VersionEdit *edit)
{
	VersionSetShm *shm = set->shm;
	const VersionImage *base;
	VersionDraft draft;
	uint32_t slot = 0;
	NvmkvStatus st;

	draft_init(&draft);
	port_lock_exclusive(&shm->lock);
	base = versions_current(set); /* stays: only a holder of the lock replaces it */
	if (port_load_acquire(&shm->sticky) != 0)
		st = NVMKV_FAIL(NVMKV_READ_ONLY, "the manifest could not be synced earlier: restart the server");
	else if (shm->sealed != 0 && !edit->has_closed)
		st = NVMKV_FAIL(NVMKV_BUSY, "the tree is closed for the moment");
	else
		st = draft_from_image(&draft, base);
	if (st == NVMKV_OK)
		st = draft_apply(&draft, edit);
	if (st == NVMKV_OK)
		st = draft_finish(&draft);
	if (st == NVMKV_OK)
		st = build_image(set, &draft, base->number + 1, &slot);
	if (st == NVMKV_OK)
		st = append_edit(set, edit);
	if (st == NVMKV_OK)
		publish(set, slot);
	if (st == NVMKV_OK && edit->has_closed)
		shm->sealed = edit->closed;
	/* Past its slack the MANIFEST is rewritten; if that fails, the old one goes on. */
	if (st == NVMKV_OK && shm->manifest_offset > 2 * shm->manifest_head + MANIFEST_SLACK_BYTES)
	{
		uint64_t old = shm->manifest_number;

		if (start_manifest(set, &draft, old + 1) == NVMKV_OK)
		{
			char path[MANIFEST_PATH_MAX];

			manifest_path(set->dir, old, path, sizeof(path));
			(void) port_files->unlink(path);
		}
		else
			port_log(PORT_LOG_WARNING, "could not start a new manifest: %s", nvmkv_error()->text);
	}
	port_lock_release(&shm->lock);
	draft_free(&draft);
	return st;
}

/* ---- recovery ---- */

static bool
is_database_file(void *ctx, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(name, "MANIFEST-", 9) == 0 || (n > 4 && strcmp(name + n - 4, ".sst") == 0))
	{
		*(bool *) ctx = true;
		return false;
	}
	return true;
}

/* The thread's last failure is about this edit: says where that is. */
static NvmkvStatus
name_the_edit(NvmkvStatus status, const char *path, uint64_t offset)
{
	return NVMKV_FAIL(status, "manifest \"%s\": edit at %" PRIu64 ": %s", path, offset, nvmkv_error()->text);
}

/* Folds all edits of the MANIFEST into the draft; what the draft borrows is in "arena" and "bytes_kept". */
static NvmkvStatus
fold_manifest(const char *path, uint64_t number, VersionDraft *draft, MetaArena *arena, uint64_t system_identifier)
{
	LogReader reader;
	NvmkvSlice record;
	NvmkvStatus st;
	bool first = true;

	st = log_reader_open(&reader, path, LOG_KIND_MANIFEST, number);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "CURRENT names \"%s\", which does not exist", path);
	NVMKV_RETURN_IF(st);
	while ((st = log_reader_next(&reader, &record)) == NVMKV_OK)
	{
		uint8_t *copy = meta_arena_alloc(arena, record.size);
		VersionEdit edit;

		if (copy == NULL)
		{
			st = NVMKV_NO_MEMORY;
			break;
		}
		memcpy(copy, record.data, record.size);
		st = edit_decode(nvmkv_slice(copy, record.size), arena, &edit);
		if (st == NVMKV_CORRUPTION || st == NVMKV_VERSION)
			st = name_the_edit(st, path, reader.record_offset);
		if (st == NVMKV_OK && first && !edit.has_system)
			st = NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" does not start with a description of the whole", path);
		if (st == NVMKV_OK && first && edit.system_identifier != system_identifier)
			st = NVMKV_FAIL(NVMKV_INVALID, "manifest \"%s\" belongs to another system (identifier %" PRIu64 ", expected %" PRIu64 ")",
							path, edit.system_identifier, system_identifier);
		if (st == NVMKV_OK)
		{
			st = draft_apply(draft, &edit);
			if (st == NVMKV_CORRUPTION)
				st = name_the_edit(st, path, reader.record_offset);
		}
		if (st != NVMKV_OK)
			break;
		first = false;
	}
	log_reader_close(&reader);
	if (st == NVMKV_NOT_FOUND && first)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" is empty", path);
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

/*
 * There is no CURRENT.  Fine in a new directory, and when the very first open died between MANIFEST-000001 and
 * CURRENT: that manifest, torn or whole, describes nothing yet.  Anything else has lost its CURRENT.
 */
static NvmkvStatus
start_fresh(VersionSet *set, uint64_t system_identifier)
{
	char path[MANIFEST_PATH_MAX];
	VersionDraft draft;
	MetaArena arena = {0};
	PortFile *file;
	bool others = false;
	NvmkvStatus st;

	manifest_path(set->dir, 1, path, sizeof(path));
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st == NVMKV_OK)
	{
		port_files->close(file);
		draft_init(&draft);
		st = fold_manifest(path, 1, &draft, &arena, system_identifier);
		others =
			st == NVMKV_INVALID || draft.nrows > 0 || draft.nfiles > 0 || draft.pool_id != 0 || draft.durable_seq != 0;
		draft_free(&draft);
		meta_arena_free(&arena);
		if (st == NVMKV_IO || st == NVMKV_NO_MEMORY || st == NVMKV_VERSION)
			return st;
		if (!others)
			NVMKV_RETURN_IF(port_files->unlink(path));
	}
	else if (st != NVMKV_NOT_FOUND)
		return st;
	if (!others)
		NVMKV_RETURN_IF(port_files->list(set->dir, is_database_file, &others));
	if (others)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" holds database files but no file CURRENT; restore it from a backup", set->dir);
	return NVMKV_OK;
}

/* ---- backup points (db/backup.c) ---- */

/* A backup point's log number: each has a file of its own. */
#define BACKUP_LOG_NUMBER 1

/*
 * A restored database leaves out so many row ids: the copied pool may hold rows that were made after the backup
 * point.
 */
#define RESTORE_ROW_GAP (UINT64_C(1) << 32)

/* What a point has before it has its name; there is one at a time, for it is written under the lock. */
#define BACKUP_TEMP "BACKUP.tmp"

typedef struct BackupName
{
	uint64_t durable_seq, stamp;
} BackupName;

static void
backup_path(const char *dir, const BackupName *name, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s/BACKUP-%016" PRIX64 "-%016" PRIX64, dir, name->durable_seq, name->stamp);
}

/* "BACKUP-0123456789ABCDEF-0123456789ABCDEF" */
static bool
parse_backup_name(const char *text, BackupName *name_out)
{
	char rest;

	return strncmp(text, "BACKUP-", 7) == 0 && strlen(text) == 40 &&
		sscanf(text + 7, "%16" SCNx64 "-%16" SCNx64 "%c", &name_out->durable_seq, &name_out->stamp, &rest) == 2;
}

/* The file appears whole, under its name, or not at all.  REQUIRES the lock. */
static NvmkvStatus
write_backup_file(const VersionSet *set, const VersionDraft *draft, const BackupName *name)
{
	char path[MANIFEST_PATH_MAX];
	char temp[MANIFEST_PATH_MAX];
	LogWriter writer;
	NvmkvStatus st;

	backup_path(set->dir, name, path, sizeof(path));
	/* Copiers that may have it already go by what it says, and all it names is kept for them. */
	if (port_can_open(path))
		return NVMKV_OK;
	(void) snprintf(temp, sizeof(temp), "%s/" BACKUP_TEMP, set->dir);
	NVMKV_RETURN_IF(port_files->unlink(temp));
	NVMKV_RETURN_IF(write_snapshot(draft, temp, BACKUP_LOG_NUMBER, &writer));
	log_writer_close(&writer);
	st = port_fault("backup.before_rename");
	if (st == NVMKV_OK)
		st = port_files->rename(temp, path);
	if (st != NVMKV_OK)
		(void) port_files->unlink(temp);
	return st;
}

NvmkvStatus
versions_write_backup(VersionSet *set, uint64_t durable_seq, uint64_t stamp)
{
	BackupName name = {durable_seq, stamp};
	VersionDraft draft;
	uint32_t i;
	NvmkvStatus st;

	draft_init(&draft);
	port_lock_exclusive(&set->shm->lock);
	st = draft_from_image(&draft, versions_current(set));
	for (i = 0; st == NVMKV_OK && i < draft.nrows; i++)
		if (draft.rows[i].min_sequence <= durable_seq)
			st = NVMKV_FAIL(NVMKV_CORRUPTION, "row %" PRIu64 " should have been drained for a backup", draft.rows[i].row_id);
	draft.nrows = 0;
	draft.durable_seq = durable_seq;
	draft.closed = false;
	if (st == NVMKV_OK)
		st = draft_finish(&draft);
	if (st == NVMKV_OK)
		st = write_backup_file(set, &draft, &name);
	port_lock_release(&set->shm->lock);
	draft_free(&draft);
	return st;
}

typedef struct BackupRemoval
{
	const char *dir;
	uint64_t before;
} BackupRemoval;

static bool
remove_backup(void *ctx, const char *text)
{
	const BackupRemoval *removal = ctx;
	char path[MANIFEST_PATH_MAX];
	BackupName name;

	if (parse_backup_name(text, &name) && name.stamp < removal->before)
	{
		backup_path(removal->dir, &name, path, sizeof(path));
		if (port_files->unlink(path) != NVMKV_OK)
			port_log(PORT_LOG_WARNING, "could not remove backup point \"%s\": %s", path, nvmkv_error()->text);
	}
	return true;
}

void
versions_remove_backups(VersionSet *set, uint64_t before)
{
	BackupRemoval removal = {set->dir, before};

	(void) port_files->list(set->dir, remove_backup, &removal);
}

typedef struct BackupSearch
{
	uint64_t from;
	BackupName behind;	/* of points from "from" on, the first one behind this is looked for */
	BackupName best;	/* stamp 0: there is none */
	uint64_t last_manifest;
} BackupSearch;

static bool
stands_before(const BackupName *a, const BackupName *b)
{
	return a->durable_seq < b->durable_seq || (a->durable_seq == b->durable_seq && a->stamp < b->stamp);
}

static bool
look_for_backup(void *ctx, const char *text)
{
	BackupSearch *search = ctx;
	BackupName name;
	uint64_t number;
	char rest;

	if (parse_backup_name(text, &name))
	{
		if (name.durable_seq >= search->from && stands_before(&search->behind, &name) &&
			(search->best.stamp == 0 || stands_before(&name, &search->best)))
			search->best = name;
	}
	else if (sscanf(text, "MANIFEST-%" SCNu64 "%c", &number, &rest) == 1 && number > search->last_manifest)
		search->last_manifest = number;
	return true;
}

/* CORRUPTION, if a table that the point names is not there in its full size: the copier was not the one it was for. */
static NvmkvStatus
check_backup_files(const char *dir, const VersionDraft *draft)
{
	uint32_t i;

	for (i = 0; i < draft->nfiles; i++)
	{
		char path[SST_PATH_BYTES_MAX];
		PortFile *file;
		uint64_t size = 0;
		NvmkvStatus st;

		NVMKV_RETURN_IF(sst_file_name(dir, draft->files[i].number, path, sizeof(path)));
		st = port_files->open(path, PORT_FILE_READ, &file);
		if (st == NVMKV_NOT_FOUND)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" is missing", path);
		NVMKV_RETURN_IF(st);
		st = port_files->size(file, &size);
		port_files->close(file);
		NVMKV_RETURN_IF(st);
		if (size != draft->files[i].bytes)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "table file \"%s\" has %" PRIu64 " bytes, expected %" PRIu64, path, size, draft->files[i].bytes);
	}
	for (i = 0; i < draft->nsegments; i++)
	{
		const OutcomeFile file = {draft->system_identifier, draft->segments[i].file, draft->segments[i].segment};
		uint8_t bits[OUTCOME_PAGE_BYTES];

		NVMKV_RETURN_IF(outcome_file_read(dir, &file, OUTCOME_PAGES - 1, bits)); /* its head is sound */
	}
	return NVMKV_OK;
}

/*
 * The first point from "from" on whose files are all there.  NOT_FOUND: there is no point from "from" on; CORRUPTION:
 * there are, but something is missing of each.
 */
static NvmkvStatus
recover_backup(VersionSet *set, uint64_t from, uint64_t system_identifier, VersionDraft *draft, MetaArena *arena,
			   uint64_t *number_out)
{
	BackupSearch search = {from, {0, 0}, {0, 0}, 0};
	char first_failure[NVMKV_ERROR_TEXT_MAX] = "";
	char path[MANIFEST_PATH_MAX];
	NvmkvStatus st;

	for (;;)
	{
		NVMKV_RETURN_IF(port_files->list(set->dir, look_for_backup, &search));
		*number_out = search.last_manifest;
		if (search.best.stamp == 0)
			break;
		backup_path(set->dir, &search.best, path, sizeof(path));
		st = fold_manifest(path, BACKUP_LOG_NUMBER, draft, arena, system_identifier);
		if (st == NVMKV_OK)
			st = check_backup_files(set->dir, draft);
		if (st == NVMKV_OK)
		{
			draft->next_row += RESTORE_ROW_GAP;
			port_log(PORT_LOG_INFO, "restoring from backup point \"%s\"", path);
			return NVMKV_OK;
		}
		if (st != NVMKV_CORRUPTION)
			return st;
		if (first_failure[0] == '\0')
			(void) snprintf(first_failure, sizeof(first_failure), "%s", nvmkv_error()->text);
		draft_free(draft);
		draft_init(draft);
		search.behind = search.best;
		search.best.stamp = 0;
	}
	if (first_failure[0] == '\0')
		return NVMKV_NOT_FOUND;
	return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is an incomplete copy: %s", set->dir, first_failure);
}

static NvmkvStatus
recover_draft(VersionSet *set, uint64_t system_identifier, VersionDraft *draft, MetaArena *arena, uint64_t *number_out,
			  bool *fresh_out)
{
	char path[MANIFEST_PATH_MAX];
	NvmkvStatus st = read_current(set->dir, number_out);

	*fresh_out = st == NVMKV_NOT_FOUND;
	if (st == NVMKV_NOT_FOUND)
	{
		*number_out = 0;
		draft->system_identifier = system_identifier;
		return start_fresh(set, system_identifier);
	}
	NVMKV_RETURN_IF(st);
	manifest_path(set->dir, *number_out, path, sizeof(path));
	return fold_manifest(path, *number_out, draft, arena, system_identifier);
}

/* Is it the right tree?  Then it becomes one of this incarnation. */
static NvmkvStatus
settle_agreement(const VersionSet *set, const VersionsOpening *opening, bool fresh, uint64_t number,
				 VersionDraft *draft)
{
	const Agreement *a = opening->agreement;
	char path[MANIFEST_PATH_MAX];
	bool accepted = false;
	uint64_t gap;

	if (fresh)
		(void) snprintf(path, sizeof(path), "%s", set->dir);
	else
		manifest_path(set->dir, number, path, sizeof(path));
	if (!opening->born)
		NVMKV_RETURN_IF(agreement_judge(a, opening->family, fresh ? NULL : draft, path, &accepted));
	/* What is lost is lost: from here on it is durable up to where the log begins. */
	if (accepted && draft->durable_seq < agreement_log_begin(a, opening->family))
		draft->durable_seq = agreement_log_begin(a, opening->family);
	draft->incarnation = a->incarnation;
	draft->predecessor = 0;
	if (!opening->born && !a->restored && a->anchor_found == NVMKV_OK)
		draft->predecessor = anchor_incarnation(&a->anchor, opening->family);
	NVMKV_RETURN_IF(anchor_random(&gap));
	draft->next_row += 1 + (gap & ROW_GAP_MASK);
	return NVMKV_OK;
}

NvmkvStatus
versions_recover(VersionSet *set, const VersionsOpening *opening, bool *fresh_out)
{
	MetaArena arena = {0};
	VersionDraft draft;
	uint64_t old = 0;
	uint32_t slot = 0;
	NvmkvStatus st;

	draft_init(&draft);
	*fresh_out = false;
	st = NVMKV_NOT_FOUND;
	if (opening->restore_from != 0)
		st = recover_backup(set, opening->restore_from, opening->system_identifier, &draft, &arena, &old);
	if (st == NVMKV_NOT_FOUND && (opening->restore_from == 0 || old == 0))
		st = recover_draft(set, opening->system_identifier, &draft, &arena, &old, fresh_out);
	if (st == NVMKV_NOT_FOUND)
		(void) NVMKV_FAIL(NVMKV_NOT_FOUND, "\"%s\" is a copy without a description of its tables at or behind %X/%X", set->dir,
						  (unsigned) (opening->restore_from >> 32), (unsigned) opening->restore_from);
	if (st == NVMKV_OK)
		st = draft_finish(&draft);
	if (st == NVMKV_OK && opening->agreement != NULL)
		st = settle_agreement(set, opening, *fresh_out, old, &draft);
	if (st == NVMKV_OK)
	{
		port_lock_exclusive(&set->shm->lock);
		st = build_image(set, &draft, 1, &slot);
		if (st == NVMKV_OK)
			st = start_manifest(set, &draft, old + 1);
		if (st == NVMKV_OK)
			publish(set, slot);
		port_lock_release(&set->shm->lock);
	}
	if (st == NVMKV_OK && old != 0)
	{
		char path[MANIFEST_PATH_MAX];

		manifest_path(set->dir, old, path, sizeof(path));
		(void) port_files->unlink(path);
	}
	draft_free(&draft);
	meta_arena_free(&arena);
	return st;
}

NvmkvStatus
versions_read_pool(const char *dir, uint64_t system_identifier, PoolKnown *known_out)
{
	char path[MANIFEST_PATH_MAX];
	MetaArena arena = {0};
	VersionDraft draft;
	uint64_t number;
	NvmkvStatus st = read_current(dir, &number);

	memset(known_out, 0, sizeof(*known_out));
	known_out->owner.system_identifier = system_identifier;
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_OK;
	NVMKV_RETURN_IF(st);
	draft_init(&draft);
	manifest_path(dir, number, path, sizeof(path));
	st = fold_manifest(path, number, &draft, &arena, system_identifier);
	if (st == NVMKV_OK)
		pool_known_of_draft(&draft, known_out);
	draft_free(&draft);
	meta_arena_free(&arena);
	return st;
}

/* ---- what an anchor says, and what check does ---- */

void
versions_mark(VersionSet *set, AnchorTree *tree_out, bool *closed_out)
{
	const VersionImage *v;

	memset(tree_out, 0, sizeof(*tree_out));
	port_lock_shared(&set->shm->lock);
	v = versions_current(set);
	tree_out->empty = v->nrows == 0 && v->nfiles == 0;
	tree_out->edits = v->edits;
	tree_out->durable_seq = v->durable_seq;
	tree_out->manifest_number = set->shm->manifest_number;
	tree_out->manifest_bytes = set->shm->manifest_offset;
	if (closed_out != NULL)
		*closed_out = v->closed != 0;
	port_lock_release(&set->shm->lock);
}

bool
versions_are_sealed(const VersionSet *set)
{
	return port_load_relaxed(&set->shm->sealed) != 0;
}

static NvmkvStatus
check_files_locked(VersionSet *set)
{
	char path[MANIFEST_PATH_MAX];
	PortFile *file;
	uint64_t number = 0;
	uint64_t size = 0;
	NvmkvStatus st;

	current_path(set->dir, path, sizeof(path));
	st = read_current(set->dir, &number);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is missing", path);
	NVMKV_RETURN_IF(st);
	if (number != set->shm->manifest_number)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" names MANIFEST-%06" PRIu64 ", but the one in use is MANIFEST-%06" PRIu64,
						  path, number, set->shm->manifest_number);
	manifest_path(set->dir, number, path, sizeof(path));
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" is missing", path);
	NVMKV_RETURN_IF(st);
	st = port_files->size(file, &size);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	if (size < set->shm->manifest_offset)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" has %" PRIu64 " bytes, %" PRIu64 " were written", path, size,
						  set->shm->manifest_offset);
	return NVMKV_OK;
}

NvmkvStatus
versions_check_files(VersionSet *set)
{
	NvmkvStatus st;

	port_lock_exclusive(&set->shm->lock); /* so that none is being written */
	st = check_files_locked(set);
	port_lock_release(&set->shm->lock);
	return st;
}
