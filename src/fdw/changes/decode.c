/*
 * decode.c
 *	  Changes of foreign tables in logical decoding.
 *
 * When a record is read, nothing can be said of the columns of its table: what
 * catalogues were then is known at the transaction's end, command by command,
 * and changes of heap tables wait for that as bytes in the server's reorder
 * buffer.  So do ours, as messages whose content is the note with its rows, in
 * memory or spilled.  When the buffer gives a message to the output plugin it has
 * set up the catalogues of that moment.  We stand before that (speak): what we
 * have put there goes on as text, one message a change.
 *
 * The plugin cannot tell our messages from those of pg_logical_emit_message(),
 * which everybody may call; so others with our prefix are left out of decoding.
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xlog_internal.h"
#include "catalog/pg_control.h"
#include "commands/defrem.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/message.h"
#include "replication/reorderbuffer.h"
#include "replication/snapbuild.h"
#include "utils/memutils.h"

#include "fdw/changes/changetext.h"
#include "fdw/changes/decode.h"
#include "fdw/changes/note.h"
#include "fdw/host/wal.h"

#define PREFIX "nvmkv"

/* What the buffer calls without us: the same in all contexts of the process. */
static ReorderBufferMessageCB server_message;
static ReorderBufferStreamMessageCB server_stream_message;
static void (*server_message_decode) (LogicalDecodingContext *ctx, XLogRecordBuffer *buf);

/* ---------------------------------------------------------------- out of the buffer */

typedef struct Speaker
{
	ReorderBufferMessageCB say; /* that for streams has the same arguments */
	ReorderBuffer *buffer;
	ReorderBufferTXN *txn;
	XLogRecPtr lsn;
} Speaker;

static void
say(void *arg, const char *json, Size size)
{
	const Speaker *speaker = arg;

	speaker->say(speaker->buffer, speaker->txn, speaker->lsn, true, PREFIX, size, json);
}

static void
speak(ReorderBufferMessageCB server, ReorderBuffer *rb, ReorderBufferTXN *txn, XLogRecPtr lsn, bool transactional,
	  const char *prefix, Size size, const char *message)
{
	if (transactional && strcmp(prefix, PREFIX) == 0)
	{
		Speaker speaker = {server, rb, txn, lsn};

		nvmkv_change_texts(nvmkv_slice(message, size), say, &speaker);
	}
	else
		server(rb, txn, lsn, transactional, prefix, size, message);
}

static void
take_message(ReorderBuffer *rb, ReorderBufferTXN *txn, XLogRecPtr lsn, bool transactional, const char *prefix,
			 Size size, const char *message)
{
	speak(server_message, rb, txn, lsn, transactional, prefix, size, message);
}

static void
take_stream_message(ReorderBuffer *rb, ReorderBufferTXN *txn, XLogRecPtr lsn, bool transactional, const char *prefix,
					Size size, const char *message)
{
	speak(server_stream_message, rb, txn, lsn, transactional, prefix, size, message);
}

static void
stand_before_plugin(ReorderBuffer *rb)
{
	if (rb->message == take_message)
		return;
	server_message = rb->message;
	server_stream_message = rb->stream_message;
	rb->message = take_message;
	rb->stream_message = take_stream_message;
}

/* ---------------------------------------------------------------- into the buffer */

/* Does the plugin hand messages on at all?  That of subscriptions only if it was asked to. */
static bool
messages_are_wanted(const LogicalDecodingContext *ctx)
{
	ListCell *lc;

	if (ctx->callbacks.message_cb == NULL)
		return false;
	if (strcmp(NameStr(ctx->slot->data.plugin), "pgoutput") != 0)
		return true;
	foreach(lc, ctx->output_plugin_options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "messages") == 0)
			return defGetBoolean(option);
	}
	return false;
}

static bool
comes_from_elsewhere(LogicalDecodingContext *ctx, RepOriginId origin)
{
	return ctx->callbacks.filter_by_origin_cb != NULL && filter_by_origin_cb_wrapper(ctx, origin);
}

/*
 * The transaction whose change it is.  One within it may have written the record, and that fact may stand in none of
 * its own: so it is told here.
 */
static TransactionId
transaction_of(ReorderBuffer *rb, const NvmkvNote *note, XLogRecordBuffer *buf)
{
	if (!TransactionIdIsValid(note->xid))
		return XLogRecGetXid(buf->record);
	/* The whole one is known: of a transaction's first record within it the server has just taken that. */
	if (note->xid != note->top_xid)
		ReorderBufferAssignChild(rb, note->top_xid, note->xid, buf->origptr);
	return note->xid;
}

static void
queue(LogicalDecodingContext *ctx, XLogRecordBuffer *buf, NvmkvNote *note, TransactionId xid)
{
	StringInfoData message;

	initStringInfo(&message);
	nvmkv_note_complete(note, &message);
	stand_before_plugin(ctx->reorder);
	ReorderBufferQueueMessage(ctx->reorder, xid, NULL, buf->origptr, true, PREFIX, (Size) message.len, message.data);
}

static void
decode_changes(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	NvmkvSlice data = nvmkv_slice(XLogRecGetData(buf->record), XLogRecGetDataLen(buf->record));
	NvmkvSlice batch;
	NvmkvSlice bytes;
	NvmkvNote note;
	TransactionId xid;

	if (!nvmkv_wal_changes(data, &batch, &bytes))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("malformed WAL record of changes of a foreign table")));
	nvmkv_note_open(&note, bytes, batch);
	if (note.database != ctx->slot->data.database || comes_from_elsewhere(ctx, XLogRecGetOrigin(buf->record)))
		return;
	xid = transaction_of(ctx->reorder, &note, buf);
	/* A slot that is only moved forward keeps its snapshots all the same; where nothing is to be said it needs none. */
	if ((ctx->fast_forward || messages_are_wanted(ctx)) &&
		SnapBuildProcessChange(ctx->snapshot_builder, xid, buf->origptr) && !ctx->fast_forward)
		queue(ctx, buf, &note, xid);
}

void
nvmkv_changes_decode(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	MemoryContext context;
	MemoryContext old_context;

	ReorderBufferProcessXid(ctx->reorder, XLogRecGetXid(buf->record), buf->origptr);
	if ((XLogRecGetInfo(buf->record) & ~XLR_INFO_MASK) != XLOG_NVMKV_CHANGES ||
		SnapBuildCurrentState(ctx->snapshot_builder) < SNAPBUILD_FULL_SNAPSHOT)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv decoding", ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);
	decode_changes(ctx, buf);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

/* ---------------------------------------------------------------- messages of others */

static void
decode_message(LogicalDecodingContext *ctx, XLogRecordBuffer *buf)
{
	const xl_logical_message *message = (const xl_logical_message *) XLogRecGetData(buf->record);

	if ((XLogRecGetInfo(buf->record) & ~XLR_INFO_MASK) == XLOG_LOGICAL_MESSAGE &&
		strcmp(message->message, PREFIX) == 0)
		ReorderBufferProcessXid(ctx->reorder, XLogRecGetXid(buf->record), buf->origptr);
	else
		server_message_decode(ctx, buf);
}

void
nvmkv_changes_init(void)
{
	server_message_decode = RmgrTable[RM_LOGICALMSG_ID].rm_decode;
	RmgrTable[RM_LOGICALMSG_ID].rm_decode = decode_message;
}
