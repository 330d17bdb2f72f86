/*
 * log_writer.h
 *	  Appends records to one log file; one process at a time.
 */
#ifndef NVMKV_LOG_LOG_WRITER_H
#define NVMKV_LOG_LOG_WRITER_H

#include "engine/log/log_format.h"
#include "engine/port/port.h"

typedef struct LogWriter
{
	PortFile *file;
	uint64_t number;
	uint64_t offset; /* where the next record goes */
	uint64_t synced; /* bytes known to be durable */
	bool failed;     /* a write or sync failed: what is on the medium is unknown */
	NvmkvBuf frame;  /* the framed bytes of one record */
} LogWriter;

/*
 * Creates the file (replacing what an interrupted creation left) and writes its header; nothing is durable yet,
 * the name neither.  At failure there is nothing to close, and no file.
 */
extern NvmkvStatus log_writer_create(LogWriter *writer, const char *path, uint32_t kind, uint64_t number);

/*
 * Appends the record parts[0] .. parts[nparts - 1] with one write; not durable before log_writer_sync.
 * NO_SPACE and NO_MEMORY leave the log as it was and may be tried again; LIMIT: the file is full; IO is sticky:
 * READ_ONLY from then on.
 */
extern NvmkvStatus log_writer_append(LogWriter *writer, const NvmkvSlice *parts, unsigned nparts);

/* All appended records are durable on OK.  A failure is sticky: later calls return READ_ONLY. */
extern NvmkvStatus log_writer_sync(LogWriter *writer);

/* Syncs nothing. */
extern void log_writer_close(LogWriter *writer);

#endif
