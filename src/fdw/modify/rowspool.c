/*
 * rowspool.c
 *	  Bytes that are appended, read again, and cut off at the end.
 *
 * The file has the older ones.  Who cuts off within it says so by in_file alone,
 * and what is appended next is written over what the file has behind that.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "fdw/modify/rowspool.h"

/* However large work_mem is: a StringInfo has its own limit. */
#define MOST_IN_MEMORY (256 * 1024 * 1024)

void
nvmkv_row_spool_init(NvmkvRowSpool *spool)
{
	spool->file = NULL;
	spool->in_file = 0;
	initStringInfo(&spool->rest);
}

void
nvmkv_row_spool_close(NvmkvRowSpool *spool)
{
	if (spool->file != NULL)
		BufFileClose(spool->file);
	spool->file = NULL;
	spool->in_file = 0;
	resetStringInfo(&spool->rest);
}

uint64
nvmkv_row_spool_size(const NvmkvRowSpool *spool)
{
	return spool->in_file + (uint64) spool->rest.len;
}

static void
go_to(NvmkvRowSpool *spool, uint64 position)
{
	if (BufFileSeek(spool->file, 0, (off_t) position, SEEK_SET) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not seek in temporary file of kept rows: %m")));
}

static void
write_rest(NvmkvRowSpool *spool)
{
	if (spool->file == NULL)
	{
		ResourceOwner old_owner = CurrentResourceOwner;
		MemoryContext old_context = MemoryContextSwitchTo(GetMemoryChunkContext(spool->rest.data));

		/* It outlives the subtransaction that needs it first. */
		CurrentResourceOwner = TopTransactionResourceOwner;
		spool->file = BufFileCreateTemp(false);
		CurrentResourceOwner = old_owner;
		MemoryContextSwitchTo(old_context);
	}
	go_to(spool, spool->in_file);
	BufFileWrite(spool->file, spool->rest.data, spool->rest.len);
	spool->in_file += (uint64) spool->rest.len;
	resetStringInfo(&spool->rest);
}

void
nvmkv_row_spool_append(NvmkvRowSpool *spool, const void *data, Size size)
{
	Size most = Min((Size) work_mem * 1024, MOST_IN_MEMORY);

	if (spool->rest.len > 0 && (Size) spool->rest.len + size > most)
		write_rest(spool);
	appendBinaryStringInfo(&spool->rest, data, (int) size);
}

void
nvmkv_row_spool_read(NvmkvRowSpool *spool, uint64 position, void *data, Size size)
{
	char *to = data;

	Assert(position + size <= nvmkv_row_spool_size(spool));
	if (position < spool->in_file)
	{
		Size part = (Size) Min((uint64) size, spool->in_file - position);

		go_to(spool, position);
		if (BufFileRead(spool->file, to, part) != part)
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from temporary file of kept rows: %m")));
		to += part;
		size -= part;
		position += part;
	}
	memcpy(to, spool->rest.data + (position - spool->in_file), size);
}

void
nvmkv_row_spool_cut(NvmkvRowSpool *spool, uint64 position)
{
	Assert(position <= nvmkv_row_spool_size(spool));
	if (position >= spool->in_file)
		spool->rest.len = (int) (position - spool->in_file);
	else
	{
		spool->in_file = position;
		resetStringInfo(&spool->rest);
	}
}
