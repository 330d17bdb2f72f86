/*
 * ikey.h
 *	  Internal entries: a user key, a tag (sequence and type) and a payload.
 *
 * Order of entries everywhere: user key ascending by bytes, tag descending.
 * So the versions of one key stand together, newest first.
 *
 * Payload of the tagged types: fxid u64 LE, cid u32 LE, then the user value
 * (for deletions empty, or what the host wants to know of them; one lock-mode byte for LOCK).  Untagged types carry
 * the user value only.
 *
 * In tables a value may stand apart from its key: the type then has
 * NVMKV_TYPE_APART_BIT, and the payload a reference (sst_format.h) where the
 * user value would be.
 *
 * THE VALUES ARE ON DISK: never renumber.
 */
#ifndef NVMKV_BASE_IKEY_H
#define NVMKV_BASE_IKEY_H

#include "engine/base/coding.h"
#include "engine/base/slice.h"

typedef enum NvmkvType
{
	NVMKV_TYPE_DELETION = 0x00, /* frozen: visible to everybody */
	NVMKV_TYPE_VALUE = 0x01,
	NVMKV_TYPE_RANGE_DELETION = 0x03,

	NVMKV_TYPE_TAGGED_DELETION = 0x10, /* outcome to be asked for */
	NVMKV_TYPE_TAGGED_VALUE = 0x11,
	NVMKV_TYPE_TAGGED_LOCK = 0x12,
	NVMKV_TYPE_TAGGED_RANGE_DELETION = 0x13,

	NVMKV_TYPE_COMMITTED_DELETION = 0x30, /* outcome known: committed; not yet visible to everybody */
	NVMKV_TYPE_COMMITTED_VALUE = 0x31,
	NVMKV_TYPE_COMMITTED_RANGE_DELETION = 0x33
} NvmkvType;

#define NVMKV_TYPE_KIND_MASK 0x03  /* DELETION, VALUE, LOCK, RANGE_DELETION */
#define NVMKV_TYPE_APART_BIT 0x04u /* of values, in tables alone: a reference stands for the value */
#define NVMKV_TYPE_TAGGED_BIT 0x10 /* payload starts with fxid and cid */
#define NVMKV_TYPE_COMMITTED_BIT 0x20

#define NVMKV_KIND_DELETION 0x00
#define NVMKV_KIND_VALUE 0x01
#define NVMKV_KIND_LOCK 0x02
#define NVMKV_KIND_RANGE_DELETION 0x03

#define NVMKV_SEQUENCE_MAX ((UINT64_C(1) << 56) - 1)
#define NVMKV_TAG_MAX UINT64_MAX /* sorts before every version of a key: the seek target for "newest" */
#define NVMKV_TXN_TAG_BYTES 12

static inline uint64_t
ikey_tag(uint64_t sequence, unsigned type)
{
	return sequence << 8 | type;
}

static inline uint64_t
ikey_sequence(uint64_t tag)
{
	return tag >> 8;
}

static inline unsigned
ikey_type(uint64_t tag)
{
	return (unsigned) (tag & 0xff);
}

static inline unsigned
ikey_kind(uint64_t tag)
{
	return (unsigned) (tag & NVMKV_TYPE_KIND_MASK);
}

static inline bool
ikey_is_tagged(uint64_t tag)
{
	return (tag & NVMKV_TYPE_TAGGED_BIT) != 0;
}

static inline bool
ikey_is_apart(uint64_t tag)
{
	return (tag & NVMKV_TYPE_APART_BIT) != 0;
}

/* The least key above this one, in "buf", which is replaced. */
extern NvmkvStatus ikey_successor(NvmkvSlice key, NvmkvBuf *buf);

/* Is this a type that may be in a batch or a row? */
extern bool ikey_type_is_valid(unsigned type);

/* And in a table, where values may stand apart? */
extern bool ikey_type_is_valid_in_table(unsigned type);

/* <0, 0, >0: key ascending, tag descending. */
static inline int
ikey_compare(NvmkvSlice akey, uint64_t atag, NvmkvSlice bkey, uint64_t btag)
{
	int c = slice_compare(akey, bkey);

	if (c != 0)
		return c;
	return atag > btag ? -1 : (atag < btag ? 1 : 0);
}

/* A payload taken apart. fxid is 0 for untagged entries. */
typedef struct NvmkvTxnTag
{
	uint64_t fxid;
	uint32_t cid;
} NvmkvTxnTag;

/* Splits a payload.  CORRUPTION when a tagged payload is too short. */
static inline NvmkvStatus
ikey_split_payload(uint64_t tag, NvmkvSlice payload, NvmkvTxnTag *txn_out, NvmkvSlice *value_out)
{
	if (!ikey_is_tagged(tag))
	{
		txn_out->fxid = 0;
		txn_out->cid = 0;
		*value_out = payload;
		return NVMKV_OK;
	}
	if (payload.size < NVMKV_TXN_TAG_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "tagged entry has a payload of %zu bytes", payload.size);
	txn_out->fxid = get_u64(payload.data);
	txn_out->cid = get_u32(payload.data + 8);
	*value_out = nvmkv_slice(payload.data + NVMKV_TXN_TAG_BYTES, payload.size - NVMKV_TXN_TAG_BYTES);
	return NVMKV_OK;
}

#endif
