/*
 * addressbook.c
 *	  The ctid of a row in a table with a primary key, and the key it stands for.
 *
 * As on a heap a ctid names one version: it is the version's sequence, which
 * no other version has, of whatever table, and which it keeps for as long as it
 * is.  Who changes the row gives it another ctid, and finds nothing any more
 * under the one it had.  Sequences are positions in the log, and a ctid has 48
 * bits: versions that were written exactly 256 TB apart have the same one.
 *
 * A ctid does not tell the key.  So whoever asks for the rows of some ctids is
 * to read the table, or has seen these ctids before: rows to be locked are
 * entered in a book, by which the server's request to lock one of them is
 * understood; and when the query shows their ctids as well, in the book of the
 * transaction, for a later statement of it to go straight to the rows.  That
 * is how postgres_fdw changes rows.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "fdw/txn/addressbook.h"

#define ADDRESSES_INITIAL 16
#define ROOM_BYTES_MIN 1024
#define ROOM_BYTES_MAX (64 * 1024)

#define SH_PREFIX addresses
#define SH_ELEMENT_TYPE NvmkvAddress
#define SH_KEY_TYPE uint64
#define SH_KEY number
#define SH_HASH_KEY(tb, key) murmurhash32((uint32) ((key) ^ ((key) >> 32)))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* the server does not mind */
#include "lib/simplehash.h"
#pragma GCC diagnostic pop

struct NvmkvAddressBook
{
	MemoryContext context;
	addresses_hash *addresses;
	char *room; /* where keys are put, piece by piece */
	Size room_left;
	Size room_size; /* of the piece */
};

static NvmkvAddressBook *of_transaction;

void
nvmkv_address_to_tid(uint64 sequence, ItemPointer tid)
{
	nvmkv_rowid_to_tid(nvmkv_address_number(sequence), tid);
}

uint64
nvmkv_address_from_tid(ItemPointer tid)
{
	/* No version's ctid has offset 0. */
	return ItemPointerGetOffsetNumberNoCheck(tid) == 0 ? PG_UINT64_MAX : nvmkv_rowid_from_tid(tid);
}

NvmkvAddressBook *
nvmkv_addressbook_create(void)
{
	NvmkvAddressBook *book = palloc0(sizeof(NvmkvAddressBook));

	book->context = CurrentMemoryContext;
	book->addresses = addresses_create(CurrentMemoryContext, ADDRESSES_INITIAL, NULL);
	book->room_size = ROOM_BYTES_MIN / 2;
	return book;
}

NvmkvAddressBook *
nvmkv_addressbook_of_transaction(void)
{
	if (of_transaction == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(TopTransactionContext);

		of_transaction = nvmkv_addressbook_create();
		MemoryContextSwitchTo(old_context);
	}
	return of_transaction;
}

void
nvmkv_addressbook_forget(void)
{
	of_transaction = NULL;
}

static NvmkvSlice
keep_bytes(NvmkvAddressBook *book, NvmkvSlice bytes)
{
	uint8 *kept;

	if (bytes.size > book->room_left)
	{
		book->room_size = Min(book->room_size * 2, ROOM_BYTES_MAX);
		book->room_left = Max(bytes.size, book->room_size);
		book->room = MemoryContextAlloc(book->context, book->room_left);
	}
	kept = (uint8 *) book->room;
	memcpy(kept, bytes.data, bytes.size);
	book->room += bytes.size;
	book->room_left -= bytes.size;
	return nvmkv_slice(kept, bytes.size);
}

void
nvmkv_addressbook_enter(NvmkvAddressBook *book, NvmkvSlice key, uint64 sequence, bool covered)
{
	bool found;
	uint64 number = nvmkv_address_number(sequence);
	NvmkvAddress *address = addresses_lookup(book->addresses, number);
	NvmkvSlice kept;

	if (address != NULL && address->sequence != sequence)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("two rows of foreign tables have the same ctid"),
				 errhint("Update one of them.")));
	if (address != NULL)
	{
		address->covered = address->covered || covered;
		return;
	}
	kept = keep_bytes(book, key);
	address = addresses_insert(book->addresses, number, &found);
	address->sequence = sequence;
	address->key = kept;
	address->covered = covered;
}

const NvmkvAddress *
nvmkv_addressbook_find(const NvmkvAddressBook *book, uint64 number)
{
	return addresses_lookup(book->addresses, number);
}
