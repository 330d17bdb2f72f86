/*
 * anchor.c
 *	  Reading and writing the anchor: see anchor.h.
 */
#include "engine/meta/anchor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#include "engine/base/assert.h"
#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

#define ANCHOR_MAGIC UINT64_C(0x434e41564b4d564e) /* "NVMKVANC" */
#define ANCHOR_FORMAT 1
#define ANCHOR_HEAD_BYTES 48
#define ANCHOR_TREE_BYTES 48
#define ANCHOR_TREE_EMPTY 1
#define ANCHOR_FILE_BYTES (2 * ANCHOR_SLOT_BYTES)

_Static_assert(ANCHOR_HEAD_BYTES + NVMKV_FAMILIES_MAX * ANCHOR_TREE_BYTES + 4 <= ANCHOR_SLOT_BYTES, "a slot holds all trees");

void
anchor_path(const char *dir, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s.anchor", dir);
}

void
anchor_accept_path(const char *dir, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s.accept", dir);
}

const AnchorTree *
anchor_tree(const Anchor *anchor, unsigned family)
{
	unsigned i;

	for (i = 0; i < anchor->ntrees; i++)
		if (anchor->trees[i].family == family)
			return &anchor->trees[i];
	return NULL;
}

uint64_t
anchor_incarnation(const Anchor *anchor, unsigned family)
{
	const AnchorTree *tree = anchor_tree(anchor, family);

	return tree != NULL ? tree->incarnation : anchor->incarnation;
}

NvmkvStatus
anchor_random(uint64_t *number_out)
{
	do
	{
		if (getrandom(number_out, sizeof(*number_out), 0) != (ssize_t) sizeof(*number_out))
			return NVMKV_FAIL_ERRNO(NVMKV_IO, "no random bytes for a number of its own for this opening");
	} while (*number_out == 0);
	return NVMKV_OK;
}

size_t
anchor_encode(const Anchor *anchor, uint8_t bytes_out[ANCHOR_SLOT_BYTES])
{
	uint8_t *p = bytes_out + ANCHOR_HEAD_BYTES;
	unsigned i;

	memset(bytes_out, 0, ANCHOR_SLOT_BYTES);
	put_u64(bytes_out, ANCHOR_MAGIC);
	put_u32(bytes_out + 8, ANCHOR_FORMAT);
	put_u32(bytes_out + 12, anchor->ntrees);
	put_u64(bytes_out + 16, anchor->sequence);
	put_u64(bytes_out + 24, anchor->system_identifier);
	put_u64(bytes_out + 32, anchor->incarnation);
	for (i = 0; i < anchor->ntrees; i++, p += ANCHOR_TREE_BYTES)
	{
		const AnchorTree *tree = &anchor->trees[i];

		put_u32(p, tree->family);
		put_u32(p + 4, tree->empty ? ANCHOR_TREE_EMPTY : 0);
		put_u64(p + 8, tree->edits);
		put_u64(p + 16, tree->durable_seq);
		put_u64(p + 24, tree->manifest_number);
		put_u64(p + 32, tree->manifest_bytes);
		put_u64(p + 40, tree->incarnation);
	}
	put_u32(p, crc32c_mask(crc32c(bytes_out, (size_t) (p - bytes_out))));
	return (size_t) (p - bytes_out) + 4;
}

static bool
is_zero(const uint8_t *p, const uint8_t *end)
{
	while (p < end)
		if (*p++ != 0)
			return false;
	return true;
}

NvmkvStatus
anchor_decode(const uint8_t bytes[ANCHOR_SLOT_BYTES], const char *path, Anchor *anchor_out)
{
	const uint8_t *p = bytes + ANCHOR_HEAD_BYTES;
	uint32_t count = get_u32(bytes + 12);
	unsigned i;

	memset(anchor_out, 0, sizeof(*anchor_out));
	if (is_zero(bytes, bytes + ANCHOR_SLOT_BYTES))
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "a slot of \"%s\" was never written", path);
	if (get_u64(bytes) != ANCHOR_MAGIC)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is not an anchor (wrong magic)", path);
	if (get_u32(bytes + 8) != ANCHOR_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "anchor \"%s\" has format %u, this version reads %d" NVMKV_USE_NEWER, path, get_u32(bytes + 8), ANCHOR_FORMAT);
	if (count == 0 || count > NVMKV_FAMILIES_MAX)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" says that there are %u trees", path, count);
	if (get_u32(p + count * ANCHOR_TREE_BYTES) !=
		crc32c_mask(crc32c(bytes, ANCHOR_HEAD_BYTES + count * ANCHOR_TREE_BYTES)))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" has a wrong crc", path);
	anchor_out->ntrees = count;
	anchor_out->sequence = get_u64(bytes + 16);
	anchor_out->system_identifier = get_u64(bytes + 24);
	anchor_out->incarnation = get_u64(bytes + 32);
	for (i = 0; i < count; i++, p += ANCHOR_TREE_BYTES)
	{
		AnchorTree *tree = &anchor_out->trees[i];

		tree->family = get_u32(p);
		tree->empty = (get_u32(p + 4) & ANCHOR_TREE_EMPTY) != 0;
		tree->edits = get_u64(p + 8);
		tree->durable_seq = get_u64(p + 16);
		tree->manifest_number = get_u64(p + 24);
		tree->manifest_bytes = get_u64(p + 32);
		tree->incarnation = get_u64(p + 40);
		if (tree->family >= NVMKV_FAMILIES_MAX || (i > 0 && tree->family <= anchor_out->trees[i - 1].family))
			return NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" names column family %u in a wrong place", path, tree->family);
	}
	return NVMKV_OK;
}

NvmkvStatus
anchor_read(const char *dir, Anchor *anchor_out)
{
	char path[ANCHOR_PATH_MAX];
	uint8_t bytes[ANCHOR_FILE_BYTES] = {0};
	Anchor slots[2];
	NvmkvStatus st[2];
	PortFile *file;
	size_t got = 0;
	NvmkvStatus status;
	unsigned best;

	memset(anchor_out, 0, sizeof(*anchor_out));
	anchor_path(dir, path, sizeof(path));
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ, &file));
	status = port_files->read_some(file, 0, bytes, sizeof(bytes), &got);
	port_files->close(file);
	NVMKV_RETURN_IF(status);
	st[0] = anchor_decode(bytes, path, &slots[0]);
	st[1] = anchor_decode(bytes + ANCHOR_SLOT_BYTES, path, &slots[1]);
	if (st[0] != NVMKV_OK && st[1] != NVMKV_OK)
	{
		/* Says what is wrong with the one that was written. */
		if (st[0] != NVMKV_NOT_FOUND && st[1] == NVMKV_NOT_FOUND)
			st[1] = anchor_decode(bytes, path, &slots[0]);
		if (st[1] == NVMKV_NOT_FOUND)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" is empty", path);
		return st[1];
	}
	best = st[0] == NVMKV_OK && (st[1] != NVMKV_OK || slots[0].sequence > slots[1].sequence) ? 0 : 1;
	*anchor_out = slots[best];
	return NVMKV_OK;
}

/* A new file is written beside its place, and renamed when it is whole. */
NvmkvStatus
anchor_write(const char *dir, const Anchor *anchor, bool create)
{
	char path[ANCHOR_PATH_MAX];
	char temp[ANCHOR_PATH_MAX + 8];
	uint8_t bytes[ANCHOR_SLOT_BYTES];
	uint64_t at = anchor->sequence % 2 * ANCHOR_SLOT_BYTES;
	PortFile *file;
	NvmkvStatus st;

	anchor_path(dir, path, sizeof(path));
	(void) snprintf(temp, sizeof(temp), "%s.tmp", path);
	(void) anchor_encode(anchor, bytes);
	NVMKV_RETURN_IF(port_fault("anchor.before_write"));
	NVMKV_RETURN_IF(port_files->open(create ? temp : path,
									 PORT_FILE_WRITE | (create ? PORT_FILE_CREATE | PORT_FILE_TRUNCATE : 0), &file));
	st = NVMKV_OK;
	if (create)
	{
		static const uint8_t nothing[ANCHOR_SLOT_BYTES];

		st = port_files->write(file, ANCHOR_SLOT_BYTES - at, nothing, sizeof(nothing));
	}
	if (st == NVMKV_OK)
		st = port_files->write(file, at, bytes, sizeof(bytes));
	if (st == NVMKV_OK)
		st = port_files->sync(file);
	port_files->close(file);
	if (st == NVMKV_OK && create)
		st = port_files->rename(temp, path);
	if (st == NVMKV_OK)
		st = port_fault("anchor.written");
	return st;
}
