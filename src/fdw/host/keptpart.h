/*
 * keptpart.h
 *	  The part of the WAL that belongs to a column family which cannot be used
 *	  is kept by itself, so that such a family costs its own tables only.
 *
 * What is kept of family N stands in nvmkv_kept/family-N, in the form of
 * kept_log.h: each record, whole, that has entries of the family which it may
 * not have.  The other families' entries of the record are applied at once.
 * Recovery keeps, and so does the replay of nvmkv_kept itself (kept.h); nobody
 * else meets entries of such a family, since it cannot be written to.  At the
 * next start with which the family can be opened, what is kept is replayed into
 * it alone, before everything else, by whoever replays nvmkv_kept; until then
 * nobody gets at foreign tables.
 *
 * Order.  At a start a family is away, and what comes is added behind what is
 * kept already; or it is there, and what is kept is replayed first.  So what is
 * kept of a family is older than what is in nvmkv_kept, and that is older than
 * the WAL that recovery reads.
 *
 * Atomicity.  A record is applied to some families and kept for the others;
 * nothing looks at those others before they have it.  Outcomes of transactions
 * stay known as long as a family is away or has something kept.
 *
 * What the engine is told (nvmkv_family_set_kept): the position K from which on
 * something is kept.  Of a family that is away the anchor vouches up to K at
 * most: if what is kept gets lost, the family is refused, by itself, when its
 * files are put right.  In the replay the family's position in the log is where
 * the replay is, so that no flush of it counts as durable what is still to come;
 * the other trees stay where they are, and need not be opened.
 * NvmkvOptions.family_log_begin is K as well: the family must reach up to there,
 * as others must up to the redo point.
 *
 * Crash outcomes, and what else may happen:
 *	  while it is kept	no checkpoint or restartpoint counts before what is kept below its record is durable
 *						(nvmkv_kept_parts_mark); so recovery keeps the rest again, and a record that is kept twice is
 *						read once
 *	  in the replay		it is begun again; the family skips what it has in rows and tables
 *	  after the replay	the family is durable up to the log's end, on disk, before the files are removed, the oldest
 *						first; what is left of them is replayed again, and the family has it all
 *	  another family breaks	it gets files of its own, from there on
 *	  the tree as a whole is given up, or does not open	nvmkv_kept goes on where the family's files end, with the
 *						parts of all families
 *	  the family is dropped	its files go after it; those that a crash leaves go at the next start, and could do no harm
 *						to a new family of the number, which is durable from its birth on beyond them
 *	  what is kept is damaged, or the family fails in the replay	the family is given up for this start
 *						(nvmkv_family_give_up), and nothing is removed
 */
#ifndef NVMKV_FDW_KEPTPART_H
#define NVMKV_FDW_KEPTPART_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/nvmkv.h"

/* ---- in the process that opens the engine ---- */

/* Before: sets options->family_log_begin of the families of which something is kept. */
extern void nvmkv_kept_parts_find(NvmkvOptions *options);

/*
 * After: notes what is kept, for families that are there and for those that are away, and removes what is kept of
 * families that are no more.  Returns those whose replay is pending (bit: number).
 */
extern uint32 nvmkv_kept_parts_opened(NvmkvDb *db);

/* ---- replaying ---- */

/*
 * Replays what is kept of family "id", which is there, and removes it.  next: what comes after that begins there;
 * invalid: nothing does.  On OK the family has all of it, or was given up, which is in the log: then its files stay.
 * NO_SPACE, NO_MEMORY, BUSY, CANCELLED: to be called again.
 */
extern NvmkvStatus nvmkv_kept_part_replay(NvmkvDb *db, unsigned id, XLogRecPtr next);

/* ---- keeping; one process at a time ---- */

/*
 * From here on a file that is begun starts at "from".  Families that are away, and of which something is kept, get
 * theirs now, or something would seem to be missing.
 */
extern NvmkvStatus nvmkv_kept_parts_begin(NvmkvDb *db, XLogRecPtr from);

/* Keeps a record, or one entry that was in a memtable, for these families.  Durable after a mark. */
extern NvmkvStatus nvmkv_kept_part_record(NvmkvDb *db, uint32 families, uint8 info, XLogRecPtr start, XLogRecPtr end,
										  NvmkvSlice data);
extern NvmkvStatus nvmkv_kept_part_entry(NvmkvDb *db, uint32 families, uint64 sequence, NvmkvSlice batch);

/* What is to be kept of families below "upto" is durable on OK; end: nothing follows, and files are closed. */
extern NvmkvStatus nvmkv_kept_parts_mark(XLogRecPtr upto, bool end);

/*
 * Closes the files as they are: what comes now is kept for all families together, so that nothing more may be said of
 * these.
 */
extern void nvmkv_kept_parts_close(void);

/* The family is no more.  What cannot be removed is removed by the next start, with a WARNING now. */
extern void nvmkv_kept_part_drop(unsigned id);

#endif
