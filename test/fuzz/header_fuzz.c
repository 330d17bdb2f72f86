/*
 * header_fuzz.c
 *	  Files and headers of a fixed layout: the pool's header and stamps, the list of column
 *	  families, the header of a log file, the footer of a table.
 *
 * The first byte of an input says which; the rest is what is decoded.  What is
 * accepted is encoded again, and must be the same bytes.
 */
#include "fuzz/fuzz.h"

#include "engine/db/family_file.h"
#include "engine/log/log_format.h"
#include "engine/nvm/pool_stamp.h"
#include "engine/sst/sst_format.h"

static void
pool_header(const uint8_t *data)
{
	NvmPoolHeader header;
	uint8_t page[NVM_POOL_PAGE_BYTES] = {0};

	if (nvm_pool_header_decode(data, "pool", &header) != NVMKV_OK)
		return;
	FUZZ_REQUIRE(header.extent_count > 0 && header.extent_count <= NVM_EXTENTS_MAX && header.pool_id != 0);
	nvm_pool_header_encode(&header, page);
	FUZZ_REQUIRE(memcmp(page, data, NVM_POOL_OFFSET_CRC) == 0);
}

static void
pool_stamp(const uint8_t *data)
{
	NvmPoolStamp stamp;
	uint8_t again[NVM_STAMP_BYTES];

	if (!nvm_stamp_decode(data, &stamp))
		return;
	nvm_stamp_encode(&stamp, again);
	FUZZ_REQUIRE(memcmp(again, data, sizeof(again) - 4) == 0);
}

static void
families(const uint8_t *data, size_t size)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	const char *path = fuzz_path("FAMILIES");
	char dir[700];
	unsigned count;
	unsigned i;
	bool doubtful;
	size_t again_bytes;
	uint8_t *again;

	fuzz_write_file(path, data, size);
	(void) snprintf(dir, sizeof(dir), "%.*s", (int) (strlen(path) - strlen("/FAMILIES")), path);
	if (family_file_read(dir, list, &count) != NVMKV_OK)
		return;
	FUZZ_REQUIRE(count < NVMKV_FAMILIES_MAX);
	for (i = 0; i < count; i++)
	{
		/* Its range is not the file's business. */
		if (list[i].options.l0_write_amplification > 1e6)
			return;
		FUZZ_REQUIRE(list[i].id > 0 && list[i].id < NVMKV_FAMILIES_MAX && family_name_check(list[i].name) == NVMKV_OK);
	}
	FUZZ_OK(family_file_write(dir, list, count, &doubtful));
	again = fuzz_read_file(path, &again_bytes);
	FUZZ_REQUIRE(again_bytes == size && memcmp(again, data, size - 4) == 0);
	free(again);
}

static void
log_header(const uint8_t *data)
{
	uint8_t again[LOG_FILE_HEADER_BYTES];
	uint64_t number;

	if (log_file_header_decode(data, LOG_KIND_WAL, &number) != NVMKV_OK)
		return;
	log_file_header_encode(again, LOG_KIND_WAL, number);
	FUZZ_REQUIRE(memcmp(again, data, sizeof(again) - 4) == 0);
}

static void
footer(const uint8_t *data)
{
	uint64_t file_bytes = get_u64(data + SST_FOOTER_FILE_BYTES);
	SstFooter footer;

	if (sst_footer_decode(data, file_bytes, "table", &footer) != NVMKV_OK)
		return;
	FUZZ_REQUIRE(footer.top.offset < file_bytes && footer.top.size <= file_bytes - footer.top.offset);
	FUZZ_REQUIRE(footer.props.offset < file_bytes && footer.props.size <= file_bytes - footer.props.offset);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 5)
	{
		case 0:
			if (size > NVM_POOL_HEADER_BYTES)
				pool_header(data + 1);
			break;
		case 1:
			families(data + 1, size - 1);
			break;
		case 2:
			if (size > LOG_FILE_HEADER_BYTES)
				log_header(data + 1);
			break;
		case 3:
			if (size > SST_FOOTER_BYTES)
				footer(data + 1);
			break;
		case 4:
			if (size > NVM_STAMP_BYTES)
				pool_stamp(data + 1);
			break;
	}
	return 0;
}

static void
seed(uint8_t which, const uint8_t *data, size_t size)
{
	uint8_t *input = malloc(size + 1);

	FUZZ_REQUIRE(input != NULL);
	input[0] = which;
	memcpy(input + 1, data, size);
	fuzz_seed(input, size + 1);
	free(input);
}

void
fuzz_seeds(void)
{
	NvmPoolHeader header = {.extent_count = 15, .system_identifier = 4711, .pool_id = 99};
	NvmPoolStamp stamp = {1, 71, 1000, 5};
	NvmkvFamilyInfo list[2];
	SstFooter table = {0};
	uint8_t page[NVM_POOL_PAGE_BYTES] = {0};
	uint8_t bytes[SST_FOOTER_BYTES];
	uint8_t log[LOG_FILE_HEADER_BYTES];
	const char *path = fuzz_path("FAMILIES");
	char dir[700];
	uint8_t *file;
	size_t size;
	bool doubtful;
	unsigned i;

	nvm_pool_header_encode(&header, page);
	seed(0, page, NVM_POOL_HEADER_BYTES);
	nvm_stamp_encode(&stamp, page);
	seed(4, page, NVM_STAMP_BYTES);
	memset(list, 0, sizeof(list));
	for (i = 0; i < 2; i++)
	{
		list[i].id = i + 1;
		(void) snprintf(list[i].name, sizeof(list[i].name), "family%u", i);
		list[i].options.write_buffer_bytes = 1 << 20;
		list[i].options.max_write_buffers = 2;
		list[i].options.target_file_bytes = 1 << 20;
		list[i].options.block_bytes = 4096;
		list[i].options.bloom_bits_per_key = 10;
		list[i].options.l0_write_amplification = 3.0;
	}
	(void) snprintf(dir, sizeof(dir), "%.*s", (int) (strlen(path) - strlen("/FAMILIES")), path);
	FUZZ_OK(family_file_write(dir, list, 2, &doubtful));
	file = fuzz_read_file(path, &size);
	seed(1, file, size);
	free(file);
	log_file_header_encode(log, LOG_KIND_WAL, 12);
	seed(2, log, sizeof(log));
	table.top.offset = 100;
	table.top.size = 50;
	table.props.offset = 200;
	table.props.size = 60;
	table.file_bytes = 400;
	sst_footer_encode(&table, bytes);
	seed(3, bytes, sizeof(bytes));
}
