/*
 * log_writer.c
 *	  A log file written by one process: MANIFEST.
 *
 * A record is framed in memory and written by one call, so that a full disk
 * leaves at most an unfinished end, which the next attempt overwrites.
 */
#include "engine/log/log_writer.h"

#include <inttypes.h>

NvmkvStatus
log_writer_create(LogWriter *writer, const char *path, uint32_t kind, uint64_t number)
{
	const int flags = PORT_FILE_READ | PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE;
	uint8_t header[LOG_FILE_HEADER_BYTES];
	NvmkvStatus status;

	memset(writer, 0, sizeof(*writer));
	writer->number = number;
	NVMKV_RETURN_IF(port_fault("log.create"));
	NVMKV_RETURN_IF(port_files->open(path, flags, &writer->file));
	log_file_header_encode(header, kind, number);
	status = port_files->write(writer->file, 0, header, sizeof(header));
	if (status != NVMKV_OK)
	{
		log_writer_close(writer);
		(void) port_files->unlink(path);
		return status;
	}
	writer->offset = LOG_FILE_HEADER_BYTES;
	return NVMKV_OK;
}

static NvmkvStatus
sink_frame(void *ctx, const void *data, size_t size)
{
	return nvmkv_buf_append((NvmkvBuf *) ctx, data, size);
}

static NvmkvStatus
fail_sticky(const LogWriter *writer)
{
	return NVMKV_FAIL(NVMKV_READ_ONLY, "log file \"%s\" takes no more records after a failed write", port_file_path(writer->file));
}

NvmkvStatus
log_writer_append(LogWriter *writer, const NvmkvSlice *parts, unsigned nparts)
{
	uint64_t bytes = 0;
	uint64_t end;
	unsigned i;
	NvmkvStatus status;

	if (writer->failed)
		return fail_sticky(writer);
	for (i = 0; i < nparts; i++)
		bytes += parts[i].size;
	end = log_record_end(writer->offset, bytes);
	if (end > LOG_FILE_BYTES_MAX)
		return NVMKV_FAIL(NVMKV_LIMIT, "log file \"%s\" is full: a record of %" PRIu64 " bytes at %" PRIu64,
						  port_file_path(writer->file), bytes, writer->offset);
	NVMKV_RETURN_IF(port_fault("log.append"));

	writer->frame.size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(&writer->frame, (size_t) (end - writer->offset)));
	NVMKV_RETURN_IF(log_record_frame(writer->offset, (uint32_t) writer->number, (uint32_t) writer->synced,
									 parts, nparts, sink_frame, &writer->frame));
	status = port_files->write(writer->file, writer->offset, writer->frame.data, writer->frame.size);
	if (status != NVMKV_OK)
	{
		if (status != NVMKV_NO_SPACE)
			writer->failed = true;
		return status;
	}
	writer->offset = end;
	return NVMKV_OK;
}

NvmkvStatus
log_writer_sync(LogWriter *writer)
{
	NvmkvStatus status;

	if (writer->failed)
		return fail_sticky(writer);
	if (writer->synced == writer->offset)
		return NVMKV_OK;
	status = port_fault("log.sync");
	if (status == NVMKV_OK)
		status = port_files->sync(writer->file);
	if (status != NVMKV_OK)
	{
		writer->failed = true;
		return status;
	}
	writer->synced = writer->offset;
	return NVMKV_OK;
}

void
log_writer_close(LogWriter *writer)
{
	if (writer->file != NULL)
		port_files->close(writer->file);
	nvmkv_buf_free(&writer->frame);
	memset(writer, 0, sizeof(*writer));
}
