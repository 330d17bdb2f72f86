/*
 * decode.h
 *	  Changes of foreign tables in logical decoding: transactional messages with
 *	  the prefix "nvmkv", which output plugins hand on as those of
 *	  pg_logical_emit_message().
 *
 * They come out between the others of their transaction, in its order, at its
 * commit, or as it is streamed or prepared; what was rolled back does not.  Their
 * content is that of changetext.h.
 */
#ifndef NVMKV_FDW_DECODE_H
#define NVMKV_FDW_DECODE_H

struct LogicalDecodingContext;
struct XLogRecordBuffer;

/* RmgrData.rm_decode. */
extern void nvmkv_changes_decode(struct LogicalDecodingContext *ctx, struct XLogRecordBuffer *buf);

/* From _PG_init while the server preloads libraries: keeps messages of others with our prefix out. */
extern void nvmkv_changes_init(void);

#endif
