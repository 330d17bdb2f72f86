/*
 * log_reader.h
 *	  Reads the records of one log file, front to back.
 */
#ifndef NVMKV_LOG_LOG_READER_H
#define NVMKV_LOG_LOG_READER_H

#include "engine/log/log_format.h"
#include "engine/port/port.h"

typedef enum LogEnd
{
	LOG_END_NOT_YET,
	LOG_END_CLEAN, /* behind the last record there is nothing of this log */
	LOG_END_TORN   /* behind the last record there is an unfinished one, never acknowledged: ignored */
} LogEnd;

typedef struct LogReader
{
	PortFile *file;
	uint64_t number;
	uint64_t offset;        /* of the next fragment */
	uint64_t record_offset; /* where the last returned record starts */
	uint64_t end_offset;    /* where the log ends; meaningful with end != NOT_YET */
	LogEnd end;
	NvmkvStatus failed;    /* sticky result of a failed read */
	uint64_t block_offset; /* of the block in "block"; UINT64_MAX: none */
	size_t block_bytes;    /* fewer than LOG_BLOCK_BYTES in the file's last block */
	uint8_t *block;
	NvmkvBuf record; /* a record put together from fragments */
} LogReader;

/*
 * Opens the file and checks its header.  A file that was created or recycled but never became this log (the
 * creation was not finished) opens as an empty one.
 * NOT_FOUND: no file.  CORRUPTION, VERSION, INVALID (another kind), IO, NO_MEMORY: then there is nothing to close.
 */
extern NvmkvStatus log_reader_open(LogReader *reader, const char *path, uint32_t kind, uint64_t number);

/*
 * The next record, valid until the next call.  NOT_FOUND at the end: "end" and "end_offset" say how it ended.
 * CORRUPTION names the file and the offset.  Failures are sticky.
 */
extern NvmkvStatus log_reader_next(LogReader *reader, NvmkvSlice *record_out);

extern void log_reader_close(LogReader *reader);

#endif
