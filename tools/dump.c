/*
 * dump.c
 *	  The command line of nvmkv_dump, and what its parts share.
 */
#include "tools/dump.h"

#include <inttypes.h>
#include <string.h>

#include "engine/log/log_format.h"
#include "engine/port/port.h"
#include "engine/sst/sst_format.h"

static const char usage[] =
	"usage: nvmkv_dump manifest FILE|DIR        edits, and the state they make\n"
	"       nvmkv_dump log FILE                 records of a standalone database's log\n"
	"       nvmkv_dump sst FILE [--keys]        footer, properties, blocks; entries\n"
	"       nvmkv_dump pool FILE [--dir DIR [--keys]]\n"
	"                                           header; rows by the manifest in DIR; entries\n"
	"       nvmkv_dump check DIR [--pool FILE] [--log-dir DIR]\n"
	"                                           is the database in DIR, which nobody uses, sound?\n"
	"       nvmkv_dump salvage DIR [--to DIR [--table NAME|NUMBER] [--unknown keep|drop]]\n"
	"                          [--pool FILE] [--xact DIR] [--kept DIR]\n"
	"                                           tables in the database in DIR; their rows as COPY text, around damage\n"
	"Reads only.  Exit code 1: something is damaged, or cannot be read.\n";

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

static bool
salvage_option(SalvageOptions *options, const char *name, const char *value)
{
	if (strcmp(name, "--to") == 0)
		options->to = value;
	else if (strcmp(name, "--table") == 0)
		options->table = value;
	else if (strcmp(name, "--pool") == 0)
		options->pool = value;
	else if (strcmp(name, "--xact") == 0)
		options->xact = value;
	else if (strcmp(name, "--kept") == 0)
		options->kept = value;
	else if (strcmp(name, "--unknown") == 0 && (strcmp(value, "keep") == 0 || strcmp(value, "drop") == 0))
		options->keep_unknown = value[0] == 'k';
	else
		return false;
	return true;
}

int
dump_main(int argc, char **argv, FILE *out, FILE *err)
{
	Dump dump = {out, err, false, false};
	const char *what = argc > 1 ? argv[1] : "";
	const char *path = argc > 2 ? argv[2] : NULL;
	const char *dir = NULL;
	const char *pool = NULL;
	const char *log_dir = NULL;
	bool is_pool = strcmp(what, "pool") == 0;
	bool is_salvage = strcmp(what, "salvage") == 0;
	bool good = path != NULL;
	SalvageOptions salvage = {0};
	int i;

	for (i = 3; i < argc && good && is_salvage; i += 2)
		good = i + 1 < argc && salvage_option(&salvage, argv[i], argv[i + 1]);
	for (i = 3; i < argc && good && !is_salvage; i++)
	{
		if (strcmp(argv[i], "--keys") == 0 && (is_pool || strcmp(what, "sst") == 0))
			dump.show_keys = true;
		else if (strcmp(argv[i], "--dir") == 0 && is_pool && i + 1 < argc)
			dir = argv[++i];
		else if (strcmp(argv[i], "--pool") == 0 && strcmp(what, "check") == 0 && i + 1 < argc)
			pool = argv[++i];
		else if (strcmp(argv[i], "--log-dir") == 0 && strcmp(what, "check") == 0 && i + 1 < argc)
			log_dir = argv[++i];
		else
			good = false;
	}
	if (good && strcmp(what, "manifest") == 0)
		dump_manifest(&dump, path);
	else if (good && strcmp(what, "log") == 0)
		dump_log(&dump, path);
	else if (good && strcmp(what, "sst") == 0)
		dump_table(&dump, path);
	else if (good && is_pool && (dir != NULL || !dump.show_keys))
		dump_pool(&dump, path, dir);
	else if (good && strcmp(what, "check") == 0)
		dump_check(&dump, path, pool, log_dir);
	else if (good && is_salvage && (salvage.to != NULL || salvage.table == NULL))
		dump_salvage(&dump, path, &salvage);
	else
	{
		fputs(usage, err);
		return DUMP_USAGE;
	}
	if (fflush(out) != 0)
	{
		fprintf(err, "nvmkv_dump: cannot write the output\n");
		return DUMP_DAMAGED;
	}
	return dump.failed ? DUMP_DAMAGED : DUMP_OK;
}
