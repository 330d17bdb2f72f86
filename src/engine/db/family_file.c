/*
 * family_file.c
 *	  See family_file.h.
 */
#include "engine/db/family_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "engine/base/coding.h"
#include "engine/base/crc32c.h"
#include "engine/port/port.h"

#define FAMILIES_MAGIC UINT64_C(0x4d4146564b4d564e) /* "NVMKVFAM" */
#define FAMILIES_FORMAT 2
#define HEADER_BYTES 16
#define ENTRY_BYTES 128
#define ENTRY_COMPRESSION 48
#define ENTRY_NAME 56
#define ENTRY_OWN 120
#define TRAILER_BYTES 4
#define FILE_BYTES_MAX (HEADER_BYTES + NVMKV_FAMILIES_MAX * ENTRY_BYTES + TRAILER_BYTES)
#define PATH_BYTES_MAX 1100

_Static_assert(ENTRY_OWN - ENTRY_NAME == NVMKV_FAMILY_NAME_BYTES + 1, "a name and its end fit the entry");

NvmkvStatus
family_name_check(const char *name)
{
	size_t n = strlen(name);
	size_t i;

	if (n == 0 || n > NVMKV_FAMILY_NAME_BYTES)
		return NVMKV_FAIL(NVMKV_INVALID, "the name of a column family must have 1 to %d bytes, not %zu", NVMKV_FAMILY_NAME_BYTES, n);
	for (i = 0; i < n; i++)
		if ((unsigned char) name[i] < 0x20 || name[i] == 0x7f)
			return NVMKV_FAIL(NVMKV_INVALID, "the name of a column family has a control character at byte %zu", i);
	return NVMKV_OK;
}

static void
encode_entry(uint8_t *p, const NvmkvFamilyInfo *info)
{
	memset(p, 0, ENTRY_BYTES);
	put_u32(p, info->id);
	put_u32(p + 4, info->options.max_write_buffers);
	put_u64(p + 8, info->options.write_buffer_bytes);
	put_u64(p + 16, info->options.nvm_bytes);
	put_u64(p + 24, info->options.target_file_bytes);
	put_u32(p + 32, info->options.block_bytes);
	put_u32(p + 36, info->options.bloom_bits_per_key);
	put_u64(p + 40, (uint64_t) (info->options.l0_write_amplification * 1000.0 + 0.5));
	memcpy(p + ENTRY_COMPRESSION, info->options.compression, NVMKV_LEVELS);
	memcpy(p + ENTRY_NAME, info->name, strlen(info->name));
	put_u32(p + ENTRY_OWN, info->options.own);
}

/* A name, and zeros behind it. */
static bool
name_is_padded(const char *name)
{
	size_t i;

	for (i = strnlen(name, NVMKV_FAMILY_NAME_BYTES + 1); i <= NVMKV_FAMILY_NAME_BYTES; i++)
		if (name[i] != '\0')
			return false;
	return name[NVMKV_FAMILY_NAME_BYTES] == '\0';
}

/* A codec of each level, and the zero behind them. */
static bool
compression_is_known(const uint8_t *p)
{
	unsigned level;

	for (level = 0; level < NVMKV_LEVELS; level++)
		if (p[level] > NVMKV_COMPRESSION_ZSTD)
			return false;
	return p[NVMKV_LEVELS] == 0;
}

static NvmkvStatus
decode_entry(const char *path, const uint8_t *p, NvmkvFamilyInfo *info)
{
	memset(info, 0, sizeof(*info));
	info->id = get_u32(p);
	info->options.max_write_buffers = get_u32(p + 4);
	info->options.write_buffer_bytes = get_u64(p + 8);
	info->options.nvm_bytes = get_u64(p + 16);
	info->options.target_file_bytes = get_u64(p + 24);
	info->options.block_bytes = get_u32(p + 32);
	info->options.bloom_bits_per_key = get_u32(p + 36);
	info->options.l0_write_amplification = (double) get_u64(p + 40) / 1000.0;
	memcpy(info->options.compression, p + ENTRY_COMPRESSION, NVMKV_LEVELS);
	memcpy(info->name, p + ENTRY_NAME, sizeof(info->name));
	info->options.own = get_u32(p + ENTRY_OWN);
	if (info->id == 0 || info->id >= NVMKV_FAMILIES_MAX || !compression_is_known(p + ENTRY_COMPRESSION) ||
		info->options.own > NVMKV_OWN_ALL || get_u32(p + ENTRY_OWN + 4) != 0 ||
		!name_is_padded(info->name) || family_name_check(info->name) != NVMKV_OK)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" lists a malformed column family (id %u)", path, info->id);
	return NVMKV_OK;
}

static void
file_path(const char *dir, char *path)
{
	(void) snprintf(path, PATH_BYTES_MAX, "%s/FAMILIES", dir);
}

static NvmkvStatus
decode(const char *path, const uint8_t *bytes, size_t size, NvmkvFamilyInfo *list, unsigned *count_out)
{
	uint32_t count;
	uint32_t i;

	if (size < HEADER_BYTES + TRAILER_BYTES || get_u64(bytes) != FAMILIES_MAGIC)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" is not a list of column families (%zu bytes)", path, size);
	if (get_u32(bytes + size - TRAILER_BYTES) != crc32c_mask(crc32c(bytes, size - TRAILER_BYTES)))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" fails its checksum", path);
	if (get_u32(bytes + 8) != FAMILIES_FORMAT)
		return NVMKV_FAIL(NVMKV_VERSION, "\"%s\" has format %u, this version reads %d" NVMKV_USE_NEWER, path, get_u32(bytes + 8), FAMILIES_FORMAT);
	count = get_u32(bytes + 12);
	if (count >= NVMKV_FAMILIES_MAX || size != HEADER_BYTES + count * ENTRY_BYTES + TRAILER_BYTES)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" of %zu bytes names %u column families", path, size, count);
	for (i = 0; i < count; i++)
	{
		NVMKV_RETURN_IF(decode_entry(path, bytes + HEADER_BYTES + i * ENTRY_BYTES, &list[i]));
		if (i > 0 && list[i].id <= list[i - 1].id)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" lists column family %u out of order", path, list[i].id);
	}
	*count_out = count;
	return NVMKV_OK;
}

NvmkvStatus
family_file_read(const char *dir, NvmkvFamilyInfo list_out[NVMKV_FAMILIES_MAX], unsigned *count_out)
{
	uint8_t bytes[FILE_BYTES_MAX + 1]; /* one more, so that a file that is too long shows */
	char path[PATH_BYTES_MAX];
	PortFile *file;
	size_t size = 0;
	NvmkvStatus st;

	*count_out = 0;
	file_path(dir, path);
	st = port_files->open(path, PORT_FILE_READ, &file);
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_OK;
	NVMKV_RETURN_IF(st);
	st = port_files->read_some(file, 0, bytes, sizeof(bytes), &size);
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	return decode(path, bytes, size, list_out, count_out);
}

NvmkvStatus
family_file_write(const char *dir, const NvmkvFamilyInfo *list, unsigned count, bool *doubtful_out)
{
	uint8_t bytes[FILE_BYTES_MAX];
	char path[PATH_BYTES_MAX];
	char temp[PATH_BYTES_MAX + 8];
	size_t size = HEADER_BYTES;
	PortFile *file;
	unsigned i;
	NvmkvStatus st;

	*doubtful_out = false;
	put_u64(bytes, FAMILIES_MAGIC);
	put_u32(bytes + 8, FAMILIES_FORMAT);
	put_u32(bytes + 12, count);
	for (i = 0; i < count; i++, size += ENTRY_BYTES)
		encode_entry(bytes + size, &list[i]);
	put_u32(bytes + size, crc32c_mask(crc32c(bytes, size)));
	size += TRAILER_BYTES;

	file_path(dir, path);
	(void) snprintf(temp, sizeof(temp), "%s.tmp", path);
	NVMKV_RETURN_IF(port_files->open(temp, PORT_FILE_WRITE | PORT_FILE_CREATE | PORT_FILE_TRUNCATE, &file));
	st = port_files->write(file, 0, bytes, size);
	if (st == NVMKV_OK)
		st = port_files->sync(file);
	port_files->close(file);
	if (st == NVMKV_OK)
		st = port_fault("families.before_rename");
	NVMKV_RETURN_IF(st);
	st = port_files->rename(temp, path);
	*doubtful_out = st != NVMKV_OK;
	return st;
}
