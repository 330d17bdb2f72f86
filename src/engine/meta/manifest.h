/*
 * manifest.h
 *	  The set of versions: current image in shared memory, MANIFEST and CURRENT
 *	  on disk.
 *
 * Disk: CURRENT holds the name of the live MANIFEST and a newline.  A MANIFEST
 * (log_format.h framing) starts with an edit that describes everything and
 * goes on with one edit a change.
 *
 * Installing an edit, under the lock of rank MANIFEST (only background work
 * and recovery take it; readers never do):
 *	  1 build the new image in a free slot		(crash, failure: nothing happened)
 *	  2 append the edit to MANIFEST, sync		(crash before the sync ends: either; both are whole)
 *	  3 publish the slot, bump the super version	(from here on readers use it)
 *	  4 retire the old slot with an epoch stamp
 * What the edit makes unreachable may be reused only after 3 and once the
 * epoch allows: the caller retires it.
 *
 * A failed write in 2 is undone by truncation; a failed sync is sticky: what
 * is on disk is unknown, so nothing may be installed until the next open.
 */
#ifndef NVMKV_META_MANIFEST_H
#define NVMKV_META_MANIFEST_H

#include "engine/mem/mempool.h"
#include "engine/meta/agreement.h"
#include "engine/meta/pool_agreement.h"

#define VERSION_SLOTS 6
#define MANIFEST_PATH_MAX 1200

typedef struct VersionSetShm VersionSetShm;

/* Process-local handle. */
typedef struct VersionSet
{
	VersionSetShm *shm;
	uint8_t *slots; /* VERSION_SLOTS x slot_bytes */
	uint64_t slot_bytes;
	EpochShm *epochs;
	MemPool *mem; /* for the super version */
	char dir[1024];
} VersionSet;

extern size_t versions_shm_bytes(uint64_t slot_bytes);
extern void versions_shm_init(VersionSetShm *shm, uint64_t slot_bytes);
extern void versions_attach(VersionSet *set, VersionSetShm *shm, EpochShm *epochs, MemPool *mem, const char *dir);

typedef struct VersionsOpening
{
	uint64_t system_identifier;
	uint64_t restore_from;		/* unless 0: the files are a copy made at run time */
	const Agreement *agreement; /* NULL: nobody asks whether the tree is the right one */
	unsigned family;
	bool born;					/* the tree is made while the database is open: there is nothing to ask */
} VersionsOpening;

/*
 * Reads CURRENT and MANIFEST into the first image; *fresh_out: there was no database, the image is empty.
 * Of a copy the first backup point at or behind restore_from whose files are all there is read instead.  NOT_FOUND:
 * there is no such point, and the directory is not empty.
 * Starts a new MANIFEST holding the folded state, of this incarnation, and switches CURRENT to it, unless it is not the
 * tree it should be (agreement.h): then nothing is changed.
 * CORRUPTION (also: tables without a CURRENT; not the right tree), VERSION, INVALID (another system's), LIMIT (image
 * larger than a slot), IO.
 */
extern NvmkvStatus versions_recover(VersionSet *set, const VersionsOpening *opening, bool *fresh_out);

/* What an anchor says of this tree now; all of it is synced.  *closed_out (may be NULL): nothing will be installed. */
extern void versions_mark(VersionSet *set, AnchorTree *tree_out, bool *closed_out);

/* Was it closed, so that nothing but an edit that opens it can be installed?  Racy. */
extern bool versions_are_sealed(const VersionSet *set);

/* Are CURRENT and MANIFEST on disk what this process knows of them?  CORRUPTION says what is not. */
extern NvmkvStatus versions_check_files(VersionSet *set);

/*
 * Writes the current version without its rows, with this durable sequence, as a backup point (db/backup.c), durably.
 * One of the same sequence and stamp stays as it is.
 * REQUIRES: every row holds only entries above durable_seq; CORRUPTION otherwise.
 */
extern NvmkvStatus versions_write_backup(VersionSet *set, uint64_t durable_seq, uint64_t stamp);

/* Removes the points with smaller stamps. */
extern void versions_remove_backups(VersionSet *set, uint64_t before);

/* The current version. REQUIRES: inside an epoch, or the caller alone can install edits that matter to it. */
extern const VersionImage *versions_current(const VersionSet *set);

/*
 * Installs an edit as told above.  READ_ONLY after a sticky failure, NO_SPACE, IO, LIMIT (image too large),
 * CORRUPTION (edit and version disagree: a bug or bad memory), NO_MEMORY.  BUSY: the tree was closed, until an edit
 * opens it.  Blocks on the file system; hold nothing but a job claim.
 */
extern NvmkvStatus versions_install(VersionSet *set, const VersionEdit *edit);

/*
 * What the MANIFEST in a directory that is not open says of its pool.  *known_out: nothing, if there is none.
 * As versions_recover.
 */
extern NvmkvStatus versions_read_pool(const char *dir, uint64_t system_identifier, PoolKnown *known_out);

/* Did a sync of the manifest fail?  Then whether the last edit is on disk is not known before the next open. */
extern bool versions_are_sticky(const VersionSet *set);

/* Has a version been recovered? */
extern bool versions_are_there(const VersionSet *set);

extern uint64_t versions_manifest_bytes(const VersionSet *set); /* written since the segment was made */
extern uint64_t versions_manifest_number(const VersionSet *set);

/* Paths: "<dir>/MANIFEST-000007", "<dir>/CURRENT". */
extern void manifest_path(const char *dir, uint64_t number, char *buf, size_t size);

#endif
