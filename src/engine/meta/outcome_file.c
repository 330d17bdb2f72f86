/*
 * outcome_file.c
 *	  Files of the outcome record: see outcome_file.h.
 */
#include "engine/meta/outcome_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"

#define MAGIC UINT64_C(0x544358564b4d564e) /* "NVMKVXCT" */
#define OUTCOME_FORMAT 1
#define PATH_BYTES 1200

#define AT_FORMAT 8
#define AT_PAGES 12
#define AT_SYSTEM 16
#define AT_NUMBER 24
#define AT_SEGMENT 32
#define AT_PAGE_CRCS 40
#define AT_CRC 104
#define HEAD_USED 108

void
outcome_file_path(const char *dir, uint64_t number, char *buf, size_t size)
{
	(void) snprintf(buf, size, "%s/%06" PRIu64 ".xct", dir, number);
}

bool
outcome_file_parse(const char *name, uint64_t *number_out)
{
	char *end;

	if (name[0] < '0' || name[0] > '9')
		return false;
	*number_out = strtoull(name, &end, 10);
	return strcmp(end, ".xct") == 0;
}

static void
fill_head(uint8_t *head, const OutcomeFile *file, const uint8_t *bits, unsigned pages)
{
	unsigned p;

	memset(head, 0, OUTCOME_FILE_HEAD);
	put_u64(head, MAGIC);
	put_u32(head + AT_FORMAT, OUTCOME_FORMAT);
	put_u32(head + AT_PAGES, pages);
	put_u64(head + AT_SYSTEM, file->system_identifier);
	put_u64(head + AT_NUMBER, file->number);
	put_u64(head + AT_SEGMENT, file->segment);
	for (p = 0; p < pages; p++)
		put_u32(head + AT_PAGE_CRCS + 4 * p,
				crc32c_mask(crc32c(bits + (size_t) p * OUTCOME_PAGE_BYTES, OUTCOME_PAGE_BYTES)));
	put_u32(head + AT_CRC, crc32c_mask(crc32c(head, AT_CRC)));
}

NvmkvStatus
outcome_file_write(const char *dir, const OutcomeFile *file, const uint8_t *bits, unsigned pages)
{
	char path[PATH_BYTES];
	uint8_t head[OUTCOME_FILE_HEAD];
	PortFile *f;
	NvmkvStatus st;

	outcome_file_path(dir, file->number, path, sizeof(path));
	fill_head(head, file, bits, pages);
	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &f));
	st = port_files->write(f, 0, head, sizeof(head));
	if (st == NVMKV_OK)
		st = port_files->write(f, OUTCOME_FILE_HEAD, bits, (size_t) pages * OUTCOME_PAGE_BYTES);
	if (st == NVMKV_OK)
		st = port_fault("outcomes.written");
	if (st == NVMKV_OK)
		st = port_files->sync(f);
	port_files->close(f);
	if (st == NVMKV_OK)
		st = port_files->sync_dir(dir);
	if (st == NVMKV_OK)
		st = port_fault("outcomes.synced");
	if (st != NVMKV_OK)
	{
		const NvmkvError cause = *nvmkv_error();

		(void) port_files->unlink(path);
		(void) nvmkv_fail_at(cause.status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
	}
	return st;
}

static NvmkvStatus
check_head(const uint8_t *head, const char *path, const OutcomeFile *file)
{
	if (get_u64(head) != MAGIC)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is not a file of outcomes", path);
	if (get_u32(head + AT_FORMAT) != OUTCOME_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "\"%s\" has format %" PRIu32 ", this version reads %d" NVMKV_USE_NEWER, path,
						  get_u32(head + AT_FORMAT), OUTCOME_FORMAT);
	if (crc32c_unmask(get_u32(head + AT_CRC)) != crc32c(head, AT_CRC))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": the head's checksum is wrong", path);
	if (get_u64(head + AT_SYSTEM) != file->system_identifier || get_u64(head + AT_NUMBER) != file->number ||
		get_u64(head + AT_SEGMENT) != file->segment || get_u32(head + AT_PAGES) > OUTCOME_PAGES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is another file than the manifest names", path);
	return NVMKV_OK;
}

static NvmkvStatus
read_page(PortFile *f, const char *path, const OutcomeFile *file, unsigned page, uint8_t *bits_out)
{
	uint8_t head[HEAD_USED];

	NVMKV_RETURN_IF(port_files->read(f, 0, head, sizeof(head)));
	NVMKV_RETURN_IF(check_head(head, path, file));
	if (page >= get_u32(head + AT_PAGES))
	{
		memset(bits_out, 0, OUTCOME_PAGE_BYTES);
		return NVMKV_OK;
	}
	NVMKV_RETURN_IF(port_files->read(f, OUTCOME_FILE_HEAD + (uint64_t) page * OUTCOME_PAGE_BYTES, bits_out,
									 OUTCOME_PAGE_BYTES));
	if (crc32c_unmask(get_u32(head + AT_PAGE_CRCS + 4 * page)) != crc32c(bits_out, OUTCOME_PAGE_BYTES))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\": the checksum of page %u is wrong", path, page);
	return NVMKV_OK;
}

NvmkvStatus
outcome_file_read(const char *dir, const OutcomeFile *file, unsigned page, uint8_t *bits_out)
{
	char path[PATH_BYTES];
	PortFile *f;
	NvmkvStatus st;

	outcome_file_path(dir, file->number, path, sizeof(path));
	st = port_files->open(path, PORT_FILE_READ, &f);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "file of outcomes \"%s\" is missing", path);
	NVMKV_RETURN_IF(st);
	st = read_page(f, path, file, page, bits_out);
	port_files->close(f);
	return st;
}
