/*
 * family_slots.h
 *	  The memory in which all processes see which column families there are; for
 *	  the files of families alone.
 *
 * Each family is a tree of its own in <dir>/family-<number>, with its memtables
 * and versions in a piece of shared memory that is reserved when the database
 * is opened (NvmkvOptions.max_families).  They share with the default family,
 * the root: the log, the block cache and the numbering of table files.
 *
 * Life of a slot:
 *	  FREE		no family
 *	  OPENING	one is being made
 *	  OPEN		in FAMILIES; processes have handles of it
 *	  BROKEN	in FAMILIES, but it could not be opened: nobody has a handle of it, and its files are left alone
 *	  CLOSING	being dropped: nobody comes in any more
 * The one who holds the claim makes and drops.
 *
 * Background work must not be surprised by a drop.  So a process shows in
 * in_use which families it is at (bit = number), and then looks whether the
 * family is still OPEN; a drop sets CLOSING, and then waits until nobody shows
 * that.  Whoever reads or writes through a family's handle shows nothing:
 * nvmkv_family_drop requires that there is none of them.
 *
 * A number may be a dropped family's.  What the log holds of that one is not
 * taken for the new one's: a family is durable, from its birth, up to where the
 * log then was.
 *
 * Crash outcome.  Creation: the family exists once FAMILIES names it; before
 * that its files are left-overs, removed at the next open.  Drop: it is gone
 * once FAMILIES does not name it; files that are left are removed then, too.
 */
#ifndef NVMKV_DB_FAMILY_SLOTS_H
#define NVMKV_DB_FAMILY_SLOTS_H

#include "engine/tree/tree.h"

typedef enum FamilyState
{
	FAMILY_FREE,
	FAMILY_OPENING,
	FAMILY_OPEN,
	FAMILY_BROKEN,
	FAMILY_CLOSING
} FamilyState;

typedef struct FamilySlot
{
	uint32_t state;	 /* FamilyState */
	uint64_t births; /* families the slot has had; an old handle is known by it */
	NvmkvFamilyInfo info;
	NvmkvFamilyOptions next; /* the options of the next open, which FAMILIES has */
	/* BROKEN: why, and which sequences it has all the same */
	uint32_t status;
	char error[NVMKV_ERROR_TEXT_MAX];
	uint64_t durable_seq;
	uint32_t loss_told; /* that the log had more for it, which is lost */
	bool has_no_point;	/* why is that it has no backup point in a copy: the log may make it anew */
	uint64_t kept_from; /* not 0: what the log has for it from there on may be kept by the host, and not be in it */
} FamilySlot;

typedef struct FamilyShm
{
	PortLock lock;	  /* held for a change of state, and while a process makes its handle */
	uint32_t claim;	  /* process slot + 2 of the one who creates or drops */
	uint64_t tree_bytes;
	FamilySlot slot[NVMKV_FAMILIES_MAX]; /* [0] is not used */
	uint32_t in_use[];					 /* of each process slot */
} FamilyShm;

/* Numbers that a family may have, and 0. */
extern unsigned family_slots(const NvmkvOptions *options);

/* Bytes of shared memory for the families besides the default one. */
extern size_t families_shm_bytes(const NvmkvOptions *options);

/* By the process that opens the database. */
extern void families_init(NvmkvDb *root);

/* NULL: there can be no other families. */
extern FamilyShm *family_shm(const NvmkvDb *root);

/* Where the family's tree is to be. */
extern void *family_tree_memory(const NvmkvDb *root, unsigned id);

extern void family_set_state(FamilyShm *shm, unsigned id, FamilyState state);

/* The last failure, of this status, is why the family is BROKEN from now on.  durable_seq: what it has all the same. */
extern void family_note_broken(NvmkvDb *root, unsigned id, NvmkvStatus status, uint64_t durable_seq);

#endif
