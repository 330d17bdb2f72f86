/*
 * addressbook.h
 *	  The ctid of a row in a table with a primary key, and the key it stands for.
 */
#ifndef NVMKV_FDW_ADDRESSBOOK_H
#define NVMKV_FDW_ADDRESSBOOK_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "engine/nvmkv.h"
#include "fdw/key/keycode.h"

typedef struct NvmkvAddressBook NvmkvAddressBook;

typedef struct NvmkvAddress
{
	uint64 number;	/* the ctid's */
	uint64 sequence;
	NvmkvSlice key; /* of any table */
	bool covered;	/* covered.h */
	char status;	/* of its place in the book */
} NvmkvAddress;

/* The number that a version with this sequence has in its ctid; and the same of a ctid. */
static inline uint64
nvmkv_address_number(uint64 sequence)
{
	return sequence % (NVMKV_ROWID_MAX + 1);
}

extern uint64 nvmkv_address_from_tid(ItemPointer tid);

/* ctid of the version with this sequence. */
extern void nvmkv_address_to_tid(uint64 sequence, ItemPointer tid);

/* An empty book in the current memory context. */
extern NvmkvAddressBook *nvmkv_addressbook_create(void);

/* The transaction's own, which ends with it. */
extern NvmkvAddressBook *nvmkv_addressbook_of_transaction(void);
extern void nvmkv_addressbook_forget(void);

/* The key is copied.  Who is covered once stays so.  54000 if another version has the same ctid. */
extern void nvmkv_addressbook_enter(NvmkvAddressBook *book, NvmkvSlice key, uint64 sequence, bool covered);

/* NULL: it has not been entered. */
extern const NvmkvAddress *nvmkv_addressbook_find(const NvmkvAddressBook *book, uint64 number);

#endif
