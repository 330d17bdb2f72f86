/*
 * dump.c
 *	  What the parts of nvmkv_dump share.
 */
#include "tools/dump.h"

#include <inttypes.h>
#include <string.h>

#include "engine/log/log_format.h"
#include "engine/port/port.h"
#include "engine/sst/sst_format.h"

void
dump_failure(Dump *dump)
{
	const NvmkvError *error = nvmkv_error();

	fprintf(dump->err, "nvmkv_dump: %s: %s", nvmkv_status_name(error->status), error->text);
	if (error->sys_errno != 0)
		fprintf(dump->err, ": %s", strerror(error->sys_errno));
	fputc('\n', dump->err);
	dump->failed = true;
}

void
dump_bytes_to(FILE *out, NvmkvSlice bytes)
{
	size_t i;

	fputc('"', out);
	for (i = 0; i < bytes.size; i++)
	{
		uint8_t c = bytes.data[i];

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			fprintf(out, "\\x%02x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

void
dump_bytes(Dump *dump, NvmkvSlice bytes)
{
	dump_bytes_to(dump->out, bytes);
}

static const char *
type_name(unsigned type)
{
	switch (type)
	{
		case NVMKV_TYPE_DELETION:
			return "deletion";
		case NVMKV_TYPE_VALUE:
			return "value";
		case NVMKV_TYPE_RANGE_DELETION:
			return "range deletion";
		case NVMKV_TYPE_TAGGED_DELETION:
			return "tagged deletion";
		case NVMKV_TYPE_TAGGED_VALUE:
			return "tagged value";
		case NVMKV_TYPE_TAGGED_LOCK:
			return "tagged lock";
		case NVMKV_TYPE_TAGGED_RANGE_DELETION:
			return "tagged range deletion";
		case NVMKV_TYPE_COMMITTED_DELETION:
			return "committed deletion";
		case NVMKV_TYPE_COMMITTED_VALUE:
			return "committed value";
		case NVMKV_TYPE_COMMITTED_RANGE_DELETION:
			return "committed range deletion";
		default:
			return NULL;
	}
}

void
dump_entry(Dump *dump, NvmkvSlice key, uint64_t tag, NvmkvSlice payload)
{
	unsigned type = ikey_type(tag);
	const char *name = ikey_type_is_valid_in_table(type) ? type_name(type & ~NVMKV_TYPE_APART_BIT) : NULL;
	NvmkvTxnTag txn;
	NvmkvSlice value;
	SstReference reference;

	fprintf(dump->out, "%" PRIu64 " ", ikey_sequence(tag));
	if (name == NULL)
		fprintf(dump->out, "unknown type 0x%02x ", ikey_type(tag));
	else
		fprintf(dump->out, "%s ", name);
	dump_bytes(dump, key);
	if (name == NULL || ikey_split_payload(tag, payload, &txn, &value) != NVMKV_OK)
	{
		fprintf(dump->out, " payload %zu\n", payload.size);
		if (name == NULL)
			(void) NVMKV_FAIL(NVMKV_CORRUPTION, "an entry has the unknown type 0x%02x", ikey_type(tag));
		dump_failure(dump);
		return;
	}
	if (ikey_is_tagged(tag))
		fprintf(dump->out, " fxid %" PRIu64 " cid %" PRIu32, txn.fxid, txn.cid);
	if (!ikey_is_apart(tag))
		fprintf(dump->out, " value %zu\n", value.size);
	else if (sst_reference_decode(value, &reference) == NVMKV_OK)
		fprintf(dump->out, " value in %06" PRIu64 ".sst, block at %" PRIu64 ", %" PRIu32 " bytes\n", reference.number,
				reference.block.offset, reference.block.size);
	else
	{
		fputc('\n', dump->out);
		dump_failure(dump);
	}
}

NvmkvStatus
dump_log_number(const char *path, uint32_t kind, uint64_t *number_out)
{
	uint8_t header[LOG_FILE_HEADER_BYTES];
	PortFile *file;
	NvmkvStatus status;
	size_t got = 0;

	status = port_files->open(path, PORT_FILE_READ, &file);
	if (status == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_NOT_FOUND, "\"%s\" does not exist", path);
	NVMKV_RETURN_IF(status);
	status = port_files->read_some(file, 0, header, sizeof(header), &got);
	port_files->close(file);
	NVMKV_RETURN_IF(status);
	if (got < sizeof(header))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" has %zu bytes: no header", path, got);
	return log_file_header_decode(header, kind, number_out);
}
