/*
 * agreement.h
 *	  Is a tree the one that log and anchor speak of?  Asked before a tree is
 *	  opened, of its folded MANIFEST, and nothing is written if it is not.
 *
 * What is asked, and what it finds out:
 *	  the anchor is there, and so is the tree		one of them was removed
 *	  both are of one incarnation					the tree is another one's: of an earlier time, of a copy
 *	  the tree has the edits the anchor counted		its MANIFEST lost its end, or is an earlier one
 *	  it is durable up to where the log begins, unless it says that it is closed: then the log holds nothing for it
 *													what would have to be replayed is gone from the log
 *	  it is not durable up to behind the log's end	the log is of an earlier time
 *
 * While the tree is open every checkpoint waits until the tree is durable up
 * to where the log will begin, and is anchored; so a crash leaves nothing that
 * would be refused, a torn edit at the end of the MANIFEST included.
 *
 * A tree that is closed may be left behind by the log as far as one likes: the
 * host ran without the database, or began its log anew.  That rests on the
 * anchor, which says that it is the same tree; so where people accept a tree
 * that the anchor does not know, the log must not have gone on for long.
 */
#ifndef NVMKV_META_AGREEMENT_H
#define NVMKV_META_AGREEMENT_H

#include "engine/meta/anchor.h"
#include "engine/meta/draft.h"

typedef struct Agreement
{
	uint64_t incarnation;	  /* of this opening */
	uint64_t system_identifier;
	NvmkvStatus anchor_found; /* OK, NOT_FOUND, or what is wrong with the anchor */
	char anchor_problem[NVMKV_ERROR_TEXT_MAX];
	Anchor anchor;
	uint64_t log_begin, log_end; /* what the log holds at least, and no more; 0: not known */
	uint64_t family_log_begin[NVMKV_FAMILIES_MAX]; /* not 0: of that family it begins there */
	bool accept;			  /* somebody answers for what is there, if it is the log's time */
	bool restored;			  /* the files are a copy: the anchor is of another moment than they are */
	char dir[1024];			  /* of the database: names anchor and accept file */
} Agreement;

/* Reads the anchor of a database, and looks whether there is an accept file.  system_identifier 0: any. */
extern NvmkvStatus agreement_load(Agreement *a, const char *dir, uint64_t system_identifier);

/*
 * The verdict.  draft: the folded state, finished; NULL: there is no tree.  manifest: its path, or the directory where
 * it should be.  CORRUPTION, VERSION or what the anchor could not be read for; the text names both sides, and what to
 * do.  With "accept" a refusal is logged, and *accepted_out set, unless the log is of an earlier time.
 */
extern NvmkvStatus agreement_judge(const Agreement *a, unsigned family, const VersionDraft *draft,
								   const char *manifest, bool *accepted_out);

/* Where the log begins, for the family. */
extern uint64_t agreement_log_begin(const Agreement *a, unsigned family);

/* Every family the anchor names is among those that are there (bit: number). */
extern NvmkvStatus agreement_judge_families(const Agreement *a, uint32_t families);

#endif
