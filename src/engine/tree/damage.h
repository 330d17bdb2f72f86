/*
 * damage.h
 *	  Damage stays where it is: what cannot be read costs the keys in it.
 *
 * A reader that comes to a block, table or row that cannot be read fails, and
 * says where; nothing is changed by that, and a file that comes back is whole
 * again.  A compaction that comes to one goes round it: what can be read is
 * carried on, and the edit that takes the source out of the version puts in
 * damaged ranges instead (VersionDamage), with which the tree remembers that
 * versions of keys in there may be missing.  Readers fail there as before, unless
 * they find something newer; so what is lost is never taken for absent, nor an
 * older version for the newest.  Writers look before they write, and fail, too.
 *
 * What is damage: a block or a table whose checksum or form is wrong, or which is
 * missing or short, when it is read a second time, past all caches.  One that the
 * medium refuses is damage if it gives out other parts of the same file.  Nothing
 * is when all tables are gone: then the directory is not the right one.  Want of
 * descriptors or memory, and pages of the pool that vanish, are failures.
 *
 * The file of a table that was gone round stays where it is as long as a damaged
 * range names it, and while such files are not too many and not too large: for
 * whoever wants to get more out of it, and for its filters, which tell point reads
 * of most keys in the range that they had nothing in the damaged block.
 *
 * A range goes when its storage is dropped (drop.c), or when the administrator
 * accepts the loss (damage_forget).
 *
 * Values apart: a value that cannot be read stays where it is, and so does the
 * reference to it.
 */
#ifndef NVMKV_TREE_DAMAGE_H
#define NVMKV_TREE_DAMAGE_H

#include "engine/base/iter.h"
#include "engine/tree/tree.h"

/* ---- reading ---- */

/*
 * The damaged range that may hide versions of this key, which is born so (db_born); NULL: none does.
 * REQUIRES: inside the epoch.
 */
extern const VersionDamage *damage_at(NvmkvDb *db, const VersionImage *v, NvmkvSlice key, uint64_t hash, uint64_t born);

/* CORRUPTION that says what is lost. */
extern NvmkvStatus damage_failure(NvmkvDb *db, const VersionImage *v, const VersionDamage *damage);

/* "\x00..", cut short. */
#define DAMAGE_KEY_TEXT_BYTES 72
extern void damage_show_key(NvmkvSlice key, char text[DAMAGE_KEY_TEXT_BYTES]);

/* A row was found damaged: compaction is to go round it soon. */
extern void damage_want_drain(NvmkvDb *db);

/* Keys [lower, upper); upper of size 0: no upper bound. */
typedef struct DamageRange
{
	NvmkvSlice lower, upper;
} DamageRange;

/* Does a damaged range of the version have keys in it? */
extern bool damage_is_in(const VersionImage *v, const DamageRange *range);

/* The keys of a storage, of which "storage" is the first; buf: room for the end. */
#define DAMAGE_STORAGE_BYTES 8
extern DamageRange damage_storage_range(NvmkvSlice storage, uint8_t buf[DAMAGE_STORAGE_BYTES]);

/* ---- going round ---- */

/* Goes round and says nothing: for who knows that somebody else tells of it. */
extern NvmkvDamageSink *damage_untold_sink(void);

/* What a compaction has gone round so far, for its edit; the keys are owned here. */
typedef struct DamageList
{
	NvmkvDamageSink sink; /* for its iterators */
	NvmkvDb *db;
	const VersionImage *v; /* the sources are in it */
	MetaDamage *damages;
	uint32_t count, capacity;
} DamageList;

/* v: must stay as long as the list. */
extern void damage_list_init(DamageList *list, NvmkvDb *db, const VersionImage *v);
extern void damage_list_free(DamageList *list);

/* The edit that has them was installed: says so in the log, and counts. */
extern void damage_list_installed(const DamageList *list);

/* Does the version, or the list, say that something below this version of the key may be missing, and not above? */
extern bool damage_is_below(const DamageList *list, NvmkvSlice key, uint64_t sequence);

/* ---- tables that were gone round ---- */

/* Files that stayed and that no damaged range names any more go: those whose names "before", a version, has. */
extern void damage_release_files(NvmkvDb *db, const VersionImage *before);

#endif
