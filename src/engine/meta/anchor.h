/*
 * anchor.h
 *	  The file beside a database's directory that says what the directory holds
 *	  at least: <dir>.anchor.
 *
 * A directory that is whole in itself may be the wrong one: one of yesterday,
 * one that lost the end of its MANIFEST, one of a copy.  The anchor is kept
 * elsewhere, and is written before the log is told that it may let go of
 * anything: so what it says is in the directory, whatever crash comes.
 *
 * Each opening of a database is an incarnation of its own, a random number in
 * the anchor and in the MANIFEST of each tree.  A MANIFEST says which one was
 * before it as long as the anchor may still name that: the MANIFESTs are written
 * first, then the anchor, then the MANIFESTs forget it.
 *
 * File: two slots of 4096 bytes, written in turn and in place, each synced
 * before it counts.  A torn one leaves the other.  The file itself is made by a
 * rename.  Little-endian:
 *	  offset	bytes
 *	   0		8		magic "NVMKVANC"
 *	   8		4		format (1)
 *	  12		4		count of trees
 *	  16		8		sequence, from 1; slot sequence % 2; the larger one counts
 *	  24		8		system identifier
 *	  32		8		incarnation
 *	  40		8		zero
 *	  48		count x 48, by family:
 *		   0	4		family
 *		   4	4		flags: 1 it has neither rows nor tables
 *		   8	8		edits of the tree
 *		  16	8		durable sequence; of a family that cannot be used: up to where it has all the log had for it
 *		  24	8		number of its MANIFEST
 *		  32	8		bytes of that
 *		  40	8		incarnation of its MANIFEST: that of the anchor, or an earlier one of a family that could not be
 *				opened since, and may be put right
 *	  end		4		crc32c of all before it, masked; zeros follow
 *
 * Example, one empty tree, first writing, system 4711, incarnation 12, 3 edits,
 * durable 256, MANIFEST-000002 of 133 bytes:
 *	  4e 56 4d 4b 56 41 4e 43  01 00 00 00  01 00 00 00  01 00 ..  67 12 ..  0c 00 ..  00 * 8
 *	  00 00 00 00  01 00 00 00  03 00 ..  00 01 00 ..  02 00 ..  85 00 ..  0c 00 ..  crc
 */
#ifndef NVMKV_META_ANCHOR_H
#define NVMKV_META_ANCHOR_H

#include "engine/base/options.h"
#include "engine/port/port.h"

#define ANCHOR_SLOT_BYTES 4096
#define ANCHOR_PATH_MAX 1200

typedef struct AnchorTree
{
	uint32_t family;
	bool empty;
	uint64_t edits, durable_seq, manifest_number, manifest_bytes, incarnation;
} AnchorTree;

typedef struct Anchor
{
	uint64_t sequence, system_identifier, incarnation;
	unsigned ntrees;
	AnchorTree trees[NVMKV_FAMILIES_MAX]; /* by family */
} Anchor;

/* "<dir>.anchor"; and "<dir>.accept", by which people say that the directory is to be taken as it is. */
extern void anchor_path(const char *dir, char *buf, size_t size);
extern void anchor_accept_path(const char *dir, char *buf, size_t size);

/* NOT_FOUND: there is none.  CORRUPTION: no slot is sound.  VERSION, IO, NO_MEMORY. */
extern NvmkvStatus anchor_read(const char *dir, Anchor *anchor_out);

/*
 * Writes the slot of anchor->sequence, durably; the other slot has the one before.  "create": makes the file anew.
 * After a failure either counts.
 */
extern NvmkvStatus anchor_write(const char *dir, const Anchor *anchor, bool create);

/* NULL: the anchor does not know the family. */
extern const AnchorTree *anchor_tree(const Anchor *anchor, unsigned family);

/* Of which incarnation the MANIFEST of a family must be. */
extern uint64_t anchor_incarnation(const Anchor *anchor, unsigned family);

/* Random, not 0.  IO. */
extern NvmkvStatus anchor_random(uint64_t *number_out);

/* ---- for tests ---- */
extern size_t anchor_encode(const Anchor *anchor, uint8_t bytes_out[ANCHOR_SLOT_BYTES]);

/* NOT_FOUND: the slot was never written.  CORRUPTION, VERSION; path is for the message. */
extern NvmkvStatus anchor_decode(const uint8_t bytes[ANCHOR_SLOT_BYTES], const char *path, Anchor *anchor_out);

#endif
