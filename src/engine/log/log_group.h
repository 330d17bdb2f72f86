/*
 * log_group.h
 *	  The standalone write-ahead log: several processes append, one sync serves
 *	  all who wait.
 *
 * Shared memory holds a ring of framed bytes and the positions; each process
 * has its own handle with its own descriptor of the current file.  Every log
 * record is a base sequence u64 followed by the batch's bytes (batch.h), and
 * the sequences of a log go up without a gap: the base of a record is the last
 * sequence of the record before it plus one, also from one file to the next.
 * Recovery checks that, which is how a missing file or a file cut short shows.
 *
 * A process that is killed while it holds one of the locks stops the log: from
 * then on everybody gets READ_ONLY.  All processes must end and the database be
 * recovered.
 *
 * On persistent memory the files are written through a map (log_map.h), and
 * whatever is written is durable: a sync costs no system call.
 */
#ifndef NVMKV_LOG_LOG_GROUP_H
#define NVMKV_LOG_LOG_GROUP_H

#include "engine/base/coding.h"
#include "engine/base/ikey.h"
#include "engine/base/logops.h"
#include "engine/log/log_map.h"

typedef struct LogGroupShm LogGroupShm;

#define LOG_GROUP_PATH_BYTES_MAX 4096

/*
 * Files of a process that stay mapped: the one in use, and those that may be used again next.  The pages of a file that
 * is made of an old one are in the process's tables then.
 */
#define LOG_GROUP_MAPS 4

/* Handle of one process (and one thread of it).  Must stay where it is. */
typedef struct LogGroup
{
	LogGroupShm *shm;
	PortFile *file; /* of log "file_number"; NULL: none open */
	uint64_t file_number;
	LogMap maps[LOG_GROUP_MAPS]; /* on persistent memory */
	LogMap *map;				 /* of "file" */
	char *dir;
} LogGroup;

typedef struct LogGroupStats
{
	uint64_t records; /* appended */
	uint64_t bytes;   /* written to files, framing included */
	uint64_t writes;
	uint64_t syncs;
	uint64_t waits; /* flushes that were served by another process, or had to wait for one */
} LogGroupStats;

/* Shared memory needed for a ring of buffer_bytes. */
extern size_t log_group_shm_bytes(uint64_t buffer_bytes);

/* Lays the shared part over 64-byte aligned memory.  Files are made with segment_bytes allocated, and grow by less. */
extern void log_group_shm_init(LogGroupShm *shm, uint64_t buffer_bytes, uint64_t segment_bytes);

/* Makes this process's handle; "dir" is copied.  NO_MEMORY. */
extern NvmkvStatus log_group_attach(LogGroup *log, LogGroupShm *shm, const char *dir);
extern void log_group_detach(LogGroup *log);

/* <dir>/<number>.log */
extern void log_group_path(char *path, size_t size, const char *dir, uint64_t number);

/*
 * Creates file "number" as the current one; the next record gets sequence last_sequence + 1.  Once, by the process
 * that recovered the database, before anyone appends.  The file and its name are durable on OK.
 */
extern NvmkvStatus log_group_start(LogGroup *log, uint64_t number, uint64_t last_sequence);

/*
 * Appends one batch of "count" entries; they get the sequences last - count + 1 .. last.  Not durable.
 * BUSY never; NO_SPACE, NO_MEMORY and IO while allocating: nothing was appended, try again.  LIMIT: too large for a
 * log file.  READ_ONLY: an earlier write or sync failed; the text is the first cause.
 * Takes PORT_RANK_LOG, and PORT_RANK_LOG_WRITE when much has gathered in the ring, or the file is full.
 */
extern NvmkvStatus log_group_append(LogGroup *log, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out);

/*
 * Everything up to "sequence" (NVMKV_SEQUENCE_MAX: all there is) is in the file on OK; with sync it is durable.
 * Returns at once when somebody else has done it.  CANCELLED by an interrupt while waiting; READ_ONLY as above.
 * NO_SPACE may be tried again, nothing is lost.  Hold no lock.
 */
extern NvmkvStatus log_group_flush(LogGroup *log, uint64_t sequence, bool sync);

/*
 * Ends the current file, durably, and starts file "number" (greater than all before).  recycle, unless 0, is the number of
 * an old log file that nobody needs: it is renamed instead of allocating a new one.  *last_sequence_out: the last
 * sequence in the file that was ended.  When the new file cannot be made the old one stays in use.
 * Others append while the new file is made; they wait only for the sync of what came meanwhile.
 */
extern NvmkvStatus log_group_rotate(LogGroup *log, uint64_t number, uint64_t recycle, uint64_t *last_sequence_out);

/* Every record appended later has sequences greater than this. */
extern uint64_t log_group_position(const LogGroup *log);

/* Did a write or sync fail for ever?  Then all calls say READ_ONLY from now on. */
extern bool log_group_has_failed(const LogGroup *log);

/* Number of the current file; 0 before start. */
extern uint64_t log_group_number(const LogGroup *log);

extern void log_group_stats(const LogGroup *log, LogGroupStats *stats_out);

#define LOG_GROUP_RECORD_HEADER_BYTES 8

/* Takes a record of this log apart, for recovery.  CORRUPTION when it is too short. */
static inline NvmkvStatus
log_group_split_record(NvmkvSlice record, uint64_t *base_sequence_out, NvmkvSlice *batch_out)
{
	if (record.size < LOG_GROUP_RECORD_HEADER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "log record of %zu bytes has no sequence", record.size);
	*base_sequence_out = get_u64(record.data);
	*batch_out = nvmkv_slice(record.data + LOG_GROUP_RECORD_HEADER_BYTES, record.size - LOG_GROUP_RECORD_HEADER_BYTES);
	return NVMKV_OK;
}

#endif
